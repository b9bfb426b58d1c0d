package audit

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/transparency-dev/formats/log"
	"github.com/transparency-dev/merkle/proof"
	"github.com/transparency-dev/merkle/rfc6962"
	"github.com/transparency-dev/tessera/client"
	"golang.org/x/mod/sumdb/note"
)

// Reader reads a log that this or another process writes: what the newest signed checkpoint covers, and behind it the
// tail of the journal, which is durable and will be under a checkpoint within a second.
type Reader struct {
	verifier note.Verifier
	files    client.FileFetcher
	journal  string // folder
	public   string // key, as text
}

// Recorded is an entry with its place in the log.
type Recorded struct {
	Index uint64 `json:"index"`
	Entry
}

// OpenReader opens the log in dir for reading, with the checkpoint's public key that lies beside it.
func OpenReader(dir string) (*Reader, error) {
	text, err := os.ReadFile(filepath.Join(dir, verifierFile))
	if err != nil {
		return nil, fmt.Errorf("audit log: %w", err)
	}
	return OpenReaderWithKey(dir, string(text))
}

// OpenReaderWithKey opens the log in dir for reading with a public key that was kept elsewhere, so that
// who can write the folder can't replace log and key together.
func OpenReaderWithKey(dir, publicKey string) (*Reader, error) {
	publicKey = strings.TrimSpace(publicKey)
	verifier, err := note.NewVerifier(publicKey)
	if err != nil {
		return nil, fmt.Errorf("audit log's public key: %w", err)
	}
	files := client.FileFetcher{Root: filepath.Join(dir, tilesDir)}
	return &Reader{verifier: verifier, files: files, journal: filepath.Join(dir, journalDir), public: publicKey}, nil
}

// PublicKey is the key by which proofs and checkpoints are verified, as text.
func (r *Reader) PublicKey() string { return r.public }

// Checkpoint returns the newest signed checkpoint: its text and the number of entries it covers.
func (r *Reader) Checkpoint(ctx context.Context) (text []byte, size uint64, err error) {
	c, text, err := r.checkpoint(ctx)
	if err != nil {
		return nil, 0, err
	}
	return text, c.Size, nil
}

func (r *Reader) checkpoint(ctx context.Context) (*log.Checkpoint, []byte, error) {
	c, text, _, err := client.FetchCheckpoint(ctx, r.files.ReadCheckpoint, r.verifier, r.verifier.Name())
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil, errors.New("audit log: there is no checkpoint: the log is new or its checkpoint was removed")
	}
	if err != nil {
		return nil, nil, fmt.Errorf("audit log's checkpoint: %w", err)
	}
	return c, text, nil
}

// Filter chooses entries; empty fields choose all.
type Filter struct {
	Partner, Subject, Order, Action string
	Actor                           string    // its identity, such as officer-1
	From, Before                    time.Time // from From on, before Before
	Last                            int       // the newest n of what is chosen; 0 means all
}

// List returns the entries that f chooses, oldest first. With Last it reads from the end and no further
// than it must.
func (r *Reader) List(ctx context.Context, f Filter) ([]Recorded, error) {
	c, chosen, err := r.tail(ctx, f)
	if err != nil {
		return nil, err
	}
	slices.Reverse(chosen) // newest first
	for end := c.Size; end > 0 && (f.Last == 0 || len(chosen) < f.Last); {
		first := (end - 1) / perBundle * perBundle
		part, err := r.choose(ctx, first, end, c.Size, f)
		if err != nil {
			return nil, err
		}
		slices.Reverse(part)
		chosen, end = append(chosen, part...), first
	}
	if f.Last > 0 && len(chosen) > f.Last {
		chosen = chosen[:f.Last]
	}
	slices.Reverse(chosen)
	return chosen, nil
}

// newest returns the latest time among the last entries: a clock may have been set back between them.
func (r *Reader) newest(ctx context.Context) (newest time.Time, err error) {
	last, err := r.List(ctx, Filter{Last: perBundle})
	for _, e := range last {
		if e.Time.After(newest) {
			newest = e.Time
		}
	}
	return newest, err
}

// choose returns the entries from first to end that f chooses, all of one bundle.
func (r *Reader) choose(ctx context.Context, first, end, size uint64, f Filter) ([]Recorded, error) {
	entries, err := r.bundle(ctx, first, size)
	if err != nil {
		return nil, err
	}
	var chosen []Recorded
	for i, data := range entries[:end-first] {
		rec, err := record(first+uint64(i), data)
		if err != nil {
			return nil, err
		}
		if f.chooses(rec.Entry) {
			chosen = append(chosen, rec)
		}
	}
	return chosen, nil
}

// record takes an entry as it is stored.
func record(index uint64, data []byte) (Recorded, error) {
	rec := Recorded{Index: index}
	if err := json.Unmarshal(data, &rec.Entry); err != nil {
		return rec, fmt.Errorf("audit entry %d: %w", index, err)
	}
	return rec, nil
}

