package cades_test

import (
	"bytes"
	"crypto"
	"crypto/rand"
	"crypto/rsa"
	"encoding/pem"
	"errors"
	"io"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"trustcore/internal/budget"
	"trustcore/internal/cms"
	"trustcore/internal/cms/cmstest"
	"trustcore/verify/cades"
	"trustcore/verify/signature"
)

func openAll(t testing.TB, data []byte, detached ...signature.Detached) (*signature.Document, error) {
	t.Helper()
	return cades.Open(budget.New(t.Context(), len(data)), data, detached)
}

// TestAttachedAndDetached: whoever gives a file wants to know of that file.
func TestAttachedAndDetached(t *testing.T) {
	id := cmstest.NewSigner(t, "p256", "officer-1")
	der := sign(t, id, nil)
	empty := sign(t, id, func(c *cms.SignConfig) { c.Content = []byte{} })
	same, other := signature.Detached{Name: "zlecenie.txt", Content: content}, signature.Detached{Name: "inne.txt", Content: []byte("x")}
	longer, shorter := signature.Detached{Content: append(bytes.Clone(content), 0)}, signature.Detached{Content: content[:len(content)-1]}
	for _, c := range []struct {
		name  string
		der   []byte
		files []signature.Detached
		ok    bool
	}{
		{"none", der, nil, true},
		{"the same", der, []signature.Detached{same}, true},
		{"the same among others", der, []signature.Detached{other, same}, true},
		{"another", der, []signature.Detached{other}, false},
		{"longer", der, []signature.Detached{longer}, false},
		{"shorter", der, []signature.Detached{shorter}, false},
		{"nothing", der, []signature.Detached{{Name: "pusty"}}, false},
		{"nothing, of nothing", empty, []signature.Detached{{Name: "pusty"}}, true},
		{"another, of nothing", empty, []signature.Detached{other}, false},
	} {
		doc, err := openAll(t, c.der, c.files...)
		if c.ok != (err == nil) || err != nil && !errors.Is(err, cades.ErrOtherData) {
			t.Errorf("%s: %v", c.name, err)
			continue
		}
		if err == nil && (len(c.files) > 0) != slices.ContainsFunc(doc.Signatures[0].Notes, func(n string) bool { return strings.Contains(n, "that was given") }) {
			t.Errorf("%s: notes %q", c.name, doc.Signatures[0].Notes)
		}
	}
}

// TestTokenAlone: a token or a TimeStampResp is a time-stamp of the file given, and nobody's signature.
func TestTokenAlone(t *testing.T) {
	tsu := cmstest.NewTSU(t, "p256", "TSU 1")
	token := tsu.Stamp(t, content, cmstest.Now)
	response := cms.NewTimestampResponse(token)
	// Refused although a token is there (RFC 3161, 2.4.2: then there must be none).
	refused := tlv(0x30, tlv(0x30, []byte{2, 1, 2}), token)
	right, wrong := signature.Detached{Name: "a", Content: content}, signature.Detached{Name: "b", Content: []byte("x")}
	for _, c := range []struct {
		name           string
		data           []byte
		files          []signature.Detached
		found, imprint bool
		notes          int
	}{
		{"token", token, []signature.Detached{right}, true, true, 0},
		{"token, other data", token, []signature.Detached{wrong}, true, false, 0},
		{"token, second file", token, []signature.Detached{wrong, right}, true, true, 1},
		{"token, no data", token, nil, false, false, 0},
		{"response", response, []signature.Detached{right}, true, true, 0},
		{"response, other data", response, []signature.Detached{wrong}, true, false, 0},
		{"response, no data", response, nil, false, false, 0},
		{"refusal with a token", refused, []signature.Detached{right}, true, true, 1},
		{"PEM", pem.EncodeToMemory(&pem.Block{Type: "PKCS7", Bytes: token}), []signature.Detached{right}, true, true, 1},
		{"PEM of a response", pem.EncodeToMemory(&pem.Block{Type: "TIMESTAMP", Bytes: response}), []signature.Detached{right}, true, true, 1},
		{"octets after it", append(bytes.Clone(token), 1), []signature.Detached{right}, true, true, 1},
	} {
		doc, err := openAll(t, c.data, c.files...)
		if err != nil || len(doc.Signatures) != 0 || len(doc.Timestamps) != 1 {
			t.Errorf("%s: %+v, %v", c.name, doc, err)
			continue
		}
		ts := doc.Timestamps[0]
		if ts.Type != signature.ContentTimestamp || !ts.Intact || ts.Found != c.found || ts.Imprint != c.imprint || len(doc.Notes) != c.notes {
			t.Errorf("%s: %+v, notes %q", c.name, ts, doc.Notes)
		}
	}
	for name, data := range map[string][]byte{
		"empty sequences": {0x30, 2, 0x30, 0},
		"certificate":     tsu.Cert.Raw,
	} {
		if doc, err := openAll(t, data, right); err == nil {
			t.Errorf("%s: %+v", name, doc)
		}
	}
}

