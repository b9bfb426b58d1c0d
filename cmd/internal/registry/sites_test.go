package registry_test

import (
	"errors"
	"net/netip"
	"strings"
	"sync"
	"testing"
	"time"

	"trustcore/cmd/internal/registry"
	"trustcore/cmd/internal/registry/registrytest"
	"trustcore/internal/audit"
	"trustcore/internal/store/storetest"
)

// sitesYAML is an order of three sites, one of them a unit's.
const sitesYAML = `
id: ZU-1
kind: activation
partner: {id: um, name: Urząd}
agreement: {number: UR/1, signed: 2026-01-15}
units: [{id: gops, name: Gminny Ośrodek Pomocy Społecznej}]
components: [P_VPN]
vpn_request:
  site: main
  networks: [192.168.10.0/24]
  sites:
    - {name: branch, services: [registry], networks: [192.168.20.0/24, "fd12:3456::/48"]}
    - {name: gops, unit: gops, services: [benefits]}
`

// town is a registry with a clock.
type town struct {
	*registry.Registry
	*testing.T
	now time.Time
}

func newTown(t *testing.T, url string) *town {
	w := &town{T: t, now: now}
	w.Registry, _ = registrytest.Open(t, url, netip.MustParsePrefix("10.64.0.0/29"), func() time.Time { return w.now })
	return w
}

// approve submits and approves an order.
func (w *town) approve(text string) *registry.Record {
	w.Helper()
	o := parse(w.T, text)
	must(w.T, w.Submit(w.Context(), one, o))
	must(w.T, w.Approve(w.Context(), two, o.ID))
	rec, err := w.Order(w.Context(), o.ID)
	must(w.T, err)
	return rec
}

// carry carries an activation order out as far as the main site needs it.
func (w *town) carry(text string, key byte) *registry.Record {
	w.Helper()
	rec := w.approve(text)
	_, err := w.GrantTunnel(w.Context(), *rec, publicKey(key))
	must(w.T, err)
	must(w.T, w.Finish(w.Context(), rec.ID, registry.Active))
	rec, err = w.Order(w.Context(), rec.ID)
	must(w.T, err)
	return rec
}

// renew carries an order out that renews another one.
func (w *town) renew(text string) {
	w.Helper()
	rec := w.approve(text)
	_, err := w.GrantTunnel(w.Context(), *rec, "")
	must(w.T, err)
	must(w.T, w.Finish(w.Context(), rec.ID, registry.Active))
}

// enrol has a further site enrol, and gives it its tunnel.
func (w *town) enrol(order, site string, key byte) netip.Addr {
	w.Helper()
	token, err := w.NewSiteToken(w.Context(), two, order, site)
	must(w.T, err)
	rec, err := w.Enrol(w.Context(), token, registry.Enrolment{PublicKey: publicKey(key), CSR: "csr"})
	must(w.T, err)
	a, err := w.GrantSite(w.Context(), *rec, site, publicKey(key))
	must(w.T, err)
	return a
}

// wished are the sites of the wish, with their addresses.
func (w *town) wished() map[string]registry.Tunnel {
	w.Helper()
	_, tunnels, err := w.Wish(w.Context())
	must(w.T, err)
	all := map[string]registry.Tunnel{}
	for _, t := range tunnels {
		all[t.Site] = t
	}
	return all
}

// TestSites walks a partner of several sites through enrolment, renewal and end, on both engines.
func TestSites(t *testing.T) {
	t.Run("sqlite", func(t *testing.T) { sites(t, storetest.SQLite(t)) })
	t.Run("postgres", func(t *testing.T) { sites(t, storetest.Postgres(t)) })
}

