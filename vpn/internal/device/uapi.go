package device

import (
	"bytes"
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

// uapiReader takes the answer to a "get", as one writing or in parts, line by line.
type uapiReader struct {
	state      State
	privateKey Key
	peer       *Peer // the one that lines belong to; nil before the first
	key        Key
	seconds    int64          // of the last handshake, whose line comes before the nanoseconds
	allowed    []netip.Prefix // of all peers, one after another
	first      int            // of the peer's among them
	rest       []byte         // of a line whose end has not come
	err        error
}

// newUAPIReader has room for so many peers.
func newUAPIReader(peers int) *uapiReader {
	return &uapiReader{state: State{Peers: make(map[Key]Peer, peers)}, allowed: make([]netip.Prefix, 0, 2*peers)}
}

// Write implements io.Writer.
func (r *uapiReader) Write(text []byte) (int, error) {
	length := len(text)
	if len(r.rest) > 0 {
		text = append(r.rest, text...)
	}
	for {
		line, after, whole := bytes.Cut(text, []byte{'\n'})
		if !whole {
			break
		}
		text = after
		name, value, ok := bytes.Cut(line, []byte{'='})
		if !ok {
			continue
		}
		if err := r.line(string(name), value); err != nil && r.err == nil {
			r.err = fmt.Errorf("read the device: field %s: %w", name, err)
		}
	}
	r.rest = append(r.rest[:0], text...)
	return length, nil
}

// end gives what was read. The private key is returned apart, so that the state can be handed on without it.
func (r *uapiReader) end() (State, Key, error) {
	r.endPeer()
	return r.state, r.privateKey, r.err
}

func (r *uapiReader) line(name string, value []byte) (err error) {
	if name == "public_key" {
		r.endPeer()
		r.peer, r.seconds, r.first = &Peer{}, 0, len(r.allowed)
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
		r.state.ListenPort, err = strconv.Atoi(string(value))
	case "fwmark":
		r.state.FirewallMark, err = strconv.Atoi(string(value))
	}
	return err
}

func (r *uapiReader) peerLine(name string, value []byte) (err error) {
	p := r.peer
	switch name {
	case "preshared_key":
		p.PresharedKey, err = parseHexKey(value)
	case "endpoint":
		p.Endpoint, err = netip.ParseAddrPort(string(value))
	case "persistent_keepalive_interval":
		var seconds int64
		seconds, err = parseInt(value)
		p.Keepalive = time.Duration(seconds) * time.Second
	case "last_handshake_time_sec":
		r.seconds, err = parseInt(value)
	case "last_handshake_time_nsec":
		var nanoseconds int64
		nanoseconds, err = parseInt(value)
		if r.seconds != 0 || nanoseconds != 0 {
			p.LastHandshake = time.Unix(r.seconds, nanoseconds)
		}
	case "rx_bytes":
		p.Received, err = parseInt(value)
	case "tx_bytes":
		p.Sent, err = parseInt(value)
	case "allowed_ip":
		var prefix netip.Prefix
		prefix, err = netip.ParsePrefix(string(value))
		r.allowed = append(r.allowed, prefix)
	}
	return err
}

func (r *uapiReader) endPeer() {
	if r.peer == nil {
		return
	}
	if n := len(r.allowed); n > r.first {
		r.peer.AllowedIPs = r.allowed[r.first:n:n]
	}
	r.state.Peers[r.key] = *r.peer
}

func parseInt(value []byte) (int64, error) { return strconv.ParseInt(string(value), 10, 64) }

func parseHexKey(s []byte) (k Key, err error) {
	if len(s) != 2*len(k) {
		return k, fmt.Errorf("has %d digits, not %d", len(s), 2*len(k))
	}
	_, err = hex.Decode(k[:], s)
	return k, err
}
