package device

import (
	"bufio"
	"errors"
	"fmt"
	"net"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
	"golang.zx2c4.com/wireguard/ipc"
	"golang.zx2c4.com/wireguard/tun"
)

// OpenUserspace makes a TUN interface and a WireGuard device on it, gives it the addresses
// and takes it up. The caller's firewall must stand before.
func OpenUserspace(o Options) (Device, *Link, error) {
	var d Device
	var err error
	if o.Holder != nil {
		d, err = openHeld(o)
	} else {
		d, err = openTUN(o)
	}
	if err != nil {
		return nil, nil, err
	}
	link, err := openLink(o)
	if err != nil {
		return nil, nil, errors.Join(err, d.Close())
	}
	if _, err := link.Ensure(o.Addresses); err != nil {
		return nil, nil, errors.Join(err, d.Close(), link.Close())
	}
	return d, link, nil
}

// openTUN makes the interface and the device, which is up.
func openTUN(o Options) (*embedded, error) {
	if err := unix.Faccessat(unix.AT_FDCWD, "/dev/net/tun", unix.W_OK, unix.AT_EACCESS); err != nil {
		return nil, fmt.Errorf("open /dev/net/tun: %w: %w", ErrPrivilege, err)
	}
	awaitRelease(o.Name)
	if _, err := net.InterfaceByName(o.Name); err == nil {
		return nil, fmt.Errorf("make the interface %s: %w", o.Name, ErrNameTaken)
	}
	tunnel, err := tun.CreateTUN(o.Name, o.MTU)
	switch {
	case errors.Is(err, syscall.EPERM) || errors.Is(err, syscall.EACCES):
		return nil, fmt.Errorf("make the interface %s: %w: %w", o.Name, ErrPrivilege, err)
	case errors.Is(err, syscall.EBUSY):
		return nil, fmt.Errorf("make the interface %s: %w: %w", o.Name, ErrNameTaken, err)
	case err != nil:
		return nil, fmt.Errorf("make the interface %s: %w", o.Name, err)
	}
	d, err := start(own(tunnel), o)
	if err != nil {
		return nil, err
	}
	d.serve(o)
	return d, nil
}

// owned is a TUN interface that says nothing of being up or down: wireguard-go would start a thousand peers when one that rests
// comes up, and begin handshakes with all of them, while the one that matters waits.
type owned struct {
	tun.Device
	events chan tun.Event
}

func own(tunnel tun.Device) owned {
	o := owned{tunnel, make(chan tun.Event, 1)}
	go func() { // ends when the device is closed
		defer close(o.events)
		for event := range tunnel.Events() {
			if event&tun.EventMTUUpdate != 0 {
				o.events <- tun.EventMTUUpdate
			}
		}
	}()
	return o
}

func (o owned) Events() <-chan tun.Event { return o.events }

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
			go d.answer(c)
		}
	}()
}

// answer serves one caller of the control socket: whoever asks is told, and nobody changes anything but the holder of
// the device, who has no need of the socket. So what was written once stays, and need not be read again to be known.
func (d *embedded) answer(caller net.Conn) {
	defer caller.Close()
	in := bufio.NewReader(caller)
	for {
		if err := caller.SetDeadline(time.Now().Add(callerTime)); err != nil {
			return
		}
		operation, err := in.ReadString('\n')
		if err != nil || operation != "get=1\n" && operation != "set=1\n" {
			return
		}
		for line := []byte(nil); string(line) != "\n"; { // who is answered before it has written all sees another error
			if line, err = in.ReadSlice('\n'); err != nil {
				return
			}
		}
		refused := syscall.Errno(0)
		if operation == "set=1\n" {
			refused = syscall.EPERM
		} else if d.engine.IpcGetOperation(caller) != nil {
			return
		}
		if _, err := fmt.Fprintf(caller, "errno=%d\n\n", -int(refused)); err != nil {
			return
		}
	}
}

const callerTime = 10 * time.Second // for one question and its answer

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
