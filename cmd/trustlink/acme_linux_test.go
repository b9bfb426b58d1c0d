package main

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"trustcore/internal/audit"
	"trustcore/internal/audit/audittest"
	"trustcore/internal/store"
	"trustcore/internal/store/storetest"
	"trustcore/pki"
	"trustcore/pki/acme"
	"trustcore/pki/pkitest"
	"trustcore/vpn/office"
)

// acmeWorld is an office and the data centre's ACME server, whose keys the gateway gives out to the office's certificate.
type acmeWorld struct {
	t    *testing.T
	dir  string // of the office's state
	acme *acme.Server
	base string
}

const (
	acmeHost    = "www.przykladowo.example"
	acmeAddress = "10.64.0.7" // of the office's server, where the data centre looks for the proof
)

// inOwnNetwork runs the test once more in a network namespace of its own, where ports and addresses are free. It reports whether it is there.
func inOwnNetwork(t *testing.T) bool {
	t.Helper()
	const there = "TRUSTCORE_OWN_NETWORK"
	if os.Getenv(there) != "" {
		for _, args := range []string{"link set lo up", "address add " + acmeAddress + "/32 dev lo"} {
			if out, err := exec.CommandContext(t.Context(), "ip", strings.Fields(args)...).CombinedOutput(); err != nil {
				t.Fatalf("ip %s: %v %s", args, err, out)
			}
		}
		return true
	}
	if os.Geteuid() != 0 {
		t.Skip("a network namespace needs root")
	}
	c := exec.CommandContext(t.Context(), "unshare", "--net", "--mount", os.Args[0], "-test.run=^"+t.Name()+"$", "-test.count=1")
	c.Env = append(os.Environ(), there+"=1")
	if out, err := c.CombinedOutput(); err != nil {
		t.Fatalf("in its own network: %v\n%s", err, out)
	}
	return false
}

func newACMEWorld(t *testing.T) *acmeWorld {
	t.Helper()
	core := startCore(t)
	server := &rotating{core: core, t: t}
	w := &acmeWorld{t: t, dir: filepath.Join(t.TempDir(), "state")}
	front := httptest.NewUnstartedServer(http.HandlerFunc(func(a http.ResponseWriter, r *http.Request) { w.acme.Handler().ServeHTTP(a, r) }))
	front.TLS = &tls.Config{Certificates: []tls.Certificate{server.serverCertificate()}}
	front.StartTLS()
	t.Cleanup(front.Close)
	w.base = front.URL
	w.openACME()
	pool := x509.NewCertPool()
	pool.AddCert(core.ca)
	gateway := httptest.NewUnstartedServer(http.HandlerFunc(w.giveKey))
	gateway.TLS = &tls.Config{Certificates: []tls.Certificate{server.serverCertificate()}, ClientAuth: tls.RequireAndVerifyClientCert, ClientCAs: pool}
	gateway.StartTLS()
	t.Cleanup(gateway.Close)
	at := netip.MustParseAddrPort(gateway.Listener.Addr().String())
	core.spoil = func(e *office.Enrolment) {
		*e = office.Enrolment{Partner: e.Partner, Certificate: e.Certificate, CA: e.CA, Services: []office.Service{{Name: gatewayService, Addr: at}}}
	}
	if _, err := trustlink(t.Context(), "enrol", "--state", w.dir, "--url", core.server.URL, "--ca", core.caFile(t), "--token", "right"); err != nil {
		t.Fatal(err)
	}
	return w
}

// openACME opens an authority with its ACME server, and the order of the one office.
func (w *acmeWorld) openACME() {
	w.t.Helper()
	must := func(err error) {
		w.t.Helper()
		if err != nil {
			w.t.Fatal(err)
		}
	}
	made, log := pkitest.Perform(w.t, "http://127.0.0.1/pki"), audittest.Open(w.t)
	db, err := store.Open(w.t.Context(), storetest.SQLite(w.t))
	must(err)
	w.t.Cleanup(func() { must(db.Close()) })
	ca, err := pki.New(w.t.Context(), pki.Config{DB: db, Audit: log, BaseURL: "http://127.0.0.1/pki", Logger: slog.New(slog.DiscardHandler),
		Roots: []pki.Root{{Certificate: made.Root.Certificate, List: made.RootCRL}},
		Issuers: []pki.Issuer{{Certificate: made.Issuing.Certificate, Key: made.Issuing.Key,
			OCSP: pki.Delegate{Certificate: made.OCSP.Certificate, Key: made.OCSP.Key}}}})
	must(err)
	rules := func(context.Context, string) (*acme.Rule, error) {
		return &acme.Rule{Line: "OR.1", Order: "OR.1", Names: []string{acmeHost}, Reach: []netip.Prefix{netip.MustParsePrefix(acmeAddress + "/32")},
			Profile: pki.PartnerServer}, nil
	}
	w.acme, err = acme.New(w.t.Context(), acme.Config{DB: db, Audit: log, CA: ca, Base: w.base, Rules: rules, Logger: slog.New(slog.DiscardHandler),
		Seal: func(secret []byte, _ string) (string, error) { return base64.StdEncoding.EncodeToString(secret), nil },
		Open: func(sealed, _ string) ([]byte, error) { return base64.StdEncoding.DecodeString(sealed) }})
	must(err)
}

// giveKey is the gateway's route.
func (w *acmeWorld) giveKey(a http.ResponseWriter, r *http.Request) {
	if r.Method+" "+r.URL.Path != "POST /v1/acme/keys" || r.TLS.PeerCertificates[0].Subject.CommonName != "office-1" {
		http.Error(a, "", http.StatusForbidden)
		return
	}
	text, err := w.key()
	if err != nil {
		http.Error(a, err.Error(), http.StatusInternalServerError)
		return
	}
	_, _ = a.Write(text)
}

