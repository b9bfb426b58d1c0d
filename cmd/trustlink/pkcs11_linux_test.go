package main

import (
	"bytes"
	"context"
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/json"
	"io"
	"log/slog"
	"math/big"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"trustcore/hsm/mechanism"
	"trustcore/hsm/remote"
)

// fakeGateway has one key, lists it and signs with it; while it is away it says so.
type fakeGateway struct {
	key *ecdsa.PrivateKey

	mu     sync.Mutex
	away   bool            // guarded by mu
	asked  chan struct{}   // told of each request while it is away
	lists  int             // guarded by mu
	signed map[string]bool // guarded by mu; Idempotency-Keys
}

func (g *fakeGateway) set(away bool) { g.mu.Lock(); defer g.mu.Unlock(); g.away = away }

func (g *fakeGateway) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.away {
		g.asked <- struct{}{}
		w.WriteHeader(http.StatusServiceUnavailable)
		return
	}
	const id = "00112233445566778899aabbccddeeff"
	spki, _ := x509.MarshalPKIXPublicKey(&g.key.PublicKey)
	template := &x509.Certificate{SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "seal"}, NotAfter: time.Now().Add(time.Hour)}
	der, _ := x509.CreateCertificate(rand.Reader, template, template, &g.key.PublicKey, g.key)
	var answer any
	switch r.URL.Path {
	case "/v1/keys":
		g.lists++
		answer = map[string]any{"keys": []map[string]any{
			{"id": id, "label": "seal", "algorithm": "P-256", "public_key": spki, "mechanisms": []string{"ECDSA-SHA256"}, "state": "active", "usable": true,
				"chain": [][]byte{der}},
			{"id": strings.Repeat("0", 32), "label": "old", "algorithm": "P-256", "public_key": spki, "mechanisms": []string{"ECDSA-SHA256"}, "usable": false},
		}}
	case "/v1/keys/" + id + "/sign":
		var in struct{ Digest []byte }
		_ = json.NewDecoder(r.Body).Decode(&in)
		signature, _ := g.key.Sign(rand.Reader, in.Digest, crypto.SHA256)
		g.signed[r.Header.Get("Idempotency-Key")] = true
		answer = map[string]any{"signature": signature, "audit_index": 1}
	}
	_ = json.NewEncoder(w).Encode(answer)
}

// startPKCS11 serves the fake gateway's key to these accounts until the test ends.
func startPKCS11(t *testing.T, accounts ...uint32) (*fakeGateway, *officeKeys, string) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	g := &fakeGateway{key: key, asked: make(chan struct{}, 100), signed: map[string]bool{}}
	server := httptest.NewTLSServer(g)
	t.Cleanup(server.Close)
	keys := newOfficeKeys(state{t.TempDir()})
	if keys.link, err = remote.NewClient(server.URL, server.Client()); err != nil {
		t.Fatal(err)
	}
	return g, keys, serveKeys(t, keys, accounts...)
}

// serveKeys serves keys to these accounts until the test ends.
func serveKeys(t *testing.T, keys *officeKeys, accounts ...uint32) (socket string) {
	t.Helper()
	dir, err := os.MkdirTemp("", "p11")
	if err != nil {
		t.Fatal(err)
	}
	socket = filepath.Join(dir, "s")
	who := map[account]*officeKeys{}
	for _, uid := range accounts {
		who[accountOf(uid)] = keys
	}
	listeners, err := listenPKCS11(socket, who)
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- servePKCS11(ctx, listeners, who, slog.New(slog.DiscardHandler)) }()
	t.Cleanup(func() {
		stop()
		if err := <-ended; err != nil {
			t.Error(err)
		}
		_ = os.RemoveAll(dir)
	})
	return socket
}

func pkcs11Tool(t *testing.T, socket string, args ...string) string {
	t.Helper()
	module := pkcs11Module()
	if _, err := os.Stat(module); err != nil {
		t.Skip("p11-kit-client.so is not installed (apt-get install p11-kit-modules)")
	}
	if _, err := exec.LookPath("pkcs11-tool"); err != nil {
		t.Skip("pkcs11-tool is not installed (apt-get install opensc)")
	}
	c := exec.CommandContext(t.Context(), "pkcs11-tool", append([]string{"--module", module}, args...)...)
	c.Env = append(os.Environ(), "P11_KIT_SERVER_ADDRESS=unix:path="+socket)
	out, err := c.CombinedOutput()
	if err != nil {
		t.Fatalf("pkcs11-tool %v: %v\n%s", args, err, out)
	}
	return string(out)
}

