package batch_test

import (
	"bufio"
	"context"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"trustcore/cmd/internal/batch"
	"trustcore/internal/store"
)

// service judges by telling the digest of what it was given. What a document says it does to the service, see do.
type service struct {
	away    atomic.Bool
	arrived chan string   // hears of each document, where it is not nil
	hold    chan struct{} // documents wait for it, where it is not nil
	again   time.Time     // of documents that are to be judged again

	mu      sync.Mutex
	calls   map[string]int
	parcels []int         // documents of each
	inside  int           // documents that are being judged
	crowd   int           // a poison ends the service at its first try when so many are inside
	ended   chan struct{} // closed when the service ends with what it was judging
	crowded bool          // a suspect was not alone
}

var errLost = errors.New("connection reset")

// suspected is how long the service judges a document for the second time.
const suspected = 50 * time.Millisecond

func (s *service) judge(ctx context.Context, d batch.Document) (batch.Verdict, error) {
	content, err := io.ReadAll(d.Content)
	if err != nil || int64(len(content)) != d.Size {
		return batch.Verdict{}, fmt.Errorf("%d bytes of %d: %w", len(content), d.Size, err)
	}
	call, ended := s.enter(d.Name)
	defer s.leave()
	if s.arrived != nil {
		s.arrived <- d.Name
	}
	if s.hold != nil {
		select {
		case <-s.hold:
		case <-ctx.Done():
			return batch.Verdict{}, ctx.Err()
		}
	}
	if s.away.Load() {
		return batch.Verdict{}, &batch.Unreached{Err: errors.New("connection refused")}
	}
	if v, err, done := s.do(string(content), call, ended); done {
		return v, err
	}
	whole := content
	for _, f := range d.Beside {
		beside, err := io.ReadAll(f.Content)
		if err != nil {
			return batch.Verdict{}, err
		}
		whole = append(append(whole, f.Name...), beside...)
	}
	v := batch.Verdict{Report: fmt.Appendf(nil, `{"sha256": "%x", "policy": %q, "text": "<&>\n"}`, sha256.Sum256(whole),
		d.Wish.Policy)}
	if string(content) == "later" && call < 3 || string(content) == "ever later" {
		v.Again = s.again
	}
	return v, nil
}

// do does what a document asks for; done tells that it asked for something.
func (s *service) do(content string, call int, ended <-chan struct{}) (v batch.Verdict, err error, done bool) {
	switch {
	case content == "poison":
		s.die(call)
		return v, errLost, true
	case content == "victim" && call == 1:
		<-ended
		return v, errLost, true
	case content == "victim":
		<-time.After(suspected) // so that who comes beside is seen
	case content == "failing":
		return v, &batch.Failure{Status: 500, Detail: "fault"}, true
	case content == "busy" && call < 5:
		return v, &batch.Busy{After: time.Millisecond}, true
	case content == "bad":
		return v, &batch.Refusal{Status: 422, Detail: "nothing in it can be verified"}, true
	case content == "garbage":
		return batch.Verdict{Report: []byte(`{"half":`)}, nil, true
	case content == "two lines":
		return batch.Verdict{Report: []byte("{}\n{}")}, nil, true
	}
	return v, nil, false
}

func (s *service) enter(name string) (call int, ended <-chan struct{}) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.calls[name]++
	s.inside++
	if s.calls[name] > 1 && s.crowd > 0 && s.inside > 1 {
		s.crowded = true
	}
	if s.ended == nil {
		s.ended = make(chan struct{})
	}
	return s.calls[name], s.ended
}

func (s *service) leave() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.inside--
}

func (s *service) die(call int) {
	for {
		s.mu.Lock()
		if call > 1 || s.inside >= s.crowd {
			close(s.ended)
			s.ended = nil
			s.mu.Unlock()
			return
		}
		s.mu.Unlock()
		<-time.After(time.Millisecond)
	}
}

func (s *service) count(name string) int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.calls[name]
}

