package algorithm

import (
	"crypto"
	"crypto/md5"
	"crypto/sha1"
	"crypto/sha256"
	"crypto/sha3"
	"crypto/sha512"
	"fmt"
	"hash"

	//lint:ignore SA1019 verify only: signatures of the 2000s in trusted lists are RIPEMD160.
	"golang.org/x/crypto/ripemd160"
)

// Hash is a digest algorithm of the registry. The zero value is no hash.
type Hash uint8

// The digest algorithms that can be computed. Whether one may be relied on at a given time is
// answered by Acceptable alone.
const (
	NoHash Hash = iota
	MD5
	SHA1
	RIPEMD160
	SHA224
	SHA256
	SHA384
	SHA512
	SHA512_224
	SHA512_256
	SHA3_224
	SHA3_256
	SHA3_384
	SHA3_512
	SHAKE128 // 32 octets of output, RFC 8692
	SHAKE256 // 64 octets of output, RFC 8692
	hashCount
)

// hashFacts is one line of the digest table.
type hashFacts struct {
	name   string // as reports write it
	suffix string // as it stands in a scheme's name
	size   int
	new    func() hash.Hash
	std    crypto.Hash // 0 where the standard library has no name for it
	oid    string
	uris   []string
}

// hashes is indexed by Hash. URIs: XMLDSig 1.1, XML Encryption, RFC 9231 2.1.
var hashes = [hashCount]hashFacts{
	MD5: {"MD5", "MD5", 16, md5.New, crypto.MD5, "1.2.840.113549.2.5",
		[]string{"http://www.w3.org/2001/04/xmldsig-more#md5"}},
	SHA1: {"SHA-1", "SHA1", 20, sha1.New, crypto.SHA1, "1.3.14.3.2.26",
		[]string{"http://www.w3.org/2000/09/xmldsig#sha1"}},
	RIPEMD160: {"RIPEMD160", "RIPEMD160", 20, ripemd160.New, crypto.RIPEMD160, "1.3.36.3.2.1",
		[]string{"http://www.w3.org/2001/04/xmlenc#ripemd160"}},
	SHA224: {"SHA-224", "SHA224", 28, sha256.New224, crypto.SHA224, "2.16.840.1.101.3.4.2.4",
		[]string{"http://www.w3.org/2001/04/xmldsig-more#sha224"}},
	SHA256: {"SHA-256", "SHA256", 32, sha256.New, crypto.SHA256, "2.16.840.1.101.3.4.2.1",
		[]string{"http://www.w3.org/2001/04/xmlenc#sha256"}},
	SHA384: {"SHA-384", "SHA384", 48, sha512.New384, crypto.SHA384, "2.16.840.1.101.3.4.2.2",
		[]string{"http://www.w3.org/2001/04/xmldsig-more#sha384", "http://www.w3.org/2001/04/xmlenc#sha384"}},
	SHA512: {"SHA-512", "SHA512", 64, sha512.New, crypto.SHA512, "2.16.840.1.101.3.4.2.3",
		[]string{"http://www.w3.org/2001/04/xmlenc#sha512"}},
	SHA512_224: {"SHA-512/224", "SHA512-224", 28, sha512.New512_224, crypto.SHA512_224, "2.16.840.1.101.3.4.2.5", nil},
	SHA512_256: {"SHA-512/256", "SHA512-256", 32, sha512.New512_256, crypto.SHA512_256, "2.16.840.1.101.3.4.2.6", nil},
	SHA3_224: {"SHA3-224", "SHA3-224", 28, func() hash.Hash { return sha3.New224() }, crypto.SHA3_224, "2.16.840.1.101.3.4.2.7",
		[]string{"http://www.w3.org/2007/05/xmldsig-more#sha3-224"}},
	SHA3_256: {"SHA3-256", "SHA3-256", 32, func() hash.Hash { return sha3.New256() }, crypto.SHA3_256, "2.16.840.1.101.3.4.2.8",
		[]string{"http://www.w3.org/2007/05/xmldsig-more#sha3-256"}},
	SHA3_384: {"SHA3-384", "SHA3-384", 48, func() hash.Hash { return sha3.New384() }, crypto.SHA3_384, "2.16.840.1.101.3.4.2.9",
		[]string{"http://www.w3.org/2007/05/xmldsig-more#sha3-384"}},
	SHA3_512: {"SHA3-512", "SHA3-512", 64, func() hash.Hash { return sha3.New512() }, crypto.SHA3_512, "2.16.840.1.101.3.4.2.10",
		[]string{"http://www.w3.org/2007/05/xmldsig-more#sha3-512"}},
	SHAKE128: {"SHAKE128", "SHAKE128", 32, func() hash.Hash { return newShake(sha3.NewSHAKE128(), 32, 168) }, 0, "2.16.840.1.101.3.4.2.11", nil},
	SHAKE256: {"SHAKE256", "SHAKE256", 64, func() hash.Hash { return newShake(sha3.NewSHAKE256(), 64, 136) }, 0, "2.16.840.1.101.3.4.2.12", nil},
}

