// Package identity holds what a program shows to the others of the appliance: a certificate and its key in files, read again
// when they change and renewed long before they end, without a restart and without a failed call.
package identity

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io/fs"
	"net/http"
	"os"
	"sync"
	"time"

	"trustcore/internal/durable"
)

// Identity is what a daemon shows to the others and whom it trusts.
type Identity struct {
	Certificate string `koanf:"certificate"` // PEM chain, the daemon's certificate first
	Key         string `koanf:"key"`         // PEM private key, mode 0600
	CA          string `koanf:"ca"`          // PEM certificates that the peer's chain must end in
}

// Check names the missing key.
func (id Identity) Check() error {
	for key, value := range map[string]string{"certificate": id.Certificate, "key": id.Key, "ca": id.CA} {
		if value == "" {
			return fmt.Errorf("identity.%s is missing: the path of a PEM file", key)
		}
	}
	return nil
}

// Server returns the settings of a listener. With clients every client must show a certificate of the CA. A handshake shows the
// certificate that is in the file then.
func (id Identity) Server(clients bool) (*tls.Config, error) {
	held, pool, err := id.open()
	if err != nil {
		return nil, err
	}
	c := &tls.Config{MinVersion: tls.VersionTLS13, GetCertificate: func(*tls.ClientHelloInfo) (*tls.Certificate, error) { return held.current() }}
	if clients {
		c.ClientAuth, c.ClientCAs = tls.RequireAndVerifyClientCert, pool
	}
	return c, nil
}

// Client returns the settings of a connection to another daemon. A handshake shows the certificate that is in the file then.
func (id Identity) Client() (*tls.Config, error) {
	held, pool, err := id.open()
	if err != nil {
		return nil, err
	}
	return &tls.Config{MinVersion: tls.VersionTLS13, RootCAs: pool,
		GetClientCertificate: func(*tls.CertificateRequestInfo) (*tls.Certificate, error) { return held.current() }}, nil
}

// HTTP returns a client of another daemon, over one connection for many calls. Each ends after the timeout; with 0 its context alone
// ends it.
func (id Identity) HTTP(timeout time.Duration) (*http.Client, error) {
	settings, err := id.Client()
	if err != nil {
		return nil, err
	}
	return &http.Client{Timeout: timeout,
		Transport: &http.Transport{TLSClientConfig: settings, ForceAttemptHTTP2: true, IdleConnTimeout: time.Minute}}, nil
}

// Anonymous returns a client that shows no certificate, such as one with a token, to a daemon whose chain ends in the CA.
func Anonymous(ca string) (*http.Client, error) {
	pool, err := readPool(ca)
	if err != nil {
		return nil, err
	}
	return &http.Client{Transport: &http.Transport{ForceAttemptHTTP2: true, IdleConnTimeout: time.Minute,
		TLSClientConfig: &tls.Config{MinVersion: tls.VersionTLS13, RootCAs: pool}}}, nil
}

func (id Identity) open() (*held, *x509.CertPool, error) {
	h := &held{id: id}
	if _, err := h.current(); err != nil {
		return nil, nil, err
	}
	pool, err := readPool(id.CA)
	if err != nil {
		return nil, nil, fmt.Errorf("identity.ca: %w", err)
	}
	return h, pool, nil
}

func readPool(file string) (*x509.CertPool, error) {
	pem, err := os.ReadFile(file)
	if err != nil {
		return nil, err
	}
	pool := x509.NewCertPool()
	if !pool.AppendCertsFromPEM(pem) {
		return nil, fmt.Errorf("%s holds no PEM certificate", file)
	}
	return pool, nil
}

// lookEvery is how often the files are looked at while they are in use.
const lookEvery = time.Second

// held is the pair that is in the files, read again when the certificate's file is another one.
type held struct {
	id Identity

	mu      sync.Mutex
	pair    *tls.Certificate // guarded by mu
	file    os.FileInfo      // of the certificate; guarded by mu
	looking time.Time        // when the file was looked at last; guarded by mu
}

// current returns the pair in the files; one that can't be read leaves the pair before in use.
func (h *held) current() (*tls.Certificate, error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	now := time.Now()
	if h.pair != nil && now.Sub(h.looking) < lookEvery {
		return h.pair, nil
	}
	h.looking = now
	file, err := os.Stat(h.id.Certificate)
	if err == nil && h.pair != nil && os.SameFile(file, h.file) && file.ModTime().Equal(h.file.ModTime()) {
		return h.pair, nil
	}
	if err == nil {
		var pair *tls.Certificate
		if pair, err = h.id.load(); err == nil {
			h.pair, h.file = pair, file
		}
	}
	if h.pair == nil {
		return nil, fmt.Errorf("identity: %w", err)
	}
	return h.pair, nil
}

// Shown is the certificate that a handshake would show now.
func (id Identity) Shown() (*x509.Certificate, error) {
	pair, err := id.load()
	if err != nil {
		return nil, fmt.Errorf("identity: %w", err)
	}
	return pair.Leaf, nil
}

// load reads the pair. A renewal that ended between certificate and key is completed.
func (id Identity) load() (*tls.Certificate, error) {
	pair, err := tls.LoadX509KeyPair(id.Certificate, id.Key)
	if err == nil {
		return &pair, nil
	}
	renewed, also := tls.LoadX509KeyPair(id.Certificate, id.nextKey())
	if errors.Is(also, fs.ErrNotExist) {
		return nil, err
	}
	if also != nil {
		return nil, errors.Join(err, also)
	}
	return &renewed, id.takeNextKey()
}

// nextKey is the file of a key whose certificate is being asked for.
func (id Identity) nextKey() string { return id.Key + ".next" }

// takeNextKey makes the next key the key. Until it is done the certificate and the next key fit together.
func (id Identity) takeNextKey() error {
	text, err := os.ReadFile(id.nextKey())
	if err != nil {
		return err
	}
	if err := durable.WriteFile(id.Key, text, 0o600); err != nil {
		return err
	}
	return durable.Remove(id.nextKey())
}