// A program lists without a request each time, finds usable keys alone, signs through an outage of the gateway, and the
// use counts once.
func TestProgramsSignThroughAnOutage(t *testing.T) {
	g, keys, socket := startPKCS11(t, uint32(os.Geteuid()))
	dir := t.TempDir()
	digest := sha256.Sum256([]byte("pismo"))
	data, out := filepath.Join(dir, "data"), filepath.Join(dir, "out")
	if err := os.WriteFile(data, digest[:], 0o600); err != nil {
		t.Fatal(err)
	}
	for range 3 {
		if list := pkcs11Tool(t, socket, "-O"); !strings.Contains(list, "seal") || strings.Contains(list, "old") {
			t.Errorf("the list:\n%s", list)
		}
	}
	if g.lists != 1 {
		t.Errorf("%d requests for lists", g.lists)
	}
	pkcs11Tool(t, socket, "-s", "-m", "ECDSA", "--signature-format", "openssl", "-i", data, "-o", out)
	signature, err := os.ReadFile(out)
	if err != nil || !ecdsa.VerifyASN1(&g.key.PublicKey, digest[:], signature) {
		t.Errorf("the signature: %v", err)
	}
	if len(g.signed) != 1 {
		t.Errorf("%d uses", len(g.signed))
	}
	g.set(true)
	keys.mu.Lock()
	keys.next = time.Time{} // the list is to be asked for again, in vain
	keys.mu.Unlock()
	if listed, err := keys.Keys(t.Context()); err != nil || len(listed) != 1 {
		t.Errorf("the list while the gateway is away: %v, %v", listed, err)
	}
	for len(g.asked) > 0 {
		<-g.asked
	}
	go func() {
		for range 5 { // more than a client without patience tries
			<-g.asked
		}
		g.set(false)
	}()
	id := []byte{0, 0x11, 0x22, 0x33, 0x44, 0x55, 0x66, 0x77, 0x88, 0x99, 0xaa, 0xbb, 0xcc, 0xdd, 0xee, 0xff}
	signature, err = keys.Sign(t.Context(), id, mechanism.ECDSASHA256, digest[:])
	if err != nil || !ecdsa.VerifyASN1(&g.key.PublicKey, digest[:], signature) || len(g.signed) != 2 {
		t.Errorf("through the outage: %v, %d uses", err, len(g.signed))
	}
}

// A program under an account that is not named is not served.
func TestOtherAccountsAreNotServed(t *testing.T) {
	_, _, socket := startPKCS11(t, uint32(os.Geteuid())+1)
	conn, err := net.Dial("unix", socket)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	_, _ = conn.Write([]byte{0}) // it may be closed already
	if n, err := io.ReadFull(conn, make([]byte, 1)); n > 0 || err == nil {
		t.Error("the server greets a stranger")
	}
}

// TestProgramsAreBounded: an account has so many programs at a time, and a place is free again when one of them ends.
func TestProgramsAreBounded(t *testing.T) {
	_, _, socket := startPKCS11(t, uint32(os.Geteuid()))
	greeted := func() (net.Conn, bool) {
		t.Helper()
		conn, err := net.Dial("unix", socket)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = conn.Close() })
		_, _ = conn.Write([]byte{0}) // it may be closed already
		_, err = io.ReadFull(conn, make([]byte, 1))
		return conn, err == nil
	}
	var last net.Conn
	for i := range maxProgramsOfAccount {
		conn, served := greeted()
		if !served {
			t.Fatalf("program %d is not served", i+1)
		}
		last = conn
	}
	if _, served := greeted(); served {
		t.Fatal("one program more than an account may have is served")
	}
	if err := last.Close(); err != nil {
		t.Fatal(err)
	}
	for deadline := time.Now().Add(20 * time.Second); ; time.Sleep(10 * time.Millisecond) {
		conn, served := greeted()
		if served {
			return
		}
		_ = conn.Close()
		if time.Now().After(deadline) {
			t.Fatal("the place of a program that ended stays taken")
		}
	}
}

func TestPKCS11Settings(t *testing.T) {
	_, _, socket := startPKCS11(t, uint32(os.Geteuid()))
	if info, err := os.Stat(socket); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("the socket: %v, %v", info.Mode(), err)
	}
	if _, err := listenPKCS11(socket, nil); err == nil || !strings.Contains(err.Error(), "another trustlink serves") {
		t.Errorf("a second server: %v", err)
	}
	for text, says := range map[string]string{"ezd": "account=folder", "nobody-of-that-name=/x": "no account"} {
		if _, err := accountsOf([]string{text}, ""); err == nil || !strings.Contains(err.Error(), says) {
			t.Errorf("--user %s: %v", text, err)
		}
	}
	if _, err := accountsOf([]string{"root=/a", "root=/b"}, ""); err == nil || !strings.Contains(err.Error(), "twice") {
		t.Errorf("an account twice: %v", err)
	}
	var out bytes.Buffer
	c := newCommand()
	c.SetArgs([]string{"pkcs11", "env", "--socket", "/run/trustlink/pkcs11"})
	c.SetOut(&out)
	if err := c.Execute(); err != nil || !strings.Contains(out.String(), "export P11_KIT_SERVER_ADDRESS='unix:path=/run/trustlink/pkcs11'\n") {
		t.Errorf("%v: %s", err, &out)
	}
}

// A socket that a dead server left is taken.
func TestSocketOfADeadServer(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "s")
	left, err := net.ListenUnix("unix", &net.UnixAddr{Name: path, Net: "unix"})
	if err != nil {
		t.Fatal(err)
	}
	left.SetUnlinkOnClose(false)
	if err := left.Close(); err != nil {
		t.Fatal(err)
	}
	l, err := listenPKCS11(path, nil)
	if err != nil {
		t.Fatal(err)
	}
	if err := l[0].Close(); err != nil {
		t.Error(err)
	}
}
