package algorithm

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"fmt"
	"math/big"

	"golang.org/x/crypto/cryptobyte"
	"golang.org/x/crypto/cryptobyte/asn1"
)

// ecKey is a point on a named curve; std is set where the standard library is the fastest.
type ecKey struct {
	curve      *curve
	x, y       *big.Int
	std        *ecdsa.PublicKey
	compressed bool // as it was given
}

// readEC reads ECParameters (RFC 5480 2.1.1) and the point.
func (k *PublicKey) readEC(params []byte) error {
	k.kind = KindEC
	input := cryptobyte.String(params)
	if input.PeekASN1Tag(asn1.OBJECT_IDENTIFIER) {
		var oid cryptobyte.String
		if !input.ReadASN1(&oid, asn1.OBJECT_IDENTIFIER) || !input.Empty() {
			return errMalformed("ECParameters")
		}
		c, ok := curvesByOID[string(oid)]
		if !ok {
			return fmt.Errorf("%w: elliptic curve %s", ErrUnsupported, dottedOID(oid))
		}
		return k.setPoint(c, k.bitString)
	}
	if !input.PeekASN1Tag(asn1.SEQUENCE) {
		return fmt.Errorf("%w: EC key without a curve", ErrUnsupported)
	}
	c, err := namedByParameters(input)
	if err != nil {
		return err
	}
	k.find("EC parameters are explicit; they are those of " + c.name + " (RFC 5480 2.1.1 wants the name)")
	return k.setPoint(c, k.bitString)
}

// namedByParameters finds the curve that SpecifiedECDomain (SEC 1 C.2) describes. Only curves of the
// table are known: free parameters would let a forger choose the generator (CVE-2020-0601).
func namedByParameters(input cryptobyte.String) (*curve, error) {
	var seq, field, fieldOID, coefficients, base cryptobyte.String
	var a, b cryptobyte.String
	version, p, n, h := int64(0), new(big.Int), new(big.Int), new(big.Int)
	if !input.ReadASN1(&seq, asn1.SEQUENCE) || !input.Empty() || !seq.ReadASN1Integer(&version) ||
		!seq.ReadASN1(&field, asn1.SEQUENCE) || !field.ReadASN1(&fieldOID, asn1.OBJECT_IDENTIFIER) {
		return nil, errMalformed("SpecifiedECDomain")
	}
	if string(fieldOID) != oidPrimeField {
		return nil, fmt.Errorf("%w: explicit curve that is not over a prime field", ErrUnsupported)
	}
	if !field.ReadASN1Integer(p) || !field.Empty() || !seq.ReadASN1(&coefficients, asn1.SEQUENCE) ||
		!coefficients.ReadASN1(&a, asn1.OCTET_STRING) || !coefficients.ReadASN1(&b, asn1.OCTET_STRING) ||
		!seq.ReadASN1(&base, asn1.OCTET_STRING) || !seq.ReadASN1Integer(n) {
		return nil, errMalformed("SpecifiedECDomain")
	}
	if seq.PeekASN1Tag(asn1.INTEGER) && (!seq.ReadASN1Integer(h) || h.Cmp(big.NewInt(1)) != 0) {
		return nil, fmt.Errorf("%w: explicit curve with another cofactor", ErrUnsupported)
	}
	for _, c := range curves {
		if c.p.Cmp(p) == 0 && c.n.Cmp(n) == 0 && c.a.Cmp(new(big.Int).SetBytes(a)) == 0 && c.b.Cmp(new(big.Int).SetBytes(b)) == 0 {
			x, y, err := c.decodePoint(base)
			if err != nil || x.Cmp(c.gx) != 0 || y.Cmp(c.gy) != 0 {
				return nil, fmt.Errorf("%w: %s with another generator", ErrUnsupported, c.name)
			}
			return c, nil
		}
	}
	return nil, fmt.Errorf("%w: explicit elliptic curve that is none of the named ones", ErrUnsupported)
}

// setPoint reads an uncompressed or compressed point (SEC 1 2.3.4) and checks that it is on the curve.
func (k *PublicKey) setPoint(c *curve, point []byte) error {
	x, y, err := c.decodePoint(point)
	if err != nil {
		return err
	}
	k.bits = c.bits
	k.ec = ecKey{curve: c, x: x, y: y, compressed: len(point) == 1+c.size}
	if std := standardCurve(c); std != nil {
		uncompressed := make([]byte, 1+2*c.size)
		uncompressed[0] = 4
		x.FillBytes(uncompressed[1 : 1+c.size])
		y.FillBytes(uncompressed[1+c.size:])
		if k.ec.std, err = ecdsa.ParseUncompressedPublicKey(std, uncompressed); err != nil {
			return fmt.Errorf("%w: %w", ErrMalformed, err)
		}
	}
	return nil
}

// standardCurve is the curve of the standard library where that is faster than ours: it has assembly
// for P-256 alone.
func standardCurve(c *curve) elliptic.Curve {
	if c.name == "P-256" {
		return elliptic.P256()
	}
	return nil
}

