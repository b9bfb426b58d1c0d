package ceremony_test

import (
	"context"
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"trustcore/pki/ceremony"
)

const baseURL = "http://127.0.0.1:8080/pki"

var hardened = map[string]string{"CKA_SENSITIVE": "true", "CKA_EXTRACTABLE": "false", "CKA_ALWAYS_SENSITIVE": "true"}

// softwareKey makes a real key of the algorithm in memory.
func softwareKey(_ context.Context, label, algorithm string) (string, crypto.Signer, map[string]string, error) {
	var key crypto.Signer
	var err error
	switch algorithm {
	case ceremony.P256:
		key, err = ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	case ceremony.P384:
		key, err = ecdsa.GenerateKey(elliptic.P384(), rand.Reader)
	case ceremony.RSA3072:
		key, err = rsa.GenerateKey(rand.Reader, 3072)
	default:
		err = errors.New("no " + algorithm + " here")
	}
	return "id-of-" + label, key, hardened, err
}

func parse(t *testing.T, text string) *ceremony.Plan {
	t.Helper()
	plan, err := ceremony.Parse([]byte(text))
	if err != nil {
		t.Fatal(err)
	}
	return plan
}

func TestPerformDefaultPlan(t *testing.T) {
	plan := parse(t, string(ceremony.Default(baseURL)))
	result, err := ceremony.Perform(t.Context(), plan, softwareKey, time.Now)
	if err != nil {
		t.Fatal(err)
	}
	if result.Root.KeyID != "id-of-root-1" || result.TimeStamping == nil {
		t.Errorf("root key %q, time-stamping %v", result.Root.KeyID, result.TimeStamping)
	}
	if got := result.Issuing.Certificate.CRLDistributionPoints; !slices.Equal(got, []string{baseURL + "/crl/root.crl"}) {
		t.Errorf("issuing authority points to %v", got)
	}
	if text := result.Transcript.Text(); !strings.Contains(text, "officer-3 (witness)") || !strings.Contains(text, "attribute CKA_EXTRACTABLE") {
		t.Errorf("the text says too little:\n%s", text)
	}
	opensslAccepts(t, result)
}

// opensslAccepts verifies every leaf with revocation of the issuing authority checked, as a stranger would.
func opensslAccepts(t *testing.T, result *ceremony.Result) {
	t.Helper()
	openssl, err := exec.LookPath("openssl")
	if err != nil {
		t.Skip("openssl is not installed (apt-get install openssl)")
	}
	dir := t.TempDir()
	write := func(name, kind string, der []byte) string {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der}), 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	root := write("root.pem", "CERTIFICATE", result.Root.Certificate.Raw)
	issuing := write("issuing.pem", "CERTIFICATE", result.Issuing.Certificate.Raw)
	list := write("root.crl", "X509 CRL", result.RootCRL)
	unit := write("unit.pem", "CERTIFICATE", result.TimeStamping.Certificate.Raw)
	for _, args := range [][]string{
		{"verify", "-x509_strict", "-CAfile", root, "-CRLfile", list, "-crl_check", issuing},
		{"verify", "-x509_strict", "-purpose", "timestampsign", "-CAfile", root, "-untrusted", issuing, unit},
	} {
		if out, err := exec.Command(openssl, args...).CombinedOutput(); err != nil {
			t.Errorf("openssl %s: %v\n%s", strings.Join(args, " "), err, out)
		}
	}
}

func TestPerformWithRSAIssuing(t *testing.T) {
	text := strings.Replace(string(ceremony.Default(baseURL)), "label: issuing-1\n  algorithm: P-384", "label: issuing-1\n  algorithm: RSA-3072", 1)
	result, err := ceremony.Perform(t.Context(), parse(t, text), softwareKey, time.Now)
	if err != nil {
		t.Fatal(err)
	}
	if got := result.OCSP.Certificate.SignatureAlgorithm; got != x509.SHA256WithRSA {
		t.Errorf("signed with %v", got)
	}
}

func TestKeysThatCouldLeaveAreRefused(t *testing.T) {
	for name, attributes := range map[string]map[string]string{
		"CKA_EXTRACTABLE is true":                    {"CKA_SENSITIVE": "true", "CKA_EXTRACTABLE": "true"},
		"CKA_SENSITIVE is false":                     {"CKA_SENSITIVE": "false", "CKA_EXTRACTABLE": "false"},
		"does not report CKA_EXTRACTABLE":            {"CKA_SENSITIVE": "true"},
		"CKA_NEVER_EXTRACTABLE is false":             {"SENSITIVE": "true", "EXTRACTABLE": "false", "NEVER_EXTRACTABLE": "false"},
		"to be removed: root-1 (id-of-root-1)":       {},
		"the token does not report CKA_SENSITIVE":    nil,
		"CKA_LOCAL is false":                         {"SENSITIVE": "true", "EXTRACTABLE": "false", "LOCAL": "false"},
		"key root-1 (id-of-root-1) is refused: CKA_": {"SENSITIVE": "false", "EXTRACTABLE": "false"},
	} {
		makeKey := func(ctx context.Context, label, algorithm string) (string, crypto.Signer, map[string]string, error) {
			id, key, _, err := softwareKey(ctx, label, algorithm)
			return id, key, attributes, err
		}
		_, err := ceremony.Perform(t.Context(), parse(t, string(ceremony.Default(baseURL))), makeKey, time.Now)
		if err == nil || !strings.Contains(err.Error(), name) {
			t.Errorf("want %q, got %v", name, err)
		}
	}
}

