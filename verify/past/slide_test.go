package past_test

import (
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"testing"
	"time"

	"golang.org/x/crypto/ocsp"

	"trustcore/verify/algorithm"
	"trustcore/verify/certificate"
	"trustcore/verify/past"
	"trustcore/verify/path"
	"trustcore/verify/revocation"
)

// wantControl fails unless the chain slides to the time, or for a zero time unless it fails for the reason.
func wantControl(t *testing.T, r past.Request, to time.Time, code past.Code, position int) past.Control {
	t.Helper()
	control, why := past.Slide(r)
	switch {
	case why.Code != code || code != past.OK && why.Position != position:
		t.Errorf("reason %v, want %v of %d", why, code, position)
	case code == past.OK && !control.Time.Equal(to):
		t.Errorf("control-time %v, want %v; %v", control.Time, to, control.Steps)
	case code != past.OK && why.SubIndication != past.NoPOE:
		t.Errorf("sub-indication %s", why.SubIndication)
	}
	return control
}

// TestSlide has one rule of EN 319 102-1 5.6.2.2 a row. The CA's list is fresh at the time of validation.
func TestSlide(t *testing.T) {
	w := newWorld(t)
	now, then := on(2018, 6, 1), on(2013, 6, 10)
	cas := func(at time.Time, marks ...mark) *revocation.CRL {
		return list(t, w.root, at.AddDate(0, 0, -10), at.AddDate(0, 0, 20), marks...)
	}
	leafs := func(this time.Time, marks ...mark) *revocation.CRL {
		return list(t, w.middle, this, this.AddDate(0, 1, 0), marks...)
	}
	compromised := func(e *entity, at time.Time) mark { return mark{e, at, revocation.KeyCompromise} }
	superseded := func(e *entity, at time.Time) mark { return mark{e, at, revocation.Superseded} }
	held := func(at time.Time) mark { return mark{w.leaf, at, revocation.CertificateHold} }
	type lists = []*revocation.CRL
	none := time.Time{}
	for _, test := range []struct {
		name     string
		at       time.Time
		model    past.Model
		crls     lists
		want     time.Time
		code     past.Code
		position int
	}{
		{"everything is fresh", then, 0, lists{cas(then), leafs(on(2013, 6, 1))}, then, past.OK, 0},
		{"not fresh: back to the issue of the evidence", now, 0, lists{cas(now), leafs(on(2013, 6, 1))}, on(2013, 6, 1), past.OK, 0},
		{"the newest evidence counts", now, 0, lists{cas(now), leafs(on(2012, 1, 1)), leafs(on(2013, 6, 1))}, on(2013, 6, 1), past.OK, 0},
		{"revocation data from after expiry says nothing", now, 0, lists{cas(now), leafs(on(2018, 5, 25))}, none, past.NoProof, 0},
		{"and the data from before it serves still", now, 0, lists{cas(now), leafs(on(2018, 5, 25)), leafs(on(2013, 6, 1))}, on(2013, 6, 1), past.OK, 0},
		{"nothing about the target", now, 0, lists{cas(now)}, none, past.NoProof, 0},
		{"nothing about the CA", now, 0, lists{leafs(on(2013, 6, 1))}, none, past.NoProof, 1},
		{"issued at control-time is too late", then, 0, lists{cas(then), leafs(then)}, none, past.NoProof, 0},
		{"issued before the certificate", then, 0, lists{cas(then), leafs(on(2009, 12, 31))}, none, past.NoProof, 0},

		{"revoked: back to the revocation", now, 0, lists{cas(now), leafs(on(2013, 6, 1), compromised(w.leaf, on(2012, 3, 1)))}, on(2012, 3, 1), past.OK, 0},
		{"revoked and told after expiry", now, 0, lists{cas(now), leafs(on(2018, 5, 25), compromised(w.leaf, on(2012, 3, 1)))}, on(2012, 3, 1), past.OK, 0},
		{"a later list that forgets the revocation", then, 0, lists{cas(then), leafs(on(2013, 5, 1), superseded(w.leaf, on(2012, 3, 1))), leafs(on(2013, 6, 1))}, on(2012, 3, 1), past.OK, 0},
		{"a date to come moves nothing forward", then, 0, lists{cas(then), leafs(on(2013, 6, 1), superseded(w.leaf, on(2019, 1, 1)))}, then, past.OK, 0},
		{"on hold: back to the hold", then, 0, lists{cas(then), leafs(on(2013, 6, 1), held(on(2013, 3, 1)))}, on(2013, 3, 1), past.OK, 0},
		{"a lifted hold", then, 0, lists{cas(then), leafs(on(2013, 4, 1), held(on(2013, 3, 1))), leafs(on(2013, 6, 1))}, then, past.OK, 0},

		{"CA revoked, later evidence about the target", now, 0, lists{cas(now, compromised(w.middle, on(2012, 6, 1))), leafs(on(2012, 6, 2))}, none, past.NoProof, 0},
		{"CA revoked, earlier evidence without a proof", now, 0, lists{cas(now, compromised(w.middle, on(2012, 6, 1))), leafs(on(2012, 5, 20))}, none, past.NoProof, 0},
		{"CA revoked in the chain model", then, past.Chain, lists{cas(then, compromised(w.middle, on(2012, 6, 1))), leafs(on(2013, 6, 1))}, none, past.NoProof, 0},
		{"CA revoked for no known reason in the chain model", then, past.Chain, lists{cas(then, mark{w.middle, on(2012, 6, 1), revocation.Unspecified}), leafs(on(2013, 6, 1))}, none, past.NoProof, 0},
		{"CA superseded in the chain model", then, past.Chain, lists{cas(then, superseded(w.middle, on(2012, 6, 1))), leafs(on(2013, 6, 1))}, then, past.OK, 0},
		{"CA superseded in the shell model", then, past.Shell, lists{cas(then, superseded(w.middle, on(2012, 6, 1))), leafs(on(2013, 6, 1))}, none, past.NoProof, 0},
		{"CA superseded before it issued, in the chain model", then, past.Chain, lists{cas(then, superseded(w.middle, on(2009, 6, 1))), leafs(on(2013, 6, 1))}, none, past.NoProof, 0},
		{"target superseded in the chain model", then, past.Chain, lists{cas(then), leafs(on(2013, 6, 1), superseded(w.leaf, on(2012, 3, 1)))}, on(2012, 3, 1), past.OK, 0},
	} {
		t.Run(test.name, func(t *testing.T) {
			r := w.request(t, test.at, test.crls...)
			r.Model = test.model
			wantControl(t, r, test.want, test.code, test.position)
		})
	}
}

