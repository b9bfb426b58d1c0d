package judge

import (
	"time"

	"trustcore/verify/signature"
)

// level is what is left of the level that a signature has the form of, by the minimal requirements of DSS: a time-stamp of
// the certificate's time for T; for LT and above evidence up to the anchor, for the signer and for whoever proves its age.
func (v *validator) level(s *signature.Signature, r *Signature) string {
	level := s.Level
	if outOfTime(s, r.Signer.NotAfter) {
		level = withoutTime(level)
	}
	if !r.Chain.Covered {
		return withoutEvidence(level)
	}
	for _, t := range s.Timestamps {
		if j := v.out.Timestamps[t]; t.Type == signature.SignatureTimestamp && !j.covered {
			return withoutEvidence(level)
		}
	}
	return level
}

// outOfTime reports whether all signature time-stamps are from after the end of the signer's certificate (EN 319 132-1 6.3,
// EN 319 122-1 6.3; PAdES does not ask).
func outOfTime(s *signature.Signature, end time.Time) bool {
	stamped := false
	for _, t := range s.Timestamps {
		if t.Type == signature.SignatureTimestamp {
			stamped = true
			if !t.Time.After(end) {
				return false
			}
		}
	}
	return stamped && (s.Format == signature.XAdES || s.Format == signature.CAdES)
}

// withoutTime is the level that is left where no time-stamp is of the certificate's time.
func withoutTime(level string) string {
	switch level {
	case "B-T", "B-LT", "B-LTA":
		return "B-B"
	}
	return level
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
