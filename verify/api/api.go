// Package api is the HTTP interface of validation: our own compact answer, and the simple report of the
// Commission's DSS for clients that were written for it. Documents are not stored.
package api

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"mime"
	"mime/multipart"
	"net/http"
	"runtime"
	"time"

	"trustcore/verify"
	"trustcore/verify/signature"
)

// Judge judges one document at a time. An error that is no *Refusal tells that the document could not be judged.
type Judge func(ctx context.Context, data []byte, detached []signature.Detached, at time.Time) (*verify.Report, error)

// Config is what New needs.
type Config struct {
	Judge       Judge
	Now         func() time.Time
	Logger      *slog.Logger
	MaxDocument int64 // bytes of one request; 0 means 100 MiB
	Concurrency int   // documents judged at once; 0 means one a processor
	Waiting     int   // requests that wait for their turn; more are shed with 503; 0 means 64
}

// Defaults and limits.
const (
	defaultMaxDocument = 100 << 20
	defaultWaiting     = 64
	judgeTimeout       = 30 * time.Second
	maxParts           = 1000 // files of one multipart request
)

type server struct {
	Config
	turns   chan struct{} // one for each document that is judged
	waiting chan struct{} // one for each request that is judged or waits
}

// New returns the handler.
func New(cfg Config) (http.Handler, error) {
	if cfg.Judge == nil || cfg.Now == nil || cfg.Logger == nil {
		return nil, errors.New("api: Judge, Now or Logger is missing")
	}
	if cfg.MaxDocument == 0 {
		cfg.MaxDocument = defaultMaxDocument
	}
	if cfg.Concurrency == 0 {
		cfg.Concurrency = runtime.NumCPU()
	}
	if cfg.Waiting == 0 {
		cfg.Waiting = defaultWaiting
	}
	s := &server{Config: cfg, turns: make(chan struct{}, cfg.Concurrency), waiting: make(chan struct{}, cfg.Concurrency+cfg.Waiting)}
	mux := http.NewServeMux()
	mux.HandleFunc("POST /v1/validations", s.limited(s.validate))
	mux.HandleFunc("POST /services/rest/validation/validateSignature", s.limited(s.validateSignature))
	return mux, nil
}

// problem is an error as the client sees it (RFC 9457).
type problem struct {
	Status int    `json:"status"`
	Title  string `json:"title"`
	Detail string `json:"detail"`
	Field  string `json:"field,omitempty"`
}

// Error returns the detail.
func (p *problem) Error() string { return p.Detail }

func refuse(status int, field, format string, args ...any) error {
	return &problem{status, http.StatusText(status), fmt.Sprintf(format, args...), field}
}

// limited sheds load before a body is read, bounds the body, and turns errors into problems.
func (s *server) limited(do func(w http.ResponseWriter, r *http.Request) error) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		select {
		case s.waiting <- struct{}{}:
			defer func() { <-s.waiting }()
		default:
			w.Header().Set("Retry-After", "1")
			s.fail(w, r, refuse(http.StatusServiceUnavailable, "", "too many documents are being judged; try again in a moment"))
			return
		}
		if r.ContentLength > s.MaxDocument {
			s.fail(w, r, s.tooLarge())
			return
		}
		r.Body = http.MaxBytesReader(w, r.Body, s.MaxDocument)
		if err := do(w, r); err != nil {
			s.fail(w, r, err)
		}
	}
}

func (s *server) tooLarge() error {
	return refuse(http.StatusRequestEntityTooLarge, "", "a request has at most %d bytes", s.MaxDocument)
}

