package batch

import (
	"context"
	"database/sql"
	"sync/atomic"
	"time"
)

// Stats is what the queue has and did.
type Stats struct {
	Reports    int64  `json:"reports"`     // since the start
	Problems   int64  `json:"problems"`    // since the start
	Retries    int64  `json:"retries"`     // since the start
	Open       int64  `json:"open"`        // batches that are not finished
	Waiting    int64  `json:"waiting"`     // documents without a result
	SpoolBytes int64  `json:"spool_bytes"` // of documents that wait
	Error      string `json:"error,omitempty"`
}

// counters count since the start.
type counters struct{ reports, problems, retries atomic.Int64 }

func (c *counters) add(results []kept) {
	for _, r := range results {
		switch {
		case !r.later.IsZero():
			c.retries.Add(1)
		case r.refusal != nil:
			c.problems.Add(1)
		default:
			c.reports.Add(1)
		}
	}
}

// statsTime bounds what the database is asked for figures.
const statsTime = time.Second

// Stats counts. Error tells that the database did not say what waits.
func (b *Batches) Stats() Stats {
	s := Stats{Reports: b.counters.reports.Load(), Problems: b.counters.problems.Load(),
		Retries: b.counters.retries.Load()}
	ctx, cancel := context.WithTimeout(context.Background(), statsTime)
	defer cancel()
	var waiting, bytes sql.NullInt64
	if err := b.cfg.DB.QueryRowContext(ctx, `SELECT COUNT(*), SUM(documents - judged), SUM(waiting_bytes) FROM batch
		WHERE finished = 0`).
		Scan(&s.Open, &waiting, &bytes); err != nil {
		s.Error = "the database does not say what waits"
	}
	s.Waiting, s.SpoolBytes = waiting.Int64, bytes.Int64
	return s
}
