package api

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"trustcore/verify"
)

// waiting is a judge whose verdict waits for evidence, and a clock.
type waiting struct {
	*service
	mu     sync.Mutex
	now    time.Time
	again  bool // what the judge says: ask again in ten seconds
	fails  error
	judged []string
}

func newWaiting(t *testing.T, change func(*Config)) *waiting {
	t.Helper()
	w := &waiting{now: time.Date(2026, 3, 3, 12, 0, 0, 0, time.UTC), again: true}
	w.service = newService(t, func(c *Config) {
		c.Caller = func(r *http.Request) string { return r.Header.Get("Caller") }
		c.Judge = w.judge
		if change != nil {
			change(c)
		}
	})
	w.api.later.now = w.clock
	return w
}

func (w *waiting) clock() time.Time {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.now
}

// set changes what the judge says, some time later.
func (w *waiting) set(after time.Duration, again bool, fails error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.now, w.again, w.fails = w.now.Add(after), again, fails
}

func (w *waiting) judge(_ context.Context, r verify.Request) (*verify.Report, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.judged = append(w.judged, string(r.Document)+string(joined(r.Passwords)))
	report := &verify.Report{ValidationTime: w.now, Signatures: []verify.SignatureReport{{ID: "S-1", Indication: verify.TotalPassed}}}
	if at := w.now.Add(10 * time.Second); w.again {
		report.Signatures = append(report.Signatures, verify.SignatureReport{Indication: verify.Indeterminate, SubIndication: verify.TryLater, TryAgain: &at})
	}
	return report, w.fails
}

func joined(parts [][]byte) (all []byte) {
	for _, p := range parts {
		all = append(append(all, '+'), p...)
	}
	return all
}

// ask makes a request, as a caller.
func (s *service) ask(method, path string, body io.Reader, headers ...string) (int, map[string]any, http.Header) {
	s.t.Helper()
	request, err := http.NewRequestWithContext(s.t.Context(), method, s.url+path, body)
	if err != nil {
		s.t.Fatal(err)
	}
	for _, h := range headers {
		name, value, _ := strings.Cut(h, ": ")
		request.Header.Set(name, value)
	}
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		s.t.Fatal(err)
	}
	defer response.Body.Close()
	var answer map[string]any
	if err := json.NewDecoder(response.Body).Decode(&answer); err != nil && !errors.Is(err, io.EOF) {
		s.t.Fatal(err)
	}
	return response.StatusCode, answer, response.Header
}

// bring sends a document whose result may come later, and returns its address.
func (w *waiting) bring(caller, document string) string {
	w.t.Helper()
	status, _, header := w.ask(http.MethodPost, validations+"?later=true", strings.NewReader(document), "Caller: "+caller)
	if status != http.StatusOK {
		w.t.Errorf("%s: %d", document, status)
	}
	return header.Get("Location")
}

// due judges again what is due, as Run does, and returns how many.
func (w *waiting) due() (n int) {
	for p := w.api.later.next(); p != nil; p = w.api.later.next() {
		w.api.again(w.t.Context(), p)
		n++
	}
	return n
}

// empty fails unless nothing is left of what was kept.
func (w *waiting) empty() {
	w.t.Helper()
	until(w.t, "the end of all turns", func() bool { held, _, _ := w.api.turns.state(); return held == 0 })
	if used := w.api.spool.room.used.Load(); used != 0 || len(w.api.later.kept) != 0 {
		w.t.Errorf("%d bytes, %d promises are left", used, len(w.api.later.kept))
	}
}

// TestLater goes from a verdict that waits to the final one.
func TestLater(t *testing.T) {
	w := newWaiting(t, nil)
	status, answer, header := w.ask(http.MethodPost, validations, strings.NewReader("letter"), "Caller: ezd", "Prefer: wait=5, respond-async")
	at := header.Get("Location")
	if status != http.StatusOK || len(answer["signatures"].([]any)) != 2 || header.Get("Retry-After") != "10" ||
		header.Get("Preference-Applied") != "respond-async" || !strings.HasPrefix(at, "/v1/validations/") || len(at) < len("/v1/validations/")+26 {
		t.Fatalf("%d %v %v", status, answer, header)
	}
	w.set(4*time.Second, true, nil)
	if n := w.due(); n != 0 {
		t.Errorf("%d judged before the time", n)
	}
	if status, answer, header := w.ask(http.MethodGet, at, nil, "Caller: ezd"); status != http.StatusAccepted || header.Get("Retry-After") != "6" ||
		len(answer["signatures"].([]any)) != 2 {
		t.Errorf("%d %v %v", status, answer, header)
	}
	w.set(6*time.Second, true, nil)
	if n := w.due(); n != 1 {
		t.Errorf("%d judged, when it is due", n)
	}
	if status, _, header := w.ask(http.MethodGet, at, nil, "Caller: ezd"); status != http.StatusAccepted || header.Get("Retry-After") != "10" {
		t.Errorf("still nothing: %d %v", status, header)
	}
	w.set(10*time.Second, false, errors.New("no room"))
	w.due()
	if status, _, header := w.ask(http.MethodGet, at, nil, "Caller: ezd"); status != http.StatusAccepted || header.Get("Retry-After") != "60" {
		t.Errorf("it could not be judged: %d %v", status, header)
	}
	w.set(time.Minute, false, nil)
	if n := w.due(); n != 1 || strings.Join(w.judged, " ") != "letter letter letter letter" {
		t.Errorf("%d: %v", n, w.judged)
	}
	for range 2 { // it is no message that is gone when it was read
		if status, answer, header := w.ask(http.MethodGet, at, nil, "Caller: ezd"); status != http.StatusOK || len(answer["signatures"].([]any)) != 1 ||
			header.Get("Retry-After") != "" {
			t.Errorf("%d %v", status, answer)
		}
	}
	if w.api.later.kept[at[len("/v1/validations/"):]].call.body != nil {
		t.Error("the document is kept beyond its final result")
	}
	w.set(laterLife, false, nil)
	if status, _, _ := w.ask(http.MethodGet, at, nil, "Caller: ezd"); status != http.StatusNotFound {
		t.Errorf("after a day: %d", status)
	}
	w.empty()
}

