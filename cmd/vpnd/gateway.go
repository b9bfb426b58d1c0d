package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"

	"trustcore/cmd/internal/httpserver"
	"trustcore/cmd/internal/identity"
	"trustcore/cmd/internal/program"
	"trustcore/vpn"
	"trustcore/vpn/hub"
)

const (
	reopenAfter = 5 * time.Second // between two attempts to open the hub on a host that is not ready for it
	repairShown = time.Hour       // how long a change by somebody else is shown after it was repaired
)

// pollEvery is how often somebody else's changes are looked for that raise no event, quiet how long events wait after
// others were looked at: a host that changes all the time is looked at that often and no more.
const (
	pollEvery = 2 * time.Second
	quiet     = 100 * time.Millisecond
)

// lookEvery is how often the end of the lease is looked for. The timers of a process stand still while the machine is
// suspended, the lease does not.
const lookEvery = time.Second

// gateway tends one hub. Its loop is the only writer of device, firewall and routes.
type gateway struct {
	cfg    Config
	log    *slog.Logger
	trustd *trustd
	hub    hub.Config // but for the key and what goes with it
	keys   *hubKeys
	clock  func() time.Duration // since the machine started
	memory lastWish
	own    *identity.Renewal // of the gateway's certificate
	pair   *pair             // nil where the gateway is alone

	mu       sync.Mutex
	status   *vpn.Status // the last reading; nil while no hub is open. Guarded by mu, as is all below
	applied  bool        // a wish is in force
	problems struct{ hub, wish, trustd error }
	lease    lease
	held     *wishInHand   // the wish to serve while the lease lasts
	unread   bool          // trustd has a wish that can't be read: what it takes away is not known
	written  time.Duration // the end of the lease as it is on disk
	unsaved  bool          // the wish in hand is not on disk
	unkept   error         // why a restart would bring back an older wish
	repaired *repair       // the last time that somebody else changed the gateway
	repairs  int64         // how often that was

	keyProblem error // why the hub's key is not changed as trustd asks for
}

// wishInHand is a wish as it came, and read.
type wishInHand struct {
	vpn.Wish
	raw []byte
}

func (w *wishInHand) name() vpn.Applied {
	if w == nil {
		return vpn.Applied{}
	}
	return vpn.Applied{Epoch: w.Epoch, Revision: w.Revision, Digest: w.Digest}
}

// repair is a change by somebody else that was undone.
type repair struct {
	at      time.Duration
	changes hub.Changes
}

// Run works until ctx ends. A host on which no safe hub can be opened is no reason to end:
// the tunnel stays down, /readyz says why, and we try again.
func Run(ctx context.Context, cfg Config, log *slog.Logger) error {
	g, err := newGateway(cfg, log)
	if err != nil {
		return err
	}
	return g.run(ctx)
}

func (g *gateway) run(ctx context.Context) error {
	listener, err := httpserver.Listen(ctx, "operations", g.cfg.Operations, false)
	if err != nil {
		return err
	}
	metrics := httpserver.Metrics()
	metrics.MustRegister(g, g.own)
	operations := httpserver.Server{Name: "operations", Listener: listener, Logger: g.log}
	operations.Handler = httpserver.Operations{Metrics: metrics, Findings: g.findings,
		Services: map[string]func(context.Context) error{"vpn": g.ready}}.Handler(operations)
	group, ctx := errgroup.WithContext(ctx)
	group.Go(func() error { return operations.Run(ctx) })
	group.Go(func() error { return g.keep(ctx) })
	group.Go(func() error { return g.own.Run(ctx) })
	return group.Wait()
}

func newGateway(cfg Config, log *slog.Logger) (*gateway, error) {
	if err := os.MkdirAll(cfg.StateDir, 0o700); err != nil {
		return nil, fmt.Errorf("state_dir: %w", err)
	}
	keys, err := openHubKeys(cfg)
	if err != nil {
		return nil, err
	}
	core, err := newTrustd(cfg, log)
	if err != nil {
		return nil, err
	}
	own, err := identity.OfDaemon(cfg.Identity, cfg.Trustd, log)
	if err != nil {
		return nil, err
	}
	memory, err := openLastWish(cfg.StateDir)
	if err != nil {
		return nil, err
	}
	g := &gateway{cfg: cfg, log: log, trustd: core, clock: vpn.BootTime, memory: memory, own: own, keys: keys}
	g.hub = hub.Config{Mode: vpn.Mode(cfg.Mode), Addresses: cfg.Addresses, MTU: cfg.MTU, Log: log, Lease: g.left}
	if cfg.Outlive > 0 {
		g.hub.Holder = g.startHolder
	}
	return g, nil
}

