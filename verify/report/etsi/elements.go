package etsi

// The elements of the schema of TS 119 102-2, as far as they are written, in its order. Names with the prefix ds are
// those of XML Signature, with xades those of XAdES; the root declares the prefixes.

type validationReport struct {
	XMLName string `xml:"ValidationReport"`
	Default string `xml:"xmlns,attr"`
	DS      string `xml:"xmlns:ds,attr"`
	XAdES   string `xml:"xmlns:xades,attr"`
	XS      string `xml:"xmlns:xs,attr"`
	XSI     string `xml:"xmlns:xsi,attr"`

	Signatures []signatureReport `xml:"SignatureValidationReport"`
	Objects    *objectList       `xml:"SignatureValidationObjects"`
}

type signatureReport struct {
	Identifier  *identifier        `xml:"SignatureIdentifier"`
	Constraints *constraintsReport `xml:"ValidationConstraintsEvaluationReport"`
	Time        *timeInfo          `xml:"ValidationTimeInfo"`
	Document    *signersDocument   `xml:"SignersDocument"`
	Attributes  *attributes        `xml:"SignatureAttributes"`
	Signer      *signer            `xml:"SignerInformation"`
	Quality     *quality           `xml:"SignatureQuality"`
	Process     *process           `xml:"SignatureValidationProcess"`
	Status      status             `xml:"SignatureValidationStatus"`
}

type identifier struct {
	ID          string  `xml:"id,attr"`
	Digest      *digest `xml:"DigestAlgAndValue"`
	Value       string  `xml:"ds:SignatureValue,omitempty"`
	HashOnly    bool    `xml:"HashOnly"`
	DocHashOnly bool    `xml:"DocHashOnly"`
	Name        string  `xml:"DAIdentifier,omitempty"`
}

type digest struct {
	Method method `xml:"ds:DigestMethod"`
	Value  string `xml:"ds:DigestValue"`
}

type method struct {
	Algorithm string `xml:"Algorithm,attr"`
}

type reference struct {
	IDs string `xml:"VOReference,attr"`
}

type constraintsReport struct {
	Policy      *policy      `xml:"SignatureValidationPolicy"`
	Constraints []constraint `xml:"ValidationConstraint"`
}

type policy struct {
	ID   policyID `xml:"SignaturePolicyIdentifier"`
	Name string   `xml:"PolicyName,omitempty"`
}

type policyID struct {
	Identifier string `xml:"xades:SignaturePolicyId>xades:SigPolicyId>xades:Identifier"`
	Hash       digest `xml:"xades:SignaturePolicyId>xades:SigPolicyHash"`
}

type constraint struct {
	ID      string  `xml:"ValidationConstraintIdentifier"`
	Applied string  `xml:"ConstraintStatus>Status"`
	Status  *status `xml:"ValidationStatus"`
}

type status struct {
	Indication    string `xml:"MainIndication"`
	SubIndication string `xml:"SubIndication,omitempty"`
	Data          *data  `xml:"AssociatedValidationReportData"`
}

type data struct {
	Anchor     *reference  `xml:"TrustAnchor"`
	Chain      *chain      `xml:"CertificateChain"`
	Related    []reference `xml:"RelatedValidationObject"`
	Revocation *revoked    `xml:"RevocationStatusInformation"`
	Crypto     *crypto     `xml:"CryptoInformation"`
	Messages   *messages   `xml:"AdditionalValidationReportData"`
}

type chain struct {
	Signing      reference   `xml:"SigningCertificate"`
	Intermediate []reference `xml:"IntermediateCertificate"`
	Anchor       *reference  `xml:"TrustAnchor"`
}

type revoked struct {
	Certificate reference  `xml:"ValidationObjectId"`
	Time        string     `xml:"RevocationTime"`
	Reason      string     `xml:"RevocationReason,omitempty"`
	Object      *reference `xml:"RevocationObject"`
}

type crypto struct {
	Object    reference `xml:"ValidationObjectId"`
	Algorithm string    `xml:"Algorithm"`
	Secure    bool      `xml:"SecureAlgorithm"`
	NotAfter  string    `xml:"NotAfter,omitempty"`
}

type messages struct {
	List []message `xml:"ReportData"`
}

type message struct {
	Type  string `xml:"Type"`
	Value text   `xml:"Value"`
}

type text struct {
	Type string `xml:"xsi:type,attr"`
	Text string `xml:",chardata"`
}

type timeInfo struct {
	At   string `xml:"ValidationTime"`
	Best poe    `xml:"BestSignatureTime"`
}

type poe struct {
	Time   string     `xml:"POETime"`
	Type   string     `xml:"TypeOfProof"`
	Object *reference `xml:"POEObject"`
}

type signersDocument struct {
	Digest         *digest    `xml:"DigestAlgAndValue"`
	Representation *reference `xml:"SignersDocumentRepresentation"`
}

type signer struct {
	Pseudonym   bool      `xml:"Pseudonym,attr"`
	Certificate reference `xml:"SignerCertificate"`
	Name        string    `xml:"Signer,omitempty"`
}

type quality struct {
	Information string `xml:"SignatureQualityInformation"`
}

type process struct {
	ID string `xml:"SignatureValidationProcessID"`
}

