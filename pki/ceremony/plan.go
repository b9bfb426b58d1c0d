// Package ceremony makes the authorities' keys and certificates from a written plan: the plan is checked, rehearsed with
// throw-away keys, and carried out with keys of the HSM; every step stands in a transcript that is chained by hashes and signed
// by the new root, so that it can be verified offline for as long as the root's certificate is known.
package ceremony

import (
	"bytes"
	"crypto/sha256"
	_ "embed"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"net/url"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"go.yaml.in/yaml/v3"

	"trustcore/pki/profile"
)

// Limits of a plan.
const (
	MaxPlan      = 64 << 10 // octets
	maxAttendees = 32
	maxYears     = 30
)

// Algorithms of keys, as the HSM names them.
const (
	P256    = "P-256"
	P384    = "P-384"
	RSA3072 = "RSA-3072"
	RSA4096 = "RSA-4096"
)

var algorithms = []string{P256, P384, RSA3072, RSA4096}

// Plan is what is written down and agreed on before the ceremony.
type Plan struct {
	Version      int        `yaml:"version"`       // 1
	Title        string     `yaml:"title"`         //
	Place        string     `yaml:"place"`         //
	Organization string     `yaml:"organization"`  // of all subjects
	Country      string     `yaml:"country"`       // of all subjects, two letters
	BaseURL      string     `yaml:"base_url"`      // where certificates, lists and answers will be reached
	Attendees    []Attendee `yaml:"attendees"`     // at least an administrator and a witness
	Signatures   int        `yaml:"signatures"`    // how many of them open a ceremony by their keys at least; 0 where they have none
	Root         Key        `yaml:"root"`          // a succession has none: the root is there
	Issuing      Key        `yaml:"issuing"`       //
	OCSP         Key        `yaml:"ocsp"`          // the responder's delegate
	TimeStamping *Key       `yaml:"time_stamping"` // optional: the time-stamping unit
	Purposes     []string   `yaml:"purposes"`      // optional: what the issuing authority is for, of profile.Purposes; all when empty
	Begins       string     `yaml:"begins"`        // optional, of a succession: "planned" has officers activate it; default "active"
	RootCRL      Span       `yaml:"root_crl"`      // how long the root's first CRL is valid, at most a year; a succession has none

	source     []byte
	people     []person // with keys, in the order of Attendees; nobody where they have none
	session    *Session // what they agreed to
	mode       mode
	succession bool // of an issuing authority below a root that is there, or on another machine
}

// mode is which authorities a plan makes.
type mode int

const (
	whole      mode = iota // root, issuing authority and delegates
	succession             // an issuing authority below a root that is there
	rootAlone              // a root on a machine of its own
	below                  // the first issuing authority and delegates, below a root on another machine
)

// Attendee is a person in the room.
type Attendee struct {
	Name string `yaml:"name"`
	Role string `yaml:"role"` // "administrator", "key-custodian" or "witness"
	Key  string `yaml:"key"`  // optional: the public key that they sign with, PEM
}

// What Plan.Begins says.
const (
	BeginsActive  = "active"
	BeginsPlanned = "planned"
)

// Roles of attendees.
const (
	Administrator = "administrator"
	Custodian     = "key-custodian"
	Witness       = "witness"
)

var roles = []string{Administrator, Custodian, Witness}

// Key is a key to be made and the certificate for it.
type Key struct {
	Label      string `yaml:"label"` // in the HSM
	Algorithm  string `yaml:"algorithm"`
	CommonName string `yaml:"common_name"`
	Valid      Span   `yaml:"valid"`
}

// Span is a time written as "20y" or "397d".
type Span struct{ Years, Days int }

// UnmarshalYAML reads "20y" or "397d".
func (s *Span) UnmarshalYAML(node *yaml.Node) (err error) {
	if *s, err = ParseSpan(node.Value); err != nil {
		return fmt.Errorf("line %d: %w", node.Line, err)
	}
	return nil
}

// ParseSpan reads "20y" or "397d".
func ParseSpan(text string) (Span, error) {
	match := spanShape.FindStringSubmatch(text)
	if match == nil {
		return Span{}, fmt.Errorf("%q is no span of time; write years as 20y or days as 397d", text)
	}
	count, err := strconv.Atoi(match[1])
	if match[2] == "y" {
		return Span{Years: count}, err
	}
	return Span{Days: count}, err
}

