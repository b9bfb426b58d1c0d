package xmldsig

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"strings"
	"testing"
	"unicode/utf8"

	"golang.org/x/text/encoding/charmap"
	"golang.org/x/text/encoding/unicode"

	"trustcore/internal/budget"
)

func mustParse(t testing.TB, text string) *Document {
	t.Helper()
	d, err := Parse([]byte(text), Limits{})
	if err != nil {
		t.Fatalf("parse %.80q: %v", text, err)
	}
	return d
}

// refused are documents that must not be read, with a part of the reason.
var refused = map[string]string{
	``:                             "no document element",
	`text`:                         "outside the document element",
	`<a/>text`:                     "outside the document element",
	`<a/><b/>`:                     "more than one document element",
	`<a>`:                          "not closed",
	`<a></b>`:                      "does not match",
	`<a></a:b>`:                    "does not match",
	`<a></ab>`:                     "does not match",
	`<a b="1" b="2"/>`:             "given twice",
	`<a xmlns="u" xmlns="v"/>`:     "declared twice",
	`<a xmlns:p="u" xmlns:p="u"/>`: "declared twice",
	`<a xmlns:p="u" xmlns:q="u" p:x="" q:x=""/>`: "given twice",
	`<p:a/>`:                                "not declared",
	`<a p:b=""/>`:                           "not declared",
	`<a xmlns:p=""/>`:                       "without a namespace",
	`<a xmlns:xml="urn:other"/>`:            "belong to each other",
	`<a xmlns:p="` + NamespaceXML + `"/>`:   "belong to each other",
	`<a xmlns:xmlns="urn:x"/>`:              "xmlns is declared",
	`<a xmlns:p="` + NamespaceXMLNS + `"/>`: "xmlns is declared",
	`<xmlns:a/>`:                            "not declared",
	`<a:b:c xmlns:a="u"/>`:                  "malformed name",
	`<1a/>`:                                 "malformed name",
	`< a/>`:                                 "malformed name",
	`<a:/>`:                                 "malformed name",
	`<:a/>`:                                 "malformed name",
	`<a b=1/>`:                              "not quoted",
	`<a b/>`:                                "no value",
	`<a b="<"/>`:                            "'<' in an attribute",
	`<a b="1"c="2"/>`:                       "no space",
	`<a b="1`:                               "does not end",
	`<a / >`:                                "malformed end",
	`<a></a `:                               "malformed end tag",
	`<!DOCTYPE a><a/>`:                      "document type",
	`<!DOCTYPE a [<!ENTITY x "y">]><a>&x;</a>`: "document type",
	`<a>&x;</a>`:                   "entity &x;",
	`<a>&#0;</a>`:                  "not a character",
	`<a>&#xD800;</a>`:              "not a character",
	`<a>&#x110000;</a>`:            "not a character",
	`<a>&#99999999999;</a>`:        "not a character",
	`<a>&#;</a>`:                   "not a character",
	`<a>&amp</a>`:                  "malformed reference",
	`<a>& </a>`:                    "malformed reference",
	`<a>]]></a>`:                   "']]>'",
	`<a>&lt;]]></a>`:               "']]>'",
	"<a>\x01</a>":                  "control character",
	"<a b='\x01'/>":                "control character",
	"<a b='\r\x01'/>":              "control character",
	"<a>\r\x01</a>":                "control character",
	"<a><!--\x01--></a>":           "control character",
	"<a>\xEF\xBF\xBE</a>":          "not characters",
	"<a>\xff</a>":                  "UTF-8",
	`<a><!-- -- --></a>`:           "'--' in a comment",
	`<a><!----->`:                  "'--' in a comment",
	`<a><!-- </a>`:                 "does not end",
	`<a><![CDATA[ </a>`:            "does not end",
	`<![CDATA[x]]><a/>`:            "outside",
	`<a><?p </a>`:                  "does not end",
	`<a><?p:q ?></a>`:              "colon",
	`<a><?xml version="1.0"?></a>`: "not at the start",
	`<a><?p+?></a>`:                "no space",
	` <?xml version="1.0"?><a/>`:   "not at the start",
	`<?xml version="1.1"?><a/>`:    "version",
	`<?xml encoding="UTF-8"?><a/>`: "no version",
	`<?xml version="1.0" standalone="maybe"?><a/>`: "standalone",
	`<?xml version="1.0" bogus="1"?><a/>`:          "malformed",
	`<?xml version="1.0" encoding="EBCDIC"?><a/>`:  "not supported",
	`<a><!ELEMENT b></a>`:                          "malformed markup",
}

func TestRefused(t *testing.T) {
	for text, reason := range refused {
		_, err := Parse([]byte(text), Limits{})
		if err == nil || !strings.Contains(err.Error(), reason) {
			t.Errorf("%q: error %v, want one about %q", text, err, reason)
		}
	}
}

