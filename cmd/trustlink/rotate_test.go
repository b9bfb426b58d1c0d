package main

import (
	"context"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/base64"
	"encoding/json"
	"errors"
	"io"
	"math/big"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"trustcore/vpn"
	"trustcore/vpn/hub"
	"trustcore/vpn/office"
)

// rotating is a core with the gateway at which offices rotate, and an office that is enrolled.
type rotating struct {
	*core
	t   *testing.T
	dir string

	mu       sync.Mutex
	peer     vpn.PeerWish // guarded by mu, as is all below
	revision int64
	serial   int64
	offered  vpn.PresharedKey
	wanted   []string // that the office is asked to rotate
	settings string   // signed
	next     *hub.Hub // the hub's next key; nil while it does not change
	ended    bool     // the former key has
	crash    string   // the route, and "before" or "after", at which the office's process ends
	left     string   // a copy of the office's folder at that moment
	crashed  chan struct{}
}

func newRotating(t *testing.T) *rotating {
	t.Helper()
	r := &rotating{core: startCore(t), t: t, dir: t.TempDir(), crashed: make(chan struct{})}
	gateway := httptest.NewUnstartedServer(r)
	pool := x509.NewCertPool()
	pool.AddCert(r.ca)
	gateway.TLS = &tls.Config{Certificates: []tls.Certificate{r.serverCertificate()}, ClientAuth: tls.RequireAndVerifyClientCert, ClientCAs: pool}
	gateway.StartTLS()
	t.Cleanup(gateway.Close)
	r.backend = netip.MustParseAddrPort(gateway.Listener.Addr().String())
	r.spoil = func(e *office.Enrolment) { r.enrolled(e) }
	if _, err := trustlink(t.Context(), "enrol", "--state", r.dir, "--url", r.server.URL, "--ca", r.caFile(t), "--token", "right"); err != nil {
		t.Fatal(err)
	}
	r.follow()
	return r
}

func (r *rotating) serverCertificate() tls.Certificate {
	template := &x509.Certificate{SerialNumber: big.NewInt(3), Subject: pkix.Name{CommonName: "trustd"}, NotBefore: time.Now().Add(-time.Hour),
		NotAfter: time.Now().Add(time.Hour), IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}}
	der, err := x509.CreateCertificate(rand.Reader, template, r.ca, r.key.Public(), r.key)
	if err != nil {
		r.t.Fatal(err)
	}
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: r.key}
}

// enrolled has the hub let the office in by the pre-shared key that both agree on.
func (r *rotating) enrolled(e *office.Enrolment) {
	key, err := vpn.ParseKey(r.first.PublicKey)
	if err != nil {
		r.t.Error(err)
		return
	}
	r.peer = vpn.PeerWish{Partner: e.Partner, Site: e.Site, PublicKey: key, Addresses: e.Address,
		Services: []vpn.Service{{Name: gatewayService, Proto: "tcp", Addr: r.service, Backend: r.backend}}}
	if r.first.Exchange != "" {
		public, err := base64.StdEncoding.DecodeString(r.first.Exchange)
		if err == nil {
			e.Encapsulated, r.peer.PresharedKey, err = vpn.Agree(public, key, 1)
		}
		if err != nil {
			r.t.Error(err)
		}
		r.serial = 1
	}
	r.apply()
}

func (r *rotating) apply() {
	r.revision = max(r.revision, 1) + 1
	present := r.hub
	if r.ended {
		present = r.next
	}
	if _, err := present.Apply(vpn.Wish{Revision: r.revision, Peers: []vpn.PeerWish{r.peer}}); err != nil {
		r.t.Error(err)
	}
}

// follow calls the hub as its daemon does.
func (r *rotating) follow() {
	end, ended := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(ended)
		for {
			select {
			case <-end:
				return
			case <-time.After(20 * time.Millisecond):
				if _, err := r.hub.Follow(); err != nil {
					r.t.Error(err)
				}
			}
		}
	}()
	r.t.Cleanup(func() { close(end); <-ended })
}

// ServeHTTP is the core's half of rotations, and the end of the office's process where that is planned.
func (r *rotating) ServeHTTP(w http.ResponseWriter, q *http.Request) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.end(q.URL.Path + " before")
	answer, refused := r.serve(q)
	r.end(q.URL.Path + " after")
	if refused != "" {
		http.Error(w, `{"detail":"`+refused+`"}`, http.StatusConflict)
		return
	}
	json.NewEncoder(w).Encode(answer)
}

