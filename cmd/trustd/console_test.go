package main

import (
	"crypto/sha256"
	"crypto/x509"
	"encoding/hex"
	"encoding/json"
	"testing"
	"time"

	"trustcore/cmd/internal/console"
	"trustcore/cmd/internal/registry"
	"trustcore/internal/audit"
	"trustcore/pki"
)

// TestConsoleDecidesMotions: the console shows what a motion changes, and what it approves is carried out.
func TestConsoleDecidesMotions(t *testing.T) {
	w := newWorld(t, nil)
	w.as("officer-1", "POST", "/v1/motions", map[string]any{"kind": "certificate.revoke", "reason": "superseded",
		"which": map[string]string{"name": "ezd", "profile": "daemon-client"}}, 200, nil)
	key, csr := w.request("officer-3")
	w.as("officer-1", "POST", "/v1/motions", map[string]any{"kind": "officer.certify", "name": "officer-3", "csr": csr}, 200, nil)
	waiting, err := w.motionViews(t.Context())
	w.must(err)
	spki, err := x509.MarshalPKIXPublicKey(&key.PublicKey)
	w.must(err)
	digest := sha256.Sum256(spki)
	if len(waiting) != 2 || len(waiting[0].Certificates) != 1 || waiting[0].Certificates[0].Subject != "ezd" || waiting[0].Reason != "superseded" ||
		waiting[1].Key != hex.EncodeToString(digest[:]) {
		t.Fatalf("%+v", waiting)
	}
	if _, err := w.approveAndCarry(t.Context(), audit.Actor{Kind: "officer", ID: "officer-1"}, waiting[0].ID); err == nil || !w.lives("ezd") {
		t.Errorf("who proposed approves: %v", err)
	}
	for _, m := range waiting {
		done, err := w.approveAndCarry(t.Context(), audit.Actor{Kind: "officer", ID: "officer-2"}, m.ID)
		if err != nil || done.State != registry.CarriedOut {
			t.Errorf("%+v, %v", done, err)
		}
	}
	if w.lives("ezd") {
		t.Error("it is not revoked")
	}
	if waiting, err = w.motionViews(t.Context()); err != nil || len(waiting) != 0 {
		t.Errorf("still %+v, %v", waiting, err)
	}
}

// TestConsoleShowsWhatAMotionTouches: a release touches what is suspended, and a serial number that nobody has touches none.
func TestConsoleShowsWhatAMotionTouches(t *testing.T) {
	w := newInside(t, nil)
	ezd := selector{Serial: w.serial("ezd")}
	touched := func(kind registry.MotionKind, which selector) int {
		t.Helper()
		body, err := json.Marshal(marking{which, "superseded"})
		w.must(err)
		view, err := w.motionView(t.Context(), registry.Motion{Kind: kind, Body: body})
		w.must(err)
		return len(view.Certificates)
	}
	if n := touched(registry.ReleaseCertificates, ezd); n != 0 {
		t.Errorf("a release touches %d certificates of which none is suspended", n)
	}
	if _, err := w.ca.Suspend(t.Context(), audit.Actor{Kind: "officer", ID: "officer-1"}, ezd.which(), ""); err != nil {
		t.Fatal(err)
	}
	if n := touched(registry.ReleaseCertificates, ezd); n != 1 {
		t.Errorf("a release touches %d certificates, one is suspended", n)
	}
	if n := touched(registry.RevokeCertificates, selector{Serial: "77"}); n != 0 {
		t.Errorf("a serial number that nobody has touches %d", n)
	}
}

// TestConsoleShowsWhatExpires maps each kind to what people do.
func TestConsoleShowsWhatExpires(t *testing.T) {
	now := time.Date(2030, 1, 1, 0, 0, 0, 0, time.UTC)
	days := func(n int) time.Time { return now.AddDate(0, 0, n) }
	for name, c := range map[string]struct {
		e    expiry
		want console.Expiry
	}{
		"officer": {expiry{Kind: "officer", Subject: "officer-1", NotAfter: days(13), Due: days(-47), Renewed: byPeople},
			console.Expiry{Kind: "officer", Subject: "officer-1", NotAfter: days(13), Act: true, Step: 14, Remedy: "officer"}},
		"not yet announced": {expiry{Kind: "officer", NotAfter: days(90), Due: days(30), Renewed: byPeople},
			console.Expiry{Kind: "officer", NotAfter: days(90), Step: 60, Remedy: "officer"}},
		"by itself": {expiry{Kind: "crl", NotAfter: days(6), Due: days(2), Renewed: byItself},
			console.Expiry{Kind: "crl", NotAfter: days(6), ByItself: true, Step: 7, Remedy: "authority"}},
		"late": {expiry{Kind: "daemon-client", NotAfter: days(6), Due: days(-4), Renewed: byItself, Failure: "no key"},
			console.Expiry{Kind: "daemon-client", NotAfter: days(6), ByItself: true, Act: true, Step: 7, Remedy: "holder", Failure: "no key"}},
	} {
		if got := c.e.view(now); got != c.want {
			t.Errorf("%s: %+v\nwant %+v", name, got, c.want)
		}
	}
	for want, e := range map[string]expiry{"root-list": {Kind: "crl", Renewed: byPeople}, "ceremony": {Kind: "issuing", Renewed: byPeople},
		"token":         {Kind: registry.EndOfToken, Renewed: byPeople},
		"authorisation": {Kind: "partner-client", Cut: string(pki.CutByAuthorisation), Renewed: byPeople}} {
		if got := e.remedyWord(); got != want {
			t.Errorf("%+v: %s, want %s", e, got, want)
		}
	}
}