// attributes is a choice of the schema, in any order; here in that of its annex A.
type attributes struct {
	SigningTime    *timeAttribute        `xml:"SigningTime"`
	Certificate    *certificateAttribute `xml:"SigningCertificate"`
	Format         *formatAttribute      `xml:"DataObjectFormat"`
	Commitments    []commitmentAttribute `xml:"CommitmentTypeIndication"`
	AllData        []stampAttribute      `xml:"AllDataObjectsTimeStamp"`
	IndividualData []stampAttribute      `xml:"IndividualDataObjectsTimeStamp"`
	Policy         *policyAttribute      `xml:"SigPolicyIdentifier"`
	Place          *placeAttribute       `xml:"SignatureProductionPlace"`
	Role           *roleAttribute        `xml:"SignerRole"`
	Counter        []counterAttribute    `xml:"CounterSignature"`
	Signature      []stampAttribute      `xml:"SignatureTimeStamp"`
	SigAndRefs     []stampAttribute      `xml:"SigAndRefsTimeStamp"`
	RefsOnly       []stampAttribute      `xml:"RefsOnlyTimeStamp"`
	Certificates   *attribute            `xml:"CertificateValues"`
	Revocations    *attribute            `xml:"RevocationValues"`
	Attribute      *attribute            `xml:"AttrAuthoritiesCertValues"`
	AttributeRevs  *attribute            `xml:"AttributeRevocationValues"`
	StampData      *attribute            `xml:"TimeStampValidationData"`
	Archive        []stampAttribute      `xml:"ArchiveTimeStamp"`
	Digest         *digestAttribute      `xml:"MessageDigest"`
	DSS            *storeAttribute       `xml:"DSS"`
	VRI            []storeAttribute      `xml:"VRI"`
	Document       []stampAttribute      `xml:"DocTimeStamp"`
	Reason         *reasonAttribute      `xml:"Reason"`
	Name           *nameAttribute        `xml:"Name"`
	Contact        *contactAttribute     `xml:"ContactInfo"`
	SubFilter      *subFilterAttribute   `xml:"SubFilter"`
	ByteRange      string                `xml:"ByteRange,omitempty"`
	Filter         *filterAttribute      `xml:"Filter"`
}

// attribute is the base of all; Signed is left out where it is not known.
type attribute struct {
	Signed  bool        `xml:"Signed,attr,omitempty"`
	Objects []reference `xml:"AttributeObject"`
}

type timeAttribute struct {
	attribute
	Time string `xml:"Time"`
}

type certificateAttribute struct {
	attribute
	IDs []digest `xml:"CertID"`
}

type formatAttribute struct {
	attribute
	ContentType string `xml:"ContentType,omitempty"`
	MimeType    string `xml:"MimeType,omitempty"`
}

type commitmentAttribute struct {
	attribute
	Type string `xml:"CommitmentTypeIdentifier"`
}

type stampAttribute struct {
	attribute
	Time string `xml:"TimeStampValue"`
}

// storeAttribute is a DSS or VRI dictionary; only the latter has a time-stamp.
type storeAttribute struct {
	attribute
	Certificates *reference      `xml:"Certs"`
	CRLs         *reference      `xml:"CRLs"`
	OCSPs        *reference      `xml:"OCSPs"`
	Stamp        *stampAttribute `xml:"TS"`
}

type policyAttribute struct {
	attribute
	ID string `xml:"SigPolicyId"`
}

type placeAttribute struct {
	attribute
	Address []string `xml:"AddressString"`
}

type roleAttribute struct {
	attribute
	Roles []role `xml:"RoleDetails"`
}

type role struct {
	Role        string `xml:"Role"`
	Endorsement string `xml:"EndorsementType"`
}

type counterAttribute struct {
	attribute
	Signature signatureReference `xml:"CounterSignature"`
}

type digestAttribute struct {
	attribute
	Digest string `xml:"Digest"`
}

type reasonAttribute struct {
	attribute
	Text string `xml:"ReasonElement"`
}

type nameAttribute struct {
	attribute
	Text string `xml:"NameElement"`
}

type contactAttribute struct {
	attribute
	Text string `xml:"ContactInfoElement"`
}

type subFilterAttribute struct {
	attribute
	Text string `xml:"SubFilterElement"`
}

type filterAttribute struct {
	Text string `xml:"Filter"`
}

// signatureReference names a signature in one of the ways of the schema.
type signatureReference struct {
	Method  string   `xml:"DigestMethod,omitempty"`
	Value   string   `xml:"DigestValue,omitempty"`
	Pointer *pointer `xml:"XAdESSignaturePtr"`
	Field   string   `xml:"PAdESFieldName,omitempty"`
	Other   string   `xml:"OtherInformation,omitempty"`
}

type pointer struct {
	XPath string `xml:"XPath,attr"`
}

type objectList struct {
	List []object `xml:"ValidationObject"`
}

type object struct {
	ID             string           `xml:"id,attr"`
	Type           string           `xml:"ObjectType"`
	Representation representation   `xml:"ValidationObjectRepresentation"`
	POE            *poe             `xml:"POE"`
	Provides       *provisioning    `xml:"POEProvisioning"`
	Report         *signatureReport `xml:"ValidationReport"`
}

type representation struct {
	Direct string  `xml:"direct,omitempty"`
	Digest *digest `xml:"DigestAlgAndValue"`
}

type provisioning struct {
	Time       string               `xml:"POETime"`
	Objects    []reference          `xml:"ValidationObject"`
	Signatures []signatureReference `xml:"SignatureReference"`
}
