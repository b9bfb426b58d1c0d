package pki

import "sync"

// failing remembers of each thing that is renewed why that failed the last time.
type failing struct {
	mu   sync.Mutex
	last map[string]string // guarded by mu
}

// maxFailing bounds the memory: what is named by serial numbers comes from outside.
const maxFailing = 10_000

func (f *failing) note(what string, err error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if err == nil {
		delete(f.last, what)
		return
	}
	if f.last == nil || len(f.last) >= maxFailing {
		f.last = map[string]string{}
	}
	f.last[what] = err.Error()
}

func (f *failing) of(what string) string {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.last[what]
}
