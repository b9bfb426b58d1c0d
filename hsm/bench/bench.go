// Package bench measures signing through the gateway against the same kind of keys by PKCS#11 directly, in one run, since absolute
// figures do not last from one machine to the next.
package bench

import (
	"context"
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/hex"
	"errors"
	"fmt"
	"log/slog"
	"math/big"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/ThalesGroup/crypto11"

	"trustcore/hsm"
	"trustcore/hsm/gateway"
	"trustcore/hsm/remote"
	"trustcore/internal/audit"
	"trustcore/internal/store"
)

// Config tells Run what to measure with.
type Config struct {
	Worker      []string      // the command that calls worker.Main
	ModulePath  string        // SoftHSM2's module
	Dir         string        // an empty folder for two tokens, a registry and an audit log
	Duration    time.Duration // of the whole measurement
	Concurrency int           // callers at a time
}

// Figures are what was measured of one kind of key.
type Figures struct {
	Algorithm hsm.Algorithm
	Direct    Rate // crypto11 in this process
	Worker    Rate // crypto.Signer of package hsm: through the worker process
	Gateway   Rate // over mutual TLS on loopback, each with its audit entry
}

// Rate is a speed and its times.
type Rate struct {
	PerSecond float64
	P50, P99  time.Duration
}

// slices of time in which the ways take turns, so that a busy moment of the machine hits all alike.
const turns = 4

// Run measures P-256 and RSA-2048. It makes its own tokens and leaves the caller's alone.
func Run(ctx context.Context, cfg Config) ([]Figures, error) {
	if len(cfg.Worker) == 0 || cfg.ModulePath == "" || cfg.Dir == "" || cfg.Duration <= 0 || cfg.Concurrency < 1 {
		return nil, errors.New("HSM benchmark: Worker, ModulePath, Dir, Duration and Concurrency are needed")
	}
	b := &benchmark{cfg: cfg}
	defer b.close()
	if err := b.build(ctx); err != nil {
		return nil, fmt.Errorf("HSM benchmark: %w", err)
	}
	algorithms := []hsm.Algorithm{hsm.P256, hsm.RSA2048}
	slice := cfg.Duration / time.Duration(len(algorithms)*3*turns)
	var all []Figures
	for _, a := range algorithms {
		f, err := b.measure(ctx, a, slice)
		if err != nil {
			return nil, fmt.Errorf("HSM benchmark: %s: %w", a, err)
		}
		all = append(all, f)
	}
	return all, nil
}

// benchmark is what stands while measuring.
type benchmark struct {
	cfg     Config
	actor   audit.Actor
	module  *hsm.Module
	direct  *crypto11.Context
	keys    map[hsm.Algorithm]crypto.Signer // direct
	client  *remote.Client
	grants  atomic.Pointer[[]gateway.Grant] // of the key that is measured; looking them up is the registry's part, not the gateway's
	closers []func()
}

func (b *benchmark) close() {
	for _, c := range slices.Backward(b.closers) {
		c()
	}
}

func (b *benchmark) build(ctx context.Context) error {
	b.actor = audit.Actor{Kind: "daemon", ID: "benchmark"}
	log, err := audit.Open(ctx, audit.Config{Dir: filepath.Join(b.cfg.Dir, "audit")})
	if err != nil {
		return err
	}
	b.closers = append(b.closers, func() { _ = log.Close(context.WithoutCancel(ctx)) })
	if err := b.openDirect(ctx, log); err != nil {
		return err
	}
	module, db, err := b.start(ctx, "worker", log)
	if err != nil {
		return err
	}
	b.module = module
	b.closers = append(b.closers, func() { _ = module.Close(); _ = db.Close() })
	return b.serve(log)
}

func (b *benchmark) start(ctx context.Context, name string, log *audit.Log) (*hsm.Module, *store.DB, error) {
	dir := filepath.Join(b.cfg.Dir, name)
	db, err := store.Open(ctx, "sqlite://"+filepath.Join(dir, "keys.db"))
	if err != nil {
		return nil, nil, err
	}
	m, err := hsm.Start(ctx, hsm.Config{
		Worker: b.cfg.Worker, ModulePath: b.cfg.ModulePath, TokenDir: filepath.Join(dir, "token"), TokenLabel: name,
		PINFile: filepath.Join(dir, "pin"), SOPINFile: filepath.Join(dir, "so-pin"), Sessions: max(b.cfg.Concurrency, 2),
		DB: db, Audit: log, Now: time.Now, Logger: slog.New(slog.DiscardHandler),
	})
	if err != nil {
		return nil, nil, errors.Join(err, db.Close())
	}
	return m, db, nil
}