// key is a key as trustd shows it.
func (w *acmeWorld) key() ([]byte, error) {
	made, err := w.acme.Bind(w.t.Context(), audit.Actor{Kind: "partner", ID: "office-1"}, "office-1")
	if err != nil {
		return nil, err
	}
	return json.Marshal(struct {
		acme.NewBinding
		Directory string `json:"directory"`
	}{*made, w.base + acme.Directory})
}

// TestACMESettingsWorkAsTheyStand has certbot and lego get and renew a certificate by the commands that are shown, as they are: with a key
// that the office's certificate gets, and with one that an officer made.
func TestACMESettingsWorkAsTheyStand(t *testing.T) {
	for _, client := range []string{"certbot", "lego"} {
		if _, err := exec.LookPath(client); err != nil {
			t.Skipf("%s is not installed (apt-get install %[1]s)", client)
		}
	}
	if !inOwnNetwork(t) {
		return
	}
	w := newACMEWorld(t)
	byOfficer, err := w.key()
	if err != nil {
		t.Fatal(err)
	}
	keyFile := filepath.Join(t.TempDir(), "key.json")
	if err := os.WriteFile(keyFile, byOfficer, 0o600); err != nil {
		t.Fatal(err)
	}
	for client, c := range map[string]struct {
		certificate string
		further     []string
	}{
		"certbot": {"live/" + acmeHost + "/fullchain.pem", nil},
		"lego":    {"certificates/" + acmeHost + ".crt", []string{"--key", keyFile}},
	} {
		folder := filepath.Join(t.TempDir(), "the office's "+client)
		text, err := trustlink(t.Context(), append([]string{"acme", "--state", w.dir, "--client", client, "--email", "it@przykladowo.example",
			"--domain", acmeHost, "--to", folder, "--json"}, c.further...)...)
		if err != nil {
			t.Fatal(err)
		}
		var made acmeSetup
		if err := json.Unmarshal([]byte(text), &made); err != nil {
			t.Fatal(err)
		}
		w.private(made)
		for _, command := range made.Commands {
			shell := exec.CommandContext(t.Context(), "sh", "-c", command)
			shell.Env = append(os.Environ(), "HOME="+t.TempDir(), "NO_PROXY=*")
			if out, err := shell.CombinedOutput(); err != nil {
				t.Fatalf("%s: %v\n%s", command, err, out)
			}
		}
		leaf, err := os.ReadFile(filepath.Join(folder, c.certificate))
		if err != nil || !strings.Contains(string(leaf), "BEGIN CERTIFICATE") {
			t.Errorf("%s has no certificate: %v", client, err)
		}
	}
}

// private demands that no command shows a secret, and that the files are their owner's alone.
func (w *acmeWorld) private(made acmeSetup) {
	w.t.Helper()
	for _, file := range made.Files {
		info, err := os.Stat(file)
		if err != nil || info.Mode().Perm() != 0o600 {
			w.t.Errorf("%s: %v, %v", file, info.Mode(), err)
		}
		text, err := os.ReadFile(file)
		if err != nil {
			w.t.Error(err)
		}
		for line := range strings.Lines(string(text)) {
			if _, secret, is := strings.Cut(line, "eab-hmac-key = "); is && strings.Contains(strings.Join(made.Commands, " "), strings.TrimSpace(secret)) {
				w.t.Error("a command shows the secret")
			}
		}
	}
	if all := strings.Join(made.Commands, " "); strings.Contains(all, "hmac") || strings.Contains(all, "kid") {
		w.t.Errorf("a command takes a key: %s", all)
	}
}

// TestACMESettingsAreRefused refuses what a client's settings or a shell would take for something else, before a key is made.
func TestACMESettingsAreRefused(t *testing.T) {
	dir := t.TempDir()
	good := map[string]string{"--client": "certbot", "--email": "it@przykladowo.example", "--domain": acmeHost, "--to": filepath.Join(dir, "new")}
	for _, c := range []struct{ flag, value, want string }{
		{"--client", "step", "no external account binding"},
		{"--client", "curl", "write certbot or lego"},
		{"--email", "it@przykladowo.example\nserver = https://evil.example", "no address of mail"},
		{"--email", "IT <it@przykladowo.example>", "no address of mail"},
		{"--email", "<it@przykladowo.example>", "no address of mail"},
		{"--email", "", "no address of mail"},
		{"--domain", "www.example;reboot", "no name of a host"},
		{"--domain", "*.przykladowo.example", "no name of a host"},
		{"--to", dir, "is there already"},
		{"--to", "", "--to is missing"},
	} {
		args := []string{"acme", "--state", filepath.Join(dir, "no state")}
		for flag, value := range good {
			if flag == c.flag {
				value = c.value
			}
			args = append(args, flag, value)
		}
		if _, err := trustlink(t.Context(), args...); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s %q: want %q, got %v", c.flag, c.value, c.want, err)
		}
	}
	for what, k := range map[string]acmeKey{
		"a line more":     {KID: "a\nserver = x", Secret: "b", Directory: "https://ca.example/dir"},
		"a quote":         {KID: "a", Secret: "b'", Directory: "https://ca.example/dir"},
		"no TLS":          {KID: "a", Secret: "b", Directory: "http://ca.example/dir"},
		"a shell's words": {KID: "a", Secret: "b", Directory: "https://ca.example/dir'; reboot; '"},
		"nothing":         {},
	} {
		if err := k.check(); err == nil {
			t.Errorf("%s is taken", what)
		}
	}
}
