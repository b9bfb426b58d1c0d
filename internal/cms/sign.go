package cms

import (
	"bytes"
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/rand"
	"crypto/rsa"
	"errors"
	"fmt"
	"time"
)

// SignConfig says what Sign makes.
type SignConfig struct {
	// Signer holds the private key: RSA, ECDSA or Ed25519. A remote key serves: it is given the
	// digest of the signed attributes (for Ed25519 the attributes themselves).
	Signer crypto.Signer
	// Certificate is the DER of the certificate for Signer's key. It is embedded, and bound by the
	// signing-certificate-v2 attribute.
	Certificate []byte
	// Certificates are further DER certificates to embed: the chain, without the anchor as a rule.
	Certificates [][]byte
	// OmitCertificates embeds none (RFC 3161: the request did not ask for them).
	OmitCertificates bool

	// Hash is SHA-256, SHA-384 or SHA-512: for the content, the attributes and the certificate's digest.
	Hash crypto.Hash
	// PSS takes RSASSA-PSS with Hash, MGF1 with Hash and a salt of Hash's size instead of PKCS #1 v1.5.
	PSS bool
	// SubjectKeyID, when not nil, identifies the signer instead of issuer and serial number.
	SubjectKeyID []byte

	// ContentType is the content's type; "" is OIDData.
	ContentType OID
	// Content is embedded when not nil. For a detached signature leave it nil and give Digest.
	Content []byte
	// Digest is the content's digest by Hash; taken when Content is nil.
	Digest []byte

	// SigningTime is the claimed time of the signing-time attribute; zero leaves it out (PAdES).
	SigningTime time.Time
	// Attributes are further signed attributes.
	Attributes []Attribute
	// UnsignedAttributes are added as they are.
	UnsignedAttributes []Attribute
}

// Sign makes a DER ContentInfo with SignedData of one signer, with signed attributes content-type,
// message-digest, signing-certificate-v2 and those that cfg adds. The signature is not verified here.
func Sign(cfg SignConfig) ([]byte, error) {
	if err := cfg.complete(); err != nil {
		return nil, fmt.Errorf("sign CMS: %w", err)
	}
	digestAlgorithm, err := hashIdentifier(cfg.Hash)
	if err != nil {
		return nil, fmt.Errorf("sign CMS: %w", err)
	}
	scheme, err := schemeFor(cfg.Signer.Public(), cfg.Hash, cfg.PSS)
	if err != nil {
		return nil, fmt.Errorf("sign CMS: %w", err)
	}
	attributes, err := cfg.signedAttributes()
	if err != nil {
		return nil, fmt.Errorf("sign CMS: %w", err)
	}
	value, err := scheme.sign(cfg.Signer, element(tagSet, attributes))
	if err != nil {
		return nil, fmt.Errorf("sign CMS: private key operation: %w", err)
	}
	identifier, version, err := cfg.identifier()
	if err != nil {
		return nil, fmt.Errorf("sign CMS: %w", err)
	}
	signer := [][]byte{
		integer(int64(version)), identifier, digestAlgorithm,
		element(tagContext|tagConstructed, attributes),
		scheme.identifier, element(tagOctetString, value),
	}
	if len(cfg.UnsignedAttributes) > 0 {
		signer = append(signer, setOf(tagContext|tagConstructed|1, encodings(cfg.UnsignedAttributes)))
	}
	return cfg.signedData(digestAlgorithm, element(tagSequence, signer...)), nil
}

// complete refuses what is missing and fills in the defaults.
func (cfg *SignConfig) complete() error {
	switch {
	case cfg.Signer == nil:
		return errors.New("no signer")
	case len(cfg.Certificate) == 0:
		return errors.New("no certificate of the signer")
	case !cfg.Hash.Available():
		return fmt.Errorf("hash %v is not available", cfg.Hash)
	case cfg.Content == nil && len(cfg.Digest) != cfg.Hash.Size():
		return fmt.Errorf("neither content nor a digest of %d octets", cfg.Hash.Size())
	case cfg.Content != nil && cfg.Digest != nil:
		return errors.New("both content and digest")
	}
	if cfg.Content != nil {
		h := cfg.Hash.New()
		h.Write(cfg.Content)
		cfg.Digest = h.Sum(nil)
	}
	if cfg.ContentType == "" {
		cfg.ContentType = OIDData
	}
	return nil
}