// left is what remains of the lease.
func (g *gateway) left() time.Duration {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.lease.left(g.clock())
}

// keep opens a hub and tends it, again and again, until ctx ends. trustd is asked for wishes while a hub is open alone:
// who takes no wish must hold no lease.
func (g *gateway) keep(ctx context.Context) error {
	if err := g.joinPair(ctx); err != nil {
		if ctx.Err() != nil {
			return nil
		}
		return err
	}
	g.recall()
	defer func() {
		if err := g.leave(); err != nil {
			g.log.Error("the pair of gateways", "error", err)
		}
	}()
	for ctx.Err() == nil {
		var opened *hub.Pair
		err := g.enter(ctx)
		if err == nil {
			opened, err = g.open()
		}
		g.noteHub(err)
		if err != nil {
			g.log.Error("the tunnel stays down", "error", err)
			program.Pause(ctx, reopenAfter)
			continue
		}
		g.log.Info("the hub is open", "mode", opened.Mode())
		if err = g.present(opened); err == nil {
			err = g.tend(ctx, opened)
		}
		err = errors.Join(err, g.present(nil))
		g.forget()
		if err := errors.Join(err, opened.Close()); err != nil {
			g.log.Error("the hub was closed", "error", err)
		}
	}
	return nil
}

// recall takes the last wish from disk, for as long as its lease lasts.
func (g *gateway) recall() {
	raw, held, err := g.memory.load()
	var wish vpn.Wish
	if err == nil && raw != nil {
		wish, err = vpn.ParseWish(raw)
	}
	if err != nil {
		g.log.Error("the last wish on disk can't be used: nobody is let in until trustd answers", "error", err)
		return
	}
	if raw == nil {
		return
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	g.held, g.lease, g.written = &wishInHand{wish, raw}, held, held.until
	g.log.Info("the last wish is served for what is left of its lease", "wish", wish, "left", held.left(g.clock()).String())
}

// tend follows trustd and works until ctx ends or the device is gone.
func (g *gateway) tend(ctx context.Context, h *hub.Pair) error {
	ctx, cancel := context.WithCancel(ctx)
	wishes := make(chan wishInHand)
	var group errgroup.Group
	group.Go(func() error { return g.listen(ctx, wishes) })
	err := g.work(ctx, h, wishes)
	cancel()
	return errors.Join(err, group.Wait())
}

// work applies wishes as they come, looks for drift between them, and lets nobody in when the lease has ended.
func (g *gateway) work(ctx context.Context, h *hub.Pair, wishes <-chan wishInHand) error {
	g.expire(h) // a hub may take long to open
	changing := &changing{}
	if held := g.wishHeld(); held != nil {
		g.apply(h, held.Wish)
		changing.begin(h)
	}
	if err := g.tell(ctx, h); err != nil { // trustd needs key and port before any office enrols
		return err
	}
	if err := g.attend(ctx, h); err != nil { // a standby that does not know yet who comes first is none
		return err
	}
	tick, look, poll := time.NewTicker(g.cfg.Reconcile), time.NewTicker(lookEvery), time.NewTicker(pollEvery)
	defer tick.Stop()
	defer look.Stop()
	defer poll.Stop()
	disturbed, resume := h.Disturbed(), (<-chan time.Time)(nil)
	for {
		told := false
		select {
		case <-ctx.Done():
			return nil
		case wish := <-wishes:
			g.repair(h.Look) // so that the repair is not taken for the wish's
			g.apply(h, wish.Wish)
			g.write(&wish)
			told = true
			changing.begin(h)
			if err := g.attend(ctx, h); err != nil {
				return err
			}
		case <-changing.next:
			told = g.follow(h, changing)
		case <-tick.C:
			g.save()
			g.repair(h.Reconcile)
			told = true
			if err := g.attend(ctx, h); err != nil {
				return err
			}
		case <-look.C:
			told = g.expire(h)
		case <-poll.C:
			told = g.repair(h.Look)
		case <-g.movement():
			told = true
		case <-disturbed:
			told = g.repair(h.Look)
			disturbed, resume = nil, time.After(quiet)
		case <-resume:
			disturbed, resume = h.Disturbed(), nil
		}
		g.prepare(ctx)
		if !told {
			continue
		}
		if err := g.tell(ctx, h); err != nil {
			return err
		}
	}
}

// heard takes the lease of an answer, and the wish in it if there is one. A wish that can't be read gives no lease, and
// neither does a report until one can: what it takes away is still there.
func (g *gateway) heard(asked time.Duration, answer vpn.Answer, raw []byte) (next *wishInHand, err error) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if raw != nil {
		wish, err := vpn.ParseWish(raw)
		if err != nil {
			g.unread = true
			return nil, err
		}
		next = &wishInHand{wish, raw}
	}
	g.unread = false
	return next, g.lease.renew(asked, answer)
}