func (s *server) fail(w http.ResponseWriter, r *http.Request, err error) {
	var tooLarge *http.MaxBytesError
	if errors.As(err, &tooLarge) {
		err = s.tooLarge()
	}
	var p *problem
	if !errors.As(err, &p) {
		s.Logger.Error("validation failed", "path", r.URL.Path, "error", err)
		p = &problem{Status: http.StatusInternalServerError, Title: "Internal Server Error", Detail: "the document could not be judged; the log of this daemon says why"}
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

// request is one document to judge.
type request struct {
	document signature.Detached
	detached []signature.Detached
	at       time.Time
}

// validate answers POST /v1/validations: the document as the body, or multipart/form-data with the parts
// document, detached (any number) and at.
func (s *server) validate(w http.ResponseWriter, r *http.Request) error {
	in, err := s.read(r)
	if err != nil {
		return err
	}
	report, err := s.judge(r.Context(), in)
	if err != nil {
		return err
	}
	write(w, http.StatusOK, "application/json", report)
	return nil
}

func (s *server) read(r *http.Request) (*request, error) {
	in := &request{at: s.Now()}
	if at := r.URL.Query().Get("at"); at != "" {
		var err error
		if in.at, err = parseTime(at); err != nil {
			return nil, err
		}
	}
	media, _, err := mime.ParseMediaType(r.Header.Get("Content-Type"))
	if err == nil && media == "multipart/form-data" {
		return in, readParts(r, in)
	}
	in.document.Content, err = io.ReadAll(r.Body)
	if err != nil {
		return nil, fmt.Errorf("reading the document: %w", err)
	}
	if len(in.document.Content) == 0 {
		return nil, refuse(http.StatusBadRequest, "document", "the body is empty: send the document as the body, or as multipart/form-data with a part named document")
	}
	return in, nil
}

func parseTime(text string) (time.Time, error) {
	at, err := time.Parse(time.RFC3339, text)
	if err != nil {
		return at, refuse(http.StatusBadRequest, "at", "%q is no time: write one such as 2026-03-03T12:00:00Z", text)
	}
	return at, nil
}

func readParts(r *http.Request, in *request) error {
	parts, err := r.MultipartReader()
	if err != nil {
		return refuse(http.StatusBadRequest, "", "the request is no multipart/form-data: %v", err)
	}
	found := false
	for n := 0; ; n++ {
		part, err := parts.NextPart()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return fmt.Errorf("reading the request: %w", orBad(err))
		}
		if n == maxParts {
			return refuse(http.StatusBadRequest, "", "more than %d parts", maxParts)
		}
		isDocument, err := readPart(part, in)
		if err != nil {
			return err
		}
		found = found || isDocument
	}
	if !found {
		return refuse(http.StatusBadRequest, "document", "there is no part named document")
	}
	return nil
}

// orBad makes a broken request the client's fault, but leaves the limit on its size visible.
func orBad(err error) error {
	var tooLarge *http.MaxBytesError
	if errors.As(err, &tooLarge) {
		return err
	}
	return refuse(http.StatusBadRequest, "", "the request is broken: %v", err)
}

func readPart(part *multipart.Part, in *request) (isDocument bool, err error) {
	content, err := io.ReadAll(part)
	if err != nil {
		return false, fmt.Errorf("reading the request: %w", orBad(err))
	}
	switch part.FormName() {
	case "document":
		in.document = signature.Detached{Name: part.FileName(), Content: content}
		return true, nil
	case "detached":
		in.detached = append(in.detached, signature.Detached{Name: part.FileName(), Content: content})
	case "at":
		in.at, err = parseTime(string(content))
	default:
		err = refuse(http.StatusBadRequest, part.FormName(), "the part %q is none of document, detached, at", part.FormName())
	}
	return false, err
}

// judge waits for a turn and judges.
func (s *server) judge(ctx context.Context, in *request) (*verify.Report, error) {
	ctx, cancel := context.WithTimeout(ctx, judgeTimeout)
	defer cancel()
	select {
	case s.turns <- struct{}{}:
		defer func() { <-s.turns }()
	case <-ctx.Done():
		return nil, refuse(http.StatusServiceUnavailable, "", "the document's turn did not come in %s; try again in a moment", judgeTimeout)
	}
	report, err := s.Judge(ctx, in.document.Content, in.detached, in.at)
	if err != nil {
		return nil, refuse(http.StatusUnprocessableEntity, "document", "%v", err)
	}
	sum := sha256.Sum256(in.document.Content)
	report.SHA256 = hex.EncodeToString(sum[:])
	return report, nil
}
