package rights

import (
	"fmt"
	"math"
	"net/http"
	"strings"
	"sync"
	"time"

	"trustcore/cmd/internal/application"
	"trustcore/internal/problem"
)

// Quotas hold applications to the requests that they may make in a minute and to the documents that they may have
// judged in a day of UTC. They count in memory: a daemon that starts anew begins anew. Of is required.
type Quotas struct {
	Of   func(name string) *application.Application // nil for one that is not registered, which has no quotas
	Now  func() time.Time                           // nil: time.Now
	Days bool                                       // each POST is a document of the day

	mu   sync.Mutex
	used map[string]*usage // by application; guarded by mu
}

// usage is what an application has used of the minute and of the day.
type usage struct{ minute, day window }

// window is a stretch of time with what was asked in it.
type window struct {
	begin time.Time
	used  int64
}

// rate is a limit of a window; 0 is none.
type rate struct {
	name   string
	length time.Duration
	most   int64
	window *window
}

// full tells when to come again, in seconds.
func (l *rate) full(wait int) *problem.Problem {
	p := problem.Refuse(http.StatusTooManyRequests,
		"the application's %d requests of this minute are used up; try again in %d seconds", l.most, wait)
	if l.length > time.Minute {
		p = problem.Refuse(http.StatusTooManyRequests,
			"the application's %d documents of this day are used up; try again in %d seconds", l.most, wait)
	}
	p.RetryAfter = wait
	return p
}

// Serve is next for who has not used up what it may. Who has learns when to come again, by Retry-After; everybody what
// is left, by RateLimit (draft-ietf-httpapi-ratelimit-headers-10).
func (q *Quotas) Serve(door problem.Door, next Handler) Handler {
	return func(w http.ResponseWriter, r *http.Request, who Holder) {
		if who.Role() == Application {
			if a := q.Of(who.Name); a != nil {
				if err := q.take(w.Header(), a, q.Days && r.Method == http.MethodPost); err != nil {
					door.Fail(w, r, err)
					return
				}
			}
		}
		next(w, r, who)
	}
}

// take counts a request, or refuses it. A request that is refused is not counted.
func (q *Quotas) take(h http.Header, a *application.Application, document bool) error {
	now := time.Now
	if q.Now != nil {
		now = q.Now
	}
	q.mu.Lock()
	defer q.mu.Unlock()
	u := q.used[a.Name]
	if u == nil {
		if q.used == nil {
			q.used = map[string]*usage{}
		}
		u = new(usage)
		q.used[a.Name] = u
	}
	rates := []rate{{"minute", time.Minute, a.RequestsAMinute, &u.minute}}
	if document {
		rates = append(rates, rate{"day", 24 * time.Hour, a.DocumentsADay, &u.day})
	}
	return takeAll(h, rates, now().UTC())
}

// takeAll counts one in each window, or in none where one is full.
func takeAll(h http.Header, rates []rate, now time.Time) (err error) {
	var policies, left []string
	for _, l := range rates {
		if begin := now.Truncate(l.length); !begin.Equal(l.window.begin) {
			*l.window = window{begin: begin}
		}
		if l.most == 0 {
			continue
		}
		wait := int(math.Ceil(l.window.begin.Add(l.length).Sub(now).Seconds()))
		rest := max(0, l.most-l.window.used)
		if rest == 0 && err == nil {
			err = l.full(wait)
		}
		policies = append(policies, fmt.Sprintf(`"%s";q=%d;w=%d`, l.name, l.most, int(l.length.Seconds())))
		left = append(left, fmt.Sprintf(`"%s";r=%d;t=%d`, l.name, max(0, rest-1), wait))
	}
	if len(policies) > 0 {
		h.Set("RateLimit-Policy", strings.Join(policies, ", "))
		h.Set("RateLimit", strings.Join(left, ", "))
	}
	if err != nil {
		return err
	}
	for _, l := range rates {
		l.window.used++
	}
	return nil
}
