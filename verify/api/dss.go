package api

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"time"

	"github.com/danielgtaylor/huma/v2"

	"trustcore/verify"
	"trustcore/verify/signature"
)

// The request and the answer of DSS's validateSignature (DataToValidateDTO, WSReportsDTO). Of the four
// reports the simple one is given; the others are null, as DSS's schema allows.
type dssRequest struct {
	SignedDocument    *dssDocument  `json:"signedDocument"`
	OriginalDocuments []dssDocument `json:"originalDocuments"`
	ValidationTime    dssTime       `json:"validationTime"`

	// Of DSS; accepted without effect.
	Policy                  dssIgnored `json:"policy"`
	CryptographicSuite      dssIgnored `json:"cryptographicSuite"`
	EvidenceRecords         dssIgnored `json:"evidenceRecords"`
	TokenExtractionStrategy dssIgnored `json:"tokenExtractionStrategy"`
	SignatureID             dssIgnored `json:"signatureId"`
}

// dssIgnored is any value, of which nothing is kept.
type dssIgnored struct{}

// UnmarshalJSON keeps nothing.
func (dssIgnored) UnmarshalJSON([]byte) error { return nil }

// Schema describes any value in huma's words.
func (dssIgnored) Schema(huma.Registry) *huma.Schema {
	return &huma.Schema{Description: "has no effect"}
}

type dssDocument struct {
	Bytes           []byte  `json:"bytes"`
	DigestAlgorithm *string `json:"digestAlgorithm"`
	Name            string  `json:"name"`
}

// dssTime takes what Java clients write: RFC 3339, or milliseconds since 1970.
type dssTime struct{ time.Time }

// UnmarshalJSON reads either form, or null.
func (t *dssTime) UnmarshalJSON(data []byte) error {
	var ms int64
	if json.Unmarshal(data, &ms) == nil && string(data) != "null" {
		t.Time = time.UnixMilli(ms).UTC()
		return nil
	}
	if err := json.Unmarshal(data, &t.Time); err != nil {
		return refuse(http.StatusBadRequest, "validationTime", "%.40q is no time: write one such as 2026-03-03T12:00:00Z", data)
	}
	return nil
}

type dssAnswer struct {
	SimpleReport                *dssSimpleReport `json:"SimpleReport"`
	DetailedReport              *struct{}        `json:"DetailedReport"`
	DiagnosticData              *struct{}        `json:"DiagnosticData"`
	ValidationReportDataHandler *string          `json:"validationReportDataHandler"`
}

type dssSimpleReport struct {
	ValidationPolicy     dssPolicy  `json:"ValidationPolicy"`
	DocumentName         string     `json:"DocumentName"`
	ValidSignaturesCount int        `json:"ValidSignaturesCount"`
	SignaturesCount      int        `json:"SignaturesCount"`
	ContainerType        *string    `json:"ContainerType"`
	PDFAInfo             *struct{}  `json:"PDFAInfo"`
	Tokens               []dssToken `json:"signatureOrTimestampOrEvidenceRecord"`
	Semantic             *struct{}  `json:"Semantic"`
	ValidationTime       time.Time  `json:"ValidationTime"`
}

type dssPolicy struct {
	PolicyName        string `json:"PolicyName"`
	PolicyDescription string `json:"PolicyDescription"`
}

// dssToken holds one of the two.
type dssToken struct {
	Signature *dssSignature `json:"Signature,omitempty"`
	Timestamp *dssTimestamp `json:"Timestamp,omitempty"`
}

type dssSignature struct {
	ID                    string         `json:"Id"`
	Filename              *string        `json:"Filename"`
	SigningTime           *time.Time     `json:"SigningTime"`
	BestSignatureTime     time.Time      `json:"BestSignatureTime"`
	SignedBy              string         `json:"SignedBy"`
	SignatureLevel        dssLevel       `json:"SignatureLevel"`
	SignatureScope        []dssScope     `json:"SignatureScope"`
	Timestamps            *dssTimestamps `json:"Timestamps"`
	EvidenceRecords       *struct{}      `json:"EvidenceRecords"`
	CertificateChain      dssChain       `json:"CertificateChain"`
	Indication            string         `json:"Indication"`
	SubIndication         *string        `json:"SubIndication"`
	AdESValidationDetails dssDetails     `json:"AdESValidationDetails"`
	QualificationDetails  dssDetails     `json:"QualificationDetails"`
	ExtensionPeriodMin    *time.Time     `json:"ExtensionPeriodMin"`
	ExtensionPeriodMax    *time.Time     `json:"ExtensionPeriodMax"`
	CounterSignature      *bool          `json:"CounterSignature"`
	ParentID              *string        `json:"ParentId"`
	SignatureFormat       string         `json:"SignatureFormat"`
}

