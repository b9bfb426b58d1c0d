package audit

import (
	"time"

	"trustcore/internal/audit/journal"
)

// WithDisk puts a disk of the test under the journal.
func (c Config) WithDisk(d journal.Disk) Config { c.disk = d; return c }

// Feeding says how often the tree takes over what the journal has.
func (c Config) Feeding(every time.Duration) Config { c.every = every; return c }

// HealthAt is what Health would say at another time.
func (l *Log) HealthAt(at time.Time) error { return l.state.health(at) }
