package hotfolder

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"time"

	"golang.org/x/sync/errgroup"

	"trustcore/internal/durable"
)

// Why no document is lost and none gets two seals.
//
// A document is in one place at any moment, since it is moved by one rename that replaces nothing, and the place says
// what was done. Nothing is remembered beside that: no journal can disagree with the folders. ID is random and new
// for each document; E is what the seal adds to the name, if anything.
//
//	step                                                        after a kill behind it, the next start
//	1 make Work/ID.claimed/                                     removes the empty folder
//	2 move In/NAME into Work/ID.claimed/                        seals it: step 3
//	3 seal (uses of the key), write Out/.ID.sealing, fsync      removes Out/.ID.sealing, whole or not; seals it again
//	4 rename Work/ID.claimed/ to Work/ID.staged{E}/, fsync      publishes: step 5, without a use of the key
//	5 move Out/.ID.sealing to Out/NAME{E}, fsync                finds Out/.ID.sealing gone: it is published; step 6
//	6 move Work/ID.staged{E}/NAME into Done/ (or remove it)     removes the empty folder
//	7 remove Work/ID.staged{E}/
//
// None lost: up to step 6 the original is in In or Work, and whatever is in Work is taken up by the next start.
// Before step 4 returns, content and name of Out/.ID.sealing are on the disk, so 'staged' never speaks of what a
// power cut took. None doubled: a result gets a name that people see in step 5 alone, which uses the staged file up.
// Where 'staged' stands and the file is gone, step 5 was done, also when somebody has taken the result out of Out
// meanwhile; that is why the result is looked for under its hidden name and not under its final one. Before 'staged'
// stands nothing was published, because step 5 comes after the fsync of step 4. 'Gone' counts in the folder that has
// our mark alone: where a share is not mounted, documents wait. Two processes never do this at once, by the lock in
// Work. The key is used once more than there are results for each document that was between 3 and 4: at most InFlight
// a kill.
//
// A document that can't be sealed goes from 2 to Failed/: first its reason, then the document; see fail.

// item is a document in Work.
type item struct {
	id     string
	dir    string // Work/ID.claimed or Work/ID.staged{E}
	name   string // of the document
	staged bool
	suffix string // E, of a staged one
}

const (
	claimedEnd = ".claimed"
	stagedPart = ".staged"
)

// round takes up what is in Work, then what is ready in In. Documents that can't be sealed for a reason that is not
// their own stay in Work: when there are InFlight of them no more are taken, since it is the data centre that is
// away. The first error is returned. Busy tells whether documents were ready.
func (f *Folder) round(ctx context.Context) (busy bool, err error) {
	left, err := f.left()
	if err != nil {
		return false, err
	}
	names, err := f.ready()
	if err != nil {
		return false, err
	}
	var stuck atomic.Int32
	var group errgroup.Group
	group.SetLimit(f.InFlight)
	try := func(do func() error) {
		group.Go(func() error {
			err := do()
			if err != nil {
				stuck.Add(1)
			}
			return err
		})
	}
	for _, it := range left {
		try(func() error { return f.finish(ctx, it) })
	}
	for _, name := range names {
		try(func() error {
			if int(stuck.Load()) >= f.InFlight {
				return nil // it waits in In
			}
			return f.take(ctx, name)
		})
	}
	return len(names) > 0, group.Wait()
}

// left are the documents in Work.
func (f *Folder) left() ([]*item, error) {
	entries, err := os.ReadDir(f.Work)
	if err != nil {
		return nil, err
	}
	var list []*item
	for _, e := range entries {
		it := f.parse(e.Name())
		if it == nil || !e.IsDir() {
			continue // the lock, the status; what is not ours stays
		}
		within, err := os.ReadDir(it.dir)
		if err != nil {
			return nil, err
		}
		if len(within) == 0 {
			if err := f.forget(it); err != nil {
				return nil, err
			}
			continue
		}
		it.name = within[0].Name()
		list = append(list, it)
	}
	return list, nil
}

// forget removes the folder of a document that is not there: before step 2, behind step 6, or taken away by hand.
func (f *Folder) forget(it *item) error {
	if !it.staged {
		if err := durable.Remove(f.sealing(it)); err != nil {
			return err
		}
	}
	return os.Remove(it.dir)
}

// parse reads what the name of a folder in Work says.
func (f *Folder) parse(name string) *item {
	it := &item{dir: filepath.Join(f.Work, name)}
	var claimed bool
	if it.id, claimed = strings.CutSuffix(name, claimedEnd); claimed {
		return it
	}
	it.id, it.suffix, it.staged = strings.Cut(name, stagedPart)
	if !it.staged || !suffix.MatchString(it.suffix) {
		return nil
	}
	return it
}

// sealing is the hidden name of the result before it is published.
func (f *Folder) sealing(it *item) string { return filepath.Join(f.Out, "."+it.id+".sealing") }

