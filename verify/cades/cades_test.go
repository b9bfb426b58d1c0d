package cades_test

import (
	"bytes"
	"crypto"
	"crypto/sha1"
	"crypto/sha256"
	"encoding/base64"
	"encoding/pem"
	"io"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"trustcore/internal/budget"
	"trustcore/internal/cms"
	"trustcore/internal/cms/cmstest"
	"trustcore/verify/cades"
	"trustcore/verify/signature"
)

var content = []byte("Zlecenie uruchomienia (+)\r\n")

// sign makes a B-B signature; change may turn it into something else.
func sign(t testing.TB, id cmstest.Identity, change func(*cms.SignConfig)) []byte {
	t.Helper()
	cfg := cms.SignConfig{Signer: id.Key, Certificate: id.Cert.Raw, Hash: crypto.SHA256, Content: content, SigningTime: cmstest.Now}
	if change != nil {
		change(&cfg)
	}
	der, err := cms.Sign(cfg)
	if err != nil {
		t.Fatal(err)
	}
	return der
}

func detachedFrom(data []byte) func(*cms.SignConfig) {
	return func(c *cms.SignConfig) {
		sum := sha256.Sum256(data)
		c.Content, c.Digest = nil, sum[:]
	}
}

// only opens a file that must hold one signature.
func only(t testing.TB, data []byte, detached ...signature.Detached) *signature.Signature {
	t.Helper()
	doc, err := cades.Open(budget.New(t.Context(), len(data)), data, detached)
	if err != nil {
		t.Fatal(err)
	}
	if len(doc.Signatures) != 1 {
		t.Fatalf("%d signatures", len(doc.Signatures))
	}
	return doc.Signatures[0]
}

func TestAttached(t *testing.T) {
	for _, kind := range []string{"rsa", "p256", "p384", "ed25519"} {
		id := cmstest.NewSigner(t, kind, "officer-1")
		s := only(t, sign(t, id, func(c *cms.SignConfig) {
			if kind == "ed25519" {
				c.Hash = crypto.SHA512
			}
		}))
		if !s.Intact || !s.ReferencesIntact() || s.Level != "B-B" || s.Format != signature.CAdES || s.Binding != signature.BindingMatches ||
			!bytes.Equal(s.Signer, id.Cert.Raw) || !s.SigningTime.Equal(cmstest.Now) || len(s.Structure)+len(s.Notes) != 0 {
			t.Errorf("%s: %+v", kind, s)
		}
		if len(s.Algorithms) != 3 || s.Algorithms[0].KeyBits == 0 {
			t.Errorf("%s: algorithms %v", kind, s.Algorithms)
		}
	}
}

func TestDetached(t *testing.T) {
	id := cmstest.NewSigner(t, "p256", "officer-1")
	der := sign(t, id, detachedFrom(content))
	right, wrong := signature.Detached{Name: "zlecenie.txt", Content: content}, signature.Detached{Name: "inny.txt", Content: []byte("x")}
	for _, c := range []struct {
		name          string
		files         []signature.Detached
		found, intact bool
		file          string
	}{
		{"right", []signature.Detached{right}, true, true, "zlecenie.txt"},
		{"second of two", []signature.Detached{wrong, right}, true, true, "zlecenie.txt"},
		{"wrong", []signature.Detached{wrong}, true, false, "inny.txt"},
		{"none", nil, false, false, "message digest"},
	} {
		s := only(t, der, c.files...)
		r := s.References[0]
		if !s.Intact || r.Found != c.found || r.Intact != c.intact || r.Name != c.file {
			t.Errorf("%s: intact %v, %+v", c.name, s.Intact, r)
		}
	}
}

