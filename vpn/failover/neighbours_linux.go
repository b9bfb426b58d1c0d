package failover

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"slices"
	"time"

	"golang.org/x/sys/unix"
)

// Before a gateway takes the addresses it asks the network for them (RFC 5227, 2.1.1; RFC 4862, 5.4), and whoever has them
// answers, also where the adverts are lost or the other gateway's daemon is dead. Two questions, each with time for an answer.
const (
	questions = 2
	answerIn  = 50 * time.Millisecond
)

// maxFrame is how much of a frame is looked at: an answer is shorter.
const maxFrame = 128

var (
	broadcast = net.HardwareAddr{0xff, 0xff, 0xff, 0xff, 0xff, 0xff}
	allNodes  = netip.MustParseAddr("ff02::1")
)

// wire is a socket for frames of one interface.
type wire struct {
	fd    int
	index int
}

func openWire(index int) (*wire, error) {
	fd, err := unix.Socket(unix.AF_PACKET, unix.SOCK_RAW|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return nil, fmt.Errorf("speak to the neighbours (CAP_NET_RAW is needed): %w", err)
	}
	w := &wire{fd, index}
	const all = unix.ETH_P_ALL<<8&0xff00 | unix.ETH_P_ALL>>8
	if err := unix.Bind(fd, &unix.SockaddrLinklayer{Protocol: all, Ifindex: index}); err != nil {
		return nil, errors.Join(fmt.Errorf("speak to the neighbours: %w", err), w.Close())
	}
	member := unix.PacketMreq{Ifindex: int32(index), Type: unix.PACKET_MR_ALLMULTI} // others ask groups that this host is not in
	if err := unix.SetsockoptPacketMreq(fd, unix.SOL_PACKET, unix.PACKET_ADD_MEMBERSHIP, &member); err != nil {
		return nil, errors.Join(fmt.Errorf("hear what the neighbours are asked: %w", err), w.Close())
	}
	return w, nil
}

func (w *wire) Close() error { return unix.Close(w.fd) }

func (w *wire) send(frame []byte) error {
	if err := unix.Sendto(w.fd, frame, 0, &unix.SockaddrLinklayer{Ifindex: w.index}); err != nil {
		return fmt.Errorf("speak to the neighbours: %w", err)
	}
	return nil
}

// probe asks who has one of the addresses, and returns who answers: nil when nobody does. Who gives way takes a question of
// somebody else for an answer, so that of two who ask at the same time one goes on.
func (a *addresses) probe(givesWay bool) (holder net.HardwareAddr, err error) {
	w, err := openWire(a.index)
	if err != nil {
		return nil, err
	}
	defer w.Close()
	for range questions {
		for _, at := range a.all {
			if err := w.send(a.question(at)); err != nil {
				return nil, err
			}
		}
		if holder, err = a.await(w, givesWay); holder != nil || err != nil {
			return holder, err
		}
	}
	return nil, nil
}

// await hears the neighbours for a while, and returns who claims an address.
func (a *addresses) await(w *wire, givesWay bool) (holder net.HardwareAddr, err error) {
	frame := make([]byte, maxFrame)
	for end := time.Now().Add(answerIn); ; {
		left := time.Until(end)
		if left <= 0 {
			return nil, nil
		}
		wait := unix.NsecToTimeval(int64(max(left, time.Millisecond)))
		if err := unix.SetsockoptTimeval(w.fd, unix.SOL_SOCKET, unix.SO_RCVTIMEO, &wait); err != nil {
			return nil, fmt.Errorf("hear the neighbours: %w", err)
		}
		n, _, err := unix.Recvfrom(w.fd, frame, 0)
		if errors.Is(err, unix.EAGAIN) || errors.Is(err, unix.EINTR) {
			continue
		}
		if err != nil {
			return nil, fmt.Errorf("hear the neighbours: %w", err)
		}
		from, claim := claimOf(frame[:n], a.all)
		if !bytes.Equal(from, a.hardware) && (claim == has || claim == asks && givesWay) {
			return slices.Clone(from), nil
		}
	}
}

// announce tells the neighbours that the addresses are here now (RFC 5227, 2.3; RFC 4861, 7.2.6).
func (a *addresses) announce() error {
	w, err := openWire(a.index)
	if err != nil {
		return err
	}
	defer w.Close()
	for _, at := range a.all {
		frames := [][]byte{arp(a.hardware, arpRequest, at, at), arp(a.hardware, arpReply, at, at)}
		if at.Is6() {
			frames = [][]byte{advertisement(a.hardware, at)}
		}
		for _, frame := range frames {
			if err := w.send(frame); err != nil {
				return err
			}
		}
	}
	return nil
}

func (a *addresses) question(at netip.Addr) []byte {
	if at.Is6() {
		return solicitation(a.hardware, at)
	}
	return arp(a.hardware, arpRequest, netip.IPv4Unspecified(), at)
}

