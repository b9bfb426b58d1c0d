package main

import (
	"context"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"net/http"
	"net/netip"
	"os"
	"os/exec"
	"strings"
	"sync"
	"testing"
	"time"

	"trustcore/cmd/internal/custody"
	"trustcore/cmd/internal/registry"
	"trustcore/cmd/internal/rights"
	"trustcore/hsm"
	"trustcore/hsm/hsmtest"
	"trustcore/internal/audit"
	"trustcore/pki"
	"trustcore/vpn"
	"trustcore/vpn/office"
)

// newInside is an outside whose trustd runs in the test's own process.
func newInside(t *testing.T, change func(*Config)) *outside {
	t.Helper()
	o := newWithoutGateway(t, change)
	ctx, stop := context.WithCancel(context.Background())
	var running sync.WaitGroup
	running.Go(func() { o.gateway(ctx) })
	t.Cleanup(func() { stop(); running.Wait() })
	return o
}

func newWithoutGateway(t *testing.T, change func(*Config)) *outside {
	t.Helper()
	if _, err := os.Stat(hsmtest.SoftHSM); err != nil {
		t.Skip("SoftHSM2 is not installed (apt-get install softhsm2)")
	}
	o := &outside{world: &world{t: t, dir: t.TempDir()}, ports: map[string]string{}}
	// With modes: open PIN files are refused.
	o.must(exec.CommandContext(t.Context(), "cp", "-a", founded(t)+"/.", o.dir).Run())
	cfg := o.config()
	if change != nil {
		change(&cfg)
	}
	o.start(cfg)
	for _, s := range o.servers {
		o.ports[s.Name] = s.Listener.Addr().String()
	}
	return o
}

// Parts of order files.
const (
	both     = "components: [B_HSM, P_VPN]\nvpn_request: {site: main}\n"
	keysOnly = "components: [B_HSM]\n"
	ezd      = "ezd"
	kadry    = "kadry"
)

// key is one line of an authorisation.
func key(name, more string) string {
	return fmt.Sprintf("    - {name: %s, algorithm: P-256, mechanisms: [ECDSA-SHA256]%s}\n", name, more)
}

// inYears writes a moment.
func inYears(n int) string { return time.Now().AddDate(n, 0, 0).UTC().Format(time.RFC3339) }

// activation writes an order of um-nowe; head is what stands before the components.
func activationOf(id, head, components, application, keys, until string) string {
	return "id: " + id + "\nkind: activation\n" + head + `partner: {id: um-nowe, name: Urząd Miasta Nowe}
agreement: {number: UR/1/2026, signed: 2026-01-15}
` + components + "hsm_authorization:\n  application: " + application + "\n  keys:\n" + keys +
		"  not_before: 2026-01-01T00:00:00Z\n  not_after: " + until + "\n"
}

// enrolAs enrols an office for an order and keeps its key and certificate under the holder's name.
func (o *outside) enrolAs(holder, order string) office.Enrolment {
	o.t.Helper()
	tunnel, err := vpn.GeneratePrivateKey()
	o.must(err)
	return o.enrolWith(tunnel, holder, order)
}

// enrolWith enrols with the office's key of its tunnel.
func (o *outside) enrolWith(tunnel vpn.PrivateKey, holder, order string) office.Enrolment {
	o.t.Helper()
	var token struct{ Token string }
	o.must(json.Unmarshal(o.try("officer-2", "POST", "admin", "/v1/orders/token", []byte(`{"id":"`+order+`"}`)).body,
		&token))
	private, csr := o.request("")
	body, err := json.Marshal(enrolRequest{Token: token.Token, PublicKey: tunnel.Public().String(), CSR: csr})
	o.must(err)
	a := o.try("", "POST", "enrolment", "/v1/enrolments", body)
	var e office.Enrolment
	if err := json.Unmarshal(a.body, &e); a.status != http.StatusOK || err != nil || e.Validate() != nil {
		o.t.Fatalf("enrolment for %s: %d %s", order, a.status, a.body)
	}
	o.install(holder, e.Certificate, private)
	return e
}