func TestWrappings(t *testing.T) {
	der := sign(t, cmstest.NewSigner(t, "p256", "officer-1"), nil)
	text := base64.StdEncoding.EncodeToString(der)
	lines := strings.Join(strings.SplitAfterN(text, "", 65), "\r\n")
	mail := "MIME-Version: 1.0\r\nContent-Type: application/pkcs7-mime; smime-type=signed-data\r\nContent-Transfer-Encoding: base64\r\n\r\n"
	for name, file := range map[string][]byte{
		"PEM": pem.EncodeToMemory(&pem.Block{Type: "CMS", Bytes: der}), "base64": []byte(text), "lines": []byte(lines),
		"S/MIME": []byte(mail + lines), "byte order mark": []byte("\ufeff" + text),
	} {
		if s := only(t, file); !s.Intact || !s.ReferencesIntact() || len(s.Notes) != 1 {
			t.Errorf("%s: %+v", name, s)
		}
	}
	if s := only(t, append(bytes.Clone(der), "more"...)); len(s.Notes) != 1 {
		t.Errorf("octets at the end: %v", s.Notes)
	}
	for _, bad := range []string{"", "hello", "M", "-----BEGIN CMS-----\n", "MAAA", "<xml/>"} {
		if _, err := cades.Open(budget.New(t.Context(), len(bad)), []byte(bad), nil); err == nil {
			t.Errorf("%q was opened", bad)
		}
	}
}

// TestBroken changes each octet: whatever it is, no other content, signer or attribute passes.
func TestBroken(t *testing.T) {
	id := cmstest.NewSigner(t, "p256", "officer-1")
	der := sign(t, id, nil)
	good := only(t, der)
	for i := range der {
		broken := bytes.Clone(der)
		broken[i] ^= 1
		doc, err := cades.Open(budget.New(t.Context(), len(broken)), broken, nil)
		if err != nil {
			continue
		}
		for _, s := range doc.Signatures {
			if !s.Intact || !s.ReferencesIntact() || len(s.Structure) > 0 {
				continue
			}
			sd, err := cms.Parse(broken)
			if err != nil {
				t.Fatal(err)
			}
			if !bytes.Equal(sd.Content.Bytes(), content) || !s.SigningTime.Equal(good.SigningTime) ||
				!bytes.Equal(s.Signer, good.Signer) && s.Binding == signature.BindingMatches {
				t.Errorf("octet %d: another content, time or bound signer passes", i)
			}
		}
	}
}

