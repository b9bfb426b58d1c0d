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

// checkUnit checks certificate and key of the unit and returns the end of the key's use.
func checkUnit(cfg Config) (used time.Time, err error) {
	switch cfg.Key.Public().(type) {
	case *ecdsa.PublicKey, *rsa.PublicKey:
	default:
		return time.Time{}, fmt.Errorf("a key of type %T can't sign tokens", cfg.Key.Public())
	}
	public, ok := cfg.Key.Public().(interface{ Equal(crypto.PublicKey) bool })
	if !ok || !public.Equal(cfg.Certificate.PublicKey) {
		return time.Time{}, errors.New("the key is not the certificate's")
	}
	if len(cfg.Certificate.ExtKeyUsage) != 1 || cfg.Certificate.ExtKeyUsage[0] != x509.ExtKeyUsageTimeStamping || len(cfg.Certificate.UnknownExtKeyUsage) > 0 {
		return time.Time{}, errors.New("the certificate is not for timeStamping alone")
	}
	critical := false
	for _, extension := range cfg.Certificate.Extensions {
		switch {
		case extension.Id.Equal(oidExtKeyUsage):
			critical = extension.Critical
		case extension.Id.Equal(oidPrivateKeyUsage):
			if used, err = endOfUse(extension.Value); err != nil {
				return time.Time{}, err
			}
		}
	}
	if !critical {
		return time.Time{}, errors.New("the certificate's extended key usage is not critical")
	}
	return used, nil
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
