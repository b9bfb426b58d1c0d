package jades

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"trustcore/internal/budget"
	"trustcore/internal/budget/budgettest"
	"trustcore/internal/cms/cmstest"
	"trustcore/verify/signature"
)

// limit is what a document may cost.
var limit = budgettest.Limit{Time: 2500 * time.Millisecond, TimeAnOctet: 20 * time.Nanosecond, Alloc: 96 << 20, AllocAnOctet: 6}

// TestCost opens documents of about a megabyte that are built to cost as much as can be: many of what is dear, and
// lists of which each member of one meets each of the other.
func TestCost(t *testing.T) {
	if testing.Short() {
		t.Skip("large documents")
	}
	id, tsu := officer(t), cmstest.NewTSU(t, "p256", "TSU 1")
	large := cmstest.NewSigner(t, "rsa", "officer-2")
	text := flat(t, id, head(id))
	token := tsu.Stamp(t, []byte(valueOf(text)), cmstest.Now)
	many := func(n int, property string) string {
		return with(text, `"etsiU":[`+strings.Repeat(property+",", n-1)+property+`]`)
	}
	twins := strings.Repeat(`{"x509Cert":{"val":"`+std64(id.Cert.Raw)+`"}},`, 1000) + `{}`
	refs := strings.Repeat(digestOf(id.Cert.Raw)+",", 2000) + "{}"
	arcTst := func(n int) string {
		return `{"arcTst":{"canonAlg":"http://json-canonicalization.org/algorithm","tstTokens":[` +
			strings.Repeat(`{"val":"`+std64(token)+`"},`, n) + `{}]}}`
	}
	names := strings.Repeat(`{"digAlg":"S256","digVal":"AA"},`, maxCertDigests-1) + `{"digAlg":"S256","digVal":"AA"}`
	pars := strings.Repeat(`"a.txt",`, maxDataObjects-1) + `"a.txt"`
	for name, c := range map[string]struct {
		text  string
		files []signature.Detached
	}{
		"256 time-stamps":                       {text: many(250, stampOf("sigTst", token))},
		"tokens in one":                         {text: many(1, stampOf("sigTst", slices.Repeat([][]byte{token}, 500)...))},
		"archive time-stamps over each other":   {text: many(60, arcTst(4))},
		"archive time-stamps over a payload":    {text: strings.Replace(many(1, arcTst(250)), url64([]byte(content)), strings.Repeat("AAAA", 250_000), 1)},
		"twins of the certificate":              {text: many(1, `{"xVals":[`+twins+`]}`)},
		"references to twins":                   {text: with(text, `"etsiU":[{"xVals":[`+twins+`]},{"xRefs":[`+refs+`]},`+stampOf("rfsTst", slices.Repeat([][]byte{token}, 100)...)+`]`)},
		"digests against twins":                 {text: with(flat(t, id, object(`"alg":"ES256"`, `"sigX5ts":[`+names+`]`)), `"etsiU":[{"xVals":[`+twins+`]}]`)},
		"256 signatures":                        {text: general(slices.Repeat([]string{flat(t, large, strings.Replace(head(large), "ES256", "RS256", 1))}, 256)...)},
		"counter-signatures":                    {text: many(1000, countersign(t, id, valueOf(text)))},
		"signatures over a large payload":       {text: strings.Replace(general(slices.Repeat([]string{text}, 200)...), url64([]byte(content)), strings.Repeat("AAAA", 250_000), 1)},
		"one large file under many names":       {text: detachedBy(t, id, pars), files: []signature.Detached{{Name: "a.txt", Content: make([]byte, 1<<20)}}},
		"unknown members":                       {text: `{` + unknown(60_000) + text[1:]},
		"unknown header parameters in both":     {text: with(flat(t, id, head(id, unknown(30_000)+`"x":1`)), strings.ReplaceAll(unknown(30_000), "u", "v")+`"y":1`)},
		"unknown header parameters":             {text: with(text, unknown(60_000)+`"x":1`)},
		"a payload for an algorithm in a piece": {text: ed25519(t, 1<<20)},
	} {
		t.Run(name, func(t *testing.T) {
			outcome := ""
			budgettest.Check(t, len(c.text), limit, func() {
				doc, err := Open(budget.New(t.Context(), len(c.text)), []byte(c.text), c.files)
				if outcome = fmt.Sprint(err); err == nil {
					outcome = fmt.Sprintf("%d signatures, %q", len(doc.Signatures), doc.Signatures[0].Unchecked)
				}
			})
			t.Logf("%d kB: %s", len(c.text)>>10, outcome)
		})
	}
}

