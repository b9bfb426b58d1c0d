// Package load measures responders and time-stamping units over HTTP, and the signer behind them, in closed loops: each worker asks again
// when it has its answer. Ratios of two measurements of one run are worth keeping; absolute figures are the machine's.
package load

import (
	"bytes"
	"context"
	"crypto"
	"crypto/ecdsa"
	"crypto/rand"
	"crypto/sha256"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"math/big"
	"net/http"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"trustcore/internal/cms"
	"trustcore/pki/ocsp"
)

// Result is one measurement.
type Result struct {
	Count     int // answers that were right
	PerSecond float64
	P50, P99  time.Duration
}

// Act does one thing and fails when the answer is wrong.
type Act func(ctx context.Context) error

// Measure repeats act in concurrency workers for the given time. The first failure ends the measurement.
func Measure(ctx context.Context, duration time.Duration, concurrency int, act Act) (Result, error) {
	if concurrency < 1 || duration <= 0 {
		return Result{}, errors.New("measuring: concurrency and duration must be positive")
	}
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	begun := time.Now()
	times := make([][]time.Duration, concurrency)
	var wg sync.WaitGroup
	for worker := range concurrency {
		wg.Go(func() {
			for ctx.Err() == nil && time.Since(begun) < duration {
				start := time.Now()
				if err := act(ctx); err != nil {
					cancel(err)
					return
				}
				times[worker] = append(times[worker], time.Since(start))
			}
		})
	}
	wg.Wait()
	elapsed := time.Since(begun)
	if err := context.Cause(ctx); err != nil {
		return Result{}, fmt.Errorf("measuring: %w", err)
	}
	all := slices.Concat(times...)
	if len(all) == 0 {
		return Result{}, errors.New("measuring: nothing was done in time")
	}
	slices.Sort(all)
	return Result{Count: len(all), PerSecond: float64(len(all)) / elapsed.Seconds(), P50: all[len(all)/2], P99: all[len(all)*99/100]}, nil
}

// Client is an HTTP client that keeps a connection for every worker.
func Client(concurrency int) *http.Client {
	transport := &http.Transport{MaxIdleConns: concurrency, MaxIdleConnsPerHost: concurrency, DisableCompression: true}
	return &http.Client{Transport: transport, Timeout: 30 * time.Second}
}

// OCSP asks the responder at address by POST for one of the certificates after the other, with a fresh nonce each time or without any.
func OCSP(client *http.Client, address string, issuer *x509.Certificate, serials []*big.Int, nonce bool) (Act, error) {
	if len(serials) == 0 {
		return nil, errors.New("measuring OCSP: no serial numbers")
	}
	var plain [][]byte
	for _, serial := range serials {
		request, err := ocsp.NewRequest(issuer, crypto.SHA1, nil, serial)
		if err != nil {
			return nil, err
		}
		plain = append(plain, request)
	}
	var turn atomic.Uint64
	return func(ctx context.Context) error {
		i := turn.Add(1) % uint64(len(serials))
		request := plain[i]
		if nonce {
			octets := make([]byte, 32)
			if _, err := rand.Read(octets); err != nil {
				return err
			}
			var err error
			if request, err = ocsp.NewRequest(issuer, crypto.SHA1, octets, serials[i]); err != nil {
				return err
			}
		}
		answer, err := post(ctx, client, address, "application/ocsp-request", request)
		if err != nil {
			return err
		}
		if !bytes.Contains(answer[:min(len(answer), 8)], []byte{0x0a, 0x01, 0x00}) { // responseStatus successful
			return fmt.Errorf("OCSP answer % x", answer[:min(len(answer), 16)])
		}
		return nil
	}, nil
}

// TSA asks the unit at address for tokens over a SHA-256 imprint, with certificates and a nonce.
func TSA(client *http.Client, address string) (Act, error) {
	digest := sha256.Sum256([]byte("document"))
	var turn atomic.Int64
	return func(ctx context.Context) error {
		request, err := cms.NewTimestampRequest(crypto.SHA256, digest[:], "", big.NewInt(turn.Add(1)), true)
		if err != nil {
			return err
		}
		answer, err := post(ctx, client, address, "application/timestamp-query", request)
		if err != nil {
			return err
		}
		response, err := cms.ParseTimestampResponse(answer)
		if err != nil {
			return err
		}
		if !response.Granted() {
			return fmt.Errorf("time-stamp refused: %s", response.Text)
		}
		return nil
	}, nil
}

// Signer signs a digest of 32 octets and nothing else: the limit of what stands before it.
func Signer(key crypto.Signer) Act {
	digest := sha256.Sum256([]byte("document"))
	message := digest[:]
	hash := crypto.SHA256
	if ec, ok := key.Public().(*ecdsa.PublicKey); ok && ec.Curve.Params().BitSize > 256 {
		hash = crypto.SHA384
		message = append(message, make([]byte, 16)...)
	}
	return func(context.Context) error {
		_, err := key.Sign(rand.Reader, message, hash)
		return err
	}
}

// maxAnswer bounds what is read of an answer.
const maxAnswer = 1 << 20

func post(ctx context.Context, client *http.Client, address, kind string, body []byte) (answer []byte, err error) {
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, address, bytes.NewReader(body))
	if err != nil {
		return nil, err
	}
	request.Header.Set("Content-Type", kind)
	response, err := client.Do(request)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, response.Body.Close()) }()
	if response.StatusCode != http.StatusOK {
		return nil, errors.New(response.Status)
	}
	return io.ReadAll(io.LimitReader(response.Body, maxAnswer))
}
