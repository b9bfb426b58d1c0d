package main

import (
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"github.com/spf13/pflag"
	"golang.org/x/sys/unix"
)

const (
	pkcs11Socket = "pkcs11.sock" // in the state folder, unless --socket says another
	userExample  = "ezd=/var/lib/trustlink/ezd"
	pkcs11Help   = `on a local socket to p11-kit's client module, which Debian's package p11-kit-modules
has: programs load that, and find keys, certificates and chains as on a smart card, without a PIN. Digests go to
the data centre, a request a signature; a gateway that is away for a moment is waited for.

Which keys a program finds is decided by the account under which it runs, as the kernel tells it. Without --user
that is the account that runs this command alone. With --user, each account named uses the keys that its own folder
is enrolled for, and nobody else is served:

  trustlink pkcs11 --socket /run/trustlink/pkcs11 --user ezd=/var/lib/trustlink/ezd --user kadry=/var/lib/trustlink/kadry

By a systemd socket unit, it serves that socket.`
)

func placeFlag(flags *pflag.FlagSet, socket *string) {
	flags.StringVar(socket, "socket", "", "`path` of the socket (default: "+pkcs11Socket+" in the state folder)")
}

func placeOf(socket, dir string) string {
	if socket != "" {
		return socket
	}
	return filepath.Join(dir, pkcs11Socket)
}

// accountOf is the one that a user ID names.
func accountOf(uid uint32) account { return account(strconv.FormatUint(uint64(uid), 10)) }

func ownAccount() (account, error) { return accountOf(uint32(os.Geteuid())), nil }

// listenPKCS11 takes the socket that systemd has opened, or opens one. Others than its owner may connect where they are
// served: which of them is who, the kernel says.
func listenPKCS11(path string, who map[account]*officeKeys) ([]net.Listener, error) {
	if os.Getenv("LISTEN_PID") == strconv.Itoa(os.Getpid()) && os.Getenv("LISTEN_FDS") == "1" {
		f := os.NewFile(3, "socket") // SD_LISTEN_FDS_START
		defer f.Close()
		listener, err := net.FileListener(f)
		return []net.Listener{listener}, err
	}
	if c, err := net.Dial("unix", path); err == nil {
		return nil, errors.Join(fmt.Errorf("another trustlink serves %s", path), c.Close())
	} else if errors.Is(err, unix.ECONNREFUSED) { // nobody serves it any more
		if err := os.Remove(path); err != nil {
			return nil, err
		}
	}
	old := unix.Umask(0o177)
	listener, err := net.Listen("unix", path)
	unix.Umask(old)
	_, own := who[accountOf(uint32(os.Geteuid()))]
	if err == nil && (len(who) > 1 || !own) {
		err = os.Chmod(path, 0o666)
	}
	return []net.Listener{listener}, err
}

// accountAt is the account of the program at the other end, as it was when it connected (SO_PEERCRED, unix(7)).
func accountAt(conn net.Conn) (account, error) {
	socket, ok := conn.(*net.UnixConn)
	if !ok {
		return "", errors.New("it is no local socket")
	}
	raw, err := socket.SyscallConn()
	if err != nil {
		return "", err
	}
	var who *unix.Ucred
	var failed error
	err = raw.Control(func(fd uintptr) { who, failed = unix.GetsockoptUcred(int(fd), unix.SOL_SOCKET, unix.SO_PEERCRED) })
	if err := errors.Join(err, failed); err != nil {
		return "", err
	}
	return accountOf(who.Uid), nil
}

// pkcs11Module is where Debian has p11-kit's client module, for this machine's architecture.
func pkcs11Module() string {
	found, err := filepath.Glob("/usr/lib/*/pkcs11/p11-kit-client.so")
	if err != nil || len(found) == 0 {
		return "/usr/lib/x86_64-linux-gnu/pkcs11/p11-kit-client.so"
	}
	return found[0]
}

// printPKCS11Env prints what a shell evaluates; docs/programs.md goes on from there.
func printPKCS11Env(out io.Writer, socket string) error {
	socket, err := filepath.Abs(socket)
	if err != nil {
		return err
	}
	quote := func(text string) string { return "'" + strings.ReplaceAll(text, "'", `'\''`) + "'" }
	_, err = fmt.Fprintf(out, "export P11_KIT_SERVER_ADDRESS=%s\nexport PKCS11_MODULE_PATH=%s\n",
		quote("unix:path="+socket), quote(pkcs11Module()))
	return err
}
