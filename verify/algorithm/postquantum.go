package algorithm

import (
	"fmt"

	"filippo.io/mldsa"
	"github.com/cloudflare/circl/sign/slhdsa"
)

// mldsaSets are the parameter sets of FIPS 204; identifiers of RFC 9881.
var mldsaSets = []struct {
	name, oid, uri string
	params         func() mldsa.Parameters
}{
	{"ML-DSA-44", "2.16.840.1.101.3.4.3.17", "ml-dsa-44", mldsa.MLDSA44},
	{"ML-DSA-65", "2.16.840.1.101.3.4.3.18", "ml-dsa-65", mldsa.MLDSA65},
	{"ML-DSA-87", "2.16.840.1.101.3.4.3.19", "ml-dsa-87", mldsa.MLDSA87},
}

// slhdsaSets are the pure parameter sets of FIPS 205; identifiers of RFC 9909.
var slhdsaSets = []struct {
	name, oid, uri string
	id             slhdsa.ID
}{
	{"SLH-DSA-SHA2-128s", "2.16.840.1.101.3.4.3.20", "slh-dsa-sha2-128s", slhdsa.SHA2_128s},
	{"SLH-DSA-SHA2-128f", "2.16.840.1.101.3.4.3.21", "slh-dsa-sha2-128f", slhdsa.SHA2_128f},
	{"SLH-DSA-SHA2-192s", "2.16.840.1.101.3.4.3.22", "slh-dsa-sha2-192s", slhdsa.SHA2_192s},
	{"SLH-DSA-SHA2-192f", "2.16.840.1.101.3.4.3.23", "slh-dsa-sha2-192f", slhdsa.SHA2_192f},
	{"SLH-DSA-SHA2-256s", "2.16.840.1.101.3.4.3.24", "slh-dsa-sha2-256s", slhdsa.SHA2_256s},
	{"SLH-DSA-SHA2-256f", "2.16.840.1.101.3.4.3.25", "slh-dsa-sha2-256f", slhdsa.SHA2_256f},
	{"SLH-DSA-SHAKE-128s", "2.16.840.1.101.3.4.3.26", "slh-dsa-shake-128s", slhdsa.SHAKE_128s},
	{"SLH-DSA-SHAKE-128f", "2.16.840.1.101.3.4.3.27", "slh-dsa-shake-128f", slhdsa.SHAKE_128f},
	{"SLH-DSA-SHAKE-192s", "2.16.840.1.101.3.4.3.28", "slh-dsa-shake-192s", slhdsa.SHAKE_192s},
	{"SLH-DSA-SHAKE-192f", "2.16.840.1.101.3.4.3.29", "slh-dsa-shake-192f", slhdsa.SHAKE_192f},
	{"SLH-DSA-SHAKE-256s", "2.16.840.1.101.3.4.3.30", "slh-dsa-shake-256s", slhdsa.SHAKE_256s},
	{"SLH-DSA-SHAKE-256f", "2.16.840.1.101.3.4.3.31", "slh-dsa-shake-256f", slhdsa.SHAKE_256f},
}

// readPostQuantum reads an ML-DSA or SLH-DSA key; the OID is that of the signature.
func (k *PublicKey) readPostQuantum(oid, params []byte) error {
	s, ok := schemesByOID[string(oid)]
	if !ok || s.family != mldsaFamily && s.family != slhdsaFamily {
		return fmt.Errorf("%w: key of algorithm %s", ErrUnsupported, dottedOID(oid))
	}
	if len(params) > 0 {
		return fmt.Errorf("%w: %s key with parameters", ErrMalformed, s.Name())
	}
	k.set, k.bits = s.set, len(k.bitString)*8
	if s.family == mldsaFamily {
		k.kind = KindMLDSA
		key, err := mldsa.NewPublicKey(mldsaSets[s.set].params(), k.bitString)
		if err != nil {
			return fmt.Errorf("%w: %s key: %w", ErrMalformed, s.Name(), err)
		}
		k.pq = key
		return nil
	}
	k.kind = KindSLHDSA
	key := &slhdsa.PublicKey{ID: slhdsaSets[s.set].id}
	if err := key.UnmarshalBinary(k.bitString); err != nil {
		return fmt.Errorf("%w: %s key: %w", ErrMalformed, s.Name(), err)
	}
	k.pq = key
	return nil
}

func verifyMLDSA(key *PublicKey, message, signature []byte, context string) error {
	if mldsa.Verify(key.pq.(*mldsa.PublicKey), message, signature, &mldsa.Options{Context: context}) != nil {
		return ErrSignature
	}
	return nil
}

func verifySLHDSA(key *PublicKey, message, signature []byte, context string) error {
	if !slhdsa.Verify(key.pq.(*slhdsa.PublicKey), slhdsa.NewMessage(message), signature, []byte(context)) {
		return ErrSignature
	}
	return nil
}