// take claims a document and seals it.
func (f *Folder) take(ctx context.Context, name string) error {
	if ctx.Err() != nil {
		return nil // it waits in In
	}
	it := &item{id: rand.Text(), name: name}
	it.dir = filepath.Join(f.Work, it.id+claimedEnd)
	if err := os.Mkdir(it.dir, 0o700); err != nil {
		return err
	}
	err := durable.Move(filepath.Join(f.In, name), filepath.Join(it.dir, name))
	if errors.Is(err, fs.ErrNotExist) {
		return os.Remove(it.dir) // somebody took it away
	}
	if err != nil {
		return errors.Join(fmt.Errorf("claim %q: %w", name, err), os.Remove(it.dir))
	}
	return f.finish(ctx, it)
}

// finish does what is left to do for a document in Work.
func (f *Folder) finish(ctx context.Context, it *item) error {
	if ctx.Err() != nil {
		return nil
	}
	f.outcomes.began(1)
	defer f.outcomes.began(-1)
	if !it.staged {
		err := f.stage(ctx, it)
		var refusal *Refusal
		switch {
		case errors.Is(err, errChanged):
			f.Log.Info("the document is still being written", "file", it.name)
			return nil // it stays in Work, and is looked at again
		case errors.As(err, &refusal):
			return f.fail(it, refusal)
		case err != nil:
			return fmt.Errorf("%q: %w", it.name, err)
		case !it.staged:
			return nil
		}
	}
	return f.publish(it)
}

// stage seals a claimed document and makes the result durable under its hidden name: steps 3 and 4.
func (f *Folder) stage(ctx context.Context, it *item) error {
	if err := durable.Remove(f.sealing(it)); err != nil {
		return err
	}
	if !f.rests(it) {
		return nil
	}
	content, before, err := f.read(it)
	if err != nil {
		return err
	}
	sealed, err := f.Seal(ctx, it.name, content)
	if err != nil {
		return err
	}
	if sealed.Note != "" {
		f.Log.Warn("a document is sealed at a lower level", "file", it.name, "note", sealed.Note)
	}
	if !suffix.MatchString(sealed.Suffix) {
		return fmt.Errorf("the result's name can't end in %q", sealed.Suffix)
	}
	after, err := os.Lstat(filepath.Join(it.dir, it.name))
	if err != nil {
		return err
	}
	if was := (sighting{before.Size(), before.ModTime(), before, time.Time{}}); !was.still(after) {
		f.hold(it, after)
		return errChanged
	}
	if err := durable.Create(f.sealing(it), sealed.Content, f.Mode); err != nil {
		return err
	}
	staged := filepath.Join(f.Work, it.id+stagedPart+sealed.Suffix)
	if err := durable.Move(it.dir, staged); err != nil {
		return err
	}
	it.dir, it.staged, it.suffix = staged, true, sealed.Suffix
	return durable.SyncFolder(f.Work)
}

// publish gives the result its name and settles the original: steps 5 to 7.
func (f *Folder) publish(it *item) error {
	out, err := place(f.sealing(it), f.Out, it.name, it.suffix)
	switch {
	case errors.Is(err, fs.ErrNotExist) && f.published(it): // step 5 was done before a kill
		out = ""
	case err != nil:
		return fmt.Errorf("publish %q: %w", it.name, err)
	}
	if err := durable.SyncFolder(f.Out); err != nil {
		return err
	}
	original := filepath.Join(it.dir, it.name)
	if f.Done == "" {
		err = os.Remove(original)
	} else {
		_, err = place(original, f.Done, it.name, "")
	}
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("put the original of %q away: %w", it.name, err)
	}
	if err := os.Remove(it.dir); err != nil {
		return err
	}
	f.settled(Result{File: it.name, Out: out, Time: time.Now().UTC()})
	return nil
}

// published tells whether the hidden result is gone from the very folder that it was written to, which is known by
// our mark: a share that is not mounted now has neither. Both are looked up in one opened folder.
func (f *Folder) published(it *item) bool {
	out, err := os.OpenRoot(f.Out)
	if err != nil {
		return false
	}
	defer out.Close()
	if _, err := out.Lstat(f.mark); err != nil {
		return false
	}
	_, err = out.Lstat(filepath.Base(f.sealing(it)))
	return errors.Is(err, fs.ErrNotExist)
}

// hold notes that a claimed document changes.
func (f *Folder) hold(it *item, info fs.FileInfo) {
	f.outcomes.Lock()
	defer f.outcomes.Unlock()
	f.held[it.id] = sighting{info.Size(), info.ModTime(), info, time.Now()}
}

// rests tells whether a claimed document that changed has rested since for as long as one in In must.
func (f *Folder) rests(it *item) bool {
	f.outcomes.Lock()
	defer f.outcomes.Unlock()
	s, changed := f.held[it.id]
	if !changed {
		return true
	}
	info, err := os.Lstat(filepath.Join(it.dir, it.name))
	switch {
	case err != nil || s.still(info) && time.Since(s.since) >= f.Settle:
		delete(f.held, it.id)
		return true
	case !s.still(info):
		f.held[it.id] = sighting{info.Size(), info.ModTime(), info, time.Now()}
	}
	return false
}

// settled tells of a document that is done with.
func (f *Folder) settled(r Result) {
	f.outcomes.settle(r)
	if f.Report != nil {
		f.outcomes.Lock()
		defer f.outcomes.Unlock()
		f.Report(r)
	}
}
