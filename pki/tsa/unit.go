package tsa

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/rsa"
	"crypto/x509"
	"encoding/asn1"
	"errors"
	"fmt"
	"time"

	"golang.org/x/crypto/cryptobyte"
	cbasn1 "golang.org/x/crypto/cryptobyte/asn1"
)

var (
	oidExtKeyUsage     = asn1.ObjectIdentifier{2, 5, 29, 37}
	oidPrivateKeyUsage = asn1.ObjectIdentifier{2, 5, 29, 16}
)

// Unit is a key that signs tokens, with its certificate.
type Unit struct {
	Certificate *x509.Certificate   // critical, sole purpose timeStamping (RFC 3161 2.3)
	Chain       []*x509.Certificate // of its issuers, given out with tokens
	Key         crypto.Signer
}

// unit is a Unit that was checked.
type unit struct {
	Unit
	chain [][]byte
	end   time.Time // of the key's use
}

func newUnit(u Unit) (*unit, error) {
	switch {
	case u.Certificate == nil:
		return nil, errors.New("unit: Certificate is missing")
	case u.Key == nil:
		return nil, errors.New("unit: Key is missing")
	}
	switch u.Key.Public().(type) {
	case *ecdsa.PublicKey, *rsa.PublicKey:
	default:
		return nil, fmt.Errorf("a key of type %T can't sign tokens", u.Key.Public())
	}
	public, ok := u.Key.Public().(interface{ Equal(crypto.PublicKey) bool })
	if !ok || !public.Equal(u.Certificate.PublicKey) {
		return nil, errors.New("the key is not the certificate's")
	}
	if err := checkPurpose(u.Certificate); err != nil {
		return nil, err
	}
	end, err := EndOfUse(u.Certificate)
	if err != nil {
		return nil, err
	}
	checked := &unit{Unit: u, end: end}
	for _, c := range u.Chain {
		checked.chain = append(checked.chain, c.Raw)
	}
	return checked, nil
}

func checkPurpose(c *x509.Certificate) error {
	if len(c.ExtKeyUsage) != 1 || c.ExtKeyUsage[0] != x509.ExtKeyUsageTimeStamping || len(c.UnknownExtKeyUsage) > 0 {
		return errors.New("the certificate is not for timeStamping alone")
	}
	for _, extension := range c.Extensions {
		if extension.Id.Equal(oidExtKeyUsage) && extension.Critical {
			return nil
		}
	}
	return errors.New("the certificate's extended key usage is not critical")
}

// EndOfUse is when a certificate's key signs for the last time: the end of its privateKeyUsagePeriod, or of the certificate.
func EndOfUse(c *x509.Certificate) (time.Time, error) {
	for _, extension := range c.Extensions {
		if !extension.Id.Equal(oidPrivateKeyUsage) {
			continue
		}
		used, err := endOfUse(extension.Value)
		if err != nil || !used.IsZero() && used.Before(c.NotAfter) {
			return used, err
		}
	}
	return c.NotAfter, nil
}

// endOfUse reads notAfter of a PrivateKeyUsagePeriod, zero when it is not there.
func endOfUse(value []byte) (time.Time, error) {
	input := cryptobyte.String(value)
	var period, end cryptobyte.String
	var there bool
	if !input.ReadASN1(&period, cbasn1.SEQUENCE) || !period.SkipOptionalASN1(cbasn1.Tag(0).ContextSpecific()) ||
		!period.ReadOptionalASN1(&end, &there, cbasn1.Tag(1).ContextSpecific()) {
		return time.Time{}, errors.New("the certificate's private key usage period can't be read")
	}
	if !there {
		return time.Time{}, nil
	}
	used, err := time.Parse("20060102150405Z", string(end))
	if err != nil {
		return time.Time{}, fmt.Errorf("the certificate's private key usage period: %w", err)
	}
	return used, nil
}
