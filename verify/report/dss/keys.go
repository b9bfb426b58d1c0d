package dss

import (
	"fmt"
	"slices"

	"trustcore/verify/trace"
)

// entry is how DSS names one constraint. Where it has other keys for time-stamps and revocation data, they stand
// beside.
type entry struct {
	key, timestamp, revocation string
	fail                       string // the key of what is wrong, "" is the key and _ANS
	asks                       string // what is asked, in our words
}

// entries are the constraints by the names of the trace.
var entries = map[string]entry{
	"AcceptableContainerTypes": {key: "BBB_FC_IECTF", asks: "Is the container of a type that is accepted?"},
	"ManifestFilePresent":      {key: "BBB_FC_IMFP_ASICE", asks: "Has the container a manifest?"},
	"SignedFilesPresent":       {key: "BBB_FC_ISFP_ASICE", asks: "Are there signed files in the container?"},
	"AllFilesSigned":           {key: "BBB_CV_IAFS", asks: "Are all files of the container signed?"},
	"MimeTypeFilePresent":      {key: "BBB_FC_ITMFP", asks: "Has the container a file named mimetype?"},
	"ByteRange":                {key: "BBB_FC_IBRV", asks: "Does the byte range leave out nothing but the value?"},
	"ByteRangeCollision":       {key: "BBB_FC_DBTOOST", asks: "Is the byte range apart from those of others?"},
	"SignerInformationStore":   {key: "BBB_FC_IOSIP", asks: "Is there one signer information alone?"},
	"PdfSignatureDictionary": {key: "BBB_FC_ISDC",
		asks: "Is the signature dictionary the same in every revision?"},
	"PdfPageDifference": {key: "BBB_FC_DSFREAP",
		asks: "Has the document as many pages as when it was signed?"},
	"PdfAnnotationOverlap": {key: "BBB_FC_IAOD", asks: "Are annotations apart from each other?"},
	"PdfVisualDifference": {key: "BBB_FC_IVDBSFR",
		asks: "Do the pages show what they showed when they were signed?"},
	"DocMDP": {key: "BBB_FC_ISVADMDPD",
		asks: "Does the certification allow what was changed since?"},
	"FieldMDP": {key: "BBB_FC_ISVAFMDPD",
		asks: "Does the lock of fields allow what was changed since?"},
	"SigFieldLock": {key: "BBB_FC_ISVASFLD",
		asks: "Does the field's lock allow what was changed since?"},
	"UndefinedChanges":    {key: "BBB_FC_DSCNUOM", asks: "Was nothing changed that no signature allows?"},
	"SignatureDuplicated": {key: "BBB_FC_ISD", asks: "Is the signature's identifier its own?"},
	"AcceptableFormats":   {key: "BBB_FC_IEFF", asks: "Is the format one that is accepted?"},
	"Recognition": {key: "BBB_ICS_ISCI",
		asks: "Is a certificate found whose key verifies the signature?"},
	"SigningCertificatePresent": {key: "BBB_ICS_ISASCP",
		asks: "Does a signed attribute name the signing certificate?"},
	"UnicitySigningCertificate": {key: "BBB_ICS_ISASCPU", asks: "Is there one such attribute alone?"},
	"CertDigestPresent":         {key: "BBB_ICS_ISACDP", asks: "Has it a digest?"},
	"CertDigestMatch":           {key: "BBB_ICS_ICDVV", asks: "Is it the digest of the signing certificate?"},
	"IssuerSerialMatch": {key: "BBB_ICS_AIDNASNE",
		asks: "Are issuer and serial number those of the signing certificate?"},
	"PolicyAvailable":    {key: "BBB_VCI_ISPA", asks: "Is the signature policy at hand?"},
	"AcceptablePolicies": {key: "BBB_VCI_ISPK", asks: "Is the signature policy one that is known?"},
	"PolicyHashMatch":    {key: "BBB_VCI_ISPM", asks: "Is the policy the one whose digest is signed?"},
	"ReferenceDataExistence": {key: "BBB_CV_IRDOF", timestamp: "BBB_CV_TSP_IRDOF",
		asks: "Are the data found that are referred to?"},
	"ReferenceDataIntact": {key: "BBB_CV_IRDOI", timestamp: "BBB_CV_TSP_IRDOI",
		asks: "Are they what was signed?"},
	"ReferenceDataNameMatch":       {key: "BBB_CV_DRNMND", asks: "Is the file's name the one that is referred to?"},
	"ManifestEntryObjectExistence": {key: "BBB_CV_IMEOF", asks: "Is the manifest's entry found?"},
	"ManifestEntryObjectIntact":    {key: "BBB_CV_IMEDOI", asks: "Is it what the manifest says?"},
	"ManifestEntryNameMatch":       {key: "BBB_CV_DMENMND", asks: "Is its name the manifest's?"},
	"SignatureIntact": {key: "BBB_CV_ISI", timestamp: "BBB_CV_ISIT", revocation: "BBB_CV_ISIR", fail: "BBB_CV_ISI_ANS",
		asks: "Does the signature value verify?"},
	"DataObjectExistence": {key: "BBB_CV_ER_IODOF", asks: "Are the archived data objects found?"},
	"DataObjectFound":     {key: "BBB_CV_ER_IODOF", asks: "Is an archived data object found?"},
	"DataObjectIntact":    {key: "BBB_CV_IRDOI", asks: "Is the archived data object what was archived?"},
	"DataObjectGroup":     {key: "BBB_CV_ER_HASSDOC", asks: "Is the group of archived data objects whole?"},
	"HashTreeRenewal": {key: "BBB_CV_ER_TST_RN", fail: "BBB_CV_ER_TST_RN_ANS_1",
		asks: "Does each archive time-stamp cover those before it?"},
	"SignedFilesCovered": {key: "BBB_CV_ER_DFHVLCDOG", asks: "Are all signed files covered?"},
	"ContainerSignedAndTimestampedFilesCovered": {key: "BBB_FC_ISFP_ASTFORAMC",
		asks: "Are all signed and time-stamped files of the container covered?"},
	"AtsHashIndex":                {key: "BBB_FC_IAHIV", asks: "Is the index of the archive time-stamp right?"},
	"ProspectiveCertificateChain": {key: "BBB_XCV_CCCBB", asks: "Is there a path to a trust anchor?"},
	"Signature": {key: "BBB_XCV_ICSI",
		asks: "Does the issuer's signature on the certificate verify?"},
	"NotExpired": {key: "BBB_XCV_ICTIVRSC", asks: "Is the time within the certificate's validity?"},
	"NotRevoked": {key: "BBB_XCV_ISCR", asks: "Is the certificate not revoked?"},
	"NotOnHold":  {key: "BBB_XCV_ISCOH", asks: "Is the certificate not on hold?"},
	"IssuerName": {key: "BBB_XCV_DCIDNMSDNIC",
		asks: "Is the issuer's name the one that the certificate gives?"},
	"SunsetDate":                  {key: "BBB_XCV_IVTBCTSD", asks: "Was the anchor trusted at the time?"},
	"PolicyTree":                  {key: "BBB_XCV_ICPTV", asks: "Do the certificate policies of the path agree?"},
	"NameConstraints":             {key: "BBB_XCV_DCSBSINC", asks: "Are the names within the constraints?"},
	"SupportedCriticalExtensions": {key: "BBB_XCV_DCCUCE", asks: "Are all critical extensions understood?"},
	"ForbiddenExtensions":         {key: "BBB_XCV_DCCFCE", asks: "Is there no forbidden extension?"},
	"KeyUsage":                    {key: "BBB_XCV_ISCGKU", asks: "Is the key for such a use?"},
	"ExtendedKeyUsage":            {key: "BBB_XCV_ISCGEKU", asks: "Is the certificate for such a purpose?"},
	"CA":                          {key: "BBB_XCV_ICAC", asks: "Is the issuer a CA?"},
	"MaxPathLength":               {key: "BBB_XCV_ICPDV", asks: "Is the path short enough?"},
	"RevocationDataAvailable": {key: "BBB_XCV_IRDPFC",
		asks: "Is there revocation information about the certificate?"},
	"AcceptableRevocationDataFound": {key: "BBB_XCV_IARDPFC",
		asks: "Is some of the revocation information acceptable?"},
	"RevocationIssuerNotExpired": {key: "BBB_XCV_ICTIVRCIRI",
		asks: "Was the issuer of the revocation information valid at the time?"},
	"RevocationFreshness":           {key: "BBB_RFC_IRIF", asks: "Is the revocation information fresh?"},
	"RevocationFreshnessNextUpdate": {key: "BBB_RFC_IRIF", asks: "Is the revocation information fresh?"},
	"CRLNextUpdatePresent": {key: "BBB_RFC_NUP",
		asks: "Does the revocation information say when there is more?"},
	"OCSPNextUpdatePresent": {key: "BBB_RFC_NUP",
		asks: "Does the revocation information say when there is more?"},
	"UnknownStatus": {key: "BBB_XCV_ISCUKN", asks: "Does the issuer know the certificate?"},
	"ThisUpdatePresent": {key: "BBB_XCV_REVOC_THIS_UPDATE_PRESENT",
		asks: "Does the revocation information say of when it is?"},
	"RevocationIssuerKnown": {key: "BBB_XCV_REVOC_ISSUER_KNOWN",
		asks: "Is the issuer of the revocation information known?"},
	"RevocationIssuerValidAtProductionTime": {key: "BBB_XCV_REVOC_ISSUER_VALID_AT_PROD",
		asks: "Was the issuer of the revocation information valid when it was made?"},
	"RevocationAfterCertificateIssuance": {key: "BBB_XCV_REVOC_AFTER_CERT_NOT_BEFORE",
		asks: "Is the revocation information younger than the certificate?"},
	"RevocationHasInformationAboutCertificate": {key: "BBB_XCV_REVOC_HAS_CERT_INFO",
		asks: "Does the revocation information still tell of the certificate?"},
	"OCSPResponderIdMatch": {key: "BBB_XCV_REVOC_RESPID_MATCH",
		asks: "Is the responder the one that the answer names?"},
	"OCSPCertHashPresent": {key: "BBB_XCV_REVOC_CERT_HASH_PRESENT",
		asks: "Has the answer the certificate's hash?"},
	"OCSPCertHashMatch": {key: "BBB_XCV_REVOC_CERT_HASH_MATCH",
		asks: "Is it the hash of the certificate?"},
	"SelfIssuedOCSP": {key: "BBB_XCV_REVOC_SELF_ISSUED_OCSP",
		asks: "Does nobody answer about itself?"},
	"MessageDigestOrSignedPropertiesPresent": {key: "BBB_SAV_ISQPMDOSPP", asks: "Are the signed attributes signed?"},
	"SigningTime":                            {key: "BBB_SAV_ISQPSTP", asks: "Is there a claimed signing time?"},
	"SigningTimeInCertRange": {key: "BBB_SAV_ISQPSTWSCVR",
		asks: "Is the claimed signing time within the certificate's validity?"},
	"StructuralValidation": {key: "BBB_SAV_ISSV", asks: "Is the structure valid?"},
	"SigningCertificateRefersCertificateChain": {key: "BBB_SAV_DSCACRCC",
		asks: "Do the certificate references name certificates of the path alone?"},
	"Cryptographic":              {key: "ACCM", asks: "Are the algorithms good enough at the time?"},
	"TSAGeneralNameContentMatch": {key: "BBB_TAV_DTSAVM", asks: "Is the field tsa the name of the unit?"},
	"TSAGeneralNamePresent":      {key: "BBB_TAV_ITSAP", asks: "Is there a field tsa?"},
	"Coherence":                  {key: "TSV_ASTPTCT", asks: "Are the times of the time-stamps in their order?"},
	"TimestampDelay":             {key: "ADEST_ISTPTDABST", asks: "Was the time-stamp made soon enough after signing?"},
	"RevocationTimeAgainstBestSignatureTime": {key: "ADEST_IRTPTBST",
		asks: "Was the certificate revoked no earlier than the best-signature-time?"},
	"BestSignatureTimeBeforeExpirationDateOfSigningCertificate": {key: "TSV_IBSTBCEC",
		asks: "Is the best-signature-time before the end of the signing certificate?"},
	trace.ProofOfValue: {key: "PSV_ITPOSVAOBCT",
		asks: "Is the signature value proven to have existed at the control time?"},
	trace.SatisfyingRevocation: {key: "BBB_VTS_IRDPFC",
		asks: "Is the revocation information proven to be from before the control time?"},
	trace.ControlTime: {key: "PSV_ICTD", asks: "Is the control time determined?"},
	"TLFreshness":     {key: "QUAL_TL_FRESH", asks: "Is the trusted list fresh?"},
	"TLNotExpired":    {key: "QUAL_TL_EXP", asks: "Is the trusted list's next update still to come?"},
	"TLVersion":       {key: "QUAL_TL_VERSION", asks: "Is the trusted list of a version that is known?"},
	"TLWellSigned":    {key: "QUAL_TL_WS", asks: "Is the trusted list signed by whom the list above it names?"},

	"SignerUse":                 {asks: "Is the certificate for documents?"},
	"UnsignedContent":           {asks: "Is everything signed that a reader takes for content?"},
	"TimestampUnitPurposeAlone": {asks: "Is the unit's certificate for time-stamps alone?"},
	"TimestampServiceListed":    {asks: "Does a time-stamping service of a trusted list stand behind the unit?"},
	trace.WellFormed:            {key: "BBB_FC_IEFF", asks: "Is it formed as its format says?"},
	trace.TrustedListReached:    {key: "QUAL_CERT_TRUSTED_LIST_REACHED", asks: "Does the path lead to a trusted list?"},
	trace.CheckedToItsEnd:       {asks: "Could everything be checked within the limits?"},
	trace.AlgorithmSupported:    {asks: "Are the algorithms implemented?"},
	trace.DataSigned: {key: "BBB_CV_IRDOF", timestamp: "BBB_CV_TSP_IRDOF",
		asks: "Is something signed that a reader takes for content?"},
	trace.Acceptable:         {asks: "May what is signed and how be taken for a signature of content?"},
	trace.CertificateValid:   {asks: "Is the certificate valid within its path (RFC 5280, section 6)?"},
	trace.NotAfterValidation: {asks: "Is the time no later than the validation?"},
	trace.WithinCertificate:  {key: "TSV_IBSTAIDOSC", asks: "Is the time within the certificate's validity?"},
}

