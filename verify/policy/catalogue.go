package policy

import "slices"

// Name is a constraint's name, as DSS's policy has it, or one of the product's own.
type Name string

// The constraints that the product judges by their level. All others are refused always, told always or not judged.
const (
	ManifestFilePresent           Name = "ManifestFilePresent"
	PdfPageDifference             Name = "PdfPageDifference"
	PdfVisualDifference           Name = "PdfVisualDifference"
	DocMDP                        Name = "DocMDP"
	FieldMDP                      Name = "FieldMDP"
	SigFieldLock                  Name = "SigFieldLock"
	UndefinedChanges              Name = "UndefinedChanges"
	SigningCertificatePresent     Name = "SigningCertificatePresent"
	TSAGeneralNameContentMatch    Name = "TSAGeneralNameContentMatch"
	RevocationFreshnessNextUpdate Name = "RevocationFreshnessNextUpdate"
	RevocationDataAvailable       Name = "RevocationDataAvailable"

	// Of a signature's form, attributes and time-stamps.
	AcceptableFormats                 Name = "AcceptableFormats"
	AcceptablePolicies                Name = "AcceptablePolicies"
	FullScope                         Name = "FullScope"
	SignatureDuplicated               Name = "SignatureDuplicated"
	SigningTime                       Name = "SigningTime"
	SigningTimeInCertRange            Name = "SigningTimeInCertRange"
	SigningCertificateDigestAlgorithm Name = "SigningCertificateDigestAlgorithm"
	ContentTimeStamp                  Name = "ContentTimeStamp"
	CounterSignatureThere             Name = "CounterSignature"
	SignatureTimeStamp                Name = "SignatureTimeStamp"
	ValidationDataTimeStamp           Name = "ValidationDataTimeStamp"
	ValidationDataRefsOnlyTimeStamp   Name = "ValidationDataRefsOnlyTimeStamp"
	ArchiveTimeStamp                  Name = "ArchiveTimeStamp"
	DocumentTimeStamp                 Name = "DocumentTimeStamp"
	TLevelTimeStamp                   Name = "TLevelTimeStamp"
	LTALevelTimeStamp                 Name = "LTALevelTimeStamp"
	TimestampDelay                    Name = "TimestampDelay"
	TimestampValid                    Name = "TimestampValid"

	// Of the certificates of a path.
	ForbiddenExtensions           Name = "ForbiddenExtensions"
	NoRevAvail                    Name = "NoRevAvail"
	AuthorityInfoAccessPresent    Name = "AuthorityInfoAccessPresent"
	RevocationInfoAccessPresent   Name = "RevocationInfoAccessPresent"
	CRLNextUpdatePresent          Name = "CRLNextUpdatePresent"
	OCSPNextUpdatePresent         Name = "OCSPNextUpdatePresent"
	AuthorityKeyIdentifierPresent Name = "AuthorityKeyIdentifierPresent"
	SubjectKeyIdentifierPresent   Name = "SubjectKeyIdentifierPresent"
	SerialNumberPresent           Name = "SerialNumberPresent"
	SelfSigned                    Name = "SelfSigned"
	NotSelfSigned                 Name = "NotSelfSigned"
	UsePseudonym                  Name = "UsePseudonym"
	QcCompliance                  Name = "QcCompliance"
	QcSSCD                        Name = "QcSSCD"
	KeyUsage                      Name = "KeyUsage"
	ExtendedKeyUsage              Name = "ExtendedKeyUsage"
	PolicyIDs                     Name = "PolicyIds"
	QcType                        Name = "QcType"
	QcLegislationCountryCodes     Name = "QcLegislationCountryCodes"
	CommonName                    Name = "CommonName"
	Country                       Name = "Country"
	GivenName                     Name = "GivenName"
	Surname                       Name = "Surname"
	OrganizationName              Name = "OrganizationName"
	OrganizationUnit              Name = "OrganizationUnit"
	Pseudonym                     Name = "Pseudonym"
	Title                         Name = "Title"
	Email                         Name = "Email"

	// SignerUse: the signing certificate's key usages are for documents, not for certificates, lists, answers or
	// time-stamps alone (RFC 5280 4.2.1.3, 4.2.1.12).
	SignerUse Name = "SignerUse"
	// UnsignedContent: nothing stands in an XML signature that is neither signed nor defined there.
	UnsignedContent Name = "UnsignedContent"
	// TimestampUnitPurposeAlone: the unit's certificate has id-kp-timeStamping critical and alone (RFC 3161 2.3).
	TimestampUnitPurposeAlone Name = "TimestampUnitPurposeAlone"
	// TimestampServiceListed: where a chain rests on a trusted list, a time-stamping service of it stands behind the
	// unit (TS 119 615).
	TimestampServiceListed Name = "TimestampServiceListed"
)

