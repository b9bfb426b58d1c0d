package algorithm

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
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

func benchmarkECDSA(b *testing.B, name string) {
	c := curveByName(b, name)
	digest := sha256.Sum256([]byte(name))
	x, y, r, s := sign(b, oracleCurves[name], digest[:])
	w := c.engine()
	b.Run("own", func(b *testing.B) {
		for b.Loop() {
			i := new(big.Int).ModInverse(s, c.n)
			u1 := new(big.Int).Mul(truncate(digest[:], c.n), i)
			u2 := new(big.Int).Mul(r, i)
			if !w.verify(u1.Mod(u1, c.n), u2.Mod(u2, c.n), x, y, r) {
				b.Fatal("does not verify")
			}
		}
	})
	b.Run("peer", func(b *testing.B) {
		//lint:ignore SA1019 curves that are not the standard library's have no other constructor
		key := &ecdsa.PublicKey{Curve: oracleCurves[name], X: x, Y: y}
		for b.Loop() {
			if !ecdsa.Verify(key, digest[:], r, s) {
				b.Fatal("does not verify")
			}
		}
	})
}

func BenchmarkECDSA(b *testing.B) {
	for _, name := range []string{"P-224", "P-256", "P-384", "P-521", "brainpoolP256r1", "brainpoolP384r1", "brainpoolP512r1", "brainpoolP256t1"} {
		b.Run(name, func(b *testing.B) { benchmarkECDSA(b, name) })
	}
}

func BenchmarkRSA(b *testing.B) {
	for _, bits := range []int{2048, 3072, 4096} {
		private, err := rsa.GenerateKey(rand.Reader, bits)
		if err != nil {
			b.Fatal(err)
		}
		digest := sha256.Sum256([]byte("message"))
		signature, err := rsa.SignPKCS1v15(rand.Reader, private, crypto.SHA256, digest[:])
		if err != nil {
			b.Fatal(err)
		}
		key, err := RSAPublicKey(private.N.Bytes(), big.NewInt(int64(private.E)).Bytes())
		if err != nil {
			b.Fatal(err)
		}
		scheme := Scheme{family: rsaPKCS1, hash: SHA256}
		b.Run(big.NewInt(int64(bits)).String()+"/own", func(b *testing.B) {
			for b.Loop() {
				if _, err := scheme.VerifyDigest(key, digest[:], signature); err != nil {
					b.Fatal(err)
				}
			}
		})
		b.Run(big.NewInt(int64(bits)).String()+"/std", func(b *testing.B) {
			for b.Loop() {
				if err := rsa.VerifyPKCS1v15(&private.PublicKey, crypto.SHA256, digest[:], signature); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
