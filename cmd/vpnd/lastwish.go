package main

import (
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"time"

	"trustcore/internal/durable"
	"trustcore/vpn"
)

// lastWish keeps the wish in force on disk, so that a vpnd that starts while trustd is away serves it for what is left
// of its lease. Two files, both 0600: the wish may hold secrets and be large, the lease changes all the time and names
// its wish.
type lastWish struct {
	dir  string
	boot string               // identifies this start of the machine
	now  func() time.Duration // since then
	wall func() time.Time
}

const (
	wishFile  = "wish.json"
	leaseFile = "lease.json"
)

// leaseRecord is the lease on disk. A lease of another start of the machine counts as ended: nothing says how long that
// was ago but the wall clock, which anybody may have set.
type leaseRecord struct {
	Wish   string        `json:"wish_sha256"`
	Boot   string        `json:"boot"`
	Length time.Duration `json:"length_ns"`
	Until  time.Duration `json:"until_ns"` // since that start
	Wall   time.Time     `json:"until"`    // the same on the wall clock, which must agree that it is not over
}

func openLastWish(dir string) (lastWish, error) {
	id, err := os.ReadFile("/proc/sys/kernel/random/boot_id")
	if err != nil {
		return lastWish{}, fmt.Errorf("which start of the machine this is: %w", err)
	}
	return lastWish{dir: dir, boot: strings.TrimSpace(string(id)), now: vpn.BootTime, wall: time.Now}, nil
}

// keep writes a wish and its lease. When it can't, it makes the wish before void at least: a restart must not bring
// back what this wish took away. void says that no other wish is on disk.
func (l lastWish) keep(raw []byte, held lease) (err error, void bool) {
	err = durable.WriteFile(l.path(wishFile), raw, 0o600)
	if err == nil {
		err = l.extend(sum(raw), held)
	}
	if err != nil {
		removed := l.forget()
		return errors.Join(err, removed), removed == nil
	}
	return nil, true
}

// extend writes the present end of the lease of the wish that is on disk.
func (l lastWish) extend(wish string, held lease) error {
	record := leaseRecord{Wish: wish, Boot: l.boot, Length: held.length, Until: held.until, Wall: l.wall().Add(held.until - l.now())}
	data, err := json.Marshal(record)
	if err != nil {
		return err
	}
	return durable.WriteFile(l.path(leaseFile), data, 0o600)
}

// forget makes what is on disk void.
func (l lastWish) forget() error { return durable.Remove(l.path(leaseFile)) }

// load returns the wish on disk with what is left of its lease; nil when there is none that may be served.
func (l lastWish) load() (raw []byte, held lease, err error) {
	data, err := durable.ReadFile(l.path(leaseFile), maxAnswer)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, held, nil
	}
	if err != nil {
		return nil, held, err
	}
	var record leaseRecord
	if err := json.Unmarshal(data, &record); err != nil {
		return nil, held, fmt.Errorf("%s: %w", leaseFile, err)
	}
	left := min(record.Until-l.now(), record.Wall.Sub(l.wall()))
	longest := record.Wall.Sub(l.wall()) // longer than the lease ever was: the clock was set back
	if record.Boot != l.boot || left <= 0 || longest > record.Length || vpn.CheckLease(record.Length) != nil {
		return nil, held, nil
	}
	raw, err = durable.ReadFile(l.path(wishFile), vpn.MaxWishBytes)
	if err != nil {
		return nil, held, err
	}
	if sum(raw) != record.Wish {
		return nil, held, fmt.Errorf("%s is damaged or not that of %s", wishFile, leaseFile)
	}
	return raw, lease{length: record.Length, until: l.now() + left}, nil
}

func (l lastWish) path(name string) string { return filepath.Join(l.dir, name) }

func sum(raw []byte) string { return fmt.Sprintf("%x", sha256.Sum256(raw)) }
