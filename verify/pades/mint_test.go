package pades

import (
	"bytes"
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"crypto/x509"
	"crypto/x509/pkix"
	"fmt"
	"math/big"
	"testing"
	"time"

	"trustcore/internal/cms"
	"trustcore/internal/pdf"
)

// day is when everything in the tests happens.
var day = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)

// entity is a key with its certificate.
type entity struct {
	key  *ecdsa.PrivateKey
	cert *x509.Certificate
}

// newEntity makes a certificate, self-signed when issuer is nil.
func newEntity(t testing.TB, name string, issuer *entity, usage ...x509.ExtKeyUsage) *entity {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(int64(len(name)) << 40), Subject: pkix.Name{CommonName: name},
		NotBefore: day.AddDate(-1, 0, 0), NotAfter: day.AddDate(1, 0, 0), ExtKeyUsage: usage,
		IsCA: issuer == nil, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageDigitalSignature,
	}
	parent, signer := template, key
	if issuer == nil {
		template.KeyUsage |= x509.KeyUsageCertSign | x509.KeyUsageCRLSign
	} else {
		parent, signer = issuer.cert, issuer.key
	}
	der, err := x509.CreateCertificate(rand.Reader, template, parent, key.Public(), signer)
	if err != nil {
		t.Fatal(err)
	}
	cert, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	return &entity{key, cert}
}

// office is a small PKI: an authority, an officer and a time-stamping unit.
type office struct{ ca, officer, tsu *entity }

func newOffice(t testing.TB) office {
	ca := newEntity(t, "Urząd Certyfikacji", nil)
	return office{ca, newEntity(t, "officer-1", ca), newEntity(t, "time-stamping unit", ca, x509.ExtKeyUsageTimeStamping)}
}

func (o office) crl(t testing.TB) []byte {
	t.Helper()
	der, err := x509.CreateRevocationList(rand.Reader, &x509.RevocationList{Number: big.NewInt(1), ThisUpdate: day, NextUpdate: day.AddDate(0, 1, 0)}, o.ca.cert, o.ca.key)
	if err != nil {
		t.Fatal(err)
	}
	return der
}

// sha256ID is the AlgorithmIdentifier of SHA-256.
var sha256ID = []byte{0x30, 0x0b, 0x06, 0x09, 0x60, 0x86, 0x48, 0x01, 0x65, 0x03, 0x04, 0x02, 0x01}

func (o office) token(t testing.TB, imprint []byte, at time.Time) []byte {
	t.Helper()
	policy, err := cms.ParseOID("1.2.3.4")
	if err != nil {
		t.Fatal(err)
	}
	token, err := cms.SignTimestamp(cms.TimestampConfig{
		Signer: o.tsu.key, Certificate: o.tsu.cert.Raw, Hash: crypto.SHA256, Policy: policy,
		HashAlgorithm: sha256ID, Imprint: imprint, Serial: big.NewInt(at.Unix()), Time: at,
	})
	if err != nil {
		t.Fatal(err)
	}
	return token
}

// sign appends a signature, with a signature time-stamp where stamped.
func (o office) sign(t testing.TB, document []byte, stamped bool) []byte {
	t.Helper()
	p, err := pdf.Prepare(document, pdf.SignOptions{SubFilter: pdf.SubFilterCAdES, ContentsSize: 8192, Time: day, Reason: "decyzja"})
	if err != nil {
		t.Fatal(err)
	}
	digest, err := p.Digest(crypto.SHA256)
	if err != nil {
		t.Fatal(err)
	}
	signed, err := cms.Sign(cms.SignConfig{
		Signer: o.officer.key, Certificate: o.officer.cert.Raw, Certificates: [][]byte{o.ca.cert.Raw}, Hash: crypto.SHA256, Digest: digest,
	})
	if err != nil {
		t.Fatal(err)
	}
	if stamped {
		sd, err := cms.Parse(signed)
		if err != nil {
			t.Fatal(err)
		}
		imprint := sha256.Sum256(sd.Signers[0].Signature)
		signed, err = cms.AddUnsignedAttribute(signed, 0, cms.NewTimestampAttribute(o.token(t, imprint[:], day.Add(time.Minute))))
		if err != nil {
			t.Fatal(err)
		}
	}
	out, err := p.Finish(signed)
	if err != nil {
		t.Fatal(err)
	}
	return out
}

// stamp appends a document time-stamp.
func (o office) stamp(t testing.TB, document []byte) []byte {
	t.Helper()
	p, err := pdf.Prepare(document, pdf.SignOptions{SubFilter: pdf.SubFilterRFC3161, ContentsSize: 8192})
	if err != nil {
		t.Fatal(err)
	}
	digest, err := p.Digest(crypto.SHA256)
	if err != nil {
		t.Fatal(err)
	}
	out, err := p.Finish(o.token(t, digest, day.Add(time.Hour)))
	if err != nil {
		t.Fatal(err)
	}
	return out
}

func (o office) store(t testing.TB, document []byte) []byte {
	t.Helper()
	out, err := pdf.AppendSecurityStore(document, [][]byte{o.ca.cert.Raw}, [][]byte{o.crl(t)}, nil)
	if err != nil {
		t.Fatal(err)
	}
	return out
}

// blank is a document of one page with so many bytes of content.
func blank(size int) []byte {
	var b bytes.Buffer
	var offsets []int
	object := func(text string) {
		offsets = append(offsets, b.Len())
		fmt.Fprintf(&b, "%d 0 obj\n%s\nendobj\n", len(offsets), text)
	}
	b.WriteString("%PDF-1.7\n")
	object("<</Type /Catalog /Pages 2 0 R>>")
	object("<</Type /Pages /Kids [3 0 R] /Count 1>>")
	object("<</Type /Page /Parent 2 0 R /MediaBox [0 0 595 842] /Contents 4 0 R>>")
	object(fmt.Sprintf("<</Length %d>>\nstream\n%s\nendstream", size, bytes.Repeat([]byte{'\n'}, size)))
	at := b.Len()
	fmt.Fprintf(&b, "xref\n0 5\n0000000000 65535 f\r\n")
	for _, o := range offsets {
		fmt.Fprintf(&b, "%010d 00000 n\r\n", o)
	}
	fmt.Fprintf(&b, "trailer\n<</Size 5 /Root 1 0 R>>\nstartxref\n%d\n%%%%EOF\n", at)
	return b.Bytes()
}
