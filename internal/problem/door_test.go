package problem

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"
)

// journal keeps what is logged.
type journal struct {
	mu   sync.Mutex
	text bytes.Buffer
}

func (j *journal) Write(p []byte) (int, error) {
	j.mu.Lock()
	defer j.mu.Unlock()
	return j.text.Write(p)
}

func (j *journal) String() string {
	j.mu.Lock()
	defer j.mu.Unlock()
	return j.text.String()
}

const secret = "the inner sanctum"

// serve serves handlers by path behind a door, and returns its address and log.
func serve(t *testing.T, body Body) (url string, log *journal) {
	t.Helper()
	log = &journal{}
	d := Door{Name: "test", Logger: slog.New(slog.NewTextHandler(log, nil)), Body: body}
	fail := func(err error) http.HandlerFunc {
		return func(w http.ResponseWriter, r *http.Request) { d.Fail(w, r, err) }
	}
	mux := http.NewServeMux()
	mux.HandleFunc("POST /echo", func(w http.ResponseWriter, r *http.Request) {
		data, err := io.ReadAll(r.Body)
		if err != nil {
			d.Fail(w, r, fmt.Errorf("reading: %w", err))
			return
		}
		Send(w, http.StatusOK, "text/plain", data)
	})
	mux.HandleFunc("GET /panic", func(http.ResponseWriter, *http.Request) { panic(secret) })
	mux.HandleFunc("GET /late", func(w http.ResponseWriter, _ *http.Request) {
		_, _ = io.WriteString(w, strings.Repeat("x", 100_000))
		panic(secret)
	})
	mux.HandleFunc("GET /refused", fail(fmt.Errorf("asking: %w", RefuseField(http.StatusConflict, "order", "it is %s", "approved"))))
	mux.HandleFunc("GET /fault", fail(&Fault{Err: errors.New(secret), Stack: []byte("goroutine of " + secret)}))
	mux.HandleFunc("GET /library", func(w http.ResponseWriter, _ *http.Request) { http.Error(w, secret, http.StatusInternalServerError) })
	mux.HandleFunc("GET /busy", fail(Refuse(http.StatusServiceUnavailable, "busy")))
	mux.HandleFunc("GET /query", func(w http.ResponseWriter, r *http.Request) {
		if _, err := Query(r, "at", "policy*"); err != nil {
			d.Fail(w, r, err)
		}
	})
	server := httptest.NewServer(d.Guard(mux))
	t.Cleanup(func() {
		server.CloseClientConnections()
		server.Close()
	})
	return server.URL, log
}

func ask(t *testing.T, request *http.Request) (*http.Response, Problem) {
	t.Helper()
	response, err := (&http.Client{Timeout: 5 * time.Second}).Do(request)
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	data, err := io.ReadAll(response.Body)
	if err != nil {
		t.Fatal(err)
	}
	var p Problem
	if response.Header.Get("Content-Type") == MediaType {
		if err := json.Unmarshal(data, &p); err != nil {
			t.Fatalf("%s: %v", data, err)
		}
		if p.Type == "" || p.Title == "" || p.Status != response.StatusCode || p.RequestID == "" || p.RequestID != response.Header.Get(IDHeader) {
			t.Errorf("%s %s: %+v", request.Method, request.URL, p)
		}
	}
	if strings.Contains(string(data), secret) {
		t.Errorf("%s %s shows the inside: %s", request.Method, request.URL, data)
	}
	return response, p
}

func newRequest(t *testing.T, method, url string, body io.Reader) *http.Request {
	t.Helper()
	request, err := http.NewRequestWithContext(t.Context(), method, url, body)
	if err != nil {
		t.Fatal(err)
	}
	return request
}

