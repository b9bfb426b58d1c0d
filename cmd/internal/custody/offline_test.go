package custody_test

import (
	"bytes"
	"crypto/x509"
	"encoding/json"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"trustcore/cmd/internal/custody"
	"trustcore/pki"
	"trustcore/pki/ceremony"
	"trustcore/pki/ceremony/ceremonytest"
	"trustcore/verify/certificate"
	"trustcore/verify/path"
)

var two = []string{"officer-1", "officer-3"}

// belowPlan is the plan of a first issuing authority below a root on another machine.
func belowPlan() []byte {
	return []byte(strings.NewReplacer("@NUMBER@", "1").Replace(string(ceremony.DefaultSuccession(url, 1)) +
		"time_stamping: {label: tsa-1, algorithm: P-256, common_name: Demonstration TSU 1, valid: 5y}\n"))
}

// rootMachine is a state of a root alone, with a token of its own.
func rootMachine(t *testing.T, name string) *custody.Custody {
	t.Helper()
	c := open(t, new(atomic.Int64))
	plan, err := ceremony.ParseRoot(ceremonytest.RootPlan(url))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := c.PerformRoot(t.Context(), plan, name); err != nil {
		t.Fatal(err)
	}
	return c
}

// carry has a root answer a machine's request, by way of a stick and paper.
func carry(t *testing.T, to, root *custody.Custody, planText []byte, parse func([]byte) (*ceremony.Plan, error), cross string) []byte {
	t.Helper()
	plan, err := parse(planText)
	if err != nil {
		t.Fatal(err)
	}
	request, err := to.Ask(t.Context(), plan, planText, cross)
	if err != nil {
		t.Fatal(err)
	}
	answer, err := root.Grant(t.Context(), request, ceremony.Digest(request), two)
	if err != nil {
		t.Fatal(err)
	}
	return answer
}

