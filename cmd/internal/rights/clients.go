package rights

import (
	"context"
	"crypto/x509"
	"errors"
	"net/http"
	"sync"
	"time"

	"trustcore/cmd/internal/application"
	"trustcore/internal/problem"
)

// Clients is the list of all certificates that open a door now, and of the applications. trustd gives it to daemons
// that have no inventory.
type Clients struct {
	Digest       string                    `json:"digest"` // changes with the list
	Clients      []Client                  `json:"clients"`
	Applications []application.Application `json:"applications"` // revoked ones too
}

// Client is one certificate that counts.
type Client struct {
	Holder
	Fingerprint string    `json:"fingerprint"`
	NotAfter    time.Time `json:"not_after"`
}

// Known is the list as a daemon without an inventory has it. What is not in it opens nothing, and neither does
// anything before the first list has come or after the last has become too old.
type Known struct {
	life time.Duration
	now  func() time.Time

	mu           sync.Mutex
	holders      map[string]Client                   // by fingerprint; guarded by mu
	applications map[string]*application.Application // by name; guarded by mu
	tokens       map[string]*application.Application // by the digests of their tokens; guarded by mu
	digest       string                              // guarded by mu
	heard        time.Time                           // when trustd last said that the list is still this; guarded by mu
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
	k.applications, k.tokens = map[string]*application.Application{}, map[string]*application.Application{}
	for i := range list.Applications {
		a := &list.Applications[i]
		k.applications[a.Name] = a
		for _, t := range a.Tokens {
			k.tokens[t.SHA256] = a
		}
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
	if a := k.applications[found.Name]; a != nil && a.Revoked != nil && found.Role() == Application {
		return found.Holder, ErrEnded
	}
	return found.Holder, nil
}

// serialBytes is how much of a token's digest names it in records.
const serialBytes = 16

// Bearer is a Guard's Bearer.
func (k *Known) Bearer(token string) (Holder, error) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if _, err := k.usable(); err != nil {
		return Holder{}, err
	}
	digest := application.Digest(token)
	a := k.tokens[digest]
	if a == nil || a.Revoked != nil {
		return Holder{}, ErrToken
	}
	return Holder{Profile: TokenProfile, Name: a.Name, Partner: a.Partner, Serial: digest[:2*serialBytes]}, nil
}

// Application returns what trustd said of an application last; nil of one that is not registered, or revoked.
func (k *Known) Application(name string) *application.Application {
	k.mu.Lock()
	defer k.mu.Unlock()
	if a := k.applications[name]; a != nil && a.Revoked == nil {
		return a
	}
	return nil
}

// MayAsk refuses an application's question about a service card that is none of its own, with a problem. "" is no card.
func (k *Known) MayAsk(name, service string) error {
	if a := k.Application(name); a != nil && service != "" && !a.MayUse(service) {
		return problem.RefuseField(http.StatusForbidden, "service",
			"the application %s may not ask about the service %.100q", name, service)
	}
	return nil
}
