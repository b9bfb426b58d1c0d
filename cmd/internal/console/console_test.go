package console_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"log/slog"
	"mime/multipart"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"

	"trustcore/cmd/internal/console"
	"trustcore/cmd/internal/registry"
	"trustcore/cmd/internal/registry/registrytest"
	"trustcore/cmd/internal/rights"
	"trustcore/internal/audit"
	"trustcore/internal/problem"
	"trustcore/internal/store/storetest"
)

const orderYAML = `
id: ZU-2026-001
kind: activation
partner: {id: um-przykladowo, name: Urząd Miasta Przykładowo}
agreement: {number: UR/12/2026, signed: 2026-01-15}
units:
  - {id: mops, name: Miejski Ośrodek Pomocy Społecznej}
components: [B_HSM, P_VPN]
vpn_request: {site: main}
hsm_authorization:
  application: ezd
  keys:
    - {name: seal, algorithm: RSA-3072, mechanisms: [RSA-PKCS1-SHA256, RSA-PSS-SHA256]}
  not_before: 2026-01-01T00:00:00Z
  not_after: 2027-01-01T00:00:00Z
`

var (
	one = audit.Actor{Kind: "officer", ID: "officer-1"}
	two = audit.Actor{Kind: "officer", ID: "officer-2"}
)

// desk is a console over a real registry and audit log, with a clock that the test moves.
type desk struct {
	testing.TB
	console  *console.Console
	registry *registry.Registry
	audit    *audit.Log
	server   *httptest.Server

	mu           sync.Mutex
	now          time.Time // guarded by mu
	keys         []console.Key
	certificates []console.Certificate
	tunnels      []console.Tunnel
	keysFail     error
	expiring     []console.Expiry
	expiringFail error
	touched      []console.Certificate // by each motion
	reason, key  string                // of each motion
	motionsFail  error
	carryFail    error
	acted        []string // what the console had done, in words
	actFail      error
	partners     []string // of each motion
	counter      *storetest.Counter
	verify       func(ctx context.Context, next func() (*console.File, error)) ([]byte, error)
}

func prepare(t testing.TB) *desk {
	t.Helper()
	return &desk{TB: t, now: time.Date(2026, 3, 3, 12, 0, 0, 0, time.UTC)}
}

func open(t testing.TB) *desk {
	t.Helper()
	d := prepare(t)
	d.registry, d.audit = registrytest.Open(t, storetest.SQLite(t), netip.MustParsePrefix("10.64.0.0/24"), d.clock)
	d.begin()
	return d
}

// begin serves the console over what was prepared.
func (d *desk) begin() {
	d.Helper()
	var err error
	d.console, err = console.New(console.Config{
		Registry: d.registry, Audit: d.audit, Now: d.clock, Logger: slog.New(slog.DiscardHandler),
		Certificates: d.certificatesOf, Keys: d.keysOf,
		Tunnels:  func(context.Context) ([]console.Tunnel, error) { return d.tunnels, nil },
		Expiring: func(context.Context) ([]console.Expiry, error) { return d.expiring, d.expiringFail },
		Motions:  console.Motions{Waiting: d.motions, Approve: d.approveMotion},
		Acts: console.Acts{SuspendKey: d.suspendKey, SuspendCertificate: d.suspendCertificate, RotateTunnel: d.rotateTunnel,
			Propose: d.proposal},
		Verify: func(ctx context.Context, next func() (*console.File, error)) ([]byte, error) {
			return d.verify(ctx, next)
		},
		EnrolmentURL: "https://core.example:8441", EnrolmentPin: strings.Repeat("ab", 32),
	})
	d.must(err)
	d.server = httptest.NewTLSServer(d.console.Handler())
	d.Cleanup(d.server.Close)
}

func (d *desk) must(err error) {
	d.Helper()
	if err != nil {
		d.Fatal(err)
	}
}

func (d *desk) clock() time.Time {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.now
}

func (d *desk) pass(by time.Duration) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.now = d.now.Add(by)
}

func (d *desk) submit(by audit.Actor, text string) {
	d.Helper()
	o, err := registry.ParseOrder([]byte(text))
	d.must(err)
	d.must(d.registry.Submit(d.Context(), by, *o))
}

func valid(string) bool { return true }

func (d *desk) certificatesOf(_ context.Context, of console.Choice) (found []console.Certificate, err error) {
	for _, x := range d.certificates {
		if (of.Partner == "" || of.Partner == x.Partner) && (of.ID == "" || of.ID == x.Serial) {
			found = append(found, x)
		}
	}
	return found, nil
}

func (d *desk) keysOf(_ context.Context, of console.Choice) (found []console.Key, err error) {
	for _, k := range d.keys {
		if (of.Partner == "" || of.Partner == k.Partner) && (of.ID == "" || of.ID == k.ID) {
			found = append(found, k)
		}
	}
	return found, d.keysFail
}

