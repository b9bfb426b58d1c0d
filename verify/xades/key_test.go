package xades

import (
	"crypto/ecdsa"
	"crypto/sha256"
	"crypto/x509"
	"strings"
	"testing"

	"trustcore/internal/cms/cmstest"
	"trustcore/internal/xmldsig"
	"trustcore/verify/signature"
)

func keyInfo(content string) string { return `<ds:KeyInfo>` + content + `</ds:KeyInfo>` }

func x509Data(certificate []byte) string {
	return `<ds:X509Data><ds:X509Certificate>` + b64(certificate) + `</ds:X509Certificate></ds:X509Data>`
}

// bareKeys are the key of an identity in the forms of XML Signature 1.1, 4.5.2 and 4.5.9.
func bareKeys(t *testing.T, of cmstest.Identity) map[string]string {
	t.Helper()
	public := of.Cert.PublicKey.(*ecdsa.PublicKey)
	point, err := public.Bytes()
	if err != nil {
		t.Fatal(err)
	}
	spki, err := x509.MarshalPKIXPublicKey(public)
	if err != nil {
		t.Fatal(err)
	}
	return map[string]string{
		"ECKeyValue": `<ds:KeyValue><d:ECKeyValue xmlns:d="` + xmldsig.NamespaceDSig11 + `"><d:NamedCurve URI="urn:oid:1.2.840.10045.3.1.7"></d:NamedCurve>` +
			`<d:PublicKey>` + b64(point) + `</d:PublicKey></d:ECKeyValue></ds:KeyValue>`,
		"DEREncodedKeyValue": `<d:DEREncodedKeyValue xmlns:d="` + xmldsig.NamespaceDSig11 + `">` + b64(spki) + `</d:DEREncodedKeyValue>`,
	}
}

// TestBareKey: a key without a certificate tells that the value is intact, and names nobody.
func TestBareKey(t *testing.T) {
	signer, other := officer(t), cmstest.NewSigner(t, "p256", "officer-2")
	own := keyInfo(x509Data(signer.Cert.Raw))
	for form, key := range bareKeys(t, signer) {
		m := basic(signer)
		text := complete(t, strings.Replace(envelop(m), own, keyInfo(`<ds:KeyName>officer-1</ds:KeyName>`+key), 1), nil, signer)
		s := mustOpen(t, text)[0]
		if !s.Intact || s.Signer != nil || s.Binding == signature.BindingMatches || len(s.Certificates) != 0 {
			t.Errorf("%s: intact %t, signer %t, binding %d", form, s.Intact, s.Signer != nil, s.Binding)
		}
	}
	for form, key := range bareKeys(t, other) {
		m := basic(signer)
		if s := mustOpen(t, complete(t, strings.Replace(envelop(m), own, keyInfo(key), 1), nil, signer))[0]; s.Intact {
			t.Errorf("%s: another key verifies", form)
		}
	}
}

// TestBareKeyBesideCertificate: who signs with a key of his own must not borrow a certificate.
func TestBareKeyBesideCertificate(t *testing.T) {
	victim, attacker := officer(t), cmstest.NewSigner(t, "p256", "officer-2")
	own := keyInfo(x509Data(victim.Cert.Raw))
	for form, key := range bareKeys(t, attacker) {
		for place, text := range map[string]string{
			"KeyInfo": strings.Replace(envelop(basic(victim)), own, keyInfo(key+x509Data(victim.Cert.Raw)), 1),
			"values": strings.Replace(envelop(func() template {
				m := basic(victim)
				m.unsigned = `<xades:CertificateValues><xades:EncapsulatedX509Certificate>` + b64(victim.Cert.Raw) + `</xades:EncapsulatedX509Certificate></xades:CertificateValues>`
				return m
			}()), own, keyInfo(key), 1),
		} {
			if s := mustOpen(t, complete(t, text, nil, attacker))[0]; s.Intact {
				t.Errorf("%s, certificate in %s: a signature by another key is intact for %x", form, place, sha256.Sum256(s.Signer))
			}
		}
	}
	for form, key := range bareKeys(t, attacker) { // and beside a signature that is the victim's own
		s := mustOpen(t, complete(t, strings.Replace(envelop(basic(victim)), own, keyInfo(key+x509Data(victim.Cert.Raw)), 1), nil, victim))[0]
		if !intact(s) || !strings.Contains(strings.Join(s.Notes, "; "), "holds another key") {
			t.Errorf("%s beside: intact %t, notes %q", form, s.Intact, s.Notes)
		}
	}
}

// TestRetrievedCertificate: a certificate elsewhere in the document serves, and binds nothing by being there.
func TestRetrievedCertificate(t *testing.T) {
	signer := officer(t)
	pointer := `<d:KeyInfoReference xmlns:d="` + xmldsig.NamespaceDSig11 + `" URI="#keys"></d:KeyInfoReference>`
	m := basic(signer)
	m.objects = `<ds:Object><ds:KeyInfo Id="keys">` + x509Data(signer.Cert.Raw) + `</ds:KeyInfo></ds:Object>`
	text := strings.Replace(envelop(m), keyInfo(x509Data(signer.Cert.Raw)), keyInfo(pointer), 1)
	if s := mustOpen(t, complete(t, text, nil, signer))[0]; !intact(s) || string(s.Signer) != string(signer.Cert.Raw) || s.Level == "B-B" {
		t.Errorf("intact %t, level %s: %q %q", s.Intact, s.Level, s.Structure, s.Notes)
	}
	from, to := strings.Index(text, "<xades:SigningCertificateV2>"), strings.Index(text, "</xades:SigningCertificateV2>")
	unbound := text[:from] + text[to+len("</xades:SigningCertificateV2>"):]
	if s := mustOpen(t, complete(t, unbound, nil, signer))[0]; !s.Intact || s.Binding != signature.BindingAbsent {
		t.Errorf("without the property: intact %t, binding %d", s.Intact, s.Binding)
	}
}

