package batch

import (
	"bufio"
	"context"
	"crypto/rand"
	"crypto/sha256"
	"database/sql"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"time"

	"trustcore/internal/durable"
	"trustcore/internal/store"
)

// piece is where a file lies: in its segment, below a root, or at an address. The first of a document is the
// document, the others stand beside it.
type piece struct {
	Name  string `json:"name,omitempty"`
	At    int64  `json:"at,omitempty"`
	Bytes int64  `json:"bytes,omitempty"`
	Root  string `json:"root,omitempty"`
	Path  string `json:"path,omitempty"`
	URL   string `json:"url,omitempty"`
}

// incoming is a document that came in with an upload.
type incoming struct {
	name   string
	digest string // of a document that came alone
	pieces []piece
	bytes  int64
}

// Upload is a set of documents on its way into a batch: all of them come in, or none.
type Upload struct {
	batches   *Batches
	owner, id string
	segment   string // its documents lie in one file
	room      room
	file      *os.File
	to        *bufio.Writer
	size      int64
	spooled   bool // something of it lies in the segment
	documents []incoming
}

// Upload begins to take documents into a batch. The caller ends it with Commit or Cancel.
func (b *Batches) Upload(ctx context.Context, owner, id string) (*Upload, error) {
	i, err := b.Info(ctx, owner, id)
	if err != nil {
		return nil, err
	}
	if i.State != Taking {
		return nil, errClosed
	}
	u := &Upload{batches: b, owner: owner, id: id, segment: rand.Text()}
	if u.room, err = b.roomFor(ctx, b.cfg.DB, owner); err != nil {
		return nil, err
	}
	u.file, err = os.OpenFile(b.segment(id, u.segment), os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o600)
	if err != nil {
		return nil, fmt.Errorf("batch %s: %w", id, err)
	}
	u.to = bufio.NewWriterSize(struct{ io.Writer }{u.file}, 1<<16) // whose own ReadFrom would make a buffer a document
	return u, nil
}

var errClosed = &StateError{"the batch is closed and takes no more documents"}

// room is how many bytes may still come in, of all owners and of one.
type room struct{ all, own int64 }

// querier is a database, or a transaction of it.
type querier interface {
	QueryRowContext(ctx context.Context, query string, args ...any) *sql.Row
}

func (b *Batches) roomFor(ctx context.Context, from querier, owner string) (room, error) {
	var all, own sql.NullInt64
	if err := from.QueryRowContext(ctx, `SELECT SUM(waiting_bytes),
		SUM(CASE WHEN owner = $1 THEN waiting_bytes ELSE 0 END) FROM batch`, owner).
		Scan(&all, &own); err != nil {
		return room{}, fmt.Errorf("batches: %w", err)
	}
	return room{b.cfg.Quota - all.Int64, b.terms(owner).SpoolBytes - own.Int64}, nil
}

var errFull = &LimitError{"the spool is full: wait until documents of yours are judged, then send the rest",
	10 * time.Second}

// arrive counts bytes that come in, against the room that there was when their upload began.
func (u *Upload) arrive(n int64) error {
	b := u.batches
	b.mu.Lock()
	defer b.mu.Unlock()
	b.arriving[u.owner] += n
	u.size += n
	var all int64
	for _, bytes := range b.arriving {
		all += bytes
	}
	if all > u.room.all || b.arriving[u.owner] > u.room.own {
		return errFull
	}
	return nil
}

// arrived takes the upload's bytes off the count: they are recorded now, or forgotten.
func (u *Upload) arrived() {
	b := u.batches
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.arriving[u.owner] -= u.size; b.arriving[u.owner] == 0 {
		delete(b.arriving, u.owner)
	}
}

// arriving counts what is read of it.
type arriving struct {
	io.Reader
	upload *Upload
}

// Read reads on.
func (a *arriving) Read(p []byte) (int, error) {
	n, err := a.Reader.Read(p)
	if full := a.upload.arrive(int64(n)); full != nil {
		return 0, full
	}
	return n, err
}

// Document takes the next document. Its name is the only one of the batch that is so.
func (u *Upload) Document(name string, content io.Reader) error {
	if name == "" {
		return &NameError{"each document needs a name"}
	}
	p, err := u.take(name, content)
	u.documents = append(u.documents, incoming{name: name, pieces: []piece{p}, bytes: p.Bytes})
	return err
}

