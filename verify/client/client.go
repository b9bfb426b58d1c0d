// Package client asks verifyd: it judges documents and certificates, with what an application needs around that. A
// call that the service can't take now, or that a network broke, is made again; a signature that is not valid is an
// answer, no error.
package client

import (
	"cmp"
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"os"
	"strings"
	"time"
)

// Config is what New needs. Zero values have defaults, but for URL.
type Config struct {
	URL string // of verifyd, such as https://verifyd.example:8444; http is taken on loopback alone
	// TLS says whom verifyd must be certified by, and holds the client certificate (see Certified). nil: the system's
	// authorities.
	TLS       *tls.Config
	Language  string        // of problems, reasons and notes: "pl", or "" for English
	Attempts  int           // of a call; 0 means 4
	Wait      time.Duration // between two of them at most, whatever verifyd asks for; 0 means a minute
	MaxAnswer int64         // bytes of an answer; 0 means 64 MiB
}

const (
	defaultAttempts  = 4
	defaultWait      = time.Minute
	defaultMaxAnswer = 64 << 20
	firstWait        = 100 * time.Millisecond // after a failure without Retry-After, doubled with each
	headerTime       = 2 * time.Minute        // until an answer begins: a turn and judging take a minute at most
	maxIdle          = 32
	ioBuffer         = 32 << 10 // octets of a request or an answer that go over a connection at once
)

// Client asks one verifyd. It is safe for concurrent use.
type Client struct {
	base  string
	cfg   Config
	http  *http.Client
	sleep func(ctx context.Context, d time.Duration) error
}

// New returns a client. It follows no redirects and takes no proxy from the environment: a document goes where URL
// says.
func New(cfg Config) (*Client, error) {
	u, err := url.Parse(cfg.URL)
	if err != nil || u.Host == "" || u.User != nil || u.RawQuery != "" {
		return nil, fmt.Errorf("client: %q is no address of a verifyd, such as https://verifyd.example:8444", cfg.URL)
	}
	if u.Scheme != "https" && (u.Scheme != "http" || !isLoopback(u.Hostname())) {
		return nil, fmt.Errorf("client: %s: documents travel by https, beyond loopback", cfg.URL)
	}
	cfg.Attempts, cfg.Wait = cmp.Or(cfg.Attempts, defaultAttempts), cmp.Or(cfg.Wait, defaultWait)
	cfg.MaxAnswer = cmp.Or(cfg.MaxAnswer, defaultMaxAnswer)
	return &Client{base: strings.TrimSuffix(u.String(), "/"), cfg: cfg, sleep: sleep, http: &http.Client{
		Transport: &http.Transport{TLSClientConfig: cfg.TLS, ResponseHeaderTimeout: headerTime, MaxIdleConnsPerHost: maxIdle,
			IdleConnTimeout: time.Minute, WriteBufferSize: ioBuffer, ReadBufferSize: ioBuffer},
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}}, nil
}

func isLoopback(host string) bool {
	ip := net.ParseIP(host)
	return host == "localhost" || ip != nil && ip.IsLoopback()
}

// Certified is a TLS configuration with a client certificate and its key, and the authorities that verifyd must be
// certified by, from PEM files. The certificate's file is read anew for each connection, since certificates of the
// data centre are renewed every few days.
func Certified(certificate, key, authorities string) (*tls.Config, error) {
	pem, err := os.ReadFile(authorities)
	if err != nil {
		return nil, fmt.Errorf("client: %w", err)
	}
	roots := x509.NewCertPool()
	if !roots.AppendCertsFromPEM(pem) {
		return nil, fmt.Errorf("client: %s holds no certificate", authorities)
	}
	read := func(*tls.CertificateRequestInfo) (*tls.Certificate, error) {
		pair, err := tls.LoadX509KeyPair(certificate, key)
		return &pair, err
	}
	if _, err := read(nil); err != nil {
		return nil, fmt.Errorf("client: %w", err)
	}
	return &tls.Config{RootCAs: roots, GetClientCertificate: read, MinVersion: tls.VersionTLS13}, nil
}

// Close ends connections that are not in use.
func (c *Client) Close() { c.http.CloseIdleConnections() }

// sleep waits, but not longer than the context.
func sleep(ctx context.Context, d time.Duration) error {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return context.Cause(ctx)
	case <-timer.C:
		return nil
	}
}

// errTooLarge tells of an answer beyond Config.MaxAnswer.
var errTooLarge = errors.New("the answer is larger than what is taken")
