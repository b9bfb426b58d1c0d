package pki

import (
	"context"
	"crypto"
	"crypto/x509"
	"errors"
	"fmt"
	"log/slog"
	"math/big"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/sync/errgroup"

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
	roots   []*root   // in the order of Config
	issuers []*issuer // in the order of Config
	states  atomic.Pointer[standings]
	stamps  *tsa.Authority
	clock   *clock.Guard
	status  statusTable
	journal journal
	answers answers
	turns   turns
	failing failing
	writing sync.Mutex // held by the one issue that writes: SQLite would make others wait in sleeps, PostgreSQL make them start anew

	listing  sync.Mutex // held while lists are made
	units    []*unit    // as New made them
	renewing sync.Mutex // held while units are renewed
}

// root is an authority above those that issue.
type root struct {
	id          string // key identifier, hex
	name        string // in URLs
	certificate *x509.Certificate
	crosses     []*x509.Certificate // for the same name and key, by other roots
	key         crypto.Signer       // nil while it is offline
	list        crl.Publication
}

// issuer is an authority that issues, did or will.
type issuer struct {
	id          string // key identifier, hex
	name        string // in URLs
	certificate *x509.Certificate
	crosses     []*x509.Certificate // for the same name and key, by other roots
	key         crypto.Signer
	places      profile.Places
	responder   *ocsp.Responder
	list        crl.Publication
}

// certificates are those of the authority by all roots that certified it, its first one first.
func (i *issuer) certificates() []*x509.Certificate {
	return append([]*x509.Certificate{i.certificate}, i.crosses...)
}

// rootOf finds a root by its key identifier, nil when there is none.
func (ca *CA) rootOf(id string) *root {
	for _, r := range ca.roots {
		if r.id == id {
			return r
		}
	}
	return nil
}

// issuerOf finds an authority by its key identifier, nil when there is none.
func (ca *CA) issuerOf(id string) *issuer {
	for _, i := range ca.issuers {
		if i.id == id {
			return i
		}
	}
	return nil
}

// New checks cfg, brings the schema up to date, records the authorities' own certificates in the inventory, and publishes the
// lists. Keys need not be able to sign at this moment: what was signed before is served, the rest is made by Run.
func New(ctx context.Context, cfg Config) (*CA, error) {
	if err := cfg.complete(); err != nil {
		return nil, fmt.Errorf("pki: %w", err)
	}
	ca := &CA{cfg: cfg, turns: newTurns()}
	ca.journal.db = cfg.DB
	if err := cfg.DB.Migrate(ctx, "pki", schema); err != nil {
		return nil, fmt.Errorf("pki: %w", err)
	}
	for _, r := range cfg.Roots {
		ca.roots = append(ca.roots, &root{id: keyIdentifier(r.Certificate), name: r.Name, certificate: r.Certificate, crosses: r.Crosses, key: r.Key})
	}
	for _, i := range cfg.Issuers {
		added := &issuer{id: keyIdentifier(i.Certificate), name: i.Name, certificate: i.Certificate, crosses: i.Crosses, key: i.Key,
			places: profile.PlacesOf(cfg.BaseURL, i.Name)}
		ca.issuers = append(ca.issuers, added)
	}
	for _, step := range []func(context.Context) error{
		ca.openIssuers, ca.openUnits, ca.recordOwn, ca.loadStatus, ca.loadAnswers, ca.publishRoots, ca.publishLists,
	} {
		if err := step(ctx); err != nil {
			return nil, fmt.Errorf("pki: %w", err)
		}
	}
	ca.listSoon(ctx)
	return ca, nil
}

// complete fills in what is optional and refuses what is missing or does not fit together.
func (c *Config) complete() error {
	switch {
	case c.DB == nil:
		return errors.New("DB is missing")
	case c.Audit == nil:
		return errors.New("audit log is missing")
	case len(c.Roots) == 0 || len(c.Issuers) == 0:
		return errors.New("root or issuing authority is missing")
	case c.TSA != Delegate{} && !c.TSA.complete(c.OpenKey != nil):
		return errors.New("the time-stamping unit has no key or no certificate")
	case c.BaseURL == "" || strings.HasSuffix(c.BaseURL, "/"):
		return errors.New("BaseURL is missing or ends with a slash")
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

// authorityOf is the key identifier of who signed a certificate.
func authorityOf(c *x509.Certificate) string { return fmt.Sprintf("%x", c.AuthorityKeyId) }

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
	var all []own
	for _, r := range ca.roots {
		all = append(all, own{r.id, profile.Root, r.certificate})
		for _, c := range r.crosses {
			all = append(all, own{authorityOf(c), profile.Root, c})
		}
	}
	for n, i := range ca.issuers {
		for _, c := range i.certificates() {
			all = append(all, own{authorityOf(c), profile.Issuing, c})
		}
		all = append(all, own{i.id, OCSPResponder, ca.cfg.Issuers[n].OCSP.Certificate})
	}
	if c := ca.cfg.TSA.Certificate; c != nil {
		all = append(all, own{authorityOf(c), TimeStamping, c})
	}
	for _, o := range all {
		row := row{issuer: o.issuer, kind: o.kind, subject: Subject{CommonName: o.certificate.Subject.CommonName},
			actor: ceremonies, template: o.certificate, key: digestHex(o.certificate.RawSubjectPublicKeyInfo)}
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
