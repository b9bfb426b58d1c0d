package algorithm

import "math/bits"

// mul4 is mulAny for 4 limbs, unrolled into registers.
func (f *field) mul4(z, x, y *element) {
	var t0, t1, t2, t3, t4 uint64
	var hi, lo, c, carry, m, top uint64
	x0, x1, x2, x3 := x[0], x[1], x[2], x[3]
	p0, p1, p2, p3 := f.p[0], f.p[1], f.p[2], f.p[3]
	for _, limb := range y[:4] {
		hi, lo = bits.Mul64(x0, limb)
		lo, c = bits.Add64(lo, t0, 0)
		hi, _ = bits.Add64(hi, 0, c)
		t0, carry = lo, hi
		hi, lo = bits.Mul64(x1, limb)
		lo, c = bits.Add64(lo, t1, 0)
		hi, _ = bits.Add64(hi, 0, c)
		t1, c = bits.Add64(lo, carry, 0)
		carry, _ = bits.Add64(hi, 0, c)
		hi, lo = bits.Mul64(x2, limb)
		lo, c = bits.Add64(lo, t2, 0)
		hi, _ = bits.Add64(hi, 0, c)
		t2, c = bits.Add64(lo, carry, 0)
		carry, _ = bits.Add64(hi, 0, c)
		hi, lo = bits.Mul64(x3, limb)
		lo, c = bits.Add64(lo, t3, 0)
		hi, _ = bits.Add64(hi, 0, c)
		t3, c = bits.Add64(lo, carry, 0)
		carry, _ = bits.Add64(hi, 0, c)
		t4, top = bits.Add64(t4, carry, 0)
		m = t0 * f.negInv
		hi, lo = bits.Mul64(p0, m)
		_, c = bits.Add64(lo, t0, 0)
		hi, _ = bits.Add64(hi, 0, c)
		carry = hi
		hi, lo = bits.Mul64(p1, m)
		lo, c = bits.Add64(lo, t1, 0)
		hi, _ = bits.Add64(hi, 0, c)
		t0, c = bits.Add64(lo, carry, 0)
		carry, _ = bits.Add64(hi, 0, c)
		hi, lo = bits.Mul64(p2, m)
		lo, c = bits.Add64(lo, t2, 0)
		hi, _ = bits.Add64(hi, 0, c)
		t1, c = bits.Add64(lo, carry, 0)
		carry, _ = bits.Add64(hi, 0, c)
		hi, lo = bits.Mul64(p3, m)
		lo, c = bits.Add64(lo, t3, 0)
		hi, _ = bits.Add64(hi, 0, c)
		t2, c = bits.Add64(lo, carry, 0)
		carry, _ = bits.Add64(hi, 0, c)
		t3, c = bits.Add64(t4, carry, 0)
		t4 = top + c
	}
	var d0, d1, d2, d3 uint64
	c = 0
	d0, c = bits.Sub64(t0, p0, c)
	d1, c = bits.Sub64(t1, p1, c)
	d2, c = bits.Sub64(t2, p2, c)
	d3, c = bits.Sub64(t3, p3, c)
	if t4 != 0 || c == 0 {
		t0, t1, t2, t3 = d0, d1, d2, d3
	}
	z[0], z[1], z[2], z[3] = t0, t1, t2, t3
}

