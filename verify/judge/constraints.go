package judge

import (
	"slices"
	"strings"
	"time"

	"trustcore/verify/certificate"
	"trustcore/verify/policy"
	"trustcore/verify/signature"
	"trustcore/verify/trace"
)

// constraint says what of a thing does not meet a constraint, "" where all does. Values and period are the policy's.
type constraint[T any] struct {
	name  policy.Name
	unmet func(thing T, c policy.Constraint) string
}

// hold holds a thing against constraints of a context. What is not met is refused or told, as the policy says.
func hold[T any](v *validator, list []constraint[T], in policy.Context, thing T) (refused, told []string) {
	for _, c := range list {
		asked := v.policy.Constraint(in, c.name)
		if asked.Level == policy.Ignore {
			continue
		}
		why := c.unmet(thing, asked)
		v.outcome(in, c.name, asked.Level, why)
		switch {
		case why == "":
		case asked.Level == policy.Fail:
			refused = append(refused, why)
		default:
			told = append(told, why)
		}
	}
	return refused, told
}

// held is a signature with what constraints ask beside it.
type held struct {
	*signature.Signature
	validator *validator
	signer    *certificate.Certificate // nil where it is not known
	best      time.Time                // proven
}

// constraints holds a signature against what the policy asks of its form (5.2.2), of its attributes and of its
// time-stamps (5.2.8). What is told is noted.
func (v *validator) constraints(r *Signature) (form, acceptance Conclusion) {
	s := held{r.Facts, v, r.Signer, r.BestSignatureTime}
	of := contextOf(r.Facts)
	form = v.block(trace.FormatChecking, time.Time{}, func() Conclusion {
		refused, told := hold(v, formal, of, s)
		r.Notes = append(r.Notes, told...)
		if len(refused) > 0 {
			return Conclusion{TotalFailed, FormatFailure, refused}
		}
		return passed()
	})
	acceptance = v.block(trace.SignatureAcceptance, r.BestSignatureTime, func() Conclusion {
		a, b := hold(v, attributes, of, s)
		c, d := hold(v, stamps, policy.Timestamp, s)
		r.Notes = slices.Concat(r.Notes, b, d)
		if refused := slices.Concat(a, c); len(refused) > 0 {
			return Conclusion{Indeterminate, SigConstraintsFailure, refused}
		}
		return passed()
	})
	return form, acceptance
}

// formal are the constraints on the form of a signature.
var formal = []constraint[held]{
	{policy.AcceptableFormats, func(s held, c policy.Constraint) string {
		if name := formatOf(s.Signature); !accepts(c.Values, name) {
			return "signatures of the format " + name + " are not accepted"
		}
		return ""
	}},
	{policy.SignatureDuplicated, func(s held, _ policy.Constraint) string {
		if s.Intact && s.validator.copies[copyOf(s.Signature)] > 1 {
			return "the file holds the signature more than once"
		}
		return ""
	}},
	{policy.FullScope, func(s held, _ policy.Constraint) string {
		if slices.ContainsFunc(s.References, func(r signature.Reference) bool { return IsContent(r.Type) && r.Found && !r.Full }) {
			return "only a part of what is signed is covered"
		}
		return ""
	}},
}