func (d *desk) act(words ...string) error {
	d.acted = append(d.acted, strings.Join(words, " "))
	return d.actFail
}

func (d *desk) suspendKey(_ context.Context, who audit.Actor, key, reason string) error {
	return d.act("suspend key", who.ID, key, reason)
}

func (d *desk) suspendCertificate(_ context.Context, who audit.Actor, serial string) error {
	return d.act("suspend certificate", who.ID, serial)
}

func (d *desk) rotateTunnel(_ context.Context, who audit.Actor, partner, site string, secret registry.Secret) error {
	return d.act("rotate", who.ID, partner, site, string(secret))
}

func (d *desk) proposal(ctx context.Context, who audit.Actor, p console.Proposal) (*registry.Motion, error) {
	if err := d.act("propose", who.ID, string(p.Kind), p.Key+p.Serial, p.Reason); err != nil {
		return nil, err
	}
	return d.registry.Propose(ctx, who, p.Kind, "keys "+p.Key+p.Serial, nil)
}

func (d *desk) code(of audit.Actor) string {
	d.Helper()
	code, err := d.console.Code(d.Context(), of, rights.Officer, valid)
	d.must(err)
	return code
}

// browser keeps cookies and does not follow redirects.
type browser struct {
	*desk
	cookies map[string]string
	header  http.Header
	home    string // path of the session's page, where all but the login lies
}

func (d *desk) browser() *browser {
	return &browser{d, map[string]string{}, http.Header{"Sec-Fetch-Site": {"same-origin"}, "Accept-Language": {"en"}}, "/s/guess"}
}

func (d *desk) login(of audit.Actor) *browser {
	d.Helper()
	b := d.browser()
	if status, _, _ := b.post("/login", "code", d.code(of)); status != http.StatusSeeOther {
		d.Fatalf("login: status %d", status)
	}
	return b
}

func (b *browser) send(method, path, contentType string, body io.Reader) (int, string, http.Header) {
	b.Helper()
	if !strings.HasPrefix(path, "/login") && !strings.HasPrefix(path, "/static") {
		path = b.home + path
	}
	request, err := http.NewRequestWithContext(b.Context(), method, b.server.URL+path, body)
	b.must(err)
	request.Header = b.header.Clone()
	if contentType != "" {
		request.Header.Set("Content-Type", contentType)
	}
	for name, value := range b.cookies {
		request.AddCookie(&http.Cookie{Name: name, Value: value})
	}
	client := b.server.Client()
	client.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	response, err := client.Do(request)
	b.must(err)
	defer response.Body.Close()
	text, err := io.ReadAll(response.Body)
	b.must(err)
	for _, c := range response.Cookies() {
		if c.Name == "__Secure-console" {
			if b.home = strings.TrimSuffix(c.Path, "/"); len(b.home) < 40 {
				b.Errorf("the session's cookie is for %q, which other daemons of the machine may have too", c.Path)
			}
		} else if c.Path != "/" || !strings.HasPrefix(c.Name, "__Host-") {
			b.Errorf("cookie %+v", c)
		}
		if !c.Secure || !c.HttpOnly || c.SameSite != http.SameSiteStrictMode || c.Domain != "" {
			b.Errorf("cookie %s is not locked down: %+v", c.Name, c)
		}
		if b.cookies[c.Name] = c.Value; c.MaxAge < 0 {
			delete(b.cookies, c.Name)
		}
	}
	return response.StatusCode, string(text), response.Header
}

func (b *browser) get(path string) (int, string, http.Header) {
	b.Helper()
	return b.send("GET", path, "", nil)
}

func (b *browser) page() string {
	b.Helper()
	return b.at("/")
}

// at returns a page that has to be there.
func (b *browser) at(path string) string {
	b.Helper()
	status, text, _ := b.get(path)
	if status != http.StatusOK {
		b.Fatalf("%s: status %d", path, status)
	}
	return text
}

// approve looks at what a decision does, and decides it.
func (b *browser) approve(what, id string) (int, string, http.Header) {
	b.Helper()
	return b.post("/"+what+"s/approve", what, id, "shown", b.shown(what, id))
}

// shown is what the page of a decision has brought back, "" where there is none to decide.
func (b *browser) shown(what, id string) string {
	b.Helper()
	_, text, _ := b.get("/confirm?act=" + what + "-approve&id=" + url.QueryEscape(id))
	_, after, _ := strings.Cut(text, `name="shown" value="`)
	shown, _, _ := strings.Cut(after, `"`)
	return shown
}

