package judge_test

import (
	"crypto/x509/pkix"
	"encoding/asn1"
	"encoding/json"
	"slices"
	"strings"
	"testing"
	"time"

	"trustcore/verify/internal/mint"
	"trustcore/verify/policy"
	"trustcore/verify/signature"
)

// strictWith is the policy strict with one constraint more, or another.
func strictWith(t *testing.T, path string, constraint map[string]any) *policy.Policy {
	t.Helper()
	var tree map[string]any
	if err := json.Unmarshal(strictBut(t).Canonical(), &tree); err != nil {
		t.Fatal(err)
	}
	at, steps := tree, strings.Split(path, "/")
	for _, step := range steps[:len(steps)-1] {
		below, ok := at[step].(map[string]any)
		if !ok {
			below = map[string]any{}
			at[step] = below
		}
		at = below
	}
	at[steps[len(steps)-1]] = constraint
	data, err := json.Marshal(tree)
	if err != nil {
		t.Fatal(err)
	}
	p, err := policy.Parse(data)
	if err != nil {
		t.Fatal(err)
	}
	for _, r := range p.Remarks() {
		t.Errorf("%s is not judged as written: %s", r.Constraint, r.Text)
	}
	return p
}

const (
	ofSignature = "SignatureConstraints/"
	ofSigner    = "SignatureConstraints/BasicSignatureConstraints/SigningCertificate/"
	ofCA        = "SignatureConstraints/BasicSignatureConstraints/CACertificate/"
	signedly    = "SignatureConstraints/SignedAttributes/"
	unsigned    = "SignatureConstraints/UnsignedAttributes/"
)

