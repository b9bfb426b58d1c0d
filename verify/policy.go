package verify

import "trustcore/verify/policy"

// Policy is what a signature must meet beyond being intact and leading to an anchor.
type Policy = policy.Policy

// DefaultPolicy is what the product judges by where nobody chose another: the shipped policy strict.
func DefaultPolicy() *Policy {
	p, err := policy.Named(policy.Strict)
	if err != nil {
		panic("verify: the policy that is shipped can't be read: " + err.Error())
	}
	return p
}
