package main

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"trustcore/cmd/internal/httpserver"
)

// union is a verifyd over a copy of the Union's lists.
type union struct {
	*office
	cfg    Config
	client *http.Client
}

// newUnion copies the lists of the corpus that keep holds, all when it is nil, and serves.
func newUnion(t *testing.T, keep func(file string) bool) *union {
	t.Helper()
	corpus := os.Getenv("TRUSTCORE_CORPUS")
	if corpus == "" {
		t.Skip("TRUSTCORE_CORPUS is not set: there are no lists")
	}
	u := &union{office: newOffice(t)}
	u.cfg = u.daemonConfig()
	u.cfg.Anchors, u.cfg.TrustLists = nil, u.path("lists")
	u.cfg.LOTLSigners = filepath.Join(corpus, "trustlists", "lotl-signers")
	if err := os.CopyFS(u.cfg.TrustLists, os.DirFS(filepath.Join(corpus, "trustlists", "eu-2023-10"))); err != nil {
		t.Fatal(err)
	}
	files, err := filepath.Glob(u.cfg.TrustLists + "/*")
	for _, f := range files {
		if keep != nil && !keep(f) {
			err = os.Remove(f)
		}
	}
	if err != nil {
		t.Fatal(err)
	}
	pool := x509.NewCertPool()
	pool.AddCert(u.root)
	u.client = &http.Client{Timeout: 10 * time.Second, Transport: &http.Transport{TLSClientConfig: &tls.Config{RootCAs: pool}}}
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- serve(ctx, u.cfg, quiet) }()
	t.Cleanup(func() {
		u.client.CloseIdleConnections()
		cancel()
		if err := <-ended; err != nil {
			t.Error(err)
		}
	})
	u.wait("the daemon's operations", func() bool { return u.get("/livez") == http.StatusOK })
	return u
}

// get is the status of one of the operations.
func (u *union) get(path string) int {
	response, err := u.client.Get("http://" + u.cfg.Operations + path)
	if err != nil {
		return 0
	}
	defer response.Body.Close()
	return response.StatusCode
}

// finding is what /health says with the text in it, nil when nothing.
func (u *union) finding(text string) *httpserver.Finding {
	var h health
	get(u.client, "http://"+u.cfg.Operations+"/health", &h)
	for _, f := range h.Findings {
		if strings.Contains(f.What, text) {
			return &f
		}
	}
	return nil
}

// judged is the status of the answer to a document.
func (u *union) judged() int {
	u.t.Helper()
	response, err := u.client.Post("https://"+u.cfg.Listen+"/v1/validations", "application/octet-stream", strings.NewReader("no document"))
	if err != nil {
		u.t.Fatal(err)
	}
	defer response.Body.Close()
	return response.StatusCode
}

// polish is the national list of Poland among the files.
func (u *union) polish() string {
	u.t.Helper()
	var h health
	get(u.client, "http://"+u.cfg.Operations+"/health", &h)
	for _, l := range h.Details.Lists {
		if l.Role == "national" && l.Territory == "PL" {
			return filepath.Join(u.cfg.TrustLists, filepath.Base(l.File))
		}
	}
	u.t.Fatal("there is no Polish list")
	return ""
}

// TestListsInTrouble takes a list away, damages it and cuts it while verifyd runs: that is said soon with what to do, what was read
// before goes on, and when the file is back so is everything, without a word from anybody. That lists have run out is said too.
func TestListsInTrouble(t *testing.T) {
	u := newUnion(t, nil)
	if f := u.finding("PL"); f == nil || !strings.Contains(f.What, "run out") || !strings.Contains(f.Remedy, "fetch") {
		t.Errorf("a list of 2023 is not told to have run out: %+v", f)
	}
	file := u.polish()
	good, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	before := u.judged()
	for name, harm := range map[string]func() error{
		"missing": func() error { return os.Remove(file) },
		"cut":     func() error { return os.Truncate(file, int64(len(good)/2)) },
		"damaged": func() error {
			bad := bytes.Clone(good)
			bad[len(bad)/2] ^= 0x10
			return os.WriteFile(file, bad, 0o600)
		},
	} {
		const trouble = "were not read again"
		begun := time.Now()
		if err := harm(); err != nil {
			t.Fatal(err)
		}
		u.wait(name, func() bool { return u.finding(trouble) != nil })
		seen := time.Since(begun)
		if f := u.finding(trouble); f.State != httpserver.Amber || !strings.Contains(f.What, "PL") || f.Remedy == "" {
			t.Errorf("%s: %+v", name, f)
		}
		if ready := u.get("/readyz?service=verify"); ready != http.StatusOK {
			t.Errorf("%s: not ready with the last known good: %d", name, ready)
		}
		if now := u.judged(); now != before {
			t.Errorf("%s: a document is answered by %d, before by %d", name, now, before)
		}
		begun = time.Now()
		if err := os.WriteFile(file, good, 0o600); err != nil {
			t.Fatal(err)
		}
		u.wait(name+" no more", func() bool { return u.finding(trouble) == nil })
		healed := time.Since(begun)
		t.Logf("%s: seen after %v, healed after %v", name, seen.Round(time.Millisecond), healed.Round(time.Millisecond))
	}
}

// TestNothingIsJudgedWithoutLists starts over a folder in which no list names a service: every signature would be a stranger's, so
// none is judged until there are lists.
func TestNothingIsJudgedWithoutLists(t *testing.T) {
	u := newUnion(t, func(file string) bool { return strings.Contains(strings.ToLower(filepath.Base(file)), "lotl") })
	if ready := u.get("/readyz?service=verify"); ready != http.StatusServiceUnavailable {
		t.Errorf("ready without lists: %d", ready)
	}
	if status := u.judged(); status != http.StatusServiceUnavailable {
		t.Errorf("a document without lists: %d, want 503", status)
	}
	begun := time.Now()
	lists := os.DirFS(filepath.Join(os.Getenv("TRUSTCORE_CORPUS"), "trustlists", "eu-2023-10"))
	if err := os.RemoveAll(u.cfg.TrustLists); err != nil {
		t.Fatal(err)
	}
	if err := os.CopyFS(u.cfg.TrustLists, lists); err != nil {
		t.Fatal(err)
	}
	u.wait("lists", func() bool { return u.get("/readyz?service=verify") == http.StatusOK })
	t.Logf("healed after %v", time.Since(begun).Round(time.Millisecond))
	if status := u.judged(); status == http.StatusServiceUnavailable {
		t.Errorf("with lists again: %d", status)
	}
}
