package trace

import "time"

// Digest is a digest with its algorithm by the registry name of verify/algorithm, such as "SHA-256". Value is nil where
// it could not be read.
type Digest struct {
	Algorithm string `json:"algorithm,omitempty"`
	Value     []byte `json:"value,omitempty"`
}

// Signature is one signature: what it holds, and what was concluded.
type Signature struct {
	ID string `json:"id"`
	// Name is the one that it has in the document (Signature@Id) and in the compact report.
	Name      string `json:"name,omitempty"`
	Filename  string `json:"filename,omitempty"` // the container's entry that holds it
	Format    string `json:"format"`             // "XAdES", "CAdES", "PAdES", "JAdES", "CMS", "XMLDSig", "PDF", "JWS"
	Container string `json:"container,omitempty"`
	Form      string `json:"form,omitempty"`  // the level that it has the form of, such as "B-LT"
	Level     string `json:"level,omitempty"` // what is left of it, as the compact report has it
	// Parent is the id of the signature that this one countersigns, "" for none.
	Parent string `json:"parent,omitempty"`

	SigningTime *time.Time       `json:"signing_time,omitempty"` // claimed by the signer
	Attributes  Attributes       `json:"attributes"`
	Policy      *SignaturePolicy `json:"signature_policy,omitempty"`
	PDF         *PDF             `json:"pdf,omitempty"`

	Structure  []string    `json:"structure,omitempty"` // what makes it ill-formed
	References []Reference `json:"references"`
	Basic      Basic       `json:"basic_signature"`
	// Value is the signature value; DataToBeSigned the digest of what it is over (SignedInfo, the signed attributes).
	Value          []byte `json:"value,omitempty"`
	DataToBeSigned Digest `json:"data_to_be_signed,omitzero"`
	// HashOnly is true where a digest stood in for the signer's document.
	HashOnly bool `json:"hash_only,omitempty"`

	// SigningCertificate is the id of the signing certificate, "" where it is not known whose signature it is.
	SigningCertificate string `json:"signing_certificate,omitempty"`
	// Identifier is by what a CMS names it.
	Identifier *SignerIdentifier `json:"signer_identifier,omitempty"`
	// SigningCertificateRefs are the digests by which signed attributes name certificates.
	SigningCertificateRefs []CertificateRef `json:"signing_certificate_refs,omitempty"`
	// Chain is the best path that was found, the signing certificate first, the anchor last.
	Chain []ChainItem `json:"chain,omitempty"`

	Found           Found    `json:"found"`
	Timestamps      []string `json:"timestamps,omitempty"`
	EvidenceRecords []string `json:"evidence_records,omitempty"`
	Scopes          []Scope  `json:"scopes"`

	// BestSignatureTime is the earliest time at which it is proven to have existed (5.5.4).
	BestSignatureTime Proof `json:"best_signature_time"`

	// Uses are those of algorithms, each judged at BestSignatureTime by the policy's table, also where the course of
	// validation ended before.
	Uses []Crypto `json:"uses,omitempty"`
	// Conclusion is that of the validation as a whole, equal to the compact report's.
	Conclusion    Conclusion    `json:"conclusion"`
	Qualification Qualification `json:"qualification"`
	// Blocks are the building blocks: FC, ISC, VCI, CV, XCV, SAV, in the standard's order, then PSV, PCV, VTS where they
	// were gone through. Processes are BASIC, LTVM and LTA (5.3, 5.5, 5.6).
	Blocks    []Block `json:"blocks"`
	Processes []Block `json:"processes"`
}

// Attributes are claims of the signer beside the signing time.
type Attributes struct {
	ContentType string       `json:"content_type,omitempty"` // OID
	MimeType    string       `json:"mime_type,omitempty"`
	Roles       []string     `json:"roles,omitempty"` // claimed
	Commitments []Commitment `json:"commitments,omitempty"`
	Place       *Place       `json:"place,omitempty"`
}

// Commitment is a commitment type that the signer gives.
type Commitment struct {
	ID            string   `json:"id"` // OID or URI
	Description   string   `json:"description,omitempty"`
	Documentation []string `json:"documentation,omitempty"` // URIs
	// References are the URIs of the references that it is about; none where it is about all.
	References []string `json:"references,omitempty"`
}

