package judge_test

import (
	"crypto/sha256"
	"crypto/x509"
	"crypto/x509/pkix"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"trustcore/internal/budget"
	"trustcore/verify/internal/mint"
	"trustcore/verify/judge"
	"trustcore/verify/policy"
	"trustcore/verify/signature"
	"trustcore/verify/trustlist"
	"trustcore/verify/xades"
)

const letter = `<pismo><tresc>Urząd Miasta Przykładowo zawiadamia.</tresc></pismo>`

// world has a listed authority, an officer whose certificate is of the year around Day, and a listed time-stamping unit.
type world struct {
	ca, tsu, officer mint.Party
	lists            *trustlist.Snapshot
	policy           *policy.Policy
}

func newWorld(t *testing.T) *world {
	t.Helper()
	return newWorldUnder(t, mint.Root(t, "CA"))
}

// newWorldUnder is newWorld with another authority, and with what became of it after it was granted, the newest first.
func newWorldUnder(t *testing.T, ca mint.Party, later ...mint.Period) *world {
	t.Helper()
	w := &world{ca: ca, policy: strictBut(t)}
	w.officer = w.ca.Issue(t, mint.Request{Subject: pkix.Name{CommonName: "officer"}, From: mint.Day.AddDate(0, -6, 0), To: mint.Day.AddDate(0, 6, 0)})
	w.tsu = mint.Root(t, "unused").Issue(t, mint.Request{Subject: pkix.Name{CommonName: "unit"}, TSU: true, From: mint.Day.AddDate(-10, 0, 0), To: mint.Day.AddDate(10, 0, 0)})
	since := []mint.Period{{Status: mint.Granted, From: mint.Day.AddDate(-5, 0, 0), Additional: []string{mint.ForSignatures}}}
	list := mint.List{Type: mint.TypeList, Territory: "PL", Sequence: 1, Services: []mint.Service{
		{Name: "CA", Type: mint.CAQC, By: w.ca, Periods: append(later, since...)}, {Name: "TSA", Type: mint.QTST, By: w.tsu, Periods: since},
	}}.Sign(t, mint.Root(t, "Scheme operator"))
	file := filepath.Join(t.TempDir(), "list.xml")
	if err := os.WriteFile(file, list, 0o600); err != nil {
		t.Fatal(err)
	}
	var err error
	if w.lists, err = trustlist.Load(t.Context(), trustlist.Sources{Extra: []string{file}}); err != nil {
		t.Fatal(err)
	}
	return w
}

