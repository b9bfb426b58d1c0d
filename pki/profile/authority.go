package profile

import (
	"crypto/rand"
	"crypto/sha1"
	"crypto/x509"
	"encoding/asn1"
	"errors"
	"fmt"
	"maps"
	"math/big"
	"slices"
	"time"

	"golang.org/x/crypto/cryptobyte"
	cbasn1 "golang.org/x/crypto/cryptobyte/asn1"
)

// Authority returns the template of a root or an issuing authority (no authority below it). A root has no limit of path length (CA/Browser
// Forum BR 7.1.2.1.4 recommends none): one that comes after it is above it in the paths of those who know that one alone, and each of
// these makes the path longer. places of a root are for its certificate by another root. An issuing authority certifies for its purposes alone: extKeyUsage limits what relying parties take from it
// (RFC 5280 4.2.1.12 as they all read it, CA/Browser Forum BR 7.1.2.10.6), any policy is that of its operator, who runs the root too
// (RFC 5280 4.2.1.4). The caller sets serial number, subject and key.
func Authority(p Profile, notBefore, notAfter time.Time, places Places, purposes []Purpose) (*x509.Certificate, error) {
	template := &x509.Certificate{
		NotBefore: notBefore.UTC().Truncate(time.Second), NotAfter: notAfter.UTC().Truncate(time.Second),
		KeyUsage:              x509.KeyUsageCertSign | x509.KeyUsageCRLSign,
		BasicConstraintsValid: true, IsCA: true,
	}
	switch p {
	case Root:
	case Issuing:
		if len(purposes) == 0 {
			return nil, errors.New("an issuing authority without a purpose")
		}
		template.MaxPathLenZero = true
		if err := limit(template, purposes); err != nil {
			return nil, err
		}
	default:
		return nil, fmt.Errorf("profile %q is not an authority", p)
	}
	if places.Issuer != "" {
		template.IssuingCertificateURL = []string{places.Issuer}
	}
	addStatus(template, places)
	if !template.NotAfter.After(template.NotBefore) {
		return nil, fmt.Errorf("profile %s: validity ends (%s) before it begins (%s)", p, template.NotAfter, template.NotBefore)
	}
	return template, nil
}

// limit writes down the purposes of all profiles that an authority is for, and of its responder.
func limit(template *x509.Certificate, purposes []Purpose) error {
	all := OCSPResponder.extended()
	for _, p := range slices.Sorted(maps.Keys(kinds)) {
		if !slices.Contains(purposes, kinds[p].by) {
			continue
		}
		for _, purpose := range p.extended() {
			if !slices.ContainsFunc(all, purpose.Equal) {
				all = append(all, purpose)
			}
		}
	}
	template.UnknownExtKeyUsage = all
	anyPolicy, err := x509.OIDFromInts([]uint64{2, 5, 29, 32, 0})
	template.Policies = []x509.OID{anyPolicy}
	return err
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

// FirstRoot is the name of the first root in URLs.
const FirstRoot = "root"

// RootPlaces are the URLs in certificates that the root of this name issues, below the base URL of the authority.
func RootPlaces(baseURL, name string) Places {
	return Places{Issuer: baseURL + "/ca/" + name + ".crt", CRL: baseURL + "/crl/" + name + ".crl"}
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
