package main

import (
	"cmp"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"net/netip"
	"net/url"
	"path/filepath"
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	"trustcore/cmd/internal/identity"
	"trustcore/verify/api"
	"trustcore/verify/policy"
	"trustcore/verify/prose"
	"trustcore/verify/trustlist"
	"trustcore/verify/trustlist/upkeep"
)

// Config is the configuration of verifyd. What has no default is required.
type Config struct {
	Listen     string            `koanf:"listen"`      // address of the interface for applications (TLS)
	Identity   identity.Identity `koanf:"identity"`    // verifyd's own certificate
	Clients    string            `koanf:"clients"`     // "none" (default on loopback), "certificate": callers must show one of identity.ca, or "application": that, or a token
	Trustd     string            `koanf:"trustd"`      // https URL of trustd's interface for daemons: it renews the own certificate and says whose count
	ClientsFor time.Duration     `koanf:"clients_for"` // for so long callers are let in by what trustd said last, default 24h
	Operations string            `koanf:"operations"`  // loopback address of /livez, /readyz, /health and /metrics, default 127.0.0.1:9102
	StateDir   string            `koanf:"state_dir"`   // absolute folder of verifyd: evidence that verdicts leaned on is kept in it for good

	Lists       Lists    `koanf:"lists"`        // that verifyd keeps itself in state_dir
	TrustLists  string   `koanf:"trust_lists"`  // in their place a folder that somebody else tends, told apart by content
	LOTLSigners string   `koanf:"lotl_signers"` // folder with PEM certificates that may sign the list of the lists, default those shipped
	ExtraLists  []string `koanf:"extra_lists"`  // trusted lists outside the list of the lists
	Anchors     []string `koanf:"anchors"`      // PEM files with certificates that are trusted at all times

	Pins string `koanf:"pins"` // file of the list of keys that Polish law publishes (docs/pins.md), read at the start; default the shipped one

	ServiceCards string `koanf:"service_cards"` // file of the kinds of signatures that services accept (docs/pins.md)

	Policy   string   `koanf:"policy"`   // what a signature must meet: strict (default), dss-default, or a file
	Policies []string `koanf:"policies"` // that callers may choose besides; default strict and dss-default

	Reload time.Duration `koanf:"reload"` // how often the files above are read again, default 1h; SIGHUP does it at once

	Offline    bool             `koanf:"offline"`     // fetch nothing: evidence comes from documents and from the state folder
	FetchAllow []netip.AddrPort `koanf:"fetch_allow"` // private addresses that may be asked all the same: the own authority's
	Proxy      string           `koanf:"proxy"`       // http or https URL of the proxy through which all else is asked

	Scanner Scanner `koanf:"scanner"` // for malicious software; default none
	Reports Reports `koanf:"reports"` // that are kept

	MaxDocument    int64  `koanf:"max_document"`    // bytes of one request, default 100 MiB
	MaxMemory      int64  `koanf:"max_memory"`      // bytes that verifyd takes as a whole, default 1 GiB
	MaxSpool       int64  `koanf:"max_spool"`       // bytes of requests that wait for their turn on the disk, default 2 GiB
	SpoolDir       string `koanf:"spool_dir"`       // absolute folder, on a disk, where they do; default spool in state_dir
	MaxConnections int    `koanf:"max_connections"` // at once; one more ends the one that has been silent longest; default 1024
	Concurrency    int    `koanf:"concurrency"`     // documents judged at once, default two a processor and at least four; fewer when max_memory is taken

	LogLevel slog.Level `koanf:"log_level"` // DEBUG, INFO (default), WARN, ERROR
}

// Scanner is clamd of this machine.
type Scanner struct {
	Socket   string `koanf:"socket"`   // absolute path, such as /run/clamav/clamd.ctl
	Required bool   `koanf:"required"` // a document that it could not look at is not judged; else the report says so
}

// Reports says what stands in reports that are kept.
type Reports struct {
	Judge string `koanf:"judge"` // who judges, such as the name of the data centre; default nobody is named
	Seal  Seal   `koanf:"seal"`  // by what they are sealed; default they are not
}

