package jades

import (
	"context"
	"crypto"
	"crypto/rand"
	"crypto/sha256"
	"encoding/asn1"
	"errors"
	"fmt"
	"math/big"
	"slices"
	"strings"
	"testing"
	"time"

	"trustcore/internal/budget"
	"trustcore/internal/cms/cmstest"
	"trustcore/verify/cache"
	"trustcore/verify/signature"
)

func TestAlgorithms(t *testing.T) {
	for alg, kind := range map[string]string{"ES256": "p256", "ES384": "p384", "RS256": "rsa", "PS256": "rsa", "EdDSA": "ed25519", "Ed25519": "ed25519"} {
		t.Run(alg, func(t *testing.T) {
			id := cmstest.NewSigner(t, kind, "officer-1")
			h := strings.Replace(head(id), "ES256", alg, 1)
			input := url64([]byte(h)) + "." + url64([]byte(content))
			val := raw(t, id, input)
			if alg == "PS256" {
				val = pss(t, id, input)
			}
			s := only(t, input+"."+url64(val))
			if outcome(s) != "passes" || s.Format != signature.JAdES || s.Level != "B-B" {
				t.Errorf("%s, %s %s", outcome(s), s.Format, s.Level)
			}
			use := s.Algorithms[len(s.Algorithms)-1]
			if use.Purpose != "signature" || use.KeyBits == 0 || use.Algorithm == "none" {
				t.Errorf("%+v", use)
			}
			val[len(val)-1] ^= 1
			if got := told(t, input+"."+url64(val)); !strings.HasPrefix(got, "changed") {
				t.Errorf("another value: %s", got)
			}
		})
	}
}

// TestFacts: what the protected header says.
func TestFacts(t *testing.T) {
	id := officer(t)
	s := only(t, compact(t, id, head(id, `"sigPId":{"id":{"id":"urn:oid:1.2.3.4"},"digAlg":"S256","digVal":"AAAA"}`,
		`"srAts":[{"claimed":{"mediaType":"text/plain","qVals":["burmistrz","  Urząd\nMiasta "]}}]`)))
	if !s.SigningTime.Equal(cmstest.Now) || s.PolicyOID != "1.2.3.4" || !slices.Equal(s.Signatory.Roles, []string{"burmistrz", "Urząd Miasta"}) {
		t.Errorf("%v %q %q", s.SigningTime, s.PolicyOID, s.Signatory.Roles)
	}
	if r := s.References; len(r) != 1 || r[0].Type != "data" || !r[0].Full || r[0].Scope != "the whole payload" || !r[0].Intact {
		t.Errorf("%+v", r)
	}
	if !slices.Contains(s.Algorithms, signature.AlgorithmUse{Purpose: "signing-certificate", Algorithm: "SHA-256"}) || string(s.Signer) != string(id.Cert.Raw) {
		t.Errorf("%+v", s.Algorithms)
	}
	if got := told(t, compact(t, id, head(id, `"sigPId":{}`))); !strings.Contains(got, "sigPId without an identifier") {
		t.Error(got)
	}
	for exp, want := range map[string]string{"1772366401": "before 2026-03-01T12:00:01Z only", `"2026"`: "exp is no time"} {
		if notes := strings.Join(only(t, compact(t, id, head(id, `"exp":`+exp))).Notes, "; "); !strings.Contains(notes, want) {
			t.Errorf("exp %s: %q", exp, notes)
		}
	}
	for claim, want := range map[string]string{
		`"sigT":"2024-05-06T07:08:09Z"`: "2024-05-06T07:08:09Z", `"iat":1`: "1970-01-01T00:00:01Z", `"sigT":"6.5.2024"`: "", `"iat":1.5`: "1970-01-01T00:00:01Z", `"iat":-1`: "",
		`"iat":"1"`: "", `"iat":1713785785446`: "", `"iat":1,"sigT":"2024-05-06T07:08:09Z"`: "", `"sigT":1`: "",
	} {
		s := only(t, compact(t, id, object(`"alg":"ES256"`, thumb(id), chain(id), claim)))
		got := ""
		if !s.SigningTime.IsZero() {
			got = s.SigningTime.Format(time.RFC3339)
		}
		if got != want || (want == "") != (len(s.Notes) > 0) {
			t.Errorf("%s: %q, %q", claim, got, s.Notes)
		}
	}
}

