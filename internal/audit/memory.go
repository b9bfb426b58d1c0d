package audit

import (
	"context"
	"crypto/rand"
	"database/sql"
	"errors"
	"fmt"
	"os"
	"strings"
	"time"

	"github.com/transparency-dev/formats/log"

	"trustcore/internal/store"
)

// Remembered is what the database knows of a log: it lies elsewhere than the log, so a log that was taken back, cut,
// replaced or removed contradicts it.
type Remembered struct {
	Origin  string    `json:"origin"`
	Size    uint64    `json:"size"`    // entries under the newest checkpoint that was remembered
	Root    []byte    `json:"root"`    // its Merkle tree hash
	Key     string    `json:"key"`     // the checkpoints' public key
	Segment uint64    `json:"segment"` // number of the journal's newest segment
	At      time.Time `json:"at"`

	holder, folder string
	until          time.Time
}

// schema of the package in the database; steps are only ever appended.
var schema = []string{
	`CREATE TABLE audit_checkpoint (origin TEXT PRIMARY KEY, size BIGINT NOT NULL, root BLOB NOT NULL, key TEXT NOT NULL,
		segment BIGINT NOT NULL, at TEXT NOT NULL, holder TEXT NOT NULL, folder TEXT NOT NULL, until TEXT NOT NULL)`,
}

const schemaName = "audit"

// Recall reads what the database knows of the log of this origin; nil when it knows none. It changes nothing.
func Recall(ctx context.Context, db *store.DB, origin string) (*Remembered, error) {
	const made = `SELECT COUNT(*) FROM schema_steps WHERE name = $1`
	var steps int // a database of the version before has no table of ours
	if err := db.QueryRowContext(ctx, made, schemaName).Scan(&steps); err != nil || steps == 0 {
		return nil, err
	}
	const query = `SELECT size, root, key, segment, at, holder, folder, until FROM audit_checkpoint WHERE origin = $1`
	r := Remembered{Origin: origin}
	var at, until string
	row := db.QueryRowContext(ctx, query, origin)
	err := row.Scan(&r.Size, &r.Root, &r.Key, &r.Segment, &at, &r.holder, &r.folder, &until)
	if errors.Is(err, sql.ErrNoRows) {
		return nil, nil
	}
	if err == nil {
		r.At, err = time.Parse(time.RFC3339Nano, at)
	}
	if err == nil {
		r.until, err = time.Parse(time.RFC3339Nano, until)
	}
	if err != nil {
		return nil, fmt.Errorf("what the database remembers of the audit log: %w", err)
	}
	return &r, nil
}

// The lease of who writes an origin. A folder that is the holder's own needs no lease: its lock says who has it.
const (
	lease = time.Minute
	renew = 15 * time.Second
)

// memory keeps the database's knowledge of one log up to date. Without a database it does nothing.
type memory struct {
	db     *store.DB
	now    func() time.Time
	origin string
	folder string // the folder's identity, a space, where it is for people
	holder string // of this Open
}

// openMemory returns the memory and what it holds of the origin.
func openMemory(ctx context.Context, cfg Config, lock *folderLock) (*memory, *Remembered, error) {
	m := &memory{db: cfg.DB, now: cfg.Now, origin: cfg.Origin, holder: rand.Text()}
	if m.db == nil {
		return m, nil, nil
	}
	host, err := os.Hostname()
	if err != nil {
		return nil, nil, err
	}
	m.folder = fmt.Sprintf("%s %s on %s", lock.id, cfg.Dir, host)
	if err := m.db.Migrate(ctx, schemaName, schema); err != nil {
		return nil, nil, err
	}
	known, err := Recall(ctx, m.db, cfg.Origin)
	if err != nil {
		return nil, nil, err
	}
	if known != nil && known.held(lock.id, m.now()) {
		_, where, _ := strings.Cut(known.folder, " ")
		return nil, nil, fmt.Errorf("another process writes the log %s, into %s, last seen at %s: two writers of one origin "+
			"are a fault; end that one, or give this node a name of its own; one that died without a word is forgotten after %v",
			cfg.Origin, where, known.until.Add(-lease).Format(time.RFC3339), lease)
	}
	return m, known, nil
}

// held reports whether another folder than this one holds the origin.
func (r *Remembered) held(folder string, now time.Time) bool {
	return r.holder != "" && !strings.HasPrefix(r.folder, folder+" ") && now.Before(r.until)
}

// errDisplaced says that the origin was taken from this process.
var errDisplaced = errors.New("another process writes the log of this origin: two writers of one origin are a fault; " +
	"end that one, then start this one again")

// claim takes the origin for this process, whoever had it, with what the log is at its start.
func (m *memory) claim(ctx context.Context, r Remembered) error {
	if m.db == nil {
		return nil
	}
	const text = `INSERT INTO audit_checkpoint (origin, size, root, key, segment, at, holder, folder, until)
		VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9) ON CONFLICT (origin) DO UPDATE SET size = excluded.size, root = excluded.root,
		key = excluded.key, segment = excluded.segment, at = excluded.at, holder = excluded.holder, folder = excluded.folder,
		until = excluded.until`
	return m.db.InTx(ctx, func(tx *sql.Tx) error {
		_, err := tx.ExecContext(ctx, text, m.origin, r.Size, r.Root, r.Key, r.Segment, stamp(m.now()), m.holder, m.folder,
			stamp(m.now().Add(lease)))
		return err
	})
}

// remember writes the newest checkpoint and renews the lease; errDisplaced when another process claimed the origin.
func (m *memory) remember(ctx context.Context, c *log.Checkpoint, segment uint64) error {
	return m.update(ctx, c, segment, m.holder, m.now().Add(lease))
}

// release remembers the last checkpoint and gives the origin up.
func (m *memory) release(ctx context.Context, c *log.Checkpoint, segment uint64) error {
	return m.update(ctx, c, segment, "", m.now())
}

func (m *memory) update(ctx context.Context, c *log.Checkpoint, segment uint64, holder string, until time.Time) error {
	if m.db == nil {
		return nil
	}
	const text = `UPDATE audit_checkpoint SET size = $1, root = $2, segment = $3, at = $4, holder = $5, until = $6
		WHERE origin = $7 AND holder = $8`
	return m.db.InTx(ctx, func(tx *sql.Tx) error {
		done, err := tx.ExecContext(ctx, text, c.Size, c.Hash, segment, stamp(m.now()), holder, stamp(until),
			m.origin, m.holder)
		if err != nil {
			return err
		}
		if n, err := done.RowsAffected(); err != nil || n == 1 {
			return err
		}
		return errDisplaced
	})
}

func stamp(t time.Time) string { return t.UTC().Format(time.RFC3339Nano) }
