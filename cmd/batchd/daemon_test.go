package main

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"io"
	"log/slog"
	"math/big"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"trustcore/cmd/internal/application"
	"trustcore/cmd/internal/batch"
	"trustcore/cmd/internal/identity"
	"trustcore/cmd/internal/rights"
	"trustcore/internal/audit"
)

// house is an authority with a trustd and a verifyd that a test plays, and a batchd.
type house struct {
	*testing.T
	dir  string
	root *x509.Certificate
	key  *ecdsa.PrivateKey
	cfg  Config
	url  string

	mu     sync.Mutex
	list   rights.Clients // what trustd says; guarded by mu
	shown  []string       // names of the certificates that verifyd saw; guarded by mu
	daemon *daemon
	stop   func()
}

func newHouse(t *testing.T) *house {
	t.Helper()
	h := &house{T: t, dir: t.TempDir()}
	h.key = h.newKey()
	h.root = h.certify("root", 1, nil, h.key)
	h.write("root.pem", "CERTIFICATE", h.root.Raw)
	trustd := h.play("trustd", 2, func(w http.ResponseWriter, r *http.Request) {
		for { // a long poll
			h.mu.Lock()
			list := h.list
			h.mu.Unlock()
			if list.Digest != r.URL.Query().Get("have") {
				_ = json.NewEncoder(w).Encode(list) // a client that went away has no use for it
				return
			}
			select {
			case <-r.Context().Done():
				return
			case <-time.After(10 * time.Millisecond):
			}
		}
	})
	verifyd := h.play("verifyd", 3, func(w http.ResponseWriter, r *http.Request) {
		h.mu.Lock()
		defer h.mu.Unlock()
		h.shown = append(h.shown, r.TLS.PeerCertificates[0].Subject.CommonName)
		text, _ := io.ReadAll(r.Body)
		fmt.Fprintf(w, `{"signatures":[],"got":%q}`, text)
	})
	h.cfg = Defaults()
	h.cfg.Listen, h.cfg.Operations, h.cfg.StateDir = "127.0.0.1:0", "127.0.0.1:0", filepath.Join(h.dir, "state")
	h.cfg.Identity, h.cfg.Trustd, h.cfg.Verifyd = h.identity("batchd", 4), trustd, verifyd
	h.start()
	return h
}

func (h *house) must(err error) {
	h.Helper()
	if err != nil {
		h.Fatal(err)
	}
}

func (h *house) newKey() *ecdsa.PrivateKey {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	h.must(err)
	return key
}

// certify makes a certificate; without an issuer it is the root's.
func (h *house) certify(name string, serial int64, issuer *x509.Certificate, key *ecdsa.PrivateKey) *x509.Certificate {
	template := &x509.Certificate{SerialNumber: big.NewInt(serial), Subject: pkix.Name{CommonName: name},
		NotBefore: time.Now().Add(-time.Hour),
		NotAfter:  time.Now().Add(time.Hour), IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}, BasicConstraintsValid: true,
		IsCA: issuer == nil}
	if issuer == nil {
		issuer = template
	}
	der, err := x509.CreateCertificate(rand.Reader, template, issuer, key.Public(), h.key)
	h.must(err)
	c, err := x509.ParseCertificate(der)
	h.must(err)
	return c
}

func (h *house) write(name, kind string, der []byte) {
	h.must(os.WriteFile(filepath.Join(h.dir, name), pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der}), 0o600))
}

func (h *house) identity(name string, serial int64) identity.Identity {
	key := h.newKey()
	h.write(name+".pem", "CERTIFICATE", h.certify(name, serial, h.root, key).Raw)
	pkcs8, err := x509.MarshalPKCS8PrivateKey(key)
	h.must(err)
	h.write(name+".key", "PRIVATE KEY", pkcs8)
	file := func(suffix string) string { return filepath.Join(h.dir, suffix) }
	return identity.Identity{Certificate: file(name + ".pem"), Key: file(name + ".key"), CA: file("root.pem")}
}

// play serves as another daemon, to who shows a certificate.
func (h *house) play(name string, serial int64, do http.HandlerFunc) (url string) {
	settings, err := h.identity(name, serial).Server(true)
	h.must(err)
	s := httptest.NewUnstartedServer(do)
	s.TLS = settings
	pair, err := settings.GetCertificate(nil)
	h.must(err)
	s.TLS.Certificates = []tls.Certificate{*pair}
	s.StartTLS()
	h.Cleanup(func() { s.CloseClientConnections(); s.Close() })
	return s.URL
}

