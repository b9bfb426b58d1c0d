package xmldsig

import (
	"bytes"
	"math/rand/v2"
	"testing"
	"time"

	"trustcore/internal/budget"
	"trustcore/internal/budget/budgettest"
)

// fuzzLimits gives an input so much budget, and fuzzLimit is what it may cost with it: fuzzing makes code several
// times slower.
func fuzzLimits(t *testing.T) Limits {
	return Limits{Size: 1 << 16, Nodes: 5_000, References: 16, Budget: budget.Of(t.Context(), fuzzWork, 8<<20)}
}

const fuzzWork = 20_000_000

var fuzzLimit = budgettest.Limit{Time: 15 * fuzzWork, TimeAnOctet: time.Microsecond, Alloc: 5 * fuzzWork, AllocAnOctet: 100}

// FuzzParse reads anything. What is read must come back the same from its canonical form.
func FuzzParse(f *testing.F) {
	for text := range refused {
		f.Add([]byte(text))
	}
	m := minted{rand.New(rand.NewPCG(3, 4))}
	for range 4 {
		f.Add([]byte(m.document()))
	}
	f.Add([]byte("\xFF\xFE<\x00a\x00/\x00>\x00"))
	f.Fuzz(func(t *testing.T, data []byte) {
		budgettest.Check(t, len(data), fuzzLimit, func() {
			d, err := Parse(data, fuzzLimits(t))
			if err != nil {
				return
			}
			for _, m := range canonicalizations {
				sameAgain(t, d, m)
			}
		})
	})
}

// sameAgain reads the canonical form of a document: it must be its own.
func sameAgain(t *testing.T, d *Document, m Canonicalization) {
	var first, second bytes.Buffer
	if err := d.WholeDocument().Canonical(&first, m); err != nil {
		return
	}
	again, err := Parse(first.Bytes(), Limits{})
	if err != nil {
		t.Fatalf("the canonical form %q is not read: %v", first.Bytes(), err)
	}
	if err := again.WholeDocument().Canonical(&second, m); err != nil || !bytes.Equal(first.Bytes(), second.Bytes()) {
		t.Fatalf("canonical form changes: %q, then %q, %v", first.Bytes(), second.Bytes(), err)
	}
}

// FuzzSignature reads signatures out of anything and checks their references, XPath among them.
func FuzzSignature(f *testing.F) {
	for _, text := range templates {
		f.Add([]byte(text))
	}
	f.Add([]byte(xpathDocument))
	f.Fuzz(func(t *testing.T, data []byte) {
		budgettest.Check(t, len(data), fuzzLimit, func() {
			d, err := Parse(data, fuzzLimits(t))
			if err != nil {
				return
			}
			for _, n := range d.Signatures() {
				checkAll(t, d, n, data)
			}
		})
	})
}

func checkAll(t *testing.T, d *Document, n Node, data []byte) {
	s, err := ReadSignature(n)
	if err != nil {
		return
	}
	_, _ = s.CanonicalSignedInfo()
	for _, r := range s.References {
		out, err := r.Check(func(string) ([]byte, error) { return data, nil })
		if err == nil && out.Nodes.Covers(d.Root()) && !out.Nodes.Has(d.Root()) {
			t.Fatal("a node is covered that is not in the set")
		}
		if whole := out.Nodes.Whole(); whole && d.budget.Err() == nil && !out.Nodes.Covers(d.Root()) {
			t.Fatal("the whole, and not its root")
		}
	}
}

// FuzzXPath evaluates anything over a fixed document, within its budget.
func FuzzXPath(f *testing.F) {
	for _, e := range []string{`//b[@n=1]/d`, `count(//p:b | id('one')) mod 2 = 1`, `not(ancestor-or-self::p:b)`, `substring('12345', 2, 3)`} {
		f.Add(e)
	}
	f.Fuzz(func(t *testing.T, expression string) {
		budgettest.Check(t, len(expression), fuzzLimit, func() {
			d, err := Parse([]byte(xpathDocument), fuzzLimits(t))
			if err != nil {
				t.Fatal(err)
			}
			e, err := parseXPath(expression, d.Root().Resolve)
			if err != nil {
				return
			}
			for i := range d.nodes {
				_, _ = newEvaluator(d, Node{}).eval(e, xcontext{xnode{i: int32(i)}, 1, 1})
			}
		})
	})
}
