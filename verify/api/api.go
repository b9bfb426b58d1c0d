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
	"trustcore/verify/cache"
	"trustcore/verify/poland"
)

// Judge judges one document (verify.Verifier.Verify). An error tells that the document could not be judged.
type Judge func(ctx context.Context, r verify.Request) (*verify.Report, error)

// Config is what New needs. Zero values have defaults, but for the first three.
type Config struct {
	Judge       Judge
	Certificate JudgeCertificate
	Logger      *slog.Logger
	// Cache has the certificates of questions that it knows; nil: each is parsed anew.
	Cache *cache.Cache
	// Policies are those that callers may choose by their names; a request that names none has none
	// (verify.Request.Policy). nil: the one that is the default.
	Policies func() []*verify.Policy
	// Evidence answers verifiers that run elsewhere; nil answers none.
	Evidence Evidence
	// Cards are the services that documents may be handed in for; nil: there are none.
	Cards func() poland.Cards
	// Caller is who asks, by a name that stays the same over renewals of a certificate: the log has it, and a result that
	// comes later is given to it alone. nil: all are one.
	Caller func(*http.Request) string
	// Callers are who is let in in front of the API, as its description says.
	Callers Callers
	// MayAsk says why a caller may not ask about a service; nil: all may about all.
	MayAsk func(caller, service string) error
	// Ready says why nothing can be judged now; nil: it always can.
	Ready func() error
	// Name is that of the data centre, by which reports that are kept say who judged; "" is none.
	Name string
	// Seal seals a report in a form of keep.Forms, as Name; nil: reports have no seal. Its errors are problems, or faults.
	Seal func(ctx context.Context, form string, report []byte) ([]byte, error)
	// Beside are routes that somebody else serves, described and refused as the API's own.
	Beside      []Route
	MaxDocument int64  // bytes of one request; 0 means 100 MiB
	Concurrency int    // requests judged at once; 0 means two a processor and at least four
	Waiting     int    // requests that wait for their turn; more are shed with 503; 0 means 64
	Memory      int64  // bytes that requests and judging may take together; 0 means 640 MiB
	SpoolDir    string // where requests above 64 KiB wait for their turn; "" is the folder for temporary files
	Spool       int64  // bytes that may wait there; 0 means 2 GiB
}

// Callers are who is let in.
type Callers int

// The callers.
const (
	Anybody      Callers = iota // by no certificate
	Certified                   // by a client certificate, within quotas
	Applications                // by a client certificate or an application's token, within quotas
)

// Defaults and limits.
const (
	defaultMaxDocument = 100 << 20
	defaultWaiting     = 64
	defaultMemory      = 640 << 20
	defaultSpool       = 2 << 30
	minConcurrency     = 4 // so that two documents that take long leave room for others
	judgeTimeout       = 30 * time.Second
	maxAnswers         = 64 << 20 // bytes of answers that clients have not taken yet
	laterShare         = 4        // of the spool one part is for documents that are judged again
)

// Bodies is what the listener in front of the API must let through: the largest request takes some minutes on a slow line.
func Bodies(maxDocument int64) problem.Body {
	return problem.Body{Max: max(maxDocument, maxCertificateRequest), Time: 5 * time.Minute, Gzip: true}
}

// Server is the interface. It is served behind a problem.Door with Bodies and Speak; Run has to run beside.
type Server struct {
	cfg     Config
	door    problem.Door
	turns   turns
	spool   spool
	answers quota
	parcels quota // bytes
	later   later
	mux     *http.ServeMux
}

// New returns the interface.
func New(cfg Config) (*Server, error) {
	if cfg.Judge == nil || cfg.Certificate == nil || cfg.Logger == nil {
		return nil, errors.New("api: Judge, Certificate or Logger is missing")
	}
	cfg.setDefaults()
	if need := MemoryFor(cfg.MaxDocument); cfg.Memory < need {
		return nil, fmt.Errorf("api: to judge documents of %d bytes %d bytes of memory are needed, not %d",
			cfg.MaxDocument, need, cfg.Memory)
	}
	s := &Server{cfg: cfg, door: problem.Door{Name: "api", Logger: cfg.Logger, Speak: Speak}, mux: http.NewServeMux(),
		turns: turns{places: cfg.Concurrency, bytes: cfg.Memory, waiting: cfg.Waiting},
		later: newLater(cfg.Spool/laterShare, time.Now)}
	s.answers.max, s.parcels.max = maxAnswers, maxParcels
	s.spool.dir, s.spool.log, s.spool.room.max = cfg.SpoolDir, cfg.Logger, cfg.Spool
	return s, s.open()
}

