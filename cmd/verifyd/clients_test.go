package main

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"trustcore/cmd/internal/application"
	"trustcore/cmd/internal/httpserver"
	"trustcore/cmd/internal/identity"
	"trustcore/cmd/internal/rights"
)

// core answers as trustd does: the list when it is another, else it waits.
type core struct {
	mu      sync.Mutex
	list    rights.Clients // guarded by mu
	changed chan struct{}  // guarded by mu; closed at a change
	away    bool           // guarded by mu
}

func (c *core) set(list rights.Clients, away bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.list, c.away = list, away
	close(c.changed)
	c.changed = make(chan struct{})
}

func (c *core) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	for {
		c.mu.Lock()
		list, changed, away := c.list, c.changed, c.away
		c.mu.Unlock()
		if away {
			http.Error(w, "away", http.StatusServiceUnavailable)
			return
		}
		if list.Digest != r.URL.Query().Get("have") {
			_ = json.NewEncoder(w).Encode(list) // a client that went away has no use for it
			return
		}
		select {
		case <-changed:
		case <-r.Context().Done():
			return
		}
	}
}

// follow runs what verifyd follows trustd by, against a trustd whose list changes, and returns the address that it guards.
func (o *office) follow(clients string) (trustd *core, known *clients, url string) {
	o.t.Helper()
	trustd = &core{changed: make(chan struct{})}
	server := httptest.NewUnstartedServer(trustd)
	o.identity("trustd", 11)
	pair, err := tls.LoadX509KeyPair(filepath.Join(o.dir, "trustd.pem"), filepath.Join(o.dir, "trustd.key"))
	if err != nil {
		o.t.Fatal(err)
	}
	server.TLS = &tls.Config{Certificates: []tls.Certificate{pair}, MinVersion: tls.VersionTLS13}
	server.StartTLS()
	o.t.Cleanup(server.Close)
	own := o.identity("verifyd", 12)
	cfg := Config{Clients: clients, Trustd: server.URL, Identity: own, ClientsFor: time.Hour}
	if known, err = cfg.clients(slog.New(slog.DiscardHandler)); err != nil {
		o.t.Fatal(err)
	}
	ctx, stop := context.WithCancel(o.t.Context())
	var running sync.WaitGroup
	running.Go(func() { _ = known.Run(ctx) }) // ends with nil
	o.t.Cleanup(func() { stop(); running.Wait() })
	return trustd, known, serveGuarded(o.t, own, known)
}

// awaitAnswer asks again until the answer has a status.
func awaitAnswer(t *testing.T, client *http.Client, url, token, step string, status int) {
	t.Helper()
	for deadline := time.Now().Add(30 * time.Second); ; {
		request, err := http.NewRequestWithContext(t.Context(), http.MethodGet, url, nil)
		if err != nil {
			t.Fatal(err)
		}
		if token != "" {
			request.Header.Set("Authorization", "Bearer "+token)
		}
		response, err := client.Do(request)
		if err != nil {
			t.Fatal(err)
		}
		text, err := io.ReadAll(response.Body)
		if response.Body.Close(); response.StatusCode == status {
			return
		}
		if time.Now().After(deadline) {
			t.Fatalf("%s: %d %s %v, want %d", step, response.StatusCode, text, err, status)
		}
	}
}

// TestOnlyWhoCountsIsLetIn runs verifyd with clients: certificate against a trustd whose list changes.
func TestOnlyWhoCountsIsLetIn(t *testing.T) {
	o := newOffice(t)
	trustd, known, url := o.follow("certificate")
	settings, err := o.identity("ezd", 13).Client()
	if err != nil {
		t.Fatal(err)
	}
	client := &http.Client{Transport: &http.Transport{TLSClientConfig: settings}, Timeout: time.Minute}
	t.Cleanup(client.CloseIdleConnections)
	await := func(step string, status int) {
		t.Helper()
		awaitAnswer(t, client, url+"/v1/validations", "", step, status)
	}
	leaf := o.shown("ezd")
	counts := rights.Clients{Digest: "2", Clients: []rights.Client{{Holder: rights.Holder{Profile: "daemon-client", Name: "ezd", Serial: "d"},
		Fingerprint: rights.Fingerprint(leaf), NotAfter: leaf.NotAfter}}}
	await("before trustd has spoken", http.StatusServiceUnavailable)
	trustd.set(rights.Clients{Digest: "1"}, false)
	await("not on the list", http.StatusForbidden)
	trustd.set(counts, false)
	await("on the list", http.StatusNoContent)
	trustd.set(rights.Clients{Digest: "3"}, false)
	await("revoked, over the open connection", http.StatusForbidden)
	trustd.set(counts, false)
	await("on the list again", http.StatusNoContent)
	trustd.set(counts, true)
	await("while trustd is away", http.StatusNoContent)
	if known.Ready() != nil {
		t.Error(known.Ready())
	}
}

