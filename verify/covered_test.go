package verify

import (
	"bytes"
	"crypto/x509/pkix"
	"encoding/asn1"
	"slices"
	"strings"
	"testing"
	"time"

	"trustcore/internal/budget"
	"trustcore/verify/internal/mint"
	"trustcore/verify/judge"
	"trustcore/verify/policy"
	"trustcore/verify/signature"
)

// judged opens a good document, lets edit change its facts, and judges them.
func (w *world) judged(t *testing.T, policy *Policy, edit func(*signature.Signature)) *SignatureReport {
	t.Helper()
	document := mint.XML{Signer: w.officer, At: mint.Day, CRLs: [][]byte{w.ca.CRL(t, mint.Day, nil)}}.Sign(t, letter)
	b := budget.New(t.Context(), len(document))
	doc, err := Open(b, document)
	if err != nil {
		t.Fatal(err)
	}
	edit(doc.Signatures[0])
	r, err := Judge(b, doc, w.evidence(), policy, mint.Day.Add(time.Hour))
	if err != nil {
		t.Fatal(err)
	}
	return &r.Signatures[0]
}

const unchanged = "not been changed"

// TestCovered holds the verdict and the sentence to what the signature covers: each row changes one fact of a
// document that passes.
func TestCovered(t *testing.T) {
	w := newWorld(t)
	data := func(s *signature.Signature) *signature.Reference {
		for i := range s.References {
			if judge.IsContent(s.References[i].Type) {
				return &s.References[i]
			}
		}
		t.Fatal("the document has no reference to content")
		return nil
	}
	change := func(kind signature.ChangeKind, page int, rule signature.Rule) func(*signature.Signature) {
		return func(s *signature.Signature) {
			s.Changes = append(s.Changes, signature.Change{Kind: kind, Revision: 2, Page: page, What: "something", Rule: rule})
		}
	}
	for _, c := range []struct {
		name, want, says string
		whole            bool
		edit             func(*signature.Signature)
	}{
		{"nothing changed", "TOTAL-PASSED", unchanged, true, func(*signature.Signature) {}},
		{"a part", "TOTAL-PASSED", "only a part is signed: “/pismo/tresc”", false, func(s *signature.Signature) { data(s).Full, data(s).Scope = false, "/pismo/tresc" }},
		{"an unsigned file", "TOTAL-PASSED", "not signed (2): “faktura.pdf”, “b.xml”", false, func(s *signature.Signature) { s.Unsigned = []string{"faktura.pdf", "b.xml"} }},
		{"many unsigned files", "TOTAL-PASSED", "“a”, “a”, “a”, “a”, and 96 more", false, func(s *signature.Signature) { s.Unsigned = strings.Split(strings.Repeat("a ", 99)+"a", " ") }},
		{"validation data added", "TOTAL-PASSED", "since then only this was added: validation data", false, change(signature.ChangeValidationData, 0, "")},
		{"a comment added", "TOTAL-PASSED", "after signing: a comment was added (page 2)", false, change(signature.ChangeAnnotation, 2, "")},
		{"a field filled", "TOTAL-PASSED", "a form field was filled in", false, change(signature.ChangeField, 0, "")},
		{"content changed", "TOTAL-FAILED FORMAT_FAILURE", "does not allow: what a page shows or does was changed (page 1)", false, change(signature.ChangeContent, 1, signature.RuleVisual)},
		{"pages changed", "TOTAL-FAILED FORMAT_FAILURE", "pages were added", false, change(signature.ChangePage, 0, signature.RulePageDifference)},
		{"certified", "TOTAL-FAILED FORMAT_FAILURE", "does not allow: a comment", false, change(signature.ChangeAnnotation, 1, signature.RuleDocMDP)},
		{"locked", "TOTAL-FAILED FORMAT_FAILURE", "does not allow: a form field", false, change(signature.ChangeField, 1, signature.RuleFieldMDP)},
		{"lock", "TOTAL-FAILED FORMAT_FAILURE", "does not allow: a form field", false, change(signature.ChangeField, 1, signature.RuleLock)},
		{"unknown", "TOTAL-FAILED FORMAT_FAILURE", "effect is not known", false, change(signature.ChangeOther, 0, signature.RuleUndefined)},
		{"nothing signed", "INDETERMINATE SIGNED_DATA_NOT_FOUND", "nothing in this file is signed", false, func(s *signature.Signature) { data(s).Empty = true }},
		{"properties alone", "INDETERMINATE SIGNED_DATA_NOT_FOUND", "nothing in this file is signed", false, func(s *signature.Signature) { data(s).Type = "signed-properties" }},
		{"key alone", "INDETERMINATE SIGNED_DATA_NOT_FOUND", "nothing in this file is signed", false, func(s *signature.Signature) { data(s).Type = "key-info" }},
		{"an empty manifest", "INDETERMINATE SIGNED_DATA_NOT_FOUND", "nothing in this file is signed", false, func(s *signature.Signature) { data(s).Type = "manifest" }},
		{"no references", "INDETERMINATE SIGNED_DATA_NOT_FOUND", "is missing", false, func(s *signature.Signature) { s.References = nil }},
		{"not found", "INDETERMINATE SIGNED_DATA_NOT_FOUND", "is missing", false, func(s *signature.Signature) { data(s).Found, data(s).Intact = false, false }},
		{"not to be checked", "INDETERMINATE SIGNED_DATA_NOT_FOUND", "can't be checked", false, func(s *signature.Signature) { data(s).Unchecked, data(s).Intact = "Whirlpool", false }},
		{"of an unknown algorithm", "INDETERMINATE CRYPTO_CONSTRAINTS_FAILURE_NO_POE", "can't be checked by this program", false, func(s *signature.Signature) { s.Intact, s.Unsupported = false, "urn:x" }},
		{"of an unknown algorithm, as a JWS", "INDETERMINATE CRYPTO_CONSTRAINTS_FAILURE_NO_POE", "can't be checked by this program", false, func(s *signature.Signature) {
			s.Intact, s.Unsupported = false, "urn:x"
			for i := range s.References {
				s.References[i].Intact, s.References[i].Unchecked = false, "urn:x"
			}
		}},
		{"of an unknown algorithm, about what is not there", "INDETERMINATE SIGNED_DATA_NOT_FOUND", "", false, func(s *signature.Signature) {
			s.Intact, s.Unsupported = false, "urn:x"
			for i := range s.References {
				s.References[i].Found, s.References[i].Intact, s.References[i].Unchecked = false, false, "urn:x"
			}
		}},
		{"forged", "TOTAL-FAILED SIG_CRYPTO_FAILURE", "does not fit", false, func(s *signature.Signature) { s.Intact = false }},
		{"content of no reader", "INDETERMINATE SIG_CONSTRAINTS_FAILURE", "do not rely on it", false, func(s *signature.Signature) { s.Constraints = []string{"KeyInfo"} }},
		{"a limit", "INDETERMINATE GENERIC", "cost too much", false, func(s *signature.Signature) { s.Unchecked = "too many" }},
		{"a counter-signature", "TOTAL-PASSED", "confirms another signature", false, func(s *signature.Signature) { s.CounterSignatureOf = "S-0" }},
	} {
		t.Run(c.name, func(t *testing.T) {
			r := w.judged(t, DefaultPolicy(), c.edit)
			if got := strings.TrimSpace(string(r.Indication) + " " + string(r.SubIndication)); got != c.want {
				t.Errorf("got %s, want %s: %q", got, c.want, r.Reasons)
			}
			en, pl := r.Sentence["en"], r.Sentence["pl"]
			if !strings.Contains(en, c.says) {
				t.Errorf("the sentence does not say %q: %s", c.says, en)
			}
			if strings.Contains(en, unchanged) != c.whole || strings.Contains(pl, "nie został zmieniony") != c.whole {
				t.Errorf("says that nothing was changed: %s / %s", en, pl)
			}
		})
	}
}

