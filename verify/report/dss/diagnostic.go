package dss

import (
	"encoding/hex"
	"encoding/json"
	"slices"
	"strconv"
	"strings"

	"trustcore/verify/trace"
)

// none is what DSS has and nothing is known of: null.
type none = *struct{}

// DiagnosticData is DSS's (DiagnosticData.xsd).
type DiagnosticData struct {
	DocumentName    string                     `json:"DocumentName"`
	ValidationDate  Time                       `json:"ValidationDate"`
	ContainerInfo   *ContainerInfo             `json:"ContainerInfo"`
	PDFAInfo        none                       `json:"PDFAInfo"`
	ConnectionInfo  none                       `json:"ConnectionInfo"`
	Signatures      []DiagnosticSignature      `json:"Signature"`
	EvidenceRecords []DiagnosticEvidenceRecord `json:"EvidenceRecord"`
	Certificates    []DiagnosticCertificate    `json:"Certificate"`
	Revocations     []DiagnosticRevocation     `json:"Revocation"`
	Timestamps      []DiagnosticTimestamp      `json:"Timestamp"`
	OrphanTokens    *OrphanTokens              `json:"OrphanTokens"`
	SignerData      []SignerData               `json:"SignerData"`
	TrustedLists    []TrustedList              `json:"TrustedList"`
}

// ContainerInfo is about an ASiC container.
type ContainerInfo struct {
	ContainerType       *string        `json:"ContainerType"`
	ZipComment          *string        `json:"ZipComment"`
	MimeTypeFilePresent bool           `json:"MimeTypeFilePresent"`
	MimeTypeContent     *string        `json:"MimeTypeContent"`
	ManifestFile        []ManifestFile `json:"ManifestFile"`
	ContentFile         []string       `json:"ContentFile"`
}

// ManifestFile is a manifest of a container.
type ManifestFile struct {
	Filename          string   `json:"Filename"`
	SignatureFilename *string  `json:"SignatureFilename"`
	Entry             []string `json:"Entry"`
}

// DiagnosticSignature is what one signature holds.
type DiagnosticSignature struct {
	ID                        string            `json:"Id"`
	DAIdentifier              *string           `json:"DAIdentifier"`
	SignatureFilename         string            `json:"SignatureFilename"`
	ErrorMessage              *string           `json:"ErrorMessage"`
	ClaimedSigningTime        *Time             `json:"ClaimedSigningTime"`
	ExpirationTime            none              `json:"ExpirationTime"`
	SignatureFormat           string            `json:"SignatureFormat"`
	JWSSerializationType      none              `json:"JWSSerializationType"`
	SignatureType             none              `json:"SignatureType"`
	StructuralValidation      *Structure        `json:"StructuralValidation"`
	DigestMatchers            []DigestMatcher   `json:"DigestMatcher"`
	BasicSignature            BasicSignature    `json:"BasicSignature"`
	SigningCertificate        *CertificateID    `json:"SigningCertificate"`
	ChainItem                 []ChainItem       `json:"ChainItem"`
	ContentType               *string           `json:"ContentType"`
	MimeType                  *string           `json:"MimeType"`
	ContentIdentifier         none              `json:"ContentIdentifier"`
	ContentHints              none              `json:"ContentHints"`
	SignatureProductionPlace  *Place            `json:"SignatureProductionPlace"`
	CommitmentTypeIndication  []Commitment      `json:"CommitmentTypeIndication"`
	SignerRole                []SignerRole      `json:"SignerRole"`
	Policy                    *SignaturePolicy  `json:"Policy"`
	SignaturePolicyStore      none              `json:"SignaturePolicyStore"`
	SignerInfo                []SignerInfo      `json:"SignerInfo"`
	PDFRevision               *PDFRevision      `json:"PDFRevision"`
	VRIDictionaryCreationTime none              `json:"VRIDictionaryCreationTime"`
	Representations           *Representations  `json:"SignerDocumentRepresentations"`
	FoundCertificates         FoundCertificates `json:"FoundCertificates"`
	FoundRevocations          FoundRevocations  `json:"FoundRevocations"`
	FoundTimestamp            []FoundTimestamp  `json:"FoundTimestamp"`
	FoundEvidenceRecord       []FoundRecord     `json:"FoundEvidenceRecord"`
	SignatureScope            []DiagnosticScope `json:"SignatureScope"`
	SignatureDigestReference  DigestReference   `json:"SignatureDigestReference"`
	DataToBeSigned            *Digest           `json:"DataToBeSignedRepresentation"`
	SignatureValue            []byte            `json:"SignatureValue"`
	Duplicated                *bool             `json:"Duplicated"`
	CounterSignature          *bool             `json:"CounterSignature"`
	Parent                    *string           `json:"Parent"`
}

