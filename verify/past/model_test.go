package past_test

import (
	"testing"
	"time"

	"trustcore/verify/past"
	"trustcore/verify/path"
	"trustcore/verify/revocation"
)

func good(this time.Time) revocation.Result {
	return revocation.Result{Status: revocation.Good, ThisUpdate: this, NextUpdate: this.AddDate(0, 1, 0)}
}

func revoked(at time.Time, why revocation.Reason) revocation.Result {
	r := revocation.Result{Status: revocation.Revoked, Code: revocation.CertificateRevoked, RevocationTime: at, Reason: why, ThisUpdate: on(2025, 1, 1)}
	if why == revocation.CertificateHold {
		r.Code = revocation.CertificateOnHold
	}
	return r
}

func TestModels(t *testing.T) {
	w := newWorld(t)
	early, late := on(2012, 1, 1), on(2021, 1, 1)
	// A leaf that outlives its CA: such chains are what the chain model is for.
	long := mint(t, w.middle, "long", on(2010, 1, 1), on(2025, 1, 1))
	ever := good(time.Time{})
	type reasons [3]past.Code // shell, chain, RFC 5280
	const ok, gone = past.OK, past.Revoked
	for _, test := range []struct {
		name         string
		leaf         *entity
		at           time.Time
		leafs, cas   revocation.Result
		want         reasons
		position     int
		subOfTheLast string
	}{
		{"valid", w.leaf, early, ever, ever, reasons{}, 0, ""},
		{"at the last moment", w.leaf, on(2014, 1, 1), ever, ever, reasons{}, 0, ""},
		{"target expired", w.leaf, on(2015, 1, 1), ever, ever, reasons{past.Expired, past.Expired, past.Expired}, 0, past.OutOfBoundsNotRevoked},
		{"target expired, status unknown", w.leaf, on(2015, 1, 1), revocation.Result{}, ever, reasons{past.Expired, past.Expired, past.Expired}, 0, past.OutOfBoundsNoPOE},
		{"target not yet valid", w.leaf, on(2009, 1, 1), ever, ever, reasons{past.NotYetValid, past.NotYetValid, past.NotYetValid}, 0, past.OutOfBoundsNoPOE},
		{"CA expired after it issued", long, late, ever, ever, reasons{past.Expired, ok, past.Expired}, 1, past.OutOfBoundsNoPOE},
		{"CA superseded after it issued", w.leaf, early, ever, revoked(on(2011, 1, 1), revocation.Superseded), reasons{gone, ok, gone}, 1, past.RevokedCANoPOE},
		{"CA superseded before it issued", w.leaf, early, ever, revoked(on(2009, 1, 1), revocation.Superseded), reasons{gone, gone, gone}, 1, past.RevokedCANoPOE},
		{"CA's key compromised before the signature", w.leaf, early, ever, revoked(on(2011, 1, 1), revocation.KeyCompromise), reasons{gone, gone, gone}, 1, past.RevokedCANoPOE},
		{"CA revoked for no known reason", w.leaf, early, ever, revoked(on(2011, 1, 1), revocation.NoReason), reasons{gone, gone, gone}, 1, past.RevokedCANoPOE},
		{"CA's key compromised after the signature", w.leaf, early, ever, revoked(on(2013, 1, 1), revocation.KeyCompromise), reasons{ok, ok, gone}, 1, past.RevokedCANoPOE},
		{"target revoked after the signature", w.leaf, early, revoked(on(2013, 1, 1), revocation.KeyCompromise), ever, reasons{ok, ok, gone}, 0, past.RevokedNoPOE},
		{"target superseded before the signature", w.leaf, early, revoked(on(2011, 1, 1), revocation.Superseded), ever, reasons{gone, gone, gone}, 0, past.RevokedNoPOE},
		{"target revoked at the second of the signature", w.leaf, early, revoked(early, revocation.Superseded), ever, reasons{gone, gone, gone}, 0, past.RevokedNoPOE},
		{"date of revocation unreadable", w.leaf, early, revoked(time.Time{}, revocation.Superseded), ever, reasons{gone, gone, gone}, 0, past.RevokedNoPOE},
		{"target on hold", w.leaf, early, revoked(on(2011, 1, 1), revocation.CertificateHold), ever, reasons{past.OnHold, past.OnHold, past.OnHold}, 0, past.TryLater},
		{"status unknown", w.leaf, early, revocation.Result{Code: revocation.NoEvidence}, ever, reasons{past.StatusUnknown, past.StatusUnknown, past.StatusUnknown}, 0, past.TryLater},
		{"evidence from before the signature ran out", w.leaf, early, good(on(2011, 1, 1)), ever, reasons{past.StatusUnknown, past.StatusUnknown, ok}, 0, ""},
		{"evidence from after the signature", w.leaf, early, good(on(2013, 1, 1)), ever, reasons{}, 0, ""},
		{"evidence about the CA is of its time of use", w.leaf, early, ever, good(on(2010, 6, 1)), reasons{past.StatusUnknown, ok, ok}, 1, ""},
	} {
		t.Run(test.name, func(t *testing.T) {
			s := past.Subject{Chain: w.chain(), Anchor: anchorOf(t, w.root), Revocation: []revocation.Result{test.leafs, test.cas}}
			s.Chain[0] = test.leaf.cert
			for m, want := range test.want {
				got := past.Judge(past.Model(m), s, test.at)
				if got.Code != want || want != past.OK && got.Position != test.position {
					t.Errorf("%v: %v, want %v of %d", past.Model(m), got, want, test.position)
				}
				if past.Model(m) == past.RFC5280 && got.SubIndication != test.subOfTheLast {
					t.Errorf("%s, want %s", got.SubIndication, test.subOfTheLast)
				}
			}
		})
	}
}

