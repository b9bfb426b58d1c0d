package acme

import (
	"context"
	"database/sql"
	"errors"
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

// longestWindow is that of all limits, after which nobody asks for a count.
const longestWindow = time.Hour

// limitOrders leaves room for every server of an office in one hour, and none for a flood: each order may cost a signature of the HSM.
var limitOrders = limit{"orders", 100, longestWindow}

// limitFailures is how often a name may fail to be proved by an account: each try has this server connect to a host.
var limitFailures = limit{"validations that failed", 5, longestWindow}

// ofName is the limit of one account and name.
func (l limit) ofName(account, value string) limit {
	l.name += " " + account + " " + value
	return l
}

// use counts one of the limit, within the transaction of what it allows: no two nodes give the same one.
func (s *session) use(ctx context.Context, tx *sql.Tx, l limit) error {
	began, used, err := s.count(ctx, tx, l)
	if err != nil {
		return err
	}
	if used > l.most {
		return s.limited(l, began, "the office has asked for %d %s within %s", l.most, l.name, l.window)
	}
	return nil
}

// limited refuses with the time at which the window ends.
func (s *session) limited(l limit, began int64, format string, args ...any) error {
	s.after = int(max(1, began+int64(l.window.Seconds())-s.cfg.Now().Unix()))
	return refuse(step.ErrorRateLimitedType, http.StatusTooManyRequests, format, args...)
}

const tooManyFailures = "the account has failed %d times within %s to prove that %.253q is its own: mend what the answers before told, and come again later"

// tries counts a try of a challenge before it is made, so that of many at once no more are made than may fail. One that succeeds takes the
// count back.
func (s *session) tries(ctx context.Context, ch *step.Challenge) error {
	l := limitFailures.ofName(ch.AccountID, ch.Value)
	return s.cfg.DB.InTx(ctx, func(tx *sql.Tx) error {
		began, used, err := s.count(ctx, tx, l)
		if err == nil && used > l.most {
			err = s.limited(l, began, tooManyFailures, l.most, l.window, ch.Value)
		}
		return err
	})
}

// mayTry refuses an order with a name that its account may not try to prove now.
func (s *session) mayTry(ctx context.Context, tx *sql.Tx, value string) error {
	l := limitFailures.ofName(s.account.ID, value)
	var began int64
	err := tx.QueryRowContext(ctx, `SELECT began FROM acme_quota WHERE partner = $1 AND kind = $2 AND used >= $3 AND began > $4`,
		s.partner, l.name, l.most, s.cfg.Now().Add(-l.window).Unix()).Scan(&began)
	if errors.Is(err, sql.ErrNoRows) {
		return nil
	}
	if err != nil {
		return err
	}
	return s.limited(l, began, tooManyFailures, l.most, l.window, value)
}

// proved takes the failures of a name back.
func (s *session) proved(ctx context.Context, tx *sql.Tx, ch *step.Challenge) error {
	_, err := tx.ExecContext(ctx, `DELETE FROM acme_quota WHERE partner = $1 AND kind = $2`, s.partner, limitFailures.ofName(ch.AccountID, ch.Value).name)
	return err
}

// count counts one, and tells when the window began.
func (s *session) count(ctx context.Context, tx *sql.Tx, l limit) (began, used int64, err error) {
	now := s.cfg.Now()
	err = tx.QueryRowContext(ctx, `INSERT INTO acme_quota AS q (partner, kind, began, used) VALUES ($1, $2, $3, 1)
		ON CONFLICT (partner, kind) DO UPDATE SET
			used = CASE WHEN q.began <= $4 OR q.began > $5 THEN 1 ELSE q.used + 1 END,
			began = CASE WHEN q.began <= $6 OR q.began > $7 THEN excluded.began ELSE q.began END
		RETURNING began, used`, s.partner, l.name, now.Unix(), now.Add(-l.window).Unix(), now.Unix(), now.Add(-l.window).Unix(), now.Unix()).
		Scan(&began, &used)
	return began, used, err
}
