// Package trustlist reads the trusted lists of ETSI TS 119 612 (versions 5 and 6), from the list of the
// lists down, and answers what a certificate's issuer was entitled to at a time (TS 119 615).
//
// A list counts only when its signature verifies and its signer is one that the level above names. The
// result is an immutable Snapshot; a list that fails is reported and left out, the others stand.
package trustlist

import (
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"trustcore/internal/xmldsig"
	"trustcore/verify/certificate"
)

// Namespaces of TS 119 612.
const (
	nsList           = "http://uri.etsi.org/02231/v2#"
	nsAdditional     = "http://uri.etsi.org/02231/v2/additionaltypes#"
	nsQualifications = "http://uri.etsi.org/TrstSvc/SvcInfoExt/eSigDir-1999-93-EC-TrustedList/#"
	nsXAdES          = "http://uri.etsi.org/01903/v1.3.2#"
)

// typeLOTL is the TSLType of the list of the lists.
const typeLOTL = "http://uri.etsi.org/TrstSvc/TrustedList/TSLType/EUlistofthelists"

// List is one parsed trusted list. Parsing says nothing about its signature.
type List struct {
	Territory  string // SchemeTerritory, such as "PL"; "EU" for the list of the lists
	Type       string // TSLType
	Version    int    // TSLVersionIdentifier
	Sequence   int    // TSLSequenceNumber
	Issued     time.Time
	NextUpdate time.Time // zero: the list is closed
	Pointers   []Pointer
	Services   []*Service
	Digest     [32]byte // SHA-256 of the bytes
	// Pivots are addresses of earlier lists of the lists that lead to this one, as its SchemeInformationURI has them.
	Pivots []string
}

// LOTL reports whether the list is the list of the lists.
func (l *List) LOTL() bool { return l.Type == typeLOTL }

// Pointer names another list and who may sign it.
type Pointer struct {
	Territory string
	Type      string
	Location  string
	MIME      string   // of what is there: the list itself, or a PDF of it
	Signers   [][]byte // DER certificates
}

// Service is one trust service: its certificates and what it was entitled to, period by period.
type Service struct {
	Territory    string
	Provider     string // TSP name
	Name         string // service name of the current period
	Certificates []*certificate.Certificate
	Periods      []Period // newest first, without gaps
	Details
	// Unreadable counts certificates of the service that could not be parsed.
	Unreadable int
}

// Details are what a list says of a service and its provider for those who look them up. They decide nothing.
type Details struct {
	Names         []Text // of the service in its current period
	ProviderNames []Text
	// TradeNames are those of the provider, its official registration identifier among them (TS 119 612 5.4.2).
	TradeNames   []Text
	SupplyPoints []string // URIs
}

// Text is a text in a language, by the tag that the list gives.
type Text struct{ Language, Value string }

// maxTexts bounds the texts in one place; the Union has 24 official languages.
const maxTexts = 64

// Period is a service's state from From until To (exclusive; zero means until now).
type Period struct {
	From, To       time.Time
	Type           string // ServiceTypeIdentifier
	Status         string // ServiceStatus
	Additional     []string
	Qualifications []Qualification
	// Unknown is set where a critical extension is of a kind that is not read: nobody can tell what it takes away.
	Unknown bool
	// ExpiredCertsRevocation is since when revocation information covers expired certificates; zero when not said.
	ExpiredCertsRevocation time.Time
}

// Limits of one list. The largest real ones have some 2,000 services and 2 MB.
const (
	MaxSize     = 32 << 20 // bytes, unpacked
	maxServices = 20_000
	maxPointers = 500
	maxHistory  = 500
	maxPivots   = 32
)

// Parse reads a list.
func Parse(data []byte) (*List, error) {
	doc, err := xmldsig.Parse(data, xmldsig.Limits{Size: MaxSize})
	if err != nil {
		return nil, fmt.Errorf("trusted list: %w", err)
	}
	return parse(doc, sha256.Sum256(data))
}

func parse(doc *xmldsig.Document, digest [32]byte) (*List, error) {
	root := doc.Root()
	if !root.Is(nsList, "TrustServiceStatusList") {
		return nil, fmt.Errorf("trusted list: the document is a %s, no TrustServiceStatusList", root)
	}
	l := &List{Digest: digest}
	if err := l.readScheme(root.Child(nsList, "SchemeInformation")); err != nil {
		return nil, fmt.Errorf("trusted list: %w", err)
	}
	for _, provider := range root.Path(nsList, "TrustServiceProviderList").All(nsList, "TrustServiceProvider") {
		about := provider.Child(nsList, "TSPInformation")
		names, trade := texts(about.Child(nsList, "TSPName"), "Name"), texts(about.Child(nsList, "TSPTradeName"), "Name")
		name := english(about.Child(nsList, "TSPName"), "Name")
		for _, n := range provider.Path(nsList, "TSPServices").All(nsList, "TSPService") {
			if len(l.Services) == maxServices {
				return nil, fmt.Errorf("trusted list of %s: more than %d services", l.Territory, maxServices)
			}
			s, err := readService(n)
			if err != nil {
				return nil, fmt.Errorf("trusted list of %s, provider %s: %w", l.Territory, name, err)
			}
			s.Territory, s.Provider, s.ProviderNames, s.TradeNames = l.Territory, name, names, trade
			l.Services = append(l.Services, s)
		}
	}
	return l, nil
}

