package ocsp

import (
	"crypto"
	"encoding/asn1"
	"encoding/hex"
	"errors"
	"math/big"
	"testing"

	"golang.org/x/crypto/cryptobyte"
	cbasn1 "golang.org/x/crypto/cryptobyte/asn1"
)

// encode makes a request for count certificates with the extensions given as (oid, critical, value).
func encode(t testing.TB, count int, extensions func(*cryptobyte.Builder)) []byte {
	t.Helper()
	id, err := newCertID(crypto.SHA1, issuerHashes{make([]byte, 20), make([]byte, 20)}, big.NewInt(77))
	if err != nil {
		t.Fatal(err)
	}
	var b cryptobyte.Builder
	b.AddASN1(cbasn1.SEQUENCE, func(b *cryptobyte.Builder) {
		b.AddASN1(cbasn1.SEQUENCE, func(b *cryptobyte.Builder) {
			b.AddASN1(cbasn1.SEQUENCE, func(b *cryptobyte.Builder) {
				for range count {
					b.AddASN1(cbasn1.SEQUENCE, func(b *cryptobyte.Builder) { b.AddBytes(id.Raw) })
				}
			})
			if extensions != nil {
				b.AddASN1(explicit(2), func(b *cryptobyte.Builder) { b.AddASN1(cbasn1.SEQUENCE, extensions) })
			}
		})
	})
	der, err := b.Bytes()
	if err != nil {
		t.Fatal(err)
	}
	return der
}

func extension(oid asn1.ObjectIdentifier, critical bool, value []byte) func(*cryptobyte.Builder) {
	return func(b *cryptobyte.Builder) {
		b.AddASN1(cbasn1.SEQUENCE, func(b *cryptobyte.Builder) {
			b.AddASN1ObjectIdentifier(oid)
			if critical {
				b.AddASN1Boolean(true)
			}
			b.AddASN1OctetString(value)
		})
	}
}

func nonceOf(size int) func(*cryptobyte.Builder) {
	var b cryptobyte.Builder
	b.AddASN1OctetString(make([]byte, size))
	return extension(oidNonce, false, b.BytesOrPanic())
}

func TestParseRequest(t *testing.T) {
	other := asn1.ObjectIdentifier{1, 2, 3}
	for _, c := range []struct {
		name string
		der  []byte
		ok   bool
	}{
		{"one", encode(t, 1, nil), true},
		{"as many as allowed", encode(t, MaxCertIDs, nil), true},
		{"one too many", encode(t, MaxCertIDs+1, nil), false},
		{"none", encode(t, 0, nil), false},
		{"nonce of 1", encode(t, 1, nonceOf(1)), true},
		{"nonce of 128", encode(t, 1, nonceOf(MaxNonce)), true},
		{"nonce of 129", encode(t, 1, nonceOf(MaxNonce+1)), false},
		{"empty nonce", encode(t, 1, nonceOf(0)), false},
		{"raw nonce", encode(t, 1, extension(oidNonce, false, []byte{1, 2})), false},
		{"two nonces", encode(t, 1, func(b *cryptobyte.Builder) { nonceOf(8)(b); nonceOf(8)(b) }), false},
		{"unknown extension", encode(t, 1, extension(other, false, nil)), true},
		{"unknown critical extension", encode(t, 1, extension(other, true, nil)), false},
		{"trailing octet", append(encode(t, 1, nil), 0), false},
		{"too large", make([]byte, MaxRequest+1), false},
		{"empty", nil, false},
	} {
		request, err := ParseRequest(c.der)
		if (err == nil) != c.ok || err != nil && !errors.Is(err, ErrMalformed) {
			t.Errorf("%s: %v", c.name, err)
		}
		if err == nil && request.CertIDs[0].Serial.Int64() != 77 {
			t.Errorf("%s: serial %v", c.name, request.CertIDs[0].Serial)
		}
	}
}

func FuzzParseRequest(f *testing.F) {
	f.Add(encode(f, 1, nil))
	f.Add(encode(f, 3, nonceOf(32)))
	f.Add(encode(f, 1, extension(asn1.ObjectIdentifier{1, 2, 3}, true, []byte{5, 0})))
	openssl, err := hex.DecodeString("304230403019301730150609608648016503040201050004000400020101a2233021301f06092b060105050730010204120410000102030405060708090a0b0c0d0e0f")
	if err != nil {
		f.Fatal(err)
	}
	f.Add(openssl)
	f.Fuzz(func(t *testing.T, der []byte) {
		request, err := ParseRequest(der)
		if err != nil {
			return
		}
		if len(request.CertIDs) == 0 || len(request.CertIDs) > MaxCertIDs || len(request.Nonce) > MaxNonce || request.HasNonce != (request.Nonce != nil) {
			t.Errorf("%+v", request)
		}
		for _, id := range request.CertIDs {
			if _, err := parseCertID(id.Raw); err != nil {
				t.Errorf("the CertID that is echoed does not parse: %v", err)
			}
		}
	})
}
