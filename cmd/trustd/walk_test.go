package main

import (
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"maps"
	"math/rand/v2"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"trustcore/cmd/internal/custody"
	"trustcore/cmd/internal/registry"
	"trustcore/cmd/internal/registry/registrytest"
	"trustcore/internal/store"
	"trustcore/vpn"
)

// How many steps the walk has: TRUSTCORE_WALK names another number, as make endure does, TRUSTCORE_WALK_SEED a walk to go again.
const (
	walkSteps = "TRUSTCORE_WALK"
	walkSeed  = "TRUSTCORE_WALK_SEED"
)

// TestWalkOfOrders goes a random way of orders, enrolments, renewals, gateways that are cut off, crash and lose answers, starts of
// trustd, databases that are taken back, and clocks that jump. After each step, whatever a gateway would let in: no address or
// network has two owners, nobody has another's service, and nobody is let in whose end is carried out. In the end, when all is
// whole again, everything is as wished and every order is carried out.
func TestWalkOfOrders(t *testing.T) {
	steps, seed := 500, uint64(1) // make test goes the same way each time
	if os.Getenv(walkSteps) != "" {
		seed = rand.Uint64()
	}
	if text := os.Getenv(walkSteps); text != "" {
		steps = int(number(t, text))
	}
	if text := os.Getenv(walkSeed); text != "" {
		seed = number(t, text)
	}
	t.Logf("seed: %s=%d %s=%d", walkSeed, seed, walkSteps, steps)
	newOrderWalk(t, seed).run(steps)
}

func number(t *testing.T, text string) uint64 {
	t.Helper()
	n, err := strconv.ParseUint(text, 10, 64)
	if err != nil {
		t.Fatal(err)
	}
	return n
}

// walkGateway is a gateway as far as it lets anybody in: the wish that it has, and its lease. The wish is on disk, so a crash
// costs neither.
type walkGateway struct {
	name  string
	wish  vpn.Wish
	until time.Duration // the end of its lease
	cut   bool          // it does not reach trustd
}

// orderWalk is trustd's part in the tunnels with the officers, offices and gateways around it.
type orderWalk struct {
	*core
	random   *rand.Rand
	step     int
	wall     time.Time
	gateways []*walkGateway
	counter  int             // of orders and keys
	db       *store.DB       // the test's own look at it
	saved    []byte          // the database as it was once
	dead     map[string]bool // keys whose end is carried out
	deadThen map[string]bool // when it was saved
	done     map[string]int  // how often each kind of step came to something
}

var walkPartners = []string{"gm", "um", "sp"}

func newOrderWalk(t *testing.T, seed uint64) *orderWalk {
	url, _ := databaseFile(t)
	w := &orderWalk{core: &core{t: t, url: url, dir: t.TempDir(), uptime: time.Hour}, random: rand.New(rand.NewPCG(seed, 0)),
		wall: time.Date(2026, 11, 28, 12, 0, 0, 0, time.UTC), dead: map[string]bool{}, done: map[string]int{}}
	for _, name := range []string{"vpnd-1", "vpnd-2", "vpnd-3"} {
		w.gateways = append(w.gateways, &walkGateway{name: name})
	}
	w.startTrustd()
	w.db = openDatabase(t, url)
	return w
}

// startTrustd starts trustd, also again and over another database: what it knew in memory is gone.
func (w *orderWalk) startTrustd() {
	r, log := registrytest.Open(w.t, w.url, netip.MustParsePrefix("10.64.0.0/27"), func() time.Time { return w.wall })
	w.daemon = &daemon{registry: r, custody: &custody.Custody{Audit: log}, cfg: Defaults()}
	w.cfg.Logger = slog.New(slog.DiscardHandler)
	w.cfg.Tunnel.Services = []TunnelService{
		{Name: "gateway", Addr: netip.MustParseAddrPort("10.64.0.1:9443")},
		{Name: "registry", Addr: netip.MustParseAddrPort("10.80.0.7:443"), By: byOrder},
		{Name: "benefits", Addr: netip.MustParseAddrPort("10.80.0.8:443"), By: byOrder},
	}
	w.daemon.gateways = newGateways(vpn.DefaultLease, func() time.Duration { return w.uptime })
	var err error
	w.sealer, err = openSealer(filepath.Join(w.dir, sealerFile))
	w.must(err)
}

