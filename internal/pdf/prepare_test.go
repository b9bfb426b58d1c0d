package pdf

import (
	"bytes"
	"path/filepath"
	"strings"
	"testing"
)

// What we write is checked by programs that know nothing of us: qpdf the structure, pdfsig the signatures.
func TestPrepareWithCounterparts(t *testing.T) {
	s := newSigner(t)
	certify := approval()
	certify.Certify = 2
	cases := []struct {
		name     string
		document []byte
		opts     SignOptions
	}{
		{"table", mint(), approval()},
		{"certified", mint(), certify},
		{"xref stream", variant(t, "--object-streams=generate"), approval()},
		{"linearised", variant(t, "--linearize"), approval()},
		{"linearised with xref streams", variant(t, "--linearize", "--object-streams=generate"), approval()},
		{"bytes before the header", append([]byte("junk\n"), mint()...), approval()},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			once := s.sign(t, c.document, c.opts)
			twice := s.sign(t, once, approval())
			if !bytes.HasPrefix(twice, once) || !bytes.HasPrefix(once, c.document) {
				t.Fatal("an update changed the bytes before it")
			}
			path := filepath.Join(t.TempDir(), "signed.pdf")
			write(t, path, twice)
			if out := run(t, 0, "qpdf", "--check", path); strings.Contains(out, "WARNING") {
				t.Errorf("qpdf: %s", out)
			}
			out := run(t, 2, "pdfsig", "-nocert", path)
			if n := strings.Count(out, "Signature is Valid."); n != 2 {
				t.Errorf("pdfsig finds %d valid signatures:\n%s", n, out)
			}
		})
	}
}

func TestPrepareRefuses(t *testing.T) {
	with := func(change func(*SignOptions)) SignOptions {
		o := approval()
		change(&o)
		return o
	}
	cases := []struct {
		name     string
		document []byte
		opts     SignOptions
	}{
		{"no document", nil, approval()},
		{"no time", mint(), SignOptions{SubFilter: SubFilterCAdES, ContentsSize: 1}},
		{"no room", mint(), with(func(o *SignOptions) { o.ContentsSize = 0 })},
		{"sub-filter", mint(), with(func(o *SignOptions) { o.SubFilter = "" })},
		{"field name", mint(), with(func(o *SignOptions) { o.FieldName = "a.b" })},
		{"broken xref", bytes.Replace(mint(), []byte("startxref\n"), []byte("startxref\n9"), 1), approval()},
		{"encrypted", variant(t, "--encrypt", "", "x", "256", "--"), approval()},
	}
	for _, c := range cases {
		if _, err := Prepare(c.document, c.opts); err == nil {
			t.Errorf("%s: accepted", c.name)
		}
	}
	p, err := Prepare(mint(), with(func(o *SignOptions) { o.ContentsSize = 8 }))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := p.Finish(make([]byte, 9)); err == nil {
		t.Error("a CMS larger than the hole was accepted")
	}
}