// maxJudge bounds a name in characters.
const maxJudge = 120

// Lists says how verifyd keeps trusted lists.
type Lists struct {
	Fetch     bool              `koanf:"fetch"`     // ask for them; else they come by `trustctl trust import` alone
	LOTL      string            `koanf:"lotl"`      // address of the list of the lists, default the Commission's
	Addresses map[string]string `koanf:"addresses"` // by territory, in place of those that the list of the lists names
	Every     time.Duration     `koanf:"every"`     // between two questions, default 4h
	Extra     []ExtraList       `koanf:"extra"`     // lists outside the list of the lists
}

// ExtraList is a list that the list of the lists does not name.
type ExtraList struct {
	Address string `koanf:"address"`
	Signers string `koanf:"signers"` // PEM file with the certificates of who may sign it
}

// minEvery is how often publishers may be asked.
const minEvery = 10 * time.Minute

// baseMemory is what verifyd takes beside requests, in bytes: the program, caches at their largest 195 MB, the Union's lists
// and their next reading, 1,024 connections 50 MB, answers that were not taken yet 64 MB, parcels of batches 32 MB.
const baseMemory = 384 << 20

// minReload is how often the lists may be read again: reading all of the Union's costs some seconds of work.
const minReload = 10 * time.Second

// minClientsFor is how long trustd may be silent at least: a restart takes some seconds.
const minClientsFor = time.Minute

// Defaults are the settings of a file that says nothing.
func Defaults() Config {
	return Config{Clients: "none", ClientsFor: 24 * time.Hour, Operations: "127.0.0.1:9102",
		Policy: policy.Strict, Reload: time.Hour, Lists: Lists{LOTL: upkeep.DefaultLOTL, Every: 4 * time.Hour},
		MaxDocument: 100 << 20, MaxMemory: 1 << 30, MaxSpool: 2 << 30, MaxConnections: 1024}
}

