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

// singleByte are the encodings besides UTF-8 and UTF-16 that documents occur in, by the names of the IANA registry
// and the aliases that writers use, in upper case.
var singleByte = map[string]encoding.Encoding{
	"ISO-8859-1": charmap.ISO8859_1, "ISO8859-1": charmap.ISO8859_1, "ISO8859_1": charmap.ISO8859_1, "LATIN1": charmap.ISO8859_1,
	"ISO-8859-2": charmap.ISO8859_2, "ISO8859-2": charmap.ISO8859_2, "ISO8859_2": charmap.ISO8859_2, "LATIN2": charmap.ISO8859_2,
	"ISO-8859-3": charmap.ISO8859_3, "LATIN3": charmap.ISO8859_3, "ISO-8859-4": charmap.ISO8859_4, "LATIN4": charmap.ISO8859_4,
	"ISO-8859-5": charmap.ISO8859_5, "ISO-8859-6": charmap.ISO8859_6, "ISO-8859-7": charmap.ISO8859_7, "ISO-8859-8": charmap.ISO8859_8,
	"ISO-8859-9": charmap.ISO8859_9, "LATIN5": charmap.ISO8859_9, "ISO-8859-10": charmap.ISO8859_10, "LATIN6": charmap.ISO8859_10,
	"ISO-8859-13": charmap.ISO8859_13, "ISO-8859-14": charmap.ISO8859_14, "ISO-8859-15": charmap.ISO8859_15, "LATIN-9": charmap.ISO8859_15,
	"ISO-8859-16": charmap.ISO8859_16, "WINDOWS-874": charmap.Windows874, "MACINTOSH": charmap.Macintosh,
	"WINDOWS-1250": charmap.Windows1250, "CP1250": charmap.Windows1250, "WINDOWS-1251": charmap.Windows1251, "CP1251": charmap.Windows1251,
	"WINDOWS-1252": charmap.Windows1252, "CP1252": charmap.Windows1252, "WINDOWS-1253": charmap.Windows1253, "CP1253": charmap.Windows1253,
	"WINDOWS-1254": charmap.Windows1254, "CP1254": charmap.Windows1254, "WINDOWS-1255": charmap.Windows1255, "CP1255": charmap.Windows1255,
	"WINDOWS-1256": charmap.Windows1256, "CP1256": charmap.Windows1256, "WINDOWS-1257": charmap.Windows1257, "CP1257": charmap.Windows1257,
	"WINDOWS-1258": charmap.Windows1258, "CP1258": charmap.Windows1258, "KOI8-R": charmap.KOI8R, "KOI8-U": charmap.KOI8U,
	"IBM437": charmap.CodePage437, "CP437": charmap.CodePage437, "IBM850": charmap.CodePage850, "CP850": charmap.CodePage850,
	"IBM852": charmap.CodePage852, "CP852": charmap.CodePage852, "IBM855": charmap.CodePage855, "CP855": charmap.CodePage855,
	"IBM866": charmap.CodePage866, "CP866": charmap.CodePage866,
}

// decode returns the document in UTF-8 without a byte order mark: data itself where it is UTF-8 already, else a copy.
func decode(data []byte) (text []byte, copied bool, err error) {
	switch {
	case bytes.HasPrefix(data, []byte{0xEF, 0xBB, 0xBF}):
		data = data[3:]
	case bytes.HasPrefix(data, []byte{0xFE, 0xFF}):
		text, err = decodeUTF16(data[2:], true)
		return text, true, err
	case bytes.HasPrefix(data, []byte{0xFF, 0xFE}):
		text, err = decodeUTF16(data[2:], false)
		return text, true, err
	case bytes.HasPrefix(data, []byte{0, '<', 0, '?'}):
		text, err = decodeUTF16(data, true)
		return text, true, err
	case bytes.HasPrefix(data, []byte{'<', 0, '?', 0}):
		text, err = decodeUTF16(data, false)
		return text, true, err
	}
	switch declared := strings.ToUpper(declaredEncoding(data)); declared {
	case "", "UTF-8", "UTF8", "US-ASCII", "ASCII":
		if !utf8.Valid(data) {
			return nil, false, fmt.Errorf("the document is not valid UTF-8")
		}
		return data, false, nil
	default:
		text, err = decodeSingleByte(data, declared)
		return text, true, err
	}
}

// decodeSingleByte refuses octets that the encoding gives no meaning: all of them would become one character, and
// another document be signed alike.
func decodeSingleByte(data []byte, declared string) ([]byte, error) {
	enc, ok := singleByte[declared]
	if !ok {
		return nil, fmt.Errorf("encoding %q is not supported", declared)
	}
	text, err := enc.NewDecoder().Bytes(data)
	if err != nil {
		return nil, fmt.Errorf("decode %s: %w", declared, err)
	}
	if bytes.ContainsRune(text, utf8.RuneError) {
		return nil, fmt.Errorf("the document holds an octet that has no meaning in %s", declared)
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
