package identity

import (
	"context"
	"crypto/x509"
	"log/slog"
	"sync"
	"time"
)

// Times of a renewal.
const (
	tick       = 15 * time.Second // how often the wall clock is looked at: timers do not move when somebody sets it
	retryAfter = 5 * time.Minute  // after a renewal that failed
	askTimeout = time.Minute
)

// Ask has a certificate made for the request, which is DER, and returns the chain in PEM, the new certificate first.
type Ask func(ctx context.Context, request []byte) ([]byte, error)

// Renewal renews an identity at two thirds of its certificate's life. All fields must be set.
type Renewal struct {
	Identity Identity
	Ask      Ask
	Now      func() time.Time
	Logger   *slog.Logger

	mu     sync.Mutex
	failed error     // of the last try, nil when it went well; guarded by mu
	tried  time.Time // guarded by mu
}

// Run renews when it is time until ctx ends. Without Ask it has nothing to do.
func (r *Renewal) Run(ctx context.Context) error {
	if r.Ask == nil {
		return nil
	}
	ticker := time.NewTicker(tick)
	defer ticker.Stop()
	for {
		if err := r.Once(ctx); err != nil && ctx.Err() == nil {
			r.Logger.Error("the certificate was not renewed; it is tried again", "certificate", r.Identity.Certificate, "error", err)
		}
		select {
		case <-ctx.Done():
			return nil
		case <-ticker.C:
		}
	}
}

// Once renews if it is time.
func (r *Renewal) Once(ctx context.Context) error {
	pair, err := r.Identity.load()
	if err != nil {
		return err
	}
	now := r.Now()
	if now.Before(Due(pair.Leaf)) || r.resting(now) {
		return nil
	}
	ctx, cancel := context.WithTimeout(ctx, askTimeout)
	defer cancel()
	err = r.renew(ctx, pair.Leaf)
	r.mu.Lock()
	r.failed, r.tried = err, now
	r.mu.Unlock()
	if err == nil {
		r.Logger.Info("the certificate was renewed", "certificate", r.Identity.Certificate)
	}
	return err
}

// resting reports whether the last try failed a moment ago. A clock that went back rests nobody.
func (r *Renewal) resting(now time.Time) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.failed != nil && now.Sub(r.tried) < retryAfter && !now.Before(r.tried)
}

// State returns when the certificate ends and why the last renewal failed.
func (r *Renewal) State() (end time.Time, failed error) {
	pair, err := r.Identity.load()
	if err != nil {
		return time.Time{}, err
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	return pair.Leaf.NotAfter, r.failed
}

// Due is when two thirds of a certificate's life are over.
func Due(c *x509.Certificate) time.Time {
	return c.NotAfter.Add(-c.NotAfter.Sub(c.NotBefore) / 3)
}

// renew is Replace by a certificate that lives longer.
func (r *Renewal) renew(ctx context.Context, old *x509.Certificate) error {
	return r.Identity.Replace(ctx, old, old.NotAfter, r.Ask)
}
