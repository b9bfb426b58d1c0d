package registry_test

import (
	"fmt"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"

	"trustcore/cmd/internal/registry"
	"trustcore/internal/audit"
	"trustcore/internal/store"
	"trustcore/internal/store/storetest"
)

// office is a partner's registry as a test brings orders to it.
type office struct {
	*testing.T
	*registry.Registry
	log     *audit.Log
	keys    int // that were made
	offices int // that enrolled
}

// TestOrdersThatFollow tells the stories over both databases.
func TestOrdersThatFollow(t *testing.T) {
	stories := []struct {
		name string
		tell func(o *office)
	}{
		{"renewal", renewal}, {"renewal of keys", renewalOfKeys}, {"renewal ends", renewalEnds},
		{"new key of the tunnel", newKeyOfTheTunnel}, {"first tunnel", firstTunnel}, {"keys that ended", keysThatEnded},
		{"several applications", severalApplications}, {"coming back", comingBack},
		{"renewals that cannot be", renewalsThatCannotBe}, {"two renewals", twoRenewals},
		{"services of a tunnel", servicesOfATunnel},
	}
	t.Run("sqlite", func(t *testing.T) {
		for _, s := range stories {
			t.Run(s.name, func(t *testing.T) { s.tell(newOffice(t, storetest.SQLite(t))) })
		}
	})
	t.Run("postgres", func(t *testing.T) {
		server := storetest.Postgres(t)
		db, err := store.Open(t.Context(), server)
		must(t, err)
		defer db.Close()
		for i, s := range stories {
			own := fmt.Sprintf("story%d", i)
			_, err := db.ExecContext(t.Context(), `CREATE DATABASE `+own)
			must(t, err)
			t.Run(s.name, func(t *testing.T) {
				s.tell(newOffice(t, strings.Replace(server, "/postgres?", "/"+own+"?", 1)))
			})
		}
	})
}

func newOffice(t *testing.T, url string) *office {
	t.Helper()
	r, log := open(t, url)
	return &office{T: t, Registry: r, log: log}
}

// order writes an order from the sample by pairs of old and new text.
func (o *office) order(pairs ...string) registry.Order {
	o.Helper()
	text := orderYAML
	for i := 0; i < len(pairs); i += 2 {
		if !strings.Contains(text, pairs[i]) {
			o.Fatalf("%q is not in the sample", pairs[i])
		}
		text = strings.Replace(text, pairs[i], pairs[i+1], 1)
	}
	return parse(o.T, text)
}

// number begins a pair for order: the order has this number, and names another one by field.
func number(id, field, other string) []string {
	return []string{"id: ZU-2026-001\n", fmt.Sprintf("id: %s\n%s: %s\n", id, field, other)}
}

func (o *office) approve(order registry.Order) *registry.Record {
	o.Helper()
	must(o.T, o.Submit(o.Context(), one, order))
	must(o.T, o.Approve(o.Context(), two, order.ID))
	rec, err := o.Order(o.Context(), order.ID)
	must(o.T, err)
	return rec
}

// on carries an activation order out as the steps do; it makes the keys that the order does not keep.
func (o *office) on(order registry.Order) *registry.Record {
	o.Helper()
	rec := o.approve(order)
	if a := order.HSMAuthorization; a != nil {
		kept, err := o.KeptKeys(o.Context(), order)
		must(o.T, err)
		for _, k := range a.Keys {
			id := kept[k.Name]
			if id == "" {
				o.keys++
				id = fmt.Sprintf("k%d", o.keys)
			}
			must(o.T, o.AddKey(o.Context(), order.ID, k.Name, id))
		}
	}
	if order.Has(registry.VPN) {
		_, err := o.GrantTunnel(o.Context(), *rec, publicKey(byte('a'+o.offices)))
		o.offices++
		must(o.T, err)
	}
	must(o.T, o.Finish(o.Context(), order.ID, registry.Active))
	return rec
}

// off carries a change order out.
func (o *office) off(id, components string) {
	o.Helper()
	c := parse(o.T, strings.NewReplacer("ZZ-2026-001", id, "[B_HSM, P_VPN]", components).Replace(changeYAML))
	o.approve(c)
	must(o.T, o.Finish(o.Context(), id, registry.CarriedOut))
}

