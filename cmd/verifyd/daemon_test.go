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
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/crypto/ocsp"

	"trustcore/cmd/internal/config"
	"trustcore/cmd/internal/httpserver"
	"trustcore/cmd/internal/identity"
	"trustcore/verify/trustlist"
)

// office is an authority with an OCSP responder on loopback, and a folder for a daemon's files.
type office struct {
	t         *testing.T
	dir       string
	key       *ecdsa.PrivateKey
	root      *x509.Certificate
	responder netip.AddrPort
	revoked   map[string]bool // by serial number
}

func newOffice(t *testing.T) *office {
	t.Helper()
	o := &office{t: t, dir: t.TempDir(), revoked: map[string]bool{}}
	o.key = o.newKey()
	o.root = o.mint(1, "Office Root", &o.key.PublicKey, func(c *x509.Certificate) {
		c.IsCA, c.BasicConstraintsValid, c.KeyUsage = true, true, x509.KeyUsageCertSign|x509.KeyUsageCRLSign
	})
	server := httptest.NewServer(http.HandlerFunc(o.answer))
	t.Cleanup(server.Close)
	o.responder = netip.MustParseAddrPort(server.Listener.Addr().String())
	o.writePEM("root.pem", "CERTIFICATE", o.root.Raw)
	return o
}

func (o *office) newKey() *ecdsa.PrivateKey {
	o.t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		o.t.Fatal(err)
	}
	return key
}

func (o *office) mint(serial int64, name string, key *ecdsa.PublicKey, change func(*x509.Certificate)) *x509.Certificate {
	o.t.Helper()
	template := &x509.Certificate{SerialNumber: big.NewInt(serial), Subject: pkix.Name{CommonName: name}, NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour)}
	change(template)
	parent := o.root
	if parent == nil {
		parent = template
	}
	der, err := x509.CreateCertificate(rand.Reader, template, parent, key, o.key)
	if err != nil {
		o.t.Fatal(err)
	}
	c, err := x509.ParseCertificate(der)
	if err != nil {
		o.t.Fatal(err)
	}
	return c
}

func (o *office) answer(w http.ResponseWriter, r *http.Request) {
	body, _ := io.ReadAll(r.Body)
	q, err := ocsp.ParseRequest(body)
	if err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	answer := ocsp.Response{SerialNumber: q.SerialNumber, ThisUpdate: time.Now(), NextUpdate: time.Now().Add(time.Hour)}
	if o.revoked[q.SerialNumber.String()] {
		answer.Status, answer.RevokedAt = ocsp.Revoked, time.Now().Add(-time.Minute)
	}
	der, err := ocsp.CreateResponse(o.root, o.root, answer, o.key)
	if err != nil {
		o.t.Error(err)
	}
	_, _ = w.Write(der) // the daemon under test says what it got
}

func (o *office) leaf(serial int64) *x509.Certificate {
	return o.mint(serial, "officer-1", &o.newKey().PublicKey, func(c *x509.Certificate) { c.OCSPServer = []string{"http://" + o.responder.String() + "/"} })
}

func (o *office) path(name string) string { return filepath.Join(o.dir, name) }

func (o *office) writePEM(name, kind string, der []byte) {
	o.t.Helper()
	if err := os.WriteFile(o.path(name), pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der}), 0o600); err != nil {
		o.t.Fatal(err)
	}
}

// freeAddress is a port of loopback that was free a moment ago.
func (o *office) freeAddress() string {
	o.t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		o.t.Fatal(err)
	}
	defer l.Close()
	return l.Addr().String()
}

