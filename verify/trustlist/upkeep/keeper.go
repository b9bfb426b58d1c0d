// Package upkeep keeps trusted lists current: it fetches them on a schedule, takes them from a folder that somebody carried
// in, holds each against the lists in use (trustlist.Set), and keeps those on disk, so that a start needs no network. A list
// that can't be fetched or taken leaves the one in use where it is, and touches no other.
package upkeep

import (
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"sync"
	"time"

	"trustcore/internal/durable"
	"trustcore/internal/fetch"
	"trustcore/verify/trustlist"
)

// DefaultLOTL is where the Commission publishes the list of the lists.
const DefaultLOTL = "https://ec.europa.eu/tools/lotl/eu-lotl.xml"

// Config is what Open needs.
type Config struct {
	Dir     string              // folder for the lists alone
	Signers []trustlist.Signers // who may sign the list of the lists
	Fetch   *Fetch              // nil fetches nothing: lists come by Import alone
	Extra   []Extra             // lists outside the list of the lists
	Now     func() time.Time
	Logger  *slog.Logger
	Changed func() // hears that the lists in use, or what is known of them, are others; nil hears nothing
}

// Fetch says where lists are fetched from, and how often.
type Fetch struct {
	Client    *fetch.Client     // of configured addresses
	LOTL      string            // address of the list of the lists
	Addresses map[string]string // by territory, in place of the addresses that the list of the lists names
	Every     time.Duration     // between two questions, give or take a tenth
}

// Extra is a list that the list of the lists does not name.
type Extra struct {
	Address string   // where it is fetched from; its name here
	Signers [][]byte // DER certificates of who may sign it
}

// lotl is the key of the list of the lists. National lists have their territory's, extra ones their address.
const lotl = trustlist.KeyLOTL

// Keeper keeps the lists of one folder. It is safe for concurrent use, and the only one that writes the folder.
type Keeper struct {
	cfg  Config
	lock *os.File

	rounds sync.Mutex // held by the round under way
	checks sync.Mutex // held by who reads a list: one at a time, as a large one takes memory

	mu      sync.Mutex
	set     *trustlist.Set    // guarded by mu
	places  map[string]*place // by key; guarded by mu
	chain   []string          // digests of the lists of the lists on disk; guarded by mu
	trouble string            // with the folder; guarded by mu
}

// Open reads the lists that are kept in the folder, without any network. That some can't be read is no error: Status says so.
func Open(ctx context.Context, cfg Config) (*Keeper, error) {
	if cfg.Dir == "" || len(cfg.Signers) == 0 || cfg.Now == nil || cfg.Logger == nil {
		return nil, errors.New("upkeep: Dir, Signers, Now or Logger is missing")
	}
	if cfg.Changed == nil {
		cfg.Changed = func() {}
	}
	if err := durable.MkdirAll(cfg.Dir, 0o700); err != nil {
		return nil, fmt.Errorf("trusted lists: %w", err)
	}
	lock, err := lockFolder(cfg.Dir)
	if err != nil {
		return nil, fmt.Errorf("trusted lists: %w", err)
	}
	k := &Keeper{cfg: cfg, lock: lock, set: trustlist.NewSet(cfg.Signers), places: map[string]*place{}}
	if err := k.load(ctx); err != nil {
		return nil, errors.Join(fmt.Errorf("trusted lists: %w", err), k.Close())
	}
	return k, nil
}

// ErrLocked tells that another process keeps the folder.
var ErrLocked = errors.New("another process keeps the lists in this folder")

// Close lets another process keep the folder.
func (k *Keeper) Close() error { return k.lock.Close() }

// Set returns the lists in use.
func (k *Keeper) Set() *trustlist.Set {
	k.mu.Lock()
	defer k.mu.Unlock()
	return k.set.Clone()
}

// check reads a list and verifies its signature.
func (k *Keeper) check(ctx context.Context, data []byte) (*trustlist.Checked, error) {
	k.checks.Lock()
	defer k.checks.Unlock()
	return trustlist.Check(ctx, data)
}

// found is a list that came from somewhere and may be taken.
type found struct {
	*trustlist.Checked
	octets  []byte
	key     string
	address string
	version fetch.Version
}

// take takes a list into use and onto the disk, or says why not.
func (k *Keeper) take(f *found) error {
	k.mu.Lock()
	defer k.mu.Unlock()
	p, now := k.place(f.key), k.cfg.Now()
	old := k.current(f.key)
	set := k.set.Clone()
	err := k.takeInto(set, f, now)
	if err == nil && old == nil && p.Sequence > f.Sequence { // what was in use is lost, but not forgotten
		err = fmt.Errorf("the list that was in use, which is lost, had sequence number %d, this one has %d: %w", p.Sequence, f.Sequence, trustlist.ErrOlder)
	}
	if errors.Is(err, trustlist.ErrSame) {
		p.Address, p.Version = f.address, f.version
		return err
	}
	if err == nil {
		err = k.write(f)
	}
	if err != nil {
		return err
	}
	k.set = set
	p.Role, p.Digest, p.Sequence, p.Taken = role(f), hex.EncodeToString(f.Digest[:]), f.Sequence, now
	p.Address, p.Version, p.Lost = f.address, f.version, ""
	if old != nil {
		p.Before, p.Changes = old.Sequence, trustlist.Changes(old.List, f.List)
		p.Changes = p.Changes[:min(len(p.Changes), maxChanges)]
	}
	k.cfg.Logger.Info("trusted list taken", "list", f.key, "sequence", f.Sequence, "issued", f.Issued, "changes", len(p.Changes))
	return nil
}

// maxChanges bounds what is remembered of one new version of a list.
const maxChanges = 500

func (k *Keeper) takeInto(set *trustlist.Set, f *found, now time.Time) error {
	for _, e := range k.cfg.Extra {
		if e.Address == f.key {
			return set.TakeExtra(f.key, f.Checked, e.Signers, now)
		}
	}
	return set.Take(f.Checked, now)
}

func role(f *found) string {
	switch {
	case f.LOTL():
		return "lotl"
	case f.key == f.Territory:
		return "national"
	}
	return "extra"
}

// current is the list in use for a key, nil for none.
func (k *Keeper) current(key string) *trustlist.Checked {
	if key == lotl {
		return k.set.LOTL()
	}
	if c := k.set.National(key); c != nil {
		return c
	}
	return k.set.Extra(key)
}

// place returns what is known of a key.
func (k *Keeper) place(key string) *place {
	if k.places[key] == nil {
		k.places[key] = &place{Key: key}
	}
	return k.places[key]
}
