package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strings"
	"sync"
	"time"

	"trustcore/cmd/internal/httpserver"
	"trustcore/cmd/internal/registry"
	"trustcore/internal/audit"
	"trustcore/internal/problem"
	"trustcore/vpn"
)

const (
	longPoll    = 25 * time.Second // how long a gateway's question for another wish is held open
	reportLife  = time.Minute      // how old what a gateway says may be: vpnd reports every few seconds
	maxEpochs   = 64               // that are remembered
	goneWait    = 3 * time.Second  // for a report that is on its way; other orders wait meanwhile
	hubKeysTime = 5 * time.Second  // for the database to say which hubs there are
	leaseMargin = 30 * time.Second // for a gateway that is busy when its lease ends, beside 1 % for its clock
)

// gateways holds what each VPN gateway reported last, and since when it has been silent.
type gateways struct {
	lease   time.Duration        // that each answer gives
	clock   func() time.Duration // since the machine started
	started time.Duration        // on clock

	mu       sync.Mutex
	reports  map[string]report  // by name; guarded by mu
	silent   map[string]silence // by name; guarded by mu
	epochs   map[string]bool    // that were seen, so that each is spoken of once; guarded by mu
	restored string             // who showed that the database was taken back, "" when nobody; guarded by mu
	wish     *orderedWish       // as it was read last; guarded by mu
	changed  chan struct{}      // closed and renewed at every report; guarded by mu

	hearing sync.Mutex                         // one report at a time is looked through
	heard   map[string]map[vpn.Key]heardOffice // of offices, by gateway, as it is written down; guarded by hearing
}

type report struct {
	at     time.Time
	up     time.Duration // at on gateways.clock
	status vpn.Status
}

// silence is since when the registry has had the same last answer of a gateway. The wall clock has no part in it, nor
// what was before this process: a database that was taken back knows nothing of the leases given since.
type silence struct {
	answered time.Time
	since    time.Duration // on gateways.clock
}

// orderedWish is a wish with the orders that it comes from.
type orderedWish struct {
	vpn.Wish
	orders     []string
	unreadable []registry.Tunnel // of keys that no office can have; the wish does without them
	secretless []registry.Tunnel // whose pre-shared key can't be read; the wish does without them
	unserved   map[string]string // by order, the services that it names and the configuration does not have
}

func newGateways(lease time.Duration, clock func() time.Duration) *gateways {
	return &gateways{lease: lease, clock: clock, started: clock(), reports: map[string]report{},
		silent: map[string]silence{}, heard: map[string]map[vpn.Key]heardOffice{}, epochs: map[string]bool{}, changed: make(chan struct{})}
}

// put takes a report.
func (g *gateways) put(name string, status vpn.Status) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.reports[name] = report{time.Now(), g.clock(), status}
	close(g.changed)
	g.changed = make(chan struct{})
}

// drifted says what others did to a gateway since its last report, "" when nothing. A gateway that started anew counts
// from nothing, as does the first report after a start of trustd.
func (g *gateways) drifted(name string, drift vpn.Drift) string {
	g.mu.Lock()
	defer g.mu.Unlock()
	before := g.reports[name].status.Drift
	if drift.Count == 0 || drift == before {
		return ""
	}
	return fmt.Sprintf("somebody else changed gateway %s, %d times since vpnd started there; the last time it undid %.200q",
		name, drift.Count, drift.What)
}

// reported returns a channel that is closed at the next report.
func (g *gateways) reported() <-chan struct{} {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.changed
}

// hub returns the newest report of a gateway that carries, which has the hub's public key and port.
func (g *gateways) hub() (vpn.Status, bool) {
	g.mu.Lock()
	defer g.mu.Unlock()
	var newest report
	for _, r := range g.reports {
		if r.at.After(newest.at) && !r.status.Standby() {
			newest = r
		}
	}
	return newest.status, !newest.at.IsZero()
}

// all returns every gateway's last report, by name.
func (g *gateways) all() map[string]vpn.Status {
	g.mu.Lock()
	defer g.mu.Unlock()
	m := make(map[string]vpn.Status, len(g.reports))
	for name, r := range g.reports {
		m[name] = r.status
	}
	return m
}

// quiet returns how long the gateway has been without an answer, as far as this process has seen.
func (g *gateways) quiet(row registry.Gateway) time.Duration {
	g.mu.Lock()
	defer g.mu.Unlock()
	s, known := g.silent[row.Name]
	if !known || !s.answered.Equal(row.HeardAt) {
		s = silence{row.HeardAt, g.clock()}
		g.silent[row.Name] = s
	}
	return g.clock() - s.since
}

// speaks says whether the gateway reported lately, or may do so yet after the start.
func (g *gateways) speaks(name string) bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	r, is := g.reports[name]
	return is && g.clock()-r.up <= reportLife || g.clock()-g.started <= reportLife
}

