package path

import (
	"strings"
	"unicode"

	"trustcore/verify/certificate"
)

// A verdict of comparing one name with one subtree.
type match uint8

const (
	outside match = iota
	inside
	undecided // the form is not processed or the value cannot be compared: never permitted, always excluded
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
		text := a.Text()
		g := certificate.GeneralName{Kind: certificate.EmailName, Value: []byte(text), Malformed: strings.ContainsFunc(text, beyondASCII)}
		if code := s.checkName(&g, left); code != OK {
			return code, g.String()
		}
	}
	return OK, ""
}

func beyondASCII(r rune) bool { return r > unicode.MaxASCII }

func (s *constraintSet) checkName(g *certificate.GeneralName, left *int) Code {
	for _, nc := range s.list {
		constrained, permitted := false, false
		for i := range nc.Permitted {
			base := &nc.Permitted[i].Base
			if !sameForm(base, g) {
				continue
			}
			constrained = true
			if *left -= comparison(g, base); *left < 0 {
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
			if *left -= comparison(g, base); *left < 0 {
				return Budget
			}
			if compare(g, base, true) != outside {
				return NameExcluded
			}
		}
	}
	return OK
}

// usualName is the length of two names whose comparison counts as one, in octets; longer ones count as several.
const usualName = 128

// comparison is how often the comparison of a name with a subtree counts.
func comparison(g, base *certificate.GeneralName) int {
	return 1 + (len(g.Value)+len(base.Value))/usualName
}

// smtpUTF8Mailbox is the otherName of mailboxes beyond ASCII. Constraints on rfc822Name are about it too (RFC 9598 6).
const smtpUTF8Mailbox certificate.OID = "\x2b\x06\x01\x05\x05\x07\x08\x09"

// sameForm reports whether a subtree speaks of names of this form.
func sameForm(base, g *certificate.GeneralName) bool {
	return base.Kind == g.Kind ||
		base.Kind == certificate.EmailName && g.Kind == certificate.OtherName && g.Type == smtpUTF8Mailbox
}

// compare says where the name lies; excluding widens a wildcard to every name that it can stand for. Constraints on other
// forms than these are not processed: a certificate with such a name is refused (RFC 5280 4.2.1.10).
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
	}
	return undecided
}

func within(yes bool) match {
	if yes {
		return inside
	}
	return outside
}

// hostLabels reports whether a name in small letters is made of labels that can be compared: none is empty, as before a
// trailing period, and none holds a wildcard or another character that readers take for more than itself. Underscores occur.
func hostLabels(s string) bool {
	for label := range strings.SplitSeq(s, ".") {
		if label == "" || strings.Trim(label, "abcdefghijklmnopqrstuvwxyz0123456789-_") != "" {
			return false
		}
	}
	return true
}

// belowDomain compares a host with a domain that is written with a leading period.
func belowDomain(host, domain string) match {
	if !hostLabels(domain[1:]) {
		return undecided
	}
	return within(len(host) > len(domain) && strings.HasSuffix(host, domain))
}

// compareDNS: the base's host and everything below it (RFC 5280 4.2.1.10); a leading period, which the RFC does not
// know, leaves out the host itself. A wildcard is the whole first label or nothing that can be compared.
func compareDNS(name, base string, excluding bool) match {
	name, base = strings.ToLower(name), strings.ToLower(base)
	parent, wildcard := strings.CutPrefix(name, "*.")
	if !hostLabels(parent) {
		return undecided
	}
	if base == "" {
		return inside
	}
	domain := "." + strings.TrimPrefix(base, ".")
	if below := belowDomain(name, domain); below != outside || base[0] == '.' && !wildcard {
		return below
	}
	_, above, found := strings.Cut(domain[1:], ".")
	if wildcard && excluding && found && above == parent {
		return inside // the wildcard can stand for the base's first label
	}
	return within(name == base)
}

// compareEmail: a mailbox, all mailboxes of a host, or with a leading period those of the hosts below a domain.
func compareEmail(name, base string) match {
	local, host, ok := splitMailbox(name)
	if host = strings.ToLower(host); !ok || !hostLabels(host) {
		return undecided
	}
	baseLocal, baseHost, mailbox := splitMailbox(base)
	if !mailbox {
		baseHost = base
	}
	switch baseHost = strings.ToLower(baseHost); {
	case baseHost == "":
		return inside
	case !mailbox && baseHost[0] == '.':
		return belowDomain(host, baseHost)
	case !hostLabels(baseHost), mailbox && (quoted(local) || quoted(baseLocal)):
		return undecided
	}
	return within(host == baseHost && (!mailbox || local == baseLocal))
}

// quoted reports whether a local part may be written in another way as well.
func quoted(local string) bool { return strings.ContainsAny(local, "\"\\() \t") }

func splitMailbox(s string) (local, host string, ok bool) {
	at := strings.LastIndexByte(s, '@')
	if at <= 0 || at == len(s)-1 {
		return "", "", false
	}
	local, host = s[:at], s[at+1:]
	if local[0] == '"' {
		return local, host, len(local) > 1 && strings.IndexByte(local[1:], '"') == len(local)-2
	}
	return local, host, !strings.ContainsAny(local, `"@`)
}

// compareURI compares the host of the URI: the same host, or with a leading period one below the domain. A URI without
// a host name cannot be compared (RFC 5280 4.2.1.10).
func compareURI(name, base string) match {
	host, ok := uriHost(name)
	if !ok {
		return undecided
	}
	switch base = strings.ToLower(base); {
	case base == "":
		return inside
	case base[0] == '.':
		return belowDomain(host, base)
	case !hostLabels(base):
		return undecided
	}
	return within(host == base)
}

// uriHost returns the host name of a URI with an authority, in small letters; false for none, an address, and what readers
// disagree about: where the scheme or the authority ends, escapes, a trailing period.
func uriHost(uri string) (string, bool) {
	scheme, rest, ok := strings.Cut(strings.ToLower(uri), "://")
	if !ok || strings.Trim(scheme, "abcdefghijklmnopqrstuvwxyz0123456789+-.") != "" {
		return "", false
	}
	if end := strings.IndexAny(rest, "/?#"); end >= 0 {
		rest = rest[:end]
	}
	if strings.Contains(rest, `\`) {
		return "", false
	}
	if at := strings.LastIndexByte(rest, '@'); at >= 0 {
		rest = rest[at+1:]
	}
	host, port, _ := strings.Cut(rest, ":")
	if strings.Trim(port, "0123456789") != "" || isIPv4(host) || !hostLabels(host) {
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
