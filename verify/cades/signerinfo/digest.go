package signerinfo

import (
	"bytes"

	"trustcore/verify/algorithm"
)

// shake256Of512 is the AlgorithmIdentifier that goes with Ed448 (RFC 8419, 2.3): id-shake256-len with an output of 512
// bits, which is the registry's SHAKE256.
var shake256Of512 = []byte("\x30\x0f\x06\x09\x60\x86\x48\x01\x65\x03\x04\x02\x12\x02\x02\x02\x00")

// HashOf is the algorithm of a digestAlgorithm as encoded. Errors are those of algorithm.HashByIdentifier.
func HashOf(identifier []byte) (algorithm.Hash, error) {
	if bytes.Equal(identifier, shake256Of512) {
		return algorithm.SHAKE256, nil
	}
	return algorithm.HashByIdentifier(identifier)
}

// strength is the size in octets of the shortest digest that goes with a parameter set (RFC 9882, 3.3).
var strength = map[string]int{"ML-DSA-44": 32, "ML-DSA-65": 48, "ML-DSA-87": 64}

// pairing notes where digestAlgorithm is not the one that goes with the signature algorithm. That changes no verdict:
// each algorithm is judged by itself.
func (c *checker) pairing() {
	name := c.scheme.Name()
	switch {
	case c.digestErr != nil:
	case c.otherHash():
		c.note("the content is digested with %s, the signed attributes with %s: RFC 8933, 3 asks for one algorithm",
			c.digest.Name(), c.scheme.Hash().Name())
	case name == "Ed25519" && c.digest != algorithm.SHA512:
		c.note("the content is digested with %s: Ed25519 goes with SHA-512 (RFC 8419, 3.1)", c.digest.Name())
	case name == "Ed448" && c.digest != algorithm.SHAKE256:
		c.note("the content is digested with %s: Ed448 goes with SHAKE256 (RFC 8419, 3.1)", c.digest.Name())
	case c.digest.Size() < strength[name]:
		c.note("the content is digested with %s, which is weaker than %s (RFC 9882, 3.3)", c.digest.Name(), name)
	}
}
