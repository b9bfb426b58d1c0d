package identity_test

import (
	"context"
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"io/fs"
	"log/slog"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"trustcore/cmd/internal/identity"
)

// authority signs what Renewal asks for.
type authority struct {
	t      *testing.T
	key    *ecdsa.PrivateKey
	root   *x509.Certificate
	serial int64
	id     identity.Identity
	start  time.Time // of the first certificate's life, which is 300 hours
}

const life = 300 * time.Hour

func newAuthority(t *testing.T) *authority {
	t.Helper()
	dir := t.TempDir()
	a := &authority{t: t, start: time.Now().Add(-time.Hour).Truncate(time.Second), id: identity.Identity{
		Certificate: filepath.Join(dir, "id.pem"), Key: filepath.Join(dir, "id.key"), CA: filepath.Join(dir, "ca.pem")}}
	a.key = newKey(t)
	a.root = a.sign(&x509.Certificate{Subject: pkix.Name{CommonName: "root"}, IsCA: true, BasicConstraintsValid: true}, a.key.Public(), a.start, 100*life)
	write(t, a.id.CA, pemOf(a.root))
	key := newKey(t)
	write(t, a.id.Certificate, pemOf(a.leaf("vpnd", key.Public(), a.start)))
	pkcs8, err := x509.MarshalPKCS8PrivateKey(key)
	must(t, err)
	write(t, a.id.Key, pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: pkcs8}))
	return a
}

func (a *authority) leaf(name string, key crypto.PublicKey, from time.Time) *x509.Certificate {
	return a.sign(&x509.Certificate{Subject: pkix.Name{CommonName: name}, IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}}, key, from, life)
}

func (a *authority) sign(template *x509.Certificate, key crypto.PublicKey, from time.Time, life time.Duration) *x509.Certificate {
	a.t.Helper()
	a.serial++
	template.SerialNumber, template.NotBefore, template.NotAfter = big.NewInt(a.serial), from, from.Add(life)
	parent := a.root
	if parent == nil {
		parent = template
	}
	der, err := x509.CreateCertificate(rand.Reader, template, parent, key, a.key)
	must(a.t, err)
	c, err := x509.ParseCertificate(der)
	must(a.t, err)
	return c
}

// renewal asks the authority; now is what the wall clock says, answer makes the certificate of a request.
func (a *authority) renewal(now *time.Time, answer func(*x509.CertificateRequest) (*x509.Certificate, error)) *identity.Renewal {
	return &identity.Renewal{Identity: a.id, Now: func() time.Time { return *now }, Logger: slog.New(slog.DiscardHandler),
		Ask: func(_ context.Context, der []byte) ([]byte, error) {
			request, err := x509.ParseCertificateRequest(der)
			must(a.t, err)
			must(a.t, request.CheckSignature())
			c, err := answer(request)
			if err != nil {
				return nil, err
			}
			return pemOf(c), nil
		}}
}

// shown is the certificate that a server with this identity shows.
func shown(t *testing.T, settings *tls.Config) *x509.Certificate {
	t.Helper()
	pair, err := settings.GetCertificate(nil)
	must(t, err)
	return pair.Leaf
}

func TestRenewedAtTwoThirds(t *testing.T) {
	a := newAuthority(t)
	now := a.start
	asked := 0
	r := a.renewal(&now, func(q *x509.CertificateRequest) (*x509.Certificate, error) {
		asked++
		if q.Subject.CommonName != "vpnd" || len(q.IPAddresses) != 1 {
			t.Errorf("asked for %v %v", q.Subject, q.IPAddresses)
		}
		return a.leaf("vpnd", q.PublicKey, now), nil
	})
	must(t, r.Once(t.Context()))
	now = a.start.Add(life*2/3 - time.Minute)
	must(t, r.Once(t.Context()))
	if asked != 0 {
		t.Fatal("asked before two thirds of the life were over")
	}
	for i := range 30 { // some ten years of 200 hours each, in the clock's steps
		now = now.Add(life * 2 / 3)
		must(t, r.Once(t.Context()))
		if asked != i+1 {
			t.Fatalf("asked %d times after %d lives", asked, i+1)
		}
		settings, err := a.id.Server(false)
		must(t, err)
		if c := shown(t, settings); !now.Before(c.NotAfter) || now.Before(c.NotBefore) {
			t.Fatalf("at %s a certificate from %s to %s is shown", now, c.NotBefore, c.NotAfter)
		}
	}
	if _, err := os.Stat(a.id.Key + ".next"); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("the next key lies there still: %v", err)
	}
	if info, err := os.Stat(a.id.Key); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("the key's file: %v, %v", info.Mode(), err)
	}
}

