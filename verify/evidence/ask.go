package evidence

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/url"
	"runtime/debug"
	"time"

	"golang.org/x/sync/errgroup"

	"trustcore/internal/fetch"
)

// What all hosts together are asked at once, and how long and how much one may answer. Who waits for a document's
// verdict does not wait so long; what comes later is there when he asks again.
const (
	overall     = 64
	listsAtOnce = 4 // of MaxCRLSize each

	ocspTime    = 6 * time.Second
	listTime    = 30 * time.Second
	issuersTime = 6 * time.Second
	slowOCSP    = 3 * time.Second // an answer that takes longer is used, and counts as a failure of the host

	maxAnswer = 1 << 20 // octets, of all but lists
)

// The refreshing of answers that are in use.
const (
	refreshEvery  = 5 * time.Second
	refreshAtOnce = 4
	maxRefreshed  = 500            // of one look
	oftenUsed     = 10             // OCSP answers that are used so often are renewed before they run out
	inUse         = 24 * time.Hour // lists that were used within this time are renewed before their nextUpdate
)

var (
	errOffline = errors.New("nothing is fetched offline")
	errOverdue = errors.New("there is no answer yet, and the time for this document is over")
)

// asker is the room to the outside: package fetch, or a test.
type asker interface {
	Get(ctx context.Context, url string) ([]byte, error)
	Post(ctx context.Context, url, contentType string, body []byte) ([]byte, error)
}

// room is what is asked for one kind of thing, and how.
type room struct {
	asker asker
	hosts *hosts // of this kind: a host whose responder fails may have lists, and a stranger names issuers of his choice
	limit time.Duration
	slots chan struct{} // nil for no bound but the overall one
}

func (g *Gatherer) openRooms() {
	client := func(limit time.Duration, octets int64) asker {
		return fetch.New(fetch.Config{Allow: g.cfg.Allow, Proxy: g.cfg.Proxy, Timeout: limit, MaxBytes: octets})
	}
	g.overall = make(chan struct{}, overall)
	g.rooms = map[kind]*room{
		sourceOCSP: {asker: client(ocspTime, maxAnswer), hosts: newHosts(g.cfg.Now), limit: ocspTime},
		sourceCRL: {asker: client(listTime, 0), hosts: newHosts(g.cfg.Now), limit: listTime,
			slots: make(chan struct{}, listsAtOnce)},
		sourceIssuers: {asker: client(issuersTime, maxAnswer), hosts: newHosts(g.cfg.Now), limit: issuersTime},
	}
}

// Hosts are those that failed and are left alone, or are probed again, by what they are asked for and by name.
func (g *Gatherer) Hosts() (list []Host) {
	for _, k := range []kind{sourceOCSP, sourceCRL, sourceIssuers} {
		if r := g.rooms[k]; r != nil {
			list = append(list, r.hosts.open(string(k))...)
		}
	}
	return list
}

// cached returns the answer that serves without asking, nil for none.
func (g *Gatherer) cached(s source, began time.Time) *answer {
	now := g.cfg.Now()
	a, ok := g.answers.GetIfPresent(s.key())
	if !ok || !a.serves(began, now) {
		return nil
	}
	g.stats.cached.Add(1)
	a.use(now)
	return a
}

// ask returns the cached answer, or the kept one, or fetches it once for all who ask at the same time, about a
// certificate that began at the time. It does not wait longer than the context.
func (g *Gatherer) ask(ctx context.Context, s source, began time.Time) *answer {
	if a := g.cached(s, began); a != nil {
		return a
	}
	limit := time.Minute // of reading what is kept, where nothing is fetched
	if r := g.rooms[s.kind]; r != nil {
		limit = r.limit
	}
	for again := true; ; again = false {
		a, joined := g.flights.wait(ctx, s.key(), limit, func(ctx context.Context) *answer { return g.renew(ctx, s, began) })
		switch {
		case a == nil:
			return g.overdue(s)
		case again && joined && a.err == nil && !a.serves(began, g.cfg.Now()):
			continue // it was asked for about an older certificate
		}
		a.last.Store(g.cfg.Now().Unix())
		return a
	}
}

// overdue is what can be said of a source when there is no time to wait for it any more: what it said last, if that was
// proven. Its next answer may be there soon.
func (g *Gatherer) overdue(s source) *answer {
	now := g.cfg.Now()
	none := &answer{source: s, err: errOverdue, came: now, until: now.Add(slowOCSP)}
	old, _ := g.answers.GetIfPresent(s.key())
	if last := old.lastProven(); last != nil {
		return last.goesOn(none)
	}
	return none
}

// renew fetches, and falls back on what is at hand when that fails. The result is cached either way.
func (g *Gatherer) renew(ctx context.Context, s source, began time.Time) (a *answer) {
	now, key := g.cfg.Now(), s.key()
	defer func() {
		if p := recover(); p != nil { // this is nobody's stack but ours
			g.cfg.Logger.Error("a fault of this program in what a source answered", "source", s.url, "fault", p, "stack",
				string(debug.Stack()))
			a = &answer{source: s, err: errors.New("the answer could not be read because of a fault of this program"),
				came: now, until: now.Add(failureAge)}
			g.answers.Set(key, a)
		}
	}()
	old, known := g.answers.GetIfPresent(key)
	if old.lastProven() == nil {
		if kept := g.fromKeep(s, now); kept != nil {
			old, known = kept, true
		}
	}
	if known && old.serves(began, now) && (old.err != nil || now.Unix() < old.due.Load()) {
		g.answers.Set(key, old) // from before the start
		return old
	}
	a = g.fetch(ctx, s, old.lastProven(), now)
	if errors.Is(a.err, context.Canceled) {
		return a // nobody wants it any more
	}
	if a.err != nil && old.lastProven() != nil {
		g.cfg.Logger.Info("a source did not answer again, its last answer goes on", "source", s.url, "error", a.err)
	}
	a = g.follow(a, old)
	g.answers.Set(key, a)
	return a
}

