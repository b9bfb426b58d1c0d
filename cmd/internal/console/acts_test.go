package console_test

import (
	"errors"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"trustcore/cmd/internal/console"
	"trustcore/cmd/internal/registry"
	"trustcore/cmd/internal/rights"
	"trustcore/internal/problem"
)

// belongings gives the desk a key, a certificate and a tunnel of an office.
func (d *desk) belongings() {
	d.keys = []console.Key{
		{ID: "k1", Partner: "um-przykladowo", Order: "ZU-2026-001", Label: "seal", Algorithm: "P-256", State: "active", PublicKey: "aa", Mechanisms: []string{"ECDSA-SHA256"}},
		{ID: "k2", Partner: "um-przykladowo", Order: "ZU-2026-001", Label: "old", State: "suspended"}, {ID: "k3", Label: "issuing", State: "active"}}
	d.certificates = []console.Certificate{
		{Serial: "0a", Subject: "Urząd - seal", Profile: "seal", Partner: "um-przykladowo", Order: "ZU-2026-001", State: "valid", PublicKey: "aa", NotAfter: d.clock().AddDate(1, 0, 0)},
		{Serial: "0b", Subject: "Urząd - client", Profile: "partner-client", Partner: "um-przykladowo", State: "suspended", NotAfter: d.clock().AddDate(1, 0, 0), RevokedAt: d.clock()},
		{Serial: "0c", Subject: "Urząd - revoked", Profile: "seal", Partner: "um-przykladowo", State: "revoked", NotAfter: d.clock().AddDate(1, 0, 0), RevokedAt: d.clock()}}
	d.tunnels = []console.Tunnel{{Partner: "um-przykladowo", Site: "main", Order: "ZU-2026-001", Address: "10.64.0.2", State: "up",
		LastHandshake: d.clock().Add(-time.Minute), Services: []string{"registry"}, Networks: []string{"192.168.10.0/24"}, Due: []string{"key"}}}
	d.submit(one, orderYAML)
	d.must(d.registry.Approve(d.Context(), two, "ZU-2026-001"))
	d.must(d.registry.Finish(d.Context(), "ZU-2026-001", registry.Active))
}

func TestKeyCertificateTunnelPages(t *testing.T) {
	d := open(t)
	d.belongings()
	b := d.login(one)
	text := b.at("/key?id=k1")
	d.wants(text, "<h1>Key seal</h1>", "Urząd Miasta Przykładowo", "ECDSA-SHA256", `href="order?id=ZU-2026-001"`, "(in force)", "ezd", "Urząd - seal", "act=key-suspend", "act=key-rotate", `action="uses"`)
	d.lacks(text, "act=key-resume", "Urząd - revoked")
	text = b.at("/key?id=k2")
	d.wants(text, "act=key-resume")
	d.lacks(text, "act=key-suspend")
	text = b.at("/key?id=k3")
	d.wants(text, "data centre’s")
	d.lacks(text, "act=")
	text = b.at("/certificate?id=0a")
	d.wants(text, "Urząd - seal", `href="key?id=k1"`, "act=certificate-suspend", "act=certificate-revoke")
	d.lacks(text, "act=certificate-release")
	text = b.at("/certificate?id=0b")
	d.wants(text, "act=certificate-release", "act=certificate-revoke")
	d.lacks(text, "act=certificate-suspend")
	d.lacks(b.at("/certificate?id=0c"), "act=certificate")
	text = b.at("/tunnel?partner=um-przykladowo&site=main")
	d.wants(text, "10.64.0.2", "192.168.10.0/24", "registry", "act=tunnel-key", "act=tunnel-preshared", "The office is still to rotate", "the office’s key")
}

