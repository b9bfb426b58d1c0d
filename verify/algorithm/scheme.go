package algorithm

import (
	"bytes"
	"fmt"

	"golang.org/x/crypto/cryptobyte"
	"golang.org/x/crypto/cryptobyte/asn1"
)

// family is the mathematics of a scheme.
type family uint8

const (
	noFamily family = iota
	rsaPKCS1
	rsaPSS
	ecdsaFamily
	dsaFamily
	ed25519Family
	ed448Family
	mldsaFamily
	slhdsaFamily
)

// Scheme is a signature algorithm with all its parameters. The zero value verifies nothing.
// Schemes are comparable values and safe for concurrent use.
type Scheme struct {
	family family
	hash   Hash
	mgf    Hash // PSS only
	salt   int  // PSS only: octets
	raw    bool // ECDSA, DSA: r||s of fixed length in place of a DER SEQUENCE
	preset bool // EdDSA: the pre-hashed variant (RFC 8032 5.1)
	set    uint8
	named  bool // Ed25519: the variant with a context, which must not be empty (RFC 8032 5.1)
	// context separates the uses of a key (RFC 8032 5, FIPS 204 5.2, FIPS 205 9.2); "" is none.
	context string
	note    string // a tolerance that was needed to read the identifier
}

// Name is the registry name: "RSA-PKCS1-SHA256", "RSA-PSS-SHA384", "ECDSA-SHA256", "DSA-SHA1",
// "Ed25519", "Ed448", "ML-DSA-65", "SLH-DSA-SHA2-128s".
func (s Scheme) Name() string {
	switch s.family {
	case rsaPKCS1:
		return "RSA-PKCS1-" + s.hash.suffix()
	case rsaPSS:
		return "RSA-PSS-" + s.hash.suffix()
	case ecdsaFamily:
		return "ECDSA-" + s.hash.suffix()
	case dsaFamily:
		return "DSA-" + s.hash.suffix()
	case ed25519Family:
		if s.named {
			return "Ed25519ctx"
		}
		return preHashName("Ed25519", s.preset)
	case ed448Family:
		return preHashName("Ed448", s.preset)
	case mldsaFamily:
		return mldsaSets[s.set].name
	case slhdsaFamily:
		return slhdsaSets[s.set].name
	}
	return "none"
}

func preHashName(name string, ph bool) string {
	if ph {
		return name + "ph"
	}
	return name
}

func (h Hash) suffix() string {
	if !h.Valid() {
		return "none"
	}
	return hashes[h].suffix
}

// Same reports whether both are one algorithm with the same parameters, the salt and the form of the value among them,
// however leniently either identifier was read.
func (s Scheme) Same(o Scheme) bool {
	s.note, o.note = "", ""
	return s == o
}

// SameIdentifiers reports whether two AlgorithmIdentifiers (DER) name one scheme. A certificate and a revocation list
// have one outside of what is signed, which tells how to verify, and one inside, which the issuer meant (RFC 5280
// 4.1.1.2, 5.1.1.2): parameters that are absent in the one and NULL in the other mean the same (RFC 4055 2.1) and are
// written so.
func SameIdentifiers(outside, inside []byte) bool {
	if bytes.Equal(outside, inside) {
		return true
	}
	a, err := FromCertificate(outside)
	if err != nil {
		return false
	}
	b, err := FromCertificate(inside)
	return err == nil && a.Same(b)
}

// String is Name.
func (s Scheme) String() string { return s.Name() }

// Hash is the digest of the message that the scheme signs, NoHash for EdDSA, ML-DSA and SLH-DSA.
func (s Scheme) Hash() Hash { return s.hash }

// SignsDigest reports whether VerifyDigest can serve.
func (s Scheme) SignsDigest() bool { return s.hash.Valid() }

