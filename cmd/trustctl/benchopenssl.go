package main

import (
	"context"
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"math/big"
	"os"
	"os/exec"
	"path/filepath"
	"time"

	"trustcore/cmd/internal/custody"
	"trustcore/internal/cms"
	"trustcore/pki"
	"trustcore/pki/ocsp"
)

// opensslTime is how long openssl is measured, at most: it is a detail.
const opensslTime = 2 * time.Second

const opensslHow = "one process an answer, one at a time, key in a file"

// opensslOCSP adds what `openssl ocsp` takes for the same answer with a key of the same kind in a file.
func (a *benchAuthority) opensslOCSP(ctx context.Context, s *benchSettings, m *measurement, serial *big.Int) error {
	if _, err := exec.LookPath("openssl"); err != nil {
		return nil // not installed
	}
	signer, key, err := a.delegate(ctx, pki.OCSPResponder)
	if err != nil {
		return err
	}
	request, err := ocsp.NewRequest(a.issuing, crypto.SHA1, []byte("0123456789abcdef"), serial)
	if err != nil {
		return err
	}
	index := fmt.Sprintf("V\t%s\t\t%X\tunknown\t/CN=office\n", time.Now().Add(24*time.Hour).UTC().Format("060102150405Z"), serial)
	if err := a.write(map[string][]byte{"issuing.pem": custody.PEM(a.issuing.Raw), "request.der": request, "index.txt": []byte(index)}); err != nil {
		return err
	}
	return a.openssl(ctx, s, m, []string{"ocsp", "-index", a.file("index.txt"), "-CA", a.file("issuing.pem"), "-rsigner", signer, "-rkey", key,
		"-reqin", a.file("request.der"), "-respout", a.file("answer.der"), "-ndays", "1"})
}

// opensslTS adds what `openssl ts` takes for the same token with a key of the same kind in a file.
func (a *benchAuthority) opensslTS(ctx context.Context, s *benchSettings, m *measurement) error {
	if _, err := exec.LookPath("openssl"); err != nil {
		return nil // not installed
	}
	signer, key, err := a.delegate(ctx, pki.TimeStamping)
	if err != nil {
		return err
	}
	digest := sha256.Sum256([]byte("document"))
	request, err := cms.NewTimestampRequest(crypto.SHA256, digest[:], "", big.NewInt(1), true)
	if err != nil {
		return err
	}
	config := "[tsa]\ndefault_tsa = unit\n[unit]\nserial = " + a.file("serial") + "\ndefault_policy = " + pki.DefaultTSAPolicy +
		"\nsigner_digest = sha256\ndigests = sha256\naccuracy = secs:1\ness_cert_id_chain = no\ness_cert_id_alg = sha256\n"
	if err := a.write(map[string][]byte{"issuing.pem": custody.PEM(a.issuing.Raw), "request.tsq": request, "serial": []byte("01\n"), "tsa.conf": []byte(config)}); err != nil {
		return err
	}
	return a.openssl(ctx, s, m, []string{"ts", "-reply", "-config", a.file("tsa.conf"), "-queryfile", a.file("request.tsq"), "-signer", signer, "-inkey", key,
		"-chain", a.file("issuing.pem"), "-out", a.file("answer.tsr")})
}

// delegate makes a key in a file with a certificate of the kind; the paths are returned.
func (a *benchAuthority) delegate(ctx context.Context, kind pki.Profile) (certificate, key string, err error) {
	private, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return "", "", err
	}
	c, err := a.issue(ctx, kind, pki.Subject{CommonName: "openssl"}, private)
	if err != nil {
		return "", "", err
	}
	der, err := x509.MarshalPKCS8PrivateKey(private)
	if err != nil {
		return "", "", err
	}
	err = a.write(map[string][]byte{"openssl.pem": custody.PEM(c.Raw), "openssl.key": pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der})})
	return a.file("openssl.pem"), a.file("openssl.key"), err
}

func (a *benchAuthority) file(name string) string { return filepath.Join(a.dir, name) }

func (a *benchAuthority) write(files map[string][]byte) (err error) {
	for name, content := range files {
		err = errors.Join(err, os.WriteFile(a.file(name), content, 0o600))
	}
	return err
}

// openssl measures a command of it; one that it refuses is told in the details, since it is not what is measured here.
func (a *benchAuthority) openssl(ctx context.Context, s *benchSettings, m *measurement, args []string) error {
	rates, err := contend(ctx, min(s.duration(), opensslTime), 1, []way{{name: "openssl", do: func(ctx context.Context, _ int) error {
		_, err := program(ctx, "openssl", args...)
		return err
	}}}, []int{1})
	if ctx.Err() != nil {
		return ctx.Err()
	}
	if err != nil {
		m.Details["openssl"] = err.Error()
		return nil
	}
	m.Details["openssl"] = rates[0].figures(rate{})
	m.Details["openssl_how"] = opensslHow
	m.Details["ratio_to_openssl"] = m.PerSecond / rates[0].perSecond
	return nil
}
