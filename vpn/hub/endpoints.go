package hub

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"net/netip"
	"os"
	"path/filepath"
	"sync"

	"trustcore/internal/durable"
	"trustcore/vpn"
	"trustcore/vpn/internal/device"
)

const (
	endpointsFile     = "endpoints.json"
	maxEndpointsBytes = 8 << 20 // 20,000 peers take 2 MB
)

// endpoints remembers from where each office was last heard, across restarts of the hub:
// with them the hub can start the handshake itself instead of waiting for the office.
type endpoints struct {
	file string

	mu    sync.Mutex
	known map[vpn.Key]netip.AddrPort // guarded by mu
}

// loadEndpoints reads the file in dir. A damaged file costs some seconds of traffic, not
// the start: it is treated as empty.
func loadEndpoints(dir string) (*endpoints, error) {
	e := &endpoints{file: filepath.Join(dir, endpointsFile), known: make(map[vpn.Key]netip.AddrPort)}
	info, err := os.Stat(e.file)
	if errors.Is(err, fs.ErrNotExist) || err == nil && info.Size() > maxEndpointsBytes {
		return e, nil
	}
	data, err := os.ReadFile(e.file)
	if err != nil {
		return nil, fmt.Errorf("read the endpoints of offices: %w", err)
	}
	known := make(map[vpn.Key]netip.AddrPort)
	if json.Unmarshal(data, &known) == nil {
		e.known = known
	}
	return e, nil
}

// last is the endpoint that the peer had, or the invalid one.
func (e *endpoints) last(key vpn.Key) netip.AddrPort {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.known[key]
}

// remember takes the endpoints of the present peers and writes the file when they changed.
// Endpoints of peers that are gone are forgotten.
func (e *endpoints) remember(peers map[device.Key]device.Peer) error {
	e.mu.Lock()
	defer e.mu.Unlock()
	now := make(map[vpn.Key]netip.AddrPort, len(peers))
	for key, peer := range peers {
		if peer.Endpoint.IsValid() {
			now[key] = peer.Endpoint
		}
	}
	if maps.Equal(now, e.known) {
		return nil
	}
	return e.keep(now)
}

// learn adds endpoints to those that are known, and says whether one is another than before.
func (e *endpoints) learn(heard map[vpn.Key]netip.AddrPort) (changed bool, err error) {
	e.mu.Lock()
	defer e.mu.Unlock()
	now := maps.Clone(e.known)
	maps.Copy(now, heard)
	if maps.Equal(now, e.known) {
		return false, nil
	}
	return true, e.keep(now)
}

// keep writes the endpoints. The caller holds e.mu.
func (e *endpoints) keep(now map[vpn.Key]netip.AddrPort) error {
	data, err := json.Marshal(now)
	if err == nil {
		err = durable.WriteFile(e.file, data, 0o600)
	}
	if err != nil {
		return fmt.Errorf("remember the endpoints of offices: %w", err)
	}
	e.known = now
	return nil
}
