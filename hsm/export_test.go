package hsm

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
