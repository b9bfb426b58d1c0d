package certificate

import (
	"golang.org/x/crypto/cryptobyte"
	"golang.org/x/crypto/cryptobyte/asn1"
)

const (
	keyRSA OID = "\x2a\x86\x48\x86\xf7\x0d\x01\x01\x01"
	keyEC  OID = "\x2a\x86\x48\xce\x3d\x02\x01"
	pkcs1  OID = "\x2a\x86\x48\x86\xf7\x0d\x01\x01" // the arc of RSA algorithms
)

// readKeyFindings notes what is lax in the key's and the signature's AlgorithmIdentifier. Nothing is refused here: what
// can be used is verify/algorithm's to say.
func (c *Certificate) readKeyFindings() {
	spki := cryptobyte.String(c.RawSPKI)
	var body, algorithm, id, key cryptobyte.String
	if !spki.ReadASN1(&body, asn1.SEQUENCE) || !body.ReadASN1(&algorithm, asn1.SEQUENCE) ||
		!algorithm.ReadASN1(&id, asn1.OBJECT_IDENTIFIER) {
		return
	}
	switch string(id) {
	case string(keyRSA):
		if algorithm.Empty() {
			c.find(MissingNull, "", "subject public key")
		}
		var modulus cryptobyte.String
		if body.ReadASN1(&key, asn1.BIT_STRING) && len(key) > 0 {
			key = key[1:]
			if key.ReadASN1(&key, asn1.SEQUENCE) && key.ReadASN1(&modulus, asn1.INTEGER) && len(modulus) > 0 && modulus[0]&0x80 != 0 {
				c.find(NegativeModulus, "", "")
			}
		}
	case string(keyEC):
		if algorithm.PeekASN1Tag(asn1.SEQUENCE) {
			c.find(ExplicitParameters, "", "")
		}
	}
	signature := cryptobyte.String(c.SignatureAlgorithm)
	if !signature.ReadASN1(&algorithm, asn1.SEQUENCE) || !algorithm.ReadASN1(&id, asn1.OBJECT_IDENTIFIER) {
		return
	}
	if len(id) == len(pkcs1)+1 && OID(id[:len(pkcs1)]) == pkcs1 && algorithm.Empty() {
		c.find(MissingNull, "", "signature algorithm")
	}
}
