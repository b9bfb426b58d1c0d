// Package trace is the whole of what a validation found, concluded and why, as plain data: the one value that every
// report is made of, the compact one as well as ETSI TS 119 102-2 and the reports of the Commission's DSS. It names
// clauses of EN 319 102-1 V1.4.1; it knows no reader, judge or report.
//
// Objects are told apart by ids that are stable (the same bytes have the same id), unique in the trace and NCNames of
// XML: a letter for the kind, a hyphen, upper-case hex of a SHA-256. Whatever names an id finds the object that has it
// in the list of its kind. All texts are fit to be shown (package prose). Times are UTC; a nil time is not known.
package trace

import "time"

// Trace is what one validation of one document was about and came to.
type Trace struct {
	ValidationTime time.Time `json:"validation_time"`
	Policy         Policy    `json:"policy"`
	// Numbers is that personal numbers stand in texts as they are; else their last digits alone are shown, and whoever
	// reads more out of DER shows no more.
	Numbers bool `json:"personal_numbers,omitempty"`
	// Container is nil for what is no associated signature container.
	Container *Container `json:"container,omitempty"`

	// Signatures are in the document's order, counter-signatures among them.
	Signatures []Signature `json:"signatures"`
	// Timestamps are all: those of the document, of its signatures and of its evidence records.
	Timestamps      []Timestamp      `json:"timestamps"`
	EvidenceRecords []EvidenceRecord `json:"evidence_records"`

	// Certificates and Revocations are what the conclusions rest on: the paths and the evidence relied on, with who
	// signed it, in the order in which they were met; then what other evidence says of those certificates, without Blocks.
	Certificates []Certificate `json:"certificates"`
	Revocations  []Revocation  `json:"revocations"`
	// Orphans are certificates and revocation data of the document on which none rests.
	Orphans []Orphan `json:"orphans,omitempty"`
	// SignedData are the data objects that signatures, time-stamps and evidence records are about.
	SignedData   []SignedData  `json:"signed_data"`
	TrustedLists []TrustedList `json:"trusted_lists"`

	// Cut says what a bound kept out of the trace, "" for nothing: the conclusions are whole all the same.
	Cut string `json:"cut,omitempty"`
}

// The first letters of ids.
const (
	SignatureID      = "S-"
	TimestampID      = "T-"
	EvidenceRecordID = "E-"
	CertificateID    = "C-"
	RevocationID     = "R-"
	SignedDataID     = "D-"
	TrustedListID    = "L-"
)

// Policy is the validation policy.
type Policy struct {
	Name        string `json:"name"`
	Version     string `json:"version"`
	Digest      string `json:"digest" text:"-"` // SHA-256 of its canonical data, lower-case hex
	Description string `json:"description,omitempty"`
}

// Container is the associated signature container of EN 319 162 that the document is.
type Container struct {
	Type string `json:"type"` // "ASiC-S" or "ASiC-E"
	// Mimetype is what it declares to be, in the entry of that name or, where there is none, in Comment.
	Mimetype    string     `json:"mimetype,omitempty"`
	HasMimetype bool       `json:"has_mimetype"`
	Comment     string     `json:"comment,omitempty"` // of the ZIP file
	Files       []string   `json:"files"`             // data objects
	Manifests   []Manifest `json:"manifests"`
}

// Manifest is one of a container: it names a signature, time-stamp or evidence record, and files.
type Manifest struct {
	Name   string   `json:"name"`
	Target string   `json:"target,omitempty"` // "" where it is not there, or the manifest names none
	Files  []string `json:"files"`
}

// TrustedList is one of the lists that trust came from.
type TrustedList struct {
	ID         string    `json:"id"`
	Parent     string    `json:"parent,omitempty"`    // id of the list of the lists that names it
	File       string    `json:"file"`                // the name that it lies under
	Location   string    `json:"location,omitempty"`  // the URL that a list above it names; "" where none does
	Territory  string    `json:"territory,omitempty"` // such as "PL"
	Type       string    `json:"type,omitempty"`      // TSLType, a URI
	Version    int       `json:"version,omitempty"`   // TSLVersionIdentifier
	Sequence   int       `json:"sequence,omitempty"`
	Issued     time.Time `json:"issued,omitzero"`
	NextUpdate time.Time `json:"next_update,omitzero"`
	Role       string    `json:"role,omitempty"` // "lotl", "pivot", "national", "extra"
	Services   int       `json:"services,omitempty"`
	// it counted: its signature verifies, by a signer that the list above names
	WellSigned bool   `json:"well_signed"`
	Error      string `json:"error,omitempty"` // why it did not count
}