func (w *orderWalk) run(steps int) {
	kinds := []struct {
		weight int
		do     func() bool
		name   string
	}{
		{20, w.order, "order"}, {24, w.enrol, "enrolment"}, {16, w.renew, "renewal"}, {8, w.end, "end"}, {24, w.carryOut, "carrying out"},
		{24, w.poll, "poll"}, {6, w.lose, "lost answer"}, {8, w.cutOrJoin, "cut"}, {3, w.restart, "start of trustd"},
		{3, w.save, "saved"}, {2, w.takeBack, "taken back"}, {8, w.pass, "time"}, {5, w.jump, "jump"},
	}
	var lots []int
	for i, k := range kinds {
		lots = append(lots, slices.Repeat([]int{i}, k.weight)...)
	}
	for w.step = range steps {
		k := kinds[lots[w.random.IntN(len(lots))]]
		if k.do() {
			w.done[k.name]++
		}
		w.check(k.name)
		if w.t.Failed() {
			return
		}
	}
	w.converge()
	w.t.Logf("%v", w.done)
	for _, k := range kinds {
		if steps >= 500 && w.done[k.name] == 0 {
			w.t.Errorf("no step of kind %q came to anything", k.name)
		}
	}
}

func pick[E any](w *orderWalk, all []E) (e E, ok bool) {
	if len(all) == 0 {
		return e, false
	}
	return all[w.random.IntN(len(all))], true
}

// text is an order of random sites, services and networks.
func (w *orderWalk) text(partner, renews string) string {
	w.counter++
	networks := []string{"192.168.1.0/24", "192.168.1.128/25", "192.168.2.0/24", "192.168.0.0/16", "192.168.3.0/24", "192.168.4.0/24"}
	some := func(all []string, most int) string {
		w.random.Shuffle(len(all), func(i, j int) { all[i], all[j] = all[j], all[i] })
		return "[" + strings.Join(all[:w.random.IntN(most+1)], ", ") + "]"
	}
	site := func() string {
		return "services: " + some([]string{"registry", "benefits"}, 2) + ", networks: " + some(networks, w.random.IntN(2))
	}
	var b strings.Builder
	fmt.Fprintf(&b, "id: ZU-%d\nkind: activation\n", w.counter)
	if renews != "" {
		fmt.Fprintf(&b, "renews: %s\n", renews)
	}
	fmt.Fprintf(&b, "partner: {id: %s, name: Office}\nagreement: {number: UR/1, signed: 2026-01-15}\ncomponents: [P_VPN]\n", partner)
	fmt.Fprintf(&b, "vpn_request: {site: main, %s, sites: [", site())
	for _, name := range []string{"east", "west"}[:w.random.IntN(3)] {
		fmt.Fprintf(&b, "{name: %s, %s},", name, site())
	}
	b.WriteString("]}\n")
	return b.String()
}

// submit has two officers decide an order; one that is refused comes to nothing.
func (w *orderWalk) submit(text string) (*registry.Order, bool) {
	o, err := registry.ParseOrder([]byte(text))
	if err != nil {
		return nil, false // its networks meet each other
	}
	if err := w.registry.Submit(w.t.Context(), officerOne, *o); err != nil {
		return nil, false
	}
	return o, w.registry.Approve(w.t.Context(), officerTwo, o.ID) == nil
}

func (w *orderWalk) order() bool {
	partner, _ := pick(w, walkPartners)
	_, ok := w.submit(w.text(partner, ""))
	return ok
}

