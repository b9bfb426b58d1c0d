package algorithm

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"math/big"
	"slices"
	"strconv"
	"testing"
	"time"
)

// compare runs own and peer in turn, so that what else the machine does falls on both, and reports their medians and the
// ratio of these.
func compare(b *testing.B, own, peer func()) {
	var owns, peers []time.Duration
	for b.Loop() {
		start := time.Now()
		own()
		middle := time.Now()
		peer()
		owns, peers = append(owns, middle.Sub(start)), append(peers, time.Since(middle))
	}
	slices.Sort(owns)
	slices.Sort(peers)
	a, p := float64(owns[len(owns)/2]), float64(peers[len(peers)/2])
	b.ReportMetric(0, "ns/op") // the sum of both says nothing
	b.ReportMetric(a/1e3, "own-us")
	b.ReportMetric(p/1e3, "peer-us")
	b.ReportMetric(a/p, "own/peer")
}

// BenchmarkECDSA compares our arithmetic with the standard library on its curves and with ProtonMail's on brainpool.
func BenchmarkECDSA(b *testing.B) {
	for _, name := range []string{"P-224", "P-256", "P-384", "P-521", "brainpoolP256r1", "brainpoolP384r1", "brainpoolP512r1", "brainpoolP256t1"} {
		b.Run(name, func(b *testing.B) {
			c := curveByName(b, name)
			digest := sha256.Sum256([]byte(name))
			x, y, r, s := sign(b, oracleCurves[name], digest[:])
			key := &PublicKey{kind: KindEC, ec: ecKey{curve: c, x: x, y: y}}
			value := rawSignature(c, r, s)
			//lint:ignore SA1019 curves that are not the standard library's have no other constructor
			peer := &ecdsa.PublicKey{Curve: oracleCurves[name], X: x, Y: y}
			compare(b, func() {
				if err := verifyECDSA(key, digest[:], value, true); err != nil {
					b.Fatal(err)
				}
			}, func() {
				if !ecdsa.Verify(peer, digest[:], r, s) {
					b.Fatal("does not verify")
				}
			})
		})
	}
}

// BenchmarkRSA compares with crypto/rsa.
func BenchmarkRSA(b *testing.B) {
	for _, bits := range []int{1024, 2048, 3072, 4096, 8192} {
		b.Run(strconv.Itoa(bits), func(b *testing.B) {
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
			compare(b, func() {
				if _, err := scheme.VerifyDigest(key, digest[:], signature); err != nil {
					b.Fatal(err)
				}
			}, func() {
				if err := rsa.VerifyPKCS1v15(&private.PublicKey, crypto.SHA256, digest[:], signature); err != nil {
					b.Fatal(err)
				}
			})
		})
	}
}
