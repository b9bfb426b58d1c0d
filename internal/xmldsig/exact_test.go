package xmldsig

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// slowly writes a canonical form node by node, nothing of it from the source as it stands.
func slowly(t testing.TB, s NodeSet, m Canonicalization) ([]byte, error) {
	t.Helper()
	var b sliceWriter
	c := newCanonicalizer(s, m, &b)
	c.exact = 0
	err := c.run()
	if e := c.out.flush(); err == nil {
		err = e
	}
	return b, err
}

var allForms = []Canonicalization{
	{}, {Comments: true}, {Form: Inclusive11}, {Form: Exclusive}, {Form: Exclusive, Comments: true},
	{Form: Exclusive, Prefixes: []string{"p", "#default"}},
}

// sameSlowly holds every element's canonical forms against those that are written node by node, some with a part cut
// out.
func sameSlowly(t testing.TB, d *Document) {
	t.Helper()
	for i := range d.nodes {
		if d.nodes[i].kind != ElementNode {
			continue
		}
		n := Node{d, int32(i)}
		set := Subtree(n)
		if i%3 == 0 {
			set = set.WithoutComments()
		}
		if size := int32(n.Size()); i%5 == 0 && size > 2 {
			set = set.Without(Node{d, int32(i) + 1 + int32(i)%(size-1)})
		}
		for _, m := range allForms {
			var got sliceWriter
			err := set.Canonical(&got, m)
			want, slow := slowly(t, set, m)
			if (err == nil) != (slow == nil) || err == nil && !bytes.Equal(got, want) {
				t.Fatalf("%+v of <%s> at %d:\n got %s, %v\nwant %s, %v\n for %s",
					m, n.Name(), n.Order(), got, err, want, slow, d.src[:min(len(d.src), 4096)])
			}
		}
	}
}

// exactly makes documents in canonical form, but for a slip now and then.
type exactly struct {
	*rand.Rand
	slips int // one in so many choices is one
}

func (m exactly) slip() bool { return m.IntN(m.slips) == 0 }

func (m exactly) pick(from ...string) string { return from[m.IntN(len(from))] }

func (m exactly) document() string {
	return `<r xmlns="urn:d" xmlns:p="urn:p">` + m.element(6) + m.element(6) + `</r>`
}

func (m exactly) element(depth int) string {
	name, declared, attributes := m.pick("", "p:", "q:", "p:")+"e", "", ""
	if strings.HasPrefix(name, "q:") || m.slip() {
		declared = ` xmlns:q="` + m.pick("urn:q", "urn:p", "urn:q2") + `"`
	}
	for _, slip := range []string{
		` xmlns:p="urn:q"`, ` xmlns:p="urn:p"`, ` xmlns="urn:e"`, ` xmlns=""`, ` xmlns:p="relative"`,
		` xmlns:xml="http://www.w3.org/XML/1998/namespace"`, ` xmlns:p="urn:&quot;"`,
	} {
		if m.slip() && !strings.Contains(declared, slip[:9]) {
			declared = m.pick(slip+declared, declared+slip)
		}
	}
	for _, value := range []string{
		"1", "&amp;&lt;&quot;&#x9;&#xA;&#xD;>'", "ż", "&gt;", "&#38;", "&#13;", "&#xd;", "\t", "\n", "\"", "\r\n",
	} {
		if m.slip() || value == "1" && m.IntN(2) == 0 {
			quote := `"`
			if strings.Contains(value, `"`) || m.slip() && !strings.Contains(value, "'") {
				quote = "'"
			}
			attributes += fmt.Sprintf(` a%d%s%s%s%s`, len(attributes), m.unless("=", " =", "= "), quote, value, quote)
		}
	}
	attributes += m.unless("", ` b="1" ab="2"`, ` p:a="1" c="2"`, ` xml:lang="pl"`, ` p:a="1"`)
	if m.slip() {
		declared, attributes = attributes, declared
	}
	text := "<" + name + strings.Replace(declared+attributes, " ", m.unless(" ", "  ", "\n"), 1) + m.unless("", " ") + ">"
	for range m.IntN(4) {
		child := m.pick("t", "\n", "&amp;&lt;&gt;&#xD;]", "")
		if child == "" && depth > 0 {
			child = m.element(depth - 1)
		}
		text += m.unless(child, "<!--c-->", "<?pi x ?>", "<![CDATA[x]]>", "<![CDATA[]]>", "x>y", "\r\n",
			"&#13;", "&#xd;", "&apos;", "&#38;", "&#60;x&gt;", "<p:e/>")
	}
	return text + "</" + name + m.unless("", " ") + ">"
}