// on decides an activation order, enrols the office for it and waits until it is active.
func (o *outside) on(id, text, holder string) office.Enrolment {
	o.t.Helper()
	o.decide(id, text)
	e := o.enrolAs(holder, id)
	o.awaitState(id, registry.Active)
	return e
}

// off decides a change order and waits until it is carried out.
func (o *outside) off(id, rest string) {
	o.t.Helper()
	o.decide(id, "id: "+id+"\nkind: change\npartner: {id: um-nowe}\n"+rest)
	o.awaitState(id, registry.CarriedOut)
}

// use is a key as its user sees it.
type use struct {
	ID, Label, Order string
	Chain            [][]byte
	NotAfter         *time.Time `json:"not_after"`
	Usable           bool
}

// uses lists what the holder may use now, by name.
func (o *outside) uses(holder string) map[string]use {
	o.t.Helper()
	var said struct{ Keys []use }
	a := o.try(holder, "GET", "gateway", "/v1/keys", nil)
	if a.status != http.StatusOK {
		o.t.Fatalf("keys of %s: %d %s", holder, a.status, a.body)
	}
	o.must(json.Unmarshal(a.body, &said))
	found := map[string]use{}
	for _, u := range said.Keys {
		if u.Usable {
			found[u.Label] = u
		}
	}
	return found
}

// digestToSign is any.
const digestToSign = `{"mechanism":"ECDSA-SHA256","digest":"47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU="}`

func (o *outside) sign(c *http.Client, id string) answer {
	o.t.Helper()
	return o.ask(c, "POST", o.url("gateway")+"/v1/keys/"+id+"/sign", json.RawMessage(digestToSign))
}

// wantUse signs with a key; refused is a part of the refusal, "" when there is none.
func (o *outside) wantUse(holder, id, refused string) {
	o.t.Helper()
	a := o.sign(o.client(holder), id)
	switch {
	case refused == "" && a.status != http.StatusOK:
		o.t.Errorf("%s can't sign with %s: %d %s", holder, id, a.status, a.body)
	case refused != "" && (a.status != http.StatusForbidden || !strings.Contains(a.detail(), refused)):
		o.t.Errorf("%s signs with %s: %d %s; want %q", holder, id, a.status, a.body, refused)
	}
}

// seal is the certificate that the gateway serves for a key.
func (o *outside) seal(holder, name string) *x509.Certificate {
	o.t.Helper()
	chain := o.uses(holder)[name].Chain
	if len(chain) == 0 {
		o.t.Fatalf("the key %s has no certificate", name)
	}
	c, err := x509.ParseCertificate(chain[0])
	o.must(err)
	return c
}

// wantField submits an order that can't be carried out.
func (o *outside) wantField(text, field string) {
	o.t.Helper()
	a := o.try("officer-1", "POST", "admin", "/v1/orders", []byte(text))
	if a.status != http.StatusUnprocessableEntity || !strings.Contains(string(a.body), `"field":"`+field+`"`) {
		o.t.Errorf("%d %s; want a refusal of %s", a.status, a.body, field)
	}
}

