package namespace_test

import (
	"bytes"
	"fmt"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"runtime"
	"strings"
	"syscall"
	"testing"

	"trustcore/vpn/namespace"
)

var link = namespace.Link{Outer: netip.MustParsePrefix("192.0.2.1/30"), Inner: netip.MustParsePrefix("192.0.2.2/30")}

func newNamespace(t *testing.T, link namespace.Link) *namespace.Namespace {
	t.Helper()
	if err := namespace.Available(); err != nil {
		t.Skip(err)
	}
	n, err := namespace.New(link)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := n.Close(); err != nil {
			t.Error(err)
		}
	})
	return n
}

func TestProcessInsideReachesOutByTheLinkAlone(t *testing.T) {
	outside := newNamespace(t, namespace.Link{}) // stands for this host, whose links we leave alone
	if err := outside.Do(func() error { return testLink(t) }); err != nil {
		t.Fatal(err)
	}
}

// testLink runs on a thread inside the outer namespace.
func testLink(t *testing.T) error {
	inner, err := namespace.New(link)
	if err != nil {
		return err
	}
	listener, err := net.Listen("tcp", link.Outer.Addr().String()+":0")
	if err != nil {
		return err
	}
	defer listener.Close()
	accepted := make(chan string, 1)
	go func() {
		conn, err := listener.Accept()
		if err != nil {
			accepted <- err.Error()
			return
		}
		defer conn.Close()
		accepted <- conn.RemoteAddr().(*net.TCPAddr).IP.String()
	}()
	err = inner.Do(func() error {
		conn, err := net.Dial("tcp", listener.Addr().String())
		if err != nil {
			return err
		}
		return conn.Close()
	})
	if err != nil {
		return err
	}
	if from := <-accepted; from != link.Inner.Addr().String() {
		t.Errorf("the connection came from %s", from)
	}
	if seen := links(t, inner); len(seen) != 2 || !strings.HasPrefix(seen[1], "uplink") {
		t.Errorf("interfaces inside: %v", seen)
	}
	if err := inner.Close(); err != nil {
		return err
	}
	if left := links(t, nil); len(left) != 1 {
		t.Errorf("interfaces left behind: %v", left)
	}
	return nil
}

// links lists the interfaces of a namespace, nil for the present one.
func links(t *testing.T, n *namespace.Namespace) []string {
	t.Helper()
	var out bytes.Buffer
	cmd := exec.Command("ip", "-brief", "link")
	cmd.Stdout = &out
	start := cmd.Start
	if n != nil {
		start = func() error { return n.Start(cmd) }
	}
	if err := start(); err != nil {
		t.Fatal(err)
	}
	if err := cmd.Wait(); err != nil {
		t.Fatal(err)
	}
	return strings.Split(strings.TrimSpace(out.String()), "\n")
}

func TestLinkNeedsBothAddresses(t *testing.T) {
	if _, err := namespace.New(namespace.Link{Outer: link.Outer}); err == nil {
		t.Error("a link with one address was taken")
	}
}

func TestPresentNamespaceIsKept(t *testing.T) {
	before := links(t, nil)
	n := newNamespace(t, namespace.Link{})
	if inside := links(t, n); len(inside) != 1 {
		t.Errorf("interfaces of a lone namespace: %v", inside)
	}
	if after := links(t, nil); strings.Join(after, "\n") != strings.Join(before, "\n") {
		t.Errorf("interfaces before %v, after %v", before, after)
	}
}

