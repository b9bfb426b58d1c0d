package identity

import (
	"bytes"
	"context"
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"sync"
	"time"

	"trustcore/internal/durable"
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

// Run renews when it is time until ctx ends.
func (r *Renewal) Run(ctx context.Context) error {
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

// renew makes a key, has it certified and puts both into the files. Whatever ends it, the files hold a pair that fits: the old
// one, or the new one whose key is still in the file of the next.
func (r *Renewal) renew(ctx context.Context, old *x509.Certificate) error {
	key, err := r.Identity.makeNextKey()
	if err != nil {
		return err
	}
	request, err := x509.CreateCertificateRequest(rand.Reader, &x509.CertificateRequest{
		Subject: pkix.Name{CommonName: old.Subject.CommonName}, DNSNames: old.DNSNames, IPAddresses: old.IPAddresses}, key)
	if err != nil {
		return err
	}
	chain, err := r.Ask(ctx, request)
	if err != nil {
		return err
	}
	if err := fits(chain, key, old); err != nil {
		return fmt.Errorf("the answer: %w", err)
	}
	if err := durable.WriteFile(r.Identity.Certificate, chain, 0o600); err != nil {
		return err
	}
	return r.Identity.takeNextKey()
}

// makeNextKey returns the key in the file of the next, made before a renewal that was not ended or now: who repeats a request
// repeats its key.
func (id Identity) makeNextKey() (crypto.Signer, error) {
	text, err := os.ReadFile(id.nextKey())
	if err == nil {
		if key, err := parseKey(text); err == nil {
			return key, nil
		}
	} else if !errors.Is(err, fs.ErrNotExist) {
		return nil, err
	}
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, err
	}
	pkcs8, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		return nil, err
	}
	return key, durable.WriteFile(id.nextKey(), pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: pkcs8}), 0o600)
}

func parseKey(text []byte) (crypto.Signer, error) {
	block, _ := pem.Decode(text)
	if block == nil {
		return nil, errors.New("no PEM")
	}
	key, err := x509.ParsePKCS8PrivateKey(block.Bytes)
	if err != nil {
		return nil, err
	}
	signer, ok := key.(crypto.Signer)
	if !ok {
		return nil, errors.New("no signature key")
	}
	return signer, nil
}

// fits refuses a chain that is not for the key and the holder.
func fits(chain []byte, key crypto.Signer, old *x509.Certificate) error {
	pkcs8, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		return err
	}
	pair, err := tls.X509KeyPair(chain, pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: pkcs8}))
	switch {
	case err != nil:
		return err
	case !bytes.Equal(pair.Leaf.RawSubject, old.RawSubject):
		return fmt.Errorf("the certificate is for %s, not for %s", pair.Leaf.Subject, old.Subject)
	case !pair.Leaf.NotAfter.After(old.NotAfter):
		return errors.New("the certificate ends no later than the one before")
	}
	return nil
}