// DiagnosticTimestamp is what one time-stamp holds.
type DiagnosticTimestamp struct {
	ID                          string              `json:"Id"`
	TimestampFilename           *string             `json:"TimestampFilename"`
	ArchiveTimestampType        *string             `json:"ArchiveTimestampType"`
	EvidenceRecordTimestampType *string             `json:"EvidenceRecordTimestampType"`
	ArchiveTimestampHashIndex   none                `json:"ArchiveTimestampHashIndex"`
	ProductionTime              Time                `json:"ProductionTime"`
	DigestMatchers              []DigestMatcher     `json:"DigestMatcher"`
	BasicSignature              BasicSignature      `json:"BasicSignature"`
	SigningCertificate          *CertificateID      `json:"SigningCertificate"`
	ChainItem                   []ChainItem         `json:"ChainItem"`
	SignerInfo                  []SignerInfo        `json:"SignerInfo"`
	TSAGeneralName              *TSAGeneralName     `json:"TSAGeneralName"`
	PDFRevision                 *PDFRevision        `json:"PDFRevision"`
	FoundCertificates           FoundCertificates   `json:"FoundCertificates"`
	FoundRevocations            FoundRevocations    `json:"FoundRevocations"`
	FoundEvidenceRecord         []FoundRecord       `json:"FoundEvidenceRecord"`
	TimestampedObject           []TimestampedObject `json:"TimestampedObject"`
	TimestampScope              []DiagnosticScope   `json:"TimestampScope"`
	Token
	Duplicated *bool  `json:"Duplicated"`
	Type       string `json:"Type"`
}

// SignerInfo is by what a CMS names its signer.
type SignerInfo struct {
	IssuerName   *string      `json:"IssuerName"`
	SerialNumber *json.Number `json:"SerialNumber"`
	Ski          []byte       `json:"Ski"`
	Current      *bool        `json:"Current"`
}

// TSAGeneralName is the field tsa of a token.
type TSAGeneralName struct {
	Value        string `json:"value"`
	ContentMatch bool   `json:"contentMatch"`
	OrderMatch   bool   `json:"orderMatch"`
}

// DiagnosticEvidenceRecord is what one evidence record holds.
type DiagnosticEvidenceRecord struct {
	ID                   string              `json:"Id"`
	DocumentName         *string             `json:"DocumentName"`
	Type                 string              `json:"Type"`
	Origin               string              `json:"Origin"`
	IncorporationType    none                `json:"IncorporationType"`
	StructuralValidation *Structure          `json:"StructuralValidation"`
	DigestMatchers       []DigestMatcher     `json:"DigestMatcher"`
	FoundTimestamp       []FoundTimestamp    `json:"FoundTimestamp"`
	FoundCertificates    FoundCertificates   `json:"FoundCertificates"`
	FoundRevocations     FoundRevocations    `json:"FoundRevocations"`
	TimestampedObject    []TimestampedObject `json:"TimestampedObject"`
	SignatureScope       []DiagnosticScope   `json:"SignatureScope"`
	Token
	Duplicated *bool   `json:"Duplicated"`
	Embedded   *bool   `json:"Embedded"`
	Parent     *string `json:"Parent"`
}

// DiagnosticRevocation is one CRL or OCSP answer.
type DiagnosticRevocation struct {
	ID                       string            `json:"Id"`
	Origin                   string            `json:"Origin"`
	Type                     string            `json:"Type"`
	SourceAddress            none              `json:"SourceAddress"`
	ProductionDate           *Time             `json:"ProductionDate"`
	ThisUpdate               *Time             `json:"ThisUpdate"`
	NextUpdate               *Time             `json:"NextUpdate"`
	CRLNumber                *json.Number      `json:"CRLNumber"`
	ExpiredCertsOnCRL        *Time             `json:"ExpiredCertsOnCRL"`
	ArchiveCutOff            *Time             `json:"ArchiveCutOff"`
	CertHashExtensionPresent *bool             `json:"CertHashExtensionPresent"`
	CertHashExtensionMatch   *bool             `json:"CertHashExtensionMatch"`
	BasicSignature           BasicSignature    `json:"BasicSignature"`
	SigningCertificate       *CertificateID    `json:"SigningCertificate"`
	ChainItem                []ChainItem       `json:"ChainItem"`
	FoundCertificates        FoundCertificates `json:"FoundCertificates"`
	Token
	Duplicated *bool `json:"Duplicated"`
}

// Token is an object's octets or their digest.
type Token struct {
	Base64Encoded []byte  `json:"Base64Encoded"`
	Digest        *Digest `json:"DigestAlgoAndValue"`
}

// Digest is a digest; null where it could not be read.
type Digest struct {
	DigestMethod *string `json:"DigestMethod"`
	DigestValue  []byte  `json:"DigestValue"`
	Match        *bool   `json:"match"`
}

// DigestReference identifies a signature.
type DigestReference struct {
	CanonicalizationMethod *string `json:"CanonicalizationMethod"`
	DigestMethod           string  `json:"DigestMethod"`
	DigestValue            []byte  `json:"DigestValue"`
}

// Structure is whether something is well-formed.
type Structure struct {
	Message []string `json:"Message"`
	Valid   bool     `json:"valid"`
}

