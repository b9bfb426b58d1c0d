// Package sealtest is a small authority for tests of seals: a root, a CA below it, sealing certificates, a
// time-stamping unit, an OCSP responder and revocation lists, all served over HTTP on the loopback interface. Hooks
// make it lie.
package sealtest

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"encoding/pem"
	"io"
	"math/big"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"golang.org/x/crypto/ocsp"

	"trustcore/hsm/seal"
	"trustcore/internal/cms"
	"trustcore/internal/fetch"
)

// Identity is a key with its certificate.
type Identity struct {
	Key         crypto.Signer
	Certificate *x509.Certificate
}

// Authority issues and answers. Its hooks are called for every answer, nil for an honest one.
type Authority struct {
	URL            string // of the server, without a slash at the end
	Root, CA       Identity
	TSU, Responder Identity
	Officer        Identity // with a sealing certificate of the CA

	// Stamp changes what the time-stamping unit signs, Token and Answer the finished ones.
	Stamp         func(*cms.TimestampConfig)
	Token, Answer func([]byte) []byte
	// Status changes what the responder says, who says it, and of whose certificates.
	Status func(*Status)
	// List changes a revocation list, and who signs it.
	List func(*x509.RevocationList, *Identity)

	mu      sync.Mutex
	serial  int64
	revoked map[string]time.Time
	asked   map[string]int
}

// Status is an OCSP response before it is signed.
type Status struct {
	ocsp.Response
	By     Identity
	Issuer *x509.Certificate
	Bare   bool // without the responder's certificate
}

// New starts an authority that ends with the test.
func New(t testing.TB) *Authority {
	t.Helper()
	a, end := Start()
	t.Cleanup(end)
	return a
}

// Start starts an authority for who has no test, such as an example, and returns what ends it. What fails panics.
func Start() (*Authority, func()) {
	a := &Authority{revoked: map[string]time.Time{}, asked: map[string]int{}}
	server := httptest.NewServer(http.HandlerFunc(a.serve))
	a.URL = server.URL
	a.Root = a.issue(Identity{}, "root", "Sealtest Root", newKey("P-384"), nil)
	a.CA = a.issue(a.Root, "ca", "Sealtest CA", newKey("P-384"), nil)
	a.TSU = a.issue(a.CA, "tsu", "Sealtest TSU", newKey("P-256"), nil)
	a.Responder = a.issue(a.CA, "responder", "Sealtest Responder", newKey("P-256"), nil)
	a.Officer = a.issue(a.CA, "seal", "Sealtest Officer", newKey("P-256"), nil)
	return a, server.Close
}

// sharedRSA is the one key of RSA that the tests of a program share: to make one takes a second.
var sharedRSA = sync.OnceValues(func() (*rsa.PrivateKey, error) { return rsa.GenerateKey(rand.Reader, 3072) })

// NewKey makes a key: P-256, P-384 or P-521, or gives the RSA (3072) one.
func NewKey(t testing.TB, kind string) crypto.Signer {
	t.Helper()
	return newKey(kind)
}

func newKey(kind string) crypto.Signer {
	if kind == "RSA" {
		key, err := sharedRSA()
		return must(key, err)
	}
	curve := map[string]elliptic.Curve{"P-256": elliptic.P256(), "P-384": elliptic.P384(),
		"P-521": elliptic.P521()}[kind]
	return must(ecdsa.GenerateKey(curve, rand.Reader))
}

func must[T any](v T, err error) T {
	if err != nil {
		panic(err)
	}
	return v
}

// Signer is a sealing certificate of the CA for a fresh key.
func (a *Authority) Signer(t testing.TB, kind, name string) Identity {
	t.Helper()
	return a.Issue(t, a.CA, "seal", name, NewKey(t, kind), nil)
}

var (
	timeStamping = pkix.Extension{Id: asn1.ObjectIdentifier{2, 5, 29, 37}, Critical: true,
		Value: []byte{0x30, 0x0a, 0x06, 0x08, 0x2b, 6, 1, 5, 5, 7, 3, 8}}
	noCheck = pkix.Extension{Id: asn1.ObjectIdentifier{1, 3, 6, 1, 5, 5, 7, 48, 1, 5}, Value: []byte{5, 0}}
)

