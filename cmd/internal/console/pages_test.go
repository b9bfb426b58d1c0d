package console_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/netip"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"trustcore/cmd/internal/console"
	"trustcore/cmd/internal/registry"
	"trustcore/cmd/internal/registry/registrytest"
	"trustcore/cmd/internal/rights"
	"trustcore/internal/audit"
	"trustcore/internal/store/storetest"
)

// TestRoutesStandInTheTableOfRights: what the table lets nobody use is no route, and a route that it does not have opens to nobody.
func TestRoutesStandInTheTableOfRights(t *testing.T) {
	d := open(t)
	var table []string
	for _, right := range rights.Table {
		if right.Listener == rights.Console {
			table = append(table, right.Route)
		}
	}
	slices.Sort(table)
	routes := d.console.Routes()
	slices.Sort(routes)
	if !slices.Equal(routes, table) {
		t.Errorf("routes\n%s\ntable\n%s", strings.Join(routes, "\n"), strings.Join(table, "\n"))
	}
}

func TestPagesOfTheFrame(t *testing.T) {
	d := open(t)
	b := d.login(one)
	for path, want := range map[string]string{"/": "Overview", "/orders": "Orders", "/partners": "Partners", "/keys": "Keys", "/certificates": "Certificates",
		"/tunnels": "Tunnels", "/expiring": "What expires", "/motions": "Motions", "/audit": "Audit log", "/documents": "Verify a document",
		"/settings": "Settings", "/submit": "New order", "/uses": "Who used a key"} {
		text := b.at(path)
		d.wants(text, "<h1>"+want+"</h1>", "<title>"+want+" –", `<main id="main"`, "Skip to the content", `href="`+b.home+`/partners"`)
		if _, after, _ := strings.Cut(text, "aria-current"); path != "/uses" && path != "/submit" && !strings.Contains(after[:200], want) {
			t.Errorf("%s is not marked as the present page", path)
		}
	}
	b.post("/preferences", "language", "pl")
	d.wants(b.at("/audit"), "<h1>Dziennik zdarzeń</h1>", "Czego dotyczy")
}

// TestNothingThere: an address that is none, and names of nothing, are told in the officer's language.
func TestNothingThere(t *testing.T) {
	d := open(t)
	d.submit(one, orderYAML)
	b := d.login(one)
	b.post("/preferences", "language", "pl")
	for _, path := range []string{"/nothing", "/orders/approve", "/fragments/audit", "/order?id=no", "/order", "/order?id=" + url.QueryEscape("../x\x00\u202e"),
		"/partner?id=no", "/partner", "/key?id=no", "/key", "/certificate?id=no", "/certificate", "/tunnel?partner=a&site=b", "/tunnel",
		"/entry?index=99999999", "/entry?index=-1", "/entry?index=x", "/entry", "/proof?index=99999999", "/confirm", "/confirm?act=no&id=ZU-2026-001",
		"/confirm?act=order-approve&id=no", "/confirm?act=motion-approve&id=no", "/confirm?act=key-suspend&id=no",
		"/confirm?act=certificate-revoke&id=no", "/confirm?act=tunnel-key&id=a&site=b"} {
		status, text, header := b.get(path)
		if status != http.StatusNotFound || !strings.HasPrefix(header.Get("Content-Type"), "text/html") {
			t.Errorf("%s: status %d, %s", path, status, header.Get("Content-Type"))
		}
		d.wants(text, "Nie ma takiej strony", `<html lang="pl"`, `href="`+b.home+`/"`)
	}
	stranger := d.browser()
	stranger.home = ""
	if status, text, _ := stranger.get("/nothing"); status != http.StatusNotFound || !strings.Contains(text, "There is no such page") {
		t.Errorf("before the login: %d %s", status, text)
	}
	if status, _, header := stranger.get("/s/guess/nothing"); status != http.StatusSeeOther || header.Get("Location") != "/login" {
		t.Errorf("below a session that is none: status %d", status)
	}
}