// DigestMatcher is one covered datum.
type DigestMatcher struct {
	DataFound       bool    `json:"DataFound"`
	DataIntact      bool    `json:"DataIntact"`
	ObjectReference none    `json:"ObjectReference"`
	DigestMethod    *string `json:"DigestMethod"`
	DigestValue     []byte  `json:"DigestValue"`
	Match           *bool   `json:"match"`
	Type            string  `json:"type"`
	ID              *string `json:"id"`
	URI             *string `json:"uri"`
	DocumentName    *string `json:"documentName"`
	Duplicated      none    `json:"duplicated"`
}

// BasicSignature is the cryptographic core of anything signed.
type BasicSignature struct {
	EncryptionAlgo  *string `json:"EncryptionAlgoUsedToSignThisToken"`
	KeyLength       *string `json:"KeyLengthUsedToSignThisToken"`
	DigestAlgo      *string `json:"DigestAlgoUsedToSignThisToken"`
	SignatureIntact bool    `json:"SignatureIntact"`
	SignatureValid  bool    `json:"SignatureValid"`
}

// CertificateID refers to a certificate.
type CertificateID struct {
	PublicKey   []byte `json:"PublicKey"`
	Certificate string `json:"Certificate"`
}

// ChainItem is a certificate of a path.
type ChainItem struct {
	Certificate string `json:"Certificate"`
}

// Place is where a signature is claimed to have been made.
type Place struct {
	PostalAddress       []string `json:"PostalAddress"`
	City                *string  `json:"City"`
	StateOrProvince     *string  `json:"StateOrProvince"`
	PostOfficeBoxNumber none     `json:"PostOfficeBoxNumber"`
	PostalCode          *string  `json:"PostalCode"`
	CountryName         *string  `json:"CountryName"`
	StreetAddress       *string  `json:"StreetAddress"`
}

// Commitment is a commitment type.
type Commitment struct {
	Identifier             string   `json:"Identifier"`
	Description            *string  `json:"Description"`
	DocumentationReference []string `json:"DocumentationReference"`
	ObjectReference        []string `json:"ObjectReference"`
	AllDataSignedObjects   *bool    `json:"AllDataSignedObjects"`
}

// SignerRole is a role that the signer claims.
type SignerRole struct {
	Role      string `json:"Role"`
	NotAfter  none   `json:"NotAfter"`
	NotBefore none   `json:"NotBefore"`
	Category  string `json:"Category"`
}

// SignaturePolicy is the policy that the signer names.
type SignaturePolicy struct {
	ID                     string        `json:"Id"`
	URL                    *string       `json:"Url"`
	UserNotice             *UserNotice   `json:"UserNotice"`
	DocSpecification       none          `json:"DocSpecification"`
	Description            *string       `json:"Description"`
	Identified             *bool         `json:"Identified"`
	Asn1Processable        *bool         `json:"Asn1Processable"`
	Transformation         []struct{}    `json:"Transformation"`
	DocumentationReference []string      `json:"DocumentationReference"`
	ProcessingError        *string       `json:"ProcessingError"`
	Digest                 *PolicyDigest `json:"DigestAlgoAndValue"`
}

// UserNotice is what a reader of a signature policy is to be told.
type UserNotice struct {
	Organization  none    `json:"Organization"`
	NoticeNumbers none    `json:"NoticeNumbers"`
	ExplicitText  *string `json:"ExplicitText"`
}

// PolicyDigest is the digest that the signer gives of the policy.
type PolicyDigest struct {
	Digest
	AlgorithmsEqual none `json:"digestAlgorithmsEqual"`
	ZeroHash        none `json:"zeroHash"`
}

// PDFRevision is where a signature stands in a PDF document.
type PDFRevision struct {
	SignatureField         []SignatureField       `json:"SignatureField"`
	PDFSignatureDictionary SignatureDictionary    `json:"PDFSignatureDictionary"`
	ModificationDetection  *ModificationDetection `json:"ModificationDetection"`
}

// ModificationDetection is what later revisions of a PDF did.
type ModificationDetection struct {
	AnnotationOverlap   []PageModification   `json:"AnnotationOverlap"`
	VisualDifference    []PageModification   `json:"VisualDifference"`
	PageDifference      []PageModification   `json:"PageDifference"`
	ObjectModifications *ObjectModifications `json:"ObjectModifications"`
}

// PageModification names a page.
type PageModification struct {
	Page int `json:"Page"`
}

// ObjectModifications are the changes of objects, by what they mean.
type ObjectModifications struct {
	ExtensionChange     []ObjectModification `json:"ExtensionChange"`
	SignatureOrFormFill []ObjectModification `json:"SignatureOrFormFill"`
	AnnotationChange    []ObjectModification `json:"AnnotationChange"`
	Undefined           []ObjectModification `json:"Undefined"`
}

// ObjectModification is one change, in our words: DSS has the path to the object there.
type ObjectModification struct {
	Value     string  `json:"value"`
	Action    *string `json:"action"`
	FieldName none    `json:"fieldName"`
	Type      *string `json:"type"`
}

// SignatureField is a field by its full name.
type SignatureField struct {
	SigFieldLock none   `json:"SigFieldLock"`
	Name         string `json:"name"`
}

