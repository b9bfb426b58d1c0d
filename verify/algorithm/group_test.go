package algorithm

import (
	"crypto/ed25519"
	"encoding/hex"
	"errors"
	"fmt"
	"math/big"
	"strings"
	"testing"

	"github.com/cloudflare/circl/sign/ed448"
)

// TestKeysOfSmallOrder: for each of these keys values are found without a private key, which the libraries take.
func TestKeysOfSmallOrder(t *testing.T) {
	identity := "01" + zeros(31)
	for point, value := range map[string]string{
		identity:                identity + zeros(32),
		"01" + zeros(30) + "80": identity + zeros(32), // the sign of x, which is 0
		zeros(32):               identity + zeros(32), // order 4
		zeros(31) + "80":        identity + zeros(32),
		"ec" + ones(30) + "7f":  identity + zeros(32), // order 2
		"ed" + ones(30) + "7f":  identity + zeros(32), // 0, unreduced
		"ee" + ones(30) + "7f":  identity + zeros(32), // 1, unreduced
		"ee" + ones(30) + "ff":  identity + zeros(32),
		"26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc05": identity + zeros(32), // order 8
		"26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc85": identity + zeros(32),
		"c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac037a": identity + zeros(32),
		"c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac03fa": identity + zeros(32),
	} {
		if !forges(func(message []byte) bool { return ed25519.Verify(unhex(t, point), message, unhex(t, value)) }) {
			t.Errorf("%s: no message of many verifies with %s: this key is as others", point, value)
		}
		refusesPoint(t, "1.3.101.112", point)
	}
	for _, point := range []string{"01" + zeros(56), zeros(57), "fe" + ones(27) + "fe" + ones(27) + "00"} {
		value := "01" + zeros(56) + zeros(57)
		if !forges(func(message []byte) bool { return ed448.Verify(unhex(t, point), message, unhex(t, value), "") }) {
			t.Errorf("%s: no message of many verifies", point)
		}
		refusesPoint(t, "1.3.101.113", point)
	}
	for _, point := range []string{"ff" + ones(27) + "fe" + ones(27) + "00", zeros(28) + "ff" + ones(27) + "80", "01" + zeros(55) + "80"} {
		refusesPoint(t, "1.3.101.113", point)
	}
}

func zeros(n int) string { return hex.EncodeToString(make([]byte, n)) }

func ones(n int) string { return strings.Repeat("ff", n) }

func unhex(t *testing.T, text string) []byte {
	t.Helper()
	b, err := hex.DecodeString(text)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// forges reports whether one of many messages verifies.
func forges(verify func(message []byte) bool) bool {
	for i := range 200 {
		if verify(fmt.Append(nil, "message ", i)) {
			return true
		}
	}
	return false
}

func refusesPoint(t *testing.T, oid, point string) {
	t.Helper()
	key := unhex(t, point)
	id := identifier(t, oid)
	spki := append([]byte{0x30, byte(len(id) + 3 + len(key))}, id...)
	spki = append(append(spki, 3, byte(1+len(key)), 0), key...)
	if _, err := ParsePublicKey(spki); !errors.Is(err, ErrMalformed) {
		t.Errorf("%s %s: %v; want a refusal", oid, point, err)
	}
}

// TestDSAOutsideOfTheGroup: g = p-1 has the order 2, and r = 1 then fits every message, with half of all s.
func TestDSAOutsideOfTheGroup(t *testing.T) {
	q := new(big.Int).SetBytes(append([]byte{0x80}, make([]byte, 31)...))
	for q.Add(q, big.NewInt(1)); !q.ProbablyPrime(8); q.Add(q, big.NewInt(2)) {
	}
	p := new(big.Int)
	for k := int64(2); ; k += 2 {
		if p.Lsh(q, 1024-256).Add(p, new(big.Int).Mul(q, big.NewInt(k))).Add(p, big.NewInt(1)); p.ProbablyPrime(1) {
			break
		}
	}
	minus := new(big.Int).Sub(p, big.NewInt(1))
	h := new(big.Int).Exp(big.NewInt(2), new(big.Int).Div(minus, q), p)
	forged := func(g, y *big.Int) (err error) {
		key, err := DSAPublicKey(p.Bytes(), q.Bytes(), g.Bytes(), y.Bytes())
		if err != nil {
			t.Fatal(err)
		}
		for s := int64(2); s < 40; s++ {
			value := append(big.NewInt(1).FillBytes(make([]byte, 32)), big.NewInt(s).FillBytes(make([]byte, 32))...)
			if err = verifyDSA(key, []byte("another message of thirty-two oc"), value, true); err == nil {
				return nil
			}
		}
		return err
	}
	for name, key := range map[string][2]*big.Int{"both": {minus, minus}, "g": {minus, h}, "y": {h, minus}} {
		if err := forged(key[0], key[1]); !errors.Is(err, ErrSignature) {
			t.Errorf("%s of order 2: %v; want a refusal", name, err)
		}
	}
	key, err := DSAPublicKey(p.Bytes(), q.Bytes(), h.Bytes(), new(big.Int).Exp(h, big.NewInt(77), p).Bytes())
	if err != nil || !key.dsa.inGroup(key.dsa.g) || !key.dsa.inGroup(key.dsa.y) {
		t.Errorf("a key as it should be: %v", err)
	}
}
