package chain_test

import (
	"crypto/x509/pkix"
	"os"
	"path/filepath"
	"testing"
	"time"

	"golang.org/x/crypto/ocsp"

	"trustcore/verify"
	"trustcore/verify/certificate"
	"trustcore/verify/chain"
	"trustcore/verify/internal/mint"
	"trustcore/verify/revocation"
	"trustcore/verify/trustlist"
)

// TestWhoOfAListMayAnswer: a listed responder, though its answer leaves its certificate out, and no other listed service.
func TestWhoOfAListMayAnswer(t *testing.T) {
	ca := mint.Root(t, "CA")
	unit := ca.Issue(t, mint.Request{Subject: pkix.Name{CommonName: "unit"}, TSU: true})
	responder := mint.Root(t, "other CA").Issue(t, mint.Request{Subject: pkix.Name{CommonName: "responder"}})
	leaf := ca.Issue(t, mint.Request{Subject: pkix.Name{CommonName: "officer-1"}})
	granted := []mint.Period{{Status: mint.Granted, From: mint.Day.AddDate(-5, 0, 0)}}
	file := filepath.Join(t.TempDir(), "list.xml")
	signed := mint.List{Type: mint.TypeList, Territory: "PL", Sequence: 1, Services: []mint.Service{
		{Name: "CA", Type: mint.CAQC, By: ca, Periods: granted}, {Name: "TSA", Type: mint.QTST, By: unit, Periods: granted},
		{Name: "OCSP", Type: "http://uri.etsi.org/TrstSvc/Svctype/Certstatus/OCSP/QC", By: responder, Periods: granted}}}.Sign(t, mint.Root(t, "operator"))
	if err := os.WriteFile(file, signed, 0o600); err != nil {
		t.Fatal(err)
	}
	lists, err := trustlist.Load(t.Context(), trustlist.Sources{Extra: []string{file}})
	if err != nil {
		t.Fatal(err)
	}
	target, err := certificate.Parse(leaf.Cert.Raw)
	if err != nil {
		t.Fatal(err)
	}
	for _, test := range []struct {
		name  string
		by    mint.Party
		inIt  bool // its certificate is in the answer
		valid bool
	}{{"responder", responder, true, true}, {"responder, not in the answer", responder, false, true}, {"time-stamping unit", unit, true, false}} {
		now := time.Now()
		template := ocsp.Response{Status: ocsp.Good, SerialNumber: leaf.Cert.SerialNumber, ThisUpdate: now.Add(-time.Minute), NextUpdate: now.Add(time.Hour)}
		if test.inIt {
			template.Certificate = test.by.Cert
		}
		der, err := ocsp.CreateResponse(ca.Cert, test.by.Cert, template, test.by.Key)
		if err != nil {
			t.Fatal(err)
		}
		answer, err := revocation.ParseOCSP(der)
		if err != nil {
			t.Fatal(err)
		}
		r, err := chain.Judge(t.Context(), chain.Question{Target: target, Anchors: lists.Anchors(), Lists: lists, Time: mint.Day, Known: now.Add(time.Minute),
			Mode: chain.Require, Policy: verify.DefaultPolicy(), OCSPs: []*revocation.Response{answer}})
		if err != nil {
			t.Fatal(err)
		}
		if r.Valid != test.valid {
			t.Errorf("%s: valid %t, %v", test.name, r.Valid, r.Reasons)
		}
	}
}
