package trustlist

import (
	"encoding/hex"
	"time"
)

// Summary is a list for people: its services with what they are entitled to now and were before.
type Summary struct {
	Territory  string           `json:"territory"`
	Sequence   int              `json:"sequence"`
	Version    int              `json:"version"`
	Issued     time.Time        `json:"issued"`
	NextUpdate time.Time        `json:"next_update,omitzero"`
	Services   []ServiceSummary `json:"services"`
}

// ServiceSummary is one service of a Summary.
type ServiceSummary struct {
	Provider     string          `json:"provider"`
	Name         string          `json:"name"`
	Type         string          `json:"type"` // the last parts of URIs, as of statuses and what is additional
	Granted      bool            `json:"granted"`
	Certificates []string        `json:"certificates"` // SHA-256, lower-case hex
	Periods      []PeriodSummary `json:"periods"`      // newest first
}

// PeriodSummary is what a service was entitled to from a time on.
type PeriodSummary struct {
	Since      time.Time `json:"since"`
	Status     string    `json:"status"`
	Additional []string  `json:"additional,omitempty"`
	Qualifiers []string  `json:"qualifiers,omitempty"` // of certificates that meet criteria
}

// Summary tells what the list says.
func (l *List) Summary() Summary {
	s := Summary{l.Territory, l.Sequence, l.Version, l.Issued, l.NextUpdate, []ServiceSummary{}}
	for _, svc := range l.Services {
		one := ServiceSummary{Provider: svc.Provider, Name: svc.Name, Type: Short(svc.Periods[0].Type), Granted: svc.Periods[0].Granted(),
			Certificates: []string{}}
		for _, c := range svc.Certificates {
			one.Certificates = append(one.Certificates, hex.EncodeToString(c.Fingerprint[:]))
		}
		for i := range svc.Periods {
			one.Periods = append(one.Periods, svc.Periods[i].summary())
		}
		s.Services = append(s.Services, one)
	}
	return s
}

func (p *Period) summary() PeriodSummary {
	s := PeriodSummary{Since: p.From, Status: Short(p.Status)}
	for _, a := range p.Additional {
		s.Additional = append(s.Additional, Short(a))
	}
	for _, q := range p.Qualifications {
		s.Qualifiers = append(s.Qualifiers, q.Qualifiers...)
	}
	return s
}
