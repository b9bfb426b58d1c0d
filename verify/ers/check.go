package ers

import (
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"slices"
	"time"

	"trustcore/internal/budget"
	"trustcore/verify/algorithm"
	"trustcore/verify/signature"
	"trustcore/verify/timestamp"
)

// checker is the work on one record.
type checker struct {
	budget  *budget.Budget
	objects []*datum
	out     *signature.EvidenceRecord
	rec     *record
	last    time.Time  // of the time-stamp before
	tokens  [][32]byte // digests of all tokens so far, each with its evidence
	newest  int        // where those of the newest one begin
	absent  bool       // the first time-stamp is about the data itself, which is not at hand
	ids     map[string]int
}

// datum is an object and what is known of it.
type datum struct {
	Object
	intact    bool   // the first list of the record has its digest
	canonical bool   // it is that of its canonical form
	sum       []byte // the digest that was looked for last
}

// Reference.Type of a hash value that belongs to no object at hand.
const orphan = "orphan"

func newChecker(b *budget.Budget, kind signature.EvidenceRecordType, encoded []byte, objects []Object) *checker {
	c := &checker{budget: b, ids: map[string]int{},
		out: &signature.EvidenceRecord{Type: kind, Origin: signature.RecordInSignature}}
	c.out.ID, c.out.Digest = id(b, encoded)
	for _, o := range objects {
		if o.Type == "" {
			o.Type = "data"
		}
		c.objects = append(c.objects, &datum{Object: o})
	}
	return c
}

// run checks a record that was read, or says why it could not be.
func (c *checker) run(rec *record, err error) *signature.EvidenceRecord {
	if err != nil {
		c.fail(err)
		return c.out
	}
	c.rec = rec
	for i := range rec.chains {
		if err := c.chain(i); err != nil {
			c.fail(err)
			break
		}
	}
	if !c.holds() {
		c.proveNothing()
	}
	return c.out
}

func (c *checker) fail(err error) {
	err = fmt.Errorf("evidence record: %w", err)
	if limit := new(unchecked); errors.As(err, limit) {
		c.out.Unchecked = err.Error()
		return
	}
	c.out.Structure = append(c.out.Structure, err.Error())
}

// holds tells whether the record is what it claims to be, from the objects to its last time-stamp. What belongs to no
// object at hand is of no account: the trees hold the hash values of strangers too.
func (c *checker) holds() bool {
	if len(c.out.Structure) > 0 || c.out.Unchecked != "" || c.budget.Err() != nil {
		return false
	}
	for _, ref := range c.out.References {
		if !ref.Intact && ref.Type != orphan {
			return false
		}
	}
	for i, t := range c.out.Timestamps {
		if absent := i == 0 && c.absent; !t.Imprint && !absent || !t.Intact {
			return false
		}
	}
	return true
}

// proveNothing takes back what a part of the record seems to prove, where the whole does not hold.
func (c *checker) proveNothing() {
	c.out.Covers, c.out.CoversSignature = nil, false
	for _, t := range c.out.Timestamps {
		t.Covers, t.CoversSignature = nil, false
	}
}

// chain checks an ArchiveTimeStampChain: its first time-stamp is about the objects, and about the chains before it
// where there are any; each other one about the time-stamp before it (RFC 4998 5.3, RFC 6283 4.3).
func (c *checker) chain(index int) error {
	chain := &c.rec.chains[index]
	for i := range chain.stamps {
		a := &chain.stamps[i]
		t := c.open(a)
		if err := c.agree(chain, a, t); err != nil {
			return err
		}
		switch {
		case i > 0:
			t.Renewal = signature.TimestampRenewal
			c.renewal(chain, &chain.stamps[i-1], a, t)
		case index > 0:
			t.Renewal = signature.HashTreeRenewal
			c.treeRenewal(chain, a, t)
		default:
			c.initial(chain, a, t)
		}
		if err := c.keep(a, t); err != nil {
			return err
		}
	}
	return nil
}

// open opens the token, and demands that it is not older than the one before it.
func (c *checker) open(a *archived) *timestamp.Token {
	extra := append(a.certificates[:len(a.certificates):len(a.certificates)], c.rec.certificates...)
	t := timestamp.Open(c.budget, "", signature.RecordTimestamp, a.token, extra)
	if t.Info != nil {
		if t.Time.Before(c.last) {
			c.fail(fmt.Errorf("a time-stamp of %s renews one of %s (RFC 4998 5.1)",
				t.Time.Format(time.RFC3339), c.last.Format(time.RFC3339)))
		}
		c.last = t.Time
	}
	if c.ids[t.ID]++; c.ids[t.ID] > 1 {
		t.ID = fmt.Sprintf("%s-%d", t.ID, c.ids[t.ID])
	}
	c.out.Timestamps = append(c.out.Timestamps, t.Timestamp)
	return t
}

