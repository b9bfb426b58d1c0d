package judge

import (
	"slices"
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
	if !r.Chain.Covered || !v.stampsCovered(s) {
		return withoutEvidence(level, s)
	}
	return level
}

// stampsCovered reports whether the document has evidence for the units of all time-stamps but the last archive
// time-stamp, whose evidence comes with the next one.
func (v *validator) stampsCovered(s *signature.Signature) bool {
	last := -1
	for i, t := range s.Timestamps {
		if archives[t.Type] && (last < 0 || !t.Time.Before(s.Timestamps[last].Time)) {
			last = i
		}
	}
	for i, t := range s.Timestamps {
		if i != last && !v.out.Timestamps[t].covered {
			return false
		}
	}
	return true
}

// archives are the types of time-stamps over what came before, evidence included.
var archives = map[signature.TimestampType]bool{
	signature.ArchiveTimestamp: true, signature.DocumentTimestamp: true, signature.ContainerTimestamp: true,
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

// withoutEvidence is the level that is left where the evidence does not reach up to the anchor: the time-stamp, and
// above it references to evidence that have a time-stamp of their own.
func withoutEvidence(level string, s *signature.Signature) string {
	referring := slices.ContainsFunc(s.Timestamps, func(t *signature.Timestamp) bool {
		return t.Type == signature.SigAndRefs || t.Type == signature.RefsOnlyTimestamp
	})
	switch level {
	case "A", "ERS", "XL":
		if referring {
			return "X"
		}
	}
	switch level {
	case "B-LT", "B-LTA", "ERS":
		return "B-T"
	case "LT", "LTA", "A":
		return "T"
	case "XL":
		return "C"
	}
	return level
}
