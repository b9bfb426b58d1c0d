package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"os/signal"
	"path/filepath"
	"runtime/debug"
	"syscall"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"golang.org/x/sync/errgroup"

	"trustcore/cmd/internal/httpserver"
	"trustcore/cmd/internal/identity"
	"trustcore/verify"
	"trustcore/verify/api"
	"trustcore/verify/cache"
	"trustcore/verify/chain"
	"trustcore/verify/evidence"
	"trustcore/verify/revocation"
	"trustcore/verify/trustlist"
)

// The caches: 20,000 certificates take about 120 MB, 500,000 verdicts 125 MB, evidence 32 MB.
const (
	cachedCertificates = 20_000
	cachedVerdicts     = 500_000
	cachedEvidence     = 32 << 20
)

// judge is what verifyd judges by. It is safe for concurrent use.
type judge struct {
	trust        *trust
	verifier     *verify.Verifier
	cache        *cache.Cache
	gatherer     *evidence.Gatherer
	policies     *policies
	cards        *cards
	pins         []byte // the file that they were read from
	scanner      scanner
	ends         []ending               // of what it judges by
	judged       *prometheus.CounterVec // signatures, by indication
	certificates *prometheus.CounterVec // by indication
	took         prometheus.Histogram   // seconds
	log          *slog.Logger
}

func newJudge(ctx context.Context, cfg Config, metrics prometheus.Registerer, log *slog.Logger) (*judge, error) {
	policies, err := newPolicies(cfg.policies(), log)
	if err != nil {
		return nil, err
	}
	cards, err := newCards(cfg.ServiceCards, log)
	if err != nil {
		return nil, err
	}
	keep, err := cfg.keep(log)
	if err != nil {
		return nil, err
	}
	pins, pinsFile, err := readPins(cfg.Pins)
	if err != nil {
		return nil, err
	}
	signers, err := trustlist.SignersOf(cfg.LOTLSigners)
	if err != nil {
		return nil, fmt.Errorf("lotl_signers: %w", err)
	}
	sources := cfg.sources()
	sources.National = pins.Anchors()
	trust, err := newTrust(ctx, sources, keep, log)
	if err != nil {
		return nil, err
	}
	cache, err := cache.New(cache.Config{
		Certificates: cachedCertificates, Verdicts: cachedVerdicts, Evidence: cachedEvidence,
	})
	if err != nil {
		return nil, err
	}
	kept, err := evidence.OpenKeep(filepath.Join(cfg.StateDir, "evidence"))
	if err != nil {
		return nil, err
	}
	proxy, err := cfg.proxy()
	if err != nil {
		return nil, err
	}
	gatherer, err := evidence.New(evidence.Config{Offline: cfg.Offline, Allow: cfg.FetchAllow, Proxy: proxy, Cache: cache, Keep: kept, Now: time.Now, Logger: log})
	if err != nil {
		return nil, err
	}
	scanner, err := newScanner(cfg.Scanner)
	if err != nil {
		return nil, err
	}
	j := &judge{scanner: scanner, trust: trust, cache: cache, gatherer: gatherer, policies: policies, cards: cards,
		pins: pinsFile, ends: endings(pins, signers), log: log,
		judged:       prometheus.NewCounterVec(prometheus.CounterOpts{Name: "verify_signatures_total", Help: "Signatures judged, by indication."}, []string{"indication"}),
		certificates: prometheus.NewCounterVec(prometheus.CounterOpts{Name: "verify_certificates_total", Help: "Certificates judged for themselves, by indication."}, []string{"indication"}),
		took: prometheus.NewHistogram(prometheus.HistogramOpts{Name: "verify_document_seconds", Help: "Time to judge one document, evidence included.",
			Buckets: prometheus.ExponentialBuckets(0.0005, 2, 16)}),
	}
	j.verifier, err = verify.New(verify.Config{
		Lists:    func() *trustlist.Snapshot { return trust.current.Load().Snapshot },
		Gatherer: gatherer, Cache: cache, Pins: pins, Policy: policies.standard(), Now: time.Now, Complain: j.complain,
		Scanner: scanner.Scanner, MustScan: cfg.Scanner.Required,
	})
	return j, errors.Join(err, metrics.Register(j.judged), metrics.Register(j.certificates), metrics.Register(j.took), metrics.Register(figures{trust, gatherer}))
}

