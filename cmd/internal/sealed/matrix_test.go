package sealed

import (
	"bytes"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"trustcore/hsm/seal"
	"trustcore/hsm/seal/gather"
	"trustcore/hsm/seal/sealtest"
	"trustcore/verify"
	"trustcore/verify/signature"
	"trustcore/verify/trustlist"
)

const xmlDocument = `<?xml version="1.0" encoding="UTF-8"?>
<pismo xmlns="urn:x"><tytuł>Wezwanie &amp; pouczenie</tytuł><!-- uwaga -->
<treść a="1">zażółć gęślą jaźń</treść></pismo>`

// pdfDocument is a one-page document with a classic cross-reference table.
func pdfDocument() []byte {
	objects := []string{
		"<< /Type /Catalog /Pages 2 0 R >>",
		"<< /Type /Pages /Kids [3 0 R] /Count 1 >>",
		"<< /Type /Page /Parent 2 0 R /MediaBox [0 0 200 200] /Contents 4 0 R /Resources << >> >>",
		"<< /Length 0 >>\nstream\n\nendstream",
	}
	var b bytes.Buffer
	b.WriteString("%PDF-1.7\n%\xe2\xe3\xcf\xd3\n")
	var offsets []int
	for i, o := range objects {
		offsets = append(offsets, b.Len())
		fmt.Fprintf(&b, "%d 0 obj\n%s\nendobj\n", i+1, o)
	}
	at := b.Len()
	fmt.Fprintf(&b, "xref\n0 %d\n0000000000 65535 f \n", len(objects)+1)
	for _, o := range offsets {
		fmt.Fprintf(&b, "%010d 00000 n \n", o)
	}
	fmt.Fprintf(&b, "trailer\n<< /Size %d /Root 1 0 R >>\nstartxref\n%d\n%%%%EOF\n", len(objects)+1, at)
	return b.Bytes()
}

// form is a way to seal.
type form struct {
	format    seal.Format
	packaging seal.Packaging
	documents []seal.Document
	detached  bool // the documents have to be given to a verifier
	key       string
}

func (f form) String() string { return string(f.format) + " " + string(f.packaging) }

func (f form) extension() string {
	switch {
	case f.packaging == seal.ASiCS:
		return ".asics"
	case f.packaging == seal.ASiCE:
		return ".asice"
	}
	return map[seal.Format]string{seal.FormatPAdES: ".pdf", seal.FormatXAdES: ".xml", seal.FormatCAdES: ".p7m",
		seal.FormatJAdES: ".json"}[f.format]
}

func forms() []form {
	text := seal.Document{Name: "pismo.txt", MimeType: "text/plain", Content: []byte("zażółć gęślą jaźń\r\n")}
	two := []seal.Document{text, {Name: "plan nr 1 (ąę).pdf", MimeType: "application/pdf", Content: pdfDocument()}}
	folders := []seal.Document{text, {Name: "załączniki/plan nr 1.pdf", MimeType: "application/pdf",
		Content: pdfDocument()}}
	return []form{
		{seal.FormatPAdES, seal.Enveloped, []seal.Document{{Content: pdfDocument()}}, false, "RSA"},
		{seal.FormatXAdES, seal.Enveloped, []seal.Document{{Content: []byte(xmlDocument)}}, false, "P-256"},
		{seal.FormatXAdES, seal.Enveloping, []seal.Document{text}, false, "RSA"},
		{seal.FormatXAdES, seal.Detached, two, true, "P-256"},
		{seal.FormatXAdES, seal.ASiCS, []seal.Document{text}, false, "P-384"},
		{seal.FormatXAdES, seal.ASiCE, folders, false, "RSA"},
		{seal.FormatCAdES, seal.Enveloping, []seal.Document{text}, false, "P-256"},
		{seal.FormatCAdES, seal.Detached, []seal.Document{text}, true, "RSA"},
		{seal.FormatCAdES, seal.ASiCS, []seal.Document{text}, false, "P-256"},
		{seal.FormatCAdES, seal.ASiCE, folders, false, "P-256"},
		{seal.FormatJAdES, seal.Enveloping, []seal.Document{text}, false, "P-256"},
		{seal.FormatJAdES, seal.Compact, []seal.Document{text}, false, "RSA"},
		{seal.FormatJAdES, seal.Detached, two, true, "P-384"},
	}
}

var levels = []seal.Level{seal.LevelB, seal.LevelT, seal.LevelLT, seal.LevelLTA}

// house is everything that seals are made and judged with.
type house struct {
	authority *sealtest.Authority
	signers   map[string]seal.Signer
	tsa       seal.TSA
	gatherer  *gather.Gatherer
	verifier  *verify.Verifier
	anchor    string
}

func newHouse(t testing.TB) *house {
	t.Helper()
	h := &house{authority: sealtest.New(t), signers: map[string]seal.Signer{}}
	for _, kind := range []string{"RSA", "P-256", "P-384"} {
		h.signers[kind] = h.signer(t, kind)
	}
	h.tsa = h.authority.TSA(t)
	roots := []*x509.Certificate{h.authority.Root.Certificate}
	var err error
	if h.gatherer, err = gather.New(gather.Config{Anchors: roots, Strangers: h.authority.Strangers()}); err != nil {
		t.Fatal(err)
	}
	h.anchor = h.authority.Anchor(t)
	lists, err := trustlist.Load(t.Context(), trustlist.Sources{Anchors: []string{h.anchor}})
	if err != nil {
		t.Fatal(err)
	}
	h.verifier, err = verify.New(verify.Config{Lists: func() *trustlist.Snapshot { return lists },
		Policy: verify.DefaultPolicy(), Now: time.Now})
	if err != nil {
		t.Fatal(err)
	}
	return h
}

