package policy

import (
	"encoding/json"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"
)

// publicFile reads a file of the folder schemas/policy beside the public samples.
func publicFile(t *testing.T, name string) []byte {
	t.Helper()
	corpus := os.Getenv("TRUSTCORE_CORPUS")
	if corpus == "" {
		t.Skip("TRUSTCORE_CORPUS is not set: DSS's policy, which lies in ../schemas/policy beside that folder, is not compared")
	}
	data, err := os.ReadFile(filepath.Join(corpus, "..", "schemas", "policy", name))
	if err != nil {
		t.Skipf("DSS's policy is not compared: %v", err)
	}
	return data
}

// TestDSSDefaultIsDSSs holds the shipped policy against the file of DSS 6.4. What may differ is told in the shipped file.
func TestDSSDefaultIsDSSs(t *testing.T) {
	theirs, err := ParseDSS(publicFile(t, "dss-6.4-constraint.xml"))
	if err != nil {
		t.Fatal(err)
	}
	for _, d := range Diff(theirs, named(t, DSSDefault)) {
		switch {
		case slices.Contains([]string{"Name", "Version", "Description", "Cryptographic/Source"}, d.Path):
		case strings.HasPrefix(d.Path, Product.String()+"/") && d.A == "":
		default:
			t.Errorf("%s: DSS has %q, dss-default %q", d.Path, d.A, d.B)
		}
	}
	told := 0
	for _, r := range theirs.Remarks() {
		if r.Laxer && r.Level == Fail && byPath[r.Constraint] != nil {
			told++
			if !slices.Contains(named(t, DSSDefault).accepted, r.Constraint) {
				t.Errorf("%s is FAIL in DSS and not honoured, and the shipped file does not say so", r.Constraint)
			}
		}
	}
	if told == 0 {
		t.Error("DSS's policy has nothing that is not honoured")
	}
}

// suiteAlgorithm is one algorithm of DSS's table (TS 119 322).
type suiteAlgorithm struct {
	AlgorithmIdentifier struct{ Name string }
	Evaluation          []struct {
		Validity  struct{ End string }
		Parameter []struct {
			Min  int
			Name string `json:"name"`
		}
	}
}

// TestTableIsDSSs holds both shipped tables against the algorithm table of DSS 6.4, line by line: an algorithm is taken
// at its end and no longer a second later, in strict as a failure, in dss-default as a failure or, for ends later than
// the table itself, as a warning.
func TestTableIsDSSs(t *testing.T) {
	var table struct {
		SecuritySuitabilityPolicy struct{ Algorithm []suiteAlgorithm }
	}
	if err := json.Unmarshal(publicFile(t, "dss-6.4-crypto-suite.json"), &table); err != nil {
		t.Fatal(err)
	}
	lines := 0
	for _, a := range table.SecuritySuitabilityPolicy.Algorithm {
		name := registryName(a.AlgorithmIdentifier.Name)
		if name == "" {
			continue // a curve, or WHIRLPOOL, which nothing here computes
		}
		for _, e := range a.Evaluation {
			bits := 0
			for _, p := range e.Parameter {
				if p.Name != "qlength" {
					bits = p.Min
				}
			}
			lines++
			checkLine(t, name, bits, e.Validity.End)
		}
	}
	if lines < 70 {
		t.Errorf("%d lines compared", lines)
	}
}

func checkLine(t *testing.T, name string, bits int, end string) {
	t.Helper()
	last := day(2099, 12, 31)
	if end != "" {
		var err error
		if last, err = time.Parse(time.DateOnly, end); err != nil {
			t.Fatal(err)
		}
	}
	for _, policy := range Names() {
		suite := named(t, policy).Suite(Signature)
		if l, why := suite.Judge(name, bits, last); l != Ignore {
			t.Errorf("%s: %s with %d bits at its end %s: %v (%s)", policy, name, bits, end, l, why)
		}
		if end == "" {
			continue
		}
		want := Fail
		if policy == DSSDefault && last.After(suite.UpdateDate) {
			want = Warn
		}
		if l, _ := suite.Judge(name, bits, last.Add(time.Second)); l != want {
			t.Errorf("%s: %s with %d bits after its end %s: %v, want %v", policy, name, bits, end, l, want)
		}
	}
}

// registryName is our name of an algorithm of DSS's table.
func registryName(name string) string {
	switch name {
	case "rsassa-pss":
		return "RSA-PSS-SHA256"
	case "DSA":
		return "DSA-SHA256"
	case "ECDSA", "PLAIN_ECDSA":
		return "ECDSA-SHA256"
	case "ripedm160WithRSAEncryption":
		return "RSA-PKCS1-RIPEMD160"
	}
	if d, ok := strings.CutSuffix(name, "WithRSAEncryption"); ok {
		return "RSA-PKCS1-" + strings.ToUpper(d)
	}
	if d, ok := strings.CutPrefix(name, "id-rsassa-pkcs1-v1-5-with-"); ok {
		return "RSA-PKCS1-" + strings.ToUpper(d)
	}
	if d, ok := strings.CutPrefix(name, "ECDSA with "); ok {
		return "ECDSA-" + digestName(d)
	}
	if digestNames[name] {
		return name
	}
	return ""
}
