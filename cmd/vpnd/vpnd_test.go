package main

import (
	"bytes"
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
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"trustcore/cmd/internal/identity"
	"trustcore/vpn"
	"trustcore/vpn/office"
	"trustcore/vpn/tunnel"
)

const patience = 20 * time.Second

// core is trustd as far as the gateway knows it: over mutual TLS it holds a wish and takes
// the reports.
type core struct {
	mu      sync.Mutex
	raw     []byte // the wish, nil when there is none yet
	digest  string // of it
	lease   time.Duration
	mute    bool          // it answers nothing
	begin   bool          // it asks for the hub's next key
	end     vpn.Key       // the former key that it asks to be ended
	over    bool          // it asks the gateway to take over
	changed chan struct{} // closed when any of it changes
	last    vpn.Status
}

func (c *core) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	switch r.Method + " " + r.URL.Path {
	case "GET /v1/vpn/wish":
		c.serveWish(w, r)
	case "POST /v1/vpn/status":
		var status vpn.Status
		if err := json.NewDecoder(r.Body).Decode(&status); err != nil {
			http.Error(w, err.Error(), http.StatusBadRequest)
			return
		}
		c.mu.Lock()
		defer c.mu.Unlock()
		c.last = status
		c.answer(w, nil)
	default:
		http.NotFound(w, r)
	}
}

// answer gives a lease and what else it is told to; raw is the JSON of a wish, or nil. The caller holds c.mu.
func (c *core) answer(w http.ResponseWriter, raw []byte) {
	if c.mute {
		http.Error(w, "trustd is away", http.StatusServiceUnavailable)
		return
	}
	json.NewEncoder(w).Encode(map[string]any{"lease_seconds": int64(c.lease / time.Second), "wish": json.RawMessage(raw),
		"begin_hub_key": c.begin, "end_hub_key": keyText(c.end), "take_over": c.over && (c.last.Pair == nil || !c.last.Pair.Active)})
}

// keyText is a key as JSON has it, nil for none.
func keyText(key vpn.Key) any {
	if (key == vpn.Key{}) {
		return nil
	}
	return key
}

func (c *core) serveWish(w http.ResponseWriter, r *http.Request) {
	for {
		c.mu.Lock()
		changed, fresh := c.changed, c.raw != nil && c.digest != r.URL.Query().Get("digest")
		if fresh || c.mute {
			defer c.mu.Unlock()
			c.answer(w, c.raw)
			return
		}
		c.mu.Unlock()
		select {
		case <-changed:
		case <-r.Context().Done():
			return
		}
	}
}

func (c *core) put(t *testing.T, w vpn.Wish) {
	t.Helper()
	w, err := w.Sealed()
	if err != nil {
		t.Fatal(err)
	}
	raw, err := json.Marshal(w)
	if err != nil {
		t.Fatal(err)
	}
	c.change(func() { c.raw, c.digest = raw, w.Digest })
}

// change does something to the core that the gateway is to notice.
func (c *core) change(do func()) {
	c.mu.Lock()
	defer c.mu.Unlock()
	do()
	close(c.changed)
	c.changed = make(chan struct{})
}

// forget drops the last report, so that the next one is seen.
func (c *core) forget() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.last = vpn.Status{}
}

func (c *core) report() vpn.Status {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.last
}

// startCore serves on loopback and gives the configuration of a gateway that may talk to it.
func startCore(t *testing.T) (*core, Config) {
	t.Helper()
	return startCoreBehind(t, "daemon", nil)
}

