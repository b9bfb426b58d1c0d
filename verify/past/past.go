// Package past judges certificates and signatures as of a time that has gone by: the validity models, the set of proofs of
// existence, and the blocks of EN 319 102-1 5.6.2 that slide the validation time back.
//
// Everything is pure: chains, evidence and times come in, verdicts come out. Nothing is fetched and no clock is read.
// Clauses are those of EN 319 102-1 V1.4.1.
//
// Judge asks whether a chain was valid at one time. Slide finds the latest time at which a chain that is not valid any more
// can still be relied on (control-time); Certificate and Signature are the two blocks on top of it.
package past

import (
	"fmt"
	"time"

	"trustcore/verify/certificate"
)

// A Code is one reason for a verdict. The set is closed.
type Code uint8

// The reasons.
const (
	OK              Code = iota
	Expired              // the certificate had expired at the time that counts for it
	NotYetValid          // it was not valid yet
	AnchorOutOfTime      // the trust anchor did not count at the time
	Revoked              // it was revoked
	OnHold               // it was suspended
	StatusUnknown        // no evidence that serves says whether it was revoked
	NoProof              // no revocation information is proven to have existed, with the certificate, by control-time
	Unreliable           // an algorithm that was never reliable
	PathInvalid          // the path fails for another reason than time and revocation
)

// codes holds the name, the clause and the sub-indication of every Code.
var codes = [...]struct{ name, clause, subIndication string }{
	OK:              {"ok", "", ""},
	Expired:         {"expired", "RFC 5280 6.1.3 (a)(2)", OutOfBoundsNoPOE},
	NotYetValid:     {"not yet valid", "RFC 5280 6.1.3 (a)(2)", OutOfBoundsNoPOE},
	AnchorOutOfTime: {"trust anchor out of its time", "EN 319 102-1 5.6.2.2 (1)", NoChainNoPOE},
	Revoked:         {"revoked", "RFC 5280 6.1.3 (a)(3)", RevokedNoPOE},
	OnHold:          {"on hold", "RFC 5280 6.1.3 (a)(3)", TryLater},
	StatusUnknown:   {"revocation status unknown", "EN 319 102-1 5.2.6.4", TryLater},
	NoProof:         {"no proven revocation information", "EN 319 102-1 5.6.2.2 (2)(a)", NoPOE},
	Unreliable:      {"algorithm never reliable", "EN 319 102-1 5.6.2.2 (2)(d)", NoPOE},
	PathInvalid:     {"path not valid", "EN 319 102-1 5.6.2.1 (2)", "CERTIFICATE_CHAIN_GENERAL_FAILURE"},
}

// String names the code in a few words.
func (c Code) String() string { return codes[c].name }

// The sub-indications of EN 319 102-1 5.1.3 that this package gives or can settle.
const (
	NoPOE                  = "NO_POE"
	TryLater               = "TRY_LATER"
	RevokedNoPOE           = "REVOKED_NO_POE"
	RevokedCANoPOE         = "REVOKED_CA_NO_POE"
	OutOfBoundsNoPOE       = "OUT_OF_BOUNDS_NO_POE"
	OutOfBoundsNotRevoked  = "OUT_OF_BOUNDS_NOT_REVOKED"
	RevocationOutOfBounds  = "REVOCATION_OUT_OF_BOUNDS_NO_POE"
	CryptoConstraintsNoPOE = "CRYPTO_CONSTRAINTS_FAILURE_NO_POE"
	NoChainNoPOE           = "NO_CERTIFICATE_CHAIN_FOUND_NO_POE"
	SignatureNotYetValid   = "NOT_YET_VALID" // of FAILED
)

// A Reason says what is wrong with which certificate. Its zero value stands for a chain that is valid.
type Reason struct {
	Code        Code
	Certificate *certificate.Certificate // nil when the reason is about the anchor or the whole chain
	Position    int                      // index in the chain, 0 is the target; the length of the chain is the anchor
	At          time.Time                // the time that counted
	Detail      string                   // may be empty

	// SubIndication is that of EN 319 102-1 5.1.3, of the indication INDETERMINATE; empty for OK.
	SubIndication string
}

// Clause returns the document and section behind the reason.
func (r Reason) Clause() string { return codes[r.Code].clause }

// String writes the reason for a log or a report.
func (r Reason) String() string {
	s := r.Code.String()
	if r.Certificate != nil {
		s += fmt.Sprintf(": certificate %d (%s)", r.Position, r.Certificate.Subject)
	}
	if !r.At.IsZero() {
		s += " at " + r.At.UTC().Format(time.RFC3339)
	}
	if r.Detail != "" {
		s += ": " + r.Detail
	}
	if clause := r.Clause(); clause != "" {
		s += " [" + clause + "]"
	}
	return s
}

// reason makes a Reason with the sub-indication of its code.
func reason(code Code, c *certificate.Certificate, position int, at time.Time, detail string) Reason {
	r := Reason{Code: code, Certificate: c, Position: position, At: at, Detail: detail, SubIndication: codes[code].subIndication}
	if code == Revoked && position > 0 {
		r.SubIndication = RevokedCANoPOE
	}
	return r
}
