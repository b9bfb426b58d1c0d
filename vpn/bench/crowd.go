package bench

import (
	"encoding/hex"
	"errors"
	"fmt"
	"net/netip"
	"os"
	"sync"

	"golang.zx2c4.com/wireguard/conn"
	"golang.zx2c4.com/wireguard/device"
	"golang.zx2c4.com/wireguard/tun"

	"trustcore/vpn"
)

// Crowd is many offices on one machine: each has a key and a UDP socket of its own, shakes hands with the hub, and answers when
// the hub does. Nothing is behind them.
type Crowd struct {
	keys    []vpn.Key
	engines []*device.Device
	ends    []*deadEnd
}

// NewCrowd makes offices with keys, which Start lets speak.
func NewCrowd(n int) (*Crowd, []vpn.PrivateKey, error) {
	c := &Crowd{}
	secrets := make([]vpn.PrivateKey, n)
	for i := range secrets {
		var err error
		if secrets[i], err = vpn.GeneratePrivateKey(); err != nil {
			return nil, nil, err
		}
		c.keys = append(c.keys, secrets[i].Public())
	}
	return c, secrets, nil
}

// Keys are the public keys of the offices.
func (c *Crowd) Keys() []vpn.Key { return c.keys }

// Start has the offices keep a session with the hub. Their sockets are in the network namespace of the calling thread.
func (c *Crowd) Start(secrets []vpn.PrivateKey, hub vpn.Key, endpoint netip.AddrPort) error {
	for _, secret := range secrets {
		end := &deadEnd{closed: make(chan struct{}), events: make(chan tun.Event, 1)}
		engine := device.NewDevice(end, conn.NewDefaultBind(), device.NewLogger(device.LogLevelSilent, ""))
		c.engines, c.ends = append(c.engines, engine), append(c.ends, end)
		private := secret.Reveal()
		err := engine.IpcSet(fmt.Sprintf("private_key=%s\npublic_key=%s\nendpoint=%s\npersistent_keepalive_interval=25\nallowed_ip=0.0.0.0/0\n",
			hex.EncodeToString(private[:]), hex.EncodeToString(hub[:]), endpoint))
		if err == nil {
			err = engine.Up()
		}
		if err != nil {
			return errors.Join(fmt.Errorf("bench: an office of the crowd: %w", err), c.Close())
		}
	}
	return nil
}

// Close ends all of them.
func (c *Crowd) Close() error {
	for _, engine := range c.engines {
		engine.Close()
	}
	c.engines = nil
	return nil
}

// deadEnd is an interface behind which there is nothing.
type deadEnd struct {
	once   sync.Once
	closed chan struct{}
	events chan tun.Event
}

func (*deadEnd) File() *os.File { return nil }
func (d *deadEnd) Read([][]byte, []int, int) (int, error) {
	<-d.closed
	return 0, os.ErrClosed
}
func (*deadEnd) Write(packets [][]byte, _ int) (int, error) { return len(packets), nil }
func (*deadEnd) MTU() (int, error)                          { return vpn.DefaultMTU, nil }
func (*deadEnd) Name() (string, error)                      { return "crowd", nil }
func (d *deadEnd) Events() <-chan tun.Event                 { return d.events }
func (*deadEnd) BatchSize() int                             { return 1 }
func (d *deadEnd) Close() error {
	d.once.Do(func() { close(d.closed); close(d.events) })
	return nil
}
