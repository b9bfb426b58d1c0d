// Package signature describes what a signed document holds: facts that follow from its bytes
// alone. Readers of the formats (verify/xades, verify/cades, verify/pades, verify/asic) fill it in,
// verify.Judge draws the conclusions. Nothing here knows a trust anchor, a clock or the network.
package signature

import (
	"fmt"
	"net/url"
	"slices"
	"strings"
	"time"

	"trustcore/verify/algorithm"
)

// Format is the signature format as reports name it.
type Format string

// The formats. The last four are the plain ones: no signing-certificate attribute that ETSI asks for.
const (
	XAdES   Format = "XAdES"
	CAdES   Format = "CAdES"
	PAdES   Format = "PAdES"
	JAdES   Format = "JAdES"
	CMS     Format = "CMS"
	XMLDSig Format = "XMLDSig"
	PDF     Format = "PDF"
	JWS     Format = "JWS"
)

// Container is the associated signature container of ETSI EN 319 162 that the signature lies in, or "".
type Container string

// The containers.
const (
	NoContainer Container = ""
	ASiCE       Container = "ASiC-E"
	ASiCS       Container = "ASiC-S"
)

// Signature is one signature with everything that travels with it.
type Signature struct {
	ID        string    // unique in the document and stable: the XML Id, or "S-" and a digest prefix
	Format    Format    //
	Container Container //
	Filename  string    // the container's entry that holds the signature, or ""
	Level     string    // "B-B", "B-T", "B-LT", "B-LTA", the older names (BES, EPES, T, LT, C, X, XL, A), for CMS B, T, LT, LTA, or ""

	// CounterSignatureOf is the ID of the signature that this one countersigns, or "".
	CounterSignatureOf string

	// Structure lists what makes the signature ill-formed (EN 319 102-1, 5.2.2 format checking). Not
	// empty means FORMAT_FAILURE.
	Structure []string
	// Constraints say why the signature, though it verifies, signs nothing that a reader takes for content, or
	// leans on what it must not (EN 319 102-1, 5.2.8). Not empty means INDETERMINATE, SIG_CONSTRAINTS_FAILURE.
	Constraints []string
	// Strays are what stands in an XML signature unsigned and is nothing that the specifications define there: a
	// reader may take it for content, and anybody may have put it there.
	Strays []string
	// Unchecked says which limit kept the signature from being checked to its end, or "". It accuses nobody.
	Unchecked string
	// Notes are remarks for the report that change no verdict, such as a tolerated encoding.
	Notes []string

	SigningTime time.Time // claimed by the signer, UTC; zero where absent
	PolicyOID   string    // explicit signature policy (EPES), "implied", or ""
	// Policy is what the signer says of that policy beside its identifier; nil where nothing is.
	Policy *Policy
	// Claims are further signed attributes: nobody has checked what they say.
	Claims Claims

	// Signer is the DER of the signing certificate: the one that the signing-certificate attribute or
	// the signer identifier names and whose key verifies the value; nil when none was found.
	Signer []byte
	// Binding says whether the signing-certificate attribute (ESS v1/v2, xades:SigningCertificate and
	// V2, or a signed KeyInfo) protects Signer.
	Binding Binding

	// Intact is true when the signature value verifies with Signer's key over SignedInfo, the signed
	// attributes or the content.
	Intact bool
	// Unsupported says why the signature value could not be checked at all, such as an algorithm that is not known, or
	// "". The value may be right: nobody is accused.
	Unsupported string
	// References are all references, message digests, manifest entries and the byte range. The
	// signature covers what each of them names.
	References []Reference

	// Changes are what the file's revisions after the signed one did, oldest first (PDF).
	Changes []Change
	// Unsigned are files of the container that this signature does not cover and whoever opens it sees.
	Unsigned []string
	// NoManifest is true in an ASiC-E container without any manifest: EN 319 162-1 leaves that to XML signatures,
	// DSS refuses it (ManifestFilePresent).
	NoManifest bool

	// Algorithms are all uses of algorithms, to be judged at the time of their proof of existence.
	Algorithms []AlgorithmUse

	Timestamps []*Timestamp // content, signature, archive and further time-stamps, in document order
	// EvidenceRecords are those that the signature carries or that cover it, in document order.
	EvidenceRecords []*EvidenceRecord

	// Evidence carried by the document for this signature, in any order, with repeats.
	Certificates [][]byte // DER Certificate, Signer included
	CRLs         [][]byte // DER CertificateList
	OCSPs        [][]byte // DER OCSPResponse (a bare BasicOCSPResponse is wrapped by the reader)
	// Carried tells which part carries what of them, for a trace; what the reader could not tell is in none.
	Carried []Values

	// Value is the digest (SHA-256) of the signature value: what a proof of existence is about.
	Value [32]byte
	// SignatureValue is the value itself, nil where there is none; DataToBeSigned the digest of what it is over, where
	// the reader computed one.
	SignatureValue []byte
	DataToBeSigned Digest
	// CertificateRefs are those by which signed attributes name certificates, the signing one's first.
	CertificateRefs []CertificateRef
	Identifier      *SignerIdentifier // of a CMS, else nil
	MimeType        string            // of the first data object that the signer gives one
	Dictionary      *Dictionary       // nil for what is no PDF signature

	Signatory Signatory
}

