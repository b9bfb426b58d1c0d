package verify

import (
	"time"

	"trustcore/verify/algorithm"
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
}

// DefaultPolicy is what the product judges by: algorithms by TS 119 312 at the time of the proof of
// existence, revocation known for every certificate below the anchor.
func DefaultPolicy() *Policy {
	return &Policy{Name: "trustcore/1", Acceptable: algorithm.Acceptable, Revocation: true}
}
