package acme_test

import (
	"crypto/ecdsa"
	"crypto/tls"
	"net"
	"net/netip"
	"sync"
	"testing"

	xacme "golang.org/x/crypto/acme"
	"golang.org/x/net/dns/dnsmessage"
)

func key(c *xacme.Client) *ecdsa.PrivateKey { return c.Key.(*ecdsa.PrivateKey) }

// dns is a resolver on UDP.
type dns struct {
	t   *testing.T
	at  netip.AddrPort
	udp net.Addr

	mu    sync.Mutex
	names map[string][]netip.Addr // guarded by mu
	next  map[string][]netip.Addr // what follows the first answer; guarded by mu
	texts map[string]string       // guarded by mu
}

func resolver(t *testing.T) *dns {
	t.Helper()
	conn, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	d := &dns{t: t, at: netip.MustParseAddrPort("10.64.0.1:53"), udp: conn.LocalAddr(), names: map[string][]netip.Addr{}, next: map[string][]netip.Addr{}, texts: map[string]string{}}
	t.Cleanup(func() { _ = conn.Close() }) // ends serve
	go d.serve(conn)
	return d
}

func addressesOf(texts []string) (list []netip.Addr) {
	for _, a := range texts {
		list = append(list, netip.MustParseAddr(a))
	}
	return list
}

func (d *dns) set(name string, addresses ...string) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.names[name+"."] = addressesOf(addresses)
	delete(d.next, name+".")
}

func (d *dns) then(name string, addresses ...string) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.next[name+"."] = addressesOf(addresses)
}

func (d *dns) text(name, text string) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.texts[name+"."] = text
}

func (d *dns) serve(conn net.PacketConn) {
	buffer := make([]byte, 2048)
	for {
		n, from, err := conn.ReadFrom(buffer)
		if err != nil {
			return
		}
		var m dnsmessage.Message
		if err := m.Unpack(buffer[:n]); err != nil {
			d.t.Error(err)
			continue
		}
		m.Response, m.RecursionAvailable, m.Additionals = true, true, nil
		d.answer(&m)
		if text, err := m.Pack(); err == nil {
			_, _ = conn.WriteTo(text, from)
		}
	}
}

func (d *dns) answer(m *dnsmessage.Message) {
	d.mu.Lock()
	defer d.mu.Unlock()
	q := m.Questions[0]
	name := q.Name.String()
	head := dnsmessage.ResourceHeader{Name: q.Name, Class: q.Class, TTL: 0, Type: q.Type}
	for _, a := range d.names[name] {
		switch {
		case q.Type == dnsmessage.TypeA && a.Is4():
			m.Answers = append(m.Answers, dnsmessage.Resource{Header: head, Body: &dnsmessage.AResource{A: a.As4()}})
		case q.Type == dnsmessage.TypeAAAA && !a.Is4():
			m.Answers = append(m.Answers, dnsmessage.Resource{Header: head, Body: &dnsmessage.AAAAResource{AAAA: a.As16()}})
		}
	}
	if q.Type == dnsmessage.TypeTXT && d.texts[name] != "" {
		m.Answers = append(m.Answers, dnsmessage.Resource{Header: head, Body: &dnsmessage.TXTResource{TXT: []string{d.texts[name]}}})
	}
	if next, rebinds := d.next[name]; rebinds && q.Type == dnsmessage.TypeA {
		d.names[name] = next
	}
}

// alpn answers tls-alpn-01.
func alpn(t *testing.T, proof tls.Certificate) net.Addr {
	t.Helper()
	l, err := tls.Listen("tcp", "127.0.0.1:0", &tls.Config{Certificates: []tls.Certificate{proof}, NextProtos: []string{"acme-tls/1"}})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = l.Close() })
	go func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			go func() {
				defer conn.Close()
				_ = conn.(*tls.Conn).HandshakeContext(t.Context())
			}()
		}
	}()
	return l.Addr()
}
