package xades

import (
	"strings"
	"testing"
	"time"
)

func TestDateTime(t *testing.T) {
	for text, want := range map[string]string{
		"2026-03-01T24:00:00Z": "2026-03-02T00:00:00Z", "2026-12-31T24:00:00.00-02:00": "2027-01-01T02:00:00Z",
		"2026-02-28T24:00:00": "2026-03-01T00:00:00Z", "2026-03-01T12:00:00.5+01:00": "2026-03-01T11:00:00.5Z",
		" 2024-02-29T00:00:00Z\n": "2024-02-29T00:00:00Z", "2026-03-01T12:00:00.1234567890123Z": "2026-03-01T12:00:00.123456789Z",
		"2026-03-01T12:00:00+14:00": "2026-02-28T22:00:00Z", "2026-03-01T12:00:00-00:00": "2026-03-01T12:00:00Z",
		"12026-03-01T12:00:00Z": "12026-03-01T12:00:00Z", "0000-03-01T12:00:00Z": "0000-03-01T12:00:00Z",
		"-0044-03-15T12:00:00Z": "-0044-03-15T12:00:00Z",

		"2026-03-01T24:00:01Z": "", "2026-03-01T24:01:00Z": "", "2026-03-01T24:00:00.1Z": "", "2026-03-01T25:00:00Z": "", "24:00:00": "",
		"2026-03-01T12:00:60Z": "", "2026-02-29T12:00:00Z": "", "2026-00-01T12:00:00Z": "", "2026-13-01T12:00:00Z": "", "2026-04-31T12:00:00Z": "",
		"2026-03-00T12:00:00Z": "", "2026-03-01T12:60:00Z": "", "2026-03-01T12:00Z": "", "2026-03-01t12:00:00Z": "", "2026-03-01T12:00:00z": "",
		"2026-03-01T12:00:00,5Z": "", "2026-03-01T12:00:00.Z": "", "2026-03-01T12:00:00+14:01": "", "2026-03-01T12:00:00+01:60": "",
		"2026-03-01T12:00:00+1:00": "", "2026-03-01T12:00:00+0100": "", "2026-03-01T1:00:00Z": "", "+2026-03-01T12:00:00Z": "",
		"02026-03-01T12:00:00Z": "", "226-03-01T12:00:00Z": "", "2026-03-01 12:00:00Z": "", "2026-03-01": "", "": "", "2026-03-01T12:00:00ZZ": "",
		"99999999999999999999-01-01T00:00:00Z": "", "٢٠٢٦-03-01T12:00:00Z": "",
	} {
		at, _, err := parseDateTime(text)
		if err == nil != (want != "") || err == nil && at.Format(time.RFC3339Nano) != want {
			t.Errorf("%q: %v, %v", text, at, err)
		}
	}
}

// TestSigningTime: what stands in a report is what was signed, and a guess is said to be one.
func TestSigningTime(t *testing.T) {
	signer := officer(t)
	for text, want := range map[string]struct{ time, note, structure string }{
		"2026-11-23T24:00:00Z":  {"2026-11-24T00:00:00Z", "", ""},
		"2026-11-23T12:00:00":   {"2026-11-23T12:00:00Z", "no time zone", ""},
		"12026-11-23T12:00:00Z": {"0001-01-01T00:00:00Z", "beyond the years", ""},
		"9999-12-31T24:00:00Z":  {"0001-01-01T00:00:00Z", "beyond the years", ""},
		"2026-11-23":            {"0001-01-01T00:00:00Z", "", "no xs:dateTime"},
	} {
		m := basic(signer)
		got := mustOpen(t, complete(t, strings.Replace(m.text(), "2026-11-23T12:00:00+01:00", text, 1), nil, signer))[0]
		notes, structure := strings.Join(got.Notes, "; "), strings.Join(got.Structure, "; ")
		if got.SigningTime.Format(time.RFC3339) != want.time || !strings.Contains(notes, want.note) || want.note == "" && notes != "" {
			t.Errorf("%s: %v, notes %q", text, got.SigningTime, notes)
		}
		if !strings.Contains(structure, want.structure) || want.structure == "" && structure != "" {
			t.Errorf("%s: structure %q", text, structure)
		}
	}
}
