package registry

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"regexp"
	"slices"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"go.yaml.in/yaml/v3"
)

// maxOrderFile bounds an order file in bytes: a form of a page or two.
const maxOrderFile = 256 << 10

// Limits of what one order may list.
const (
	maxUnits = 500 // the whole region has about that many
	maxKeys  = 32
	maxName  = 200 // characters
	maxID    = 64
	maxYears = 30 // that an authorisation holds
)

// FieldError says which field of an order is wrong and what to write instead.
type FieldError struct {
	Field  string // path in the order file, such as "hsm_authorization.keys[0].algorithm"
	Remedy string
}

// Error returns field and remedy.
func (e *FieldError) Error() string { return e.Field + ": " + e.Remedy }

// identifier is a number as offices write it, such as OR.272.1/2026. Two separators never meet, so it is no path
// that leads elsewhere.
var identifier = regexp.MustCompile(`^[A-Za-z0-9]+([._/-][A-Za-z0-9]+)*$`)

// partnerID is narrower: it becomes part of names in the HSM, in certificates and in file names.
var partnerID = regexp.MustCompile(`^[a-z0-9][a-z0-9-]{0,39}$`)

var components = []Component{NetworkHSM, VPN, CertificationCentre, PeUP, EMail, TestPeUP, LMS}

// mechanisms lists, per key algorithm, what the gateway signs with.
var mechanisms = map[string][]string{
	"RSA-3072": {"RSA-PKCS1-SHA256", "RSA-PKCS1-SHA384", "RSA-PKCS1-SHA512", "RSA-PSS-SHA256", "RSA-PSS-SHA384", "RSA-PSS-SHA512"},
	"RSA-4096": {"RSA-PKCS1-SHA256", "RSA-PKCS1-SHA384", "RSA-PKCS1-SHA512", "RSA-PSS-SHA256", "RSA-PSS-SHA384", "RSA-PSS-SHA512"},
	"P-256":    {"ECDSA-SHA256"},
	"P-384":    {"ECDSA-SHA384"},
}

// decryptions lists, per key algorithm, what the gateway decrypts with. Whether the token knows it, it is asked.
var decryptions = map[string][]string{
	"RSA-3072": {"RSA-OAEP-SHA1", "RSA-OAEP-SHA256"},
	"RSA-4096": {"RSA-OAEP-SHA1", "RSA-OAEP-SHA256"},
}

// ParseOrder reads an order file (YAML or JSON) and checks everything that can be checked without the
// registry. Errors are *FieldError where a field is wrong.
func ParseOrder(data []byte) (*Order, error) {
	if len(data) > maxOrderFile {
		return nil, fmt.Errorf("order file: %d bytes, at most %d are read", len(data), maxOrderFile)
	}
	d := yaml.NewDecoder(bytes.NewReader(data))
	d.KnownFields(true)
	var o Order
	if err := d.Decode(&o); err != nil {
		if errors.Is(err, io.EOF) {
			return nil, errors.New("order file: it is empty")
		}
		return nil, fmt.Errorf("order file: %s", strings.Join(strings.Fields(err.Error()), " "))
	}
	if err := d.Decode(new(yaml.Node)); !errors.Is(err, io.EOF) {
		return nil, errors.New("order file: it goes on after the order; put each order into a file of its own")
	}
	if err := o.check(); err != nil {
		return nil, err
	}
	return &o, nil
}

func (o *Order) check() error {
	if len(o.ID) > maxID || !identifier.MatchString(o.ID) {
		return &FieldError{"id", fmt.Sprintf("write the order's number, at most %d characters: letters and digits, "+
			"with single '.', '_', '/', '-' between them", maxID)}
	}
	if o.Kind != Activation && o.Kind != Change {
		return &FieldError{"kind", fmt.Sprintf("%q: write activation (+) or change (-)", o.Kind)}
	}
	if !partnerID.MatchString(o.Partner.ID) {
		return &FieldError{"partner.id", fmt.Sprintf("%q: lower-case letters, digits and hyphens, at most 40 characters", o.Partner.ID)}
	}
	if err := o.checkComponents(); err != nil {
		return err
	}
	if o.Kind == Change {
		return o.checkChange()
	}
	return o.checkActivation()
}

func (o *Order) checkComponents() error {
	if len(o.Components) == 0 {
		return &FieldError{"components", "list at least one, such as B_HSM or P_VPN"}
	}
	for i, c := range o.Components {
		field := fmt.Sprintf("components[%d]", i)
		if !slices.Contains(components, c) {
			return &FieldError{field, fmt.Sprintf("%q is not one of %v", c, components)}
		}
		if slices.Contains(o.Components[:i], c) {
			return &FieldError{field, fmt.Sprintf("%q stands twice; leave one out", c)}
		}
	}
	return nil
}

