package identity_test

import (
	"context"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"errors"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"testing"
	"time"

	"trustcore/cmd/internal/identity"
)

// TestReplaceWithoutAPairOfUse makes a new pair where certificate and key were lost, one of them or both.
func TestReplaceWithoutAPairOfUse(t *testing.T) {
	for name, lose := range map[string]func(id identity.Identity) []string{
		"nothing":     func(identity.Identity) []string { return nil },
		"key":         func(id identity.Identity) []string { return []string{id.Key} },
		"certificate": func(id identity.Identity) []string { return []string{id.Certificate} },
		"both":        func(id identity.Identity) []string { return []string{id.Key, id.Certificate} },
	} {
		a := newAuthority(t)
		old := a.leaf("vpnd", newKey(t).Public(), a.start)
		for _, file := range lose(a.id) {
			must(t, os.Remove(file))
		}
		must(t, a.id.Replace(t.Context(), old, a.start, func(_ context.Context, der []byte) ([]byte, error) {
			q, err := x509.ParseCertificateRequest(der)
			must(t, err)
			return pemOf(a.leaf("vpnd", q.PublicKey, a.start)), nil
		}))
		settings, err := a.id.Server(false)
		if err != nil {
			t.Fatalf("%s lost: %v", name, err)
		}
		if c := shown(t, settings); c.SerialNumber.Int64() != a.serial {
			t.Errorf("%s lost: certificate %d is shown, not %d", name, c.SerialNumber, a.serial)
		}
	}
}

// TestInstall puts a certificate beside the key that it is for.
func TestInstall(t *testing.T) {
	a := newAuthority(t)
	der, err := a.id.Request("vpnd")
	must(t, err)
	q, err := x509.ParseCertificateRequest(der)
	must(t, err)
	if err := a.id.Install(pemOf(a.leaf("vpnd", newKey(t).Public(), a.start))); !errors.Is(err, identity.ErrNoKey) {
		t.Errorf("a stranger's certificate: %v", err)
	}
	settings, err := a.id.Server(false)
	must(t, err)
	if c := shown(t, settings); c.SerialNumber.Int64() != 2 {
		t.Errorf("before the answer certificate %d is shown", c.SerialNumber)
	}
	for range 2 { // twice: who fetches again changes nothing
		must(t, a.id.Install(pemOf(a.leaf("vpnd", q.PublicKey, a.start))))
		settings, err = a.id.Server(false)
		must(t, err)
		if c := shown(t, settings); c.SerialNumber.Int64() != a.serial {
			t.Errorf("certificate %d is shown, not %d", c.SerialNumber, a.serial)
		}
	}
}

// TestAskTrustd speaks to a trustd that certifies, refuses, and answers nonsense.
func TestAskTrustd(t *testing.T) {
	a := newAuthority(t)
	now := a.start.Add(life * 3 / 4)
	answer := func(w http.ResponseWriter, chain []byte) {
		must(t, json.NewEncoder(w).Encode(map[string]string{"chain": string(chain)}))
	}
	for name, c := range map[string]struct {
		serve http.HandlerFunc
		want  string
	}{
		"certified": {func(w http.ResponseWriter, r *http.Request) {
			var in struct{ CSR string }
			must(t, json.NewDecoder(r.Body).Decode(&in))
			block, _ := pem.Decode([]byte(in.CSR))
			q, err := x509.ParseCertificateRequest(block.Bytes)
			must(t, err)
			answer(w, pemOf(a.leaf("vpnd", q.PublicKey, now)))
		}, ""},
		"refused": {func(w http.ResponseWriter, _ *http.Request) {
			w.WriteHeader(http.StatusForbidden)
			_, err := w.Write([]byte(`{"title": "Forbidden", "detail": "the client certificate is suspended"}`))
			must(t, err)
		}, "403 Forbidden: the client certificate is suspended"},
		"no chain": {func(w http.ResponseWriter, _ *http.Request) { answer(w, nil) }, "holds no chain"},
		"no JSON":  {func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write([]byte("<html>")) }, "trustd's answer"},
	} {
		server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if r.Method != http.MethodPost || r.URL.Path != "/v1/renewals" {
				t.Errorf("%s: asked %s %s", name, r.Method, r.URL.Path)
			}
			c.serve(w, r)
		}))
		r := a.renewal(&now, nil)
		r.Ask = identity.AskTrustd(server.Client(), server.URL+"/")
		err := r.Once(t.Context())
		if c.want == "" && err != nil || c.want != "" && (err == nil || !strings.Contains(err.Error(), c.want)) {
			t.Errorf("%s: %v, want %q", name, err, c.want)
		}
		if c.want == "" {
			now = now.Add(life * 3 / 4).Add(time.Second)
		}
		server.Close()
	}
}
