package main

import (
	"cmp"
	"crypto/tls"
	"io"
	"net/http"
	"net/http/cookiejar"
	"net/url"
	"strings"
	"testing"

	"trustcore/cmd/internal/console"
	"trustcore/cmd/internal/registry"
	"trustcore/hsm"
	"trustcore/internal/audit"
	"trustcore/pki"
)

// desk is an officer in the console of a whole trustd.
type desk struct {
	*world
	client *http.Client
	home   string
}

// enter logs an officer in by the link that the admin interface gives.
func (w *world) enter(officer string) *desk {
	w.t.Helper()
	jar, err := cookiejar.New(nil)
	w.must(err)
	transport := &http.Transport{TLSClientConfig: &tls.Config{InsecureSkipVerify: true}} // the page's certificate is not what is tested
	w.t.Cleanup(transport.CloseIdleConnections)
	d := &desk{w, &http.Client{Transport: transport, Jar: jar}, ""}
	var link struct{ URL string }
	w.as(officer, "POST", "/v1/console/logins", nil, 200, &link)
	_, code, _ := strings.Cut(link.URL, "code=")
	response, err := d.client.PostForm(w.url("console")+"/login", url.Values{"code": {code}, "language": {"en"}})
	w.must(err)
	_ = response.Body.Close()
	if d.home = response.Request.URL.Path; !strings.HasPrefix(d.home, "/s/") || response.StatusCode != http.StatusOK {
		w.t.Fatalf("the login leads to %s: %d", d.home, response.StatusCode)
	}
	return d
}

func (d *desk) read(response *http.Response, err error) (int, string) {
	d.t.Helper()
	d.must(err)
	defer response.Body.Close()
	text, err := io.ReadAll(response.Body)
	d.must(err)
	return response.StatusCode, string(text)
}

func (d *desk) get(path string) (int, string) {
	d.t.Helper()
	return d.read(d.client.Get(d.url("console") + d.home + path))
}

// approve looks at what a decision does, and decides it.
func (d *desk) approve(what, id string) (int, string) {
	d.t.Helper()
	_, text := d.get("confirm?act=" + what + "-approve&id=" + url.QueryEscape(id))
	_, after, _ := strings.Cut(text, `name="shown" value="`)
	shown, _, _ := strings.Cut(after, `"`)
	return d.post(what+"s/approve", what, id, "shown", shown)
}

func (d *desk) post(path string, pairs ...string) (int, string) {
	d.t.Helper()
	form := url.Values{}
	for i := 0; i < len(pairs); i += 2 {
		form.Set(pairs[i], pairs[i+1])
	}
	return d.read(d.client.PostForm(d.url("console")+d.home+path, form))
}

func (d *desk) wants(text string, parts ...string) {
	d.t.Helper()
	for _, part := range parts {
		if !strings.Contains(text, part) {
			d.t.Errorf("%q is not in\n%s", part, text)
		}
	}
}

// TestConsoleActs does with a key and certificates what the console offers, over the real HSM and authority, and looks at
// what became of them and at the audit log.
func TestConsoleActs(t *testing.T) {
	w := newWorld(t, nil)
	first, second := w.enter("officer-1"), w.enter("officer-2")
	p, err := w.custody.HSM.Partition("um-przykladowo")
	w.must(err)
	made, err := p.Ensure(t.Context(), audit.Actor{Kind: "daemon", ID: "trustd"}, "ZU-1", []hsm.KeySpec{specOf(registry.HSMKey{Name: "seal", Algorithm: "P-256", Mechanisms: []string{"ECDSA-SHA256"}})})
	w.must(err)
	id := made[0].ID

	_, text := first.get("key?id=" + id)
	first.wants(text, "<h1>Key seal</h1>", "um-przykladowo", "ECDSA-SHA256", "act=key-suspend")
	_, text = first.get("confirm?act=key-suspend&id=" + id)
	first.wants(text, "stops working at once", `action="keys/suspend"`)
	_, text = first.post("keys/suspend", "id", id, "reason", "  ")
	first.wants(text, `role="alert"`, "Say why")
	_, text = first.post("keys/suspend", "id", id, "reason", "a laptop is gone")
	first.wants(text, "The key is suspended from now on")
	if k, err := w.custody.HSM.Key(t.Context(), id); err != nil || k.State != hsm.Suspended {
		t.Errorf("the key is %v, %v", k.State, err)
	}
	_, text = first.post("keys/suspend", "id", "no such", "reason", "r")
	first.wants(text, "There is no such page") // on the page of a key that is not there
	_, text = second.post("keys/resume", "id", id, "reason", "found again")
	second.wants(text, "No order in force gives this key")

	serial := w.serial("ezd")
	_, text = first.get("certificate?id=" + serial)
	first.wants(text, "ezd", "act=certificate-revoke", "act=certificate-suspend")
	_, text = first.get("confirm?act=certificate-revoke&id=" + serial)
	first.wants(text, "This can’t be undone", "connects no more", "This files a motion")
	_, text = first.post("certificates/suspend", "id", serial)
	first.wants(text, "The certificate is suspended from now on")
	if w.lives("ezd") {
		t.Error("a suspended certificate opens doors")
	}
	_, text = first.post("certificates/revoke", "id", serial, "reason", "because")
	first.wants(text, "Choose a reason of the list")
	_, text = first.post("certificates/revoke", "id", serial, "reason", "superseded")
	first.wants(text, "waits for another officer", "You proposed this motion")
	open, err := w.registry.OpenMotions(t.Context())
	if err != nil || len(open) != 1 || open[0].Kind != registry.RevokeCertificates || open[0].ProposedBy != "officer-1" {
		t.Fatalf("motions %+v, %v", open, err)
	}
	_, text = first.approve("motion", open[0].ID)
	first.wants(text, "was proposed by you")
	_, text = second.approve("motion", open[0].ID)
	second.wants(text, "is approved and carried out")
	_, text = second.get("certificate?id=" + serial)
	second.wants(text, "revoked")

	_, text = first.post("tunnels/rotate", "partner", "um-przykladowo", "site", "main", "secret", "key")
	first.wants(text, "There is no such page")
	if err := w.askOffice(t.Context(), audit.Actor{Kind: "officer", ID: "officer-1"}, "", "main", registry.OfficeKey); err == nil {
		t.Error("a tunnel of every partner is asked for")
	}
	if _, err := w.proposeOne(t.Context(), audit.Actor{Kind: "officer", ID: "officer-1"}, console.Proposal{Kind: registry.DestroyKeys, Key: id, Reason: "r"}); err == nil {
		t.Error("the console proposes to destroy a key")
	}
	w.recordedAs(t, "hsm.key.suspend", "officer-1", "a laptop is gone")
	w.recordedAs(t, "motion.approve", "officer-2", "")
}