// Constraints that are refused whatever their level, as traces name them.
const (
	ReferenceDataExistence                                    Name = "ReferenceDataExistence"
	ReferenceDataIntact                                       Name = "ReferenceDataIntact"
	ManifestEntryObjectExistence                              Name = "ManifestEntryObjectExistence"
	ManifestEntryObjectIntact                                 Name = "ManifestEntryObjectIntact"
	SignatureIntact                                           Name = "SignatureIntact"
	ProspectiveCertificateChain                               Name = "ProspectiveCertificateChain"
	CertificateSignature                                      Name = "Signature"
	NotExpired                                                Name = "NotExpired"
	NotRevoked                                                Name = "NotRevoked"
	NotOnHold                                                 Name = "NotOnHold"
	IssuerName                                                Name = "IssuerName"
	SunsetDate                                                Name = "SunsetDate"
	PolicyTree                                                Name = "PolicyTree"
	NameConstraints                                           Name = "NameConstraints"
	SupportedCriticalExtensions                               Name = "SupportedCriticalExtensions"
	CA                                                        Name = "CA"
	MaxPathLength                                             Name = "MaxPathLength"
	Recognition                                               Name = "Recognition"
	AcceptableRevocationDataFound                             Name = "AcceptableRevocationDataFound"
	RevocationIssuerNotExpired                                Name = "RevocationIssuerNotExpired"
	CertDigestMatch                                           Name = "CertDigestMatch"
	Coherence                                                 Name = "Coherence"
	RevocationTimeAgainstBestSignatureTime                    Name = "RevocationTimeAgainstBestSignatureTime"
	BestSignatureTimeBeforeExpirationDateOfSigningCertificate Name = "BestSignatureTimeBeforeExpirationDateOfSigningCertificate"
	DataObjectExistence                                       Name = "DataObjectExistence"
	DataObjectIntact                                          Name = "DataObjectIntact"
	DataObjectFound                                           Name = "DataObjectFound"
	RevocationIssuerKnown                                     Name = "RevocationIssuerKnown"
	PolicyAvailable                                           Name = "PolicyAvailable"
	// Cryptographic is the table of algorithms.
	Cryptographic Name = suiteElement
)

// Honoured says what the product makes of a constraint.
type Honoured uint8

// The ways.
const (
	NotJudged   Honoured = iota // the product does not look at it: its level changes nothing
	AlwaysTold                  // the report tells it, whatever the level
	AlwaysFails                 // whoever does not meet it is not passed, whatever the level
	ByLevel                     // the level decides
	ByOther                     // the level that the constraint has in another context decides
)

// kind is what a constraint has beside its level.
type kind uint8

const (
	plain  kind = iota
	values      // a list of what is accepted
	period      // a length of time
)

// rule is one constraint in one context.
type rule struct {
	context Context
	name    Name
	path    string
	kind    kind
	judged  Honoured
	// floor is the mildest level that a policy may give, and clause is why.
	floor  Level
	clause string
	// fixed are the values that the product judges by where it knows no others.
	fixed []string
	// other is the context whose level decides, where it is not this one's.
	other Context
}

type key struct {
	context Context
	name    Name
}

var (
	rules  = catalogue()
	byKey  = indexByKey()
	byPath = indexByPath()
)

func indexByKey() map[key]*rule {
	index := make(map[key]*rule, len(rules))
	for i := range rules {
		index[key{rules[i].context, rules[i].name}] = &rules[i]
	}
	return index
}

