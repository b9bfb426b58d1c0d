package revocation

import (
	"fmt"
	"time"

	"trustcore/verify/certificate"
)

// Vector is one test vector about a single piece of evidence: a certificate, its trusted issuer, and a DER response or list.
type Vector struct {
	Certificate  []byte
	Issuer       []byte   // trusted: its own validity and revocation are not asked
	OtherIssuers [][]byte // more trusted certificates of the same CA (key rollover); CRLs only
	Evidence     []byte
	Time         time.Time
	MaxAge       *time.Duration // nil, or older evidence is invalid besides the check of nextUpdate
}

// question asks about a vector; evidence without nextUpdate serves as long as MaxAge lets it.
func (v *Vector) question() (Question, error) {
	c, err := certificate.Parse(v.Certificate)
	if err != nil {
		return Question{}, fmt.Errorf("certificate: %w", err)
	}
	issuer, err := certificate.Parse(v.Issuer)
	if err != nil {
		return Question{}, fmt.Errorf("issuer: %w", err)
	}
	key, err := issuer.Key()
	if err != nil {
		return Question{}, fmt.Errorf("issuer: %w", err)
	}
	q := Question{Certificate: c, Issuer: issuer, IssuerName: issuer.Subject, IssuerKey: key, Time: v.Time, WithoutNextUpdate: AnyAge}
	if v.MaxAge != nil {
		q.MaxAge = max(*v.MaxAge, 1)
	}
	others := make([]*certificate.Certificate, 0, len(v.OtherIssuers))
	for _, der := range v.OtherIssuers {
		other, err := certificate.Parse(der)
		if err != nil {
			return Question{}, fmt.Errorf("other issuer: %w", err)
		}
		others = append(others, other)
	}
	q.CRLIssuers = func(name certificate.Name) (found []*certificate.Certificate) {
		for _, other := range others {
			if other.Subject.Equal(name) {
				found = append(found, other)
			}
		}
		return found
	}
	q.Trusted = func(*certificate.Certificate) error { return nil }
	return q, nil
}

// JudgeOCSP answers a vector about an OCSP response. The error says that the certificates cannot be read; a broken response is
// Invalid.
func JudgeOCSP(v Vector) (Result, error) {
	q, err := v.question()
	if err != nil {
		return Result{}, err
	}
	response, err := ParseOCSP(v.Evidence)
	if err != nil {
		return Result{Status: Invalid, Code: Malformed, Detail: err.Error(), Source: "OCSP"}, nil
	}
	return CheckOCSP(q, response), nil
}

// JudgeCRL answers a vector about a CRL, as strictly as RFC 5280 asks of issuers: an unknown critical extension is
// Invalid even where the certificate is listed, and so are an empty list and extensions outside of version 2, which the
// product tolerates.
func JudgeCRL(v Vector) (Result, error) {
	q, err := v.question()
	if err != nil {
		return Result{}, err
	}
	bad := Result{Status: Invalid, Code: Malformed, Source: "CRL"}
	crl, err := ParseCRL(v.Evidence)
	switch {
	case err != nil:
		bad.Detail = err.Error()
		return bad, nil
	case len(crl.Critical) > 0:
		bad.Code, bad.Detail = UnknownCritical, crl.Critical[0].String()
		return bad, nil
	case crl.Has(FindingEmptyList):
		bad.Detail = FindingEmptyList
		return bad, nil
	case crl.Has(FindingVersion):
		bad.Detail = FindingVersion
		return bad, nil
	}
	result := CheckCRL(q, []*CRL{crl})
	if result.Status == Unknown {
		result.Status = Invalid
	}
	return result, nil
}
