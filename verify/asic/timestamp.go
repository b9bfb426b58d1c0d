package asic

import (
	"crypto/sha256"
	"fmt"
	"io"
	"slices"

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
func (r *reader) timestamps() map[*asic.Entry]*assertion {
	var list []*assertion
	byEntry := map[*asic.Entry]*assertion{}
	for _, e := range r.container.WithRole(asic.TimestampToken) {
		content, err := r.container.Read(e)
		if err != nil {
			continue
		}
		a := &assertion{entry: e}
		a.token = timestamp.Open(r.budget, "", signature.ContainerTimestamp, content, nil)
		a.token.Filename = e.Name
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
		r.complete(a, byEntry)
		r.cover(a, byEntry)
		a.token.Structure = append(a.token.Structure, r.illFormed...)
		if !r.attach(a) {
			r.out.Timestamps = append(r.out.Timestamps, a.token.Timestamp)
		}
	}
	return byEntry
}

func (a *assertion) illFormed(format string, args ...any) {
	a.token.Structure = append(a.token.Structure, fmt.Sprintf(format, args...))
}

// imprint compares the token with its manifest, or with the one data object of an ASiC-S container. A manifest that
// says something false about a file of the container proves nothing, and one that names a file which is not there
// leaves open what it is about (EN 319 162-1 A.4; DSS says so by ManifestEntryObjectExistence). A digest stands in for
// a file that was kept back.
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
	if r.used[m.entry] = true; r.budget.Hold(heldAReference*len(m.objects)) != nil {
		return
	}
	a.token.Structure = append(a.token.Structure, m.problems...)
	a.token.Algorithms = append(a.token.Algorithms, m.algorithms()...)
	a.token.Compare(func(w io.Writer) error {
		_, err := w.Write(m.content)
		return err
	})
	about, absent, broken := false, false, false
	for _, o := range m.objects {
		ref := r.reference(o)
		a.token.References = append(a.token.References, ref)
		unseen := !ref.Found || ref.Unchecked != ""
		absent, broken = absent || unseen, broken || !unseen && !ref.Intact
		if o.found {
			r.covered[o.entry] = true
			about = about || o.entry.Role() == asic.Data
		}
	}
	a.token.Found = a.token.Found && (broken || !absent)
	a.token.Imprint = a.token.Imprint && !broken && !absent
	if !about {
		a.illFormed("the time-stamp covers no data object of the container")
	}
}

// complete demands that a time-stamp of signatures or time-stamps covers what those are about too (EN 319 162-1 A.7;
// DSS names it ContainerSignedAndTimestampedFilesCovered): it must go on proving that when they no longer can.
func (r *reader) complete(a *assertion, all map[*asic.Entry]*assertion) {
	if a.manifest == nil {
		return
	}
	named := map[*asic.Entry]bool{}
	for _, o := range a.manifest.objects {
		named[o.entry] = true
	}
	for _, o := range a.manifest.objects {
		for _, e := range r.about(o.entry, all) {
			if r.budget.Nodes(1) != nil {
				return
			}
			if !named[e] {
				a.illFormed("the time-stamp covers %q, but not %q, which that is about", o.entry.Name, e.Name)
				return
			}
		}
	}
}

// about lists the files of the container that a signature file or a time-stamp is about.
func (r *reader) about(e *asic.Entry, all map[*asic.Entry]*assertion) []*asic.Entry {
	if e == nil || len(r.files[e]) == 0 && all[e] == nil {
		return nil
	}
	if len(r.targets[e]) == 0 && r.container.Kind == asic.Simple {
		return r.container.Data()
	}
	if list, known := r.abouts[e]; known {
		return list
	}
	list := []*asic.Entry{}
	for _, m := range r.targets[e] {
		for _, o := range m.objects {
			list = append(list, o.entry)
		}
	}
	for _, s := range r.files[e] {
		for _, ref := range s.References {
			if ref.Type == "data" && r.budget.Nodes(1) == nil {
				list = append(list, r.find(ref.Name))
			}
		}
	}
	list = slices.DeleteFunc(list, func(e *asic.Entry) bool { return e == nil })
	if r.budget.Hold(8*len(list)) != nil {
		return nil
	}
	r.abouts[e] = list
	return list
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