func TestRead(t *testing.T) {
	d := mustParse(t, "<?xml version='1.0' encoding='UTF-8' standalone='yes'?><!-- head --><?pi x?>\r\n"+
		`<p:a xmlns:p="urn:p" xmlns="urn:d" xml:lang="pl" p:x="1" x=" a&#10;b	c'"><b Id="one">ż&lt;<![CDATA[<raw>]]>&#x10FFFF;</b><c xmlns=""/><b/></p:a><!-- tail -->`)
	root := d.Root()
	if !root.Is("urn:p", "a") || root.Name() != "p:a" || root.Kind() != ElementNode {
		t.Fatalf("root is %v in %q", root, root.Space())
	}
	for _, want := range []struct{ space, local, value string }{
		{NamespaceXML, "lang", "pl"}, {"urn:p", "x", "1"}, {"", "x", " a\nb c'"},
	} {
		if got, ok := root.Attr(want.space, want.local); !ok || got != want.value {
			t.Errorf("attribute {%s}%s is %q, want %q", want.space, want.local, got, want.value)
		}
	}
	b := root.Child("urn:d", "b")
	if b.Text() != "ż<<raw>\U0010FFFF" {
		t.Errorf("text of b is %q", b.Text())
	}
	if got, err := d.ByID("one"); err != nil || got != b {
		t.Errorf("Id one is %v, %v", got, err)
	}
	if c := root.Child("", "c"); c.IsZero() || c.Parent() != root || len(root.All("urn:d", "b")) != 2 {
		t.Error("children are not found by their expanded names")
	}
	start, end := b.Offset()
	if got := string(d.Source()[start:end]); !strings.HasPrefix(got, `<b Id="one">`) || !strings.HasSuffix(got, "</b>") {
		t.Errorf("b stands at %q", got)
	}
}

func TestDuplicateIDs(t *testing.T) {
	d := mustParse(t, `<a><b Id="x"/><c xml:id="x"/><d id="y"/><e Id="z" ID="z"/></a>`)
	if _, err := d.ByID("x"); err == nil || errors.Is(err, ErrNoElement) {
		t.Errorf("an Id of two elements gives %v", err)
	}
	if _, err := d.ByID("nobody"); !errors.Is(err, ErrNoElement) {
		t.Errorf("an Id of no element gives %v", err)
	}
	for _, id := range []string{"y", "z"} {
		if _, err := d.ByID(id); err != nil {
			t.Errorf("Id %s: %v", id, err)
		}
	}
}

func TestEncodings(t *testing.T) {
	const body = "<a żółć='ł'>ąęśź</a>"
	latin2, err := charmap.ISO8859_2.NewEncoder().String(body)
	if err != nil {
		t.Fatal(err)
	}
	cp1250, err := charmap.Windows1250.NewEncoder().String(body)
	if err != nil {
		t.Fatal(err)
	}
	utf16 := func(order unicode.Endianness) string {
		s, err := unicode.UTF16(order, unicode.UseBOM).NewEncoder().String("<?xml version='1.0' encoding='UTF-16'?>" + body)
		if err != nil {
			t.Fatal(err)
		}
		return s
	}
	for name, text := range map[string]string{
		"UTF-8":        body,
		"UTF-8 BOM":    "\xEF\xBB\xBF<?xml version='1.0' encoding='utf-8'?>" + body,
		"ISO-8859-2":   "<?xml version='1.0' encoding='iso-8859-2'?>" + latin2,
		"windows-1250": `<?xml version="1.0" encoding="windows-1250"?>` + cp1250,
		"UTF-16 BE":    utf16(unicode.BigEndian),
		"UTF-16 LE":    utf16(unicode.LittleEndian),
	} {
		d, err := Parse([]byte(text), Limits{})
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		if v, _ := d.Root().Attr("", "żółć"); v != "ł" || d.Root().Text() != "ąęśź" {
			t.Errorf("%s: read %q, %q", name, v, d.Root().Text())
		}
	}
	for _, broken := range []string{"\xFE\xFF\x00<\xD8\x00\x00>", "\xFF\xFEa", "\xFE\xFF\xDC\x00"} {
		if _, err := Parse([]byte(broken), Limits{}); err == nil {
			t.Errorf("%q was read", broken)
		}
	}
}

