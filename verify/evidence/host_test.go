package evidence

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"trustcore/internal/fetch"
)

// stoodClock is a clock that a test moves.
type stoodClock struct{ now time.Time }

func newHostsAt() (*hosts, *stoodClock) {
	c := &stoodClock{time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)}
	return newHosts(func() time.Time { return c.now }), c
}

var errDown = errors.New("it is down")

// ask makes a request whose outcome is given, and says whether the host was asked.
func (h *hosts) ask(t *testing.T, name string, outcome error) bool {
	t.Helper()
	leave, err := h.enter(t.Context(), name)
	if err != nil {
		var r *resting
		if !errors.As(err, &r) || !strings.Contains(err.Error(), "down") {
			t.Errorf("%v", err)
		}
		return false
	}
	leave(outcome)
	return true
}

// TestBreaker goes through the life of a breaker.
func TestBreaker(t *testing.T) {
	h, clock := newHostsAt()
	fails := func(times int) {
		t.Helper()
		for range times {
			if !h.ask(t, "a", errDown) {
				t.Error("it is left alone too early")
			}
		}
	}
	rests := func(length time.Duration) {
		t.Helper()
		if h.ask(t, "a", nil) {
			t.Error("it was asked while it rests")
		}
		if open := h.open("revocation"); len(open) != 1 || open[0].State != "open" ||
			!open[0].Until.Equal(clock.now.Add(length)) {
			t.Errorf("%+v, want one until %s", open, clock.now.Add(length))
		}
		clock.now = clock.now.Add(length)
		if open := h.open("revocation"); len(open) != 1 || open[0].State != "half-open" {
			t.Errorf("%+v, want one half-open", open)
		}
	}
	fails(opensAfter - 1)
	if !h.ask(t, "a", nil) || len(h.open("")) != 0 {
		t.Error("one answer makes good the failures before it")
	}
	fails(opensAfter)
	rests(restFirst)
	fails(1)
	rests(2 * restFirst)
	for range 10 {
		fails(1)
		clock.now = clock.now.Add(restLongest)
	}
	fails(1)
	rests(restLongest)
	if !h.ask(t, "a", nil) || len(h.open("")) != 0 {
		t.Error("a probe that is answered closes the breaker")
	}
	fails(opensAfter)
	rests(restFirst)
	clock.now = clock.now.Add(2 * forgetAfter)
	if len(h.open("")) != 0 {
		t.Error("what nobody asked for long is told still")
	}
}

// TestAskedToWait: a host that says for how long it wants to be left alone is, within bounds, and so is what was
// asked there.
func TestAskedToWait(t *testing.T) {
	for asked, want := range map[time.Duration]time.Duration{
		time.Second: restFirst, 2 * time.Minute: 2 * time.Minute, fetch.MaxRetryAfter: restLongest,
	} {
		h, clock := newHostsAt()
		busy := &fetch.Status{Host: "a", Code: 429, RetryAfter: asked}
		leave, err := h.enter(t.Context(), "a")
		if err != nil {
			t.Fatal(err)
		}
		leave(busy)
		if open := h.open(""); len(open) != 1 || !open[0].Until.Equal(clock.now.Add(want)) {
			t.Errorf("asked for %s: %+v, want it left alone for %s", asked, open, want)
		}
		if a := failed(source{}, busy, clock.now); !a.until.Equal(clock.now.Add(max(want, failureAge))) &&
			asked != time.Second {
			t.Errorf("asked for %s: its answer serves until %s", asked, a.until)
		}
	}
}

// TestOneProbe: while one request probes a host, nobody else asks it, and one that is given up is no probe.
func TestOneProbe(t *testing.T) {
	h, clock := newHostsAt()
	for range opensAfter {
		h.ask(t, "a", errDown)
	}
	clock.now = clock.now.Add(restFirst)
	leave, err := h.enter(t.Context(), "a")
	if err != nil {
		t.Fatal(err)
	}
	if h.ask(t, "a", nil) {
		t.Error("a second request beside the probe")
	}
	if !h.ask(t, "b", nil) {
		t.Error("another host is left alone")
	}
	leave(errNothing)
	if !h.ask(t, "a", nil) {
		t.Error("nobody probes after a request that was given up")
	}
}

// TestWhatTellsNothingOfAHost neither opens nor closes.
func TestWhatTellsNothingOfAHost(t *testing.T) {
	h, _ := newHostsAt()
	for range 2 * opensAfter {
		h.ask(t, "a", errNothing)
	}
	h.ask(t, "a", errDown)
	h.ask(t, "a", errNothing)
	for range opensAfter - 1 {
		h.ask(t, "a", errDown)
	}
	if h.ask(t, "a", nil) {
		t.Error("failures in a row were forgotten")
	}
}