// strictBut is the policy strict with replacements in its file, pairs of old and new.
func strictBut(t *testing.T, replacements ...string) *policy.Policy {
	t.Helper()
	source := string(policy.ShippedSource(policy.Strict))
	for i := 0; i+1 < len(replacements); i += 2 {
		if !strings.Contains(source, replacements[i]) {
			t.Fatalf("%q does not stand in the policy", replacements[i])
		}
		source = strings.Replace(source, replacements[i], replacements[i+1], 1)
	}
	p, err := policy.Parse([]byte(source))
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// signed is a letter of the officer with a signature time-stamp of each of the times.
func (w *world) signed(t *testing.T, stamps ...time.Time) *signature.Document {
	t.Helper()
	var list []mint.Stamp
	for _, at := range stamps {
		list = append(list, mint.Stamp{By: w.tsu, At: at})
	}
	return w.stamped(t, list...)
}

// stamped is a letter of the officer with the signature time-stamps.
func (w *world) stamped(t *testing.T, stamps ...mint.Stamp) *signature.Document {
	t.Helper()
	document := mint.XML{Signer: w.officer, At: mint.Day, Stamps: stamps}.Sign(t, letter)
	doc, err := xades.Open(budget.New(t.Context(), len(document)), document, nil)
	if err != nil {
		t.Fatal(err)
	}
	return doc
}

func (w *world) judge(t *testing.T, doc *signature.Document, at time.Time, crls ...[]byte) *judge.Document {
	t.Helper()
	found, err := judge.Judge(budget.New(t.Context(), 0), doc, &judge.Evidence{Lists: w.lists, CRLs: crls}, w.policy, at)
	if err != nil {
		t.Fatal(err)
	}
	return found
}

func wants(t *testing.T, c judge.Conclusion, want string) {
	t.Helper()
	if got := strings.TrimSpace(string(c.Indication) + " " + string(c.SubIndication)); got != want {
		t.Errorf("got %s, want %s: %q", got, want, c.Reasons)
	}
}

// TestWithTime reaches what proofs of existence and content time-stamps make of the state now (5.3.4, 5.5.4).
func TestWithTime(t *testing.T) {
	w := newWorld(t)
	day, later := mint.Day, mint.Day.AddDate(1, 0, 0)
	crl := w.ca.CRL(t, day.AddDate(0, 5, 0), nil)
	revoked := w.ca.CRL(t, day.AddDate(0, 5, 0), map[*x509.Certificate]time.Time{w.officer.Cert: day})
	content := func(s *signature.Signature) {
		s.Timestamps[0].Type, s.Timestamps[0].Covers = signature.ContentTimestamp, nil
	}
	weak := func(s *signature.Signature) {
		s.Algorithms[0] = signature.AlgorithmUse{Purpose: "signature", Algorithm: "SHA-1"}
	}
	for _, c := range []struct {
		name  string
		stamp time.Time
		crl   []byte
		edit  func(*signature.Signature)
		want  string
	}{
		{"proven in time", day, crl, nil, "TOTAL-PASSED"},
		{"proven before the certificate", day.AddDate(-1, 0, 0), crl, nil, "TOTAL-FAILED NOT_YET_VALID"},
		{"proven after the certificate", day.AddDate(0, 7, 0), crl, nil, "INDETERMINATE OUT_OF_BOUNDS_NOT_REVOKED"},
		{"content stamped in time", day, crl, content, "INDETERMINATE OUT_OF_BOUNDS_NOT_REVOKED"},
		{"content stamped after the certificate", day.AddDate(0, 7, 0), crl, content, "TOTAL-FAILED EXPIRED"},
		{"revoked", day.Add(time.Hour), revoked, nil, "INDETERMINATE REVOKED_NO_POE"},
		{"proven before the revocation", day.Add(-time.Hour), revoked, nil, "TOTAL-PASSED"},
		{"content stamped before the revocation", day.Add(-time.Hour), revoked, content, "INDETERMINATE REVOKED_NO_POE"},
		{"content stamped after the revocation", day.Add(time.Hour), revoked, content, "TOTAL-FAILED REVOKED"},
		{"weak", day, crl, weak, "INDETERMINATE CRYPTO_CONSTRAINTS_FAILURE_NO_POE"},
	} {
		t.Run(c.name, func(t *testing.T) {
			doc := w.signed(t, c.stamp)
			if c.edit != nil {
				c.edit(doc.Signatures[0])
			}
			wants(t, w.judge(t, doc, later, c.crl).Signatures[0].Conclusion, c.want)
		})
	}
	doc := w.signed(t, day)
	content(doc.Signatures[0])
	weak(doc.Signatures[0])
	wants(t, w.judge(t, doc, day.AddDate(0, 1, 0), w.ca.CRL(t, day.AddDate(0, 1, 0), nil)).Signatures[0].Conclusion, "INDETERMINATE CRYPTO_CONSTRAINTS_FAILURE")
}

// TestSignersOfEvidence: whoever has a key that has run out may sign a list of before, so that a list counts only where
// something proves that it is older, the issuing key's own too. An anchor counts as long as its list says so.
func TestSignersOfEvidence(t *testing.T) {
	month := func(n int) time.Time { return mint.Day.AddDate(0, n, 0) }
	short := func(from mint.Party) mint.Party {
		return from.Issue(t, mint.Request{Subject: pkix.Name{CommonName: "CA that ends"}, CA: true, From: month(-12), To: month(3)})
	}
	own := func(w *world) (issuer, signer mint.Party) {
		return w.ca, w.ca.Issue(t, mint.Request{Subject: w.ca.Cert.Subject, CA: true, From: month(-12), To: month(3)})
	}
	below := func(w *world) (issuer, signer mint.Party) {
		ca := short(w.ca)
		return ca, ca
	}
	anchor := func(w *world) (issuer, signer mint.Party) { return w.ca, w.ca }
	const runOut = "INDETERMINATE REVOCATION_OUT_OF_BOUNDS_NO_POE"
	for _, c := range []struct {
		name    string
		root    mint.Party
		parties func(*world) (issuer, signer mint.Party) // the officer's issuer, and who signs the list
		at      time.Time
		proven  bool
		want    string
	}{
		{"another key, valid", mint.Root(t, "CA"), own, month(2), false, "TOTAL-PASSED"},
		{"another key, run out", mint.Root(t, "CA"), own, month(5), false, runOut},
		{"another key, proven before its end", mint.Root(t, "CA"), own, month(5), true, "TOTAL-PASSED"},
		{"the issuing key, valid", mint.Root(t, "CA"), below, month(2), false, "TOTAL-PASSED"},
		{"the issuing key, run out", mint.Root(t, "CA"), below, month(5), false, runOut},
		{"the issuing key, proven before its end", mint.Root(t, "CA"), below, month(5), true, "TOTAL-PASSED"},
		{"the issuing key of an anchor, run out", short(mint.Root(t, "Root")), anchor, month(5), false, "TOTAL-PASSED"},
	} {
		t.Run(c.name, func(t *testing.T) {
			w := newWorldUnder(t, c.root)
			issuer, signer := c.parties(w)
			w.officer = issuer.Issue(t, mint.Request{Subject: pkix.Name{CommonName: "officer"}, From: month(-6), To: month(6)})
			crl := signer.CRL(t, month(1), nil)
			doc := w.signed(t, mint.Day, month(1).AddDate(0, 0, 1))
			s := doc.Signatures[0]
			s.Certificates = append(s.Certificates, signer.Cert.Raw, issuer.Cert.Raw)
			archive := s.Timestamps[1]
			archive.Type, archive.Covers = signature.ArchiveTimestamp, nil
			if c.proven {
				archive.Covers = [][32]byte{sha256.Sum256(crl)}
			}
			crls := [][]byte{crl}
			if issuer != w.ca {
				crls = append(crls, w.ca.CRL(t, month(2), nil)) // about the issuer
			}
			wants(t, w.judge(t, doc, c.at, crls...).Signatures[0].Conclusion, c.want)
		})
	}
}

// TestEvidenceOfAnAnchorThatEnded: what an authority signed that its list trusts no longer may be of yesterday, whatever date
// it bears, so that it counts only where something proves that it is from before the end.
func TestEvidenceOfAnAnchorThatEnded(t *testing.T) {
	day := func(n int) time.Time { return mint.Day.AddDate(0, 0, n) }
	withdrawn := mint.Period{Status: mint.Withdrawn, From: day(10)}
	again := mint.Period{Status: mint.Granted, From: day(20), Additional: []string{mint.ForSignatures}}
	const ended = "INDETERMINATE NO_CERTIFICATE_CHAIN_FOUND_NO_POE"
	for _, c := range []struct {
		name   string
		later  []mint.Period
		below  bool // the authority issues to one that issues to the officer and signs the list
		at     int
		proven bool
		want   string
	}{
		{"trusted still", []mint.Period{withdrawn}, false, 9, false, "TOTAL-PASSED"},
		{"withdrawn since", []mint.Period{withdrawn}, false, 12, false, ended},
		{"withdrawn since, by one below it", []mint.Period{withdrawn}, true, 12, false, ended},
		{"withdrawn since, proven before", []mint.Period{withdrawn}, false, 12, true, "TOTAL-PASSED"},
		{"withdrawn since, proven before, by one below it", []mint.Period{withdrawn}, true, 12, true, "TOTAL-PASSED"},
		{"trusted again", []mint.Period{again, withdrawn}, false, 22, false, "TOTAL-PASSED"},
	} {
		t.Run(c.name, func(t *testing.T) {
			w := newWorldUnder(t, mint.Root(t, "CA"), c.later...)
			issuer := w.ca
			if c.below {
				issuer = w.ca.Issue(t, mint.Request{Subject: pkix.Name{CommonName: "below"}, CA: true})
				w.officer = issuer.Issue(t, mint.Request{Subject: pkix.Name{CommonName: "officer"}})
			}
			crls := [][]byte{issuer.CRL(t, day(1), nil)}
			if c.below {
				crls = append(crls, w.ca.CRL(t, day(1), nil))
			}
			doc := w.signed(t, day(0), day(2))
			s := doc.Signatures[0]
			s.Certificates = append(s.Certificates, issuer.Cert.Raw)
			archive := s.Timestamps[1]
			archive.Type, archive.Covers = signature.ArchiveTimestamp, nil
			for _, crl := range crls {
				if c.proven {
					archive.Covers = append(archive.Covers, sha256.Sum256(crl))
				}
			}
			wants(t, w.judge(t, doc, day(c.at), crls...).Signatures[0].Conclusion, c.want)
		})
	}
}

// TestSigningTimeOutOfRange: who claims a time at which the certificate was not valid claims what cannot be true.
func TestSigningTimeOutOfRange(t *testing.T) {
	w := newWorld(t)
	for claimed, want := range map[time.Time]string{
		mint.Day:                   "TOTAL-PASSED",
		mint.Day.AddDate(-1, 0, 0): "INDETERMINATE SIG_CONSTRAINTS_FAILURE",
		mint.Day.AddDate(1, 0, 0):  "INDETERMINATE SIG_CONSTRAINTS_FAILURE",
	} {
		doc := w.signed(t, mint.Day)
		doc.Signatures[0].SigningTime = claimed
		wants(t, w.judge(t, doc, mint.Day.Add(time.Hour), w.ca.CRL(t, mint.Day, nil)).Signatures[0].Conclusion, want)
	}
}

// TestFreshness: evidence that had run out before a signature's time says nothing of the signer, and is told of units.
func TestFreshness(t *testing.T) {
	w := newWorld(t)
	day := mint.Day
	old := w.ca.CRL(t, day.AddDate(0, -2, 0), nil)
	for level, want := range map[policy.Level]string{policy.Fail: "INDETERMINATE TRY_LATER", policy.Warn: "TOTAL-PASSED", policy.Ignore: "TOTAL-PASSED"} {
		of := []string{"RevocationFreshnessNextUpdate: FAIL", "RevocationFreshnessNextUpdate: " + level.String()}
		w.policy = strictBut(t, slices.Concat(of, of, of, of)...) // of signatures and counter-signatures, signers and authorities
		s := w.judge(t, w.signed(t, day), day.Add(time.Hour), old).Signatures[0]
		wants(t, s.Conclusion, want)
		told := slices.ContainsFunc(s.Notes, func(n string) bool { return strings.Contains(n, "nextUpdate has passed") })
		if told != (level == policy.Warn) {
			t.Errorf("level %s: notes %q", level, s.Notes)
		}
		older := w.ca.CRL(t, day.AddDate(0, -7, 0), nil)
		if s = w.judge(t, w.signed(t, day), day.Add(time.Hour), older).Signatures[0]; s.Indication == judge.TotalPassed {
			t.Errorf("level %s: evidence older than the certificate passes", level)
		}
	}
}

// TestKeyOfTheSigner: the strength of the signer's own key is the signature's, and comes after its certificate's (5.2.8).
func TestKeyOfTheSigner(t *testing.T) {
	w := newWorld(t)
	w.officer = w.ca.Issue(t, mint.Request{Subject: pkix.Name{CommonName: "officer"}, RSA: true, From: mint.Day.AddDate(0, -6, 0), To: mint.Day.AddDate(0, 6, 0)})
	w.policy = strictBut(t, "SignatureConstraints:\n  BasicSignatureConstraints:\n",
		"SignatureConstraints:\n  BasicSignatureConstraints:\n    Cryptographic: {Digests: {SHA256: no end}, Keys: {RSA: {2048: no end}}}\n",
		"1900: 2029-01-01, 3000: 2029-01-01", "1900: 2020-01-01, 3000: 2029-01-01")
	crl := w.ca.CRL(t, mint.Day.AddDate(0, 5, 0), nil)
	wants(t, w.judge(t, w.signed(t), mint.Day.AddDate(1, 0, 0), crl).Signatures[0].Conclusion, "INDETERMINATE OUT_OF_BOUNDS_NOT_REVOKED")
	wants(t, w.judge(t, w.signed(t), mint.Day.Add(time.Hour), w.ca.CRL(t, mint.Day, nil)).Signatures[0].Conclusion, "INDETERMINATE CRYPTO_CONSTRAINTS_FAILURE_NO_POE")
}

// TestWhoIsNotTheSigner: a certificate that the signature denies has no name, whatever else is wrong with the signature.
func TestWhoIsNotTheSigner(t *testing.T) {
	w := newWorld(t)
	doc := w.signed(t, mint.Day)
	s := doc.Signatures[0]
	s.Binding, s.Structure = signature.BindingMismatch, []string{"ill-formed"}
	s.Timestamps[0].Binding = signature.BindingMismatch
	r := w.judge(t, doc, mint.Day.Add(time.Hour), w.ca.CRL(t, mint.Day, nil))
	wants(t, r.Signatures[0].Conclusion, "TOTAL-FAILED FORMAT_FAILURE")
	if r.Signatures[0].Signer != nil || r.Signatures[0].AtSigning.Found || r.Timestamps[s.Timestamps[0]].Unit != nil {
		t.Error("a certificate of somebody else is named")
	}
}

// TestManifestEntries that are not at hand are left to the application in XML signatures (XMLDSig 5.1), and nowhere else.
func TestManifestEntries(t *testing.T) {
	w := newWorld(t)
	entry := func(found, intact bool) signature.Reference {
		return signature.Reference{Name: "umowa.pdf", Type: "manifest-entry", Found: found, Intact: intact}
	}
	for _, c := range []struct {
		name   string
		format signature.Format
		entry  signature.Reference
		want   string
	}{
		{"at hand", signature.XAdES, entry(true, true), "TOTAL-PASSED"},
		{"not at hand", signature.XAdES, entry(false, false), "TOTAL-PASSED"},
		{"changed", signature.XAdES, entry(true, false), "TOTAL-FAILED HASH_FAILURE"},
		{"of a container", signature.CAdES, entry(false, false), "INDETERMINATE SIGNED_DATA_NOT_FOUND"},
	} {
		doc := w.signed(t)
		s := doc.Signatures[0]
		s.Format, s.References = c.format, append(s.References, c.entry)
		r := w.judge(t, doc, mint.Day.Add(time.Hour), w.ca.CRL(t, mint.Day, nil)).Signatures[0]
		t.Log(c.name)
		wants(t, r.Conclusion, c.want)
		if (len(judge.Absent(s)) > 0) != (c.name == "not at hand") {
			t.Errorf("%s: absent %q", c.name, judge.Absent(s))
		}
	}
	doc := w.signed(t)
	doc.Signatures[0].References = []signature.Reference{{Type: "manifest", Found: true, Intact: true}, entry(false, false)}
	wants(t, w.judge(t, doc, mint.Day.Add(time.Hour), w.ca.CRL(t, mint.Day, nil)).Signatures[0].Conclusion, "INDETERMINATE SIGNED_DATA_NOT_FOUND")
}

// TestReferencesInOrder: what is missing is told before what was changed (5.2.7.4).
func TestReferencesInOrder(t *testing.T) {
	w := newWorld(t)
	doc := w.signed(t)
	doc.Signatures[0].References = []signature.Reference{{Type: "data", Name: "a", Found: true}, {Type: "data", Name: "b"}}
	at, crl := mint.Day.Add(time.Hour), w.ca.CRL(t, mint.Day, nil)
	wants(t, w.judge(t, doc, at, crl).Signatures[0].Conclusion, "INDETERMINATE SIGNED_DATA_NOT_FOUND")
	doc.Signatures[0].References[1] = signature.Reference{Type: "data", Name: "b", Found: true, Intact: true}
	wants(t, w.judge(t, doc, at, crl).Signatures[0].Conclusion, "TOTAL-FAILED HASH_FAILURE")
}

// TestEvidenceRecords: a record is worth what its form, what it is about and each of its time-stamps are worth; then it
// proves the age of what it covers, else of nothing.
func TestEvidenceRecords(t *testing.T) {
	w := newWorld(t)
	day, later := mint.Day, mint.Day.AddDate(2, 0, 0)
	intact := signature.Reference{Name: "umowa.pdf", Type: "data", Found: true, Intact: true}
	for _, c := range []struct {
		name, want string
		edit       func(*signature.EvidenceRecord)
	}{
		{"good", "TOTAL-PASSED", func(*signature.EvidenceRecord) {}},
		{"about more than is at hand", "TOTAL-PASSED", func(e *signature.EvidenceRecord) {
			e.References = append(e.References, signature.Reference{Type: "orphan"})
		}},
		{"about nothing at hand", "INDETERMINATE SIGNED_DATA_NOT_FOUND", func(e *signature.EvidenceRecord) { e.References = []signature.Reference{{Type: "orphan"}} }},
		{"object missing", "INDETERMINATE SIGNED_DATA_NOT_FOUND", func(e *signature.EvidenceRecord) { e.References[0] = signature.Reference{Type: "data", Name: "a"} }},
		{"object of an unknown transform", "INDETERMINATE SIGNED_DATA_NOT_FOUND", func(e *signature.EvidenceRecord) { e.References[0].Intact, e.References[0].Unchecked = false, "x" }},
		{"object changed", "TOTAL-FAILED HASH_FAILURE", func(e *signature.EvidenceRecord) { e.References[0].Intact = false }},
		{"ill-formed", "TOTAL-FAILED FORMAT_FAILURE", func(e *signature.EvidenceRecord) { e.Structure = []string{"x"} }},
		{"not read to its end", "INDETERMINATE GENERIC", func(e *signature.EvidenceRecord) { e.Unchecked = "x" }},
		{"without time-stamps", "TOTAL-FAILED FORMAT_FAILURE", func(e *signature.EvidenceRecord) { e.Timestamps = nil }},
		{"out of order", "TOTAL-FAILED FORMAT_FAILURE", func(e *signature.EvidenceRecord) { slices.Reverse(e.Timestamps) }},
		{"first time-stamp about other data", "TOTAL-FAILED HASH_FAILURE", func(e *signature.EvidenceRecord) { e.Timestamps[0].Imprint = false }},
		{"renewal about other data", "TOTAL-FAILED HASH_FAILURE", func(e *signature.EvidenceRecord) { e.Timestamps[1].Imprint = false }},
		{"renewal of what is not at hand", "INDETERMINATE SIGNED_DATA_NOT_FOUND", func(e *signature.EvidenceRecord) { e.Timestamps[1].Found = false }},
	} {
		t.Run(c.name, func(t *testing.T) {
			doc := w.signed(t, day, day.AddDate(0, 1, 0))
			s := doc.Signatures[0]
			first, renewal := s.Timestamps[0], s.Timestamps[1]
			first.Covers, renewal.Covers = nil, [][32]byte{sha256.Sum256(first.Token)}
			e := &signature.EvidenceRecord{ID: "E-1", Type: signature.XMLEvidenceRecord, References: []signature.Reference{intact},
				Timestamps: []*signature.Timestamp{first, renewal}, Covers: [][32]byte{s.Value}}
			s.Timestamps, s.EvidenceRecords = nil, []*signature.EvidenceRecord{e}
			c.edit(e)
			r := w.judge(t, doc, later, w.ca.CRL(t, day.AddDate(0, 5, 0), nil))
			wants(t, r.Records[e].Conclusion, c.want)
			proven := r.Signatures[0].BestSignatureTime.Equal(day)
			if want := c.want == "TOTAL-PASSED"; proven != want || (r.Signatures[0].Indication == judge.TotalPassed) != want {
				t.Errorf("proven at %s, %s %s", r.Signatures[0].BestSignatureTime, r.Signatures[0].Indication, r.Signatures[0].SubIndication)
			}
		})
	}
}

// TestRenewalIsInTime: the algorithm of an older time-stamp counts at the time that the next one proves.
func TestRenewalIsInTime(t *testing.T) {
	w := newWorld(t)
	day, end := mint.Day, mint.Day.AddDate(0, 2, 0)
	w.policy = strictBut(t, "SHA224: 2029-01-01", "SHA224: "+end.Format(time.DateOnly))
	for months, want := range map[int]string{1: "TOTAL-PASSED", 3: "INDETERMINATE CRYPTO_CONSTRAINTS_FAILURE_NO_POE"} {
		doc := w.signed(t, day, day.AddDate(0, months, 0))
		s := doc.Signatures[0]
		first, renewal := s.Timestamps[0], s.Timestamps[1]
		first.Algorithms = append(first.Algorithms, signature.AlgorithmUse{Purpose: "timestamp-imprint", Algorithm: "SHA-224"})
		renewal.Covers = [][32]byte{sha256.Sum256(first.Token)}
		e := &signature.EvidenceRecord{References: []signature.Reference{{Type: "data", Found: true, Intact: true}}, Timestamps: []*signature.Timestamp{first, renewal}}
		doc.EvidenceRecords, s.Timestamps = []*signature.EvidenceRecord{e}, nil
		wants(t, w.judge(t, doc, day.AddDate(1, 0, 0)).Records[e].Conclusion, want)
	}
}
