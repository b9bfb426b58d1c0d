package dss

import (
	"encoding/json"
	"fmt"
	"math"
	"regexp"
	"slices"
	"unicode/utf8"

	"golang.org/x/crypto/cryptobyte"

	"trustcore/verify/certificate"
	"trustcore/verify/prose"
	"trustcore/verify/trace"
)

// DiagnosticCertificate is one certificate.
type DiagnosticCertificate struct {
	ID                       string                  `json:"Id"`
	SubjectDistinguishedName []DistinguishedName     `json:"SubjectDistinguishedName"`
	IssuerDistinguishedName  []DistinguishedName     `json:"IssuerDistinguishedName"`
	SerialNumber             json.Number             `json:"SerialNumber"`
	SubjectSerialNumber      *string                 `json:"SubjectSerialNumber"`
	CommonName               *string                 `json:"CommonName"`
	Locality                 *string                 `json:"Locality"`
	State                    *string                 `json:"State"`
	CountryName              *string                 `json:"CountryName"`
	OrganizationIdentifier   *string                 `json:"OrganizationIdentifier"`
	OrganizationName         *string                 `json:"OrganizationName"`
	OrganizationalUnit       *string                 `json:"OrganizationalUnit"`
	Title                    *string                 `json:"Title"`
	GivenName                *string                 `json:"GivenName"`
	Surname                  *string                 `json:"Surname"`
	Pseudonym                *string                 `json:"Pseudonym"`
	Email                    *string                 `json:"Email"`
	Source                   []string                `json:"Source"`
	NotAfter                 Time                    `json:"NotAfter"`
	NotBefore                Time                    `json:"NotBefore"`
	PublicKeySize            int                     `json:"PublicKeySize"`
	PublicKeyEncryptionAlgo  *string                 `json:"PublicKeyEncryptionAlgo"`
	EntityKey                string                  `json:"EntityKey" text:"-"`
	IssuerEntityKey          *IssuerEntityKey        `json:"IssuerEntityKey"`
	BasicSignature           BasicSignature          `json:"BasicSignature"`
	SigningCertificate       *CertificateID          `json:"SigningCertificate"`
	ChainItem                []ChainItem             `json:"ChainItem"`
	Trusted                  Trusted                 `json:"Trusted"`
	SelfSigned               bool                    `json:"SelfSigned"`
	Extensions               []map[string]any        `json:"certificateExtensions"`
	TrustServiceProvider     []TrustServiceProvider  `json:"TrustServiceProvider"`
	CertificateRevocation    []CertificateRevocation `json:"CertificateRevocation"`
	Token
	Duplicated *bool `json:"Duplicated"`
}

// DistinguishedName is a name in one form.
type DistinguishedName struct {
	Value  string `json:"value"`
	Format string `json:"Format"`
}

// IssuerEntityKey names the key that signed a certificate.
type IssuerEntityKey struct {
	Value       string `json:"value" text:"-"`
	Key         bool   `json:"key"`
	SubjectName bool   `json:"subjectName"`
}

// Trusted is whether a certificate is an anchor's, and when.
type Trusted struct {
	Value      bool  `json:"value"`
	StartDate  *Time `json:"startDate"`
	SunsetDate *Time `json:"sunsetDate"`
}

// CertificateRevocation is what one revocation datum says.
type CertificateRevocation struct {
	Status         string  `json:"Status"`
	Reason         *string `json:"Reason"`
	RevocationDate *Time   `json:"RevocationDate"`
	Revocation     string  `json:"Revocation"`
}

// TrustServiceProvider is one of a trusted list.
type TrustServiceProvider struct {
	TSPName                   []LangAndValue `json:"TSPName"`
	TSPTradeName              []LangAndValue `json:"TSPTradeName"`
	TSPRegistrationIdentifier []string       `json:"TSPRegistrationIdentifier"`
	TrustService              []TrustService `json:"TrustService"`
	TL                        string         `json:"TL"`
	LOTL                      *string        `json:"LOTL"`
}