func sites(t *testing.T, url string) {
	w := newTown(t, url)
	rec := w.approve(sitesYAML)
	_, err := w.NewSiteToken(t.Context(), two, "ZU-1", "branch")
	wantRefusal(t, err, "does not wait")
	_, err = w.GrantTunnel(t.Context(), *rec, publicKey('a'))
	must(t, err)
	must(t, w.Finish(t.Context(), "ZU-1", registry.Active))
	_, err = w.NewSiteToken(t.Context(), two, "ZU-1", "elsewhere")
	wantRefusal(t, err, `no site "elsewhere"`)
	_, err = w.NewSiteToken(t.Context(), two, "ZU-1", "main")
	wantRefusal(t, err, "does not wait") // it is carried out
	branch := w.enrol("ZU-1", "branch", 'b')
	if gops := w.enrol("ZU-1", "gops", 'c'); branch.String() != "10.64.0.3" || gops.String() != "10.64.0.4" {
		t.Errorf("%v, %v", branch, gops)
	}
	all := w.wished()
	if len(all) != 3 || all["main"].Address.String() != "10.64.0.2" || len(all["branch"].Networks) != 2 || all["gops"].Unit != "gops" ||
		len(all["gops"].Services) != 1 || all["gops"].Services[0] != "benefits" {
		t.Errorf("%+v", all)
	}

	// The renewal keeps main and branch, with other networks, and drops gops.
	w.now = w.now.Add(time.Hour)
	renewal := strings.NewReplacer("ZU-1", "ZU-2", "kind: activation", "kind: activation\nrenews: ZU-1",
		"    - {name: gops, unit: gops, services: [benefits]}\n", "", "192.168.10.0/24", "192.168.20.0/24",
		`192.168.20.0/24, "fd12:3456::/48"`, "192.168.10.0/24").Replace(sitesYAML)
	next := w.approve(renewal)
	a, err := w.GrantTunnel(t.Context(), *next, "")
	if err != nil || a.String() != "10.64.0.2" {
		t.Fatalf("%v, %v", a, err)
	}
	must(t, w.Finish(t.Context(), "ZU-2", registry.Active))
	all = w.wished()
	if len(all) != 2 || all["branch"].Address != branch || all["branch"].PublicKey != publicKey('b') || all["branch"].Order != "ZU-2" ||
		all["branch"].Networks[0].String() != "192.168.10.0/24" {
		t.Errorf("renewed: %+v", all)
	}
	if dropped, gone, err := w.EndedSites(t.Context(), "ZU-1"); err != nil || gone || len(dropped) != 1 || dropped[0] != "gops" {
		t.Errorf("%v, %v, %v", dropped, gone, err)
	}
	must(t, w.TunnelsGone(t.Context(), "ZU-1"))

	w.now = w.now.Add(time.Hour)
	w.approve("id: ZZ-1\nkind: change\npartner: {id: um}\ncomponents: [P_VPN]\n")
	if all := w.wished(); len(all) != 0 {
		t.Errorf("ended: %+v", all)
	}
	rec, err = w.Order(t.Context(), "ZU-2")
	must(t, err)
	_, err = w.GrantSite(t.Context(), *rec, "branch", publicKey('e'))
	wantRefusal(t, err, "P_VPN of order ZU-2 is off meanwhile")
	w.reaches()
}

// reaches holds what is on record against what happened above.
func (w *town) reaches() {
	w.Helper()
	all, err := w.Reaches(w.Context(), "um")
	must(w.T, err)
	if len(all) != 0 {
		w.Errorf("before the configuration had services: %+v", all)
	}
}

// TestReach tells who could reach what, from when to when, by which order.
func TestReach(t *testing.T) {
	w := newTown(t, storetest.SQLite(t))
	gateway := registry.Offered{Name: "gateway", Proto: "tcp", Addr: "10.64.0.1:9443", GivenBy: "P_VPN"}
	register := registry.Offered{Name: "registry", Proto: "tcp", Addr: "10.80.0.7:443", GivenBy: registry.ByOrder}
	keys := registry.Offered{Name: "keys", Proto: "tcp", Addr: "10.80.0.8:443", GivenBy: "B_HSM"}
	must(t, w.Offer(t.Context(), []registry.Offered{gateway, register, keys}))
	at := func(hours int) time.Time { return now.Add(time.Duration(hours) * time.Hour) }
	w.now = at(1)
	w.carry(sitesYAML, 'a')
	w.now = at(2)
	w.enrol("ZU-1", "branch", 'b')
	w.now = at(3)
	must(t, w.Offer(t.Context(), []registry.Offered{gateway, keys})) // registry is offered no more
	must(t, w.Offer(t.Context(), []registry.Offered{gateway, keys}))
	w.now = at(4)
	w.approve("id: ZZ-1\nkind: change\npartner: {id: um}\ncomponents: [P_VPN]\n")
	all, err := w.Reaches(t.Context(), "um")
	must(t, err)
	type line struct {
		site, service string
		since, until  time.Time
	}
	want := []line{{"branch", "gateway", at(2), at(4)}, {"branch", "registry", at(2), at(3)}, {"main", "gateway", at(1), at(4)}}
	for i, r := range all {
		if i >= len(want) || (line{r.Site, r.Service, r.Since, r.Until}) != want[i] || r.Order != "ZU-1" {
			t.Errorf("%d: %+v", i, r)
		}
	}
	must(t, w.TunnelsGone(t.Context(), "ZU-1"))
	_, err = w.GrantTunnel(t.Context(), *w.approve(strings.Replace(sitesYAML, "ZU-1", "ZU-3", 1)), "")
	wantRefusal(t, err, "its office has to enrol")
	if other, err := w.Reaches(t.Context(), "gm"); err != nil || len(all) != len(want) || len(other) != 0 {
		t.Errorf("%d lines, and %+v of another: %v", len(all), other, err)
	}
}

