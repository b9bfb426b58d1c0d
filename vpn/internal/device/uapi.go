package device

import (
	"bufio"
	"encoding/hex"
	"fmt"
	"net/netip"
	"strconv"
	"strings"
	"time"
)

// encodeUAPI writes a change in WireGuard's cross-platform configuration protocol
// (https://www.wireguard.com/xplatform/).
func encodeUAPI(c Change) string {
	var b strings.Builder
	if c.PrivateKey != nil {
		fmt.Fprintf(&b, "private_key=%x\n", *c.PrivateKey)
	}
	if c.ListenPort != nil {
		fmt.Fprintf(&b, "listen_port=%d\n", *c.ListenPort)
	}
	if c.FirewallMark != nil {
		fmt.Fprintf(&b, "fwmark=%d\n", *c.FirewallMark)
	}
	for _, p := range c.Peers {
		encodePeer(&b, p)
	}
	return b.String()
}

func encodePeer(b *strings.Builder, p PeerChange) {
	fmt.Fprintf(b, "public_key=%x\n", p.PublicKey)
	if p.Remove {
		b.WriteString("remove=true\n")
		return
	}
	if p.UpdateOnly {
		b.WriteString("update_only=true\n")
	}
	if p.PresharedKey != nil {
		fmt.Fprintf(b, "preshared_key=%x\n", *p.PresharedKey)
	}
	if p.Endpoint.IsValid() {
		fmt.Fprintf(b, "endpoint=%s\n", p.Endpoint)
	}
	if p.Keepalive != nil {
		fmt.Fprintf(b, "persistent_keepalive_interval=%d\n", int(*p.Keepalive/time.Second))
	}
	if p.ReplaceAllowedIPs {
		b.WriteString("replace_allowed_ips=true\n")
	}
	for _, a := range p.AllowedIPs {
		fmt.Fprintf(b, "allowed_ip=%s\n", a)
	}
}

// uapiReader collects the answer to a "get" line by line.
type uapiReader struct {
	state      State
	privateKey Key
	peer       *Peer // the one that lines belong to; nil before the first
	key        Key
	seconds    int64 // of the last handshake, whose line comes before the nanoseconds
}

// decodeUAPI reads the answer to a "get". The private key is returned apart, so that the
// state can be handed on without it.
func decodeUAPI(text string) (State, Key, error) {
	r := uapiReader{state: State{Peers: make(map[Key]Peer)}}
	scanner := bufio.NewScanner(strings.NewReader(text))
	for scanner.Scan() {
		name, value, ok := strings.Cut(scanner.Text(), "=")
		if !ok {
			continue
		}
		if err := r.line(name, value); err != nil {
			return State{}, Key{}, fmt.Errorf("read the device: field %s: %w", name, err)
		}
	}
	r.endPeer()
	return r.state, r.privateKey, scanner.Err()
}

func (r *uapiReader) line(name, value string) (err error) {
	if name == "public_key" {
		r.endPeer()
		r.peer, r.seconds = &Peer{}, 0
		r.key, err = parseHexKey(value)
		return err
	}
	if r.peer != nil {
		return r.peerLine(name, value)
	}
	switch name {
	case "private_key":
		r.privateKey, err = parseHexKey(value)
	case "listen_port":
		r.state.ListenPort, err = strconv.Atoi(value)
	case "fwmark":
		r.state.FirewallMark, err = strconv.Atoi(value)
	}
	return err
}

func (r *uapiReader) peerLine(name, value string) (err error) {
	p := r.peer
	switch name {
	case "preshared_key":
		p.PresharedKey, err = parseHexKey(value)
	case "endpoint":
		p.Endpoint, err = netip.ParseAddrPort(value)
	case "persistent_keepalive_interval":
		var seconds int
		seconds, err = strconv.Atoi(value)
		p.Keepalive = time.Duration(seconds) * time.Second
	case "last_handshake_time_sec":
		r.seconds, err = strconv.ParseInt(value, 10, 64)
	case "last_handshake_time_nsec":
		var nanoseconds int64
		nanoseconds, err = strconv.ParseInt(value, 10, 64)
		if r.seconds != 0 || nanoseconds != 0 {
			p.LastHandshake = time.Unix(r.seconds, nanoseconds)
		}
	case "rx_bytes":
		p.Received, err = strconv.ParseInt(value, 10, 64)
	case "tx_bytes":
		p.Sent, err = strconv.ParseInt(value, 10, 64)
	case "allowed_ip":
		var prefix netip.Prefix
		prefix, err = netip.ParsePrefix(value)
		p.AllowedIPs = append(p.AllowedIPs, prefix)
	}
	return err
}

func (r *uapiReader) endPeer() {
	if r.peer != nil {
		r.state.Peers[r.key] = *r.peer
	}
}

func parseHexKey(s string) (k Key, err error) {
	if len(s) != 2*len(k) {
		return k, fmt.Errorf("has %d digits, not %d", len(s), 2*len(k))
	}
	_, err = hex.Decode(k[:], []byte(s))
	return k, err
}
