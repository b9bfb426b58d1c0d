package trustlist_test

import (
	"crypto/sha256"
	"encoding/hex"
	"os"
	"path/filepath"
	"testing"

	"trustcore/verify/certificate"
	"trustcore/verify/trustlist"
)

// TestJournal: the shipped signers are those that the table names, whole and readable, and every file is in the table.
func TestJournal(t *testing.T) {
	named := map[string]bool{}
	for _, s := range trustlist.Journal() {
		data, err := os.ReadFile(filepath.Join("signers", s.File))
		if err != nil {
			t.Fatal(err)
		}
		sum := sha256.Sum256(data)
		if hex.EncodeToString(sum[:]) != s.SHA256 {
			t.Errorf("%s has SHA-256 %x, the table says %s", s.File, sum, s.SHA256)
		}
		if s.Name == "" || s.Source == "" || s.Since.IsZero() || len(s.Certificates) < 6 {
			t.Errorf("%s: name, source, date or certificates are missing", s.File)
		}
		for _, der := range s.Certificates {
			if _, err := certificate.Parse(der); err != nil {
				t.Errorf("%s: %v", s.File, err)
			}
		}
		named[s.File] = true
	}
	files, err := os.ReadDir("signers")
	if err != nil || len(files) != len(named) {
		t.Errorf("%d files, %d in the table, %v", len(files), len(named), err)
	}
}

// TestConformanceJournal holds the shipped signers against those of the samples.
func TestConformanceJournal(t *testing.T) {
	dir := filepath.Join(corpus(t), "lotl-signers")
	entries, err := trustlist.SignersOf(dir)
	if err != nil {
		t.Fatal(err)
	}
	known := map[string]bool{}
	for _, der := range entries[0].Certificates {
		known[string(der)] = true
	}
	n := 0
	for _, s := range trustlist.Journal() {
		for _, der := range s.Certificates {
			n++
			if !known[string(der)] {
				t.Errorf("%s holds a certificate that the samples don't", s.File)
			}
		}
	}
	if n != len(entries[0].Certificates) {
		t.Errorf("%d certificates, the samples have %d", n, len(entries[0].Certificates))
	}
}