// TestActsAreConfirmed: each act has a page that says what it does; looking at it does nothing.
func TestActsAreConfirmed(t *testing.T) {
	d := open(t)
	d.belongings()
	b := d.login(one)
	for path, want := range map[string][]string{
		"act=key-suspend&id=k1":                            {"stops working at once", "“ezd” can use this key no more", "Urząd - seal", `action="keys/suspend"`, `name="id" value="k1"`, "<textarea name=\"reason\""},
		"act=key-resume&id=k2":                             {"signs again", "two-person rule", `action="keys/resume"`},
		"act=key-rotate&id=k1":                             {"new key of the same name", "two-person rule", `action="keys/rotate"`},
		"act=certificate-suspend&id=0a":                    {"counts no more", "No new valid seals", `action="certificates/suspend"`},
		"act=certificate-release&id=0b":                    {"counts again", "two-person rule", `action="certificates/release"`},
		"act=certificate-revoke&id=0b":                     {"for good", "loses its access to keys", "two-person rule", `<option value="keyCompromise">`, `action="certificates/revoke"`},
		"act=tunnel-key&id=um-przykladowo&site=main":       {"asked to rotate its key", `action="tunnels/rotate"`, `name="secret" value="key"`, `name="partner" value="um-przykladowo"`, `name="site" value="main"`},
		"act=tunnel-preshared&id=um-przykladowo&site=main": {"another pre-shared key", `name="secret" value="preshared-key"`},
	} {
		d.wants(b.at("/confirm?"+path), want...)
	}
	if status, _, _ := b.get("/confirm?act=key-suspend&id=k3"); status != http.StatusNotFound {
		t.Errorf("a key of the data centre: status %d", status)
	}
	if len(d.acted) != 0 {
		t.Errorf("looking did %q", d.acted)
	}
}

func TestActsAreDone(t *testing.T) {
	d := open(t)
	d.belongings()
	b := d.login(one)
	b.post("/keys/suspend", "id", "k1", "reason", "lost")
	d.wants(b.at("/key?id=k1"), "is suspended from now on")
	b.post("/certificates/suspend", "id", "0a")
	b.post("/tunnels/rotate", "partner", "um-przykladowo", "site", "main", "secret", "preshared-key")
	b.post("/tunnels/rotate", "partner", "um-przykladowo", "site", "main", "secret", "nonsense")
	b.post("/keys/resume", "id", "k2", "reason", "found")
	d.wants(b.at("/motions"), "waits for another officer")
	b.post("/keys/rotate", "id", "k1", "reason", "age")
	b.post("/certificates/revoke", "id", "0a", "reason", "superseded")
	b.post("/certificates/release", "id", "0b")
	want := []string{"suspend key officer-1 k1 lost", "suspend certificate officer-1 0a", "rotate officer-1 um-przykladowo main preshared-key",
		"rotate officer-1 um-przykladowo main key", "propose officer-1 key.resume k2 found", "propose officer-1 key.rotate k1 age",
		"propose officer-1 certificate.revoke 0a superseded", "propose officer-1 certificate.release 0b "}
	if !slices.Equal(d.acted, want) {
		t.Errorf("done\n%s\nwant\n%s", strings.Join(d.acted, "\n"), strings.Join(want, "\n"))
	}
	d.acted = nil
	for _, one := range [][]string{{"partner", "", "site", "main"}, {"partner", "um-przykladowo", "site", ""}, {}} {
		if status, _, _ := b.post("/tunnels/rotate", one...); status != http.StatusNotFound {
			t.Errorf("%q: status %d", one, status)
		}
	}
	if len(d.acted) != 0 {
		t.Errorf("every tunnel was asked for: %q", d.acted)
	}
}

// TestActsThatAreRefused are told in the officer's language on the page of what they were about; faults are not told.
func TestActsThatAreRefused(t *testing.T) {
	d := open(t)
	d.belongings()
	b := d.login(one)
	b.post("/preferences", "language", "pl")
	for want, err := range map[string]error{
		"Podaj powód, najwyżej 200 znaków":      problem.RefuseField(422, "reason", "say why, in at most 200 bytes: the audit log has it"),
		"W tym stanie klucza nie można":         problem.Refuse(409, "the key is pending"),
		"Wymieniono":                            nil,
		"Odczekaj minutę":                       &registry.Refusal{Reason: "it was rotated 3 seconds ago: wait a minute"},
		"Tego klucza tunelu nie można wymienić": &registry.FieldError{Field: "secret", Remedy: "none"},
		`lang="en">something &lt;new&gt;`:       problem.Refuse(409, "something <new>"),
	} {
		if err == nil {
			continue
		}
		d.actFail = err
		b.post("/keys/suspend", "id", "k1", "reason", "r")
		d.wants(b.at("/key?id=k1"), `role="alert"`, want, "Tego nie wykonano")
	}
	d.actFail = errors.New("the token is at /dev/secret")
	status, text, _ := b.post("/keys/suspend", "id", "k1", "reason", "r")
	if status != http.StatusInternalServerError {
		t.Errorf("status %d", status)
	}
	d.lacks(text, "/dev/secret")
}

