package verify

import (
	"encoding/json"
	"time"

	"trustcore/verify/judge"
	"trustcore/verify/poland"
	"trustcore/verify/trace"
)

// Indication is the status of a signature (EN 319 102-1, 5.1.3).
type Indication = judge.Indication

// SubIndication is the reason of an indication that is not passed, null in JSON for passed.
type SubIndication = judge.SubIndication

// The indications of a signature, then those of a time-stamp or an evidence record.
const (
	TotalPassed   = judge.TotalPassed
	TotalFailed   = judge.TotalFailed
	Indeterminate = judge.Indeterminate

	Passed = judge.Passed
	Failed = judge.Failed
)

// The sub-indications that callers tell apart; package judge has the whole list.
const (
	TryLater = judge.TryLater
	Generic  = judge.Generic
)

// Container is the name of the container that a signature lies in, null in JSON for none.
type Container string

// MarshalJSON writes null for none.
func (c Container) MarshalJSON() ([]byte, error) {
	if c == "" {
		return []byte("null"), nil
	}
	return json.Marshal(string(c))
}

// Report is what Judge says of a document. It is plain data, made to be kept.
type Report struct {
	SHA256         string            `json:"sha256"` // of the document, lower-case hex
	Policy         string            `json:"policy"` // its name
	PolicyVersion  string            `json:"policy_version"`
	PolicyDigest   string            `json:"policy_digest"` // SHA-256 of its canonical data, lower-case hex
	ValidationTime time.Time         `json:"validation_time"`
	Signatures     []SignatureReport `json:"signatures"`
	Timestamps     []TimestampReport `json:"timestamps"` // those that belong to no signature
	// EvidenceRecords are all, those of signatures too, which stand with them once more.
	EvidenceRecords []EvidenceRecordReport `json:"evidence_records"`
	Notes           []string               `json:"notes,omitempty"` // remarks on the file as a whole

	// Summary is what the file is, for people, by language; of a file without signatures too.
	Summary map[string]string `json:"summary"`
	// DocumentType is what a document is that proves something by itself, "" for every other one; EvidenceIssuer is who
	// stands behind it, DocumentReference what became of the document that it is about.
	DocumentType      poland.DocumentType   `json:"document_type,omitempty"`
	EvidenceIssuer    poland.IssuerStanding `json:"evidence_issuer,omitempty"`
	DocumentReference poland.Reference      `json:"document_reference,omitempty"`
	Pins              PinsReport            `json:"pins"`
	Service           *ServiceReport        `json:"service,omitempty"` // where a service was named

	// ActiveContent is what the document does besides being read, nil where nobody asked for it.
	ActiveContent *ActiveContent `json:"active_content,omitempty"`
	Scan          *ScanReport    `json:"scan,omitempty"` // where a scanner is configured

	cut    bool // the file was not read to its end
	listed bool // trusted lists were at hand

	// Trace is the whole of what was found and concluded, nil where nobody asked for it.
	Trace *trace.Trace `json:"trace,omitempty"`
}

// SignatureReport is the verdict on one signature.
type SignatureReport struct {
	ID        string    `json:"id"`
	Format    string    `json:"format"`
	Container Container `json:"container"`
	Filename  string    `json:"filename,omitempty"`
	Level     string    `json:"level"`

	Indication    Indication    `json:"indication"`
	SubIndication SubIndication `json:"sub_indication"`
	// Reasons say, for experts, what led to the indication; Notes are remarks that changed nothing.
	Reasons []string `json:"reasons,omitempty"`
	Notes   []string `json:"notes,omitempty"`

	SignatureIntact  bool `json:"signature_intact"`
	ReferencesIntact bool `json:"references_intact"`

	Qualification string `json:"qualification"`
	Kind          Kind   `json:"kind"`
	Signer        Signer `json:"signer"`
	// SealedBy is whose seal names the signer of podpis zaufany.
	SealedBy    string        `json:"sealed_by,omitempty"`
	TrustSource poland.Source `json:"trust_source,omitempty"`

	BestSignatureTime  time.Time         `json:"best_signature_time"` // the earliest proven time of existence
	SigningTime        *time.Time        `json:"signing_time"`        // claimed by the signer
	CounterSignatureOf *string           `json:"counter_signature_of"`
	Timestamps         []TimestampReport `json:"timestamps"`
	// EvidenceRecords are those that the signature carries or that cover it.
	EvidenceRecords []EvidenceRecordReport `json:"evidence_records,omitempty"`
	Scopes          []Scope                `json:"scopes"`
	Changes         []Change               `json:"changes,omitempty"`  // what later revisions of a PDF did
	Unsigned        []string               `json:"unsigned,omitempty"` // files of the container that are not signed
	Chain           []Certificate          `json:"chain,omitempty"`

	// TryAgain is the earliest time at which asking again may give another verdict, where evidence was not to be had: of
	// TRY_LATER, and of a chain whose missing issuer did not come. Null where waiting does not help.
	TryAgain *time.Time `json:"try_again,omitempty"`

	// Sentence is the verdict for people who know nothing of the matter, by language ("pl", "en"); Rows are the five
	// things that they ask, Next is what is to be done, empty where nothing is.
	Sentence map[string]string `json:"sentence"`
	Rows     map[string]Rows   `json:"rows"`
	Next     map[string]string `json:"next,omitempty"`

	standing poland.Standing // how far it was confirmed
}

