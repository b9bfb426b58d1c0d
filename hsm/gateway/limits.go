package gateway

import (
	"context"
	"errors"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	"golang.org/x/time/rate"

	"trustcore/hsm/quota"
	"trustcore/internal/audit"
)

// Scope is what a limit is about.
type Scope string

// The scopes.
const (
	OfKey         Scope = "key"
	OfApplication Scope = "application"
	OfOffice      Scope = "office"
)

// Limit narrows the use of a key by an application, beyond what its grant says. A zero field does not.
type Limit struct {
	Scope     Scope
	Name      string // of its counters: limits of one name count together
	PerSecond int64
	PerDay    int64         // by the days of Config.Zone
	Uses      int64         // for ever
	From      time.Duration // of the day by Config.Zone's clock; the whole day where both are zero
	Until     time.Duration // may lie before From: over midnight
	Documents []string      // types of documents, one of which the request has to name
}

// Meter counts uses over all nodes, as *quota.Meter does.
type Meter interface {
	Take(ctx context.Context, totals []quota.Total, n int64) error
	Give(totals []quota.Total, n int64)
}

// limited refuses a use that is over a limit of the grant, and names the limit. Else the use is counted in the totals
// that it returns.
func (g *gateway) limited(ctx context.Context, u *use, grant Grant) ([]quota.Total, *refusal) {
	now := g.Now().In(g.Zone)
	for _, l := range grant.Limits {
		if why := l.refusal(u, now); why != nil {
			return nil, why
		}
	}
	for _, l := range grant.Limits {
		if l.PerSecond > 0 && !g.limiter(l.Name, rate.Limit(l.PerSecond), int(l.PerSecond)).AllowN(now, len(u.digests)) {
			return nil, refuse(http.StatusTooManyRequests, "limit-rate", "the %s may sign %d times a second", l.Scope, l.PerSecond)
		}
	}
	totals := totalsOf(grant.Limits, now)
	if len(totals) == 0 {
		return nil, nil
	}
	if g.Meter == nil {
		return nil, asRefusal(g.unavailable(errNoMeter))
	}
	err := g.Meter.Take(ctx, totals, int64(len(u.digests)))
	var spent *quota.Spent
	switch {
	case errors.As(err, &spent):
		return nil, spentRefusal(grant.Limits, spent.Total)
	case err != nil:
		return nil, asRefusal(g.unavailable(err))
	}
	return totals, nil
}

var errNoMeter = errors.New("a grant has a quota, and nobody counts")

// refusal is why the limit forbids the use whatever was used before.
func (l Limit) refusal(u *use, now time.Time) *refusal {
	if len(l.Documents) > 0 && !slices.Contains(l.Documents, u.document) {
		return refuse(http.StatusForbidden, "limit-documents", "the %s may sign documents of the types %s; name one of them as document",
			l.Scope, strings.Join(l.Documents, ", "))
	}
	if l.From == 0 && l.Until == 0 {
		return nil
	}
	h, m, s := now.Clock()
	at := time.Duration(h)*time.Hour + time.Duration(m)*time.Minute + time.Duration(s)*time.Second
	within := at >= l.From && at < l.Until
	if l.Until < l.From {
		within = at >= l.From || at < l.Until
	}
	if within {
		return nil
	}
	return refuse(http.StatusForbidden, "limit-hours", "the %s may sign from %s to %s, by the clock of %s", l.Scope, clock(l.From), clock(l.Until),
		now.Location())
}

func clock(d time.Duration) string { return time.Time{}.Add(d).Format("15:04") }

// totalsOf are what the limits have counted.
func totalsOf(limits []Limit, now time.Time) (totals []quota.Total) {
	for _, l := range limits {
		if l.PerDay > 0 {
			totals = append(totals, quota.Total{Name: l.Name + dayCounter, Period: now.Format(time.DateOnly), Limit: l.PerDay})
		}
		if l.Uses > 0 {
			totals = append(totals, quota.Total{Name: l.Name + usesCounter, Limit: l.Uses})
		}
	}
	return totals
}

// The counters of a limit, by the end of their names.
const (
	dayCounter  = " a day"
	usesCounter = " for ever"
)

func spentRefusal(limits []Limit, total quota.Total) *refusal {
	for _, l := range limits {
		switch total.Name {
		case l.Name + dayCounter:
			return refuse(http.StatusForbidden, "limit-day", "the %s may sign %d times a day, and has not as many uses left", l.Scope, l.PerDay)
		case l.Name + usesCounter:
			return refuse(http.StatusForbidden, "limit-uses", "the %s may sign %d times in all, and has not as many uses left", l.Scope, l.Uses)
		}
	}
	return asRefusal(nil)
}

// refusalCost is how many signatures of its rate a refusal costs an application, so that who asks in vain again and
// again fills no log.
const refusalCost = 100

// refused writes a refusal into the audit log.
func (g *gateway) refused(ctx context.Context, u *use, grant Grant, why *refusal) {
	g.own(u).ReserveN(g.Now(), min(refusalCost, g.Burst))
	if why.Status == http.StatusTooManyRequests || why.Status == http.StatusServiceUnavailable {
		return // it may come again, and does
	}
	e := g.entries(u, grant, u.digests[:1])[0]
	e.Outcome, e.Reason = audit.Refused, why.Detail
	if len(u.digests) > 1 {
		e.Details["digests"] = strconv.Itoa(len(u.digests))
	}
	if _, err := g.append(ctx, e); err != nil {
		g.Logger.Error("a refusal is not in the audit log", "error", err, "refusal", why.Detail)
	}
}

// own is the rate of the application itself.
func (g *gateway) own(u *use) *rate.Limiter {
	return g.limiter(string(u.print[:]), rate.Limit(g.Rate), g.Burst)
}

// limiter is the one of this name; one whose rate was another is made anew.
func (g *gateway) limiter(name string, per rate.Limit, burst int) *rate.Limiter {
	g.mu.Lock()
	defer g.mu.Unlock()
	l := g.rates[name]
	if l != nil && l.Limit() == per {
		return l
	}
	if len(g.rates) >= maxApplications {
		clear(g.rates)
	}
	l = rate.NewLimiter(per, burst)
	g.rates[name] = l
	return l
}
