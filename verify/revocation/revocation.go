// Package revocation reads CRLs (RFC 5280 5) and OCSP responses (RFC 6960, 5019, 9654) and says from them whether a
// certificate was revoked. All judging functions are pure: evidence and time in, Result out. They fetch nothing, read
// no clock and keep no state. Validation of a CRL issuer's path is a function that the caller gives.
package revocation

import (
	"crypto/sha256"
	"slices"
	"time"

	"trustcore/internal/budget"
	"trustcore/verify/algorithm"
	"trustcore/verify/certificate"
)

// Status is what the evidence says about one certificate.
type Status int

// The statuses. Only Good permits reliance.
const (
	Unknown Status = iota // no evidence names the certificate, or the responder does not know it
	Good                  // usable evidence, not revoked
	Revoked               // revoked, on hold, or never issued; RevocationTime says since when
	Invalid               // evidence names the certificate and none of it can be used; Code says why
)

var statusNames = [...]string{"unknown", "good", "revoked", "invalid"}

// String is the name of the status in reports: "good", "revoked", "unknown", "invalid".
func (s Status) String() string {
	if s >= 0 && int(s) < len(statusNames) {
		return statusNames[s]
	}
	return "unknown"
}

// Code is the closed set of reasons for a status other than Good. Its text is what reports show.
type Code string

// The codes.
const (
	NoEvidence           Code = "no revocation information names the certificate"
	CertificateRevoked   Code = "the certificate is revoked"
	CertificateOnHold    Code = "the certificate is on hold"
	NeverIssued          Code = "the responder says that the certificate was never issued (RFC 6960 2.2)"
	StatusUnknown        Code = "the responder does not know the certificate"
	NotYetValid          Code = "issued after the time of validation"
	Stale                Code = "nextUpdate has passed"
	NotFresh             Code = "older than the freshness that is asked for"
	TooEarly             Code = "issued before the earliest time that serves"
	NoNextUpdate         Code = "without nextUpdate, and no policy says how long it serves"
	BeforeIssuance       Code = "issued before the certificate became valid"
	ExpiredNotCovered    Code = "the certificate had expired before, and the issuer does not say that it keeps expired certificates"
	BadSignature         Code = "the signature does not verify"
	UnsupportedAlgorithm Code = "signed with an algorithm that is not known"
	SignerNotFound       Code = "no certificate of the signer was found"
	SignerNotAuthorised  Code = "the signer is not authorised"
	SignerNotTrusted     Code = "the signer's own certificate is not trusted"
	OutOfScope           Code = "the scope does not cover the certificate"
	ReasonsNotCovered    Code = "not all reasons for revocation are covered"
	UnknownCritical      Code = "critical extension that is not known"
	Malformed            Code = "malformed"
	DeltaWithoutBase     Code = "delta CRL without its base"
	ResponderError       Code = "the responder answered with an error"
	NonceMismatch        Code = "nonce of another request"
	NonceMissing         Code = "without the nonce that is asked for"
	HashMismatch         Code = "certHash is that of another certificate"
	CertIDMismatch       Code = "answers for another certificate"
	WeakAlgorithm        Code = "signed with an algorithm that may not be relied on"
	NotStrict            Code = "departs from the profile"
	BudgetSpent          Code = "the budget of the document is spent"
)

// Outdated reports whether the code is about evidence that would serve at another time: other evidence may settle the matter,
// which is TRY_LATER (EN 319 102-1 5.2.6).
func (c Code) Outdated() bool {
	return c == NotYetValid || c == Stale || c == NotFresh || c == NoNextUpdate
}

// Reason is a CRLReason (RFC 5280 5.3.1).
type Reason int

// The reasons. NoReason stands for an absent extension and means the same as Unspecified.
const (
	NoReason             Reason = -1
	Unspecified          Reason = 0
	KeyCompromise        Reason = 1
	CACompromise         Reason = 2
	AffiliationChanged   Reason = 3
	Superseded           Reason = 4
	CessationOfOperation Reason = 5
	CertificateHold      Reason = 6
	RemoveFromCRL        Reason = 8
	PrivilegeWithdrawn   Reason = 9
	AACompromise         Reason = 10
)

// Result is the answer about one certificate.
type Result struct {
	Status Status
	Code   Code   // empty for Good
	Detail string // what the code is about, for people: an OID, a name, an error
	Source string // "CRL" or "OCSP", empty where nothing served

	// Named is true when some evidence is about the certificate, usable or not.
	Named bool

	RevocationTime time.Time // of Revoked; zero where the entry's date cannot be read
	Reason         Reason    // of Revoked
	InvalidityDate time.Time // of Revoked, where the entry has it (RFC 5280 5.3.2)

	ThisUpdate time.Time // of the evidence that decided
	NextUpdate time.Time // zero where absent
	ProducedAt time.Time // OCSP

	// Positive is true when the responder proves to know the certificate: certHash matches.
	Positive bool

	Evidence [][sha256.Size]byte        // SHA-256 of the DER that decided
	Signers  []*certificate.Certificate // who signed it, the issuing key aside
	ByIssuer bool                       // the issuing key itself signed some of it
	Notes    []string                   // tolerated oddities
	Uses     []Use                      // algorithms of the signatures relied on, those under delegates' certificates too
}

