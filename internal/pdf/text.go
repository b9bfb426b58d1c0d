package pdf

import (
	"time"
	"unicode/utf16"
	"unicode/utf8"
)

// text turns a text string into UTF-8: UTF-16 or UTF-8 with a byte order mark, else PDFDocEncoding,
// of which the part beyond Latin-1 is rare in signatures and comes out as Latin-1.
func text(b []byte) string {
	switch {
	case len(b) >= 2 && b[0] == 0xfe && b[1] == 0xff:
		return utf16Text(b[2:], 0, 1)
	case len(b) >= 2 && b[0] == 0xff && b[1] == 0xfe:
		return utf16Text(b[2:], 1, 0)
	case len(b) >= 3 && b[0] == 0xef && b[1] == 0xbb && b[2] == 0xbf && utf8.Valid(b[3:]):
		return string(b[3:])
	}
	out := make([]rune, len(b))
	for i, c := range b {
		out[i] = rune(c)
	}
	return string(out)
}

func utf16Text(b []byte, hi, lo int) string {
	units := make([]uint16, len(b)/2)
	for i := range units {
		units[i] = uint16(b[2*i+hi])<<8 | uint16(b[2*i+lo])
	}
	return string(utf16.Decode(units))
}

// textString makes a text string object, in UTF-16 where ASCII does not suffice.
func textString(s string) String {
	ascii := true
	for i := range len(s) {
		if s[i] >= 0x80 {
			ascii = false
		}
	}
	if ascii {
		return String{Value: []byte(s), Start: -1, End: -1}
	}
	out := []byte{0xfe, 0xff}
	for _, u := range utf16.Encode([]rune(s)) {
		out = append(out, byte(u>>8), byte(u))
	}
	return Bytes(out)
}

// date reads "D:YYYYMMDDHHmmSSOHH'mm'" (ISO 32000-2 7.9.4), in UTC, or the zero time. What is missing
// at the end has its least value.
func date(s string) time.Time {
	if len(s) >= 2 && s[:2] == "D:" {
		s = s[2:]
	}
	field := func(n, preset int) int {
		if len(s) < n {
			return preset
		}
		v := 0
		for i := range n {
			if !isDigit(s[i]) {
				return preset
			}
			v = v*10 + int(s[i]-'0')
		}
		s = s[n:]
		return v
	}
	year := field(4, 0)
	if year == 0 {
		return time.Time{}
	}
	t := time.Date(year, time.Month(field(2, 1)), field(2, 1), field(2, 0), field(2, 0), field(2, 0), 0, time.UTC)
	if len(s) < 3 || s[0] != '+' && s[0] != '-' {
		return t
	}
	sign := time.Duration(1)
	if s[0] == '+' {
		sign = -1
	}
	s = s[1:]
	hours := field(2, 0)
	if len(s) > 0 && s[0] == '\'' {
		s = s[1:]
	}
	return t.Add(sign * (time.Duration(hours)*time.Hour + time.Duration(field(2, 0))*time.Minute))
}

// dateString writes a date in UTC.
func dateString(t time.Time) String {
	return String{Value: []byte(t.UTC().Format("D:20060102150405Z")), Start: -1, End: -1}
}
