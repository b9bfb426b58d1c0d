package seal_test

import (
	"archive/zip"
	"bytes"
	"context"
	"encoding/base64"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"trustcore/hsm/seal"
	"trustcore/hsm/seal/gather"
	"trustcore/hsm/seal/sealtest"
	"trustcore/internal/asic"
	"trustcore/internal/pdf"

	"crypto/x509"
)

// sealer is who seals in these tests, and with what.
type sealer struct {
	*sealtest.Authority
	by      seal.Signer
	tsa     seal.TSA
	collect seal.Collect
}

func newSealer(t *testing.T) *sealer {
	t.Helper()
	a := sealtest.New(t)
	g, err := gather.New(gather.Config{Anchors: []*x509.Certificate{a.Root.Certificate}, Strangers: a.Strangers()})
	if err != nil {
		t.Fatal(err)
	}
	return &sealer{a, a.Sealer(a.Signer(t, "P-256", "Urząd")), a.TSA(t), g.Collect}
}

func (s *sealer) seal(ctx context.Context, format seal.Format, packaging seal.Packaging, level seal.Level,
	documents ...seal.Document) ([]byte, error) {
	return seal.Seal(ctx, documents, s.by, seal.Options{Format: format, Packaging: packaging, Level: level,
		Time: time.Now(), TSA: s.tsa,
		Collect: s.collect})
}

func (s *sealer) extend(ctx context.Context, sealed []byte, level seal.Level, documents ...seal.Document) ([]byte,
	error) {
	return seal.Extend(ctx, sealed, documents, seal.Options{Level: level, TSA: s.tsa, Collect: s.collect})
}

func wants(t *testing.T, name string, err error, want string) {
	t.Helper()
	if err == nil || !strings.Contains(err.Error(), want) {
		t.Errorf("%s: %v; want %q", name, err, want)
	}
}

// TestOptionsAreChecked: what is missing or can't be is said by its name.
func TestOptionsAreChecked(t *testing.T) {
	s := newSealer(t)
	one := []seal.Document{{Name: "a.txt", Content: []byte("a")}}
	good := seal.Options{Format: seal.FormatCAdES, Level: seal.LevelB, Time: time.Now()}
	with := func(change func(*seal.Options)) seal.Options { o := good; change(&o); return o }
	for want, o := range map[string]seal.Options{
		`Format "" is none of`:                   with(func(o *seal.Options) { o.Format = "" }),
		`Packaging "enveloped" is none that CAd`: with(func(o *seal.Options) { o.Packaging = seal.Enveloped }),
		`Level "B-X" is none of`:                 with(func(o *seal.Options) { o.Level = "B-X" }),
		"TSA is missing":                         with(func(o *seal.Options) { o.Level = seal.LevelT }),
		"Collect is missing":                     with(func(o *seal.Options) { o.Level, o.TSA = "", s.tsa }),
		"the signing time is missing":            with(func(o *seal.Options) { o.Time = time.Time{} }),
		"has no place for a time-stamp": with(func(o *seal.Options) {
			o.Format, o.Packaging,
				o.Level = seal.FormatJAdES, seal.Compact, seal.LevelT
		}),
	} {
		_, err := seal.Seal(t.Context(), one, s.by, o)
		wants(t, want, err, want)
	}
	_, err := seal.Seal(t.Context(), nil, s.by, good)
	wants(t, "nothing", err, "no document is given")
	_, err = seal.Seal(t.Context(), append(one, one...), s.by, good)
	wants(t, "two", err, "takes one; ASiC-E takes many")
}

// TestHugeDocumentsAreRefused: the sum counts.
func TestHugeDocumentsAreRefused(t *testing.T) {
	s := newSealer(t)
	half := make([]byte, seal.MaxDocument/2+1)
	_, err := s.seal(t.Context(), seal.FormatXAdES, seal.ASiCE, seal.LevelB, seal.Document{Name: "a", Content: half},
		seal.Document{Name: "b", Content: half})
	wants(t, "two halves", err, "bytes of documents are not taken")
	_, err = s.extend(t.Context(), half, seal.LevelT, seal.Document{Content: half})
	wants(t, "extended", err, "bytes of documents are not taken")
}