// TestAnchorMustCount holds in each model.
func TestAnchorMustCount(t *testing.T) {
	w := newWorld(t)
	for _, test := range []struct {
		name   string
		change func(a *path.Anchor)
		want   past.Code
	}{
		{"open", func(*path.Anchor) {}, past.OK},
		{"window covers", func(a *path.Anchor) { a.NotBefore, a.NotAfter = on(2011, 1, 1), on(2013, 1, 1) }, past.OK},
		{"sunset", func(a *path.Anchor) { a.NotAfter = on(2011, 1, 1) }, past.AnchorOutOfTime},
		{"trusted later", func(a *path.Anchor) { a.NotBefore = on(2013, 1, 1) }, past.AnchorOutOfTime},
		{"own validity covers", func(a *path.Anchor) { a.Validity = true }, past.OK},
		{"own validity is over first", func(a *path.Anchor) { a.Validity, a.NotAfter = true, on(2040, 1, 1) }, past.OK},
	} {
		for _, m := range []past.Model{past.Shell, past.Chain, past.RFC5280} {
			s := past.Subject{Chain: w.chain(), Anchor: anchorOf(t, w.root), Revocation: []revocation.Result{good(time.Time{}), good(time.Time{})}}
			test.change(s.Anchor)
			if got := past.Judge(m, s, on(2012, 1, 1)); got.Code != test.want || test.want != past.OK && got.SubIndication != past.NoChainNoPOE {
				t.Errorf("%s, %v: %v, want %v", test.name, m, got, test.want)
			}
		}
	}
	if got := past.Judge(past.Shell, past.Subject{Chain: w.chain()}, on(2012, 1, 1)); got.Code != past.AnchorOutOfTime {
		t.Errorf("without an anchor: %v", got)
	}
	a := anchorOf(t, w.root)
	a.Validity = true
	if a.NotAfter = on(2040, 1, 1); !past.Sunset(a).Equal(on(2030, 1, 1)) {
		t.Errorf("sunset %v", past.Sunset(a))
	}
}

// TestAnchorInTheChain has the anchor's own certificate, expired and without status, as the last of the chain.
func TestAnchorInTheChain(t *testing.T) {
	w := newWorld(t)
	s := past.Subject{Chain: append(w.chain(), w.root.cert), Anchor: anchorOf(t, w.root), Revocation: []revocation.Result{good(time.Time{}), good(time.Time{})}}
	if got := past.Judge(past.Shell, s, on(2012, 1, 1)); got.Code != past.OK {
		t.Error(got)
	}
}
