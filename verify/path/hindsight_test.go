package path_test

import (
	"crypto/rand"
	"crypto/x509"
	"encoding/asn1"
	"math/big"
	"testing"
	"time"

	"golang.org/x/crypto/ocsp"

	"trustcore/verify/certificate"
	"trustcore/verify/path"
	"trustcore/verify/revocation"
)

// noCheck makes a responder's certificate that goes without revocation.
var noCheck = with([]int{1, 3, 6, 1, 5, 5, 7, 48, 1, 5}, false, 5, 0)

func ocspSigning(c *x509.Certificate) {
	c.ExtKeyUsage = []x509.ExtKeyUsage{x509.ExtKeyUsageOCSPSigning}
}

// says makes an answer of the issuer with times of its own; a zero next leaves nextUpdate out.
func says(t *testing.T, e, issuer *entity, status int, this, next, revoked time.Time) *revocation.Response {
	t.Helper()
	der, err := ocsp.CreateResponse(issuer.std, issuer.std, ocsp.Response{Status: status, SerialNumber: e.std.SerialNumber,
		ThisUpdate: this, NextUpdate: next, RevokedAt: revoked}, issuer.key)
	if err != nil {
		t.Fatal(err)
	}
	response, err := revocation.ParseOCSP(der)
	if err != nil {
		t.Fatal(err)
	}
	return response
}

// lists makes a CRL with times of its own; a zero next leaves nextUpdate out, which the library does not.
func lists(t *testing.T, issuer *entity, this, next time.Time) *revocation.CRL {
	t.Helper()
	template := &x509.RevocationList{Number: big.NewInt(serial.Add(1)), ThisUpdate: this, NextUpdate: this.Add(time.Hour)}
	if !next.IsZero() {
		template.NextUpdate = next
	}
	der, err := x509.CreateRevocationList(rand.Reader, template, issuer.std, issuer.key)
	if err != nil {
		t.Fatal(err)
	}
	if next.IsZero() {
		der = withoutNextUpdate(t, der, issuer)
	}
	crl, err := revocation.ParseCRL(der)
	if err != nil {
		t.Fatal(err)
	}
	return crl
}

// withoutNextUpdate takes the field out and signs anew.
func withoutNextUpdate(t *testing.T, der []byte, issuer *entity) []byte {
	t.Helper()
	var whole struct {
		TBS struct {
			Version    int
			Algorithm  asn1.RawValue
			Issuer     asn1.RawValue
			ThisUpdate time.Time
			NextUpdate time.Time     `asn1:"optional"`
			Extensions asn1.RawValue `asn1:"optional,tag:0"`
		}
		Algorithm asn1.RawValue
		Value     asn1.BitString
	}
	if _, err := asn1.Unmarshal(der, &whole); err != nil {
		t.Fatal(err)
	}
	tbs, err := asn1.Marshal(struct {
		Version    int
		Algorithm  asn1.RawValue
		Issuer     asn1.RawValue
		ThisUpdate time.Time
		Extensions asn1.RawValue
	}{whole.TBS.Version, whole.TBS.Algorithm, whole.TBS.Issuer, whole.TBS.ThisUpdate, whole.TBS.Extensions})
	if err != nil {
		t.Fatal(err)
	}
	value := sign(t, issuer, tbs)
	der, err = asn1.Marshal(struct {
		TBS       asn1.RawValue
		Algorithm asn1.RawValue
		Value     asn1.BitString
	}{asn1.RawValue{FullBytes: tbs}, whole.Algorithm, asn1.BitString{Bytes: value, BitLength: 8 * len(value)}})
	if err != nil {
		t.Fatal(err)
	}
	return der
}

