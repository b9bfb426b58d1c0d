package fetch_test

import (
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"net/url"
	"strconv"
	"strings"
	"testing"
	"time"

	"trustcore/internal/fetch"
)

// serve starts a server on loopback and returns its URL and a client that may reach it alone.
func serve(t *testing.T, cfg fetch.Config, handler http.HandlerFunc) (string, *fetch.Client) {
	t.Helper()
	s := httptest.NewServer(handler)
	t.Cleanup(s.Close)
	cfg.Allow = append(cfg.Allow, netip.MustParseAddrPort(s.Listener.Addr().String()))
	return s.URL, fetch.New(cfg)
}

func TestForbiddenAddresses(t *testing.T) {
	c := fetch.New(fetch.Config{Timeout: 2 * time.Second})
	for _, u := range []string{
		"http://127.0.0.1/", "http://127.1:80/", "http://localhost/", "http://[::1]/", "http://0.0.0.0/", "http://[::]/",
		"http://10.0.0.1/", "http://172.16.0.1/", "http://192.168.1.1/", "http://169.254.169.254/latest/meta-data/",
		"http://100.64.0.1/", "http://192.0.2.1/", "http://198.18.0.1/", "http://224.0.0.1/", "http://255.255.255.255/",
		"http://[::ffff:127.0.0.1]/", "http://[::ffff:10.0.0.1]/", "http://[::127.0.0.1]/", "http://[fe80::1]/", "http://[fc00::1]/",
		"http://[64:ff9b::7f00:1]/", "http://[2002:7f00:1::]/", "http://[ff02::1]/", "http://[fec0::1]/", "http://[4000::1]/",
		"http://[::ffff:7f00:1]/", "http://[0:0:0:0:0:0:0:1]/", "http://[fe80::1%25lo]/", "http://[2001:0:7f00:1::]/", "http://[::ffff:a9fe:a9fe]/",
		"http://2130706433/", "http://0x7f.1/", "http://0177.0.0.1/", "http://127.0.0.1.:80/",
		"file:///etc/passwd", "ftp://127.0.0.1/", "gopher://127.0.0.1/", "ldap://127.0.0.1/", "http:///", "//host/", "http://user@192.0.2.1/",
	} {
		if _, err := c.Get(t.Context(), u); err == nil {
			t.Errorf("%s was asked", u)
		}
	}
	if _, err := c.Get(t.Context(), "http://127.0.0.1/"); !errors.Is(err, fetch.ErrForbidden) {
		t.Errorf("got %v", err)
	}
	if _, err := c.Get(t.Context(), "http://example.com/"+strings.Repeat("x", 3000)); !errors.Is(err, fetch.ErrForbidden) {
		t.Errorf("got %v", err)
	}
}

// TestRedirects lets an allowed server lead elsewhere on loopback.
func TestRedirects(t *testing.T) {
	inside := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { t.Error("the inside was reached") }))
	defer inside.Close()
	u, c := serve(t, fetch.Config{}, func(w http.ResponseWriter, r *http.Request) {
		switch r.URL.Path {
		case "/inside":
			http.Redirect(w, r, inside.URL, http.StatusFound)
		case "/file":
			http.Redirect(w, r, "file:///etc/passwd", http.StatusFound)
		case "/loop":
			http.Redirect(w, r, "/loop", http.StatusFound)
		case "/once":
			http.Redirect(w, r, "/here", http.StatusFound)
		default:
			_, _ = io.WriteString(w, "here")
		}
	})
	for _, path := range []string{"/inside", "/file", "/loop"} {
		if _, err := c.Get(t.Context(), u+path); err == nil {
			t.Errorf("%s was followed", path)
		}
	}
	if data, err := c.Get(t.Context(), u+"/once"); err != nil || string(data) != "here" {
		t.Errorf("%q, %v", data, err)
	}
}

