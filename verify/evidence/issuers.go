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
	maxMissing = 3  // in a row: real chains lack one
	maxIssuers = 20 // certificates of one caIssuers answer that are looked at
)

// issuers fetches the issuer of the last certificate of an incomplete chain from where it says (RFC 5280 4.2.2.1), if a
// trusted service vouches for that host. What is found must still sign: path building looks at it like at any other.
func (r *round) issuers(ctx context.Context, chain []*certificate.Certificate) []*certificate.Certificate {
	if len(chain) == 0 || len(r.trust.Hosts) == 0 {
		return nil
	}
	top := chain[len(chain)-1]
	asked := 0
	for _, access := range top.AIA {
		address := string(access.Location.Value)
		if access.Method != certificate.AccessCAIssuers || !isHTTP(access.Location) || !r.trust.vouches(address) || asked == maxSources {
			continue
		}
		asked++
		a := r.g.ask(ctx, source{kind: sourceIssuers, url: address}, time.Time{})
		if a.err != nil {
			r.found.Problems = append(r.found.Problems, fmt.Sprintf("issuer %s: %v", address, a.err))
			continue
		}
		var named []*certificate.Certificate
		for _, c := range a.issuers {
			if c.Subject.Equal(top.Issuer) && c.Fingerprint != top.Fingerprint {
				named = append(named, c)
				r.found.Certificates = append(r.found.Certificates, c.Raw)
			}
		}
		if len(named) > 0 {
			return named
		}
	}
	return nil
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
func readIssuers(data []byte) ([]*certificate.Certificate, error) {
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
		if c, err := certificate.Parse(der); err == nil {
			list = append(list, c)
		}
	}
	if len(list) == 0 {
		return nil, errors.New("it holds no certificate")
	}
	return list, nil
}
