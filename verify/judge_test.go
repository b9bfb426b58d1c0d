package verify

import (
	"bytes"
	"context"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/json"
	"math/big"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"trustcore/internal/budget"
	"trustcore/verify/cache"
	"trustcore/verify/internal/mint"
	"trustcore/verify/judge"
	"trustcore/verify/policy"
	"trustcore/verify/signature"
	"trustcore/verify/trustlist"
)

const letter = `<pismo><tresc>Urząd Miasta Przykładowo zawiadamia o wszczęciu postępowania.</tresc></pismo>`

// world is a small PKI with a trusted list: a qualified authority, an officer, and a listed time-stamping unit.
type world struct {
	ca, tsa, officer mint.Party
	lists            *trustlist.Snapshot
	cache            *cache.Cache
}

func newWorld(t testing.TB, periods ...mint.Period) *world {
	t.Helper()
	if periods == nil {
		periods = []mint.Period{{Status: mint.Granted, From: mint.Day.AddDate(-5, 0, 0), Additional: []string{mint.ForSignatures, mint.ForSeals}}}
	}
	w := &world{ca: mint.Root(t, "Kwalifikowany Urząd Testowy"), tsa: mint.Root(t, "Urząd Znakowania Czasem")}
	w.officer = w.ca.Issue(t, mint.Request{Subject: officerName("officer-1"), Extensions: []pkix.Extension{mint.Qualified(t)}})
	tsu := mint.Root(t, "unused").Issue(t, mint.Request{Subject: pkix.Name{CommonName: "Jednostka znakowania czasem"}, TSU: true, To: mint.Day.AddDate(10, 0, 0), From: mint.Day.AddDate(-10, 0, 0)})
	w.tsa = tsu
	list := mint.List{Type: mint.TypeList, Territory: "PL", Sequence: 1, Services: []mint.Service{
		{Name: "CA/QC", Type: mint.CAQC, By: w.ca, Periods: periods},
		{Name: "QTST", Type: mint.QTST, By: tsu, Periods: []mint.Period{{Status: mint.Granted, From: mint.Day.AddDate(-5, 0, 0)}}},
	}}
	w.lists = load(t, list.Sign(t, mint.Root(t, "Scheme operator")))
	var err error
	if w.cache, err = cache.New(cache.Config{Certificates: 1000, Verdicts: 1000}); err != nil {
		t.Fatal(err)
	}
	return w
}

func officerName(name string) pkix.Name {
	return pkix.Name{CommonName: name, Country: []string{"PL"}, SerialNumber: "PNOPL-00000000000"}
}

