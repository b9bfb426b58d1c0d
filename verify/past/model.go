package past

import (
	"time"

	"trustcore/verify/certificate"
	"trustcore/verify/path"
	"trustcore/verify/revocation"
)

// A Model says at which time each certificate of a chain must have been valid.
type Model uint8

// The models of validity.
const (
	// Shell: all certificates at one time, that of the signature. A revocation counts from its date on.
	Shell Model = iota
	// Chain: each certificate when it was used, the target for the signature, a CA's for the certificate below. What
	// happened to a CA later does no harm, unless its key may have fallen into other hands: then the date of what it signed
	// says nothing, and the revocation counts as in the shell model.
	Chain
	// RFC5280: all certificates at the time of validation, as path.Validate judges. A revocation counts whatever its date.
	RFC5280
)

var modelNames = [...]string{"shell", "chain", "RFC 5280"}

// String is the model's name in reports.
func (m Model) String() string { return modelNames[m] }

// A Subject is a chain that was built and whose signatures verify, with what is known of its revocation.
type Subject struct {
	Chain  []*certificate.Certificate // the target first, the anchor not included
	Anchor *path.Anchor

	// Revocation holds the newest known status of each certificate of Chain; what is missing is unknown. A good Result
	// without ThisUpdate stands for a certificate about which nothing is published.
	Revocation []revocation.Result
	// Freshness is the greatest accepted age of a good status at the time that counts for its certificate, see Fresh. The
	// model RFC5280 leaves the age of evidence to whoever checked it.
	Freshness *time.Duration
}

// Judge says whether the chain was valid at a time under a model: for Shell and Chain the time at which the signature is
// proven to have existed, for RFC5280 that of validation. The anchor must count at that time in every model. Of several
// reasons the target's comes first (EN 319 102-1 5.2.6.4), and a revocation before an expiry.
func Judge(m Model, s Subject, at time.Time) Reason {
	if why := anchorAt(s.Anchor, at); why != "" {
		return reason(AnchorOutOfTime, nil, len(s.Chain), at, why)
	}
	for i, c := range s.Chain {
		if isAnchor(s.Anchor, c) {
			continue
		}
		if r := m.judge(s, i, at); r.Code != OK {
			return r
		}
	}
	return Reason{}
}

// judge takes one certificate.
func (m Model) judge(s Subject, i int, at time.Time) Reason {
	c, used, status := s.Chain[i], m.usedAt(s.Chain, i, at), revocation.Result{Code: revocation.NoEvidence}
	if i < len(s.Revocation) {
		status = s.Revocation[i]
	}
	if m.revoked(status, i, used, at) {
		return reason(codeOfRevoked(status), c, i, used, since(status))
	}
	if used.Before(c.NotBefore) {
		return reason(NotYetValid, c, i, used, "before "+date(c.NotBefore))
	}
	// What is known to be revoked later was not revoked at the time, and needs no more evidence.
	unrevoked := status.Status == revocation.Revoked ||
		status.Status == revocation.Good && (m == RFC5280 || fresh(status, used, s.Freshness))
	if used.After(c.NotAfter) {
		r := reason(Expired, c, i, used, "on "+date(c.NotAfter))
		if i == 0 && status.Status == revocation.Good {
			r.SubIndication = OutOfBoundsNotRevoked
		}
		return r
	}
	if !unrevoked {
		return reason(StatusUnknown, c, i, used, unknown(status))
	}
	return Reason{}
}

// usedAt returns the time at which the i-th certificate must have been valid. A certificate's notBefore stands for the time
// of its issue, which nothing else tells.
func (m Model) usedAt(chain []*certificate.Certificate, i int, at time.Time) time.Time {
	if m == Chain && i > 0 {
		return chain[i-1].NotBefore
	}
	return at
}

// revoked reports whether a revocation counts against a certificate that was used at one time, under a signature of another.
func (m Model) revoked(r revocation.Result, i int, used, at time.Time) bool {
	if r.Status != revocation.Revoked {
		return false
	}
	if m == Chain && i > 0 && compromised(r.Reason) {
		used = at
	}
	return m == RFC5280 || !r.RevocationTime.After(used) // a date that cannot be read is zero, and counts from ever
}

// compromised reports whether a key may have been in other hands: for compromise, and where no reason is told
// (EN 319 102-1 5.6.2.2 (2)(b)).
func compromised(r revocation.Reason) bool {
	switch r {
	case revocation.NoReason, revocation.Unspecified, revocation.KeyCompromise, revocation.CACompromise, revocation.AACompromise:
		return true
	}
	return false
}

// anchorAt says what keeps an anchor from counting at a time.
func anchorAt(a *path.Anchor, at time.Time) string {
	if a == nil {
		return "no anchor"
	}
	if start := opening(a); at.Before(start) {
		return "from " + date(start)
	}
	if end := Sunset(a); !end.IsZero() && at.After(end) {
		return "until " + date(end)
	}
	return ""
}

// opening returns the time from which an anchor counts, zero where it always did.
func opening(a *path.Anchor) time.Time {
	if a.Validity && a.Certificate.NotBefore.After(a.NotBefore) {
		return a.Certificate.NotBefore
	}
	return a.NotBefore
}

// Sunset returns the time until which an anchor counts, zero where no end is known (EN 319 102-1 5.6.2.2 (1)).
func Sunset(a *path.Anchor) time.Time {
	if a.Validity && (a.NotAfter.IsZero() || a.Certificate.NotAfter.Before(a.NotAfter)) {
		return a.Certificate.NotAfter
	}
	return a.NotAfter
}

// isAnchor reports whether a certificate of the chain is the anchor's own: trust in it comes from outside.
func isAnchor(a *path.Anchor, c *certificate.Certificate) bool {
	return a != nil && a.Certificate != nil && a.Certificate.Fingerprint == c.Fingerprint
}

func codeOfRevoked(r revocation.Result) Code {
	if r.Code == revocation.CertificateOnHold {
		return OnHold
	}
	return Revoked
}

func since(r revocation.Result) string {
	text := string(r.Code)
	if !r.RevocationTime.IsZero() {
		text += " since " + date(r.RevocationTime)
	}
	return text
}

func unknown(r revocation.Result) string {
	if r.Status == revocation.Good {
		return "the evidence of " + date(r.ThisUpdate) + " is not fresh"
	}
	if r.Detail != "" {
		return string(r.Code) + ": " + r.Detail
	}
	return string(r.Code)
}

func date(t time.Time) string { return t.UTC().Format(time.RFC3339) }