func (h *house) signer(t testing.TB, kind string) seal.Signer {
	t.Helper()
	return h.authority.Sealer(h.authority.Signer(t, kind, "Urząd Miasta Przykładowo "+kind))
}

// short is a signer whose certificate says that it outlives no revocation (ETSI EN 319 412-1, 5.2), issued by the
// root: who judges its seals needs no revocation information.
func (h *house) short(t testing.TB, kind string) seal.Signer {
	t.Helper()
	id := h.authority.Issue(t, h.authority.Root, "seal", "Urząd Gminy, na dobę", sealtest.NewKey(t, kind),
		func(c *x509.Certificate) {
			c.OCSPServer, c.CRLDistributionPoints, c.NotAfter = nil, nil, time.Now().Add(time.Hour)
			assured := asn1.ObjectIdentifier{0, 4, 0, 194121, 2, 1}
			c.ExtraExtensions = append(c.ExtraExtensions, pkix.Extension{Id: assured, Value: []byte{5, 0}})
		})
	return seal.Signer{Key: id.Key, Certificate: id.Certificate}
}

func (h *house) options(f form, level seal.Level) seal.Options {
	return seal.Options{Format: f.format, Packaging: f.packaging, Level: level, Time: time.Now(), TSA: h.tsa,
		Collect: h.gatherer.Collect}
}

func (h *house) seal(t testing.TB, f form, level seal.Level) []byte {
	t.Helper()
	return h.sealBy(t, f, level, h.signers[f.key])
}

func (h *house) sealBy(t testing.TB, f form, level seal.Level, by seal.Signer) []byte {
	t.Helper()
	sealed, err := seal.Seal(t.Context(), f.documents, by, h.options(f, level))
	if err != nil {
		t.Fatalf("%s %s: %v", f, level, err)
	}
	return sealed
}

// expect has our verifier judge a sealed document, offline: it holds the anchor and what is in the document, before
// LevelLT besides what the gatherer finds.
func (h *house) expect(t testing.TB, f form, level seal.Level, sealed []byte, signatures int) {
	t.Helper()
	request := verify.Request{Document: sealed}
	if f.detached {
		for _, d := range f.documents {
			request.Detached = append(request.Detached, signature.Detached{Name: d.Name, Content: d.Content})
		}
	}
	if !reaches(level, seal.LevelLT) {
		ev, err := h.gatherer.Collect(t.Context(), [][]byte{h.signers[f.key].Certificate.Raw,
			h.authority.TSU.Certificate.Raw},
			[][]byte{h.authority.CA.Certificate.Raw})
		if err != nil {
			t.Fatal(err)
		}
		request.Evidence = &verify.Evidence{Certificates: ev.Certificates, CRLs: ev.CRLs, OCSPs: ev.OCSPs}
	}
	report, err := h.verifier.Verify(t.Context(), request)
	if err != nil {
		t.Fatalf("%s %s: %v", f, level, err)
	}
	if len(report.Signatures) != signatures {
		t.Errorf("%s %s: %d signatures, want %d", f, level, len(report.Signatures), signatures)
	}
	for _, s := range report.Signatures {
		if s.Indication != verify.TotalPassed || s.Level != string(level) || len(s.Unsigned) > 0 {
			t.Errorf("%s %s: our verifier says %s %s, level %s, unsigned %v\n%v\n%v", f, level, s.Indication,
				s.SubIndication, s.Level, s.Unsigned,
				strings.Join(s.Reasons, "\n"), strings.Join(s.Notes, "\n"))
		}
		for _, n := range s.Notes {
			t.Logf("%s %s: %s", f, level, n)
		}
	}
}

func reaches(a, b seal.Level) bool { return slices.Index(levels, a) >= slices.Index(levels, b) }

// TestEveryFormatAtEveryLevel seals straight to each level.
func TestEveryFormatAtEveryLevel(t *testing.T) {
	h := newHouse(t)
	for _, f := range forms() {
		for _, level := range levels {
			if f.packaging == seal.Compact && level != seal.LevelB {
				continue
			}
			h.expect(t, f, level, h.seal(t, f, level), 1)
		}
	}
}

// TestFromOneLevelToTheNext raises what was sealed at level B-B, and renews the archive time-stamp twice.
func TestFromOneLevelToTheNext(t *testing.T) {
	h := newHouse(t)
	for _, f := range forms() {
		sealed := h.seal(t, f, seal.LevelB)
		for _, level := range append(levels[1:], seal.LevelLTA, seal.LevelLTA) {
			var documents []seal.Document
			if f.detached {
				documents = f.documents
			}
			after, err := seal.Extend(t.Context(), sealed, documents, h.options(form{}, level))
			if err != nil {
				t.Errorf("%s to %s: %v", f, level, err)
				break
			}
			h.expect(t, f, level, after, 1)
			if level != seal.LevelLTA {
				if _, err := seal.Extend(t.Context(), after, documents, h.options(form{}, level)); !errors.Is(err,
					seal.ErrAlready) {
					t.Errorf("%s at %s: extended once more: %v", f, level, err)
				}
			}
			sealed = after
		}
	}
}