// Binding is the outcome of the signing-certificate attribute check.
type Binding int

// The outcomes of the check.
const (
	BindingAbsent   Binding = iota // no attribute
	BindingMatches                 // the attribute's digest is the signing certificate's
	BindingMismatch                // an attribute is there and names another certificate
)

// Digest is a digest with the name of its algorithm in the registry of verify/algorithm; the zero value is none.
type Digest struct {
	Algorithm string
	Value     []byte
}

// CertificateRef names a certificate by its digest.
type CertificateRef struct {
	Digest
	// IssuerSerial is the IssuerSerial of RFC 5035 5.4.1 that stands beside, as encoded; nil for none.
	IssuerSerial []byte
}

// SignerIdentifier is by what a SignerInfo names its certificate (RFC 5652 5.3): issuer and serial number, or key.
type SignerIdentifier struct {
	Issuer []byte // Name, DER
	Serial []byte // content octets of the INTEGER
	KeyID  []byte
}

// Policy is what a signer says of the signature policy that he names (EN 319 122-1 5.2.9, EN 319 132-1 5.2.9, TS 119 182-1
// 5.2.7). Nothing of it is fetched.
type Policy struct {
	Description   string
	Documentation []string // URIs
	URL           string   // of the policy document
	Notice        string   // what a reader is to be told
	Digest        Digest   // of the policy document, zero for none
	// Stored is true where the signature itself carries a policy document that could be digested, and Matches, where that
	// is the one whose digest is signed.
	Stored, Matches bool
}

// Claims are signed attributes that say what the signature is meant for and where it was made.
type Claims struct {
	ContentType string // OID
	Commitments []Commitment
	Place       *Place // nil for none
}

// Commitment is one commitment type (EN 319 122-1 5.2.3).
type Commitment struct {
	ID          string // OID or URI
	Description string
	// Documentation are URIs of what describes it, Objects those of the references that it is about; none for all.
	Documentation, Objects []string
}

// MaxClaims bounds the entries of a list of claims that a reader takes; real ones have one or two.
const MaxClaims = 64

// Place is where the signature is claimed to have been made (EN 319 122-1 5.2.5).
type Place struct {
	Address                              []string // lines of a postal address
	Street, City, State, Postal, Country string
}

// Dictionary is the signature dictionary of a PDF (ISO 32000-2, table 255) as it stands there.
type Dictionary struct {
	Field                               string // the fully qualified name of its field
	Type, Filter, SubFilter             string
	Name, Reason, Location, ContactInfo string
	ByteRange                           []int64
}

