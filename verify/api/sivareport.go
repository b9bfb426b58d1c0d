package api

import (
	"cmp"
	"slices"
	"strings"
	"time"

	"github.com/danielgtaylor/huma/v2"

	"trustcore/verify"
	"trustcore/verify/report/dss"
)

// The answer of SiVa's validate and validateHashcode.
type sivaAnswer struct {
	ValidationReport sivaReport `json:"validationReport"`
}

type sivaReport struct {
	ValidationConclusion sivaConclusion      `json:"validationConclusion"`
	ValidationProcess    *dss.DetailedReport `json:"validationProcess,omitempty"`
	DiagnosticData       *dss.DiagnosticData `json:"diagnosticData,omitempty"`
}

type sivaConclusion struct {
	Policy               sivaPolicy      `json:"policy"`
	ValidationTime       sivaTime        `json:"validationTime"`
	SignaturesCount      int             `json:"signaturesCount"`
	ValidSignaturesCount int             `json:"validSignaturesCount"`
	ValidationLevel      string          `json:"validationLevel"`
	ValidationWarnings   []sivaText      `json:"validationWarnings,omitempty"`
	ValidatedDocument    *sivaDocument   `json:"validatedDocument,omitempty"`
	SignatureForm        string          `json:"signatureForm,omitempty" doc:"ASiC-E or ASiC-S"`
	Signatures           []sivaSignature `json:"signatures"`
	TimeStampTokens      []sivaTimestamp `json:"timeStampTokens,omitempty"`
}

type sivaPolicy struct {
	Name        string `json:"policyName"`
	Description string `json:"policyDescription"`
	URL         string `json:"policyUrl"`
}

type sivaDocument struct {
	Filename string `json:"filename"`
}

type sivaText struct {
	Content string `json:"content"`
}

type sivaSignature struct {
	ID                 string       `json:"id"`
	SignatureFormat    string       `json:"signatureFormat"`
	SignatureLevel     string       `json:"signatureLevel"`
	SignedBy           string       `json:"signedBy"`
	Subject            *sivaSubject `json:"subjectDistinguishedName,omitempty"`
	Indication         string       `json:"indication" enum:"TOTAL-PASSED,TOTAL-FAILED,INDETERMINATE"`
	SubIndication      string       `json:"subIndication,omitempty"`
	Errors             []sivaText   `json:"errors,omitempty"`
	Warnings           []sivaText   `json:"warnings,omitempty"`
	Scopes             []sivaScope  `json:"signatureScopes,omitempty"`
	ClaimedSigningTime *sivaTime    `json:"claimedSigningTime"`
	Info               *sivaInfo    `json:"info,omitempty"`
}

// sivaSubject has no serial number: it holds a personal one, which is not told.
type sivaSubject struct {
	CommonName string `json:"commonName"`
}

type sivaScope struct {
	Name    string `json:"name"`
	Scope   string `json:"scope"`
	Content string `json:"content"`
}

type sivaInfo struct {
	BestSignatureTime sivaTime `json:"bestSignatureTime"`
}

type sivaTimestamp struct {
	Indication string     `json:"indication" enum:"TOTAL-PASSED,TOTAL-FAILED,INDETERMINATE"`
	SignedBy   string     `json:"signedBy"`
	SignedTime *sivaTime  `json:"signedTime,omitempty"`
	Error      []sivaText `json:"error,omitempty"`
}

// sivaTime is written in whole seconds of UTC.
type sivaTime struct{ time.Time }

// MarshalJSON writes the time.
func (t sivaTime) MarshalJSON() ([]byte, error) {
	return []byte(t.UTC().Format(`"2006-01-02T15:04:05Z"`)), nil
}

// Schema describes the time in huma's words.
func (sivaTime) Schema(huma.Registry) *huma.Schema {
	return &huma.Schema{Type: "string", Format: "date-time"}
}

// sivaLevelError is SiVa's text for a level that a policy does not take.
const sivaLevelError = "Signature/seal level do not meet the minimal level required by applied policy"

