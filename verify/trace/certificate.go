package trace

import "time"

// Certificate is one certificate that a conclusion rests on. What else it says stands in DER.
type Certificate struct {
	ID  string `json:"id"` // C- and its SHA-256
	DER []byte `json:"-"`

	Subject      string    `json:"subject"` // RFC 4514
	Issuer       string    `json:"issuer"`
	Serial       string    `json:"serial" text:"-"` // decimal
	CommonName   string    `json:"common_name,omitempty"`
	NotBefore    time.Time `json:"not_before"`
	NotAfter     time.Time `json:"not_after"`
	KeyAlgorithm string    `json:"key_algorithm,omitempty"` // registry name of verify/algorithm, such as "RSA"
	KeyBits      int       `json:"key_bits,omitempty"`
	KeyID        string    `json:"key_id" text:"-"`              // SHA-256 of the SubjectPublicKeyInfo, upper-case hex
	KeyUsage     []string  `json:"key_usage,omitempty"`          // names of RFC 5280: "digitalSignature", ...
	ExtKeyUsage  []string  `json:"extended_key_usage,omitempty"` // OIDs
	Pseudonym    bool      `json:"pseudonym,omitempty"`          // the subject has a pseudonym (RFC 3739)
	SelfSigned   bool      `json:"self_signed,omitempty"`        // issued to itself, by its own key

	// Basic is the issuer's signature on it.
	Basic Basic `json:"basic_signature"`
	// Chain is its own path, itself not included; its issuer first, the anchor last.
	Chain   []ChainItem `json:"chain,omitempty"`
	Sources []Source    `json:"sources"`
	// Trusted is that it is an anchor's; From and Until are the window, nil where it is open.
	Trusted bool       `json:"trusted"`
	From    *time.Time `json:"trusted_from,omitempty"`
	Until   *time.Time `json:"trusted_until,omitempty"`

	// Services are the trust services that it or the anchor of its path stands for.
	Services []TrustService `json:"services,omitempty"`
	// Revocations are what revocation data say about it.
	Revocations []CertificateStatus `json:"revocations,omitempty"`
	// Existence is the earliest time at which it is proven to have existed.
	Existence Proof `json:"existence"`
}

// TrustService is one service of a trusted list in the periods that it went through.
type TrustService struct {
	List      string `json:"list,omitempty"` // id of the trusted list, "" where it is not known
	Territory string `json:"territory,omitempty"`
	Provider  string `json:"provider"`
	Name      string `json:"name"`
	// Names, ProviderNames and TradeNames are by language; among the last is the official registration identifier.
	Names         []Localized     `json:"names,omitempty"`
	ProviderNames []Localized     `json:"provider_names,omitempty"`
	TradeNames    []Localized     `json:"trade_names,omitempty"`
	SupplyPoints  []string        `json:"supply_points,omitempty"` // URIs
	Certificate   string          `json:"certificate"`             // id of the one that the service stands by
	Periods       []ServicePeriod `json:"periods"`                 // newest first
}

// Localized is a text in a language.
type Localized struct {
	Language string `json:"language"`
	Text     string `json:"text"`
}

// ServicePeriod is a service's state from From until To.
type ServicePeriod struct {
	From   time.Time  `json:"from"`
	To     *time.Time `json:"to,omitempty"` // exclusive; nil: until now
	Type   string     `json:"type"`         // URI
	Status string     `json:"status"`       // URI
	// Qualifiers are the last parts of the URIs that apply to the certificate that the service is listed for.
	Qualifiers []string `json:"qualifiers,omitempty"`
	Critical   []string `json:"critical,omitempty"`   // those of them in extensions that must not be passed over
	Additional []string `json:"additional,omitempty"` // URIs
	// ExpiredCertsRevocation is since when revocation information covers expired certificates.
	ExpiredCertsRevocation *time.Time `json:"expired_certs_revocation,omitempty"`
}

// CertificateStatus is what one revocation datum says about a certificate.
type CertificateStatus struct {
	Revocation     string     `json:"revocation"`       // id
	Status         string     `json:"status"`           // "good", "revoked", "unknown"
	Reason         string     `json:"reason,omitempty"` // CRLReason of RFC 5280: "keyCompromise", ...
	RevocationTime *time.Time `json:"revocation_time,omitempty"`
}

// Revocation is one OCSP response or CRL.
type Revocation struct {
	ID   string `json:"id"`   // R- and the SHA-256 of its DER
	Kind string `json:"kind"` // "OCSP" or "CRL"
	DER  []byte `json:"-"`

	Source     Source     `json:"source"`
	ProducedAt *time.Time `json:"produced_at,omitempty"` // of a CRL its thisUpdate
	ThisUpdate *time.Time `json:"this_update,omitempty"` // of an OCSP response, of the answer that was relied on
	NextUpdate *time.Time `json:"next_update,omitempty"`
	Number     string     `json:"number,omitempty" text:"-"` // cRLNumber, decimal
	// ExpiredCertsSince and ArchiveCutoff: from when on it knows expired certificates.
	ExpiredCertsSince *time.Time `json:"expired_certs_since,omitempty"`
	ArchiveCutoff     *time.Time `json:"archive_cutoff,omitempty"`
	// CertHash is whether an OCSP answer has the extension certHash, and CertHashMatches, whether that is right.
	CertHash        bool `json:"cert_hash,omitempty"`
	CertHashMatches bool `json:"cert_hash_matches,omitempty"`

	// Responder is the responderID of an OCSP answer.
	Responder *SignerIdentifier `json:"responder,omitempty"`
	// Carries are the certificates in an OCSP answer, by their ids.
	Carries []string `json:"carries,omitempty"`

	Basic              Basic       `json:"basic_signature"`
	SigningCertificate string      `json:"signing_certificate,omitempty"` // id
	Chain              []ChainItem `json:"chain,omitempty"`
	Uses               []Crypto    `json:"uses,omitempty"` // as Signature.Uses, at Existence
	// Existence is the earliest time at which it is proven to have existed.
	Existence Proof   `json:"existence"`
	Blocks    []Block `json:"blocks"` // ISC, CV, XCV, SAV as far as they were gone through
}

// Qualification is what the lists say of a signature (TS 119 615).
type Qualification struct {
	Value      string                   `json:"value"` // as DSS names it: "QESig", "N/A", ...
	AtIssuance CertificateQualification `json:"at_issuance"`
	AtSigning  CertificateQualification `json:"at_best_signature_time"`
}

// CertificateQualification is what the lists say of a certificate at a time.
type CertificateQualification struct {
	Time      *time.Time `json:"time,omitempty"` // nil where nobody asked
	Found     bool       `json:"found"`          // a service of a list stands above it
	Qualified bool       `json:"qualified"`
	Type      string     `json:"type,omitempty"`     // "ESIG", "ESEAL", "WSA", "" for unknown
	Device    bool       `json:"device"`             // QSCD
	Conflict  bool       `json:"conflict,omitempty"` // services contradict each other
	Provider  string     `json:"provider,omitempty"`
	Because   []string   `json:"because,omitempty"` // the steps
}
