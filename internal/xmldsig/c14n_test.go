package xmldsig

import (
	"bytes"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// tool returns the path of a program that a test compares with.
func tool(t testing.TB, name string) string {
	t.Helper()
	path, err := exec.LookPath(name)
	if err != nil {
		t.Skipf("%s is not installed", name)
	}
	return path
}

// minted makes documents of nested elements with every feature that canonicalisation cares about.
type minted struct{ *rand.Rand }

func (m minted) pick(from ...string) string { return from[m.IntN(len(from))] }

func (m minted) document() string {
	return "<?xml version=\"1.0\"?>\n<!-- a -->\n<?p q?><r xmlns:q0=\"urn:q0\" xmlns:ds=\"urn:ds\" xml:base=\"http://r.example/r/\">" +
		m.element(5) + m.element(5) + "</r>\n<!-- z --><?e?>"
}

func (m minted) element(depth int) string {
	prefix := m.pick("", "", "ds:", "q0:")
	text := "<" + prefix + "e"
	for _, a := range []string{
		` xml:lang="pl"`, ` xml:space="preserve"`, ` xml:base="` + m.pick("http://a.example/x/y", "foo/", "../bar", "b", "../../up") + `"`,
		` xmlns="` + m.pick("urn:a", "urn:b", "") + `"`, ` xmlns:p="` + m.pick("urn:a", "urn:b") + `"`,
		` b="1" a="&lt;&#13;'&quot;&#9;ż"`, ` q0:z="&#10;2"`, ` ds:id='"'`,
	} {
		if m.IntN(3) == 0 {
			text += a
		}
	}
	text += ">"
	for range m.IntN(5) {
		child := m.pick("t&amp;&#xD;>", "<!--c-->", "<?pi x ?>", "<![CDATA[<&>]]>", "\r\n", "zażółć", "")
		if child == "" && depth > 0 {
			child = m.element(depth - 1)
		}
		text += child
	}
	return text + "</" + prefix + "e>"
}

func TestAgainstXmllint(t *testing.T) {
	xmllint := tool(t, "xmllint")
	dir := t.TempDir()
	m := minted{rand.New(rand.NewPCG(1, 2))}
	for n := range 12 {
		text := m.document()
		file := filepath.Join(dir, "document.xml")
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		d := mustParse(t, text)
		for flag, form := range map[string]Form{"--c14n": Inclusive10, "--c14n11": Inclusive11, "--exc-c14n": Exclusive} {
			want, err := exec.Command(xmllint, flag, file).Output()
			if err != nil {
				t.Fatalf("xmllint %s: %v", flag, err)
			}
			var got bytes.Buffer
			if err := d.WholeDocument().Canonical(&got, Canonicalization{Form: form, Comments: true}); err != nil {
				t.Fatal(err)
			}
			if !bytes.Equal(got.Bytes(), want) {
				t.Errorf("document %d, %s:\n got %s\nwant %s\n for %s", n, flag, got.Bytes(), want, text)
			}
		}
	}
}

func TestCanonicalSubtree(t *testing.T) {
	const text = `<a xmlns="urn:d" xmlns:p="urn:p" xmlns:q="urn:q" xml:lang="pl" xml:id="i"><p:b q:x="1"><!--c--><c/></p:b></a>`
	b := mustParse(t, text).Root().Child("urn:p", "b")
	for want, m := range map[string]Canonicalization{
		`<p:b xmlns="urn:d" xmlns:p="urn:p" xmlns:q="urn:q" xml:id="i" xml:lang="pl" q:x="1"><c></c></p:b>`: {},
		`<p:b xmlns="urn:d" xmlns:p="urn:p" xmlns:q="urn:q" xml:lang="pl" q:x="1"><c></c></p:b>`:            {Form: Inclusive11},
		`<p:b xmlns:p="urn:p" xmlns:q="urn:q" q:x="1"><!--c--><c xmlns="urn:d"></c></p:b>`:                  {Form: Exclusive, Comments: true},
		`<p:b xmlns="urn:d" xmlns:p="urn:p" xmlns:q="urn:q" q:x="1"><c></c></p:b>`:                          {Form: Exclusive, Prefixes: []string{"#default"}},
	} {
		// the order is by namespace name, then by local name
		got, err := b.Canonical(m)
		if err != nil || string(got) != want {
			t.Errorf("%+v:\n got %s, %v\nwant %s", m, got, err, want)
		}
	}
}

// TestRedeclaredPrefix: an element must not change its namespace without changing its canonical form.
func TestRedeclaredPrefix(t *testing.T) {
	d := mustParse(t, `<r xmlns:p="urn:good"><p:a><p:b xmlns:p="urn:evil"/></p:a></r>`)
	got, err := d.Root().Child("urn:good", "a").Canonical(Canonicalization{Form: Exclusive})
	if want := `<p:a xmlns:p="urn:good"><p:b xmlns:p="urn:evil"></p:b></p:a>`; err != nil || string(got) != want {
		t.Errorf("got %s, %v", got, err)
	}
}

func TestRelativeNamespace(t *testing.T) {
	if _, err := mustParse(t, `<a xmlns="relative"/>`).Root().Canonical(Canonicalization{}); err == nil {
		t.Error("a relative namespace name was canonicalised")
	}
}

func TestWithout(t *testing.T) {
	d := mustParse(t, `<a><b>1</b><c>2<d/></c><e/></a>`)
	child := func(local string) Node { return d.Root().Child("", local) }
	var got strings.Builder
	s := d.WholeDocument().Without(child("c").Child("", "d")).Without(child("e")).Without(child("c"))
	if err := s.Canonical(&got, Canonicalization{}); err != nil || got.String() != "<a><b>1</b></a>" {
		t.Errorf("got %s, %v", got.String(), err)
	}
	if s.Covers(d.Root()) || !s.Covers(child("b")) || s.Covers(child("c")) || s.Has(child("e")) {
		t.Error("what the set covers is wrong")
	}
	if s.Whole(child("c")) || !s.Whole(child("c"), child("e")) {
		t.Error("whether the set is the whole document is wrong")
	}
}

// TestJoinBase has the examples of Canonical XML 1.1 and RFC 3986, 5.4.
func TestJoinBase(t *testing.T) {
	for _, c := range [][3]string{
		{"http://a/b/c/d;p?q", "g", "http://a/b/c/g"},
		{"http://a/b/c/d;p?q", "../g", "http://a/b/g"},
		{"http://a/b/c/d;p?q", "../../../g", "http://a/g"},
		{"http://a/b/c/d;p?q", "?y", "http://a/b/c/d;p?y"},
		{"http://a/b/c/d;p?q", "", "http://a/b/c/d;p?q"},
		{"http://a/b/c/d;p?q", "//g", "http://g"},
		{"http://a", "g", "http://a/g"},
		{"foo/", "../bar", "bar"},
		{"..", "bar", "../bar"},
		{"../x", "../../y", "../../../y"},
		{"/a/b", "c#f", "/a/c"},
	} {
		if got := joinBase(c[0], c[1]); got != c[2] {
			t.Errorf("join %q, %q = %q, want %q", c[0], c[1], got, c[2])
		}
	}
}