// Verify checks signature over message. Notes are tolerated oddities for the report; they may be
// given together with a nil error only. Errors: ErrSignature, ErrKeyMismatch, ErrUnsupported,
// ErrNeedsParameters.
func (s Scheme) Verify(key *PublicKey, message, signature []byte) (notes []string, err error) {
	if err := s.fits(key); err != nil {
		return nil, err
	}
	switch s.family {
	case ed25519Family:
		return s.notes(verifyEd25519(key, message, signature, s))
	case ed448Family:
		return s.notes(verifyEd448(key, message, signature, s))
	case mldsaFamily:
		return s.notes(verifyMLDSA(key, message, signature, s.context))
	case slhdsaFamily:
		return s.notes(verifySLHDSA(key, message, signature, s.context))
	}
	return s.verifyDigest(key, s.hash.Sum(message), signature)
}

// VerifyDigest checks signature over a message that the caller hashed with s.Hash. Beside the errors
// of Verify: ErrNeedsMessage.
func (s Scheme) VerifyDigest(key *PublicKey, digest, signature []byte) (notes []string, err error) {
	if s.family != noFamily && !s.SignsDigest() {
		return nil, fmt.Errorf("%w: %s", ErrNeedsMessage, s.Name())
	}
	if err := s.fits(key); err != nil {
		return nil, err
	}
	if len(digest) != s.hash.Size() {
		return nil, fmt.Errorf("%w: digest of %d octets for %s", ErrSignature, len(digest), s.Name())
	}
	return s.verifyDigest(key, digest, signature)
}

func (s Scheme) verifyDigest(key *PublicKey, digest, signature []byte) ([]string, error) {
	switch s.family {
	case rsaPKCS1:
		return s.verifyPKCS1(key, digest, signature)
	case rsaPSS:
		return s.notes(verifyPSS(key, digest, signature, s.hash, s.mgf, s.salt))
	case ecdsaFamily:
		return s.notes(verifyECDSA(key, digest, signature, s.raw))
	case dsaFamily:
		return s.notes(verifyDSA(key, digest, signature, s.raw))
	}
	return nil, fmt.Errorf("%w: no scheme", ErrUnsupported)
}

// notes joins the tolerance of the identifier to the outcome of a verification.
func (s Scheme) notes(err error) ([]string, error) {
	if err != nil || s.note == "" {
		return nil, err
	}
	return []string{s.note}, nil
}

// maxContext is the longest context in octets (RFC 8032 5, FIPS 204 5.2, FIPS 205 9.2).
const maxContext = 255

// WithContext is s for signatures that were made with that context. Errors: ErrUnsupported where s knows none, or none
// so long.
func (s Scheme) WithContext(context []byte) (Scheme, error) {
	switch knows := s.family == ed448Family || s.family == mldsaFamily || s.family == slhdsaFamily || s.preset || s.named; {
	case !knows:
		return Scheme{}, fmt.Errorf("%w: %s with a context", ErrUnsupported, s.Name())
	case len(context) > maxContext:
		return Scheme{}, fmt.Errorf("%w: a context of %d octets", ErrUnsupported, len(context))
	}
	s.context = string(context)
	return s, nil
}

// fits checks that key is of the kind that s needs and that its restrictions allow s.
func (s Scheme) fits(key *PublicKey) error {
	if key == nil {
		return fmt.Errorf("%w: no key", ErrKeyMismatch)
	}
	ok := false
	switch s.family {
	case rsaPKCS1:
		ok = key.kind == KindRSA
	case rsaPSS:
		ok = key.kind == KindRSA || key.kind == KindRSAPSS
	case ecdsaFamily:
		ok = key.kind == KindEC
	case dsaFamily:
		ok = key.kind == KindDSA
	case ed25519Family:
		ok = key.kind == KindEd25519
	case ed448Family:
		ok = key.kind == KindEd448
	case mldsaFamily:
		ok = key.kind == KindMLDSA && key.set == s.set
	case slhdsaFamily:
		ok = key.kind == KindSLHDSA && key.set == s.set
	default:
		return fmt.Errorf("%w: no scheme", ErrUnsupported)
	}
	if s.named && s.context == "" {
		return fmt.Errorf("%w: Ed25519ctx without a context (RFC 8032 5.1)", ErrUnsupported)
	}
	if !ok {
		return fmt.Errorf("%w: %s with a key of %s", ErrKeyMismatch, s.Name(), key.Name())
	}
	if r := key.pss; r != nil && (r.Hash != s.hash || r.MGFHash != s.mgf || r.Salt > s.salt) {
		return fmt.Errorf("%w: the key's own parameters allow RSA-PSS with %s, MGF1 with %s and at least %d octets of salt (RFC 4055 3.3)",
			ErrKeyMismatch, r.Hash, r.MGFHash, r.Salt)
	}
	if key.kind == KindDSA && key.dsa.p == nil {
		return ErrNeedsParameters
	}
	return nil
}