func load(t testing.TB, list []byte) *trustlist.Snapshot {
	t.Helper()
	file := filepath.Join(t.TempDir(), "list.xml")
	if err := os.WriteFile(file, list, 0o600); err != nil {
		t.Fatal(err)
	}
	s, err := trustlist.Load(t.Context(), trustlist.Sources{Extra: []string{file}})
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func (w *world) evidence(crls ...[]byte) *Evidence {
	return &Evidence{Lists: w.lists, CRLs: crls, Cache: w.cache}
}

func (w *world) judge(t testing.TB, document []byte, at time.Time, crls ...[]byte) *Report {
	t.Helper()
	b := budget.New(t.Context(), len(document))
	doc, err := Open(b, document)
	if err != nil {
		t.Fatal(err)
	}
	r, err := Judge(b, doc, w.evidence(crls...), DefaultPolicy(), at)
	if err != nil {
		t.Fatal(err)
	}
	holds(t, doc, w.evidence(crls...), DefaultPolicy(), at)
	return r
}

// TestVerdicts reaches the indications with minted documents. Day is when they are signed.
func TestVerdicts(t *testing.T) {
	w := newWorld(t)
	day, hour := mint.Day, time.Hour
	crl := func(at time.Time) []byte { return w.ca.CRL(t, at, nil) }
	revoked := func(at, since time.Time) []byte {
		return w.ca.CRL(t, at, map[*x509.Certificate]time.Time{w.officer.Cert: since})
	}
	stamp := []mint.Stamp{{By: w.tsa, At: day}}
	signed := func(edit func(*mint.XML)) []byte {
		x := mint.XML{Signer: w.officer, At: day, Stamps: stamp}
		if edit != nil {
			edit(&x)
		}
		return x.Sign(t, letter)
	}
	plain := signed(func(x *mint.XML) { x.Stamps = nil })
	stranger := mint.Root(t, "Nieznany urząd")
	another := w.ca.Issue(t, mint.Request{Subject: officerName("officer-2")})
	strangerTSU := stranger.Issue(t, mint.Request{Subject: pkix.Name{CommonName: "tsu"}, TSU: true})
	noTSU := w.ca.Issue(t, mint.Request{Subject: pkix.Name{CommonName: "no tsu"}})
	noStranger := signed(func(x *mint.XML) { x.Signer = stranger.Issue(t, mint.Request{Subject: officerName("officer-3")}) })
	later := day.AddDate(3, 0, 0)
	cases := []struct {
		name     string
		document []byte
		at       time.Time
		crls     [][]byte
		want     string // indication, sub-indication, level, qualification
	}{
		{"B-B, evidence gathered", plain, day.Add(hour), [][]byte{crl(day)}, "TOTAL-PASSED  B-B QESig"},
		{"B-T, evidence gathered", signed(nil), day.Add(hour), [][]byte{crl(day)}, "TOTAL-PASSED  B-T QESig"},
		{"B-LT", signed(func(x *mint.XML) { x.CRLs = [][]byte{crl(day.Add(hour))}; x.Certificates = [][]byte{w.ca.Cert.Raw} }),
			later, nil, "TOTAL-PASSED  B-LT QESig"},
		{"B-LT whose evidence is of another authority", signed(func(x *mint.XML) {
			x.CRLs, x.Certificates = [][]byte{stranger.CRL(t, day, nil)}, [][]byte{w.ca.Cert.Raw}
		}), day.Add(hour), nil, "INDETERMINATE CERTIFICATE_CHAIN_GENERAL_FAILURE B-T Indeterminate QESig"},
		{"evidence of the same second", signed(func(x *mint.XML) { x.Stamps = []mint.Stamp{{By: w.tsa, At: day.Add(300 * time.Millisecond)}} }),
			later, [][]byte{w.ca.CRL(t, day.Add(-7*24*hour), nil), crl(day)}, "TOTAL-PASSED  B-T QESig"},
		{"no evidence", signed(nil), day.Add(hour), nil, "INDETERMINATE CERTIFICATE_CHAIN_GENERAL_FAILURE B-T Indeterminate QESig"},
		{"stale evidence", signed(nil), day.Add(hour), [][]byte{crl(day.AddDate(0, -1, 0))}, "INDETERMINATE TRY_LATER B-T Indeterminate QESig"},
		{"evidence from after the validation", signed(nil), day.Add(hour), [][]byte{crl(day.AddDate(0, 1, 0))}, "INDETERMINATE TRY_LATER B-T Indeterminate QESig"},
		{"changed content", bytes.Replace(signed(nil), []byte("Przykładowo"), []byte("Innego    "), 1), day.Add(hour), [][]byte{crl(day)},
			"TOTAL-FAILED HASH_FAILURE B-T Not AdES but QC with QSCD"},
		{"changed value", flip(signed(nil), "<ds:SignatureValue"), day.Add(hour), [][]byte{crl(day)}, "TOTAL-FAILED SIG_CRYPTO_FAILURE B-T Not AdES but QC with QSCD"},
		{"revoked before the time-stamp", signed(nil), day.Add(2 * hour), [][]byte{revoked(day.Add(hour), day.Add(-hour))}, "INDETERMINATE REVOKED_NO_POE B-T Indeterminate QESig"},
		{"revoked after the time-stamp", signed(nil), day.Add(3 * hour), [][]byte{revoked(day.Add(2*hour), day.Add(hour))}, "TOTAL-PASSED  B-T QESig"},
		{"revoked, without time-stamp", plain, day.Add(3 * hour), [][]byte{revoked(day.Add(2*hour), day.Add(hour))}, "INDETERMINATE REVOKED_NO_POE B-B Indeterminate QESig"},
		{"expired, with time-stamp", signed(nil), later, [][]byte{crl(day.Add(hour))}, "TOTAL-PASSED  B-T QESig"},
		{"expired, without time-stamp", plain, later, [][]byte{crl(day.Add(hour))}, "INDETERMINATE OUT_OF_BOUNDS_NOT_REVOKED B-B Indeterminate QESig"},
		{"expired, without time-stamp or evidence", plain, later, nil, "INDETERMINATE CERTIFICATE_CHAIN_GENERAL_FAILURE B-B Indeterminate QESig"},
		{"no chain", noStranger, day.Add(hour), [][]byte{crl(day)}, "INDETERMINATE NO_CERTIFICATE_CHAIN_FOUND B-T N/A"},
		{"SHA-1", signed(func(x *mint.XML) { x.SHA1 = true }), day.Add(hour), [][]byte{crl(day)}, "INDETERMINATE CRYPTO_CONSTRAINTS_FAILURE_NO_POE B-T Indeterminate QESig"},
		{"another certificate named", signed(func(x *mint.XML) { x.Claimed = another.Cert.Raw }), day.Add(hour), [][]byte{crl(day)},
			"INDETERMINATE NO_SIGNING_CERTIFICATE_FOUND B-T N/A"},
		{"time-stamp of a stranger, expired", signed(func(x *mint.XML) { x.Stamps = []mint.Stamp{{By: strangerTSU, At: day}} }), later, [][]byte{crl(day)},
			"INDETERMINATE OUT_OF_BOUNDS_NOT_REVOKED B-T Indeterminate QESig"},
		{"time-stamp by a certificate for something else, expired", signed(func(x *mint.XML) { x.Stamps = []mint.Stamp{{By: noTSU, At: day}} }), later, [][]byte{crl(day)},
			"INDETERMINATE OUT_OF_BOUNDS_NOT_REVOKED B-T Indeterminate QESig"},
		{"time-stamp about other data, expired", signed(func(x *mint.XML) { x.Stamps = []mint.Stamp{{By: w.tsa, At: day, About: []byte("other")}} }), later, [][]byte{crl(day)},
			"INDETERMINATE OUT_OF_BOUNDS_NOT_REVOKED B-T Indeterminate QESig"},
		{"time-stamp from after the validation", signed(func(x *mint.XML) { x.Stamps = []mint.Stamp{{By: w.tsa, At: day.Add(2 * hour)}} }), day.Add(hour), [][]byte{crl(day)},
			"TOTAL-PASSED  B-T QESig"},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			r := w.judge(t, c.document, c.at, c.crls...)
			if len(r.Signatures) != 1 {
				t.Fatalf("%d signatures", len(r.Signatures))
			}
			s := &r.Signatures[0]
			if got := strings.Join([]string{string(s.Indication), string(s.SubIndication), s.Level, s.Qualification}, " "); got != c.want {
				t.Errorf("got  %s\nwant %s\n%q", got, c.want, s.Reasons)
			}
			if (s.Indication == TotalPassed) != (len(s.Reasons) == 0) {
				t.Errorf("%s for the reasons %q", s.Indication, s.Reasons)
			}
		})
	}
}