// TrustService is a service in one of its periods.
type TrustService struct {
	ServiceName              []LangAndValue `json:"ServiceName"`
	ServiceType              string         `json:"ServiceType"`
	Status                   string         `json:"Status"`
	StartDate                Time           `json:"StartDate"`
	EndDate                  *Time          `json:"EndDate"`
	Qualifier                []Qualifier    `json:"Qualifier"`
	AdditionalServiceInfoURI []string       `json:"AdditionalServiceInfoUri"`
	ServiceSupplyPoint       []string       `json:"ServiceSupplyPoint"`
	MRATrustServiceMapping   none           `json:"MRATrustServiceMapping"`
	EnactedMRA               none           `json:"enactedMRA"`
	ExpiredCertsRevocation   *Time          `json:"ExpiredCertsRevocationInfo"`
	ServiceDigitalIdentifier string         `json:"ServiceDigitalIdentifier"`
}

// Qualifier is one that applies to the certificate.
type Qualifier struct {
	Value    string `json:"value"`
	Critical *bool  `json:"critical"`
}

// LangAndValue is a text in a language.
type LangAndValue struct {
	Value string `json:"value"`
	Lang  string `json:"lang"`
}

func (w *writer) certificate(c *trace.Certificate) DiagnosticCertificate {
	d := DiagnosticCertificate{
		ID: c.ID, SubjectDistinguishedName: []DistinguishedName{{c.Subject, "RFC2253"}},
		IssuerDistinguishedName: []DistinguishedName{{c.Issuer, "RFC2253"}}, SerialNumber: json.Number(c.Serial),
		CommonName: orNil(c.CommonName),
		Source:     []string{}, NotAfter: moment(c.NotAfter), NotBefore: moment(c.NotBefore), PublicKeySize: c.KeyBits,
		PublicKeyEncryptionAlgo: keyAlgorithm(c.KeyAlgorithm), EntityKey: entityKey + c.KeyID,
		BasicSignature: basic(c.Basic),
		ChainItem:      w.chain(c.Chain), Trusted: Trusted{c.Trusted, momentOrNil(c.From), momentOrNil(c.Until)},
		SelfSigned: c.SelfSigned,
		Extensions: []map[string]any{}, TrustServiceProvider: w.providers(c.Services),
		CertificateRevocation: []CertificateRevocation{},
		Token:                 token(c.DER, idDigest(c.ID), w.Tokens.Certificates),
	}
	for _, s := range c.Sources {
		d.Source = append(d.Source, sourceName(s))
	}
	if len(d.Source) == 0 {
		d.Source = []string{"UNKNOWN"}
	}
	if issuer := w.issuer(c); issuer != nil {
		d.SigningCertificate = &CertificateID{Certificate: issuer.ID}
		d.IssuerEntityKey = &IssuerEntityKey{entityKey + issuer.KeyID, true, issuer.Subject == c.Issuer}
	}
	for _, r := range c.Revocations {
		if w.byID[r.Revocation] {
			d.CertificateRevocation = append(d.CertificateRevocation,
				CertificateRevocation{statuses[r.Status], reason(r.Reason), momentOrNil(r.RevocationTime),
					r.Revocation})
		}
	}
	if parsed, err := certificate.Parse(c.DER); err == nil {
		d.describe(parsed)
	}
	if !w.trace.Numbers {
		prose.Replace(&d, w.byID, w.people.Hide)
	}
	return d
}

// sourceName is DSS's name of where a certificate was come by: what was gathered was found by the addresses of
// certificates.
func sourceName(s trace.Source) string {
	if s == trace.FromCache || s == trace.FromNetwork {
		return "AIA"
	}
	return string(s)
}

// shown is a text that is read out of DER, fit to be shown.
func (w *writer) shown(text string) string {
	if !w.trace.Numbers {
		text = w.people.Hide(text)
	}
	return prose.Text(text)
}

// entityKey is how DSS's identifiers of keys begin.
const entityKey = "EK-"

var statuses = map[string]string{"good": "GOOD", "revoked": "REVOKED", "unknown": "UNKNOWN"}

func (w *writer) issuer(c *trace.Certificate) *trace.Certificate {
	if len(c.Chain) == 0 {
		return nil
	}
	return w.certificates[c.Chain[0].Certificate]
}

