package batch_test

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"trustcore/cmd/internal/batch"
)

// hook is a program that hears of finished batches.
type hook struct {
	mu      sync.Mutex
	failing bool
	heard   chan notice
}

type notice struct {
	address string
	header  http.Header
	body    string
}

func (h *hook) send(_ context.Context, address string, header http.Header, body []byte) error {
	h.mu.Lock()
	failing := h.failing
	h.failing = false
	h.mu.Unlock()
	h.heard <- notice{address, header, string(body)}
	if failing {
		return errors.New("503")
	}
	return nil
}

// TestNotices tells the owner of a finished batch, signed, again where it was not taken, and each time of its own
// signature.
func TestNotices(t *testing.T) {
	d := open(t, func(c *batch.Config) {
		c.Terms = func(owner string) batch.Terms {
			if owner != "ezd" {
				return batch.Terms{}
			}
			return batch.Terms{Webhooks: []string{"https://ezd.gmina.pl/hook"}}
		}
	})
	secret, err := d.queue.NewSecret(t.Context(), "ezd")
	d.must(err)
	h := &hook{failing: true, heard: make(chan notice, 10)}
	ctx, stop := context.WithCancel(t.Context())
	sending := make(chan error, 1)
	go func() { sending <- d.queue.SendNotices(ctx, h.send) }()
	defer func() { stop(); d.must(<-sending) }()
	for _, owner := range []string{"peup", "ezd"} {
		id := d.begin(owner, batch.Wish{})
		d.add(owner, id, "a", "bad")
		d.finished(owner, id)
	}
	first := <-h.heard
	d.ahead.Store(int64(time.Minute))
	d.finished("ezd", d.begin("ezd", batch.Wish{})) // wakes the sender, for whom the first is due again
	found := map[string]notice{}
	for len(found) < 2 {
		n := <-h.heard
		found[n.header.Get("Webhook-Id")] = n
	}
	again, repeated := found[first.header.Get("Webhook-Id")]
	if !repeated || again.body != first.body ||
		again.header.Get("Webhook-Signature") == first.header.Get("Webhook-Signature") {
		t.Errorf("%+v after %+v", again, first)
	}
	if !strings.Contains(first.body, `"documents":2`) || !strings.Contains(first.body, `"refused":1`) ||
		!strings.Contains(first.body, "batch.finished") {
		t.Errorf("%s", first.body)
	}
	for _, n := range []notice{first, again} {
		if want := signature(t, secret, n); n.header.Get("Webhook-Signature") != want ||
			n.address != "https://ezd.gmina.pl/hook" {
			t.Errorf("%+v, want %s", n, want)
		}
	}
}

// signature is what a receiver expects by the rules of Standard Webhooks.
func signature(t *testing.T, secret string, n notice) string {
	t.Helper()
	key, err := base64.StdEncoding.DecodeString(strings.TrimPrefix(secret, "whsec_"))
	if err != nil || len(key) != 32 {
		t.Fatalf("%q: %v", secret, err)
	}
	mac := hmac.New(sha256.New, key)
	mac.Write([]byte(n.header.Get("Webhook-Id") + "." + n.header.Get("Webhook-Timestamp") + "." + n.body))
	return "v1," + base64.StdEncoding.EncodeToString(mac.Sum(nil))
}
