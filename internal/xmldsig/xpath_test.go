package xmldsig

import (
	"errors"
	"strings"
	"testing"

	"trustcore/internal/budget"
)

const xpathDocument = `<a xmlns:p="urn:p" n="3"><!--c--><p:b Id="one">x</p:b><b n="1">y<d>z</d></b><?pi data?><b n="2"/></a>`

func TestXPath(t *testing.T) {
	d := mustParse(t, xpathDocument)
	resolve := d.Root().Resolve
	for expression, want := range map[string]string{
		`count(//b)`:                                   "2",
		`count(//p:b | //b)`:                           "3",
		`count(//*)`:                                   "5",
		`count(//node())`:                              "10",
		`count(/a/@n)`:                                 "1",
		`string(/a/b[2]/@n)`:                           "2",
		`string(/a/b[last()]/@n)`:                      "2",
		`string(//b[@n=1]/d)`:                          "z",
		`string(id('one'))`:                            "x",
		`name(id('one'))`:                              "p:b",
		`namespace-uri(//p:*)`:                         "urn:p",
		`local-name(/a/b[1]/d/ancestor::*[1])`:         "b",
		`local-name(/a/b[1]/d/ancestor::*[2])`:         "a",
		`string(//b[1]/following-sibling::b/@n)`:       "2",
		`name(//b[2]/preceding-sibling::*[1])`:         "b",
		`name(//b[2]/preceding-sibling::*[2])`:         "p:b",
		`count(//d/following::node())`:                 "2",
		`count(//d/preceding::node())`:                 "4",
		`string(//processing-instruction('pi'))`:       "data",
		`string(/a/comment())`:                         "c",
		`count(/a/namespace::*)`:                       "2",
		`count(//d/parent::b/self::b)`:                 "1",
		`1 + 2 * 3 - -4 div 2`:                         "9",
		`7 mod -3`:                                     "1",
		`2 > 1 and 1 != 1`:                             "false",
		`//b/@n = 2`:                                   "true",
		`//b/@n != 2`:                                  "true",
		`//b/@n < //b/@n`:                              "true",
		`not(//zzz) = true()`:                          "true",
		`concat('a', "b", 1 div 0)`:                    "abInfinity",
		`substring('12345', 2, 3)`:                     "234",
		`substring('12345', 1.5, 2.6)`:                 "234",
		`substring('12345', 0 div 0)`:                  "",
		`substring-before('1999/04', '/')`:             "1999",
		`substring-after('1999/04', '/')`:              "04",
		`normalize-space('  a  b ')`:                   "a b",
		`translate('bar', 'abc', 'AB')`:                "BAr",
		`string-length('żó')`:                          "2",
		`number('x')`:                                  "NaN",
		`round(2.5) + floor(-1.5) + ceiling(1.2)`:      "3",
		`sum(//@n)`:                                    "6",
		`boolean(//b[3])`:                              "false",
		`starts-with('abc','ab') and contains('x','')`: "true",
		`(//b)[2]/@n = '2'`:                            "true",
		`string(.//d/..//text())`:                      "y",
	} {
		e, err := parseXPath(expression, resolve)
		if err != nil {
			t.Errorf("%s: %v", expression, err)
			continue
		}
		v := newEvaluator(d, Node{})
		x, err := v.eval(e, xcontext{xnode{}, 1, 1})
		if err == nil {
			var got string
			if got, err = v.text(x); got != want {
				t.Errorf("%s = %q, want %q", expression, got, want)
			}
		}
		if err != nil {
			t.Errorf("%s: %v", expression, err)
		}
	}
}

func TestXPathRefused(t *testing.T) {
	for _, expression := range []string{
		``, `(`, `a[`, `a]`, `//`, `a b`, `@`, `x::a`, `unknown()`, `$v`, `p:a`, `count()`, `'open`, `1 +`, `a/`, `!`,
		`1[1]`, `count(1)`, `1 | 2`, strings.Repeat("(", 100) + "1" + strings.Repeat(")", 100), strings.Repeat("a/", 9000) + "a",
	} {
		d := mustParse(t, `<a/>`)
		e, err := parseXPath(expression, d.Root().Resolve)
		if err == nil {
			_, err = newEvaluator(d, Node{}).eval(e, xcontext{xnode{}, 1, 1})
		}
		if err == nil {
			t.Errorf("%.40q was evaluated", expression)
		}
	}
}

func TestXPathBudget(t *testing.T) {
	text := "<a>" + strings.Repeat("<b>x</b>", 20_000) + "</a>"
	for _, expression := range []string{
		`//*[count(//*[. = //*]) > 0]`, `count(//b/following::b)`, `string(//*[contains(/, 'y')])`, `//b/preceding-sibling::b/preceding-sibling::b`,
	} {
		d, err := Parse([]byte(text), Limits{Budget: budget.Of(t.Context(), 50_000_000, 1<<30)})
		if err != nil {
			t.Fatal(err)
		}
		e, err := parseXPath(expression, d.Root().Resolve)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := newEvaluator(d, Node{}).eval(e, xcontext{xnode{}, 1, 1}); !errors.Is(err, budget.ErrExceeded) {
			t.Errorf("%s: %v", expression, err)
		}
	}
}
