package activation_test

import (
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"log/slog"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"trustcore/cmd/internal/activation"
	"trustcore/cmd/internal/registry"
	"trustcore/cmd/internal/registry/registrytest"
	"trustcore/internal/audit"
	"trustcore/internal/store/storetest"
)

const orderYAML = `
id: ZU-1
kind: activation
partner: {id: um, name: Urząd}
agreement: {number: UR/1, signed: 2026-01-15}
components: [B_HSM, P_VPN]
vpn_request: {site: main}
hsm_authorization:
  application: ezd
  keys: [{name: seal, algorithm: P-256, mechanisms: [ECDSA-SHA256]}]
  not_before: 2026-01-01T00:00:00Z
  not_after: 2036-01-01T00:00:00Z
`

const changeYAML = "id: ZZ-1\nkind: change\npartner: {id: um}\ncomponents: [B_HSM, P_VPN]\n"

// world is what the steps act on: a set of things that are there, with a fault to inject.
type world struct {
	mu     sync.Mutex
	there  map[string]bool
	acts   []string // every effect in order
	fault  string   // the act that fails once
	effect bool     // whether it has its effect all the same
}

var errFault = errors.New("injected fault")

// act makes (or unmakes) a thing, idempotently, failing once where the fault says so.
func (w *world) act(name, thing string, make bool) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	fails := w.fault == name
	if fails {
		w.fault = ""
		if !w.effect {
			return errFault
		}
	}
	if w.there[thing] != make {
		w.there[thing] = make
		w.acts = append(w.acts, name)
	}
	if fails {
		return errFault
	}
	return nil
}

func (w *world) steps() activation.Steps {
	return activation.Steps{
		Resume: func(context.Context, registry.Record) (string, error) { return "k1", w.act("resume", "keys", true) },
		Partition: func(context.Context, registry.Record) (string, error) {
			return "k1", w.act("partition", "keys", true)
		},
		Certificate: func(context.Context, registry.Record, *registry.Enrolment) (string, error) {
			return "1", w.act("certificate", "certificate", true)
		},
		Tunnel: func(context.Context, registry.Record, *registry.Enrolment) (string, error) {
			return "10.64.0.2", w.act("tunnel", "tunnel", true)
		},
		TunnelGone: func(context.Context, string) error { return w.act("tunnel gone", "tunnel", false) },
		LeaveSites: func(context.Context, registry.Record) error { return nil },
		Revoke: func(context.Context, string, []registry.Component, bool, string) error {
			return w.act("revoke", "certificate", false)
		},
		Suspend: func(context.Context, string, string) error { return w.act("suspend", "keys", false) },
	}
}

func open(t *testing.T) *registry.Registry {
	t.Helper()
	r, _ := registrytest.Open(t, storetest.SQLite(t), netip.MustParsePrefix("10.64.0.0/24"), time.Now)
	return r
}

func approve(t *testing.T, r *registry.Registry, text string) registry.Order {
	t.Helper()
	o, err := registry.ParseOrder([]byte(text))
	if err != nil {
		t.Fatal(err)
	}
	err = errors.Join(r.Submit(t.Context(), audit.Actor{Kind: "officer", ID: "officer-1"}, *o),
		r.Approve(t.Context(), audit.Actor{Kind: "officer", ID: "officer-2"}, o.ID))
	if err != nil {
		t.Fatal(err)
	}
	return *o
}

