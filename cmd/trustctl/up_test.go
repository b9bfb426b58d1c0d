package main

import (
	"bytes"
	"context"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"trustcore/cmd/internal/custody"
	"trustcore/vpn/namespace"
)

var names = []string{"trustd", "vpnd", "verifyd", "batchd", "trustctl", "trustlink"}

// programs returns a folder, readable by every user, with the programs: those in TRUSTCORE_BIN, as make
// test built them, or a fresh build.
func programs(t *testing.T) string {
	t.Helper()
	dir, err := os.MkdirTemp("", "trustcore-bin")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	if err := os.Chmod(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	for _, p := range names {
		make := exec.Command("go", "build", "-tags", "nobadger,nobadgerv1,nobadgerv2,nobbolt,nomysql,nopgx", "-o", filepath.Join(dir, p), "trustcore/cmd/"+p)
		if built := os.Getenv("TRUSTCORE_BIN"); built != "" {
			make = exec.Command("install", "-m", "755", filepath.Join(built, p), dir)
		}
		if out, err := make.CombinedOutput(); err != nil {
			t.Fatalf("%v\n%s", err, out)
		}
	}
	return dir
}

// world is where an appliance runs: as root a network of its own, so that nothing outside is touched.
type world struct {
	bin string
	ns  *namespace.Namespace // nil without root
	uid uint32               // to run as
}

const nobody = 65534

func newWorld(t *testing.T, uid uint32) *world {
	t.Helper()
	if _, err := os.Stat(custody.SoftHSM); err != nil {
		t.Skip("SoftHSM2 is not installed (apt-get install softhsm2)")
	}
	w := &world{bin: programs(t), uid: uid}
	if os.Geteuid() == 0 {
		ns, err := namespace.New(namespace.Link{})
		if err != nil {
			t.Fatal(err)
		}
		w.ns = ns
		t.Cleanup(func() {
			if err := ns.Close(); err != nil {
				t.Error(err)
			}
		})
	}
	return w
}

// folder makes a folder that the world's user may write.
func (w *world) folder(t *testing.T) string {
	t.Helper()
	dir, err := os.MkdirTemp("", "trustcore")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	if os.Geteuid() == 0 {
		if err := os.Chown(dir, int(w.uid), int(w.uid)); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

// trustctl runs the program to its end and returns what it says.
func (w *world) trustctl(t *testing.T, args ...string) (string, error) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 3*time.Minute)
	defer cancel()
	cmd := w.command(ctx, args...)
	var out bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &out
	if err := w.start(cmd); err != nil {
		t.Fatal(err)
	}
	err := cmd.Wait()
	return out.String(), err
}

// command prepares the program for the world's user.
func (w *world) command(ctx context.Context, args ...string) *exec.Cmd {
	cmd := exec.CommandContext(ctx, filepath.Join(w.bin, "trustctl"), args...)
	cmd.Cancel = func() error { return cmd.Process.Signal(syscall.SIGTERM) }
	cmd.WaitDelay = 30 * time.Second
	if os.Geteuid() == 0 {
		cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: w.uid, Gid: w.uid}}
	}
	return cmd
}

// start starts a command in the world.
func (w *world) start(cmd *exec.Cmd) error {
	if w.ns != nil {
		return w.ns.Start(cmd)
	}
	return cmd.Start()
}

// TestDemonstration plays the whole story with the real programs, twice on one state: the second time another authority
// issues.
func TestDemonstration(t *testing.T) {
	for name, uid := range map[string]uint32{"root": 0, "without root": nobody} {
		t.Run(name, func(t *testing.T) {
			if uid != uint32(os.Geteuid()) && os.Geteuid() != 0 {
				t.Skip("it needs root")
			}
			w := newWorld(t, uid)
			dir := w.folder(t)
			up := []string{"up", "--demo", "--once", "--state", dir}
			if corpus := os.Getenv("TRUSTCORE_CORPUS"); corpus != "" {
				up = append(up, "--corpus", corpus) // one step more: a public sample
			}
			for run := range 2 {
				out, err := w.trustctl(t, up...)
				if err != nil || !strings.Contains(out, "steps passed\n") || strings.Contains(out, "FAILED") {
					t.Fatalf("run %d: %v\n%s\n%s", run+1, err, out, logs(dir))
				}
				if run == 0 {
					w.succeed(t, dir)
				}
			}
			if out, err := w.trustctl(t, "ceremony", "verify", "--state", dir); err != nil || strings.Count(out, "nothing was changed") != 2 {
				t.Errorf("two ceremonies: %v\n%s", err, out)
			}
			for _, args := range [][]string{{"audit", "verify"}, {"audit", "list", "--action", "hsm.sign"}} {
				if out, err := w.trustctl(t, append(args, "--state", dir)...); err != nil {
					t.Errorf("%v: %v\n%s", args, err, out)
				}
			}
			for _, daemon := range []string{"trustd", "vpnd", "verifyd", "batchd"} {
				if out, err := w.trustctl(t, "config", "check", daemon, filepath.Join(dir, "config", daemon+".yaml")); err != nil {
					t.Errorf("%s: %v\n%s", daemon, err, out)
				}
			}
			secretsStayHidden(t, dir)
		})
	}
}