func (r *rotating) end(at string) {
	if r.crash != at {
		return
	}
	r.crash, r.left = "", r.t.TempDir()
	entries, err := os.ReadDir(r.dir)
	if err != nil {
		r.t.Error(err)
	}
	for _, e := range entries {
		data, err := os.ReadFile(filepath.Join(r.dir, e.Name()))
		if err == nil {
			err = os.WriteFile(filepath.Join(r.left, e.Name()), data, 0o600)
		}
		if err != nil {
			r.t.Error(err)
		}
	}
	close(r.crashed)
	panic(http.ErrAbortHandler)
}

func (r *rotating) serve(q *http.Request) (answer any, refused string) {
	switch q.Method + " " + q.URL.Path {
	case "GET " + office.StandingRoute:
		return office.Standing{PublicKey: r.peer.PublicKey, NextKey: r.peer.NextKey, Serial: r.serial, Rotate: r.wanted, Settings: r.settings}, ""
	case "POST " + office.PresharedRoute:
		var in office.PresharedOffer
		r.read(q, &in)
		answer := office.PresharedAnswer{Serial: r.serial + 1}
		var err error
		if answer.Encapsulated, r.offered, err = vpn.Agree(in.Exchange, r.peer.PublicKey, answer.Serial); err != nil {
			return nil, err.Error()
		}
		return answer, ""
	case "POST " + office.PresharedConfirmRoute:
		var in office.PresharedConfirmation
		r.read(q, &in)
		switch {
		case in.Serial == r.serial && r.peer.PresharedKey.Proves(in.Proof, r.peer.PublicKey, in.Serial):
		case in.Serial == r.serial+1 && r.offered.Proves(in.Proof, r.peer.PublicKey, in.Serial):
			r.peer.PresharedKey, r.serial = r.offered, in.Serial
			r.wanted = nil
			r.apply()
		default:
			return nil, "begin again"
		}
	case "POST " + office.KeyRoute:
		r.peer.NextKey = r.keyIn(q)
		r.apply()
	case "POST " + office.KeyConfirmRoute:
		if key := r.keyIn(q); key != r.peer.PublicKey {
			if key != r.peer.NextKey {
				return nil, "begin again"
			}
			r.peer.PublicKey, r.peer.NextKey = key, vpn.Key{}
			r.apply()
		}
	case "POST " + office.HubRoute:
		if r.next == nil || r.keyIn(q) != r.next.PublicKey() {
			return nil, "no such key"
		}
		if _, err := r.next.Apply(vpn.Wish{Revision: 1, Peers: []vpn.PeerWish{r.peer}}); err != nil {
			return nil, err.Error()
		}
	default:
		return nil, "no such route"
	}
	return office.Carried{InForce: true}, ""
}

func (r *rotating) keyIn(q *http.Request) vpn.Key {
	var in office.KeyChange
	r.read(q, &in)
	key, err := vpn.ParseKey(in.PublicKey)
	if err != nil {
		r.t.Error(err)
	}
	return key
}

func (r *rotating) read(q *http.Request, into any) {
	if err := json.NewDecoder(q.Body).Decode(into); err != nil {
		r.t.Error(err)
	}
}

// same says where office and hub differ, "" when both have the same secrets and nothing is under way.
func (r *rotating) same() string {
	r.mu.Lock()
	defer r.mu.Unlock()
	s := state{r.dir}
	enrolled, err := s.enrolled()
	if err != nil {
		return err.Error()
	}
	kept, err := s.secrets(enrolled)
	if err != nil {
		return err.Error()
	}
	own, err := s.wireguardKey()
	switch {
	case err != nil:
		return err.Error()
	case own.Public() != r.peer.PublicKey:
		return "another key"
	case r.peer.NextKey != vpn.Key{}:
		return "a next key"
	case kept.InUse.Key != r.peer.PresharedKey || kept.InUse.Serial != r.serial:
		return "another pre-shared key"
	case kept.Offered != nil:
		return "an offer"
	case enrolled.Enrolment.Hub.PresharedKey != r.peer.PresharedKey:
		return "another conf"
	}
	return ""
}

func (r *rotating) wantSame(when string) {
	r.t.Helper()
	if differ := r.same(); differ != "" {
		r.t.Errorf("%s: office and hub differ: %s", when, differ)
	}
}

