// Package namespace gives a process a network of its own, joined to the present one by a
// pair of virtual Ethernet interfaces. With it one machine plays both ends of a tunnel: the
// demonstration and the tests run an office so. It needs root.
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

// ErrPrivilege says that making or entering a namespace needs root.
var ErrPrivilege = errors.New("a network namespace needs root (CAP_SYS_ADMIN and CAP_NET_ADMIN)")

// Link describes the pair of interfaces that joins a namespace to the one it is made from.
// The zero Link leaves the namespace alone.
type Link struct {
	Outer netip.Prefix // address on this side, such as 192.0.2.1/30
	Inner netip.Prefix // address in the namespace, such as 192.0.2.2/30
}

// Namespace is a network namespace. It lives as long as this handle or a process in it.
type Namespace struct {
	handle netns.NsHandle
	outer  string // name of the interface on this side; "" when there is none of ours
}

// New makes a namespace with its loopback up and joins it with link, which Close takes away.
func New(link Link) (*Namespace, error) {
	if link.Outer.IsValid() != link.Inner.IsValid() {
		return nil, errors.New("namespace: the link needs an address on both sides")
	}
	handle, err := create()
	if err != nil {
		return nil, err
	}
	if link == (Link{}) {
		return &Namespace{handle: handle}, nil
	}
	n := &Namespace{handle: handle, outer: "tc" + rand.Text()[:10]}
	if err := n.join(link); err != nil {
		return nil, errors.Join(err, n.Close())
	}
	return n, nil
}

// Open gives the namespace of a running process.
func Open(pid int) (*Namespace, error) {
	handle, err := netns.GetFromPid(pid)
	if err != nil {
		return nil, fmt.Errorf("open the network namespace of process %d: %w", pid, classify(err))
	}
	return &Namespace{handle: handle}, nil
}

// Start starts the command inside the namespace. Files, users and processes stay shared.
func (n *Namespace) Start(cmd *exec.Cmd) error { return n.Do(cmd.Start) }

// Do runs f on a thread that is inside the namespace: sockets that f opens, and processes
// that it starts, belong there for good. Goroutines that f starts do not.
func (n *Namespace) Do(f func() error) error {
	return onOwnThread(func() error {
		if err := netns.Set(n.handle); err != nil {
			return fmt.Errorf("enter the network namespace: %w", classify(err))
		}
		return f()
	})
}

// Close takes the link away, if New made one, and lets the namespace go. Processes inside
// keep running without it.
func (n *Namespace) Close() error {
	if n.outer == "" {
		return n.handle.Close()
	}
	link, err := netlink.LinkByName(n.outer)
	if err == nil {
		err = netlink.LinkDel(link)
	}
	// The pair also goes by itself, with the last process in the namespace.
	if errors.As(err, new(netlink.LinkNotFoundError)) || errors.Is(err, syscall.ENODEV) {
		err = nil
	}
	return errors.Join(err, n.handle.Close())
}

// create makes a namespace without leaving the present one.
func create() (handle netns.NsHandle, err error) {
	err = onOwnThread(func() error {
		if handle, err = netns.New(); err != nil {
			return fmt.Errorf("make a network namespace: %w", classify(err))
		}
		lo, err := netlink.LinkByName("lo")
		if err == nil {
			err = netlink.LinkSetUp(lo)
		}
		if err != nil {
			return errors.Join(fmt.Errorf("take loopback up: %w", err), handle.Close())
		}
		return nil
	})
	return handle, err
}

// onOwnThread runs f on a thread that may change its namespace, and brings the thread
// back. When that fails the thread stays locked, so that it ends with its goroutine.
func onOwnThread(f func() error) error {
	done := make(chan error, 1)
	go func() {
		err := errors.New("the function inside the namespace did not return") // but ended its goroutine
		defer func() { done <- err }()
		runtime.LockOSThread()
		before, getErr := netns.Get()
		if getErr != nil {
			runtime.UnlockOSThread()
			err = fmt.Errorf("read the network namespace: %w", getErr)
			return
		}
		defer before.Close()
		result := f()
		back := netns.Set(before)
		if back == nil {
			runtime.UnlockOSThread()
		}
		err = errors.Join(result, back)
	}()
	return <-done
}

// join makes the pair of interfaces, moves one end inside, and gives both an address.
func (n *Namespace) join(link Link) error {
	attributes := netlink.NewLinkAttrs()
	attributes.Name = n.outer
	pair := &netlink.Veth{LinkAttrs: attributes, PeerName: "uplink", PeerNamespace: netlink.NsFd(int(n.handle))}
	if err := netlink.LinkAdd(pair); err != nil {
		return fmt.Errorf("make a pair of interfaces: %w", classify(err))
	}
	if err := configure(n.outer, link.Outer); err != nil {
		return err
	}
	return n.Do(func() error { return configure("uplink", link.Inner) })
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
	handle, err := create()
	if err != nil {
		return err
	}
	return handle.Close()
}

func classify(err error) error {
	if errors.Is(err, syscall.EPERM) {
		return fmt.Errorf("%w: %w", ErrPrivilege, err)
	}
	return err
}
