package seal_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"trustcore/hsm/seal"
	"trustcore/internal/pdf"
)

// TestVisibleSeal: people read on the page, in Polish letters, who sealed; programs read a whole file and a valid
// signature.
func TestVisibleSeal(t *testing.T) {
	s := newSealer(t)
	s.by = s.Sealer(s.Signer(t, "P-256", "Urząd Miejski w Źdźbłowie"))
	options := seal.Options{Format: seal.FormatPAdES, Level: seal.LevelLTA, Time: time.Now(), TSA: s.tsa,
		Collect: s.collect,
		Reason:  "Zaświadczenie <> (o) niezaleganiu", Visible: &pdf.Appearance{Page: 1, X: 10, Y: 20, Width: 180,
			Height: 60}}
	sealed, err := seal.Seal(t.Context(), []seal.Document{{Content: pdfDocument()}}, s.by, options)
	if err != nil {
		t.Fatal(err)
	}
	file := save(t, "visible.pdf", sealed)
	text := filepath.Join(t.TempDir(), "text")
	run(t, "pdftotext", "-layout", file, text)
	shown, err := os.ReadFile(text)
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"Urząd Miejski w Źdźbłowie", "Zaświadczenie <> (o) niezaleganiu",
		options.Time.Format("2006-01-02 15:04:05")} {
		if !strings.Contains(string(shown), want) {
			t.Errorf("the page shows\n%s\nwithout %q", shown, want)
		}
	}
	if report := run(t, "qpdf", "--check", file); strings.Contains(report, "WARNING") {
		t.Errorf("qpdf says\n%s", report)
	}
	if report := run(t, "pdfsig", "-nocert", file); !strings.Contains(report, "Signature is Valid") {
		t.Errorf("pdfsig says\n%s", report)
	}
	fields, err := must(pdf.Open(sealed))(t).Fields()
	if err != nil || len(fields) != 2 || !fields[0].Visible || fields[1].Visible {
		t.Errorf("%d fields, %v; the seal is to be seen, the time-stamp is not", len(fields), err)
	}
	if len(sealed) > 90<<10 {
		t.Errorf("%d bytes", len(sealed))
	}
}

// TestVisibleSealsThatNobodySees are refused, and text that nobody can read.
func TestVisibleSealsThatNobodySees(t *testing.T) {
	s := newSealer(t)
	for want, look := range map[string]pdf.Appearance{
		"leaves the page, which is 200 x 200": {X: 100, Y: 20, Width: 180, Height: 60},
		"there is no page 2":                  {Page: 2, X: 10, Y: 10, Width: 100, Height: 50},
		"there is no page -1":                 {Page: -1, X: 10, Y: 10, Width: 100, Height: 50},
		"at least 20 points":                  {X: 10, Y: 10, Width: 100},
		"not left of or below the page":       {X: -1, Y: 10, Width: 100, Height: 50},
		"make the frame larger": {X: 10, Y: 10, Width: 21, Height: 21,
			Lines: []string{strings.Repeat("W", 200)}},
		"1 to 12 lines": {X: 10, Y: 10, Width: 100, Height: 50, Lines: make([]string, 13)},
	} {
		_, err := seal.Seal(t.Context(), []seal.Document{{Content: pdfDocument()}}, s.by,
			seal.Options{Format: seal.FormatPAdES, Level: seal.LevelB, Time: time.Now(), Visible: &look})
		wants(t, want, err, want)
	}
}
