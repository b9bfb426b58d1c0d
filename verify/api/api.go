// Package api is the HTTP interface of validation: of documents and of single certificates, our own compact answers, and
// the reports of the Commission's DSS for clients that were written for it. Documents are not stored.
//
// A request is received completely before it gets a turn: in memory when it is small, else in a file without a name. A turn
// is given when the memory that judging may take is free. So neither many nor large nor slow requests take more than Config
// allows, and a slow client takes nothing from others.
package api

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"mime"
	"net/http"
	"net/url"
	"os"
	"runtime"
	"time"

	"trustcore/internal/problem"
	"trustcore/verify"
)

// Judge judges one document (verify.Verifier.Verify). An error tells that the document could not be judged.
type Judge func(ctx context.Context, r verify.Request) (*verify.Report, error)

// Config is what New needs. Zero values have defaults, but for the first three.
type Config struct {
	Judge       Judge
	Certificate JudgeCertificate
	Logger      *slog.Logger
	// Policies are those that callers may choose by their names; a request that names none has none
	// (verify.Request.Policy). nil: the one that is the default.
	Policies    func() []*verify.Policy
	MaxDocument int64  // bytes of one request; 0 means 100 MiB
	Concurrency int    // requests judged at once; 0 means two a processor and at least four
	Waiting     int    // requests that wait for their turn; more are shed with 503; 0 means 64
	Memory      int64  // bytes that requests and judging may take together; 0 means 640 MiB
	SpoolDir    string // where requests above 64 KiB wait for their turn; "" is the folder for temporary files
	Spool       int64  // bytes that may wait there; 0 means 2 GiB
}

// Defaults and limits.
const (
	defaultMaxDocument = 100 << 20
	defaultWaiting     = 64
	defaultMemory      = 640 << 20
	defaultSpool       = 2 << 30
	minConcurrency     = 4 // so that two documents that take long leave room for others
	judgeTimeout       = 30 * time.Second
	maxAnswers         = 64 << 20 // bytes of answers that clients have not taken yet
)

// Bodies is what the listener in front of the API must let through: the largest request takes some minutes on a slow line.
func Bodies(maxDocument int64) problem.Body {
	return problem.Body{Max: max(maxDocument, maxCertificateRequest), Time: 5 * time.Minute}
}

// Server is the interface. It is served behind a problem.Door with Bodies.
type Server struct {
	cfg     Config
	door    problem.Door
	turns   turns
	spool   spool
	answers quota
	mux     *http.ServeMux
}

// New returns the interface.
func New(cfg Config) (*Server, error) {
	if cfg.Judge == nil || cfg.Certificate == nil || cfg.Logger == nil {
		return nil, errors.New("api: Judge, Certificate or Logger is missing")
	}
	cfg.MaxDocument, cfg.Waiting = cmp.Or(cfg.MaxDocument, defaultMaxDocument), cmp.Or(cfg.Waiting, defaultWaiting)
	cfg.Memory, cfg.Spool = cmp.Or(cfg.Memory, defaultMemory), cmp.Or(cfg.Spool, defaultSpool)
	cfg.Concurrency = cmp.Or(cfg.Concurrency, max(minConcurrency, 2*runtime.NumCPU()))
	cfg.SpoolDir = cmp.Or(cfg.SpoolDir, os.TempDir())
	if cfg.Policies == nil {
		cfg.Policies = func() []*verify.Policy { return []*verify.Policy{verify.DefaultPolicy()} }
	}
	if need := MemoryFor(cfg.MaxDocument); cfg.Memory < need {
		return nil, fmt.Errorf("api: to judge documents of %d bytes %d bytes of memory are needed, not %d", cfg.MaxDocument, need, cfg.Memory)
	}
	s := &Server{cfg: cfg, door: problem.Door{Name: "api", Logger: cfg.Logger}, mux: http.NewServeMux(),
		turns: turns{places: cfg.Concurrency, bytes: cfg.Memory, waiting: cfg.Waiting}}
	s.answers.max = maxAnswers
	s.spool.dir, s.spool.log, s.spool.room.max = cfg.SpoolDir, cfg.Logger, cfg.Spool
	for _, r := range s.routes() {
		s.mux.HandleFunc("POST "+r.path, s.serve(r))
	}
	description, err := describe(s.routes())
	if err != nil {
		return nil, fmt.Errorf("api: %w", err)
	}
	s.mux.HandleFunc("GET /openapi.json", func(w http.ResponseWriter, _ *http.Request) {
		problem.Send(w, http.StatusOK, "application/json", description)
	})
	return s, nil
}

// MemoryFor returns how many bytes judging a request of so many bytes may take.
func MemoryFor(request int64) int64 { return workDocument + workByte*request }

