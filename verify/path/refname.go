package path

import (
	"bytes"
	"net/netip"
	"strings"

	"trustcore/verify/certificate"
)

// A ReferenceName is the name that the target must hold in its subjectAltName; exactly one field is set. The common
// name is never looked at (RFC 9525 1.2).
type ReferenceName struct {
	DNS   string
	IP    netip.Addr
	Email string
}

// heldBy reports whether the certificate's alternative names hold the name.
func (n *ReferenceName) heldBy(c *certificate.Certificate) bool {
	for i := range c.SAN {
		g := &c.SAN[i]
		switch {
		case g.Malformed:
		case n.DNS != "" && g.Kind == certificate.DNSName:
			if matchHost(n.DNS, string(g.Value)) {
				return true
			}
		case n.Email != "" && g.Kind == certificate.EmailName:
			if matchMailbox(n.Email, string(g.Value)) {
				return true
			}
		case n.IP.IsValid() && g.Kind == certificate.IPName:
			if bytes.Equal(n.IP.Unmap().AsSlice(), g.Value) {
				return true
			}
		}
	}
	return false
}

// String writes the name for a report.
func (n *ReferenceName) String() string {
	switch {
	case n.DNS != "":
		return "DNS:" + n.DNS
	case n.Email != "":
		return "email:" + n.Email
	}
	return "IP:" + n.IP.String()
}

// matchHost compares a host name with a dNSName; a wildcard is the whole leftmost label and stands for exactly one label
// above at least two others (RFC 6125 6.4.3).
func matchHost(host, pattern string) bool {
	host = strings.ToLower(strings.TrimSuffix(host, "."))
	pattern = strings.ToLower(strings.TrimSuffix(pattern, "."))
	if !validHost(host, false) || !validHost(pattern, true) {
		return false
	}
	if parent, ok := strings.CutPrefix(pattern, "*."); ok {
		label, rest, found := strings.Cut(host, ".")
		return found && label != "" && rest == parent && strings.Contains(parent, ".")
	}
	return host == pattern
}

// validHost checks the preferred name syntax: labels of letters, digits and inner hyphens; an address is no name.
func validHost(s string, wildcard bool) bool {
	if wildcard {
		s = strings.TrimPrefix(s, "*.")
	}
	if s == "" || len(s) > 253 || isIPv4(s) {
		return false
	}
	for label := range strings.SplitSeq(s, ".") {
		if label == "" || len(label) > 63 || label[0] == '-' || label[len(label)-1] == '-' {
			return false
		}
		for i := 0; i < len(label); i++ {
			c := label[i]
			if (c < 'a' || c > 'z') && (c < 'A' || c > 'Z') && (c < '0' || c > '9') && c != '-' {
				return false
			}
		}
	}
	return true
}

func matchMailbox(wanted, held string) bool {
	local, host, ok := splitMailbox(wanted)
	heldLocal, heldHost, heldOK := splitMailbox(held)
	return ok && heldOK && local == heldLocal && strings.EqualFold(host, heldHost)
}
