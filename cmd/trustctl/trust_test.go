package main

import (
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// runTrust runs trustctl trust in this process and tells its exit status.
func runTrust(t *testing.T, args ...string) (string, int) {
	t.Helper()
	out, err := runCommand(t, root(), append([]string{"trust"}, args...)...)
	var coded interface{ ExitCode() int }
	switch {
	case errors.As(err, &coded):
		return out, coded.ExitCode()
	case err != nil:
		return out + err.Error(), 1
	}
	return out, 0
}

// TestTrustKeepsAFolder tends lists without a verifyd: carried in, shown, compared, refused.
func TestTrustKeepsAFolder(t *testing.T) {
	corpus := os.Getenv("TRUSTCORE_CORPUS")
	if corpus == "" {
		t.Skip("TRUSTCORE_CORPUS is not set: there are no lists")
	}
	lists := func(name string) string { return filepath.Join(corpus, "trustlists", name) }
	keep := "--keep=" + filepath.Join(t.TempDir(), "kept")
	want := func(args []string, status int, texts ...string) string {
		t.Helper()
		out, got := runTrust(t, args...)
		if got != status {
			t.Errorf("trust %s: exit status %d, want %d\n%.500s", strings.Join(args, " "), got, status, out)
		}
		for _, text := range texts {
			if !strings.Contains(out, text) {
				t.Errorf("trust %s: no %q in\n%.800s", strings.Join(args, " "), text, out)
			}
		}
		return out
	}
	want([]string{"status", keep}, 3, "no trusted list is in use: trustctl trust refresh, or trustctl trust import FOLDER")
	want([]string{"import", keep, lists("eu-2023-10")}, 0, "0 refused, of 33")
	want([]string{"import", keep, lists("eu-2023-10")}, 0, "in use already")
	want([]string{"show", keep, "PL"}, 0, "list of PL, sequence number 139", "granted")
	want([]string{"show", keep, "XX"}, 1, "no list of \"XX\" is in use")
	want([]string{"import", keep, lists("eu-2025-08")}, 0, "0 refused")
	want([]string{"status", keep}, 3, "152", "run out", "EU has run out")
	want([]string{"diff", keep}, 3, "PL: 139 -> 152", "service added")
	want([]string{"diff", lists("eu-2023-10/PL-seq139.xml.gz"), lists("eu-2025-08/PL-seq152.xml.gz")}, 3, "PL: 139 -> 152")
	want([]string{"diff", lists("eu-2025-08"), lists("eu-2025-08")}, 0, "no difference")
	want([]string{"diff", "one"}, 1, "name two files")
	want([]string{"import", keep, lists("eu-2023-10")}, 3, "not taken: superseded by sequence number 152")
	want([]string{"import", keep, lists("broken")}, 3, "changed after it was signed", "2 signatures")
	want([]string{"import", keep, t.TempDir()}, 1, "holds no file that may be a list")
	var status trustStatus
	if err := json.Unmarshal([]byte(want([]string{"status", "--json", keep}, 3)), &status); err != nil || status.Services < 3500 || len(status.Lists) < 31 {
		t.Errorf("%d services, %d lists, %v", status.Services, len(status.Lists), err)
	}
	want([]string{"signers"}, 0, "Official Journal C/2026/1944", "https://eur-lex.europa.eu/eli/C/2026/1944/oj", "c34a7f232811ffe5ff2ea1e167ee5b8567f3c0e4dc265c86042b5fd2b2a560dc")
	want([]string{"signers", "--of", lists("eu-2025-08/LOTL-seq370.xml.gz")}, 0, "BEGIN CERTIFICATE", "sequence number 370")
	want([]string{"signers", "--of", lists("eu-2025-08/PL-seq152.xml.gz")}, 1, "no list of the lists")
	want([]string{"refresh", keep, "--lotl", "ftp://example.org/"}, 1, "--lotl")
	want([]string{"refresh", keep, "--lotl", "http://127.0.0.1:1/lotl.xml", "--proxy", "http://127.0.0.1:1"}, 3, "EU could not be fetched since")
	want([]string{"sttaus"}, 1, "has no command")
}

// TestTrustNeedsSomebodyToAsk names the remedy where there is neither a state nor a folder.
func TestTrustNeedsSomebodyToAsk(t *testing.T) {
	if out, status := runTrust(t, "status", "--state", t.TempDir()); status != 1 || !strings.Contains(out, "--keep") {
		t.Errorf("%d %s", status, out)
	}
}