// TestPolicyStore: the policy beside the signature is noted where it is not the one that is signed.
func TestPolicyStore(t *testing.T) {
	id := officer(t)
	sum := sha256.Sum256([]byte("polityka"))
	h := head(id, `"sigPId":{"id":{"id":"urn:oid:1.2.3.4"},"digAlg":"S256","digVal":"`+url64(sum[:])+`"}`)
	for text, noted := range map[string]bool{"polityka": false, "inna": true} {
		s := only(t, flat(t, id, h, etsiU(`{"sigPSt":{"sigPolDoc":"`+std64([]byte(text))+`"}}`)))
		if len(s.Notes) > 0 != noted || s.Level != "B-B" {
			t.Errorf("%q: %q, level %q", text, s.Notes, s.Level)
		}
	}
}

// TestBaseline: what is no B-B signature of TS 119 182-1 is a JWS, whose level has no name.
func TestBaseline(t *testing.T) {
	id := officer(t)
	store := etsiU(`{"sigPSt":{"sigPolDoc":"AAAA"}}`)
	for name, c := range map[string]struct {
		text string
		want bool
	}{
		"iat":                      {compact(t, id, head(id)), true},
		"sigT in its time":         {compact(t, id, object(`"alg":"ES256"`, thumb(id), chain(id), `"sigT":"2025-05-14T23:59:59Z"`)), true},
		"sigT after its time":      {compact(t, id, object(`"alg":"ES256"`, thumb(id), chain(id), `"sigT":"2025-05-15T00:00:00Z"`)), false},
		"no time":                  {compact(t, id, object(`"alg":"ES256"`, thumb(id), chain(id))), false},
		"a time with a fraction":   {compact(t, id, object(`"alg":"ES256"`, thumb(id), chain(id), `"iat":1772366400.5`)), true},
		"a time in words":          {compact(t, id, object(`"alg":"ES256"`, thumb(id), chain(id), `"iat":"1772366400"`)), false},
		"no reference in a list":   {compact(t, id, object(`"alg":"ES256"`, chain(id), claimed, `"sigX5ts":[]`)), false},
		"crit lists exp":           {compact(t, id, head(id, `"exp":1772366401`, `"crit":["exp"]`)), true},
		"x5c alone":                {compact(t, id, object(`"alg":"ES256"`, chain(id), claimed)), false},
		"two references":           {compact(t, id, head(id, `"x5t#o":{"digAlg":"S256","digVal":"`+url64(sha256Of(string(id.Cert.Raw)))+`"}`)), false},
		"crit misused":             {compact(t, id, head(id, `"crit":[]`)), false},
		"sigD not in crit":         {compact(t, id, head(id, `"sigD":{}`)), false},
		"a policy without digest":  {flat(t, id, head(id), store), false},
		"crit lists what is there": {flat(t, id, head(id, `"crit":["etsiU"]`), etsiU()), true},
	} {
		s := only(t, c.text)
		if want := map[bool]string{true: "JAdES B-B", false: "JWS "}[c.want]; string(s.Format)+" "+s.Level != want {
			t.Errorf("%s: %s %s, want %s", name, s.Format, s.Level, want)
		}
	}
}

// countersign makes the content of cSig.
func countersign(t testing.TB, id cmstest.Identity, payload string) string {
	t.Helper()
	h := object(`"alg":"ES256"`, thumb(id), chain(id), claimed)
	return fmt.Sprintf(`{"cSig":"%s..%s"}`, url64([]byte(h)), value(t, id, h, payload))
}

// valueOf is the text of the value of a flattened signature.
func valueOf(text string) string {
	_, text, _ = strings.Cut(text, `"signature":"`)
	text, _, _ = strings.Cut(text, `"`)
	return text
}

// with puts an unprotected header into a flattened signature.
func with(text string, unprotected ...string) string {
	return text[:len(text)-1] + `,"header":` + object(unprotected...) + "}"
}

