package evidence

import (
	"context"
	"encoding/pem"
	"errors"
	"fmt"
	"net/url"
	"strings"
	"time"

	"trustcore/internal/cms"
	"trustcore/verify/certificate"
)

// Bounds of the search for issuers that are missing.
const (
	maxMissing  = 3  // in a row: real chains lack one
	maxIssuers  = 20 // certificates of one caIssuers answer that are looked at
	maxRequests = 12 // for one document
)

// issuers fetches the issuer of the last certificate of an incomplete chain from where it says (RFC 5280 4.2.2.1), if a
// trusted service vouches for that host. What is found must still sign: path building looks at it like at any other.
func (r *round) issuers(ctx context.Context, chain []*certificate.Certificate) (*answer, []*certificate.Certificate) {
	if len(chain) == 0 || len(r.trust.Hosts) == 0 {
		return nil, nil
	}
	ctx, cancel := context.WithDeadline(ctx, r.search)
	defer cancel()
	top := chain[len(chain)-1]
	asked, again := 0, time.Time{}
	for _, access := range top.AIA {
		address := string(access.Location.Value)
		if access.Method != certificate.AccessCAIssuers || !isHTTP(access.Location) || !r.trust.vouches(address) ||
			asked == maxSources || r.requests == maxRequests {
			continue
		}
		asked++
		r.requests++
		a := r.g.ask(ctx, source{kind: sourceIssuers, url: address}, time.Time{})
		if a.err != nil {
			r.found.Problems = append(r.found.Problems, fmt.Sprintf("issuer %s: %v", address, a.err))
			if t := a.ends(); r.g.rooms != nil && (again.IsZero() || t.Before(again)) {
				again = t
			}
			continue
		}
		if named := a.issuersOf(top); len(named) > 0 {
			for _, c := range named {
				r.found.Certificates = append(r.found.Certificates, c.Raw)
				r.found.handed = append(r.found.handed, handed{c.Fingerprint, a})
			}
			return a, named
		}
	}
	if !again.IsZero() {
		r.found.postpone(top, again)
	}
	return nil, nil
}

// issuersOf are the certificates of the issuer's name, those that came before included while nothing is proven.
func (a *answer) issuersOf(c *certificate.Certificate) (named []*certificate.Certificate) {
	for _, from := range []*answer{a, a.before.Load()} {
		if from == nil {
			continue
		}
		for _, issuer := range from.issuers {
			if issuer.Subject.Equal(c.Issuer) && issuer.Fingerprint != c.Fingerprint {
				named = append(named, issuer)
			}
		}
	}
	return named
}

// relyOn keeps what completed a chain.
func (r *round) relyOn(lent []*answer) {
	for _, a := range lent {
		a.prove(nil)
		r.found.complain(r.g.save(a))
	}
}

// vouches reports whether an anchor names the host of the address, or a host that it lies under.
func (t Trust) vouches(address string) bool {
	u, err := url.Parse(address)
	if err != nil {
		return false
	}
	for host := strings.ToLower(u.Hostname()); host != ""; {
		if t.Hosts[host] {
			return true
		}
		_, host, _ = strings.Cut(host, ".")
	}
	return false
}

// readIssuers reads a certificate (DER or PEM) or a certs-only CMS message.
func readIssuers(data []byte, parse func([]byte) (*certificate.Certificate, error)) ([]*certificate.Certificate,
	error) {
	var ders [][]byte
	if block, _ := pem.Decode(data); block != nil {
		ders = [][]byte{block.Bytes}
	} else if signed, err := cms.Parse(data); err == nil {
		ders = signed.Certificates
	} else {
		ders = [][]byte{data}
	}
	var list []*certificate.Certificate
	for _, der := range ders[:min(len(ders), maxIssuers)] {
		if c, err := parse(der); err == nil {
			list = append(list, c)
		}
	}
	if len(list) == 0 {
		return nil, errors.New("it holds no certificate")
	}
	return list, nil
}
