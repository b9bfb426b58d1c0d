package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"runtime"
	"sync/atomic"
	"time"

	"github.com/spf13/cobra"

	"trustcore/cmd/internal/batch"
	"trustcore/internal/store"
)

// benchBatch measures batches from their beginning to their last durable result, over HTTPS on loopback, against the
// same judge called directly by one caller a processor. Queue, interface and judge share the process, so that its
// processor time is that of all.
func benchBatch(ctx context.Context, s *benchSettings) (m *measurement, err error) {
	s.note("preparing documents")
	mix, err := mint(ctx)
	if err != nil {
		return nil, err
	}
	desk, err := mix.openBatches(ctx, s.workers(apiClients))
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, desk.close()) }()
	if s.documents > 0 {
		s.note("one batch")
		return desk.one(ctx, s.documents)
	}
	s.note("in process, and as a batch")
	var direct, batched samples
	slice := s.duration() / (2 * turns)
	callers := runtime.GOMAXPROCS(0)
	for range turns {
		runtime.GC()
		end := time.Now().Add(slice)
		var at atomic.Int64
		err := direct.work(ctx, callers, func() (int, bool) {
			n := int(at.Add(1)) - 1
			return n, n < callers || time.Now().Before(end)
		}, way{do: func(ctx context.Context, n int) error {
			_, err := mix.documents[n].judge(ctx, &mix.evidence)
			return err
		}}, len(mix.documents))
		if err == nil {
			runtime.GC()
			err = desk.measure(ctx, direct.last, &batched)
		}
		if err != nil {
			return nil, err
		}
	}
	limit, r := direct.byTurn(), batched.byTurn()
	limit.samples, r.samples = &direct, &batched
	m = &measurement{Unit: "documents", Details: map[string]any{"documents": batched.acts, "concurrency": desk.concurrency,
		"processor_ratio": processorRatio(r, limit)}}
	m.set(r, fmt.Sprintf("the same documents judged in process, %d at a time", callers), limit)
	return m, nil
}

func benchBatchFlags(c *cobra.Command, s *benchSettings) {
	c.Flags().IntVar(&s.documents, "documents", 0,
		"measure one batch of this `number` of documents, with its disk (default: batches against the limit)")
}

// one measures a single batch, which no limit is set against.
func (d *benchDesk) one(ctx context.Context, documents int) (*measurement, error) {
	var one samples
	if err := d.measure(ctx, documents, &one); err != nil {
		return nil, err
	}
	m := &measurement{Unit: "documents", Details: map[string]any{"documents": documents, "concurrency": d.concurrency,
		"seconds": float64(documents) / one.turns[0], "processor_seconds": one.spent.Seconds(), "disk_mb": d.disk}}
	m.set(one.byTurn(), "none", rate{})
	return m, nil
}

// diskOf is how many MB (10^6 octets) the files below a folder take.
func diskOf(dir string) (mb float64, err error) {
	err = filepath.WalkDir(dir, func(_ string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() {
			return err
		}
		info, err := entry.Info()
		if errors.Is(err, fs.ErrNotExist) { // judged meanwhile
			return nil
		}
		if err == nil {
			mb += float64(info.Size()) / 1e6
		}
		return err
	})
	return mb, err
}

// benchDesk is a queue over the API of a mix.
type benchDesk struct {
	mix         *benchMix
	queue       *batch.Batches
	concurrency int
	dir         string
	disk        map[string]float64 // MB of the last batch: when all of it had come, and when all was judged
	close       func() error
}

func (mix *benchMix) openBatches(ctx context.Context, concurrency int) (d *benchDesk, err error) {
	service, err := mix.serve(concurrency)
	if err != nil {
		return nil, err
	}
	dir, err := os.MkdirTemp("", "trustcore-batches")
	if err != nil {
		return nil, errors.Join(err, service.end())
	}
	end := func() error { return errors.Join(service.end(), os.RemoveAll(dir)) }
	db, err := store.Open(ctx, "sqlite://"+filepath.Join(dir, "batches.db"))
	if err != nil {
		return nil, errors.Join(err, end())
	}
	verifyd := batch.NewVerifyd(service.address, service.client)
	d = &benchDesk{mix: mix, concurrency: concurrency, dir: dir}
	d.queue, err = batch.Open(ctx, batch.Config{DB: db, Dir: filepath.Join(dir, "spool"), Judge: verifyd.Judge,
		JudgeParcel: verifyd.JudgeParcel,
		Ready:       verifyd.Ready, Now: time.Now,
		Logger: slog.New(slog.DiscardHandler), Concurrency: concurrency,
		Record: func(context.Context, batch.Act) error { return nil },
		Terms:  func(string) batch.Terms { return batch.Terms{} }})
	if err != nil {
		return nil, errors.Join(err, db.Close(), end())
	}
	running, stop := context.WithCancel(ctx)
	ended := make(chan error, 1)
	go func() { ended <- d.queue.Run(running) }()
	d.close = func() error {
		stop()
		return errors.Join(<-ended, d.queue.Close(), db.Close(), end())
	}
	return d, nil
}

// finishedEvery is how often it is asked whether a batch is finished: what that costs is not of the batch.
const finishedEvery = 20 * time.Millisecond

// benchOwner has the batches of a measurement.
const benchOwner = "application:benchmark"

// measure has so many documents judged as one batch.
func (d *benchDesk) measure(ctx context.Context, documents int, s *samples) error {
	begun, before := time.Now(), processorTime()
	i, err := d.queue.Create(ctx, benchOwner, "", batch.Wish{At: d.mix.documents[0].at.UTC().Format(time.RFC3339)})
	if err != nil {
		return err
	}
	for first := 0; first < documents; first += documentsAnUpload {
		if err := d.send(ctx, i.ID, first, min(first+documentsAnUpload, documents)); err != nil {
			return err
		}
	}
	if i, err = d.queue.Change(ctx, benchOwner, i.ID, "close"); err != nil {
		return err
	}
	d.disk = map[string]float64{}
	if d.disk["sent"], err = diskOf(d.dir); err != nil {
		return err
	}
	for i.Finished == nil {
		if err := sleep(ctx, finishedEvery); err != nil {
			return err
		}
		if i, err = d.queue.Info(ctx, benchOwner, i.ID); err != nil {
			return err
		}
	}
	took := time.Since(begun)
	if d.disk["judged"], err = diskOf(d.dir); err != nil {
		return err
	}
	s.spent += processorTime() - before
	s.acts += documents
	s.turns = append(s.turns, float64(documents)/took.Seconds())
	s.times = append(s.times, []time.Duration{took * time.Duration(d.concurrency) / time.Duration(documents)})
	if i.Refused > 0 {
		return fmt.Errorf("%d documents have a problem for their result", i.Refused)
	}
	return d.queue.Delete(ctx, benchOwner, i.ID)
}

// documentsAnUpload is how many documents come in with one upload.
const documentsAnUpload = 10_000

func (d *benchDesk) send(ctx context.Context, id string, first, end int) error {
	u, err := d.queue.Upload(ctx, benchOwner, id)
	if err != nil {
		return err
	}
	for n := first; n < end; n++ {
		document := d.mix.documents[n%len(d.mix.documents)]
		if err = u.Document(fmt.Sprint(n), bytes.NewReader(document.data)); err != nil {
			break
		}
		for _, beside := range document.detached {
			err = errors.Join(err, u.Beside(beside.Name, bytes.NewReader(beside.Content)))
		}
	}
	if err != nil {
		return errors.Join(err, u.Cancel())
	}
	_, err = u.Commit(ctx, -1)
	return err
}
