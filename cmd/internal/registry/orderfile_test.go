package registry_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"path"
	"reflect"
	"strings"
	"testing"
	"time"
	"unicode"

	"trustcore/cmd/internal/registry"
	"trustcore/internal/budget/budgettest"
	"trustcore/internal/store/storetest"
)

// wantField demands a refusal of the field.
func wantField(t *testing.T, err error, field, what string) {
	t.Helper()
	var wrong *registry.FieldError
	if !errors.As(err, &wrong) || wrong.Field != field {
		t.Errorf("%s: got %v; want a refusal of %s", what, err, field)
	}
}

// TestParseOrderReadsOne holds that nothing after the order is read over: whoever approves sees the whole file.
func TestParseOrderReadsOne(t *testing.T) {
	for _, more := range []string{
		"\n---\n" + changeYAML, "\n---\n", "\n---\n# only a remark\n", "\n...\n---\nid: ZU-2\n", "\n--- {\n",
	} {
		_, err := registry.ParseOrder([]byte(orderYAML + more))
		if err == nil || !strings.Contains(err.Error(), "it goes on after the order") {
			t.Errorf("%q after the order: %v", more, err)
		}
	}
	for _, more := range []string{"", "\n", "# a remark\n", "...\n"} {
		if _, err := registry.ParseOrder([]byte(orderYAML + more)); err != nil {
			t.Errorf("%q after the order: %v", more, err)
		}
	}
}

func TestOrderNumbers(t *testing.T) {
	numbered := func(id string) error {
		quoted, err := json.Marshal(id)
		must(t, err)
		_, err = registry.ParseOrder([]byte(strings.Replace(orderYAML, "ZU-2026-001", string(quoted), 1)))
		return err
	}
	for _, id := range []string{"7", "ZU-2026-001", "OR.272.1/2026", "a_b", strings.Repeat("7", 64)} {
		must(t, numbered(id))
	}
	for _, id := range []string{
		"", "N/../7", "N/./7", "../7", "/7", "N//7", "N/", "N/..", "N..7", "-7", "7-", "N 7", "N\n7", "N\\7", "N%2f7",
		"\u0661", strings.Repeat("7", 65),
	} {
		wantField(t, numbered(id), "id", fmt.Sprintf("%q", id))
	}
}

// TestNamesCanBeSeen tries what a terminal, a browser or a log would obey or hide in each text that people read.
func TestNamesCanBeSeen(t *testing.T) {
	fields := map[string]func(o *registry.Order) *string{
		"partner.name":     func(o *registry.Order) *string { return &o.Partner.Name },
		"agreement.number": func(o *registry.Order) *string { return &o.Agreement.Number },
		"units[0].name":    func(o *registry.Order) *string { return &o.Units[0].Name },
	}
	bad := []string{"", " ", " a", "a ", strings.Repeat("ą", 201), "a\xff"}
	for _, r := range []rune{
		0, '\a', '\b', '\t', '\n', '\r', 0x1b, 0x7f, 0x85, 0x9b, 0xa0, 0xad, 0x200b, 0x200e, 0x2028, 0x2029,
		0x202e, 0x2066, 0xe000, 0xfeff, 0xfff9, 0xe0041,
	} {
		bad = append(bad, "Urząd"+string(r)+"Miasta")
	}
	r, _ := open(t, storetest.SQLite(t))
	count := 0
	submit := func(of func(o *registry.Order) *string, text string) error {
		count++
		o := parse(t, orderYAML)
		o.ID = fmt.Sprintf("ZU-%d", count)
		*of(&o) = text
		return r.Submit(t.Context(), one, o)
	}
	for field, of := range fields {
		for _, text := range bad {
			wantField(t, submit(of, text), field, fmt.Sprintf("%q", text))
		}
		for _, text := range []string{
			"Urząd Gminy w Łącku", "Straż „Czujni” & S-ka, nr 7/8 (CUW)", "Gmina <b>Próba</b>", strings.Repeat("ą", 200),
		} {
			must(t, submit(of, text))
		}
	}
}

func TestOrderDates(t *testing.T) {
	r, _ := open(t, storetest.SQLite(t))
	for _, c := range []struct{ field, signed, notBefore, notAfter string }{
		{"agreement.signed", "9999-01-01", "2026-01-01", "2027-01-01"},
		{"agreement.signed", "2026-03-06", "2026-01-01", "2027-01-01"},
		{"agreement.signed", "1999-12-31", "2026-01-01", "2027-01-01"},
		{"hsm_authorization.not_before", "2026-01-15", "9999-01-01", "9999-01-02"},
		{"hsm_authorization.not_after", "2026-01-15", "2026-01-01", "2026-03-01"},
		{"hsm_authorization.not_after", "2026-01-15", "0002-01-01", "0003-01-01"},
		{"", "2026-03-03", "2026-03-01", "2056-03-01"},
	} {
		dated := strings.NewReplacer("2026-01-15", c.signed,
			"2026-01-01T00:00:00Z", c.notBefore, "2027-01-01T00:00:00Z", c.notAfter)
		o := parse(t, dated.Replace(orderYAML))
		err := r.Submit(t.Context(), one, o)
		if c.field == "" {
			must(t, err)
			continue
		}
		wantField(t, err, c.field, fmt.Sprintf("%+v", c))
	}
}

func TestNameOfAChangeOrder(t *testing.T) {
	o := parse(t, changeYAML)
	o.Partner.Name = "Urząd\nMiasta"
	r, _ := open(t, storetest.SQLite(t))
	wantField(t, r.Submit(t.Context(), one, o), "partner.name", "a name of two lines")
}

// FuzzParseOrder demands of an order that was taken what those who decide and what carries it out rely on, and that
// it is the same when it comes back from the database.
func FuzzParseOrder(f *testing.F) {
	f.Add([]byte(orderYAML))
	f.Add([]byte(changeYAML))
	f.Add([]byte(""))
	limit := budgettest.Limit{
		Time: 50 * time.Millisecond, TimeAnOctet: 20 * time.Microsecond,
		Alloc: 4 << 20, AllocAnOctet: 4 << 10,
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		var o *registry.Order
		var err error
		budgettest.Check(t, len(data), limit, func() { o, err = registry.ParseOrder(data) })
		if err != nil {
			return
		}
		if path.Clean(o.ID) != o.ID || strings.HasPrefix(o.ID, "/") || len(o.Components) == 0 {
			t.Errorf("taken: %+v", o)
		}
		names := o.Partner.ID + o.Partner.Name
		if o.Agreement != nil {
			names += o.Agreement.Number
		}
		for _, u := range o.Units {
			names += u.ID + u.Name
		}
		if i := strings.IndexFunc(names, func(r rune) bool { return !unicode.IsPrint(r) }); i >= 0 {
			t.Errorf("a name holds %q", names[i:])
		}
		text, err := json.Marshal(o)
		if err != nil {
			t.Fatalf("can't be kept: %v", err)
		}
		var again registry.Order
		if err := json.Unmarshal(text, &again); err != nil || !reflect.DeepEqual(utc(&again), utc(o)) {
			t.Errorf("kept as %s, %v; was %+v", text, err, o)
		}
	})
}

// utc returns the order with its moments in one zone, since the database keeps moments.
func utc(o *registry.Order) *registry.Order {
	if a := o.HSMAuthorization; a != nil {
		a.NotBefore, a.NotAfter = a.NotBefore.UTC(), a.NotAfter.UTC()
		for i := range a.Keys {
			a.Keys[i].NotAfter = a.Keys[i].NotAfter.UTC()
		}
	}
	return o
}
