package xades

import (
	"crypto/sha256"
	"strings"
	"testing"
	"time"

	"trustcore/internal/cms/cmstest"
	"trustcore/internal/xmldsig"
	"trustcore/verify/signature"
)

// TestLateTimestamp: a time-stamp later than the end of the signer's certificate makes no T (EN 319 132-1, 6.3 (o)), nor
// does one before it that stands beside.
func TestLateTimestamp(t *testing.T) {
	signer, tsu := officer(t), cmstest.NewTSU(t, "p256", "TSU 1")
	end := signer.Cert.NotAfter
	for name, c := range map[string]struct {
		times []time.Time
		level string
	}{
		"at the end":      {[]time.Time{end}, "B-T"},
		"after the end":   {[]time.Time{end.Add(time.Second)}, "B-B"},
		"before and late": {[]time.Time{cmstest.Now, end.Add(time.Second)}, "B-B"},
	} {
		m := basic(signer)
		m.unsigned = strings.Repeat(`<xades:SignatureTimeStamp><ds:CanonicalizationMethod Algorithm="`+exclusiveURI+`"></ds:CanonicalizationMethod>`+
			`<xades:EncapsulatedTimeStamp>TOKEN</xades:EncapsulatedTimeStamp></xades:SignatureTimeStamp>`, len(c.times))
		text := complete(t, envelop(m), nil, signer)
		value, err := readNth(t, text, 0).ValueNode.Canonical(xmldsig.Canonicalization{Form: xmldsig.Exclusive})
		if err != nil {
			t.Fatal(err)
		}
		for _, at := range c.times {
			text = strings.Replace(text, "TOKEN", b64(tsu.Stamp(t, value, at)), 1)
		}
		if s := mustOpen(t, text)[0]; s.Level != c.level || len(s.Timestamps) != len(c.times) || !s.Timestamps[0].Imprint {
			t.Errorf("%s: %s, want %s", name, s.Level, c.level)
		}
	}
}

// TestBaseline has what EN 319 132-1, table 2 asks of B-B taken away, one by one.
func TestBaseline(t *testing.T) {
	signer, other := officer(t), cmstest.NewSigner(t, "p256", "officer-2")
	good := envelop(basic(signer))
	own := x509Data(signer.Cert.Raw)
	values := `<xades:CertificateValues><xades:EncapsulatedX509Certificate>` + b64(signer.Cert.Raw) + `</xades:EncapsulatedX509Certificate></xades:CertificateValues>`
	for name, c := range map[string]struct{ from, to, level string }{
		"whole":              {"", "", "B-B"},
		"another in KeyInfo": {own + `</ds:KeyInfo>`, x509Data(other.Cert.Raw) + `</ds:KeyInfo>`, "BES"},
		"URI of certificate": {`<xades:Cert>`, `<xades:Cert URI="http://x/">`, "BES"},
		"two places":         {`<xades:SignerRoleV2>`, strings.Repeat(`<xades:SignatureProductionPlaceV2></xades:SignatureProductionPlaceV2>`, 2) + `<xades:SignerRoleV2>`, "BES"},
		"no MimeType":        {`<xades:MimeType>text/xml</xades:MimeType>`, `<xades:Description>x</xades:Description>`, "BES"},
		"no SigningTime":     {`<xades:SigningTime>2026-11-23T12:00:00+01:00</xades:SigningTime>`, ``, "BES"},
	} {
		text := strings.Replace(strings.Replace(good, c.from, c.to, 1), `<xades:UnsignedSignatureProperties>`, `<xades:UnsignedSignatureProperties>`+values, 1)
		if s := mustOpen(t, complete(t, text, nil, signer))[0]; s.Level != c.level || !s.Intact {
			t.Errorf("%s: %s, want %s; intact %t", name, s.Level, c.level, s.Intact)
		}
	}
}

// TestSealedLevel: evidence records make a level where evidence and a time-stamp are there, and the time of signing.
func TestSealedLevel(t *testing.T) {
	signer, tsu := officer(t), cmstest.NewTSU(t, "p256", "TSU 1")
	record := sealing(newArchive(t, false).about(digestOf(false, nil)).element())
	stamp := `<xades:SignatureTimeStamp><xades:EncapsulatedTimeStamp>` + b64(tsu.Stamp(t, nil, cmstest.Now)) +
		`</xades:EncapsulatedTimeStamp></xades:SignatureTimeStamp>`
	certificates := `<xades:CertificateValues><xades:EncapsulatedX509Certificate>` + b64(signer.Cert.Raw) +
		`</xades:EncapsulatedX509Certificate></xades:CertificateValues>`
	revocation := `<xades:RevocationValues><xades:CRLValues><xades:EncapsulatedCRLValue>MAA=` +
		`</xades:EncapsulatedCRLValue></xades:CRLValues></xades:RevocationValues>`
	all := stamp + certificates + revocation
	archived := strings.ReplaceAll(stamp, "SignatureTimeStamp", "ArchiveTimeStamp")
	const signingTime = `<xades:SigningTime>2026-11-23T12:00:00+01:00</xades:SigningTime>`
	const mime = `<xades:MimeType>text/xml</xades:MimeType>`
	for _, c := range []struct{ name, unsigned, without, want string }{
		{"beside nothing", record, "", "B-B"},
		{"beside a time-stamp", stamp + record, "", "B-T"},
		{"beside evidence", all + record, "", "ERS"},
		{"no record", all, "", "B-LT"},
		{"beside an archive time-stamp", all + record + archived, "", "ERS"},
		{"in another namespace", all + strings.ReplaceAll(record, ns19132, ns132) + archived, "", "B-LTA"},
		{"no baseline", all + record, mime, "ERS"},
		{"no baseline, no record", all, mime, "LT"},
		{"no time of signing", all + record, signingTime, "LT"},
		{"no time of signing, an archive time-stamp", all + record + archived, signingTime, "A"},
	} {
		m := basic(signer)
		m.unsigned = c.unsigned
		text := strings.Replace(envelop(m), c.without, "", 1)
		if s := mustOpen(t, complete(t, text, nil, signer))[0]; s.Level != c.want || !s.Intact {
			t.Errorf("%s: %s, want %s; intact %t", c.name, s.Level, c.want, s.Intact)
		}
	}
}

// TestNobodysCertificate: a certificate that neither verifies the value nor is named is not the signer's.
func TestNobodysCertificate(t *testing.T) {
	signer, other := officer(t), cmstest.NewSigner(t, "p256", "officer-2")
	m := basic(signer)
	m.claimed = other.Cert.Raw
	text := complete(t, envelop(m), nil, signer)
	if s := mustOpen(t, text)[0]; s.Level != "B-B" || s.Binding != signature.BindingMismatch {
		t.Errorf("verifies, not named: %s", s.Level)
	}
	sum := sha256.Sum256(other.Cert.Raw)
	if !strings.Contains(text, b64(sum[:])) {
		t.Fatal("the property names another")
	}
	text = strings.Replace(text, `<ds:SignatureValue Id="S1-value">`, `<ds:SignatureValue Id="S1-value">AAAA`, 1)
	if s := mustOpen(t, text)[0]; s.Level != "BES" {
		t.Errorf("neither: %s", s.Level)
	}
}