// ServeHTTP serves a request.
func (s *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) { s.mux.ServeHTTP(w, r) }

// Ready says why nothing can be judged now: no turn has ended for ten seconds, though somebody waits or would have to.
func (s *Server) Ready(now time.Time) error {
	if s.turns.blocked(now) {
		return fmt.Errorf("judging is blocked: no request has been answered for %s though others wait", blockedTime)
	}
	return nil
}

// route is one address and what is served there.
type route struct {
	path    string
	maxBody int64    // bytes
	work    int64    // bytes of memory that judging takes beside workByte for each of the body
	query   []string // parameters of the address (see problem.Query)
	do      func(ctx context.Context, c *call) (answer any, err error)
	doc     documentation
}

func (s *Server) routes() []route {
	const dss = "/services/rest/"
	return []route{
		{"/v1/validations", s.cfg.MaxDocument, workDocument, []string{"at", "policy"}, s.validate, docValidations},
		{"/v1/certificates/validations", maxCertificateRequest, workCertificate, certificateQuery, s.validateCertificate, docCertificates},
		{dss + "validation/validateSignature", s.cfg.MaxDocument, workDocument, nil, s.dssSignature, docDSSSignature},
		{dss + "validation/getOriginalDocuments", s.cfg.MaxDocument, workDocument, nil, s.dssOriginals, docDSSOriginals},
		{dss + "certificate-validation/validateCertificate", maxCertificateRequest, workCertificate, nil, s.dssCertificate, docDSSCertificate},
	}
}

// call is a request that has come in completely.
type call struct {
	media      string // of the body, without its parameters
	parameters map[string]string
	query      url.Values
	language   string // of reasons and notes, see languageOf
	body       *body
}

func (s *Server) serve(rt route) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		answer, err := s.answer(rt, r)
		if err == nil && !s.answers.take(int64(len(answer))) {
			err = busy()
		}
		if err != nil {
			s.door.Fail(w, r, err)
			return
		}
		defer s.answers.give(int64(len(answer)))
		problem.Send(w, http.StatusOK, "application/json", answer)
	}
}

// answer receives the request, waits for its turn and has it judged. What it returns is written after the turn: a client that
// reads slowly holds none.
func (s *Server) answer(rt route, r *http.Request) ([]byte, error) {
	c := &call{language: languageOf(r.Header.Get("Accept-Language"))}
	var err error
	if c.query, err = problem.Query(r, rt.query...); err != nil {
		return nil, err
	}
	if err = problem.Limit(r, rt.maxBody); err == nil {
		err = s.turns.crowded()
	}
	if err != nil {
		return nil, err
	}
	if c.body, err = s.spool.receive(r.Body); err != nil {
		return nil, err
	}
	defer c.body.close()
	done, err := s.turns.take(r.Context(), rt.work+workByte*c.body.size)
	if err != nil {
		return nil, err
	}
	defer done()
	if text := r.Header.Get("Content-Type"); text != "" {
		if c.media, c.parameters, err = mime.ParseMediaType(text); err != nil {
			return nil, refuse(http.StatusBadRequest, "Content-Type", "it can't be read: %v", err)
		}
	}
	ctx, cancel := context.WithTimeout(r.Context(), judgeTimeout)
	defer cancel()
	report, err := rt.do(ctx, c)
	if err != nil {
		return nil, err
	}
	return json.Marshal(report)
}

func (s *Server) validate(ctx context.Context, c *call) (any, error) {
	in, err := s.readDocument(c)
	defer func() {
		for _, password := range in.Passwords {
			clear(password)
		}
	}()
	if err != nil {
		return nil, err
	}
	report, err := s.judge(ctx, in)
	if err != nil {
		return nil, err
	}
	return report.In(c.language), nil
}

func (s *Server) judge(ctx context.Context, in verify.Request) (*verify.Report, error) {
	report, err := s.cfg.Judge(ctx, in)
	if err != nil {
		return nil, unjudged(ctx, "document", err)
	}
	return report, nil
}

// unjudged is the answer about what could not be judged: the content's fault, unless it is ours or the time was over.
func unjudged(ctx context.Context, field string, err error) error {
	var fault *verify.Fault
	switch {
	case errors.As(err, &fault):
		return &problem.Fault{Err: errors.New(fault.Reason), Stack: fault.Stack}
	case errors.Is(ctx.Err(), context.Canceled):
		return ctx.Err() // the client has left
	case ctx.Err() != nil:
		return refuse(http.StatusServiceUnavailable, "", "judging took longer than %s and was given up; try again in a moment", judgeTimeout)
	}
	return refuse(http.StatusUnprocessableEntity, field, "%v", err)
}
