package main

import (
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"net/netip"
	"os"
	"strings"
	"testing"
	"time"

	"trustcore/vpn"
	"trustcore/vpn/hub"
	"trustcore/vpn/office"
)

// set has the core set settings for the office.
func (r *rotating) set(serial int64, change func(*office.Settings)) {
	r.t.Helper()
	enrolled, err := state{r.dir}.enrolled()
	if err != nil {
		r.t.Fatal(err)
	}
	e := enrolled.Enrolment
	s := office.Settings{Serial: serial, Partner: e.Partner, Site: e.Site, Address: e.Address, PublicKey: e.Hub.PublicKey, Endpoint: e.Hub.Endpoint, Addresses: e.Hub.Addresses, Services: e.Services}
	if change != nil {
		change(&s)
	}
	cert, err := x509.ParseCertificate(r.serverCertificate().Certificate[0])
	if err != nil {
		r.t.Fatal(err)
	}
	text, err := s.Sign(r.key, []*x509.Certificate{cert})
	if err != nil {
		r.t.Fatal(err)
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.settings = text
}

// kept are the settings on disk, number 0 when there are none.
func (r *rotating) kept() office.Settings {
	r.t.Helper()
	data, err := os.ReadFile(state{r.dir}.path(settingsFile))
	if errors.Is(err, fs.ErrNotExist) {
		return office.Settings{}
	}
	var kept settingsOf
	if err == nil {
		err = json.Unmarshal(data, &kept)
	}
	if err != nil {
		r.t.Fatal(err)
	}
	return kept.Settings
}

// ask has the office ask the core now, by a rotation.
func (r *rotating) ask() error {
	_, err := trustlink(r.t.Context(), "rotate", "--state", r.dir, office.Key)
	return err
}

// TestOfficeFollowsSettings takes the core's settings over while the tunnel is up and keeps them; those by which the
// core is not reached, and older ones, are not taken.
func TestOfficeFollowsSettings(t *testing.T) {
	r := newRotating(t)
	_, stop := bringUp(t, r.dir)
	defer func() { stop() }()
	service := office.Service{Name: "registry", Addr: netip.MustParseAddrPort("10.80.0.7:443")}
	r.set(5, func(s *office.Settings) { s.Services, s.MTU = append(s.Services, service), 1300 })
	if err := r.ask(); err != nil {
		t.Fatal(err)
	}
	if s := r.kept(); s.Serial != 5 || len(s.Services) != 2 || s.MTU != 1300 {
		t.Fatalf("kept %+v", s)
	}
	r.set(6, func(s *office.Settings) { s.Endpoint = "127.0.0.1:1" })
	if err := r.ask(); err == nil || !strings.Contains(err.Error(), "does not lead to the core") {
		t.Fatalf("an endpoint where nobody is: %v", err)
	}
	r.set(4, nil)
	if err := r.ask(); err == nil || !strings.Contains(err.Error(), "older than number 5") {
		t.Errorf("older: %v", err)
	}
	if s := r.kept(); s.Serial != 5 {
		t.Errorf("kept %+v", s)
	}
	r.mu.Lock()
	r.settings = ""
	r.mu.Unlock()
	if err := r.ask(); err != nil {
		t.Errorf("the tunnel is not what it was: %v", err)
	}
	stop()
	enrolled, err := state{r.dir}.enrolled()
	if err != nil || len(enrolled.Enrolment.Services) != 2 || enrolled.settings.MTU != 1300 {
		t.Errorf("at the next start: %+v, %v", enrolled.Enrolment.Services, err)
	}
	if conf, err := trustlink(t.Context(), "show", "--state", r.dir); err != nil || !strings.Contains(conf, "10.80.0.7/32") {
		t.Errorf("conf %q, %v", conf, err)
	}
	_, stop = bringUp(t, r.dir)
}

// TestOfficeFollowsTheHub changes over to the hub's next key, stays with it over a start, and is where the hub is
// when that has ended the former one. A next key that does not answer changes nothing.
func TestOfficeFollowsTheHub(t *testing.T) {
	r := newRotating(t)
	_, stop := bringUp(t, r.dir)
	defer func() { stop() }()
	key, err := vpn.GeneratePrivateKey()
	if err != nil {
		t.Fatal(err)
	}
	next, err := hub.Open(hub.Config{Mode: vpn.ModeNetstack, Interface: "none", PrivateKey: key, Addresses: []netip.Prefix{netip.MustParsePrefix("10.64.0.1/32")},
		StateDir: t.TempDir(), Log: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { next.Close() })
	status, err := next.Status(time.Now())
	if err != nil {
		t.Fatal(err)
	}
	at := fmt.Sprintf("127.0.0.1:%d", status.ListenPort)
	r.set(5, func(s *office.Settings) { s.Next = &office.NextHub{PublicKey: key.Public(), Endpoint: at} })
	if err := r.ask(); err == nil || !strings.Contains(err.Error(), "no such key") {
		t.Errorf("a key that the core does not know: %v", err)
	}
	r.mu.Lock()
	r.next = next
	r.mu.Unlock()
	r.set(6, func(s *office.Settings) { s.Next = &office.NextHub{PublicKey: key.Public(), Endpoint: "127.0.0.1:1"} })
	if err := r.ask(); err == nil || !strings.Contains(err.Error(), "does not answer by its next key") {
		t.Errorf("an endpoint where nobody is: %v", err)
	}
	former := r.kept().PublicKey
	r.set(7, func(s *office.Settings) { s.Next = &office.NextHub{PublicKey: key.Public(), Endpoint: at} })
	if err := r.ask(); err != nil {
		t.Fatal(err)
	}
	followed := func(when string) {
		t.Helper()
		enrolled, err := state{r.dir}.enrolled()
		if err != nil || enrolled.Enrolment.Hub.PublicKey != key.Public() || enrolled.Enrolment.Hub.Endpoint != at {
			t.Errorf("%s: %+v, %v", when, enrolled.Enrolment.Hub, err)
		}
	}
	followed("at once")
	stop()
	_, stop = bringUp(t, r.dir)
	followed("after a start")
	r.set(8, nil)
	r.mu.Lock()
	r.ended = true
	_, err = r.hub.Withdraw()
	r.mu.Unlock()
	if err != nil {
		t.Fatal(err)
	}
	agree := func() error {
		_, err := trustlink(t.Context(), "rotate", "--state", r.dir, office.PresharedKey)
		return err
	}
	if err := agree(); err != nil || r.kept().Serial != 8 {
		t.Errorf("after the end of the former key: %v, number %d", err, r.kept().Serial)
	}
	followed("after its end")
	r.set(9, func(s *office.Settings) { s.PublicKey = former })
	if err := agree(); err == nil || !strings.Contains(err.Error(), "another hub") {
		t.Errorf("settings of a hub that is not the office's: %v", err)
	}
}

// TestSettingsOfTheEnrolmentBefore are not those of the next one.
func TestSettingsOfTheEnrolmentBefore(t *testing.T) {
	s := state{t.TempDir()}
	if err := s.writeJSON(settingsFile, settingsOf{TokenSHA256: "old", Settings: office.Settings{Serial: 9, PublicKey: vpn.Key{31: 9}, Endpoint: "old.example.org:1"}}); err != nil {
		t.Fatal(err)
	}
	r := record{TokenSHA256: "new"}
	if err := s.follow(&r); err != nil || r.settings.Serial != 0 || r.Enrolment.Hub.Endpoint != "" {
		t.Errorf("%+v, %v", r, err)
	}
}
