package fetch

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"syscall"
)

// wall decides about addresses, before and after their names were resolved.
type wall struct {
	allow []netip.AddrPort
	known map[string]bool // host:port of configured addresses; nil for a client of documents' addresses
	proxy *url.URL

	open, walled *net.Dialer
}

func checkURL(u *url.URL) error {
	if u.Scheme != "http" && u.Scheme != "https" || u.Hostname() == "" || u.User != nil {
		return fmt.Errorf("%q: %w", u.Redacted(), ErrForbidden)
	}
	return nil
}

// checkURL refuses what can be refused before a name is resolved. Behind a proxy that is all there is.
func (w *wall) checkURL(u *url.URL) error {
	if err := checkURL(u); err != nil || w.proxy == nil || w.straight(u) || w.known[hostPort(u)] {
		return err
	}
	if !isPublicName(u.Hostname()) {
		return fmt.Errorf("%q, behind a proxy: %w", u.Redacted(), ErrForbidden)
	}
	return nil
}

// redirect is an http.Client's CheckRedirect. Who is asked over TLS must not be able to lead out of it where the
// administrator wrote the address.
func (w *wall) redirect(r *http.Request, via []*http.Request) error {
	switch {
	case len(via) > maxRedirects:
		return fmt.Errorf("more than %d redirects", maxRedirects)
	case w.known != nil && r.URL.Scheme == "http" && via[len(via)-1].URL.Scheme == "https":
		return fmt.Errorf("a redirect from https to %q: %w", r.URL.Redacted(), ErrForbidden)
	}
	return w.checkURL(r.URL)
}

// through is an http.Transport's Proxy.
func (w *wall) through(r *http.Request) (*url.URL, error) {
	if w.proxy == nil || w.straight(r.URL) {
		return nil, nil
	}
	return w.proxy, nil
}

// straight tells that an address is asked without the proxy: it is one that may be reached though it is private, or a
// configured one that names a private address itself.
func (w *wall) straight(u *url.URL) bool {
	ap, err := netip.ParseAddrPort(hostPort(u))
	if err != nil {
		return false
	}
	return w.allowed(ap) || w.known[hostPort(u)] && !isPublic(ap.Addr())
}

// dial connects to a host and port, or to the proxy.
func (w *wall) dial(ctx context.Context, network, address string) (net.Conn, error) {
	if w.proxy != nil && address == hostPort(w.proxy) || w.known[strings.ToLower(address)] {
		return w.open.DialContext(ctx, network, address)
	}
	return w.walled.DialContext(ctx, network, address)
}

// control is called for every address right before connecting to it.
func (w *wall) control(_, address string, _ syscall.RawConn) error {
	ap, err := netip.ParseAddrPort(address)
	if err != nil {
		return fmt.Errorf("%s: %w", address, ErrForbidden)
	}
	if !w.allowed(ap) && !isPublic(ap.Addr()) {
		return fmt.Errorf("%s: %w", ap, ErrForbidden)
	}
	return nil
}

// allowed tells of the addresses that may be reached though they are private.
func (w *wall) allowed(ap netip.AddrPort) bool {
	return slices.Contains(w.allow, netip.AddrPortFrom(plain(ap.Addr()), ap.Port()))
}

func plain(a netip.Addr) netip.Addr { return a.Unmap().WithZone("") }

// special are ranges that netip's own questions do not cover (IANA special-purpose registries).
var special = []netip.Prefix{
	netip.MustParsePrefix("0.0.0.0/8"), netip.MustParsePrefix("100.64.0.0/10"), netip.MustParsePrefix("192.0.0.0/24"),
	netip.MustParsePrefix("192.0.2.0/24"), netip.MustParsePrefix("192.88.99.0/24"), netip.MustParsePrefix("198.18.0.0/15"),
	netip.MustParsePrefix("198.51.100.0/24"), netip.MustParsePrefix("203.0.113.0/24"), netip.MustParsePrefix("240.0.0.0/4"),
	netip.MustParsePrefix("::/96"), netip.MustParsePrefix("64:ff9b::/96"), netip.MustParsePrefix("64:ff9b:1::/48"),
	netip.MustParsePrefix("100::/64"), netip.MustParsePrefix("2001::/23"), netip.MustParsePrefix("2001:db8::/32"),
	netip.MustParsePrefix("2002::/16"), netip.MustParsePrefix("3fff::/20"), netip.MustParsePrefix("5f00::/16"),
}

// public6 is what is handed out of IPv6 for the Internet.
var public6 = netip.MustParsePrefix("2000::/3")

// isPublic tells of addresses of the Internet.
func isPublic(a netip.Addr) bool {
	a = plain(a)
	if !a.IsGlobalUnicast() || a.IsPrivate() || a.IsLoopback() || a.IsLinkLocalUnicast() {
		return false
	}
	if a.Is6() && !public6.Contains(a) {
		return false // among others the old site-local fec0::/10
	}
	return !slices.ContainsFunc(special, func(p netip.Prefix) bool { return p.Contains(a) })
}

// private are zones that no public server answers for: RFC 6761, 6762 and 8375, ICANN's .internal, and what offices use.
var private = []string{
	"localhost", "local", "internal", "home.arpa", "test", "invalid", "onion", "lan", "intranet", "corp", "home",
}

// isPublicName tells whether a host is a name of several labels that may be public. What ends in a number may be taken
// for an IPv4 address by whoever resolves it, in one of its many spellings.
func isPublicName(host string) bool {
	host = strings.ToLower(strings.TrimSuffix(host, "."))
	last := host[strings.LastIndexByte(host, '.')+1:]
	if last == host || last == "" || strings.Contains(host, ":") {
		return false
	}
	if _, err := strconv.ParseUint(last, 0, 64); err == nil || errors.Is(err, strconv.ErrRange) || isDigits(last) {
		return false
	}
	return !slices.ContainsFunc(private, func(zone string) bool { return strings.HasSuffix("."+host, "."+zone) })
}

func isDigits(s string) bool { return strings.Trim(s, "0123456789") == "" }

// hostPort is the host and port that an address leads to, in lower case.
func hostPort(u *url.URL) string {
	port := u.Port()
	if port == "" {
		port = map[string]string{"http": "80", "https": "443"}[u.Scheme]
	}
	return net.JoinHostPort(strings.ToLower(u.Hostname()), port)
}
