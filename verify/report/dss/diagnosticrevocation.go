package dss

import (
	"encoding/json"

	"trustcore/verify/trace"
)

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
