package algorithm

// Cost is about what one verification with the key takes, in units of internal/budget (a nanosecond each): to be
// spent before it is tried, since who chose the key chose the cost.
func (k *PublicKey) Cost() int64 {
	const base = 50_000
	switch k.kind {
	case KindRSA, KindRSAPSS:
		words := int64(k.bits+63) / 64
		perMultiplication := words * words * 3 / 2
		if k.rsa.e == nil {
			return base
		}
		return base/5 + perMultiplication*int64(max(k.rsa.e.BitLen(), 17)+2)
	case KindDSA:
		return 40 * base
	case KindEC:
		return 20 * base
	case KindSLHDSA:
		return 100 * base
	}
	return 4 * base
}
