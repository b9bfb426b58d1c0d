// Package scantest starts a scanner for tests.
package scantest

import (
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// Harmful is in files that the scanner of tests takes for malicious, by the name Threat.
const (
	Harmful = "TRUSTCORE-TEST-OF-A-SCANNER"
	Threat  = "Trustcore.Test"
)

// Clamd starts clamd with one signature, that of Harmful, and streams of at most 2 MB, and returns its socket. Where it is
// not installed the test is skipped.
func Clamd(t *testing.T) string {
	t.Helper()
	program, err := exec.LookPath("clamd")
	if err != nil {
		program = "/usr/sbin/clamd"
	}
	if _, err := os.Stat(program); err != nil {
		t.Skip("clamd is not installed")
	}
	dir := t.TempDir()
	socket := filepath.Join(dir, "clamd.ctl")
	for name, text := range map[string]string{
		"own.ndb": fmt.Sprintf("%s:0:*:%x\n", Threat, Harmful),
		"clamd.conf": fmt.Sprintf("LocalSocket %s\nDatabaseDirectory %s\nForeground yes\nStreamMaxLength 2M\nTemporaryDirectory %s\n",
			socket, dir, dir),
	} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	cmd := exec.CommandContext(t.Context(), program, "--config-file="+filepath.Join(dir, "clamd.conf"))
	cmd.Cancel = func() error { return cmd.Process.Signal(os.Interrupt) }
	out, err := cmd.StdoutPipe()
	cmd.Stderr = cmd.Stdout
	if err == nil {
		err = cmd.Start()
	}
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = cmd.Wait() }) // it was told to end
	said := make([]byte, 0, 4096)
	for buf := make([]byte, 1024); !strings.Contains(string(said), "Self checking"); {
		n, err := out.Read(buf)
		said = append(said, buf[:n]...)
		if err != nil {
			t.Fatalf("%v\n%s", err, said)
		}
	}
	go io.Copy(io.Discard, out)
	return socket
}
