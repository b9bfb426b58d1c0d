package bench

import (
	"net"
	"os"

	"github.com/vishvananda/netlink"
	"golang.zx2c4.com/wireguard/conn"
	"golang.zx2c4.com/wireguard/device"
	"golang.zx2c4.com/wireguard/ipc"
	"golang.zx2c4.com/wireguard/tun"

	"trustcore/vpn"
)

const plainName = "tc-plain"

// plain is WireGuard as others run it: of the kernel, or wireguard-go as its own program runs it.
type plain struct {
	link   netlink.Link // of the kernel; nil for wireguard-go
	engine *device.Device
	file   *os.File
	socket net.Listener
}

func startPlain(mode vpn.Mode) (*plain, error) {
	if mode == vpn.ModeKernel {
		attributes := netlink.NewLinkAttrs()
		attributes.Name = plainName
		link := &netlink.Wireguard{LinkAttrs: attributes}
		return &plain{link: link}, netlink.LinkAdd(link)
	}
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
	if p.link != nil {
		_ = netlink.LinkDel(p.link) // its namespace ends next
		return
	}
	if p.socket != nil {
		p.socket.Close()
	}
	if p.file != nil {
		p.file.Close()
	}
	p.engine.Close()
}
