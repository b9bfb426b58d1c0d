package pdf

import (
	"bytes"
	"fmt"
	"strings"
	"testing"
)

func mustOpen(t testing.TB, data []byte) *Document {
	t.Helper()
	d, err := Open(data)
	if err != nil {
		t.Fatal(err)
	}
	return d
}

func TestOpenFlavours(t *testing.T) {
	hybridFile := hybrid()
	cases := []struct {
		name    string
		data    []byte
		rebuilt bool
	}{
		{"table", mint(), false},
		{"carriage return, line feed missing", bytes.ReplaceAll(mint(), []byte("\r\n"), []byte(" \n")), false},
		{"xref stream and object streams", variant(t, "--object-streams=generate"), false},
		{"xref stream with predictor", variant(t, "--object-streams=generate", "--compress-streams=y"), false},
		{"linearised", variant(t, "--linearize"), false},
		{"linearised, streams", variant(t, "--linearize", "--object-streams=generate"), false},
		{"hybrid", hybridFile, false},
		{"bytes before the header", append([]byte("\n\njunk "), mint()...), false},
		{"bytes behind the end", append(mint(), "\n<!-- proxy -->\n"...), false},
		{"startxref wrong", bytes.Replace(mint(), []byte("startxref\n"), []byte("startxref\n1"), 1), true},
		{"cut", mint()[:len(mint())-120], true},
		{"object streams, cut", cut(variant(t, "--object-streams=generate"), 60), true},
		{"RC4 40", variant(t, "--allow-weak-crypto", "--encrypt", "", "x", "40", "--"), false},
		{"RC4 128", variant(t, "--allow-weak-crypto", "--encrypt", "", "x", "128", "--use-aes=n", "--"), false},
		{"AES 128", variant(t, "--allow-weak-crypto", "--encrypt", "", "x", "128", "--use-aes=y", "--"), false},
		{"AES 256", variant(t, "--encrypt", "", "x", "256", "--"), false},
		{"AES 256, revision 5", variant(t, "--allow-weak-crypto", "--encrypt", "", "x", "256", "--force-R5", "--"), false},
		{"AES 256, object streams", variant(t, "--object-streams=generate", "--encrypt", "", "x", "256", "--"), false},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			d := mustOpen(t, c.data)
			if d.Rebuilt() != c.rebuilt {
				t.Errorf("rebuilt: %v (%v)", d.Rebuilt(), d.Problems())
			}
			if n := d.PageCount(); n != 1 {
				t.Errorf("%d pages", n)
			}
			if title := d.Text(d.Dict(d.trailer["Info"])["Title"]); title != "Decyzja" && !c.rebuilt {
				t.Errorf("title %q", title)
			}
			pages := d.Array(d.Dict(d.Catalog()["Pages"])["Kids"])
			content, ok := d.Resolve(d.Dict(pages[0])["Contents"]).(*Stream)
			if !ok {
				t.Fatal("no content stream")
			}
			if data, err := d.Decode(content); err != nil || !bytes.Contains(data, []byte("Miasta")) {
				t.Errorf("content %q, %v", data, err)
			}
			if n := len(d.Revisions()); n != 1 {
				t.Errorf("%d revisions", n)
			}
		})
	}
}

func cut(data []byte, n int) []byte { return data[:len(data)-n] }

// hybrid hides the page's font and title in an object stream that only XRefStm names.
func hybrid() []byte {
	b := mint()
	xref := bytes.LastIndex(b, []byte("xref\n0 "))
	table := bytes.Clone(b[xref:])
	title := []byte("<</Title (Decyzja) /Producer (test)>>")
	out := bytes.Clone(b[:xref])
	stream := len(out)
	content := append([]byte("6 0 "), title...)
	out = fmt.Appendf(out, "7 0 obj\n<</Type /ObjStm /N 1 /First 4 /Length %d>>\nstream\n%s\nendstream\nendobj\n", len(content), content)
	xrefStream := len(out)
	rows := []byte{2, 0, 0, 7, 0, 1, byte(stream >> 16), byte(stream >> 8), byte(stream), 0}
	out = fmt.Appendf(out, "8 0 obj\n<</Type /XRef /W [1 3 1] /Index [6 2] /Size 9 /Length %d>>\nstream\n%s\nendstream\nendobj\n", len(rows), rows)
	at := len(out)
	lines := strings.Split(string(table), "\r\n")
	lines[6] = "0000000000 00000 f" // object 6 is hidden from old readers
	rest := strings.Join(lines, "\r\n")
	rest = strings.Replace(rest, "/Size 7", fmt.Sprintf("/Size 9 /XRefStm %d", xrefStream), 1)
	i := strings.Index(rest, "startxref")
	return fmt.Appendf(out, "%sstartxref\n%d\n%%%%EOF\n", rest[:i], at)
}

func TestOpenRefuses(t *testing.T) {
	for name, data := range map[string][]byte{
		"empty": nil, "text": []byte("Decyzja"), "header only": []byte("%PDF-1.7\n"),
		"no catalog": bytes.ReplaceAll(bytes.ReplaceAll(mint(), []byte("/Catalog"), []byte("/Katalog")), []byte("/Root 1"), []byte("/Root 9")),
	} {
		if _, err := Open(data); err == nil {
			t.Errorf("%s: accepted", name)
		}
	}
}

// Files that make careless readers loop, recurse or allocate without end.
func TestHostile(t *testing.T) {
	const size = 1 << 20
	head := "%PDF-1.7\n"
	catalog := "1 0 obj\n<</Type /Catalog /AcroForm <</Fields [2 0 R]>>>>\nendobj\n"
	cases := map[string]string{
		"arrays":             head + "1 0 obj\n" + strings.Repeat("[", size),
		"dictionaries":       head + "1 0 obj\n" + strings.Repeat("<</A", size/4),
		"open strings":       head + strings.Repeat("1 0 obj (", size/9),
		"open hex":           head + strings.Repeat("1 0 obj <", size/9),
		"objects":            head + catalog + strings.Repeat("3 0 obj ", size/8),
		"streams":            head + catalog + strings.Repeat("4 0 obj <</Type /ObjStm>> stream\n", size/32),
		"trailers":           head + strings.Repeat("trailer <<", size/10),
		"comments":           head + strings.Repeat("1 0 obj %", size/9),
		"field is its kid":   head + catalog + "2 0 obj <</T (a) /FT /Sig /Kids [2 0 R 2 0 R <</T (b) /Kids [2 0 R]>>]>> endobj",
		"deep fields":        head + catalog + "2 0 obj " + strings.Repeat("<</T (a) /Kids [", 40),
		"prev circle":        strings.Replace(string(mint()), "/Root", "/Prev 9 /Root", 1),
		"self reference":     head + "1 0 obj 1 0 R endobj trailer <</Root 1 0 R>>",
		"stream is its size": head + catalog + "2 0 obj <</Length 2 0 R>> stream\nendstream",
		"huge table":         "%PDF-1.7\nxref\n0 8388607\n0000000000 65535 f\r\ntrailer <</Root 1 0 R>> startxref\n9\n%%EOF",
		"huge xref stream":   "%PDF-1.7\n1 0 obj<</Type /XRef /W [8 8 8] /Index [0 8388607 0 8388607] /Root 1 0 R>>stream\nendstream endobj startxref\n9\n%%EOF",
	}
	for name, data := range cases {
		d, err := Open([]byte(data))
		if err != nil {
			continue
		}
		if _, err := d.Fields(); err != nil {
			t.Logf("%s: %v", name, err)
		}
		d.SecurityStore()
	}
}
