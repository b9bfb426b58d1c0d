package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"trustcore/cmd/internal/batch"
	"trustcore/internal/problem"
	"trustcore/internal/store"
)

// batchDesk is a queue that trustctl asks, whose documents say what their verdict is.
func batchDesk(t *testing.T, quota int64) *batches {
	t.Helper()
	dir := t.TempDir()
	db, err := store.Open(t.Context(), "sqlite://"+filepath.Join(dir, "batches.db"))
	if err != nil {
		t.Fatal(err)
	}
	q, err := batch.Open(t.Context(), batch.Config{DB: db, Dir: filepath.Join(dir, "spool"), Now: time.Now,
		Logger: slog.New(slog.DiscardHandler),
		Quota:  quota, Ready: func(context.Context) error { return nil },
		Record: func(context.Context, batch.Act) error { return nil },
		Terms:  func(string) batch.Terms { return batch.Terms{SpoolBytes: quota} },
		Judge: func(_ context.Context, d batch.Document) (batch.Verdict, error) {
			text, err := io.ReadAll(d.Content)
			if strings.HasPrefix(string(text), "bad") {
				return batch.Verdict{}, &batch.Refusal{Status: 422, Detail: "bad"}
			}
			return batch.Verdict{Report: fmt.Appendf(nil, `{"signatures":[{"indication":%q}]}`, text)}, err
		}})
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- q.Run(ctx) }()
	door := problem.Door{Name: "batches", Logger: slog.New(slog.DiscardHandler), Body: batch.Bodies(1 << 20)}
	mux := http.NewServeMux()
	for pattern, do := range q.Routes(door) {
		mux.HandleFunc(pattern, func(w http.ResponseWriter, r *http.Request) { do(w, r, "ezd") })
	}
	s := httptest.NewServer(door.Guard(mux))
	t.Cleanup(func() {
		s.Close()
		stop()
		if err := errors.Join(<-ended, q.Close(), db.Close()); err != nil {
			t.Error(err)
		}
	})
	return &batches{officer: &officer{daemon: "batchd", url: s.URL, client: s.Client()}}
}

// folderOf makes files by their names.
func folderOf(t *testing.T, files map[string]string) string {
	t.Helper()
	dir := t.TempDir()
	for name, text := range files {
		if err := errors.Join(os.MkdirAll(filepath.Join(dir, filepath.Dir(name)), 0o700),
			os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600)); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

// TestBatchSubmit sends a folder, and says by its exit status what became of it.
func TestBatchSubmit(t *testing.T) {
	b := batchDesk(t, 1<<20)
	for _, c := range []struct {
		files             map[string]string
		submitted, judged exitCode
	}{
		{map[string]string{"a.pdf": "TOTAL-PASSED", "in/b.pdf": "TOTAL-PASSED"}, 0, 0},
		{map[string]string{"a.pdf": "TOTAL-PASSED", "in/b.pdf": "TOTAL-FAILED"}, 0, notPassed},
		{map[string]string{"a.pdf": "TOTAL-FAILED", "in/b.pdf": "bad"}, notDone, notDone},
	} {
		s := submission{batches: b, watch: true}
		i, err := s.run(t.Context(), folderOf(t, c.files))
		if i == nil || i.Judged != 2 || !errors.Is(err, c.submitted.err()) {
			t.Fatalf("%v: %+v, %v", c.files, i, err)
		}
		var out bytes.Buffer
		b.out = &out
		if err := b.results(t.Context(), i.ID, "", true); !errors.Is(err, c.judged.err()) {
			t.Errorf("%v: %v", c.files, err)
		}
		lines := strings.Split(strings.TrimSpace(out.String()), "\n")
		if len(lines) != 2 || !strings.Contains(lines[0], `"name":"a.pdf"`) ||
			!strings.Contains(lines[1], `"name":"in/b.pdf"`) {
			t.Errorf("%v: %s", c.files, &out)
		}
	}
}

// TestBatchGoesOn: a batch that was not sent whole, a spool that is full, and a file with a part of the results.
func TestBatchGoesOn(t *testing.T) {
	b := batchDesk(t, 100)
	dir := folderOf(t, map[string]string{"a": "TOTAL-PASSED", "b": "TOTAL-PASSED", "c": "TOTAL-PASSED"})
	s := submission{batches: b, folder: dir, names: []string{"a", "b", "missing"}}
	if _, err := s.submit(t.Context()); err == nil || !strings.Contains(err.Error(), "--resume ") {
		t.Fatal(err)
	}
	_, id, _ := strings.Cut(errorOf(s.submit(t.Context())), "--resume ")
	first := submission{batches: b, folder: dir, names: []string{"a"}, resume: id}
	i, err := first.begin(t.Context())
	if err == nil {
		err = first.send(t.Context(), i)
	}
	if err != nil {
		t.Fatal(err)
	}
	again := submission{batches: b, folder: dir, names: []string{"a", "b", "c"}, resume: id, watch: true}
	if i, err = again.submit(t.Context()); err != nil || i.Documents != 3 || i.Judged != 3 {
		t.Fatalf("%+v, %v", i, err)
	}
	var whole bytes.Buffer
	if err := b.download(t.Context(), batchPath(id)+"/results", 0, &whole); err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(dir, "results")
	if err := os.WriteFile(file, whole.Bytes()[:70], 0o600); err != nil { // in the midst of a line
		t.Fatal(err)
	}
	for range 2 {
		if err := b.results(t.Context(), id, file, false); err != nil {
			t.Error(err)
		}
		if text, err := os.ReadFile(file); err != nil || !bytes.Equal(text, whole.Bytes()) {
			t.Errorf("%s, %v; want %s", text, err, &whole)
		}
	}
}

func errorOf(_ *batchInfo, err error) string { return fmt.Sprint(err) }
