package main

import (
	"encoding/json"
	"net/http"
	"os"
	"strings"
	"testing"

	"trustcore/cmd/internal/config"
	"trustcore/cmd/internal/httpserver"
	"trustcore/verify/client"
)

const oneCard = "version: 1\ncards:\n- {id: podatki, accepts: [qualified], days: 14}\n"

// TestServiceCardsOfTheDaemon: the cards of the file are listed, judged by, and read again when the file changes; one
// that can't be read is not taken.
func TestServiceCardsOfTheDaemon(t *testing.T) {
	o := newOffice(t)
	write := func(text string) {
		t.Helper()
		if err := os.WriteFile(o.path("cards.yaml"), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	write(oneCard)
	cfg := o.daemonConfig()
	cfg.ServiceCards = o.path("cards.yaml")
	asks := o.serveFor(cfg)
	var services client.Services
	listed := func(id string, days int) bool {
		if !get(asks, "https://"+cfg.Listen+"/v1/services", &services) {
			return false
		}
		for _, s := range services.Services {
			if s.ID == id && s.Days == days {
				return true
			}
		}
		return false
	}
	o.wait("the card", func() bool { return listed("podatki", 14) })
	outcome := func(query string) (int, string) {
		t.Helper()
		response, err := asks.Post("https://"+cfg.Listen+"/v1/validations"+query, "text/plain", strings.NewReader("wniosek"))
		if err != nil {
			t.Fatal(err)
		}
		defer response.Body.Close()
		var answer struct {
			Service struct{ Outcome string }
			Detail  string
		}
		if err := json.NewDecoder(response.Body).Decode(&answer); err != nil {
			t.Fatal(err)
		}
		return response.StatusCode, answer.Service.Outcome + answer.Detail
	}
	if status, said := outcome("?service=podatki"); status != http.StatusOK || said != "formal-defect" {
		t.Errorf("%d %s", status, said)
	}
	if status, said := outcome("?service=skargi"); status != http.StatusBadRequest || !strings.Contains(said, "name one of podatki") {
		t.Errorf("%d %s", status, said)
	}
	write(strings.Replace(oneCard, "14", "30", 1) + "- {id: skargi, accepts: [seal]}\n")
	o.wait("a file that changed", func() bool { return listed("podatki", 30) && listed("skargi", 7) })
	write("version: 1\ncards:\n- {id: podatki, accepts: [anything]}\n")
	o.hangup()
	var health health
	o.wait("a file that can't be used", func() bool {
		return get(asks, "http://"+cfg.Operations+"/health", &health) && health.Status == httpserver.Amber && health.says("service cards")
	})
	if !listed("podatki", 30) || health.Details.Cards != 2 {
		t.Errorf("not the last known good: %+v, %d", services, health.Details.Cards)
	}
}

// TestServiceCardsOfTheConfiguration: nothing starts by cards that can't be read.
func TestServiceCardsOfTheConfiguration(t *testing.T) {
	o := newOffice(t)
	o.daemonConfig()
	file, err := os.ReadFile(o.path("verifyd.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	for content, want := range map[string]string{oneCard: "", "version: 2\n": "version must be 1", strings.Repeat("#", 2<<20): "too large"} {
		if err := os.WriteFile(o.path("cards.yaml"), []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(o.path("verifyd.yaml"), append(file, []byte("service_cards: "+o.path("cards.yaml")+"\n")...), 0o600); err != nil {
			t.Fatal(err)
		}
		err := command().Run(t.Context(), []string{"--check", "--config", o.path("verifyd.yaml")})
		if (err == nil) != (want == "") || err != nil && (!strings.Contains(err.Error(), want) || !strings.Contains(err.Error(), "service_cards")) {
			t.Errorf("%.20q: %v", content, err)
		}
	}
	cfg := Defaults()
	if err := os.WriteFile(o.path("verifyd.yaml"), append(file, []byte("service_cards: cards.yaml\n")...), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := config.Load(o.path("verifyd.yaml"), &cfg); err == nil || !strings.Contains(err.Error(), "service_cards") {
		t.Errorf("a relative path: %v", err)
	}
}