func unknown(n int) string {
	var b strings.Builder
	for i := range n {
		fmt.Fprintf(&b, `"u%06d":0,`, i)
	}
	return b.String()
}

func detachedBy(t *testing.T, id cmstest.Identity, pars string) string {
	t.Helper()
	h := head(id, `"sigD":{"mId":"http://uri.etsi.org/19182/ObjectIdByURI","pars":[`+pars+`]}`, `"crit":["sigD"]`)
	return url64([]byte(h)) + ".." + value(t, id, h, "")
}

func ed25519(t *testing.T, size int) string {
	t.Helper()
	id := cmstest.NewSigner(t, "ed25519", "officer-1")
	h, payload := strings.Replace(head(id), "ES256", "EdDSA", 1), url64(make([]byte, size))
	return url64([]byte(h)) + "." + payload + "." + value(t, id, h, payload)
}

// TestLarge: a document of 100 MB is read where it lies.
func TestLarge(t *testing.T) {
	if testing.Short() {
		t.Skip("a large document")
	}
	id := officer(t)
	payload := strings.Repeat("AAAA", 25<<20)
	text := []byte(url64([]byte(head(id))) + "." + payload + "." + value(t, id, head(id), payload))
	budgettest.Check(t, len(text), budgettest.Limit{Time: 4 * time.Second, Alloc: 8 << 20}, func() {
		doc, err := Open(budget.New(t.Context(), len(text)), text, nil)
		if err != nil || outcome(doc.Signatures[0]) != "passes" {
			t.Error(err)
		}
	})
}

// fuzzLimit is what a small document may cost: some public-key operations, and much room.
var fuzzLimit = budgettest.Limit{Time: 300 * time.Millisecond, TimeAnOctet: 50 * time.Microsecond, Alloc: 4 << 20, AllocAnOctet: 1 << 11}

// FuzzOpen reads documents; what is fuzzed are headers and properties, which are encoded for it.
func FuzzOpen(f *testing.F) {
	id := officer(f)
	f.Add([]byte(flat(f, id, head(id))), []byte(`{"alg":"ES256"}`), []byte(`{"xVals":[{"x509Cert":{"val":"MAA="}}]}`))
	f.Add([]byte(`{}`), []byte(head(id, `"crit":["sigD"]`, `"sigD":{"mId":"http://uri.etsi.org/19182/ObjectIdByURI","pars":["a"]}`)), []byte(`{"cSig":"AA.AA.AA"}`))
	f.Add([]byte(`AA.AA.AA`), []byte(`{"alg":"none","b64":false,"iat":1e3}`), []byte(`{"arcTst":{"canonAlg":"","tstTokens":[{"val":"MAA="}]}}`))
	f.Fuzz(func(t *testing.T, data, header, property []byte) {
		made := fmt.Appendf(nil, `{"payload":"e30","protected":%q,"signature":"AAAA","header":{"etsiU":[%q]}}`, url64(header), url64(property))
		files := []signature.Detached{{Name: "a", Content: []byte(content)}, {Name: "b"}}[:len(data)%3]
		for _, text := range [][]byte{data, made} {
			budgettest.Check(t, len(text), fuzzLimit, func() {
				doc, err := Open(budget.New(t.Context(), len(text)), text, files)
				if err != nil {
					return
				}
				for _, s := range doc.Signatures {
					if s.Intact && s.Signer == nil || s.ID == "" || s.ReferencesIntact() && !s.Intact {
						t.Fatalf("%+v", s)
					}
				}
			})
		}
	})
}
