package acme_test

import (
	"bytes"
	"context"
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	xacme "golang.org/x/crypto/acme"

	"trustcore/internal/audit"
	"trustcore/internal/audit/audittest"
	"trustcore/internal/lease"
	"trustcore/internal/lease/leasetest"
	"trustcore/internal/store"
	"trustcore/pki"
	"trustcore/pki/acme"
	"trustcore/pki/ceremony"
	"trustcore/pki/pkitest"
)

var officer = audit.Actor{Kind: "officer", ID: "officer-1"}

const (
	partner = "um-przykladowo"
	host    = "www.przykladowo.example"
	office  = "10.64.0.7"
)

// house is an authority with its ACME server and one office, whose order may change.
type house struct {
	t      *testing.T
	made   *ceremony.Result
	key    *signingKey
	db     *store.DB
	log    *audit.Log
	ca     *pki.CA
	server *acme.Server
	http   *httptest.Server
	logged *bytes.Buffer

	world *world
}

// world is what the nodes of a house share: the orders, and what answers at addresses.
type world struct {
	mu    sync.Mutex
	rules map[string]*acme.Rule                              // guarded by mu
	at    map[string]func(context.Context) (net.Conn, error) // what is dialled, by host:port; guarded by mu
	tried []string                                           // guarded by mu
}

// signingKey is the issuing key; it counts its signatures and fails while it is away.
type signingKey struct {
	crypto.Signer
	signed atomic.Int64
	away   atomic.Bool
	slow   chan struct{} // optional: a signature waits for it
}

func (k *signingKey) Sign(random io.Reader, digest []byte, opts crypto.SignerOpts) ([]byte, error) {
	if k.away.Load() {
		return nil, errors.New("the token is away")
	}
	k.signed.Add(1)
	if k.slow != nil {
		<-k.slow
	}
	return k.Signer.Sign(random, digest, opts)
}

func rule() *acme.Rule {
	return &acme.Rule{Line: "OR.1", Order: "OR.1", Names: []string{host, "bip.przykladowo.example"}, Addresses: []netip.Addr{netip.MustParseAddr(office)},
		Reach: []netip.Prefix{netip.MustParsePrefix(office + "/32")}, Profile: pki.PartnerServer}
}

func (w *world) rule(_ context.Context, partner string) (*acme.Rule, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if r := w.rules[partner]; r != nil {
		return r, nil
	}
	return nil, acme.ErrNoRule
}

func (w *world) set(partner string, r *acme.Rule) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.rules[partner] = r
}

func (w *world) serve(address string, to net.Addr) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.at[address] = func(ctx context.Context) (net.Conn, error) {
		return new(net.Dialer).DialContext(ctx, to.Network(), to.String())
	}
}

// gone has nobody answer at an address any more.
func (w *world) gone(address string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	delete(w.at, address)
}

func (w *world) dial(ctx context.Context, _, address string) (net.Conn, error) {
	w.mu.Lock()
	w.tried = append(w.tried, address)
	to := w.at[address]
	w.mu.Unlock()
	if to == nil {
		return nil, errors.New("nobody is there")
	}
	return to(ctx)
}

func (w *world) dialled() string {
	w.mu.Lock()
	defer w.mu.Unlock()
	return strings.Join(w.tried, " ")
}

// build opens an authority over a database, with an office that has an order.
func build(t *testing.T, databaseURL string, change func(*acme.Config)) *house {
	t.Helper()
	w := &world{rules: map[string]*acme.Rule{partner: rule()}, at: map[string]func(context.Context) (net.Conn, error){}}
	return node(t, w, pkitest.Perform(t, "http://127.0.0.1/pki"), databaseURL, "", change)
}

