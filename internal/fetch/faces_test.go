package fetch_test

import (
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"net/url"
	"strings"
	"testing"

	"trustcore/internal/fetch"
)

// proxy is one that writes down what it is asked for, and answers itself.
func proxy(t *testing.T) (address *url.URL, asked func() []string) {
	t.Helper()
	var list []string
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		list = append(list, r.Method+" "+r.RequestURI)
		switch {
		case r.URL.Path == "/inside":
			http.Redirect(w, r, "http://10.0.0.1/", http.StatusFound)
		case r.URL.Path == "/name":
			http.Redirect(w, r, "http://intranet/", http.StatusFound)
		case r.Method == http.MethodConnect:
			http.Error(w, "no", http.StatusForbidden)
		default:
			_, _ = io.WriteString(w, "by the proxy")
		}
	}))
	t.Cleanup(s.Close)
	u, err := url.Parse(s.URL)
	if err != nil {
		t.Fatal(err)
	}
	return u, func() []string { return list }
}

// TestBehindAProxy: the proxy resolves names, so what names no public host never comes to it.
func TestBehindAProxy(t *testing.T) {
	u, asked := proxy(t)
	c := fetch.New(fetch.Config{Proxy: u})
	for _, address := range []string{
		"http://127.0.0.1/", "http://[::1]/", "http://10.0.0.1/", "http://8.8.8.8/", "http://[2606:4700::1111]/", "http://2130706433/", "http://0x7f.1/",
		"http://0177.0.0.1/", "http://127.1/", "http://a.0x7f000001/", "http://1.99999999999999999999999/", "http://intranet/", "http://intranet./", "http://localhost/",
		"http://a.localhost/", "http://a.localhost./", "http://printer.local/", "http://metadata.google.internal/", "http://router.home.arpa/", "http://dc.corp/",
		"http://A.LOCAL/", "http://host.lan/", "https://intranet/", "https://10.0.0.1/", "http://[fe80::1%25lo]/", "http://.../", "http://crl.example.pl/inside", "http://crl.example.pl/name",
	} {
		if _, err := c.Get(t.Context(), address); !errors.Is(err, fetch.ErrForbidden) {
			t.Errorf("%s: %v", address, err)
		}
	}
	if got := strings.Join(asked(), ", "); got != "GET http://crl.example.pl/inside, GET http://crl.example.pl/name" {
		t.Errorf("the proxy was asked for %s", got)
	}
	if data, err := c.Get(t.Context(), "http://crl.example.pl/ca.crl"); err != nil || string(data) != "by the proxy" {
		t.Errorf("%q, %v", data, err)
	}
	if _, err := c.Get(t.Context(), "https://crl.example.pl/ca.crl"); err == nil || !strings.HasSuffix(strings.Join(asked(), ", "), "CONNECT crl.example.pl:443") {
		t.Errorf("%v; the proxy was asked for %s", err, asked())
	}
}

// TestStraightPastTheProxy: the own authority's address, and a configured one that is private itself.
func TestStraightPastTheProxy(t *testing.T) {
	u, asked := proxy(t)
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, "here") }))
	defer s.Close()
	allowed := fetch.New(fetch.Config{Proxy: u, Allow: []netip.AddrPort{netip.MustParseAddrPort(s.Listener.Addr().String())}})
	known, err := fetch.Configured(fetch.Config{Proxy: u}, s.URL+"/list.xml", "http://mirror/list.xml")
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []*fetch.Client{allowed, known} {
		if data, err := c.Get(t.Context(), s.URL); err != nil || string(data) != "here" {
			t.Errorf("%q, %v", data, err)
		}
	}
	if data, err := known.Get(t.Context(), "http://mirror/other.xml"); err != nil || string(data) != "by the proxy" {
		t.Errorf("a configured name: %q, %v", data, err)
	}
	if got := strings.Join(asked(), ", "); got != "GET http://mirror/other.xml" {
		t.Errorf("the proxy was asked for %s", got)
	}
}