// agree demands one digest algorithm of the tree, of the time-stamp's imprint and of the whole chain (RFC 4998 4.3
// and 5.3, RFC 6283 4.1.1).
func (c *checker) agree(chain *chain, a *archived, t *timestamp.Token) error {
	imprint, known := t.Hash()
	if a.hash == algorithm.NoHash {
		a.hash = imprint
	}
	if chain.hash == algorithm.NoHash {
		chain.hash = a.hash
	}
	switch {
	case t.Info == nil:
		return nil // the time-stamp itself is ill-formed
	case !known:
		return unchecked{errors.New("the digest algorithm of a time-stamp is not known")}
	case a.hash != chain.hash:
		return fmt.Errorf("a chain uses %s and %s", chain.hash, a.hash)
	case imprint != a.hash:
		return fmt.Errorf("a hash tree by %s is time-stamped by %s", a.hash, imprint)
	case uneven(a.tree, a.hash):
		return fmt.Errorf("a hash tree has a value that is no digest by %s", a.hash)
	}
	if c.rec.listed != nil && !c.rec.listed[a.hash] {
		c.fail(fmt.Errorf("%s is not among its digestAlgorithms (RFC 4998 3.1)", a.hash))
	}
	if a.tree == nil {
		a.tree, a.bare = [][][]byte{{t.Info.Imprint}}, true
	}
	if a == &chain.stamps[0] {
		use := signature.AlgorithmUse{Purpose: "evidence-record", Algorithm: a.hash.Name()}
		c.out.Algorithms = append(c.out.Algorithms, use)
	}
	return nil
}

// rooted tells whether the tree leads to what was time-stamped.
func (c *checker) rooted(a *archived, t *timestamp.Token) bool {
	if t.Info == nil {
		return false
	}
	t.CompareDigest(root(c.budget, a.hash, a.tree))
	return t.Imprint
}

// initial looks for the objects in the first list of the record.
func (c *checker) initial(chain *chain, a *archived, t *timestamp.Token) {
	c.rooted(a, t)
	if t.Info == nil {
		return
	}
	group := newGroup(a.tree[0])
	for _, o := range c.objects {
		c.out.References = append(c.out.References, c.find(o, chain, group))
		if o.intact && t.Imprint {
			t.Covers = append(t.Covers, o.Covers...)
			t.CoversSignature = t.CoversSignature || o.Signature
		}
	}
	for range group.strangers() {
		if c.budget.Hold(heldAReference) != nil {
			return
		}
		c.out.References = append(c.out.References, signature.Reference{Type: orphan})
	}
	c.out.Covers, c.out.CoversSignature = t.Covers, t.CoversSignature
	if a.bare {
		c.direct(t)
	}
}

// direct looks at a time-stamp without a hash tree, whose imprint is the digest of the one data object (RFC 4998 4.2,
// RFC 6283 3.2.1): where no object has it, the time-stamp is of something else, or of what is not at hand.
func (c *checker) direct(t *timestamp.Token) {
	other := false
	for _, ref := range c.out.References {
		if ref.Intact {
			return
		}
		other = other || ref.Found && ref.Unchecked == ""
	}
	t.Found, t.Imprint, c.absent = other, false, !other
}

// heldAReference is a reference in memory.
const heldAReference = 200

// find looks for an object in the first list of the first tree: for its octets, then for its canonical form.
func (c *checker) find(o *datum, chain *chain, group *group) signature.Reference {
	ref := signature.Reference{Name: o.Name, Type: o.Type}
	var err error
	if o.Digest != nil {
		o.intact, err = o.in(group, chain, false)
	}
	if o.Canonical != nil && chain.form != nil && !o.intact && err == nil {
		o.canonical = true
		if o.intact, err = o.in(group, chain, true); o.Digest != nil {
			err = nil // octets that are no XML have no canonical form
		}
	}
	switch {
	case o.intact:
		ref.Found, ref.Intact, ref.Full, ref.Scope = true, true, true, o.Scope
		ref.Digest = signature.Digest{Algorithm: chain.hash.Name(), Value: o.sum}
		if o.canonical && o.Digest != nil { // comments, say, are in the octets, and may be in no form of them
			ref.Full, ref.Scope = false, "the canonical form of "+o.Name
		}
	case errors.Is(err, ErrAbsent):
	case err != nil:
		ref.Found, ref.Unchecked = true, err.Error()
	default:
		ref.Found = o.Named
	}
	return ref
}

