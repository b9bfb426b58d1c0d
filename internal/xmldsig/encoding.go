package xmldsig

import (
	"bytes"
	"fmt"
	"strings"
	"unicode/utf16"
	"unicode/utf8"

	"golang.org/x/text/encoding"
	"golang.org/x/text/encoding/charmap"
	"golang.org/x/text/encoding/ianaindex"
	"golang.org/x/text/encoding/japanese"
	"golang.org/x/text/encoding/korean"
	"golang.org/x/text/encoding/simplifiedchinese"
)

// aliases are names that writers use beside those of the IANA registry, in upper case.
var aliases = map[string]string{
	"UTF8": "UTF-8", "MACROMAN": "MACINTOSH", "LATIN-9": "ISO-8859-15",
	"TIS-620": "WINDOWS-874", "TIS620": "WINDOWS-874", "SJIS": "SHIFT_JIS", "EUCJP": "EUC-JP", "EUC_JP": "EUC-JP",
	"CP936": "GBK", "CP949": "EUC-KR", "CP950": "BIG5", "EUCKR": "EUC-KR", "EUC_KR": "EUC-KR", "BIG-5": "BIG5",
}

// beside are encodings that the index of IANA's names does not lead to: supersets under names of their own.
var beside = map[string]encoding.Encoding{
	"WINDOWS-31J": japanese.ShiftJIS, "CP932": japanese.ShiftJIS, "WINDOWS-949": korean.EUCKR,
	"KS_C_5601-1987": korean.EUCKR, "GB2312": simplifiedchinese.GBK,
}

// A decoder reads documents of one encoding.
type decoder struct {
	encoding.Encoding
	controls bool // the encoding has octets for the controls U+0080 to U+009F
}

// encodingByName finds the encoding of a name of the IANA registry or of a code page (CP852). Stateful ones, whose
// octets mean something else after an escape (ISO-2022, HZ, UTF-7), are not read: what one reader takes for markup,
// another takes for text.
func encodingByName(name string) (decoder, bool) {
	upper := strings.ToUpper(name)
	if plain, ok := aliases[upper]; ok {
		upper = plain
	}
	candidates := []string{upper}
	if number, ok := strings.CutPrefix(upper, "CP"); ok {
		candidates = append(candidates, "WINDOWS-"+strings.TrimLeft(number, "0"), "IBM"+number, "IBM00"+number)
	}
	if number, ok := strings.CutPrefix(strings.ReplaceAll(upper, "_", "-"), "ISO8859-"); ok {
		candidates = append(candidates, "ISO-8859-"+number)
	}
	for _, candidate := range candidates {
		if e, ok := beside[candidate]; ok {
			return decoder{Encoding: e}, true
		}
		e, err := ianaindex.IANA.Encoding(candidate)
		if err != nil || e == nil {
			continue
		}
		if e == encoding.Encoding(japanese.ISO2022JP) || e == encoding.Encoding(simplifiedchinese.HZGB2312) {
			return decoder{}, false
		}
		return decoder{e, hasControls(e)}, true
	}
	return decoder{}, false
}

// hasControls tells of the ISO 8859 parts, EBCDIC and GB 18030. In other encodings the octets that the decoder turns
// into such controls have no meaning.
func hasControls(e encoding.Encoding) bool {
	name, err := ianaindex.IANA.Name(e)
	part := err == nil && (strings.HasPrefix(name, "ISO_8859") || strings.HasPrefix(name, "ISO-8859"))
	return part || isEBCDIC(e) || e == encoding.Encoding(simplifiedchinese.GB18030)
}

func isEBCDIC(e encoding.Encoding) bool {
	return e == encoding.Encoding(charmap.CodePage037) || e == encoding.Encoding(charmap.CodePage1047) || e == encoding.Encoding(charmap.CodePage1140)
}

// ebcdicXML is "<?xml" in EBCDIC (XML 1.0, appendix F).
var ebcdicXML = []byte{0x4C, 0x6F, 0xA7, 0x94, 0x93}

// decode returns the document in UTF-8 without a byte order mark: data itself, not looked at, where that is to be UTF-8
// already, else a copy. A
// byte order mark and the encoding declaration must agree (XML 1.0, 4.3.3): readers differ in which of them they believe.
func decode(data []byte) (text []byte, copied bool, err error) {
	switch {
	case bytes.HasPrefix(data, []byte{0xEF, 0xBB, 0xBF}):
		return data[3:], false, agrees(data[3:], "UTF-8")
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
	case bytes.HasPrefix(data, ebcdicXML):
		text, err = decodeEBCDIC(data)
		return text, true, err
	}
	declared := declaredEncoding(data)
	switch name := strings.ToUpper(declared); name {
	case "", "UTF-8", "UTF8":
		return data, false, nil
	case "US-ASCII", "ASCII":
		return data, false, isASCII(data, name)
	}
	text, err = decodeOctets(data, declared)
	return text, true, err
}

func isASCII(data []byte, declared string) error {
	for _, c := range data {
		if c >= utf8.RuneSelf {
			return fmt.Errorf("the document holds an octet that has no meaning in %s", declared)
		}
	}
	return nil
}

// agrees tells that the declaration of a document names none of the encodings that it is not in.
func agrees(text []byte, family string) error {
	declared := declaredEncoding(text)
	if name := strings.ToUpper(declared); declared != "" && name != strings.ReplaceAll(family, "-", "") && !strings.HasPrefix(name, family) {
		return fmt.Errorf("the document is in %s, and declares %q", family, declared)
	}
	return nil
}

func decodeEBCDIC(data []byte) ([]byte, error) {
	head, err := charmap.CodePage037.NewDecoder().Bytes(data[:min(len(data), maxDeclaration)])
	if err != nil {
		return nil, fmt.Errorf("decode the XML declaration: %w", err)
	}
	return decodeOctets(data, declaredEncoding(head))
}

// decodeOctets refuses octets that the encoding gives no meaning: all of them would become one character, and another
// document be signed alike. The declaration, read in the encoding that it names, must name it again.
func decodeOctets(data []byte, declared string) ([]byte, error) {
	enc, ok := encodingByName(declared)
	if !ok {
		return nil, fmt.Errorf("encoding %q is not supported", declared)
	}
	text, err := enc.NewDecoder().Bytes(data)
	if err != nil {
		return nil, fmt.Errorf("decode %s: %w", declared, err)
	}
	if bytes.ContainsRune(text, utf8.RuneError) || !enc.controls && holdsControls(text) {
		return nil, fmt.Errorf("the document holds an octet that has no meaning in %s", declared)
	}
	if declaredEncoding(text) != declared {
		return nil, fmt.Errorf("the document is not in the encoding %q that it declares", declared)
	}
	return text, nil
}

// holdsControls looks for U+0080 to U+009F.
func holdsControls(text []byte) bool {
	for {
		i := bytes.IndexByte(text, 0xC2)
		if i < 0 || i+1 >= len(text) {
			return false
		}
		if text[i+1] < 0xA0 {
			return true
		}
		text = text[i+2:]
	}
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
	return out, agrees(out, "UTF-16")
}

// maxDeclaration bounds the XML declaration in octets.
const maxDeclaration = 256

// declaredEncoding returns the encoding that the XML declaration names, or "". The declaration is
// checked in full by the parser later.
func declaredEncoding(data []byte) string {
	if !bytes.HasPrefix(data, []byte("<?xml")) {
		return ""
	}
	end := bytes.Index(data[:min(len(data), maxDeclaration)], []byte("?>"))
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
