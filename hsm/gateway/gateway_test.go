package gateway_test

import (
	"bytes"
	"context"
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/base64"
	"encoding/json"
	"errors"
	"io"
	"log/slog"
	"math/big"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"trustcore/hsm"
	"trustcore/hsm/gateway"
	"trustcore/hsm/hsmtest"
	"trustcore/hsm/mechanism"
	"trustcore/hsm/remote"
	"trustcore/hsm/seal"
	"trustcore/internal/audit"
	"trustcore/internal/audit/audittest"
	"trustcore/internal/problem"
)

func TestMain(m *testing.M) { hsmtest.Main(m) }

var officer = audit.Actor{Kind: "officer", ID: "officer-1"}

// issuer is a small CA for the server's and the clients' certificates.
type issuer struct {
	certificate *x509.Certificate
	key         *ecdsa.PrivateKey
	serial      int64
}

func newIssuer(t testing.TB) *issuer {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	ca := &issuer{key: key}
	ca.certificate = ca.issue(t, &x509.Certificate{Subject: pkix.Name{CommonName: "test CA"}, IsCA: true, BasicConstraintsValid: true}, key).Leaf
	return ca
}

func (ca *issuer) issue(t testing.TB, template *x509.Certificate, key *ecdsa.PrivateKey) tls.Certificate {
	t.Helper()
	ca.serial++
	template.SerialNumber = big.NewInt(ca.serial)
	if template.NotAfter.IsZero() {
		template.NotBefore, template.NotAfter = time.Now().Add(-time.Hour), time.Now().Add(time.Hour)
	}
	parent := ca.certificate
	if parent == nil {
		parent = template
	}
	der, err := x509.CreateCertificate(rand.Reader, template, parent, key.Public(), ca.key)
	if err != nil {
		t.Fatal(err)
	}
	leaf, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key, Leaf: leaf}
}

func (ca *issuer) client(t testing.TB, name string) tls.Certificate {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	return ca.issue(t, &x509.Certificate{Subject: pkix.Name{CommonName: name}, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth}}, key)
}

// house is a gateway over loopback with what stands behind it.
type house struct {
	tok *hsmtest.Token
	ca  *issuer
	url string
	ezd tls.Certificate

	mu     sync.Mutex
	meter  gateway.Meter              // guarded by mu
	grants map[string][]gateway.Grant // by common name
	now    time.Time
}

func build(t testing.TB, change func(*gateway.Config)) *house {
	t.Helper()
	return buildWith(t, hsmtest.Config(t), change)
}

// buildOn is build for who counts the token's uses.
func buildOn(t testing.TB, token hsm.Config, seen prometheus.Registerer) *house {
	t.Helper()
	token.Metrics = seen
	return buildWith(t, token, nil)
}

func buildWith(t testing.TB, token hsm.Config, change func(*gateway.Config)) *house {
	t.Helper()
	h := &house{tok: hsmtest.Start(t, token), ca: newIssuer(t), grants: map[string][]gateway.Grant{}}
	cfg := gateway.Config{
		Module: h.tok.Module, Grants: h.lookUp, Audit: h.tok.Config.Audit, Logger: slog.New(slog.DiscardHandler),
		Rate: 1e6, Burst: 1e6, InFlight: 4 * gateway.MaxBatch,
		Now: h.clock,
	}
	if change != nil {
		change(&cfg)
	}
	handler, err := gateway.New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	certificate := h.ca.issue(t, &x509.Certificate{DNSNames: []string{"localhost"}}, key)
	anchors := x509.NewCertPool()
	anchors.AddCert(h.ca.certificate)
	server := httptest.NewUnstartedServer(problem.Door{Name: "gateway", Logger: cfg.Logger}.Guard(handler))
	server.TLS = &tls.Config{Certificates: []tls.Certificate{certificate}, ClientCAs: anchors, ClientAuth: tls.VerifyClientCertIfGiven}
	server.EnableHTTP2 = true
	server.StartTLS()
	t.Cleanup(server.Close)
	h.url = server.URL
	return h
}

func (h *house) clock() time.Time {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.now.IsZero() {
		return time.Now()
	}
	return h.now
}

func (h *house) lookUp(_ context.Context, c *x509.Certificate) ([]gateway.Grant, error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if c.Subject.CommonName == "broken" {
		return nil, errors.New("registry is down")
	}
	return append([]gateway.Grant(nil), h.grants[c.Subject.CommonName]...), nil
}