// TestAttributeRules: RFC 5652 section 11 and the mixing up of content and attributes.
func TestAttributeRules(t *testing.T) {
	id := cmstest.NewSigner(t, "rsa", "officer-1")
	der := sign(t, id, nil)
	sd, err := cms.Parse(der)
	if err != nil {
		t.Fatal(err)
	}
	si := sd.Signers[0]
	message, err := si.SignedMessage()
	if err != nil {
		t.Fatal(err)
	}
	t.Run("content type", func(t *testing.T) {
		forged := bytes.Replace(der, sd.Content.RawType, append([]byte{0x06, 9}, cms.OIDSignedData...), 1)
		if s := only(t, forged); len(s.Structure) == 0 {
			t.Error("content-type and eContentType differ and nothing is said")
		}
	})
	t.Run("attributes as content", func(t *testing.T) {
		// The signature over the attributes, passed off as one over a content of the same octets.
		forged := rebuild(t, sd, message, [][]byte{si.RawVersion, si.RawIdentifier, si.DigestAlgorithm, si.SignatureAlgorithm, si.RawSignature})
		if s := only(t, forged); s.Intact || s.ReferencesIntact() {
			t.Errorf("accepted: %+v", s)
		}
	})
	t.Run("without attributes", func(t *testing.T) {
		plain := signPlain(t, id, sd)
		s := only(t, plain)
		if !s.Intact || !s.ReferencesIntact() || s.Format != signature.CMS || s.Level != "B" {
			t.Errorf("%+v", s)
		}
		if s := only(t, bytes.Replace(plain, content[:8], []byte("zlecenie"), 1)); s.Intact || s.ReferencesIntact() {
			t.Error("another content passes")
		}
	})
	t.Run("not in DER order", func(t *testing.T) {
		list := append([]cms.Attribute{si.SignedAttributes[1], si.SignedAttributes[0]}, si.SignedAttributes[2:]...)
		forged := withAttributes(t, sd, list)
		if s := only(t, forged); !s.Intact || len(s.Notes) == 0 {
			t.Errorf("the DER encoding is what was signed: %+v", s)
		}
	})
	t.Run("repeated message-digest", func(t *testing.T) {
		forged := withAttributes(t, sd, append(si.SignedAttributes[:len(si.SignedAttributes):len(si.SignedAttributes)], *si.Signed(cms.OIDMessageDigest)))
		if s := only(t, forged); s.Intact || s.ReferencesIntact() || len(s.Structure) == 0 {
			t.Errorf("%+v", s)
		}
	})
	t.Run("algorithm protection", func(t *testing.T) {
		protect := func(digest string) []byte {
			value := append(tlv(0x30, []byte(digest)), tlv(0xa1, []byte("\x06\x09\x2a\x86\x48\x86\xf7\x0d\x01\x01\x0b\x05\x00"))...)
			return sign(t, id, func(c *cms.SignConfig) {
				c.Attributes = []cms.Attribute{cms.NewAttribute(cms.OIDAlgorithmProtection, tlv(0x30, value))}
			})
		}
		if s := only(t, protect("\x06\x09\x60\x86\x48\x01\x65\x03\x04\x02\x01")); !s.Intact {
			t.Errorf("the right algorithms: %v", s.Notes)
		}
		if s := only(t, protect("\x06\x09\x60\x86\x48\x01\x65\x03\x04\x02\x02")); s.Intact {
			t.Error("another digest algorithm passes")
		}
	})
}

func tlv(tag byte, parts ...[]byte) []byte {
	body := bytes.Join(parts, nil)
	switch n := len(body); {
	case n < 0x80:
		return append([]byte{tag, byte(n)}, body...)
	case n < 0x100:
		return append([]byte{tag, 0x81, byte(n)}, body...)
	default:
		return append([]byte{tag, 0x82, byte(n >> 8), byte(n)}, body...)
	}
}

// rebuild makes a SignedData with another content and the fields of one signer.
func rebuild(t *testing.T, sd *cms.SignedData, eContent []byte, signer [][]byte) []byte {
	t.Helper()
	encap := tlv(0x30, sd.Content.RawType, tlv(0xa0, tlv(0x04, eContent)))
	body := tlv(0x30, []byte{2, 1, 1}, tlv(0x31, sd.DigestAlgorithms[0]), encap, sd.RawCertificates, tlv(0x31, tlv(0x30, signer...)))
	return tlv(0x30, append([]byte{0x06, 9}, cms.OIDSignedData...), tlv(0xa0, body))
}

func withAttributes(t *testing.T, sd *cms.SignedData, list []cms.Attribute) []byte {
	t.Helper()
	var raw [][]byte
	for _, a := range list {
		raw = append(raw, a.Raw)
	}
	si := sd.Signers[0]
	return rebuild(t, sd, sd.Content.Bytes(), [][]byte{si.RawVersion, si.RawIdentifier, si.DigestAlgorithm,
		tlv(0xa0, raw...), si.SignatureAlgorithm, si.RawSignature})
}

// signPlain signs the content itself, without signed attributes.
func signPlain(t *testing.T, id cmstest.Identity, sd *cms.SignedData) []byte {
	t.Helper()
	sum := sha256.Sum256(content)
	value, err := id.Key.Sign(nil, sum[:], crypto.SHA256)
	if err != nil {
		t.Fatal(err)
	}
	si := sd.Signers[0]
	return rebuild(t, sd, content, [][]byte{si.RawVersion, si.RawIdentifier, si.DigestAlgorithm, si.SignatureAlgorithm, tlv(0x04, value)})
}

