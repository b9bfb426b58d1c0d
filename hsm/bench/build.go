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
	"sync/atomic"
	"time"

	"github.com/ThalesGroup/crypto11"

	"trustcore/hsm"
	"trustcore/hsm/gateway"
	"trustcore/hsm/mechanism"
	"trustcore/hsm/remote"
	"trustcore/internal/audit"
	"trustcore/internal/problem"
	"trustcore/internal/store"
)

// partner owns the keys that are measured.
const partner = "benchmark"

// What a gateway has by default: parallel signatures, and digests in progress.
const (
	sessions = 8
	inFlight = 1024
)

// bench is what stands while measuring.
type bench struct {
	cfg     Config
	actor   audit.Actor
	module  *hsm.Module
	direct  map[hsm.Algorithm]crypto.Signer
	near    map[hsm.Algorithm]*hsm.Key
	far     map[hsm.Algorithm]*remote.Key
	http    *http.Client
	base    string       // of the gateway
	sent    atomic.Int64 // octets, on network connections
	closers []func()
}

func (b *bench) close() {
	for _, c := range slices.Backward(b.closers) {
		c()
	}
}

func (b *bench) build(ctx context.Context) error {
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
	keys, err := b.generate(ctx, module, partner)
	if err != nil {
		return err
	}
	b.near = map[hsm.Algorithm]*hsm.Key{}
	for _, k := range keys {
		if b.near[k.Algorithm], err = module.Signer(ctx, k.ID); err != nil {
			return err
		}
	}
	grants, err := b.cfg.Authorise(ctx, db, log, partner, keys)
	if err != nil {
		return err
	}
	if err := b.serve(log, grants); err != nil {
		return err
	}
	return b.reach(ctx, keys)
}

func (b *bench) generate(ctx context.Context, m *hsm.Module, of string) (keys []hsm.KeyInfo, err error) {
	for _, a := range Algorithms {
		info, err := m.Generate(ctx, b.actor, hsm.KeySpec{Partner: of, Order: of, Label: string(a), Algorithm: a})
		if err != nil {
			return nil, err
		}
		keys = append(keys, info)
	}
	return keys, nil
}

// most is the greatest number of callers.
func (b *bench) most() int { return slices.Max(b.cfg.Callers) }

func (b *bench) start(ctx context.Context, name string, log *audit.Log) (*hsm.Module, *store.DB, error) {
	dir := filepath.Join(b.cfg.Dir, name)
	db, err := store.Open(ctx, "sqlite://"+filepath.Join(dir, "keys.db"))
	if err != nil {
		return nil, nil, err
	}
	m, err := hsm.Start(ctx, hsm.Config{
		Worker: b.cfg.Worker, ModulePath: b.cfg.ModulePath, TokenDir: filepath.Join(dir, "token"), TokenLabel: name,
		PINFile: filepath.Join(dir, "pin"), SOPINFile: filepath.Join(dir, "so-pin"), Sessions: sessions,
		DB: db, Audit: log, Now: time.Now, Logger: slog.New(slog.DiscardHandler),
	})
	if err != nil {
		return nil, nil, errors.Join(err, db.Close())
	}
	return m, db, nil
}

// openDirect makes a token with the product, ends its worker, and opens it in this process.
func (b *bench) openDirect(ctx context.Context, log *audit.Log) error {
	m, db, err := b.start(ctx, Direct, log)
	if err != nil {
		return err
	}
	keys, err := b.generate(ctx, m, "")
	if err := errors.Join(err, m.Close(), db.Close()); err != nil {
		return err
	}
	dir := filepath.Join(b.cfg.Dir, Direct)
	pin, err := os.ReadFile(filepath.Join(dir, "pin"))
	if err != nil {
		return err
	}
	if err := os.Setenv("SOFTHSM2_CONF", filepath.Join(dir, "token", "softhsm2.conf")); err != nil {
		return err
	}
	open, err := crypto11.Configure(&crypto11.Config{
		Path: b.cfg.ModulePath, TokenLabel: Direct, Pin: strings.TrimSpace(string(pin)), MaxSessions: max(b.most(), 2) + 1})
	if err != nil {
		return err
	}
	b.closers = append(b.closers, func() { _ = open.Close() })
	b.direct = map[hsm.Algorithm]crypto.Signer{}
	for _, k := range keys {
		id, err := hex.DecodeString(k.ID)
		if err != nil {
			return err
		}
		if b.direct[k.Algorithm], err = open.FindKeyPair(id, nil); err != nil {
			return err
		}
	}
	return nil
}

