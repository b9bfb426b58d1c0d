package pdf

import (
	"strings"
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
// What is no such date is the zero time: half of it would be another date, as the month of "2026-03" is no zone. Some
// producers leave out the prefix or the apostrophes.
func date(s string) time.Time {
	r := dateReader{rest: strings.TrimPrefix(s, "D:")}
	year, ok := r.number(4)
	if !ok {
		return time.Time{}
	}
	fields := [...]int{1, 1, 0, 0, 0} // month, day, hour, minute, second
	read := 0
	for ; read < len(fields); read++ {
		n, ok := r.number(2)
		if !ok {
			break
		}
		fields[read] = n
	}
	const minute = 4 // fields from which on there is a zone
	var east time.Duration
	if read >= minute {
		if east, ok = r.zone(); !ok {
			return time.Time{}
		}
	}
	if r.rest != "" {
		return time.Time{}
	}
	month, day := time.Month(fields[0]), fields[1]
	t := time.Date(year, month, day, fields[2], fields[3], fields[4], 0, time.UTC)
	if t.Month() != month || t.Day() != day || fields[2] > 23 || fields[3] > 59 || fields[4] > 59 {
		return time.Time{}
	}
	return t.Add(-east)
}

// dateReader takes a date apart.
type dateReader struct{ rest string }

// number reads so many digits.
func (r *dateReader) number(digits int) (n int, ok bool) {
	if len(r.rest) < digits {
		return 0, false
	}
	for i := range digits {
		if !isDigit(r.rest[i]) {
			return 0, false
		}
		n = n*10 + int(r.rest[i]-'0')
	}
	r.rest = r.rest[digits:]
	return n, true
}

// quoted reads two digits, and an apostrophe behind them.
func (r *dateReader) quoted() (n int, ok bool) {
	if n, ok = r.number(2); ok {
		r.rest = strings.TrimPrefix(r.rest, "'")
	}
	return n, ok
}

// zone reads how far east of Greenwich the clock is: Z, with or without zeros, or a sign with hours and minutes.
func (r *dateReader) zone() (east time.Duration, ok bool) {
	if r.rest == "" {
		return 0, true
	}
	sign := r.rest[0]
	r.rest = r.rest[1:]
	if sign != 'Z' && sign != '+' && sign != '-' {
		return 0, false
	}
	hours, ok := r.quoted()
	if !ok {
		return 0, sign == 'Z'
	}
	minutes, _ := r.quoted()
	if hours > 23 || minutes > 59 || sign == 'Z' && hours+minutes > 0 {
		return 0, false
	}
	east = time.Duration(hours)*time.Hour + time.Duration(minutes)*time.Minute
	if sign == '-' {
		east = -east
	}
	return east, true
}

// dateString writes a date in UTC.
func dateString(t time.Time) String {
	return String{Value: []byte(t.UTC().Format("D:20060102150405Z")), Start: -1, End: -1}
}