// FromCertificate reads the AlgorithmIdentifier (DER) of a certificate, CRL or OCSP response.
func FromCertificate(algID []byte) (Scheme, error) {
	oid, params, err := readAlgorithmIdentifier(algID)
	if err != nil {
		return Scheme{}, err
	}
	if string(oid) == oidPSS {
		return pssScheme(params)
	}
	s, ok := schemesByOID[string(oid)]
	if !ok {
		return Scheme{}, fmt.Errorf("%w: signature algorithm %s", ErrUnsupported, dottedOID(oid))
	}
	return s.withParameters(params)
}

// withParameters checks what stands beside a signature OID. RSA demands NULL (RFC 4055 5), the others
// demand absence (RFC 5758 3, RFC 8410 3); the respective other is common enough to be tolerated with
// a note. DSA signatures may repeat the domain parameters, which are ignored (RFC 3279 2.2.2).
func (s Scheme) withParameters(params []byte) (Scheme, error) {
	switch {
	case len(params) == 0:
		if s.family == rsaPKCS1 {
			s.note = "signature algorithm: parameters absent where NULL is demanded (RFC 4055 5)"
		}
	case isNull(params):
		if s.family == ed25519Family || s.family == ed448Family || s.family == mldsaFamily || s.family == slhdsaFamily {
			return Scheme{}, fmt.Errorf("%w: %s with parameters", ErrMalformed, s.Name())
		}
		if s.family != rsaPKCS1 {
			s.note = "signature algorithm: NULL parameters where none are allowed (RFC 5758 3)"
		}
	case s.family == dsaFamily && params[0] == 0x30:
		s.note = "signature algorithm: DSA parameters repeated (RFC 3279 2.2.2)"
	default:
		return Scheme{}, fmt.Errorf("%w: %s with parameters", ErrMalformed, s.Name())
	}
	return s, nil
}

// FromCMS reads the pair of a SignerInfo (RFC 5652 5.3): signatureAlgorithm and digestAlgorithm, both
// DER AlgorithmIdentifiers. Where the signature algorithm is a bare key OID (rsaEncryption, dsa,
// ecPublicKey) the digest comes from digestAlg; else its own digest wins, with a note on a difference.
func FromCMS(signatureAlg, digestAlg []byte) (Scheme, error) {
	oid, params, err := readAlgorithmIdentifier(signatureAlg)
	if err != nil {
		return Scheme{}, fmt.Errorf("signatureAlgorithm: %w", err)
	}
	digest, digestErr := HashByIdentifier(digestAlg)
	f, bare := bareKeyOIDs[string(oid)]
	if bare {
		if digestErr != nil {
			return Scheme{}, digestErr
		}
		s := Scheme{family: f, hash: digest}
		if f == ecdsaFamily {
			s.note = "SignerInfo: ecPublicKey in place of an ECDSA signature algorithm"
		}
		if f == rsaPKCS1 && len(params) > 0 && !isNull(params) {
			return Scheme{}, fmt.Errorf("%w: rsaEncryption with parameters", ErrMalformed)
		}
		return s, nil
	}
	s, err := FromCertificate(signatureAlg)
	if err != nil {
		return Scheme{}, err
	}
	if s.note == noteNullAbsent(s) {
		s.note = "" // RFC 3370 3.2: absent parameters are allowed in CMS
	}
	if s.hash.Valid() && digestErr == nil && digest != s.hash {
		s.note = fmt.Sprintf("SignerInfo: digestAlgorithm %s differs from that of the signature algorithm %s", digest, s.Name())
	}
	return s, nil
}