// TestAnOfficeOverTheYears extends an order under an application that signs all the time, replaces its key, drops the
// old one, switches off, and comes back: with the key of before, then with a new one.
func TestAnOfficeOverTheYears(t *testing.T) {
	o := newInside(t, nil)
	first := o.on("ZU-1", activationOf("ZU-1", "", both, ezd, key("seal", ""), inYears(1)), ezd)
	seal := o.uses(ezd)["seal"].ID
	before := o.seal(ezd, "seal")
	busy := o.signAllTheTime(ezd, seal)
	o.decide("ZU-2", activationOf("ZU-2", "renews: ZU-1\n", both, ezd, key("seal", "")+key("stamp", ""), inYears(2)))
	o.awaitState("ZU-2", registry.Active)
	o.await("the certificate's new end", func() bool {
		return o.seal(ezd, "seal").NotAfter.After(before.NotAfter.AddDate(0, 11, 0))
	})
	if n, failed := busy(); n == 0 || failed != "" {
		t.Errorf("%d signatures while the order was renewed, then %s", n, failed)
	}
	now := o.uses(ezd)
	if now["seal"].ID != seal || now["seal"].Order != "ZU-2" || now["stamp"].Order != "ZU-2" ||
		len(now["stamp"].Chain) == 0 {
		t.Errorf("after the renewal: %+v", now)
	}
	if rec := o.order("ZU-1"); rec.State != registry.Replaced || rec.ReplacedBy != "ZU-2" {
		t.Errorf("the old order: %+v", rec)
	}
	o.wantTunnel(first.Address[0].Addr().String())
	o.wantLogged(seal, "ZU-1", "ZU-2")

	o.decide("ZU-3", activationOf("ZU-3", "renews: ZU-2\n", both, ezd,
		key("seal", ", not_after: "+inYears(1))+key("stamp", "")+key("seal-2", ""), inYears(2)))
	o.awaitState("ZU-3", registry.Active)
	now = o.uses(ezd)
	next := now["seal-2"].ID
	for _, id := range []string{seal, next, now["stamp"].ID} {
		o.wantUse(ezd, id, "")
	}
	if now["seal"].NotAfter.After(time.Now().AddDate(1, 0, 1)) || next == seal {
		t.Errorf("with overlap: %+v", now)
	}
	o.decide("ZU-4", activationOf("ZU-4", "renews: ZU-3\n", both, ezd, key("stamp", "")+key("seal-2", ""), inYears(2)))
	o.awaitState("ZU-4", registry.Active)
	o.wantUse(ezd, seal, "withdrawn")
	o.wantUse(ezd, next, "")
	o.await("the end of the old key", func() bool { return o.keyState(seal) == hsm.Suspended })
	o.await("the end of its certificate", func() bool { return o.ca.Revoked(before.SerialNumber) })
	if c := o.seal(ezd, "seal-2"); o.ca.Revoked(c.SerialNumber) {
		t.Error("the new key's certificate is revoked")
	}

	o.off("ZZ-1", "components: [B_HSM, P_VPN]\n")
	o.wantNothingLeft()
	o.wantField(activationOf("ZU-5", "resume: ZU-3\n", both, ezd, key("seal-2", ""), inYears(2)), "resume")
	o.on("ZU-5", activationOf("ZU-5", "resume: ZU-4\n", both, ezd, key("seal-2", "")+key("other", ""), inYears(2)),
		"again")
	if back := o.uses("again"); len(back) != 2 || back["seal-2"].ID != next || len(back["seal-2"].Chain) == 0 {
		t.Errorf("come back with %+v, want %s", back, next)
	}
	o.wantUse("again", next, "")
	if a := o.sign(o.client(ezd), next); a.status == http.StatusOK {
		t.Error("the certificate of before opens the gateway again")
	}
	o.off("ZZ-2", "components: [B_HSM, P_VPN]\n")
	o.wantNothingLeft()
	o.on("ZU-6", activationOf("ZU-6", "", both, ezd, key("seal-2", ""), inYears(2)), "anew")
	if back := o.uses("anew"); len(back) != 1 || back["seal-2"].ID == next {
		t.Errorf("come back with %+v", back)
	}
	o.off("ZZ-3", "components: [B_HSM, P_VPN]\n")
	o.wantNothingLeft()
}

