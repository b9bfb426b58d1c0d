// Package namespace gives a process a network of its own, joined to the present one by a
// pair of virtual Ethernet interfaces, and a folder of WireGuard sockets of its own. With it
// one machine plays both ends of a tunnel beside whatever else runs on it: the demonstration
// and the tests do. It needs root.
package namespace

import (
	"crypto/rand"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"runtime"
	"syscall"

	"github.com/vishvananda/netlink"
	"github.com/vishvananda/netns"
	"golang.org/x/sys/unix"
)

// ErrPrivilege says that making a namespace needs root.
var ErrPrivilege = errors.New("a network namespace needs root (CAP_SYS_ADMIN and CAP_NET_ADMIN)")

// sockets is the folder through which the wg tool and embedded WireGuard devices meet. Its names
// are those of interfaces, so it has to be as private as these are.
const sockets = "/var/run/wireguard"

// uplink is the name that the pair's inner end has.
const uplink = "uplink"

// Link describes the pair of interfaces that joins a namespace to the one it is made from.
// The zero Link leaves the namespace alone.
type Link struct {
	Outer netip.Prefix // address on this side, such as 192.0.2.1/30
	Inner netip.Prefix // address in the namespace, such as 192.0.2.2/30
}

// Namespace is a network namespace, and a mount namespace in which the folder of WireGuard's
// sockets is empty at first. They live as long as this handle or a process in them.
type Namespace struct {
	handle netns.NsHandle
	linked bool
	work   chan func() // for the thread that is inside
	quit   chan struct{}
	gone   chan struct{} // closed when that thread takes no more work
}

// New makes a namespace with its loopback up and joins it with link, which Close takes away.
func New(link Link) (*Namespace, error) {
	if link.Outer.IsValid() != link.Inner.IsValid() {
		return nil, errors.New("namespace: the link needs an address on both sides")
	}
	n := &Namespace{work: make(chan func()), quit: make(chan struct{}), gone: make(chan struct{})}
	entered := make(chan error, 1)
	onOwnThread(func() { n.live(entered) })
	if err := <-entered; err != nil {
		return nil, err
	}
	if link == (Link{}) {
		return n, nil
	}
	if err := n.join(link); err != nil {
		return nil, errors.Join(err, n.Close())
	}
	return n, nil
}

// Start starts the command inside the namespace. Users, processes and all files but WireGuard's
// sockets stay shared. A command with a Pdeathsig hears it when Close is called.
func (n *Namespace) Start(cmd *exec.Cmd) error { return n.Do(cmd.Start) }

// Do runs f on the thread that is inside the namespace: sockets that f opens, and processes
// that it starts, belong there for good. Goroutines that f starts do not. Calls wait for each
// other, so f must not call Do of the same namespace.
func (n *Namespace) Do(f func() error) error {
	done := make(chan error, 1)
	call := func() {
		err := errors.New("the function inside the namespace did not return") // but ended its goroutine
		defer func() { done <- err }()
		err = f()
	}
	select {
	case n.work <- call:
		return <-done
	case <-n.gone:
		return errors.New("the namespace is closed")
	}
}

// Close takes the link away, if New made one, and lets the namespaces go. Processes inside
// keep running without it.
func (n *Namespace) Close() error {
	var err error
	if n.linked {
		err = n.Do(unlink)
	}
	close(n.quit)
	<-n.gone
	return errors.Join(err, n.handle.Close())
}

// live makes the namespaces and works in them until Close. Its thread can't come back to the
// mount namespace that all others share, so it ends here.
func (n *Namespace) live(entered chan<- error) {
	defer close(n.gone)
	var err error
	n.handle, err = enter()
	entered <- err
	if err != nil {
		return
	}
	for {
		select {
		case f := <-n.work:
			f()
		case <-n.quit:
			return
		}
	}
}

