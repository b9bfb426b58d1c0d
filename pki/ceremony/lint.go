package ceremony

import (
	"context"
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"errors"
	"fmt"
	"time"
)

// Lint holds the plan against the rules of a ceremony and rehearses it with throw-away keys. The error names every rule that is
// broken; nil means that the plan may be performed at now.
func Lint(ctx context.Context, plan *Plan, now func() time.Time) error {
	if err := errors.Join(rules(plan, now().UTC())...); err != nil {
		return fmt.Errorf("plan:\n%w", err)
	}
	rehearsed, err := perform(ctx, plan, throwAway, now)
	if err != nil {
		return fmt.Errorf("plan, rehearsed with throw-away keys: %w", err)
	}
	if err := rehearsed.check(now()); err != nil {
		return fmt.Errorf("plan, rehearsed with throw-away keys: %w", err)
	}
	return nil
}

// Lint holds a plan of any kind against the rules, and rehearses that of a whole authority.
func (p *Plan) Lint(ctx context.Context, now func() time.Time) error {
	if p.mode == whole {
		return Lint(ctx, p, now)
	}
	if err := errors.Join(rules(p, now().UTC())...); err != nil {
		return fmt.Errorf("plan:\n%w", err)
	}
	return nil
}

func rules(p *Plan, now time.Time) []error {
	var broken []error
	refuse := func(format string, a ...any) { broken = append(broken, fmt.Errorf(format, a...)) }
	present := map[string]int{}
	for _, a := range p.Attendees {
		present[a.Role]++
	}
	if present[Administrator] == 0 || present[Witness] == 0 {
		refuse("attendees: an administrator and a witness have to be there; write both down")
	}
	if len(p.Attendees) < 2 {
		refuse("attendees: a key is made under dual control; write down at least two people")
	}
	if p.succession {
		return append(broken, issuingRules(p, now)...)
	}
	if p.Root.Algorithm == P256 {
		refuse("root.algorithm: P-256 is too weak for a root that lives for decades; write P-384 or RSA-4096")
	}
	if p.Root.Algorithm == RSA3072 {
		refuse("root.algorithm: RSA-3072 is too weak for a root that lives for decades; write RSA-4096 or P-384")
	}
	if p.mode == whole && p.Issuing.Valid.After(now).After(p.Root.Valid.After(now)) {
		refuse("issuing.valid: is longer than root.valid; write a shorter time")
	}
	if p.RootCRL.After(now).After(now.AddDate(1, 0, 0)) {
		refuse("root_crl: is longer than a year; write at most 1y")
	}
	if p.mode == rootAlone {
		return broken
	}
	return append(broken, issuingRules(p, now)...)
}

// issuingRules are those about the issuing authority and what stands below it.
func issuingRules(p *Plan, now time.Time) (broken []error) {
	keys := map[string]Key{"issuing": p.Issuing, "ocsp": p.OCSP}
	if p.mode == whole {
		keys["root"] = p.Root
	}
	if p.OCSP.Valid.After(now).After(p.Issuing.Valid.After(now)) {
		broken = append(broken, errors.New("ocsp.valid: is longer than issuing.valid; write a shorter time"))
	}
	if p.TimeStamping != nil {
		keys["time_stamping"] = *p.TimeStamping
		if p.TimeStamping.Valid.After(now).After(p.Issuing.Valid.After(now)) {
			broken = append(broken, errors.New("time_stamping.valid: is longer than issuing.valid; write a shorter time"))
		}
	}
	return append(broken, unique(keys)...)
}

// unique refuses labels and names that are used for two keys.
func unique(keys map[string]Key) []error {
	var broken []error
	labels, names := map[string]string{}, map[string]string{}
	for _, field := range []string{"root", "issuing", "ocsp", "time_stamping"} {
		key, there := keys[field]
		if !there {
			continue
		}
		if other, taken := labels[key.Label]; taken {
			broken = append(broken, fmt.Errorf("%s.label: is the same as %s.label; every key has its own", field, other))
		}
		if other, taken := names[key.CommonName]; taken {
			broken = append(broken, fmt.Errorf("%s.common_name: is the same as %s.common_name; every certificate has its own", field, other))
		}
		labels[key.Label], names[key.CommonName] = field, field
	}
	return broken
}

// throwAway makes a key in memory that nobody keeps. The curve does not matter to what is rehearsed: names, validities,
// extensions and the order of steps.
func throwAway(context.Context, string, string) (string, crypto.Signer, map[string]string, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	return "throw-away", key, map[string]string{"CKA_SENSITIVE": "true", "CKA_EXTRACTABLE": "false"}, err
}

// check holds the result against what relying parties will check.
func (r *Result) check(now time.Time) error {
	roots, middle := x509.NewCertPool(), x509.NewCertPool()
	roots.AddCert(r.Root.Certificate)
	middle.AddCert(r.Issuing.Certificate)
	leaves := map[string]Authority{"ocsp": r.OCSP}
	if r.TimeStamping != nil {
		leaves["time_stamping"] = *r.TimeStamping
	}
	for field, leaf := range leaves {
		if _, err := leaf.Certificate.Verify(x509.VerifyOptions{Roots: roots, Intermediates: middle, CurrentTime: now,
			KeyUsages: []x509.ExtKeyUsage{x509.ExtKeyUsageAny}}); err != nil {
			return fmt.Errorf("%s: chain does not verify: %w", field, err)
		}
	}
	if r.RootCRL != nil { // a succession has none
		list, err := x509.ParseRevocationList(r.RootCRL)
		if err != nil {
			return fmt.Errorf("root_crl: %w", err)
		}
		if err := list.CheckSignatureFrom(r.Root.Certificate); err != nil {
			return fmt.Errorf("root_crl: %w", err)
		}
	}
	data, err := r.Transcript.JSON()
	if err != nil {
		return fmt.Errorf("transcript: %w", err)
	}
	if _, err := readTranscript(data, r.Root.Certificate); err != nil { // a rehearsal has no people
		return fmt.Errorf("transcript: %w", err)
	}
	return nil
}