// daemonConfig writes verifyd.yaml and reads it as the daemon does.
func (o *office) daemonConfig() Config {
	o.t.Helper()
	key := o.newKey()
	server := o.mint(2, "verifyd", &key.PublicKey, func(c *x509.Certificate) { c.IPAddresses = []net.IP{net.IPv4(127, 0, 0, 1)} })
	der, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		o.t.Fatal(err)
	}
	o.writePEM("verifyd.pem", "CERTIFICATE", server.Raw)
	o.writePEM("verifyd.key", "PRIVATE KEY", der)
	text := fmt.Sprintf("listen: %s\nidentity: {certificate: %q, key: %q, ca: %q}\noperations: %s\nstate_dir: %q\nanchors: [%q]\nfetch_allow: [%q]\ntrustd: https://127.0.0.1:1\n",
		o.freeAddress(), o.path("verifyd.pem"), o.path("verifyd.key"), o.path("root.pem"), o.freeAddress(), o.path("state"), o.path("root.pem"), o.responder)
	if err := os.WriteFile(o.path("verifyd.yaml"), []byte(text), 0o600); err != nil {
		o.t.Fatal(err)
	}
	cfg := Defaults()
	if err := config.Load(o.path("verifyd.yaml"), &cfg); err != nil {
		o.t.Fatal(err)
	}
	return cfg
}

var quiet = slog.New(slog.DiscardHandler)

// serveFor runs a daemon until the test ends, and returns a client of it.
func (o *office) serveFor(cfg Config) *http.Client {
	o.t.Helper()
	ctx, cancel := context.WithCancel(o.t.Context())
	ended := make(chan error, 1)
	go func() { ended <- serve(ctx, cfg, quiet) }()
	pool := x509.NewCertPool()
	pool.AddCert(o.root)
	asks := &http.Client{Timeout: 10 * time.Second, Transport: &http.Transport{TLSClientConfig: &tls.Config{RootCAs: pool}}}
	o.t.Cleanup(func() {
		asks.CloseIdleConnections()
		cancel()
		if err := <-ended; err != nil {
			o.t.Error(err)
		}
	})
	return asks
}

// TestDaemon runs verifyd, asks about certificates over TLS, and reloads the anchors by SIGHUP.
func TestDaemon(t *testing.T) {
	o := newOffice(t)
	cfg := o.daemonConfig()
	client := o.serveFor(cfg)
	var ready struct{ Status string }
	o.wait("the daemon's operations", func() bool { return get(client, "http://"+cfg.Operations+"/readyz?service=verify", &ready) })
	if ready.Status != "ready" {
		t.Errorf("%+v", ready)
	}
	var health health
	if !get(client, "http://"+cfg.Operations+"/health", &health) || health.Details.Age == "" || len(health.Findings) != 1 ||
		!health.says("no trusted list is loaded") || !strings.Contains(health.Findings[0].Remedy, "trustctl trust import FOLDER") {
		t.Errorf("%+v", health)
	}

	ask := func(c *x509.Certificate) (valid bool, sub string) {
		t.Helper()
		response, err := client.Post("https://"+cfg.Listen+"/v1/certificates", "application/pkix-cert", strings.NewReader(string(c.Raw)))
		if err != nil {
			t.Fatal(err)
		}
		defer response.Body.Close()
		var answer struct {
			Valid bool    `json:"valid"`
			Sub   *string `json:"sub_indication"`
		}
		if err := json.NewDecoder(response.Body).Decode(&answer); err != nil || response.StatusCode != http.StatusOK {
			t.Fatal(response.Status, err)
		}
		if answer.Sub != nil {
			sub = *answer.Sub
		}
		return answer.Valid, sub
	}
	good, bad := o.leaf(10), o.leaf(11)
	o.revoked["11"] = true
	if valid, sub := ask(good); !valid {
		t.Errorf("good: %s", sub)
	}
	if valid, sub := ask(bad); valid || sub != "REVOKED_NO_POE" {
		t.Errorf("revoked: %v %s", valid, sub)
	}
	if kept, err := filepath.Glob(o.path("state/evidence/*/*/*/*")); err != nil || len(kept) != 2 {
		t.Errorf("%d answers were kept, %v", len(kept), err)
	}

	if err := os.WriteFile(o.path("root.pem"), []byte("half a file"), 0o600); err != nil {
		t.Fatal(err)
	}
	o.hangup()
	o.wait("a reload that fails", func() bool {
		return get(client, "http://"+cfg.Operations+"/health", &health) && health.Status == httpserver.Amber && health.says("root.pem")
	})
	if valid, sub := ask(good); !valid {
		t.Errorf("with the last known good anchors: %s", sub)
	}
	o.writePEM("root.pem", "CERTIFICATE", o.root.Raw)
	o.hangup()
	o.wait("a reload that works", func() bool {
		return get(client, "http://"+cfg.Operations+"/health", &health) && !health.says("root.pem")
	})
	o.wantMetrics(client, cfg, `verify_certificates_total{indication="PASSED"} 2`, `verify_evidence_total{from="network"} 2`, "verify_trustlists_reload_failed 0")
}