// TestTokens runs verifyd with clients: application: who shows no certificate shows a token, and asks about its own services alone.
func TestTokens(t *testing.T) {
	o := newOffice(t)
	trustd, known, url := o.follow("application")
	settings, err := o.identity("stranger", 13).Client()
	if err != nil {
		t.Fatal(err)
	}
	settings.GetClientCertificate = nil
	client := &http.Client{Transport: &http.Transport{TLSClientConfig: settings}, Timeout: time.Minute}
	t.Cleanup(client.CloseIdleConnections)
	secret, kept := application.NewToken(time.Now())
	ezd := application.Application{Name: "ezd", Tokens: []application.Token{kept}, Terms: application.Terms{Services: []string{"wnioski"}}}
	await := func(step, token string, status int) {
		t.Helper()
		awaitAnswer(t, client, url+"/v1/validations", token, step, status)
	}
	trustd.set(rights.Clients{Digest: "1"}, false)
	await("without any", "", http.StatusUnauthorized)
	await("not on the list", secret, http.StatusUnauthorized)
	trustd.set(rights.Clients{Digest: "2", Applications: []application.Application{ezd}}, false)
	await("on the list", secret, http.StatusNoContent)
	await("another token", secret+"A", http.StatusUnauthorized)
	caller := known.caller(&http.Request{TLS: &tls.ConnectionState{}, Header: http.Header{"Authorization": {"Bearer " + secret}}})
	if caller != "application//ezd" || known.mayAsk(caller, "wnioski") != nil || known.mayAsk(caller, "przetargi") == nil ||
		known.mayAsk("officer//ezd", "przetargi") != nil {
		t.Errorf("what %s may ask about", caller)
	}
	ended := ezd
	ended.Revoked = &time.Time{}
	trustd.set(rights.Clients{Digest: "3", Applications: []application.Application{ended}}, false)
	await("revoked, over the open connection", secret, http.StatusUnauthorized)
}

// serveGuarded serves something behind the guard as verifyd's listener does.
func serveGuarded(t *testing.T, own identity.Identity, known *clients) string {
	t.Helper()
	settings, err := own.Server(true)
	if err != nil {
		t.Fatal(err)
	}
	l, err := httpserver.Listen(t.Context(), "api", "127.0.0.1:0", false)
	if err != nil {
		t.Fatal(err)
	}
	known.admits(settings)
	s := httpserver.Server{Name: "api", Listener: l, TLS: settings, Logger: slog.New(slog.DiscardHandler)}
	s.Handler = known.protect(s, http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusNoContent) }))
	ctx, stop := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- s.Run(ctx) }()
	t.Cleanup(func() {
		stop()
		if err := <-ended; err != nil {
			t.Error(err)
		}
	})
	return "https://" + l.Addr().String()
}

// identity issues a certificate for a name of this machine.
func (o *office) identity(name string, serial int64) identity.Identity {
	o.t.Helper()
	key := o.newKey()
	c := o.mint(serial, name, &key.PublicKey, func(c *x509.Certificate) { c.IPAddresses = []net.IP{net.IPv4(127, 0, 0, 1)} })
	o.writePEM(name+".pem", "CERTIFICATE", c.Raw)
	pkcs8, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		o.t.Fatal(err)
	}
	o.writePEM(name+".key", "PRIVATE KEY", pkcs8)
	file := func(n string) string { return filepath.Join(o.dir, n) }
	return identity.Identity{Certificate: file(name + ".pem"), Key: file(name + ".key"), CA: file("root.pem")}
}

func (o *office) shown(name string) *x509.Certificate {
	o.t.Helper()
	text, err := os.ReadFile(filepath.Join(o.dir, name+".pem"))
	if err != nil {
		o.t.Fatal(err)
	}
	block, _ := pem.Decode(text)
	c, err := x509.ParseCertificate(block.Bytes)
	if err != nil {
		o.t.Fatal(err)
	}
	return c
}

