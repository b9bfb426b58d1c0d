package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"trustcore/cmd/internal/httpserver"
	"trustcore/cmd/internal/registry/registrytest"
	"trustcore/internal/budget/budgettest"
	"trustcore/internal/store/storetest"
	"trustcore/vpn"
)

// enrolmentDoor is the door that strangers reach, with a registry behind it in which nobody may enrol.
func enrolmentDoor(t testing.TB) http.Handler {
	t.Helper()
	r, _ := registrytest.Open(t, storetest.SQLite(t), netip.MustParsePrefix("10.64.0.0/24"), time.Now)
	sealer, err := openSealer(filepath.Join(t.TempDir(), sealerFile))
	if err != nil {
		t.Fatal(err)
	}
	d := &daemon{registry: r, gateways: newGateways(vpn.DefaultLease, vpn.BootTime), sealer: sealer}
	return d.enrolment(httpserver.Server{Name: "enrolment", Logger: slog.New(slog.DiscardHandler)})
}

// FuzzEnrolment demands of every body that is no enrolment a problem of the client's, in words that fit it.
func FuzzEnrolment(f *testing.F) {
	door := enrolmentDoor(f)
	key := "YWFhYWFhYWFhYWFhYWFhYWFhYWFhYWFhYWFhYWFhYWE="
	for _, seed := range []string{
		`{"token":"a","wireguard_public_key":"` + key +
			`","csr":"-----BEGIN CERTIFICATE REQUEST-----\nMAA=\n-----END CERTIFICATE REQUEST-----\n"}`,
		`{"token":"","wireguard_public_key":"AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=","csr":""}`,
		`{"token":"a","wireguard_public_key":"` + key + `","csr":"","preshared_exchange":"AAAA"}`,
		`{"token":"a","token":"b"}{}`, `{"order":"ZU-1"}`, `[]`, ``,
	} {
		f.Add([]byte(seed))
	}
	limit := budgettest.Limit{
		Time: 100 * time.Millisecond, TimeAnOctet: 10 * time.Microsecond,
		Alloc: 4 << 20, AllocAnOctet: 1 << 10,
	}
	var asked atomic.Int64
	f.Fuzz(func(t *testing.T, body []byte) {
		answer := httptest.NewRecorder()
		budgettest.Check(t, len(body), limit, func() {
			answer = httptest.NewRecorder()
			r := httptest.NewRequestWithContext(t.Context(), http.MethodPost, "/v1/enrolments", bytes.NewReader(body))
			r.RemoteAddr = fmt.Sprintf("[2001:db8::%x]:1", asked.Add(1)%0x10000) // each may try some tokens
			door.ServeHTTP(answer, r)
		})
		if answer.Code < 400 || answer.Code >= 500 {
			t.Errorf("status %d: %s", answer.Code, answer.Body)
		}
		var said struct {
			Status int    `json:"status"`
			Detail string `json:"detail"`
		}
		if err := json.Unmarshal(answer.Body.Bytes(), &said); err != nil || said.Status != answer.Code || said.Detail == "" {
			t.Errorf("%s is no problem of status %d: %v", answer.Body, answer.Code, err)
		}
		if strings.Contains(strings.ToLower(said.Detail), "sql") {
			t.Errorf("an inner error is shown: %s", said.Detail)
		}
	})
}

// TestWrongTokensAreAnAddressesOwn refuses an address after ten wrong tokens, for a minute and with its remedy, and nobody else.
func TestWrongTokensAreAnAddressesOwn(t *testing.T) {
	door := enrolmentDoor(t)
	try := func(address string) *httptest.ResponseRecorder {
		body := `{"token":"guess","wireguard_public_key":"YWFhYWFhYWFhYWFhYWFhYWFhYWFhYWFhYWFhYWFhYWE=","csr":""}`
		r := httptest.NewRequestWithContext(t.Context(), http.MethodPost, "/v1/enrolments", strings.NewReader(body))
		r.RemoteAddr = address
		answer := httptest.NewRecorder()
		door.ServeHTTP(answer, r)
		return answer
	}
	for range wrongTokens {
		if a := try("192.0.2.1:1000"); a.Code != http.StatusConflict {
			t.Fatalf("a wrong token: %d %s", a.Code, a.Body)
		}
	}
	if a := try("192.0.2.1:1001"); a.Code != http.StatusTooManyRequests || a.Header().Get("Retry-After") != "60" {
		t.Errorf("one more: %d %s", a.Code, a.Body)
	}
	if a := try("192.0.2.2:1000"); a.Code != http.StatusConflict {
		t.Errorf("another address: %d %s", a.Code, a.Body)
	}
}

// TestStrangersAreForgotten gives an address its tries again after a minute, and all when too many are remembered or the clock went back.
func TestStrangersAreForgotten(t *testing.T) {
	now := time.Now()
	spent := func() *strangers {
		s := new(strangers)
		s.patient("a", now)
		for range wrongTokens {
			s.missed("a")
		}
		return s
	}
	if spent().patient("a", now.Add(wrongWindow-time.Second)) {
		t.Error("within the minute: it may try")
	}
	if !spent().patient("a", now.Add(wrongWindow)) || !spent().patient("a", now.Add(-time.Second)) {
		t.Error("after the minute, or before it began: it may not try")
	}
	s := spent()
	for i := range maxStrangers {
		s.missed(fmt.Sprint(i))
	}
	if !s.patient("a", now) || len(s.wrong) != 0 {
		t.Errorf("%d addresses are remembered", len(s.wrong))
	}
}
