package seal

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/x509"
	"encoding/asn1"
	"errors"
	"fmt"
	"math/big"

	"trustcore/hsm/mechanism"
	"trustcore/internal/cms"
)

// errBroken tells that a seal to be extended is none. A time-stamp over it would make a forgery look as old as the
// seal.
var errBroken = errors.New("the signature value does not verify: a broken seal is not extended")

// intact verifies the value of a signature that is to be extended. Named tells of a way to sign whether it is the
// signature's own. Raw is a value of ECDSA as XML and JSON have it. Algorithms that seals are not made with are
// refused: nobody here can say that they hold.
func intact(certificate []byte, named func(crypto.PublicKey, method) bool, message, value []byte, raw bool) error {
	c, err := x509.ParseCertificate(certificate)
	if err != nil {
		return fmt.Errorf("the signer's certificate: %w", err)
	}
	for _, m := range mechanism.For(c.PublicKey) {
		how := method{hash: m.Hash(), pss: isPSS(m)}
		if !named(c.PublicKey, how) {
			continue
		}
		if _, ok := c.PublicKey.(*ecdsa.PublicKey); ok && raw {
			if value, err = pairOf(value); err != nil {
				return err
			}
		}
		if !m.Verify(c.PublicKey, digestOf(how.hash, message), value) {
			return errBroken
		}
		return nil
	}
	return fmt.Errorf("the signature's algorithm is none that seals are made with, for a %T", c.PublicKey)
}

// pairOf brings r || s into the form of RFC 3279, 2.2.3.
func pairOf(value []byte) ([]byte, error) {
	if len(value) == 0 || len(value)%2 > 0 {
		return nil, errBroken
	}
	half := len(value) / 2
	return asn1.Marshal(struct{ R, S *big.Int }{new(big.Int).SetBytes(value[:half]),
		new(big.Int).SetBytes(value[half:])})
}

// oidPSS is RSASSA-PSS (RFC 4055, 3.1).
const oidPSS = "1.2.840.113549.1.1.10"

// intactSigner verifies a signer of a CMS with its certificate.
func intactSigner(si *cms.SignerInfo, certificate []byte) error {
	message, err := si.SignedMessage()
	if err != nil {
		return err
	}
	h, _ := hashOf(si.DigestAlgorithm)
	algorithm := identifierOf(si.SignatureAlgorithm)
	return intact(certificate, func(_ crypto.PublicKey, how method) bool {
		return how.hash == h && how.pss == (algorithm == oidPSS)
	}, message, si.Signature, false)
}
