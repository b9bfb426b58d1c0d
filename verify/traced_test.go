package verify

import (
	"crypto/sha256"
	"crypto/x509"
	"encoding/json"
	"fmt"
	"os"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"trustcore/internal/budget"
	"trustcore/verify/internal/mint"
	"trustcore/verify/signature"
	"trustcore/verify/trace"
)

// TestTraceCorpus: what holds of every trace, over the public samples.
func TestTraceCorpus(t *testing.T) {
	corpus := os.Getenv("TRUSTCORE_CORPUS")
	if corpus == "" {
		t.Skip("set TRUSTCORE_CORPUS to the folder of public samples (make conformance CORPUS=DIR)")
	}
	run := trials[1]
	ev := corpusEvidence(t, corpus, run.lists)
	for _, s := range samples(t, corpus, run.oracle) {
		doc := openSample(t, corpus, s)
		if doc == nil {
			continue
		}
		t.Run(s.File, func(t *testing.T) { holds(t, doc, ev, DefaultPolicy(), run.at) })
	}
}

// holds checks of a document's trace what must be true of every one: ids that are referred to exist, conclusions are
// those of the report, whatever did not pass says why, and the same inputs give the same trace.
func holds(t testing.TB, doc *signature.Document, ev *Evidence, policy *Policy, at time.Time) *trace.Trace {
	t.Helper()
	report := judgeTraced(t, doc, ev, policy, at)
	tr := report.Trace
	refersToKnown(t, tr)
	concludesAs(t, tr, report)
	explains(t, tr)
	report.Trace = nil
	plain, err := Judge(budget.New(t.Context(), 1<<30), doc, ev, policy, at)
	if err != nil {
		t.Fatal(err)
	}
	if !reflect.DeepEqual(plain, report) {
		t.Errorf("the trace changes the report")
	}
	if again := judgeTraced(t, doc, ev, policy, at).Trace; !reflect.DeepEqual(tr, again) {
		t.Errorf("two traces of one document differ")
	}
	return tr
}

