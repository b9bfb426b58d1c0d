package pki

import (
	"bytes"
	"context"
	"crypto"
	"crypto/x509"
	"errors"
	"fmt"
	"log/slog"
	"math/big"
	"strings"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"

	"trustcore/internal/audit"
	"trustcore/pki/crl"
	"trustcore/pki/ocsp"
	"trustcore/pki/profile"
	"trustcore/pki/tsa"
)

// Times of the authority.
const (
	backdate        = 5 * time.Minute        // notBefore lies so far back: clocks of relying parties differ
	listValidity    = 48 * time.Hour         // of the issuing authority's CRL: the key may be away for a day
	rootValidity    = 180 * 24 * time.Hour   // of the root's CRL, where the CA renews it
	followInterval  = 250 * time.Millisecond // how often revocations of other nodes are looked for
	renewInterval   = time.Second            // how often lists are looked at
	presignInterval = 10 * time.Minute       // how often answers that will be asked for are signed in advance
	presignMost     = 10_000                 // certificates whose answers are signed in advance
)

// CA is an issuing authority with its responder, lists and time-stamping unit. Its methods are safe for concurrent use.
type CA struct {
	cfg       Config
	step      *embedded
	places    profile.Places
	issuer    string // key identifier of the issuing authority, hex
	rootID    string
	status    statusTable
	responder *ocsp.Responder
	stamps    *tsa.Authority // nil without Config.TSA
	journal   journal
	writing   sync.Mutex // held by the one issue that writes: SQLite would make others wait in sleeps, PostgreSQL make them start anew

	lists struct {
		mu            sync.Mutex // held while a list is made
		issuing, root crl.Publication
	}
}

// New checks cfg, brings the schema up to date, records the authorities' own certificates in the inventory, and publishes the
// first lists.
func New(ctx context.Context, cfg Config) (*CA, error) {
	if err := cfg.complete(); err != nil {
		return nil, fmt.Errorf("pki: %w", err)
	}
	ca := &CA{cfg: cfg, places: profile.IssuingPlaces(cfg.BaseURL),
		issuer: keyIdentifier(cfg.Issuing), rootID: keyIdentifier(cfg.Root)}
	ca.journal.db = cfg.DB
	if err := cfg.DB.Migrate(ctx, "pki", schema); err != nil {
		return nil, fmt.Errorf("pki: %w", err)
	}
	var err error
	if ca.step, err = embed(cfg.Root, cfg.Issuing, cfg.IssuingKey, &stepStore{ca}); err != nil {
		return nil, fmt.Errorf("pki: %w", err)
	}
	if ca.responder, err = ocsp.New(ocsp.Config{Issuer: cfg.Issuing, Certificate: cfg.OCSP.Certificate, Key: cfg.OCSP.Key,
		Status: ca.ocspStatus, ArchiveCutoff: cfg.Issuing.NotBefore, Now: cfg.Now, Logger: cfg.Logger}); err != nil {
		return nil, fmt.Errorf("pki: %w", err)
	}
	if err := ca.openStamps(); err != nil {
		return nil, fmt.Errorf("pki: %w", err)
	}
	for _, step := range []func(context.Context) error{ca.recordOwn, ca.loadStatus, ca.publishRoot, ca.renewLists} {
		if err := step(ctx); err != nil {
			return nil, fmt.Errorf("pki: %w", err)
		}
	}
	return ca, nil
}

// complete fills in what is optional and refuses what is missing or does not fit together.
func (c *Config) complete() error {
	switch {
	case c.DB == nil:
		return errors.New("DB is missing")
	case c.Audit == nil:
		return errors.New("audit log is missing")
	case c.Root == nil || c.Issuing == nil:
		return errors.New("certificate of root or issuing authority is missing")
	case c.IssuingKey == nil:
		return errors.New("key of the issuing authority is missing")
	case c.OCSP.Certificate == nil || c.OCSP.Key == nil:
		return errors.New("delegate of the OCSP responder is missing")
	case (c.TSA.Certificate == nil) != (c.TSA.Key == nil):
		return errors.New("the time-stamping unit has no key or no certificate")
	case c.BaseURL == "" || strings.HasSuffix(c.BaseURL, "/"):
		return errors.New("BaseURL is missing or ends with a slash")
	case c.RootKey == nil && len(c.RootCRL) == 0:
		return errors.New("neither the root's CRL nor its key is there")
	}
	if c.Now == nil {
		c.Now = time.Now
	}
	if c.TSAClock == nil {
		c.TSAClock = func() (time.Time, error) { return c.Now(), nil }
	}
	if c.TSAPolicy == "" {
		c.TSAPolicy = DefaultTSAPolicy
	}
	if c.Logger == nil {
		c.Logger = slog.Default()
	}
	return c.fits()
}

