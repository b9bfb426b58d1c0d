package lock

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"strconv"
	"syscall"

	"golang.org/x/sys/unix"
)

// Take takes the name until the closer is closed or the process ends, however it does. The lock is an abstract socket:
// it belongs to the network namespace, as interfaces do, needs no folder and leaves nothing behind.
func Take(name string) (io.Closer, error) {
	address := &net.UnixAddr{Net: "unix", Name: "@trustcore/" + name}
	socket, err := net.ListenUnix("unix", address)
	if err == nil {
		return socket, nil
	}
	if !errors.Is(err, syscall.EADDRINUSE) {
		return nil, fmt.Errorf("lock %s: %w", name, err)
	}
	who, administers := holder(address)
	if !administers {
		return io.NopCloser(nil), nil // anybody may open such a socket, but not keep a gateway from starting
	}
	return nil, fmt.Errorf("%s: %w: by %s", name, ErrHeld, who)
}

// holder says which process listens, and whether it may have interfaces at all; in doubt it may.
func holder(address *net.UnixAddr) (who string, administers bool) {
	conn, err := net.DialUnix("unix", nil, address)
	if err != nil {
		return "another process", true
	}
	defer conn.Close()
	raw, err := conn.SyscallConn()
	if err != nil {
		return "another process", true
	}
	var peer *unix.Ucred
	failed := raw.Control(func(fd uintptr) { peer, err = unix.GetsockoptUcred(int(fd), unix.SOL_SOCKET, unix.SO_PEERCRED) })
	if failed != nil || err != nil || peer.Pid == 0 {
		return "another process", true
	}
	dir := "/proc/" + strconv.Itoa(int(peer.Pid))
	name, err := os.ReadFile(dir + "/comm")
	if err != nil {
		return fmt.Sprintf("process %d", peer.Pid), true
	}
	who = fmt.Sprintf("process %d (%s)", peer.Pid, bytes.TrimSpace(name))
	return who, int(peer.Uid) == os.Geteuid() || mayAdminister(dir)
}

// mayAdminister says whether the process has CAP_NET_ADMIN (proc(5), CapEff).
func mayAdminister(dir string) bool {
	status, err := os.ReadFile(dir + "/status")
	if err != nil {
		return true
	}
	_, rest, found := bytes.Cut(status, []byte("\nCapEff:\t"))
	line, _, _ := bytes.Cut(rest, []byte("\n"))
	set, err := strconv.ParseUint(string(line), 16, 64)
	return !found || err != nil || set&(1<<unix.CAP_NET_ADMIN) != 0
}