// TestCertificatesNeedTrustd refuses a configuration that could not tell who counts.
func TestCertificatesNeedTrustd(t *testing.T) {
	c := Defaults()
	c.Listen, c.StateDir, c.Anchors, c.Clients = "127.0.0.1:8444", "/var/lib/verifyd", []string{"a"}, "certificate"
	c.Identity = identity.Identity{Certificate: "c", Key: "k", CA: "ca"}
	if err := c.Check(); err == nil || !strings.HasPrefix(err.Error(), "trustd:") {
		t.Errorf("%v; want that trustd is named", err)
	}
	c.Trustd = "https://127.0.0.1:8440"
	if err := c.Check(); err != nil {
		t.Error(err)
	}
	c.ClientsFor = time.Second
	if err := c.Check(); err == nil || !strings.HasPrefix(err.Error(), "clients_for:") {
		t.Errorf("%v; want that clients_for is named", err)
	}
}

// TestCaller: who asks is the same after a renewal, and another is somebody else; what a certificate says of itself
// counts for nothing.
func TestCaller(t *testing.T) {
	o := newOffice(t)
	known := &clients{Follower: &rights.Follower{Known: rights.NewKnown(time.Hour, time.Now)}}
	first, renewed, other, unknown := o.leaf(20), o.leaf(21), o.leaf(22), o.leaf(23)
	of := func(c *x509.Certificate, name string) rights.Client {
		return rights.Client{Holder: rights.Holder{Profile: "daemon-client", Name: name}, Fingerprint: rights.Fingerprint(c)}
	}
	known.Take(&rights.Clients{Digest: "1", Clients: []rights.Client{of(first, "ezd"), of(renewed, "ezd"), of(other, "archive")}})
	caller := func(c *x509.Certificate) string {
		r := httptest.NewRequestWithContext(t.Context(), http.MethodGet, "/", nil)
		r.TLS = &tls.ConnectionState{PeerCertificates: []*x509.Certificate{c}, VerifiedChains: [][]*x509.Certificate{{c}}}
		return known.caller(r)
	}
	if caller(first) != "application//ezd" || caller(renewed) != caller(first) {
		t.Errorf("%q is %q after its renewal", caller(first), caller(renewed))
	}
	if caller(other) == caller(first) || caller(unknown) == caller(first) || caller(unknown) == caller(other) || caller(unknown) == "" {
		t.Errorf("%q, %q and %q are one", caller(first), caller(other), caller(unknown))
	}
	if none := (*clients)(nil).caller(httptest.NewRequestWithContext(t.Context(), http.MethodGet, "/", nil)); none != "" {
		t.Errorf("without certificates: %q", none)
	}
}

// TestQuotasOfTheListener: verifyd holds an application to its quotas, whether it shows its token or its certificate.
func TestQuotasOfTheListener(t *testing.T) {
	o := newOffice(t)
	secret, kept := application.NewToken(time.Now())
	known := rights.NewKnown(time.Hour, time.Now)
	shown := o.leaf(7)
	certified := rights.Client{Holder: rights.Holder{Profile: "daemon-client", Name: "ezd"},
		Fingerprint: rights.Fingerprint(shown), NotAfter: shown.NotAfter}
	ezd := application.Application{Name: "ezd", Tokens: []application.Token{kept},
		Terms: application.Terms{DocumentsADay: 2}}
	known.Take(&rights.Clients{Digest: "1", Clients: []rights.Client{certified},
		Applications: []application.Application{ezd}})
	c := &clients{&rights.Follower{Known: known}, true}
	guarded := c.protect(httpserver.Server{Name: "api", Logger: quiet},
		http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusTeapot) }))
	if status := ask(t, guarded, "POST /v1/validations", shown); status != http.StatusTeapot {
		t.Errorf("by certificate: %d", status)
	}
	for _, want := range []int{http.StatusTeapot, http.StatusTooManyRequests} {
		r := httptest.NewRequestWithContext(t.Context(), http.MethodPost, "/v1/certificates", nil)
		r.TLS = &tls.ConnectionState{}
		r.Header.Set("Authorization", "Bearer "+secret)
		w := httptest.NewRecorder()
		if guarded.ServeHTTP(w, r); w.Code != want || w.Header().Get("RateLimit") == "" {
			t.Errorf("by token: %d %v, want %d", w.Code, w.Header(), want)
		}
	}
	if status := ask(t, guarded, "POST /v1/validations", shown); status != http.StatusTooManyRequests {
		t.Errorf("by certificate, at last: %d", status)
	}
}
