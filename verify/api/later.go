package api

import (
	"bytes"
	"context"
	"crypto/rand"
	"fmt"
	"math"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"

	"trustcore/verify"
)

// Bounds of results that come later.
const (
	laterLife    = 24 * time.Hour  // from the request on; then document and result are no more
	laterMost    = 500             // of all callers
	laterOfOne   = 100             // of one caller
	laterAtOnce  = 4               // judged again at the same time, each in a turn as every request
	laterPause   = 5 * time.Second // at least, between two judgements of one document
	laterFailure = time.Minute     // after one that could not be made
)

// later keeps documents whose verdict may be another one soon, and judges them again at the time that the report
// names (try_again). They lie in the spool: in files without names, enciphered by keys in memory, so that a restart
// ends them. A result is given to the caller alone who brought the document, until it is a day old or erased.
type later struct {
	now     func() time.Time
	room    int64         // bytes of documents that may be kept
	changed chan struct{} // has a token when there is another one to wait for

	mu   sync.Mutex
	kept map[string]*promise // by id; guarded by mu
}

// promise is one result that may come later. All but its call is guarded by later.mu.
type promise struct {
	call    *call // its body is the document until the result is final
	until   time.Time
	due     time.Time // when it is judged again; zero: the result is final
	judging bool
	erased  bool // while it was judged
	result  *body
}

func newLater(room int64, now func() time.Time) later {
	return later{now: now, room: room, changed: make(chan struct{}, 1), kept: map[string]*promise{}}
}

// prefersLater reads Prefer (RFC 7240, 4.1).
func prefersLater(values []string) bool {
	for preference := range strings.SplitSeq(strings.Join(values, ","), ",") {
		name, _, _ := strings.Cut(preference, ";")
		if strings.EqualFold(strings.TrimSpace(name), "respond-async") {
			return true
		}
	}
	return false
}

// readLater reads the parameter, which says the same as the preference.
func (c *call) readLater() error {
	asked, err := boolean("later", c.query.Get("later"))
	c.later = c.later && c.query.Get("later") == "" || asked
	return err
}

// tryAgain is the earliest time at which a signature's verdict may be another one; false: waiting does not help.
func tryAgain(r *verify.Report) (at time.Time, helps bool) {
	for i := range r.Signatures {
		if t := r.Signatures[i].TryAgain; t != nil && (!helps || t.Before(at)) {
			at, helps = *t, true
		}
	}
	return at, helps
}

// keepLater answers with the verdict as it is now, and where it is kept for a better one, with its address.
func (s *Server) keepLater(c *call, r *verify.Report) (any, error) {
	out, err := replyOf(r, nil)
	at, helps := tryAgain(r)
	if err != nil || !helps {
		return out, err
	}
	result, err := s.spool.receive(bytes.NewReader(out.data), int64(len(out.data)), true)
	if err != nil {
		s.cfg.Logger.Warn("a result is not kept", "caller", c.caller, "error", err)
		return out, nil // the verdict is there all the same
	}
	now := s.later.now()
	p := &promise{call: c.kept(), until: now.Add(laterLife), due: soonest(at, now), result: result}
	id, kept := s.later.add(p)
	if !kept {
		result.close()
		return out, nil
	}
	c.body = nil // the promise has it
	out.header = map[string]string{"Location": "/v1/validations/" + id, "Preference-Applied": "respond-async",
		"Retry-After": seconds(p.due, now)}
	return out, nil
}

// kept is the call as it is judged again.
func (c *call) kept() *call {
	again := *c
	return &again
}

func soonest(at, now time.Time) time.Time {
	if earliest := now.Add(laterPause); at.Before(earliest) {
		return earliest
	}
	return at
}

// seconds until a time, whole ones.
func seconds(at, now time.Time) string {
	return strconv.Itoa(max(1, int(math.Ceil(at.Sub(now).Seconds()))))
}

// add keeps a promise, unless there are too many.
func (l *later) add(p *promise) (id string, kept bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.sweep()
	ofOne, all := share{}, share{}
	for _, other := range l.kept {
		all.add(other)
		if other.call.caller == p.call.caller {
			ofOne.add(other)
		}
	}
	all.add(p)
	ofOne.add(p)
	if all.number > laterMost || ofOne.number > laterOfOne || all.octets > l.room || ofOne.octets > l.room/2 {
		return "", false
	}
	id = rand.Text()
	l.kept[id] = p
	l.wake()
	return id, true
}

// share is what promises take.
type share struct {
	number int
	octets int64 // of documents
}

func (s *share) add(p *promise) {
	s.number++
	if p.call.body != nil {
		s.octets += p.call.body.size
	}
}

func (l *later) wake() {
	select {
	case l.changed <- struct{}{}:
	default:
	}
}