// signedAttributes returns the attributes in DER order, without the SET's header.
func (cfg *SignConfig) signedAttributes() ([]byte, error) {
	bound, err := SigningCertificateV2(cfg.Hash, cfg.Certificate)
	if err != nil {
		return nil, err
	}
	list := []Attribute{
		NewAttribute(OIDContentType, element(tagOID, []byte(cfg.ContentType))),
		NewAttribute(OIDMessageDigest, element(tagOctetString, cfg.Digest)),
		bound,
	}
	if !cfg.SigningTime.IsZero() {
		list = append(list, NewAttribute(OIDSigningTime, timeElement(cfg.SigningTime)))
	}
	list = append(list, cfg.Attributes...)
	for i := range list {
		for j := range list[:i] {
			if list[i].Type == list[j].Type {
				return nil, fmt.Errorf("signed attribute %s is given twice", list[i].Type)
			}
		}
	}
	set := setOf(tagSet, encodings(list))
	h, err := readHeader(set)
	if err != nil {
		return nil, err
	}
	return set[h.size:], nil
}

// identifier encodes the SignerIdentifier and gives the version that goes with it (RFC 5652, 5.3).
func (cfg *SignConfig) identifier() ([]byte, int, error) {
	if cfg.SubjectKeyID != nil {
		return element(tagContext, cfg.SubjectKeyID), 3, nil
	}
	issuer, serial, err := issuerAndSerial(cfg.Certificate)
	if err != nil {
		return nil, 0, err
	}
	return element(tagSequence, issuer, serial), 1, nil
}

// signedData puts the one signer into a ContentInfo. Version: RFC 5652, 5.1.
func (cfg *SignConfig) signedData(digestAlgorithm, signer []byte) []byte {
	version := int64(1)
	if cfg.SubjectKeyID != nil || cfg.ContentType != OIDData {
		version = 3
	}
	encap := [][]byte{element(tagOID, []byte(cfg.ContentType))}
	if cfg.Content != nil {
		encap = append(encap, element(tagContext|tagConstructed, element(tagOctetString, cfg.Content)))
	}
	body := [][]byte{integer(version), element(tagSet, digestAlgorithm), element(tagSequence, encap...)}
	if !cfg.OmitCertificates {
		certificates := [][]byte{cfg.Certificate}
		for _, c := range cfg.Certificates {
			if !containsBytes(certificates, c) {
				certificates = append(certificates, c)
			}
		}
		body = append(body, setOf(tagContext|tagConstructed, certificates))
	}
	body = append(body, element(tagSet, signer))
	return contentInfo(body)
}

func contentInfo(signedData [][]byte) []byte {
	return element(tagSequence,
		element(tagOID, []byte(OIDSignedData)),
		element(tagContext|tagConstructed, element(tagSequence, signedData...)))
}

// scheme is a signature algorithm that this package writes.
type scheme struct {
	identifier []byte // AlgorithmIdentifier
	hash       crypto.Hash
	options    crypto.SignerOpts
}

func (s scheme) sign(key crypto.Signer, message []byte) ([]byte, error) {
	if s.hash == 0 {
		return key.Sign(rand.Reader, message, s.options)
	}
	h := s.hash.New()
	h.Write(message)
	return key.Sign(rand.Reader, h.Sum(nil), s.options)
}