// signedBy enters who signed the evidence; nil is the issuing key.
func (r *Result) signedBy(signer *certificate.Certificate) {
	if r.ByIssuer = signer == nil; !r.ByIssuer {
		r.Signers = []*certificate.Certificate{signer}
	}
}

// Use is one use of a signature algorithm, to be judged at the time at which its object is proven to have existed
// (EN 319 102-1 5.5.4).
type Use struct {
	Algorithm string            // registry name of verify/algorithm; "" where it has none, which no table lists
	Bits      int               // of the key
	Object    [sha256.Size]byte // SHA-256 of the DER of the answer, list or certificate that is signed
}

// OctetCost is what it costs to parse an octet of a CRL or an OCSP response, in units of internal/budget.
const OctetCost = 4

// AnyAge lets evidence without nextUpdate serve for ever.
const AnyAge time.Duration = 1<<63 - 1

// Question asks about one certificate at one time. Certificate, IssuerName, IssuerKey and Time are needed.
type Question struct {
	Certificate *certificate.Certificate
	IssuerName  certificate.Name         // subject of the issuer as the path has it
	IssuerKey   *algorithm.PublicKey     // the key that signed Certificate
	Issuer      *certificate.Certificate // nil for an anchor that is a name and a key only
	Time        time.Time                // the validation time (control time)

	// Freshness, where not nil, replaces the check of nextUpdate: evidence serves when thisUpdate > Time - Freshness
	// (EN 319 102-1 5.2.5).
	Freshness *time.Duration
	// MaxAge, where positive, refuses older evidence besides the check of nextUpdate.
	MaxAge time.Duration
	// WithoutNextUpdate is how long evidence without nextUpdate serves; 0 is never (EN 319 102-1 5.2.5), see AnyAge.
	WithoutNextUpdate time.Duration
	// IssuedAfter, where not zero, refuses evidence whose thisUpdate is before it (grace period).
	IssuedAfter time.Time
	// AfterIssuance refuses evidence from before the certificate's notBefore.
	AfterIssuance bool
	// Strict also refuses evidence that departs from what RFC 5280 5.2 and RFC 6960 4.2.2.1 ask of issuers: a cRLNumber that is
	// missing, extensions of the wrong criticality, answers that were produced before what they say or before the certificate.
	Strict bool
	// Acceptable judges the signatures that good news rests on; what it refuses is left out. Nil takes what verifies. What
	// revokes counts however it is signed.
	Acceptable func(u Use) (ok bool, reason string)
	// KeptSince, where not zero, says that the issuer's services keep certificates that expired after it, as a trusted list may
	// declare (ExpiredCertsRevocationInfo, TS 119 612 5.5.9.1); expiredCertsOnCRL and archiveCutoff count besides.
	KeptSince time.Time
	// Skew is how far clocks may differ in checks against Time.
	Skew time.Duration

	// Nonce, where not nil, is that of the request: another one in the answer is refused, an absent one only with
	// NonceRequired (RFC 9654 2.1, RFC 5019 4).
	Nonce         []byte
	NonceRequired bool

	// CRLIssuers gives the certificates whose subject is name: other keys of the issuer (rollover) and issuers of
	// indirect CRLs. Nil: only IssuerKey may sign.
	CRLIssuers func(name certificate.Name) []*certificate.Certificate
	// Trusted says whether a certificate from CRLIssuers has a valid path to the anchor of Certificate's own path
	// (RFC 5280 6.3.3 f); nil trusts none. It is asked only after the CRL's signature was verified. A certificate whose own
	// validation is under way must be answered with nil, else CRL issuers that revoke themselves never end (PKITS 4.14.30).
	Trusted func(signer *certificate.Certificate) error

	// LocalResponder says whether a responder is trusted by local configuration, such as a trusted list's
	// OCSP service (RFC 6960 4.2.2.2); nil: none.
	LocalResponder func(responder *certificate.Certificate) bool
	// Responders are further certificates to look for the responder in.
	Responders []*certificate.Certificate
	// DelegateRevoked asks about the revocation of a delegate without id-pkix-ocsp-nocheck; nil does not ask.
	DelegateRevoked func(delegate *certificate.Certificate) error

	// Budget, where not nil, is spent for looking through evidence. Signatures are for Verify to spend for.
	Budget *budget.Budget
	// Verify checks signatures, perhaps with a cache; nil computes.
	Verify func(scheme algorithm.Scheme, key *algorithm.PublicKey, signed Signed) ([]string, error)
}

// Signed is an object with a signature over a part of it.
type Signed struct {
	Object             [sha256.Size]byte // SHA-256 of the DER that Message and Signature are parts of
	Message, Signature []byte
}

// maxResponseTries bounds the OCSP responses about one certificate whose signatures are checked: each may cost several public-key
// operations, and a document may carry thousands.
const maxResponseTries = 32

