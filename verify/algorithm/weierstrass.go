package algorithm

import "math/big"

// Window sizes of the signed-digit forms: the generator's table is made once per curve.
const (
	generatorWindow = 8 // 64 points
	keyWindow       = 5 // 8 points
)

// weierstrass is the arithmetic of one curve y^2 = x^3 + ax + b with cofactor 1, for verification: variable
// time, on public numbers only.
type weierstrass struct {
	*field
	curve     *curve
	a         element
	minus3    bool // a = -3
	zeroA     bool
	n         *big.Int
	generator []affine // odd multiples 1, 3, 5 ...
}

// affine is a finite point; jacobian is (x/z^2, y/z^3), infinity where z is zero.
type (
	affine   struct{ x, y element }
	jacobian struct{ x, y, z element }
)

func newWeierstrass(c *curve) *weierstrass {
	w := &weierstrass{field: newField(c.p), curve: c, n: c.n}
	w.a = w.enter(c.a)
	w.zeroA = c.a.Sign() == 0
	w.minus3 = new(big.Int).Sub(c.p, c.a).Cmp(big.NewInt(3)) == 0
	odd := w.oddMultiples(c.gx, c.gy, 1<<(generatorWindow-2))
	w.generator = make([]affine, len(odd))
	for i := range odd {
		w.generator[i] = w.normalise(&odd[i])
	}
	return w
}

// oddMultiples are P, 3P, 5P ... of the point (x, y).
func (w *weierstrass) oddMultiples(x, y *big.Int, count int) []jacobian {
	table := make([]jacobian, count)
	table[0] = jacobian{w.enter(x), w.enter(y), w.one}
	var twice jacobian
	w.double(&twice, &table[0])
	for i := 1; i < count; i++ {
		w.addJacobian(&table[i], &table[i-1], &twice)
	}
	return table
}

// normalise gives the affine form of a finite point.
func (w *weierstrass) normalise(p *jacobian) (q affine) {
	inverse := w.enter(new(big.Int).ModInverse(w.leave(&p.z), w.prime))
	var squared element
	w.mul(&squared, &inverse, &inverse)
	w.mul(&q.x, &p.x, &squared)
	w.mul(&squared, &squared, &inverse)
	w.mul(&q.y, &p.y, &squared)
	return q
}

// verify reports whether the x-coordinate of u1*G + u2*(x, y) is r modulo the order (SEC 1 4.1.4, steps
// 5 to 8).
func (w *weierstrass) verify(u1, u2, x, y, r *big.Int) bool {
	digits1 := signedDigits(u1, generatorWindow)
	digits2 := signedDigits(u2, keyWindow)
	odd := w.oddMultiples(x, y, 1<<(keyWindow-2))
	var sum jacobian
	for i := max(len(digits1), len(digits2)) - 1; i >= 0; i-- {
		w.double(&sum, &sum)
		if i < len(digits2) && digits2[i] != 0 {
			w.addDigit(&sum, odd, int(digits2[i]))
		}
		if i < len(digits1) && digits1[i] != 0 {
			w.addGenerator(&sum, int(digits1[i]))
		}
	}
	return !sum.z.isZero() && w.hasX(&sum, r)
}

// hasX compares without inverting: x = r*z^2, for r and for r+n where that is still below p.
func (w *weierstrass) hasX(p *jacobian, r *big.Int) bool {
	var squared element
	w.mul(&squared, &p.z, &p.z)
	for candidate := r; candidate.Cmp(w.prime) < 0; candidate = new(big.Int).Add(candidate, w.n) {
		product := w.enter(candidate)
		w.mul(&product, &product, &squared)
		if product == p.x {
			return true
		}
	}
	return false
}

func (w *weierstrass) addDigit(sum *jacobian, odd []jacobian, digit int) {
	if digit > 0 {
		w.addJacobian(sum, sum, &odd[digit>>1])
		return
	}
	negated := odd[-digit>>1]
	w.sub(&negated.y, &element{}, &negated.y)
	w.addJacobian(sum, sum, &negated)
}

func (w *weierstrass) addGenerator(sum *jacobian, digit int) {
	if digit > 0 {
		w.addAffine(sum, sum, &w.generator[digit>>1])
		return
	}
	negated := w.generator[-digit>>1]
	w.sub(&negated.y, &element{}, &negated.y)
	w.addAffine(sum, sum, &negated)
}

// signedDigits is the non-adjacent form of width window, lowest digit first: every digit is zero or odd
// and below 2^(window-1) in size.
func signedDigits(n *big.Int, window uint) []int8 {
	limbs := limbsOf(n)
	digits := make([]int8, 0, n.BitLen()+1)
	carry := uint64(0)
	for i, length := uint(0), uint(n.BitLen()); i <= length; {
		if bitsAt(&limbs, i, 1) == carry {
			digits = append(digits, 0)
			i++
			continue
		}
		value := int(bitsAt(&limbs, i, window) + carry)
		carry = 0
		if value >= 1<<(window-1) {
			value -= 1 << window
			carry = 1
		}
		digits = append(digits, int8(value))
		for range window - 1 {
			digits = append(digits, 0)
		}
		i += window
	}
	return digits
}

// bitsAt are count bits of n from bit i up.
func bitsAt(n *element, i, count uint) uint64 {
	limb, shift := i/64, i%64
	if limb >= maxLimbs {
		return 0
	}
	v := n[limb] >> shift
	if shift+count > 64 && limb+1 < maxLimbs {
		v |= n[limb+1] << (64 - shift)
	}
	return v & (1<<count - 1)
}

