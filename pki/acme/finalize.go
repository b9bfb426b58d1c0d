package acme

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"crypto/x509"
	"database/sql"
	"encoding/hex"
	"errors"
	"fmt"
	"math/big"
	"net"
	"net/http"
	"net/netip"
	"slices"
	"strings"
	"time"

	step "github.com/smallstep/certificates/acme"

	"trustcore/internal/audit"
	"trustcore/pki"
)

// Times of a finalization.
const (
	maxSigning = time.Minute               // how long a signature may take
	maxClaim   = 2 * maxSigning            // after which a claim is that of a process that is dead
	maxWait    = 15 * time.Second          // how long another request waits for a signature under way
	lookEvery  = 50 * time.Millisecond     // how often it looks
	processing = step.Status("processing") // of an order that is claimed
)

// finalizing lets smallstep's handler come to a certificate: its checks first, then our claim, then pki.CA.
func (s *Server) finalizing(h http.HandlerFunc) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		own := sessionOf(r)
		h(w, r.WithContext(context.WithValue(r.Context(), signerKey{}, own)))
		s.signing.Delete(own.csr)
		if own.claim != "" {
			own.giveBack(r.Context())
		}
	}
}

// claimOrder takes the order that is ready to itself: of all who finalize it at once, on however many nodes, one goes on to sign.
func (s *session) claimOrder(ctx context.Context, csr *x509.CertificateRequest) error {
	if s.order == nil || s.rule == nil {
		return errors.New("a finalization without its order")
	}
	own, err := s.isAccountKey(ctx, csr.PublicKey)
	if err != nil {
		return err
	}
	if own {
		return &pki.RequestError{Field: "public key", Problem: "it is an account's", Remedy: "make a key for the certificate alone"}
	}
	for _, id := range s.order.Identifiers { // the order may have changed since
		if !s.rule.allows(string(id.Type), id.Value) {
			return refuse(step.ErrorUnauthorizedType, http.StatusForbidden, "%.253q is not a name of the office's order %s any more", id.Value, s.rule.Order)
		}
	}
	key, err := keyDigest(csr.PublicKey)
	if err != nil {
		return err
	}
	claim := rand.Text()
	result, err := s.cfg.DB.ExecContext(ctx, `UPDATE acme_order SET status = 'processing', claim = $1, claimant = $2, claimed = $3, public_key = $4
		WHERE id = $5 AND status = 'ready'`, claim, s.cfg.Leases.Holder(), s.cfg.Now().Unix(), key, s.order.ID)
	if err != nil {
		return err
	}
	if count, err := result.RowsAffected(); err != nil || count != 1 {
		return errors.Join(refuse(step.ErrorOrderNotReadyType, http.StatusForbidden, "the order is being finalized by another request"), err)
	}
	s.claim, s.csr = claim, csr
	s.signing.Store(csr, s)
	return nil
}

// giveBack makes an order that was claimed, and for which nothing was signed, ready again.
func (s *session) giveBack(ctx context.Context) {
	_, err := s.cfg.DB.ExecContext(context.WithoutCancel(ctx), `UPDATE acme_order SET status = 'ready', claim = ''
		WHERE id = $1 AND claim = $2 AND status = 'processing'`, s.order.ID, s.claim)
	if err != nil {
		s.cfg.Logger.Error("an order that was not signed for stays claimed for a while", "error", err, "acme_order", s.order.ID)
	}
}

// issue has the order's certificate made. It goes on when the client has left: what is signed is recorded.
func (s *session) issue(csr *x509.CertificateRequest) (*x509.Certificate, error) {
	subject := pki.Subject{Partner: s.partner, NotAfter: s.rule.NotAfter}
	for _, id := range s.order.Identifiers {
		if string(id.Type) == kindIP {
			subject.IPs = append(subject.IPs, net.ParseIP(id.Value))
			continue
		}
		subject.DNS = append(subject.DNS, id.Value)
	}
	if err := s.sameNames(csr); err != nil {
		return nil, err
	}
	subject.CommonName = commonName(csr, s.order.Identifiers, s.partner)
	ctx, cancel := context.WithTimeout(context.Background(), maxSigning)
	defer cancel()
	return s.cfg.CA.IssueAnew(ctx, s.actor(), s.rule.Profile, csr, subject, s.rule.Order)
}

