package etsi_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"trustcore/verify"
	"trustcore/verify/trace"
)

// id makes an id of the trace.
func id(letter string, n int) string { return letter + fmt.Sprintf("%064X", n) }

// wild are texts that a document may give for anything.
var wild = []string{
	"</Signer><MainIndication>urn:etsi:019102:mainindication:total-passed</MainIndication>", "]]>&<!--",
	"a\x00b\x1b\ufffe", "\xff\xfe",
	"http://[::1", "http://a b/%zz", "::", "1:2", "//[", "#a#b", "urn:oid:1.2.3", "1.2.840.113549.1.7.1", "", " \t\n",
	"' or '1'='1", "é\u202e", "%", "?x=[y]", "http://a:port/",
}

// TestHostileTexts: whatever texts and times a document gives, the report is well-formed, valid, and says nothing else.
func TestHostileTexts(t *testing.T) {
	reports := map[string][]byte{}
	for i, text := range wild {
		for j, at := range []time.Time{{}, time.Date(0, 1, 1, 0, 0, 0, 0, time.UTC),
			time.Date(-5, 1, 1, 0, 0, 0, 0, time.UTC), time.Date(20000, 1, 1, 0, 0, 0, 0, time.UTC), day} {
			root, out := holds(t, hostile(text, at))
			reports[fmt.Sprintf("%d-%d", i, j)] = out
			root.each(func(e *element) {
				if e.name == "MainIndication" && strings.HasSuffix(e.text, "passed") {
					t.Errorf("%q: %s", text, e.text)
				}
			})
		}
	}
	valid(t, reports)
}

// hostile is a report whose every text that comes from a document is the given one, and each reference leads nowhere.
func hostile(text string, at time.Time) *verify.Report {
	s, stamp, crl := id(trace.SignatureID, 1), id(trace.TimestampID, 2), id(trace.RevocationID, 3)
	certificate, nowhere := id(trace.CertificateID, 4), id(trace.CertificateID, 5)
	refused := trace.Conclusion{Indication: "INDETERMINATE", SubIndication: "REVOKED_NO_POE",
		Reasons: []string{text, "because"}}
	crypto := &trace.Crypto{Purpose: text, Algorithm: text, NotAfter: &at}
	blocks := []trace.Block{{Kind: trace.CertificateValidation, Object: s, Conclusion: refused, Blocks: []trace.Block{{
		Kind: trace.SubCertificateValidation, Object: certificate, Conclusion: refused,
		Constraints: []trace.Constraint{{Status: trace.NotOK, Message: text, Object: nowhere, Crypto: crypto}}}}}}
	chain := []trace.ChainItem{{Certificate: certificate}, {Certificate: nowhere}}
	r := &verify.Report{Signatures: []verify.SignatureReport{{Indication: verify.Indeterminate,
		SubIndication: "REVOKED_NO_POE",
		Timestamps:    []verify.TimestampReport{{Indication: verify.Failed, SubIndication: "HASH_FAILURE"}}}}}
	r.Trace = &trace.Trace{ValidationTime: at, Policy: trace.Policy{Name: text, Version: text, Digest: text},
		Signatures: []trace.Signature{{
			ID: s, Name: text, Format: "XAdES", Parent: s, SigningTime: &at, Policy: &trace.SignaturePolicy{ID: text},
			Value: []byte(text),
			Attributes: trace.Attributes{ContentType: text, MimeType: text, Roles: []string{text},
				Commitments: []trace.Commitment{{ID: text}}, Place: &trace.Place{City: text}},
			PDF: &trace.PDF{Fields: []string{text}, SignerName: text, Filter: text, SubFilter: text, ContactInfo: text,
				Location: text, Reason: text,
				ByteRange: []int64{0, 1, -5, 9}},
			References: []trace.Reference{{Type: "message-digest", Name: text,
				Digest: trace.Digest{Algorithm: text, Value: []byte(text)}}},
			DataToBeSigned:     trace.Digest{Algorithm: text, Value: []byte(text)},
			SigningCertificate: certificate,
			SigningCertificateRefs: []trace.CertificateRef{{Certificate: nowhere,
				Digest: trace.Digest{Algorithm: text, Value: []byte(text)}}},
			Chain: chain, Timestamps: []string{stamp, nowhere}, EvidenceRecords: []string{nowhere},
			Scopes:            []trace.Scope{{SignedData: id(trace.SignedDataID, 6)}, {SignedData: nowhere}},
			BestSignatureTime: trace.Proof{Time: at, By: nowhere}, Conclusion: refused, Blocks: blocks,
			Qualification: trace.Qualification{Value: text},
		}},
		Timestamps: []trace.Timestamp{{ID: stamp, Type: "SIGNATURE_TIMESTAMP", Time: &at, Covers: []string{s, nowhere},
			Existence:  trace.Proof{Time: at, By: nowhere},
			Conclusion: trace.Conclusion{Indication: "FAILED", SubIndication: "HASH_FAILURE"}, SigningCertificate: nowhere,
			Chain: chain, Blocks: blocks}},
		Certificates: []trace.Certificate{{ID: certificate, Subject: text, CommonName: text, Existence: trace.Proof{Time: at},
			Revocations: []trace.CertificateStatus{{Revocation: nowhere, Status: "revoked", Reason: "keyCompromise",
				RevocationTime: &at}}}},
		Revocations: []trace.Revocation{{ID: crl, Kind: "CRL", SigningCertificate: nowhere,
			Existence: trace.Proof{Time: at}}},
		SignedData: []trace.SignedData{{ID: id(trace.SignedDataID, 6), Name: text}},
	}
	return r
}
