package gateway_test

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"trustcore/hsm"
	"trustcore/hsm/gateway"
	"trustcore/hsm/mechanism"
	"trustcore/hsm/quota"
	"trustcore/internal/audit"
)

// limitedHouse has a key under limits, counted in the database of its registry.
func limitedHouse(t *testing.T, change func(*gateway.Config), limits ...gateway.Limit) (h *house, key hsm.KeyInfo) {
	t.Helper()
	h = build(t, func(c *gateway.Config) {
		zone, err := time.LoadLocation("Europe/Warsaw")
		if err != nil {
			t.Fatal(err)
		}
		c.Zone, c.Meter = zone, lateMeter{func() gateway.Meter { return meter(t, h) }}
		if change != nil {
			change(c)
		}
	})
	key = h.key(t, "partner-1", "ezd", hsm.P256, mechanism.ECDSASHA256)
	h.set(func() { h.grants["ezd"][0].Limits = limits })
	return h, key
}

// lateMeter is a meter over a database that is opened after the gateway's configuration is made.
type lateMeter struct{ open func() gateway.Meter }

func (l lateMeter) Take(ctx context.Context, totals []quota.Total, n int64) error {
	return l.open().Take(ctx, totals, n)
}
func (l lateMeter) Give(totals []quota.Total, n int64) { l.open().Give(totals, n) }

func meter(t *testing.T, h *house) gateway.Meter {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.meter == nil {
		m, err := quota.Open(context.Background(), h.tok.Config.DB)
		if err != nil {
			t.Error(err)
		}
		h.meter = m
	}
	return h.meter
}

func (h *house) signs(t *testing.T, key hsm.KeyInfo, n int, document string) answer {
	t.Helper()
	body := strings.TrimSuffix(batchOf(mechanism.ECDSASHA256, digestsOf(n)...), "}")
	if document != "" {
		body += `,"document":"` + document + `"`
	}
	return post(t, h.http(h.ezd), h.url+"/v1/keys/"+key.ID+"/signatures", body+"}")
}

func wantRule(t *testing.T, what string, a answer, status int, rule string) {
	t.Helper()
	if a.status != status || status != 200 && !strings.HasSuffix(a.Type, ":"+rule) {
		t.Errorf("%s: %d %s, want %d %s", what, a.status, a.text, status, rule)
	}
}

// Uses are counted in all and by the day, where the data centre's days begin; a refusal names the rule and is in the
// log.
func TestQuotas(t *testing.T) {
	h, key := limitedHouse(t, nil,
		gateway.Limit{Scope: gateway.OfKey, Name: "key", Uses: 25}, gateway.Limit{Scope: gateway.OfOffice, Name: "office", PerDay: 10})
	h.ezd = h.ca.client(t, "ezd")
	day := time.Date(2026, 3, 3, 22, 59, 0, 0, time.UTC) // a minute before midnight in Warsaw
	h.set(func() { h.now = day })
	wantRule(t, "within both", h.signs(t, key, 10, ""), 200, "")
	wantRule(t, "over the day's", h.signs(t, key, 1, ""), 403, "limit-day")
	h.set(func() { h.now = day.Add(time.Minute) })
	wantRule(t, "the next day", h.signs(t, key, 10, ""), 200, "")
	h.set(func() { h.now = day.Add(24 * time.Hour) })
	wantRule(t, "that day's end", h.signs(t, key, 1, ""), 403, "limit-day")
	h.set(func() { h.now = day.Add(25 * time.Hour) })
	wantRule(t, "more than are left", h.signs(t, key, 6, ""), 403, "limit-uses")
	wantRule(t, "what is left", h.signs(t, key, 5, ""), 200, "")
	wantRule(t, "nothing is left", h.signs(t, key, 1, ""), 403, "limit-uses")
	uses, refused := 0, 0
	for _, e := range h.entries(t, 25+4) {
		switch {
		case e.Outcome == audit.Granted:
			uses++
		case strings.Contains(e.Reason, "has not as many uses left"):
			refused++
		}
	}
	if uses != 25 || refused != 4 {
		t.Errorf("the log has %d uses and %d refusals", uses, refused)
	}
}

