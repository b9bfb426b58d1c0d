package identity

import (
	"bytes"
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
	"fmt"
	"io/fs"
	"net"
	"os"
	"time"

	"trustcore/internal/durable"
)

// Replace makes a key, has it certified for the holder of the certificate old, and puts both into the files; the new certificate has
// to end after the time by. Whatever ends it, the files hold a pair that fits: what was there before, or the new one whose key is
// still in the file of the next. What lies in the files need not be of use any more.
func (id Identity) Replace(ctx context.Context, old *x509.Certificate, by time.Time, ask Ask) error {
	key, err := id.makeNextKey()
	if err != nil {
		return err
	}
	request, err := requestFor(key, old.Subject.CommonName, old.DNSNames, old.IPAddresses)
	if err != nil {
		return err
	}
	chain, err := ask(ctx, request)
	if err != nil {
		return err
	}
	if err := fits(chain, key, old, by); err != nil {
		return fmt.Errorf("the answer: %w", err)
	}
	return id.Install(chain)
}

// Request makes the next key, or finds it, and returns a request in DER for its certificate. The pair in the files stays in use
// until Install.
func (id Identity) Request(commonName string) ([]byte, error) {
	key, err := id.makeNextKey()
	if err != nil {
		return nil, err
	}
	return requestFor(key, commonName, nil, nil)
}

func requestFor(key crypto.Signer, commonName string, dns []string, ips []net.IP) ([]byte, error) {
	return x509.CreateCertificateRequest(rand.Reader, &x509.CertificateRequest{
		Subject: pkix.Name{CommonName: commonName}, DNSNames: dns, IPAddresses: ips}, key)
}

// ErrNoKey tells that a certificate is for none of the keys that are there.
var ErrNoKey = errors.New("the certificate is for no key that is here")

// Install puts a chain in PEM, the certificate first, beside its key: the next one, which becomes the key, or the key itself.
func (id Identity) Install(chain []byte) error {
	key, next := id.holds(id.Key, chain), id.holds(id.nextKey(), chain)
	if !key && !next {
		return ErrNoKey
	}
	if err := durable.WriteFile(id.Certificate, chain, 0o600); err != nil || key {
		return err
	}
	return id.takeNextKey()
}

// holds reports whether the first certificate of a chain is for the key in a file.
func (id Identity) holds(file string, chain []byte) bool {
	text, err := os.ReadFile(file)
	if err == nil {
		_, err = tls.X509KeyPair(chain, text)
	}
	return err == nil
}

// makeNextKey returns the key in the file of the next, made before a renewal that was not ended or now: who repeats a request
// repeats its key.
func (id Identity) makeNextKey() (crypto.Signer, error) {
	text, err := os.ReadFile(id.nextKey())
	if err == nil {
		if key, err := parseKey(text); err == nil {
			return key, nil
		}
	} else if !errors.Is(err, fs.ErrNotExist) {
		return nil, err
	}
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, err
	}
	pkcs8, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		return nil, err
	}
	return key, durable.WriteFile(id.nextKey(), pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: pkcs8}), 0o600)
}

func parseKey(text []byte) (crypto.Signer, error) {
	block, _ := pem.Decode(text)
	if block == nil {
		return nil, errors.New("no PEM")
	}
	key, err := x509.ParsePKCS8PrivateKey(block.Bytes)
	if err != nil {
		return nil, err
	}
	signer, ok := key.(crypto.Signer)
	if !ok {
		return nil, errors.New("no signature key")
	}
	return signer, nil
}

// fits refuses a chain that is not for the key and the holder, or that is over by a time.
func fits(chain []byte, key crypto.Signer, old *x509.Certificate, by time.Time) error {
	pkcs8, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		return err
	}
	pair, err := tls.X509KeyPair(chain, pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: pkcs8}))
	switch {
	case err != nil:
		return err
	case !bytes.Equal(pair.Leaf.RawSubject, old.RawSubject):
		return fmt.Errorf("the certificate is for %s, not for %s", pair.Leaf.Subject, old.Subject)
	case !pair.Leaf.NotAfter.After(by):
		return fmt.Errorf("the certificate ends no later than %s", by.UTC().Format(time.RFC3339))
	}
	return nil
}