// orders are those of a state.
func (w *orderWalk) orders(kind registry.OrderKind, states ...registry.State) (found []registry.Record) {
	all, err := w.registry.Orders(w.t.Context())
	w.must(err)
	for _, rec := range all {
		if rec.Kind == kind && slices.Contains(states, rec.State) {
			found = append(found, rec)
		}
	}
	slices.SortFunc(found, func(a, b registry.Record) int { return strings.Compare(a.ID, b.ID) })
	return found
}

// enrol has a site enrol: the main one of an approved order, or a further one of an active order.
func (w *orderWalk) enrol() bool {
	ctx := w.t.Context()
	if rec, ok := pick(w, w.orders(registry.Activation, registry.Approved)); ok && w.random.IntN(2) == 0 {
		left, err := w.registry.Left(ctx, rec.ID)
		w.must(err)
		if len(left) == 0 {
			return false
		}
		key := ""
		if rec.Renews == "" {
			key = w.key()
		}
		_, err = w.registry.GrantTunnel(ctx, rec, key)
		if err != nil && strings.Contains(err.Error(), "has to enrol") { // what it renews has no tunnel any more
			_, err = w.registry.GrantTunnel(ctx, rec, w.key())
		}
		if err != nil {
			return false // it ended meanwhile
		}
		w.must(w.registry.Finish(ctx, rec.ID, registry.Active))
		return true
	}
	rec, ok := pick(w, w.orders(registry.Activation, registry.Active))
	if !ok {
		return false
	}
	site, ok := pick(w, rec.FurtherSites())
	if !ok {
		return false
	}
	token, err := w.registry.NewSiteToken(ctx, officerTwo, rec.ID, site)
	w.must(err)
	key := w.key()
	_, err = w.registry.Enrol(ctx, token, registry.Enrolment{PublicKey: key, CSR: "csr"})
	w.must(err)
	_, err = w.registry.GrantSite(ctx, rec, site, key)
	return err == nil
}

// key is one that nobody has.
func (w *orderWalk) key() string {
	w.counter++
	secret, err := vpn.GeneratePrivateKey()
	w.must(err)
	return secret.Public().String()
}

func (w *orderWalk) renew() bool {
	rec, ok := pick(w, w.orders(registry.Activation, registry.Active))
	if !ok {
		return false
	}
	_, ok = w.submit(w.text(rec.Partner.ID, rec.ID))
	return ok
}

func (w *orderWalk) end() bool {
	partner, _ := pick(w, walkPartners)
	w.counter++
	_, ok := w.submit(fmt.Sprintf("id: ZZ-%d\nkind: change\npartner: {id: %s}\ncomponents: [P_VPN]\n", w.counter, partner))
	return ok
}

// carryOut carries an order out that takes something away, as far as it is proven. Whose end is carried out is dead then.
func (w *orderWalk) carryOut() bool {
	rec, ok := pick(w, w.takings())
	if !ok {
		return false
	}
	if w.random.IntN(3) > 0 {
		for _, g := range w.gateways {
			w.polls(g, true)
		}
	}
	return w.carry(rec)
}

func (w *orderWalk) carry(rec registry.Record) bool {
	ctx := w.t.Context()
	orders := []string{rec.ID}
	if rec.Kind == registry.Change {
		ended, err := w.registry.EndedBy(ctx, rec.ID)
		w.must(err)
		orders = slices.Sorted(maps.Keys(ended))
	}
	for _, order := range orders {
		if !w.proven(order) {
			return false
		}
		w.must(w.registry.TunnelsGone(ctx, order))
		w.bury(order)
	}
	if rec.Kind == registry.Change {
		w.must(w.registry.Finish(ctx, rec.ID, registry.CarriedOut))
	} else {
		w.must(w.registry.StepDone(ctx, rec.ID, registry.Retired, ""))
	}
	return true
}

