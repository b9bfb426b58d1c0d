package remote_test

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"

	"trustcore/hsm/mechanism"
	"trustcore/hsm/remote"
)

const id = "00112233445566778899aabbccddeeff"

// gateway answers GET with a description of a P-256 key and POST with what the test says.
func gateway(t *testing.T, description string, post http.HandlerFunc) *remote.Client {
	t.Helper()
	server := httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Method == http.MethodPost {
			post(w, r)
			return
		}
		_, _ = w.Write([]byte(description))
	}))
	t.Cleanup(server.Close)
	c, err := remote.NewClient(server.URL, server.Client())
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func description(t *testing.T) string {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	spki, err := x509.MarshalPKIXPublicKey(key.Public())
	if err != nil {
		t.Fatal(err)
	}
	return fmt.Sprintf(`{"id":%q,"public_key":%q,"mechanisms":["ECDSA-SHA256"],"state":"active"}`, id, base64.StdEncoding.EncodeToString(spki))
}

func TestSignTriesAgainWhileTheGatewayIsAway(t *testing.T) {
	var calls atomic.Int32
	c := gateway(t, description(t), func(w http.ResponseWriter, _ *http.Request) {
		if calls.Add(1) < 3 {
			http.Error(w, "restarting", http.StatusServiceUnavailable)
			return
		}
		_, _ = w.Write([]byte(`{"signature":"AQID","audit_index":7}`))
	})
	k, err := c.Key(t.Context(), id)
	if err != nil {
		t.Fatal(err)
	}
	signed, err := k.SignDigest(t.Context(), mechanism.ECDSASHA256, make([]byte, 32))
	if err != nil || signed.AuditIndex != 7 || len(signed.Value) != 3 || calls.Load() != 3 {
		t.Errorf("%+v, %v after %d calls", signed, err, calls.Load())
	}
}

// TestDocumentsAreNamed: a key for documents of one type says so with every use; the key that it was made of does not.
func TestDocumentsAreNamed(t *testing.T) {
	var asked string
	c := gateway(t, description(t), func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		asked = string(body)
		_, _ = w.Write([]byte(`{"signature":"AQID","signatures":[{"signature":"AQID"}]}`))
	})
	k, err := c.Key(t.Context(), id)
	if err != nil {
		t.Fatal(err)
	}
	const named = `"document":"official-receipt"`
	for name, key := range map[string]*remote.Key{"": k, named: k.For("official-receipt")} {
		if _, err := key.Sign(nil, make([]byte, 32), crypto.SHA256); err != nil || strings.Contains(asked, "document") != (name != "") ||
			!strings.Contains(asked, name) {
			t.Errorf("%q: %v, %s", name, err, asked)
		}
		if _, err := key.SignDigests(t.Context(), mechanism.ECDSASHA256, [][]byte{make([]byte, 32)}); err != nil ||
			strings.Contains(asked, "document") != (name != "") || !strings.Contains(asked, name) {
			t.Errorf("%q: %v, %s", name, err, asked)
		}
	}
}

func TestRefusalIsFinal(t *testing.T) {
	var calls atomic.Int32
	c := gateway(t, description(t), func(w http.ResponseWriter, _ *http.Request) {
		calls.Add(1)
		w.WriteHeader(http.StatusForbidden)
		_, _ = w.Write([]byte(`{"type":"urn:trustcore:hsm:authorisation-expired","status":200,"detail":"it ended"}`))
	})
	k, err := c.Key(t.Context(), id)
	if err != nil {
		t.Fatal(err)
	}
	_, err = k.Sign(nil, make([]byte, 32), crypto.SHA256)
	var refusal *remote.Refusal
	if !errors.As(err, &refusal) || refusal.Status != http.StatusForbidden || refusal.Detail != "it ended" || calls.Load() != 1 {
		t.Errorf("%v after %d calls", err, calls.Load())
	}
	if _, err := k.Sign(nil, make([]byte, 48), crypto.SHA384); err == nil || calls.Load() != 1 {
		t.Errorf("a mechanism that is not granted goes out: %v", err)
	}
}

func TestHostileGateway(t *testing.T) {
	for name, text := range map[string]string{
		"empty":       "",
		"not JSON":    "<html>",
		"no key":      `{"id":"x"}`,
		"bad key":     `{"public_key":"AAAA"}`,
		"endless":     strings.Repeat(" ", 2<<20),
		"wrong types": `{"mechanisms":7}`,
	} {
		if _, err := gateway(t, text, nil).Key(t.Context(), id); err == nil {
			t.Errorf("%s: a key", name)
		}
	}
}

func TestAddresses(t *testing.T) {
	for _, address := range []string{"", "http://10.77.0.1", "https://", "10.77.0.1:8443", "https://[::1"} {
		if _, err := remote.NewClient(address, http.DefaultClient); err == nil {
			t.Errorf("%q passes", address)
		}
	}
	if _, err := remote.NewClient("https://10.77.0.1:8443", nil); err == nil {
		t.Error("no HTTP client passes")
	}
	c := gateway(t, description(t), nil)
	for _, bad := range []string{"", "..", strings.ToUpper(id), id + "0", "../../etc/passwd"} {
		if _, err := c.Key(t.Context(), bad); err == nil {
			t.Errorf("key %q passes", bad)
		}
	}
}

// A key without a certificate says what to do: one that signs gets it from the data centre, one that decrypts does not.
func TestKeysWithoutCertificates(t *testing.T) {
	for purpose, want := range map[string]string{"sign": "the data centre must issue one", remote.ToDecrypt: "for keyEncipherment"} {
		if _, err := (remote.KeyInfo{Label: "k", Purpose: purpose}).Certificates(); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, want %q", purpose, err, want)
		}
	}
}
