package hsm_test

import (
	"context"
	"crypto"
	"crypto/ecdsa"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"errors"
	"fmt"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"trustcore/hsm"
	"trustcore/hsm/hsmtest"
	"trustcore/hsm/mechanism"
	"trustcore/internal/audit"
	"trustcore/internal/lease"
	"trustcore/internal/lease/leasetest"
	"trustcore/internal/store"
	"trustcore/internal/store/storetest"
)

func TestMain(m *testing.M) { hsmtest.Main(m) }

var officer = audit.Actor{Kind: "officer", ID: "officer-1"}

func TestKeysSignAsCryptoSigners(t *testing.T) { ofEachMaker(t, signsAsCryptoSigner) }

func signsAsCryptoSigner(t *testing.T, tok *hsmtest.Token) {
	digest := sha256.Sum256([]byte("urzędowe poświadczenie odbioru"))
	for _, a := range []hsm.Algorithm{hsm.RSA2048, hsm.RSA3072, hsm.P256, hsm.P384} {
		var key crypto.Signer = tok.Key(t, a)
		switch pub := key.Public().(type) {
		case *rsa.PublicKey:
			s, err := key.Sign(rand.Reader, digest[:], crypto.SHA256)
			if err != nil || rsa.VerifyPKCS1v15(pub, crypto.SHA256, digest[:], s) != nil {
				t.Errorf("%s PKCS #1: %v", a, err)
			}
			s, err = key.Sign(rand.Reader, digest[:], &rsa.PSSOptions{SaltLength: rsa.PSSSaltLengthEqualsHash, Hash: crypto.SHA256})
			if err != nil || rsa.VerifyPSS(pub, crypto.SHA256, digest[:], s, nil) != nil {
				t.Errorf("%s PSS: %v", a, err)
			}
			if _, err := key.Sign(rand.Reader, digest[:], crypto.Hash(0)); !errors.Is(err, mechanism.ErrUnsupported) {
				t.Errorf("%s raw: %v", a, err)
			}
		case *ecdsa.PublicKey:
			s, err := key.Sign(rand.Reader, digest[:], crypto.SHA256)
			if err != nil || !ecdsa.VerifyASN1(pub, digest[:], s) {
				t.Errorf("%s: %v", a, err)
			}
		}
		if _, err := key.Sign(rand.Reader, digest[:31], crypto.SHA256); err == nil {
			t.Errorf("%s: a short digest is signed", a)
		}
	}
}

// The standard library takes the key for what crypto.Signer serves most: certificates and TLS.
func TestCertificateAndTLSWithAKeyOfTheToken(t *testing.T) {
	tok := hsmtest.Start(t, hsmtest.Config(t))
	for _, a := range []hsm.Algorithm{hsm.RSA2048, hsm.P256} {
		key := tok.Key(t, a)
		template := &x509.Certificate{SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "gateway.example"}, DNSNames: []string{"gateway.example"},
			NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour), IsCA: true, BasicConstraintsValid: true}
		der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
		if err != nil {
			t.Fatalf("%s: %v", a, err)
		}
		leaf, err := x509.ParseCertificate(der)
		if err != nil {
			t.Fatal(err)
		}
		roots := x509.NewCertPool()
		roots.AddCert(leaf)
		client, server := net.Pipe()
		go func() {
			defer server.Close()
			s := tls.Server(server, &tls.Config{Certificates: []tls.Certificate{{Certificate: [][]byte{der}, PrivateKey: key}}})
			if err := s.Handshake(); err != nil {
				t.Errorf("%s: server: %v", a, err)
			}
		}()
		c := tls.Client(client, &tls.Config{RootCAs: roots, ServerName: "gateway.example"})
		if err := c.Handshake(); err != nil {
			t.Errorf("%s: client: %v", a, err)
		}
		if err := client.Close(); err != nil {
			t.Error(err)
		}
	}
}