// TestSubstitution: a certificate with the same key, name and number does not pass for the bound one.
func TestSubstitution(t *testing.T) {
	id, other := cmstest.NewSigner(t, "p256", "officer-1"), cmstest.NewSigner(t, "p256", "officer-1")
	for name, change := range map[string]func(*cms.SignConfig){
		"another certificate": func(c *cms.SignConfig) { c.Certificate = other.Cert.Raw },
		"none":                func(c *cms.SignConfig) { c.OmitCertificates = true },
	} {
		if s := only(t, sign(t, id, change)); s.Intact {
			t.Errorf("%s: intact", name)
		}
	}
}

func TestSeveralSignersAndCounterSignature(t *testing.T) {
	dir := t.TempDir()
	a, b, c := cmstest.NewSigner(t, "rsa", "officer-1"), cmstest.NewSigner(t, "p256", "officer-2"), cmstest.NewSigner(t, "p256", "officer-3")
	certA, keyA := a.Files(t, dir, "a")
	certB, keyB := b.Files(t, dir, "b")
	data, out := filepath.Join(dir, "data"), filepath.Join(dir, "s.p7m")
	cmstest.Write(t, data, content)
	cmstest.OpenSSL(t, "cms", "-sign", "-binary", "-stream", "-nodetach", "-cades", "-md", "sha256", "-in", data, "-outform", "DER", "-out", out,
		"-signer", certA, "-inkey", keyA, "-signer", certB, "-inkey", keyB)
	der := cmstest.Read(t, out)
	sd, err := cms.Parse(der)
	if err != nil {
		t.Fatal(err)
	}
	counter := counterSign(t, c, sd.Signers[0].Signature)
	if der, err = cms.AddUnsignedAttribute(der, 0, cms.NewAttribute(cms.OIDCounterSignature, counter)); err != nil {
		t.Fatal(err)
	}
	if der, err = cms.AddEvidence(der, [][]byte{c.Cert.Raw}, nil, nil); err != nil {
		t.Fatal(err)
	}
	doc, err := cades.Open(budget.New(t.Context(), len(der)), der, nil)
	if err != nil || len(doc.Signatures) != 3 {
		t.Fatalf("%v, %d signatures", err, len(doc.Signatures))
	}
	ids := map[string]bool{}
	for i, s := range doc.Signatures {
		ids[s.ID] = true
		if !s.Intact || !s.ReferencesIntact() || len(s.Structure) > 0 || (s.CounterSignatureOf != "") != (i == 1) {
			t.Errorf("%d: %+v", i, s)
		}
	}
	if len(ids) != 3 || doc.Signatures[1].CounterSignatureOf != doc.Signatures[0].ID || !bytes.Equal(doc.Signatures[1].Signer, c.Cert.Raw) {
		t.Error("the counter-signature is not tied to its signature")
	}
}

// counterSign makes a SignerInfo over a signature value: no content-type attribute.
func counterSign(t *testing.T, id cmstest.Identity, value []byte) []byte {
	t.Helper()
	sum := sha256.Sum256(value)
	sd, err := cms.Parse(sign(t, id, func(c *cms.SignConfig) { c.Content, c.Digest = nil, sum[:] }))
	if err != nil {
		t.Fatal(err)
	}
	si := sd.Signers[0]
	var attributes [][]byte
	for _, a := range si.SignedAttributes {
		if a.Type != cms.OIDContentType {
			attributes = append(attributes, a.Raw)
		}
	}
	digest := sha256.Sum256(tlv(0x31, attributes...))
	signed, err := id.Key.Sign(nil, digest[:], crypto.SHA256)
	if err != nil {
		t.Fatal(err)
	}
	return tlv(0x30, si.RawVersion, si.RawIdentifier, si.DigestAlgorithm, tlv(0xa0, attributes...), si.SignatureAlgorithm, tlv(0x04, signed))
}

