package dss

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"trustcore/verify"
	"trustcore/verify/trace"
)

var day = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)

const (
	sigID  = trace.SignatureID + "0A"
	tstID  = trace.TimestampID + "0B"
	revID  = trace.RevocationID + "0C"
	certID = trace.CertificateID + "0D"
	dataID = trace.SignedDataID + "0E"
	listID = trace.TrustedListID + "0F"
)

func failing(object string, kind trace.Kind, name, text string) trace.Block {
	return trace.Block{ID: object + "-" + string(kind), Kind: kind, Object: object,
		Conclusion:  trace.Conclusion{Indication: "FAILED", SubIndication: "HASH_FAILURE", Reasons: []string{text}},
		Constraints: []trace.Constraint{{Name: name, Status: trace.NotOK, Message: text}}}
}

// sample is a signature with a time-stamp, and a service of one list behind the certificate; another list is not used.
func sample() *verify.Report {
	failed := trace.Conclusion{Indication: "TOTAL-FAILED", SubIndication: "HASH_FAILURE", Reasons: []string{"changed"}}
	return &verify.Report{SHA256: "aa", ValidationTime: day,
		Signatures: []verify.SignatureReport{{ID: "sig", Indication: verify.TotalFailed,
			Sentence: map[string]string{"en": "It is broken."}}},
		Trace: &trace.Trace{ValidationTime: day, Policy: trace.Policy{Name: "strict"},
			Signatures: []trace.Signature{{ID: sigID, Name: "sig", Format: "XAdES", Level: "B-T",
				SigningCertificate: certID,
				Chain:              []trace.ChainItem{{Certificate: certID, Source: trace.FromSignature}},
				Timestamps:         []string{tstID, "T-absent"},
				References: []trace.Reference{{Type: "data", Name: "a.xml", Found: true,
					Digest: trace.Digest{Algorithm: "SHA-256", Value: []byte{1}}}},
				Basic: trace.Basic{Scheme: "RSA-PSS", Digest: "SHA3-256", KeyBits: 2048, Intact: true},
				Scopes: []trace.Scope{{SignedData: dataID, Name: "a.xml", Description: "a part",
					Partial: true}}, Conclusion: failed,
				BestSignatureTime: trace.Proof{Time: day, By: tstID}, Qualification: trace.Qualification{Value: "N/A"},
				Blocks: []trace.Block{failing(sigID, trace.CryptographicVerification, "ReferenceDataIntact",
					"changed")},
				Processes: []trace.Block{{ID: sigID + "-BASIC", Kind: trace.BasicValidation, Object: sigID,
					Conclusion: failed,
					Constraints: []trace.Constraint{{Name: trace.Conclusive, Status: trace.NotOK,
						Block: sigID + "-CV"}}}}}},
			Timestamps: []trace.Timestamp{{ID: tstID, Type: "SIGNATURE_TIMESTAMP", Owner: sigID,
				Covers: []string{sigID, certID, "R-absent"},
				Conclusion: trace.Conclusion{Indication: "FAILED", SubIndication: "HASH_FAILURE",
					Reasons: []string{"another imprint"}}, Qualification: "QTSA",
				Blocks: []trace.Block{failing(tstID, trace.CryptographicVerification, "ReferenceDataIntact",
					"another imprint")}}},
			Certificates: []trace.Certificate{{ID: certID, Serial: "7", KeyAlgorithm: "EC P-256", Subject: "CN=x",
				Services: []trace.TrustService{{List: listID, Provider: "P", Name: "S", Certificate: certID,
					Territory: "PL"},
					{List: "L-absent", Provider: "Q", Certificate: certID}}}},
			Revocations: []trace.Revocation{{ID: revID, Kind: "CRL", Blocks: []trace.Block{failing(revID,
				trace.CryptographicVerification, "SignatureIntact", "no")}}},
			SignedData: []trace.SignedData{{ID: dataID, Name: "a.xml"}},
			TrustedLists: []trace.TrustedList{{ID: listID, File: "pl.xml", Territory: "PL", WellSigned: true},
				{ID: "L-unused", File: "xx.xml"}}}}
}

