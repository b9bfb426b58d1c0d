package device

import (
	"crypto/ecdh"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/netip"
	"sync/atomic"
	"syscall"

	"golang.zx2c4.com/wireguard/conn"
	"golang.zx2c4.com/wireguard/device"
	"golang.zx2c4.com/wireguard/tun"
	"golang.zx2c4.com/wireguard/tun/netstack"
)

// embedded is wireguard-go inside this process. We configure it by its protocol in memory
// and not over its socket: a client that still writes when the device answers loses the real
// error (EPIPE).
type embedded struct {
	engine *device.Device
	socket net.Listener // for the wg tool; nil where it cannot be
	peers  atomic.Int64 // of the last reading, for the next to have room
}

// OpenNetstack makes a WireGuard device on a TCP/IP stack in this process, which needs no
// privilege. The stack answers at o.Addresses alone and forwards nothing.
func OpenNetstack(o Options) (Device, *netstack.Net, error) {
	addresses := make([]netip.Addr, 0, len(o.Addresses))
	for _, p := range o.Addresses {
		addresses = append(addresses, p.Addr())
	}
	tunnel, stack, err := netstack.CreateNetTUN(addresses, nil, o.MTU)
	if err != nil {
		return nil, nil, fmt.Errorf("make the TCP/IP stack: %w", err)
	}
	d, err := start(tunnel, o)
	if err != nil {
		return nil, nil, err
	}
	return d, stack, nil
}

// start brings the device up with key and port, so that a taken port is an error here and
// not a line in a log later.
func start(tunnel tun.Device, o Options) (*embedded, error) {
	d := &embedded{engine: device.NewDevice(tunnel, conn.NewDefaultBind(), logger(o.Log))}
	err := d.Write(Change{PrivateKey: &o.PrivateKey, ListenPort: &o.ListenPort})
	if err == nil {
		err = d.engine.Up()
	}
	if err != nil {
		d.engine.Close()
		if errors.Is(err, syscall.EADDRINUSE) {
			return nil, portError(o.ListenPort, err)
		}
		return nil, fmt.Errorf("start WireGuard: %w", err)
	}
	return d, nil
}

func logger(log *slog.Logger) *device.Logger {
	return &device.Logger{
		Verbosef: device.DiscardLogf,
		Errorf:   func(format string, args ...any) { log.Warn("wireguard: " + fmt.Sprintf(format, args...)) },
	}
}

func (d *embedded) Read() (State, error) {
	select {
	case <-d.engine.Wait():
		return State{}, ErrDeviceGone
	default:
	}
	reader := newUAPIReader(int(d.peers.Load()))
	if err := d.engine.IpcGetOperation(reader); err != nil {
		return State{}, fmt.Errorf("read the device: %w", err)
	}
	state, privateKey, err := reader.end()
	if err != nil {
		return State{}, err
	}
	d.peers.Store(int64(len(state.Peers)))
	state.PublicKey = publicKey(privateKey)
	return state, nil
}

func (d *embedded) Write(c Change) error {
	if err := d.engine.IpcSet(encodeUAPI(c)); err != nil {
		return fmt.Errorf("configure the device: %w", err)
	}
	return nil
}

func (d *embedded) Prove(changes []PeerChange) error {
	for _, c := range changes {
		if is := d.engine.LookupPeer(c.PublicKey) != nil; is == c.Remove {
			return errors.New("a peer does not read back as it was written")
		}
	}
	return nil
}

func (d *embedded) Shake(peer Key) error {
	p := d.engine.LookupPeer(peer)
	if p == nil {
		return errors.New("shake hands: the device has no such peer")
	}
	return p.SendHandshakeInitiation(false)
}

func (d *embedded) Reset() error { return errors.Join(d.engine.Down(), d.engine.Up()) }

func (d *embedded) Guarded() bool { return true }

func (d *embedded) Close() error {
	if d.socket != nil {
		_ = d.socket.Close() // an operator may have deleted it, which is no failure
	}
	d.engine.Close()
	return nil
}

func publicKey(private Key) Key {
	k, err := ecdh.X25519().NewPrivateKey(private[:])
	if err != nil {
		return Key{} // cannot be: every 32 bytes are a scalar
	}
	return Key(k.PublicKey().Bytes())
}