// mul6 is mulAny for 6 limbs, unrolled into registers.
func (f *field) mul6(z, x, y *element) {
	var t0, t1, t2, t3, t4, t5, t6 uint64
	var hi, lo, c, carry, m, top uint64
	x0, x1, x2, x3, x4, x5 := x[0], x[1], x[2], x[3], x[4], x[5]
	p0, p1, p2, p3, p4, p5 := f.p[0], f.p[1], f.p[2], f.p[3], f.p[4], f.p[5]
	for _, limb := range y[:6] {
		hi, lo = bits.Mul64(x0, limb)
		lo, c = bits.Add64(lo, t0, 0)
		hi, _ = bits.Add64(hi, 0, c)
		t0, carry = lo, hi
		hi, lo = bits.Mul64(x1, limb)
		lo, c = bits.Add64(lo, t1, 0)
		hi, _ = bits.Add64(hi, 0, c)
		t1, c = bits.Add64(lo, carry, 0)
		carry, _ = bits.Add64(hi, 0, c)
		hi, lo = bits.Mul64(x2, limb)
		lo, c = bits.Add64(lo, t2, 0)
		hi, _ = bits.Add64(hi, 0, c)
		t2, c = bits.Add64(lo, carry, 0)
		carry, _ = bits.Add64(hi, 0, c)
		hi, lo = bits.Mul64(x3, limb)
		lo, c = bits.Add64(lo, t3, 0)
		hi, _ = bits.Add64(hi, 0, c)
		t3, c = bits.Add64(lo, carry, 0)
		carry, _ = bits.Add64(hi, 0, c)
		hi, lo = bits.Mul64(x4, limb)
		lo, c = bits.Add64(lo, t4, 0)
		hi, _ = bits.Add64(hi, 0, c)
		t4, c = bits.Add64(lo, carry, 0)
		carry, _ = bits.Add64(hi, 0, c)
		hi, lo = bits.Mul64(x5, limb)
		lo, c = bits.Add64(lo, t5, 0)
		hi, _ = bits.Add64(hi, 0, c)
		t5, c = bits.Add64(lo, carry, 0)
		carry, _ = bits.Add64(hi, 0, c)
		t6, top = bits.Add64(t6, carry, 0)
		m = t0 * f.negInv
		hi, lo = bits.Mul64(p0, m)
		_, c = bits.Add64(lo, t0, 0)
		hi, _ = bits.Add64(hi, 0, c)
		carry = hi
		hi, lo = bits.Mul64(p1, m)
		lo, c = bits.Add64(lo, t1, 0)
		hi, _ = bits.Add64(hi, 0, c)
		t0, c = bits.Add64(lo, carry, 0)
		carry, _ = bits.Add64(hi, 0, c)
		hi, lo = bits.Mul64(p2, m)
		lo, c = bits.Add64(lo, t2, 0)
		hi, _ = bits.Add64(hi, 0, c)
		t1, c = bits.Add64(lo, carry, 0)
		carry, _ = bits.Add64(hi, 0, c)
		hi, lo = bits.Mul64(p3, m)
		lo, c = bits.Add64(lo, t3, 0)
		hi, _ = bits.Add64(hi, 0, c)
		t2, c = bits.Add64(lo, carry, 0)
		carry, _ = bits.Add64(hi, 0, c)
		hi, lo = bits.Mul64(p4, m)
		lo, c = bits.Add64(lo, t4, 0)
		hi, _ = bits.Add64(hi, 0, c)
		t3, c = bits.Add64(lo, carry, 0)
		carry, _ = bits.Add64(hi, 0, c)
		hi, lo = bits.Mul64(p5, m)
		lo, c = bits.Add64(lo, t5, 0)
		hi, _ = bits.Add64(hi, 0, c)
		t4, c = bits.Add64(lo, carry, 0)
		carry, _ = bits.Add64(hi, 0, c)
		t5, c = bits.Add64(t6, carry, 0)
		t6 = top + c
	}
	var d0, d1, d2, d3, d4, d5 uint64
	c = 0
	d0, c = bits.Sub64(t0, p0, c)
	d1, c = bits.Sub64(t1, p1, c)
	d2, c = bits.Sub64(t2, p2, c)
	d3, c = bits.Sub64(t3, p3, c)
	d4, c = bits.Sub64(t4, p4, c)
	d5, c = bits.Sub64(t5, p5, c)
	if t6 != 0 || c == 0 {
		t0, t1, t2, t3, t4, t5 = d0, d1, d2, d3, d4, d5
	}
	z[0], z[1], z[2], z[3], z[4], z[5] = t0, t1, t2, t3, t4, t5
}
