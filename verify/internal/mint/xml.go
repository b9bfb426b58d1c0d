package mint

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/rand"
	"crypto/rsa"
	_ "crypto/sha1" // linked for crypto.SHA1
	"crypto/sha256"
	"encoding/base64"
	"strings"
	"testing"
	"time"
)

const (
	dsig      = "http://www.w3.org/2000/09/xmldsig#"
	etsi      = "http://uri.etsi.org/01903/v1.3.2#"
	exclusive = "http://www.w3.org/2001/10/xml-exc-c14n#"
	more      = "http://www.w3.org/2001/04/xmldsig-more#"
)

// XML says what an enveloped XAdES signature holds.
type XML struct {
	Signer         Party
	Claimed        []byte // DER of the certificate that the signed properties name; nil: Signer's
	SHA1           bool   // digests and signature
	BareDigestInfo bool   // RSA with a DigestInfo without NULL, as podpis zaufany has it
	Role           string // content of a claimed role
	At             time.Time
	Stamps         []Stamp
	Certificates   [][]byte
	CRLs           [][]byte
}

// Stamp is a signature time-stamp.
type Stamp struct {
	By    Party
	At    time.Time
	About []byte // nil: the signature value
}

// Sign puts the signature in as the last child of the document's root. The document has to be in canonical form.
func (x XML) Sign(t testing.TB, document string) []byte {
	t.Helper()
	end := strings.LastIndex(document, "</")
	properties := x.properties()
	info := x.info([]byte(document), []byte(properties))
	value := `<ds:SignatureValue xmlns:ds="` + dsig + `">` + b64(x.value(t, []byte(info))) + `</ds:SignatureValue>`
	return []byte(document[:end] + `<ds:Signature xmlns:ds="` + dsig + `" Id="sig">` + info + value +
		`<ds:KeyInfo><ds:X509Data><ds:X509Certificate>` + b64(x.Signer.Cert.Raw) + `</ds:X509Certificate></ds:X509Data></ds:KeyInfo>` +
		`<ds:Object><xades:QualifyingProperties xmlns:xades="` + etsi + `" Target="#sig">` + properties + x.unsigned(t, value) +
		`</xades:QualifyingProperties></ds:Object></ds:Signature>` + document[end:])
}

// properties are the SignedProperties in exclusive canonical form.
func (x XML) properties() string {
	claimed := x.Claimed
	if claimed == nil {
		claimed = x.Signer.Cert.Raw
	}
	sum := sha256.Sum256(claimed)
	role := ""
	if x.Role != "" {
		role = `<xades:SignerRoleV2><xades:ClaimedRoles><xades:ClaimedRole>` + x.Role + `</xades:ClaimedRole></xades:ClaimedRoles></xades:SignerRoleV2>`
	}
	return `<xades:SignedProperties xmlns:xades="` + etsi + `" Id="props"><xades:SignedSignatureProperties>` +
		`<xades:SigningTime>` + x.At.UTC().Format(time.RFC3339) + `</xades:SigningTime>` +
		`<xades:SigningCertificateV2><xades:Cert><xades:CertDigest>` +
		`<ds:DigestMethod xmlns:ds="` + dsig + `" Algorithm="http://www.w3.org/2001/04/xmlenc#sha256"></ds:DigestMethod>` +
		`<ds:DigestValue xmlns:ds="` + dsig + `">` + b64(sum[:]) + `</ds:DigestValue></xades:CertDigest></xades:Cert></xades:SigningCertificateV2>` +
		role + `</xades:SignedSignatureProperties><xades:SignedDataObjectProperties><xades:DataObjectFormat ObjectReference="#ref"><xades:MimeType>text/xml</xades:MimeType></xades:DataObjectFormat>` +
		`</xades:SignedDataObjectProperties></xades:SignedProperties>`
}

