package main

import (
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"unsafe"

	"github.com/spf13/pflag"
	"golang.org/x/sys/windows"
)

const (
	userExample = `KONTORA\ezd=C:\ProgramData\trustlink-ezd`
	pkcs11Help  = `to programs on this machine that load trustlink-pkcs11.dll: they find keys,
certificates and chains as on a smart card, without a PIN. Digests go to the data centre, a request a signature; a gateway
that is away for a moment is waited for.

Which keys a program finds is decided by the account under which it runs: each account has a named pipe that Windows
lets nobody else connect to. Without --user that is the account that runs this command alone. With --user, each account
named uses the keys that its own folder is enrolled for, and nobody else is served:

  trustlink pkcs11 --user KONTORA\ezd=C:\ProgramData\trustlink-ezd --user KONTORA\kadry=C:\ProgramData\trustlink-kadry

Serving other accounts takes the system's own account (docs/programs.md has the line for Windows' task scheduler): programs
speak to their own account and to the system alone.`
	pkcs11Module = "trustlink-pkcs11.dll" // beside trustlink.exe
)

// pipeRights are what an account may do with its own pipe, as hsm/p11kit/module opens it: FILE_READ_DATA,
// FILE_WRITE_DATA, FILE_READ_ATTRIBUTES, READ_CONTROL and SYNCHRONIZE. FILE_APPEND_DATA, which is the right to make
// instances of a pipe and so to serve in our place, is not among them.
const pipeRights = "0x120083"

// Sizes of a pipe's buffers, in octets: a frame of a signature fits.
const pipeBuffer = 4 << 10

func placeFlag(*pflag.FlagSet, *string) {}

func placeOf(string, string) string { return "" }

func ownAccount() (account, error) {
	user, err := windows.GetCurrentProcessToken().GetTokenUser()
	if err != nil {
		return "", fmt.Errorf("the account of this process: %w", err)
	}
	return account(user.User.Sid.String()), nil
}

// pipeName is that of an account's pipe, which programs of the account know by themselves.
func pipeName(of account) string { return `\\.\pipe\trustlink-pkcs11-` + string(of) }

// pipeAccess is the access control of an account's pipe, in the security descriptor definition language: nobody from
// the network, the account as far as pipeRights, this process's account all. The owner, whom programs look at before
// they say a word, is this process's account too: Windows lets nobody name an owner that it is not.
func pipeAccess(of, own account) string {
	return fmt.Sprintf("O:%sD:P(D;;FA;;;NU)(A;;%s;;;%s)(A;;FA;;;%s)", own, pipeRights, of, own)
}

// listenPKCS11 makes the pipe of each account.
func listenPKCS11(_ string, who map[account]*officeKeys) ([]net.Listener, error) {
	own, err := ownAccount()
	if err != nil {
		return nil, err
	}
	var all []net.Listener
	for of := range who {
		l, err := listenPipe(of, own)
		if err != nil {
			for _, l := range all {
				_ = l.Close()
			}
			return nil, err
		}
		all = append(all, l)
	}
	return all, nil
}

// accountAt is the account whose pipe the program has connected to.
func accountAt(conn net.Conn) (account, error) {
	p, ok := conn.(*pipeConn)
	if !ok {
		return "", errors.New("it is no local pipe")
	}
	return p.of, nil
}

// printPKCS11Env prints what programs are told: where the module is. The pipe it knows by itself.
func printPKCS11Env(out io.Writer, _ string) error {
	program, err := os.Executable()
	if err != nil {
		return err
	}
	_, err = fmt.Fprintf(out, "set PKCS11_MODULE_PATH=%s\r\n", filepath.Join(filepath.Dir(program), pkcs11Module))
	return err
}

// pipeListener makes an instance of an account's pipe for each program.
type pipeListener struct {
	of     account
	access *windows.SecurityAttributes
	next   windows.Handle // the instance that waits for a program; Accept's, by one goroutine at a time
	stop   windows.Handle // an event: Close was called
}