// TestTokenOfAnotherSite: each token enrols its own site, and no other gets what it brings.
func TestTokenOfAnotherSite(t *testing.T) {
	w := newTown(t, storetest.SQLite(t))
	w.carry(sitesYAML, 'a')
	token, err := w.NewSiteToken(t.Context(), two, "ZU-1", "branch")
	must(t, err)
	_, err = w.NewSiteToken(t.Context(), two, "ZU-1", "gops")
	must(t, err) // and that of branch stays good
	rec, err := w.Enrol(t.Context(), token, registry.Enrolment{Site: "gops", PublicKey: publicKey('b'), CSR: "csr"})
	must(t, err)
	if e, err := w.EnrolmentOf(t.Context(), rec.ID, "gops"); err != nil || e != nil {
		t.Errorf("the token of branch enrolled gops: %+v, %v", e, err)
	}
	if e, err := w.Enrolment(t.Context(), rec.ID); err != nil || e != nil {
		t.Errorf("the token of branch enrolled the main site: %+v, %v", e, err)
	}
	if e, err := w.EnrolmentOf(t.Context(), rec.ID, "branch"); err != nil || e == nil || e.PublicKey != publicKey('b') {
		t.Errorf("branch: %+v, %v", e, err)
	}
	_, err = w.Enrol(t.Context(), token, registry.Enrolment{PublicKey: publicKey('d'), CSR: "csr"})
	wantRefusal(t, err, "already with other keys")
	again, err := w.NewSiteToken(t.Context(), two, "ZU-1", "branch")
	must(t, err)
	w.approve("id: ZZ-1\nkind: change\npartner: {id: um}\ncomponents: [P_VPN]\n")
	must(t, w.Finish(t.Context(), "ZZ-1", registry.CarriedOut))
	_, err = w.Enrol(t.Context(), again, registry.Enrolment{PublicKey: publicKey('e'), CSR: "csr"})
	wantRefusal(t, err, "unknown, void or expired")
}

// TestQuarantine: an address rests for 90 days after it is proven that nobody carries it any more, and is another's then.
func TestQuarantine(t *testing.T) {
	w := newTown(t, storetest.SQLite(t))
	order := func(id, partner string) string {
		return strings.NewReplacer("ZU-1", id, "{id: um,", "{id: "+partner+",", "192.168.", "10."+id[3:]+".").Replace(
			sitesYAML[:strings.Index(sitesYAML, "  networks")])
	}
	for i, partner := range []string{"a", "b", "c", "d", "e"} { // 10.64.0.0/29 has room for five
		w.carry(order("ZU-"+string(rune('1'+i)), partner), byte('a'+i))
	}
	wantRefusal(t, w.Submit(t.Context(), one, parse(t, order("ZU-6", "f"))), "used up")
	w.approve("id: ZZ-1\nkind: change\npartner: {id: b}\ncomponents: [P_VPN]\n")
	w.now = w.now.Add(2 * registry.Quarantine)
	wantRefusal(t, w.Submit(t.Context(), one, parse(t, order("ZU-6", "f"))), "used up") // a gateway may still carry it
	must(t, w.TunnelsGone(t.Context(), "ZU-2"))
	w.now = w.now.Add(registry.Quarantine - time.Second)
	wantRefusal(t, w.Submit(t.Context(), one, parse(t, order("ZU-6", "f"))), "used up")
	w.now = w.now.Add(time.Second)
	w.carry(order("ZU-6", "f"), 'f')
	if all := w.wished(); all["main"].Address == (netip.Addr{}) {
		t.Errorf("%+v", all)
	}
	_, tunnels, err := w.Wish(t.Context())
	must(t, err)
	owners := map[netip.Addr]string{}
	for _, tunnel := range tunnels {
		if other, taken := owners[tunnel.Address]; taken {
			t.Errorf("%s and %s have %v", other, tunnel.Partner, tunnel.Address)
		}
		owners[tunnel.Address] = tunnel.Partner
	}
	if owners[netip.MustParseAddr("10.64.0.3")] != "f" || len(owners) != 5 {
		t.Errorf("%v", owners)
	}
}

