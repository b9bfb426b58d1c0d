package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"

	"trustcore/cmd/internal/httpserver"
	"trustcore/vpn"
)

// reopenAfter is the pause between two attempts to open the hub on a host that is not ready for it.
const reopenAfter = 5 * time.Second

// gateway tends one hub. Its loop is the only writer of device, firewall and routes.
type gateway struct {
	cfg    Config
	log    *slog.Logger
	trustd *trustd
	hub    vpn.HubConfig

	mu       sync.Mutex
	status   *vpn.Status                       // the last reading; nil while no hub is open. Guarded by mu
	applied  bool                              // a wish is in force; guarded by mu
	problems struct{ hub, wish, trustd error } // why not all is well; guarded by mu
}

// Run works until ctx ends. A host on which no safe hub can be opened is no reason to end:
// the tunnel stays down, /readyz says why, and we try again.
func Run(ctx context.Context, cfg Config, log *slog.Logger) error {
	g, err := newGateway(cfg, log)
	if err != nil {
		return err
	}
	listener, err := httpserver.Listen(ctx, "operations", cfg.Operations, false)
	if err != nil {
		return err
	}
	metrics := httpserver.Metrics()
	metrics.MustRegister(g)
	operations := httpserver.Server{Name: "operations", Listener: listener, Logger: log}
	operations.Handler = httpserver.Operations{Metrics: metrics, Services: map[string]func(context.Context) error{"vpn": g.ready}}.Handler(operations)
	wishes := make(chan vpn.Wish)
	group, ctx := errgroup.WithContext(ctx)
	group.Go(func() error { return operations.Run(ctx) })
	group.Go(func() error { return g.trustd.follow(ctx, wishes, g.noteTrustd) })
	group.Go(func() error { return g.keep(ctx, wishes) })
	return group.Wait()
}

func newGateway(cfg Config, log *slog.Logger) (*gateway, error) {
	if err := os.MkdirAll(cfg.StateDir, 0o700); err != nil {
		return nil, fmt.Errorf("state_dir: %w", err)
	}
	key, err := vpn.LoadOrCreateKey(filepath.Join(cfg.StateDir, "hub.key"))
	if err != nil {
		return nil, err
	}
	core, err := newTrustd(cfg, log)
	if err != nil {
		return nil, err
	}
	return &gateway{cfg: cfg, log: log, trustd: core, hub: vpn.HubConfig{
		Mode: vpn.Mode(cfg.Mode), Interface: cfg.Interface, PrivateKey: key, ListenPort: cfg.ListenPort,
		Addresses: cfg.Addresses, MTU: cfg.MTU, StateDir: cfg.StateDir, Log: log,
	}}, nil
}

// keep opens a hub and tends it, again and again, until ctx ends.
func (g *gateway) keep(ctx context.Context, wishes <-chan vpn.Wish) error {
	var last *vpn.Wish // survives a hub that somebody deleted under our hands
	for ctx.Err() == nil {
		hub, err := vpn.OpenHub(g.hub)
		g.noteHub(err)
		if err != nil {
			g.log.Error("the tunnel stays down", "error", err)
			pause(ctx, reopenAfter)
			continue
		}
		g.log.Info("the hub is open", "mode", hub.Mode(), "public_key", hub.PublicKey().String())
		err = g.tend(ctx, hub, wishes, &last)
		g.forget()
		if err := errors.Join(err, hub.Close()); err != nil {
			g.log.Error("the hub was closed", "error", err)
		}
	}
	return nil
}

// tend applies wishes as they come and looks for drift between them. It returns when ctx
// ends or the device is gone.
func (g *gateway) tend(ctx context.Context, hub *vpn.Hub, wishes <-chan vpn.Wish, last **vpn.Wish) error {
	if *last != nil {
		g.apply(hub, **last)
	}
	if err := g.tell(ctx, hub); err != nil { // trustd needs key and port before any office enrols
		return err
	}
	tick := time.NewTicker(g.cfg.Reconcile)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case wish := <-wishes:
			*last = &wish
			g.apply(hub, wish)
		case <-tick.C:
			g.repair(hub, *last != nil)
		}
		if err := g.tell(ctx, hub); err != nil {
			return err
		}
	}
}

func (g *gateway) apply(hub *vpn.Hub, wish vpn.Wish) {
	started := time.Now()
	changes, err := hub.Apply(wish)
	g.noteWish(err, err == nil)
	if err != nil {
		g.log.Error("the wish is not in force", "wish", wish, "error", err)
		return
	}
	g.log.Info("the wish is in force", "wish", wish, "changes", changes, "took", time.Since(started).String())
}

func (g *gateway) repair(hub *vpn.Hub, wished bool) {
	changes, err := hub.Reconcile()
	if err != nil {
		g.noteWish(err, false)
		g.log.Error("the gateway differs from the wish and could not be repaired", "error", err)
		return
	}
	if !changes.IsZero() {
		g.log.Warn("somebody else changed the gateway; it was repaired", "changes", changes)
	}
	g.healed(wished)
}

// tell reads the hub, keeps the reading for the operations pages, and reports it. It fails
// only when the hub has to be opened anew.
func (g *gateway) tell(ctx context.Context, hub *vpn.Hub) error {
	status, err := hub.Status(time.Now())
	if errors.Is(err, vpn.ErrDeviceGone) {
		return err
	}
	if err != nil {
		g.log.Error("the hub's state cannot be read", "error", err)
		return nil
	}
	g.mu.Lock()
	if status.Problem == "" && g.problems.wish != nil {
		status.Problem = g.problems.wish.Error()
	}
	g.status = &status
	g.mu.Unlock()
	if err := g.trustd.report(ctx, status); err != nil && ctx.Err() == nil {
		g.log.Warn("trustd did not take the report", "error", err)
	}
	return nil
}

// ready says in one sentence why the gateway does not do its work.
func (g *gateway) ready(context.Context) error {
	g.mu.Lock()
	defer g.mu.Unlock()
	switch {
	case g.problems.hub != nil:
		return fmt.Errorf("the tunnel is down: %w", g.problems.hub)
	case g.problems.wish != nil:
		return fmt.Errorf("the wish is not in force: %w", g.problems.wish)
	case g.applied:
		return nil // trustd may be away: the tunnels go on
	case g.problems.trustd != nil:
		return fmt.Errorf("no wish yet: %w", g.problems.trustd)
	}
	return errors.New("no wish yet: waiting for trustd")
}

func (g *gateway) noteHub(err error) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.problems.hub = err
}

func (g *gateway) noteTrustd(err error) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.problems.trustd = err
}

func (g *gateway) noteWish(err error, applied bool) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.problems.wish = err
	g.applied = g.applied || applied
}

// healed clears a failure of the apparatus; a wish that was refused stays noted until a
// better one comes.
func (g *gateway) healed(wished bool) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if !errors.As(g.problems.wish, new(*vpn.FieldError)) {
		g.problems.wish = nil
		g.applied = g.applied || wished
	}
}

func (g *gateway) forget() {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.status, g.applied = nil, false
}
