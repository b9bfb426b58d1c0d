package main

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"trustcore/cmd/internal/custody"
	"trustcore/pki/ceremony"
	"trustcore/pki/ceremony/ceremonytest"
)

// onPaper is a digest as it is shown.
var onPaper = regexp.MustCompile(`(?m)^  ([0-9a-f]{64})$`)

// TestOfflineRootByCommands makes an appliance below a root whose token lies in another folder, by the commands that people type: openssl
// verifies an officer's certificate, what was done is verified on both sides, and a swapped file is refused.
func TestOfflineRootByCommands(t *testing.T) {
	if _, err := os.Stat(custody.SoftHSM); err != nil {
		t.Skip("SoftHSM2 is not installed (apt-get install softhsm2)")
	}
	bin, dir := programs(t), t.TempDir()
	file := func(name string) string { return filepath.Join(dir, name) }
	const url = "http://10.64.0.1:8080/pki"
	for name, text := range map[string]string{"root.yaml": string(ceremonytest.RootPlan(url)),
		"plan.yaml": string(ceremony.DefaultSuccession(url, 1))} {
		if err := os.WriteFile(file(name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	trustctl := func(state string, args ...string) (string, error) {
		out, err := exec.Command(filepath.Join(bin, "trustctl"), append([]string{"ceremony", "--state", file(state)}, args...)...).CombinedOutput()
		return string(out), err
	}
	must := func(state string, args ...string) string {
		t.Helper()
		out, err := trustctl(state, args...)
		if err != nil {
			t.Fatalf("%v: %v\n%s", args, err, out)
		}
		return out
	}
	by := []string{"--by", "officer-1", "--by", "officer-3"}
	must("root", "root", "--plan", file("root.yaml"))
	paper := onPaper.FindStringSubmatch(must("site", "request", "--plan", file("plan.yaml"), "--to", file("request.json")))
	paper = onPaper.FindStringSubmatch(must("root", append([]string{"sign", file("request.json"), "--digest", paper[1], "--to", file("answer.json")}, by...)...))
	answer, err := os.ReadFile(file("answer.json"))
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(file("swapped.json"), append(answer, ' '), 0o600); err != nil {
		t.Fatal(err)
	}
	if out, err := trustctl("site", append([]string{"import", file("swapped.json"), "--digest", paper[1]}, by...)...); err == nil ||
		!strings.Contains(out, "not the one on paper") {
		t.Errorf("a swapped file: %v\n%s", err, out)
	}
	if out := must("site", append([]string{"import", file("answer.json"), "--digest", paper[1]}, by...)...); !strings.Contains(out, "Recovery shares") {
		t.Errorf("nothing begins: %s", out)
	}
	for state, want := range map[string]string{"root": "chained and signed by", "site": "certified by Demonstration Root CA 2 on another machine"} {
		if out := must(state, "verify"); !strings.Contains(out, want) {
			t.Errorf("%s: %s", state, out)
		}
	}
	listed := func() string {
		list, err := os.ReadFile(file("root/trustd/pki/root.crl"))
		if err != nil {
			t.Fatal(err)
		}
		return string(list)
	}
	before := listed()
	if out, err := trustctl("root", "list"); err == nil || !strings.Contains(out, "--to is missing") || listed() != before {
		t.Errorf("a list for nobody, made: %t, %v\n%s", listed() != before, err, out)
	}
	if out := must("root", "list", "--to", file("root.crl"), "--valid", "90d"); !onPaper.MatchString(out) {
		t.Error(out)
	}
	identity := func(name string) string { return filepath.Join(dir, "site", "identity", name) }
	out, err := exec.Command("openssl", "verify", "-x509_strict", "-purpose", "sslclient", "-CAfile", identity("root.pem"), "-untrusted", identity("ca.pem"),
		filepath.Join(dir, "site", "officers", "officer-1.pem")).CombinedOutput()
	if err != nil {
		t.Error(fmt.Sprint(err), string(out))
	}
}
