// Package hsm keeps the keys of the data centre and its partners in a PKCS#11 token and signs with them.
//
// The vendor's module is loaded in a worker process (package worker) that alone knows the PIN; this package starts
// and supervises the worker, keeps the registry of keys (whose they are, what they may do, in which state they are),
// and gives out keys as crypto.Signer. The token holds key material and nothing else: a key is found by its random
// CKA_ID from the registry, never by a label.
package hsm

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"trustcore/hsm/internal/pinfile"
	"trustcore/internal/audit"
	"trustcore/internal/lease"
	"trustcore/internal/store"
)

// Times. A call that the worker does not answer in its time means a hung module: the worker is killed and started
// afresh. A token that is gone or hangs is seen within maxSilence, and serves again within lastBackOff and the time
// of opening it once it is back.
const (
	signTimeout     = 3 * time.Second       // unless configured; SoftHSM's slowest signature (RSA-4096, two busy cores) takes under 100 ms
	generateTimeout = 2 * time.Minute       // RSA-4096 takes seconds, on some HSMs tens of seconds
	openTimeout     = 15 * time.Second      // loading the module, waiting for the lock, logging in; listing the keys
	lookInterval    = time.Second           // how often token and login are looked at
	reopenInterval  = 3 * time.Second       // how often a token that lacks some keys only is opened anew: that holds up the use of the others
	maxSilence      = 4 * time.Second       // after which a token that should have answered a look does not serve
	reloadInterval  = 2 * time.Second       // how soon a change of the registry by another node is seen
	reloadTimeout   = 10 * time.Second      // for reading it
	waitForWorker   = 5 * time.Second       // how long a call waits for a new worker
	writeTimeout    = time.Second           // for handing a frame to the worker; the socket holds many
	firstBackOff    = 50 * time.Millisecond // between a worker's death and the next one; doubled at each failure
	lastBackOff     = time.Second           // and never longer than this
	closeTimeout    = 3 * time.Second       // how long Close waits for the worker's own end
	outcomeTimeout  = 5 * time.Second       // for the second entry of an act that came to nothing, whatever became of the call
)

// sendTries is how often a call is handed to workers that end under it.
const sendTries = 3

// ErrUnavailable says that there is no working token now; the call may be tried again.
var ErrUnavailable = errors.New("HSM is not available")

// ErrUncertain says that the token was asked and did not answer: the worker ended, was killed because it hung, or the
// call was given up. Whether it did what it was asked is not known; a signature, if there was one, never left. The
// call is not made again by itself, for each use has its own audit entry. It is an ErrUnavailable too.
var ErrUncertain = errors.New("the HSM did not answer: whether it did what it was asked is not known")

// Config tells Start what to run. All fields are required unless marked.
type Config struct {
	Worker     []string // the command that calls worker.Main, such as {"/proc/self/exe", "hsm-worker"}
	ModulePath string   // the vendor's PKCS#11 module, such as /usr/lib/softhsm/libsofthsm2.so
	TokenDir   string   // SoftHSM's configuration and tokens, and the worker's lock; made with mode 0700
	TokenLabel string   // the token; initialised at the first start when no token has the label
	PINFile    string   // user PIN: a systemd credential, or a path where the first start writes a random one (0600)
	SOPINFile  string   // security officer's PIN, likewise, in a folder of its own; needed at the first start only
	Sessions   int      // parallel signatures: twice the cores for SoftHSM, what the vendor recommends for others
	DB         *store.DB
	Audit      *audit.Log
	Leases     *lease.Leases // of the nodes that share DB and token; nil on one that is alone
	Now        func() time.Time

	SignTimeout time.Duration // how long the module may take for a signature before it counts as hung; 0 means 3 s
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
	Firmware, Hardware, Library        string // versions; the library's maker and name are part of Library
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
	outage  bool          // guarded by mu; the worker after the last one did not start
	refused refusal       // guarded by mu
	closed  bool          // guarded by mu

	vitals vitals
	doubt  chan struct{} // asks for a look at once; has room for one
	lostMu sync.Mutex    // held by who replaces vitals.lost
	lookMu sync.Mutex    // held by who looks
	probe  string        // guarded by lookMu; the key that was looked at last
	// reopened is when the token was last opened anew because of what it lacks; guarded by lookMu.
	reopened time.Time

	// registry is held, by sending to it, from a statement on the database until its outcome stands in keys, so that
	// an older read never covers a newer change.
	registry chan struct{}

	keysMu sync.RWMutex
	keys   map[string]KeyInfo // guarded by keysMu; the registry as this process last saw it

	managing   atomic.Int32 // generations in progress
	progressMu sync.Mutex
	progress   map[string]bool // guarded by progressMu; keys that this process generates now
}

// Start starts the worker and returns when the token is open and the registry read. Where keys are registered, a
// token that is away does not stop it: Health says what is wrong, and Run goes on trying. The caller runs Run beside
// it, and Close at the end. ctx covers the start alone.
func Start(ctx context.Context, cfg Config) (*Module, error) {
	if err := cfg.check(); err != nil {
		return nil, err
	}
	if err := cfg.checkRights(); err != nil {
		return nil, err
	}
	if cfg.SignTimeout == 0 {
		cfg.SignTimeout = signTimeout
	}
	m := &Module{cfg: cfg, slots: make(chan struct{}, cfg.Sessions), ready: make(chan struct{}), doubt: make(chan struct{}, 1),
		registry: make(chan struct{}, 1), progress: make(map[string]bool), vitals: vitals{started: time.Now()}}
	var err error
	if m.metrics, err = newMetrics(cfg.Metrics, m); err != nil {
		return nil, err
	}
	if err := cfg.DB.Migrate(ctx, schemaName, schema); err != nil {
		return nil, fmt.Errorf("key registry: %w", err)
	}
	if err := m.reload(ctx); err != nil {
		return nil, err
	}
	err = m.spawn(ctx)
	if err == nil {
		err = m.use(ctx, false, func(p *process) error { return m.settle(ctx, p) })
	}
	if err == nil {
		err = m.Health()
	}
	if err != nil && (!m.living() || ctx.Err() != nil) {
		return nil, errors.Join(err, m.Close())
	}
	if err != nil {
		m.cfg.Logger.Error("starting without the HSM", "error", err)
	}
	return m, nil
}

// checkRights refuses PIN files and a token folder that others can read or replace.
func (c Config) checkRights() error {
	for _, path := range []string{c.PINFile, c.SOPINFile} {
		if err := pinfile.Check(path); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
	}
	return pinfile.CheckFolder(c.TokenDir)
}

// Token describes the token, as its worker last saw it.
func (m *Module) Token() Token {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.token
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
