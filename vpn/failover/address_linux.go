package failover

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"slices"
	"syscall"
	"time"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"
)

// addressLife is how long an address outlives the last word of who has it: the kernel takes it away then, whether that process
// lives, hangs or was killed. A process that is started again has to be back before.
const (
	addressLife = 3 * time.Second
	extendEvery = addressLife / 6
)

// ErrOwn says that an address that two gateways are to hand each other belongs to the host for good.
var ErrOwn = errors.New("a virtual address is the host's own already")

// addresses are the virtual ones, at which offices know the hub, and the interface that has them while this gateway carries.
type addresses struct {
	name     string
	index    int
	hardware net.HardwareAddr
	all      []netip.Addr
}

func openAddresses(name string, all []netip.Addr) (*addresses, error) {
	link, err := netlink.LinkByName(name)
	if err != nil {
		return nil, fmt.Errorf("find the interface %s, which is to have the virtual addresses: %w", name, err)
	}
	return &addresses{name, link.Attrs().Index, link.Attrs().HardwareAddr, all}, nil
}

// look says whether the host has the addresses since it carried a moment ago. One that it has for good, or on another
// interface, is somebody else's, and stays as it is.
func (a *addresses) look() (carrying bool, err error) {
	present, err := netlink.AddrList(nil, netlink.FAMILY_ALL)
	if err != nil {
		return false, fmt.Errorf("list the addresses: %w", err)
	}
	for _, p := range present {
		at, _ := netip.AddrFromSlice(p.IP)
		if !slices.Contains(a.all, at.Unmap()) {
			continue
		}
		if p.LinkIndex != a.index || p.Flags&unix.IFA_F_PERMANENT != 0 {
			return false, fmt.Errorf("%w: %v, on interface %d", ErrOwn, at.Unmap(), p.LinkIndex)
		}
		carrying = true
	}
	return carrying, nil
}

// hold gives the interface the addresses, or lets it have them for another while.
func (a *addresses) hold() error {
	for _, at := range a.all {
		if err := netlink.AddrReplace(a.link(), a.entry(at)); err != nil {
			return fmt.Errorf("give %s the address %v: %w", a.name, at, err)
		}
	}
	return nil
}

// let takes the addresses away.
func (a *addresses) let() (failed error) {
	for _, at := range a.all {
		if err := netlink.AddrDel(a.link(), a.entry(at)); err != nil && !errors.Is(err, syscall.EADDRNOTAVAIL) {
			failed = errors.Join(failed, fmt.Errorf("take the address %v from %s: %w", at, a.name, err))
		}
	}
	return failed
}

func (a *addresses) link() netlink.Link {
	attributes := netlink.NewLinkAttrs()
	attributes.Name, attributes.Index = a.name, a.index
	return &netlink.GenericLink{LinkAttrs: attributes}
}

// entry is an address that no connection of the host's own begins with, since it goes elsewhere: it is deprecated from its
// beginning (RFC 4862, 2). Nobody else is asked for it here: probe did.
func (a *addresses) entry(at netip.Addr) *netlink.Addr {
	entry := &netlink.Addr{IPNet: &net.IPNet{IP: at.AsSlice(), Mask: net.CIDRMask(at.BitLen(), at.BitLen())}, ValidLft: int(addressLife / time.Second)}
	if at.Is6() {
		entry.Flags = unix.IFA_F_NODAD
	}
	return entry
}
