package asic

import (
	"crypto/sha256"
	"fmt"
	"io"

	"trustcore/internal/asic"
	"trustcore/verify/signature"
	"trustcore/verify/timestamp"
)

// assertion is one time-stamp token file.
type assertion struct {
	entry    *asic.Entry
	token    *timestamp.Token
	manifest *manifest
}

// timestamps opens the token files. Those whose manifest names a signature file belong to its
// signatures; the others stand for themselves.
func (r *reader) timestamps() {
	var list []*assertion
	byEntry := map[*asic.Entry]*assertion{}
	for _, e := range r.container.WithRole(asic.TimestampToken) {
		content, err := r.container.Read(e)
		if err != nil {
			continue
		}
		a := &assertion{entry: e}
		a.token = timestamp.Open(r.budget, "", signature.ContainerTimestamp, content, nil)
		if r.used[e] = true; len(r.targets[e]) > 0 {
			a.manifest = r.targets[e][0]
		}
		if len(r.targets[e]) > 1 {
			a.illFormed("%d manifests name this time-stamp", len(r.targets[e]))
		}
		a.token.ID = r.unique(a.token.ID)
		r.imprint(a)
		list = append(list, a)
		byEntry[e] = a
	}
	for _, a := range list {
		r.cover(a, byEntry)
		a.token.Structure = append(a.token.Structure, r.illFormed...)
		if !r.attach(a) {
			r.out.Timestamps = append(r.out.Timestamps, a.token.Timestamp)
		}
	}
}

func (a *assertion) illFormed(format string, args ...any) {
	a.token.Structure = append(a.token.Structure, fmt.Sprintf(format, args...))
}

// imprint compares the token with its manifest, or with the one data object of an ASiC-S container. A
// manifest that says something false about a file of the container proves nothing.
func (r *reader) imprint(a *assertion) {
	data := r.container.Data()
	switch {
	case a.manifest != nil:
		r.manifestImprint(a)
	case r.container.Kind != asic.Simple:
		a.illFormed("no manifest of the container names this time-stamp (EN 319 162-1 4.4.4.2)")
	case len(data) == 1:
		r.covered[data[0]] = true
		a.token.Compare(func(w io.Writer) error { return r.container.CopyTo(w, data[0]) })
	}
}

func (r *reader) manifestImprint(a *assertion) {
	m := a.manifest
	r.used[m.entry] = true
	a.token.Structure = append(a.token.Structure, m.problems...)
	a.token.Compare(func(w io.Writer) error {
		_, err := w.Write(m.content)
		return err
	})
	about := false
	for _, o := range m.objects {
		if o.found && !o.intact {
			a.token.Imprint = false
		}
		if o.found {
			r.covered[o.entry] = true
			about = about || o.entry.Role() == asic.Data
		}
	}
	if !about {
		a.illFormed("the time-stamp covers no data object of the container")
	}
}

// cover lists what the token proves to have existed: the signatures and tokens that its manifest names
// by the right digest.
func (r *reader) cover(a *assertion, all map[*asic.Entry]*assertion) {
	if a.manifest == nil {
		return
	}
	c := digests{reader: r, seen: map[[32]byte]bool{}}
	for _, o := range a.manifest.objects {
		if !o.intact {
			continue
		}
		c.signatures(r.files[o.entry])
		if other := all[o.entry]; other != nil && other != a {
			c.timestamp(other.token.Timestamp)
		}
	}
	a.token.Covers = c.list
}

// attach hands the token to the signatures of the files that its manifest names.
func (r *reader) attach(a *assertion) bool {
	if a.manifest == nil {
		return false
	}
	named := map[*asic.Entry]bool{}
	for _, o := range a.manifest.objects {
		signatures := r.files[o.entry]
		if len(signatures) == 0 || named[o.entry] {
			continue
		}
		named[o.entry] = true
		for _, s := range signatures {
			s.Timestamps = append(s.Timestamps, a.token.Timestamp)
			if s.Level == "B-LT" {
				s.Level = "B-LTA"
			}
		}
		a.token.CoversSignature = a.token.CoversSignature || o.intact
	}
	return len(named) > 0
}

// heldADigest is a digest in the list of a time-stamp, and in the set that keeps it from being there twice.
const heldADigest = 96

// digests collects the SHA-256 of objects, each once.
type digests struct {
	*reader
	seen map[[32]byte]bool
	list [][32]byte
}

// span is an object in memory.
type span struct {
	first  *byte
	length int
}

func (c *digests) add(sum [32]byte) {
	if c.budget.Nodes(2) != nil || c.seen[sum] || c.budget.Hold(heldADigest) != nil {
		return
	}
	c.seen[sum] = true
	c.list = append(c.list, sum)
}

func (c *digests) objects(lists ...[][]byte) {
	for _, list := range lists {
		for _, o := range list {
			if len(o) == 0 {
				continue
			}
			key := span{&o[0], len(o)}
			sum, known := c.sums[key]
			if !known && c.budget.Octets(len(o)) == nil {
				sum = sha256.Sum256(o)
				c.sums[key] = sum
			}
			c.add(sum)
		}
	}
}

func (c *digests) signatures(list []*signature.Signature) {
	for _, s := range list {
		c.add(s.Value)
		c.objects(s.Certificates, s.CRLs, s.OCSPs)
		for _, t := range s.Timestamps {
			if t.Type != signature.ContainerTimestamp {
				c.timestamp(t)
			}
		}
	}
}

func (c *digests) timestamp(t *signature.Timestamp) {
	c.objects([][]byte{t.Token}, t.Certificates, t.CRLs, t.OCSPs)
}
