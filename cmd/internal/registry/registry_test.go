package registry_test

import (
	"context"
	"encoding/base64"
	"errors"
	"fmt"
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

const changeYAML = `
id: ZZ-2026-001
kind: change
partner: {id: um-przykladowo}
components: [B_HSM, P_VPN]
`

var (
	one = audit.Actor{Kind: "officer", ID: "officer-1"}
	two = audit.Actor{Kind: "officer", ID: "officer-2"}
	now = time.Date(2026, 3, 3, 12, 0, 0, 0, time.UTC)
)

func open(t *testing.T, url string) (*registry.Registry, *audit.Log) {
	t.Helper()
	return registrytest.Open(t, url, netip.MustParsePrefix("10.64.0.0/29"), func() time.Time { return now })
}

func parse(t *testing.T, text string) registry.Order {
	t.Helper()
	o, err := registry.ParseOrder([]byte(text))
	if err != nil {
		t.Fatal(err)
	}
	return *o
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func wantRefusal(t *testing.T, err error, part string) {
	t.Helper()
	var no *registry.Refusal
	if !errors.As(err, &no) || !strings.Contains(no.Reason, part) {
		t.Errorf("got %v; want a refusal with %q", err, part)
	}
}

func publicKey(b byte) string {
	return base64.StdEncoding.EncodeToString([]byte(strings.Repeat(string(rune(b)), 32)))
}

// TestStory walks one partner from the first order to the last on both engines.
func TestStory(t *testing.T) {
	t.Run("sqlite", func(t *testing.T) { story(t, storetest.SQLite(t)) })
	t.Run("postgres", func(t *testing.T) { story(t, storetest.Postgres(t)) })
}

func story(t *testing.T, url string) {
	ctx := t.Context()
	r, log := open(t, url)
	o := parse(t, orderYAML)
	must(t, r.Submit(ctx, one, o))
	wantRefusal(t, r.Submit(ctx, one, o), "already there")
	wantRefusal(t, r.Approve(ctx, one, o.ID), "another officer")
	_, err := r.NewToken(ctx, two, o.ID)
	wantRefusal(t, err, "does not wait")
	must(t, r.Approve(ctx, two, o.ID))
	wantRefusal(t, r.Approve(ctx, two, o.ID), "only a submitted order")

	token, err := r.NewToken(ctx, two, o.ID)
	must(t, err)
	sent := registry.Enrolment{PublicKey: publicKey('a'), CSR: "csr"}
	_, err = r.Enrol(ctx, "guess", sent)
	wantRefusal(t, err, "unknown")
	_, err = r.Enrol(ctx, token, registry.Enrolment{PublicKey: "AAAA", CSR: "csr"})
	wantRefusal(t, err, "wireguard_public_key")
	rec, err := r.Enrol(ctx, token, sent)
	must(t, err)
	_, err = r.Enrol(ctx, token, sent)
	must(t, err)
	_, err = r.Enrol(ctx, token, registry.Enrolment{PublicKey: publicKey('b'), CSR: "csr"})
	wantRefusal(t, err, "already with other keys")

	carryOut(t, r, rec)
	g := grant(t, r)
	if g.Partner != "um-przykladowo" || g.Application != "ezd" || len(g.Mechanisms) != 2 || g.KeyID != "k1" || !g.Active {
		t.Errorf("%+v", g)
	}
	if none, err := r.GrantsOf(ctx, "other"); err != nil || len(none) != 0 {
		t.Errorf("an order that is not there grants %+v, %v", none, err)
	}
	if _, tunnels, err := r.Wish(ctx); err != nil || len(tunnels) != 1 || tunnels[0].Address.String() != "10.64.0.2" {
		t.Errorf("%v, %v", tunnels, err)
	}

	c := parse(t, changeYAML)
	must(t, r.Submit(ctx, two, c))
	must(t, r.Approve(ctx, one, c.ID))
	if grant(t, r).Active {
		t.Error("the grant is active after the change order was approved")
	}
	if _, tunnels, err := r.Wish(ctx); err != nil || len(tunnels) != 0 {
		t.Errorf("%v, %v", tunnels, err)
	}
	must(t, r.Finish(ctx, c.ID, registry.CarriedOut))
	if rec, err := r.Order(ctx, o.ID); err != nil || rec.State != registry.Ended {
		t.Errorf("%v, %v", rec.State, err)
	}
	must(t, log.Close(ctx))
	entries, err := log.List(ctx, audit.Filter{Order: o.ID})
	if err != nil || len(entries) < 7 {
		t.Errorf("%d entries, %v", len(entries), err)
	}
}

// grant returns the one grant of the sample order.
func grant(t *testing.T, r *registry.Registry) registry.Grant {
	t.Helper()
	grants, err := r.GrantsOf(t.Context(), "ZU-2026-001")
	if err != nil || len(grants) != 1 {
		t.Fatalf("%+v, %v", grants, err)
	}
	return grants[0]
}

func carryOut(t *testing.T, r *registry.Registry, rec *registry.Record) {
	t.Helper()
	ctx := t.Context()
	must(t, r.AddKey(ctx, rec.ID, "seal", "k1"))
	must(t, r.StepDone(ctx, rec.ID, "partition", "k1"))
	must(t, r.StepDone(ctx, rec.ID, "partition", "k1"))
	must(t, r.AddCertificate(ctx, registry.Certificate{Serial: "1", Order: rec.ID, Partner: rec.Partner.ID,
		Purpose: registry.ClientCertificate, Fingerprint: "fp", PEM: "pem"}))
	if grant(t, r).Active {
		t.Error("the grant is active before the order is carried out")
	}
	for range 2 {
		if a, err := r.GrantTunnel(ctx, *rec, publicKey('a')); err != nil || a.String() != "10.64.0.2" {
			t.Fatalf("%v, %v", a, err)
		}
	}
	must(t, r.Finish(ctx, rec.ID, registry.Active))
}

// TestApproveOnce lets many officers approve one order at once: one of them does.
func TestApproveOnce(t *testing.T) {
	r, _ := open(t, storetest.SQLite(t))
	o := parse(t, orderYAML)
	must(t, r.Submit(t.Context(), one, o))
	var mu sync.Mutex
	var wg sync.WaitGroup
	won := 0
	for i := range 8 {
		wg.Go(func() {
			if r.Approve(context.Background(), audit.Actor{Kind: "officer", ID: fmt.Sprintf("officer-%d", i+2)}, o.ID) == nil {
				mu.Lock()
				defer mu.Unlock()
				won++
			}
		})
	}
	wg.Wait()
	if won != 1 {
		t.Errorf("%d approvals, want 1", won)
	}
}

// TestPoolOfIPv6Alone gives each office one address of it.
func TestPoolOfIPv6Alone(t *testing.T) {
	r, _ := registrytest.Open(t, storetest.SQLite(t), netip.MustParsePrefix("fd64:0:0:1::/64"), time.Now)
	for i, want := range []string{"fd64:0:0:1::2", "fd64:0:0:1::3"} {
		o := parse(t, strings.NewReplacer("ZU-2026-001", fmt.Sprintf("ZU-%d", i), "um-przykladowo", fmt.Sprintf("um-%d", i)).Replace(orderYAML))
		must(t, r.Submit(t.Context(), one, o))
		must(t, r.Approve(t.Context(), two, o.ID))
		rec, err := r.Order(t.Context(), o.ID)
		must(t, err)
		address, err := r.GrantTunnel(t.Context(), *rec, publicKey(byte('a'+i)))
		if must(t, err); address.String() != want {
			t.Errorf("the address %v; want %s", address, want)
		}
	}
}

// TestAddressesAreNeverReused ends tunnels until the pool is used up.
func TestAddressesAreNeverReused(t *testing.T) {
	r, _ := open(t, storetest.SQLite(t))
	seen := map[netip.Addr]bool{}
	for i := range 6 { // 10.64.0.0/29 without network, broadcast and hub leaves 5
		o := parse(t, strings.NewReplacer("ZU-2026-001", fmt.Sprintf("ZU-%d", i), "um-przykladowo", fmt.Sprintf("um-%d", i)).Replace(orderYAML))
		err := r.Submit(t.Context(), one, o)
		if i == 5 {
			wantRefusal(t, err, "used up")
			continue
		}
		must(t, err)
		must(t, r.Approve(t.Context(), two, o.ID))
		rec, err := r.Order(t.Context(), o.ID)
		must(t, err)
		a, err := r.GrantTunnel(t.Context(), *rec, publicKey(byte('a'+i)))
		if err != nil || seen[a] {
			t.Fatalf("%v, %v", a, err)
		}
		seen[a] = true
		c := parse(t, strings.NewReplacer("ZZ-2026-001", fmt.Sprintf("ZZ-%d", i), "um-przykladowo", fmt.Sprintf("um-%d", i)).Replace(changeYAML))
		must(t, r.Submit(t.Context(), one, c))
		must(t, r.Approve(t.Context(), two, c.ID))
	}
}

func TestRejectAndInadmissible(t *testing.T) {
	ctx := t.Context()
	r, _ := open(t, storetest.SQLite(t))
	wantRefusal(t, r.Submit(ctx, one, parse(t, changeYAML)), "no framework agreement")
	o := parse(t, orderYAML)
	must(t, r.Submit(ctx, one, o))
	wantRefusal(t, r.Reject(ctx, two, o.ID, " "), "say why")
	must(t, r.Reject(ctx, two, o.ID, "units are missing"))
	wantRefusal(t, r.Approve(ctx, two, o.ID), "rejected")
	_, err := r.Order(ctx, "ZU-none")
	wantRefusal(t, err, "not there")
	o.ID = "ZU-2"
	must(t, r.Submit(ctx, one, o))
	must(t, r.Approve(ctx, two, o.ID))
	o.ID = "ZU-3"
	wantRefusal(t, r.Submit(ctx, one, o), "already switched on")
	o.Agreement = &registry.FrameworkAgreement{Number: "other", Signed: "2026-01-01"}
	wantRefusal(t, r.Submit(ctx, one, o), "agreement.number")
}

func TestParseOrderNamesTheField(t *testing.T) {
	for _, c := range []struct{ old, new, want string }{
		{"kind: activation", "kind: plus", "kind"},
		{"id: ZU-2026-001", "id: 'ZU 1'", "id"},
		{"um-przykladowo", "UM_P", "partner.id"},
		{"name: Urząd Miasta Przykładowo", "name: ''", "partner.name"},
		{"UR/12/2026", "", "agreement.number"},
		{"2026-01-15", "15.01.2026", "agreement.signed"},
		{"[B_HSM, P_VPN]", "[]", "components"},
		{"[B_HSM, P_VPN]", "[B_HSM, P_VPN, X]", "components[2]"},
		{"[B_HSM, P_VPN]", "[B_HSM, P_VPN, B_HSM]", "components[2]"},
		{"[B_HSM, P_VPN]", "[B_HSM]", "vpn_request"},
		{"[B_HSM, P_VPN]", "[P_VPN]", "hsm_authorization"},
		{"site: main", "site: Główna", "vpn_request.site"},
		{"site: main", "site: main, services: [time, time]", "vpn_request.services[1]"},
		{"site: main", "site: main, services: [Time]", "vpn_request.services[0]"},
		{"vpn_request: {site: main}", "", "vpn_request"},
		{"application: ezd", "application: ''", "hsm_authorization.application"},
		{"RSA-3072", "RSA-1024", "hsm_authorization.keys[0].algorithm"},
		{"[RSA-PKCS1-SHA256, RSA-PSS-SHA256]", "[ECDSA-SHA256]", "hsm_authorization.keys[0].mechanisms[0]"},
		{"2027-01-01T00:00:00Z", "2025-01-01T00:00:00Z", "hsm_authorization.not_after"},
		{"components:", "component:", "component"},
		{"2027-01-01T00:00:00Z", "2056-01-02T00:00:00Z", "hsm_authorization.not_after"},
		{"2027-01-01T00:00:00Z", "9999-01-01", "hsm_authorization.not_after"},
	} {
		if !strings.Contains(orderYAML, c.old) {
			t.Fatalf("%q is not in the sample", c.old)
		}
		_, err := registry.ParseOrder([]byte(strings.Replace(orderYAML, c.old, c.new, 1)))
		if err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s -> %s: got %v; want %q", c.old, c.new, err, c.want)
		}
	}
	if _, err := registry.ParseOrder([]byte(strings.Replace(changeYAML, "kind: change", "kind: change\nvpn_request: {site: x}", 1))); err == nil {
		t.Error("a change order with a VPN request was taken")
	}
}
