package main

import (
	"context"
	"encoding/base64"
	"errors"
	"log/slog"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"trustcore/cmd/internal/custody"
	"trustcore/cmd/internal/httpserver"
	"trustcore/cmd/internal/registry"
	"trustcore/cmd/internal/registry/registrytest"
	"trustcore/internal/audit"
	"trustcore/internal/store"
	"trustcore/vpn"
)

const (
	orderOn  = "id: ZU-1\nkind: activation\npartner: {id: um, name: Urząd}\nagreement: {number: UR/1, signed: 2026-01-15}\ncomponents: [P_VPN]\nvpn_request: {site: main}\n"
	orderOff = "id: ZZ-1\nkind: change\npartner: {id: um}\ncomponents: [P_VPN]\n"
)

var (
	officerOne = audit.Actor{Kind: "officer", ID: "one"}
	officerTwo = audit.Actor{Kind: "officer", ID: "two"}
	nobody     = vpn.Applied{}
)

// core is trustd's part in the tunnels, on a clock that a test sets forward.
type core struct {
	*daemon
	t      *testing.T
	url    string        // of the database
	dir    string        // of trustd's own files
	uptime time.Duration // of the machine
}

func newCore(t *testing.T, url string) *core {
	t.Helper()
	c := &core{t: t, url: url, dir: t.TempDir(), uptime: time.Hour}
	c.start()
	return c
}

// start starts trustd, also again: what it knew in memory is gone.
func (c *core) start() {
	c.t.Helper()
	r, log := registrytest.Open(c.t, c.url, netip.MustParsePrefix("10.64.0.0/24"), time.Now)
	c.daemon = &daemon{registry: r, custody: &custody.Custody{Audit: log}, cfg: Defaults()}
	c.cfg.Logger = slog.New(slog.DiscardHandler)
	c.cfg.Tunnel.Services = []TunnelService{{Name: "gateway", Addr: netip.MustParseAddrPort("10.64.0.1:9443")}}
	c.gateways = newGateways(vpn.DefaultLease, func() time.Duration { return c.uptime })
	var err error
	c.sealer, err = openSealer(filepath.Join(c.dir, sealerFile))
	c.must(err)
}

func (c *core) must(err error) {
	c.t.Helper()
	if err != nil {
		c.t.Fatal(err)
	}
}

func (c *core) order(text string) {
	c.t.Helper()
	o, err := registry.ParseOrder([]byte(text))
	c.must(err)
	c.must(c.registry.Submit(c.t.Context(), officerOne, *o))
	c.must(c.registry.Approve(c.t.Context(), officerTwo, o.ID))
}

// on switches the tunnel of ZU-1 on.
func (c *core) on() {
	c.t.Helper()
	c.order(orderOn)
	rec, err := c.registry.Order(c.t.Context(), "ZU-1")
	c.must(err)
	_, err = c.registry.GrantTunnel(c.t.Context(), *rec, officeKey(c.t).String())
	c.must(err)
	c.must(c.registry.Finish(c.t.Context(), rec.ID, registry.Active))
}

func officeKey(t *testing.T) vpn.Key {
	t.Helper()
	key, err := vpn.GeneratePrivateKey()
	if err != nil {
		t.Fatal(err)
	}
	return key.Public()
}

// ask is a gateway that asks for the wish; it returns the one that it has then.
func (c *core) ask(name string, have vpn.Applied) (vpn.Applied, *vpn.Wish) {
	c.t.Helper()
	ctx, cancel := context.WithTimeout(c.t.Context(), 10*time.Second)
	defer cancel()
	a, err := c.nextWish(ctx, name, have)
	c.must(err)
	if a.LeaseSeconds != 900 || a.Wish == nil {
		c.t.Fatalf("answer %+v", a)
	}
	return vpn.Applied{Epoch: a.Wish.Epoch, Revision: a.Wish.Revision, Digest: a.Wish.Digest}, a.Wish
}

func (c *core) reports(name string, applied vpn.Applied) {
	c.t.Helper()
	_, err := c.report(c.t.Context(), name, vpn.Status{Applied: applied, PublicKey: vpn.Key{9}, LeaseSeconds: 900})
	c.must(err)
}

// gone asks whether the tunnel of ZU-1 is proved to be gone.
func (c *core) gone() (how string, err error) {
	c.t.Helper()
	ctx, cancel := context.WithTimeout(c.t.Context(), 50*time.Millisecond)
	defer cancel()
	return c.awaitGone(ctx, "ZU-1")
}

