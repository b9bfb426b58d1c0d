package hsm

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"trustcore/hsm/internal/wire"
)

var (
	errClosed = errors.New("it was closed")
	errPIN    = errors.New("the token refuses the PIN; it is not tried again before the next start, since tokens lock after a few wrong ones")
)

// Run replaces a worker that died or hangs, until ctx ends; then it returns nil.
func (m *Module) Run(ctx context.Context) error {
	ping := time.NewTicker(pingInterval)
	defer ping.Stop()
	reload := time.NewTicker(reloadInterval)
	defer reload.Stop()
	for {
		p := m.current()
		if p == nil {
			if !m.respawn(ctx) {
				return nil
			}
			continue
		}
		select {
		case <-ctx.Done():
			return nil
		case <-p.gone:
			m.lost(p)
		case <-ping.C:
			go m.ping(ctx, p)
		case <-reload.C:
			if err := m.reload(ctx); err != nil && ctx.Err() == nil {
				m.cfg.Logger.Error("reading the key registry", "error", err)
			}
		}
	}
}

// ping kills a worker whose module does not answer. It ends with the answer, with SignTimeout, or with the worker.
func (m *Module) ping(ctx context.Context, p *process) {
	ctx, cancel := context.WithTimeout(ctx, m.cfg.SignTimeout)
	defer cancel()
	f, err := p.call(ctx, wire.Ping, nil)
	switch {
	case errors.Is(err, context.DeadlineExceeded):
		m.cfg.Logger.Error("HSM worker hangs and is killed", "pid", p.cmd.Process.Pid)
		p.kill()
	case err == nil && f.Kind != wire.OK:
		m.cfg.Logger.Warn("HSM does not answer", "error", string(f.Body))
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
	wait := firstBackOff
	for {
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
		if errors.Is(err, errPIN) {
			m.cfg.Logger.Error("HSM worker does not start", "error", err)
			<-ctx.Done()
			return false
		}
		m.cfg.Logger.Error("HSM worker does not start", "error", err, "next_try_in", wait.String())
		wait = min(2*wait, lastBackOff)
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
	m.worker, m.failure = p, nil
	m.token = Token{Manufacturer: answer.Manufacturer, Model: answer.Model, Serial: answer.Serial, Label: answer.Label}
	close(m.ready)
	m.metrics.up.Set(1)
	m.cfg.Logger.Info("HSM worker serves", "pid", p.cmd.Process.Pid, "token", answer.Label, "serial", answer.Serial, "initialised", answer.Created)
	return nil
}

func (m *Module) noWorker(err error) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.failure = err
	return fmt.Errorf("%w: %w", ErrUnavailable, err)
}

func (m *Module) open(ctx context.Context, p *process) (*wire.OpenAnswer, error) {
	body, err := json.Marshal(wire.OpenRequest{
		ModulePath: m.cfg.ModulePath, TokenDir: m.cfg.TokenDir, TokenLabel: m.cfg.TokenLabel,
		PINFile: m.cfg.PINFile, SOPINFile: m.cfg.SOPINFile, Sessions: m.cfg.Sessions,
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
		return nil, fmt.Errorf("%w: %s", errPIN, f.Body)
	default:
		return nil, errors.New(string(f.Body))
	}
	answer := new(wire.OpenAnswer)
	if err := json.Unmarshal(f.Body, answer); err != nil {
		return nil, fmt.Errorf("worker's answer: %w", err)
	}
	return answer, nil
}

// call makes one call to the worker. Without one it waits for the next, at most waitForWorker. The kinds Missing, Refused and Failed
// come back as errors. When the worker does not answer within timeout, it is killed.
func (m *Module) call(ctx context.Context, timeout time.Duration, kind wire.Kind, body []byte) (wire.Frame, error) {
	p, err := m.await(ctx)
	if err != nil {
		return wire.Frame{}, err
	}
	limited, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	f, err := p.call(limited, kind, body)
	if err != nil {
		if ctx.Err() == nil && errors.Is(err, context.DeadlineExceeded) {
			m.cfg.Logger.Error("HSM worker hangs and is killed", "pid", p.cmd.Process.Pid, "after", timeout.String())
			p.kill()
			return wire.Frame{}, fmt.Errorf("%w: no answer within %v", ErrUnavailable, timeout)
		}
		return wire.Frame{}, err
	}
	switch f.Kind {
	case wire.OK:
		return f, nil
	case wire.Missing:
		return wire.Frame{}, ErrLost
	case wire.Refused:
		return wire.Frame{}, errors.New(string(f.Body))
	}
	return wire.Frame{}, fmt.Errorf("%w: %s", ErrUnavailable, f.Body)
}

// await returns the worker, or waits for one.
func (m *Module) await(ctx context.Context) (*process, error) {
	m.mu.Lock()
	p, ready, closed := m.worker, m.ready, m.closed
	m.mu.Unlock()
	if p != nil {
		select {
		case <-p.gone:
			m.lost(p)
			return m.await(ctx)
		default:
			return p, nil
		}
	}
	if closed {
		return nil, fmt.Errorf("%w: %w", ErrUnavailable, errClosed)
	}
	timer := time.NewTimer(waitForWorker)
	defer timer.Stop()
	select {
	case <-ready:
		return m.await(ctx)
	case <-timer.C:
		return nil, m.Health()
	case <-ctx.Done():
		return nil, fmt.Errorf("%w: %w", ErrUnavailable, ctx.Err())
	}
}

// Close ends the worker. Signers of the module are of no more use.
func (m *Module) Close() error {
	m.mu.Lock()
	p := m.worker
	m.closed = true
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
