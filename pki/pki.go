// Package pki is the certification authority of the region: it issues certificates from requests, renews and revokes them, keeps
// the inventory, and answers for them by OCSP, CRL and RFC 3161 time-stamps. Keys come as crypto.Signer; ceremonies that
// make them are in pki/ceremony.
package pki

import (
	"context"
	"crypto"
	"crypto/x509"
	"errors"
	"log/slog"
	"net"
	"time"

	"trustcore/internal/audit"
	"trustcore/internal/lease"
	"trustcore/internal/store"
	"trustcore/pki/clock"
	"trustcore/pki/profile"
)

// Profile names a kind of certificate.
type Profile = profile.Profile

// The kinds of certificates that Issue makes.
const (
	DaemonServer  = profile.DaemonServer
	DaemonClient  = profile.DaemonClient
	PartnerClient = profile.PartnerClient
	PartnerServer = profile.PartnerServer
	PartnerPeer   = profile.PartnerPeer
	Officer       = profile.Officer
	Auditor       = profile.Auditor
	Seal          = profile.Seal
	OCSPResponder = profile.OCSPResponder
	TimeStamping  = profile.TimeStamping
)

// Delegate is a key with its certificate from the issuing authority.
type Delegate struct {
	Certificate *x509.Certificate
	KeyID       string        // what Config.OpenKey and RetireKey call the key; "" for a key that they do not know
	Key         crypto.Signer // optional where KeyID is there
}

// Root is an authority above those that issue.
type Root struct {
	Name        string // in its URLs; "root" when empty, which is the first one's
	Certificate *x509.Certificate
	Crosses     []*x509.Certificate // optional: for the same name and key by the other roots
	List        []byte              // DER of its newest CRL; optional where the key is here
	Key         crypto.Signer       // optional: with it the CA renews the root's list itself; without it the root is offline
}

// Issuer is an issuing authority. Its key may fail to sign while its token is away.
type Issuer struct {
	Name        string // in its URLs; "issuing" when empty, which is the first one's
	Certificate *x509.Certificate
	Crosses     []*x509.Certificate // optional: for the same name and key by the other roots
	Key         crypto.Signer
	OCSP        Delegate  // the first one of its responder; which one is in force now is kept in the database
	Purposes    []Purpose // what it issues for; all when empty
	Planned     bool      // it waits for officers to activate it; else it issues from the start that first finds it
}

// Config is what New needs. Fields without 'optional' are refused when they are missing.
type Config struct {
	DB    *store.DB
	Audit *audit.Log

	Roots   []Root   // in the order of their ceremonies
	Issuers []Issuer // in the order of their ceremonies; in which state each is stands in the database
	TSA     Delegate // optional: the first TimeStamping certificate; without it no time-stamps are given

	// NewKey makes the key with this label where it is not there yet, OpenKey finds a key by the name that NewKey gave it, RetireKey
	// destroys one that nothing refers to any more. Optional, together: without them responder and time-stamping unit are not renewed.
	NewKey    func(ctx context.Context, label, algorithm string) (id string, key crypto.Signer, err error)
	OpenKey   func(ctx context.Context, id string) (crypto.Signer, error)
	RetireKey func(ctx context.Context, id string) error

	BaseURL   string                               // where Handler is reached, such as "http://10.20.0.1:8080/pki"; no slash at the end
	Now       func() time.Time                     // optional: time.Now when nil
	Logger    *slog.Logger                         // optional: slog.Default when nil
	Validity  map[Profile]time.Duration            // optional: shorter validities than the profile's longest
	AllowName func(partner, name string) (ok bool) // optional: which hosts a partner may name; all when nil

	TSAPolicy string // optional: policy OID of time-stamps; DefaultTSAPolicy when empty
	// StrictClock gives time-stamps only while the kernel vouches for the clock. Without it they are given all the same, without an
	// accuracy, and Findings says so.
	StrictClock bool
	Kernel      func() (clock.Kernel, error)             // optional: clock.ReadKernel when nil
	Elapsed     func() time.Duration                     // optional: a clock that nobody sets; the monotonic one when nil
	Recorded    func(context.Context) (time.Time, error) // optional: the newest time in the audit log, zero when it is empty

	Leases *lease.Leases // optional: the nodes of the database; nil on one that is alone
}

// Upkeep is the task of Config.Leases that renews lists and delegates before they end.
const Upkeep = "pki"

// Subject is who a certificate is for, as the order or the officer says: the request can't add to it.
type Subject struct {
	Partner    string   // organisation's id; "" for the data centre's own
	CommonName string   //
	DNS        []string // lower case, no wildcard
	IPs        []net.IP
	NotAfter   time.Time // optional: end of the authorisation; the certificate does not outlive it
}

// Reason is a CRLReason of RFC 5280 5.3.1.
type Reason int

// Reasons that Revoke takes.
const (
	Unspecified          Reason = 0
	KeyCompromise        Reason = 1
	AffiliationChanged   Reason = 3
	Superseded           Reason = 4
	CessationOfOperation Reason = 5
	PrivilegeWithdrawn   Reason = 9
)

// What Suspend and Release record.
const (
	CertificateHold Reason = 6 // suspended
	RemoveFromCRL   Reason = 8 // was suspended and is good again
)

// State is where a certificate stands.
type State string

// States of a certificate. Reserved: the serial number is recorded and no certificate has been handed out.
const (
	Reserved  State = "reserved"
	Valid     State = "valid"
	Suspended State = "suspended"
	Revoked   State = "revoked"
	Expired   State = "expired"
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
	Cut                 Cut    // why it lives shorter than its profile says; "" when it does not
	Renews              string // serial number of the certificate that it renews
	State               State
	RevokedAt           time.Time // zero unless revoked or suspended
	Reason              Reason
	PublicKey           string // SHA-256 of SubjectPublicKeyInfo, lower-case hex
	Fingerprint         string // SHA-256 of DER, lower-case hex
	DER                 []byte // nil in answers of Standing

	issuerID string  // key identifier, lower-case hex
	word     *Reason // the newest on its revocation, nil when there is none
	sequence int64   // of that word
}

// IssuerID is the issuer's key identifier, lower-case hex.
func (c *Certificate) IssuerID() string { return c.issuerID }

// Cut is what cut a certificate's life.
type Cut string

// What cuts lives.
const (
	CutByIssuer        Cut = "issuer"        // its issuer ends
	CutByAuthorisation Cut = "authorisation" // its authorisation ends
)

// Filter chooses certificates; empty fields choose all.
type Filter struct {
	Serial, Partner, Order string
	CommonName, PublicKey  string
	Profile                Profile
	State                  State
	ExpiresBefore          time.Time
	Limit                  int // 0 means no limit
}

// Sentinels of the package. What a person has to change is a *RequestError.
var (
	ErrUnknownCertificate = errors.New("no such certificate")
	ErrUnavailable        = errors.New("the authority can't sign now")
	ErrRevoked            = errors.New("the certificate is revoked")
	ErrSuspended          = errors.New("the certificate is suspended")
	ErrNotInTime          = errors.New("the certificate has expired or does not hold yet")
)

// RequestError says which field of a request for a certificate is refused and what to do about it.
type RequestError struct{ Field, Problem, Remedy string }

// Error is one sentence.
func (e *RequestError) Error() string { return e.Field + ": " + e.Problem + "; " + e.Remedy }

// DefaultTSAPolicy is of the arc that RFC 5612 keeps for examples: an operator states their own.
const DefaultTSAPolicy = "1.3.6.1.4.1.32473.1.1"