// TestSlideNeedsProofs revokes the CA in 2012: what is known of the target must be proven to be older.
func TestSlideNeedsProofs(t *testing.T) {
	w := newWorld(t)
	now, end := on(2018, 6, 1), on(2012, 6, 1)
	cas := list(t, w.root, on(2018, 5, 20), on(2018, 6, 20), mark{w.middle, end, revocation.KeyCompromise})
	leafs := list(t, w.middle, on(2012, 5, 20), on(2012, 6, 20))
	for _, test := range []struct {
		name        string
		leaf, crl   time.Time
		want        past.Code
		controlTime time.Time
	}{
		{"both in time", on(2012, 5, 21), on(2012, 5, 22), past.OK, end},
		{"both at the last moment", end, end, past.OK, end},
		{"evidence too late", on(2012, 5, 21), end.Add(time.Second), past.NoProof, time.Time{}},
		{"certificate too late", end.Add(time.Second), on(2012, 5, 22), past.NoProof, time.Time{}},
	} {
		r := w.request(t, now, cas, leafs)
		r.Existence = r.Existence.With(test.leaf, w.leaf.cert.Fingerprint).With(test.crl, leafs.Digest())
		control := wantControl(t, r, test.controlTime, test.want, 0)
		if test.want == past.OK && (len(control.Steps) != 1 || control.Steps[0].Position != 1 || control.Evidence[0].Status != revocation.Good) {
			t.Errorf("%s: steps %v, evidence %v", test.name, control.Steps, control.Evidence)
		}
	}
}

// TestSlideFromSunset starts where the anchor ceased to count.
func TestSlideFromSunset(t *testing.T) {
	w := newWorld(t)
	sunset := on(2013, 1, 1)
	cas, leafs := list(t, w.root, on(2012, 12, 20), on(2013, 1, 20)), list(t, w.middle, on(2012, 12, 25), on(2013, 1, 25))
	r := w.request(t, on(2018, 6, 1), cas, leafs)
	r.Anchor.NotAfter = sunset
	wantControl(t, r, time.Time{}, past.NoProof, 1)
	prove(&r, on(2012, 12, 30), cas, leafs)
	control := wantControl(t, r, sunset, past.OK, 0)
	if len(control.Steps) != 1 || control.Steps[0].Position != 2 || control.Steps[0].Certificate != nil {
		t.Errorf("steps %v", control.Steps)
	}
	r.Anchor.NotAfter = on(2030, 1, 1)
	wantControl(t, r, time.Time{}, past.NoProof, 0) // back to the CA's list at once, from before the proofs
}