// TestEvidenceReadInHindsight judges at a day of the past by what is known now.
func TestEvidenceReadInHindsight(t *testing.T) {
	root := mint(t, nil, "root", nil, ca)
	leaf := mint(t, root, "leaf", nil)
	at, never := now.AddDate(0, -1, 0), time.Time{}
	hour, anyAge := time.Hour, revocation.AnyAge
	good := func(this, next time.Time) []*revocation.Response {
		return []*revocation.Response{says(t, leaf, root, ocsp.Good, this, next, never)}
	}
	revoked := func(when time.Time) []*revocation.Response {
		return []*revocation.Response{says(t, leaf, root, ocsp.Revoked, now.Add(-time.Hour), now.Add(time.Hour), when)}
	}
	for _, test := range []struct {
		name   string
		answer []*revocation.Response
		crl    *revocation.CRL
		ask    func(*path.RevocationRule)
		want   path.Code
		code   revocation.Code
	}{
		{name: "from after it", answer: good(at.Add(time.Hour), at.Add(2*time.Hour))},
		{name: "from before it, still serving", answer: good(at.Add(-time.Hour), at.Add(time.Hour))},
		{name: "run out before it", answer: good(at.Add(-2*time.Hour), at.Add(-time.Hour)), want: path.RevocationUnknown, code: revocation.Stale},
		{name: "without nextUpdate, of five seconds before", answer: good(at.Add(-5*time.Second), never)},
		{name: "without nextUpdate, of a day before", answer: good(at.Add(-24*time.Hour), never)},
		{name: "without nextUpdate, of more", answer: good(at.Add(-24*time.Hour-time.Second), never), want: path.RevocationUnknown, code: revocation.NoNextUpdate},
		{name: "without nextUpdate, from after it", answer: good(at.Add(time.Second), never)},
		{name: "without nextUpdate, the rule allows an hour", answer: good(at.Add(-time.Hour), never), ask: func(r *path.RevocationRule) { r.WithoutNextUpdate = hour }},
		{name: "without nextUpdate, and no more", answer: good(at.Add(-time.Hour-time.Second), never), ask: func(r *path.RevocationRule) { r.WithoutNextUpdate = hour },
			want: path.RevocationUnknown, code: revocation.NoNextUpdate},
		{name: "list without nextUpdate", crl: lists(t, root, at.Add(-time.Hour), never)},
		{name: "old list without nextUpdate", crl: lists(t, root, at.AddDate(0, 0, -2), never), want: path.RevocationUnknown, code: revocation.NoNextUpdate},
		{name: "list that ran out", crl: lists(t, root, at.AddDate(0, 0, -2), at.AddDate(0, 0, -1)), want: path.RevocationUnknown, code: revocation.Stale},
		{name: "not fresh, though still serving", answer: good(at.Add(-time.Hour), at.Add(time.Hour)), ask: func(r *path.RevocationRule) { r.Freshness = &hour },
			want: path.RevocationUnknown, code: revocation.NotFresh},
		{name: "of any age", answer: good(at.AddDate(0, -2, 0), at.AddDate(0, -1, -20)), ask: func(r *path.RevocationRule) { r.Freshness = &anyAge }},
		{name: "revoked before it", answer: revoked(at), want: path.Revoked},
		{name: "revoked after it", answer: revoked(at.Add(time.Second))},
		{name: "revoked after it, in a weak answer", answer: revoked(at.Add(time.Second)), ask: refuseAll, want: path.WeakEvidence, code: revocation.WeakAlgorithm},
		{name: "revoked before it, in a weak answer", answer: revoked(at), ask: refuseAll, want: path.Revoked},
		{name: "weak", answer: good(at.Add(time.Hour), at.Add(2*time.Hour)), ask: refuseAll, want: path.WeakEvidence, code: revocation.WeakAlgorithm},
		{name: "weak list", crl: lists(t, root, at.Add(time.Hour), at.Add(2*time.Hour)), ask: refuseAll, want: path.WeakEvidence, code: revocation.WeakAlgorithm},
		{name: "run out and weak", answer: good(at.Add(-2*time.Hour), at.Add(-time.Hour)), ask: refuseAll, want: path.RevocationUnknown, code: revocation.Stale},
	} {
		t.Run(test.name, func(t *testing.T) {
			rule := evidence(true, test.answer)
			if test.crl != nil {
				rule = evidence(true, nil, test.crl)
			}
			rule.KnownUntil = now
			if test.ask != nil {
				test.ask(rule)
			}
			r := validate(path.Request{Target: leaf.cert, Anchors: anchors(t, root), Time: at, Revocation: rule})
			wantCode(t, r, test.want)
			if got := r.Revocation[0]; test.code != "" && (got.Status != revocation.Invalid || got.Code != test.code) {
				t.Errorf("%s %q %s", got.Status, got.Code, got.Detail)
			}
			if sub := r.Reason().SubIndication(); test.want == path.WeakEvidence && sub != "CRYPTO_CONSTRAINTS_FAILURE_NO_POE" {
				t.Errorf("sub-indication %s", sub)
			}
		})
	}
}

