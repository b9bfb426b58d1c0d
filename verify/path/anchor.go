package path

import (
	"crypto/sha256"
	"errors"
	"slices"
	"time"

	"trustcore/verify/algorithm"
	"trustcore/verify/certificate"
)

// An Anchor is a trust anchor (RFC 5280 6.1.1 (d)): a name and a key. It need not be self-signed, nor in its validity.
type Anchor struct {
	Name certificate.Name
	Key  *algorithm.PublicKey

	// Certificate is the one that the anchor was taken from, nil for a bare name and key.
	Certificate *certificate.Certificate

	// Constraints makes the certificate's extensions count as those of an issuing CA: key usage, cA and path length where
	// basicConstraints is there, name constraints, policies, purposes, unknown critical ones (RFC 5937).
	Constraints bool
	// BasicConstraints, with Constraints: an anchor without basicConstraints is no CA.
	BasicConstraints bool
	// Validity makes the certificate's validity period count.
	Validity bool

	// Alone takes the anchor for itself: as DirectTrust finds it, and as the issuer of nothing. It is for end entities that a
	// list trusts.
	Alone bool

	// NotBefore and NotAfter are the window of the trust service that the anchor stands for; zero is open.
	NotBefore, NotAfter time.Time

	// ID is the caller's name for the anchor, such as a trusted-list service; it comes back in the Result.
	ID string

	digest [sha256.Size]byte // of the key's SubjectPublicKeyInfo; zero when the key came without one
}

// AnchorFrom makes an anchor of a certificate: its subject and key, nothing else. The error says why the key is unusable.
func AnchorFrom(c *certificate.Certificate) (Anchor, error) {
	key, err := c.Key()
	if err != nil {
		return Anchor{}, err
	}
	return Anchor{Name: c.Subject, Key: key, Certificate: c}, nil
}

// Anchors is a set of trust anchors, found by name. It is immutable and safe for concurrent use.
type Anchors struct {
	byName map[string][]*Anchor
}

// NewAnchors makes a set. It refuses an anchor without a key, since nothing could be verified with it.
func NewAnchors(list ...Anchor) (*Anchors, error) {
	set := &Anchors{byName: make(map[string][]*Anchor, len(list))}
	list = slices.Clone(list)
	for i := range list {
		a := &list[i]
		if a.Key == nil {
			return nil, errors.New("trust anchor without a key")
		}
		if (a.Constraints || a.Validity) && a.Certificate == nil {
			return nil, errors.New("trust anchor whose certificate should count has none")
		}
		if spki := a.Key.SPKI(); spki != nil {
			a.digest = sha256.Sum256(spki)
		}
		name := a.Name.Canonical()
		set.byName[name] = append(set.byName[name], a)
	}
	return set, nil
}

// named returns the anchors of the given name.
func (s *Anchors) named(n certificate.Name) []*Anchor {
	if s == nil {
		return nil
	}
	return s.byName[n.Canonical()]
}

// Certificates are those of the anchors of the given name.
func (s *Anchors) Certificates(n certificate.Name) (list []*certificate.Certificate) {
	for _, a := range s.named(n) {
		if a.Certificate != nil {
			list = append(list, a.Certificate)
		}
	}
	return list
}

// Instants tells of the times at which an anchor of the name, or its certificate, begins or ends to be valid: between two
// of them a path to any of those anchors is the same. Zero times stand for none.
func (s *Anchors) Instants(n certificate.Name, tell func(instants ...time.Time)) {
	for _, a := range s.named(n) {
		tell(a.NotBefore, a.NotAfter)
		if a.Certificate != nil {
			tell(a.Certificate.NotBefore, a.Certificate.NotAfter)
		}
	}
}

// Empty reports whether the set holds no anchor.
func (s *Anchors) Empty() bool { return s == nil || len(s.byName) == 0 }

// inTime reports whether the anchor may be used at the given time, in whole seconds.
func (a *Anchor) inTime(at time.Time) bool {
	if a.Validity && (at.Before(a.Certificate.NotBefore) || at.After(a.Certificate.NotAfter)) {
		return false
	}
	return (a.NotBefore.IsZero() || !at.Before(a.NotBefore)) && (a.NotAfter.IsZero() || !at.After(a.NotAfter))
}

// A Pool is a heap of certificates to build paths from, found by subject; repeats are dropped. It is immutable and
// safe for concurrent use.
type Pool struct {
	bySubject map[string][]*certificate.Certificate
	all       []*certificate.Certificate
}

// NewPool makes a pool.
func NewPool(certificates ...*certificate.Certificate) *Pool {
	p := &Pool{bySubject: make(map[string][]*certificate.Certificate, len(certificates))}
	var seen map[[32]byte]bool
	if len(certificates) > 1 {
		seen = make(map[[32]byte]bool, len(certificates))
	}
	for _, c := range certificates {
		if seen[c.Fingerprint] {
			continue
		}
		if seen != nil {
			seen[c.Fingerprint] = true
		}
		name := c.Subject.Canonical()
		p.bySubject[name] = append(p.bySubject[name], c)
		p.all = append(p.all, c)
	}
	return p
}

// Named returns the certificates whose subject is the given name. The slice must not be changed.
func (p *Pool) Named(n certificate.Name) []*certificate.Certificate {
	if p == nil {
		return nil
	}
	return p.bySubject[n.Canonical()]
}

// All returns every certificate of the pool, without repeats. The slice must not be changed.
func (p *Pool) All() []*certificate.Certificate {
	if p == nil {
		return nil
	}
	return p.all
}
