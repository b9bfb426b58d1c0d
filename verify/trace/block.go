package trace

import "time"

// Kind is a building block or process of EN 319 102-1, named as DSS abbreviates it.
type Kind string

// The building blocks (5.2, 5.6.2), then the processes.
const (
	FormatChecking            Kind = "FC"      // 5.2.2
	SigningCertificate        Kind = "ISC"     // 5.2.3
	ValidationContext         Kind = "VCI"     // 5.2.4
	RevocationFreshness       Kind = "RFC"     // 5.2.5
	CertificateValidation     Kind = "XCV"     // 5.2.6; holds a SubXCV a certificate, the signing one first
	SubCertificateValidation  Kind = "SUB_XCV" // may hold an RFC
	CryptographicVerification Kind = "CV"      // 5.2.7
	SignatureAcceptance       Kind = "SAV"     // 5.2.8
	PastSignatureValidation   Kind = "PSV"     // 5.6.2.4
	PastCertificateValidation Kind = "PCV"     // 5.6.2.1
	ValidationTimeSliding     Kind = "VTS"     // 5.6.2.2

	BasicValidation          Kind = "BASIC" // 5.3
	TimestampValidation      Kind = "TST"   // 5.4
	WithTime                 Kind = "LTVM"  // 5.5
	ArchivalData             Kind = "LTA"   // 5.6.3
	EvidenceRecordValidation Kind = "ER"    // 5.6.2.5
	QualificationProcess     Kind = "QUAL"  // TS 119 615 4.6
)

// Block is one building block or process that was gone through. What was not reached is not there.
type Block struct {
	ID     string `json:"id"`   // that of the object, a hyphen and the kind; sub-blocks add the certificate's id
	Kind   Kind   `json:"kind"` //
	Object string `json:"object"`
	// Time is that for which it was asked: the control time; nil for what depends on none.
	Time        *time.Time   `json:"time,omitempty"`
	Conclusion  Conclusion   `json:"conclusion"`
	Constraints []Constraint `json:"constraints"` // each block that did not pass has one that says why
	Blocks      []Block      `json:"blocks,omitempty"`
	Anchor      bool         `json:"anchor,omitempty"` // SUB_XCV: the certificate is the anchor's
}

// Conclusion is what something came to. The indication is TOTAL-PASSED, TOTAL-FAILED or INDETERMINATE for signatures
// and their processes, PASSED, FAILED or INDETERMINATE for all else; the sub-indication is one of EN 319 102-1, "" for
// none.
type Conclusion struct {
	Indication    string   `json:"indication"`
	SubIndication string   `json:"sub_indication,omitempty"`
	Reasons       []string `json:"reasons,omitempty"`
}

// Status is what became of a constraint, named as DSS names it.
type Status string

// The statuses.
const (
	OK          Status = "OK"
	NotOK       Status = "NOT OK"
	Warning     Status = "WARNING"
	Information Status = "INFORMATION"
	Ignored     Status = "IGNORED"
)

// Constraint is one check of a block.
type Constraint struct {
	// Name is that of the policy's constraint, as DSS and package policy have it ("ReferenceDataIntact"), or one of this
	// package where the standard asks for something that is no constraint of a policy.
	Name string `json:"name"`
	// Context is the policy's context ("SignatureConstraints", "Timestamp", ...), "" where it has none.
	Context string `json:"context,omitempty"`
	Status  Status `json:"status"`
	// Message says for experts what is wrong, or worth a remark; "" where the status is OK or IGNORED.
	Message string `json:"message,omitempty"`
	// Object is the id of what the check is about, where that is not the block's.
	Object string `json:"object,omitempty"`
	// Subject is what of the object it is about: a reference's name.
	Subject string  `json:"subject,omitempty"`
	Block   string  `json:"block,omitempty"`  // id of the block whose conclusion is asked, for a process
	Crypto  *Crypto `json:"crypto,omitempty"` // of a constraint Cryptographic
}

// Crypto is one use of an algorithm and until when it is relied on.
type Crypto struct {
	Purpose   string    `json:"purpose"`   // as AlgorithmUse of verify/signature has it, or "certificate", "revocation"
	Algorithm string    `json:"algorithm"` // registry name of verify/algorithm
	KeyBits   int       `json:"key_bits,omitempty"`
	Time      time.Time `json:"time"` // at which it is judged: of the proof of existence
	Secure    bool      `json:"secure"`
	Object    string    `json:"object,omitempty"` // id of the certificate that it is about, where it is about one
	Why       string    `json:"why,omitempty"`    // what speaks against it
	// NotAfter is the end by the policy's table, nil where there is none or the algorithm is not listed.
	NotAfter *time.Time `json:"not_after,omitempty"`
}

// Names of constraints that are none of a policy.
const (
	// Conclusive: a block or process that this one is made of passed; Block names it.
	Conclusive = "Conclusive"
	// WellFormed: the format allows what stands there (5.2.2).
	WellFormed = "WellFormed"
	// CheckedToItsEnd: no limit kept it from being checked to its end.
	CheckedToItsEnd = "CheckedToItsEnd"
	// AlgorithmSupported: the value, or a digest, could be computed.
	AlgorithmSupported = "AlgorithmSupported"
	// DataSigned: something that a reader takes for content is covered.
	DataSigned = "DataSigned"
	// Acceptable: the properties meet what signing content needs (5.2.8).
	Acceptable = "Acceptable"
	// CertificateValid: a certificate of the path meets RFC 5280, section 6, in what no constraint of a policy names.
	CertificateValid = "CertificateValid"
	// NotAfterValidation: a time-stamp is not later than the validation.
	NotAfterValidation = "NotAfterValidation"
	// WithinCertificate: a time lies within the validity of a certificate.
	WithinCertificate = "WithinCertificate"
	// ProofOfValue: the value of the signature is proven to have existed at the control time (5.6.2.4).
	ProofOfValue = "ProofOfValue"
	// SatisfyingRevocation: revocation information about a certificate is proven to be from before the control time
	// (5.6.2.2).
	SatisfyingRevocation = "SatisfyingRevocation"
	// ControlTime: the control time is determined (5.6.2.2).
	ControlTime = "ControlTime"
	// TrustedListReached: a service of a trusted list stands above the certificate.
	TrustedListReached = "TrustedListReached"
	// QualifiedCertificate and QualifiedDevice: steps of the qualification.
	QualifiedCertificate = "QualifiedCertificate"
	QualifiedDevice      = "QualifiedDevice"
)
