package algorithm

import (
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"math/big"
	"testing"

	"github.com/ProtonMail/go-crypto/brainpool"
)

// oracleCurves are the peers that sign for our own arithmetic.
var oracleCurves = map[string]elliptic.Curve{
	"P-224": elliptic.P224(), "P-256": elliptic.P256(), "P-384": elliptic.P384(), "P-521": elliptic.P521(),
	"brainpoolP256r1": brainpool.P256r1(), "brainpoolP384r1": brainpool.P384r1(), "brainpoolP512r1": brainpool.P512r1(),
	"brainpoolP256t1": brainpool.P256t1(), "brainpoolP384t1": brainpool.P384t1(), "brainpoolP512t1": brainpool.P512t1(),
}

func curveByName(t testing.TB, name string) *curve {
	for _, c := range curves {
		if c.name == name {
			return c
		}
	}
	t.Fatalf("no curve %s", name)
	return nil
}

// sign makes a signature with the curve's own arithmetic of the oracle.
func sign(t testing.TB, c elliptic.Curve, digest []byte) (x, y, r, s *big.Int) {
	n := c.Params().N
	d, _ := rand.Int(rand.Reader, n)
	k, _ := rand.Int(rand.Reader, n)
	//lint:ignore SA1019 the oracle for our own arithmetic is needed on this low level
	x, y = c.ScalarBaseMult(d.Bytes())
	//lint:ignore SA1019 as above
	r, _ = c.ScalarBaseMult(k.Bytes())
	r.Mod(r, n)
	s = new(big.Int).Mul(r, d)
	s.Add(s, truncate(digest, n))
	s.Mul(s, new(big.Int).ModInverse(k, n)).Mod(s, n)
	return x, y, r, s
}

func rawSignature(c *curve, r, s *big.Int) []byte {
	size := (c.n.BitLen() + 7) / 8
	out := make([]byte, 2*size)
	r.FillBytes(out[:size])
	s.FillBytes(out[size:])
	return out
}

func TestECDSAAgainstOracles(t *testing.T) {
	for name, oracle := range oracleCurves {
		t.Run(name, func(t *testing.T) {
			c := curveByName(t, name)
			for i := range 8 {
				digest := sha256.Sum256([]byte{byte(i)})
				x, y, r, s := sign(t, oracle, digest[:])
				point := append([]byte{4}, append(x.FillBytes(make([]byte, c.size)), y.FillBytes(make([]byte, c.size))...)...)
				key, err := ECPublicKey(dottedOID(c.oid), point)
				if err != nil {
					t.Fatal(err)
				}
				scheme := Scheme{family: ecdsaFamily, hash: SHA256, raw: true}
				value := rawSignature(c, r, s)
				if _, err := scheme.VerifyDigest(key, digest[:], value); err != nil {
					t.Fatal(err)
				}
				value[len(value)-1] ^= 1
				if _, err := scheme.VerifyDigest(key, digest[:], value); err == nil {
					t.Fatal("accepts a changed value")
				}
			}
		})
	}
}