// recordedAs finds a granted act in the audit log.
func (w *world) recordedAs(t *testing.T, action, officer, reason string) {
	t.Helper()
	found, err := w.custody.Audit.List(t.Context(), audit.Filter{Action: action, Actor: officer})
	w.must(err)
	for _, e := range found {
		if e.Outcome == audit.Granted && cmp.Or(e.Reason, e.Details["reason"]) == reason {
			return
		}
	}
	t.Errorf("no %s by %s for %q among %+v", action, officer, reason, found)
}

// TestConsoleSubmitsOrders takes an order file through the console from the draft to the approval.
func TestConsoleSubmitsOrders(t *testing.T) {
	w := newWorld(t, nil)
	first, second := w.enter("officer-1"), w.enter("officer-2")
	order := "id: ZU/7/2026\nkind: activation\npartner: {id: ug-nowe, name: Urząd Gminy Nowe}\nagreement: {number: UR/7/2026, signed: 2026-01-15}\ncomponents: [B_PeUP]\n"
	status, text := first.post("orders/submit", "file", order)
	first.wants(text, "Order ZU/7/2026 is submitted", "Urząd Gminy Nowe")
	if status != http.StatusOK {
		t.Errorf("status %d", status)
	}
	if status, text = first.post("orders/submit", "file", order); status != http.StatusUnprocessableEntity {
		t.Errorf("the same number again: status %d", status)
	}
	first.wants(text, "Give the order another number")
	_, text = second.approve("order", "ZU/7/2026")
	second.wants(text, "is approved and being carried out")
	w.recordedAs(t, "order.submit", "officer-1", "")
	w.recordedAs(t, "order.approve", "officer-2", "")
}

// TestAuditorsInTheConsole: two officers make an auditor, who enters, reads, and is refused what changes anything; the
// refusal is on record. An auditor's certificate opens none of an officer's routes.
func TestAuditorsInTheConsole(t *testing.T) {
	w := newWorld(t, nil)
	_, csr := w.request("auditor-2")
	var m registry.Motion
	w.as("officer-1", "POST", "/v1/motions", map[string]any{"kind": "officer.certify", "name": "auditor-2", "csr": csr, "as": "seal"}, 422, nil)
	w.as("officer-1", "POST", "/v1/motions", map[string]any{"kind": "officer.certify", "name": "auditor-2", "csr": csr, "as": "auditor"}, 200, &m)
	w.as("officer-2", "POST", "/v1/motions/approve", map[string]any{"id": m.ID}, 200, &m)
	made, err := w.ca.Certificates(t.Context(), pki.Filter{CommonName: "auditor-2"})
	if err != nil || len(made) != 1 || made[0].Profile != pki.Auditor || m.Subject != "auditor auditor-2" {
		t.Fatalf("%+v, %+v, %v", m, made, err)
	}
	auditor := w.enter("auditor-1")
	status, text := auditor.get("audit")
	auditor.wants(text, "auditor-1", "<h1>Audit log</h1>")
	if status != http.StatusOK {
		t.Errorf("the audit log: status %d", status)
	}
	serial := w.serial("ezd")
	if status, text = auditor.post("certificates/suspend", "id", serial); status != http.StatusForbidden || !w.lives("ezd") {
		t.Errorf("an auditor suspends: status %d", status)
	}
	auditor.wants(text, "Your role does not allow this")
	found, err := w.custody.Audit.List(t.Context(), audit.Filter{Action: "access", Actor: "auditor-1"})
	if err != nil || len(found) == 0 || found[0].Outcome != audit.Refused || found[0].Actor.Kind != "auditor" {
		t.Errorf("on record: %+v, %v", found, err)
	}
	_, err = w.ca.Revoke(t.Context(), audit.Actor{Kind: "officer", ID: "officer-1"}, pki.Selector{Serial: w.serial("auditor-1")}, pki.CessationOfOperation, "")
	w.must(err)
	if _, text = auditor.get("audit"); strings.Contains(text, "<h1>Audit log</h1>") {
		t.Error("a session outlives its auditor's certificate")
	}
}
