// Package problem is the one way in which the product answers an error over HTTP.
//
// Every listener serves its handlers behind a Door. The reasons for one door:
//
//   - An error is for a program as much as for a person: problem details (RFC 9457) with the status, a sentence that says what
//     is wrong and what to do, the field that is wrong, and the request's id. Addresses and methods that nobody serves, and
//     errors that a library wrote as plain text, leave in the same form.
//   - What is inside stays inside: an error that is no Problem, and a panic, is a fault. The client learns status 500 and the
//     request's id; the log has the error and the stack under that id.
//   - A request's id is made here, so that it can't be forged into somebody else's: one that a client or proxy sends is taken
//     over only when it is well-formed, since it is written to the log.
//   - A body is bounded in bytes and in time, by a deadline and by a least rate: a client that is slow, or sends half and
//     stops, loses its connection, not others their place. So is the reading of an answer.
package problem

import (
	"bytes"
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"strconv"
	"strings"
)

// MediaType is the type of an answer that tells a problem (RFC 9457, 3).
const MediaType = "application/problem+json"

// Problem is an error as the client sees it (RFC 9457). A handler that returns one chooses the status.
type Problem struct {
	Type      string `json:"type" doc:"URI that names the rule; about:blank where the status says it all"`
	Title     string `json:"title"`
	Status    int    `json:"status"`
	Detail    string `json:"detail,omitempty" doc:"what is wrong and what to do"`
	Field     string `json:"field,omitempty" doc:"the part of the request that is wrong"`
	RequestID string `json:"request_id,omitempty" doc:"under which the log of the service has this request"`

	RetryAfter int `json:"-"` // seconds; 0 with status 429 or 503 means 1

	format string // of Detail with its args: what a Door says in another language
	args   []any
}

// Refuse returns a problem with the status' standard title.
func Refuse(status int, format string, args ...any) *Problem {
	return &Problem{Type: "about:blank", Status: status, Title: http.StatusText(status),
		Detail: fmt.Sprintf(format, args...), format: format, args: args}
}

// RefuseField returns a problem with one part of the request: a field, a parameter, a part of a form.
func RefuseField(status int, field, format string, args ...any) *Problem {
	p := Refuse(status, format, args...)
	p.Field = field
	return p
}

// Error returns the detail.
func (p *Problem) Error() string {
	if p.Detail == "" {
		return p.Title
	}
	return p.Detail
}

// Write answers with the problem. The request's id is the one that the Door has put among the answer's headers.
func (p *Problem) Write(w http.ResponseWriter) {
	told, h := *p, w.Header()
	told.RequestID = h.Get(IDHeader)
	if told.RetryAfter == 0 && (told.Status == http.StatusServiceUnavailable || told.Status == http.StatusTooManyRequests) {
		told.RetryAfter = 1
	}
	if told.RetryAfter > 0 {
		h.Set("Retry-After", strconv.Itoa(told.RetryAfter))
	}
	data, err := json.Marshal(told)
	if err != nil { // strings and numbers always marshal
		data = []byte(`{"status":500,"title":"Internal Server Error"}`)
	}
	Send(w, told.Status, MediaType, data)
}

// Send writes an answer that no cache keeps and no browser takes for something else. JSON ends with the end of a line, for
// terminals; anything else is sent octet by octet, since a signature may reach to its end.
func Send(w http.ResponseWriter, status int, mediaType string, data []byte) {
	if strings.HasSuffix(mediaType, "json") && !bytes.HasSuffix(data, []byte{'\n'}) {
		data = append(slices.Clip(data), '\n')
	}
	h := w.Header()
	h.Del("Content-Encoding")
	h.Set("Content-Type", mediaType)
	h.Set("Content-Length", strconv.Itoa(len(data)))
	h.Set("Cache-Control", "no-store")
	h.Set("X-Content-Type-Options", "nosniff")
	w.WriteHeader(status)
	_, _ = w.Write(data) // in one piece; if the client went away there is nobody to tell
}

// MethodNotAllowed refuses a method; allowed names those that are served, such as "GET, HEAD".
func MethodNotAllowed(w http.ResponseWriter, allowed string) {
	w.Header().Set("Allow", allowed)
	methodNotAllowed(allowed).Write(w)
}

func methodNotAllowed(allowed string) *Problem {
	return Refuse(http.StatusMethodNotAllowed, "this address takes %s", allowed)
}

// NotFound refuses an address.
func NotFound(w http.ResponseWriter) { notFound().Write(w) }

func notFound() *Problem { return Refuse(http.StatusNotFound, "there is nothing at this address") }