func (g *gateway) inHand() vpn.Applied {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.held.name()
}

func (g *gateway) wishHeld() *wishInHand {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.held
}

func (g *gateway) hold(w *wishInHand) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.held = w
}

// write keeps a wish on disk. It comes after the wish was applied, since nothing may hold up what takes access away,
// and before it is reported.
func (g *gateway) write(w *wishInHand) {
	g.mu.Lock()
	held := g.lease
	g.mu.Unlock()
	err, void := g.memory.keep(w.raw, held)
	if err != nil {
		g.log.Error("the wish can't be kept on disk", "error", err)
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	g.unsaved, g.unkept, g.written = err != nil, nil, held.until
	if !void {
		g.unkept = err
	}
}

// expire lets nobody in when the lease has ended, and says whether it just did. Else it keeps the lease up to date on
// disk and in the firewall, a twentieth of it behind at most.
func (g *gateway) expire(h *hub.Pair) bool {
	g.mu.Lock()
	held, wish, written := g.lease, g.held, g.written
	over := wish != nil && held.left(g.clock()) == 0
	if over {
		g.held, g.applied = nil, false
	}
	g.mu.Unlock()
	if wish == nil {
		return false
	}
	if over {
		changes, err := h.Withdraw()
		g.log.Error("trustd was silent for longer than its lease: nobody is let in", "lease", held.length.String(), "changes", changes, "error", err)
		if err := g.memory.forget(); err != nil {
			g.log.Warn("the last wish can't be taken from disk", "error", err)
		}
		return true
	}
	if held.until-written > held.length/20 {
		if err := errors.Join(h.Extend(), g.memory.extend(sum(wish.raw), held)); err != nil {
			g.log.Warn("the lease can't be kept in the firewall and on disk", "error", err)
		}
		g.mu.Lock()
		g.written = held.until
		g.mu.Unlock()
	}
	return false
}

func (g *gateway) apply(h *hub.Pair, wish vpn.Wish) {
	started := time.Now()
	changes, err := h.Apply(wish)
	g.noteWish(err, err == nil)
	if err != nil {
		g.log.Error("the wish is not in force", "wish", wish, "error", err)
		return
	}
	g.log.Info("the wish is in force", "wish", wish, "changes", changes, "took", time.Since(started).String())
}

// save tries again to keep the wish on disk.
func (g *gateway) save() {
	g.mu.Lock()
	unsaved := g.held
	if !g.unsaved {
		unsaved = nil
	}
	g.mu.Unlock()
	if unsaved != nil {
		g.write(unsaved)
	}
}

// repair has the hub look for changes by others and undo them, and says whether there is something to tell of it.
func (g *gateway) repair(look func() (hub.Changes, error)) bool {
	changes, err := look()
	if err != nil {
		g.noteWish(err, false)
		g.log.Error("the gateway differs from the wish and could not be repaired", "error", err)
		return true
	}
	if !changes.IsZero() {
		g.log.Warn("somebody else changed the gateway; it was repaired", "changes", changes)
	}
	g.healed(changes)
	return !changes.IsZero()
}

// tell reads the hub, keeps the reading for the operations pages, and reports it. It fails
// only when the hub has to be opened anew.
func (g *gateway) tell(ctx context.Context, h *hub.Pair) error {
	status, err := h.Status(time.Now())
	if errors.Is(err, hub.ErrDeviceGone) {
		return err
	}
	if err != nil {
		g.log.Error("the hub's state cannot be read", "error", err)
		return nil
	}
	asked := g.clock()
	status.Second = g.keys.Use == 1
	g.complete(&status, asked)
	answer, err := g.trustd.report(ctx, status)
	if err == nil {
		err = g.renewed(asked, answer)
	}
	if err != nil && ctx.Err() == nil {
		g.log.Warn("trustd did not take the report", "error", err)
	}
	if err == nil {
		g.changeKey(h, status, answer)
		if answer.TakeOver && g.rests() {
			g.pair.member.Want()
		}
	}
	return nil
}

// complete adds to a reading what the hub does not know, and keeps it. A wish that a restart would not find again is
// not reported as carried out.
func (g *gateway) complete(status *vpn.Status, now time.Duration) {
	g.mu.Lock()
	defer g.mu.Unlock()
	switch {
	case status.Problem != "":
	case g.problems.wish != nil:
		status.Problem = g.problems.wish.Error()
	case g.unkept != nil:
		status.Problem = g.unkept.Error()
	}
	if g.unkept != nil {
		status.Applied = vpn.Applied{}
	}
	if r := g.repaired; r != nil {
		status.Drift = vpn.Drift{Count: g.repairs, What: fmt.Sprintf("%+v", r.changes)}
	}
	if r := g.repaired; r != nil && now-r.at < repairShown {
		status.Findings = append(status.Findings, vpn.Finding{What: fmt.Sprintf("somebody else changed the gateway (%+v); it was repaired", r.changes),
			Remedy: "find out who: nobody but vpnd writes to its interface, firewall table and routes"})
	}
	status.Pair = g.pair.status(g.keys.Serial)
	status.LeaseSeconds = g.lease.seconds(now)
	g.status = status
}

func (g *gateway) renewed(asked time.Duration, answer vpn.Answer) error {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.unread {
		return nil
	}
	return g.lease.renew(asked, answer)
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
		return nil // trustd may be away: the tunnels go on while the lease lasts
	case g.lease.until != 0 && g.lease.left(g.clock()) == 0:
		return fmt.Errorf("nobody is let in: trustd was silent for longer than the lease of %v", g.lease.length)
	case g.problems.trustd != nil:
		return fmt.Errorf("no wish yet: %w", g.problems.trustd)
	}
	return errors.New("no wish yet: waiting for trustd")
}

