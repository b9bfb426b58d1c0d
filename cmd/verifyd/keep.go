package main

import (
	"fmt"
	"log/slog"
	"net/url"
	"path/filepath"
	"time"

	"trustcore/internal/fetch"
	"trustcore/verify/trustlist"
	"trustcore/verify/trustlist/upkeep"
)

// Bounds of fetching a list: the largest have some megabytes, and their publishers are slow at times.
const listTimeout = time.Minute

// keep is how the lists are kept that nobody else tends; nil where somebody does.
func (c *Config) keep(log *slog.Logger) (*upkeep.Config, error) {
	if c.TrustLists != "" {
		return nil, nil
	}
	signers, err := trustlist.SignersOf(c.LOTLSigners)
	if err != nil {
		return nil, fmt.Errorf("lotl_signers: %w", err)
	}
	keep := &upkeep.Config{Dir: filepath.Join(c.StateDir, "lists"), Signers: signers, Now: time.Now, Logger: log}
	known := []string{c.Lists.LOTL}
	for _, address := range c.Lists.Addresses {
		known = append(known, address)
	}
	for _, e := range c.Lists.Extra {
		ders, err := trustlist.ReadPEM(e.Signers)
		if err != nil {
			return nil, fmt.Errorf("lists.extra.signers: %w", err)
		}
		keep.Extra = append(keep.Extra, upkeep.Extra{Address: e.Address, Signers: ders})
		known = append(known, e.Address)
	}
	if !c.Lists.Fetch {
		return keep, nil
	}
	proxy, err := c.proxy()
	if err != nil {
		return nil, err
	}
	client, err := fetch.Configured(fetch.Config{Allow: c.FetchAllow, Proxy: proxy, Timeout: listTimeout, MaxBytes: trustlist.MaxSize}, known...)
	if err != nil {
		return nil, fmt.Errorf("lists: %w", err)
	}
	keep.Fetch = &upkeep.Fetch{Client: client, LOTL: c.Lists.LOTL, Addresses: c.Lists.Addresses, Every: c.Lists.Every}
	return keep, nil
}

// proxy is nil for none.
func (c *Config) proxy() (*url.URL, error) {
	if c.Proxy == "" {
		return nil, nil
	}
	u, err := url.Parse(c.Proxy)
	if err != nil {
		return nil, fmt.Errorf("proxy: this is no URL") // which may hold a password
	}
	return u, nil
}