func (s *service) ready(context.Context) error {
	if s.away.Load() {
		return errors.New("away")
	}
	return nil
}

// desk is a queue in a folder.
type desk struct {
	*testing.T
	*service
	dir   string
	queue *batch.Batches
	end   func()
	cfg   batch.Config
	ahead atomic.Int64 // of the clock

	acts sync.Map // by action, how often
}

func open(t *testing.T, change func(*batch.Config)) *desk {
	t.Helper()
	d := &desk{T: t, dir: t.TempDir(), service: &service{calls: map[string]int{}}}
	d.cfg = batch.Config{Dir: filepath.Join(d.dir, "spool"), Judge: d.judge, Ready: d.ready, Record: d.record,
		Logger: slog.New(slog.DiscardHandler),
		Now:    func() time.Time { return time.Now().Add(time.Duration(d.ahead.Load())) },
		Terms:  func(string) batch.Terms { return batch.Terms{} }}
	if change != nil {
		change(&d.cfg)
	}
	d.start()
	t.Cleanup(func() { d.end() })
	return d
}

func (d *desk) record(_ context.Context, a batch.Act) error {
	if a.Owner == "unrecorded" {
		return errors.New("the log is away")
	}
	count, _ := d.acts.LoadOrStore(a.Action, new(atomic.Int64))
	count.(*atomic.Int64).Add(1)
	return nil
}

func (d *desk) must(err error) {
	d.Helper()
	if err != nil {
		d.Fatal(err)
	}
}

func (d *desk) start() {
	d.Helper()
	var err error
	d.cfg.DB, err = store.Open(d.Context(), "sqlite://"+filepath.Join(d.dir, "batches.db"))
	d.must(err)
	d.queue, err = batch.Open(d.Context(), d.cfg)
	d.must(err)
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	queue, db := d.queue, d.cfg.DB
	go func() { ended <- queue.Run(ctx) }()
	d.end = func() {
		cancel()
		d.must(errors.Join(<-ended, queue.Close(), db.Close()))
		d.end = func() {}
	}
}

func (d *desk) begin(owner string, wish batch.Wish) string {
	d.Helper()
	info, err := d.queue.Create(d.Context(), owner, "", wish)
	d.must(err)
	return info.ID
}

func (d *desk) add(owner, id string, contents ...string) {
	d.Helper()
	u, err := d.queue.Upload(d.Context(), owner, id)
	d.must(err)
	info, err := d.queue.Info(d.Context(), owner, id)
	d.must(err)
	for i, c := range contents {
		d.must(u.Document(fmt.Sprintf("%s-%d", owner, info.Documents+int64(i)), strings.NewReader(c)))
	}
	_, err = u.Commit(d.Context(), -1)
	d.must(err)
}

// change closes, pauses, resumes or cancels.
func (d *desk) change(owner, id, what string) batch.Info {
	d.Helper()
	info, err := d.queue.Change(d.Context(), owner, id, what)
	d.must(err)
	return info
}

// await waits until a batch is as it should be.
func (d *desk) await(owner, id string, so func(batch.Info) bool) batch.Info {
	d.Helper()
	for {
		info, err := d.queue.Info(d.Context(), owner, id)
		d.must(err)
		if so(info) {
			return info
		}
		<-time.After(5 * time.Millisecond)
	}
}

// finished closes a batch and waits for its end.
func (d *desk) finished(owner, id string) batch.Info {
	d.Helper()
	d.change(owner, id, "close")
	return d.await(owner, id, func(i batch.Info) bool { return i.State == batch.Finished })
}

// line is one result.
type line struct {
	N       int64
	Name    string
	Report  map[string]string
	Problem *batch.Refusal
}

func (d *desk) results(owner, id string) (all []line) {
	d.Helper()
	content, end, err := d.queue.Results(d.Context(), owner, id)
	d.must(err)
	defer end.Close()
	all = readLines(d.T, content)
	slices.SortFunc(all, func(a, b line) int { return int(a.N - b.N) })
	return all
}