// Check names the key that is missing or wrong.
func (c *Config) Check() error {
	listen, err := netip.ParseAddrPort(c.Listen)
	if err != nil {
		return fmt.Errorf("listen: %q is not an address and port, such as 127.0.0.1:8444", c.Listen)
	}
	operations, err := netip.ParseAddrPort(c.Operations)
	if err != nil || !operations.Addr().IsLoopback() {
		return fmt.Errorf("operations: %q is not an address and port on loopback", c.Operations)
	}
	switch {
	case utf8.RuneCountInString(c.Reports.Judge) > maxJudge || prose.Printable(c.Reports.Judge) != c.Reports.Judge:
		return fmt.Errorf("reports.judge: write a name of at most %d letters that can be seen", maxJudge)
	case c.Clients != "none" && c.Clients != "certificate" && c.Clients != "application":
		return fmt.Errorf("clients: %q is none of none, certificate, application", c.Clients)
	case c.Clients == "none" && !listen.Addr().IsLoopback():
		return errors.New("clients: beyond loopback callers must show a certificate: write clients: certificate")
	case c.Clients != "none" && c.Trustd == "":
		return errors.New("trustd: write the https URL of trustd's admin interface, which says whose certificates count")
	case c.Trustd != "" && !strings.HasPrefix(c.Trustd, "https://"):
		return fmt.Errorf("trustd: %q is not an https URL", c.Trustd)
	case c.ClientsFor < minClientsFor:
		return fmt.Errorf("clients_for: %s is too short: at least %s", c.ClientsFor, minClientsFor)
	case !filepath.IsAbs(c.StateDir):
		return fmt.Errorf("state_dir: %q is not the absolute path of a folder for verifyd alone", c.StateDir)
	case c.ServiceCards != "" && !filepath.IsAbs(c.ServiceCards):
		return fmt.Errorf("service_cards: %q is not the absolute path of a file", c.ServiceCards)
	case c.Scanner.Socket != "" && !filepath.IsAbs(c.Scanner.Socket):
		return fmt.Errorf("scanner.socket: %q is not the absolute path of clamd's socket, such as /run/clamav/clamd.ctl", c.Scanner.Socket)
	case c.Scanner.Required && c.Scanner.Socket == "":
		return errors.New("scanner.socket: it is missing, and scanner.required wants one")
	case c.SpoolDir != "" && !filepath.IsAbs(c.SpoolDir):
		return fmt.Errorf("spool_dir: %q is not the absolute path of a folder", c.SpoolDir)
	case c.MaxDocument < 1 || c.MaxSpool < c.MaxDocument:
		return fmt.Errorf("max_spool: %d bytes don't hold one document of max_document, %d bytes", c.MaxSpool, c.MaxDocument)
	case c.MaxConnections < 1:
		return fmt.Errorf("max_connections: %d lets nobody in", c.MaxConnections)
	case c.MaxMemory < baseMemory+api.MemoryFor(c.MaxDocument):
		return fmt.Errorf("max_memory: %d bytes are too few to judge a document of max_document, %d bytes: at least %d are needed",
			c.MaxMemory, c.MaxDocument, baseMemory+api.MemoryFor(c.MaxDocument))
	case c.Reload < minReload:
		return fmt.Errorf("reload: %s is too often: at least %s", c.Reload, minReload)
	case c.TrustLists != "" && (c.Lists.Fetch || len(c.Lists.Extra) > 0):
		return errors.New("trust_lists: either somebody else tends that folder or verifyd keeps lists: leave this out, or lists")
	}
	if err := c.checkLists(); err != nil {
		return err
	}
	if err := c.Reports.Seal.check(c.Reports.Judge); err != nil {
		return err
	}
	for i, name := range c.policies() {
		key := [...]string{"policy", "policies"}[min(i, 1)]
		if !slices.Contains(policy.Names(), name) && !filepath.IsAbs(name) {
			return fmt.Errorf("%s: %q is neither %s nor the absolute path of a policy file",
				key, name, strings.Join(policy.Names(), ", "))
		}
	}
	return c.Identity.Check()
}

// policies are those of policy and policies; callers may choose one that is shipped, unless policies says otherwise.
func (c *Config) policies() []string {
	if c.Policies == nil {
		return append([]string{c.Policy}, policy.Names()...)
	}
	return append([]string{c.Policy}, c.Policies...)
}

func (c *Config) spoolDir() string {
	return cmp.Or(c.SpoolDir, filepath.Join(c.StateDir, "spool"))
}

// checkLists looks at what has to do with fetching.
func (c *Config) checkLists() error {
	addresses := map[string]string{"lists.lotl": c.Lists.LOTL}
	if c.Proxy != "" {
		addresses["proxy"] = c.Proxy
	}
	for territory, address := range c.Lists.Addresses {
		addresses["lists.addresses."+territory] = address
	}
	for _, e := range c.Lists.Extra {
		addresses["lists.extra.address"] = e.Address
		if e.Signers == "" {
			return fmt.Errorf("lists.extra.signers: the file with the certificates of who signs %s is missing", e.Address)
		}
	}
	for _, key := range slices.Sorted(maps.Keys(addresses)) {
		u, err := url.Parse(addresses[key])
		if err != nil || u.Scheme != "https" && u.Scheme != "http" || u.Host == "" {
			return fmt.Errorf("%s: this is not an http or https URL", key) // which may hold a password
		}
	}
	switch {
	case c.Lists.Every < minEvery:
		return fmt.Errorf("lists.every: %s is too often: at least %s", c.Lists.Every, minEvery)
	case c.Lists.Fetch && c.Offline:
		return errors.New("offline: nothing is fetched then: leave this out, or lists.fetch")
	}
	return nil
}

func (c *Config) sources() trustlist.Sources {
	return trustlist.Sources{Dir: c.TrustLists, LOTLSigners: c.LOTLSigners, Extra: c.ExtraLists, Anchors: c.Anchors}
}