// SignatureDictionary is the one of the value.
type SignatureDictionary struct {
	SignerName         *string    `json:"SignerName"`
	Type               *string    `json:"Type"`
	Filter             *string    `json:"Filter"`
	SubFilter          *string    `json:"SubFilter"`
	ContactInfo        *string    `json:"ContactInfo"`
	Location           *string    `json:"Location"`
	Reason             *string    `json:"Reason"`
	SignatureByteRange *ByteRange `json:"SignatureByteRange"`
	DocMDP             none       `json:"DocMDP"`
	FieldMDP           none       `json:"FieldMDP"`
	Consistent         bool       `json:"consistent"`
}

// ByteRange is what is covered, offsets and lengths in octets.
type ByteRange struct {
	Value []int64 `json:"value"`
	Valid bool    `json:"valid"`
}

// Representations says whether digests stood in for documents.
type Representations struct {
	HashOnly    bool `json:"HashOnly"`
	DocHashOnly bool `json:"DocHashOnly"`
}

// FoundTimestamp refers to a time-stamp.
type FoundTimestamp struct {
	Timestamp string `json:"Timestamp"`
}

// FoundRecord refers to an evidence record.
type FoundRecord struct {
	EvidenceRecord string `json:"EvidenceRecord"`
}

// DiagnosticScope is what of a data object is covered.
type DiagnosticScope struct {
	Scope          string   `json:"Scope"`
	Name           string   `json:"Name"`
	Description    string   `json:"Description"`
	Transformation []string `json:"Transformation"`
	SignerData     string   `json:"SignerData"`
}

// TimestampedObject refers to what a time-stamp proves to have existed.
type TimestampedObject struct {
	Token    string `json:"Token"`
	Category string `json:"Category"`
}

// SignerData is a data object.
type SignerData struct {
	ID             string  `json:"Id"`
	ReferencedName *string `json:"ReferencedName"`
	Digest         Digest  `json:"DigestAlgoAndValue"`
	Duplicated     *bool   `json:"Duplicated"`
	Parent         *string `json:"Parent"`
}

// TrustedList is a list that trust came from.
type TrustedList struct {
	ID                   string  `json:"Id"`
	CountryCode          *string `json:"CountryCode"`
	URL                  string  `json:"Url"`
	TSLType              *string `json:"TSLType"`
	SequenceNumber       *int    `json:"SequenceNumber"`
	Version              *int    `json:"Version"`
	LastLoading          none    `json:"LastLoading"`
	IssueDate            *Time   `json:"IssueDate"`
	NextUpdate           *Time   `json:"NextUpdate"`
	WellSigned           bool    `json:"WellSigned"`
	StructuralValidation none    `json:"StructuralValidation"`
	LOTL                 *bool   `json:"LOTL"`
	Parent               *string `json:"parent"`
	MRA                  none    `json:"mra"`
}

func (w *writer) diagnosticData() *DiagnosticData {
	d := &DiagnosticData{DocumentName: w.Name, ValidationDate: moment(w.trace.ValidationTime),
		Signatures: []DiagnosticSignature{}, EvidenceRecords: []DiagnosticEvidenceRecord{},
		Certificates: []DiagnosticCertificate{},
		Revocations:  []DiagnosticRevocation{}, Timestamps: []DiagnosticTimestamp{}, SignerData: []SignerData{},
		TrustedLists: []TrustedList{}}
	if c := w.trace.Container; container(c) != nil {
		d.ContainerInfo = containerInfo(c)
	}
	for i := range w.trace.Signatures {
		d.Signatures = append(d.Signatures, w.diagnosticSignature(&w.trace.Signatures[i]))
	}
	for i := range w.trace.EvidenceRecords {
		d.EvidenceRecords = append(d.EvidenceRecords, w.diagnosticRecord(&w.trace.EvidenceRecords[i]))
	}
	for i := range w.trace.Certificates {
		d.Certificates = append(d.Certificates, w.certificate(&w.trace.Certificates[i]))
	}
	for i := range w.trace.Revocations {
		d.Revocations = append(d.Revocations, w.revocation(&w.trace.Revocations[i]))
	}
	for i := range w.trace.Timestamps {
		d.Timestamps = append(d.Timestamps, w.diagnosticTimestamp(&w.trace.Timestamps[i]))
	}
	for _, s := range w.trace.SignedData {
		d.SignerData = append(d.SignerData, SignerData{ID: s.ID, ReferencedName: orNil(s.Name),
			Digest: digest(s.Digest)})
	}
	for i := range w.trace.TrustedLists {
		if l := w.lists[w.trace.TrustedLists[i].ID]; l != nil {
			d.TrustedLists = append(d.TrustedLists, w.trustedList(l))
		}
	}
	d.OrphanTokens = w.orphanTokens()
	return d
}

func containerInfo(c *trace.Container) *ContainerInfo {
	d := &ContainerInfo{ContainerType: container(c), ZipComment: orNil(c.Comment), MimeTypeFilePresent: c.HasMimetype,
		ManifestFile: []ManifestFile{}, ContentFile: list(c.Files)}
	if c.HasMimetype {
		d.MimeTypeContent = orNil(c.Mimetype)
	}
	for _, m := range c.Manifests {
		d.ManifestFile = append(d.ManifestFile, ManifestFile{m.Name, orNil(m.Target), list(m.Files)})
	}
	return d
}

