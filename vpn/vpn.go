// Package vpn is the pillar that owns the tunnels of partner offices.
//
// A [Wish] says which offices exist, which addresses are theirs and which services
// they may reach. A [Hub] makes one WireGuard device agree with the wish, and keeps it so:
//
//	wish -> read device, firewall, routes -> differences -> apply -> read again
//
// The hub denies by default. A partner reaches the services named in its wish and nothing
// else: not the hub itself, not another partner. Three ways carry the tunnel, behind one
// face: WireGuard of the kernel, wireguard-go on a TUN interface (both guarded by
// nftables), and wireguard-go on a TCP/IP stack inside the process for hosts where we are
// not root (guarded by which listeners exist).
//
// The office's end is in the package office, namespaces for machines that play both ends
// in namespace.
package vpn

import "fmt"

// Mode is the way a tunnel is carried.
type Mode string

// The modes. Kernel and userspace need CAP_NET_ADMIN; netstack needs nothing.
const (
	ModeAuto      Mode = "auto"      // the first of the others that this host can carry
	ModeKernel    Mode = "kernel"    // WireGuard of the Linux kernel
	ModeUserspace Mode = "userspace" // embedded wireguard-go on a TUN interface
	ModeNetstack  Mode = "netstack"  // embedded wireguard-go on an embedded TCP/IP stack
)

// ParseMode reads a mode from configuration; the empty string is auto.
func ParseMode(s string) (Mode, error) {
	switch m := Mode(s); m {
	case "":
		return ModeAuto, nil
	case ModeAuto, ModeKernel, ModeUserspace, ModeNetstack:
		return m, nil
	}
	return "", fmt.Errorf("mode %q is none of auto, kernel, userspace, netstack", s)
}
