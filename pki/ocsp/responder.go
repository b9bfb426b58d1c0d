// Package ocsp answers for certificates of one issuer: OCSP of RFC 6960 with the lightweight profile of RFC 5019 and nonces
// of RFC 9654. Answers without a nonce are signed once and kept; with a nonce they are signed live.
package ocsp

import (
	"bytes"
	"context"
	"crypto"
	"crypto/sha1"
	"crypto/sha256"
	"crypto/x509"
	"encoding/hex"
	"errors"
	"fmt"
	"log/slog"
	"math/big"
	"sync/atomic"
	"time"

	"golang.org/x/crypto/ocsp"

	"trustcore/pki/profile"
)

// Limits and times.
const (
	DefaultValidity = time.Hour        // from thisUpdate to nextUpdate
	maxLive         = 64               // signatures asked of the key at once
	liveWait        = 2 * time.Second  // how long a request waits for its turn
	retryAfter      = time.Second      // a kept answer that could not be renewed is tried again
	maxKept         = 400_000          // answers in memory, some 400 octets each
	skew            = 10 * time.Second // an answer that lies further in the future was made by a clock that was wrong
)

// Delegate is a key that answers for the issuer, with its certificate.
type Delegate struct {
	Certificate *x509.Certificate // from the issuer: OCSPSigning, nocheck
	Key         crypto.Signer
}

// Config is what New needs. Fields without 'optional' are refused when they are missing.
type Config struct {
	Issuer *x509.Certificate // whose certificates are answered for
	Delegate

	// Status reads the status of a serial number of Issuer now. It is asked once for every signature.
	Status func(ctx context.Context, serial *big.Int) (Status, error)

	// Keep is told of every answer that is kept, so that it can be restored after a restart. Optional.
	Keep func(Kept)

	Validity      time.Duration    // optional: DefaultValidity when 0
	ArchiveCutoff time.Time        // optional: since when statuses are kept after expiry (RFC 6960 4.4.4)
	Now           func() time.Time // optional: time.Now when nil
	Logger        *slog.Logger     // optional: slog.Default when nil
}

// Responder is an http.Handler for GET and POST. Its methods are safe for concurrent use.
type Responder struct {
	cfg      Config
	issuer   map[crypto.Hash]issuerHashes
	delegate atomic.Pointer[delegate]
	live     chan struct{}
	kept     keeper
	changes  atomic.Uint64         // counts calls of Forget
	fault    atomic.Pointer[fault] // of the last signature, nil when it was made
}

// fault is why an answer could not be signed.
type fault struct {
	err error
	at  time.Time
}

// faultHolds is how long a fault tells of the present: what happened before was another moment.
const faultHolds = 5 * time.Second

// delegate is a Delegate that was checked.
type delegate struct {
	Delegate
	keyHash []byte // of its key, names the responder
}

type issuerHashes struct{ name, key []byte }

// New checks that the delegate may answer for the issuer.
func New(cfg Config) (*Responder, error) {
	switch {
	case cfg.Issuer == nil:
		return nil, errors.New("ocsp responder: Issuer is missing")
	case cfg.Status == nil:
		return nil, errors.New("ocsp responder: Status is missing")
	}
	if cfg.Validity == 0 {
		cfg.Validity = DefaultValidity
	}
	if cfg.Now == nil {
		cfg.Now = time.Now
	}
	if cfg.Logger == nil {
		cfg.Logger = slog.Default()
	}
	r := &Responder{cfg: cfg, issuer: map[crypto.Hash]issuerHashes{}, live: make(chan struct{}, maxLive)}
	r.kept.entries = map[string]map[string]*entry{}
	for _, known := range certIDHashes {
		hashes, err := hashesOf(cfg.Issuer, known.hash)
		if err != nil {
			return nil, fmt.Errorf("ocsp responder: %w", err)
		}
		r.issuer[known.hash] = hashes
	}
	if err := r.Swap(cfg.Delegate); err != nil {
		return nil, err
	}
	return r, nil
}

// Swap puts another delegate in place of the present one. Answers that are kept serve on: they hold the certificate that they need.
func (r *Responder) Swap(next Delegate) error {
	if err := checkDelegate(next, r.cfg.Issuer); err != nil {
		return fmt.Errorf("ocsp responder: %w", err)
	}
	bits, err := profile.KeyBits(next.Certificate.RawSubjectPublicKeyInfo)
	if err != nil {
		return fmt.Errorf("ocsp responder: delegate: %w", err)
	}
	r.delegate.Store(&delegate{Delegate: next, keyHash: digest(crypto.SHA1, bits)})
	return nil
}

