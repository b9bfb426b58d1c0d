// Package api is the HTTP interface of validation: of documents and of single certificates, our own compact answers, and
// the simple reports of the Commission's DSS for clients that were written for it. Documents are not stored.
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
	"strings"
	"time"

	"trustcore/verify"
	"trustcore/verify/signature"
)

// Judge judges one document at a time; the zero time is now, when all evidence is at hand. An error tells that the
// document could not be judged.
type Judge func(ctx context.Context, data []byte, detached []signature.Detached, at time.Time) (*verify.Report, error)

// Config is what New needs.
type Config struct {
	Judge       Judge
	Certificate JudgeCertificate
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
	bodyTimeout        = time.Minute // for a request to come in, so that who sends slowly does not hold a turn
	maxParts           = 1000        // files of one multipart request
)

type server struct {
	Config
	turns   chan struct{} // one for each document that is judged
	waiting chan struct{} // one for each request that is judged or waits
}

// New returns the handler.
func New(cfg Config) (http.Handler, error) {
	if cfg.Judge == nil || cfg.Certificate == nil || cfg.Logger == nil {
		return nil, errors.New("api: Judge, Certificate or Logger is missing")
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
	for _, r := range s.routes() {
		mux.HandleFunc("POST "+r.path, s.limited(r.maxBody, r.do))
	}
	description, err := describe(s.routes())
	if err != nil {
		return nil, fmt.Errorf("api: %w", err)
	}
	mux.HandleFunc("GET /openapi.json", func(w http.ResponseWriter, _ *http.Request) { send(w, http.StatusOK, "application/json", description) })
	return mux, nil
}

// route is one address and what is served there.
type route struct {
	path    string
	maxBody int64 // bytes
	do      func(w http.ResponseWriter, r *http.Request) error
	doc     documentation
}

func (s *server) routes() []route {
	return []route{
		{"/v1/validations", s.MaxDocument, s.validate, docValidations},
		{"/v1/certificates/validations", maxCertificateRequest, s.validateCertificate, docCertificates},
		{"/services/rest/validation/validateSignature", s.MaxDocument, s.dssSignature, docDSSSignature},
		{"/services/rest/certificate-validation/validateCertificate", maxCertificateRequest, s.dssCertificate, docDSSCertificate},
	}
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

// limited sheds load before a body is read, bounds the body in size and time, and turns errors into problems.
func (s *server) limited(maxBody int64, do func(w http.ResponseWriter, r *http.Request) error) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		select {
		case s.waiting <- struct{}{}:
			defer func() { <-s.waiting }()
		default:
			s.fail(w, r, refuse(http.StatusServiceUnavailable, "", "too many requests are being judged; try again in a moment"))
			return
		}
		if r.ContentLength > maxBody {
			s.fail(w, r, tooLarge(maxBody))
			return
		}
		r.Body = newTimedBody(w, http.MaxBytesReader(w, r.Body, maxBody))
		if err := do(w, r); err != nil {
			s.fail(w, r, err)
		}
	}
}

// timedBody must come in within bodyTimeout. The deadline of the connection is lifted when the body has ended, since the
// server reads on beside the handler to see the client leave.
type timedBody struct {
	io.ReadCloser
	connection *http.ResponseController
}

func newTimedBody(w http.ResponseWriter, body io.ReadCloser) timedBody {
	t := timedBody{body, http.NewResponseController(w)}
	_ = t.connection.SetReadDeadline(time.Now().Add(bodyTimeout)) // a connection without deadlines is a test's
	return t
}

func (t timedBody) Read(p []byte) (int, error) {
	n, err := t.ReadCloser.Read(p)
	if err != nil {
		_ = t.connection.SetReadDeadline(time.Time{})
	}
	return n, err
}

func tooLarge(maxBody int64) error {
	return refuse(http.StatusRequestEntityTooLarge, "", "a request to this address has at most %d bytes", maxBody)
}

