package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"trustcore/cmd/internal/config"
)

const goodConfig = `listen: 127.0.0.1:8446
identity: {certificate: c, key: k, ca: ca}
trustd: https://127.0.0.1:8440
verifyd: https://127.0.0.1:8444
state_dir: /var/lib/batchd
roots: [{name: archive, folder: /srv/archive, applications: [ezd]}]
hosts: [{url: "https://ezd.gmina.pl", applications: [ezd]}]
`

// TestConfig takes a whole configuration, and names the key of one that is wrong.
func TestConfig(t *testing.T) {
	load := func(text string) error {
		file := filepath.Join(t.TempDir(), "batchd.yaml")
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		cfg := Defaults()
		return config.Load(file, &cfg)
	}
	if err := load(goodConfig); err != nil {
		t.Fatal(err)
	}
	for key, text := range map[string]string{
		"listen":             "listen: nowhere\n",
		"operations":         goodConfig + "operations: 0.0.0.0:9103\n",
		"trustd":             strings.Replace(goodConfig, "trustd: https:", "trustd: http:", 1),
		"verifyd":            strings.Replace(goodConfig, ":8444", ":8444/v1", 1),
		"state_dir":          strings.Replace(goodConfig, "/var/lib", "var", 1),
		"clients_for":        goodConfig + "clients_for: 1s\n",
		"keep_results":       goodConfig + "keep_results: 1m\n",
		"concurrency":        goodConfig + "concurrency: 1000\n",
		"max_spool":          goodConfig + "max_spool: 1\n",
		"roots.folder":       strings.Replace(goodConfig, "/srv", "srv", 1),
		"roots.applications": strings.Replace(goodConfig, "/srv/archive, applications: [ezd]", "/srv/archive", 1),
		"hosts":              strings.Replace(goodConfig, "https://ezd", "http://ezd", 1),
		"proxy":              goodConfig + "proxy: example\n",
		"identity.key":       strings.Replace(goodConfig, "key: k, ", "", 1),
		"colour":             goodConfig + "colour: red\n",
	} {
		if err := load(text); err == nil || !strings.Contains(err.Error(), key) {
			t.Errorf("%s: %v", key, err)
		}
	}
}