// TestHostileNames: names that some program writes elsewhere, or takes for another's.
func TestHostileNames(t *testing.T) {
	s := newSealer(t)
	for name, want := range map[string]string{
		"":                        "has no Name",
		"../a":                    "without . and ..",
		"a/../../b":               "without . and ..",
		"/etc/passwd":             "a relative path",
		`a\b`:                     "a relative path",
		"C:a":                     "a relative path",
		"a/":                      "a relative path",
		"a//b":                    "without . and ..",
		"./a":                     "without . and ..",
		"a\x00b":                  "control characters",
		"a\nb":                    "control characters",
		"fdp.\u202eexe":           "control characters",
		"\xff":                    "not in UTF-8",
		"a ":                      "Windows takes away",
		"a.":                      "Windows takes away",
		"mimetype":                "keeps for itself",
		"MIMETYPE":                "keeps for itself",
		"META-INF/signatures.xml": "keeps for itself",
		"meta-inf/x":              "keeps for itself",
		strings.Repeat("a", 256):  "at most 255",
	} {
		for _, packaging := range []seal.Packaging{seal.ASiCS, seal.ASiCE, seal.Detached} {
			_, err := s.seal(t.Context(), seal.FormatXAdES, packaging, seal.LevelB,
				seal.Document{Name: name, Content: []byte("a")})
			wants(t, fmt.Sprintf("%q %s", name, packaging), err, want)
		}
	}
	for other, want := range map[string]string{"umowa.txt": "is the same as", "UMOWA.TXT": "is the same as",
		"umowa.txt ": "Windows takes away"} {
		_, err := s.seal(t.Context(), seal.FormatCAdES, seal.ASiCE, seal.LevelB, seal.Document{Name: "umowa.txt"},
			seal.Document{Name: other})
		wants(t, fmt.Sprintf("%q beside umowa.txt", other), err, want)
	}
}

// TestContainersThatReadersSeeDifferently are not sealed further, nor extended.
func TestContainersThatReadersSeeDifferently(t *testing.T) {
	s := newSealer(t)
	sealed, err := s.seal(t.Context(), seal.FormatCAdES, seal.ASiCE, seal.LevelB,
		seal.Document{Name: "a.txt", Content: []byte("a")})
	if err != nil {
		t.Fatal(err)
	}
	for name, more := range map[string]string{"twice": "a.txt", "in another case": "A.TXT",
		"out of the container": "../b.txt", "a control character": "b\x01"} {
		hostile := addEntry(t, sealed, more)
		_, err := s.extend(t.Context(), hostile, seal.LevelT)
		wants(t, name, err, "read differently by different programs")
		_, err = s.seal(t.Context(), seal.FormatCAdES, seal.ASiCE, seal.LevelB,
			seal.Document{Name: "c.asice", Content: hostile})
		wants(t, name+", sealed", err, "read differently by different programs")
	}
	plain, err := asic.Write(asic.Extended, []asic.File{{Name: "a.txt", Content: []byte("a")}})
	if err != nil {
		t.Fatal(err)
	}
	_, err = s.extend(t.Context(), plain, seal.LevelT)
	wants(t, "without a seal", err, seal.ErrAlready.Error())
}

// addEntry copies a container and puts one more file into it.
func addEntry(t *testing.T, container []byte, name string) []byte {
	t.Helper()
	r, err := zip.NewReader(bytes.NewReader(container), int64(len(container)))
	if err != nil {
		t.Fatal(err)
	}
	var out bytes.Buffer
	w := zip.NewWriter(&out)
	for _, f := range r.File {
		if err := w.Copy(f); err != nil {
			t.Fatal(err)
		}
	}
	f, err := w.Create(name)
	if err == nil {
		_, err = f.Write([]byte("b"))
	}
	if err == nil {
		err = w.Close()
	}
	if err != nil {
		t.Fatal(err)
	}
	return out.Bytes()
}

