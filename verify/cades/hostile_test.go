package cades_test

import (
	"bytes"
	"context"
	"crypto"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"math/big"
	"slices"
	"testing"
	"time"

	"trustcore/internal/budget"
	"trustcore/internal/budget/budgettest"
	"trustcore/internal/cms"
	"trustcore/internal/cms/cmstest"
	"trustcore/verify/cades"
	"trustcore/verify/signature"
)

// limit is what any file may cost: 2 s, with room for a slow machine, and 20 ns an octet beyond the first megabyte; of memory what is allocated in
// all, freed or not, which bounds what is held.
var limit = budgettest.Limit{Time: 2500 * time.Millisecond, TimeAnOctet: 20 * time.Nanosecond, Alloc: 64 << 20, AllocAnOctet: 4}

// TestCost opens files that are built to cost as much as can be: many of what is dear, and pairs of lists of which
// each member of one meets each of the other. All but the large ones are about a megabyte.
func TestCost(t *testing.T) {
	if testing.Short() {
		t.Skip("large files")
	}
	h := newHostile(t)
	many := h.evidence(1000)
	index := cms.NewAttribute(cms.OIDArchiveTimestampV3, h.indexed(4000))
	large := sign(t, h.id, func(c *cms.SignConfig) { c.Content = make([]byte, 16<<20) })
	for _, c := range []struct {
		name string
		data []byte
	}{
		{"4,000 time-stamps", h.grow(h.der, cms.OIDSignatureTimestamp, times(h.token, 4000)...)},
		{"4,000 archive time-stamps over 16 MB", h.grow(large, cms.OIDArchiveTimestampV2, times(h.token, 4000)...)},
		{"250 archive time-stamps over much that is not in DER", h.grow(h.loose(many), cms.OIDArchiveTimestampV2, times(h.token, 250)...)},
		{"250 complete time-stamps over each other", h.grow(h.grow(h.der, cms.OIDSignatureTimestamp, times(h.token, 250)...), cms.OIDESCTimestamp, times(h.token, 250)...)},
		{"indexes of 4,000 entries over 1,000 twins", h.with(many, slices.Repeat([]cms.Attribute{index}, 4)...)},
		{"4,000 counter-signatures", h.grow(h.der, cms.OIDCounterSignature, times(h.sd.Signers[0].Raw, 4000)...)},
		{"counter-signatures of counter-signatures", h.grow(h.der, cms.OIDCounterSignature, h.nested(12))},
		{"1,000 twins of the certificate", many},
		{"twins and time-stamps", h.grow(many, cms.OIDArchiveTimestampV3, times(h.token, 4000)...)},
		{"twins and counter-signatures", h.grow(many, cms.OIDCounterSignature, times(h.sd.Signers[0].Raw, 4000)...)},
		{"strangers among twins", h.grow(many, cms.OIDCounterSignature, strangers(t, h.sd, 1000)...)},
		{"key identifiers among twins without one", h.grow(many, cms.OIDCounterSignature, h.keyIdentifiers(1000)...)},
		{"long names among twins of their serial number", h.grow(many, cms.OIDCounterSignature, h.longNames(20)...)},
		{"lists of certificates, copied by each signer", signers(t, h.evident(many), 500)},
		{"500 signers", signers(t, h.sd, 500)},
		{"500 signers of 200 attributes", signers(t, h.parse(h.with(h.der, h.tiny(200)...)), 500)},
		{"500 signers with a key of 16,384 bits", hugeKey(t, h.sd)},
		{"a set of 250,000 members to be sorted", h.unsorted(250_000)},
		{"a content in 300,000 segments", h.segmented(300_000)},
		{"levels in levels", bytes.Repeat([]byte{0x30, 0x80}, 500_000)},
		{"base64 with blanks", bytes.Repeat([]byte("M "), 500_000)},
		{"base64 of 40 MB", bytes.Repeat([]byte("MIII"), 10<<20)},
		{"a message of 16 MB of line ends", h.message(bytes.Repeat([]byte("\n"), 16<<20))},
		{"a message of what is nearly a delimiter", h.message(bytes.Repeat([]byte("\n--b"), 1<<20))},
		{"a message with a header of 40 MB", append([]byte("Content-Type: multipart/signed\nX: "), bytes.Repeat([]byte("y\n "), 14<<20)...)},
	} {
		t.Run(c.name, func(t *testing.T) {
			outcome := ""
			budgettest.Check(t, len(c.data), limit, func() {
				doc, err := cades.Open(budget.New(t.Context(), len(c.data)), c.data, nil)
				if outcome = fmt.Sprint(err); err == nil {
					outcome = fmt.Sprintf("%d signatures", len(doc.Signatures))
				}
			})
			t.Logf("%d kB: %s", len(c.data)>>10, outcome)
		})
	}
}

