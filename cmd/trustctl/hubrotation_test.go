package main

import (
	"bufio"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"testing"
	"time"

	"trustcore/vpn"
)

// TestHubKeyRotatesUnderAConnection has the real trustd, vpnd and trustlink rotate the key of the hub: an order is carried out, the
// office enrols, an officer asks for the next key, the office follows by the core's signed settings, two officers end the former
// one. A connection that was made before goes on after it.
func TestHubKeyRotatesUnderAConnection(t *testing.T) {
	w, dir, order := demonstrated(t)
	onLoopback(t, filepath.Join(dir, "config", "trustd.yaml"))
	w.daemon(t, dir, "trustd", "8450")
	vpnd := w.daemon(t, dir, "vpnd", "8451")
	w.must(t, "order", "submit", order, "--state", dir)
	var given token
	if err := json.Unmarshal([]byte(w.must(t, "order", "approve", "ZU-KILL", "--as", "officer-2", "--json", "--state", dir)), &given); err != nil {
		t.Fatal(err)
	}
	if err := <-w.enrol(t, dir, given); err != nil {
		t.Fatal(err)
	}
	r := &rotation{t: t, w: w, dir: dir}
	r.up()
	r.exchange("before")
	former := r.hub()
	w.must(t, "vpn", "rotate", "hub-key", "vpnd", "--state", dir)
	r.until("the hub has its next key", func(s vpn.Status) bool { return s.Next != nil })
	next := r.status().Next.PublicKey
	r.exchange("while there are two keys")
	r.until("the office has followed", func(s vpn.Status) bool {
		r.asks()
		for _, p := range s.Peers {
			if p.Partner == "um-kill" && p.Followed {
				return true
			}
		}
		return false
	})
	r.exchange("by the next key")
	if got := r.hub(); got != next {
		t.Errorf("the office has the hub's key %s, the next one is %s", got, next)
	}
	r.ends()
	r.until("the former key has ended", func(s vpn.Status) bool { return s.Next == nil && s.PublicKey == next && s.Second })
	r.exchange("after the former key's end")
	if next == former {
		t.Error("the hub has the key that it had")
	}
	log := w.must(t, "audit", "list", "--state", dir)
	for _, act := range []string{"gateway.ask-key", "gateway.end-key"} {
		if !strings.Contains(log, act) {
			t.Errorf("there is no entry of %s", act)
		}
	}
	vpnd.end(t)
}

// onLoopback has offices reach the hub on loopback: the demonstration's own network is gone.
func onLoopback(t *testing.T, file string) {
	t.Helper()
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	changed := regexp.MustCompile(`(endpoint: )\S+(:\d+)`).ReplaceAll(text, []byte("${1}127.0.0.1${2}"))
	if err := os.WriteFile(file, changed, 0o600); err != nil {
		t.Fatal(err)
	}
}

// rotation is an office with a connection through its tunnel.
type rotation struct {
	t    *testing.T
	w    *world
	dir  string
	conn net.Conn
	in   *bufio.Reader
}

// office runs the office's program in the world's network.
func (r *rotation) office(args ...string) *exec.Cmd {
	return exec.CommandContext(r.t.Context(), filepath.Join(r.w.bin, "trustlink"), append(args, "--state", filepath.Join(r.dir, "office"))...)
}

// up brings the tunnel up, and a connection to a service behind it.
func (r *rotation) up() {
	r.t.Helper()
	cmd := r.office("up", "--mode", "netstack", "--json")
	out, err := cmd.StdoutPipe()
	if err != nil {
		r.t.Fatal(err)
	}
	log, err := os.Create(filepath.Join(r.dir, "log", "trustlink.log"))
	if err != nil {
		r.t.Fatal(err)
	}
	defer log.Close()
	cmd.Stderr = log
	if err := r.w.ns.Start(cmd); err != nil {
		r.t.Fatal(err)
	}
	r.t.Cleanup(func() { _ = cmd.Process.Signal(syscall.SIGTERM); _ = cmd.Wait() })
	line, err := bufio.NewReader(out).ReadString('\n')
	if err != nil {
		r.t.Fatalf("%v\n%s", err, logs(r.dir))
	}
	var ready struct {
		Forwards []struct {
			Local   netip.AddrPort
			Service string
		}
	}
	if err := json.Unmarshal([]byte(line), &ready); err != nil {
		r.t.Fatal(err)
	}
	for _, f := range ready.Forwards {
		if f.Service != "pki" {
			continue
		}
		err := r.w.ns.Do(func() (err error) {
			r.conn, err = net.Dial("tcp", f.Local.String())
			return err
		})
		if err != nil {
			r.t.Fatal(err)
		}
		r.in = bufio.NewReader(r.conn)
	}
	if r.conn == nil {
		r.t.Fatalf("no service pki in %s", line)
	}
	r.t.Cleanup(func() { r.conn.Close() })
}