func (w *writer) providers(services []trace.TrustService) []TrustServiceProvider {
	providers := []TrustServiceProvider{}
	for _, s := range services {
		if w.lists[s.List] == nil || w.certificates[s.Certificate] == nil {
			continue
		}
		p := TrustServiceProvider{TSPName: inLanguages(s.ProviderNames, s.Provider), TSPTradeName: []LangAndValue{},
			TSPRegistrationIdentifier: registrations(s.TradeNames), TL: s.List}
		for _, t := range s.TradeNames {
			if !registration.MatchString(t.Text) {
				p.TSPTradeName = append(p.TSPTradeName, LangAndValue{t.Text, t.Language})
			}
		}
		if parent := w.lists[s.List].Parent; w.lists[parent] != nil {
			p.LOTL = &parent
		}
		for _, at := range s.Periods {
			t := TrustService{ServiceName: inLanguages(s.Names, s.Name), ServiceSupplyPoint: list(s.SupplyPoints),
				ServiceType: at.Type, Status: at.Status,
				StartDate: moment(at.From),
				EndDate:   momentOrNil(at.To), Qualifier: []Qualifier{}, AdditionalServiceInfoURI: list(at.Additional),
				ExpiredCertsRevocation: momentOrNil(at.ExpiredCertsRevocation), ServiceDigitalIdentifier: s.Certificate}
			for _, q := range at.Qualifiers {
				critical := slices.Contains(at.Critical, q)
				t.Qualifier = append(t.Qualifier, Qualifier{qualifierURI(q), &critical})
			}
			p.TrustService = append(p.TrustService, t)
		}
		providers = append(providers, p)
	}
	return providers
}

// registration is the form of official identifiers among the trade names of a provider (TS 119 612 5.4.2).
var registration = regexp.MustCompile(`^(VAT|NTR|PAS|IDC|PNO|TIN|LEI|[A-Z]{2}:)[A-Z]{2}-.`)

// registrations are those identifiers, each once: they stand in a list in every language.
func registrations(trade []trace.Localized) []string {
	ids := []string{}
	for _, t := range trade {
		if registration.MatchString(t.Text) && !slices.Contains(ids, t.Text) {
			ids = append(ids, t.Text)
		}
	}
	return ids
}

// inLanguages are the texts, else the one that is known.
func inLanguages(texts []trace.Localized, otherwise string) []LangAndValue {
	if len(texts) == 0 {
		return []LangAndValue{{otherwise, "en"}}
	}
	l := []LangAndValue{}
	for _, t := range texts {
		l = append(l, LangAndValue{t.Text, t.Language})
	}
	return l
}

// qualifierURI is the URI whose last part is known (TS 119 612 5.5.9.2.3).
func qualifierURI(last string) string {
	return "http://uri.etsi.org/TrstSvc/TrustedList/SvcInfoExt/" + last
}

// describe adds what stands in the certificate itself.
func (d *DiagnosticCertificate) describe(c *certificate.Certificate) {
	attribute := func(t certificate.OID) *string { return orNil(prose.Text(c.Subject.First(t))) }
	d.SubjectSerialNumber, d.Locality, d.State = attribute(certificate.AttrSerialNumber),
		attribute(certificate.AttrLocality), attribute(certificate.AttrProvince)
	d.CountryName, d.OrganizationIdentifier = attribute(certificate.AttrCountry),
		attribute(certificate.AttrOrganizationIdentifier)
	d.OrganizationName, d.OrganizationalUnit = attribute(certificate.AttrOrganization),
		attribute(certificate.AttrOrganizationalUnit)
	d.Title, d.GivenName, d.Surname = attribute(certificate.AttrTitle), attribute(certificate.AttrGivenName),
		attribute(certificate.AttrSurname)
	d.Pseudonym, d.Email = attribute(certificate.AttrPseudonym), attribute(certificate.AttrEmail)
	for i := range c.Extensions {
		name, value := extension(c, &c.Extensions[i])
		d.Extensions = append(d.Extensions, map[string]any{name: value})
	}
}

// fields are the members of one extension in JSON.
type fields map[string]any

// extension is one extension under DSS's name. What can't be read stands there in its octets.
func extension(c *certificate.Certificate, e *certificate.Extension) (string, fields) {
	f := fields{"OID": e.OID.String(), "critical": e.Critical, "octets": nil, "description": nil}
	describe := extensions[e.OID]
	if describe.fill == nil || e.Malformed {
		f["octets"] = octetString(e.Value)
		if d := descriptions[e.OID.String()]; d != "" {
			f["description"] = d
		}
		return "CertificateExtension", f
	}
	describe.fill(c, f)
	return describe.name, f
}

