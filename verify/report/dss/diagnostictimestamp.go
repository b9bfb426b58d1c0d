package dss

import (
	"encoding/json"
	"slices"

	"trustcore/verify/trace"
)

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

// FoundTimestamp refers to a time-stamp.
type FoundTimestamp struct {
	Timestamp string `json:"Timestamp"`
}

// TimestampedObject refers to what a time-stamp proves to have existed.
type TimestampedObject struct {
	Token    string `json:"Token"`
	Category string `json:"Category"`
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

func (w *writer) foundTimestamps(ids []string) []FoundTimestamp {
	found := []FoundTimestamp{}
	for _, id := range ids {
		if w.timestamps[id] != nil {
			found = append(found, FoundTimestamp{id})
		}
	}
	return found
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