// startCoreBehind does so for a gateway of a name; what stands before the core is asked in its place, if anything does.
func startCoreBehind(t *testing.T, name string, before http.Handler) (*core, Config) {
	t.Helper()
	dir := t.TempDir()
	id := mint(t, dir, name)
	settings, err := id.Server(true)
	if err != nil {
		t.Fatal(err)
	}
	c := &core{changed: make(chan struct{}), lease: vpn.DefaultLease}
	if before == nil {
		before = c
	}
	server := httptest.NewUnstartedServer(before)
	pair, err := settings.GetCertificate(nil)
	if err != nil {
		t.Fatal(err)
	}
	settings.Certificates = []tls.Certificate{*pair} // else httptest shows one of its own
	server.TLS = settings
	server.Config.ErrorLog = slog.NewLogLogger(slog.DiscardHandler, slog.LevelError)
	server.StartTLS()
	t.Cleanup(server.Close)
	cfg := Defaults()
	cfg.Mode, cfg.ListenPort, cfg.Operations = "netstack", 0, freePort(t)
	cfg.Addresses = []netip.Prefix{netip.MustParsePrefix("10.64.0.1/32")}
	cfg.StateDir, cfg.Trustd, cfg.Identity, cfg.Reconcile = filepath.Join(dir, "vpnd"), server.URL, id, time.Second
	if err := cfg.Check(); err != nil {
		t.Fatal(err)
	}
	return c, cfg
}

