package hsm

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"sync/atomic"
	"time"

	"trustcore/hsm/internal/wire"
)

var errCutShort = errors.New("the generation was cut short, and what it left was destroyed")

// vitals is what the last uses of the token have told. Reading it costs nothing but loads from memory.
type vitals struct {
	started time.Time
	used    atomic.Int64            // nanoseconds from started to the last answer that came from the token
	failure atomic.Pointer[failure] // what the last look at the token failed with; nil when it was good
	lost    atomic.Pointer[lostKeys]
}

type failure struct{ error }

// lostKeys are the active keys that the token lacks; a set that is in use is never changed.
type lostKeys map[string]bool

func (v *vitals) answered() { v.used.Store(int64(time.Since(v.started))) }

// silence is for how long the token has not answered.
func (v *vitals) silence() time.Duration { return time.Since(v.started) - time.Duration(v.used.Load()) }

func (v *vitals) lostKeys() lostKeys {
	if l := v.lost.Load(); l != nil {
		return *l
	}
	return nil
}

// Health is nil while the token serves every active key, judged by its last real use: a signature, or the look that
// Run takes every second at the token and one of its keys. It is cheap. The error says what the last look failed
// with, and what to do where somebody must.
func (m *Module) Health() error {
	if err := m.alive(); err != nil {
		return err
	}
	return m.lostError(slices.Sorted(maps.Keys(m.vitals.lostKeys())))
}

// Has is Health for the named keys alone: nil while each is active and the token holds it.
func (m *Module) Has(ids ...string) error {
	if err := m.alive(); err != nil {
		return err
	}
	lost := m.vitals.lostKeys()
	var missing []string
	for _, id := range ids {
		k, err := m.known(id)
		if err != nil {
			return err
		}
		if k.State != Active {
			return fmt.Errorf("%w: %s is %s", ErrNotActive, id, k.State)
		}
		if lost[id] {
			missing = append(missing, id)
		}
	}
	return m.lostError(missing)
}

func (m *Module) lostError(ids []string) error {
	if len(ids) == 0 {
		return nil
	}
	return fmt.Errorf("%w: wrong or lost token: the one with serial number %s lacks %d of %d active keys, such as %s: put the token back, or "+
		"restore its folder from the backup; a key that is lost for good is to be destroyed", ErrUnavailable, m.Token().Serial, len(ids),
		m.active(), ids[0])
}

func (m *Module) active() int {
	m.keysMu.RLock()
	defer m.keysMu.RUnlock()
	n := 0
	for _, k := range m.keys {
		if k.State == Active {
			n++
		}
	}
	return n
}

// alive is nil while a worker serves and the token answers.
func (m *Module) alive() error {
	m.mu.Lock()
	worker, why := m.worker, m.failure
	m.mu.Unlock()
	if worker == nil {
		return fmt.Errorf("%w: %w", ErrUnavailable, why)
	}
	if f := m.vitals.failure.Load(); f != nil {
		return fmt.Errorf("%w: %w", ErrUnavailable, f.error)
	}
	if silent := m.vitals.silence(); silent > maxSilence {
		return fmt.Errorf("%w: it has not answered for %v", ErrUnavailable, silent.Round(time.Second))
	}
	return nil
}

// watch looks at the token until p ends.
func (m *Module) watch(ctx context.Context, p *process) {
	tick := time.NewTicker(lookInterval)
	defer tick.Stop()
	for {
		m.look(ctx, p)
		select {
		case <-ctx.Done():
			return
		case <-p.gone:
			return
		case <-tick.C:
		case <-m.doubt:
		}
	}
}

// look asks the token for a sign of life and for one of its keys, another one each time. It settles what is not
// whole. One look is taken at a time.
func (m *Module) look(ctx context.Context, p *process) {
	if !m.lookMu.TryLock() {
		return
	}
	defer m.lookMu.Unlock()
	err := m.ping(ctx, p)
	if err == nil && !p.whole.Load() {
		err = m.settle(ctx, p)
	}
	if ctx.Err() != nil || m.current() != p {
		return
	}
	if err == nil {
		m.vitals.failure.Store(nil)
		return
	}
	if old := m.vitals.failure.Swap(&failure{err}); old == nil || old.Error() != err.Error() {
		m.cfg.Logger.Error("looking at the HSM", "error", err)
	}
}

// ping kills a worker that does not answer in time.
func (m *Module) ping(ctx context.Context, p *process) error {
	id := m.nextProbe()
	var body []byte
	if raw, err := parseID(id); err == nil {
		body = raw[:]
	}
	_, err := m.ask(ctx, p, m.cfg.SignTimeout, wire.Ping, body)
	if errors.Is(err, errMissing) {
		return m.missed(ctx, id)
	}
	return err
}