// TestKeysAreThoseOfWhatIsValidated: one constraint has other keys for a signature, a time-stamp and revocation data.
func TestKeysAreThoseOfWhatIsValidated(t *testing.T) {
	r := New(Validation{Report: sample(), Name: "a.xml"})
	for i, want := range []string{"BBB_CV_IRDOI", "BBB_CV_TSP_IRDOI", "BBB_CV_ISIR"} {
		cv := r.DetailedReport.BuildingBlocks[i].CV
		if got := *cv.Constraint[0].Name.Key; got != want {
			t.Errorf("%s, want %s", got, want)
		}
	}
	simple := r.SimpleReport.Tokens[0].Signature
	if m := simple.AdESValidationDetails.Error; len(m) != 1 || *m[0].Key != "BBB_CV_IRDOI_ANS" ||
		m[0].Value != "changed" {
		t.Errorf("%v", m)
	}
	if m := simple.Timestamps.Timestamp[0].AdESValidationDetails.Error; *m[0].Key != "BBB_CV_TSP_IRDOI_ANS" {
		t.Errorf("%v", m)
	}
	basic := r.DetailedReport.Tokens[0].Signature.ValidationProcessBasicSignature
	if *basic.Constraint[0].Name.Key != "BSV_ICVRC" || basic.Conclusion.Indication != "FAILED" ||
		*basic.Conclusion.Errors[0].Key != "BBB_CV_IRDOI_ANS" {
		t.Errorf("%+v", basic)
	}
}

// TestNothingAbsentIsNamed: what is not in the trace is named by no report.
func TestNothingAbsentIsNamed(t *testing.T) {
	d := New(Validation{Report: sample()}).DiagnosticData
	for what, n := range map[string][2]int{"FoundTimestamp": {len(d.Signatures[0].FoundTimestamp), 1},
		"TimestampedObject":    {len(d.Timestamps[0].TimestampedObject), 2},
		"TrustServiceProvider": {len(d.Certificates[0].TrustServiceProvider), 1},
		"TrustedList":          {len(d.TrustedLists), 1}} {
		if n[0] != n[1] {
			t.Errorf("%s: %d, want %d", what, n[0], n[1])
		}
	}
}

// TestConstantsAreDSS: a stock client fails on any other.
func TestConstantsAreDSS(t *testing.T) {
	d := New(Validation{Report: sample()}).DiagnosticData
	s := d.Signatures[0]
	if *s.BasicSignature.EncryptionAlgo != "RSASSA-PSS" || *s.BasicSignature.DigestAlgo != "SHA3_256" ||
		*s.DigestMatchers[0].DigestMethod != "SHA256" ||
		*d.Certificates[0].PublicKeyEncryptionAlgo != "ECDSA" || s.SignatureFormat != "XAdES-BASELINE-T" ||
		s.SignatureScope[0].Scope != "PARTIAL" {
		t.Errorf("%+v", s)
	}
	for in, want := range map[string]string{"GENERIC": "UNEXPECTED_ERROR", "TRY_LATER": "TRY_LATER"} {
		if got := subIndication(in); got == nil || *got != want {
			t.Errorf("%s: %v", in, got)
		}
	}
	if subIndication("") != nil || keyAlgorithm("ML-DSA-65") != nil ||
		digest(trace.Digest{Algorithm: "SHA-512/256"}).DigestMethod != nil {
		t.Error("DSS has no constant for these")
	}
	for _, c := range []struct{ format, level, want string }{
		{"CMS", "B", "PKCS7-B"}, {"CMS", "", "CMS-NOT-ETSI"}, {"PDF", "", "PDF-NOT-ETSI"}, {"XMLDSig", "",
			"XML-NOT-ETSI"}, {"JWS", "", "JSON-NOT-ETSI"},
		{"CAdES", "XL", "CAdES-XL"}, {"JAdES", "B-LTA", "JAdES-BASELINE-LTA"}, {"XAdES", "", "UNKNOWN"}, {"PAdES",
			"Q", "UNKNOWN"},
	} {
		if got := format(&trace.Signature{Format: c.format, Level: c.level}); got != c.want {
			t.Errorf("%v: %s", c, got)
		}
	}
}

