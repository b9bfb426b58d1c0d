package seal_test

import (
	"bytes"
	"crypto"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"math/big"
	"strings"
	"testing"
	"time"

	"trustcore/hsm/seal/sealtest"
	"trustcore/internal/cms"
)

// TestTSAThatLies: each lie is refused for what it is.
func TestTSAThatLies(t *testing.T) {
	a := sealtest.New(t)
	honest, tsa := a.TSU, a.TSA(t)
	elsewhere := a.Issue(t, sealtest.Identity{}, "root", "Another Root", sealtest.NewKey(t, "P-256"), nil)
	for _, lie := range []struct {
		name, want string
		set        func()
	}{
		{"another digest", "the token is for another digest", func() {
			a.Stamp = func(c *cms.TimestampConfig) { c.Imprint = bytes.Repeat([]byte{7}, 32) }
		}},
		{"another nonce", "its nonce is not ours", func() {
			a.Stamp = func(c *cms.TimestampConfig) { c.Nonce = big.NewInt(7) }
		}},
		{"no nonce", "its nonce is not ours", func() { a.Stamp = func(c *cms.TimestampConfig) { c.Nonce = nil } }},
		{"an hour ago", "from this machine's clock", func() {
			a.Stamp = func(c *cms.TimestampConfig) { c.Time = time.Now().Add(-time.Hour / 2) }
		}},
		{"in an hour", "from this machine's clock", func() {
			a.Stamp = func(c *cms.TimestampConfig) { c.Time = time.Now().Add(time.Hour) }
		}},
		{"no certificate", "the token holds no certificate", func() {
			a.Stamp = func(c *cms.TimestampConfig) { c.OmitCertificates = true }
		}},
		{"another signature", "the token does not verify", func() {
			a.Token = func(token []byte) []byte { token[len(token)-1] ^= 1; return token }
		}},
		{"expired", "not at the token's time", func() {
			a.TSU = a.Issue(t, a.CA, "tsu", "Expired TSU", honest.Key,
				func(c *x509.Certificate) { c.NotAfter = time.Now().Add(-time.Minute) })
		}},
		{"no purpose", "is not for time-stamping alone", func() {
			a.TSU = a.Issue(t, a.CA, "seal", "No TSU",
				honest.Key, nil)
		}},
		{"a purpose beside it", "is not for time-stamping alone", func() {
			a.TSU = a.Issue(t, a.CA, "tsu", "Both", honest.Key, func(c *x509.Certificate) {
				both, _ := asn1.Marshal([]asn1.ObjectIdentifier{{1, 3, 6, 1, 5, 5, 7, 3, 8},
					{1, 3, 6, 1, 5, 5, 7, 3, 1}})
				c.ExtraExtensions = []pkix.Extension{{Id: c.ExtraExtensions[0].Id, Critical: true, Value: both}}
			})
		}},
		{"a purpose that is not critical", "is not for time-stamping alone", func() {
			a.TSU = a.Issue(t, a.CA, "tsu", "Not critical", honest.Key, func(c *x509.Certificate) {
				c.ExtraExtensions = []pkix.Extension{{Id: c.ExtraExtensions[0].Id, Value: c.ExtraExtensions[0].Value}}
			})
		}},
		{"another root", "certificate signed by unknown authority", func() {
			a.TSU = a.Issue(t, elsewhere, "tsu", "Elsewhere", honest.Key, nil)
		}},
		{"another certificate of its key", "does not name the certificate of the unit",
			func() { a.Token = swapUnit(t, a, honest) }},
		{"two answers", "octets after the TimeStampResp",
			func() { a.Answer = func(der []byte) []byte { return append(der, der...) } }},
		{"a refusal", "it refuses: status 2", func() {
			a.Answer = func([]byte) []byte { return cms.RefuseTimestamp(cms.SystemFailure, "later") }
		}},
		{"much", "the answer is longer than", func() {
			a.Answer = func(der []byte) []byte {
				return append(der,
					make([]byte, 70<<10)...)
			}
		}},
	} {
		a.Stamp, a.Token, a.Answer, a.TSU = nil, nil, nil, honest
		lie.set()
		token, err := tsa(t.Context(), crypto.SHA256, make([]byte, 32))
		if err == nil || !strings.Contains(err.Error(), lie.want) || !strings.Contains(err.Error(), a.URL) {
			t.Errorf("%s: %d octets, %v; want %q", lie.name, len(token), err, lie.want)
		}
	}
	a.Stamp, a.Token, a.Answer, a.TSU = nil, nil, nil, honest
	if _, err := tsa(t.Context(), crypto.SHA256, make([]byte, 32)); err != nil {
		t.Errorf("the truth: %v", err)
	}
}

// swapUnit puts another certificate of the same issuer, serial number and key into the token, in place of the one
// that it names.
func swapUnit(t *testing.T, a *sealtest.Authority, unit sealtest.Identity) func([]byte) []byte {
	for i := range 64 { // ECDSA values differ in length
		other := a.Issue(t, a.CA, "tsu", unit.Certificate.Subject.CommonName, unit.Key, func(c *x509.Certificate) {
			c.SerialNumber, c.NotAfter = unit.Certificate.SerialNumber, c.NotAfter.Add(time.Duration(i)*time.Second)
		})
		if len(other.Certificate.Raw) == len(unit.Certificate.Raw) {
			return func(token []byte) []byte {
				return bytes.Replace(token, unit.Certificate.Raw, other.Certificate.Raw,
					1)
			}
		}
	}
	t.Fatal("no certificate of the same length")
	return nil
}
