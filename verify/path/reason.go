package path

import (
	"fmt"

	"trustcore/verify/certificate"
	"trustcore/verify/prose"
)

// A Code is one reason why a path is not valid. The set is closed: reports and callers may switch over it.
type Code uint8

// The reasons. Order is the order of weight: of several failed paths the one with the lightest worst reason is reported.
const (
	OK Code = iota

	// Found only when everything else of the path is right.
	RevocationUnknown // no usable evidence where some is required
	Revoked           // the evidence says revoked
	OnHold            // the evidence says certificateHold
	WeakEvidence      // the evidence is good, and its signature may not be relied on

	Expired
	NotYetValid
	AnchorOutOfTime // the anchor's own validity, or the window of its trust service

	NameMismatch      // the target does not hold the name that was asked for
	PurposeMismatch   // extended key usage (RFC 5280 4.2.1.12)
	PolicyMismatch    // RFC 5280 6.1.5 (g) with RFC 9618
	NameNotPermitted  // RFC 5280 6.1.3 (b)
	NameExcluded      // RFC 5280 6.1.3 (c)
	PathTooLong       // path length constraint (RFC 5280 6.1.4 (l)) or the caller's depth
	WeakKey           // the table of algorithms refuses the target's own key at this time
	WeakAlgorithm     // it refuses a signature of the path
	ProfileViolation  // a demand of the profile strict or server
	NotACA            // RFC 5280 6.1.4 (k)
	NotForCertSigning // RFC 5280 6.1.4 (n)
	UnknownCritical   // RFC 5280 6.1.4 (o), 6.1.5 (f)
	BadExtension      // an extension that path validation must process is malformed or occurs twice
	BadPolicyMapping  // RFC 5280 6.1.4 (a): anyPolicy is mapped
	AlgorithmMismatch // RFC 5280 4.1.1.2: the two signature algorithms differ
	BadVersion        // RFC 5280 4.1.2.1, 6.1.4 (k): fields that the version does not have

	BadKey               // the subject's public key is malformed
	UnsupportedAlgorithm // the signature or the key is of an algorithm that cannot be computed
	BadSignature         // RFC 5280 6.1.3 (a)(1): no candidate of the issuer's name signed it
	NoPath               // no certificate or anchor of the issuer's name is at hand
	NoAnchor             // the caller gave no anchor
	Budget               // the search was given up: signatures, candidates, comparisons or time
)

// codes holds the name and the clause of every Code.
var codes = [...]struct{ name, clause string }{
	OK:                   {"ok", ""},
	RevocationUnknown:    {"revocation status unknown", "RFC 5280 6.1.3 (a)(3)"},
	Revoked:              {"revoked", "RFC 5280 6.1.3 (a)(3)"},
	OnHold:               {"on hold", "RFC 5280 6.1.3 (a)(3)"},
	WeakEvidence:         {"algorithm of the revocation information too weak", "EN 319 102-1 5.5.4"},
	Expired:              {"expired", "RFC 5280 6.1.3 (a)(2)"},
	NotYetValid:          {"not yet valid", "RFC 5280 6.1.3 (a)(2)"},
	AnchorOutOfTime:      {"trust anchor out of its time", "RFC 5280 6.1.1 (d)"},
	NameMismatch:         {"name does not match", "RFC 6125 6"},
	PurposeMismatch:      {"purpose not allowed", "RFC 5280 4.2.1.12"},
	PolicyMismatch:       {"no acceptable policy", "RFC 5280 6.1.5 (g)"},
	NameNotPermitted:     {"name not permitted", "RFC 5280 6.1.3 (b)"},
	NameExcluded:         {"name excluded", "RFC 5280 6.1.3 (c)"},
	PathTooLong:          {"path too long", "RFC 5280 6.1.4 (l)"},
	WeakKey:              {"key too weak", "TS 119 312"},
	WeakAlgorithm:        {"algorithm too weak", "TS 119 312"},
	ProfileViolation:     {"profile violated", "RFC 5280 4"},
	NotACA:               {"issuer is no CA", "RFC 5280 6.1.4 (k)"},
	NotForCertSigning:    {"issuer may not sign certificates", "RFC 5280 6.1.4 (n)"},
	UnknownCritical:      {"unknown critical extension", "RFC 5280 6.1.4 (o)"},
	BadExtension:         {"malformed extension", "RFC 5280 4.2"},
	BadPolicyMapping:     {"anyPolicy is mapped", "RFC 5280 6.1.4 (a)"},
	AlgorithmMismatch:    {"signature algorithms differ", "RFC 5280 4.1.1.2"},
	BadVersion:           {"version does not fit", "RFC 5280 4.1.2.1"},
	BadKey:               {"malformed public key", "RFC 5280 6.1.5 (c)"},
	UnsupportedAlgorithm: {"unsupported algorithm", "RFC 5280 6.1.3 (a)(1)"},
	BadSignature:         {"signature does not verify", "RFC 5280 6.1.3 (a)(1)"},
	NoPath:               {"issuer not found", "RFC 5280 6.1"},
	NoAnchor:             {"no trust anchor", "RFC 5280 6.1.1 (d)"},
	Budget:               {"search given up", ""},
}

// String names the code in a few words.
func (c Code) String() string { return codes[c].name }

// A Reason says what is wrong with which certificate.
type Reason struct {
	Code        Code
	Certificate *certificate.Certificate // nil when the reason is about no certificate, or about a bare anchor
	Position    int                      // index in the chain, 0 is the target; the length of the chain is the anchor
	Clause      string                   // document and section
	Detail      string                   // may be empty
}

// String writes the reason for a log or a report.
func (r Reason) String() string {
	s := r.Code.String()
	if r.Certificate != nil {
		s += fmt.Sprintf(": certificate %d (%s)", r.Position, prose.Name(r.Certificate.Subject.String()))
	}
	if r.Detail != "" {
		s += ": " + prose.Detail(r.Detail)
	}
	if r.Clause != "" {
		s += " [" + r.Clause + "]"
	}
	return s
}
