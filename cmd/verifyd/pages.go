package main

import (
	"log/slog"
	"net/http"
	"time"

	"trustcore/cmd/verifyd/page"
)

// withPage serves the page for people, whose documents go to the API, and the API.
func (t *trust) withPage(api http.Handler, log *slog.Logger) (http.Handler, error) {
	p, err := page.New(page.Config{API: api, Lists: func() page.Lists { return t.forPage(time.Now()) }, Logger: log})
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
