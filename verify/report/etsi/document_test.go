package etsi_test

import (
	"crypto/x509"
	"strings"
	"testing"
	"time"

	"trustcore/verify/signature"
)

// TestDocuments writes a report on documents of every format.
func TestDocuments(t *testing.T) {
	w := newWorld(t)
	reports := map[string][]byte{}
	about := []signature.Detached{{Name: "pismo.xml", Content: []byte(letter)}}
	for name, document := range w.documents(t) {
		t.Run(name, func(t *testing.T) {
			given := about
			if name == "JAdES" { // it carries its payload
				given = nil
			}
			_, reports[name] = holds(t, w.judge(t, document, day.Add(2*time.Hour), given...))
		})
	}
	valid(t, reports)
}

// TestSignature reads what the report says of one signature that passed.
func TestSignature(t *testing.T) {
	w := newWorld(t)
	root, out := holds(t, w.judge(t, w.xades(t, nil), day.Add(2*time.Hour)))
	s := root.all("SignatureValidationReport")[0]
	stamp := root.all("SignatureValidationObjects", "ValidationObject")[0]
	for _, c := range []struct {
		what, got, want string
	}{
		{"indication", s.value("SignatureValidationStatus", "MainIndication"), "urn:etsi:019102:mainindication:total-passed"},
		{"policy", s.value("ValidationConstraintsEvaluationReport", "SignatureValidationPolicy", "SignaturePolicyIdentifier",
			"SignaturePolicyId",
			"SigPolicyId", "Identifier"), "urn:trustcore:policy:strict:1"},
		{"best signature time", s.value("ValidationTimeInfo", "BestSignatureTime", "POETime"), "2026-03-01T12:00:00Z"},
		{"what proves it", s.all("ValidationTimeInfo", "BestSignatureTime", "POEObject")[0].attributes["VOReference"],
			stamp.attributes["id"]},
		{"signing time", s.value("SignatureAttributes", "SigningTime", "Time"), "2026-03-01T12:00:00Z"},
		{"role", s.value("SignatureAttributes", "SignerRole", "RoleDetails", "Role"), "Kierownik"},
		{"time-stamp", s.value("SignatureAttributes", "SignatureTimeStamp", "TimeStampValue"), "2026-03-01T12:00:00Z"},
		{"signer", s.value("SignerInformation", "Signer"), "Anna <Żółć> & \"Syn\""},
		{"quality", s.value("SignatureQuality", "SignatureQualityInformation"), "urn:cef:dss:signatureQualification:QESig"},
		{"quality of the time-stamp", stamp.value("ValidationReport", "SignatureQuality", "SignatureQualityInformation"),
			"urn:cef:dss:timestampQualification:QTSA"},
		{"process", s.value("SignatureValidationProcess", "SignatureValidationProcessID"),
			"urn:etsi:019102:validationprocess:LTA"},
		{"algorithm", s.value("SignatureValidationStatus", "AssociatedValidationReportData", "CryptoInformation",
			"SecureAlgorithm"), "true"},
		{"hash only", s.value("SignatureIdentifier", "DocHashOnly"), "false"},
	} {
		if c.got != c.want {
			t.Errorf("%s: %q, want %q", c.what, c.got, c.want)
		}
	}
	chain := s.all("SignatureValidationStatus", "AssociatedValidationReportData", "CertificateChain")[0]
	if len(chain.all("SigningCertificate")) != 1 || len(chain.all("TrustAnchor")) != 1 {
		t.Errorf("the chain lacks an end:\n%s", out)
	}
	if provides := stamp.all("POEProvisioning", "SignatureReference"); len(provides) != 1 {
		t.Errorf("the time-stamp proves nothing of the signature:\n%s", out)
	}
	if t.Failed() {
		t.Logf("%s", out)
	}
}

// TestRevoked: the report says which certificate was revoked, when, why and by which list.
func TestRevoked(t *testing.T) {
	w := newWorld(t)
	document := w.xades(t, map[*x509.Certificate]time.Time{w.officer.Cert: day.Add(-time.Hour)})
	root, out := holds(t, w.judge(t, document, day.Add(2*time.Hour)))
	status := root.all("SignatureValidationReport", "SignatureValidationStatus")[0]
	r := status.all("AssociatedValidationReportData", "RevocationStatusInformation")
	if len(r) != 1 || !strings.Contains(status.value("SubIndication"), "REVOKED") {
		t.Fatalf("no revocation is told:\n%s", out)
	}
	if got := r[0].value("RevocationTime"); got != "2026-03-01T11:00:00Z" {
		t.Errorf("revoked at %s", got)
	}
	if got := r[0].value("RevocationReason"); got != "urn:etsi:019102:revocationReason:keyCompromise" {
		t.Errorf("because of %s", got)
	}
	signing := root.all("SignatureValidationReport", "SignerInformation", "SignerCertificate")[0].attributes["VOReference"]
	if got := r[0].all("ValidationObjectId")[0].attributes["VOReference"]; got != signing {
		t.Errorf("%s, want the signer's %s", got, signing)
	}
	if len(r[0].all("RevocationObject")) != 1 {
		t.Error("the list is not named")
	}
	valid(t, map[string][]byte{"revoked": out})
}
