package api

import (
	"bytes"
	"context"
	"encoding/base64"
	"fmt"
	"net/http"
	"time"

	"trustcore/verify"
	"trustcore/verify/cache"
	"trustcore/verify/certificate"
	"trustcore/verify/chain"
	"trustcore/verify/client"
	"trustcore/verify/revocation"
)

// Limits of a request about certificates; real ones have some kilobytes each.
const (
	maxCertificateRequest = 4 << 20 // bytes, of a batch too
	maxPolicies           = 100     // object identifiers of each kind
	maxEvidence           = 100     // CRLs and OCSP responses of each kind
)

// JudgeCertificate judges one certificate at a time. An error tells that it could not be judged.
type JudgeCertificate func(ctx context.Context, q CertificateQuestion) (*chain.Report, error)

// CertificateQuestion is what a caller asks.
type CertificateQuestion struct {
	Target   *certificate.Certificate
	Further  []*certificate.Certificate
	At       time.Time      // zero: now, when all evidence is at hand
	Policy   *verify.Policy // nil: the judge's
	Purposes []certificate.OID
	Policies []certificate.OID // of certificates; none: any
	Mode     chain.Mode
	CRLs     []*revocation.CRL // beside those that the judge finds
	OCSPs    []*revocation.Response
}

// certificateQuery are the parameters beside a certificate that is the body.
var certificateQuery = []string{"at", "policy", "purpose*", "certificate_policy*", "revocation", "trace"}

// ndjson is the type of a text of which each line is JSON.
const ndjson = "application/x-ndjson"

// validateCertificates answers POST /v1/certificates: JSON, or a certificate in PEM or DER (further ones may follow
// in the PEM) with parameters, or a batch.
func (s *Server) validateCertificates(ctx context.Context, c *call) (any, error) {
	switch c.media {
	case ndjson, "application/json":
		for name := range c.query {
			return nil, refuse(http.StatusBadRequest, name, "with JSON %s is a field of it, no parameter", name)
		}
	}
	switch c.media {
	case ndjson:
		return s.judgeBatch(ctx, c)
	case "application/json":
		var in client.CertificateQuestion
		if err := decode(c.body, &in); err != nil {
			return nil, err
		}
		return s.answerCertificate(ctx, &in, []byte(in.Certificate))
	}
	data, err := c.body.bytes()
	if err != nil {
		return nil, err
	}
	in := client.CertificateQuestion{At: c.query.Get("at"), Policy: c.query.Get("policy"), Purposes: c.query["purpose"],
		CertificatePolicies: c.query["certificate_policy"], Revocation: c.query.Get("revocation")}
	if in.Trace, err = boolean("trace", c.query.Get("trace")); err != nil {
		return nil, err
	}
	return s.answerCertificate(ctx, &in, data)
}

// boolean reads a parameter that is true or false; "" is false.
func boolean(name, text string) (bool, error) {
	switch text {
	case "true":
		return true, nil
	case "false", "":
		return false, nil
	}
	return false, refuse(http.StatusBadRequest, name, "%.40q is neither true nor false", text)
}

// answerCertificate judges the certificate that target holds as the question says.
func (s *Server) answerCertificate(ctx context.Context, in *client.CertificateQuestion, target []byte) (
	*client.CertificateAnswer, error) {
	q, err := s.question(in, target)
	if err != nil {
		return nil, err
	}
	report, err := s.judgeCertificate(ctx, q)
	if err != nil {
		return nil, err
	}
	answer := &client.CertificateAnswer{Report: *report}
	if in.Trace {
		answer.Trace = certificateTrace(report)
	}
	return answer, nil
}

func (s *Server) judgeCertificate(ctx context.Context, q *CertificateQuestion) (*chain.Report, error) {
	report, err := s.cfg.Certificate(ctx, *q)
	if err != nil {
		return nil, unjudged(ctx, "certificate", err)
	}
	return report, nil
}

// certificateTrace is how an answer was come to.
func certificateTrace(r *chain.Report) *client.CertificateTrace {
	t := &client.CertificateTrace{Path: pathBlock(r)}
	for i := range r.Chain {
		if r.Chain[i].Certificate != nil {
			t.Certificates = append(t.Certificates, linkOf(r, i))
		}
	}
	return t
}

