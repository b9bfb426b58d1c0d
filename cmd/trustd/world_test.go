package main

import (
	"bytes"
	"context"
	"crypto/tls"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/netip"
	"os"
	"path/filepath"
	"testing"
	"time"

	"trustcore/cmd/internal/custody"
	"trustcore/cmd/internal/identity"
	"trustcore/cmd/internal/rights"
	"trustcore/hsm/hsmtest"
	"trustcore/internal/audit/audittest"
	"trustcore/pki"
	"trustcore/pki/ceremony"
)

func TestMain(m *testing.M) {
	if len(os.Args) == 3 && os.Args[1] == childArgument {
		if err := serveFaulty(os.Args[2]); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		os.Exit(0)
	}
	if len(os.Args) == 3 && os.Args[1] == lockArgument {
		if err := holdLock(os.Args[2]); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		os.Exit(0)
	}
	if len(os.Args) == 3 && os.Args[1] == nodeArgument {
		if err := serveNode(os.Args[2]); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		os.Exit(0)
	}
	hsmtest.Main(m)
}

// world is a whole trustd over a state of its own: SoftHSM2 behind a worker, SQLite, an authority made by a ceremony.
type world struct {
	*daemon
	t        testing.TB
	dir      string
	replaced bool // its database was, so it ends with that
}

var testWorker = []string{"/proc/self/exe", "hsm-worker"}

// newWorld performs a ceremony and starts trustd. change may alter its configuration.
func newWorld(t testing.TB, change func(*Config)) *world {
	t.Helper()
	if _, err := os.Stat(hsmtest.SoftHSM); err != nil {
		t.Skip("SoftHSM2 is not installed (apt-get install softhsm2)")
	}
	w := &world{t: t, dir: audittest.Dir(t)}
	cfg := w.config()
	if change != nil {
		change(&cfg)
	}
	w.perform(cfg.Config)
	w.start(cfg)
	return w
}

func (w *world) config() Config {
	cfg := Defaults()
	cfg.StateDir, cfg.PKIURL = filepath.Join(w.dir, "trustd"), "http://127.0.0.1/pki"
	cfg.Logger = slog.New(slog.DiscardHandler)
	const any = "127.0.0.1:0"
	cfg.Admin, cfg.Enrolment, cfg.Gateway, cfg.PKI, cfg.Console, cfg.Operations = any, any, any, any, any, any
	cfg.Identity = w.identity("trustd")
	cfg.Tunnel.Endpoint = "127.0.0.1:51820"
	cfg.Tunnel.Services = []TunnelService{{Name: "gateway", Addr: netip.MustParseAddrPort("10.64.0.1:9443")}}
	return cfg
}

// identity is where the files of a holder lie.
func (w *world) identity(name string) identity.Identity {
	file := func(suffix string) string { return filepath.Join(w.dir, name+suffix) }
	return identity.Identity{Certificate: file(".pem"), Key: file(".key"), CA: filepath.Join(w.dir, "ca.pem")}
}

// holding is a certificate and what it makes of its holder.
type holding struct {
	name    string
	profile pki.Profile
	role    rights.Role
}

// holders are those whom the ceremony gives certificates, and one of each role beside.
var holders = []holding{
	{"trustd", pki.DaemonServer, rights.Core}, {"verifyd", pki.DaemonServer, rights.Verifier}, {"batchd", pki.DaemonServer, rights.Dispatcher}, {"vpnd", pki.DaemonClient, rights.Gateway},
	{"officer-1", pki.Officer, rights.Officer}, {"officer-2", pki.Officer, rights.Officer},
	{"auditor-1", pki.Auditor, rights.Auditor},
	{"ezd", pki.DaemonClient, rights.Application}, {"um-przykladowo", pki.PartnerClient, rights.Office},
}

func (w *world) perform(cfg custody.Config) {
	w.t.Helper()
	ctx := w.t.Context()
	c, err := custody.Open(ctx, cfg, testWorker)
	w.must(err)
	defer func() { w.must(c.Close(context.WithoutCancel(ctx))) }()
	plan, err := ceremony.Parse(ceremony.Default(cfg.PKIURL))
	w.must(err)
	_, err = c.Perform(ctx, plan)
	w.must(err)
	ca, err := c.CA(ctx)
	w.must(err)
	w.must(os.WriteFile(filepath.Join(w.dir, "ca.pem"), custody.PEM(ca.Authorities()...), 0o600))
	for _, h := range holders {
		subject := pki.Subject{CommonName: h.name}
		switch h.profile {
		case pki.DaemonServer:
			subject.IPs, subject.NotAfter = []net.IP{net.IPv4(127, 0, 0, 1)}, time.Now().Add(90*24*time.Hour) // so that a successor lives longer
		case pki.PartnerClient:
			subject.Partner = h.name
		}
		w.must(c.IssueIdentity(ctx, ca, h.profile, subject, w.dir, h.name))
	}
}

func (w *world) must(err error) {
	w.t.Helper()
	if err != nil {
		w.t.Fatal(err)
	}
}

// start opens trustd and serves until the test ends.
func (w *world) start(cfg Config) {
	w.t.Helper()
	d, err := open(w.t.Context(), cfg)
	w.must(err)
	w.daemon = d
	ctx, stop := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- d.run(ctx) }()
	w.t.Cleanup(func() {
		stop()
		ran, closed := <-ended, d.close()
		if !w.replaced { // over another database everything ends in its own way
			w.must(errors.Join(ran, closed))
		}
	})
}

// url is where a listener is reached.
func (w *world) url(listener string) string {
	for _, s := range w.servers {
		if s.Name == listener {
			scheme := "http"
			if s.TLS != nil {
				scheme = "https"
			}
			return scheme + "://" + s.Listener.Addr().String()
		}
	}
	w.t.Fatalf("no listener %s", listener)
	return ""
}

// client speaks as the holder; "" shows no certificate.
func (w *world) client(holder string) *http.Client {
	w.t.Helper()
	id := w.identity(holder)
	if holder == "" {
		id = w.identity("trustd")
	}
	settings, err := id.Client()
	w.must(err)
	if holder == "" {
		settings.GetClientCertificate = func(*tls.CertificateRequestInfo) (*tls.Certificate, error) { return new(tls.Certificate), nil }
	}
	transport := &http.Transport{TLSClientConfig: settings}
	w.t.Cleanup(transport.CloseIdleConnections)
	return &http.Client{Transport: transport, Timeout: time.Minute}
}

// answer is what a door said.
type answer struct {
	status int
	body   []byte
}

func (a answer) detail() string {
	var said struct {
		Detail      string
		Description string `json:"error_description"` // as the CSC API has it
	}
	_ = json.Unmarshal(a.body, &said) // what is no problem has none
	return said.Detail + said.Description
}

// ask sends one request to a listener.
func (w *world) ask(c *http.Client, method, url string, body any) answer {
	w.t.Helper()
	var text []byte
	if body != nil {
		var err error
		text, err = json.Marshal(body)
		w.must(err)
	}
	request, err := http.NewRequestWithContext(w.t.Context(), method, url, bytes.NewReader(text))
	w.must(err)
	response, err := c.Do(request)
	w.must(err)
	defer response.Body.Close()
	data, err := io.ReadAll(response.Body)
	w.must(err)
	return answer{response.StatusCode, data}
}

// serial is that of the holder's certificate.
func (w *world) serial(holder string) string {
	w.t.Helper()
	c, err := custody.ReadCertificate(w.identity(holder).Certificate)
	w.must(err)
	return fmt.Sprintf("%x", c.SerialNumber)
}
