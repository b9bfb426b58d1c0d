package algorithm

import (
	"bytes"
	"crypto/rsa"
	"fmt"
	"math/big"

	"golang.org/x/crypto/cryptobyte"
	"golang.org/x/crypto/cryptobyte/asn1"
)

// Kind is the algorithm of a public key.
type Kind uint8

// The kinds of keys.
const (
	NoKind Kind = iota
	KindRSA
	KindRSAPSS // id-RSASSA-PSS: an RSA key for PSS alone (RFC 4055 1.2)
	KindEC
	KindDSA
	KindEd25519
	KindEd448
	KindMLDSA
	KindSLHDSA
)

// PublicKey is a parsed public key. It is immutable and safe for concurrent use.
type PublicKey struct {
	kind      Kind
	bits      int
	spki      []byte // SubjectPublicKeyInfo as given; nil for keys that came without one
	bitString []byte // contents of subjectPublicKey without the count of unused bits
	findings  []string

	rsa rsaKey
	pss *PSSParameters // restrictions of an id-RSASSA-PSS key; nil: none
	ec  ecKey
	dsa dsaKey
	set uint8 // parameter set of ML-DSA and SLH-DSA
	pq  any   // *mldsa.PublicKey or *slhdsa.PublicKey
}

// rsaKey is a modulus and a public exponent; std is set where the standard library is faster.
type rsaKey struct {
	n, e *big.Int
	std  *rsa.PublicKey
}

// dsaKey: p is nil where the parameters are inherited.
type dsaKey struct{ p, q, g, y *big.Int }

// Kind is the algorithm of the key.
func (k *PublicKey) Kind() Kind { return k.kind }

// Bits is the size by which the table of TS 119 312 judges: the modulus of RSA, p of DSA, the order's
// field of EC and EdDSA, the public key of ML-DSA and SLH-DSA.
func (k *PublicKey) Bits() int { return k.bits }

// Name is the kind with its curve or parameter set: "RSA", "RSASSA-PSS", "EC P-256", "ML-DSA-65".
func (k *PublicKey) Name() string {
	switch k.kind {
	case KindRSA:
		return "RSA"
	case KindRSAPSS:
		return "RSASSA-PSS"
	case KindEC:
		return "EC " + k.ec.curve.name
	case KindDSA:
		return "DSA"
	case KindEd25519:
		return "Ed25519"
	case KindEd448:
		return "Ed448"
	case KindMLDSA:
		return mldsaSets[k.set].name
	case KindSLHDSA:
		return slhdsaSets[k.set].name
	}
	return "none"
}

// Curve is the name of the elliptic curve ("P-256", "brainpoolP384r1", "secp256k1"), or "".
func (k *PublicKey) Curve() string {
	if k.kind != KindEC {
		return ""
	}
	return k.ec.curve.name
}

// SPKI is the SubjectPublicKeyInfo as it was given to ParsePublicKey, else nil. Do not change it.
func (k *PublicKey) SPKI() []byte { return k.spki }

// BitString is the content of subjectPublicKey without tag, length and count of unused bits: what key
// hashes of OCSP (RFC 6960 4.1.1) and the common key identifier (RFC 5280 4.2.1.2) are about.
func (k *PublicKey) BitString() []byte { return k.bitString }

// Findings are the laxnesses of the encoding that were tolerated.
func (k *PublicKey) Findings() []string { return k.findings }

// Equal reports whether both keys are the same value, whatever their encoding.
func (k *PublicKey) Equal(o *PublicKey) bool {
	if k == nil || o == nil || k.kind != o.kind {
		return false
	}
	switch k.kind {
	case KindRSA, KindRSAPSS:
		return k.rsa.n.Cmp(o.rsa.n) == 0 && k.rsa.e.Cmp(o.rsa.e) == 0
	case KindEC:
		return k.ec.curve == o.ec.curve && k.ec.x.Cmp(o.ec.x) == 0 && k.ec.y.Cmp(o.ec.y) == 0
	case KindDSA:
		return k.dsa.y.Cmp(o.dsa.y) == 0 && sameInt(k.dsa.p, o.dsa.p) && sameInt(k.dsa.q, o.dsa.q) && sameInt(k.dsa.g, o.dsa.g)
	}
	return k.set == o.set && bytes.Equal(k.bitString, o.bitString)
}

func sameInt(a, b *big.Int) bool {
	if a == nil || b == nil {
		return a == nil && b == nil
	}
	return a.Cmp(b) == 0
}

// InheritParameters gives a DSA key without domain parameters those of its issuer (RFC 3279 2.3.2,
// RFC 5280 6.1.4 d-f). Every other key is returned as it is.
func (k *PublicKey) InheritParameters(issuer *PublicKey) *PublicKey {
	if k.kind != KindDSA || k.dsa.p != nil || issuer == nil || issuer.kind != KindDSA || issuer.dsa.p == nil {
		return k
	}
	full := *k
	full.dsa.p, full.dsa.q, full.dsa.g = issuer.dsa.p, issuer.dsa.q, issuer.dsa.g
	full.bits = issuer.bits
	if full.checkDSA() != nil {
		return k
	}
	return &full
}