// processes are the keys of constraints that ask for the conclusion of a block, and the block's type in DSS.
var conclusive = map[trace.Kind]struct{ key, block, asks string }{
	trace.FormatChecking:            {"BSV_IFCRC", "", "format checking"},
	trace.SigningCertificate:        {"BSV_IISCRC", "", "identification of the signing certificate"},
	trace.ValidationContext:         {"BSV_IVCIRC", "", "initialization of the validation context"},
	trace.CertificateValidation:     {"BSV_IXCVRC", "", "X.509 certificate validation"},
	trace.SubCertificateValidation:  {"BBB_XCV_SUB", "SUB_XCV", "validation of one certificate"},
	trace.RevocationFreshness:       {"BBB_XCV_RFC", "RFC", "revocation freshness"},
	trace.CryptographicVerification: {"BSV_ICVRC", "", "cryptographic verification"},
	trace.SignatureAcceptance:       {"BSV_ISAVRC", "", "signature acceptance"},
	trace.PastSignatureValidation:   {"PSV_IPSVC", "PSV", "past signature validation"},
	trace.PastCertificateValidation: {"PSV_IPCVA", "PCV", "past certificate validation"},
	trace.ValidationTimeSliding:     {"PCV_IVTSC", "VTS", "sliding of the validation time"},
	trace.BasicValidation:           {"LTV_ABSV", "", "basic validation"},
	trace.TimestampValidation:       {"ADEST_IBSVPTC", "TST_BBB", "validation of the time-stamp"},
	trace.WithTime:                  {"ARCH_LTVV", "LTV", "validation with time"},
	trace.ArchivalData:              {"ADEST_IBSVPTADC", "LTA", "validation with archival data"},
	trace.EvidenceRecordValidation:  {"ADEST_IRERVPC", "ER", "validation of the evidence record"},
}