// octetString is the OCTET STRING that holds the octets: DSS tells of extensions with it.
func octetString(octets []byte) []byte {
	var b cryptobyte.Builder
	b.AddASN1OctetString(octets)
	return b.BytesOrPanic()
}

// extensions are those that DSS has names for.
var extensions = map[certificate.OID]struct {
	name string
	fill func(*certificate.Certificate, fields)
}{
	certificate.ExtKeyUsage: {"KeyUsages", func(c *certificate.Certificate,
		f fields) {
		f["keyUsageBit"] = keyUsage(c)
	}},
	certificate.ExtExtendedKeyUsage: {"ExtendedKeyUsages", func(c *certificate.Certificate,
		f fields) {
		f["extendedKeyUsageOid"] = oids(c.EKU)
	}},
	certificate.ExtCertificatePolicies: {"CertificatePolicies", policies},
	certificate.ExtSubjectAltName:      {"SubjectAlternativeNames", alternativeNames},
	certificate.ExtBasicConstraints:    {"BasicConstraints", basicConstraints},
	certificate.ExtPolicyConstraints:   {"PolicyConstraints", policyConstraints},
	certificate.ExtInhibitAnyPolicy: {"InhibitAnyPolicy", func(c *certificate.Certificate,
		f fields) {
		f["value"] = c.InhibitAnyPolicy
	}},
	certificate.ExtNameConstraints: {"NameConstraints", nameConstraints},
	certificate.ExtCRLDistributionPoints: {"CRLDistributionPoints", func(c *certificate.Certificate,
		f fields) {
		f["crlUrl"] = crlURLs(c.CRLDistributionPoints)
	}},
	certificate.ExtFreshestCRL: {"FreshestCRL", func(c *certificate.Certificate,
		f fields) {
		f["crlUrl"] = crlURLs(c.FreshestCRL)
	}},
	certificate.ExtAuthorityKeyID: {"AuthorityKeyIdentifier", func(c *certificate.Certificate,
		f fields) {
		f["keyIdentifier"] = c.AKI.KeyID
	}},
	certificate.ExtSubjectKeyID: {"SubjectKeyIdentifier", func(c *certificate.Certificate,
		f fields) {
		f["ski"] = c.SKI
	}},
	certificate.ExtAuthorityInfoAccess: {"AuthorityInformationAccess", informationAccess},
	certificate.ExtOCSPNoCheck: {"IdPkixOcspNoCheck", func(c *certificate.Certificate,
		f fields) {
		f["present"] = c.OCSPNoCheck
	}},
	certificate.ExtValidityAssured: {"ValAssuredShortTermCertificate", func(c *certificate.Certificate,
		f fields) {
		f["present"] = c.ValidityAssured
	}},
	certificate.ExtQCStatements: {"QcStatements", qcStatements},
}

// keyUsages are the bits by their names (RFC 5280 4.2.1.3), the lowest first.
var keyUsages = [...]string{"digitalSignature", "nonRepudiation", "keyEncipherment", "dataEncipherment",
	"keyAgreement", "keyCertSign",
	"crlSign", "encipherOnly", "decipherOnly"}

func keyUsage(c *certificate.Certificate) []string {
	bits := []string{}
	for i, name := range keyUsages {
		if c.KeyUsage&(1<<i) != 0 {
			bits = append(bits, name)
		}
	}
	return bits
}

func oids(ids []certificate.OID) []fields {
	l := []fields{}
	for _, o := range ids {
		l = append(l, oid(o))
	}
	return l
}

func policies(c *certificate.Certificate, f fields) {
	l := []fields{}
	for _, p := range c.Policies {
		policy := oid(p.Policy)
		for _, q := range p.Qualifiers {
			if q.CPS != "" && policy["cpsUrl"] == nil {
				policy["cpsUrl"] = prose.Text(q.CPS)
			}
		}
		l = append(l, policy)
	}
	f["certificatePolicy"] = l
}

func alternativeNames(c *certificate.Certificate, f fields) {
	l := []fields{}
	for _, n := range c.SAN {
		l = append(l, generalName(n))
	}
	f["subjectAlternativeName"] = l
}

