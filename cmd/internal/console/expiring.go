package console

import (
	"net/http"
	"strconv"
	"time"
)

// Expiry is one thing that ends.
type Expiry struct {
	Kind           string // a certificate's profile, "crl", "authorisation", "mechanism" or "enrolment-token"
	Subject        string
	Partner, Order string // "" for the data centre's own
	NotAfter       time.Time
	ByItself       bool // it renews without people
	Act            bool // people must act now: on their part of a renewal, or on one that is late
	Step           int  // days of the announcement that is due: 60, 30, 14, 7 or 1; 0 after the end
	// Remedy is what people do: "ceremony", "root-list", "officer", "authorisation", "token"; "holder" or
	// "authority" when who should have renewed by itself is to be looked at.
	Remedy  string
	Failure string // why the last renewal failed, in English; optional
}

// expiryRow is a thing that ends with the time it has left.
type expiryRow struct {
	Expiry
	Left time.Duration
}

// Over reports whether the end has come.
func (e expiryRow) Over() bool { return e.Left < 0 }

// Days are the whole days that are left.
func (e expiryRow) Days() int { return int(e.Left / (24 * time.Hour)) }

// Mark says how urgent the acting is: by the announcement, or "act" long before the first.
func (e expiryRow) Mark() string {
	if e.Left > time.Duration(e.Step)*24*time.Hour {
		return "act"
	}
	return strconv.Itoa(e.Step)
}

// expiryRows returns all, and those of them on which people must act; both keep the order.
func expiryRows(found []Expiry, now time.Time) (all, act []expiryRow) {
	for _, e := range found {
		row := expiryRow{e, e.NotAfter.Sub(now)}
		if all = append(all, row); e.Act {
			act = append(act, row)
		}
	}
	return all, act
}

type expiringPage struct {
	frame
	Act    table[expiryRow]
	Ending list[expiryRow]
}

// showExpiring lists all that ends: first that on which people must act.
func (c *Console) showExpiring(w http.ResponseWriter, r *http.Request, v view) {
	ctx, cancel := reading(r)
	defer cancel()
	world := c.read(ctx, "", partExpiring)
	p := &expiringPage{frame: c.framed(r, v, "expiring", v.word("expiring"))}
	all, act := expiryRows(world.expiring, p.Now)
	p.Act = tableOf(act, world.failed[partExpiring])
	p.Ending = listOf(r, "expiring", all, world.failed[partExpiring], func(e expiryRow) []string {
		return []string{v.speech.term("expiry", e.Kind), e.Subject, e.Partner, e.Order}
	})
	c.render(w, r, v, http.StatusOK, "expiring-page", p)
}