func (w *writer) diagnosticSignature(s *trace.Signature) DiagnosticSignature {
	d := DiagnosticSignature{
		ID: s.ID, DAIdentifier: identifier(s), SignatureFilename: s.Filename,
		ClaimedSigningTime: momentOrNil(s.SigningTime),
		SignatureFormat:    format(s), StructuralValidation: structure(s.Structure),
		DigestMatchers: matchers(s.References),
		BasicSignature: basic(s.Basic), SigningCertificate: w.certificateID(s.SigningCertificate),
		ChainItem:   w.chain(s.Chain),
		ContentType: orNil(s.Attributes.ContentType), MimeType: orNil(s.Attributes.MimeType),
		SignatureProductionPlace: place(s.Attributes.Place),
		CommitmentTypeIndication: []Commitment{}, SignerRole: []SignerRole{}, Policy: signaturePolicy(s.Policy),
		PDFRevision:       revision(s.PDF),
		Representations:   &Representations{s.HashOnly, s.HashOnly},
		FoundCertificates: w.foundCertificates(s.Found, s.SigningCertificateRefs),
		FoundRevocations:  w.foundRevocations(s.Found),
		SignerInfo:        []SignerInfo{}, FoundTimestamp: w.foundTimestamps(s.Timestamps),
		FoundEvidenceRecord: []FoundRecord{},
		SignatureScope:      diagnosticScopes(s.Scopes, s.Parent != ""), SignatureDigestReference: reference(s.ID),
		SignatureValue:   s.Value,
		CounterSignature: trueOrNil(s.Parent != ""),
	}
	if d.SignatureFilename == "" {
		d.SignatureFilename = w.Name // no container: the document itself holds it
	}
	if s.DataToBeSigned.Value != nil {
		value := digest(s.DataToBeSigned)
		d.DataToBeSigned = &value
	}
	if w.byID[s.Parent] {
		d.Parent = &s.Parent
	}
	if s.Identifier != nil {
		d.SignerInfo = append(d.SignerInfo, signerInfo(*s.Identifier, trueOrNil(true)))
	}
	for _, c := range s.Attributes.Commitments {
		d.CommitmentTypeIndication = append(d.CommitmentTypeIndication, commitment(c))
	}
	for _, r := range s.Attributes.Roles {
		d.SignerRole = append(d.SignerRole, SignerRole{Role: r, Category: "claimed"})
	}
	for _, id := range w.known(s.EvidenceRecords) {
		d.FoundEvidenceRecord = append(d.FoundEvidenceRecord, FoundRecord{id})
	}
	return d
}

// identifier is the one that the signer gave: XML has such.
func identifier(s *trace.Signature) *string {
	if s.Format == "XAdES" || s.Format == "XMLDSig" {
		return orNil(s.Name)
	}
	return nil
}

// reference is the digest by which a signature is identified, that of its id.
func reference(id string) DigestReference {
	value, err := hex.DecodeString(strings.TrimPrefix(id, trace.SignatureID))
	if err != nil {
		value = []byte(id) // a further signature of the same octets, whose id is longer
	}
	return DigestReference{DigestMethod: "SHA256", DigestValue: value}
}

func (w *writer) diagnosticTimestamp(t *trace.Timestamp) DiagnosticTimestamp {
	d := DiagnosticTimestamp{ID: t.ID, Type: t.Type, ProductionTime: productionTime(t),
		DigestMatchers: matchers(t.References),
		BasicSignature: basic(t.Basic), SigningCertificate: w.certificateID(t.SigningCertificate),
		ChainItem:         w.chain(t.Chain),
		FoundCertificates: w.foundCertificates(t.Found, t.SigningCertificateRefs),
		FoundRevocations:  w.foundRevocations(t.Found),
		SignerInfo:        []SignerInfo{}, FoundEvidenceRecord: []FoundRecord{},
		TimestampedObject: w.timestamped(t.Covers, t.Scopes),
		Token:             token(t.DER, t.Digest, w.Tokens.Timestamps),
		TimestampFilename: orNil(t.Filename), ArchiveTimestampType: orNil(archiveTypes[t.Archive]),
		PDFRevision: revision(t.PDF)}
	for i, s := range t.Identifiers {
		d.SignerInfo = append(d.SignerInfo, signerInfo(s, trueOrNil(i == 0)))
	}
	if t.TSA != nil {
		d.TSAGeneralName = &TSAGeneralName{t.TSA.Name, t.TSA.Matches, t.TSA.InOrder}
	}
	if w.records[t.Owner] != nil {
		d.EvidenceRecordTimestampType = orNil(renewals[t.Renewal])
	}
	if len(d.DigestMatchers) == 0 { // DSS's schema has one at least: the imprint, which could not be read
		d.DigestMatchers = []DigestMatcher{{Type: "MESSAGE_IMPRINT"}}
	}
	d.TimestampScope = diagnosticScopes(t.Scopes, false)
	return d
}