func TestAForeignRequestIsToldInWords(t *testing.T) {
	d := open(t)
	d.submit(one, orderYAML)
	b := d.login(two)
	b.post("/preferences", "language", "pl")
	b.header.Set("Sec-Fetch-Site", "cross-site")
	for _, right := range rights.Table {
		method, path, _ := strings.Cut(right.Route, " /s/{place}")
		if right.Listener != rights.Console || method != http.MethodPost {
			continue
		}
		status, text, _ := b.post(path, "order", "ZU-2026-001", "id", "a", "reason", "r", "partner", "p", "site", "s")
		if status != http.StatusForbidden {
			t.Errorf("%s: status %d", path, status)
		}
		d.wants(text, "<h1>Odmowa</h1>", "z innej strony internetowej")
	}
	if len(d.acted) != 0 {
		t.Errorf("done: %q", d.acted)
	}
}

// TestAnothersSession: the cookie of one officer opens no page below another one's path, and a guessed path none at all.
func TestAnothersSession(t *testing.T) {
	d := open(t)
	d.submit(one, orderYAML)
	first, second := d.login(one), d.login(two)
	second.home = first.home
	for _, path := range []string{"/", "/orders", "/order?id=ZU-2026-001", "/audit"} {
		if status, _, header := second.get(path); status != http.StatusSeeOther || header.Get("Location") != "/login" {
			t.Errorf("%s: status %d", path, status)
		}
	}
	if status, _, _ := second.approve("order", "ZU-2026-001"); status != http.StatusSeeOther {
		t.Errorf("status %d", status)
	}
	if rec, err := d.registry.Order(t.Context(), "ZU-2026-001"); err != nil || rec.State != registry.Submitted {
		t.Errorf("the order is %v, %v", rec.State, err)
	}
}

// furnishMany gives the registry partners with units, and the parts what belongs to them.
func (d *desk) furnishMany(partners, units int) { d.Helper(); d.furnishFrom(0, partners, units) }

func (d *desk) furnishFrom(from, to, units int) {
	d.Helper()
	for n := from; n < to; n++ {
		id := fmt.Sprintf("ug-%03d", n)
		text := fmt.Sprintf("id: ZU/%d/2026\nkind: activation\npartner: {id: %s, name: Urząd Gminy Łódź %d}\nagreement: {number: UR/%d/2026, signed: 2026-02-01}\ncomponents: [P_VPN, B_PeUP]\nvpn_request: {site: main}\nunits:\n", n, id, n, n)
		for u := range units {
			text += fmt.Sprintf("  - {id: j-%d, name: Szkoła nr %d}\n", u, u)
		}
		d.submit(one, text)
		d.must(d.registry.Approve(d.Context(), two, fmt.Sprintf("ZU/%d/2026", n)))
		d.must(d.registry.Finish(d.Context(), fmt.Sprintf("ZU/%d/2026", n), registry.Active))
		d.keys = append(d.keys, console.Key{ID: fmt.Sprintf("%032x", n), Partner: id, Order: fmt.Sprintf("ZU/%d/2026", n), Label: "seal", State: "active", Created: d.clock()})
		d.tunnels = append(d.tunnels, console.Tunnel{Partner: id, Site: "main", Order: fmt.Sprintf("ZU/%d/2026", n), Address: "10.64.0.2", State: "up"})
		for c := range 3 {
			d.certificates = append(d.certificates, console.Certificate{Serial: fmt.Sprintf("%x", 1000*n+c), Subject: id, Profile: "seal", Partner: id,
				State: "valid", NotAfter: d.clock().AddDate(1, 0, n)})
		}
	}
}

