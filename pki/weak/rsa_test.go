package weak_test

import (
	"crypto/rand"
	"crypto/rsa"
	"math/big"
	"strings"
	"testing"

	"trustcore/pki/weak"
)

func prime(t testing.TB, bits int) *big.Int {
	t.Helper()
	p, err := rand.Prime(rand.Reader, bits)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func after(p *big.Int, gap int64) *big.Int {
	next := new(big.Int).Add(p, big.NewInt(gap|1+1))
	for !next.ProbablyPrime(10) {
		next.Add(next, big.NewInt(2))
	}
	return next
}

func product(factors ...*big.Int) *big.Int {
	n := big.NewInt(1)
	for _, f := range factors {
		n.Mul(n, f)
	}
	return n
}

// structured is a prime as the library of CVE-2017-15361 makes it: k*M + (65537^a mod M).
func structured(t testing.TB) *big.Int {
	t.Helper()
	m := big.NewInt(2)
	for count, p := 1, int64(3); count < 126; p += 2 {
		if big.NewInt(p).ProbablyPrime(5) {
			m.Mul(m, big.NewInt(p))
			count++
		}
	}
	for {
		a, err := rand.Int(rand.Reader, m)
		if err != nil {
			t.Fatal(err)
		}
		k, err := rand.Int(rand.Reader, new(big.Int).Lsh(big.NewInt(1), uint(1536-m.BitLen())))
		if err != nil {
			t.Fatal(err)
		}
		p := new(big.Int).Exp(big.NewInt(65537), a, m)
		if p.Add(p, k.Mul(k, m)).ProbablyPrime(10) {
			return p
		}
	}
}

func TestRSA(t *testing.T) {
	p, q := prime(t, 1536), prime(t, 1536)
	good, err := rsa.GenerateKey(rand.Reader, 3072)
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		name, want string
		n          *big.Int
	}{
		{"two random primes", "", product(p, q)},
		{"a key of the standard library", "", good.N},
		{"nothing", "no product", nil},
		{"even", "no product", product(p, big.NewInt(2))},
		{"small factor", "small factor", product(p, q, big.NewInt(16381))},
		{"a square", "close together", product(p, p)},
		{"neighbours", "close together", product(p, after(p, 2))},
		{"neighbours at a distance", "close together", product(p, after(p, 1<<40))},
		{"ROCA", "ROCA", product(structured(t), structured(t))},
	} {
		if got := weak.RSA(c.n); (got == "") != (c.want == "") || !strings.Contains(got, c.want) {
			t.Errorf("%s: %q, want %q", c.name, got, c.want)
		}
	}
}

func BenchmarkRSA(b *testing.B) {
	n := product(prime(b, 4096), prime(b, 4096))
	for b.Loop() {
		if text := weak.RSA(n); text != "" {
			b.Fatal(text)
		}
	}
}
