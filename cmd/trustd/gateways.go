package main

import (
	"context"
	"encoding/json"
	"fmt"
	"sync"
	"time"

	"trustcore/vpn"
)

// gateways holds what each VPN gateway reported last.
type gateways struct {
	mu      sync.Mutex
	reports map[string]report // by name of the gateway's certificate; guarded by mu
	changed chan struct{}     // closed and renewed at every report; guarded by mu
}

type report struct {
	at     time.Time
	status vpn.Status
}

// reportLife is how long a silent gateway counts as one that still carries tunnels: vpnd reports every
// few seconds, and one that is cut off from trustd drops nothing by itself yet.
const reportLife = time.Minute

func newGateways() *gateways {
	return &gateways{reports: map[string]report{}, changed: make(chan struct{})}
}

// put takes a report.
func (g *gateways) put(name string, status vpn.Status) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.reports[name] = report{time.Now(), status}
	close(g.changed)
	g.changed = make(chan struct{})
}

// reported returns a channel that is closed at the next report.
func (g *gateways) reported() <-chan struct{} {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.changed
}

// hub returns the newest report, which has the hub's public key and port.
func (g *gateways) hub() (vpn.Status, bool) {
	g.mu.Lock()
	defer g.mu.Unlock()
	var newest report
	for _, r := range g.reports {
		if r.at.After(newest.at) {
			newest = r
		}
	}
	return newest.status, !newest.at.IsZero()
}

// all returns every gateway's last report, by name.
func (g *gateways) all() map[string]vpn.Status {
	g.mu.Lock()
	defer g.mu.Unlock()
	m := make(map[string]vpn.Status, len(g.reports))
	for name, r := range g.reports {
		m[name] = r.status
	}
	return m
}

// await returns when every gateway that reported lately has the revision of the wish in force.
func (g *gateways) await(ctx context.Context, revision int64) error {
	for {
		g.mu.Lock()
		behind, changed := "", g.changed
		for name, r := range g.reports {
			if r.status.Revision < revision && time.Since(r.at) < reportLife {
				behind = name
			}
		}
		g.mu.Unlock()
		if behind == "" {
			return nil
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("gateway %s has not applied the wish yet", behind)
		case <-changed:
		}
	}
}

// readStatus reads a gateway's report.
func readStatus(data []byte) (vpn.Status, error) {
	var s vpn.Status
	err := json.Unmarshal(data, &s)
	return s, err
}
