package hsm

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"sync"
	"time"

	"trustcore/hsm/internal/wire"
)

var (
	errClosed  = errors.New("it was closed")
	errPIN     = errors.New("the token refuses the PIN; it is tried again when the PIN file has changed, since tokens lock after a few wrong ones")
	errMissing = errors.New("the token holds no such key")
)

// Run replaces a worker that died or hangs, looks at the token every second, and follows the registry, until ctx
// ends; then it returns nil.
func (m *Module) Run(ctx context.Context) error {
	var helpers sync.WaitGroup
	defer helpers.Wait()
	helpers.Go(func() { m.follow(ctx) })
	for {
		p := m.current()
		if p == nil {
			if !m.respawn(ctx) {
				return nil
			}
			continue
		}
		helpers.Go(func() { m.watch(ctx, p) })
		select {
		case <-ctx.Done():
			return nil
		case <-p.gone:
			m.lost(p)
		}
	}
}

// follow reads the registry again and again: another node may have changed it. A database that hangs holds up nothing
// else.
func (m *Module) follow(ctx context.Context) {
	tick := time.NewTicker(reloadInterval)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		limited, cancel := context.WithTimeout(ctx, reloadTimeout)
		if err := m.reload(limited); err != nil && ctx.Err() == nil {
			m.cfg.Logger.Error("reading the key registry", "error", err)
		}
		cancel()
	}
}

func (m *Module) current() *process {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.worker
}

// lost takes note of a worker's death.
func (m *Module) lost(p *process) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.worker != p {
		return
	}
	m.worker, m.ready, m.failure = nil, make(chan struct{}), p.err
	m.metrics.up.Set(0)
	if !m.closed {
		m.cfg.Logger.Error("HSM worker is gone", "pid", p.cmd.Process.Pid, "error", p.err)
	}
}

// respawn starts workers until one serves; false when ctx ended or the module was closed.
func (m *Module) respawn(ctx context.Context) bool {
	var last string
	for wait := firstBackOff; ; wait = min(2*wait, lastBackOff) {
		m.mu.Lock()
		closed := m.closed
		m.mu.Unlock()
		if closed {
			return false
		}
		timer := time.NewTimer(wait)
		select {
		case <-ctx.Done():
			timer.Stop()
			return false
		case <-timer.C:
		}
		m.metrics.restarts.Inc()
		err := m.spawn(ctx)
		if err == nil {
			return true
		}
		if err.Error() != last && ctx.Err() == nil {
			last = err.Error()
			m.cfg.Logger.Error("HSM worker does not start; it is tried again", "error", err)
		}
	}
}

// spawn starts one worker and has it open the token.
func (m *Module) spawn(ctx context.Context) error {
	p, err := startProcess(m.cfg.Worker, m.cfg.Logger)
	if err != nil {
		return m.noWorker(err)
	}
	ctx, cancel := context.WithTimeout(ctx, openTimeout)
	defer cancel()
	answer, err := m.open(ctx, p)
	if err != nil {
		p.kill()
		<-p.gone
		return m.noWorker(fmt.Errorf("opening the token %q: %w", m.cfg.TokenLabel, err))
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.closed {
		p.kill()
		return errClosed
	}
	m.worker, m.failure, m.outage, m.refused = p, nil, false, refusal{}
	m.token = Token{Manufacturer: answer.Manufacturer, Model: answer.Model, Serial: answer.Serial, Label: answer.Label,
		Firmware: answer.Firmware, Hardware: answer.Hardware, Library: answer.Library}
	p.recognised.Store(answer.Known)
	m.vitals.answered()
	m.vitals.failure.Store(nil)
	close(m.ready)
	m.metrics.up.Set(1)
	m.cfg.Logger.Info("HSM worker serves", "pid", p.cmd.Process.Pid, "token", answer.Label, "serial", answer.Serial, "initialised", answer.Created)
	return nil
}

func (m *Module) noWorker(err error) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.failure, m.outage = err, true
	return fmt.Errorf("%w: %w", ErrUnavailable, err)
}

// refusal remembers which token has refused which PIN file.
type refusal struct {
	serial string
	pin    os.FileInfo
	reason string
}

// standing is the token's serial number while the PIN file is the one that it refused.
func (r refusal) standing(pin os.FileInfo) string {
	if r.pin == nil || pin == nil || !os.SameFile(r.pin, pin) || !r.pin.ModTime().Equal(pin.ModTime()) || r.pin.Size() != pin.Size() {
		return ""
	}
	return r.serial
}

// living reports whether keys are registered that a token must hold.
func (m *Module) living() bool {
	m.keysMu.RLock()
	defer m.keysMu.RUnlock()
	for _, k := range m.keys {
		if k.State != Destroyed {
			return true
		}
	}
	return false
}

