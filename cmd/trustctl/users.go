package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"syscall"

	"go.yaml.in/yaml/v3"
	"golang.org/x/sys/unix"

	"trustcore/internal/store"
)

// users are the daemons' user and group ids under root, from a range that neither Debian nor systemd gives out. Numbers serve the
// kernel: no entry in passwd is needed.
var users = map[string]uint32{"trustd": 60811, "verifyd": 60812, "vpnd": 60813, "batchd": 60814}

// separate gives each daemon, where root starts them, a user of its own and what that has to own. Where that can't be, it says why
// and they run as root.
func (a *appliance) separate(ctx context.Context) error {
	if os.Geteuid() != 0 {
		return nil
	}
	err := a.state.own()
	for name := range users {
		if err == nil {
			err = a.probe(ctx, name)
		}
	}
	if err != nil {
		fmt.Fprintf(a.out, "the daemons run as root, not as users of their own: %v\n", err)
		return nil
	}
	a.users = users
	if a.layout.interfaces() && !tunOpen() {
		fmt.Fprintln(a.out, "vpnd gets CAP_DAC_OVERRIDE beside CAP_NET_ADMIN: /dev/net/tun is root's alone (chmod 666 /dev/net/tun mends that)")
	}
	return nil
}

// own gives each daemon its folders and its configuration. What all of them pass on the way there can be passed and not be read.
func (s state) own() error {
	for _, dir := range []string{"", "config", "identity"} {
		if err := os.Chmod(s.path(dir), 0o711); err != nil {
			return err
		}
	}
	for name, id := range users {
		for _, path := range []string{s.path(name), s.path("identity", name), s.path("config", name+".yaml")} {
			if err := chown(path, int(id)); err != nil {
				return err
			}
		}
	}
	return nil
}

// chown gives a file, or a folder with all that is in it, to a user.
func chown(path string, id int) error {
	return filepath.WalkDir(path, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		info, err := d.Info()
		if err != nil {
			return err
		}
		if has := info.Sys().(*syscall.Stat_t); has.Uid == uint32(id) && has.Gid == uint32(id) {
			return nil
		}
		return os.Lchown(path, id, id)
	})
}

// probe has a daemon read its configuration as its user, and looks whether that may read what the configuration names: program and
// state can be reached, and the user be taken on.
func (a *appliance) probe(ctx context.Context, name string) error {
	program, err := sibling(name)
	if err != nil {
		return err
	}
	if err := runAs(ctx, name, program, "--check", "--config", a.state.path("config", name+".yaml")); err != nil {
		return err
	}
	outside, err := a.state.outside(name)
	if err != nil {
		return err
	}
	return mayRead(ctx, name, outside)
}

// mayRead looks whether a daemon's user may read files, and folders with all that is in them.
func mayRead(ctx context.Context, name string, files []string) error {
	if len(files) == 0 {
		return nil
	}
	search := slices.Concat([]string{"-L"}, files, []string{"!", "-readable", "-printf", "may not be read: %p\\n", "-quit"})
	return runAs(ctx, name, "find", search...)
}

// outside are the files that a daemon reads and that may lie anywhere.
func (s state) outside(name string) (files []string, err error) {
	switch name {
	case "trustd":
		c, err := s.custody("")
		if err != nil {
			return nil, err
		}
		files = []string{c.HSM.Module, c.HSM.PINFile, store.Passfile(c.DatabaseURL())}
	case "verifyd":
		var c verifydConfig
		text, err := os.ReadFile(s.path("config", "verifyd.yaml"))
		if err == nil {
			err = yaml.Unmarshal(text, &c)
		}
		if err != nil {
			return nil, err
		}
		files = slices.Concat([]string{c.TrustLists, c.LOTLSigners}, c.ExtraLists, c.Anchors)
	case "batchd":
		var c struct{ Roots []struct{ Folder string } }
		text, err := os.ReadFile(s.path("config", "batchd.yaml"))
		if err == nil {
			err = yaml.Unmarshal(text, &c)
		}
		if err != nil {
			return nil, err
		}
		for _, r := range c.Roots {
			files = append(files, r.Folder)
		}
	}
	return slices.DeleteFunc(files, func(f string) bool { return f == "" }), nil
}

// runAs runs a program as a daemon's user. What it says is why not.
func runAs(ctx context.Context, name, program string, args ...string) error {
	id := users[name]
	cmd := exec.CommandContext(ctx, program, args...)
	cmd.Dir = "/"
	cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: id, Gid: id}}
	out, err := cmd.CombinedOutput()
	if said := bytes.TrimSpace(out); len(said) > 0 {
		err = errors.Join(err, errors.New(string(said)))
	}
	if err != nil {
		return fmt.Errorf("%s as user %d: %w", name, id, err)
	}
	return nil
}

// credential is what a daemon runs with: nothing but its user, and vpnd with the right to make the tunnel.
func (a *appliance) credential(name string) *syscall.SysProcAttr {
	id, separate := a.users[name]
	if !separate {
		return &syscall.SysProcAttr{}
	}
	attributes := &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: id, Gid: id}}
	if name == "vpnd" && a.layout.interfaces() {
		attributes.AmbientCaps = []uintptr{unix.CAP_NET_ADMIN}
		if !tunOpen() {
			attributes.AmbientCaps = append(attributes.AmbientCaps, unix.CAP_DAC_OVERRIDE)
		}
	}
	return attributes
}

// tunOpen reports whether everybody may open the device of tunnels, as is usual: what may be made with it takes CAP_NET_ADMIN.
func tunOpen() bool {
	info, err := os.Stat("/dev/net/tun")
	return err == nil && info.Mode().Perm()&0o006 == 0o006
}

// startBound starts a command that can't gain rights by any program it runs. The calling thread stays bound in the same way, so it
// has to be one for daemons.
func startBound(cmd *exec.Cmd) error {
	if err := unix.Prctl(unix.PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0); err != nil {
		return fmt.Errorf("no_new_privs: %w", err)
	}
	return cmd.Start()
}