// TestLaterPauses: a report whose time has come already does not keep the judge busy.
func TestLaterPauses(t *testing.T) {
	w := newWaiting(t, nil)
	w.set(0, true, nil)
	at := w.bring("ezd", "letter")
	w.set(time.Hour, true, nil)
	w.api.cfg.Judge = func(context.Context, verify.Request) (*verify.Report, error) {
		past := w.clock().Add(-time.Minute)
		return &verify.Report{Signatures: []verify.SignatureReport{{TryAgain: &past}}}, nil
	}
	if p := w.api.later.next(); p == nil {
		t.Fatal("it is not due")
	} else {
		w.api.again(t.Context(), p)
	}
	if w.api.later.next() != nil {
		t.Error("judged again at once")
	}
	if status, _, header := w.ask(http.MethodGet, at, nil, "Caller: ezd"); status != http.StatusAccepted || header.Get("Retry-After") != "5" {
		t.Errorf("%d %v", status, header)
	}
}

// TestLaterOnlyWhereItHelps: nothing is kept of a final verdict, or where nobody asked.
func TestLaterOnlyWhereItHelps(t *testing.T) {
	w := newWaiting(t, nil)
	for _, test := range []struct {
		query, prefer string
		again         bool
		kept          bool
	}{
		{"", "", true, false}, {"?later=false", "respond-async", true, false}, {"", "wait=10", true, false}, {"", "respond-asynchronously", true, false},
		{"?later=true", "", false, false}, {"", "RESPOND-ASYNC; x=1", true, true},
	} {
		w.set(0, test.again, nil)
		_, _, header := w.ask(http.MethodPost, validations+test.query, strings.NewReader("letter"), "Prefer: "+test.prefer)
		if kept := header.Get("Location") != ""; kept != test.kept {
			t.Errorf("%+v: kept %v", test, kept)
		}
	}
	w.wantProblem(validations+"?later=soon", "", "x", 400, "later")
}

// TestLaterIsTheOwners: nobody else learns that there is a result, nor erases it.
func TestLaterIsTheOwners(t *testing.T) {
	w := newWaiting(t, nil)
	at := w.bring("ezd", "letter")
	_, unknown, _ := w.ask(http.MethodGet, validations+"/NOSUCHIDNOSUCHIDNOSUCHID", nil, "Caller: archive")
	for _, method := range []string{http.MethodGet, http.MethodDelete} {
		status, answer, _ := w.ask(method, at, nil, "Caller: archive")
		if status != http.StatusNotFound || answer["detail"] != unknown["detail"] {
			t.Errorf("%s by another: %d %v", method, status, answer)
		}
	}
	if status, _, _ := w.ask(http.MethodDelete, at, nil, "Caller: ezd"); status != http.StatusNoContent {
		t.Errorf("erased by its owner: %d", status)
	}
	if status, _, _ := w.ask(http.MethodGet, at, nil, "Caller: ezd"); status != http.StatusNotFound {
		t.Errorf("after it was erased: %d", status)
	}
	w.empty()
}

// TestLaterErasedWhileJudged: the document is no more when its judgement ends.
func TestLaterErasedWhileJudged(t *testing.T) {
	w := newWaiting(t, nil)
	at := w.bring("ezd", "letter")
	w.set(time.Minute, false, nil)
	p := w.api.later.next()
	if p == nil || w.api.later.next() != nil {
		t.Fatal("it is due once")
	}
	w.ask(http.MethodDelete, at, nil, "Caller: ezd")
	w.api.again(t.Context(), p)
	w.empty()
}