// secretsOf are the secrets of the office, as one text.
func (r *rotating) secretsOf() string {
	r.mu.Lock()
	defer r.mu.Unlock()
	text, _ := r.peer.PresharedKey.MarshalText() // never fails
	return r.peer.PublicKey.String() + string(text)
}

// TestEnrolledWithAPresharedKey agrees on one at enrolment, also over an interruption, and keeps nothing of the
// agreement.
func TestEnrolledWithAPresharedKey(t *testing.T) {
	r := newRotating(t)
	if r.peer.PresharedKey.IsZero() {
		t.Fatal("none was agreed on")
	}
	r.wantSame("enrolled")
	if _, err := os.Stat(filepath.Join(r.dir, exchangeFile)); err == nil {
		t.Error("the half of the agreement is kept")
	}
	if conf, err := trustlink(t.Context(), "show", "--state", r.dir); err != nil || !strings.Contains(conf, "PresharedKey = ") {
		t.Errorf("conf %q, %v", conf, err)
	}
	_, stop := bringUp(t, r.dir)
	stop()
}

// TestRotateByHand rotates both secrets while a connection goes on, and one of them at the core's wish.
func TestRotateByHand(t *testing.T) {
	r := newRotating(t)
	if out, err := trustlink(t.Context(), "rotate", "--state", r.dir); err == nil || !strings.Contains(err.Error(), "trustlink up") {
		t.Errorf("with no tunnel up: %q, %v", out, err)
	}
	ready, stop := bringUp(t, r.dir)
	defer stop()
	client := r.client()
	ask := func() error {
		response, err := client.Get("https://" + ready.Forwards[0].Local.String() + office.StandingRoute)
		if err == nil {
			_, err = io.Copy(io.Discard, response.Body) // else the connection is not used again
			response.Body.Close()
		}
		return err
	}
	if err := ask(); err != nil {
		t.Fatal(err)
	}
	for _, names := range [][]string{{}, {"preshared-key"}, {"key"}} {
		before := r.secretsOf()
		if out, err := trustlink(t.Context(), append([]string{"rotate", "--state", r.dir}, names...)...); err != nil || !strings.Contains(out, "rotated: ") {
			t.Fatalf("%v: %q, %v", names, out, err)
		}
		r.wantSame(strings.Join(names, ","))
		if r.secretsOf() == before {
			t.Errorf("%v: nothing changed", names)
		}
		if err := ask(); err != nil { // over the connection of before
			t.Errorf("%v: the connection broke: %v", names, err)
		}
	}
	if _, err := trustlink(t.Context(), "rotate", "--state", r.dir, "everything"); err == nil {
		t.Error("a secret that there is not was taken")
	}
}

// client speaks through one connection, which it does not replace.
func (r *rotating) client() *http.Client {
	settings, err := state{r.dir}.identity().Client()
	if err != nil {
		r.t.Fatal(err)
	}
	dialled := false
	transport := &http.Transport{TLSClientConfig: settings, DialContext: func(ctx context.Context, network, address string) (net.Conn, error) {
		if dialled {
			return nil, errors.New("it broke")
		}
		dialled = true
		return new(net.Dialer).DialContext(ctx, network, address)
	}}
	r.t.Cleanup(transport.CloseIdleConnections)
	return &http.Client{Transport: transport, Timeout: patience}
}

// TestRotateAtTheCoresWish rotates what the core asks for, an office that enrolled without a pre-shared key too.
func TestRotateAtTheCoresWish(t *testing.T) {
	r := newRotating(t)
	r.mu.Lock()
	r.peer.PresharedKey, r.serial, r.wanted = vpn.PresharedKey{}, 0, []string{office.PresharedKey}
	r.apply()
	r.mu.Unlock()
	data := read(t, r.dir, officeFile) // as of a version before
	var kept record
	if err := json.Unmarshal([]byte(data), &kept); err != nil {
		t.Fatal(err)
	}
	kept.Enrolment.Hub.PresharedKey = vpn.PresharedKey{}
	if err := (state{r.dir}).writeJSON(officeFile, kept); err != nil {
		t.Fatal(err)
	}
	r.wantSame("without one")
	_, stop := bringUp(t, r.dir)
	defer stop()
	eventually(t, "the office has one", func() bool {
		r.mu.Lock()
		serial := r.serial
		r.mu.Unlock()
		return serial == 1 && r.same() == ""
	})
}