// enterAs logs somebody in whose role is not an officer's.
func (d *desk) enterAs(role rights.Role, asked *[]string) (*browser, error) {
	code, err := d.console.Code(d.Context(), one, role, func(route string) bool {
		*asked = append(*asked, route)
		return rights.Allows(rights.Console, role, route)
	})
	b := d.browser()
	if err == nil {
		b.post("/login", "code", code)
	}
	return b, err
}

// TestRolesWithoutTheConsole get no code.
func TestRolesWithoutTheConsole(t *testing.T) {
	d := open(t)
	for _, role := range []rights.Role{"", rights.Office, rights.Application, rights.Gateway, rights.Verifier, rights.Dispatcher, rights.Core, "officers"} {
		if _, err := d.enterAs(role, new([]string)); err == nil {
			t.Errorf("%q gets a code", role)
		}
	}
}

// TestAuditorsReadOnly: an auditor reads every page, is offered no act, and changes nothing by any route; what is refused
// is asked of who records it.
func TestAuditorsReadOnly(t *testing.T) {
	d := open(t)
	d.belongings()
	d.submit(one, strings.NewReplacer("ZU-2026-001", "ZU-2", "application: ezd", "application: peup", "[B_HSM, P_VPN]", "[B_HSM]", "vpn_request: {site: main}\n", "").Replace(orderYAML))
	motion := d.propose(registry.RevokeCertificates, "certificates of partner um-przykladowo")
	var asked []string
	b, err := d.enterAs(rights.Auditor, &asked)
	d.must(err)
	for _, path := range []string{"/", "/orders", "/order?id=ZU-2", "/partners", "/partner?id=um-przykladowo", "/keys", "/key?id=k1", "/key?id=k2", "/certificates",
		"/certificate?id=0a", "/certificate?id=0b", "/tunnels", "/tunnel?partner=um-przykladowo&site=main", "/expiring", "/motions", "/audit", "/uses", "/settings"} {
		text := b.at(path)
		d.lacks(text, "confirm?act=", `href="submit"`, "orders/approve")
	}
	asked = nil
	for _, right := range rights.Table {
		method, path, _ := strings.Cut(right.Route, " /s/{place}")
		if right.Listener != rights.Console || slices.Contains(right.Roles, rights.Auditor) {
			continue
		}
		status, text, _ := b.send(method, path, "application/x-www-form-urlencoded",
			strings.NewReader("order=ZU-2&motion="+motion+"&id=k1&reason=r&partner=um-przykladowo&site=main"))
		if status != http.StatusForbidden || !slices.Contains(asked, right.Route) {
			t.Errorf("%s: status %d, asked for %q", right.Route, status, asked)
		}
		d.wants(text, "Your role does not allow this")
	}
	for _, act := range []string{"order-approve&id=ZU-2", "motion-approve&id=" + motion, "key-suspend&id=k1", "certificate-revoke&id=0a", "tunnel-key&id=um-przykladowo&site=main"} {
		if status, _, _ := b.get("/confirm?act=" + act); status != http.StatusForbidden {
			t.Errorf("%s is offered: status %d", act, status)
		}
	}
	if rec, err := d.registry.Order(t.Context(), "ZU-2"); err != nil || rec.State != registry.Submitted || len(d.acted) != 0 {
		t.Errorf("the order is %v, %v; done: %q", rec.State, err, d.acted)
	}
	d.motionIs(motion, registry.Submitted)
}