// archiveTypes are DSS's names of the kinds of archive time-stamps; a stock client fails on any other.
var archiveTypes = map[string]string{"XAdES": "XAdES", "XAdES_141": "XAdES_141", "CAdES_V2": "CAdES_V2",
	"CAdES_V3": "CAdES_V3", "CAdES_DETACHED": "CAdES_DETACHED", "JAdES": "JAdES", "PAdES": "PAdES",
	"ASN1_EVIDENCE_RECORD": "ASN1_EVIDENCE_RECORD", "XML_EVIDENCE_RECORD": "XML_EVIDENCE_RECORD"}

// renewals are its names of what the time-stamps of evidence records are about.
var renewals = map[string]string{"": "ARCHIVE_TIMESTAMP", "timestamp": "TIMESTAMP_RENEWAL_ARCHIVE_TIMESTAMP",
	"hash-tree": "HASH_TREE_RENEWAL_ARCHIVE_TIMESTAMP"}

func signerInfo(s trace.SignerIdentifier, current *bool) SignerInfo {
	d := SignerInfo{IssuerName: orNil(s.Issuer), Ski: s.KeyID, Current: current}
	if s.Serial != "" {
		number := json.Number(s.Serial)
		d.SerialNumber = &number
	}
	return d
}

func (w *writer) diagnosticRecord(e *trace.EvidenceRecord) DiagnosticEvidenceRecord {
	d := DiagnosticEvidenceRecord{ID: e.ID, Type: "ASN.1 Evidence Record", Origin: e.Origin,
		DocumentName:         orNil(e.Filename),
		StructuralValidation: structure(e.Structure),
		DigestMatchers:       matchers(e.References), FoundTimestamp: w.foundTimestamps(e.Timestamps),
		FoundCertificates: w.foundCertificates(trace.Found{}, nil), FoundRevocations: w.foundRevocations(trace.Found{}),
		TimestampedObject: w.timestamped(e.Covers, e.Scopes), SignatureScope: diagnosticScopes(e.Scopes, false),
		Token: token(nil, e.Digest, false)}
	if e.Type == "XML_EVIDENCE_RECORD" {
		d.Type = "XML Evidence Record"
	}
	for i := range d.DigestMatchers {
		if d.DigestMatchers[i].Type = "EVIDENCE_RECORD_ARCHIVE_OBJECT"; e.References[i].Type == "orphan" {
			d.DigestMatchers[i].Type = "EVIDENCE_RECORD_ORPHAN_REFERENCE"
		}
	}
	if w.byID[e.Owner] {
		d.Parent, d.Embedded = &e.Owner, trueOrNil(e.Origin == "SIGNATURE")
	}
	return d
}

func (w *writer) revocation(r *trace.Revocation) DiagnosticRevocation {
	d := DiagnosticRevocation{ID: r.ID, Type: r.Kind, Origin: "INPUT_DOCUMENT",
		ProductionDate: momentOrNil(r.ProducedAt),
		ThisUpdate:     momentOrNil(r.ThisUpdate), NextUpdate: momentOrNil(r.NextUpdate),
		ExpiredCertsOnCRL: momentOrNil(r.ExpiredCertsSince), ArchiveCutOff: momentOrNil(r.ArchiveCutoff),
		CertHashExtensionPresent: &r.CertHash, CertHashExtensionMatch: &r.CertHashMatches,
		BasicSignature:     basic(r.Basic),
		SigningCertificate: w.certificateID(r.SigningCertificate), ChainItem: w.chain(r.Chain),
		FoundCertificates: w.certificatesOf(r), Token: token(r.DER, idDigest(r.ID), w.Tokens.Revocations)}
	if number := json.Number(r.Number); number != "" {
		d.CRLNumber = &number
	}
	switch r.Source {
	case trace.FromCache:
		d.Origin = "CACHED"
	case trace.FromOutside, trace.FromNetwork:
		d.Origin = "EXTERNAL"
	}
	return d
}

func (w *writer) trustedList(l *trace.TrustedList) TrustedList {
	d := TrustedList{ID: l.ID, CountryCode: orNil(l.Territory), URL: listURL(l), TSLType: orNil(l.Type),
		IssueDate:  momentOrNil(&l.Issued),
		NextUpdate: momentOrNil(&l.NextUpdate), WellSigned: l.WellSigned, LOTL: trueOrNil(l.Role == "lotl")}
	if l.Sequence > 0 {
		d.SequenceNumber = &l.Sequence
	}
	if l.Version > 0 {
		d.Version = &l.Version
	}
	if w.lists[l.Parent] != nil {
		d.Parent = &l.Parent
	}
	return d
}

// token is the octets where they are wanted, else their digest.
func token(der []byte, sum trace.Digest, wanted bool) Token {
	if wanted && len(der) > 0 {
		return Token{Base64Encoded: der}
	}
	d := digest(sum)
	return Token{Digest: &d}
}

// idDigest is the SHA-256 that an id is made of.
func idDigest(id string) trace.Digest {
	_, text, _ := strings.Cut(id, "-")
	text, _, _ = strings.Cut(text, "-")
	value, err := hex.DecodeString(text)
	if err != nil {
		return trace.Digest{}
	}
	return trace.Digest{Algorithm: "SHA-256", Value: value}
}

