package tunnel

import (
	"fmt"
	"net/netip"

	"golang.org/x/sys/unix"
)

// pathMTU is how long packets to the address may be, as far as the kernel knows (ip(7), IP_MTU).
func pathMTU(to netip.AddrPort) (int, error) {
	family, level, option := unix.AF_INET, unix.IPPROTO_IP, unix.IP_MTU
	var address unix.Sockaddr = &unix.SockaddrInet4{Port: int(to.Port()), Addr: to.Addr().As4()}
	if to.Addr().Is6() {
		family, level, option = unix.AF_INET6, unix.IPPROTO_IPV6, unix.IPV6_MTU
		address = &unix.SockaddrInet6{Port: int(to.Port()), Addr: to.Addr().As16()}
	}
	socket, err := unix.Socket(family, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return 0, fmt.Errorf("look at the way to the hub: %w", err)
	}
	defer unix.Close(socket)
	if err := unix.Connect(socket, address); err != nil {
		return 0, fmt.Errorf("look at the way to the hub: %w", err)
	}
	return unix.GetsockoptInt(socket, level, option)
}