// signAllTheTime signs until the function that it returns is called, which tells how often, and what went wrong first.
func (o *outside) signAllTheTime(holder, id string) func() (int, string) {
	o.t.Helper()
	ctx, stop := context.WithCancel(o.t.Context())
	client, target := o.client(holder), o.url("gateway")+"/v1/keys/"+id+"/sign"
	var n int
	var failed string
	var running sync.WaitGroup
	running.Go(func() {
		for ctx.Err() == nil && failed == "" {
			request, err := http.NewRequestWithContext(context.WithoutCancel(ctx), "POST", target,
				strings.NewReader(digestToSign))
			if err != nil {
				failed = err.Error()
				return
			}
			request.Header.Set("Content-Type", "application/json")
			response, err := client.Do(request)
			switch {
			case err != nil:
				failed = err.Error()
			case response.StatusCode != http.StatusOK:
				failed = response.Status
				_ = response.Body.Close() // it is told already
			default:
				n++
				_ = response.Body.Close() // of a success
			}
		}
	})
	return func() (int, string) { stop(); running.Wait(); return n, failed }
}

func (o *outside) keyState(id string) hsm.State {
	o.t.Helper()
	k, err := o.custody.HSM.Key(o.t.Context(), id)
	o.must(err)
	return k.State
}

func (o *outside) wantTunnel(address string) {
	o.t.Helper()
	_, tunnels, err := o.registry.Wish(o.t.Context())
	if err != nil || len(tunnels) != 1 || tunnels[0].Address.String() != address {
		o.t.Errorf("tunnels %+v, %v; want %s", tunnels, err, address)
	}
}

// wantLogged wants uses of a key under these orders, one after the other, and none without partner.
func (o *outside) wantLogged(id string, orders ...string) {
	o.t.Helper()
	entries, err := o.custody.Audit.List(o.t.Context(), audit.Filter{Action: "hsm.sign", Subject: id})
	o.must(err)
	var said []string
	for _, e := range entries {
		if e.Partner != "um-nowe" {
			o.t.Errorf("without partner: %+v", e)
		}
		if len(said) == 0 || said[len(said)-1] != e.Order {
			said = append(said, e.Order)
		}
	}
	if strings.Join(said, " ") != strings.Join(orders, " ") {
		o.t.Errorf("the log has uses under %v, want %v", said, orders)
	}
}

// TestApplicationsOfOnePartner holds that the certificate of one opens nothing of the other.
func TestApplicationsOfOnePartner(t *testing.T) {
	o := newInside(t, nil)
	o.on("ZU-1", activationOf("ZU-1", "", both, ezd, key("seal", ""), inYears(1)), ezd)
	e := o.on("ZU-2", activationOf("ZU-2", "", keysOnly, kadry, key("seal", ""), inYears(1)), kadry)
	if e.HasTunnel() || len(e.Services) != 1 || e.Services[0].Addr != netip.MustParseAddrPort("10.64.0.1:9443") {
		t.Errorf("the second one reaches the gateway by the first one's tunnel: %+v", e)
	}
	own, other := o.uses(ezd), o.uses(kadry)
	if len(own) != 1 || len(other) != 1 || own["seal"].ID == other["seal"].ID {
		t.Fatalf("ezd uses %+v, kadry %+v", own, other)
	}
	o.wantUse(ezd, own["seal"].ID, "")
	o.wantUse(kadry, other["seal"].ID, "")
	o.wantUse(ezd, other["seal"].ID, "no authorisation")
	o.wantUse(kadry, own["seal"].ID, "no authorisation")
	o.off("ZZ-1", "components: [B_HSM]\napplication: kadry\n")
	o.wantUse(ezd, own["seal"].ID, "")
	if a := o.sign(o.client(kadry), other["seal"].ID); a.status == http.StatusOK {
		t.Error("kadry is switched off and signs")
	}
	if o.keyState(other["seal"].ID) != hsm.Suspended || o.keyState(own["seal"].ID) != hsm.Active {
		t.Error("the keys are not as the orders say")
	}
	certificate, err := custody.ReadCertificate(o.identity(ezd).Certificate)
	o.must(err)
	if granted, err := o.grants(t.Context(), certificate); err != nil || len(granted) != 1 {
		t.Errorf("%+v, %v", granted, err)
	}
	// The certificate that stands in every sealed document opens nothing.
	if granted, err := o.grants(t.Context(), o.seal(ezd, "seal")); err != nil || len(granted) != 0 {
		t.Errorf("a seal certificate is granted %+v, %v", granted, err)
	}
	o.off("ZZ-2", "components: [B_HSM, P_VPN]\n")
	o.wantNothingLeft()
}

