package httpserver_test

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"strings"
	"testing"

	"trustcore/cmd/internal/httpserver"
)

const inheritorRole = "TRUSTCORE_TEST_INHERITOR" // set: this process is a daemon that opens "admin" at its value

func TestMain(m *testing.M) {
	if address := os.Getenv(inheritorRole); address != "" {
		inheritor(address)
		return
	}
	os.Exit(m.Run())
}

// inheritor says what became of its listener, and whether a program that it starts sees the sockets; then it
// greets every connection until its input ends.
func inheritor(address string) {
	l, err := httpserver.Listen(context.Background(), "admin", address, false)
	if err != nil {
		fmt.Println("error:", err)
		return
	}
	defer l.Close()
	go greet(l)
	leaked := exec.Command("test", "-S", "/proc/self/fd/3").Run() == nil
	fmt.Println("open, leaked:", leaked)
	_, _ = io.Copy(io.Discard, os.Stdin) // until the test closes it
}

func greet(l net.Listener) {
	for {
		conn, err := l.Accept()
		if err != nil {
			return
		}
		fmt.Fprintln(conn, "from the daemon")
		conn.Close()
	}
}

// handover is one way to start a daemon.
type handover struct {
	address string // as configured
	sockets []*os.File
	env     string // shell that runs in the process before it becomes the daemon
}

// start returns what the daemon says first. The test's end ends it.
func (h handover) start(t *testing.T) string {
	t.Helper()
	cmd := exec.Command("/bin/sh", "-c", h.env+`; exec "$0"`, os.Args[0])
	cmd.Env = append(os.Environ(), inheritorRole+"="+h.address)
	cmd.ExtraFiles = h.sockets
	in, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		in.Close()
		cmd.Wait()
	})
	line, err := bufio.NewReader(out).ReadString('\n')
	if err != nil {
		t.Fatalf("%q, %v", line, err)
	}
	return strings.TrimSpace(line)
}

// socket opens a socket as a launcher does, and gives its address and its file.
func socket(t *testing.T, network, address string) (string, *os.File) {
	t.Helper()
	l, err := net.Listen(network, address)
	if err != nil {
		t.Fatal(err)
	}
	file, err := l.(interface{ File() (*os.File, error) }).File()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close(); file.Close() })
	return l.Addr().String(), file
}

// answered tells whether the daemon answers there.
func answered(t *testing.T, address string) bool {
	t.Helper()
	conn, err := net.Dial("tcp", address)
	if err != nil {
		return false
	}
	defer conn.Close()
	said, err := io.ReadAll(conn)
	if err != nil {
		t.Fatal(err)
	}
	return string(said) == "from the daemon\n"
}

const forIt = "export LISTEN_PID=$$ LISTEN_FDS=%d LISTEN_FDNAMES=%s"

func TestInheritedListener(t *testing.T) {
	one, oneFile := socket(t, "tcp", "127.0.0.1:0")
	two, twoFile := socket(t, "tcp", "[::1]:0")
	for name, names := range map[string]string{"one": "admin", "two": "admin:admin", "beside another": "console:admin"} {
		t.Run(name, func(t *testing.T) {
			files := []*os.File{oneFile, twoFile}[:1+strings.Count(names, ":")]
			h := handover{one, files, fmt.Sprintf(forIt, len(files), names)}
			if strings.HasPrefix(names, "console") {
				h.address = two
			}
			if said := h.start(t); said != "open, leaked: false" {
				t.Fatal(said)
			}
			for i, n := range strings.Split(names, ":") {
				if n == "admin" && !answered(t, []string{one, two}[i]) {
					t.Errorf("no answer at socket %d", i)
				}
			}
		})
	}
}

func TestSocketsOfOthersAreNotTaken(t *testing.T) {
	_, file := socket(t, "tcp", "127.0.0.1:0")
	for name, env := range map[string]string{
		"another process": "export LISTEN_PID=$PPID LISTEN_FDS=1 LISTEN_FDNAMES=admin",
		"no process":      "export LISTEN_FDS=1 LISTEN_FDNAMES=admin",
		"another name":    fmt.Sprintf(forIt, 1, "console"),
	} {
		t.Run(name, func(t *testing.T) {
			own := free(t)
			if said := (handover{own, []*os.File{file}, env}).start(t); !strings.HasPrefix(said, "open") {
				t.Fatal(said)
			}
			if !answered(t, own) {
				t.Error("it does not listen at its own address")
			}
		})
	}
}

// TestHandoverThatDisagrees keeps what is handed over within what the configuration says.
func TestHandoverThatDisagrees(t *testing.T) {
	at, file := socket(t, "tcp", "127.0.0.1:0")
	_, wide := socket(t, "tcp", "0.0.0.0:0")
	_, local := socket(t, "unix", t.TempDir()+"/socket")
	for name, c := range map[string]struct {
		handover
		want string
	}{
		"another address":     {handover{free(t), []*os.File{file}, fmt.Sprintf(forIt, 1, "admin")}, "LISTEN_FDS agree"},
		"open to the world":   {handover{at, []*os.File{file, wide}, fmt.Sprintf(forIt, 2, "admin:admin")}, "nor on loopback"},
		"no network":          {handover{at, []*os.File{local}, fmt.Sprintf(forIt, 1, "admin")}, "no TCP socket"},
		"not open":            {handover{at, nil, fmt.Sprintf(forIt, 1, "admin")}, "descriptor 3"},
		"fewer than promised": {handover{at, []*os.File{file}, fmt.Sprintf(forIt, 2, "admin")}, "names 1 sockets"},
	} {
		t.Run(name, func(t *testing.T) {
			if said := c.start(t); !strings.HasPrefix(said, "error: ") || !strings.Contains(said, c.want) {
				t.Errorf("%s; want %q", said, c.want)
			}
		})
	}
}

// free is an address that nobody listens at.
func free(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return l.Addr().String()
}
