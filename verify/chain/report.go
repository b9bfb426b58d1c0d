package chain

import (
	"encoding/hex"
	"slices"
	"strings"
	"time"

	"trustcore/verify/certificate"
	"trustcore/verify/judge"
	"trustcore/verify/path"
	"trustcore/verify/poland"
	"trustcore/verify/prose"
	"trustcore/verify/revocation"
)

// Report is what Judge says. It is plain data, made to be kept.
type Report struct {
	Valid         bool      `json:"valid"`
	Indication    string    `json:"indication"`     // "PASSED" or "INDETERMINATE" (EN 319 102-1 5.2.6)
	SubIndication *string   `json:"sub_indication"` // null when passed
	Time          time.Time `json:"validation_time"`
	Revocation    Mode      `json:"revocation_mode"`

	Policy        string `json:"policy"` // the validation policy's name
	PolicyVersion string `json:"policy_version"`
	PolicyDigest  string `json:"policy_digest"` // SHA-256 of its canonical data, lower-case hex

	// Reasons say why the certificate is not valid, the weightiest first.
	Reasons []Reason `json:"reasons"`
	Notes   []string `json:"notes,omitempty"` // oddities that were tolerated

	// Chain is the path, or as much of it as was found: the certificate first, the anchor last.
	Chain []Link `json:"chain"`

	Policies []string `json:"policies"` // valid for the path (RFC 5280 6.1.6): "any", or identifiers

	AtIssuance   Qualification `json:"qualification_at_issuance"`
	AtValidation Qualification `json:"qualification_at_validation"`

	// Problems say which sources of evidence did not answer; the caller fills them in.
	Problems []string `json:"problems,omitempty"`
	// TryAgain is the earliest time at which asking again may give another verdict, see Wait; null where waiting does not help.
	TryAgain *time.Time `json:"try_again,omitempty"`

	people *poland.Numbers // of the persons that the chain names; nil where they are shown as they are
}

// Wait fills in TryAgain where evidence was not to be had. Later says of certificates, by the SHA-256 of their DER, when their
// sources may be asked again.
func (r *Report) Wait(later map[[32]byte]time.Time) {
	if r.SubIndication == nil || *r.SubIndication != string(judge.TryLater) && *r.SubIndication != string(judge.NoCertificateChainFound) {
		return
	}
	for fingerprint, t := range later {
		named := func(l Link) bool { return l.SHA256 == hex.EncodeToString(fingerprint[:]) }
		if slices.ContainsFunc(r.Chain, named) && (r.TryAgain == nil || t.After(*r.TryAgain)) {
			r.TryAgain = &t
		}
	}
}

// Reason is one thing that is wrong.
type Reason struct {
	Code     string `json:"code"`
	Position int    `json:"certificate"` // index in the chain
	Clause   string `json:"clause,omitempty"`
	Detail   string `json:"detail,omitempty"`
}

// Link is one certificate of the chain.
type Link struct {
	SHA256    string     `json:"sha256,omitempty"` // lower-case hex; absent for an anchor that is a bare key
	Subject   string     `json:"subject"`
	Issuer    string     `json:"issuer,omitempty"`
	Serial    string     `json:"serial_number,omitempty"` // lower-case hex
	NotBefore *time.Time `json:"not_before,omitempty"`
	NotAfter  *time.Time `json:"not_after,omitempty"`
	Anchor    bool       `json:"anchor,omitempty"`
	Service   string     `json:"service,omitempty"` // of a trusted list, that makes it an anchor
	Checks    []Check    `json:"checks"`
	Status    *Status    `json:"revocation,omitempty"`

	Certificate *certificate.Certificate `json:"-"` // nil for a bare key
}

// State is the outcome of a check.
type State string

// The states.
const (
	Passed     State = "passed"
	Failed     State = "failed"
	NotChecked State = "not checked"
)

// Check is one check of one certificate.
type Check struct {
	Name   string `json:"check"`
	State  State  `json:"state"`
	Reason string `json:"reason,omitempty"`
}

// Status is what is known of revocation.
type Status struct {
	Status     string     `json:"status"` // "good", "revoked", "unknown", "invalid"
	Code       string     `json:"code,omitempty"`
	Detail     string     `json:"detail,omitempty"`
	Source     string     `json:"source,omitempty"` // "CRL" or "OCSP"
	ThisUpdate *time.Time `json:"this_update,omitempty"`
	NextUpdate *time.Time `json:"next_update,omitempty"`
	RevokedAt  *time.Time `json:"revoked_at,omitempty"`
	Reason     string     `json:"reason,omitempty"`   // CRLReason
	Evidence   []string   `json:"evidence,omitempty"` // SHA-256 of the DER that decided
}

