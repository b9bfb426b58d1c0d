package verify

import (
	"crypto/x509/pkix"
	"encoding/asn1"
	"encoding/pem"
	"os"
	"path/filepath"
	"testing"
	"time"

	"trustcore/internal/budget"
	"trustcore/verify/cache"
	"trustcore/verify/internal/mint"
	"trustcore/verify/judge"
	"trustcore/verify/signature"
	"trustcore/verify/trustlist"
)

// stampWorld has a list with an authority for certificates and one for time-stamps, and an anchor that no list knows.
type stampWorld struct {
	ca, tsa, own, officer mint.Party
	lists                 *trustlist.Snapshot
}

func newStampWorld(t *testing.T) *stampWorld {
	t.Helper()
	w := &stampWorld{ca: mint.Root(t, "CA"), tsa: mint.Root(t, "TSA"), own: mint.Root(t, "own TSA")}
	w.officer = w.ca.Issue(t, mint.Request{Subject: officerName("officer-1"), Extensions: []pkix.Extension{mint.Qualified(t)}})
	since := []mint.Period{{Status: mint.Granted, From: mint.Day.AddDate(-5, 0, 0), Additional: []string{mint.ForSignatures}}}
	dir := t.TempDir()
	list, anchor := filepath.Join(dir, "list.xml"), filepath.Join(dir, "own.pem")
	text := mint.List{Type: mint.TypeList, Territory: "PL", Sequence: 1, Services: []mint.Service{
		{Name: "CA/QC", Type: mint.CAQC, By: w.ca, Periods: since}, {Name: "QTST", Type: mint.QTST, By: w.tsa, Periods: since},
	}}.Sign(t, mint.Root(t, "Scheme operator"))
	own := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: w.own.Cert.Raw})
	for file, data := range map[string][]byte{list: text, anchor: own} {
		if err := os.WriteFile(file, data, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	var err error
	if w.lists, err = trustlist.Load(t.Context(), trustlist.Sources{Extra: []string{list}, Anchors: []string{anchor}}); err != nil {
		t.Fatal(err)
	}
	return w
}

// unit issues a time-stamping unit's certificate; purposes nil is one that states none.
func (w *stampWorld) unit(t *testing.T, by mint.Party, critical bool, purposes ...asn1.ObjectIdentifier) mint.Party {
	t.Helper()
	r := mint.Request{Subject: pkix.Name{CommonName: "unit"}, From: mint.Day.AddDate(-10, 0, 0), To: mint.Day.AddDate(10, 0, 0)}
	if purposes != nil {
		value, err := asn1.Marshal(purposes)
		if err != nil {
			t.Fatal(err)
		}
		r.Extensions = []pkix.Extension{{Id: asn1.ObjectIdentifier{2, 5, 29, 37}, Critical: critical, Value: value}}
	}
	return by.Issue(t, r)
}

// judge signs a letter with a time-stamp by the unit, lets edit change the facts, and judges two years later, when the
// signer's certificate has expired: the signature passes only where the time-stamp proves its age.
func (w *stampWorld) judge(t *testing.T, policy *Policy, unit mint.Party, edit func(*signature.Signature)) *SignatureReport {
	t.Helper()
	document := mint.XML{Signer: w.officer, At: mint.Day, Stamps: []mint.Stamp{{By: unit, At: mint.Day}}}.Sign(t, letter)
	b := budget.New(t.Context(), len(document))
	doc, err := Open(b, document)
	if err != nil {
		t.Fatal(err)
	}
	edit(doc.Signatures[0])
	cache, err := cache.New(cache.Config{Certificates: 100, Verdicts: 100})
	if err != nil {
		t.Fatal(err)
	}
	ev := &Evidence{Lists: w.lists, Cache: cache, CRLs: [][]byte{w.ca.CRL(t, mint.Day, nil), w.tsa.CRL(t, mint.Day, nil), w.own.CRL(t, mint.Day, nil)}}
	later := mint.Day.AddDate(2, 0, 0)
	for _, by := range []mint.Party{w.ca, w.tsa, w.own} {
		ev.CRLs = append(ev.CRLs, by.CRL(t, later.Add(-time.Hour), nil))
	}
	r, err := Judge(b, doc, ev, policy, later)
	if err != nil {
		t.Fatal(err)
	}
	return &r.Signatures[0]
}

var (
	stamping = asn1.ObjectIdentifier{1, 3, 6, 1, 5, 5, 7, 3, 8}
	anything = asn1.ObjectIdentifier{2, 5, 29, 37, 0}
	mailing  = asn1.ObjectIdentifier{1, 3, 6, 1, 5, 5, 7, 3, 4}
)

// TestStamps: what proves age. Each row has one thing that is not as RFC 3161, the lists or the facts demand; loose is
// whether DSS's default policy takes it.
func TestStamps(t *testing.T) {
	w := newStampWorld(t)
	good := w.unit(t, w.tsa, true, stamping)
	brief := w.tsa.Issue(t, mint.Request{Subject: pkix.Name{CommonName: "unit"}, TSU: true})
	none := func(*signature.Signature) {}
	fact := func(edit func(*signature.Timestamp)) func(*signature.Signature) {
		return func(s *signature.Signature) { edit(s.Timestamps[0]) }
	}
	for _, c := range []struct {
		name  string
		unit  mint.Party
		edit  func(*signature.Signature)
		want  string
		loose bool
		label string
	}{
		{"good", good, none, "PASSED/", true, "QTSA"},
		{"own anchor", w.unit(t, w.own, true, stamping), none, "PASSED/", true, "N/A"},
		{"no purpose", w.unit(t, w.tsa, false), none, "INDETERMINATE/CHAIN_CONSTRAINTS_FAILURE", false, "N/A"},
		{"any purpose", w.unit(t, w.tsa, true, anything), none, "INDETERMINATE/CHAIN_CONSTRAINTS_FAILURE", false, "N/A"},
		{"another purpose", w.unit(t, w.tsa, true, mailing), none, "INDETERMINATE/CHAIN_CONSTRAINTS_FAILURE", false, "N/A"},
		{"two purposes", w.unit(t, w.tsa, true, stamping, mailing), none, "INDETERMINATE/CHAIN_CONSTRAINTS_FAILURE", true, "QTSA"},
		{"not critical", w.unit(t, w.tsa, false, stamping), none, "INDETERMINATE/CHAIN_CONSTRAINTS_FAILURE", true, "QTSA"},
		{"listed for certificates", w.unit(t, w.ca, true, stamping), none, "INDETERMINATE/CHAIN_CONSTRAINTS_FAILURE", true, "TSA"},
		{"names nobody", good, fact(func(s *signature.Timestamp) { s.Binding = signature.BindingAbsent }), "INDETERMINATE/SIG_CONSTRAINTS_FAILURE", true, "QTSA"},
		{"another authority's name", good, fact(func(s *signature.Timestamp) { s.Demands = []string{"tsa"} }), "INDETERMINATE/SIG_CONSTRAINTS_FAILURE", true, "QTSA"},
		{"names another certificate", good, fact(func(s *signature.Timestamp) { s.Binding = signature.BindingMismatch }), "INDETERMINATE/NO_SIGNING_CERTIFICATE_FOUND", false, "N/A"},
		{"no certificate", good, fact(func(s *signature.Timestamp) { s.Signer = nil }), "INDETERMINATE/NO_SIGNING_CERTIFICATE_FOUND", false, "N/A"},
		{"an unreadable certificate", good, fact(func(s *signature.Timestamp) { s.Signer = []byte("0") }), "INDETERMINATE/NO_SIGNING_CERTIFICATE_FOUND", false, "N/A"},
		{"ill-formed", good, fact(func(s *signature.Timestamp) { s.Structure = []string{"two signers"} }), "FAILED/FORMAT_FAILURE", false, "N/A"},
		{"about nothing at hand", good, fact(func(s *signature.Timestamp) { s.Found = false }), "INDETERMINATE/SIGNED_DATA_NOT_FOUND", false, "N/A"},
		{"about other data", good, fact(func(s *signature.Timestamp) { s.Imprint = false }), "FAILED/HASH_FAILURE", false, "N/A"},
		{"forged", good, fact(func(s *signature.Timestamp) { s.Intact = false }), "FAILED/SIG_CRYPTO_FAILURE", false, "N/A"},
		{"of an unknown algorithm", good, fact(func(s *signature.Timestamp) { s.Intact, s.Unsupported = false, "urn:x" }), "INDETERMINATE/CRYPTO_CONSTRAINTS_FAILURE_NO_POE", false, "N/A"},
		{"before its certificate", good, fact(func(s *signature.Timestamp) { s.Time = mint.Day.AddDate(-11, 0, 0) }), "FAILED/NOT_YET_VALID", false, "N/A"},
		{"after its certificate", brief, fact(func(s *signature.Timestamp) { s.Time = mint.Day.AddDate(1, 1, 0) }), "INDETERMINATE/OUT_OF_BOUNDS_NO_POE", false, "N/A"},
		{"from the future", good, fact(func(s *signature.Timestamp) { s.Time = mint.Day.AddDate(3, 0, 0) }), "INDETERMINATE/TIMESTAMP_ORDER_FAILURE", false, "N/A"},
	} {
		t.Run(c.name, func(t *testing.T) {
			strict := w.judge(t, DefaultPolicy(), c.unit, c.edit)
			stamp := strict.Timestamps[0]
			if got := string(stamp.Indication) + "/" + string(stamp.SubIndication); got != c.want {
				t.Errorf("%s, want %s: %q", got, c.want, stamp.Reasons)
			}
			if (strict.Indication == TotalPassed) != (c.want == "PASSED/") {
				t.Errorf("the signature is %s %s: %q", strict.Indication, strict.SubIndication, strict.Reasons)
			}
			loose := w.judge(t, DSSPolicy(), c.unit, c.edit)
			if (loose.Indication == TotalPassed) != c.loose {
				t.Errorf("by DSS's policy %s %s: %q %q", loose.Indication, loose.SubIndication, loose.Reasons, loose.Timestamps[0].Reasons)
			}
			if got := loose.Timestamps[0].Qualification; got != c.label {
				t.Errorf("labelled %s, want %s", got, c.label)
			}
		})
	}
}

// TestStampOrder: a content time-stamp is older than that of the signature (EN 319 102-1, 5.5.4).
func TestStampOrder(t *testing.T) {
	w := newStampWorld(t)
	unit := w.unit(t, w.tsa, true, stamping)
	for _, kind := range []signature.TimestampType{signature.ContentTimestamp, signature.AllDataTimestamp, signature.IndividualData} {
		for after, want := range map[time.Duration]SubIndication{-time.Hour: "", time.Hour: judge.TimestampOrderFailure} {
			r := w.judge(t, DefaultPolicy(), unit, func(s *signature.Signature) {
				content := *s.Timestamps[0]
				content.Type, content.Time, content.Covers = kind, content.Time.Add(after), nil
				s.Timestamps = append(s.Timestamps, &content)
			})
			if r.SubIndication != want {
				t.Errorf("%s %s later: %s %s %q", kind, after, r.Indication, r.SubIndication, r.Reasons)
			}
		}
	}
}

// TestStampOfAnAnchorBeforeItself: an administrator may trust a unit's own certificate, but not what the unit dates to
// a day on which it had none.
func TestStampOfAnAnchorBeforeItself(t *testing.T) {
	w := newStampWorld(t)
	unit := w.own.Issue(t, mint.Request{Subject: pkix.Name{CommonName: "unit"}, TSU: true, From: mint.Day.AddDate(0, 0, -1), To: mint.Day.AddDate(10, 0, 0)})
	anchor := filepath.Join(t.TempDir(), "unit.pem")
	if err := os.WriteFile(anchor, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: unit.Cert.Raw}), 0o600); err != nil {
		t.Fatal(err)
	}
	var err error
	if w.lists, err = trustlist.Load(t.Context(), trustlist.Sources{Anchors: []string{anchor}}); err != nil {
		t.Fatal(err)
	}
	for days, want := range map[int]SubIndication{0: "", -2: judge.NotYetValid} {
		for _, policy := range []*Policy{DefaultPolicy(), DSSPolicy()} {
			r := w.judge(t, policy, unit, func(s *signature.Signature) { s.Timestamps[0].Time = mint.Day.AddDate(0, 0, days) })
			if r.Timestamps[0].SubIndication != want || (want == "") != r.BestSignatureTime.Equal(mint.Day) {
				t.Errorf("%s, %d days: %s, proven at %s", policy.Name(), days, r.Timestamps[0].SubIndication, r.BestSignatureTime)
			}
		}
	}
}
