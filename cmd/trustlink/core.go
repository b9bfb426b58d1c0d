package main

import (
	"bytes"
	"context"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"strings"
	"time"

	"trustcore/vpn/office"
)

const (
	coreTimeout = time.Minute // the core signs a certificate before it answers
	maxAnswer   = 1 << 20     // bytes of an answer
)

// trust says how the core's server is recognised, before the office has its own anchors.
type trust struct {
	caFile string // PEM anchors, or
	pin    string // SHA-256 of the server's certificate or of its CA's, hexadecimal; else the system's anchors
}

func (t trust) settings() (*tls.Config, error) {
	settings := &tls.Config{MinVersion: tls.VersionTLS13}
	switch {
	case t.caFile != "" && t.pin != "":
		return nil, errors.New("give --ca or --pin, not both")
	case t.caFile != "":
		text, err := os.ReadFile(t.caFile)
		if err != nil {
			return nil, fmt.Errorf("--ca: %w", err)
		}
		settings.RootCAs = x509.NewCertPool()
		if !settings.RootCAs.AppendCertsFromPEM(text) {
			return nil, fmt.Errorf("--ca: %s holds no PEM certificate", t.caFile)
		}
	case t.pin != "":
		pin, err := hex.DecodeString(strings.ReplaceAll(t.pin, ":", ""))
		if err != nil || len(pin) != sha256.Size {
			return nil, errors.New("--pin is not the SHA-256 of a certificate (64 hexadecimal digits)")
		}
		settings.InsecureSkipVerify = true // the pin is checked instead, below
		settings.VerifyConnection = func(c tls.ConnectionState) error { return verifyPin(c, [sha256.Size]byte(pin)) }
	}
	return settings, nil
}

// verifyPin accepts the pinned certificate itself as the server's, or a server's
// certificate for this name that the pinned one has issued.
func verifyPin(c tls.ConnectionState, pin [sha256.Size]byte) error {
	leaf := c.PeerCertificates[0]
	if sha256.Sum256(leaf.Raw) == pin {
		return nil
	}
	options := x509.VerifyOptions{DNSName: c.ServerName, Roots: x509.NewCertPool(), Intermediates: x509.NewCertPool()}
	found := false
	for _, certificate := range c.PeerCertificates[1:] {
		if sha256.Sum256(certificate.Raw) == pin {
			options.Roots.AddCert(certificate)
			found = true
		}
		options.Intermediates.AddCert(certificate)
	}
	if !found {
		return errors.New("the server's certificates do not hold the pinned one")
	}
	_, err := leaf.Verify(options)
	return err
}

// request is the body of POST /v1/enrolments: the token and public parts only.
type request struct {
	Token     string `json:"token"`
	PublicKey string `json:"wireguard_public_key"`
	CSR       string `json:"csr"`
	Exchange  string `json:"preshared_exchange,omitempty"` // base64, see vpn.Exchange
}

// enrolAt sends the request to the core.
func enrolAt(ctx context.Context, url string, t trust, body request) (office.Enrolment, error) {
	var answer office.Enrolment
	settings, err := t.settings()
	if err != nil {
		return answer, err
	}
	data, err := json.Marshal(body)
	if err != nil {
		return answer, err
	}
	ctx, cancel := context.WithTimeout(ctx, coreTimeout)
	defer cancel()
	post, err := http.NewRequestWithContext(ctx, http.MethodPost, strings.TrimSuffix(url, "/")+"/v1/enrolments", bytes.NewReader(data))
	if err != nil {
		return answer, fmt.Errorf("--url: %w", err)
	}
	post.Header.Set("Content-Type", "application/json")
	client := &http.Client{Transport: &http.Transport{TLSClientConfig: settings, Proxy: http.ProxyFromEnvironment}}
	response, err := client.Do(post)
	if err != nil {
		return answer, fmt.Errorf("the core does not answer (run this again when it does): %w", err)
	}
	defer response.Body.Close()
	text, err := io.ReadAll(io.LimitReader(response.Body, maxAnswer))
	if err != nil {
		return answer, fmt.Errorf("read the core's answer: %w", err)
	}
	if response.StatusCode/100 != 2 {
		return answer, fmt.Errorf("the core refused the enrolment: %s", reason(response, text))
	}
	if err := json.Unmarshal(text, &answer); err != nil {
		return answer, fmt.Errorf("read the core's answer: %w", err)
	}
	return answer, answer.Validate()
}

// reason takes the words of a problem (RFC 9457), or the status.
func reason(response *http.Response, text []byte) string {
	var problem struct{ Title, Detail string }
	if json.Unmarshal(text, &problem) == nil && problem.Detail != "" {
		return problem.Detail
	}
	return response.Status
}
