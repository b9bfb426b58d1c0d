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
	"trustcore/pki/clock"
	"trustcore/pki/crl"
	"trustcore/pki/ocsp"
	"trustcore/pki/profile"
	"trustcore/pki/tsa"
)

// Times of the authority.
const (
	backdate        = 5 * time.Minute        // notBefore lies so far back: clocks of relying parties differ
	skew            = 10 * time.Second       // what lies further in the future was made by a clock that was wrong
	listValidity    = 48 * time.Hour         // of the issuing authority's CRL: the key may be away for a day
	rootValidity    = 180 * 24 * time.Hour   // of the root's CRL, where the CA renews it
	followInterval  = 250 * time.Millisecond // how often revocations of other nodes are looked for
	renewInterval   = time.Second            // how often lists, delegates and the clock are looked at: timers do not move with the clock
	saveInterval    = 5 * time.Second        // how often answers that were signed are stored
	presignInterval = 10 * time.Minute       // how often answers that will be asked for are signed in advance
	listWait        = 2 * time.Second        // how long a revocation waits for its list: it counts without
	presignMost     = 10_000                 // certificates whose answers are signed in advance
)

// CA is the authority: its issuers with their responders and lists, and the time-stamping unit. Its methods are safe for concurrent
// use.
type CA struct {
	cfg     Config
	rootID  string    // key identifier of the root, hex
	issuers []*issuer // the last one issues
	stamps  *tsa.Authority
	clock   *clock.Guard
	status  statusTable
	journal journal
	answers answers
	turns   turns
	failing failing
	writing sync.Mutex // held by the one issue that writes: SQLite would make others wait in sleeps, PostgreSQL make them start anew

	rootList crl.Publication
	listing  sync.Mutex // held while lists are made
	units    []*unit    // as New made them
	renewing sync.Mutex // held while units are renewed
}

// issuer is an authority that issues, or did.
type issuer struct {
	id          string // key identifier, hex
	name        string // in URLs
	certificate *x509.Certificate
	key         crypto.Signer
	places      profile.Places
	responder   *ocsp.Responder
	list        crl.Publication
}

// active is the authority that issues.
func (ca *CA) active() *issuer { return ca.issuers[len(ca.issuers)-1] }

// issuerOf finds an authority by its key identifier, nil when there is none.
func (ca *CA) issuerOf(id string) *issuer {
	for _, i := range ca.issuers {
		if i.id == id {
			return i
		}
	}
	return nil
}

// Above returns the certificate of the issuing authority that signed a certificate of the inventory, nil when none of them did.
func (ca *CA) Above(c *x509.Certificate) *x509.Certificate {
	if by := ca.issuerOf(fmt.Sprintf("%x", c.AuthorityKeyId)); by != nil {
		return by.certificate
	}
	return nil
}

// New checks cfg, brings the schema up to date, records the authorities' own certificates in the inventory, and publishes the
// lists. Keys need not be able to sign at this moment: what was signed before is served, the rest is made by Run.
func New(ctx context.Context, cfg Config) (*CA, error) {
	if err := cfg.complete(); err != nil {
		return nil, fmt.Errorf("pki: %w", err)
	}
	ca := &CA{cfg: cfg, rootID: keyIdentifier(cfg.Root), turns: newTurns()}
	ca.journal.db = cfg.DB
	if err := cfg.DB.Migrate(ctx, "pki", schema); err != nil {
		return nil, fmt.Errorf("pki: %w", err)
	}
	for _, i := range append(cfg.Earlier[:len(cfg.Earlier):len(cfg.Earlier)],
		Issuer{Name: cfg.IssuingName, Certificate: cfg.Issuing, Key: cfg.IssuingKey, OCSP: cfg.OCSP}) {
		if err := ca.addIssuer(i); err != nil {
			return nil, fmt.Errorf("pki: %w", err)
		}
	}
	for _, step := range []func(context.Context) error{
		ca.openUnits, ca.recordOwn, ca.loadStatus, ca.loadAnswers, ca.publishRoot, ca.publishLists,
	} {
		if err := step(ctx); err != nil {
			return nil, fmt.Errorf("pki: %w", err)
		}
	}
	ca.listSoon(ctx)
	return ca, nil
}

func (ca *CA) addIssuer(i Issuer) error {
	added := &issuer{id: keyIdentifier(i.Certificate), name: i.Name, certificate: i.Certificate, key: i.Key}
	if added.name == "" {
		added.name = profile.FirstIssuing
	}
	for _, other := range ca.issuers {
		if other.id == added.id || other.name == added.name {
			return fmt.Errorf("two issuing authorities have one key or the name %q", added.name)
		}
	}
	added.places = profile.PlacesOf(ca.cfg.BaseURL, added.name)
	ca.issuers = append(ca.issuers, added)
	return nil
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
	case !c.OCSP.complete(c.OpenKey != nil):
		return errors.New("delegate of the OCSP responder is missing")
	case c.TSA != Delegate{} && !c.TSA.complete(c.OpenKey != nil):
		return errors.New("the time-stamping unit has no key or no certificate")
	case c.BaseURL == "" || strings.HasSuffix(c.BaseURL, "/"):
		return errors.New("BaseURL is missing or ends with a slash")
	case c.RootKey == nil && len(c.RootCRL) == 0:
		return errors.New("neither the root's CRL nor its key is there")
	case (c.NewKey == nil) != (c.OpenKey == nil) || (c.NewKey == nil) != (c.RetireKey == nil):
		return errors.New("NewKey, OpenKey and RetireKey come together")
	}
	if c.Now == nil {
		c.Now = time.Now
	}
	if c.TSAPolicy == "" {
		c.TSAPolicy = DefaultTSAPolicy
	}
	if c.Logger == nil {
		c.Logger = slog.Default()
	}
	return c.fits()
}