const (
	arpRequest = 1
	arpReply   = 2
	arpLen     = 28
)

// arp is a frame of RFC 826 to everybody.
func arp(from net.HardwareAddr, operation byte, sender, target netip.Addr) []byte {
	b := ethernet(broadcast, from, unix.ETH_P_ARP)
	b = append(b, 0, 1, 8, 0, 6, 4, 0, operation)
	b = append(append(b, from...), sender.AsSlice()...)
	to := make(net.HardwareAddr, len(from))
	if operation == arpReply {
		to = from
	}
	return append(append(b, to...), target.AsSlice()...)
}

func ethernet(to, from net.HardwareAddr, kind uint16) []byte {
	b := append(append(make([]byte, 0, maxFrame), to...), from...)
	return binary.BigEndian.AppendUint16(b, kind)
}

// Kinds of ICMPv6 messages (RFC 4861, 4.3 and 4.4).
const (
	neighbourSolicitation  = 135
	neighbourAdvertisement = 136
	headerLen6             = 40
	hopLimit               = 255
	overrides              = 0x20 // the flag of an advertisement that replaces what was known
)

// solicitation asks who has the address, from nobody: that is how duplicates are looked for.
func solicitation(from net.HardwareAddr, target netip.Addr) []byte {
	t := target.As16()
	group := netip.AddrFrom16([16]byte{0: 0xff, 1: 0x02, 11: 1, 12: 0xff, 13: t[13], 14: t[14], 15: t[15]})
	body := append([]byte{neighbourSolicitation, 0, 0, 0, 0, 0, 0, 0}, t[:]...)
	return icmp6(from, netip.IPv6Unspecified(), group, body)
}

// advertisement tells everybody where the address is.
func advertisement(from net.HardwareAddr, target netip.Addr) []byte {
	body := append([]byte{neighbourAdvertisement, 0, 0, 0, overrides, 0, 0, 0}, target.AsSlice()...)
	body = append(append(body, 2, 1), from...) // option: target link-layer address
	return icmp6(from, target, allNodes, body)
}

func icmp6(from net.HardwareAddr, source, group netip.Addr, body []byte) []byte {
	g := group.As16()
	b := ethernet(net.HardwareAddr{0x33, 0x33, g[12], g[13], g[14], g[15]}, from, unix.ETH_P_IPV6)
	b = append(b, 0x60, 0, 0, 0, 0, byte(len(body)), unix.IPPROTO_ICMPV6, hopLimit)
	b = append(append(b, source.AsSlice()...), group.AsSlice()...)
	binary.BigEndian.PutUint16(body[2:], checksum6(source, group, body))
	return append(b, body...)
}

// checksum6 is that of RFC 4443, 2.3, over the pseudo-header of RFC 8200, 8.1.
func checksum6(source, destination netip.Addr, body []byte) uint16 {
	sum := uint32(len(body)) + unix.IPPROTO_ICMPV6
	for _, part := range [][]byte{source.AsSlice(), destination.AsSlice(), body} {
		for i := 0; i+1 < len(part); i += 2 {
			sum += uint32(binary.BigEndian.Uint16(part[i:]))
		}
	}
	for sum>>16 != 0 {
		sum = sum>>16 + sum&0xffff
	}
	return ^uint16(sum)
}

// claim is what a frame shows of its sender and one of the addresses.
type claim int

const (
	nothing claim = iota
	asks          // the sender wants to have it
	has           // the sender has it
)

// claimOf says what a frame shows, and who sent it.
func claimOf(frame []byte, of []netip.Addr) (from net.HardwareAddr, c claim) {
	const header = 14
	if len(frame) < header {
		return nil, nothing
	}
	from, kind, rest := net.HardwareAddr(frame[6:12]), binary.BigEndian.Uint16(frame[12:]), frame[header:]
	var sender, target netip.Addr
	switch {
	case kind == unix.ETH_P_ARP && len(rest) >= arpLen && bytes.Equal(rest[:6], []byte{0, 1, 8, 0, 6, 4}):
		from = net.HardwareAddr(rest[8:14])
		if sender = netip.AddrFrom4([4]byte(rest[14:18])); sender.IsUnspecified() {
			target = netip.AddrFrom4([4]byte(rest[24:28]))
		}
	case kind == unix.ETH_P_IPV6 && len(rest) >= headerLen6+24 && rest[6] == unix.IPPROTO_ICMPV6 && rest[7] == hopLimit:
		at := netip.AddrFrom16([16]byte(rest[headerLen6+8 : headerLen6+24]))
		switch source := netip.AddrFrom16([16]byte(rest[8:24])); {
		case rest[headerLen6] == neighbourAdvertisement:
			sender = at
		case rest[headerLen6] == neighbourSolicitation && source.IsUnspecified():
			target = at
		}
	}
	switch {
	case slices.Contains(of, sender):
		return from, has
	case slices.Contains(of, target):
		return from, asks
	}
	return nil, nothing
}
