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
	maxQueue   = 1024             // entries that wait; one more waits for its place in the queue
	maxGroup   = 1024             // entries of one group
	healEvery  = time.Second      // how often a new segment is tried after a failure, also without an entry
	urgentFeed = 4096             // entries behind which the tree doesn't wait for its turn
)

// request is an entry that waits to become durable.
type request struct {
	ctx  context.Context
	at   time.Time
	data []byte
	done chan committed // has room for the answer, whether or not somebody waits
}

type committed struct {
	index uint64
	err   error
}

var (
	errClosed = errors.New("the log is closed")
	errSlow   = errors.New("the disk of the audit log does not answer")
)

// commit gives data to the journal and waits until it is durable.
func (l *Log) commit(ctx context.Context, at time.Time, data []byte) (uint64, error) {
	if l.state.isDisplaced() {
		return 0, errDisplaced
	}
	ctx, cancel := context.WithTimeout(ctx, maxWait)
	defer cancel()
	r := &request{ctx, at, data, make(chan committed, 1)}
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
	for size := 0; ; r = <-l.queue {
		if r.ctx.Err() == nil {
			group, size = append(group, r), size+len(r.data)
		}
		if len(l.queue) == 0 || len(group) == maxGroup || size > journal.MaxGroup-maxEntry {
			return group
		}
	}
}

func (l *Log) write(group []*request) {
	if len(group) == 0 {
		return
	}
	payloads := make([][]byte, len(group))
	newest := group[0].at
	for i, r := range group {
		payloads[i] = r.data
		if r.at.After(newest) {
			newest = r.at
		}
	}
	l.state.begin()
	first, err := l.journal.Commit(payloads)
	behind := l.state.end(err, l.journal.Next(), newest)
	for i, r := range group {
		r.done <- committed{first + uint64(i), err}
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
