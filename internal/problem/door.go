package problem

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"runtime/debug"
	"strings"
	"time"
)

// IDHeader carries the request's id, in the request and in the answer.
const IDHeader = "X-Request-ID"

// Length of an id that a client may choose: a UUID fits, a line of text does not.
const (
	minID = 8
	maxID = 64
)

// Door is how one listener answers errors. The zero Body has the defaults.
type Door struct {
	Name   string // for the log, such as "gateway"
	Logger *slog.Logger
	Body   Body

	// Away says in a sentence which part an error shows to be out of use for a while, "" for an error that does not: the client is to
	// ask again. Optional.
	Away func(error) string
	// Speak says what an English format of package fmt says with its arguments, for a client with this Accept-Language:
	// titles and details are asked for. "" leaves the English text. Optional.
	Speak func(accept, format string, args []any) string
}

// Fault is an inner error with the stack where it happened. The log has both; the client sees neither.
type Fault struct {
	Err   error
	Stack []byte
}

// Error returns the error's text, for the log.
func (f *Fault) Error() string { return f.Err.Error() }

// Unwrap returns the error.
func (f *Fault) Unwrap() error { return f.Err }

// Guard returns a handler that serves next through the door.
func (d Door) Guard(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		r = r.WithContext(r.Context()) // the server looks at its own request's body, which is not to be replaced
		a := &answer{ResponseWriter: w, door: d, request: r}
		a.Header().Set(IDHeader, requestID(r))
		started := time.Now()
		defer func() {
			a.extend()
			d.Logger.Debug("answered", "server", d.Name, "request", a.Header().Get(IDHeader), "method", r.Method, "path", where(r),
				"status", a.status, "took", time.Since(started).String())
		}()
		defer a.rescue()
		a.extend()
		if err := d.Body.admit(a, r); err != nil {
			d.Fail(a, r, err)
			return
		}
		next.ServeHTTP(a, r)
	})
}

// requestID returns the id that the client sent if it is well-formed, else a new one.
func requestID(r *http.Request) string {
	if sent := r.Header.Values(IDHeader); len(sent) == 1 && wellFormed(sent[0]) {
		return sent[0]
	}
	return rand.Text()
}

func wellFormed(id string) bool {
	return len(id) >= minID && len(id) <= maxID && strings.Trim(id, "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz-_") == ""
}

// where names what was asked by the pattern that serves it: an address may hold what is no business of the log.
func where(r *http.Request) string {
	if r.Pattern != "" {
		return r.Pattern
	}
	return r.URL.Path[:min(len(r.URL.Path), 200)]
}

// Fail answers with the problem that err is; an error that is none is a fault.
func (d Door) Fail(w http.ResponseWriter, r *http.Request, err error) { d.Explain(w, r, err).Write(w) }

// Explain logs an error and returns the problem that it is to who asks, in their language, for an answer that tells
// more than one; an error that is none is a fault. w has the request's id among its headers.
func (d Door) Explain(w http.ResponseWriter, r *http.Request, err error) *Problem {
	var p *Problem
	var large *http.MaxBytesError
	switch {
	case errors.As(err, &large):
		p = tooLarge(large.Limit)
	case errors.As(err, &p):
	case errors.Is(err, context.Canceled) && r.Context().Err() != nil:
		p = Refuse(http.StatusServiceUnavailable, "the client has left")
	default:
		d.Fault(w, r, err)
		return d.Told(r, d.unexplained(err))
	}
	d.Logger.Info("refused", "server", d.Name, "request", ensureID(w, r), "method", r.Method, "path", where(r),
		"status", p.Status, "field", p.Field, "detail", p.Detail)
	return d.Told(r, p)
}

// write answers in the language of who asks.
func (d Door) write(w http.ResponseWriter, r *http.Request, p *Problem) { d.Told(r, p).Write(w) }

// Told is the problem in the language of who asks; the log has the English one.
func (d Door) Told(r *http.Request, p *Problem) *Problem {
	accept := r.Header.Get("Accept-Language")
	if d.Speak == nil || accept == "" {
		return p
	}
	told := *p
	if text := d.Speak(accept, p.format, p.args); text != "" {
		told.Detail = text
	}
	if text := d.Speak(accept, p.Title, nil); text != "" {
		told.Title = text
	}
	return &told
}