func (b *browser) post(path string, pairs ...string) (int, string, http.Header) {
	b.Helper()
	form := url.Values{}
	for i := 0; i < len(pairs); i += 2 {
		form.Set(pairs[i], pairs[i+1])
	}
	return b.send("POST", path, "application/x-www-form-urlencoded", strings.NewReader(form.Encode()))
}

func (d *desk) wants(text string, parts ...string) {
	d.Helper()
	for _, part := range parts {
		if !strings.Contains(text, part) {
			d.Errorf("%q is not in\n%s", part, text)
		}
	}
}

func (d *desk) lacks(text string, parts ...string) {
	d.Helper()
	for _, part := range parts {
		if strings.Contains(text, part) {
			d.Errorf("%q should not be in\n%s", part, text)
		}
	}
}

// recorded returns outcomes of an action as "actor outcome reason", oldest first.
func (d *desk) recorded(action string, n int) []string {
	d.Helper()
	for d.Context().Err() == nil {
		entries, err := d.audit.List(d.Context(), audit.Filter{Action: action})
		if err != nil && !strings.Contains(err.Error(), "no checkpoint") {
			d.Fatal(err)
		}
		if len(entries) >= n {
			var all []string
			for _, e := range entries {
				all = append(all, strings.TrimSpace(e.Actor.ID+" "+e.Outcome+" "+e.Reason))
			}
			return all
		}
		time.Sleep(10 * time.Millisecond) // a reader sees what the newest checkpoint covers
	}
	return nil
}

func TestLoginWorksOnce(t *testing.T) {
	d := open(t)
	code := d.code(one)
	b := d.browser()
	for range 2 { // looking at the link does not burn it
		_, text, _ := b.get("/login?code=" + code)
		d.wants(text, `value="`+code+`"`, "Log in")
	}
	status, _, header := b.post("/login", "code", code)
	if status != http.StatusSeeOther || header.Get("Location") != b.home+"/" {
		t.Fatalf("status %d, to %q", status, header.Get("Location"))
	}
	d.wants(b.page(), "officer-1")
	status, text, _ := d.browser().post("/login", "code", code)
	if status != http.StatusForbidden {
		t.Errorf("a used code: status %d", status)
	}
	d.wants(text, "was used already")
	if got := d.recorded("console.login", 2); got[0] != "officer-1 granted" || got[1] != "unknown refused the code is unknown, used or void" {
		t.Errorf("audit log: %q", got)
	}
}

func TestLoginRefusals(t *testing.T) {
	d := open(t)
	expired := d.code(one)
	d.pass(2*time.Minute + time.Second)
	replaced := d.code(two)
	d.code(two)
	withdrawn, err := d.console.Code(t.Context(), one, rights.Officer, func(string) bool { return false })
	d.must(err)
	for name, c := range map[string]struct{ code, says string }{
		"wrong": {"guess", "unknown"}, "empty": {"", "unknown"}, "replaced": {replaced, "unknown"}, "revoked": {withdrawn, "does not hold any more"},
		"expired": {expired, "unknown"}, // the officer's next code swept it away
	} {
		b := d.browser()
		status, text, _ := b.post("/login", "code", c.code)
		if status != http.StatusForbidden || len(b.cookies) != 0 {
			t.Errorf("%s: status %d, cookies %v", name, status, b.cookies)
		}
		d.wants(text, c.says)
	}
	late := d.code(one)
	d.pass(2*time.Minute + time.Second)
	_, text, _ := d.browser().post("/login", "code", late)
	d.wants(text, "has expired")
	if _, err := d.console.Code(t.Context(), audit.Actor{Kind: "partner", ID: "um-przykladowo"}, rights.Office, valid); err == nil {
		t.Error("a partner got a code")
	}
}

// TestGuessesKeepNobodyOut guesses more than is recorded: an officer with a right code enters all the same.
func TestGuessesKeepNobodyOut(t *testing.T) {
	d := open(t)
	b := d.browser()
	for range 10 {
		b.post("/login", "code", "guess")
	}
	if status, _, header := b.post("/login", "code", "guess"); status != http.StatusTooManyRequests || header.Get("Retry-After") == "" {
		t.Errorf("after ten guesses: status %d", status)
	}
	if status, _, _ := b.post("/login", "code", d.code(one)); status != http.StatusSeeOther {
		t.Errorf("a right code after ten guesses: status %d", status)
	}
	d.pass(time.Minute)
	if status, _, _ := b.post("/login", "code", "guess"); status != http.StatusForbidden {
		t.Errorf("a minute later: status %d", status)
	}
}

