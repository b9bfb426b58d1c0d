package pki

import (
	"crypto/x509"
	"fmt"
	"slices"
)

// Above returns the certificate of the issuing authority that signed a certificate of the inventory, nil when none of them did.
func (ca *CA) Above(c *x509.Certificate) *x509.Certificate {
	if by := ca.issuerOf(authorityOf(c)); by != nil {
		return by.certificate
	}
	return nil
}

// Chain returns what stands above a certificate, DER: its authority's certificates by all of its roots, then certificates of these roots by
// other roots, then these roots, the oldest that has not ended last. Java's PKIX, Go, NSS and who builds paths as RFC 4158 has it find
// the one to the root that they trust. openssl takes the first certificate of each authority that it is shown and looks at no other:
// it finds its root where a root that others certified comes first, and fails where no root certified the other.
func (ca *CA) Chain(c *x509.Certificate) ([][]byte, error) {
	by := ca.issuerOf(authorityOf(c))
	if by == nil {
		return nil, fmt.Errorf("certificate %s: none of the issuing authorities that are here signed it", hexSerial(c.SerialNumber))
	}
	return ca.withRoots([]*issuer{by}), nil
}

// Authorities returns the certificates of all authorities that issue now and of their roots, DER, in the order of Chain: what relying
// parties are given.
func (ca *CA) Authorities() [][]byte { return ca.withRoots(ca.current()) }

func (ca *CA) withRoots(below []*issuer) (ders [][]byte) {
	above := map[string]bool{}
	for _, i := range below {
		for _, c := range ca.byMostCertified(i.certificates()) {
			ders = append(ders, c.Raw)
			above[authorityOf(c)] = true
		}
	}
	now := ca.cfg.Now()
	for range ca.roots { // a root above a root may have one above it
		for _, r := range ca.roots {
			for _, c := range r.crosses {
				above[authorityOf(c)] = above[authorityOf(c)] || above[r.id]
			}
		}
	}
	for _, r := range ca.roots {
		for _, c := range r.crosses {
			if above[r.id] && now.Before(c.NotAfter) {
				ders = append(ders, c.Raw)
			}
		}
	}
	for _, r := range slices.Backward(ca.roots) {
		if above[r.id] && (len(ca.roots) == 1 || now.Before(r.certificate.NotAfter)) {
			ders = append(ders, r.certificate.Raw)
		}
	}
	return ders
}

// byMostCertified puts the certificate first from whose root a path leads to most other roots; of two that are alike the one that was
// first.
func (ca *CA) byMostCertified(certificates []*x509.Certificate) []*x509.Certificate {
	ways := func(c *x509.Certificate) int {
		if by := ca.rootOf(authorityOf(c)); by != nil {
			return len(by.crosses)
		}
		return 0
	}
	slices.SortStableFunc(certificates, func(a, b *x509.Certificate) int { return ways(b) - ways(a) })
	return certificates
}
