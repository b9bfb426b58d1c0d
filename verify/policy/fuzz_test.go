package policy

import (
	"testing"
	"time"

	"trustcore/internal/budget/budgettest"
)

// fuzzLimit is what reading one file may cost.
var fuzzLimit = budgettest.Limit{Time: 20 * time.Millisecond, TimeAnOctet: 20 * time.Microsecond, Alloc: 4 << 20, AllocAnOctet: 8 << 10}

// FuzzParse reads a file in our form; what is read is the same once written and read again, and keeps every floor.
func FuzzParse(f *testing.F) {
	f.Add([]byte(minimal()))
	f.Add([]byte("{\"Name\": \"a\", \"Cryptographic\": {\"Keys\": {\"RSA\": {\"3000\": \"no end\"}}}}"))
	f.Add([]byte("a: &b [*b, *b]\n? [c]\n: {<<: *b}\n"))
	f.Fuzz(func(t *testing.T, data []byte) { fuzzRead(t, data, Parse) })
}

// FuzzParseDSS does the same with DSS's form.
func FuzzParseDSS(f *testing.F) {
	f.Add([]byte(dssMinimal()))
	f.Add([]byte(`<ConstraintsParameters xmlns="` + dssNamespace + `"><!----><a/>&#65;<![CDATA[x]]></ConstraintsParameters>`))
	f.Fuzz(func(t *testing.T, data []byte) { fuzzRead(t, data, ParseDSS) })
}

func fuzzRead(t *testing.T, data []byte, parse func([]byte) (*Policy, error)) {
	if len(data) > MaxFile+1 {
		return
	}
	var p *Policy
	var err error
	budgettest.Check(t, len(data), fuzzLimit, func() { p, err = parse(data) })
	if err != nil {
		return
	}
	for _, r := range rules {
		if p.Level(r.context, r.name) < r.floor {
			t.Fatalf("%s is below its floor", r.path)
		}
	}
	source, err := p.Source()
	if err != nil {
		t.Fatal(err)
	}
	for _, form := range [][]byte{source, p.Canonical()} {
		again, err := Parse(form)
		if err != nil {
			t.Fatalf("%v\n%s", err, form)
		}
		if again.Digest() != p.Digest() {
			t.Fatalf("another digest:\n%s", form)
		}
	}
}