func (l *List) readScheme(scheme xmldsig.Node) error {
	text := func(local string) string { return strings.TrimSpace(scheme.Child(nsList, local).Text()) }
	var err error
	if l.Version, err = strconv.Atoi(text("TSLVersionIdentifier")); err != nil {
		return errors.New("TSLVersionIdentifier is missing or no number")
	}
	if l.Version != 5 && l.Version != 6 {
		return fmt.Errorf("TSLVersionIdentifier %d: versions 5 and 6 are read", l.Version)
	}
	if l.Sequence, err = strconv.Atoi(text("TSLSequenceNumber")); err != nil {
		return errors.New("TSLSequenceNumber is missing or no number")
	}
	if l.Issued, err = parseTime(text("ListIssueDateTime")); err != nil {
		return fmt.Errorf("ListIssueDateTime: %w", err)
	}
	if next := strings.TrimSpace(scheme.Path(nsList, "NextUpdate", "dateTime").Text()); next != "" {
		if l.NextUpdate, err = parseTime(next); err != nil {
			return fmt.Errorf("NextUpdate: %w", err)
		}
	}
	l.Type, l.Territory = text("TSLType"), text("SchemeTerritory")
	l.readPivots(scheme)
	pointers := scheme.Path(nsList, "PointersToOtherTSL").All(nsList, "OtherTSLPointer")
	if len(pointers) > maxPointers {
		return fmt.Errorf("more than %d pointers", maxPointers)
	}
	for _, p := range pointers {
		l.Pointers = append(l.Pointers, readPointer(p))
	}
	return nil
}

// readPivots finds the pivots among a list's addresses of information: by their names, as there is no other mark.
func (l *List) readPivots(scheme xmldsig.Node) {
	for _, n := range scheme.Child(nsList, "SchemeInformationURI").All(nsList, "URI") {
		uri := strings.TrimSpace(n.Text())
		name := strings.ToLower(uri[strings.LastIndexByte(uri, '/')+1:])
		if strings.Contains(name, "pivot-") && strings.HasSuffix(name, ".xml") && len(l.Pivots) < maxPivots && !slices.Contains(l.Pivots, uri) {
			l.Pivots = append(l.Pivots, uri)
		}
	}
}

func readPointer(n xmldsig.Node) Pointer {
	p := Pointer{Location: strings.TrimSpace(n.Child(nsList, "TSLLocation").Text())}
	for id := range n.Path(nsList, "ServiceDigitalIdentities").Descendants(nsList, "X509Certificate") {
		if der, err := decode(id.Text()); err == nil {
			p.Signers = append(p.Signers, der)
		}
	}
	for info := range n.Path(nsList, "AdditionalInformation").Elements() {
		if t := info.Child(nsList, "TSLType"); !t.IsZero() {
			p.Type = strings.TrimSpace(t.Text())
		}
		if t := info.Child(nsList, "SchemeTerritory"); !t.IsZero() {
			p.Territory = strings.TrimSpace(t.Text())
		}
		if t := info.Child(nsAdditional, "MimeType"); !t.IsZero() {
			p.MIME = strings.TrimSpace(t.Text())
		}
	}
	return p
}

func readService(n xmldsig.Node) (*Service, error) {
	info := n.Child(nsList, "ServiceInformation")
	s := &Service{Name: english(info.Child(nsList, "ServiceName"), "Name")}
	s.Names = texts(info.Child(nsList, "ServiceName"), "Name")
	for _, t := range texts(info.Child(nsList, "ServiceSupplyPoints"), "ServiceSupplyPoint") {
		s.SupplyPoints = append(s.SupplyPoints, t.Value)
	}
	for id := range info.Child(nsList, "ServiceDigitalIdentity").Descendants(nsList, "X509Certificate") {
		der, err := decode(id.Text())
		if err == nil {
			var c *certificate.Certificate
			if c, err = certificate.Parse(der); err == nil {
				s.Certificates = append(s.Certificates, c)
			}
		}
		if err != nil {
			s.Unreadable++
		}
	}
	current, err := readPeriod(info)
	if err != nil {
		return nil, fmt.Errorf("service %s: %w", s.Name, err)
	}
	s.Periods = append(s.Periods, current)
	history := n.Path(nsList, "ServiceHistory").All(nsList, "ServiceHistoryInstance")
	if len(history) > maxHistory {
		return nil, fmt.Errorf("service %s: more than %d history instances", s.Name, maxHistory)
	}
	for _, h := range history {
		p, err := readPeriod(h)
		if err != nil {
			return nil, fmt.Errorf("service %s, history: %w", s.Name, err)
		}
		s.Periods = append(s.Periods, p)
	}
	s.bound()
	return s, nil
}