// serve puts a gateway on loopback, behind the door that trustd has, and something empty beside it.
func (b *bench) serve(log *audit.Log, grants Grants) error {
	handler, err := gateway.New(gateway.Config{
		Module: b.module, Audit: log, Now: time.Now, Logger: slog.New(slog.DiscardHandler),
		Rate: 1e9, Burst: 1 << 30, InFlight: inFlight, Grants: grants,
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
	mux := http.NewServeMux()
	mux.Handle("/", problem.Door{Name: "gateway", Logger: slog.New(slog.DiscardHandler)}.Guard(handler))
	mux.HandleFunc("GET /empty", func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusNoContent) })
	server := &http.Server{Handler: mux, ReadHeaderTimeout: 10 * time.Second, TLSConfig: &tls.Config{
		Certificates: []tls.Certificate{certificate}, ClientCAs: anchors, ClientAuth: tls.RequireAndVerifyClientCert, MinVersion: tls.VersionTLS13}}
	served := make(chan struct{})
	go func() { defer close(served); _ = server.ServeTLS(counting{listener, &b.sent}, "", "") }()
	b.closers = append(b.closers, func() { _ = server.Close(); <-served })
	b.base = "https://" + listener.Addr().String()
	dial := func(ctx context.Context, network, address string) (net.Conn, error) {
		c, err := new(net.Dialer).DialContext(ctx, network, address)
		if err != nil {
			return nil, err
		}
		return countingConn{c, &b.sent}, nil
	}
	b.http = &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: b.most(), DialContext: dial,
		TLSClientConfig: &tls.Config{Certificates: []tls.Certificate{certificate}, RootCAs: anchors, ServerName: "localhost"}}}
	return nil
}

// reach asks the gateway for the keys.
func (b *bench) reach(ctx context.Context, keys []hsm.KeyInfo) error {
	client, err := remote.NewClient(b.base, b.http)
	if err != nil {
		return err
	}
	b.far = map[hsm.Algorithm]*remote.Key{}
	for _, k := range keys {
		if b.far[k.Algorithm], err = client.Key(ctx, k.ID); err != nil {
			return err
		}
	}
	return nil
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

// way is one way of signing.
type way struct {
	name       string
	signatures int // a call
	sign       func(context.Context) error
}

// ways to sign with keys of a kind.
func (b *bench) ways(a hsm.Algorithm) []way {
	digest := sha256.Sum256([]byte("benchmark"))
	m, err := mechanism.Of(b.near[a].Public(), crypto.SHA256)
	batch := slices.Repeat([][]byte{digest[:]}, BatchSize)
	near := func(ctx context.Context) error {
		_, failed := b.near[a].SignDigest(ctx, m, digest[:])
		return errors.Join(err, failed)
	}
	return []way{
		{Direct, 1, func(context.Context) error {
			_, err := b.direct[a].Sign(rand.Reader, digest[:], crypto.SHA256)
			return err
		}},
		{Worker, 1, near},
		{Floor, 1, func(ctx context.Context) error { return errors.Join(near(ctx), b.empty(ctx)) }},
		{Single, 1, func(ctx context.Context) error { _, err := b.far[a].SignDigest(ctx, m, digest[:]); return err }},
		{Batch, BatchSize, func(ctx context.Context) error { _, err := b.far[a].SignDigests(ctx, m, batch); return err }},
	}
}

// empty asks for nothing.
func (b *bench) empty(ctx context.Context) error {
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, b.base+"/empty", nil)
	if err != nil {
		return err
	}
	response, err := b.http.Do(r)
	if err != nil {
		return err
	}
	if response.StatusCode != http.StatusNoContent {
		err = fmt.Errorf("the empty request was answered %s", response.Status)
	}
	return errors.Join(err, response.Body.Close())
}