func TestCounterSignatures(t *testing.T) {
	id, other := officer(t), officer(t)
	inner := flat(t, id, head(id))
	c := countersign(t, other, valueOf(inner))
	doc, err := open(t, with(inner, etsiU(c)))
	if err != nil || len(doc.Signatures) != 2 {
		t.Fatal(doc, err)
	}
	s, over := doc.Signatures[0], doc.Signatures[1]
	if outcome(s) != "passes" || outcome(over) != "passes" || over.CounterSignatureOf != s.ID || over.References[0].Type != "counter-signature" || over.Level != "B-B" {
		t.Errorf("%s, %s: %+v", outcome(s), outcome(over), over)
	}
	h := object(`"alg":"ES256"`, thumb(other), chain(other), claimed)
	full := fmt.Sprintf(`{"cSig":{"payload":%q,"protected":%q,"signature":%q}}`, valueOf(inner), url64([]byte(h)), value(t, other, h, valueOf(inner)))
	elsewhere := valueOf(flat(t, id, head(id)))
	transplanted := fmt.Sprintf(`{"cSig":{"payload":%q,"protected":%q,"signature":%q}}`, elsewhere, url64([]byte(h)), value(t, other, h, elsewhere))
	sigD := head(other, `"sigD":{"mId":"http://uri.etsi.org/19182/ObjectIdByURIHash","pars":["a"],"hashM":"S256","hashV":["AA"]}`, `"crit":["sigD"]`)
	for name, c := range map[string]struct{ property, want string }{
		"clear":                     {full, "passes | passes"},
		"over another value":        {countersign(t, other, "AAAA"), "passes | changed: signature value"},
		"over the data":             {countersign(t, other, url64([]byte(content))), "passes | changed: signature value"},
		"with a payload of its own": {strings.Replace(full, valueOf(inner), url64([]byte("inne")), 1), "passes | changed: signature value"},
		"of another signature":      {transplanted, "passes | changed: signature value"},
		"with sigD":                 {fmt.Sprintf(`{"cSig":"%s..%s"}`, url64([]byte(sigD)), value(t, other, sigD, "")), "a counter-signature with sigD"},
		"no signature":              {`{"cSig":"pismo"}`, "passes"},
		"two in one":                {`{"cSig":{"payload":"","signatures":[{},{}]}}`, "passes"},
		"none in one":               {`{"cSig":{"payload":"","signatures":[]}}`, "passes"},
	} {
		if got := told(t, with(inner, etsiU(c.property))); got != c.want && (c.want == "passes" || !strings.Contains(got, c.want)) {
			t.Errorf("%s: %s, want %q", name, got, c.want)
		}
	}
}

// TestNesting: counter-signatures of counter-signatures end somewhere, and that is said.
func TestNesting(t *testing.T) {
	id := officer(t)
	text := `{"protected":"e30","signature":"AA"}`
	for range maxNesting + 1 {
		text = `{"protected":"e30","signature":"AA","header":{"etsiU":[{"cSig":` + text + `}]}}`
	}
	doc, err := open(t, text)
	if err != nil || len(doc.Signatures) != maxNesting+1 || !strings.Contains(doc.Unchecked, "1 signatures beyond the limit") {
		t.Errorf("%+v, %v", doc, err)
	}
	doc, err = open(t, with(flat(t, id, head(id)), etsiU(slices.Repeat([]string{`{"cSig":{"protected":"e30","signature":"AA"}}`}, 300)...)))
	if err != nil || len(doc.Signatures) != maxSignatures || doc.Unchecked == "" {
		t.Errorf("%d, %v", len(doc.Signatures), err)
	}
}

// TestUnsigned: what etsiU must not be.
func TestUnsigned(t *testing.T) {
	id := officer(t)
	for _, r := range []row{
		{name: "no array", text: flat(t, id, head(id), `"etsiU":{"sigTst":{}}`), want: "passes"},
		{name: "an unknown property", text: flat(t, id, head(id), etsiU(`{"kwota":999120}`)), want: `constraint: the property "kwota" in etsiU`},
		{name: "two members", text: flat(t, id, head(id), etsiU(`{"xVals":[],"rVals":{}}`)), want: "no object of one member"},
		{name: "a name twice", text: flat(t, id, head(id), etsiU(`{"xVals":[],"xV\u0061ls":[]}`)), want: "occurs twice"},
		{name: "a name twice, deep", text: flat(t, id, head(id), etsiU(`{"rVals":{"crlVals":[],"crlVals":[]}}`)), want: "occurs twice"},
		{name: "a name twice, clear", text: flat(t, id, head(id), `"etsiU":[{"rVals":{"crlVals":[],"crlVals":[]}}]`), want: "occurs twice"},
		{name: "padding", text: flat(t, id, head(id), `"etsiU":["e30="]`), want: "an element of etsiU: no base64url"},
		{name: "a number", text: flat(t, id, head(id), `"etsiU":[1]`), want: "no object of one member"},
		{name: "much", text: flat(t, id, head(id), `"etsiU":[`+strings.Repeat("1,", maxItems)+`1]`), want: "more than 1024 properties"},
	} {
		r.run(t)
	}
}

