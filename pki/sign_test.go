package pki_test

import (
	"crypto/rand"
	"crypto/x509"
	"errors"
	"net"
	"testing"

	"trustcore/internal/store/storetest"
	"trustcore/pki"
)

// TestNameConstraintsOfTheIssuer: what relying parties would refuse costs no signature (RFC 5280 4.2.1.10).
func TestNameConstraintsOfTheIssuer(t *testing.T) {
	s := open(t, storetest.SQLite(t))
	cfg := s.config()
	narrow := *cfg.Issuers[0].Certificate
	narrow.PermittedDNSDomains, narrow.ExcludedDNSDomains, narrow.PermittedDNSDomainsCritical = []string{"przykladowo.example"}, []string{"core.przykladowo.example"}, true
	narrow.PermittedIPRanges = []*net.IPNet{{IP: net.IPv4(10, 64, 0, 0).To4(), Mask: net.CIDRMask(16, 32)}}
	der, err := x509.CreateCertificate(rand.Reader, &narrow, s.made.Root.Certificate, s.made.Issuing.Key.Public(), s.made.Root.Key)
	if err != nil {
		t.Fatal(err)
	}
	if cfg.Issuers[0].Certificate, err = x509.ParseCertificate(der); err != nil {
		t.Fatal(err)
	}
	cfg.DB = openStore(t, storetest.SQLite(t))
	ca, err := pki.New(t.Context(), cfg)
	if err != nil {
		t.Fatal(err)
	}
	before := s.key.signed.Load()
	server := func(dns string, ip net.IP) error {
		subject := pki.Subject{Partner: "um-przykladowo", CommonName: "www", DNS: []string{dns}}
		if ip != nil {
			subject.IPs = []net.IP{ip}
		}
		_, err := ca.IssueAnew(t.Context(), officer, pki.PartnerServer, request(t, newKey(t), x509.CertificateRequest{}), subject, "OR.1")
		return err
	}
	for what, err := range map[string]error{"another domain": server("www.inny.example", nil), "an excluded one": server("a.core.przykladowo.example", nil),
		"another network": server("www.przykladowo.example", net.IPv4(192, 0, 2, 1))} {
		var wrong *pki.RequestError
		if !errors.As(err, &wrong) || wrong.Field != "names" {
			t.Errorf("%s: %v; want a refusal of names", what, err)
		}
	}
	if n := s.key.signed.Load() - before; n != 0 {
		t.Errorf("the key signed %d times for names that were refused", n)
	}
	if err := server("www.przykladowo.example", net.IPv4(10, 64, 0, 7)); err != nil {
		t.Errorf("a permitted name: %v", err)
	}
}