func refuseAll(r *path.RevocationRule) {
	r.Acceptable = func(revocation.Use) (bool, string) { return false, "weak" }
}

// TestAlgorithmsOfEvidence are judged like those of certificates where the rule does not say otherwise, at the end of what is
// known: nothing proves that the evidence is older.
func TestAlgorithmsOfEvidence(t *testing.T) {
	root := mint(t, nil, "root", nil, ca)
	leaf := mint(t, root, "leaf", nil)
	at := now.AddDate(0, -1, 0)
	end := at.AddDate(0, 0, 7) // of the algorithm
	request := path.Request{Target: leaf.cert, Anchors: anchors(t, root), Time: at,
		Algorithm: func(name string, bits int, t time.Time) (bool, string) { return !t.After(end), name }}
	rule := evidence(true, nil, lists(t, root, at.Add(-time.Minute), at.Add(time.Hour)))
	request.Revocation = rule
	wantCode(t, validate(request), path.OK)
	rule.KnownUntil = now
	wantCode(t, validate(request), path.WeakEvidence)
	rule.KnownUntil = end
	wantCode(t, validate(request), path.OK)
	rule.KnownUntil = now
	var object [32]byte
	rule.Acceptable = func(u revocation.Use) (bool, string) { object = u.Object; return true, "" }
	r := validate(request)
	wantCode(t, r, path.OK)
	if object == [32]byte{} || object != r.Revocation[0].Evidence[0] {
		t.Errorf("asked about %x", object)
	}
}

// TestWhatIsKnownOfADelegate: a responder without id-pkix-ocsp-nocheck must be known to be good itself where revocation is
// required, and by somebody else.
func TestWhatIsKnownOfADelegate(t *testing.T) {
	root := mint(t, nil, "root", nil, ca)
	leaf := mint(t, root, "leaf", nil)
	first, second, third := mint(t, root, "first", nil, ocspSigning), mint(t, root, "second", nil, ocspSigning), mint(t, root, "third", nil, ocspSigning)
	exempt := mint(t, root, "exempt", nil, ocspSigning, noCheck)
	clean := list(t, root, nil)
	about := func(who, by *entity) *revocation.Response { return answer(t, who, root, by, ocsp.Good) }
	for _, test := range []struct {
		name     string
		required bool
		answers  []*revocation.Response
		crl      *revocation.CRL
		want     path.Code
	}{
		{"goes without", true, []*revocation.Response{about(leaf, exempt)}, nil, path.OK},
		{"nothing known", true, []*revocation.Response{about(leaf, first)}, nil, path.RevocationUnknown},
		{"nothing known, nor required", false, []*revocation.Response{about(leaf, first)}, nil, path.OK},
		{"by a list", true, []*revocation.Response{about(leaf, first)}, clean, path.OK},
		{"by the issuer", true, []*revocation.Response{about(leaf, first), about(first, root)}, nil, path.OK},
		{"by itself", true, []*revocation.Response{about(leaf, first), about(first, first)}, nil, path.RevocationUnknown},
		{"by one that goes without", true, []*revocation.Response{about(leaf, first), about(first, exempt)}, nil, path.OK},
		{"by another of whom nothing is known", true, []*revocation.Response{about(leaf, first), about(first, second)}, nil, path.RevocationUnknown},
		{"by another, who is known", true, []*revocation.Response{about(leaf, first), about(first, second), about(second, root)}, nil, path.OK},
		{"by one who is known by one more", true, []*revocation.Response{about(leaf, first), about(first, second), about(second, third), about(third, root)}, nil, path.RevocationUnknown},
		{"in a ring", true, []*revocation.Response{about(leaf, first), about(first, second), about(second, first)}, nil, path.RevocationUnknown},
	} {
		t.Run(test.name, func(t *testing.T) {
			rule := &path.RevocationRule{Required: test.required, Evidence: func(q *revocation.Question) ([]*revocation.Response, []*revocation.CRL) {
				if test.crl != nil && q.Certificate.Fingerprint != leaf.cert.Fingerprint {
					return nil, []*revocation.CRL{test.crl}
				}
				return test.answers, nil
			}}
			wantCode(t, validate(path.Request{Target: leaf.cert, Anchors: anchors(t, root), Revocation: rule}), test.want)
		})
	}
}

