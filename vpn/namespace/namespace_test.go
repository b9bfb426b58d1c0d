package namespace_test

import (
	"bytes"
	"net"
	"net/netip"
	"os/exec"
	"strings"
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
	if err := testProcess(t, inner); err != nil {
		return err
	}
	if err := inner.Close(); err != nil {
		return err
	}
	if left := links(t, nil); len(left) != 1 {
		t.Errorf("interfaces left behind: %v", left)
	}
	return nil
}

// testProcess starts a process inside, and enters its namespace by its number.
func testProcess(t *testing.T, inner *namespace.Namespace) error {
	sleeper := exec.Command("cat") // ends with its input
	in, err := sleeper.StdinPipe()
	if err != nil {
		return err
	}
	if err := inner.Start(sleeper); err != nil {
		return err
	}
	byNumber, err := namespace.Open(sleeper.Process.Pid)
	if err != nil {
		return err
	}
	if seen := links(t, byNumber); len(seen) != 2 || !strings.HasPrefix(seen[1], "uplink") {
		t.Errorf("interfaces inside: %v", seen)
	}
	if err := byNumber.Close(); err != nil {
		return err
	}
	in.Close()
	return sleeper.Wait()
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
