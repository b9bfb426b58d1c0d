package seal

import (
	"bytes"
	"context"
	"crypto"
	"crypto/rand"
	"crypto/x509"
	"encoding/asn1"
	"errors"
	"fmt"
	"io"
	"math/big"
	"net/http"
	"net/url"
	"sync"
	"time"

	"github.com/digitorus/timestamp"

	"trustcore/internal/cms"
	"trustcore/internal/fetch"
)

// maxTimestamp is the longest answer of a time-stamping authority, in bytes; a token with its chain takes 3 to 8 KB.
const maxTimestamp = 64 << 10

// clockSkew is how far the authority's clock may be from ours, in either direction. What is further off is no proof
// of when the seal was made: one of the two is wrong.
const clockSkew = 5 * time.Minute

// TSAConfig says which authority is asked, and what is taken from it. Address and Client are required.
type TSAConfig struct {
	Address string        // http or https (RFC 3161, 3.4)
	Client  *fetch.Client // fetch.Configured with that address
	// Anchors are those that the unit's certificate has to lead to, through the certificates in the token. None
	// leaves the question to whoever gathers evidence, and to the verifier.
	Anchors []*x509.Certificate
	Now     func() time.Time // nil is time.Now
}

// OpenTSA returns a client of a time-stamping authority. A token is taken when it is for the request's digest and
// nonce, signed by a certificate for time-stamping alone that was valid then, whose digest the token names, and of
// this minute (RFC 3161, 2.3, 2.4.2).
func OpenTSA(cfg TSAConfig) (TSA, error) {
	if cfg.Client == nil {
		return nil, errors.New("time-stamping authority: the client is missing")
	}
	return newTSA(cfg, func(ctx context.Context, body []byte) ([]byte, error) {
		return cfg.Client.Post(ctx, cfg.Address, "application/timestamp-query", body)
	})
}

// NewTSA is OpenTSA for an HTTP client that reaches the authority by a way of its own, such as the tunnel.
func NewTSA(address string, client *http.Client) (TSA, error) {
	if client == nil {
		return nil, errors.New("time-stamping authority: the HTTP client is missing")
	}
	return newTSA(TSAConfig{Address: address}, func(ctx context.Context, body []byte) ([]byte, error) {
		return post(ctx, client, address, body)
	})
}

func post(ctx context.Context, client *http.Client, address string, body []byte) ([]byte, error) {
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, address, bytes.NewReader(body))
	if err != nil {
		return nil, err
	}
	request.Header.Set("Content-Type", "application/timestamp-query")
	response, err := client.Do(request)
	if err != nil {
		return nil, err
	}
	defer response.Body.Close()
	answer, err := io.ReadAll(io.LimitReader(response.Body, maxTimestamp+1))
	if err == nil && response.StatusCode != http.StatusOK {
		err = fmt.Errorf("it answers %s", response.Status)
	}
	return answer, err
}

func newTSA(cfg TSAConfig, ask func(context.Context, []byte) ([]byte, error)) (TSA, error) {
	u, err := url.Parse(cfg.Address)
	if err != nil {
		return nil, fmt.Errorf("time-stamping authority's address: %w", err)
	}
	if u.Scheme != "http" && u.Scheme != "https" || u.Host == "" {
		return nil, fmt.Errorf("time-stamping authority's address %q is not of the form http://host/path", cfg.Address)
	}
	if cfg.Now == nil {
		cfg.Now = time.Now
	}
	return func(ctx context.Context, hash crypto.Hash, digest []byte) ([]byte, error) {
		token, err := cfg.stamp(ctx, ask, hash, digest)
		if err != nil {
			return nil, fmt.Errorf("time-stamp from %s: %w", cfg.Address, err)
		}
		return token, nil
	}, nil
}

func (cfg TSAConfig) stamp(ctx context.Context, ask func(context.Context, []byte) ([]byte, error), hash crypto.Hash,
	digest []byte) ([]byte, error) {
	nonce, err := rand.Int(rand.Reader, new(big.Int).Lsh(big.NewInt(1), 64))
	if err != nil {
		return nil, err
	}
	request := timestamp.Request{HashAlgorithm: hash, HashedMessage: digest, Nonce: nonce, Certificates: true}
	body, err := request.Marshal()
	if err != nil {
		return nil, err
	}
	answer, err := ask(ctx, body)
	switch {
	case err != nil:
		return nil, err
	case len(answer) > maxTimestamp:
		return nil, fmt.Errorf("the answer is longer than %d bytes", maxTimestamp)
	}
	t, err := readAnswer(answer)
	if err != nil {
		return nil, err
	}
	switch {
	case t.HashAlgorithm != hash || !bytes.Equal(t.HashedMessage, digest):
		return nil, errors.New("the token is for another digest")
	case t.Nonce == nil || t.Nonce.Cmp(nonce) != 0:
		return nil, errors.New("the token is for another request: its nonce is not ours")
	}
	if off := t.Time.Sub(cfg.Now()); off.Abs() > clockSkew {
		return nil, fmt.Errorf("the token's time %s is %s from this machine's clock, more than %s",
			t.Time.UTC().Format(time.RFC3339),
			off.Round(time.Second), clockSkew)
	}
	return t.RawToken, cfg.checkUnit(t)
}