// Constraint is one check (DetailedReport.xsd).
type Constraint struct {
	Name           Message  `json:"Name"`
	Status         string   `json:"Status"`
	Error          *Message `json:"Error"`
	Warning        *Message `json:"Warning"`
	Info           *Message `json:"Info"`
	AdditionalInfo *string  `json:"AdditionalInfo"`
	ID             *string  `json:"Id"`
	BlockType      *string  `json:"BlockType"`
}

// constraint is one of the trace in DSS's words, within a block of something.
func (w *writer) constraint(c trace.Constraint, within *trace.Block, of context) Constraint {
	if c.Name == trace.Conclusive {
		if b := w.blocks[c.Block]; b != nil {
			return w.conclusiveConstraint(c, b, within.Kind)
		}
		c.Name = bySubIndication[within.Conclusion.SubIndication]
	}
	key, fail, asks := keyOf(c, of)
	d := newConstraint(key, fail, asks, c.Status, c.Message)
	d.ID = orNil(c.Object)
	if c.Subject != "" {
		d.AdditionalInfo = &c.Subject
	}
	switch {
	case c.Crypto != nil:
		d.AdditionalInfo = orNil(cryptoText(c.Crypto))
	case c.Name == trace.ProofOfValue || c.Name == trace.ControlTime:
		d.AdditionalInfo = orNil("Control time : " + string(timeOf(within)))
	case within != nil && within.Kind == trace.SubCertificateValidation:
		w.aboutCertificate(&d, c, within)
	}
	return d
}