type dssLevel struct {
	Value       string `json:"value"`
	Description string `json:"description"`
}

type dssScope struct {
	Value string `json:"value"`
	ID    string `json:"Id"`
	Name  string `json:"name"`
	Scope string `json:"scope"`
}

type dssTimestamps struct {
	Timestamp []dssTimestamp `json:"Timestamp"`
}

type dssTimestamp struct {
	ID                    string     `json:"Id"`
	ProductionTime        time.Time  `json:"ProductionTime"`
	ProducedBy            string     `json:"ProducedBy"`
	Indication            string     `json:"Indication"`
	SubIndication         *string    `json:"SubIndication"`
	AdESValidationDetails dssDetails `json:"AdESValidationDetails"`
}

type dssChain struct {
	Certificate []dssCertificate `json:"Certificate"`
}

type dssCertificate struct {
	ID            string    `json:"Id"`
	QualifiedName string    `json:"QualifiedName"`
	TrustAnchors  *struct{} `json:"TrustAnchors"`
	Trusted       *bool     `json:"trusted"`
	SunsetDate    *struct{} `json:"sunsetDate"`
}

type dssDetails struct {
	Error   []dssMessage `json:"Error"`
	Warning []dssMessage `json:"Warning"`
	Info    []dssMessage `json:"Info"`
}

type dssMessage struct {
	Value string `json:"value"`
	Key   string `json:"Key"`
}

// dssSignature answers DSS's validateSignature.
func (s *Server) dssSignature(ctx context.Context, c *call) (any, error) {
	var in dssRequest
	if err := decode(c.body, &in); err != nil {
		return nil, err
	}
	req, err := in.request()
	if err != nil {
		return nil, err
	}
	report, err := s.judge(ctx, req)
	if err != nil {
		return nil, err
	}
	return dssAnswer{SimpleReport: simpleReport(in.SignedDocument.Name, report)}, nil
}

func (in *dssRequest) request() (req verify.Request, err error) {
	switch {
	case in.SignedDocument == nil || len(in.SignedDocument.Bytes) == 0:
		return req, refuse(http.StatusBadRequest, "signedDocument.bytes", "the document is missing: send its bytes in base64")
	case in.SignedDocument.DigestAlgorithm != nil:
		return req, refuse(http.StatusBadRequest, "signedDocument.digestAlgorithm", "the signed document itself is needed, not its digest")
	case len(in.OriginalDocuments) > maxParts:
		return req, refuse(http.StatusBadRequest, "originalDocuments", "more than %d documents", maxParts)
	}
	req = verify.Request{Document: in.SignedDocument.Bytes, At: in.ValidationTime.Time}
	for i, d := range in.OriginalDocuments {
		if d.DigestAlgorithm != nil {
			return req, refuse(http.StatusBadRequest, fmt.Sprintf("originalDocuments[%d].digestAlgorithm", i), "the document itself is needed, not its digest")
		}
		req.Detached = append(req.Detached, signature.Detached{Name: d.Name, Content: d.Bytes})
	}
	return req, nil
}

func simpleReport(name string, r *verify.Report) *dssSimpleReport {
	d := &dssSimpleReport{
		ValidationPolicy: dssPolicy{r.Policy, "Validates electronic signatures by ETSI EN 319 102-1, algorithms by TS 119 312, qualification by TS 119 615."},
		DocumentName:     name, ValidationTime: r.ValidationTime, SignaturesCount: len(r.Signatures), Tokens: []dssToken{},
	}
	for i := range r.Signatures {
		sig := &r.Signatures[i]
		if sig.Indication == verify.TotalPassed {
			d.ValidSignaturesCount++
		}
		if sig.Container != "" && d.ContainerType == nil {
			d.ContainerType = new(string)
			*d.ContainerType = string(sig.Container)
		}
		d.Tokens = append(d.Tokens, dssToken{Signature: dssSignatureOf(sig)})
	}
	for i := range r.Timestamps {
		t := dssTimestampOf(&r.Timestamps[i])
		d.Tokens = append(d.Tokens, dssToken{Timestamp: &t})
	}
	return d
}