func indexByPath() map[string]*rule {
	index := make(map[string]*rule, len(rules))
	for i := range rules {
		index[rules[i].path] = &rules[i]
	}
	return index
}

// section is a group of constraints that several contexts have.
type section struct {
	contexts []Context
	group    string
	rows     []row
}

// row is a constraint of a section. Contexts, where given, are those of the section that have it.
type row struct {
	names    []Name
	kind     kind
	judged   Honoured
	floor    Level
	clause   string
	fixed    []string
	contexts []Context
	other    Context
}

func catalogue() []rule {
	var list []rule
	for _, s := range sections {
		for _, r := range s.rows {
			for _, c := range s.contexts {
				if r.contexts != nil && !slices.Contains(r.contexts, c) {
					continue
				}
				for _, n := range r.names {
					list = append(list, rule{c, n, constraintPath(c, s.group, n), r.kind, r.judged, r.lowest(), r.clause, r.fixed, r.other})
				}
			}
		}
	}
	return list
}

// lowest is the floor; without a clause there is none.
func (r *row) lowest() Level {
	if r.clause == "" {
		return Ignore
	}
	return r.floor
}

func constraintPath(c Context, group string, n Name) string {
	if group == groupNone {
		return c.String() + "/" + string(n)
	}
	return c.String() + "/" + group + "/" + string(n)
}

var (
	signatures = []Context{Signature, CounterSignature}
	stamped    = []Context{Signature, CounterSignature, Timestamp}
	inPDF      = []Context{Signature, Timestamp}
	signed     = []Context{Signature, CounterSignature, Timestamp, Revocation}
	signers    = []Context{SignatureSigner, CounterSignatureSigner, TimestampSigner, RevocationSigner}
	issuers    = []Context{SignatureCA, CounterSignatureCA, TimestampCA, RevocationCA}
	chains     = slices.Concat(signers, issuers)
	// paths are the certificates below whoever signed something that is signed itself; those of evidence are validated
	// by RFC 5280 alone.
	paths      = []Context{SignatureSigner, CounterSignatureSigner, TimestampSigner, SignatureCA, CounterSignatureCA, TimestampCA}
	ofEvidence = []Context{RevocationSigner, RevocationCA}

	// heldLists and heldFacts are the constraints that every certificate of a path is held against.
	heldLists = []Name{ForbiddenExtensions, PolicyIDs, CommonName, Country, GivenName, OrganizationName, OrganizationUnit, Pseudonym,
		Surname, Title, Email, QcType, QcLegislationCountryCodes}
	heldFacts = []Name{AuthorityInfoAccessPresent, RevocationInfoAccessPresent, CRLNextUpdatePresent, OCSPNextUpdatePresent,
		AuthorityKeyIdentifierPresent, SubjectKeyIdentifierPresent, NoRevAvail, SerialNumberPresent, SelfSigned, NotSelfSigned,
		QcCompliance, QcSSCD, UsePseudonym}
)

