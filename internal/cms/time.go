package cms

import (
	"errors"
	"fmt"
	"time"
)

// SigningTime is the signing-time attribute in UTC, zero when absent.
func (si *SignerInfo) SigningTime() (time.Time, error) {
	a := si.Signed(OIDSigningTime)
	if a == nil {
		return time.Time{}, nil
	}
	if len(a.Values) != 1 {
		return time.Time{}, fmt.Errorf("signing-time: %d values", len(a.Values))
	}
	r := newReader(a.Values[0])
	e, err := r.next()
	if err != nil {
		return time.Time{}, fmt.Errorf("signing-time: %w", err)
	}
	t, err := readTime(e)
	if err != nil {
		return time.Time{}, fmt.Errorf("signing-time: %w", err)
	}
	return t, nil
}

// readTime reads UTCTime or GeneralizedTime. BER is taken: seconds may be absent, a fraction after a
// point or comma, a zone other than Z.
func readTime(e Element) (time.Time, error) {
	switch e.Tag {
	case tagUTCTime:
		s := string(e.Content)
		if len(s) < 11 || len(s) > 17 {
			return time.Time{}, errors.New("UTCTime of a strange length")
		}
		century := "20"
		if s[0] >= '5' {
			century = "19"
		}
		return generalizedTime(century + s)
	case tagGeneralizedTime:
		return generalizedTime(string(e.Content))
	}
	return time.Time{}, fmt.Errorf("time with tag %#02x", e.Tag)
}

// maxTimeLength bounds the text of a time: more fraction digits than nine say nothing.
const maxTimeLength = 40

func generalizedTime(s string) (time.Time, error) {
	if len(s) > maxTimeLength {
		return time.Time{}, errors.New("time of a strange length")
	}
	for _, layout := range [...]string{"20060102150405Z", "20060102150405.999999999Z", "20060102150405Z0700",
		"20060102150405.999999999Z0700", "200601021504Z", "200601021504Z0700"} {
		if t, err := time.Parse(layout, s); err == nil {
			return t.UTC(), nil
		}
	}
	return time.Time{}, fmt.Errorf("time %q cannot be read", s)
}
