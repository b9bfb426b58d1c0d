package seal

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/rsa"
	"fmt"
)

func pssOptions(h crypto.Hash) crypto.SignerOpts {
	return &rsa.PSSOptions{SaltLength: rsa.PSSSaltLengthEqualsHash, Hash: h}
}

// digestURIs are the digest algorithms of XML Signature 1.1, 6.2.
var digestURIs = map[crypto.Hash]string{
	crypto.SHA256: "http://www.w3.org/2001/04/xmlenc#sha256",
	crypto.SHA384: "http://www.w3.org/2001/04/xmldsig-more#sha384",
	crypto.SHA512: "http://www.w3.org/2001/04/xmlenc#sha512",
}

func digestMethod(h crypto.Hash) string {
	return `<ds:DigestMethod Algorithm="` + digestURIs[h] + `"></ds:DigestMethod>`
}

// signatureMethod is the algorithm's identifier (XML Signature 1.1, 6.4; RFC 9231, 2.3.10 for PSS).
func signatureMethod(public crypto.PublicKey, how method) (string, error) {
	size := map[crypto.Hash]string{crypto.SHA256: "256", crypto.SHA384: "384", crypto.SHA512: "512"}[how.hash]
	switch public.(type) {
	case *rsa.PublicKey:
		if how.pss {
			return "http://www.w3.org/2007/05/xmldsig-more#sha" + size + "-rsa-MGF1", nil
		}
		return "http://www.w3.org/2001/04/xmldsig-more#rsa-sha" + size, nil
	case *ecdsa.PublicKey:
		return "http://www.w3.org/2001/04/xmldsig-more#ecdsa-sha" + size, nil
	}
	return "", fmt.Errorf("no XML signature algorithm for a %T", public)
}
