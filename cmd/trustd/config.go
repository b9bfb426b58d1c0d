package main

import (
	"errors"
	"fmt"
	"log/slog"
	"net/netip"
	"time"

	"trustcore/cmd/internal/custody"
	"trustcore/cmd/internal/identity"
	"trustcore/cmd/internal/registry"
	"trustcore/vpn"
)

// Config is the configuration of trustd. What has no default is required.
type Config struct {
	custody.Config `koanf:",squash"`

	// Leader is who runs the data centre; the console shows its name.
	Leader registry.Leader `koanf:"leader"`

	// Identity is trustd's own certificate; its CA is whom officers, daemons and partners are verified against.
	Identity identity.Identity `koanf:"identity"`

	Admin      string `koanf:"admin"`      // address of the interface for officers and daemons (mTLS), default 127.0.0.1:8440
	Enrolment  string `koanf:"enrolment"`  // address where offices enrol with their token (TLS), default 127.0.0.1:8441
	Gateway    string `koanf:"gateway"`    // address of the HSM gateway (mTLS); the tunnel's address in production
	PKI        string `koanf:"pki"`        // address of OCSP, CRLs and time-stamps (HTTP, as their RFCs have it)
	Console    string `koanf:"console"`    // loopback address of the console (TLS), default 127.0.0.1:8443
	Operations string `koanf:"operations"` // loopback address of /livez, /readyz, /health and /metrics, default 127.0.0.1:9101
	FreeBind   bool   `koanf:"freebind"`   // bind gateway and pki before the tunnel's address exists

	Tunnel Tunnel `koanf:"tunnel"`

	ACME ACME `koanf:"acme"` // certificates of offices' servers; without acme.listen there are none

	// Office is what every office may sign, over all its applications; 0 is without limit.
	Office struct {
		PerSecond int64 `koanf:"per_second"`
		PerDay    int64 `koanf:"per_day"`
	} `koanf:"office"`

	// Direct is what offices without a tunnel reach; port 0 stands for the gateway's. Without it that is the gateway at its own address,
	// unless that is one of the tunnel's.
	Direct []DirectService `koanf:"direct"`

	Verifyd struct {
		URL   string `koanf:"url"`   // of verifyd, for the console's drop zone; empty switches it off
		Order string `koanf:"order"` // by which verifyd may use a key to seal its reports; empty is by none
	} `koanf:"verifyd"`

	LogLevel slog.Level `koanf:"log_level"` // DEBUG, INFO (default), WARN, ERROR
}

// Tunnel says what partners are given.
type Tunnel struct {
	Pool     netip.Prefix `koanf:"pool"`     // addresses of partners, default 10.64.0.0/16
	Hub      netip.Addr   `koanf:"hub"`      // the hub's own address in it, default 10.64.0.1
	Pool6    netip.Prefix `koanf:"pool6"`    // IPv6 addresses of partners beside those; none: IPv4 alone
	Hub6     netip.Addr   `koanf:"hub6"`     // the hub's own address in it
	Endpoint string       `koanf:"endpoint"` // host:port where offices reach the hub (UDP)
	// SecondEndpoint is where they reach the hub's second port, which it uses in turn when it changes its key; default that
	// port at the host of Endpoint.
	SecondEndpoint string `koanf:"second_endpoint"`

	// Reserved are networks of the data centre's own: no order puts them behind an office. The pools, the services' addresses and
	// the networks of trustd's host are reserved at any rate.
	Reserved []netip.Prefix `koanf:"reserved"`

	Zone string `koanf:"zone"` // DNS domain under which services have their names for offices, such as tunnel.example.org; none: they have none

	MTU      int             `koanf:"mtu"`      // bytes that a packet of an office's has at most; 0: what its way carries
	Services []TunnelService `koanf:"services"` // what a partner may reach through the tunnel

	// Lease is how long a gateway that is cut off from trustd lets partners in, 1m to 24h, default 15m: no order to
	// switch a tunnel off counts as carried out before, if a gateway does not report it.
	Lease time.Duration `koanf:"lease"`

	// Rotate is how old the secrets of a tunnel become before its office is asked to rotate them, an hour at least; 0 is
	// never, but when an officer asks.
	Rotate struct {
		PresharedKey time.Duration `koanf:"preshared_key"` // default 720h, which is 30 days
		Key          time.Duration `koanf:"key"`           // of the office; default 2160h, which is 90 days
		HubKey       time.Duration `koanf:"hub_key"`       // of each gateway's hub; default 8760h, which is 365 days
	} `koanf:"rotate"`
}

