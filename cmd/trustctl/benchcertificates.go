package main

import (
	"bytes"
	"context"
	"crypto/x509"
	"encoding/json"
	"fmt"
	"net/http"
	"runtime"

	"trustcore/cmd/internal/custody"
	"trustcore/verify"
	"trustcore/verify/api"
	"trustcore/verify/certificate"
	"trustcore/verify/chain"
	"trustcore/verify/client"
)

// certificatesAtOnce is how many questions about certificates are asked with one request, where several are.
const certificatesAtOnce = 100

// passedCertificate is the indication of one that is good (EN 319 102-1 5.2.6).
const passedCertificate = "PASSED"

// judgeCertificate is an api.JudgeCertificate by what the mix has.
func (mix *benchMix) judgeCertificate(ctx context.Context, q api.CertificateQuestion) (*chain.Report, error) {
	question := chain.Question{Target: q.Target, Further: q.Further, Anchors: mix.evidence.Lists.Anchors(),
		Lists: mix.evidence.Lists, Time: mix.documents[0].at, Mode: q.Mode, Policy: verify.DefaultPolicy(),
		Cache: mix.evidence.Cache}
	for _, der := range mix.evidence.CRLs {
		list, err := mix.evidence.Cache.ParseCRL(der)
		if err != nil {
			return nil, err
		}
		question.CRLs = append(question.CRLs, list)
	}
	for _, der := range mix.evidence.OCSPs {
		answer, err := mix.evidence.Cache.ParseOCSP(der)
		if err != nil {
			return nil, err
		}
		question.OCSPs = append(question.OCSPs, answer)
	}
	return chain.Judge(ctx, question)
}

// benchCertificates measures questions about certificates, a request each and many with one, against the same judge
// called directly.
func (mix *benchMix) benchCertificates(ctx context.Context, s *benchSettings, service *benchService,
	clients int) (map[string]figures, error) {
	var bodies [][]byte
	for _, c := range mix.signers {
		one, err := json.Marshal(client.CertificateQuestion{Certificate: string(custody.PEM(c.Raw)),
			Certificates: []string{string(custody.PEM(mix.issuing.Raw))}})
		if err != nil {
			return nil, err
		}
		bodies = append(bodies, one, bytes.Repeat(append(one, '\n'), certificatesAtOnce))
	}
	ways := []way{
		{name: "in process", repeat: certificatesAtOnce, do: func(ctx context.Context, n int) error {
			return mix.askCertificate(ctx, mix.signers[n])
		}},
		{name: "a request each", do: func(ctx context.Context, n int) error {
			return service.askCertificates(ctx, "application/json", bodies[2*n], 1)
		}},
		{name: "many with one", do: func(ctx context.Context, n int) error {
			return service.askCertificates(ctx, "application/x-ndjson", bodies[2*n+1], certificatesAtOnce)
		}},
	}
	rates, err := contend(ctx, s.duration()/3, len(mix.signers), ways, []int{runtime.GOMAXPROCS(0), clients, clients})
	if err != nil {
		return nil, err
	}
	many := &rates[2]
	many.perSecond *= certificatesAtOnce
	many.samples.acts *= certificatesAtOnce
	return map[string]figures{"in_process": rates[0].figures(rate{}), "a_request_each": overHTTPS(rates[1], rates[0]),
		fmt.Sprintf("%d_a_request", certificatesAtOnce): overHTTPS(*many, rates[0])}, nil
}

// askCertificate asks in process, from the certificates' DER on.
func (mix *benchMix) askCertificate(ctx context.Context, c *x509.Certificate) error {
	target, err := mix.evidence.Cache.Parse(c.Raw)
	if err != nil {
		return err
	}
	issuing, err := mix.evidence.Cache.Parse(mix.issuing.Raw)
	if err != nil {
		return err
	}
	report, err := mix.judgeCertificate(ctx, api.CertificateQuestion{Target: target,
		Further: []*certificate.Certificate{issuing}, Mode: chain.Require})
	if err == nil && report.Indication != passedCertificate {
		err = fmt.Errorf("the certificate of the mix is %s", report.Indication)
	}
	return err
}

// askCertificates sends questions and reads the answers to their end.
func (b *benchService) askCertificates(ctx context.Context, media string, body []byte, questions int) error {
	response, answer, err := b.post(ctx, "/v1/certificates", media, body)
	if err != nil {
		return err
	}
	if good := bytes.Count(answer, []byte(`"indication":"`+passedCertificate+`"`)); response.StatusCode != http.StatusOK ||
		good != questions {
		return fmt.Errorf("%s, %d of %d certificates passed: %.300s", response.Status, good, questions, answer)
	}
	return nil
}