// TestSlideToAlgorithm ends with the last day of the weakest algorithm of the certificates and their evidence.
func TestSlideToAlgorithm(t *testing.T) {
	with := func(a x509.SignatureAlgorithm) func(*x509.Certificate) {
		return func(c *x509.Certificate) { c.SignatureAlgorithm = a }
	}
	root := mint(t, nil, "root", on(2000, 1, 1), on(2030, 1, 1), ca)
	sha1 := mint(t, root, "old", on(2010, 1, 1), on(2014, 1, 1), with(x509.ECDSAWithSHA1))
	sha384 := mint(t, root, "new", on(2010, 1, 1), on(2014, 1, 1), with(x509.ECDSAWithSHA384))
	then := on(2013, 6, 10)
	crl := list(t, root, on(2013, 6, 1), on(2013, 7, 1))
	ending := func(name string, until time.Time, listed bool) func(string, int) algorithm.Suitability {
		return func(algo string, bits int) algorithm.Suitability {
			if algo != name || bits != 256 {
				return algorithm.Suitability{Listed: true}
			}
			return algorithm.Suitability{Listed: listed, Until: until, Reason: "table"}
		}
	}
	for _, test := range []struct {
		name     string
		leaf     *entity
		suitable func(string, int) algorithm.Suitability
		want     time.Time
		code     past.Code
	}{
		{"no table", sha1, nil, then, past.OK},
		{"the last day of SHA-1", sha1, algorithm.Suitable, on(2012, 8, 1), past.OK},
		{"SHA-384 has none", sha384, algorithm.Suitable, then, past.OK},
		{"the evidence's", sha384, ending("ECDSA-SHA256", on(2013, 2, 1), true), on(2013, 2, 1), past.OK},
		{"one to come", sha384, ending("ECDSA-SHA384", on(2020, 1, 1), true), then, past.OK},
		{"never reliable", sha384, ending("ECDSA-SHA384", time.Time{}, false), time.Time{}, past.Unreliable},
	} {
		w := world{root: root, leaf: test.leaf, middle: root} // the anchor's certificate is passed over
		r := w.request(t, then, crl)
		r.Suitable = test.suitable
		t.Run(test.name, func(t *testing.T) { wantControl(t, r, test.want, test.code, 0) })
	}
}

// TestSlideShortTerm needs no evidence about a certificate for which none is published.
func TestSlideShortTerm(t *testing.T) {
	w := newWorld(t)
	w.leaf = mint(t, w.middle, "short", on(2013, 6, 1), on(2013, 6, 20), func(c *x509.Certificate) {
		c.ExtraExtensions = []pkix.Extension{{Id: asn1.ObjectIdentifier{0, 4, 0, 194121, 2, 1}, Value: []byte{5, 0}}}
	})
	then := on(2013, 6, 10)
	r := w.request(t, then, list(t, w.root, on(2013, 6, 1), on(2013, 7, 1)))
	wantControl(t, r, time.Time{}, past.NoProof, 0)
	r.ShortTerm = true
	wantControl(t, r, then, past.OK, 0)
	w.leaf = mint(t, w.middle, "responder", on(2013, 6, 1), on(2013, 6, 20), func(c *x509.Certificate) {
		c.ExtraExtensions = []pkix.Extension{{Id: asn1.ObjectIdentifier{1, 3, 6, 1, 5, 5, 7, 48, 1, 5}, Value: []byte{5, 0}}} // ocsp-nocheck
	})
	r = w.request(t, then, list(t, w.root, on(2013, 6, 1), on(2013, 7, 1)))
	r.ShortTerm = true
	wantControl(t, r, time.Time{}, past.NoProof, 0)
}

