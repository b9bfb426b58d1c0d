// Package gather collects the evidence that a seal of level B-LT carries: the issuers of certificates up to an
// anchor, and for each certificate below it an OCSP response (RFC 6960) or a revocation list (RFC 5280, 5) that says
// it is good. It asks the addresses in the certificates, or the responder of a configured address first, and takes
// nothing that a verifier would not.
package gather

import (
	"bytes"
	"context"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"slices"
	"time"

	"trustcore/hsm/seal"
	"trustcore/internal/fetch"
)

// Limits. Real chains have two to four certificates, and a time-stamping unit's and a responder's beside them.
const (
	maxCertificates = 32
	maxAddresses    = 4 // asked for one certificate, of each kind
)

// Config says where evidence comes from. Anchors and Strangers are required.
type Config struct {
	// Anchors are where chains end. Nothing is asked about them, and they do not come into the seal: a verifier has
	// his own.
	Anchors []*x509.Certificate
	// Known are further CA certificates, which need not be asked for.
	Known []*x509.Certificate
	// Strangers asks the addresses that stand in certificates: fetch.New, behind the wall.
	Strangers *fetch.Client
	// Responder is the address of an OCSP responder that is asked first, for every certificate, "" for none; Core is
	// the client for it: fetch.Configured with that address.
	Responder string
	Core      *fetch.Client
	Now       func() time.Time // nil is time.Now
}

// Gatherer collects evidence. It is safe for concurrent use.
type Gatherer struct{ cfg Config }

// New checks the configuration.
func New(cfg Config) (*Gatherer, error) {
	switch {
	case len(cfg.Anchors) == 0:
		return nil, errors.New("gathering evidence: Anchors are missing: nobody could tell where a chain ends")
	case cfg.Strangers == nil:
		return nil, errors.New("gathering evidence: Strangers is missing: the client for addresses in certificates")
	case cfg.Responder != "" && cfg.Core == nil:
		return nil, errors.New("gathering evidence: Core is missing: the client for the address of Responder")
	}
	if cfg.Now == nil {
		cfg.Now = time.Now
	}
	return &Gatherer{cfg}, nil
}

// ErrRevoked tells that a certificate was revoked: no seal of it is made or extended.
var ErrRevoked = errors.New("the certificate is revoked")

// Collect is a seal.Collect.
func (g *Gatherer) Collect(ctx context.Context, certificates, known [][]byte) (seal.Evidence, error) {
	r := &round{Gatherer: g, ctx: ctx, now: g.cfg.Now(), pool: slices.Concat(g.cfg.Anchors, g.cfg.Known)}
	for _, der := range known {
		if c, err := x509.ParseCertificate(der); err == nil {
			r.pool = append(r.pool, c)
		}
	}
	for _, der := range certificates {
		c, err := x509.ParseCertificate(der)
		if err != nil {
			return seal.Evidence{}, fmt.Errorf("a certificate that evidence is wanted about: %w", err)
		}
		r.queue = append(r.queue, c)
	}
	for len(r.queue) > 0 {
		c := r.queue[0]
		r.queue = r.queue[1:]
		if err := r.about(c); err != nil {
			return seal.Evidence{}, fmt.Errorf("%s: %w", named(c), err)
		}
	}
	return r.found, nil
}

func named(c *x509.Certificate) string {
	return fmt.Sprintf("certificate %x of %q", c.SerialNumber, c.Subject.String())
}

// round is one collection.
type round struct {
	*Gatherer
	ctx   context.Context // of Collect, which it does not outlive
	now   time.Time
	pool  []*x509.Certificate // that may be issuers
	queue []*x509.Certificate // that evidence is wanted about
	done  []*x509.Certificate
	found seal.Evidence
	lists map[string][]byte // by address, asked for in this round
}

