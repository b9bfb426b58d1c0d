package office

import (
	"cmp"
	"fmt"
	"net/netip"
	"slices"
	"strings"
)

// Limits of DNS names (RFC 1035, 2.3.4), in octets.
const (
	maxHost  = 253
	maxLabel = 63
)

// IsHost says whether a text is a DNS name as hosts files and resolvers take it: labels of lower-case letters, digits and
// hyphens (RFC 1123, 2.1), at least two, and no address.
func IsHost(text string) bool {
	labels := strings.Split(text, ".")
	if len(text) > maxHost || len(labels) < 2 {
		return false
	}
	for _, label := range labels {
		if label == "" || len(label) > maxLabel || label[0] == '-' || label[len(label)-1] == '-' ||
			strings.ContainsFunc(label, func(r rune) bool { return (r < 'a' || r > 'z') && (r < '0' || r > '9') && r != '-' }) {
			return false
		}
	}
	return strings.ContainsFunc(labels[len(labels)-1], func(r rune) bool { return r >= 'a' && r <= 'z' })
}

// Hosts are the services' DNS names as lines of a hosts file (hosts(5)), for the office's machines or its name server. A
// name at several addresses has a line for each.
func (e Enrolment) Hosts() string {
	type line struct {
		address netip.Addr
		host    string
	}
	var lines []line
	for _, s := range e.Services {
		if l := (line{s.Addr.Addr(), s.Host}); s.Host != "" && !slices.Contains(lines, l) {
			lines = append(lines, l)
		}
	}
	slices.SortFunc(lines, func(a, b line) int { return cmp.Or(strings.Compare(a.host, b.host), a.address.Compare(b.address)) })
	var b strings.Builder
	for _, l := range lines {
		fmt.Fprintf(&b, "%s\t%s\n", l.address, l.host)
	}
	return b.String()
}
