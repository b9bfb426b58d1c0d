package judge

import (
	"time"

	"trustcore/verify/signature"
)

// Policy is what a signature must meet beyond being intact and leading to an anchor.
type Policy struct {
	// Name and version, for the report.
	Name string
	// Acceptable judges an algorithm and a key size at a time; nil is the table of TS 119 312.
	Acceptable func(name string, bits int, at time.Time) (ok bool, reason string)
	// Revocation of the signer and of CAs must be known to be good.
	Revocation bool
	// SigningCertificate demands the signed attribute that binds the certificate (EN 319 132, 319 122).
	SigningCertificate bool
	// Tolerated are rules on later changes of a PDF that are told and fail nobody.
	Tolerated map[signature.Rule]bool
	// SignerUse refuses signers whose certificate is for no signatures of documents.
	SignerUse bool
	// Manifest refuses ASiC-E containers without a manifest, which EN 319 162-1 leaves to XML signatures.
	Manifest bool
	// Strays takes XML signatures in which something stands that is neither signed nor defined there; it is told.
	Strays bool
	// LooseStamps takes time-stamps of units whose certificate or token misses what RFC 3161 2.3 and 2.4.2 demand
	// besides the purpose itself: a critical extension, that purpose alone, the ESS attribute, a fitting tsa name.
	LooseStamps bool
	// Freshness is asked of the evidence about signers, StampFreshness of that about time-stamping units: whether it
	// still served at the time for which it is read (EN 319 102-1 5.2.5).
	Freshness, StampFreshness Level
}

// Level says what follows where a constraint does not hold.
type Level uint8

// The levels.
const (
	Fail   Level = iota // not passed
	Inform              // passed, and told
	Ignore              // not asked
)
