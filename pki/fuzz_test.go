package pki

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"crypto/x509/pkix"
	"errors"
	"os"
	"testing"
	"time"

	"trustcore/internal/budget/budgettest"
	"trustcore/pki/profile"
)

// FuzzCheckRequest reads a certificate request as an office may send it. Nobody can sign a changed one, so what
// comes after the proof of possession is also tried by itself.
func FuzzCheckRequest(f *testing.F) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		f.Fatal(err)
	}
	for _, template := range []x509.CertificateRequest{
		{Subject: pkix.Name{CommonName: "um ezd"}},
		{DNSNames: []string{"gateway.internal"}, ExtraExtensions: []pkix.Extension{
			{Id: oidKeyUsage, Value: []byte{3, 2, 7, 128}}, {Id: oidBasicConstraints, Value: []byte{48, 0}},
			{Id: oidExtKeyUsage, Value: []byte{48, 10, 6, 8, 43, 6, 1, 5, 5, 7, 3, 2}},
		}},
	} {
		der, err := x509.CreateCertificateRequest(rand.Reader, &template, key)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(der)
	}
	for _, name := range []string{"testdata/rsa-1024.csr", "testdata/rsa-2048.csr"} {
		der, err := os.ReadFile(name)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(der)
	}
	// Verifying with the largest key that is taken costs a millisecond.
	limit := budgettest.Limit{
		Time: 100 * time.Millisecond, TimeAnOctet: 20 * time.Microsecond,
		Alloc: 4 << 20, AllocAnOctet: 1 << 10,
	}
	subject := Subject{Partner: "um", CommonName: "um ezd"}
	f.Fuzz(func(t *testing.T, der []byte) {
		var csr *x509.CertificateRequest
		var taken error
		budgettest.Check(t, len(der), limit, func() {
			if csr, taken = x509.ParseCertificateRequest(der); taken == nil {
				taken = CheckRequest(PartnerClient, csr, subject)
			}
		})
		if csr == nil {
			return
		}
		if taken == nil {
			checkTaken(t, csr)
		}
		extensions := checkExtensions(PartnerClient, csr)
		for _, err := range []error{taken, checkPublicKey(csr.PublicKey), checkNames(csr, subject), extensions} {
			var refused *RequestError
			if err != nil && (!errors.As(err, &refused) || refused.Field == "" || refused.Remedy == "") {
				t.Errorf("a refusal that doesn't say what to do: %v", err)
			}
		}
		if extensions == nil {
			checkAsked(t, csr)
		}
	})
}

// checkTaken holds what a request that is taken brings to the certificate: its key.
func checkTaken(t *testing.T, csr *x509.CertificateRequest) {
	t.Helper()
	if !bytes.Equal(csr.Raw[:1], []byte{0x30}) || csr.CheckSignature() != nil {
		t.Error("taken without a proof of possession")
	}
	switch key := csr.PublicKey.(type) {
	case *ecdsa.PublicKey:
		if key.Curve == elliptic.P224() {
			t.Errorf("a key on %s", key.Curve.Params().Name)
		}
	case *rsa.PublicKey:
		if bits := key.N.BitLen(); bits < minRSABits || bits > maxRSABits {
			t.Errorf("an RSA key of %d bits", bits)
		}
	default:
		t.Errorf("a key of type %T", key)
	}
	if _, err := profile.KeyID(csr.PublicKey); err != nil {
		t.Errorf("the key has no identifier: %v", err)
	}
}

// checkAsked holds that extensions that pass ask for nothing that an authority has.
func checkAsked(t *testing.T, csr *x509.CertificateRequest) {
	t.Helper()
	seen := map[string]bool{}
	for _, e := range csr.Extensions {
		if seen[e.Id.String()] {
			t.Errorf("%v twice", e.Id)
		}
		seen[e.Id.String()] = true
		if e.Id.Equal(oidBasicConstraints) && bytes.Contains(e.Value, []byte{1, 1, 0xff}) {
			t.Errorf("CA:TRUE in %x", e.Value)
		}
	}
}