// Beside takes a file that the last document signs.
func (u *Upload) Beside(name string, content io.Reader) error {
	if len(u.documents) == 0 {
		return &NameError{"a file that a document signs comes behind the document"}
	}
	last := &u.documents[len(u.documents)-1]
	if len(last.pieces) > MaxParts {
		return &NameError{fmt.Sprintf("more than %d files beside one document", MaxParts)}
	}
	p, err := u.take(name, content)
	last.pieces, last.bytes = append(last.pieces, p), last.bytes+p.Bytes
	return err
}

// NameError tells that a document can't be taken under its name, or without.
type NameError struct{ What string }

// Error says why.
func (e *NameError) Error() string { return e.What }

func (u *Upload) take(name string, content io.Reader) (piece, error) {
	u.spooled = true
	p := piece{Name: name, At: u.size}
	if len(name) > maxName {
		return p, &NameError{fmt.Sprintf("a name of %d bytes: %d are the limit", len(name), maxName)}
	}
	most := u.batches.cfg.MaxDocument
	n, err := u.to.ReadFrom(&arriving{io.LimitReader(content, most+1), u})
	if p.Bytes = n; err == nil && n > most {
		err = &TooLargeError{most}
	}
	return p, err
}

// TooLargeError tells that a document is larger than the service takes.
type TooLargeError struct{ Max int64 }

// Error tells the limit.
func (e *TooLargeError) Error() string { return fmt.Sprintf("a document has at most %d bytes", e.Max) }

// Cancel forgets what came.
func (u *Upload) Cancel() error {
	u.arrived()
	return errors.Join(u.file.Close(), os.Remove(u.file.Name()))
}

// Commit makes the documents durable and has them judged. first is the number that the first of them has to get, -1
// for the next one: who does not know whether an upload came through finds it out so. It returns how many the batch
// has then.
func (u *Upload) Commit(ctx context.Context, first int64) (documents int64, err error) {
	defer u.arrived()
	b := u.batches
	err = b.cfg.Record(ctx, Act{Owner: u.owner, Action: "batch.upload", Batch: u.id, Details: map[string]string{
		"documents": fmt.Sprint(len(u.documents)), "bytes": fmt.Sprint(u.size)}})
	if err == nil {
		err = errors.Join(u.to.Flush(), u.file.Sync(), durable.SyncFolder(b.folder(u.id)))
	}
	if err = errors.Join(err, u.file.Close()); err == nil {
		documents, err = u.record(ctx, first)
	}
	if err != nil || !u.spooled {
		err = errors.Join(err, os.Remove(u.file.Name()))
	}
	if err == nil {
		b.hasWork(u.id)
	}
	return documents, err
}

// One takes a single document under its name. One that is there already with the same content is left as it is.
func (u *Upload) One(ctx context.Context, name string, content io.Reader) (documents int64, err error) {
	sum := sha256.New()
	if err := u.Document(name, io.TeeReader(content, sum)); err != nil {
		return 0, errors.Join(err, u.Cancel())
	}
	u.documents[0].digest = hex.EncodeToString(sum.Sum(nil))
	documents, err = u.Commit(ctx, -1)
	var taken *TakenError
	if errors.As(err, &taken) && taken.digest == u.documents[0].digest {
		err = nil
	}
	return documents, err
}

// CountError tells that a batch has another number of documents than an upload expected.
type CountError struct{ Documents int64 }

// Error tells the number.
func (e *CountError) Error() string { return fmt.Sprintf("the batch has %d documents", e.Documents) }

// TakenError tells that a batch has a document of this name.
type TakenError struct{ Name, digest string }

// Error tells the name.
func (e *TakenError) Error() string {
	return fmt.Sprintf("the batch has a document %.200q already, or twice in this upload", e.Name)
}

func (u *Upload) record(ctx context.Context, first int64) (documents int64, err error) {
	err = u.batches.cfg.DB.InTx(ctx, func(tx *sql.Tx) error {
		var closed int64
		switch err := tx.QueryRowContext(ctx, `SELECT documents, closed FROM batch WHERE id = $1`, u.id).
			Scan(&documents, &closed); {
		case errors.Is(err, sql.ErrNoRows):
			return ErrUnknown
		case err != nil:
			return err
		case closed != 0:
			return errClosed
		case first >= 0 && first != documents:
			return &CountError{documents}
		case documents+int64(len(u.documents)) > MaxDocuments:
			return &StateError{fmt.Sprintf("a batch has at most %d documents: begin another", MaxDocuments)}
		}
		if err := u.fits(ctx, tx); err != nil {
			return err
		}
		return u.insert(ctx, tx, documents)
	})
	if err != nil {
		return documents, fmt.Errorf("batch %s: %w", u.id, err)
	}
	return documents + int64(len(u.documents)), nil
}

