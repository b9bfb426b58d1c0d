package pades

import (
	"slices"

	"trustcore/internal/budget"
	"trustcore/verify/signature"
	"trustcore/verify/timestamp"
)

// documentTimestamp opens the token of a DocTimeStamp dictionary.
func (r *reader) documentTimestamp(d *dictionary) {
	var store [][]byte
	if d.Revision >= 0 {
		store = r.everything().certificates
	}
	token := timestamp.Open(r.budget, "", signature.DocumentTimestamp, d.Contents, store)
	token.Compare(r.covered(d))
	d.stamps = d.Consistent && token.Imprint
	if d.Type != "" && d.Type != "DocTimeStamp" {
		return // a time-stamp in a dictionary of type Sig is no evidence (EN 319 142-1 5.4.3)
	}
	token.ID, token.Dictionary = r.unique(token.ID), d.facts()
	token.Structure = append(token.Structure, d.Problems...)
	d.token = token
}

// coverage gives the security stores to every signature, each document time-stamp to the signatures
// before it, and lists what it proves to have existed: all of that, and the store as it was then.
func (r *reader) coverage() {
	newest := r.storeAt(len(r.file.Revisions()) - 1)
	all := r.everything()
	covered := cover{budget: r.budget, seen: map[[32]byte]bool{}}
	for i, d := range r.dictionaries {
		switch {
		case d.signed != nil:
			known := evidence{crls: slices.Concat(d.signed.CRLs, newest.crls), ocsps: slices.Concat(d.signed.OCSPs, newest.ocsps)}
			d.evident = known.about(r.budget, d.signed.Signer)
			covered.signature(d.signed)
			all.give(r.budget, d.signed)
			r.vriTimestamps(d)
		case d.token != nil:
			if d.Revision >= 0 {
				covered.evidence(r.storeAt(d.Revision))
			}
			r.attach(d, r.dictionaries[:i], &covered)
			covered.timestamp(d.token.Timestamp)
		}
	}
}

// attach lists a document time-stamp with the earlier signatures that lie inside its byte range.
func (r *reader) attach(d *dictionary, earlier []*dictionary, covered *cover) {
	t := d.token.Timestamp
	if len(d.Problems) == 0 {
		t.Covers = covered.list()
	}
	for _, e := range earlier {
		if e.signed != nil && e.end() < d.end() {
			t.CoversSignature = len(d.Problems) == 0
			e.signed.Timestamps = append(e.signed.Timestamps, t)
		}
	}
	if !t.CoversSignature {
		r.loose = append(r.loose, t)
	}
}

// cover collects the digests of everything before a document time-stamp.
type cover struct {
	budget  *budget.Budget
	seen    map[[32]byte]bool
	digests [][32]byte
}

func (c *cover) list() [][32]byte { return c.digests[:len(c.digests):len(c.digests)] }

func (c *cover) add(sum [32]byte) {
	if !c.seen[sum] {
		c.seen[sum] = true
		c.digests = append(c.digests, sum)
	}
}

func (c *cover) objects(lists ...[][]byte) {
	for _, list := range lists {
		for _, o := range list {
			if len(o) == 0 {
				continue
			}
			sum, err := c.budget.Digest(o)
			if err != nil {
				return
			}
			c.add(sum)
		}
	}
}

func (c *cover) evidence(e evidence) {
	c.objects(e.certificates, e.crls, e.ocsps)
	for _, s := range e.stamps {
		c.objects([][]byte{s.token})
	}
}

// signature adds a signature as its CMS holds it, before it is given the store.
func (c *cover) signature(s *signature.Signature) {
	c.add(s.Value)
	c.objects(s.Certificates, s.CRLs, s.OCSPs)
	for _, t := range s.Timestamps {
		c.timestamp(t)
	}
}

func (c *cover) timestamp(t *signature.Timestamp) {
	c.objects([][]byte{t.Token}, t.Certificates, t.CRLs, t.OCSPs)
}