// TestEverythingNeedsASession walks all addresses but the login and the files of the page.
func TestEverythingNeedsASession(t *testing.T) {
	d := open(t)
	for _, right := range rights.Table {
		if right.Listener != rights.Console {
			continue
		}
		path := strings.NewReplacer("/s/{place}", "", "{$}", "").Replace(right.Route)
		method, path, _ := strings.Cut(path, " ")
		b := d.browser()
		b.cookies["__Secure-console"] = "guess"
		status, text, header := b.send(method, path, "", nil)
		if status != http.StatusSeeOther || header.Get("Location") != "/login" || strings.Contains(text, "officer") {
			t.Errorf("%s %s: status %d, to %q", method, path, status, header.Get("Location"))
		}
		b.header.Set("HX-Request", "true")
		if status, _, header := b.send(method, path, "", nil); status != http.StatusUnauthorized || header.Get("HX-Redirect") != "/login" {
			t.Errorf("%s %s by the script: status %d", method, path, status)
		}
	}
}

func TestSessionsEnd(t *testing.T) {
	d := open(t)
	ended := func(b *browser) bool { s, _, _ := b.get("/"); return s != http.StatusOK }

	idle := d.login(one)
	d.pass(20 * time.Minute)
	idle.header.Set("HX-Request", "true")
	idle.get("/tunnels") // refreshes by itself: not the officer's doing
	d.pass(11 * time.Minute)
	if !ended(idle) {
		t.Error("an idle session lives on")
	}
	busy := d.login(one)
	for range 23 {
		if d.pass(20 * time.Minute); ended(busy) {
			t.Fatal("a session ends before its 8 hours")
		}
	}
	if d.pass(21 * time.Minute); !ended(busy) {
		t.Error("a session lives longer than 8 hours")
	}
	elsewhere := d.login(one)
	elsewhere.home = "/s/another"
	if !ended(elsewhere) {
		t.Error("a session works below another path than its own")
	}
	holds := true
	code, err := d.console.Code(t.Context(), one, rights.Officer, func(string) bool { return holds })
	d.must(err)
	revoked := d.browser()
	revoked.post("/login", "code", code)
	if holds = false; !ended(revoked) {
		t.Error("a session outlives its officer's certificate")
	}
	left := d.login(two)
	token := left.cookies["__Secure-console"]
	if _, _, header := left.post("/logout"); header.Get("Location") != "/login" || left.cookies["__Secure-console"] != "" {
		t.Errorf("logout: to %q, cookies %v", header.Get("Location"), left.cookies)
	}
	if left.cookies["__Secure-console"] = token; !ended(left) {
		t.Error("the session outlives the logout")
	}
	if got := d.recorded("console.logout", 1); got[0] != "officer-2 granted" {
		t.Errorf("audit log: %q", got)
	}
}

func TestSubmitterCannotApprove(t *testing.T) {
	d := open(t)
	d.submit(one, orderYAML)
	b := d.login(one)
	text := b.page()
	d.wants(text, "You submitted this order, so another officer must approve it", "<button disabled")
	d.lacks(text, `confirm?act=order-approve`)

	b.approve("order", "ZU-2026-001") // as if the button were there
	text = b.page()
	d.wants(text, "was submitted by you", `role="alert"`)
	d.lacks(b.page(), `role="alert"`) // told once
	if rec, err := d.registry.Order(t.Context(), "ZU-2026-001"); err != nil || rec.State != registry.Submitted {
		t.Errorf("the order is %v, %v", rec.State, err)
	}
	if got := d.recorded("order.approve", 1); !strings.HasPrefix(got[0], "officer-1 refused") {
		t.Errorf("audit log: %q", got)
	}
}

func TestAnotherOfficerApproves(t *testing.T) {
	d := open(t)
	d.submit(one, orderYAML)
	b := d.login(two)
	text := b.page()
	d.wants(text, "switches on", "<b>B_HSM</b>", "<b>P_VPN</b>", "new key seal", "RSA-3072 (RSA-PKCS1-SHA256, RSA-PSS-SHA256)",
		"site: main", "Miejski Ośrodek Pomocy Społecznej", "UR/12/2026", "submitted by officer-1", `confirm?act=order-approve&amp;id=ZU-2026-001`)
	if status, _, header := b.approve("order", "ZU-2026-001"); status != http.StatusSeeOther || header.Get("Location") != b.home+"/order?id=ZU-2026-001#notice" {
		t.Fatalf("status %d, to %q", status, header.Get("Location"))
	}
	text = b.page()
	command := "trustlink enrol --url https://core.example:8441 --pin " + strings.Repeat("ab", 32) + " --token -<"
	d.wants(text, command, "shown only now", "Waits for the office to enrol", "Urząd Miasta Przykładowo", "Nothing waits for a decision", `hx-select="#running"`)
	_, after, _ := strings.Cut(text, `id="token">`)
	token, _, _ := strings.Cut(after, "<")
	if len(token) < 30 {
		t.Fatalf("the token is %q", token)
	}
	d.lacks(b.page(), token) // once

	b.post("/orders/token", "order", "ZU-2026-001")
	d.wants(b.page(), "The former token is void", command)
	if _, err := d.registry.Enrol(t.Context(), token, registry.Enrolment{PublicKey: "YWFhYWFhYWFhYWFhYWFhYWFhYWFhYWFhYWFhYWFhYWE=", CSR: "csr"}); err == nil {
		t.Error("the former token still works")
	}
	b.approve("order", "ZU-2026-001")
	d.wants(b.page(), "The rules do not allow this", "only a submitted order can be approved")
	b.approve("order", "no-such")
	d.wants(b.page(), "order no-such is not there")
}