// health is the answer of /health.
type health struct {
	Status   string
	Findings []httpserver.Finding
	Details  details
}

// says tells whether a finding has a text in it.
func (h *health) says(text string) bool {
	return slices.ContainsFunc(h.Findings, func(f httpserver.Finding) bool { return strings.Contains(f.What, text) })
}

func (o *office) hangup() {
	o.t.Helper()
	if err := syscall.Kill(os.Getpid(), syscall.SIGHUP); err != nil {
		o.t.Fatal(err)
	}
}

// wait asks until it holds; what it waits for comes from another goroutine.
func (o *office) wait(what string, holds func() bool) {
	o.t.Helper()
	deadline := time.Now().Add(20 * time.Second)
	for !holds() {
		if time.Now().After(deadline) {
			o.t.Fatalf("%s did not come", what)
		}
		<-time.After(10 * time.Millisecond)
	}
}

func get(client *http.Client, url string, into any) bool {
	response, err := client.Get(url)
	if err != nil {
		return false
	}
	defer response.Body.Close()
	return json.NewDecoder(response.Body).Decode(into) == nil
}

func (o *office) wantMetrics(client *http.Client, cfg Config, lines ...string) {
	o.t.Helper()
	response, err := client.Get("http://" + cfg.Operations + "/metrics")
	if err != nil {
		o.t.Fatal(err)
	}
	defer response.Body.Close()
	text, err := io.ReadAll(response.Body)
	if err != nil {
		o.t.Fatal(err)
	}
	for _, line := range lines {
		if !strings.Contains(string(text), line+"\n") {
			o.t.Errorf("no %s among the metrics", line)
		}
	}
}

func TestConfig(t *testing.T) {
	good := Defaults()
	good.Listen, good.StateDir, good.Anchors = "127.0.0.1:8444", "/var/lib/verifyd", []string{"a.pem"}
	good.Identity = identity.Identity{Certificate: "c", Key: "k", CA: "ca"}
	if err := good.Check(); err != nil {
		t.Fatal(err)
	}
	for key, change := range map[string]func(*Config){
		"listen": func(c *Config) { c.Listen = "" }, "operations": func(c *Config) { c.Operations = "0.0.0.0:1" },
		"clients": func(c *Config) { c.Listen = "10.0.0.1:8444" }, "state_dir": func(c *Config) { c.StateDir = "state" },
		"reload": func(c *Config) { c.Reload = 0 }, "trust_lists": func(c *Config) { c.TrustLists, c.Lists.Fetch = "lists", true },
		"lists.lotl": func(c *Config) { c.Lists.LOTL = "ftp://example.org/lotl.xml" }, "lists.every": func(c *Config) { c.Lists.Every = time.Second },
		"reports.judge":       func(c *Config) { c.Reports.Judge = "Centrum\u202e" },
		"lists.addresses.PL":  func(c *Config) { c.Lists.Addresses = map[string]string{"PL": "pl.xml"} },
		"lists.extra.address": func(c *Config) { c.Lists.Extra = []ExtraList{{"list.xml", "signer.pem"}} },
		"lists.extra.signers": func(c *Config) { c.Lists.Extra = []ExtraList{{"https://example.org/list.xml", ""}} },
		"proxy":               func(c *Config) { c.Proxy = "proxy:3128" }, "offline": func(c *Config) { c.Lists.Fetch, c.Offline = true, true },
		"spool_dir": func(c *Config) { c.SpoolDir = "spool" }, "max_spool": func(c *Config) { c.MaxSpool = 1 << 20 },
		"max_memory": func(c *Config) { c.MaxMemory = 512 << 20 }, "max_connections": func(c *Config) { c.MaxConnections = 0 },
		"identity.key": func(c *Config) { c.Identity.Key = "" },
	} {
		c := good
		change(&c)
		if err := c.Check(); err == nil || !strings.Contains(err.Error(), key) {
			t.Errorf("%s: %v", key, err)
		}
	}
}

