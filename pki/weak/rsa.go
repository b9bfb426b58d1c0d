// Package weak recognises RSA moduli whose private key can be found without breaking RSA.
package weak

import (
	"math/big"
	"sync"
)

// smallPrimes bounds the primes that are looked for as factors; what finds larger ones (ECM) costs the attacker too.
const smallPrimes = 1 << 14

// fermatRounds is how many candidates of Fermat's method are tried: primes whose difference is below some 2^(bits/4+1) fall at the first.
const fermatRounds = 100

// RSA says in which way the modulus is weak; "" when in none that is known. A modulus of 8192 bits costs some 3 ms.
func RSA(modulus *big.Int) string {
	switch {
	case modulus == nil || modulus.Sign() <= 0 || modulus.Bit(0) == 0:
		return "the modulus is no product of two odd primes"
	case smallFactor(modulus):
		return "the modulus has a small factor"
	case closePrimes(modulus):
		return "the primes of the modulus lie close together"
	case infineon(modulus):
		return "the modulus was made by the library of CVE-2017-15361 (ROCA)"
	}
	return ""
}

// primorial is the product of the odd primes below smallPrimes.
var primorial = sync.OnceValue(func() *big.Int {
	product := big.NewInt(1)
	for _, p := range oddPrimes(smallPrimes) {
		product.Mul(product, big.NewInt(p))
	}
	return product
})

// oddPrimes are those below limit (sieve of Eratosthenes).
func oddPrimes(limit int) (primes []int64) {
	composite := make([]bool, limit)
	for i := 3; i < limit; i += 2 {
		if composite[i] {
			continue
		}
		primes = append(primes, int64(i))
		for j := i * i; j < limit; j += i {
			composite[j] = true
		}
	}
	return primes
}

func smallFactor(n *big.Int) bool {
	rest := new(big.Int).Mod(primorial(), n)
	return rest.Sign() == 0 || new(big.Int).GCD(nil, nil, rest, n).Cmp(big.NewInt(1)) != 0
}

// closePrimes is Fermat's factorisation: n = a*a - b*b with a from the square root of n upwards.
func closePrimes(n *big.Int) bool {
	a := new(big.Int).Sqrt(n)
	if new(big.Int).Mul(a, a).Cmp(n) == 0 {
		return true
	}
	one, square, root := big.NewInt(1), new(big.Int), new(big.Int)
	for range fermatRounds {
		a.Add(a, one)
		square.Mul(a, a).Sub(square, n)
		root.Sqrt(square)
		if root.Mul(root, root).Cmp(square) == 0 {
			return true
		}
	}
	return false
}

// rocaPrimes bounds the primes modulo which the structure is looked for: all of them divide the library's constant for every length of key.
const rocaPrimes = 168

// powers holds, for each odd prime below rocaPrimes, which residues are powers of 65537.
var powers = sync.OnceValue(func() map[int64][]bool {
	of := map[int64][]bool{}
	for _, p := range oddPrimes(rocaPrimes) {
		of[p] = make([]bool, p)
		for power := int64(1); !of[p][power]; power = power * 65537 % p {
			of[p][power] = true
		}
	}
	return of
})

// infineon tells the structure of Nemec, Sys, Svenda, Klinec, Matyas (CCS 2017), 2.1: both primes are powers of 65537 modulo a
// product of the first primes, so their product is one modulo each. Of other moduli one in some 10^8 is so.
func infineon(n *big.Int) bool {
	residue := new(big.Int)
	for p, power := range powers() {
		if !power[residue.Mod(n, big.NewInt(p)).Int64()] {
			return false
		}
	}
	return true
}
