package application_test

import (
	"errors"
	"strings"
	"testing"
	"time"

	"trustcore/cmd/internal/application"
)

// TestCheck takes an entry, and refuses what is wrong by the name of the field.
func TestCheck(t *testing.T) {
	good := application.Application{Name: "ezd", Terms: application.Terms{DocumentsADay: 1, Services: []string{"wnioski"},
		Webhooks: []string{"https://ezd.gmina.pl/hook?of=batches"}}}
	if err := good.Check(); err != nil {
		t.Fatal(err)
	}
	for field, spoil := range map[string]func(a *application.Application){
		"name":                func(a *application.Application) { a.Name = "EZD" },
		"name (path)":         func(a *application.Application) { a.Name = "../ezd" },
		"documents_a_day":     func(a *application.Application) { a.DocumentsADay = -1 },
		"services":            func(a *application.Application) { a.Services = []string{""} },
		"webhooks (plain)":    func(a *application.Application) { a.Webhooks = []string{"http://ezd.gmina.pl/"} },
		"webhooks (user)":     func(a *application.Application) { a.Webhooks = []string{"https://me:secret@ezd.gmina.pl/"} },
		"webhooks (no host)":  func(a *application.Application) { a.Webhooks = []string{"https:///hook"} },
		"webhooks (too many)": func(a *application.Application) { a.Webhooks = make([]string, 9) },
		"services (too many)": func(a *application.Application) {
			a.Services = strings.Split(strings.Repeat("x", 101), "")
		},
		"webhooks (with fragment)": func(a *application.Application) { a.Webhooks = []string{"https://ezd.gmina.pl/#x"} },
	} {
		a := good
		spoil(&a)
		var wrong *application.FieldError
		name, _, _ := strings.Cut(field, " ")
		if err := a.Check(); !errors.As(err, &wrong) || !strings.Contains(wrong.Field, name) ||
			strings.Contains(err.Error(), "secret") {
			t.Errorf("%s: %v", field, err)
		}
	}
}

// TestServices: who has a list may ask about what stands in it, who has none about all.
func TestServices(t *testing.T) {
	some := application.Application{Terms: application.Terms{Services: []string{"wnioski"}}}
	if all := (application.Application{}); !all.MayUse("wnioski") || !some.MayUse("wnioski") ||
		some.MayUse("przetargi") || some.MayUse("") {
		t.Error("the wrong services are allowed")
	}
}

// TestTokens: a token is found in a header, and its digest tells it from others.
func TestTokens(t *testing.T) {
	secret, kept := application.NewToken(time.Now())
	if other, _ := application.NewToken(time.Now()); other == secret || application.Digest(other) == kept.SHA256 {
		t.Error("two tokens are one")
	}
	if kept.SHA256 != application.Digest(secret) || strings.Contains(kept.SHA256, secret) {
		t.Errorf("%+v of %s", kept, secret)
	}
	if token, err := application.TokenIn("bearer " + secret); err != nil || token != secret {
		t.Errorf("%q, %v", token, err)
	}
	for _, header := range []string{"", secret, "Basic " + secret, "Bearer", "Bearer  " + secret, "Bearer something"} {
		if token, err := application.TokenIn(header); err == nil {
			t.Errorf("%q holds %q", header, token)
		}
	}
}
