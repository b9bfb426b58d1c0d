package evidence

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"maps"
	"net/url"
	"slices"
	"strings"
	"sync"
	"time"

	"trustcore/internal/fetch"
)

// What one host is asked at once, and when it is left alone.
const (
	// requests at once: a document with a thousand signers is no reason to knock a responder over
	perHost    = 16
	maxInside  = perHost + 1000 // those that wait for a slot included
	maxHosts   = 1000
	opensAfter = 3 // failures in a row

	restFirst   = 5 * time.Second // doubled with each probe that fails
	restLongest = 5 * time.Minute
	forgetAfter = time.Hour       // that nobody asked it again: nothing is told of the host any more
	probeTime   = 3 * time.Second // after which somebody who was refused for a probe may come again
)

// errBusy tells that the time ended before there was a place among the requests.
var errBusy = errors.New("too many requests are waiting already")

// resting tells that a host is left alone, since it failed.
type resting struct {
	until time.Time
	last  string
}

// Error says until when and why.
func (r *resting) Error() string {
	return fmt.Sprintf("it is left alone until %s, since it failed: %s", r.until.UTC().Format(time.RFC3339), r.last)
}

// hosts holds a breaker for each host: after some failures in a row the host is left alone, then one request probes it,
// and all ask again when that is answered. Hosts that are in order are remembered only as long as there is room.
type hosts struct {
	now func() time.Time

	mu    sync.Mutex
	known map[string]*host // at most maxHosts; guarded by mu
}

// host is guarded by hosts.mu, its slots aside.
type host struct {
	slots    chan struct{} // one for each request that is under way
	inside   int           // requests under way or waiting for a slot
	failures int           // in a row
	rest     time.Duration // the length of the present rest; 0: the breaker is closed
	until    time.Time     // the end of the rest
	probing  bool
	last     string // the last failure
}

func newHosts(now func() time.Time) *hosts { return &hosts{now: now, known: map[string]*host{}} }

// hostOf is the host of an address, with its port.
func hostOf(address string) string {
	u, err := url.Parse(address)
	if err != nil {
		return "" // which the room to the outside refuses
	}
	return strings.ToLower(u.Host)
}

// enter waits for a slot at the host, and refuses at once while it is left alone. Whoever was let in calls leave with
// what came of it: nil for an answer, errNothing for a request that tells nothing of the host, else the failure.
func (h *hosts) enter(ctx context.Context, name string) (leave func(error), err error) {
	at, err := h.admit(name)
	if err != nil {
		return nil, err
	}
	select {
	case at.slots <- struct{}{}:
	case <-ctx.Done():
		h.exit(at, errNothing, false)
		return nil, errBusy
	}
	probe, err := h.pass(at)
	if err != nil {
		<-at.slots
		h.exit(at, errNothing, false)
		return nil, err
	}
	return func(outcome error) {
		<-at.slots
		h.exit(at, outcome, probe)
	}, nil
}

// errNothing is the outcome of a request that tells nothing of the host.
var errNothing = errors.New("nothing is told of the host")

// admit finds the host, and refuses while it rests.
func (h *hosts) admit(name string) (*host, error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	at := h.known[name]
	if at == nil {
		if len(h.known) >= maxHosts && !h.makeRoom() {
			return nil, errBusy
		}
		at = &host{slots: make(chan struct{}, perHost)}
		h.known[name] = at
	}
	if err := at.refuses(h.now()); err != nil {
		return nil, err
	}
	if at.inside >= maxInside {
		return nil, errBusy
	}
	at.inside++
	return at, nil
}

// makeRoom forgets hosts that nothing is to be said of, and says whether there is room then.
func (h *hosts) makeRoom() bool {
	now := h.now()
	maps.DeleteFunc(h.known, func(_ string, at *host) bool { return at.inside == 0 && !now.Before(at.until) })
	return len(h.known) < maxHosts
}

func (at *host) refuses(now time.Time) error {
	switch {
	case now.Before(at.until):
		return &resting{at.until, at.last}
	case at.probing:
		return &resting{now.Add(probeTime), at.last}
	}
	return nil
}

// pass looks again after the waiting, and says whether this request is the probe.
func (h *hosts) pass(at *host) (probe bool, err error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if err := at.refuses(h.now()); err != nil {
		return false, err
	}
	at.probing = at.rest > 0
	return at.probing, nil
}

// exit counts what came of a request.
func (h *hosts) exit(at *host, outcome error, probe bool) {
	h.mu.Lock()
	defer h.mu.Unlock()
	at.inside--
	if probe {
		at.probing = false
	}
	switch {
	case errors.Is(outcome, errNothing):
	case outcome == nil:
		at.failures, at.rest, at.until, at.last = 0, 0, time.Time{}, ""
	default:
		at.failures++
		at.last = outcome.Error()
		asked := waitAsked(outcome)
		if probe || at.rest == 0 && (at.failures >= opensAfter || asked > 0) {
			at.rest = min(max(2*at.rest, restFirst, asked), restLongest)
			at.until = h.now().Add(at.rest)
		}
	}
}

// waitAsked is for how long a host asks to be left alone, no longer than a host is left alone at most; 0 for no word.
func waitAsked(err error) time.Duration {
	var status *fetch.Status
	if !errors.As(err, &status) {
		return 0
	}
	return min(status.RetryAfter, restLongest)
}

// Host is what is known of a host that fails.
type Host struct {
	Name     string // with its port
	Use      string // "OCSP", "CRL" or "issuers"
	State    string // "open": it is left alone; "half-open": the next request probes it, or does so already
	Failures int    // in a row
	Error    string // the last failure
	Until    time.Time
}

// open are the hosts whose breaker is not closed, by name.
func (h *hosts) open(use string) (list []Host) {
	h.mu.Lock()
	defer h.mu.Unlock()
	now := h.now()
	for name, at := range h.known {
		if at.rest == 0 || now.After(at.until.Add(forgetAfter)) {
			continue
		}
		state := "half-open"
		if now.Before(at.until) {
			state = "open"
		}
		list = append(list, Host{name, use, state, at.failures, at.last, at.until})
	}
	slices.SortFunc(list, func(a, b Host) int { return cmp.Compare(a.Name, b.Name) })
	return list
}