// node opens one of several over one database.
func node(t *testing.T, w *world, made *ceremony.Result, databaseURL, name string, change func(*acme.Config)) *house {
	t.Helper()
	h := &house{t: t, made: made, key: &signingKey{Signer: made.Issuing.Key}, world: w, logged: new(bytes.Buffer)}
	var err error
	h.db, err = store.Open(t.Context(), databaseURL)
	h.must(err)
	t.Cleanup(func() { h.must(h.db.Close()) })
	h.log, err = audit.Open(t.Context(), audit.Config{Dir: audittest.Dir(t)})
	h.must(err)
	t.Cleanup(func() { h.must(h.log.Close(context.Background())) })
	var leases *lease.Leases
	if name != "" {
		leases, err = lease.Open(t.Context(), lease.Config{DB: h.db, Node: name, Tasks: []string{pki.Upkeep}})
		h.must(err)
		leasetest.Live(t, leases)
	}
	h.ca, err = pki.New(t.Context(), pki.Config{DB: h.db, Audit: h.log,
		Roots: []pki.Root{{Certificate: made.Root.Certificate, List: made.RootCRL}},
		Issuers: []pki.Issuer{{Certificate: made.Issuing.Certificate, Key: h.key,
			OCSP: pki.Delegate{Certificate: made.OCSP.Certificate, Key: made.OCSP.Key}}},
		BaseURL: "http://127.0.0.1/pki", Logger: slog.New(slog.DiscardHandler), Leases: leases})
	h.must(err)
	var handler atomic.Pointer[http.Handler]
	h.http = httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { (*handler.Load()).ServeHTTP(w, r) }))
	t.Cleanup(h.http.Close)
	cfg := acme.Config{DB: h.db, Audit: h.log, CA: h.ca, Leases: leases, Base: h.http.URL, Rules: w.rule, Dial: w.dial,
		Seal: func(secret []byte, of string) (string, error) {
			return of + " " + base64.StdEncoding.EncodeToString(secret), nil
		},
		Open:   unseal,
		Logger: slog.New(slog.NewTextHandler(h.logged, nil))}
	if change != nil {
		change(&cfg)
	}
	h.server, err = acme.New(t.Context(), cfg)
	h.must(err)
	answers := h.server.Handler()
	handler.Store(&answers)
	return h
}

func unseal(sealed, of string) ([]byte, error) {
	name, text, _ := strings.Cut(sealed, " ")
	if name != of {
		return nil, errors.New("it is another's")
	}
	return base64.StdEncoding.DecodeString(text)
}

func (h *house) must(err error) {
	h.t.Helper()
	if err != nil {
		h.t.Fatal(err)
	}
}

func newKey(t *testing.T) *ecdsa.PrivateKey {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	return key
}

// client is a stock client without an account.
func (h *house) client() *xacme.Client {
	return &xacme.Client{Key: newKey(h.t), HTTPClient: h.http.Client(), DirectoryURL: h.http.URL + acme.Directory,
		RetryBackoff: func(int, *http.Request, *http.Response) time.Duration { return -1 }}
}

// bind makes a key of the partner's.
func (h *house) bind(partner string) *xacme.ExternalAccountBinding {
	h.t.Helper()
	made, err := h.server.Bind(h.t.Context(), officer, partner)
	h.must(err)
	secret, err := base64.RawURLEncoding.DecodeString(made.Secret)
	h.must(err)
	return &xacme.ExternalAccountBinding{KID: made.ID, Key: secret}
}

// registered is a stock client with an account of the partner's.
func (h *house) registered(partner string) *xacme.Client {
	h.t.Helper()
	c := h.client()
	_, err := c.Register(h.t.Context(), &xacme.Account{Contact: []string{"mailto:it@przykladowo.example"}, ExternalAccountBinding: h.bind(partner)}, xacme.AcceptTOS)
	h.must(err)
	return c
}

// answers has the office's port 80 answer challenges of the client's account.
func (h *house) answers(c *xacme.Client) {
	h.t.Helper()
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		token := strings.TrimPrefix(r.URL.Path, "/.well-known/acme-challenge/")
		proof, err := c.HTTP01ChallengeResponse(token)
		if err != nil {
			h.t.Error(err)
		}
		_, _ = io.WriteString(w, proof)
	}))
	h.t.Cleanup(s.Close)
	h.world.serve(office+":80", s.Listener.Addr())
}

// ready brings an order to where it can be finalized.
func (h *house) ready(c *xacme.Client, names ...string) *xacme.Order {
	h.t.Helper()
	o, err := c.AuthorizeOrder(h.t.Context(), xacme.DomainIDs(names...))
	h.must(err)
	h.answers(c)
	for _, at := range o.AuthzURLs {
		h.must(h.prove(c, at, "http-01"))
	}
	o, err = c.WaitOrder(h.t.Context(), o.URI)
	h.must(err)
	return o
}

// prove has one challenge of an authorization looked at.
func (h *house) prove(c *xacme.Client, authorization, kind string) error {
	az, err := c.GetAuthorization(h.t.Context(), authorization)
	h.must(err)
	for _, ch := range az.Challenges {
		if ch.Type == kind {
			if _, err := c.Accept(h.t.Context(), ch); err != nil {
				return err
			}
			_, err = c.WaitAuthorization(h.t.Context(), authorization)
			return err
		}
	}
	return fmt.Errorf("no challenge %s", kind)
}

// request is a request for a certificate.
func request(t *testing.T, key crypto.Signer, template x509.CertificateRequest) []byte {
	t.Helper()
	der, err := x509.CreateCertificateRequest(rand.Reader, &template, key)
	if err != nil {
		t.Fatal(err)
	}
	return der
}