var (
	hashesByOID = indexHashesByOID()
	hashesByURI = indexHashesByURI()
)

func indexHashesByOID() map[string]Hash {
	index := make(map[string]Hash, len(hashes))
	for h := MD5; h < hashCount; h++ {
		index[string(encodeOID(hashes[h].oid))] = h
	}
	return index
}

func indexHashesByURI() map[string]Hash {
	index := make(map[string]Hash, len(hashes))
	for h := MD5; h < hashCount; h++ {
		for _, uri := range hashes[h].uris {
			index[uri] = h
		}
	}
	return index
}

// HashByOID finds the digest algorithm of an object identifier in dotted form ("2.16.840.1.101.3.4.2.1").
func HashByOID(oid string) (Hash, error) {
	if h, ok := hashesByOID[string(encodeOID(oid))]; ok {
		return h, nil
	}
	return NoHash, fmt.Errorf("%w: digest algorithm %s", ErrUnsupported, oid)
}

// HashByURI finds the digest algorithm of an XMLDSig DigestMethod.
func HashByURI(uri string) (Hash, error) {
	if h, ok := hashesByURI[uri]; ok {
		return h, nil
	}
	return NoHash, fmt.Errorf("%w: digest algorithm %q", ErrUnsupported, uri)
}

// HashByIdentifier finds the digest algorithm of a DER AlgorithmIdentifier (CMS digestAlgorithm,
// OCSP CertID, PSS parameters). Parameters may be NULL or absent (RFC 5754 2).
func HashByIdentifier(der []byte) (Hash, error) {
	oid, params, err := readAlgorithmIdentifier(der)
	if err != nil {
		return NoHash, fmt.Errorf("digest algorithm: %w", err)
	}
	h, ok := hashesByOID[string(oid)]
	if !ok {
		return NoHash, fmt.Errorf("%w: digest algorithm %s", ErrUnsupported, dottedOID(oid))
	}
	if len(params) > 0 && !isNull(params) {
		return NoHash, fmt.Errorf("%w: digest algorithm %s with parameters", ErrMalformed, h)
	}
	return h, nil
}

// HashOfStd finds the registry's name of a hash of the standard library.
func HashOfStd(std crypto.Hash) (Hash, error) {
	for h := MD5; h < hashCount; h++ {
		if std != 0 && hashes[h].std == std {
			return h, nil
		}
	}
	return NoHash, fmt.Errorf("%w: digest algorithm %v", ErrUnsupported, std)
}

// Valid reports whether h is an algorithm of the registry.
func (h Hash) Valid() bool { return h > NoHash && h < hashCount }

// Name is the name that reports and Acceptable use: "SHA-256", "SHA3-256", "SHA-1".
func (h Hash) Name() string {
	if !h.Valid() {
		return "none"
	}
	return hashes[h].name
}

// String is Name.
func (h Hash) String() string { return h.Name() }

// Size is the length of the digest in octets.
func (h Hash) Size() int {
	if !h.Valid() {
		return 0
	}
	return hashes[h].size
}

// OID is the object identifier in dotted form.
func (h Hash) OID() string {
	if !h.Valid() {
		return ""
	}
	return hashes[h].oid
}

// Std is the standard library's name of h, or 0 where it has none.
func (h Hash) Std() crypto.Hash {
	if !h.Valid() {
		return 0
	}
	return hashes[h].std
}

// New starts a digest. It panics for NoHash, which the finders of this package return with errors only.
func (h Hash) New() hash.Hash {
	if !h.Valid() {
		panic("algorithm: New of no hash")
	}
	return hashes[h].new()
}

// Sum is the digest of the parts, one after the other.
func (h Hash) Sum(parts ...[]byte) []byte {
	if h == SHA256 && len(parts) == 1 {
		sum := sha256.Sum256(parts[0])
		return sum[:]
	}
	d := h.New()
	for _, part := range parts {
		d.Write(part)
	}
	return d.Sum(nil)
}

// shake makes a SHAKE function of fixed output length look like a hash.
type shake struct {
	xof   *sha3.SHAKE
	size  int
	block int
}

func newShake(xof *sha3.SHAKE, size, block int) hash.Hash { return &shake{xof, size, block} }

func (s *shake) Write(p []byte) (int, error) { return s.xof.Write(p) }
func (s *shake) Reset()                      { s.xof.Reset() }
func (s *shake) Size() int                   { return s.size }
func (s *shake) BlockSize() int              { return s.block }

// Sum reads from a copy, so that writing may go on.
func (s *shake) Sum(b []byte) []byte {
	copied := *s.xof
	out := make([]byte, s.size)
	copied.Read(out)
	return append(b, out...)
}