// info is the SignedInfo in exclusive canonical form.
func (x XML) info(document, properties []byte) string {
	hash, digest, method := crypto.SHA256, "http://www.w3.org/2001/04/xmlenc#sha256", more+"ecdsa-sha256"
	if _, ok := x.Signer.Key.(*rsa.PrivateKey); ok {
		method = more + "rsa-sha256"
	}
	if x.SHA1 {
		hash, digest, method = crypto.SHA1, dsig+"sha1", more+"ecdsa-sha1"
	}
	reference := func(attributes, transforms string, data []byte) string {
		h := hash.New()
		h.Write(data)
		return `<ds:Reference ` + attributes + `><ds:Transforms>` + transforms + `<ds:Transform Algorithm="` + exclusive + `"></ds:Transform></ds:Transforms>` +
			`<ds:DigestMethod Algorithm="` + digest + `"></ds:DigestMethod><ds:DigestValue>` + b64(h.Sum(nil)) + `</ds:DigestValue></ds:Reference>`
	}
	return `<ds:SignedInfo xmlns:ds="` + dsig + `"><ds:CanonicalizationMethod Algorithm="` + exclusive + `"></ds:CanonicalizationMethod>` +
		`<ds:SignatureMethod Algorithm="` + method + `"></ds:SignatureMethod>` +
		reference(`Id="ref" URI=""`, `<ds:Transform Algorithm="`+dsig+`enveloped-signature"></ds:Transform>`, document) +
		reference(`Type="http://uri.etsi.org/01903#SignedProperties" URI="#props"`, "", properties) + `</ds:SignedInfo>`
}

// value signs as XML signatures want it.
func (x XML) value(t testing.TB, message []byte) []byte {
	t.Helper()
	hash := crypto.SHA256
	if x.SHA1 {
		hash = crypto.SHA1
	}
	h := hash.New()
	h.Write(message)
	digest := h.Sum(nil)
	switch key := x.Signer.Key.(type) {
	case *ecdsa.PrivateKey:
		r, s, err := ecdsa.Sign(rand.Reader, key, digest)
		if err != nil {
			t.Fatal(err)
		}
		return append(r.FillBytes(make([]byte, 32)), s.FillBytes(make([]byte, 32))...)
	case *rsa.PrivateKey:
		if x.BareDigestInfo {
			hash = 0
			digest = append([]byte("\x30\x2f\x30\x0b\x06\x09\x60\x86\x48\x01\x65\x03\x04\x02\x01\x04\x20"), digest...)
		}
		value, err := rsa.SignPKCS1v15(rand.Reader, key, hash, digest)
		if err != nil {
			t.Fatal(err)
		}
		return value
	}
	t.Fatalf("no signature with a %T", x.Signer.Key)
	return nil
}

func (x XML) unsigned(t testing.TB, value string) string {
	t.Helper()
	text := ""
	for _, s := range x.Stamps {
		about := s.About
		if about == nil {
			about = []byte(value)
		}
		text += `<xades:SignatureTimeStamp><ds:CanonicalizationMethod Algorithm="` + exclusive + `"></ds:CanonicalizationMethod><xades:EncapsulatedTimeStamp>` +
			b64(s.By.Stamp(t, about, s.At)) + `</xades:EncapsulatedTimeStamp></xades:SignatureTimeStamp>`
	}
	text += listed("CertificateValues", "", "EncapsulatedX509Certificate", x.Certificates)
	text += listed("RevocationValues", "CRLValues", "EncapsulatedCRLValue", x.CRLs)
	if text == "" {
		return ""
	}
	return `<xades:UnsignedProperties><xades:UnsignedSignatureProperties>` + text + `</xades:UnsignedSignatureProperties></xades:UnsignedProperties>`
}

func listed(outer, middle, inner string, values [][]byte) string {
	if len(values) == 0 {
		return ""
	}
	text := ""
	for _, v := range values {
		text += `<xades:` + inner + `>` + b64(v) + `</xades:` + inner + `>`
	}
	if middle != "" {
		text = `<xades:` + middle + `>` + text + `</xades:` + middle + `>`
	}
	return `<xades:` + outer + `>` + text + `</xades:` + outer + `>`
}

func b64(data []byte) string { return base64.StdEncoding.EncodeToString(data) }
