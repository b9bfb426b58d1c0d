package main

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"net/http"
	"reflect"
	"sync"
	"time"

	"trustcore/cmd/internal/application"
	"trustcore/cmd/internal/httpserver"
	"trustcore/cmd/internal/rights"
	"trustcore/pki"
)

// clientsEvery is how often the inventory's version is looked at while a daemon waits for a change.
const clientsEvery = 250 * time.Millisecond

// counting is the list of the certificates and applications that count, as it was made last: once for each version, whoever asks.
type counting struct {
	mu           sync.Mutex
	version      int64                     // of the inventory; guarded by mu
	applications []application.Application // as they were read; guarded by mu
	list         *rights.Clients           // nil before the first; guarded by mu
}

// clients answers the long poll of verifyd and batchd: whose certificates and tokens count, when that is not what it has, else 204.
func (d *daemon) clients(r *http.Request, _ rights.Holder) (any, error) {
	have := r.URL.Query().Get("have")
	ctx, cancel := context.WithTimeout(r.Context(), longPoll)
	defer cancel()
	ticker := time.NewTicker(clientsEvery)
	defer ticker.Stop()
	for {
		list, err := d.whoCounts(ctx)
		if err != nil && ctx.Err() == nil {
			return nil, err
		}
		if err == nil && list.Digest != have {
			return list, nil
		}
		select {
		case <-ctx.Done():
			return nil, nil
		case <-httpserver.Stopping(ctx):
			return nil, nil
		case <-ticker.C:
		}
	}
}

// whoCounts lists the certificates that count now and open a door, and the applications. A certificate that has expired since the list was made may be on it: who
// has the list looks at its end.
func (d *daemon) whoCounts(ctx context.Context) (*rights.Clients, error) {
	version, err := d.ca.Version(ctx) // before the list, so that what changes meanwhile is another version
	if err != nil {
		return nil, err
	}
	applications, err := d.registry.Applications(ctx)
	if err != nil {
		return nil, err
	}
	d.counting.mu.Lock()
	defer d.counting.mu.Unlock()
	if d.counting.list != nil && reflect.DeepEqual(d.counting.applications, applications) && d.counting.version == version {
		return d.counting.list, nil
	}
	list := &rights.Clients{Clients: []rights.Client{}, Applications: applications}
	err = d.ca.Valid(ctx, func(c pki.Certificate) error {
		if who := holder(c); who.Role() != "" {
			list.Clients = append(list.Clients, rights.Client{Holder: who, Fingerprint: c.Fingerprint, NotAfter: c.NotAfter})
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	text, err := json.Marshal(list)
	if err != nil {
		return nil, err
	}
	sum := sha256.Sum256(text)
	list.Digest = hex.EncodeToString(sum[:])
	d.counting.version, d.counting.applications, d.counting.list = version, applications, list
	return list, nil
}
