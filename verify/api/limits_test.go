package api

import (
	"bytes"
	"compress/gzip"
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	"trustcore/internal/problem"
	"trustcore/verify"
)

// until waits for what another goroutine does.
func until(t *testing.T, what string, holds func() bool) {
	t.Helper()
	for deadline := time.Now().Add(20 * time.Second); !holds(); time.Sleep(time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("%s did not come", what)
		}
	}
}

// state reads what the turns are at.
func (t *turns) state() (held, waiting int, taken int64) {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.held, len(t.queue), t.taken
}

// gate is a judge that lets a document through when it is told.
type gate struct {
	started chan struct{}
	release chan struct{}
}

func (g *gate) judge(context.Context) (*verify.Report, error) {
	g.started <- struct{}{}
	<-g.release
	return &verify.Report{}, nil
}

func newGate() *gate { return &gate{make(chan struct{}, 100), make(chan struct{})} }

// TestOverload fills the one turn and the one place to wait; the next request is told to come again, before its body is read.
func TestOverload(t *testing.T) {
	s := newService(t, nil)
	g := newGate()
	s.do = g.judge
	done := make(chan int, 2)
	send := func() {
		response, err := http.Post(s.url+validations, "application/octet-stream", strings.NewReader("x"))
		if err != nil {
			done <- 0
			return
		}
		_ = response.Body.Close()
		done <- response.StatusCode
	}
	go send()
	<-g.started
	go send()
	until(t, "the second request", func() bool { _, waiting, _ := s.api.turns.state(); return waiting == 1 })
	status, answer, header := s.post(validations, "application/octet-stream", strings.NewReader("x"))
	if status != http.StatusServiceUnavailable || header.Get("Retry-After") == "" {
		t.Errorf("%d %v %v", status, header, answer)
	}
	body, recorder := &countingReader{left: 500}, httptest.NewRecorder()
	s.api.ServeHTTP(recorder, httptest.NewRequest(http.MethodPost, validations, body))
	if recorder.Code != http.StatusServiceUnavailable || body.read != 0 {
		t.Errorf("%d after %d bytes", recorder.Code, body.read)
	}
	close(g.release)
	for range 2 {
		if status := <-done; status != http.StatusOK {
			t.Errorf("one that waited: %d", status)
		}
	}
}

// TestSlowClientsKeepNothing: 70 connections that send a byte of their body each, which is more than may wait, and a good
// request among them.
func TestSlowClientsKeepNothing(t *testing.T) {
	s := newService(t, func(c *Config) { c.Waiting = 2 })
	for i := range 70 {
		conn, err := net.Dial("tcp", strings.TrimPrefix(s.url, "http://"))
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close()
		path := []string{validations, certificates, dssSignaturePath}[i%3]
		if _, err := fmt.Fprintf(conn, "POST %s HTTP/1.1\r\nHost: a\r\nContent-Length: 1000\r\n\r\nx", path); err != nil {
			t.Fatal(err)
		}
	}
	for range 10 {
		if status, answer, _ := s.post(validations, "application/octet-stream", strings.NewReader("x")); status != http.StatusOK {
			t.Errorf("%d %v", status, answer)
		}
	}
	if held, waiting, taken := s.api.turns.state(); held != 0 || waiting != 0 || taken != 0 {
		t.Errorf("%d turns, %d waiting, %d bytes", held, waiting, taken)
	}
}

// TestTheClientThatIsGone ends its work when it is being judged, and its waiting when it is not.
func TestTheClientThatIsGone(t *testing.T) {
	s := newService(t, nil)
	started, ended := make(chan struct{}), make(chan error, 1)
	s.do = func(ctx context.Context) (*verify.Report, error) {
		close(started)
		<-ctx.Done()
		ended <- ctx.Err()
		return nil, fmt.Errorf("judging was given up: %w", ctx.Err())
	}
	leave := func() context.CancelFunc {
		ctx, cancel := context.WithCancel(t.Context())
		request, err := http.NewRequestWithContext(ctx, http.MethodPost, s.url+validations, strings.NewReader("x"))
		if err != nil {
			t.Fatal(err)
		}
		go func() {
			if response, err := http.DefaultClient.Do(request); err == nil {
				_ = response.Body.Close()
			}
		}()
		return cancel
	}
	judged := leave()
	<-started
	waits := leave()
	until(t, "the second request", func() bool { _, waiting, _ := s.api.turns.state(); return waiting == 1 })
	waits()
	until(t, "the end of the waiting", func() bool { _, waiting, _ := s.api.turns.state(); return waiting == 0 })
	judged()
	select {
	case err := <-ended:
		if !errors.Is(err, context.Canceled) {
			t.Error(err)
		}
	case <-time.After(20 * time.Second):
		t.Fatal("the work goes on")
	}
	until(t, "the end of the turn", func() bool { held, _, taken := s.api.turns.state(); return held == 0 && taken == 0 })
}

