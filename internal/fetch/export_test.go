package fetch

import (
	"crypto/tls"
	"crypto/x509"
	"net"
	"net/http"
)

// NewWithResolver lets a test say what names resolve to.
func NewWithResolver(cfg Config, resolver *net.Resolver) *Client {
	return newClient(cfg, &wall{}, resolver)
}

// Trust lets a client take a test server's certificate.
func Trust(c *Client, server *x509.Certificate) {
	pool := x509.NewCertPool()
	pool.AddCert(server)
	c.http.Transport.(*http.Transport).TLSClientConfig = &tls.Config{RootCAs: pool}
}