// granted lists the rights of an order's line, active ones with a plus.
func (o *office) granted(order string) string {
	o.Helper()
	grants, err := o.GrantsOf(o.Context(), order)
	must(o.T, err)
	var all []string
	for _, g := range grants {
		sign := "-"
		if g.Active {
			sign = "+"
		}
		all = append(all, fmt.Sprintf("%s%s of %s until %s", sign, g.KeyID, g.Order, g.NotAfter.Format("2006-01-02")))
	}
	slices.Sort(all)
	return strings.Join(all, ", ")
}

func (o *office) want(got, want, what string) {
	o.Helper()
	if got != want {
		o.Errorf("%s: %q; want %q", what, got, want)
	}
}

func (o *office) state(order string) string {
	o.Helper()
	rec, err := o.Order(o.Context(), order)
	must(o.T, err)
	return strings.TrimSpace(string(rec.State) + " " + rec.ReplacedBy)
}

func (o *office) tunnels() string {
	o.Helper()
	_, tunnels, err := o.Wish(o.Context())
	must(o.T, err)
	var all []string
	for _, t := range tunnels {
		all = append(all, t.Order+" "+t.Address.String()+" "+t.PublicKey[:4])
	}
	return strings.Join(all, ", ")
}

const sampleKey = "- {name: seal, algorithm: RSA-3072, mechanisms: [RSA-PKCS1-SHA256, RSA-PSS-SHA256]}"

// extended is a renewal of the sample that holds a year longer, with further pairs.
func (o *office) extended(id, renews string, pairs ...string) registry.Order {
	o.Helper()
	return o.order(append(append(number(id, "renews", renews), "not_after: 2027-01-01", "not_after: 2028-01-01"),
		pairs...)...)
}

// renewal extends an order: before it is carried out the old one holds, from then on the new one, with the keys, the
// tunnel and what was issued under the old one.
func renewal(o *office) {
	o.on(o.order())
	next := o.extended("ZU-2", "ZU-2026-001", sampleKey,
		sampleKey+"\n    - {name: stamp, algorithm: P-256, mechanisms: [ECDSA-SHA256]}")
	o.approve(next)
	kept, err := o.KeptKeys(o.Context(), next)
	if err != nil || len(kept) != 1 || kept["seal"] != "k1" {
		o.Errorf("kept %v, %v", kept, err)
	}
	must(o.T, o.AddKey(o.Context(), "ZU-2", "seal", "k1"))
	must(o.T, o.AddKey(o.Context(), "ZU-2", "stamp", "k2"))
	o.want(o.granted("ZU-2026-001"), "+k1 of ZU-2026-001 until 2027-01-01, -k2 of ZU-2 until 2028-01-01",
		"while it is brought")
	o.want(o.tunnels(), "ZU-2026-001 10.64.0.2 YWFh", "while it is brought")
	rec, err := o.Order(o.Context(), "ZU-2")
	must(o.T, err)
	if a, err := o.GrantTunnel(o.Context(), *rec, ""); err != nil || a.String() != "10.64.0.2" {
		o.Errorf("its tunnel is %v, %v", a, err)
	}
	must(o.T, o.Finish(o.Context(), "ZU-2", registry.Active))
	for _, order := range []string{"ZU-2026-001", "ZU-2"} {
		o.want(o.granted(order), "+k1 of ZU-2 until 2028-01-01, +k2 of ZU-2 until 2028-01-01",
			"a certificate of "+order)
		if now, err := o.InForce(o.Context(), order); err != nil || now == nil || now.ID != "ZU-2" {
			o.Errorf("in force: %+v, %v", now, err)
		}
		if line, err := o.Line(o.Context(), order); err != nil || !slices.Equal(line, []string{"ZU-2", "ZU-2026-001"}) {
			o.Errorf("line %v, %v", line, err)
		}
	}
	o.want(o.tunnels(), "ZU-2 10.64.0.2 YWFh", "carried out")
	o.want(o.state("ZU-2026-001"), "replaced ZU-2", "the old one")
	unfinished, err := o.Unfinished(o.Context())
	if err != nil || len(unfinished) != 1 || unfinished[0].ID != "ZU-2026-001" {
		o.Errorf("something of the old one may be left: %+v, %v", unfinished, err)
	}
	must(o.T, o.StepDone(o.Context(), "ZU-2026-001", registry.Retired, "by ZU-2"))
	if unfinished, err = o.Unfinished(o.Context()); err != nil || len(unfinished) != 0 {
		o.Errorf("unfinished: %+v, %v", unfinished, err)
	}
	o.off("ZZ-1", "[B_HSM, P_VPN]")
	o.want(o.granted("ZU-2026-001"), "-k1 of ZU-2 until 2028-01-01, -k2 of ZU-2 until 2028-01-01", "switched off")
	o.want(o.tunnels(), "", "switched off")
	o.want(o.state("ZU-2"), "ended", "switched off")
	must(o.T, o.log.Close(o.Context()))
	entries, err := o.log.List(o.Context(), audit.Filter{Action: "order.replace"})
	if err != nil || len(entries) != 1 || entries[0].Order != "ZU-2" || entries[0].Partner == "" ||
		!strings.Contains(entries[0].Reason, "ZU-2026-001") {
		o.Errorf("on record: %+v, %v", entries, err)
	}
}

