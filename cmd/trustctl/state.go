package main

import (
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"

	"github.com/spf13/cobra"

	"trustcore/cmd/internal/config"
	"trustcore/cmd/internal/custody"
	"trustcore/cmd/internal/identity"
)

// state is the folder that `trustctl up` and `trustctl ceremony` keep everything in.
//
//	config/    the daemons' configuration files and trustctl's own
//	identity/  certificates and keys of the daemons, a folder each; ca.pem and root.pem
//	officers/  certificates and keys of the officers
//	trustd/    database, audit log, HSM token, authority (of trustd alone)
//	vpnd/ verifyd/ batchd/  what these daemons keep
//	log/       what the daemons say
type state struct{ dir string }

// openState makes the path absolute; the daemons are started in another working directory.
func openState(dir string) (state, error) {
	abs, err := filepath.Abs(dir)
	if err != nil {
		return state{}, fmt.Errorf("--state: %w", err)
	}
	return state{abs}, nil
}

func (s state) path(parts ...string) string {
	return filepath.Join(append([]string{s.dir}, parts...)...)
}

func (s state) ca() string   { return s.path("identity", "ca.pem") }
func (s state) root() string { return s.path("identity", "root.pem") } // the root alone, for who trusts by it

// daemon returns the files of a daemon. Who renews a certificate writes its folder, so each daemon has one of its own.
func (s state) daemon(name string) identity.Identity {
	return s.files(s.path("identity", name), name)
}

// officer returns the files of an officer.
func (s state) officer(name string) identity.Identity {
	return s.files(s.path("officers"), name)
}

func (s state) files(dir, name string) identity.Identity {
	return identity.Identity{Certificate: filepath.Join(dir, name+".pem"), Key: filepath.Join(dir, name+".key"), CA: s.ca()}
}

// custody reads what trustd's configuration says of keys, database and authority. "" is the file in the state.
func (s state) custody(file string) (custody.Config, error) {
	if file == "" {
		file = s.path("config", "trustd.yaml")
	}
	c := trustdFile{Config: custody.Defaults()}
	if err := config.Load(file, &c); err != nil {
		return custody.Config{}, err
	}
	c.Logger = slog.New(slog.DiscardHandler)
	return c.Config, nil
}

// make makes the folder and says in one sentence what is wrong when it can't be written.
func (s state) make() error {
	for _, d := range []string{"config", "identity", "officers", "trustd", "vpnd", "verifyd", "batchd", "log"} {
		if err := os.MkdirAll(s.path(d), 0o700); err != nil {
			return fmt.Errorf("the state folder %s can't be written (%w): choose another with --state", s.dir, errors.Unwrap(err))
		}
	}
	probe := s.path("log", ".probe")
	if err := os.WriteFile(probe, nil, 0o600); err != nil {
		return fmt.Errorf("the state folder %s can't be written (%w): choose another with --state", s.dir, errors.Unwrap(err))
	}
	return os.Remove(probe)
}

// exists reports whether a file of the state is there.
func (s state) exists(parts ...string) (bool, error) {
	_, err := os.Stat(s.path(parts...))
	if errors.Is(err, fs.ErrNotExist) {
		return false, nil
	}
	return err == nil, err
}

const defaultState = "var"

// stateFlag adds --state to a command.
func stateFlag(c *cobra.Command, dir *string) {
	c.PersistentFlags().StringVar(dir, "state", defaultState, "`folder` of the appliance")
}
