package xades

import (
	"crypto"
	"crypto/rand"
	"crypto/sha256"
	"encoding/asn1"
	"encoding/base64"
	"math/big"
	"strings"
	"testing"

	"trustcore/internal/cms/cmstest"
	"trustcore/internal/xmldsig"
)

const (
	exclusiveURI = "http://www.w3.org/2001/10/xml-exc-c14n#"
	sha256URI    = "http://www.w3.org/2001/04/xmlenc#sha256"
)

func b64(data []byte) string { return base64.StdEncoding.EncodeToString(data) }

// ref is a ds:Reference whose digest complete fills in.
func ref(attributes string, transforms ...string) string {
	text := `<ds:Reference ` + attributes + `>`
	if len(transforms) > 0 {
		text += `<ds:Transforms>`
		for _, t := range transforms {
			text += `<ds:Transform Algorithm="` + t + `"></ds:Transform>`
		}
		text += `</ds:Transforms>`
	}
	return text + `<ds:DigestMethod Algorithm="` + sha256URI + `"></ds:DigestMethod><ds:DigestValue></ds:DigestValue></ds:Reference>`
}

// template says what a minted signature holds.
type template struct {
	id         string
	signer     cmstest.Identity
	references []string // the signed properties are added
	claimed    []byte   // DER that SigningCertificateV2 names
	roles      string   // content of ClaimedRoles
	data       string   // content of SignedDataObjectProperties
	unsigned   string   // content of UnsignedSignatureProperties
	objects    string   // further ds:Object elements
	uncovered  bool     // leave the reference to the signed properties out
}

func (m template) text() string {
	sum := sha256.Sum256(m.claimed)
	references := strings.Join(m.references, "")
	if !m.uncovered {
		references += ref(`Type="http://uri.etsi.org/01903#SignedProperties" URI="#`+m.id+`-props"`, exclusiveURI)
	}
	return `<ds:Signature xmlns:ds="` + xmldsig.NamespaceDSig + `" Id="` + m.id + `"><ds:SignedInfo>` +
		`<ds:CanonicalizationMethod Algorithm="` + exclusiveURI + `"></ds:CanonicalizationMethod>` +
		`<ds:SignatureMethod Algorithm="http://www.w3.org/2001/04/xmldsig-more#ecdsa-sha256"></ds:SignatureMethod>` +
		references + `</ds:SignedInfo><ds:SignatureValue Id="` + m.id + `-value"></ds:SignatureValue>` +
		`<ds:KeyInfo><ds:X509Data><ds:X509Certificate>` + b64(m.signer.Cert.Raw) + `</ds:X509Certificate></ds:X509Data></ds:KeyInfo>` +
		`<ds:Object><xades:QualifyingProperties xmlns:xades="` + ns132 + `" Target="#` + m.id + `"><xades:SignedProperties Id="` + m.id + `-props">` +
		`<xades:SignedSignatureProperties><xades:SigningTime>2026-11-23T12:00:00+01:00</xades:SigningTime>` +
		`<xades:SigningCertificateV2><xades:Cert><xades:CertDigest><ds:DigestMethod Algorithm="` + sha256URI + `"></ds:DigestMethod>` +
		`<ds:DigestValue>` + b64(sum[:]) + `</ds:DigestValue></xades:CertDigest></xades:Cert></xades:SigningCertificateV2>` +
		`<xades:SignerRoleV2><xades:ClaimedRoles>` + m.roles + `</xades:ClaimedRoles></xades:SignerRoleV2></xades:SignedSignatureProperties>` +
		`<xades:SignedDataObjectProperties>` + m.data + `</xades:SignedDataObjectProperties></xades:SignedProperties>` +
		`<xades:UnsignedProperties><xades:UnsignedSignatureProperties>` + m.unsigned + `</xades:UnsignedSignatureProperties></xades:UnsignedProperties>` +
		`</xades:QualifyingProperties></ds:Object>` + m.objects + `</ds:Signature>`
}

// complete fills in the digests and then the value of every signature, outer ones first.
func complete(t testing.TB, text string, resolve xmldsig.Resolver, signers ...cmstest.Identity) string {
	t.Helper()
	for n, signer := range signers {
		for {
			s := readNth(t, text, n)
			next := unfilled(s)
			if next == nil {
				break
			}
			out, err := next.Check(resolve)
			if err != nil {
				t.Fatal(err)
			}
			text = fill(text, next.Element.Child(xmldsig.NamespaceDSig, "DigestValue"), b64(out.Digest))
		}
		s := readNth(t, text, n)
		info, err := s.CanonicalSignedInfo()
		if err != nil {
			t.Fatal(err)
		}
		text = fill(text, s.ValueNode, b64(rawECDSA(t, signer, info)))
	}
	return text
}

func readNth(t testing.TB, text string, n int) *xmldsig.Signature {
	t.Helper()
	d, err := xmldsig.Parse([]byte(text), xmldsig.Limits{})
	if err != nil {
		t.Fatal(err)
	}
	s, err := xmldsig.ReadSignature(d.Signatures()[n])
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func unfilled(s *xmldsig.Signature) *xmldsig.Reference {
	for _, r := range s.References {
		if len(r.DigestValue) == 0 {
			return r
		}
	}
	return nil
}

// fill puts content into an empty element.
func fill(text string, n xmldsig.Node, content string) string {
	_, end := n.Offset()
	at := end - len("</"+n.Name()+">")
	return text[:at] + content + text[at:]
}

// rawECDSA signs as XML signatures want it: r and s, 32 octets each.
func rawECDSA(t testing.TB, signer cmstest.Identity, message []byte) []byte {
	t.Helper()
	sum := sha256.Sum256(message)
	der, err := signer.Key.Sign(rand.Reader, sum[:], crypto.SHA256)
	if err != nil {
		t.Fatal(err)
	}
	var v struct{ R, S *big.Int }
	if _, err := asn1.Unmarshal(der, &v); err != nil {
		t.Fatal(err)
	}
	raw := make([]byte, 64)
	v.R.FillBytes(raw[:32])
	v.S.FillBytes(raw[32:])
	return raw
}