// TestResponsesRefused: an answer without a time-stamp says why, and what nobody can place is not passed over.
func TestResponsesRefused(t *testing.T) {
	token := cmstest.NewTSU(t, "p256", "TSU 1").Stamp(t, content, cmstest.Now)
	response := cms.NewTimestampResponse(token)
	granted := tlv(0x30, []byte{2, 1, 0})
	for name, c := range map[string]struct {
		data []byte
		says string
	}{
		"refused":            {cms.RefuseTimestamp(cms.TimeNotAvailable, "brak czasu"), "refused (status 2 “brak czasu”)"},
		"waiting":            {tlv(0x30, tlv(0x30, []byte{2, 1, 3})), "refused (status 3)"},
		"granted nothing":    {tlv(0x30, granted), "holds no time-stamp, though it says granted"},
		"octets after it":    {append(bytes.Clone(response), 1), "1 octets after the TimeStampResp"},
		"a line after it":    {append(bytes.Clone(response), '\n'), "1 octets after the TimeStampResp"},
		"a second one":       {append(bytes.Clone(response), response...), "after the TimeStampResp"},
		"octets in it":       {tlv(0x30, granted, token, []byte{5, 0}), "2 octets after the TimeStampResp or its token"},
		"octets in PEM":      {pem.EncodeToMemory(&pem.Block{Type: "TIMESTAMP", Bytes: append(bytes.Clone(response), 0)}), "1 octets after"},
		"fields of a status": {tlv(0x30, tlv(0x30, []byte{2, 1, 0}, []byte{5, 0}), token), "unknown fields at the end"},
	} {
		if doc, err := openAll(t, c.data, signature.Detached{Content: content}); err == nil || !strings.Contains(err.Error(), c.says) {
			t.Errorf("%s: got %v, %v; want %q", name, doc, err, c.says)
		}
	}
}

func TestLooks(t *testing.T) {
	id, tsu := cmstest.NewSigner(t, "p256", "officer-1"), cmstest.NewTSU(t, "p256", "TSU 1")
	pdf := sign(t, id, func(c *cms.SignConfig) { c.Content = []byte("%PDF-1.7") })
	for name, c := range map[string]struct {
		data []byte
		want bool
	}{
		"around a PDF": {pdf, true}, "indefinite": {[]byte("\x30\x80\x06\x09" + string(cms.OIDSignedData)), true},
		"response": {cms.NewTimestampResponse(tsu.Stamp(t, content, cmstest.Now)), true}, "refusal": {cms.RefuseTimestamp(cms.BadAlgorithm, ""), true},
		"certificate": {id.Cert.Raw, false}, "PDF": {[]byte("%PDF-1.7"), false}, "digit": {[]byte("0 obj"), false},
		"data": {[]byte("\x30\x80\x06\x09" + string(cms.OIDData)), false}, "cut": {[]byte{0x30, 0x84}, false}, "nothing": {nil, false},
	} {
		if got := cades.Looks(c.data); got != c.want {
			t.Errorf("%s: %v", name, got)
		}
	}
}