// document is an api.Judge.
func (j *judge) document(ctx context.Context, r verify.Request) (*verify.Report, error) {
	started := time.Now()
	defer func() { j.took.Observe(time.Since(started).Seconds()) }()
	if r.Policy == nil {
		r.Policy = j.policies.standard() // which may be another than at the start
	}
	report, err := j.verifier.Verify(ctx, r)
	if err != nil {
		return nil, err
	}
	for i := range report.Signatures {
		j.judged.WithLabelValues(string(report.Signatures[i].Indication)).Inc()
	}
	return report, nil
}

func orNow(at time.Time) time.Time {
	if at.IsZero() {
		return time.Now()
	}
	return at
}

func (j *judge) complain(problems []string) {
	for _, p := range problems {
		j.log.Info("a source of evidence did not serve", "problem", p)
	}
}

// certificate is an api.JudgeCertificate.
func (j *judge) certificate(ctx context.Context, q api.CertificateQuestion) (*chain.Report, error) {
	lists := j.trust.current.Load()
	var further [][]byte
	for _, c := range q.Further {
		further = append(further, c.Raw)
	}
	question := chain.Question{Target: q.Target, Further: q.Further, Anchors: lists.Anchors(), Lists: lists.Snapshot, Mode: q.Mode,
		CRLs: q.CRLs, OCSPs: q.OCSPs, Policies: q.Policies, Purposes: q.Purposes, Policy: q.Policy, Cache: j.cache}
	if question.Policy == nil {
		question.Policy = j.policies.standard()
	}
	var found evidence.Found
	if q.Mode != chain.None {
		found = j.gatherer.GatherFor(ctx, q.Target.Raw, further, lists.trust(), orNow(q.At))
		j.add(&question, found)
	}
	question.Time, question.Known = orNow(q.At), time.Now()
	report, err := chain.Judge(ctx, question)
	if err != nil {
		return nil, err
	}
	report.Problems = found.Problems
	report.Notes = append(report.Notes, listNotes(report, lists.Snapshot)...)
	report.Wait(found.Later)
	j.complain(found.Problems)
	j.certificates.WithLabelValues(report.Indication).Inc()
	return report, nil
}

// listNotes say how old the list is that a certificate was judged by.
func listNotes(r *chain.Report, lists *trustlist.Snapshot) []string {
	var anchors []string
	for _, link := range r.Chain {
		if link.Anchor {
			anchors = append(anchors, link.SHA256)
		}
	}
	return verify.ListNotes(lists, anchors, len(anchors) == 0, r.Time)
}

// add puts what was gathered into the question; what can't be read was left out before.
func (j *judge) add(q *chain.Question, found evidence.Found) {
	for _, der := range found.Certificates {
		if c, err := j.cache.Parse(der); err == nil {
			q.Further = append(q.Further, c)
		}
	}
	q.CRLs = append(q.CRLs, found.Parsed...)
	for _, der := range found.OCSPs {
		if r, err := revocation.ParseOCSP(der); err == nil {
			q.OCSPs = append(q.OCSPs, r)
		}
	}
}