func (o *Order) checkChange() error {
	switch {
	case o.Renews != "":
		return &FieldError{"renews", "a change order (-) only switches off; leave it out"}
	case o.Resume != "":
		return &FieldError{"resume", "a change order (-) only switches off; leave it out"}
	case o.Application != "" && !partnerID.MatchString(o.Application):
		return &FieldError{"application",
			fmt.Sprintf("%q: write it as in the authorisation (hsm_authorization.application), or leave it out",
				o.Application)}
	case o.Application != "" && !o.Has(NetworkHSM):
		return &FieldError{"application", "it belongs to B_HSM: add B_HSM to components or leave it out"}
	case o.Partner.Name != "" && !isName(o.Partner.Name):
		return &FieldError{"partner.name", "leave it out or write it " + nameRule}
	case o.VPNRequest != nil:
		return &FieldError{"vpn_request", "a change order (-) only switches off; leave it out"}
	case o.HSMAuthorization != nil:
		return &FieldError{"hsm_authorization", "a change order (-) only switches off; leave it out"}
	case o.ServerCertificates != nil:
		return &FieldError{"server_certificates", "a change order (-) only switches off; leave it out"}
	case len(o.Units) != 0 || o.Agreement != nil:
		return &FieldError{"units", "a change order (-) changes neither units nor agreement; leave units and agreement out"}
	}
	return nil
}

func (o *Order) checkActivation() error {
	if !isName(o.Partner.Name) {
		return &FieldError{"partner.name", "write the office's name as in the agreement, " + nameRule}
	}
	if o.Agreement == nil || !isName(o.Agreement.Number) {
		return &FieldError{"agreement.number", "write the number of the framework agreement (umowa ramowa), " + nameRule}
	}
	if _, err := time.Parse(time.DateOnly, o.Agreement.Signed); err != nil {
		return &FieldError{"agreement.signed", fmt.Sprintf("%q: write the date as YYYY-MM-DD", o.Agreement.Signed)}
	}
	if err := o.checkUnits(); err != nil {
		return err
	}
	if err := o.checkEarlier(); err != nil {
		return err
	}
	if err := o.checkVPNRequest(); err != nil {
		return err
	}
	if err := o.checkServerCertificates(); err != nil {
		return err
	}
	return o.checkHSMAuthorization()
}

var nameRule = fmt.Sprintf("in one line of at most %d characters that can be seen, without spaces around", maxName)

// isName reports whether a text may stand where people read it and decide by it: nothing in it hides, breaks the line
// or turns the direction of what follows (U+202E), which a terminal and a browser would do.
func isName(text string) bool {
	return text != "" && utf8.ValidString(text) && utf8.RuneCountInString(text) <= maxName &&
		strings.TrimSpace(text) == text &&
		!strings.ContainsFunc(text, func(r rune) bool { return !unicode.IsPrint(r) })
}

// firstYear is before any framework agreement.
const firstYear = 2000

// checkDates holds the dates of an order against the clock. A day is left for the difference between zones.
func (o *Order) checkDates(now time.Time) error {
	if o.Agreement != nil {
		signed, err := time.Parse(time.DateOnly, o.Agreement.Signed)
		if err != nil || signed.Year() < firstYear || signed.After(now.AddDate(0, 0, 1)) {
			return &FieldError{"agreement.signed", fmt.Sprintf("%q: write the day on which it was signed", o.Agreement.Signed)}
		}
	}
	if s := o.ServerCertificates; s != nil && !s.NotAfter.IsZero() && !s.NotAfter.After(now) {
		return &FieldError{"server_certificates.not_after", "it is over; write until when it holds from now on, or leave it out"}
	}
	if a := o.HSMAuthorization; a != nil {
		switch {
		case a.NotBefore.After(now.AddDate(maxYears, 0, 0)):
			return &FieldError{"hsm_authorization.not_before", fmt.Sprintf("it lies more than %d years from now", maxYears)}
		case !a.NotAfter.After(now):
			return &FieldError{"hsm_authorization.not_after", "it is over; write until when it holds from now on"}
		}
		for i, k := range a.Keys {
			if !a.until(k).After(now) {
				return &FieldError{fmt.Sprintf("hsm_authorization.keys[%d].not_after", i),
					"it is over; leave the key out or write until when it holds from now on"}
			}
		}
	}
	return nil
}

func (o *Order) checkUnits() error {
	if len(o.Units) > maxUnits {
		return &FieldError{"units", fmt.Sprintf("%d units; at most %d are taken", len(o.Units), maxUnits)}
	}
	seen := make(map[string]bool, len(o.Units))
	for i, u := range o.Units {
		field := fmt.Sprintf("units[%d].", i)
		switch {
		case !partnerID.MatchString(u.ID):
			return &FieldError{field + "id", fmt.Sprintf("%q: lower-case letters, digits and hyphens, at most 40 characters", u.ID)}
		case seen[u.ID]:
			return &FieldError{field + "id", fmt.Sprintf("%q stands twice", u.ID)}
		case !isName(u.Name):
			return &FieldError{field + "name", "write the unit's name, " + nameRule}
		}
		seen[u.ID] = true
	}
	return nil
}

