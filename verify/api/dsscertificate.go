package api

import (
	"context"
	"fmt"
	"net/http"
	"strings"
	"time"

	"trustcore/verify/certificate"
	"trustcore/verify/chain"
	"trustcore/verify/prose"
	"trustcore/verify/report/dss"
)

// The request and the answer of DSS's validateCertificate (CertificateToValidateDTO, CertificateReportsDTO). Unlike
// those of validateSignature its keys begin in lower case.
type dssCertificateRequest struct {
	Certificate      *dssEncoded  `json:"certificate"`
	CertificateChain []dssEncoded `json:"certificateChain"`
	ValidationTime   dssTime      `json:"validationTime"`

	Policy                  *dssDocument `json:"policy"`
	CryptographicSuite      *dssDocument `json:"cryptographicSuite"`
	TokenExtractionStrategy *string      `json:"tokenExtractionStrategy"`
}

type dssEncoded struct {
	EncodedCertificate []byte `json:"encodedCertificate"`
}

type dssCertificateAnswer struct {
	DiagnosticData          *dss.DiagnosticData      `json:"diagnosticData"`
	SimpleCertificateReport *dssSimpleCertificateRep `json:"simpleCertificateReport"`
	DetailedReport          *dss.DetailedReport      `json:"detailedReport"`
}

type dssSimpleCertificateRep struct {
	ValidationPolicy  dss.SimplePolicy `json:"ValidationPolicy"`
	Certificate       dssTargetReport  `json:"Certificate"`
	ConnectionDetails *struct{}        `json:"ConnectionDetails"`
	ValidationTime    time.Time        `json:"ValidationTime"`
}

// dssTargetReport is the target with the certificates above it.
type dssTargetReport struct {
	dssChainItem
	ChainItem           []dssChainItem `json:"ChainItem"`
	TLSBindingSignature *struct{}      `json:"TLSBindingSignature"`
	ID                  string         `json:"Id"`
}

type dssChainItem struct {
	Subject                          dssSubject    `json:"subject"`
	IssuerID                         *string       `json:"issuerId"`
	NotBefore                        *time.Time    `json:"notBefore"`
	NotAfter                         *time.Time    `json:"notAfter"`
	KeyUsage                         []string      `json:"keyUsage"`
	ExtendedKeyUsage                 []string      `json:"extendedKeyUsage"`
	OCSPURL                          []string      `json:"ocspUrl"`
	CRLURL                           []string      `json:"crlUrl"`
	AIAURL                           []string      `json:"aiaUrl"`
	CPSURL                           []string      `json:"cpsUrl"`
	PDSURL                           []string      `json:"pdsUrl"`
	QualificationAtIssuance          *string       `json:"qualificationAtIssuance"`
	QualificationDetailsAtIssuance   *dss.Details  `json:"qualificationDetailsAtIssuance"`
	QualificationAtValidation        *string       `json:"qualificationAtValidation"`
	QualificationDetailsAtValidation *dss.Details  `json:"qualificationDetailsAtValidation"`
	QWACProfile                      *string       `json:"qwacProfile"`
	QWACDetails                      *struct{}     `json:"qwacDetails"`
	EnactedMRA                       *bool         `json:"enactedMRA"`
	Revocation                       dssRevocation `json:"revocation"`
	TrustAnchor                      *struct{}     `json:"trustAnchor"`
	TrustStartDate                   *time.Time    `json:"trustStartDate"`
	TrustSunsetDate                  *time.Time    `json:"trustSunsetDate"`
	Indication                       string        `json:"Indication"`
	SubIndication                    *string       `json:"SubIndication"`
	X509ValidationDetails            dss.Details   `json:"X509ValidationDetails"`
}

type dssSubject struct {
	CommonName       *string `json:"commonName"`
	Surname          *string `json:"surname"`
	GivenName        *string `json:"givenName"`
	Pseudonym        *string `json:"pseudonym"`
	OrganizationName *string `json:"organizationName"`
	OrganizationUnit *string `json:"organizationUnit"`
	Email            *string `json:"email"`
	Locality         *string `json:"locality"`
	State            *string `json:"state"`
	Country          *string `json:"country"`
}

type dssRevocation struct {
	ThisUpdate       *time.Time `json:"thisUpdate"`
	RevocationDate   *time.Time `json:"revocationDate"`
	RevocationReason *string    `json:"revocationReason"`
}

// dssCertificate answers DSS's validateCertificate.
func (s *Server) dssCertificate(ctx context.Context, c *call) (any, error) {
	var in dssCertificateRequest
	if err := decode(c.body, &in); err != nil {
		return nil, err
	}
	q, err := in.question()
	if err != nil {
		return nil, err
	}
	report, err := s.judgeCertificate(ctx, q)
	if err != nil {
		return nil, err
	}
	tokens, err := extraction(in.TokenExtractionStrategy)
	if err != nil {
		return nil, err
	}
	more := certificateReports(report, tokens)
	return dssCertificateAnswer{more.DiagnosticData, simpleCertificateReport(report), more.DetailedReport}, nil
}

func (in *dssCertificateRequest) question() (*CertificateQuestion, error) {
	if err := in.honoured(); err != nil {
		return nil, err
	}
	if in.Certificate == nil || len(in.Certificate.EncodedCertificate) == 0 {
		return nil, refuse(http.StatusBadRequest, "certificate.encodedCertificate",
			"the certificate is missing: send its DER in base64")
	}
	if len(in.CertificateChain) > chain.MaxCertificates {
		return nil, refuse(http.StatusBadRequest, "certificateChain", "more than %d certificates", chain.MaxCertificates)
	}
	target, err := certificate.Parse(in.Certificate.EncodedCertificate)
	if err != nil {
		return nil, refuse(http.StatusUnprocessableEntity, "certificate.encodedCertificate", "%v", err)
	}
	q := &CertificateQuestion{Target: target, At: in.ValidationTime.Time, Mode: chain.Require}
	for i, e := range in.CertificateChain {
		c, err := certificate.Parse(e.EncodedCertificate)
		if err != nil {
			return nil, refuse(http.StatusUnprocessableEntity, fmt.Sprintf("certificateChain[%d].encodedCertificate", i), "%v",
				err)
		}
		q.Further = append(q.Further, c)
	}
	return q, nil
}

