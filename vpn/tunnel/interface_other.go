//go:build !linux

package tunnel

import (
	"errors"

	"trustcore/vpn/internal/device"
)

// onInterface is for Linux alone: elsewhere the official WireGuard application makes the interface.
func (*Tunnel) onInterface(device.Options) error {
	return errors.New("on this system the WireGuard application carries the tunnel by an interface (give it the file of " +
		"trustlink show); without it choose mode netstack")
}
