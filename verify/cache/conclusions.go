package cache

import "sync"

// conclusionShare is the part of Config.Evidence that conclusions may take besides: a quarter.
const conclusionShare = 4

// conclusions are kept in two halves: what is asked for moves into the young one; when that is full it becomes the old
// one, and what nobody asked for since is gone. They stand on one trust; with another one all of them go.
type conclusions struct {
	mu         sync.Mutex
	room       int // octets of a half
	trust      any
	young, old map[[32]byte]conclusion
	taken      int // octets of the young half
}

type conclusion struct {
	value  any
	octets int
}

// Concluded is what Conclude kept for a question under the same trust, which is compared by identity. The question is
// the SHA-256 of all that the conclusion depends on, or the value says what else it depends on. The value is shared:
// it is not to be changed.
func (c *Cache) Concluded(trust any, question [32]byte) (any, bool) {
	if c == nil || c.conclusions.room == 0 {
		return nil, false
	}
	return c.conclusions.get(trust, question)
}

// Conclude keeps a value, that takes about so many octets with all that it alone refers to, in place of an earlier one.
func (c *Cache) Conclude(trust any, question [32]byte, value any, octets int) {
	if c != nil && octets <= c.conclusions.room/evidenceShares {
		c.conclusions.set(trust, question, conclusion{value, octets})
	}
}

func (c *conclusions) get(trust any, question [32]byte) (any, bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if trust != c.trust {
		return nil, false
	}
	if v, ok := c.young[question]; ok {
		return v.value, true
	}
	v, ok := c.old[question]
	if ok {
		c.put(question, v)
	}
	return v.value, ok
}

func (c *conclusions) set(trust any, question [32]byte, v conclusion) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if trust != c.trust {
		c.trust, c.young, c.old, c.taken = trust, nil, nil, 0
	}
	c.put(question, v)
}

func (c *conclusions) put(question [32]byte, v conclusion) {
	if c.taken+v.octets > c.room {
		c.young, c.old, c.taken = nil, c.young, 0
	}
	if c.young == nil {
		c.young = map[[32]byte]conclusion{}
	}
	c.taken += v.octets - c.young[question].octets
	c.young[question] = v
}