// flip changes the first character of an element's content.
func flip(document []byte, element string) []byte {
	at := bytes.Index(document, []byte(element))
	at += bytes.IndexByte(document[at:], '>') + 1
	out := bytes.Clone(document)
	if out[at] == 'A' {
		out[at] = 'B'
	} else {
		out[at] = 'A'
	}
	return out
}

// TestTimestampVerdicts looks at what is said of the time-stamps themselves.
func TestTimestampVerdicts(t *testing.T) {
	w := newWorld(t)
	day := mint.Day
	stranger := mint.Root(t, "Nieznany urząd").Issue(t, mint.Request{Subject: pkix.Name{CommonName: "tsu"}, TSU: true})
	cases := []struct {
		name  string
		stamp mint.Stamp
		want  string
	}{
		{"good", mint.Stamp{By: w.tsa, At: day}, "PASSED "},
		{"of a stranger", mint.Stamp{By: stranger, At: day}, "INDETERMINATE NO_CERTIFICATE_CHAIN_FOUND"},
		{"about other data", mint.Stamp{By: w.tsa, At: day, About: []byte("other")}, "FAILED HASH_FAILURE"},
		{"from the future", mint.Stamp{By: w.tsa, At: day.AddDate(1, 0, 0)}, "INDETERMINATE TIMESTAMP_ORDER_FAILURE"},
	}
	for _, c := range cases {
		at := day.Add(time.Hour)
		r := w.judge(t, mint.XML{Signer: w.officer, At: day, Stamps: []mint.Stamp{c.stamp}}.Sign(t, letter), at, w.ca.CRL(t, day, nil))
		s := r.Signatures[0]
		if len(s.Timestamps) != 1 {
			t.Fatalf("%s: %d time-stamps", c.name, len(s.Timestamps))
		}
		stamp := s.Timestamps[0]
		if got := string(stamp.Indication) + " " + string(stamp.SubIndication); got != c.want {
			t.Errorf("%s: %s, want %s: %q", c.name, got, c.want, stamp.Reasons)
		}
		want := at
		if c.name == "good" {
			want = day
		}
		if !s.BestSignatureTime.Equal(want) {
			t.Errorf("%s: proven at %s, want %s", c.name, s.BestSignatureTime, want)
		}
	}
}

