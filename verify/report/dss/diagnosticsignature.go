package dss

import (
	"encoding/hex"
	"strings"

	"trustcore/verify/trace"
)

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

func structure(faults []string) *Structure {
	return &Structure{Message: list(faults), Valid: len(faults) == 0}
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
