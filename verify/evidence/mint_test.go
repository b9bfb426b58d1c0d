package evidence

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"io"
	"log/slog"
	"math/big"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"golang.org/x/crypto/ocsp"

	"trustcore/verify/cache"
	"trustcore/verify/certificate"
	"trustcore/verify/path"
)

// world is an authority with an OCSP responder and a list on loopback, and a clock.
type world struct {
	t      testing.TB
	ca     *holder
	url    string
	server netip.AddrPort
	keep   *Keep

	mu      sync.Mutex
	now     time.Time                   // guarded by mu
	revoked map[string]time.Time        // by serial number; guarded by mu
	serve   map[string]http.HandlerFunc // in place of what is usual, by path; guarded by mu
	asked   map[string]int              // requests, by path; guarded by mu
}

type holder struct {
	key *ecdsa.PrivateKey
	x   *x509.Certificate
}

func newWorld(t testing.TB) *world {
	t.Helper()
	keep, err := OpenKeep(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	// not before responses, which have the real time in them
	w := &world{t: t, keep: keep, now: time.Now().UTC().Truncate(time.Minute).Add(time.Minute),

		revoked: map[string]time.Time{}, serve: map[string]http.HandlerFunc{}, asked: map[string]int{}}
	w.ca = w.mint(nil, "Office CA", func(c *x509.Certificate) {
		c.IsCA, c.BasicConstraintsValid, c.KeyUsage = true, true, x509.KeyUsageCertSign|x509.KeyUsageCRLSign
	})
	server := httptest.NewServer(w)
	t.Cleanup(func() {
		server.CloseClientConnections() // of fetches that go on for who comes back
		server.Close()
	})
	w.url, w.server = server.URL, netip.MustParseAddrPort(server.Listener.Addr().String())
	return w
}

var serial atomic.Int64

func (w *world) mint(issuer *holder, name string, change func(*x509.Certificate)) *holder {
	w.t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		w.t.Fatal(err)
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(serial.Add(1)), Subject: pkix.Name{CommonName: name},
		NotBefore: w.now.AddDate(-1, 0, 0), NotAfter: w.now.AddDate(2, 0, 0)}
	if change != nil {
		change(template)
	}
	h := &holder{key: key}
	parent, signer := template, key
	if issuer != nil {
		parent, signer = issuer.x, issuer.key
	}
	der, err := x509.CreateCertificate(rand.Reader, template, parent, &key.PublicKey, signer)
	if err != nil {
		w.t.Fatal(err)
	}
	if h.x, err = x509.ParseCertificate(der); err != nil {
		w.t.Fatal(err)
	}
	return h
}

// leaf mints a signer's certificate that names the authority's services.
func (w *world) leaf(services string) *holder {
	w.t.Helper()
	return w.mint(w.ca, "officer-1", func(c *x509.Certificate) {
		for s := range strings.FieldsSeq(services) {
			if strings.HasPrefix(s, "/ocsp") {
				c.OCSPServer = append(c.OCSPServer, w.url+s)
			} else {
				c.CRLDistributionPoints = append(c.CRLDistributionPoints, w.url+s)
			}
		}
	})
}

func (w *world) ServeHTTP(out http.ResponseWriter, r *http.Request) {
	w.mu.Lock()
	w.asked[r.URL.Path]++
	special := w.serve[r.URL.Path]
	w.mu.Unlock()
	switch {
	case special != nil:
		special(out, r)
	case strings.HasPrefix(r.URL.Path, "/ocsp"):
		body, _ := io.ReadAll(r.Body)
		w.write(out, w.response(body))
	case r.URL.Path == "/crl":
		w.write(out, w.list(w.ca))
	default:
		http.NotFound(out, r)
	}
}

func (w *world) write(out http.ResponseWriter, der []byte) {
	_, _ = out.Write(der) // the client under test says what it got
}

