package pdf

import (
	"regexp"
	"strconv"
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

// date reads "D:YYYYMMDDHHmmSSOHH'mm" (ISO 32000-2 7.9.4), in UTC. What is missing at the end has its least value.
// What is no such date is the zero time: half of it would be another date, as the month of "2026-03" is no zone.
func date(s string) time.Time {
	m := datePattern.FindStringSubmatch(s)
	if m == nil {
		return time.Time{}
	}
	field := func(i, preset int) int {
		if n, err := strconv.Atoi(m[i]); err == nil {
			return n
		}
		return preset
	}
	month, day := time.Month(field(2, 1)), field(3, 1)
	t := time.Date(field(1, 0), month, day, field(4, 0), field(5, 0), field(6, 0), 0, time.UTC)
	if t.Month() != month || t.Day() != day || field(4, 0) > 23 || field(5, 0) > 59 || field(6, 0) > 59 {
		return time.Time{}
	}
	if field(8, 0) > 23 || field(9, 0) > 59 {
		return time.Time{}
	}
	zone := time.Duration(field(8, 0))*time.Hour + time.Duration(field(9, 0))*time.Minute
	if m[7] == "+" {
		zone = -zone
	}
	return t.Add(zone)
}

// datePattern has groups for year to second, then sign, hours and minutes of the zone, which only a time has. Some
// producers leave out the prefix or the apostrophes.
var datePattern = regexp.MustCompile(`^(?:D:)?([0-9]{4})(?:([0-9]{2})(?:([0-9]{2})(?:([0-9]{2})(?:([0-9]{2})([0-9]{2})?` +
	`(?:Z(?:00'?(?:00'?)?)?|([+-])([0-9]{2})'?(?:([0-9]{2})'?)?)?)?)?)?)?$`)

// dateString writes a date in UTC.
func dateString(t time.Time) String {
	return String{Value: []byte(t.UTC().Format("D:20060102150405Z")), Start: -1, End: -1}
}