// TestTwoHashes: digestAlgorithm is for the content, the signature algorithm has its own hash for the attributes. Without
// attributes there is one digest, and nothing to tell two hashes apart.
func TestTwoHashes(t *testing.T) {
	id := cmstest.NewSigner(t, "rsa", "officer-1")
	sd, err := cms.Parse(sign(t, id, func(c *cms.SignConfig) { c.Hash = crypto.SHA512 }))
	if err != nil {
		t.Fatal(err)
	}
	si := sd.Signers[0]
	sha3 := tlv(0x30, []byte("\x06\x09\x60\x86\x48\x01\x65\x03\x04\x03\x0e"), []byte{5, 0}) // id-rsassa-pkcs1-v1-5-with-sha3-256
	for name, c := range map[string]struct {
		algorithm []byte
		options   crypto.SignerOpts
		use       string
	}{
		"RSA":            {[]byte("\x30\x0d\x06\x09\x2a\x86\x48\x86\xf7\x0d\x01\x01\x0b\x05\x00"), crypto.SHA256, "RSA-PKCS1-SHA256"},
		"RSA with SHA-3": {sha3, crypto.SHA3_256, "RSA-PKCS1-SHA3-256"},
		"RSA-PSS":        {pss(t, id), &rsa.PSSOptions{SaltLength: 32, Hash: crypto.SHA256}, "RSA-PSS-SHA256"},
	} {
		resign := func(message []byte, attributes ...[]byte) []byte {
			h := c.options.HashFunc().New()
			h.Write(message)
			value, err := id.Key.Sign(rand.Reader, h.Sum(nil), c.options)
			if err != nil {
				t.Fatal(err)
			}
			fields := append([][]byte{si.RawVersion, si.RawIdentifier, si.DigestAlgorithm}, attributes...)
			return rebuild(t, sd, content, append(fields, c.algorithm, tlv(0x04, value)))
		}
		file := resign(si.EncodedAttributes(), si.RawSignedAttributes)
		s := only(t, file)
		if !s.Intact || !s.ReferencesIntact() || len(s.Structure) != 0 {
			t.Errorf("%s, with attributes: %+v", name, s)
		}
		if !slices.ContainsFunc(s.Notes, func(n string) bool {
			return strings.Contains(n, "digested with SHA-512") && strings.Contains(n, "RFC 8933")
		}) {
			t.Errorf("%s: notes %q", name, s.Notes)
		}
		for _, want := range []string{c.use, "SHA-512"} { // both are judged
			if !slices.ContainsFunc(s.Algorithms, func(u signature.AlgorithmUse) bool { return u.Algorithm == want }) {
				t.Errorf("%s: %s is not among %v", name, want, s.Algorithms)
			}
		}
		if plain := only(t, resign(content)); plain.Intact {
			t.Errorf("%s, without attributes: %+v", name, plain)
		}
		in := filepath.Join(t.TempDir(), "in")
		cmstest.Write(t, in, file)
		if cmstest.OpenSSL(t, "version"); exec.Command("openssl", "cms", "-verify", "-noverify", "-inform", "DER", "-in", in).Run() == nil {
			t.Errorf("%s: openssl takes it; docs/conformance.md says that it does not", name)
		}
	}
}

// pss is the AlgorithmIdentifier of RSASSA-PSS with SHA-256.
func pss(t *testing.T, id cmstest.Identity) []byte {
	t.Helper()
	sd, err := cms.Parse(sign(t, id, func(c *cms.SignConfig) { c.PSS = true }))
	if err != nil {
		t.Fatal(err)
	}
	return sd.Signers[0].SignatureAlgorithm
}