func TestLimits(t *testing.T) {
	attributes := func(n int) string {
		var b strings.Builder
		for i := range n {
			fmt.Fprintf(&b, " a%d='%d'", i, i)
		}
		return "<a" + b.String() + "/>"
	}
	for name, c := range map[string]struct {
		text   string
		limits Limits
	}{
		"size":       {"<a>" + strings.Repeat("x", 100) + "</a>", Limits{Size: 100}},
		"depth":      {strings.Repeat("<a>", 513) + strings.Repeat("</a>", 513), Limits{}},
		"open depth": {strings.Repeat("<a>", 1_000_000), Limits{}},
		"nodes":      {"<a>" + strings.Repeat("<b/>", 100) + "</a>", Limits{Nodes: 100}},
		"attributes": {attributes(1025), Limits{}},
		"name":       {"<" + strings.Repeat("a", 1025) + "/>", Limits{}},
		"namespaces": {"<a xmlns:a='u' xmlns:b='u'><b xmlns:c='u'/></a>", Limits{Namespaces: 2}},
	} {
		if _, err := Parse([]byte(c.text), c.limits); !errors.Is(err, ErrTooLarge) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if _, err := Parse([]byte(attributes(1024)), Limits{}); err != nil {
		t.Errorf("1024 attributes: %v", err)
	}
	repeated := strings.Replace(attributes(1000), " a7=", " a999=", 1)
	if _, err := Parse([]byte(repeated), Limits{}); err == nil || errors.Is(err, ErrTooLarge) {
		t.Errorf("a repeated attribute among a thousand gives %v", err)
	}
}

// TestTruncated cuts a document at every byte: nothing but the whole may be read.
func TestTruncated(t *testing.T) {
	whole := []byte("<?xml version='1.0'?><!--c--><a xmlns:p='urn:p' p:b='&amp;\r'><![CDATA[x]]>&#65;\r\n<?pi data?><p:c/></a>")
	if _, err := Parse(whole, Limits{}); err != nil {
		t.Fatal(err)
	}
	for n := range whole {
		if _, err := Parse(bytes.Clone(whole[:n]), Limits{}); err == nil {
			t.Errorf("%q was read", whole[:n])
		}
	}
}

// TestInspect holds every octet in every place of a sequence against the standard library.
func TestInspect(t *testing.T) {
	interesting := []byte{0, 'a', 0x7F, 0x80, 0x8F, 0x90, 0x9F, 0xA0, 0xBF, 0xC0, 0xC1, 0xC2, 0xDF, 0xE0, 0xE1, 0xEC, 0xED,
		0xEE, 0xEF, 0xF0, 0xF1, 0xF3, 0xF4, 0xF5, 0xFF}
	sequence := make([]byte, utf8.UTFMax)
	var try func(place int)
	try = func(place int) {
		if got, want := inspectWhole(sequence[:place]).valid, utf8.Valid(sequence[:place]); got != want {
			t.Fatalf("% x: %v", sequence[:place], got)
		}
		for before := range 8 { // across the borders of words
			text := append([]byte("abcdefgh")[:before], sequence[:place]...)
			if text = append(text, "abcdefgh"...); inspectWhole(text).valid != utf8.Valid(text) {
				t.Fatalf("% x: %v", text, !utf8.Valid(text))
			}
		}
		if place == len(sequence) {
			return
		}
		for _, c := range interesting {
			sequence[place] = c
			try(place + 1)
		}
	}
	try(0)
	for c := range 1 << 8 {
		for at := range 33 {
			text := []byte("0123456789abcdefghijklmnopqrstuvwé")
			text[at] = byte(c)
			want := look{
				valid: utf8.Valid(text), control: c < 0x20 && !strings.Contains("\t\r\n", string(rune(c))), returns: c == '\r',
			}
			if !want.valid {
				want = look{}
			}
			if got := inspectWhole(text); got.valid != want.valid || got.valid && got != want {
				t.Errorf("%q: %+v", text, got)
			}
		}
	}
	for c := range 1 << 16 {
		if text := []byte{byte(c >> 8), byte(c)}; inspectWhole(text).valid != utf8.Valid(text) {
			t.Fatalf("% x: %v", text, !utf8.Valid(text))
		}
	}
}

func inspectWhole(b []byte) look { return inspect(b, func([]byte) {}) }

// TestLetGo: of a large document that lies in the file in canonical form no more than some windows are in use at once,
// whether it is read or digested, and all of it was told to be read through.
func TestLetGo(t *testing.T) {
	row := "<Wiersz lp=\"1\"><Opis>Usługa</Opis></Wiersz>\n"
	for name, text := range map[string]string{
		"canonical": "<a>" + strings.Repeat(row, 8<<20/len(row)) + "</a>",
		"not":       "<a>" + strings.Repeat(row+"<b/>", 8<<20/len(row)) + "</a>",
		"a text":    "<a>" + strings.Repeat("0123456789abcde\n", 8<<16) + "</a>",
	} {
		b := budget.New(t.Context(), len(text))
		told := 0
		b.LetGo(func(octets []byte) { told += len(octets) })
		data := []byte(text)
		d, err := Parse(data, Limits{Budget: b})
		if err != nil {
			t.Fatal(err)
		}
		if told < 2*len(data)-3*windowSize {
			t.Errorf("%s: parsed, %d of %d octets were let go", name, told, len(data))
		}
		told = 0
		err = d.WholeDocument().Canonical(io.Discard, Canonicalization{Form: Exclusive})
		if err != nil || told < len(data)-3*windowSize {
			t.Errorf("%s: digested, %d of %d octets were let go, %v", name, told, len(data), err)
		}
	}
}