// TestEveryErrorIsAProblem: refusals, faults, panics, unknown addresses and methods, and what a library wrote as text.
func TestEveryErrorIsAProblem(t *testing.T) {
	url, log := serve(t, Body{})
	for _, test := range []struct {
		method, path string
		status       int
		field        string
		detail       string
		logged       bool // the inside, with the id
	}{
		{"GET", "/refused", 409, "order", "it is approved", false},
		{"GET", "/nowhere", 404, "", "nothing at this address", false},
		{"GET", "/echo", 405, "", "takes POST", false},
		{"GET", "/busy", 503, "", "busy", false},
		{"GET", "/fault", 500, "", "its log has the reason", true},
		{"GET", "/panic", 500, "", "its log has the reason", true},
		{"GET", "/library", 500, "", "its log has the reason", true},
		{"GET", "/query?at=1&policy=1&policy=2", 200, "", "", false},
		{"GET", "/query?at=1&at=2", 400, "at", "2 times", false},
		{"GET", "/query?policies=1", 400, "policies", "no parameter", false},
		{"GET", "/query?at=%zz", 400, "", "can't be read", false},
	} {
		response, p := ask(t, newRequest(t, test.method, url+test.path, nil))
		if response.StatusCode != test.status || p.Field != test.field || !strings.Contains(p.Detail, test.detail) {
			t.Errorf("%s: %d %+v", test.path, response.StatusCode, p)
		}
		for line := range strings.Lines(log.String()) {
			if test.logged && strings.Contains(line, p.RequestID) && strings.Contains(line, secret) {
				test.logged = false
			}
		}
		if test.logged {
			t.Errorf("%s: the log lacks the reason under %s:\n%s", test.path, p.RequestID, log)
		}
		if retry := response.Header.Get("Retry-After"); (retry != "") != (test.status == 503) {
			t.Errorf("%s: Retry-After %q", test.path, retry)
		}
	}
	for _, stack := range []string{"goroutine of " + secret, "door_test.go"} {
		if !strings.Contains(log.String(), stack) {
			t.Errorf("no stack with %q in the log", stack)
		}
	}
}

// TestAnAnswerThatBreaksIsCutOff: nobody takes half an answer for whole.
func TestAnAnswerThatBreaksIsCutOff(t *testing.T) {
	url, log := serve(t, Body{})
	response, err := http.DefaultClient.Do(newRequest(t, "GET", url+"/late", nil))
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	if _, err := io.Copy(io.Discard, response.Body); err == nil {
		t.Error("the answer came to an end")
	}
	if !strings.Contains(log.String(), response.Header.Get(IDHeader)) {
		t.Error("the log lacks the fault")
	}
}

// TestRequestID takes over a well-formed id alone: the others would write into the log what a stranger likes.
func TestRequestID(t *testing.T) {
	url, _ := serve(t, Body{})
	for sent, taken := range map[string]bool{
		"4e5f7c2a-0000-4000-8000-000000000000": true, "abcdefgh": true,
		"short": false, "": false, "with space": false, "with\"quote": false, "żółtodziób": false, strings.Repeat("x", 65): false,
	} {
		request := newRequest(t, "GET", url+"/refused", nil)
		request.Header["X-Request-Id"] = []string{sent}
		if _, p := ask(t, request); (p.RequestID == sent) != taken {
			t.Errorf("%q became %q", sent, p.RequestID)
		}
	}
	request := newRequest(t, "GET", url+"/refused", nil)
	request.Header["X-Request-Id"] = []string{"first-of-two", "second-of-two"}
	if _, p := ask(t, request); strings.HasSuffix(p.RequestID, "of-two") {
		t.Errorf("one of two ids: %q", p.RequestID)
	}
}

func TestBodySize(t *testing.T) {
	url, _ := serve(t, Body{Max: 1000})
	whole := strings.Repeat("x", 1000)
	if response, _ := ask(t, newRequest(t, "POST", url+"/echo", strings.NewReader(whole))); response.StatusCode != 200 {
		t.Errorf("1000 bytes: %s", response.Status)
	}
	for name, body := range map[string]io.Reader{"announced": strings.NewReader(whole + "x"), "in chunks": io.MultiReader(strings.NewReader(whole), strings.NewReader("x"))} {
		if response, p := ask(t, newRequest(t, "POST", url+"/echo", body)); response.StatusCode != 413 || !strings.Contains(p.Detail, "1000") {
			t.Errorf("%s: %d %+v", name, response.StatusCode, p)
		}
	}
	request := newRequest(t, "POST", url+"/echo", strings.NewReader("x"))
	request.Header.Set("Content-Encoding", "gzip")
	if response, p := ask(t, request); response.StatusCode != 415 || p.Field != "Content-Encoding" {
		t.Errorf("gzip: %d %+v", response.StatusCode, p)
	}
	request = newRequest(t, "POST", url+"/echo", strings.NewReader("x"))
	request.Header.Set("Content-Encoding", "identity")
	if response, _ := ask(t, request); response.StatusCode != 200 {
		t.Errorf("identity: %d", response.StatusCode)
	}
}