func (c *core) wantNotProven(why, part string) {
	c.t.Helper()
	if how, err := c.gone(); err == nil || !strings.Contains(err.Error(), part) {
		c.t.Errorf("%s: proved by %q, %v; want %q", why, how, err, part)
	}
}

func (c *core) wantProven(why, part string) {
	c.t.Helper()
	if how, err := c.gone(); err != nil || !strings.Contains(how, part) {
		c.t.Errorf("%s: %q, %v; want %q", why, how, err, part)
	}
}

func (c *core) wantFinding(why, part string) {
	c.t.Helper()
	for _, f := range c.gatewayFindings(c.t.Context()) {
		if strings.Contains(f.What+" "+f.Remedy, part) && f.State == httpserver.Amber {
			return
		}
	}
	c.t.Errorf("%s: no finding with %q in %+v", why, part, c.gatewayFindings(c.t.Context()))
}

func databaseFile(t *testing.T) (url, file string) {
	file = filepath.Join(t.TempDir(), "registry.db")
	return "sqlite://" + file, file
}

// longestLease is what has to pass without a word of a gateway.
const longestLease = vpn.DefaultLease + vpn.DefaultLease/100 + leaseMargin

// TestTunnelIsGoneByReport has two gateways, of which one lags behind.
func TestTunnelIsGoneByReport(t *testing.T) {
	url, _ := databaseFile(t)
	c := newCore(t, url)
	c.on()
	with, w := c.ask("vpnd", nobody)
	if len(w.Peers) != 1 || w.Pool[0] != c.cfg.Tunnel.Pool {
		t.Fatalf("wish %+v", w)
	}
	c.ask("vpnd-2", nobody)
	c.reports("vpnd", with)
	c.reports("vpnd-2", with)
	if _, err := c.gone(); err == nil || !strings.Contains(err.Error(), "still has the tunnel") {
		t.Errorf("before the order: %v", err)
	}
	c.order(orderOff)
	c.wantNotProven("nobody reported yet", "gateway vpnd has not reported")
	without, w := c.ask("vpnd", with)
	if len(w.Peers) != 0 {
		t.Fatalf("wish %+v", w)
	}
	c.wantNotProven("vpnd has the wish but did not report", "gateway vpnd has not reported")
	c.reports("vpnd", without)
	c.wantNotProven("vpnd-2 reported the wish before", "gateway vpnd-2 has not reported")
	c.reports("vpnd-2", vpn.Applied{Epoch: without.Epoch, Revision: without.Revision, Digest: "other"})
	c.wantNotProven("vpnd-2 reported this revision of another wish", "gateway vpnd-2 has not reported")
	c.start()
	c.wantNotProven("trustd was restarted", "gateway vpnd-2 has not reported")
	c.reports("vpnd-2", without)
	c.wantProven("both reported", "gateway vpnd-2 reported revision")
	c.must(c.tunnelGone(t.Context(), "ZU-1"))
	c.must(c.custody.Audit.Close(t.Context()))
	entries, err := c.custody.Audit.List(t.Context(), audit.Filter{Order: "ZU-1"})
	if last := entries[len(entries)-1]; err != nil || last.Action != "tunnel.remove" || !strings.Contains(last.Reason, "gateway vpnd reported") {
		t.Errorf("%+v, %v", last, err)
	}
}

// TestSilentGatewayHasItsLease cuts the gateway off before the order, and restarts trustd meanwhile.
func TestSilentGatewayHasItsLease(t *testing.T) {
	for name, restart := range map[string]bool{"trustd goes on": false, "trustd restarted": true} {
		t.Run(name, func(t *testing.T) {
			url, _ := databaseFile(t)
			c := newCore(t, url)
			c.on()
			with, _ := c.ask("vpnd", nobody)
			c.reports("vpnd", with)
			c.order(orderOff)
			c.wantNotProven("at once", "not proven: gateway vpnd")
			c.uptime += 2 * time.Minute
			c.wantFinding("after two minutes", "VPN gateway vpnd has been silent for 2m0s: what it carries is not proven")
			c.uptime += longestLease - 2*time.Minute - time.Second
			c.wantNotProven("a second before the lease's end", "its lease ends at")
			if restart {
				c.uptime += time.Hour
				c.start()
				c.wantNotProven("trustd knows nothing of the time before its start", "its lease ends at")
				c.uptime += longestLease - time.Second
				c.wantNotProven("a second before", "its lease ends at")
			}
			c.uptime += time.Second
			c.wantProven("after the lease's end", "gateway vpnd is silent and its lease has ended")
		})
	}
}

