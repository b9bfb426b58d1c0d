package ocsp_test

import (
	"bytes"
	"context"
	"crypto"
	"crypto/x509"
	"encoding/base64"
	"errors"
	"io"
	"log/slog"
	"math/big"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os/exec"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	oracle "golang.org/x/crypto/ocsp"

	"trustcore/pki/ceremony"
	"trustcore/pki/ocsp"
	"trustcore/pki/pkitest"
	"trustcore/pki/profile"
)

// statuses is the table a responder reads in these tests.
type statuses struct {
	mu   sync.Mutex
	of   map[string]ocsp.Status // guarded by mu
	fail error                  // guarded by mu
}

func (s *statuses) read(_ context.Context, serial *big.Int) (ocsp.Status, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.fail != nil {
		return ocsp.Status{}, s.fail
	}
	if status, known := s.of[serial.String()]; known {
		return status, nil
	}
	return ocsp.Status{Code: oracle.Unknown}, nil
}

func (s *statuses) set(serial int64, status ocsp.Status) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.of[big.NewInt(serial).String()] = status
}

// countingKey is the delegate's key; it counts its signatures and fails while it is away.
type countingKey struct {
	crypto.Signer
	signed atomic.Int64
	away   atomic.Bool
}

func (k *countingKey) Sign(rand io.Reader, digest []byte, opts crypto.SignerOpts) ([]byte, error) {
	if k.away.Load() {
		return nil, errors.New("the token is away")
	}
	k.signed.Add(1)
	return k.Signer.Sign(rand, digest, opts)
}

type bench struct {
	t          testing.TB
	made       *ceremony.Result
	table      *statuses
	key        *countingKey
	responder  *ocsp.Responder
	server     *httptest.Server
	now        atomic.Pointer[time.Time]
	leaf       *x509.Certificate // serial 1, good
	revokedOne *x509.Certificate // serial 2, revoked
	stranger   *x509.Certificate // serial 3, unknown
}

