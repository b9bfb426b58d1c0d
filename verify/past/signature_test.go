package past_test

import (
	"context"
	"crypto/sha256"
	"crypto/x509"
	"testing"
	"time"

	"trustcore/verify/algorithm"
	"trustcore/verify/certificate"
	"trustcore/verify/past"
	"trustcore/verify/path"
	"trustcore/verify/revocation"
)

// TestSignature has the branches of EN 319 102-1 5.6.2.4. The signature is stamped at the given time; validation is in
// 2018, after the target expired.
func TestSignature(t *testing.T) {
	w := newWorld(t)
	now := on(2018, 6, 1)
	value := past.Digest(sha256.Sum256([]byte("signature value")))
	cas := list(t, w.root, on(2018, 5, 20), on(2018, 6, 20))
	clean := list(t, w.middle, on(2013, 6, 1), on(2013, 7, 1))
	revokedLeaf := list(t, w.middle, on(2013, 6, 1), on(2013, 7, 1), mark{w.leaf, on(2012, 3, 1), revocation.KeyCompromise})
	heldLeaf := list(t, w.middle, on(2013, 6, 1), on(2013, 7, 1), mark{w.leaf, on(2012, 3, 1), revocation.CertificateHold})
	revokedCA := list(t, w.root, on(2018, 5, 20), on(2018, 6, 20), mark{w.middle, on(2013, 6, 15), revocation.CACompromise})
	stale := func(crl *revocation.CRL) *revocation.Result {
		return &revocation.Result{Status: revocation.Good, ThisUpdate: crl.ThisUpdate, NextUpdate: crl.NextUpdate}
	}
	weak := func(until time.Time) []past.Use { return []past.Use{{Algorithm: "SHA1", Until: until, Object: value}} }
	sub := func(s string) past.Current { return past.Current{SubIndication: s} }
	const passed, failed, open = past.Passed, past.Failed, past.Indeterminate
	type lists = []*revocation.CRL
	for _, test := range []struct {
		name    string
		now     past.Current
		stamped time.Time // zero: not at all
		crls    lists
		want    past.Indication
		sub     string
	}{
		{"revoked after the stamp", sub(past.RevokedNoPOE), on(2012, 2, 1), lists{cas, revokedLeaf}, passed, ""},
		{"revoked at the second of the stamp", sub(past.RevokedNoPOE), on(2012, 3, 1), lists{cas, revokedLeaf}, passed, ""},
		{"revoked before the stamp", sub(past.RevokedNoPOE), on(2012, 3, 2), lists{cas, revokedLeaf}, open, past.RevokedNoPOE},
		{"revoked, no stamp", sub(past.RevokedNoPOE), time.Time{}, lists{cas, revokedLeaf}, open, past.RevokedNoPOE},
		{"revoked, stamped before the certificate", sub(past.RevokedNoPOE), on(2009, 3, 1), lists{cas, revokedLeaf}, failed, past.SignatureNotYetValid},
		{"expired after the stamp", sub(past.OutOfBoundsNoPOE), on(2012, 2, 1), lists{cas, clean}, passed, ""},
		{"expired and known not to be revoked", sub(past.OutOfBoundsNotRevoked), on(2012, 2, 1), lists{cas, clean}, passed, ""},
		{"stamped after the evidence", sub(past.OutOfBoundsNotRevoked), on(2013, 8, 1), lists{cas, clean}, open, past.OutOfBoundsNotRevoked},
		{"stamped after expiry", sub(past.OutOfBoundsNoPOE), on(2015, 1, 1), lists{cas, clean}, open, past.OutOfBoundsNoPOE},
		{"expired, stamped before the certificate", sub(past.OutOfBoundsNoPOE), on(2009, 2, 1), lists{cas, clean}, failed, past.SignatureNotYetValid},
		{"expired, no evidence from before", sub(past.OutOfBoundsNoPOE), on(2012, 2, 1), lists{cas}, open, past.OutOfBoundsNoPOE},
		{"on hold after the stamp", past.Current{SubIndication: past.TryLater, Suspended: true}, on(2012, 2, 1), lists{cas, heldLeaf}, passed, ""},
		{"on hold before the stamp", past.Current{SubIndication: past.TryLater, Suspended: true}, on(2012, 4, 1), lists{cas, heldLeaf}, open, past.TryLater},
		{"not fresh today, fresh at the stamp", past.Current{SubIndication: past.TryLater, Stale: stale(clean)}, on(2013, 6, 20), lists{cas, clean}, passed, ""},
		{"not fresh at the stamp", past.Current{SubIndication: past.TryLater, Stale: stale(clean)}, on(2013, 7, 20), lists{cas, clean}, open, past.TryLater},
		{"not fresh, and no evidence", sub(past.TryLater), on(2013, 6, 20), lists{cas, clean}, open, past.TryLater},
		{"CA revoked, everything proven before", sub(past.RevokedCANoPOE), on(2012, 2, 1), lists{revokedCA, clean}, passed, ""},
		{"CA revoked, stamped after", sub(past.RevokedCANoPOE), on(2013, 6, 16), lists{revokedCA, clean}, open, past.RevokedCANoPOE},
		{"no chain today", sub(past.NoChainNoPOE), on(2012, 2, 1), lists{cas, clean}, passed, ""},
		{"signer of the evidence out of time", sub(past.RevocationOutOfBounds), on(2012, 2, 1), lists{cas, clean}, passed, ""},
		{"weak today, strong at the stamp", past.Current{SubIndication: past.CryptoConstraintsNoPOE, Weak: weak(on(2012, 8, 1))}, on(2012, 8, 1), lists{cas, clean}, passed, ""},
		{"weak at the stamp", past.Current{SubIndication: past.CryptoConstraintsNoPOE, Weak: weak(on(2012, 8, 1))}, on(2012, 8, 2), lists{cas, clean}, open, past.CryptoConstraintsNoPOE},
		{"weak, and revoked before the stamp", past.Current{SubIndication: past.CryptoConstraintsNoPOE, Weak: weak(on(2012, 8, 1))}, on(2012, 4, 1), lists{cas, revokedLeaf}, open, past.CryptoConstraintsNoPOE},
		{"never strong", past.Current{SubIndication: past.CryptoConstraintsNoPOE, Weak: weak(time.Time{})}, on(2012, 2, 1), lists{cas, clean}, open, past.CryptoConstraintsNoPOE},
		{"weak, stamped before the certificate", past.Current{SubIndication: past.CryptoConstraintsNoPOE, Weak: weak(on(2012, 8, 1))}, on(2009, 1, 1), lists{cas, clean}, failed, past.SignatureNotYetValid},
		{"weak, and not said what", sub(past.CryptoConstraintsNoPOE), on(2012, 2, 1), lists{cas, clean}, open, past.CryptoConstraintsNoPOE},
		{"what no proof can settle", sub("SIG_CONSTRAINTS_FAILURE"), on(2012, 2, 1), lists{cas, clean}, open, "SIG_CONSTRAINTS_FAILURE"},
	} {
		t.Run(test.name, func(t *testing.T) {
			r := w.request(t, now, test.crls...)
			prove(&r, on(2013, 6, 10), test.crls[1:]...)
			if !test.stamped.IsZero() {
				r.Existence = r.Existence.With(test.stamped, value)
			}
			d := past.Signature(context.Background(), value, test.now, r)
			if d.Indication != test.want || d.SubIndication != test.sub || (d.Detail == "") != (d.Indication == past.Passed) {
				t.Errorf("%s %q (%s), want %s %q", d.Indication, d.SubIndication, d.Detail, test.want, test.sub)
			}
		})
	}
}

