package httpserver

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
)

// maxJSON bounds a JSON request in bytes. Documents travel as octets, outside this path.
const maxJSON = 1 << 20

// Problem is an error as the client sees it (RFC 9457). A handler that returns one chooses the status;
// any other error becomes 500 and is logged, not shown.
type Problem struct {
	Status int    `json:"status"`
	Title  string `json:"title"`
	Detail string `json:"detail,omitempty"` // what is wrong and what to do
	Field  string `json:"field,omitempty"`  // the field of the request that is wrong
}

// Error returns the detail.
func (p *Problem) Error() string {
	if p.Detail == "" {
		return p.Title
	}
	return p.Detail
}

// Refuse returns a problem with the status' standard title.
func Refuse(status int, format string, args ...any) *Problem {
	return &Problem{Status: status, Title: http.StatusText(status), Detail: fmt.Sprintf(format, args...)}
}

// JSON makes a handler of a function from request to answer. A nil answer is 204.
func (s Server) JSON(do func(r *http.Request) (any, error)) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		answer, err := do(r)
		switch {
		case err != nil:
			s.Fail(w, r, err)
		case answer == nil:
			w.WriteHeader(http.StatusNoContent)
		default:
			write(w, http.StatusOK, "application/json", answer)
		}
	})
}

// Fail answers with the problem that err is, or with a bare 500 and a log line.
func (s Server) Fail(w http.ResponseWriter, r *http.Request, err error) {
	var p *Problem
	if !errors.As(err, &p) {
		s.Logger.Error("request failed", "server", s.Name, "method", r.Method, "path", r.URL.Path, "error", err)
		p = Refuse(http.StatusInternalServerError, "the request could not be carried out; the log of this daemon says why")
	}
	write(w, p.Status, "application/problem+json", p)
}

func write(w http.ResponseWriter, status int, contentType string, v any) {
	data, err := json.Marshal(v)
	if err != nil {
		status, data = http.StatusInternalServerError, []byte(`{"status":500,"title":"Internal Server Error"}`)
	}
	h := w.Header()
	h.Set("Content-Type", contentType)
	h.Set("Cache-Control", "no-store")
	h.Set("X-Content-Type-Options", "nosniff")
	w.WriteHeader(status)
	_, _ = w.Write(append(data, '\n')) // the client went away: nobody to tell
}

// Decode reads one JSON object; unknown fields, trailing data and bodies over 1 MiB are refused.
func Decode(r *http.Request, into any) error {
	d := json.NewDecoder(http.MaxBytesReader(nil, r.Body, maxJSON))
	d.DisallowUnknownFields()
	if err := d.Decode(into); err != nil {
		var tooLarge *http.MaxBytesError
		if errors.As(err, &tooLarge) {
			return Refuse(http.StatusRequestEntityTooLarge, "the request has more than %d bytes", maxJSON)
		}
		return Refuse(http.StatusBadRequest, "the request is not the JSON that is expected: %v", err)
	}
	if _, err := d.Token(); !errors.Is(err, io.EOF) {
		return Refuse(http.StatusBadRequest, "the request goes on after its JSON object")
	}
	return nil
}