func (m *Module) open(ctx context.Context, p *process) (*wire.OpenAnswer, error) {
	pin, err := os.Stat(m.cfg.PINFile)
	if err != nil {
		pin = nil // the worker says so, or makes it
	}
	m.mu.Lock()
	before := m.refused
	m.mu.Unlock()
	body, err := json.Marshal(wire.OpenRequest{
		ModulePath: m.cfg.ModulePath, TokenDir: m.cfg.TokenDir, TokenLabel: m.cfg.TokenLabel,
		PINFile: m.cfg.PINFile, SOPINFile: m.cfg.SOPINFile, Sessions: m.cfg.Sessions,
		MayInitialise: !m.living(), RefusedBy: before.standing(pin),
	})
	if err != nil {
		return nil, err
	}
	f, err := p.call(ctx, wire.Open, body)
	if err != nil {
		return nil, err
	}
	switch f.Kind {
	case wire.OK:
	case wire.Refused:
		return nil, m.pinRefused(f.Body, before, pin)
	default:
		return nil, errors.New(string(f.Body))
	}
	answer := new(wire.OpenAnswer)
	if err := json.Unmarshal(f.Body, answer); err != nil {
		return nil, fmt.Errorf("worker's answer: %w", err)
	}
	return answer, nil
}

// pinRefused notes a refusal of the token; without one, the refusal before stands.
func (m *Module) pinRefused(body []byte, before refusal, pin os.FileInfo) error {
	var answer wire.PINRefusal
	if err := json.Unmarshal(body, &answer); err != nil {
		return errors.New(string(body))
	}
	if !answer.Tried {
		return fmt.Errorf("%w: %s", errPIN, before.reason)
	}
	m.metrics.pinRefusals.Inc()
	m.mu.Lock()
	m.refused = refusal{serial: answer.Serial, pin: pin, reason: answer.Reason}
	m.mu.Unlock()
	return fmt.Errorf("%w: %s", errPIN, answer.Reason)
}

// use does something with one worker. Without one it waits for the next, at most waitForWorker. What a worker's end
// cut short is done again with the next one when it had not reached it, or when doing it twice is as good as once.
// What must hold of the worker's token is for do to ask, of this worker: the one before may have had another token.
func (m *Module) use(ctx context.Context, repeatable bool, do func(*process) error) error {
	for try := 1; ; try++ {
		p, err := m.await(ctx)
		if err != nil {
			return err
		}
		err = do(p)
		again := errors.Is(err, errNotSent) || errors.Is(err, errGone) && repeatable
		if !again || try == sendTries {
			return err
		}
	}
}

// ask makes a call to this worker. Kinds other than OK come back as errors: errMissing, or ErrUnavailable with the
// reason. A worker that does not answer in its time is killed.
func (m *Module) ask(ctx context.Context, p *process, timeout time.Duration, kind wire.Kind, body []byte) (wire.Frame, error) {
	limited, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	f, err := p.call(limited, kind, body)
	if err != nil {
		if ctx.Err() == nil && errors.Is(err, context.DeadlineExceeded) {
			m.hung(p, kind, timeout)
		}
		return wire.Frame{}, fmt.Errorf("%w: %w", ErrUnavailable, err)
	}
	if err := outcome(f.Kind, f.Body); err != nil {
		return wire.Frame{}, err
	}
	if kind != wire.Sign { // whose answer says itself whether the token did it
		m.vitals.answered()
	}
	return f, nil
}

// outcome is the error that a kind of answer other than OK means.
func outcome(kind wire.Kind, reason []byte) error {
	switch kind {
	case wire.OK:
		return nil
	case wire.Missing:
		return errMissing
	case wire.Senseless:
		return ErrUndecryptable
	case wire.Refused:
		return errors.New(string(reason))
	}
	return fmt.Errorf("%w: %s", ErrUnavailable, reason)
}

// hung kills a worker that did not answer. While it makes a key, which takes long on some tokens, a signature may
// have to wait for the search for its key; whether the process hangs is then for the look to find out, which waits
// for nothing.
func (m *Module) hung(p *process, kind wire.Kind, after time.Duration) {
	if (kind == wire.Sign || kind == wire.Decrypt) && m.managing.Load() > 0 {
		return
	}
	m.cfg.Logger.Error("HSM worker hangs and is killed", "pid", p.cmd.Process.Pid, "after", after.String())
	p.kill()
}

// await returns the worker, or waits for the next one. When that has failed to start, the outage is known and nobody
// waits.
func (m *Module) await(ctx context.Context) (*process, error) {
	var end <-chan time.Time // of waiting, from when there is nobody to ask
	for {
		m.mu.Lock()
		p, ready, known, why := m.worker, m.ready, m.closed || m.outage, m.failure
		m.mu.Unlock()
		if p != nil {
			select {
			case <-p.gone:
				m.lost(p)
				continue
			default:
				return p, nil
			}
		}
		if known {
			return nil, fmt.Errorf("%w: %w", ErrUnavailable, why)
		}
		if end == nil {
			end = time.After(waitForWorker)
		}
		select {
		case <-ready:
		case <-end:
			return nil, fmt.Errorf("%w: %w: %w", ErrUnavailable, why, context.DeadlineExceeded)
		case <-ctx.Done():
			return nil, fmt.Errorf("%w: %w: %w", ErrUnavailable, why, ctx.Err())
		}
	}
}

// Close ends the worker. Signers of the module are of no more use.
func (m *Module) Close() error {
	m.mu.Lock()
	p := m.worker
	m.closed = true
	if p == nil {
		m.failure = errClosed
	}
	m.mu.Unlock()
	if p == nil {
		return nil
	}
	p.hangUp()
	timer := time.NewTimer(closeTimeout)
	defer timer.Stop()
	select {
	case <-p.gone:
	case <-timer.C:
		p.kill()
		<-p.gone
	}
	m.lost(p)
	return nil
}
