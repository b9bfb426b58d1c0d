package cades_test

import (
	"bytes"
	"crypto"
	"crypto/x509"
	"fmt"
	"runtime"
	"testing"
	"time"

	"trustcore/internal/cms"
	"trustcore/internal/cms/cmstest"
	"trustcore/verify/cades"
	"trustcore/verify/signature"
)

// Bounds for hostile files: of the size that the service takes, in time and in memory beside the file.
const (
	hostileTime   = 2 * time.Second
	hostileMemory = 200 << 20
)

// TestHostile opens files that are built to cost as much as can be. The bound on time is wide on any
// machine that is not busy; it shows growth with the square, not a slow machine.
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
		{"two million levels", bytes.Repeat([]byte{0x30, 0x80}, 2_000_000)},
	} {
		t.Run(c.name, func(t *testing.T) {
			var before, after runtime.MemStats
			runtime.ReadMemStats(&before)
			start := time.Now()
			doc, err := cades.Open(c.data, []signature.Detached{{Name: "a"}})
			took := time.Since(start)
			runtime.ReadMemStats(&after)
			grown := after.TotalAlloc - before.TotalAlloc
			what := "refused"
			if err == nil {
				what = fmt.Sprintf("%d signatures", len(doc.Signatures))
			}
			t.Logf("%d kB: %v, %d MB allocated, %s", len(c.data)>>10, took, grown>>20, what)
			if took > hostileTime || grown > hostileMemory {
				t.Errorf("%v and %d MB", took, grown>>20)
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
				if benchSink, err = cades.Open(der, nil); err != nil {
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
			if benchSink, err = cades.Open(der, nil); err != nil {
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