// A use that did not happen is not counted, nor is the same request again.
func TestQuotaCountsWhatHappened(t *testing.T) {
	disk := new(logbook)
	h, key := limitedHouse(t, func(c *gateway.Config) { disk.Auditor = c.Audit; c.Audit = disk },
		gateway.Limit{Scope: gateway.OfKey, Name: "key", Uses: 2})
	h.ezd = h.ca.client(t, "ezd")
	disk.set(false, true)
	for range 3 {
		wantRule(t, "the log is full", h.signs(t, key, 1, ""), 503, "audit-unavailable")
	}
	disk.set(false, false)
	again := map[string]string{"Idempotency-Key": "once"}
	for range 3 {
		a := postAs(t, h.http(h.ezd), h.url+"/v1/keys/"+key.ID+"/sign", request(mechanism.ECDSASHA256, make([]byte, 32)), again)
		wantRule(t, "the same request", a, 200, "")
	}
	wantRule(t, "the second use", h.signs(t, key, 1, ""), 200, "")
	wantRule(t, "a third", h.signs(t, key, 1, ""), 403, "limit-uses")
}

// Hours are the data centre's, over midnight too; types of documents have to be named; a rate counts digests.
func TestHoursDocumentsAndRate(t *testing.T) {
	h, key := limitedHouse(t, nil)
	h.ezd = h.ca.client(t, "ezd")
	limit := func(l gateway.Limit) { h.set(func() { h.grants["ezd"][0].Limits = []gateway.Limit{l} }) }
	for _, try := range []struct {
		utc         int // hour; Warsaw is one ahead in winter
		from, until time.Duration
		status      int
	}{
		{5, 7 * time.Hour, 18 * time.Hour, 403}, {6, 7 * time.Hour, 18 * time.Hour, 200}, {16, 7 * time.Hour, 18 * time.Hour, 200},
		{17, 7 * time.Hour, 18 * time.Hour, 403}, {22, 22 * time.Hour, 6 * time.Hour, 200}, {12, 22 * time.Hour, 6 * time.Hour, 403},
	} {
		h.set(func() { h.now = time.Date(2026, 3, 3, try.utc, 0, 0, 0, time.UTC) })
		limit(gateway.Limit{Scope: gateway.OfApplication, Name: "application", From: try.from, Until: try.until})
		wantRule(t, h.now.String(), h.signs(t, key, 1, ""), try.status, "limit-hours")
	}
	limit(gateway.Limit{Scope: gateway.OfApplication, Name: "application", Documents: []string{"upo", "decision"}})
	wantRule(t, "no type", h.signs(t, key, 1, ""), 403, "limit-documents")
	wantRule(t, "another type", h.signs(t, key, 1, "contract"), 403, "limit-documents")
	wantRule(t, "its type", h.signs(t, key, 1, "decision"), 200, "")
	limit(gateway.Limit{Scope: gateway.OfKey, Name: "key", PerSecond: gateway.MaxBatch})
	wantRule(t, "a second's worth", h.signs(t, key, gateway.MaxBatch, ""), 200, "")
	wantRule(t, "one more", h.signs(t, key, 1, ""), 429, "limit-rate")
	h.set(func() { h.now = h.now.Add(time.Second) })
	wantRule(t, "a second later", h.signs(t, key, gateway.MaxBatch, ""), 200, "")
	named := 0
	for _, e := range h.entries(t, 4+2+1+2*gateway.MaxBatch) {
		if e.Details["document"] == "decision" {
			named++
		}
	}
	if named != 1 {
		t.Errorf("%d entries name the type", named)
	}
}

// A grant with a quota that nobody counts is refused.
func TestNoQuotaWithoutAMeter(t *testing.T) {
	h, key := limitedHouse(t, func(c *gateway.Config) { c.Meter = nil }, gateway.Limit{Scope: gateway.OfKey, Name: "key", Uses: 2})
	h.ezd = h.ca.client(t, "ezd")
	wantRule(t, "no meter", h.signs(t, key, 1, ""), 503, "hsm-unavailable")
}

// Where uses can't be counted, none is made.
func TestNoUseThatIsNotCounted(t *testing.T) {
	h, key := limitedHouse(t, func(c *gateway.Config) { c.Meter = brokenMeter{} }, gateway.Limit{Scope: gateway.OfKey, Name: "key", Uses: 2})
	h.ezd = h.ca.client(t, "ezd")
	wantRule(t, "the database is away", h.signs(t, key, 1, ""), 503, "hsm-unavailable")
}

type brokenMeter struct{}

func (brokenMeter) Take(context.Context, []quota.Total, int64) error {
	return errors.New("the database is away")
}
func (brokenMeter) Give([]quota.Total, int64) {}
