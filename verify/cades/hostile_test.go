package cades_test

import (
	"bytes"
	"crypto"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"crypto/x509/pkix"
	"fmt"
	"math/big"
	"runtime"
	"testing"
	"time"

	"trustcore/internal/budget"
	"trustcore/internal/cms"
	"trustcore/internal/cms/cmstest"
	"trustcore/verify/cades"
	"trustcore/verify/signature"
)

// hostileMemory bounds what a hostile file may make the reader allocate, beside the file. It catches
// growth with the square too; the time is logged, to be looked at.
const hostileMemory = 64 << 20

// TestHostile opens files that are built to cost as much as can be.
func TestHostile(t *testing.T) {
	if testing.Short() {
		t.Skip("large files")
	}
	id, tsu := cmstest.NewSigner(t, "rsa", "officer-1"), cmstest.NewTSU(t, "rsa", "TSU 1")
	der := sign(t, id, nil)
	sd, err := cms.Parse(der)
	if err != nil {
		t.Fatal(err)
	}
	token := tsu.Stamp(t, sd.Signers[0].Signature, cmstest.Now)
	grow := func(der []byte, typ cms.OID, values ...[]byte) []byte {
		t.Helper()
		grown, err := cms.AddUnsignedAttribute(der, 0, cms.NewAttribute(typ, values...))
		if err != nil {
			t.Fatal(err)
		}
		return grown
	}
	var tokens, counters, certificates [][]byte
	for i := range 4000 {
		tokens = append(tokens, token)
		counters = append(counters, sd.Signers[0].Raw)
		certificates = append(certificates, append(bytes.Clone(id.Cert.Raw[:len(id.Cert.Raw)-2]), byte(i>>8), byte(i)))
	}
	many, err := cms.AddEvidence(der, certificates, nil, nil)
	if err != nil {
		t.Fatal(err)
	}
	nested := sd.Signers[0].Raw
	for range 12 {
		n, err := cms.ParseSignerInfo(nested)
		if err != nil {
			t.Fatal(err)
		}
		nested = n.WithUnsigned([][]byte{cms.NewAttribute(cms.OIDCounterSignature, nested).Raw, cms.NewAttribute(cms.OIDCounterSignature, nested).Raw})
	}
	large := sign(t, id, func(c *cms.SignConfig) { c.Content = make([]byte, 16<<20) })
	for _, c := range []struct {
		name string
		data []byte
	}{
		{"4,000 time-stamps", grow(der, cms.OIDSignatureTimestamp, tokens...)},
		{"4,000 archive time-stamps over 16 MB", grow(large, cms.OIDArchiveTimestampV2, tokens...)},
		{"4,000 counter-signatures", grow(der, cms.OIDCounterSignature, counters...)},
		{"4,000 twins of the certificate", many},
		{"twins and time-stamps", grow(many, cms.OIDArchiveTimestampV3, tokens...)},
		{"twins and counter-signatures", grow(many, cms.OIDCounterSignature, counters...)},
		{"counter-signatures of counter-signatures", grow(der, cms.OIDCounterSignature, nested)},
		{"500 signers", signers(t, sd, 500)},
		{"500 signers with a key of 16,384 bits", hugeKey(t, sd)},
		{"strangers among twins", grow(many, cms.OIDCounterSignature, strangers(t, sd, 1000)...)},
		{"two million levels", bytes.Repeat([]byte{0x30, 0x80}, 2_000_000)},
	} {
		t.Run(c.name, func(t *testing.T) {
			var before, after runtime.MemStats
			runtime.ReadMemStats(&before)
			start := time.Now()
			doc, err := cades.Open(budget.New(t.Context(), len(c.data)), c.data, []signature.Detached{{Name: "a"}})
			took := time.Since(start)
			runtime.ReadMemStats(&after)
			grown := after.TotalAlloc - before.TotalAlloc
			what := "refused"
			if err == nil {
				what = fmt.Sprintf("%d signatures", len(doc.Signatures))
			}
			t.Logf("%d kB: %v, %d MB allocated, %s", len(c.data)>>10, took, grown>>20, what)
			if grown > hostileMemory {
				t.Errorf("%d MB allocated", grown>>20)
			}
		})
	}
}

// signers repeats the one signer of a SignedData.
func signers(t *testing.T, sd *cms.SignedData, n int) []byte {
	t.Helper()
	raw := bytes.Repeat(sd.Signers[0].Raw, n)
	length := []byte{byte(len(raw) >> 24), byte(len(raw) >> 16), byte(len(raw) >> 8), byte(len(raw))}
	set := append(append([]byte{0x31, 0x84}, length...), raw...)
	out := append([]byte{0x30, 0x80, 0x06, 9}, cms.OIDSignedData...)
	out = append(out, 0xa0, 0x80, 0x30, 0x80, 2, 1, 1, 0x31, 0)
	out = append(out, sd.Content.Raw...)
	out = append(out, sd.RawCertificates...)
	out = append(out, set...)
	return append(out, 0, 0, 0, 0, 0, 0)
}

