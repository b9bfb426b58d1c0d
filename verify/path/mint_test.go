package path_test

import (
	"context"
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"math/big"
	"sync/atomic"
	"testing"
	"time"

	"trustcore/verify/certificate"
	"trustcore/verify/path"
)

// now is the validation time of the tests: the next full minute, as OCSP responses are minted with the real time in them.
var now = time.Now().UTC().Truncate(time.Minute).Add(time.Minute)

// serial makes serial numbers that differ.
var serial atomic.Int64

// An entity is a minted certificate and its key.
type entity struct {
	key  crypto.Signer
	std  *x509.Certificate
	cert *certificate.Certificate
}

func newKey(t testing.TB) crypto.Signer {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	return key
}

// ca makes a template a CA's.
func ca(c *x509.Certificate) {
	c.IsCA, c.BasicConstraintsValid, c.KeyUsage = true, true, x509.KeyUsageCertSign|x509.KeyUsageCRLSign
}

// with adds an extension; values are DER.
func with(id []int, critical bool, value ...byte) func(*x509.Certificate) {
	return func(c *x509.Certificate) {
		c.ExtraExtensions = append(c.ExtraExtensions, pkix.Extension{Id: id, Critical: critical, Value: value})
	}
}

// mint makes a certificate for the name and key, signed by the issuer; a nil issuer signs itself.
func mint(t testing.TB, issuer *entity, name string, key crypto.Signer, changes ...func(*x509.Certificate)) *entity {
	t.Helper()
	if key == nil {
		key = newKey(t)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(serial.Add(1)), Subject: pkix.Name{CommonName: name},
		NotBefore: now.AddDate(-1, 0, 0), NotAfter: now.AddDate(1, 0, 0),
	}
	for _, change := range changes {
		change(template)
	}
	parent, signer := template, key
	if issuer != nil {
		parent, signer = issuer.std, issuer.key
	}
	der, err := x509.CreateCertificate(rand.Reader, template, parent, key.Public(), signer)
	if err != nil {
		t.Fatal(err)
	}
	e := parse(t, der, key)
	if e.std == nil {
		e.std = template // enough of an issuer
	}
	return e
}

func parse(t testing.TB, der []byte, key crypto.Signer) *entity {
	t.Helper()
	std, _ := x509.ParseCertificate(der) // it refuses some that we read
	cert, err := certificate.Parse(der)
	if err != nil {
		t.Fatal(err)
	}
	return &entity{key, std, cert}
}

// pool makes a pool of the entities' certificates.
func pool(entities ...*entity) *path.Pool {
	var list []*certificate.Certificate
	for _, e := range entities {
		list = append(list, e.cert)
	}
	return path.NewPool(list...)
}

// anchors makes anchors of the entities' certificates; their extensions do not count.
func anchors(t testing.TB, entities ...*entity) *path.Anchors {
	t.Helper()
	var list []path.Anchor
	for _, e := range entities {
		a, err := path.AnchorFrom(e.cert)
		if err != nil {
			t.Fatal(err)
		}
		list = append(list, a)
	}
	return anchorSet(t, list...)
}

func anchorSet(t testing.TB, list ...path.Anchor) *path.Anchors {
	t.Helper()
	set, err := path.NewAnchors(list...)
	if err != nil {
		t.Fatal(err)
	}
	return set
}

// validate asks at now.
func validate(r path.Request) path.Result {
	if r.Time.IsZero() {
		r.Time = now
	}
	return path.Validate(context.Background(), r)
}

// wantCode fails unless the weightiest reason is of the code.
func wantCode(t testing.TB, r path.Result, want path.Code) {
	t.Helper()
	if got := r.Reason().Code; got != want || r.Valid != (want == path.OK) {
		t.Errorf("valid %v, reasons %v, want %v", r.Valid, r.Reasons, want)
	}
}