// TestEveryAnswerRenewsTheLease has a gateway that asks and never reports.
func TestEveryAnswerRenewsTheLease(t *testing.T) {
	url, _ := databaseFile(t)
	c := newCore(t, url)
	c.on()
	c.ask("vpnd", nobody)
	c.order(orderOff)
	for range 3 {
		c.wantNotProven("it is answered all the time", "not proven")
		c.uptime += vpn.DefaultLease * 3 / 4
		c.ask("vpnd", nobody)
	}
	c.wantNotProven("it was answered just now", "not proven")
	c.wantFinding("it never reported", "asks for the wish and does not report")
	c.reports("vpnd", nobody)
	if found := c.gatewayFindings(t.Context()); len(found) != 0 {
		t.Errorf("after a report: %+v", found)
	}
}

// TestLongerLeaseOfBefore has a trustd that gave a day before its lease was configured to be shorter.
func TestLongerLeaseOfBefore(t *testing.T) {
	url, _ := databaseFile(t)
	c := newCore(t, url)
	c.on()
	c.must(c.registry.GatewayAnswered(t.Context(), "vpnd", vpn.MaxLease))
	c.must(c.registry.GatewayAnswered(t.Context(), "vpnd", vpn.MinLease))
	c.order(orderOff)
	c.wantNotProven("at first", "not proven")
	c.uptime += 23 * time.Hour
	c.wantNotProven("within the longer lease", "not proven")
	c.uptime += 2 * time.Hour
	c.wantProven("after it", "its lease has ended")
	c.reports("vpnd", nobody) // it says that it has the shorter one
	c.wantNotProven("it is there again", "not proven")
	c.uptime += longestLease
	c.wantProven("after the shorter lease", "its lease has ended")
}

// TestUnknownGatewayHasItsLease has a registry that lists nobody.
func TestUnknownGatewayHasItsLease(t *testing.T) {
	url, _ := databaseFile(t)
	c := newCore(t, url)
	c.on()
	c.order(orderOff)
	c.wantNotProven("at first", "no gateway has reported to this registry yet")
	c.uptime += longestLease
	c.wantProven("after a lease", "no gateway is known")
}

// TestRestoredDatabase takes the database back to before the tunnel, with a gateway that has seen more of it.
func TestRestoredDatabase(t *testing.T) {
	url, _ := databaseFile(t)
	c := newCore(t, url)
	c.on()
	with, _ := c.ask("vpnd", nobody)
	c.reports("vpnd", with)
	old := filepath.Join(t.TempDir(), "old.db")
	_, err := openDatabase(t, url).ExecContext(t.Context(), `VACUUM INTO '`+old+`'`)
	c.must(err)
	for _, partner := range []string{"gm", "sp"} {
		c.order(strings.NewReplacer("ZU-1", "ZU-"+partner, "id: um", "id: "+partner).Replace(orderOn))
	}
	later, _ := c.ask("vpnd", with)
	c.reports("vpnd", later)

	data, err := os.ReadFile(old)
	c.must(err)
	restored, restoredFile := databaseFile(t)
	c.must(os.WriteFile(restoredFile, data, 0o600))
	c = newCore(t, restored)
	c.order(orderOff)
	c.wantNotProven("the copy has an old report of the gateway", "not proven")
	now, w := c.ask("vpnd", later)
	if now.Epoch == later.Epoch || now.Revision > later.Revision || len(w.Peers) != 0 {
		t.Errorf("the gateway had %+v and got %+v", later, now)
	}
	c.wantFinding("the database was taken back", "the database was taken back")
	c.wantNotProven("it has not reported", "not proven")
	c.reports("vpnd", later)
	c.wantNotProven("it reported a wish of the epoch before", "not proven")
	c.reports("vpnd", now)
	c.wantProven("it reported", "of epoch "+now.Epoch)
	if again, _, err := c.registry.WishVersion(t.Context()); err != nil || again != now.Epoch {
		t.Errorf("the epoch went on to %s, %v", again, err)
	}
}