// hugeKey is a SignedData whose signers all name a certificate with a key that is slow to use.
func hugeKey(t *testing.T, sd *cms.SignedData) []byte {
	t.Helper()
	issuer := cmstest.NewSigner(t, "p256", "officer-1")
	modulus := new(big.Int).Lsh(big.NewInt(1), 16383)
	modulus.Add(modulus, big.NewInt(1))
	template := &x509.Certificate{SerialNumber: big.NewInt(7), Subject: pkix.Name{CommonName: "slow"},
		NotBefore: cmstest.Now, NotAfter: cmstest.Now.AddDate(1, 0, 0)}
	cert, err := x509.CreateCertificate(rand.Reader, template, template, &rsa.PublicKey{N: modulus, E: 0x7fffffff}, issuer.Key)
	if err != nil {
		t.Fatal(err)
	}
	si := sd.Signers[0]
	name := tlv(0x30, rawIssuer(t, cert), []byte{2, 1, 7})
	slow := rebuild(t, sd, content, [][]byte{si.RawVersion, name, si.DigestAlgorithm, si.RawSignedAttributes,
		[]byte("\x30\x0d\x06\x09\x2a\x86\x48\x86\xf7\x0d\x01\x01\x0b\x05\x00"), tlv(0x04, bytes.Repeat([]byte{0x3f}, 2048))})
	if slow, err = cms.AddEvidence(slow, [][]byte{cert}, nil, nil); err != nil {
		t.Fatal(err)
	}
	parsed, err := cms.Parse(slow)
	if err != nil {
		t.Fatal(err)
	}
	if s := only(t, slow); !bytes.Equal(s.Signer, cert) || s.Algorithms[0].KeyBits != 16384 {
		t.Fatalf("the key is not used: %+v", s)
	}
	return signers(t, parsed, 500)
}

func rawIssuer(t *testing.T, der []byte) []byte {
	t.Helper()
	cert, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	return cert.RawIssuer
}

// strangers are signers that name certificates that are not there, each another one.
func strangers(t *testing.T, sd *cms.SignedData, n int) [][]byte {
	t.Helper()
	var list [][]byte
	for i := range n {
		raw := bytes.Clone(sd.Signers[0].Raw)
		at := bytes.Index(raw, sd.Signers[0].Serial)
		raw[at+2], raw[at+3] = byte(i>>8), byte(i)
		list = append(list, raw)
	}
	return list
}

var benchSink *signature.Document

// BenchmarkOpen measures a B-LT signature against its parts: reading the structure alone, and the two
// raw public-key operations that it takes.
func BenchmarkOpen(b *testing.B) {
	for _, kind := range []string{"rsa", "p256"} {
		id, tsu := cmstest.NewSigner(b, kind, "officer-1"), cmstest.NewTSU(b, kind, "TSU 1")
		der := sign(b, id, nil)
		sd, err := cms.Parse(der)
		if err != nil {
			b.Fatal(err)
		}
		if der, err = cms.AddUnsignedAttribute(der, 0, cms.NewTimestampAttribute(tsu.Stamp(b, sd.Signers[0].Signature, cmstest.Now))); err != nil {
			b.Fatal(err)
		}
		if der, err = cms.AddEvidence(der, [][]byte{tsu.Cert.Raw}, nil, [][]byte{cms.WrapBasicOCSP(make([]byte, 1500))}); err != nil {
			b.Fatal(err)
		}
		if s := only(b, der); s.Level != "B-LT" || !s.Intact || !s.Timestamps[0].Intact {
			b.Fatalf("%+v", s)
		}
		b.Run(kind+"/parse", func(b *testing.B) {
			b.SetBytes(int64(len(der)))
			b.ReportAllocs()
			for b.Loop() {
				if _, err := cms.Parse(der); err != nil {
					b.Fatal(err)
				}
			}
		})
		b.Run(kind+"/open", func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				if benchSink, err = cades.Open(budget.New(b.Context(), len(der)), der, nil); err != nil {
					b.Fatal(err)
				}
			}
		})
		b.Run(kind+"/raw", func(b *testing.B) {
			for b.Loop() {
				rawVerify(b, id, sd)
				rawVerify(b, id, sd)
			}
		})
	}
}

// rawVerify is the standard library's public-key operation for the signature value.
func rawVerify(b *testing.B, id cmstest.Identity, sd *cms.SignedData) {
	b.Helper()
	message := sd.Signers[0].EncodedAttributes()
	if err := id.Cert.CheckSignature(algorithmOf(id), message, sd.Signers[0].Signature); err != nil {
		b.Fatal(err)
	}
}

// BenchmarkContent measures a large attached content in segments: it streams through the hash.
func BenchmarkContent(b *testing.B) {
	id := cmstest.NewSigner(b, "p256", "officer-1")
	data := make([]byte, 64<<20)
	der := sign(b, id, func(c *cms.SignConfig) { c.Content = data })
	b.Run("open", func(b *testing.B) {
		b.SetBytes(int64(len(data)))
		b.ReportAllocs()
		for b.Loop() {
			var err error
			if benchSink, err = cades.Open(budget.New(b.Context(), len(der)), der, nil); err != nil {
				b.Fatal(err)
			}
		}
	})
	b.Run("sha256", func(b *testing.B) {
		b.SetBytes(int64(len(data)))
		for b.Loop() {
			h := crypto.SHA256.New()
			h.Write(data)
			h.Sum(nil)
		}
	})
}

func algorithmOf(id cmstest.Identity) x509.SignatureAlgorithm {
	if id.Cert.PublicKeyAlgorithm == x509.RSA {
		return x509.SHA256WithRSA
	}
	return x509.ECDSAWithSHA256
}
