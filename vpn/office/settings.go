package office

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/rand"
	"crypto/sha256"
	"crypto/x509"
	"encoding/asn1"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"math/big"
	"net/netip"
	"strings"
	"time"

	"trustcore/vpn"
)

// Settings are what of an enrolment may change while the office stays enrolled. The core signs them, and the office takes
// them when they are its own and newer than those that it has: who stands in the tunnel, or has an old copy, changes nothing.
type Settings struct {
	Serial  int64          `json:"serial"` // grows with every change
	Partner string         `json:"partner"`
	Site    string         `json:"site"`
	Address []netip.Prefix `json:"address"` // of the office; says, with the two before, whose they are

	PublicKey vpn.Key        `json:"public_key"` // of the hub
	Endpoint  string         `json:"endpoint"`   // of the hub: host:port, UDP
	Next      *NextHub       `json:"next,omitempty"`
	Addresses []netip.Prefix `json:"addresses"`
	Services  []Service      `json:"services"`
	Networks  []netip.Prefix `json:"networks,omitempty"` // behind the office, whose machines the core answers, too
	MTU       int            `json:"mtu,omitempty"`      // bytes of a packet in the tunnel at most; 0 leaves it to the office
}

// NextHub is the key to which the hub changes, and where it has it. The office follows.
type NextHub struct {
	PublicKey vpn.Key `json:"public_key"`
	Endpoint  string  `json:"endpoint"` // host:port, UDP
}

// SettingsSigner is the common name of the certificate by which settings are signed: trustd's own.
const SettingsSigner = "trustd"

// Limits of signed settings, above need.
const (
	maxSettings = 64 << 10 // bytes
	maxSigners  = 5        // certificates in the chain
)

// settingsType is the typ of the signature (RFC 7515, 4.1.9), so that nothing else that trustd signs is taken for settings.
const settingsType = "trustcore-office-settings"

// header is the protected header: ES256 with the chain of the signer.
type header struct {
	Algorithm string   `json:"alg"`
	Type      string   `json:"typ"`
	Chain     [][]byte `json:"x5c"` // DER in standard base64, the signer first (RFC 7515, 4.1.6)
}

// Sign makes a compact JWS of settings (RFC 7515, RFC 7518, 3.4). The signer has a P-256 key, whose certificate is the first
// of the chain.
func (s Settings) Sign(signer crypto.Signer, chain []*x509.Certificate) (string, error) {
	h := header{Algorithm: "ES256", Type: settingsType}
	for _, c := range chain {
		h.Chain = append(h.Chain, c.Raw)
	}
	first, err := json.Marshal(h)
	if err != nil {
		return "", err
	}
	second, err := json.Marshal(s)
	if err != nil {
		return "", err
	}
	signed := base64.RawURLEncoding.EncodeToString(first) + "." + base64.RawURLEncoding.EncodeToString(second)
	digest := sha256.Sum256([]byte(signed))
	der, err := signer.Sign(rand.Reader, digest[:], crypto.SHA256)
	if err != nil {
		return "", fmt.Errorf("sign the settings: %w", err)
	}
	value, err := fixed(der)
	if err != nil {
		return "", err
	}
	return signed + "." + base64.RawURLEncoding.EncodeToString(value), nil
}

// coordinateLen is the length of each half of an ES256 signature in bytes.
const coordinateLen = 32

// fixed is the signature as JWS has it, r and s of 32 bytes.
func fixed(der []byte) ([]byte, error) {
	var value struct{ R, S *big.Int }
	if _, err := asn1.Unmarshal(der, &value); err != nil || max(value.R.BitLen(), value.S.BitLen()) > 8*coordinateLen {
		return nil, errors.New("sign the settings: the key is none of P-256")
	}
	octets := make([]byte, 2*coordinateLen)
	value.R.FillBytes(octets[:coordinateLen])
	value.S.FillBytes(octets[coordinateLen:])
	return octets, nil
}