// sameNames refuses a request whose names are not exactly the order's (RFC 8555 7.4).
func (s *session) sameNames(csr *x509.CertificateRequest) error {
	asked := map[string]bool{}
	for _, name := range csr.DNSNames {
		asked[strings.ToLower(name)] = true
	}
	for _, ip := range csr.IPAddresses {
		if a, ok := netip.AddrFromSlice(ip); ok {
			asked[a.Unmap().String()] = true
		}
	}
	if name := strings.ToLower(csr.Subject.CommonName); name != "" {
		asked[name] = true
	}
	for _, id := range s.order.Identifiers {
		if !asked[id.Value] {
			return &pki.RequestError{Field: "names", Problem: fmt.Sprintf("%q of the order is missing", id.Value), Remedy: "ask for all of the order"}
		}
		delete(asked, id.Value)
	}
	for name := range asked {
		return &pki.RequestError{Field: "names", Problem: fmt.Sprintf("%.253q is not in the order", name), Remedy: "ask for what is in the order"}
	}
	return nil
}

// longestCommonName is RFC 5280's upper bound.
const longestCommonName = 64

// commonName is the request's, else the first of the order's names that fits, else the partner's.
func commonName(csr *x509.CertificateRequest, of []step.Identifier, partner string) string {
	if csr.Subject.CommonName != "" {
		return csr.Subject.CommonName
	}
	for _, id := range of {
		if len(id.Value) <= longestCommonName {
			return id.Value
		}
	}
	return partner
}

// CreateCertificate ends the claim: the order is valid, and has this certificate. A certificate that comes when the claim is
// another's counts for nothing.
func (s *session) CreateCertificate(ctx context.Context, c *step.Certificate) error {
	ctx = context.WithoutCancel(ctx)
	c.ID = hexSerial(c.Leaf.SerialNumber)
	result, err := s.cfg.DB.ExecContext(ctx, `UPDATE acme_order SET status = 'valid', certificate = $1, ends = $2, claim = ''
		WHERE id = $3 AND claim = $4 AND status = 'processing'`, c.ID, c.Leaf.NotAfter.Add(keepIssued).Unix(), c.OrderID, s.claim)
	s.claim = ""
	if err != nil {
		return err // whoever asks next finds the certificate in the inventory
	}
	if count, err := result.RowsAffected(); err == nil && count != 1 {
		_, err = s.cfg.CA.Revoke(ctx, audit.Actor{Kind: "daemon", ID: "acme"}, pki.Selector{Serial: c.ID}, pki.Superseded, s.rule.Order)
		return errors.Join(errors.New("the signature came after another request had taken the order over"), err)
	}
	return nil
}

// settled reads an order when nobody signs for it: it waits for a signature under way, and takes over from who is dead.
func (s *session) settled(ctx context.Context, id string) (*orderRow, error) {
	deadline := time.Now().Add(maxWait)
	for {
		o, err := s.readOrder(ctx, id)
		if err != nil || o.Status != processing {
			return o, err
		}
		dead, err := s.isDead(ctx, o)
		if err != nil {
			return nil, err
		}
		if dead {
			if err := s.takeOver(ctx, o); err != nil {
				return nil, err
			}
			continue
		}
		if time.Now().After(deadline) {
			s.after = 2
			return nil, refuse(step.ErrorOrderNotReadyType, http.StatusForbidden, "the order is being finalized: ask again in a moment")
		}
		select {
		case <-ctx.Done():
			return nil, ctx.Err()
		case <-time.After(lookEvery):
		}
	}
}