// TestSignatureWindow: a stamp from before the anchor counted settles nothing.
func TestSignatureWindow(t *testing.T) {
	w := newWorld(t)
	value := past.Digest(sha256.Sum256([]byte("signature value")))
	r := w.request(t, on(2018, 6, 1), list(t, w.root, on(2018, 5, 20), on(2018, 6, 20)), list(t, w.middle, on(2013, 6, 1), on(2013, 7, 1)))
	r.Existence = r.Existence.With(on(2012, 2, 1), value)
	r.Anchor.NotBefore = on(2012, 5, 1)
	d := past.Signature(context.Background(), value, past.Current{SubIndication: past.OutOfBoundsNoPOE}, r)
	if d.Indication != past.Indeterminate || d.SubIndication != past.NoChainNoPOE {
		t.Errorf("%s %s (%s)", d.Indication, d.SubIndication, d.Detail)
	}
}

// TestSignersOfEvidence has evidence that is proven only after the CA that signed it had expired.
func TestSignersOfEvidence(t *testing.T) {
	w := newWorld(t)
	now := on(2022, 6, 1)
	value := past.Digest(sha256.Sum256([]byte("signature value")))
	cas, leafs := list(t, w.root, on(2019, 12, 20), on(2020, 1, 20)), list(t, w.middle, on(2013, 6, 1), on(2013, 7, 1))
	r := w.request(t, now, cas, leafs)
	r.Existence = r.Existence.With(on(2012, 2, 1), value).With(on(2019, 12, 1), w.leaf.cert.Fingerprint, w.middle.cert.Fingerprint).With(on(2019, 12, 25), cas.Digest())
	current := past.Current{SubIndication: past.OutOfBoundsNoPOE}
	if d := past.Signature(context.Background(), value, current, r); d.Indication == past.Passed {
		t.Errorf("without a proof of the leaf's evidence: %s", d.Indication)
	}
	long := 10 * 365 * 24 * time.Hour // the CA's list is fresh in 2022, so that control-time stays until the leaf's is asked
	r.Freshness = &long
	d := past.Signature(context.Background(), value, current, r)
	if d.Indication != past.Indeterminate || d.SubIndication != past.RevocationOutOfBounds {
		t.Errorf("%s %s (%s), want %s", d.Indication, d.SubIndication, d.Detail, past.RevocationOutOfBounds)
	}
	listed := r
	listed.Prepare = func(q *revocation.Question) {
		q.LocalResponder = func(c *certificate.Certificate) bool { return c.Fingerprint == w.middle.cert.Fingerprint }
	}
	if d := past.Signature(context.Background(), value, current, listed); d.Indication != past.Passed {
		t.Errorf("of a signer trusted by configuration: %s %s (%s)", d.Indication, d.SubIndication, d.Detail)
	}
	r.Existence = r.Existence.With(on(2019, 12, 31), leafs.Digest())
	if d := past.Signature(context.Background(), value, current, r); d.Indication != past.Passed {
		t.Errorf("with a proof: %s %s (%s)", d.Indication, d.SubIndication, d.Detail)
	}
}

