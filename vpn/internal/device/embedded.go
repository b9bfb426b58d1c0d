package device

import (
	"crypto/ecdh"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/netip"
	"syscall"

	"golang.org/x/sys/unix"
	"golang.zx2c4.com/wireguard/conn"
	"golang.zx2c4.com/wireguard/device"
	"golang.zx2c4.com/wireguard/ipc"
	"golang.zx2c4.com/wireguard/tun"
	"golang.zx2c4.com/wireguard/tun/netstack"
)

// embedded is wireguard-go inside this process. We configure it by its protocol in memory
// and not over its socket: a client that still writes when the device answers loses the real
// error (EPIPE).
type embedded struct {
	engine *device.Device
	socket net.Listener // for the wg tool; nil where it cannot be
}

// OpenUserspace makes a TUN interface and a WireGuard device on it, gives it the addresses
// and takes it up. The caller's firewall must stand before.
func OpenUserspace(o Options) (Device, *Link, error) {
	if err := unix.Faccessat(unix.AT_FDCWD, "/dev/net/tun", unix.W_OK, unix.AT_EACCESS); err != nil {
		return nil, nil, fmt.Errorf("open /dev/net/tun: %w: %w", ErrPrivilege, err)
	}
	awaitRelease(o.Name)
	if _, err := net.InterfaceByName(o.Name); err == nil {
		return nil, nil, fmt.Errorf("make the interface %s: %w", o.Name, ErrNameTaken)
	}
	tunnel, err := tun.CreateTUN(o.Name, o.MTU)
	switch {
	case errors.Is(err, syscall.EPERM) || errors.Is(err, syscall.EACCES):
		return nil, nil, fmt.Errorf("make the interface %s: %w: %w", o.Name, ErrPrivilege, err)
	case errors.Is(err, syscall.EBUSY):
		return nil, nil, fmt.Errorf("make the interface %s: %w: %w", o.Name, ErrNameTaken, err)
	case err != nil:
		return nil, nil, fmt.Errorf("make the interface %s: %w", o.Name, err)
	}
	d, err := start(tunnel, o)
	if err != nil {
		return nil, nil, err
	}
	link, err := openLink(o)
	if err == nil {
		_, err = link.Ensure(o.Addresses)
	}
	if err != nil {
		return nil, nil, errors.Join(err, d.Close())
	}
	d.serve(o)
	return d, link, nil
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
	text, err := d.engine.IpcGet()
	if err != nil {
		return State{}, fmt.Errorf("read the device: %w", err)
	}
	state, privateKey, err := decodeUAPI(text)
	if err != nil {
		return State{}, err
	}
	state.PublicKey = publicKey(privateKey)
	return state, nil
}

func (d *embedded) Write(c Change) error {
	if err := d.engine.IpcSet(encodeUAPI(c)); err != nil {
		return fmt.Errorf("configure the device: %w", err)
	}
	return nil
}

func (d *embedded) Close() error {
	if d.socket != nil {
		_ = d.socket.Close() // an operator may have deleted it, which is no failure
	}
	d.engine.Close()
	return nil
}

// serve opens the socket through which the wg tool sees the device. An operator's
// convenience: where it cannot be (another network namespace that shares our files has a device
// of this name) we do without.
func (d *embedded) serve(o Options) {
	socket, err := openSocket(o.Name)
	if err != nil {
		o.Log.Info("the wg tool will not see the device", "interface", o.Name, "error", err)
		return
	}
	d.socket = socket
	go func() { // ends when Close closes the socket
		for {
			c, err := socket.Accept()
			if err != nil {
				return
			}
			go d.engine.IpcHandle(c)
		}
	}()
}

// openSocket does without [ipc.UAPIListen], which looks for the socket's file from threads that
// may be in another mount namespace.
func openSocket(name string) (net.Listener, error) {
	file, err := ipc.UAPIOpen(name)
	if err != nil {
		return nil, err
	}
	defer file.Close() // the listener has its own copy
	socket, err := net.FileListener(file)
	if err != nil {
		return nil, err
	}
	socket.(*net.UnixListener).SetUnlinkOnClose(true)
	return socket, nil
}

func publicKey(private Key) Key {
	k, err := ecdh.X25519().NewPrivateKey(private[:])
	if err != nil {
		return Key{} // cannot be: every 32 bytes are a scalar
	}
	return Key(k.PublicKey().Bytes())
}
