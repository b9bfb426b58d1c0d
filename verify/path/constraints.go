package path

import (
	"bytes"
	"strings"

	"trustcore/verify/certificate"
)

// A verdict of comparing one name with one subtree.
type match uint8

const (
	outside match = iota
	inside
	undecided // the form or the value cannot be compared: never permitted, always excluded
)

// constraintSet holds the name constraints met so far, the anchor's side first. A name must lie in a permitted subtree
// of each certificate that permits names of its form: the intersection of RFC 5280 6.1.4 (g), kept unexpanded.
type constraintSet struct {
	list []*certificate.NameConstraints
}

// check judges every name of a certificate. Comparisons are taken off the budget.
func (s *constraintSet) check(c *certificate.Certificate, left *int) (Code, string) {
	if len(s.list) == 0 {
		return OK, ""
	}
	emailInSAN := false
	for i := range c.SAN {
		g := &c.SAN[i]
		emailInSAN = emailInSAN || g.Kind == certificate.EmailName
		if code := s.checkName(g, left); code != OK {
			return code, g.String()
		}
	}
	if !c.Subject.Empty() {
		subject := certificate.GeneralName{Kind: certificate.DirectoryName, Value: c.RawSubject, Directory: &c.Subject}
		if code := s.checkName(&subject, left); code != OK {
			return code, subject.String()
		}
	}
	if emailInSAN {
		return OK, ""
	}
	// RFC 5280 4.2.1.10: without an alternative name the constraint covers the subject's emailAddress attributes.
	for i := range c.Subject.Attributes {
		a := &c.Subject.Attributes[i]
		if a.Type != certificate.AttrEmail {
			continue
		}
		g := certificate.GeneralName{Kind: certificate.EmailName, Value: []byte(a.Text())}
		if code := s.checkName(&g, left); code != OK {
			return code, g.String()
		}
	}
	return OK, ""
}

func (s *constraintSet) checkName(g *certificate.GeneralName, left *int) Code {
	for _, nc := range s.list {
		constrained, permitted := false, false
		for i := range nc.Permitted {
			base := &nc.Permitted[i].Base
			if !sameForm(base, g) {
				continue
			}
			constrained = true
			if *left--; *left < 0 {
				return Budget
			}
			if compare(g, base, false) == inside {
				permitted = true
				break
			}
		}
		if constrained && !permitted {
			return NameNotPermitted
		}
		for i := range nc.Excluded {
			base := &nc.Excluded[i].Base
			if !sameForm(base, g) {
				continue
			}
			if *left--; *left < 0 {
				return Budget
			}
			if compare(g, base, true) != outside {
				return NameExcluded
			}
		}
	}
	return OK
}

// sameForm reports whether a subtree speaks of names of this form. Every type-id is a form of its own among otherNames.
func sameForm(base, g *certificate.GeneralName) bool {
	return base.Kind == g.Kind && (g.Kind != certificate.OtherName || base.Type == g.Type)
}

// compare says where the name lies; excluding widens a wildcard to every name that it can stand for.
func compare(g, base *certificate.GeneralName, excluding bool) match {
	if g.Malformed || base.Malformed {
		return undecided
	}
	switch g.Kind {
	case certificate.DirectoryName:
		return within(g.Directory.Within(*base.Directory))
	case certificate.DNSName:
		return compareDNS(string(g.Value), string(base.Value), excluding)
	case certificate.EmailName:
		return compareEmail(string(g.Value), string(base.Value))
	case certificate.URIName:
		return compareURI(string(g.Value), string(base.Value))
	case certificate.IPName:
		return compareIP(g.Value, base.Value)
	case certificate.RegisteredID:
		return within(bytes.HasPrefix(g.Value, base.Value))
	}
	// The remaining forms have no subtree semantics of their own: only the same name is surely inside.
	if bytes.Equal(g.Raw, base.Raw) {
		return inside
	}
	return undecided
}

func within(yes bool) match {
	if yes {
		return inside
	}
	return outside
}