// Qualification says what the trusted lists make of the certificate, in the words of DSS.
type Qualification struct {
	Level     string   `json:"level"` // such as "QCert for ESig with QSCD"; "N/A" where no service issued it
	Qualified bool     `json:"qualified"`
	Device    bool     `json:"qscd"`
	Provider  string   `json:"provider,omitempty"`
	Because   []string `json:"because,omitempty"`
}

// The checks, in the order of a reader's questions.
const (
	checkIssuer     = "issuer found"
	checkSignature  = "signature"
	checkValidity   = "validity"
	checkAlgorithm  = "algorithm"
	checkForm       = "form"
	checkCA         = "authority"
	checkNames      = "names"
	checkPolicies   = "policies"
	checkPurpose    = "purpose"
	checkRevocation = "revocation"
)

// checkOf files the reasons of path under the checks.
var checkOf = map[path.Code]string{
	path.NoPath: checkIssuer, path.NoAnchor: checkIssuer, path.Budget: checkIssuer,
	path.BadSignature: checkSignature, path.UnsupportedAlgorithm: checkSignature, path.AlgorithmMismatch: checkSignature,
	path.Expired: checkValidity, path.NotYetValid: checkValidity, path.AnchorOutOfTime: checkValidity,
	path.WeakAlgorithm: checkAlgorithm, path.WeakKey: checkAlgorithm,
	path.UnknownCritical: checkForm, path.BadExtension: checkForm, path.BadVersion: checkForm, path.BadKey: checkForm, path.ProfileViolation: checkForm,
	path.NotACA: checkCA, path.NotForCertSigning: checkCA, path.PathTooLong: checkCA,
	path.NameMismatch: checkNames, path.NameNotPermitted: checkNames, path.NameExcluded: checkNames,
	path.PolicyMismatch: checkPolicies, path.BadPolicyMapping: checkPolicies,
	path.PurposeMismatch:   checkPurpose,
	path.RevocationUnknown: checkRevocation, path.Revoked: checkRevocation, path.OnHold: checkRevocation,
	path.WeakEvidence: checkRevocation,
}

func report(q *Question, result *path.Result) *Report {
	r := &Report{Valid: result.Valid, Indication: string(judge.Passed), Time: q.Time.UTC(), Revocation: q.Mode, Reasons: []Reason{}, Policies: []string{},
		Policy: q.Policy.Name(), PolicyVersion: q.Policy.Version(), PolicyDigest: q.Policy.Digest(),
		Notes: notes(result), AtIssuance: Qualification{Level: "N/A"}, AtValidation: Qualification{Level: "N/A"}}
	if !result.Valid {
		sub := string(judge.OfPath(result.Reason()))
		r.Indication, r.SubIndication = string(judge.Indeterminate), &sub
	}
	for _, reason := range result.Reasons {
		r.Reasons = append(r.Reasons, Reason{reason.Code.String(), reason.Position, reason.Clause, reason.Detail})
	}
	for _, p := range result.UserPolicies {
		name := p.String()
		if p == certificate.AnyPolicy {
			name = "any"
		}
		r.Policies = append(r.Policies, name)
	}
	chain := result.Chain
	if len(chain) == 0 {
		chain = []*certificate.Certificate{q.Target}
	}
	for i, c := range chain {
		r.Chain = append(r.Chain, link(q, result, i, c))
	}
	r.addAnchor(result)
	return r
}

// notes are those of the path and of the evidence that was relied on.
func notes(result *path.Result) []string {
	list := slices.Clone(result.Notes)
	for _, r := range result.Revocation {
		for _, n := range r.Notes {
			if !slices.Contains(list, n) {
				list = append(list, n)
			}
		}
	}
	return list
}

// link describes the i-th certificate and its checks.
func link(q *Question, result *path.Result, i int, c *certificate.Certificate) Link {
	notBefore, notAfter := c.NotBefore, c.NotAfter
	l := Link{SHA256: hex.EncodeToString(c.Fingerprint[:]), Subject: c.Subject.String(), Issuer: c.Issuer.String(), Serial: hex.EncodeToString(c.Serial),
		NotBefore: &notBefore, NotAfter: &notAfter, Certificate: c}
	if a := result.Anchor; a != nil && a.Certificate != nil && a.Certificate.Fingerprint == c.Fingerprint {
		l.Anchor, l.Service, l.Checks = true, a.ID, []Check{}
		return l // trusted as it is: nothing of it is asked
	}
	for _, name := range names(i, q.Mode) {
		l.Checks = append(l.Checks, check(name, i, result, len(result.Chain)))
	}
	if i < len(result.Revocation) {
		l.Status = status(result.Revocation[i])
	}
	return l
}

