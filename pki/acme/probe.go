package acme

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"slices"
	"sync"
	"time"

	step "github.com/smallstep/certificates/acme"
)

// Limits of a challenge's validation.
const (
	maxAttempts  = 32               // at a time, over all partners
	attemptTime  = 15 * time.Second // for all of one
	dialTime     = 5 * time.Second  // for one address
	maxProbed    = 8                // addresses that are tried
	maxProof     = 4 << 10          // octets of an answer: a key authorization has under 200
	maxProofHead = 8 << 10
)

// prober looks at challenges of one session: its partner's own addresses are all that it dials, by no proxy, and it follows nobody.
type prober struct {
	*session
	ctx context.Context // of the one request
}

var _ step.Client = (*prober)(nil)

// outsideError is a refusal to dial, which the client is told.
type outsideError struct{ text string }

func (e *outsideError) Error() string { return e.text }

// Get fetches the proof of http-01 (RFC 8555 8.3). What comes by a redirect proves nothing about the host.
func (p *prober) Get(url string) (*http.Response, error) {
	ctx, cancel, err := p.begin()
	if err != nil {
		return nil, err
	}
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		cancel()
		return nil, err
	}
	request.Header.Set("User-Agent", "trustcore-acme")
	transport := &http.Transport{DialContext: p.dial, DisableKeepAlives: true, DisableCompression: true,
		MaxResponseHeaderBytes: maxProofHead}
	client := &http.Client{Transport: transport, CheckRedirect: func(*http.Request, []*http.Request) error {
		return &outsideError{"the host answers with a redirect: the proof must come from the host itself"}
	}}
	response, err := client.Do(request)
	if err != nil {
		cancel()
		return nil, p.explained(err)
	}
	if response.StatusCode/100 == 3 { // without a place to go
		cancel()
		return nil, errors.Join(p.explained(&outsideError{"the host answers with a redirect: the proof must come from the host itself"}), response.Body.Close())
	}
	response.Body = &proof{io.LimitReader(response.Body, maxProof), response.Body, cancel}
	return response, nil
}

// proof is the beginning of a body, whose end ends the attempt.
type proof struct {
	io.Reader
	body   io.Closer
	cancel context.CancelFunc
}

// Close ends the attempt.
func (p *proof) Close() error {
	defer p.cancel()
	return p.body.Close()
}

// TLSDial is tls-alpn-01 (RFC 8737).
func (p *prober) TLSDial(network, address string, settings *tls.Config) (*tls.Conn, error) {
	ctx, cancel, err := p.begin()
	if err != nil {
		return nil, err
	}
	defer cancel()
	plain, err := p.dial(ctx, network, address)
	if err != nil {
		return nil, p.explained(err)
	}
	conn := tls.Client(plain, settings)
	if err := conn.HandshakeContext(ctx); err != nil {
		return nil, errors.Join(err, plain.Close())
	}
	return conn, nil
}

// LookupTxt is dns-01 (RFC 8555 8.4), asked of the configured resolver alone.
func (p *prober) LookupTxt(name string) ([]string, error) {
	if p.resolver == nil {
		return nil, &outsideError{"dns-01 is not offered"}
	}
	ctx, cancel, err := p.begin()
	if err != nil {
		return nil, err
	}
	defer cancel()
	return p.resolver.LookupTXT(ctx, name+".") // from the root: nothing of the host's search list
}

// begin waits for its place among the attempts.
func (p *prober) begin() (context.Context, context.CancelFunc, error) {
	ctx, cancel := context.WithTimeout(p.ctx, attemptTime)
	select {
	case p.attempts <- struct{}{}:
		return ctx, sync.OnceFunc(func() { cancel(); <-p.attempts }), nil
	case <-ctx.Done():
		cancel()
		return nil, nil, fmt.Errorf("too many challenges are being looked at: %w", ctx.Err())
	}
}

// explained keeps a refusal to dial for the client.
func (p *prober) explained(err error) error {
	var outside *outsideError
	if errors.As(err, &outside) {
		p.detail = outside.text
	}
	return err
}

// dial connects to a host of the partner's. Addresses are looked up once, all of them must be the partner's, and what was looked up
// is what is dialled: an answer that changes in between changes nothing.
func (p *prober) dial(ctx context.Context, network, hostport string) (net.Conn, error) {
	host, port, err := net.SplitHostPort(hostport)
	if err != nil {
		return nil, err
	}
	addresses, err := p.addresses(ctx, host)
	if err != nil {
		return nil, err
	}
	var all error
	for _, a := range addresses[:min(len(addresses), maxProbed)] {
		try, cancel := context.WithTimeout(ctx, dialTime)
		conn, err := p.cfg.Dial(try, network, net.JoinHostPort(a.String(), port))
		cancel()
		if err == nil {
			return conn, nil
		}
		all = errors.Join(all, err)
	}
	return nil, all
}

// addresses are those of a host, each the partner's own.
func (p *prober) addresses(ctx context.Context, host string) ([]netip.Addr, error) {
	if p.rule == nil || len(p.rule.Reach) == 0 {
		return nil, &outsideError{"the office has no tunnel: its hosts can't be reached"}
	}
	found, err := p.lookUp(ctx, host)
	if err != nil {
		return nil, err
	}
	for i, a := range found {
		found[i] = a.Unmap()
		if !p.mayDial(found[i]) {
			return nil, &outsideError{fmt.Sprintf("%.253s is at %s, which is none of the office's addresses in the tunnel", host, a)}
		}
	}
	return found, nil
}

func (p *prober) lookUp(ctx context.Context, host string) ([]netip.Addr, error) {
	if a, err := netip.ParseAddr(host); err == nil {
		return []netip.Addr{a}, nil
	}
	if p.resolver == nil {
		var ends []netip.Addr
		for _, prefix := range p.rule.Reach {
			if prefix.IsSingleIP() {
				ends = append(ends, prefix.Addr())
			}
		}
		return ends, nil
	}
	found, err := p.resolver.LookupNetIP(ctx, "ip", host+".")
	if err == nil && len(found) == 0 {
		err = &outsideError{fmt.Sprintf("%.253s has no address", host)}
	}
	return found, err
}

// mayDial reports whether an address is one of the partner's. Whatever the order says, this machine and its link are not.
func (p *prober) mayDial(a netip.Addr) bool {
	return a.IsValid() && a.Zone() == "" && !a.IsUnspecified() && !a.IsLoopback() && !a.IsLinkLocalUnicast() && !a.IsMulticast() &&
		slices.ContainsFunc(p.rule.Reach, func(own netip.Prefix) bool { return own.Contains(a) })
}
