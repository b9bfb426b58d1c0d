package scan_test

import (
	"context"
	"encoding/binary"
	"errors"
	"io"
	"net"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"trustcore/verify/scan"
	"trustcore/verify/scan/scantest"
)

func TestClamd(t *testing.T) {
	s, err := scan.New(scantest.Clamd(t), time.Now)
	if err != nil {
		t.Fatal(err)
	}
	large := make([]byte, 3<<20)
	for name, c := range map[string]struct {
		files  [][]byte
		state  scan.State
		threat string
	}{
		"nothing":          {nil, scan.Clean, ""},
		"empty":            {[][]byte{{}}, scan.Clean, ""},
		"clean":            {[][]byte{[]byte("umowa"), []byte("załącznik")}, scan.Clean, ""},
		"harmful":          {[][]byte{[]byte("a " + scantest.Harmful + " b")}, scan.Infected, "Trustcore.Test"},
		"harmful beside":   {[][]byte{[]byte("umowa"), []byte(scantest.Harmful)}, scan.Infected, "Trustcore.Test"},
		"large":            {[][]byte{large}, scan.TooLarge, ""},
		"large, then that": {[][]byte{large, []byte(scantest.Harmful)}, scan.Infected, "Trustcore.Test"},
	} {
		got := s.Scan(t.Context(), c.files...)
		if got.State != c.state || !strings.HasPrefix(got.Threat, c.threat) || !strings.HasPrefix(got.By, "ClamAV ") {
			t.Errorf("%s: %+v", name, got)
		}
	}
	ended, cancel := context.WithCancel(t.Context())
	cancel()
	if got := s.Scan(ended, []byte("umowa")); got.State != scan.Away {
		t.Errorf("nobody waits: %+v", got)
	}
}

// TestScannerAway: what is not known to be clean is not clean.
func TestScannerAway(t *testing.T) {
	if _, err := scan.New("clamd.ctl", time.Now); err == nil {
		t.Error("a relative path is taken")
	}
	none, err := scan.New(filepath.Join(t.TempDir(), "none"), time.Now)
	if err != nil {
		t.Fatal(err)
	}
	if got := none.Scan(t.Context(), []byte("x")); got.State != scan.Away {
		t.Errorf("%+v", got)
	}
	for answer, want := range map[string]scan.State{
		"stream: OK\x00": scan.Clean, "stream: A FOUND\x00": scan.Infected, "INSTREAM size limit exceeded. ERROR\x00": scan.TooLarge,
		"": scan.Away, "stream: OK": scan.Away, "stream: Can't allocate memory ERROR\x00": scan.Away, "OK\x00": scan.Away,
		"stream: OK, more or less\x00": scan.Away, strings.Repeat("x", 10_000) + "\x00": scan.Away,
	} {
		s, err := scan.New(server(t, version, answer), time.Now)
		if err != nil {
			t.Fatal(err)
		}
		if got := s.Scan(t.Context(), []byte("umowa")); got.State != want {
			t.Errorf("%.40q: %+v, want %s", answer, got, want)
		}
	}
	other, err := scan.New(server(t, "another program", "stream: OK\x00"), time.Now)
	if err != nil {
		t.Fatal(err)
	}
	if got := other.Scan(t.Context(), []byte("umowa")); got.State != scan.Away {
		t.Errorf("something else listens there: %+v", got)
	}
}

// TestScannerHangs: one that takes calls and says nothing is asked once for many documents, and keeps none of them long.
func TestScannerHangs(t *testing.T) {
	socket := filepath.Join(t.TempDir(), "s")
	l, err := net.Listen("unix", socket)
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	calls := make(chan net.Conn, 100)
	go func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			calls <- conn
		}
	}()
	now := time.Now()
	s, err := scan.New(socket, func() time.Time { return now })
	if err != nil {
		t.Fatal(err)
	}
	left, leave := context.WithCancel(t.Context())
	leave()
	if got := s.Scan(left, []byte("umowa")); got.State != scan.Away { // who has left says nothing of the scanner
		t.Errorf("%+v", got)
	}
	for range 5 {
		if got := s.Scan(t.Context(), []byte("umowa")); got.State != scan.Away {
			t.Errorf("%+v", got)
		}
	}
	if n := len(calls); n != 1 {
		t.Errorf("it was asked %d times", n)
	}
}

const version = "ClamAV 1.0/1/Sat Nov 28 09:00:00 2026"

// server is a scanner of a version that says one thing of every file.
func server(t *testing.T, version, answer string) string {
	t.Helper()
	socket := filepath.Join(t.TempDir(), "s")
	l, err := net.Listen("unix", socket)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	go func() {
		for {
			conn, err := l.Accept()
			if errors.Is(err, net.ErrClosed) {
				return
			}
			go serve(conn, version, answer)
		}
	}()
	return socket
}

func serve(conn net.Conn, version, answer string) {
	defer conn.Close()
	command := make([]byte, len("zVERSION\x00"))
	if _, err := io.ReadFull(conn, command); err != nil {
		return
	}
	if string(command) == "zVERSION\x00" {
		io.WriteString(conn, version+"\x00")
		return
	}
	io.ReadFull(conn, make([]byte, 1)) // the rest of zINSTREAM
	for {
		var size uint32
		if binary.Read(conn, binary.BigEndian, &size) != nil || size == 0 {
			break
		}
		io.CopyN(io.Discard, conn, int64(size))
	}
	io.WriteString(conn, answer)
}

func TestSignatures(t *testing.T) {
	if got := scan.Signatures("ClamAV 1.4.3/27700/Sat Nov  7 09:00:00 2026"); got.Format("2006-01-02") != "2026-11-07" {
		t.Error(got)
	}
	if got := scan.Signatures("ClamAV 1.4.3"); !got.IsZero() {
		t.Error(got)
	}
}
