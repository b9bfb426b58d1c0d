package profile

import (
	"crypto/rand"
	"crypto/sha1"
	"crypto/x509"
	"encoding/asn1"
	"errors"
	"fmt"
	"math/big"
	"time"

	"golang.org/x/crypto/cryptobyte"
	cbasn1 "golang.org/x/crypto/cryptobyte/asn1"
)

// Authority returns the template of a root (self-signed, any number of authorities below it) or an issuing authority (no
// authority below it). The caller sets serial number, subject and key.
func Authority(p Profile, notBefore, notAfter time.Time, places Places) (*x509.Certificate, error) {
	template := &x509.Certificate{
		NotBefore: notBefore.UTC().Truncate(time.Second), NotAfter: notAfter.UTC().Truncate(time.Second),
		KeyUsage:              x509.KeyUsageCertSign | x509.KeyUsageCRLSign,
		BasicConstraintsValid: true, IsCA: true,
	}
	switch p {
	case Root:
		template.MaxPathLen = 1
	case Issuing:
		template.MaxPathLenZero = true
		if places.Issuer != "" {
			template.IssuingCertificateURL = []string{places.Issuer}
		}
		addStatus(template, places)
	default:
		return nil, fmt.Errorf("profile %q is not an authority", p)
	}
	if !template.NotAfter.After(template.NotBefore) {
		return nil, fmt.Errorf("profile %s: validity ends (%s) before it begins (%s)", p, template.NotAfter, template.NotBefore)
	}
	return template, nil
}

// NewSerial returns a random serial number of 127 bits and always 16 octets (RFC 5280 4.1.2.2 allows 20).
func NewSerial() (*big.Int, error) {
	octets := make([]byte, 16)
	if _, err := rand.Read(octets); err != nil {
		return nil, fmt.Errorf("serial number: %w", err)
	}
	octets[0] = octets[0]&0x3f | 0x40
	return new(big.Int).SetBytes(octets), nil
}

// KeyID is the key identifier of RFC 5280 4.2.1.2 (1): SHA-1 over the bits of the public key.
func KeyID(publicKey any) ([]byte, error) {
	der, err := x509.MarshalPKIXPublicKey(publicKey)
	if err != nil {
		return nil, fmt.Errorf("key identifier: %w", err)
	}
	bits, err := KeyBits(der)
	if err != nil {
		return nil, err
	}
	sum := sha1.Sum(bits)
	return sum[:], nil
}

// KeyBits returns the content of the BIT STRING of a SubjectPublicKeyInfo, which key identifiers are hashes of.
func KeyBits(spki []byte) ([]byte, error) {
	input := cryptobyte.String(spki)
	var info, algorithm cryptobyte.String
	var bits asn1.BitString
	if !input.ReadASN1(&info, cbasn1.SEQUENCE) || !info.ReadASN1(&algorithm, cbasn1.SEQUENCE) || !info.ReadASN1BitString(&bits) {
		return nil, errors.New("public key is no SubjectPublicKeyInfo")
	}
	return bits.RightAlign(), nil
}

// RootPlaces are the URLs in certificates that the root issues, below the base URL of the authority.
func RootPlaces(baseURL string) Places {
	return Places{Issuer: baseURL + "/ca/root.crt", CRL: baseURL + "/crl/root.crl"}
}

// FirstIssuing is the name of the first issuing authority in URLs.
const FirstIssuing = "issuing"

// IssuingPlaces are the URLs in certificates of the first issuing authority.
func IssuingPlaces(baseURL string) Places { return PlacesOf(baseURL, FirstIssuing) }

// PlacesOf are the URLs in certificates of the issuing authority with this name: each has its own list and responder.
func PlacesOf(baseURL, name string) Places {
	places := Places{Issuer: baseURL + "/ca/" + name + ".crt", CRL: baseURL + "/crl/" + name + ".crl", OCSP: baseURL + "/ocsp"}
	if name != FirstIssuing {
		places.OCSP = baseURL + "/" + name + "/ocsp"
	}
	return places
}