// Reference is one covered datum.
type Reference struct {
	Name   string // URI, file name, "message digest", "byte range"
	ID     string // of the ds:Reference, or ""
	Type   string // "data", "signed-properties", "key-info", "manifest", "manifest-entry", "counter-signature", "message-digest", "byte-range", "object"
	Digest Digest // as it stands in the signature
	Found  bool   // the data could be found
	Intact bool   // the digest matches; false when not found
	// Optional is true where the data are not found and need not be: an entry of a ds:Manifest, which XML Signature 1.1,
	// 5.1 leaves to the application. It is no part of what is covered.
	Optional bool
	// Unchecked says why a digest could not be computed, such as a transform that is not supported, or "". The
	// data may be what was signed: nobody is accused of a change.
	Unchecked string
	// Empty is true where the reference covers no octet that anybody could take for content.
	Empty bool
	// Scope tells a person what is covered, such as "the whole document but the signature", "partial PDF: revision 2 of 3".
	Scope string
	// Full is true when the named datum is covered in full (not a part of a file or document).
	Full bool
	// Outside is true where the datum lies beside the document, in another file.
	Outside bool
	// Transforms are the URIs of what was done to the datum before it was digested, in their order.
	Transforms []string
}

// Change is one thing that a later revision of a PDF did to what was signed.
type Change struct {
	Kind     ChangeKind
	Revision int    // the one that did it, 1 for the file's first
	Object   string // "12 0", or "" where it is no object
	Page     int    // 1 for the first page, 0 where it is on none
	What     string // in words, for experts: "the text of field \"kwota\" was changed"
	// Rule is what does not allow the change, "" where it is allowed.
	Rule Rule
}

// ChangeKind groups changes as a sentence tells them to a clerk.
type ChangeKind string

// The kinds of changes.
const (
	ChangeValidationData ChangeKind = "validation-data" // DSS, VRI: evidence about signatures
	ChangeTimestamp      ChangeKind = "timestamp"       // a document time-stamp
	ChangeSignature      ChangeKind = "signature"       // a further signature, its field included
	ChangeField          ChangeKind = "field"           // a form field was filled
	ChangeAnnotation     ChangeKind = "annotation"      // a comment or other annotation was added
	ChangeMetadata       ChangeKind = "metadata"        // the description of the document, seen on no page
	ChangeContent        ChangeKind = "content"         // what a page shows, or does, is another
	ChangePage           ChangeKind = "page"            // pages were added, removed, moved
	ChangeRemoval        ChangeKind = "removal"         // an annotation, field or appearance was removed or replaced
	ChangeOther          ChangeKind = "other"           // anything else: nobody knows what it shows
)

// Rule is what forbids a change, named as constraints of DSS name it.
type Rule string

// The rules.
const (
	RuleNone           Rule = ""
	RulePageDifference Rule = "PdfPageDifference"   // the number of pages
	RuleVisual         Rule = "PdfVisualDifference" // what pages show
	RuleDocMDP         Rule = "DocMDP"              // the certification's permission (ISO 32000-2 12.8.2.2)
	RuleFieldMDP       Rule = "FieldMDP"            // locked fields (12.8.2.4)
	RuleLock           Rule = "SigFieldLock"        // the signature field's Lock dictionary (12.7.5.5)
	RuleUndefined      Rule = "UndefinedChanges"    // what no signature allows
	RuleFieldName      Rule = "FieldName"           // two fields of one full name
)

// AlgorithmUse is one use of one algorithm.
type AlgorithmUse struct {
	Purpose   string // "signature", "reference", "message-digest", "signing-certificate", "timestamp-imprint", "timestamp-signature"
	Algorithm string // registry name of verify/algorithm: "SHA-256", "RSA-PKCS1-SHA256", "RSA-PSS-SHA256", "ECDSA-SHA384", ...
	KeyBits   int    // size of the key in bits for signatures, else 0
}

