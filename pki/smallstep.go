package pki

import (
	"context"
	"crypto"
	"crypto/x509"
	"errors"
	"fmt"
	"time"

	"github.com/smallstep/certificates/authority"
	"github.com/smallstep/certificates/authority/config"
	"github.com/smallstep/certificates/authority/provisioner"
	"github.com/smallstep/certificates/db"
	"golang.org/x/crypto/ssh"
)

// This file is all that touches smallstep's certificate authority. Its HTTP server, its lists, its renewal and its databases are
// not used: they sign what they should not, list for one issuer only, and accept one-time tokens twice on PostgreSQL.

// storeTimeout bounds what smallstep asks of the database: its interface carries no context.
const storeTimeout = 10 * time.Second

// embedded is smallstep's authority.
type embedded struct{ authority *authority.Authority }

// embed sets smallstep up with our signer and our store.
func embed(root, issuing *x509.Certificate, key crypto.Signer, store *stepStore) (*embedded, error) {
	cfg := &config.Config{
		SkipValidation: true,
		TLS:            &config.DefaultTLSOptions,
		// Template and Backdate are read when the first certificate is signed, and nil is not looked for.
		AuthorityConfig: &config.AuthConfig{Template: &config.ASN1DN{}, Backdate: &provisioner.Duration{}},
	}
	a, err := authority.New(cfg,
		authority.WithX509RootCerts(root),
		authority.WithX509IntermediateCerts(issuing),
		authority.WithX509SignerFunc(func() ([]*x509.Certificate, crypto.Signer, error) {
			return []*x509.Certificate{issuing}, key, nil
		}),
		authority.WithDatabase(store),
		authority.WithQuietInit())
	if err != nil {
		return nil, fmt.Errorf("embedding the authority: %w", err)
	}
	return &embedded{a}, nil
}

// sign has smallstep check the template against the issuer's constraints, sign and store it. The template replaces whatever
// smallstep would have taken over from the request, and its validity: SignOptions.NotAfter is ignored there.
func (e *embedded) sign(ctx context.Context, csr *x509.CertificateRequest, template *x509.Certificate) (*x509.Certificate, error) {
	replace := provisioner.CertificateEnforcerFunc(func(leaf *x509.Certificate) error {
		*leaf = *template
		leaf.PublicKey, leaf.PublicKeyAlgorithm = csr.PublicKey, csr.PublicKeyAlgorithm
		return nil
	})
	chain, err := e.authority.SignWithContext(ctx, csr, provisioner.SignOptions{}, replace)
	if err != nil {
		return nil, err
	}
	if len(chain) == 0 || chain[0].SerialNumber.Cmp(template.SerialNumber) != 0 {
		return nil, errors.New("the signed certificate is not the one that was asked for")
	}
	return chain[0], nil
}

// stepStore is smallstep's db.AuthDB over our tables.
type stepStore struct{ ca *CA }

var _ db.AuthDB = (*stepStore)(nil)

// StoreCertificateChain is called with every certificate right after its signature.
func (s *stepStore) StoreCertificateChain(_ provisioner.Interface, chain ...*x509.Certificate) error {
	ctx, cancel := context.WithTimeout(context.Background(), storeTimeout)
	defer cancel()
	return s.ca.storeSigned(ctx, chain[0])
}

// IsRevoked takes the serial number in decimal, as smallstep writes it.
func (s *stepStore) IsRevoked(serial string) (bool, error) {
	number, err := decimal(serial)
	if err != nil {
		return false, err
	}
	return s.ca.Revoked(number), nil
}

// GetCertificate takes the serial number in decimal.
func (s *stepStore) GetCertificate(serial string) (*x509.Certificate, error) {
	number, err := decimal(serial)
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeout(context.Background(), storeTimeout)
	defer cancel()
	found, err := s.ca.Certificate(ctx, hexSerial(number))
	if err != nil {
		return nil, err
	}
	return x509.ParseCertificate(found.DER)
}

// UseToken accepts a one-time token once, on however many nodes.
func (s *stepStore) UseToken(id, _ string) (bool, error) {
	ctx, cancel := context.WithTimeout(context.Background(), storeTimeout)
	defer cancel()
	result, err := s.ca.cfg.DB.ExecContext(ctx, `INSERT INTO pki_token (id, used) VALUES ($1, $2) ON CONFLICT DO NOTHING`, id, s.ca.cfg.Now().Unix())
	if err != nil {
		return false, fmt.Errorf("using a one-time token: %w", err)
	}
	rows, err := result.RowsAffected()
	return rows == 1, err
}

// errElsewhere answers for what smallstep must not do here.
var errElsewhere = errors.New("not done by the embedded authority")

// Revoke is refused: CA.Revoke is the one way.
func (s *stepStore) Revoke(*db.RevokedCertificateInfo) error { return errElsewhere }

// RevokeSSH is refused: there are no SSH certificates.
func (s *stepStore) RevokeSSH(*db.RevokedCertificateInfo) error { return errElsewhere }

// IsSSHRevoked is refused: there are no SSH certificates.
func (s *stepStore) IsSSHRevoked(string) (bool, error) { return true, errElsewhere }

// IsSSHHost is refused: there are no SSH certificates.
func (s *stepStore) IsSSHHost(string) (bool, error) { return false, errElsewhere }

// GetSSHHostPrincipals is refused: there are no SSH certificates.
func (s *stepStore) GetSSHHostPrincipals() ([]string, error) { return nil, errElsewhere }

// StoreSSHCertificate is refused: there are no SSH certificates.
func (s *stepStore) StoreSSHCertificate(*ssh.Certificate) error { return errElsewhere }

// Shutdown does nothing: the database is its opener's.
func (s *stepStore) Shutdown() error { return nil }