// TestUnknownDigest: what can't be computed was not changed.
func TestUnknownDigest(t *testing.T) {
	id := cmstest.NewSigner(t, "rsa", "officer-1")
	sd, err := cms.Parse(sign(t, id, nil))
	if err != nil {
		t.Fatal(err)
	}
	si := sd.Signers[0]
	unknown := tlv(0x30, []byte{0x06, 2, 0x2a, 3})
	s := only(t, rebuild(t, sd, content, [][]byte{si.RawVersion, si.RawIdentifier, unknown, si.RawSignedAttributes, si.SignatureAlgorithm, si.RawSignature}))
	if r := s.References[0]; !r.Found || r.Intact || r.Unchecked == "" {
		t.Errorf("%+v", r)
	}
}

// TestOpenDetached: the CMS of a container is about what the container says, and nothing else.
func TestOpenDetached(t *testing.T) {
	id := cmstest.NewSigner(t, "p256", "officer-1")
	write := func(data []byte) func(io.Writer) error {
		return func(w io.Writer) error { _, err := w.Write(data); return err }
	}
	for _, c := range []struct {
		name          string
		der           []byte
		write         func(io.Writer) error
		found, intact bool
		structure     int
	}{
		{"right", sign(t, id, detachedFrom(content)), write(content), true, true, 0},
		{"wrong", sign(t, id, detachedFrom(content)), write(nil), true, false, 0},
		{"unknown", sign(t, id, detachedFrom(content)), nil, false, false, 0},
		{"unreadable", sign(t, id, detachedFrom(content)), func(io.Writer) error { return io.ErrUnexpectedEOF }, false, false, 0},
		{"attached", sign(t, id, nil), write([]byte("x")), true, false, 1},
		{"attached, unknown", sign(t, id, nil), nil, false, false, 1},
		{"attached, the same", sign(t, id, nil), write(content), true, true, 0},
		{"attached, shorter", sign(t, id, nil), write(content[1:]), true, false, 1},
	} {
		doc, err := cades.OpenDetached(budget.New(t.Context(), len(c.der)), c.der, "manifest", c.write)
		if err != nil {
			t.Errorf("%s: %v", c.name, err)
			continue
		}
		s := doc.Signatures[0]
		if r := s.References[0]; r.Found != c.found || r.Intact != c.intact || len(s.Structure) != c.structure {
			t.Errorf("%s: %+v, structure %q", c.name, r, s.Structure)
		}
	}
}

// TestCounterSignatureElsewhere: one over another value than its parent's is about other data.
func TestCounterSignatureElsewhere(t *testing.T) {
	id := cmstest.NewSigner(t, "p256", "officer-1")
	der, err := cms.AddUnsignedAttribute(sign(t, id, nil), 0, cms.NewAttribute(cms.OIDCounterSignature, counterSign(t, id, []byte("another value"))))
	if err != nil {
		t.Fatal(err)
	}
	doc, err := openAll(t, der)
	if err != nil || len(doc.Signatures) != 2 {
		t.Fatalf("%+v, %v", doc, err)
	}
	if c := doc.Signatures[1]; !c.Intact || c.References[0].Intact || !c.References[0].Found {
		t.Errorf("%+v", c.References)
	}
}

// TestPDFWithContent: the digest is that of the content, not of the byte range (EN 319 142-1, 4.1).
func TestPDFWithContent(t *testing.T) {
	der := sign(t, cmstest.NewSigner(t, "p256", "officer-1"), nil)
	s, _, err := cades.OpenPDF(budget.New(t.Context(), len(der)), cades.PDF{SubFilter: cades.PDFCAdESDetached, Contents: der,
		ByteRange: func(w io.Writer) error { _, err := w.Write(content); return err }})
	if err != nil || len(s.Structure) == 0 || s.ReferencesIntact() {
		t.Errorf("%+v, %v", s, err)
	}
}