func dssSignatureOf(s *verify.SignatureReport) *dssSignature {
	d := &dssSignature{
		ID: s.ID, Filename: orNil(s.Filename), SigningTime: s.SigningTime, BestSignatureTime: s.BestSignatureTime, SignedBy: s.Signer.CommonName,
		SignatureLevel:  dssLevel{s.Qualification, s.Sentence["en"]},
		Indication:      underscore(s.Indication),
		SubIndication:   subIndication(s.SubIndication),
		ParentID:        s.CounterSignatureOf,
		SignatureFormat: dssFormat(s), AdESValidationDetails: details(s.Reasons, s.Warnings(), s.Notes), QualificationDetails: details(nil, nil, nil),
		CertificateChain: dssChain{Certificate: []dssCertificate{}}, SignatureScope: []dssScope{},
	}
	if s.CounterSignatureOf != nil {
		counter := true
		d.CounterSignature = &counter
	}
	for _, c := range s.Chain {
		cert := dssCertificate{ID: "C-" + strings.ToUpper(c.SHA256), QualifiedName: c.Subject}
		if c.Anchor {
			cert.Trusted = &c.Anchor
		}
		d.CertificateChain.Certificate = append(d.CertificateChain.Certificate, cert)
	}
	for _, sc := range s.Scopes {
		scope := "PARTIAL"
		if sc.Full {
			scope = "FULL"
		}
		id := "D-" + base64.RawURLEncoding.EncodeToString([]byte(sc.Name))
		d.SignatureScope = append(d.SignatureScope, dssScope{Value: sc.Scope, ID: id, Name: sc.Name, Scope: scope})
	}
	if len(s.Timestamps) > 0 {
		d.Timestamps = &dssTimestamps{}
		for i := range s.Timestamps {
			d.Timestamps.Timestamp = append(d.Timestamps.Timestamp, dssTimestampOf(&s.Timestamps[i]))
		}
	}
	return d
}

func dssTimestampOf(t *verify.TimestampReport) dssTimestamp {
	return dssTimestamp{ID: t.ID, ProductionTime: productionTime(t), ProducedBy: t.SignedBy, Indication: underscore(t.Indication),
		SubIndication: subIndication(t.SubIndication), AdESValidationDetails: details(t.Reasons, nil, nil)}
}

// subIndication is one of DSS's own, so that its clients can read it: they have no GENERIC of EN 319 102-1.
func subIndication(s verify.SubIndication) *string {
	if s == verify.Generic {
		s = "UNEXPECTED_ERROR"
	}
	return orNil(string(s))
}

// productionTime is zero where the token can't be read: DSS's field is mandatory.
func productionTime(t *verify.TimestampReport) time.Time {
	if t.Time == nil {
		return time.Time{}
	}
	return *t.Time
}

// dssFormat joins format and level as DSS's SignatureLevel constants do in reports.
func dssFormat(s *verify.SignatureReport) string {
	format := map[string]string{"CMS": "PKCS7", "XMLDSig": "XML-NOT-ETSI", "PDF": "PDF-NOT-ETSI", "JWS": "JSON-NOT-ETSI"}[s.Format]
	switch {
	case format == "PKCS7" && s.Level != "":
		return format + "-" + s.Level
	case format != "":
		return format
	case strings.HasPrefix(s.Level, "B-"):
		return s.Format + "-BASELINE-" + strings.TrimPrefix(s.Level, "B-")
	case s.Level == "":
		return s.Format
	}
	return s.Format + "-" + s.Level
}

func details(errors, warnings, infos []string) dssDetails {
	d := dssDetails{Error: []dssMessage{}, Warning: []dssMessage{}, Info: []dssMessage{}}
	for _, e := range errors {
		d.Error = append(d.Error, dssMessage{Value: e, Key: "TRUSTCORE"})
	}
	for _, w := range warnings {
		d.Warning = append(d.Warning, dssMessage{Value: w, Key: "TRUSTCORE"})
	}
	for _, i := range infos {
		d.Info = append(d.Info, dssMessage{Value: i, Key: "TRUSTCORE"})
	}
	return d
}

func underscore(i verify.Indication) string { return strings.ReplaceAll(string(i), "-", "_") }

func orNil(s string) *string {
	if s == "" {
		return nil
	}
	return &s
}
