package main

import (
	"bufio"
	"bytes"
	"context"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"
)

// serving is an appliance that goes on after its demonstration.
type serving struct {
	dir  string
	cmd  *exec.Cmd
	out  *bufio.Reader
	said strings.Builder
}

// serve starts trustctl up and waits until it serves. The test's end ends it, if nothing did before.
func (w *world) serve(t *testing.T, dir string, flags ...string) *serving {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 5*time.Minute) // what is not said by then is never said
	t.Cleanup(cancel)
	s := &serving{dir: dir, cmd: w.command(ctx, append([]string{"up", "--state", dir}, flags...)...)}
	out, err := s.cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	s.out, s.cmd.Stderr = bufio.NewReader(out), s.cmd.Stdout
	if err := w.start(s.cmd); err != nil {
		t.Fatal(err)
	}
	s.until(t, "The appliance serves")
	return s
}

// until reads what the appliance says up to a line with the text.
func (s *serving) until(t *testing.T, text string) {
	t.Helper()
	for {
		line, err := s.out.ReadString('\n')
		s.said.WriteString(line)
		if strings.Contains(line, text) {
			return
		}
		if err != nil {
			t.Fatalf("%q was not said: %v\n%s", text, err, s.said.String())
		}
	}
}

// end ends the appliance as Ctrl-C does.
func (s *serving) end(t *testing.T) {
	t.Helper()
	if err := s.cmd.Process.Signal(os.Interrupt); err != nil {
		t.Fatal(err)
	}
	if err := s.cmd.Wait(); err != nil {
		t.Errorf("%v\n%s", err, s.said.String())
	}
}

// hostState is what of the host's network an appliance might change; sockets are apart, since it listens.
const (
	hostState = `ip -d -o link; ip addr; ip rule; ip -6 rule; ip route show table all; ip -6 route show table all
		nft list ruleset
		cd /proc/sys/net && grep -r . . 2>/dev/null | grep -v conntrack_count | sort`
	hostSockets = "ss -H -l -t -u -n"
)

// look runs a script in the world's network.
func (w *world) look(t *testing.T, script string) string {
	t.Helper()
	cmd := exec.Command("/bin/sh", "-c", script)
	var out bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &out
	if err := w.ns.Start(cmd); err != nil {
		t.Fatal(err)
	}
	if err := cmd.Wait(); err != nil {
		t.Fatalf("%v\n%s", err, out.String())
	}
	return out.String()
}

// TestHostStaysAsItIs runs the demonstration on hosts whose own addresses are those that it uses inside.
func TestHostStaysAsItIs(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("it needs root for a host of its own")
	}
	for _, gateway := range []string{"192.0.2.1", "10.64.7.7"} {
		t.Run("default route through "+gateway, func(t *testing.T) {
			w := newWorld(t, 0)
			w.look(t, `set -e
				ip link add lan type veth peer name cable
				for i in lan cable; do ip link set $i addrgenmode none up; done
				ip addr add 192.0.2.2/24 dev lan
				ip addr add 10.64.0.1/16 dev lan
				ip route add default via `+gateway+`
				nft add table inet trustcore; nft add table ip mine`)
			before, sockets := w.look(t, hostState), w.look(t, hostSockets)
			dir := w.folder(t)
			a := w.serve(t, dir, "--demo")
			if during := w.look(t, hostState); during != before {
				t.Errorf("while it serves the host is\n%s\nand was\n%s", during, before)
			}
			w.reachedFromTheHost(t, dir)
			a.separated(t, w)
			a.end(t)
			if after := w.look(t, hostState); after != before {
				t.Errorf("after it the host is\n%s\nand was\n%s", after, before)
			}
			if left := w.look(t, hostSockets); left != sockets {
				t.Errorf("sockets left behind:\n%s", left)
			}
		})
	}
}

// reachedFromTheHost uses what people use, from outside of the demonstration's network.
func (w *world) reachedFromTheHost(t *testing.T, dir string) {
	t.Helper()
	if orders := w.must(t, "order", "show", "--state", dir); !strings.Contains(orders, "carried-out") {
		t.Error(orders)
	}
	if link := w.must(t, "console", "--state", dir); !strings.HasPrefix(link, "https://127.0.0.1:8443/") {
		t.Error(link)
	}
	ca := filepath.Join(dir, "identity", "ca.pem")
	client := "openssl s_client -quiet -verify_quiet -verify_return_error -CAfile " + ca + " -connect "
	for _, door := range []string{"127.0.0.1:8443", "127.0.0.1:8444"} { // console, verification
		if said := w.look(t, `printf 'GET / HTTP/1.0\r\n\r\n' | `+client+door); !strings.Contains(said, "HTTP/1.0 ") {
			t.Errorf("%s: %s", door, said)
		}
	}
	for _, port := range []string{"8450", "8451", "8452"} {
		if !w.healthy(port) {
			t.Errorf("no answer at port %s", port)
		}
	}
	if status := w.get("8442", "/pki/crl/issuing.crl"); status != http.StatusOK {
		t.Errorf("the CRL: %d", status)
	}
}

