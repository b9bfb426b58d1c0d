package batch_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"trustcore/cmd/internal/batch"
	"trustcore/internal/parcel"
	"trustcore/internal/problem"
)

// judgeParcel judges the documents of a parcel as judge does, and is lost over one that ends the service.
func (s *service) judgeParcel(ctx context.Context, p batch.Parcel, got func(batch.Verdict, error)) error {
	documents, err := parcel.Read(p.Frames)
	if err != nil || len(documents) != p.Documents {
		return fmt.Errorf("%d documents of %d: %w", len(documents), p.Documents, err)
	}
	s.mu.Lock()
	s.parcels = append(s.parcels, len(documents))
	s.mu.Unlock()
	for _, in := range documents {
		d := batch.Document{Name: "parcel:" + string(in.Content), Content: bytes.NewReader(in.Content),
			Size: int64(len(in.Content)), Wish: p.Wish}
		for _, f := range in.Beside {
			d.Beside = append(d.Beside, batch.File{Name: f.Name, Content: bytes.NewReader(f.Content),
				Size: int64(len(f.Content))})
		}
		v, err := s.judge(ctx, d)
		if errors.Is(err, errLost) || ctx.Err() != nil {
			return err
		}
		got(v, err)
	}
	return nil
}

// openParcels is a queue whose service takes parcels, with so many workers.
func openParcels(t *testing.T, workers int, change ...func(*batch.Config)) (d *desk) {
	t.Helper()
	d = open(t, func(c *batch.Config) {
		c.Concurrency = workers
		c.JudgeParcel = func(ctx context.Context, p batch.Parcel, got func(batch.Verdict, error)) error {
			return d.judgeParcel(ctx, p, got) // there is none before there is d
		}
		for _, do := range change {
			do(c)
		}
	})
	return d
}

// TestParcels hands small documents over together, with what lies beside them, and large ones alone; each has its own
// result, whatever became of the others.
func TestParcels(t *testing.T) {
	d := openParcels(t, 1)
	id := d.begin("ezd", batch.Wish{Policy: "strict"})
	u, err := d.queue.Upload(t.Context(), "ezd", id)
	d.must(err)
	large := strings.Repeat("x", 70<<10)
	for i, content := range []string{"one", large, "bad", "failing", "busy", "garbage"} {
		d.must(u.Document(fmt.Sprint(i), strings.NewReader(content)))
		if i == 0 {
			d.must(u.Beside("one.txt", strings.NewReader("signed")))
		}
	}
	_, err = u.Commit(t.Context(), 0)
	d.must(err)
	if info := d.finished("ezd", id); info.Judged != 6 || info.Refused != 3 {
		t.Errorf("%+v", info)
	}
	all := d.results("ezd", id)
	if len(all) != 6 || all[0].Report["sha256"] != digest("oneone.txtsigned") || all[0].Report["policy"] != "strict" ||
		all[1].Report["sha256"] != digest(large) || all[2].Problem.Status != 422 || all[3].Problem.Status != 500 ||
		all[4].Report["sha256"] != digest("busy") || all[5].Problem.Status != 500 {
		t.Errorf("%+v", all)
	}
	if d.count("parcel:failing")+d.count("3") != 3 || d.count("1") != 1 {
		t.Errorf("tries: %v", d.calls)
	}
	if !slices.Contains(d.parcels, 4) && !slices.Contains(d.parcels, 5) {
		t.Errorf("parcels of %v documents", d.parcels)
	}
	d.awaitNothingLeft()
}

// TestPoisonInAParcel: what ends the service fails alone; what was handed over with it is judged again, one by one, and
// what had its answer before is not.
func TestPoisonInAParcel(t *testing.T) {
	d := openParcels(t, 1)
	id := d.begin("ezd", batch.Wish{})
	d.change("ezd", id, "pause") // so that they come together
	d.add("ezd", id, "a", "b", "poison", "c", "d")
	d.change("ezd", id, "resume")
	if info := d.finished("ezd", id); info.Refused != 1 {
		t.Errorf("%+v", info)
	}
	for n, l := range d.results("ezd", id) {
		if (l.Problem != nil) != (n == 2) {
			t.Errorf("document %d: %+v", n, l)
		}
	}
	if !slices.Equal(d.parcels, []int{5}) || d.count("parcel:poison")+d.count("ezd-2") != 3 {
		t.Errorf("parcels of %v, tries %v", d.parcels, d.calls)
	}
	if d.count("ezd-1") != 0 || d.count("ezd-3") != 1 || d.count("ezd-4") != 1 {
		t.Errorf("handed over alone: %v", d.calls)
	}
}

