package main

import (
	"crypto/ecdsa"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"trustcore/cmd/internal/httpserver"
	"trustcore/cmd/internal/identity"
)

// TestOwnCertificate renews over trustd, by the certificate itself, and tells in /health what does not go well.
func TestOwnCertificate(t *testing.T) {
	o := newOffice(t)
	cfg := Config{Identity: o.identity("verifyd", 12)}
	o.identity("trustd", 11)
	refuse := true
	server := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if refuse || r.URL.Path != "/v1/renewals" || r.TLS.PeerCertificates[0].SerialNumber.Int64() != 12 {
			http.Error(w, "no", http.StatusForbidden)
			return
		}
		var in struct{ CSR string }
		_ = json.NewDecoder(r.Body).Decode(&in) // what is no request is none below
		block, _ := pem.Decode([]byte(in.CSR))
		q, err := x509.ParseCertificateRequest(block.Bytes)
		if err != nil {
			t.Error(err)
			return
		}
		c := o.mint(14, "verifyd", q.PublicKey.(*ecdsa.PublicKey), func(c *x509.Certificate) {
			c.IPAddresses, c.NotAfter = []net.IP{net.IPv4(127, 0, 0, 1)}, time.Now().Add(100*24*time.Hour)
		})
		_ = json.NewEncoder(w).Encode(map[string]string{"chain": string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: c.Raw}))})
	}))
	pair, err := tls.LoadX509KeyPair(o.path("trustd.pem"), o.path("trustd.key"))
	if err != nil {
		t.Fatal(err)
	}
	server.TLS = &tls.Config{Certificates: []tls.Certificate{pair}, ClientAuth: tls.RequireAnyClientCert, MinVersion: tls.VersionTLS13}
	server.StartTLS()
	t.Cleanup(server.Close)
	now := time.Now().Add(50 * time.Minute) // more than two thirds of two hours
	wants := func(r *identity.Renewal, state, part string) {
		t.Helper()
		r.Now = func() time.Time { return now }
		found := r.Findings("verifyd")
		if state == "" && len(found) == 0 {
			return
		}
		if len(found) != 1 || found[0].State != state || !strings.Contains(found[0].What, part) {
			t.Errorf("%+v; want %s %q", found, state, part)
		}
	}
	alone, err := identity.OfDaemon(cfg.Identity, cfg.Trustd, quiet)
	if err != nil {
		t.Fatal(err)
	}
	wants(alone, httpserver.Red, "and is not renewed by itself") // it ends within a day
	if err := alone.Run(t.Context()); err != nil {
		t.Error(err)
	}
	cfg.Trustd = server.URL
	own, err := identity.OfDaemon(cfg.Identity, cfg.Trustd, quiet)
	if err != nil {
		t.Fatal(err)
	}
	wants(own, "", "")
	if err := own.Once(t.Context()); err == nil {
		t.Error("a refusal is no error")
	}
	wants(own, httpserver.Red, "was not renewed: trustd answered 403")
	refuse, now = false, now.Add(5*time.Minute)
	if err := own.Once(t.Context()); err != nil {
		t.Fatal(err)
	}
	wants(own, "", "")
	wants(alone, httpserver.Amber, "and is not renewed by itself")
	if shown, err := cfg.Identity.Shown(); err != nil || shown.SerialNumber.Int64() != 14 {
		t.Errorf("%v %v", shown, err)
	}
}

// TestTrustdIsAURL refuses another scheme, whoever the clients are.
func TestTrustdIsAURL(t *testing.T) {
	for _, clients := range []string{"none", "certificate"} {
		c := Defaults()
		c.Listen, c.Clients, c.Trustd = "127.0.0.1:8444", clients, "http://127.0.0.1:8440"
		if err := c.Check(); err == nil || !strings.Contains(err.Error(), "is not an https URL") {
			t.Errorf("%s: %v", clients, err)
		}
	}
}
