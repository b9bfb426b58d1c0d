package main

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"testing"
	"time"

	"trustcore/cmd/internal/rights"
	"trustcore/internal/audit"
	"trustcore/pki"
)

// BenchmarkRevokedIsRefused measures from the call that revokes until the certificate is refused: over a connection that is open at
// trustd's own listener, and by a daemon that follows the list as verifyd does.
func BenchmarkRevokedIsRefused(b *testing.B) {
	w := newWorld(b, nil)
	officer := audit.Actor{Kind: "officer", ID: "officer-1"}
	known := rights.NewKnown(time.Hour, time.Now)
	go w.follow(b, known)
	var here, there []time.Duration
	for b.Loop() {
		c, client := w.joins(b, fmt.Sprintf("application-%d", len(here)))
		for known.Digest() == "" || !lets(b, known, c) {
			<-time.After(time.Millisecond)
		}
		if a := w.ask(client, "GET", w.url("admin")+"/v1/orders", nil); a.status != http.StatusForbidden || a.detail() == rights.ErrRevoked.Error() {
			b.Fatalf("before: %d %s", a.status, a.body)
		}
		begun := time.Now()
		_, err := w.ca.Revoke(b.Context(), officer, pki.Selector{Serial: fmt.Sprintf("%x", c.SerialNumber)}, pki.Superseded, "")
		w.must(err)
		for w.ask(client, "GET", w.url("admin")+"/v1/orders", nil).detail() != rights.ErrRevoked.Error() {
		}
		here = append(here, time.Since(begun))
		for lets(b, known, c) {
			<-time.After(time.Millisecond)
		}
		there = append(there, time.Since(begun))
	}
	for name, took := range map[string][]time.Duration{"trustd": here, "verifyd": there} {
		slices.Sort(took)
		b.ReportMetric(float64(took[len(took)/2].Microseconds())/1000, name+"-p50-ms")
		b.ReportMetric(float64(took[len(took)*99/100].Microseconds())/1000, name+"-p99-ms")
	}
}

// lets reports whether the list lets the certificate in.
func lets(b *testing.B, known *rights.Known, c *x509.Certificate) bool {
	_, err := known.Standing(b.Context(), c)
	return err == nil
}

// follow keeps the list as verifyd does.
func (w *world) follow(b *testing.B, known *rights.Known) {
	client := w.client("verifyd")
	for b.Context().Err() == nil {
		request, err := http.NewRequestWithContext(b.Context(), "GET", w.url("admin")+"/v1/clients?have="+known.Digest(), nil)
		if err != nil {
			return
		}
		response, err := client.Do(request)
		if err != nil {
			return
		}
		list := new(rights.Clients)
		if response.StatusCode == http.StatusOK && json.NewDecoder(response.Body).Decode(list) == nil {
			known.Take(list)
		}
		_ = response.Body.Close() // read to its end
	}
}

// joins issues a certificate and returns it with a client that shows it.
func (w *world) joins(b *testing.B, name string) (*x509.Certificate, *http.Client) {
	b.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	w.must(err)
	der, err := x509.CreateCertificateRequest(rand.Reader, &x509.CertificateRequest{Subject: pkix.Name{CommonName: name}}, key)
	w.must(err)
	request, err := x509.ParseCertificateRequest(der)
	w.must(err)
	c, err := w.ca.Issue(b.Context(), audit.Actor{Kind: "officer", ID: "officer-1"}, pki.DaemonClient, request, pki.Subject{CommonName: name}, "")
	w.must(err)
	issuer, _ := w.issuing()
	settings, err := w.identity("officer-1").Client()
	w.must(err)
	settings.GetClientCertificate = func(*tls.CertificateRequestInfo) (*tls.Certificate, error) {
		return &tls.Certificate{Certificate: [][]byte{c.Raw, issuer.Raw}, PrivateKey: key}, nil
	}
	transport := &http.Transport{TLSClientConfig: settings}
	b.Cleanup(transport.CloseIdleConnections)
	return c, &http.Client{Transport: transport, Timeout: time.Minute}
}
