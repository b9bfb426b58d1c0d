package judge_test

import (
	"crypto/rand"
	"crypto/sha256"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/hex"
	"fmt"
	"math/big"
	"slices"
	"strings"
	"testing"
	"time"

	"golang.org/x/crypto/ocsp"

	"trustcore/internal/budget"
	"trustcore/verify/cache"
	"trustcore/verify/internal/mint"
	"trustcore/verify/judge"
	"trustcore/verify/policy"
	"trustcore/verify/signature"
	"trustcore/verify/trustlist"
)

// memory is a cache that everything of a test goes through.
func memory(t *testing.T) *cache.Cache {
	t.Helper()
	c, err := cache.New(cache.Config{Certificates: 1000, Verdicts: 10_000, Evidence: 64 << 20})
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// asked is a judgement to be repeated with a memory and without.
type asked struct {
	doc    *signature.Document
	lists  *trustlist.Snapshot
	policy *policy.Policy
	at     time.Time
	crls   [][]byte
	ocsps  [][]byte
	certs  [][]byte
	later  map[[32]byte]time.Time
}

// same judges with the memory and without, which must say the same, and returns what is said.
func (a asked) same(t *testing.T, c *cache.Cache) string {
	t.Helper()
	got, _ := a.judge(t, c)
	want, _ := a.judge(t, nil)
	if got != want {
		t.Errorf("with a memory\n%s\nwithout\n%s", got, want)
	}
	return want
}

func (a asked) judge(t *testing.T, c *cache.Cache) (text string, spent int64) {
	t.Helper()
	const work = 1 << 40
	b := budget.Of(t.Context(), work, work)
	found, err := judge.Judge(b, a.doc, &judge.Evidence{Lists: a.lists, Certificates: a.certs, CRLs: a.crls, OCSPs: a.ocsps, Later: a.later, Cache: c},
		a.policy, a.at)
	if err != nil {
		t.Fatal(err)
	}
	var out strings.Builder
	for _, s := range found.Signatures {
		fmt.Fprintln(&out, s.Conclusion, s.BestSignatureTime, s.Level, s.Notes, s.Chain.Covered, s.Chain.Conclusion, s.Chain.Notes,
			s.Chain.Path.Valid, s.AtIssuance, s.AtSigning)
		for i, c := range s.Chain.Path.Chain {
			fmt.Fprint(&out, hex.EncodeToString(c.Fingerprint[:]))
			if i < len(s.Chain.Path.Revocation) {
				r := s.Chain.Path.Revocation[i]
				fmt.Fprint(&out, r.Status, r.Code, r.Detail, r.Source, r.RevocationTime, r.ThisUpdate, r.NextUpdate, r.Notes)
			}
		}
		for _, r := range s.Chain.Path.Reasons {
			fmt.Fprint(&out, r.String(), r.Position)
		}
		for _, t := range s.Facts.Timestamps {
			fmt.Fprintln(&out, found.Timestamps[t].Conclusion, found.Timestamps[t].Notes, found.Timestamps[t].Service)
		}
	}
	return out.String(), work - b.Left()
}

func named(t *testing.T, name string) *policy.Policy {
	t.Helper()
	p, err := policy.Named(name)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// instants are the times around an instant.
func instants(list ...time.Time) (all []time.Time) {
	for _, t := range list {
		all = append(all, t.Add(-time.Second), t, t.Add(1500*time.Millisecond))
	}
	return all
}

// TestRemembered asks for the same chains with evidence, policies and times that differ, through one memory: each
// answer is the one that is given without it, whatever was asked before.
func TestRemembered(t *testing.T) {
	day, hour := mint.Day, time.Hour
	w := newWorld(t)
	end := w.officer.Cert.NotAfter
	var docs []*signature.Document
	for _, at := range instants(w.officer.Cert.NotBefore, day, day.AddDate(0, 0, 3), day.AddDate(0, 0, 7), end) {
		docs = append(docs, w.signed(t, at))
	}
	docs = append(docs, w.signed(t))
	revoked := func(at, when time.Time) []byte {
		return w.ca.CRL(t, at, map[*x509.Certificate]time.Time{w.officer.Cert: when})
	}
	evidence := [][][]byte{{}, {w.ca.CRL(t, day, nil)}, {revoked(day, day.Add(-hour))}, {revoked(day.Add(hour), day)},
		{w.ca.CRL(t, end.AddDate(0, -1, 0), nil)}, {w.ca.CRL(t, day, nil), revoked(day.AddDate(0, 0, 7), day.AddDate(0, 0, 1))}}
	policies := []*policy.Policy{w.policy, strictBut(t, "SHA256: no end", "SHA256: 2026-03-08"),
		named(t, policy.DSSDefault)}
	times := instants(day, day.Add(hour), day.AddDate(0, 0, 3), day.AddDate(0, 0, 7), end.AddDate(0, -1, 0), end, end.AddDate(0, 1, 0))
	c, outcomes := memory(t), map[string]bool{}
	for _, crls := range evidence {
		for _, at := range times {
			for i, doc := range docs {
				for _, p := range policies {
					a := asked{doc: doc, lists: w.lists, policy: p, at: at, crls: crls}
					got, _ := a.judge(t, c)
					want, _ := a.judge(t, nil)
					if got != want {
						t.Fatalf("document %d at %s: with a memory\n%s\nwithout\n%s", i, at, got, want)
					}
					outcomes[want] = true
				}
			}
		}
	}
	if len(outcomes) < 500 {
		t.Errorf("the questions have %d answers alone", len(outcomes))
	}
}

// TestRememberedIssuer is TestRemembered where something beside the signer's certificate ends: its issuer's below the
// anchor, a responder's, and the service of a list.
func TestRememberedIssuer(t *testing.T) {
	now := time.Now().UTC().Truncate(time.Second).Add(time.Minute) // answers are produced at the real time
	day := func(n int) time.Time { return now.AddDate(0, 0, n) }
	root := mint.Root(t, "root")
	ca := root.Issue(t, mint.Request{Subject: pkix.Name{CommonName: "CA"}, CA: true, From: day(-100), To: day(20)})
	w := newWorldUnder(t, root)
	w.officer = ca.Issue(t, mint.Request{Subject: pkix.Name{CommonName: "officer"}, From: day(-90), To: day(200)})
	responder := responding(t, ca, day(-30), day(10))
	answer, err := ocsp.CreateResponse(ca.Cert, responder.Cert, ocsp.Response{Status: ocsp.Good, SerialNumber: w.officer.Cert.SerialNumber,
		ThisUpdate: day(-2), NextUpdate: day(2), Certificate: responder.Cert}, responder.Key)
	if err != nil {
		t.Fatal(err)
	}
	unbounded, err := ocsp.CreateResponse(ca.Cert, ca.Cert, ocsp.Response{Status: ocsp.Revoked, SerialNumber: w.officer.Cert.SerialNumber,
		ThisUpdate: day(-3), RevokedAt: day(-3)}, ca.Key)
	if err != nil {
		t.Fatal(err)
	}
	ofRoot := root.CRL(t, day(-3), nil)
	var docs []*signature.Document
	for _, at := range instants(day(-100), day(-90), day(-3), day(-2), day(-1)) {
		docs = append(docs, w.signed(t, at))
	}
	docs = append(docs, w.signed(t))
	times := instants(day(-4), day(-3), day(-2), now, day(2), day(10), day(20), day(200))
	backwards := slices.Clone(times)
	slices.Reverse(backwards)
	times = append(times, backwards...)
	c, outcomes := memory(t), map[string]bool{}
	for _, ocsps := range [][][]byte{{answer}, {unbounded}, {answer, unbounded}, {}} {
		for i, doc := range docs {
			for _, at := range times {
				a := asked{doc: doc, lists: w.lists, policy: w.policy, at: at, crls: [][]byte{ofRoot}, ocsps: ocsps, certs: [][]byte{ca.Cert.Raw}}
				got, _ := a.judge(t, c)
				want, _ := a.judge(t, nil)
				if got != want {
					t.Fatalf("document %d at %s: with a memory\n%s\nwithout\n%s", i, at, got, want)
				}
				outcomes[want] = true
			}
		}
	}
	if len(outcomes) < 50 {
		t.Errorf("the questions have %d answers alone", len(outcomes))
	}
}

// responding is a delegate for OCSP whose own status nobody asks for.
func responding(t *testing.T, ca mint.Party, from, to time.Time) mint.Party {
	t.Helper()
	key := mint.NewKey(t)
	der, err := x509.CreateCertificate(rand.Reader, &x509.Certificate{SerialNumber: big.NewInt(77), Subject: pkix.Name{CommonName: "responder"},
		NotBefore: from, NotAfter: to, KeyUsage: x509.KeyUsageDigitalSignature, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageOCSPSigning},
		ExtraExtensions: []pkix.Extension{{Id: []int{1, 3, 6, 1, 5, 5, 7, 48, 1, 5}, Value: []byte{5, 0}}}}, ca.Cert, key.Public(), ca.Key)
	if err != nil {
		t.Fatal(err)
	}
	cert, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	return mint.Party{Key: key, Cert: cert}
}

// TestRememberedProof: a conclusion that rests on a proof of existence of evidence serves nobody who lacks that.
func TestRememberedProof(t *testing.T) {
	day, root := mint.Day, mint.Root(t, "root")
	w := newWorldUnder(t, root)
	ca := root.Issue(t, mint.Request{Subject: pkix.Name{CommonName: "CA"}, CA: true, From: day.AddDate(-2, 0, 0), To: day.AddDate(0, 1, 0)})
	w.officer = ca.Issue(t, mint.Request{Subject: pkix.Name{CommonName: "officer"}})
	crls := [][]byte{ca.CRL(t, day, nil), root.CRL(t, day, nil)}
	unproven, proven := w.signed(t, day), w.signed(t, day)
	list := digests(crls...)
	proven.Signatures[0].Timestamps[0].Covers = append(proven.Signatures[0].Timestamps[0].Covers, list...)
	outcomes := map[string]bool{}
	for _, order := range [][]*signature.Document{{unproven, proven}, {proven, unproven}} {
		c := memory(t)
		for range 2 {
			for _, doc := range order {
				a := asked{doc: doc, lists: w.lists, policy: w.policy, at: day.AddDate(0, 2, 0), crls: crls, certs: [][]byte{ca.Cert.Raw}}
				outcomes[a.same(t, c)] = true
			}
		}
	}
	if len(outcomes) != 2 {
		t.Error("the proof makes no difference:", outcomes)
	}
}

// TestRememberedSigner: of two signers with the same certificates and evidence beside them one alone was revoked.
func TestRememberedSigner(t *testing.T) {
	w := newWorld(t)
	first, c := w.signed(t, mint.Day), memory(t)
	revoked := w.officer
	w.officer = w.ca.Issue(t, mint.Request{Subject: pkix.Name{CommonName: "officer"}})
	second := w.signed(t, mint.Day)
	crls := [][]byte{w.ca.CRL(t, mint.Day, map[*x509.Certificate]time.Time{revoked.Cert: mint.Day.Add(-time.Hour)})}
	both := [][]byte{revoked.Cert.Raw, w.officer.Cert.Raw}
	for _, doc := range []*signature.Document{first, second} {
		doc.Signatures[0].Certificates = both
		a := asked{doc: doc, lists: w.lists, policy: w.policy, at: mint.Day.Add(time.Hour), crls: crls}
		a.same(t, c)
	}
}

// TestRememberedEvidence: a list of as many revoked certificates that says something else is heard at once.
func TestRememberedEvidence(t *testing.T) {
	w, c := newWorld(t), memory(t)
	doc := w.signed(t, mint.Day)
	revoked := func(p mint.Party) []byte {
		return w.ca.CRL(t, mint.Day, map[*x509.Certificate]time.Time{p.Cert: mint.Day.Add(-time.Hour)})
	}
	for _, crl := range [][]byte{revoked(w.tsu), revoked(w.officer), revoked(w.tsu)} {
		a := asked{doc: doc, lists: w.lists, policy: w.policy, at: mint.Day.Add(time.Hour), crls: [][]byte{crl}}
		a.same(t, c)
		beside := *doc
		beside.Timestamps = []*signature.Timestamp{{Type: signature.ContainerTimestamp, CRLs: [][]byte{crl}}}
		asked{doc: &beside, lists: w.lists, policy: w.policy, at: mint.Day.Add(time.Hour)}.same(t, c)
	}
}

// TestRememberedAlgorithm: what evidence rests on is relied on until a day of the policy, which no octet names.
func TestRememberedAlgorithm(t *testing.T) {
	w, c, outcomes := newWorld(t), memory(t), map[string]bool{}
	doc, limited := w.signed(t, mint.Day), strictBut(t, "  OCSPCertHashMatch: FAIL\n  BasicSignatureConstraints:\n",
		"  OCSPCertHashMatch: FAIL\n  BasicSignatureConstraints:\n"+
			"    Cryptographic: {Level: FAIL, Digests: {SHA256: 2026-03-05}, Keys: {ECDSA: {256: no end}}}\n")
	crls := [][]byte{w.ca.CRL(t, mint.Day, nil)}
	for _, at := range []time.Time{mint.Day.AddDate(0, 0, 3), mint.Day.AddDate(0, 0, 6), mint.Day.AddDate(0, 0, 3)} {
		a := asked{doc: doc, lists: w.lists, policy: limited, at: at, crls: crls}
		outcomes[a.same(t, c)] = true
	}
	if len(outcomes) != 2 {
		t.Error("the day makes no difference:", outcomes)
	}
}

// TestRememberedAnchor: an anchor counts since its service was granted, which no certificate names.
func TestRememberedAnchor(t *testing.T) {
	w, c, outcomes := newWorld(t), memory(t), map[string]bool{}
	since := mint.Day.AddDate(-5, 0, 0)
	w.officer = w.ca.Issue(t, mint.Request{Subject: pkix.Name{CommonName: "officer"}, From: since.AddDate(-1, 0, 0), To: mint.Day})
	doc, crls := w.signed(t), [][]byte{w.ca.CRL(t, since.AddDate(0, 0, -3), nil)}
	for _, at := range []time.Time{since.Add(-time.Hour), since.Add(time.Hour), since.Add(-time.Hour)} {
		a := asked{doc: doc, lists: w.lists, policy: w.policy, at: at, crls: crls}
		outcomes[a.same(t, c)] = true
	}
	if len(outcomes) != 2 {
		t.Error("the service makes no difference:", outcomes)
	}
}

// TestRememberedLater: that sources of evidence may tell more later is told at once, and no longer than it is so.
func TestRememberedLater(t *testing.T) {
	w, c, outcomes := newWorld(t), memory(t), map[string]bool{}
	doc, later := w.signed(t, mint.Day), map[[32]byte]time.Time{sha256.Sum256(w.officer.Cert.Raw): mint.Day.Add(2 * time.Hour)}
	for _, l := range []map[[32]byte]time.Time{nil, later, nil} {
		a := asked{doc: doc, lists: w.lists, policy: w.policy, at: mint.Day.Add(time.Hour), later: l}
		outcomes[a.same(t, c)] = true
	}
	if len(outcomes) != 2 {
		t.Error("it makes no difference:", outcomes)
	}
}

// TestRememberedLists: lists that are loaded anew are asked at once, and the earlier ones again for who still has them.
func TestRememberedLists(t *testing.T) {
	w, stranger, c := newWorld(t), newWorld(t), memory(t)
	doc, crls := w.signed(t, mint.Day), [][]byte{w.ca.CRL(t, mint.Day, nil)}
	for _, l := range []*trustlist.Snapshot{w.lists, stranger.lists, newWorldUnder(t, w.ca).lists, w.lists, stranger.lists} {
		a := asked{doc: doc, lists: l, policy: w.policy, at: mint.Day.Add(time.Hour), crls: crls}
		a.same(t, c)
	}
}

// TestRememberedServes: a chain that was judged before costs next to nothing, at another time too.
func TestRememberedServes(t *testing.T) {
	w, c := newWorld(t), memory(t)
	crls := [][]byte{w.ca.CRL(t, mint.Day, nil)}
	var last int64
	for i, at := range []time.Duration{time.Minute, 2 * time.Minute, 3 * time.Minute} {
		doc := w.signed(t, mint.Day.Add(at))
		a := asked{doc: doc, lists: w.lists, policy: w.policy, at: mint.Day.Add(time.Hour + at), crls: crls}
		_, spent := a.judge(t, c)
		if _, whole := a.judge(t, nil); i > 0 && spent > whole/8 {
			t.Errorf("document %d costs %d of %d", i, spent, whole)
		}
		last = spent
	}
	if last == 0 {
		t.Error("nothing is spent for what is looked up")
	}
}

func digests(objects ...[]byte) (list [][32]byte) {
	for _, o := range objects {
		list = append(list, sha256.Sum256(o))
	}
	return list
}