// Place is where the signature is claimed to have been made.
type Place struct {
	Address []string `json:"address,omitempty"` // lines
	Street  string   `json:"street,omitempty"`
	City    string   `json:"city,omitempty"`
	State   string   `json:"state,omitempty"`
	Postal  string   `json:"postal_code,omitempty"`
	Country string   `json:"country,omitempty"`
}

// SignaturePolicy is the policy that the signer names. Nothing of it is fetched.
type SignaturePolicy struct {
	ID            string   `json:"id"` // OID or URI, "implied" where the signer says so
	Description   string   `json:"description,omitempty"`
	Documentation []string `json:"documentation,omitempty"` // URIs
	URL           string   `json:"url,omitempty"`
	Notice        string   `json:"notice,omitempty"`
	Digest        Digest   `json:"digest,omitzero"`
	// Checked is whether the digest was compared with a policy document that the signature carries; Matches, that it is
	// that document's.
	Checked bool `json:"checked"`
	Matches bool `json:"matches"`
}

// PDF is where a signature or time-stamp stands in a PDF document.
type PDF struct {
	Fields      []string `json:"fields,omitempty"` // fully qualified names of its fields
	SignerName  string   `json:"signer_name,omitempty"`
	Type        string   `json:"type,omitempty"`
	Filter      string   `json:"filter,omitempty"`
	SubFilter   string   `json:"sub_filter,omitempty"`
	ContactInfo string   `json:"contact_info,omitempty"`
	Location    string   `json:"location,omitempty"`
	Reason      string   `json:"reason,omitempty"`
	ByteRange   []int64  `json:"byte_range,omitempty"`
	Changes     []Change `json:"changes,omitempty"` // what later revisions did, as the compact report tells
}

// Change is one thing that a later revision did.
type Change struct {
	Kind      string `json:"kind"` // as the compact report names it
	Revision  int    `json:"revision,omitempty"`
	Page      int    `json:"page,omitempty"`
	Object    string `json:"object,omitempty"`
	What      string `json:"what"`
	Forbidden string `json:"forbidden,omitempty"` // the constraint that does not allow it
}

// Reference is one covered datum: a digest matcher.
type Reference struct {
	// Type is "data", "signed-properties", "key-info", "manifest", "manifest-entry", "counter-signature",
	// "message-digest", "byte-range", "object", "orphan" or "timestamp-imprint".
	Type   string `json:"type"`
	Name   string `json:"name,omitempty"`   // URI or file name
	XMLID  string `json:"xml_id,omitempty"` // of the ds:Reference
	Digest Digest `json:"digest,omitzero"`
	Found  bool   `json:"found"`
	Intact bool   `json:"intact"`
	// Optional is true for what is not at hand and need not be (XMLDSig 5.1).
	Optional   bool   `json:"optional,omitempty"`
	Unchecked  string `json:"unchecked,omitempty"` // why a digest could not be computed
	SignedData string `json:"signed_data,omitempty"`
	// Document is the name of the file that it is found in, "" for what the document itself holds.
	Document string `json:"document,omitempty"`
}

// Scope is what of a data object is covered.
type Scope struct {
	SignedData  string `json:"signed_data"` // id
	Name        string `json:"name,omitempty"`
	Description string `json:"description"`
	Partial     bool   `json:"partial,omitempty"` // less than the named thing itself
	// Transforms are the URIs of what was done to it before it was digested.
	Transforms string `json:"transforms,omitempty"` // a blank between them
}

// SignedData is one data object that something is about.
type SignedData struct {
	ID   string `json:"id"`
	Name string `json:"name,omitempty"`
	// Digest is the one that the first reference to it has.
	Digest Digest `json:"digest,omitzero"`
}