// in tells whether a group has the object in one of its forms.
func (o *datum) in(group *group, chain *chain, canonical bool) (bool, error) {
	sum, err := o.digest(chain, canonical)
	o.sum = sum
	return err == nil && group.take(sum), err
}

// digest is that of the object in one of its forms, by the algorithm of a chain.
func (o *datum) digest(chain *chain, canonical bool) ([]byte, error) {
	if canonical {
		return o.Canonical(chain.hash, *chain.form)
	}
	return o.Digest(chain.hash)
}

// renewal checks that the first list holds the digest of the time-stamp before.
func (c *checker) renewal(chain *chain, before, a *archived, t *timestamp.Token) {
	if !c.rooted(a, t) {
		return
	}
	sum, err := c.digest(chain.hash, before.whole)
	if t.Imprint = err == nil && newGroup(a.tree[0]).take(sum); t.Imprint {
		t.Covers = c.tokens[c.newest:]
	}
}

// treeRenewal checks that the first list covers all chains before, and with them each object that the record is about.
func (c *checker) treeRenewal(chain *chain, a *archived, t *timestamp.Token) {
	if !c.rooted(a, t) {
		return
	}
	sequence, err := c.digest(chain.hash, chain.before)
	if err != nil {
		t.Found, t.Imprint = false, false
		return
	}
	group := newGroup(a.tree[0])
	// RFC 6283 4.2.2: the sequence is a member of the group itself.
	inGroup := chain.form == nil || group.take(sequence)
	switch some, all, err := c.renewed(chain, group, sequence); {
	case !all || !inGroup:
		t.Imprint = false
	case !some || err != nil:
		t.Found, t.Imprint = false, false
	case c.budget.Hold(sha256.Size*(len(c.out.Covers)+len(c.tokens))) == nil:
		t.Covers, t.CoversSignature = slices.Concat(c.out.Covers, c.tokens), c.out.CoversSignature
	}
}

// renewed tells whether a group has some, and all, of the objects that the record is about; an error says that one of
// them can't be digested by the new algorithm, as where another digest of it was given.
func (c *checker) renewed(chain *chain, group *group, sequence []byte) (some, all bool, failed error) {
	all = true
	for _, o := range c.objects {
		if !o.intact {
			continue
		}
		some = true
		sum, err := o.digest(chain, o.canonical)
		if err != nil {
			failed = err
			continue
		}
		if chain.form == nil { // RFC 4998 5.2: each member is H(h(i) + ha(i)), in this order
			sum = chain.hash.Sum(sum, sequence)
		}
		all = all && group.take(sum)
	}
	return some, all, failed
}

func (c *checker) digest(h algorithm.Hash, write func(io.Writer) error) ([]byte, error) {
	state := h.New()
	err := write(state)
	return state.Sum(nil), err
}

// keep takes note of what a later time-stamp covers, and then hands the time-stamp the evidence that none covers.
func (c *checker) keep(a *archived, t *timestamp.Token) error {
	c.newest = len(c.tokens)
	for _, list := range [][][]byte{{t.Token}, t.Certificates, t.CRLs, t.OCSPs, a.certificates, a.crls, a.ocsps} {
		for _, o := range list {
			if err := errors.Join(c.budget.Octets(len(o)), c.budget.Hold(sha256.Size)); err != nil {
				return err
			}
			c.tokens = append(c.tokens, sha256.Sum256(o))
		}
	}
	for _, v := range []signature.Values{{Certificates: a.certificates, CRLs: a.crls, OCSPs: a.ocsps},
		{Certificates: c.rec.certificates, CRLs: c.rec.crls, OCSPs: c.rec.ocsps}} {
		v.Origin = signature.InEvidenceRecord
		t.Carry(v)
	}
	return c.budget.Hold(sliceOctets * (len(t.Certificates) + len(t.CRLs) + len(t.OCSPs)))
}

// group is the first list of a hash tree.
type group struct {
	values map[string]bool // true: taken
}

func newGroup(list [][]byte) *group {
	g := &group{values: make(map[string]bool, len(list))}
	for _, value := range list {
		g.values[string(value)] = false
	}
	return g
}

// take tells whether a value is in the group.
func (g *group) take(value []byte) bool {
	if _, ok := g.values[string(value)]; !ok {
		return false
	}
	g.values[string(value)] = true
	return true
}

// strangers counts the values that were not taken.
func (g *group) strangers() int {
	n := 0
	for _, taken := range g.values {
		if !taken {
			n++
		}
	}
	return n
}
