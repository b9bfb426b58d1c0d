package judge

import "trustcore/verify/signature"

// level is what is left of the level that a signature has the form of: evidence must reach up to the anchor for the
// signer and for the time-stamps that prove its age.
func (v *validator) level(s *signature.Signature, chain *Chain) string {
	if !chain.Covered {
		return withoutEvidence(s.Level)
	}
	for _, t := range s.Timestamps {
		if r := v.out.Timestamps[t]; t.Type == signature.SignatureTimestamp && !r.covered {
			return withoutEvidence(s.Level)
		}
	}
	return s.Level
}

// withoutEvidence is the level that is left where the evidence does not reach up to the anchor.
func withoutEvidence(level string) string {
	switch level {
	case "B-LT", "B-LTA":
		return "B-T"
	case "LT", "LTA":
		return "T"
	case "XL":
		return "X"
	}
	return level
}