// bound ends each period of the history where a later one begins, in whatever order the list has them.
func (s *Service) bound() {
	history := s.Periods[1:]
	slices.SortStableFunc(history, func(a, b Period) int { return b.From.Compare(a.From) })
	end := s.Periods[0].From
	for i := range history {
		history[i].To = end
		if history[i].From.Before(end) {
			end = history[i].From
		}
	}
}

func readPeriod(n xmldsig.Node) (Period, error) {
	p := Period{
		Type:   strings.TrimSpace(n.Child(nsList, "ServiceTypeIdentifier").Text()),
		Status: strings.TrimSpace(n.Child(nsList, "ServiceStatus").Text()),
	}
	var err error
	if p.From, err = parseTime(strings.TrimSpace(n.Child(nsList, "StatusStartingTime").Text())); err != nil {
		return p, fmt.Errorf("StatusStartingTime: %w", err)
	}
	for _, x := range n.Path(nsList, "ServiceInformationExtensions").All(nsList, "Extension") {
		p.Unknown = p.Unknown || isCritical(x) && !isKnown(x)
		if a := x.Child(nsList, "AdditionalServiceInformation"); !a.IsZero() {
			p.Additional = append(p.Additional, strings.TrimSpace(a.Child(nsList, "URI").Text()))
		}
		if e := x.Child(nsList, "ExpiredCertsRevocationInfo"); !e.IsZero() {
			if p.ExpiredCertsRevocation, err = parseTime(strings.TrimSpace(e.Text())); err != nil {
				return p, fmt.Errorf("ExpiredCertsRevocationInfo: %w", err)
			}
		}
		for _, q := range x.Path(nsQualifications, "Qualifications").All(nsQualifications, "QualificationElement") {
			read := readQualification(q)
			read.Critical = isCritical(x)
			p.Qualifications = append(p.Qualifications, read)
		}
	}
	return p, nil
}

// isCritical tells whether the extension must not be passed over (TS 119 612, 5.5.9); only a false one may.
func isCritical(extension xmldsig.Node) bool {
	critical, _ := extension.Attr("", "Critical")
	critical = strings.TrimSpace(critical)
	return critical != "false" && critical != "0"
}

// isKnown tells whether all that the extension holds is of a kind that is read. Who took a service over does not change
// what it was entitled to.
func isKnown(extension xmldsig.Node) bool {
	for x := range extension.Elements() {
		if !x.Is(nsList, "AdditionalServiceInformation") && !x.Is(nsList, "ExpiredCertsRevocationInfo") &&
			!x.Is(nsQualifications, "Qualifications") && !x.Is(nsAdditional, "TakenOverBy") {
			return false
		}
	}
	return true
}

// At returns the period that a time lies in, or nil.
func (s *Service) At(t time.Time) *Period {
	for i := range s.Periods {
		p := &s.Periods[i]
		if !t.Before(p.From) && (p.To.IsZero() || t.Before(p.To)) {
			return p
		}
	}
	return nil
}

// texts are those of a multilingual element, in its order.
func texts(n xmldsig.Node, local string) []Text {
	var list []Text
	for _, c := range n.All(nsList, local) {
		if len(list) == maxTexts {
			break
		}
		language, _ := c.Attr(xmldsig.NamespaceXML, "lang")
		list = append(list, Text{language, strings.TrimSpace(c.Text())})
	}
	return list
}

// english returns the English text of a multilingual element, or the first one.
func english(n xmldsig.Node, local string) string {
	all := n.All(nsList, local)
	for _, c := range all {
		if lang, ok := c.Attr(xmldsig.NamespaceXML, "lang"); ok && strings.EqualFold(lang, "en") {
			return strings.TrimSpace(c.Text())
		}
	}
	if len(all) > 0 {
		return strings.TrimSpace(all[0].Text())
	}
	return ""
}

func parseTime(s string) (time.Time, error) {
	t, err := time.Parse(time.RFC3339Nano, s)
	if err != nil {
		return t, fmt.Errorf("%q is no time", s)
	}
	return t.UTC(), nil
}

// decode reads base64 with the white space that lists put into it.
func decode(text string) ([]byte, error) {
	return base64.StdEncoding.DecodeString(strings.Join(strings.Fields(text), ""))
}
