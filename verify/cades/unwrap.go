package cades

import (
	"bytes"
	"encoding/base64"
	"encoding/pem"
	"errors"
	"fmt"
	"strings"
)

// maxWrapped bounds a text wrapping, in octets: it is held twice beside the file while it is undone. Mail
// programs carry less.
const maxWrapped = 48 << 20

// unwrap returns the BER of a CMS file. Beside plain BER it takes PEM, bare base64 and the S/MIME
// headers of a `.p7m` that a mail program saved (RFC 8551, 3.5), since offices send such files.
func unwrap(data []byte) (ber []byte, notes []string, err error) {
	if len(data) > 0 && data[0] == 0x30 {
		return data, nil, nil
	}
	if len(data) > maxWrapped {
		return nil, nil, fmt.Errorf("CMS: wrapped in %d bytes of text, at most %d are read", len(data), maxWrapped)
	}
	text := bytes.TrimLeft(data, "\ufeff\r\n\t ")
	if bytes.HasPrefix(text, []byte("-----BEGIN ")) {
		if block, _ := pem.Decode(text); block != nil {
			return block.Bytes, []string{"the CMS is wrapped in PEM"}, nil
		}
		return nil, nil, errors.New("CMS: broken PEM")
	}
	wrapping := "the CMS is wrapped in base64"
	if body, ok := smimeBody(text); ok {
		text, wrapping = body, "the CMS is wrapped in an S/MIME message"
	}
	if ber := decodeBase64(text); ber != nil {
		return ber, []string{wrapping}, nil
	}
	return nil, nil, errors.New("CMS: neither BER nor a text wrapping of it")
}

// maxMIMEHeader bounds the header of an S/MIME message, in octets.
const maxMIMEHeader = 8 << 10

// smimeBody cuts the header off when there is one that says base64.
func smimeBody(text []byte) ([]byte, bool) {
	head := text[:min(len(text), maxMIMEHeader)]
	for _, gap := range []string{"\r\n\r\n", "\n\n"} {
		end := bytes.Index(head, []byte(gap))
		if end < 0 {
			continue
		}
		header := strings.ToLower(string(head[:end]))
		if strings.Contains(header, "pkcs7-mime") && strings.Contains(header, "base64") {
			return text[end+len(gap):], true
		}
	}
	return nil, false
}

// decodeBase64 decodes text with line breaks; nil when it is not base64 of a SEQUENCE, which always
// begins with M.
func decodeBase64(text []byte) []byte {
	if len(text) == 0 || text[0] != 'M' {
		return nil
	}
	clean := make([]byte, 0, len(text))
	for _, c := range text {
		if c != '\r' && c != '\n' && c != ' ' && c != '\t' {
			clean = append(clean, c)
		}
	}
	ber := make([]byte, base64.StdEncoding.DecodedLen(len(clean)))
	n, err := base64.StdEncoding.Decode(ber, clean)
	if err != nil || n == 0 || ber[0] != 0x30 {
		return nil
	}
	return ber[:n]
}

// blank tells whether there is nothing but padding: zeros or line ends.
func blank(b []byte) bool { return len(bytes.Trim(b, "\x00\r\n")) == 0 }
