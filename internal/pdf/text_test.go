package pdf

import (
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