// TestMemoryBoundsTurns: what is judged at once may take what is configured together, no more.
func TestMemoryBoundsTurns(t *testing.T) {
	const size = 500
	s := newService(t, func(c *Config) { c.Concurrency, c.Waiting, c.Memory = 10, 100, 3*(workDocument+workByte*size) })
	g := newGate()
	s.do = g.judge
	var all sync.WaitGroup
	for range 8 {
		all.Go(func() {
			response, err := http.Post(s.url+validations, "", bytes.NewReader(make([]byte, size)))
			if err == nil {
				err = response.Body.Close()
			}
			if err != nil || response.StatusCode != http.StatusOK {
				t.Error(response, err)
			}
		})
	}
	until(t, "all requests", func() bool { held, waiting, _ := s.api.turns.state(); return held+waiting == 8 })
	if held, waiting, taken := s.api.turns.state(); held != 3 || waiting != 5 || taken > s.api.turns.bytes {
		t.Errorf("%d are judged, %d wait, %d bytes", held, waiting, taken)
	}
	close(g.release)
	all.Wait()
	if _, err := New(Config{Judge: s.judge, Certificate: newAuthority(t).judge, Logger: slog.New(slog.DiscardHandler), Memory: workDocument}); err == nil {
		t.Error("memory that is too small for one document was taken")
	}
}

// TestCrowded: whose body took so long that the line is full now is told to come again too.
func TestCrowded(t *testing.T) {
	l := line{&turns{places: 1, bytes: 1, waiting: 1}, t}
	l.ask(1)
	l.ask(1)
	ctx, cancel := context.WithTimeout(t.Context(), time.Second)
	defer cancel()
	var p *problem.Problem
	if _, err := l.take(ctx, 1); !errors.As(err, &p) || p.Status != http.StatusServiceUnavailable || !strings.Contains(p.Detail, "too many") {
		t.Error(err)
	}
	l.want(1, 1)
}

// TestOneLargeRequestAtATime, even where two would fit: they take long, and others want to be judged beside them.
func TestOneLargeRequestAtATime(t *testing.T) {
	l := line{&turns{places: 10, bytes: 100 * workDocument, waiting: 10}, t}
	first := l.ask(largeCost)
	l.ask(largeCost)
	l.ask(workDocument)
	l.want(2, 1)
	(<-first)()
	l.want(2, 0)
}

// line is turns under the test's hand.
type line struct {
	*turns
	t *testing.T
}

func (l line) ask(cost int64) chan func() {
	turn := make(chan func(), 1)
	_, before, _ := l.state()
	held, _, _ := l.state()
	go func() {
		done, err := l.take(context.Background(), cost)
		if err != nil {
			l.t.Error(err)
		}
		turn <- done
	}()
	until(l.t, "the place in the line", func() bool { h, w, _ := l.state(); return h+w > held+before })
	return turn
}

func (l line) want(held, waiting int) {
	l.t.Helper()
	if h, w, _ := l.state(); h != held || w != waiting {
		l.t.Errorf("%d have turns and %d wait, want %d and %d", h, w, held, waiting)
	}
}

// TestLargeRequestsTakeTurns: small ones pass a large one that waits, until its patience is over; then it comes first.
func TestLargeRequestsTakeTurns(t *testing.T) {
	l := line{&turns{places: 10, bytes: 5 * workDocument, waiting: 100}, t}
	const small, large = workDocument, 3 * workDocument
	first := l.ask(large)
	second := l.ask(large)
	l.want(1, 1)
	ones := []chan func(){l.ask(small), l.ask(small)}
	l.want(3, 1) // the small ones pass
	(<-first)()
	l.want(3, 0) // and the second large one follows the first
	(<-second)()
	third := l.ask(4 * workDocument)
	l.want(2, 1) // it does not fit beside two small ones
	ones = append(ones, l.ask(small))
	l.want(3, 1)
	l.mu.Lock()
	l.queue[0].since = time.Now().Add(-patience)
	l.mu.Unlock()
	late := l.ask(small)
	l.want(3, 2) // its patience is over: nobody passes any more
	(<-ones[0])()
	l.want(2, 2)
	(<-ones[1])()
	l.want(2, 1) // it has its turn beside the last small one
	(<-ones[2])()
	l.want(2, 0)
	(<-third)()
	(<-late)()
	l.want(0, 0)
	if _, _, taken := l.state(); taken != 0 {
		t.Errorf("%d bytes are taken", taken)
	}
}

