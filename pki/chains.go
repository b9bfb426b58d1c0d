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

// Chain returns what stands above a certificate, DER: its authority's certificates by all of its roots, then these roots, the oldest that
// has not ended last. Java's PKIX, Go and who builds paths as RFC 4158 has it find the one to the root that they trust; openssl looks
// at the first certificate of an authority alone, so its users with a later root alone are given /ca/NAME-by-ROOT.crt.
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
		for _, c := range i.certificates() {
			ders = append(ders, c.Raw)
			above[authorityOf(c)] = true
		}
	}
	now := ca.cfg.Now()
	for _, r := range slices.Backward(ca.roots) {
		if above[r.id] && (len(ca.roots) == 1 || now.Before(r.certificate.NotAfter)) {
			ders = append(ders, r.certificate.Raw)
		}
	}
	return ders
}
