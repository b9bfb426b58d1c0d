// Package seal makes advanced electronic seals and signatures with any crypto.Signer, such as a key behind the HSM
// gateway (package remote): PAdES, XAdES, CAdES, JAdES and ASiC containers of the ETSI baseline profiles, at the
// levels B-B, B-T, B-LT and B-LTA, and raises seals from one level to the next. Documents stay where they are: the
// signer sees digests only.
//
// Seal and Extend are the two doors. PAdES and XAdES make the same for one PDF or XML document.
package seal

import (
	"context"
	"crypto"
	"crypto/ecdsa"
	"crypto/rand"
	_ "crypto/sha1"   // names certificates in the time-stamps of older authorities
	_ "crypto/sha256" // the hashes that seals are made with
	_ "crypto/sha512"
	"crypto/x509"
	"encoding/asn1"
	"errors"
	"fmt"
	"io"
	"math/big"
	"time"

	"trustcore/hsm/mechanism"
)

// MaxDocument is the largest document that is sealed, in bytes; it lies in memory two or three times.
const MaxDocument = 128 << 20

// Signer is who seals.
type Signer struct {
	Key         crypto.Signer       // RSA or ECDSA
	Certificate *x509.Certificate   // of the key
	Chain       []*x509.Certificate // the CAs above it, without the anchor; they are put into the seal
}

// TSA gives an RFC 3161 time-stamp token (DER ContentInfo) for a digest. NewTSA makes one.
type TSA func(ctx context.Context, hash crypto.Hash, digest []byte) ([]byte, error)

// Evidence is what a verifier needs beside the seal: certificates that are not in it yet, CRLs and OCSP responses,
// all in DER.
type Evidence struct {
	Certificates, CRLs, OCSPs [][]byte
}

// Gather collects the evidence for the signer's and the time-stamp's certificates. It is called once the time-stamp
// is there, so that revocation information can be newer than it (EN 319 102-1, 5.2.5).
type Gather func(ctx context.Context) (Evidence, error)

var errNoTSA = errors.New("evidence is kept in seals with a time-stamp only: the time-stamping authority is missing")

// levelOf is what the older options ask for: a time-stamp where there is an authority, evidence where somebody
// gathers it.
func levelOf(tsa TSA, evidence Gather) (Level, Collect, error) {
	switch {
	case evidence != nil && tsa == nil:
		return "", nil, errNoTSA
	case evidence != nil:
		return LevelLT, func(ctx context.Context, _, _ [][]byte) (Evidence, error) { return evidence(ctx) }, nil
	case tsa != nil:
		return LevelT, nil, nil
	}
	return LevelB, nil, nil
}

// check refuses what would make a seal that nobody can verify.
func (s Signer) check(at time.Time) error {
	switch {
	case s.Key == nil:
		return errors.New("the signer's key is missing")
	case s.Certificate == nil:
		return errors.New("the signer's certificate is missing")
	case at.IsZero():
		return errors.New("the signing time is missing")
	}
	public, ok := s.Key.Public().(interface{ Equal(crypto.PublicKey) bool })
	if !ok || !public.Equal(s.Certificate.PublicKey) {
		return errors.New("the certificate belongs to another key")
	}
	if at.Before(s.Certificate.NotBefore) || at.After(s.Certificate.NotAfter) {
		return fmt.Errorf("the certificate is valid from %s to %s, not at %s",
			s.Certificate.NotBefore.UTC().Format(time.RFC3339),
			s.Certificate.NotAfter.UTC().Format(time.RFC3339), at.UTC().Format(time.RFC3339))
	}
	return nil
}

// method is how a key signs.
type method struct {
	hash crypto.Hash
	pss  bool
}

// lister is a key whose authorisation may allow some mechanisms only; hsm/remote's and hsm's keys are.
type lister interface{ Mechanisms() []mechanism.Mechanism }

