package rights_test

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"log/slog"
	"math/big"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"trustcore/cmd/internal/application"
	"trustcore/cmd/internal/rights"
	"trustcore/internal/problem"
)

func certificate(t *testing.T, serial int64, from, until time.Time) *x509.Certificate {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(serial), NotBefore: from, NotAfter: until}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	c, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// TestKnown walks a list through its life: none yet, there, changed, silent, too old, heard again.
func TestKnown(t *testing.T) {
	now := time.Now()
	known := rights.NewKnown(time.Hour, func() time.Time { return now })
	c := certificate(t, 1, now.Add(-time.Hour), now.Add(3*time.Hour))
	ezd := rights.Client{Holder: rights.Holder{Profile: "daemon-client", Name: "ezd", Serial: "1"}, Fingerprint: rights.Fingerprint(c)}
	guard := rights.Guard{Listener: rights.Verify, Standing: known.Standing}
	want := func(step string, status int, detail string) {
		t.Helper()
		_, err := guard.AdmitCertificate(t.Context(), c, "/")
		var p *problem.Problem
		switch {
		case status == http.StatusOK && err != nil:
			t.Errorf("%s: %v", step, err)
		case status != http.StatusOK && (!errors.As(err, &p) || p.Status != status || detail != "" && p.Detail != detail):
			t.Errorf("%s: %v; want %d %s", step, err, status, detail)
		}
	}
	want("before the first list", http.StatusServiceUnavailable, "")
	known.Take(&rights.Clients{Digest: "a", Clients: []rights.Client{ezd}})
	want("on the list", http.StatusOK, "")
	now = now.Add(50 * time.Minute)
	known.Take(nil)
	now = now.Add(50 * time.Minute)
	want("silent for less than its life", http.StatusOK, "")
	now = now.Add(11 * time.Minute)
	want("silent for longer", http.StatusServiceUnavailable, "")
	known.Take(nil)
	want("heard again", http.StatusOK, "")
	known.Take(&rights.Clients{Digest: "b", Clients: nil})
	want("taken off", http.StatusForbidden, rights.ErrUnknown.Error())
	registered := application.Application{Name: "ezd"}
	known.Take(&rights.Clients{Digest: "c", Clients: []rights.Client{ezd}, Applications: []application.Application{registered}})
	want("registered", http.StatusOK, "")
	registered.Revoked = &now
	known.Take(&rights.Clients{Digest: "d", Clients: []rights.Client{ezd}, Applications: []application.Application{registered}})
	want("its application is revoked", http.StatusForbidden, rights.ErrEnded.Error())
	known.Take(&rights.Clients{Digest: "a", Clients: []rights.Client{ezd}})
	now = c.NotAfter.Add(time.Second)
	known.Take(nil)
	want("after its end", http.StatusForbidden, rights.ErrOutdated.Error())
	now = c.NotBefore.Add(-time.Second)
	want("before its beginning", http.StatusForbidden, rights.ErrOutdated.Error())
	if known.Digest() != "a" {
		t.Errorf("digest %q", known.Digest())
	}
}

// TestBearer: a token opens what it may, over TLS, where tokens are taken, and as long as trustd is heard.
func TestBearer(t *testing.T) {
	now := time.Now()
	known := rights.NewKnown(time.Hour, func() time.Time { return now })
	secret, kept := application.NewToken(now)
	known.Take(&rights.Clients{Digest: "a", Applications: []application.Application{{Name: "ezd", Partner: "um", Tokens: []application.Token{kept}}}})
	tokens := rights.Guard{Listener: rights.Batches, Standing: known.Standing, Bearer: known.Bearer}
	none := rights.Guard{Listener: rights.Batches, Standing: known.Standing}
	ask := func(step string, g rights.Guard, over *tls.ConnectionState, route string, status int) {
		t.Helper()
		r := httptest.NewRequestWithContext(t.Context(), "GET", "/", nil)
		r.TLS = over
		r.Header.Set("Authorization", "Bearer "+secret)
		who, err := g.Admit(r, route)
		var p *problem.Problem
		if status == http.StatusOK && (err != nil || who.Name != "ezd" || who.Partner != "um" || who.Role() != rights.Application) ||
			status != http.StatusOK && (!errors.As(err, &p) || p.Status != status) {
			t.Errorf("%s: %+v, %v; want %d", step, who, err, status)
		}
	}
	ask("its route", tokens, &tls.ConnectionState{}, "GET /v1/batches", http.StatusOK)
	ask("without TLS", tokens, nil, "GET /v1/batches", http.StatusForbidden)
	ask("where none are taken", none, &tls.ConnectionState{}, "GET /v1/batches", http.StatusForbidden)
	ask("another's route", tokens, &tls.ConnectionState{}, "GET /v1/orders", http.StatusForbidden)
	now = now.Add(2 * time.Hour)
	ask("trustd is silent", tokens, &tls.ConnectionState{}, "GET /v1/batches", http.StatusServiceUnavailable)
}