// TestSuspectsOfAParcelAreAlone: over which of a parcel's documents the service was lost is found with nothing beside
// it.
func TestSuspectsOfAParcelAreAlone(t *testing.T) {
	var inside, crowded atomic.Int64
	entered, back := make(chan struct{}, 100), make(chan struct{}, 100)
	d := open(t, func(c *batch.Config) {
		c.Concurrency = 2 // one for each owner
		c.JudgeParcel = func(context.Context, batch.Parcel, func(batch.Verdict, error)) error {
			return errLost
		}
		c.Ready = func(context.Context) error {
			back <- struct{}{}
			return nil
		}
		c.Judge = func(_ context.Context, d batch.Document) (batch.Verdict, error) {
			if inside.Add(1) > 1 {
				crowded.Add(1)
			}
			defer inside.Add(-1)
			if entered <- struct{}{}; d.Name == "peup-0" {
				<-back
				<-time.After(suspected) // so that who comes beside is seen
			}
			return batch.Verdict{Report: []byte("{}")}, nil
		}
	})
	other := d.begin("peup", batch.Wish{})
	d.add("peup", other, "x")
	<-entered
	id := d.begin("ezd", batch.Wish{})
	d.change("ezd", id, "pause")
	d.add("ezd", id, "a", "b", "c", "d", "e", "f")
	d.change("ezd", id, "close")
	d.change("ezd", id, "resume")
	d.await("ezd", id, func(i batch.Info) bool { return i.Judged == 6 })
	if crowded.Load() > 0 {
		t.Errorf("%d were judged beside another", crowded.Load())
	}
}

// TestVerifydTakesParcels sends a parcel and takes its answers one by one; where verifyd is lost between them, the
// others have none, and where it refuses the whole, nobody is to blame.
func TestVerifydTakesParcels(t *testing.T) {
	frames := append(parcel.AppendDocument(nil, 3), "one"...)
	p := batch.Parcel{Frames: append(parcel.AppendDocument(frames, 3), "two"...), Documents: 2,
		Wish: batch.Wish{Policy: "strict", Language: "pl"}}
	answered := make(chan struct{})
	for name, c := range map[string]struct {
		second func(w http.ResponseWriter)
		got    []string
		is     func(error) bool
	}{
		"both": {func(w http.ResponseWriter) { answer(t, w, 200, `{"two":2}`) },
			[]string{`{"one":1} <nil>`, `{"two":2} <nil>`}, func(err error) bool { return err == nil }},
		"a problem": {func(w http.ResponseWriter) { answer(t, w, 422, `{"detail":"nothing in it"}`) },
			[]string{`{"one":1} <nil>`, ` nothing in it`}, func(err error) bool { return err == nil }},
		"lost": {func(http.ResponseWriter) { panic(http.ErrAbortHandler) },
			[]string{`{"one":1} <nil>`}, isLost},
	} {
		v := verifyd(t, func(w http.ResponseWriter, r *http.Request) {
			data, err := io.ReadAll(r.Body)
			if err != nil || !bytes.Equal(data, p.Frames) || r.URL.String() != "/v1/parcels?policy=strict" ||
				r.Header.Get("Content-Type") != parcel.MediaType || r.Header.Get("Accept-Language") != "pl" {
				t.Errorf("%s: %s %v: %q, %v", name, r.URL, r.Header, data, err)
			}
			answer(t, w, 200, `{"one":1}`)
			<-answered // which has come while the second is being judged
			c.second(w)
		})
		var got []string
		err := v.JudgeParcel(t.Context(), p, func(v batch.Verdict, err error) {
			if got = append(got, fmt.Sprintf("%s %v", v.Report, err)); len(got) == 1 {
				answered <- struct{}{}
			}
		})
		if !slices.Equal(got, c.got) || !c.is(err) {
			t.Errorf("%s: %q, %v", name, got, err)
		}
	}
	old := verifyd(t, func(w http.ResponseWriter, _ *http.Request) { problem.NotFound(w) })
	if err := old.JudgeParcel(t.Context(), p, func(batch.Verdict, error) { t.Error("an answer") }); !isRefusal(404)(err) {
		t.Errorf("a verifyd that takes none: %v", err)
	}
}