// TestNetworksOfSites names the field of a network that can't be had, at once or beside another order.
func TestNetworksOfSites(t *testing.T) {
	for _, c := range []struct{ old, new, want string }{
		{"192.168.10.0/24", "192.168.10.7/24", "vpn_request.networks[0]: 192.168.10.7/24 has bits of a host: write 192.168.10.0/24"},
		{"192.168.10.0/24", `"::ffff:192.168.10.0/120"`, "vpn_request.networks[0]: ::ffff:192.168.10.0/120 is an IPv4 address within IPv6"},
		{"192.168.10.0/24", "192.168.10.0", "vpn_request.networks[0]: \"192.168.10.0\" is no network"},
		{"fd12:3456::/48", "FD12:3456::/48", "vpn_request.sites[0].networks[1]: \"FD12:3456::/48\": write fd12:3456::/48"},
		{"fd12:3456::/48", "fd12:3456::%eth0/48", "vpn_request.sites[0].networks[1]: \"fd12:3456::%eth0/48\" is no network"},
		{"192.168.20.0/24", "192.168.0.0/16", "vpn_request.sites[0].networks[0]: 192.168.0.0/16 meets 192.168.10.0/24 of the same order"},
		{"name: branch", "name: main", "vpn_request.sites[0].name: \"main\" stands twice"},
		{"name: branch", "name: Branch", "vpn_request.sites[0].name: \"Branch\""},
		{"unit: gops", "unit: mops", "vpn_request.sites[1].unit: \"mops\" is none of the order's units"},
		{"services: [benefits]", "services: [a, a]", "vpn_request.sites[1].services[1]: \"a\" stands twice"},
	} {
		if !strings.Contains(sitesYAML, c.old) {
			t.Fatalf("%q is not in the sample", c.old)
		}
		_, err := registry.ParseOrder([]byte(strings.Replace(sitesYAML, c.old, c.new, 1)))
		if err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s -> %s: got %v; want %q", c.old, c.new, err, c.want)
		}
	}
	w := newTown(t, storetest.SQLite(t))
	w.carry(sitesYAML, 'a')
	other := func(network string) string {
		return strings.NewReplacer("ZU-1", "ZU-2", "{id: um,", "{id: gm,", "192.168.10.0/24", network).Replace(
			sitesYAML[:strings.Index(sitesYAML, "  sites:")])
	}
	for _, network := range []string{"192.168.20.0/24", "192.168.20.128/25", "192.168.0.0/16", `"fd12:3456:0:7::/64"`} {
		err := w.Submit(t.Context(), one, parse(t, other(network)))
		var field *registry.FieldError
		if !errors.As(err, &field) || field.Field != "vpn_request.networks[0]" || !strings.Contains(field.Remedy, "another partner's") {
			t.Errorf("%s: %v", network, err)
		}
	}
	renewal := func(id, renews, network string) string {
		return strings.NewReplacer("ZU-1", id, "kind: activation", "kind: activation\nrenews: "+renews, "192.168.10.0/24", network).Replace(sitesYAML)
	}
	w.renew(renewal("ZU-11", "ZU-1", "192.168.11.0/24"))
	if err := w.Submit(t.Context(), one, parse(t, other("192.168.10.0/25"))); err == nil {
		t.Error("a network that a renewal left was given away before that was proven")
	}
	w.renew(renewal("ZU-12", "ZU-11", "192.168.10.0/24")) // its own site may have it back at once
	for _, id := range []string{"ZU-1", "ZU-11"} {
		must(t, w.StepDone(t.Context(), id, registry.Retired, ""))
	}
	w.approve("id: ZZ-1\nkind: change\npartner: {id: um}\ncomponents: [P_VPN]\n")
	if err := w.Submit(t.Context(), one, parse(t, other("192.168.10.0/25"))); err == nil {
		t.Error("the network of a tunnel that a gateway may still carry was given away")
	}
	must(t, w.TunnelsGone(t.Context(), "ZU-12"))
	must(t, w.Submit(t.Context(), one, parse(t, other("192.168.10.0/25"))))
}

// TestNetworksRace approves orders at once that want the same network: one gets it.
func TestNetworksRace(t *testing.T) {
	t.Run("sqlite", func(t *testing.T) { networksRace(t, storetest.SQLite(t)) })
	t.Run("postgres", func(t *testing.T) { networksRace(t, storetest.Postgres(t)) })
}

func networksRace(t *testing.T, url string) {
	w := newTown(t, url)
	ids := []string{"ZU-1", "ZU-2", "ZU-3", "ZU-4"}
	for i, id := range ids {
		must(t, w.Submit(t.Context(), one, parse(t, strings.NewReplacer("ZU-1", id, "{id: um,", "{id: um"+string(rune('a'+i))+",").Replace(
			sitesYAML[:strings.Index(sitesYAML, "  sites:")]))))
	}
	var group sync.WaitGroup
	won := make(chan string, len(ids))
	for _, id := range ids {
		group.Go(func() {
			if w.Approve(t.Context(), audit.Actor{Kind: "officer", ID: "two"}, id) == nil {
				won <- id
			}
		})
	}
	group.Wait()
	if len(won) != 1 {
		t.Errorf("%d orders have the same network", len(won))
	}
}
