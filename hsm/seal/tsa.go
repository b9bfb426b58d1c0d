package seal

import (
	"bytes"
	"context"
	"crypto"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"math/big"
	"net/http"
	"net/url"

	"trustcore/internal/cms"
)

// maxTimestamp is the longest answer of a time-stamping authority, in bytes; a token with its chain takes 3 to 8 KB.
const maxTimestamp = 64 << 10

// NewTSA returns a client of the time-stamping authority at an http or https address (RFC 3161, 3.4). It checks that the token is for
// the digest and the request; who signed it is for the verifier to judge.
func NewTSA(address string, client *http.Client) (TSA, error) {
	u, err := url.Parse(address)
	if err != nil {
		return nil, fmt.Errorf("time-stamping authority's address: %w", err)
	}
	if u.Scheme != "http" && u.Scheme != "https" || u.Host == "" {
		return nil, fmt.Errorf("time-stamping authority's address %q is not of the form http://host/path", address)
	}
	if client == nil {
		return nil, errors.New("time-stamping authority: the HTTP client is missing")
	}
	return func(ctx context.Context, hash crypto.Hash, digest []byte) ([]byte, error) {
		token, err := askTSA(ctx, client, address, hash, digest)
		if err != nil {
			return nil, fmt.Errorf("time-stamp from %s: %w", address, err)
		}
		return token, nil
	}, nil
}

func askTSA(ctx context.Context, client *http.Client, address string, hash crypto.Hash, digest []byte) ([]byte, error) {
	nonce, err := rand.Int(rand.Reader, new(big.Int).Lsh(big.NewInt(1), 64))
	if err != nil {
		return nil, err
	}
	body, err := cms.NewTimestampRequest(hash, digest, "", nonce, true)
	if err != nil {
		return nil, err
	}
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
	switch {
	case err != nil:
		return nil, err
	case response.StatusCode != http.StatusOK:
		return nil, fmt.Errorf("it answers %s", response.Status)
	case len(answer) > maxTimestamp:
		return nil, fmt.Errorf("the answer is longer than %d bytes", maxTimestamp)
	}
	return checkAnswer(answer, digest, nonce)
}

// checkAnswer holds the answer against the request (RFC 3161, 2.2 and 2.4.2).
func checkAnswer(answer, digest []byte, nonce *big.Int) ([]byte, error) {
	response, err := cms.ParseTimestampResponse(answer)
	if err != nil {
		return nil, err
	}
	if !response.Granted() {
		return nil, fmt.Errorf("it refuses: status %d, failure %v, %q", response.Status, response.Failure, response.Text)
	}
	token, err := cms.Parse(response.Token)
	if err != nil {
		return nil, err
	}
	info, err := cms.ParseTSTInfo(token.Content.Bytes())
	switch {
	case err != nil:
		return nil, err
	case !bytes.Equal(info.Imprint, digest):
		return nil, errors.New("the token is for another digest")
	case info.Nonce == nil || info.Nonce.Cmp(nonce) != 0:
		return nil, errors.New("the token is for another request")
	}
	return response.Token, nil
}