// TestPolicyTolerates: what DSS's constraint file only warns of passes there, and is told all the same.
func TestPolicyTolerates(t *testing.T) {
	w := newWorld(t)
	for rule, tolerated := range map[signature.Rule]bool{
		signature.RulePageDifference: false, signature.RuleFieldName: false, signature.RuleVisual: true, signature.RuleDocMDP: true,
		signature.RuleFieldMDP: true, signature.RuleLock: true, signature.RuleUndefined: true,
	} {
		r := w.judged(t, DSSPolicy(), func(s *signature.Signature) {
			s.Changes = []signature.Change{{Kind: signature.ChangeContent, Page: 1, Revision: 2, What: "the text", Rule: rule}}
		})
		if (r.Indication == TotalPassed) != tolerated {
			t.Errorf("%s: %s %q", rule, r.Indication, r.Reasons)
		}
		if len(r.Warnings()) != 1 || !strings.Contains(r.Warnings()[0], string(rule)) || strings.Contains(r.Sentence["en"], unchanged) {
			t.Errorf("%s is not told: %q %s", rule, r.Warnings(), r.Sentence["en"])
		}
	}
}

// DSSPolicy is the shipped policy with the levels of DSS.
func DSSPolicy() *Policy {
	p, err := policy.Named(policy.DSSDefault)
	if err != nil {
		panic(err)
	}
	return p
}

