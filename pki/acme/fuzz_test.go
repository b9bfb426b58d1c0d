package acme

import (
	"encoding/asn1"
	"encoding/base64"
	"encoding/hex"
	"testing"
)

// FuzzCertificateID: what is read as the name of a certificate is written in one way (RFC 9773 4.1).
func FuzzCertificateID(f *testing.F) {
	for _, seed := range []string{"aYhba4dGQEHhs3uEe6CuLN4ByNQ.AIdlQyE", "a.b", ".", "", "AA.gA", "AA.AAE", "AA.AQ.AQ", "AA.AP8", "AB.AQ"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		number, issuer, ok := certificateID(text)
		if !ok {
			return
		}
		der, err := asn1.Marshal(number)
		if err != nil || number.Sign() <= 0 {
			t.Fatalf("%q: %v, %v", text, number, err)
		}
		key, err := hex.DecodeString(issuer)
		if err != nil {
			t.Fatal(err)
		}
		if again := base64.RawURLEncoding.EncodeToString(key) + "." + base64.RawURLEncoding.EncodeToString(der[2:]); again != text {
			t.Errorf("%q is read as what is written %q", text, again)
		}
	})
}