func names(i int, mode Mode) []string {
	list := []string{checkIssuer, checkSignature, checkValidity, checkAlgorithm, checkForm}
	if i > 0 {
		list = append(list, checkCA)
	}
	list = append(list, checkNames, checkPolicies)
	if mode != None {
		list = append(list, checkRevocation)
	}
	return list
}

// check finds the outcome of one check. What the search did not come to is not checked: without an anchor there is no path
// to walk, and revocation is only asked of a path that is right, from the anchor downwards.
func check(name string, i int, result *path.Result, length int) Check {
	var why []string
	for _, r := range result.Reasons {
		if r.Position != i || checkOf[r.Code] != name {
			continue
		}
		text := r.Code.String()
		if r.Detail != "" {
			text += ": " + prose.Detail(r.Detail)
		}
		if r.Clause != "" {
			text += " [" + r.Clause + "]"
		}
		why = append(why, text)
	}
	switch {
	case len(why) > 0:
		return Check{name, Failed, strings.Join(why, "; ")}
	case name == checkRevocation:
		return revocationCheck(i, result)
	case result.Anchor != nil:
		return Check{Name: name, State: Passed}
	case (name == checkIssuer || name == checkSignature) && i+1 < length:
		return Check{Name: name, State: Passed}
	}
	return Check{Name: name, State: NotChecked}
}

func revocationCheck(i int, result *path.Result) Check {
	if i >= len(result.Revocation) {
		return Check{Name: checkRevocation, State: NotChecked}
	}
	r := result.Revocation[i]
	switch {
	case r.Status == revocation.Good:
		return Check{checkRevocation, Passed, r.Detail}
	case r.Code != "":
		return Check{checkRevocation, NotChecked, string(r.Code)} // nothing is known, and that was allowed
	}
	return Check{Name: checkRevocation, State: NotChecked}
}

func status(r revocation.Result) *Status {
	if r.Status == revocation.Unknown && r.Code == "" {
		return nil
	}
	s := &Status{Status: r.Status.String(), Code: string(r.Code), Detail: r.Detail, Source: r.Source,
		ThisUpdate: orNil(r.ThisUpdate), NextUpdate: orNil(r.NextUpdate), RevokedAt: orNil(r.RevocationTime)}
	if r.Status == revocation.Revoked {
		s.Reason = reasonNames[r.Reason]
	}
	for _, e := range r.Evidence {
		s.Evidence = append(s.Evidence, hex.EncodeToString(e[:]))
	}
	return s
}

// reasonNames are those of RFC 5280 5.3.1.
var reasonNames = map[revocation.Reason]string{
	revocation.NoReason: "unspecified", revocation.Unspecified: "unspecified", revocation.KeyCompromise: "keyCompromise",
	revocation.CACompromise: "cACompromise", revocation.AffiliationChanged: "affiliationChanged", revocation.Superseded: "superseded",
	revocation.CessationOfOperation: "cessationOfOperation", revocation.CertificateHold: "certificateHold",
	revocation.RemoveFromCRL: "removeFromCRL", revocation.PrivilegeWithdrawn: "privilegeWithdrawn", revocation.AACompromise: "aACompromise",
}

func orNil(t time.Time) *time.Time {
	if t.IsZero() {
		return nil
	}
	t = t.UTC()
	return &t
}

// addAnchor ends the chain with the anchor, unless the last certificate is it.
func (r *Report) addAnchor(result *path.Result) {
	a := result.Anchor
	if a == nil || len(r.Chain) > 0 && r.Chain[len(r.Chain)-1].Anchor {
		return
	}
	l := Link{Subject: a.Name.String(), Anchor: true, Service: a.ID, Checks: []Check{}}
	if c := a.Certificate; c != nil {
		notBefore, notAfter := c.NotBefore, c.NotAfter
		l.SHA256, l.Issuer, l.Serial = hex.EncodeToString(c.Fingerprint[:]), c.Issuer.String(), hex.EncodeToString(c.Serial)
		l.NotBefore, l.NotAfter, l.Certificate = &notBefore, &notAfter, c
	}
	position := len(result.Chain)
	for _, reason := range result.Reasons {
		c := check(checkOf[reason.Code], position, result, position)
		if reason.Position == position && !slices.Contains(l.Checks, c) {
			l.Checks = append(l.Checks, c)
		}
	}
	r.Chain = append(r.Chain, l)
}
