// Package journal keeps payloads in the order in which they came, durable before Commit returns: one file that is
// written from its beginning to its end, a group at a time, with one fdatasync for the group. When it is full, or
// writing it failed once, the next file (a segment) is begun. Segments are removed when whoever reads them has what is
// in them.
//
// A process never writes into a segment of another one, nor into one whose write or fdatasync failed: what the disk
// then holds is not known, and asking again would not tell (a failed fdatasync marks its pages clean).
package journal

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"unicode/utf8"

	"trustcore/internal/durable"
)

// MaxGroup is how many octets of payloads Commit takes at once; MaxPayload bounds one of them.
const (
	MaxGroup   = 1 << 20
	MaxPayload = 64 << 10
)

// segmentSize is in octets.
const segmentSize = 8 << 20

// Config says where a journal lies and what it continues.
type Config struct {
	Dir    string
	Origin string
	First  uint64 // index of the first record: what Read found as End.Next, or where the journal begins
	After  End    // of Read
	Disk   Disk   // nil is the local file system
}

// Writer writes a journal. Commit, Ready and Close are called by one goroutine at a time; the others by any.
type Writer struct {
	cfg    Config
	at     place
	number uint64 // of the newest segment
	buffer []byte
	spare  chan made // not nil while the next segment's file is being made or is ready

	open *segment // that is written; nil when none was begun after a failure

	mu       sync.Mutex
	segments []*segment // oldest first; open is the last one
}

type made struct {
	file File
	err  error
}

type segment struct {
	number uint64
	path   string
	file   File   // nil: of a process before this one
	start  int64  // offset of the first record
	end    int64  // offset behind the last record that is durable
	at     place  // at start
	after  uint64 // index behind the last record that is durable
}

// Create begins a new segment behind what Read found.
func Create(cfg Config) (*Writer, error) {
	if cfg.Disk == nil {
		cfg.Disk = Local{}
	}
	w := &Writer{cfg: cfg, number: cfg.After.Newest, at: place{cfg.First, cfg.After.sum}}
	for _, old := range cfg.After.paths {
		w.segments = append(w.segments, &segment{path: old.path, after: min(old.after, cfg.First)})
	}
	if err := durable.MkdirAll(cfg.Dir, 0o700); err != nil {
		return nil, fmt.Errorf("journal: %w", err)
	}
	if err := w.Ready(); err != nil {
		return nil, err
	}
	return w, nil
}

// Next returns the index that the next record will have.
func (w *Writer) Next() uint64 { return w.at.next }

// Number returns the number of the newest segment.
func (w *Writer) Number() uint64 {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.segments[len(w.segments)-1].number
}

// Ready begins a segment when none is open, which is so after a failure.
func (w *Writer) Ready() error {
	if w.open != nil {
		return nil
	}
	if err := w.begin(); err != nil {
		return fmt.Errorf("journal: a new segment can't be begun: %w", err)
	}
	return nil
}

// Commit writes the payloads, which must be UTF-8, as one group and returns when they are durable; the first one got
// the index that it returns. After an error it is not known whether they are on the disk; they are void as soon as the
// next segment is begun, and nothing is taken before.
func (w *Writer) Commit(payloads [][]byte) (first uint64, err error) {
	first = w.at.next
	after, err := w.encode(payloads)
	if err != nil {
		return 0, err
	}
	if w.open != nil && w.open.end+int64(len(w.buffer)) > segmentSize {
		w.open = nil
	}
	if err := w.Ready(); err != nil {
		return 0, err
	}
	return first, w.write(after)
}

// encode fills the buffer with the group and returns the place behind it.
func (w *Writer) encode(payloads [][]byte) (place, error) {
	w.buffer = w.buffer[:0]
	at, kind := w.at, byte(kindGroup)
	for _, p := range payloads {
		if len(p) > MaxPayload || !utf8.Valid(p) {
			return place{}, fmt.Errorf("journal: a payload is UTF-8 of at most %d octets", MaxPayload)
		}
		w.buffer, at = appendRecord(w.buffer, kind, at, p)
		kind = kindNext
	}
	return at, nil
}

// write makes the buffer durable behind what the current segment has. When that fails the segment is left for good.
func (w *Writer) write(after place) error {
	s := w.open
	_, err := s.file.WriteAt(w.buffer, s.end)
	if err == nil {
		err = s.file.Datasync()
	}
	if err != nil {
		w.open = nil
		return fmt.Errorf("journal: %w", err)
	}
	w.mu.Lock()
	s.end += int64(len(w.buffer))
	s.after = after.next
	w.mu.Unlock()
	w.at = after
	if w.spare == nil && s.end > segmentSize/2 {
		w.spare = make(chan made, 1)
		go func(ready chan<- made) {
			file, err := w.cfg.Disk.Create(w.path(spareName), segmentSize)
			ready <- made{file, err}
		}(w.spare)
	}
	return nil
}

func (w *Writer) path(name string) string { return filepath.Join(w.cfg.Dir, name) }

// begin makes the spare file the next segment.
func (w *Writer) begin() error {
	file, err := w.takeSpare()
	if err != nil {
		return err
	}
	w.number++
	s := &segment{number: w.number, path: w.path(segmentName(w.number)), file: file, at: w.at, after: w.at.next}
	data, err := head{w.cfg.Origin, w.number, w.at.next, w.at.sum.String()}.encode()
	if err == nil {
		_, err = file.WriteAt(data, 0)
	}
	if err == nil {
		err = file.Datasync()
	}
	if err == nil {
		err = os.Rename(w.path(spareName), s.path)
	}
	if err == nil {
		err = durable.SyncFolder(w.cfg.Dir)
	}
	if err != nil {
		return errors.Join(err, file.Close())
	}
	s.start, s.end = int64(len(data)), int64(len(data))
	w.mu.Lock()
	w.segments = append(w.segments, s)
	w.mu.Unlock()
	w.open = s
	return nil
}

// takeSpare waits for the file that is being made; when there is none, or it failed (there may be room again), it makes
// one.
func (w *Writer) takeSpare() (File, error) {
	if w.spare != nil {
		m := <-w.spare
		w.spare = nil
		if m.err == nil {
			return m.file, nil
		}
	}
	return w.cfg.Disk.Create(w.path(spareName), segmentSize)
}

// Release removes segments of which every record has an index below size.
func (w *Writer) Release(size uint64) error {
	w.mu.Lock()
	n := 0
	for n < len(w.segments)-1 && w.segments[n].after <= size {
		n++
	}
	done := slices.Clone(w.segments[:n])
	w.segments = w.segments[n:]
	w.mu.Unlock()
	var all error
	for _, s := range done {
		all = errors.Join(all, os.Remove(s.path)) // it does no harm when a power cut brings it back
		if s.file != nil {
			all = errors.Join(all, s.file.Close())
		}
	}
	return all
}

// Close cuts off what the newest segment has no records in and closes the files.
func (w *Writer) Close() error {
	var all error
	if s := w.open; s != nil {
		all = errors.Join(s.file.Truncate(s.end), s.file.Datasync())
	}
	if w.spare != nil {
		m := <-w.spare
		if all = errors.Join(all, m.err); m.file != nil {
			all = errors.Join(all, m.file.Close(), os.Remove(w.path(spareName)))
		}
	}
	for _, s := range w.segments {
		if s.file != nil {
			all = errors.Join(all, s.file.Close())
		}
	}
	return all
}
