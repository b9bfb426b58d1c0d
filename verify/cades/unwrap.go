package cades

import (
	"bytes"
	"encoding/base64"
	"encoding/pem"
	"errors"
	"fmt"

	"trustcore/internal/budget"
	"trustcore/internal/cms"
)

// wrapping is what a file is beside its CMS.
type wrapping struct {
	notes  []string
	beside string      // what stands there and nobody signed, though a person may read it; or ""
	signed *signedPart // of a message: what its CMS is about; or nil
	from   []field     // of a message: its From fields, which nobody signed
}

func (w *wrapping) note(text string) { w.notes = append(w.notes, text) }

// leaveOut names something that stands beside the CMS; "" is nothing.
func (w *wrapping) leaveOut(what string) {
	if w.beside != "" && what != "" {
		w.beside += " and "
	}
	w.beside += what
}

// unwrap returns the BER of a CMS file. Beside plain BER it takes PEM, bare base64 and an S/MIME message that a mail
// program saved (RFC 8551, 3.4), since offices send such files; and of a TimeStampResp the token.
func unwrap(b *budget.Budget, data []byte) (ber []byte, w *wrapping, err error) {
	w = &wrapping{}
	if len(data) == 0 || data[0] != 0x30 {
		if err := b.Work(textWork * int64(len(data))); err != nil {
			return nil, nil, err
		}
		if data, err = w.fromText(b, data); err != nil {
			return nil, nil, err
		}
	}
	if body, ok := sequence(data); !ok || len(body) == 0 || body[0] != 0x30 {
		return data, w, nil
	}
	if err := b.Work(cms.ParseWork(len(data))); err != nil {
		return nil, nil, err
	}
	token, notes, err := fromResponse(data)
	w.notes = append(w.notes, notes...)
	return token, w, err
}

// textWork is what an octet of text costs to decode, in units of the budget.
const textWork = 8

func (w *wrapping) fromText(b *budget.Budget, data []byte) (ber []byte, err error) {
	text := bytes.TrimLeft(data, "\ufeff\r\n\t ")
	if !bytes.HasPrefix(text, pemBegin) && beginsAsHeader(text) {
		if ber, err = w.fromMail(b, text); err != nil {
			return nil, fmt.Errorf("S/MIME: %w", err)
		}
		return ber, nil
	}
	if err := b.Hold(len(data)); err != nil { // a text is held once more while it is undone
		return nil, err
	}
	if bytes.HasPrefix(text, pemBegin) {
		return w.fromPEM(text)
	}
	if ber := decodeBase64(text); ber != nil {
		w.note("the CMS is wrapped in base64")
		return ber, nil
	}
	return nil, errors.New("CMS: neither BER nor a text wrapping of it")
}

var pemBegin = []byte("-----BEGIN ")

// fromPEM takes the first block that can be read. Whatever text stands around it or in its header is beside the CMS.
func (w *wrapping) fromPEM(text []byte) ([]byte, error) {
	block, rest := pem.Decode(text)
	if block == nil {
		return nil, errors.New("CMS: broken PEM")
	}
	w.note("the CMS is wrapped in PEM")
	if read := text[:len(text)-len(rest)]; !blank(rest) || len(block.Headers) > 0 || bytes.Count(read, pemBegin) > 1 {
		w.leaveOut("text around the CMS")
	}
	return block.Bytes, nil
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