func setUp(t testing.TB, plan []byte) *bench {
	t.Helper()
	b := &bench{t: t, made: pkitest.PerformPlan(t, plan), table: &statuses{of: map[string]ocsp.Status{}}}
	b.table.set(1, ocsp.Status{Code: oracle.Good})
	b.table.set(2, ocsp.Status{Code: oracle.Revoked, RevokedAt: time.Now().Add(-time.Hour), Reason: oracle.KeyCompromise})
	b.key = &countingKey{Signer: b.made.OCSP.Key}
	b.setNow(time.Now())
	responder, err := ocsp.New(ocsp.Config{Issuer: b.made.Issuing.Certificate, Delegate: ocsp.Delegate{Certificate: b.made.OCSP.Certificate, Key: b.key},
		Status: b.table.read, ArchiveCutoff: b.made.Issuing.Certificate.NotBefore,
		Now: func() time.Time { return *b.now.Load() }, Logger: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	b.responder = responder
	b.server = httptest.NewServer(responder)
	t.Cleanup(b.server.Close)
	b.leaf, _ = pkitest.Leaf(t, b.made.Issuing, big.NewInt(1), profile.Places{})
	b.revokedOne, _ = pkitest.Leaf(t, b.made.Issuing, big.NewInt(2), profile.Places{})
	b.stranger, _ = pkitest.Leaf(t, b.made.Issuing, big.NewInt(3), profile.Places{})
	return b
}

func (b *bench) setNow(now time.Time) { b.now.Store(&now) }

func (b *bench) request(certificate *x509.Certificate, hash crypto.Hash) []byte {
	b.t.Helper()
	der, err := oracle.CreateRequest(certificate, b.made.Issuing.Certificate, &oracle.RequestOptions{Hash: hash})
	if err != nil {
		b.t.Fatal(err)
	}
	return der
}

func (b *bench) post(der []byte) (*http.Response, []byte) {
	b.t.Helper()
	response, err := http.Post(b.server.URL, "application/ocsp-request", bytes.NewReader(der))
	if err != nil {
		b.t.Fatal(err)
	}
	return response, readAll(b.t, response)
}

func (b *bench) get(der []byte, header http.Header) (*http.Response, []byte) {
	b.t.Helper()
	request, err := http.NewRequest(http.MethodGet, b.server.URL+"/"+url.PathEscape(base64.StdEncoding.EncodeToString(der)), nil)
	if err != nil {
		b.t.Fatal(err)
	}
	request.Header = header
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		b.t.Fatal(err)
	}
	return response, readAll(b.t, response)
}

func readAll(t testing.TB, response *http.Response) []byte {
	t.Helper()
	body, err := io.ReadAll(response.Body)
	if err := errors.Join(err, response.Body.Close()); err != nil {
		t.Fatal(err)
	}
	return body
}

// parse reads an answer with golang.org/x/crypto/ocsp, which checks the signature and the delegate.
func (b *bench) parse(der []byte, certificate *x509.Certificate) *oracle.Response {
	b.t.Helper()
	answer, err := oracle.ParseResponseForCert(der, certificate, b.made.Issuing.Certificate)
	if err != nil {
		b.t.Fatal(err)
	}
	return answer
}

func TestStatusByGetAndPost(t *testing.T) {
	b := setUp(t, ceremony.Default("http://127.0.0.1/pki"))
	for _, hash := range []crypto.Hash{crypto.SHA1, crypto.SHA256, crypto.SHA384, crypto.SHA512} {
		for want, certificate := range map[int]*x509.Certificate{oracle.Good: b.leaf, oracle.Revoked: b.revokedOne, oracle.Unknown: b.stranger} {
			request := b.request(certificate, hash)
			_, byPost := b.post(request)
			_, byGet := b.get(request, nil)
			for _, der := range [][]byte{byPost, byGet} {
				answer := b.parse(der, certificate)
				if answer.Status != want || answer.IssuerHash != hash {
					t.Errorf("%v: status %d, want %d (CertID by %v)", hash, answer.Status, want, answer.IssuerHash)
				}
				if want == oracle.Revoked && answer.RevocationReason != oracle.KeyCompromise {
					t.Errorf("reason %d", answer.RevocationReason)
				}
			}
		}
	}
}

func TestForeignIssuerIsUnauthorized(t *testing.T) {
	b := setUp(t, ceremony.Default("http://127.0.0.1/pki"))
	request, err := oracle.CreateRequest(b.made.Issuing.Certificate, b.made.Root.Certificate, nil)
	if err != nil {
		t.Fatal(err)
	}
	_, answer := b.post(request)
	if !bytes.Equal(answer, oracle.UnauthorizedErrorResponse) {
		t.Errorf("% x", answer)
	}
	if b.key.signed.Load() != 0 {
		t.Error("a signature was spent on it")
	}
}

func TestKeptAnswers(t *testing.T) {
	b := setUp(t, ceremony.Default("http://127.0.0.1/pki"))
	request := b.request(b.leaf, crypto.SHA1)
	first, body := b.post(request)
	_, again := b.post(request)
	if b.key.signed.Load() != 1 || !bytes.Equal(body, again) {
		t.Errorf("%d signatures for two requests", b.key.signed.Load())
	}
	for name, want := range map[string]string{"Content-Type": "application/ocsp-response", "Cache-Control": "max-age=60, public, no-transform, must-revalidate"} {
		if got := first.Header.Get(name); got != want {
			t.Errorf("%s: %q", name, got)
		}
	}
	if unchanged, _ := b.get(request, http.Header{"If-None-Match": {first.Header.Get("ETag")}}); unchanged.StatusCode != http.StatusNotModified {
		t.Errorf("known ETag: %s", unchanged.Status)
	}
	b.table.set(1, ocsp.Status{Code: oracle.Revoked, RevokedAt: time.Now(), Reason: oracle.Superseded})
	b.responder.Forget(big.NewInt(1))
	if _, der := b.post(request); b.parse(der, b.leaf).Status != oracle.Revoked {
		t.Error("the answer after Forget is the old one")
	}
}

func TestAnswersAreRenewedAtHalfLife(t *testing.T) {
	b := setUp(t, ceremony.Default("http://127.0.0.1/pki"))
	start := time.Now().Truncate(time.Second)
	b.setNow(start)
	request := b.request(b.leaf, crypto.SHA256)
	b.post(request)
	b.setNow(start.Add(ocsp.DefaultValidity/2 + time.Second))
	if _, der := b.post(request); !b.parse(der, b.leaf).ThisUpdate.After(start) || b.key.signed.Load() != 2 {
		t.Error("not renewed at half of its life")
	}
	b.key.away.Store(true)
	b.setNow(start.Add(ocsp.DefaultValidity + time.Minute))
	if _, der := b.post(request); b.parse(der, b.leaf).Status != oracle.Good {
		t.Error("the kept answer does not serve while the key is away")
	}
	b.setNow(start.Add(3 * ocsp.DefaultValidity))
	if _, der := b.post(request); !bytes.Equal(der, oracle.TryLaterErrorResponse) {
		t.Errorf("after nextUpdate without a key: % x", der)
	}
}

func TestExpiredDelegateSignsNothing(t *testing.T) {
	b := setUp(t, ceremony.Default("http://127.0.0.1/pki"))
	end := b.made.OCSP.Certificate.NotAfter
	b.setNow(end.Add(-time.Minute))
	if _, der := b.post(b.request(b.leaf, crypto.SHA1)); b.parse(der, b.leaf).NextUpdate.After(end) {
		t.Error("an answer outlives its signer's certificate")
	}
	b.setNow(end.Add(time.Minute))
	if _, der := b.post(b.request(b.leaf, crypto.SHA1)); !bytes.Equal(der, oracle.TryLaterErrorResponse) {
		t.Errorf("% x", der)
	}
}

func TestStatusThatCannotBeReadIsAnInternalError(t *testing.T) {
	b := setUp(t, ceremony.Default("http://127.0.0.1/pki"))
	b.table.fail = errors.New("the database is away")
	if _, der := b.post(b.request(b.leaf, crypto.SHA1)); !bytes.Equal(der, oracle.InternalErrorErrorResponse) {
		t.Errorf("% x", der)
	}
}

func TestPresign(t *testing.T) {
	b := setUp(t, ceremony.Default("http://127.0.0.1/pki"))
	if err := b.responder.Presign(t.Context(), []*big.Int{big.NewInt(1), big.NewInt(2)}); err != nil {
		t.Fatal(err)
	}
	b.key.away.Store(true)
	for _, hash := range []crypto.Hash{crypto.SHA1, crypto.SHA256} {
		if _, der := b.post(b.request(b.revokedOne, hash)); b.parse(der, b.revokedOne).Status != oracle.Revoked {
			t.Errorf("%v was not signed in advance", hash)
		}
	}
}

func TestHTTPRefusals(t *testing.T) {
	b := setUp(t, ceremony.Default("http://127.0.0.1/pki"))
	if _, der := b.post([]byte("no DER")); !bytes.Equal(der, oracle.MalformedRequestErrorResponse) {
		t.Errorf("% x", der)
	}
	if _, der := b.get([]byte{}, nil); !bytes.Equal(der, oracle.MalformedRequestErrorResponse) {
		t.Errorf("empty GET: % x", der)
	}
	if response, _ := b.post(bytes.Repeat([]byte{0x30}, ocsp.MaxRequest+1)); response.StatusCode != http.StatusRequestEntityTooLarge {
		t.Errorf("large body: %s", response.Status)
	}
	response, err := http.Post(b.server.URL, "text/plain", strings.NewReader("x"))
	if err != nil {
		t.Fatal(err)
	}
	if readAll(t, response); response.StatusCode != http.StatusUnsupportedMediaType {
		t.Errorf("text/plain: %s", response.Status)
	}
}

func TestDelegateMustBeTheIssuers(t *testing.T) {
	b := setUp(t, ceremony.Default("http://127.0.0.1/pki"))
	other := pkitest.Perform(t, "http://127.0.0.1/pki")
	good := ocsp.Config{Issuer: b.made.Issuing.Certificate, Delegate: ocsp.Delegate{Certificate: b.made.OCSP.Certificate, Key: b.made.OCSP.Key}, Status: b.table.read}
	for want, change := range map[string]func(*ocsp.Config){
		"not from the issuer":  func(c *ocsp.Config) { c.Certificate, c.Key = other.OCSP.Certificate, other.OCSP.Key },
		"not for OCSPSigning":  func(c *ocsp.Config) { c.Certificate, c.Key = b.made.TimeStamping.Certificate, b.made.TimeStamping.Key },
		"is not the delegate":  func(c *ocsp.Config) { c.Key = other.OCSP.Key },
		"Status is missing":    func(c *ocsp.Config) { c.Status = nil },
		"Issuer is missing":    func(c *ocsp.Config) { c.Issuer = nil },
		"Key is missing":       func(c *ocsp.Config) { c.Key = nil },
		"Certificate is missi": func(c *ocsp.Config) { c.Certificate = nil },
	} {
		cfg := good
		change(&cfg)
		if _, err := ocsp.New(cfg); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("want %q, got %v", want, err)
		}
	}
}

