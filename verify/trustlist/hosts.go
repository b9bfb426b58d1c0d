package trustlist

import (
	"net/url"
	"strings"

	"trustcore/verify/certificate"
)

// Hosts returns the hosts, in lower case, that the anchors' own certificates name: in their distribution points, access
// descriptions and practice statements. A stranger's certificate that points elsewhere has nobody to vouch for it.
// It is the snapshot's own map, for reading.
func (s *Snapshot) Hosts() map[string]bool { return s.hosts }

func (s *Snapshot) readHosts() map[string]bool {
	hosts := map[string]bool{}
	for i := range s.entries {
		for _, uri := range addresses(s.entries[i].Certificate) {
			if u, err := url.Parse(uri); err == nil && u.Hostname() != "" {
				hosts[strings.ToLower(u.Hostname())] = true
			}
		}
	}
	return hosts
}

func addresses(c *certificate.Certificate) (uris []string) {
	add := func(n certificate.GeneralName) {
		if n.Kind == certificate.URIName {
			uris = append(uris, string(n.Value))
		}
	}
	for _, a := range c.AIA {
		add(a.Location)
	}
	for _, p := range c.CRLDistributionPoints {
		if p.Name != nil {
			for _, n := range p.Name.Full {
				add(n)
			}
		}
	}
	for _, p := range c.Policies {
		for _, q := range p.Qualifiers {
			uris = append(uris, q.CPS)
		}
	}
	return uris
}
