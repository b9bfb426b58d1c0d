package gateway

import (
	"context"
	"crypto/sha256"
	"net/http"
	"sync"
	"time"
)

// Bounds of the answers that are kept for requests that come again: of one application, the oldest go first.
const (
	keptAnswers = 1024
	keptOctets  = 4 << 20
	keptTime    = time.Hour
)

// answers keeps what requests with an Idempotency-Key were answered (draft-ietf-httpapi-idempotency-key-header): a
// client that lost the answer asks again, and the key is not used twice. They lie in memory: a restart, or another
// node, knows none.
type answers struct {
	mu sync.Mutex
	of map[[sha256.Size]byte]*kept // guarded by mu; by the client certificate's digest
}

type kept struct {
	byKey  map[string]*answered
	oldest []*answered // first in, first out
	octets int
}

// answered is one request and what it was answered.
type answered struct {
	key      string
	sameness [sha256.Size]byte
	at       time.Time
	done     chan struct{} // closed when the answer is there
	answer   []byte        // set before done is closed; nil: it came to nothing, and may be made again
}

// begin returns the answer that this request has got before, waiting for one that is being made. With none, the request
// is the caller's to answer, and mine has to be ended.
func (a *answers) begin(ctx context.Context, u *use, now time.Time) (answer []byte, mine *answered, why *refusal) {
	for {
		there, mine := a.enter(u, now)
		if mine != nil {
			return nil, mine, nil
		}
		if there.sameness != u.sameness {
			return nil, nil, refuse(http.StatusUnprocessableEntity, "idempotency-key", "this Idempotency-Key stood for another request: choose a new one")
		}
		select {
		case <-there.done:
		case <-ctx.Done():
			return nil, nil, refuse(http.StatusServiceUnavailable, "overload", "the same request is still being answered; try again in a moment")
		}
		if there.answer != nil {
			return there.answer, nil, nil
		}
	}
}

// enter finds the request, or enters it.
func (a *answers) enter(u *use, now time.Time) (there, mine *answered) {
	a.mu.Lock()
	defer a.mu.Unlock()
	k := a.of[u.print]
	if k == nil {
		if a.of == nil || len(a.of) >= maxApplications {
			a.of = map[[sha256.Size]byte]*kept{}
		}
		k = &kept{byKey: map[string]*answered{}}
		a.of[u.print] = k
	}
	k.forget(now)
	if there := k.byKey[u.again]; there != nil {
		return there, nil
	}
	mine = &answered{key: u.again, sameness: u.sameness, at: now, done: make(chan struct{})}
	k.byKey[u.again] = mine
	return nil, mine
}

// end keeps the answer of a request; nil means that it came to nothing.
func (a *answers) end(u *use, mine *answered, answer []byte) {
	a.mu.Lock()
	defer a.mu.Unlock()
	mine.answer = answer
	close(mine.done)
	k := a.of[u.print]
	if k == nil || k.byKey[mine.key] != mine {
		return // all were forgotten meanwhile
	}
	if answer == nil {
		delete(k.byKey, mine.key)
		return
	}
	k.oldest, k.octets = append(k.oldest, mine), k.octets+len(answer)
}

// forget lets the oldest answers go, beyond the bounds.
func (k *kept) forget(now time.Time) {
	for len(k.oldest) > 0 {
		first := k.oldest[0]
		if len(k.oldest) < keptAnswers && k.octets < keptOctets && now.Sub(first.at) < keptTime {
			return
		}
		delete(k.byKey, first.key)
		k.oldest, k.octets = k.oldest[1:], k.octets-len(first.answer)
	}
}
