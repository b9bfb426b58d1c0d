package trustlist

import (
	"crypto/sha256"
	"slices"
	"strings"
	"time"
)

// Change is one thing in which a list differs from the one before it.
type Change struct {
	What     string    `json:"what"` // "service added", "service removed", "status", "service altered", "signers", "address"
	Provider string    `json:"provider,omitempty"`
	Service  string    `json:"service,omitempty"`
	Type     string    `json:"type,omitempty"` // the last part of the URI, as of statuses
	From     string    `json:"from,omitempty"`
	To       string    `json:"to,omitempty"`
	Since    time.Time `json:"since,omitzero"` // from when the status holds
}

// Changes tells what a newer list says otherwise: services by their type and key, and for a list of the lists what it says
// of others. old may be nil: then everything is new and nothing is told.
func Changes(old, now *List) []Change {
	if old == nil {
		return nil
	}
	changes := changedPointers(old, now)
	before := map[string][]*Service{} // a list may have several services of one key
	for _, s := range old.Services {
		before[s.key()] = append(before[s.key()], s)
	}
	for _, s := range now.Services {
		var was *Service
		if same := before[s.key()]; len(same) > 0 {
			was, before[s.key()] = same[0], same[1:]
		}
		if c, changed := s.since(was); changed {
			changes = append(changes, c)
		}
	}
	for _, s := range old.Services {
		if slices.Contains(before[s.key()], s) {
			c := s.change("service removed")
			c.From = Short(s.Periods[0].Status)
			changes = append(changes, c)
		}
	}
	return changes
}

// since tells how the service differs from what it was; nil is a service that was not there.
func (s *Service) since(was *Service) (Change, bool) {
	p := &s.Periods[0]
	switch {
	case was == nil:
		c := s.change("service added")
		c.To, c.Since = Short(p.Status), p.From
		return c, true
	case was.Periods[0].Status != p.Status || !was.Periods[0].From.Equal(p.From):
		c := s.change("status")
		c.From, c.To, c.Since = Short(was.Periods[0].Status), Short(p.Status), p.From
		return c, true
	case len(was.Periods) != len(s.Periods) || !sameQualifiers(&was.Periods[0], p) || !slices.Equal(was.Periods[0].Additional, p.Additional):
		return s.change("service altered"), true
	}
	return Change{}, false
}

func (s *Service) change(what string) Change {
	return Change{What: what, Provider: s.Provider, Service: s.Name, Type: Short(s.Periods[0].Type)}
}

// Short is the last part of a URI.
func Short(uri string) string { return uri[strings.LastIndexByte(uri, '/')+1:] }

func sameQualifiers(a, b *Period) bool {
	return slices.EqualFunc(a.Qualifications, b.Qualifications, func(x, y Qualification) bool {
		return slices.Equal(x.Qualifiers, y.Qualifiers)
	})
}

// key is what a service is known by over the versions of its list: its type and its first certificate, or its name.
func (s *Service) key() string {
	id := s.Provider + "\x00" + s.Name
	if len(s.Certificates) > 0 {
		id = string(s.Certificates[0].Fingerprint[:])
	}
	return s.Periods[0].Type + "\x00" + id
}

// changedPointers tells for which territories a list of the lists names other addresses or signers.
func changedPointers(old, now *List) []Change {
	var changes []Change
	before, after := pointed(old), pointed(now)
	for _, p := range now.Pointers {
		key := p.Territory + "\x00" + p.Type
		was, is := before[key], after[key]
		delete(after, key)
		if is == nil || was != nil && was.signers == is.signers && was.locations == is.locations {
			continue
		}
		c := Change{What: "signers", Service: p.Territory}
		if was != nil && was.signers == is.signers {
			c = Change{What: "address", Service: p.Territory, From: was.locations, To: is.locations}
		}
		changes = append(changes, c)
	}
	return changes
}

type pointedTo struct{ signers, locations string }

func pointed(l *List) map[string]*pointedTo {
	all := map[string]*pointedTo{}
	for _, p := range l.Pointers {
		key := p.Territory + "\x00" + p.Type
		if all[key] == nil {
			all[key] = &pointedTo{}
		}
		for _, der := range p.Signers {
			sum := sha256.Sum256(der)
			all[key].signers += string(sum[:])
		}
		all[key].locations = strings.TrimSpace(all[key].locations + " " + p.Location)
	}
	return all
}
