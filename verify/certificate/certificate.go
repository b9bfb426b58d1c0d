// Package certificate reads X.509 certificates as they are found in the wild.
//
// The reader is tolerant: what RFC 5280 forbids but a reader can understand becomes a Finding, never a refusal. Parse
// fails only where the frame of the certificate cannot be followed. A malformed extension is kept with its bytes
// and marked; whoever must rely on the extension refuses the certificate there. Every slice of a Certificate points
// into the bytes given to Parse: nothing is copied and nothing may be changed afterwards.
package certificate

import (
	"bytes"
	"crypto/sha256"
	"sync"
	"time"

	"trustcore/verify/algorithm"
)

// MaxSize is the largest certificate that Parse takes, in bytes. The largest real ones (post-quantum keys, long name
// constraints) stay below 200 kB.
const MaxSize = 1 << 20

// MaxExtensions bounds the number of extensions of one certificate; real ones have fewer than 20.
const MaxExtensions = 200

// A Certificate is a parsed X.509 certificate (RFC 5280 4.1). It is immutable and safe for concurrent use.
type Certificate struct {
	Raw        []byte // the whole DER
	RawTBS     []byte // TBSCertificate: what the signature covers
	RawIssuer  []byte // Name, DER
	RawSubject []byte // Name, DER
	RawSPKI    []byte // SubjectPublicKeyInfo, DER

	Fingerprint    [sha256.Size]byte // SHA-256 of Raw
	KeyFingerprint [sha256.Size]byte // SHA-256 of RawSPKI

	Version int    // 1, 2 or 3
	Serial  []byte // content octets of the INTEGER, as encoded

	SignatureAlgorithm    []byte // outer AlgorithmIdentifier, DER
	TBSSignatureAlgorithm []byte // the one inside TBSCertificate, DER; must be the same (RFC 5280 4.1.1.2)
	Signature             []byte // content of the BIT STRING without the octet of unused bits
	RawSignature          []byte // the BIT STRING, DER

	NotBefore time.Time // UTC
	NotAfter  time.Time // UTC

	Issuer  Name
	Subject Name

	IssuerUniqueID  []byte // content of the BIT STRING, nil when absent
	SubjectUniqueID []byte

	Extensions []Extension // all of them, in order

	HasKeyUsage       bool
	KeyUsage          KeyUsage
	HasEKU            bool
	EKU               []OID             // extended key usages, in order
	BasicConstraints  *BasicConstraints // nil when absent
	SKI               []byte            // subject key identifier, nil when absent
	AKI               *AuthorityKeyID   // nil when absent
	SAN               []GeneralName     // subjectAltName
	IAN               []GeneralName     // issuerAltName
	Policies          []PolicyInformation
	PolicyMappings    []PolicyMapping
	PolicyConstraints *PolicyConstraints
	InhibitAnyPolicy  *int
	NameConstraints   *NameConstraints

	CRLDistributionPoints []DistributionPoint
	FreshestCRL           []DistributionPoint
	AIA                   []AccessDescription // authority information access
	SIA                   []AccessDescription // subject information access

	QC              *QCStatements // nil when absent
	OCSPNoCheck     bool          // id-pkix-ocsp-nocheck (RFC 6960 4.2.2.2.1)
	ValidityAssured bool          // ext-etsi-valassured-ST-certs (EN 319 412-1 5.2): no revocation information is published

	Findings []Finding // every laxness met, in order of the bytes

	textOnce sync.Once
	text     string // of Subject

	keyOnce sync.Once
	key     *algorithm.PublicKey
	keyErr  error
}

// An Extension is one entry of the extensions field, parsed or not.
type Extension struct {
	OID       OID
	Critical  bool
	Value     []byte // content of extnValue
	Known     bool   // this package reads it into a field of Certificate
	Malformed bool   // Value could not be read; the field of Certificate is unset or incomplete
}

// KeyUsage holds the bits of the keyUsage extension (RFC 5280 4.2.1.3).
type KeyUsage uint16

// The bits of KeyUsage.
const (
	DigitalSignature KeyUsage = 1 << iota
	ContentCommitment
	KeyEncipherment
	DataEncipherment
	KeyAgreement
	CertSign
	CRLSign
	EncipherOnly
	DecipherOnly
)

// BasicConstraints is RFC 5280 4.2.1.9.
type BasicConstraints struct {
	CA         bool
	MaxPathLen int // -1 when absent
}

// AuthorityKeyID is RFC 5280 4.2.1.1; each part may be absent.
type AuthorityKeyID struct {
	KeyID  []byte
	Issuer []GeneralName
	Serial []byte // content octets of the INTEGER
}

// PolicyInformation is one policy of the certificatePolicies extension.
type PolicyInformation struct {
	Policy        OID
	Qualifiers    []PolicyQualifier
	RawQualifiers []byte // the SEQUENCE OF PolicyQualifierInfo, DER; nil when absent
}

// PolicyQualifier is a CPS URI or a user notice (RFC 5280 4.2.1.4).
type PolicyQualifier struct {
	ID         OID
	CPS        string // of a cPSuri
	UserNotice string // explicitText of a user notice
	Raw        []byte // the qualifier, DER
}

// PolicyMapping is one pair of RFC 5280 4.2.1.5.
type PolicyMapping struct {
	IssuerDomain, SubjectDomain OID
}