// TestBrokenSealsAreNotExtended: a time-stamp over a document that was changed would make the change look as old as
// the seal.
func TestBrokenSealsAreNotExtended(t *testing.T) {
	s := newSealer(t)
	text := seal.Document{Name: "a.txt", Content: []byte("zapłacić 100 zł")}
	other := seal.Document{Name: "a.txt", Content: []byte("zapłacić 900 zł")}
	swap := func(sealed []byte) []byte {
		for _, encode := range []func([]byte) string{func(b []byte) string { return string(b) },
			base64.StdEncoding.EncodeToString, base64.RawURLEncoding.EncodeToString} {
			sealed = bytes.Replace(sealed, []byte(encode(text.Content)), []byte(encode(other.Content)), 1)
		}
		return sealed
	}
	for _, f := range []struct {
		format    seal.Format
		packaging seal.Packaging
	}{{seal.FormatXAdES, seal.Enveloping}, {seal.FormatXAdES, seal.Detached}, {seal.FormatCAdES,
		seal.Enveloping}, {seal.FormatCAdES, seal.Detached},
		{seal.FormatJAdES, seal.Detached}, {seal.FormatJAdES, seal.Enveloping}} {
		sealed, err := s.seal(t.Context(), f.format, f.packaging, seal.LevelB, text)
		if err != nil {
			t.Fatal(err)
		}
		_, err = s.extend(t.Context(), swap(sealed), seal.LevelT, other)
		wants(t, fmt.Sprint(f.format, f.packaging), err, "a broken seal is not extended")
	}
	document := pdfDocument()
	sealed, err := s.seal(t.Context(), seal.FormatPAdES, "", seal.LevelB, seal.Document{Content: document})
	if err != nil {
		t.Fatal(err)
	}
	_, err = s.extend(t.Context(), bytes.Replace(sealed, []byte("[0 0 200 200]"), []byte("[0 0 900 900]"), 1),
		seal.LevelT)
	wants(t, "PDF", err, "a broken seal is not extended")
	for _, format := range []seal.Format{seal.FormatXAdES, seal.FormatCAdES} {
		sealed, err = s.seal(t.Context(), format, seal.ASiCE, seal.LevelB, text)
		if err != nil {
			t.Fatal(err)
		}
		_, err = s.extend(t.Context(), repack(t, sealed, "a.txt", other.Content), seal.LevelT)
		wants(t, string(format)+" ASiC-E", err, "a broken seal is not extended")
	}
}

// TestForgedValuesAreNotExtended: digests that match are no signature.
func TestForgedValuesAreNotExtended(t *testing.T) {
	s := newSealer(t)
	text := seal.Document{Content: []byte("a")}
	for _, f := range []struct {
		format    seal.Format
		packaging seal.Packaging
		document  seal.Document
		value     func([]byte) int // where an octet of the value lies
	}{
		{seal.FormatXAdES, seal.Enveloping, text, func(b []byte) int {
			return bytes.Index(b,
				[]byte("</ds:SignatureValue>")) - 10
		}},
		{seal.FormatCAdES, seal.Enveloping, text, func(b []byte) int { return len(b) - 1 }},
		{seal.FormatPAdES, seal.Enveloped, seal.Document{Content: pdfDocument()}, func(b []byte) int {
			hole := bytes.LastIndex(b, []byte("/Contents <"))
			return hole + len(bytes.TrimRight(b[hole:hole+bytes.IndexByte(b[hole:], '>')], "0")) - 8
		}},
	} {
		sealed, err := s.seal(t.Context(), f.format, f.packaging, seal.LevelB, f.document)
		if err != nil {
			t.Fatal(err)
		}
		at := f.value(sealed)
		if f.format == seal.FormatCAdES {
			sealed[at] ^= 1
		} else if sealed[at] == '1' {
			sealed[at] = '2'
		} else {
			sealed[at] = '1'
		}
		_, err = s.extend(t.Context(), sealed, seal.LevelT)
		wants(t, string(f.format), err, "the signature value does not verify")
	}
}

// repack writes a container anew with another content of a file.
func repack(t *testing.T, container []byte, name string, content []byte) []byte {
	t.Helper()
	r, err := zip.NewReader(bytes.NewReader(container), int64(len(container)))
	if err != nil {
		t.Fatal(err)
	}
	var files []asic.File
	for _, f := range r.File[1:] {
		in, err := f.Open()
		if err != nil {
			t.Fatal(err)
		}
		var b bytes.Buffer
		if _, err := b.ReadFrom(in); err != nil {
			t.Fatal(err)
		}
		files = append(files, asic.File{Name: f.Name, Content: b.Bytes()})
		if f.Name == name {
			files[len(files)-1].Content = content
		}
	}
	out, err := asic.Write(asic.Extended, files)
	if err != nil {
		t.Fatal(err)
	}
	return out
}

