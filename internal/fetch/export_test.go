package fetch

import "net"

// NewWithResolver lets a test say what names resolve to.
func NewWithResolver(cfg Config, resolver *net.Resolver) *Client {
	cfg.Timeout, cfg.MaxBytes = defaultTimeout, defaultMaxBytes
	return newClient(cfg, resolver)
}