func judgeTraced(t testing.TB, doc *signature.Document, ev *Evidence, policy *Policy, at time.Time) *Report {
	t.Helper()
	r, err := JudgeTraced(budget.New(t.Context(), 1<<30), doc, ev, policy, at)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// idPattern is an id in the JSON of a trace; those of blocks go on after it.
var idPattern = regexp.MustCompile(`^[STECRDL]-[0-9A-F]{64}(-[0-9]+)?`)

// refersToKnown checks that each text that looks like an id is one of the trace: of an object or a block.
func refersToKnown(t testing.TB, tr *trace.Trace) {
	t.Helper()
	known, named := map[string]bool{}, map[string]bool{}
	give := func(id string) {
		if known[id] || !idPattern.MatchString(id) {
			t.Errorf("the id %q is not one, or stands for two", id)
		}
		known[id] = true
	}
	data, err := json.Marshal(tr)
	if err != nil {
		t.Fatal(err)
	}
	var tree any
	if err := json.Unmarshal(data, &tree); err != nil {
		t.Fatal(err)
	}
	walk(tree, func(object map[string]any, key string, value string) {
		switch {
		case !idPattern.MatchString(value) || key == "name":
		case key == "id":
			give(value)
		default:
			named[value] = true
		}
	})
	for id := range named {
		if !known[id] {
			t.Errorf("nothing has the id %q", id)
		}
	}
}

// walk hears every text of a JSON value with its key.
func walk(v any, hear func(object map[string]any, key, value string)) {
	switch v := v.(type) {
	case []any:
		for _, e := range v {
			if text, ok := e.(string); ok {
				hear(nil, "", text)
			}
			walk(e, hear)
		}
	case map[string]any:
		for key, e := range v {
			if text, ok := e.(string); ok {
				hear(v, key, text)
			}
			walk(e, hear)
		}
	}
}

// concludesAs checks the conclusions of signatures, time-stamps and records against the compact report.
func concludesAs(t testing.TB, tr *trace.Trace, r *Report) {
	t.Helper()
	same := func(what string, c trace.Conclusion, i Indication, sub SubIndication) {
		if c.Indication != string(i) || c.SubIndication != string(sub) {
			t.Errorf("%s: %s %s, the report says %s %s", what, c.Indication, c.SubIndication, i, sub)
		}
	}
	if len(tr.Signatures) != len(r.Signatures) && tr.Cut == "" {
		t.Fatalf("%d signatures, the report has %d", len(tr.Signatures), len(r.Signatures))
	}
	stamps := map[string]trace.Timestamp{}
	for _, s := range tr.Timestamps {
		stamps[s.ID] = s
	}
	for i, s := range tr.Signatures {
		want := r.Signatures[i]
		same(s.Name, s.Conclusion, want.Indication, want.SubIndication)
		if s.Level != want.Level || s.Qualification.Value != want.Qualification ||
			!s.BestSignatureTime.Time.Equal(want.BestSignatureTime) {
			t.Errorf("%s: %s %s %v", s.Name, s.Level, s.Qualification.Value, s.BestSignatureTime)
		}
		for _, p := range s.Processes[1:3] {
			same(string(p.Kind), p.Conclusion, want.Indication, want.SubIndication)
		}
		if basic := s.Processes[0].Conclusion; s.Conclusion.Indication == "TOTAL-PASSED" &&
			basic.Indication != "TOTAL-PASSED" {
			t.Errorf("%s passed, and its basic validation is %v", s.Name, basic)
		}
		for k, id := range s.Timestamps {
			same(id, stamps[id].Conclusion, want.Timestamps[k].Indication, want.Timestamps[k].SubIndication)
		}
		if by := s.BestSignatureTime.By; by != "" && stamps[by].Time.Sub(s.BestSignatureTime.Time) != 0 {
			t.Errorf("%s: %v is not of %v", s.Name, s.BestSignatureTime, stamps[by].Time)
		}
	}
}

// explains checks that each block and process that did not pass has a constraint that says why, and each that did has
// none; and that its sub-indication is one of the standard.
func explains(t testing.TB, tr *trace.Trace) {
	t.Helper()
	for _, b := range allBlocks(tr) {
		passed := b.Conclusion.Indication == "PASSED" || b.Conclusion.Indication == "TOTAL-PASSED"
		why := slices.ContainsFunc(b.Constraints,
			func(c trace.Constraint) bool { return c.Status == trace.NotOK && c.Message != "" })
		inner := slices.ContainsFunc(b.Blocks, func(i trace.Block) bool { return i.Conclusion.Indication != "PASSED" })
		if passed == why || passed && inner && b.Kind != trace.SubCertificateValidation {
			t.Errorf("%s: %v with %+v", b.ID, b.Conclusion, b.Constraints)
		}
		if passed != (b.Conclusion.SubIndication == "") && b.Kind != trace.QualificationProcess {
			t.Errorf("%s: %v", b.ID, b.Conclusion)
		}
		for _, c := range b.Constraints {
			if c.Name == "" || c.Status == "" || (c.Status == trace.OK) != (c.Message == "") && c.Status != trace.Ignored {
				t.Errorf("%s: %+v", b.ID, c)
			}
		}
	}
}

// allBlocks are those of a trace, and those within them.
func allBlocks(tr *trace.Trace) []trace.Block {
	var list []trace.Block
	var add func(blocks []trace.Block)
	add = func(blocks []trace.Block) {
		for _, b := range blocks {
			list = append(list, b)
			add(b.Blocks)
		}
	}
	for _, s := range tr.Signatures {
		add(s.Blocks)
		add(s.Processes)
	}
	for _, s := range tr.Timestamps {
		add(s.Blocks)
		add(s.Processes)
	}
	for _, e := range tr.EvidenceRecords {
		add(e.Blocks)
		add(e.Processes)
	}
	for _, r := range tr.Revocations {
		add(r.Blocks)
	}
	return list
}

// toldOf are the constraints of a trace that do not hold, as "KIND/Name", but for those that ask for other blocks.
func toldOf(tr *trace.Trace) string {
	var list []string
	for _, b := range allBlocks(tr) {
		for _, c := range b.Constraints {
			if c.Status == trace.NotOK && c.Name != trace.Conclusive {
				list = append(list, fmt.Sprintf("%s/%s", b.Kind, c.Name))
			}
		}
	}
	return strings.Join(list, " ")
}

// TestTrace: each kind of fault is told where it was found, by the name of its constraint.
func TestTrace(t *testing.T) {
	w := newWorld(t)
	document := mint.XML{Signer: w.officer, At: mint.Day, Stamps: []mint.Stamp{{By: w.tsa, At: mint.Day}}}.Sign(t, letter)
	crl := w.ca.CRL(t, mint.Day.Add(time.Hour), nil)
	revoked := w.ca.CRL(t, mint.Day.Add(time.Hour),
		map[*x509.Certificate]time.Time{w.officer.Cert: mint.Day.AddDate(0, 0, -1)})
	for _, c := range []struct {
		name  string
		edit  func(s *signature.Signature)
		crl   []byte
		want  string // the first constraint that did not hold; "" where all do
		asked bool   // by the policy dss-default alone
	}{
		{"passed", nil, crl, "", false},
		{"ill-formed", func(s *signature.Signature) { s.Structure = []string{"no SignedInfo"} }, crl, "FC/WellFormed", false},
		{"not checked to its end", func(s *signature.Signature) { s.Unchecked = "too large" }, crl, "FC/CheckedToItsEnd",
			false},
		{"no manifest", func(s *signature.Signature) { s.NoManifest = true }, crl, "FC/ManifestFilePresent", true},
		{"forbidden change", func(s *signature.Signature) {
			s.Changes = []signature.Change{{Kind: signature.ChangePage, What: "a page", Rule: signature.RulePageDifference}}
		}, crl, "FC/PdfPageDifference", false},
		{"no signer", func(s *signature.Signature) { s.Signer = nil }, crl, "ISC/Recognition", false},
		{"another signer", func(s *signature.Signature) { s.Binding = signature.BindingMismatch }, crl,
			"ISC/CertDigestMatch", false},
		{"time-stamp that is not bound", func(s *signature.Signature) { s.Timestamps[0].Binding = signature.BindingAbsent },
			crl,
			"ISC/SigningCertificatePresent", false},
		{"no data", func(s *signature.Signature) { s.References[0].Found = false }, crl, "CV/ReferenceDataExistence", false},
		{"changed", func(s *signature.Signature) { s.References[0].Intact = false }, crl, "CV/ReferenceDataIntact", false},
		{"nothing signed", func(s *signature.Signature) { s.References = s.References[1:] }, crl, "CV/DataSigned", false},
		{"another value", func(s *signature.Signature) { s.Intact = false }, crl, "CV/SignatureIntact", false},
		{"no evidence", nil, nil, "SUB_XCV/AcceptableRevocationDataFound", false},
		{"revoked", nil, revoked, "SUB_XCV/NotRevoked", false},
		{"weak", func(s *signature.Signature) { s.Algorithms[0].Algorithm = "MD5" }, crl, "SAV/Cryptographic", false},
		{"leans on what it must not", func(s *signature.Signature) { s.Constraints = []string{"why"} }, crl,
			"SAV/Acceptable", false},
		{"strays", func(s *signature.Signature) { s.Strays = []string{"an element"} }, crl, "SAV/UnsignedContent", false},
		{"ill-formed time-stamp", func(s *signature.Signature) { s.Timestamps[0].Structure = []string{"no TSTInfo"} }, crl,
			"FC/WellFormed", false},
		{"time-stamp of something else", func(s *signature.Signature) { s.Timestamps[0].Imprint = false }, crl,
			"CV/ReferenceDataIntact", false},
	} {
		t.Run(c.name, func(t *testing.T) {
			doc, err := Open(budget.New(t.Context(), len(document)), document)
			if err != nil {
				t.Fatal(err)
			}
			if c.edit != nil {
				c.edit(doc.Signatures[0])
			}
			var crls [][]byte
			if c.crl != nil {
				crls = [][]byte{c.crl}
			}
			policy := DefaultPolicy()
			if c.asked {
				policy = DSSPolicy()
			}
			told := toldOf(holds(t, doc, w.evidence(crls...), policy, mint.Day.Add(2*time.Hour)))
			if first, _, _ := strings.Cut(told, " "); first != c.want {
				t.Errorf("told: %s; want %s first", told, c.want)
			}
		})
	}
}

// TestTraceOfAPassedSignature looks at one whole: what a report needs is there.
func TestTraceOfAPassedSignature(t *testing.T) {
	w := newWorld(t)
	document := mint.XML{Signer: w.officer, At: mint.Day, Stamps: []mint.Stamp{{By: w.tsa, At: mint.Day}}}.Sign(t, letter)
	doc, err := Open(budget.New(t.Context(), len(document)), document)
	if err != nil {
		t.Fatal(err)
	}
	tr := holds(t, doc, w.evidence(w.ca.CRL(t, mint.Day.Add(time.Hour), nil)), DefaultPolicy(), mint.Day.Add(2*time.Hour))
	s, stamp := tr.Signatures[0], tr.Timestamps[0]
	if s.BestSignatureTime.By != stamp.ID || stamp.Owner != s.ID || !slices.Contains(stamp.Covers, s.ID) {
		t.Errorf("%+v by %s, which covers %v", s.BestSignatureTime, stamp.ID, stamp.Covers)
	}
	if len(s.Chain) != 2 || s.Chain[0].Source != trace.FromSignature || s.Chain[1].Source != trace.FromTrustedList {
		t.Errorf("chain %v", s.Chain)
	}
	officer := tr.Certificates[0]
	if officer.ID != s.SigningCertificate || len(officer.Services) != 1 || len(officer.Revocations) != 1 ||
		officer.Revocations[0].Status != "good" ||
		officer.Basic.Algorithm == "" || !officer.Basic.Intact || officer.KeyBits == 0 || len(officer.KeyUsage) == 0 {
		t.Errorf("%+v", officer)
	}
	if r := tr.Revocations[0]; r.Kind != "CRL" || r.Source != trace.FromOutside ||
		r.SigningCertificate != s.Chain[1].Certificate || r.ThisUpdate == nil {
		t.Errorf("%+v", r)
	}
	if s.Basic.Scheme == "" || s.Basic.Digest != "SHA-256" || !s.Basic.Valid || len(s.Value) == 0 ||
		len(s.DataToBeSigned.Value) != 32 {
		t.Errorf("%+v %x %+v", s.Basic, s.Value, s.DataToBeSigned)
	}
	for _, ref := range s.References {
		if len(ref.Digest.Value) != 32 || !ref.Intact {
			t.Errorf("%+v", ref)
		}
	}
	if refs := s.SigningCertificateRefs; len(refs) != 1 || !refs[0].Matches || refs[0].Certificate != officer.ID {
		t.Errorf("%+v", refs)
	}
	if len(s.Scopes) == 0 || len(tr.SignedData) == 0 || tr.TrustedLists[0].Territory != "PL" {
		t.Errorf("%v %v %v", s.Scopes, tr.SignedData, tr.TrustedLists)
	}
	if len(stamp.References[0].Digest.Value) == 0 {
		t.Errorf("%+v", stamp.References)
	}
}

// TestTraceIsBounded: a document that makes its trace long makes it no longer than the bounds, which the trace says,
// and what did not hold is there.
func TestTraceIsBounded(t *testing.T) {
	w := newWorld(t)
	document := mint.XML{Signer: w.officer, At: mint.Day}.Sign(t, letter)
	doc, err := Open(budget.New(t.Context(), len(document)), document)
	if err != nil {
		t.Fatal(err)
	}
	s := doc.Signatures[0]
	last := s.References[0]
	last.Name, last.Intact = "the last", false
	for range 120_000 {
		s.References = append(s.References, s.References[0])
	}
	s.References = append(s.References, last)
	tr := judgeTraced(t, doc, w.evidence(), DefaultPolicy(), mint.Day).Trace
	if tr.Cut == "" || toldOf(tr) == "" {
		t.Errorf("cut: %q, told: %s", tr.Cut, toldOf(tr))
	}
	met := 0
	for _, b := range allBlocks(tr) {
		met += len(b.Constraints)
	}
	if met > 101_000 {
		t.Errorf("%d constraints", met)
	}
	whole := mint.XML{Signer: w.officer, At: mint.Day, Stamps: []mint.Stamp{{By: w.tsa, At: mint.Day}}}.Sign(t, letter)
	if doc, err = Open(budget.New(t.Context(), len(whole)), whole); err != nil {
		t.Fatal(err)
	}
	stamp := doc.Signatures[0].Timestamps[0]
	for i := range 1_000 {
		again := *stamp
		again.Token = append(slices.Clone(stamp.Token), byte(i), byte(i>>8))
		doc.Signatures[0].Timestamps = append(doc.Signatures[0].Timestamps, &again)
	}
	for _, other := range doc.Signatures[0].Timestamps {
		for _, stamp := range doc.Signatures[0].Timestamps {
			other.Covers = append(other.Covers, sha256.Sum256(stamp.Token))
		}
	}
	tr = judgeTraced(t, doc, w.evidence(), DefaultPolicy(), mint.Day).Trace
	covered := 0
	for _, s := range tr.Timestamps {
		covered += len(s.Covers)
	}
	if covered > maxLinked || tr.Cut == "" {
		t.Errorf("%d links, cut: %q", covered, tr.Cut)
	}
}

// TestTraceIsShown: what a document says of itself is fit to be shown wherever it stands in the trace.
func TestTraceIsShown(t *testing.T) {
	const evil = "a\x1b[31m\u202eb\x00c"
	w := newWorld(t)
	document := mint.XML{Signer: w.officer, At: mint.Day, Stamps: []mint.Stamp{{By: w.tsa, At: mint.Day}}}.Sign(t, letter)
	doc, err := Open(budget.New(t.Context(), len(document)), document)
	if err != nil {
		t.Fatal(err)
	}
	s := doc.Signatures[0]
	s.ID, s.Filename, s.PolicyOID, s.Structure = evil, evil, evil, []string{evil}
	s.References[0].Name, s.References[0].Scope, s.References[0].Unchecked = evil, evil, evil
	s.Signatory.Roles, s.Strays, s.Constraints, s.Unsupported = []string{evil}, []string{evil}, []string{evil}, evil
	s.Timestamps[0].ID, s.Timestamps[0].Structure = evil, []string{evil}
	s.EvidenceRecords = []*signature.EvidenceRecord{{ID: evil, Structure: []string{evil}, References: s.References}}
	data, err := json.Marshal(judgeTraced(t, doc, w.evidence(), DefaultPolicy(), mint.Day).Trace)
	if err != nil {
		t.Fatal(err)
	}
	for _, mark := range []string{"\\u001b", "\u202e", "\\u0000"} {
		if strings.Contains(string(data), mark) {
			t.Errorf("the trace holds %q", mark)
		}
	}
}

// TestTraceOutlivesTheDocument: whoever reads a trace may have given back the document's octets.
func TestTraceOutlivesTheDocument(t *testing.T) {
	w := newWorld(t)
	ev := w.evidence(w.ca.CRL(t, mint.Day.Add(time.Hour), nil))
	for _, pdf := range []bool{false, true} {
		document := mint.XML{Signer: w.officer, At: mint.Day, Stamps: []mint.Stamp{{By: w.tsa, At: mint.Day}}}.Sign(t, letter)
		if pdf {
			document = signedPDF(t, w)
		}
		doc, err := Open(budget.New(t.Context(), len(document)), document)
		if err != nil {
			t.Fatal(err)
		}
		tr := judgeTraced(t, doc, ev, DefaultPolicy(), mint.Day.Add(2*time.Hour)).Trace
		if d := tr.Signatures[0].PDF; pdf != (d != nil) || pdf &&
			(len(d.Fields) != 1 || d.SubFilter == "" || len(d.ByteRange) != 4) {
			t.Errorf("%+v", d)
		}
		before := fmt.Sprintf("%x", everything(tr))
		clear(document)
		for _, crl := range ev.CRLs {
			clear(crl)
		}
		for _, s := range doc.Signatures {
			clear(s.SignatureValue)
			clear(s.DataToBeSigned.Value)
			for _, r := range s.References {
				clear(r.Digest.Value)
			}
			for _, t := range s.Timestamps {
				clear(t.Token)
			}
		}
		if fmt.Sprintf("%x", everything(tr)) != before {
			t.Error("the trace holds octets of the document")
		}
	}
}

// everything are the octets of a trace, those that JSON leaves out too.
func everything(tr *trace.Trace) [][]byte {
	var all [][]byte
	for _, s := range tr.Signatures {
		all = append(all, s.Value, s.DataToBeSigned.Value)
		for _, r := range s.References {
			all = append(all, r.Digest.Value)
		}
	}
	for _, s := range tr.Timestamps {
		all = append(all, s.DER, s.References[0].Digest.Value)
	}
	for _, c := range tr.Certificates {
		all = append(all, c.DER)
	}
	for _, r := range tr.Revocations {
		all = append(all, r.DER)
	}
	return all
}

// TestTraceCarried: what a document carries is named with the part that holds it, what no conclusion rests on is an
// orphan.
func TestTraceCarried(t *testing.T) {
	w := newWorld(t)
	crl, stranger := w.ca.CRL(t, mint.Day.Add(time.Hour), nil), mint.Root(t, "Cudzy urząd")
	other := stranger.CRL(t, mint.Day, nil)
	document := mint.XML{Signer: w.officer, At: mint.Day, Stamps: []mint.Stamp{{By: w.tsa, At: mint.Day}},
		Certificates: [][]byte{w.ca.Cert.Raw, stranger.Cert.Raw}, CRLs: [][]byte{crl, other}}.Sign(t, letter)
	doc, err := Open(budget.New(t.Context(), len(document)), document)
	if err != nil {
		t.Fatal(err)
	}
	tr := holds(t, doc, w.evidence(), DefaultPolicy(), mint.Day.Add(2*time.Hour))
	id := func(letter string, der []byte) string { return identifier(letter, sha256.Sum256(der)) }
	found := tr.Signatures[0].Found
	want := map[string][]trace.Origin{
		id(trace.CertificateID, w.officer.Cert.Raw): {"KEY_INFO"},
		id(trace.CertificateID, w.ca.Cert.Raw):      {"CERTIFICATE_VALUES"},
		id(trace.CertificateID, stranger.Cert.Raw):  {"CERTIFICATE_VALUES"},
		id(trace.RevocationID, crl):                 {"REVOCATION_VALUES"},
		id(trace.RevocationID, other):               {"REVOCATION_VALUES"}}
	got := map[string][]trace.Origin{}
	for _, c := range slices.Concat(found.Certificates, found.Revocations) {
		got[c.Object] = c.Origins
	}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("%v, want %v", got, want)
	}
	if len(tr.Orphans) != 2 || tr.Orphans[0].ID != id(trace.CertificateID, stranger.Cert.Raw) ||
		tr.Orphans[0].Kind != "certificate" ||
		tr.Orphans[1].ID != id(trace.RevocationID, other) || tr.Orphans[1].Kind != "CRL" {
		t.Errorf("%+v", tr.Orphans)
	}
	if c := tr.Timestamps[0].Found.Certificates; len(c) == 0 ||
		!slices.Equal(c[0].Origins, []trace.Origin{"SIGNED_DATA"}) {
		t.Errorf("%+v", c)
	}
}
