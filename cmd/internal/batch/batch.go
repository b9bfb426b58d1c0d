// Package batch has many documents judged, one after the other, by a service that judges one. It parses none of them:
// they lie as octets in a spool, or where they were said to lie, and their results are kept as the service gave them.
//
// Each document of a batch has exactly one result, also where this process or the service is killed: a result and the
// mark that its document has one become durable together. A document that the service can't survive fails alone.
package batch

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"sync"
	"time"

	"golang.org/x/sync/semaphore"

	"trustcore/internal/durable"
	"trustcore/internal/store"
)

// Limits of a batch.
const (
	MaxDocuments = 1_000_000 // of one batch
	MaxParts     = 1_000     // files beside one document
	maxBatches   = 1_000     // of one owner, finished ones too
	maxName      = 1_024     // bytes of a document's name
	maxResult    = 16 << 20  // bytes of one result
)

// Defaults of Config.
const (
	defaultQuota       = 20 << 30
	defaultConcurrency = 8
	defaultHold        = 30 * 24 * time.Hour
	defaultMaxDocument = 100 << 20
	defaultOpen        = 100
)

// Config is what Open needs. Zero values have defaults where they are named.
type Config struct {
	DB    *store.DB
	Dir   string // folder of the spool and of the results; made with mode 0700
	Judge Judge
	// JudgeParcel has several small documents judged with one question; nil hands all over one by one.
	JudgeParcel JudgeParcel
	// Ready says why the service can't judge now. It is asked before a document is handed over again that the service
	// was lost over.
	Ready  func(context.Context) error
	Now    func() time.Time
	Logger *slog.Logger
	// Record writes an act of an owner down before it happens; an error keeps it from happening.
	Record func(context.Context, Act) error
	// Terms are what an owner may use; zero limits have the defaults.
	Terms func(owner string) Terms

	Roots       map[string]Root // folders whose files may be judged where they lie, by name
	Hosts       []Host          // servers whose documents may be fetched
	Quota       int64           // bytes of documents that all owners may have waiting; 0 means 20 GiB
	Concurrency int             // documents handed over at a time; 0 means 8
	MaxDocument int64           // bytes of a document with what lies beside it; 0 means 100 MiB
	Hold        time.Duration   // how long results of a finished batch are kept; 0 means 30 days
}

// Terms are what one owner may use.
type Terms struct {
	DocumentsADay int64                     // by days of UTC; 0 means no limit
	SpoolBytes    int64                     // that wait in the spool; 0 means a half of the quota
	OpenBatches   int                       // that are not finished; 0 means 100
	MayAsk        func(service string) bool // about a service card; nil means any
	Webhooks      []string                  // https addresses that hear of a finished batch
}

// Act is what an owner does, for the record. It holds no content: numbers and sizes, no names of documents.
type Act struct {
	Owner   string
	Action  string // such as "batch.create"
	Batch   string // its id
	Details map[string]string
}

// Judge has one document judged. The errors that it may return are *Refusal, *Busy, *Failure and *Unreached; any
// other means that the service was lost over the document.
type Judge func(ctx context.Context, d Document) (Verdict, error)

// JudgeParcel has the documents of a parcel judged, and calls got for each as soon as it is: in their order, with what
// Judge would have returned. An error tells that those that got was not called for have no verdict, and is one of
// Judge's: nobody is to blame for a *Refusal, *Busy, *Failure or *Unreached, and any other means that the service was
// lost over one of them.
type JudgeParcel func(ctx context.Context, p Parcel, got func(Verdict, error)) error

// Parcel is several small documents on their way to the service.
type Parcel struct {
	Frames    []byte // of package parcel
	Documents int
	Wish      Wish
}

// Verdict is what the service said of a document.
type Verdict struct {
	Report []byte    // one JSON object without a line feed
	Again  time.Time // when judging again may give another verdict; zero where waiting does not help
}

// Document is one document on its way to the service.
type Document struct {
	Name    string
	Content io.ReadSeeker // Size bytes; good until Judge returns
	Size    int64
	Beside  []File // files that the document signs
	Wish    Wish
}

// File is a file beside a document.
type File struct {
	Name    string
	Content io.ReadSeeker
	Size    int64
}

// Wish is how all documents of a batch are judged.
type Wish struct {
	Policy   string `json:"policy,omitempty"`   // by its name; "" is the service's
	Service  string `json:"service,omitempty"`  // card of the service that the documents are for; "" is none
	At       string `json:"at,omitempty"`       // time of validation, RFC 3339; "" is the time of judging
	Language string `json:"language,omitempty"` // of notes: "pl" or "en"; "" is English
}