// TestBudgetEnds: a file beyond its budget is an error that says so, whatever was read of it.
func TestBudgetEnds(t *testing.T) {
	h := newHostile(t)
	data := signers(t, h.sd, 20)
	for _, b := range []*budget.Budget{budget.Of(t.Context(), 0, 1<<20), budget.Of(t.Context(), 500_000, 1<<20), budget.Of(t.Context(), 1<<40, 0)} {
		if doc, err := cades.Open(b, data, nil); !errors.Is(err, budget.ErrExceeded) {
			t.Errorf("%v, %v", doc, err)
		}
	}
	if _, err := cades.Open(budget.Of(t.Context(), 200_000_000, 20<<20), hugeKey(t, h.sd), nil); !errors.Is(err, budget.ErrExceeded) {
		t.Errorf("what keys cost is not spent: %v", err)
	}
	canceled, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := cades.Open(budget.New(canceled, len(data)), data, nil); !errors.Is(err, context.Canceled) {
		t.Error(err)
	}
	s, _, err := cades.OpenPDF(budget.Of(t.Context(), 100_000, 1<<20), cades.PDF{SubFilter: cades.PDFCAdESDetached, Contents: h.der,
		ByteRange: func(w io.Writer) error { return nil }})
	if err != nil || s.Unchecked == "" || s.Intact {
		t.Errorf("PDF: %+v, %v", s, err)
	}
}

// hostile builds files.
type hostile struct {
	t     *testing.T
	id    cmstest.Identity
	der   []byte
	sd    *cms.SignedData
	token []byte
}

func newHostile(t *testing.T) *hostile {
	t.Helper()
	h := &hostile{t: t, id: cmstest.NewSigner(t, "rsa", "officer-1")}
	h.der = sign(t, h.id, nil)
	h.sd = h.parse(h.der)
	h.token = cmstest.NewTSU(t, "p256", "TSU 1").Stamp(t, h.sd.Signers[0].Signature, cmstest.Now)
	return h
}

// message is a multipart/signed message about other data than was signed.
func (h *hostile) message(part []byte) []byte {
	m := newMail(h.t, h.id)
	m.signed = string(part)
	return m.text()
}

func times(value []byte, n int) [][]byte { return slices.Repeat([][]byte{value}, n) }

func (h *hostile) parse(der []byte) *cms.SignedData {
	h.t.Helper()
	sd, err := cms.Parse(der)
	if err != nil {
		h.t.Fatal(err)
	}
	return sd
}

func (h *hostile) grow(der []byte, typ cms.OID, values ...[]byte) []byte {
	h.t.Helper()
	return h.with(der, cms.NewAttribute(typ, values...))
}

func (h *hostile) with(der []byte, list ...cms.Attribute) []byte {
	h.t.Helper()
	for _, a := range list {
		var err error
		if der, err = cms.AddUnsignedAttribute(der, 0, a); err != nil {
			h.t.Fatal(err)
		}
	}
	return der
}

// evidence adds twins of the signer's certificate that differ in the value of the signature.
func (h *hostile) evidence(n int) []byte {
	h.t.Helper()
	var twins [][]byte
	for i := range n {
		twins = append(twins, append(bytes.Clone(h.id.Cert.Raw[:len(h.id.Cert.Raw)-2]), byte(i>>8), byte(i)))
	}
	der, err := cms.AddEvidence(h.der, twins, nil, nil)
	if err != nil {
		h.t.Fatal(err)
	}
	return der
}

// loose writes the length of the certificates' field in more octets than DER does.
func (h *hostile) loose(der []byte) []byte {
	field := h.parse(der).RawCertificates
	at := bytes.Index(der, field)
	return rewrap(der, at, len(field), append(append([]byte{0xa0, 0x80}, field[5:]...), 0, 0))
}

// rewrap replaces a field of the SignedData and makes the lengths around it indefinite.
func rewrap(der []byte, at, size int, field []byte) []byte {
	body := slices.Concat(der[bytes.Index(der, []byte("\x02\x01\x01\x31")):at], field, der[at+size:])
	head := append([]byte{0x30, 0x80, 0x06, 9}, cms.OIDSignedData...)
	return slices.Concat(head, []byte{0xa0, 0x80, 0x30, 0x80}, body, make([]byte, 6))
}

