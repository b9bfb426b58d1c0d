package registry_test

import (
	"net/netip"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"trustcore/cmd/internal/application"
	"trustcore/cmd/internal/registry/registrytest"
	"trustcore/internal/audit"
)

// TestApplications registers a program, gives it a further token and revokes it; each act is in the log, and no token
// anywhere.
func TestApplications(t *testing.T) {
	now := time.Date(2026, 3, 2, 10, 0, 0, 0, time.UTC)
	r, log := registrytest.Open(t, "sqlite://"+filepath.Join(t.TempDir(), "trust.db"),
		netip.MustParsePrefix("10.64.0.0/16"),
		func() time.Time { now = now.Add(time.Second); return now })
	ctx, officer := t.Context(), audit.Actor{Kind: "officer", ID: "officer-1"}
	ezd := application.Application{Name: "ezd", Terms: application.Terms{OpenBatches: 2}}
	first, err := r.AddApplication(ctx, officer, ezd)
	if err != nil {
		t.Fatal(err)
	}
	for name, a := range map[string]application.Application{"is or was registered": ezd,
		"partner": {Name: "peup", Partner: "nobody"}, "name": {Name: "PeUP"}} {
		if token, err := r.AddApplication(ctx, officer, a); err == nil || token != "" ||
			!strings.Contains(err.Error(), name) {
			t.Errorf("%s: %q, %v", name, token, err)
		}
	}
	secrets := []string{first}
	for range 2 {
		token, err := r.NewApplicationToken(ctx, officer, "ezd")
		if err != nil {
			t.Fatal(err)
		}
		secrets = append(secrets, token)
	}
	all, err := r.Applications(ctx)
	if err != nil || len(all) != 1 || all[0].OpenBatches != 2 || all[0].CreatedBy != "officer-1" ||
		len(all[0].Tokens) != application.MaxTokens ||
		all[0].Tokens[0].SHA256 != application.Digest(secrets[2]) ||
		all[0].Tokens[1].SHA256 != application.Digest(secrets[1]) {
		t.Fatalf("%+v, %v", all, err)
	}
	if err := r.RevokeApplication(ctx, officer, "ezd", " "); err == nil {
		t.Error("revoked without a reason")
	}
	if err := r.RevokeApplication(ctx, officer, "ezd", "switched off"); err != nil {
		t.Fatal(err)
	}
	all, err = r.Applications(ctx)
	if err != nil || len(all) != 1 || all[0].Revoked == nil || len(all[0].Tokens) != 0 {
		t.Errorf("revoked: %+v, %v", all, err)
	}
	if token, err := r.NewApplicationToken(ctx, officer, "ezd"); err == nil || token != "" {
		t.Errorf("a token for a revoked application: %q, %v", token, err)
	}
	if _, err := r.AddApplication(ctx, officer, ezd); err == nil {
		t.Error("the name of a revoked application is given again")
	}
	wantLogged(t, log, secrets)
}

// wantLogged finds the acts in the log, and none of the secrets.
func wantLogged(t *testing.T, log *audit.Log, secrets []string) {
	t.Helper()
	if err := log.Close(t.Context()); err != nil {
		t.Fatal(err)
	}
	entries, err := log.List(t.Context(), audit.Filter{})
	if err != nil {
		t.Fatal(err)
	}
	var text strings.Builder
	for _, e := range entries {
		text.WriteString(e.Action + " " + e.Subject + " " + e.Outcome + " " + e.Reason + "\n")
	}
	for _, want := range []string{"application.add ezd granted", "application.token ezd granted",
		"application.revoke ezd granted switched off"} {
		if !strings.Contains(text.String(), want) {
			t.Errorf("%s is not in the log:\n%s", want, &text)
		}
	}
	for _, secret := range secrets {
		if strings.Contains(text.String(), secret) {
			t.Errorf("a token is in the log:\n%s", &text)
		}
	}
}
