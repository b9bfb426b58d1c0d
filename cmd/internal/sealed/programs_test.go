package sealed

import (
	"archive/zip"
	"bytes"
	"cmp"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"trustcore/hsm/seal"
)

// run runs a program in a folder and returns what it says; the test is skipped where it is not installed.
func run(t *testing.T, dir, name string, args ...string) string {
	t.Helper()
	if _, err := exec.LookPath(name); err != nil {
		t.Skipf("%s is not installed (deploy/install.sh)", name)
	}
	command := exec.CommandContext(t.Context(), name, args...)
	command.Dir = dir
	out, err := command.CombinedOutput()
	if err != nil {
		t.Errorf("%s %s: %v\n%s", name, strings.Join(args, " "), err, out)
	}
	return string(out)
}

func write(t *testing.T, dir, name string, content []byte) string {
	t.Helper()
	if err := os.WriteFile(filepath.Join(dir, name), content, 0o600); err != nil {
		t.Fatal(err)
	}
	return name
}

// among is the form of a format and packaging.
func among(t *testing.T, format seal.Format, packaging seal.Packaging) form {
	t.Helper()
	for _, f := range forms() {
		if f.format == format && f.packaging == packaging {
			return f
		}
	}
	t.Fatalf("no form %s %s", format, packaging)
	return form{}
}

// TestOpenSSLTakesCAdES: openssl looks at the signature, at the certificate that it names, and builds the chain.
func TestOpenSSLTakesCAdES(t *testing.T) {
	h, dir := newHouse(t), t.TempDir()
	for _, level := range levels {
		f := among(t, seal.FormatCAdES, seal.Enveloping)
		attached := write(t, dir, "attached.p7m", h.seal(t, f, level))
		run(t, dir, "openssl", "cms", "-verify", "-cades", "-binary", "-inform", "DER", "-in", attached, "-CAfile",
			h.anchor, "-purpose", "any",
			"-out", "content")
		if got, err := os.ReadFile(filepath.Join(dir, "content")); err != nil ||
			!bytes.Equal(got, f.documents[0].Content) {
			t.Errorf("%s: openssl gives %q, %v", level, got, err)
		}
		f = among(t, seal.FormatCAdES, seal.Detached)
		detached, content := write(t, dir, "detached.p7s", h.seal(t, f, level)), write(t, dir, "pismo.txt",
			f.documents[0].Content)
		args := []string{"cms", "-verify", "-cades", "-binary", "-inform", "DER", "-in", detached, "-content", content,
			"-CAfile", h.anchor,
			"-purpose", "any", "-out", os.DevNull}
		run(t, dir, "openssl", args...)
		write(t, dir, "pismo.txt", []byte("inne"))
		if out, err := exec.CommandContext(t.Context(), "openssl", args...).CombinedOutput(); err == nil {
			t.Errorf("%s: openssl takes another content: %s", level, out)
		}
	}
}

// TestXMLSec1TakesXAdES: xmlsec1 looks at the digests and the signature value.
func TestXMLSec1TakesXAdES(t *testing.T) {
	h, dir := newHouse(t), t.TempDir()
	for _, packaging := range []seal.Packaging{seal.Enveloped, seal.Enveloping, seal.Detached} {
		f := among(t, seal.FormatXAdES, packaging)
		if packaging == seal.Detached {
			f.documents = f.documents[:1]
			write(t, dir, f.documents[0].Name, f.documents[0].Content)
		}
		for _, level := range levels {
			run(t, dir, "xmlsec1", "--verify", "--trusted-pem", h.anchor, "--id-attr:Id",
				"http://uri.etsi.org/01903/v1.3.2#:SignedProperties",
				"--id-attr:Id", "http://www.w3.org/2000/09/xmldsig#:Object", write(t, dir, "sealed.xml",
					h.seal(t, f, level)))
		}
	}
}

