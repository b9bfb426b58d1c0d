package main

import (
	"crypto/x509"
	"fmt"
	"slices"
	"strings"
	"time"

	"trustcore/cmd/internal/httpserver"
	"trustcore/verify/poland"
	"trustcore/verify/trustlist"
)

// ending is something that verifyd judges by, that ends, and whose successor people have to bring. It is written as
// trustd writes what ends.
type ending struct {
	Kind     string    `json:"kind"` // endOfPin or endOfSigner
	Subject  string    `json:"subject"`
	NotAfter time.Time `json:"not_after"`
	Renewed  string    `json:"renewed"` // "by people"
	Due      time.Time `json:"due"`     // when people have to hear of it
	Remedy   string    `json:"remedy"`
}

// Kinds of endings.
const (
	endOfPin    = "pin"
	endOfSigner = "lotl-signer"
)

// announced is how many days before an end people are told for the first time, lastDays when it presses.
const announced, lastDays = 60, 7

func newEnding(kind, subject string, end time.Time, remedy string) ending {
	return ending{kind, subject, end, "by people", end.AddDate(0, 0, -announced), remedy}
}

// endings are those of the list of pins and of the signers of the list of the lists, what ends first first.
func endings(pins *poland.Pins, signers []trustlist.Signers) []ending {
	list := endingsOfPins(pins)
	if len(signers) > 0 {
		list = append(list, endingsOfSigners(&signers[len(signers)-1])...)
	}
	slices.SortStableFunc(list, func(a, b ending) int { return a.NotAfter.Compare(b.NotAfter) })
	return list
}

// endingsOfPins tells of each kind of pins when its last one ends: those before it have a successor.
func endingsOfPins(p *poland.Pins) (list []ending) {
	const renew = "take a newer version, or renew the list of pins (docs/pins.md) and name it by pins"
	add := func(subject string, spans []poland.Span) {
		if last := lastDay(spans); !last.IsZero() {
			list = append(list, newEnding(endOfPin, subject, last.AddDate(0, 0, 1), renew))
		}
	}
	var spans []poland.Span
	for i := range p.Seals {
		spans = append(spans, p.Seals[i].Span)
	}
	add("seal of podpis zaufany", spans)
	spans = nil
	for i := range p.Listed {
		spans = append(spans, p.Listed[i].Span)
	}
	add("entry for seals of podpis zaufany on the Polish list", spans)
	spans = nil
	for i := range p.Cohorts {
		spans = append(spans, p.Cohorts[i].Span)
	}
	add("authorities of podpis osobisty", spans)
	spans = nil
	for i := range p.Receipts {
		spans = append(spans, p.Receipts[i].Span)
	}
	add("seals of receipts", spans)
	return list
}

// lastDay is the last day of all spans; zero where there is none, or one is open.
func lastDay(spans []poland.Span) (last time.Time) {
	for _, s := range spans {
		if s.Until.IsZero() {
			return time.Time{}
		}
		if s.Until.After(last) {
			last = s.Until
		}
	}
	return last
}

// endingsOfSigners tells when each of the newest signers of the list of the lists ends.
func endingsOfSigners(s *trustlist.Signers) (list []ending) {
	const renew = "nothing while lists are fetched, since each names the signers of the next; else take a newer version, " +
		"or its successors from the Official Journal (docs/trust.md)"
	for _, der := range s.Certificates {
		c, err := x509.ParseCertificate(der)
		if err != nil {
			continue // the lists say what is wrong with it
		}
		name := strings.TrimSpace(c.Subject.CommonName + " " + c.SerialNumber.Text(16))
		list = append(list, newEnding(endOfSigner, name, c.NotAfter.UTC(), renew))
	}
	return list
}

// endingFindings announces ends. That a signer of the list of the lists has ended is told when none is left.
func endingFindings(list []ending, now time.Time) (found []httpserver.Finding) {
	signers := slices.ContainsFunc(list, func(e ending) bool { return e.Kind == endOfSigner && now.Before(e.NotAfter) })
	for _, e := range list {
		over := !now.Before(e.NotAfter)
		if now.Before(e.Due) || over && e.Kind == endOfSigner && signers {
			continue
		}
		f := httpserver.Finding{State: httpserver.Amber, Remedy: e.Remedy}
		if f.What = fmt.Sprintf("%s %s ends on %s", e.Kind, e.Subject, e.NotAfter.Format(time.DateOnly)); over {
			f.What = fmt.Sprintf("%s %s has ended on %s", e.Kind, e.Subject, e.NotAfter.Format(time.DateOnly))
		}
		if e.Kind == endOfPin && now.AddDate(0, 0, lastDays).After(e.NotAfter) {
			f.State = httpserver.Red
		}
		found = append(found, f)
	}
	return found
}