// TestConfigured: what the administrator wrote is asked wherever it is, what it leads on to is a stranger's.
func TestConfigured(t *testing.T) {
	inside := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { t.Error("the inside was reached") }))
	defer inside.Close()
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch r.URL.Path {
		case "/inside":
			http.Redirect(w, r, inside.URL, http.StatusFound)
		case "/scheme":
			http.Redirect(w, r, "ftp://example.com/", http.StatusFound)
		case "/loop":
			http.Redirect(w, r, "/loop", http.StatusFound)
		case "/once":
			http.Redirect(w, r, "/here", http.StatusFound)
		default:
			_, _ = io.WriteString(w, "here")
		}
	}))
	defer s.Close()
	c, err := fetch.Configured(fetch.Config{}, s.URL+"/list.xml")
	if err != nil {
		t.Fatal(err)
	}
	for _, path := range []string{"/list.xml", "/other.xml", "/once"} {
		if data, err := c.Get(t.Context(), s.URL+path); err != nil || string(data) != "here" {
			t.Errorf("%s: %q, %v", path, data, err)
		}
	}
	for _, path := range []string{"/inside", "/scheme", "/loop"} {
		if _, err := c.Get(t.Context(), s.URL+path); err == nil {
			t.Errorf("%s was followed", path)
		}
	}
	for _, address := range []string{inside.URL, "http://10.0.0.1/", "http://169.254.169.254/"} {
		if _, err := c.Get(t.Context(), address); !errors.Is(err, fetch.ErrForbidden) {
			t.Errorf("%s: %v", address, err)
		}
	}
	for _, bad := range []string{"file:///etc/passwd", "ftp://example.com/", "example.com", "", "http://user:secret@example.com/", "http://%zz/"} {
		if _, err := fetch.Configured(fetch.Config{}, bad); err == nil || strings.Contains(err.Error(), "secret") {
			t.Errorf("%q: %v", bad, err)
		}
	}
}

// TestNoWayOutOfTLS lets a configured https server lead to itself without TLS.
func TestNoWayOutOfTLS(t *testing.T) {
	plain := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { t.Error("TLS was left") }))
	defer plain.Close()
	s := httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { http.Redirect(w, r, plain.URL, http.StatusFound) }))
	defer s.Close()
	c, err := fetch.Configured(fetch.Config{}, s.URL, plain.URL)
	if err != nil {
		t.Fatal(err)
	}
	fetch.Trust(c, s.Certificate())
	if _, err := c.Get(t.Context(), s.URL); !errors.Is(err, fetch.ErrForbidden) {
		t.Errorf("%v", err)
	}
}

// TestGetSince asks with what the server said, and takes 304 for an answer only then.
func TestGetSince(t *testing.T) {
	u, c := serve(t, fetch.Config{}, func(w http.ResponseWriter, r *http.Request) {
		switch {
		case r.URL.Path == "/always" || r.Header.Get("If-None-Match") == `"1"` && r.Header.Get("If-Modified-Since") != "":
			w.WriteHeader(http.StatusNotModified)
			return
		case r.URL.Path == "/long":
			w.Header().Set("ETag", strings.Repeat("x", 300))
		default:
			w.Header().Set("ETag", `"1"`)
			w.Header().Set("Last-Modified", "Sat, 07 Mar 2026 12:00:00 GMT")
		}
		_, _ = io.WriteString(w, "here")
	})
	first, err := c.GetSince(t.Context(), u, fetch.Version{})
	if err != nil || string(first.Content) != "here" || first.Unchanged || first.Version.ETag != `"1"` || first.Version.Modified == "" {
		t.Fatalf("%+v, %v", first, err)
	}
	if again, err := c.GetSince(t.Context(), u, first.Version); err != nil || !again.Unchanged || again.Version != first.Version {
		t.Errorf("%+v, %v", again, err)
	}
	if a, err := c.GetSince(t.Context(), u+"/always", fetch.Version{}); err == nil {
		t.Errorf("304 for who has nothing: %+v", a)
	}
	if a, err := c.GetSince(t.Context(), u+"/long", fetch.Version{}); err != nil || a.Version != (fetch.Version{}) {
		t.Errorf("%+v, %v", a, err)
	}
}