func (d Delegate) complete(canOpen bool) bool {
	return d.Certificate != nil && (d.Key != nil || d.KeyID != "" && canOpen)
}

// fits checks that certificates and keys belong together.
func (c *Config) fits() error {
	if err := c.Root.CheckSignatureFrom(c.Root); err != nil {
		return fmt.Errorf("the root's certificate: %w", err)
	}
	if c.RootKey != nil {
		if err := sameKey(c.RootKey, c.Root); err != nil {
			return fmt.Errorf("root: %w", err)
		}
	}
	for _, i := range append(c.Earlier[:len(c.Earlier):len(c.Earlier)], Issuer{Certificate: c.Issuing, Key: c.IssuingKey, OCSP: c.OCSP}) {
		if i.Certificate == nil || i.Key == nil || !i.OCSP.complete(c.OpenKey != nil) {
			return errors.New("an earlier issuing authority is incomplete")
		}
		if err := i.Certificate.CheckSignatureFrom(c.Root); err != nil {
			return fmt.Errorf("the issuing authority's certificate is not from the root: %w", err)
		}
		if len(i.Certificate.SubjectKeyId) == 0 || len(c.Root.SubjectKeyId) == 0 {
			return errors.New("an authority's certificate has no subject key identifier")
		}
		if bytes.Equal(i.Certificate.SubjectKeyId, c.Root.SubjectKeyId) {
			return errors.New("root and issuing authority are one key")
		}
		if err := sameKey(i.Key, i.Certificate); err != nil {
			return fmt.Errorf("issuing authority: %w", err)
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

// Run renews lists, answers, delegates and the time-stamping unit, watches the clock, and follows what other nodes do, until ctx
// ends. What fails is logged and tried again: what is there serves on.
func (ca *CA) Run(ctx context.Context) error {
	group, ctx := errgroup.WithContext(ctx)
	for _, job := range []struct {
		name  string
		every time.Duration
		do    func(context.Context) error
	}{
		{"following revocations", followInterval, ca.follow},
		{"renewing lists", renewInterval, ca.renewLists},
		{"renewing delegates", renewInterval, ca.renewUnits},
		{"watching the clock", renewInterval, ca.watchClock},
		{"storing answers", saveInterval, ca.saveAnswers},
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
					// Answers that were signed since the last time are of use after a restart.
					return nil
				case <-ticker.C:
				}
			}
		})
	}
	return errors.Join(group.Wait(), ca.saveAnswers(context.WithoutCancel(ctx)))
}

// recordOwn puts the certificates of the ceremony into the inventory.
func (ca *CA) recordOwn(ctx context.Context) error {
	type own struct {
		issuer      string
		kind        Profile
		certificate *x509.Certificate
	}
	all := []own{{ca.rootID, profile.Root, ca.cfg.Root}, {ca.active().id, TimeStamping, ca.cfg.TSA.Certificate}}
	for _, i := range ca.issuers {
		all = append(all, own{ca.rootID, profile.Issuing, i.certificate})
	}
	all = append(all, own{ca.active().id, OCSPResponder, ca.cfg.OCSP.Certificate})
	for n, earlier := range ca.cfg.Earlier {
		all = append(all, own{ca.issuers[n].id, OCSPResponder, earlier.OCSP.Certificate})
	}
	for _, o := range all {
		if o.certificate == nil {
			continue
		}
		if o.kind == TimeStamping { // may come from an earlier one
			o.issuer = fmt.Sprintf("%x", o.certificate.AuthorityKeyId)
		}
		row := row{issuer: o.issuer, kind: o.kind, subject: Subject{CommonName: o.certificate.Subject.CommonName},
			actor: audit.Actor{Kind: "officer", ID: "ceremony"}, template: o.certificate, key: digestHex(o.certificate.RawSubjectPublicKeyInfo)}
		err := ca.insert(ctx, ca.cfg.DB, row, o.certificate.Raw)
		if err == nil {
			err = claimKey(ctx, ca.cfg.DB, row, ca.cfg.Now())
		}
		if err != nil {
			return fmt.Errorf("recording the certificate of %s: %w", o.kind, err)
		}
	}
	return nil
}

// presign signs answers for the certificates that are valid now.
func (ca *CA) presign(ctx context.Context) error {
	valid, err := ca.Certificates(ctx, Filter{State: Valid, Limit: presignMost})
	if err != nil {
		return err
	}
	serials := map[*issuer][]*big.Int{}
	for _, c := range valid {
		number, err := parseSerial(c.Serial)
		by := ca.status.issuerOf(number)
		if err == nil && by != nil && c.Profile != OCSPResponder {
			serials[by] = append(serials[by], number)
		}
	}
	for by, numbers := range serials {
		if err := by.responder.Presign(ctx, numbers); err != nil {
			return err
		}
	}
	return nil
}
