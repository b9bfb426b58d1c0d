package certificate_test

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"math/big"
	"net"
	"net/url"
	"slices"
	"testing"
	"time"

	"golang.org/x/crypto/cryptobyte"
	cryptobyte_asn1 "golang.org/x/crypto/cryptobyte/asn1"

	"trustcore/verify/certificate"
)

// mint returns a self-signed certificate of the template.
func mint(t testing.TB, template *x509.Certificate) []byte {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		t.Fatal(err)
	}
	return der
}

func parse(t testing.TB, der []byte) *certificate.Certificate {
	t.Helper()
	c, err := certificate.Parse(der)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func fullTemplate() *x509.Certificate {
	link, _ := url.Parse("https://urzad.example/polityka")
	_, network, _ := net.ParseCIDR("192.0.2.0/24")
	return &x509.Certificate{
		SerialNumber: big.NewInt(4711),
		Subject: pkix.Name{CommonName: "Urząd Miasta Przykładowo", Country: []string{"PL"}, SerialNumber: "PNOPL-00000000000",
			ExtraNames: []pkix.AttributeTypeAndValue{{Type: asn1.ObjectIdentifier{2, 5, 4, 97}, Value: "VATPL-0000000000"}}},
		NotBefore: time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC), NotAfter: time.Date(2051, 1, 2, 3, 4, 5, 0, time.UTC),
		KeyUsage: x509.KeyUsageCertSign | x509.KeyUsageCRLSign, IsCA: true, BasicConstraintsValid: true, MaxPathLen: 3,
		ExtKeyUsage:  []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageOCSPSigning},
		SubjectKeyId: []byte{1, 2, 3}, AuthorityKeyId: []byte{1, 2, 3},
		DNSNames: []string{"urzad.example"}, EmailAddresses: []string{"kancelaria@urzad.example"},
		IPAddresses: []net.IP{net.IPv4(192, 0, 2, 7)}, URIs: []*url.URL{link},
		PermittedDNSDomains: []string{"example"}, ExcludedIPRanges: []*net.IPNet{network},
		CRLDistributionPoints: []string{"http://crl.example/a.crl"}, OCSPServer: []string{"http://ocsp.example"},
		IssuingCertificateURL: []string{"http://ca.example/ca.cer"},
		Policies:              []x509.OID{mustOID("2.5.29.32.0"), mustOID("0.4.0.194112.1.2")},
	}
}

func mustOID(s string) x509.OID {
	id, err := x509.ParseOID(s)
	if err != nil {
		panic(err)
	}
	return id
}

func TestParseReadsWhatTheStandardLibraryWrites(t *testing.T) {
	der := mint(t, fullTemplate())
	c := parse(t, der)
	std, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	for what, same := range map[string]bool{
		"tbs": bytes.Equal(c.RawTBS, std.RawTBSCertificate), "spki": bytes.Equal(c.RawSPKI, std.RawSubjectPublicKeyInfo),
		"signature": bytes.Equal(c.Signature, std.Signature), "subject": bytes.Equal(c.RawSubject, std.RawSubject),
		"not before": c.NotBefore.Equal(std.NotBefore), "not after": c.NotAfter.Equal(std.NotAfter), "version": c.Version == 3,
		"serial":    new(big.Int).SetBytes(c.Serial).Cmp(std.SerialNumber) == 0,
		"key usage": c.KeyUsage == certificate.CertSign|certificate.CRLSign,
		"path len":  c.BasicConstraints.CA && c.BasicConstraints.MaxPathLen == 3,
		"eku":       len(c.EKU) == 2 && c.EKU[1] == certificate.PurposeOCSPSigning,
		"key ids":   bytes.Equal(c.SKI, std.SubjectKeyId) && bytes.Equal(c.AKI.KeyID, std.AuthorityKeyId),
		"san":       len(c.SAN) == 4 && string(c.SAN[0].Value) == "urzad.example",
		"nc":        len(c.NameConstraints.Permitted) == 1 && len(c.NameConstraints.Excluded) == 1,
		"crldp":     string(c.CRLDistributionPoints[0].Name.Full[0].Value) == "http://crl.example/a.crl",
		"aia":       c.AIA[0].Method == certificate.AccessOCSP && string(c.AIA[1].Location.Value) == "http://ca.example/ca.cer",
		"policies":  c.Policies[0].Policy == certificate.AnyPolicy && c.Policies[1].Policy.String() == "0.4.0.194112.1.2",
		"self":      c.SelfIssued(), "findings": len(c.Findings) == 0,
		"identifier": c.Subject.OrganizationIdentifier() == "VATPL-0000000000" && c.Subject.SerialNumber() == "PNOPL-00000000000",
	} {
		if !same {
			t.Errorf("%s differs", what)
		}
	}
	if got, want := c.Subject.String(), "organizationIdentifier=VATPL-0000000000,serialNumber=PNOPL-00000000000,CN=Urząd Miasta Przykładowo,C=PL"; got != want {
		t.Errorf("subject %s, want %s", got, want)
	}
}

