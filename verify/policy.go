package verify

import (
	"fmt"
	"time"

	"trustcore/verify/algorithm"
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
}

// PolicyNamed returns the policy of a name that people choose.
func PolicyNamed(name string) (*Policy, error) {
	switch name {
	case "strict", "":
		return DefaultPolicy(), nil
	case "dss-default":
		return DSSPolicy(), nil
	}
	return nil, fmt.Errorf("%q is no policy: choose strict or dss-default", name)
}

// DSSPolicy has the levels of the constraint file that version 6.4 of the Commission's DSS brings: FAIL there is
// failure here, WARN is a note.
func DSSPolicy() *Policy {
	p := DefaultPolicy()
	p.Name, p.LooseStamps, p.Strays, p.Manifest, p.SignerUse = "dss-default", true, true, true, false
	p.Tolerated = map[signature.Rule]bool{
		signature.RuleVisual: true, signature.RuleDocMDP: true, signature.RuleFieldMDP: true,
		signature.RuleLock: true, signature.RuleUndefined: true,
	}
	return p
}

// DefaultPolicy is what the product judges by: algorithms by TS 119 312 at the time of the proof of
// existence, revocation known for every certificate below the anchor.
func DefaultPolicy() *Policy {
	return &Policy{Name: "strict", SignerUse: true, Acceptable: algorithm.Acceptable, Revocation: true}
}
