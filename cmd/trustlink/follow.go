package main

import (
	"context"
	"errors"
	"log/slog"
	"math/rand/v2"
	"net/http"
	"time"

	"trustcore/vpn"
	"trustcore/vpn/office"
	"trustcore/vpn/tunnel"
)

// How often the office looks after the secrets of its tunnel.
const (
	followEvery = time.Second      // whether the tunnel is up, and whether somebody here asked for a rotation
	askEvery    = 5 * time.Minute  // what the core asks for; offices spread over half of it
	askAgain    = 30 * time.Second // after a failure
	tryFor      = 10 * time.Second // one of several credentials: WireGuard asks twice in that time
)

// follower keeps the office's end of the tunnel by the secrets that the hub has: it rotates them when the core or
// somebody here asks for it, and finds those that hold when it does not know.
type follower struct {
	state  state
	record record
	end    *tunnel.Tunnel
	base   string // URL of the HSM gateway, "" where the office is offered none
	client *http.Client
	log    *slog.Logger

	kept    secrets
	shown   candidate // what the device has
	since   time.Time // when it was given that
	after   time.Time // a handshake after it is by that
	proved  bool      // there was one
	nextAsk time.Time
}

// newFollower takes up the tunnel as it was brought up.
func (o up) newFollower(r record, end *tunnel.Tunnel, forwards []forward) (*follower, error) {
	f := &follower{state: o.state, record: r, end: end, log: o.log, since: time.Now()}
	var err error
	if f.kept, err = o.state.secrets(r); err != nil {
		return nil, err
	}
	all, err := o.state.candidates(f.kept)
	if err != nil {
		return nil, err
	}
	f.shown = all[0]
	if address, offered := gatewayOf(r.Enrolment, forwards); offered {
		f.base = "https://" + address
		f.client, err = o.state.identity().HTTP(callTimeout)
	}
	return f, err
}

// run works until ctx ends.
func (f *follower) run(ctx context.Context) error {
	tick := time.NewTicker(followEvery)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
			if err := f.once(ctx, time.Now()); err != nil && ctx.Err() == nil {
				f.log.Warn("the tunnel's secrets", "error", err)
			}
		}
	}
}

// once sees that the hub answers, and then what is to be rotated.
func (f *follower) once(ctx context.Context, now time.Time) error {
	up, err := f.answered(now)
	if err != nil || !up || f.base == "" {
		return err
	}
	asked, err := f.state.takeRequest()
	if err != nil || asked == nil && now.Before(f.nextAsk) {
		return err
	}
	f.nextAsk = now.Add(askAgain)
	standing, err := f.resume(ctx)
	if asked != nil {
		standing.Rotate = asked.Secrets
	}
	if err == nil {
		err = errors.Join(f.rotate(ctx, standing.Rotate), f.adopt(ctx, standing.Settings))
	}
	if asked != nil {
		return errors.Join(err, f.state.answerRequest(asked, err))
	}
	if err == nil {
		f.nextAsk = now.Add(askEvery/2 + rand.N(askEvery/2)) // so that not all offices ask at once
	}
	return err
}

// answered says whether the tunnel is up. When it is by other credentials than those in use they are it from now on;
// when it is not, the next ones are tried.
func (f *follower) answered(now time.Time) (bool, error) {
	status, err := f.end.Status(now)
	if err != nil {
		return false, err
	}
	if status.LastHandshake.After(f.after) && !f.proved {
		return true, f.settle()
	}
	if status.State == vpn.StateUp {
		return f.proved, nil
	}
	if now.Sub(f.since) < tryFor {
		return false, nil
	}
	return false, f.tryNext()
}

// tryNext shows the hub the credentials after the present ones, where there are others.
func (f *follower) tryNext() error {
	all, err := f.state.candidates(f.kept)
	if err != nil || len(all) == 1 {
		return err
	}
	next := 0
	for i, c := range all {
		if c == f.shown {
			next = (i + 1) % len(all)
		}
	}
	return f.show(all[next])
}

// show changes the device over.
func (f *follower) show(c candidate) error {
	f.since, f.proved = time.Now(), false
	f.after = f.since
	if err := f.end.Use(c.Credentials); err != nil {
		return err
	}
	f.shown = c
	return nil
}

// settle keeps what is shown to the hub as what it has.
func (f *follower) settle() error {
	f.proved = true
	if err := f.state.settle(&f.kept, f.shown); err != nil {
		return err
	}
	f.shown.file = wireguardKeyFile
	return nil
}

// resume asks the core how the tunnel stands, and ends what was interrupted.
func (f *follower) resume(ctx context.Context) (s office.Standing, err error) {
	if err := f.call(ctx, http.MethodGet, office.StandingRoute, nil, &s); err != nil {
		return s, err
	}
	if own := f.shown.PrivateKey.Public(); s.NextKey == own {
		if err := f.confirmKey(ctx, own); err != nil {
			return s, err
		}
	}
	if f.kept.Offered != nil {
		return s, f.confirmPreshared(ctx)
	}
	return s, nil
}
