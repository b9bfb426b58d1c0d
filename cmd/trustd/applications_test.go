package main

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"fmt"
	"slices"
	"testing"

	"trustcore/cmd/internal/application"
	"trustcore/cmd/internal/rights"
)

// TestApplicationsCertificate: an officer certifies the key of an application that is registered, under its name and
// its partner's; the certificate is on the list of those that count until it is suspended, and none is made for one
// that is revoked, or was never there.
func TestApplicationsCertificate(t *testing.T) {
	o := newInside(t, nil)
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	ask := func(commonName string) map[string]any {
		der, err := x509.CreateCertificateRequest(rand.Reader,
			&x509.CertificateRequest{Subject: pkix.Name{CommonName: commonName}}, key)
		if err != nil {
			t.Fatal(err)
		}
		text := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE REQUEST", Bytes: der})
		return map[string]any{"name": "peup", "csr": string(text)}
	}
	const address = "/v1/applications/certificate"
	o.as("officer-1", "POST", address, ask("peup"), 409, nil)
	o.as("officer-1", "POST", "/v1/applications", map[string]any{"name": "peup"}, 200, nil)
	o.as("officer-1", "POST", address, ask("trustd"), 422, nil)
	o.as("officer-1", "POST", address, map[string]any{"name": "peup", "csr": "x"}, 422, nil)
	var made struct{ Chain string }
	o.as("officer-1", "POST", address, ask(""), 200, &made)
	block, _ := pem.Decode([]byte(made.Chain))
	certificate, err := x509.ParseCertificate(block.Bytes)
	if err != nil {
		t.Fatal(err)
	}
	if certificate.Subject.CommonName != "peup" || !key.PublicKey.Equal(certificate.PublicKey) ||
		len(certificate.DNSNames) > 0 {
		t.Errorf("%v %v", certificate.Subject, certificate.DNSNames)
	}
	counts := func() bool {
		return slices.ContainsFunc(o.clientList().Clients, func(c rights.Client) bool {
			return c.Fingerprint == rights.Fingerprint(certificate) && c.Role() == rights.Application && c.Name == "peup"
		})
	}
	if !counts() {
		t.Error("the certificate does not count")
	}
	o.as("officer-1", "POST", "/v1/certificates/suspend",
		map[string]any{"which": map[string]any{"serial": fmt.Sprintf("%x", certificate.SerialNumber)}}, 200, nil)
	if counts() {
		t.Error("it counts, though it is suspended")
	}
	o.as("officer-1", "POST", "/v1/applications/revoke", map[string]any{"name": "peup", "reason": "over"}, 204, nil)
	o.as("officer-1", "POST", address, ask("peup"), 409, nil)
}

// TestApplicationsAreTold: officers register and revoke applications, and verifyd and batchd hear of it; names of
// daemons are none.
func TestApplicationsAreTold(t *testing.T) {
	o := newInside(t, nil)
	before := o.clientList().Digest
	var made newToken
	o.as("officer-1", "POST", "/v1/applications", map[string]any{"name": "peup", "open_batches": 3}, 200, &made)
	list := o.clientList()
	if len(list.Applications) != 1 || list.Applications[0].Tokens[0].SHA256 != application.Digest(made.Token) ||
		list.Applications[0].OpenBatches != 3 ||
		list.Digest == before {
		t.Fatalf("%+v", list.Applications)
	}
	for _, name := range []string{"vpnd", "vpnd-2", "verifyd", "batchd", "trustd"} {
		o.as("officer-1", "POST", "/v1/applications", map[string]any{"name": name}, 422, nil)
	}
	o.as("officer-1", "POST", "/v1/applications", map[string]any{"name": "peup"}, 409, nil)
	o.as("officer-1", "POST", "/v1/applications/token", map[string]any{"name": "peup"}, 200, &made)
	o.as("officer-1", "POST", "/v1/applications/revoke", map[string]any{"name": "peup"}, 422, nil)
	o.as("officer-1", "POST", "/v1/applications/revoke", map[string]any{"name": "peup", "reason": "switched off"}, 204,
		nil)
	if list := o.clientList(); list.Applications[0].Revoked == nil || len(list.Applications[0].Tokens) != 0 {
		t.Errorf("%+v", list.Applications)
	}
	o.as("officer-1", "POST", "/v1/applications/token", map[string]any{"name": "peup"}, 409, nil)
}
