package main

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"os"
	"sync"
	"time"

	"trustcore/cmd/internal/batch"
	"trustcore/cmd/internal/rights"
	"trustcore/internal/fetch"
)

// Bounds of what lies elsewhere. Documents that are fetched lie in memory until they were judged.
const (
	maxFetched = 32 << 20 // bytes
	fetchTime  = time.Minute
	noticeTime = 15 * time.Second
	maxNotice  = 64 << 10 // bytes of an answer
)

// sources is where documents lie that nobody sends, and where notices go.
type sources struct {
	roots map[string]batch.Root
	hosts []batch.Host
	proxy *url.URL

	mu      sync.Mutex
	clients map[string]*fetch.Client // by the address of the webhook; guarded by mu
}

func openSources(cfg *Config) (*sources, error) {
	s := &sources{roots: map[string]batch.Root{}, clients: map[string]*fetch.Client{}}
	if cfg.Proxy != "" {
		proxy, err := url.Parse(cfg.Proxy)
		if err != nil {
			return nil, errors.New("proxy: this is no URL")
		}
		s.proxy = proxy
	}
	for _, r := range cfg.Roots {
		folder, err := os.OpenRoot(r.Folder)
		if err != nil {
			return nil, errors.Join(fmt.Errorf("roots.folder: %w", err), s.close())
		}
		s.roots[r.Name] = batch.Root{Folder: folder, Owners: applications(r.Applications)}
	}
	for _, h := range cfg.Hosts {
		c, err := fetch.Configured(fetch.Config{Proxy: s.proxy, Timeout: fetchTime,
			MaxBytes: min(maxFetched, cfg.MaxDocument)}, h.URL)
		if err != nil {
			return nil, errors.Join(fmt.Errorf("hosts.url: %w", err), s.close())
		}
		s.hosts = append(s.hosts, batch.Host{Origin: h.URL, Owners: applications(h.Applications), Fetch: c.Get})
	}
	return s, nil
}

// applications are the owners of these names.
func applications(names []string) []string {
	owners := make([]string, len(names))
	for i, name := range names {
		owners[i] = ownerOf(rights.Holder{Profile: rights.TokenProfile, Name: name})
	}
	return owners
}

// send is a batch.Send. The address is one that officers registered with the application.
func (s *sources) send(ctx context.Context, address string, header http.Header, body []byte) error {
	c, err := s.client(address)
	if err != nil {
		return err
	}
	return c.Send(ctx, address, header, body)
}

func (s *sources) client(address string) (*fetch.Client, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if c := s.clients[address]; c != nil {
		return c, nil
	}
	c, err := fetch.Configured(fetch.Config{Proxy: s.proxy, Timeout: noticeTime, MaxBytes: maxNotice}, address)
	if err == nil {
		s.clients[address] = c
	}
	return c, err
}

func (s *sources) close() error {
	var all error
	for _, r := range s.roots {
		all = errors.Join(all, r.Folder.Close())
	}
	return all
}