// TestBorrowedValue: an old value that does not verify with what is put around it proves the age of nothing else.
func TestBorrowedValue(t *testing.T) {
	id, tsu := cmstest.NewSigner(t, "p256", "officer-1"), cmstest.NewTSU(t, "p256", "TSU 1")
	inner := tsu.Stamp(t, content, cmstest.Now)
	der := sign(t, id, func(c *cms.SignConfig) {
		c.Attributes = []cms.Attribute{cms.NewAttribute(cms.OIDContentTimestamp, inner)}
	})
	sd, err := cms.Parse(der)
	if err != nil {
		t.Fatal(err)
	}
	for name, intact := range map[string]bool{"good": true, "borrowed": false} {
		value := bytes.Clone(sd.Signers[0].Signature)
		if !intact {
			value[len(value)-1] ^= 1
		}
		text := bytes.Replace(der, sd.Signers[0].Signature, value, 1)
		stamped, err := cms.AddUnsignedAttribute(text, 0, cms.NewTimestampAttribute(tsu.Stamp(t, value, cmstest.Now)))
		if err != nil {
			t.Fatal(err)
		}
		s := only(t, stamped)
		ts := s.Timestamps[1]
		covers := ts.Covers
		if !ts.Imprint || s.Intact != intact || !slices.Contains(covers, s.Value) ||
			slices.Contains(covers, sha256.Sum256(s.Signer)) != intact || slices.Contains(covers, sha256.Sum256(inner)) != intact {
			t.Errorf("%s: intact %t, covers %d", name, s.Intact, len(covers))
		}
	}
}

// TestTimestamps grows a signature from B-B to B-LTA.
func TestTimestamps(t *testing.T) {
	id, tsu := cmstest.NewSigner(t, "p256", "officer-1"), cmstest.NewTSU(t, "p256", "TSU 1")
	der := sign(t, id, func(c *cms.SignConfig) {
		c.Attributes = []cms.Attribute{cms.NewAttribute(cms.OIDContentTimestamp, tsu.Stamp(t, content, cmstest.Now))}
	})
	s := only(t, der)
	sd, err := cms.Parse(der)
	if err != nil {
		t.Fatal(err)
	}
	grow := func(a cms.Attribute) {
		t.Helper()
		if der, err = cms.AddUnsignedAttribute(der, 0, a); err != nil {
			t.Fatal(err)
		}
		s = only(t, der)
	}
	grow(cms.NewTimestampAttribute(tsu.Stamp(t, sd.Signers[0].Signature, cmstest.Now.Add(time.Minute))))
	if s.Level != "B-T" || len(s.Timestamps) != 2 {
		t.Fatalf("level %s, %d time-stamps", s.Level, len(s.Timestamps))
	}
	for _, ts := range s.Timestamps {
		if !ts.Intact || !ts.Found || !ts.Imprint || ts.CoversSignature != (ts.Type == signature.SignatureTimestamp) {
			t.Errorf("%+v", ts)
		}
	}
	if der, err = cms.AddEvidence(der, nil, nil, [][]byte{cms.WrapBasicOCSP([]byte{0x30, 0})}); err != nil {
		t.Fatal(err)
	}
	if s = only(t, der); s.Level != "B-LT" || len(s.OCSPs) != 1 {
		t.Errorf("level %s", s.Level)
	}
	archived := archive(t, der, tsu)
	if s = only(t, archived); s.Level != "B-LTA" || !s.Timestamps[1].CoversSignature || !last(s).Imprint || !last(s).Intact {
		t.Errorf("level %s, %v, %+v", s.Level, s.Notes, last(s))
	}
	if covers := last(s).Covers; len(covers) < 6 || !slices.Contains(covers, s.Value) || !slices.Contains(covers, sha256.Sum256(s.OCSPs[0])) {
		t.Errorf("covers %d objects", len(covers))
	}
	without := bytes.Replace(archived, s.OCSPs[0], bytes.Repeat([]byte{0}, len(s.OCSPs[0])), 1)
	if doc, err := cades.Open(budget.New(t.Context(), len(without)), without, nil); err == nil && last(doc.Signatures[0]).Imprint {
		t.Error("the archive time-stamp stands although evidence that it covers was taken away")
	}
	grow(cms.NewTimestampAttribute(tsu.Stamp(t, []byte("another signature value"), cmstest.Now)))
	for _, ts := range s.Timestamps {
		if ts.Imprint == (bytes.Contains(ts.Token, sha256Of("another signature value"))) {
			t.Errorf("transplanted time-stamp: imprint %v", ts.Imprint)
		}
	}
}

