package main

import (
	"context"
	"crypto/tls"
	"errors"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"golang.org/x/sync/errgroup"

	"trustcore/cmd/internal/activation"
	"trustcore/cmd/internal/console"
	"trustcore/cmd/internal/custody"
	"trustcore/cmd/internal/grants"
	"trustcore/cmd/internal/httpserver"
	"trustcore/cmd/internal/identity"
	"trustcore/cmd/internal/registry"
	"trustcore/cmd/internal/rights"
	"trustcore/hsm"
	"trustcore/hsm/gateway"
	"trustcore/hsm/quota"
	"trustcore/internal/problem"
	"trustcore/pki"
	"trustcore/pki/acme"
	"trustcore/vpn"
)

// Limits of one application at the gateway, and of all together: SoftHSM on two cores signs some 600
// RSA-3072 digests a second; more than a second's worth waiting helps nobody.
const (
	gatewayRate     = 10000
	gatewayBurst    = 10000
	gatewayInFlight = 1024
)

// officeZone has the days and hours of limits; the console brings the files of zones along.
const officeZone = "Europe/Warsaw"

// daemon is trustd with everything open.
type daemon struct {
	cfg       Config
	custody   *custody.Custody
	ca        *pki.CA
	registry  *registry.Registry
	granted   *grants.Book // of the registry
	quotas    *quota.Meter
	gateways  *gateways
	sealer    *sealer
	shown     func() (*tls.Certificate, error) // trustd's own certificate, as it is shown now
	runner    *activation.Runner
	page      *console.Console
	self      *identity.Renewal // of trustd\'s own certificate
	servers   []httpserver.Server
	refused   refusals
	taken     atomic.Pointer[hsm.Inventory] // the last one
	strangers strangers
	counting  counting
	acme      *acme.Server // nil while it is off
}

func open(ctx context.Context, cfg Config) (*daemon, error) {
	metrics := httpserver.Metrics()
	cfg.Metrics = metrics
	self, err := os.Executable()
	if err != nil {
		return nil, err
	}
	c, err := custody.Open(ctx, cfg.Config, []string{self, "hsm-worker"})
	if err != nil {
		return nil, err
	}
	d := &daemon{cfg: cfg, custody: c, gateways: newGateways(cfg.Tunnel.Lease, vpn.BootTime)}
	if err := d.assemble(ctx, metrics); err != nil {
		return nil, errors.Join(err, d.close())
	}
	return d, nil
}

func (d *daemon) assemble(ctx context.Context, metrics *prometheus.Registry) (err error) {
	if d.ca, err = d.custody.CA(ctx); err != nil {
		return err
	}
	if d.sealer, err = openSealer(filepath.Join(d.cfg.StateDir, sealerFile)); err != nil {
		return err
	}
	d.registry, err = registry.Open(ctx, registry.Config{DB: d.custody.DB, Audit: d.custody.Audit, Now: time.Now, Leader: d.cfg.Leader,
		CanCarryOut: d.canCarryOut, CanUse: d.canUse,
		Pool: registry.AddressPool{Prefix: d.cfg.Tunnel.Pool, Hub: d.cfg.Tunnel.Hub}})
	if err != nil {
		return err
	}
	if err := d.offer(ctx); err != nil {
		return err
	}
	d.granted = grants.New(d.registry, time.Now, registry.Limits{PerSecond: d.cfg.Office.PerSecond, PerDay: d.cfg.Office.PerDay})
	if d.quotas, err = quota.Open(ctx, d.custody.DB); err != nil {
		return err
	}
	if d.runner, err = activation.New(activation.Config{Registry: d.registry, Steps: d.steps(), Logger: d.cfg.Logger,
		While: d.while(custody.Orders)}); err != nil {
		return err
	}
	d.self = &identity.Renewal{Identity: d.cfg.Identity, Ask: d.renewSelf, Now: time.Now, Logger: d.cfg.Logger}
	if d.page, err = d.openConsole(); err != nil {
		return err
	}
	if err := errors.Join(metrics.Register(endings{d}), metrics.Register(d.self)); err != nil {
		return err
	}
	return d.listen(ctx, metrics)
}