// sivaConclusionOf is a report in SiVa's words, under the policy that was asked for.
func sivaConclusionOf(policy string, r *verify.Report) sivaConclusion {
	c := sivaConclusion{ValidationTime: sivaTime{r.ValidationTime}, SignaturesCount: len(r.Signatures),
		ValidationLevel: "ARCHIVAL_DATA", ValidationWarnings: sivaTexts(r.Notes), Signatures: []sivaSignature{},
		Policy: sivaPolicy{cmp.Or(policy, r.Policy),
			"Signatures by ETSI EN 319 102-1 under the validation policy " + r.Policy + " " + r.PolicyVersion, ""}}
	for i := range r.Signatures {
		s := sivaSignatureOf(&r.Signatures[i])
		if policy == sivaQualifiedLevel && s.Indication == string(verify.TotalPassed) &&
			!slices.Contains(sivaQualified, s.SignatureLevel) {
			s.Indication, s.Errors = string(verify.TotalFailed), append(s.Errors, sivaText{sivaLevelError})
		}
		if s.Indication == string(verify.TotalPassed) {
			c.ValidSignaturesCount++
		}
		c.Signatures = append(c.Signatures, s)
		c.SignatureForm = cmp.Or(c.SignatureForm, string(r.Signatures[i].Container))
	}
	for i := range r.Timestamps {
		c.TimeStampTokens = append(c.TimeStampTokens, sivaTimestampOf(&r.Timestamps[i]))
	}
	return c
}

// sivaQualified are the levels that SiVa's POLv4 takes.
var sivaQualified = []string{"QESIG", "QESEAL", "QES", "ADESEAL_QC"}

func sivaSignatureOf(r *verify.SignatureReport) sivaSignature {
	s := sivaSignature{ID: r.ID,
		SignatureFormat: strings.ReplaceAll(r.Format, "-", "_") + "_" + strings.Replace(r.Level, "B-", "BASELINE_", 1),
		SignatureLevel:  sivaLevel(r.Qualification), SignedBy: cmp.Or(r.Signer.CommonName, r.Signer.Name),
		Indication: string(r.Indication), SubIndication: string(r.SubIndication), Errors: sivaTexts(r.Reasons), Warnings: sivaTexts(r.Notes)}
	if r.Signer.CommonName != "" {
		s.Subject = &sivaSubject{r.Signer.CommonName}
	}
	for _, scope := range r.Scopes {
		s.Scopes = append(s.Scopes, sivaScope{scope.Name, scope.Scope, scope.Scope})
	}
	if r.SigningTime != nil {
		s.ClaimedSigningTime = &sivaTime{*r.SigningTime}
	}
	if !r.BestSignatureTime.IsZero() {
		s.Info = &sivaInfo{sivaTime{r.BestSignatureTime}}
	}
	return s
}

func sivaTimestampOf(r *verify.TimestampReport) sivaTimestamp {
	t := sivaTimestamp{Indication: "INDETERMINATE", SignedBy: r.SignedBy, Error: sivaTexts(r.Reasons)}
	switch r.Indication {
	case verify.Passed:
		t.Indication = "TOTAL-PASSED"
	case verify.Failed:
		t.Indication = "TOTAL-FAILED"
	}
	if r.Time != nil {
		t.SignedTime = &sivaTime{*r.Time}
	}
	return t
}

// sivaLevels are SiVa's names of levels by those of reports.
var sivaLevels = map[string]string{
	"QESig": "QESIG", "QESeal": "QESEAL", "Unknown-QC-QSCD": "QES", "AdESig-QC": "ADESIG_QC", "AdESeal-QC": "ADESEAL_QC",
	"Unknown-QC": "ADES_QC", "AdESig": "ADESIG", "AdESeal": "ADESEAL", "Unknown": "ADES",
	"Not AdES but QC with QSCD": "NOT_ADES_QC_QSCD", "Not AdES but QC": "NOT_ADES_QC", "Not AdES": "NOT_ADES",
}

func sivaLevel(qualification string) string {
	name, indeterminate := strings.CutPrefix(qualification, "Indeterminate ")
	level := cmp.Or(sivaLevels[name], "NA")
	if indeterminate && level != "NA" {
		return "INDETERMINATE_" + level
	}
	return level
}

func sivaTexts(texts []string) (list []sivaText) {
	for _, t := range texts {
		list = append(list, sivaText{t})
	}
	return list
}