// proven asks trustd once whether the tunnels of an order are gone.
func (w *orderWalk) proven(order string) bool {
	wish, err := w.currentWish(w.t.Context())
	w.must(err)
	if slices.Contains(wish.orders, order) {
		w.t.Fatalf("step %d: the wish has a tunnel of order %s, which ended", w.step, order)
	}
	listed, err := w.registry.Gateways(w.t.Context())
	w.must(err)
	_, missing := w.daemon.gateways.missing(listed, []vpn.Applied{{Epoch: wish.Epoch, Revision: wish.Revision, Digest: wish.Digest}})
	return missing == ""
}

// bury remembers the keys of an order's tunnels that have ended.
func (w *orderWalk) bury(order string) {
	rows, err := w.db.QueryContext(w.t.Context(), `SELECT public_key FROM tunnels WHERE order_id = $1 AND ended_at <> ''`, order)
	w.must(err)
	defer rows.Close()
	for rows.Next() {
		var key string
		w.must(rows.Scan(&key))
		w.dead[key] = true
	}
	w.must(rows.Err())
}

// poll has a gateway ask, take what it is given, and report.
func (w *orderWalk) poll() bool {
	g, _ := pick(w, w.gateways)
	return w.polls(g, true)
}

// lose has a gateway crash before it takes what it was given.
func (w *orderWalk) lose() bool {
	g, _ := pick(w, w.gateways)
	return w.polls(g, false)
}

func (w *orderWalk) polls(g *walkGateway, takes bool) bool {
	if g.cut {
		return false
	}
	ctx, asked := w.t.Context(), w.uptime
	have := vpn.Applied{Epoch: g.wish.Epoch, Revision: g.wish.Revision, Digest: g.wish.Digest}
	w.must(w.noticeRestored(ctx, g.name, have))
	a, err := w.answer(ctx, g.name, have)
	w.must(err)
	if !takes {
		return true
	}
	if a.Wish != nil {
		text, err := json.Marshal(a.Wish)
		w.must(err)
		g.wish, err = vpn.ParseWish(text)
		w.must(err)
	}
	g.until = max(g.until, asked+time.Duration(a.LeaseSeconds)*time.Second)
	_, err = w.report(ctx, g.name, vpn.Status{Applied: vpn.Applied{Epoch: g.wish.Epoch, Revision: g.wish.Revision, Digest: g.wish.Digest},
		PublicKey: vpn.Key{9}, LeaseSeconds: int64((g.until - w.uptime + time.Second - 1) / time.Second)})
	w.must(err)
	return true
}

func (w *orderWalk) cutOrJoin() bool {
	g, _ := pick(w, w.gateways)
	g.cut = w.random.IntN(3) == 0
	return true
}

func (w *orderWalk) restart() bool {
	w.startTrustd()
	return true
}

// save keeps a copy of the database, as a backup does.
func (w *orderWalk) save() bool {
	copied := filepath.Join(w.t.TempDir(), "backup.db")
	_, err := w.db.ExecContext(w.t.Context(), `VACUUM INTO '`+copied+`'`)
	w.must(err)
	w.saved, err = os.ReadFile(copied)
	w.must(err)
	w.deadThen = maps.Clone(w.dead)
	return true
}

// takeBack starts trustd over the copy. What was carried out since is not any more; a gateway that has seen more tells of it.
func (w *orderWalk) takeBack() bool {
	if w.saved == nil {
		return false
	}
	url, file := databaseFile(w.t)
	w.must(os.WriteFile(file, w.saved, 0o600))
	w.url, w.dead = url, maps.Clone(w.deadThen)
	w.startTrustd()
	w.db = openDatabase(w.t, url)
	return true
}

func (w *orderWalk) pass() bool {
	d := time.Duration(w.random.IntN(600)) * time.Second
	w.uptime, w.wall = w.uptime+d, w.wall.Add(d)
	return true
}

// jump sets the wall clock, which no proof may hang on.
func (w *orderWalk) jump() bool {
	w.wall = w.wall.Add(time.Duration(w.random.IntN(300)-60) * 24 * time.Hour)
	return true
}

