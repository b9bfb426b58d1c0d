package pki

import (
	"context"
	"crypto/x509"
	"errors"
	"math/big"
	"net/http"

	"trustcore/internal/audit"
)

// CA is an issuing authority with its responder, lists and time-stamping unit. Its methods are safe for concurrent use.
type CA struct {
	cfg Config
}

var errNotYet = errors.New("not there yet")

// New checks cfg, brings the schema up to date and records the authorities' own certificates in the inventory.
func New(ctx context.Context, cfg Config) (*CA, error) { return &CA{cfg: cfg}, errNotYet }

// Issue makes a certificate of the given kind for the request's key. Serial number and audit entry are written before the
// signature; a refused request (*RequestError) costs no signature.
func (ca *CA) Issue(ctx context.Context, actor audit.Actor, kind Profile, csr *x509.CertificateRequest, subject Subject, order string) (*x509.Certificate, error) {
	return nil, errNotYet
}

// Revoke revokes a certificate of the issuing authority for good. The next OCSP answer says so; the CRL follows at once.
// Revoking a revoked certificate does nothing. serial is lower-case hex as in the inventory.
func (ca *CA) Revoke(ctx context.Context, actor audit.Actor, serial string, reason Reason, order string) error {
	return errNotYet
}

// Revoked tells from memory whether a certificate of the issuing authority is revoked: cheap enough for every TLS handshake.
func (ca *CA) Revoked(serial *big.Int) bool { return true }

// Certificates returns the part of the inventory that filter chooses, newest first.
func (ca *CA) Certificates(ctx context.Context, filter Filter) ([]Certificate, error) {
	return nil, errNotYet
}

// Handler answers for the authority under the path of BaseURL: /ocsp (GET and POST), /crl/issuing.crl, /crl/root.crl,
// /ca/issuing.crt, /ca/root.crt and /tsa. Put it in front of any ServeMux: that one redirects the double slashes of base64
// in OCSP GET requests.
func (ca *CA) Handler() http.Handler { return http.NotFoundHandler() }

// Run renews lists and answers at half of their life until ctx ends, and follows what other nodes revoke.
func (ca *CA) Run(ctx context.Context) error { <-ctx.Done(); return nil }
