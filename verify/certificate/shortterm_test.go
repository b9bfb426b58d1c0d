package certificate_test

import (
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"math/big"
	"testing"
	"time"
)

// TestWhatAnExtensionSays reads words of the issuer that spare or bind whoever relies on the certificate.
func TestWhatAnExtensionSays(t *testing.T) {
	assured, noCheck := asn1.ObjectIdentifier{0, 4, 0, 194121, 2, 1}, asn1.ObjectIdentifier{1, 3, 6, 1, 5, 5, 7, 48, 1, 5}
	constraints := asn1.ObjectIdentifier{2, 5, 29, 30}
	address := func(mask ...byte) []byte { // one excluded subtree of 192.0.2.0
		n := byte(len(mask) + 4)
		return append([]byte{0x30, n + 6, 0xa1, n + 4, 0x30, n + 2, 0x87, n, 192, 0, 2, 0}, mask...)
	}
	for _, test := range []struct {
		name      string
		ca        bool
		id        asn1.ObjectIdentifier
		value     []byte
		shortTerm bool
		malformed bool
	}{
		{"validity assured", false, assured, []byte{5, 0}, true, false},
		{"a CA's validity assured", true, assured, []byte{5, 0}, false, false},
		{"ocsp-nocheck", false, noCheck, []byte{5, 0}, false, false},
		{"address and mask", true, constraints, address(255, 255, 255, 0), false, false},
		{"address and half a mask", true, constraints, address(255, 255), false, true},
	} {
		t.Run(test.name, func(t *testing.T) {
			c := parse(t, mint(t, &x509.Certificate{SerialNumber: big.NewInt(1), NotBefore: time.Now(), NotAfter: time.Now().Add(time.Hour),
				IsCA: test.ca, BasicConstraintsValid: test.ca, ExtraExtensions: []pkix.Extension{{Id: test.id, Value: test.value}}}))
			if c.ShortTerm() != test.shortTerm {
				t.Errorf("short term: %v", c.ShortTerm())
			}
			if nc := c.NameConstraints; nc != nil && nc.Excluded[0].Base.Malformed != test.malformed {
				t.Errorf("malformed subtree: %v", nc.Excluded[0].Base.Malformed)
			}
		})
	}
}
