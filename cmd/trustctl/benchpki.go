package main

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"errors"
	"fmt"
	"math/big"

	"trustcore/pki"
	"trustcore/pki/load"
)

// pkiClients are the connections at a time that responder and time-stamping unit are measured with.
const pkiClients = 16

// askedCertificates is how many certificates a responder is asked about in turn.
const askedCertificates = 16

const signerAlone = "the signer alone: the same key in the HSM"

// benchOCSP measures the responder over HTTP on loopback; answers with a nonce are signed for each request, the others kept.
func benchOCSP(ctx context.Context, s *benchSettings) (m *measurement, err error) {
	s.note("ceremony in the HSM, certificates to ask about")
	a, err := openBenchAuthority(ctx, true)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, a.close()) }()
	serials, err := a.ask(ctx)
	if err != nil {
		return nil, err
	}
	clients := s.workers(pkiClients)
	client := load.Client(clients)
	defer client.CloseIdleConnections()
	nonce, err := load.OCSP(client, a.base+"/ocsp", a.issuing, serials, true)
	if err != nil {
		return nil, err
	}
	cached, err := load.OCSP(client, a.base+"/ocsp", a.issuing, serials, false)
	if err != nil {
		return nil, err
	}
	s.note("answers with nonce, kept answers, the signer alone")
	rates, err := contend(ctx, s.duration(), 1, []way{act("with nonce", nonce), act("cached", cached), act("signer", load.Signer(a.ocsp.Key))}, same(clients, 3))
	if err != nil {
		return nil, err
	}
	m = &measurement{Unit: "answers with nonce", Details: map[string]any{"clients": clients}}
	m.set(rates[0], signerAlone, rates[2])
	m.Details["nonce"], m.Details["cached"] = rates[0].figures(rates[2]), rates[1].figures(rates[2])
	s.note("openssl ocsp")
	return m, a.opensslOCSP(ctx, s, m, serials[0])
}

// ask issues the certificates that the responder is asked about.
func (a *benchAuthority) ask(ctx context.Context) (serials []*big.Int, err error) {
	for i := range askedCertificates {
		key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
		if err != nil {
			return nil, err
		}
		c, err := a.issue(ctx, pki.PartnerClient, pki.Subject{Partner: "um-przykladowo", CommonName: fmt.Sprintf("office-%d", i)}, key)
		if err != nil {
			return nil, err
		}
		serials = append(serials, c.SerialNumber)
	}
	return serials, nil
}

// benchTSA measures the time-stamping unit over HTTP on loopback; each token's serial number is journalled before it is signed.
func benchTSA(ctx context.Context, s *benchSettings) (m *measurement, err error) {
	s.note("ceremony in the HSM")
	a, err := openBenchAuthority(ctx, true)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, a.close()) }()
	clients := s.workers(pkiClients)
	client := load.Client(clients)
	defer client.CloseIdleConnections()
	stamps, err := load.TSA(client, a.base+"/tsa")
	if err != nil {
		return nil, err
	}
	s.note("time-stamps, the signer alone")
	rates, err := contend(ctx, s.duration(), 1, []way{act("time-stamps", stamps), act("signer", load.Signer(a.tsa.Key))}, same(clients, 2))
	if err != nil {
		return nil, err
	}
	m = &measurement{Unit: "time-stamps with nonce", Details: map[string]any{"clients": clients}}
	m.set(rates[0], signerAlone, rates[1])
	m.Details["nonce"] = rates[0].figures(rates[1])
	s.note("openssl ts")
	return m, a.opensslTS(ctx, s, m)
}

func act(name string, do load.Act) way {
	return way{name: name, do: func(ctx context.Context, _ int) error { return do(ctx) }}
}

func same(concurrency, n int) []int {
	all := make([]int, n)
	for i := range all {
		all[i] = concurrency
	}
	return all
}