func checkDelegate(d Delegate, issuer *x509.Certificate) error {
	switch {
	case d.Certificate == nil:
		return errors.New("delegate: Certificate is missing")
	case d.Key == nil:
		return errors.New("delegate: Key is missing")
	}
	if !bytes.Equal(d.Certificate.Raw, issuer.Raw) {
		if err := d.Certificate.CheckSignatureFrom(issuer); err != nil {
			return fmt.Errorf("the delegate's certificate is not from the issuer: %w", err)
		}
		allowed := false
		for _, purpose := range d.Certificate.ExtKeyUsage {
			allowed = allowed || purpose == x509.ExtKeyUsageOCSPSigning
		}
		if !allowed {
			return errors.New("the delegate's certificate is not for OCSPSigning")
		}
	}
	public, ok := d.Key.Public().(interface{ Equal(crypto.PublicKey) bool })
	if !ok || !public.Equal(d.Certificate.PublicKey) {
		return errors.New("the key is not the delegate certificate's")
	}
	_, _, err := algorithmOf(d.Key.Public())
	return err
}

func digest(hash crypto.Hash, data []byte) []byte {
	switch hash {
	case crypto.SHA1:
		sum := sha1.Sum(data)
		return sum[:]
	case crypto.SHA256:
		sum := sha256.Sum256(data)
		return sum[:]
	}
	h := hash.New()
	h.Write(data)
	return h.Sum(nil)
}

// response is an OCSPResponse with what HTTP caches need to know of it.
type response struct {
	der        []byte
	thisUpdate time.Time
	nextUpdate time.Time
	etag       string
	status     Status // of the first certificate that was asked for
	cacheable  bool
}

func failure(status ocsp.ResponseStatus) response { return response{der: errorResponse(status)} }

// respond answers one DER request; it never fails, an error is an answer too.
func (r *Responder) respond(ctx context.Context, der []byte) response {
	request, err := ParseRequest(der)
	if err != nil {
		return failure(ocsp.Malformed)
	}
	for _, id := range request.CertIDs {
		hashes, known := r.issuer[id.Hash]
		if !known || !bytes.Equal(hashes.name, id.NameHash) || !bytes.Equal(hashes.key, id.KeyHash) {
			return failure(ocsp.Unauthorized)
		}
	}
	if !request.HasNonce && len(request.CertIDs) == 1 {
		return r.keptAnswer(ctx, request.CertIDs[0])
	}
	return r.liveAnswer(ctx, request)
}

// Respond answers one DER request as the handler does, for callers without HTTP.
func (r *Responder) Respond(ctx context.Context, request []byte) []byte {
	return r.respond(ctx, request).der
}

func (r *Responder) liveAnswer(ctx context.Context, request *Request) response {
	signed, err := r.sign(ctx, request)
	if err != nil {
		return r.refusal(err)
	}
	return signed
}

// refusal is the answer for an error of sign.
func (r *Responder) refusal(err error) response {
	r.cfg.Logger.Warn("OCSP answer failed", "error", err)
	if errors.Is(err, errStatus) {
		return failure(ocsp.InternalError)
	}
	return failure(ocsp.TryLater)
}

// errStatus marks a failure to read the status, as against one to sign it.
var errStatus = errors.New("reading the status of a certificate")

// sign reads the statuses and signs an answer to request.
func (r *Responder) sign(ctx context.Context, request *Request) (response, error) {
	wait, cancel := context.WithTimeout(ctx, liveWait)
	defer cancel()
	select {
	case r.live <- struct{}{}:
		defer func() { <-r.live }()
	case <-wait.Done():
		return response{}, errors.New("too many answers are being signed")
	}
	by := r.delegate.Load()
	now := r.cfg.Now().UTC().Truncate(time.Second)
	if now.After(by.Certificate.NotAfter) {
		err := errors.New("the delegate's certificate has expired")
		r.fault.Store(&fault{err, time.Now()})
		return response{}, err
	}
	next := now.Add(r.cfg.Validity)
	if next.After(by.Certificate.NotAfter) {
		next = by.Certificate.NotAfter
	}
	a := answer{producedAt: now, next: next, archiveCutoff: r.cfg.ArchiveCutoff,
		responderKeyHash: by.keyHash, delegate: by.Certificate.Raw}
	if request.HasNonce {
		a.nonce = request.Nonce
	}
	known := true
	for _, id := range request.CertIDs {
		status, err := r.cfg.Status(ctx, id.Serial)
		if err != nil {
			return response{}, fmt.Errorf("%w: %w", errStatus, err)
		}
		known = known && status.Code != ocsp.Unknown
		a.singles = append(a.singles, single{certID: id.Raw, status: status})
	}
	der, err := build(a, by.Key)
	if err != nil {
		r.fault.Store(&fault{err, time.Now()})
		return response{}, err
	}
	r.fault.Store(nil)
	return response{der: der, thisUpdate: a.producedAt, nextUpdate: a.next, etag: etag(der), status: a.singles[0].status,
		cacheable: known && !request.HasNonce}, nil
}

func etag(der []byte) string {
	sum := sha256.Sum256(der)
	return `"` + hex.EncodeToString(sum[:16]) + `"`
}

// Failure is why the last answer could not be signed; nil when it was, or when nothing had to be signed for some seconds.
func (r *Responder) Failure() error {
	if f := r.fault.Load(); f != nil && time.Since(f.at) < faultHolds {
		return f.err
	}
	return nil
}