func (cfg *Config) setDefaults() {
	cfg.MaxDocument, cfg.Waiting = cmp.Or(cfg.MaxDocument, defaultMaxDocument), cmp.Or(cfg.Waiting, defaultWaiting)
	cfg.Memory, cfg.Spool = cmp.Or(cfg.Memory, defaultMemory), cmp.Or(cfg.Spool, defaultSpool)
	cfg.Concurrency = cmp.Or(cfg.Concurrency, max(minConcurrency, 2*runtime.NumCPU()))
	cfg.SpoolDir = cmp.Or(cfg.SpoolDir, os.TempDir())
	if cfg.Policies == nil {
		cfg.Policies = func() []*verify.Policy { return []*verify.Policy{verify.DefaultPolicy()} }
	}
	if cfg.Cards == nil {
		cfg.Cards = func() poland.Cards { return nil }
	}
	if cfg.Caller == nil {
		cfg.Caller = func(*http.Request) string { return "" }
	}
	if cfg.Ready == nil {
		cfg.Ready = func() error { return nil }
	}
}

// open serves the routes, and their description.
func (s *Server) open() error {
	for _, r := range s.routes() {
		s.mux.HandleFunc(r.method+" "+r.path, s.serve(r))
	}
	s.mux.HandleFunc(ParcelRoute, s.parcel)
	for _, r := range s.cfg.Beside {
		s.mux.Handle(r.Method+" "+r.Path, r.Handler)
	}
	description, err := s.describe()
	if err != nil {
		return fmt.Errorf("api: %w", err)
	}
	s.mux.HandleFunc("GET /openapi.json", func(w http.ResponseWriter, _ *http.Request) {
		problem.Send(w, http.StatusOK, "application/json", description)
	})
	return nil
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
	method, path string
	maxBody      int64    // bytes
	work         int64    // bytes of memory that judging takes beside workByte for each of the body; 0: nothing is judged
	query        []string // parameters of the address (see problem.Query)
	do           func(ctx context.Context, c *call) (answer any, err error)
	fail         func(w http.ResponseWriter, r *http.Request, err error) // nil: the door's
	doc          documentation
}

func (s *Server) routes() []route {
	const dss = "/services/rest/"
	get, post, document := http.MethodGet, http.MethodPost, s.cfg.MaxDocument
	return append(s.evidenceRoutes(), []route{
		{post, "/v1/validations", document, workDocument, validationQuery, s.validate, nil, docValidations},
		{get, "/v1/validations/{id}", 0, 0, nil, s.laterResult, nil, docLater},
		{http.MethodDelete, "/v1/validations/{id}", 0, 0, nil, s.forget, nil, docForget},
		{get, "/v1/services", 0, 0, nil, s.services, nil, docServices},
		{post, "/v1/certificates", maxCertificateRequest, workCertificate, certificateQuery, s.validateCertificates, nil,
			docCertificates},
		{post, dss + "validation/validateSignature", document, workDocument, nil, s.dssSignature, nil, docDSSSignature},
		{post, dss + "validation/getOriginalDocuments", document, workDocument, nil, s.dssOriginals, nil, docDSSOriginals},
		{post, dss + "certificate-validation/validateCertificate", maxCertificateRequest, workCertificate, nil,
			s.dssCertificate, nil, docDSSCertificate},
		{post, "/validate", document, workDocument, nil, s.sivaValidate, s.sivaFail, docSivaValidate},
		{post, "/validateHashcode", document, workDocument, nil, s.sivaHashcode, s.sivaFail, docSivaHashcode},
		{post, "/getDataFiles", document, workDocument, nil, s.sivaDataFiles, s.sivaFail, docSivaDataFiles},
	}...)
}

// call is a request that has come in completely.
type call struct {
	media      string // of the body, without its parameters
	parameters map[string]string
	query      url.Values
	language   string // of reasons and notes, see languageOf
	caller     string
	id         string // that the address names
	later      bool   // the result may come later, see later
	body       *body  // nil where nothing is judged, or where somebody else keeps it now
}

// reply is an answer that is more than JSON with status 200.
type reply struct {
	status int
	header map[string]string
	media  string // "" for JSON
	data   []byte
}

func (s *Server) serve(rt route) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		began, c := time.Now(), newCall(r)
		c.caller = s.cfg.Caller(r)
		out, err := s.answer(rt, c, r)
		if err == nil && !s.answers.take(int64(len(out.data))) {
			err = busy()
		}
		s.cfg.Logger.Info("asked", "server", s.door.Name, "request", w.Header().Get(problem.IDHeader), "caller", c.caller,
			"route", rt.method+" "+rt.path, "served", err == nil, "took", time.Since(began).String())
		if err != nil {
			if rt.fail == nil {
				s.door.Fail(w, r, err)
			} else {
				rt.fail(w, r, err)
			}
			return
		}
		defer s.answers.give(int64(len(out.data)))
		for name, value := range out.header {
			w.Header().Set(name, value)
		}
		if out.status == http.StatusNoContent {
			w.WriteHeader(out.status)
			return
		}
		problem.Send(w, out.status, out.media, out.data)
	}
}

func newCall(r *http.Request) *call {
	return &call{language: languageOf(r.Header.Get("Accept-Language")), id: r.PathValue("id"),
		later: prefersLater(r.Header.Values("Prefer"))}
}