// mint makes a self-signed certificate that both ends use and trust.
func mint(t *testing.T, dir, name string) identity.Identity {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: name}, NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
		IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}, IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageDigitalSignature | x509.KeyUsageCertSign,
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth, x509.ExtKeyUsageServerAuth},
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	private, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	id := identity.Identity{Certificate: filepath.Join(dir, "cert.pem"), Key: filepath.Join(dir, "key.pem"), CA: filepath.Join(dir, "cert.pem")}
	for file, block := range map[string]*pem.Block{id.Certificate: {Type: "CERTIFICATE", Bytes: der}, id.Key: {Type: "PRIVATE KEY", Bytes: private}} {
		if err := os.WriteFile(file, pem.EncodeToMemory(block), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return id
}

func freePort(t *testing.T) string {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer listener.Close()
	return listener.Addr().String()
}

// startGateway runs vpnd until the test ends and returns what it logs.
func startGateway(t *testing.T, cfg Config) *safeBuffer {
	t.Helper()
	var logs safeBuffer
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() {
		done <- Run(ctx, cfg, slog.New(slog.NewJSONHandler(&logs, &slog.HandlerOptions{Level: slog.LevelDebug})))
	}()
	t.Cleanup(func() {
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
	return &logs
}

type safeBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (s *safeBuffer) Write(p []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.b.Write(p)
}

func (s *safeBuffer) String() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.b.String()
}

func eventually(t *testing.T, what string, condition func() bool) {
	t.Helper()
	for deadline := time.Now().Add(patience); !condition(); time.Sleep(10 * time.Millisecond) { // between two looks
		if time.Now().After(deadline) {
			t.Fatalf("not within %v: %s", patience, what)
		}
	}
}

func get(t *testing.T, cfg Config, page string) (int, string) {
	t.Helper()
	response, err := http.Get("http://" + cfg.Operations + page)
	if err != nil {
		return 0, err.Error()
	}
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	if err != nil {
		t.Fatal(err)
	}
	return response.StatusCode, string(body)
}

func TestGatewayFollowsTheWish(t *testing.T) {
	c, cfg := startCore(t)
	logs := startGateway(t, cfg)
	eventually(t, "the first report", func() bool { return c.report().ListenPort != 0 })
	backend := echoService(t)
	key, err := vpn.LoadOrCreateKey(filepath.Join(t.TempDir(), "office.key"))
	if err != nil {
		t.Fatal(err)
	}
	service := vpn.Service{Name: "gateway", Proto: "tcp", Addr: netip.MustParseAddrPort("10.64.0.1:9443"), Backend: backend}
	peer := vpn.PeerWish{Partner: "office-1", Site: "main", PublicKey: key.Public(), PresharedKey: vpn.PresharedKey{1, 2, 3, 4, 5}, Addresses: []netip.Prefix{netip.MustParsePrefix("10.64.1.2/32")}, Services: []vpn.Service{service}}
	c.put(t, vpn.Wish{Revision: 1, Peers: []vpn.PeerWish{peer}})
	eventually(t, "the wish is in force", func() bool { return c.report().Revision == 1 })
	if code, body := get(t, cfg, "/readyz"); code != http.StatusOK {
		t.Errorf("not ready: %s", body)
	}
	tunnel := bringUp(t, key, c.report(), peer)
	dial := func(wait time.Duration) error {
		ctx, cancel := context.WithTimeout(t.Context(), wait)
		defer cancel()
		conn, err := tunnel.Dial(ctx, service.Addr)
		if err != nil {
			return err
		}
		defer conn.Close()
		conn.SetDeadline(time.Now().Add(wait))
		conn.Write([]byte("x"))
		_, err = io.ReadFull(conn, make([]byte, 1))
		return err
	}
	if err := dial(patience); err != nil {
		t.Fatal(err)
	}
	eventually(t, "the report says that the tunnel is up", func() bool { s := c.report(); return len(s.Peers) == 1 && s.Peers[0].State == vpn.StateUp })
	if code, body := get(t, cfg, "/metrics"); code != http.StatusOK || !strings.Contains(body, `trustcore_vpn_peers{state="up"} 1`) {
		t.Errorf("metrics: %s", body)
	}

	c.put(t, vpn.Wish{Revision: 2})
	eventually(t, "the second wish is in force", func() bool { return c.report().Revision == 2 })
	if dial(500*time.Millisecond) == nil {
		t.Error("the office still reaches the service")
	}
	psk, _ := peer.PresharedKey.MarshalText()
	if strings.Contains(logs.String(), string(psk)) {
		t.Error("the pre-shared key is in the log")
	}
	checkKeyFile(t, cfg, logs.String())
}

func checkKeyFile(t *testing.T, cfg Config, logs string) {
	t.Helper()
	file := filepath.Join(cfg.StateDir, "hub.key")
	info, err := os.Stat(file)
	if err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("the hub's key: %v, %v", info, err)
	}
	secret, err := os.ReadFile(file)
	if err != nil || strings.Contains(logs, strings.TrimSpace(string(secret))) {
		t.Errorf("the hub's key is in the log, or: %v", err)
	}
}

func bringUp(t *testing.T, key vpn.PrivateKey, hub vpn.Status, peer vpn.PeerWish) *tunnel.Tunnel {
	t.Helper()
	tunnel, err := tunnel.Up(t.Context(), tunnel.Config{Mode: vpn.ModeNetstack, Interface: "none", PrivateKey: key, Log: slog.New(slog.DiscardHandler), Enrolment: office.Enrolment{
		Partner: peer.Partner, Site: peer.Site, Address: peer.Addresses,
		Hub:      office.Hub{PublicKey: hub.PublicKey, PresharedKey: peer.PresharedKey, Addresses: hub.Addresses, Endpoint: netip.AddrPortFrom(netip.MustParseAddr("127.0.0.1"), uint16(hub.ListenPort)).String()},
		Services: []office.Service{{Name: "gateway", Addr: peer.Services[0].Addr}},
	}})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { tunnel.Close() })
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	if err := tunnel.WaitHandshake(ctx); err != nil {
		t.Fatal(err)
	}
	return tunnel
}

func echoService(t *testing.T) netip.AddrPort {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { listener.Close() })
	go func() {
		for {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			go func() { defer conn.Close(); io.Copy(conn, conn) }()
		}
	}()
	return listener.Addr().(*net.TCPAddr).AddrPort()
}