// start runs batchd; stop ends it.
func (h *house) start() {
	h.Helper()
	h.daemon = &daemon{cfg: h.cfg, log: slog.New(slog.DiscardHandler)}
	h.must(h.daemon.open(h.Context()))
	h.must(h.daemon.listen(h.Context()))
	h.url = "https://" + h.daemon.servers[0].Listener.Addr().String()
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	d := h.daemon
	go func() { ended <- d.run(ctx) }()
	h.stop = sync.OnceFunc(func() {
		cancel()
		h.must(<-ended)
		h.must(d.close())
	})
	h.Cleanup(func() { h.stop() })
}

func (h *house) say(digest string, applications ...application.Application) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.list = rights.Clients{Digest: digest, Applications: applications}
}

// ask asks as who has a token.
func (h *house) ask(token, method, path, body string) (status int, text string) {
	h.Helper()
	client, err := identity.Anonymous(h.cfg.Identity.CA)
	h.must(err)
	defer client.CloseIdleConnections()
	request, err := http.NewRequestWithContext(h.Context(), method, h.url+path, strings.NewReader(body))
	h.must(err)
	request.Header.Set("Authorization", "Bearer "+token)
	response, err := client.Do(request)
	h.must(err)
	defer response.Body.Close()
	answer, err := io.ReadAll(response.Body)
	h.must(err)
	return response.StatusCode, string(answer)
}

func (h *house) await(token, path string, so func(status int, text string) bool) string {
	h.Helper()
	for deadline := time.Now().Add(30 * time.Second); ; {
		status, text := h.ask(token, "GET", path, "")
		if so(status, text) {
			return text
		}
		if time.Now().After(deadline) {
			h.Fatalf("%s: %d %s", path, status, text)
		}
		<-time.After(5 * time.Millisecond)
	}
}

// TestApplicationsBatch has an application's documents verified: by its token, under batchd's own identity, recorded
// without names.
func TestApplicationsBatch(t *testing.T) {
	h := newHouse(t)
	secret, kept := application.NewToken(time.Now())
	ezd := application.Application{Name: "ezd", Partner: "um-przykladowo", Tokens: []application.Token{kept},
		Terms: application.Terms{Services: []string{"wnioski"}}}
	if status, text := h.ask(secret, "GET", "/v1/batches", ""); status != http.StatusServiceUnavailable &&
		status != http.StatusUnauthorized {
		t.Errorf("before trustd has spoken of it: %d %s", status, text)
	}
	h.say("1", ezd)
	h.await(secret, "/v1/batches", func(status int, _ string) bool { return status == http.StatusOK })
	if status, text := h.ask(secret, "POST", "/v1/batches", `{"service":"przetargi"}`); status != http.StatusForbidden {
		t.Errorf("another's service: %d %s", status, text)
	}
	status, text := h.ask(secret, "POST", "/v1/batches", `{"service":"wnioski"}`)
	var info batch.Info
	h.must(json.Unmarshal([]byte(text), &info))
	if status != http.StatusCreated {
		t.Fatal(status, text)
	}
	at := "/v1/batches/" + info.ID
	for _, c := range [][2]string{{"PUT", at + "/documents/nazwisko.pdf"}, {"POST", at + "/close"}} {
		if status, text := h.ask(secret, c[0], c[1], "content"); status != http.StatusOK {
			t.Fatal(c, status, text)
		}
	}
	h.await(secret, at, func(_ int, text string) bool { return strings.Contains(text, `"finished"`) })
	if status, text := h.ask(secret, "GET", at+"/results", ""); status != http.StatusOK ||
		!strings.Contains(text, `"got":"content"`) {
		t.Errorf("%d %s", status, text)
	}
	h.mu.Lock()
	if !slices.Contains(h.shown, "batchd") {
		t.Errorf("verifyd saw %v", h.shown)
	}
	h.mu.Unlock()
	ended := ezd
	ended.Revoked = &ezd.Created
	h.say("2", ended)
	h.await(secret, at, func(status int, _ string) bool { return status == http.StatusUnauthorized })
	h.wantRecorded(info.ID)
}