func (h *house) set(change func()) { h.mu.Lock(); defer h.mu.Unlock(); change() }

func (h *house) http(certificates ...tls.Certificate) *http.Client {
	anchors := x509.NewCertPool()
	anchors.AddCert(h.ca.certificate)
	return &http.Client{Transport: &http.Transport{ForceAttemptHTTP2: true,
		TLSClientConfig: &tls.Config{RootCAs: anchors, ServerName: "localhost", Certificates: certificates}}}
}

func (h *house) remote(t testing.TB, c tls.Certificate) *remote.Client {
	t.Helper()
	client, err := remote.NewClient(h.url, h.http(c))
	if err != nil {
		t.Fatal(err)
	}
	return client
}

// key makes a partner's key and grants it to the application.
func (h *house) key(t testing.TB, partner, application string, a hsm.Algorithm, m ...mechanism.Mechanism) hsm.KeyInfo {
	t.Helper()
	info, err := h.tok.Generate(context.Background(), officer, hsm.KeySpec{Partner: partner, Order: "order-1", Label: "key " + rand.Text(), Algorithm: a})
	if err != nil {
		t.Fatal(err)
	}
	h.set(func() {
		h.grants[application] = append(h.grants[application], gateway.Grant{
			Partner: partner, Application: application, KeyID: info.ID, Mechanisms: m, Order: "order-1", Active: true})
	})
	return info
}

type answer struct {
	status     int
	Title      string
	Field      string
	RequestID  string `json:"request_id"`
	Type       string
	Detail     string
	Signature  []byte
	AuditIndex uint64 `json:"audit_index"`
	Signatures []struct {
		Signature  []byte
		AuditIndex uint64 `json:"audit_index"`
	}
	text     string
	replayed bool
}

func post(t testing.TB, c *http.Client, url, body string) answer {
	t.Helper()
	return postAs(t, c, url, body, nil)
}

func postAs(t testing.TB, c *http.Client, url, body string, headers map[string]string) answer {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), http.MethodPost, url, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("Content-Type", "application/json")
	for name, value := range headers {
		r.Header.Set(name, value)
	}
	response, err := c.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	text, err := io.ReadAll(response.Body)
	if err != nil {
		t.Fatal(err)
	}
	a := answer{status: response.StatusCode, text: string(text), replayed: response.Header.Get("Idempotent-Replayed") == "true"}
	if err := json.Unmarshal(text, &a); err != nil {
		t.Fatalf("%d %s: %v", response.StatusCode, text, err)
	}
	if a.status != http.StatusOK && response.Header.Get("Content-Type") != "application/problem+json" {
		t.Errorf("refusal as %s", response.Header.Get("Content-Type"))
	}
	if a.status != http.StatusOK && (a.Title == "" || a.RequestID == "" || a.RequestID != response.Header.Get(problem.IDHeader)) {
		t.Errorf("refusal without its id: %s", text)
	}
	return a
}

func request(m mechanism.Mechanism, digest []byte) string {
	return `{"mechanism":"` + string(m) + `","digest":"` + base64.StdEncoding.EncodeToString(digest) + `"}`
}

func TestRemoteKeySigns(t *testing.T) {
	h := build(t, nil)
	rsaKey := h.key(t, "partner-1", "ezd", hsm.RSA2048, mechanism.RSAPKCS1SHA256, mechanism.RSAPSSSHA256)
	ecKey := h.key(t, "partner-1", "ezd", hsm.P256, mechanism.ECDSASHA256)
	c := h.remote(t, h.ca.client(t, "ezd"))
	keys, err := c.Keys(t.Context())
	if err != nil || len(keys) != 2 || len(keys[0].Mechanisms) != 2 {
		t.Fatalf("%+v, %v", keys, err)
	}
	digest := sha256.Sum256([]byte("pismo"))
	k, err := c.Key(t.Context(), rsaKey.ID)
	if err != nil {
		t.Fatal(err)
	}
	var signer crypto.Signer = k
	s, err := signer.Sign(nil, digest[:], crypto.SHA256)
	if err != nil || rsa.VerifyPKCS1v15(signer.Public().(*rsa.PublicKey), crypto.SHA256, digest[:], s) != nil {
		t.Errorf("PKCS #1: %v", err)
	}
	s, err = signer.Sign(nil, digest[:], &rsa.PSSOptions{SaltLength: rsa.PSSSaltLengthEqualsHash, Hash: crypto.SHA256})
	if err != nil || rsa.VerifyPSS(signer.Public().(*rsa.PublicKey), crypto.SHA256, digest[:], s, nil) != nil {
		t.Errorf("PSS: %v", err)
	}
	if k, err = c.Key(t.Context(), ecKey.ID); err != nil {
		t.Fatal(err)
	}
	first, err := k.SignDigest(t.Context(), mechanism.ECDSASHA256, digest[:])
	if err != nil || !ecdsa.VerifyASN1(k.Public().(*ecdsa.PublicKey), digest[:], first.Value) {
		t.Errorf("ECDSA: %v", err)
	}
}

