package revocation

import (
	"time"

	"trustcore/verify/certificate"
)

// CRL is a parsed CertificateList. Its slices point into the bytes given to ParseCRL. It is immutable and safe for concurrent use.
type CRL struct {
	Raw                    []byte
	RawTBS                 []byte
	Issuer                 certificate.Name
	ThisUpdate, NextUpdate time.Time
}

// ParseCRL reads a DER CertificateList.
func ParseCRL(der []byte) (*CRL, error) { return nil, errMalformed }

// CheckCRL judges by CRLs, see RFC 5280 6.3.3.
func CheckCRL(q Question, crls []*CRL) Result { return Result{} }