// Basic is the cryptographic core of anything signed. The names are parts of the registry name: "RSA-PSS-SHA256" has
// the scheme "RSA-PSS" and the digest "SHA-256".
type Basic struct {
	Algorithm string `json:"algorithm,omitempty"` // registry name of verify/algorithm, "" where it is not known
	Scheme    string `json:"scheme,omitempty"`    // "RSA", "RSA-PSS", "ECDSA", "DSA", "Ed25519", ...
	Digest    string `json:"digest,omitempty"`    // "SHA-256"
	KeyBits   int    `json:"key_bits,omitempty"`  // 0 where the key is not known
	// Intact is that the value verifies; Valid, that besides what it covers is what was signed.
	Intact bool `json:"intact"`
	Valid  bool `json:"valid"`
	// Unsupported says why the value could not be checked at all.
	Unsupported string `json:"unsupported,omitempty"`
}

// CertificateRef names a certificate by digest.
type CertificateRef struct {
	Digest      Digest `json:"digest"`
	Certificate string `json:"certificate,omitempty"` // id of the one that it is found to name
	Matches     bool   `json:"matches"`               // it names the signing certificate
	// IssuerSerial is the one that stands beside (RFC 5035 5.4.1), DER; IssuerMatches, that it is the signing
	// certificate's.
	IssuerSerial  []byte `json:"issuer_serial,omitempty"`
	IssuerMatches bool   `json:"issuer_matches,omitempty"`
}

// SignerIdentifier is by what a SignerInfo names its certificate: issuer and serial number, or key (RFC 5652 5.3).
type SignerIdentifier struct {
	Issuer string `json:"issuer,omitempty"`          // RFC 4514
	Serial string `json:"serial,omitempty" text:"-"` // decimal
	KeyID  []byte `json:"key_id,omitempty"`
}

// AuthorityName is the field tsa of a token (RFC 3161 2.4.2), held against the subject of the unit's certificate.
type AuthorityName struct {
	Name    string `json:"name"`     // RFC 4514 for a directory name
	Matches bool   `json:"matches"`  // it has the same attributes
	InOrder bool   `json:"in_order"` // in the same order, too
}

// ChainItem is one certificate of a path.
type ChainItem struct {
	Certificate string `json:"certificate"` // id
	Source      Source `json:"source"`
}

// Source is where a certificate or a revocation datum was come by, named as DSS names the sources of certificates.
type Source string

// The sources. A thing from several has the first of this order as Source.
const (
	FromTrustedStore Source = "TRUSTED_STORE" // an anchor that the administrator gave
	FromTrustedList  Source = "TRUSTED_LIST"  //
	FromSignature    Source = "SIGNATURE"     // the document, for a signature
	FromTimestamp    Source = "TIMESTAMP"     // a time-stamp token, of an evidence record too
	FromOCSP         Source = "OCSP_RESPONSE" // an answer, wherever that is from
	FromCache        Source = "CACHED"        // gathered beside the document, and at hand
	FromNetwork      Source = "EXTERNAL"      // gathered beside the document, and asked for on its behalf
	FromOutside      Source = "OTHER"         // given with the document
)

// Found is the evidence that something carries.
type Found struct {
	Certificates []Carried `json:"certificates,omitempty"`
	Revocations  []Carried `json:"revocations,omitempty"`
}

// Carried is a certificate or revocation datum that something carries, with the parts that hold it.
type Carried struct {
	Object  string   `json:"object"`            // id of a certificate, a revocation datum or an orphan
	Origins []Origin `json:"origins,omitempty"` // none where that is not known
}

// Origin is a part of a document that carries evidence, named as DSS names those of certificates: "KEY_INFO",
// "CERTIFICATE_VALUES", "DSS_DICTIONARY", ... (package signature lists them).
type Origin string

// Orphan is a certificate or revocation datum in the document on which no conclusion rests.
type Orphan struct {
	ID   string `json:"id"`   // C- or R- and its SHA-256
	Kind string `json:"kind"` // "certificate", "CRL" or "OCSP"
	DER  []byte `json:"-"`    // nil where there is too much of it
}