// TestReady: judging is blocked when turns stop to end while all are held, or somebody waits; being busy is no fault.
func TestReady(t *testing.T) {
	s := newService(t, func(c *Config) { c.Concurrency = 2 })
	l := line{&s.api.turns, t}
	later := func() time.Time { return time.Now().Add(blockedTime + time.Second) }
	want := func(ready bool) {
		t.Helper()
		if err := s.api.Ready(later()); (err == nil) != ready {
			t.Errorf("%v, want ready %t", err, ready)
		}
		if err := s.api.Ready(time.Now()); err != nil {
			t.Errorf("at once: %v", err)
		}
	}
	want(true)
	one := <-l.ask(1)
	want(true)
	two := <-l.ask(1)
	want(false)
	two()
	want(true)
	waits := l.ask(l.bytes)
	want(false)
	one()
	(<-waits)()
	want(true)
}

// TestSpool: bodies beyond what is kept in memory wait in files that nobody sees, bounded in sum, and leave nothing.
func TestSpool(t *testing.T) {
	dir := t.TempDir()
	s := newService(t, func(c *Config) { c.MaxDocument, c.SpoolDir, c.Spool, c.Waiting = 1<<20, dir, 5*inMemory, 100 })
	for _, size := range []int{1, inMemory - 1, inMemory, inMemory + 1, 4*inMemory + 7} {
		data := bytes.Repeat([]byte("0123456"), size/7+1)[:size]
		if status, answer, _ := s.post(validations, "", bytes.NewReader(data)); status != http.StatusOK || s.last.data != string(data) {
			t.Errorf("%d bytes: %d %v", size, status, answer)
		}
		media, body := form(t, "detached:a="+string(data), "document:b=signature", "detached:c=end")
		if status, answer, _ := s.post(validations, media, body); status != http.StatusOK || s.last.data != "signature" || s.last.detached[0] != "a="+string(data) || s.last.detached[1] != "c=end" {
			t.Errorf("form with %d bytes: %d %v", size, status, answer)
		}
		text := fmt.Sprintf(`{"signedDocument":{"bytes":"%s"}}`, base64.StdEncoding.EncodeToString(data[:min(size, 3*inMemory)]))
		if status, answer, _ := s.post(dssSignaturePath, "", strings.NewReader(text)); status != http.StatusOK || s.last.data != string(data[:min(size, 3*inMemory)]) {
			t.Errorf("JSON with %d bytes: %d %v", size, status, answer)
		}
	}
	g := newGate()
	s.do = g.judge
	done := make(chan int, 1)
	go func() {
		status, _, _ := s.post(validations, "", bytes.NewReader(make([]byte, 4*inMemory)))
		done <- status
	}()
	until(t, "the first request", func() bool { held, _, _ := s.api.turns.state(); return held == 1 })
	if names, err := os.ReadDir(dir); err != nil || len(names) != 0 {
		t.Errorf("%v, %v", names, err)
	}
	status, answer, header := s.post(validations, "", bytes.NewReader(make([]byte, 2*inMemory)))
	if status != http.StatusServiceUnavailable || header.Get("Retry-After") != "5" {
		t.Errorf("beyond the spool: %d %v", status, answer)
	}
	close(g.release)
	if status := <-done; status != http.StatusOK {
		t.Errorf("the one that had room: %d", status)
	}
	until(t, "the end of the turn", func() bool { held, _, _ := s.api.turns.state(); return held == 0 })
	if used := s.api.spool.room.used.Load(); used != 0 {
		t.Errorf("%d bytes of the spool are lost", used)
	}
}

// TestSpoolThatFails tells the client to come again, and the log why.
func TestSpoolThatFails(t *testing.T) {
	s := newService(t, func(c *Config) { c.MaxDocument, c.SpoolDir = 1<<20, "/nowhere/at/all" })
	status, answer, header := s.post(validations, "", bytes.NewReader(make([]byte, 2*inMemory)))
	if status != http.StatusServiceUnavailable || header.Get("Retry-After") == "" || strings.Contains(fmt.Sprint(answer), "nowhere") {
		t.Errorf("%d %v", status, answer)
	}
}

