package judge

import (
	"crypto/sha256"
	"encoding/binary"
	"slices"
	"time"

	"trustcore/verify/certificate"
	"trustcore/verify/path"
	"trustcore/verify/policy"
	"trustcore/verify/revocation"
)

// Signers and units come again with the same certificates and evidence, at other times. What was concluded of their
// chain serves again where nothing that it was concluded from has another value: the octets and the policy (question),
// the lists (by identity), the proofs of existence and algorithms that were asked for (asked again), and both times,
// which lie between the same instants of everything that they were compared with.

// remembered is the outcome of x509 for a question.
type remembered struct {
	chain *Chain
	basis basis
}

// basis is what a conclusion rests on beside the question.
type basis struct {
	at, now    stretch                // in which the time asked for, in whole seconds, and that of validation lie
	algorithms []algorithmAnswer      // on the path
	uses       []useAnswer            // of evidence
	proofs     map[[32]byte]time.Time // of existence, zero for none but the validation itself
	revoked    []time.Time            // instants of revocation that were found
}

type algorithmAnswer struct {
	name string
	bits int
	ok   bool
	why  string

	// since is when the certificate is proven to exist, zero for the time asked for; now for that of validation.
	since time.Time
	now   bool
}

type useAnswer struct {
	revocation.Use
	ok  bool
	why string
}

// The limits of what is remembered: what goes beyond is no everyday chain.
const (
	maxAnswers     = 4        // to one question, at times that differ
	maxBasis       = 64       // answers and proofs that one conclusion rests on
	maxPooled      = 128      // certificates, CRLs and OCSP responses whose instants count
	maxConclusion  = 64 << 10 // octets
	conclusionHead = 2 << 10  // octets of a conclusion beside its texts and certificates
)

// chain is x509 with a memory.
func (v *validator) chain(s subject, at time.Time) *Chain {
	if v.steps != nil || v.ev.Cache == nil || len(v.ev.Later) > 0 { // what sources lack now is soon another matter
		return v.x509(s, at)
	}
	question, pieces := v.question(s)
	if v.budget.Err() != nil || pieces > maxPooled {
		return v.x509(s, at)
	}
	answers := v.answers(question)
	for _, r := range answers {
		if v.holds(s.context, &r.basis, at.Truncate(time.Second)) {
			return r.chain.copied(at)
		}
	}
	v.basis = &basis{}
	c := v.x509(s, at)
	v.remember(question, answers, c)
	v.basis = nil
	return c
}

func (v *validator) answers(question [32]byte) []*remembered {
	found, _ := v.ev.Cache.Concluded(v.ev.Lists, question)
	list, _ := found.([]*remembered)
	return list
}

// question is the digest of what is asked for and of all the octets that may answer, in their order.
func (v *validator) question(s subject) (digest [32]byte, pieces int) {
	text := make([]byte, 0, 1<<10)
	text = append(append(text, s.certificate.Fingerprint[:]...), byte(s.context), lasting(s.longTerm))
	text = append(text, v.policy.Digest()...)
	lists := [...][][]byte{s.carried.certificates, s.beside.certificates, v.ev.Certificates,
		s.carried.crls, s.beside.crls, v.ev.CRLs, s.carried.ocsps, s.beside.ocsps, v.ev.OCSPs}
	for _, list := range lists {
		list = limited(list)
		pieces += len(list)
		text = binary.BigEndian.AppendUint32(text, uint32(len(list)))
		for _, der := range list[:min(len(list), maxPooled)] {
			sum := v.parsed.digest(der)
			text = append(text, sum[:]...)
		}
	}
	return sha256.Sum256(text), pieces
}

func lasting(longTerm bool) byte {
	if longTerm {
		return 1
	}
	return 0
}

// holds tells whether a conclusion has the same basis now.
func (v *validator) holds(c policy.Context, b *basis, at time.Time) bool {
	if !b.at.holds(at) || !b.now.holds(v.at) {
		return false
	}
	for object, t := range b.proofs {
		if !v.existence.proven[object].Equal(t) {
			return false
		}
	}
	accept := v.ofPath(c)
	for _, a := range b.algorithms {
		when := at
		if a.now {
			when = v.at
		} else if !a.since.IsZero() {
			when = a.since
		}
		if ok, why := accept(a.name, a.bits, when); ok != a.ok || why != a.why {
			return false
		}
	}
	for _, u := range b.uses {
		if ok, why := v.acceptable(u.Use); ok != u.ok || why != u.why {
			return false
		}
	}
	return true
}

// remember keeps a conclusion that came of its arguments alone.
func (v *validator) remember(question [32]byte, before []*remembered, c *Chain) {
	b := v.basis
	octets := c.octets()
	if v.budget.Err() != nil || octets > maxConclusion || c.unfinished() ||
		len(b.algorithms)+len(b.uses)+len(b.proofs)+len(b.revoked) > maxBasis {
		return
	}
	for _, t := range b.revoked {
		b.at.narrow(t)
		b.now.narrow(t)
	}
	answers := append([]*remembered{{c.copied(c.at), *b}}, before[:min(len(before), maxAnswers-1)]...)
	v.ev.Cache.Conclude(v.ev.Lists, question, answers, octets*len(answers))
}