// TestAnchorWindow judges signatures under a service that was withdrawn on Day.
func TestAnchorWindow(t *testing.T) {
	day := mint.Day
	w := newWorld(t, mint.Period{Status: mint.Withdrawn, From: day},
		mint.Period{Status: mint.Granted, From: day.AddDate(-5, 0, 0), Additional: []string{mint.ForSignatures}})
	at := day.AddDate(0, 0, 3)
	for _, c := range []struct {
		name  string
		stamp time.Time
		want  string
	}{
		// nothing proves that the list of revocations is older than the withdrawal
		{"before the withdrawal", day.Add(-time.Hour), "INDETERMINATE NO_CERTIFICATE_CHAIN_FOUND_NO_POE Indeterminate QESig"},
		{"after it", day.Add(time.Hour), "INDETERMINATE NO_CERTIFICATE_CHAIN_FOUND_NO_POE Indeterminate AdESig"},
	} {
		r := w.judge(t, mint.XML{Signer: w.officer, At: c.stamp, Stamps: []mint.Stamp{{By: w.tsa, At: c.stamp}}}.Sign(t, letter), at, w.ca.CRL(t, day.AddDate(0, 0, 1), nil))
		s := r.Signatures[0]
		if got := string(s.Indication) + " " + string(s.SubIndication) + " " + s.Qualification; got != c.want {
			t.Errorf("%s: %s, want %s: %q", c.name, got, c.want, s.Reasons)
		}
	}
}

