package rights

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
)

// Following trustd: who is let in.
const (
	followTimeout = time.Minute     // trustd answers a long poll within 25 s
	followAgain   = time.Second     // after it did not answer
	maxClients    = 64 << 20        // bytes of its answer, some 200,000 certificates
	silentTooLong = 2 * time.Minute // is told in /health
)

// Follower is whose certificates and tokens count, as trustd says. A nil one is for a door that asks nobody.
type Follower struct {
	*Known
	url  string
	http *http.Client
	log  *slog.Logger

	mu     sync.Mutex
	failed error // of the last question; guarded by mu
}

// Follow returns a follower of the trustd at an https URL, which is asked under the daemon's own identity once Run is
// called. What it said last counts for so long when it is silent.
func Follow(trustd string, id identity.Identity, life time.Duration, log *slog.Logger) (*Follower, error) {
	client, err := id.HTTP(followTimeout)
	if err != nil {
		return nil, err
	}
	return &Follower{Known: NewKnown(life, time.Now), url: strings.TrimSuffix(trustd, "/") + "/v1/clients", http: client,
		log: log}, nil
}

// Run follows trustd until ctx ends.
func (f *Follower) Run(ctx context.Context) error {
	for ctx.Err() == nil {
		list, err := f.ask(ctx)
		f.mu.Lock()
		f.failed = err
		f.mu.Unlock()
		if err == nil {
			f.Take(list)
			continue
		}
		if ctx.Err() != nil {
			break
		}
		f.log.Warn("trustd does not say whose certificates count", "error", err)
		select {
		case <-ctx.Done():
		case <-time.After(followAgain):
		}
	}
	return nil
}

// ask returns the list when it is another than the one that is known, nil when it is still that.
func (f *Follower) ask(ctx context.Context) (*Clients, error) {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, f.url+"?have="+url.QueryEscape(f.Digest()), nil)
	if err != nil {
		return nil, err
	}
	response, err := f.http.Do(request)
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
	list := new(Clients)
	if err := json.NewDecoder(io.LimitReader(response.Body, maxClients)).Decode(list); err != nil {
		return nil, fmt.Errorf("trustd's answer: %w", err)
	}
	return list, nil
}

// Ready says why nobody is let in.
func (f *Follower) Ready() error {
	if f == nil {
		return nil
	}
	_, err := f.Usable()
	return err
}

// Findings tells of a trustd that is silent.
func (f *Follower) Findings() []httpserver.Finding {
	if f == nil {
		return nil
	}
	f.mu.Lock()
	failed := f.failed
	f.mu.Unlock()
	silent, err := f.Usable()
	if err != nil || failed == nil || silent < silentTooLong {
		return nil // what can't be used is told by Ready
	}
	return []httpserver.Finding{{State: httpserver.Amber,
		What: fmt.Sprintf("trustd has been silent for %s: certificates and tokens that were revoked since are still let in",
			silent.Round(time.Second)),
		Remedy: "look whether trustd runs and is reached: " + failed.Error()}}
}
