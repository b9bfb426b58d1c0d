// Package tsa is a time-stamping authority of RFC 3161 with the profile of ETSI EN 319 422: time in UTC with milliseconds, a declared
// accuracy, unique serial numbers that are journalled before the token is signed, ESSCertIDv2 with SHA-256.
package tsa

import (
	"context"
	"crypto"
	"crypto/ecdsa"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"errors"
	"fmt"
	"log/slog"
	"math/big"
	"sync/atomic"
	"time"

	"trustcore/internal/cms"
)

// DefaultAccuracy is the best that ETSI EN 319 421 7.7.2 asks for: one second.
const DefaultAccuracy = time.Second

// Record is what is journalled of a token before it is signed.
type Record struct {
	Serial  *big.Int
	Time    time.Time
	Policy  string
	Hash    string // dotted identifier of the imprint's algorithm
	Imprint []byte
}

// Config is what New needs. Fields without 'optional' are refused when they are missing.
type Config struct {
	Unit
	Policy string // dotted identifier; a request for another one is refused

	// Clock returns the time, or an error when it can't be trusted; then no token is given (fail closed).
	Clock func() (time.Time, error)
	// Vouched tells whether the clock is known to be as accurate as declared. While it is not, tokens come without an accuracy: a
	// claim that nobody measures would be false (ETSI EN 319 421 7.7.2). Optional: always when nil.
	Vouched func() bool
	// Journal makes a record durable, and fails when the serial number was used before. No token is signed without it.
	Journal func(context.Context, Record) error

	Accuracy time.Duration // optional: DefaultAccuracy when 0; in whole milliseconds
	Logger   *slog.Logger  // optional: slog.Default when nil
}

// Authority gives time-stamps by one unit after the other. Its methods are safe for concurrent use.
type Authority struct {
	cfg    Config
	policy cms.OID
	unit   atomic.Pointer[unit]
	fault  atomic.Pointer[fault] // of the last token, nil when it was made
}

// fault is why a token could not be made though the request was good.
type fault struct {
	err error
	at  time.Time
}

// faultHolds is how long a fault tells of the present: what happened before was another moment.
const faultHolds = 5 * time.Second

// New checks that certificate and key may sign tokens.
func New(cfg Config) (*Authority, error) {
	if cfg.Vouched == nil {
		cfg.Vouched = func() bool { return true }
	}
	switch {
	case cfg.Clock == nil:
		return nil, errors.New("time-stamping unit: Clock is missing")
	case cfg.Journal == nil:
		return nil, errors.New("time-stamping unit: Journal is missing")
	}
	if cfg.Accuracy == 0 {
		cfg.Accuracy = DefaultAccuracy
	}
	if cfg.Logger == nil {
		cfg.Logger = slog.Default()
	}
	if cfg.Accuracy < time.Millisecond || cfg.Accuracy%time.Millisecond != 0 {
		return nil, fmt.Errorf("time-stamping unit: accuracy %v is not in whole milliseconds", cfg.Accuracy)
	}
	policy, err := cms.ParseOID(cfg.Policy)
	if err != nil {
		return nil, fmt.Errorf("time-stamping unit: policy: %w", err)
	}
	a := &Authority{cfg: cfg, policy: policy}
	if err := a.Swap(cfg.Unit); err != nil {
		return nil, err
	}
	return a, nil
}

// Swap puts another unit in place of the present one. Tokens that are being made are finished with the old one.
func (a *Authority) Swap(next Unit) error {
	u, err := newUnit(next)
	if err != nil {
		return fmt.Errorf("time-stamping unit: %w", err)
	}
	a.unit.Store(u)
	return nil
}

// Respond answers one DER request with a DER TimeStampResp; it never fails, a refusal is an answer too.
func (a *Authority) Respond(ctx context.Context, der []byte) []byte {
	token, err := a.stamp(ctx, der)
	if err == nil {
		a.fault.Store(nil)
		return cms.NewTimestampResponse(token)
	}
	var refused *cms.RequestError
	if !errors.As(err, &refused) {
		if ctx.Err() == nil {
			a.fault.Store(&fault{err, time.Now()})
		}
		a.cfg.Logger.Error("time-stamp failed", "error", err)
		refused = &cms.RequestError{Failure: cms.SystemFailure, Reason: "the token can't be made now"}
	}
	return cms.RefuseTimestamp(refused.Failure, refused.Reason)
}

// Failure is why the last token could not be made though the request was good; nil when it was made, or when nobody has asked for
// some seconds.
func (a *Authority) Failure() error {
	if f := a.fault.Load(); f != nil && time.Since(f.at) < faultHolds {
		return f.err
	}
	return nil
}

// stamp makes a token; a *cms.RequestError says how to refuse.
func (a *Authority) stamp(ctx context.Context, der []byte) ([]byte, error) {
	request, err := cms.ParseTimestampRequest(der)
	if err != nil {
		return nil, err
	}
	if err := a.check(request); err != nil {
		return nil, err
	}
	serial, err := newSerial()
	if err != nil {
		return nil, err
	}
	u := a.unit.Load()
	begun := time.Now() // monotonic: the clock is held against it after signing
	now, err := a.now(u)
	if err != nil {
		return nil, err
	}
	record := Record{Serial: serial, Time: now, Policy: a.cfg.Policy, Hash: request.HashOID.String(), Imprint: request.Imprint}
	if err := a.cfg.Journal(ctx, record); err != nil {
		return nil, fmt.Errorf("journalling a time-stamp: %w", err)
	}
	token, err := cms.SignTimestamp(a.config(u, request, serial, now))
	if err != nil {
		return nil, err
	}
	if err := u.verify(token); err != nil {
		return nil, err
	}
	return token, a.steady(u, now, begun)
}

