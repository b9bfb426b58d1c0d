package pki

import (
	"context"
	"fmt"
	"time"

	"trustcore/internal/audit"
)

// newestTime is the newest time on record: of time-stamps and, where Config tells it, of the audit log.
func (ca *CA) newestTime(ctx context.Context) (time.Time, error) {
	var millis int64
	if err := ca.cfg.DB.QueryRowContext(ctx, `SELECT value FROM pki_counter WHERE name = 'clock'`).Scan(&millis); err != nil {
		return time.Time{}, err
	}
	var newest time.Time
	if millis != 0 {
		newest = time.UnixMilli(millis)
	}
	if ca.cfg.Recorded == nil {
		return newest, nil
	}
	recorded, err := ca.cfg.Recorded(ctx)
	if recorded.After(newest) {
		newest = recorded
	}
	return newest, err
}

// watchClock looks at the clock, and records the newest time that was given for the next start.
func (ca *CA) watchClock(ctx context.Context) error {
	if err := ca.clock.Watch(ctx); err != nil {
		return err
	}
	given := ca.clock.Given().UnixMilli()
	if _, err := ca.cfg.DB.ExecContext(ctx, `UPDATE pki_counter SET value = $1 WHERE name = 'clock' AND value < $2`, given, given); err != nil {
		return fmt.Errorf("recording the newest time: %w", err)
	}
	return nil
}

// AcceptClock takes the clock as it is now for right, though later times are on record or it was set while this node ran: a clock that
// ran ahead for a while would keep time-stamps from being given until that time has come. Other nodes take it over when they are
// started anew. It is audited; that the clock is right is the actor's word.
func (ca *CA) AcceptClock(ctx context.Context, actor audit.Actor) error {
	now := ca.cfg.Now()
	entry := audit.Entry{Actor: actor, Action: "clock.accept", Subject: now.UTC().Format(time.RFC3339),
		Details: map[string]string{"newest_on_record": ca.clock.Given().UTC().Format(time.RFC3339)}}
	err := ca.cfg.Audit.Act(ctx, entry, ca.cfg.Now, func() error {
		_, err := ca.cfg.DB.ExecContext(ctx, `UPDATE pki_counter SET value = $1 WHERE name = 'clock'`, now.UnixMilli())
		return err
	})
	if err != nil {
		return fmt.Errorf("accepting the clock: %w", err)
	}
	ca.clock.Accept(now)
	return nil
}