func digest(d trace.Digest) Digest {
	return Digest{DigestMethod: orNil(digests[d.Algorithm]), DigestValue: d.Value}
}

func basic(b trace.Basic) BasicSignature {
	d := BasicSignature{EncryptionAlgo: orNil(schemes[b.Scheme]), DigestAlgo: orNil(digests[b.Digest]),
		SignatureIntact: b.Intact, SignatureValid: b.Valid}
	if b.KeyBits > 0 {
		size := strconv.Itoa(b.KeyBits)
		d.KeyLength = &size
	}
	return d
}

func structure(faults []string) *Structure {
	return &Structure{Message: list(faults), Valid: len(faults) == 0}
}

// matcherTypes are DSS's names of the kinds of references.
var matcherTypes = map[string]string{
	"data": "REFERENCE", "signed-properties": "SIGNED_PROPERTIES", "key-info": "KEY_INFO", "manifest": "MANIFEST",
	"manifest-entry": "MANIFEST_ENTRY", "counter-signature": "COUNTER_SIGNATURE", "message-digest": "MESSAGE_DIGEST",
	"byte-range": "MESSAGE_DIGEST", "object": "OBJECT", "orphan": "EVIDENCE_RECORD_ORPHAN_REFERENCE",
	"timestamp-imprint": "MESSAGE_IMPRINT",
}

func matchers(references []trace.Reference) []DigestMatcher {
	matchers := []DigestMatcher{}
	for _, r := range references {
		kind := matcherTypes[r.Type]
		if kind == "" {
			kind = "REFERENCE"
		}
		matchers = append(matchers, DigestMatcher{DataFound: r.Found, DataIntact: r.Intact,
			DigestMethod: orNil(digests[r.Digest.Algorithm]),
			DigestValue:  r.Digest.Value, Type: kind, ID: orNil(r.XMLID), URI: orNil(r.Name),
			DocumentName: orNil(r.Document)})
	}
	return matchers
}

func (w *writer) certificateID(id string) *CertificateID {
	if w.certificates[id] == nil {
		return nil
	}
	return &CertificateID{Certificate: id}
}

func (w *writer) chain(items []trace.ChainItem) []ChainItem {
	chain := []ChainItem{}
	for _, c := range items {
		if w.certificates[c.Certificate] != nil {
			chain = append(chain, ChainItem{c.Certificate})
		}
	}
	return chain
}

func place(p *trace.Place) *Place {
	if p == nil {
		return nil
	}
	return &Place{PostalAddress: list(p.Address), City: orNil(p.City), StateOrProvince: orNil(p.State),
		PostalCode: orNil(p.Postal), CountryName: orNil(p.Country), StreetAddress: orNil(p.Street)}
}

func signaturePolicy(p *trace.SignaturePolicy) *SignaturePolicy {
	if p == nil {
		return nil
	}
	if p.ID == "implied" {
		return &SignaturePolicy{ID: "IMPLICIT_POLICY", Transformation: []struct{}{}, DocumentationReference: []string{}}
	}
	d := &SignaturePolicy{ID: p.ID, URL: orNil(p.URL), Description: orNil(p.Description), Identified: &p.Checked,
		Transformation: []struct{}{}, DocumentationReference: list(p.Documentation)}
	if p.Notice != "" {
		d.UserNotice = &UserNotice{ExplicitText: &p.Notice}
	}
	if p.Digest.Value != nil {
		d.Digest = &PolicyDigest{Digest: digest(p.Digest)}
		d.Digest.Match = &p.Matches
	}
	if !p.Checked {
		d.ProcessingError = orNil("the policy document is not at hand: its digest was compared with nothing")
	}
	return d
}

func commitment(c trace.Commitment) Commitment {
	return Commitment{Identifier: c.ID, Description: orNil(c.Description), DocumentationReference: list(c.Documentation),
		ObjectReference: c.References, AllDataSignedObjects: trueOrNil(len(c.References) == 0)}
}

func revision(p *trace.PDF) *PDFRevision {
	if p == nil || len(p.Fields) == 0 {
		return nil
	}
	d := &PDFRevision{PDFSignatureDictionary: SignatureDictionary{SignerName: orNil(p.SignerName),
		Type: orNil(p.Type), Filter: orNil(p.Filter),
		SubFilter: orNil(p.SubFilter), ContactInfo: orNil(p.ContactInfo), Location: orNil(p.Location),
		Reason: orNil(p.Reason), Consistent: true}}
	for _, f := range p.Fields {
		d.SignatureField = append(d.SignatureField, SignatureField{Name: f})
	}
	if len(p.ByteRange) > 0 {
		d.PDFSignatureDictionary.SignatureByteRange = &ByteRange{p.ByteRange, true}
	}
	d.ModificationDetection = modifications(p.Changes)
	return d
}