func TestRejectNeedsAReason(t *testing.T) {
	d := open(t)
	d.submit(one, orderYAML)
	b := d.login(two)
	b.post("/orders/reject", "order", "ZU-2026-001", "reason", "  ")
	d.wants(b.page(), "Say why order ZU-2026-001 is rejected")
	b.post("/orders/reject", "order", "ZU-2026-001", "reason", "the agreement <b>ended</b>")
	d.wants(b.at("/order?id=ZU-2026-001"), "is rejected", "the agreement &lt;b&gt;ended&lt;/b&gt;", "Rejected by", "officer-2")
}

// TestChangeOrder shows what a change order takes away before anyone decides.
func TestChangeOrder(t *testing.T) {
	d := open(t)
	d.submit(one, orderYAML)
	d.must(d.registry.Approve(t.Context(), two, "ZU-2026-001"))
	d.must(d.registry.Finish(t.Context(), "ZU-2026-001", registry.Active))
	d.keys = []console.Key{{ID: strings.Repeat("0f", 16), Label: "seal-key", Order: "ZU-2026-001", Partner: "um-przykladowo", Algorithm: "RSA-3072", State: "active", NeverExtractable: true}}
	d.tunnels = []console.Tunnel{{Partner: "um-przykladowo", Site: "main", Order: "ZU-2026-001", Address: "10.64.0.2", State: "up", Received: 4096}}
	d.certificates = []console.Certificate{
		{Serial: "01", Subject: "seal certificate", Profile: "seal", Order: "ZU-2026-001", State: "valid", NotAfter: d.clock().Add(24 * time.Hour)},
		{Serial: "02", Subject: "client certificate", Profile: "partner-client", Order: "ZU-2026-001", State: "valid", NotAfter: d.clock().Add(9000 * time.Hour)},
	}
	b := d.login(two)
	change := "id: ZZ-1\nkind: change\npartner: {id: um-przykladowo}\ncomponents: [B_HSM]\n"
	d.submit(one, change)
	text := b.page()
	d.wants(text, "switches off", "unchanged", "by order ZU-2026-001", "key seal-key (RSA-3072): use blocked", "certificate “seal certificate”: revoked")
	d.lacks(text, "closed", "client certificate”: revoked") // the tunnel still needs it
	d.must(d.registry.Reject(t.Context(), two, "ZZ-1", "too little"))
	d.submit(one, strings.NewReplacer("ZZ-1", "ZZ-2", "[B_HSM]", "[B_HSM, P_VPN]").Replace(change))
	d.wants(b.page(), "tunnel main (10.64.0.2): closed", "certificate “client certificate”: revoked")
	b.approve("order", "ZZ-2")
	text = b.page()
	d.wants(text, "Order ZZ-2 is approved")
	d.lacks(text, "trustlink enrol")
}

// TestRenewalOrder shows what an order takes over, how long each key lives, and the way to a token when it waits for the
// office all the same.
func TestRenewalOrder(t *testing.T) {
	d := open(t)
	d.submit(one, orderYAML)
	d.must(d.registry.Approve(t.Context(), two, "ZU-2026-001"))
	d.must(d.registry.Finish(t.Context(), "ZU-2026-001", registry.Active))
	b := d.login(two)
	d.submit(one, strings.NewReplacer("id: ZU-2026-001", "id: ZU-2\nrenews: ZU-2026-001",
		"RSA-PSS-SHA256]}", "RSA-PSS-SHA256], not_after: 2027-06-30T00:00:00Z}", "not_after: 2027-01-01", "not_after: 2028-01-01").Replace(orderYAML))
	d.wants(b.page(), "renews order ZU-2026-001", "until <time", "2027-06-30")
	b.approve("order", "ZU-2")
	d.lacks(b.page(), `act=order-token`)
	d.must(d.registry.Waiting(t.Context(), "ZU-2", registry.WaitsForOffice))
	d.wants(b.page(), `act=order-token`, "Waits for the office to enrol")

	d.submit(one, "id: ZZ-1\nkind: change\npartner: {id: um-przykladowo}\ncomponents: [B_HSM]\napplication: ezd\n")
	d.wants(b.page(), "for the system ezd alone")
}