// honoured refuses what has no effect.
func (in *dssCertificateRequest) honoured() error {
	field := ""
	switch {
	case in.Policy != nil && len(in.Policy.Bytes) > 0:
		field = "policy"
	case in.CryptographicSuite != nil && len(in.CryptographicSuite.Bytes) > 0:
		field = "cryptographicSuite"
	default:
		return nil
	}
	return refuse(http.StatusBadRequest, field, "a certificate is judged by the policy of this service: leave it out")
}

func simpleCertificateReport(r *chain.Report) *dssSimpleCertificateRep {
	d := &dssSimpleCertificateRep{ValidationTime: r.Time,
		ValidationPolicy: dss.SimplePolicy{PolicyName: r.Policy,
			PolicyDescription: "Validates certificates by RFC 5280 and ETSI EN 319 102-1, algorithms by TS 119 312, qualification by TS 119 615."}}
	items := make([]dssChainItem, len(r.Chain))
	for i := range r.Chain {
		items[i] = chainItem(r, i)
	}
	d.Certificate = dssTargetReport{dssChainItem: items[0], ChainItem: items[1:], ID: dssID(&r.Chain[0])}
	target := &d.Certificate
	issuance, now := dss.CertificateName(qualificationOf(&r.AtIssuance)),
		dss.CertificateName(qualificationOf(&r.AtValidation))
	target.QualificationAtIssuance, target.QualificationAtValidation = &issuance, &now
	target.Indication, target.SubIndication = r.Indication, r.SubIndication
	return d
}

func dssID(l *chain.Link) string { return "C-" + strings.ToUpper(l.SHA256) }

// chainItem describes the i-th certificate; what is wrong with a certificate above counts for those below.
func chainItem(r *chain.Report, i int) dssChainItem {
	l := &r.Chain[i]
	item := dssChainItem{NotBefore: l.NotBefore, NotAfter: l.NotAfter, Indication: "PASSED"}
	if i+1 < len(r.Chain) {
		id := dssID(&r.Chain[i+1])
		item.IssuerID = &id
	}
	found := dss.Details{Error: []dss.Message{}, Warning: []dss.Message{}, Info: []dss.Message{}}
	for _, reason := range r.Reasons {
		if reason.Position >= i {
			item.Indication, item.SubIndication = r.Indication, r.SubIndication
		}
		if reason.Position == i {
			text := reason.Code
			if reason.Detail != "" {
				text += ": " + prose.Detail(reason.Detail)
			}
			found.Error = append(found.Error, dss.Own(text))
		}
	}
	item.X509ValidationDetails = found
	if s := l.Status; s != nil {
		item.Revocation = dssRevocation{s.ThisUpdate, s.RevokedAt, orNil(s.Reason)}
	}
	if c := l.Certificate; c != nil {
		item.Subject = subject(r, c)
		item.describe(c)
	}
	return item
}

func subject(r *chain.Report, c *certificate.Certificate) dssSubject {
	first := func(id certificate.OID) *string { return orNil(prose.Short(r.Show(c.Subject.First(id)))) }
	return dssSubject{first(certificate.AttrCommonName), first(certificate.AttrSurname), first(certificate.AttrGivenName),
		first(certificate.AttrPseudonym), first(certificate.AttrOrganization), first(certificate.AttrOrganizationalUnit),
		first(certificate.AttrEmail), first(certificate.AttrLocality), first(certificate.AttrProvince),
		first(certificate.AttrCountry)}
}

func orNil(s string) *string {
	if s == "" {
		return nil
	}
	return &s
}

// keyUsages are the bits of keyUsage in their order, as DSS names them.
var keyUsages = [...]string{"digitalSignature", "nonRepudiation", "keyEncipherment", "dataEncipherment",
	"keyAgreement", "keyCertSign", "crlSign", "encipherOnly", "decipherOnly"}

func (item *dssChainItem) describe(c *certificate.Certificate) {
	for i, name := range keyUsages {
		if c.KeyUsage&(1<<i) != 0 {
			item.KeyUsage = append(item.KeyUsage, name)
		}
	}
	for _, p := range c.EKU {
		item.ExtendedKeyUsage = append(item.ExtendedKeyUsage, p.String())
	}
	for _, a := range c.AIA {
		switch {
		case a.Location.Kind != certificate.URIName:
		case a.Method == certificate.AccessOCSP:
			item.OCSPURL = append(item.OCSPURL, string(a.Location.Value))
		case a.Method == certificate.AccessCAIssuers:
			item.AIAURL = append(item.AIAURL, string(a.Location.Value))
		}
	}
	for _, p := range c.CRLDistributionPoints {
		if p.Name == nil {
			continue
		}
		for _, n := range p.Name.Full {
			if n.Kind == certificate.URIName {
				item.CRLURL = append(item.CRLURL, string(n.Value))
			}
		}
	}
	for _, p := range c.Policies {
		for _, q := range p.Qualifiers {
			if q.CPS != "" {
				item.CPSURL = append(item.CPSURL, q.CPS)
			}
		}
	}
	if c.QC != nil {
		for _, p := range c.QC.PDS {
			item.PDSURL = append(item.PDSURL, p.URL)
		}
	}
}