func (s *server) fail(w http.ResponseWriter, r *http.Request, err error) {
	var large *http.MaxBytesError
	if errors.As(err, &large) {
		err = tooLarge(large.Limit)
	}
	var p *problem
	if !errors.As(err, &p) {
		s.Logger.Error("validation failed", "path", r.URL.Path, "error", err)
		p = &problem{Status: http.StatusInternalServerError, Title: "Internal Server Error", Detail: "it could not be judged; the log of this daemon says why"}
	}
	if p.Status == http.StatusServiceUnavailable {
		w.Header().Set("Retry-After", "1")
	}
	write(w, p.Status, "application/problem+json", p)
}

func write(w http.ResponseWriter, status int, contentType string, v any) {
	data, err := json.Marshal(v)
	if err != nil {
		status, data = http.StatusInternalServerError, []byte(`{"status":500,"title":"Internal Server Error"}`)
	}
	send(w, status, contentType, data)
}

func send(w http.ResponseWriter, status int, contentType string, data []byte) {
	h := w.Header()
	h.Set("Content-Type", contentType)
	h.Set("Cache-Control", "no-store")
	h.Set("X-Content-Type-Options", "nosniff")
	w.WriteHeader(status)
	_, _ = w.Write(append(data[:len(data):len(data)], '\n')) // the client went away: nobody to tell
}

// request is one document to judge.
type request struct {
	document signature.Detached
	detached []signature.Detached
	at       time.Time // zero: now
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
	in := &request{}
	var err error
	if in.at, err = parseTime(r.URL.Query().Get("at")); err != nil {
		return nil, err
	}
	media, _, err := mime.ParseMediaType(r.Header.Get("Content-Type"))
	if err == nil && media == "multipart/form-data" {
		return in, readParts(r, in)
	}
	in.document.Content, err = io.ReadAll(r.Body)
	if err != nil {
		return nil, fmt.Errorf("reading the document: %w", orBad(err))
	}
	if len(in.document.Content) == 0 {
		return nil, refuse(http.StatusBadRequest, "document", "the body is empty: send the document as the body, or as multipart/form-data with a part named document")
	}
	return in, nil
}

// parseTime reads a time; "" is the zero time.
func parseTime(text string) (time.Time, error) {
	if text == "" {
		return time.Time{}, nil
	}
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
		in.at, err = parseTime(strings.TrimSpace(string(content)))
	default:
		err = refuse(http.StatusBadRequest, part.FormName(), "the part %q is none of document, detached, at", part.FormName())
	}
	return false, err
}

// judge waits for a turn and judges.
func (s *server) judge(ctx context.Context, in *request) (*verify.Report, error) {
	ctx, done, err := s.turn(ctx)
	if err != nil {
		return nil, err
	}
	defer done()
	report, err := s.Judge(ctx, in.document.Content, in.detached, in.at)
	if err != nil {
		return nil, unjudged(ctx, "document", err)
	}
	sum := sha256.Sum256(in.document.Content)
	report.SHA256 = hex.EncodeToString(sum[:])
	return report, nil
}

// turn waits until it may be judged; done ends the turn.
func (s *server) turn(ctx context.Context) (_ context.Context, done func(), err error) {
	ctx, cancel := context.WithTimeout(ctx, judgeTimeout)
	select {
	case s.turns <- struct{}{}:
		return ctx, func() { <-s.turns; cancel() }, nil
	case <-ctx.Done():
		cancel()
		return nil, nil, refuse(http.StatusServiceUnavailable, "", "the turn of this request did not come in %s; try again in a moment", judgeTimeout)
	}
}

// unjudged is the answer about what could not be judged: the content's fault, unless the time was over.
func unjudged(ctx context.Context, field string, err error) error {
	if ctx.Err() != nil {
		return refuse(http.StatusServiceUnavailable, "", "judging took longer than %s and was given up; try again in a moment", judgeTimeout)
	}
	return refuse(http.StatusUnprocessableEntity, field, "%v", err)
}
