package durable_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"trustcore/internal/durable"
)

func TestReadFile(t *testing.T) {
	name := filepath.Join(t.TempDir(), "a")
	if err := os.WriteFile(name, []byte("12345"), 0o600); err != nil {
		t.Fatal(err)
	}
	if data, err := durable.ReadFile(name, 5); err != nil || string(data) != "12345" {
		t.Errorf("%q, %v", data, err)
	}
	if data, err := durable.ReadFile(name, 4); err == nil || !strings.Contains(err.Error(), "more than 4 bytes") || data != nil {
		t.Errorf("%q, %v", data, err)
	}
	if _, err := durable.ReadFile(name+"b", 4); !os.IsNotExist(err) {
		t.Error(err)
	}
}
