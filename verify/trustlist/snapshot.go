package trustlist

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"time"

	"trustcore/verify/certificate"
	"trustcore/verify/path"
)

// Snapshot is what was trusted when it was loaded. It is immutable and safe for concurrent use.
type Snapshot struct {
	statuses  []Status
	lists     []*List
	entries   []Anchor
	anchors   *path.Anchors
	bySubject map[string][]int // canonical subject name -> entries
	byDigest  map[[32]byte][]int

	responders []*certificate.Certificate
	hosts      map[string]bool
	files      map[*Service]string // Status.File of the list that a service is from
	others     int                 // services that an Excerpt left out
}

// Anchor is a certificate that may end a path, with the service that makes it one.
type Anchor struct {
	Certificate *certificate.Certificate
	Service     *Service // nil: trusted at all times, given by the administrator, or National
	// From and Until bound a National anchor; zero is open.
	From, Until time.Time
	national    bool
}

// National is an authority that no list names and the law of a state trusts, for a time; zero ends are open.
type National struct {
	Certificate *certificate.Certificate
	From, Until time.Time
}

func (b *builder) snapshot() (*Snapshot, error) {
	s := &Snapshot{lists: b.lists, bySubject: map[string][]int{}, byDigest: map[[32]byte][]int{}, files: map[*Service]string{}}
	for _, st := range b.statuses {
		s.statuses = append(s.statuses, *st)
	}
	slices.SortFunc(s.statuses, func(a, b Status) int {
		return cmp.Or(cmp.Compare(a.Territory, b.Territory), cmp.Compare(a.Sequence, b.Sequence))
	})
	for _, der := range b.fixed {
		c, err := certificate.Parse(der)
		if err != nil {
			return nil, fmt.Errorf("anchors: %w", err) // who names an anchor means it
		}
		s.add(Anchor{Certificate: c})
	}
	for _, n := range b.national {
		s.add(Anchor{Certificate: n.Certificate, From: n.From, Until: n.Until, national: true})
	}
	for i, l := range b.lists {
		for _, svc := range l.Services {
			s.files[svc] = b.files[i]
			for _, c := range svc.Certificates {
				s.add(Anchor{Certificate: c, Service: svc})
			}
		}
	}
	s.hosts = s.readHosts()
	var err error
	if s.anchors, err = s.pathAnchors(); err != nil {
		return nil, fmt.Errorf("anchors: %w", err)
	}
	return s, nil
}

func (s *Snapshot) add(a Anchor) {
	i := len(s.entries)
	s.entries = append(s.entries, a)
	name := a.Certificate.Subject.Canonical()
	s.bySubject[name] = append(s.bySubject[name], i)
	s.byDigest[a.Certificate.Fingerprint] = append(s.byDigest[a.Certificate.Fingerprint], i)
	if a.responds() {
		s.responders = append(s.responders, a.Certificate)
	}
}

// Status returns what became of every file, by territory.
func (s *Snapshot) Status() []Status { return s.statuses }

// Lists returns the lists whose services are in the snapshot, for reading.
func (s *Snapshot) Lists() []*List { return s.lists }

// Services returns the number of services, of an Excerpt also of those that it left out.
func (s *Snapshot) Services() int {
	n := s.others
	for _, l := range s.lists {
		n += len(l.Services)
	}
	return n
}

// Anchors returns the anchors for path validation, each with the windows in which its service was granted.
func (s *Snapshot) Anchors() *path.Anchors { return s.anchors }

// pathAnchors makes the anchors; a certificate whose key can't be used verifies nothing and is left out.
func (s *Snapshot) pathAnchors() (*path.Anchors, error) {
	var list []path.Anchor
	for _, e := range s.entries {
		a, err := path.AnchorFrom(e.Certificate)
		if err != nil {
			continue
		}
		if e.Service == nil {
			a.NotBefore, a.NotAfter = e.From, e.Until
			list = append(list, a)
			continue
		}
		a.ID = e.Service.Territory + ": " + e.Service.Provider + ": " + e.Service.Name
		a.Alone = !e.issues()
		for _, w := range e.Service.granted() {
			a.NotBefore, a.NotAfter = w.from, w.to
			list = append(list, a)
		}
	}
	return path.NewAnchors(list...)
}

