package httpserver

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"strconv"
	"strings"
	"sync"
)

// firstInherited is the first descriptor that is handed over (SD_LISTEN_FDS_START).
const firstInherited = 3

// inherited returns the listener that whoever started this process has opened for what, or nil, by the
// convention of systemd (sd_listen_fds(3)): LISTEN_FDS is how many sockets there are from descriptor 3 on,
// LISTEN_FDNAMES their names, LISTEN_PID the process that they are for. Several of one name make one
// listener. One must be at the configured address and each of the others on loopback, so that nothing
// is open which the configuration does not say.
func inherited(what, address string) (net.Listener, error) {
	KeepInherited()
	names, err := handedOver()
	if err != nil {
		return nil, err
	}
	var sockets []net.Listener
	for i, name := range names {
		if name != what {
			continue
		}
		fd := firstInherited + i
		socket, err := socketListener(fd)
		if err != nil {
			closeAll(sockets)
			return nil, fmt.Errorf("%s: descriptor %d of LISTEN_FDS: %w", what, fd, err)
		}
		sockets = append(sockets, socket)
	}
	if len(sockets) == 0 {
		return nil, nil
	}
	if err := agree(sockets, address); err != nil {
		closeAll(sockets)
		return nil, fmt.Errorf("%s: %w", what, err)
	}
	return listenAt(sockets), nil
}

// KeepInherited keeps the sockets that were handed over from the programs that this process starts. A daemon that
// starts any before it has opened its listeners calls it first.
func KeepInherited() {
	names, _ := handedOver() // Listen tells the error
	for i := range names {
		closeOnExec(firstInherited + i)
	}
}

// handedOver gives the names of the descriptors, none when they are for another process.
func handedOver() ([]string, error) {
	if os.Getenv("LISTEN_PID") != strconv.Itoa(os.Getpid()) {
		return nil, nil
	}
	names := strings.Split(os.Getenv("LISTEN_FDNAMES"), ":")
	if os.Getenv("LISTEN_FDS") != strconv.Itoa(len(names)) {
		return nil, fmt.Errorf("LISTEN_FDS is %q, but LISTEN_FDNAMES names %d sockets", os.Getenv("LISTEN_FDS"), len(names))
	}
	return names, nil
}

// socketListener works on a copy: the descriptor stays open, so that its number means nothing else later.
func socketListener(fd int) (net.Listener, error) {
	copied, err := duplicate(fd)
	if err != nil {
		return nil, err
	}
	file := os.NewFile(copied, "socket")
	defer file.Close()
	l, err := net.FileListener(file)
	if err != nil {
		return nil, err
	}
	if _, ok := l.(*net.TCPListener); !ok {
		_ = l.Close() // the reason that matters is the kind
		return nil, errors.New("it is no TCP socket")
	}
	return l, nil
}

// agree holds the sockets to the configured address.
func agree(sockets []net.Listener, address string) error {
	resolved, err := net.ResolveTCPAddr("tcp", address)
	if err != nil {
		return err
	}
	found, want := false, plain(resolved)
	for _, s := range sockets {
		switch at := plain(s.Addr().(*net.TCPAddr)); {
		case at == want:
			found = true
		case !at.Addr().IsLoopback():
			return fmt.Errorf("a socket that was handed over is at %v: neither at the configured %s nor on loopback", at, address)
		}
	}
	if !found {
		return fmt.Errorf("no socket that was handed over is at %s: make the configuration and LISTEN_FDS agree", address)
	}
	return nil
}

// plain makes addresses comparable: that of every interface is one, in whatever family it is written.
func plain(a *net.TCPAddr) netip.AddrPort {
	ip := a.AddrPort().Addr().Unmap()
	if !ip.IsValid() || ip.IsUnspecified() {
		ip = netip.IPv6Unspecified()
	}
	return netip.AddrPortFrom(ip, uint16(a.Port))
}

func closeAll(sockets []net.Listener) {
	for _, s := range sockets {
		_ = s.Close() // on the way to another error
	}
}

// several accepts from more than one socket.
type several struct {
	sockets  []net.Listener
	accepted chan acceptance
	closed   chan struct{}
	once     sync.Once // guards closed
}

type acceptance struct {
	conn net.Conn
	err  error
}

func listenAt(sockets []net.Listener) net.Listener {
	if len(sockets) == 1 {
		return sockets[0]
	}
	s := &several{sockets: sockets, accepted: make(chan acceptance), closed: make(chan struct{})}
	for _, l := range sockets {
		go s.acceptFrom(l)
	}
	return s
}

// acceptFrom ends with Close. An error is for the caller of Accept, who decides how long to wait after it.
func (s *several) acceptFrom(l net.Listener) {
	for {
		conn, err := l.Accept()
		select {
		case s.accepted <- acceptance{conn, err}:
		case <-s.closed:
			if conn != nil {
				_ = conn.Close() // nobody took it
			}
			return
		}
	}
}

// Accept waits for a connection to any of the sockets.
func (s *several) Accept() (net.Conn, error) {
	select {
	case a := <-s.accepted:
		return a.conn, a.err
	case <-s.closed:
		return nil, net.ErrClosed
	}
}

// Close closes all sockets.
func (s *several) Close() error {
	s.once.Do(func() { close(s.closed) })
	closeAll(s.sockets)
	return nil
}

// Addr is the address of the first.
func (s *several) Addr() net.Addr { return s.sockets[0].Addr() }