// TestRenewalThatFails keeps the old pair, and asks again with the same key, not at once.
func TestRenewalThatFails(t *testing.T) {
	a := newAuthority(t)
	now := a.start.Add(life * 3 / 4)
	var keys []any
	fail := true
	r := a.renewal(&now, func(q *x509.CertificateRequest) (*x509.Certificate, error) {
		keys = append(keys, q.PublicKey)
		if fail {
			return nil, errors.New("not now")
		}
		return a.leaf("vpnd", q.PublicKey, now), nil
	})
	if err := r.Once(t.Context()); err == nil {
		t.Fatal("a refusal is no error")
	}
	if _, failed := r.State(); failed == nil {
		t.Error("the failure is not remembered")
	}
	must(t, r.Once(t.Context()))
	if len(keys) != 1 {
		t.Errorf("asked %d times at once", len(keys))
	}
	if _, err := a.id.Server(true); err != nil {
		t.Errorf("the old pair is gone: %v", err)
	}
	fail, now = false, now.Add(time.Hour)
	must(t, r.Once(t.Context()))
	if end, failed := r.State(); failed != nil || !end.Equal(now.Add(life)) {
		t.Errorf("ends %v, failed %v", end, failed)
	}
	if len(keys) != 2 || !keys[0].(*ecdsa.PublicKey).Equal(keys[1]) {
		t.Error("the key was made anew")
	}
}

// TestCrashOfARenewal ends it after each of its writes: what is in the files can be served, and the next start has the new pair.
func TestCrashOfARenewal(t *testing.T) {
	a := newAuthority(t)
	now := a.start.Add(life * 3 / 4)
	old, err := os.ReadFile(a.id.Key)
	must(t, err)
	r := a.renewal(&now, func(q *x509.CertificateRequest) (*x509.Certificate, error) {
		return a.leaf("vpnd", q.PublicKey, now), nil
	})
	must(t, r.Once(t.Context()))
	renewed, err := os.ReadFile(a.id.Key)
	must(t, err)
	// Between certificate and key: the certificate is the new one, the key the old one, the new key the next.
	write(t, a.id.Key, old)
	write(t, a.id.Key+".next", renewed)
	settings, err := a.id.Server(false)
	must(t, err)
	if c := shown(t, settings); !c.NotAfter.Equal(now.Add(life)) {
		t.Errorf("the certificate ends at %s", c.NotAfter)
	}
	if text, err := os.ReadFile(a.id.Key); err != nil || string(text) != string(renewed) {
		t.Errorf("the key was not taken over: %v", err)
	}
	// Before the certificate: a next key that fits nothing is left alone.
	write(t, a.id.Key+".next", old)
	if _, err := a.id.Server(false); err != nil {
		t.Error(err)
	}
	// Neither fits.
	write(t, a.id.Key, old)
	if _, err := a.id.Server(false); err == nil {
		t.Error("a certificate without its key was taken")
	}
}

// TestAnswerMustFit refuses certificates that are not what was asked for; the old pair stays.
func TestAnswerMustFit(t *testing.T) {
	a := newAuthority(t)
	now := a.start.Add(life * 3 / 4)
	for name, c := range map[string]struct {
		answer func(q *x509.CertificateRequest) *x509.Certificate
		want   string
	}{
		"another holder": {func(q *x509.CertificateRequest) *x509.Certificate { return a.leaf("trustd", q.PublicKey, now) }, "not for CN=vpnd"},
		"another key":    {func(*x509.CertificateRequest) *x509.Certificate { return a.leaf("vpnd", newKey(t).Public(), now) }, "private key does not match"},
		"no longer life": {func(q *x509.CertificateRequest) *x509.Certificate { return a.leaf("vpnd", q.PublicKey, a.start) }, "no later"},
	} {
		r := a.renewal(&now, func(q *x509.CertificateRequest) (*x509.Certificate, error) { return c.answer(q), nil })
		if err := r.Once(t.Context()); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v, want %q", name, err, c.want)
		}
		if _, err := a.id.Server(true); err != nil {
			t.Errorf("%s: the old pair is gone: %v", name, err)
		}
	}
}

// TestHandshakesShowTheNewCertificate renews while a listener and a client are open.
func TestHandshakesShowTheNewCertificate(t *testing.T) {
	a := newAuthority(t)
	server, err := a.id.Server(true)
	must(t, err)
	client, err := a.id.Client()
	must(t, err)
	first := shown(t, server)
	now := a.start.Add(life * 3 / 4)
	r := a.renewal(&now, func(q *x509.CertificateRequest) (*x509.Certificate, error) {
		return a.leaf("vpnd", q.PublicKey, now), nil
	})
	must(t, r.Once(t.Context()))
	deadline := time.Now().Add(30 * time.Second)
	for shown(t, server).Equal(first) { // files are looked at once a second
		if time.Now().After(deadline) {
			t.Fatal("the listener shows the old certificate still")
		}
		<-time.After(20 * time.Millisecond)
	}
	pair, err := client.GetClientCertificate(nil)
	must(t, err)
	if !pair.Leaf.Equal(shown(t, server)) {
		t.Error("the client shows another certificate than the listener")
	}
}

func newKey(t *testing.T) *ecdsa.PrivateKey {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	must(t, err)
	return key
}

func pemOf(c *x509.Certificate) []byte {
	return pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: c.Raw})
}

func write(t *testing.T, path string, text []byte) {
	t.Helper()
	must(t, os.WriteFile(path, text, 0o600))
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}
