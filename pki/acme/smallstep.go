package acme

import (
	"context"
	"crypto"
	"crypto/x509"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"time"

	"github.com/go-chi/chi/v5"
	step "github.com/smallstep/certificates/acme"
	"github.com/smallstep/certificates/authority"
	"github.com/smallstep/certificates/authority/config"
	"github.com/smallstep/certificates/authority/provisioner"
	cas "github.com/smallstep/certificates/cas/apiv1"
	"github.com/smallstep/certificates/db"
	kms "go.step.sm/crypto/kms/apiv1"

	"trustcore/pki"
)

// backdate is what smallstep's server takes off an order's begin.
const backdate = time.Minute

// embed sets smallstep's authority up as its server needs it: it issues through us, and has no key, no file and no database.
func (s *Server) embed() (err error) {
	life := &provisioner.Duration{Duration: pki.PartnerServer.Longest()}
	s.offices = &provisioner.ACME{ID: provisionerName, Type: "ACME", Name: provisionerName, RequireEAB: true,
		Challenges: []provisioner.ACMEChallenge{provisioner.HTTP_01, provisioner.TLS_ALPN_01},
		Claims:     &provisioner.Claims{DefaultTLSDur: life, MaxTLSDur: life}}
	if s.resolver != nil {
		s.offices.Challenges = append(s.offices.Challenges, provisioner.DNS_01)
	}
	s.links = linker{step.NewLinker(s.host, prefix), s.offices}
	claims := config.GlobalProvisionerClaims
	// Template and Backdate are read with each certificate, and nil is not looked for.
	s.authority, err = authority.New(&config.Config{SkipValidation: true, TLS: &config.DefaultTLSOptions, AuthorityConfig: &config.AuthConfig{
		Template: &config.ASN1DN{}, Backdate: &provisioner.Duration{Duration: backdate}, Claims: &claims, Provisioners: provisioner.List{s.offices}}},
		authority.WithX509CAService(issuing{s}), authority.WithDatabase(standing{s}), authority.WithKeyManager(noKeys{}), authority.WithQuietInit())
	if err != nil {
		return fmt.Errorf("embedding smallstep's authority: %w", err)
	}
	return nil
}

// linker is smallstep's, with our one provisioner for every request and our own host, whatever the client calls it.
type linker struct {
	step.Linker
	offices *provisioner.ACME
}

// Middleware refuses resources of other provisioners.
func (l linker) Middleware(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if chi.URLParam(r, "provisionerID") != provisionerName {
			http.NotFound(w, r)
			return
		}
		var p step.Provisioner = l.offices
		if signs, is := r.Context().Value(signerKey{}).(*session); is {
			p = signer{l.offices, signs}
		}
		next.ServeHTTP(w, r.WithContext(step.NewProvisionerContext(r.Context(), p)))
	})
}

// signerKey is where the context of a finalization has its session.
type signerKey struct{}

// signer ties a request for a certificate to the session that it came with.
type signer struct {
	*provisioner.ACME
	session *session
}

// AuthorizeSign is asked when the order is ready and before its names are signed for.
func (p signer) AuthorizeSign(ctx context.Context, _ string) ([]provisioner.SignOption, error) {
	return []provisioner.SignOption{claiming{ctx, p.session}}, nil
}

// claiming is a CertificateRequestValidator: smallstep's way to a certificate carries no context otherwise.
type claiming struct {
	ctx     context.Context // of the one request
	session *session
}

// Valid claims the order.
func (c claiming) Valid(csr *x509.CertificateRequest) error {
	err := c.session.claimOrder(c.ctx, csr)
	c.session.cause = err
	return err
}

// issuing is smallstep's certificate authority service: pki.CA behind it.
type issuing struct{ *Server }

// CreateCertificate issues for the session that has claimed its order with this very request.
func (i issuing) CreateCertificate(req *cas.CreateCertificateRequest) (*cas.CreateCertificateResponse, error) {
	found, claimed := i.signing.Load(req.CSR)
	if !claimed {
		return nil, errors.New("a certificate is asked for without a claimed order")
	}
	s := found.(*session)
	leaf, err := s.issue(req.CSR)
	if s.cause = err; err != nil {
		return nil, err
	}
	return &cas.CreateCertificateResponse{Certificate: leaf, CertificateChain: i.above(leaf)}, nil
}