// archive adds an archive-time-stamp-v3.
func archive(t *testing.T, der []byte, tsu cmstest.Identity) []byte {
	t.Helper()
	sd, err := cms.Parse(der)
	if err != nil {
		t.Fatal(err)
	}
	index, err := sd.HashIndexV3(0, crypto.SHA256)
	if err != nil {
		t.Fatal(err)
	}
	message, err := sd.ArchiveMessage(0, sha256Of(string(content)), index)
	if err != nil {
		t.Fatal(err)
	}
	attribute, err := cms.NewArchiveTimestamp(tsu.Stamp(t, message, cmstest.Now.Add(time.Hour)), index)
	if err != nil {
		t.Fatal(err)
	}
	if der, err = cms.AddUnsignedAttribute(der, 0, attribute); err != nil {
		t.Fatal(err)
	}
	return der
}

// last is the archive time-stamp of a signature.
func last(s *signature.Signature) *signature.Timestamp {
	for _, ts := range s.Timestamps {
		if ts.Type == signature.ArchiveTimestamp {
			return ts
		}
	}
	return &signature.Timestamp{}
}

func sha256Of(s string) []byte {
	sum := sha256.Sum256([]byte(s))
	return sum[:]
}

func TestPDFKinds(t *testing.T) {
	id := cmstest.NewSigner(t, "rsa", "officer-1")
	covered := []byte("%PDF-1.7 bytes of two ranges")
	write := func(data []byte) func(io.Writer) error {
		return func(w io.Writer) error {
			_, err := w.Write(data)
			return err
		}
	}
	sum := sha1.Sum(covered)
	raw, err := id.Key.Sign(nil, sum[:], crypto.SHA1)
	if err != nil {
		t.Fatal(err)
	}
	noTime := func(c *cms.SignConfig) {
		detachedFrom(covered)(c)
		c.SigningTime = time.Time{}
	}
	for _, c := range []struct {
		kind     string
		contents []byte
		certs    [][]byte
		format   signature.Format
		level    string
	}{
		{cades.PDFCAdESDetached, sign(t, id, noTime), nil, signature.PAdES, "B-B"},
		{cades.PDFPKCS7Detached, sign(t, id, noTime), nil, signature.PDF, "BES"},
		{cades.PDFPKCS7SHA1, sign(t, id, func(c *cms.SignConfig) { c.Content = sum[:] }), nil, signature.PDF, "B-B"},
		{cades.PDFX509RSASHA1, tlv(4, raw), [][]byte{id.Cert.Raw}, signature.PDF, ""},
	} {
		for name, data := range map[string][]byte{"right": covered, "changed": append(bytes.Clone(covered), ' ')} {
			s, _, err := cades.OpenPDF(budget.New(t.Context(), len(data)), cades.PDF{SubFilter: c.kind, Contents: append(bytes.Clone(c.contents), 0, 0, 0), Certificates: c.certs, ByteRange: write(data)})
			if err != nil {
				t.Fatalf("%s: %v", c.kind, err)
			}
			valid := s.Intact && s.ReferencesIntact() && len(s.Structure) == 0
			if valid != (name == "right") || s.Format != c.format || s.Level != c.level || s.References[0].Type != "byte-range" {
				t.Errorf("%s %s: %+v", c.kind, name, s)
			}
		}
	}
}
