package httpserver

import (
	"context"
	"crypto/tls"
	"encoding/json"
	"errors"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"trustcore/internal/problem"
)

// run serves a handler on loopback until the test ends, with TLS when it has a certificate.
func run(t *testing.T, s Server) (address string) {
	t.Helper()
	listener, err := Listen(t.Context(), "test", "127.0.0.1:0", false)
	if err != nil {
		t.Fatal(err)
	}
	s.Name, s.Listener, s.Logger = "test", listener, slog.New(slog.DiscardHandler)
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- s.Run(ctx) }()
	t.Cleanup(func() {
		cancel()
		if err := <-ended; err != nil {
			t.Error(err)
		}
	})
	return listener.Addr().String()
}

// send opens a connection and writes on it.
func send(t *testing.T, address, text string) net.Conn {
	t.Helper()
	conn, err := net.Dial("tcp", address)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close() }) // the server has closed it perhaps
	if _, err := io.WriteString(conn, text); err != nil {
		t.Fatal(err)
	}
	return conn
}

// status reads the answer's status, 0 when the server has closed the connection.
func status(t *testing.T, conn net.Conn) int {
	t.Helper()
	if err := conn.SetReadDeadline(time.Now().Add(10 * time.Second)); err != nil {
		t.Fatal(err)
	}
	head := make([]byte, 12)
	n, err := io.ReadFull(conn, head)
	if errors.Is(err, net.ErrClosed) || n == 0 && !isTimeout(err) {
		return 0
	}
	if err != nil {
		t.Fatal(err)
	}
	return int(head[9]-'0')*100 + int(head[10]-'0')*10 + int(head[11]-'0')
}

func isTimeout(err error) bool {
	var n net.Error
	return errors.As(err, &n) && n.Timeout()
}

const get = "GET / HTTP/1.1\r\nHost: a\r\n\r\n"

// TestConnectionsAreBounded fills all places with clients that keep a connection for themselves in several ways: one more is
// served all the same, and the one that was there first is gone. Whose request is complete keeps its place.
func TestConnectionsAreBounded(t *testing.T) {
	for name, opening := range map[string]string{
		"says nothing": "",
		"half a head":  "GET / HT",
		"half a body":  "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 10\r\n\r\nhalf",
		"idle":         get,
	} {
		t.Run(name, func(t *testing.T) {
			const places = 4
			busy, release := make(chan struct{}), make(chan struct{})
			begun := make(chan struct{}, places)
			address := run(t, Server{Connections: places, Handler: http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
				switch {
				case r.URL.Path == "/busy":
					close(busy)
					<-release
				case r.Method == http.MethodPost:
					_, _ = io.ReadFull(r.Body, make([]byte, 4))
					begun <- struct{}{}
					_, _ = io.ReadAll(r.Body)
				}
			})})
			worked := send(t, address, "GET /busy HTTP/1.1\r\nHost: a\r\n\r\n")
			<-busy
			var held []net.Conn
			for range places - 1 {
				conn := send(t, address, opening)
				switch name {
				case "idle":
					if got := status(t, conn); got != 200 {
						t.Fatal(got)
					}
				case "half a body":
					<-begun
				}
				held = append(held, conn)
			}
			if got := status(t, send(t, address, get)); got != 200 {
				t.Errorf("one more: %d", got)
			}
			if name != "idle" { // whose answer was begun above
				if got := status(t, held[0]); got != 0 {
					t.Errorf("the first that held a place: %d", got)
				}
			} else if err := firstEnd(held); err != nil {
				t.Errorf("those that held a place are still there: %v", err)
			}
			close(release)
			if got := status(t, worked); got != 200 {
				t.Errorf("the one that was worked for: %d", got)
			}
		})
	}
}

// firstEnd waits for the first connection to end. Which of several idle ones it is nobody here can say: a server may take
// note that it has answered after the client has read the answer.
func firstEnd(held []net.Conn) error {
	ends := make(chan error, len(held))
	for _, conn := range held {
		go func() {
			_, err := io.Copy(io.Discard, conn)
			ends <- err
		}()
	}
	return <-ends
}

// TestAllBusy turns the newcomer away when everybody is being answered.
func TestAllBusy(t *testing.T) {
	busy, release := make(chan struct{}), make(chan struct{})
	address := run(t, Server{Connections: 1, Handler: http.HandlerFunc(func(http.ResponseWriter, *http.Request) {
		close(busy)
		<-release
	})})
	first := send(t, address, get)
	<-busy
	if got := status(t, send(t, address, "")); got != 0 {
		t.Errorf("the newcomer: %d", got)
	}
	close(release)
	if got := status(t, first); got != 200 {
		t.Errorf("the first: %d", got)
	}
}

// TestOneRequestAConnection: no HTTP/2, whose streams escape the bound.
func TestOneRequestAConnection(t *testing.T) {
	donor := httptest.NewTLSServer(nil)
	defer donor.Close()
	address := run(t, Server{TLS: &tls.Config{Certificates: donor.TLS.Certificates}, Handler: http.NotFoundHandler()})
	conn, err := tls.Dial("tcp", address, &tls.Config{InsecureSkipVerify: true, NextProtos: []string{"h2", "http/1.1"}})
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	if got := conn.ConnectionState().NegotiatedProtocol; got != "http/1.1" {
		t.Errorf("%q was agreed on", got)
	}
}

