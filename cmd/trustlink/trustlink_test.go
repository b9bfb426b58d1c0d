package main

import (
	"bufio"
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/hex"
	"encoding/json"
	"encoding/pem"
	"errors"
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
	"testing"
	"time"

	"trustcore/vpn"
	"trustcore/vpn/hub"
	"trustcore/vpn/office"
)

const patience = 20 * time.Second

// core is a hub and the enrolment interface before it. It takes the token "right" once,
// and repetitions with the same keys.
type core struct {
	server  *httptest.Server
	hub     *hub.Hub
	port    int
	service netip.AddrPort // in the tunnel
	backend netip.AddrPort
	key     *ecdsa.PrivateKey
	ca      *x509.Certificate
	first   request
	seen    int // bodies that came
	spoil   func(*office.Enrolment)
}

func startCore(t *testing.T) *core {
	t.Helper()
	c := &core{service: netip.MustParseAddrPort("10.64.0.1:9443"), backend: echoService(t)}
	var err error
	if c.key, err = ecdsa.GenerateKey(elliptic.P256(), rand.Reader); err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "CA"}, NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour), IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign}
	der, err := x509.CreateCertificate(rand.Reader, template, template, c.key.Public(), c.key)
	if err != nil {
		t.Fatal(err)
	}
	if c.ca, err = x509.ParseCertificate(der); err != nil {
		t.Fatal(err)
	}
	hubKey, err := vpn.GeneratePrivateKey()
	if err != nil {
		t.Fatal(err)
	}
	c.hub, err = hub.Open(hub.Config{Mode: vpn.ModeNetstack, Interface: "none", PrivateKey: hubKey, Addresses: []netip.Prefix{netip.MustParsePrefix("10.64.0.1/32")}, StateDir: t.TempDir(), Log: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.hub.Close() })
	status, err := c.hub.Status(time.Now())
	if err != nil {
		t.Fatal(err)
	}
	c.port = status.ListenPort
	c.server = httptest.NewTLSServer(http.HandlerFunc(c.enrol))
	t.Cleanup(c.server.Close)
	return c
}

// enrol provisions the hub first and answers then.
func (c *core) enrol(w http.ResponseWriter, r *http.Request) {
	c.seen++
	var body request
	if err := json.NewDecoder(r.Body).Decode(&body); err != nil || r.URL.Path != "/v1/enrolments" {
		http.Error(w, fmt.Sprint(err), http.StatusBadRequest)
		return
	}
	if body.Token != "right" || c.first.Token != "" && c.first != body {
		w.Header().Set("Content-Type", "application/problem+json")
		w.WriteHeader(http.StatusForbidden)
		fmt.Fprint(w, `{"title":"Forbidden","detail":"the token is unknown"}`)
		return
	}
	c.first = body
	answer, err := c.answer(body)
	if err != nil {
		http.Error(w, err.Error(), http.StatusInternalServerError)
		return
	}
	json.NewEncoder(w).Encode(answer)
}

func (c *core) answer(body request) (office.Enrolment, error) {
	key, err := vpn.ParseKey(body.PublicKey)
	if err != nil {
		return office.Enrolment{}, err
	}
	certificate, err := c.certify(body.CSR)
	if err != nil {
		return office.Enrolment{}, err
	}
	address := []netip.Prefix{netip.MustParsePrefix("10.64.1.2/32")}
	service := vpn.Service{Name: "gateway", Proto: "tcp", Addr: c.service, Backend: c.backend}
	if _, err := c.hub.Apply(vpn.Wish{Revision: 1, Peers: []vpn.PeerWish{{Partner: "office-1", Site: "main", PublicKey: key, Addresses: address, Services: []vpn.Service{service}}}}); err != nil {
		return office.Enrolment{}, err
	}
	e := office.Enrolment{
		Partner: "office-1", Site: "main", Address: address, Certificate: certificate, CA: string(pemOf(c.ca.Raw)),
		Hub:      office.Hub{PublicKey: c.hub.PublicKey(), Endpoint: fmt.Sprintf("127.0.0.1:%d", c.port), Addresses: []netip.Prefix{netip.MustParsePrefix("10.64.0.1/32")}},
		Services: []office.Service{{Name: "gateway", Addr: c.service}},
	}
	if c.spoil != nil {
		c.spoil(&e)
	}
	return e, nil
}

