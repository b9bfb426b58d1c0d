package verify

import (
	"fmt"

	"trustcore/verify/algorithm"
	"trustcore/verify/judge"
	"trustcore/verify/signature"
)

// Policy is what a signature must meet beyond being intact and leading to an anchor.
type Policy = judge.Policy

// PolicyNamed returns the policy of a name that people choose.
func PolicyNamed(name string) (*Policy, error) {
	switch name {
	case "strict", "":
		return DefaultPolicy(), nil
	case "dss-default":
		return DSSPolicy(), nil
	}
	return nil, fmt.Errorf("%q is no policy: choose strict or dss-default", name)
}

// DSSPolicy has the levels of the constraint file that version 6.4 of the Commission's DSS brings: FAIL there is
// failure here, WARN is a note.
func DSSPolicy() *Policy {
	p := DefaultPolicy()
	p.Name, p.LooseStamps, p.Strays, p.Manifest, p.SignerUse = "dss-default", true, true, true, false
	p.Freshness, p.StampFreshness = judge.Ignore, judge.Ignore
	p.Tolerated = map[signature.Rule]bool{
		signature.RuleVisual: true, signature.RuleDocMDP: true, signature.RuleFieldMDP: true,
		signature.RuleLock: true, signature.RuleUndefined: true,
	}
	return p
}

// DefaultPolicy is what the product judges by: algorithms by TS 119 312 at the time of the proof of
// existence, revocation known for every certificate below the anchor, by evidence that had not run out for the signer's; for
// time-stamping units it is told, else an archive would prove nothing once its newest time-stamp's evidence has run out.
func DefaultPolicy() *Policy {
	return &Policy{Name: "strict", SignerUse: true, Acceptable: algorithm.Acceptable, Revocation: true, StampFreshness: judge.Inform}
}
