package main

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"

	"go.yaml.in/yaml/v3"

	"github.com/spf13/pflag"

	"trustcore/internal/durable"
)

// noSettings is the value of --settings that keeps the state's from being read.
const noSettings = "none"

// verifySettings are the keys of a settings file that say by what is judged. Their names are those of verifyd's
// configuration, so that its file is one.
type verifySettings struct {
	StateDir     string   `yaml:"state_dir"` // verifyd keeps its lists in it
	TrustLists   string   `yaml:"trust_lists"`
	LOTLSigners  string   `yaml:"lotl_signers"`
	ExtraLists   []string `yaml:"extra_lists"`
	Anchors      []string `yaml:"anchors"`
	Pins         string   `yaml:"pins"`
	ServiceCards string   `yaml:"service_cards"`
	Policy       string   `yaml:"policy"`
	Offline      bool     `yaml:"offline"` // what documents lack is fetched otherwise, as verifyd does
	FetchAllow   []string `yaml:"fetch_allow"`
	Proxy        string   `yaml:"proxy"`

	Others map[string]any `yaml:",inline"`
}

// ofVerifyd are the keys of its configuration that say nothing of how it judges.
var ofVerifyd = []string{"listen", "identity", "clients", "trustd", "clients_for", "operations", "lists", "policies", "reload", "reports",
	"max_document", "scanner", "max_memory", "max_spool", "spool_dir", "max_connections", "concurrency", "log_level"}

// adopt takes what no flag says from the file of --settings, or from the configuration of the verifyd of --state where
// that is there and no flag says whom to trust.
func (o *verifyOptions) adopt(flags *pflag.FlagSet, warnings io.Writer) error {
	file := o.settings
	if file == noSettings {
		return nil
	}
	if file == "" {
		for _, name := range []string{"trust-lists", "lotl-signers", "extra-list", "anchors"} {
			if flags.Changed(name) {
				return nil
			}
		}
		file = filepath.Join(o.state, "config", "verifyd.yaml")
		if _, err := os.Stat(file); errors.Is(err, os.ErrNotExist) {
			return nil
		}
		fmt.Fprintf(warnings, "trustctl: judged as %s says (--settings none for nothing but flags)\n", file)
	}
	s, err := readSettings(file)
	if err != nil {
		return fmt.Errorf("--settings: %w", err)
	}
	s.give(o, flags)
	return nil
}

func readSettings(file string) (*verifySettings, error) {
	const maxSettings = 1 << 20
	data, err := durable.ReadFile(file, maxSettings)
	if err != nil {
		return nil, err
	}
	s := new(verifySettings)
	if err := yaml.NewDecoder(bytes.NewReader(data)).Decode(s); err != nil && !errors.Is(err, io.EOF) {
		return nil, fmt.Errorf("%s: %w", file, err)
	}
	for key := range s.Others {
		if !slices.Contains(ofVerifyd, key) {
			return nil, fmt.Errorf("%s: there is no key %q (see trustctl verify --help)", file, key)
		}
	}
	s.place(filepath.Dir(file))
	return s, nil
}

// place makes relative paths those of the file's folder, and finds the lists that verifyd keeps.
func (s *verifySettings) place(dir string) {
	paths := []*string{&s.StateDir, &s.TrustLists, &s.LOTLSigners, &s.Pins, &s.ServiceCards}
	for _, list := range [][]string{s.ExtraLists, s.Anchors} {
		for i := range list {
			paths = append(paths, &list[i])
		}
	}
	for _, p := range paths {
		if *p != "" && !filepath.IsAbs(*p) {
			*p = filepath.Join(dir, *p)
		}
	}
	if s.TrustLists == "" && s.StateDir != "" {
		kept := filepath.Join(s.StateDir, "lists")
		if _, err := os.Stat(filepath.Join(kept, "index.json")); err == nil {
			s.TrustLists = kept
		}
	}
}

// give sets what no flag does.
func (s *verifySettings) give(o *verifyOptions, flags *pflag.FlagSet) {
	for name, t := range map[string]struct {
		to   *string
		from string
	}{
		"trust-lists": {&o.lists.Dir, s.TrustLists}, "lotl-signers": {&o.lists.LOTLSigners, s.LOTLSigners}, "pins": {&o.pins, s.Pins},
		"policy": {&o.policy, s.Policy}, "proxy": {&o.proxy, s.Proxy},
	} {
		if !flags.Changed(name) && t.from != "" {
			*t.to = t.from
		}
	}
	if !flags.Changed("offline") {
		o.offline = s.Offline
	}
	if o.cards == "" && o.service != "" {
		o.cards = s.ServiceCards
	}
	for name, t := range map[string]struct {
		to   *[]string
		from []string
	}{"extra-list": {&o.lists.Extra, s.ExtraLists}, "anchors": {&o.lists.Anchors, s.Anchors}, "fetch-allow": {&o.allow, s.FetchAllow}} {
		if !flags.Changed(name) {
			*t.to = t.from
		}
	}
}