// schemeFor chooses the signature algorithm for a key. Identifiers: RFC 3370, 4055, 5754, 8419.
func schemeFor(public crypto.PublicKey, hash crypto.Hash, pss bool) (scheme, error) {
	switch public.(type) {
	case *rsa.PublicKey:
		if pss {
			identifier, err := pssIdentifier(hash)
			return scheme{identifier, hash, &rsa.PSSOptions{SaltLength: rsa.PSSSaltLengthEqualsHash, Hash: hash}}, err
		}
		suffix, ok := map[crypto.Hash]byte{crypto.SHA256: 11, crypto.SHA384: 12, crypto.SHA512: 13}[hash]
		if !ok {
			return scheme{}, fmt.Errorf("no RSA signature with %v", hash)
		}
		return scheme{algorithm("\x2a\x86\x48\x86\xf7\x0d\x01\x01"+string(suffix), true), hash, hash}, nil
	case *ecdsa.PublicKey:
		suffix, ok := map[crypto.Hash]byte{crypto.SHA256: 2, crypto.SHA384: 3, crypto.SHA512: 4}[hash]
		if !ok {
			return scheme{}, fmt.Errorf("no ECDSA signature with %v", hash)
		}
		return scheme{algorithm("\x2a\x86\x48\xce\x3d\x04\x03"+string(suffix), false), hash, hash}, nil
	case ed25519.PublicKey:
		if hash != crypto.SHA512 {
			return scheme{}, errors.New("Ed25519 goes with SHA-512 (RFC 8419, 3.1)")
		}
		return scheme{algorithm("\x2b\x65\x70", false), 0, crypto.Hash(0)}, nil
	}
	return scheme{}, fmt.Errorf("no signature algorithm for a %T", public)
}

// pssIdentifier is RSASSA-PSS with its parameters (RFC 4055, 3.1).
func pssIdentifier(hash crypto.Hash) ([]byte, error) {
	h, err := hashIdentifier(hash)
	if err != nil {
		return nil, err
	}
	mgf1 := element(tagSequence, element(tagOID, []byte("\x2a\x86\x48\x86\xf7\x0d\x01\x01\x08")), h)
	parameters := element(tagSequence,
		element(tagContext|tagConstructed, h),
		element(tagContext|tagConstructed|1, mgf1),
		element(tagContext|tagConstructed|2, integer(int64(hash.Size()))))
	return element(tagSequence, element(tagOID, []byte("\x2a\x86\x48\x86\xf7\x0d\x01\x01\x0a")), parameters), nil
}

// hashIdentifier is a hash's AlgorithmIdentifier without parameters (RFC 5754, 2).
func hashIdentifier(hash crypto.Hash) ([]byte, error) {
	suffix, ok := map[crypto.Hash]byte{crypto.SHA256: 1, crypto.SHA384: 2, crypto.SHA512: 3}[hash]
	if !ok {
		return nil, fmt.Errorf("hash %v is not SHA-256, SHA-384 or SHA-512", hash)
	}
	return algorithm("\x60\x86\x48\x01\x65\x03\x04\x02"+string(suffix), false), nil
}

func algorithm(oid string, null bool) []byte {
	if null {
		return element(tagSequence, element(tagOID, []byte(oid)), []byte{tagNull, 0})
	}
	return element(tagSequence, element(tagOID, []byte(oid)))
}

// issuerAndSerial cuts the two elements out of a certificate.
func issuerAndSerial(certificate []byte) (issuer, serial []byte, err error) {
	r := newReader(certificate)
	cert, _, err := r.enter(tagSequence, "Certificate")
	if err != nil {
		return nil, nil, err
	}
	tbs, _, err := cert.enter(tagSequence, "TBSCertificate")
	if err != nil {
		return nil, nil, err
	}
	if _, _, err := tbs.optional(tagContext|tagConstructed, "version"); err != nil {
		return nil, nil, err
	}
	s, err := tbs.expect(tagInteger, "serialNumber")
	if err != nil {
		return nil, nil, err
	}
	if _, err := tbs.expect(tagSequence, "signature"); err != nil {
		return nil, nil, err
	}
	i, err := tbs.expect(tagSequence, "issuer")
	if err != nil {
		return nil, nil, err
	}
	return i.Raw, s.Raw, nil
}

func containsBytes(list [][]byte, b []byte) bool {
	for _, l := range list {
		if bytes.Equal(l, b) {
			return true
		}
	}
	return false
}