func (f Filter) chooses(e Entry) bool {
	return (f.Partner == "" || f.Partner == e.Partner) &&
		(f.Subject == "" || f.Subject == e.Subject) &&
		(f.Order == "" || f.Order == e.Order) &&
		(f.Actor == "" || f.Actor == e.Actor.ID) &&
		(f.Action == "" || strings.HasPrefix(e.Action, f.Action)) &&
		(f.From.IsZero() || !e.Time.Before(f.From)) &&
		(f.Before.IsZero() || e.Time.Before(f.Before))
}

// perBundle is how many entries one file holds (C2SP tlog-tiles).
const perBundle = 256

// bundle returns the entries from first on, which begins a bundle, in a log of the given size.
func (r *Reader) bundle(ctx context.Context, first, size uint64) ([][]byte, error) {
	bundle, err := client.GetEntryBundle(ctx, r.files.ReadEntryBundle, first/perBundle, size)
	if err != nil {
		return nil, fmt.Errorf("audit entries from %d on can't be read: %w", first, err)
	}
	want := min(perBundle, size-first)
	if uint64(len(bundle.Entries)) < want {
		return nil, fmt.Errorf("audit entries from %d on: %d are there, %d were recorded", first, len(bundle.Entries), want)
	}
	return bundle.Entries[:want], nil
}

// each calls do for the first size entries in order.
func (r *Reader) each(ctx context.Context, size uint64, do func(index uint64, data []byte) error) error {
	for first := uint64(0); first < size; first += perBundle {
		entries, err := r.bundle(ctx, first, size)
		if err != nil {
			return err
		}
		for i, data := range entries {
			if err := do(first+uint64(i), data); err != nil {
				return err
			}
		}
	}
	return nil
}

// Proof shows without the log that an entry stands in it: entry, audit path and signed checkpoint.
type Proof struct {
	Index      uint64          `json:"index"`
	Entry      json.RawMessage `json:"entry"`
	Path       [][]byte        `json:"path"`       // RFC 6962, 2.1.1
	Checkpoint string          `json:"checkpoint"` // signed note
}

// Prove returns the proof of the entry at index. An entry that is in the journal alone is waited for: as long as ctx
// allows, three seconds at most.
func (r *Reader) Prove(ctx context.Context, index uint64) (*Proof, error) {
	c, text, err := r.await(ctx, index)
	if err != nil {
		return nil, err
	}
	entries, err := r.bundle(ctx, index/perBundle*perBundle, c.Size)
	if err != nil {
		return nil, err
	}
	builder, err := client.NewProofBuilder(ctx, c.Size, r.files.ReadTile)
	if err != nil {
		return nil, fmt.Errorf("audit entry %d: %w", index, err)
	}
	path, err := builder.InclusionProof(ctx, index)
	if err != nil {
		return nil, fmt.Errorf("audit entry %d: %w", index, err)
	}
	return &Proof{Index: index, Entry: entries[index%perBundle], Path: path, Checkpoint: string(text)}, nil
}

// proveWithin is how long Prove waits for a checkpoint, looking each time after proveEvery.
const (
	proveWithin = 3 * time.Second
	proveEvery  = 100 * time.Millisecond
)

// await returns the checkpoint that covers the entry at index.
func (r *Reader) await(ctx context.Context, index uint64) (*log.Checkpoint, []byte, error) {
	ctx, cancel := context.WithTimeout(ctx, proveWithin)
	defer cancel()
	for {
		c, text, err := r.checkpoint(ctx)
		if err != nil || index < c.Size {
			return c, text, err
		}
		end, err := r.readTail(func(uint64, []byte) error { return ctx.Err() })
		switch {
		case err != nil && ctx.Err() == nil:
			return nil, nil, fmt.Errorf("audit log: %w", err)
		case err == nil && index >= max(c.Size, end.Next):
			return nil, nil, fmt.Errorf("audit entry %d: the log has entries 0 to %d", index, int64(max(c.Size, end.Next))-1)
		}
		select {
		case <-ctx.Done():
			return nil, nil, fmt.Errorf("audit entry %d is durable in the journal and under no checkpoint yet: ask again, "+
				"while trustd runs", index)
		case <-time.After(proveEvery):
		}
	}
}

// VerifyProof checks a proof against the checkpoint's public key alone.
func VerifyProof(p *Proof, publicKey string) error {
	verifier, err := note.NewVerifier(strings.TrimSpace(publicKey))
	if err != nil {
		return fmt.Errorf("audit log's public key: %w", err)
	}
	c, _, _, err := log.ParseCheckpoint([]byte(p.Checkpoint), verifier.Name(), verifier)
	if err != nil {
		return fmt.Errorf("checkpoint of the proof: %w", err)
	}
	leaf := rfc6962.DefaultHasher.HashLeaf(p.Entry)
	if err := proof.VerifyInclusion(rfc6962.DefaultHasher, p.Index, c.Size, leaf, p.Path, c.Hash); err != nil {
		return fmt.Errorf("entry %d is not the one that the checkpoint covers: %w", p.Index, err)
	}
	return nil
}
