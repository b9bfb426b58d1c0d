package main

import (
	"context"
	"errors"
	"log/slog"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"golang.org/x/sync/errgroup"

	"trustcore/cmd/internal/httpserver"
	"trustcore/verify"
	"trustcore/verify/api"
	"trustcore/verify/evidence"
	"trustcore/verify/path"
	"trustcore/verify/signature"
	"trustcore/verify/trustlist"
)

// The caches: 20,000 certificates take about 120 MB, 500,000 verdicts 75 MB.
const (
	cachedCertificates = 20_000
	cachedVerdicts     = 500_000
)

// judge is what verifyd judges by. It is immutable.
type judge struct {
	lists    *trustlist.Snapshot
	cache    *path.Cache
	gatherer *evidence.Gatherer
	policy   *verify.Policy
	judged   *prometheus.CounterVec // by indication
	took     prometheus.Histogram   // seconds
	log      *slog.Logger
}

func newJudge(ctx context.Context, cfg Config, metrics prometheus.Registerer, log *slog.Logger) (*judge, error) {
	lists, err := trustlist.Load(ctx, cfg.sources())
	if err != nil {
		return nil, err
	}
	for _, s := range lists.Status() {
		if s.Error != "" {
			log.Warn("a trusted list is not used", "file", s.File, "territory", s.Territory, "error", s.Error)
		}
	}
	log.Info("trusted lists loaded", "files", len(lists.Status()), "services", lists.Services())
	cache, err := path.NewCache(path.CacheConfig{Certificates: cachedCertificates, Verdicts: cachedVerdicts})
	if err != nil {
		return nil, err
	}
	gatherer, err := evidence.New(evidence.Config{Offline: cfg.Offline, Allow: cfg.FetchAllow, Cache: cache, Now: time.Now})
	if err != nil {
		return nil, err
	}
	j := &judge{lists: lists, cache: cache, gatherer: gatherer, policy: verify.DefaultPolicy(), log: log,
		judged: prometheus.NewCounterVec(prometheus.CounterOpts{Name: "verify_signatures_total", Help: "Signatures judged, by indication."}, []string{"indication"}),
		took: prometheus.NewHistogram(prometheus.HistogramOpts{Name: "verify_document_seconds", Help: "Time to judge one document, evidence included.",
			Buckets: prometheus.ExponentialBuckets(0.0005, 2, 16)}),
	}
	return j, errors.Join(metrics.Register(j.judged), metrics.Register(j.took))
}

// document is an api.Judge.
func (j *judge) document(ctx context.Context, data []byte, detached []signature.Detached, at time.Time) (*verify.Report, error) {
	started := time.Now()
	defer func() { j.took.Observe(time.Since(started).Seconds()) }()
	doc, err := verify.Open(data, detached...)
	if err != nil {
		return nil, err
	}
	found := j.gatherer.Gather(ctx, doc, j.lists.Anchors(), at)
	for _, p := range found.Problems {
		j.log.Info("a source of revocation information did not answer", "problem", p)
	}
	report, err := verify.Judge(ctx, doc, &verify.Evidence{Lists: j.lists, CRLs: found.CRLs, OCSPs: found.OCSPs, Cache: j.cache}, j.policy, at)
	if err != nil {
		return nil, err
	}
	for i := range report.Signatures {
		j.judged.WithLabelValues(string(report.Signatures[i].Indication)).Inc()
	}
	return report, nil
}

func serve(ctx context.Context, cfg Config, log *slog.Logger) error {
	metrics := httpserver.Metrics()
	j, err := newJudge(ctx, cfg, metrics, log)
	if err != nil {
		return err
	}
	handler, err := api.New(api.Config{Judge: j.document, Now: time.Now, Logger: log, MaxDocument: cfg.MaxDocument, Concurrency: cfg.Concurrency})
	if err != nil {
		return err
	}
	tls, err := cfg.Identity.Server(cfg.Clients == "certificate")
	if err != nil {
		return err
	}
	listener, err := httpserver.Listen(ctx, "listen", cfg.Listen, false)
	if err != nil {
		return err
	}
	operations, err := httpserver.Listen(ctx, "operations", cfg.Operations, false)
	if err != nil {
		return errors.Join(err, listener.Close())
	}
	ready := func(context.Context) error { return nil } // lists and anchors were loaded, or we would not be here
	group, ctx := errgroup.WithContext(ctx)
	group.Go(httpserver.Server{Name: "api", Listener: listener, TLS: tls, Handler: handler, Logger: log}.Serve(ctx))
	group.Go(httpserver.Server{Name: "operations", Listener: operations, Handler: httpserver.Operations(ready, metrics), Logger: log}.Serve(ctx))
	return group.Wait()
}