// Every use stands in the audit log, with who, which key, under which order, and where the answer said.
func TestUseIsAudited(t *testing.T) {
	h := build(t, nil)
	info := h.key(t, "partner-1", "ezd", hsm.P256, mechanism.ECDSASHA256)
	c := h.http(h.ca.client(t, "ezd"))
	granted := post(t, c, h.url+"/v1/keys/"+info.ID+"/sign", request(mechanism.ECDSASHA256, make([]byte, 32)))
	refused := post(t, c, h.url+"/v1/keys/"+info.ID+"/sign", request(mechanism.ECDSASHA384, make([]byte, 48)))
	if granted.status != 200 || refused.status != 403 {
		t.Fatalf("%+v, %+v", granted, refused)
	}
	entries := h.entries(t, 2)
	if e := entries[0]; e.Index != granted.AuditIndex || e.Actor.ID != "ezd" || e.Subject != info.ID || e.Order != "order-1" ||
		e.Outcome != audit.Granted || e.Details["mechanism"] != "ECDSA-SHA256" || e.Details["digest"] != strings.Repeat("00", 32) {
		t.Errorf("%+v", e)
	}
	if e := entries[1]; e.Outcome != audit.Refused || e.Reason != refused.Detail {
		t.Errorf("%+v", e)
	}
}

// entries waits until the log's checkpoint covers n uses of keys.
func (h *house) entries(t *testing.T, n int) []audit.Recorded {
	t.Helper()
	for deadline := time.Now().Add(20 * time.Second); ; time.Sleep(20 * time.Millisecond) {
		entries, err := h.tok.Config.Audit.List(t.Context(), audit.Filter{Action: "hsm.sign"})
		if err == nil && len(entries) >= n {
			return entries
		}
		if time.Now().After(deadline) {
			t.Fatalf("%d entries, %v", len(entries), err)
		}
	}
}