// answer receives the request, waits for its turn and has it judged. What it returns is written after the turn: a client that
// reads slowly holds none.
func (s *Server) answer(rt route, c *call, r *http.Request) (*reply, error) {
	var err error
	if c.query, err = problem.Query(r, rt.query...); err != nil {
		return nil, err
	}
	if rt.work == 0 {
		return replyOf(rt.do(r.Context(), c))
	}
	if err := s.receive(rt, c, r); err != nil {
		return nil, err
	}
	defer func() { c.body.close() }()
	done, err := s.turns.take(r.Context(), c.cost(rt))
	if err != nil {
		return nil, err
	}
	defer done()
	ctx, cancel := context.WithTimeout(r.Context(), judgeTimeout)
	defer cancel()
	return replyOf(rt.do(ctx, c))
}

// mayJudge refuses a request about which nothing can be judged now, or that is too large, before its body is read.
func (s *Server) mayJudge(r *http.Request, most int64) error {
	if err := s.cfg.Ready(); err != nil {
		return err
	}
	if err := problem.Limit(r, most); err != nil {
		return err
	}
	return s.turns.crowded()
}

// receive reads the request to its end, when it may be judged.
func (s *Server) receive(rt route, c *call, r *http.Request) error {
	err := s.mayJudge(r, rt.maxBody)
	if err == nil {
		err = c.readLater()
	}
	if text := r.Header.Get("Content-Type"); err == nil && text != "" {
		if c.media, c.parameters, err = mime.ParseMediaType(text); err != nil {
			err = refuse(http.StatusBadRequest, "Content-Type", "it can't be read: %v", err)
		}
	}
	if err != nil {
		return err
	}
	c.body, err = s.spool.receive(r.Body, r.ContentLength, c.later)
	return err
}

// cost is how many bytes of memory judging the call may take.
func (c *call) cost(rt route) int64 { return rt.work + workByte*c.body.size }

func replyOf(answer any, err error) (*reply, error) {
	if err != nil {
		return nil, err
	}
	var out *reply
	switch answer := answer.(type) {
	case *reply:
		out = answer
	case *verify.Report:
		out = new(reply)
		out.data, err = answer.JSON()
	default:
		out = new(reply)
		out.data, err = json.Marshal(answer)
	}
	if err != nil {
		return nil, err
	}
	out.status, out.media = cmp.Or(out.status, http.StatusOK), cmp.Or(out.media, "application/json")
	return out, nil
}

// validationQuery are the parameters beside a document.
var validationQuery = []string{"at", "policy", "service", "active", "later", "report", "seal"}

func (s *Server) validate(ctx context.Context, c *call) (any, error) {
	if c.query.Has("report") {
		return s.kept(ctx, c)
	}
	if c.query.Has("seal") {
		return nil, refuse(http.StatusBadRequest, "seal", "a seal is of a report that is kept: name its form as report, such as pdf")
	}
	report, err := s.validated(ctx, c)
	if err != nil || !c.later {
		return report, err
	}
	return s.keepLater(c, report)
}

// validated is the report on the document of a call, in its language.
func (s *Server) validated(ctx context.Context, c *call) (report *verify.Report, err error) {
	err = s.withDocument(c, func(in order) error {
		report, err = s.judgeOrder(ctx, in, c.language)
		return err
	})
	return report, err
}

// withDocument has something done with what a call carries, whose passwords are gone afterwards.
func (s *Server) withDocument(c *call, do func(order) error) error {
	in, err := s.readDocument(c)
	defer func() {
		for _, password := range in.Passwords {
			clear(password)
		}
	}()
	if err != nil {
		return err
	}
	return do(in)
}

// judgeOrder is the report on what was ordered, in a language.
func (s *Server) judgeOrder(ctx context.Context, in order, language string) (*verify.Report, error) {
	report, err := s.judgeFor(ctx, in)
	if err != nil {
		return nil, err
	}
	return report.In(language), nil
}

// judgeFor is the report on what was ordered, for the service that it is for.
func (s *Server) judgeFor(ctx context.Context, in order) (*verify.Report, error) {
	in.Any = in.card != nil // a file that can hold no signature is as unsigned as any for the service
	report, err := s.judge(ctx, in.Request)
	if err == nil && in.card != nil {
		report.For(in.card)
	}
	return report, err
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
	case errors.Is(err, verify.ErrNotScanned):
		return refuse(http.StatusServiceUnavailable, field, "the scanner for malicious software does not answer: try again later")
	case errors.Is(err, verify.ErrTooLargeToScan):
		return refuse(http.StatusUnprocessableEntity, field, "it is larger than the scanner for malicious software takes")
	case errors.Is(ctx.Err(), context.Canceled):
		return ctx.Err() // the client has left
	case ctx.Err() != nil:
		return refuse(http.StatusServiceUnavailable, "", "judging took longer than %s and was given up; try again in a moment", judgeTimeout)
	}
	return refuse(http.StatusUnprocessableEntity, field, "%v", err)
}