// succeed holds the ceremony for a further issuing authority.
func (w *world) succeed(t *testing.T, dir string) {
	t.Helper()
	plan := filepath.Join(w.folder(t), "plan.yaml")
	text, err := w.trustctl(t, "ceremony", "succeed", "--print-plan", "--state", dir)
	if err == nil {
		err = os.WriteFile(plan, []byte(text), 0o644)
	}
	if err != nil {
		t.Fatal(err)
	}
	if out, err := w.trustctl(t, "ceremony", "succeed", "--plan", plan, "--state", dir); err != nil {
		t.Fatalf("no succession: %v\n%s", err, out)
	}
}

// logs is the end of each daemon's log.
func logs(dir string) string {
	var b strings.Builder
	files, _ := filepath.Glob(filepath.Join(dir, "log", "*.log")) // the pattern is right
	for _, f := range files {
		data, err := os.ReadFile(f)
		if err != nil {
			continue
		}
		fmt.Fprintf(&b, "== %s\n%s\n", filepath.Base(f), data[max(0, len(data)-3000):])
	}
	return b.String()
}

// secretsStayHidden looks for the PIN, private keys and tokens in logs and in the audit log, and for files
// that others could read.
func secretsStayHidden(t *testing.T, dir string) {
	t.Helper()
	pin, err := os.ReadFile(filepath.Join(dir, "trustd", "hsm", "pin"))
	if err != nil {
		t.Fatal(err)
	}
	hub, err := os.ReadFile(filepath.Join(dir, "vpnd", "hub.key"))
	if err != nil {
		t.Fatal(err)
	}
	secrets := [][]byte{bytes.TrimSpace(pin), bytes.TrimSpace(hub), []byte("PRIVATE KEY")}
	err = filepath.WalkDir(dir, func(path string, d os.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		info, err := d.Info()
		if err != nil {
			return err
		}
		key := strings.HasSuffix(path, ".key") || strings.Contains(path, "/hsm/")
		if key && info.Mode().Perm()&0o077 != 0 {
			t.Errorf("%s has mode %v", path, info.Mode())
		}
		if !strings.Contains(path, "/log/") && !strings.Contains(path, "/audit/") || key {
			return nil
		}
		data, err := os.ReadFile(path)
		for _, s := range secrets {
			if bytes.Contains(data, s) {
				t.Errorf("%s holds a secret", path)
			}
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
}

// TestUpSaysWhatToDo meets the faults of a machine that is not ready.
func TestUpSaysWhatToDo(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("it needs root to become another user")
	}
	w := newWorld(t, nobody)
	t.Run("folder can't be written", func(t *testing.T) {
		out, err := w.trustctl(t, "up", "--demo", "--once", "--state", "/proc/trustcore")
		want(t, out, err, "choose another with --state")
	})
	t.Run("bad port", func(t *testing.T) {
		out, err := w.trustctl(t, "up", "--demo", "--once", "--port-base", "80", "--state", w.folder(t))
		want(t, out, err, "--port-base")
	})
	t.Run("port taken", func(t *testing.T) {
		var taken net.Listener
		if err := w.ns.Do(func() (err error) { taken, err = net.Listen("tcp", "127.0.0.1:8441"); return err }); err != nil {
			t.Fatal(err)
		}
		defer taken.Close()
		out, err := w.trustctl(t, "up", "--state", w.folder(t))
		want(t, out, err, "127.0.0.1:8441 is taken")
	})
	t.Run("once without demo", func(t *testing.T) {
		out, err := w.trustctl(t, "up", "--once", "--state", w.folder(t))
		want(t, out, err, "--demo")
	})
	t.Run("no appliance", func(t *testing.T) {
		out, err := w.trustctl(t, "order", "show", "--state", w.folder(t))
		want(t, out, err, "trustctl up")
	})
}

func want(t *testing.T, out string, err error, part string) {
	t.Helper()
	if err == nil || !strings.Contains(out, part) {
		t.Errorf("%v: %s; want %q", err, out, part)
	}
}