// Check judges OCSP responses and CRLs together: what does not serve at the time is left out, of the rest the newest
// (by thisUpdate) decides. Where nothing serves the Result tells why of the evidence that came closest.
func Check(q Question, responses []*Response, crls []*CRL) Result {
	best := Result{Code: NoEvidence}
	for i, r := range q.newestAbout(responses) {
		if i == maxResponseTries || best.decided() && r.thisUpdate.Before(best.ThisUpdate) {
			break
		}
		best = q.prefer(best, CheckOCSP(q, r.response))
	}
	if len(crls) > 0 {
		best = q.prefer(best, CheckCRL(q, crls))
	}
	if q.spent() {
		return Result{Status: Invalid, Code: BudgetSpent, Named: true} // what was not looked at may say otherwise
	}
	return best
}

// datedResponse is a response with its newest answer about the certificate.
type datedResponse struct {
	response   *Response
	thisUpdate time.Time
}

// newestAbout are the responses that name the certificate, those that serve first, newest first.
func (q *Question) newestAbout(responses []*Response) (list []datedResponse) {
	serving := 0
	for _, r := range responses {
		dated, serves := datedResponse{response: r}, false
		singles := q.matching(r)
		for _, s := range singles {
			if s.ThisUpdate.After(dated.thisUpdate) {
				dated.thisUpdate = s.ThisUpdate
			}
			if _, ok := q.serves(s.ThisUpdate, s.NextUpdate); ok {
				serves = true
			}
		}
		if len(singles) == 0 {
			continue
		}
		list = append(list, dated)
		if serves {
			last := len(list) - 1
			list[serving], list[last] = list[last], list[serving]
			serving++
		}
	}
	newest := func(a, b datedResponse) int { return b.thisUpdate.Compare(a.thisUpdate) }
	slices.SortStableFunc(list[:serving], newest)
	slices.SortStableFunc(list[serving:], newest)
	return list
}

// decided reports whether usable evidence stands behind the result.
func (r *Result) decided() bool {
	return r.Status == Good || r.Status == Revoked || r.Code == StatusUnknown
}

// prefer chooses the newer of two decided results, a decided one before any other, and on equal times the worse.
func (q *Question) prefer(a, b Result) Result {
	named := a.Named || b.Named
	better := a
	switch {
	case b.decided() && !a.decided():
		better = b
	case b.decided() && a.decided():
		if b.ThisUpdate.After(a.ThisUpdate) || b.ThisUpdate.Equal(a.ThisUpdate) && severity(b) > severity(a) {
			better = b
		}
	case !a.decided() && !b.decided() && (!a.Named && b.Named || a.Code == NoEvidence):
		better = b
	}
	better.Named = named
	return better
}

// severity orders decided results: revoked, unknown, good.
func severity(r Result) int {
	switch {
	case r.Status == Revoked:
		return 2
	case r.Status == Unknown:
		return 1
	}
	return 0
}

// serves applies the rules of time to evidence.
func (q *Question) serves(thisUpdate, nextUpdate time.Time) (Code, bool) {
	age := q.Time.Sub(thisUpdate)
	switch {
	case thisUpdate.After(q.Time.Add(q.Skew)):
		return NotYetValid, false
	case !q.IssuedAfter.IsZero() && thisUpdate.Before(q.IssuedAfter):
		return TooEarly, false
	case q.AfterIssuance && thisUpdate.Before(q.Certificate.NotBefore):
		return BeforeIssuance, false
	case q.Freshness != nil:
		return NotFresh, age < *q.Freshness
	case q.MaxAge > 0 && age > q.MaxAge+q.Skew:
		return NotFresh, false
	case nextUpdate.IsZero():
		return NoNextUpdate, age <= q.WithoutNextUpdate
	case q.Time.After(nextUpdate.Add(q.Skew)):
		return Stale, false
	}
	return "", true
}

// covers says whether the issuer still has information about the certificate: it had not expired at thisUpdate, or
// expired ones are kept since a date (expiredCertsOnCRL, archiveCutoff).
func (q *Question) covers(thisUpdate, keptSince time.Time) bool {
	notAfter := q.Certificate.NotAfter
	kept := func(since time.Time) bool { return !since.IsZero() && !notAfter.Before(since) }
	return !notAfter.Before(thisUpdate) || kept(keptSince) || kept(q.KeptSince)
}

// Refuses says why good news is not taken for the algorithms that it rests on; "" takes it.
func (q *Question) Refuses(uses []Use) string {
	if q.Acceptable == nil {
		return ""
	}
	for _, u := range uses {
		if ok, why := q.Acceptable(u); !ok {
			return why
		}
	}
	return ""
}

// work spends of the budget.
func (q *Question) work(units int64) {
	if q.Budget != nil {
		_ = q.Budget.Work(units) // it stays: spent is asked before the next step
	}
}

func (q *Question) spent() bool { return q.Budget != nil && q.Budget.Err() != nil }

// verify checks a signature with the caller's function or without.
func (q *Question) verify(scheme algorithm.Scheme, key *algorithm.PublicKey, signed Signed) ([]string, error) {
	if q.Verify != nil {
		return q.Verify(scheme, key, signed)
	}
	return scheme.Verify(key, signed.Message, signed.Signature)
}
