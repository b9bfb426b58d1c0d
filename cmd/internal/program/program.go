// Package program is what the daemons have in common as programs: their command line, their log, how they wait.
package program

import (
	"context"
	"fmt"
	"log/slog"
	"os"
	"os/signal"
	"syscall"
	"time"
)

// Daemon is a daemon by its command line: --config FILE, --check --config FILE or --help.
type Daemon struct {
	Name  string
	Usage string
	// Serve runs the daemon until ctx ends; Check says what keeps the configuration in a file from being used.
	Serve func(ctx context.Context, file string) error
	Check func(file string) error
}

// Main runs a daemon until SIGTERM or SIGINT, and ends the process where it fails. run is the Daemon's Run, or what has
// further commands.
func Main(name string, run func(ctx context.Context, args []string) error) {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	err := run(ctx, os.Args[1:])
	stop()
	if err != nil {
		fmt.Fprintf(os.Stderr, "%s: %v\n", name, err)
		os.Exit(1)
	}
}

// Run does what the arguments say.
func (d Daemon) Run(ctx context.Context, args []string) error {
	switch {
	case len(args) == 1 && (args[0] == "--help" || args[0] == "-h"):
		_, err := fmt.Print(d.Usage)
		return err
	case len(args) == 3 && args[0] == "--check" && args[1] == "--config":
		return d.Check(args[2])
	case len(args) == 2 && args[0] == "--config":
		return d.Serve(ctx, args[1])
	}
	return fmt.Errorf("usage: %s --config FILE (see %[1]s --help)", d.Name)
}

// Logger writes lines of JSON to standard error.
func Logger(name string, level slog.Level) *slog.Logger {
	return slog.New(slog.NewJSONHandler(os.Stderr, &slog.HandlerOptions{Level: level})).With("daemon", name)
}

// Pause waits, and reports whether it waited to the end: ctx had not ended before.
func Pause(ctx context.Context, d time.Duration) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return false
	case <-timer.C:
		return true
	}
}
