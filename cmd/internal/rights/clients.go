package rights

import (
	"context"
	"crypto/x509"
	"errors"
	"sync"
	"time"
)

// Clients is the list of all certificates that open a door now. trustd gives it to daemons that have no inventory.
type Clients struct {
	Digest  string   `json:"digest"` // changes with the list
	Clients []Client `json:"clients"`
}

// Client is one certificate that counts.
type Client struct {
	Holder
	Fingerprint string    `json:"fingerprint"`
	NotAfter    time.Time `json:"not_after"`
}

// Known is the list as a daemon without an inventory has it. What is not in it opens nothing, and neither does anything before
// the first list has come or after the last has become too old.
type Known struct {
	life time.Duration
	now  func() time.Time

	mu      sync.Mutex
	holders map[string]Client // by fingerprint; guarded by mu
	digest  string            // guarded by mu
	heard   time.Time         // when trustd last said that the list is still this; guarded by mu
}

// NewKnown returns an empty list that may be used for so long after trustd was heard last.
func NewKnown(life time.Duration, now func() time.Time) *Known { return &Known{life: life, now: now} }

// Take takes what trustd says, nil when nothing has changed.
func (k *Known) Take(list *Clients) {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.heard = k.now()
	if list == nil {
		return
	}
	k.digest, k.holders = list.Digest, make(map[string]Client, len(list.Clients))
	for _, c := range list.Clients {
		k.holders[c.Fingerprint] = c
	}
}

// Digest is that of the list, "" before the first.
func (k *Known) Digest() string {
	k.mu.Lock()
	defer k.mu.Unlock()
	return k.digest
}

// Errors of a list that can't be used.
var (
	errNoList  = errors.New("trustd has not said yet whose certificates count")
	errOldList = errors.New("trustd has been silent for too long: whose certificates count is not known any more")
)

// Usable says why nobody is let in; nil when those on the list are. Silent is for how long trustd has not been heard.
func (k *Known) Usable() (silent time.Duration, err error) {
	k.mu.Lock()
	defer k.mu.Unlock()
	return k.usable()
}

func (k *Known) usable() (time.Duration, error) {
	if k.holders == nil {
		return 0, errNoList
	}
	silent := k.now().Sub(k.heard)
	if silent > k.life {
		return silent, errOldList
	}
	return silent, nil
}

// Standing is a Standing.
func (k *Known) Standing(_ context.Context, c *x509.Certificate) (Holder, error) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if _, err := k.usable(); err != nil {
		return Holder{}, err
	}
	found, known := k.holders[Fingerprint(c)]
	switch now := k.now(); {
	case !known:
		return Holder{}, ErrUnknown
	case now.Before(c.NotBefore) || now.After(c.NotAfter):
		return found.Holder, ErrOutdated
	}
	return found.Holder, nil
}
