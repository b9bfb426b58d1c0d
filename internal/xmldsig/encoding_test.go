package xmldsig

import (
	"strings"
	"testing"

	"golang.org/x/text/encoding/charmap"
)

// declaring is a document that declares an encoding.
func declaring(name, content string) []byte {
	return []byte(`<?xml version="1.0" encoding="` + name + `"?><a>` + content + `</a>`)
}

// TestEncodingNames reads one character in each family of encodings, by names of the IANA registry and of code pages.
func TestEncodingNames(t *testing.T) {
	for name, c := range map[string][2]string{
		"ISO-8859-1": {"\xe9", "é"}, "latin1": {"\xe9", "é"}, "l2": {"\xb1", "ą"}, "csISOLatin2": {"\xb1", "ą"}, "ISO8859-2": {"\xb1", "ą"},
		"iso-ir-100": {"\xe9", "é"}, "ISO-8859-13": {"\xe0", "ą"}, "windows-1250": {"\xb9", "ą"}, "Cp1250": {"\xb9", "ą"}, "CP1257": {"\xe0", "ą"},
		"CP852": {"\xa5", "ą"}, "IBM852": {"\xa5", "ą"}, "cp858": {"\xd5", "€"}, "KOI8-U": {"\xa4", "є"}, "CP874": {"\xa1", "ก"},
		"macintosh": {"\x8e", "é"}, "Shift_JIS": {"\x82\xa0", "あ"}, "windows-31j": {"\x82\xa0", "あ"}, "EUC-JP": {"\xa4\xa2", "あ"},
		"GBK": {"\xc4\xe3", "你"}, "GB18030": {"\x81\x35\xf4\x37", "ḿ"}, "Big5": {"\xa7\x41", "你"}, "EUC-KR": {"\xb0\xa1", "가"},
		"CP949": {"\xb0\xa1", "가"}, "US-ASCII": {"e", "e"}, "UTF-8": {"ą", "ą"},
	} {
		d, err := Parse(declaring(name, c[0]), Limits{})
		if err != nil || d.Root().Text() != c[1] {
			t.Errorf("%s: %v, want %q", name, err, c[1])
		}
	}
}

// TestControls: ISO-8859-1 is not windows-1252, whatever browsers do.
func TestControls(t *testing.T) {
	d, err := Parse(declaring("ISO-8859-1", "\x80"), Limits{})
	if err != nil || d.Root().Text() != "\u0080" {
		t.Errorf("0x80 of ISO-8859-1: %v", err)
	}
}

// TestUndecodable: octets without a meaning, stateful encodings, and marks that contradict the declaration.
func TestUndecodable(t *testing.T) {
	for name, c := range map[string]struct {
		data []byte
		want string
	}{
		"octet of windows-1252":    {declaring("windows-1252", "\x81"), "has no meaning"},
		"octet of ISO-8859-7":      {declaring("ISO-8859-7", "\xae"), "has no meaning"},
		"octet of ASCII":           {declaring("US-ASCII", "ą"), "has no meaning"},
		"control of Shift_JIS":     {declaring("Shift_JIS", "\x80"), "has no meaning"},
		"half of a character":      {declaring("Big5", "\xa7"), "has no meaning"},
		"bad trail octet":          {declaring("EUC-KR", "\xb0 "), "has no meaning"},
		"ISO-2022-JP":              {declaring("ISO-2022-JP", "\x1b$B$\"\x1b(B"), "not supported"},
		"csISO2022JP":              {declaring("csISO2022JP", "a"), "not supported"},
		"ISO-2022-KR":              {declaring("ISO-2022-KR", "a"), "not supported"},
		"HZ-GB-2312":               {declaring("HZ-GB-2312", "~{Dc~}"), "not supported"},
		"UTF-7":                    {declaring("UTF-7", "+ADw-b/+AD4-"), "not supported"},
		"replacement":              {declaring("replacement", "a"), "not supported"},
		"EBCDIC declared in ASCII": {declaring("IBM037", "a"), "is not in the encoding"},
		"UTF-16 declared in ASCII": {declaring("UTF-16", "a "), "UTF-16"},
		"mark and declaration":     {append([]byte("\xEF\xBB\xBF"), declaring("ISO-8859-1", "ą")...), "is in UTF-8"},
		"UTF-16 that says UTF-8":   {utf16Octets(declaring("UTF-8", "a")), "is in UTF-16"},
	} {
		if _, err := Parse(c.data, Limits{}); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v, want %q", name, err, c.want)
		}
	}
}

func utf16Octets(ascii []byte) []byte {
	out := []byte{0xFE, 0xFF}
	for _, c := range ascii {
		out = append(out, 0, c)
	}
	return out
}

func TestEBCDIC(t *testing.T) {
	for name, page := range map[string]*charmap.Charmap{"IBM037": charmap.CodePage037, "CP1047": charmap.CodePage1047} {
		data, err := page.NewEncoder().Bytes(declaring(name, "[x]"))
		if err != nil {
			t.Fatal(err)
		}
		d, err := Parse(data, Limits{})
		if err != nil || d.Root().Text() != "[x]" {
			t.Errorf("%s: %v", name, err)
		}
	}
}
