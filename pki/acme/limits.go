package acme

import (
	"context"
	"database/sql"
	"math"
	"net/http"
	"net/netip"
	"sync"
	"time"

	step "github.com/smallstep/certificates/acme"
)

// Limits of callers, by address: nonces and directories are given to whoever asks.
const (
	callerRate  = 20   // requests a second
	callerBurst = 200  // a client with a hundred certificates that starts
	maxCallers  = 4096 // addresses that are remembered; beyond, all begin anew
)

// callers holds what each address has left. The zero value is ready.
type callers struct {
	mu   sync.Mutex
	left map[netip.Addr]bucket // guarded by mu
}

// bucket is a token bucket.
type bucket struct {
	tokens float64
	at     time.Time
}

// take returns 0 when the address may come now, else after how many seconds.
func (c *callers) take(from netip.Addr, now time.Time) (seconds int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	b, known := c.left[from]
	if !known {
		if c.left == nil || len(c.left) >= maxCallers {
			c.left = map[netip.Addr]bucket{}
		}
		b = bucket{callerBurst, now}
	}
	b.tokens = min(callerBurst, b.tokens+callerRate*max(0, now.Sub(b.at).Seconds()))
	b.at = now
	if b.tokens >= 1 {
		b.tokens--
	} else {
		seconds = int(math.Ceil((1 - b.tokens) / callerRate))
	}
	c.left[from] = b
	return seconds
}

// limit is how much of something a partner may have in a window, over all its accounts.
type limit struct {
	name   string
	most   int64
	window time.Duration
}

// limitOrders leaves room for every server of an office in one hour, and none for a flood: each order may cost a signature of the HSM.
var limitOrders = limit{"orders", 100, time.Hour}

// use counts one of the limit, within the transaction of what it allows: no two nodes give the same one.
func (s *session) use(ctx context.Context, tx *sql.Tx, l limit) error {
	now := s.cfg.Now()
	var began, used int64
	err := tx.QueryRowContext(ctx, `INSERT INTO acme_quota AS q (partner, kind, began, used) VALUES ($1, $2, $3, 1)
		ON CONFLICT (partner, kind) DO UPDATE SET
			used = CASE WHEN q.began <= $4 OR q.began > $5 THEN 1 ELSE q.used + 1 END,
			began = CASE WHEN q.began <= $6 OR q.began > $7 THEN excluded.began ELSE q.began END
		RETURNING began, used`, s.partner, l.name, now.Unix(), now.Add(-l.window).Unix(), now.Unix(), now.Add(-l.window).Unix(), now.Unix()).
		Scan(&began, &used)
	if err != nil {
		return err
	}
	if used > l.most {
		s.after = int(max(1, began+int64(l.window.Seconds())-now.Unix()))
		return refuse(step.ErrorRateLimitedType, http.StatusTooManyRequests, "the office has asked for %d %s within %s", l.most, l.name, l.window)
	}
	return nil
}
