package trustlist

import (
	"bytes"
	"crypto/sha1" // names keys in OCSP (RFC 6960 4.2.1)
	"fmt"
	"slices"
	"time"

	"trustcore/verify/certificate"
)

// Excerpt is the part of a snapshot that matters to some certificates, as data: who judges by it elsewhere comes to the same
// conclusions on what they signed. The statuses are those of all lists.
type Excerpt struct {
	Statuses []Status          `json:"statuses"`
	Services []ServiceExcerpt  `json:"services"`
	Others   int               `json:"others"` // services that are left out
	Anchors  [][]byte          `json:"anchors"`
	National []NationalExcerpt `json:"national"`
}

// ServiceExcerpt is a service with the file of its list (Status.File).
type ServiceExcerpt struct {
	File         string   `json:"file"`
	Territory    string   `json:"territory"`
	Provider     string   `json:"provider"`
	Name         string   `json:"name"`
	Certificates [][]byte `json:"certificates"` // DER
	Periods      []Period `json:"periods"`
	Unreadable   int      `json:"unreadable,omitempty"`
}

// NationalExcerpt is a National.
type NationalExcerpt struct {
	Certificate []byte    `json:"certificate"`
	From        time.Time `json:"from,omitzero"`
	Until       time.Time `json:"until,omitzero"`
}

// Signer names who signed an OCSP response: by name or by key, the other is nil.
type Signer struct {
	Name *certificate.Name
	Key  []byte // SHA-1 of the key (RFC 6960 4.2.1)
}

// About returns what matters to the certificates, and to evidence that the signers gave: services that have a certificate of a
// name that occurs among the subjects and issuers, and so on upwards, since chains are built by names; responders that a
// response names; and everything that no list has brought.
func (s *Snapshot) About(certificates []*certificate.Certificate, signers []Signer) *Excerpt {
	names := map[string]bool{}
	for _, c := range certificates {
		names[c.Subject.Canonical()], names[c.Issuer.Canonical()] = true, true
	}
	for _, signer := range signers {
		if signer.Name != nil {
			names[signer.Name.Canonical()] = true
		}
	}
	taken := map[*Service]bool{}
	for _, c := range s.responders {
		if slices.ContainsFunc(signers, func(signer Signer) bool { return signer.Key != nil && bytes.Equal(signer.Key, keyOf(c)) }) {
			names[c.Subject.Canonical()] = true
		}
	}
	for s.climb(names, taken) {
	}
	return s.excerpt(taken)
}

// keyOf is the digest by which a response names a key; nil of one that can't be read.
func keyOf(c *certificate.Certificate) []byte {
	key, err := c.Key()
	if err != nil {
		return nil
	}
	sum := sha1.Sum(key.BitString())
	return sum[:]
}

// climb takes the services that a name leads to, with the names of all their certificates, and tells whether there were any.
func (s *Snapshot) climb(names map[string]bool, taken map[*Service]bool) (more bool) {
	for _, name := range keys(names) {
		for _, a := range s.pick(s.bySubject[name]) {
			if a.Service == nil || taken[a.Service] {
				continue
			}
			taken[a.Service], more = true, true
			for _, c := range a.Service.Certificates {
				names[c.Subject.Canonical()], names[c.Issuer.Canonical()] = true, true
			}
		}
	}
	return more
}

func keys(set map[string]bool) (list []string) {
	for k := range set {
		list = append(list, k)
	}
	return list
}

// excerpt writes the services that were taken, in the order of the lists.
func (s *Snapshot) excerpt(taken map[*Service]bool) *Excerpt {
	e := &Excerpt{Statuses: s.statuses, Others: s.others}
	for _, l := range s.lists {
		for _, svc := range l.Services {
			if !taken[svc] {
				e.Others++
				continue
			}
			one := ServiceExcerpt{s.files[svc], svc.Territory, svc.Provider, svc.Name, nil, svc.Periods, svc.Unreadable}
			for _, c := range svc.Certificates {
				one.Certificates = append(one.Certificates, c.Raw)
			}
			e.Services = append(e.Services, one)
		}
	}
	for _, a := range s.entries {
		switch {
		case a.Service != nil:
		case a.national:
			e.National = append(e.National, NationalExcerpt{a.Certificate.Raw, a.From, a.Until})
		default:
			e.Anchors = append(e.Anchors, a.Certificate.Raw)
		}
	}
	return e
}

// Snapshot is the excerpt as what to judge by. It is for who trusts whom it is from: nothing in it proves itself.
func (e *Excerpt) Snapshot() (*Snapshot, error) {
	b := &builder{fixed: e.Anchors}
	for i := range e.Statuses {
		b.statuses = append(b.statuses, &e.Statuses[i])
	}
	for _, n := range e.National {
		c, err := certificate.Parse(n.Certificate)
		if err != nil {
			return nil, fmt.Errorf("excerpt of trusted lists: %w", err)
		}
		b.national = append(b.national, National{c, n.From, n.Until})
	}
	for i := range e.Services {
		svc, err := e.Services[i].service()
		if err != nil {
			return nil, fmt.Errorf("excerpt of trusted lists: %s: %w", e.Services[i].Name, err)
		}
		b.lists = append(b.lists, &List{Territory: svc.Territory, Services: []*Service{svc}})
		b.files = append(b.files, e.Services[i].File)
	}
	s, err := b.snapshot()
	if err == nil {
		s.others = e.Others
	}
	return s, err
}

func (e *ServiceExcerpt) service() (*Service, error) {
	s := &Service{Territory: e.Territory, Provider: e.Provider, Name: e.Name, Periods: e.Periods, Unreadable: e.Unreadable}
	for _, der := range e.Certificates {
		c, err := certificate.Parse(der)
		if err != nil {
			return nil, err
		}
		s.Certificates = append(s.Certificates, c)
	}
	return s, nil
}
