// Command trustlink is the office's side of the trust core: it enrols the office with keys
// that never leave it, and keeps its end of the tunnel up.
package main

import (
	"context"
	"fmt"
	"os"
	"os/signal"
	"syscall"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGINT, syscall.SIGTERM)
	defer stop()
	if err := newCommand().ExecuteContext(ctx); err != nil {
		fmt.Fprintln(os.Stderr, "trustlink:", err)
		os.Exit(1)
	}
}
