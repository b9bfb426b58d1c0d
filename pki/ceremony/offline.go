package ceremony

import (
	"context"
	"crypto/x509"
	"errors"
	"fmt"
	"math/big"
	"time"

	"trustcore/pki/crl"
	"trustcore/pki/profile"
)

// ofRootAlone marks the transcript of a root on a machine of its own.
const ofRootAlone = "root alone"

// PerformRoot makes a root on a machine of its own, by a plan of ParseRoot: key, certificate, first list and transcript.
func PerformRoot(ctx context.Context, plan *Plan, makeKey MakeKey, now func() time.Time) (*Result, error) {
	if plan == nil || makeKey == nil || now == nil || plan.mode != rootAlone {
		return nil, errors.New("ceremony: makeKey or now is missing, or the plan is not one of a root alone")
	}
	if err := plan.mayBegin(); err != nil {
		return nil, err
	}
	if err := errors.Join(rules(plan, now().UTC())...); err != nil {
		return nil, fmt.Errorf("plan:\n%w", err)
	}
	return counting(makeKey, func(makeKey MakeKey) (*Result, error) { return performRoot(ctx, plan, makeKey, now) })
}

func performRoot(ctx context.Context, plan *Plan, makeKey MakeKey, now func() time.Time) (result *Result, err error) {
	p := begin(plan, profile.FirstIssuing, makeKey, now)
	result = &Result{Transcript: p.record}
	if result.Root, err = p.root(ctx); err != nil {
		return nil, fmt.Errorf("root: %w", err)
	}
	if result.RootCRL, err = p.rootCRL(result.Root); err != nil {
		return nil, fmt.Errorf("root_crl: %w", err)
	}
	return result, p.record.close(result.Root, p.now())
}

// Complete makes what stands below an issuing authority that another machine's root certified: its responder's delegate, and the
// time-stamping unit where the plan has one. name is the authority's in URLs.
func Complete(ctx context.Context, plan *Plan, name string, issuing Authority, makeKey MakeKey, now func() time.Time) (*Result, error) {
	return counting(makeKey, func(makeKey MakeKey) (*Result, error) {
		p := begin(plan, name, makeKey, now)
		result := &Result{Issuing: issuing, Transcript: p.record}
		var err error
		if result.OCSP, err = p.delegate(ctx, "ocsp", plan.OCSP, profile.OCSPResponder, issuing); err != nil {
			return nil, fmt.Errorf("ocsp: %w", err)
		}
		if plan.TimeStamping != nil {
			unit, err := p.delegate(ctx, "time_stamping", *plan.TimeStamping, profile.TimeStamping, issuing)
			if err != nil {
				return nil, fmt.Errorf("time_stamping: %w", err)
			}
			result.TimeStamping = &unit
		}
		return result, nil
	})
}

// MakeIssuingKey makes the key of an issuing authority that another machine's root is to certify, and refuses it as Perform does.
func MakeIssuingKey(ctx context.Context, plan *Plan, makeKey MakeKey, now func() time.Time) (Authority, error) {
	if err := errors.Join(rules(plan, now().UTC())...); err != nil {
		return Authority{}, fmt.Errorf("plan:\n%w", err)
	}
	return begin(plan, profile.FirstIssuing, makeKey, now).key(ctx, "issuing", plan.Issuing)
}

// NextList makes the root's next list: what the one before says, and what is revoked beside. Its number is one more.
func NextList(root Authority, before []byte, revoked []crl.Entry, until, now time.Time) ([]byte, error) {
	old, err := x509.ParseRevocationList(before)
	if err == nil {
		err = old.CheckSignatureFrom(root.Certificate)
	}
	if err != nil {
		return nil, fmt.Errorf("the list before: %w", err)
	}
	switch {
	case old.Number == nil:
		return nil, errors.New("the list before has no number")
	case !until.After(now) || until.After(now.AddDate(1, 0, 0)):
		return nil, errors.New("the list's life: write at most a year")
	}
	list := crl.List{Number: new(big.Int).Add(old.Number, big.NewInt(1)), ThisUpdate: now, NextUpdate: earliest(until, root.Certificate.NotAfter),
		KeptSince: root.Certificate.NotBefore}
	for _, e := range old.RevokedCertificateEntries {
		list.Entries = append(list.Entries, crl.Entry{Serial: e.SerialNumber, RevokedAt: e.RevocationTime, Reason: e.ReasonCode})
	}
	list.Entries = append(list.Entries, revoked...)
	return crl.Create(root.Certificate, root.Key, list)
}