// Timestamp is one RFC 3161 token and what it covers.
type Timestamp struct {
	ID        string
	Type      TimestampType
	Token     []byte    // DER or BER of the ContentInfo
	Time      time.Time // genTime, UTC
	Digest    Digest    // messageImprint
	Structure []string  // what makes the token ill-formed
	// Demands are what RFC 3161 asks of the token beside that and is not met; a policy says whether they refuse.
	// The certificate's purpose and the ESS attribute (Binding) are not repeated here.
	Demands []string

	Signer  []byte  // DER of the TSU's certificate or nil
	Binding Binding // ESSCertID(V2) of the token
	Intact  bool    // the token's own CMS signature verifies and its message digest is TSTInfo's
	Found   bool    // what the imprint is about could be assembled
	Imprint bool    // the imprint matches it
	// References are the entries of the container's manifest that the imprint is of; Found and Imprint speak of them too.
	References []Reference
	// Unsupported says why the token's value could not be checked at all, or "", as Signature.Unsupported does.
	Unsupported string

	Algorithms   []AlgorithmUse
	Certificates [][]byte
	CRLs         [][]byte
	OCSPs        [][]byte
	Carried      []Values // as Signature.Carried
	// CertificateRefs are those by which the token names certificates, as Signature.CertificateRefs.
	CertificateRefs []CertificateRef
	Filename        string      // the container's entry that holds it, or ""
	Dictionary      *Dictionary // nil for what is no time-stamp of a PDF
	Namespace       string      // of the XML property that holds it, or ""
	Renewal         Renewal     // of an evidence record

	// Covers are SHA-256 digests of the objects that the token proves to have existed at Time:
	// signature values (Signature.Value), certificates, CRLs, OCSP responses, other tokens.
	Covers [][32]byte
	// CoversSignature is true when the token covers the signature value that carries it.
	CoversSignature bool
}

// EvidenceRecord is one evidence record (RFC 4998, RFC 6283): a chain of archive time-stamps over hash trees.
type EvidenceRecord struct {
	ID   string             // unique in the document and stable
	Type EvidenceRecordType //
	// Digest is the SHA-256 of its octets.
	Digest   Digest
	Origin   RecordOrigin // where it lies
	Filename string       // the container's entry or the file that holds it, or ""
	// Structure is what makes the record ill-formed: its hash trees and chains included (RFC 4998 4.3, 5.3).
	Structure []string
	Unchecked string // which limit kept it from being checked to its end, or ""
	// References are the data objects that the record is about: Found and Intact as of a signature's references. A
	// record that names others than those at hand has a reference for each that is not Found.
	References []Reference
	// Timestamps are the archive time-stamps, oldest first. Each covers what it renews, its evidence included; the
	// first one of the record, the data objects.
	Timestamps []*Timestamp
	Algorithms []AlgorithmUse // of the hash trees, purpose "evidence-record"
	// Covers are SHA-256 digests of the objects that the record proves to have existed at the time of its first
	// archive time-stamp, as Timestamp.Covers; CoversSignature as there.
	Covers          [][32]byte
	CoversSignature bool
}

// RecordOrigin is where an evidence record lies, named as DSS names it.
type RecordOrigin string

// The places of evidence records.
const (
	RecordOutside     RecordOrigin = "EXTERNAL"  // a file beside the document, or of its own
	RecordInContainer RecordOrigin = "CONTAINER" // a file of META-INF
	RecordInSignature RecordOrigin = "SIGNATURE" // an unsigned attribute
)

// EvidenceRecordType is the syntax of an evidence record, named as DSS names it.
type EvidenceRecordType string

// The syntaxes of evidence records.
const (
	ASN1EvidenceRecord EvidenceRecordType = "ASN1_EVIDENCE_RECORD" // RFC 4998
	XMLEvidenceRecord  EvidenceRecordType = "XML_EVIDENCE_RECORD"  // RFC 6283
)

// Renewal is what an archive time-stamp of an evidence record renews (RFC 4998 5.2).
type Renewal string

// The renewals.
const (
	NoRenewal        Renewal = ""          // it is the first, or belongs to no record
	TimestampRenewal Renewal = "timestamp" // the time-stamp before it
	HashTreeRenewal  Renewal = "hash-tree" // data and chains, by another hash
)

// TimestampType is the kind of a time-stamp, named as DSS names it.
type TimestampType string

