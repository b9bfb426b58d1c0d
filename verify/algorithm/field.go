package algorithm

import (
	"math/big"
	"math/bits"
)

// maxLimbs holds the largest prime of the curve table, 521 bits.
const maxLimbs = 9

// element is a number modulo a field's prime in Montgomery form, always fully reduced; little-endian
// limbs, those above field.limbs are zero.
type element [maxLimbs]uint64

// field is arithmetic modulo an odd prime. Inputs are public: branches depend on values.
type field struct {
	limbs  int
	prime  *big.Int
	p      element
	negInv uint64  // -p^-1 mod 2^64
	rr     element // 2^(128*limbs) mod p
	one    element // 2^(64*limbs) mod p
}

func newField(p *big.Int) *field {
	f := &field{limbs: (p.BitLen() + 63) / 64, prime: p}
	f.p = limbsOf(p)
	inverse := f.p[0] // correct to 3 bits; each step doubles that
	for range 6 {
		inverse *= 2 - f.p[0]*inverse
	}
	f.negInv = -inverse
	r := new(big.Int).Lsh(big.NewInt(1), uint(64*f.limbs))
	f.one = limbsOf(new(big.Int).Mod(r, p))
	f.rr = limbsOf(new(big.Int).Mod(r.Mul(r, r), p))
	return f
}

// limbsOf spreads a number below 2^576.
func limbsOf(n *big.Int) (e element) {
	var octets [8 * maxLimbs]byte
	n.FillBytes(octets[:])
	for i := range e {
		for j := range 8 {
			e[i] |= uint64(octets[len(octets)-1-8*i-j]) << (8 * j)
		}
	}
	return e
}

// enter brings a number below p into Montgomery form.
func (f *field) enter(n *big.Int) (z element) {
	z = limbsOf(n)
	f.mul(&z, &z, &f.rr)
	return z
}

// leave is the number that e stands for.
func (f *field) leave(e *element) *big.Int {
	plain := element{1}
	f.mul(&plain, &plain, e)
	var octets [8 * maxLimbs]byte
	for i, limb := range plain {
		for j := range 8 {
			octets[len(octets)-1-8*i-j] = byte(limb >> (8 * j))
		}
	}
	return new(big.Int).SetBytes(octets[:])
}

func (e *element) isZero() bool {
	var any uint64
	for _, limb := range e {
		any |= limb
	}
	return any == 0
}

// mul sets z to x*y.
func (f *field) mul(z, x, y *element) {
	switch f.limbs {
	case 4:
		f.mul4(z, x, y)
	case 6:
		f.mul6(z, x, y)
	default:
		f.mulAny(z, x, y)
	}
}

// mulAny is Montgomery multiplication, operands scanned limb by limb (Koc, Acar, Kaliski: CIOS).
func (f *field) mulAny(z, x, y *element) {
	n := f.limbs
	var t [maxLimbs + 1]uint64
	var extra uint64 // the bit above t[n]
	xs, ps, ts := x[:n], f.p[:n], t[:n]
	for i := range n {
		carry := mulAddRow(ts, xs, y[i])
		var c uint64
		t[n], c = bits.Add64(t[n], carry, 0)
		extra += c

		m := ts[0] * f.negInv
		carry = mulAddShift(ts, ps, m)
		ts[n-1], c = bits.Add64(t[n], carry, 0)
		t[n] = extra + c
		extra = 0
	}
	*z = element{}
	copy(z[:n], ts)
	f.reduce(z, t[n])
}

// mulAddRow adds x*y to t and returns what runs over.
func mulAddRow(t, x []uint64, y uint64) (carry uint64) {
	t = t[:len(x)]
	for j, limb := range x {
		hi, lo := bits.Mul64(limb, y)
		var c uint64
		lo, c = bits.Add64(lo, t[j], 0)
		hi += c
		lo, c = bits.Add64(lo, carry, 0)
		t[j], carry = lo, hi+c
	}
	return carry
}

// mulAddShift adds p*m to t, whose lowest limb becomes zero, and drops that limb.
func mulAddShift(t, p []uint64, m uint64) (carry uint64) {
	t = t[:len(p)]
	hi, lo := bits.Mul64(p[0], m)
	_, c := bits.Add64(lo, t[0], 0)
	carry = hi + c
	for j := 1; j < len(p); j++ {
		hi, lo := bits.Mul64(p[j], m)
		lo, c = bits.Add64(lo, t[j], 0)
		hi += c
		lo, c = bits.Add64(lo, carry, 0)
		t[j-1], carry = lo, hi+c
	}
	return carry
}

// reduce subtracts p once where z, with top above it, is not below p.
func (f *field) reduce(z *element, top uint64) {
	var d element
	var borrow uint64
	for i := range f.limbs {
		d[i], borrow = bits.Sub64(z[i], f.p[i], borrow)
	}
	if top != 0 || borrow == 0 {
		*z = d
	}
}

// add sets z to x+y.
func (f *field) add(z, x, y *element) {
	var carry uint64
	for i := range f.limbs {
		z[i], carry = bits.Add64(x[i], y[i], carry)
	}
	f.reduce(z, carry)
}

// sub sets z to x-y.
func (f *field) sub(z, x, y *element) {
	var borrow uint64
	for i := range f.limbs {
		z[i], borrow = bits.Sub64(x[i], y[i], borrow)
	}
	if borrow != 0 {
		var carry uint64
		for i := range f.limbs {
			z[i], carry = bits.Add64(z[i], f.p[i], carry)
		}
	}
}
