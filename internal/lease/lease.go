// Package lease gives tasks that only one of several nodes may do at a time to one of them, over the database that they share, and says
// which nodes live. A lease ends by itself when its holder does not renew it, so nobody has to do anything when a node dies; it
// saves work that would be done twice. What must not happen twice is kept by the tables of whoever does it: a process that was
// stopped for long and goes on does not know yet that its lease is another's.
package lease

import (
	"context"
	"crypto/rand"
	"database/sql"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"time"

	"trustcore/internal/store"
)

// Life is how long a lease lasts from its last renewal, by the database's clock: a node that died is known to be dead then, and within
// another renewal its tasks are another's.
const Life = 10 * time.Second

// A life has so many renewals, each of which waits for the database until the next is due; and the holder stops such a part of it before
// the others may begin.
const often, margin = 5, 5

var schema = []string{
	// Times are Unix milliseconds of the database's clock. A node's own row, named "node NAME", says which process of it lives.
	`CREATE TABLE lease (name TEXT PRIMARY KEY, holder TEXT NOT NULL, until BIGINT NOT NULL)`,
}

// Config is what Open needs; every field must be set unless marked.
type Config struct {
	DB     *store.DB
	Node   string       // the node's name among those of the database; "" is that of a node that is alone
	Tasks  []string     // that this node would do
	Logger *slog.Logger // optional: discards when nil

	life time.Duration // 0 is Life
}

// Leases are those of one process. The methods are safe for concurrent use.
type Leases struct {
	db     *store.DB
	node   string // name of the node's own lease
	holder string // of this process
	life   time.Duration
	log    *slog.Logger

	mu    sync.Mutex
	tasks map[string]*task // by name; guarded by mu
}

// task is one that this node would do.
type task struct {
	ctx  context.Context // ends when the lease does; nil while another has it
	end  context.CancelFunc
	over *time.Timer // ends ctx unless it is renewed
}

// Open says that this process is the node now, whichever was before, and takes the tasks that nobody has. The caller has made sure that
// the earlier process of this node has ended, runs Run beside, and Close at the end.
func Open(ctx context.Context, cfg Config) (*Leases, error) {
	if cfg.DB == nil {
		return nil, errors.New("leases: DB is missing")
	}
	if cfg.Logger == nil {
		cfg.Logger = slog.New(slog.DiscardHandler)
	}
	if cfg.life == 0 {
		cfg.life = Life
	}
	if err := cfg.DB.Migrate(ctx, "lease", schema); err != nil {
		return nil, fmt.Errorf("leases: %w", err)
	}
	l := &Leases{db: cfg.DB, node: nodeRow + cfg.Node, holder: cfg.Node + "/" + rand.Text(), life: cfg.life,
		log: cfg.Logger, tasks: map[string]*task{}}
	for _, name := range cfg.Tasks {
		l.tasks[name] = &task{}
	}
	err := l.db.InTx(ctx, func(tx *sql.Tx) error {
		// What the process of before held is over, for it has ended.
		_, err := tx.ExecContext(ctx, `UPDATE lease SET until = `+l.db.Clock()+` - 1 WHERE holder LIKE $1 ESCAPE '!'`, likeNode(cfg.Node))
		return err
	})
	if err == nil {
		err = l.renew(ctx)
	}
	if err != nil {
		return nil, fmt.Errorf("leases: %w", err)
	}
	return l, nil
}

// likeNode matches the holders of a node.
func likeNode(node string) string {
	return strings.NewReplacer("!", "!!", "%", "!%", "_", "!_").Replace(node) + "/%"
}

// Run renews until ctx ends.
func (l *Leases) Run(ctx context.Context) error {
	ticker := time.NewTicker(l.life / often)
	defer ticker.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-ticker.C:
		}
		limited, cancel := context.WithTimeout(ctx, l.life/often)
		if err := l.renew(limited); err != nil && ctx.Err() == nil {
			l.log.Warn("leases are not renewed", "error", err)
		}
		cancel()
	}
}

// errReplaced says that this process is not the node any more.
var errReplaced = errors.New("another process has this node's name: end it, or give this one a name of its own")