func TestListsHavePagesAndASearch(t *testing.T) {
	d := open(t)
	d.furnishMany(54, 9)
	b := d.login(one)
	rows := func(path string) int { return strings.Count(b.at(path), `<tr><th scope="row">`) }
	for path, want := range map[string]int{
		"/partners": 50, "/partners?page=2": 4, "/partners?page=3": 4, "/partners?page=99999999999999999999": 50, "/partners?page=-1": 50, "/partners?page=x": 50,
		"/partners?q=lodz+17": 1, "/partners?q=%C5%81%C3%93D%C5%B9": 50, "/partners?q=ug-053": 1, "/partners?q=UR%2F7%2F2026": 1, "/partners?q=szkola+nr+3": 50,
		"/partners?q=nothing": 0, "/orders": 50, "/orders?page=2": 4, "/orders?q=ZU%2F12%2F": 1, "/orders?state=submitted": 0, "/orders?state=active&q=lodz+11": 1,
		"/keys?page=2": 4, "/keys?q=lodz+ZU%2F17%2F": 1, "/certificates": 50, "/certificates?page=4": 12, "/tunnels?q=ug-001": 1, "/tunnels?page=2": 4,
		"/partners?q=" + strings.Repeat("a", 100_000): 0, "/keys?q=" + strings.Repeat("%C4%85", 10_000): 0,
	} {
		if len(path) > 4000 && !strings.Contains(path, "%") {
			continue // the server's limit of a request's head is its own
		}
		if got := rows(path); got != want {
			t.Errorf("%.80s: %d rows, want %d", path, got, want)
		}
	}
	text := b.at("/orders?state=active&page=2")
	d.wants(text, `rel="prev" href="orders?state=active"`, "51–54 of 54, page 2 of 2")
	d.lacks(text, `rel="next"`)
	d.wants(b.at("/partners?q=lodz"), `rel="next" href="partners?page=2&amp;q=lodz"`, `value="lodz"`)
}

// TestWhatAPageCosts: pages of 54 partners with 500 units ask the database as often as those of 3.
func TestWhatAPageCosts(t *testing.T) {
	d := openCounted(t)
	b := d.login(one)
	pages := []string{"/", "/partners", "/partner?id=ug-001", "/orders", "/order?id=ZU/1/2026", "/keys", "/key?id=" + fmt.Sprintf("%032x", 1), "/certificates",
		"/certificate?id=3e9", "/tunnels", "/tunnel?partner=ug-001&site=main", "/motions", "/audit"}
	cost := map[string]int64{}
	d.furnishMany(3, 9)
	for _, path := range pages {
		cost[path] = d.counter.During(func() { b.at(path) })
	}
	d.furnishFrom(3, 54, 9)
	for _, path := range pages {
		if many := d.counter.During(func() { b.at(path) }); many != cost[path] || many == 0 {
			t.Errorf("%s: %d statements with 3 partners, %d with 54", path, cost[path], many)
		}
	}
}

func TestPartnerPage(t *testing.T) {
	d := open(t)
	d.submit(one, orderYAML)
	d.must(d.registry.Approve(t.Context(), two, "ZU-2026-001"))
	d.must(d.registry.StepDone(t.Context(), "ZU-2026-001", "partition", "seal=5c"))
	d.must(d.registry.Finish(t.Context(), "ZU-2026-001", registry.Active))
	d.submit(two, "id: ZZ-1\nkind: change\npartner: {id: um-przykladowo}\ncomponents: [B_HSM]\n")
	d.keys = []console.Key{{ID: "k1", Partner: "um-przykladowo", Order: "ZU-2026-001", Label: "seal-key", State: "active"}, {ID: "k2", Partner: "other", Label: "foreign-key", State: "active"}}
	d.tunnels = []console.Tunnel{{Partner: "um-przykladowo", Site: "filia", Order: "ZU-2026-001", State: "stale"}, {Partner: "other", Site: "foreign-site"}}
	d.certificates = []console.Certificate{{Serial: "0a", Subject: "own certificate", Profile: "seal", Partner: "um-przykladowo", Order: "ZU-2026-001", State: "valid", NotAfter: d.clock().AddDate(0, 0, 5)},
		{Serial: "0b", Subject: "foreign certificate", Profile: "seal", Partner: "other", State: "valid"}}
	d.partners = []string{"um-przykladowo"}
	id := d.propose(registry.RevokeCertificates, "certificates of partner um-przykladowo")
	b := d.login(one)
	text := b.at("/partner?id=um-przykladowo")
	d.wants(text, "<h1>Urząd Miasta Przykładowo</h1>", "UR/12/2026", "by order ZU-2026-001", "ezd", "Miejski Ośrodek", "seal-key", "own certificate", "filia", "no contact",
		"expires soon", "change order", "ZZ-1", "use blocked", id, "This partner has no applications", "RSA-PKCS1-SHA256", "seal=5c", `audit?partner=um-przykladowo`)
	d.lacks(text, "foreign-key", "foreign-site", "foreign certificate")
	d.partners = []string{"other"}
	d.lacks(b.at("/partner?id=um-przykladowo"), id)
}