// RenewCertificate is refused: clients renew by another order.
func (issuing) RenewCertificate(*cas.RenewCertificateRequest) (*cas.RenewCertificateResponse, error) {
	return nil, errElsewhere
}

// RevokeCertificate agrees: who may revoke is judged by then, and Server.revoking revokes.
func (issuing) RevokeCertificate(req *cas.RevokeCertificateRequest) (*cas.RevokeCertificateResponse, error) {
	return &cas.RevokeCertificateResponse{Certificate: req.Certificate}, nil
}

// above is what stands between a certificate and the root.
func (s *Server) above(leaf *x509.Certificate) []*x509.Certificate {
	if issuer := s.cfg.CA.Above(leaf); issuer != nil {
		return []*x509.Certificate{issuer}
	}
	return nil
}

// standing is smallstep's db.AuthDB: the inventory says what is revoked.
type standing struct{ *Server }

var _ db.AuthDB = standing{}

// IsRevoked takes the serial number in decimal, as smallstep writes it.
func (d standing) IsRevoked(serial string) (bool, error) {
	number, err := decimal(serial)
	if err != nil {
		return false, err
	}
	return d.cfg.CA.Revoked(number), nil
}

// Revoke agrees, as RevokeCertificate does.
func (standing) Revoke(*db.RevokedCertificateInfo) error { return nil }

// GetCertificate is refused: the server has the certificate at hand.
func (standing) GetCertificate(string) (*x509.Certificate, error) { return nil, errElsewhere }

// StoreCertificate has nothing to do: pki.CA has stored it.
func (standing) StoreCertificate(*x509.Certificate) error { return nil }

// UseToken is refused: no provisioner takes tokens.
func (standing) UseToken(string, string) (bool, error) { return false, errElsewhere }

// RevokeSSH is refused: there are no SSH certificates.
func (standing) RevokeSSH(*db.RevokedCertificateInfo) error { return errElsewhere }

// IsSSHRevoked is refused: there are no SSH certificates.
func (standing) IsSSHRevoked(string) (bool, error) { return true, errElsewhere }

// IsSSHHost is refused: there are no SSH certificates.
func (standing) IsSSHHost(string) (bool, error) { return false, errElsewhere }

// GetSSHHostPrincipals is refused: there are no SSH certificates.
func (standing) GetSSHHostPrincipals() ([]string, error) { return nil, errElsewhere }

// Shutdown does nothing: the database is its opener's.
func (standing) Shutdown() error { return nil }

// noKeys is smallstep's key manager: it sees no key.
type noKeys struct{}

// GetPublicKey is refused.
func (noKeys) GetPublicKey(*kms.GetPublicKeyRequest) (crypto.PublicKey, error) {
	return nil, errElsewhere
}

// CreateKey is refused.
func (noKeys) CreateKey(*kms.CreateKeyRequest) (*kms.CreateKeyResponse, error) {
	return nil, errElsewhere
}

// CreateSigner is refused.
func (noKeys) CreateSigner(*kms.CreateSignerRequest) (crypto.Signer, error) { return nil, errElsewhere }

// Close does nothing.
func (noKeys) Close() error { return nil }

// router takes smallstep's routes, and puts our part around those that it leaves to others.
type router struct {
	server *Server
	routes chi.Router
}

// MethodFunc is an api.Router's.
func (r *router) MethodFunc(method, pattern string, h http.HandlerFunc) {
	switch resource := pattern[strings.LastIndexByte(pattern, '/')+1:]; resource {
	case "directory":
		h = r.server.directory
	case "finalize":
		h = r.server.finalizing(h)
	case "revoke-cert":
		h = r.server.revoking(h)
	case "key-change":
		h = r.server.keyChange(h)
	}
	r.routes.MethodFunc(method, pattern, h)
}