// TestEveryConstraintAsks: each has words of its own, and the keys of DSS its form.
func TestEveryConstraintAsks(t *testing.T) {
	for name, e := range entries {
		if e.asks == "" || e.key != "" && strings.ToUpper(e.key) != e.key {
			t.Errorf("%s: %+v", name, e)
		}
	}
	for sub, name := range bySubIndication {
		if _, known := entries[name]; !known {
			t.Errorf("%s: no constraint %s", sub, name)
		}
	}
}

// TestConclusionsAreBounded: every block above repeats the messages of those below, but for more than anybody reads.
func TestConclusionsAreBounded(t *testing.T) {
	r := sample()
	cv := &r.Trace.Signatures[0].Blocks[0]
	for i := range 50 * maxMessages {
		cv.Constraints = append(cv.Constraints, trace.Constraint{Name: "ManifestEntryObjectExistence",
			Status: trace.Warning, Message: fmt.Sprint("absent: ", i)})
	}
	reports := New(Validation{Report: r})
	blocks := reports.DetailedReport.BuildingBlocks[0]
	if len(blocks.CV.Constraint) != len(cv.Constraints) || len(blocks.Conclusion.Warnings) != maxMessages ||
		!strings.HasPrefix(blocks.CV.Conclusion.Infos[0].Value, "4900 more") ||
		len(reports.SimpleReport.Tokens[0].Signature.AdESValidationDetails.Warning) > maxMessages {
		t.Errorf("%d constraints, %+v", len(blocks.CV.Constraint), blocks.CV.Conclusion.Infos)
	}
}

// TestOneSignature: simple and detailed report are about the one that is asked for, by either of its names.
func TestOneSignature(t *testing.T) {
	r := sample()
	second := r.Trace.Signatures[0]
	second.ID, second.Name, second.Timestamps = trace.SignatureID+"1A", "other", nil
	r.Trace.Signatures = append(r.Trace.Signatures, second)
	for _, name := range []string{second.ID, "other"} {
		reports := New(Validation{Report: r, Signature: name})
		if len(reports.SimpleReport.Tokens) != 1 || reports.SimpleReport.Tokens[0].Signature.ID != second.ID ||
			reports.DetailedReport.Tokens[0].Signature.ID != second.ID || len(reports.DiagnosticData.Signatures) != 2 {
			t.Errorf("%s: %+v", name, reports.SimpleReport)
		}
	}
	if New(Validation{Report: r, Signature: "third"}) != nil {
		t.Error("a signature that is not there was reported on")
	}
}

// TestUnreadDocument: where a limit kept the document from being read, all reports have the entry of the compact one.
func TestUnreadDocument(t *testing.T) {
	r := New(Validation{Report: &verify.Report{SHA256: "aa", ValidationTime: day, Signatures: []verify.SignatureReport{
		{Indication: verify.Indeterminate, SubIndication: verify.Generic, Reasons: []string{"too large"},
			Qualification: "N/A", BestSignatureTime: day}}}})
	s := r.SimpleReport.Tokens[0].Signature
	if s.Indication != "INDETERMINATE" || *s.SubIndication != "UNEXPECTED_ERROR" || s.SignatureFormat != "UNKNOWN" ||
		s.AdESValidationDetails.Error[0].Value != "too large" ||
		r.DiagnosticData.Signatures[0].ID != s.ID || r.DetailedReport.Tokens[0].Signature.ID != s.ID {
		t.Errorf("%+v", s)
	}
}

// TestExtractionStrategies: all of DSS's are known, but for those that ask for what is not given.
func TestExtractionStrategies(t *testing.T) {
	for name, want := range map[string]Tokens{"NONE": {}, "EXTRACT_ALL": {true, true, true},
		"EXTRACT_TIMESTAMPS_ONLY":                  {Timestamps: true},
		"EXTRACT_CERTIFICATES_AND_REVOCATION_DATA": {Certificates: true, Revocations: true}} {
		if got, ok := ExtractionStrategy(name); !ok || got != want {
			t.Errorf("%s: %v %v", name, got, ok)
		}
	}
	for _, name := range []string{"", "ALL", "EXTRACT_EVIDENCE_RECORDS_ONLY"} {
		if _, ok := ExtractionStrategy(name); ok {
			t.Errorf("%q was taken", name)
		}
	}
}
