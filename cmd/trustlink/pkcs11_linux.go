package main

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"os"
	"os/user"
	"path/filepath"
	"strconv"
	"strings"
	"sync"

	"github.com/spf13/cobra"
	"golang.org/x/sys/unix"

	"trustcore/hsm/p11kit"
)

// Bounds of programs at a time.
const (
	maxPrograms          = 512
	maxProgramsOfAccount = 128
)

const pkcs11Socket = "pkcs11.sock" // in the state folder, unless --socket says another

func addPKCS11(root *cobra.Command, dir *string) {
	var socket string
	var users []string
	c := &cobra.Command{
		Use:   "pkcs11",
		Short: "Serve this office's keys in the data centre to programs that speak PKCS#11",
		Long: `Serves the office's HSM keys on a local socket to p11-kit's client module, which Debian's package p11-kit-modules
has: programs load that, and find keys, certificates and chains as on a smart card, without a PIN. Digests go to
the data centre, a request a signature; a gateway that is away for a moment is waited for.

Which keys a program finds is decided by the account under which it runs, as the kernel tells it. Without --user
that is the account that runs this command alone. With --user, each account named uses the keys that its own folder
is enrolled for, and nobody else is served:

  trustlink pkcs11 --socket /run/trustlink/pkcs11 --user ezd=/var/lib/trustlink/ezd --user kadry=/var/lib/trustlink/kadry

Started by a systemd socket unit, it serves that socket. 'trustlink pkcs11 env' says what to set for programs.`,
		Args: cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			who, err := accountsOf(users, *dir)
			if err != nil {
				return err
			}
			listener, err := listenPKCS11(socketOf(socket, *dir), len(users) > 0)
			if err != nil {
				return err
			}
			logger := slog.New(slog.NewTextHandler(c.ErrOrStderr(), nil))
			fmt.Fprintf(c.OutOrStdout(), "serving PKCS#11 at %s\n", listener.Addr())
			return servePKCS11(c.Context(), listener, who, logger)
		},
	}
	c.PersistentFlags().StringVar(&socket, "socket", "", "`path` of the socket (default: "+pkcs11Socket+" in the state folder)")
	c.Flags().StringArrayVar(&users, "user", nil, "`account=folder` that may use the keys which the folder is enrolled for")
	c.AddCommand(&cobra.Command{
		Use:   "env",
		Short: "Print what programs need to find the keys",
		Args:  cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			path, err := filepath.Abs(socketOf(socket, *dir))
			if err != nil {
				return err
			}
			return printPKCS11Env(c.OutOrStdout(), path)
		},
	})
	root.AddCommand(c)
}

func socketOf(socket, dir string) string {
	if socket != "" {
		return socket
	}
	return filepath.Join(dir, pkcs11Socket)
}

// accountsOf are the accounts that are served, with the keys of each.
func accountsOf(users []string, dir string) (map[uint32]*officeKeys, error) {
	if len(users) == 0 {
		return map[uint32]*officeKeys{uint32(os.Geteuid()): newOfficeKeys(state{dir})}, nil
	}
	who := map[uint32]*officeKeys{}
	for _, text := range users {
		name, folder, ok := strings.Cut(text, "=")
		if !ok || name == "" || folder == "" {
			return nil, fmt.Errorf("--user: %q: write account=folder, such as ezd=/var/lib/trustlink/ezd", text)
		}
		account, err := user.Lookup(name)
		if err != nil {
			account, err = user.LookupId(name)
		}
		if err != nil {
			return nil, fmt.Errorf("--user: there is no account %q on this machine", name)
		}
		uid, err := strconv.ParseUint(account.Uid, 10, 32)
		if err != nil {
			return nil, fmt.Errorf("--user %s: %w", name, err)
		}
		if who[uint32(uid)] != nil {
			return nil, fmt.Errorf("--user: the account %s stands twice", name)
		}
		who[uint32(uid)] = newOfficeKeys(state{folder})
	}
	return who, nil
}

// listenPKCS11 takes the socket that systemd has opened, or opens one. Others than its owner may connect where several
// are served: which of them is who, the kernel says.
func listenPKCS11(path string, several bool) (net.Listener, error) {
	if os.Getenv("LISTEN_PID") == strconv.Itoa(os.Getpid()) && os.Getenv("LISTEN_FDS") == "1" {
		f := os.NewFile(3, "socket") // SD_LISTEN_FDS_START
		defer f.Close()
		return net.FileListener(f)
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
	if err == nil && several {
		err = os.Chmod(path, 0o666)
	}
	return listener, err
}

// servePKCS11 serves programs until ctx ends.
func servePKCS11(ctx context.Context, listener net.Listener, who map[uint32]*officeKeys, logger *slog.Logger) error {
	stop := context.AfterFunc(ctx, func() { _ = listener.Close() })
	defer stop()
	var mu sync.Mutex
	programs, all := map[uint32]int{}, 0
	var running sync.WaitGroup
	defer running.Wait()
	for {
		conn, err := listener.Accept()
		if ctx.Err() != nil {
			return nil
		}
		if err != nil {
			return fmt.Errorf("PKCS#11 socket: %w", err)
		}
		uid, err := accountAt(conn)
		keys := who[uid]
		mu.Lock()
		full := all >= maxPrograms || programs[uid] >= maxProgramsOfAccount
		if err == nil && keys != nil && !full {
			all, programs[uid] = all+1, programs[uid]+1
		}
		mu.Unlock()
		if err != nil || keys == nil || full {
			logger.Warn("a program is not served", "account", uid, "known", keys != nil, "too many", full, "error", err)
			_ = conn.Close()
			continue
		}
		running.Go(func() {
			err := p11kit.Serve(ctx, conn, p11kit.Config{Backend: keys, Label: keys.label(), Serial: keys.serial(), Logger: logger})
			if err != nil {
				logger.Warn("a program broke off", "account", uid, "error", err)
			}
			mu.Lock()
			defer mu.Unlock()
			all, programs[uid] = all-1, programs[uid]-1
		})
	}
}

// accountAt is the account of the program at the other end, as it was when it connected (SO_PEERCRED, unix(7)).
func accountAt(conn net.Conn) (uid uint32, err error) {
	socket, ok := conn.(*net.UnixConn)
	if !ok {
		return 0, errors.New("it is no local socket")
	}
	raw, err := socket.SyscallConn()
	if err != nil {
		return 0, err
	}
	var who *unix.Ucred
	var failed error
	err = raw.Control(func(fd uintptr) { who, failed = unix.GetsockoptUcred(int(fd), unix.SOL_SOCKET, unix.SO_PEERCRED) })
	if err := errors.Join(err, failed); err != nil {
		return 0, err
	}
	return who.Uid, nil
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
	quote := func(text string) string { return "'" + strings.ReplaceAll(text, "'", `'\''`) + "'" }
	_, err := fmt.Fprintf(out, "export P11_KIT_SERVER_ADDRESS=%s\nexport PKCS11_MODULE_PATH=%s\n",
		quote("unix:path="+socket), quote(pkcs11Module()))
	return err
}

// serialOf is the serial number of a token: programs tell tokens apart by it.
func serialOf(text string) string {
	sum := sha256.Sum256([]byte(text))
	return hex.EncodeToString(sum[:8])
}