// listen opens every listener before anything is served, so that a port that is taken stops the start.
func (d *daemon) listen(ctx context.Context, metrics *prometheus.Registry) error {
	mutual, err := d.cfg.Identity.Server(true)
	if err != nil {
		return err
	}
	plain, err := d.cfg.Identity.Server(false)
	if err != nil {
		return err
	}
	d.shown = func() (*tls.Certificate, error) { return plain.GetCertificate(nil) }
	door, err := d.door(metrics)
	if err != nil {
		return err
	}
	remote, err := d.remoteSigning(d.guard(rights.HSM), door)
	if err != nil {
		return err
	}
	for _, s := range []struct {
		name, address string
		free          bool
		tls           *tls.Config
		body          problem.Body
		handler       func(httpserver.Server) http.Handler
	}{
		{"admin", d.cfg.Admin, false, mutual, problem.Body{Max: maxVPNStatus}, d.admin},
		{"enrolment", d.cfg.Enrolment, false, plain, problem.Body{}, d.enrolment},
		{"gateway", d.cfg.Gateway, d.cfg.FreeBind, mutual, problem.Body{}, func(s httpserver.Server) http.Handler { return d.hsmDoor(s, door, remote) }},
		{"pki", d.cfg.PKI, d.cfg.FreeBind, nil, problem.Body{}, func(httpserver.Server) http.Handler { return d.ca.Handler() }},
		{"console", d.cfg.Console, false, plain, console.Bodies(), func(httpserver.Server) http.Handler { return d.page.Handler() }},
		{"acme", d.cfg.ACME.Listen, d.cfg.FreeBind, plain, problem.Body{}, d.acmeDoor},
		{"operations", d.cfg.Operations, false, nil, problem.Body{}, d.operations(metrics).Handler},
	} {
		if s.address == "" {
			continue // it is off
		}
		var l net.Listener
		if l, err = httpserver.Listen(ctx, s.name, s.address, s.free); err != nil {
			return err
		}
		server := httpserver.Server{Name: s.name, Listener: l, TLS: s.tls, Body: s.body, Logger: d.cfg.Logger, HTTP2: s.name == "gateway", Away: away}
		server.Handler = s.handler(server)
		d.servers = append(d.servers, server)
	}
	return d.openACME(ctx)
}

// door is the HSM gateway over the registry's grants.
func (d *daemon) door(metrics prometheus.Registerer) (*gateway.Gateway, error) {
	zone, err := time.LoadLocation(officeZone)
	if err != nil {
		return nil, err
	}
	return gateway.New(gateway.Config{
		Meter: d.quotas, Zone: zone,
		Module: d.custody.HSM, Grants: d.grants, Chain: d.sealChain, Owner: d.owner, Audit: d.custody.Audit, Now: time.Now,
		Logger: d.cfg.Logger, Metrics: metrics, Rate: gatewayRate, Burst: gatewayBurst, InFlight: gatewayInFlight,
	})
}

// hsmDoor lets offices to the gateway, also by the interface that others have standardised, and beside it to the renewal of
// their certificates and the secrets of their tunnels.
func (d *daemon) hsmDoor(s httpserver.Server, gateway, remote http.Handler) http.Handler {
	const renewals = "POST /v1/renewals"
	guard, mux := d.guard(rights.HSM), http.NewServeMux()
	mux.Handle("/", guard.Protect(s.Door(), gateway))
	mux.Handle("/csc/", remote)
	mux.Handle(renewals, s.JSON(func(r *http.Request) (any, error) {
		who, err := guard.Admit(r, renewals)
		if err != nil {
			return nil, err
		}
		return d.renew(r, who)
	}))
	const keys = "POST /v1/acme/keys"
	mux.Handle(keys, s.JSON(func(r *http.Request) (any, error) {
		who, err := guard.Admit(r, keys)
		if err != nil {
			return nil, err
		}
		return d.makeOwnACMEKey(r, who)
	}))
	d.tunnelDoors(mux, s, guard)
	return mux
}

// run serves until ctx ends or a part fails.
func (d *daemon) run(ctx context.Context) error {
	group, ctx := errgroup.WithContext(ctx)
	group.Go(func() error { return d.custody.HSM.Run(ctx) })
	group.Go(func() error { return d.ca.Run(ctx) })
	group.Go(func() error { return d.runner.Run(ctx) })
	group.Go(func() error { return d.carryMotions(ctx) })
	group.Go(func() error { return d.keepSeals(ctx) })
	group.Go(func() error { return d.keepInventories(ctx) })
	group.Go(func() error { return d.self.Run(ctx) })
	group.Go(func() error { return d.announce(ctx) })
	group.Go(func() error { return d.custody.DB.Watch(ctx) })
	if d.acme != nil {
		group.Go(func() error { return d.acme.Run(ctx) })
	}
	for _, s := range d.servers {
		group.Go(func() error { return s.Run(ctx) })
	}
	return group.Wait()
}

// while says whether this node does a task now, as the others over its database know.
func (d *daemon) while(task string) func(context.Context) (context.Context, context.CancelFunc, bool) {
	return func(ctx context.Context) (context.Context, context.CancelFunc, bool) {
		return d.custody.Leases.While(ctx, task)
	}
}

func (d *daemon) close() error {
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	var all error
	for _, s := range d.servers {
		if err := s.Listener.Close(); err != nil && !errors.Is(err, net.ErrClosed) {
			all = errors.Join(all, err)
		}
	}
	if d.quotas != nil {
		all = errors.Join(all, d.quotas.Close(ctx))
	}
	return errors.Join(all, d.custody.Close(ctx))
}
