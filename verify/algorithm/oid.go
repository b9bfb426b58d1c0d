package algorithm

// Content octets of the identifiers that are compared one by one.
var (
	oidRSA        = string(encodeOID("1.2.840.113549.1.1.1"))
	oidPSS        = string(encodeOID("1.2.840.113549.1.1.10"))
	oidMGF1       = string(encodeOID("1.2.840.113549.1.1.8"))
	oidDSA        = string(encodeOID("1.2.840.10040.4.1"))
	oidOIWDSA     = string(encodeOID("1.3.14.3.2.12"))
	oidEC         = string(encodeOID("1.2.840.10045.2.1"))
	oidPrimeField = string(encodeOID("1.2.840.10045.1.1"))
	oidEd25519    = string(encodeOID("1.3.101.112"))
	oidEd448      = string(encodeOID("1.3.101.113"))
)

// bareKeyOIDs are key algorithms that stand in SignerInfo.signatureAlgorithm and leave the digest to
// digestAlgorithm (RFC 3370 3.1, 3.2; ecPublicKey is seen in the wild).
var bareKeyOIDs = map[string]family{
	oidRSA: rsaPKCS1,
	oidDSA: dsaFamily,
	oidEC:  ecdsaFamily,
}

// signatureOIDs is the table of certificates, CRLs, OCSP responses and SignerInfos.
var signatureOIDs = []struct {
	oid    string
	scheme Scheme
}{
	// RFC 8017, RFC 4055
	{"1.2.840.113549.1.1.4", Scheme{family: rsaPKCS1, hash: MD5}},
	{"1.2.840.113549.1.1.5", Scheme{family: rsaPKCS1, hash: SHA1}},
	{"1.2.840.113549.1.1.14", Scheme{family: rsaPKCS1, hash: SHA224}},
	{"1.2.840.113549.1.1.11", Scheme{family: rsaPKCS1, hash: SHA256}},
	{"1.2.840.113549.1.1.12", Scheme{family: rsaPKCS1, hash: SHA384}},
	{"1.2.840.113549.1.1.13", Scheme{family: rsaPKCS1, hash: SHA512}},
	{"1.2.840.113549.1.1.15", Scheme{family: rsaPKCS1, hash: SHA512_224}},
	{"1.2.840.113549.1.1.16", Scheme{family: rsaPKCS1, hash: SHA512_256}},
	{"1.3.14.3.2.3", Scheme{family: rsaPKCS1, hash: MD5}},         // OIW md5WithRSA
	{"1.3.14.3.2.29", Scheme{family: rsaPKCS1, hash: SHA1}},       // OIW sha1WithRSASignature
	{"1.3.36.3.3.1.2", Scheme{family: rsaPKCS1, hash: RIPEMD160}}, // TeleTrusT
	{"1.3.36.3.3.1.1", Scheme{family: rsaPKCS1, hash: SHA1}},
	// NIST CSOR sigAlgs
	{"2.16.840.1.101.3.4.3.13", Scheme{family: rsaPKCS1, hash: SHA3_224}},
	{"2.16.840.1.101.3.4.3.14", Scheme{family: rsaPKCS1, hash: SHA3_256}},
	{"2.16.840.1.101.3.4.3.15", Scheme{family: rsaPKCS1, hash: SHA3_384}},
	{"2.16.840.1.101.3.4.3.16", Scheme{family: rsaPKCS1, hash: SHA3_512}},
	{"2.16.840.1.101.3.4.3.1", Scheme{family: dsaFamily, hash: SHA224}},
	{"2.16.840.1.101.3.4.3.2", Scheme{family: dsaFamily, hash: SHA256}},
	{"2.16.840.1.101.3.4.3.3", Scheme{family: dsaFamily, hash: SHA384}},
	{"2.16.840.1.101.3.4.3.4", Scheme{family: dsaFamily, hash: SHA512}},
	{"2.16.840.1.101.3.4.3.5", Scheme{family: dsaFamily, hash: SHA3_224}},
	{"2.16.840.1.101.3.4.3.6", Scheme{family: dsaFamily, hash: SHA3_256}},
	{"2.16.840.1.101.3.4.3.7", Scheme{family: dsaFamily, hash: SHA3_384}},
	{"2.16.840.1.101.3.4.3.8", Scheme{family: dsaFamily, hash: SHA3_512}},
	{"2.16.840.1.101.3.4.3.9", Scheme{family: ecdsaFamily, hash: SHA3_224}},
	{"2.16.840.1.101.3.4.3.10", Scheme{family: ecdsaFamily, hash: SHA3_256}},
	{"2.16.840.1.101.3.4.3.11", Scheme{family: ecdsaFamily, hash: SHA3_384}},
	{"2.16.840.1.101.3.4.3.12", Scheme{family: ecdsaFamily, hash: SHA3_512}},
	// DSA: RFC 3279, OIW
	{"1.2.840.10040.4.3", Scheme{family: dsaFamily, hash: SHA1}},
	{"1.3.14.3.2.27", Scheme{family: dsaFamily, hash: SHA1}},
	// ECDSA: RFC 3279, RFC 5758, TeleTrusT
	{"1.2.840.10045.4.1", Scheme{family: ecdsaFamily, hash: SHA1}},
	{"1.2.840.10045.4.3.1", Scheme{family: ecdsaFamily, hash: SHA224}},
	{"1.2.840.10045.4.3.2", Scheme{family: ecdsaFamily, hash: SHA256}},
	{"1.2.840.10045.4.3.3", Scheme{family: ecdsaFamily, hash: SHA384}},
	{"1.2.840.10045.4.3.4", Scheme{family: ecdsaFamily, hash: SHA512}},
	{"1.3.36.3.3.2.1", Scheme{family: ecdsaFamily, hash: SHA1}},
	{"1.3.36.3.3.2.2", Scheme{family: ecdsaFamily, hash: RIPEMD160}},
	// plain ECDSA, r||s: BSI TR-03111 5.2.1.1
	{"0.4.0.127.0.7.1.1.4.1.1", Scheme{family: ecdsaFamily, hash: SHA1, raw: true}},
	{"0.4.0.127.0.7.1.1.4.1.2", Scheme{family: ecdsaFamily, hash: SHA224, raw: true}},
	{"0.4.0.127.0.7.1.1.4.1.3", Scheme{family: ecdsaFamily, hash: SHA256, raw: true}},
	{"0.4.0.127.0.7.1.1.4.1.4", Scheme{family: ecdsaFamily, hash: SHA384, raw: true}},
	{"0.4.0.127.0.7.1.1.4.1.5", Scheme{family: ecdsaFamily, hash: SHA512, raw: true}},
	{"0.4.0.127.0.7.1.1.4.1.6", Scheme{family: ecdsaFamily, hash: RIPEMD160, raw: true}},
	{"0.4.0.127.0.7.1.1.4.1.8", Scheme{family: ecdsaFamily, hash: SHA3_224, raw: true}},
	{"0.4.0.127.0.7.1.1.4.1.9", Scheme{family: ecdsaFamily, hash: SHA3_256, raw: true}},
	{"0.4.0.127.0.7.1.1.4.1.10", Scheme{family: ecdsaFamily, hash: SHA3_384, raw: true}},
	{"0.4.0.127.0.7.1.1.4.1.11", Scheme{family: ecdsaFamily, hash: SHA3_512, raw: true}},
	// RFC 8692: SHAKE
	{"1.3.6.1.5.5.7.6.30", Scheme{family: rsaPSS, hash: SHAKE128, mgf: SHAKE128, salt: 32}},
	{"1.3.6.1.5.5.7.6.31", Scheme{family: rsaPSS, hash: SHAKE256, mgf: SHAKE256, salt: 64}},
	{"1.3.6.1.5.5.7.6.32", Scheme{family: ecdsaFamily, hash: SHAKE128}},
	{"1.3.6.1.5.5.7.6.33", Scheme{family: ecdsaFamily, hash: SHAKE256}},
	// RFC 8410
	{"1.3.101.112", Scheme{family: ed25519Family}},
	{"1.3.101.113", Scheme{family: ed448Family}},
}

var schemesByOID = indexSchemes()

func indexSchemes() map[string]Scheme {
	index := make(map[string]Scheme, len(signatureOIDs)+len(mldsaSets)+len(slhdsaSets))
	for _, line := range signatureOIDs {
		index[string(encodeOID(line.oid))] = line.scheme
	}
	for i, set := range mldsaSets {
		index[string(encodeOID(set.oid))] = Scheme{family: mldsaFamily, set: uint8(i)}
	}
	for i, set := range slhdsaSets {
		index[string(encodeOID(set.oid))] = Scheme{family: slhdsaFamily, set: uint8(i)}
	}
	return index
}
