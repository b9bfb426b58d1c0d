// Package budget bounds what one document may cost, whatever it holds. There is one Budget a document: its
// readers, the path validator and the judge all spend of it, so that a limit bounds the sum and not the piece,
// and it carries the context, so that the work ends when nobody waits for it any more.
package budget

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"slices"
	"sync/atomic"
)

// ErrExceeded tells that a document costs more than its budget. It says nothing about what the document holds.
var ErrExceeded = errors.New("beyond the budget of one document")

// What usual work costs, in units of Work. A unit is about a nanosecond of a server of the 2020s.
const (
	Octet = 2  // an octet that is written, compared or hashed
	Node  = 50 // a node of a document that is visited
)

// The limits of a document: two seconds of processor time with room for what is not counted, and 20 ns for each
// octet beyond the first megabyte; memory so that the process stays below 128 MiB and two octets an input octet,
// the input itself and the garbage collector's share included.
const (
	baseWork    = 1_200_000_000
	workAnOctet = 20
	freeOctets  = 1 << 20
	baseHeld    = 40 << 20
)

// checkEvery is how many units pass between two looks at the context: about a millisecond.
const checkEvery = 1_000_000

// window is how many octets are written between two looks at the budget.
const window = 1 << 20

// Budget is what is left for one document. It is safe for concurrent use. Once it is spent every call fails, so
// that a caller that can't report an error may go on and stop at the next that can.
type Budget struct {
	ctx    context.Context
	work   atomic.Int64 // units left
	held   atomic.Int64 // octets left
	look   atomic.Int64 // work left at which the context is looked at next
	failed atomic.Pointer[error]
	max    limits
	// letGo hears of octets that were read through; nil hears nothing.
	letGo   func(octets []byte)
	digests digests
	sum     func(octets []byte) [sha256.Size]byte
}

type limits struct{ work, held int64 }

// New returns the budget of a document of size octets, what it is about included.
func New(ctx context.Context, size int) *Budget {
	n := int64(max(size, 0))
	return Of(ctx, baseWork+workAnOctet*max(0, n-freeOctets), baseHeld+n/2)
}

// Of returns a budget of the given units of work and octets held, for tests and for who knows better.
func Of(ctx context.Context, work, held int64) *Budget {
	b := &Budget{ctx: ctx, max: limits{work, held}, sum: sumOf(ctx)}
	b.work.Store(work)
	b.held.Store(held)
	b.look.Store(work)
	return b
}

// Context is the context of the whole work on the document.
func (b *Budget) Context() context.Context { return b.ctx }

// Work spends units before the work is done. The error is ErrExceeded or the context's, and stays.
func (b *Budget) Work(units int64) error {
	if err := b.Err(); err != nil {
		return err
	}
	left := b.work.Add(-max(units, 0))
	if left < 0 {
		return b.fail(fmt.Errorf("the document takes too much work: %w (%d ms of processor time)", ErrExceeded, b.max.work/1_000_000))
	}
	if left <= b.look.Load() {
		b.look.Store(left - checkEvery)
		if err := b.ctx.Err(); err != nil {
			return b.fail(err)
		}
	}
	return nil
}

// Octets spends for n octets written, compared or hashed.
func (b *Budget) Octets(n int) error { return b.Work(Octet * int64(n)) }

// Nodes spends for n nodes visited.
func (b *Budget) Nodes(n int) error { return b.Work(Node * int64(n)) }

// LetGo makes Write and Passed tell f of octets that were read through, so that their owner may give their memory back
// until they are read again: those of a mapped file. It is set before the budget is shared.
func (b *Budget) LetGo(f func(octets []byte)) { b.letGo = f }

// Passed tells whoever wants to know that octets were read through and are not looked at again soon.
func (b *Budget) Passed(octets []byte) {
	if b.letGo != nil && len(octets) > 0 {
		b.letGo(octets)
	}
}

// Write writes octets in pieces, spends for each before it is written, and lets go of it afterwards. It is the way
// in which data of any size are digested: the work ends within a piece when the budget or the context is over.
func (b *Budget) Write(w io.Writer, octets []byte) error {
	for piece := range slices.Chunk(octets, window) {
		if err := b.Octets(len(piece)); err != nil {
			return err
		}
		if _, err := w.Write(piece); err != nil {
			return err
		}
		b.Passed(piece)
	}
	return b.Err() // nothing of a document is done beyond its budget, not even nothing
}

// Hold spends octets of memory that are kept until the document is judged, before they are made.
func (b *Budget) Hold(octets int) error {
	if err := b.Err(); err != nil {
		return err
	}
	if b.held.Add(-int64(max(octets, 0))) < 0 {
		return b.fail(fmt.Errorf("the document takes too much memory: %w (%d MiB)", ErrExceeded, b.max.held>>20))
	}
	return nil
}

// Release gives back what was held and is not kept after all.
func (b *Budget) Release(octets int) { b.held.Add(int64(max(octets, 0))) }

// Left is what is left of the units of work.
func (b *Budget) Left() int64 { return max(b.work.Load(), 0) }

// Err is why the budget is over, or nil.
func (b *Budget) Err() error {
	if err := b.failed.Load(); err != nil {
		return *err
	}
	return nil
}

// fail keeps the first reason.
func (b *Budget) fail(err error) error {
	b.failed.CompareAndSwap(nil, &err)
	return *b.failed.Load()
}
