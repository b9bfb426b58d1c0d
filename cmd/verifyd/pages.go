package main

import (
	"context"
	"log/slog"
	"net/http"
	"time"

	"trustcore/cmd/verifyd/page"
	"trustcore/verify"
	"trustcore/verify/api"
	"trustcore/verify/exchange"
	"trustcore/verify/poland"
	"trustcore/verify/trustlist"
)

// withPage serves the page for people, whose documents go to the API, and the API.
// browsers tells that those may judge that can; name is that of the data centre.
func (t *trust) withPage(api http.Handler, name string, browsers bool, log *slog.Logger) (http.Handler, error) {
	p, err := page.New(page.Config{API: api, Name: name, Browsers: browsers, Logger: log,
		Lists: func() page.Lists { return t.forPage(time.Now()) }})
	if err != nil {
		return nil, err
	}
	return p.Over(api), nil
}

// forPage is what people are told of the lists.
func (t *trust) forPage(now time.Time) page.Lists {
	told := page.Lists{Ready: t.ready() == nil}
	for _, l := range t.lists(now) {
		if l.Error != "" || l.Role != "national" && l.Role != "extra" {
			continue
		}
		told.Used++
		if told.Oldest.IsZero() || l.Issued.Before(told.Oldest) {
			told.Oldest = l.Issued
		}
		if l.PastNext {
			told.Overdue = append(told.Overdue, l.Territory)
		}
	}
	return told
}

// forBrowsers is nil where a scanner looks at documents: it has to see them.
func (j *judge) forBrowsers() api.Evidence {
	if j.scanner.Scanner != nil {
		return nil
	}
	return j.evidence
}

// evidence is an api.Evidence: it answers verifiers in browsers by what verifyd itself judges by.
func (j *judge) evidence(ctx context.Context, q *exchange.Question, card *poland.Card) (*exchange.Answer, error) {
	source := exchange.Source{Lists: func() *trustlist.Snapshot { return j.trust.current.Load().Snapshot },
		Policy: func() *verify.Policy { return j.policies.standard() }, Pins: j.pins, Gatherer: j.gatherer, Cache: j.cache, Now: time.Now}
	return source.Answer(ctx, q, card)
}