// TestLaterIsBounded: one caller leaves room for others, in number and in octets, and who finds none has his verdict.
func TestLaterIsBounded(t *testing.T) {
	w := newWaiting(t, func(c *Config) { c.Spool = 1 << 22 })
	for i := range laterOfOne {
		if w.bring("ezd", "letter") == "" {
			t.Fatalf("no room for %d", i)
		}
	}
	if w.bring("ezd", "letter") != "" {
		t.Error("one caller takes more than his share")
	}
	if w.bring("archive", "letter") == "" {
		t.Error("no room for another caller")
	}
	w = newWaiting(t, nil)
	w.api.later.room = 1000
	letter := strings.Repeat("x", 400)
	for _, test := range []struct {
		caller string
		kept   bool
	}{{"a", true}, {"a", false}, {"b", true}, {"c", false}} {
		if kept := w.bring(test.caller, letter) != ""; kept != test.kept {
			t.Errorf("%+v: %v", test, kept)
		}
	}
}

// TestLaterNumbers bounds the promises of all callers.
func TestLaterNumbers(t *testing.T) {
	l := newLater(1<<20, time.Now)
	for i := range laterMost {
		if _, kept := l.add(&promise{call: &call{caller: fmt.Sprint(i)}, until: time.Now().Add(time.Hour)}); !kept {
			t.Fatal(i)
		}
	}
	if _, kept := l.add(&promise{call: &call{caller: "one more"}, until: time.Now().Add(time.Hour)}); kept {
		t.Error("promises without number")
	}
}

// TestLaterKeepsNoPlainText: a small document too lies enciphered in a file without a name, passwords with it.
func TestLaterKeepsNoPlainText(t *testing.T) {
	dir := t.TempDir()
	w := newWaiting(t, func(c *Config) { c.SpoolDir = dir })
	media, body := form(t, "document:a.pdf=letter", "password=tajne")
	status, _, header := w.ask(http.MethodPost, validations+"?later=true", body, "Content-Type: "+media)
	if status != http.StatusOK || header.Get("Location") == "" {
		t.Fatal(status, header)
	}
	if names, err := os.ReadDir(dir); err != nil || len(names) != 0 {
		t.Errorf("%v %v", names, err)
	}
	for _, p := range w.api.later.kept {
		octets := make([]byte, 1000)
		n, _ := p.call.body.file.ReadAt(octets, 0)
		if p.call.body.memory != nil || n == 0 || strings.Contains(string(octets[:n]), "tajne") || strings.Contains(string(octets[:n]), "letter") {
			t.Errorf("%q", octets[:n])
		}
	}
	w.set(time.Minute, false, nil)
	if w.due(); strings.Join(w.judged, " ") != "letter+tajne letter+tajne" {
		t.Errorf("judged %v", w.judged)
	}
}

// TestRun judges again by itself, and ends with its context.
func TestRun(t *testing.T) {
	w := newWaiting(t, nil)
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error)
	go func() { ended <- w.api.Run(ctx) }()
	at := w.bring("ezd", "letter")
	w.set(time.Minute, false, nil)
	w.api.later.wake()
	until(t, "the final result", func() bool {
		status, _, _ := w.ask(http.MethodGet, at, nil, "Caller: ezd")
		return status == http.StatusOK
	})
	cancel()
	if err := <-ended; err != nil {
		t.Error(err)
	}
}

// TestNotReady: nothing is judged while nothing can be, and what judges nothing is served.
func TestNotReady(t *testing.T) {
	s := newService(t, func(c *Config) {
		c.Ready = func() error {
			return refuse(http.StatusServiceUnavailable, "", "no trusted list is in use, so nothing can be judged now: ask again later")
		}
	})
	for _, path := range []string{validations, certificates, dssSignaturePath} {
		if status, _, header := s.post(path, "", strings.NewReader("x")); status != http.StatusServiceUnavailable || header.Get("Retry-After") == "" {
			t.Errorf("%s: %d", path, status)
		}
	}
	if status, _, _ := s.get(http.MethodGet, "/v1/services"); status != http.StatusOK {
		t.Errorf("services: %d", status)
	}
}

// TestTheLogNamesWhoAsked, what and with which outcome, and nothing of what was sent.
func TestTheLogNamesWhoAsked(t *testing.T) {
	var log bytes.Buffer
	w := newWaiting(t, func(c *Config) { c.Logger = slog.New(slog.NewTextHandler(&log, nil)) })
	w.bring("ezd", "Zażalenie")
	w.ask(http.MethodPost, validations+"?at=soon", strings.NewReader("Zażalenie"), "Caller: archive")
	w.ask(http.MethodGet, "/v1/services", nil, "Caller: archive")
	for _, want := range []string{`caller=ezd route="POST /v1/validations" served=true`, `caller=archive route="POST /v1/validations" served=false`,
		`caller=archive route="GET /v1/services" served=true`} {
		if !strings.Contains(log.String(), want) {
			t.Errorf("%s does not stand in %s", want, &log)
		}
	}
	if strings.Contains(log.String(), "Zażalenie") {
		t.Errorf("the log has what was sent: %s", &log)
	}
}
