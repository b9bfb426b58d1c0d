package api

import (
	"bytes"
	"context"
	"fmt"
	"net/http"
	"time"

	"trustcore/verify/certificate"
	"trustcore/verify/chain"
)

// maxCertificateRequest bounds a request about a certificate in bytes; real ones have some kilobytes.
const maxCertificateRequest = 4 << 20

// maxPolicies bounds the policies that a caller asks for.
const maxPolicies = 100

// JudgeCertificate judges one certificate at a time. An error tells that it could not be judged.
type JudgeCertificate func(ctx context.Context, q CertificateQuestion) (*chain.Report, error)

// CertificateQuestion is what a caller asks.
type CertificateQuestion struct {
	Target   *certificate.Certificate
	Further  []*certificate.Certificate
	At       time.Time // zero: now, when all evidence is at hand
	Mode     chain.Mode
	Policies []certificate.OID // none: any
}

// certificateRequest is the JSON of POST /v1/certificates/validations.
type certificateRequest struct {
	Certificate  string   `json:"certificate" doc:"PEM, or base64 of DER"`
	Certificates []string `json:"certificates,omitempty" doc:"further certificates to build the path from, in any order; each PEM, or base64 of DER"`
	At           string   `json:"at,omitempty" format:"date-time" doc:"time of validation, RFC 3339; now when absent"`
	Revocation   string   `json:"revocation,omitempty" enum:"none,if-available,require" doc:"require when absent"`
	Policies     []string `json:"policies,omitempty" doc:"object identifiers; the path must be valid for one of them"`
}

// certificateQuery are the parameters beside a certificate that is the body.
var certificateQuery = []string{"at", "revocation", "policy*"}

// validateCertificate answers POST /v1/certificates/validations: JSON, or a certificate in PEM or DER (further ones may
// follow in the PEM) with the parameters at, revocation and policy.
func (s *Server) validateCertificate(ctx context.Context, c *call) (any, error) {
	q, err := readCertificateQuestion(c)
	if err != nil {
		return nil, err
	}
	return s.judgeCertificate(ctx, q)
}

func (s *Server) judgeCertificate(ctx context.Context, q *CertificateQuestion) (*chain.Report, error) {
	report, err := s.cfg.Certificate(ctx, *q)
	if err != nil {
		return nil, unjudged(ctx, "certificate", err)
	}
	return report, nil
}

func readCertificateQuestion(c *call) (*CertificateQuestion, error) {
	if c.media == "application/json" {
		for name := range c.query {
			return nil, refuse(http.StatusBadRequest, name, "with JSON %s is a field of it, no parameter", name)
		}
		var in certificateRequest
		if err := decode(c.body, &in); err != nil {
			return nil, err
		}
		return in.question([]byte(in.Certificate))
	}
	data, err := c.body.bytes()
	if err != nil {
		return nil, err
	}
	in := certificateRequest{At: c.query.Get("at"), Revocation: c.query.Get("revocation"), Policies: c.query["policy"]}
	return in.question(data)
}

func (in *certificateRequest) question(target []byte) (*CertificateQuestion, error) {
	if len(bytes.TrimSpace(target)) == 0 {
		return nil, refuse(http.StatusBadRequest, "certificate", "the certificate is missing: send PEM or DER, or JSON with the field certificate")
	}
	list, err := chain.ReadCertificates(target)
	if err != nil {
		return nil, refuse(http.StatusUnprocessableEntity, "certificate", "%v", err)
	}
	q := &CertificateQuestion{Target: list[0], Further: list[1:]}
	for i, text := range in.Certificates {
		field := fmt.Sprintf("certificates[%d]", i)
		list, err := chain.ReadCertificates([]byte(text))
		if err != nil {
			return nil, refuse(http.StatusUnprocessableEntity, field, "%v", err)
		}
		if q.Further = append(q.Further, list...); len(q.Further) > chain.MaxCertificates {
			return nil, refuse(http.StatusBadRequest, field, "more than %d certificates", chain.MaxCertificates)
		}
	}
	if q.At, err = parseTime(in.At); err != nil {
		return nil, err
	}
	if q.Mode, err = chain.ParseMode(in.Revocation); err != nil {
		return nil, refuse(http.StatusBadRequest, "revocation", "%v", err)
	}
	if len(in.Policies) > maxPolicies {
		return nil, refuse(http.StatusBadRequest, "policies", "more than %d policies", maxPolicies)
	}
	for _, text := range in.Policies {
		id, err := certificate.ParseOID(text)
		if err != nil {
			return nil, refuse(http.StatusBadRequest, "policies", "%q is no object identifier, such as 0.4.0.194112.1.2", text)
		}
		q.Policies = append(q.Policies, id)
	}
	return q, nil
}