func (c *core) certify(csr string) (string, error) {
	block, _ := pem.Decode([]byte(csr))
	parsed, err := x509.ParseCertificateRequest(block.Bytes)
	if err == nil {
		err = parsed.CheckSignature()
	}
	if err != nil {
		return "", err
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(2), Subject: pkix.Name{CommonName: "office-1"}, NotBefore: time.Now(), NotAfter: time.Now().Add(time.Hour)}
	der, err := x509.CreateCertificate(rand.Reader, template, c.ca, parsed.PublicKey, c.key)
	return string(pemOf(der)), err
}

func pemOf(der []byte) []byte {
	return pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})
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

// trustlink runs the command line and gives its output.
func trustlink(ctx context.Context, args ...string) (string, error) {
	var out bytes.Buffer
	command := newCommand()
	command.SetArgs(args)
	command.SetOut(&out)
	command.SetErr(io.Discard)
	err := command.ExecuteContext(ctx)
	return out.String(), err
}

// caFile writes the anchor of the core's server.
func (c *core) caFile(t *testing.T) string {
	t.Helper()
	file := filepath.Join(t.TempDir(), "ca.pem")
	if err := os.WriteFile(file, pemOf(c.server.Certificate().Raw), 0o600); err != nil {
		t.Fatal(err)
	}
	return file
}

func TestEnrolUpReach(t *testing.T) {
	c, dir := startCore(t), filepath.Join(t.TempDir(), "state")
	enrol := []string{"enrol", "--state", dir, "--url", c.server.URL, "--ca", c.caFile(t), "--token", "right"}
	if out, err := trustlink(t.Context(), enrol...); err != nil || !strings.Contains(out, "office-1") {
		t.Fatalf("enrol: %q, %v", out, err)
	}
	for _, name := range []string{wireguardKeyFile, tlsKeyFile, officeFile, certificateFile} {
		if info, err := os.Stat(filepath.Join(dir, name)); err != nil || info.Mode().Perm() != 0o600 {
			t.Errorf("%s: %v, %v", name, info, err)
		}
	}
	if out, err := trustlink(t.Context(), enrol...); err != nil || !strings.Contains(out, "already enrolled") || c.seen != 1 {
		t.Errorf("second run: %q, %v, %d requests", out, err, c.seen)
	}
	enrol[len(enrol)-1] = "other"
	if _, err := trustlink(t.Context(), enrol...); err == nil || !strings.Contains(err.Error(),
		"the token is unknown") {
		t.Errorf("another token on an enrolled folder: %v", err)
	}

	ready, stop := bringUp(t, dir)
	if !ready.Ready || ready.Mode != vpn.ModeNetstack || len(ready.Forwards) != 1 {
		t.Fatalf("ready line %+v", ready)
	}
	conn, err := net.DialTimeout("tcp", ready.Forwards[0].Local.String(), patience)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	conn.SetDeadline(time.Now().Add(patience))
	fmt.Fprint(conn, "ping")
	if _, err := io.ReadFull(conn, make([]byte, 4)); err != nil {
		t.Errorf("through the tunnel: %v", err)
	}
	if out, err := trustlink(t.Context(), "status", "--state", dir); err != nil || !strings.Contains(out, "mode netstack") {
		t.Errorf("status: %q, %v", out, err)
	}
	stop()
	if out, err := trustlink(t.Context(), "status", "--state", dir); !errors.Is(err, exitCode(3)) || !strings.Contains(out, "not running") {
		t.Errorf("status after the end: %q, %v", out, err)
	}
	if _, err := net.DialTimeout("tcp", ready.Forwards[0].Local.String(), patience); err == nil {
		t.Error("the forwarded port is still open")
	}
}

// bringUp runs trustlink up until stop is called.
func bringUp(t *testing.T, dir string, more ...string) (ready readiness, stop func()) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	read, write := io.Pipe()
	command := newCommand()
	command.SetArgs(append([]string{"up", "--state", dir, "--mode", "netstack", "--json"}, more...))
	command.SetOut(write)
	command.SetErr(io.Discard)
	done := make(chan error, 1)
	go func() {
		err := command.ExecuteContext(ctx)
		write.CloseWithError(fmt.Errorf("up ended: %v", err))
		done <- err
	}()
	stop = func() {
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
	}
	line, err := bufio.NewReader(read).ReadBytes('\n')
	if err == nil {
		err = json.Unmarshal(line, &ready)
	}
	if err != nil {
		t.Fatal(err)
	}
	return ready, stop
}