// TestKeysWithoutATunnel enrols an office that has B_HSM alone, extends its authorisation too late, and has it enrol
// anew.
func TestKeysWithoutATunnel(t *testing.T) {
	o := newInside(t, nil)
	e := o.on("ZU-1", activationOf("ZU-1", "", keysOnly, ezd, key("seal", ""), inYears(1)), ezd)
	if e.HasTunnel() || len(e.Services) != 1 || "https://"+e.Services[0].Addr.String() != o.url("gateway") ||
		e.Services[0].Name != "gateway" {
		t.Errorf("enrolled: %+v", e)
	}
	seal := o.uses(ezd)["seal"].ID
	held := o.certificateOf(ezd)
	end := time.Now().AddDate(1, 0, 1)
	if held.NotAfter.After(end) || o.seal(ezd, "seal").NotAfter.After(end) {
		t.Error("a certificate outlives its authorisation")
	}
	o.decide("ZU-2", activationOf("ZU-2", "renews: ZU-1\n", keysOnly, ezd, key("seal", ""), inYears(2)))
	o.awaitState("ZU-2", registry.Active)
	o.wantUse(ezd, seal, "")
	private, csr := o.request("")
	var renewed struct{ Chain string }
	a := o.ask(o.client(ezd), "POST", o.url("gateway")+"/v1/renewals", map[string]string{"csr": csr})
	o.must(json.Unmarshal(a.body, &renewed))
	if a.status != http.StatusOK {
		t.Fatalf("%d %s", a.status, a.body)
	}
	o.install(ezd, renewed.Chain, private)
	if c := o.certificateOf(ezd); !c.NotAfter.After(held.NotAfter) {
		t.Errorf("the renewed certificate ends %s, the old one %s", c.NotAfter, held.NotAfter)
	}
	o.wantUse(ezd, seal, "")

	_, err := o.ca.Revoke(t.Context(), carrier, pki.Selector{Partner: "um-nowe", Profile: pki.PartnerClient},
		pki.Superseded, "")
	o.must(err)
	o.decide("ZU-3", activationOf("ZU-3", "renews: ZU-2\n", keysOnly, ezd, key("seal", ""), inYears(3)))
	o.await("what it waits for", func() bool { return strings.Contains(o.order("ZU-3").Waiting, "enrol") })
	o.enrolAs("anew", "ZU-3")
	o.awaitState("ZU-3", registry.Active)
	o.wantUse("anew", seal, "")
	o.off("ZZ-1", "components: [B_HSM]\n")
	o.wantNothingLeft()
}

func (o *outside) certificateOf(holder string) *x509.Certificate {
	o.t.Helper()
	text, err := os.ReadFile(o.identity(holder).Certificate)
	o.must(err)
	block, _ := pem.Decode(text)
	c, err := x509.ParseCertificate(block.Bytes)
	o.must(err)
	return c
}

// TestTheFirstTunnelByRenewal waits for the office, since its keys are needed, and gives it the tunnel.
func TestTheFirstTunnelByRenewal(t *testing.T) {
	o := newInside(t, nil)
	o.on("ZU-1", activationOf("ZU-1", "", keysOnly, ezd, key("seal", ""), inYears(1)), ezd)
	seal := o.uses(ezd)["seal"].ID
	o.decide("ZU-2", activationOf("ZU-2", "renews: ZU-1\n", both, ezd, key("seal", ""), inYears(2)))
	o.await("what it waits for", func() bool { return strings.Contains(o.order("ZU-2").Waiting, "enrol") })
	o.wantUse(ezd, seal, "")
	e := o.enrolAs("anew", "ZU-2")
	if !e.HasTunnel() || e.Site != "main" {
		t.Errorf("enrolled: %+v", e)
	}
	o.wantUse("anew", seal, "")
	o.wantUse(ezd, seal, "")
	o.off("ZZ-1", "components: [B_HSM, P_VPN]\n")
	o.wantNothingLeft()
}

