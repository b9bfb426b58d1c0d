package algorithm

import (
	"fmt"
	"math/big"

	"golang.org/x/crypto/cryptobyte"
	"golang.org/x/crypto/cryptobyte/asn1"
)

// readDSA reads Dss-Parms and DSAPublicKey (RFC 3279 2.3.2).
func (k *PublicKey) readDSA(params []byte) error {
	k.kind = KindDSA
	input := cryptobyte.String(k.bitString)
	y := new(big.Int)
	if len(k.bitString) > maxDSABits/8+16 || !input.ReadASN1Integer(y) || !input.Empty() || y.Sign() <= 0 {
		return errMalformed("DSAPublicKey")
	}
	k.dsa.y = y
	if len(params) == 0 || isNull(params) {
		k.find("DSA key inherits its parameters (RFC 3279 2.3.2)")
		return nil
	}
	if len(params) > 3*(maxDSABits/8+16) {
		return fmt.Errorf("%w: DSA parameters of %d octets", ErrUnsupported, len(params))
	}
	p, q, g := new(big.Int), new(big.Int), new(big.Int)
	input = params
	var seq cryptobyte.String
	if !input.ReadASN1(&seq, asn1.SEQUENCE) || !input.Empty() ||
		!seq.ReadASN1Integer(p) || !seq.ReadASN1Integer(q) || !seq.ReadASN1Integer(g) || !seq.Empty() {
		return errMalformed("Dss-Parms")
	}
	k.dsa.p, k.dsa.q, k.dsa.g = p, q, g
	return k.checkDSA()
}

// DSAPublicKey makes a key of its numbers (XMLDSig DSAKeyValue: big-endian octets).
func DSAPublicKey(p, q, g, y []byte) (*PublicKey, error) {
	for _, b := range [][]byte{p, q, g, y} {
		if len(b) > maxDSABits/8+1 {
			return nil, fmt.Errorf("%w: DSA number of %d octets", ErrUnsupported, len(b))
		}
	}
	k := &PublicKey{kind: KindDSA}
	k.dsa = dsaKey{new(big.Int).SetBytes(p), new(big.Int).SetBytes(q), new(big.Int).SetBytes(g), new(big.Int).SetBytes(y)}
	if err := k.checkDSA(); err != nil {
		return nil, err
	}
	return k, nil
}

// checkDSA checks the ranges of FIPS 186-4 4.1 and what bounds the work.
func (k *PublicKey) checkDSA() error {
	d := k.dsa
	k.bits = d.p.BitLen()
	one := big.NewInt(1)
	if k.bits < minDSABits || k.bits > maxDSABits || d.q.BitLen() < 160 || d.q.BitLen() > 512 {
		return fmt.Errorf("%w: DSA key of %d bits, q of %d", ErrUnsupported, k.bits, d.q.BitLen())
	}
	if d.p.Bit(0) == 0 || d.q.Bit(0) == 0 || d.g.Cmp(one) <= 0 || d.g.Cmp(d.p) >= 0 || d.y.Cmp(one) <= 0 || d.y.Cmp(d.p) >= 0 {
		return fmt.Errorf("%w: DSA key out of range", ErrMalformed)
	}
	return nil
}

// inGroup reports whether x^q mod p is 1.
func (d *dsaKey) inGroup(x *big.Int) bool {
	return new(big.Int).Exp(x, d.q, d.p).Cmp(big.NewInt(1)) == 0
}

// verifyDSA follows FIPS 186-4 4.7. The key is checked first (A.2.2, and SP 800-89 5.3.1): where g or y lies outside of the
// group of order q, g being p-1 say, there are values for every message that nobody needs the private key for.
func verifyDSA(key *PublicKey, digest, signature []byte, raw bool) error {
	d := key.dsa
	if !d.inGroup(d.g) || !d.inGroup(d.y) {
		return fmt.Errorf("%w: DSA key outside of the group of order q", ErrSignature)
	}
	r, s, err := splitSignature(signature, raw, d.q)
	if err != nil {
		return err
	}
	w := new(big.Int).ModInverse(s, d.q)
	if w == nil {
		return ErrSignature
	}
	u1 := new(big.Int).Mul(truncate(digest, d.q), w)
	u2 := new(big.Int).Mul(r, w)
	u1.Exp(d.g, u1.Mod(u1, d.q), d.p)
	u2.Exp(d.y, u2.Mod(u2, d.q), d.p)
	v := u1.Mul(u1, u2)
	v.Mod(v, d.p).Mod(v, d.q)
	if v.Cmp(r) != 0 {
		return ErrSignature
	}
	return nil
}