// renewalOfKeys replaces a key with overlap, then drops the old one, whose name is a new key's from then on.
func renewalOfKeys(o *office) {
	const second = "\n    - {name: seal-2, algorithm: P-256, mechanisms: [ECDSA-SHA256]}"
	o.on(o.order())
	o.on(o.extended("ZU-2", "ZU-2026-001", sampleKey, strings.Replace(sampleKey, "SHA256]}",
		"SHA256], not_after: 2026-06-01}", 1)+second))
	o.want(o.granted("ZU-2"), "+k1 of ZU-2 until 2026-06-01, +k2 of ZU-2 until 2028-01-01", "with overlap")
	o.on(o.extended("ZU-3", "ZU-2", "    "+sampleKey, second[1:]))
	o.want(o.granted("ZU-2026-001"), "+k2 of ZU-3 until 2028-01-01, -k1 of ZU-2 until 2026-06-01",
		"without the old one")
	if on, err := o.KeysOn(o.Context(), "um-przykladowo"); err != nil || !slices.Equal(on, []string{"k2"}) {
		o.Errorf("keys in force: %v, %v", on, err)
	}
	o.on(o.extended("ZU-4", "ZU-3", sampleKey, sampleKey+second))
	o.want(o.granted("ZU-4"),
		"+k2 of ZU-4 until 2028-01-01, +k3 of ZU-4 until 2028-01-01, -k1 of ZU-2 until 2026-06-01", "the name again")
}

// renewalEnds switches off while a renewal is under way: neither is left.
func renewalEnds(o *office) {
	o.on(o.order())
	o.approve(o.extended("ZU-2", "ZU-2026-001"))
	o.approve(parse(o.T, changeYAML))
	ended, err := o.EndedBy(o.Context(), "ZZ-2026-001")
	if err != nil || len(ended) != 2 || len(ended["ZU-2026-001"]) != 2 || len(ended["ZU-2"]) != 2 {
		o.Errorf("ended: %v, %v", ended, err)
	}
	must(o.T, o.Finish(o.Context(), "ZU-2", registry.Active))
	must(o.T, o.Finish(o.Context(), "ZZ-2026-001", registry.CarriedOut))
	o.want(o.state("ZU-2026-001")+", "+o.state("ZU-2"), "ended, ended", "after the change order")
	o.want(o.granted("ZU-2026-001"), "-k1 of ZU-2026-001 until 2027-01-01", "after the change order")
	o.want(o.tunnels(), "", "after the change order")
}

// newKeyOfTheTunnel gives a tunnel the key of an office that enrolled anew, and leaves it its address.
func newKeyOfTheTunnel(o *office) {
	o.on(o.order())
	o.approve(o.extended("ZU-2", "ZU-2026-001"))
	secret, err := o.NewToken(o.Context(), two, "ZU-2")
	must(o.T, err)
	_, err = o.Enrol(o.Context(), secret, registry.Enrolment{PublicKey: publicKey('b'), CSR: "csr"})
	must(o.T, err)
	must(o.T, o.Finish(o.Context(), "ZU-2", registry.Active))
	o.want(o.tunnels(), "ZU-2 10.64.0.2 YmJi", "carried out")
}

// firstTunnel adds P_VPN, which was on before and taken away: it is a new tunnel.
func firstTunnel(o *office) {
	o.on(o.order())
	o.off("ZZ-1", "[P_VPN]")
	rec := o.approve(o.extended("ZU-2", "ZU-2026-001"))
	if a, err := o.GrantTunnel(o.Context(), *rec, publicKey('b')); err != nil || a.String() != "10.64.0.3" {
		o.Errorf("its tunnel is %v, %v", a, err)
	}
	must(o.T, o.AddKey(o.Context(), "ZU-2", "seal", "k1"))
	must(o.T, o.Finish(o.Context(), "ZU-2", registry.Active))
	o.want(o.tunnels(), "ZU-2 10.64.0.3 YmJi", "carried out")
	o.want(o.granted("ZU-2"), "+k1 of ZU-2 until 2028-01-01", "carried out")
}