// TestApplicationsSeeTheirOwn: another application's token shows no batch that is not its own, by no route; and each
// has its own quota of requests.
func TestApplicationsSeeTheirOwn(t *testing.T) {
	h := newHouse(t)
	var secrets [2]string
	var apps [2]application.Application
	for i, name := range []string{"ezd", "peup"} {
		secret, kept := application.NewToken(time.Now())
		secrets[i], apps[i] = secret, application.Application{Name: name, Tokens: []application.Token{kept}}
	}
	h.say("1", apps[:]...)
	h.await(secrets[0], "/v1/batches", func(status int, _ string) bool { return status == http.StatusOK })
	_, text := h.ask(secrets[0], "POST", "/v1/batches", `{}`)
	var info batch.Info
	h.must(json.Unmarshal([]byte(text), &info))
	at := "/v1/batches/" + info.ID
	for _, c := range [][2]string{{"GET", at}, {"DELETE", at}, {"PUT", at + "/documents/a"}, {"GET", at + "/results"},
		{"POST", at + "/close"}, {"POST", at + "/cancel"}} {
		if status, text := h.ask(secrets[1], c[0], c[1], ""); status != http.StatusNotFound {
			t.Errorf("another's: %v: %d %s", c, status, text)
		}
	}
	if status, text := h.ask(secrets[1], "GET", "/v1/batches", ""); status != http.StatusOK ||
		strings.Contains(text, info.ID) {
		t.Errorf("another's list: %d %s", status, text)
	}
	if status, text := h.ask(secrets[0], "GET", at, ""); status != http.StatusOK {
		t.Errorf("its own: %d %s", status, text)
	}
	apps[1].RequestsAMinute = 1
	h.say("2", apps[:]...)
	h.await(secrets[1], "/v1/batches", func(status int, _ string) bool { return status == http.StatusTooManyRequests })
	if status, text := h.ask(secrets[0], "GET", at, ""); status != http.StatusOK {
		t.Errorf("beside one whose minute is full: %d %s", status, text)
	}
}

// wantRecorded finds what the application did in the audit log, and no name of a document.
func (h *house) wantRecorded(id string) {
	h.Helper()
	log := h.daemon.audit
	h.stop()
	entries, err := log.List(h.Context(), audit.Filter{})
	h.must(err)
	var actions []string
	for _, e := range entries {
		actions = append(actions, e.Action)
		text, err := json.Marshal(e.Entry)
		h.must(err)
		if strings.Contains(string(text), "nazwisko") || strings.Contains(string(text), "content") {
			h.Errorf("the log tells content: %s", text)
		}
		if e.Action != "batch.create" {
			continue
		}
		if e.Actor.String() != "application:ezd" || e.Partner != "um-przykladowo" || e.Subject != id {
			h.Errorf("%s", text)
		}
	}
	for _, want := range []string{"batch.create", "batch.upload", "batch.close", "batch.read"} {
		if !slices.Contains(actions, want) {
			h.Errorf("%s is not in the log: %v", want, actions)
		}
	}
}

// TestEveryRouteIsServed holds the routes against the table of rights.
func TestEveryRouteIsServed(t *testing.T) {
	h := newHouse(t)
	routes := h.daemon.queue.Routes(h.daemon.servers[0].Door())
	count := 0
	for _, right := range rights.Table {
		if right.Listener == rights.Batches {
			count++
			if routes[right.Route] == nil {
				t.Errorf("%s is in the table and not served", right.Route)
			}
		}
	}
	if count != len(routes) {
		t.Errorf("%d routes are in the table, %d are served", count, len(routes))
	}
}

// TestOperations: batchd is ready once trustd has spoken, and tells of a verifyd that is away.
func TestOperations(t *testing.T) {
	h := newHouse(t)
	h.say("1")
	url := "http://" + h.daemon.servers[1].Listener.Addr().String()
	get := func(path string) string {
		response, err := http.Get(url + path)
		h.must(err)
		defer response.Body.Close()
		text, err := io.ReadAll(response.Body)
		h.must(err)
		return string(text)
	}
	for !strings.Contains(get("/readyz"), `"ready"`) {
		<-time.After(5 * time.Millisecond)
	}
	if text := get("/metrics"); !strings.Contains(text, "batch_documents_waiting 0") ||
		!strings.Contains(text, "trustcore_identity_expires_seconds") {
		t.Errorf("%s", text)
	}
	if text := get("/health"); !strings.Contains(text, `"batches":"ok"`) || strings.Contains(text, "batches wait") {
		t.Errorf("%s", text)
	}
}
