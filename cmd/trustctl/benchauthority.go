package main

import (
	"context"
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"sync/atomic"
	"time"

	"trustcore/cmd/internal/custody"
	"trustcore/internal/audit"
	"trustcore/internal/store"
	"trustcore/pki"
	"trustcore/pki/ceremony"
)

// benchAuthority is a certification authority for one measurement, with its handler on loopback.
type benchAuthority struct {
	dir           string // temporary
	base          string // URL of the handler
	ca            *pki.CA
	root, issuing *x509.Certificate
	ocsp, tsa     pki.Delegate
	closers       []func() error
	handler       atomic.Pointer[http.Handler]
}

var benchActor = audit.Actor{Kind: "daemon", ID: "benchmark"}

// openBenchAuthority makes an authority by the demonstration's plan: its keys in the HSM, as trustd has them, or in memory, where
// signatures are not what is measured.
func openBenchAuthority(ctx context.Context, inHSM bool) (_ *benchAuthority, err error) {
	a := &benchAuthority{}
	defer func() {
		if err != nil {
			err = errors.Join(err, a.close())
		}
	}()
	if a.dir, err = os.MkdirTemp("", "trustctl-bench-"); err != nil {
		return nil, err
	}
	a.closers = append(a.closers, func() error { return os.RemoveAll(a.dir) })
	server := &http.Server{ReadHeaderTimeout: 10 * time.Second, ErrorLog: slog.NewLogLogger(slog.DiscardHandler, slog.LevelError),
		Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { (*a.handler.Load()).ServeHTTP(w, r) })}
	nothing := http.NotFoundHandler()
	a.handler.Store(&nothing)
	address, end, err := serveLoopback(server, false)
	if err != nil {
		return nil, err
	}
	a.closers = append(a.closers, end)
	a.base = "http://" + address + "/pki"
	if inHSM {
		err = a.openHSM(ctx)
	} else {
		err = a.openMemory(ctx)
	}
	if err != nil {
		return nil, err
	}
	answers := a.ca.Handler()
	a.handler.Store(&answers)
	return a, nil
}

func (a *benchAuthority) close() (err error) {
	for _, c := range slices.Backward(a.closers) {
		err = errors.Join(err, c())
	}
	return err
}

// serveLoopback serves on a port that the kernel chooses.
func serveLoopback(server *http.Server, tls bool) (address string, end func() error, err error) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return "", nil, err
	}
	served := make(chan error, 1)
	go func() {
		if tls {
			served <- server.ServeTLS(listener, "", "")
		} else {
			served <- server.Serve(listener)
		}
	}()
	return listener.Addr().String(), func() error {
		err := server.Close()
		if ended := <-served; !errors.Is(ended, http.ErrServerClosed) {
			err = errors.Join(err, ended)
		}
		return err
	}, nil
}

// openHSM performs the ceremony in a SoftHSM2 token, with the worker process that trustd has.
func (a *benchAuthority) openHSM(ctx context.Context) error {
	cfg := custody.Defaults()
	cfg.StateDir, cfg.PKIURL, cfg.Logger = filepath.Join(a.dir, "trustd"), a.base, slog.New(slog.DiscardHandler)
	c, err := openCustody(ctx, cfg)
	if err != nil {
		return err
	}
	a.closers = append(a.closers, func() error { return c.Close(context.WithoutCancel(ctx)) })
	plan, err := ceremony.Parse(ceremony.Default(a.base))
	if err != nil {
		return err
	}
	made, err := c.Perform(ctx, plan)
	if err != nil {
		return err
	}
	a.took(made)
	a.ca, err = c.CA(ctx)
	return err
}

// openMemory performs it with keys in memory.
func (a *benchAuthority) openMemory(ctx context.Context) error {
	plan, err := ceremony.Parse(ceremony.Default(a.base))
	if err != nil {
		return err
	}
	made, err := ceremony.Perform(ctx, plan, memoryKey, time.Now)
	if err != nil {
		return err
	}
	a.took(made)
	db, err := store.Open(ctx, "sqlite://"+filepath.Join(a.dir, "pki.db"))
	if err != nil {
		return err
	}
	a.closers = append(a.closers, db.Close)
	log, err := audit.Open(ctx, audit.Config{Dir: filepath.Join(a.dir, "audit")})
	if err != nil {
		return err
	}
	a.closers = append(a.closers, func() error { return log.Close(context.WithoutCancel(ctx)) })
	a.ca, err = pki.New(ctx, pki.Config{DB: db, Audit: log, BaseURL: a.base, Logger: slog.New(slog.DiscardHandler),
		Roots:   []pki.Root{{Certificate: made.Root.Certificate, Key: made.Root.Key, List: made.RootCRL}},
		Issuers: []pki.Issuer{{Certificate: made.Issuing.Certificate, Key: made.Issuing.Key, OCSP: a.ocsp}}, TSA: a.tsa})
	return err
}

func (a *benchAuthority) took(made *ceremony.Result) {
	a.root, a.issuing = made.Root.Certificate, made.Issuing.Certificate
	a.ocsp = pki.Delegate{Certificate: made.OCSP.Certificate, Key: made.OCSP.Key}
	a.tsa = pki.Delegate{Certificate: made.TimeStamping.Certificate, Key: made.TimeStamping.Key}
}

// memoryKey is a ceremony.MakeKey for a measurement: the key ends with the process.
func memoryKey(_ context.Context, label, algorithm string) (string, crypto.Signer, map[string]string, error) {
	curve := map[string]elliptic.Curve{ceremony.P256: elliptic.P256(), ceremony.P384: elliptic.P384()}[algorithm]
	if curve == nil {
		return "", nil, nil, fmt.Errorf("no %s keys in a measurement", algorithm)
	}
	key, err := ecdsa.GenerateKey(curve, rand.Reader)
	return label, key, map[string]string{"CKA_SENSITIVE": "true", "CKA_EXTRACTABLE": "false"}, err
}

// issue certifies a key.
func (a *benchAuthority) issue(ctx context.Context, kind pki.Profile, subject pki.Subject, key crypto.Signer) (*x509.Certificate, error) {
	der, err := x509.CreateCertificateRequest(rand.Reader, &x509.CertificateRequest{Subject: pkix.Name{CommonName: subject.CommonName}}, key)
	if err != nil {
		return nil, err
	}
	request, err := x509.ParseCertificateRequest(der)
	if err != nil {
		return nil, err
	}
	return a.ca.Issue(ctx, benchActor, kind, request, subject, "")
}