// TestSlowBodies: one that never comes, one that trickles below the least rate though it never rests, and one that is always
// fast enough but does not end.
func TestSlowBodies(t *testing.T) {
	for name, test := range map[string]struct {
		limits Body
		every  time.Duration // between two bytes; 0: none comes
		bytes  int           // at once
	}{
		"nothing":  {Body{Grace: 50 * time.Millisecond, Time: time.Hour}, 0, 0},
		"trickle":  {Body{Grace: 50 * time.Millisecond, Time: time.Hour, Rate: 1 << 20}, time.Millisecond, 1},
		"no end":   {Body{Grace: time.Hour, Time: 100 * time.Millisecond}, time.Millisecond, 100},
		"too late": {Body{Grace: 50 * time.Millisecond, Time: time.Hour, Rate: 1000}, 0, 50},
	} {
		t.Run(name, func(t *testing.T) {
			url, _ := serve(t, test.limits)
			body, in := io.Pipe()
			ctx, cancel := context.WithCancel(t.Context())
			defer cancel()
			go func() {
				defer in.CloseWithError(errors.New("over"))
				for {
					if _, err := in.Write(bytes.Repeat([]byte("x"), test.bytes)); err != nil {
						return
					}
					if test.every == 0 {
						<-ctx.Done()
						return
					}
					time.Sleep(test.every)
				}
			}()
			response, p := ask(t, newRequest(t, "POST", url+"/echo", body))
			if response.StatusCode != http.StatusRequestTimeout || !strings.Contains(p.Detail, "too slowly") {
				t.Errorf("%d %+v", response.StatusCode, p)
			}
		})
	}
}

// TestBodyThatBreaksOff: the client closes its half of the connection before the announced end.
func TestBodyThatBreaksOff(t *testing.T) {
	url, _ := serve(t, Body{})
	conn, err := net.Dial("tcp", strings.TrimPrefix(url, "http://"))
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	if _, err := io.WriteString(conn, "POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: 10\r\n\r\nhalf"); err != nil {
		t.Fatal(err)
	}
	if err := conn.(*net.TCPConn).CloseWrite(); err != nil {
		t.Fatal(err)
	}
	answer, err := io.ReadAll(conn)
	if err != nil || !strings.Contains(string(answer), "400 Bad Request") || !strings.Contains(string(answer), "ended after 4 bytes") {
		t.Errorf("%s %v", answer, err)
	}
}

// TestTheConnectionGoesOn: the deadline of a body does not end a handler that works on after it, nor the next request.
func TestTheConnectionGoesOn(t *testing.T) {
	limits := Body{Grace: 50 * time.Millisecond, Time: 50 * time.Millisecond}
	read, late := make(chan struct{}), make(chan error, 1)
	d := Door{Name: "test", Logger: slog.New(slog.DiscardHandler), Body: limits}
	server := httptest.NewServer(d.Guard(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.ReadAll(r.Body)
		close(read)
		select {
		case <-r.Context().Done():
			late <- r.Context().Err()
		case <-time.After(4 * limits.Time):
			late <- nil
		}
		Send(w, http.StatusOK, "text/plain", nil)
	})))
	defer server.Close()
	response, _ := ask(t, newRequest(t, "POST", server.URL, strings.NewReader("x")))
	<-read
	if err := <-late; err != nil || response.StatusCode != 200 {
		t.Errorf("%s, %v", response.Status, err)
	}
}
