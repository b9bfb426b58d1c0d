package judge_test

import (
	"crypto/x509/pkix"
	"testing"
	"time"

	"golang.org/x/crypto/ocsp"

	"trustcore/internal/budget"
	"trustcore/verify/certificate"
	"trustcore/verify/internal/mint"
	"trustcore/verify/judge"
	"trustcore/verify/path"
	"trustcore/verify/policy"
	"trustcore/verify/revocation"
)

func parsed(t *testing.T, p mint.Party) *certificate.Certificate {
	t.Helper()
	c, err := certificate.Parse(p.Cert.Raw)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// TestHindsight judges at a day of the past by what is known now.
func TestHindsight(t *testing.T) {
	now := time.Now().UTC().Truncate(time.Second).Add(time.Minute) // answers are produced at the real time
	root := mint.Root(t, "root")
	leaf := root.Issue(t, mint.Request{Subject: pkix.Name{CommonName: "leaf"}, From: now.AddDate(-1, 0, 0), To: now.AddDate(1, 0, 0)})
	at, never, hour := now.AddDate(0, -1, 0), time.Time{}, time.Hour
	says := func(status int, this, next, revoked time.Time) []byte {
		der, err := ocsp.CreateResponse(root.Cert, root.Cert, ocsp.Response{Status: status, SerialNumber: leaf.Cert.SerialNumber,
			ThisUpdate: this, NextUpdate: next, RevokedAt: revoked}, root.Key)
		if err != nil {
			t.Fatal(err)
		}
		return der
	}
	good := func(this, next time.Time) []byte { return says(ocsp.Good, this, next, never) }
	revoked := func(when time.Time) []byte { return says(ocsp.Revoked, now.Add(-hour), now.Add(hour), when) }
	refuse := func(revocation.Use) (bool, string) { return false, "weak" }
	old := good(at.Add(-2*hour), at.Add(-hour))
	for _, test := range []struct {
		name   string
		answer []byte
		by     judge.Hindsight
		weak   bool
		want   path.Code
		code   revocation.Code
	}{
		{name: "from after it", answer: good(at.Add(hour), at.Add(2*hour))},
		{name: "from before it, still serving", answer: good(at.Add(-hour), at.Add(hour))},
		{name: "run out before it", answer: old, want: path.RevocationUnknown, code: revocation.Stale},
		{name: "run out before it, told", answer: old, by: judge.Hindsight{Freshness: policy.Inform}},
		{name: "run out before it, not asked", answer: old, by: judge.Hindsight{Freshness: policy.Ignore}},
		{name: "from before the certificate, not asked", answer: good(now.AddDate(-1, 0, -1), never), by: judge.Hindsight{Freshness: policy.Ignore},
			want: path.RevocationUnknown, code: revocation.BeforeIssuance},
		{name: "from after what is known", answer: good(now.Add(hour), now.Add(2*hour)), by: judge.Hindsight{Freshness: policy.Ignore},
			want: path.RevocationUnknown, code: revocation.NotYetValid},
		{name: "without nextUpdate, of a day before", answer: good(at.Add(-24*hour), never)},
		{name: "without nextUpdate, of more", answer: good(at.Add(-24*hour-time.Second), never), want: path.RevocationUnknown, code: revocation.NoNextUpdate},
		{name: "without nextUpdate, from after it", answer: good(at.Add(time.Second), never)},
		{name: "without nextUpdate, an hour allowed", answer: good(at.Add(-hour), never), by: judge.Hindsight{WithoutNextUpdate: hour}},
		{name: "without nextUpdate, and no more", answer: good(at.Add(-hour-time.Second), never), by: judge.Hindsight{WithoutNextUpdate: hour},
			want: path.RevocationUnknown, code: revocation.NoNextUpdate},
		{name: "revoked before it", answer: revoked(at), want: path.Revoked},
		{name: "revoked before it, freshness not asked", answer: revoked(at), by: judge.Hindsight{Freshness: policy.Ignore}, want: path.Revoked},
		{name: "revoked after it", answer: revoked(at.Add(time.Second))},
		{name: "revoked after it, in a weak answer", answer: revoked(at.Add(time.Second)), weak: true, want: path.WeakEvidence, code: revocation.WeakAlgorithm},
		{name: "revoked before it, in a weak answer", answer: revoked(at), weak: true, want: path.Revoked},
		{name: "weak", answer: good(at.Add(hour), at.Add(2*hour)), weak: true, want: path.WeakEvidence, code: revocation.WeakAlgorithm},
		{name: "run out and weak", answer: old, weak: true, want: path.RevocationUnknown, code: revocation.Stale},
	} {
		t.Run(test.name, func(t *testing.T) {
			response, err := revocation.ParseOCSP(test.answer)
			if err != nil {
				t.Fatal(err)
			}
			anchor, err := path.AnchorFrom(parsed(t, root))
			if err != nil {
				t.Fatal(err)
			}
			anchors, err := path.NewAnchors(anchor)
			if err != nil {
				t.Fatal(err)
			}
			test.by.At, test.by.Known = at, now
			rule := &path.RevocationRule{Required: true, Check: test.by.Check, AfterIssuance: true,
				Evidence: func(*revocation.Question) ([]*revocation.Response, []*revocation.CRL) {
					return []*revocation.Response{response}, nil
				}}
			if test.weak {
				rule.Acceptable = refuse
			}
			r := path.Validate(t.Context(), path.Request{Target: parsed(t, leaf), Anchors: anchors, Time: at, Revocation: rule, Budget: budget.New(t.Context(), 0)})
			if got := r.Reason().Code; got != test.want {
				t.Errorf("%v, want %v", r.Reasons, test.want)
			}
			if got := r.Revocation[0]; got.Code != test.code && test.code != "" || (len(got.Notes) > 0) != (test.by.Freshness == policy.Inform) {
				t.Errorf("%s %q %s %q", got.Status, got.Code, got.Detail, got.Notes)
			}
		})
	}
}

// TestOfPath: every reason of a path has a sub-indication.
func TestOfPath(t *testing.T) {
	for code, want := range map[path.Code]judge.SubIndication{
		path.OK: "", path.RevocationUnknown: judge.TryLater, path.Revoked: judge.RevokedNoPOE, path.WeakEvidence: judge.CryptoConstraintsNoPOE,
		path.WeakKey: judge.CryptoConstraintsNoPOE, path.Expired: judge.OutOfBoundsNoPOE, path.NotYetValid: judge.OutOfBoundsNoPOE,
		path.AnchorOutOfTime: judge.NoCertificateChainNoPOE, path.PurposeMismatch: judge.ChainConstraintsFailure,
		path.NotACA: judge.ChainGeneralFailure, path.BadSignature: judge.NoCertificateChainFound, path.NoPath: judge.NoCertificateChainFound,
		path.Budget: judge.ChainGeneralFailure,
	} {
		if got := judge.OfPath(path.Reason{Code: code}); got != want {
			t.Errorf("%v: %s, want %s", code, got, want)
		}
	}
	if got := judge.OfPath(path.Reason{Code: path.Revoked, Position: 1}); got != judge.RevokedCANoPOE {
		t.Errorf("a CA's: %s", got)
	}
}