// TestListsThatArePoorerAreNotTaken takes a national list away from the Union's, as half a download would.
func TestListsThatArePoorerAreNotTaken(t *testing.T) {
	corpus := os.Getenv("TRUSTCORE_CORPUS")
	if corpus == "" {
		t.Skip("TRUSTCORE_CORPUS is not set: the Union's lists are not reloaded")
	}
	dir := t.TempDir()
	if err := os.CopyFS(dir, os.DirFS(filepath.Join(corpus, "trustlists", "eu-2023-10"))); err != nil {
		t.Fatal(err)
	}
	trust, err := newTrust(t.Context(), trustlist.Sources{Dir: dir, LOTLSigners: filepath.Join(corpus, "trustlists", "lotl-signers")}, nil, quiet)
	if err != nil {
		t.Fatal(err)
	}
	before := trust.current.Load()
	var file string
	for _, s := range before.Status() {
		if s.Role == "national" && s.Territory == "PL" {
			file = s.File
		}
	}
	if !filepath.IsAbs(file) {
		file = filepath.Join(dir, file)
	}
	if err := os.Remove(file); err != nil {
		t.Fatal(err)
	}
	if err := trust.load(t.Context()); err == nil || !strings.Contains(err.Error(), "PL") {
		t.Errorf("%v", err)
	}
	if trust.current.Load() != before {
		t.Error("the poorer lists are in use")
	}
	if found := trust.findings(time.Now()); len(found) == 0 || found[0].State != httpserver.Amber || !strings.Contains(found[0].What, "PL") {
		t.Errorf("%+v", found)
	}
	if err := trust.ready(); err != nil {
		t.Error(err)
	}
	if len(before.Hosts()) < 100 {
		t.Errorf("the anchors name %d hosts", len(before.Hosts()))
	}
}

// TestReadyNeedsALoadedList: with lists configured and none of use every signature would be a stranger's; with anchors alone
// there are none to miss.
func TestReadyNeedsALoadedList(t *testing.T) {
	o := newOffice(t)
	trust, err := newTrust(t.Context(), trustlist.Sources{Anchors: []string{o.path("root.pem")}}, nil, quiet)
	if err != nil {
		t.Fatal(err)
	}
	if err := trust.ready(); err != nil {
		t.Errorf("anchors alone: %v", err)
	}
	corpus := os.Getenv("TRUSTCORE_CORPUS")
	if corpus == "" {
		t.Skip("TRUSTCORE_CORPUS is not set: there is no list of lists")
	}
	sources := trustlist.Sources{Dir: filepath.Join(corpus, "trustlists", "eu-2023-10"), LOTLSigners: filepath.Join(corpus, "trustlists", "lotl-signers")}
	if trust, err = newTrust(t.Context(), sources, nil, quiet); err != nil {
		t.Fatal(err)
	}
	if err := trust.ready(); err != nil {
		t.Errorf("the Union's lists: %v", err)
	}
	dir := t.TempDir()
	for _, s := range trust.current.Load().Status() {
		if s.Role != "national" {
			data, err := os.ReadFile(filepath.Join(sources.Dir, filepath.Base(s.File)))
			if err != nil {
				t.Fatal(err)
			}
			if err := os.WriteFile(filepath.Join(dir, filepath.Base(s.File)), data, 0o600); err != nil {
				t.Fatal(err)
			}
		}
	}
	sources.Dir = dir
	if trust, err = newTrust(t.Context(), sources, nil, quiet); err != nil {
		t.Fatal(err)
	}
	if err := trust.ready(); err == nil {
		t.Error("ready with the list of lists alone")
	}
}