// TestChangeOfOneApplication shows that another application keeps what is its own, and that what a renewed order brought goes too.
func TestChangeOfOneApplication(t *testing.T) {
	d := open(t)
	active := func(order string) {
		id := strings.Fields(order)[1]
		d.submit(one, order)
		d.must(d.registry.Approve(t.Context(), two, id))
		d.must(d.registry.Finish(t.Context(), id, registry.Active))
	}
	active(orderYAML)
	active(strings.NewReplacer("id: ZU-2026-001", "id: ZU-2\nrenews: ZU-2026-001").Replace(orderYAML))
	active(strings.NewReplacer("id: ZU-2026-001", "id: ZU-3", "components: [B_HSM, P_VPN]", "components: [B_HSM]",
		"application: ezd", "application: peup", "vpn_request: {site: main}\n", "", "name: seal", "name: other").Replace(orderYAML))
	for order, name := range map[string]string{"ZU-2026-001": "first", "ZU-3": "other"} {
		d.keys = append(d.keys, console.Key{ID: strings.Repeat("0f", 16), Label: name + "-key", Order: order, Partner: "um-przykladowo", State: "active"})
		for _, profile := range []string{"seal", "partner-client"} {
			d.certificates = append(d.certificates, console.Certificate{Serial: order + profile, Subject: name + " " + profile, Profile: profile, Order: order,
				State: "valid", NotAfter: d.clock().Add(9000 * time.Hour)})
		}
	}
	d.submit(one, "id: ZZ-1\nkind: change\npartner: {id: um-przykladowo}\ncomponents: [B_HSM]\napplication: ezd\n")
	text := d.login(two).page()
	d.wants(text, "for the system ezd alone", "key first-key", "certificate “first seal”: revoked", "by order ZU-2<", "by order ZU-3<", "for the system peup")
	d.lacks(text, "key other-key (", "“other seal”: revoked", "“other partner-client”: revoked", "“first partner-client”: revoked")
}

func TestCrossOriginRequestsAreRefused(t *testing.T) {
	d := open(t)
	d.submit(one, orderYAML)
	for _, site := range []http.Header{
		{"Sec-Fetch-Site": {"cross-site"}}, {"Sec-Fetch-Site": {"same-site"}}, // another port of this machine is the same site
		{"Origin": {"https://evil.example"}}, {"Origin": {"null"}},
	} {
		b := d.login(two)
		b.header = site
		if status, _, _ := b.approve("order", "ZU-2026-001"); status != http.StatusForbidden {
			t.Errorf("%v: status %d", site, status)
		}
		if status, _, _ := b.post("/login", "code", d.code(one)); status != http.StatusForbidden {
			t.Errorf("%v: login has status %d", site, status)
		}
	}
	if rec, err := d.registry.Order(t.Context(), "ZU-2026-001"); err != nil || rec.State != registry.Submitted {
		t.Errorf("the order is %v, %v", rec.State, err)
	}
}

func TestHeadersAndFiles(t *testing.T) {
	d := open(t)
	b := d.login(one)
	_, text, header := b.get("/")
	csp := header.Get("Content-Security-Policy")
	d.wants(csp, "default-src 'none'", "script-src 'self'", "style-src 'self'", "frame-ancestors 'none'", "form-action 'self'")
	d.lacks(csp, "unsafe", "http:", "https:", "*")
	d.lacks(text, "<style", " style=", "onclick=", "http://", "//cdn")
	if header.Get("X-Content-Type-Options") != "nosniff" || header.Get("Cache-Control") != "no-store" || header.Get("Content-Language") != "en" {
		t.Errorf("headers: %v", header)
	}
	for _, name := range []string{"console.css", "console.js", "htmx.min.js", "icon.svg"} {
		_, after, found := strings.Cut(text, `"/static/`+name)
		version, _, _ := strings.Cut(after, `"`)
		status, content, header := d.browser().get("/static/" + name + version)
		if !found || status != http.StatusOK || content == "" || !strings.Contains(header.Get("Cache-Control"), "immutable") {
			t.Errorf("%s: status %d, %v", name, status, header)
		}
	}
	for _, path := range []string{"/static/", "/static/x/console.css", "/static/../console.go", "/nothing"} {
		if status, _, _ := b.get(path); status == http.StatusOK {
			t.Errorf("%s is served", path)
		}
	}
}