// about finds the issuer of a certificate and what tells of its status.
func (r *round) about(c *x509.Certificate) error {
	if r.isAnchor(c) || holds(r.done, c) {
		return nil
	}
	if r.done = append(r.done, c); len(r.done) > maxCertificates {
		return fmt.Errorf("evidence about more than %d certificates is not gathered", maxCertificates)
	}
	if r.now.Before(c.NotBefore) || r.now.After(c.NotAfter) {
		return fmt.Errorf("it is valid from %s to %s, not now", c.NotBefore.UTC().Format(time.RFC3339),
			c.NotAfter.UTC().Format(time.RFC3339))
	}
	if bytes.Equal(c.RawSubject, c.RawIssuer) && c.CheckSignatureFrom(c) == nil {
		return errors.New("it is self-signed and none of the anchors: the chain leads to nobody who is trusted")
	}
	issuer, err := r.issuerOf(c)
	if err != nil {
		return err
	}
	if !r.isAnchor(issuer) {
		r.found.Certificates = appendOnce(r.found.Certificates, issuer.Raw)
		r.queue = append(r.queue, issuer)
	}
	if hasNoCheck(c) {
		return nil // RFC 6960, 4.2.2.2.1: its issuer says that nobody need ask
	}
	return r.status(c, issuer)
}

// status asks the configured responder, those of the certificate, and for its lists, until one answers.
func (r *round) status(c, issuer *x509.Certificate) error {
	var failed []error
	try := func(err error) bool {
		if err != nil {
			failed = append(failed, err)
		}
		return err == nil || errors.Is(err, ErrRevoked)
	}
	if r.cfg.Responder != "" && try(r.ocsp(r.cfg.Core, r.cfg.Responder, c, issuer)) {
		return last(failed)
	}
	for _, address := range c.OCSPServer[:min(len(c.OCSPServer), maxAddresses)] {
		if address != r.cfg.Responder && try(r.ocsp(r.cfg.Strangers, address, c, issuer)) {
			return last(failed)
		}
	}
	for _, address := range c.CRLDistributionPoints[:min(len(c.CRLDistributionPoints), maxAddresses)] {
		if try(r.list(address, c, issuer)) {
			return last(failed)
		}
	}
	if len(failed) == 0 {
		return errors.New("it names no responder and no revocation list, and no Responder is configured")
	}
	return fmt.Errorf("nobody tells whether it is good: %w", errors.Join(failed...))
}

// last is the revocation among failures, nil where the last one asked said that all is well.
func last(failed []error) error {
	for _, err := range failed {
		if errors.Is(err, ErrRevoked) {
			return err
		}
	}
	return nil
}

// issuerOf finds who signed a certificate: among those at hand, else at the address in it (RFC 5280, 4.2.2.1).
func (r *round) issuerOf(c *x509.Certificate) (*x509.Certificate, error) {
	for _, candidate := range r.pool {
		if issued(candidate, c) {
			return candidate, nil
		}
	}
	var failed []error
	for _, address := range c.IssuingCertificateURL[:min(len(c.IssuingCertificateURL), maxAddresses)] {
		body, err := r.cfg.Strangers.Get(r.ctx, address)
		if err != nil {
			failed = append(failed, err)
			continue
		}
		if block, _ := pem.Decode(body); block != nil {
			body = block.Bytes
		}
		candidate, err := x509.ParseCertificate(body)
		if err == nil && !issued(candidate, c) {
			err = errors.New("it is not the issuer's certificate")
		}
		if err != nil {
			failed = append(failed, fmt.Errorf("%s: %w", address, err))
			continue
		}
		r.pool = append(r.pool, candidate)
		return candidate, nil
	}
	return nil, fmt.Errorf("the certificate of its issuer %q is not at hand: %w", c.Issuer.String(),
		errors.Join(append(failed, errors.New("give it among Known"))...))
}

// issued tells whether a CA's certificate is the issuer's of another.
func issued(ca, c *x509.Certificate) bool {
	return bytes.Equal(ca.RawSubject, c.RawIssuer) && c.CheckSignatureFrom(ca) == nil
}

func (r *round) isAnchor(c *x509.Certificate) bool { return holds(r.cfg.Anchors, c) }

func holds(list []*x509.Certificate, c *x509.Certificate) bool {
	return slices.ContainsFunc(list, c.Equal)
}

func appendOnce(list [][]byte, der []byte) [][]byte {
	if slices.ContainsFunc(list, func(other []byte) bool { return bytes.Equal(other, der) }) {
		return list
	}
	return append(list, der)
}
