package hsm

import "context"

// Unanswered is how many calls the present worker has not answered.
func Unanswered(m *Module) int {
	p := m.current()
	if p == nil {
		return 0
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	return len(p.calls)
}

// HoldRegistry does what a caller does whose statement hangs.
func HoldRegistry(m *Module) (release func()) {
	m.registry <- struct{}{}
	return m.unlockRegistry
}

// Complete completes the generation of a key as who begins one does.
func (m *Module) Complete(ctx context.Context, id string) error {
	k, err := m.known(id)
	if err != nil {
		return err
	}
	return m.complete(ctx, k)
}