// TestFaultsStayInside: a fault of judging, and a panic of a handler, are 500 with an id; the log has the stack.
func TestFaultsStayInside(t *testing.T) {
	for name, do := range map[string]func(context.Context) (*verify.Report, error){
		"fault": func(context.Context) (*verify.Report, error) {
			return nil, fmt.Errorf("judging: %w", &verify.Fault{Reason: "the inner sanctum", Stack: []byte("goroutine 1 of the inner sanctum")})
		},
		"panic": func(context.Context) (*verify.Report, error) { panic("the inner sanctum") },
	} {
		log := &bytes.Buffer{}
		s := newService(t, func(c *Config) { c.Logger = slog.New(slog.NewTextHandler(log, nil)) })
		s.do = do
		status, answer, _ := s.post(validations, "", strings.NewReader("x"))
		if id, _ := answer["request_id"].(string); status != 500 || strings.Contains(fmt.Sprint(answer), "sanctum") || id == "" ||
			!strings.Contains(log.String(), id) || !strings.Contains(log.String(), "sanctum") || !strings.Contains(log.String(), "goroutine") {
			t.Errorf("%s: %d %v\n%s", name, status, answer, log)
		}
		until(t, "the end of the turn", func() bool { held, _, taken := s.api.turns.state(); return held == 0 && taken == 0 })
	}
}

// TestAnswersAreBounded: who does not take its answer holds no turn, and the sum of such answers is bounded.
func TestAnswersAreBounded(t *testing.T) {
	s := newService(t, nil)
	s.api.answers.max = 5000
	long := &verify.Report{SHA256: strings.Repeat("0", 4000)}
	s.do = func(context.Context) (*verify.Report, error) { return long, nil }
	held, release := make(chan struct{}), make(chan struct{})
	slow := &slowWriter{httptest.NewRecorder(), held, release}
	var all sync.WaitGroup
	all.Go(func() {
		request := httptest.NewRequest(http.MethodPost, validations, strings.NewReader("x"))
		problem.Door{Logger: s.api.cfg.Logger}.Guard(s.api).ServeHTTP(slow, request)
	})
	<-held
	if turns, _, taken := s.api.turns.state(); turns != 0 || taken != 0 {
		t.Errorf("%d turns with %d bytes for an answer that nobody takes", turns, taken)
	}
	if status, answer, _ := s.post(validations, "", strings.NewReader("x")); status != http.StatusServiceUnavailable {
		t.Errorf("%d %v", status, answer)
	}
	close(release)
	all.Wait()
	if status, answer, _ := s.post(validations, "", strings.NewReader("x")); status != http.StatusOK {
		t.Errorf("%d %v", status, answer)
	}
}

// slowWriter is a client that does not read.
type slowWriter struct {
	*httptest.ResponseRecorder
	held, release chan struct{}
}

func (w *slowWriter) Write(p []byte) (int, error) {
	if len(p) > 1000 {
		close(w.held)
		<-w.release
	}
	return w.ResponseRecorder.Write(p)
}

// TestUnknownIsRefused: parameters, fields and parts that nobody knows, those that are there twice, and compressed bodies.
func TestUnknownIsRefused(t *testing.T) {
	s := newService(t, func(c *Config) { c.MaxDocument = 1 << 20 })
	s.wantProblem(validations+"?policies=x", "", "x", 400, "policies")
	s.wantProblem(validations+"?at=2026-03-03T12:00:00Z&at=2026-03-04T12:00:00Z", "", "x", 400, "at")
	s.wantProblem(certificates+"?revoked=x", "", "x", 400, "revoked")
	s.wantProblem(certificates+"?at=2026-03-03T12:00:00Z", "application/json", "{}", 400, "at")
	s.wantProblem(certificates, "application/json", `{"certificate":"x","time":"x"}`, 400, "time")
	s.wantProblem(certificates, "application/json", `{"certificate":1}`, 400, "certificate")
	s.wantProblem(dssSignaturePath+"?at=x", "application/json", "{}", 400, "at")
	s.wantProblem(dssSignaturePath, "application/json", `{"signedDocument":{"bytes":"eA==","size":1}}`, 400, "size")
	s.wantProblem(dssSignaturePath, "application/json", `{"document":null}`, 400, "document")
	s.wantProblem(dssCertificatePath, "application/json", `{"certificates":[]}`, 400, "certificates")
	s.wantProblem(validations, "multipart/form-data", "x", 400, "Content-Type")
	s.wantProblem(validations, "a/b; c=\"", "x", 400, "Content-Type")
	for field, parts := range map[string][]string{"document": {"document:a=b", "document:c=d"}, "at": {"document:a=b", "at=2026-03-03T12:00:00Z", "at=2026-03-03T12:00:00Z"}} {
		media, body := form(t, parts...)
		s.wantProblem(validations, media, body.String(), 400, field)
	}
	media, body := form(t, "document:a=b", "at=2026-03-03T12:00:00Z")
	s.wantProblem(validations+"?at=2026-03-03T12:00:00Z", media, body.String(), 400, "at")
	s.wantProblem(dssSignaturePath, "", `{"signedDocument":{"bytes":"eA=="},"originalDocuments":[{}`+strings.Repeat(",{}", maxParts)+"]}", 400, "originalDocuments")
}

