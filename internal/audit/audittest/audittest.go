// Package audittest gives tests audit logs in folders of their own.
package audittest

import (
	"context"
	"errors"
	"os"
	"syscall"
	"testing"
	"time"

	"trustcore/internal/audit"
)

// removeTimeout bounds how long a folder refuses to be removed.
const removeTimeout = 10 * time.Second

// Dir is a folder that is removed when the test ends, for a state with an audit log in it. t.TempDir would fail now and then: a
// goroutine of tessera that nobody can wait for may open its lock file once more after the log was closed, and so put it into a
// folder that is being removed.
func Dir(t testing.TB) string {
	t.Helper()
	dir, err := os.MkdirTemp("", "audit-")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		for begun := time.Now(); ; {
			err := os.RemoveAll(dir)
			if err == nil {
				return
			}
			if !errors.Is(err, syscall.ENOTEMPTY) || time.Since(begun) > removeTimeout {
				t.Error(err)
				return
			}
		}
	})
	return dir
}

// Open opens an empty log, which is closed when the test ends.
func Open(t testing.TB) *audit.Log {
	t.Helper()
	log, err := audit.Open(t.Context(), audit.Config{Dir: Dir(t)})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = log.Close(context.Background()) }) // a test may have closed it, or broken what is below it
	return log
}