// attributes are the constraints on what a signature says of itself, and on what it carries.
var attributes = []constraint[held]{
	{policy.AcceptablePolicies, func(s held, c policy.Constraint) string {
		if !slices.ContainsFunc(policiesOf(s.Signature), func(p string) bool { return accepts(c.Values, p) }) {
			return "the signature's policy is not accepted: " + policiesOf(s.Signature)[0]
		}
		return ""
	}},
	{policy.SigningTime, func(s held, _ policy.Constraint) string { return missing(!s.SigningTime.IsZero(), "signing time") }},
	{policy.SigningTimeInCertRange, func(s held, _ policy.Constraint) string {
		at := s.SigningTime
		if s.signer != nil && !at.IsZero() && (at.Before(s.signer.NotBefore) || at.After(s.signer.NotAfter)) {
			return "the signing time is not within the validity of the signer's certificate"
		}
		return ""
	}},
	{policy.SigningCertificateDigestAlgorithm, func(s held, _ policy.Constraint) string {
		for _, u := range s.Algorithms {
			ok, why := s.validator.policy.Acceptable(contextOf(s.Signature), u.Algorithm, u.KeyBits, s.best)
			if u.Purpose == "signing-certificate" && !ok {
				return u.Algorithm + " (signing-certificate): " + why
			}
		}
		return ""
	}},
	{policy.ContentTimeStamp, stamped("content", signature.ContentTimestamp, signature.AllDataTimestamp, signature.IndividualData)},
	{policy.SignatureTimeStamp, stamped("signature", signature.SignatureTimestamp)},
	{policy.ValidationDataTimeStamp, stamped("validation data", signature.SigAndRefs)},
	{policy.ValidationDataRefsOnlyTimeStamp, stamped("references-only", signature.RefsOnlyTimestamp)},
	{policy.ArchiveTimeStamp, stamped("archive", signature.ArchiveTimestamp)},
	{policy.DocumentTimeStamp, stamped("document", signature.DocumentTimestamp)},
	{policy.TLevelTimeStamp, func(s held, _ policy.Constraint) string {
		return missing(s.best.Before(s.validator.at), "time-stamp that proves its age")
	}},
	{policy.LTALevelTimeStamp, func(s held, _ policy.Constraint) string {
		valid := func(t *signature.Timestamp) bool { return archives[t.Type] && s.validator.out.Timestamps[t].passed() }
		return missing(slices.ContainsFunc(s.Timestamps, valid), "valid time-stamp over its evidence")
	}},
	{policy.CounterSignatureThere, func(s held, _ policy.Constraint) string {
		return missing(s.validator.countersigned[s.ID], "counter-signature")
	}},
}

// stamps are the constraints on time-stamps that are asked of the signature which carries them.
var stamps = []constraint[held]{
	{policy.TimestampDelay, func(s held, c policy.Constraint) string {
		if !s.SigningTime.IsZero() && s.best.After(s.SigningTime.Add(c.Period)) {
			return "the signature is not proven to have existed within " + c.Period.String() + " of its signing time"
		}
		return ""
	}},
	{policy.TimestampValid, func(s held, _ policy.Constraint) string {
		broken := func(t *signature.Timestamp) bool {
			return t.Type == signature.SignatureTimestamp && !s.validator.out.Timestamps[t].passed()
		}
		if slices.ContainsFunc(s.Timestamps, broken) {
			return "a time-stamp of the signature is not valid"
		}
		return ""
	}},
}

// stamped asks for a time-stamp of one of the types.
func stamped(what string, types ...signature.TimestampType) func(held, policy.Constraint) string {
	return func(s held, _ policy.Constraint) string {
		has := func(t *signature.Timestamp) bool { return slices.Contains(types, t.Type) }
		return missing(slices.ContainsFunc(s.Timestamps, has), what+" time-stamp")
	}
}

// missing says that something is not there.
func missing(there bool, what string) string {
	if there {
		return ""
	}
	return "there is no " + what
}

// accepts reports whether a list accepts a value that is there: by name, or all by "*".
func accepts(list []string, value string) bool {
	return value != "" && (slices.Contains(list, "*") || slices.Contains(list, value))
}

// formatOf is DSS's name of format and level, such as "XAdES-BASELINE-LT".
func formatOf(s *signature.Signature) string {
	switch s.Format {
	case signature.XMLDSig:
		return "XML-NOT-ETSI"
	case signature.PDF:
		return "PDF-NOT-ETSI"
	case signature.JWS:
		return "JSON-NOT-ETSI"
	case signature.CMS:
		return "PKCS7-" + s.Level
	}
	return string(s.Format) + "-" + strings.Replace(s.Level, "B-", "BASELINE-", 1)
}

// policiesOf are DSS's names for the signature policy of a signature, the most telling first.
func policiesOf(s *signature.Signature) []string {
	switch s.PolicyOID {
	case "":
		return []string{"NO_POLICY"}
	case "implied":
		return []string{"IMPLICIT_POLICY", "ANY_POLICY"}
	}
	return []string{s.PolicyOID, "ANY_POLICY"}
}

// place is what copies of one signature in one file have in common.
type place struct {
	value    [32]byte
	filename string
}

func copyOf(s *signature.Signature) place { return place{s.Value, s.Filename} }

// among counts the copies of each signature of a document, and tells which ones are countersigned.
func (v *validator) among(signatures []*signature.Signature) {
	v.copies, v.countersigned = map[place]int{}, map[string]bool{}
	for _, s := range signatures {
		v.copies[copyOf(s)]++
		v.countersigned[s.CounterSignatureOf] = true
	}
}