// TestTrustedSignature judges podpis zaufany: the minister's seal with the citizen in the signed attributes,
// its DigestInfo without NULL.
func TestTrustedSignature(t *testing.T) {
	w := newWorld(t)
	day := mint.Day
	name := pkix.Name{
		CommonName: ministerName, Country: []string{"PL"},
		ExtraNames: []pkix.AttributeTypeAndValue{{Type: []int{2, 5, 4, 97}, Value: ministerID}},
	}
	minister := w.ca.Issue(t, mint.Request{RSA: true, Extensions: []pkix.Extension{mint.QualifiedSeal(t)}, Subject: name})
	const citizen = `<pz:EPSignature xmlns:pz="http://crd.gov.pl/xml/schematy/podpis_zaufany/"><pz:NaturalPerson>` +
		`<pz:CurrentFamilyName>PRZYKŁADOWA</pz:CurrentFamilyName><pz:FirstName>ANNA</pz:FirstName><pz:PersonalIdentifier>` + goodPESEL + `</pz:PersonalIdentifier>` +
		`</pz:NaturalPerson></pz:EPSignature>`
	sign := func(role string) []byte {
		return mint.XML{Signer: minister, At: day, BareDigestInfo: true, Role: role}.Sign(t, letter)
	}
	crl := w.ca.CRL(t, day, nil)
	named := w.judge(t, sign(citizen), day.Add(time.Hour), crl).Signatures[0]
	if named.Indication != TotalPassed || named.Kind != KindTrusted || named.Signer.Surname != "PRZYKŁADOWA" || named.Signer.GivenName != "ANNA" {
		t.Errorf("%s %s %q %+v", named.Indication, named.Kind, named.Reasons, named.Signer)
	}
	if !strings.Contains(strings.Join(named.Notes, " "), "NULL") {
		t.Errorf("the notes do not tell of the missing NULL: %q", named.Notes)
	}
	for lang, text := range named.Sentence {
		if !strings.Contains(text, "ANNA PRZYKŁADOWA") || strings.Contains(text, ministerName) {
			t.Errorf("%s: the sentence names another than the citizen: %s", lang, text)
		}
	}
	if seal := w.judge(t, sign(""), day.Add(time.Hour), crl).Signatures[0]; seal.Indication != TotalPassed || seal.Kind != KindSeal {
		t.Errorf("the seal alone: %s %s", seal.Indication, seal.Kind)
	}
	if forged := w.judge(t, mint.XML{Signer: w.officer, At: day, Role: citizen}.Sign(t, letter), day.Add(time.Hour), crl).Signatures[0]; forged.Kind != KindQualified || forged.Signer.Surname != "" {
		t.Errorf("a citizen named under another's signature: %s %+v", forged.Kind, forged.Signer)
	}
	namesake := mint.Root(t, "Nieznany urząd").Issue(t, mint.Request{RSA: true, Subject: name})
	if forged := w.judge(t, mint.XML{Signer: namesake, At: day, Role: citizen}.Sign(t, letter), day.Add(time.Hour)).Signatures[0]; forged.Kind == KindTrusted || forged.Signer.Surname != "" {
		t.Errorf("the minister's name alone: %s %+v", forged.Kind, forged.Signer)
	}
	broken := bytes.Replace(sign(citizen), []byte("PRZYKŁADOWA"), []byte("PODROBIONA "), 1)
	if r := w.judge(t, broken, day.Add(time.Hour), crl).Signatures[0]; r.Kind == KindTrusted || r.Signer.Surname == "PODROBIONA" {
		t.Errorf("changed citizen: %s %+v", r.Kind, r.Signer)
	}
}

// TestJudgeIsPure judges the same facts from many goroutines: the answers are equal to the byte, and the
// race detector finds nobody writing into them.
func TestJudgeIsPure(t *testing.T) {
	w := newWorld(t)
	day := mint.Day
	doc, err := Open(budget.New(t.Context(), 0), mint.XML{Signer: w.officer, At: day, Stamps: []mint.Stamp{{By: w.tsa, At: day}}, CRLs: [][]byte{w.ca.CRL(t, day, nil)}, Certificates: [][]byte{w.ca.Cert.Raw}}.Sign(t, letter))
	if err != nil {
		t.Fatal(err)
	}
	doc.Signatures = append(doc.Signatures, doc.Signatures[0]) // a time-stamp that hangs on two signatures
	doc.Timestamps = doc.Signatures[0].Timestamps
	before, err := json.Marshal(doc)
	if err != nil {
		t.Fatal(err)
	}
	const judges = 8
	var answers [judges][]byte
	var wait sync.WaitGroup
	for i := range judges {
		wait.Go(func() {
			r, err := Judge(budget.New(t.Context(), 0), doc, w.evidence(), DefaultPolicy(), day.AddDate(2, 0, 0))
			if err != nil {
				t.Error(err)
				return
			}
			answers[i], _ = json.Marshal(r)
		})
	}
	wait.Wait()
	for i, a := range answers {
		if !bytes.Equal(a, answers[0]) {
			t.Fatalf("answer %d differs:\n%s\n%s", i, a, answers[0])
		}
	}
	if after, _ := json.Marshal(doc); !bytes.Equal(before, after) {
		t.Error("judging changed the facts")
	}
	if !bytes.Contains(answers[0], []byte(`"TOTAL-PASSED"`)) {
		t.Errorf("%s", answers[0])
	}
}