// TestProtectServesTheTable lets nothing through that the table does not have, and nobody without a verified certificate.
func TestProtectServesTheTable(t *testing.T) {
	now := time.Now()
	c := certificate(t, 1, now.Add(-time.Hour), now.Add(time.Hour))
	known := rights.NewKnown(time.Hour, time.Now)
	known.Take(&rights.Clients{Digest: "a", Clients: []rights.Client{{Holder: rights.Holder{Profile: "partner-client"}, Fingerprint: rights.Fingerprint(c)}}})
	served := http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusNoContent) })
	h := rights.Guard{Listener: rights.HSM, Standing: known.Standing}.Protect(problem.Door{Name: "gateway", Logger: slog.New(slog.DiscardHandler)}, served)
	state := &tls.ConnectionState{PeerCertificates: []*x509.Certificate{c}, VerifiedChains: [][]*x509.Certificate{{c}}}
	for _, try := range []struct {
		method, path string
		tls          *tls.ConnectionState
		want         int
	}{
		{"GET", "/v1/keys", state, 204}, {"POST", "/v1/keys", state, 405}, {"GET", "/v1/orders", state, 404}, {"GET", "/", state, 404},
		{"GET", "/v1/keys", nil, 403}, {"GET", "/v1/keys", &tls.ConnectionState{PeerCertificates: state.PeerCertificates}, 403},
	} {
		r := httptest.NewRequestWithContext(t.Context(), try.method, try.path, nil)
		r.TLS = try.tls
		answer := httptest.NewRecorder()
		h.ServeHTTP(answer, r)
		if answer.Code != try.want {
			t.Errorf("%s %s: %d, want %d", try.method, try.path, answer.Code, try.want)
		}
	}
}

// TestParcelsAreTheDispatchers: whose documents travel together is batchd's to say, which holds the applications'
// terms.
func TestParcelsAreTheDispatchers(t *testing.T) {
	now := time.Now()
	c := certificate(t, 1, now.Add(-time.Hour), now.Add(time.Hour))
	state := &tls.ConnectionState{PeerCertificates: []*x509.Certificate{c}, VerifiedChains: [][]*x509.Certificate{{c}}}
	served := http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusNoContent) })
	for _, who := range []struct {
		rights.Holder
		want int
	}{
		{rights.Holder{Profile: "daemon-server", Name: rights.DispatcherName}, http.StatusNoContent},
		{rights.Holder{Profile: "daemon-client", Name: "ezd"}, http.StatusForbidden},
		{rights.Holder{Profile: "partner-client", Name: "um"}, http.StatusForbidden},
		{rights.Holder{Profile: "officer", Name: "officer-1"}, http.StatusForbidden},
	} {
		guard := rights.Guard{Listener: rights.Verify,
			Standing: func(context.Context, *x509.Certificate) (rights.Holder, error) { return who.Holder, nil }}
		r := httptest.NewRequestWithContext(t.Context(), http.MethodPost, "/v1/parcels", nil)
		r.TLS = state
		answer := httptest.NewRecorder()
		guard.Protect(problem.Door{Name: "api", Logger: slog.New(slog.DiscardHandler)}, served).ServeHTTP(answer, r)
		if answer.Code != who.want {
			t.Errorf("%s: %d, want %d", who.Profile, answer.Code, who.want)
		}
	}
}
