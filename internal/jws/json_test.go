package jws

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"trustcore/internal/budget"
	"trustcore/internal/budget/budgettest"
)

func parse(t testing.TB, text string) (*Value, error) {
	t.Helper()
	return Parse(budget.New(t.Context(), len(text)), []byte(text))
}

// TestMalformed: what is no JSON, or is read differently by readers that differ.
func TestMalformed(t *testing.T) {
	for name, c := range map[string]struct{ text, want string }{
		"nothing":                      {"", "ends too early"},
		"blanks":                       {" \n", "ends too early"},
		"a name twice":                 {`{"alg":1,"alg":2}`, `the name "alg" occurs twice`},
		"a name twice, by an escape":   {`{"alg":1,"\u0061lg":2}`, `the name "alg" occurs twice`},
		"a name twice, by a pair":      {`{"😀":1,"\ud83d\ude00":2}`, "occurs twice"},
		"a name twice, deep":           {`[{"a":{"b":1,"c":2,"b":3}}]`, `the name "b" occurs twice`},
		"no name twice":                {`{"":1,"":2}`, "occurs twice"},
		"something after it":           {`{} x`, "something stands after it"},
		"a second value":               {`{}{}`, "something stands after it"},
		"a NUL after it":               {"{}\x00", "something stands after it"},
		"a byte order mark":            {"\xef\xbb\xbf{}", "byte order mark"},
		"UTF-16":                       {"\xff\xfe{\x00}\x00", "not in UTF-8"},
		"an octet that is no UTF-8":    {"\"\xc3\"", "not in UTF-8"},
		"UTF-8 that is too long":       {"\"\xc0\xaf\"", "not in UTF-8"},
		"a surrogate in UTF-8":         {"\"\xed\xa0\x80\"", "not in UTF-8"},
		"a high surrogate alone":       {`"\ud800"`, "half of a surrogate pair"},
		"a low surrogate alone":        {`"\udc00"`, "half of a surrogate pair"},
		"two high surrogates":          {`"\ud800\ud800"`, "half of a surrogate pair"},
		"a surrogate and a character":  {`"\ud800\u0061"`, "half of a surrogate pair"},
		"a control character":          {"\"a\nb\"", "control character"},
		"one after an escape":          {"\"\\n\n\"", "control character"},
		"an unknown escape":            {`"\x41"`, "unknown escape"},
		"hexadecimal digits that fail": {`"\u00g0"`, "unknown escape"},
		"punctuation as a digit":       {`"\u001` + "\x11" + `"`, "unknown escape"},
		"an escape without an end":     {`"\`, "escape without an end"},
		"a string without an end":      {`"a`, "string without an end"},
		"one with an escape":           {`"\n`, "string without an end"},
		"a trailing comma":             {`[1,]`, "no JSON value"},
		"one in an object":             {`{"a":1,}`, "no name"},
		"no comma":                     {`[1 2]`, "neither a comma nor the end of the array"},
		"none in an object":            {`{"a":1 "b":2}`, "neither a comma nor the end of the object"},
		"no colon":                     {`{"a" 1}`, "no colon"},
		"a bare name":                  {`{a:1}`, "no name"},
		"single quotation marks":       {`{'a':1}`, "no name"},
		"a comment":                    {`{/**/}`, "no name"},
		"NaN":                          {`NaN`, "no JSON value"},
		"a plus":                       {`+1`, "no JSON value"},
		"a minus alone":                {`-`, "no JSON value"},
		"a leading zero":               {`01`, "something stands after it"},
		"a point without digits":       {`1.`, "after the point"},
		"a point first":                {`.5`, "no JSON value"},
		"an exponent without digits":   {`1e+`, "in the exponent"},
		"a long number":                {strings.Repeat("1", maxNumber+1), "a number of more than 64"},
		"half a literal":               {`tru`, "no JSON value"},
		"a literal with more":          {`truex`, "something stands after it"},
		"too deep":                     {strings.Repeat("[", maxDepth+1) + strings.Repeat("]", maxDepth+1), "within each other"},
		"too deep, objects":            {strings.Repeat(`{"a":`, maxDepth+1), "within each other"},
	} {
		t.Run(name, func(t *testing.T) {
			v, err := parse(t, c.text)
			if !errors.Is(err, ErrMalformed) || !strings.Contains(fmt.Sprint(err), c.want) {
				t.Errorf("%+v, %v; want %q", v, err, c.want)
			}
		})
	}
}

func TestValues(t *testing.T) {
	v, err := parse(t, " {\"s\":\"a\\u017c\\\"\\/\\ud83d\\ude00\\b\",\"n\":-1.5e3,\"t\":true,\"f\":false,\"z\":null,\"l\":[1,[]],\"\":{}}\r\n")
	if err != nil {
		t.Fatal(err)
	}
	if got := string(v.Member("s").Text()); got != "aż\"/😀\b" {
		t.Errorf("%q", got)
	}
	if v.Member("n").Literal() != "-1.5e3" || !v.Member("t").True() || v.Member("f").True() || !v.Member("z").Is(Null) {
		t.Errorf("%+v", v)
	}
	if items := v.Member("l").Items(); len(items) != 2 || !items[1].Is(Array) || !v.Member("").Is(Object) || len(v.Members()) != 7 {
		t.Errorf("%+v", v)
	}
	if v.Member("none") != nil || v.Member("none").Member("x").Text() != nil || v.Member("s").Literal() != "" || v.Member("n").Items() != nil {
		t.Error("what is absent is there")
	}
	if _, err := parse(t, strings.Repeat("[", maxDepth)+strings.Repeat("]", maxDepth)); err != nil {
		t.Error(err)
	}
}

// TestCanonical holds the examples of RFC 8785, 3.2.2 and 3.2.3, and of its appendix B.
func TestCanonical(t *testing.T) {
	for text, want := range map[string]string{
		`{"numbers": [333333333.33333329, 1E30, 4.50, 2e-3, 0.000000000000000000000000001], "literals": [null, true, false]}`:                `{"literals":[null,true,false],"numbers":[333333333.3333333,1e+30,4.5,0.002,1e-27]}`,
		`{"string": "\u20ac$\u000F\u000aA'\u0042\u0022\u005c\\\"\/"}`:                                                                        `{"string":"€$\u000f\nA'B\"\\\\\"/"}`,
		`{"\u20ac":1,"\r":2,"\ufb33":3,"1":4,"\ud83d\ude00":5,"\u0080":6,"\u00f6":7}`:                                                        "{\"\\r\":2,\"1\":4,\"\u0080\":6,\"ö\":7,\"€\":1,\"😀\":5,\"\ufb33\":3}",
		`[0,-0.0,1e21,999999999999999900000,1e-6,9.999e-7,-5e-324,1.7976931348623157e308,9007199254740993,123456789012345680000,1e-7,1e100]`: `[0,0,1e+21,999999999999999900000,0.000001,9.999e-7,-5e-324,1.7976931348623157e+308,9007199254740992,123456789012345680000,1e-7,1e+100]`,
		`{}`: `{}`, `[ ]`: `[]`, `"\u007f\b\f\t"`: "\"\u007f\\b\\f\\t\"",
	} {
		v, err := parse(t, text)
		if err != nil {
			t.Fatal(err)
		}
		got, err := v.Canonical(budget.New(t.Context(), len(text)))
		if err != nil || string(got) != want {
			t.Errorf("%s, %v\nwant %s", got, err, want)
		}
		again, err := parse(t, string(got))
		if err != nil {
			t.Fatal(err)
		}
		if twice, err := again.Canonical(budget.New(t.Context(), len(text))); err != nil || string(twice) != want {
			t.Errorf("twice: %s, %v", twice, err)
		}
	}
	v, err := parse(t, "1e999")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := v.Canonical(budget.New(t.Context(), 0)); err == nil {
		t.Error("a number that is no double has a canonical form")
	}
}

func TestBase64URL(t *testing.T) {
	for text, want := range map[string]string{"": "", "AA": "\x00", "-_-_": "\xfb\xff\xbf", "YWI": "ab", "YWJj": "abc", "YWJjZA": "abcd"} {
		if got, err := DecodeBase64URL([]byte(text)); err != nil || string(got) != want {
			t.Errorf("%q: %q, %v", text, got, err)
		}
	}
	for _, text := range []string{
		"A", "AAAAA", "AB", "YWJ", "YWI=", "YQ==", "+/+/", "YW I", "YWI\n", "\nYWI", "YW\r\nJj", "YWI.", "YWJj\x00", "YWJjżó",
	} {
		if got, err := DecodeBase64URL([]byte(text)); !errors.Is(err, ErrBase64URL) {
			t.Errorf("%q is taken: %q", text, got)
		}
	}
}

// TestBombs: small texts that would be much in memory, or take long.
func TestBombs(t *testing.T) {
	const size = 4 << 20
	limit := budgettest.Limit{Time: 1500 * time.Millisecond, Alloc: 96 << 20}
	for name, text := range map[string]string{
		"numbers":     "[" + strings.Repeat("0,", size/2) + "0]",
		"arrays":      "[" + strings.Repeat("[],", size/3) + "0]",
		"objects":     "[" + strings.Repeat("{},", size/3) + "0]",
		"members":     "[" + strings.Repeat(`{"":0},`, size/7) + "0]",
		"names":       names(size / 12),
		"escapes":     `"` + strings.Repeat(`\u0000`, size/6) + `"`,
		"depth":       strings.Repeat("[", size),
		"deep again":  "[" + strings.Repeat(strings.Repeat("[", 60)+strings.Repeat("]", 60)+",", size/121) + "0]",
		"a signature": `{"payload":"","signatures":[` + strings.Repeat(`{},`, size/3) + `{}]}`,
	} {
		t.Run(name, func(t *testing.T) {
			budgettest.Check(t, len(text), limit, func() {
				if v, err := parse(t, text); err == nil {
					_, err = v.Canonical(budget.New(t.Context(), len(text)))
					t.Logf("read; %v", err)
				} else {
					t.Log(err)
				}
			})
		})
	}
}

func names(n int) string {
	var b strings.Builder
	for i := range n {
		fmt.Fprintf(&b, `,"%07d":0`, i)
	}
	return "{" + b.String()[1:] + "}"
}

// fuzzLimit is what a small text may cost: no more than a share for each octet.
var fuzzLimit = budgettest.Limit{Time: 200 * time.Millisecond, TimeAnOctet: 50 * time.Microsecond, Alloc: 4 << 20, AllocAnOctet: 1 << 11}

func FuzzRead(f *testing.F) {
	for _, seed := range []string{
		`{"payload":"e30","protected":"eyJhbGciOiJub25lIn0","signature":"AA"}`, "eyJhbGciOiJub25lIn0.e30.AA", `[1e9,-0.5,"\ud83d\ude00",{"a":null}]`,
		`{"payload":"","signatures":[{"protected":"e30","header":{"etsiU":[]},"signature":"AA"}],"x":1}`,
	} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		budgettest.Check(t, len(data), fuzzLimit, func() {
			if d, err := Read(budget.New(t.Context(), len(data)), data); err == nil {
				for _, s := range d.Signatures {
					s.Critical(nil)
					if s.Protected == nil && len(s.Problems) == 0 {
						t.Errorf("no header, and no problem: %+v", s)
					}
				}
			}
			v, err := Parse(budget.New(t.Context(), len(data)), data)
			if err != nil {
				return
			}
			form, err := v.Canonical(budget.New(t.Context(), len(data)))
			if err != nil {
				return
			}
			again, err := Parse(budget.New(t.Context(), len(data)), form)
			if err != nil {
				t.Fatalf("%q: the canonical form %q: %v", data, form, err)
			}
			if twice, err := again.Canonical(budget.New(t.Context(), len(data))); err != nil || string(twice) != string(form) {
				t.Fatalf("%q, then %q: %v", form, twice, err)
			}
		})
	})
}