// question reads what is asked about the first certificate of target.
func (s *Server) question(in *client.CertificateQuestion, target []byte) (*CertificateQuestion, error) {
	if len(bytes.TrimSpace(target)) == 0 {
		return nil, refuse(http.StatusBadRequest, "certificate", "the certificate is missing: send PEM or DER, or JSON with the field certificate")
	}
	list, err := chain.ReadCertificates(target, s.cfg.Cache)
	if err != nil {
		return nil, refuse(http.StatusUnprocessableEntity, "certificate", "%v", err)
	}
	q := &CertificateQuestion{Target: list[0], Further: list[1:]}
	if err := q.addCertificates(in.Certificates, s.cfg.Cache); err != nil {
		return nil, err
	}
	if q.At, err = parseTime(in.At); err != nil {
		return nil, err
	}
	if q.Policy, err = s.policyOf(in.Policy); err != nil {
		return nil, err
	}
	if q.Mode, err = chain.ParseMode(in.Revocation); err != nil {
		return nil, refuse(http.StatusBadRequest, "revocation", "%.40q is none of none, if-available, require", in.Revocation)
	}
	if q.Purposes, err = identifiers("purposes", in.Purposes, purposes); err != nil {
		return nil, err
	}
	if q.Policies, err = identifiers("certificate_policies", in.CertificatePolicies, nil); err != nil {
		return nil, err
	}
	return q, q.addEvidence(in)
}

func (q *CertificateQuestion) addCertificates(texts []string, known *cache.Cache) error {
	for i, text := range texts {
		field := fmt.Sprintf("certificates[%d]", i)
		list, err := chain.ReadCertificates([]byte(text), known)
		if err != nil {
			return refuse(http.StatusUnprocessableEntity, field, "%v", err)
		}
		if q.Further = append(q.Further, list...); len(q.Further) > chain.MaxCertificates {
			return refuse(http.StatusBadRequest, field, "more than %d certificates", chain.MaxCertificates)
		}
	}
	return nil
}

// addEvidence reads the revocation data that come with the question.
func (q *CertificateQuestion) addEvidence(in *client.CertificateQuestion) error {
	if max(len(in.CRLs), len(in.OCSPs)) > maxEvidence {
		return refuse(http.StatusBadRequest, "crls", "more than %d revocation lists or OCSP responses", maxEvidence)
	}
	for i, text := range in.CRLs {
		list, err := revocation.ParseCRL([]byte(text))
		if err != nil {
			return refuse(http.StatusUnprocessableEntity, fmt.Sprintf("crls[%d]", i), "%v", err)
		}
		q.CRLs = append(q.CRLs, list)
	}
	for i, text := range in.OCSPs {
		der, err := base64.StdEncoding.DecodeString(text)
		if err != nil {
			return refuse(http.StatusUnprocessableEntity, fmt.Sprintf("ocsps[%d]", i), "it is no base64")
		}
		response, err := revocation.ParseOCSP(der)
		if err != nil {
			return refuse(http.StatusUnprocessableEntity, fmt.Sprintf("ocsps[%d]", i), "%v", err)
		}
		q.OCSPs = append(q.OCSPs, response)
	}
	return nil
}

// purposes are the extended key usages that have names (RFC 5280 4.2.1.12).
var purposes = map[string]certificate.OID{
	"serverAuth": certificate.PurposeServerAuth, "clientAuth": certificate.PurposeClientAuth,
	"codeSigning": certificate.PurposeCodeSigning, "emailProtection": certificate.PurposeEmailProtection,
	"timeStamping": certificate.PurposeTimeStamping, "OCSPSigning": certificate.PurposeOCSPSigning,
}

// identifiers reads object identifiers, and what is named.
func identifiers(field string, texts []string, named map[string]certificate.OID) (list []certificate.OID, err error) {
	if len(texts) > maxPolicies {
		return nil, refuse(http.StatusBadRequest, field, "more than %d object identifiers", maxPolicies)
	}
	for _, text := range texts {
		id, known := named[text]
		if !known {
			if id, err = certificate.ParseOID(text); err != nil {
				return nil, refuse(http.StatusBadRequest, field, "%.100q is no object identifier, such as 0.4.0.194112.1.2", text)
			}
		}
		list = append(list, id)
	}
	return list, nil
}
