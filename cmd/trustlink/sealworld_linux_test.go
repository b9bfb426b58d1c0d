package main

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/netip"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"trustcore/hsm"
	"trustcore/hsm/gateway"
	"trustcore/hsm/hsmtest"
	"trustcore/hsm/mechanism"
	"trustcore/hsm/seal"
	"trustcore/hsm/seal/gather"
	"trustcore/hsm/seal/sealtest"
	"trustcore/internal/audit"
	"trustcore/internal/fetch"
	"trustcore/verify"
	"trustcore/verify/signature"
	"trustcore/verify/trustlist"
	"trustcore/vpn/office"
)

// programArgument makes this binary trustlink itself, for tests that kill it.
const programArgument = "as-trustlink"

func TestMain(m *testing.M) {
	if len(os.Args) > 2 && os.Args[1] == programArgument {
		os.Args = append(os.Args[:1:1], os.Args[2:]...)
		main()
		os.Exit(0)
	}
	hsmtest.Main(m)
}

// sealWorld is an office with a key in SoftHSM2 behind the real gateway, over mutual TLS, and an authority that
// certifies it, stamps and answers about certificates.
type sealWorld struct {
	t         *testing.T
	dir       string // of the office's state
	tok       *hsmtest.Token
	authority *sealtest.Authority
	pki       netip.AddrPort
	away      atomic.Bool  // the gateway answers nobody
	turned    atomic.Int32 // requests that it sent away then
	unstamped atomic.Bool  // nor the time-stamping authority
	silent    atomic.Bool  // nobody says whether certificates count

	mu     sync.Mutex
	grants []gateway.Grant     // guarded by mu
	chains map[string][][]byte // guarded by mu; by the key's ID

	once     sync.Once
	verifier *verify.Verifier
	gatherer *gather.Gatherer
}

func newSealWorld(t *testing.T) *sealWorld {
	t.Helper()
	w := &sealWorld{t: t, dir: filepath.Join(t.TempDir(), "state"), tok: hsmtest.Start(t, hsmtest.Config(t)), authority: sealtest.New(t),
		chains: map[string][][]byte{}}
	core := startCore(t)
	pki := w.startPKI()
	gatewayAt := w.startGateway(core)
	core.spoil = func(e *office.Enrolment) {
		*e = office.Enrolment{Partner: e.Partner, Certificate: e.Certificate, CA: e.CA + string(pemOf(w.authority.Root.Certificate.Raw)),
			Services: []office.Service{{Name: gatewayService, Addr: gatewayAt}, {Name: "pki", Addr: pki}}}
	}
	if _, err := trustlink(t.Context(), "enrol", "--state", w.dir, "--url", core.server.URL, "--ca", core.caFile(t), "--token", "right"); err != nil {
		t.Fatal(err)
	}
	return w
}

// startGateway makes the office's key, and serves it.
func (w *sealWorld) startGateway(core *core) netip.AddrPort {
	w.t.Helper()
	w.addVersion(1)
	handler, err := gateway.New(gateway.Config{
		Module: w.tok.Module, Audit: w.tok.Config.Audit, Now: time.Now, Logger: slog.New(slog.DiscardHandler),
		Rate: 1e6, Burst: 1e6, InFlight: 4 * gateway.MaxBatch,
		Chain: func(_ context.Context, id string) ([][]byte, error) {
			w.mu.Lock()
			defer w.mu.Unlock()
			return w.chains[id], nil
		},
		Grants: func(_ context.Context, c *x509.Certificate) ([]gateway.Grant, error) {
			if c.Subject.CommonName != "office-1" {
				return nil, nil
			}
			w.mu.Lock()
			defer w.mu.Unlock()
			return slices.Clone(w.grants), nil
		}})
	if err != nil {
		w.t.Fatal(err)
	}
	server := httptest.NewUnstartedServer(http.HandlerFunc(func(a http.ResponseWriter, r *http.Request) {
		if w.away.Load() {
			w.turned.Add(1)
			a.WriteHeader(http.StatusServiceUnavailable)
			return
		}
		handler.ServeHTTP(a, r)
	}))
	pool := x509.NewCertPool()
	pool.AddCert(core.ca)
	own := &rotating{core: core, t: w.t}
	server.TLS = &tls.Config{Certificates: []tls.Certificate{own.serverCertificate()}, ClientAuth: tls.RequireAndVerifyClientCert, ClientCAs: pool}
	server.EnableHTTP2 = true
	server.StartTLS()
	w.t.Cleanup(server.Close)
	return netip.MustParseAddrPort(server.Listener.Addr().String())
}

