package ceremony_test

import (
	"bytes"
	"encoding/json"
	"strings"
	"testing"
	"time"

	"trustcore/internal/budget/budgettest"
	"trustcore/pki/ceremony"
	"trustcore/pki/ceremony/ceremonytest"
	"trustcore/pki/pkitest"
)

// exchange is a request and its answer by a root alone.
func exchange(t testing.TB) (root *ceremony.Result, request, answer []byte) {
	t.Helper()
	root = ceremonytest.Root(t, baseURL)
	_, key, _, err := pkitest.SoftwareKey(t.Context(), "", ceremony.P384)
	if err != nil {
		t.Fatal(err)
	}
	plan, err := ceremony.ParseSuccession(ceremony.DefaultSuccession(baseURL, 2))
	if err != nil {
		t.Fatal(err)
	}
	if request, err = ceremony.Ask(plan, key, nil); err != nil {
		t.Fatal(err)
	}
	if answer, _, err = ceremony.Grant(request, root.Root, "root", root.RootCRL, time.Now()); err != nil {
		t.Fatal(err)
	}
	return root, request, answer
}

// TestRootAloneHasATranscript verifies it as that of any ceremony, and finds what was changed.
func TestRootAloneHasATranscript(t *testing.T) {
	root := ceremonytest.Root(t, baseURL)
	data, err := root.Transcript.JSON()
	if err != nil {
		t.Fatal(err)
	}
	if _, err := ceremony.VerifyTranscript(data, root.Root.Certificate); err != nil {
		t.Error(err)
	}
	if _, err := ceremony.VerifyTranscript(bytes.Replace(data, []byte("officer-3"), []byte("officer-9"), 2), root.Root.Certificate); err == nil {
		t.Error("another attendee is not found")
	}
}

// TestAnswersAreCheckedWhole changes each field of an answer, and answers what was not asked.
func TestAnswersAreCheckedWhole(t *testing.T) {
	root, request, answer := exchange(t)
	_, request2, answer2 := exchange(t)
	if _, err := ceremony.ReadAnswer(answer, request); err != nil {
		t.Fatal(err)
	}
	change := func(change func(a, other *ceremony.Answer)) []byte {
		var a, other ceremony.Answer
		if err := json.Unmarshal(answer, &a); err != nil {
			t.Fatal(err)
		}
		if err := json.Unmarshal(answer2, &other); err != nil {
			t.Fatal(err)
		}
		change(&a, &other)
		text, err := json.MarshalIndent(a, "", "  ")
		if err != nil {
			t.Fatal(err)
		}
		return append(text, '\n')
	}
	for what, forged := range map[string][]byte{
		"another's certificate": change(func(a, other *ceremony.Answer) { a.Certificate = other.Certificate }),
		"another root":          change(func(a, other *ceremony.Answer) { a.Root = other.Root }),
		"another's list":        change(func(a, other *ceremony.Answer) { a.List = other.List }),
		"another name":          change(func(a, _ *ceremony.Answer) { a.Name = "root-2" }),
		"another version":       change(func(a, _ *ceremony.Answer) { a.Version = 2 }),
		"another's signature":   change(func(a, other *ceremony.Answer) { a.Signature = other.Signature }),
		"to another request":    answer2,
		"a field twice":         bytes.Replace(answer, []byte(`"version": 1,`), []byte(`"version": 1, "version": 1,`), 1),
		"something behind it":   append(bytes.Clone(answer), "{}"...),
	} {
		if _, err := ceremony.ReadAnswer(forged, request); err == nil {
			t.Errorf("%s is taken", what)
		}
	}
	wider := strings.Replace(string(ceremony.DefaultSuccession(baseURL, 2)), "# purposes: [seals]", "purposes: [seals]", 1)
	var r ceremony.Request
	if err := json.Unmarshal(request2, &r); err != nil {
		t.Fatal(err)
	}
	r.Plan = wider // the root is asked for seals alone, and signs for all
	narrow, err := json.MarshalIndent(r, "", "  ")
	if err != nil {
		t.Fatal(err)
	}
	narrow = append(narrow, '\n')
	_, all, err := ceremony.Grant(request2, root.Root, "root", root.RootCRL, time.Now())
	if err != nil {
		t.Fatal(err)
	}
	bought := ceremonytest.Answer(t, root, narrow, all)
	if _, err := ceremony.ReadAnswer(bought, narrow); err == nil || !strings.Contains(err.Error(), "says another than what was asked for") {
		t.Errorf("a certificate for more than was asked for: %v", err)
	}
}

// FuzzReadRequest demands that what is read is whole and was written in one way.
func FuzzReadRequest(f *testing.F) {
	_, request, _ := exchange(f)
	f.Add(request)
	f.Add(bytes.Replace(request, []byte("PL"), []byte("DE"), 1))
	f.Fuzz(func(t *testing.T, data []byte) {
		var r *ceremony.Request
		var err error
		budgettest.Check(t, len(data), limit, func() { r, err = ceremony.ReadRequest(data) })
		if err == nil && (r.Written() == nil || len(r.CSR) == 0) {
			t.Errorf("taken without a plan or a key: %+v", r)
		}
	})
}

// FuzzReadAnswer demands that nothing but the answer that the root gave is taken.
func FuzzReadAnswer(f *testing.F) {
	_, request, answer := exchange(f)
	f.Add(answer)
	f.Add(bytes.Replace(answer, []byte(`"root"`), []byte(`"root-2"`), 1))
	f.Fuzz(func(t *testing.T, data []byte) {
		var err error
		budgettest.Check(t, len(data), limit, func() { _, err = ceremony.ReadAnswer(data, request) })
		if err == nil && !bytes.Equal(data, answer) {
			t.Errorf("another answer is taken: %q", data)
		}
	})
}
