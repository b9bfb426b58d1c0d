package verify_test

import (
	"strings"
	"testing"
	"time"

	"trustcore/verify"
	"trustcore/verify/trustlist"
)

// TestActiveContent: what is found is told in both languages, to who asks, and changes nothing of the verdict.
func TestActiveContent(t *testing.T) {
	lists, err := trustlist.Load(t.Context(), trustlist.Sources{})
	if err != nil {
		t.Fatal(err)
	}
	v, err := verify.New(verify.Config{Lists: func() *trustlist.Snapshot { return lists }, Policy: verify.DefaultPolicy(), Now: time.Now})
	if err != nil {
		t.Fatal(err)
	}
	page := "3 0 obj<</Type/Page/AA<</O<</S/Launch/F(x.exe)>>>>/Annots[<</A<</JS(a)>>>>]>>endobj "
	document := []byte("%PDF-1.7\n1 0 obj<</Type/Catalog/Pages 2 0 R>>endobj 2 0 obj<</Kids[3 0 R]>>endobj " + page +
		"trailer<</Root 1 0 R>>")
	r, err := v.Verify(t.Context(), verify.Request{Document: document, Active: true})
	if err != nil || r.ActiveContent == nil || !r.ActiveContent.Complete {
		t.Fatalf("%+v, %v", r, err)
	}
	for lang, want := range map[string]string{
		"pl": "Plik zawiera treści aktywne: uruchomienie programu „x.exe” na stronie 1 (działa samoczynnie); skrypt na stronie 1.",
		"en": "The file holds active content: the start of a program “x.exe” on page 1 (acts by itself); a script on page 1.",
	} {
		if got := r.ActiveContent.Sentence[lang]; !strings.HasPrefix(got, want) {
			t.Errorf("%q, want %q", got, want)
		}
	}
	if r, err = v.Verify(t.Context(), verify.Request{Document: document}); err != nil || r.ActiveContent != nil {
		t.Errorf("nobody asked: %+v, %v", r, err)
	}
}
