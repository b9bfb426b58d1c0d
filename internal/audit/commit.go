package audit

import (
	"context"
	"errors"
	"fmt"
	"time"

	"trustcore/internal/audit/journal"
)

// Bounds of the queue in front of the journal.
const (
	maxWait    = 15 * time.Second // for an entry whose context has no earlier deadline
	maxQueue   = 1024             // calls that wait; one more waits for its place in the queue
	maxGroup   = 1024             // entries of one group
	healEvery  = time.Second      // how often a new segment is tried after a failure, also without an entry
	urgentFeed = 4096             // entries behind which the tree doesn't wait for its turn
)

// request is what waits to become durable: the entries of one call, which stay together.
type request struct {
	ctx      context.Context
	newest   time.Time // of the entries
	payloads [][]byte
	size     int            // of all payloads, in octets
	done     chan committed // has room for the answer, whether or not somebody waits
}

type committed struct {
	index uint64 // of the first entry
	err   error
}

var (
	errClosed = errors.New("the log is closed")
	errSlow   = errors.New("the disk of the audit log does not answer")
)

// commit gives a request to the journal and waits until it is durable.
func (l *Log) commit(r *request) (uint64, error) {
	if l.state.isDisplaced() {
		return 0, errDisplaced
	}
	if end, set := r.ctx.Deadline(); !set || time.Until(end) > maxWait {
		ctx, cancel := context.WithTimeout(r.ctx, maxWait)
		defer cancel()
		r.ctx = ctx
	}
	ctx := r.ctx
	select {
	case <-l.closing:
		return 0, errClosed
	default:
	}
	select {
	case l.queue <- r:
	case <-l.closing:
		return 0, errClosed
	case <-ctx.Done():
		return 0, fmt.Errorf("%w; it was not recorded: %w", errSlow, ctx.Err())
	}
	select {
	case c := <-r.done:
		return c.index, c.err
	case <-ctx.Done():
		return 0, fmt.Errorf("%w in time; whether it was recorded is not known: %w", errSlow, ctx.Err())
	case <-l.stopped:
	}
	select {
	case c := <-r.done:
		return c.index, c.err
	default:
		return 0, errClosed
	}
}

// run is the one writer of the journal. What waits while a group is being written is the next group.
func (l *Log) run() {
	defer close(l.stopped)
	heal := time.NewTicker(healEvery)
	defer heal.Stop()
	for {
		select {
		case r := <-l.queue:
			l.write(l.group(r))
		case <-heal.C:
			l.heal()
		case <-l.closing:
			for len(l.queue) > 0 {
				l.write(l.group(<-l.queue))
			}
			return
		}
	}
}

// group takes what waits behind r, as much as fits. Who has given up waiting is left out.
func (l *Log) group(r *request) (group []*request) {
	for count, size := 0, 0; ; r = <-l.queue {
		if r.ctx.Err() == nil {
			group, count, size = append(group, r), count+len(r.payloads), size+r.size
		}
		if len(l.queue) == 0 || count > maxGroup-MaxGroup || size > journal.MaxGroup-maxRequest {
			return group
		}
	}
}

func (l *Log) write(group []*request) {
	if len(group) == 0 {
		return
	}
	var payloads [][]byte
	var newest time.Time
	for _, r := range group {
		payloads = append(payloads, r.payloads...)
		if r.newest.After(newest) {
			newest = r.newest
		}
	}
	l.state.begin()
	first, err := l.journal.Commit(payloads)
	behind := l.state.end(err, l.journal.Next(), newest)
	for _, r := range group {
		r.done <- committed{first, err}
		first += uint64(len(r.payloads))
	}
	if behind >= urgentFeed {
		select {
		case l.urgent <- struct{}{}:
		default:
		}
	}
}

// heal begins a new segment after a failure, so that the log is well again before somebody needs it.
func (l *Log) heal() {
	if l.state.failure() == nil {
		return
	}
	l.state.begin()
	l.state.end(l.journal.Ready(), l.journal.Next(), time.Time{})
}
