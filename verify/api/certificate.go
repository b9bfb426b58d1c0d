package api

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"mime"
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

// validateCertificate answers POST /v1/certificates/validations: JSON, or a certificate in PEM or DER (further ones may
// follow in the PEM) with the parameters at, revocation and policy.
func (s *server) validateCertificate(w http.ResponseWriter, r *http.Request) error {
	q, err := readCertificateQuestion(r)
	if err != nil {
		return err
	}
	report, err := s.judgeCertificate(r.Context(), q)
	if err != nil {
		return err
	}
	write(w, http.StatusOK, "application/json", report)
	return nil
}

func (s *server) judgeCertificate(ctx context.Context, q *CertificateQuestion) (*chain.Report, error) {
	ctx, done, err := s.turn(ctx)
	if err != nil {
		return nil, err
	}
	defer done()
	report, err := s.Certificate(ctx, *q)
	if err != nil {
		return nil, unjudged(ctx, "certificate", err)
	}
	return report, nil
}

func readCertificateQuestion(r *http.Request) (*CertificateQuestion, error) {
	media, _, err := mime.ParseMediaType(r.Header.Get("Content-Type"))
	if err == nil && media == "application/json" {
		var in certificateRequest
		d := json.NewDecoder(r.Body)
		d.DisallowUnknownFields()
		if err := d.Decode(&in); err != nil {
			return nil, fmt.Errorf("reading the request: %w", orBad(err))
		}
		if _, err := d.Token(); !errors.Is(err, io.EOF) {
			return nil, refuse(http.StatusBadRequest, "", "the request goes on after its JSON object")
		}
		return in.question([]byte(in.Certificate))
	}
	body, err := io.ReadAll(r.Body)
	if err != nil {
		return nil, fmt.Errorf("reading the certificate: %w", orBad(err))
	}
	values := r.URL.Query()
	in := certificateRequest{At: values.Get("at"), Revocation: values.Get("revocation"), Policies: values["policy"]}
	return in.question(body)
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
