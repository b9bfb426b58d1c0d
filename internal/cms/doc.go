// Package cms reads and writes the Cryptographic Message Syntax (RFC 5652) as far as signatures
// need it: SignedData and SignerInfo with the attributes of CAdES (ETSI EN 319 122-1), and the
// time-stamps of RFC 3161.
//
// The reader takes BER with definite and indefinite lengths, copies nothing and interprets as little
// as it can: certificates, CRLs, OCSP responses and algorithm identifiers stay encoded. All slices
// that it hands out point into the input, which must not change while they are used. It decides no
// validity; it says what is there.
//
// The writer makes DER (sign.go, tsa.go): a SignedData from a crypto.Signer, unsigned attributes
// added to a finished one, and the messages of a time-stamping authority.
package cms