// Issue makes a certificate for a use: root, ca, tsu, responder or seal. Change is called before it is signed.
func (a *Authority) Issue(t testing.TB, by Identity, use, name string, key crypto.Signer,
	change func(*x509.Certificate)) Identity {
	t.Helper()
	return a.issue(by, use, name, key, change)
}

func (a *Authority) issue(by Identity, use, name string, key crypto.Signer, change func(*x509.Certificate)) Identity {
	a.mu.Lock()
	a.serial++
	template := &x509.Certificate{SerialNumber: big.NewInt(1000 + a.serial),
		Subject:   pkix.Name{Country: []string{"PL"}, CommonName: name},
		NotBefore: time.Now().Add(-time.Hour),
		NotAfter:  time.Now().Add(48 * time.Hour), KeyUsage: x509.KeyUsageDigitalSignature}
	a.mu.Unlock()
	if by.Certificate != nil {
		template.CRLDistributionPoints = []string{a.URL + "/crl/" + slug(by.Certificate.Subject.CommonName)}
		template.IssuingCertificateURL = []string{a.URL + "/issuer/" + slug(by.Certificate.Subject.CommonName)}
	}
	switch use {
	case "root", "ca":
		template.IsCA, template.BasicConstraintsValid = true, true
		template.KeyUsage = x509.KeyUsageCertSign | x509.KeyUsageCRLSign
	case "tsu":
		template.ExtraExtensions = []pkix.Extension{timeStamping}
		template.OCSPServer = []string{a.URL + "/ocsp"}
	case "responder":
		template.ExtKeyUsage = []x509.ExtKeyUsage{x509.ExtKeyUsageOCSPSigning}
		template.ExtraExtensions = []pkix.Extension{noCheck}
	default:
		template.KeyUsage |= x509.KeyUsageContentCommitment
		template.OCSPServer = []string{a.URL + "/ocsp"}
	}
	if change != nil {
		change(template)
	}
	if by.Certificate == nil {
		by = Identity{key, template}
	}
	der := must(x509.CreateCertificate(rand.Reader, template, by.Certificate, key.Public(), by.Key))
	return Identity{key, must(x509.ParseCertificate(der))}
}

func slug(name string) string { return strings.ToLower(strings.ReplaceAll(name, " ", "-")) }

// Revoke makes every later answer say that a certificate is revoked.
func (a *Authority) Revoke(c *x509.Certificate) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.revoked[c.SerialNumber.String()] = time.Now().Add(-time.Minute)
}

// Asked tells how often a path was asked for.
func (a *Authority) Asked(path string) int {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.asked[path]
}

// Strangers is a client for addresses in certificates that reaches the authority, which is on a private one.
func (a *Authority) Strangers() *fetch.Client {
	return fetch.New(fetch.Config{Allow: []netip.AddrPort{netip.MustParseAddrPort(strings.TrimPrefix(a.URL,
		"http://"))}})
}

// TSA is the authority's time-stamping, checked up to its root.
func (a *Authority) TSA(t testing.TB) seal.TSA {
	t.Helper()
	address := a.URL + "/tsa"
	client, err := fetch.Configured(fetch.Config{}, address)
	if err != nil {
		t.Fatal(err)
	}
	tsa, err := seal.OpenTSA(seal.TSAConfig{Address: address, Client: client,
		Anchors: []*x509.Certificate{a.Root.Certificate}})
	if err != nil {
		t.Fatal(err)
	}
	return tsa
}

// Sealer is who seals with an identity of the CA.
func (a *Authority) Sealer(id Identity) seal.Signer {
	return seal.Signer{Key: id.Key, Certificate: id.Certificate, Chain: []*x509.Certificate{a.CA.Certificate}}
}

// Anchor writes the root's certificate as PEM and returns the file.
func (a *Authority) Anchor(t testing.TB) string {
	t.Helper()
	file := filepath.Join(t.TempDir(), "root.pem")
	if err := os.WriteFile(file, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: a.Root.Certificate.Raw}),
		0o600); err != nil {
		t.Fatal(err)
	}
	return file
}

