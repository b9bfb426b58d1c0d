package csc_test

import (
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/base64"
	"encoding/json"
	"io"
	"log/slog"
	"math/big"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"trustcore/hsm"
	"trustcore/hsm/csc"
	"trustcore/hsm/gateway"
	"trustcore/hsm/hsmtest"
	"trustcore/hsm/mechanism"
	"trustcore/hsm/quota"
	"trustcore/internal/audit"
	"trustcore/internal/problem"
)

func TestMain(m *testing.M) { hsmtest.Main(m) }

var officer = audit.Actor{Kind: "officer", ID: "officer-1"}

// house is the API over a gateway with a token behind it, on loopback.
type house struct {
	t      *testing.T
	tok    *hsmtest.Token
	ca     *x509.Certificate
	caKey  *ecdsa.PrivateKey
	url    string
	pool   *x509.CertPool
	serial int64

	mu      sync.Mutex
	now     time.Time                  // guarded by mu
	grants  map[string][]gateway.Grant // guarded by mu; by common name
	ended   map[string]bool            // guarded by mu; common names of revoked certificates
	chains  map[string][][]byte        // guarded by mu; by key
	logged  journal
	stamped []byte // what the time-stamping service was asked last
}

// journal is a log in memory.
type journal struct {
	mu   sync.Mutex
	kept bytes.Buffer // guarded by mu
}

func (j *journal) Write(p []byte) (int, error) {
	j.mu.Lock()
	defer j.mu.Unlock()
	return j.kept.Write(p)
}

func (j *journal) text() string { j.mu.Lock(); defer j.mu.Unlock(); return j.kept.String() }

func build(t *testing.T) *house {
	t.Helper()
	h := &house{t: t, tok: hsmtest.Start(t, hsmtest.Config(t)), now: time.Date(2026, 3, 3, 12, 0, 0, 0, time.UTC),
		grants: map[string][]gateway.Grant{}, ended: map[string]bool{}, chains: map[string][][]byte{}, pool: x509.NewCertPool()}
	meter, err := quota.Open(t.Context(), h.tok.Config.DB)
	h.must(err)
	log := slog.New(slog.NewTextHandler(&h.logged, &slog.HandlerOptions{Level: slog.LevelDebug}))
	g, err := gateway.New(gateway.Config{
		Module: h.tok.Module, Grants: h.lookUp, Chain: h.chain, Audit: h.tok.Config.Audit, Logger: log, Now: h.clock, Meter: meter,
		Rate: 1e6, Burst: 1e6, InFlight: 4 * gateway.MaxBatch,
	})
	h.must(err)
	api, err := csc.New(csc.Config{Gateway: g, Admit: h.admit, Stamp: h.stamp, Name: "test", Now: h.clock, Logger: log})
	h.must(err)
	h.caKey = newKey(t)
	h.ca = h.issue(&x509.Certificate{Subject: pkix.Name{CommonName: "test CA"}, IsCA: true, BasicConstraintsValid: true}, h.caKey).Leaf
	h.pool.AddCert(h.ca)
	server := httptest.NewUnstartedServer(problem.Door{Name: "gateway", Logger: log}.Guard(api))
	server.TLS = &tls.Config{Certificates: []tls.Certificate{h.issue(&x509.Certificate{DNSNames: []string{"localhost"}}, newKey(t))},
		ClientCAs: h.pool, ClientAuth: tls.RequireAndVerifyClientCert}
	server.StartTLS()
	t.Cleanup(server.Close)
	h.url = server.URL
	return h
}

func (h *house) must(err error) {
	h.t.Helper()
	if err != nil {
		h.t.Fatal(err)
	}
}

func newKey(t testing.TB) *ecdsa.PrivateKey {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	return key
}

func (h *house) issue(template *x509.Certificate, key *ecdsa.PrivateKey) tls.Certificate {
	h.t.Helper()
	der := h.certify(template, &key.PublicKey)
	leaf, err := x509.ParseCertificate(der)
	h.must(err)
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key, Leaf: leaf}
}

func (h *house) certify(template *x509.Certificate, public any) []byte {
	h.t.Helper()
	h.serial++
	template.SerialNumber = big.NewInt(h.serial)
	template.NotBefore, template.NotAfter = time.Now().Add(-time.Hour), time.Now().Add(time.Hour)
	parent := h.ca
	if parent == nil {
		parent = template
	}
	der, err := x509.CreateCertificate(rand.Reader, template, parent, public, h.caKey)
	h.must(err)
	return der
}

// client speaks with a certificate of that name.
func (h *house) client(name string) *http.Client {
	h.t.Helper()
	c := h.issue(&x509.Certificate{Subject: pkix.Name{CommonName: name}, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth}}, newKey(h.t))
	transport := &http.Transport{TLSClientConfig: &tls.Config{RootCAs: h.pool, ServerName: "localhost", Certificates: []tls.Certificate{c}}}
	h.t.Cleanup(transport.CloseIdleConnections)
	return &http.Client{Transport: transport}
}

func (h *house) set(change func()) { h.mu.Lock(); defer h.mu.Unlock(); change() }

func (h *house) clock() time.Time { h.mu.Lock(); defer h.mu.Unlock(); return h.now }

func (h *house) later(d time.Duration) { h.set(func() { h.now = h.now.Add(d) }) }

func (h *house) lookUp(_ context.Context, c *x509.Certificate) ([]gateway.Grant, error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	return slices.Clone(h.grants[c.Subject.CommonName]), nil
}

func (h *house) chain(_ context.Context, keyID string) ([][]byte, error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.chains[keyID], nil
}