// TestBounds lets servers answer too much, too slowly, or not at all.
func TestBounds(t *testing.T) {
	release := make(chan struct{})
	u, c := serve(t, fetch.Config{Timeout: 300 * time.Millisecond, MaxBytes: 1000}, func(w http.ResponseWriter, r *http.Request) {
		switch r.URL.Path {
		case "/large":
			_, _ = w.Write(make([]byte, 1001))
		case "/endless":
			for _, err := w.Write(make([]byte, 10)); err == nil; _, err = w.Write(make([]byte, 10)) {
				w.(http.Flusher).Flush()
			}
		case "/drip":
			for _, err := w.Write([]byte{0}); err == nil; _, err = w.Write([]byte{0}) {
				w.(http.Flusher).Flush()
				select {
				case <-release:
				case <-time.After(20 * time.Millisecond):
				}
			}
		case "/headers":
			for i := range 100 {
				w.Header().Set(fmt.Sprintf("X-%d", i), strings.Repeat("x", 1000))
			}
		case "/gzip":
			w.Header().Set("Content-Encoding", "gzip")
			_, _ = w.Write(make([]byte, 2000))
		case "/silent":
			<-release
		case "/slow":
			w.WriteHeader(http.StatusOK)
			w.(http.Flusher).Flush()
			<-release
		case "/missing":
			http.NotFound(w, r)
		case "/post":
			body, _ := io.ReadAll(r.Body)
			_, _ = io.WriteString(w, r.Header.Get("Content-Type")+" "+string(body))
		}
	})
	defer close(release)
	for _, path := range []string{"/large", "/endless", "/drip", "/headers", "/gzip", "/silent", "/slow", "/missing"} {
		if data, err := c.Get(t.Context(), u+path); err == nil {
			t.Errorf("%s: %d bytes", path, len(data))
		}
	}
	if data, err := c.Post(t.Context(), u+"/post", "application/ocsp-request", []byte("x")); err != nil || string(data) != "application/ocsp-request x" {
		t.Errorf("%q, %v", data, err)
	}
}

// TestStatus: an answer that is not 200 is told apart from none, with whose fault it is and how long to wait.
func TestStatus(t *testing.T) {
	u, c := serve(t, fetch.Config{}, func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Retry-After", r.URL.Query().Get("after"))
		code, _ := strconv.Atoi(r.URL.Path[1:])
		w.WriteHeader(code)
	})
	later := url.QueryEscape(time.Now().Add(10 * time.Minute).UTC().Format(http.TimeFormat))
	for _, test := range []struct {
		path     string
		code     int
		ofHost   bool
		from, to time.Duration // of the wait
	}{
		{"/404", 404, false, 0, 0}, {"/410", 410, false, 0, 0}, {"/403", 403, false, 0, 0}, {"/204", 204, false, 0, 0},
		{"/500", 500, true, 0, 0}, {"/502", 502, true, 0, 0}, {"/407", 407, true, 0, 0},
		{"/429?after=120", 429, true, 2 * time.Minute, 2 * time.Minute},
		{"/503?after=" + later, 503, true, 9 * time.Minute, 10 * time.Minute},
		{"/503?after=99999999", 503, true, fetch.MaxRetryAfter, fetch.MaxRetryAfter},
		{"/503?after=99999999999999999999", 503, true, 0, 0}, {"/503?after=-5", 503, true, 0, 0}, {"/503?after=soon", 503, true, 0, 0},
		{"/503?after=Thu,%2001%20Jan%202026%2000:00:00%20GMT", 503, true, 0, 0},
	} {
		_, err := c.Get(t.Context(), u+test.path)
		var s *fetch.Status
		if !errors.As(err, &s) || s.Code != test.code || s.OfHost() != test.ofHost || s.RetryAfter < test.from || s.RetryAfter > test.to {
			t.Errorf("%s: %v %+v", test.path, err, s)
		} else if want := strings.TrimPrefix(u, "http://") + " answered " + strconv.Itoa(test.code); !strings.HasPrefix(err.Error(), want) {
			t.Errorf("%s: %q", test.path, err)
		}
	}
	var s *fetch.Status
	if _, err := c.GetSince(t.Context(), u+"/404", fetch.Version{}); !errors.As(err, &s) {
		t.Errorf("asked for what changed: %v", err)
	}
}

// TestAllowIsOfOnePort does not open the whole machine for one service.
func TestAllowIsOfOnePort(t *testing.T) {
	other, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer other.Close()
	_, c := serve(t, fetch.Config{}, func(http.ResponseWriter, *http.Request) {})
	if _, err := c.Get(t.Context(), "http://"+other.Addr().String()); !errors.Is(err, fetch.ErrForbidden) {
		t.Errorf("got %v", err)
	}
}