func (c *curve) decodePoint(point []byte) (x, y *big.Int, err error) {
	bad := fmt.Errorf("%w: point on %s", ErrMalformed, c.name)
	switch {
	case len(point) == 1+2*c.size && point[0] == 4:
		x, y = new(big.Int).SetBytes(point[1:1+c.size]), new(big.Int).SetBytes(point[1+c.size:])
		if x.Cmp(c.p) >= 0 || y.Cmp(c.p) >= 0 || c.square(x).Cmp(new(big.Int).Mod(new(big.Int).Mul(y, y), c.p)) != 0 {
			return nil, nil, bad
		}
		return x, y, nil
	case len(point) == 1+c.size && (point[0] == 2 || point[0] == 3):
		x = new(big.Int).SetBytes(point[1:])
		if x.Cmp(c.p) >= 0 {
			return nil, nil, bad
		}
		if y = new(big.Int).ModSqrt(c.square(x), c.p); y == nil {
			return nil, nil, bad
		}
		if y.Bit(0) != uint(point[0]&1) {
			y.Sub(c.p, y)
		}
		if y.Cmp(c.p) >= 0 {
			return nil, nil, bad
		}
		return x, y, nil
	}
	return nil, nil, bad
}

// square is x^3 + a*x + b mod p.
func (c *curve) square(x *big.Int) *big.Int {
	t := new(big.Int).Mul(x, x)
	t.Add(t, c.a).Mul(t, x).Add(t, c.b)
	return t.Mod(t, c.p)
}

// ECPublicKey makes a key of a named curve (dotted OID, as in XMLDSig 1.1 NamedCurve) and a point.
func ECPublicKey(curveOID string, point []byte) (*PublicKey, error) {
	c, ok := curvesByOID[string(encodeOID(curveOID))]
	if !ok {
		return nil, fmt.Errorf("%w: elliptic curve %s", ErrUnsupported, curveOID)
	}
	k := &PublicKey{kind: KindEC, bitString: point}
	if err := k.setPoint(c, point); err != nil {
		return nil, err
	}
	return k, nil
}

// verifyECDSA follows SEC 1 4.1.4. A signature is a strict DER SEQUENCE, or with raw r||s, both as long
// as the order.
func verifyECDSA(key *PublicKey, digest, signature []byte, raw bool) error {
	c := key.ec.curve
	if key.ec.std != nil && !raw {
		if !ecdsa.VerifyASN1(key.ec.std, digest, signature) {
			return ErrSignature
		}
		return nil
	}
	r, s, err := splitSignature(signature, raw, c.n)
	if err != nil {
		return err
	}
	if key.ec.std != nil {
		if !ecdsa.Verify(key.ec.std, digest, r, s) {
			return ErrSignature
		}
		return nil
	}
	w := new(big.Int).ModInverse(s, c.n)
	if w == nil {
		return ErrSignature
	}
	u1 := new(big.Int).Mul(truncate(digest, c.n), w)
	u2 := new(big.Int).Mul(r, w)
	if !c.engine().verify(u1.Mod(u1, c.n), u2.Mod(u2, c.n), key.ec.x, key.ec.y, r) {
		return ErrSignature
	}
	return nil
}

// truncate takes the leftmost bits of a digest, as many as n has.
func truncate(digest []byte, n *big.Int) *big.Int {
	if size := (n.BitLen() + 7) / 8; len(digest) > size {
		digest = digest[:size]
	}
	z := new(big.Int).SetBytes(digest)
	if excess := len(digest)*8 - n.BitLen(); excess > 0 {
		z.Rsh(z, uint(excess))
	}
	return z
}

// splitSignature reads r and s, both within 1..n-1.
func splitSignature(signature []byte, raw bool, n *big.Int) (r, s *big.Int, err error) {
	r, s = new(big.Int), new(big.Int)
	if raw {
		half := (n.BitLen() + 7) / 8
		if len(signature) != 2*half {
			return nil, nil, fmt.Errorf("%w: %d octets of r||s, not %d", ErrSignature, len(signature), 2*half)
		}
		r.SetBytes(signature[:half])
		s.SetBytes(signature[half:])
	} else {
		input := cryptobyte.String(signature)
		var seq cryptobyte.String
		if !input.ReadASN1(&seq, asn1.SEQUENCE) || !input.Empty() || !seq.ReadASN1Integer(r) || !seq.ReadASN1Integer(s) || !seq.Empty() {
			return nil, nil, fmt.Errorf("%w: value is no DER SEQUENCE of r and s", ErrSignature)
		}
	}
	if r.Sign() <= 0 || s.Sign() <= 0 || r.Cmp(n) >= 0 || s.Cmp(n) >= 0 {
		return nil, nil, fmt.Errorf("%w: r or s out of range", ErrSignature)
	}
	return r, s, nil
}