// TestSocketsOfWireGuardAreApart puts a socket where the wg tool looks for those of embedded devices.
func TestSocketsOfWireGuardAreApart(t *testing.T) {
	one, other := newNamespace(t, namespace.Link{}), newNamespace(t, namespace.Link{})
	const name = "/var/run/wireguard/tc-apart.sock"
	err := one.Do(func() error {
		socket, err := net.Listen("unix", name)
		if err == nil {
			t.Cleanup(func() { socket.Close() })
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	for where, n := range map[string]*namespace.Namespace{"a process of this namespace": one, "another namespace": other} {
		err := run(t, n, "test", "-S", name)
		if seen := err == nil; seen != (n == one) {
			t.Errorf("%s: sees the socket: %v", where, seen)
		}
	}
	if _, err := os.Stat(name); err == nil {
		t.Error("the host sees the socket")
	}
}

// TestNothingIsMountedOnTheHost runs on a host that shares its mounts with new namespaces, as systemd has it.
func TestNothingIsMountedOnTheHost(t *testing.T) {
	const role = "TRUSTCORE_TEST_SHARED_MOUNTS" // set: this process has them
	if err := namespace.Available(); err != nil {
		t.Skip(err)
	}
	if os.Getenv(role) == "" {
		share := `mount --make-rshared / && exec "$0" -test.run=^TestNothingIsMountedOnTheHost$`
		again := exec.Command("unshare", "--mount", "--propagation", "private", "/bin/sh", "-c", share, os.Args[0])
		again.Env = append(os.Environ(), role+"=1")
		if out, err := again.CombinedOutput(); err != nil {
			t.Errorf("%v\n%s", err, out)
		}
		return
	}
	mounts := func() string {
		text, err := os.ReadFile("/proc/self/mountinfo")
		if err != nil {
			t.Fatal(err)
		}
		return string(text)
	}
	before := mounts()
	newNamespace(t, namespace.Link{})
	if after := mounts(); after != before {
		t.Errorf("mounted:\n%s\nbefore:\n%s", after, before)
	}
}

// TestProcessOutlivesItsStarter has the kernel tell a process when the thread that started it ends: that is Close.
func TestProcessOutlivesItsStarter(t *testing.T) {
	if err := namespace.Available(); err != nil {
		t.Skip(err)
	}
	n, err := namespace.New(namespace.Link{})
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command("cat")
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGTERM}
	in, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	defer in.Close()
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := n.Start(cmd); err != nil {
		t.Fatal(err)
	}
	for range 3 { // it lives while others come and go
		if err := run(t, n, "true"); err != nil {
			t.Error(err)
		}
		if _, err := in.Write([]byte("x")); err != nil {
			t.Fatal(err)
		}
		if _, err := out.Read(make([]byte, 1)); err != nil {
			t.Fatal(err)
		}
	}
	if err := n.Close(); err != nil {
		t.Error(err)
	}
	if err := cmd.Wait(); err == nil || !strings.Contains(err.Error(), "terminated") {
		t.Errorf("after Close: %v", err)
	}
	if err := n.Do(func() error { return nil }); err == nil {
		t.Error("a namespace that is closed was entered")
	}
}

func TestFunctionThatDoesNotReturn(t *testing.T) {
	n := newNamespace(t, namespace.Link{})
	if err := n.Do(func() error { runtime.Goexit(); return nil }); err == nil {
		t.Error("no error")
	}
	if err := n.Do(func() error { return nil }); err == nil {
		t.Error("the thread is gone, and no error")
	}
}

// TestProcessKeepsItsOwn looks at what /proc says of a process that makes a namespace on its first thread: that
// is what it says of this thread.
func TestProcessKeepsItsOwn(t *testing.T) {
	if err := namespace.Available(); err != nil {
		t.Skip(err)
	}
	again := exec.Command(os.Args[0])
	again.Env = append(os.Environ(), firstThreadRole+"=1")
	if out, err := again.CombinedOutput(); err != nil {
		t.Errorf("%v: %s", err, out)
	}
}

const firstThreadRole = "TRUSTCORE_TEST_FIRST_THREAD" // set: this process is that of TestProcessKeepsItsOwn

func TestMain(m *testing.M) {
	if os.Getenv(firstThreadRole) == "" {
		os.Exit(m.Run())
	}
	if err := onFirstThread(); err != nil {
		fmt.Println(err)
		os.Exit(1)
	}
}

// onFirstThread is called on the thread on which a program begins, and a goroutine that it starts and waits for
// runs there, too.
func onFirstThread() error {
	before, err := os.Readlink("/proc/self/ns/net")
	if err != nil {
		return err
	}
	n, err := namespace.New(namespace.Link{})
	if err != nil {
		return err
	}
	defer n.Close()
	if after, err := os.Readlink("/proc/self/ns/net"); err != nil || after != before {
		return fmt.Errorf("the process was in %s and is in %s, %v", before, after, err)
	}
	return nil
}

func run(t *testing.T, n *namespace.Namespace, name string, args ...string) error {
	t.Helper()
	cmd := exec.Command(name, args...)
	if err := n.Start(cmd); err != nil {
		t.Fatal(err)
	}
	return cmd.Wait()
}
