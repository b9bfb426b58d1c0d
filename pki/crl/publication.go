package crl

import (
	"crypto/sha256"
	"crypto/x509"
	"encoding/hex"
	"fmt"
	"net/http"
	"strconv"
	"sync/atomic"
	"time"

	"trustcore/internal/problem"
)

// MaxAge is how long HTTP caches may repeat a list before they ask again.
const MaxAge = 60 * time.Second

// Publication is an http.Handler that gives out the newest list it was given. The zero value answers 503 until then.
type Publication struct {
	current atomic.Pointer[published]
}

type published struct {
	der  []byte
	list *x509.RevocationList
	etag string
}

// Set publishes a list. An older number than the present one is ignored: another node may be ahead of this one.
func (p *Publication) Set(der []byte) error {
	list, err := x509.ParseRevocationList(der)
	if err != nil {
		return fmt.Errorf("publishing a CRL: %w", err)
	}
	sum := sha256.Sum256(der)
	next := &published{der: der, list: list, etag: `"` + hex.EncodeToString(sum[:16]) + `"`}
	for {
		old := p.current.Load()
		if old != nil && old.list.Number.Cmp(list.Number) >= 0 {
			return nil
		}
		if p.current.CompareAndSwap(old, next) {
			return nil
		}
	}
}

// Current returns the published list, nil when there is none.
func (p *Publication) Current() (der []byte, list *x509.RevocationList) {
	if now := p.current.Load(); now != nil {
		return now.der, now.list
	}
	return nil, nil
}

// ServeHTTP answers GET and HEAD with the list (RFC 2585: application/pkix-crl).
func (p *Publication) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if r.Method != http.MethodGet && r.Method != http.MethodHead {
		problem.MethodNotAllowed(w, "GET, HEAD")
		return
	}
	now := p.current.Load()
	if now == nil {
		problem.Refuse(http.StatusServiceUnavailable, "there is no list yet").Write(w)
		return
	}
	h := w.Header()
	h.Set("Content-Type", "application/pkix-crl")
	h.Set("Cache-Control", "max-age="+strconv.Itoa(int(MaxAge/time.Second))+", public, no-transform, must-revalidate")
	h.Set("Last-Modified", now.list.ThisUpdate.UTC().Format(http.TimeFormat))
	h.Set("Expires", now.list.NextUpdate.UTC().Format(http.TimeFormat))
	h.Set("ETag", now.etag)
	if r.Header.Get("If-None-Match") == now.etag {
		w.WriteHeader(http.StatusNotModified)
		return
	}
	h.Set("Content-Length", strconv.Itoa(len(now.der)))
	// A client that went away has no use for the error.
	_, _ = w.Write(now.der)
}
