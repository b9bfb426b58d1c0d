package httpserver

import "golang.org/x/sys/unix"

func closeOnExec(fd int) { unix.CloseOnExec(fd) }

func duplicate(fd int) (uintptr, error) {
	copied, err := unix.FcntlInt(uintptr(fd), unix.F_DUPFD_CLOEXEC, 0)
	return uintptr(copied), err
}

// setFreebind lets the socket have an address that the host has not (ip(7), IP_FREEBIND).
func setFreebind(fd uintptr) error {
	return unix.SetsockoptInt(int(fd), unix.IPPROTO_IP, unix.IP_FREEBIND, 1)
}