// isDead reports whether who claimed an order will not sign for it any more.
func (s *Server) isDead(ctx context.Context, o *orderRow) (dead bool, err error) {
	if s.cfg.Now().Sub(time.Unix(o.claimed, 0)) > maxClaim {
		return true, nil
	}
	if s.cfg.Leases == nil || o.claimant == "" || o.claimant == s.cfg.Leases.Holder() {
		return false, nil
	}
	err = s.cfg.DB.InTx(ctx, func(tx *sql.Tx) error {
		lives, err := s.cfg.Leases.Lives(ctx, tx, o.claimant)
		dead = !lives
		return err
	})
	return dead, err
}

// takeOver ends the claim of a process that is dead: with the certificate that it had made, or without one.
func (s *session) takeOver(ctx context.Context, o *orderRow) error {
	made, err := s.unclaimed(ctx, o)
	if err != nil {
		return err
	}
	if made == nil {
		_, err = s.cfg.DB.ExecContext(ctx, `UPDATE acme_order SET status = 'ready', claim = '' WHERE id = $1 AND claim = $2`, o.ID, o.claim)
		return err
	}
	_, err = s.cfg.DB.ExecContext(ctx, `UPDATE acme_order SET status = 'valid', certificate = $1, ends = $2, claim = '' WHERE id = $3 AND claim = $4`,
		made.Serial, made.NotAfter.Add(keepIssued).Unix(), o.ID, o.claim)
	return err
}

// unclaimed finds the certificate that was issued for an order and is none's yet: of its key and its names.
func (s *session) unclaimed(ctx context.Context, o *orderRow) (*pki.Certificate, error) {
	found, err := s.cfg.CA.Certificates(ctx, pki.Filter{PublicKey: o.publicKey, Partner: s.partner, State: pki.Valid})
	if err != nil {
		return nil, err
	}
	var names []string
	for _, id := range o.Identifiers {
		names = append(names, id.Value)
	}
	slices.Sort(names)
	for _, c := range found {
		slices.Sort(c.Names)
		if !slices.Equal(names, c.Names) {
			continue
		}
		var taken int
		if err := s.cfg.DB.QueryRowContext(ctx, `SELECT COUNT(*) FROM acme_order WHERE certificate = $1`, c.Serial).Scan(&taken); err != nil {
			return nil, err
		}
		if taken == 0 {
			return &c, nil
		}
	}
	return nil, nil
}

// GetCertificate reads a certificate that an order has.
func (s *session) GetCertificate(ctx context.Context, serial string) (*step.Certificate, error) {
	c := &step.Certificate{ID: serial}
	err := s.cfg.DB.QueryRowContext(ctx, `SELECT id, account FROM acme_order WHERE certificate = $1`, serial).Scan(&c.OrderID, &c.AccountID)
	if errors.Is(err, sql.ErrNoRows) || serial == "" {
		return nil, notFound("certificate")
	}
	if err != nil {
		return nil, fmt.Errorf("reading a certificate: %w", err)
	}
	found, err := s.cfg.CA.Certificate(ctx, serial)
	if err != nil {
		return nil, err
	}
	if c.Leaf, err = x509.ParseCertificate(found.DER); err != nil {
		return nil, err
	}
	c.Intermediates = s.above(c.Leaf)
	return c, nil
}

// GetCertificateBySerial takes the serial number in decimal, as smallstep writes it.
func (s *session) GetCertificateBySerial(ctx context.Context, serial string) (*step.Certificate, error) {
	number, err := decimal(serial)
	if err != nil {
		return nil, notFound("certificate")
	}
	return s.GetCertificate(ctx, hexSerial(number))
}

func decimal(serial string) (*big.Int, error) {
	number, ok := new(big.Int).SetString(serial, 10)
	if !ok || number.Sign() <= 0 {
		return nil, fmt.Errorf("%.64q is no serial number", serial)
	}
	return number, nil
}

// hexSerial is the inventory's name of a serial number.
func hexSerial(number *big.Int) string { return number.Text(16) }

// keyDigest names a public key as the inventory does.
func keyDigest(public any) (string, error) {
	der, err := x509.MarshalPKIXPublicKey(public)
	if err != nil {
		return "", fmt.Errorf("public key: %w", err)
	}
	sum := sha256.Sum256(der)
	return hex.EncodeToString(sum[:]), nil
}