// TestOfflineRootOverAStick makes an authority below a root whose token is elsewhere, starts without that, and has a second root certify
// it beside; whatever was swapped, replayed or done by one person is refused.
func TestOfflineRootOverAStick(t *testing.T) {
	root, second := rootMachine(t, "root"), rootMachine(t, "root-2")
	c := open(t, new(atomic.Int64))
	plan, err := ceremony.ParseBelow(belowPlan())
	if err != nil {
		t.Fatal(err)
	}
	request, err := c.Ask(t.Context(), plan, belowPlan(), "")
	if err != nil {
		t.Fatal(err)
	}
	if again, err := c.Ask(t.Context(), plan, belowPlan(), ""); err != nil || !bytes.Equal(again, request) {
		t.Errorf("asked again it is another request: %v", err)
	}
	swapped := bytes.Replace(request, []byte("this machine"), []byte("that machine"), 1)
	for what, grant := range map[string]func() ([]byte, error){
		"want digest":   func() ([]byte, error) { return root.Grant(t.Context(), swapped, ceremony.Digest(request), two) },
		"write the SHA": func() ([]byte, error) { return root.Grant(t.Context(), request, "", two) },
		"none of the": func() ([]byte, error) {
			return root.Grant(t.Context(), request, ceremony.Digest(request), []string{"officer-1", "Jan"})
		},
		"name two": func() ([]byte, error) {
			return root.Grant(t.Context(), request, ceremony.Digest(request), []string{"officer-1", " officer-1"})
		},
		"key is not here": func() ([]byte, error) { return c.Grant(t.Context(), request, ceremony.Digest(request), two) },
	} {
		if _, err := grant(); err == nil || !strings.Contains(err.Error(), strings.TrimPrefix(what, "want ")) && what != "key is not here" {
			t.Errorf("%s: %v", what, err)
		}
	}
	answer, err := root.Grant(t.Context(), request, ceremony.Digest(request), two)
	if err != nil {
		t.Fatal(err)
	}
	if again, err := root.Grant(t.Context(), request, ceremony.Digest(request), two); err != nil || !bytes.Equal(again, answer) {
		t.Errorf("the same request has another answer: %v", err)
	}
	wantImport := func(what string, answer []byte, digest string, by []string, text string) {
		t.Helper()
		if _, _, err := c.Import(t.Context(), answer, digest, by); err == nil || !strings.Contains(err.Error(), text) {
			t.Errorf("%s: %v; want %q", what, err, text)
		}
	}
	forged := forge(t, answer)
	wantImport("a swapped file", forged, ceremony.Digest(answer), two, "not the one on paper")
	wantImport("a forged file with a forged paper", forged, ceremony.Digest(forged), two, "the signature is not the root's")
	wantImport("one person", answer, ceremony.Digest(answer), []string{"officer-3", "OFFICER-3"}, "none of the plan's")
	wantImport("one person twice", answer, ceremony.Digest(answer), []string{"officer-3", "officer-3"}, "name two different")
	if _, first, err := c.Import(t.Context(), answer, ceremony.Digest(answer), two); err != nil || !first {
		t.Fatalf("first %v, %v", first, err)
	}
	wantImport("again", answer, ceremony.Digest(answer), two, "no request waits")

	ca := run(t, c, "it serves without the root's key", func() bool { return true })
	if err := c.IssueIdentity(t.Context(), ca, pki.Officer, pki.Subject{CommonName: "officer-1"}, t.TempDir(), "officer-1"); err != nil {
		t.Fatal(err)
	}
	list, err := root.NextRootList(t.Context(), time.Now().AddDate(0, 0, 200), nil, 0)
	if err != nil {
		t.Fatal(err)
	}
	if err := ca.TakeRootList(t.Context(), officer, list); err != nil {
		t.Error(err)
	}

	crossed := carry(t, c, second, belowPlan(), ceremony.ParseBelow, "issuing")
	wantImport("an old answer", answer, ceremony.Digest(answer), two, "to another request")
	if _, first, err := c.Import(t.Context(), crossed, ceremony.Digest(crossed), two); err != nil || first {
		t.Fatalf("first %v, %v", first, err)
	}
	ca = run(t, c, "it has two roots", func() bool { return true })
	if i := ca.Issuers(); len(ca.Authorities()) != 4 || len(i) != 1 || len(i[0].Roots) != 2 {
		t.Errorf("%d certificates; %+v", len(ca.Authorities()), i)
	}
	next := carry(t, c, root, ceremony.DefaultSuccession(url, 2), ceremony.ParseSuccession, "")
	if _, first, err := c.Import(t.Context(), next, ceremony.Digest(next), two); err != nil || first {
		t.Fatalf("first %v, %v", first, err)
	}
	ca = run(t, c, "a second authority issues", func() bool { return true })
	if name := ca.IssuesFor(pki.Seals); name != "issuing-2" {
		t.Errorf("%q issues", name)
	}
}

// forge changes the name of the root in an answer, as an attacker writes it.
func forge(t *testing.T, answer []byte) []byte {
	t.Helper()
	var a ceremony.Answer
	if err := json.Unmarshal(answer, &a); err != nil {
		t.Fatal(err)
	}
	a.Name = "root-2"
	text, err := json.MarshalIndent(a, "", "  ")
	if err != nil {
		t.Fatal(err)
	}
	return append(text, '\n')
}

// TestAnotherRootUnderTheSameName is refused: who has the stick and the paper still brings no second "root".
func TestAnotherRootUnderTheSameName(t *testing.T) {
	root, other := rootMachine(t, "root"), rootMachine(t, "root")
	c := open(t, new(atomic.Int64))
	first := carry(t, c, root, belowPlan(), ceremony.ParseBelow, "")
	if _, _, err := c.Import(t.Context(), first, ceremony.Digest(first), two); err != nil {
		t.Fatal(err)
	}
	next := carry(t, c, other, ceremony.DefaultSuccession(url, 2), ceremony.ParseSuccession, "")
	if _, _, err := c.Import(t.Context(), next, ceremony.Digest(next), two); err == nil || !strings.Contains(err.Error(), "not the one that is here as root") {
		t.Errorf("another root: %v", err)
	}
}