// TestPDFsOfManyShapes: as qpdf writes them: with streams of cross references, for the web, both kinds of references,
// encrypted.
func TestPDFsOfManyShapes(t *testing.T) {
	if _, err := exec.LookPath("qpdf"); err != nil {
		t.Skip("qpdf is not installed (deploy/install.sh)")
	}
	s, dir := newSealer(t), t.TempDir()
	plain := filepath.Join(dir, "plain.pdf")
	if err := os.WriteFile(plain, pdfDocument(), 0o600); err != nil {
		t.Fatal(err)
	}
	for name, args := range map[string][]string{
		"streams":    {"--object-streams=generate"},
		"linearised": {"--linearize"},
		"both":       {"--linearize", "--object-streams=generate"},
		"encrypted":  {"--encrypt", "", "owner", "256", "--"},
	} {
		file := filepath.Join(dir, name+".pdf")
		run(t, "qpdf", append(args, plain, file)...)
		document, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		sealed, err := s.seal(t.Context(), seal.FormatPAdES, "", seal.LevelLTA, seal.Document{Content: document})
		if name == "encrypted" {
			wants(t, name, err, "the document is encrypted")
			continue
		}
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		out := filepath.Join(dir, name+"-sealed.pdf")
		if err := os.WriteFile(out, sealed, 0o600); err != nil {
			t.Fatal(err)
		}
		if report := run(t, "qpdf", "--check", out); strings.Contains(report, "WARNING") {
			t.Errorf("%s: qpdf says\n%s", name, report)
		}
		if report := run(t, "pdfsig", "-nocert", out); !strings.Contains(report, "Signature is Valid") {
			t.Errorf("%s: pdfsig says\n%s", name, report)
		}
	}
}

// certified is a PDF that a certification allows changes of level p in.
func (s *sealer) certified(t *testing.T, p int) []byte {
	t.Helper()
	prepared, err := pdf.Prepare(pdfDocument(), pdf.SignOptions{SubFilter: pdf.SubFilterCAdES, ContentsSize: 4096,
		Time: time.Now(), Certify: p})
	if err != nil {
		t.Fatal(err)
	}
	document, err := prepared.Finish([]byte{0x30, 0})
	if err != nil {
		t.Fatal(err)
	}
	return document
}

// TestCertificationsThatForbid: where a signature forbids further ones, none is made.
func TestCertificationsThatForbid(t *testing.T) {
	s := newSealer(t)
	_, err := s.seal(t.Context(), seal.FormatPAdES, "", seal.LevelB, seal.Document{Content: s.certified(t, 1)})
	wants(t, "P 1", err, "allows no changes (DocMDP, P 1)")
	strange := bytes.Replace(s.certified(t, 1), []byte("/P 1"), []byte("/P 7"), 1)
	_, err = s.seal(t.Context(), seal.FormatPAdES, "", seal.LevelB, seal.Document{Content: strange})
	wants(t, "P 7", err, "allows no changes (DocMDP, P 7)")
	for _, p := range []int{2, 3} {
		if _, err := s.seal(t.Context(), seal.FormatPAdES, "", seal.LevelB,
			seal.Document{Content: s.certified(t, p)}); err != nil {
			t.Errorf("P %d: %v", p, err)
		}
	}
	locked := bytes.Replace(s.certified(t, 2), []byte("/T (Signature1)"), []byte("/Lock<</P 1>>/T(S)"), 1)
	if bytes.Contains(locked, []byte("/Lock")) {
		_, err = s.seal(t.Context(), seal.FormatPAdES, "", seal.LevelB, seal.Document{Content: locked})
		wants(t, "lock", err, "the lock of the signed field")
	} else {
		t.Error("the field could not be locked")
	}
}

// TestSealsThatCantBeKept: JSON of which something would be lost, XML that is none of ours.
func TestSealsThatCantBeKept(t *testing.T) {
	s := newSealer(t)
	sealed, err := s.seal(t.Context(), seal.FormatJAdES, seal.Enveloping, seal.LevelT,
		seal.Document{Content: []byte("a")})
	if err != nil {
		t.Fatal(err)
	}
	for want, broken := range map[string][]byte{
		"clear elements":      bytes.Replace(sealed, []byte(`"etsiU":[`), []byte(`"etsiU":[{"sigTst":{}},`), 1),
		"no signature covers": bytes.Replace(sealed, []byte(`{"payload"`), []byte(`{"note":"x","payload"`), 1),
		"can't be kept":       bytes.Replace(sealed, []byte(`"header":{`), []byte(`"header":{"kid":"x",`), 1),
		"no JSON":             []byte("{}"),
	} {
		_, err := s.extend(t.Context(), broken, seal.LevelLT)
		wants(t, want, err, want)
	}
	for want, document := range map[string]string{
		"there is no signature":  "<a/>",
		"xades:QualifyingProper": `<a><Signature xmlns="http://www.w3.org/2000/09/xmldsig#"/></a>`,
	} {
		_, err := s.extend(t.Context(), []byte(document), seal.LevelLT)
		if want == "there is no signature" {
			wants(t, want, err, want)
		} else if err == nil {
			t.Errorf("%s is extended", document)
		}
	}
}