// TestConstraintsOfSignatures: each constraint refuses at FAIL what does not meet it, tells it at WARN, does not ask at
// IGNORE, and lets pass what meets it.
func TestConstraintsOfSignatures(t *testing.T) {
	w := newWorld(t)
	day := mint.Day
	stamp := func(s *signature.Signature, typ signature.TimestampType) { s.Timestamps[1].Type = typ }
	of := func(typ signature.TimestampType) func(*signature.Signature) {
		return func(s *signature.Signature) { stamp(s, typ) }
	}
	nothing := func(*signature.Signature) {}
	const form, attributes = "TOTAL-FAILED FORMAT_FAILURE", "INDETERMINATE SIG_CONSTRAINTS_FAILURE"
	for _, c := range []struct {
		path       string
		values     []string
		met, unmet func(*signature.Signature)
		want       string
	}{
		{ofSignature + "AcceptableFormats", []string{"XAdES-BASELINE-T"}, nothing, func(s *signature.Signature) { s.Level = "B-B" }, form},
		{ofSignature + "AcceptableFormats", []string{"PAdES-BASELINE-B", "*"}, nothing, nil, form},
		{ofSignature + "FullScope", nil, nothing, func(s *signature.Signature) { s.References[0].Full = false }, form},
		{ofSignature + "AcceptablePolicies", []string{"NO_POLICY"}, nothing, func(s *signature.Signature) { s.PolicyOID = "1.2.3" }, attributes},
		{ofSignature + "AcceptablePolicies", []string{"1.2.3"}, func(s *signature.Signature) { s.PolicyOID = "1.2.3" }, nothing, attributes},
		{ofSignature + "AcceptablePolicies", []string{"ANY_POLICY"}, func(s *signature.Signature) { s.PolicyOID = "implied" }, nothing, attributes},
		{ofSignature + "AcceptablePolicies", []string{"IMPLICIT_POLICY"}, func(s *signature.Signature) { s.PolicyOID = "implied" },
			func(s *signature.Signature) { s.PolicyOID = "1.2.3" }, attributes},
		{signedly + "SigningTime", nil, nothing, func(s *signature.Signature) { s.SigningTime = time.Time{} }, attributes},
		{signedly + "SigningTimeInCertRange", nil, nothing, func(s *signature.Signature) { s.SigningTime = day.AddDate(1, 0, 0) }, attributes},
		{signedly + "SigningTimeInCertRange", nil, nothing, func(s *signature.Signature) { s.SigningTime = day.AddDate(-1, 0, 0) }, attributes},
		{signedly + "SigningCertificateDigestAlgorithm", nil, nothing, func(s *signature.Signature) {
			s.Algorithms = append(s.Algorithms, signature.AlgorithmUse{Purpose: "signing-certificate", Algorithm: "SHA-1"})
		}, attributes},
		{signedly + "ContentTimeStamp", nil, of(signature.ContentTimestamp), nothing, attributes},
		{signedly + "ContentTimeStamp", nil, of(signature.AllDataTimestamp), nothing, attributes},
		{signedly + "ContentTimeStamp", nil, of(signature.IndividualData), nothing, attributes},
		{unsigned + "SignatureTimeStamp", nil, nothing, func(s *signature.Signature) { s.Timestamps = nil }, attributes},
		{unsigned + "ValidationDataTimeStamp", nil, of(signature.SigAndRefs), nothing, attributes},
		{unsigned + "ValidationDataRefsOnlyTimeStamp", nil, of(signature.RefsOnlyTimestamp), nothing, attributes},
		{unsigned + "ArchiveTimeStamp", nil, of(signature.ArchiveTimestamp), nothing, attributes},
		{unsigned + "DocumentTimeStamp", nil, of(signature.DocumentTimestamp), nothing, attributes},
		{unsigned + "TLevelTimeStamp", nil, nothing, func(s *signature.Signature) { s.Timestamps = nil }, attributes},
		{unsigned + "LTALevelTimeStamp", nil, of(signature.ArchiveTimestamp), nothing, attributes},
		{unsigned + "LTALevelTimeStamp", nil, of(signature.ArchiveTimestamp), func(s *signature.Signature) {
			stamp(s, signature.ArchiveTimestamp)
			s.Timestamps[1].Imprint = false
		}, attributes},
		{"Timestamp/TimestampDelay", nil, nothing, func(s *signature.Signature) { s.SigningTime = day.Add(-25 * time.Hour) }, attributes},
		{"Timestamp/TimestampValid", nil, nothing, func(s *signature.Signature) { s.Timestamps[1].Imprint = false }, attributes},
	} {
		for _, level := range []string{"FAIL", "WARN", "IGNORE"} {
			constraint := map[string]any{"Level": level}
			if c.values != nil {
				constraint["Values"] = c.values
			}
			if strings.HasSuffix(c.path, "Delay") {
				constraint["Days"] = 1
			}
			w.policy = strictWith(t, c.path, constraint)
			judged := func(edit func(*signature.Signature)) (string, bool) {
				doc := w.signed(t, day, day)
				s := doc.Signatures[0]
				s.References[0].Full, s.Level = true, "B-T"
				edit(s)
				r := w.judge(t, doc, day.Add(2*time.Hour), w.ca.CRL(t, day, nil)).Signatures[0]
				return strings.TrimSpace(string(r.Indication) + " " + string(r.SubIndication)), len(r.Notes) > 0
			}
			if got, told := judged(c.met); got != "TOTAL-PASSED" || told {
				t.Errorf("%s at %s, met: %s, told: %t", c.path, level, got, told)
			}
			if c.unmet == nil {
				continue
			}
			want := map[string]string{"FAIL": c.want}[level]
			if want == "" {
				want = "TOTAL-PASSED"
			}
			if got, told := judged(c.unmet); got != want || told != (level == "WARN") {
				t.Errorf("%s at %s, not met: %s, want %s, told: %t", c.path, level, got, want, told)
			}
		}
	}
}

// TestCopies: the same signature twice in one file is refused by SignatureDuplicated, in two files not.
func TestCopies(t *testing.T) {
	w := newWorld(t)
	w.policy = strictWith(t, ofSignature+"BasicSignatureConstraints/SignatureDuplicated", map[string]any{"Level": "FAIL"})
	for other, want := range map[string]string{"": "TOTAL-FAILED FORMAT_FAILURE", "signatures1.xml": "TOTAL-PASSED"} {
		doc := w.signed(t, mint.Day)
		twin := *doc.Signatures[0]
		twin.ID, twin.Filename = "another", other
		doc.Signatures = append(doc.Signatures, &twin)
		for _, s := range w.judge(t, doc, mint.Day.Add(time.Hour), w.ca.CRL(t, mint.Day, nil)).Signatures {
			wants(t, s.Conclusion, want)
		}
	}
}