// The worker is killed again and again while keys are in use. No call fails beyond those in flight, everything heals
// by itself, and nothing is signed wrongly.
func TestKilledWorkerHeals(t *testing.T) {
	tok := hsmtest.Start(t, hsmtest.Config(t))
	key := tok.Key(t, hsm.P256)
	pub := key.Public().(*ecdsa.PublicKey)
	const clients, kills = 8, 3
	var signed, failed atomic.Int64
	stop := make(chan struct{})
	var wg sync.WaitGroup
	for c := range clients {
		wg.Go(func() {
			for i := 0; ; i++ {
				select {
				case <-stop:
					return
				default:
				}
				digest := sha256.Sum256(fmt.Append(nil, c, i))
				s, err := key.Sign(rand.Reader, digest[:], crypto.SHA256)
				switch {
				case err != nil:
					failed.Add(1)
					t.Log(err)
				case !ecdsa.VerifyASN1(pub, digest[:], s):
					t.Error("a signature does not verify")
				default:
					signed.Add(1)
				}
			}
		})
	}
	for range kills {
		waitFor(t, "signatures", func() bool { return signed.Load() > 50 })
		pid := tok.WorkerPID()
		if err := syscall.Kill(pid, syscall.SIGKILL); err != nil {
			t.Fatal(err)
		}
		killed := time.Now()
		waitFor(t, "a new worker", func() bool { p := tok.WorkerPID(); return p != 0 && p != pid })
		signed.Store(0)
		waitFor(t, "signatures after the kill", func() bool { return signed.Load() > 0 })
		if d := time.Since(killed); d > 5*time.Second {
			t.Errorf("healing took %v", d)
		}
	}
	close(stop)
	wg.Wait()
	if n := failed.Load(); n > kills*clients {
		t.Errorf("%d calls failed, at most %d were in flight", n, kills*clients)
	}
}

// A stopped worker neither dies nor answers: it is found out, killed and replaced.
func TestHungWorkerIsReplaced(t *testing.T) {
	cfg := hsmtest.Config(t)
	cfg.SignTimeout = 300 * time.Millisecond
	tok := hsmtest.Start(t, cfg)
	key := tok.Key(t, hsm.P256)
	pid := tok.WorkerPID()
	tok.Stop(t)
	if _, err := key.Sign(nil, make([]byte, 32), crypto.SHA256); !errors.Is(err, hsm.ErrUnavailable) {
		t.Errorf("in flight: %v", err)
	}
	if _, err := key.Sign(nil, make([]byte, 32), crypto.SHA256); err != nil {
		t.Errorf("after the hang: %v", err)
	}
	if tok.WorkerPID() == pid {
		t.Error("the hung worker still serves")
	}
}

// The registry of keys on the engine that several nodes share.
func TestRegistryOnPostgreSQL(t *testing.T) {
	cfg := hsmtest.Config(t)
	db, err := store.Open(t.Context(), storetest.Postgres(t))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := db.Close(); err != nil {
			t.Error(err)
		}
	})
	cfg.DB = db
	tok := hsmtest.Start(t, cfg)
	id := tok.Key(t, hsm.P256).Info().ID
	if _, err := tok.Generate(t.Context(), officer, hsm.KeySpec{Label: "twice", Algorithm: hsm.P256}); err != nil {
		t.Error(err)
	}
	if _, err := tok.Generate(t.Context(), officer, hsm.KeySpec{Label: "twice", Algorithm: hsm.P256}); err == nil {
		t.Error("the same label twice: generated")
	}
	for _, do := range []func(context.Context, audit.Actor, string) error{tok.Suspend, tok.Resume, tok.Destroy} {
		if err := do(t.Context(), officer, id); err != nil {
			t.Error(err)
		}
	}
	if k, err := tok.Module.Key(t.Context(), id); err != nil || k.State != hsm.Destroyed || k.Public == nil || !k.Attestation.NeverExtractable {
		t.Errorf("%+v, %v", k, err)
	}
}

func TestKeyIsRefusedWhileThereIsNoWorker(t *testing.T) {
	cfg := hsmtest.Config(t)
	m, err := hsm.Start(t.Context(), cfg) // nobody runs Run: nothing heals
	if err != nil {
		t.Fatal(err)
	}
	info, err := m.Generate(t.Context(), officer, hsm.KeySpec{Label: "k", Algorithm: hsm.P256})
	if err != nil {
		t.Fatal(err)
	}
	key, err := m.Signer(t.Context(), info.ID)
	if err != nil {
		t.Fatal(err)
	}
	if err := m.Close(); err != nil {
		t.Fatal(err)
	}
	if _, err := key.Sign(rand.Reader, make([]byte, 32), crypto.SHA256); !errors.Is(err, hsm.ErrUnavailable) {
		t.Errorf("after Close: %v", err)
	}
	if m.Health() == nil {
		t.Error("a closed module is healthy")
	}
}

