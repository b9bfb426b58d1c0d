package main

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"trustcore/cmd/internal/activation"
	"trustcore/cmd/internal/registry"
	"trustcore/hsm"
	"trustcore/hsm/hsmtest"
	"trustcore/vpn"
	"trustcore/vpn/namespace"
)

// How a step of an order fails: before it does anything, after it did everything, that and the registry knows nothing of it, or
// trustd dies at one of these points.
const (
	failsForgotten = "fails, done and forgotten"
	failsBefore    = "fails"
	failsDone      = "fails, though done"
	diesBefore     = "dies before it"
	diesDone       = "dies when it is done"
)

var faults = []string{failsBefore, failsDone, failsForgotten, diesBefore, diesDone}

// stepNames are the acts that orders consist of.
var stepNames = []string{"partition", "certificate", "tunnel", "tunnel gone", "revoke", "suspend"}

// fault makes one step fail the first times that it is done.
type fault struct {
	step, mode string
	times      int
	forget     func() // takes what was done from the registry
	mu         sync.Mutex
}

var errFault = errors.New("a fault of the test")

// around runs do with the fault.
func (f *fault) around(step string, do func() error) error {
	f.mu.Lock()
	due := f.step == step && f.times > 0
	if due {
		f.times--
	}
	f.mu.Unlock()
	if !due {
		return do()
	}
	if f.mode == diesBefore {
		die()
	}
	if f.mode == failsBefore {
		return errFault
	}
	err := do()
	switch f.mode {
	case diesDone:
		die()
	case failsForgotten:
		f.forget()
	}
	return errors.Join(err, errFault)
}

func die() {
	_ = syscall.Kill(os.Getpid(), syscall.SIGKILL)
	select {}
}

// in puts the fault around the real steps.
func (f *fault) in(s activation.Steps) activation.Steps {
	fact := func(step string, do func() (string, error)) (fact string, err error) {
		err = f.around(step, func() (err error) { fact, err = do(); return err })
		return fact, err
	}
	return activation.Steps{
		Resume: s.Resume,
		Partition: func(ctx context.Context, rec registry.Record) (string, error) {
			return fact("partition", func() (string, error) { return s.Partition(ctx, rec) })
		},
		Certificate: func(ctx context.Context, rec registry.Record, e *registry.Enrolment) (string, error) {
			return fact("certificate", func() (string, error) { return s.Certificate(ctx, rec, e) })
		},
		Tunnel: func(ctx context.Context, rec registry.Record, e *registry.Enrolment) (string, error) {
			return fact("tunnel", func() (string, error) { return s.Tunnel(ctx, rec, e) })
		},
		LeaveSites: s.LeaveSites,
		TunnelGone: func(ctx context.Context, order string) error {
			return f.around("tunnel gone", func() error { return s.TunnelGone(ctx, order) })
		},
		Revoke: func(ctx context.Context, order string, ended []registry.Component, all bool, by string) error {
			return f.around("revoke", func() error { return s.Revoke(ctx, order, ended, all, by) })
		},
		Suspend: func(ctx context.Context, order, by string) error {
			return f.around("suspend", func() error { return s.Suspend(ctx, order, by) })
		},
	}
}

// TestFaultsOfEveryStep brings an order and takes it away again while one of the real steps fails, or trustd dies there, in each
// way. However it went, nothing is left in the end: no certificate that counts, no key that signs, no peer in the wish, no
// element in a set of the firewall.
func TestFaultsOfEveryStep(t *testing.T) {
	if _, err := os.Stat(hsmtest.SoftHSM); err != nil {
		t.Skip("SoftHSM2 is not installed (apt-get install softhsm2)")
	}
	for _, step := range stepNames {
		for _, mode := range faults {
			t.Run(step+" "+mode, func(t *testing.T) {
				t.Parallel()
				o := newOutside(t, &fault{step: step, mode: mode, times: 2})
				o.bring("ZU-1")
				o.awaitState("ZU-1", registry.Active)
				if o.site != nil {
					o.await("the office in the firewall", o.inFirewall)
				}
				o.takeAway("ZZ-1")
				o.awaitState("ZZ-1", registry.CarriedOut)
				o.wantNothingLeft()
				o.wantFaults()
			})
		}
	}
}

// TestChangeOrderOverAStuckActivation switches off what could never be carried out: what it made until then goes too.
func TestChangeOrderOverAStuckActivation(t *testing.T) {
	if _, err := os.Stat(hsmtest.SoftHSM); err != nil {
		t.Skip("SoftHSM2 is not installed (apt-get install softhsm2)")
	}
	for _, step := range stepNames[:3] {
		t.Run(step, func(t *testing.T) {
			t.Parallel()
			o := newOutside(t, &fault{step: step, mode: failsForgotten, times: 1 << 30})
			o.bring("ZU-1")
			o.await("the fault", func() bool { return strings.Contains(o.order("ZU-1").Waiting, errFault.Error()) })
			o.takeAway("ZZ-1")
			o.awaitState("ZZ-1", registry.CarriedOut)
			o.wantNothingLeft()
		})
	}
}