func (m exactly) unless(good string, slips ...string) string {
	if m.slip() {
		return m.pick(slips...)
	}
	return good
}

// TestExact: what is taken from the source is what would be written node by node.
func TestExact(t *testing.T) {
	m := exactly{rand.New(rand.NewPCG(5, 6)), 60}
	read, copied := 0, 0
	for read < 4000 {
		text := m.document()
		d, err := Parse([]byte(text), Limits{})
		if err != nil {
			continue // a prefix that is not declared
		}
		read++
		sameSlowly(t, d)
		if d.nodes[1].flags&exactForms == exactForms {
			copied++
		}
	}
	if copied < read/20 {
		t.Errorf("%d of %d documents are canonical", copied, read)
	}
}

// TestExactOfThree: elements within one another, with each prefix for each namespace declared and made use of or not.
func TestExactOfThree(t *testing.T) {
	kinds := []string{"e", "p:e", `e xmlns="urn:a"`, `e xmlns=""`, `e xmlns:p="urn:a"`, `p:e xmlns:p="urn:a"`,
		`e xmlns:p="urn:b"`, `p:e xmlns:p="urn:b"`}
	for n := range len(kinds) * len(kinds) * len(kinds) * len(kinds) {
		text, end := `<r xmlns="urn:b" xmlns:p="urn:b">`, "</r>"
		for range 4 {
			name, _, _ := strings.Cut(kinds[n%len(kinds)], " ")
			text, end = text+"<"+kinds[n%len(kinds)]+">", "</"+name+">"+end
			n /= len(kinds)
		}
		sameSlowly(t, mustParse(t, text+end))
	}
}

// TestExactInDeepScope: declarations beyond those that are kept account of.
func TestExactInDeepScope(t *testing.T) {
	var open, end string
	for n := range 2*maxPlaces + 8 {
		open, end = open+fmt.Sprintf(`<p%d:e xmlns:p%[1]d="urn:%[1]d">`, n), fmt.Sprintf(`</p%d:e>`, n)+end
	}
	d := mustParse(t, open+`<p1:x><p70:y></p70:y></p1:x><p1:x><p6:y></p6:y></p1:x><p71:x><p71:y></p71:y></p71:x>`+end)
	sameSlowly(t, d)
}

// TestExactOfLongTags: a start tag whose length is not kept.
func TestExactOfLongTags(t *testing.T) {
	for _, n := range []int{1<<16 - 20, 1<<16 - 9, 1<<16 - 8, 1<<16 - 7, 1 << 16, 1 << 17} {
		sameSlowly(t, mustParse(t, `<r><a b="`+strings.Repeat("x", n)+`"><c>1</c></a></r>`))
	}
}

// TestExactSamples is TestExact with the public samples.
func TestExactSamples(t *testing.T) {
	corpus := os.Getenv("TRUSTCORE_CORPUS")
	if corpus == "" {
		t.Skip("TRUSTCORE_CORPUS names no folder of public samples")
	}
	names, err := filepath.Glob(filepath.Join(corpus, "signatures", "files", "*", "*.xml"))
	if err != nil {
		t.Fatal(err)
	}
	read := 0
	for _, name := range names {
		data := readSample(t, name)
		if d, err := Parse(data, Limits{}); err == nil && len(data) < 1<<17 {
			sameSlowly(t, d)
			read++
		}
	}
	if read < 90 {
		t.Errorf("%d samples", read)
	}
}

// FuzzExact is TestExact with anything.
func FuzzExact(f *testing.F) {
	m := exactly{rand.New(rand.NewPCG(9, 10)), 20}
	for range 8 {
		f.Add([]byte(m.document()))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		if d, err := Parse(data, Limits{Size: 4 << 10, Nodes: 100}); err == nil {
			sameSlowly(t, d)
		}
	})
}