// issues reports whether the anchor may issue certificates: its service does, or its certificate is a CA's. The lists hold
// hundreds of end entities as well: time-stamping units, responders, validation services.
func (a Anchor) issues() bool {
	if bc := a.Certificate.BasicConstraints; bc != nil && bc.CA {
		return true
	}
	return slices.ContainsFunc(a.Service.Periods, func(p Period) bool {
		return strings.Contains(p.Type, "/Svctype/CA/") || strings.HasSuffix(p.Type, "/Svctype/NationalRootCA-QC")
	})
}

// Responder reports whether the certificate is that of a service that answers for the status of certificates, in a period
// in which it was granted (TS 119 612 5.5.1.1). No other listed service speaks of revocation.
func (s *Snapshot) Responder(c *certificate.Certificate) bool {
	return slices.ContainsFunc(s.Holding(c), Anchor.responds)
}

// Responders returns the certificates of all such services: an answer may leave its signer's out.
func (s *Snapshot) Responders() []*certificate.Certificate { return s.responders }

func (a Anchor) responds() bool {
	return a.Service != nil && slices.ContainsFunc(a.Service.Periods, func(p Period) bool {
		return strings.Contains(p.Type, "/Svctype/Certstatus/OCSP") && p.Granted()
	})
}

// window is a stretch of time; a zero end is open.
type window struct{ from, to time.Time }

// granted returns the stretches in which the service was entitled, neighbours joined, oldest first.
func (s *Service) granted() []window {
	var windows []window
	for i := len(s.Periods) - 1; i >= 0; i-- {
		p := &s.Periods[i]
		if !p.Granted() {
			continue
		}
		if n := len(windows); n > 0 && windows[n-1].to.Equal(p.From) {
			windows[n-1].to = p.To
			continue
		}
		windows = append(windows, window{p.From, p.To})
	}
	return windows
}

// Named returns the anchors, of all times, whose subject equals the name.
func (s *Snapshot) Named(name certificate.Name) []Anchor {
	return s.pick(s.bySubject[name.Canonical()])
}

// Holding returns the anchors, of all times, whose certificate is c.
func (s *Snapshot) Holding(c *certificate.Certificate) []Anchor {
	return s.pick(s.byDigest[c.Fingerprint])
}

// FilesHolding returns the files (Status.File) of the lists that hold the certificate of a SHA-256, each once.
func (s *Snapshot) FilesHolding(fingerprint []byte) []string {
	if len(fingerprint) != 32 {
		return nil
	}
	var files []string
	for _, a := range s.pick(s.byDigest[[32]byte(fingerprint)]) {
		if file := s.files[a.Service]; a.Service != nil && !slices.Contains(files, file) {
			files = append(files, file)
		}
	}
	return files
}

func (s *Snapshot) pick(indexes []int) []Anchor {
	anchors := make([]Anchor, len(indexes))
	for i, x := range indexes {
		anchors[i] = s.entries[x]
	}
	return anchors
}

// TrustedAt reports whether the anchor may end a path at the time.
func (a Anchor) TrustedAt(at time.Time) bool {
	if a.Service == nil {
		return !at.Before(a.From) && (a.Until.IsZero() || !at.After(a.Until))
	}
	p := a.Service.At(at)
	return p != nil && p.Granted()
}

// granted are the last parts of the status URIs that let a service be an anchor: those of the regulation, of the
// directive before 2016-07-01, and of national recognition.
var granted = []string{
	"granted", "recognisedatnationallevel",
	"undersupervision", "supervisionincessation", "accredited", "setbynationallaw",
}

// Granted reports whether the period's status entitles the service, and nothing in it may say otherwise.
func (p *Period) Granted() bool {
	status, ok := strings.CutPrefix(p.Status, uriStatus)
	return ok && !p.Unknown && slices.Contains(granted, status)
}
