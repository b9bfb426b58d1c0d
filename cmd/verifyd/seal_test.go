package main

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"encoding/json"
	"errors"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"trustcore/hsm/remote"
	"trustcore/internal/problem"
)

// TestNoSealNoReport: whatever keeps verifyd from a seal, the caller is told to come again and not why, and gets nothing.
// That a report is sealed, with a key of the HSM, the demonstration of trustctl proves.
func TestNoSealNoReport(t *testing.T) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	public, err := x509.MarshalPKIXPublicKey(key.Public())
	if err != nil {
		t.Fatal(err)
	}
	good := remote.KeyInfo{ID: strings.Repeat("0", 32), Label: "reports", PublicKey: public, Usable: true}
	for reason, change := range map[string]func(*remote.KeyInfo){
		"key \"reports\" that may be used": func(k *remote.KeyInfo) { k.Usable = false },
		"no order gives":                   func(k *remote.KeyInfo) { k.Label = "other" },
		"has no certificate":               func(*remote.KeyInfo) {},
		"certificate of the key":           func(k *remote.KeyInfo) { k.Chain = [][]byte{[]byte("x")} },
		"(403): not you":                   nil,
	} {
		gateway := httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			if change == nil {
				w.WriteHeader(http.StatusForbidden)
				_, _ = w.Write([]byte(`{"detail":"not you"}`))
				return
			}
			info := good
			change(&info)
			_ = json.NewEncoder(w).Encode(map[string]any{"keys": []remote.KeyInfo{info}})
		}))
		client, err := remote.NewClient(gateway.URL, gateway.Client())
		if err != nil {
			t.Fatal(err)
		}
		var log bytes.Buffer
		s := &sealer{gateway: client, key: "reports", log: slog.New(slog.NewTextHandler(&log, nil))}
		report, err := s.seal(t.Context(), "pdf", []byte("%PDF-1.7"))
		var told *problem.Problem
		if report != nil || !errors.As(err, &told) || told.Status != http.StatusServiceUnavailable || told.RetryAfter == 0 ||
			strings.Contains(told.Detail, reason) || !strings.Contains(strings.ReplaceAll(log.String(), `\`, ""), reason) {
			t.Errorf("%s: %q, %v; the log says %s", reason, report, err, &log)
		}
		gateway.Close()
	}
}

// TestSealSettings: what is missing or wrong is named.
func TestSealSettings(t *testing.T) {
	const gateway, tsa = "https://10.64.0.1:9443", "http://10.64.0.1:8080/pki/tsa"
	for field, c := range map[string]Seal{
		"reports.judge":           {Gateway: gateway, Timestamps: tsa},
		"reports.seal.gateway":    {Key: "reports"},
		"reports.seal.gateway: ":  {Timestamps: tsa},
		"gateway: \"http://10":    {Gateway: "http://10.64.0.1:9443", Timestamps: tsa},
		"reports.seal.timestamps": {Gateway: gateway},
		"timestamps: \"ftp":       {Gateway: gateway, Timestamps: "ftp://10.64.0.1"},
	} {
		judge := "Centrum danych"
		if field == "reports.judge" {
			judge = ""
		}
		if err := c.check(judge); err == nil || !strings.Contains(err.Error(), field) {
			t.Errorf("%+v: %v, want %s", c, err, field)
		}
	}
	for _, c := range []Seal{{}, {Gateway: gateway, Timestamps: tsa, Key: "own"}} {
		if err := c.check("Centrum danych"); err != nil {
			t.Errorf("%+v: %v", c, err)
		}
	}
}
