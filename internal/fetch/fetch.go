// Package fetch is the one room from which the appliance asks the outside world. It has two faces. New makes the one for
// addresses out of strangers' documents and certificates: nothing behind the wall may be reached through them. Configured
// makes the one for addresses that the administrator wrote: their hosts are asked wherever they are, and what they
// lead on to is a stranger's again.
//
// A stranger's address is http or https, and public: that is checked after name resolution, at the moment of connecting, so that
// a name that changes its address gains nothing, and again for each redirect. Behind a proxy the proxy resolves, so that there no
// IP literal, no single label and no name of a private zone is taken. Sizes, times and redirects are bounded for both.
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
	"time"
)

// Config bounds what may be asked. Zero fields take the defaults.
type Config struct {
	// Allow lists addresses that may be reached though they are private: the own authority's. No proxy stands before them.
	Allow    []netip.AddrPort
	Proxy    *url.URL      // http or https, through which all else is asked; nil asks straight
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
	wall     *wall
	maxBytes int64
}

// New returns a client for addresses out of documents. It keeps no cookies, and takes no proxy from the environment.
func New(cfg Config) *Client { return newClient(cfg, &wall{}, nil) }

// Configured returns a client for addresses that the administrator wrote. Their hosts, each with its port, are asked whatever
// their names resolve to; an address that is led to from there is a stranger's.
func Configured(cfg Config, addresses ...string) (*Client, error) {
	w := &wall{known: map[string]bool{}}
	for _, address := range addresses {
		u, err := url.Parse(address)
		if err == nil {
			err = checkURL(u)
		}
		if err != nil {
			return nil, fmt.Errorf("address: %w", err)
		}
		w.known[hostPort(u)] = true
	}
	return newClient(cfg, w, nil), nil
}

// newClient makes a client with a resolver; nil is the machine's.
func newClient(cfg Config, w *wall, resolver *net.Resolver) *Client {
	if cfg.Timeout == 0 {
		cfg.Timeout = defaultTimeout
	}
	if cfg.MaxBytes == 0 {
		cfg.MaxBytes = defaultMaxBytes
	}
	w.allow, w.proxy = slices.Clone(cfg.Allow), cfg.Proxy
	w.open = &net.Dialer{Timeout: cfg.Timeout, Resolver: resolver}
	w.walled = &net.Dialer{Timeout: cfg.Timeout, Resolver: resolver, Control: w.control}
	return &Client{wall: w, maxBytes: cfg.MaxBytes, http: &http.Client{
		Timeout: cfg.Timeout,
		Transport: &http.Transport{
			Proxy: w.through, DialContext: w.dial, MaxResponseHeaderBytes: maxHeader, ForceAttemptHTTP2: true,
			MaxConnsPerHost: maxConnsPerHost, MaxIdleConnsPerHost: 4, IdleConnTimeout: 30 * time.Second, DisableCompression: true,
		},
		CheckRedirect: w.redirect,
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
	header := http.Header{}
	if contentType != "" {
		header.Set("Content-Type", contentType)
	}
	response, err := c.ask(ctx, method, rawURL, header, body)
	if err != nil {
		return nil, err
	}
	defer response.Body.Close()
	return c.read(response)
}

// ask returns an answer whose body is the caller's to close.
func (c *Client) ask(ctx context.Context, method, rawURL string, header http.Header, body []byte) (*http.Response, error) {
	if len(rawURL) > maxURL {
		return nil, fmt.Errorf("URL of %d bytes: %w", len(rawURL), ErrForbidden)
	}
	u, err := url.Parse(rawURL)
	if err != nil {
		return nil, fmt.Errorf("URL: %w", err)
	}
	if err := c.wall.checkURL(u); err != nil {
		return nil, err
	}
	request, err := http.NewRequestWithContext(ctx, method, u.String(), bytes.NewReader(body))
	if err != nil {
		return nil, err
	}
	request.Header = header
	return c.http.Do(request)
}

// read returns the content of a good answer; another one is a *Status.
func (c *Client) read(response *http.Response) ([]byte, error) {
	if response.StatusCode != http.StatusOK {
		return nil, statusOf(response)
	}
	data, err := io.ReadAll(io.LimitReader(response.Body, c.maxBytes+1))
	if err != nil {
		return nil, err
	}
	if int64(len(data)) > c.maxBytes {
		return nil, fmt.Errorf("%s answered with more than %d bytes", response.Request.URL.Host, c.maxBytes)
	}
	return data, nil
}