func TestJudgeRefuses(t *testing.T) {
	w := newWorld(t)
	doc, err := Open(budget.New(t.Context(), 0), []byte(letter))
	if err != nil || len(doc.Signatures) != 0 {
		t.Fatalf("a document without signatures: %v, %v", doc, err)
	}
	if _, err := Judge(budget.New(t.Context(), 0), nil, w.evidence(), DefaultPolicy(), mint.Day); err == nil {
		t.Error("no document: no error")
	}
	if _, err := Judge(budget.New(t.Context(), 0), doc, &Evidence{}, DefaultPolicy(), mint.Day); err == nil {
		t.Error("no lists: no error")
	}
	if _, err := Judge(budget.New(t.Context(), 0), doc, w.evidence(), DefaultPolicy(), time.Time{}); err == nil {
		t.Error("no time: no error")
	}
	cancelled, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := Judge(budget.New(cancelled, 0), doc, w.evidence(), DefaultPolicy(), mint.Day); err == nil {
		t.Error("cancelled: no error")
	}
}

// TestWeakEvidence: what a certificate's revocation information is worth is asked too where the certificate has expired:
// 'not revoked' rests on no algorithm that may not be relied on.
func TestWeakEvidence(t *testing.T) {
	w := newWorld(t)
	expired := w.ca.Issue(t, mint.Request{Subject: officerName("officer-1"), From: mint.Day.AddDate(-2, 0, 0), To: mint.Day.AddDate(0, 0, -1)})
	document := mint.XML{Signer: expired, At: mint.Day}.Sign(t, letter)
	crl, err := x509.CreateRevocationList(rand.Reader, &x509.RevocationList{SignatureAlgorithm: x509.ECDSAWithSHA384, Number: big.NewInt(1),
		ThisUpdate: mint.Day.AddDate(0, 0, -2), NextUpdate: mint.Day.AddDate(0, 0, 9)}, w.ca.Cert, w.ca.Key)
	if err != nil {
		t.Fatal(err)
	}
	weak, err := policy.Parse(bytes.Replace(policy.ShippedSource(policy.Strict), []byte("SHA384: no end"), []byte("SHA384: 2020-01-01"), 1))
	if err != nil {
		t.Fatal(err)
	}
	for p, want := range map[*Policy]SubIndication{DefaultPolicy(): judge.OutOfBoundsNotRevoked, weak: judge.CryptoConstraintsNoPOE} {
		b := budget.New(t.Context(), len(document))
		doc, err := Open(b, document)
		if err != nil {
			t.Fatal(err)
		}
		r, err := Judge(b, doc, w.evidence(crl), p, mint.Day.AddDate(0, 0, 3))
		if err != nil {
			t.Fatal(err)
		}
		if got := r.Signatures[0]; got.SubIndication != want {
			t.Errorf("%s, want %s: %q", got.SubIndication, want, got.Reasons)
		}
	}
}

// TestRecordsOfTheFile: the file's list has every evidence record once, with the signatures that it belongs to.
func TestRecordsOfTheFile(t *testing.T) {
	w := newWorld(t)
	shared, own := &signature.EvidenceRecord{ID: "E-1"}, &signature.EvidenceRecord{ID: "E-2"}
	doc := &signature.Document{EvidenceRecords: []*signature.EvidenceRecord{{ID: "E-0"}}, Signatures: []*signature.Signature{
		{ID: "S-1", EvidenceRecords: []*signature.EvidenceRecord{shared}},
		{ID: "S-2", EvidenceRecords: []*signature.EvidenceRecord{shared, own}},
	}}
	r, err := Judge(budget.New(t.Context(), 0), doc, w.evidence(), DefaultPolicy(), mint.Day)
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, e := range r.EvidenceRecords {
		got = append(got, e.ID+" "+strings.Join(e.Signatures, " "))
	}
	if want := []string{"E-0 ", "E-1 S-1 S-2", "E-2 S-2"}; !slices.Equal(got, want) {
		t.Errorf("%q, want %q", got, want)
	}
	if len(r.Signatures[1].EvidenceRecords) != 2 {
		t.Error("the records of a signature do not stand with it")
	}
}