func enrol(t *testing.T, r *registry.Registry, order string) {
	t.Helper()
	token, err := r.NewToken(t.Context(), audit.Actor{Kind: "officer", ID: "officer-2"}, order)
	if err != nil {
		t.Fatal(err)
	}
	key := base64.StdEncoding.EncodeToString([]byte(strings.Repeat("a", 32)))
	if _, err := r.Enrol(t.Context(), token, registry.Enrolment{PublicKey: key, CSR: "csr"}); err != nil {
		t.Fatal(err)
	}
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// run starts a Runner and stops it when the order has come to the state.
func run(t *testing.T, r *registry.Registry, w *world, order string, until func(*registry.Record) bool) *registry.Record {
	t.Helper()
	runner, err := activation.New(activation.Config{Registry: r, Steps: w.steps(), Logger: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	ended := make(chan error, 1)
	go func() { ended <- runner.Run(ctx) }()
	for {
		changed := r.Changed()
		rec, err := r.Order(ctx, order)
		if err != nil {
			t.Fatal(err)
		}
		if until(rec) {
			cancel()
			if err := <-ended; err != nil {
				t.Fatal(err)
			}
			return rec
		}
		select {
		case <-changed:
		case <-time.After(50 * time.Millisecond): // Waiting is no change of the wish
		}
	}
}

func is(s registry.State) func(*registry.Record) bool {
	return func(rec *registry.Record) bool { return rec.State == s }
}

// TestFaults fails each step once, before and after its effect, and expects the same end: everything
// made once, in order; then everything taken away once, in reverse order.
func TestFaults(t *testing.T) {
	bring := []string{"partition", "certificate", "tunnel"}
	take := []string{"tunnel gone", "revoke", "suspend"}
	for _, fault := range append(append([]string{""}, bring...), take...) {
		for _, effect := range []bool{false, true} {
			t.Run(fmt.Sprintf("%s/%v", fault, effect), func(t *testing.T) {
				t.Parallel()
				r, w := open(t), &world{there: map[string]bool{}, fault: fault, effect: effect}
				o := approve(t, r, orderYAML)
				enrol(t, r, o.ID)
				run(t, r, w, o.ID, is(registry.Active))
				if !slices.Equal(w.acts, bring) {
					t.Errorf("acts %q, want %q", w.acts, bring)
				}
				w.acts = nil
				c := approve(t, r, changeYAML)
				run(t, r, w, c.ID, is(registry.CarriedOut))
				if !slices.Equal(w.acts, take) {
					t.Errorf("acts %q, want %q", w.acts, take)
				}
			})
		}
	}
}

// renewalYAML renews the sample; resumptionYAML brings its keys back.
var (
	renewalYAML    = strings.Replace(orderYAML, "id: ZU-1\n", "id: ZU-2\nrenews: ZU-1\n", 1)
	resumptionYAML = strings.Replace(orderYAML, "id: ZU-1\n", "id: ZU-3\nresume: ZU-1\n", 1)
)

// TestFaultsOfRenewal fails each step of a renewal once, before and after its effect. What is on stays on, and what the
// new order leaves over ends once, after it has taken the old one's place.
func TestFaultsOfRenewal(t *testing.T) {
	for _, fault := range []string{"", "partition", "certificate", "tunnel", "suspend"} {
		for _, effect := range []bool{false, true} {
			t.Run(fmt.Sprintf("%s/%v", fault, effect), func(t *testing.T) {
				t.Parallel()
				r, w := open(t), &world{there: map[string]bool{}}
				o := approve(t, r, orderYAML)
				enrol(t, r, o.ID)
				run(t, r, w, o.ID, is(registry.Active))
				w.acts, w.fault, w.effect = nil, fault, effect
				must(t, r.AddKey(t.Context(), o.ID, "seal", "k1"))
				approve(t, r, renewalYAML)
				old := run(t, r, w, o.ID, func(rec *registry.Record) bool {
					return slices.ContainsFunc(rec.Steps,
						func(s registry.Step) bool { return s.Name == registry.Retired })
				})
				if old.State != registry.Replaced || old.ReplacedBy != "ZU-2" ||
					!slices.Equal(w.acts, []string{"suspend"}) {
					t.Errorf("%s by %q, acts %q", old.State, old.ReplacedBy, w.acts)
				}
			})
		}
	}
}

// TestFirstTunnelWaitsForTheOffice renews an order that had no tunnel: the office has to send the key.
func TestFirstTunnelWaitsForTheOffice(t *testing.T) {
	without := strings.NewReplacer("[B_HSM, P_VPN]", "[B_HSM]", "vpn_request: {site: main}\n", "")
	r, w := open(t), &world{there: map[string]bool{}}
	o := approve(t, r, without.Replace(orderYAML))
	enrol(t, r, o.ID)
	run(t, r, w, o.ID, is(registry.Active))
	next := approve(t, r, renewalYAML)
	rec := run(t, r, w, next.ID, func(rec *registry.Record) bool {
		return rec.Waiting != "" || rec.State == registry.Active
	})
	if !strings.Contains(rec.Waiting, "enrol") || w.there["tunnel"] {
		t.Errorf("it waits for %q, tunnel %v", rec.Waiting, w.there["tunnel"])
	}
}

// TestComesBack resumes the keys before anything else.
func TestComesBack(t *testing.T) {
	r, w := open(t), &world{there: map[string]bool{}}
	o := approve(t, r, orderYAML)
	enrol(t, r, o.ID)
	must(t, r.AddKey(t.Context(), o.ID, "seal", "k1"))
	run(t, r, w, o.ID, is(registry.Active))
	run(t, r, w, approve(t, r, changeYAML).ID, is(registry.CarriedOut))
	w.acts = nil
	back := approve(t, r, resumptionYAML)
	run(t, r, w, back.ID, func(rec *registry.Record) bool { return strings.Contains(rec.Waiting, "enrol") })
	if !slices.Equal(w.acts, []string{"resume"}) { // the partition finds them
		t.Errorf("acts %q", w.acts)
	}
}

// TestWaitsForEnrolment stops after the partition, says why, and goes on in another run.
func TestWaitsForEnrolment(t *testing.T) {
	r, w := open(t), &world{there: map[string]bool{}}
	o := approve(t, r, orderYAML)
	run(t, r, w, o.ID, func(rec *registry.Record) bool { return strings.Contains(rec.Waiting, "enrol") })
	if !slices.Equal(w.acts, []string{"partition"}) {
		t.Errorf("acts %q", w.acts)
	}
	enrol(t, r, o.ID)
	rec := run(t, r, w, o.ID, is(registry.Active))
	if len(rec.Steps) != 3 || rec.Waiting != "" {
		t.Errorf("%+v", rec)
	}
}

// TestChangeBeforeActive ends an order that still waits: nothing more is brought.
func TestChangeBeforeActive(t *testing.T) {
	r, w := open(t), &world{there: map[string]bool{}}
	o := approve(t, r, orderYAML)
	run(t, r, w, o.ID, func(rec *registry.Record) bool { return rec.Waiting != "" })
	c := approve(t, r, changeYAML)
	run(t, r, w, c.ID, is(registry.CarriedOut))
	rec := run(t, r, w, o.ID, is(registry.Ended))
	if w.there["tunnel"] || w.there["certificate"] || w.there["keys"] {
		t.Errorf("left: %v, %+v", w.there, rec)
	}
}
