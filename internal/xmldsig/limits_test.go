package xmldsig

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"trustcore/internal/budget"
)

func TestSingleByteEncodings(t *testing.T) {
	for name, c := range map[string]struct{ octets, want string }{
		"windows-1251": {"\xcf", "П"}, "cp1250": {"\xb9", "ą"}, "Windows-1250": {"\xb9", "ą"}, "windows-1257": {"\xe0", "ą"}, "cp1252": {"\x80", "€"},
		"iso-8859-2": {"\xb1", "ą"}, "latin2": {"\xb1", "ą"}, "ISO8859_2": {"\xb1", "ą"}, "ISO-8859-15": {"\xa4", "€"}, "ISO-8859-16": {"\xa2", "ą"},
		"koi8-r": {"\xf0", "П"}, "IBM852": {"\xa5", "ą"},
	} {
		d, err := Parse([]byte(`<?xml version="1.0" encoding="`+name+`"?><a>`+c.octets+`</a>`), Limits{})
		if err != nil || d.Root().Text() != c.want {
			t.Errorf("%s: %v", name, err)
		}
	}
	for name, octets := range map[string]string{"windows-1252": "\x81", "windows-1250": "\x83", "ISO-8859-7": "\xae", "EBCDIC": "a"} {
		if _, err := Parse([]byte(`<?xml version="1.0" encoding="`+name+`"?><a>`+octets+`</a>`), Limits{}); err == nil {
			t.Errorf("%q was read in %s", octets, name)
		}
	}
}

// TestHeld: what a document makes us hold is bounded by the budget, and given back when nobody needs it any more.
func TestHeld(t *testing.T) {
	var names, prefixes strings.Builder
	for n := range 20_000 {
		fmt.Fprintf(&names, "<a%d/>", n)
		fmt.Fprintf(&prefixes, "<b xmlns:p%d='u:'/>", n)
	}
	for name, text := range map[string]string{
		"nodes": strings.Repeat("<b/>", 50_000), "attributes": strings.Repeat("<b a='' c='' d=''/>", 20_000), "names": names.String(),
		"prefixes": prefixes.String(), "text": strings.Repeat("x\r\n", 700_000),
	} {
		_, err := Parse([]byte("<a>"+text+"</a>"), Limits{Budget: budget.Of(t.Context(), 1<<40, 1<<20)})
		if !errors.Is(err, budget.ErrExceeded) || !strings.Contains(err.Error(), "memory") {
			t.Errorf("%s: %v", name, err)
		}
	}
	b := budget.Of(t.Context(), 1<<40, 8<<20)
	d, err := Parse([]byte("<a>"+strings.Repeat("<b>x</b>", 10_000)+"</a>"), Limits{Budget: b})
	if err != nil {
		t.Fatal(err)
	}
	r := &Reference{Element: d.Root(), HasURI: true, DigestMethod: "http://www.w3.org/2001/04/xmlenc#sha256"}
	for range 4 {
		r.Transforms = append(r.Transforms, Transform{Algorithm: "http://www.w3.org/TR/2001/REC-xml-c14n-20010315", Element: d.Root()})
	}
	for range 20 {
		if _, err := r.Check(nil); err != nil {
			t.Fatalf("what one reference held is lost for the next: %v", err)
		}
	}
}

func TestTooLargeIsBeyondTheBudget(t *testing.T) {
	_, err := Parse([]byte("<a xmlns='urn:"+strings.Repeat("a", 1100)+"'/>"), Limits{})
	if !errors.Is(err, ErrTooLarge) || !errors.Is(err, budget.ErrExceeded) {
		t.Errorf("a namespace name of a kilobyte: %v", err)
	}
}

func TestWhole(t *testing.T) {
	d := mustParse(t, `<!--c--><a Id="a"><!--c--><b/><c><b/></c>x<!--c--></a><!--c--><?pi?>`)
	root := d.Root()
	c := root.Child("", "c")
	b := root.Child("", "b")
	whole := d.WholeDocument()
	for name, test := range map[string]struct {
		set  NodeSet
		but  []Node
		want bool
	}{
		"all":                {whole, nil, true},
		"without comments":   {whole.WithoutComments(), nil, true},
		"without b":          {whole.Without(b), nil, false},
		"but for b":          {whole.Without(b), []Node{b}, true},
		"but for c":          {whole.Without(b), []Node{c}, false},
		"but for both":       {whole.Without(b).Without(c), []Node{c, b, c.Child("", "b")}, true},
		"the root's subtree": {Subtree(root), nil, false}, // the instruction beside it
		"nothing":            {NodeSet{}, nil, false},
	} {
		if got := test.set.Whole(test.but...); got != test.want {
			t.Errorf("%s: %v", name, got)
		}
	}
}

func TestPlace(t *testing.T) {
	d := mustParse(t, `<a><b/><x:b xmlns:x="u"/>t<b><c/></b>`+strings.Repeat("<d>", 40)+`<e/>`+strings.Repeat("</d>", 40)+`</a>`)
	var last Node
	for e := range d.Root().Descendants("", "e") {
		last = e
	}
	for want, n := range map[string]Node{"/a": d.Root(), "/a/b[1]": d.Root().Child("", "b"), "/a/x:b": d.Root().Child("u", "b"), "/a/b[2]/c": d.Root().All("", "b")[1].Child("", "c"),
		"/…" + strings.Repeat("/d", 23) + "/e": last} {
		if got := n.Place(); got != want {
			t.Errorf("%s, want %s", got, want)
		}
	}
}