// TestServerAnswersThroughTheDoor: what serves here needs no door of its own.
func TestServerAnswersThroughTheDoor(t *testing.T) {
	address := run(t, Server{Handler: http.HandlerFunc(func(http.ResponseWriter, *http.Request) { panic("inside") })})
	response, err := http.Get("http://" + address)
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	var p problem.Problem
	if err := json.NewDecoder(response.Body).Decode(&p); err != nil || p.Status != 500 || p.RequestID == "" || strings.Contains(p.Detail, "inside") {
		t.Errorf("%+v %v", p, err)
	}
}

func TestOperations(t *testing.T) {
	var broken error
	ops := Operations{Metrics: Metrics(), Services: map[string]func(context.Context) error{
		"verify": func(context.Context) error { return nil }, "sign": func(context.Context) error { return broken }}}
	var found []Finding
	ops.Findings = func(context.Context) []Finding { return found }
	address := run(t, Server{Handler: ops.Handler(Server{Name: "operations", Logger: slog.New(slog.DiscardHandler)})})
	ask := func(path string, into any) int {
		t.Helper()
		response, err := http.Get("http://" + address + path)
		if err != nil {
			t.Fatal(err)
		}
		defer response.Body.Close()
		if err := json.NewDecoder(response.Body).Decode(into); err != nil {
			t.Fatal(err)
		}
		return response.StatusCode
	}
	check := func(path string, status int, field string) {
		t.Helper()
		var answer map[string]any
		got := ask(path, &answer)
		if named, _ := answer["field"].(string); got != status || named != field {
			t.Errorf("%s: %d %v, want %d", path, got, answer, status)
		}
	}
	health := func(status string) {
		t.Helper()
		var h Health
		if got := ask("/health", &h); got != 200 || h.Status != status {
			t.Errorf("/health: %d %+v, want %s", got, h, status)
		}
	}
	check("/livez", 200, "")
	check("/readyz", 200, "")
	check("/readyz?service=sign", 200, "")
	health(OK)
	found = []Finding{{Amber, "a list runs out", "fetch it"}}
	health(Amber)
	check("/readyz", 200, "")
	broken = errors.New("the token is gone: put it back")
	check("/readyz", 503, "sign")
	check("/readyz?service=sign", 503, "sign")
	check("/readyz?service=verify", 200, "")
	check("/livez", 200, "")
	health(Red)
	check("/readyz?service=seal", 404, "service")
	check("/readyz?service=", 404, "service")
	check("/readyz?services=verify", 400, "services")
}

func TestDecode(t *testing.T) {
	for body, want := range map[string]struct {
		status int
		field  string
	}{
		`{"id":"1"}`: {0, ""}, `{"id":"1"} `: {0, ""}, `{"id":1}`: {400, "id"}, `{"ids":"1"}`: {400, "ids"}, `{"id":"1"}{}`: {400, ""},
		``: {400, ""}, `{`: {400, ""}, `{"id":"` + strings.Repeat("x", maxJSON) + `"}`: {413, ""},
	} {
		var in struct {
			ID string `json:"id"`
		}
		err := Decode(httptest.NewRequest(http.MethodPost, "/", strings.NewReader(body)), &in)
		var p *problem.Problem
		errors.As(err, &p)
		if p == nil && want.status != 0 || p != nil && (p.Status != want.status || p.Field != want.field) {
			t.Errorf("%.30q: %+v %v", body, p, err)
		}
	}
}

// TestWhoLeavesIsNoticed holds a request open and leaves, with and without a body that nobody reads.
func TestWhoLeavesIsNoticed(t *testing.T) {
	begun, left := make(chan struct{}), make(chan struct{})
	address := run(t, Server{Handler: http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		begun <- struct{}{}
		<-r.Context().Done()
		left <- struct{}{}
	})})
	for name, request := range map[string]string{
		"no body": get,
		"a body":  "GET / HTTP/1.1\r\nHost: a\r\nContent-Length: 4\r\n\r\nnull",
		"chunks":  "GET / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nnull\r\n0\r\n\r\n",
	} {
		conn := send(t, address, request)
		<-begun
		_ = conn.Close()
		select {
		case <-left:
		case <-time.After(5 * time.Second):
			t.Fatalf("%s: nobody noticed that the client left", name)
		}
	}
}

// TestIdleBodiesAreBounded sends a body where none has a meaning.
func TestIdleBodiesAreBounded(t *testing.T) {
	address := run(t, Server{Handler: http.HandlerFunc(func(http.ResponseWriter, *http.Request) { t.Error("it was served") })})
	conn := send(t, address, "GET / HTTP/1.1\r\nHost: a\r\nContent-Length: 100000\r\n\r\n"+strings.Repeat("x", 100000))
	if code := status(t, conn); code != http.StatusRequestEntityTooLarge {
		t.Errorf("status %d, want 413", code)
	}
}

// TestStopEndsWhatIsHeldOpen stops a server whose client waits for something to happen.
func TestStopEndsWhatIsHeldOpen(t *testing.T) {
	begun := make(chan struct{})
	listener, err := Listen(t.Context(), "test", "127.0.0.1:0", false)
	if err != nil {
		t.Fatal(err)
	}
	s := Server{Name: "test", Listener: listener, Logger: slog.New(slog.DiscardHandler)}
	s.Handler = http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		close(begun)
		<-Stopping(r.Context())
		w.WriteHeader(http.StatusNoContent)
	})
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- s.Run(ctx) }()
	conn := send(t, listener.Addr().String(), get)
	<-begun
	cancel()
	select {
	case err := <-ended:
		if err != nil {
			t.Error(err)
		}
	case <-time.After(5 * time.Second):
		t.Fatal("the server waits for a client that waits for it")
	}
	if code := status(t, conn); code != http.StatusNoContent {
		t.Errorf("status %d", code)
	}
}
