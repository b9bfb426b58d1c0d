package asic

import (
	"archive/zip"
	"bytes"
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/base64"
	"fmt"
	"io"
	"math/big"
	"strings"
	"testing"
	"time"

	"trustcore/internal/cms"
)

// day is when everything in the tests happens.
var day = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)

// signer is a key with a self-signed certificate.
type signer struct {
	key  *ecdsa.PrivateKey
	cert []byte
}

func newSigner(t testing.TB, name string, usage ...x509.ExtKeyUsage) signer {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(7), Subject: pkix.Name{CommonName: name}, ExtKeyUsage: usage,
		NotBefore: day.AddDate(-1, 0, 0), NotAfter: day.AddDate(1, 0, 0), KeyUsage: x509.KeyUsageDigitalSignature,
	}
	cert, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	return signer{key, cert}
}

// cades signs data detached.
func (s signer) cades(t testing.TB, data []byte) []byte {
	t.Helper()
	digest := sha256.Sum256(data)
	der, err := cms.Sign(cms.SignConfig{Signer: s.key, Certificate: s.cert, Hash: crypto.SHA256, Digest: digest[:],
		SigningTime: day})
	if err != nil {
		t.Fatal(err)
	}
	return der
}

// sha256ID is the AlgorithmIdentifier of SHA-256.
var sha256ID = []byte{0x30, 0x0b, 0x06, 0x09, 0x60, 0x86, 0x48, 0x01, 0x65, 0x03, 0x04, 0x02, 0x01}

// stamp makes a time-stamp token about data.
func (s signer) stamp(t testing.TB, data []byte) []byte {
	t.Helper()
	policy, err := cms.ParseOID("1.2.3.4")
	if err != nil {
		t.Fatal(err)
	}
	imprint := sha256.Sum256(data)
	token, err := cms.SignTimestamp(cms.TimestampConfig{
		Signer: s.key, Certificate: s.cert, Hash: crypto.SHA256, Policy: policy, HashAlgorithm: sha256ID,
		Imprint: imprint[:], Serial: big.NewInt(9), Time: day,
	})
	if err != nil {
		t.Fatal(err)
	}
	return token
}

// own is an object of an XML signature that is signed by the name "#own".
const own = `<Object xmlns="http://www.w3.org/2000/09/xmldsig#" Id="own">umowa nr 3</Object>`

// xml signs files of the container with plain XMLDSig. SignedInfo and own are written in canonical form.
func (s signer) xml(t testing.TB, files map[string]string) string {
	t.Helper()
	references := ""
	for name, content := range files {
		references += xmlReference(name, content)
	}
	return s.xmlOver(t, references)
}

// xmlReference names a file by what is left of it after transforms, in canonical form.
func xmlReference(name, digested string, transforms ...string) string {
	text := ""
	for _, one := range transforms {
		text += `<Transform Algorithm="` + one + `"></Transform>`
	}
	if text != "" {
		text = `<Transforms>` + text + `</Transforms>`
	}
	sum := sha256.Sum256([]byte(digested))
	return `<Reference URI="` + name + `">` + text +
		`<DigestMethod Algorithm="http://www.w3.org/2001/04/xmlenc#sha256"></DigestMethod><DigestValue>` +
		base64.StdEncoding.EncodeToString(sum[:]) + `</DigestValue></Reference>`
}

// xmlOver signs references.
func (s signer) xmlOver(t testing.TB, references string) string {
	t.Helper()
	const dsig = "http://www.w3.org/2000/09/xmldsig#"
	info := `<SignedInfo xmlns="` + dsig +
		`"><CanonicalizationMethod Algorithm="http://www.w3.org/2001/10/xml-exc-c14n#"></CanonicalizationMethod>` +
		`<SignatureMethod Algorithm="http://www.w3.org/2001/04/xmldsig-more#ecdsa-sha256"></SignatureMethod>` +
		references + `</SignedInfo>`
	digest := sha256.Sum256([]byte(info))
	r, v, err := ecdsa.Sign(rand.Reader, s.key, digest[:])
	if err != nil {
		t.Fatal(err)
	}
	value := append(r.FillBytes(make([]byte, 32)), v.FillBytes(make([]byte, 32))...)
	return `<XAdESSignatures xmlns="http://uri.etsi.org/02918/v1.2.1#"><Signature xmlns="` + dsig + `" Id="S0">` + info +
		`<SignatureValue>` +
		base64.StdEncoding.EncodeToString(value) + `</SignatureValue><KeyInfo><X509Data><X509Certificate>` +
		base64.StdEncoding.EncodeToString(s.cert) + `</X509Certificate></X509Data></KeyInfo>` + own +
		`</Signature></XAdESSignatures>`
}

// entry is a file of a container.
type entry struct{ name, content string }

// pack writes a container of the kind "e", "s" or another letter, or "o" for OpenDocument.
func pack(t testing.TB, kind string, entries ...entry) []byte {
	t.Helper()
	var b bytes.Buffer
	w := zip.NewWriter(&b)
	mimetype := "application/vnd.etsi.asic-" + kind + "+zip"
	if kind == "o" {
		mimetype = "application/vnd.oasis.opendocument.text"
	}
	for i, e := range append([]entry{{"mimetype", mimetype}}, entries...) {
		method := zip.Deflate
		if i == 0 {
			method = zip.Store
		}
		f, err := w.CreateHeader(&zip.FileHeader{Name: e.name, Method: method})
		if err != nil {
			t.Fatal(err)
		}
		if _, err := io.WriteString(f, e.content); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

// signed is data with a manifest and its signature.
func signed(t testing.TB, s signer, data ...entry) []entry {
	t.Helper()
	manifest := entry{"META-INF/ASiCManifest.xml", manifestOf("META-INF/signature.p7s", data...)}
	return append(data[:len(data):len(data)], manifest,
		entry{"META-INF/signature.p7s", string(s.cades(t, []byte(manifest.content)))})
}

// manifestOf writes an ASiCManifest for a target about entries.
func manifestOf(target string, entries ...entry) string {
	var m strings.Builder
	m.WriteString(`<asic:ASiCManifest xmlns:asic="http://uri.etsi.org/02918/v1.2.1#" xmlns:ds="http://www.w3.org/2000/09/xmldsig#"><asic:SigReference URI="` + target + `"/>`)
	for _, e := range entries {
		sum := sha256.Sum256([]byte(e.content))
		fmt.Fprintf(&m, `<asic:DataObjectReference URI="%s"><ds:DigestMethod Algorithm="http://www.w3.org/2001/04/xmlenc#sha256"/><ds:DigestValue>%s</ds:DigestValue></asic:DataObjectReference>`,
			e.name, base64.StdEncoding.EncodeToString(sum[:]))
	}
	return m.String() + `</asic:ASiCManifest>`
}
