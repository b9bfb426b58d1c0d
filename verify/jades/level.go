package jades

import (
	"slices"
	"time"

	"trustcore/internal/jws"
	"trustcore/verify/cache"
	"trustcore/verify/signature"
)

// sigTEnds is when sigT stopped being a claim of the signing time in new signatures (TS 119 182-1, 6.3, requirement a).
var sigTEnds = time.Date(2025, 5, 15, 0, 0, 0, 0, time.UTC)

// level names the level by the components that are there, as table 1 of TS 119 182-1 defines it. It says nothing about
// whether they are valid. What does not meet the first row is a plain JWS.
func (s *signed) level() string {
	if !s.baseline() {
		return ""
	}
	s.facts.Format = signature.JAdES
	switch {
	case !s.stamped(signature.SignatureTimestamp) || !s.stampedInTime():
		return "B-B"
	case s.has("xRefs", "axRefs", "rRefs", "arRefs", "sigRTst", "rfsTst") || !s.hasRevocation():
		return "B-T"
	case !s.stamped(signature.ArchiveTimestamp):
		return "B-LT"
	}
	return "B-LTA"
}

// baseline is the B-B row: one reference to the signing certificate, one signing time, crit as it should be.
func (s *signed) baseline() bool {
	h := s.jws.Protected
	references := 0
	for _, name := range [...]string{"x5t#S256", "x5t#o", "sigX5ts"} {
		if v := h.Member(name); v != nil && (!v.Is(jws.Array) || len(v.Items()) > 0) {
			references++
		}
	}
	late := h.Member("iat") == nil && !s.facts.SigningTime.Before(sigTEnds)
	switch {
	case !s.crit, references != 1, s.facts.SigningTime.IsZero(), late:
		return false
	case s.parent != nil && h.Member("cty") != nil, h.Member("sigD") != nil && !s.jws.Lists("sigD"):
		return false
	}
	return s.policyStores()
}

// policyStores: sigPSt stands there once at most, and beside the digest of a policy (requirement b).
func (s *signed) policyStores() bool {
	n := 0
	for _, it := range s.unsigned {
		if it.name == "sigPSt" {
			n++
		}
	}
	return n == 0 || n == 1 && s.jws.Protected.Member("sigPId").Member("digVal").Is(jws.String)
}

// has tells whether one of the properties is there.
func (s *signed) has(names ...string) bool {
	return slices.ContainsFunc(s.unsigned, func(it item) bool { return slices.Contains(names, it.name) })
}

// stamped tells whether a token of the kind is there that can be read.
func (s *signed) stamped(kind signature.TimestampType) bool {
	return slices.ContainsFunc(s.stamps, func(t stamped) bool { return t.fact.Type == kind && !t.fact.Time.IsZero() })
}

// stampedInTime tells whether each sigTst holds one token, made before the signer's certificate ended (requirements c
// and d).
func (s *signed) stampedInTime() bool {
	var end time.Time
	if s.facts.Signer != nil && s.budget.Work(perCertificate) == nil {
		if c, err := cache.Of(s.budget.Context()).Parse(s.facts.Signer); err == nil {
			end = c.NotAfter
		}
	}
	for _, it := range s.unsigned {
		if it.name == "sigTst" && len(it.value.Member("tstTokens").Items()) != 1 {
			return false
		}
	}
	for _, t := range s.stamps {
		if t.fact.Type == signature.SignatureTimestamp && !end.IsZero() && t.fact.Time.After(end) {
			return false
		}
	}
	return true
}

// hasRevocation tells whether revocation data travel in the unsigned properties.
func (s *signed) hasRevocation() bool {
	return slices.ContainsFunc(s.unsigned, func(it item) bool { return len(it.values.CRLs)+len(it.values.OCSPs) > 0 })
}
