package batch

import (
	"context"
	"errors"
	"io"

	"trustcore/internal/parcel"
)

// maxSmall is up to how many bytes a document travels with others, with what lies beside it.
const maxSmall = 64 << 10

// withOthers takes those that follow a document in its batch and may be handed over with it. Each worker leaves the
// others their share. It is called with mu held.
func (b *Batches) withOthers(t task) []task {
	tasks := []task{t}
	l := t.line
	if b.cfg.JudgeParcel == nil || !t.mayTravel() {
		return tasks
	}
	share := min(parcel.MaxDocuments, (len(l.read)+1)/b.cfg.Concurrency)
	for size := t.bytes; len(tasks) < share && l.read[0].mayTravel(); {
		if size += l.read[0].bytes; size > parcel.MaxBytes {
			break
		}
		tasks, l.read = append(tasks, l.read[0]), l.read[1:]
		l.out++
	}
	return tasks
}

// mayTravel reports whether a document may be handed over with others, as far as is known before it is opened: one that
// is suspected may not, and none that has to be fetched, so that nobody waits for its server.
func (t *task) mayTravel() bool { return !t.suspect && t.bytes <= maxSmall && t.pieces[0].URL == "" }

// judgeTogether hands small documents over with one question, and returns those of which nothing became. Where the
// service was lost the others are suspected, each of them: they are handed over one by one, with nothing beside them,
// when it is back.
func (b *Batches) judgeTogether(ctx context.Context, tasks []task) (rest []task) {
	if !b.awaitGate(ctx) {
		return nil
	}
	p, in, rest := b.pack(ctx, tasks)
	if len(in) == 0 {
		return rest
	}
	unsettled, unanswered, err := b.handOverTogether(ctx, p, in)
	if ctx.Err() != nil {
		return nil // that it was broken off is nobody's fault
	}
	rest = append(rest, unsettled...)
	b.mindBusy(err)
	for _, t := range unanswered {
		if t.suspect = lost(err); t.suspect {
			b.countFailed(ctx, &t, err)
		}
		rest = append(rest, t)
	}
	if lost(err) && !b.awaitService(ctx, againFirst) {
		return nil
	}
	return rest
}

// handOverTogether has a parcel judged. Of unsettled documents nothing became, though there was an answer; unanswered
// ones have none.
func (b *Batches) handOverTogether(ctx context.Context, p Parcel, in []task) (unsettled, unanswered []task, err error) {
	b.alone.RLock()
	defer b.alone.RUnlock()
	unanswered = in
	err = b.cfg.JudgeParcel(ctx, p, func(v Verdict, err error) {
		t := unanswered[0]
		unanswered = unanswered[1:]
		if o, is := b.final(t, v, err); is {
			b.keep(ctx, o)
			return
		}
		var failure *Failure
		if !b.mindBusy(err) && errors.As(err, &failure) {
			b.countFailed(ctx, &t, err)
		}
		unsettled = append(unsettled, t)
	})
	return unsettled, unanswered, err
}

// pack makes a parcel of the documents that fit; alone are those that are large, or can't be opened now.
func (b *Batches) pack(ctx context.Context, tasks []task) (p Parcel, in, alone []task) {
	p.Wish = tasks[0].line.wish
	size := int64(0)
	for _, t := range tasks {
		size += t.bytes
	}
	p.Frames = make([]byte, 0, size+size/8)
	var at shelf
	defer at.close()
	for _, t := range tasks {
		frames, err := b.appendFrames(ctx, p.Frames, t, &at)
		if err != nil {
			alone = append(alone, t)
			continue
		}
		p.Frames, in = frames, append(in, t)
		p.Documents++
	}
	return p, in, alone
}

// errLarge tells that a document does not fit into a parcel.
var errLarge = errors.New("it is too large for a parcel")

// appendFrames appends a document and what lies beside it.
func (b *Batches) appendFrames(ctx context.Context, frames []byte, t task, at *shelf) ([]byte, error) {
	d, done, err := b.open(ctx, t, at)
	if err != nil {
		return nil, err
	}
	defer done()
	size := parcel.Size(0, d.Size)
	for _, f := range d.Beside {
		size += parcel.Size(int64(len(f.Name)), f.Size)
	}
	if size > maxSmall || int64(len(frames))+size > parcel.MaxBytes {
		return nil, errLarge
	}
	frames, err = appendContent(parcel.AppendDocument(frames, int(d.Size)), d.Content, d.Size)
	for _, f := range d.Beside {
		if err == nil {
			frames, err = appendContent(parcel.AppendBeside(frames, f.Name, int(f.Size)), f.Content, f.Size)
		}
	}
	return frames, err
}

func appendContent(to []byte, content io.Reader, size int64) ([]byte, error) {
	at := len(to)
	to = append(to, make([]byte, size)...)
	_, err := io.ReadFull(content, to[at:])
	return to, err
}
