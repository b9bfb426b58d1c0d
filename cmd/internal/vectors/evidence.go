package vectors

import (
	"encoding/json"
	"fmt"
	"time"

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
	return judgeEvidence(line, revocation.JudgeOCSP, func(c *evidenceCase) []byte { return c.Response })
}

func judgeCRL(line []byte) (any, error) {
	return judgeEvidence(line, revocation.JudgeCRL, func(c *evidenceCase) []byte { return c.CRL })
}

// judgeEvidence reads the case and asks; evidence or certificates that cannot be read are invalid, not an error.
func judgeEvidence(line []byte, judge func(revocation.Vector) (revocation.Result, error), evidence func(*evidenceCase) []byte) (any, error) {
	var c evidenceCase
	if err := json.Unmarshal(line, &c); err != nil {
		return nil, fmt.Errorf("case: %w", err)
	}
	v := revocation.Vector{
		Certificate: c.Certificate, Issuer: c.Issuer, OtherIssuers: c.OtherIssuers, Evidence: evidence(&c), Time: c.Time,
	}
	if c.MaxAgeS != nil {
		age := seconds(*c.MaxAgeS)
		v.MaxAge = &age
	}
	result, err := judge(v)
	if err != nil {
		return evidenceResult{c.ID, revocation.Invalid.String(), err.Error()}, nil
	}
	reason := string(result.Code)
	if result.Detail != "" {
		reason += ": " + result.Detail
	}
	return evidenceResult{c.ID, result.Status.String(), reason}, nil
}

// seconds turns a number of seconds into a duration; what is longer than one can be is the longest.
func seconds(s float64) time.Duration {
	return time.Duration(min(s, float64(revocation.AnyAge/time.Second)-1) * float64(time.Second))
}
