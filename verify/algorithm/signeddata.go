package algorithm

import (
	"fmt"

	"golang.org/x/crypto/cryptobyte"
	"golang.org/x/crypto/cryptobyte/asn1"
)

// VerifySigned checks one signature from its raw parts as they stand in a certificate: SubjectPublicKeyInfo,
// AlgorithmIdentifier and BIT STRING (all DER), over data. Notes carry the tolerated laxnesses.
//
// Tolerated, because certificates in trusted lists need it: an RSA key whose AlgorithmIdentifier lacks NULL
// (three certificates of the 2019 lists). Everything else that is not DER or not what the RFC says is refused.
func VerifySigned(spki, algorithm, bitString, data []byte) (notes []string, err error) {
	input := cryptobyte.String(bitString)
	var bits cryptobyte.String
	if !input.ReadASN1(&bits, asn1.BIT_STRING) || !input.Empty() || len(bits) == 0 || bits[0] != 0 {
		return nil, fmt.Errorf("%w: signature is no BIT STRING of whole octets", ErrMalformed)
	}
	scheme, err := FromCertificate(algorithm)
	if err != nil {
		return nil, err
	}
	key, err := ParsePublicKey(spki)
	if err != nil {
		return nil, err
	}
	notes, err = scheme.Verify(key, data, bits[1:])
	if err != nil {
		return nil, err
	}
	return append(notes, key.Findings()...), nil
}
