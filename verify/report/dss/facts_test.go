package dss

import (
	"crypto/x509/pkix"
	"encoding/json"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

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

// TestModifications: what later revisions of a PDF did stands in DSS's groups, each with an action, without which a stock
// client fails.
func TestModifications(t *testing.T) {
	r := sample()
	var changes []trace.Change
	for _, kind := range []string{"validation-data", "timestamp", "signature", "field", "annotation", "metadata", "content",
		"page", "removal", "other"} {
		changes = append(changes, trace.Change{Kind: kind, What: kind, Page: 2})
	}
	changes[6].Forbidden, changes[7].Forbidden = "PdfVisualDifference", "PdfPageDifference"
	r.Trace.Signatures[0].PDF = &trace.PDF{Fields: []string{"F"}, Changes: changes}
	d := New(Validation{Report: r}).DiagnosticData.Signatures[0].PDFRevision.ModificationDetection
	o := d.ObjectModifications
	if len(d.VisualDifference) != 1 || len(d.PageDifference) != 1 || len(o.ExtensionChange) != 2 ||
		len(o.SignatureOrFormFill) != 3 || len(o.AnnotationChange) != 1 || len(o.Undefined) != 4 {
		t.Errorf("%+v %+v", d, o)
	}
	for _, m := range slices.Concat(o.ExtensionChange, o.SignatureOrFormFill, o.AnnotationChange, o.Undefined) {
		if m.Action == "" || m.Value == "" {
			t.Errorf("%+v", m)
		}
	}
}

// TestExtensionPeriod: a signature that passed has to be stamped again before the certificate ends under which it rests.
func TestExtensionPeriod(t *testing.T) {
	r := sample()
	s, stamp := &r.Trace.Signatures[0], &r.Trace.Timestamps[0]
	unit, later := r.Trace.Certificates[0], day.Add(48*time.Hour)
	unit.ID, unit.NotAfter = trace.CertificateID+"99", later
	r.Trace.Certificates[0].NotAfter = day.Add(24 * time.Hour)
	r.Trace.Certificates = append(r.Trace.Certificates, unit)
	end := func() *Time { return New(Validation{Report: r}).SimpleReport.Tokens[0].Signature.ExtensionPeriodMax }
	if got := end(); got != nil {
		t.Errorf("a signature that failed: %v", *got)
	}
	s.Conclusion = trace.Conclusion{Indication: "TOTAL-PASSED"}
	if got := end(); got == nil || *got != moment(day.Add(24*time.Hour)) {
		t.Errorf("the time-stamp failed: %v, want the end of the signer's certificate", got)
	}
	stamp.Conclusion, stamp.Time, stamp.SigningCertificate = trace.Conclusion{Indication: "PASSED"}, &day, unit.ID
	if got := end(); got == nil || *got != moment(later) {
		t.Errorf("the time-stamp passed: %v, want the end of its certificate", got)
	}
	r.Trace.ValidationTime = later
	if got := end(); got != nil {
		t.Errorf("a certificate that ended before the validation: %v", *got)
	}
	r.Trace.ValidationTime, r.Trace.Certificates[0].Trusted, s.Timestamps = day, true, nil
	if got := end(); got != nil {
		t.Errorf("an anchor's signature alone: %v", *got)
	}
	if stamp.Owner = ""; *New(Validation{Report: r}).SimpleReport.Tokens[1].Timestamp.ExtensionPeriodMax != moment(later) {
		t.Error("a time-stamp of its own")
	}
}

// TestPlaceOfRecords: only what lies in a signature is embedded; a document that is a record has its name.
func TestPlaceOfRecords(t *testing.T) {
	r := sample()
	r.Trace.EvidenceRecords = []trace.EvidenceRecord{{ID: "E-1", Owner: sigID, Origin: "SIGNATURE"},
		{ID: "E-2", Owner: sigID, Origin: "CONTAINER", Filename: "META-INF/e.xml"}, {ID: "E-3", Origin: "EXTERNAL"}}
	r.Trace.Signatures[0].EvidenceRecords = []string{"E-1", "E-2"}
	records := New(Validation{Report: r, Name: "e.ers"}).SimpleReport.Tokens[0].Signature.EvidenceRecords.EvidenceRecord
	if e := records[0]; e.Embedded == nil || *e.ParentID != sigID || e.Filename != nil {
		t.Errorf("in the signature: %+v", e)
	}
	if e := records[1]; e.Embedded != nil || e.ParentID != nil || *e.Filename != "META-INF/e.xml" {
		t.Errorf("in the container: %+v", e)
	}
	r.Trace.Signatures, r.Signatures = nil, nil
	if e := New(Validation{Report: r, Name: "e.ers"}).SimpleReport.Tokens[0].EvidenceRecord; *e.Filename != "e.ers" {
		t.Errorf("alone: %+v", e)
	}
}
