package algorithm

import "fmt"

// URI prefixes of XMLDSig and its registries (RFC 9231 4).
const (
	dsig2000   = "http://www.w3.org/2000/09/xmldsig#"
	dsigMore01 = "http://www.w3.org/2001/04/xmldsig-more#"
	dsigMore07 = "http://www.w3.org/2007/05/xmldsig-more#"
	dsig11     = "http://www.w3.org/2009/xmldsig11#"
	dsigMore21 = "http://www.w3.org/2021/04/xmldsig-more#"
	xmlsecPQC  = "http://www.aleksey.com/xmlsec/2025/12/xmldsig-more#" // until the W3C has names
	pssURI     = dsigMore07 + "rsa-pss"
)

// xmlSchemes is the table of SignatureMethod URIs. DSA and ECDSA values are r||s (XMLDSig 1.1 6.4).
// The names "...-rsa-MGF1" mean MGF1 with the same hash and a salt as long as the hash (RFC 9231 2.3.10).
var xmlSchemes = map[string]Scheme{
	dsig2000 + "rsa-sha1":             {family: rsaPKCS1, hash: SHA1},
	dsigMore01 + "rsa-md5":            {family: rsaPKCS1, hash: MD5},
	dsigMore01 + "rsa-sha224":         {family: rsaPKCS1, hash: SHA224},
	dsigMore01 + "rsa-sha256":         {family: rsaPKCS1, hash: SHA256},
	dsigMore01 + "rsa-sha384":         {family: rsaPKCS1, hash: SHA384},
	dsigMore01 + "rsa-sha512":         {family: rsaPKCS1, hash: SHA512},
	dsigMore01 + "rsa-ripemd160":      {family: rsaPKCS1, hash: RIPEMD160},
	dsig2000 + "dsa-sha1":             {family: dsaFamily, hash: SHA1, raw: true},
	dsig11 + "dsa-sha256":             {family: dsaFamily, hash: SHA256, raw: true},
	dsigMore01 + "ecdsa-sha1":         {family: ecdsaFamily, hash: SHA1, raw: true},
	dsigMore01 + "ecdsa-sha224":       {family: ecdsaFamily, hash: SHA224, raw: true},
	dsigMore01 + "ecdsa-sha256":       {family: ecdsaFamily, hash: SHA256, raw: true},
	dsigMore01 + "ecdsa-sha384":       {family: ecdsaFamily, hash: SHA384, raw: true},
	dsigMore01 + "ecdsa-sha512":       {family: ecdsaFamily, hash: SHA512, raw: true},
	dsigMore07 + "ecdsa-ripemd160":    {family: ecdsaFamily, hash: RIPEMD160, raw: true},
	dsigMore21 + "ecdsa-sha3-224":     {family: ecdsaFamily, hash: SHA3_224, raw: true},
	dsigMore21 + "ecdsa-sha3-256":     {family: ecdsaFamily, hash: SHA3_256, raw: true},
	dsigMore21 + "ecdsa-sha3-384":     {family: ecdsaFamily, hash: SHA3_384, raw: true},
	dsigMore21 + "ecdsa-sha3-512":     {family: ecdsaFamily, hash: SHA3_512, raw: true},
	dsigMore07 + "md5-rsa-MGF1":       mgf1(MD5),
	dsigMore07 + "sha1-rsa-MGF1":      mgf1(SHA1),
	dsigMore07 + "sha224-rsa-MGF1":    mgf1(SHA224),
	dsigMore07 + "sha256-rsa-MGF1":    mgf1(SHA256),
	dsigMore07 + "sha384-rsa-MGF1":    mgf1(SHA384),
	dsigMore07 + "sha512-rsa-MGF1":    mgf1(SHA512),
	dsigMore07 + "ripemd160-rsa-MGF1": mgf1(RIPEMD160),
	dsigMore07 + "sha3-224-rsa-MGF1":  mgf1(SHA3_224),
	dsigMore07 + "sha3-256-rsa-MGF1":  mgf1(SHA3_256),
	dsigMore07 + "sha3-384-rsa-MGF1":  mgf1(SHA3_384),
	dsigMore07 + "sha3-512-rsa-MGF1":  mgf1(SHA3_512),
	dsigMore21 + "eddsa-ed25519":      {family: ed25519Family},
	dsigMore21 + "eddsa-ed25519ctx":   {family: ed25519Family, named: true},
	dsigMore21 + "eddsa-ed25519ph":    {family: ed25519Family, preset: true},
	dsigMore21 + "eddsa-ed448":        {family: ed448Family},
	dsigMore21 + "eddsa-ed448ph":      {family: ed448Family, preset: true},
}

var xmlPostQuantum = indexXMLPostQuantum()

func mgf1(h Hash) Scheme { return Scheme{family: rsaPSS, hash: h, mgf: h, salt: hashes[h].size} }

func indexXMLPostQuantum() map[string]Scheme {
	index := make(map[string]Scheme)
	for i, set := range mldsaSets {
		index[xmlsecPQC+set.uri] = Scheme{family: mldsaFamily, set: uint8(i)}
	}
	for i, set := range slhdsaSets {
		index[xmlsecPQC+set.uri] = Scheme{family: slhdsaFamily, set: uint8(i)}
	}
	return index
}

// FromXML reads an XMLDSig SignatureMethod. pss are the pss:RSAPSSParams of the method, nil where
// absent; then the defaults of RFC 9231 2.3.9 hold: SHA-256, MGF1 with SHA-256, 32 octets of salt.
// HMAC is no signature of a public key and is not here.
func FromXML(uri string, pss *PSSParameters) (Scheme, error) {
	if uri == pssURI {
		if pss == nil {
			return mgf1(SHA256), nil
		}
		if !pss.Hash.Valid() || !pss.MGFHash.Valid() || pss.Salt < 0 || pss.Salt > maxRSABits/8 {
			return Scheme{}, errMalformed("RSAPSSParams")
		}
		return pss.scheme(), nil
	}
	if s, ok := xmlSchemes[uri]; ok {
		return s, nil
	}
	if s, ok := xmlPostQuantum[uri]; ok {
		return s, nil
	}
	return Scheme{}, fmt.Errorf("%w: signature method %q", ErrUnsupported, uri)
}

// DEREncoded is s with its ECDSA or DSA value as a DER SEQUENCE in place of r||s, or the other way
// round: for the writers who confuse XML with CMS.
func (s Scheme) DEREncoded(der bool) Scheme {
	s.raw = !der && (s.family == ecdsaFamily || s.family == dsaFamily)
	return s
}
