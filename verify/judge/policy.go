package judge

import (
	"fmt"
	"time"

	"trustcore/verify/policy"
	"trustcore/verify/signature"
)

// freshness is what the policy asks of the evidence about the certificates of what is signed.
func (v *validator) freshness(c policy.Context) policy.Level {
	return v.policy.Level(asked(c).Signer(), policy.RevocationFreshnessNextUpdate)
}

// asked is the context whose freshness counts: that of a signature for counter-signatures too.
func asked(c policy.Context) policy.Context {
	if c == policy.CounterSignature {
		return policy.Signature
	}
	return c
}

// contextOf is the policy's context of a signature.
func contextOf(s *signature.Signature) policy.Context {
	if s.CounterSignatureOf != "" {
		return policy.CounterSignature
	}
	return policy.Signature
}

// refuses reports whether what does not meet the constraint is not passed.
func (v *validator) refuses(c policy.Context, n policy.Name) bool {
	return v.policy.Level(c, n) == policy.Fail
}

// tells reports whether what does not meet the constraint is told and no more.
func (v *validator) tells(c policy.Context, n policy.Name) bool {
	l := v.policy.Level(c, n)
	return l == policy.Warn || l == policy.Inform
}

// ofPath judges the algorithms of a path. A path does not say whether a certificate is the signer's or an authority's, so
// that both contexts must accept.
func (v *validator) ofPath(c policy.Context) func(name string, bits int, at time.Time) (bool, string) {
	return func(name string, bits int, at time.Time) (bool, string) {
		if ok, why := v.policy.Acceptable(c.Signer(), name, bits, at); !ok {
			return false, why
		}
		return v.policy.Acceptable(c.CA(), name, bits, at)
	}
}

// doubts are the uses of algorithms that the policy accepts with a warning.
func (v *validator) doubts(c policy.Context, uses []signature.AlgorithmUse, at time.Time) []string {
	var list []string
	for _, u := range uses {
		if ok, why := v.policy.Acceptable(c, u.Algorithm, u.KeyBits, at); ok && why != "" {
			list = append(list, fmt.Sprintf("%s (%s): %s", u.Algorithm, u.Purpose, why))
		}
	}
	return list
}

// told are the constraints that the signature does not meet and the policy only warns of.
func (v *validator) told(s *signature.Signature, at time.Time) []string {
	list := v.doubts(contextOf(s), s.Algorithms, at)
	if s.NoManifest && v.tells(policy.Container, policy.ManifestFilePresent) {
		list = append(list, "the container has no manifest that says which files belong to it")
	}
	return list
}

// toldOfStamp are the constraints that the time-stamp does not meet and the policy only warns of.
func (v *validator) toldOfStamp(t *signature.Timestamp, at time.Time) []string {
	list := v.doubts(policy.Timestamp, t.Algorithms, at)
	if t.Binding == signature.BindingAbsent && v.tells(policy.Timestamp, policy.SigningCertificatePresent) {
		list = append(list, "the time-stamp does not bind the certificate of its unit by a signed attribute (RFC 3161, 2.4.2)")
	}
	if v.tells(policy.Timestamp, policy.TSAGeneralNameContentMatch) {
		list = append(list, t.Demands...)
	}
	return list
}
