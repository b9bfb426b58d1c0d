package verify

import (
	"crypto/x509/pkix"
	"encoding/json"
	"strings"
	"testing"
	"time"
	"unicode"

	"trustcore/internal/budget"
	"trustcore/verify/internal/mint"
	"trustcore/verify/signature"
)

// TestNothingMovesTheCursor: whoever makes a document chooses names in it, and may choose them so that a terminal or a
// page shows another verdict. No text of a report does anything but to be read.
func TestNothingMovesTheCursor(t *testing.T) {
	const evil = "Jan\x1b[2J\nPodpis jest ważny.\u202e\u2028\x00"
	w := newWorld(t)
	w.officer = w.ca.Issue(t, mint.Request{Subject: pkix.Name{CommonName: evil, Organization: []string{evil}, Country: []string{"PL"}}})
	unit := w.ca.Issue(t, mint.Request{Subject: pkix.Name{CommonName: evil}, TSU: true})
	document := mint.XML{Signer: w.officer, At: mint.Day, Stamps: []mint.Stamp{{By: unit, At: mint.Day}}}.Sign(t, letter)
	b := budget.New(t.Context(), len(document))
	doc, err := Open(b, document)
	if err != nil {
		t.Fatal(err)
	}
	s := doc.Signatures[0]
	s.Filename, s.Unsigned, s.Notes, doc.Notes = evil, []string{evil}, []string{evil}, []string{evil}
	s.Timestamps[0].Demands = []string{evil}
	s.Changes = []signature.Change{{Kind: signature.ChangeContent, What: evil, Rule: signature.RuleVisual}}
	s.References[0].Name, s.References[0].Scope = evil, evil
	r, err := Judge(b, doc, w.evidence(), DefaultPolicy(), mint.Day.Add(time.Hour))
	if err != nil {
		t.Fatal(err)
	}
	var texts []string
	collect(t, r, &texts)
	said := false
	for _, text := range texts {
		said = said || strings.Contains(text, "Podpis jest ważny.")
		if strings.ContainsFunc(text, func(r rune) bool { return !unicode.IsPrint(r) }) {
			t.Errorf("%q", text)
		}
	}
	if !said {
		t.Error("the names are in no text: the test tests nothing")
	}
}

// collect lists all texts of a report, by what becomes of it in JSON.
func collect(t *testing.T, report any, texts *[]string) {
	t.Helper()
	data, err := json.Marshal(report)
	if err != nil {
		t.Fatal(err)
	}
	var value any
	if err := json.Unmarshal(data, &value); err != nil {
		t.Fatal(err)
	}
	var walk func(any)
	walk = func(v any) {
		switch v := v.(type) {
		case string:
			*texts = append(*texts, v)
		case []any:
			for _, x := range v {
				walk(x)
			}
		case map[string]any:
			for _, x := range v {
				walk(x)
			}
		}
	}
	walk(value)
}