func TestBothLanguages(t *testing.T) {
	d := open(t)
	d.submit(one, orderYAML)
	b := d.login(two)
	for header, want := range map[string]string{"": "pl", "en": "en", "en-GB,pl;q=0.5": "en", "pl-PL": "pl", "de, fr": "pl", "%%%": "pl"} {
		b.header.Set("Accept-Language", header)
		d.wants(b.page(), `<html lang="`+want+`"`)
	}
	b.header.Set("Accept-Language", "en")
	b.post("/preferences", "language", "pl", "theme", "dark")
	text := b.page()
	d.wants(text, `<html lang="pl" data-theme="dark"`, "sprawa czeka na decyzję", "Zatwierdź ZU-2026-001", "włącza")
	d.lacks(text, "<no value>", "switches on")
	b.post("/preferences", "language", "xx", "theme", `"><script>`)
	d.wants(b.page(), `<html lang="pl" data-theme="dark"`)

	stranger := d.browser()
	_, text, _ = stranger.get("/login?code=x&language=pl")
	d.wants(text, `<html lang="pl"`, "jednorazowym")
	stranger.post("/login", "code", d.code(one), "language", "pl")
	d.wants(stranger.page(), `<html lang="pl"`)
}

func TestNamesAreEscaped(t *testing.T) {
	d := open(t)
	evil := `<script>alert(1)</script>`
	d.submit(one, strings.ReplaceAll(orderYAML, "Urząd Miasta Przykładowo", `"`+evil+`"`))
	d.keys = []console.Key{{ID: evil, Label: evil, Algorithm: evil, State: evil, Partner: evil}}
	d.certificates = []console.Certificate{{Serial: evil, Subject: evil, Profile: evil, State: evil}}
	d.expiring = []console.Expiry{{Kind: evil, Subject: evil, Partner: evil, Order: evil, Remedy: evil, Failure: evil, Act: true}}
	_, err := d.registry.Propose(t.Context(), one, registry.CertifyOfficer, evil, nil)
	d.must(err)
	d.touched = d.certificates
	d.tunnels = []console.Tunnel{{Partner: evil, Site: evil, State: evil, Address: evil}}
	b := d.login(two)
	e := url.QueryEscape(evil)
	for path, shown := range map[string]bool{"/": true, "/orders": true, "/keys": true, "/certificates": true, "/tunnels": true, "/expiring": true,
		"/motions": true, "/order?id=ZU-2026-001": true, "/key?id=" + e: true, "/certificate?id=" + e: true,
		"/tunnel?partner=" + e + "&site=" + e: true, "/confirm?act=order-approve&id=ZU-2026-001": true, "/confirm?act=key-suspend&id=" + e: true,
		"/confirm?act=certificate-revoke&id=" + e: true, "/confirm?act=tunnel-key&id=" + e + "&site=" + e: true,
		"/keys?q=" + e: true, "/partners?q=" + e: true, "/audit?from=" + e + "&partner=" + e + "&actor=" + e: true, "/uses?key=" + e: true,
		"/partner?id=" + e: false, "/nothing/" + e: false} {
		_, text, _ := b.get(path)
		if d.lacks(text, evil, "<script>"); shown {
			d.wants(text, "alert(1)")
		}
	}
	b.approve("order", "ZU-2026-001")
	for _, path := range []string{"/", "/partners", "/partner?id=um-przykladowo", "/orders"} {
		text := b.at(path)
		d.wants(text, "alert(1)")
		d.lacks(text, evil)
	}
}

func TestAPartThatFailsIsSaid(t *testing.T) {
	d := open(t)
	d.keysFail = errors.New("token is gone")
	text := d.login(one).page()
	d.wants(text, "<b>?</b> keys active")
	b := d.login(one)
	d.wants(b.at("/keys"), "These facts can&#39;t be read now")
	d.wants(b.at("/tunnels"), "There are no tunnels")
	d.lacks(b.at("/keys"), "token is gone", "holds no keys")
	d.lacks(text, "token is gone")
}

func TestAuditFilter(t *testing.T) {
	d := open(t)
	d.submit(one, orderYAML)
	d.pass(24 * time.Hour)
	b := d.login(two)
	d.recorded("console.login", 1)
	text := b.at("/audit")
	d.wants(text, "order submitted", "login to the console", "Entries, newest first: 1 to 3")
	text = b.at("/audit?partner=przykladowo&actor=officer-1") // no partner yet: what is written is taken for an id
	d.wants(text, "No entry fits the filter", `value="przykladowo"`)
	d.must(d.registry.Approve(t.Context(), two, "ZU-2026-001"))
	d.recorded("order.approve", 1)
	rows := func(text string) string {
		_, table, _ := strings.Cut(text, "<tbody>")
		table, _, _ = strings.Cut(table, "</tbody>")
		return table
	}
	text = rows(b.at("/audit?partner=" + url.QueryEscape("urzad miasta PRZYKŁADOWO") + "&actor=officer-1"))
	d.wants(text, "order submitted", `href="partner?id=um-przykladowo">Urząd Miasta Przykładowo`)
	d.lacks(text, "login to the console", "order approved")
	text = rows(b.at("/audit?from=2026-03-04&to=2026-03-04&subject=console"))
	d.wants(text, "login to the console")
	d.lacks(text, "order submitted")
	d.wants(rows(b.at("/audit?action=order.approve&order=ZU-2026-001")), "order approved")
	d.wants(b.at("/audit?from=2026-03-02&to=2026-03-02"), "No entry fits the filter")
}