// admit is what stands before every route: a certificate that was revoked opens none.
func (h *house) admit(r *http.Request, route string) error {
	h.mu.Lock()
	defer h.mu.Unlock()
	if !slices.Contains(csc.Routes(), route) || h.ended[r.TLS.PeerCertificates[0].Subject.CommonName] {
		return problem.Refuse(http.StatusForbidden, "the client certificate is revoked")
	}
	return nil
}

func (h *house) stamp(_ context.Context, request []byte) []byte {
	h.stamped = request
	return []byte{0x30, 0x05, 0x30, 0x03, 0x02, 0x01, 0x02} // rejection (RFC 3161, 2.4.2)
}

// key makes a key of the partner with a certificate, and grants it to the application.
func (h *house) key(partner, application string, a hsm.Algorithm, m ...mechanism.Mechanism) hsm.KeyInfo {
	h.t.Helper()
	info, err := h.tok.Generate(h.t.Context(), officer, hsm.KeySpec{Partner: partner, Order: "order-1", Label: "key " + rand.Text(), Algorithm: a})
	h.must(err)
	der := h.certify(&x509.Certificate{Subject: pkix.Name{CommonName: "seal of " + partner}}, info.Public)
	h.set(func() {
		h.chains[info.ID] = [][]byte{der, h.ca.Raw}
		h.grants[application] = append(h.grants[application], gateway.Grant{Partner: partner, Application: application,
			KeyID: info.ID, Mechanisms: m, Order: "order-1", Active: true})
	})
	return info
}

// answer is what the API said.
type answer struct {
	t      testing.TB
	status int
	header http.Header
	text   string

	Error        string         `json:"error"`
	Description  string         `json:"error_description"`
	SAD          string         `json:"SAD"`
	ExpiresIn    int            `json:"expiresIn"`
	Signatures   []string       `json:"signatures"`
	IDs          []string       `json:"credentialIDs"`
	Next         string         `json:"nextPageToken"`
	Infos        []any          `json:"credentialInfos"`
	Token        string         `json:"access_token"`
	Key          map[string]any `json:"key"`
	Cert         map[string]any `json:"cert"`
	Methods      []string       `json:"methods"`
	Specs        string         `json:"specs"`
	AuthMode     string         `json:"authMode"`
	Auth         map[string]any `json:"auth"`
	SCAL         string         `json:"SCAL"`
	Multisign    int            `json:"multisign"`
	SignAlgos    map[string]any `json:"signAlgorithms"`
	OAuth2       string         `json:"oauth2"`
	Timestamp    string         `json:"timestamp"`
	TokenExpires int            `json:"expires_in"`
}

// refused holds the answer against the refusal that it is to be.
func (a answer) refused(what string, status int, code, description string) {
	a.t.Helper()
	if a.status != status || a.Error != code || !strings.Contains(a.Description, description) {
		a.t.Errorf("%s: %d %s; want %d, %q, %q", what, a.status, a.text, status, code, description)
	}
}

func (h *house) post(c *http.Client, method, body string, headers ...string) answer {
	h.t.Helper()
	r, err := http.NewRequestWithContext(h.t.Context(), http.MethodPost, h.url+"/csc/"+method, strings.NewReader(body))
	h.must(err)
	r.Header.Set("Content-Type", "application/json")
	for i := 0; i < len(headers); i += 2 {
		r.Header.Set(headers[i], headers[i+1])
	}
	response, err := c.Do(r)
	h.must(err)
	defer response.Body.Close()
	text, err := io.ReadAll(response.Body)
	h.must(err)
	a := answer{t: h.t, status: response.StatusCode, header: response.Header, text: string(text)}
	if len(text) > 0 {
		h.must(json.Unmarshal(text, &a))
	}
	return a
}

// call is post of what is written as JSON.
func (h *house) call(c *http.Client, method string, body map[string]any, headers ...string) answer {
	h.t.Helper()
	text := []byte("{}")
	if body != nil {
		var err error
		text, err = json.Marshal(body)
		h.must(err)
	}
	return h.post(c, method, string(text), headers...)
}

// hashes are n different ones of SHA-256, in base64.
func hashes(n int) []string {
	all := make([]string, n)
	for i := range all {
		sum := sha256.Sum256([]byte{byte(i), byte(i >> 8)})
		all[i] = base64.StdEncoding.EncodeToString(sum[:])
	}
	return all
}

// sad has hashes authorized.
func (h *house) sad(c *http.Client, credential string, hashes ...string) string {
	h.t.Helper()
	a := h.call(c, "v1/credentials/authorize", map[string]any{"credentialID": credential, "hash": hashes, "numSignatures": len(hashes)})
	if a.status != http.StatusOK || a.SAD == "" || a.ExpiresIn != 120 {
		h.t.Fatalf("authorize: %d %s", a.status, a.text)
	}
	return a.SAD
}

const ecdsaSHA256 = "1.2.840.10045.4.3.2"

// sign has hashes signed by a key on P-256.
func (h *house) sign(c *http.Client, credential, sad string, hashes ...string) answer {
	h.t.Helper()
	return h.call(c, "v1/signatures/signHash", map[string]any{"credentialID": credential, "SAD": sad, "hash": hashes, "signAlgo": ecdsaSHA256})
}

// entries are the audit entries about signatures, oldest first.
func (h *house) entries() []audit.Recorded {
	h.t.Helper()
	r, err := audit.OpenReader(filepath.Join(filepath.Dir(h.tok.Config.TokenDir), "audit"))
	h.must(err)
	all, err := r.List(h.t.Context(), audit.Filter{Action: "hsm.sign"})
	h.must(err)
	return all
}