func TestRefusals(t *testing.T) {
	h := build(t, nil)
	own := h.key(t, "partner-1", "ezd", hsm.RSA2048, mechanism.RSAPKCS1SHA256)
	foreign := h.key(t, "partner-2", "other", hsm.P256, mechanism.ECDSASHA256)
	suspended := h.key(t, "partner-1", "ezd", hsm.P256, mechanism.ECDSASHA256)
	if err := h.tok.Suspend(t.Context(), officer, suspended.ID); err != nil {
		t.Fatal(err)
	}
	now := time.Now()
	grant := func(key string, change func(*gateway.Grant)) gateway.Grant {
		g := gateway.Grant{Partner: "partner-1", Application: "ezd", KeyID: key, Mechanisms: []mechanism.Mechanism{mechanism.RSAPKCS1SHA256}, Order: "o", Active: true}
		change(&g)
		return g
	}
	h.set(func() {
		h.grants["withdrawn"] = []gateway.Grant{grant(own.ID, func(g *gateway.Grant) { g.Active = false })}
		h.grants["expired"] = []gateway.Grant{grant(own.ID, func(g *gateway.Grant) { g.NotAfter = now.Add(-time.Second) })}
		h.grants["early"] = []gateway.Grant{grant(own.ID, func(g *gateway.Grant) { g.NotBefore = now.Add(time.Hour) })}
		h.grants["misled"] = []gateway.Grant{grant(foreign.ID, func(g *gateway.Grant) { g.Mechanisms = []mechanism.Mechanism{mechanism.ECDSASHA256} })}
		h.grants["ghost"] = []gateway.Grant{grant(strings.Repeat("0", 32), func(*gateway.Grant) {})}
		h.grants["generous"] = []gateway.Grant{grant(own.ID, func(g *gateway.Grant) { g.Mechanisms = append(g.Mechanisms, mechanism.ECDSASHA256) })}
	})
	pkcs1 := request(mechanism.RSAPKCS1SHA256, make([]byte, 32))
	ec := request(mechanism.ECDSASHA256, make([]byte, 32))
	for name, c := range map[string]struct {
		client []tls.Certificate
		key    string
		body   string
		status int
		rule   string
	}{
		"no certificate":      {nil, own.ID, pkcs1, 401, "no-client-certificate"},
		"stranger":            {[]tls.Certificate{h.ca.client(t, "stranger")}, own.ID, pkcs1, 403, "no-authorisation"},
		"another's key":       {[]tls.Certificate{h.ca.client(t, "ezd")}, foreign.ID, ec, 403, "no-authorisation"},
		"guessed key":         {[]tls.Certificate{h.ca.client(t, "ezd")}, strings.Repeat("1", 32), ec, 403, "no-authorisation"},
		"misled grant":        {[]tls.Certificate{h.ca.client(t, "misled")}, foreign.ID, ec, 403, "no-authorisation"},
		"withdrawn":           {[]tls.Certificate{h.ca.client(t, "withdrawn")}, own.ID, pkcs1, 403, "authorisation-withdrawn"},
		"expired":             {[]tls.Certificate{h.ca.client(t, "expired")}, own.ID, pkcs1, 403, "authorisation-expired"},
		"early":               {[]tls.Certificate{h.ca.client(t, "early")}, own.ID, pkcs1, 403, "authorisation-not-yet"},
		"ghost":               {[]tls.Certificate{h.ca.client(t, "ghost")}, strings.Repeat("0", 32), pkcs1, 409, "key-not-active"},
		"suspended key":       {[]tls.Certificate{h.ca.client(t, "ezd")}, suspended.ID, ec, 409, "key-not-active"},
		"other mechanism":     {[]tls.Certificate{h.ca.client(t, "ezd")}, own.ID, request(mechanism.RSAPSSSHA256, make([]byte, 32)), 403, "mechanism-not-granted"},
		"mechanism of others": {[]tls.Certificate{h.ca.client(t, "generous")}, own.ID, ec, 403, "mechanism-not-allowed"},
		"digest too long":     {[]tls.Certificate{h.ca.client(t, "ezd")}, own.ID, request(mechanism.RSAPKCS1SHA256, make([]byte, 48)), 400, "digest"},
		"registry down":       {[]tls.Certificate{h.ca.client(t, "broken")}, own.ID, pkcs1, 503, "hsm-unavailable"},
	} {
		a := post(t, h.http(c.client...), h.url+"/v1/keys/"+c.key+"/sign", c.body)
		if a.status != c.status || !strings.HasSuffix(a.Type, ":"+c.rule) || a.Detail == "" || a.Signature != nil {
			t.Errorf("%s: %+v, want %d %s", name, a, c.status, c.rule)
		}
	}
}

func TestMalformedRequests(t *testing.T) {
	h := build(t, nil)
	key := h.key(t, "partner-1", "ezd", hsm.P256, mechanism.ECDSASHA256)
	c := h.http(h.ca.client(t, "ezd"))
	url := h.url + "/v1/keys/" + key.ID + "/sign"
	for name, body := range map[string]string{
		"empty":             "",
		"not JSON":          "digest",
		"no digest":         `{"mechanism":"ECDSA-SHA256"}`,
		"null digest":       `{"mechanism":"ECDSA-SHA256","digest":null}`,
		"empty digest":      `{"mechanism":"ECDSA-SHA256","digest":""}`,
		"not base64":        `{"mechanism":"ECDSA-SHA256","digest":"!!!!"}`,
		"unknown mechanism": request("RSA-RAW", make([]byte, 32)),
		"unknown field":     strings.TrimSuffix(request(mechanism.ECDSASHA256, make([]byte, 32)), "}") + `,"hash":"x"}`,
		"endless":           request(mechanism.ECDSASHA256, make([]byte, 1<<20)),
		"deep":              strings.Repeat("[", 4000),
	} {
		if a := post(t, c, url, body); a.status < 400 || a.status >= 500 || a.Signature != nil || name == "unknown field" && a.Field != "body.hash" {
			t.Errorf("%s: %+v", name, a)
		}
	}
	if a := post(t, c, h.url+"/v1/keys/%2e%2e/sign", "{}"); a.status == 200 {
		t.Errorf("%+v", a)
	}
}