// TestCrashWhileRotating ends the office's process at every step of both rotations. It comes back with what lies on
// disk, gets through, and both ends have the same secrets after the next rotation.
func TestCrashWhileRotating(t *testing.T) {
	for _, route := range []string{office.PresharedRoute, office.PresharedConfirmRoute, office.KeyRoute, office.KeyConfirmRoute} {
		for _, when := range []string{"before", "after"} {
			t.Run(strings.TrimPrefix(route, "/v1/tunnel/")+" "+when, func(t *testing.T) {
				t.Parallel()
				r := newRotating(t)
				_, stop := bringUp(t, r.dir)
				r.mu.Lock()
				r.crash = route + " " + when
				r.mu.Unlock()
				asked := make(chan struct{})
				ctx, cancel := context.WithCancel(t.Context())
				go func() {
					defer close(asked)
					_, _ = trustlink(ctx, "rotate", "--state", r.dir) // which nobody answers
				}()
				<-r.crashed
				cancel()
				<-asked
				stop()
				r.mu.Lock()
				r.dir = r.left
				r.mu.Unlock()
				_, stop = bringUp(t, r.dir)
				defer stop()
				eventually(t, "both ends have the same", func() bool { return r.same() == "" || r.peerChanges() })
				if out, err := trustlink(t.Context(), "rotate", "--state", r.dir); err != nil {
					t.Fatalf("after the crash: %q, %v", out, err)
				}
				r.wantSame("after the crash")
			})
		}
	}
}

// peerChanges says whether the hub still waits for the office to use its next key.
func (r *rotating) peerChanges() bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.peer.NextKey != vpn.Key{}
}

// TestTakenBackCore has the core come back with the pre-shared key of before: the office has kept it, and gets through.
func TestTakenBackCore(t *testing.T) {
	t.Parallel()
	r := newRotating(t)
	_, stop := bringUp(t, r.dir)
	before := r.peer.PresharedKey
	if _, err := trustlink(t.Context(), "rotate", "--state", r.dir, office.PresharedKey); err != nil {
		t.Fatal(err)
	}
	stop()
	r.mu.Lock()
	r.peer.PresharedKey, r.serial = before, 1
	r.apply()
	r.mu.Unlock()
	_, stop = bringUp(t, r.dir)
	defer stop()
	eventually(t, "the office uses the one of before", func() bool { return r.same() == "" })
}

// TestKeysSurviveEveryWrite stops the exchange of key files after each of its writes: the key that the hub has is
// among those that the office tries.
func TestKeysSurviveEveryWrite(t *testing.T) {
	for _, from := range []string{nextKeyFile, formerKeyFile} {
		s := state{t.TempDir()}
		keys := map[string]vpn.PrivateKey{}
		for _, file := range []string{wireguardKeyFile, from} {
			key, err := vpn.LoadOrCreateKey(s.path(file))
			if err != nil {
				t.Fatal(err)
			}
			keys[file] = key
		}
		if err := s.takeKey(from); err != nil {
			t.Fatal(err)
		}
		all, err := s.candidates(secrets{})
		if err != nil || len(all) != 2 || all[0].PrivateKey != keys[from] || all[1].PrivateKey != keys[wireguardKeyFile] || all[1].file != formerKeyFile {
			t.Errorf("from %s: %d candidates, %v", from, len(all), err)
		}
	}
}

// TestSecretsOfTheEnrolmentBefore are not those of the next one.
func TestSecretsOfTheEnrolmentBefore(t *testing.T) {
	s := state{t.TempDir()}
	if err := s.keepSecrets(secrets{TokenSHA256: "old", InUse: agreed{7, vpn.PresharedKey{7}}}); err != nil {
		t.Fatal(err)
	}
	r := record{TokenSHA256: "new"}
	r.Enrolment.Hub.PresharedKey = vpn.PresharedKey{1}
	if kept, err := s.secrets(r); err != nil || kept.InUse.Serial != 1 || kept.InUse.Key != r.Enrolment.Hub.PresharedKey {
		t.Errorf("%+v, %v", kept.InUse.Serial, err)
	}
}

// eventually asks until the condition holds, and fails the test when it does not in time.
func eventually(t *testing.T, what string, condition func() bool) {
	t.Helper()
	deadline := time.Now().Add(3 * patience)
	for !condition() {
		if time.Now().After(deadline) {
			t.Fatalf("not within %v: %s", 3*patience, what)
		}
		time.Sleep(20 * time.Millisecond) // between two looks
	}
}
