package judge

import (
	"time"

	"trustcore/verify/policy"
	"trustcore/verify/prose"
	"trustcore/verify/signature"
	"trustcore/verify/trace"
)

// Used says what the policy's table has about each use of an algorithm at a time: for a trace, which tells it of all,
// also of those that the course of validation did not come to. No conclusion rests on it.
func Used(p *policy.Policy, c policy.Context, uses []signature.AlgorithmUse, at time.Time) []trace.Crypto {
	v := &validator{policy: p}
	list := make([]trace.Crypto, 0, len(uses))
	for _, u := range uses {
		ok, why := p.Acceptable(c, u.Algorithm, u.KeyBits, at)
		use := v.crypto(c, u, at.UTC(), ok)
		use.Why = prose.Text(why)
		list = append(list, *use)
	}
	return list
}

// UsesOfPath are those of the issuers' signatures on the certificates of a path, the anchor's own left out.
func (c *Chain) UsesOfPath(p *policy.Policy, of policy.Context) []trace.Crypto {
	var list []trace.Crypto
	for i, cert := range c.Path.Chain {
		if a := c.Path.Anchor; a != nil && a.Certificate != nil && a.Certificate.Fingerprint == cert.Fingerprint {
			break
		}
		context := of.CA()
		if i == 0 {
			context = of.Signer()
		}
		use := Used(p, context, []signature.AlgorithmUse{certificateUse(cert, issuerKey(c, i))}, c.certified[i])[0]
		use.Object = CertificateID(cert)
		list = append(list, use)
	}
	return list
}

// ContextOf is the policy's context of a signature.
func ContextOf(s *signature.Signature) policy.Context { return contextOf(s) }