func TestInterruptedEnrolmentResumesWithTheSameKeys(t *testing.T) {
	c, dir := startCore(t), t.TempDir()
	enrol := []string{"enrol", "--state", dir, "--url", c.server.URL, "--pin", hexDigest(c.server.Certificate().Raw), "--token", "right"}
	inTheWay := filepath.Join(dir, caFile) // it ends before its last writes
	if err := os.Mkdir(inTheWay, 0o700); err != nil {
		t.Fatal(err)
	}
	if _, err := trustlink(t.Context(), enrol...); err == nil || c.seen != 1 {
		t.Fatalf("interrupted: %v, %d requests", err, c.seen)
	}
	if err := os.Remove(inTheWay); err != nil {
		t.Fatal(err)
	}
	if _, err := trustlink(t.Context(), enrol...); err != nil || c.seen != 2 {
		t.Errorf("resumed: %v, %d requests", err, c.seen)
	}
}

func TestEnrolRefuses(t *testing.T) {
	c := startCore(t)
	ca, pin := c.caFile(t), hexDigest(c.server.Certificate().Raw)
	otherKey, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	otherDER, err := x509.CreateCertificate(rand.Reader, c.ca, c.ca, otherKey.Public(), c.key)
	if err != nil {
		t.Fatal(err)
	}
	for name, r := range map[string]struct {
		args  []string
		spoil func(*office.Enrolment)
		want  string
	}{
		"no url":              {[]string{"--token", "right"}, nil, "--url"},
		"plain http":          {[]string{"--url", "http://127.0.0.1", "--token", "right"}, nil, "--url"},
		"no token":            {[]string{"--url", c.server.URL}, nil, "--token"},
		"unknown token":       {[]string{"--url", c.server.URL, "--ca", ca, "--token", "wrong"}, nil, "the token is unknown"},
		"unknown server":      {[]string{"--url", c.server.URL, "--token", "right"}, nil, "certificate"},
		"wrong pin":           {[]string{"--url", c.server.URL, "--pin", strings.Repeat("00", 32), "--token", "right"}, nil, "pinned"},
		"broken pin":          {[]string{"--url", c.server.URL, "--pin", "00", "--token", "right"}, nil, "--pin"},
		"ca and pin":          {[]string{"--url", c.server.URL, "--pin", pin, "--ca", ca, "--token", "right"}, nil, "not both"},
		"foreign certificate": {[]string{"--url", c.server.URL, "--ca", ca, "--token", "right"}, func(e *office.Enrolment) { e.Certificate = string(pemOf(otherDER)) }, "not over this office's key"},
		"no certificate":      {[]string{"--url", c.server.URL, "--ca", ca, "--token", "right"}, func(e *office.Enrolment) { e.Certificate = "" }, "no certificate"},
		"everything routed":   {[]string{"--url", c.server.URL, "--ca", ca, "--token", "right"}, func(e *office.Enrolment) { e.Hub.Addresses = []netip.Prefix{netip.MustParsePrefix("0.0.0.0/0")} }, "single address"},
	} {
		t.Run(name, func(t *testing.T) {
			c.first, c.spoil = request{}, r.spoil
			dir := t.TempDir()
			_, err := trustlink(t.Context(), append([]string{"enrol", "--state", dir}, r.args...)...)
			if err == nil || !strings.Contains(err.Error(), r.want) {
				t.Errorf("got %v, want %q", err, r.want)
			}
			if _, err := os.Stat(filepath.Join(dir, officeFile)); err == nil {
				t.Error("the office counts as enrolled")
			}
		})
	}
}

func TestEnrolWithoutATunnel(t *testing.T) {
	c, dir := startCore(t), t.TempDir()
	c.spoil = func(e *office.Enrolment) {
		*e = office.Enrolment{Partner: e.Partner, Certificate: e.Certificate, CA: e.CA}
	}
	out, err := trustlink(t.Context(), "enrol", "--state", dir, "--url", c.server.URL, "--ca", c.caFile(t), "--token", "right")
	if err != nil || !strings.Contains(out, "without a tunnel") {
		t.Errorf("enrol: %q, %v", out, err)
	}
	for _, command := range []string{"up", "show"} {
		if _, err := trustlink(t.Context(), command, "--state", dir); err == nil || !strings.Contains(err.Error(), "has no tunnel") {
			t.Errorf("%s: %v", command, err)
		}
	}
}