// retryAway is when a client is to ask again for what a part that is out of use kept from being done, in seconds.
const retryAway = 5

// unexplained is what a client learns of an error that is no problem.
func (d Door) unexplained(err error) *Problem {
	if d.Away == nil || d.Away(err) == "" {
		return unexplained()
	}
	p := Refuse(http.StatusServiceUnavailable, "%s", d.Away(err))
	p.RetryAfter = retryAway
	return p
}

// unexplained is all that a client learns of a fault.
func unexplained() *Problem {
	return Refuse(http.StatusInternalServerError, "the request could not be carried out because of a fault of this service; its log has the reason under the request's id")
}

// Fault logs an inner error under the request's id, which it returns: for an answer that is no problem, such as a page for people.
func (d Door) Fault(w http.ResponseWriter, r *http.Request, err error) (id string) {
	id = ensureID(w, r)
	attributes := []any{"server", d.Name, "request", id, "method", r.Method, "path", where(r), "error", err}
	var f *Fault
	if errors.As(err, &f) {
		attributes = append(attributes, "stack", string(f.Stack))
	}
	d.Logger.Error("request failed", attributes...)
	return id
}

// ensureID is for handlers that are served without a Guard.
func ensureID(w http.ResponseWriter, r *http.Request) string {
	h := w.Header()
	if h.Get(IDHeader) == "" {
		h.Set(IDHeader, requestID(r))
	}
	return h.Get(IDHeader)
}

// answerTime is how long a client may take to read on in an answer.
const answerTime = 30 * time.Second

// answer sees what a handler writes.
type answer struct {
	http.ResponseWriter
	door    Door
	request *http.Request
	status  int  // 0: nothing was written yet
	plain   bool // the handler writes an error in plain text, which was replaced
}

// Unwrap is for http.ResponseController.
func (a *answer) Unwrap() http.ResponseWriter { return a.ResponseWriter }

// extend gives the client time to read on.
func (a *answer) extend() {
	_ = http.NewResponseController(a.ResponseWriter).SetWriteDeadline(time.Now().Add(answerTime)) // a recorder in a test has none
}

// WriteHeader replaces errors that a library writes as plain text, http.Error before all, by problems.
func (a *answer) WriteHeader(status int) {
	a.extend()
	if status < 200 { // 100 Continue and its like: the answer is yet to come
		a.ResponseWriter.WriteHeader(status)
		return
	}
	a.status = status
	if status < 400 || !strings.HasPrefix(a.Header().Get("Content-Type"), "text/plain") {
		a.ResponseWriter.WriteHeader(status)
		return
	}
	a.plain = true
	p := Refuse(status, "%s", http.StatusText(status))
	switch status {
	case http.StatusNotFound:
		p = notFound()
	case http.StatusMethodNotAllowed:
		p = methodNotAllowed(a.Header().Get("Allow"))
	case http.StatusInternalServerError:
		p = unexplained()
	}
	a.door.write(a.ResponseWriter, a.request, p)
}

// Write passes the answer on; the text of an error that was replaced goes to the log.
func (a *answer) Write(p []byte) (int, error) {
	if a.plain {
		a.door.Logger.Info("refused", "server", a.door.Name, "request", a.Header().Get(IDHeader), "method", a.request.Method,
			"path", where(a.request), "status", a.status, "detail", string(p[:min(len(p), 1000)]))
		return len(p), nil
	}
	if a.status == 0 {
		a.status = http.StatusOK
	}
	a.extend()
	return a.ResponseWriter.Write(p)
}

// rescue turns a panic of a handler into a fault. An answer that had begun is cut off, so that nobody takes it for whole.
func (a *answer) rescue() {
	v := recover()
	if v == nil {
		return
	}
	if v == http.ErrAbortHandler {
		panic(v)
	}
	fault := &Fault{Err: fmt.Errorf("panic: %v", v), Stack: debug.Stack()}
	if a.status != 0 {
		a.door.Fault(a, a.request, fault)
		panic(http.ErrAbortHandler)
	}
	a.door.Fail(a, a.request, fault)
}