// listenPipe makes the first instance, and refuses where somebody serves a pipe of that name already.
func listenPipe(of, own account) (net.Listener, error) {
	descriptor, err := windows.SecurityDescriptorFromString(pipeAccess(of, own))
	if err != nil {
		return nil, fmt.Errorf("access to the pipe of %s: %w", of, err)
	}
	l := &pipeListener{of: of, access: &windows.SecurityAttributes{SecurityDescriptor: descriptor}}
	l.access.Length = uint32(unsafe.Sizeof(*l.access))
	if l.stop, err = windows.CreateEvent(nil, 1, 0, nil); err != nil {
		return nil, err
	}
	l.next, err = l.instance(windows.FILE_FLAG_FIRST_PIPE_INSTANCE)
	if errors.Is(err, windows.ERROR_ACCESS_DENIED) {
		return nil, fmt.Errorf("another trustlink serves %s, or somebody in its place", pipeName(of))
	}
	if err != nil {
		return nil, fmt.Errorf("make %s: %w", pipeName(of), err)
	}
	return l, nil
}

func (l *pipeListener) instance(flags uint32) (windows.Handle, error) {
	name, err := windows.UTF16PtrFromString(pipeName(l.of))
	if err != nil {
		return 0, err
	}
	return windows.CreateNamedPipe(name, windows.PIPE_ACCESS_DUPLEX|windows.FILE_FLAG_OVERLAPPED|flags,
		windows.PIPE_TYPE_BYTE|windows.PIPE_READMODE_BYTE|windows.PIPE_WAIT|windows.PIPE_REJECT_REMOTE_CLIENTS,
		windows.PIPE_UNLIMITED_INSTANCES, pipeBuffer, pipeBuffer, 0, l.access)
}

// Accept waits for a program. The next instance is made before this one is given away, so that the name is never free
// for somebody else to take.
func (l *pipeListener) Accept() (net.Conn, error) {
	if l.next == 0 {
		return nil, net.ErrClosed
	}
	err := l.connected()
	pipe := l.next
	l.next = 0
	if err == nil {
		l.next, err = l.instance(0)
	}
	if err != nil {
		return nil, errors.Join(fmt.Errorf("%s: %w", pipeName(l.of), err), windows.CloseHandle(pipe))
	}
	return &pipeConn{os.NewFile(uintptr(pipe), pipeName(l.of)), l.of}, nil
}

// connected waits until a program has opened the instance, or Close was called. A program that was quicker is there
// already (ERROR_PIPE_CONNECTED), or has gone again (ERROR_NO_DATA), which who reads sees.
func (l *pipeListener) connected() error {
	event, err := windows.CreateEvent(nil, 1, 0, nil)
	if err != nil {
		return err
	}
	defer windows.CloseHandle(event)
	wait := windows.Overlapped{HEvent: event}
	err = windows.ConnectNamedPipe(l.next, &wait)
	if errors.Is(err, windows.ERROR_IO_PENDING) {
		first, failed := windows.WaitForMultipleObjects([]windows.Handle{l.stop, event}, false, windows.INFINITE)
		if failed != nil || first == windows.WAIT_OBJECT_0 {
			_ = windows.CancelIoEx(l.next, &wait)
		}
		var n uint32
		err = windows.GetOverlappedResult(l.next, &wait, &n, true) // wait is the kernel's until then
	}
	if errors.Is(err, windows.ERROR_PIPE_CONNECTED) || errors.Is(err, windows.ERROR_NO_DATA) {
		return nil
	}
	if errors.Is(err, windows.ERROR_OPERATION_ABORTED) {
		return net.ErrClosed
	}
	return err
}

// Close ends Accept, now or when it is called next, which gives back the instance.
func (l *pipeListener) Close() error { return windows.SetEvent(l.stop) }

// Addr is the pipe's name.
func (l *pipeListener) Addr() net.Addr { return pipeAddr(l.of) }

type pipeAddr account

// Network says what it is.
func (pipeAddr) Network() string { return "pipe" }

// String is the pipe's name.
func (a pipeAddr) String() string { return pipeName(account(a)) }

// pipeConn is a program of an account.
type pipeConn struct {
	*os.File
	of account
}

// LocalAddr is the pipe's.
func (c *pipeConn) LocalAddr() net.Addr { return pipeAddr(c.of) }

// RemoteAddr is the same: a pipe has one name.
func (c *pipeConn) RemoteAddr() net.Addr { return pipeAddr(c.of) }