// fits holds the upload against the quotas once more, now that others may have come in before it, and counts it for
// the day.
func (u *Upload) fits(ctx context.Context, tx *sql.Tx) error {
	left, err := u.batches.roomFor(ctx, tx, u.owner)
	if err != nil {
		return err
	}
	if u.size > left.all || u.size > left.own {
		return errFull
	}
	now := u.batches.cfg.Now().UTC()
	var today int64
	if err := tx.QueryRowContext(ctx, `INSERT INTO batch_day (owner, day, documents) VALUES ($1, $2, $3)
		ON CONFLICT (owner, day) DO UPDATE SET documents = batch_day.documents + excluded.documents RETURNING documents`,
		u.owner, now.Format(time.DateOnly), len(u.documents)).Scan(&today); err != nil {
		return err
	}
	if most := u.batches.terms(u.owner).DocumentsADay; most > 0 && today > most {
		tomorrow := now.Truncate(24 * time.Hour).Add(24 * time.Hour)
		return &LimitError{fmt.Sprintf("%d documents a day are the limit, and this would be number %d", most, today),
			tomorrow.Sub(now)}
	}
	return nil
}

func (u *Upload) insert(ctx context.Context, tx *sql.Tx, first int64) error {
	if len(u.documents) == 0 {
		return &NameError{"there is no document in the upload"}
	}
	add, err := tx.PrepareContext(ctx, `INSERT INTO batch_document (batch, n, name, digest, segment, files, bytes, tries,
		laters, due, done, result_at, result_bytes) VALUES ($1, $2, $3, $4, $5, $6, $7, 0, 0, 0, 0, 0, 0)`)
	if err != nil {
		return err
	}
	defer add.Close()
	ctx = context.WithoutCancel(ctx) // else the driver watches it anew for each document
	segment := u.segment
	if !u.spooled {
		segment = ""
	}
	for n, d := range u.documents {
		files, err := json.Marshal(d.pieces)
		if err != nil {
			return err
		}
		if _, err := add.ExecContext(ctx, u.id, first+int64(n), d.name, d.digest, segment, string(files),
			d.bytes); err != nil {
			return u.taken(ctx, tx, d.name, err)
		}
	}
	if segment != "" {
		if _, err := tx.ExecContext(ctx, `INSERT INTO batch_segment (batch, segment, waiting) VALUES ($1, $2, $3)`,
			u.id, segment, len(u.documents)); err != nil {
			return err
		}
	}
	_, err = tx.ExecContext(ctx, `UPDATE batch SET documents = documents + $1, waiting_bytes = waiting_bytes + $2
		WHERE id = $3`,
		len(u.documents), u.size, u.id)
	return err
}

// taken makes an error of a name that is there already.
func (u *Upload) taken(ctx context.Context, tx *sql.Tx, name string, err error) error {
	if !store.Taken(err) {
		return err
	}
	e := &TakenError{Name: name}
	if err := tx.QueryRowContext(ctx, `SELECT digest FROM batch_document WHERE batch = $1 AND name = $2`,
		u.id, name).Scan(&e.digest); err != nil {
		return err
	}
	return e
}

const segmentPrefix = "documents-"

func (b *Batches) segment(id, segment string) string {
	return filepath.Join(b.folder(id), segmentPrefix+segment)
}

// neededSegments are the files of a batch with documents that have no result.
func (b *Batches) neededSegments(ctx context.Context, i Info) (map[string]bool, error) {
	needed := map[string]bool{}
	if i.Finished != nil {
		return needed, nil
	}
	rows, err := b.cfg.DB.QueryContext(ctx, `SELECT segment FROM batch_segment WHERE batch = $1 AND waiting > 0`, i.ID)
	if err != nil {
		return nil, fmt.Errorf("batch %s: %w", i.ID, err)
	}
	defer rows.Close()
	for rows.Next() {
		var segment string
		if err := rows.Scan(&segment); err != nil {
			return nil, fmt.Errorf("batch %s: %w", i.ID, err)
		}
		needed[segmentPrefix+segment] = true
	}
	return needed, rows.Err()
}

// sweepSegments removes the files of uploads that did not come to their end, and of documents that wait for no result.
func (b *Batches) sweepSegments(id string, needed map[string]bool) error {
	if err := durable.MkdirAll(b.folder(id), 0o700); err != nil { // a sudden end between the row and the folder
		return fmt.Errorf("batch %s: %w", id, err)
	}
	entries, err := os.ReadDir(b.folder(id))
	for _, e := range entries {
		if strings.HasPrefix(e.Name(), segmentPrefix) && !needed[e.Name()] {
			err = errors.Join(err, os.Remove(filepath.Join(b.folder(id), e.Name())))
		}
	}
	return err
}