func readLines(t *testing.T, from io.Reader) (all []line) {
	t.Helper()
	lines := bufio.NewScanner(from)
	lines.Buffer(nil, 1<<20)
	for lines.Scan() {
		var l line
		if err := json.Unmarshal(lines.Bytes(), &l); err != nil {
			t.Fatalf("%q: %v", lines.Bytes(), err)
		}
		all = append(all, l)
	}
	return all
}

// awaitNothingLeft waits until no document is in the spool: files go when the results are durable.
func (d *desk) awaitNothingLeft() {
	d.Helper()
	for deadline := time.Now().Add(10 * time.Second); len(d.left()) > 0; <-time.After(time.Millisecond) {
		if time.Now().After(deadline) {
			d.Fatalf("judged, and left: %v", d.left())
		}
	}
}

// left are the files of documents in the spool.
func (d *desk) left() []string {
	d.Helper()
	found, err := filepath.Glob(filepath.Join(d.cfg.Dir, "*", "documents-*"))
	d.must(err)
	return found
}

func digest(text string) string { return fmt.Sprintf("%x", sha256.Sum256([]byte(text))) }

// TestBatch takes documents with what lies beside them, and gives one result for each; judged documents are gone.
func TestBatch(t *testing.T) {
	d := open(t, nil)
	id := d.begin("ezd", batch.Wish{Policy: "strict"})
	u, err := d.queue.Upload(t.Context(), "ezd", id)
	d.must(err)
	d.must(u.Document("one.p7s", strings.NewReader("one")))
	d.must(u.Beside("one.txt", strings.NewReader("signed")))
	d.must(u.Document("two.xml", strings.NewReader("two")))
	if n, err := u.Commit(t.Context(), 0); err != nil || n != 2 {
		t.Fatal(n, err)
	}
	d.add("ezd", id, "bad", "garbage", "two lines")
	info := d.finished("ezd", id)
	if info.Documents != 5 || info.Judged != 5 || info.Refused != 3 || info.Until == nil {
		t.Errorf("%+v", info)
	}
	all := d.results("ezd", id)
	if len(all) != 5 || all[0].Name != "one.p7s" || all[0].Report["sha256"] != digest("oneone.txtsigned") ||
		all[0].Report["policy"] != "strict" ||
		all[1].Report["text"] != "<&>\n" || all[2].Problem.Status != 422 || all[3].Problem.Status != 500 ||
		all[4].Problem.Status != 500 {
		t.Errorf("%+v", all)
	}
	d.awaitNothingLeft()
	for _, what := range []string{"create", "upload", "close"} {
		if _, recorded := d.acts.Load("batch." + what); !recorded {
			t.Errorf("%s is not recorded", what)
		}
	}
	d.must(d.queue.Delete(t.Context(), "ezd", id))
	if _, err := os.Stat(filepath.Join(d.cfg.Dir, id)); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("erased, and there: %v", err)
	}
}