func TestOrderPage(t *testing.T) {
	d := open(t)
	d.submit(one, orderYAML)
	b := d.login(two)
	text := b.at("/order?id=ZU-2026-001")
	d.wants(text, "waits for a decision", "Submitted by", "officer-1", "Nothing yet", "act=order-approve", "act=order-reject", "Miejski Ośrodek", "ezd",
		`audit?order=ZU-2026-001`, "No step is done yet")
	text = b.at("/confirm?act=order-approve&id=ZU-2026-001")
	d.wants(text, "Approve the order", "switches on", `action="orders/approve"`, `name="order" value="ZU-2026-001"`, "Only another order can undo it")
	d.wants(b.at("/confirm?act=order-reject&id=ZU-2026-001"), `action="orders/reject"`, `<textarea name="reason"`)
	own := d.login(one)
	text = own.at("/confirm?act=order-approve&id=ZU-2026-001")
	d.wants(text, "another officer must approve it")
	d.lacks(text, `action="orders/approve"`)

	b.approve("order", "ZU-2026-001")
	d.must(d.registry.StepDone(t.Context(), "ZU-2026-001", "partition", "seal="+strings.Repeat("5c", 16)))
	d.must(d.registry.Finish(t.Context(), "ZU-2026-001", registry.Active))
	d.keys = []console.Key{{ID: "k1", Partner: "um-przykladowo", Order: "ZU-2026-001", Label: "seal-key", State: "active"}}
	text = b.at("/order?id=ZU-2026-001")
	d.wants(text, "Approved by", "officer-2", "seal="+strings.Repeat("5c", 16), "seal-key", `href="partner?id=um-przykladowo"`)
	d.lacks(text, "act=order-approve")

	d.submit(one, "id: ZZ-1\nkind: change\npartner: {id: um-przykladowo}\ncomponents: [B_HSM]\n")
	d.wants(b.at("/confirm?act=order-approve&id=ZZ-1"), "What stops working", "key seal-key", "stops working at once")
	b.approve("order", "ZZ-1")
	d.wants(b.at("/order?id=ZZ-1"), "What this order ended", `href="order?id=ZU-2026-001"`, "B_HSM")
}

func TestEntryWithItsProof(t *testing.T) {
	d := open(t)
	d.submit(one, strings.Replace(orderYAML, "Przykładowo}", "Przykładowo}", 1))
	_, err := d.audit.Append(t.Context(), audit.Entry{Time: d.clock(), Actor: one, Action: "hsm.sign", Subject: strings.Repeat("5c", 16), Partner: "um-przykladowo",
		Order: "ZU-2026-001", Outcome: audit.Refused, Reason: "PESEL 44051401359 stands in it", Details: map[string]string{"mechanism": "RSA-PSS-SHA256"}})
	d.must(err)
	b := d.login(two)
	text := b.at("/entry?index=1")
	d.wants(text, "Entry 1 of the audit log", "RSA-PSS-SHA256", strings.Repeat("5c", 16), `href="order?id=ZU-2026-001"`, "*******1359", `href="proof?index=1"`)
	d.lacks(text, "44051401359")
	status, proof, header := b.get("/proof?index=1")
	if status != http.StatusOK || header.Get("Content-Disposition") != `attachment; filename="proof-1.json"` || header.Get("Content-Type") != "application/json" {
		t.Errorf("status %d, %v", status, header)
	}
	var p audit.Proof
	d.must(json.Unmarshal([]byte(proof), &p))
	if err := audit.VerifyProof(&p, d.audit.PublicKey()); err != nil || p.Index != 1 || !strings.Contains(string(p.Entry), "44051401359") {
		t.Errorf("%v: %s", err, p.Entry)
	}
	d.lacks(b.at("/audit"), "44051401359")
}

