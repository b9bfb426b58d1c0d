package csc

import (
	"bytes"
	"crypto"
	"crypto/x509/pkix"
	"encoding/asn1"
	"encoding/base64"
	"slices"

	"trustcore/hsm/mechanism"
)

// Object identifiers of schemes that leave the hash to another field.
const (
	oidRSA   = "1.2.840.113549.1.1.1"
	oidPSS   = "1.2.840.113549.1.1.10"
	oidECKey = "1.2.840.10045.2.1"
	oidMGF1  = "1.2.840.113549.1.1.8"
)

// hashNames are the hashes, by their object identifiers.
var hashNames = map[string]crypto.Hash{
	"2.16.840.1.101.3.4.2.1": crypto.SHA256, "2.16.840.1.101.3.4.2.2": crypto.SHA384, "2.16.840.1.101.3.4.2.3": crypto.SHA512,
}

// algorithms are the mechanisms, by scheme and by the one identifier that says scheme and hash where there is one.
var algorithms = []struct {
	scheme, combined string
	mechanism        mechanism.Mechanism
}{
	{oidRSA, "1.2.840.113549.1.1.11", mechanism.RSAPKCS1SHA256},
	{oidRSA, "1.2.840.113549.1.1.12", mechanism.RSAPKCS1SHA384},
	{oidRSA, "1.2.840.113549.1.1.13", mechanism.RSAPKCS1SHA512},
	{oidPSS, oidPSS, mechanism.RSAPSSSHA256},
	{oidPSS, oidPSS, mechanism.RSAPSSSHA384},
	{oidPSS, oidPSS, mechanism.RSAPSSSHA512},
	{oidECKey, "1.2.840.10045.4.3.2", mechanism.ECDSASHA256},
	{oidECKey, "1.2.840.10045.4.3.3", mechanism.ECDSASHA384},
	{oidECKey, "1.2.840.10045.4.3.4", mechanism.ECDSASHA512},
}

// hashOf is the hash whose digests are so long; 0 for none.
func hashOf(size int) crypto.Hash {
	for _, h := range hashNames {
		if h.Size() == size {
			return h
		}
	}
	return 0
}

// identifiers are what the API calls these mechanisms.
func identifiers(mechanisms []mechanism.Mechanism) []string {
	all := []string{}
	for _, a := range algorithms {
		if slices.Contains(mechanisms, a.mechanism) && !slices.Contains(all, a.combined) {
			all = append(all, a.combined)
		}
	}
	return all
}

// hashNamed is the hash that the request names; 0 where it names none.
func (b body) hashNamed() (crypto.Hash, error) {
	name, err := b.text("hashAlgo", "hashAlgorithmOID")
	if err != nil || name == "" {
		return 0, err
	}
	if hashNames[name] == 0 {
		return 0, invalid("Invalid parameter hashAlgo: hashes of SHA-256, SHA-384 and SHA-512 are signed")
	}
	return hashNames[name], nil
}

// mechanism is how the request wants its hashes signed.
func (b body) mechanism() (mechanism.Mechanism, error) {
	name, err := b.need("signAlgo")
	if err != nil {
		return "", err
	}
	hash, err := b.hashNamed()
	if err != nil {
		return "", err
	}
	if name == oidPSS {
		if hash, err = b.pss(hash); err != nil {
			return "", err
		}
	}
	known := false
	for _, a := range algorithms {
		if name != a.scheme && name != a.combined {
			continue
		}
		known = true
		if hash == a.mechanism.Hash() || hash == 0 && name == a.combined {
			return a.mechanism, nil
		}
	}
	if known {
		return "", invalid("Invalid parameter hashAlgo: name the hash that signAlgo means")
	}
	return "", invalid("Invalid parameter signAlgo: credentials/info lists those of the credential in key.algo")
}

// pssParameters is RSASSA-PSS-params (RFC 8017, A.2.3). What is absent would stand for SHA-1, so nothing may be.
type pssParameters struct {
	Hash    pkix.AlgorithmIdentifier `asn1:"explicit,tag:0"`
	MGF     pkix.AlgorithmIdentifier `asn1:"explicit,tag:1"`
	Salt    int                      `asn1:"explicit,tag:2"`
	Trailer int                      `asn1:"optional,explicit,tag:3,default:1"`
}

// pss reads the parameters of RSASSA-PSS. The salt is as long as the hash (ETSI TS 119 312 has no other): a client that
// asks for another length would write what it asked for into its document, and have a signature that does not verify.
func (b body) pss(named crypto.Hash) (crypto.Hash, error) {
	text, err := b.need("signAlgoParams")
	if err != nil {
		return 0, err
	}
	wrong := invalid("Invalid parameter signAlgoParams: send RSASSA-PSS-params (RFC 8017, A.2.3) in DER and base64, with hash, " +
		"mask generation function of the same hash, and salt length")
	der, err := base64.StdEncoding.Strict().DecodeString(text)
	if err != nil {
		return 0, wrong
	}
	var p pssParameters
	rest, err := asn1.Unmarshal(der, &p)
	if err != nil || len(rest) > 0 || p.Trailer != 1 {
		return 0, wrong
	}
	var masked pkix.AlgorithmIdentifier
	rest, err = asn1.Unmarshal(p.MGF.Parameters.FullBytes, &masked)
	hash := hashNames[p.Hash.Algorithm.String()]
	switch {
	case err != nil || len(rest) > 0, p.MGF.Algorithm.String() != oidMGF1, !plain(p.Hash), !plain(masked):
		return 0, wrong
	case hash == 0 || !masked.Algorithm.Equal(p.Hash.Algorithm) || named != 0 && named != hash:
		return 0, wrong
	case p.Salt != hash.Size():
		return 0, invalid("Invalid parameter signAlgoParams: RSASSA-PSS is made with a salt of %d octets, as long as the hash, not of %d: "+
			"ask for that, or for PKCS #1 v1.5", hash.Size(), p.Salt)
	}
	return hash, nil
}

// plain reports whether an identifier of a hash has no parameters but NULL.
func plain(a pkix.AlgorithmIdentifier) bool {
	return len(a.Parameters.FullBytes) == 0 || bytes.Equal(a.Parameters.FullBytes, asn1.NullBytes)
}