// The kinds of time-stamps.
const (
	ContentTimestamp   TimestampType = "CONTENT_TIMESTAMP"
	AllDataTimestamp   TimestampType = "ALL_DATA_OBJECTS_TIMESTAMP"
	IndividualData     TimestampType = "INDIVIDUAL_DATA_OBJECTS_TIMESTAMP"
	SignatureTimestamp TimestampType = "SIGNATURE_TIMESTAMP"
	RefsOnlyTimestamp  TimestampType = "VALIDATION_DATA_REFSONLY_TIMESTAMP"
	SigAndRefs         TimestampType = "VALIDATION_DATA_TIMESTAMP"
	ArchiveTimestamp   TimestampType = "ARCHIVE_TIMESTAMP"
	DocumentTimestamp  TimestampType = "DOCUMENT_TIMESTAMP" // PDF
	VRITimestamp       TimestampType = "VRI_TIMESTAMP"      // PDF, in a validation-related information dictionary
	RecordTimestamp    TimestampType = "EVIDENCE_RECORD_TIMESTAMP"
	ContainerTimestamp TimestampType = "CONTAINER_TIMESTAMP" // ASiC with time assertion
)

// Signatory holds what the signed attributes themselves claim about the person, for the Polish kinds:
// podpis zaufany names the citizen there and not in the certificate.
type Signatory struct {
	GivenName, FamilyName string
	PESEL                 string // never shown unmasked
	Account               string // identifier of the trusted profile
	Roles                 []string

	Form    string // in which the person is named: FormEPSignature, FormPodpisZP, or ""
	Persons int    // how many such forms the signed attributes hold, wherever
	Flaw    string // why the person can't be read as the form demands, or "": the fields above are empty then
}

// The forms of podpis zaufany in XAdES.
const (
	FormEPSignature = "xades-epsignature"
	FormPodpisZP    = "xades-podpiszp"
)

// Root is the root element of an XML document.
type Root struct {
	Space, Local string
	Child        string // the one element of the same namespace that it holds, "" where there are none or more
}

// Document is everything that one reader found in one file.
type Document struct {
	SHA256     []byte // of the octets, where they were hashed while they were read; else nil
	Root       Root   // of an XML document
	Signatures []*Signature
	Timestamps []*Timestamp // those that belong to no signature
	// EvidenceRecords are those that belong to no signature.
	EvidenceRecords []*EvidenceRecord
	Notes           []string // remarks on the file that belong to no signature
	// Unchecked says which limit kept the file from being read to its end, or "".
	Unchecked string
	// Package tells what the container says of itself, as long as the octets of the file are there; nil for what is none. A
	// trace alone asks.
	Package func() *Package `json:"-"`
}

// Package is the directory of a container of EN 319 162.
type Package struct {
	Container   Container
	Mimetype    string // content of the mimetype entry, else what the comment of the ZIP file declares, or ""
	HasMimetype bool   // there is such an entry
	Comment     string // of the ZIP file
	Files       []string
	Manifests   []Manifest
}

// Manifest is one of a container: it names a signature, time-stamp or evidence record, and files.
type Manifest struct {
	Name, Target string // entries; Target is "" where that is not there
	Files        []string
}

// ReferencesIntact is true when the signature has references and every one that is not Optional was found and matches.
func (s *Signature) ReferencesIntact() bool {
	for _, r := range s.References {
		if !r.Intact && !r.Optional {
			return false
		}
	}
	return len(s.References) > 0
}

// Values are the certificates and revocation data that one part of a document carries, as Signature has them.
type Values struct {
	Origin                    Origin
	Certificates, CRLs, OCSPs [][]byte
}

// Origin is a part of a document that carries certificates and revocation data, named as DSS names those of certificates.
type Origin string

// The origins.
const (
	KeyInfo                 Origin = "KEY_INFO"           // ds:KeyInfo, x5c
	SignedData              Origin = "SIGNED_DATA"        // the sets of a CMS SignedData (RFC 5652 5.1)
	CertificateValues       Origin = "CERTIFICATE_VALUES" // and their kin of JAdES and CAdES
	AttributeCertificates   Origin = "ATTR_AUTHORITIES_CERT_VALUES"
	RevocationValues        Origin = "REVOCATION_VALUES"
	AttributeRevocations    Origin = "ATTRIBUTE_REVOCATION_VALUES"
	TimestampValidationData Origin = "TIMESTAMP_VALIDATION_DATA"
	AnyValidationData       Origin = "ANY_VALIDATION_DATA"
	DSSDictionary           Origin = "DSS_DICTIONARY" // of a PDF (ISO 32000-2 12.8.4.3)
	VRIDictionary           Origin = "VRI_DICTIONARY"
	RevocationArchival      Origin = "ADBE_REVOCATION_INFO_ARCHIVAL" // of Adobe, in signed attributes
	InEvidenceRecord        Origin = "EVIDENCE_RECORD"
)

