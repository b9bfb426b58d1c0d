package pdf

import (
	"bytes"
	"crypto"
	_ "crypto/sha256"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"
)

// mint writes a document of one page with a classic cross-reference table.
func mint() []byte {
	var b bytes.Buffer
	var offsets []int
	object := func(format string, args ...any) {
		offsets = append(offsets, b.Len())
		fmt.Fprintf(&b, "%d 0 obj\n", len(offsets))
		fmt.Fprintf(&b, format, args...)
		b.WriteString("\nendobj\n")
	}
	b.WriteString("%PDF-1.7\n%\xe2\xe3\xcf\xd3\n")
	content := "BT /F1 24 Tf 72 720 Td (Urz\\304\\205d Miasta Przyk\\305\\202adowo) Tj ET"
	object("<</Type /Catalog /Pages 2 0 R>>")
	object("<</Type /Pages /Kids [3 0 R] /Count 1>>")
	object("<</Type /Page /Parent 2 0 R /MediaBox [0 0 595.276 841.89] /Contents 4 0 R /Resources <</Font <</F1 5 0 R>>>>>>")
	object("<</Length %d>>\nstream\n%s\nendstream", len(content), content)
	object("<</Type /Font /Subtype /Type1 /BaseFont /Helvetica>>")
	object("<</Title (Decyzja) /Producer (test)>>")
	xref := b.Len()
	fmt.Fprintf(&b, "xref\n0 %d\n0000000000 65535 f\r\n", len(offsets)+1)
	for _, o := range offsets {
		fmt.Fprintf(&b, "%010d 00000 n\r\n", o)
	}
	fmt.Fprintf(&b, "trailer\n<</Size %d /Root 1 0 R /Info 6 0 R>>\nstartxref\n%d\n%%%%EOF\n", len(offsets)+1, xref)
	return b.Bytes()
}

// run executes a counterpart program and returns what it prints; the test is skipped where it is missing.
func run(t testing.TB, allowed int, name string, args ...string) string {
	t.Helper()
	if _, err := exec.LookPath(name); err != nil {
		t.Skipf("%s is not installed", name)
	}
	cmd := exec.Command(name, args...)
	out, err := cmd.CombinedOutput()
	if err != nil && cmd.ProcessState.ExitCode() > allowed {
		t.Fatalf("%s %v: %v\n%s", name, args, err, out)
	}
	return string(out)
}

func write(t testing.TB, path string, data []byte) {
	t.Helper()
	if err := os.WriteFile(path, data, 0o600); err != nil {
		t.Fatal(err)
	}
}

func read(t testing.TB, path string) []byte {
	t.Helper()
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return data
}

// variant has qpdf rewrite the minted document.
func variant(t testing.TB, args ...string) []byte {
	t.Helper()
	dir := t.TempDir()
	in, out := filepath.Join(dir, "in.pdf"), filepath.Join(dir, "out.pdf")
	write(t, in, mint())
	run(t, 0, "qpdf", append(args, in, out)...)
	return read(t, out)
}

// signer is a key and certificate that openssl made.
type signer struct{ key, cert string }

func newSigner(t testing.TB) signer {
	t.Helper()
	dir := t.TempDir()
	s := signer{filepath.Join(dir, "key.pem"), filepath.Join(dir, "cert.pem")}
	run(t, 0, "openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "30",
		"-subj", "/CN=officer-1", "-keyout", s.key, "-out", s.cert)
	return s
}

// sign signs a document with openssl cms.
func (s signer) sign(t testing.TB, document []byte, opts SignOptions) []byte {
	t.Helper()
	p, err := Prepare(document, opts)
	if err != nil {
		t.Fatal(err)
	}
	r := p.ByteRange()
	covered := append(bytes.Clone(p.document[:r[1]]), p.document[r[2]:r[2]+r[3]]...)
	dir := t.TempDir()
	in, out := filepath.Join(dir, "in"), filepath.Join(dir, "out")
	write(t, in, covered)
	run(t, 0, "openssl", "cms", "-sign", "-binary", "-in", in, "-signer", s.cert, "-inkey", s.key, "-md", "sha256",
		"-outform", "DER", "-out", out, "-cades")
	digest, err := p.Digest(crypto.SHA256)
	if err != nil {
		t.Fatal(err)
	}
	h := crypto.SHA256.New()
	h.Write(covered)
	if !bytes.Equal(digest, h.Sum(nil)) {
		t.Fatal("Digest is not that of the covered bytes")
	}
	signed, err := p.Finish(read(t, out))
	if err != nil {
		t.Fatal(err)
	}
	return signed
}

func approval() SignOptions {
	return SignOptions{SubFilter: SubFilterCAdES, ContentsSize: 4096, Reason: "Zatwierdzam (ż)", Time: time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)}
}