func TestRestartFindsTheKeys(t *testing.T) {
	cfg := hsmtest.Config(t)
	var id string
	t.Run("first", func(t *testing.T) { id = hsmtest.Start(t, cfg).Key(t, hsm.P256).Info().ID })
	t.Run("second", func(t *testing.T) {
		tok := hsmtest.Start(t, cfg)
		key, err := tok.Signer(t.Context(), id)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := key.Sign(rand.Reader, make([]byte, 32), crypto.SHA256); err != nil {
			t.Error(err)
		}
	})
}

func TestLifeOfAKey(t *testing.T) {
	ctx := t.Context()
	tok := hsmtest.Start(t, hsmtest.Config(t))
	key := tok.Key(t, hsm.P256)
	id := key.Info().ID
	sign := func() error { _, err := key.Sign(rand.Reader, make([]byte, 32), crypto.SHA256); return err }
	steps := []struct {
		name string
		do   func() error
		want error
	}{
		{"sign", sign, nil},
		{"suspend", func() error { return tok.Suspend(ctx, officer, id) }, nil},
		{"suspend again", func() error { return tok.Suspend(ctx, officer, id) }, nil},
		{"sign suspended", sign, hsm.ErrNotActive},
		{"signer of suspended", func() error { _, err := tok.Signer(ctx, id); return err }, hsm.ErrNotActive},
		{"resume", func() error { return tok.Resume(ctx, officer, id) }, nil},
		{"sign resumed", sign, nil},
		{"destroy", func() error { return tok.Destroy(ctx, officer, id) }, nil},
		{"destroy again", func() error { return tok.Destroy(ctx, officer, id) }, nil},
		{"sign destroyed", sign, hsm.ErrNotActive},
		{"unknown", func() error { return tok.Destroy(ctx, officer, strings.Repeat("0", 32)) }, hsm.ErrUnknownKey},
	}
	for _, s := range steps {
		if err := s.do(); !errors.Is(err, s.want) || (s.want == nil) != (err == nil) {
			t.Errorf("%s: %v, want %v", s.name, err, s.want)
		}
	}
	if err := tok.Resume(ctx, officer, id); err == nil {
		t.Error("a destroyed key is resumed")
	}
	keys, err := tok.Keys(ctx, hsm.Filter{})
	if err != nil || len(keys) != 1 || keys[0].State != hsm.Destroyed {
		t.Errorf("history: %+v, %v", keys, err)
	}
}

func TestPartition(t *testing.T) {
	ctx := t.Context()
	tok := hsmtest.Start(t, hsmtest.Config(t))
	p, err := tok.Partition("partner-1")
	if err != nil {
		t.Fatal(err)
	}
	specs := []hsm.KeySpec{
		{Label: "pieczęć urzędu", Algorithm: hsm.P256, Mechanisms: []mechanism.Mechanism{mechanism.ECDSASHA256}},
		{Label: "UPO", Algorithm: hsm.RSA2048, Mechanisms: []mechanism.Mechanism{mechanism.RSAPKCS1SHA256}},
	}
	first, err := p.Ensure(ctx, officer, "order-1", specs)
	if err != nil || len(first) != 2 {
		t.Fatal(first, err)
	}
	again, err := p.Ensure(ctx, officer, "order-1", specs)
	if err != nil || len(again) != 2 || again[0].ID != first[0].ID || again[1].ID != first[1].ID {
		t.Errorf("again: %v, %v", again, err)
	}
	if _, err := p.Ensure(ctx, officer, "order-1", []hsm.KeySpec{{Label: "UPO", Algorithm: hsm.P384}}); err == nil {
		t.Error("a key of another algorithm passes for the specified one")
	}
	key, err := tok.Signer(ctx, first[0].ID)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := key.SignDigest(ctx, mechanism.ECDSASHA384, make([]byte, 48)); !errors.Is(err, hsm.ErrMechanism) {
		t.Errorf("mechanism outside the specification: %v", err)
	}
	stranger := tok.Key(t, hsm.P256)
	if err := p.Suspend(ctx, officer, ""); err != nil {
		t.Fatal(err)
	}
	if _, err := key.SignDigest(ctx, mechanism.ECDSASHA256, make([]byte, 32)); !errors.Is(err, hsm.ErrNotActive) {
		t.Errorf("use after removal: %v", err)
	}
	if _, err := stranger.Sign(nil, make([]byte, 32), crypto.SHA256); err != nil {
		t.Errorf("another's key: %v", err)
	}
	if _, err := p.Ensure(ctx, officer, "order-1", specs); !errors.Is(err, hsm.ErrNotActive) {
		t.Errorf("suspended keys come back silently: %v", err)
	}
	if keys, err := p.Keys(ctx); err != nil || len(keys) != 2 {
		t.Errorf("history: %v, %v", keys, err)
	}
}