// nameKinds are DSS's names of the kinds of general names.
var nameKinds = [...]string{"otherName", "rfc822Name", "dNSName", "x400Address", "directoryName", "ediPartyName",
	"uniformResourceIdentifier", "iPAddress", "registeredID"}

func generalName(n certificate.GeneralName) fields {
	f := fields{"value": prose.Text(fmt.Sprintf("#%x", n.Raw))}
	if int(n.Kind) < len(nameKinds) {
		f["type"] = nameKinds[n.Kind]
	}
	switch {
	case n.Directory != nil:
		f["value"] = prose.Text(n.Directory.String())
	case n.Kind == certificate.IPName:
		f["value"] = prose.Text(fmt.Sprintf("#%x", n.Value))
	}
	if text := n.Value; (n.Kind == certificate.EmailName || n.Kind == certificate.DNSName ||
		n.Kind == certificate.URIName) && utf8.Valid(text) {
		f["value"] = prose.Text(string(text))
	}
	return f
}

func basicConstraints(c *certificate.Certificate, f fields) {
	f["CA"], f["pathLenConstraint"] = c.BasicConstraints.CA, nil
	switch n := c.BasicConstraints.MaxPathLen; {
	case n >= 0:
		f["pathLenConstraint"] = n
	case c.BasicConstraints.CA:
		f["pathLenConstraint"] = math.MaxInt32 // what DSS writes where there is no limit
	}
}

func policyConstraints(c *certificate.Certificate, f fields) {
	if n := c.PolicyConstraints.RequireExplicit; n >= 0 {
		f["requireExplicitPolicy"] = n
	}
	if n := c.PolicyConstraints.InhibitMapping; n >= 0 {
		f["inhibitPolicyMapping"] = n
	}
}

func nameConstraints(c *certificate.Certificate, f fields) {
	subtrees := func(trees []certificate.Subtree) []fields {
		l := []fields{}
		for _, t := range trees {
			tree := generalName(t.Base)
			tree["minimum"], tree["maximum"] = 0, nil // RFC 5280 4.2.1.10 knows no others
			l = append(l, tree)
		}
		return l
	}
	f["PermittedSubtree"], f["ExcludedSubtree"] = subtrees(c.NameConstraints.Permitted),
		subtrees(c.NameConstraints.Excluded)
}

func crlURLs(points []certificate.DistributionPoint) []string {
	urls := []string{}
	for _, p := range points {
		if p.Name == nil {
			continue
		}
		for _, n := range p.Name.Full {
			if n.Kind == certificate.URIName {
				urls = append(urls, prose.Text(string(n.Value)))
			}
		}
	}
	return urls
}

func informationAccess(c *certificate.Certificate, f fields) {
	issuers, responders := []string{}, []string{}
	for _, a := range c.AIA {
		switch {
		case a.Location.Kind != certificate.URIName:
		case a.Method == certificate.AccessOCSP:
			responders = append(responders, prose.Text(string(a.Location.Value)))
		case a.Method == certificate.AccessCAIssuers:
			issuers = append(issuers, prose.Text(string(a.Location.Value)))
		}
	}
	f["caIssuersUrl"], f["ocspUrl"] = issuers, responders
}

func qcStatements(c *certificate.Certificate, f fields) {
	q := c.QC
	f["QcCompliance"], f["QcSSCD"], f["QcType"] = fields{"present": q.Compliance}, fields{"present": q.SSCD},
		oids(q.Types)
	links := []LangAndValue{}
	for _, p := range q.PDS {
		links = append(links, LangAndValue{prose.Text(p.URL), prose.Text(p.Language)})
	}
	f["PdsLocation"], f["CountryName"] = links, cleaned(q.Legislation)
	if q.Retention >= 0 {
		f["QcEuRetentionPeriod"] = q.Retention
	}
	if q.Limit != nil {
		f["QcEuLimitValue"] = fields{"currency": prose.Text(q.Limit.Currency), "amount": q.Limit.Amount,
			"exponent": q.Limit.Exponent}
	}
	if q.SemanticsID != "" {
		f["SemanticsIdentifier"] = oid(q.SemanticsID)
	}
}

func cleaned(texts []string) []string {
	l := []string{}
	for _, t := range texts {
		l = append(l, prose.Text(t))
	}
	return l
}