// TestCompressedDocument: what comes out of gzip is what is judged, and what the limits are about.
func TestCompressedDocument(t *testing.T) {
	s := newService(t, nil)
	for name, test := range map[string]struct {
		coding, content string
		status          int
	}{
		"gzip": {"gzip", "document", 200}, "a bomb": {"gzip", strings.Repeat("x", 1_000_000), 413}, "br": {"br", "x", 415},
	} {
		var body bytes.Buffer
		w := gzip.NewWriter(&body)
		if _, err := io.WriteString(w, test.content); err != nil {
			t.Fatal(err)
		}
		if err := w.Close(); err != nil {
			t.Fatal(err)
		}
		request, err := http.NewRequest(http.MethodPost, s.url+validations, &body)
		if err != nil {
			t.Fatal(err)
		}
		request.Header.Set("Content-Encoding", test.coding)
		response, err := http.DefaultClient.Do(request)
		if err != nil {
			t.Fatal(err)
		}
		_ = response.Body.Close()
		if response.StatusCode != test.status || test.status == 200 && s.last.data != test.content {
			t.Errorf("%s: %s, judged %q", name, response.Status, s.last.data)
		}
	}
}

// TestJSONIsBounded: a value takes two bytes of text and a hundred of memory, so their number is bounded before they are made.
func TestJSONIsBounded(t *testing.T) {
	for text, refused := range map[string]bool{
		`{"originalDocuments":[{}` + strings.Repeat(",{}", maxValues/2+1) + "]}":                                                       true,
		`{"originalDocuments":[{}` + strings.Repeat(",{}", maxParts) + "]}":                                                            false,
		`{"signatureId":"` + strings.Repeat(",{[", maxValues) + `"}`:                                                                   false,
		`{"signatureId":"\"` + strings.Repeat(",{[", maxValues) + `\\","evidenceRecords":[` + strings.Repeat("[],", maxValues) + "1]}": true,
	} {
		var in dssRequest
		err := decode(&body{size: int64(len(text)), memory: []byte(text)}, &in)
		if (err != nil) != refused || refused && (!strings.Contains(err.Error(), "values") || len(in.OriginalDocuments) > 0) {
			t.Errorf("%.60s: %v, %d documents", text, err, len(in.OriginalDocuments))
		}
	}
}

// TestUploadsStayUnderTheCeiling: 66 uploads that come in at once, where memory is for two, lie in files until their turn.
func TestUploadsStayUnderTheCeiling(t *testing.T) {
	const uploads, size = 66, 4 << 20
	s := newService(t, func(c *Config) {
		c.MaxDocument, c.Concurrency, c.Waiting, c.Memory = size, uploads, uploads, 2*(workDocument+workByte*size)
	})
	g := newGate()
	s.do = g.judge
	document := make([]byte, size)
	heap := func() int64 {
		var m runtime.MemStats
		runtime.GC()
		runtime.ReadMemStats(&m)
		return int64(m.HeapAlloc)
	}
	before := heap()
	var all sync.WaitGroup
	for range uploads {
		all.Go(func() {
			if status, answer, _ := s.post(validations, "", bytes.NewReader(document)); status != http.StatusOK {
				t.Errorf("%d %v", status, answer)
			}
		})
	}
	until(t, "all uploads", func() bool { held, waiting, _ := s.api.turns.state(); return held == 2 && waiting == uploads-2 })
	<-g.started
	<-g.started
	if took, most := heap()-before, int64(2*workByte*size+uploads*(128<<10)); took > most {
		t.Errorf("%d uploads of %d bytes take %d bytes, %d are allowed", uploads, size, took, most)
	}
	close(g.release)
	all.Wait()
}
