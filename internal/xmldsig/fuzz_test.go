package xmldsig

import (
	"bytes"
	"math/rand/v2"
	"testing"
)

var fuzzLimits = Limits{Size: 1 << 16, Nodes: 5_000, References: 16}

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
		d, err := Parse(data, fuzzLimits)
		if err != nil {
			return
		}
		for _, m := range canonicalizations {
			var first, second bytes.Buffer
			if err := d.WholeDocument().Canonical(&first, m); err != nil {
				continue
			}
			again, err := Parse(first.Bytes(), Limits{})
			if err != nil {
				t.Fatalf("the canonical form %q is not read: %v", first.Bytes(), err)
			}
			if err := again.WholeDocument().Canonical(&second, m); err != nil || !bytes.Equal(first.Bytes(), second.Bytes()) {
				t.Fatalf("canonical form changes: %q, then %q, %v", first.Bytes(), second.Bytes(), err)
			}
		}
	})
}

// FuzzSignature reads signatures out of anything and checks their references, XPath among them.
func FuzzSignature(f *testing.F) {
	for _, text := range templates {
		f.Add([]byte(text))
	}
	f.Add([]byte(xpathDocument))
	f.Fuzz(func(t *testing.T, data []byte) {
		d, err := Parse(data, fuzzLimits)
		if err != nil {
			return
		}
		for _, n := range d.Signatures() {
			s, err := ReadSignature(n)
			if err != nil {
				continue
			}
			_, _ = s.CanonicalSignedInfo()
			for _, r := range s.References {
				out, err := r.Check(func(string) ([]byte, error) { return data, nil })
				if err == nil && out.Nodes.Covers(d.Root()) && !out.Nodes.Has(d.Root()) {
					t.Fatal("a node is covered that is not in the set")
				}
			}
		}
	})
}

// FuzzXPath evaluates anything over a fixed document, within its budget.
func FuzzXPath(f *testing.F) {
	for _, e := range []string{`//b[@n=1]/d`, `count(//p:b | id('one')) mod 2 = 1`, `not(ancestor-or-self::p:b)`, `substring('12345', 2, 3)`} {
		f.Add(e)
	}
	d, err := Parse([]byte(xpathDocument), fuzzLimits)
	if err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, expression string) {
		e, err := parseXPath(expression, d.Root().Resolve)
		if err != nil {
			return
		}
		for i := range d.nodes {
			_, _ = newEvaluator(d, Node{}).eval(e, xcontext{xnode{i: int32(i)}, 1, 1})
		}
	})
}