// After returns the moment that lies the span after t.
func (s Span) After(t time.Time) time.Time { return t.AddDate(s.Years, 0, s.Days) }

var (
	spanShape  = regexp.MustCompile(`^([1-9][0-9]{0,4})([yd])$`)
	labelShape = regexp.MustCompile(`^[a-z0-9][a-z0-9._-]{0,62}$`)
	countries  = regexp.MustCompile(`^[A-Z]{2}$`)
)

//go:embed default.yaml
var defaultPlan string

// Default is the plan of a demonstration on one machine: safe algorithms, every key in the HSM, names that say what it is.
func Default(baseURL string) []byte {
	return []byte(strings.ReplaceAll(defaultPlan, "@BASE_URL@", baseURL))
}

//go:embed succession.yaml
var successionPlan string

// DefaultSuccession is the plan of a demonstration's next issuing authority; number is 2 for the second.
func DefaultSuccession(baseURL string, number int) []byte {
	return []byte(strings.NewReplacer("@BASE_URL@", baseURL, "@NUMBER@", strconv.Itoa(number)).Replace(successionPlan))
}

var nameRule = fmt.Sprintf("write 1 to %d characters that can be seen, without spaces around", profile.MaxName)

// Parse reads a plan. Its errors name every field that is wrong and what to write there.
func Parse(planYAML []byte) (*Plan, error) { return parse(planYAML, whole) }

// ParseRoot reads the plan of a root on a machine of its own: a plan without issuing, ocsp and time_stamping.
func ParseRoot(planYAML []byte) (*Plan, error) { return parse(planYAML, rootAlone) }

// ParseBelow reads the plan of a first issuing authority below a root on another machine: a plan without root and root_crl.
func ParseBelow(planYAML []byte) (*Plan, error) { return parse(planYAML, below) }

// ParseRequested reads a plan of which another machine's root is asked: of ParseSuccession, of ParseBelow, or of an authority that is
// here already and wants a further root's certificate.
func ParseRequested(planYAML []byte) (*Plan, error) { return parse(planYAML, modeOf(planYAML)) }

// ParseSuccession reads the plan of a further issuing authority below a root that is there: a plan without root, root_crl and
// time_stamping.
func ParseSuccession(planYAML []byte) (*Plan, error) { return parse(planYAML, succession) }

func parse(planYAML []byte, m mode) (*Plan, error) {
	if len(planYAML) > MaxPlan {
		return nil, fmt.Errorf("plan: %d octets, at most %d are read", len(planYAML), MaxPlan)
	}
	plan := &Plan{source: bytes.Clone(planYAML), mode: m, succession: m == succession || m == below}
	decoder := yaml.NewDecoder(bytes.NewReader(planYAML))
	decoder.KnownFields(true)
	if err := decoder.Decode(plan); err != nil {
		if errors.Is(err, io.EOF) {
			return nil, errors.New("plan: the file is empty")
		}
		return nil, fmt.Errorf("plan: %w", err)
	}
	if err := decoder.Decode(new(yaml.Node)); !errors.Is(err, io.EOF) {
		return nil, errors.New("plan: there is more than one document in the file")
	}
	if err := errors.Join(plan.check()...); err != nil {
		return nil, fmt.Errorf("plan:\n%w", err)
	}
	return plan, nil
}

// For are the purposes of the issuing authority, all when the plan names none.
func (p *Plan) For() (all []profile.Purpose) {
	for _, known := range profile.Purposes() { // in one order, however they were written
		if len(p.Purposes) == 0 || slices.Contains(p.Purposes, string(known)) {
			all = append(all, known)
		}
	}
	return all
}

// Digest is the SHA-256 of the plan as it was written, lower-case hex.
func (p *Plan) Digest() string {
	sum := sha256.Sum256(p.source)
	return hex.EncodeToString(sum[:])
}