// findings is what people should know though the tunnels may go on.
func (g *gateway) findings(context.Context) (all []httpserver.Finding) {
	all = g.own.Findings("vpnd")
	g.mu.Lock()
	defer g.mu.Unlock()
	amber := func(what, remedy string) {
		all = append(all, httpserver.Finding{State: httpserver.Amber, What: what, Remedy: remedy})
	}
	if g.problems.trustd != nil {
		amber(fmt.Sprintf("trustd does not answer; the lease ends in %v, and all tunnels with it", g.lease.left(g.clock()).Round(time.Second)),
			g.problems.trustd.Error())
	}
	if g.unkept != nil {
		amber("the wish can't be kept on disk: a restart would bring an older one back, so it does not count as carried out", g.unkept.Error())
	} else if g.unsaved {
		amber("the wish can't be kept on disk: a restart while trustd is away lets nobody in", "look at the disk of state_dir; it is tried again")
	}
	if g.keyProblem != nil {
		amber("the hub's key is not changed: "+g.keyProblem.Error(), "mend what it names; it is tried again")
	}
	if g.status != nil && g.status.Pair != nil && g.status.Pair.Problem != "" {
		amber("the pair of gateways: "+g.status.Pair.Problem, "mend what it names")
	}
	if g.status != nil {
		for _, f := range g.status.Findings {
			amber(f.What, f.Remedy)
		}
	}
	return all
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
func (g *gateway) healed(changes hub.Changes) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if !changes.IsZero() {
		g.repaired = &repair{g.clock(), changes}
		g.repairs++
	}
	if !errors.As(g.problems.wish, new(*vpn.FieldError)) {
		g.problems.wish = nil
		g.applied = g.applied || g.held != nil
	}
}

func (g *gateway) forget() {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.status, g.applied = nil, false
}