// TestUpWithoutATunnel stays to renew the certificate where the gateway is reached in another way.
func TestUpWithoutATunnel(t *testing.T) {
	c, dir := startCore(t), t.TempDir()
	c.spoil = func(e *office.Enrolment) {
		*e = office.Enrolment{Partner: e.Partner, Certificate: e.Certificate, CA: e.CA, Services: e.Services}
	}
	if _, err := trustlink(t.Context(), "enrol", "--state", dir, "--url", c.server.URL, "--ca", c.caFile(t),
		"--token", "right"); err != nil {
		t.Fatal(err)
	}
	ready, stop := bringUp(t, dir)
	defer stop()
	if !ready.Ready || ready.Partner != "office-1" || len(ready.Services) != 1 || len(ready.Forwards) != 0 {
		t.Errorf("%+v", ready)
	}
}

// TestUpBesideAnApplication leaves the tunnel to another program.
func TestUpBesideAnApplication(t *testing.T) {
	c, dir := startCore(t), t.TempDir()
	if _, err := trustlink(t.Context(), "enrol", "--state", dir, "--url", c.server.URL, "--ca", c.caFile(t), "--token", "right"); err != nil {
		t.Fatal(err)
	}
	ready, stop := bringUp(t, dir, "--renew-only")
	defer stop()
	if !ready.Ready || ready.Mode != "" || len(ready.Services) != 1 || len(ready.Forwards) != 0 {
		t.Errorf("%+v", ready)
	}
}

func TestShow(t *testing.T) {
	c, dir := startCore(t), t.TempDir()
	if _, err := trustlink(t.Context(), "show", "--state", dir); err == nil || !strings.Contains(err.Error(), "trustlink enrol") {
		t.Errorf("before enrolment: %v", err)
	}
	if _, err := trustlink(t.Context(), "enrol", "--state", dir, "--url", c.server.URL, "--ca", c.caFile(t), "--token", "right"); err != nil {
		t.Fatal(err)
	}
	secret, err := os.ReadFile(filepath.Join(dir, wireguardKeyFile))
	if err != nil {
		t.Fatal(err)
	}
	private := strings.TrimSpace(string(secret))
	plain, err := trustlink(t.Context(), "show", "--state", dir)
	if err != nil || strings.Contains(plain, private) || !strings.Contains(plain, "AllowedIPs = 10.64.0.1/32\n") {
		t.Errorf("conf: %q, %v", plain, err)
	}
	full, err := trustlink(t.Context(), "show", "--state", dir, "--with-private-key")
	if err != nil || !strings.Contains(full, "PrivateKey = "+private) {
		t.Errorf("conf with the key: %v", err)
	}
	file := filepath.Join(t.TempDir(), "tc-office.conf")
	if _, err := trustlink(t.Context(), "show", "--state", dir, "--with-private-key", "--out", file); err != nil {
		t.Error(err)
	}
	if info, err := os.Stat(file); err != nil || info.Mode().Perm() != 0o600 || read(t, filepath.Dir(file), "tc-office.conf") != full {
		t.Errorf("the file: %v, %v", info, err)
	}
	for _, bad := range []string{"tc office.conf", "tunnel", "a-name-that-is-too-long.conf", ".conf"} {
		if _, err := trustlink(t.Context(), "show", "--state", dir, "--out", filepath.Join(t.TempDir(), bad)); err == nil {
			t.Errorf("%q was taken as a tunnel's name", bad)
		}
	}
	code, err := trustlink(t.Context(), "show", "--state", dir, "--qr")
	if err != nil || strings.Count(code, "\n") < 20 || strings.Contains(code, "PrivateKey") {
		t.Errorf("QR code: %q, %v", code, err)
	}
}

func TestForwardStaysOnLoopbackAndAmongServices(t *testing.T) {
	services := []office.Service{
		{Name: "gateway", Addr: netip.MustParseAddrPort("10.64.0.1:9443")},
		{Name: "time", Proto: "udp", Addr: netip.MustParseAddrPort("10.64.0.1:123")},
	}
	for text, ok := range map[string]bool{
		"127.0.0.1:1=time":    false,
		"127.0.0.1:0=gateway": true, "9443=10.64.0.1:9443": true, "[::1]:1=gateway": true,
		"0.0.0.0:1=gateway": false, "127.0.0.1:1=10.64.0.1:22": false, "127.0.0.1:1": false, "x=gateway": false,
	} {
		if _, err := parseForward(text, services); (err == nil) != ok {
			t.Errorf("%s: %v", text, err)
		}
	}
}

func hexDigest(data []byte) string {
	sum := sha256.Sum256(data)
	return hex.EncodeToString(sum[:])
}