func TestLaxnessIsAFinding(t *testing.T) {
	extension := func(id []int, value []byte) func(*x509.Certificate) {
		return func(c *x509.Certificate) {
			c.ExtraExtensions = append(c.ExtraExtensions, pkix.Extension{Id: id, Value: value})
		}
	}
	for _, test := range []struct {
		name   string
		change func(*x509.Certificate)
		patch  func([]byte) []byte
		want   certificate.Laxness
	}{
		{"negative serial", func(c *x509.Certificate) { c.SerialNumber = big.NewInt(0x4711) },
			swap([]byte{2, 2, 0x47, 0x11}, []byte{2, 2, 0xc7, 0x11}), certificate.NegativeSerial},
		{"zero serial", func(c *x509.Certificate) { c.SerialNumber = big.NewInt(0x4711) },
			swap([]byte{2, 2, 0x47, 0x11}, []byte{2, 2, 0, 0}), certificate.ZeroSerial},
		{"long serial", func(c *x509.Certificate) { c.SerialNumber = new(big.Int).Lsh(big.NewInt(1), 165) }, nil, certificate.LongSerial},
		{"bad path length", extension([]int{2, 5, 29, 19}, []byte{0x30, 6, 1, 1, 0xff, 2, 1, 0x80}), nil, certificate.BadBasicConstraints},
		{"boolean 1", extension([]int{2, 5, 29, 19}, []byte{0x30, 3, 1, 1, 1}), nil, certificate.BadBoolean},
		{"empty key usage", extension([]int{2, 5, 29, 15}, []byte{3, 1, 0}), nil, certificate.EmptyKeyUsage},
		{"orphan reasons", extension([]int{2, 5, 29, 31}, []byte{0x30, 6, 0x30, 4, 0x81, 2, 6, 0x40}), nil, certificate.OrphanReasons},
		{"malformed AKI", extension([]int{2, 5, 29, 35}, []byte{4, 0}), nil, certificate.MalformedExtension},
		{"relative point", extension([]int{2, 5, 29, 31}, []byte{0x30, 0x13, 0x30, 0x11, 0xa0, 0x0f, 0xa1, 0x0d, 0x30, 0x0b, 6, 3, 0x55, 4, 3, 0x0c, 4, 'a', 'b', 'c', 'd'}),
			nil, certificate.RelativePointName},
	} {
		t.Run(test.name, func(t *testing.T) {
			template := &x509.Certificate{SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "a"}, NotAfter: time.Unix(2e9, 0)}
			test.change(template)
			der := mint(t, template)
			if test.patch != nil {
				der = test.patch(der)
			}
			if c := parse(t, der); !c.Has(test.want) {
				t.Errorf("findings %v, want %q", c.Findings, test.want)
			}
		})
	}
}

func swap(old, new []byte) func([]byte) []byte {
	return func(der []byte) []byte { return bytes.Replace(der, old, new, 1) }
}