// TestWhatARequestTellsOfAHost: what is not the host's doing neither opens its breaker nor closes it.
func TestWhatARequestTellsOfAHost(t *testing.T) {
	responder, list := source{kind: sourceOCSP}, source{kind: sourceCRL}
	for name, test := range map[string]struct {
		source source
		err    error
		took   time.Duration
		want   string // "good", "nothing" or "bad"
	}{
		"answer":                     {responder, nil, time.Second, "good"},
		"slow answer":                {responder, nil, 2 * slowOCSP, "bad"},
		"large list":                 {list, nil, 2 * slowOCSP, "good"},
		"time that went by waiting":  {responder, context.DeadlineExceeded, time.Second, "nothing"},
		"no answer in time":          {responder, context.DeadlineExceeded, ocspTime, "bad"},
		"nobody waits any more":      {list, context.Canceled, time.Second, "nothing"},
		"no place for the request":   {list, errBusy, 0, "nothing"},
		"an address that is refused": {list, fetch.ErrForbidden, 0, "nothing"},
		"nothing at the address":     {list, &fetch.Status{Code: 404}, time.Second, "good"},
		"gone from the address":      {responder, &fetch.Status{Code: 410}, time.Second, "good"},
		"slowly nothing there":       {responder, &fetch.Status{Code: 404}, 2 * slowOCSP, "bad"},
		"a server's error":           {list, &fetch.Status{Code: 502}, time.Second, "bad"},
		"too many requests":          {responder, &fetch.Status{Code: 429}, time.Second, "bad"},
		"anything else":              {list, errDown, 0, "bad"},
	} {
		got := "bad"
		switch err := outcome(test.source, test.err, test.took); {
		case err == nil:
			got = "good"
		case errors.Is(err, errNothing):
			got = "nothing"
		}
		if got != test.want {
			t.Errorf("%s: %s, want %s", name, got, test.want)
		}
	}
}

// TestSlotsOfAHost: who finds no slot waits no longer than his context, and a host that failed meanwhile is not asked.
func TestSlotsOfAHost(t *testing.T) {
	h, _ := newHostsAt()
	var leaves []func(error)
	for range perHost {
		leave, err := h.enter(t.Context(), "a")
		if err != nil {
			t.Fatal(err)
		}
		leaves = append(leaves, leave)
	}
	gone, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := h.enter(gone, "a"); !errors.Is(err, errBusy) {
		t.Errorf("got %v, want %v", err, errBusy)
	}
	late := make(chan error)
	go func() {
		_, err := h.enter(t.Context(), "a")
		late <- err
	}()
	for waiting := 0; waiting < perHost+1; {
		h.mu.Lock()
		waiting = h.known["a"].inside
		h.mu.Unlock()
	}
	h.mu.Lock() // all fail before the one that waits has a slot
	at := h.known["a"]
	at.failures, at.rest, at.until, at.last = opensAfter, restFirst, h.now().Add(restFirst), "it is down"
	h.mu.Unlock()
	leaves[0](errDown)
	var r *resting
	if err := <-late; !errors.As(err, &r) {
		t.Errorf("got %v", err)
	}
}

// TestWaitersOfAHostAreBounded: a slow host gathers no crowd.
func TestWaitersOfAHostAreBounded(t *testing.T) {
	h, _ := newHostsAt()
	leave, err := h.enter(t.Context(), "a")
	if err != nil {
		t.Fatal(err)
	}
	h.mu.Lock()
	h.known["a"].inside = maxInside
	h.mu.Unlock()
	if _, err := h.enter(t.Context(), "a"); !errors.Is(err, errBusy) {
		t.Errorf("got %v, want %v", err, errBusy)
	}
	leave(nil)
	if _, err := h.enter(t.Context(), "a"); err != nil {
		t.Error(err)
	}
}

// TestHostsAreBounded: hosts without number take no more memory, neither those in order nor those that fail.
func TestHostsAreBounded(t *testing.T) {
	for name, outcome := range map[string]error{"in order": nil, "failing": errDown} {
		h, clock := newHostsAt()
		refused := 0
		for i := range 3 * maxHosts {
			for range opensAfter {
				leave, err := h.enter(t.Context(), fmt.Sprint("host-", i))
				if errors.Is(err, errBusy) {
					refused++
					continue
				}
				leave(outcome)
			}
		}
		if len(h.known) > maxHosts {
			t.Errorf("%s: %d hosts are remembered", name, len(h.known))
		}
		if outcome == nil && refused > 0 {
			t.Errorf("%d refused though there is room", refused)
		}
		clock.now = clock.now.Add(restFirst)
		if !h.ask(t, "one more", nil) {
			t.Errorf("%s: no room after the rest", name)
		}
	}
}