// When the entry can't be written, nothing is signed.
func TestNoSignatureWithoutAuditEntry(t *testing.T) {
	h := build(t, func(c *gateway.Config) {
		closed, err := audit.Open(context.Background(), audit.Config{Dir: audittest.Dir(t)})
		if err != nil {
			t.Fatal(err)
		}
		if err := closed.Close(context.Background()); err != nil {
			t.Fatal(err)
		}
		c.Audit = closed
	})
	key := h.key(t, "partner-1", "ezd", hsm.P256, mechanism.ECDSASHA256)
	a := post(t, h.http(h.ca.client(t, "ezd")), h.url+"/v1/keys/"+key.ID+"/sign", request(mechanism.ECDSASHA256, make([]byte, 32)))
	if a.status != 503 || !strings.HasSuffix(a.Type, "audit-unavailable") || a.Signature != nil {
		t.Errorf("%+v", a)
	}
}

func TestRateAndOverload(t *testing.T) {
	h := build(t, func(c *gateway.Config) { c.Rate, c.Burst = 0.001, gateway.MaxBatch })
	key := h.key(t, "partner-1", "ezd", hsm.P256, mechanism.ECDSASHA256)
	client := h.ca.client(t, "ezd")
	url := h.url + "/v1/keys/" + key.ID + "/sign"
	body := request(mechanism.ECDSASHA256, make([]byte, 32))
	most := batchOf(mechanism.ECDSASHA256, slices.Repeat([][]byte{make([]byte, 32)}, gateway.MaxBatch-2)...)
	if a := post(t, h.http(client), h.url+"/v1/keys/"+key.ID+"/signatures", most); a.status != 200 { // counts by its digests
		t.Fatalf("%+v", a)
	}
	for i, want := range []int{200, 200, 429} {
		if a := post(t, h.http(client), url, body); a.status != want {
			t.Errorf("request %d: %+v", i, a)
		}
	}
	h.set(func() { h.grants["second"] = h.grants["ezd"] })
	if a := post(t, h.http(h.ca.client(t, "second")), url, body); a.status != 200 {
		t.Errorf("another application: %+v", a)
	}
}

// logbook is an audit log whose disk a test can fail or hang.
type logbook struct {
	gateway.Auditor

	hanging chan struct{} // not nil: is told of each call that hangs

	mu   sync.Mutex
	hung bool
	full bool
}

func (l *logbook) set(hung, full bool) { l.mu.Lock(); defer l.mu.Unlock(); l.hung, l.full = hung, full }

func (l *logbook) AppendAll(ctx context.Context, entries []audit.Entry) (audit.Receipt, error) {
	l.mu.Lock()
	hung, full := l.hung, l.full
	l.mu.Unlock()
	switch {
	case hung:
		if l.hanging != nil {
			l.hanging <- struct{}{}
		}
		<-ctx.Done()
		return audit.Receipt{}, ctx.Err()
	case full:
		return audit.Receipt{}, syscall.ENOSPC
	}
	return l.Auditor.AppendAll(ctx, entries)
}

// An audit disk that hangs or is full costs a call its deadline at most, is named as what it is, and heals without a
// restart.
func TestAuditDiskHangsOrIsFull(t *testing.T) {
	disk := new(logbook)
	h := build(t, func(c *gateway.Config) { disk.Auditor = c.Audit; c.Audit = disk })
	key := h.key(t, "partner-1", "ezd", hsm.P256, mechanism.ECDSASHA256)
	c, url := h.http(h.ca.client(t, "ezd")), h.url+"/v1/keys/"+key.ID+"/sign"
	good, refused := request(mechanism.ECDSASHA256, make([]byte, 32)), request(mechanism.ECDSASHA384, make([]byte, 48))
	for name, state := range map[string]struct{ hung, full bool }{"hung": {hung: true}, "full": {full: true}} {
		disk.set(state.hung, state.full)
		for body, want := range map[string]struct {
			status int
			rule   string
		}{good: {503, "audit-unavailable"}, refused: {403, "mechanism-not-granted"}} {
			start := time.Now()
			a := post(t, c, url, body)
			if took := time.Since(start); a.status != want.status || !strings.HasSuffix(a.Type, ":"+want.rule) || a.Signature != nil || took > 4*time.Second {
				t.Errorf("%s, after %v: %+v, want %v", name, took, a, want)
			}
		}
		disk.set(false, false)
		if a := post(t, c, url, good); a.status != 200 {
			t.Errorf("after %s: %+v", name, a)
		}
	}
}