// aboutCertificate adds what a constraint on a certificate was held against.
func (w *writer) aboutCertificate(d *Constraint, c trace.Constraint, within *trace.Block) {
	about := w.certificates[within.Object]
	if about == nil {
		return
	}
	refer := func(block string) {
		if d.ID == nil {
			d.ID, d.BlockType = &about.ID, &block
		}
	}
	switch c.Name {
	case "SunsetDate":
		refer("SUB_XCV_TA")
		if d.AdditionalInfo = orNil("The trust anchor has no sunset date"); about.Until != nil {
			d.AdditionalInfo = orNil(fmt.Sprintf("Validation time : %s, sunset date : %s", timeOf(within), moment(*about.Until)))
		}
	case "RevocationDataAvailable":
		refer("LTV_SUB_XCV")
	case "AcceptableRevocationDataFound":
		refer("CRS")
		if crs := w.selection(about); crs != nil {
			d.AdditionalInfo = orNil("Latest acceptable revocation : " + *crs.LatestAcceptableRevocationID)
		}
	case "KeyUsage":
		d.AdditionalInfo = orNil(fmt.Sprintf("Key usage : %v", about.KeyUsage))
	case "ExtendedKeyUsage":
		d.AdditionalInfo = orNil(fmt.Sprintf("Extended key usage : %v", about.ExtKeyUsage))
	case "NotExpired":
		d.AdditionalInfo = orNil(fmt.Sprintf("Validation time : %s, certificate validity range : %s - %s", timeOf(within),
			moment(about.NotBefore), moment(about.NotAfter)))
	}
}

