package xmldsig

import (
	"bytes"
	"fmt"
	"strings"
	"unicode/utf16"
	"unicode/utf8"

	"golang.org/x/text/encoding"
	"golang.org/x/text/encoding/charmap"
)

// singleByte are the encodings besides UTF-8 and UTF-16 that documents of public bodies occur in.
var singleByte = map[string]encoding.Encoding{
	"ISO-8859-1":   charmap.ISO8859_1,
	"ISO-8859-2":   charmap.ISO8859_2,
	"WINDOWS-1250": charmap.Windows1250,
}

// decode returns the document in UTF-8 without a byte order mark: data itself where it is UTF-8 already.
func decode(data []byte) ([]byte, error) {
	switch {
	case bytes.HasPrefix(data, []byte{0xEF, 0xBB, 0xBF}):
		data = data[3:]
	case bytes.HasPrefix(data, []byte{0xFE, 0xFF}):
		return decodeUTF16(data[2:], true)
	case bytes.HasPrefix(data, []byte{0xFF, 0xFE}):
		return decodeUTF16(data[2:], false)
	case bytes.HasPrefix(data, []byte{0, '<', 0, '?'}):
		return decodeUTF16(data, true)
	case bytes.HasPrefix(data, []byte{'<', 0, '?', 0}):
		return decodeUTF16(data, false)
	}
	declared := strings.ToUpper(declaredEncoding(data))
	switch declared {
	case "", "UTF-8", "UTF8", "US-ASCII", "ASCII":
		if !utf8.Valid(data) {
			return nil, fmt.Errorf("the document is not valid UTF-8")
		}
		return data, nil
	}
	enc, ok := singleByte[declared]
	if !ok {
		return nil, fmt.Errorf("encoding %q is not supported", declared)
	}
	text, err := enc.NewDecoder().Bytes(data)
	if err != nil {
		return nil, fmt.Errorf("decode %s: %w", declared, err)
	}
	return text, nil
}

func decodeUTF16(data []byte, bigEndian bool) ([]byte, error) {
	if len(data)%2 != 0 {
		return nil, fmt.Errorf("UTF-16 document of an odd number of bytes")
	}
	unit := func(i int) rune {
		if bigEndian {
			return rune(data[i])<<8 | rune(data[i+1])
		}
		return rune(data[i+1])<<8 | rune(data[i])
	}
	out := make([]byte, 0, len(data))
	for i := 0; i < len(data); i += 2 {
		r := unit(i)
		if utf16.IsSurrogate(r) {
			if i+3 < len(data) {
				r = utf16.DecodeRune(r, unit(i+2))
			}
			if r == utf8.RuneError || utf16.IsSurrogate(r) {
				return nil, fmt.Errorf("UTF-16 document with a lone surrogate")
			}
			i += 2
		}
		out = utf8.AppendRune(out, r)
	}
	return out, nil
}

// declaredEncoding returns the encoding that the XML declaration names, or "". The declaration is
// checked in full by the parser later.
func declaredEncoding(data []byte) string {
	if !bytes.HasPrefix(data, []byte("<?xml")) {
		return ""
	}
	end := bytes.Index(data[:min(len(data), 256)], []byte("?>"))
	if end < 0 {
		return ""
	}
	_, rest, ok := bytes.Cut(data[:end], []byte("encoding"))
	rest = bytes.TrimLeft(rest, " \t\r\n=")
	if !ok || len(rest) < 2 || rest[0] != '"' && rest[0] != '\'' {
		return ""
	}
	value, _, ok := bytes.Cut(rest[1:], rest[:1])
	if !ok {
		return ""
	}
	return string(value)
}
