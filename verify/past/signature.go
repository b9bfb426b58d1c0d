package past

import (
	"context"
	"time"

	"trustcore/verify/certificate"
	"trustcore/verify/revocation"
)

// An Indication is a status of EN 319 102-1 5.1.3.
type Indication string

// The indications of a building block.
const (
	Passed        Indication = "PASSED"
	Failed        Indication = "FAILED"
	Indeterminate Indication = "INDETERMINATE"
)

// A Current is what validation at the present time came to: INDETERMINATE with a sub-indication.
type Current struct {
	SubIndication string
	// Suspended is set for TRY_LATER because the target is on hold.
	Suspended bool
	// Stale holds the status for TRY_LATER because the evidence about the target was not fresh.
	Stale *revocation.Result
	// Weak are the uses behind CRYPTO_CONSTRAINTS_FAILURE_NO_POE.
	Weak []Use
}

// A Use is one use of an algorithm in an object.
type Use struct {
	Algorithm string
	Until     time.Time // the last moment at which it could be relied on; zero is never
	Object    Digest    // what uses it
}

// A Decision is the outcome of past signature validation.
type Decision struct {
	Indication    Indication
	SubIndication string // empty for Passed
	Detail        string // why the present status was not settled
	Control       Control
}

// Signature is past signature validation (EN 319 102-1 5.6.2.4), for a signature or a time-stamp that is named by the digest
// of its value or token: whether proofs of existence settle what could not be settled at the present time. The result is
// PASSED, FAILED with NOT_YET_VALID, or INDETERMINATE. Besides what the clause asks for, no branch passes a signature from
// outside of the target's validity, from after its revocation, or from before its anchor counted.
func Signature(ctx context.Context, object Digest, now Current, r Request) Decision {
	control, why := Certificate(ctx, r)
	d := Decision{Indication: Indeterminate, SubIndication: now.SubIndication, Control: control}
	if why.Code != OK {
		d.Detail = why.String()
		return d
	}
	s := settler{r: &r, control: &control, best: r.Existence.Earliest(object), target: r.Chain[0]}
	var end Decision
	switch now.SubIndication {
	case CryptoConstraintsNoPOE:
		end = s.weak(now.Weak)
	case TryLater:
		end = s.tryLater(now)
	case RevokedCANoPOE:
		end = s.revokedCA()
	case RevokedNoPOE, RevocationOutOfBounds:
		end = s.proven(OutOfBoundsNotRevoked)
	case NoChainNoPOE:
		end = s.proven(OutOfBoundsNoPOE)
	case OutOfBoundsNoPOE, OutOfBoundsNotRevoked:
		end = s.proven(now.SubIndication)
	default:
		end = stays("proofs of existence do not settle it")
	}
	if end.SubIndication == "" && end.Indication == Indeterminate {
		end.SubIndication = now.SubIndication
	}
	end.Control = control
	return end
}

// settler holds what the branches of step 3 need.
type settler struct {
	r       *Request
	control *Control
	best    time.Time // best-signature-time
	target  *certificate.Certificate
}

// stays leaves the present status.
func stays(detail string) Decision { return Decision{Indication: Indeterminate, Detail: detail} }

// proven is step 3: the signature existed by control-time and within the target's validity. outside is the
// sub-indication of one from after it.
func (s *settler) proven(outside string) Decision {
	if s.best.IsZero() || s.best.After(s.control.Time) {
		return stays("the signature is proven since " + date(s.best) + ", after control-time " + date(s.control.Time))
	}
	return s.within(outside)
}

// within compares best-signature-time with the target's validity and the anchor's start, then goes to step 7.
func (s *settler) within(outside string) Decision {
	switch {
	case s.best.Before(s.target.NotBefore):
		return Decision{Indication: Failed, SubIndication: SignatureNotYetValid, Detail: "the certificate is valid from " + date(s.target.NotBefore)}
	case s.best.After(s.target.NotAfter):
		return Decision{Indication: Indeterminate, SubIndication: outside, Detail: "the certificate expired on " + date(s.target.NotAfter)}
	case s.best.Before(opening(s.r.Anchor)):
		return Decision{Indication: Indeterminate, SubIndication: NoChainNoPOE, Detail: "the trust anchor counts from " + date(opening(s.r.Anchor))}
	}
	return s.signersInTime()
}

// signersInTime is steps 1 and 7: the evidence about the target must have existed while the certificate of its signer was
// valid, else a key that ran out may have signed it since. The anchor's own key and responders that are trusted by
// configuration have no such end.
func (s *settler) signersInTime() Decision {
	evidence, signers := s.control.Evidence[0], s.control.Evidence[0].Signers
	local := s.r.question(0, s.control.Time).LocalResponder
	if len(signers) == 0 {
		if _, _, issuer := s.r.issuer(0); issuer != nil && !isAnchor(s.r.Anchor, issuer) {
			signers = append(signers, issuer)
		}
	}
	for _, object := range evidence.Evidence {
		for _, signer := range signers {
			if local != nil && local(signer) {
				continue
			}
			if !s.r.Existence.By(object, signer.NotAfter) {
				return Decision{Indication: Indeterminate, SubIndication: RevocationOutOfBounds,
					Detail: "the certificate of " + signer.Subject.CommonName() + ", which signed the evidence, ended on " + date(signer.NotAfter)}
			}
		}
	}
	return Decision{Indication: Passed}
}

// revokedCA needs the evidence about the target from before the CA's revocation.
func (s *settler) revokedCA() Decision {
	for i, result := range s.control.Evidence {
		if i == 0 || result.Status != revocation.Revoked {
			continue
		}
		for _, object := range s.control.Evidence[0].Evidence {
			if !s.r.Existence.By(object, result.RevocationTime) {
				return stays("the evidence about the target is proven since " + date(s.r.Existence.Earliest(object)) + ", after the CA's revocation")
			}
		}
	}
	return s.proven(OutOfBoundsNotRevoked)
}

// weak is step 4: whatever uses a weak algorithm existed while it was strong.
func (s *settler) weak(uses []Use) Decision {
	if len(uses) == 0 {
		return stays("no list of the algorithms concerned")
	}
	for _, u := range uses {
		if u.Until.IsZero() || !s.r.Existence.By(u.Object, u.Until) {
			return stays(u.Algorithm + ": nothing proves the object's existence until " + date(u.Until))
		}
	}
	return s.unrevoked()
}

// tryLater is step 3 for a target on hold, else step 5: the evidence is fresh at best-signature-time.
func (s *settler) tryLater(now Current) Decision {
	switch {
	case now.Suspended:
		return s.proven(OutOfBoundsNotRevoked)
	case now.Stale == nil || now.Stale.Status != revocation.Good:
		return stays("no evidence whose freshness could be judged")
	case !Fresh(now.Stale.ThisUpdate, now.Stale.NextUpdate, s.best, s.r.Freshness):
		return stays("the evidence of " + date(now.Stale.ThisUpdate) + " is not fresh at " + date(s.best))
	}
	return s.unrevoked()
}

// unrevoked ends the branches for which the clause asks no proof by control-time: that moves for reasons which they settle
// themselves, but a revocation before the signature is none of them.
func (s *settler) unrevoked() Decision {
	for i, result := range s.control.Evidence {
		if result.Status == revocation.Revoked && s.r.matters(i, result) && s.best.After(result.RevocationTime) {
			return stays(s.r.Chain[i].Subject.CommonName() + ": " + since(result))
		}
	}
	return s.within(OutOfBoundsNoPOE)
}