// TestOrdersThatCannotBeCarriedOut asks the HSM and the gateway before an order is taken.
func TestOrdersThatCannotBeCarriedOut(t *testing.T) {
	o := newInside(t, func(cfg *Config) { // a gateway in the tunnel alone
		cfg.Tunnel.Pool, cfg.Tunnel.Hub = netip.MustParsePrefix("127.0.0.0/8"), netip.MustParseAddr("127.0.0.1")
		cfg.Tunnel.Services[0].Addr = netip.MustParseAddrPort("127.0.0.1:9443")
	})
	o.wantField(activationOf("ZU-0", "", keysOnly, ezd, key("seal", ""), inYears(1)), "components")
	soon := time.Now().Add(time.Hour).UTC().Format(time.RFC3339)
	o.wantField(activationOf("ZU-0", "", both, ezd, key("seal", ""), soon), "hsm_authorization.not_after")
	o.wantField(activationOf("ZU-0", "", both, ezd, key("seal", ", not_after: "+soon), inYears(1)),
		"hsm_authorization.keys[0].not_after")

	const wide = "    - {name: seal, algorithm: RSA-3072, mechanisms: [RSA-PSS-SHA256]}\n"
	o.on("ZU-1", activationOf("ZU-1", "", both, ezd, wide+key("stamp", ""), inYears(1)), ezd)
	renewal := func(keys string) string { return activationOf("ZU-2", "renews: ZU-1\n", both, ezd, keys, inYears(2)) }
	o.wantField(renewal(strings.Replace(wide, "PSS", "PKCS1", 1)), "hsm_authorization.keys[0].mechanisms[0]")
	stamp := o.uses(ezd)["stamp"].ID
	o.must(o.custody.HSM.Suspend(t.Context(), carrier, stamp))
	o.wantField(renewal(wide+key("stamp", "")), "hsm_authorization.keys[1].name")
	o.off("ZZ-1", "components: [B_HSM]\n")
	o.must(o.custody.HSM.Destroy(t.Context(), carrier, stamp))
	o.wantField(activationOf("ZU-3", "resume: ZU-1\n", keysOnly, ezd, key("stamp", ""), inYears(1)),
		"hsm_authorization.keys[0].name")
}

// TestCertificatesEndWithTheirAuthorisation looks at them after that has ended.
func TestCertificatesEndWithTheirAuthorisation(t *testing.T) {
	o := newInside(t, nil)
	o.on("ZU-1", activationOf("ZU-1", "", keysOnly, ezd, key("seal", "")+key("stamp", ""), inYears(2)), ezd)
	shorter := key("seal", ", not_after: "+inYears(1)) + key("stamp", "")
	o.decide("ZU-2", activationOf("ZU-2", "renews: ZU-1\n", keysOnly, ezd, shorter, inYears(1)))
	o.awaitState("ZU-2", registry.Active)
	seal, stamp, client := o.seal(ezd, "seal"), o.seal(ezd, "stamp"), o.certificateOf(ezd)
	revoked := func(when time.Time) string {
		o.must(o.keepSealsOnce(t.Context(), when, map[string]time.Time{}))
		return fmt.Sprint(o.ca.Revoked(seal.SerialNumber), o.ca.Revoked(stamp.SerialNumber),
			o.ca.Revoked(client.SerialNumber))
	}
	if got := revoked(time.Now().AddDate(0, 11, 0)); got != "false false false" {
		t.Errorf("before its end: revoked %s", got)
	}
	if got := revoked(time.Now().AddDate(1, 1, 0)); got != "true true true" {
		t.Errorf("after its end: revoked %s", got)
	}
}