// check holds what the gateways let in against what may be.
func (w *orderWalk) check(what string) {
	w.t.Helper()
	fail := func(format string, args ...any) {
		w.t.Helper()
		w.t.Errorf("step %d (%s): %s", w.step, what, fmt.Sprintf(format, args...))
	}
	owners := map[string]map[netip.Prefix]string{} // by epoch: a database that was taken back knows nothing of what it gave since
	for _, g := range w.gateways {
		if g.until <= w.uptime {
			continue
		}
		granted, _ := g.wish.Divide(nil, []netip.Addr{w.cfg.Tunnel.Hub})
		if owners[g.wish.Epoch] == nil {
			owners[g.wish.Epoch] = map[netip.Prefix]string{}
		}
		for _, p := range granted {
			if w.dead[p.PublicKey.String()] {
				fail("gateway %s lets %s/%s in, whose end is carried out", g.name, p.Partner, p.Site)
			}
			for _, a := range p.Routed() {
				who := p.Partner + "/" + p.Site
				if !a.IsSingleIP() {
					who = p.Partner // a renewal may put a network behind another site of the partner's at once
				}
				for b, other := range owners[g.wish.Epoch] {
					if b.Overlaps(a) && other != who {
						fail("%v is of %s at gateway %s, and %v of %s", a, who, g.name, b, other)
					}
				}
				owners[g.wish.Epoch][a] = who
			}
		}
	}
	w.checkWish(fail)
}

// checkWish holds the wish against the orders.
func (w *orderWalk) checkWish(fail func(string, ...any)) {
	wish, err := w.currentWish(context.WithoutCancel(w.t.Context()))
	w.must(err)
	_, refused := wish.Divide(nil, []netip.Addr{w.cfg.Tunnel.Hub})
	if len(refused) != 0 {
		fail("the wish has what can't be granted: %+v", refused)
	}
	for i, p := range wish.Peers {
		rec, err := w.registry.Order(w.t.Context(), wish.orders[i])
		w.must(err)
		site, ok := rec.SiteNamed(p.Site)
		if !ok || rec.Partner.ID != p.Partner {
			fail("%s/%s is not in order %s", p.Partner, p.Site, rec.ID)
		}
		for _, s := range p.Services {
			if s.Name != "gateway" && !slices.Contains(site.Services, s.Name) {
				fail("%s/%s is given %s, which order %s does not name", p.Partner, p.Site, s.Name, rec.ID)
			}
		}
		if len(p.Networks) != len(site.Networks) {
			fail("%s/%s has the networks %v, and order %s names %v", p.Partner, p.Site, p.Networks, rec.ID, site.Networks)
		}
	}
}

// converge joins all gateways and carries everything out.
func (w *orderWalk) converge() {
	for _, g := range w.gateways {
		g.cut = false
	}
	for _, g := range w.gateways {
		w.polls(g, true) // the last one may tell that the database was taken back, and the wish is another for all
	}
	w.carryAll()
	w.check("end")
	wish, err := w.currentWish(w.t.Context())
	w.must(err)
	for _, g := range w.gateways {
		w.polls(g, true)
		if g.wish.Digest != wish.Digest {
			w.t.Errorf("gateway %s has revision %d of epoch %s, the wish is %d of %s", g.name, g.wish.Revision, g.wish.Epoch, wish.Revision, wish.Epoch)
		}
	}
	for _, rec := range w.takings() {
		w.t.Errorf("order %s is not carried out", rec.ID)
	}
}

// takings are the orders under way that take something away.
func (w *orderWalk) takings() []registry.Record {
	all, err := w.registry.Unfinished(w.t.Context())
	w.must(err)
	return slices.DeleteFunc(all, func(r registry.Record) bool { return r.Kind == registry.Activation && r.State == registry.Approved })
}

// carryAll has every gateway ask before each order that it tries to carry out.
func (w *orderWalk) carryAll() {
	for _, rec := range w.takings() {
		for _, g := range w.gateways {
			w.polls(g, true)
		}
		w.carry(rec)
	}
}
