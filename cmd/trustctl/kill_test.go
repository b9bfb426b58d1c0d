package main

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"trustcore/cmd/internal/registry"
	"trustcore/internal/audit"
)

// TestKilledInTheMiddle kills trustd between the steps of an order, without a warning, again and again: what
// was acknowledged is still there, nothing is done twice, and the office enrols with the token it has.
func TestKilledInTheMiddle(t *testing.T) {
	w, dir, order := demonstrated(t)
	trustd := w.daemon(t, dir, "trustd", "8450")
	w.must(t, "order", "submit", order, "--state", dir)
	trustd.kill(t)
	trustd = w.daemon(t, dir, "trustd", "8450")
	var given token
	if err := json.Unmarshal([]byte(w.must(t, "order", "approve", "ZU-KILL", "--as", "officer-2", "--json", "--state", dir)), &given); err != nil {
		t.Fatal(err)
	}
	trustd.kill(t) // while the key is being made, or right before or after
	trustd = w.daemon(t, dir, "trustd", "8450")
	vpnd := w.daemon(t, dir, "vpnd", "8451")
	for i := range 3 { // while the office enrols, a little later each time
		enrolled := w.enrol(t, dir, given)
		time.Sleep(time.Duration(i*15) * time.Millisecond) // which moment is hit does not matter: every one must do
		trustd.kill(t)
		<-enrolled // it fails, or was just in time
		trustd = w.daemon(t, dir, "trustd", "8450")
	}
	if err := <-w.enrol(t, dir, given); err != nil {
		t.Fatal(err)
	}
	once(t, w, dir)
	vpnd.kill(t)
	trustd.kill(t)
}

// demonstrated is a world as root, with the state that a demonstration has left and a further order for it.
func demonstrated(t *testing.T) (w *world, dir, order string) {
	t.Helper()
	if os.Geteuid() != 0 {
		t.Skip("it needs root for a network of its own")
	}
	w = newWorld(t, 0)
	dir = w.folder(t)
	if out, err := w.trustctl(t, "up", "--demo", "--once", "--state", dir); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	order = filepath.Join(dir, "order.yaml")
	if err := os.WriteFile(order, []byte(killOrder), 0o600); err != nil {
		t.Fatal(err)
	}
	return w, dir, order
}

const killOrder = `id: ZU-KILL
kind: activation
partner: {id: um-kill, name: Urząd}
agreement: {number: UR/2, signed: 2026-01-15}
components: [B_HSM, P_VPN]
vpn_request: {site: main}
hsm_authorization:
  application: ezd
  keys: [{name: seal, algorithm: RSA-3072, mechanisms: [RSA-PKCS1-SHA256]}]
  not_before: 2026-01-01T00:00:00Z
  not_after: 2036-01-01T00:00:00Z
`

// once checks that the order is carried out, each step once.
func once(t *testing.T, w *world, dir string) {
	t.Helper()
	var rec registry.Record
	if err := json.Unmarshal([]byte(w.must(t, "order", "show", "ZU-KILL", "--json", "--state", dir)), &rec); err != nil {
		t.Fatal(err)
	}
	if rec.State != registry.Active || len(rec.Steps) != 3 {
		t.Errorf("%+v", rec)
	}
	w.must(t, "audit", "verify", "--state", dir)
	var entries []audit.Recorded
	if err := json.Unmarshal([]byte(w.must(t, "audit", "list", "--order", "ZU-KILL", "--json", "--state", dir)), &entries); err != nil {
		t.Fatal(err)
	}
	keys, _, _ := strings.Cut(rec.Steps[0].Fact, " ")
	_, key, _ := strings.Cut(keys, "=")
	made := map[string]bool{}
	for _, e := range entries {
		if strings.HasPrefix(e.Action, "hsm.") {
			made[e.Subject] = true
		}
	}
	if !made[key] {
		t.Errorf("the birth of key %s is not in the log: %v", key, made)
	}
}

// must runs trustctl and demands that it works.
func (w *world) must(t *testing.T, args ...string) string {
	t.Helper()
	out, err := w.trustctl(t, args...)
	if err != nil {
		t.Fatalf("%v: %v\n%s", args, err, out)
	}
	return out
}

// running is a daemon that the test may kill.
type running struct {
	cmd   *exec.Cmd
	ended chan error
}

// daemon starts a daemon on the state and waits until it answers.
func (w *world) daemon(t *testing.T, dir, name, operations string) *running {
	t.Helper()
	log, err := os.OpenFile(filepath.Join(dir, "log", name+".log"), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		t.Fatal(err)
	}
	defer log.Close()
	r := &running{cmd: exec.Command(filepath.Join(w.bin, name), "--config", filepath.Join(dir, "config", name+".yaml")), ended: make(chan error, 1)}
	r.cmd.Stdout, r.cmd.Stderr = log, log
	if err := w.ns.Start(r.cmd); err != nil {
		t.Fatal(err)
	}
	go func() { r.ended <- r.cmd.Wait() }()
	t.Cleanup(func() { _ = r.cmd.Process.Kill() }) // it was ended already, unless the test failed
	for deadline := time.Now().Add(30 * time.Second); !w.healthy(operations); time.Sleep(20 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("%s does not answer\n%s", name, logs(dir))
		}
	}
	return r
}

// healthy asks a daemon's operations listener inside the world's network.
func (w *world) healthy(port string) bool { return w.get(port, "/livez") == http.StatusOK }

// get returns the status of a page on loopback, or 0. The connection is made on the thread that is in the
// world's network; an http.Client would make it on another.
func (w *world) get(port, path string) int {
	var c net.Conn
	err := w.ns.Do(func() (err error) {
		c, err = net.DialTimeout("tcp4", "127.0.0.1:"+port, time.Second)
		return err
	})
	if err != nil {
		return 0
	}
	defer c.Close()
	_ = c.SetDeadline(time.Now().Add(10 * time.Second)) // a socket can be open with nobody behind it
	if _, err := io.WriteString(c, "GET "+path+" HTTP/1.0\r\n\r\n"); err != nil {
		return 0
	}
	response, err := http.ReadResponse(bufio.NewReader(c), nil)
	if err != nil {
		return 0
	}
	_ = response.Body.Close() // the status is all
	return response.StatusCode
}

// kill ends it without a warning.
func (r *running) kill(t *testing.T) {
	t.Helper()
	r.signal(t, syscall.SIGKILL)
}

// end has it end by itself.
func (r *running) end(t *testing.T) {
	t.Helper()
	r.signal(t, syscall.SIGTERM)
}

func (r *running) signal(t *testing.T, s os.Signal) {
	t.Helper()
	if err := r.cmd.Process.Signal(s); err != nil {
		t.Fatal(err)
	}
	<-r.ended
}

// enrol runs the office's program and tells how it ended.
func (w *world) enrol(t *testing.T, dir string, given token) <-chan error {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	cmd := exec.CommandContext(ctx, filepath.Join(w.bin, "trustlink"), "enrol", "--url", given.URL, "--token", "-",
		"--ca", filepath.Join(dir, "identity", "ca.pem"), "--state", filepath.Join(dir, "office"))
	cmd.Stdin = strings.NewReader(given.Token)
	var said bytes.Buffer
	cmd.Stdout, cmd.Stderr = &said, &said
	if err := w.ns.Start(cmd); err != nil {
		t.Fatal(err)
	}
	ended := make(chan error, 1)
	go func() {
		defer cancel()
		err := cmd.Wait()
		if err != nil {
			err = fmt.Errorf("%w: %s", err, bytes.TrimSpace(said.Bytes()))
		}
		ended <- err
	}()
	return ended
}