// keysThatEnded renews an order whose B_HSM was switched off before: it has new keys.
func keysThatEnded(o *office) {
	o.on(o.order())
	o.off("ZZ-1", "[B_HSM]")
	o.on(o.extended("ZU-2", "ZU-2026-001"))
	o.want(o.granted("ZU-2"), "+k2 of ZU-2 until 2028-01-01, -k1 of ZU-2026-001 until 2027-01-01", "carried out")
}

// servicesOfATunnel holds that a tunnel has the services which the order in force names, and whether B_HSM is on.
func servicesOfATunnel(o *office) {
	given := func(want, what string) {
		o.Helper()
		_, tunnels, err := o.Wish(o.Context())
		must(o.T, err)
		var all []string
		for _, t := range tunnels {
			all = append(all, fmt.Sprint(t.Order, " ", t.Services, " ", t.NetworkHSM))
		}
		o.want(strings.Join(all, ", "), want, what)
	}
	o.on(o.order("site: main", "site: main, services: [registry, time]"))
	given("ZU-2026-001 [registry time] true", "carried out")
	next := o.extended("ZU-2", "ZU-2026-001", "site: main", "site: main, services: [time]")
	o.approve(next)
	given("ZU-2026-001 [registry time] true", "before the renewal is carried out")
	must(o.T, o.AddKey(o.Context(), "ZU-2", "seal", "k1"))
	must(o.T, o.Finish(o.Context(), "ZU-2", registry.Active))
	given("ZU-2 [time] true", "renewed")
	o.off("ZZ-1", "[B_HSM]")
	given("ZU-2 [time] false", "without B_HSM")
}

// second is the same partner's order for another application.
func (o *office) second(id string, pairs ...string) registry.Order {
	o.Helper()
	return o.order(append([]string{"ZU-2026-001", id, "[B_HSM, P_VPN]", "[B_HSM]", "vpn_request: {site: main}", "",
		"application: ezd", "application: kadry"}, pairs...)...)
}

// severalApplications holds that each has its own rights, and may be switched off alone.
func severalApplications(o *office) {
	o.on(o.order())
	o.on(o.second("ZU-2"))
	o.want(o.granted("ZU-2026-001"), "+k1 of ZU-2026-001 until 2027-01-01", "ezd")
	o.want(o.granted("ZU-2"), "+k2 of ZU-2 until 2027-01-01", "kadry")
	wantRefusal(o.T, o.Submit(o.Context(), one, o.second("ZU-3")), "components[0]: B_HSM is already switched on")
	off := func(id, application string) registry.Order {
		return parse(o.T, strings.NewReplacer("ZZ-2026-001", id, "[B_HSM, P_VPN]",
			"[B_HSM]\napplication: "+application).Replace(changeYAML))
	}
	wantRefusal(o.T, o.Submit(o.Context(), one, off("ZZ-0", "esod")), "application: B_HSM is not switched on for esod")
	o.approve(off("ZZ-1", "ezd"))
	o.want(o.granted("ZU-2026-001"), "-k1 of ZU-2026-001 until 2027-01-01", "ezd, switched off")
	o.want(o.granted("ZU-2"), "+k2 of ZU-2 until 2027-01-01", "kadry")
	must(o.T, o.Finish(o.Context(), "ZZ-1", registry.CarriedOut))
	o.on(o.second("ZU-4", "application: kadry", "application: esod"))
	o.off("ZZ-2", "[B_HSM]")
	o.want(o.granted("ZU-2")+", "+o.granted("ZU-4"), "-k2 of ZU-2 until 2027-01-01, -k3 of ZU-4 until 2027-01-01",
		"all switched off")
}