// openDirect makes a token with the product, ends its worker, and opens it in this process.
func (b *benchmark) openDirect(ctx context.Context, log *audit.Log) error {
	m, db, err := b.start(ctx, "direct", log)
	if err != nil {
		return err
	}
	ids := map[hsm.Algorithm]string{}
	for _, a := range []hsm.Algorithm{hsm.P256, hsm.RSA2048} {
		info, err := m.Generate(ctx, b.actor, hsm.KeySpec{Label: string(a), Algorithm: a})
		if err != nil {
			return errors.Join(err, m.Close(), db.Close())
		}
		ids[a] = info.ID
	}
	if err := errors.Join(m.Close(), db.Close()); err != nil {
		return err
	}
	dir := filepath.Join(b.cfg.Dir, "direct")
	pin, err := os.ReadFile(filepath.Join(dir, "pin"))
	if err != nil {
		return err
	}
	if err := os.Setenv("SOFTHSM2_CONF", filepath.Join(dir, "token", "softhsm2.conf")); err != nil {
		return err
	}
	b.direct, err = crypto11.Configure(&crypto11.Config{
		Path: b.cfg.ModulePath, TokenLabel: "direct", Pin: strings.TrimSpace(string(pin)), MaxSessions: max(b.cfg.Concurrency, 2) + 1})
	if err != nil {
		return err
	}
	b.closers = append(b.closers, func() { _ = b.direct.Close() })
	b.keys = map[hsm.Algorithm]crypto.Signer{}
	for a, id := range ids {
		raw, err := hex.DecodeString(id)
		if err != nil {
			return err
		}
		if b.keys[a], err = b.direct.FindKeyPair(raw, nil); err != nil {
			return err
		}
	}
	return nil
}

// serve puts a gateway on loopback and makes a client for it.
func (b *benchmark) serve(log *audit.Log) error {
	handler, err := gateway.New(gateway.Config{
		Module: b.module, Audit: log, Now: time.Now, Logger: slog.New(slog.DiscardHandler),
		Rate: 1e9, Burst: 1 << 30, InFlight: 4 * b.cfg.Concurrency,
		Grants: func(context.Context, *x509.Certificate) ([]gateway.Grant, error) { return *b.grants.Load(), nil },
	})
	if err != nil {
		return err
	}
	certificate, anchors, err := selfSigned()
	if err != nil {
		return err
	}
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	server := &http.Server{Handler: handler, ReadHeaderTimeout: 10 * time.Second, TLSConfig: &tls.Config{
		Certificates: []tls.Certificate{certificate}, ClientCAs: anchors, ClientAuth: tls.RequireAndVerifyClientCert, MinVersion: tls.VersionTLS13}}
	served := make(chan struct{})
	go func() { defer close(served); _ = server.ServeTLS(listener, "", "") }()
	b.closers = append(b.closers, func() { _ = server.Close(); <-served })
	b.client, err = remote.NewClient("https://"+listener.Addr().String(), &http.Client{Transport: &http.Transport{
		MaxIdleConnsPerHost: b.cfg.Concurrency,
		TLSClientConfig:     &tls.Config{Certificates: []tls.Certificate{certificate}, RootCAs: anchors, ServerName: "localhost"}}})
	return err
}

func selfSigned() (tls.Certificate, *x509.CertPool, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return tls.Certificate{}, nil, err
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "localhost"}, DNSNames: []string{"localhost"},
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

// measure lets the three ways take turns.
func (b *benchmark) measure(ctx context.Context, a hsm.Algorithm, slice time.Duration) (Figures, error) {
	info, err := b.module.Generate(ctx, b.actor, hsm.KeySpec{Label: string(a), Algorithm: a})
	if err != nil {
		return Figures{}, err
	}
	worker, err := b.module.Signer(ctx, info.ID)
	if err != nil {
		return Figures{}, err
	}
	b.grants.Store(&[]gateway.Grant{{Application: "benchmark", KeyID: info.ID, Mechanisms: info.Mechanisms, Active: true}})
	far, err := b.client.Key(ctx, info.ID)
	if err != nil {
		return Figures{}, err
	}
	var times [3][]time.Duration
	for range turns {
		for i, key := range []crypto.Signer{b.keys[a], worker, far} {
			taken, err := b.hammer(ctx, key, slice)
			if err != nil {
				return Figures{}, err
			}
			times[i] = append(times[i], taken...)
		}
	}
	total := slice * turns
	return Figures{Algorithm: a, Direct: rateOf(times[0], total), Worker: rateOf(times[1], total), Gateway: rateOf(times[2], total)}, nil
}

// hammer signs from all callers for a while and returns how long each signature took.
func (b *benchmark) hammer(ctx context.Context, key crypto.Signer, slice time.Duration) ([]time.Duration, error) {
	digest := sha256.Sum256([]byte("benchmark"))
	end := time.Now().Add(slice)
	var mu sync.Mutex
	var all []time.Duration
	var failure error
	var callers sync.WaitGroup
	for range b.cfg.Concurrency {
		callers.Go(func() {
			var taken []time.Duration
			var err error
			for err == nil && ctx.Err() == nil && time.Now().Before(end) {
				start := time.Now()
				_, err = key.Sign(rand.Reader, digest[:], crypto.SHA256)
				taken = append(taken, time.Since(start))
			}
			mu.Lock()
			defer mu.Unlock()
			all, failure = append(all, taken...), errors.Join(failure, err)
		})
	}
	callers.Wait()
	return all, errors.Join(failure, ctx.Err())
}

func rateOf(taken []time.Duration, total time.Duration) Rate {
	if len(taken) == 0 {
		return Rate{}
	}
	slices.Sort(taken)
	return Rate{PerSecond: float64(len(taken)) / total.Seconds(), P50: taken[len(taken)/2], P99: taken[len(taken)*99/100]}
}