// TestHarmlessCARevocation: in the chain model control-time stays, yet what is known of the target must be older than the
// CA's revocation.
func TestHarmlessCARevocation(t *testing.T) {
	w := newWorld(t)
	value := past.Digest(sha256.Sum256([]byte("signature value")))
	then := on(2013, 6, 10)
	leafs := list(t, w.middle, on(2013, 6, 1), on(2013, 7, 1))
	r := w.request(t, then, list(t, w.root, on(2013, 6, 8), on(2013, 7, 1), mark{w.middle, on(2013, 6, 5), revocation.Superseded}), leafs)
	r.Model, r.Existence = past.Chain, r.Existence.With(on(2013, 6, 9), value)
	for _, test := range []struct {
		proven time.Time
		want   past.Indication
	}{{on(2013, 6, 6), past.Indeterminate}, {on(2013, 6, 5), past.Passed}} {
		r.Existence = r.Existence.With(test.proven, leafs.Digest())
		if d := past.Signature(context.Background(), value, past.Current{SubIndication: past.RevokedCANoPOE}, r); d.Indication != test.want {
			t.Errorf("proven %v: %s (%s), want %s", test.proven, d.Indication, d.Detail, test.want)
		}
	}
}

// TestCertificate has the demands on the path that are not about time and revocation, and chains without a common time.
func TestCertificate(t *testing.T) {
	w := newWorld(t)
	now := on(2018, 6, 1)
	// The second CA was issued in the last year of the first, and issued the leaf after its end.
	first := mint(t, w.root, "first", on(2002, 1, 1), on(2006, 1, 1), ca)
	second := mint(t, first, "second", on(2005, 1, 1), on(2015, 1, 1), ca)
	leaf := mint(t, second, "leaf", on(2008, 1, 1), on(2017, 1, 1))
	late := mint(t, w.root, "late", on(2002, 1, 1), on(2004, 1, 1), ca)
	orphan := mint(t, late, "orphan", on(2008, 1, 1), on(2017, 1, 1))
	plain := mint(t, w.root, "no CA", on(2008, 1, 1), on(2020, 1, 1), func(c *x509.Certificate) { c.KeyUsage = x509.KeyUsageCRLSign })
	below := mint(t, plain, "below", on(2010, 1, 1), on(2014, 1, 1))
	chain := func(list ...*entity) (certs []*certificate.Certificate) {
		for _, e := range list {
			certs = append(certs, e.cert)
		}
		return certs
	}
	for _, test := range []struct {
		name   string
		chain  []*certificate.Certificate
		model  past.Model
		change func(r *past.Request)
		want   past.Code
		sub    string
	}{
		{"valid path", w.chain(), past.Shell, nil, past.NoProof, past.NoPOE}, // so far: the evidence is empty
		{"no common time, shell", chain(leaf, second, first), past.Shell, nil, past.Expired, past.OutOfBoundsNoPOE},
		{"no common time, chain", chain(leaf, second, first), past.Chain, nil, past.NoProof, past.NoPOE},
		{"issued after the CA's end, chain", chain(orphan, late), past.Chain, nil, past.Expired, past.OutOfBoundsNoPOE},
		{"issuer is no CA", chain(below, plain), past.Shell, nil, past.PathInvalid, "CERTIFICATE_CHAIN_GENERAL_FAILURE"},
		{"another name", w.chain(), past.Shell, func(r *past.Request) { r.Path.Name = &path.ReferenceName{DNS: "example.org"} }, past.PathInvalid, "CHAIN_CONSTRAINTS_FAILURE"},
		{"anchor ended before the certificates began", w.chain(), past.Shell, func(r *past.Request) { r.Anchor.NotAfter = on(2005, 1, 1) }, past.AnchorOutOfTime, past.NoChainNoPOE},
		{"other anchor", chain(w.leaf), past.Shell, nil, past.PathInvalid, "NO_CERTIFICATE_CHAIN_FOUND"},
		{"no chain", nil, past.Shell, nil, past.PathInvalid, "CERTIFICATE_CHAIN_GENERAL_FAILURE"},
		{"the anchor itself", chain(w.root), past.Shell, nil, past.OK, ""},
		{"the anchor at the end", append(w.chain(), w.root.cert), past.Shell, nil, past.NoProof, past.NoPOE},
	} {
		t.Run(test.name, func(t *testing.T) {
			r := w.request(t, now)
			r.Chain, r.Model, r.Suitable = test.chain, test.model, algorithm.Suitable
			if test.change != nil {
				test.change(&r)
			}
			if _, why := past.Certificate(context.Background(), r); why.Code != test.want || why.SubIndication != test.sub {
				t.Errorf("%v %s, want %v %s", why, why.SubIndication, test.want, test.sub)
			}
		})
	}
}