// outside is everybody around a trustd that runs as a process of its own: two officers, an office, a gateway, and the one who
// starts it again when it died.
type outside struct {
	*world
	fault *fault
	site  *site             // of a real gateway; nil where none can run
	ports map[string]string // guarded by mu
	lives int               // of trustd; guarded by mu
	mu    sync.Mutex
}

// wantFaults fails when the faults that the test is about did not happen.
func (o *outside) wantFaults() {
	o.t.Helper()
	o.mu.Lock()
	lives := o.lives
	o.mu.Unlock()
	log, err := os.ReadFile(filepath.Join(o.dir, "log"))
	o.must(err)
	switch o.fault.mode {
	case diesBefore, diesDone:
		if lives != o.fault.times+1 {
			o.t.Errorf("trustd had %d lives, want %d", lives, o.fault.times+1)
		}
	default:
		if n := strings.Count(string(log), errFault.Error()); n < min(o.fault.times, 2) {
			o.t.Errorf("the step failed %d times", n)
		}
	}
}

var foundation struct {
	once sync.Once
	dir  string
}

// founded is the folder of a world after its ceremony, which is held once: the outsides begin with copies of it.
func founded(t *testing.T) string {
	t.Helper()
	foundation.once.Do(func() {
		dir, err := os.MkdirTemp("", "founded-")
		if err != nil {
			t.Fatal(err)
		}
		w := &world{t: t, dir: dir}
		w.perform(w.config().Config)
		foundation.dir = dir
	})
	return foundation.dir
}

// childConfig is what the process is told.
type childConfig struct {
	Dir, Step, Mode string
	Times           int
}

// mostLives is more than any fault takes.
const mostLives = 10

const childArgument = "trustd-with-a-fault"

// newOutside performs the ceremony and keeps trustd running until the test ends.
func newOutside(t *testing.T, f *fault) *outside {
	t.Helper()
	o := &outside{world: &world{t: t, dir: t.TempDir()}, fault: f}
	o.must(exec.CommandContext(t.Context(), "cp", "-a", founded(t)+"/.", o.dir).Run()) // with modes: open PIN files are refused
	ctx, stop := context.WithCancel(context.Background())
	var running sync.WaitGroup
	running.Go(func() { o.keep(ctx) })
	if !canFilter() {
		running.Go(func() { o.gateway(ctx) })
	}
	t.Cleanup(func() { stop(); running.Wait() })
	o.await("trustd", func() bool { return o.port("admin") != "" })
	if canFilter() {
		o.site = newSite(o)
	}
	return o
}

// canFilter reports whether a real gateway can run here, with a firewall of its own that can be read.
func canFilter() bool {
	_, err := exec.LookPath("nft")
	return err == nil && namespace.Available() == nil
}

// inFirewall reports whether the kernel lets an office's tunnel address in; false with a gateway that is none.
func (o *outside) inFirewall() bool {
	o.t.Helper()
	return o.site != nil && strings.Contains(o.site.firewall(), officeAddress)
}

// officeAddress is the first that the pool of a new world gives.
const officeAddress = "10.64.0.2"

// keep starts trustd, and again whenever it dies; a fault that kills happens once in each of the first lives.
func (o *outside) keep(ctx context.Context) {
	runtime.LockOSThread() // the kernel ends the process when the thread that started it ends
	for times := o.fault.times; ctx.Err() == nil; times-- {
		faults := 1
		switch o.fault.mode {
		case diesBefore, diesDone:
			if times <= 0 {
				faults = 0
			}
		default:
			faults = o.fault.times
		}
		o.mu.Lock()
		o.lives++
		lives := o.lives
		o.mu.Unlock()
		if lives > mostLives {
			o.t.Errorf("trustd does not live: it was started %d times", lives)
			return
		}
		text, _ := json.Marshal(childConfig{o.dir, o.fault.step, o.fault.mode, faults}) // strings and a number: it can't fail
		cmd := exec.CommandContext(ctx, "/proc/self/exe", childArgument, string(text))
		cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
		cmd.Cancel = func() error { return cmd.Process.Signal(syscall.SIGTERM) }
		said, err := cmd.StdoutPipe()
		if err == nil {
			err = cmd.Start()
		}
		if err != nil {
			o.t.Errorf("trustd: %v", err)
			return
		}
		for lines := bufio.NewScanner(said); lines.Scan(); {
			var ports map[string]string
			if json.Unmarshal(lines.Bytes(), &ports) == nil {
				o.mu.Lock()
				o.ports = ports
				o.mu.Unlock()
			}
		}
		_ = cmd.Wait() // killed by itself, or by the end of the test
	}
}

