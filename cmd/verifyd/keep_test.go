package main

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"trustcore/verify/client"
	"trustcore/verify/trustlist"
	"trustcore/verify/trustlist/upkeep"
)

// keeping is a verifyd that keeps lists, over the corpus.
type keeping struct {
	*union
	corpus string
	stop   func()
}

func newKeeping(t *testing.T, change func(*Config)) *keeping {
	t.Helper()
	corpus := os.Getenv("TRUSTCORE_CORPUS")
	if corpus == "" {
		t.Skip("TRUSTCORE_CORPUS is not set: there are no lists")
	}
	k := &keeping{union: &union{office: newOffice(t)}, corpus: corpus}
	k.cfg = k.daemonConfig()
	k.cfg.Offline = true
	change(&k.cfg)
	pool := x509.NewCertPool()
	pool.AddCert(k.root)
	k.client = &http.Client{Timeout: time.Minute, Transport: &http.Transport{TLSClientConfig: &tls.Config{RootCAs: pool}}}
	k.start()
	t.Cleanup(func() { k.stop() })
	return k
}

func (k *keeping) start() {
	k.t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- serve(ctx, k.cfg, quiet) }()
	k.stop = func() {
		k.client.CloseIdleConnections()
		cancel()
		if err := <-ended; err != nil {
			k.t.Error(err)
		}
	}
	k.wait("the daemon's operations", func() bool { return k.get("/livez") == http.StatusOK })
}

// ask sends a request to the interface for applications.
func (k *keeping) ask(method, path string, body []byte, into any) int {
	k.t.Helper()
	r, err := http.NewRequestWithContext(k.t.Context(), method, "https://"+k.cfg.Listen+path, bytes.NewReader(body))
	if err != nil {
		k.t.Fatal(err)
	}
	response, err := k.client.Do(r)
	if err != nil {
		k.t.Fatal(err)
	}
	defer response.Body.Close()
	data, err := io.ReadAll(response.Body)
	if err != nil {
		k.t.Fatal(err)
	}
	if into != nil && response.StatusCode == http.StatusOK {
		if err := json.Unmarshal(data, into); err != nil {
			k.t.Fatalf("%s: %v", data, err)
		}
	}
	return response.StatusCode
}

// verdict is that on a container with a qualified signature, in short, and the notes of the report.
func (k *keeping) verdict() (verdict, notes string) {
	k.t.Helper()
	files, err := filepath.Glob(k.corpus + "/signatures/files/*/latvian_signed_container.asice")
	if err != nil || len(files) == 0 {
		k.t.Fatal("no sample", err)
	}
	data, err := os.ReadFile(files[0])
	if err != nil {
		k.t.Fatal(err)
	}
	var report struct {
		Signatures []struct{ Indication, Qualification string }
		Notes      []string
	}
	if status := k.ask(http.MethodPost, "/v1/validations", data, &report); status != http.StatusOK || len(report.Signatures) == 0 {
		return fmt.Sprint(status), ""
	}
	return report.Signatures[0].Indication + " " + report.Signatures[0].Qualification, strings.Join(report.Notes, "; ")
}

func (k *keeping) lists(name string) string { return filepath.Join(k.corpus, "trustlists", name) }