// outlasts is the time after which a lease that was given before has surely ended.
func outlasts(lease time.Duration) time.Duration { return lease + lease/100 + leaseMargin }

// missing says what is missing for the proof that nobody carries what none of the given wishes holds: a report of one
// of them from every gateway that the registry lists. A silent one counts as done when its lease has ended, since it
// has dropped all its peers then; so does a gateway that the registry may not know. Else how says what proves it.
func (g *gateways) missing(listed []registry.Gateway, fit []vpn.Applied) (how, missing string) {
	var proofs []string
	for _, row := range listed {
		left := outlasts(max(row.Lease, g.lease)) - g.quiet(row)
		switch {
		case slices.Contains(fit, vpn.Applied{Epoch: row.Epoch, Revision: row.Revision, Digest: row.Digest}):
			proofs = append(proofs, fmt.Sprintf("gateway %s reported revision %d of epoch %s", row.Name, row.Revision, row.Epoch))
		case left <= 0:
			proofs = append(proofs, fmt.Sprintf("gateway %s is silent and its lease has ended", row.Name))
		default:
			return "", fmt.Sprintf("not proven: gateway %s has not reported that the tunnel is gone; without a word from it "+
				"its lease ends at %s", row.Name, time.Now().Add(left).UTC().Truncate(time.Minute).Add(time.Minute).Format("15:04 UTC"))
		}
	}
	if left := outlasts(g.lease) - (g.clock() - g.started); len(listed) == 0 && left > 0 {
		return "", "not proven: no gateway has reported to this registry yet"
	} else if len(listed) == 0 {
		return "no gateway is known, and a lease has passed since the start", ""
	}
	return strings.Join(proofs, "; "), ""
}

// forget drops what a gateway said that is not listed any more.
func (g *gateways) forget(name string) {
	g.mu.Lock()
	defer g.mu.Unlock()
	delete(g.reports, name)
	delete(g.silent, name)
}

// gone returns a listed gateway that may be struck off the list: one that has been silent for so long that it carries nothing.
func (d *daemon) gone(ctx context.Context, name string) (registry.Gateway, error) {
	listed, err := d.registry.Gateways(ctx)
	if err != nil {
		return registry.Gateway{}, err
	}
	i := slices.IndexFunc(listed, func(g registry.Gateway) bool { return g.Name == name })
	if i < 0 {
		return registry.Gateway{}, problem.RefuseField(http.StatusUnprocessableEntity, "name", "there is no VPN gateway %q on the list", name)
	}
	if left := outlasts(max(listed[i].Lease, d.gateways.lease)) - d.gateways.quiet(listed[i]); left > 0 {
		return registry.Gateway{}, problem.RefuseField(http.StatusConflict, "name", "gateway %s may still carry tunnels: end it, and propose "+
			"this when it has been silent for another %v", name, left.Round(time.Second))
	}
	return listed[i], nil
}

// strike takes a gateway off the list by a motion. One that was heard since is kept.
func (d *daemon) strike(ctx context.Context, actor audit.Actor, name, motion string) (outcome string, err error) {
	row, err := d.gone(ctx, name)
	var no *problem.Problem
	if errors.As(err, &no) {
		return "not struck: " + no.Detail, nil
	}
	if err != nil {
		return "", err
	}
	entry := audit.Entry{Actor: actor, Action: "gateway.strike", Subject: name, Order: motion}
	err = d.custody.Audit.Act(ctx, entry, time.Now, func() error { return d.registry.Strike(ctx, name, row.HeardAt) })
	if err != nil {
		return "", err
	}
	d.gateways.forget(name)
	return "gateway " + name + " is off the list", nil
}

// awaitGone returns what proves that the tunnel of an order is gone. Each wish that was read here lacks the tunnel, and
// an order's tunnel never comes back, so a report of any of them will do.
func (d *daemon) awaitGone(ctx context.Context, order string) (how string, err error) {
	var fit []vpn.Applied
	for {
		reported := d.gateways.reported()
		w, err := d.currentWish(ctx)
		if err != nil {
			return "", err
		}
		if slices.Contains(w.orders, order) {
			return "", fmt.Errorf("the wish still has the tunnel of order %s", order)
		}
		if this := (vpn.Applied{Epoch: w.Epoch, Revision: w.Revision, Digest: w.Digest}); !slices.Contains(fit, this) {
			fit = append(fit, this)
		}
		listed, err := d.registry.Gateways(ctx)
		if err != nil {
			return "", err
		}
		how, missing := d.gateways.missing(listed, fit)
		if missing == "" {
			return how, nil
		}
		select {
		case <-ctx.Done():
			return "", errors.New(missing)
		case <-reported:
		case <-time.After(time.Second): // another node's gateway makes no noise here
		}
	}
}