// TestRootsCertifyEachOtherOverAStick has two roots certify each other beside an authority that is there: relying parties with either root
// alone verify what its holders show by our own path building, old certificates and new ones.
func TestRootsCertifyEachOtherOverAStick(t *testing.T) {
	c, second := open(t, new(atomic.Int64)), rootMachine(t, "root-2")
	plan, err := ceremony.Parse(ceremony.Default(url))
	if err != nil {
		t.Fatal(err)
	}
	made, err := c.Perform(t.Context(), plan)
	if err != nil {
		t.Fatal(err)
	}
	take := func(root *custody.Custody, planText []byte, cross string) *ceremony.Granted {
		t.Helper()
		answer := carry(t, c, root, planText, ceremony.ParseRequested, cross)
		granted, first, err := c.Import(t.Context(), answer, ceremony.Digest(answer), two)
		if err != nil || first {
			t.Fatalf("first %v, %v", first, err)
		}
		return granted
	}
	if _, err := c.Ask(t.Context(), parsed(t, ceremonytest.RootPlan(url)), ceremonytest.RootPlan(url), ""); err == nil ||
		!strings.Contains(err.Error(), "it is about a root") {
		t.Errorf("an authority by a root's plan: %v", err)
	}
	other := take(second, ceremony.Default(url), "root").Root
	take(c, ceremonytest.RootPlan(url), "root-2")
	take(second, ceremony.DefaultSuccession(url, 2), "")
	ca, dir := run(t, c, "it serves with both roots", func() bool { return true }), t.TempDir()
	if err := c.IssueIdentity(t.Context(), ca, pki.Officer, pki.Subject{CommonName: "officer-1"}, dir, "officer-1"); err != nil {
		t.Fatal(err)
	}
	young, err := custody.ReadCertificate(filepath.Join(dir, "officer-1.pem"))
	if err != nil {
		t.Fatal(err)
	}
	for _, leaf := range []*x509.Certificate{made.TimeStamping.Certificate, young} {
		shown, err := ca.Chain(leaf)
		if err != nil {
			t.Fatal(err)
		}
		for _, root := range []*x509.Certificate{made.Root.Certificate, other} {
			if result := pathTo(t, root, leaf, shown); !result.Valid {
				t.Errorf("%s with %s alone: %v", leaf.Subject.CommonName, root.Subject.CommonName, result.Reasons)
			}
		}
	}
}

func parsed(t *testing.T, text []byte) *ceremony.Plan {
	t.Helper()
	plan, err := ceremony.ParseRequested(text)
	if err != nil {
		t.Fatal(err)
	}
	return plan
}

// pathTo has our own path building verify a certificate by what is shown, with one root alone, whose constraints count.
func pathTo(t *testing.T, root, leaf *x509.Certificate, shown [][]byte) path.Result {
	t.Helper()
	read := func(der []byte) *certificate.Certificate {
		c, err := certificate.Parse(der)
		if err != nil {
			t.Fatal(err)
		}
		return c
	}
	anchor, err := path.AnchorFrom(read(root.Raw))
	if err != nil {
		t.Fatal(err)
	}
	anchor.Constraints, anchor.BasicConstraints, anchor.Validity = true, true, true
	anchors, err := path.NewAnchors(anchor)
	if err != nil {
		t.Fatal(err)
	}
	var heap []*certificate.Certificate
	for _, der := range shown {
		heap = append(heap, read(der))
	}
	return path.Validate(t.Context(), path.Request{Target: read(leaf.Raw), Pool: path.NewPool(heap...), Anchors: anchors, Time: time.Now()})
}
