package certificate

import (
	"errors"
	"time"

	"golang.org/x/crypto/cryptobyte"
	"golang.org/x/crypto/cryptobyte/asn1"
)

var errTime = errors.New("malformed time")

// ReadTime reads a UTCTime or GeneralizedTime off the input, in every form that X.680 allows; the second result names
// the departure from RFC 5280 4.1.2.5, empty when there is none. The time is UTC.
func ReadTime(input *cryptobyte.String) (time.Time, Laxness, error) {
	var body cryptobyte.String
	var tag asn1.Tag
	if !input.ReadAnyASN1(&body, &tag) {
		return time.Time{}, "", errTime
	}
	switch tag {
	case asn1.UTCTime:
		return parseTime(body, 2)
	case asn1.GeneralizedTime:
		t, lax, err := parseTime(body, 4)
		if err == nil && lax == "" && t.Year() >= 1950 && t.Year() < 2050 {
			lax = UTCTimeNeeded
		}
		return t, lax, err
	}
	return time.Time{}, "", errTime
}

// parseTime reads YY or YYYY, MMDDHH and the optional rest: MM, SS, a fraction, Z or an offset.
func parseTime(s []byte, yearDigits int) (time.Time, Laxness, error) {
	p := digits{s: s}
	year := p.take(yearDigits)
	if yearDigits == 2 {
		if year += 1900; year < 1950 {
			year += 100
		}
	}
	month, day, hour := p.take(2), p.take(2), p.take(2)
	var lax Laxness
	minute, second := 0, 0
	if minute = p.optional(); minute < 0 {
		minute, lax = 0, BadTime
	} else if second = p.optional(); second < 0 {
		second, lax = 0, BadTime
	}
	nanos := 0
	if yearDigits == 4 && p.fraction(&nanos) {
		lax = FractionalTime
	}
	offset := 0
	switch {
	case len(p.s) == 1 && p.s[0] == 'Z':
	case len(p.s) == 5 && (p.s[0] == '+' || p.s[0] == '-'):
		sign := 1
		if p.s[0] == '-' {
			sign = -1
		}
		p.s = p.s[1:]
		h, m := p.take(2), p.take(2)
		if h > 23 || m > 59 {
			p.bad = true
		}
		offset, lax = sign*(h*3600+m*60), TimeOffset
	case len(p.s) == 0:
		lax = BadTime // local time: read as UTC
	default:
		p.bad = true
	}
	if p.bad || month < 1 || month > 12 || day < 1 || hour > 23 || minute > 59 || second > 59 ||
		day > daysIn(month, year) {
		return time.Time{}, "", errTime
	}
	t := time.Date(year, time.Month(month), day, hour, minute, second, nanos, time.UTC)
	return t.Add(-time.Duration(offset) * time.Second), lax, nil
}

func daysIn(month, year int) int {
	return time.Date(year, time.Month(month)+1, 0, 0, 0, 0, 0, time.UTC).Day()
}

// digits takes decimal digits off the front of a string and remembers whether one was missing.
type digits struct {
	s   []byte
	bad bool
}

func (d *digits) take(n int) int {
	if len(d.s) < n {
		d.bad = true
		return 0
	}
	v := 0
	for _, c := range d.s[:n] {
		if c < '0' || c > '9' {
			d.bad = true
			return 0
		}
		v = v*10 + int(c-'0')
	}
	d.s = d.s[n:]
	return v
}

// optional takes two digits, or returns -1 when no digit is next.
func (d *digits) optional() int {
	if len(d.s) == 0 || d.s[0] < '0' || d.s[0] > '9' {
		return -1
	}
	return d.take(2)
}

// fraction takes a fraction of a second down to nanoseconds.
func (d *digits) fraction(nanos *int) bool {
	if len(d.s) < 2 || d.s[0] != '.' && d.s[0] != ',' {
		return false
	}
	d.s = d.s[1:]
	if d.s[0] < '0' || d.s[0] > '9' {
		d.bad = true
		return false
	}
	for scale := 100_000_000; len(d.s) > 0 && d.s[0] >= '0' && d.s[0] <= '9'; d.s = d.s[1:] {
		*nanos += int(d.s[0]-'0') * scale
		scale /= 10
	}
	return true
}
