package dss

import "trustcore/verify/trace"

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

// FoundRecord refers to an evidence record.
type FoundRecord struct {
	EvidenceRecord string `json:"EvidenceRecord"`
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
