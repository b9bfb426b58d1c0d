package main

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// TestKeys does by hand what officers do with the keys of offices: on those that the demonstration's office had.
func TestKeys(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("the demonstration needs root for a host of its own")
	}
	w := newWorld(t, 0)
	dir := w.folder(t)
	a := w.serve(t, dir, "--demo")
	c := cli{t, w, dir}
	var keys []hsmKey
	if err := json.Unmarshal([]byte(c.does("key", "list", "--json")), &keys); err != nil {
		t.Fatal(err)
	}
	id := ""
	for _, k := range keys {
		if k.Partner != "" && k.State == "suspended" {
			id = k.ID
		}
	}
	if id == "" {
		t.Fatalf("%+v", keys)
	}
	if out := c.does("key", "list", "--partner", "nobody"); strings.Contains(out, id) {
		t.Error(out)
	}
	c.fails("whose?", "key", "stop", "--reason", "a test")
	c.fails("whose?", "key", "stop", "um-przykladowo", "--all", "--reason", "a test")
	c.fails("say why", "key", "suspend", id)
	c.does("key", "suspend", id, "--reason", "a test")
	for stopped, what := range []string{"key of the reports", "nothing that is stopped already"} {
		var said []hsmKey
		out := c.does("key", "stop", "--all", "--reason", "a test", "--json")
		if err := json.Unmarshal([]byte(out), &said); err != nil || len(said) != 1-stopped || len(said) == 1 && said[0].Order != demoReports {
			t.Errorf("stopped, want the %s: %s", what, out)
		}
	}
	c.fails("signs nothing", "key", "request", id, "--name", "x")
	c.fails("no order in force gives", "key", "resume", id, "--reason", "a test")
	document := filepath.Join(w.folder(t), "key.json")
	c.fails("--out", "key", "attest", id)
	if out := c.does("key", "attest", id, "--out", document); !strings.Contains(out, `"hardened": true`) {
		t.Error(out)
	}
	c.fails("is there already", "key", "attest", id, "--out", document)
	w.look(t, "cd "+filepath.Dir(document)+" && openssl ts -verify -data key.json -in key.json.tsr -CAfile "+filepath.Join(dir, "identity", "ca.pem"))
	motion := c.proposes("key", "destroy", id, "--reason", "the office has closed", "--as", "officer-1")
	c.fails("another officer", "motion", "approve", motion, "--as", "officer-1")
	if out := c.does("motion", "approve", motion, "--as", "officer-2"); !strings.Contains(out, "1 keys destroyed") || !strings.Contains(out, "the office has closed") {
		t.Error(out)
	}
	if out := c.does("hsm", "inventory"); !strings.Contains(out, "registry and token agree") {
		t.Error(out)
	}
	c.does("key", "--help")
	a.end(t)
}