// A use that came to nothing is 'failed' in a second entry that names the first, and one whose outcome nobody knows
// is made again as another use: every use of the token has its own entry.
func TestFailedUseHasASecondEntry(t *testing.T) {
	h := build(t, nil)
	key := h.key(t, "partner-1", "ezd", hsm.P256, mechanism.ECDSASHA256)
	c, url := h.http(h.ca.client(t, "ezd")), h.url+"/v1/keys/"+key.ID+"/sign"
	h.tok.Stop(t) // until it is found out and killed
	a := post(t, c, url, request(mechanism.ECDSASHA256, make([]byte, 32)))
	if a.status != 200 {
		t.Fatalf("%+v", a)
	}
	entries := h.entries(t, 3)
	first, second, third := entries[0], entries[1], entries[2]
	if first.Outcome != audit.Granted || second.Outcome != audit.Failed || third.Outcome != audit.Granted || a.AuditIndex != third.Index {
		t.Fatalf("%+v", entries)
	}
	if second.Details["granted"] != strconv.FormatUint(first.Index, 10) || second.Partner != "partner-1" || second.Order != "order-1" ||
		!strings.Contains(second.Reason, "not known") || second.Details["digest"] != first.Details["digest"] {
		t.Errorf("%+v", second)
	}
}

// A token that is away is 503 with Retry-After, never a lost key, and its use stands as failed in the log; it heals
// without a restart.
func TestTokenAway(t *testing.T) {
	h := build(t, nil)
	key := h.key(t, "partner-1", "ezd", hsm.P256, mechanism.ECDSASHA256)
	c, url := h.http(h.ca.client(t, "ezd")), h.url+"/v1/keys/"+key.ID+"/sign"
	body := request(mechanism.ECDSASHA256, make([]byte, 32))
	tokens := filepath.Join(h.tok.Config.TokenDir, "tokens")
	if err := os.Rename(tokens, tokens+".away"); err != nil {
		t.Fatal(err)
	}
	for range 3 {
		response, err := c.Post(url, "application/json", strings.NewReader(body))
		if err != nil {
			t.Fatal(err)
		}
		text, err := io.ReadAll(response.Body)
		if response.Body.Close(); err != nil || response.StatusCode != 503 || response.Header.Get("Retry-After") == "" ||
			!bytes.Contains(text, []byte(":hsm-unavailable")) {
			t.Errorf("%d %s, %v", response.StatusCode, text, err)
		}
	}
	if err := os.Rename(tokens+".away", tokens); err != nil {
		t.Fatal(err)
	}
	for deadline := time.Now().Add(5 * time.Second); ; {
		a := post(t, c, url, body)
		if a.status == 200 {
			break
		}
		if time.Now().After(deadline) {
			t.Fatalf("not healed: %+v", a)
		}
	}
	var outcomes []string
	for _, e := range h.entries(t, 7) {
		outcomes = append(outcomes, e.Outcome)
	}
	for i := range 3 {
		if outcomes[2*i] != audit.Granted || outcomes[2*i+1] != audit.Failed {
			t.Fatalf("%v", outcomes)
		}
	}
}

// A refusal's entry names partner and order: of the grant, else of the caller's other grants, else of the owner of
// the certificate.
func TestRefusalsNamePartnerAndOrder(t *testing.T) {
	h := build(t, func(c *gateway.Config) {
		c.Owner = func(_ context.Context, client *x509.Certificate) (string, string) {
			return "of " + client.Subject.CommonName, "order-9"
		}
	})
	own := h.key(t, "partner-1", "ezd", hsm.P256, mechanism.ECDSASHA256)
	foreign := h.key(t, "partner-2", "other", hsm.P256, mechanism.ECDSASHA256)
	for i, want := range []struct{ client, key, partner, order string }{
		{"ezd", foreign.ID, "partner-1", "order-1"},
		{"nobody", own.ID, "of nobody", "order-9"},
	} {
		post(t, h.http(h.ca.client(t, want.client)), h.url+"/v1/keys/"+want.key+"/sign", request(mechanism.ECDSASHA256, make([]byte, 32)))
		if e := h.entries(t, i+1)[i]; e.Outcome != audit.Refused || e.Partner != want.partner || e.Order != want.order || e.Subject != want.key {
			t.Errorf("%s: %+v", want.client, e)
		}
	}
}

