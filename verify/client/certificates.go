package client

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
)

// Certificate judges a certificate.
func (c *Client) Certificate(ctx context.Context, q CertificateQuestion) (*CertificateAnswer, error) {
	answer := new(CertificateAnswer)
	if err := c.send(ctx, "/v1/certificates", q, answer); err != nil {
		return nil, err
	}
	return answer, nil
}

// Certificates judges up to 1,000 certificates (4 MiB of questions) in one call. Line i of the answer is about
// question i.
func (c *Client) Certificates(ctx context.Context, questions []CertificateQuestion) ([]CertificateLine, error) {
	var lines bytes.Buffer
	encoder := json.NewEncoder(&lines)
	for i := range questions {
		if err := encoder.Encode(&questions[i]); err != nil {
			return nil, err
		}
	}
	answer, err := c.call(ctx, request{method: http.MethodPost, path: "/v1/certificates", media: "application/x-ndjson",
		body: func() (io.Reader, error) { return bytes.NewReader(lines.Bytes()), nil }})
	if err != nil {
		return nil, err
	}
	list := make([]CertificateLine, 0, len(questions))
	for d := json.NewDecoder(bytes.NewReader(answer.data)); ; {
		var line CertificateLine
		err := d.Decode(&line)
		switch {
		case errors.Is(err, io.EOF) && len(list) != len(questions):
			return nil, fmt.Errorf("the answer has %d lines to %d questions", len(list), len(questions))
		case errors.Is(err, io.EOF):
			return list, nil
		case err != nil:
			return nil, fmt.Errorf("line %d of the answer: %w", len(list)+1, err)
		}
		list = append(list, line)
	}
}

// Services are those that documents may be handed in for.
func (c *Client) Services(ctx context.Context) ([]Service, error) {
	var answer Services
	_, err := c.ask(ctx, request{method: http.MethodGet, path: "/v1/services"}, &answer)
	return answer.Services, err
}

// TrustStatus says which trusted lists are in use, and what is wrong with them.
func (c *Client) TrustStatus(ctx context.Context) (*TrustStatus, error) {
	status := new(TrustStatus)
	if _, err := c.ask(ctx, request{method: http.MethodGet, path: "/v1/trust/status"}, status); err != nil {
		return nil, err
	}
	return status, nil
}

// TrustList is the list of a territory, such as PL, with its services.
func (c *Client) TrustList(ctx context.Context, territory string) (*TrustList, error) {
	list := new(TrustList)
	r := request{method: http.MethodGet, path: "/v1/trust/lists/" + url.PathEscape(territory)}
	if _, err := c.ask(ctx, r, list); err != nil {
		return nil, err
	}
	return list, nil
}