// PolicyConstraints is RFC 5280 4.2.1.11; -1 stands for an absent field.
type PolicyConstraints struct {
	RequireExplicit int
	InhibitMapping  int
}

// NameConstraints is RFC 5280 4.2.1.10.
type NameConstraints struct {
	Permitted []Subtree
	Excluded  []Subtree
}

// A Subtree is a GeneralSubtree. Path validation must refuse a minimum other than 0 and any maximum (RFC 5280 4.2.1.10).
type Subtree struct {
	Base   GeneralName
	Bounds bool // minimum other than 0, or a maximum
}

// A DistributionPoint is RFC 5280 4.2.1.13.
type DistributionPoint struct {
	Name      *DistributionPointName // nil when absent
	Reasons   ReasonFlags            // 0 when absent: all reasons
	CRLIssuer []GeneralName
}

// A DistributionPointName holds either full names or a fragment relative to the CRL issuer's name.
type DistributionPointName struct {
	Full     []GeneralName
	Relative []byte // RelativeDistinguishedName: the SET, DER (tag 0x31); nil when Full is used
}

// ReasonFlags are the bits of RFC 5280 4.2.1.13; bit 0 (unused) is never set by a sensible issuer.
type ReasonFlags uint16

// The bits of ReasonFlags.
const (
	ReasonUnused ReasonFlags = 1 << iota
	ReasonKeyCompromise
	ReasonCACompromise
	ReasonAffiliationChanged
	ReasonSuperseded
	ReasonCessationOfOperation
	ReasonCertificateHold
	ReasonPrivilegeWithdrawn
	ReasonAACompromise

	// AllReasons is the mask that RFC 5280 6.3.3 calls all-reasons.
	AllReasons = ReasonKeyCompromise | ReasonCACompromise | ReasonAffiliationChanged | ReasonSuperseded |
		ReasonCessationOfOperation | ReasonCertificateHold | ReasonPrivilegeWithdrawn | ReasonAACompromise
)

// AccessDescription is one entry of authorityInfoAccess or subjectInfoAccess.
type AccessDescription struct {
	Method   OID
	Location GeneralName
}

// QCStatements holds the statements of RFC 3739 and EN 319 412-5.
type QCStatements struct {
	Statements []OID // every statement id, in order

	Compliance  bool        // esi4-qcStatement-1: an EU (or other, see Legislation) qualified certificate
	SSCD        bool        // esi4-qcStatement-4: the key is in a qualified creation device
	Types       []OID       // esi4-qcStatement-6: esign, eseal, web
	PDS         []PDSLink   // esi4-qcStatement-5
	Legislation []string    // esi4-qcStatement-7: ISO 3166 codes; empty means EU
	Retention   int         // esi4-qcStatement-3: years, -1 when absent
	Limit       *QCLimit    // esi4-qcStatement-2
	SemanticsID OID         // id-qcs-pkixQCSyntax-v2 semantics identifier (EN 319 412-1 5.1), empty when absent
	Raw         []Statement // every statement with its bytes
}

// A Statement is one QCStatement as found.
type Statement struct {
	ID   OID
	Info []byte // DER, nil when absent
}

// PDSLink points to a PKI disclosure statement.
type PDSLink struct{ URL, Language string }

// QCLimit is the limit on the value of transactions: Amount * 10^Exponent.
type QCLimit struct {
	Currency string // ISO 4217 letters or number
	Amount   int
	Exponent int
}

// Key returns the subject's public key. It is parsed once; the error is of verify/algorithm.
func (c *Certificate) Key() (*algorithm.PublicKey, error) {
	c.keyOnce.Do(func() { c.key, c.keyErr = algorithm.ParsePublicKey(c.RawSPKI) })
	return c.key, c.keyErr
}

// HasDigest tells whether a digest is that of the certificate; no certificate has one by no hash.
func (c *Certificate) HasDigest(h algorithm.Hash, digest []byte) bool {
	if h == algorithm.SHA256 {
		return bytes.Equal(c.Fingerprint[:], digest)
	}
	return h.Valid() && bytes.Equal(h.Sum(c.Raw), digest)
}

// SubjectText is the subject as Name.String writes it, written once.
func (c *Certificate) SubjectText() string {
	c.textOnce.Do(func() { c.text = c.Subject.String() })
	return c.text
}

// SelfIssued reports whether subject and issuer are the same name (RFC 5280 6.1).
func (c *Certificate) SelfIssued() bool { return c.Subject.Equal(c.Issuer) }

// ShortTerm reports whether the issuer vouches for the certificate until its end, so that nothing about its revocation is
// published: validity assured, in one that is no CA's (EN 319 412-1 5.2). id-pkix-ocsp-nocheck is no such word: it is for
// responders, and for their answers alone (RFC 6960 4.2.2.2.1).
func (c *Certificate) ShortTerm() bool {
	return c.ValidityAssured && (c.BasicConstraints == nil || !c.BasicConstraints.CA)
}

// Extension returns the first extension with the given OID, nil when there is none.
func (c *Certificate) Extension(id OID) *Extension {
	for i := range c.Extensions {
		if c.Extensions[i].OID == id {
			return &c.Extensions[i]
		}
	}
	return nil
}

// UnknownCritical returns the critical extensions that this package does not read.
func (c *Certificate) UnknownCritical() []OID {
	var ids []OID
	for i := range c.Extensions {
		if e := &c.Extensions[i]; e.Critical && !e.Known {
			ids = append(ids, e.OID)
		}
	}
	return ids
}