// TestReportNamesThePolicy: which edition of which policy a verdict was given by must be known years later.
func TestReportNamesThePolicy(t *testing.T) {
	for _, p := range []*Policy{DefaultPolicy(), DSSPolicy()} {
		r := newReport(p, nil, mint.Day)
		if r.Policy != p.Name() || r.PolicyVersion != p.Version() || r.PolicyDigest != p.Digest() {
			t.Errorf("%q %q %q", r.Policy, r.PolicyVersion, r.PolicyDigest)
		}
	}
}

// TestConstrainedIsNeverWhole: where the chain speaks first, nothing is said of a whole that is not signed.
func TestConstrainedIsNeverWhole(t *testing.T) {
	w := newWorld(t)
	w.lists = load(t, mint.List{Type: mint.TypeList, Territory: "PL", Sequence: 1}.Sign(t, mint.Root(t, "Scheme operator")))
	r := w.judged(t, DefaultPolicy(), func(s *signature.Signature) { s.Constraints = []string{"KeyInfo"} })
	if r.SubIndication != judge.NoCertificateChainFound || strings.Contains(r.Sentence["en"], unchanged) {
		t.Errorf("%s says that nothing was changed: %s", r.SubIndication, r.Sentence["en"])
	}
}

// TestIllFormed: what is built otherwise than its standard says never passes (EN 319 102-1, 5.2.2).
func TestIllFormed(t *testing.T) {
	r := newWorld(t).judged(t, DefaultPolicy(), func(s *signature.Signature) { s.Structure = []string{"two of what there is one of"} })
	if r.Indication != TotalFailed || r.SubIndication != judge.FormatFailure {
		t.Errorf("%s %s, want TOTAL-FAILED FORMAT_FAILURE", r.Indication, r.SubIndication)
	}
}

// TestNoManifest: EN 319 162-1 leaves the manifest to XML signatures, DSS demands it.
func TestNoManifest(t *testing.T) {
	w := newWorld(t)
	for policy, want := range map[*Policy]Indication{DefaultPolicy(): TotalPassed, DSSPolicy(): TotalFailed} {
		if r := w.judged(t, policy, func(s *signature.Signature) { s.NoManifest = true }); r.Indication != want {
			t.Errorf("%s: %s %q", policy.Name(), r.Indication, r.Reasons)
		}
	}
}

