// Package crl makes certificate revocation lists (RFC 5280 section 5) and gives them out over HTTP.
package crl

import (
	"crypto"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"errors"
	"fmt"
	"math/big"
	"time"
)

// Entry is a revoked certificate. It stays on the list after the certificate has expired, so that a signature made before the
// revocation can be judged years later.
type Entry struct {
	Serial    *big.Int
	RevokedAt time.Time
	Reason    int // CRLReason; 0 (unspecified) is left out, RFC 5280 5.3.1
}

// List is what a full CRL of one issuer says.
type List struct {
	Number                 *big.Int // greater than that of every earlier list of the issuer
	ThisUpdate, NextUpdate time.Time
	Entries                []Entry

	// KeptSince: certificates that expired after this moment are still listed (expiredCertsOnCRL of X.509, ETSI EN 319 411-2
	// 6.3.10). The zero time leaves the extension out.
	KeptSince time.Time
}

var oidExpiredCertsOnCRL = asn1.ObjectIdentifier{2, 5, 29, 60}

// Create signs the list: DER with CRL number, authority key identifier and expiredCertsOnCRL. It refuses a key that is not the issuer's.
func Create(issuer *x509.Certificate, key crypto.Signer, list List) ([]byte, error) {
	if list.Number == nil || list.Number.Sign() <= 0 {
		return nil, errors.New("CRL: Number is missing")
	}
	if list.NextUpdate.Sub(list.ThisUpdate) < time.Second {
		return nil, errors.New("CRL: NextUpdate is not after ThisUpdate")
	}
	if public, ok := key.Public().(interface{ Equal(crypto.PublicKey) bool }); !ok || !public.Equal(issuer.PublicKey) {
		return nil, fmt.Errorf("CRL of %q: the key is not the issuer's", issuer.Subject.CommonName)
	}
	template := &x509.RevocationList{
		Number: list.Number, ThisUpdate: list.ThisUpdate.UTC().Truncate(time.Second), NextUpdate: list.NextUpdate.UTC().Truncate(time.Second),
		RevokedCertificateEntries: make([]x509.RevocationListEntry, 0, len(list.Entries)),
	}
	for _, e := range list.Entries {
		template.RevokedCertificateEntries = append(template.RevokedCertificateEntries,
			x509.RevocationListEntry{SerialNumber: e.Serial, RevocationTime: e.RevokedAt.UTC().Truncate(time.Second), ReasonCode: e.Reason})
	}
	if !list.KeptSince.IsZero() {
		value, err := asn1.MarshalWithParams(list.KeptSince.UTC().Truncate(time.Second), "generalized")
		if err != nil {
			return nil, fmt.Errorf("CRL: %w", err)
		}
		template.ExtraExtensions = []pkix.Extension{{Id: oidExpiredCertsOnCRL, Value: value}}
	}
	der, err := x509.CreateRevocationList(rand.Reader, template, issuer, key)
	if err != nil {
		return nil, fmt.Errorf("CRL of %q: %w", issuer.Subject.CommonName, err)
	}
	return der, nil
}