// comingBack resumes keys by choice, of a line of its own.
func comingBack(o *office) {
	resume := func(id, of string, pairs ...string) registry.Order {
		return o.order(append(number(id, "resume", of), pairs...)...)
	}
	o.on(o.order())
	wantField(o.T, o.Submit(o.Context(), one, resume("ZU-2", "ZU-2026-001")), "resume", "it is in force")
	o.on(o.extended("ZU-3", "ZU-2026-001"))
	o.approve(parse(o.T, changeYAML))
	wantField(o.T, o.Submit(o.Context(), one, resume("ZU-2", "ZU-3")), "resume", "its keys are still being taken away")
	must(o.T, o.Finish(o.Context(), "ZZ-2026-001", registry.CarriedOut))
	wantField(o.T, o.Submit(o.Context(), one, resume("ZU-2", "ZU-2026-001")), "resume", "another one took its place")
	wantField(o.T, o.Submit(o.Context(), one, resume("ZU-2", "ZU-3", "name: seal", "name: other")), "resume",
		"none of its keys")
	wantField(o.T, o.Submit(o.Context(), one, resume("ZU-2", "ZU-3", "application: ezd", "application: kadry")),
		"hsm_authorization.application", "another application")
	wantField(o.T, o.Submit(o.Context(), one, resume("ZU-2", "ZU-3", "RSA-3072", "RSA-4096")),
		"hsm_authorization.keys[0].algorithm", "another algorithm")
	back := o.on(resume("ZU-2", "ZU-3", sampleKey,
		sampleKey+"\n    - {name: stamp, algorithm: P-256, mechanisms: [ECDSA-SHA256]}"))
	if !back.NeedsEnrolment() {
		o.Error("the office that comes back does not enrol")
	}
	o.want(o.granted("ZU-2"), "+k1 of ZU-2 until 2027-01-01, +k2 of ZU-2 until 2027-01-01", "come back")
	o.want(o.granted("ZU-3"), "-k1 of ZU-3 until 2028-01-01", "the line before")
	o.off("ZZ-2", "[B_HSM, P_VPN]")
	o.on(o.order("ZU-2026-001", "ZU-5"))
	o.want(o.granted("ZU-5"), "+k3 of ZU-5 until 2027-01-01", "come back with a new key")
}

// renewalsThatCannotBe names the field before anything is decided.
func renewalsThatCannotBe(o *office) {
	o.on(o.order())
	wait := o.order("ZU-2026-001", "ZU-W", "id: um-przykladowo", "id: gm-przykladowo")
	o.approve(wait)
	for what, c := range map[string]struct {
		order registry.Order
		field string
	}{
		"one that is not there": {o.extended("ZU-9", "ZU-8"), "renews"},
		"another partner's": {o.extended("ZU-9", "ZU-2026-001", "id: um-przykladowo", "id: sp-przykladowo"),
			"renews"},
		"one that is not active": {o.extended("ZU-9", "ZU-W", "id: um-przykladowo", "id: gm-przykladowo"), "renews"},
		"a component left out": {o.extended("ZU-9", "ZU-2026-001", "[B_HSM, P_VPN]", "[B_HSM]",
			"vpn_request: {site: main}", ""),
			"components"},
		"another site": {o.extended("ZU-9", "ZU-2026-001", "site: main", "site: other"), "vpn_request.site"},
		"another application": {o.extended("ZU-9", "ZU-2026-001", "application: ezd", "application: kadry"),
			"hsm_authorization.application"},
		"another algorithm": {o.extended("ZU-9", "ZU-2026-001", "algorithm: RSA-3072", "algorithm: RSA-4096"),
			"hsm_authorization.keys[0].algorithm"},
		"a pause": {o.extended("ZU-9", "ZU-2026-001", "not_before: 2026-01-01",
			"not_before: 2026-06-01"), "hsm_authorization.not_before"},
		"an end that is over": {o.extended("ZU-9", "ZU-2026-001", "SHA256]}", "SHA256], not_after: 2026-03-01}"),
			"hsm_authorization.keys[0].not_after"},
	} {
		wantField(o.T, o.Submit(o.Context(), one, c.order), c.field, what)
	}
	o.approve(o.extended("ZU-2", "ZU-2026-001"))
	wantField(o.T, o.Submit(o.Context(), one, o.extended("ZU-3", "ZU-2026-001")), "renews", "one that is being renewed")
	must(o.T, o.Finish(o.Context(), "ZU-2", registry.Active))
	wantField(o.T, o.Submit(o.Context(), one, o.extended("ZU-3", "ZU-2026-001")), "renews", "one that was replaced")
	o.off("ZZ-1", "[B_HSM, P_VPN]")
	wantField(o.T, o.Submit(o.Context(), one, o.extended("ZU-3", "ZU-2")), "renews", "one that is ended")
}