// serveFaulty is the process: trustd with the fault around its steps. It says its addresses on standard output.
func serveFaulty(text string) error {
	var c childConfig
	if err := json.Unmarshal([]byte(text), &c); err != nil {
		return err
	}
	ctx, stop := context.WithCancel(context.Background())
	defer stop()
	w := &world{dir: c.Dir}
	cfg := w.config()
	if log, err := os.OpenFile(filepath.Join(c.Dir, "log"), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600); err == nil {
		cfg.Logger = slog.New(slog.NewJSONHandler(log, nil))
	}
	d, err := open(ctx, cfg)
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return err
	}
	f := &fault{step: c.Step, mode: c.Mode, times: c.Times, forget: func() {
		for _, table := range []string{"certificates", "order_keys"} {
			if _, err := d.custody.DB.ExecContext(ctx, "DELETE FROM "+table); err != nil {
				panic(err)
			}
		}
	}}
	if d.runner, err = activation.New(activation.Config{Registry: d.registry, Steps: f.in(d.steps()), Logger: cfg.Logger}); err != nil {
		return err
	}
	ports := map[string]string{}
	for _, s := range d.servers {
		ports[s.Name] = s.Listener.Addr().String()
	}
	if err := json.NewEncoder(os.Stdout).Encode(ports); err != nil {
		return err
	}
	return errors.Join(d.run(ctx), d.close())
}

func (o *outside) port(listener string) string {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.ports[listener]
}

// await waits until something is so.
func (o *outside) await(what string, so func() bool) {
	o.t.Helper()
	for deadline := time.Now().Add(3 * time.Minute); !so(); {
		if time.Now().After(deadline) {
			log, _ := os.ReadFile(filepath.Join(o.dir, "log"))
			o.t.Fatalf("%s never came; the log ends %s", what, log[max(0, len(log)-2000):])
		}
		<-time.After(50 * time.Millisecond)
	}
}

// try sends a request; an answer is had from a trustd that lives, so it is sent again until there is one.
func (o *outside) try(holder, method, listener, path string, body []byte) answer {
	o.t.Helper()
	var a answer
	o.await(method+" "+path, func() bool {
		request, err := http.NewRequestWithContext(o.t.Context(), method, "https://"+o.port(listener)+path, strings.NewReader(string(body)))
		o.must(err)
		response, err := o.client(holder).Do(request)
		if err != nil {
			return false
		}
		defer response.Body.Close()
		data, err := io.ReadAll(response.Body)
		a = answer{response.StatusCode, data}
		return err == nil && response.StatusCode != http.StatusServiceUnavailable
	})
	return a
}

func (o *outside) order(id string) registry.Record {
	o.t.Helper()
	var rec registry.Record
	a := o.try("officer-1", "GET", "admin", "/v1/orders?id="+url.QueryEscape(id), nil)
	if a.status == http.StatusOK {
		o.must(json.Unmarshal(a.body, &rec))
	}
	return rec
}

func (o *outside) awaitState(id string, state registry.State) {
	o.t.Helper()
	o.await(id+" "+string(state), func() bool { return o.order(id).State == state })
}

// decide submits an order and approves it, however often trustd dies meanwhile.
func (o *outside) decide(id, text string) {
	o.t.Helper()
	o.try("officer-1", "POST", "admin", "/v1/orders", []byte(text))
	o.try("officer-2", "POST", "admin", "/v1/orders/approve", []byte(`{"id":"`+id+`"}`))
	if rec := o.order(id); rec.DecidedBy != "officer-2" {
		o.t.Fatalf("order %s: %+v", id, rec)
	}
}

// bring orders keys and a tunnel, and enrols the office.
func (o *outside) bring(id string) {
	o.t.Helper()
	until := time.Now().AddDate(2, 0, 0).UTC().Format(time.RFC3339)
	o.decide(id, `
id: `+id+`
kind: activation
partner: {id: um-nowe, name: Urząd Miasta Nowe}
agreement: {number: UR/1/2026, signed: 2026-01-15}
components: [B_HSM, P_VPN]
vpn_request: {site: main}
hsm_authorization:
  application: ezd
  keys: [{name: seal, algorithm: P-256, mechanisms: [ECDSA-SHA256]}]
  not_before: 2026-01-01T00:00:00Z
  not_after: `+until+"\n")
	var token struct{ Token string }
	o.must(json.Unmarshal(o.try("officer-2", "POST", "admin", "/v1/orders/token", []byte(`{"id":"`+id+`"}`)).body, &token))
	key, err := vpn.GeneratePrivateKey()
	o.must(err)
	_, csr := o.request("um-nowe ezd")
	body, err := json.Marshal(enrolRequest{Token: token.Token, PublicKey: key.Public().String(), CSR: csr})
	o.must(err)
	// The answer is held until the order is carried out: a stuck one is not waited for.
	ctx, cancel := context.WithTimeout(o.t.Context(), time.Second)
	defer cancel()
	o.await("the enrolment", func() bool {
		request, err := http.NewRequestWithContext(ctx, "POST", "https://"+o.port("enrolment")+"/v1/enrolments", strings.NewReader(string(body)))
		o.must(err)
		response, err := o.client("").Do(request)
		if err == nil {
			o.must(response.Body.Close())
		}
		return ctx.Err() != nil || err == nil
	})
	o.await("the enrolment's use", func() bool { return o.enrolled(id, body) })
}