// TestCountersigned: a counter-signature that is asked for must be there.
func TestCountersigned(t *testing.T) {
	w := newWorld(t)
	w.policy = strictWith(t, unsigned+"CounterSignature", map[string]any{"Level": "FAIL"})
	for _, there := range []bool{true, false} {
		doc := w.signed(t, mint.Day)
		if there {
			counter := *doc.Signatures[0]
			counter.ID, counter.CounterSignatureOf = "another", doc.Signatures[0].ID
			doc.Signatures = append(doc.Signatures, &counter)
		}
		s := w.judge(t, doc, mint.Day.Add(time.Hour), w.ca.CRL(t, mint.Day, nil)).Signatures[0]
		if got := s.Indication == "TOTAL-PASSED"; got != there {
			t.Errorf("countersigned: %t, passed: %t %q", there, got, s.Reasons)
		}
	}
}

// TestConstraintsOfCertificates holds the signer's certificate and that of its CA against each constraint.
func TestConstraintsOfCertificates(t *testing.T) {
	w := newWorld(t)
	day := mint.Day
	extension := func(value string, id ...int) pkix.Extension {
		return pkix.Extension{Id: asn1.ObjectIdentifier(id), Value: []byte(value)}
	}
	aia := extension("\x30\x36\x30\x19\x06\x08\x2b\x06\x01\x05\x05\x07\x30\x01\x86\x0dhttp://a.pl/o"+
		"\x30\x19\x06\x08\x2b\x06\x01\x05\x05\x07\x30\x02\x86\x0dhttp://a.pl/c", 1, 3, 6, 1, 5, 5, 7, 1, 1)
	purpose := extension("\x30\x0a\x06\x08\x2b\x06\x01\x05\x05\x07\x03\x04", 2, 5, 29, 37)
	rule := extension("\x30\x06\x30\x04\x06\x02\x2a\x03", 2, 5, 29, 32) // 1.2.3
	noCheck := extension("\x05\x00", 1, 3, 6, 1, 5, 5, 7, 48, 1, 5)
	noRevAvail := extension("\x05\x00", 2, 5, 29, 56)
	pseudonym := []pkix.AttributeTypeAndValue{{Type: asn1.ObjectIdentifier{2, 5, 4, 65}, Value: "Kowal"}}
	name := pkix.Name{CommonName: "officer", Country: []string{"PL"}, Organization: []string{"Urząd"},
		OrganizationalUnit: []string{"Wydział"}, SerialNumber: "7",
		ExtraNames: []pkix.AttributeTypeAndValue{
			{Type: asn1.ObjectIdentifier{2, 5, 4, 42}, Value: "Jan"}, {Type: asn1.ObjectIdentifier{2, 5, 4, 4}, Value: "Kowalski"},
			{Type: asn1.ObjectIdentifier{2, 5, 4, 12}, Value: "mgr"}, {Type: asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 9, 1}, Value: "jan@a.pl"}}}
	rich := mint.Request{Subject: name, Extensions: []pkix.Extension{aia, purpose, rule, mint.Qualified(t)}}
	bare := mint.Request{Subject: pkix.Name{CommonName: "nobody"}}
	with := func(r mint.Request, more ...pkix.Extension) mint.Request {
		r.Extensions = slices.Concat(r.Extensions, more)
		return r
	}
	hidden := bare
	hidden.Subject.ExtraNames = pseudonym
	authority := mint.Request{Subject: pkix.Name{CommonName: "Sub CA", Country: []string{"PL"}}, CA: true}
	const general, constraints = "INDETERMINATE CERTIFICATE_CHAIN_GENERAL_FAILURE", "INDETERMINATE CHAIN_CONSTRAINTS_FAILURE"
	for _, c := range []struct {
		path       string
		values     []string
		met, unmet mint.Request // of the signer, or its CA
		want       string
	}{
		{ofSigner + "ForbiddenExtensions", []string{"1.3.6.1.5.5.7.48.1.5"}, bare, with(bare, noCheck), general},
		{ofCA + "ForbiddenExtensions", []string{"1.3.6.1.5.5.7.48.1.5"}, authority, with(authority, noCheck), general},
		{ofCA + "NoRevAvail", nil, authority, with(authority, noRevAvail), general},
		{ofSigner + "NoRevAvail", nil, with(bare, noRevAvail), with(rich, noRevAvail), general},
		{ofSigner + "AuthorityInfoAccessPresent", nil, rich, bare, constraints},
		{ofSigner + "RevocationInfoAccessPresent", nil, rich, bare, constraints},
		{ofSigner + "SerialNumberPresent", nil, rich, bare, constraints},
		{ofSigner + "UsePseudonym", nil, rich, hidden, constraints},
		{ofSigner + "QcCompliance", nil, rich, bare, constraints},
		{ofSigner + "QcSSCD", nil, rich, bare, constraints},
		{ofSigner + "QcType", []string{"0.4.0.1862.1.6.1"}, rich, bare, constraints},
		{ofSigner + "KeyUsage", []string{"nonRepudiation"}, rich, mint.Request{}, constraints},
		{ofSigner + "KeyUsage", []string{"keyEncipherment", "keyCertSign"}, mint.Request{}, rich, constraints},
		{ofSigner + "ExtendedKeyUsage", []string{"emailProtection"}, rich, bare, constraints},
		{ofSigner + "ExtendedKeyUsage", []string{"1.3.6.1.5.5.7.3.4"}, rich, bare, constraints},
		{ofSigner + "PolicyIds", []string{"1.2.3"}, rich, bare, constraints},
		{ofSigner + "CommonName", []string{"officer"}, rich, bare, constraints},
		{ofSigner + "Country", []string{"PL", "CZ"}, rich, bare, constraints},
		{ofCA + "Country", []string{"*"}, authority, mint.Request{Subject: pkix.Name{CommonName: "Sub CA"}, CA: true}, constraints},
		{ofSigner + "GivenName", []string{"*"}, rich, bare, constraints},
		{ofSigner + "Surname", []string{"Kowalski"}, rich, bare, constraints},
		{ofSigner + "OrganizationName", []string{"Urząd"}, rich, bare, constraints},
		{ofSigner + "OrganizationUnit", []string{"Wydział"}, rich, bare, constraints},
		{ofSigner + "Title", []string{"mgr"}, rich, bare, constraints},
		{ofSigner + "Email", []string{"jan@a.pl"}, rich, bare, constraints},
		{ofSigner + "Pseudonym", []string{"Kowal"}, hidden, bare, constraints},
		{ofCA + "NotSelfSigned", nil, authority, mint.Request{}, constraints},
		{ofSigner + "SelfSigned", nil, mint.Request{}, bare, constraints},
		{ofCA + "SubjectKeyIdentifierPresent", nil, authority, mint.Request{}, constraints},
		{ofSigner + "AuthorityKeyIdentifierPresent", nil, bare, mint.Request{}, constraints},
	} {
		for _, level := range []string{"FAIL", "WARN"} {
			constraint := map[string]any{"Level": level}
			if c.values != nil {
				constraint["Values"] = c.values
			}
			w.policy = strictWith(t, c.path, constraint)
			judged := func(r mint.Request) (string, bool) {
				sub, officer := authority, bare
				if strings.HasPrefix(c.path, ofCA) {
					sub = r
				} else {
					officer = r
				}
				ca := w.ca.Issue(t, sub)
				w.officer = ca.Issue(t, officer)
				doc := w.signed(t, day)
				s := doc.Signatures[0]
				s.Certificates = append(s.Certificates, ca.Cert.Raw)
				j := w.judge(t, doc, day.Add(time.Hour), w.ca.CRL(t, day, nil), ca.CRL(t, day, nil)).Signatures[0]
				told := slices.ContainsFunc(j.Notes, func(n string) bool { return strings.HasPrefix(n, "“") })
				return strings.TrimSpace(string(j.Indication) + " " + string(j.SubIndication)), told
			}
			if c.met.Subject.CommonName != "" {
				if got, told := judged(c.met); got != "TOTAL-PASSED" || told {
					t.Errorf("%s at %s, met: %s, told: %t", c.path, level, got, told)
				}
			}
			if c.unmet.Subject.CommonName == "" {
				continue
			}
			want := c.want
			if level == "WARN" {
				want = "TOTAL-PASSED"
			}
			if got, told := judged(c.unmet); got != want || told != (level == "WARN") {
				t.Errorf("%s at %s, not met: %s, want %s, told: %t", c.path, level, got, want, told)
			}
		}
	}
}
