package path_test

import (
	"crypto/x509"
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

// TestAlgorithmsOfEvidence are judged like those of certificates where the rule does not say otherwise.
func TestAlgorithmsOfEvidence(t *testing.T) {
	root := mint(t, nil, "root", nil, ca)
	leaf := mint(t, root, "leaf", nil)
	asked := 0
	request := path.Request{Target: leaf.cert, Anchors: anchors(t, root), Revocation: evidence(true, nil, list(t, root, nil)),
		Algorithm: func(name string, _ int, _ time.Time) (bool, string) { asked++; return asked < 3, name }} // certificate, key, then the list
	wantCode(t, validate(request), path.WeakEvidence)
	var object [32]byte
	request.Revocation.Acceptable = func(u revocation.Use) (bool, string) { object = u.Object; return true, "" }
	asked = 0
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