// indexed is a token with an ats-hash-index-v3 of n entries.
func (h *hostile) indexed(n int) []byte {
	h.t.Helper()
	digest := tlv(0x04, make([]byte, 32))
	list := long(0x30, bytes.Repeat(digest, n))
	token, err := cms.AddUnsignedAttribute(h.token, 0, cms.NewAttribute(cms.OIDATSHashIndexV3,
		long(0x30, sha256Identifier, list, long(0x30), long(0x30))))
	if err != nil {
		h.t.Fatal(err)
	}
	return token
}

var sha256Identifier = []byte("\x30\x0b\x06\x09\x60\x86\x48\x01\x65\x03\x04\x02\x01")

// long is an element with a length of four octets.
func long(tag byte, parts ...[]byte) []byte {
	body := bytes.Join(parts, nil)
	return append(binary.BigEndian.AppendUint32([]byte{tag, 0x84}, uint32(len(body))), body...)
}

// nested doubles the counter-signatures at each level.
func (h *hostile) nested(levels int) []byte {
	h.t.Helper()
	raw := h.sd.Signers[0].Raw
	for range levels {
		si, err := cms.ParseSignerInfo(raw)
		if err != nil {
			h.t.Fatal(err)
		}
		counter := cms.NewAttribute(cms.OIDCounterSignature, raw).Raw
		raw = si.WithUnsigned([][]byte{counter, counter})
	}
	return raw
}

// renamed are signers by other identifiers.
func (h *hostile) renamed(n int, identifier func(i int) []byte) [][]byte {
	si := h.sd.Signers[0]
	var list [][]byte
	for i := range n {
		list = append(list, long(0x30, si.RawVersion, identifier(i), si.DigestAlgorithm, si.RawSignedAttributes, si.SignatureAlgorithm, si.RawSignature))
	}
	return list
}

func (h *hostile) keyIdentifiers(n int) [][]byte {
	return h.renamed(n, func(i int) []byte { return tlv(0x80, []byte{byte(i >> 8), byte(i)}) })
}

// longNames have the serial number of the signer's certificate and an issuer of 50,000 octets.
func (h *hostile) longNames(n int) [][]byte {
	attribute := tlv(0x31, tlv(0x30, []byte{0x06, 3, 0x55, 4, 3}, tlv(0x0c, []byte("nazwa"))))
	serial := tlv(0x02, h.sd.Signers[0].Serial)
	return h.renamed(n, func(i int) []byte {
		return long(0x30, long(0x30, bytes.Repeat(attribute, 3000+i)), serial)
	})
}

// evident is a signer with a certificate-values attribute of its own.
func (h *hostile) evident(der []byte) *cms.SignedData {
	h.t.Helper()
	return h.parse(h.grow(der, cms.OIDCertificateValues, tlv(0x30, h.id.Cert.Raw)))
}

func (h *hostile) tiny(n int) []cms.Attribute {
	return slices.Repeat([]cms.Attribute{cms.NewAttribute("\x2a", []byte{5, 0})}, n)
}

// unsorted has a signed attribute with a set whose members stand in the reverse of DER's order.
func (h *hostile) unsorted(n int) []byte {
	members := make([]byte, 0, 4*n)
	for i := n; i > 0; i-- {
		members = append(members, 4, 2, byte(i>>8), byte(i))
	}
	attribute := long(0x30, []byte{0x06, 1, 0x2a}, long(0x31, long(0x31, members)))
	si := h.sd.Signers[0]
	signed := long(0xa0, si.SignedAttributes[0].Raw, si.SignedAttributes[1].Raw, si.SignedAttributes[2].Raw, attribute)
	signer := long(0x30, si.RawVersion, si.RawIdentifier, si.DigestAlgorithm, signed, si.SignatureAlgorithm, si.RawSignature)
	return wrapped(h.sd, h.sd.Content.Raw, signer)
}

// segmented has a content of many segments of one octet.
func (h *hostile) segmented(n int) []byte {
	content := long(0x24, bytes.Repeat([]byte{4, 1, 'x'}, n))
	return wrapped(h.sd, long(0x30, h.sd.Content.RawType, long(0xa0, content)), h.sd.Signers[0].Raw)
}

// wrapped is a SignedData of indefinite length around its parts.
func wrapped(sd *cms.SignedData, content []byte, signers ...[]byte) []byte {
	head := append([]byte{0x30, 0x80, 0x06, 9}, cms.OIDSignedData...)
	return slices.Concat(head, []byte{0xa0, 0x80, 0x30, 0x80, 2, 1, 1, 0x31, 0}, content, sd.RawCertificates,
		long(0x31, signers...), make([]byte, 6))
}

// signers repeats the one signer of a SignedData.
func signers(t *testing.T, sd *cms.SignedData, n int) []byte {
	t.Helper()
	return wrapped(sd, sd.Content.Raw, times(sd.Signers[0].Raw, n)...)
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
