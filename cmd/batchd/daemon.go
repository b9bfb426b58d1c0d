package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"path/filepath"
	"strings"
	"time"

	"golang.org/x/sync/errgroup"

	"trustcore/cmd/internal/batch"
	"trustcore/cmd/internal/httpserver"
	"trustcore/cmd/internal/identity"
	"trustcore/cmd/internal/rights"
	"trustcore/internal/audit"
	"trustcore/internal/durable"
	"trustcore/internal/store"
)

// auditOrigin names batchd's log in its checkpoints.
const auditOrigin = "trustcore/batches"

// closeTimeout is how long the audit log may take to end.
const closeTimeout = 10 * time.Second

// daemon is what batchd holds.
type daemon struct {
	cfg     Config
	log     *slog.Logger
	known   *rights.Follower
	own     *identity.Renewal
	verifyd *batch.Verifyd
	db      *store.DB
	audit   *audit.Log
	queue   *batch.Batches
	sources *sources
	servers []httpserver.Server
}

func serve(ctx context.Context, cfg Config, log *slog.Logger) error {
	d := &daemon{cfg: cfg, log: log}
	err := d.open(ctx)
	if err == nil {
		err = d.listen(ctx)
	}
	if err == nil {
		err = d.run(ctx)
	}
	return errors.Join(err, d.close())
}

func (d *daemon) open(ctx context.Context) (err error) {
	if d.known, err = rights.Follow(d.cfg.Trustd, d.cfg.Identity, d.cfg.ClientsFor, d.log); err != nil {
		return err
	}
	if d.own, err = identity.OfDaemon(d.cfg.Identity, d.cfg.Trustd, d.log); err != nil {
		return err
	}
	settings, err := d.cfg.Identity.Client()
	if err != nil {
		return err
	}
	d.verifyd = batch.NewVerifyd(d.cfg.Verifyd, &http.Client{Transport: &http.Transport{TLSClientConfig: settings,
		DisableCompression: true, MaxIdleConnsPerHost: d.cfg.Concurrency, IdleConnTimeout: time.Minute,
		WriteBufferSize: ioBuffer, ReadBufferSize: ioBuffer}})
	if err := durable.MkdirAll(d.cfg.StateDir, 0o700); err != nil {
		return fmt.Errorf("state_dir: %w", err)
	}
	if d.db, err = store.Open(ctx, "sqlite://"+filepath.Join(d.cfg.StateDir, "batches.db")); err != nil {
		return err
	}
	if d.audit, err = audit.Open(ctx, audit.Config{Dir: filepath.Join(d.cfg.StateDir, "audit"), Origin: auditOrigin,
		DB: d.db, Logger: d.log}); err != nil {
		return err
	}
	if d.sources, err = openSources(&d.cfg); err != nil {
		return err
	}
	d.queue, err = batch.Open(ctx, batch.Config{DB: d.db, Dir: filepath.Join(d.cfg.StateDir, "spool"),
		Judge: d.verifyd.Judge, JudgeParcel: d.verifyd.JudgeParcel, Ready: d.verifyd.Ready, Now: time.Now,
		Logger: d.log, Record: d.record, Terms: d.terms,
		Roots: d.sources.roots, Hosts: d.sources.hosts, Quota: d.cfg.MaxSpool, MaxDocument: d.cfg.MaxDocument,
		Concurrency: d.cfg.Concurrency, Hold: d.cfg.KeepResults})
	return err
}

// ioBuffer is how many bytes of a request or an answer go over a connection to verifyd at once.
const ioBuffer = 32 << 10

// listen opens both listeners before anything is served, so that a port that is taken stops the start.
func (d *daemon) listen(ctx context.Context) error {
	settings, err := d.cfg.Identity.Server(true)
	if err != nil {
		return err
	}
	rights.AskForToken(settings)
	listener, err := httpserver.Listen(ctx, "listen", d.cfg.Listen, false)
	if err != nil {
		return err
	}
	service := httpserver.Server{Name: "batches", Listener: listener, TLS: settings, Logger: d.log,
		Body: batch.Bodies(d.cfg.MaxUpload), Connections: d.cfg.MaxConnections, Away: away}
	service.Handler = d.protect(service)
	d.servers = append(d.servers, service)
	if listener, err = httpserver.Listen(ctx, "operations", d.cfg.Operations, false); err != nil {
		return err
	}
	about := httpserver.Server{Name: "operations", Listener: listener, Logger: d.log}
	o, err := d.operations()
	if err != nil {
		return err
	}
	about.Handler = o.Handler(about)
	d.servers = append(d.servers, about)
	return nil
}

// protect lets those who may to the batches that are theirs.
func (d *daemon) protect(s httpserver.Server) http.Handler {
	guard := rights.Guard{Listener: rights.Batches, Standing: d.known.Standing, Bearer: d.known.Bearer}
	routes := d.queue.Routes(s.Door())
	quotas := &rights.Quotas{Of: d.known.Application}
	return guard.Serve(s.Door(), quotas.Serve(s.Door(), func(w http.ResponseWriter, r *http.Request, who rights.Holder) {
		routes[r.Pattern](w, r, ownerOf(who))
	}))
}

// ownerOf names a holder as batches know their owners: its role and its name. Whether an application shows a
// certificate or a token is one.
func ownerOf(who rights.Holder) string { return string(who.Role()) + ":" + who.Name }

// terms are what an owner may use.
func (d *daemon) terms(owner string) batch.Terms {
	role, name, _ := strings.Cut(owner, ":")
	a := d.known.Application(name)
	if role != string(rights.Application) || a == nil {
		return batch.Terms{}
	}
	return batch.Terms{DocumentsADay: a.DocumentsADay, SpoolBytes: a.SpoolBytes, OpenBatches: a.OpenBatches,
		MayAsk: a.MayUse, Webhooks: a.Webhooks}
}

// record writes an owner's act into the audit log before it happens; without an owner it is batchd's own.
func (d *daemon) record(ctx context.Context, act batch.Act) error {
	kind, name, _ := strings.Cut(act.Owner, ":")
	e := audit.Entry{Time: time.Now(), Actor: audit.Actor{Kind: kind, ID: name}, Action: act.Action, Subject: act.Batch,
		Outcome: audit.Granted, Details: act.Details}
	if act.Owner == "" {
		e.Actor = audit.Actor{Kind: "daemon", ID: rights.DispatcherName}
	}
	if a := d.known.Application(name); a != nil && kind == string(rights.Application) {
		e.Partner = a.Partner
	}
	_, err := d.audit.Append(ctx, e)
	return err
}

// run serves until ctx ends or a part fails.
func (d *daemon) run(ctx context.Context) error {
	group, ctx := errgroup.WithContext(ctx)
	group.Go(func() error { return d.known.Run(ctx) })
	group.Go(func() error { return d.own.Run(ctx) })
	group.Go(func() error { return d.db.Watch(ctx) })
	group.Go(func() error { return d.queue.Run(ctx) })
	group.Go(func() error { return d.queue.SendNotices(ctx, d.sources.send) })
	for _, s := range d.servers {
		group.Go(s.Serve(ctx))
	}
	return group.Wait()
}

func (d *daemon) close() error {
	ctx, cancel := context.WithTimeout(context.Background(), closeTimeout)
	defer cancel()
	var all error
	if d.queue != nil {
		all = errors.Join(all, d.queue.Close())
	}
	if d.sources != nil {
		all = errors.Join(all, d.sources.close())
	}
	if d.audit != nil {
		all = errors.Join(all, d.audit.Close(ctx))
	}
	if d.db != nil {
		all = errors.Join(all, d.db.Close())
	}
	return all
}
