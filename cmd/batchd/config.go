package main

import (
	"errors"
	"fmt"
	"log/slog"
	"net/netip"
	"net/url"
	"path/filepath"
	"strings"
	"time"

	"trustcore/cmd/internal/identity"
)

// Config is the configuration of batchd. What has no default is required.
type Config struct {
	Listen     string            `koanf:"listen"`      // address of the interface for applications (TLS)
	Identity   identity.Identity `koanf:"identity"`    // batchd's own certificate
	Trustd     string            `koanf:"trustd"`      // https URL of its admin: who is let in
	ClientsFor time.Duration     `koanf:"clients_for"` // what trustd said last counts so long, default 24h
	Verifyd    string            `koanf:"verifyd"`     // https URL of the verifyd that judges
	Operations string            `koanf:"operations"`  // loopback address, default 127.0.0.1:9103
	StateDir   string            `koanf:"state_dir"`   // absolute folder: queue, spool, results, audit log

	Roots []RootConfig `koanf:"roots"` // folders whose files may be judged where they lie
	Hosts []HostConfig `koanf:"hosts"` // servers whose documents may be fetched
	Proxy string       `koanf:"proxy"` // http or https URL of the proxy through which hosts and webhooks are asked

	MaxSpool       int64         `koanf:"max_spool"`       // bytes that wait, default 20 GiB
	MaxDocument    int64         `koanf:"max_document"`    // bytes, default 100 MiB; no more than verifyd's
	MaxUpload      int64         `koanf:"max_upload"`      // bytes of one request, default 1 GiB
	MaxConnections int           `koanf:"max_connections"` // at once, default 256
	Concurrency    int           `koanf:"concurrency"`     // documents handed to verifyd at a time, default 8
	KeepResults    time.Duration `koanf:"keep_results"`    // after a batch is finished, default 720h (30 days)

	LogLevel slog.Level `koanf:"log_level"` // DEBUG, INFO (default), WARN, ERROR
}

// RootConfig is a folder whose files may be judged where they lie.
type RootConfig struct {
	Name         string   `koanf:"name"`         // by which applications call it
	Folder       string   `koanf:"folder"`       // absolute
	Applications []string `koanf:"applications"` // who may
}

// HostConfig is a server whose documents may be fetched.
type HostConfig struct {
	URL          string   `koanf:"url"`          // https, without a path
	Applications []string `koanf:"applications"` // who may
}

// Bounds of settings.
const (
	minClientsFor  = time.Minute // a restart of trustd takes some seconds
	minKeepResults = time.Hour
	maxConcurrency = 64 // of one verifyd: more wait there
)

// Defaults are the settings of a file that says nothing.
func Defaults() Config {
	return Config{ClientsFor: 24 * time.Hour, Operations: "127.0.0.1:9103", MaxSpool: 20 << 30, MaxDocument: 100 << 20,
		MaxUpload:      1 << 30,
		MaxConnections: 256, Concurrency: 8, KeepResults: 30 * 24 * time.Hour}
}

// Check names the key that is missing or wrong.
func (c *Config) Check() error {
	if _, err := netip.ParseAddrPort(c.Listen); err != nil {
		return fmt.Errorf("listen: %q is not an address and port, such as 127.0.0.1:8446", c.Listen)
	}
	operations, err := netip.ParseAddrPort(c.Operations)
	if err != nil || !operations.Addr().IsLoopback() {
		return fmt.Errorf("operations: %q is not an address and port on loopback", c.Operations)
	}
	switch {
	case !strings.HasPrefix(c.Trustd, "https://"):
		return fmt.Errorf("trustd: %q is not the https URL of trustd's admin interface", c.Trustd)
	case !isOrigin(c.Verifyd):
		return fmt.Errorf("verifyd: %q is not the https URL of a verifyd, without a path", c.Verifyd)
	case c.ClientsFor < minClientsFor:
		return fmt.Errorf("clients_for: %s is too short: at least %s", c.ClientsFor, minClientsFor)
	case !filepath.IsAbs(c.StateDir):
		return fmt.Errorf("state_dir: %q is not the absolute path of a folder for batchd alone", c.StateDir)
	case c.MaxDocument < 1 || c.MaxUpload < c.MaxDocument || c.MaxSpool < c.MaxUpload:
		return errors.New("max_document, max_upload, max_spool: each holds the one before")
	case c.MaxConnections < 1:
		return fmt.Errorf("max_connections: %d lets nobody in", c.MaxConnections)
	case c.Concurrency < 1 || c.Concurrency > maxConcurrency:
		return fmt.Errorf("concurrency: %d is not from 1 to %d", c.Concurrency, maxConcurrency)
	case c.KeepResults < minKeepResults:
		return fmt.Errorf("keep_results: %s is too short to fetch them: at least %s", c.KeepResults, minKeepResults)
	}
	return errors.Join(c.checkSources(), c.Identity.Check())
}

func (c *Config) checkSources() error {
	names := map[string]bool{}
	for _, r := range c.Roots {
		switch {
		case r.Name == "" || names[r.Name]:
			return fmt.Errorf("roots.name: %q is missing, or there twice", r.Name)
		case !filepath.IsAbs(r.Folder):
			return fmt.Errorf("roots.folder: %q is not the absolute path of a folder", r.Folder)
		case len(r.Applications) == 0:
			return fmt.Errorf("roots.applications: nobody may use %s: name applications, or leave it out", r.Name)
		}
		names[r.Name] = true
	}
	for _, h := range c.Hosts {
		if !isOrigin(h.URL) || len(h.Applications) == 0 {
			return fmt.Errorf("hosts: %q is not an https URL without a path, or names no applications", h.URL)
		}
	}
	if u, err := url.Parse(c.Proxy); c.Proxy != "" &&
		(err != nil || u.Scheme != "https" && u.Scheme != "http" || u.Host == "") {
		return errors.New("proxy: this is not an http or https URL") // which may hold a password
	}
	return nil
}

// isOrigin reports whether an address is https with a host and nothing behind it.
func isOrigin(address string) bool {
	u, err := url.Parse(address)
	return err == nil && u.Scheme == "https" && u.Hostname() != "" && u.User == nil && address == "https://"+u.Host
}