// checkEarlier checks how the order names the one that it follows.
func (o *Order) checkEarlier() error {
	const rule = "write the number of the partner's earlier order, or leave it out"
	switch {
	case o.Application != "":
		return &FieldError{"application", "it narrows a change order (-); here write hsm_authorization.application"}
	case o.Renews != "" && (len(o.Renews) > maxID || !identifier.MatchString(o.Renews) || o.Renews == o.ID):
		return &FieldError{"renews", rule}
	case o.Resume != "" && (len(o.Resume) > maxID || !identifier.MatchString(o.Resume) || o.Resume == o.ID):
		return &FieldError{"resume", rule}
	case o.Resume != "" && o.Renews != "":
		return &FieldError{"resume", "leave it out: an order that renews another keeps its keys"}
	case o.Resume != "" && !o.Has(NetworkHSM):
		return &FieldError{"resume", "it belongs to B_HSM: add B_HSM to components or leave it out"}
	}
	return nil
}

func (o *Order) checkVPNRequest() error {
	switch {
	case o.Has(VPN) && o.VPNRequest == nil:
		return &FieldError{"vpn_request", "P_VPN needs the VPN request (zgłoszenie VPN): add vpn_request with its site"}
	case !o.Has(VPN) && o.VPNRequest != nil:
		return &FieldError{"vpn_request", "it belongs to P_VPN: add P_VPN to components or leave it out"}
	case o.VPNRequest != nil:
		return o.checkSites()
	}
	return nil
}

func (o *Order) checkHSMAuthorization() error {
	a := o.HSMAuthorization
	switch {
	case o.Has(NetworkHSM) && a == nil:
		return &FieldError{"hsm_authorization", "B_HSM needs the authorisation (upoważnienie): add hsm_authorization with application, keys, not_before, not_after"}
	case !o.Has(NetworkHSM) && a != nil:
		return &FieldError{"hsm_authorization", "it belongs to B_HSM: add B_HSM to components or leave it out"}
	case a == nil:
		return nil
	case !partnerID.MatchString(a.Application):
		return &FieldError{"hsm_authorization.application", fmt.Sprintf("%q: name the system that uses the keys in lower-case letters, such as ezd", a.Application)}
	case a.NotBefore.IsZero():
		return &FieldError{"hsm_authorization.not_before", "write from when it holds, such as 2026-01-01T00:00:00Z"}
	case !a.NotAfter.After(a.NotBefore):
		return &FieldError{"hsm_authorization.not_after", "write until when it holds; it must lie after not_before"}
	case a.NotAfter.After(a.NotBefore.AddDate(maxYears, 0, 0)):
		return &FieldError{"hsm_authorization.not_after", fmt.Sprintf("it holds at most %d years from not_before", maxYears)}
	case len(a.Keys) == 0 || len(a.Keys) > maxKeys:
		return &FieldError{"hsm_authorization.keys", fmt.Sprintf("list 1 to %d keys", maxKeys)}
	}
	if err := a.Limits.check("hsm_authorization.limits"); err != nil {
		return err
	}
	seen := make(map[string]bool, len(a.Keys))
	for i, k := range a.Keys {
		if err := k.check(fmt.Sprintf("hsm_authorization.keys[%d].", i)); err != nil {
			return err
		}
		if seen[k.Name] {
			return &FieldError{fmt.Sprintf("hsm_authorization.keys[%d].name", i), fmt.Sprintf("%q stands twice", k.Name)}
		}
		if end := a.until(k); !end.After(a.NotBefore) || end.After(a.NotAfter) {
			return &FieldError{fmt.Sprintf("hsm_authorization.keys[%d].not_after", i),
				"it must lie after not_before and not after not_after of the authorisation"}
		}
		seen[k.Name] = true
	}
	return nil
}

func (k HSMKey) check(field string) error {
	if !partnerID.MatchString(k.Name) {
		return &FieldError{field + "name", fmt.Sprintf("%q: lower-case letters, digits and hyphens, such as seal", k.Name)}
	}
	allowed, ok := mechanisms[k.Algorithm]
	if !ok {
		return &FieldError{field + "algorithm", fmt.Sprintf("%q is not one of RSA-3072, RSA-4096, P-256, P-384", k.Algorithm)}
	}
	switch k.Purpose {
	case "", "sign":
	case Decrypt:
		if allowed = decryptions[k.Algorithm]; allowed == nil {
			return &FieldError{field + "algorithm", fmt.Sprintf("a %s key decrypts nothing: write RSA-3072 or RSA-4096", k.Algorithm)}
		}
	default:
		return &FieldError{field + "purpose", fmt.Sprintf("%q: write sign or decrypt; a key does one of the two", k.Purpose)}
	}
	if len(k.Mechanisms) == 0 {
		return &FieldError{field + "mechanisms", fmt.Sprintf("list at least one of %v", allowed)}
	}
	for i, m := range k.Mechanisms {
		if !slices.Contains(allowed, m) {
			return &FieldError{fmt.Sprintf("%smechanisms[%d]", field, i), fmt.Sprintf("%q is not one of %v, which a %s key for that purpose can do", m, allowed,
				k.Algorithm)}
		}
	}
	return k.Limits.check(field + "limits")
}
