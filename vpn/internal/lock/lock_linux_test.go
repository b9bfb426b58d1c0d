package lock_test

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"testing"

	"trustcore/vpn/internal/lock"
	"trustcore/vpn/namespace"
)

const holder = "TRUSTCORE_TEST_HOLDER" // the name that this process takes and holds

func TestMain(m *testing.M) {
	name := os.Getenv(holder)
	if name == "" {
		os.Exit(m.Run())
	}
	_, err := lock.Take(name)
	fmt.Println(err)
	os.Stdin.Read(make([]byte, 1)) // until the test ends it
}

// hold has another process take the name.
func hold(t *testing.T, name string, as *syscall.Credential) *exec.Cmd {
	t.Helper()
	cmd := exec.Command("/proc/self/exe")
	cmd.Env = append(os.Environ(), holder+"="+name)
	cmd.SysProcAttr = &syscall.SysProcAttr{Credential: as}
	in, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Skip(err)
	}
	t.Cleanup(func() { in.Close(); cmd.Wait() })
	said := make([]byte, 64)
	if n, err := out.Read(said); err != nil || strings.TrimSpace(string(said[:n])) != "<nil>" {
		t.Fatalf("the other process: %s, %v", said[:n], err)
	}
	return cmd
}

func TestOneHolderAtATime(t *testing.T) {
	name := fmt.Sprintf("test %d", os.Getpid())
	first, err := lock.Take(name)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := lock.Take(name); !errors.Is(err, lock.ErrHeld) || !strings.Contains(err.Error(), fmt.Sprintf("process %d (lock.test)", os.Getpid())) {
		t.Errorf("a second time: %v", err)
	}
	if err := first.Close(); err != nil {
		t.Fatal(err)
	}
	again, err := lock.Take(name)
	if err != nil {
		t.Fatal(err)
	}
	again.Close()
}

// TestKilledHolder frees the name.
func TestKilledHolder(t *testing.T) {
	name := fmt.Sprintf("killed %d", os.Getpid())
	other := hold(t, name, nil)
	if _, err := lock.Take(name); !errors.Is(err, lock.ErrHeld) || !strings.Contains(err.Error(), fmt.Sprintf("process %d ", other.Process.Pid)) {
		t.Errorf("while it lives: %v", err)
	}
	other.Process.Kill()
	other.Wait()
	held, err := lock.Take(name)
	if err != nil {
		t.Fatal(err)
	}
	held.Close()
}

// TestStrangerKeepsNobodyOut has a user who may have no interface take the name first.
func TestStrangerKeepsNobodyOut(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("needs root to be another user")
	}
	name := fmt.Sprintf("stranger %d", os.Getpid())
	hold(t, name, &syscall.Credential{Uid: 65534, Gid: 65534})
	held, err := lock.Take(name)
	if err != nil {
		t.Fatal(err)
	}
	if err := held.Close(); err != nil {
		t.Error(err)
	}
}

// TestNamespacesHaveTheirOwn takes the same name in another network namespace.
func TestNamespacesHaveTheirOwn(t *testing.T) {
	if err := namespace.Available(); err != nil {
		t.Skip(err)
	}
	space, err := namespace.New(namespace.Link{})
	if err != nil {
		t.Fatal(err)
	}
	defer space.Close()
	name := fmt.Sprintf("both %d", os.Getpid())
	held, err := lock.Take(name)
	if err != nil {
		t.Fatal(err)
	}
	defer held.Close()
	err = space.Do(func() error {
		other, err := lock.Take(name)
		if err == nil {
			err = other.Close()
		}
		return err
	})
	if err != nil {
		t.Error(err)
	}
}