func serve(ctx context.Context, cfg Config, log *slog.Logger) (err error) {
	var hangups [3]chan os.Signal // of the lists, the policies, the cards
	for i := range hangups {
		hangups[i] = make(chan os.Signal, 1)
		signal.Notify(hangups[i], syscall.SIGHUP) // before anything else: unheard, it ends the process
		defer signal.Stop(hangups[i])
	}
	// The second line: what requests may take is counted before they are judged, what was left behind is collected in time.
	debug.SetMemoryLimit(cfg.MaxMemory - memorySlack)
	metrics := httpserver.Metrics()
	j, err := newJudge(ctx, cfg, metrics, log)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, j.trust.close()) }()
	debug.SetGCPercent(verify.GCPercent) // after the lists, of whose reading much is left
	known, err := cfg.clients(log)
	if err != nil {
		return err
	}
	own, err := identity.OfDaemon(cfg.Identity, cfg.Trustd, log)
	if err != nil {
		return err
	}
	if err := metrics.Register(own); err != nil {
		return err
	}
	servers, validation, err := listen(ctx, cfg, j, own, known, metrics, log)
	if err != nil {
		return err
	}
	group, ctx := errgroup.WithContext(ctx)
	if known != nil {
		group.Go(func() error { return known.Run(ctx) })
	}
	for _, s := range servers {
		group.Go(s.Serve(ctx))
	}
	group.Go(func() error { return own.Run(ctx) })
	group.Go(func() error { return j.trust.run(ctx, watch{cfg.Reload, hangups[0]}) })
	if j.trust.keeper != nil {
		group.Go(func() error { return j.trust.keeper.Run(ctx) })
	}
	group.Go(func() error { return j.policies.run(ctx, watch{cfg.Reload, hangups[1]}) })
	group.Go(func() error { return j.cards.run(ctx, watch{cfg.Reload, hangups[2]}) })
	group.Go(func() error { return validation.Run(ctx) })
	group.Go(func() error { return j.gatherer.Run(ctx) })
	return group.Wait()
}

// memorySlack is what a process takes that the runtime does not count, in bytes.
const memorySlack = 32 << 20

func newAPI(cfg Config, j *judge, known *clients, beside []api.Route, log *slog.Logger) (*api.Server, error) {
	if err := os.MkdirAll(cfg.spoolDir(), 0o700); err != nil {
		return nil, fmt.Errorf("spool_dir: %w", err)
	}
	sealer, err := cfg.newSealer(log)
	if err != nil {
		return nil, err
	}
	return api.New(api.Config{Judge: j.document, Certificate: j.certificate, Cache: j.cache,
		Policies: j.policies.all, Cards: j.cards.all,
		Evidence: j.forBrowsers(), Caller: known.caller, Callers: known.callers(), MayAsk: known.mayAsk, Ready: j.trust.judgeable, Beside: beside, Logger: log,
		Name: cfg.Reports.Judge, Seal: sealer, MaxDocument: cfg.MaxDocument,
		Concurrency: cfg.Concurrency, Memory: cfg.MaxMemory - baseMemory, SpoolDir: cfg.spoolDir(), Spool: cfg.MaxSpool})
}

// listen opens both listeners before anything is served, so that a port that is taken stops the start. known is nil where
// callers show no certificate.
func listen(ctx context.Context, cfg Config, j *judge, own *identity.Renewal, known *clients, metrics *prometheus.Registry,
	log *slog.Logger) ([]httpserver.Server, *api.Server, error) {
	tls, err := cfg.Identity.Server(known != nil)
	if err != nil {
		return nil, nil, err
	}
	known.admits(tls)
	service := httpserver.Server{Name: "api", TLS: tls, Logger: log, Body: api.Bodies(cfg.MaxDocument),
		Connections: cfg.MaxConnections, Speak: api.Speak}
	validation, err := newAPI(cfg, j, known, j.routes(service), log)
	if err != nil {
		return nil, nil, err
	}
	if service.Listener, err = httpserver.Listen(ctx, "listen", cfg.Listen, false); err != nil {
		return nil, nil, err
	}
	ops, err := httpserver.Listen(ctx, "operations", cfg.Operations, false)
	if err != nil {
		return nil, nil, errors.Join(err, service.Listener.Close())
	}
	if service.Handler, err = j.trust.withPage(validation, cfg.Reports.Judge, j.forBrowsers() != nil, log); err != nil {
		return nil, nil, errors.Join(err, service.Listener.Close(), ops.Close())
	}
	if known != nil {
		service.Handler = known.protect(service, service.Handler)
	}
	about := httpserver.Server{Name: "operations", Listener: ops, Logger: log}
	about.Handler = operations(j, own, known, validation, metrics).Handler(about)
	return []httpserver.Server{service, about}, validation, nil
}
