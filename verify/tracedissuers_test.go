package verify

import (
	"crypto/x509/pkix"
	"testing"
	"time"

	"trustcore/internal/budget"
	"trustcore/verify/internal/mint"
	"trustcore/verify/trace"
)

// TestTraceOfIssuers: the signature on a time-stamping unit that is an anchor is checked for the trace where its issuer
// is known, and holds by nobody else who has the issuer's name.
func TestTraceOfIssuers(t *testing.T) {
	root, impostor := mint.Root(t, "Urząd nadrzędny"), mint.Root(t, "Urząd nadrzędny")
	unit := root.Issue(t, mint.Request{Subject: pkix.Name{CommonName: "Jednostka"}, TSU: true,
		From: mint.Day.AddDate(-10, 0, 0), To: mint.Day.AddDate(10, 0, 0)})
	for name, c := range map[string]struct {
		listed  []mint.Party
		carried [][]byte
		want    bool
	}{
		"unknown": {}, "an impostor": {listed: []mint.Party{impostor}},
		"a listed one":         {listed: []mint.Party{impostor, root}, want: true},
		"one of the document":  {carried: [][]byte{impostor.Cert.Raw, root.Cert.Raw}, want: true},
		"an impostor's, there": {carried: [][]byte{impostor.Cert.Raw}},
	} {
		t.Run(name, func(t *testing.T) {
			tr := traceOfUnit(t, unit, c.listed, c.carried)
			for _, got := range tr.Certificates {
				if got.CommonName != "Jednostka" {
					continue
				}
				if got.Basic.Intact != c.want || got.Basic.Valid != c.want || got.Basic.KeyBits != 0 != c.want ||
					len(got.Chain) > 0 != (c.want && c.carried != nil) {
					t.Errorf("%+v, %v, want %t", got.Basic, got.Chain, c.want)
				}
				return
			}
			t.Error("the unit's certificate is not in the trace")
		})
	}
}

// traceOfUnit validates a document that the unit stamped, under a list with it and the authorities, with the certificates in it.
func traceOfUnit(t *testing.T, unit mint.Party, listed []mint.Party, carried [][]byte) *trace.Trace {
	t.Helper()
	w := newWorld(t)
	granted := []mint.Period{{Status: mint.Granted, From: mint.Day.AddDate(-5, 0, 0),
		Additional: []string{mint.ForSignatures}}}
	services := []mint.Service{{Name: "CA/QC", Type: mint.CAQC, By: w.ca, Periods: granted},
		{Name: "QTST", Type: mint.QTST, By: unit, Periods: granted}}
	for _, a := range listed {
		services = append(services, mint.Service{Name: "above", Type: mint.CAQC, By: a, Periods: granted})
	}
	list := mint.List{Type: mint.TypeList, Territory: "PL", Sequence: 1, Services: services}
	w.lists = load(t, list.Sign(t, mint.Root(t, "Scheme operator")))
	document := mint.XML{Signer: w.officer, At: mint.Day, Stamps: []mint.Stamp{{By: unit, At: mint.Day}},
		Certificates: carried}.Sign(t, letter)
	doc, err := Open(budget.New(t.Context(), len(document)), document)
	if err != nil {
		t.Fatal(err)
	}
	crl := w.ca.CRL(t, mint.Day.Add(time.Hour), nil)
	return holds(t, doc, w.evidence(crl), DefaultPolicy(), mint.Day.Add(2*time.Hour))
}