// timeOf is the time for which a block was asked, "" for what depends on none.
func timeOf(b *trace.Block) Time {
	if b.Time == nil {
		return ""
	}
	return moment(*b.Time)
}

func newConstraint(key, fail, asks string, status trace.Status, text string) Constraint {
	d := Constraint{Name: message(key, asks), Status: string(status)}
	if text == "" {
		text = "The answer is no: " + asks
	}
	m := message(fail, text)
	switch status {
	case trace.NotOK:
		d.Error = &m
	case trace.Warning:
		d.Warning = &m
	case trace.Information:
		d.Info = &m
	}
	return d
}

// conclusiveConstraint asks, within a block, for the conclusion of another.
func (w *writer) conclusiveConstraint(c trace.Constraint, of *trace.Block, within trace.Kind) Constraint {
	k := conclusive[of.Kind]
	if within == trace.ArchivalData && of.Kind == trace.TimestampValidation {
		k.key, k.block = "ADEST_IBSVPTADC", "TST"
	}
	if within == trace.PastSignatureValidation && of.Kind == trace.CertificateValidation {
		k = conclusive[trace.PastCertificateValidation]
	}
	d := newConstraint(k.key, k.key+"_ANS", fmt.Sprintf("Is the %s conclusive?", k.asks), c.Status, c.Message)
	d.ID, d.BlockType = orNil(c.Block), orNil(k.block)
	switch t := w.timestamps[of.Object]; {
	case of.Kind == trace.TimestampValidation && t != nil:
		d.AdditionalInfo = orNil(fmt.Sprintf("%s with Id = %s, production time = %s", t.Type, t.ID, productionTime(t)))
	case of.Time != nil && within != trace.SubCertificateValidation:
		d.AdditionalInfo = orNil("Validation time : " + string(moment(*of.Time)))
	}
	return d
}