// DirectService is one service that an office reaches without a tunnel. The gateway's certificate has to have the address.
type DirectService struct {
	Name string         `koanf:"name"`
	Addr netip.AddrPort `koanf:"addr"` // as the office sees it
}

// Defaults are the settings of a file that says nothing.
func Defaults() Config {
	c := Config{
		Config: custody.Defaults(),
		Admin:  "127.0.0.1:8440", Enrolment: "127.0.0.1:8441", Console: "127.0.0.1:8443", Operations: "127.0.0.1:9101",
		Tunnel: Tunnel{Pool: netip.MustParsePrefix("10.64.0.0/16"), Hub: netip.MustParseAddr("10.64.0.1"), Lease: vpn.DefaultLease},
	}
	const day = 24 * time.Hour
	c.Tunnel.Rotate.PresharedKey, c.Tunnel.Rotate.Key, c.Tunnel.Rotate.HubKey = 30*day, 90*day, 365*day
	return c
}

// Check names the key that is missing or wrong.
func (c *Config) Check() error {
	if err := c.Config.Check(); err != nil {
		return err
	}
	for _, a := range []struct {
		key, address string
		loopback     bool
	}{
		{"admin", c.Admin, false}, {"enrolment", c.Enrolment, false}, {"gateway", c.Gateway, false}, {"pki", c.PKI, false},
		{"console", c.Console, true}, {"operations", c.Operations, true},
	} {
		ap, err := netip.ParseAddrPort(a.address)
		if err != nil {
			return fmt.Errorf("%s: %q is not an address and port, such as 127.0.0.1:8440", a.key, a.address)
		}
		if a.loopback && !ap.Addr().IsLoopback() {
			return fmt.Errorf("%s: %q is not on loopback: it is for this machine alone", a.key, a.address)
		}
	}
	if err := c.Tunnel.check(); err != nil {
		return err
	}
	if err := c.ACME.check(); err != nil {
		return err
	}
	if c.Office.PerSecond < 0 || c.Office.PerDay < 0 {
		return errors.New("office.per_second and office.per_day: write how many signatures, or leave them out")
	}
	for i, s := range c.Direct {
		if s.Name == "" || !s.Addr.IsValid() {
			return fmt.Errorf("direct[%d]: name or addr is missing", i)
		}
	}
	return c.Identity.Check()
}

func (t *Tunnel) check() error {
	switch {
	case !t.Pool.IsValid() || !t.Pool.Contains(t.Hub):
		return fmt.Errorf("tunnel.hub: %s does not lie in tunnel.pool %s", t.Hub, t.Pool)
	case t.Endpoint == "":
		return errors.New("tunnel.endpoint is missing: host:port where offices reach the hub")
	case len(t.Services) == 0:
		return errors.New("tunnel.services is missing: list at least the gateway")
	}
	if err := t.checkPool6(); err != nil {
		return err
	}
	if t.MTU != 0 && (t.MTU < vpn.MinMTU || t.MTU > vpn.MaxMTU) {
		return fmt.Errorf("tunnel.mtu: %d is not within %d to %d", t.MTU, vpn.MinMTU, vpn.MaxMTU)
	}
	if err := vpn.CheckLease(t.Lease); err != nil {
		return fmt.Errorf("tunnel.lease: %w", err)
	}
	for key, oldest := range map[string]time.Duration{
		"preshared_key": t.Rotate.PresharedKey, "key": t.Rotate.Key, "hub_key": t.Rotate.HubKey,
	} {
		if oldest != 0 && oldest < time.Hour {
			return fmt.Errorf("tunnel.rotate.%s: %v is less than 1h; 0 is never", key, oldest)
		}
	}
	if err := t.checkReserved(); err != nil {
		return err
	}
	for i, s := range t.Services {
		if err := s.check(t); err != nil {
			return fmt.Errorf("tunnel.services[%d]: %w", i, err)
		}
	}
	return nil
}