// TestRespondersOfTheRule are found though they are in no pool and no answer.
func TestRespondersOfTheRule(t *testing.T) {
	root := mint(t, nil, "root", nil, ca)
	leaf := mint(t, root, "leaf", nil)
	local := mint(t, nil, "local", nil)
	template := ocsp.Response{Status: ocsp.Good, SerialNumber: leaf.std.SerialNumber, ThisUpdate: now.Add(-time.Hour), NextUpdate: now.Add(time.Hour)}
	der, err := ocsp.CreateResponse(root.std, local.std, template, local.key) // without the certificate
	if err != nil {
		t.Fatal(err)
	}
	response, err := revocation.ParseOCSP(der)
	if err != nil {
		t.Fatal(err)
	}
	rule := evidence(true, []*revocation.Response{response})
	request := path.Request{Target: leaf.cert, Anchors: anchors(t, root), Revocation: rule}
	rule.LocalResponder = func(c *certificate.Certificate) bool { return c.Fingerprint == local.cert.Fingerprint }
	wantCode(t, validate(request), path.RevocationUnknown)
	rule.Responders = []*certificate.Certificate{local.cert}
	wantCode(t, validate(request), path.OK)
	rule.LocalResponder = nil
	wantCode(t, validate(request), path.RevocationUnknown)
}

// TestWhoNeedsNoEvidence: the issuer's word for a certificate's whole life counts for signers, and for no CA; that a
// responder goes without revocation is about its answers alone.
func TestWhoNeedsNoEvidence(t *testing.T) {
	assured := with([]int{0, 4, 0, 194121, 2, 1}, false, 5, 0)
	for _, test := range []struct {
		name   string
		middle func(*x509.Certificate)
		leaf   func(*x509.Certificate)
		about  int // the certificate of which the lists say nothing
		want   path.Code
	}{
		{"validity assured", nil, assured, 0, path.OK},
		{"a CA's validity assured", assured, nil, 1, path.RevocationUnknown},
		{"ocsp-nocheck of a signer", nil, noCheck, 0, path.RevocationUnknown},
		{"ocsp-nocheck of a responder that signs documents", nil, both(ocspSigning, noCheck), 0, path.RevocationUnknown},
		{"ocsp-nocheck of a CA", noCheck, nil, 1, path.RevocationUnknown},
	} {
		t.Run(test.name, func(t *testing.T) {
			root := mint(t, nil, "root", nil, ca)
			middle := mint(t, root, "middle", nil, both(ca, orNone(test.middle)))
			leaf := mint(t, middle, "leaf", nil, orNone(test.leaf))
			crls := []*revocation.CRL{list(t, middle, nil), list(t, root, nil)}
			rule := evidence(true, nil, append(crls[:test.about:test.about], crls[test.about+1:]...)...)
			rule.ShortTerm = true
			wantCode(t, validate(path.Request{Target: leaf.cert, Pool: pool(middle), Anchors: anchors(t, root), Revocation: rule}), test.want)
		})
	}
}

func orNone(change func(*x509.Certificate)) func(*x509.Certificate) {
	if change == nil {
		return func(*x509.Certificate) {}
	}
	return change
}

// TestTheStrictProfileReachesEvidence has an answer that was produced a day before what it says.
func TestTheStrictProfileReachesEvidence(t *testing.T) {
	keyID := func(c *x509.Certificate) { c.SubjectKeyId = []byte{1} }
	root := mint(t, nil, "root", nil, ca, keyID)
	leaf := mint(t, root, "leaf", nil, keyID)
	early := says(t, leaf, root, ocsp.Good, now.AddDate(0, 0, 1), now.AddDate(0, 0, 2), time.Time{}) // produced a day before
	request := path.Request{Target: leaf.cert, Anchors: anchors(t, root), Time: now.AddDate(0, 0, 1).Add(time.Hour),
		Revocation: evidence(true, []*revocation.Response{early})}
	wantCode(t, validate(request), path.OK)
	request.Profile = path.ProfileStrict
	r := validate(request)
	wantCode(t, r, path.RevocationUnknown)
	if len(r.Revocation) == 0 || r.Revocation[0].Code != revocation.NotStrict {
		t.Errorf("%v", r.Revocation)
	}
}
