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
	DefaultValidity = time.Hour       // from thisUpdate to nextUpdate
	maxLive         = 64              // signatures asked of the key at once
	liveWait        = 2 * time.Second // how long a request waits for its turn
	retryAfter      = time.Second     // a kept answer that could not be renewed is tried again
	maxKept         = 400_000         // answers in memory, some 400 octets each
)

// Config is what New needs. Fields without 'optional' are refused when they are missing.
type Config struct {
	Issuer      *x509.Certificate // whose certificates are answered for
	Certificate *x509.Certificate // the delegate's: issued by Issuer, OCSPSigning, nocheck
	Key         crypto.Signer

	// Status reads the status of a serial number of Issuer now. It is asked once for every signature.
	Status func(ctx context.Context, serial *big.Int) (Status, error)

	Validity      time.Duration    // optional: DefaultValidity when 0
	ArchiveCutoff time.Time        // optional: since when statuses are kept after expiry (RFC 6960 4.4.4)
	Now           func() time.Time // optional: time.Now when nil
	Logger        *slog.Logger     // optional: slog.Default when nil
}

// Responder is an http.Handler for GET and POST. Its methods are safe for concurrent use.
type Responder struct {
	cfg     Config
	issuer  map[crypto.Hash]issuerHashes
	keyHash []byte // of the delegate's key, names the responder
	live    chan struct{}
	kept    keeper
	changes atomic.Uint64 // counts calls of Forget
}

type issuerHashes struct{ name, key []byte }

// New checks that the delegate may answer for the issuer.
func New(cfg Config) (*Responder, error) {
	switch {
	case cfg.Issuer == nil:
		return nil, errors.New("ocsp responder: Issuer is missing")
	case cfg.Certificate == nil:
		return nil, errors.New("ocsp responder: Certificate is missing")
	case cfg.Key == nil:
		return nil, errors.New("ocsp responder: Key is missing")
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
	if err := checkDelegate(cfg); err != nil {
		return nil, fmt.Errorf("ocsp responder: %w", err)
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
	delegateBits, err := profile.KeyBits(cfg.Certificate.RawSubjectPublicKeyInfo)
	if err != nil {
		return nil, fmt.Errorf("ocsp responder: delegate: %w", err)
	}
	r.keyHash = digest(crypto.SHA1, delegateBits)
	return r, nil
}

func checkDelegate(cfg Config) error {
	if !bytes.Equal(cfg.Certificate.Raw, cfg.Issuer.Raw) {
		if err := cfg.Certificate.CheckSignatureFrom(cfg.Issuer); err != nil {
			return fmt.Errorf("the delegate's certificate is not from the issuer: %w", err)
		}
		allowed := false
		for _, purpose := range cfg.Certificate.ExtKeyUsage {
			allowed = allowed || purpose == x509.ExtKeyUsageOCSPSigning
		}
		if !allowed {
			return errors.New("the delegate's certificate is not for OCSPSigning")
		}
	}
	public, ok := cfg.Key.Public().(interface{ Equal(crypto.PublicKey) bool })
	if !ok || !public.Equal(cfg.Certificate.PublicKey) {
		return errors.New("the key is not the delegate certificate's")
	}
	_, _, err := algorithmOf(cfg.Key.Public())
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
	now := r.cfg.Now().UTC().Truncate(time.Second)
	if now.After(r.cfg.Certificate.NotAfter) {
		return response{}, errors.New("the delegate's certificate has expired")
	}
	next := now.Add(r.cfg.Validity)
	if next.After(r.cfg.Certificate.NotAfter) {
		next = r.cfg.Certificate.NotAfter
	}
	a := answer{producedAt: now, next: next, archiveCutoff: r.cfg.ArchiveCutoff,
		responderKeyHash: r.keyHash, delegate: r.cfg.Certificate.Raw}
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
	der, err := build(a, r.cfg.Key)
	if err != nil {
		return response{}, err
	}
	sum := sha256.Sum256(der)
	return response{der: der, thisUpdate: a.producedAt, nextUpdate: a.next, etag: `"` + hex.EncodeToString(sum[:16]) + `"`,
		cacheable: known && !request.HasNonce}, nil
}