// bySubIndication are the constraints that a sub-indication speaks of where no constraint of the trace is to blame.
var bySubIndication = map[string]string{
	"FORMAT_FAILURE": trace.WellFormed, "HASH_FAILURE": "ReferenceDataIntact", "SIG_CRYPTO_FAILURE": "SignatureIntact",
	"SIGNED_DATA_NOT_FOUND": "ReferenceDataExistence", "NO_SIGNING_CERTIFICATE_FOUND": "Recognition",
	"NO_CERTIFICATE_CHAIN_FOUND":        "ProspectiveCertificateChain",
	"NO_CERTIFICATE_CHAIN_FOUND_NO_POE": "ProspectiveCertificateChain",
	"REVOKED":                           "NotRevoked", "REVOKED_NO_POE": "NotRevoked", "REVOKED_CA_NO_POE": "NotRevoked",
	"EXPIRED": "NotExpired", "NOT_YET_VALID": "NotExpired", "OUT_OF_BOUNDS_NO_POE": "NotExpired",
	"OUT_OF_BOUNDS_NOT_REVOKED":       "NotExpired",
	"TRY_LATER":                       "AcceptableRevocationDataFound",
	"REVOCATION_OUT_OF_BOUNDS_NO_POE": "RevocationIssuerNotExpired",
	"CRYPTO_CONSTRAINTS_FAILURE":      "Cryptographic", "CRYPTO_CONSTRAINTS_FAILURE_NO_POE": "Cryptographic",
	"TIMESTAMP_ORDER_FAILURE": "Coherence", "SIG_CONSTRAINTS_FAILURE": trace.Acceptable,
	"CHAIN_CONSTRAINTS_FAILURE":         trace.CertificateValid,
	"CERTIFICATE_CHAIN_GENERAL_FAILURE": trace.CertificateValid, "GENERIC": trace.CheckedToItsEnd,
}

// withReasons adds the reasons of a conclusion that no message says.
func withReasons(to []Message, c trace.Conclusion, of context) []Message {
	_, fail, _ := keyOf(trace.Constraint{Name: bySubIndication[c.SubIndication]}, of)
	for _, reason := range c.Reasons {
		if !slices.ContainsFunc(to, func(m Message) bool { return m.Value == reason }) {
			to = append(to, message(fail, reason))
		}
	}
	return to
}

// keyOf gives the keys of a constraint and of what is wrong with it, and what is asked.
func keyOf(c trace.Constraint, of context) (key, fail, asks string) {
	e, known := entries[c.Name]
	switch {
	case c.Name == "":
		return ours, ours, "Is what it rests on conclusive?"
	case !known || e.key == "":
		key = ours + "_" + c.Name
		if !known {
			e.asks = c.Name
		}
		return key, key + "_ANS", e.asks
	}
	key = e.key
	if of == aboutTimestamp && e.timestamp != "" {
		key = e.timestamp
	} else if of == aboutRevocation && e.revocation != "" {
		key = e.revocation
	}
	switch {
	case c.Name == "ProspectiveCertificateChain":
		fail = key + pathSuffix[of]
	case c.Crypto != nil && c.Crypto.KeyBits > 0:
		fail = "ASCCM_AR_ANS_AKSNR"
	case c.Crypto != nil:
		fail = "ASCCM_AR_ANS_ANR"
	case e.fail != "":
		fail = e.fail
	default:
		fail = key + "_ANS"
	}
	return key, fail, e.asks
}

// pathSuffix tells apart whose path is missing.
var pathSuffix = map[context]string{aboutSignature: "_SIG_ANS", aboutCounterSignature: "_SIG_ANS",
	aboutTimestamp:  "_TSP_ANS",
	aboutRevocation: "_REV_ANS", aboutRecord: "_ANS"}

func cryptoText(c *trace.Crypto) string {
	text := algorithmName(c.Algorithm)
	if c.KeyBits > 0 {
		text += fmt.Sprintf(" with a key of %d bits", c.KeyBits)
	}
	return fmt.Sprintf("%s for %s, at %s", text, c.Purpose, moment(c.Time))
}