// twoRenewals lets two be submitted before either is decided: one takes the place.
func twoRenewals(o *office) {
	o.on(o.order())
	for _, id := range []string{"ZU-2", "ZU-3"} {
		must(o.T, o.Submit(o.Context(), one, o.extended(id, "ZU-2026-001")))
	}
	must(o.T, o.Approve(o.Context(), two, "ZU-2"))
	wantRefusal(o.T, o.Approve(o.Context(), two, "ZU-3"), "renews: order ZU-2026-001 is being renewed by ZU-2")
	must(o.T, o.Finish(o.Context(), "ZU-2", registry.Active))
	wantRefusal(o.T, o.Approve(o.Context(), two, "ZU-3"), "renews: order ZU-2026-001 was replaced by ZU-2")
	must(o.T, o.log.Close(o.Context()))
	entries, err := o.log.List(o.Context(), audit.Filter{Order: "ZU-3"})
	must(o.T, err)
	if last := entries[len(entries)-1]; last.Outcome != audit.Refused || !strings.Contains(last.Reason, "ZU-2") {
		o.Errorf("on record: %+v", last)
	}
}

func TestParseOrdersThatFollow(t *testing.T) {
	const activation, change = "kind: activation\n", "kind: change\n"
	for _, c := range []struct{ sample, old, new, field string }{
		{orderYAML, activation, activation + "renews: ZU-2026-001\n", "renews"},
		{orderYAML, activation, activation + "renews: a b\n", "renews"},
		{orderYAML, activation, activation + "resume: ZU-2026-001\n", "resume"},
		{orderYAML, activation, activation + "resume: ../1\n", "resume"},
		{orderYAML, activation, activation + "resume: ZU-1\nrenews: ZU-1\n", "resume"},
		{orderYAML, activation, activation + "application: ezd\n", "application"},
		{orderYAML, "SHA256]}", "SHA256], not_after: 2027-01-02T00:00:00Z}", "hsm_authorization.keys[0].not_after"},
		{orderYAML, "SHA256]}", "SHA256], not_after: 2025-01-02T00:00:00Z}", "hsm_authorization.keys[0].not_after"},
		{changeYAML, change, change + "renews: ZU-1\n", "renews"},
		{changeYAML, change, change + "resume: ZU-1\n", "resume"},
		{changeYAML, change, change + "application: E\n", "application"},
		{strings.Replace(changeYAML, "B_HSM, ", "", 1), change, change + "application: ezd\n", "application"},
	} {
		if !strings.Contains(c.sample, c.old) {
			t.Fatalf("%q is not in the sample", c.old)
		}
		_, err := registry.ParseOrder([]byte(strings.Replace(c.sample, c.old, c.new, 1)))
		wantField(t, err, c.field, c.new)
	}
	text := strings.NewReplacer("[B_HSM, P_VPN]", "[P_VPN]", activation, activation+"resume: ZU-1\n").Replace(orderYAML)
	_, err := registry.ParseOrder([]byte(text[:strings.Index(text, "hsm_authorization")]))
	wantField(t, err, "resume", "without B_HSM")
}

// TestDocumentedOrders parses every order file that the documentation shows.
func TestDocumentedOrders(t *testing.T) {
	text, err := os.ReadFile("../../../docs/operations.md")
	must(t, err)
	var renews, resumes, ends, changes, applications int
	for _, block := range regexp.MustCompile("(?s)```yaml\n(.*?)```").FindAllSubmatch(text, -1) {
		if !strings.Contains(string(block[1]), "kind:") {
			continue
		}
		order, err := registry.ParseOrder(block[1])
		if err != nil {
			t.Errorf("%v in\n%s", err, block[1])
			continue
		}
		count := func(n *int, is bool) {
			if is {
				*n++
			}
		}
		count(&renews, order.Renews != "")
		count(&resumes, order.Resume != "")
		count(&changes, order.Kind == registry.Change)
		count(&applications, order.Application != "")
		count(&ends, order.HSMAuthorization != nil && slices.ContainsFunc(order.HSMAuthorization.Keys,
			func(k registry.HSMKey) bool { return !k.NotAfter.IsZero() }))
	}
	if renews == 0 || resumes == 0 || ends == 0 || changes == 0 || applications == 0 {
		t.Errorf("renewals %d, resumptions %d, keys with an end %d, change orders %d, of one application %d", renews,
			resumes, ends, changes, applications)
	}
}