// TestOthersBatches: what is another's is not there.
func TestOthersBatches(t *testing.T) {
	d := open(t, nil)
	id := d.begin("ezd", batch.Wish{})
	for name, err := range map[string]error{
		"reading":   func() error { _, err := d.queue.Info(t.Context(), "peup", id); return err }(),
		"erasing":   d.queue.Delete(t.Context(), "peup", id),
		"results":   func() error { _, _, err := d.queue.Results(t.Context(), "peup", id); return err }(),
		"ordered":   d.queue.Ordered(t.Context(), "peup", id, 0, io.Discard),
		"uploading": func() error { _, err := d.queue.Upload(t.Context(), "peup", id); return err }(),
		"closing":   func() error { _, err := d.queue.Change(t.Context(), "peup", id, "close"); return err }(),
		"cancel":    func() error { _, err := d.queue.Change(t.Context(), "peup", id, "cancel"); return err }(),
	} {
		if !errors.Is(err, batch.ErrUnknown) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if list, err := d.queue.List(t.Context(), "peup"); err != nil || len(list) != 0 {
		t.Errorf("%+v, %v", list, err)
	}
}

// TestNothingUnrecorded: what can't be written down does not happen.
func TestNothingUnrecorded(t *testing.T) {
	d := open(t, nil)
	if _, err := d.queue.Create(t.Context(), "unrecorded", "", batch.Wish{}); err == nil {
		t.Error("a batch was made")
	}
	if list, err := d.queue.List(t.Context(), "unrecorded"); err != nil || len(list) != 0 {
		t.Errorf("%+v, %v", list, err)
	}
}

// TestPoisonFailsAlone: what ends the service has a problem for a result; what was judged beside it is judged again,
// alone.
func TestPoisonFailsAlone(t *testing.T) {
	d := open(t, func(c *batch.Config) { c.Concurrency = 4 })
	d.crowd = 3
	id := d.begin("ezd", batch.Wish{})
	d.add("ezd", id, "victim", "poison", "victim")
	if info := d.finished("ezd", id); info.Refused != 1 {
		t.Errorf("%+v", info)
	}
	if all := d.results("ezd", id); all[1].Problem == nil || all[0].Report == nil || all[2].Report == nil {
		t.Errorf("%+v", all)
	}
	if n := d.count("ezd-1"); n != 3 {
		t.Errorf("it was tried %d times", n)
	}
	if d.crowded {
		t.Error("a suspect was judged beside another")
	}
}

// TestFailures: a service that fails over a document is asked three times, one that is busy for as long as it takes.
func TestFailures(t *testing.T) {
	d := open(t, nil)
	id := d.begin("ezd", batch.Wish{})
	d.add("ezd", id, "failing", "busy")
	if info := d.finished("ezd", id); info.Refused != 1 || d.count("ezd-0") != 3 || d.count("ezd-1") != 5 {
		t.Errorf("%+v after %v", info, d.calls)
	}
	if all := d.results("ezd", id); all[0].Problem == nil || all[1].Report == nil {
		t.Errorf("%+v", all)
	}
}

// TestServiceAway: while the service is away no document is at fault.
func TestServiceAway(t *testing.T) {
	d := open(t, nil)
	d.away.Store(true)
	d.arrived = make(chan string, 100)
	id := d.begin("ezd", batch.Wish{})
	d.add("ezd", id, "a")
	<-d.arrived
	d.away.Store(false)
	if info := d.finished("ezd", id); info.Refused != 0 {
		t.Errorf("%+v", info)
	}
}

// TestStopIsNoTry: a document that was being judged when the process was stopped is not at fault, however often.
func TestStopIsNoTry(t *testing.T) {
	d := open(t, nil)
	d.arrived, d.hold = make(chan string, 10), make(chan struct{})
	id := d.begin("ezd", batch.Wish{})
	d.add("ezd", id, "a")
	for range 3 {
		<-d.arrived
		d.end()
		d.start()
	}
	close(d.hold)
	if info := d.finished("ezd", id); info.Refused != 0 {
		t.Errorf("%+v", info)
	}
}

// TestLater judges again what is to be judged again, when its time has come, before the batch ends, and not for ever.
func TestLater(t *testing.T) {
	d := open(t, nil)
	d.again = time.Now().Add(-time.Hour)
	id := d.begin("ezd", batch.Wish{})
	d.add("ezd", id, "later", "a")
	d.await("ezd", id, func(i batch.Info) bool { return i.Judged == 1 })
	if info := d.finished("ezd", id); info.Judged != 2 || d.count("ezd-0") != 3 || d.count("ezd-1") != 1 {
		t.Errorf("%+v after %v", info, d.calls)
	}
	d.again = time.Now().Add(100 * time.Hour)
	id = d.begin("peup", batch.Wish{})
	d.add("peup", id, "ever later")
	if info := d.finished("peup", id); info.Judged != 1 || info.Refused != 0 || d.count("peup-0") != 1 {
		t.Errorf("too far away: %+v after %v", info, d.calls)
	}
}

// TestLaterOutlivesTheProcess: when a document is due is not forgotten.
func TestLaterOutlivesTheProcess(t *testing.T) {
	d := open(t, nil)
	d.again = time.Now().Add(time.Hour)
	id := d.begin("ezd", batch.Wish{})
	d.add("ezd", id, "later", "a")
	d.await("ezd", id, func(i batch.Info) bool { return i.Judged == 1 && d.queue.Stats().Retries == 1 })
	d.end()
	d.start()
	d.add("ezd", id, "b")
	d.await("ezd", id, func(i batch.Info) bool { return i.Judged == 2 })
	if n := d.count("ezd-0"); n != 1 {
		t.Errorf("judged %d times before its time", n)
	}
	d.ahead.Store(int64(2 * time.Hour))
	if info := d.finished("ezd", id); info.Judged != 3 || d.count("ezd-0") != 3 {
		t.Errorf("%+v after %v", info, d.calls)
	}
}

// TestOwnersTakeTurns: who brings a thousand documents keeps nobody waiting who brings one.
func TestOwnersTakeTurns(t *testing.T) {
	d := open(t, func(c *batch.Config) { c.Concurrency = 3 })
	d.arrived, d.hold = make(chan string, 2000), make(chan struct{})
	many := d.begin("many", batch.Wish{})
	d.add("many", many, make([]string, 1000)...)
	<-d.arrived
	<-d.arrived // all that one owner may have judged at a time
	one := d.begin("one", batch.Wish{})
	d.add("one", one, "x")
	if next := <-d.arrived; next != "one-0" {
		t.Errorf("%s came first", next)
	}
	close(d.hold)
	d.finished("one", one)
	if info := d.finished("many", many); info.Judged != 1000 {
		t.Errorf("%+v", info)
	}
}

// TestPauseAndCancel: what is paused waits, what is cancelled ends without the results that it did not have.
func TestPauseAndCancel(t *testing.T) {
	d := open(t, func(c *batch.Config) { c.Concurrency = 2 })
	id := d.begin("ezd", batch.Wish{})
	if info := d.change("ezd", id, "pause"); !info.Paused {
		t.Errorf("%+v", info)
	}
	d.add("ezd", id, "a", "b")
	other := d.begin("ezd", batch.Wish{})
	d.add("ezd", other, "c")
	d.finished("ezd", other)
	d.end()
	d.start()
	if info := d.change("ezd", id, "close"); info.Judged != 0 || !info.Paused || info.State != batch.Closed {
		t.Errorf("paused: %+v", info)
	}
	d.change("ezd", id, "resume")
	d.await("ezd", id, func(i batch.Info) bool { return i.State == batch.Finished })

	d.arrived, d.hold = make(chan string, 10), make(chan struct{})
	id = d.begin("ezd", batch.Wish{})
	d.add("ezd", id, "d", "e", "f")
	<-d.arrived
	if info := d.change("ezd", id, "cancel"); info.State != batch.Cancelled || info.Until == nil || len(d.left()) != 0 {
		t.Errorf("cancelled: %+v, left %v", info, d.left())
	}
	close(d.hold)
	last := d.begin("ezd", batch.Wish{})
	d.add("ezd", last, "g")
	d.finished("ezd", last)
	if all := d.results("ezd", id); len(all) != 0 {
		t.Errorf("results of what was cancelled: %+v", all)
	}
	var state *batch.StateError
	if _, err := d.queue.Change(t.Context(), "ezd", id, "resume"); !errors.As(err, &state) {
		t.Errorf("%v", err)
	}
}

// TestQuotas bounds what may wait: an owner has its half, and an upload comes in whole or not at all.
func TestQuotas(t *testing.T) {
	d := open(t, func(c *batch.Config) { c.Quota = 100 })
	d.arrived, d.hold = make(chan string, 10), make(chan struct{})
	id := d.begin("ezd", batch.Wish{})
	d.add("ezd", id, strings.Repeat("x", 40))
	<-d.arrived
	u, err := d.queue.Upload(t.Context(), "ezd", id)
	d.must(err)
	beside, err := d.queue.Upload(t.Context(), "ezd", id)
	d.must(err)
	d.must(u.Document("fits", strings.NewReader("012345678")))
	var limit *batch.LimitError
	if err := beside.Document("too much", strings.NewReader("xx")); !errors.As(err, &limit) || limit.Wait == 0 {
		t.Errorf("beside another upload: %v", err)
	}
	d.must(beside.Cancel())
	if err := u.Document("too much too", strings.NewReader("xx")); !errors.As(err, &limit) {
		t.Errorf("%v", err)
	}
	d.must(u.Cancel())
	if len(d.left()) != 1 {
		t.Errorf("left: %v", d.left())
	}
	other := d.begin("peup", batch.Wish{})
	d.add("peup", other, strings.Repeat("y", 50))
	close(d.hold)
	d.finished("peup", other)
	if info := d.finished("ezd", id); info.Documents != 1 {
		t.Errorf("%+v", info)
	}
	third := d.begin("ezd", batch.Wish{})
	d.add("ezd", third, strings.Repeat("z", 50)) // what is judged has made room
}

// TestHeldAgainAtTheEnd: what an upload was allowed at its beginning may be used up, or over, at its end.
func TestHeldAgainAtTheEnd(t *testing.T) {
	d := open(t, func(c *batch.Config) { c.Quota, c.MaxDocument = 100, 45 })
	d.hold = make(chan struct{})
	defer close(d.hold)
	id := d.begin("ezd", batch.Wish{})
	late, err := d.queue.Upload(t.Context(), "ezd", id)
	d.must(err)
	last, err := d.queue.Upload(t.Context(), "ezd", id)
	d.must(err)
	d.add("ezd", id, strings.Repeat("x", 40))
	var limit *batch.LimitError
	d.must(late.Document("fitted", strings.NewReader(strings.Repeat("y", 40))))
	if _, err := late.Commit(t.Context(), -1); !errors.As(err, &limit) {
		t.Errorf("no room any more: %v", err)
	}
	var large *batch.TooLargeError
	if err := last.Document("large", strings.NewReader(strings.Repeat("z", 46))); !errors.As(err, &large) {
		t.Errorf("a large document: %v", err)
	}
	d.must(last.Cancel())
	last, err = d.queue.Upload(t.Context(), "ezd", id)
	d.must(err)
	d.must(last.Document("late", strings.NewReader("l")))
	d.change("ezd", id, "close")
	var state *batch.StateError
	if _, err := last.Commit(t.Context(), -1); !errors.As(err, &state) {
		t.Errorf("into a closed batch: %v", err)
	}
	if len(d.left()) != 1 {
		t.Errorf("left: %v", d.left())
	}
}

// TestTerms holds owners to documents a day and open batches; the next day is another.
func TestTerms(t *testing.T) {
	d := open(t, func(c *batch.Config) {
		c.Terms = func(string) batch.Terms { return batch.Terms{DocumentsADay: 3, OpenBatches: 2} }
	})
	first := d.begin("ezd", batch.Wish{})
	d.add("ezd", first, "a", "b")
	id := d.begin("ezd", batch.Wish{})
	var limit *batch.LimitError
	if _, err := d.queue.Create(t.Context(), "ezd", "", batch.Wish{}); !errors.As(err, &limit) || limit.Wait == 0 {
		t.Errorf("a third batch: %v", err)
	}
	two := func() error {
		u, err := d.queue.Upload(t.Context(), "ezd", id)
		d.must(err)
		d.must(errors.Join(u.Document("c", strings.NewReader("c")), u.Document("d", strings.NewReader("d"))))
		_, err = u.Commit(t.Context(), -1)
		return err
	}
	if err := two(); !errors.As(err, &limit) || limit.Wait == 0 {
		t.Errorf("a fourth document: %v", err)
	}
	d.ahead.Store(int64(24 * time.Hour))
	d.must(two())
	d.finished("ezd", first)
	d.begin("ezd", batch.Wish{})
}

// TestUploadsResume: who does not know whether an upload came through says where it begins, or repeats a document.
func TestUploadsResume(t *testing.T) {
	d := open(t, nil)
	id := d.begin("ezd", batch.Wish{})
	d.add("ezd", id, "a", "b")
	u, err := d.queue.Upload(t.Context(), "ezd", id)
	d.must(err)
	d.must(u.Document("again", strings.NewReader("b")))
	var count *batch.CountError
	if _, err := u.Commit(t.Context(), 1); !errors.As(err, &count) || count.Documents != 2 {
		t.Errorf("%v", err)
	}
	one := func(name, content string) error {
		u, err := d.queue.Upload(t.Context(), "ezd", id)
		d.must(err)
		_, err = u.One(t.Context(), name, strings.NewReader(content))
		return err
	}
	var taken *batch.TakenError
	d.must(errors.Join(one("c", "c"), one("c", "c")))
	if err := one("c", "another"); !errors.As(err, &taken) {
		t.Errorf("another content: %v", err)
	}
	if err := one("ezd-1", "b"); !errors.As(err, &taken) {
		t.Errorf("of which no digest is known: %v", err)
	}
	if info := d.finished("ezd", id); info.Documents != 3 {
		t.Errorf("%+v", info)
	}
	d.awaitNothingLeft()
}

// TestOrdered gives results in the order of the documents, as far as there is no gap.
func TestOrdered(t *testing.T) {
	d := open(t, nil)
	d.again = time.Now().Add(time.Hour)
	id := d.begin("ezd", batch.Wish{})
	contents := make([]string, 1500)
	for i := range contents {
		contents[i] = strconv.Itoa(i)
	}
	contents[1200] = "later"
	d.add("ezd", id, contents...)
	d.await("ezd", id, func(i batch.Info) bool { return i.Judged == 1499 })
	ordered := func(from int64) []line {
		var text strings.Builder
		d.must(d.queue.Ordered(t.Context(), "ezd", id, from, &text))
		return readLines(t, strings.NewReader(text.String()))
	}
	all := ordered(0)
	if len(all) != 1200 {
		t.Fatalf("%d results before the gap", len(all))
	}
	for n, l := range all {
		if l.N != int64(n) || l.Report["sha256"] != digest(strconv.Itoa(n)) {
			t.Fatalf("result %d: %+v", n, l)
		}
	}
	if rest := ordered(1201); len(rest) != 299 || rest[0].N != 1201 {
		t.Errorf("%d results behind the gap", len(rest))
	}
	d.ahead.Store(int64(2 * time.Hour))
	d.await("ezd", id, func(i batch.Info) bool { return i.Judged == 1500 })
	if all := ordered(1100); len(all) != 400 || all[100].N != 1200 {
		t.Errorf("%d results in the end", len(all))
	}
}

// TestOneProcess: two would judge each document twice.
func TestOneProcess(t *testing.T) {
	d := open(t, nil)
	if _, err := batch.Open(t.Context(), d.cfg); err == nil || !strings.Contains(err.Error(), "another process") {
		t.Errorf("%v", err)
	}
}

// TestHoldEnds erases what is finished when its time is over.
func TestHoldEnds(t *testing.T) {
	d := open(t, nil)
	id := d.begin("ezd", batch.Wish{})
	d.add("ezd", id, "a")
	d.finished("ezd", id)
	young := d.begin("ezd", batch.Wish{})
	d.ahead.Store(int64(31 * 24 * time.Hour))
	d.end()
	d.start()
	for {
		list, err := d.queue.List(t.Context(), "ezd")
		d.must(err)
		if len(list) == 1 && list[0].ID == young {
			break
		}
		<-time.After(5 * time.Millisecond)
	}
	if _, recorded := d.acts.Load("batch.expire"); !recorded {
		t.Error("it is not recorded")
	}
	d.await("ezd", young, func(i batch.Info) bool { return i.State == batch.Finished }) // which was left open
}

// role makes this process a queue that a test kills.
const role = "TRUSTCORE_TEST_BATCH"

// TestMain plays the queue where a test asks for it.
func TestMain(m *testing.M) {
	if dir := os.Getenv(role); dir != "" {
		play(dir)
	}
	os.Exit(m.Run())
}

// play judges what lies in the folder until it is killed.
func play(dir string) {
	s := &service{calls: map[string]int{}}
	db, err := store.Open(context.Background(), "sqlite://"+filepath.Join(dir, "batches.db"))
	if err == nil {
		var q *batch.Batches
		if q, err = batch.Open(context.Background(),
			batch.Config{DB: db, Dir: filepath.Join(dir, "spool"), Judge: s.judge,
				JudgeParcel: s.judgeParcel, Ready: s.ready, Now: time.Now,
				Record: func(context.Context, batch.Act) error { return nil },
				Terms:  func(string) batch.Terms { return batch.Terms{} },
				Logger: slog.New(slog.DiscardHandler)}); err == nil {
			err = q.Run(context.Background())
		}
	}
	fmt.Fprintln(os.Stderr, err)
	os.Exit(1)
}

// killedDocuments is how many documents TestKilled has; a run over the samples has allDocuments.
const (
	killedDocuments = 3_000
	allDocuments    = 20_000
)

// TestKilled kills the process in the middle, three times: each document has exactly one result in the end.
func TestKilled(t *testing.T) {
	documents := killedDocuments
	if os.Getenv("TRUSTCORE_CORPUS") != "" {
		documents = allDocuments
	}
	d := open(t, func(c *batch.Config) { c.Concurrency = 1 })
	d.hold = make(chan struct{})
	id := d.begin("ezd", batch.Wish{})
	for part := range 20 {
		u, err := d.queue.Upload(t.Context(), "ezd", id)
		d.must(err)
		for n := range documents / 20 {
			text := fmt.Sprint(part*documents/20 + n)
			d.must(u.Document(text, strings.NewReader(text)))
		}
		_, err = u.Commit(t.Context(), int64(part*documents/20))
		d.must(err)
	}
	d.change("ezd", id, "close")
	d.end()
	results := filepath.Join(d.cfg.Dir, id, "results.ndjson")
	for n := range 3 {
		child := exec.CommandContext(t.Context(), "/proc/self/exe")
		child.Env, child.Stderr = append(os.Environ(), role+"="+d.dir), os.Stderr
		d.must(child.Start())
		for { // until a part of it is judged
			if info, err := os.Stat(results); err == nil && info.Size() > int64(n+1)*int64(documents)*20 {
				break
			}
			<-time.After(time.Millisecond)
		}
		d.must(child.Process.Kill())
		_ = child.Wait() // killed
	}
	d.hold = nil
	d.cfg.Concurrency, d.cfg.JudgeParcel = 8, d.judgeParcel
	d.start()
	if info := d.finished("ezd", id); info.Judged != int64(documents) || info.Refused != 0 {
		t.Errorf("%+v", info)
	}
	all := d.results("ezd", id)
	if len(all) != documents {
		t.Errorf("%d results", len(all))
	}
	for n, l := range all {
		if l.N != int64(n) || l.Report["sha256"] != digest(fmt.Sprint(n)) {
			t.Fatalf("result %d: %+v", n, l)
		}
	}
	d.awaitNothingLeft()
}