// fits checks that certificates and keys belong together.
func (c *Config) fits() error {
	if err := c.Root.CheckSignatureFrom(c.Root); err != nil {
		return fmt.Errorf("the root's certificate: %w", err)
	}
	if err := c.Issuing.CheckSignatureFrom(c.Root); err != nil {
		return fmt.Errorf("the issuing authority's certificate is not from the root: %w", err)
	}
	if len(c.Issuing.SubjectKeyId) == 0 || len(c.Root.SubjectKeyId) == 0 {
		return errors.New("an authority's certificate has no subject key identifier")
	}
	if bytes.Equal(c.Issuing.SubjectKeyId, c.Root.SubjectKeyId) {
		return errors.New("root and issuing authority are one key")
	}
	if err := sameKey(c.IssuingKey, c.Issuing); err != nil {
		return fmt.Errorf("issuing authority: %w", err)
	}
	if c.RootKey != nil {
		if err := sameKey(c.RootKey, c.Root); err != nil {
			return fmt.Errorf("root: %w", err)
		}
	}
	return nil
}

func sameKey(key crypto.Signer, certificate *x509.Certificate) error {
	public, ok := key.Public().(interface{ Equal(crypto.PublicKey) bool })
	if !ok || !public.Equal(certificate.PublicKey) {
		return errors.New("the key is not the certificate's")
	}
	return nil
}

func keyIdentifier(certificate *x509.Certificate) string {
	return fmt.Sprintf("%x", certificate.SubjectKeyId)
}

// Run renews lists and answers at half of their life, and follows what other nodes revoke, until ctx ends. What fails is logged
// and tried again: lists and answers that are there serve on.
func (ca *CA) Run(ctx context.Context) error {
	group, ctx := errgroup.WithContext(ctx)
	for _, job := range []struct {
		name  string
		every time.Duration
		do    func(context.Context) error
	}{
		{"following revocations", followInterval, ca.follow},
		{"renewing lists", renewInterval, ca.renewLists},
		{"signing answers in advance", presignInterval, ca.presign},
	} {
		group.Go(func() error {
			ticker := time.NewTicker(job.every)
			defer ticker.Stop()
			for {
				if err := job.do(ctx); err != nil && ctx.Err() == nil {
					ca.cfg.Logger.Error(job.name+" failed", "error", err)
				}
				select {
				case <-ctx.Done():
					return nil
				case <-ticker.C:
				}
			}
		})
	}
	return group.Wait()
}

// recordOwn puts the certificates of the ceremony into the inventory.
func (ca *CA) recordOwn(ctx context.Context) error {
	own := []struct {
		issuer      string
		kind        Profile
		certificate *x509.Certificate
	}{
		{ca.rootID, profile.Root, ca.cfg.Root},
		{ca.rootID, profile.Issuing, ca.cfg.Issuing},
		{ca.issuer, OCSPResponder, ca.cfg.OCSP.Certificate},
		{ca.issuer, TimeStamping, ca.cfg.TSA.Certificate},
	}
	for _, o := range own {
		if o.certificate == nil {
			continue
		}
		row := row{issuer: o.issuer, kind: o.kind, subject: Subject{CommonName: o.certificate.Subject.CommonName},
			actor: audit.Actor{Kind: "officer", ID: "ceremony"}, template: o.certificate, spki: o.certificate.RawSubjectPublicKeyInfo}
		if err := ca.insert(ctx, ca.cfg.DB, row, o.certificate.Raw); err != nil {
			return fmt.Errorf("recording the certificate of %s: %w", o.kind, err)
		}
	}
	return nil
}

// presign signs answers for the certificates of this authority that are valid now.
func (ca *CA) presign(ctx context.Context) error {
	valid, err := ca.Certificates(ctx, Filter{State: Valid, Limit: presignMost})
	if err != nil {
		return err
	}
	var serials []*big.Int
	for _, c := range valid {
		if number, err := parseSerial(c.Serial); err == nil && c.Profile != profile.Root && c.Profile != profile.Issuing && c.Profile != OCSPResponder {
			serials = append(serials, number)
		}
	}
	return ca.responder.Presign(ctx, serials)
}
