package main

import (
	"bytes"
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"trustcore/internal/durable"
	"trustcore/vpn"
	"trustcore/vpn/office"
)

// state is the folder in which the office keeps what is its own. Only its owner may look
// into it: it holds both private keys.
type state struct{ dir string }

// The files of the folder.
const (
	wireguardKeyFile = "wireguard.key"   // base64
	tlsKeyFile       = "tls.key"         // PEM, PKCS #8, P-256
	requestFile      = "request.pem"     // PEM, PKCS #10; kept so that a repeated enrolment is the same one
	exchangeFile     = "exchange.key"    // of the agreement on the first pre-shared key, until it is made
	certificateFile  = "certificate.pem" // PEM chain, ours first
	caFile           = "ca.pem"          // PEM anchors of the core's servers
	officeFile       = "office.json"     // written last: the office is enrolled when it is there
	runtimeFile      = "status.json"     // of trustlink up
)

// record is what office.json holds.
type record struct {
	Core        string           `json:"core"`         // URL of the core
	TokenSHA256 string           `json:"token_sha256"` // of the token that was used, hexadecimal
	Enrolment   office.Enrolment `json:"enrolment"`

	settings office.Settings // that the core set since; zero before
}

func (s state) path(name string) string { return filepath.Join(s.dir, name) }

// prepare makes the folder.
func (s state) prepare() error {
	if err := os.MkdirAll(s.dir, 0o700); err != nil {
		return fmt.Errorf("the state folder: %w (choose another with --state)", err)
	}
	if err := protect(s.dir); err != nil {
		return fmt.Errorf("keep others out of the state folder %s: %w", s.dir, err)
	}
	return nil
}

// enrolled reads office.json; the error says how to get one.
func (s state) enrolled() (record, error) {
	var r record
	data, err := os.ReadFile(s.path(officeFile))
	if errors.Is(err, fs.ErrNotExist) {
		return r, fmt.Errorf("this office is not enrolled in %s: run trustlink enrol with the token from the data centre", s.dir)
	}
	if err == nil {
		err = json.Unmarshal(data, &r)
	}
	if err == nil {
		err = r.Enrolment.Validate()
	}
	if err != nil {
		return r, fmt.Errorf("read %s: %w", s.path(officeFile), err)
	}
	kept, err := s.secrets(r)
	r.Enrolment.Hub.PresharedKey = kept.InUse.Key
	if err == nil {
		err = s.follow(&r)
	}
	return r, err
}

// wireguardKey is the office's own, made at the first call.
func (s state) wireguardKey() (vpn.PrivateKey, error) {
	return vpn.LoadOrCreateKey(s.path(wireguardKeyFile))
}

// tlsKey is the key of the client certificate, made at the first call.
func (s state) tlsKey() (crypto.Signer, error) {
	data, err := os.ReadFile(s.path(tlsKeyFile))
	if errors.Is(err, fs.ErrNotExist) {
		return s.newTLSKey()
	}
	if err != nil {
		return nil, err
	}
	block, _ := pem.Decode(data)
	if block == nil {
		return nil, fmt.Errorf("%s holds no PEM key", s.path(tlsKeyFile))
	}
	key, err := x509.ParsePKCS8PrivateKey(block.Bytes)
	if err != nil {
		return nil, fmt.Errorf("read %s: %w", s.path(tlsKeyFile), err)
	}
	signer, is := key.(crypto.Signer)
	if !is {
		return nil, fmt.Errorf("%s holds a key that cannot sign", s.path(tlsKeyFile))
	}
	return signer, nil
}

func (s state) newTLSKey() (crypto.Signer, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, fmt.Errorf("make the TLS key: %w", err)
	}
	der, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		return nil, err
	}
	return key, s.write(tlsKeyFile, pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der}))
}

// request is the certificate request over the TLS key. The core decides the names; the
// request only carries the public key and proves that we hold the private one.
func (s state) request(key crypto.Signer) ([]byte, error) {
	if text, err := os.ReadFile(s.path(requestFile)); err == nil && requestsFor(text, key) {
		return text, nil
	}
	der, err := x509.CreateCertificateRequest(rand.Reader, &x509.CertificateRequest{}, key)
	if err != nil {
		return nil, fmt.Errorf("make the certificate request: %w", err)
	}
	text := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE REQUEST", Bytes: der})
	return text, s.write(requestFile, text)
}

func requestsFor(text []byte, key crypto.Signer) bool {
	block, _ := pem.Decode(text)
	if block == nil {
		return false
	}
	request, err := x509.ParseCertificateRequest(block.Bytes)
	return err == nil && samePublic(request.PublicKey, key.Public())
}

func samePublic(a, b crypto.PublicKey) bool {
	x, errX := x509.MarshalPKIXPublicKey(a)
	y, errY := x509.MarshalPKIXPublicKey(b)
	return errX == nil && errY == nil && bytes.Equal(x, y)
}

// keep stores an enrolment. office.json comes last, so that a crash before it leaves an
// office that enrols again with the same keys.
func (s state) keep(r record) error {
	data, err := json.MarshalIndent(r, "", "  ")
	if err != nil {
		return err
	}
	for _, file := range []struct {
		name string
		data []byte
	}{{certificateFile, []byte(r.Enrolment.Certificate)}, {caFile, []byte(r.Enrolment.CA)}, {officeFile, data}} {
		if err := s.write(file.name, file.data); err != nil {
			return err
		}
	}
	return nil
}

// write replaces a file, readable by its owner alone.
func (s state) write(name string, data []byte) error {
	if err := durable.WriteFile(s.path(name), data, 0o600); err != nil {
		return fmt.Errorf("write %s: %w", s.path(name), err)
	}
	return nil
}
