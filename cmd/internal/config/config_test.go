package config_test

import (
	"errors"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"trustcore/cmd/internal/config"
)

type sample struct {
	Listen  string        `koanf:"listen"`
	Timeout time.Duration `koanf:"timeout"`
	Nested  struct {
		Address netip.Addr `koanf:"address"`
	} `koanf:"nested"`
}

func (s *sample) Check() error {
	if s.Listen == "" {
		return errors.New("listen is missing")
	}
	return nil
}

func TestLoad(t *testing.T) {
	for name, c := range map[string]struct{ text, want string }{
		"good":    {"listen: 127.0.0.1:1\ntimeout: 30s\nnested: {address: 10.0.0.1}\n", ""},
		"unknown": {"listen: x\nlisten_adress: y\n", "listen_adress"},
		"nested":  {"listen: x\nnested: {adress: 10.0.0.1}\n", "adress"},
		"value":   {"listen: x\ntimeout: soon\n", "timeout"},
		"missing": {"timeout: 1s\n", "listen is missing"},
		"no yaml": {"listen: [", "configuration"},
		"address": {"listen: x\nnested: {address: ten}\n", "address"},
		"empty":   {"", "listen is missing"},
	} {
		t.Run(name, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "c.yaml")
			if err := os.WriteFile(path, []byte(c.text), 0o600); err != nil {
				t.Fatal(err)
			}
			s := sample{Timeout: time.Second}
			err := config.Load(path, &s)
			if c.want == "" {
				if err != nil || s.Timeout != 30*time.Second || !s.Nested.Address.IsValid() {
					t.Errorf("%+v, %v", s, err)
				}
				return
			}
			if err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("got %v; want %q", err, c.want)
			}
		})
	}
	if err := config.Load(filepath.Join(t.TempDir(), "none.yaml"), &sample{}); err == nil {
		t.Error("a missing file was loaded")
	}
}
