package fence

import (
	"context"
	"fmt"
	"log/slog"
	"net"
	"net/netip"
	"sync"
	"time"

	"golang.zx2c4.com/wireguard/tun/netstack"

	"trustcore/vpn/internal/splice"
)

const (
	dialTimeout    = 5 * time.Second
	maxConnsSource = 512 // open connections of one office: each costs two goroutines and buffers
)

// Proxy is the fence where the tunnel ends in a TCP/IP stack of this process: there is a
// listener for each permitted service and for nothing else, the stack forwards nothing,
// and each connection is handed over to the service's backend on loopback after its
// source, which WireGuard has authenticated, was found in the policy.
type Proxy struct {
	stack *netstack.Net
	log   *slog.Logger
	done  sync.WaitGroup

	mu        sync.Mutex
	flows     map[Flow]netip.AddrPort
	served    map[netip.AddrPort]int // how many flows lead there
	listeners map[netip.AddrPort]net.Listener
	open      map[net.Conn]Flow // by the connection through the tunnel
	perSource map[netip.Addr]int
	counters  Counters
}

// OpenProxy makes a fence that permits nothing.
func OpenProxy(stack *netstack.Net, log *slog.Logger) *Proxy {
	return &Proxy{
		stack: stack, log: log, flows: make(map[Flow]netip.AddrPort), served: make(map[netip.AddrPort]int),
		listeners: make(map[netip.AddrPort]net.Listener), open: make(map[net.Conn]Flow), perSource: make(map[netip.Addr]int),
		counters: Counters{Flows: make(map[Flow]Traffic)},
	}
}

// Restrict implements [Fence].
func (p *Proxy) Restrict(policy Policy) (changed int, err error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for flow := range p.flows {
		if _, is := policy.Flows[flow]; !is {
			p.take(flow)
			changed++
		}
	}
	p.cut()
	return changed, nil
}

// Take implements [Fence].
func (p *Proxy) Take(part Policy) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	for flow := range part.Flows {
		p.take(flow)
	}
	p.cut()
	return nil
}

func (p *Proxy) take(flow Flow) {
	if _, is := p.flows[flow]; !is {
		return
	}
	delete(p.flows, flow)
	delete(p.counters.Flows, flow)
	if p.served[flow.Dest]--; p.served[flow.Dest] == 0 {
		delete(p.served, flow.Dest)
	}
}

// cut ends what is not permitted any more.
func (p *Proxy) cut() {
	for conn, flow := range p.open {
		if _, is := p.flows[flow]; !is {
			conn.Close() // its handler ends and tidies up
		}
	}
	for dest, listener := range p.listeners {
		if _, is := p.served[dest]; !is {
			listener.Close()
			delete(p.listeners, dest)
		}
	}
}

// Permit implements [Fence]. What this fence cannot carry (UDP, a service without a
// backend) is an error, after everything else was permitted.
func (p *Proxy) Permit(policy Policy) (changed int, err error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for flow, backend := range policy.Flows {
		if problem := unsupported(flow, backend); problem != nil {
			err = problem
			continue
		}
		before, is := p.flows[flow]
		if !is {
			p.served[flow.Dest]++
		}
		if before != backend {
			p.flows[flow] = backend
			changed++
		}
	}
	for dest := range p.served {
		if _, is := p.listeners[dest]; is {
			continue
		}
		listener, listenErr := p.stack.ListenTCPAddrPort(dest)
		if listenErr != nil {
			err = fmt.Errorf("listen on %v in the tunnel: %w", dest, listenErr)
			continue
		}
		p.listeners[dest] = listener
		p.done.Go(func() { p.serve(listener, dest) })
	}
	return changed, err
}

// Give implements [Fence].
func (p *Proxy) Give(part Policy) error {
	_, err := p.Permit(part)
	return err
}

// Extend implements [Fence]. Nothing outlives the process that looks at the lease.
func (p *Proxy) Extend() error { return nil }

func unsupported(flow Flow, backend netip.AddrPort) error {
	if flow.Proto != TCP {
		return fmt.Errorf("service %v: UDP needs a tunnel interface (start as root)", flow.Dest)
	}
	if !backend.IsValid() {
		return fmt.Errorf("service %v: mode netstack needs the service's backend on loopback", flow.Dest)
	}
	return nil
}

// serve ends when Restrict or Close closes the listener.
func (p *Proxy) serve(listener net.Listener, dest netip.AddrPort) {
	for {
		conn, err := listener.Accept()
		if err != nil {
			return
		}
		remote, err := netip.ParseAddrPort(conn.RemoteAddr().String())
		if err != nil {
			conn.Close()
			continue
		}
		flow := Flow{Source: remote.Addr().Unmap(), Dest: dest, Proto: TCP}
		backend, ok := p.admit(conn, flow)
		if !ok {
			conn.Close()
			continue
		}
		p.done.Go(func() { p.carry(conn, flow, backend) })
	}
}

// admit looks the connection up in the policy and, under the same lock, makes it known to
// Restrict: a revocation either comes before, or closes it.
func (p *Proxy) admit(conn net.Conn, flow Flow) (backend netip.AddrPort, ok bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	backend, ok = p.flows[flow]
	if !ok || p.perSource[flow.Source] >= maxConnsSource {
		p.counters.Denied++
		return backend, false
	}
	p.open[conn] = flow
	p.perSource[flow.Source]++
	return backend, true
}

// carry copies both ways until one side ends.
func (p *Proxy) carry(conn net.Conn, flow Flow, backend netip.AddrPort) {
	defer p.release(conn, flow)
	ctx, cancel := context.WithTimeout(context.Background(), dialTimeout)
	service, err := (&net.Dialer{}).DialContext(ctx, "tcp", backend.String())
	cancel()
	if err != nil {
		p.log.Warn("a service behind the tunnel does not answer", "service", flow.Dest, "backend", backend, "error", err)
		return
	}
	p.count(flow, splice.Both(conn, service))
}

func (p *Proxy) release(conn net.Conn, flow Flow) {
	conn.Close()
	p.mu.Lock()
	defer p.mu.Unlock()
	delete(p.open, conn)
	if p.perSource[flow.Source]--; p.perSource[flow.Source] == 0 {
		delete(p.perSource, flow.Source)
	}
}

func (p *Proxy) count(flow Flow, bytes int64) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if _, is := p.flows[flow]; is {
		t := p.counters.Flows[flow]
		t.Bytes += uint64(bytes)
		p.counters.Flows[flow] = t
	}
}

// Counters implements [Fence]. Bytes of a connection count when it ends.
func (p *Proxy) Counters() (Counters, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	counters := Counters{Flows: make(map[Flow]Traffic, len(p.flows)), Denied: p.counters.Denied}
	for flow := range p.flows {
		counters.Flows[flow] = p.counters.Flows[flow]
	}
	return counters, nil
}

// Close implements [Fence]; it waits for all connections to end.
func (p *Proxy) Close() error {
	_, err := p.Restrict(Policy{})
	p.done.Wait()
	return err
}
