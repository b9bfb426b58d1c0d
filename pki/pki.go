// Package pki is the certification authority of the region: it issues certificates from requests, revokes them, keeps
// the inventory, and answers for them by OCSP, CRL and RFC 3161 time-stamps. Keys come as crypto.Signer; ceremonies that
// make them are in pki/ceremony.
package pki

import (
	"crypto"
	"crypto/x509"
	"errors"
	"log/slog"
	"net"
	"time"

	"trustcore/internal/audit"
	"trustcore/internal/store"
	"trustcore/pki/profile"
)

// Profile names a kind of certificate.
type Profile = profile.Profile

// The kinds of certificates that Issue makes.
const (
	DaemonServer  = profile.DaemonServer
	DaemonClient  = profile.DaemonClient
	PartnerClient = profile.PartnerClient
	Officer       = profile.Officer
	Seal          = profile.Seal
	OCSPResponder = profile.OCSPResponder
	TimeStamping  = profile.TimeStamping
)

// Delegate is a key with its certificate from the issuing authority.
type Delegate struct {
	Certificate *x509.Certificate
	Key         crypto.Signer
}

// Config is what New needs. Fields without 'optional' are refused when they are missing.
type Config struct {
	DB    *store.DB
	Audit *audit.Log

	Root    *x509.Certificate
	RootCRL []byte        // optional: DER of the newest CRL of a root whose key is offline
	RootKey crypto.Signer // optional: with it the CA renews the root's CRL itself

	Issuing    *x509.Certificate
	IssuingKey crypto.Signer

	OCSP Delegate // OCSPResponder certificate
	TSA  Delegate // optional: TimeStamping certificate; without it no time-stamps are given

	BaseURL   string                               // where Handler is reached, such as "http://10.20.0.1:8080/pki"; no slash at the end
	TSAPolicy string                               // optional: policy OID of time-stamps; DefaultTSAPolicy when empty
	TSAClock  func() (time.Time, error)            // optional: a clock that fails when it can't be trusted; Now when nil
	Now       func() time.Time                     // optional: time.Now when nil
	Logger    *slog.Logger                         // optional: slog.Default when nil
	Validity  map[Profile]time.Duration            // optional: shorter validities than the profile's longest
	AllowName func(partner, name string) (ok bool) // optional: which hosts a partner may name; all when nil
}

// Subject is who a certificate is for, as the order or the officer says: the request can't add to it.
type Subject struct {
	Partner    string   // organisation's id; "" for the data centre's own
	CommonName string   //
	DNS        []string // lower case, no wildcard
	IPs        []net.IP
}

// Reason is a CRLReason of RFC 5280 5.3.1.
type Reason int

// Reasons that Revoke takes. There is no certificateHold: a revoked certificate stays revoked.
const (
	Unspecified          Reason = 0
	KeyCompromise        Reason = 1
	AffiliationChanged   Reason = 3
	Superseded           Reason = 4
	CessationOfOperation Reason = 5
	PrivilegeWithdrawn   Reason = 9
)

// State is where a certificate stands.
type State string

// States of a certificate. Reserved: the serial number is recorded and no certificate has been handed out.
const (
	Reserved State = "reserved"
	Valid    State = "valid"
	Revoked  State = "revoked"
	Expired  State = "expired"
)

// Certificate is a row of the inventory.
type Certificate struct {
	Serial              string // lower-case hex, the key of the inventory
	Issuer              string // common name of the issuer
	Profile             Profile
	Partner             string
	CommonName          string
	Names               []string // DNS names and IP addresses
	Order               string
	Actor               audit.Actor // who asked for it
	NotBefore, NotAfter time.Time
	State               State
	RevokedAt           time.Time // zero unless revoked
	Reason              Reason
	Fingerprint         string // SHA-256 of DER, lower-case hex
	DER                 []byte
}

// Filter chooses certificates; empty fields choose all.
type Filter struct {
	Serial, Partner, Order string
	Profile                Profile
	State                  State
	ExpiresBefore          time.Time
	Limit                  int // 0 means MaxCertificates
}

// MaxCertificates bounds one answer of Certificates.
const MaxCertificates = 10_000

// Sentinels of the package. What a person has to change is a *RequestError.
var (
	ErrUnknownCertificate = errors.New("no such certificate")
	ErrUnavailable        = errors.New("the authority can't sign now")
)

// RequestError says which field of a request for a certificate is refused and what to do about it.
type RequestError struct{ Field, Problem, Remedy string }

// Error is one sentence.
func (e *RequestError) Error() string { return e.Field + ": " + e.Problem + "; " + e.Remedy }

// DefaultTSAPolicy is of the arc that RFC 5612 keeps for examples: an operator states their own.
const DefaultTSAPolicy = "1.3.6.1.4.1.32473.1.1"