func (a *Authority) config(u *unit, request *cms.TimestampRequest, serial *big.Int, now time.Time) cms.TimestampConfig {
	cfg := cms.TimestampConfig{
		Signer: u.Key, Certificate: u.Certificate.Raw, Certificates: u.chain, OmitCertificates: !request.CertReq, Hash: crypto.SHA256,
		Policy: a.policy, HashAlgorithm: request.HashAlgorithm, Imprint: request.Imprint, Serial: serial, Time: now, Nonce: request.Nonce,
	}
	if a.cfg.Vouched() {
		cfg.Accuracy = cms.Accuracy{Seconds: int(a.cfg.Accuracy / time.Second), Millis: int(a.cfg.Accuracy % time.Second / time.Millisecond)}
	}
	return cfg
}

// imprintHashes are the identifiers of hash algorithms that are stamped: ETSI TS 119 312, SHA-2 and SHA-3 of 256 bits and more.
var imprintHashes = map[string]bool{
	"2.16.840.1.101.3.4.2.1": true, "2.16.840.1.101.3.4.2.2": true, "2.16.840.1.101.3.4.2.3": true,
	"2.16.840.1.101.3.4.2.8": true, "2.16.840.1.101.3.4.2.9": true, "2.16.840.1.101.3.4.2.10": true,
}

// check holds a request that parses against the authority's rules.
func (a *Authority) check(request *cms.TimestampRequest) error {
	switch {
	case !imprintHashes[request.HashOID.String()]:
		return &cms.RequestError{Failure: cms.BadAlgorithm, Reason: "hash the document with SHA-256, SHA-384 or SHA-512"}
	case request.Policy != "" && request.Policy != a.policy:
		return &cms.RequestError{Failure: cms.UnacceptedPolicy, Reason: "ask for policy " + a.cfg.Policy + " or for none"}
	case len(request.Extensions) > 0: // RFC 3161 2.4.1: refused even if it is not critical
		return &cms.RequestError{Failure: cms.UnacceptedExtension, Reason: "extension " + request.Extensions[0].Type.String() + " is not known; leave it out"}
	}
	return nil
}

// now is the trusted time within the use of key and certificate.
func (a *Authority) now(u *unit) (time.Time, error) {
	now, err := a.cfg.Clock()
	if err != nil {
		a.cfg.Logger.Warn("the clock can't be trusted, a time-stamp is refused", "error", err)
		return time.Time{}, &cms.RequestError{Failure: cms.TimeNotAvailable, Reason: "the clock can't be trusted now"}
	}
	if now.Before(u.Certificate.NotBefore) || now.After(u.end) {
		return time.Time{}, errors.New("the unit's certificate or the use of its key has ended")
	}
	return now.UTC().Truncate(time.Millisecond), nil
}

// steady refuses a token during whose making the clock jumped against the monotonic one, or lost its trust.
func (a *Authority) steady(u *unit, before time.Time, begun time.Time) error {
	after, err := a.now(u)
	if err != nil {
		return err
	}
	jump := after.Sub(before) - time.Since(begun)
	if jump.Abs() > a.cfg.Accuracy/2+time.Millisecond {
		a.cfg.Logger.Error("the clock jumped, the time-stamp is not given out", "by", jump)
		return &cms.RequestError{Failure: cms.TimeNotAvailable, Reason: "the clock jumped"}
	}
	return nil
}

// newSerial is random, positive and 16 octets long; the journal keeps it unique.
func newSerial() (*big.Int, error) {
	octets := make([]byte, 17)
	if _, err := rand.Read(octets[1:]); err != nil {
		return nil, fmt.Errorf("serial number: %w", err)
	}
	octets[0] = 1 // 128 random bits below a leading one: never zero, never negative, always as long
	return new(big.Int).SetBytes(octets), nil
}

// verify checks the token's signature before it leaves: a faulty signature tells about the key, and is of no use to anyone.
func (u *unit) verify(token []byte) error {
	signed, err := cms.Parse(token)
	if err != nil {
		return fmt.Errorf("reading the token back: %w", err)
	}
	if len(signed.Signers) != 1 {
		return errors.New("reading the token back: not one signer")
	}
	signer := signed.Signers[0]
	message, err := signer.SignedMessage()
	if err != nil {
		return fmt.Errorf("reading the token back: %w", err)
	}
	digest := sha256.Sum256(message)
	ok := false
	switch key := u.Certificate.PublicKey.(type) {
	case *ecdsa.PublicKey:
		ok = ecdsa.VerifyASN1(key, digest[:], signer.Signature)
	case *rsa.PublicKey:
		ok = rsa.VerifyPKCS1v15(key, crypto.SHA256, digest[:], signer.Signature) == nil
	}
	if !ok {
		return errors.New("the key's signature does not verify")
	}
	return nil
}
