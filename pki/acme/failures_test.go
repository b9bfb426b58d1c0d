package acme_test

import (
	"context"
	"errors"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	xacme "golang.org/x/crypto/acme"

	"trustcore/internal/store/storetest"
	"trustcore/pki/acme"
)

const otherHost = "bip.przykladowo.example"

// limitedFor expects a refusal by rate, and returns after which time the client may come again.
func limitedFor(t *testing.T, what string, err error) time.Duration {
	t.Helper()
	wants(t, what, err, "rateLimited")
	var p *xacme.Error
	if !errors.As(err, &p) || p.StatusCode != 429 {
		return 0
	}
	seconds, bad := strconv.Atoi(p.Header.Get("Retry-After"))
	if bad != nil || seconds < 1 || seconds > 3600 {
		t.Errorf("%s: Retry-After %q", what, p.Header.Get("Retry-After"))
	}
	return time.Duration(seconds) * time.Second
}

// fails has a name of a new order not be proved, as its host does not answer.
func (h *house) fails(c *xacme.Client, name string) error {
	h.t.Helper()
	o, err := c.AuthorizeOrder(h.t.Context(), xacme.DomainIDs(name))
	if err == nil {
		err = h.prove(c, o.AuthzURLs[0], "http-01")
	}
	return err
}

// TestValidationsThatFailAreLimited fails until the limit of an account and name: another name and another account go on, a success takes
// the failures back, and after Retry-After the name may be tried again.
func TestValidationsThatFailAreLimited(t *testing.T) {
	var ahead atomic.Int64
	h := build(t, storetest.SQLite(t), func(cfg *acme.Config) {
		cfg.Now = func() time.Time { return time.Now().Add(time.Duration(ahead.Load())) }
	})
	c, other := h.registered(partner), h.registered(partner)
	for range 4 {
		if err := h.fails(c, host); err == nil || strings.Contains(err.Error(), "rateLimited") {
			t.Fatalf("a failure: %v", err)
		}
	}
	o := h.ready(c, host) // takes the four back
	if _, _, err := c.CreateOrderCert(t.Context(), o.FinalizeURL, request(t, newKey(t), named(host)), true); err != nil {
		t.Fatal(err)
	}
	h.world.gone(office + ":80")
	waiting, err := c.AuthorizeOrder(t.Context(), xacme.DomainIDs(host))
	h.must(err)
	for n := range 5 {
		if err := h.fails(c, host); err == nil || strings.Contains(err.Error(), "rateLimited") {
			t.Fatalf("failure %d: %v", n+1, err)
		}
	}
	dialled := h.world.dialled()
	limitedFor(t, "a challenge of an order from before", h.prove(c, waiting.AuthzURLs[0], "http-01"))
	wait := limitedFor(t, "a new order", h.fails(c, host))
	if h.world.dialled() != dialled {
		t.Error("a host was asked all the same")
	}
	_, err = c.AuthorizeOrder(t.Context(), xacme.DomainIDs(otherHost, host))
	limitedFor(t, "beside another name", err)
	if err := h.fails(c, otherHost); err == nil || strings.Contains(err.Error(), "rateLimited") {
		t.Errorf("another name: %v", err)
	}
	if err := h.fails(other, host); err == nil || strings.Contains(err.Error(), "rateLimited") {
		t.Errorf("another account: %v", err)
	}
	ahead.Store(int64(wait))
	later := h.client() // whose nonces are not as old
	later.Key, later.KID = c.Key, c.KID
	h.ready(later, host)
}

// TestManyTriesAtOnceAreLimited has thirty orders tried at once: no more than the limit reach a host.
func TestManyTriesAtOnceAreLimited(t *testing.T) {
	h := build(t, storetest.SQLite(t), nil)
	c := h.registered(partner)
	var challenges []*xacme.Challenge
	for range 30 {
		o, err := c.AuthorizeOrder(t.Context(), xacme.DomainIDs(host))
		h.must(err)
		az, err := c.GetAuthorization(t.Context(), o.AuthzURLs[0])
		h.must(err)
		for _, ch := range az.Challenges {
			if ch.Type == "http-01" {
				challenges = append(challenges, ch)
			}
		}
	}
	var limited atomic.Int64
	var wg sync.WaitGroup
	for _, ch := range challenges {
		wg.Go(func() {
			var p *xacme.Error
			if _, err := c.Accept(context.WithoutCancel(t.Context()), ch); errors.As(err, &p) && p.StatusCode == 429 {
				limited.Add(1)
			}
		})
	}
	wg.Wait()
	if tried := strings.Count(h.world.dialled(), office+":80"); tried != 5 || limited.Load() != 25 {
		t.Errorf("%d hosts were asked, %d tries refused", tried, limited.Load())
	}
}