func TestParseNamesTheField(t *testing.T) {
	plan := string(ceremony.Default(baseURL))
	for _, c := range []struct{ old, new, want string }{
		{"version: 1", "version: 2", "version: is 2; write 1"},
		{"algorithm: P-384\n  common_name: Demonstration Root", "algorithm: P-521\n  common_name: Demonstration Root", `root.algorithm: "P-521" is not known; write one of`},
		{"valid: 20y", "valid: twenty", "line"},
		{"valid: 20y", "valid: 99y", "root.valid: write up to"},
		{"country: PL", "country: Poland", "country:"},
		{"label: ocsp-1", "label: \"ocsp 1\"", "ocsp.label:"},
		{"role: witness", "role: onlooker", "attendees[2].role:"},
		{"name: officer-2", "name: officer-1", "attendees[1].name:"},
		{"place: this machine", "palce: this machine", "palce"},
		{baseURL, "ftp://x", "base_url:"},
		{baseURL, "http://pki.example/" + "\u202egnp", "base_url:"},
		{baseURL, "http://pki.przykład/pki", "base_url:"},
		{baseURL, "http://pki.example@10.0.0.1/pki", "base_url:"},
		{"title: Demonstration authority", `title: "Demonstration\e[2J"`, "title:"},
		{"place: this machine", `place: "this\nmachine"`, "place:"},
		{"name: officer-3", `name: "officer\u200b-3"`, "attendees[2].name:"},
		{"common_name: Demonstration Root CA 1", `common_name: "Demonstration\u202eRoot"`, "root.common_name:"},
		{"root_crl: 180d", "", "root_crl: is missing"},
		{"root_crl: 180d", "root_crl: 180d\n---\nversion: 1", "more than one document"},
	} {
		if !strings.Contains(plan, c.old) {
			t.Fatalf("the plan has no %q", c.old)
		}
		_, err := ceremony.Parse([]byte(strings.Replace(plan, c.old, c.new, 1)))
		if err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%q: want %q, got %v", c.new, c.want, err)
		}
	}
}

func TestLintNamesTheRule(t *testing.T) {
	plan := string(ceremony.Default(baseURL))
	for _, c := range []struct{ old, new, want string }{
		{"role: witness", "role: key-custodian", "attendees: an administrator and a witness"},
		{"algorithm: P-384\n  common_name: Demonstration Root", "algorithm: P-256\n  common_name: Demonstration Root", "root.algorithm:"},
		{"valid: 10y", "valid: 21y", "issuing.valid: is longer than root.valid"},
		{"root_crl: 180d", "root_crl: 2y", "root_crl: is longer than a year"},
		{"label: ocsp-1", "label: root-1", "ocsp.label: is the same as root.label"},
		{"common_name: Demonstration Issuing CA 1", "common_name: Demonstration Root CA 1", "issuing.common_name: is the same"},
	} {
		err := ceremony.Lint(t.Context(), parse(t, strings.Replace(plan, c.old, c.new, 1)), time.Now)
		if err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%q: want %q, got %v", c.new, c.want, err)
		}
	}
}

func TestTranscriptTellsEveryChange(t *testing.T) {
	result, err := ceremony.Perform(t.Context(), parse(t, string(ceremony.Default(baseURL))), softwareKey, time.Now)
	if err != nil {
		t.Fatal(err)
	}
	data, err := result.Transcript.JSON()
	if err != nil {
		t.Fatal(err)
	}
	if _, err := ceremony.VerifyTranscript(data, result.Root.Certificate); err != nil {
		t.Fatal(err)
	}
	if _, err := ceremony.VerifyTranscript(data, result.Issuing.Certificate); err == nil {
		t.Error("another root was accepted")
	}
	for _, change := range []struct{ old, new string }{
		{"officer-3 (witness)", "officer-4 (witness)"},
		{`"CKA_EXTRACTABLE": "false"`, `"CKA_EXTRACTABLE": "true"`},
		{"title: Demonstration", "title: Another"},
		{"root key made", "root key found"},
		{`"index": 3`, `"index": 4`},
		{`"signature": "`, `"signature": "AAAA`},
		{`"signature"`, `"sealed"`},
	} {
		changed := strings.Replace(string(data), change.old, change.new, 1)
		if changed == string(data) {
			changed = strings.Replace(string(data), strings.Replace(change.old, `"CKA`, `"attribute CKA`, 1), strings.Replace(change.new, `"CKA`, `"attribute CKA`, 1), 1)
		}
		if changed == string(data) {
			t.Fatalf("the transcript has no %q", change.old)
		}
		if _, err := ceremony.VerifyTranscript([]byte(changed), result.Root.Certificate); err == nil {
			t.Errorf("changing %q was not found", change.old)
		}
	}
}
