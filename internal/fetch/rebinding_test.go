package fetch_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"sync"
	"testing"

	"golang.org/x/net/dns/dnsmessage"

	"trustcore/internal/fetch"
)

// nameServer answers each question for an address with the next of its answers, the last one for ever.
type nameServer struct {
	conn net.PacketConn

	mu      sync.Mutex
	answers [][]netip.Addr // guarded by mu
}

func newNameServer(t *testing.T) *nameServer {
	t.Helper()
	conn, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	s := &nameServer{conn: conn}
	done := make(chan struct{})
	go func() { defer close(done); s.serve() }()
	t.Cleanup(func() { _ = conn.Close(); <-done })
	return s
}

func (s *nameServer) say(answers ...[]netip.Addr) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.answers = answers
}

// serve ends when the connection is closed.
func (s *nameServer) serve() {
	buffer := make([]byte, 1500)
	for {
		n, from, err := s.conn.ReadFrom(buffer)
		if err != nil {
			return
		}
		var m dnsmessage.Message
		if err := m.Unpack(buffer[:n]); err != nil || len(m.Questions) != 1 {
			continue
		}
		m.Response, m.RecursionAvailable, m.Additionals = true, true, nil
		m.Answers = s.records(m.Questions[0])
		if packed, err := m.Pack(); err == nil {
			_, _ = s.conn.WriteTo(packed, from) // a client that went away asks again
		}
	}
}

func (s *nameServer) records(q dnsmessage.Question) (list []dnsmessage.Resource) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, a := range s.answers[0] {
		header := dnsmessage.ResourceHeader{Name: q.Name, Type: q.Type, Class: q.Class}
		switch {
		case a.Is4() && q.Type == dnsmessage.TypeA:
			list = append(list, dnsmessage.Resource{Header: header, Body: &dnsmessage.AResource{A: a.As4()}})
		case a.Is6() && q.Type == dnsmessage.TypeAAAA:
			list = append(list, dnsmessage.Resource{Header: header, Body: &dnsmessage.AAAAResource{AAAA: a.As16()}})
		}
	}
	if q.Type == dnsmessage.TypeA && len(s.answers) > 1 {
		s.answers = s.answers[1:]
	}
	return list
}

func (s *nameServer) resolver() *net.Resolver {
	return &net.Resolver{PreferGo: true, Dial: func(ctx context.Context, _, _ string) (net.Conn, error) {
		var d net.Dialer
		return d.DialContext(ctx, "udp", s.conn.LocalAddr().String())
	}}
}

// TestNamesThatLeadInside resolves a public name to addresses behind the wall, at once or only the second time.
func TestNamesThatLeadInside(t *testing.T) {
	inside := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { t.Error("the inside was reached") }))
	defer inside.Close()
	port := netip.MustParseAddrPort(inside.Listener.Addr().String()).Port()
	names := newNameServer(t)
	at := func(list ...string) (addresses []netip.Addr) {
		for _, a := range list {
			addresses = append(addresses, netip.MustParseAddr(a))
		}
		return addresses
	}
	for _, answer := range [][]netip.Addr{
		at("127.0.0.1"), at("::1"), at("10.1.2.3"), at("169.254.169.254"), at("fe80::1"), at("fd00::1"), at("64:ff9b::7f00:1"),
		at("::ffff:127.0.0.1"), at("127.0.0.1", "::1"), at("0.0.0.0"), at("fec0::1"),
	} {
		names.say(answer)
		c := fetch.NewWithResolver(fetch.Config{}, names.resolver())
		if _, err := c.Get(t.Context(), insideURL(port)); !errors.Is(err, fetch.ErrForbidden) {
			t.Errorf("%s: %v", answer, err)
		}
	}
}

func insideURL(port uint16) string { return fmt.Sprintf("http://crl.example.pl:%d/", port) }

// TestRebinding resolves a name to a server that may be asked, and to the inside when it is asked again: for a redirect
// to the same name, and for the next request.
func TestRebinding(t *testing.T) {
	// Two servers share a port on two loopback addresses, of which one counts as outside.
	outside, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	allowed := netip.MustParseAddrPort(outside.Addr().String())
	within, err := net.Listen("tcp", netip.AddrPortFrom(netip.MustParseAddr("127.0.0.2"), allowed.Port()).String())
	if err != nil {
		t.Skipf("127.0.0.2 is not to be had: %v", err)
	}
	inside := httptest.NewUnstartedServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { t.Error("the inside was reached") }))
	inside.Listener = within
	inside.Start()
	defer inside.Close()
	public := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Connection", "close") // so that the name is resolved again
		if r.URL.Path == "/redirect" {
			http.Redirect(w, r, "/", http.StatusFound)
			return
		}
		_, _ = io.WriteString(w, "here")
	}))
	public.Listener = outside
	public.Start()
	defer public.Close()

	names := newNameServer(t)
	first, second := []netip.Addr{allowed.Addr()}, []netip.Addr{netip.MustParseAddr("127.0.0.2")}
	for _, path := range []string{"redirect", ""} {
		names.say(first, second)
		c := fetch.NewWithResolver(fetch.Config{Allow: []netip.AddrPort{allowed}}, names.resolver())
		data, err := c.Get(t.Context(), insideURL(allowed.Port())+path)
		if path == "" && (err != nil || string(data) != "here") {
			t.Errorf("the first request: %q, %v", data, err)
		}
		if path == "" {
			_, err = c.Get(t.Context(), insideURL(allowed.Port()))
		}
		if !errors.Is(err, fetch.ErrForbidden) {
			t.Errorf("/%s: %v", path, err)
		}
	}
}