// TestPopplerAndQPDFTakePAdES: poppler looks at the signature, qpdf at the file.
func TestPopplerAndQPDFTakePAdES(t *testing.T) {
	h, dir := newHouse(t), t.TempDir()
	f := among(t, seal.FormatPAdES, seal.Enveloped)
	for _, level := range levels {
		sealed := h.seal(t, f, level)
		file := write(t, dir, "sealed.pdf", sealed)
		if !bytes.HasPrefix(sealed, pdfDocument()) {
			t.Errorf("%s: the document's own bytes changed", level)
		}
		if report := run(t, dir, "pdfsig", "-nocert", file); !strings.Contains(report, "Signature is Valid") {
			t.Errorf("%s: pdfsig says\n%s", level, report)
		}
		if report := run(t, dir, "qpdf", "--check", file); !strings.Contains(report,
			"No syntax or stream encoding errors") {
			t.Errorf("%s: qpdf says\n%s", level, report)
		}
		if most := map[seal.Level]int{seal.LevelB: 12 << 10, seal.LevelT: 28 << 10, seal.LevelLT: 36 << 10,
			seal.LevelLTA: 52 << 10}[level]; len(sealed) > most {
			t.Errorf("%s: the sealed document has %d bytes, more than %d", level, len(sealed), most)
		}
	}
}

// TestContainersAreAsProgramsLookForThem: the mimetype lies at the place where file(1) and others look without
// reading ZIP.
func TestContainersAreAsProgramsLookForThem(t *testing.T) {
	h := newHouse(t)
	for _, f := range forms() {
		if f.packaging != seal.ASiCS && f.packaging != seal.ASiCE {
			continue
		}
		sealed := h.seal(t, f, seal.LevelB)
		want := "mimetypeapplication/vnd.etsi.asic-" + map[seal.Packaging]string{seal.ASiCS: "s",
			seal.ASiCE: "e"}[f.packaging] + "+zip"
		if !bytes.HasPrefix(sealed[30:], []byte(want)) {
			t.Errorf("%s: %q at the place of the mimetype", f, sealed[30:30+len(want)])
		}
		r, err := zip.NewReader(bytes.NewReader(sealed), int64(len(sealed)))
		if err != nil {
			t.Fatal(err)
		}
		if first := r.File[0]; first.Method != zip.Store || len(first.Extra) > 0 || first.Flags != 0 {
			t.Errorf("%s: mimetype has method %d, extra %x, flags %x", f, first.Method, first.Extra, first.Flags)
		}
	}
}

// TestPyHankoTakesLongTermPAdES has pyHanko do long-term validation with what lies in the documents.
func TestPyHankoTakesLongTermPAdES(t *testing.T) {
	if os.Getenv("TRUSTCORE_CORPUS") == "" {
		t.Skip("a conformance run has TRUSTCORE_CORPUS")
	}
	python := cmp.Or(os.Getenv("TRUSTCORE_PYHANKO"), "python3")
	if err := exec.CommandContext(t.Context(), python, "-c", "import pyhanko").Run(); err != nil {
		t.Skip("pyHanko is not installed: TRUSTCORE_PYHANKO names a python that has it (pip install pyhanko)")
	}
	h, dir := newHouse(t), t.TempDir()
	script, err := filepath.Abs(filepath.Join("testdata", "pyhanko_ltv.py"))
	if err != nil {
		t.Fatal(err)
	}
	f := among(t, seal.FormatPAdES, seal.Enveloped)
	for level, name := range map[seal.Level]string{seal.LevelLT: "LT", seal.LevelLTA: "LTA"} {
		sealed := h.seal(t, f, level)
		files := []string{write(t, dir, name+".pdf", sealed)}
		if level == seal.LevelLTA {
			renewed, err := seal.Extend(t.Context(), sealed, nil, h.options(form{}, level))
			if err != nil {
				t.Fatal(err)
			}
			files = append(files, write(t, dir, "renewed.pdf", renewed))
		}
		if out := run(t, dir, python, append([]string{script, h.anchor}, files...)...); strings.Count(out,
			" PASSED ") < len(files) {
			t.Errorf("%s: pyHanko says\n%s", level, out)
		}
	}
}