// TestBesideAnother starts appliances where one serves already.
func TestBesideAnother(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("it needs root for a host of its own")
	}
	for name, uid := range map[string]uint32{"root": 0, "without root": nobody} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t, uid)
			known, served := w.folder(t), w.folder(t)
			w.must(t, "up", "--demo", "--once", "--state", known)
			a := w.serve(t, served, "--demo")
			for what, dir := range map[string]string{"a new state": w.folder(t), "a state with the same ports": known} {
				out := w.must(t, "up", "--demo", "--once", "--state", dir)
				if !strings.Contains(out, "perhaps another appliance: this one takes the TCP ports from 8460 on") {
					t.Errorf("%s: %s", what, out)
				}
			}
			out, err := w.trustctl(t, "up", "--demo", "--once", "--state", served)
			want(t, out, err, "another trustctl up serves the state in "+served)
			w.must(t, "order", "show", "--state", served) // by the first, which goes on
			a.restarts(t, w, "verifyd", "8452")
			a.end(t)
			if out := w.must(t, "up", "--demo", "--once", "--state", known); strings.Contains(out, "taken") {
				t.Errorf("its new ports are its own: %s", out)
			}
		})
	}
}

// restarts kills a daemon without a warning: it comes back, and the others don't hear of it.
func (s *serving) restarts(t *testing.T, w *world, daemon, operations string) {
	t.Helper()
	first := s.children(t)
	if err := syscall.Kill(first[daemon], syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	s.until(t, daemon+" ended (signal: killed): it starts again in 1s")
	for deadline := time.Now().Add(30 * time.Second); !w.healthy(operations); time.Sleep(20 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("%s does not come back", daemon)
		}
	}
	for name, pid := range s.children(t) {
		if same := first[name] == pid; same != (name != daemon) {
			t.Errorf("%s was process %d and is %d", name, first[name], pid)
		}
	}
}

// children are the processes that the appliance has started, by name.
func (s *serving) children(t *testing.T) map[string]int {
	t.Helper()
	return childrenOf(t, s.cmd.Process.Pid)
}

func childrenOf(t *testing.T, of int) map[string]int {
	t.Helper()
	found := map[string]int{}
	stats, err := filepath.Glob("/proc/[0-9]*/stat")
	if err != nil {
		t.Fatal(err)
	}
	for _, file := range stats {
		var pid, parent int
		var name, state string
		text, err := os.ReadFile(file)
		if err != nil {
			continue // it ended meanwhile
		}
		if n, _ := fmt.Sscanf(string(text), "%d %s %s %d", &pid, &name, &state, &parent); n == 4 && parent == of {
			found[strings.Trim(name, "()")] = pid
		}
	}
	if len(found) == 0 {
		t.Fatalf("process %d has no children", of)
	}
	return found
}

// separated demands of each daemon, and of the HSM's worker, its user and no right but those that it needs.
func (s *serving) separated(t *testing.T, w *world) {
	t.Helper()
	if w.uid != 0 || os.Geteuid() != 0 {
		return
	}
	wants := map[string][2]string{"trustd": {"60811", "0"}, "verifyd": {"60812", "0"}, "batchd": {"60814", "0"}, "vpnd": {"60813", "1000"}} // CAP_NET_ADMIN is 1<<12
	if !tunOpen() {
		wants["vpnd"] = [2]string{"60813", "1002"} // and CAP_DAC_OVERRIDE
	}
	daemons := s.children(t)
	for name, want := range wants {
		isBound(t, name, daemons[name], want[0], want[1])
	}
	for name, pid := range childrenOf(t, daemons["trustd"]) {
		isBound(t, "trustd's "+name, pid, wants["trustd"][0], "0")
	}
	for _, file := range []string{"identity/trustd/trustd.key", "trustd/hsm/pin", "config/trustd.yaml"} {
		cat := exec.Command("/bin/cat", filepath.Join(s.dir, file))
		cat.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: 60812, Gid: 60812}}
		if err := cat.Run(); err == nil {
			t.Errorf("verifyd's user may read %s", file)
		}
	}
}

// isBound reads what the kernel says of a process (proc_pid_status(5)).
func isBound(t *testing.T, name string, pid int, uid, capabilities string) {
	t.Helper()
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	if err != nil {
		t.Fatal(err)
	}
	for _, line := range []string{"Uid:\t" + strings.Repeat(uid+"\t", 3) + uid, "Gid:\t" + strings.Repeat(uid+"\t", 3) + uid, "Groups:\t ", "NoNewPrivs:\t1",
		fmt.Sprintf("CapEff:\t%016s", capabilities), fmt.Sprintf("CapPrm:\t%016s", capabilities)} {
		if !strings.Contains(string(text), "\n"+line+"\n") {
			t.Errorf("%s, process %d: want %q in\n%s", name, pid, line, text)
		}
	}
}

// TestRootWithoutRights is root in a container that may make no namespaces.
func TestRootWithoutRights(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("it needs root")
	}
	w := newWorld(t, 0)
	trustctl := filepath.Join(w.bin, "trustctl")
	said := w.look(t, "setpriv --bounding-set=-all --inh-caps=-all "+trustctl+" up --demo --once --state "+w.folder(t))
	if !strings.Contains(said, "inside vpnd") || !strings.Contains(said, "22 of 22 steps passed") ||
		!strings.Contains(said, "the daemons run as root, not as users of their own: ") {
		t.Error(said)
	}
}