// TestSlideByOCSP lies in the future, since responses are minted with the real time in them.
func TestSlideByOCSP(t *testing.T) {
	root := mint(t, nil, "root", on(2000, 1, 1), on(2049, 1, 1), ca)
	other := mint(t, nil, "root", on(2000, 1, 1), on(2049, 1, 1), ca)
	leaf := mint(t, root, "leaf", on(2000, 1, 1), on(2044, 1, 1))
	w := world{root: root, leaf: leaf, middle: root}
	day := 24 * time.Hour
	now, fresh, old := on(2045, 1, 10), on(2045, 1, 9), on(2043, 5, 1)
	for _, test := range []struct {
		name      string
		responses []*revocation.Response
		freshness *time.Duration
		want      time.Time
		code      past.Code
	}{
		{"good before expiry", []*revocation.Response{answer(t, leaf, root, ocsp.Good, old, old.Add(day))}, nil, old, past.OK},
		{"no longer known after expiry", []*revocation.Response{answer(t, leaf, root, ocsp.Unknown, fresh, fresh.Add(day)), answer(t, leaf, root, ocsp.Good, old, old.Add(day))}, nil, old, past.OK},
		{"not known before expiry", []*revocation.Response{answer(t, leaf, root, ocsp.Unknown, old.Add(day), old.Add(2*day)), answer(t, leaf, root, ocsp.Good, old, old.Add(day))}, nil, time.Time{}, past.NoProof},
		{"revoked", []*revocation.Response{answer(t, leaf, root, ocsp.Good, old.Add(day), old.Add(2*day)), answer(t, leaf, root, ocsp.Revoked, old, old.Add(day))}, nil, old, past.OK},
		{"signed by another key", []*revocation.Response{answer(t, leaf, other, ocsp.Good, old, old.Add(day))}, nil, time.Time{}, past.NoProof},
		{"without nextUpdate", []*revocation.Response{answer(t, leaf, root, ocsp.Good, old, time.Time{})}, nil, old, past.OK},
	} {
		t.Run(test.name, func(t *testing.T) {
			r := w.request(t, now)
			r.Evidence = func(*revocation.Question) ([]*revocation.Response, []*revocation.CRL) { return test.responses, nil }
			r.Freshness = test.freshness
			wantControl(t, r, test.want, test.code, 0)
		})
	}
	long := 700 * day
	r := w.request(t, on(2044, 12, 1))
	r.Freshness = &long
	r.Evidence = func(*revocation.Question) ([]*revocation.Response, []*revocation.CRL) {
		return []*revocation.Response{answer(t, leaf, root, ocsp.Good, old, time.Time{})}, nil
	}
	wantControl(t, r, on(2044, 12, 1), past.OK, 0)
	r.Anchor.NotAfter = on(2043, 6, 1) // the answer is older, and unlike the certificate not proven to be
	r.Existence = r.Existence.With(on(2043, 5, 2), leaf.cert.Fingerprint)
	wantControl(t, r, time.Time{}, past.NoProof, 0)
}

// TestPrepare lets the caller name a CRL issuer with another key.
func TestPrepare(t *testing.T) {
	w := newWorld(t)
	second := mint(t, w.root, "middle", on(2008, 1, 1), on(2020, 1, 1), ca)
	then := on(2013, 6, 10)
	r := w.request(t, then, list(t, w.root, on(2013, 6, 1), on(2013, 7, 1)), list(t, second, on(2013, 6, 1), on(2013, 7, 1)))
	wantControl(t, r, time.Time{}, past.NoProof, 0)
	r.Prepare = func(q *revocation.Question) {
		q.CRLIssuers = path.NewPool(second.cert, w.middle.cert).Named
		q.Trusted = func(signer *certificate.Certificate) error { return nil }
		q.Time, q.Skew = on(2030, 1, 1), time.Hour // has no effect
		q.Acceptable = func(revocation.Use) (bool, string) { return false, "that neither" }
	}
	wantControl(t, r, then, past.OK, 0)
	soon := list(t, second, then.Add(time.Minute), on(2013, 7, 1))
	early := w.request(t, then, list(t, w.root, on(2013, 6, 1), on(2013, 7, 1)), soon)
	early.Prepare = r.Prepare
	wantControl(t, early, time.Time{}, past.NoProof, 0)
}

// TestSlideRefusesWhatIsMissing has one part of the request missing in turn.
func TestSlideRefusesWhatIsMissing(t *testing.T) {
	w := newWorld(t)
	for name, change := range map[string]func(r *past.Request){
		"chain":    func(r *past.Request) { r.Chain = nil },
		"anchor":   func(r *past.Request) { r.Anchor = nil },
		"time":     func(r *past.Request) { r.Time = time.Time{} },
		"evidence": func(r *past.Request) { r.Evidence = nil },
	} {
		r := w.request(t, on(2013, 6, 10))
		change(&r)
		if _, why := past.Slide(r); why.Code != past.PathInvalid {
			t.Errorf("without %s: %v", name, why)
		}
	}
	r := w.request(t, on(2013, 6, 10), list(t, w.root, on(2013, 6, 1), on(2013, 7, 1)))
	r.Existence = past.Existence{}
	wantControl(t, r, time.Time{}, past.NoProof, 1)
}
