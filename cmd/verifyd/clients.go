package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"time"

	"trustcore/cmd/internal/httpserver"
	"trustcore/cmd/internal/identity"
	"trustcore/cmd/internal/rights"
)

// Following trustd: who may have documents verified.
const (
	followTimeout = time.Minute     // trustd answers a long poll within 25 s
	followAgain   = time.Second     // after it did not answer
	maxClients    = 64 << 20        // bytes of its answer, some 200,000 certificates
	silentTooLong = 2 * time.Minute // is told in /health
)

// clients is whose certificates count, as trustd says.
type clients struct {
	*rights.Known
	url  string
	http *http.Client
	log  *slog.Logger

	mu     sync.Mutex
	failed error // of the last question; guarded by mu
}

func newClients(trustd string, id identity.Identity, life time.Duration, log *slog.Logger) (*clients, error) {
	client, err := id.HTTP(followTimeout)
	if err != nil {
		return nil, err
	}
	return &clients{Known: rights.NewKnown(life, time.Now), url: strings.TrimSuffix(trustd, "/") + "/v1/clients",
		http: client, log: log}, nil
}

// run follows trustd until ctx ends.
func (c *clients) run(ctx context.Context) error {
	for ctx.Err() == nil {
		list, err := c.ask(ctx)
		c.mu.Lock()
		c.failed = err
		c.mu.Unlock()
		if err == nil {
			c.Take(list)
			continue
		}
		if ctx.Err() != nil {
			break
		}
		c.log.Warn("trustd does not say whose certificates count", "error", err)
		select {
		case <-ctx.Done():
		case <-time.After(followAgain):
		}
	}
	return nil
}

// ask returns the list when it is another than the one that is known, nil when it is still that.
func (c *clients) ask(ctx context.Context) (*rights.Clients, error) {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, c.url+"?have="+url.QueryEscape(c.Digest()), nil)
	if err != nil {
		return nil, err
	}
	response, err := c.http.Do(request)
	if err != nil {
		return nil, err
	}
	defer response.Body.Close()
	switch response.StatusCode {
	case http.StatusNoContent:
		return nil, nil
	case http.StatusOK:
	default:
		return nil, fmt.Errorf("trustd answered %s", response.Status)
	}
	list := new(rights.Clients)
	if err := json.NewDecoder(io.LimitReader(response.Body, maxClients)).Decode(list); err != nil {
		return nil, fmt.Errorf("trustd's answer: %w", err)
	}
	return list, nil
}

// protect serves next on the listener to whose certificates count.
func (c *clients) protect(s httpserver.Server, next http.Handler) http.Handler {
	return rights.Guard{Listener: rights.Verify, Standing: c.Standing}.Protect(s.Door(), next)
}

// caller names who asks, by what the authority calls it: that stays the same when its certificate is renewed. Without
// certificates all callers are one.
func (c *clients) caller(r *http.Request) string {
	if c == nil || r.TLS == nil || len(r.TLS.PeerCertificates) == 0 {
		return ""
	}
	who, err := c.Standing(r.Context(), r.TLS.PeerCertificates[0])
	if err != nil {
		return rights.Fingerprint(r.TLS.PeerCertificates[0]) // it was let in a moment ago, and is nobody else
	}
	return strings.Join([]string{who.Profile, who.Partner, who.Name}, "/")
}

// ready says why nobody is let in.
func (c *clients) ready() error {
	if c == nil {
		return nil
	}
	_, err := c.Usable()
	return err
}

// findings tells of a trustd that is silent.
func (c *clients) findings() []httpserver.Finding {
	if c == nil {
		return nil
	}
	c.mu.Lock()
	failed := c.failed
	c.mu.Unlock()
	silent, err := c.Usable()
	if err != nil || failed == nil || silent < silentTooLong {
		return nil // what can't be used is told by ready
	}
	return []httpserver.Finding{{State: httpserver.Amber,
		What:   fmt.Sprintf("trustd has been silent for %s: certificates that were revoked since are still let in", silent.Round(time.Second)),
		Remedy: "look whether trustd runs and is reached: " + failed.Error()}}
}