// TestOpenSSLClient asks with stock openssl: with and without nonce, both CertID hashes, one and several certificates; openssl checks
// signature, delegate and nonce.
func TestOpenSSLClient(t *testing.T) {
	path, err := exec.LookPath("openssl")
	if err != nil {
		t.Skip("openssl is not installed (apt-get install openssl)")
	}
	plans := map[string]string{"P-384": string(ceremony.Default("http://127.0.0.1/pki"))}
	plans["RSA"] = strings.NewReplacer("label: ocsp-1\n  algorithm: P-256", "label: ocsp-1\n  algorithm: RSA-3072").Replace(plans["P-384"])
	for name, plan := range plans {
		t.Run(name, func(t *testing.T) {
			b := setUp(t, []byte(plan))
			root := pkitest.WritePEM(t, "CERTIFICATE", b.made.Root.Certificate.Raw)
			issuing := pkitest.WritePEM(t, "CERTIFICATE", b.made.Issuing.Certificate.Raw)
			leaf := pkitest.WritePEM(t, "CERTIFICATE", b.leaf.Raw)
			revoked := pkitest.WritePEM(t, "CERTIFICATE", b.revokedOne.Raw)
			stranger := pkitest.WritePEM(t, "CERTIFICATE", b.stranger.Raw)
			for _, c := range []struct {
				args []string
				want []string
			}{
				{[]string{"-cert", leaf}, []string{": good"}},
				{[]string{"-no_nonce", "-cert", leaf}, []string{": good"}},
				{[]string{"-no_nonce", "-cert", revoked}, []string{": revoked", "Reason: keyCompromise"}},
				{[]string{"-cert", stranger}, []string{": unknown"}},
				{[]string{"-sha256", "-cert", leaf, "-cert", revoked, "-serial", "3"}, []string{": good", ": revoked", "3: unknown"}},
			} {
				args := append([]string{"ocsp", "-url", b.server.URL, "-CAfile", root, "-issuer", issuing, "-verify_other", issuing}, c.args...)
				out, err := exec.Command(path, args...).CombinedOutput()
				if err != nil || !strings.Contains(string(out), "Response verify OK") {
					t.Errorf("openssl %s: %v\n%s", strings.Join(args, " "), err, out)
				}
				if c.args[0] != "-no_nonce" && strings.Contains(string(out), "no nonce in response") {
					t.Errorf("the nonce was lost:\n%s", out)
				}
				for _, want := range c.want {
					if !strings.Contains(string(out), want) {
						t.Errorf("openssl does not say %q:\n%s", want, out)
					}
				}
			}
		})
	}
}