// renew renews what is held, and takes what nobody holds.
func (l *Leases) renew(ctx context.Context) error {
	end := time.Now().Add(l.life - l.life/margin) // counted from before the question: the database's time is later
	held := map[string]bool{}
	err := l.db.InTx(ctx, func(tx *sql.Tx) error {
		clear(held)
		lives, err := l.take(ctx, tx, l.node)
		if err == nil && !lives {
			err = errReplaced
		}
		for name := range l.tasks { // the keys never change
			if err != nil {
				return err
			}
			held[name], err = l.take(ctx, tx, name)
		}
		return err
	})
	if err != nil && !errors.Is(err, errReplaced) {
		return err // what is held ends by itself
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	for name, t := range l.tasks {
		l.note(name, t, held[name], end)
	}
	return err
}

// take renews a lease that is ours and takes one that has ended. A node's own row, once it is another process's, stays that.
func (l *Leases) take(ctx context.Context, tx *sql.Tx, name string) (bool, error) {
	now := l.db.Clock()
	result, err := tx.ExecContext(ctx, `INSERT INTO lease (name, holder, until) VALUES ($1, $2, `+now+` + $3)
		ON CONFLICT (name) DO UPDATE SET holder = excluded.holder, until = excluded.until
		WHERE lease.holder = excluded.holder OR lease.until < `+now, name, l.holder, l.life.Milliseconds())
	if err != nil {
		return false, err
	}
	n, err := result.RowsAffected()
	return n == 1, err
}

// note takes over what a renewal found. l.mu is held.
func (l *Leases) note(name string, t *task, held bool, end time.Time) {
	has := t.ctx != nil && t.ctx.Err() == nil
	switch {
	case held && has && t.over.Reset(time.Until(end)):
	case held:
		t.ctx, t.end = context.WithCancel(context.Background())
		t.over = time.AfterFunc(time.Until(end), t.end)
		l.log.Info("this node does a task from now on", "task", name)
	case has:
		t.over.Stop()
		t.end()
		l.log.Warn("another node does a task of this one from now on", "task", name)
	}
}

// Holds reports whether this node does the task now. A nil receiver, of a process that is alone, does all.
func (l *Leases) Holds(name string) bool {
	if l == nil {
		return true
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	t := l.tasks[name]
	return t != nil && t.ctx != nil && t.ctx.Err() == nil
}

// While returns a context for the task, which ends with ctx and with the lease, and false while another node does the task. The caller
// calls the function when the work is done.
func (l *Leases) While(ctx context.Context, name string) (context.Context, context.CancelFunc, bool) {
	while, cancel := context.WithCancel(ctx)
	if l == nil {
		return while, cancel, true
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	t := l.tasks[name]
	if t == nil || t.ctx == nil || t.ctx.Err() != nil {
		cancel()
		return while, cancel, false
	}
	stop := context.AfterFunc(t.ctx, cancel)
	return while, func() { stop(); cancel() }, true
}

// Holder names this process, for rows that say who is at work on them; "" for a nil receiver.
func (l *Leases) Holder() string {
	if l == nil {
		return ""
	}
	return l.holder
}

// Lives reports, within a transaction, whether the process that Holder named may still be at work.
func (l *Leases) Lives(ctx context.Context, tx *sql.Tx, holder string) (bool, error) {
	if l == nil {
		return false, nil
	}
	node, _, _ := strings.Cut(holder, "/")
	var n int
	err := tx.QueryRowContext(ctx, `SELECT COUNT(*) FROM lease WHERE name = $1 AND holder = $2 AND until >= `+l.db.Clock(),
		nodeRow+node, holder).Scan(&n)
	return n > 0, err
}

// Close gives everything up, so that others go on at once.
func (l *Leases) Close(ctx context.Context) error {
	l.mu.Lock()
	for _, t := range l.tasks {
		if t.ctx != nil {
			t.over.Stop()
			t.end()
		}
	}
	l.mu.Unlock()
	err := l.db.InTx(ctx, func(tx *sql.Tx) error {
		_, err := tx.ExecContext(ctx, `UPDATE lease SET until = `+l.db.Clock()+` - 1 WHERE holder = $1`, l.holder)
		return err
	})
	if err != nil {
		return fmt.Errorf("giving leases up: %w", err)
	}
	return nil
}