// TestWishOfAnotherDatabase has a gateway that followed a database which is no more.
func TestWishOfAnotherDatabase(t *testing.T) {
	url, _ := databaseFile(t)
	c := newCore(t, url)
	c.on()
	now, _ := c.ask("vpnd", vpn.Applied{Epoch: "00000000000000aa", Revision: 1 << 40, Digest: "d"})
	c.wantFinding("it came from elsewhere", "of epoch 00000000000000aa")
	c.ask("vpnd", vpn.Applied{Epoch: "00000000000000aa", Revision: 1 << 40, Digest: "d"})
	if again, _ := c.ask("vpnd", nobody); again != now {
		t.Errorf("the wish %+v became %+v", now, again)
	}
	c.must(c.custody.Audit.Close(t.Context()))
	entries, err := c.custody.Audit.List(t.Context(), audit.Filter{})
	said := 0
	for _, e := range entries {
		if e.Action == "wish.epoch" {
			said++
		}
	}
	if err != nil || said != 1 {
		t.Errorf("it is on record %d times, %v", said, err)
	}
}

// TestDriftIsOnRecord has a gateway that others change, once before its first report and once after.
func TestDriftIsOnRecord(t *testing.T) {
	url, _ := databaseFile(t)
	c := newCore(t, url)
	for _, count := range []int64{0, 1, 1, 2, 0, 1} { // the fifth is of a vpnd that started anew
		status := vpn.Status{PublicKey: officeKey(t), Drift: vpn.Drift{Count: count}}
		if count > 0 {
			status.Drift.What = "a route"
		}
		_, err := c.report(t.Context(), "vpnd", status)
		c.must(err)
	}
	c.must(c.custody.Audit.Close(t.Context()))
	entries, err := c.custody.Audit.List(t.Context(), audit.Filter{})
	said := 0
	for _, e := range entries {
		if e.Action == "vpn.drift" && strings.Contains(e.Subject, `vpnd, `) && strings.Contains(e.Subject, `"a route"`) {
			said++
		}
	}
	if err != nil || said != 3 {
		t.Errorf("it is on record %d times, %v", said, err)
	}
}

// TestServicesBelongToTheWish restarts trustd with another configuration.
func TestServicesBelongToTheWish(t *testing.T) {
	url, _ := databaseFile(t)
	c := newCore(t, url)
	c.on()
	before, _ := c.ask("vpnd", nobody)
	c.start()
	c.cfg.Tunnel.Services[0].Addr = netip.MustParseAddrPort("10.64.0.1:9444")
	after, w := c.ask("vpnd", before)
	if after.Revision != before.Revision || after.Digest == before.Digest || w.Peers[0].Services[0].Addr.Port() != 9444 {
		t.Errorf("had %+v, got %+v", before, after)
	}
}

// TestBadKeysInTheRegistry has a tunnel whose key was taken by a program that looked less closely.
func TestBadKeysInTheRegistry(t *testing.T) {
	url, _ := databaseFile(t)
	c := newCore(t, url)
	c.order(orderOn)
	c.order(strings.NewReplacer("ZU-1", "ZU-2", "id: um", "id: gm").Replace(orderOn))
	good := officeKey(t)
	for order, key := range map[string]string{"ZU-1": good.String() + "\n", "ZU-2": good.String()} {
		rec, err := c.registry.Order(t.Context(), order)
		c.must(err)
		_, err = c.registry.GrantTunnel(t.Context(), *rec, key)
		c.must(err)
	}
	if _, w := c.ask("vpnd", nobody); len(w.Peers) != 1 || w.Peers[0].Partner != "gm" {
		t.Errorf("wish %+v", w)
	}
	c.wantFinding("the other", "order ZU-1 has no tunnel")
}

// TestKeysAtEnrolment wants refusals before the token is used up.
func TestKeysAtEnrolment(t *testing.T) {
	url, _ := databaseFile(t)
	c := newCore(t, url)
	good, hub := officeKey(t).String(), officeKey(t)
	_, err := c.report(t.Context(), "vpnd", vpn.Status{PublicKey: hub})
	c.must(err)
	c.start() // the hub's key is known without a new report
	for name, key := range map[string]string{
		"": good, "a line break": good + "\n", "one within": good[:20] + "\n" + good[20:], "the hub's key": hub.String(), "zero": vpn.Key{}.String(),
		"low order": vpn.Key{1}.String(), "not canonical": base64.StdEncoding.EncodeToString([]byte(strings.Repeat("\xff", 32))), "none": " ",
	} {
		var refused *registry.FieldError
		if err := c.canUse(registry.Order{}, registry.Enrolment{PublicKey: key}); !errors.As(err, &refused) {
			t.Fatal(err)
		}
		if ofKey := refused.Field == "wireguard_public_key"; ofKey != (name != "") {
			t.Errorf("%s: %v", name, refused)
		}
	}
}

func openDatabase(t testing.TB, url string) *store.DB {
	t.Helper()
	db, err := store.Open(t.Context(), url)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { db.Close() })
	return db
}
