package main

import (
	"os"
	"path/filepath"
	"slices"
	"testing"
)

// TestNeeds: a test needs what it names, and what it uses does, however far; others of the package don't.
func TestNeeds(t *testing.T) {
	s := &suite{uses: map[string]map[string]bool{}, needs: map[string]bool{}}
	for name, text := range map[string]string{
		"a_test.go": `func TestDirect(t *testing.T) { os.Getenv("SAMPLES") }
			func TestByHelper(t *testing.T) { further(t) }
			func TestByMethod(t *testing.T) { new(house).open(t) }
			func TestAlone(t *testing.T) { other(t) }`,
		"b_test.go": `func further(t *testing.T) { folder(t) }
			func folder(t *testing.T) string { return os.Getenv(variable) }
			const variable = "SAMPLES"
			type house struct{}
			func (h *house) open(t *testing.T) { folder(t) }
			func other(t *testing.T) { os.Getenv("OTHER") }`,
	} {
		file := filepath.Join(t.TempDir(), name)
		if err := os.WriteFile(file, []byte("package a\n"+text), 0o600); err != nil {
			t.Fatal(err)
		}
		if err := s.read(file, []string{"SAMPLES"}); err != nil {
			t.Fatal(err)
		}
	}
	if got := s.tests(); !slices.Equal(got, []string{"TestByHelper", "TestByMethod", "TestDirect"}) {
		t.Error(got)
	}
}
