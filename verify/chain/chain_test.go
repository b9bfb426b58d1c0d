package chain

import (
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/base64"
	"encoding/pem"
	"math/big"
	"strings"
	"testing"
	"time"

	"trustcore/verify/certificate"
	"trustcore/verify/path"
	"trustcore/verify/policy"
	"trustcore/verify/trustlist"
)

// TestEveryReasonBelongsToACheck fails when path learns a reason that a report could not place.
func TestEveryReasonBelongsToACheck(t *testing.T) {
	for code := path.OK + 1; code <= path.Budget; code++ {
		if checkOf[code] == "" {
			t.Errorf("%s belongs to no check", code)
		}
	}
}

func TestQualificationNames(t *testing.T) {
	for _, test := range []struct {
		q    trustlist.Qualified
		want string
	}{
		{trustlist.Qualified{}, "N/A"},
		{trustlist.Qualified{Found: true, Conflict: true, Certificate: true, Type: trustlist.ForSignatures}, "N/A"},
		{trustlist.Qualified{Found: true, Certificate: true, Type: trustlist.ForSignatures, Device: true}, "QCert for ESig with QSCD"},
		{trustlist.Qualified{Found: true, Certificate: true, Type: trustlist.ForSeals}, "QCert for ESeal"},
		{trustlist.Qualified{Found: true, Certificate: true, Type: trustlist.ForWebsites, Device: true}, "QCert for WSA"},
		{trustlist.Qualified{Found: true, Type: trustlist.ForSignatures}, "Cert for ESig"},
		{trustlist.Qualified{Found: true}, "Cert for unknown"},
	} {
		if got := qualificationOf(test.q).Level; got != test.want {
			t.Errorf("%+v: %s, want %s", test.q, got, test.want)
		}
	}
}

func mint(t testing.TB) []byte {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "officer-1"}, NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour)}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		t.Fatal(err)
	}
	return der
}

func armoured(der []byte, kind string) []byte {
	return pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der})
}

func TestReadCertificates(t *testing.T) {
	der := mint(t)
	one := armoured(der, "CERTIFICATE")
	for name, test := range map[string]struct {
		data []byte
		want int // 0: an error
	}{
		"DER": {der, 1}, "PEM": {one, 1}, "base64": {[]byte(" " + base64.StdEncoding.EncodeToString(der) + "\n"), 1},
		"bundle":           {bytes.Join([][]byte{[]byte("a remark\n"), one, armoured([]byte{1}, "PRIVATE KEY"), armoured(der, "X509 CERTIFICATE")}, nil), 2},
		"empty":            {nil, 0},
		"text":             {[]byte("no certificate"), 0},
		"key alone":        {armoured([]byte{1}, "PRIVATE KEY"), 0},
		"broken":           {armoured([]byte{0x30}, "CERTIFICATE"), 0},
		"DER and a tail":   {append(bytes.Clone(der), 0), 0},
		"too many":         {bytes.Repeat(one, MaxCertificates+1), 0},
		"as many as there": {bytes.Repeat(one, MaxCertificates), MaxCertificates},
	} {
		list, err := ReadCertificates(test.data, nil)
		if len(list) != test.want || (err == nil) != (test.want > 0) {
			t.Errorf("%s: %d certificates, %v", name, len(list), err)
		}
	}
}

func FuzzReadCertificates(f *testing.F) {
	der := mint(f)
	f.Add(der)
	f.Add(armoured(der, "CERTIFICATE"))
	f.Add([]byte("-----BEGIN CERTIFICATE-----\nMA==\n-----END CERTIFICATE-----"))
	f.Fuzz(func(t *testing.T, data []byte) {
		list, err := ReadCertificates(data, nil)
		if (err == nil) == (len(list) == 0) || len(list) > MaxCertificates {
			t.Errorf("%d certificates, %v", len(list), err)
		}
	})
}

func TestWhatIsMissing(t *testing.T) {
	c, err := certificate.Parse(mint(t))
	if err != nil {
		t.Fatal(err)
	}
	anchors, err := path.NewAnchors()
	if err != nil {
		t.Fatal(err)
	}
	strict, err := policy.Named(policy.Strict)
	if err != nil {
		t.Fatal(err)
	}
	whole := Question{Target: c, Anchors: anchors, Time: time.Now(), Mode: Require, Policy: strict}
	for name, change := range map[string]func(*Question){
		"target": func(q *Question) { q.Target = nil }, "anchors": func(q *Question) { q.Anchors = nil },
		"time": func(q *Question) { q.Time = time.Time{} }, "mode": func(q *Question) { q.Mode = "" },
		"policy": func(q *Question) { q.Policy = nil },
	} {
		q := whole
		change(&q)
		if _, err := Judge(t.Context(), q); err == nil {
			t.Errorf("judged without %s", name)
		}
	}
	r, err := Judge(t.Context(), whole)
	if err != nil || r.Valid || len(r.Chain) != 1 || r.Reasons[0].Code != path.NoAnchor.String() {
		t.Errorf("without anchors: %+v %v", r, err)
	}
	ended, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := Judge(ended, whole); err == nil {
		t.Error("judged after the end")
	}
}

// TestContextsOfAlgorithms: an algorithm of the path must be accepted as the target's and as the authorities'.
func TestContextsOfAlgorithms(t *testing.T) {
	strict := string(policy.ShippedSource(policy.Strict))
	for name, block := range map[string]string{
		"the target's": "    SigningCertificate:\n", "the authorities'": "    CACertificate:\n",
	} {
		own := block + "      Cryptographic: {Digests: {SHA512: no end}, Keys: {RSA: {3000: no end}}}\n"
		p, err := policy.Read([]byte(strings.Replace(strict, block, own, 1)))
		if err != nil {
			t.Fatal(name, err)
		}
		q := Question{Policy: p}
		if ok, _ := q.ofPath("ECDSA-SHA256", 256, time.Now()); ok {
			t.Errorf("accepted though %s context refuses", name)
		}
	}
}
