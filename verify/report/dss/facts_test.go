package dss

import (
	"crypto/x509/pkix"
	"encoding/json"
	"reflect"
	"strings"
	"testing"

	"trustcore/verify/internal/mint"
	"trustcore/verify/trace"
)

// TestContainer: a container is told of as it tells of itself, and a mimetype that stands in the ZIP's comment alone is
// no file.
func TestContainer(t *testing.T) {
	r := sample()
	r.Trace.Container = &trace.Container{Type: "ASiC-E", Mimetype: "application/vnd.etsi.asic-e+zip", HasMimetype: true,
		Comment: "made by hand", Files: []string{"a.xml"},
		Manifests: []trace.Manifest{{Name: "m.xml", Files: []string{"a.xml"}}}}
	got := New(Validation{Report: r}).DiagnosticData.ContainerInfo
	if *got.MimeTypeContent != r.Trace.Container.Mimetype || !got.MimeTypeFilePresent ||
		*got.ZipComment != "made by hand" ||
		!reflect.DeepEqual(got.ManifestFile, []ManifestFile{{"m.xml", nil, []string{"a.xml"}}}) || len(got.ContentFile) != 1 {
		t.Errorf("%+v", got)
	}
	r.Trace.Container.HasMimetype = false
	if got := New(Validation{Report: r}).DiagnosticData.ContainerInfo; got.MimeTypeContent != nil ||
		got.MimeTypeFilePresent {
		t.Errorf("%+v", got)
	}
}

// TestTimestampFacts: what the token and its container say stands under DSS's names; a name that DSS does not have,
// nowhere.
func TestTimestampFacts(t *testing.T) {
	r := sample()
	stamp := &r.Trace.Timestamps[0]
	stamp.Archive, stamp.Filename, stamp.TSA = "CAdES_V3", "META-INF/t.tst",
		&trace.AuthorityName{Name: "CN=unit", Matches: true}
	stamp.Identifiers = []trace.SignerIdentifier{{Issuer: "CN=CA", Serial: "11"}, {KeyID: []byte{1}}}
	stamp.PDF = &trace.PDF{Fields: []string{"F"}, Type: "DocTimeStamp"}
	stamp.SigningCertificateRefs = []trace.CertificateRef{{Certificate: certID, Matches: true, IssuerSerial: []byte{7}}}
	got := New(Validation{Report: r}).DiagnosticData.Timestamps[0]
	if *got.ArchiveTimestampType != "CAdES_V3" || *got.TimestampFilename != "META-INF/t.tst" ||
		*got.TSAGeneralName != (TSAGeneralName{"CN=unit", true, false}) || got.PDFRevision.SignatureField[0].Name != "F" {
		t.Errorf("%+v", got)
	}
	if s := got.SignerInfo; len(s) != 2 || *s[0].IssuerName != "CN=CA" || *s[0].SerialNumber != "11" || !*s[0].Current ||
		s[1].Current != nil {
		t.Errorf("%+v", s)
	}
	if c := got.FoundCertificates.RelatedCertificate; len(c) != 1 || c[0].CertificateRef[0].IssuerSerial.Match ||
		!*c[0].CertificateRef[0].Digest.Match {
		t.Errorf("%+v", c)
	}
	if stamp.Archive = "another"; New(Validation{Report: r}).DiagnosticData.Timestamps[0].ArchiveTimestampType != nil {
		t.Error("a kind that DSS has no name for is told")
	}
}

// TestObsolescence: each use is told in its group, the gravest first; a weak digest of a certificate is a remark, and
// acceptance that was decided without the block warns of it.
func TestObsolescence(t *testing.T) {
	r := sample()
	s := &r.Trace.Signatures[0]
	s.Blocks = append(s.Blocks, trace.Block{ID: sigID + "-SAV", Kind: trace.SignatureAcceptance, Object: sigID,
		Conclusion: trace.Conclusion{Indication: "PASSED"}})
	s.Uses = []trace.Crypto{{Purpose: "signature", Algorithm: "RSA-PKCS1-SHA256", KeyBits: 2048, Secure: true},
		{Purpose: "reference", Algorithm: "SHA-256", Secure: true},
		{Purpose: "reference", Algorithm: "SHA-1", Why: "too weak"},
		{Purpose: "signing-certificate", Algorithm: "SHA-1", Why: "too weak"},
		{Purpose: "certificate", Algorithm: "RSA-PKCS1-SHA256", Secure: true, Object: certID}}
	b := New(Validation{Report: r}).DetailedReport.BuildingBlocks[0]
	a := b.AOV
	if a.SignatureCryptographicValidation.Algorithm.Name != "RSA with SHA256" ||
		a.DigestMatchersValidation.Algorithm.Name != "SHA1" ||
		a.SignedAttributesValidation.Conclusion.Indication != "PASSED" ||
		len(a.SignedAttributesValidation.Conclusion.Warnings) != 1 ||
		a.CertificateChainCryptographicValidation.CertificateCryptographicValidation[0].TokenID != certID {
		t.Errorf("%+v", a)
	}
	if a.Conclusion.Indication != "INDETERMINATE" || len(a.Constraint) != len(s.Uses) {
		t.Errorf("%+v", a.Conclusion)
	}
	if asked := b.SAV.Constraint[0]; asked.Status != "WARNING" || *asked.BlockType != "AOV" ||
		b.Conclusion.Indication != "FAILED" {
		t.Errorf("%+v %+v", asked, b.Conclusion)
	}
}