// OpenSettings reads signed settings for the office of an enrolment that has those of the serial number have. The chain has to
// end in roots and be that of trustd.
func OpenSettings(text string, e Enrolment, have int64, roots *x509.CertPool, now time.Time) (Settings, error) {
	payload, err := verified(text, roots, now)
	if err != nil {
		return Settings{}, fmt.Errorf("settings of the tunnel: %w", err)
	}
	var s Settings
	if err := json.Unmarshal(payload, &s); err != nil {
		return Settings{}, fmt.Errorf("settings of the tunnel: %w", err)
	}
	switch {
	case s.Partner != e.Partner || s.Site != e.Site || len(s.Address) == 0 || len(e.Address) == 0 || s.Address[0] != e.Address[0]:
		return Settings{}, errors.New("settings of the tunnel: they are another office's")
	case s.Serial < have:
		return Settings{}, fmt.Errorf("settings of the tunnel: number %d is older than number %d, which the office has", s.Serial, have)
	case s.MTU != 0 && (s.MTU < vpn.MinMTU || s.MTU > vpn.MaxMTU):
		return Settings{}, fmt.Errorf("settings of the tunnel: MTU %d is not within %d to %d", s.MTU, vpn.MinMTU, vpn.MaxMTU)
	}
	return s, s.Apply(&e)
}

// Apply changes an enrolment to the settings; one that would not be valid is left as it was.
func (s Settings) Apply(e *Enrolment) error {
	after := *e
	after.Hub.Endpoint, after.Hub.Addresses, after.Services = s.Endpoint, s.Addresses, s.Services
	switch {
	case s.Next != nil && e.Hub.PublicKey == s.Next.PublicKey:
		after.Hub.Endpoint = s.Next.Endpoint
	case e.Hub.PublicKey != s.PublicKey:
		return errors.New("settings of the tunnel: they are of another hub than the office's")
	case s.Next != nil && !isEndpoint(s.Next.Endpoint):
		return fmt.Errorf("settings of the tunnel: next.endpoint %q is no host with a port in digits", s.Next.Endpoint)
	}
	if err := after.Validate(); err != nil {
		return err
	}
	*e = after
	return nil
}

// verified returns what trustd signed.
func verified(text string, roots *x509.CertPool, now time.Time) ([]byte, error) {
	parts := strings.Split(text, ".")
	if len(parts) != 3 || len(text) > maxSettings {
		return nil, errors.New("they are no compact JWS")
	}
	var octets [3][]byte
	for i, part := range parts {
		var err error
		if octets[i], err = base64.RawURLEncoding.Strict().DecodeString(part); err != nil {
			return nil, errors.New("they are no compact JWS")
		}
	}
	var h header
	if err := json.Unmarshal(octets[0], &h); err != nil {
		return nil, err
	}
	if h.Algorithm != "ES256" || h.Type != settingsType || len(h.Chain) == 0 || len(h.Chain) > maxSigners {
		return nil, fmt.Errorf("their header has alg %.20q, typ %.40q and %d certificates", h.Algorithm, h.Type, len(h.Chain))
	}
	key, err := signerKey(h.Chain, roots, now)
	if err != nil {
		return nil, err
	}
	if len(octets[2]) != 2*coordinateLen {
		return nil, errors.New("their signature has another length")
	}
	r, s := new(big.Int).SetBytes(octets[2][:coordinateLen]), new(big.Int).SetBytes(octets[2][coordinateLen:])
	digest := sha256.Sum256([]byte(parts[0] + "." + parts[1]))
	if !ecdsa.Verify(key, digest[:], r, s) {
		return nil, errors.New("their signature is wrong")
	}
	return octets[1], nil
}

// signerKey is the key of trustd's certificate, whose chain ends in one of the roots.
func signerKey(chain [][]byte, roots *x509.CertPool, now time.Time) (*ecdsa.PublicKey, error) {
	var all []*x509.Certificate
	between := x509.NewCertPool()
	for _, der := range chain {
		c, err := x509.ParseCertificate(der)
		if err != nil {
			return nil, err
		}
		all = append(all, c)
		between.AddCert(c)
	}
	signer := all[0]
	if _, err := signer.Verify(x509.VerifyOptions{Roots: roots, Intermediates: between, CurrentTime: now,
		KeyUsages: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth}}); err != nil {
		return nil, err
	}
	key, is := signer.PublicKey.(*ecdsa.PublicKey)
	if !is || key.Curve.Params().BitSize != 8*coordinateLen || signer.Subject.CommonName != SettingsSigner {
		return nil, fmt.Errorf("they are signed by %.60q, which is not trustd", signer.Subject.CommonName)
	}
	return key, nil
}