// form makes a request body of files: field, name and content each.
func form(t testing.TB, files ...[3]string) (contentType string, body *bytes.Buffer) {
	t.Helper()
	body = &bytes.Buffer{}
	w := multipart.NewWriter(body)
	for _, f := range files {
		part, err := w.CreateFormFile(f[0], f[1])
		if err == nil {
			_, err = part.Write([]byte(f[2]))
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return w.FormDataContentType(), body
}

func report(indication, en, pl string) []byte {
	data, _ := json.Marshal(map[string]any{"sha256": strings.Repeat("0", 64), "signatures": []any{map[string]any{
		"indication": indication, "sub_indication": nil, "sentence": map[string]string{"en": en, "pl": pl}, "kind": "qualified",
		"signer": map[string]string{"given_name": "Jan", "surname": "Kowalski"}, "reasons": []string{"because"}, "references_intact": true,
	}}})
	return data
}

func TestDocuments(t *testing.T) {
	d := open(t)
	var seen []string
	d.verify = func(_ context.Context, next func() (*console.File, error)) ([]byte, error) {
		var files []string
		for {
			f, err := next()
			if err == io.EOF {
				break
			}
			if err != nil {
				return nil, err
			}
			content, err := io.ReadAll(f.Body)
			if err != nil {
				return nil, err
			}
			files = append(files, f.Name+"="+string(content))
		}
		seen = append(seen, strings.Join(files, "+"))
		switch {
		case strings.HasPrefix(files[0], "good"):
			return report("TOTAL-PASSED", "The signature is <valid>.", "Podpis jest ważny."), nil
		case strings.HasPrefix(files[0], "unsigned"):
			return []byte(`{"signatures":[]}`), nil
		case strings.HasPrefix(files[0], "nonsense"):
			return []byte(`<html>`), nil
		}
		return nil, problem.Refuse(http.StatusUnprocessableEntity, "neither <this> nor that")
	}
	b := d.login(one)
	contentType, body := form(t, [3]string{"document", "", ""}, [3]string{"document", "good\u202e.pdf", "1"}, [3]string{"document", "bad.bin", "2"},
		[3]string{"document", "unsigned.txt", "3"}, [3]string{"document", "nonsense", "4"}, [3]string{"document", "good.p7s", "5"}, [3]string{"signed", "a.txt", "6"}, [3]string{"signed", "b.txt", "7"})
	status, text, _ := b.send("POST", "/documents", contentType, body)
	if status != http.StatusOK {
		t.Errorf("status %d", status)
	}
	if got := strings.Join(seen, "; "); got != "good\u202e.pdf=1; bad.bin=2; unsigned.txt=3; nonsense=4; good.p7s=5+a.txt=6+b.txt=7" {
		t.Errorf("the service got %q", got)
	}
	d.wants(text, "<html", "The signature is &lt;valid&gt;.", "good.pdf", "Jan Kowalski", "can&#39;t be verified", "neither &lt;this&gt; nor that",
		"holds no electronic signature", "does not answer", "qualified electronic signature")

	b.post("/preferences", "language", "pl")
	b.header.Set("HX-Request", "true")
	contentType, body = form(t, [3]string{"document", "good.pdf", "1"})
	_, text, _ = b.send("POST", "/documents", contentType, body)
	d.wants(text, "Podpis jest ważny.", "Integralność")
	d.lacks(text, "<html")
	_, text, _ = b.post("/documents")
	d.wants(text, "Nie wybrano żadnego pliku")
}

// TestAnUnwillingServiceEndsTheWalk: a service that refuses without reading does not hold the request up.
func TestAnUnwillingServiceEndsTheWalk(t *testing.T) {
	d := open(t)
	asked := 0
	d.verify = func(context.Context, func() (*console.File, error)) ([]byte, error) {
		asked++
		return nil, errors.New("connection refused")
	}
	contentType, body := form(t, [3]string{"document", "a", "1"}, [3]string{"signed", "b", "1"}, [3]string{"document", "c", "1"})
	_, text, _ := d.login(one).send("POST", "/documents", contentType, body)
	if asked != 2 || strings.Count(text, "does not answer") != 2 {
		t.Errorf("asked %d times\n%s", asked, text)
	}
}