// ParsePublicKey reads a DER SubjectPublicKeyInfo. It keeps references into spki. Tolerated laxnesses are in Findings; certificates
// of trusted lists need each of them: an RSA key without NULL, a modulus without its leading zero, explicit EC parameters
// that are those of a named curve. Errors: ErrMalformed, ErrUnsupported.
func ParsePublicKey(spki []byte) (*PublicKey, error) {
	input := cryptobyte.String(spki)
	var seq, algID cryptobyte.String
	if !input.ReadASN1(&seq, asn1.SEQUENCE) || !input.Empty() || !seq.ReadASN1Element(&algID, asn1.SEQUENCE) {
		return nil, errMalformed("SubjectPublicKeyInfo")
	}
	var bits cryptobyte.String
	if !seq.ReadASN1(&bits, asn1.BIT_STRING) || !seq.Empty() || len(bits) < 1 || bits[0] != 0 {
		return nil, errMalformed("subjectPublicKey")
	}
	oid, params, err := readAlgorithmIdentifier(algID)
	if err != nil {
		return nil, fmt.Errorf("SubjectPublicKeyInfo: %w", err)
	}
	k := &PublicKey{spki: spki, bitString: bits[1:]}
	if err := k.read(oid, params); err != nil {
		return nil, err
	}
	return k, nil
}

func (k *PublicKey) read(oid, params []byte) error {
	switch id := string(oid); id {
	case oidRSA, oidPSS:
		return k.readRSA(id, params)
	case oidEC:
		return k.readEC(params)
	case oidDSA, oidOIWDSA:
		return k.readDSA(params)
	case oidEd25519, oidEd448:
		return k.readEdwards(id, params)
	}
	return k.readPostQuantum(oid, params)
}

func (k *PublicKey) find(text string) { k.findings = append(k.findings, text) }

// readRSA reads RSAPublicKey of RFC 8017 A.1.1.
func (k *PublicKey) readRSA(oid string, params []byte) error {
	k.kind = KindRSA
	switch {
	case oid == oidPSS:
		k.kind = KindRSAPSS
		if isNull(params) {
			k.find("RSASSA-PSS key with NULL parameters (RFC 4055 1.2)")
		} else if len(params) > 0 {
			p, err := readPSSParameters(params)
			if err != nil {
				return err
			}
			k.pss = &p
		}
	case len(params) == 0:
		k.find("RSA key without the NULL parameters (RFC 3279 2.3.1)")
	case !isNull(params):
		return fmt.Errorf("%w: RSA key with parameters", ErrMalformed)
	}
	input := cryptobyte.String(k.bitString)
	var seq cryptobyte.String
	if !input.ReadASN1(&seq, asn1.SEQUENCE) || !input.Empty() {
		return errMalformed("RSAPublicKey")
	}
	n, err := k.readUnsigned(&seq, "RSA modulus", maxRSABits)
	if err != nil {
		return err
	}
	e, err := k.readUnsigned(&seq, "RSA exponent", maxRSABits)
	if err != nil {
		return err
	}
	if !seq.Empty() {
		return errMalformed("RSAPublicKey")
	}
	return k.setRSA(n, e)
}

func (k *PublicKey) setRSA(n, e *big.Int) error {
	k.rsa, k.bits = rsaKey{n: n, e: e}, n.BitLen()
	switch {
	case k.bits < minRSABits || k.bits > maxRSABits:
		return fmt.Errorf("%w: RSA key of %d bits", ErrUnsupported, k.bits)
	case n.Bit(0) == 0:
		return fmt.Errorf("%w: even RSA modulus", ErrMalformed)
	case e.BitLen() < 2 || e.Bit(0) == 0:
		return fmt.Errorf("%w: RSA exponent is even or 1", ErrMalformed)
	case e.BitLen() > maxRSAExponentBits, e.BitLen() > maxLongRSAExponentBits && k.bits > 4096:
		return fmt.Errorf("%w: RSA exponent of %d bits", ErrUnsupported, e.BitLen())
	}
	if k.bits == assemblyRSABits && e.BitLen() < 32 {
		k.rsa.std = &rsa.PublicKey{N: n, E: int(e.Int64())}
	}
	return nil
}

// RSAPublicKey makes a key of its numbers (XMLDSig RSAKeyValue: big-endian octets).
func RSAPublicKey(modulus, exponent []byte) (*PublicKey, error) {
	if len(modulus) > maxRSABits/8+1 || len(exponent) > maxRSABits/8+1 {
		return nil, fmt.Errorf("%w: RSA key of %d octets", ErrUnsupported, len(modulus))
	}
	k := &PublicKey{kind: KindRSA}
	if err := k.setRSA(new(big.Int).SetBytes(modulus), new(big.Int).SetBytes(exponent)); err != nil {
		return nil, err
	}
	return k, nil
}

// readUnsigned reads an INTEGER that is meant to be positive. A missing leading zero, which makes it
// negative, and superfluous ones were written by real CAs (German trusted list signers of 2015).
func (k *PublicKey) readUnsigned(s *cryptobyte.String, what string, maxBits int) (*big.Int, error) {
	var content cryptobyte.String
	if !s.ReadASN1(&content, asn1.INTEGER) || len(content) == 0 || len(content) > maxBits/8+16 {
		return nil, errMalformed(what)
	}
	if content[0]&0x80 != 0 {
		k.find(what + " is negative: leading zero octet missing")
	}
	if len(content) > 1 && content[0] == 0 && content[1]&0x80 == 0 {
		k.find(what + " has superfluous leading zeros")
	}
	return new(big.Int).SetBytes(content), nil
}
