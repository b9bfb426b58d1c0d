package cades

import (
	"bytes"
	"encoding/base64"
	"encoding/pem"
	"errors"
	"strings"

	"trustcore/internal/budget"
)

// unwrap returns the BER of a CMS file. Beside plain BER it takes PEM, bare base64 and the S/MIME
// headers of a `.p7m` that a mail program saved (RFC 8551, 3.5), since offices send such files; and of a
// TimeStampResp the token.
func unwrap(b *budget.Budget, data []byte) (ber []byte, notes []string, err error) {
	if len(data) == 0 || data[0] != 0x30 {
		// A text is held once more while it is undone, and costs as much as it is long.
		if err := b.Hold(len(data)); err != nil {
			return nil, nil, err
		}
		if err := b.Work(textWork * int64(len(data))); err != nil {
			return nil, nil, err
		}
		var wrapping string
		if data, wrapping, err = fromText(data); err != nil {
			return nil, nil, err
		}
		notes = []string{wrapping}
	}
	if body, ok := sequence(data); !ok || len(body) == 0 || body[0] != 0x30 {
		return data, notes, nil
	}
	token, refused, err := fromResponse(data)
	return token, append(notes, refused...), err
}

// textWork is what an octet of text costs to decode, in units of the budget.
const textWork = 8

func fromText(data []byte) (ber []byte, wrapping string, err error) {
	text := bytes.TrimLeft(data, "\ufeff\r\n\t ")
	if bytes.HasPrefix(text, []byte("-----BEGIN ")) {
		if block, _ := pem.Decode(text); block != nil {
			return block.Bytes, "the CMS is wrapped in PEM", nil
		}
		return nil, "", errors.New("CMS: broken PEM")
	}
	wrapping = "the CMS is wrapped in base64"
	if body, ok := smimeBody(text); ok {
		text, wrapping = body, "the CMS is wrapped in an S/MIME message"
	}
	if ber := decodeBase64(text); ber != nil {
		return ber, wrapping, nil
	}
	return nil, "", errors.New("CMS: neither BER nor a text wrapping of it")
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
	if bytes.ContainsAny(text, " \t") { // line ends are passed over by the decoder
		text = bytes.Map(func(c rune) rune {
			if c == ' ' || c == '\t' {
				return -1
			}
			return c
		}, text)
	}
	ber := make([]byte, base64.StdEncoding.DecodedLen(len(text)))
	n, err := base64.StdEncoding.Decode(ber, text)
	if err != nil || n == 0 || ber[0] != 0x30 {
		return nil
	}
	return ber[:n]
}

// blank tells whether there is nothing but padding: zeros or line ends.
func blank(b []byte) bool { return len(bytes.Trim(b, "\x00\r\n")) == 0 }
