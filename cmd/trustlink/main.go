// Command trustlink is the office's side of the trust core: it enrols the office with keys
// that never leave it, and keeps its end of the tunnel up.
package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"syscall"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGINT, syscall.SIGTERM)
	defer stop()
	err := newCommand().ExecuteContext(ctx)
	var coded exitCode // it has said what there is to say
	switch {
	case errors.As(err, &coded):
		os.Exit(int(coded))
	case err != nil:
		fmt.Fprintln(os.Stderr, "trustlink:", err)
		os.Exit(1)
	}
}

// notWell is the exit status of a command that did its work and found something that is not as it should be.
const notWell = 3

// exitCode ends the program with a status and says nothing more.
type exitCode int

// Error is for the interface; nobody reads it.
func (c exitCode) Error() string { return fmt.Sprintf("exit status %d", int(c)) }
