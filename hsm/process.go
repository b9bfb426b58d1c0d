package hsm

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"os"
	"os/exec"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"trustcore/hsm/internal/wire"
)

var (
	errGone    = errors.New("HSM worker ended")
	errNotSent = errors.New("the call did not reach it")
)

// maxLogLine is the longest line of the worker's output that is logged whole.
const maxLogLine = 4 << 10

// process is one worker process and the calls that it has not yet answered.
type process struct {
	cmd  *exec.Cmd
	conn net.Conn
	gone chan struct{} // closed when the process has ended and no more answers come
	err  error         // why; set before gone is closed

	out *wire.Writer

	killed atomic.Bool

	// recognised: its token is known to be the one of the registry's keys. whole: that token holds every active key,
	// and no generation is left half done. Another process may have opened another token, so neither outlives this
	// one.
	recognised, whole atomic.Bool

	mu    sync.Mutex
	next  uint64                     // guarded by mu
	calls map[uint64]chan wire.Frame // guarded by mu; nil after the end
}

// startProcess starts the command with one end of a socket pair as its file descriptor 3. Its output goes to the log.
func startProcess(argv []string, logger *slog.Logger) (*process, error) {
	ours, theirs, err := socketPair()
	if err != nil {
		return nil, err
	}
	defer theirs.Close()
	cmd := exec.Command(argv[0], argv[1:]...)
	cmd.ExtraFiles = []*os.File{theirs}
	// A group of its own: a terminal's interrupt is for trustd, which ends the worker last.
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	output, err := cmd.StderrPipe()
	if err != nil {
		return nil, errors.Join(err, ours.Close())
	}
	if err := cmd.Start(); err != nil {
		return nil, errors.Join(fmt.Errorf("starting the HSM worker: %w", err), ours.Close())
	}
	p := &process{cmd: cmd, conn: ours, out: wire.NewWriter(ours), gone: make(chan struct{}), calls: make(map[uint64]chan wire.Frame)}
	logged := make(chan struct{})
	go func() {
		defer close(logged)
		logLines(output, logger.With("pid", cmd.Process.Pid))
	}()
	go p.read(logged)
	return p, nil
}

func socketPair() (net.Conn, *os.File, error) {
	fds, err := syscall.Socketpair(syscall.AF_UNIX, syscall.SOCK_STREAM|syscall.SOCK_CLOEXEC, 0)
	if err != nil {
		return nil, nil, fmt.Errorf("socket pair: %w", err)
	}
	ours, theirs := os.NewFile(uintptr(fds[0]), "worker"), os.NewFile(uintptr(fds[1]), "trustd")
	defer ours.Close() // FileConn keeps a copy
	conn, err := net.FileConn(ours)
	if err != nil {
		return nil, nil, errors.Join(fmt.Errorf("socket pair: %w", err), theirs.Close())
	}
	return conn, theirs, nil
}

// logLines ends when the worker has closed its output.
func logLines(r io.Reader, logger *slog.Logger) {
	lines := bufio.NewReaderSize(r, maxLogLine)
	for {
		line, err := lines.ReadSlice('\n')
		if len(line) > 0 {
			logger.Warn("HSM worker", "output", string(line))
		}
		if err != nil && !errors.Is(err, bufio.ErrBufferFull) {
			return
		}
	}
}

// read hands out answers until the connection breaks, then ends the process and every open call.
func (p *process) read(logged <-chan struct{}) {
	r := bufio.NewReaderSize(p.conn, 32<<10)
	var err error
	for {
		var f wire.Frame
		if f, err = wire.Read(r); err != nil {
			break
		}
		p.mu.Lock()
		answer := p.calls[f.Call]
		delete(p.calls, f.Call)
		p.mu.Unlock()
		if answer != nil {
			answer <- f // has room for one
		}
	}
	p.kill()
	<-logged
	p.err = fmt.Errorf("%w: %w", errGone, errors.Join(p.cmd.Wait(), notEOF(err), p.conn.Close()))
	close(p.gone)
	p.mu.Lock()
	p.calls = nil
	p.mu.Unlock()
}

func notEOF(err error) error {
	if errors.Is(err, io.EOF) || errors.Is(err, net.ErrClosed) {
		return nil
	}
	return err
}

// call sends a request and waits for its answer. The error is errNotSent when the worker can't have got it whole, and
// ErrUncertain when it ended, or ctx did, before it answered.
func (p *process) call(ctx context.Context, kind wire.Kind, body []byte) (wire.Frame, error) {
	answer := make(chan wire.Frame, 1)
	if p.killed.Load() {
		<-p.gone // so that the next try meets the next worker
	}
	p.mu.Lock()
	if p.calls == nil {
		p.mu.Unlock()
		return wire.Frame{}, fmt.Errorf("%w: %w", errNotSent, p.err)
	}
	p.next++
	call := p.next
	p.calls[call] = answer
	p.mu.Unlock()
	if err := p.write(wire.Frame{Call: call, Kind: kind, Body: body}); err != nil {
		p.forget(call)
		return wire.Frame{}, err
	}
	select {
	case f := <-answer:
		return f, nil
	case <-ctx.Done():
		p.forget(call)
		return wire.Frame{}, fmt.Errorf("%w: %w", ErrUncertain, ctx.Err())
	case <-p.gone:
		select {
		case f := <-answer: // it came with the last breath
			return f, nil
		default:
			return wire.Frame{}, fmt.Errorf("%w: %w", ErrUncertain, p.err)
		}
	}
}

// write refuses a frame that is too long. A worker that takes no more frames is killed: half a frame makes the
// connection useless.
func (p *process) write(f wire.Frame) error {
	err := p.conn.SetWriteDeadline(time.Now().Add(writeTimeout))
	if err == nil {
		err = p.out.Write(f)
	}
	if err == nil || errors.Is(err, wire.ErrFrame) {
		return err
	}
	p.kill()
	<-p.gone
	return fmt.Errorf("%w: %w", errNotSent, err)
}

func (p *process) forget(call uint64) {
	p.mu.Lock()
	delete(p.calls, call)
	p.mu.Unlock()
}

// hangUp lets the worker end by itself: it does at the end of its input.
func (p *process) hangUp() { _ = p.conn.Close() }

// kill ends the process at once. An error means that it has ended already.
func (p *process) kill() {
	p.killed.Store(true)
	_ = p.cmd.Process.Kill()
}