// answer sends a frame and has it leave.
func answer(t *testing.T, w http.ResponseWriter, status int, content string) {
	t.Helper()
	_, err := w.Write(append(parcel.AppendAnswer(nil, status, len(content)), content...))
	if err = errors.Join(err, http.NewResponseController(w).Flush()); err != nil {
		t.Error(err)
	}
}

// TestParcelsRefused: what verifyd does not take together it is given one by one, and nobody is to blame.
func TestParcelsRefused(t *testing.T) {
	d := open(t, func(c *batch.Config) {
		c.Concurrency = 1
		c.JudgeParcel = func(context.Context, batch.Parcel, func(batch.Verdict, error)) error {
			return &batch.Refusal{Status: 404, Detail: "there is nothing at this address"}
		}
	})
	d.crowd = 2
	id := d.begin("ezd", batch.Wish{})
	d.add("ezd", id, "a", "b", "c")
	if info := d.finished("ezd", id); info.Judged != 3 || info.Refused != 0 || d.queue.Stats().Retries != 0 {
		t.Errorf("%+v, %+v", info, d.queue.Stats())
	}
}

// TestParcelsTakeTurns: a parcel is handed over once its owner's turn comes, and keeps another owner's document waiting
// no longer than a document does.
func TestParcelsTakeTurns(t *testing.T) {
	d := openParcels(t, 3)
	d.arrived, d.hold = make(chan string, 2000), make(chan struct{})
	many := d.begin("many", batch.Wish{})
	contents := make([]string, 1000)
	for i := range contents {
		contents[i] = "many"
	}
	d.add("many", many, contents...)
	<-d.arrived
	<-d.arrived // all that one owner may have judged at a time
	one := d.begin("one", batch.Wish{})
	d.add("one", one, "x")
	select {
	case next := <-d.arrived:
		if next != "one-0" {
			t.Errorf("%s came first", next)
		}
	case <-time.After(20 * time.Second):
		t.Fatal("one waits for all of many")
	}
	close(d.hold)
	d.finished("one", one)
	if info := d.finished("many", many); info.Judged != 1000 || info.Refused != 0 {
		t.Errorf("%+v", info)
	}
}

// TestParcelsOfFilesBelow: how large a file is that lies elsewhere shows when its turn comes; a large one goes alone.
func TestParcelsOfFilesBelow(t *testing.T) {
	dir := t.TempDir()
	large := strings.Repeat("x", 70<<10)
	for name, content := range map[string]string{"1": "one", "2": large, "3": "three", "4": "four"} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	root, err := os.OpenRoot(dir)
	if err != nil {
		t.Fatal(err)
	}
	defer root.Close()
	d := openParcels(t, 1, func(c *batch.Config) {
		c.Roots = map[string]batch.Root{"archive": {Folder: root, Owners: []string{"ezd"}}}
	})
	id := d.begin("ezd", batch.Wish{})
	u, err := d.queue.Upload(t.Context(), "ezd", id)
	d.must(err)
	d.must(u.Sources(strings.NewReader(`{"root":"archive","folder":"."}{"root":"archive","path":"5"}`)))
	_, err = u.Commit(t.Context(), 0)
	d.must(err)
	if info := d.finished("ezd", id); info.Judged != 5 || info.Refused != 1 {
		t.Errorf("%+v", info)
	}
	all := d.results("ezd", id)
	if all[0].Report["sha256"] != digest("one") || all[1].Report["sha256"] != digest(large) ||
		all[4].Problem.Status != 404 {
		t.Errorf("%+v", all)
	}
	if !slices.Equal(d.parcels, []int{3}) || d.count("2") != 1 {
		t.Errorf("parcels of %v, tries %v", d.parcels, d.calls)
	}
}