// Generation that a crash has cut short is undone at the next start, in the token and in the registry.
func TestPendingKeyIsUndone(t *testing.T) {
	cfg := hsmtest.Config(t)
	var id string
	t.Run("first", func(t *testing.T) {
		id = hsmtest.Start(t, cfg).Key(t, hsm.P256).Info().ID
		if _, err := cfg.DB.Exec(`UPDATE hsm_keys SET state = 'pending'`); err != nil {
			t.Fatal(err)
		}
	})
	tok := hsmtest.Start(t, cfg)
	k, err := tok.Module.Key(t.Context(), id)
	if err != nil || k.State != hsm.Destroyed {
		t.Errorf("%+v, %v", k, err)
	}
}

// A generation of another node that lives is that node's: it is undone, in the token and in the registry, when that node is dead.
func TestGenerationOfAnotherNode(t *testing.T) {
	cfg := hsmtest.Config(t)
	node := func(name string) *lease.Leases {
		l, err := lease.Open(t.Context(), lease.Config{DB: cfg.DB, Node: name})
		if err != nil {
			t.Fatal(err)
		}
		leasetest.Live(t, l)
		return l
	}
	other := node("a")
	cfg.Leases = node("b")
	seal := []hsm.KeySpec{{Label: "seal", Algorithm: hsm.P256}}
	ensure := func(tok *hsmtest.Token) (string, error) {
		p, err := tok.Partition("partner-1")
		if err != nil {
			return "", err
		}
		made, err := p.Ensure(t.Context(), officer, "order-1", seal)
		if err != nil {
			return "", err
		}
		return made[0].ID, nil
	}
	var id string
	t.Run("first", func(t *testing.T) {
		tok := hsmtest.Start(t, cfg)
		var err error
		if id, err = ensure(tok); err != nil {
			t.Fatal(err)
		}
		if _, err := cfg.DB.Exec(`UPDATE hsm_keys SET state = 'pending', holder = $1`, other.Holder()); err != nil {
			t.Fatal(err)
		}
		if err := tok.Complete(t.Context(), id); err == nil || !strings.Contains(err.Error(), "another process has changed the key") {
			t.Errorf("what another node has taken over is completed: %v", err)
		}
	})
	tok := hsmtest.Start(t, cfg)
	k, err := tok.Module.Key(t.Context(), id)
	if err != nil || k.State != hsm.Pending {
		t.Fatalf("after the start: %+v, %v", k, err)
	}
	_, anew := ensure(tok)
	for what, err := range map[string]error{"made anew": anew, "destroyed": tok.Destroy(t.Context(), officer, id)} {
		if err == nil || !strings.Contains(err.Error(), "another node is generating the key") {
			t.Errorf("%s: %v", what, err)
		}
	}
	if n := len(objects(t, filepath.Join(cfg.TokenDir, "tokens"))); n != 2 {
		t.Errorf("%d objects in the token, want the two halves of the other node's key", n)
	}
	if err := other.Close(t.Context()); err != nil {
		t.Fatal(err)
	}
	if made, err := ensure(tok); err != nil || made == id {
		t.Errorf("after its death: %s, %v", made, err)
	}
	if k, err := tok.Module.Key(t.Context(), id); err != nil || k.State != hsm.Destroyed {
		t.Errorf("after its death: %+v, %v", k, err)
	}
}

