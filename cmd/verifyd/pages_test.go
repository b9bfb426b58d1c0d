package main

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"time"

	"trustcore/cmd/internal/httpserver"
	"trustcore/cmd/internal/rights"
	"trustcore/verify/scan"
	"trustcore/verify/trustlist"
)

// holders are one holder of each role.
var holders = map[rights.Role]rights.Holder{
	rights.Officer: {Profile: "officer", Name: "officer-1"}, rights.Office: {Profile: "partner-client", Name: "um-przykladowo"},
	rights.Application: {Profile: "daemon-client", Name: "ezd"}, rights.Gateway: {Profile: "daemon-client", Name: "vpnd"},
	rights.Verifier: {Profile: "daemon-server", Name: "verifyd"}, rights.Dispatcher: {Profile: "daemon-server", Name: "batchd"},
	rights.Core: {Profile: "daemon-server", Name: "trustd"},
	"":          {Profile: "seal", Name: "seal"},
}

// TestRightsOfTheListener lets every role, and nobody, try every route of the listener: the table's opens, everything else is
// refused, and each route of the table is served.
func TestRightsOfTheListener(t *testing.T) {
	o := newOffice(t)
	trusted := &trust{log: quiet, sources: trustlist.Sources{Anchors: []string{o.path("root.pem")}}}
	if err := trusted.load(t.Context()); err != nil {
		t.Fatal(err)
	}
	s := httpserver.Server{Name: "api", Logger: quiet}
	api := http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusTeapot) })
	served, err := trusted.withPage(api, "", true, quiet)
	if err != nil {
		t.Fatal(err)
	}
	shown := o.leaf(7)
	for role, holder := range holders {
		known := rights.NewKnown(time.Hour, time.Now)
		known.Take(&rights.Clients{Digest: "1", Clients: []rights.Client{{Holder: holder, Fingerprint: rights.Fingerprint(shown)}}})
		guarded := (&clients{Follower: &rights.Follower{Known: known}}).protect(s, served)
		for _, right := range rights.Table {
			if right.Listener != rights.Verify {
				continue
			}
			status := ask(t, guarded, right.Route, shown)
			if allowed := slices.Contains(right.Roles, role); allowed == (status == http.StatusForbidden) || status == http.StatusMethodNotAllowed {
				t.Errorf("%s as %q: %d, want allowed: %v", right.Route, role, status, allowed)
			}
			if status := ask(t, guarded, right.Route, nil); status != http.StatusForbidden {
				t.Errorf("%s without a certificate: %d", right.Route, status)
			}
		}
	}
}

// ask asks for a route of the table with a certificate, nil for none.
func ask(t *testing.T, h http.Handler, route string, shown *x509.Certificate) int {
	t.Helper()
	method, path, found := strings.Cut(route, " ")
	if !found {
		method, path = http.MethodPost, "/v1/validations"
	}
	path = strings.NewReplacer("{$}", "", "{key}", "PL", "/static/", "/static/page.css").Replace(path)
	r := httptest.NewRequestWithContext(context.WithoutCancel(t.Context()), method, path, nil)
	if shown != nil {
		r.TLS = &tls.ConnectionState{PeerCertificates: []*x509.Certificate{shown}, VerifiedChains: [][]*x509.Certificate{{shown}}}
	}
	w := httptest.NewRecorder()
	h.ServeHTTP(w, r)
	return w.Code
}

// TestScannedDocumentsAreNotForBrowsers: a scanner has to see the documents.
func TestScannedDocumentsAreNotForBrowsers(t *testing.T) {
	if (&judge{}).forBrowsers() == nil {
		t.Error("no browser may judge, though nothing scans")
	}
	if (&judge{scanner: scanner{Scanner: new(scan.Scanner)}}).forBrowsers() != nil {
		t.Error("browsers may judge what has to be scanned")
	}
}