// Kind is the kind of signature in the sense of Polish law (art. 63 k.p.a.).
type Kind = poland.Kind

// The kinds.
const (
	KindQualified = poland.Qualified
	KindTrusted   = poland.Trusted
	KindPersonal  = poland.Personal
	KindSeal      = poland.Seal
	KindOther     = poland.Other
)

// PinsReport names the list of pins that the kinds were told by.
type PinsReport struct {
	SHA256  string `json:"sha256"` // of the file, lower-case hex
	Date    string `json:"date,omitempty"`
	Shipped bool   `json:"shipped"` // it came with the program
}

// Signer is the signatory as the certificate, or for podpis zaufany the signed attributes, name them.
type Signer struct {
	CertificateSHA256 string `json:"certificate_sha256,omitempty"` // lower-case hex of the DER
	CommonName        string `json:"common_name,omitempty"`
	GivenName         string `json:"given_name,omitempty"`
	Surname           string `json:"surname,omitempty"`
	Organization      string `json:"organization,omitempty"`
	Country           string `json:"country,omitempty"`
	Issuer            string `json:"issuer,omitempty"`

	Name       string      `json:"name,omitempty"` // as sentences tell it
	Identifier *Identifier `json:"identifier,omitempty"`
}

// Identifier is the number of a signer, of which the last digits are shown unless all were asked for.
type Identifier struct {
	Type   string `json:"type"` // PESEL, TIN or VAT
	Masked string `json:"masked"`
}

// Scope says what a signature covers.
type Scope struct {
	Name  string `json:"name"`
	Scope string `json:"scope"`
	// Full is true where every octet of the named thing is covered, nothing follows, and no unsigned file stands
	// beside it that a reader takes for a part of what was signed.
	Full bool `json:"full"`
	// Partial is true where less than the named thing itself is covered.
	Partial bool `json:"partial,omitempty"`
}

// Change is one thing that a later revision of a PDF did to what was signed.
type Change struct {
	Kind      string `json:"kind"`
	Revision  int    `json:"revision"`
	Object    string `json:"object,omitempty"`
	Page      int    `json:"page,omitempty"`
	What      string `json:"what"`
	Forbidden string `json:"forbidden,omitempty"` // the constraint that does not allow it
}

// Certificate is one certificate of the chain, the signer's first, the anchor last.
type Certificate struct {
	SHA256    string     `json:"sha256"`
	Subject   string     `json:"subject"`
	NotBefore time.Time  `json:"not_before"`
	NotAfter  time.Time  `json:"not_after"`
	Anchor    bool       `json:"anchor,omitempty"`
	Status    string     `json:"status,omitempty"` // revocation status and its source
	RevokedAt *time.Time `json:"revoked_at,omitempty"`
}

// TimestampReport is the verdict on one time-stamp.
type TimestampReport struct {
	ID            string        `json:"id,omitempty"`
	Type          string        `json:"type"`
	Indication    Indication    `json:"indication"`
	SubIndication SubIndication `json:"sub_indication"`
	Reasons       []string      `json:"reasons,omitempty"`
	Time          *time.Time    `json:"time"` // null where the token can't be read
	Intact        bool          `json:"intact"`
	SignedBy      string        `json:"signed_by,omitempty"`
	Qualification string        `json:"qualification"` // "QTSA", "TSA" or "N/A", as the lists say
	Notes         []string      `json:"notes,omitempty"`
}

// EvidenceRecordReport is the verdict on one evidence record.
type EvidenceRecordReport struct {
	ID            string            `json:"id"`
	Type          string            `json:"type"` // as DSS names it
	Indication    Indication        `json:"indication"`
	SubIndication SubIndication     `json:"sub_indication"`
	Reasons       []string          `json:"reasons,omitempty"`
	Time          *time.Time        `json:"time"` // at which what it covers is proven to have existed; null where it is not
	Timestamps    []TimestampReport `json:"timestamps"`
	Scopes        []Scope           `json:"scopes"`
	// Signatures are those that carry it or that it covers, by ID; it belongs to the file where there is none.
	Signatures []string `json:"signatures,omitempty"`
}