// check returns one error for every field that is missing or wrong.
func (p *Plan) check() []error {
	var wrong []error
	refuse := func(field, format string, a ...any) {
		wrong = append(wrong, fmt.Errorf("%s: %s", field, fmt.Sprintf(format, a...)))
	}
	if p.Version != 1 {
		refuse("version", "is %d; write 1", p.Version)
	}
	for field, text := range map[string]string{"title": p.Title, "place": p.Place, "organization": p.Organization} {
		if !profile.IsName(text) {
			refuse(field, "%q can't be used; %s", text, nameRule)
		}
	}
	if !countries.MatchString(p.Country) {
		refuse("country", "%q is no country; write two capital letters such as PL", p.Country)
	}
	if err := checkBaseURL(p.BaseURL); err != nil {
		refuse("base_url", "%v", err)
	}
	switch {
	case p.succession && (p.Root != Key{} || p.RootCRL != Span{} || p.mode == succession && p.TimeStamping != nil):
		refuse("root, root_crl, time_stamping", "are there already; leave them out")
	case !p.succession && p.RootCRL == Span{}:
		refuse("root_crl", "is missing; write how long the root's list is valid, such as 180d")
	}
	if !p.succession {
		wrong = append(wrong, p.Root.check("root")...)
	}
	wrong = append(append(wrong, checkAttendees(p.Attendees)...), p.checkPeople()...)
	for i, text := range p.Purposes {
		if !slices.Contains(profile.Purposes(), profile.Purpose(text)) || slices.Contains(p.Purposes[:i], text) {
			refuse("purposes", "%q is no purpose or there twice; write some of %v, or leave them out", text, profile.Purposes())
		}
	}
	if p.Begins != "" && p.Begins != BeginsActive && (p.Begins != BeginsPlanned || p.mode != succession) {
		refuse("begins", "%q can't be used; write active, or planned for a succession", p.Begins)
	}
	switch {
	case p.mode != rootAlone:
		wrong = append(append(wrong, p.Issuing.check("issuing")...), p.OCSP.check("ocsp")...)
	case p.Issuing != Key{} || p.OCSP != Key{} || p.TimeStamping != nil || len(p.Purposes) > 0:
		refuse("issuing, ocsp, time_stamping, purposes", "are another machine's; leave them out")
	}
	if p.TimeStamping != nil {
		wrong = append(wrong, p.TimeStamping.check("time_stamping")...)
	}
	slices.SortFunc(wrong, func(a, b error) int { return strings.Compare(a.Error(), b.Error()) })
	return wrong
}

// checkBaseURL takes what an IA5String of a certificate can hold: a URL that is written as it is sent.
func checkBaseURL(text string) error {
	u, err := url.Parse(text)
	if err != nil || u.String() != text || u.User != nil || u.Scheme != "http" || u.Host == "" || u.RawQuery != "" || u.Fragment != "" || strings.HasSuffix(text, "/") {
		return fmt.Errorf("%q can't be used; write an http URL without a slash at the end, such as http://pki.example:8080/pki", text)
	}
	return nil
}

func checkAttendees(list []Attendee) []error {
	var wrong []error
	if len(list) > maxAttendees {
		return []error{fmt.Errorf("attendees: %d people; at most %d are written down", len(list), maxAttendees)}
	}
	seen := map[string]bool{}
	for i, a := range list {
		field := fmt.Sprintf("attendees[%d]", i)
		if !profile.IsName(a.Name) {
			wrong = append(wrong, fmt.Errorf("%s.name: %q can't be used; %s", field, a.Name, nameRule))
		}
		if seen[strings.ToLower(a.Name)] {
			wrong = append(wrong, fmt.Errorf("%s.name: %q is there twice; one person has one role", field, a.Name))
		}
		seen[strings.ToLower(a.Name)] = true
		if !slices.Contains(roles, a.Role) {
			wrong = append(wrong, fmt.Errorf("%s.role: %q is no role; write one of %s", field, a.Role, strings.Join(roles, ", ")))
		}
	}
	return wrong
}

func (k Key) check(field string) []error {
	var wrong []error
	if !labelShape.MatchString(k.Label) {
		wrong = append(wrong, fmt.Errorf("%s.label: %q can't be used; write lower-case letters, digits, '.', '_' and '-', up to 63", field, k.Label))
	}
	if !slices.Contains(algorithms, k.Algorithm) {
		wrong = append(wrong, fmt.Errorf("%s.algorithm: %q is not known; write one of %s", field, k.Algorithm, strings.Join(algorithms, ", ")))
	}
	if !profile.IsName(k.CommonName) {
		wrong = append(wrong, fmt.Errorf("%s.common_name: %q can't be used; %s", field, k.CommonName, nameRule))
	}
	if k.Valid == (Span{}) || k.Valid.Years > maxYears || k.Valid.Days > maxYears*366 {
		wrong = append(wrong, fmt.Errorf("%s.valid: write up to %d years, as 20y or 397d", field, maxYears))
	}
	return wrong
}