func (a *Authority) serve(w http.ResponseWriter, r *http.Request) {
	a.mu.Lock()
	a.asked[r.URL.Path]++
	a.mu.Unlock()
	body, err := io.ReadAll(r.Body)
	var answer []byte
	switch {
	case err != nil:
	case r.URL.Path == "/tsa":
		answer, err = a.stamp(body)
	case r.URL.Path == "/ocsp":
		answer, err = a.status(body)
	case strings.HasPrefix(r.URL.Path, "/crl/"):
		answer, err = a.list(strings.TrimPrefix(r.URL.Path, "/crl/"))
	case strings.HasPrefix(r.URL.Path, "/issuer/"):
		answer = a.issuer(strings.TrimPrefix(r.URL.Path, "/issuer/")).Certificate.Raw
	default:
		http.NotFound(w, r)
		return
	}
	if err != nil {
		http.Error(w, err.Error(), http.StatusInternalServerError)
		return
	}
	_, _ = w.Write(answer)
}

func (a *Authority) issuer(name string) Identity {
	if name == slug(a.Root.Certificate.Subject.CommonName) {
		return a.Root
	}
	return a.CA
}

// stamp answers a time-stamp request (RFC 3161, 2.4.2).
func (a *Authority) stamp(body []byte) ([]byte, error) {
	request, err := cms.ParseTimestampRequest(body)
	if err != nil {
		return nil, err
	}
	policy, err := cms.ParseOID("1.2.3.4")
	if err != nil {
		return nil, err
	}
	a.mu.Lock()
	a.serial++
	cfg := cms.TimestampConfig{Signer: a.TSU.Key, Certificate: a.TSU.Certificate.Raw,
		Certificates: [][]byte{a.CA.Certificate.Raw},
		Hash:         crypto.SHA256, Policy: policy, HashAlgorithm: request.HashAlgorithm, Imprint: request.Imprint,
		Serial: big.NewInt(a.serial), Time: time.Now(), Nonce: request.Nonce}
	a.mu.Unlock()
	if a.Stamp != nil {
		a.Stamp(&cfg)
	}
	token, err := cms.SignTimestamp(cfg)
	if err != nil {
		return nil, err
	}
	if a.Token != nil {
		token = a.Token(token)
	}
	answer := cms.NewTimestampResponse(token)
	if a.Answer != nil {
		answer = a.Answer(answer)
	}
	return answer, nil
}

// status answers an OCSP request (RFC 6960, 4.2).
func (a *Authority) status(body []byte) ([]byte, error) {
	request, err := ocsp.ParseRequest(body)
	if err != nil {
		return nil, err
	}
	a.mu.Lock()
	at, revoked := a.revoked[request.SerialNumber.String()]
	a.mu.Unlock()
	r := ocsp.Response{Status: ocsp.Good, SerialNumber: request.SerialNumber, ThisUpdate: time.Now().Add(-time.Second),
		NextUpdate: time.Now().Add(time.Hour), IssuerHash: request.HashAlgorithm}
	if revoked {
		r.Status, r.RevokedAt = ocsp.Revoked, at
	}
	answer := &Status{Response: r, By: a.Responder, Issuer: a.CA.Certificate}
	if a.Status != nil {
		a.Status(answer)
	}
	if answer.Certificate = answer.By.Certificate; answer.Bare {
		answer.Certificate = nil
	}
	return ocsp.CreateResponse(answer.Issuer, answer.By.Certificate, answer.Response, answer.By.Key)
}

// list makes a revocation list (RFC 5280, 5).
func (a *Authority) list(name string) ([]byte, error) {
	by := a.issuer(name)
	a.mu.Lock()
	a.serial++
	l := &x509.RevocationList{Number: big.NewInt(a.serial), ThisUpdate: time.Now().Add(-time.Second),
		NextUpdate: time.Now().Add(time.Hour)}
	for serial, at := range a.revoked {
		n, _ := new(big.Int).SetString(serial, 10)
		l.RevokedCertificateEntries = append(l.RevokedCertificateEntries,
			x509.RevocationListEntry{SerialNumber: n, RevocationTime: at})
	}
	a.mu.Unlock()
	if a.List != nil {
		a.List(l, &by)
	}
	return x509.CreateRevocationList(rand.Reader, l, by.Certificate, by.Key)
}