// Batches is the queue. It is safe for concurrent use; one process at a time may have a spool.
type Batches struct {
	cfg      Config
	lock     *os.File
	results  chan outcome
	held     *semaphore.Weighted // bytes of results that are not durable yet
	wake     chan struct{}       // there may be work
	notify   chan struct{}       // there may be a notice to send
	gate     gate
	counters counters
	alone    sync.RWMutex // held for writing while a suspect is judged

	mu       sync.Mutex
	owners   []*owner         // with batches that are not finished, whose turn is next first; guarded by mu
	lines    map[string]*line // their batches; guarded by mu
	arriving map[string]int64 // bytes of uploads that are not recorded yet, by owner; guarded by mu
}

// Open takes the spool, and puts right what a sudden end left behind.
func Open(ctx context.Context, cfg Config) (*Batches, error) {
	if cfg.DB == nil || cfg.Judge == nil || cfg.Ready == nil || cfg.Now == nil || cfg.Logger == nil ||
		cfg.Record == nil || cfg.Terms == nil ||
		!filepath.IsAbs(cfg.Dir) {
		return nil, errors.New("batch: DB, Judge, Ready, Now, Logger, Record, Terms or an absolute Dir is missing")
	}
	cfg.Quota, cfg.Concurrency = cmp.Or(cfg.Quota, defaultQuota), cmp.Or(cfg.Concurrency, defaultConcurrency)
	cfg.MaxDocument, cfg.Hold = cmp.Or(cfg.MaxDocument, defaultMaxDocument), cmp.Or(cfg.Hold, defaultHold)
	if err := durable.MkdirAll(cfg.Dir, 0o700); err != nil {
		return nil, fmt.Errorf("batch: %w", err)
	}
	lock, err := takeLock(filepath.Join(cfg.Dir, "lock"))
	if err != nil {
		return nil, err
	}
	b := &Batches{cfg: cfg, lock: lock, results: make(chan outcome, maxGroup), held: semaphore.NewWeighted(maxHeld),
		wake: make(chan struct{}, 1), notify: make(chan struct{}, 1), lines: map[string]*line{}, arriving: map[string]int64{}}
	if err := b.begin(ctx); err != nil {
		return nil, errors.Join(err, lock.Close())
	}
	return b, nil
}

func (b *Batches) begin(ctx context.Context) error {
	if err := b.cfg.DB.Migrate(ctx, "batch", schema); err != nil {
		return fmt.Errorf("batch: %w", err)
	}
	if err := b.sweep(ctx); err != nil {
		return err
	}
	return b.findWork(ctx)
}

// Close gives the spool back. Run has to have ended.
func (b *Batches) Close() error { return b.lock.Close() }

var schema = []string{
	`CREATE TABLE batch (id TEXT PRIMARY KEY, owner TEXT NOT NULL, name TEXT NOT NULL, wish TEXT NOT NULL,
		created BIGINT NOT NULL, closed BIGINT NOT NULL, paused BIGINT NOT NULL, cancelled BIGINT NOT NULL,
		finished BIGINT NOT NULL, documents BIGINT NOT NULL, judged BIGINT NOT NULL, refused BIGINT NOT NULL,
		waiting_bytes BIGINT NOT NULL, result_bytes BIGINT NOT NULL)`,
	`CREATE INDEX batch_owner ON batch (owner)`,
	// waiting is how many of the segment's documents have no result; without any the file goes.
	`CREATE TABLE batch_segment (batch TEXT NOT NULL, segment TEXT NOT NULL, waiting BIGINT NOT NULL,
		PRIMARY KEY (batch, segment))`,
	// due is when a document is judged again whose verdict was that it should be, 0 for the first time; laters
	// counts that. The result lies result_bytes long at result_at of the batch's file, without the line feed.
	`CREATE TABLE batch_document (batch TEXT NOT NULL, n BIGINT NOT NULL, name TEXT NOT NULL, digest TEXT NOT NULL,
		segment TEXT NOT NULL, files TEXT NOT NULL, bytes BIGINT NOT NULL, tries BIGINT NOT NULL,
		laters BIGINT NOT NULL, due BIGINT NOT NULL, done BIGINT NOT NULL, result_at BIGINT NOT NULL,
		result_bytes BIGINT NOT NULL, PRIMARY KEY (batch, n))`,
	`CREATE UNIQUE INDEX batch_document_name ON batch_document (batch, name)`,
	`CREATE INDEX batch_document_due ON batch_document (batch, due) WHERE done = 0 AND due > 0`,
	`CREATE TABLE batch_day (owner TEXT NOT NULL, day TEXT NOT NULL, documents BIGINT NOT NULL, PRIMARY KEY (owner, day))`,
	`CREATE TABLE batch_secret (owner TEXT PRIMARY KEY, secret TEXT NOT NULL)`,
	`CREATE TABLE batch_notice (id TEXT PRIMARY KEY, owner TEXT NOT NULL, address TEXT NOT NULL, body TEXT NOT NULL,
		created BIGINT NOT NULL, tries BIGINT NOT NULL, due BIGINT NOT NULL)`,
}
