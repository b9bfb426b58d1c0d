package verify

import (
	"bytes"
	"crypto/x509"
	"reflect"
	"slices"
	"testing"
	"time"

	"trustcore/verify/cache"
	"trustcore/verify/internal/mint"
	"trustcore/verify/policy"
	"trustcore/verify/trustlist"
)

// TestCacheServesNoOtherQuestion: with a cache that other documents, evidence, times and policies filled, each report is
// the one of a cache that nothing was asked before.
func TestCacheServesNoOtherQuestion(t *testing.T) {
	w := newWorld(t)
	revoked := w.ca.CRL(t, mint.Day.Add(time.Hour), map[*x509.Certificate]time.Time{w.officer.Cert: mint.Day.Add(-time.Hour)})
	good := w.ca.CRL(t, mint.Day, nil)
	changed := bytes.Clone(good)
	changed[len(changed)-1] ^= 1 // of the signature
	filled, err := cache.New(cache.Config{Certificates: 1000, Verdicts: 1000, Evidence: 8 << 20})
	if err != nil {
		t.Fatal(err)
	}
	var indications []Indication
	for range 2 { // the second time everything is known
		for name, document := range minted(t, w) {
			for _, crl := range [][]byte{good, changed, revoked} {
				for _, p := range []string{"strict", "dss-default"} {
					for _, at := range []time.Duration{time.Hour, 30 * 24 * time.Hour, 20 * 365 * 24 * time.Hour} {
						ask := question{document, crl, p, mint.Day.Add(at)}
						got, want := ask.report(t, w, filled), ask.report(t, w, nil)
						if !reflect.DeepEqual(got, want) {
							t.Errorf("%s, %s, %v: %+v, without the cache %+v", name, p, at, got, want)
						}
						indications = append(indications, want.Signatures[0].Indication)
					}
				}
			}
		}
	}
	for _, i := range []Indication{TotalPassed, Indeterminate} {
		if !slices.Contains(indications, i) {
			t.Errorf("no question was answered %s", i)
		}
	}
}

// question is one document with evidence beside it, a policy and a time.
type question struct {
	document, crl []byte
	policy        string
	at            time.Time
}

func (q question) report(t *testing.T, w *world, c *cache.Cache) *Report {
	t.Helper()
	p, err := policy.Named(q.policy)
	if err != nil {
		t.Fatal(err)
	}
	v, err := New(Config{Lists: func() *trustlist.Snapshot { return w.lists }, Cache: c, Policy: p, Now: time.Now})
	if err != nil {
		t.Fatal(err)
	}
	r, err := v.Verify(t.Context(), Request{Document: q.document, At: q.at, Evidence: &Evidence{CRLs: [][]byte{q.crl}}})
	if err != nil {
		t.Fatal(err)
	}
	return r
}