// enrolled sends the same enrolment again until trustd has taken it: it died, or the request above did not reach it.
func (o *outside) enrolled(id string, body []byte) bool {
	if rec := o.order(id); rec.State == registry.Active || !strings.Contains(rec.Waiting, "enrol") && rec.Waiting != "" {
		return true
	}
	ctx, cancel := context.WithTimeout(o.t.Context(), time.Second)
	defer cancel()
	request, err := http.NewRequestWithContext(ctx, "POST", "https://"+o.port("enrolment")+"/v1/enrolments", strings.NewReader(string(body)))
	o.must(err)
	if response, err := o.client("").Do(request); err == nil {
		o.must(response.Body.Close())
	}
	return false
}

func (o *outside) takeAway(id string) {
	o.t.Helper()
	o.decide(id, "id: "+id+"\nkind: change\npartner: {id: um-nowe}\ncomponents: [B_HSM, P_VPN]\n")
}

// gateway carries every wish out at once and reports it.
func (o *outside) gateway(ctx context.Context) {
	applied := vpn.Applied{}
	for ctx.Err() == nil {
		q := url.Values{"epoch": {applied.Epoch}, "revision": {strconv.FormatInt(applied.Revision, 10)}, "digest": {applied.Digest}}
		var a vpn.Answer
		if o.gatewayCall(ctx, "GET", "/v1/vpn/wish?"+q.Encode(), nil, &a) && a.Wish != nil {
			applied = vpn.Applied{Epoch: a.Wish.Epoch, Revision: a.Wish.Revision, Digest: a.Wish.Digest}
		}
		o.gatewayCall(ctx, "POST", "/v1/vpn/status", vpn.Status{Applied: applied, PublicKey: vpn.Key{9}, ListenPort: 51820, LeaseSeconds: 900}, nil)
	}
}

func (o *outside) gatewayCall(ctx context.Context, method, path string, in, out any) bool {
	var body []byte // none of a GET: trustd sees the end of a connection only when it has read all of a request
	if in != nil {
		body, _ = json.Marshal(in) // a status: it can't fail
	}
	ctx, cancel := context.WithTimeout(ctx, 2*time.Second)
	defer cancel()
	request, err := http.NewRequestWithContext(ctx, method, "https://"+o.port("admin")+path, strings.NewReader(string(body)))
	if err != nil {
		return false
	}
	response, err := o.client("vpnd").Do(request)
	if err != nil {
		select {
		case <-ctx.Done():
		case <-time.After(50 * time.Millisecond):
		}
		return false
	}
	defer response.Body.Close()
	return out == nil || response.StatusCode == http.StatusOK && json.NewDecoder(response.Body).Decode(out) == nil
}

// wantNothingLeft asks the owners: the authority's inventory, the HSM's, and the wish.
func (o *outside) wantNothingLeft() {
	o.t.Helper()
	var valid marked
	o.must(json.Unmarshal(o.try("officer-1", "GET", "admin", "/v1/certificates?partner=um-nowe&state=valid", nil).body, &valid))
	for _, c := range valid.Certificates {
		o.t.Errorf("left: certificate %s, profile %s, order %s", c.Serial, c.Profile, c.Order)
	}
	var a vpn.Answer
	if !o.gatewayCall(o.t.Context(), "GET", "/v1/vpn/wish?epoch=&revision=0&digest=", nil, &a) || a.Wish == nil || len(a.Wish.Peers) != 0 {
		o.t.Errorf("left: a wish with %+v", a.Wish)
	}
	if o.inFirewall() {
		o.t.Errorf("left: the office in the firewall: %s", o.site.firewall())
	}
	o.wantNoKeys()
}

func (o *outside) wantNoKeys() {
	o.t.Helper()
	var keys []keyOfPartner
	o.must(json.Unmarshal(o.try("officer-1", "GET", "admin", "/v1/keys?partner=um-nowe", nil).body, &keys))
	for _, k := range keys {
		if k.State != string(hsm.Suspended) && k.State != string(hsm.Destroyed) {
			o.t.Errorf("left: key %s of order %s, %s", k.ID, k.Order, k.State)
		}
	}
}
