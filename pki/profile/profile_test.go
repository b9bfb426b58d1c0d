package profile_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"encoding/asn1"
	"testing"
	"time"

	"trustcore/pki/profile"
)

var (
	begin  = time.Date(2027, 1, 1, 0, 0, 0, 0, time.UTC)
	places = profile.IssuingPlaces("http://pki.example/pki")
)

// signed makes a certificate of the template, so that what is checked is what relying parties see.
func signed(t *testing.T, template *x509.Certificate) *x509.Certificate {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	if template.SerialNumber, err = profile.NewSerial(); err != nil {
		t.Fatal(err)
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	certificate, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	return certificate
}

func extension(c *x509.Certificate, oid ...int) (critical, there bool) {
	for _, e := range c.Extensions {
		if e.Id.Equal(asn1.ObjectIdentifier(oid)) {
			return e.Critical, true
		}
	}
	return false, false
}

func TestTemplate(t *testing.T) {
	for _, kind := range []profile.Profile{profile.DaemonServer, profile.DaemonClient, profile.PartnerClient, profile.Officer, profile.Seal, profile.OCSPResponder, profile.TimeStamping} {
		template, err := kind.Template(begin, begin.AddDate(50, 0, 0), places)
		if err != nil {
			t.Fatal(err)
		}
		c := signed(t, template)
		if c.NotAfter.Sub(c.NotBefore) != kind.Longest() || c.IsCA || !c.BasicConstraintsValid || c.KeyUsage&x509.KeyUsageDigitalSignature == 0 {
			t.Errorf("%s: valid %v, CA %v, usage %b", kind, c.NotAfter.Sub(c.NotBefore), c.IsCA, c.KeyUsage)
		}
		if _, noCheck := extension(c, 1, 3, 6, 1, 5, 5, 7, 48, 1, 5); noCheck != (kind == profile.OCSPResponder) || noCheck != (len(c.OCSPServer) == 0) {
			t.Errorf("%s: nocheck %v beside OCSP %v", kind, noCheck, c.OCSPServer)
		}
		if critical, _ := extension(c, 2, 5, 29, 37); critical != (kind == profile.TimeStamping) {
			t.Errorf("%s: critical purposes %v", kind, critical)
		}
		if _, period := extension(c, 2, 5, 29, 16); period != (kind == profile.TimeStamping) {
			t.Errorf("%s: private key usage period %v", kind, period)
		}
	}
}

func TestTemplateRefusals(t *testing.T) {
	if _, err := profile.Root.Template(begin, begin.AddDate(1, 0, 0), places); err == nil {
		t.Error("a root from a request")
	}
	if _, err := profile.Officer.Template(begin, begin, places); err == nil {
		t.Error("a validity of nothing")
	}
	if _, err := profile.Authority(profile.Officer, begin, begin.AddDate(1, 0, 0), places, profile.Purposes()); err == nil {
		t.Error("an officer as an authority")
	}
}

func TestSerialsAreLongPositiveAndDifferent(t *testing.T) {
	seen := map[string]bool{}
	for range 1000 {
		serial, err := profile.NewSerial()
		if err != nil || serial.Sign() != 1 || len(serial.Bytes()) != 16 || seen[serial.String()] {
			t.Fatalf("%x, %v", serial, err)
		}
		seen[serial.String()] = true
	}
}

func TestAllows(t *testing.T) {
	client, stamping := asn1.ObjectIdentifier{1, 3, 6, 1, 5, 5, 7, 3, 2}, asn1.ObjectIdentifier{1, 3, 6, 1, 5, 5, 7, 3, 8}
	if !profile.PartnerClient.Allows(client) || profile.PartnerClient.Allows(stamping) || !profile.TimeStamping.Allows(stamping) || profile.Seal.Allows(client) {
		t.Error("purposes are mixed up")
	}
}
