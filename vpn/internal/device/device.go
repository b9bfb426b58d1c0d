// Package device speaks to one WireGuard device: that of the kernel, or an embedded
// wireguard-go on a TUN interface or on a TCP/IP stack inside the process.
package device

import (
	"errors"
	"fmt"
	"log/slog"
	"net/netip"
	"time"
)

// Key is a WireGuard key of any kind.
type Key = [32]byte

// Device is one WireGuard device that is up. Close takes it down and away.
type Device interface {
	// Read gives the present state.
	Read() (State, error)
	// Write applies a change. It is no transaction: after an error read again.
	Write(Change) error
	// Prove says whether what was written of the peers is so, where that costs no more than they do: the kernel lists
	// all peers or none, and its acknowledgement has to do until the next Read.
	Prove([]PeerChange) error
	// Shake starts a handshake with a peer whose session lives on meanwhile. The kernel can't be asked for one: it makes it
	// when the session is two minutes old.
	Shake(peer Key) error
	// Reset ends all sessions, and keeps all that the device was told. In the kernel an interface that goes down does so.
	Reset() error
	// Guarded says that nobody but the holder of this Device can change it, but for taking it away.
	Guarded() bool
	Close() error
}

// State is what the device says about itself. It holds secrets: never log it.
type State struct {
	PublicKey    Key
	ListenPort   int
	FirewallMark int // of the packets that carry the tunnel; 0 is none
	Peers        map[Key]Peer
}

// Peer is the present state of one peer.
type Peer struct {
	PresharedKey  Key            // zero when there is none
	Endpoint      netip.AddrPort // invalid when not known
	Keepalive     time.Duration
	LastHandshake time.Time // zero when there was none
	Received      int64     // bytes
	Sent          int64     // bytes
	AllowedIPs    []netip.Prefix
}

// Change is what one call applies; what is nil or empty stays as it is.
type Change struct {
	PrivateKey *Key
	ListenPort *int // setting it re-binds the socket, so set it only when it differs
	Peers      []PeerChange

	FirewallMark *int // never together with peers: the kernel's client repeats it in each message
}

// PeerChange adds, changes or removes one peer.
type PeerChange struct {
	PublicKey    Key
	Remove       bool
	UpdateOnly   bool // do nothing when the peer is not there
	PresharedKey *Key
	Endpoint     netip.AddrPort
	Keepalive    *time.Duration
	// ReplaceAllowedIPs drops the addresses that the peer has before AllowedIPs are added.
	ReplaceAllowedIPs bool
	AllowedIPs        []netip.Prefix
}

// Options say how a device is made.
type Options struct {
	Name       string // of the interface; not used by netstack
	MTU        int
	PrivateKey Key
	ListenPort int            // 0: one that is free
	Addresses  []netip.Prefix // of this end, /32 or /128
	Resting    bool           // the interface is down at first; not for netstack
	Log        *slog.Logger

	// Holder starts a process that calls [Hold] with StateDir: the embedded device is there then, and outlives this process.
	// nil has it in this process. Of OpenUserspace alone.
	Holder   func(dir string) error
	StateDir string
}

// The reasons for which a device cannot be made on this host. The message of the error
// says what to do.
var (
	ErrNoKernel   = errors.New("the kernel has no WireGuard (load the module wireguard, or use mode userspace)")
	ErrPrivilege  = errors.New("the tunnel interface needs root or CAP_NET_ADMIN (start as root, or use mode netstack)")
	ErrPortTaken  = errors.New("another program has the UDP port (stop it, or choose another port)")
	ErrNameTaken  = errors.New("somebody else has an interface of this name (choose another name, or delete it)")
	ErrDeviceGone = errors.New("the device is gone")
)

func portError(port int, err error) error {
	return fmt.Errorf("listen on UDP port %d: %w: %w", port, ErrPortTaken, err)
}