// TestSignerUse: a certificate for something else makes no signature of a document under strict.
func TestSignerUse(t *testing.T) {
	w := newWorld(t)
	for name, extension := range map[string]pkix.Extension{
		"key usage of encryption":   {Id: asn1.ObjectIdentifier{2, 5, 29, 15}, Critical: true, Value: []byte{3, 2, 5, 0x20}},
		"OCSP answers alone":        {Id: asn1.ObjectIdentifier{2, 5, 29, 37}, Value: []byte{0x30, 0x0a, 6, 8, 0x2b, 6, 1, 5, 5, 7, 3, 9}},
		"time-stamps alone":         {Id: asn1.ObjectIdentifier{2, 5, 29, 37}, Value: []byte{0x30, 0x0a, 6, 8, 0x2b, 6, 1, 5, 5, 7, 3, 8}},
		"control: mail and answers": {Id: asn1.ObjectIdentifier{2, 5, 29, 37}, Value: []byte{0x30, 0x14, 6, 8, 0x2b, 6, 1, 5, 5, 7, 3, 9, 6, 8, 0x2b, 6, 1, 5, 5, 7, 3, 4}},
	} {
		w.officer = w.ca.Issue(t, mint.Request{Subject: officerName("officer-1"), Extensions: []pkix.Extension{extension}})
		strict, loose := w.judged(t, DefaultPolicy(), func(*signature.Signature) {}), w.judged(t, DSSPolicy(), func(*signature.Signature) {})
		want := judge.SigConstraintsFailure
		if strings.HasPrefix(name, "control") {
			want = ""
		}
		if strict.SubIndication != want || loose.Indication != TotalPassed {
			t.Errorf("%s: strict %s %q, dss-default %s %q", name, strict.SubIndication, strict.Reasons, loose.Indication, loose.Reasons)
		}
	}
}

// TestManyChangesHideNone: a change that is told in the sentence is told whatever number of harmless ones comes first.
func TestManyChangesHideNone(t *testing.T) {
	w := newWorld(t)
	for _, rule := range []signature.Rule{signature.RuleNone, signature.RuleVisual} {
		r := w.judged(t, DSSPolicy(), func(s *signature.Signature) {
			s.Changes = slices.Repeat([]signature.Change{{Kind: signature.ChangeValidationData, Revision: 2, What: "a"}}, 2*judge.MaxTold)
			s.Changes = append(s.Changes, signature.Change{Kind: signature.ChangeContent, Revision: 3, Page: 1, What: "b", Rule: rule})
		})
		if en := r.Sentence["en"]; !strings.Contains(en, "what a page shows or does was changed (page 1)") || len(r.Changes) != judge.MaxTold {
			t.Errorf("%q: %d told: %s", rule, len(r.Changes), en)
		}
	}
}

// TestStraysInASignature: what somebody put into a signature refuses under strict; elsewhere it is told, and nobody says
// that nothing was changed.
func TestStraysInASignature(t *testing.T) {
	w := newWorld(t)
	for policy, want := range map[*Policy]Indication{DefaultPolicy(): Indeterminate, DSSPolicy(): TotalPassed} {
		r := w.judged(t, policy, func(s *signature.Signature) { s.Strays = []string{"text in /pismo/ds:Signature"} })
		told := slices.ContainsFunc(r.Notes, func(n string) bool { return strings.Contains(n, "text in /pismo/ds:Signature") })
		if r.Indication != want || !told || strings.Contains(r.Sentence["en"], unchanged) {
			t.Errorf("%s: %s, want %s; notes %q: %s", policy.Name(), r.Indication, want, r.Notes, r.Sentence["en"])
		}
	}
}

// TestWhatAPolicyWarnsOfIsTold: an algorithm past a forecast end, and a container without a manifest.
func TestWhatAPolicyWarnsOfIsTold(t *testing.T) {
	weak := func(s *signature.Signature) {
		s.NoManifest = true
		s.Algorithms = append(s.Algorithms, signature.AlgorithmUse{Purpose: "signature", Algorithm: "SHA-224"})
	}
	source := bytes.Replace(policy.ShippedSource(policy.DSSDefault), []byte("SHA224: 2029-01-01"), []byte("SHA224: 2025-01-01"), 1)
	warns, err := policy.Parse(bytes.Replace(source, []byte("ManifestFilePresent: FAIL"), []byte("ManifestFilePresent: WARN"), 1))
	if err != nil {
		t.Fatal(err)
	}
	r := newWorld(t).judged(t, warns, weak)
	told := strings.Join(r.Notes, "\n")
	if r.Indication != TotalPassed || !strings.Contains(told, "SHA224 could be relied on until 2025-01-01") || !strings.Contains(told, "no manifest") {
		t.Errorf("%s %q, told: %q", r.Indication, r.Reasons, r.Notes)
	}
	if r := newWorld(t).judged(t, DefaultPolicy(), weak); r.Indication != TotalPassed {
		t.Errorf("a forecast that has not come: %s %q", r.Indication, r.Reasons)
	}
}
