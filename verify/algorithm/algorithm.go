// Package algorithm is the registry of signature and digest algorithms: what a public key, an
// AlgorithmIdentifier or an XMLDSig URI means, and whether a signature verifies under it.
//
// It computes whatever it knows, however weak. Whether an algorithm may be relied on is a matter of
// time and policy and is answered by Acceptable from the table of ETSI TS 119 312, never by a refusal
// to compute. All inputs are public data, so nothing here runs in constant time.
package algorithm

import (
	"errors"
	"strconv"
	"strings"

	"golang.org/x/crypto/cryptobyte"
	"golang.org/x/crypto/cryptobyte/asn1"
)

// Errors that callers tell apart with errors.Is.
var (
	// ErrSignature: the signature does not verify: the value, the data or the key is another one.
	ErrSignature = errors.New("signature does not verify")
	// ErrUnsupported: the algorithm, curve or parameter is not in the registry.
	ErrUnsupported = errors.New("unsupported algorithm")
	// ErrMalformed: an encoding is broken beyond what is tolerated.
	ErrMalformed = errors.New("malformed encoding")
	// ErrKeyMismatch: the key is of another kind than the scheme needs, or its own parameters
	// (RFC 4055 3.3) forbid the scheme.
	ErrKeyMismatch = errors.New("key does not fit the algorithm")
	// ErrNeedsMessage: the scheme signs the message itself, a digest is not enough (EdDSA, ML-DSA, SLH-DSA).
	ErrNeedsMessage = errors.New("algorithm needs the whole message")
	// ErrNeedsParameters: a DSA key without domain parameters, which the issuer's key gives (RFC 3279 2.3.2).
	ErrNeedsParameters = errors.New("key inherits its parameters from the issuer")
)

// Limits on keys taken from outside. They bound the work of one verification, not its security.
const (
	minRSABits         = 512   // the smallest key seen in archives
	maxRSABits         = 16384 // 8192 occurs in trusted lists; one verification stays under 3 ms
	maxRSAExponentBits = 64    // real exponents have 17 bits; a long one is a flood
	// maxLongRSAExponentBits holds above 4096 bits, where each step of an exponent is dear.
	maxLongRSAExponentBits = 33
	minDSABits             = 512
	maxDSABits             = 4096 // FIPS 186-4 ends at 3072
	maxOIDLength           = 64   // octets of an encoded object identifier
)

// readAlgorithmIdentifier splits a DER AlgorithmIdentifier into the content octets of its OID and the
// raw parameters (empty where absent).
func readAlgorithmIdentifier(der []byte) (oid, params []byte, err error) {
	input := cryptobyte.String(der)
	var seq, id cryptobyte.String
	if !input.ReadASN1(&seq, asn1.SEQUENCE) || !input.Empty() {
		return nil, nil, errMalformed("AlgorithmIdentifier")
	}
	if !seq.ReadASN1(&id, asn1.OBJECT_IDENTIFIER) || len(id) == 0 || len(id) > maxOIDLength {
		return nil, nil, errMalformed("AlgorithmIdentifier")
	}
	if !seq.Empty() {
		var one cryptobyte.String
		var tag asn1.Tag
		rest := seq
		if !rest.ReadAnyASN1Element(&one, &tag) || !rest.Empty() {
			return nil, nil, errMalformed("AlgorithmIdentifier parameters")
		}
	}
	return id, seq, nil
}

func errMalformed(what string) error { return &malformed{what} }

// malformed names the structure that could not be read.
type malformed struct{ what string }

func (m *malformed) Error() string { return "malformed " + m.what }
func (m *malformed) Unwrap() error { return ErrMalformed }

// isNull reports whether params is exactly an ASN.1 NULL.
func isNull(params []byte) bool { return len(params) == 2 && params[0] == 5 && params[1] == 0 }

// encodeOID gives the content octets of an OID in dotted form, or nil where it is not one.
func encodeOID(dotted string) []byte {
	var out []byte
	var first uint64
	for i := 0; ; i++ {
		arc, rest, more := strings.Cut(dotted, ".")
		n, err := strconv.ParseUint(arc, 10, 63)
		if err != nil || len(out) > maxOIDLength {
			return nil
		}
		switch i {
		case 0:
			first = n
		case 1:
			out = appendBase128(out, first*40+n)
		default:
			out = appendBase128(out, n)
		}
		if !more {
			return out
		}
		dotted = rest
	}
}

func appendBase128(out []byte, n uint64) []byte {
	shift := 0
	for n>>(shift+7) != 0 {
		shift += 7
	}
	for ; shift > 0; shift -= 7 {
		out = append(out, byte(n>>shift)|0x80)
	}
	return append(out, byte(n&0x7f))
}

// dottedOID writes the content octets of an OID in dotted form, for messages.
func dottedOID(content []byte) string {
	var b strings.Builder
	var n uint64
	first := true
	for _, c := range content {
		if n > 1<<56 {
			return "(long object identifier)"
		}
		n = n<<7 | uint64(c&0x7f)
		if c&0x80 != 0 {
			continue
		}
		if first {
			top := min(n/40, 2)
			b.WriteString(strconv.FormatUint(top, 10))
			n -= top * 40
			first = false
		}
		b.WriteByte('.')
		b.WriteString(strconv.FormatUint(n, 10))
		n = 0
	}
	return b.String()
}
