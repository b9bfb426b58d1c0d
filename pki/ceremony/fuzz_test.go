package ceremony_test

import (
	"bytes"
	"crypto/x509"
	"encoding/json"
	"os"
	"strings"
	"testing"
	"time"

	"trustcore/internal/budget/budgettest"
	"trustcore/pki/ceremony"
	"trustcore/pki/profile"
)

// limit has room for the three to five signatures of a transcript and for the fuzzer's counters.
var limit = budgettest.Limit{
	Time: 100 * time.Millisecond, TimeAnOctet: 20 * time.Microsecond,
	Alloc: 4 << 20, AllocAnOctet: 4 << 10,
}

// FuzzParse demands that what stands in a plan that is taken can stand in certificates and before people's eyes.
func FuzzParse(f *testing.F) {
	f.Add(ceremony.Default(baseURL))
	f.Fuzz(func(t *testing.T, data []byte) {
		var plan *ceremony.Plan
		var err error
		budgettest.Check(t, len(data), limit, func() { plan, err = ceremony.Parse(data) })
		if err != nil {
			return
		}
		names := []string{plan.Title, plan.Place, plan.Organization}
		for _, key := range []ceremony.Key{plan.Root, plan.Issuing, plan.OCSP} {
			names = append(names, key.CommonName)
		}
		for _, a := range plan.Attendees {
			names = append(names, a.Name)
		}
		for _, name := range names {
			if !profile.IsName(name) {
				t.Errorf("the plan names %q", name)
			}
		}
		if start := time.Unix(0, 0); !plan.Root.Valid.After(start).After(start) || !plan.RootCRL.After(start).After(start) {
			t.Errorf("a span that ends before it begins: %+v, %+v", plan.Root.Valid, plan.RootCRL)
		}
	})
}

// kept returns a ceremony's transcript and its root, whose key nobody has any more.
func kept(t testing.TB) ([]byte, *x509.Certificate) {
	t.Helper()
	data, err := os.ReadFile("testdata/transcript.json")
	if err != nil {
		t.Fatal(err)
	}
	var transcript ceremony.Transcript
	if err := json.Unmarshal(data, &transcript); err != nil {
		t.Fatal(err)
	}
	root, err := x509.ParseCertificate(transcript.Root)
	if err != nil {
		t.Fatal(err)
	}
	return data, root
}

// TestTranscriptIsReadOneWay tries what one reader of JSON takes and another reads over. White space is free.
func TestTranscriptIsReadOneWay(t *testing.T) {
	data, root := kept(t)
	text := string(data)
	steps := strings.Index(text, `"steps"`)
	for name, changed := range map[string]string{
		"a field twice":             text[:steps] + `"steps": [], ` + text[steps:],
		"a field twice, by case":    text[:steps] + `"Steps": [], ` + text[steps:],
		"another case":              strings.Replace(text, `"plan"`, `"PLAN"`, 1),
		"a fact twice":              strings.Replace(text, `"facts": {`, `"facts": {"plan_sha256": "0", `, 1),
		"an octet that is no UTF-8": strings.Replace(text, `"what": "`, `"what": "`+"\xff", 1),
		"an escape":                 strings.Replace(text, `"what": "c`, `"what": "\u0063`, 1),
		"another after it":          text + text,
		"a text after it":           text + "signed by all",
	} {
		if changed == text {
			t.Fatalf("%s: nothing is changed", name)
		}
		_, err := ceremony.VerifyTranscript([]byte(changed), root)
		if err == nil || !strings.Contains(err.Error(), "as a ceremony writes it") {
			t.Errorf("%s: %v", name, err)
		}
	}
	var compact bytes.Buffer
	if err := json.Compact(&compact, data); err != nil {
		t.Fatal(err)
	}
	for _, same := range [][]byte{data, compact.Bytes(), []byte(strings.ReplaceAll(text, "\n", "\r\n"))} {
		if _, err := ceremony.VerifyTranscript(same, root); err != nil {
			t.Error(err)
		}
	}
}

// FuzzVerifyTranscript takes nothing but the transcript that was signed: nobody has the root's key.
func FuzzVerifyTranscript(f *testing.F) {
	signed, root := kept(f)
	f.Add(signed)
	f.Add([]byte(`{"plan":"","steps":[{"index":1,"facts":{}}],"root":"","signature":""}`))
	var want bytes.Buffer
	if err := json.Compact(&want, signed); err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		var err error
		budgettest.Check(t, len(data), limit, func() { _, err = ceremony.VerifyTranscript(data, root) })
		var have bytes.Buffer
		if err == nil && (json.Compact(&have, data) != nil || !bytes.Equal(have.Bytes(), want.Bytes())) {
			t.Error("another transcript than the signed one is taken")
		}
	})
}