// addVersion makes a version of the office's key, certifies it and has it sign from now on in the place of the one
// before.
func (w *sealWorld) addVersion(number int) (certificate *x509.Certificate) {
	w.t.Helper()
	officer := audit.Actor{Kind: "officer", ID: "officer-1"}
	info, err := w.tok.Generate(w.t.Context(), officer, hsm.KeySpec{Partner: "office-1", Order: "ZU-1", Label: "seal", Version: number,
		Algorithm: hsm.P256})
	if err != nil {
		w.t.Fatal(err)
	}
	key, err := w.tok.Signer(w.t.Context(), info.ID)
	if err != nil {
		w.t.Fatal(err)
	}
	sealing := w.authority.Issue(w.t, w.authority.CA, "seal", "Urząd Miasta Przykładowo", key, nil)
	w.mu.Lock()
	defer w.mu.Unlock()
	now := time.Now()
	w.chains[info.ID] = [][]byte{sealing.Certificate.Raw, w.authority.CA.Certificate.Raw, w.authority.Root.Certificate.Raw}
	for i := range w.grants {
		w.grants[i].Version.Replaced, w.grants[i].Version.By = now, info.ID
	}
	w.grants = append(w.grants, gateway.Grant{Partner: "office-1", Application: "ezd", KeyID: info.ID, Order: "ZU-1", Active: true,
		Mechanisms: []mechanism.Mechanism{mechanism.ECDSASHA256}, Version: gateway.Version{Number: number}})
	return sealing.Certificate
}

// startPKI serves the authority as the data centre's PKI is served.
func (w *sealWorld) startPKI() netip.AddrPort {
	w.t.Helper()
	behind, err := url.Parse(w.authority.URL)
	if err != nil {
		w.t.Fatal(err)
	}
	forward := http.StripPrefix("/pki", httputil.NewSingleHostReverseProxy(behind))
	server := httptest.NewServer(http.HandlerFunc(func(a http.ResponseWriter, r *http.Request) {
		if w.unstamped.Load() || w.silent.Load() && r.URL.Path != "/pki/tsa" {
			a.WriteHeader(http.StatusBadGateway)
			return
		}
		forward.ServeHTTP(a, r)
	}))
	w.t.Cleanup(server.Close)
	w.pki = netip.MustParseAddrPort(server.Listener.Addr().String())
	a := w.authority // whose certificates name the PKI's addresses
	a.URL = server.URL + "/pki"
	a.CA = a.Issue(w.t, a.Root, "ca", "Sealtest CA", a.CA.Key, nil)
	a.TSU = a.Issue(w.t, a.CA, "tsu", "Sealtest TSU", a.TSU.Key, nil)
	a.Responder = a.Issue(w.t, a.CA, "responder", "Sealtest Responder", a.Responder.Key, nil)
	return w.pki
}

// uses is how often the audit log says that the key was used; the log's checkpoint follows its entries. A use whose
// caller was killed meanwhile may have a second entry, which says that it failed.
func (w *sealWorld) uses(atLeast int) (granted int) {
	w.t.Helper()
	for deadline := time.Now().Add(time.Minute); ; time.Sleep(20 * time.Millisecond) {
		entries, err := w.tok.Config.Audit.List(w.t.Context(), audit.Filter{Action: "hsm.sign"})
		granted = 0
		for _, e := range entries {
			switch e.Outcome {
			case audit.Granted:
				granted++
			case audit.Refused:
				w.t.Errorf("%+v", e)
			}
		}
		if err == nil && granted >= atLeast {
			return granted
		}
		if time.Now().After(deadline) {
			w.t.Fatalf("%d uses, want %d: %v", granted, atLeast, err)
		}
	}
}

// run runs a command of the office.
func (w *sealWorld) run(args ...string) (string, error) {
	return trustlink(w.t.Context(), append([]string{"--state", w.dir}, args...)...)
}

// start starts a command of the office as a process of its own.
func (w *sealWorld) start(args ...string) (c *exec.Cmd, log *bytes.Buffer) {
	w.t.Helper()
	c = exec.Command(os.Args[0], append([]string{programArgument, "--state", w.dir}, args...)...)
	log = new(bytes.Buffer)
	c.Stderr = log
	if err := c.Start(); err != nil {
		w.t.Fatal(err)
	}
	return c, log
}

