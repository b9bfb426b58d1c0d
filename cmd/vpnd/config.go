package main

import (
	"errors"
	"fmt"
	"log/slog"
	"math"
	"net/netip"
	"net/url"
	"time"

	"trustcore/cmd/internal/identity"
	"trustcore/vpn"
)

// Config is the configuration of vpnd. What has no default is required.
type Config struct {
	Mode       string         `koanf:"mode"`        // auto (default), kernel, userspace, netstack
	Interface  string         `koanf:"interface"`   // default tc-hub
	ListenPort uint16         `koanf:"listen_port"` // UDP, default 51820; 0 is one that is free
	Addresses  []netip.Prefix `koanf:"addresses"`   // the hub's tunnel addresses, /32 or /128
	MTU        int            `koanf:"mtu"`         // bytes, default 1420

	// Outlive is how long the tunnels go on without a vpnd that was killed, in mode userspace; default 1m, 0 not at all.
	Outlive time.Duration `koanf:"outlive"`

	// The hub's other interface and port, for its next key; it uses both in turn.
	SecondInterface string `koanf:"second_interface"` // default interface with a 2 behind it
	SecondPort      uint16 `koanf:"second_port"`      // UDP, default the one after listen_port

	StateDir string `koanf:"state_dir"` // folder for the hub's key (0600) and the offices' endpoints

	Trustd   string            `koanf:"trustd"`   // https URL of trustd's interface for daemons
	Identity identity.Identity `koanf:"identity"` // client certificate for trustd

	Pair *PairConfig `koanf:"pair"` // the other gateway that takes over; without it this one is alone

	Operations string        `koanf:"operations"` // loopback address of /livez, /readyz, /health and /metrics; default 127.0.0.1:9104
	Reconcile  time.Duration `koanf:"reconcile"`  // how often drift is looked for, default 5s
	LogLevel   slog.Level    `koanf:"log_level"`  // DEBUG, INFO (default), WARN, ERROR
}

// Defaults are the settings of a file that says nothing.
func Defaults() Config {
	return Config{Mode: string(vpn.ModeAuto), Interface: "tc-hub", ListenPort: 51820, MTU: vpn.DefaultMTU, Outlive: time.Minute, Operations: "127.0.0.1:9104", Reconcile: 5 * time.Second}
}

// Check names the key that is missing or wrong.
func (c *Config) Check() error {
	if _, err := vpn.ParseMode(c.Mode); err != nil {
		return err
	}
	switch {
	case c.StateDir == "":
		return errors.New("state_dir is missing: a folder for the hub's key")
	case len(c.Addresses) == 0:
		return errors.New("addresses is missing: the hub's tunnel addresses, such as 10.64.0.1/32")
	case len(c.Interface) == 0 || len(c.Interface) > maxInterface:
		return fmt.Errorf("interface: %q has not 1 to 15 characters", c.Interface)
	case len(c.SecondInterface) > maxInterface || c.SecondInterface == c.Interface:
		return fmt.Errorf("second_interface: %q has not 1 to 15 characters, or is interface", c.SecondInterface)
	case c.SecondPort != 0 && c.SecondPort == c.ListenPort:
		return fmt.Errorf("second_port: %d is listen_port", c.SecondPort)
	case c.Outlive < 0 || c.Outlive > vpn.DefaultLease:
		return fmt.Errorf("outlive: %v is not within 0 to %v", c.Outlive, vpn.DefaultLease)
	case c.Reconcile < time.Second || c.Reconcile > time.Minute:
		return fmt.Errorf("reconcile: %v is not within 1s to 1m", c.Reconcile)
	}
	for _, a := range c.Addresses {
		if !a.IsSingleIP() {
			return fmt.Errorf("addresses: %v is not a single address (/32 or /128)", a)
		}
	}
	u, err := url.Parse(c.Trustd)
	if err != nil || u.Scheme != "https" || u.Host == "" {
		return fmt.Errorf("trustd: %q is not an https URL", c.Trustd)
	}
	operations, err := netip.ParseAddrPort(c.Operations)
	if err != nil || !operations.Addr().IsLoopback() {
		return fmt.Errorf("operations: %q is not an address and port on loopback", c.Operations)
	}
	if err := c.Pair.check(); err != nil {
		return err
	}
	if c.Pair != nil && c.ListenPort == 0 {
		return errors.New("listen_port: 0 is no port that two gateways of a pair can share")
	}
	return c.Identity.Check()
}

// maxInterface is how many characters the name of an interface may have (IFNAMSIZ).
const maxInterface = 15

func (c *Config) secondInterface() string {
	if c.SecondInterface != "" {
		return c.SecondInterface
	}
	name := c.Interface[:min(len(c.Interface), maxInterface-1)]
	if name+"2" == c.Interface {
		return name + "3"
	}
	return name + "2"
}

// secondPort is one that the system chooses where the first is, too.
func (c *Config) secondPort() uint16 {
	switch {
	case c.SecondPort != 0 || c.ListenPort == 0:
		return c.SecondPort
	case c.ListenPort == math.MaxUint16:
		return c.ListenPort - 1
	}
	return c.ListenPort + 1
}