// Timestamp is one RFC 3161 token.
type Timestamp struct {
	ID   string `json:"id"`
	Name string `json:"name,omitempty"` // the id in the compact report
	// Type is DSS's: "SIGNATURE_TIMESTAMP", "ARCHIVE_TIMESTAMP", ...
	Type string `json:"type"`
	// Owner is the id of the signature or evidence record that carries it, "" for one of the document.
	Owner  string     `json:"owner,omitempty"`
	Time   *time.Time `json:"time,omitempty"` // genTime
	DER    []byte     `json:"-"`              // the token
	Digest Digest     `json:"digest"`         // SHA-256 of the token
	// Archive is the kind of an archive time-stamp as DSS names it: "XAdES", "XAdES_141", "CAdES_V2", "CAdES_V3",
	// "CAdES_DETACHED" of a container, "JAdES", "PAdES", or the Type of the evidence record that it is part of.
	Archive  string `json:"archive,omitempty"`
	Renewal  string `json:"renewal,omitempty"`  // within an evidence record: "timestamp" or "hash-tree", what it renews
	Filename string `json:"filename,omitempty"` // the container's entry that holds it
	PDF      *PDF   `json:"pdf,omitempty"`

	// Identifiers are by what the token names who signed it: one, as it should be.
	Identifiers []SignerIdentifier `json:"signer_identifiers,omitempty"`
	// SigningCertificateRefs are the digests by which it names certificates.
	SigningCertificateRefs []CertificateRef `json:"signing_certificate_refs,omitempty"`
	TSA                    *AuthorityName   `json:"tsa,omitempty"`

	Structure  []string    `json:"structure,omitempty"`
	References []Reference `json:"references"` // the imprint first
	Basic      Basic       `json:"basic_signature"`

	SigningCertificate string      `json:"signing_certificate,omitempty"`
	Chain              []ChainItem `json:"chain,omitempty"`
	Found              Found       `json:"found"`
	// Covers are the ids of what it proves to have existed: S-, C-, R-, T-, D- and E-.
	Covers []string `json:"covers,omitempty"`

	// Scopes are the data that it is about: those of its signature, for one over data, or of its manifest, its byte range.
	Scopes []Scope `json:"scopes,omitempty"`

	// Existence is the earliest time at which the token itself is proven to have existed.
	Existence Proof `json:"existence"`

	Uses       []Crypto   `json:"uses,omitempty"` // as Signature.Uses, at Existence
	Conclusion Conclusion `json:"conclusion"`
	// Qualification is "QTSA", "TSA" or "N/A"; Listed are those of the services above the unit at Time and at Existence,
	// none where no list stands above it.
	Qualification string      `json:"qualification"`
	Listed        []StampedAt `json:"listed,omitempty"`
	Blocks        []Block     `json:"blocks"`    // FC, ISC, CV, XCV, SAV
	Processes     []Block     `json:"processes"` // TST (5.4), LTA (5.6.3)
}

// StampedAt is what the lists say of a time-stamping unit at a time.
type StampedAt struct {
	Time          time.Time `json:"time"`
	Qualification string    `json:"qualification"` // "QTSA", "TSA" or "N/A"
}

// EvidenceRecord is one evidence record (RFC 4998, RFC 6283).
type EvidenceRecord struct {
	ID         string      `json:"id"`
	Name       string      `json:"name,omitempty"`
	Type       string      `json:"type"`            // "ASN1_EVIDENCE_RECORD" or "XML_EVIDENCE_RECORD"
	Owner      string      `json:"owner,omitempty"` // id of the signature that it belongs to
	Origin     string      `json:"origin"`          // "SIGNATURE", "CONTAINER" or "EXTERNAL": where it lies
	Filename   string      `json:"filename,omitempty"`
	Digest     Digest      `json:"digest,omitzero"` // of the record's octets, where known
	Structure  []string    `json:"structure,omitempty"`
	References []Reference `json:"references"`
	Timestamps []string    `json:"timestamps"` // ids, oldest first
	Scopes     []Scope     `json:"scopes"`
	Covers     []string    `json:"covers,omitempty"`

	// Time is when what it covers is proven to have existed, nil where it did not pass.
	Time       *time.Time `json:"time,omitempty"`
	Uses       []Crypto   `json:"uses,omitempty"` // of its hash trees, as Signature.Uses, at Time or the validation
	Conclusion Conclusion `json:"conclusion"`
	Blocks     []Block    `json:"blocks"`    // FC, CV, SAV
	Processes  []Block    `json:"processes"` // ER
}

// Proof is a proof of existence.
type Proof struct {
	Time time.Time `json:"time"`
	By   string    `json:"by,omitempty"` // id of the time-stamp that proves it; "" is the validation itself
}