// sweep forgets what is too old. l.mu is held.
func (l *later) sweep() {
	now := l.now()
	for id, p := range l.kept {
		if !now.Before(p.until) {
			l.erase(id, p)
		}
	}
}

// erase forgets a promise with its document and result. l.mu is held.
func (l *later) erase(id string, p *promise) {
	delete(l.kept, id)
	p.result.close()
	if p.erased = true; !p.judging { // else who judges it closes the document
		p.call.body.close()
	}
}

// find is the caller's own promise. What is another's is not there. l.mu is held.
func (l *later) find(c *call) (*promise, error) {
	l.sweep()
	p := l.kept[c.id]
	if p == nil || p.call.caller != c.caller {
		return nil, refuse(http.StatusNotFound, "id",
			"there is no result under this id: it was erased, is older than a day, or this daemon was started anew: send it again")
	}
	return p, nil
}

// laterResult answers GET /v1/validations/{id}: the newest report, with 202 while it may yet become another one.
func (s *Server) laterResult(_ context.Context, c *call) (any, error) {
	s.later.mu.Lock()
	defer s.later.mu.Unlock()
	p, err := s.later.find(c)
	if err != nil {
		return nil, err
	}
	data, err := p.result.bytes()
	if err != nil || p.due.IsZero() {
		return &reply{data: data}, err
	}
	return &reply{status: http.StatusAccepted, data: data,
		header: map[string]string{"Retry-After": seconds(p.due, s.later.now())}}, nil
}

// forget answers DELETE /v1/validations/{id}.
func (s *Server) forget(_ context.Context, c *call) (any, error) {
	s.later.mu.Lock()
	defer s.later.mu.Unlock()
	p, err := s.later.find(c)
	if err != nil {
		return nil, err
	}
	s.later.erase(c.id, p)
	return &reply{status: http.StatusNoContent}, nil
}

// Run judges again what was kept for it, until ctx ends.
func (s *Server) Run(ctx context.Context) error {
	var group errgroup.Group
	group.SetLimit(laterAtOnce)
	timer := time.NewTimer(laterLife)
	defer timer.Stop()
	for ctx.Err() == nil {
		if p := s.later.next(); p != nil {
			group.Go(func() error { s.again(ctx, p); return nil })
			continue
		}
		timer.Reset(s.later.pause())
		select {
		case <-ctx.Done():
		case <-timer.C:
		case <-s.later.changed:
		}
	}
	_ = group.Wait() // again reports in the log
	return nil
}

// next is a promise that is due, which is the caller's to judge.
func (l *later) next() *promise {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.sweep()
	now := l.now()
	for _, p := range l.kept {
		if !p.due.IsZero() && !p.judging && !now.Before(p.due) {
			p.judging = true
			return p
		}
	}
	return nil
}

// pause is how long nothing is due.
func (l *later) pause() time.Duration {
	l.mu.Lock()
	defer l.mu.Unlock()
	now, wait := l.now(), laterLife
	for _, p := range l.kept {
		at := p.until
		if !p.due.IsZero() && !p.judging && p.due.Before(at) {
			at = p.due
		}
		wait = min(wait, max(at.Sub(now), 0))
	}
	return wait
}

// again judges a promise's document once more, in a turn as every request.
func (s *Server) again(ctx context.Context, p *promise) {
	report, err := s.judgeAgain(ctx, p.call)
	var result *body
	if err == nil {
		var data []byte
		if data, err = report.JSON(); err == nil {
			result, err = s.spool.receive(bytes.NewReader(data), int64(len(data)), true)
		}
	}
	if err != nil {
		s.cfg.Logger.Warn("a document was not judged again", "caller", p.call.caller, "error", err)
	}
	s.later.settle(p, report, result)
}

func (s *Server) judgeAgain(ctx context.Context, c *call) (*verify.Report, error) {
	if err := s.cfg.Ready(); err != nil {
		return nil, err
	}
	done, err := s.turns.take(ctx, workDocument+workByte*c.body.size)
	if err != nil {
		return nil, fmt.Errorf("waiting for a turn: %w", err)
	}
	defer done()
	ctx, cancel := context.WithTimeout(ctx, judgeTimeout)
	defer cancel()
	return s.validated(ctx, c)
}

// settle takes a new result, nil for none; with a final one the document is no more.
func (l *later) settle(p *promise, report *verify.Report, result *body) {
	l.mu.Lock()
	defer l.mu.Unlock()
	defer l.wake()
	p.judging = false
	if p.erased {
		result.close()
		p.call.body.close()
		return
	}
	now := l.now()
	if result == nil {
		p.due = now.Add(laterFailure)
		return
	}
	p.result.close()
	p.result = result
	if at, helps := tryAgain(report); helps {
		p.due = soonest(at, now)
		return
	}
	p.due = time.Time{}
	p.call.body.close()
	p.call.body = nil
}
