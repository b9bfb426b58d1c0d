package main

import (
	"time"

	"trustcore/vpn/hub"
)

// How often the hub is asked by which key an office is heard that changes its key. An office is cut off between its change
// and the next look, so looks are quick while it may come at any moment, and a fifth of the time at most is spent on them.
const (
	changeEvery = 20 * time.Millisecond
	changeSoon  = time.Minute // after a wish: offices change within seconds
	changeShare = 5
)

// changing is when to look next whether offices changed their key.
type changing struct {
	next  <-chan time.Time // nil while no office changes its key
	since time.Time        // of the wish
}

// begin is called when a wish has come.
func (c *changing) begin(h *hub.Pair) {
	c.next, c.since = nil, time.Now()
	if h.Following() {
		c.next = time.After(changeEvery)
	}
}

// follow looks once, and says whether there is something to tell of it.
func (g *gateway) follow(h *hub.Pair, c *changing) bool {
	started := time.Now()
	changes, err := h.Follow()
	pause := max(changeEvery, (changeShare-1)*time.Since(started))
	if time.Since(c.since) > changeSoon {
		pause = max(pause, pollEvery)
	}
	if err != nil {
		pause = max(pause, pollEvery)
		g.log.Error("an office that changes its key can't be followed", "error", err)
	}
	c.next = time.After(pause)
	if !changes.IsZero() {
		g.log.Info("an office uses its other key", "changes", changes)
	}
	return !changes.IsZero()
}
