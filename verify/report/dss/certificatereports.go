package dss

import (
	"trustcore/verify"
	"trustcore/verify/trace"
)

// CertificateValidation is the validation of one certificate alone.
type CertificateValidation struct {
	// Trace has its path among the certificates, and nothing else that reports are made of but time and policy.
	Trace *trace.Trace
	// Path is the validation of the path (EN 319 102-1 5.2.6): an XCV about the certificate, with a block for each of it.
	Path trace.Block
	// AtIssuance and AtValidation are what the lists say.
	AtIssuance, AtValidation trace.CertificateQualification
	Tokens                   Tokens
}

// CertificateReports are the two reports beside the simple one.
type CertificateReports struct {
	DiagnosticData *DiagnosticData
	DetailedReport *DetailedReport
}

// DetailedCertificate is what the processes of a certificate came to.
type DetailedCertificate struct {
	CertificateQualificationProcess QualificationProcess `json:"CertificateQualificationProcess"`
	QWACProcess                     none                 `json:"QWACProcess"`
	ID                              string               `json:"Id"`
}

// QualificationProcess is TS 119 615 4.4 at two times.
type QualificationProcess struct {
	ValidationCertificateQualification []CertificateQualification `json:"ValidationCertificateQualification"`
	Block
	ID string `json:"Id"`
}

// aboutCertificate is DSS's name of a certificate that is validated alone.
const aboutCertificate context = "CERTIFICATE"

// NewCertificate makes the reports of one certificate.
func NewCertificate(v CertificateValidation) *CertificateReports {
	w := newWriter(Validation{Report: &verify.Report{Trace: v.Trace, ValidationTime: v.Trace.ValidationTime},
		Tokens: v.Tokens})
	id := v.Path.Object
	w.blocks = map[string]*trace.Block{}
	w.indexBlocks([]trace.Block{v.Path})
	chain := []trace.ChainItem{}
	for _, c := range v.Trace.Certificates {
		chain = append(chain, trace.ChainItem{Certificate: c.ID, Source: c.Sources[0]})
	}
	process := QualificationProcess{ID: id, ValidationCertificateQualification: []CertificateQualification{},
		Block: concluded("Qualification of the certificate", pathConclusive(v.Path), listReached(v.AtValidation.Found))}
	for _, at := range [...]struct {
		name string
		is   trace.CertificateQualification
	}{{"CERTIFICATE_ISSUANCE_TIME", v.AtIssuance}, {"VALIDATION_TIME", v.AtValidation}} {
		if at.is.Found {
			process.ValidationCertificateQualification = append(process.ValidationCertificateQualification,
				certificateQualification(id, at.name, at.is))
		}
	}
	return &CertificateReports{w.diagnosticData(), &DetailedReport{TLAnalysis: w.listAnalysis(),
		Tokens: []DetailedToken{{Certificate: &DetailedCertificate{CertificateQualificationProcess: process,
			ID: id}}},
		BuildingBlocks: []BuildingBlocks{w.buildingBlocks(object{id: id, of: aboutCertificate, chain: chain,
			blocks: []trace.Block{v.Path}})},
		ValidationTime: moment(v.Trace.ValidationTime)}}
}

// pathConclusive asks for the path.
func pathConclusive(path trace.Block) Constraint {
	return step("BBB_ACCEPT", "Is the path of the certificate valid?", "The path of the certificate is not valid.",
		path.Conclusion.Indication == "PASSED", trace.Warning)
}