// TestBadPeerIsReported has a peer at the hub's own address beside a good one.
func TestBadPeerIsReported(t *testing.T) {
	c, cfg := startCore(t)
	startGateway(t, cfg)
	key, err := vpn.GeneratePrivateKey()
	if err != nil {
		t.Fatal(err)
	}
	other, err := vpn.GeneratePrivateKey()
	if err != nil {
		t.Fatal(err)
	}
	own := vpn.PeerWish{Partner: "p", Site: "s", PublicKey: key.Public(), Addresses: cfg.Addresses}
	good := vpn.PeerWish{Partner: "q", Site: "s", PublicKey: other.Public(), Addresses: []netip.Prefix{netip.MustParsePrefix("10.64.1.2/32")}}
	c.put(t, vpn.Wish{Revision: 4, Peers: []vpn.PeerWish{own, good}})
	eventually(t, "the wish is in force", func() bool { return c.report().Revision == 4 })
	status := c.report()
	if len(status.Peers) != 1 || len(status.Refused) != 1 || status.Refused[0].PublicKey != key.Public().String() || status.Problem != "" {
		t.Errorf("status %+v", status)
	}
	if code, body := get(t, cfg, "/readyz?service=vpn"); code != http.StatusOK {
		t.Errorf("%d %s", code, body)
	}
	if _, body := get(t, cfg, "/health"); !strings.Contains(body, "amber") || !strings.Contains(body, key.Public().String()) {
		t.Errorf("health: %s", body)
	}
}

func TestTakenPortKeepsTheTunnelDown(t *testing.T) {
	taken, err := net.ListenPacket("udp", "0.0.0.0:0")
	if err != nil {
		t.Fatal(err)
	}
	defer taken.Close()
	_, cfg := startCore(t)
	cfg.ListenPort = uint16(taken.LocalAddr().(*net.UDPAddr).Port)
	startGateway(t, cfg)
	eventually(t, "readyz says what to do", func() bool {
		code, body := get(t, cfg, "/readyz")
		return code == http.StatusServiceUnavailable && strings.Contains(body, "choose another port")
	})
}

func TestOnlyTheCoreIsFollowed(t *testing.T) {
	_, cfg := startCore(t)
	stranger := mint(t, t.TempDir(), "daemon")
	cfg.Identity.CA = stranger.CA
	startGateway(t, cfg)
	eventually(t, "readyz says why", func() bool {
		_, body := get(t, cfg, "/readyz")
		return strings.Contains(body, "no wish yet") && strings.Contains(body, "certificate")
	})
}

func TestConfigNamesWhatIsMissing(t *testing.T) {
	_, good := startCore(t)
	for want, spoil := range map[string]func(*Config){
		"mode":        func(c *Config) { c.Mode = "magic" },
		"state_dir":   func(c *Config) { c.StateDir = "" },
		"addresses":   func(c *Config) { c.Addresses = nil },
		"reconcile":   func(c *Config) { c.Reconcile = 0 },
		"trustd":      func(c *Config) { c.Trustd = "http://127.0.0.1" },
		"operations":  func(c *Config) { c.Operations = "0.0.0.0:9104" },
		"identity.ca": func(c *Config) { c.Identity.CA = "" },
	} {
		cfg := good
		spoil(&cfg)
		if err := cfg.Check(); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: got %v", want, err)
		}
	}
}

func TestConfigurationFile(t *testing.T) {
	_, cfg := startCore(t)
	good := fmt.Sprintf("mode: netstack\nlisten_port: 0\naddresses: [10.64.0.1/32, \"fd64::1/128\"]\nstate_dir: %s\ntrustd: %s\nreconcile: 2s\nlog_level: WARN\nidentity: {certificate: %s, key: %s, ca: %s}\n",
		cfg.StateDir, cfg.Trustd, cfg.Identity.Certificate, cfg.Identity.Key, cfg.Identity.CA)
	file := filepath.Join(t.TempDir(), "vpnd.yaml")
	for text, want := range map[string]string{good: "", good + "lisen_port: 1\n": "lisen_port", strings.Replace(good, "/32", "/33", 1): "addresses"} {
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		err := run(t.Context(), []string{"--check", "--config", file}, io.Discard)
		if want == "" && err != nil || want != "" && (err == nil || !strings.Contains(err.Error(), want)) {
			t.Errorf("%q: got %v", want, err)
		}
	}
}