// method chooses the mechanism for a format: the first of the key's own that serves, else PKCS #1 v1.5 or ECDSA with
// the hash that fits the key's strength.
func (s Signer) method(format Format) (method, error) {
	wanted := []mechanism.Mechanism{mechanism.RSAPKCS1SHA256, mechanism.RSAPSSSHA256, mechanism.RSAPKCS1SHA512,
		mechanism.RSAPSSSHA512,
		mechanism.RSAPKCS1SHA384, mechanism.RSAPSSSHA384,
		mechanism.ECDSASHA256, mechanism.ECDSASHA384, mechanism.ECDSASHA512}
	if p, ok := s.Key.Public().(*ecdsa.PublicKey); ok && p.Curve.Params().BitSize > 256 {
		wanted = []mechanism.Mechanism{mechanism.ECDSASHA384, mechanism.ECDSASHA512, mechanism.ECDSASHA256}
	}
	for _, m := range wanted {
		if m.Fits(s.Key.Public()) && allowed(s.Key, m) && (format != FormatJAdES || inJOSE(s.Key.Public(), m.Hash())) {
			return method{m.Hash(), isPSS(m)}, nil
		}
	}
	return method{}, fmt.Errorf("a %T that is allowed no mechanism can't seal", s.Key.Public())
}

func allowed(key crypto.Signer, m mechanism.Mechanism) bool {
	l, ok := key.(lister)
	if !ok {
		return true
	}
	for _, a := range l.Mechanisms() {
		if a == m {
			return true
		}
	}
	return false
}

// signContext is how a key signs that can be called off; hsm/remote's and hsm's keys can.
type signContext interface {
	SignContext(ctx context.Context, digest []byte, opts crypto.SignerOpts) ([]byte, error)
}

// bound is a key with a context, for code that knows crypto.Signer alone.
type bound struct {
	crypto.Signer
	ctx context.Context
}

// Sign passes the context on to a key that takes one.
func (b bound) Sign(random io.Reader, digest []byte, opts crypto.SignerOpts) ([]byte, error) {
	if err := b.ctx.Err(); err != nil {
		return nil, err
	}
	if s, ok := b.Signer.(signContext); ok {
		return s.SignContext(b.ctx, digest, opts)
	}
	return b.Signer.Sign(random, digest, opts)
}

// value signs a digest and returns the value as XML and JSON have it: ECDSA as r || s (RFC 4050, 3.3; RFC 7518, 3.4).
func (s Signer) value(ctx context.Context, how method, digest []byte) ([]byte, error) {
	var opts crypto.SignerOpts = how.hash
	if how.pss {
		opts = pssOptions(how.hash)
	}
	value, err := bound{s.Key, ctx}.Sign(rand.Reader, digest, opts)
	if err != nil {
		return nil, err
	}
	public, ok := s.Key.Public().(*ecdsa.PublicKey)
	if !ok {
		return value, nil
	}
	var rs struct{ R, S *big.Int }
	if rest, err := asn1.Unmarshal(value, &rs); err != nil || len(rest) > 0 {
		return nil, errors.New("the key's ECDSA signature is no pair of numbers")
	}
	size := (public.Curve.Params().BitSize + 7) / 8
	if rs.R.Sign() < 1 || rs.S.Sign() < 1 || rs.R.BitLen() > 8*size || rs.S.BitLen() > 8*size {
		return nil, errors.New("the key's ECDSA signature is out of range")
	}
	raw := make([]byte, 2*size)
	rs.R.FillBytes(raw[:size])
	rs.S.FillBytes(raw[size:])
	return raw, nil
}

func (s Signer) chain() [][]byte {
	raw := make([][]byte, len(s.Chain))
	for i, c := range s.Chain {
		raw[i] = c.Raw
	}
	return raw
}

func digestOf(h crypto.Hash, data []byte) []byte {
	w := h.New()
	w.Write(data)
	return w.Sum(nil)
}