// archive is a tar archive of the files of a folder.
func archive(t *testing.T, dir string) []byte {
	t.Helper()
	var b bytes.Buffer
	w := tar.NewWriter(&b)
	if err := w.AddFS(os.DirFS(dir)); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

// TestListsCarriedIn starts without lists, says so, takes them while it runs, judges by them at once, and has them at the next
// start.
func TestListsCarriedIn(t *testing.T) {
	k := newKeeping(t, func(*Config) {})
	if f := k.finding("no trusted list is loaded"); f == nil || !strings.Contains(f.Remedy, "trustctl trust import FOLDER") {
		t.Errorf("%+v", f)
	}
	verdict, notes := k.verdict()
	if strings.HasPrefix(verdict, "TOTAL-PASSED") || !strings.Contains(notes, "no trusted list is loaded") {
		t.Errorf("without lists: %s, %s", verdict, notes)
	}
	if status := k.ask(http.MethodPost, "/v1/trust/refresh", nil, nil); status != http.StatusConflict {
		t.Errorf("fetched: %d", status)
	}
	for name, junk := range map[string][]byte{"nothing": nil, "no archive": bytes.Repeat([]byte("x"), 2000), "half of one": archive(t, k.lists("v6"))[:9000]} {
		if status := k.ask(http.MethodPost, "/v1/trust/imports", junk, nil); status != http.StatusBadRequest {
			t.Errorf("%s: %d", name, status)
		}
	}
	var taken []upkeep.Taken
	if status := k.ask(http.MethodPost, "/v1/trust/imports", archive(t, k.lists("eu-2025-08")), &taken); status != http.StatusOK {
		t.Fatal(status)
	}
	for _, f := range taken {
		if !f.Taken && f.File != "INDEX.tsv" {
			t.Errorf("%+v", f)
		}
	}
	const goodNote = "trusted list of EE, sequence number 68, issued on 2025-06-12"
	if verdict, notes := k.verdict(); verdict != "TOTAL-PASSED QESig" || !strings.Contains(notes, goodNote) || !strings.Contains(notes, "past its next update") {
		t.Errorf("with lists: %s, %s", verdict, notes)
	}
	if f := k.finding("lists have run out: EU EU 370, AT AT 69"); f == nil || !strings.Contains(f.Remedy, "trustctl trust import") {
		t.Errorf("%+v", f)
	}
	k.wantMetrics(k.client, k.cfg, `verify_trustlist_sequence{territory="PL"} 152`, `verify_trustlist_sequence{territory="EU"} 370`, "verify_trustlists_failed 0")
	var status client.TrustStatus
	if k.ask(http.MethodGet, "/v1/trust/status", nil, &status); !status.Kept || status.Fetches || status.Services < 3500 || len(status.Lists) < 31 || len(status.Findings) == 0 {
		t.Errorf("%d services, %d lists, %d findings", status.Services, len(status.Lists), len(status.Findings))
	}
	var polish trustlist.Summary
	if k.ask(http.MethodGet, "/v1/trust/lists/PL", nil, &polish); polish.Sequence != 152 || len(polish.Services) < 100 {
		t.Errorf("%d services of list %d", len(polish.Services), polish.Sequence)
	}
	if status := k.ask(http.MethodGet, "/v1/trust/lists/XX", nil, nil); status != http.StatusNotFound {
		t.Errorf("a list that is not there: %d", status)
	}
	if k.ask(http.MethodPost, "/v1/trust/imports", archive(t, k.lists("eu-2023-10")), &taken); len(taken) < 30 {
		t.Fatal(len(taken))
	}
	for _, f := range taken {
		if f.Taken {
			t.Errorf("an older list was taken: %+v", f)
		}
	}
	k.stop()
	k.start()
	if verdict, notes := k.verdict(); verdict != "TOTAL-PASSED QESig" || !strings.Contains(notes, goodNote) {
		t.Errorf("at the next start: %s, %s", verdict, notes)
	}
}

// mirror serves the lists of a folder of the corpus on loopback, under the names that the configuration and the list of the
// lists give them.
func mirror(t *testing.T, dir string) (*httptest.Server, map[string]string) {
	t.Helper()
	files, addresses := map[string][]byte{}, map[string]string{}
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range entries {
		territory, sequence, ok := strings.Cut(strings.TrimSuffix(e.Name(), ".xml.gz"), "-seq")
		if !ok {
			continue
		}
		f, err := os.Open(filepath.Join(dir, e.Name()))
		if err != nil {
			t.Fatal(err)
		}
		z, err := gzip.NewReader(f)
		if err != nil {
			t.Fatal(err)
		}
		data, err := io.ReadAll(z)
		_ = f.Close()
		if err != nil {
			t.Fatal(err)
		}
		files["/"+territory+".xml"] = data
		if territory == "LOTL" {
			files["/eu-lotl-pivot-"+sequence+".xml"] = data
		}
	}
	for _, territory := range strings.Fields("AT BE BG CY CZ DE DK EE EL ES FI FR HR HU IE IS IT LI LT LU LV MT NL NO PL PT RO SE SI SK UK") {
		addresses[territory] = "/" + territory + ".xml"
	}
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if data, ok := files[r.URL.Path]; ok {
			_, _ = w.Write(data)
			return
		}
		http.NotFound(w, r)
	}))
	for territory, path := range addresses {
		addresses[territory] = server.URL + path
	}
	t.Cleanup(server.Close)
	return server, addresses
}