// exchange asks and is answered by the connection that was made at first.
func (r *rotation) exchange(when string) {
	r.t.Helper()
	err := r.conn.SetDeadline(time.Now().Add(time.Minute))
	if err == nil {
		_, err = fmt.Fprintf(r.conn, "GET /pki/crl/issuing.crl HTTP/1.1\r\nHost: %s\r\n\r\n", tunnelPKI)
	}
	var answer *http.Response
	if err == nil {
		answer, err = http.ReadResponse(r.in, nil)
	}
	if err == nil {
		_, err = io.Copy(io.Discard, answer.Body)
	}
	if err != nil || answer.StatusCode != http.StatusOK || answer.Close {
		r.t.Fatalf("%s: %+v, %v\n%s", when, answer, err, logs(r.dir))
	}
}

// asks has the office ask the core now what it is to do; it does so every few minutes by itself.
func (r *rotation) asks() {
	cmd := r.office("rotate")
	if err := r.w.ns.Start(cmd); err == nil {
		_ = cmd.Wait() // a tunnel rests for a minute between two rotations, and says so
	}
}

// hub is the hub's key that the office has.
func (r *rotation) hub() (key vpn.Key) {
	r.t.Helper()
	cmd := r.office("show")
	var out strings.Builder
	cmd.Stdout = &out
	err := r.w.ns.Start(cmd)
	if err == nil {
		err = cmd.Wait()
	}
	found := regexp.MustCompile(`(?m)^PublicKey *= *(\S+)`).FindStringSubmatch(out.String())
	if err == nil && found == nil {
		err = fmt.Errorf("no key in %q", out.String())
	}
	if err == nil {
		key, err = vpn.ParseKey(found[1])
	}
	if err != nil {
		r.t.Fatal(err)
	}
	return key
}

// status is what the gateway reported last.
func (r *rotation) status() vpn.Status {
	r.t.Helper()
	out, _ := r.w.trustctl(r.t, "vpn", "status", "--json", "--state", r.dir) // status 3 while something is to be told
	var s vpnStatus
	if err := json.Unmarshal([]byte(out), &s); err != nil {
		r.t.Fatalf("%v: %s", err, out)
	}
	return s.Gateways["vpnd"]
}

func (r *rotation) until(what string, is func(vpn.Status) bool) {
	r.t.Helper()
	for end := time.Now().Add(2 * time.Minute); !is(r.status()); time.Sleep(200 * time.Millisecond) {
		if time.Now().After(end) {
			r.t.Fatalf("%s: not within two minutes: %+v\n%s", what, r.status(), logs(r.dir))
		}
	}
}

// ends has two officers end the former key; one alone can't.
func (r *rotation) ends() {
	r.t.Helper()
	var m motion
	text := r.w.must(r.t, "motion", "end-hub-key", "vpnd", "--as", "officer-1", "--json", "--state", r.dir)
	if err := json.Unmarshal([]byte(text), &m); err != nil {
		r.t.Fatalf("%v: %s", err, text)
	}
	out, err := r.w.trustctl(r.t, "motion", "approve", m.ID, "--as", "officer-1", "--state", r.dir)
	want(r.t, out, err, "another officer")
	r.w.must(r.t, "motion", "approve", m.ID, "--as", "officer-2", "--state", r.dir)
}
