package ceremony

import (
	"context"
	"crypto/rand"
	"crypto/x509"
	"errors"
	"fmt"
	"time"

	"trustcore/pki/profile"
)

// Succeed adds an issuing authority with its responder's delegate below a root that is there, by a plan of ParseSuccession: checked,
// rehearsed with throw-away keys below a throw-away root, and carried out as Perform does. name stands in the new authority's URLs
// and is none that was used before. The result has neither a root's list nor a time-stamping unit; the transcript is signed by the
// root.
func Succeed(ctx context.Context, plan *Plan, name string, root Authority, makeKey MakeKey, now func() time.Time) (*Result, error) {
	switch {
	case plan == nil || makeKey == nil || now == nil || root.Certificate == nil || root.Key == nil:
		return nil, errors.New("ceremony: plan, root, makeKey or now is missing")
	case !plan.succession:
		return nil, errors.New("ceremony: the plan is not one of a succession")
	case plan.TimeStamping != nil:
		return nil, errors.New("ceremony: time_stamping: is there already; leave it out")
	case name == "" || name == profile.FirstIssuing:
		return nil, fmt.Errorf("ceremony: %q is no name of a successor", name)
	}
	if err := plan.mayBegin(); err != nil {
		return nil, err
	}
	if err := errors.Join(rules(plan, now().UTC())...); err != nil {
		return nil, fmt.Errorf("plan:\n%w", err)
	}
	if plan.Issuing.Valid.After(now()).After(root.Certificate.NotAfter) {
		return nil, fmt.Errorf("plan:\nissuing.valid: ends behind the root, which ends %s; write a shorter time",
			root.Certificate.NotAfter.Format(time.DateOnly))
	}
	if err := rehearse(ctx, plan, name, root.Certificate, now); err != nil {
		return nil, fmt.Errorf("plan, rehearsed with throw-away keys: %w", err)
	}
	return counting(makeKey, func(makeKey MakeKey) (*Result, error) { return succeed(ctx, plan, name, root, makeKey, now) })
}

func succeed(ctx context.Context, plan *Plan, name string, root Authority, makeKey MakeKey, now func() time.Time) (*Result, error) {
	p := begin(plan, name, makeKey, now)
	p.record.add(p.begun, "root certificate shown", certificateFacts(root.Certificate))
	result := &Result{Root: root, Transcript: p.record}
	var err error
	if result.Issuing, err = p.issuing(ctx, root); err != nil {
		return nil, fmt.Errorf("issuing: %w", err)
	}
	if result.OCSP, err = p.delegate(ctx, "ocsp", plan.OCSP, profile.OCSPResponder, result.Issuing); err != nil {
		return nil, fmt.Errorf("ocsp: %w", err)
	}
	if err := p.record.close(root, now()); err != nil {
		return nil, fmt.Errorf("transcript: %w", err)
	}
	return result, nil
}

// rehearse succeeds a root with the real one's name and life and a key that nobody keeps.
func rehearse(ctx context.Context, plan *Plan, name string, root *x509.Certificate, now func() time.Time) error {
	_, key, _, err := throwAway(ctx, "", "")
	if err != nil {
		return err
	}
	template, err := profile.Authority(profile.Root, root.NotBefore, root.NotAfter, profile.Places{}, nil)
	if err != nil {
		return err
	}
	template.SerialNumber, template.Subject = root.SerialNumber, root.Subject
	if template.SubjectKeyId, err = profile.KeyID(key.Public()); err != nil {
		return err
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		return err
	}
	stand, err := x509.ParseCertificate(der)
	if err != nil {
		return err
	}
	result, err := succeed(ctx, plan, name, Authority{Key: key, Certificate: stand}, throwAway, now)
	if err != nil {
		return err
	}
	return result.check(now())
}
