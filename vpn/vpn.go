// Package vpn holds the words in which the core, its gateways and the partners' offices speak of tunnels: keys, wishes,
// leases, states. A [Wish] says which offices exist, which addresses are theirs and which services they may reach.
//
// Whoever knows the words links no tunnel: a wish is carried out by the package hub, the office's end is in the packages
// office (its words) and tunnel, and namespaces for machines that play both ends are in namespace.
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