// TestExtended tells when a certificate that its authorisation cut is renewed before it is due.
func TestExtended(t *testing.T) {
	now := time.Date(2027, 1, 1, 0, 0, 0, 0, time.UTC)
	longest := now.Add(pki.Seal.Longest())
	for name, c := range map[string]struct {
		cut   pki.Cut
		ends  time.Time
		until time.Time
		want  bool
	}{
		"as it was": {pki.CutByAuthorisation, now.AddDate(1, 0, 0), now.AddDate(1, 0, 0), false},
		"by a year": {pki.CutByAuthorisation, now.AddDate(1, 0, 0), now.AddDate(2, 0, 0), true},
		"by less than is worth it": {pki.CutByAuthorisation, now.AddDate(1, 0, 0),
			now.AddDate(1, 0, 0).Add(pki.MinimumLife), false},
		"shortened":                  {pki.CutByAuthorisation, now.AddDate(1, 0, 0), now.AddDate(0, 6, 0), false},
		"one that was not cut by it": {"", now.AddDate(1, 0, 0), now.AddDate(2, 0, 0), false},
		"beyond the longest life":    {pki.CutByAuthorisation, longest, now.AddDate(20, 0, 0), false},
	} {
		if got := extended(pki.Certificate{Cut: c.cut, NotAfter: c.ends}, c.until, now); got != c.want {
			t.Errorf("%s: %v", name, got)
		}
	}
}

// TestSealsAreRenewedBeforeTheyEnd turns the authority's clock to two thirds of a seal certificate's life.
func TestSealsAreRenewedBeforeTheyEnd(t *testing.T) {
	var mu sync.Mutex
	var shift time.Duration
	clock := func() time.Time { mu.Lock(); defer mu.Unlock(); return time.Now().Add(shift) }
	o := newInside(t, func(cfg *Config) { cfg.Config.Now = clock })
	o.on("ZU-1", activationOf("ZU-1", "", both, ezd, key("seal", ""), inYears(9)), ezd)
	granted := func() *x509.Certificate {
		t.Helper()
		held, err := o.registry.GrantsOf(t.Context(), "ZU-1")
		o.must(err)
		chain, err := o.sealChain(t.Context(), held[0].KeyID)
		o.must(err)
		c, err := x509.ParseCertificate(chain[0])
		o.must(err)
		return c
	}
	before := granted()
	turn := func(part time.Duration) *x509.Certificate {
		t.Helper()
		mu.Lock()
		shift = part * before.NotAfter.Sub(before.NotBefore) / 100
		mu.Unlock()
		o.must(o.keepSealsOnce(t.Context(), clock(), map[string]time.Time{}))
		return granted()
	}
	if c := turn(60); !c.Equal(before) {
		t.Error("it was renewed too early")
	}
	after := turn(70)
	if after.Equal(before) || !after.NotAfter.After(before.NotAfter) {
		t.Errorf("at two thirds it ends %s still", after.NotAfter)
	}
	if c := turn(71); !c.Equal(after) {
		t.Error("it was renewed again")
	}
}

// TestNothingIsRenewedWithoutAnOrder refuses where no order of the certificate's line is in force.
func TestNothingIsRenewedWithoutAnOrder(t *testing.T) {
	o := newInside(t, nil)
	until := func(order string) error {
		_, err := o.until(t.Context(), rights.Holder{Profile: string(pki.PartnerClient), Order: order})
		return err
	}
	o.on("ZU-1", activationOf("ZU-1", "", keysOnly, ezd, key("seal", ""), inYears(1)), ezd)
	o.must(until("ZU-1"))
	o.off("ZZ-1", "components: [B_HSM]\n")
	for _, order := range []string{"ZU-1", "ZU-9", ""} {
		if err := until(order); err == nil || !strings.Contains(err.Error(), "is not in force") {
			t.Errorf("order %q: %v", order, err)
		}
	}
}