// nextWish answers a gateway that has a wish: with another when there is one, else with the lease alone, after a while.
func (d *daemon) nextWish(ctx context.Context, name string, have vpn.Applied) (*vpn.Answer, error) {
	timer := time.NewTimer(longPoll)
	defer timer.Stop()
	for {
		changed := d.registry.Changed()
		if err := d.noticeRestored(ctx, name, have); err != nil {
			return nil, err
		}
		w, err := d.currentWish(ctx)
		if err != nil {
			return nil, err
		}
		if w.Digest != have.Digest {
			return d.answer(ctx, name, have)
		}
		select {
		case <-ctx.Done():
			return nil, ctx.Err()
		case <-httpserver.Stopping(ctx):
			return nil, problem.Refuse(http.StatusServiceUnavailable, "trustd stops: ask again in a moment")
		case <-timer.C:
			return d.answer(ctx, name, have)
		case <-changed:
		case <-time.After(time.Second): // another node's change makes no noise here
		}
	}
}

// answer gives a lease and, unless the gateway has it, the wish. The lease is on record before the wish is read: so
// whoever finds the record old knows that the gateway gets no wish that is older than now.
func (d *daemon) answer(ctx context.Context, name string, have vpn.Applied) (*vpn.Answer, error) {
	if err := d.registry.GatewayAnswered(ctx, name, d.gateways.lease); err != nil {
		return nil, err
	}
	w, err := d.currentWish(ctx)
	if err != nil {
		return nil, err
	}
	answer := &vpn.Answer{LeaseSeconds: int64(d.gateways.lease / time.Second)}
	if w.Digest != have.Digest {
		answer.Wish = &w.Wish
	}
	return answer, nil
}

// report takes a gateway's report, which is on record before the lease that answers it is given.
func (d *daemon) report(ctx context.Context, name string, status vpn.Status) (*vpn.Answer, error) {
	if err := d.noticeRestored(ctx, name, status.Applied); err != nil {
		return nil, err
	}
	held := time.Duration(min(max(status.LeaseSeconds, 0), int64(vpn.MaxLease/time.Second))) * time.Second
	err := d.registry.GatewayReported(ctx, registry.Gateway{
		Name: name, Epoch: status.Epoch, Revision: status.Revision, Digest: status.Digest, PublicKey: status.PublicKey.String(),
		Lease: max(d.gateways.lease, held), NextKey: nextKeyOf(status),
	})
	if err != nil {
		return nil, err
	}
	if what := d.gateways.drifted(name, status.Drift); what != "" {
		if err := d.audited(ctx, "vpn.drift", what, "", ""); err != nil {
			return nil, err
		}
	}
	d.gateways.put(name, status)
	if err := d.hearOffices(ctx, name, status); err != nil {
		return nil, err
	}
	answer := &vpn.Answer{LeaseSeconds: int64(d.gateways.lease / time.Second)}
	return answer, d.askOfHub(ctx, name, status, answer)
}

// noticeRestored looks whether the database was taken back. When a gateway has a later wish of its epoch it gets
// another one. When a gateway has a wish of an epoch that is none of its own, it is said, since the database was made
// or taken back without the gateway.
func (d *daemon) noticeRestored(ctx context.Context, name string, have vpn.Applied) error {
	epoch, revision, err := d.registry.WishVersion(ctx)
	if err != nil {
		return err
	}
	d.gateways.mu.Lock()
	foreign := have.Epoch != "" && have.Epoch != epoch && !d.gateways.epochs[have.Epoch]
	d.gateways.epochs[epoch] = true
	d.gateways.mu.Unlock()
	switch {
	case foreign:
		return d.tookBack(ctx, name, fmt.Sprintf("gateway %s has a wish of another database, of epoch %s", name, have.Epoch), have.Epoch)
	case have.Epoch == epoch && have.Revision > revision:
		what := fmt.Sprintf("gateway %s has revision %d of the wish, the database is at %d: it is an older copy", name, have.Revision, revision)
		if err := d.tookBack(ctx, name, what, epoch); err != nil {
			return err
		}
		return d.registry.NewEpoch(ctx, epoch)
	}
	return nil
}

// tookBack puts on record, and keeps for people, that the database is not the one of before.
func (d *daemon) tookBack(ctx context.Context, name, what, epoch string) error {
	d.cfg.Logger.Error("the database was taken back", "gateway", name, "what", what)
	if err := d.audited(ctx, "wish.epoch", what, "", ""); err != nil {
		return err
	}
	d.gateways.mu.Lock()
	defer d.gateways.mu.Unlock()
	d.gateways.restored = what
	if len(d.gateways.epochs) > maxEpochs {
		clear(d.gateways.epochs)
	}
	d.gateways.epochs[epoch] = true
	return nil
}