// response answers an OCSP request.
func (w *world) response(request []byte) []byte {
	q, err := ocsp.ParseRequest(request)
	if err != nil {
		w.t.Errorf("OCSP request: %v", err)
		return nil
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	template := ocsp.Response{SerialNumber: q.SerialNumber, Status: ocsp.Good, ThisUpdate: w.now,
		NextUpdate: w.now.Add(time.Hour)}
	if at, ok := w.revoked[q.SerialNumber.String()]; ok {
		template.Status, template.RevokedAt = ocsp.Revoked, at
	}
	der, err := ocsp.CreateResponse(w.ca.x, w.ca.x, template, w.ca.key)
	if err != nil {
		w.t.Errorf("OCSP response: %v", err)
	}
	return der
}

// list makes a CRL.
func (w *world) list(issuer *holder) []byte {
	w.mu.Lock()
	defer w.mu.Unlock()
	template := &x509.RevocationList{Number: big.NewInt(w.now.Unix()), ThisUpdate: w.now,
		NextUpdate: w.now.Add(24 * time.Hour)}
	for s, at := range w.revoked {
		n, _ := new(big.Int).SetString(s, 10)
		template.RevokedCertificateEntries = append(template.RevokedCertificateEntries,
			x509.RevocationListEntry{SerialNumber: n, RevocationTime: at})
	}
	der, err := x509.CreateRevocationList(rand.Reader, template, issuer.x, issuer.key)
	if err != nil {
		w.t.Errorf("CRL: %v", err)
	}
	return der
}

func (w *world) revoke(h *holder) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.revoked[h.x.SerialNumber.String()] = w.now
}

func (w *world) instead(path string, do http.HandlerFunc) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.serve[path] = do
}

func (w *world) pass(d time.Duration) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.now = w.now.Add(d)
}

func (w *world) clock() time.Time {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.now
}

// wantAsked fails unless the path was asked for so often.
func (w *world) wantAsked(path string, times int) {
	w.t.Helper()
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.asked[path] != times {
		w.t.Errorf("%s was asked %d times, want %d", path, w.asked[path], times)
	}
}

func (w *world) gatherer(change func(*Config)) *Gatherer {
	w.t.Helper()
	cache, err := cache.New(cache.Config{Certificates: 100, Verdicts: 100})
	if err != nil {
		w.t.Fatal(err)
	}
	cfg := Config{Allow: []netip.AddrPort{w.server}, Cache: cache, Keep: w.keep, Now: w.clock,
		Logger: slog.New(slog.DiscardHandler), Wait: 5 * time.Second}
	if change != nil {
		change(&cfg)
	}
	g, err := New(cfg)
	if err != nil {
		w.t.Fatal(err)
	}
	return g
}

// trust makes the authority the anchor.
func (w *world) trust() Trust {
	w.t.Helper()
	c, err := certificate.Parse(w.ca.x.Raw)
	if err != nil {
		w.t.Fatal(err)
	}
	a, err := path.AnchorFrom(c)
	if err != nil {
		w.t.Fatal(err)
	}
	set, err := path.NewAnchors(a)
	if err != nil {
		w.t.Fatal(err)
	}
	return Trust{Anchors: set, Hosts: map[string]bool{"127.0.0.1": true}}
}

// gather asks about the holder's certificate now.
func (w *world) gather(g *Gatherer, h *holder, further ...*holder) Found {
	w.t.Helper()
	return w.gatherAt(g, w.clock(), h, further...)
}

func (w *world) gatherAt(g *Gatherer, at time.Time, h *holder, further ...*holder) Found {
	w.t.Helper()
	var ders [][]byte
	for _, f := range further {
		ders = append(ders, f.x.Raw)
	}
	return g.GatherFor(context.Background(), h.x.Raw, ders, w.trust(), at)
}

// wantFound fails unless so many answers of each kind were found.
func (w *world) wantFound(f Found, ocsps, crls int) {
	w.t.Helper()
	if len(f.OCSPs) != ocsps || len(f.CRLs) != crls {
		w.t.Errorf("%d OCSP answers and %d CRLs, want %d and %d; problems: %q", len(f.OCSPs), len(f.CRLs), ocsps, crls,
			f.Problems)
	}
}
