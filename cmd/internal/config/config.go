// Package config reads a daemon's one YAML file into its one documented struct. A key that the struct
// does not know refuses the start: a misspelt setting must not be a silent default.
package config

import (
	"errors"
	"fmt"
	"os"
	"strings"

	"github.com/go-viper/mapstructure/v2"
	"github.com/knadh/koanf/parsers/yaml"
	"github.com/knadh/koanf/providers/rawbytes"
	"github.com/knadh/koanf/v2"
)

// maxSize bounds a configuration file in bytes; real ones have a few kilobytes.
const maxSize = 1 << 20

// Checker is a configuration that knows what it needs.
type Checker interface {
	// Check returns an error that names the key and the remedy.
	Check() error
}

// Load reads the YAML file at path over what into holds already (its defaults) and checks the result.
// Keys are the `koanf` tags. Durations are written as "30s", "12h".
func Load(path string, into Checker) error {
	data, err := os.ReadFile(path)
	if err != nil {
		return fmt.Errorf("configuration: %w", err)
	}
	if err := parse(data, into); err != nil {
		return fmt.Errorf("configuration %s: %w", path, err)
	}
	return nil
}

func parse(data []byte, into Checker) error {
	if len(data) > maxSize {
		return fmt.Errorf("%d bytes, at most %d are read", len(data), maxSize)
	}
	k := koanf.New(".")
	if err := k.Load(rawbytes.Provider(data), yaml.Parser()); err != nil {
		return err
	}
	err := k.UnmarshalWithConf("", into, koanf.UnmarshalConf{DecoderConfig: &mapstructure.DecoderConfig{
		Result: into, TagName: "koanf", ErrorUnused: true,
		DecodeHook: mapstructure.ComposeDecodeHookFunc(
			mapstructure.StringToTimeDurationHookFunc(), mapstructure.TextUnmarshallerHookFunc()),
	}})
	if err != nil {
		return errors.New(explain(err))
	}
	return into.Check()
}

// explain turns the decoder's words into ones that name the key.
func explain(err error) string {
	text := strings.TrimSpace(err.Error())
	if _, keys, ok := strings.Cut(text, "has invalid keys:"); ok {
		return fmt.Sprintf("unknown key%s (see docs/operations.md for those that exist)", strings.TrimRight(keys, "\n "))
	}
	return strings.Join(strings.Fields(text), " ")
}
