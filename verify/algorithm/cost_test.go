//go:build !race

package algorithm

import (
	"crypto/sha256"
	"encoding/binary"
	"fmt"
	"math/big"
	"runtime"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// noise is n octets that look random and are the same in every run.
func noise(label string, n int) []byte {
	var out []byte
	for i := uint32(0); len(out) < n; i++ {
		sum := sha256.Sum256(binary.BigEndian.AppendUint32([]byte(label), i))
		out = append(out, sum[:]...)
	}
	return out[:n]
}

// odd is a number of so many bits that passes for a modulus.
func odd(label string, size int) []byte {
	b := noise(label, size/8)
	b[0] |= 0x80
	b[len(b)-1] |= 1
	return b
}

// A priced key comes with a verification that runs to its end.
type priced struct {
	name   string
	key    *PublicKey
	verify func()
}

func pricedRSA(t *testing.T, size int, exponent []byte) priced {
	t.Helper()
	key, err := RSAPublicKey(odd("modulus", size), exponent)
	if err != nil {
		t.Fatal(err)
	}
	value := noise("value", size/8)
	value[0] = 0
	return priced{fmt.Sprintf("RSA %d, exponent of %d bits", size, key.rsa.e.BitLen()), key,
		func() { _, _ = Scheme{family: rsaPKCS1, hash: SHA256}.VerifyDigest(key, make([]byte, 32), value) }}
}

func pricedEC(t *testing.T, c *curve, compressed bool) priced {
	t.Helper()
	point := append([]byte{4}, c.gx.FillBytes(make([]byte, c.size))...)
	if point = append(point, c.gy.FillBytes(make([]byte, c.size))...); compressed {
		point = append([]byte{2}, point[1:1+c.size]...)
	}
	key := &PublicKey{kind: KindEC}
	if err := key.setPoint(c, point); err != nil {
		t.Fatal(err)
	}
	half := (c.n.BitLen() + 7) / 8
	value := append(new(big.Int).Rsh(c.n, 1).FillBytes(make([]byte, half)), new(big.Int).Sub(c.n, big.NewInt(7)).FillBytes(make([]byte, half))...)
	return priced{fmt.Sprintf("EC %s, compressed %v", c.name, compressed), key, func() {
		if compressed {
			_ = new(PublicKey).setPoint(c, point)
		}
		_ = verifyECDSA(key, noise("digest", 32), value, true)
	}}
}

// groupOf makes a modulus of about so many bits with an element of order q, as dear to compute in as a prime one, and
// sooner found: a prime r = 2kq+1 times an odd number, and an element that is 1 modulo the other factor.
func groupOf(size int, q *big.Int) (p, g *big.Int) {
	one, r, k := big.NewInt(1), new(big.Int), new(big.Int)
	for even := int64(2); ; even += 2 {
		k.SetInt64(even)
		if r.Mul(k, q).Add(r, one); r.ProbablyPrime(1) {
			break
		}
	}
	other := new(big.Int).SetBytes(odd("other", (size-r.BitLen())/8*8))
	g = new(big.Int).Exp(big.NewInt(3), k, r)
	g.Sub(g, one).Mul(g, new(big.Int).ModInverse(other, r)).Mod(g, r).Mul(g, other).Add(g, one)
	return r.Mul(r, other), g
}

func pricedDSA(t *testing.T, size, order int) priced {
	t.Helper()
	q := new(big.Int).SetBytes(odd("q", order))
	p, g := groupOf(size, q)
	key, err := DSAPublicKey(p.Bytes(), q.Bytes(), g.Bytes(), g.Bytes())
	if err != nil {
		t.Fatal(err)
	}
	s := big.NewInt(3) // prime to q, so that the computation is not cut short
	for new(big.Int).GCD(nil, nil, s, key.dsa.q).Cmp(big.NewInt(1)) != 0 {
		s.Add(s, big.NewInt(2))
	}
	value := append(noise("r", order/8-1), s.FillBytes(make([]byte, order/8))...)
	value = append([]byte{0}, value...)
	return priced{fmt.Sprintf("DSA %d with %d", size, order), key, func() { _ = verifyDSA(key, noise("digest", 32), value, true) }}
}

// TestCost holds the price of every kind of key against the clock. Prices may be too high by some times, since the kinds share
// a formula; one that is too low is what an attacker looks for. The machine may be slower than the measured one, so the
// prices are compared with that of RSA-4096.
func TestCost(t *testing.T) {
	list := []priced{pricedRSA(t, 4096, []byte{1, 0, 1})}
	for _, size := range []int{512, 1024, 2048, 3072, 8192, 16384} {
		list = append(list, pricedRSA(t, size, []byte{3}), pricedRSA(t, size, []byte{1, 0, 1}), pricedRSA(t, size, []byte{1, 0xff, 0xff, 0xff, 0xff}))
		if size <= 4096 {
			list = append(list, pricedRSA(t, size, []byte{0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff}))
		}
	}
	for _, c := range curves {
		list = append(list, pricedEC(t, c, false), pricedEC(t, c, true))
	}
	list = append(list, pricedDSA(t, 1024, 256), pricedDSA(t, 2048, 256), pricedDSA(t, 4096, 512))
	var unit float64 // nanoseconds of this machine that a unit stands for
	for i, p := range list {
		took := shortest(p.verify)
		if i == 0 {
			unit = float64(took) / float64(p.key.Cost())
		}
		for range 5 { // the processor's speed may have changed since
			if float64(took) <= 2.5*unit*float64(p.key.Cost()) {
				break
			}
			unit = max(unit, float64(shortest(list[0].verify))/float64(list[0].key.Cost()))
			took = min(took, shortest(p.verify))
		}
		if ratio := float64(took) / float64(p.key.Cost()) / unit; ratio > 2.5 {
			t.Errorf("%s: took %v, priced at %d: %.1f times as dear as it says", p.name, took, p.key.Cost(), ratio)
		}
	}
}

// shortest is the shortest of some runs, in processor time of this thread: other programs of the machine don't count.
func shortest(call func()) time.Duration {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	best := time.Hour
	for range 15 {
		start := processor()
		call()
		best = min(best, processor()-start)
	}
	return best
}

// processor is the processor time that this thread has used.
func processor() time.Duration {
	var t unix.Timespec
	if err := unix.ClockGettime(unix.CLOCK_THREAD_CPUTIME_ID, &t); err != nil {
		panic(err)
	}
	return time.Duration(t.Nano())
}

// TestKeysBeyondPrice are not read at all: their cost has no bound.
func TestKeysBeyondPrice(t *testing.T) {
	long := append([]byte{1}, make([]byte, 8)...)
	long[8] = 1 // 65 bits
	for name, key := range map[string][2][]byte{
		"17408 bits":                               {odd("n", 17408), {1, 0, 1}},
		"16392 bits":                               {odd("n", 16392), {1, 0, 1}},
		"an exponent of 65 bits":                   {odd("n", 2048), long},
		"an exponent as long as the modulus":       {odd("n", 4096), odd("e", 4096)},
		"a long exponent with a long modulus":      {odd("n", 8192), {0x02, 0, 0, 0, 1}},
		"a long exponent with the longest modulus": {odd("n", 16384), {0xff, 0xff, 0xff, 0xff, 0xff}},
	} {
		if _, err := RSAPublicKey(key[0], key[1]); err == nil {
			t.Errorf("%s: read", name)
		}
	}
}
