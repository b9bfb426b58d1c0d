package device

import (
	"context"
	"io"
	"log/slog"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"
)

// TestMain is also the holder, and a stranger that speaks to one: holderRole says which.
const holderRole = "TRUSTCORE_TEST_HOLDER"

func TestMain(m *testing.M) {
	switch role, dir, _ := strings.Cut(os.Getenv(holderRole), " "); role {
	case "hold":
		if err := Hold(context.Background(), dir, 10*time.Second, slog.New(slog.DiscardHandler)); err != nil {
			os.Exit(1)
		}
		return
	case "speak":
		c, err := net.Dial("unix", dir)
		if err == nil {
			_ = send(c, askGet, nil)
			_, _, err = receive(c)
		}
		if err == nil {
			os.Exit(3) // it was answered
		}
		return
	}
	os.Exit(m.Run())
}

// hold starts a holder as vpnd does: it is in the network namespace of the calling thread.
func hold(dir string) error {
	cmd := exec.Command("/proc/self/exe")
	cmd.Env = append(os.Environ(), holderRole+"=hold "+dir)
	return cmd.Start()
}

// TestStrangersAreNotHeard has another user speak to a holder.
func TestStrangersAreNotHeard(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("needs root: another user")
	}
	dir, err := os.MkdirTemp("", "holder")
	if err != nil {
		t.Fatal(err)
	}
	defer os.RemoveAll(dir)
	if err := os.Chmod(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- Hold(ctx, dir, time.Minute, slog.New(slog.DiscardHandler)) }()
	socket := filepath.Join(dir, holderSocket)
	for !Held(dir) {
		time.Sleep(time.Millisecond)
	}
	if err := os.Chmod(socket, 0o777); err != nil {
		t.Fatal(err)
	}
	program := filepath.Join(dir, "stranger")
	copyFile(t, program)
	stranger := exec.Command(program)
	stranger.Env = []string{holderRole + "=speak " + socket}
	stranger.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: 65534, Gid: 65534}}
	if err := stranger.Run(); err != nil {
		t.Errorf("another user was answered: %v", err)
	}
	d, err := dialHolder(dir)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := d.Read(); err == nil || !strings.Contains(err.Error(), ErrDeviceGone.Error()) {
		t.Errorf("a holder without a device: %v", err)
	}
	for _, kind := range []byte{askOpen, askSet, askShake, 0} {
		if _, err := d.ask(kind, []byte("{")); err == nil {
			t.Errorf("%q was done", kind)
		}
	}
	stop()
	if err := <-ended; err != nil {
		t.Error(err)
	}
}

func copyFile(t *testing.T, to string) {
	t.Helper()
	from, err := os.Open("/proc/self/exe")
	if err != nil {
		t.Fatal(err)
	}
	defer from.Close()
	out, err := os.OpenFile(to, os.O_CREATE|os.O_WRONLY, 0o755)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := io.Copy(out, from); err != nil {
		t.Fatal(err)
	}
	if err := out.Close(); err != nil {
		t.Fatal(err)
	}
}

// TestLongMessages are refused before they are read.
func TestLongMessages(t *testing.T) {
	a, b := net.Pipe()
	defer a.Close()
	go func() { b.Write([]byte{askSet, 0xff, 0xff, 0xff, 0xff}); b.Close() }()
	if _, _, err := receive(a); err == nil || !strings.Contains(err.Error(), "more than") {
		t.Errorf("4 GB: %v", err)
	}
}