// Malformed requests that name a key of the caller are counted, and audited once a minute; those that name another's
// key are counted.
func TestMalformedRequestsAreAudited(t *testing.T) {
	seen := prometheus.NewRegistry()
	h := build(t, func(c *gateway.Config) { c.Metrics = seen })
	now := time.Now()
	h.set(func() { h.now = now })
	own := h.key(t, "partner-1", "ezd", hsm.P256, mechanism.ECDSASHA256)
	foreign := h.key(t, "partner-2", "other", hsm.P256, mechanism.ECDSASHA256)
	c := h.http(h.ca.client(t, "ezd"))
	wrongType := func(key string) int {
		response, err := c.Post(h.url+"/v1/keys/"+key+"/sign", "text/plain", strings.NewReader("x"))
		if err != nil {
			t.Fatal(err)
		}
		if err := response.Body.Close(); err != nil {
			t.Fatal(err)
		}
		return response.StatusCode
	}
	post(t, c, h.url+"/v1/keys/"+foreign.ID+"/sign", "{}")
	statuses := []int{
		post(t, c, h.url+"/v1/keys/"+own.ID+"/sign", "{}").status,
		post(t, c, h.url+"/v1/keys/"+own.ID+"/sign", request(mechanism.ECDSASHA256, make([]byte, 8<<10))).status,
		wrongType(own.ID),
	}
	h.set(func() { h.now = now.Add(61 * time.Second) })
	statuses = append(statuses, wrongType(own.ID))
	if !slices.Equal(statuses, []int{422, 413, 415, 415}) {
		t.Errorf("statuses %v", statuses)
	}
	post(t, c, h.url+"/v1/keys/"+own.ID+"/sign", request(mechanism.ECDSASHA256, make([]byte, 32))) // the log's end
	entries := h.entries(t, 3)
	if len(entries) != 3 || entries[0].Details["status"] != "422" || entries[1].Details["status"] != "415" || entries[2].Outcome != audit.Granted {
		t.Fatalf("%+v", entries)
	}
	if e := entries[0]; e.Outcome != audit.Refused || e.Partner != "partner-1" || e.Order != "order-1" || e.Subject != own.ID || e.Reason == "" {
		t.Errorf("%+v", e)
	}
	families, err := seen.Gather()
	if err != nil {
		t.Fatal(err)
	}
	counted := 0.0
	for _, f := range families {
		for _, m := range f.GetMetric() {
			if len(m.GetLabel()) == 1 && m.GetLabel()[0].GetValue() == "malformed" {
				counted = m.GetCounter().GetValue()
			}
		}
	}
	if counted != 5 {
		t.Errorf("%v malformed requests are counted, want 5", counted)
	}
}

// The list says of every key whether it can be used now and why not, each key once, the usable ones first.
func TestListTellsWhy(t *testing.T) {
	h := build(t, nil)
	keys := make([]hsm.KeyInfo, 6)
	for i := range keys {
		keys[i] = h.key(t, "partner-1", "ezd", hsm.P256, mechanism.ECDSASHA256)
	}
	if err := h.tok.Suspend(t.Context(), officer, keys[3].ID); err != nil {
		t.Fatal(err)
	}
	now := time.Now()
	h.set(func() {
		grants := h.grants["ezd"]
		grants[0].NotAfter, grants[1].NotBefore, grants[2].Active = now.Add(-time.Second), now.Add(time.Hour), false
		renewed := grants[4]
		renewed.Order = "order-2"
		grants[4].NotAfter = now.Add(-time.Second)
		h.grants["ezd"] = append(grants, renewed)
	})
	c := h.remote(t, h.ca.client(t, "ezd"))
	listed, err := c.Keys(t.Context())
	if err != nil || len(listed) != len(keys) {
		t.Fatalf("%+v, %v", listed, err)
	}
	why := map[string]string{}
	for i, k := range listed {
		why[k.ID] = k.Why
		if k.Usable != (k.Why == "") || k.Usable != (i < 2) {
			t.Errorf("%d: %+v", i, k)
		}
	}
	for i, want := range []string{"ended at", "begins at", "was withdrawn", "is suspended", "", ""} {
		if got := why[keys[i].ID]; (want == "") != (got == "") || !strings.Contains(got, want) {
			t.Errorf("key %d: %q, want %q", i, got, want)
		}
	}
}