func TestRSAKeyWithoutNull(t *testing.T) {
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "a"}, NotAfter: time.Unix(2e9, 0)}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		t.Fatal(err)
	}
	withNull := parse(t, der)
	if withNull.Has(certificate.MissingNull) {
		t.Error("a NULL that is there is missed")
	}
	spki := asn1Wrap(0x30, asn1Wrap(0x30, []byte{6, 9, 0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 1, 1, 1}), withNull.RawSPKI[4+15:])
	c := parse(t, withSPKI(withNull, spki))
	if !c.Has(certificate.MissingNull) {
		t.Error("a missing NULL is not found")
	}
	if k, err := c.Key(); err != nil || k.Bits() != 2048 {
		t.Errorf("key %v: %v", k, err)
	}
}

// withSPKI puts another key into a certificate and leaves everything else, its signature included.
func withSPKI(c *certificate.Certificate, spki []byte) []byte {
	tbs := cryptobyte.String(c.RawTBS)
	tbs.ReadASN1(&tbs, 0x30)
	at := bytes.Index(tbs, c.RawSPKI)
	body := slices.Concat(tbs[:at], spki, tbs[at+len(c.RawSPKI):])
	return asn1Wrap(0x30, asn1Wrap(0x30, body), c.SignatureAlgorithm, c.RawSignature)
}

func asn1Wrap(tag uint8, parts ...[]byte) []byte {
	var b cryptobyte.Builder
	b.AddASN1(cryptobyte_asn1.Tag(tag), func(b *cryptobyte.Builder) {
		for _, p := range parts {
			b.AddBytes(p)
		}
	})
	return b.BytesOrPanic()
}

func TestTrailingDataIsAnError(t *testing.T) {
	der := mint(t, fullTemplate())
	if _, err := certificate.Parse(append(der, 0)); err != certificate.ErrTrailing {
		t.Errorf("error %v", err)
	}
}

// FuzzParse looks for input that makes the reader or the readers of names panic, or point outside of its input.
func FuzzParse(f *testing.F) {
	f.Add(mint(f, fullTemplate()))
	f.Add(mint(f, &x509.Certificate{SerialNumber: big.NewInt(1), NotAfter: time.Unix(2e9, 0), ExtraExtensions: []pkix.Extension{
		{Id: []int{1, 3, 6, 1, 5, 5, 7, 1, 3}, Value: []byte{0x30, 0x0a, 0x30, 8, 6, 6, 4, 0, 0x8e, 0x46, 1, 1}},
		{Id: []int{2, 5, 29, 33}, Value: []byte{0x30, 0x0c, 0x30, 10, 6, 3, 0x2a, 3, 4, 6, 3, 0x2a, 3, 5}},
		{Id: []int{2, 5, 29, 36}, Value: []byte{0x30, 3, 0x80, 1, 0}},
		{Id: []int{2, 5, 29, 54}, Value: []byte{2, 1, 0}},
		{Id: []int{2, 5, 29, 31}, Value: []byte{0x30, 6, 0x30, 4, 0x81, 2, 6, 0x40}},
	}}))
	f.Fuzz(func(t *testing.T, der []byte) {
		c, err := certificate.Parse(der)
		if err != nil {
			return
		}
		if !bytes.Equal(c.Raw, der) || !bytes.Contains(c.Raw, c.RawTBS) {
			t.Error("raw bytes are not the input")
		}
		_, _ = c.Key()
		_ = c.Subject.String() + c.Issuer.String()
		if !c.Subject.Equal(c.Subject) || !c.Subject.Within(c.Subject) {
			t.Error("name differs from itself")
		}
		for _, g := range append(c.SAN, c.IAN...) {
			_ = g.String()
		}
		for _, p := range c.Policies {
			_ = p.Policy.String()
		}
	})
}

func BenchmarkParse(b *testing.B) {
	der := mint(b, fullTemplate())
	b.Run("ours", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			if _, err := certificate.Parse(der); err != nil {
				b.Fatal(err)
			}
		}
	})
	b.Run("crypto_x509", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			if _, err := x509.ParseCertificate(der); err != nil {
				b.Fatal(err)
			}
		}
	})
}