func TestNoKeyWithoutAuditEntry(t *testing.T) {
	cfg := hsmtest.Config(t)
	tok := hsmtest.Start(t, cfg)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := tok.Generate(ctx, officer, hsm.KeySpec{Label: "k", Algorithm: hsm.P256}); err == nil {
		t.Error("generated")
	}
	if _, err := tok.Generate(t.Context(), audit.Actor{}, hsm.KeySpec{Label: "k", Algorithm: hsm.P256}); err == nil {
		t.Error("generated for nobody")
	}
	if keys, err := tok.Keys(t.Context(), hsm.Filter{}); err != nil || len(keys) != 0 {
		t.Errorf("%v, %v", keys, err)
	}
}

func TestGenerateRefuses(t *testing.T) {
	tok := hsmtest.Start(t, hsmtest.Config(t))
	for name, spec := range map[string]hsm.KeySpec{
		"no label":        {Algorithm: hsm.P256},
		"long label":      {Label: strings.Repeat("ą", 60), Algorithm: hsm.P256},
		"no algorithm":    {Label: "k"},
		"short RSA":       {Label: "k", Algorithm: "RSA-1024"},
		"mechanism":       {Label: "k", Algorithm: hsm.P256, Mechanisms: []mechanism.Mechanism{mechanism.RSAPKCS1SHA256}},
		"raw RSA":         {Label: "k", Algorithm: hsm.RSA2048, Mechanisms: []mechanism.Mechanism{"RSA-RAW"}},
		"label not UTF-8": {Label: "\xff", Algorithm: hsm.P256},
	} {
		if _, err := tok.Generate(t.Context(), officer, spec); err == nil {
			t.Errorf("%s: generated", name)
		}
	}
	if _, err := tok.Generate(t.Context(), officer, hsm.KeySpec{Label: "twice", Algorithm: hsm.P256}); err != nil {
		t.Error(err)
	}
	if _, err := tok.Generate(t.Context(), officer, hsm.KeySpec{Label: "twice", Algorithm: hsm.P256}); err == nil {
		t.Error("the same label twice: generated")
	}
}

// The PIN is nowhere but in its file and the worker: not in the command line, the environment or the registry.
func TestPINIsNotSeen(t *testing.T) {
	cfg := hsmtest.Config(t)
	tok := hsmtest.Start(t, cfg)
	pin, err := os.ReadFile(cfg.PINFile)
	if err != nil || len(strings.TrimSpace(string(pin))) < 20 {
		t.Fatalf("PIN of %d characters, %v", len(pin), err)
	}
	info, err := os.Stat(cfg.PINFile)
	if err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("PIN file: %v, %v", info, err)
	}
	for _, name := range []string{"cmdline", "environ"} {
		text, err := os.ReadFile(filepath.Join("/proc", fmt.Sprint(tok.WorkerPID()), name))
		if err != nil {
			t.Skip("the worker is closed to this account, as it should be:", err)
		}
		if strings.Contains(string(text), strings.TrimSpace(string(pin))) {
			t.Errorf("%s holds the PIN", name)
		}
	}
}

func TestConfigNamesWhatIsMissing(t *testing.T) {
	full := hsmtest.Config(t)
	for name, spoil := range map[string]func(*hsm.Config){
		"Worker": func(c *hsm.Config) { c.Worker = nil }, "ModulePath": func(c *hsm.Config) { c.ModulePath = "" },
		"PINFile": func(c *hsm.Config) { c.PINFile = "" }, "Sessions": func(c *hsm.Config) { c.Sessions = 0 },
		"Audit": func(c *hsm.Config) { c.Audit = nil }, "no-such-module.so": func(c *hsm.Config) { c.ModulePath = "/no-such-module.so" },
		"no-such-worker": func(c *hsm.Config) { c.Worker = []string{"/no-such-worker"} },
	} {
		cfg := full
		spoil(&cfg)
		if _, err := hsm.Start(t.Context(), cfg); err == nil || !strings.Contains(err.Error(), name) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func waitFor(t *testing.T, what string, done func() bool) {
	t.Helper()
	for deadline := time.Now().Add(20 * time.Second); !done(); time.Sleep(time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("waiting for %s took too long", what)
		}
	}
}
