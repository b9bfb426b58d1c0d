package pdf

import (
	"regexp"
	"strconv"
	"testing"
	"time"
)

func TestDate(t *testing.T) {
	at := func(text string) time.Time {
		u, err := time.Parse(time.RFC3339, text)
		if err != nil {
			t.Fatal(err)
		}
		return u
	}
	for text, want := range map[string]time.Time{
		"D:20260301120000Z":       at("2026-03-01T12:00:00Z"),
		"D:20260301120000Z00'00'": at("2026-03-01T12:00:00Z"),
		"D:20260301120000+01'30'": at("2026-03-01T10:30:00Z"),
		"D:20260301120000-0130":   at("2026-03-01T13:30:00Z"),
		"D:20260301120000+01'00":  at("2026-03-01T11:00:00Z"),
		"20260301":                at("2026-03-01T00:00:00Z"),
		"D:2026":                  at("2026-01-01T00:00:00Z"),
		"2026-03-01T12:00:00Z":    {},
		"D:2026-03-01":            {},
		"D:199812231952-08'00'":   at("1998-12-24T03:52:00Z"),
		"2026-03":                 {}, // a month is no zone
		"D:2026-0301":             {},
		"D:202603-01":             {},
		"D:20260301-12":           {},
		"D:2026Z":                 {},
		"D:20260301120000+99'00'": {},
		"D:20260301120000+01'60'": {},
		"D:20260301120060Z":       {},
		"D:20260301T120000Z":      {},
		"D:20260301 120000":       {},
		"D:20260301120000.5Z":     {},
		"D:20260301120000Z01'00'": {},
		"D:20260231":              {},
		"D:20261301":              {},
		"D:20260301250000Z":       {},
		"D:20260301120000Z, noon": {},
		"":                        {},
	} {
		if got := date(text); !got.Equal(want) {
			t.Errorf("%q is %v, want %v", text, got, want)
		}
	}
}

// datePattern is the syntax of a date: groups for year to second, then sign, hours and minutes of the zone, which only a
// time has.
var datePattern = regexp.MustCompile(`^(?:D:)?([0-9]{4})(?:([0-9]{2})(?:([0-9]{2})(?:([0-9]{2})(?:([0-9]{2})([0-9]{2})?` +
	`(?:Z(?:00'?(?:00'?)?)?|([+-])([0-9]{2})'?(?:([0-9]{2})'?)?)?)?)?)?)?$`)

func FuzzDate(f *testing.F) {
	for _, seed := range []string{"D:20260301120000+01'30'", "D:202603011200Z00'00'", "20260301120000Z00'0", "D:20260301120000Z'", "D:20260301120000-01'",
		"D:20260301120000+01'30''", "D:20260301120000+01'3", "D:2026030112000", "D:D:2026", "202603011200+0130", "2026030112+0130"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		if got, want := date(text), dateByPattern(text); !got.Equal(want) {
			t.Errorf("%q is %v, by the pattern %v", text, got, want)
		}
	})
}

func dateByPattern(text string) time.Time {
	m := datePattern.FindStringSubmatch(text)
	if m == nil {
		return time.Time{}
	}
	at := func(i, preset int) int {
		if n, err := strconv.Atoi(m[i]); err == nil {
			return n
		}
		return preset
	}
	month, day := time.Month(at(2, 1)), at(3, 1)
	t := time.Date(at(1, 0), month, day, at(4, 0), at(5, 0), at(6, 0), 0, time.UTC)
	if t.Month() != month || t.Day() != day || at(4, 0) > 23 || at(5, 0) > 59 || at(6, 0) > 59 || at(8, 0) > 23 || at(9, 0) > 59 {
		return time.Time{}
	}
	east := time.Duration(at(8, 0))*time.Hour + time.Duration(at(9, 0))*time.Minute
	if m[7] == "-" {
		east = -east
	}
	return t.Add(-east)
}

// What cannot be deciphered is no text.
func TestSealedText(t *testing.T) {
	for name, args := range map[string][]string{
		"AES 256": {"--encrypt", "secret", "x", "256", "--"},
		"RC4":     {"--allow-weak-crypto", "--encrypt", "secret", "x", "40", "--"},
	} {
		d := mustOpen(t, variant(t, args...))
		if title := d.Text(d.Dict(d.trailer["Info"])["Title"]); title != "" {
			t.Errorf("%s: title %q", name, title)
		}
	}
}