// compareDNS: the base's host and everything below it (RFC 5280 4.2.1.10); a leading period, which the RFC does not
// know, leaves out the host itself.
func compareDNS(name, base string, excluding bool) match {
	name, base = strings.TrimSuffix(strings.ToLower(name), "."), strings.TrimSuffix(strings.ToLower(base), ".")
	if name == "" || name[0] == '.' {
		return undecided
	}
	if base == "" {
		return inside
	}
	if below, ok := strings.CutPrefix(name, "*."); ok {
		if _, parent, found := strings.Cut(strings.TrimPrefix(base, "."), "."); excluding && found && parent == below {
			return inside // the wildcard can stand for the base's first label
		}
		name = "*." + below
	}
	if base[0] == '.' {
		return within(len(name) > len(base) && strings.HasSuffix(name, base))
	}
	return within(name == base || len(name) > len(base) && strings.HasSuffix(name, base) && name[len(name)-len(base)-1] == '.')
}

// compareEmail: a mailbox, all mailboxes of a host, or with a leading period those of the hosts below a domain.
func compareEmail(name, base string) match {
	local, host, ok := splitMailbox(name)
	if !ok {
		return undecided
	}
	host = strings.ToLower(host)
	if baseLocal, baseHost, ok := splitMailbox(base); ok {
		return within(local == baseLocal && host == strings.ToLower(baseHost))
	}
	base = strings.ToLower(base)
	switch {
	case strings.Contains(base, "@"):
		return undecided
	case base == "":
		return inside
	case base[0] == '.':
		return within(len(host) > len(base) && strings.HasSuffix(host, base))
	}
	return within(host == base)
}

func splitMailbox(s string) (local, host string, ok bool) {
	at := strings.LastIndexByte(s, '@')
	if at <= 0 || at == len(s)-1 {
		return "", "", false
	}
	local, host = s[:at], s[at+1:]
	if local[0] != '"' && strings.Contains(local, "@") {
		return "", "", false
	}
	return local, host, true
}

// compareURI compares the host of the URI: the same host, or with a leading period one below the domain. A URI without
// a host name cannot be compared (RFC 5280 4.2.1.10).
func compareURI(name, base string) match {
	host, ok := uriHost(name)
	if !ok {
		return undecided
	}
	host, base = strings.ToLower(host), strings.ToLower(base)
	switch {
	case base == "":
		return inside
	case base[0] == '.':
		return within(len(host) > len(base) && strings.HasSuffix(host, base))
	}
	return within(host == base)
}

// uriHost returns the host name of a URI with an authority; false for none, an address or a malformed one.
func uriHost(uri string) (string, bool) {
	_, rest, ok := strings.Cut(uri, "://")
	if !ok {
		return "", false
	}
	if end := strings.IndexAny(rest, "/?#"); end >= 0 {
		rest = rest[:end]
	}
	if strings.Contains(rest, `\`) {
		return "", false // readers disagree where the authority ends
	}
	if at := strings.LastIndexByte(rest, '@'); at >= 0 {
		rest = rest[at+1:]
	}
	if strings.HasPrefix(rest, "[") {
		return "", false
	}
	host, _, _ := strings.Cut(rest, ":")
	host = strings.TrimSuffix(host, ".")
	if host == "" || isIPv4(host) || !looseHost(host) {
		return "", false
	}
	return host, true
}

func isIPv4(s string) bool {
	for i := 0; i < len(s); i++ {
		if (s[i] < '0' || s[i] > '9') && s[i] != '.' {
			return false
		}
	}
	return true
}

// looseHost accepts what hosts are made of, underscores and percent signs of the real world included.
func looseHost(s string) bool {
	for i := 0; i < len(s); i++ {
		if s[i] <= ' ' || s[i] >= 0x7f || strings.IndexByte(`"<>\^{|}`, s[i]) >= 0 {
			return false
		}
	}
	return true
}

// compareIP: address and mask of the same family; a mask that is no prefix cannot be compared (RFC 4632).
func compareIP(name, base []byte) match {
	if len(name) != 4 && len(name) != 16 || len(base) != 8 && len(base) != 32 {
		return undecided
	}
	if len(base) != 2*len(name) {
		return outside
	}
	address, mask := base[:len(name)], base[len(name):]
	if !isPrefixMask(mask) {
		return undecided
	}
	for i := range name {
		if name[i]&mask[i] != address[i]&mask[i] {
			return outside
		}
	}
	return inside
}

func isPrefixMask(mask []byte) bool {
	ended := false
	for _, b := range mask {
		if ended && b != 0 || !onesFirst(b) {
			return false
		}
		ended = ended || b != 0xff
	}
	return true
}

// onesFirst reports whether the ones of b stand before its zeros.
func onesFirst(b byte) bool {
	inverted := ^b
	return inverted&(inverted+1) == 0
}
