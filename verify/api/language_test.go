package api

import (
	"context"
	"encoding/json"
	"net/http"
	"strings"
	"testing"

	"trustcore/verify"
)

// TestNotesInTheCallersLanguage: notes are English unless the caller asks for Polish.
func TestNotesInTheCallersLanguage(t *testing.T) {
	const english, polish = "revoked", "unieważniony"
	s := newService(t, nil)
	s.do = func(context.Context) (*verify.Report, error) {
		return &verify.Report{Signatures: []verify.SignatureReport{{Notes: []string{english}}}}, nil
	}
	for accept, want := range map[string]string{"": english, "en": english, "pl": polish, "pl-PL,pl;q=0.9,en;q=0.8": polish,
		"en,pl;q=0.1": english, "de": english, "*": english, "pl;q=": english, strings.Repeat("pl-", 4000): english} {
		request, err := http.NewRequest(http.MethodPost, s.url+validations, strings.NewReader("document"))
		if err != nil {
			t.Fatal(err)
		}
		request.Header.Set("Accept-Language", accept)
		response, err := http.DefaultClient.Do(request)
		if err != nil {
			t.Fatal(err)
		}
		var report verify.Report
		if err := json.NewDecoder(response.Body).Decode(&report); err != nil {
			t.Fatal(err)
		}
		_ = response.Body.Close() // it was read
		if got := report.Signatures[0].Notes[0]; got != want {
			t.Errorf("%.40q: %q, want %q", accept, got, want)
		}
	}
}