// currentWish is the registry's wish as the VPN gateways read it. It is made once for each epoch and revision: all else
// in it is of the configuration.
func (d *daemon) currentWish(ctx context.Context) (*orderedWish, error) {
	epoch, revision, err := d.registry.WishVersion(ctx)
	if err != nil {
		return nil, err
	}
	d.gateways.mu.Lock()
	w := d.gateways.wish
	d.gateways.mu.Unlock()
	if w != nil && w.Epoch == epoch && w.Revision == revision {
		return w, nil
	}
	revision, tunnels, err := d.registry.Wish(ctx)
	if err != nil {
		return nil, err
	}
	w = &orderedWish{Wish: vpn.Wish{Epoch: epoch, Revision: revision, Pool: d.cfg.Tunnel.pools(), Peers: []vpn.PeerWish{}},
		unserved: map[string]string{}}
	for _, t := range tunnels {
		w.orders = append(w.orders, t.Order)
		if without := d.cfg.Tunnel.unserved(t); len(without) > 0 {
			w.unserved[t.Order] = strings.Join(without, ", ")
		}
		key, err := vpn.ParsePeerKey(t.PublicKey)
		if err != nil {
			w.unreadable = append(w.unreadable, t)
			continue
		}
		peer, err := d.peerWish(t, key)
		if err != nil {
			w.secretless = append(w.secretless, t)
			continue
		}
		w.Peers = append(w.Peers, peer)
	}
	if w.Wish, err = w.Sealed(); err != nil {
		return nil, err
	}
	d.gateways.mu.Lock()
	d.gateways.wish = w
	d.gateways.mu.Unlock()
	return w, nil
}

// hubKeys are the keys of all hubs that ever reported: no office may have one of them.
func (d *daemon) hubKeys() (keys []vpn.Key, err error) {
	ctx, cancel := context.WithTimeout(context.Background(), hubKeysTime)
	defer cancel()
	all, err := d.registry.EveryGateway(ctx)
	for _, row := range all {
		for _, text := range []string{row.PublicKey, row.NextKey} {
			if key, err := vpn.ParseKey(text); err == nil {
				keys = append(keys, key)
			}
		}
	}
	return keys, err
}

// gatewayFindings is what people should know of the VPN gateways.
func (d *daemon) gatewayFindings(ctx context.Context) (all []httpserver.Finding) {
	amber := func(what, remedy string) {
		all = append(all, httpserver.Finding{State: httpserver.Amber, What: what, Remedy: remedy})
	}
	listed, err := d.registry.Gateways(ctx)
	if err != nil {
		amber("the list of VPN gateways can't be read", "look at the database: "+err.Error())
		return all
	}
	for _, row := range listed {
		if quiet := d.gateways.quiet(row); quiet > reportLife {
			amber(fmt.Sprintf("VPN gateway %s has been silent for %v: what it carries is not proven", row.Name, quiet.Round(time.Second)),
				"see that vpnd runs there and reaches trustd; it drops all tunnels when its lease ends. One that is gone for ever: trustctl motion strike "+row.Name)
		} else if !d.gateways.speaks(row.Name) {
			amber("VPN gateway "+row.Name+" asks for the wish and does not report: what it carries is not proven", "see what its log says")
		}
	}
	for name, status := range d.gateways.all() {
		if what, remedy := pairFinding(name, status); what != "" {
			amber(what, remedy)
		}
		if what, remedy := unfollowed(name, status); what != "" {
			amber(what, remedy)
		}
		for _, f := range status.Findings {
			amber("VPN gateway "+name+": "+f.What, f.Remedy)
		}
		if status.Problem != "" {
			amber("VPN gateway "+name+" lets nobody in", status.Problem)
		}
	}
	if w, err := d.currentWish(ctx); err == nil {
		for _, t := range w.unreadable {
			amber("order "+t.Order+" has no tunnel: its office enrolled with a key that can't be used", "take the order back and make a new one")
		}
		for _, t := range w.secretless {
			amber("order "+t.Order+" has no tunnel: its pre-shared key can't be read",
				"put "+sealerFile+" of trustd's state_dir back from the backup, and start trustd; one that is lost: renew the order, and have the office enrol with a token")
		}
		for _, order := range slices.Sorted(maps.Keys(w.unserved)) {
			amber("order "+order+" names services that its office is not given: "+w.unserved[order],
				"put them into tunnel.services of trustd's configuration with by: order, or renew the order without them")
		}
	}
	d.gateways.mu.Lock()
	defer d.gateways.mu.Unlock()
	if d.gateways.restored != "" {
		amber("the database was taken back", d.gateways.restored+"; see which orders are missing")
	}
	return all
}

// readStatus reads a gateway's report.
func readStatus(data []byte) (vpn.Status, error) {
	var s vpn.Status
	err := json.Unmarshal(data, &s)
	return s, err
}
