package bench

import (
	"net"
	"os"

	"golang.zx2c4.com/wireguard/conn"
	"golang.zx2c4.com/wireguard/device"
	"golang.zx2c4.com/wireguard/ipc"
	"golang.zx2c4.com/wireguard/tun"
)

const plainName = "tc-plain"

// plain is wireguard-go as its own program runs it.
type plain struct {
	engine *device.Device
	file   *os.File
	socket net.Listener
}

func startPlain() (*plain, error) {
	tunnel, err := tun.CreateTUN(plainName, device.DefaultMTU)
	if err != nil {
		return nil, err
	}
	p := &plain{engine: device.NewDevice(tunnel, conn.NewDefaultBind(), device.NewLogger(device.LogLevelSilent, ""))}
	if p.file, err = ipc.UAPIOpen(plainName); err == nil {
		p.socket, err = net.FileListener(p.file)
	}
	if err == nil {
		err = p.engine.Up()
	}
	if err != nil {
		p.stop()
		return nil, err
	}
	go func() { // ends when stop closes the socket
		for {
			c, err := p.socket.Accept()
			if err != nil {
				return
			}
			go p.engine.IpcHandle(c)
		}
	}()
	return p, nil
}

func (p *plain) stop() {
	if p.socket != nil {
		p.socket.Close()
	}
	if p.file != nil {
		p.file.Close()
	}
	p.engine.Close()
}
