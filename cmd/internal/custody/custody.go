// Package custody opens what only trustd may hold: the database, the audit log, the HSM and the
// certification authority whose keys lie in it. `trustctl ceremony` uses it once, before trustd does.
package custody

import (
	"context"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"regexp"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"trustcore/hsm"
	"trustcore/internal/audit"
	"trustcore/internal/cms"
	"trustcore/internal/lease"
	"trustcore/internal/store"
	"trustcore/pki"
)

// Config says where everything lies.
type Config struct {
	StateDir string `koanf:"state_dir"` // folder of trustd alone, mode 0700
	Database string `koanf:"database"`  // "sqlite:///path" or "postgres://..."; empty is a SQLite file in state_dir
	Node     string `koanf:"node"`      // this node's own name among those of one database; empty on a node that is alone
	HSM      struct {
		Module   string `koanf:"module"`   // the vendor's PKCS#11 module; default SoftHSM2's of Debian
		Token    string `koanf:"token"`    // label of the token, default "trustcore"
		PINFile  string `koanf:"pin_file"` // holds the user PIN; empty is a file in state_dir, made at the first start
		Sessions int    `koanf:"sessions"` // parallel signatures, default 8
	} `koanf:"hsm"`
	PKIURL string `koanf:"pki_url"` // where OCSP, CRLs and certificates are reached, as it stands in certificates

	TSAPolicy string `koanf:"tsa_policy"` // OID of the operator's time-stamp policy; default is one of the arc for examples
	// TSAClock: "kernel" gives time-stamps only while the kernel says that the clock is synchronised; "trust", the default, gives them
	// all the same, then without an accuracy.
	TSAClock string `koanf:"tsa_clock"`

	Now     func() time.Time      `koanf:"-"` // optional: time.Now when nil
	Logger  *slog.Logger          `koanf:"-"`
	Metrics prometheus.Registerer `koanf:"-"` // optional
}

// SoftHSM is the module that Debian's softhsm2 installs.
const SoftHSM = "/usr/lib/softhsm/libsofthsm2.so"

// The settings of TSAClock.
const trustClock, kernelClock = "trust", "kernel"

// Defaults are the settings of one machine with SoftHSM2.
func Defaults() Config {
	var c Config
	c.HSM.Module, c.HSM.Token, c.HSM.Sessions = SoftHSM, "trustcore", 8
	c.TSAPolicy, c.TSAClock = pki.DefaultTSAPolicy, trustClock
	return c
}

var nodeName = regexp.MustCompile(`^[a-z0-9-]{0,63}$`)

// Check names the key that is missing.
func (c *Config) Check() error {
	switch {
	case !filepath.IsAbs(c.StateDir):
		return errors.New("state_dir: write the absolute path of trustd's own folder")
	case c.PKIURL == "":
		return errors.New("pki_url is missing: the http URL under which OCSP and CRLs are reached, such as http://10.64.0.1:8080/pki")
	case !nodeName.MatchString(c.Node):
		return fmt.Errorf("node: %q is no name of a node: 1 to 63 of a-z, 0-9 and -", c.Node)
	case c.HSM.Sessions < 1:
		return errors.New("hsm.sessions: at least 1")
	case c.TSAClock != trustClock && c.TSAClock != kernelClock:
		return fmt.Errorf("tsa_clock: %q is neither %q nor %q", c.TSAClock, trustClock, kernelClock)
	}
	if _, err := cms.ParseOID(c.TSAPolicy); err != nil {
		return fmt.Errorf("tsa_policy: %q is no object identifier such as 1.3.6.1.4.1.32473.1.1", c.TSAPolicy)
	}
	if _, err := os.Stat(c.HSM.Module); err != nil {
		return fmt.Errorf("hsm.module: %w; install softhsm2 (apt-get install softhsm2) or name the vendor's module", err)
	}
	return nil
}

// Custody is what Open opened.
type Custody struct {
	DB     *store.DB
	Audit  *audit.Log
	HSM    *hsm.Module
	Leases *lease.Leases // of the tasks that one node does at a time; nil over SQLite, which serves one
	dir    string
	cfg    Config
	worker string // the program that drives the HSM

	endLeases func() error // ends their renewal and gives them up
}

// The tasks that one of several nodes does at a time, beside pki.Upkeep.
const (
	Orders  = "orders"  // carrying out orders
	Motions = "motions" // carrying out motions that were not when they were approved
	Seals   = "seals"   // renewing the certificates of HSM keys
)

