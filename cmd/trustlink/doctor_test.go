package main

import (
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"trustcore/vpn"
	"trustcore/vpn/tunnel"
)

// wellBut asks the doctor, and returns what was found but for what this computer has of routes and firewalls.
func wellBut(t *testing.T, dir string) (found []string) {
	t.Helper()
	out, err := trustlink(t.Context(), "doctor", "--json", "--state", dir)
	var all []examination
	if failed := json.Unmarshal([]byte(out), &all); failed != nil {
		t.Fatalf("%q, %v", out, failed)
	}
	something := false
	for _, e := range all {
		something = something || len(e.Findings) > 0
		for _, f := range e.Findings {
			if f.Remedy == "" {
				t.Errorf("%s has no remedy", f.What)
			}
			if e.What != "way to the hub" {
				found = append(found, e.What+": "+f.What)
			}
		}
	}
	if errors.Is(err, exitCode(3)) != something || !something && err != nil {
		t.Errorf("found %+v, and the end is %v", all, err)
	}
	return found
}

func TestDoctor(t *testing.T) {
	c, dir := startCore(t), filepath.Join(t.TempDir(), "state")
	if _, err := trustlink(t.Context(), "doctor", "--state", dir); err == nil || !strings.Contains(err.Error(), "trustlink enrol") {
		t.Errorf("without an enrolment: %v", err)
	}
	if _, err := trustlink(t.Context(), "enrol", "--state", dir, "--url", c.server.URL, "--ca", c.caFile(t), "--token", "right"); err != nil {
		t.Fatal(err)
	}
	want := func(when, what string) {
		t.Helper()
		if found := strings.Join(wellBut(t, dir), "; "); found != what {
			t.Errorf("%s: %q, want %q", when, found, what)
		}
	}
	want("nothing runs", "tunnel: the tunnel is not running here")
	_, stop := bringUp(t, dir)
	defer stop()
	want("the tunnel is up", "")
	out, err := trustlink(t.Context(), "doctor", "--state", dir)
	if !strings.Contains(out, "tunnel: well\nservices: well\n") || err != nil && !errors.Is(err, exitCode(3)) {
		t.Errorf("for people: %q, %v", out, err)
	}
	file := filepath.Join(dir, certificateFile)
	tomorrow := time.Now().Add(24 * time.Hour)
	if err := os.Chtimes(file, tomorrow, tomorrow); err != nil {
		t.Fatal(err)
	}
	want("the clock was set back", "clock: the clock was set back: certificate.pem is of "+date(tomorrow))
	if err := os.WriteFile(file, []byte("none"), 0o600); err != nil {
		t.Fatal(err)
	}
	want("the certificate is damaged", "certificate: the certificate in "+file+" can't be read: it holds no PEM certificate")
}

// TestDoctorOnTheCertificate looks at the sample's, which holds for an hour, at several times.
func TestDoctorOnTheCertificate(t *testing.T) {
	c, dir := startCore(t), t.TempDir()
	if _, err := trustlink(t.Context(), "enrol", "--state", dir, "--url", c.server.URL, "--ca", c.caFile(t), "--token", "right"); err != nil {
		t.Fatal(err)
	}
	for after, want := range map[time.Duration]string{
		-time.Hour: "the clock is behind", time.Minute: "", 58 * time.Minute: "was not renewed", 2 * time.Hour: "ended on",
	} {
		found := state{dir}.certificateFindings(time.Now().Add(after))
		if len(found) > 1 || len(found) == 1 != (want != "") || len(found) == 1 && !strings.Contains(found[0].What, want) {
			t.Errorf("after %v: %+v, want %q", after, found, want)
		}
	}
}

// TestStatusOfTheTunnel holds when status says by its end that all is well, and what the doctor makes of it.
func TestStatusOfTheTunnel(t *testing.T) {
	now := time.Now()
	for _, c := range []struct {
		running *runtime
		up      bool
		said    string
	}{
		{nil, false, "is not running"},
		{&runtime{Tunnel: tunnel.Status{State: vpn.StateUp}}, true, ""},
		{&runtime{Tunnel: tunnel.Status{State: vpn.StateNever}}, false, "never answered"},
		{&runtime{Tunnel: tunnel.Status{State: vpn.StateStale, LastHandshake: now.Add(-200 * time.Second)}}, false, "3m20s ago"},
		{&runtime{Tunnel: tunnel.Status{State: vpn.StateDown, LastHandshake: now.Add(-time.Hour)}}, false, "1h0m0s ago"},
	} {
		r := report{tunnel: true, Running: c.running != nil, Runtime: c.running}
		found := tunnelFindings(c.running, now)
		if r.up() != c.up || (len(found) == 0) != c.up || !c.up && !strings.Contains(found[0].What, c.said) {
			t.Errorf("%+v: up %v, found %+v", c.running, r.up(), found)
		}
	}
	if !(report{}).up() {
		t.Error("an office without a tunnel is not up")
	}
}
