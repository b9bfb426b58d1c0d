package xmldsig

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"trustcore/internal/budget"
)

// spent returns the units that a reference to the whole of a document takes, beside reading the document.
func spent(t *testing.T, held int64, content, transforms string) (int64, error) {
	t.Helper()
	b := budget.Of(t.Context(), 1<<40, held)
	d, err := Parse([]byte(`<doc xmlns:ds="`+NamespaceDSig+`"><ds:Transforms>`+transforms+`</ds:Transforms>`+content+`</doc>`), Limits{Budget: b})
	if err != nil {
		t.Fatal(err)
	}
	r := &Reference{Element: d.Root(), HasURI: true, DigestMethod: "http://www.w3.org/2001/04/xmlenc#sha256"}
	if r.Transforms, err = ReadTransforms(d.Root().Child(NamespaceDSig, "Transforms")); err != nil {
		t.Fatal(err)
	}
	before := b.Left()
	_, err = r.Check(nil)
	return before - b.Left(), err
}

func transform(algorithm, content string) string {
	return `<ds:Transform Algorithm="` + algorithm + `">` + content + `</ds:Transform>`
}

func expression(x string) string { return transform(TransformXPath, "<ds:XPath>"+x+"</ds:XPath>") }

// TestPrices: nothing that grows with the document is free.
func TestPrices(t *testing.T) {
	const n = 10_000
	inclusive := transform("http://www.w3.org/TR/2001/REC-xml-c14n-20010315", "")
	elements := strings.Repeat("<b/>", n)
	var prefixes, attributes strings.Builder
	for k := range 900 {
		fmt.Fprintf(&prefixes, "<b xmlns:p%d='u:'/>", k)
		fmt.Fprintf(&attributes, " a%d=''", k)
	}
	for name, c := range map[string]struct {
		content, transforms string
		least               int64
	}{
		"octets written and hashed": {"<t>" + strings.Repeat("a", 100*n) + "</t>", inclusive, 3 * 100 * n},
		"nodes written":             {elements, inclusive, n * budget.Node},
		"nodes taken as they stand": {strings.Repeat("<b></b>", n), inclusive, n * (budget.Node + 3*7)},
		"steps":                     {elements, expression("self::b"), 6 * n * costStep},
		"elements taken out":        {elements, expression("not(ancestor-or-self::c)"), n * (costTest + budget.Node + 10)},
		"Ids":                       {elements, expression("id('q q q q')"), 4 * n * costFind},
		"strings":                   {"<t a='" + strings.Repeat("a", n) + "'/>" + strings.Repeat("<b/>", 100), expression("/doc/t/@a = 'x'"), 100 * n * budget.Octet},
		"text":                      {"<t>" + strings.Repeat("a", n) + "</t>" + strings.Repeat("<b/>", 100), expression("contains(/doc/t, 'x')"), 100 * n * (budget.Octet + costText)},
		"numbers":                   {"<t>" + strings.Repeat("7", n) + "</t>" + strings.Repeat("<b/>", 100), expression("/doc/t > 1"), 200 * n * costDigit},
		"tables":                    {prefixes.String(), inclusive, 900 * (2*budget.Octet*tablesBytes + 220)},
		"ancestors' attributes":     {"<t" + attributes.String() + ">" + strings.Repeat("<c><d/></c>", n/10) + "</t>", expression("self::d") + inclusive, n / 10 * 900 * costGlance},
		"sorting":                   {strings.Repeat("<t"+attributes.String()+"/>", 10), inclusive, 10 * 900 * 5 * costAttribute},
		"filters":                   {elements, transform(TransformXPathFilter, `<f:XPath xmlns:f="`+namespaceFilter2+`" Filter="intersect">//b</f:XPath>`), n * costStep},
		"base64":                    {"<t>" + strings.Repeat("QUFB", n) + "</t>", transform(TransformBase64, ""), 4 * n * costBase64},
	} {
		units, err := spent(t, 1<<40, c.content, c.transforms)
		if err != nil || units < c.least {
			t.Errorf("%s: %d units, at least %d are due; %v", name, units, c.least, err)
		}
	}
}

// TestBytesAreHeld: what is decoded counts as held, once for all who ask.
func TestBytesAreHeld(t *testing.T) {
	text := strings.Repeat("QUJD", 1000)
	b := budget.Of(t.Context(), 1<<40, 1<<20)
	d, err := Parse([]byte("<a>"+text+"</a>"), Limits{Budget: b})
	if err != nil {
		t.Fatal(err)
	}
	for range 1000 {
		if value, err := d.Root().Bytes(); err != nil || len(value) != 3000 {
			t.Fatalf("%d octets, %v", len(value), err)
		}
	}
	if d, err = Parse([]byte("<a>"+text+"</a>"), Limits{Budget: budget.Of(t.Context(), 1<<40, 3000)}); err != nil {
		t.Fatal(err)
	}
	if _, err := d.Root().Bytes(); !errors.Is(err, budget.ErrExceeded) {
		t.Errorf("more than there is room for was held: %v", err)
	}
}

// TestHoldings: what is held at once counts, whatever little work it takes.
func TestHoldings(t *testing.T) {
	const held = 1 << 20
	for name, c := range map[string]struct{ content, transforms string }{
		"strings":   {"<t>" + strings.Repeat("a", 100_000) + "</t>", expression("concat(" + strings.Repeat("/doc/t, ", 20) + "'') = 'x'")},
		"attribute": {"<t a='" + strings.Repeat("a", 100_000) + "'/>", expression("concat(" + strings.Repeat("/doc/t/@a, ", 20) + "'') = 'x'")},
		"lists":     {strings.Repeat("<b/>", 5_000), expression("concat(" + strings.Repeat("//node(), ", 20) + "'') = 'x'")},
		"forms":     {"<t>" + strings.Repeat("a", 300_000) + "</t>", strings.Repeat(transform("http://www.w3.org/TR/2001/REC-xml-c14n-20010315", ""), 3)},
	} {
		if _, err := spent(t, held, c.content, c.transforms); !errors.Is(err, budget.ErrExceeded) || !strings.Contains(err.Error(), "memory") {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// TestMeterStays: an error that nobody could report is reported later.
func TestMeterStays(t *testing.T) {
	m := meter{budget: budget.Of(t.Context(), 10, 10)}
	_ = m.spend(2 * meterStep)
	if err := m.spend(1); !errors.Is(err, budget.ErrExceeded) {
		t.Errorf("after the end: %v", err)
	}
}

func TestLongSerialNumber(t *testing.T) {
	d := mustParse(t, `<X509Data xmlns="`+NamespaceDSig+`"><X509IssuerSerial><X509SerialNumber>`+strings.Repeat("9", 1000)+`</X509SerialNumber></X509IssuerSerial></X509Data>`)
	if x, err := ReadX509Data(d.Root()); err == nil || len(x.IssuerSerials) > 0 {
		t.Errorf("a serial number of a thousand digits was read")
	}
}
