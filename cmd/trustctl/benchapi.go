package main

import (
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"math/big"
	"net"
	"net/http"
	"runtime"
	"slices"
	"time"

	"trustcore/internal/problem"
	"trustcore/verify"
	"trustcore/verify/api"
)

// apiClients is whom the headline is about, among the numbers of clients that are measured.
const apiClients = 8

// apiBuffer is how many octets go over a connection at once, as verify/client has it.
const apiBuffer = 32 << 10

// benchAPI measures validations over HTTPS on loopback, connections kept, against the same judge called directly by one caller a processor.
func benchAPI(ctx context.Context, s *benchSettings) (m *measurement, err error) {
	s.note("preparing documents")
	mix, err := mint(ctx)
	if err != nil {
		return nil, err
	}
	headline := s.workers(apiClients)
	clients := []int{1, apiClients, 64}
	if !slices.Contains(clients, headline) {
		clients = append(clients, headline)
	}
	service, err := mix.serve(slices.Max(clients))
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, service.end()) }()
	ways := []way{{name: "in process", do: func(ctx context.Context, n int) error {
		d := mix.documents[n]
		_, err := d.judge(ctx, &mix.evidence)
		return err
	}}}
	concurrency := []int{runtime.GOMAXPROCS(0)}
	for _, n := range clients {
		ways = append(ways, way{name: fmt.Sprintf("%d clients", n), do: func(ctx context.Context, n int) error {
			return service.validate(ctx, mix.documents[n])
		}})
		concurrency = append(concurrency, n)
	}
	s.note("in process, and with clients over HTTPS")
	rates, err := contend(ctx, s.duration()*2/3, len(mix.documents), ways, concurrency)
	if err != nil {
		return nil, err
	}
	m = &measurement{Unit: "documents", Details: map[string]any{"documents": len(mix.documents)}}
	for i, n := range clients {
		m.Details[fmt.Sprintf("clients_%d", n)] = overHTTPS(rates[i+1], rates[0])
		if n == headline {
			m.set(rates[i+1], fmt.Sprintf("the same documents judged in process, %d at a time", concurrency[0]), rates[0])
			m.Details["clients"] = n
			m.Details["p99_us_in_process"] = microseconds(rates[0].p99)
		}
	}
	s.note("certificates, in process and over HTTPS")
	m.Details["certificates"], err = mix.benchCertificates(ctx, s, service, headline)
	return m, err
}

// overHTTPS are figures with the ratio by processor time, of client and server together.
func overHTTPS(r, limit rate) figures {
	f := r.figures(limit)
	f.Processor = processorRatio(r, limit)
	return f
}

// benchService is the API with a client for it.
type benchService struct {
	address string
	client  *http.Client
	end     func() error
}

// serve serves the mix's judge.
func (mix *benchMix) serve(clients int) (*benchService, error) {
	handler, err := api.New(api.Config{Certificate: mix.judgeCertificate, Cache: mix.evidence.Cache,
		Logger: slog.New(slog.DiscardHandler), Waiting: clients,
		Judge: func(ctx context.Context, r verify.Request) (*verify.Report, error) {
			d := benchDocument{data: r.Document, detached: r.Detached, at: r.At}
			return d.judge(ctx, &mix.evidence)
		}})
	if err != nil {
		return nil, err
	}
	certificate, anchors, err := loopbackCertificate()
	if err != nil {
		return nil, err
	}
	door := problem.Door{Name: "api", Logger: slog.New(slog.DiscardHandler), Body: api.Bodies(0)}
	server := &http.Server{Handler: door.Guard(handler), ReadHeaderTimeout: 10 * time.Second, ErrorLog: slog.NewLogLogger(slog.DiscardHandler, slog.LevelError),
		TLSConfig: &tls.Config{MinVersion: tls.VersionTLS13, Certificates: []tls.Certificate{certificate}}}
	address, end, err := serveLoopback(server, true)
	if err != nil {
		return nil, err
	}
	transport := &http.Transport{MaxIdleConns: clients, MaxIdleConnsPerHost: clients, DisableCompression: true,
		WriteBufferSize: apiBuffer, ReadBufferSize: apiBuffer,
		TLSClientConfig: &tls.Config{MinVersion: tls.VersionTLS13, RootCAs: anchors}}
	return &benchService{address: "https://" + address, client: &http.Client{Transport: transport, Timeout: time.Minute}, end: func() error {
		transport.CloseIdleConnections()
		return end()
	}}, nil
}

// validate sends one document and reads the report to its end.
func (b *benchService) validate(ctx context.Context, d *benchDocument) error {
	response, answer, err := b.post(ctx, "/v1/validations?at="+d.at.UTC().Format(time.RFC3339), "application/octet-stream", d.data)
	switch {
	case err != nil:
		return err
	case response.StatusCode != http.StatusOK:
		return fmt.Errorf("%s: %s", response.Status, bytes.TrimSpace(answer))
	case !bytes.Contains(answer, []byte(`"TOTAL-PASSED"`)):
		return fmt.Errorf("the %s did not pass over HTTP", d.name)
	}
	return nil
}

// post sends a body and reads the answer to its end.
func (b *benchService) post(ctx context.Context, route, media string, body []byte) (*http.Response, []byte, error) {
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, b.address+route, bytes.NewReader(body))
	if err != nil {
		return nil, nil, err
	}
	request.Header.Set("Content-Type", media)
	response, err := b.client.Do(request)
	if err != nil {
		return nil, nil, err
	}
	var answer bytes.Buffer
	if n := response.ContentLength; n > 0 {
		answer.Grow(int(min(n, maxAnswer)) + bytes.MinRead)
	}
	_, err = answer.ReadFrom(io.LimitReader(response.Body, maxAnswer))
	return response, answer.Bytes(), errors.Join(err, response.Body.Close())
}

func loopbackCertificate() (tls.Certificate, *x509.CertPool, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return tls.Certificate{}, nil, err
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "benchmark"}, IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(24 * time.Hour), IsCA: true, BasicConstraintsValid: true}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		return tls.Certificate{}, nil, err
	}
	leaf, err := x509.ParseCertificate(der)
	if err != nil {
		return tls.Certificate{}, nil, err
	}
	anchors := x509.NewCertPool()
	anchors.AddCert(leaf)
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}, anchors, nil
}