// double sets r to 2p. Formulas: Explicit-Formulas Database, dbl-2001-b for a = -3, else dbl-2007-bl.
func (w *weierstrass) double(r, p *jacobian) {
	if p.z.isZero() {
		*r = *p
		return
	}
	if w.minus3 {
		w.doubleMinus3(r, p)
		return
	}
	var xx, yy, yyyy, zz, s, m, t element
	w.mul(&xx, &p.x, &p.x)
	w.mul(&yy, &p.y, &p.y)
	w.mul(&yyyy, &yy, &yy)
	w.mul(&s, &p.x, &yy) // s = 4*x*y^2
	w.add(&s, &s, &s)
	w.add(&s, &s, &s)
	w.add(&m, &xx, &xx) // m = 3*x^2 + a*z^4
	w.add(&m, &m, &xx)
	if !w.zeroA {
		w.mul(&zz, &p.z, &p.z)
		w.mul(&zz, &zz, &zz)
		w.mul(&zz, &zz, &w.a)
		w.add(&m, &m, &zz)
	}
	w.mul(&r.z, &p.y, &p.z) // z = 2*y*z
	w.add(&r.z, &r.z, &r.z)
	w.mul(&t, &m, &m) // x = m^2 - 2*s
	w.sub(&t, &t, &s)
	w.sub(&r.x, &t, &s)
	w.sub(&s, &s, &r.x) // y = m*(s-x) - 8*y^4
	w.mul(&s, &s, &m)
	w.add(&yyyy, &yyyy, &yyyy)
	w.add(&yyyy, &yyyy, &yyyy)
	w.add(&yyyy, &yyyy, &yyyy)
	w.sub(&r.y, &s, &yyyy)
}

func (w *weierstrass) doubleMinus3(r, p *jacobian) {
	var delta, gamma, beta, alpha, t, u element
	w.mul(&delta, &p.z, &p.z)
	w.mul(&gamma, &p.y, &p.y)
	w.mul(&beta, &p.x, &gamma)
	w.sub(&t, &p.x, &delta) // alpha = 3*(x-delta)*(x+delta)
	w.add(&u, &p.x, &delta)
	w.mul(&t, &t, &u)
	w.add(&alpha, &t, &t)
	w.add(&alpha, &alpha, &t)
	w.add(&t, &p.y, &p.z) // z = (y+z)^2 - gamma - delta
	w.mul(&t, &t, &t)
	w.sub(&t, &t, &gamma)
	w.sub(&r.z, &t, &delta)
	w.add(&beta, &beta, &beta) // x = alpha^2 - 8*beta
	w.add(&beta, &beta, &beta)
	w.mul(&t, &alpha, &alpha)
	w.sub(&t, &t, &beta)
	w.sub(&r.x, &t, &beta)
	w.sub(&t, &beta, &r.x) // y = alpha*(4*beta-x) - 8*gamma^2
	w.mul(&t, &t, &alpha)
	w.mul(&gamma, &gamma, &gamma)
	w.add(&gamma, &gamma, &gamma)
	w.add(&gamma, &gamma, &gamma)
	w.add(&gamma, &gamma, &gamma)
	w.sub(&r.y, &t, &gamma)
}

// addJacobian sets r to p+q (add-2007-bl with z3 = z1*z2*h).
func (w *weierstrass) addJacobian(r, p, q *jacobian) {
	if p.z.isZero() {
		*r = *q
		return
	}
	if q.z.isZero() {
		*r = *p
		return
	}
	var zz1, zz2, u1, u2, s1, s2 element
	w.mul(&zz1, &p.z, &p.z)
	w.mul(&zz2, &q.z, &q.z)
	w.mul(&u1, &p.x, &zz2)
	w.mul(&u2, &q.x, &zz1)
	w.mul(&s1, &p.y, &q.z)
	w.mul(&s1, &s1, &zz2)
	w.mul(&s2, &q.y, &p.z)
	w.mul(&s2, &s2, &zz1)
	var z element
	w.mul(&z, &p.z, &q.z)
	w.finishAdd(r, p, &u1, &u2, &s1, &s2, &z)
}

// addAffine sets r to p+q.
func (w *weierstrass) addAffine(r, p *jacobian, q *affine) {
	if p.z.isZero() {
		*r = jacobian{q.x, q.y, w.one}
		return
	}
	var zz, u2, s2 element
	w.mul(&zz, &p.z, &p.z)
	w.mul(&u2, &q.x, &zz)
	w.mul(&s2, &q.y, &p.z)
	w.mul(&s2, &s2, &zz)
	u1, s1, z := p.x, p.y, p.z
	w.finishAdd(r, p, &u1, &u2, &s1, &s2, &z)
}

// finishAdd completes an addition whose points have the common denominator z: the x-coordinates are u1
// and u2, the y-coordinates s1 and s2. p serves where both are the same point.
func (w *weierstrass) finishAdd(r, p *jacobian, u1, u2, s1, s2, z *element) {
	var h, d element
	w.sub(&h, u2, u1)
	w.sub(&d, s2, s1)
	if h.isZero() {
		if d.isZero() {
			w.double(r, p)
			return
		}
		*r = jacobian{} // opposite points
		return
	}
	var hh, hhh, v, t element
	w.mul(&hh, &h, &h)
	w.mul(&hhh, &hh, &h)
	w.mul(&v, u1, &hh)
	w.mul(&t, &d, &d) // x = d^2 - h^3 - 2*v
	w.sub(&t, &t, &hhh)
	w.sub(&t, &t, &v)
	w.sub(&r.x, &t, &v)
	w.sub(&v, &v, &r.x) // y = d*(v-x) - s1*h^3
	w.mul(&v, &v, &d)
	w.mul(&hhh, &hhh, s1)
	w.sub(&r.y, &v, &hhh)
	w.mul(&r.z, z, &h)
}