// Open opens database, audit log and HSM. worker is the command that runs the HSM's worker process.
func Open(ctx context.Context, cfg Config, worker []string) (*Custody, error) {
	if err := os.MkdirAll(cfg.StateDir, 0o700); err != nil {
		return nil, fmt.Errorf("state_dir: %w: make it writable for this account, or choose another", err)
	}
	if cfg.Now == nil {
		cfg.Now = time.Now
	}
	c := &Custody{dir: cfg.StateDir, cfg: cfg, worker: worker[0]}
	if err := c.open(ctx, worker); err != nil {
		return nil, errors.Join(err, c.Close(ctx))
	}
	return c, nil
}

func (c *Custody) open(ctx context.Context, worker []string) (err error) {
	if c.DB, err = store.Open(ctx, c.cfg.DatabaseURL()); err != nil {
		return err
	}
	if err := errors.Join(c.DB.Check(ctx), c.fits(ctx)); err != nil {
		return err
	}
	log := c.cfg.AuditLog()
	log.DB = c.DB
	if c.Audit, err = audit.Open(ctx, log); err != nil {
		return err
	}
	if err := c.openLeases(ctx); err != nil {
		return err
	}
	pin := c.cfg.HSM.PINFile
	if pin == "" {
		pin = filepath.Join(c.dir, "hsm", "pin")
	}
	c.HSM, err = hsm.Start(ctx, hsm.Config{
		Worker: worker, ModulePath: c.cfg.HSM.Module, TokenDir: filepath.Join(c.dir, "hsm"), TokenLabel: c.cfg.HSM.Token,
		PINFile: pin, SOPINFile: filepath.Join(c.dir, "hsm-officer", "pin"), Sessions: c.cfg.HSM.Sessions,
		DB: c.DB, Audit: c.Audit, Leases: c.Leases, Now: c.cfg.Now,
		Logger: c.cfg.Logger, Metrics: c.cfg.Metrics,
	})
	return err
}

// openLeases comes after the audit log, whose folder this process has to itself: so no other process of this node lives.
func (c *Custody) openLeases(ctx context.Context) (err error) {
	if !c.DB.Shared() {
		return nil
	}
	if c.Leases, err = lease.Open(ctx, lease.Config{DB: c.DB, Node: c.cfg.Node, Tasks: []string{pki.Upkeep, Orders, Motions, Seals},
		Logger: c.cfg.Logger}); err != nil {
		return err
	}
	running, stop := context.WithCancel(context.WithoutCancel(ctx))
	ended := make(chan error, 1)
	go func() { ended <- c.Leases.Run(running) }()
	c.endLeases = func() error {
		stop()
		ran := <-ended
		limited, cancel := context.WithTimeout(context.Background(), leasesWait)
		defer cancel()
		if err := c.Leases.Close(limited); err != nil && c.cfg.Logger != nil {
			c.cfg.Logger.Warn("tasks wait until the leases end", "error", err)
		}
		return ran
	}
	return nil
}

// leasesWait is how long the end waits for a database that does not answer: leases end by themselves.
const leasesWait = time.Second

// ErrEmptied refuses a database without anything of ours beside an authority that a ceremony made: partners, orders and revocations
// would be forgotten.
var ErrEmptied = errors.New("the database is empty though a ceremony was held here: restore it from the backup, or set `database` right")

// ErrFounded refuses a database that has an authority beside a state that has none: a ceremony would make a second one of the same name.
var ErrFounded = errors.New("the database has an authority, and this state has none: a further node takes over the folder pki of a node " +
	"that is there, a state that lost it takes it from the backup; a new authority needs an empty database")

// fits refuses a database that is not this state's.
func (c *Custody) fits(ctx context.Context) error {
	schema, wrong := "hsm", ErrEmptied
	_, err := c.keys()
	performed := !errors.Is(err, ErrNoCeremony)
	if !performed {
		schema, wrong = "pki", ErrFounded
	}
	there, err := c.DB.Migrated(ctx, schema)
	if err == nil && there != performed {
		err = wrong
	}
	return err
}

// DatabaseURL says where the database is.
func (c *Config) DatabaseURL() string {
	if c.Database != "" {
		return c.Database
	}
	return "sqlite://" + filepath.Join(c.StateDir, "trustcore.db")
}

// AuditLog says where this node's audit log is and how it is called; its database is to be opened by the caller.
func (c *Config) AuditLog() audit.Config {
	log := audit.Config{Dir: filepath.Join(c.StateDir, "audit"), Origin: "trustcore/audit", Now: time.Now, Logger: c.Logger}
	if c.Node != "" {
		log.Origin += "/" + c.Node
	}
	return log
}

// Close ends what is open.
func (c *Custody) Close(ctx context.Context) error {
	var all error
	if c.endLeases != nil {
		all = c.endLeases()
	}
	if c.HSM != nil {
		all = errors.Join(all, c.HSM.Close())
	}
	if c.Audit != nil {
		all = errors.Join(all, c.Audit.Close(ctx))
	}
	if c.DB != nil {
		all = errors.Join(all, c.DB.Close())
	}
	return all
}

