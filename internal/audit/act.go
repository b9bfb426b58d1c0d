package audit

import (
	"context"
	"errors"
	"time"
)

// Act writes that an act is granted, does it, and writes too when it came to nothing, though ctx may have ended by then. Without the first
// entry it is not done. It sets e's time and outcome.
func (l *Log) Act(ctx context.Context, e Entry, now func() time.Time, do func() error) error {
	e.Time, e.Outcome = now(), Granted
	if _, err := l.Append(ctx, e); err != nil {
		return err
	}
	err := do()
	if err == nil {
		return nil
	}
	e.Time, e.Outcome, e.Reason = now(), Failed, err.Error()
	_, failed := l.Append(context.WithoutCancel(ctx), e)
	return errors.Join(err, failed)
}