// modifications are changes by DSS's groups, nil for none.
func modifications(changes []trace.Change) *ModificationDetection {
	if len(changes) == 0 {
		return nil
	}
	o := &ObjectModifications{ExtensionChange: []ObjectModification{}, SignatureOrFormFill: []ObjectModification{},
		AnnotationChange: []ObjectModification{}, Undefined: []ObjectModification{}}
	d := &ModificationDetection{AnnotationOverlap: []PageModification{}, VisualDifference: []PageModification{},
		PageDifference: []PageModification{}, ObjectModifications: o}
	for _, c := range changes {
		m := ObjectModification{Value: strings.TrimSpace(c.What + " " + c.Object), Type: orNil(changedTypes[c.Kind])}
		switch c.Kind {
		case "validation-data", "metadata":
			o.ExtensionChange = append(o.ExtensionChange, m)
		case "timestamp", "signature", "field":
			o.SignatureOrFormFill = append(o.SignatureOrFormFill, m)
		case "annotation":
			m.Action = orNil("CREATION")
			o.AnnotationChange = append(o.AnnotationChange, m)
		case "removal":
			m.Action = orNil("DELETION")
			o.Undefined = append(o.Undefined, m)
		default:
			o.Undefined = append(o.Undefined, m)
		}
		switch {
		case c.Forbidden == "PdfPageDifference":
			d.PageDifference = append(d.PageDifference, PageModification{c.Page})
		case c.Forbidden == "PdfVisualDifference" && c.Page > 0:
			d.VisualDifference = append(d.VisualDifference, PageModification{c.Page})
		}
	}
	return d
}

// changedTypes are DSS's names of what was changed, by our kinds.
var changedTypes = map[string]string{"validation-data": "DSS", "timestamp": "DocTimeStamp", "signature": "Sig",
	"metadata": "Metadata"}

func (w *writer) foundTimestamps(ids []string) []FoundTimestamp {
	found := []FoundTimestamp{}
	for _, id := range ids {
		if w.timestamps[id] != nil {
			found = append(found, FoundTimestamp{id})
		}
	}
	return found
}

func diagnosticScopes(scopes []trace.Scope, counter bool) []DiagnosticScope {
	d := []DiagnosticScope{}
	for _, s := range scopes {
		d = append(d, DiagnosticScope{Scope: scopeType(s, counter), Name: s.Name, Description: s.Description,
			Transformation: transformations(s.Transforms), SignerData: s.SignedData})
	}
	return d
}

// transformations are DSS's words for transforms, nil for none. Of one that it has no words for, the URI stands there.
func transformations(uris string) []string {
	var list []string
	for _, uri := range strings.Fields(uris) {
		if words := transforms[uri]; words != "" {
			uri = words
		}
		list = append(list, uri)
	}
	return list
}

var transforms = map[string]string{
	"http://www.w3.org/2000/09/xmldsig#base64":                     "Base64 Decoding",
	"http://www.w3.org/2000/09/xmldsig#enveloped-signature":        "Enveloped Signature Transform",
	"http://www.w3.org/TR/1999/REC-xpath-19991116":                 "XPath filtering",
	"http://www.w3.org/2002/06/xmldsig-filter2":                    "XPath Filter 2.0 Transform",
	"http://www.w3.org/TR/1999/REC-xslt-19991116":                  "XSLT Transform",
	"http://www.w3.org/TR/2001/REC-xml-c14n-20010315":              "Canonical XML 1.0 (omits comments)",
	"http://www.w3.org/TR/2001/REC-xml-c14n-20010315#WithComments": "Canonical XML 1.0 with Comments",
	"http://www.w3.org/2006/12/xml-c14n11":                         "Canonical XML 1.1 (omits comments)",
	"http://www.w3.org/2006/12/xml-c14n11#WithComments":            "Canonical XML 1.1 with Comments",
	"http://www.w3.org/2001/10/xml-exc-c14n#":                      "Exclusive Canonical XML (omits comments)",
	"http://www.w3.org/2001/10/xml-exc-c14n#WithComments":          "Exclusive Canonical XML with Comments",
}

// categories are DSS's names of the kinds of objects, by their ids.
var categories = map[string]string{
	trace.SignatureID: "SIGNATURE", trace.TimestampID: "TIMESTAMP", trace.EvidenceRecordID: "EVIDENCE_RECORD",
	trace.CertificateID: "CERTIFICATE", trace.RevocationID: "REVOCATION", trace.SignedDataID: "SIGNED_DATA",
}

// orphanCategories are those of orphans.
var orphanCategories = map[string]string{
	trace.CertificateID: "ORPHAN_CERTIFICATE", trace.RevocationID: "ORPHAN_REVOCATION",
}

func (w *writer) timestamped(ids []string, scopes []trace.Scope) []TimestampedObject {
	objects := []TimestampedObject{}
	for _, s := range scopes {
		if !slices.Contains(ids, s.SignedData) {
			ids = append(ids[:len(ids):len(ids)], s.SignedData)
		}
	}
	for _, id := range w.known(ids) {
		names := categories
		if w.orphans[id] != nil {
			names = orphanCategories
		}
		if category := names[id[:min(2, len(id))]]; category != "" {
			objects = append(objects, TimestampedObject{id, category})
		}
	}
	return objects
}
