package api

import (
	"context"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strings"
	"testing"

	"trustcore/verify"
	"trustcore/verify/poland"
)

// office are two service cards.
const officeCards = `
version: 1
cards:
- {id: podatki, name: {pl: Podatki i opłaty, en: Taxes and fees}, accepts: [qualified, trusted], days: 14}
- {id: skargi, accepts: [qualified]}
`

func cardsOf(t *testing.T, text string) func() poland.Cards {
	t.Helper()
	cards, err := poland.ParseCards([]byte(text))
	if err != nil {
		t.Fatal(err)
	}
	return func() poland.Cards { return cards }
}

// get asks for an address.
func (s *service) get(method, path string) (int, map[string]any, http.Header) {
	s.t.Helper()
	return s.ask(method, path, nil)
}

func TestServices(t *testing.T) {
	s := newService(t, func(c *Config) { c.Cards = cardsOf(t, officeCards) })
	status, answer, _ := s.get(http.MethodGet, "/v1/services")
	want := "[map[accepts:[qualified trusted] days:14 id:podatki name:map[en:Taxes and fees pl:Podatki i opłaty]] map[accepts:[qualified] days:7 id:skargi]]"
	if got := fmt.Sprint(answer["services"]); status != http.StatusOK || got != want {
		t.Errorf("%d %s", status, got)
	}
	without := newService(t, nil)
	if status, answer, _ := without.get(http.MethodGet, "/v1/services"); status != http.StatusOK || fmt.Sprint(answer) != "map[services:[]]" {
		t.Errorf("without cards: %d %v", status, answer)
	}
	without.wantProblem(validations+"?service=podatki", "", "x", 400, "service")
	s.wantProblem(validations+"?service=podatki&service=skargi", "", "x", 400, "service")
	for _, test := range []struct{ query, parts, detail string }{
		{"?service=Podatki", "", `"Podatki" is no service here: name one of podatki, skargi`},
		{"", "service=inne", `"inne" is no service here: name one of podatki, skargi`},
		{"?service=podatki", "service=skargi", "service is there twice"},
	} {
		media, body := "", strings.NewReader("x")
		if test.parts != "" {
			form, parts := form(t, "document:a=x", test.parts)
			media, body = form, strings.NewReader(parts.String())
		}
		status, answer, _ := s.post(validations+test.query, media, body)
		if status != 400 || answer["field"] != "service" || answer["detail"] != test.detail {
			t.Errorf("%s %s: %d %v", test.query, test.parts, status, answer)
		}
	}
}

// TestManyServices: a refusal names some services and says where the others are.
func TestManyServices(t *testing.T) {
	text := "version: 1\ncards:\n"
	for i := range 1000 {
		text += fmt.Sprintf("- {id: s%03d, accepts: [seal]}\n", i)
	}
	s := newService(t, func(c *Config) { c.Cards = cardsOf(t, text) })
	_, answer, _ := s.post(validations+"?service=x", "", strings.NewReader("x"))
	if detail := fmt.Sprint(answer["detail"]); len(detail) > 300 || !strings.Contains(detail, "none of the 1000 services") || !strings.Contains(detail, "GET /v1/services") {
		t.Error(detail)
	}
}

// TestForAService: the report says what the document means for the service, also one that is not signed, whatever it
// is; where nobody names one, what can hold no signature is not judged.
func TestForAService(t *testing.T) {
	s := newService(t, func(c *Config) {
		c.Cards, c.MaxDocument = cardsOf(t, officeCards), 100_000
		c.Judge = judgeForReal
	})
	for name, test := range map[string]struct{ query, part, card, days string }{
		"parameter": {"?service=podatki", "", "podatki", "14 dni"}, "part": {"", "service=skargi\n", "skargi", "7 dni"}, "none": {},
	} {
		media, body := "text/plain", strings.NewReader("wniosek")
		if test.part != "" {
			form, parts := form(t, "document:a.txt=wniosek", test.part)
			media, body = form, strings.NewReader(parts.String())
		}
		status, answer, _ := s.post(validations+test.query, media, body)
		said, there := answer["service"].(map[string]any)
		if test.card == "" {
			if status != http.StatusUnprocessableEntity {
				t.Errorf("for no service: %d %v", status, answer)
			}
			continue
		}
		if status != http.StatusOK || !there {
			t.Errorf("%s: %d %v", name, status, answer)
			continue
		}
		if said["card"] != test.card || said["outcome"] != "formal-defect" || said["accepted"] != false {
			t.Errorf("%s: %v", name, said)
		}
		if ask := fmt.Sprint(dig(t, said, "ask", "pl")); !strings.Contains(ask, "art. 64 § 2") || !strings.Contains(ask, test.days) {
			t.Errorf("%s: %s", name, ask)
		}
	}
}

// TestCardsAreAskedEachTime: a document is judged by the card as it is now.
func TestCardsAreAskedEachTime(t *testing.T) {
	now := cardsOf(t, officeCards)
	s := newService(t, func(c *Config) {
		c.Cards = func() poland.Cards { return now() }
		c.Judge = func(context.Context, verify.Request) (*verify.Report, error) { return &verify.Report{}, nil }
	})
	for _, text := range []string{officeCards, strings.Replace(officeCards, "days: 14", "days: 30", 1)} {
		now = cardsOf(t, text)
		_, answer, _ := s.post(validations+"?service=podatki", "", strings.NewReader("x"))
		if days := now()["podatki"].Days; dig(t, answer, "service", "days") != float64(days) {
			t.Errorf("%v, want %d days", answer["service"], days)
		}
	}
	if got := slices.Sorted(maps.Keys(now())); len(got) != 2 {
		t.Error(got)
	}
}
