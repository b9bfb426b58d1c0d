package vectors

import (
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"trustcore/verify/certificate"
	"trustcore/verify/path"
	"trustcore/verify/revocation"
)

// revocation makes the rule of the case; nil when revocation is not asked. Evidence that cannot be read serves nobody.
func (c *chainCase) revocation() (*path.RevocationRule, error) {
	rule := &path.RevocationRule{}
	switch c.Revocation {
	case "", "none":
		return nil, nil
	case "require":
		rule.Required = true
	case "if_available":
	default:
		return nil, fmt.Errorf("unknown revocation %q", c.Revocation)
	}
	var responses []*revocation.Response
	for _, der := range c.OCSP {
		if r, err := revocation.ParseOCSP(der); err == nil {
			responses = append(responses, r)
		}
	}
	var crls []*revocation.CRL
	for _, der := range c.CRLs {
		if l, err := revocation.ParseCRL(der); err == nil {
			crls = append(crls, l)
		}
	}
	rule.Evidence = func(*revocation.Question) ([]*revocation.Response, []*revocation.CRL) { return responses, crls }
	if c.FreshnessS != nil {
		freshness := seconds(*c.FreshnessS)
		rule.Freshness = &freshness
	}
	if c.IssuedAfter != nil {
		rule.IssuedAfter = *c.IssuedAfter
	}
	return rule, nil
}

// An evidenceCase is a case of kind ocsp or crl.
type evidenceCase struct {
	ID           any       `json:"id"`
	Certificate  []byte    `json:"certificate"`
	Issuer       []byte    `json:"issuer"`
	OtherIssuers [][]byte  `json:"other_issuers"`
	Response     []byte    `json:"response"`
	CRL          []byte    `json:"crl"`
	Time         time.Time `json:"time"`
	MaxAgeS      *float64  `json:"max_age_s"`
}

type evidenceResult struct {
	ID     any    `json:"id"`
	Status string `json:"status"`
	Reason string `json:"reason"`
}

func judgeOCSP(line []byte) (any, error) {
	return judgeEvidence(line, func(c *evidenceCase, q revocation.Question) (revocation.Result, error) {
		response, err := revocation.ParseOCSP(c.Response)
		if err != nil {
			return revocation.Result{}, err
		}
		return revocation.CheckOCSP(q, response), nil
	})
}

// judgeCRL is as strict as RFC 5280 asks of issuers: an unknown critical extension is invalid even where the certificate
// is listed, and so are an empty list of revoked certificates and fields outside of version 2, which the product tolerates.
func judgeCRL(line []byte) (any, error) {
	return judgeEvidence(line, func(c *evidenceCase, q revocation.Question) (revocation.Result, error) {
		list, err := revocation.ParseCRL(c.CRL)
		switch {
		case err != nil:
			return revocation.Result{}, err
		case len(list.Critical) > 0:
			return revocation.Result{}, fmt.Errorf("unknown critical extension %s", list.Critical[0])
		case list.Has(revocation.FindingEmptyList):
			return revocation.Result{}, errors.New(revocation.FindingEmptyList)
		case list.Has(revocation.FindingVersion):
			return revocation.Result{}, errors.New(revocation.FindingVersion)
		}
		result := revocation.CheckCRL(q, []*revocation.CRL{list})
		if result.Status == revocation.Unknown {
			result.Status = revocation.Invalid // unknown is a responder's word
		}
		return result, nil
	})
}

// judgeEvidence reads the case and asks; evidence or certificates that cannot be read are invalid, not an error.
func judgeEvidence(line []byte, check func(*evidenceCase, revocation.Question) (revocation.Result, error)) (any, error) {
	var c evidenceCase
	if err := json.Unmarshal(line, &c); err != nil {
		return nil, fmt.Errorf("case: %w", err)
	}
	q, err := c.question()
	if err != nil {
		return evidenceResult{c.ID, revocation.Invalid.String(), err.Error()}, nil
	}
	result, err := check(&c, q)
	if err != nil {
		return evidenceResult{c.ID, revocation.Invalid.String(), err.Error()}, nil
	}
	reason := string(result.Code)
	if result.Detail != "" {
		reason += ": " + result.Detail
	}
	return evidenceResult{c.ID, result.Status.String(), reason}, nil
}

// question asks about the case's certificate. Its issuers are trusted; a policy for evidence without nextUpdate is max_age_s.
func (c *evidenceCase) question() (revocation.Question, error) {
	q := revocation.Question{Time: c.Time, WithoutNextUpdate: revocation.AnyAge}
	var err error
	if q.Certificate, err = certificate.Parse(c.Certificate); err != nil {
		return q, fmt.Errorf("certificate: %w", err)
	}
	if q.Issuer, err = certificate.Parse(c.Issuer); err != nil {
		return q, fmt.Errorf("issuer: %w", err)
	}
	if q.IssuerKey, err = q.Issuer.Key(); err != nil {
		return q, fmt.Errorf("issuer: %w", err)
	}
	q.IssuerName = q.Issuer.Subject
	if c.MaxAgeS != nil {
		q.MaxAge = max(seconds(*c.MaxAgeS), 1) // 0 would not ask
	}
	issuers := []*certificate.Certificate{q.Issuer}
	for _, der := range c.OtherIssuers {
		if other, err := certificate.Parse(der); err == nil {
			issuers = append(issuers, other)
		}
	}
	q.CRLIssuers = path.NewPool(issuers...).Named
	q.Trusted = func(*certificate.Certificate) error { return nil }
	return q, nil
}

// seconds turns a number of seconds into a duration; what is longer than one can be is the longest.
func seconds(s float64) time.Duration {
	return time.Duration(min(s, float64(revocation.AnyAge/time.Second)-1) * float64(time.Second))
}