// onOwnThread starts f on a thread that ends with it. The process's first thread is left alone:
// it stands for the whole process in /proc.
func onOwnThread(f func()) {
	started := make(chan struct{})
	go func() {
		runtime.LockOSThread()
		if unix.Gettid() == unix.Getpid() {
			onOwnThread(f) // on another thread, since this one is taken until then
			runtime.UnlockOSThread()
			close(started)
			return
		}
		close(started)
		f()
	}()
	<-started
}

// enter moves the calling thread into new namespaces.
func enter() (netns.NsHandle, error) {
	if err := unix.Unshare(unix.CLONE_NEWNET | unix.CLONE_NEWNS); err != nil {
		return netns.None(), fmt.Errorf("make a network and a mount namespace: %w", classify(err))
	}
	if err := hideSockets(); err != nil {
		return netns.None(), fmt.Errorf("make a folder of WireGuard's sockets: %w", classify(err))
	}
	lo, err := netlink.LinkByName("lo")
	if err == nil {
		err = netlink.LinkSetUp(lo)
	}
	if err != nil {
		return netns.None(), fmt.Errorf("take loopback up: %w", classify(err))
	}
	return netns.Get()
}

// hideSockets covers the folder with an empty one. What the host mounts and unmounts is still
// followed, so that no disk stays busy for our sake, but nothing goes back to it.
func hideSockets() error {
	if err := unix.Mount("", "/", "", unix.MS_SLAVE|unix.MS_REC, ""); err != nil {
		return err
	}
	if err := os.MkdirAll(sockets, 0o755); err != nil {
		return err
	}
	return unix.Mount("wireguard", sockets, "tmpfs", unix.MS_NOSUID|unix.MS_NODEV|unix.MS_NOEXEC, "mode=755,size=1m")
}

// join makes the pair of interfaces, moves one end inside, and gives both an address.
func (n *Namespace) join(link Link) error {
	attributes := netlink.NewLinkAttrs()
	attributes.Name = "tc" + rand.Text()[:10]
	pair := &netlink.Veth{LinkAttrs: attributes, PeerName: uplink, PeerNamespace: netlink.NsFd(int(n.handle))}
	if err := netlink.LinkAdd(pair); err != nil {
		return fmt.Errorf("make a pair of interfaces: %w", classify(err))
	}
	n.linked = true
	if err := configure(attributes.Name, link.Outer); err != nil {
		return err
	}
	return n.Do(func() error { return configure(uplink, link.Inner) })
}

// unlink deletes the inner end of the pair, and with it the outer one.
func unlink() error {
	link, err := netlink.LinkByName(uplink)
	if err != nil {
		return fmt.Errorf("find the interface %s: %w", uplink, err)
	}
	return netlink.LinkDel(link)
}

func configure(name string, address netip.Prefix) error {
	link, err := netlink.LinkByName(name)
	if err != nil {
		return fmt.Errorf("find the interface %s: %w", name, err)
	}
	mask := net.CIDRMask(address.Bits(), address.Addr().BitLen())
	add := &netlink.Addr{IPNet: &net.IPNet{IP: address.Addr().AsSlice(), Mask: mask}}
	if address.Addr().Is6() {
		add.Flags = unix.IFA_F_NODAD // there is nobody else on the pair
	}
	if err := netlink.AddrAdd(link, add); err != nil {
		return fmt.Errorf("give %s the address %v: %w", name, address, err)
	}
	if err := netlink.LinkSetUp(link); err != nil {
		return fmt.Errorf("take %s up: %w", name, err)
	}
	return nil
}

// Available says whether this process can make namespaces, by making one.
func Available() error {
	if os.Geteuid() != 0 {
		return ErrPrivilege
	}
	n, err := New(Link{})
	if err != nil {
		return err
	}
	return n.Close()
}

func classify(err error) error {
	if errors.Is(err, syscall.EPERM) {
		return fmt.Errorf("%w: %w", ErrPrivilege, err)
	}
	return err
}