// TestSelection: what conclusions rest on is acceptable; other revocation data are not told of there.
func TestSelection(t *testing.T) {
	r := sample()
	r.Trace.Certificates[0].Revocations = []trace.CertificateStatus{{Revocation: revID, Status: "good"},
		{Revocation: "R-absent"}}
	w := newWriter(Validation{Report: r})
	if got := w.selection(&r.Trace.Certificates[0]); got != nil {
		t.Errorf("without its times: %+v", got)
	}
	relied := &r.Trace.Revocations[0]
	relied.ThisUpdate, relied.ProducedAt = &day, &day
	got := newWriter(Validation{Report: r}).selection(&r.Trace.Certificates[0])
	if got == nil || *got.LatestAcceptableRevocationID != revID || len(got.RAC) != 1 ||
		got.Conclusion.Indication != "PASSED" {
		t.Fatalf("%+v", got)
	}
	if relied.Blocks = nil; newWriter(Validation{Report: r}).selection(&r.Trace.Certificates[0]) != nil {
		t.Error("nothing rests on it, and it is acceptable")
	}
}

// TestRegistrations: official identifiers are told apart from trade names, each once.
func TestRegistrations(t *testing.T) {
	r := sample()
	r.Trace.Certificates[0].Services[0].TradeNames = []trace.Localized{{Language: "en", Text: "Office"},
		{Language: "en", Text: "VATPL-1"}, {Language: "pl", Text: "VATPL-1"}, {Language: "pl", Text: "VATican office"}}
	p := New(Validation{Report: r}).DiagnosticData.Certificates[0].TrustServiceProvider[0]
	if strings.Join(p.TSPRegistrationIdentifier, " ") != "VATPL-1" || len(p.TSPTradeName) != 2 {
		t.Errorf("%+v", p)
	}
}

// TestStampQualifications: a unit is told of at both times, under the lists that its path leads to.
func TestStampQualifications(t *testing.T) {
	r := sample()
	r.Trace.TrustedLists[0].Parent = trace.TrustedListID + "EU"
	r.Trace.TrustedLists = append(r.Trace.TrustedLists,
		trace.TrustedList{ID: trace.TrustedListID + "EU", Role: "lotl", WellSigned: true})
	stamp := &r.Trace.Timestamps[0]
	stamp.Chain = []trace.ChainItem{{Certificate: certID}}
	stamp.Listed = []trace.StampedAt{{Time: day, Qualification: "QTSA"}, {Time: day, Qualification: "N/A"}}
	q := New(Validation{Report: r}).DetailedReport.Tokens[0].Signature.Timestamp[0].ValidationTimestampQualification
	if len(q.AtTimes) != 2 || q.AtTimes[0].Conclusion.Indication != "PASSED" ||
		q.AtTimes[1].Conclusion.Indication != "FAILED" ||
		q.AtTimes[1].ValidationTime != "TIMESTAMP_POE_TIME" || len(q.Constraint) != 4 || q.Conclusion.Indication != "PASSED" {
		text, _ := json.Marshal(q)
		t.Errorf("%s", text)
	}
	if stamp.Listed = nil; len(New(Validation{Report: r}).DetailedReport.Tokens[0].Signature.Timestamp[0].ValidationTimestampQualification.Constraint) != 1 {
		t.Error("lists are told of that are not reached")
	}
}

// TestOrigins: where evidence is from stands under the names that DSS has for certificates and for revocation data.
func TestOrigins(t *testing.T) {
	r := sample()
	for source, want := range map[trace.Source]string{trace.FromCache: "CACHED AIA", trace.FromNetwork: "EXTERNAL AIA",
		trace.FromOutside: "EXTERNAL OTHER", trace.FromSignature: "INPUT_DOCUMENT SIGNATURE"} {
		r.Trace.Revocations[0].Source, r.Trace.Certificates[0].Sources = source, []trace.Source{source}
		d := New(Validation{Report: r}).DiagnosticData
		if got := d.Revocations[0].Origin + " " + d.Certificates[0].Source[0]; got != want {
			t.Errorf("%s: %s, want %s", source, got, want)
		}
	}
}

// TestOrphansHideNumbers: what is read out of an orphan's octets hides personal numbers as all else does.
func TestOrphansHideNumbers(t *testing.T) {
	const number = "44051401359"
	c := mint.Root(t, "CA").Issue(t, mint.Request{Subject: pkix.Name{CommonName: "x", SerialNumber: "PNOPL-" + number}})
	for _, asked := range []bool{false, true} {
		r := sample()
		r.Trace.Numbers = asked
		r.Trace.Orphans = []trace.Orphan{{ID: trace.CertificateID + "AB", Kind: "certificate", DER: c.Cert.Raw}}
		text, err := json.Marshal(New(Validation{Report: r}).DiagnosticData.OrphanTokens)
		if err != nil {
			t.Fatal(err)
		}
		if got := strings.Contains(string(text), number); got != asked {
			t.Errorf("asked for: %v, the number is there: %v", asked, got)
		}
	}
}