// nextProbe names an active key that the token is not known to lack, each in its turn; "" when there is none.
func (m *Module) nextProbe() string {
	lost := m.vitals.lostKeys()
	m.keysMu.RLock()
	defer m.keysMu.RUnlock()
	first, next := "", ""
	for id, k := range m.keys {
		if k.State != Active || lost[id] {
			continue
		}
		if first == "" || id < first {
			first = id
		}
		if id > m.probe && (next == "" || id < next) {
			next = id
		}
	}
	if next == "" {
		next = first
	}
	m.probe = next
	return next
}

// missed notes that the token lacks an active key, and has all of it looked at again. A key that is active no more
// was taken by another node, which is no loss.
func (m *Module) missed(ctx context.Context, id string) error {
	k, err := m.read(ctx, id)
	if err != nil || k.State != Active {
		return err
	}
	if p := m.current(); p != nil {
		p.whole.Store(false)
	}
	m.setLost(func(lost lostKeys) { lost[id] = true })
	select {
	case m.doubt <- struct{}{}:
	default: // somebody has said so already
	}
	return nil
}

// setLost changes the set of lost keys.
func (m *Module) setLost(change func(lostKeys)) {
	m.lostMu.Lock()
	defer m.lostMu.Unlock()
	changed := make(lostKeys)
	maps.Copy(changed, m.vitals.lostKeys())
	change(changed)
	m.vitals.lost.Store(&changed)
}

// settle brings registry and the worker's token together: active keys are looked for, and, when all are there, a
// generation that a crash cut short is undone. Then the token is whole.
func (m *Module) settle(ctx context.Context, p *process) error {
	if lost := len(m.vitals.lostKeys()); lost > 0 || m.right(p) != nil { // the module may not see what came back unless it starts anew
		if lost < m.active() && time.Since(m.reopened) < reopenInterval {
			return nil // others are being served, and wait meanwhile
		}
		m.reopened = time.Now()
		if err := m.reopen(ctx, p); err != nil {
			return err
		}
	}
	if err := m.inventory(ctx, p); err != nil {
		return err
	}
	if len(m.vitals.lostKeys()) > 0 {
		return nil // that is what Health says; those that are there serve
	}
	for _, k := range m.snapshot() {
		if k.State != Pending || m.inProgress(k.ID) {
			continue
		}
		k, err := m.read(ctx, k.ID) // which another node may have completed
		if err == nil && k.State == Pending {
			m.cfg.Logger.Warn("undoing a key generation that was cut short", "key", k.ID)
			err = m.undo(ctx, k, errCutShort)
		}
		if err != nil && !errors.Is(err, errElsewhere) {
			return err
		}
	}
	if err := m.right(p); err != nil {
		return err
	}
	p.whole.Store(true)
	return nil
}

// reopen has the worker find its token and open it anew, which fails unless it is the same one.
func (m *Module) reopen(ctx context.Context, p *process) error {
	if _, err := m.ask(ctx, p, openTimeout, wire.Reopen, nil); err != nil {
		return fmt.Errorf("opening the token anew: %w", err)
	}
	return nil
}

// inventory holds the token's list of keys against the registry: active keys that it lacks are lost, keys in it that
// nobody knows are reported.
func (m *Module) inventory(ctx context.Context, p *process) error {
	before := m.snapshot()
	held, err := m.held(ctx, p)
	if err != nil {
		return err
	}
	known, lost := m.vitals.lostKeys(), make(lostKeys)
	for _, k := range before { // a key that was active before the list was made must be in it, unless it was destroyed since
		if now, err := m.known(k.ID); err == nil && k.State == Active && now.State == Active && !held[k.ID] {
			lost[k.ID] = true
			if !known[k.ID] {
				m.cfg.Logger.Error("the token has lost a key", "key", k.ID, "partner", k.Partner, "order", k.Order, "label", k.Label)
			}
		}
	}
	m.setLost(func(set lostKeys) { clear(set); maps.Copy(set, lost) })
	for id := range held {
		k, err := m.known(id)
		if err == nil { // nobody else has that ID
			p.recognised.Store(true)
		}
		if err != nil || k.State == Destroyed {
			m.cfg.Logger.Warn("the token holds a key that the registry does not have or has as destroyed", "key", id)
		}
	}
	return nil
}

// right is nil when the worker's token is known to be the one of the registry's keys, by its serial number or by a
// key in it.
func (m *Module) right(p *process) error {
	if p.recognised.Load() {
		return nil
	}
	return fmt.Errorf("%w: wrong or lost token: neither is its serial number %s remembered, nor holds it any of the registered keys",
		ErrUnavailable, m.Token().Serial)
}

// held is the own list of keys of the worker's token.
func (m *Module) held(ctx context.Context, p *process) (map[string]bool, error) {
	f, err := m.ask(ctx, p, openTimeout, wire.List, nil)
	if err != nil {
		return nil, fmt.Errorf("listing the token's keys: %w", err)
	}
	ids, err := wire.ParseIDs(f.Body)
	if err != nil {
		return nil, err
	}
	held := make(map[string]bool, len(ids))
	for _, id := range ids {
		held[formatID(id)] = true
	}
	return held, nil
}
