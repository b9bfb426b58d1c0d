// Package leasetest keeps nodes of tests alive.
package leasetest

import (
	"context"
	"testing"

	"trustcore/internal/lease"
)

// Live renews a node's leases until the test ends, as a daemon does: a node that doesn't is dead after lease.Life, and what it is at is
// taken over by others.
func Live(t testing.TB, l *lease.Leases) {
	t.Helper()
	ctx, end := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- l.Run(ctx) }()
	t.Cleanup(func() {
		end()
		if err := <-ended; err != nil {
			t.Error(err)
		}
	})
}