// reading is held while digitorus' package reads: the CMS reader below it counts in a variable of its own.
var reading sync.Mutex

// readAnswer reads an answer and verifies the token's signature. Our own reader has bounds for depth and numbers, so
// it is first.
func readAnswer(answer []byte) (*timestamp.Timestamp, error) {
	response, err := cms.ParseTimestampResponse(answer)
	if err != nil {
		return nil, err
	}
	if !response.Granted() {
		return nil, fmt.Errorf("it refuses: status %d, failure %v, %q", response.Status, response.Failure,
			response.Text)
	}
	sd, err := cms.Parse(response.Token)
	if err != nil {
		return nil, err
	}
	if len(sd.Certificates) == 0 {
		return nil, errors.New("the token holds no certificate, so that nobody can tell who signed it")
	}
	reading.Lock()
	defer reading.Unlock()
	t, err := timestamp.Parse(response.Token)
	if err != nil {
		return nil, fmt.Errorf("the token does not verify: %w", err)
	}
	return t, nil
}

// checkUnit holds the certificate of the time-stamping unit against RFC 3161, 2.3 and 2.4.2, and RFC 5816.
func (cfg TSAConfig) checkUnit(t *timestamp.Timestamp) error {
	der, _, err := tokenCertificates(t.RawToken)
	if err != nil {
		return err
	}
	unit, err := x509.ParseCertificate(der)
	if err != nil {
		return fmt.Errorf("the unit's certificate: %w", err)
	}
	switch {
	case !forTimeStamping(unit):
		return fmt.Errorf("the certificate of %q is not for time-stamping alone (RFC 3161, 2.3)", unit.Subject)
	case t.Time.Before(unit.NotBefore) || t.Time.After(unit.NotAfter):
		return fmt.Errorf("the certificate of %q is valid from %s to %s, not at the token's time %s", unit.Subject,
			unit.NotBefore.UTC().Format(time.RFC3339), unit.NotAfter.UTC().Format(time.RFC3339),
			t.Time.UTC().Format(time.RFC3339))
	}
	if err := namesUnit(t.RawToken, der); err != nil {
		return err
	}
	if len(cfg.Anchors) == 0 {
		return nil
	}
	roots, between := x509.NewCertPool(), x509.NewCertPool()
	for _, c := range cfg.Anchors {
		roots.AddCert(c)
	}
	for _, c := range t.Certificates {
		between.AddCert(c)
	}
	_, err = unit.Verify(x509.VerifyOptions{Roots: roots, Intermediates: between, CurrentTime: t.Time,
		KeyUsages: []x509.ExtKeyUsage{x509.ExtKeyUsageTimeStamping}})
	return err
}

// forTimeStamping tells of an extended key usage that is critical and holds time-stamping alone.
func forTimeStamping(c *x509.Certificate) bool {
	for _, e := range c.Extensions {
		if e.Id.Equal(asn1.ObjectIdentifier{2, 5, 29, 37}) {
			return e.Critical && len(c.UnknownExtKeyUsage) == 0 && len(c.ExtKeyUsage) == 1 &&
				c.ExtKeyUsage[0] == x509.ExtKeyUsageTimeStamping
		}
	}
	return false
}

// namesUnit demands that what the unit signed names its certificate by a digest: else anybody's with the same key
// would do.
func namesUnit(token, unit []byte) error {
	sd, err := cms.Parse(token)
	if err != nil {
		return err
	}
	v2, v1, err := sd.Signers[0].SigningCertificates()
	if err != nil {
		return err
	}
	for _, ref := range v2 {
		if h, ok := hashOf(ref.HashAlgorithm); ok && bytes.Equal(digestOf(h, unit), ref.Hash) {
			return nil
		}
	}
	if len(v2) == 0 && len(v1) > 0 && bytes.Equal(digestOf(crypto.SHA1, unit), v1[0].Hash) {
		return nil // RFC 2634: older authorities; the token's own signature does not rest on it
	}
	return errors.New("the token does not name the certificate of the unit that made it (RFC 5816)")
}