// sections is the catalogue, in the order of DSS's policy. A floor says below which level no policy may go: those
// constraints are what it means that a signature verifies.
var sections = []section{
	{[]Context{Container}, groupNone, []row{
		{names: []Name{"AcceptableContainerTypes"}, kind: values, judged: AlwaysFails, fixed: []string{"ASiC-E", "ASiC-S"}},
		{names: []Name{"ZipCommentPresent", "MimeTypeFilePresent", "FilenameAdherence"}},
		{names: []Name{"AcceptableZipComment", "AcceptableMimeTypeFileContent"}, kind: values},
		{names: []Name{ManifestFilePresent}, judged: ByLevel},
		{names: []Name{"SignedFilesPresent"}, judged: AlwaysFails},
		{names: []Name{"AllFilesSigned"}, judged: AlwaysTold},
	}},
	{[]Context{PDFA}, groupNone, []row{
		{names: []Name{"AcceptablePDFAProfiles"}, kind: values},
		{names: []Name{"PDFACompliant"}},
	}},
	{signatures, groupNone, []row{
		{names: []Name{"StructuralValidation", "PolicyAvailable", "SignaturePolicyStorePresent", "PolicyHashMatch"}},
		{names: []Name{FullScope}, judged: ByLevel},
		{names: []Name{AcceptablePolicies, AcceptableFormats}, kind: values, judged: ByLevel},
	}},
	{signed, groupBasic, []row{
		{names: []Name{"ReferenceDataExistence", "ReferenceDataIntact"}, judged: AlwaysFails, floor: Fail, clause: "EN 319 102-1 5.2.7.4"},
		{names: []Name{"SignatureIntact"}, judged: AlwaysFails, floor: Fail, clause: "EN 319 102-1 5.2.7.4"},
		{names: []Name{"ProspectiveCertificateChain"}, judged: AlwaysFails, floor: Fail, clause: "EN 319 102-1 5.2.6.4"},
		{names: []Name{"ManifestEntryObjectIntact"}, judged: AlwaysFails, floor: Fail, clause: "EN 319 102-1 5.2.7.4", contexts: stamped},
		{names: []Name{"ReferenceDataNameMatch", "ManifestEntryObjectGroup", "ManifestEntryNameMatch", "PdfAnnotationOverlap", "SignatureValid"}},
		{names: []Name{"ManifestEntryObjectExistence"}, judged: AlwaysTold, contexts: signatures},
		{names: []Name{"ManifestEntryObjectExistence"}, contexts: []Context{Timestamp}},
		{names: []Name{SignatureDuplicated}, judged: ByLevel, contexts: signatures},
		{names: []Name{SignatureDuplicated}, contexts: []Context{Timestamp}},
		{names: []Name{"ByteRange"}, judged: AlwaysFails, floor: Fail, clause: "ISO 32000-2 12.8.1", contexts: inPDF},
		{names: []Name{"SignerInformationStore", "ByteRangeCollision", "PdfSignatureDictionary"}, judged: AlwaysFails, contexts: inPDF},
		{names: []Name{PdfPageDifference, PdfVisualDifference, DocMDP, FieldMDP, SigFieldLock, UndefinedChanges}, judged: ByLevel,
			contexts: []Context{Signature}},
		{names: []Name{PdfPageDifference, PdfVisualDifference, DocMDP, FieldMDP, SigFieldLock, UndefinedChanges},
			contexts: []Context{Timestamp}},
		{names: []Name{"TrustServiceTypeIdentifier", "TrustServiceStatus"}, kind: values},
	}},
	{chains, groupNone, []row{
		{names: []Name{"Signature"}, judged: AlwaysFails, floor: Fail, clause: "RFC 5280 6.1.3 (a)(1)"},
		{names: []Name{"NotExpired"}, judged: AlwaysFails, floor: Fail, clause: "RFC 5280 6.1.3 (a)(2)"},
		{names: []Name{"NotRevoked", "NotOnHold"}, judged: AlwaysFails, floor: Fail, clause: "RFC 5280 6.1.3 (a)(3)"},
		{names: []Name{"IssuerName"}, judged: AlwaysFails, floor: Fail, clause: "RFC 5280 6.1.3 (a)(4)"},
		{names: []Name{"SunsetDate", "PolicyTree", "NameConstraints"}, judged: AlwaysFails},
		{names: []Name{"SupportedCriticalExtensions"}, kind: values, judged: AlwaysFails},
		{names: heldLists, kind: values, judged: ByLevel, contexts: paths},
		{names: heldLists, kind: values, contexts: ofEvidence},
		{names: []Name{"RevocationDataSkip", "QcEuPDSLocation", "QcCCLegislation", "SemanticsIdentifier", "PSD2QcTypeRolesOfPSP",
			"PSD2QcCompetentAuthorityName", "PSD2QcCompetentAuthorityId"}, kind: values},
		{names: []Name{"AcceptableRevocationDataFound"}, judged: AlwaysFails},
		{names: []Name{"RevocationFreshness"}, kind: period},
		{names: []Name{RevocationFreshnessNextUpdate}, judged: ByLevel, contexts: []Context{SignatureSigner, TimestampSigner}},
		{names: []Name{RevocationFreshnessNextUpdate}, judged: ByOther, other: SignatureSigner,
			contexts: []Context{SignatureCA, CounterSignatureSigner, CounterSignatureCA}},
		{names: []Name{RevocationFreshnessNextUpdate}, judged: ByOther, other: TimestampSigner, contexts: []Context{TimestampCA}},
		{names: []Name{RevocationFreshnessNextUpdate}, contexts: []Context{RevocationSigner, RevocationCA}},
		{names: heldFacts, judged: ByLevel, contexts: paths},
		{names: heldFacts, contexts: ofEvidence},
		{names: []Name{"PolicyQualificationIds", "PolicySupportedByQSCDIds", "IssuedToNaturalPerson", "IssuedToLegalPerson"}},
	}},
	{signers, groupNone, []row{
		{names: []Name{"Recognition"}, judged: AlwaysFails, floor: Fail, clause: "EN 319 102-1 5.2.3"},
		{names: []Name{RevocationDataAvailable}, judged: ByLevel, floor: Warn,
			clause:   "EN 319 102-1 5.2.6: a status that nobody knows is told",
			contexts: []Context{SignatureSigner, CounterSignatureSigner, TimestampSigner}},
		{names: []Name{RevocationDataAvailable}, judged: AlwaysFails, floor: Warn,
			clause:   "EN 319 102-1 5.2.6: a status that nobody knows is told",
			contexts: []Context{RevocationSigner}},
		{names: []Name{"RevocationIssuerNotExpired"}, judged: AlwaysFails},
		{names: []Name{KeyUsage}, kind: values, judged: ByLevel, contexts: []Context{SignatureSigner, CounterSignatureSigner, TimestampSigner}},
		{names: []Name{KeyUsage, ExtendedKeyUsage}, kind: values, contexts: []Context{RevocationSigner}},
		{names: []Name{ExtendedKeyUsage}, kind: values, judged: AlwaysFails, floor: Fail, clause: "RFC 3161 2.3",
			fixed: []string{"timeStamping"}, contexts: []Context{TimestampSigner}},
		{names: []Name{ExtendedKeyUsage}, kind: values, judged: ByLevel, contexts: []Context{SignatureSigner, CounterSignatureSigner}},
	}},
	{issuers, groupNone, []row{
		{names: []Name{"CA"}, judged: AlwaysFails, floor: Fail, clause: "RFC 5280 6.1.4 (k)"},
		{names: []Name{"MaxPathLength"}, judged: AlwaysFails, floor: Fail, clause: "RFC 5280 6.1.4 (l), (m)"},
		{names: []Name{KeyUsage}, kind: values, judged: AlwaysFails, floor: Fail, clause: "RFC 5280 6.1.4 (n)", fixed: []string{"keyCertSign"}},
		{names: []Name{RevocationDataAvailable}, judged: ByLevel, floor: Warn,
			clause:   "EN 319 102-1 5.2.6: a status that nobody knows is told",
			contexts: []Context{SignatureCA, CounterSignatureCA, TimestampCA}},
		{names: []Name{RevocationDataAvailable}, judged: AlwaysFails, floor: Warn,
			clause:   "EN 319 102-1 5.2.6: a status that nobody knows is told",
			contexts: []Context{RevocationCA}},
		{names: []Name{ExtendedKeyUsage}, kind: values, judged: ByLevel, contexts: []Context{SignatureCA, CounterSignatureCA, TimestampCA}},
		{names: []Name{ExtendedKeyUsage}, kind: values, contexts: []Context{RevocationCA}},
	}},
	{stamped, groupSigned, []row{
		{names: []Name{SigningCertificatePresent}, judged: ByLevel},
		{names: []Name{"CertDigestMatch", "MessageDigestOrSignedPropertiesPresent"}, judged: AlwaysFails, floor: Fail,
			clause: "EN 319 102-1 5.2.3, 5.2.8", contexts: signatures},
		{names: []Name{"CertDigestMatch", "MessageDigestOrSignedPropertiesPresent"}, judged: AlwaysFails, contexts: []Context{Timestamp}},
		{names: []Name{"CertDigestPresent"}, judged: AlwaysFails},
		{names: []Name{SigningTime, SigningTimeInCertRange, SigningCertificateDigestAlgorithm, ContentTimeStamp}, judged: ByLevel,
			contexts: signatures},
		{names: []Name{SigningTime, SigningTimeInCertRange, SigningCertificateDigestAlgorithm, ContentTimeStamp},
			contexts: []Context{Timestamp}},
		{names: []Name{"UnicitySigningCertificate", "SigningCertificateRefersCertificateChain", "ReferencesToAllCertificateChainPresent",
			"IssuerSerialMatch", "KeyIdentifierPresent", "KeyIdentifierMatch", "EllipticCurveKeySize", "SignerLocation"}},
		{names: []Name{"ContentType", "ContentHints", "ContentIdentifier", "CommitmentTypeIndication", "ClaimedRoles", "CertifiedRoles"},
			kind: values},
	}},
	{signatures, groupUnsigned, []row{
		{names: []Name{CounterSignatureThere, SignatureTimeStamp, ValidationDataTimeStamp, ValidationDataRefsOnlyTimeStamp,
			ArchiveTimeStamp, DocumentTimeStamp, TLevelTimeStamp, LTALevelTimeStamp}, judged: ByLevel},
	}},
	{[]Context{Timestamp}, groupNone, []row{
		{names: []Name{TimestampDelay}, kind: period, judged: ByLevel},
		{names: []Name{TimestampValid}, judged: ByLevel},
		{names: []Name{"RevocationTimeAgainstBestSignatureTime", "BestSignatureTimeBeforeExpirationDateOfSigningCertificate"},
			judged: AlwaysFails, floor: Fail, clause: "EN 319 102-1 5.5.4"},
		{names: []Name{"Coherence"}, judged: AlwaysFails},
		{names: []Name{TSAGeneralNameContentMatch}, judged: ByLevel},
		{names: []Name{"TSAGeneralNamePresent", "TSAGeneralNameOrderMatch"}},
		{names: []Name{"AtsHashIndex"}, judged: AlwaysFails},
		{names: []Name{"ContainerSignedAndTimestampedFilesCovered"}, judged: AlwaysFails},
	}},
	{[]Context{Revocation}, groupNone, []row{
		{names: []Name{"UnknownStatus", "RevocationIssuerKnown", "RevocationHasInformationAboutCertificate", "OCSPResponderIdMatch"},
			judged: AlwaysFails, floor: Fail, clause: "RFC 6960 3.2, RFC 5280 6.3.3"},
		{names: []Name{"ThisUpdatePresent", "RevocationIssuerValidAtProductionTime", "RevocationAfterCertificateIssuance"},
			judged: AlwaysFails, floor: Fail, clause: "EN 319 102-1 5.2.5, RFC 6960 4.2.2.1"},
		{names: []Name{"OCSPCertHashPresent", "SelfIssuedOCSP"}},
		{names: []Name{"OCSPCertHashMatch"}, judged: AlwaysFails},
	}},
	{[]Context{EvidenceRecord}, groupNone, []row{
		{names: []Name{"DataObjectExistence", "DataObjectIntact", "DataObjectFound", "HashTreeRenewal"}, judged: AlwaysFails, floor: Fail,
			clause: "RFC 4998 5.3, RFC 6283 3.3"},
		{names: []Name{"EvidenceRecordValid", "DataObjectGroup", "SignedFilesCovered", "ContainerSignedAndTimestampedFilesCovered"}},
	}},
	{[]Context{TrustedLists}, groupNone, []row{
		{names: []Name{"TLFreshness"}, kind: period},
		{names: []Name{"TLNotExpired", "TLStructure"}},
		{names: []Name{"TLWellSigned"}, judged: AlwaysFails},
		{names: []Name{"TLVersion"}, kind: values, judged: AlwaysFails, fixed: []string{"5", "6"}},
	}},
	{[]Context{Product}, groupNone, []row{
		{names: []Name{SignerUse, UnsignedContent, TimestampUnitPurposeAlone, TimestampServiceListed}, judged: ByLevel},
	}},
}
