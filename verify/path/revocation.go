package path

import (
	"context"
	"fmt"
	"time"

	"trustcore/verify/algorithm"
	"trustcore/verify/certificate"
)

// A RevocationStatus is what the evidence says of one certificate.
type RevocationStatus struct {
	Code     Code      // OK, Revoked, OnHold or RevocationUnknown
	Time     time.Time // of the revocation
	Reason   int       // CRLReason of RFC 5280 5.3.1, -1 when not given
	Source   string    // "CRL", "OCSP", or why none is needed
	Evidence [32]byte  // SHA-256 of the CRL or OCSP response that decided; zero when none did
	Detail   string    // for the report
}

// A RevocationQuestion asks for the status of one certificate of a path that is right otherwise.
type RevocationQuestion struct {
	Certificate *certificate.Certificate
	Issuer      *certificate.Certificate // nil when the issuer is an anchor without a certificate
	IssuerName  certificate.Name
	IssuerKey   *algorithm.PublicKey
	Time        time.Time // the validation time
	Pool        *Pool     // where certificates of CRL issuers and responders may lie
	Anchor      *Anchor   // of the path

	validate func(signer *certificate.Certificate) error
}

// Authorise validates the path of a CRL issuer's or responder's certificate to the same anchor (RFC 5280 6.3.3 (f)), its
// revocation included. A signer whose path is being validated further up counts as valid there, so that a CRL may cover
// the certificate of its own signer.
func (q *RevocationQuestion) Authorise(signer *certificate.Certificate) error {
	return q.validate(signer)
}

// A RevocationFunc judges one certificate; it must be pure. Errors of evidence are a status, with the detail.
type RevocationFunc func(ctx context.Context, q *RevocationQuestion) RevocationStatus

// signers remembers which CRL issuers and responders were validated below one call of Validate.
type signers struct {
	done    map[*certificate.Certificate]error
	active  []*certificate.Certificate
	assumed int // lowest index in active that a result leaned on, len(active) when none
}

// maxSignerDepth bounds CRL issuers of CRL issuers; real ones stop at the first.
const maxSignerDepth = 8

// revocation asks for every certificate of the path, the anchor's side first.
func (b *builder) revocation(o *outcome) {
	ask := b.request.Revocation
	if ask == nil {
		return
	}
	o.revocation = make([]RevocationStatus, len(o.chain))
	for i := len(o.chain) - 1; i >= 0; i-- {
		q := &RevocationQuestion{Certificate: o.chain[i], Time: b.request.Time, Pool: b.request.Pool, Anchor: o.anchor}
		if i+1 < len(o.chain) {
			q.Issuer = o.chain[i+1]
			q.IssuerName, q.IssuerKey = q.Issuer.Subject, b.workingKey(o, i+1)
		} else {
			q.Issuer = o.anchor.Certificate
			q.IssuerName, q.IssuerKey = o.anchor.Name, o.anchor.Key
		}
		q.validate = func(signer *certificate.Certificate) error { return b.authorise(o, i, signer) }
		status := ask(b.ctx, q)
		o.revocation[i] = status
		if status.Code != OK {
			o.reasons = append(o.reasons, reason(status.Code, o.chain[i], i, status.Detail))
			return // what the certificates below say has no weight any more
		}
		if b.stop {
			return
		}
	}
}

// workingKey returns the key of the i-th certificate with the parameters that it may inherit.
func (b *builder) workingKey(o *outcome, i int) *algorithm.PublicKey {
	key := o.anchor.Key
	for k := len(o.chain) - 1; k >= i; k-- {
		own, err := o.chain[k].Key()
		if err != nil {
			return nil
		}
		key = own.InheritParameters(key)
	}
	return key
}

// authorise validates a signer of evidence about the i-th certificate of the path.
func (b *builder) authorise(o *outcome, i int, signer *certificate.Certificate) error {
	for _, above := range o.chain[i+1:] {
		if above.Fingerprint == signer.Fingerprint {
			return nil // its path is part of this one and was judged before
		}
	}
	if a := o.anchor.Certificate; a != nil && a.Fingerprint == signer.Fingerprint {
		return nil
	}
	if b.signers == nil {
		b.signers = &signers{done: map[*certificate.Certificate]error{}}
	}
	s := b.signers
	if err, ok := s.done[signer]; ok {
		return err
	}
	for k, active := range s.active {
		if active.Fingerprint == signer.Fingerprint {
			s.assumed = min(s.assumed, k)
			return nil
		}
	}
	if len(s.active) >= maxSignerDepth {
		return fmt.Errorf("more than %d signers of evidence in a row", maxSignerDepth)
	}
	return b.validateSigner(o.anchor, signer)
}

func (b *builder) validateSigner(anchor *Anchor, signer *certificate.Certificate) error {
	s := b.signers
	depth, outer := len(s.active), s.assumed
	s.active, s.assumed = append(s.active, signer), depth+1
	request := Request{
		Target: signer, Pool: b.request.Pool, Time: b.request.Time, Profile: ProfilePath, Cache: b.request.Cache,
		Anchors:    &Anchors{byName: map[string][]*Anchor{anchor.Name.Canonical(): {anchor}}},
		Revocation: b.request.Revocation, Algorithm: b.request.Algorithm, Limits: b.request.Limits,
	}
	below := newBuilder(b.ctx, &request)
	below.spent, below.verdicts, below.signers = b.spent, b.verdicts, s
	below.push(signer)
	below.extend()
	s.active = s.active[:depth]
	var err error
	if below.valid == nil {
		err = fmt.Errorf("path of %s: %s", signer.Subject, below.best.reasons[0])
		if below.best.reasons[0].Code == Budget {
			b.giveUp(below.best.reasons[0].Detail)
		}
	}
	if s.assumed >= depth {
		s.done[signer] = err // it leans on nothing that is still open
	}
	s.assumed = min(s.assumed, outer)
	return err
}