// A withdrawn grant refuses the very next use.
func TestWithdrawalCountsAtOnce(t *testing.T) {
	h := build(t, nil)
	info := h.key(t, "partner-1", "ezd", hsm.P256, mechanism.ECDSASHA256)
	k, err := h.remote(t, h.ca.client(t, "ezd")).Key(t.Context(), info.ID)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := k.Sign(nil, make([]byte, 32), crypto.SHA256); err != nil {
		t.Fatal(err)
	}
	h.set(func() { h.grants["ezd"][0].Active = false })
	_, err = k.Sign(nil, make([]byte, 32), crypto.SHA256)
	var refusal *remote.Refusal
	if !errors.As(err, &refusal) || refusal.Status != 403 || !strings.Contains(refusal.Detail, "withdrawn") {
		t.Errorf("after withdrawal: %v", err)
	}
}

func TestOpenAPI(t *testing.T) {
	h := build(t, nil)
	response, err := h.http(h.ca.client(t, "ezd")).Get(h.url + "/openapi.json")
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	text, err := io.ReadAll(response.Body)
	if err != nil || !bytes.Contains(text, []byte(`"openapi":"3.1.0"`)) || !bytes.Contains(text, []byte("/v1/keys/{id}/sign")) {
		t.Errorf("%s, %v", text, err)
	}
}

func TestConfigNamesWhatIsMissing(t *testing.T) {
	if _, err := gateway.New(gateway.Config{}); err == nil || !strings.Contains(err.Error(), "Module") {
		t.Error(err)
	}
}

// What sealing is for: a document of the office, sealed with a key that never leaves the HSM, over the gateway.
func TestSealThroughTheGateway(t *testing.T) {
	h := build(t, nil)
	info := h.key(t, "partner-1", "ezd", hsm.RSA2048, mechanism.RSAPSSSHA256)
	k, err := h.remote(t, h.ca.client(t, "ezd")).Key(t.Context(), info.ID)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(100), Subject: pkix.Name{CommonName: "Urząd Miasta Przykładowo"},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour)}
	der, err := x509.CreateCertificate(rand.Reader, template, h.ca.certificate, k.Public(), h.ca.key)
	if err != nil {
		t.Fatal(err)
	}
	certificate, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	sealed, err := seal.XAdES(t.Context(), []byte("<UPO>poświadczenie</UPO>"), seal.Signer{Key: k, Certificate: certificate}, seal.XMLOptions{Time: time.Now()})
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Contains(sealed, []byte("sha256-rsa-MGF1")) {
		t.Errorf("the seal is not by the one mechanism that the authorisation allows:\n%s", sealed)
	}
	h.set(func() { h.grants["ezd"][0].Active = false })
	if _, err := seal.XAdES(t.Context(), []byte("<UPO/>"), seal.Signer{Key: k, Certificate: certificate}, seal.XMLOptions{Time: time.Now()}); err == nil || !strings.Contains(err.Error(), "withdrawn") {
		t.Errorf("after withdrawal: %v", err)
	}
}

// The gateway's use of keys survives the death of the worker.
func TestGatewayOutlivesTheWorker(t *testing.T) {
	h := build(t, nil)
	info := h.key(t, "partner-1", "ezd", hsm.P256, mechanism.ECDSASHA256)
	k, err := h.remote(t, h.ca.client(t, "ezd")).Key(t.Context(), info.ID)
	if err != nil {
		t.Fatal(err)
	}
	for range 3 {
		if _, err := k.Sign(nil, make([]byte, 32), crypto.SHA256); err != nil {
			t.Error(err)
		}
		if err := syscall.Kill(h.tok.WorkerPID(), syscall.SIGKILL); err != nil {
			t.Fatal(err)
		}
		if _, err := k.Sign(nil, make([]byte, 32), crypto.SHA256); err != nil {
			t.Errorf("after the kill: %v", err)
		}
	}
}