// TestBudgetEnds: what a document costs beyond its budget is an error, or accuses no signature.
func TestBudgetEnds(t *testing.T) {
	id := officer(t)
	text := []byte(general(slices.Repeat([]string{flat(t, id, head(id))}, 20)...))
	for _, b := range []*budget.Budget{budget.Of(t.Context(), 0, 1<<20), budget.Of(t.Context(), 1<<40, 0)} {
		if doc, err := Open(b, text, nil); !errors.Is(err, budget.ErrExceeded) {
			t.Errorf("%v, %v", doc, err)
		}
	}
	doc, err := Open(budget.Of(t.Context(), 3_000_000, 20<<20), text, nil)
	if err != nil {
		t.Fatal(err)
	}
	if s := doc.Signatures[19]; s.Unchecked == "" || s.Intact || len(s.Structure) > 0 {
		t.Errorf("%+v", s)
	}
	canceled, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := Open(budget.New(canceled, 0), text, nil); !errors.Is(err, context.Canceled) {
		t.Error(err)
	}
}

func TestLooks(t *testing.T) {
	for text, want := range map[string]bool{
		"{": true, `{"a"`: true, "{\r\n \"": true, "{}": true, `{\rtf1`: false, "{a": false, "eyJhbGciOiJub25lIn0": true, "ewogICJhbGc.AA.AA": true, "": false, "[": false, "MIIB": false, "<xml/>": false,
		"eyJ hbGc": false, "estetyka": false, "e": false,
	} {
		if got := Looks([]byte(text)); got != want {
			t.Errorf("%q: %v", text, got)
		}
	}
}

// TestCurves: alg names the curve too, or a value could be passed off as one of another algorithm (RFC 7518, 3.4).
func TestCurves(t *testing.T) {
	id := cmstest.NewSigner(t, "p384", "officer-1")
	h := head(id) // ES256
	input := url64([]byte(h)) + "." + url64([]byte(content))
	sum := sha256.Sum256([]byte(input))
	der, err := id.Key.Sign(rand.Reader, sum[:], crypto.SHA256)
	if err != nil {
		t.Fatal(err)
	}
	var v struct{ R, S *big.Int }
	if _, err := asn1.Unmarshal(der, &v); err != nil {
		t.Fatal(err)
	}
	val := append(v.R.FillBytes(make([]byte, 48)), v.S.FillBytes(make([]byte, 48))...)
	if got := told(t, input+"."+url64(val)); !strings.HasPrefix(got, "not checked: alg is") {
		t.Errorf("a value of another curve: %q", got)
	}
}

// TestKeysAreSpent: who chose the keys chose the cost.
func TestKeysAreSpent(t *testing.T) {
	id := cmstest.NewSigner(t, "rsa", "officer-1")
	text := flat(t, id, strings.Replace(head(id), "ES256", "RS256", 1))
	spent := func(text string) int64 {
		b := budget.Of(t.Context(), 1<<40, 1<<30)
		if _, err := Open(b, []byte(text), nil); err != nil {
			t.Fatal(err)
		}
		return 1<<40 - b.Left()
	}
	none := strings.Replace(text, `"payload":"`+url64([]byte(content))+`",`, "", 1) // nothing to verify
	if key, more := cache.Of(t.Context()).KeyOf(id.Cert.Raw).Cost(), spent(text)-spent(none); more < key+perCertificate {
		t.Errorf("what keys cost is not spent: %d for a key that takes %d", more, key)
	}
}

// TestStraysAreNoWhole: what stands beside the payload unsigned keeps it from being called the whole.
func TestStraysAreNoWhole(t *testing.T) {
	id := officer(t)
	for _, text := range []string{`{"kwota":999120,` + flat(t, id, head(id))[1:], flat(t, id, head(id), `"kwota":999120`)} {
		if r := only(t, text).References[0]; r.Full || r.Scope == "the whole payload" {
			t.Errorf("%q", r.Scope)
		}
	}
}