func named(names ...string) x509.CertificateRequest { return x509.CertificateRequest{DNSNames: names} }

// issue gets a certificate as a stock client does.
func (h *house) issue(c *xacme.Client, key crypto.Signer, names ...string) *x509.Certificate {
	h.t.Helper()
	o := h.ready(c, names...)
	chain, _, err := c.CreateOrderCert(h.t.Context(), o.FinalizeURL, request(h.t, key, named(names...)), true)
	h.must(err)
	leaf, err := x509.ParseCertificate(chain[0])
	h.must(err)
	issuing, err := x509.ParseCertificate(chain[1])
	h.must(err)
	roots, between := x509.NewCertPool(), x509.NewCertPool()
	roots.AddCert(h.made.Root.Certificate)
	between.AddCert(issuing)
	_, err = leaf.Verify(x509.VerifyOptions{Roots: roots, Intermediates: between, DNSName: names[0], KeyUsages: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth}})
	h.must(err)
	return leaf
}

// wants expects a problem document of the kind, and nothing of the inside in it.
func wants(t *testing.T, what string, err error, kind string) {
	t.Helper()
	var p *xacme.Error
	if !errors.As(err, &p) || p.ProblemType != "urn:ietf:params:acme:error:"+kind {
		t.Errorf("%s: %v; want a problem of type %s", what, err, kind)
	}
}

// signed is one request as an attacker writes it.
type signed struct {
	key     *ecdsa.PrivateKey
	alg     string
	header  map[string]any
	payload any
	mac     []byte // signs in place of key
}

// text is the JWS (RFC 7515) of a request.
func (s signed) text(t *testing.T) []byte {
	t.Helper()
	header := map[string]any{"alg": "ES256"}
	for name, value := range s.header {
		header[name] = value
	}
	if s.alg != "" {
		header["alg"] = s.alg
	}
	protected := encoded(t, header)
	payload := ""
	if s.payload != nil {
		payload = encoded(t, s.payload)
	}
	var signature []byte
	switch {
	case s.alg == "none":
	case s.mac != nil:
		signature = hmacOf(s.mac, protected+"."+payload)
	default:
		digest := sha256.Sum256([]byte(protected + "." + payload))
		a, b, err := ecdsa.Sign(rand.Reader, s.key, digest[:])
		if err != nil {
			t.Fatal(err)
		}
		signature = append(a.FillBytes(make([]byte, 32)), b.FillBytes(make([]byte, 32))...)
	}
	body, err := json.Marshal(map[string]string{"protected": protected, "payload": payload, "signature": base64.RawURLEncoding.EncodeToString(signature)})
	if err != nil {
		t.Fatal(err)
	}
	return body
}

func encoded(t *testing.T, v any) string {
	t.Helper()
	text, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	return base64.RawURLEncoding.EncodeToString(text)
}

func jwkOf(key *ecdsa.PrivateKey) map[string]string {
	return map[string]string{"kty": "EC", "crv": "P-256", "x": base64.RawURLEncoding.EncodeToString(key.X.FillBytes(make([]byte, 32))),
		"y": base64.RawURLEncoding.EncodeToString(key.Y.FillBytes(make([]byte, 32)))}
}

// said is the answer to a request, with its problem.
type said struct {
	status int
	header http.Header
	body   []byte
	Type   string `json:"type"`
	Detail string `json:"detail"`
	Status int    `json:"status"`
}

// post sends a body to a resource.
func (h *house) post(resource string, body []byte) said {
	h.t.Helper()
	r, err := http.NewRequestWithContext(h.t.Context(), http.MethodPost, h.at(resource), bytes.NewReader(body))
	h.must(err)
	r.Header.Set("Content-Type", "application/jose+json")
	return h.do(r)
}

func (h *house) at(resource string) string {
	if strings.HasPrefix(resource, "https:") {
		return resource
	}
	return h.http.URL + "/acme/offices/" + resource
}

func (h *house) do(r *http.Request) said {
	h.t.Helper()
	response, err := h.http.Client().Do(r)
	h.must(err)
	defer response.Body.Close()
	s := said{status: response.StatusCode, header: response.Header}
	s.body, err = io.ReadAll(response.Body)
	h.must(err)
	if s.status >= 400 {
		h.must(json.Unmarshal(s.body, &s))
		s.Type = strings.TrimPrefix(s.Type, "urn:ietf:params:acme:error:")
	}
	return s
}

func (h *house) nonce() string {
	h.t.Helper()
	r, err := http.NewRequestWithContext(h.t.Context(), http.MethodHead, h.at("new-nonce"), nil)
	h.must(err)
	return h.do(r).header.Get("Replay-Nonce")
}