// fetch asks the source; last is what it said before.
func (g *Gatherer) fetch(ctx context.Context, s source, last *answer, now time.Time) *answer {
	if g.rooms == nil {
		return failed(s, errOffline, now)
	}
	der, tell, err := g.get(ctx, s)
	defer func() { tell(err) }()
	var a *answer
	switch {
	case err != nil:
	case last != nil && bytes.Equal(der, last.der):
		a = last.renewed(now)
	default:
		if a, err = g.read(s, der, now); err == nil {
			a.live(now)
		}
	}
	if err != nil {
		g.stats.failed.Add(1)
		return failed(s, err, g.cfg.Now())
	}
	g.stats.fetched.Add(1)
	return a
}

// failed is what is known of a source that failed, or whose host was not asked, and until when it is left alone.
func failed(s source, err error, now time.Time) *answer {
	a := &answer{source: s, err: err, came: now, until: now.Add(max(failureAge, waitAsked(err)))}
	var r *resting
	switch {
	case errors.As(err, &r):
		a.until = r.until
	case errors.Is(err, errBusy):
		a.until = now.Add(time.Second)
	}
	return a
}

// outcome is what a request tells of the host.
func outcome(s source, err error, took time.Duration) error {
	var responder responderError
	var status *fetch.Status
	switch {
	case errors.Is(err, context.Canceled), errors.Is(err, fetch.ErrForbidden), errors.Is(err, errBusy):
		return errNothing
	case errors.Is(err, context.DeadlineExceeded) && took < slowOCSP:
		return errNothing // its time went by before it was asked
	case errors.As(err, &responder) && !responder.ofHost(), errors.As(err, &status) && !status.OfHost():
		return tooSlow(s, took)
	case s.kind == sourceIssuers && !unreachable(err):
		return nil // a stranger chose what was asked for there
	case err == nil:
		return tooSlow(s, took)
	}
	return err
}

// tooSlow is what a host's answer of any kind tells of it.
func tooSlow(s source, took time.Duration) error {
	if s.kind != sourceOCSP || took <= slowOCSP {
		return nil
	}
	return fmt.Errorf("its answer took %s", took.Round(time.Millisecond))
}

// unreachable reports whether a host did not answer, or not to the end.
func unreachable(err error) bool {
	var request *url.Error
	var transport net.Error
	return errors.As(err, &request) || errors.As(err, &transport) || errors.Is(err, io.ErrUnexpectedEOF)
}

// get makes the request when there is a place for it at the host, among those of its kind and among all. The host hears
// of the outcome by tell.
func (g *Gatherer) get(ctx context.Context, s source) (der []byte, tell func(error), err error) {
	r := g.rooms[s.kind]
	leave, err := r.hosts.enter(ctx, hostOf(s.url))
	if err != nil {
		return nil, func(error) {}, err
	}
	var took time.Duration
	tell = func(err error) { leave(outcome(s, err, took)) }
	for _, slots := range []chan struct{}{r.slots, g.overall} {
		if slots == nil {
			continue
		}
		select {
		case slots <- struct{}{}:
			defer func() { <-slots }()
		case <-ctx.Done():
			return nil, tell, errBusy
		}
	}
	begun := g.cfg.Now()
	if s.kind == sourceOCSP {
		der, err = r.asker.Post(ctx, s.url, "application/ocsp-request", s.request)
	} else {
		der, err = r.asker.Get(ctx, s.url)
	}
	took = g.cfg.Now().Sub(begun)
	return der, tell, err
}

// Run renews what is in use before it runs out, so that nobody waits for it, until ctx ends.
func (g *Gatherer) Run(ctx context.Context) error {
	if g.rooms == nil {
		<-ctx.Done()
		return nil
	}
	ticker := time.NewTicker(refreshEvery)
	defer ticker.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-ticker.C:
			g.refresh(ctx)
		}
	}
}

// refresh asks again for what is wanted.
func (g *Gatherer) refresh(ctx context.Context) {
	var group errgroup.Group
	group.SetLimit(refreshAtOnce)
	now, left := g.cfg.Now(), maxRefreshed
	for key, a := range g.answers.All() {
		if ctx.Err() != nil || left == 0 {
			break
		}
		if !a.wanted(now) {
			continue
		}
		left--
		group.Go(func() error {
			g.flights.wait(ctx, key, g.rooms[a.source.kind].limit,
				func(ctx context.Context) *answer { return g.renew(ctx, a.source, time.Time{}) })
			return nil
		})
	}
	_ = group.Wait() // what failed is logged where it failed
}

// wanted reports whether the answer is renewed before somebody asks for it: one that is used all the time, when it is
// due, and the list of an authority whose documents came lately, before it ends.
func (a *answer) wanted(now time.Time) bool {
	if a.err != nil || !a.proven.Load() || now.Unix() < a.due.Load() {
		return false
	}
	used, lately := a.used.Load(), now.Sub(time.Unix(a.last.Load(), 0)) < inUse
	switch {
	case a.list == nil:
		return used >= oftenUsed
	case used > 0 || !lately:
		return lately
	}
	next := a.list.NextUpdate
	return now.Before(next) && now.After(next.Add(-min(listAge, next.Sub(a.list.ThisUpdate)/4)))
}
