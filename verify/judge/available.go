package judge

import (
	"slices"

	"trustcore/verify/path"
	"trustcore/verify/policy"
	"trustcore/verify/revocation"
)

// available is what the policy says where nothing names the i-th certificate of the path.
func (x *x509) available(i int) policy.Level {
	if i == 0 {
		return x.policy.Level(x.context.Signer(), policy.RevocationDataAvailable)
	}
	return x.policy.Level(x.context.CA(), policy.RevocationDataAvailable)
}

// withoutEvidence validates the path again where it failed for the want of evidence and the policy does not refuse for
// that. Certificates of the path that no evidence names may pass then, and no others: whoever signed evidence needs
// some, and what names a certificate must be usable and good, so that nothing that is known to be revoked passes.
func (x *x509) withoutEvidence() {
	var tolerated []*[32]byte
	for i, c := range x.result.Chain {
		if x.available(i) < policy.Fail {
			tolerated = append(tolerated, &c.Fingerprint)
		}
	}
	missing := func(r path.Reason) bool { return r.Code == path.RevocationUnknown }
	if len(tolerated) == 0 || !slices.ContainsFunc(x.result.Reasons, missing) {
		return
	}
	request, rule := x.request, *x.request.Revocation
	check := rule.Check
	rule.Required = false
	rule.Check = func(q revocation.Question, responses []*revocation.Response, crls []*revocation.CRL) revocation.Result {
		found := check(q, responses, crls)
		if !slices.ContainsFunc(tolerated, func(f *[32]byte) bool { return *f == q.Certificate.Fingerprint }) {
			found.Named = true // as if something spoke of it: it is not let pass
		}
		return found
	}
	request.Revocation = &rule
	if again := path.Validate(x.budget.Context(), request); again.Valid {
		x.result = again
	}
}