// unfinished reports whether a limit, and not what is known, decided.
func (c *Chain) unfinished() bool {
	return slices.ContainsFunc(c.Path.Reasons, func(r path.Reason) bool { return r.Code == path.Budget }) ||
		slices.ContainsFunc(c.Path.Revocation, func(r revocation.Result) bool { return r.Code == revocation.BudgetSpent })
}

// octets are what a conclusion takes, about, with the certificates that it keeps from going.
func (c *Chain) octets() int {
	n := conclusionHead
	count := func(list []*certificate.Certificate) {
		for _, cert := range list {
			n += 2 * len(cert.Raw)
		}
	}
	count(c.Path.Chain)
	for _, r := range c.Path.Revocation {
		count(r.Signers)
		n += len(r.Detail)
	}
	for _, list := range [][]string{c.Reasons, c.Notes, c.Path.Notes} {
		for _, text := range list {
			n += len(text)
		}
	}
	for _, r := range c.Path.Reasons {
		n += len(r.Detail)
	}
	return n
}

// copied is a chain whose texts may be changed, of another time for which it holds.
func (c *Chain) copied(at time.Time) *Chain {
	copied := *c
	copied.Reasons, copied.Notes, copied.at = slices.Clone(c.Reasons), slices.Clone(c.Notes), at
	return &copied
}

// begin enters all instants that a chain's times are compared with: the ends of certificates, of the anchors of their
// names, and the dates of evidence, with the day for which evidence without nextUpdate serves.
func (b *basis) begin(d *validationData, target *certificate.Certificate, anchors *path.Anchors, at, now time.Time) {
	if b == nil {
		return
	}
	b.at, b.now = stretch{at: at}, stretch{at: now}
	narrow := func(instants ...time.Time) {
		for _, t := range instants {
			b.at.narrow(t)
			b.now.narrow(t)
		}
	}
	certificates := func(list []*certificate.Certificate) {
		for _, c := range list {
			narrow(c.NotBefore, c.NotAfter)
			anchors.Instants(c.Issuer, narrow)
		}
	}
	certificates([]*certificate.Certificate{target})
	anchors.Instants(target.Subject, narrow)
	certificates(d.pool.All())
	for _, l := range d.crls {
		narrow(l.ThisUpdate, l.NextUpdate, l.ThisUpdate.Add(withoutNextUpdate))
	}
	for _, r := range d.responses {
		narrow(r.ProducedAt)
		certificates(r.Certificates())
		for _, s := range r.Singles {
			narrow(s.ThisUpdate, s.NextUpdate, s.RevocationTime, s.ThisUpdate.Add(withoutNextUpdate))
		}
	}
}

// judged enters what the policy said of an algorithm on the path, at the time asked for, that of validation, or one that is
// proven and entered with the proofs.
func (b *basis) judged(accept func(string, int, time.Time) (bool, string)) func(string, int, time.Time) (bool, string) {
	if b == nil {
		return accept
	}
	return func(name string, bits int, at time.Time) (bool, string) {
		ok, why := accept(name, bits, at)
		a := algorithmAnswer{name: name, bits: bits, ok: ok, why: why}
		switch {
		case at.Equal(b.at.at):
		case at.Equal(b.now.at):
			a.now = true
		default:
			a.since = at
		}
		if len(b.algorithms) <= maxBasis && !slices.Contains(b.algorithms, a) {
			b.algorithms = append(b.algorithms, a)
		}
		return ok, why
	}
}

// used enters what the policy said of an algorithm that evidence rests on.
func (b *basis) used(u revocation.Use, ok bool, why string) {
	if a := (useAnswer{u, ok, why}); b != nil && len(b.uses) <= maxBasis && !slices.Contains(b.uses, a) {
		b.uses = append(b.uses, a)
	}
}

// proven enters since when an object was proven to exist; zero stands for the validation itself.
func (b *basis) proven(object [32]byte, since time.Time) {
	if b == nil || len(b.proofs) > maxBasis {
		return
	}
	if b.proofs == nil {
		b.proofs = map[[32]byte]time.Time{}
	}
	b.proofs[object] = since
}

// noted enters when what was asked about had been revoked.
func (b *basis) noted(t time.Time) {
	if b != nil && !t.IsZero() && len(b.revoked) <= maxBasis && !slices.Contains(b.revoked, t) {
		b.revoked = append(b.revoked, t)
	}
}

// stretch is the time between two instants, both of them out of it, or one instant.
type stretch struct {
	at       time.Time // within
	from, to time.Time // zero: open
	alone    bool      // at is an instant itself
}

func (s *stretch) narrow(instant time.Time) {
	switch {
	case instant.IsZero():
	case instant.Equal(s.at):
		s.alone = true
	case instant.Before(s.at):
		if instant.After(s.from) {
			s.from = instant
		}
	case s.to.IsZero() || instant.Before(s.to):
		s.to = instant
	}
}

func (s *stretch) holds(t time.Time) bool {
	if s.alone {
		return t.Equal(s.at)
	}
	return t.After(s.from) && (s.to.IsZero() || t.Before(s.to))
}
