package main

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"runtime"
	"sync/atomic"
	"syscall"
	"time"
)

// Pauses before a daemon that ended by itself is started again.
const (
	firstPause   = time.Second
	longestPause = time.Minute // after six ends in a row
	steady       = time.Minute // a daemon that ran so long begins with the first pause again
)

// process is one daemon that is kept running.
type process struct {
	name  string
	begin func(context.Context) (*exec.Cmd, error) // starts it
	say   func(format string, args ...any)         // tells the person who started the appliance

	ready atomic.Bool        // it was ready once: from then on it is started again when it ends
	stop  context.CancelFunc // makes it end
	ended chan struct{}      // closed when it runs no more; err and last are set then
	err   error              // how it ended
	last  *os.ProcessState   // of the run that was the last, nil when it ended in a pause
}

// keep runs the daemon until ctx ends. A daemon that ends before it was ever ready is not started again: what
// keeps it from that would do so the next time.
func (p *process) keep(ctx context.Context) {
	defer close(p.ended)
	runtime.LockOSThread() // the kernel ends the daemon when the thread that started it ends
	for pause := firstPause; ; pause = min(2*pause, longestPause) {
		begun := time.Now()
		p.err = p.run(ctx)
		if ctx.Err() != nil || !p.ready.Load() {
			return
		}
		if time.Since(begun) > steady {
			pause = firstPause
		}
		p.say("%v: it starts again in %s\n", p.err, pause)
		p.last = nil
		select {
		case <-ctx.Done():
			return
		case <-time.After(pause):
		}
	}
}

// run starts the daemon and waits for its end.
func (p *process) run(ctx context.Context) error {
	cmd, err := p.begin(ctx)
	if err != nil {
		return fmt.Errorf("%s: %w", p.name, err)
	}
	err = cmd.Wait()
	p.last = cmd.ProcessState
	return fmt.Errorf("%s ended (%v)", p.name, err) // not %w: its exit status is not ours
}

// end ends the daemon and says whether that took force.
func (p *process) end() error {
	p.stop()
	<-p.ended
	if p.last != nil && p.last.Sys().(syscall.WaitStatus).Signal() == syscall.SIGKILL {
		return fmt.Errorf("%s did not end in %s and was killed", p.name, stopTimeout)
	}
	return nil
}
