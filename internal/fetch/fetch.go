// Package fetch is the one door through which the judging side asks the outside world. URLs come from
// strangers' documents and certificates, so nothing behind the wall may be reached through them: only
// http and https, only public addresses (checked after name resolution, at the moment of connecting, so
// that a name that changes its address gains nothing), redirects checked again, sizes and times bounded.
package fetch

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"slices"
	"syscall"
	"time"
)

// Config bounds what may be asked. Zero fields take the defaults.
type Config struct {
	// Allow lists addresses that may be reached though they are private: the own authority's.
	Allow    []netip.AddrPort
	Timeout  time.Duration // for one answer, redirects included; default 10 s
	MaxBytes int64         // of one answer; default 64 MiB, the largest national CRLs have some 30
}

const (
	defaultTimeout  = 10 * time.Second
	defaultMaxBytes = 64 << 20
	maxRedirects    = 3
	maxURL          = 2048 // bytes
	maxHeader       = 64 << 10
	maxConnsPerHost = 16 // a document with a thousand signers is no reason to knock a responder over
)

// ErrForbidden tells that a URL leads where it must not.
var ErrForbidden = errors.New("the address is not one that may be asked")

// Client asks. It is safe for concurrent use.
type Client struct {
	http     *http.Client
	maxBytes int64
}

// New returns a client. It uses no proxy and keeps no cookies.
func New(cfg Config) *Client {
	if cfg.Timeout == 0 {
		cfg.Timeout = defaultTimeout
	}
	if cfg.MaxBytes == 0 {
		cfg.MaxBytes = defaultMaxBytes
	}
	return newClient(cfg, nil)
}

// newClient makes a client with a resolver; nil is the machine's.
func newClient(cfg Config, resolver *net.Resolver) *Client {
	wall := &wall{allow: slices.Clone(cfg.Allow)}
	dialer := &net.Dialer{Timeout: cfg.Timeout, Control: wall.control, Resolver: resolver}
	return &Client{maxBytes: cfg.MaxBytes, http: &http.Client{
		Timeout: cfg.Timeout,
		Transport: &http.Transport{
			DialContext: dialer.DialContext, MaxResponseHeaderBytes: maxHeader, ForceAttemptHTTP2: true,
			MaxConnsPerHost: maxConnsPerHost, MaxIdleConnsPerHost: 4, IdleConnTimeout: 30 * time.Second, DisableCompression: true,
		},
		CheckRedirect: func(r *http.Request, via []*http.Request) error {
			if len(via) > maxRedirects {
				return fmt.Errorf("more than %d redirects", maxRedirects)
			}
			return checkURL(r.URL)
		},
	}}
}

// Get asks for a CRL or a certificate.
func (c *Client) Get(ctx context.Context, rawURL string) ([]byte, error) {
	return c.do(ctx, http.MethodGet, rawURL, "", nil)
}

// Post sends an OCSP request or a time-stamp request.
func (c *Client) Post(ctx context.Context, rawURL, contentType string, body []byte) ([]byte, error) {
	return c.do(ctx, http.MethodPost, rawURL, contentType, body)
}

func (c *Client) do(ctx context.Context, method, rawURL, contentType string, body []byte) ([]byte, error) {
	if len(rawURL) > maxURL {
		return nil, fmt.Errorf("URL of %d bytes: %w", len(rawURL), ErrForbidden)
	}
	u, err := url.Parse(rawURL)
	if err != nil {
		return nil, fmt.Errorf("URL: %w", err)
	}
	if err := checkURL(u); err != nil {
		return nil, err
	}
	request, err := http.NewRequestWithContext(ctx, method, u.String(), bytes.NewReader(body))
	if err != nil {
		return nil, err
	}
	if contentType != "" {
		request.Header.Set("Content-Type", contentType)
	}
	response, err := c.http.Do(request)
	if err != nil {
		return nil, err
	}
	defer response.Body.Close()
	if response.StatusCode != http.StatusOK {
		return nil, fmt.Errorf("%s answered %s", u.Host, response.Status)
	}
	data, err := io.ReadAll(io.LimitReader(response.Body, c.maxBytes+1))
	if err != nil {
		return nil, err
	}
	if int64(len(data)) > c.maxBytes {
		return nil, fmt.Errorf("%s answered with more than %d bytes", u.Host, c.maxBytes)
	}
	return data, nil
}

func checkURL(u *url.URL) error {
	if u.Scheme != "http" && u.Scheme != "https" || u.Host == "" || u.User != nil {
		return fmt.Errorf("%q: %w", u.Redacted(), ErrForbidden)
	}
	return nil
}

// wall decides about addresses after their names were resolved.
type wall struct{ allow []netip.AddrPort }

// control is called for every address right before connecting to it.
func (w *wall) control(_, address string, _ syscall.RawConn) error {
	ap, err := netip.ParseAddrPort(address)
	if err != nil {
		return fmt.Errorf("%s: %w", address, ErrForbidden)
	}
	if !w.permits(ap) {
		return fmt.Errorf("%s: %w", ap, ErrForbidden)
	}
	return nil
}

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

func (w *wall) permits(ap netip.AddrPort) bool {
	a := ap.Addr().Unmap().WithZone("")
	if slices.Contains(w.allow, netip.AddrPortFrom(a, ap.Port())) {
		return true
	}
	if !a.IsGlobalUnicast() || a.IsPrivate() || a.IsLoopback() || a.IsLinkLocalUnicast() {
		return false
	}
	if a.Is6() && !public6.Contains(a) {
		return false // among others the old site-local fec0::/10
	}
	return !slices.ContainsFunc(special, func(p netip.Prefix) bool { return p.Contains(a) })
}