func noteNullAbsent(s Scheme) string {
	if s.family != rsaPKCS1 {
		return "-"
	}
	return "signature algorithm: parameters absent where NULL is demanded (RFC 4055 5)"
}

// PSSParameters are RSASSA-PSS-params of RFC 4055 3.1, and pss:RSAPSSParams of RFC 9231 2.3.9.
type PSSParameters struct {
	Hash    Hash
	MGFHash Hash // of MGF1
	Salt    int  // octets
}

// pssScheme reads RSASSA-PSS-params. Absent parameters in a signature mean nothing and are refused.
func pssScheme(params []byte) (Scheme, error) {
	if len(params) == 0 || isNull(params) {
		return Scheme{}, fmt.Errorf("%w: RSASSA-PSS signature without parameters (RFC 4055 3.1)", ErrMalformed)
	}
	p, err := readPSSParameters(params)
	if err != nil {
		return Scheme{}, err
	}
	return p.scheme(), nil
}

// scheme is RSA-PSS with p. Two hashes are weaker than neither of them, since a mask needs no collision resistance; one
// for both is recommended (RFC 8017 A.2.3), and other validators refuse two.
func (p PSSParameters) scheme() Scheme {
	s := Scheme{family: rsaPSS, hash: p.Hash, mgf: p.MGFHash, salt: p.Salt}
	if p.Hash != p.MGFHash {
		s.note = fmt.Sprintf("RSA-PSS: %s for the message, and %s for the mask (RFC 8017 A.2.3 recommends one for both)", p.Hash, p.MGFHash)
	}
	return s
}

// readPSSParameters reads RSASSA-PSS-params (RFC 4055 3.1); what is left out has the defaults SHA-1,
// MGF1 with SHA-1, salt 20, trailer 1.
func readPSSParameters(der []byte) (PSSParameters, error) {
	p := PSSParameters{Hash: SHA1, MGFHash: SHA1, Salt: 20}
	input := cryptobyte.String(der)
	var seq, field cryptobyte.String
	var present bool
	if !input.ReadASN1(&seq, asn1.SEQUENCE) || !input.Empty() {
		return p, errMalformed("RSASSA-PSS-params")
	}
	var err error
	if !seq.ReadOptionalASN1(&field, &present, contextTag(0)) {
		return p, errMalformed("RSASSA-PSS-params")
	}
	if present {
		if p.Hash, err = HashByIdentifier(field); err != nil {
			return p, err
		}
	}
	if !seq.ReadOptionalASN1(&field, &present, contextTag(1)) {
		return p, errMalformed("RSASSA-PSS-params")
	}
	if present {
		if p.MGFHash, err = readMGF(field); err != nil {
			return p, err
		}
	}
	salt, trailer := int64(20), int64(1)
	if !seq.ReadOptionalASN1Integer(&salt, contextTag(2), int64(20)) ||
		!seq.ReadOptionalASN1Integer(&trailer, contextTag(3), int64(1)) || !seq.Empty() {
		return p, errMalformed("RSASSA-PSS-params")
	}
	if salt < 0 || salt > maxRSABits/8 {
		return p, errMalformed("RSASSA-PSS-params salt length")
	}
	if trailer != 1 {
		return p, fmt.Errorf("%w: RSASSA-PSS trailer %d", ErrUnsupported, trailer)
	}
	p.Salt = int(salt)
	return p, nil
}

func contextTag(n uint8) asn1.Tag { return asn1.Tag(n).ContextSpecific().Constructed() }

func readMGF(der []byte) (Hash, error) {
	oid, params, err := readAlgorithmIdentifier(der)
	if err != nil {
		return NoHash, err
	}
	if string(oid) != oidMGF1 {
		return NoHash, fmt.Errorf("%w: mask generation function %s", ErrUnsupported, dottedOID(oid))
	}
	return HashByIdentifier(params)
}