// ErrNoCeremony tells that the authorities' keys were not made yet.
var ErrNoCeremony = errors.New("the certification authority has no keys yet: run `trustctl ceremony` first")

// The files that the ceremony leaves in the folder pki of the state.
const (
	rootFile, issuingFile, ocspFile, tsaFile = "root.pem", "issuing.pem", "ocsp.pem", "tsa.pem" // a successor's have its number
	rootCRLFile                              = "root.crl"
	keysFile                                 = "keys.json" // role -> id of the key in the HSM
)

func (c *Custody) pki(name string) string { return filepath.Join(c.dir, "pki", name) }

// CA opens the authority that the ceremony made.
func (c *Custody) CA(ctx context.Context) (*pki.CA, error) {
	keys, err := c.keys()
	if err != nil {
		return nil, err
	}
	cfg := pki.Config{DB: c.DB, Audit: c.Audit, BaseURL: c.cfg.PKIURL, Now: c.cfg.Now, Logger: c.cfg.Logger,
		TSAPolicy: c.cfg.TSAPolicy, StrictClock: c.cfg.TSAClock == kernelClock, Recorded: c.recorded,
		NewKey: c.newKey, OpenKey: c.openKey, RetireKey: c.retireKey, Leases: c.Leases}
	if cfg.Roots, err = c.roots(ctx, keys); err != nil {
		return nil, err
	}
	if cfg.Issuers, err = c.issuers(ctx, keys); err != nil {
		return nil, err
	}
	if keys["time-stamping"] != "" {
		if cfg.TSA, err = c.delegate(tsaFile, keys["time-stamping"]); err != nil {
			return nil, err
		}
	}
	return pki.New(ctx, cfg)
}

// numbered names what the first ceremony and its successions left: "issuing", "issuing-2" and so on.
func numbered(name string, n int) string {
	if n == 1 {
		return name
	}
	return fmt.Sprintf("%s-%d", name, n)
}

// NextAuthority is the number of the issuing authority that a succession would make: 2 after the first ceremony.
func NextAuthority(cfg Config) (int, error) {
	keys, err := (&Custody{dir: cfg.StateDir}).anyKeys()
	return authorities(keys) + 1, err
}

// TranscriptFile is the name of the transcript of the ceremony that made the issuing authority of a number.
func TranscriptFile(n int) string { return numbered("transcript", n) + ".json" }

// authorities is how many issuing authorities the ceremonies made.
func authorities(keys map[string]string) (n int) {
	for keys[numbered("issuing", n+1)] != "" {
		n++
	}
	return n
}

// keys reads which keys of the HSM have which role; there is an issuing authority among them.
func (c *Custody) keys() (map[string]string, error) {
	keys, err := c.anyKeys()
	if err == nil && authorities(keys) == 0 {
		return nil, fmt.Errorf("authority: %s names no issuing authority", keysFile)
	}
	return keys, err
}

// anyKeys is keys on the machine of a root, too, which has nothing else.
func (c *Custody) anyKeys() (map[string]string, error) {
	text, err := os.ReadFile(c.pki(keysFile))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, ErrNoCeremony
	}
	if err != nil {
		return nil, fmt.Errorf("authority: %w", err)
	}
	var keys map[string]string
	if err := json.Unmarshal(text, &keys); err != nil {
		return nil, fmt.Errorf("authority: %s: %w", keysFile, err)
	}
	return keys, nil
}

// delegate is the first one of its role; its key may be retired since.
func (c *Custody) delegate(file, key string) (pki.Delegate, error) {
	certificate, err := ReadCertificate(c.pki(file))
	if err != nil {
		return pki.Delegate{}, err
	}
	return pki.Delegate{Certificate: certificate, KeyID: key}, nil
}

// ReadCertificate reads the first certificate of a PEM file.
func ReadCertificate(file string) (*x509.Certificate, error) {
	text, err := os.ReadFile(file)
	if err != nil {
		return nil, fmt.Errorf("authority: %w", err)
	}
	block, _ := pem.Decode(text)
	if block == nil {
		return nil, fmt.Errorf("authority: %s holds no PEM certificate", file)
	}
	certificate, err := x509.ParseCertificate(block.Bytes)
	if err != nil {
		return nil, fmt.Errorf("authority: %s: %w", file, err)
	}
	return certificate, nil
}

// PEM encodes certificates.
func PEM(ders ...[]byte) []byte {
	var text []byte
	for _, der := range ders {
		text = append(text, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})...)
	}
	return text
}

// DER takes apart what PEM made.
func DER(text []byte) (ders [][]byte) {
	for block, rest := pem.Decode(text); block != nil; block, rest = pem.Decode(rest) {
		ders = append(ders, block.Bytes)
	}
	return ders
}
