package pki

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"fmt"
	"time"
)

// storeTimeout bounds what has to be recorded though whoever asked may be gone.
const storeTimeout = 10 * time.Second

// sign signs a certificate that is reserved and audited, and completes its row.
func (ca *CA) sign(ctx context.Context, by *issuer, csr *x509.CertificateRequest, template *x509.Certificate) (*x509.Certificate, error) {
	// CreateCertificate checks the signature against the issuer's certificate before it returns.
	der, err := x509.CreateCertificate(rand.Reader, template, by.certificate, csr.PublicKey, by.key)
	if err != nil {
		return nil, err
	}
	certificate, err := x509.ParseCertificate(der)
	if err != nil {
		return nil, fmt.Errorf("reading what was signed: %w", err)
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), storeTimeout)
	defer cancel()
	return certificate, ca.storeSigned(ctx, certificate)
}

// permits refuses what relying parties would refuse below the issuer's certificate: purposes that it is not for, and names outside its
// name constraints (RFC 5280 4.2.1.10). For these a path that is like the real one, but with keys that are thrown away, is asked
// before the real key signs.
func (i *issuer) permits(kind Profile, template *x509.Certificate, now time.Time) error {
	c := i.certificate
	if purpose := kind.Outside(c); purpose != nil {
		return refuse("profile", "choose an issuing authority that is for it", "the issuing authority's certificate does not let it certify %v", purpose)
	}
	if len(c.PermittedDNSDomains)+len(c.ExcludedDNSDomains)+len(c.PermittedIPRanges)+len(c.ExcludedIPRanges) == 0 {
		return nil
	}
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return err
	}
	above := *c
	above.PublicKey, above.PublicKeyAlgorithm, above.SignatureAlgorithm = key.Public(), x509.ECDSA, 0
	var path [2]*x509.Certificate
	for n, made := range []*x509.Certificate{&above, template} {
		der, err := x509.CreateCertificate(rand.Reader, made, &above, key.Public(), key)
		if err != nil {
			return fmt.Errorf("trying the issuer's name constraints: %w", err)
		}
		if path[n], err = x509.ParseCertificate(der); err != nil {
			return fmt.Errorf("trying the issuer's name constraints: %w", err)
		}
	}
	roots := x509.NewCertPool()
	roots.AddCert(path[0])
	if _, err := path[1].Verify(x509.VerifyOptions{Roots: roots, CurrentTime: now, KeyUsages: []x509.ExtKeyUsage{x509.ExtKeyUsageAny}}); err != nil {
		return refuse("names", "ask for names that the issuing authority may certify", "%v", err)
	}
	return nil
}