// TestListsFetched fetches the Union's lists of 2025 from a mirror, one of which is missing there, and goes on without it
// when it is gone.
func TestListsFetched(t *testing.T) {
	corpus := os.Getenv("TRUSTCORE_CORPUS")
	if corpus == "" {
		t.Skip("TRUSTCORE_CORPUS is not set: there are no lists")
	}
	server, addresses := mirror(t, filepath.Join(corpus, "trustlists", "eu-2025-08"))
	k := newKeeping(t, func(c *Config) {
		c.Offline, c.Lists.Fetch, c.Lists.LOTL, c.Lists.Addresses = false, true, server.URL+"/LOTL.xml", addresses
		c.FetchAllow = nil
	})
	var status client.TrustStatus
	k.wait("the lists", func() bool {
		return k.ask(http.MethodGet, "/v1/trust/status", nil, &status) == http.StatusOK && status.Services > 3500 && k.finding("the list DE DE is not used") != nil
	})
	if ready := k.get("/readyz?service=verify"); ready != http.StatusOK {
		t.Errorf("not ready: %d", ready)
	}
	if f := k.finding("the list DE DE could not be fetched"); f == nil || !strings.Contains(f.What, "404") || !strings.Contains(f.Remedy, "by itself") {
		t.Errorf("%+v", f)
	}
	if !status.Fetches {
		t.Error("it does not say that it fetches")
	}
	for _, l := range status.Lists {
		if l.Error == "" && (l.Address == "" || l.Confirmed.IsZero()) && l.Role != "pivot" {
			t.Errorf("%+v", l)
		}
	}
	k.wantMetrics(k.client, k.cfg, `verify_trustlist_fetch_failures{territory="PL"} 0`, `verify_trustlist_fetch_failures{territory="DE"} 1`)
	server.Close()
	if code := k.ask(http.MethodPost, "/v1/trust/refresh", nil, &status); code != http.StatusOK || status.Services < 3500 {
		t.Errorf("%d, %d services", code, status.Services)
	}
	if f := k.finding("lists could not be fetched"); f == nil || !strings.Contains(f.What, "PL PL 152") {
		t.Errorf("/health does not say that the Polish list can't be fetched: %+v", f)
	}
	k.wantMetrics(k.client, k.cfg, `verify_trustlist_fetch_failures{territory="PL"} 1`, `verify_trustlist_sequence{territory="PL"} 152`)
	if code := k.ask(http.MethodPost, "/v1/trust/refresh", nil, nil); code != http.StatusTooManyRequests {
		t.Errorf("again at once: %d", code)
	}
	k.stop()
	k.start()
	if ready := k.get("/readyz?service=verify"); ready != http.StatusOK {
		t.Errorf("not ready at a start without the mirror: %d", ready)
	}
}

// TestReadyWithoutAny: with neither lists nor anchors nothing could be trusted; with fetching on, nothing is judged before there
// are lists.
func TestReadyWithoutAny(t *testing.T) {
	o := newOffice(t)
	anchors := []string{o.path("root.pem")}
	for name, c := range map[string]struct {
		sources trustlist.Sources
		fetch   bool
		ready   bool
	}{
		"nothing":            {trustlist.Sources{}, false, false},
		"anchors":            {trustlist.Sources{Anchors: anchors}, false, true},
		"anchors, to fetch":  {trustlist.Sources{Anchors: anchors}, true, false},
		"nothing, but fetch": {trustlist.Sources{}, true, false},
	} {
		keep := &upkeep.Config{Dir: t.TempDir(), Signers: trustlist.Journal(), Now: time.Now, Logger: quiet}
		if c.fetch {
			keep.Fetch = &upkeep.Fetch{}
		}
		trust, err := newTrust(t.Context(), c.sources, keep, quiet)
		if err != nil {
			t.Fatal(err)
		}
		if err := trust.ready(); (err == nil) != c.ready {
			t.Errorf("%s: %v", name, err)
		}
		if err := trust.close(); err != nil {
			t.Error(err)
		}
	}
}
