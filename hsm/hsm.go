// Package hsm keeps the keys of the data centre and its partners in a PKCS#11 token and signs with them.
//
// The vendor's module is loaded in a worker process (package worker) that alone knows the PIN; this package starts and supervises the
// worker, keeps the registry of keys (whose they are, what they may do, in which state they are), and gives out keys as
// crypto.Signer. The token holds key material and nothing else: a key is found by its random CKA_ID from the registry, never by a label.
package hsm

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"trustcore/hsm/internal/wire"
	"trustcore/internal/audit"
	"trustcore/internal/store"
)

// Times. A call that the worker does not answer in its time means a hung module: the worker is killed and started afresh.
const (
	signTimeout     = 15 * time.Second      // unless configured; SoftHSM's slowest signature (RSA-4096, two busy cores) takes under 100 ms
	generateTimeout = 2 * time.Minute       // RSA-4096 takes seconds, on some HSMs tens of seconds
	openTimeout     = 30 * time.Second      // loading the module, waiting for the lock, logging in
	pingInterval    = 5 * time.Second       // how often a quiet worker is asked for a sign of life
	reloadInterval  = 2 * time.Second       // how soon a change of the registry by another node is seen
	waitForWorker   = 10 * time.Second      // how long a call waits for a new worker
	firstBackOff    = 50 * time.Millisecond // between a worker's death and the next one; doubled at each failure
	lastBackOff     = 5 * time.Second       // and never longer than this
	healthyAfter    = 10 * time.Second      // a worker that lived so long was good: back-off starts again
	closeTimeout    = 3 * time.Second       // how long Close waits for the worker's own end
)

// ErrUnavailable says that there is no working token now; the call may be tried again.
var ErrUnavailable = errors.New("HSM is not available")

// Config tells Start what to run. All fields are required unless marked.
type Config struct {
	Worker     []string // the command that calls worker.Main, such as {"/proc/self/exe", "hsm-worker"}
	ModulePath string   // the vendor's PKCS#11 module, such as /usr/lib/softhsm/libsofthsm2.so
	TokenDir   string   // SoftHSM's configuration and tokens, and the worker's lock; made with mode 0700
	TokenLabel string   // the token; initialised at the first start when no token has the label
	PINFile    string   // user PIN: a systemd credential, or a path where the first start writes a random one (0600)
	SOPINFile  string   // security officer's PIN, likewise; needed at the first start only
	Sessions   int      // parallel signatures: twice the cores for SoftHSM, what the vendor recommends for others
	DB         *store.DB
	Audit      *audit.Log
	Now        func() time.Time

	SignTimeout time.Duration // how long the module may take for a signature before it counts as hung; 0 means 15 s
	Logger      *slog.Logger
	Metrics     prometheus.Registerer // optional
}

const maxSessions = 1024

func (c Config) check() error {
	for _, f := range []struct {
		name    string
		missing bool
	}{
		{"Worker", len(c.Worker) == 0},
		{"ModulePath", c.ModulePath == ""},
		{"TokenDir", c.TokenDir == ""},
		{"TokenLabel", c.TokenLabel == ""},
		{"PINFile", c.PINFile == ""},
		{"SOPINFile", c.SOPINFile == ""},
		{"DB", c.DB == nil},
		{"Audit", c.Audit == nil},
		{"Now", c.Now == nil},
		{"Logger", c.Logger == nil},
	} {
		if f.missing {
			return fmt.Errorf("HSM configuration: %s is missing", f.name)
		}
	}
	if len(c.TokenLabel) > 32 {
		return fmt.Errorf("HSM configuration: TokenLabel has %d bytes, PKCS#11 allows 32", len(c.TokenLabel))
	}
	if c.Sessions < 1 || c.Sessions > maxSessions {
		return fmt.Errorf("HSM configuration: Sessions is %d, not between 1 and %d", c.Sessions, maxSessions)
	}
	return nil
}

// Token describes the token that the worker serves.
type Token struct {
	Manufacturer, Model, Serial, Label string
}

// Module is a token with its worker and the registry of its keys. Its methods are safe for concurrent use.
type Module struct {
	cfg     Config
	metrics *metrics
	slots   chan struct{} // one for each signature that the worker may hold at a time

	mu      sync.Mutex
	worker  *process      // guarded by mu; nil between two workers
	ready   chan struct{} // guarded by mu; closed while worker is there
	token   Token         // guarded by mu
	failure error         // guarded by mu; why there is no worker
	closed  bool          // guarded by mu

	// registryMu is held from a statement on the database until its outcome stands in keys, so that an older read never covers a newer
	// change.
	registryMu sync.Mutex

	keysMu sync.RWMutex
	keys   map[string]KeyInfo // guarded by keysMu; the registry as this process last saw it
}

// Start starts the worker and returns when the token is open and the registry read. The caller runs Run beside it, and Close at the
// end. ctx covers the start alone.
func Start(ctx context.Context, cfg Config) (*Module, error) {
	if err := cfg.check(); err != nil {
		return nil, err
	}
	if cfg.SignTimeout == 0 {
		cfg.SignTimeout = signTimeout
	}
	m := &Module{cfg: cfg, slots: make(chan struct{}, cfg.Sessions), ready: make(chan struct{})}
	var err error
	if m.metrics, err = newMetrics(cfg.Metrics); err != nil {
		return nil, err
	}
	if err := cfg.DB.Migrate(ctx, schemaName, schema); err != nil {
		return nil, fmt.Errorf("key registry: %w", err)
	}
	if err := m.spawn(ctx); err != nil {
		return nil, err
	}
	if err := m.settle(ctx); err != nil {
		return nil, errors.Join(err, m.Close())
	}
	return m, nil
}

// settle brings registry and token together: a generation that a crash cut short is undone, and differences are reported.
func (m *Module) settle(ctx context.Context) error {
	if err := m.reload(ctx); err != nil {
		return err
	}
	for _, k := range m.snapshot() {
		if k.State != Pending {
			continue
		}
		m.cfg.Logger.Warn("undoing a key generation that was cut short", "key", k.ID)
		if err := m.undo(ctx, k); err != nil {
			return err
		}
	}
	return m.inventory(ctx)
}

// inventory reports active keys that the token has lost, and keys in it that nobody knows.
func (m *Module) inventory(ctx context.Context) error {
	f, err := m.call(ctx, openTimeout, wire.List, nil)
	if err != nil {
		return fmt.Errorf("listing the token's keys: %w", err)
	}
	ids, err := wire.ParseIDs(f.Body)
	if err != nil {
		return err
	}
	held := make(map[string]bool, len(ids))
	for _, id := range ids {
		held[formatID(id)] = true
	}
	for _, k := range m.snapshot() {
		if k.State != Destroyed && !held[k.ID] {
			m.cfg.Logger.Error("the token has lost a key", "key", k.ID, "partner", k.Partner, "label", k.Label)
		}
		delete(held, k.ID)
	}
	for id := range held {
		m.cfg.Logger.Warn("the token holds a key that is not in the registry", "key", id)
	}
	return nil
}

// Token describes the token, as its worker last saw it.
func (m *Module) Token() Token {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.token
}

// Health is nil while a worker serves the token.
func (m *Module) Health() error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.worker != nil {
		return nil
	}
	return fmt.Errorf("%w: %w", ErrUnavailable, m.failure)
}

// WorkerPID is the worker's process id, 0 when there is none now.
func (m *Module) WorkerPID() int {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.worker == nil {
		return 0
	}
	return m.worker.cmd.Process.Pid
}