// TestX509Digest: of several certificates the one that the digest names is said to be the signer's where none verifies.
func TestX509Digest(t *testing.T) {
	signer, other := officer(t), cmstest.NewSigner(t, "p256", "officer-2")
	sum := sha256.Sum256(signer.Cert.Raw)
	digest := `<ds:X509Data><d:X509Digest xmlns:d="` + xmldsig.NamespaceDSig11 + `" Algorithm="` + sha256URI + `">` + b64(sum[:]) + `</d:X509Digest></ds:X509Data>`
	text := strings.Replace(envelop(basic(signer)), keyInfo(x509Data(signer.Cert.Raw)), keyInfo(x509Data(other.Cert.Raw)+digest+x509Data(signer.Cert.Raw)), 1)
	from, to := strings.Index(text, "<xades:SigningCertificateV2>"), strings.Index(text, "</xades:SigningCertificateV2>")
	text = complete(t, text[:from]+text[to+len("</xades:SigningCertificateV2>"):], nil, other)
	if s := mustOpen(t, text)[0]; string(s.Signer) != string(other.Cert.Raw) || s.Binding == signature.BindingMatches {
		t.Errorf("the certificate that verifies is not the signer's: %q", s.Notes)
	}
	broken := strings.Replace(text, `<ds:SignatureValue Id="S1-value">`, `<ds:SignatureValue Id="S1-value">AAAA`, 1)
	if s := mustOpen(t, broken)[0]; s.Intact || string(s.Signer) != string(signer.Cert.Raw) {
		t.Errorf("a broken value: intact %t", s.Intact)
	}
}

// TestUnusableValues: what only keeps a value or digest from being checked leaves format and level as they are.
func TestUnusableValues(t *testing.T) {
	good := newSigning(t).whole
	for name, c := range map[string]struct{ from, to, word, note string }{
		"value":         {`<ds:SignatureValue Id="S1-value">`, `<ds:SignatureValue Id="S1-value">!`, "value", "no base64"},
		"digest":        {`<ds:DigestValue>`, `<ds:DigestValue>!`, "changed", "no base64"},
		"form":          {`<ds:CanonicalizationMethod Algorithm="` + exclusiveURI, `<ds:CanonicalizationMethod Algorithm="urn:form`, "value", "urn:form"},
		"digest method": {`<ds:DigestMethod Algorithm="` + sha256URI, `<ds:DigestMethod Algorithm="urn:hash`, "can't be checked", "urn:hash"},
	} {
		s := mustOpen(t, strings.Replace(good, c.from, c.to, 1))[0]
		word, why := outcome(s)
		if word != c.word || s.Format != signature.XAdES || s.Level != "B-B" || !strings.Contains(strings.Join(s.Notes, "; "), c.note) {
			t.Errorf("%s: %s %s, %s %s, %q", name, word, why, s.Format, s.Level, s.Notes)
		}
		if name == "form" && !strings.Contains(s.Unsupported, "urn:form") {
			t.Errorf("%s: unsupported %q", name, s.Unsupported)
		}
	}
}

// TestBrokenValuesDiffer: proofs of existence of one broken value are none of another.
func TestBrokenValuesDiffer(t *testing.T) {
	good := newSigning(t).whole
	one := mustOpen(t, strings.Replace(good, `Id="S1-value">`, `Id="S1-value">!`, 1))[0]
	two := mustOpen(t, strings.Replace(good, `Id="S1-value">`, `Id="S1-value">!!`, 1))[0]
	if one.Value == two.Value {
		t.Error("two values are one")
	}
}

// TestDigestInPlaceOfFile: the hash of a file serves where the file itself was digested.
func TestDigestInPlaceOfFile(t *testing.T) {
	signer := officer(t)
	content := []byte("test")
	sum := sha256.Sum256(content)
	resolve := func(string) ([]byte, error) { return content, nil }
	mint := func(transforms ...string) string {
		m := basic(signer)
		m.references = []string{ref(`Id="S1-ref" URI="pismo.xml"`, transforms...)}
		return complete(t, m.text(), resolve, signer)
	}
	plain := mint()
	content = []byte("<test></test>")
	canonical := mint(exclusiveURI)
	digests := func(name string, value []byte) signature.Detached {
		return signature.Detached{Name: "pismo.xml", Digests: map[string][]byte{name: value}}
	}
	other := sha256.Sum256([]byte("other"))
	whole := sha256.Sum256(content)
	for name, c := range map[string]struct {
		text string
		file signature.Detached
		want string
	}{
		"digest":       {plain, digests("SHA-256", sum[:]), "whole"},
		"another":      {plain, digests("SHA-256", other[:]), "changed"},
		"another hash": {plain, digests("SHA-512", make([]byte, 64)), "missing"},
		"short":        {plain, digests("SHA-256", sum[:20]), "missing"},
		"transforms":   {canonical, digests("SHA-256", whole[:]), "missing"},
		"empty file":   {plain, signature.Detached{Name: "pismo.xml"}, "changed"},
	} {
		s := mustOpen(t, c.text, c.file)[0]
		if word, why := outcome(s); word != c.want {
			t.Errorf("%s: %s %s", name, word, why)
		}
		if scope := s.References[0].Scope; c.want == "whole" && !strings.HasSuffix(scope, signature.DigestAlone) {
			t.Errorf("%s: the scope is %q", name, scope)
		}
	}
}
