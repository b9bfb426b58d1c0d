package dss

import (
	"encoding/hex"
	"encoding/json"
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
	ContainerType       *string    `json:"ContainerType"`
	ZipComment          none       `json:"ZipComment"`
	MimeTypeFilePresent none       `json:"MimeTypeFilePresent"`
	MimeTypeContent     none       `json:"MimeTypeContent"`
	ManifestFile        []struct{} `json:"ManifestFile"`
	ContentFile         []struct{} `json:"ContentFile"`
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
	SignerInfo                []struct{}        `json:"SignerInfo"`
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
	TimestampFilename           none                `json:"TimestampFilename"`
	ArchiveTimestampType        *string             `json:"ArchiveTimestampType"`
	EvidenceRecordTimestampType none                `json:"EvidenceRecordTimestampType"`
	ArchiveTimestampHashIndex   none                `json:"ArchiveTimestampHashIndex"`
	ProductionTime              Time                `json:"ProductionTime"`
	DigestMatchers              []DigestMatcher     `json:"DigestMatcher"`
	BasicSignature              BasicSignature      `json:"BasicSignature"`
	SigningCertificate          *CertificateID      `json:"SigningCertificate"`
	ChainItem                   []ChainItem         `json:"ChainItem"`
	SignerInfo                  []struct{}          `json:"SignerInfo"`
	TSAGeneralName              none                `json:"TSAGeneralName"`
	PDFRevision                 none                `json:"PDFRevision"`
	FoundCertificates           FoundCertificates   `json:"FoundCertificates"`
	FoundRevocations            FoundRevocations    `json:"FoundRevocations"`
	FoundEvidenceRecord         []FoundRecord       `json:"FoundEvidenceRecord"`
	TimestampedObject           []TimestampedObject `json:"TimestampedObject"`
	TimestampScope              []DiagnosticScope   `json:"TimestampScope"`
	Token
	Duplicated *bool  `json:"Duplicated"`
	Type       string `json:"Type"`
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
	SignatureField         []SignatureField    `json:"SignatureField"`
	PDFSignatureDictionary SignatureDictionary `json:"PDFSignatureDictionary"`
	ModificationDetection  none                `json:"ModificationDetection"`
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
	Scope          string `json:"Scope"`
	Name           string `json:"Name"`
	Description    string `json:"Description"`
	Transformation none   `json:"Transformation"`
	SignerData     string `json:"SignerData"`
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
	Parent               none    `json:"parent"`
	MRA                  none    `json:"mra"`
}

func (w *writer) diagnosticData() *DiagnosticData {
	d := &DiagnosticData{DocumentName: w.Name, ValidationDate: moment(w.trace.ValidationTime),
		Signatures: []DiagnosticSignature{}, EvidenceRecords: []DiagnosticEvidenceRecord{},
		Certificates: []DiagnosticCertificate{},
		Revocations:  []DiagnosticRevocation{}, Timestamps: []DiagnosticTimestamp{}, SignerData: []SignerData{},
		TrustedLists: []TrustedList{}}
	if c := container(w.trace.Container); c != nil {
		d.ContainerInfo = &ContainerInfo{ContainerType: c, ManifestFile: []struct{}{}, ContentFile: []struct{}{}}
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
			d.TrustedLists = append(d.TrustedLists, trustedList(l))
		}
	}
	d.OrphanTokens = w.orphanTokens()
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
		SignerInfo:        []struct{}{}, FoundTimestamp: w.foundTimestamps(s.Timestamps), FoundEvidenceRecord: []FoundRecord{},
		SignatureScope: diagnosticScopes(s.Scopes, s.Parent != ""), SignatureDigestReference: reference(s.ID),
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
		FoundCertificates: w.foundCertificates(t.Found, nil), FoundRevocations: w.foundRevocations(t.Found),
		SignerInfo: []struct{}{}, FoundEvidenceRecord: []FoundRecord{}, TimestampedObject: w.timestamped(t.Covers),
		TimestampScope: []DiagnosticScope{}, Token: token(t.DER, t.Digest, w.Tokens.Timestamps)}
	if len(d.DigestMatchers) == 0 { // DSS's schema has one at least: the imprint, which could not be read
		d.DigestMatchers = []DigestMatcher{{Type: "MESSAGE_IMPRINT"}}
	}
	for _, s := range w.coveredData(t.Covers) {
		d.TimestampScope = append(d.TimestampScope, DiagnosticScope{Scope: s.Scope, Name: s.Name,
			Description: s.Value, SignerData: s.ID})
	}
	return d
}

func (w *writer) diagnosticRecord(e *trace.EvidenceRecord) DiagnosticEvidenceRecord {
	d := DiagnosticEvidenceRecord{ID: e.ID, Type: "ASN.1 Evidence Record", Origin: e.Origin, DocumentName: orNil(e.Filename),
		StructuralValidation: structure(e.Structure),
		DigestMatchers:       matchers(e.References), FoundTimestamp: w.foundTimestamps(e.Timestamps),
		FoundCertificates: w.foundCertificates(trace.Found{}, nil), FoundRevocations: w.foundRevocations(trace.Found{}),
		TimestampedObject: w.timestamped(e.Covers), SignatureScope: diagnosticScopes(e.Scopes, false),
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
		BasicSignature:     basic(r.Basic),
		SigningCertificate: w.certificateID(r.SigningCertificate), ChainItem: w.chain(r.Chain),
		FoundCertificates: w.foundCertificates(trace.Found{}, nil), Token: token(r.DER, idDigest(r.ID),
			w.Tokens.Revocations)}
	if number := json.Number(r.Number); number != "" {
		d.CRLNumber = &number
	}
	if r.Source == trace.FromOutside {
		d.Origin = "EXTERNAL"
	}
	if r.Kind == "OCSP" {
		d.CertHashExtensionPresent, d.CertHashExtensionMatch = &r.CertHash, &r.CertHashMatches
	}
	return d
}

func trustedList(l *trace.TrustedList) TrustedList {
	d := TrustedList{ID: l.ID, CountryCode: orNil(l.Territory), URL: listURL(l), TSLType: orNil(l.Type),
		IssueDate:  momentOrNil(&l.Issued),
		NextUpdate: momentOrNil(&l.NextUpdate), WellSigned: l.WellSigned, LOTL: trueOrNil(l.Role == "lotl")}
	if l.Sequence > 0 {
		d.SequenceNumber = &l.Sequence
	}
	if l.Version > 0 {
		d.Version = &l.Version
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
			DigestValue:  r.Digest.Value, Type: kind, URI: orNil(r.Name)})
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
	return d
}

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
			SignerData: s.SignedData})
	}
	return d
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

func (w *writer) timestamped(ids []string) []TimestampedObject {
	objects := []TimestampedObject{}
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
