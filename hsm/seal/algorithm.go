package seal

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/rsa"
	"crypto/x509/pkix"
	"encoding/asn1"
	"fmt"

	"trustcore/hsm/mechanism"
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

// hashOIDs are the digest algorithms of CMS that seals are made with (RFC 5754, 2).
var hashOIDs = map[string]crypto.Hash{
	"2.16.840.1.101.3.4.2.1": crypto.SHA256,
	"2.16.840.1.101.3.4.2.2": crypto.SHA384,
	"2.16.840.1.101.3.4.2.3": crypto.SHA512,
}

// hashOf reads the AlgorithmIdentifier of a digest.
func hashOf(identifier []byte) (crypto.Hash, bool) {
	h, ok := hashOIDs[identifierOf(identifier)]
	return h, ok
}

// identifierOf is the algorithm of an AlgorithmIdentifier, "" for what is none.
func identifierOf(identifier []byte) string {
	var a pkix.AlgorithmIdentifier
	if _, err := asn1.Unmarshal(identifier, &a); err != nil {
		return ""
	}
	return a.Algorithm.String()
}

func isPSS(m mechanism.Mechanism) bool {
	_, ok := m.Options().(*rsa.PSSOptions)
	return ok
}

// joseNames are the signature algorithms of RFC 7518, 3.1.
var joseNames = map[crypto.Hash]string{crypto.SHA256: "256", crypto.SHA384: "384", crypto.SHA512: "512"}

// inJOSE tells whether RFC 7518 has an algorithm for a key with a hash: with ECDSA each curve has its own.
func inJOSE(public crypto.PublicKey, h crypto.Hash) bool {
	p, ok := public.(*ecdsa.PublicKey)
	if !ok {
		return joseNames[h] != ""
	}
	return map[string]crypto.Hash{"P-256": crypto.SHA256, "P-384": crypto.SHA384,
		"P-521": crypto.SHA512}[p.Curve.Params().Name] == h
}

// joseAlgorithm is the value of alg (RFC 7518, 3.1).
func joseAlgorithm(public crypto.PublicKey, how method) string {
	family := "RS"
	if _, ok := public.(*ecdsa.PublicKey); ok {
		family = "ES"
	} else if how.pss {
		family = "PS"
	}
	return family + joseNames[how.hash]
}