func (w *sealWorld) judges() {
	w.once.Do(func() {
		roots := []*x509.Certificate{w.authority.Root.Certificate}
		var err error
		w.gatherer, err = gather.New(gather.Config{Anchors: roots, Strangers: fetch.New(fetch.Config{Allow: []netip.AddrPort{w.pki}})})
		if err != nil {
			w.t.Fatal(err)
		}
		lists, err := trustlist.Load(w.t.Context(), trustlist.Sources{Anchors: []string{w.authority.Anchor(w.t)}})
		if err != nil {
			w.t.Fatal(err)
		}
		if w.verifier, err = verify.New(verify.Config{Lists: func() *trustlist.Snapshot { return lists }, Policy: verify.DefaultPolicy(), Now: time.Now}); err != nil {
			w.t.Fatal(err)
		}
	})
}

// judge has our verifier judge a sealed file: it holds exactly one seal, which passes, and covers all.
func (w *sealWorld) judge(file, level string, detached ...string) *verify.Report {
	w.t.Helper()
	w.judges()
	content, err := os.ReadFile(file)
	if err != nil {
		w.t.Fatal(err)
	}
	request := verify.Request{Document: content}
	for _, name := range detached {
		beside, err := os.ReadFile(name)
		if err != nil {
			w.t.Fatal(err)
		}
		request.Detached = append(request.Detached, signature.Detached{Name: filepath.Base(name), Content: beside})
	}
	if level == string(seal.LevelB) || level == string(seal.LevelT) {
		key, err := w.sealingCertificate()
		if err != nil {
			w.t.Fatal(err)
		}
		ev, err := w.gatherer.Collect(w.t.Context(), [][]byte{key.Raw, w.authority.TSU.Certificate.Raw}, [][]byte{w.authority.CA.Certificate.Raw})
		if err != nil {
			w.t.Fatal(err)
		}
		request.Evidence = &verify.Evidence{Certificates: ev.Certificates, CRLs: ev.CRLs, OCSPs: ev.OCSPs}
	}
	r, err := w.verifier.Verify(w.t.Context(), request)
	if err != nil {
		w.t.Fatalf("%s: %v", file, err)
	}
	if len(r.Signatures) != 1 || r.Signatures[0].Indication != verify.TotalPassed || r.Signatures[0].Level != level || !r.AllPassed() {
		w.t.Errorf("%s: %d seals: %+v", file, len(r.Signatures), r.Signatures)
	}
	return r
}

func (w *sealWorld) sealingCertificate() (*x509.Certificate, error) {
	l, err := openLink(state{w.dir})
	if err != nil {
		return nil, err
	}
	key, err := l.key(w.t.Context(), "")
	if err != nil {
		return nil, err
	}
	return x509.ParseCertificate(key.Info().Chain[0])
}

// lines are what a command wrote with --json, by file.
func lines(t *testing.T, out string) map[string]sealLine {
	t.Helper()
	list := map[string]sealLine{}
	for line := range strings.Lines(out) {
		var l sealLine
		if err := json.Unmarshal([]byte(line), &l); err != nil {
			t.Fatalf("%q: %v", line, err)
		}
		if _, twice := list[l.File]; twice {
			t.Errorf("two lines about %s", l.File)
		}
		list[l.File] = l
	}
	return list
}

func put(t *testing.T, content string, elements ...string) string {
	t.Helper()
	file := filepath.Join(elements...)
	if err := errors.Join(os.MkdirAll(filepath.Dir(file), 0o700), os.WriteFile(file, []byte(content), 0o600)); err != nil {
		t.Fatal(err)
	}
	return file
}

// smallPDF is a page without anything on it.
func smallPDF() string {
	objects := []string{"<< /Type /Catalog /Pages 2 0 R >>", "<< /Type /Pages /Kids [3 0 R] /Count 1 >>",
		"<< /Type /Page /Parent 2 0 R /MediaBox [0 0 200 200] /Resources << >> >>"}
	var b strings.Builder
	b.WriteString("%PDF-1.7\n")
	table := fmt.Sprintf("xref\n0 %d\n0000000000 65535 f \n", len(objects)+1)
	for i, o := range objects {
		table += fmt.Sprintf("%010d 00000 n \n", b.Len())
		fmt.Fprintf(&b, "%d 0 obj\n%s\nendobj\n", i+1, o)
	}
	at := b.Len()
	fmt.Fprintf(&b, "%strailer\n<< /Size %d /Root 1 0 R >>\nstartxref\n%d\n%%%%EOF\n", table, len(objects)+1, at)
	return b.String()
}
