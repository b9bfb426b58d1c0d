package algorithm

import "math/bits"

// What operations take, in units of internal/budget (about a nanosecond each), by measurements on a server of the 2020s
// that had other work beside; TestCost holds them against the machine at hand.
const (
	costRSA         = 30_000 // beside the multiplications
	costP256        = 120_000
	costEd25519     = 100_000
	costEd448       = 250_000
	costMLDSA       = 400_000
	costSLHDSA      = 4_000_000
	costSquareRoot  = 250_000 // of a compressed point
	costSquareRoot1 = 900_000 // on P-224, whose field is the worst for it
)

// costEC is indexed by the 64-bit words of a curve's field.
var costEC = [...]int64{3: 190_000, 4: 190_000, 5: 600_000, 6: 750_000, 7: 2_400_000, 8: 2_400_000, 9: 2_400_000}

// costMultiplication is that of a multiplication and a division modulo a number of so many bits.
func costMultiplication(size int) int64 {
	words := int64(size+63) / 64
	return 400 + words*min(words*7/4, 250)
}

// Cost is about what one verification with the key takes, reading the key included, in units of internal/budget (a
// nanosecond each): to be spent before it is tried, since who chose the key chose the cost. It goes by the size of the modulus,
// of the public exponent and of the curve.
func (k *PublicKey) Cost() int64 {
	switch k.kind {
	case KindRSA, KindRSAPSS:
		e := k.rsa.e.Uint64()
		return costRSA + int64(bits.Len64(e)+bits.OnesCount64(e))*costMultiplication(k.bits)
	case KindDSA:
		if k.dsa.p == nil {
			return costRSA // nothing is computed before the parameters are inherited
		}
		return costRSA + int64(k.dsa.q.BitLen())*5*costMultiplication(k.bits)
	case KindEC:
		return k.ReadCost() + k.ec.curve.cost()
	case KindEd25519:
		return costEd25519
	case KindEd448:
		return costEd448
	case KindSLHDSA:
		return costSLHDSA
	}
	return costMLDSA
}

func (c *curve) cost() int64 {
	if standardCurve(c) != nil {
		return costP256
	}
	return costEC[(c.p.BitLen()+63)/64]
}

// ReadCost is what ParsePublicKey took for more than copying: the root that gives the second coordinate of a compressed point.
// It is the same however often the key was kept.
func (k *PublicKey) ReadCost() int64 {
	switch {
	case !k.ec.compressed:
		return 0
	case k.ec.curve.name == "P-224":
		return costSquareRoot1
	}
	return costSquareRoot
}