func TestAuditTimesAreOfTheOfficers(t *testing.T) {
	d := open(t)
	d.pass(11 * time.Hour) // 3 March 23:00 UTC is 4 March in Warsaw
	d.submit(one, orderYAML)
	b := d.login(two)
	d.recorded("order.submit", 1)
	d.wants(b.at("/audit?from=2026-03-04&action=order.submit"), "ZU-2026-001</td>")
	d.wants(b.at("/audit?to=2026-03-03&action=order.submit"), "No entry fits")
	b.post("/preferences", "language", "pl")
	for _, wrong := range []string{"from=3.03.2026", "from=2026-02-30", "to=yesterday", "from=2026-03-29T02:30", "from=2026-03-05&to=2026-03-04", "to=" + strings.Repeat("9", 5000)} {
		status, text, _ := b.get("/audit?" + wrong)
		if status != http.StatusUnprocessableEntity {
			t.Errorf("%.60s: status %d", wrong, status)
		}
		d.wants(text, `role="alert"`)
		d.lacks(text, "<tbody>")
	}
	_, text, _ := b.get("/audit?from=3.03.2026")
	d.wants(text, "„3.03.2026” nie jest datą", "Wpisz na przykład 2026-03-03", `value="3.03.2026"`)
	d.furnishMany(2, 0)
	_, text, _ = b.get("/audit?partner=gminy")
	d.wants(text, "pasuje do kilku partnerów")
}

func TestAuditHasPages(t *testing.T) {
	d := open(t)
	for n := range 120 {
		_, err := d.audit.Append(t.Context(), audit.Entry{Time: d.clock(), Actor: one, Action: "hsm.sign", Subject: fmt.Sprintf("key-%d", n), Outcome: audit.Granted})
		d.must(err)
	}
	b := d.login(two)
	d.recorded("hsm.sign", 120)
	d.wants(b.at("/audit?action=hsm.sign"), ">key-119<", ">key-70<", `rel="next" href="audit?action=hsm.sign&amp;page=2"`)
	text := b.at("/audit?action=hsm.sign&page=3")
	d.wants(text, ">key-19<", ">key-0<", `rel="prev"`)
	d.lacks(text, `rel="next"`, ">key-20<")
	d.wants(b.at("/audit?action=hsm.sign&page=77"), ">key-0<")
	d.wants(b.at("/audit?action=hsm.sign&page=-4"), ">key-119<")
	d.wants(b.at("/audit?action=hsm.sign&page=999999999999"), ">key-0<")
}

// openCounted is open over a database that counts.
func openCounted(t testing.TB) *desk {
	t.Helper()
	db, counter := storetest.Counted(t, storetest.SQLite(t))
	d := prepare(t)
	d.counter = counter
	d.registry, d.audit = registrytest.OpenDB(t, db, netip.MustParsePrefix("10.64.0.0/16"), d.clock)
	d.begin()
	return d
}

// TestAChoiceLeadsBackToTheConsole: to the page on which it was made, and to no other place.
func TestAChoiceLeadsBackToTheConsole(t *testing.T) {
	d := open(t)
	b := d.login(one)
	own := b.home + "/orders?q=a&page=2"
	for back, want := range map[string]string{own: own, "https://evil.example/": b.home + "/", "//evil.example/": b.home + "/", "/login": b.home + "/",
		b.home + "x": b.home + "/", b.home + "/\r\nSet-Cookie: a=b": b.home + "/", "": b.home + "/"} {
		if status, _, header := b.post("/preferences", "theme", "dark", "back", back); status != http.StatusSeeOther || header.Get("Location") != want || header.Get("Set-Cookie") == "a=b" {
			t.Errorf("%q leads to %q", back, header.Get("Location"))
		}
	}
	b.post("/preferences", "size", "largest", "theme", "contrast")
	d.wants(b.at("/settings"), `data-theme="contrast" data-size="largest"`, `value="largest" checked`)
	b.post("/preferences", "size", `"><script>`, "theme", "none")
	d.wants(b.at("/settings"), `data-theme="contrast" data-size="largest"`)
}

// TestHugeSearches are cut: the page does not say back what it was sent.
func TestHugeSearches(t *testing.T) {
	d := open(t)
	d.submit(one, orderYAML)
	b := d.login(two)
	for _, path := range []string{"/orders?q=", "/partners?q=", "/keys?q=", "/audit?subject=", "/audit?partner=", "/uses?key=", "/orders?state=", "/expiring?q=", "/motions?q="} {
		if _, text, _ := b.get(path + strings.Repeat("z", 50_000)); strings.Contains(text, strings.Repeat("z", 201)) {
			t.Errorf("%s is said back whole", path)
		}
	}
}
