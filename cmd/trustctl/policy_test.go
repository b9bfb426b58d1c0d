package main

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"trustcore/verify/policy"
)

// runPolicy runs trustctl policy in this process.
func runPolicy(t *testing.T, args ...string) (string, error) {
	t.Helper()
	return runCommand(t, root(), append([]string{"policy"}, args...)...)
}

func policyIn(t *testing.T, name, text string) string {
	t.Helper()
	file := filepath.Join(t.TempDir(), name)
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return file
}

func TestPolicyCheck(t *testing.T) {
	strict := string(policy.ShippedSource(policy.Strict))
	out, err := runPolicy(t, "check", policyIn(t, "office.yaml", strict))
	p, _ := policy.Named(policy.Strict)
	if err != nil || !strings.Contains(out, "can be used") || !strings.Contains(out, p.Digest()) || strings.Contains(out, "otherwise") {
		t.Errorf("%v\n%s", err, out)
	}
	out, err = runPolicy(t, "check", policyIn(t, "office.yaml", string(policy.ShippedSource(policy.DSSDefault))))
	if err != nil || !strings.Contains(out, "! Timestamp/BasicSignatureConstraints/PdfPageDifference ") || !strings.Contains(out, "FAIL") {
		t.Errorf("what is not judged is not listed: %v\n%s", err, out)
	}
	for name, c := range map[string]struct{ text, want string }{
		"a floor":           {strings.Replace(strict, "SignatureIntact: FAIL", "SignatureIntact: WARN", 1), "SignatureIntact: WARN is below FAIL"},
		"an unknown field":  {strict + "\nColour: blue\n", "Colour: there is no constraint of this name"},
		"too large a file":  {strings.Repeat("# \n", policy.MaxFile), "at most"},
		"an empty file":     {"", "the file is empty"},
		"another XML":       {"<a/>", "not of the namespace"},
		"a field that ends": {"Name", "write fields here"},
	} {
		_, err := runPolicy(t, "check", policyIn(t, "office.yaml", c.text))
		var coded interface{ ExitCode() int }
		if err == nil || !strings.Contains(err.Error(), c.want) || !strings.Contains(err.Error(), "office.yaml: ") || errors.As(err, &coded) {
			t.Errorf("%s: %v; want %q", name, err, c.want)
		}
	}
	if _, err := runPolicy(t, "check", "strict"); err == nil {
		t.Error("check took a name that is no file")
	}
}

func TestPolicyShow(t *testing.T) {
	out, err := runPolicy(t, "show", "strict")
	if err != nil || !strings.Contains(out, "SignatureConstraints/BasicSignatureConstraints/DocMDP ") {
		t.Errorf("%v\n%s", err, out)
	}
	out, err = runPolicy(t, "show", "--json", "dss-default")
	if err != nil {
		t.Fatal(err)
	}
	var shown shownPolicy
	var compact bytes.Buffer
	if err := json.Unmarshal([]byte(out), &shown); err != nil {
		t.Fatal(err)
	}
	if err := json.Compact(&compact, shown.Policy); err != nil {
		t.Fatal(err)
	}
	digest := sha256.Sum256(compact.Bytes())
	if shown.Name != "dss-default" || shown.Version == "" || shown.Digest != hex.EncodeToString(digest[:]) || len(shown.Remarks) == 0 {
		t.Errorf("%s %s %s, %d remarks", shown.Name, shown.Version, shown.Digest, len(shown.Remarks))
	}
	for _, name := range policy.Names() { // what is written can be read again, and says the same
		out, err := runPolicy(t, "show", "--source", name)
		if err != nil {
			t.Fatal(err)
		}
		file := policyIn(t, "office.yaml", out)
		if out, err := runPolicy(t, "diff", name, file); err != nil {
			t.Errorf("%s: %v\n%s", name, err, out)
		}
		if out, err := runPolicy(t, "show", "--source", file); err != nil || strings.Contains(out, "#") {
			t.Errorf("%s: %v", name, err)
		}
	}
	if _, err := runPolicy(t, "show", "lenient"); err == nil || !strings.Contains(err.Error(), "choose strict or dss-default, or name a file") {
		t.Errorf("an unknown name: %v", err)
	}
}

func TestPolicyDiff(t *testing.T) {
	out, err := runPolicy(t, "diff", "strict", "strict")
	if err != nil || out != "" {
		t.Errorf("%v\n%s", err, out)
	}
	out, err = runPolicy(t, "diff", "strict", "dss-default")
	if !errors.Is(err, differ) || !strings.Contains(out, "ProductConstraints/SignerUse\n  - FAIL\n  + WARN\n") {
		t.Errorf("%v\n%s", err, out)
	}
	out, err = runPolicy(t, "diff", "--json", "strict", "dss-default")
	var list []policy.Difference
	if jsonErr := json.Unmarshal([]byte(out), &list); jsonErr != nil || !errors.Is(err, differ) || len(list) < 10 {
		t.Errorf("%v, %v, %d differences", err, jsonErr, len(list))
	}
	if out, err := runPolicy(t, "diff", "--json", "strict", "strict"); err != nil || strings.TrimSpace(out) != "[]" {
		t.Errorf("%v\n%s", err, out)
	}
	if _, err := runPolicy(t, "diff", "strict", "/nonexistent"); err == nil || errors.Is(err, differ) {
		t.Errorf("a file that is not there: %v", err)
	}
}

// TestVerifyByAPolicyFile: an office's own policy judges, and its name, version and digest stand in the report.
func TestVerifyByAPolicyFile(t *testing.T) {
	strict := string(policy.ShippedSource(policy.Strict))
	document := policyIn(t, "plain.xml", "<a/>")
	file := policyIn(t, "office.yaml", strings.Replace(strict, "Name: strict", "Name: office", 1))
	out, _ := runVerify(t, "--json", "--policy", file, document)
	var got struct {
		Policy  string
		Version string `json:"policy_version"`
		Digest  string `json:"policy_digest"`
	}
	if err := json.Unmarshal([]byte(out), &got); err != nil || got.Policy != "office" || got.Version != "1" || len(got.Digest) != 64 {
		t.Errorf("%v\n%s", err, out)
	}
	_, err := runVerify(t, "--policy", policyIn(t, "lax.yaml", strings.Replace(strict, "NotRevoked: FAIL", "NotRevoked: WARN", 1)), document)
	if err == nil || !strings.Contains(err.Error(), "NotRevoked: WARN is below FAIL") {
		t.Errorf("a policy below a floor: %v", err)
	}
	if _, err := runVerify(t, "--policy", "lax", document); err == nil || !strings.Contains(err.Error(), "strict or dss-default") {
		t.Errorf("an unknown policy: %v", err)
	}
}