// All are the values of every kind.
func (v Values) All() [][]byte { return slices.Concat(v.Certificates, v.CRLs, v.OCSPs) }

// Any tells whether there is a value of some kind.
func (v Values) Any() bool { return len(v.Certificates)+len(v.CRLs)+len(v.OCSPs) > 0 }

// Carry adds values to those of the signature.
func (s *Signature) Carry(v Values) {
	s.Certificates = append(s.Certificates, v.Certificates...)
	s.CRLs = append(s.CRLs, v.CRLs...)
	s.OCSPs = append(s.OCSPs, v.OCSPs...)
	if v.Any() {
		s.Carried = append(s.Carried, v)
	}
}

// Carry adds values to those of the time-stamp.
func (t *Timestamp) Carry(v Values) {
	t.Certificates = append(t.Certificates, v.Certificates...)
	t.CRLs = append(t.CRLs, v.CRLs...)
	t.OCSPs = append(t.OCSPs, v.OCSPs...)
	if v.Any() {
		t.Carried = append(t.Carried, v)
	}
}

// BoundEvidence leaves of each kind the first most that the signature carries, and notes what it left out.
func (s *Signature) BoundEvidence(most int) {
	for _, all := range [...]*[][]byte{&s.Certificates, &s.CRLs, &s.OCSPs} {
		if len(*all) > most {
			s.Notes = append(s.Notes, fmt.Sprintf("of %d certificates or revocation values only %d are looked at", len(*all), most))
			*all = (*all)[:most]
		}
	}
}

// UncheckedRoles is the note on a signature that names what others are to have said of its signer: attribute certificates
// (RFC 5755) and signed assertions. They have issuers, validities and holders of their own, which nobody has looked at.
const UncheckedRoles = "the signature names roles that somebody else is to have certified (attribute certificates or assertions); " +
	"they are not checked, and nothing is concluded from them"

// NotAbout is the note on files that were given beside a document and are what no signature in it is about: a verdict on
// the document says nothing of them.
const NotAbout = "no signature of the document is about a file that was given beside it"

// Detached is one file that a detached signature may be about: its content, or digests of it where the file itself
// must not leave its office.
type Detached struct {
	Name    string // base name, compared with reference URIs and manifest names
	Content []byte
	// Digests of the content, by the registry name of verify/algorithm ("SHA-256"); Content is nil then.
	Digests map[string][]byte
}

// DigestAlone ends the scope of what was compared by its digest: nobody saw the file itself.
const DigestAlone = ", of which a digest alone was given"

// DigestOnly tells whether digests are all that was given.
func (d *Detached) DigestOnly() bool { return d.Content == nil && len(d.Digests) > 0 }

// DigestBy is the digest that was given by a DigestMethod of XML Signature; nil where none was, or one of another size.
func (d *Detached) DigestBy(method string) []byte {
	h, err := algorithm.HashByURI(method)
	if err != nil || len(d.Digests[h.Name()]) != h.Size() {
		return nil
	}
	return d.Digests[h.Name()]
}

// Spellings are the names of files that a relative URI may mean, the likeliest first: as it is written, without what
// stands for the root, and with its percent-encoding undone. A fragment names no file.
func Spellings(uri string) []string {
	plain := strings.TrimPrefix(strings.TrimPrefix(uri, "./"), "/")
	if plain == "" || uri[0] == '#' {
		return nil
	}
	names := []string{plain}
	if decoded, err := url.PathUnescape(plain); err == nil && decoded != plain {
		names = append(names, decoded)
	}
	if decoded, err := url.QueryUnescape(plain); err == nil && strings.Contains(plain, "+") {
		names = append(names, decoded)
	}
	return names
}
