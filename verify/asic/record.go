package asic

import (
	"errors"
	"fmt"

	"trustcore/internal/asic"
	"trustcore/verify/algorithm"
	"trustcore/verify/cades/signerinfo"
	"trustcore/verify/ers"
	"trustcore/verify/signature"
)

// sealed is an evidence record file, and what it seals.
type sealed struct {
	record     *signature.EvidenceRecord // nil while what it is about is read
	signatures []*signature.Signature    // in the files that it is about, through other records too
}

// records opens the evidence records. One that covers a signature file, or a record that does, belongs to its
// signatures, and stands there; the others stand for themselves.
func (r *reader) records(assertions map[*asic.Entry]*assertion) {
	r.assertions = assertions
	for _, e := range r.container.WithRole(asic.EvidenceRecord) {
		r.record(e)
	}
}

// record opens a record after those that it is about.
func (r *reader) record(e *asic.Entry) *sealed {
	if s, known := r.sealed[e]; known {
		return s
	}
	s := &sealed{}
	r.sealed[e] = s
	content, err := r.container.Read(e)
	if err != nil {
		s.record = &signature.EvidenceRecord{ID: "E-" + e.Name, Structure: []string{err.Error()}}
		r.addRecord(e, s, nil)
		return s
	}
	r.used[e] = true
	about, problem := r.aboutRecord(e)
	s.signatures = r.sealedBy(about)
	s.record = ers.Parse(r.budget, content, r.objectsOf(about)...)
	if problem != "" {
		s.record.Structure = append(s.record.Structure, problem)
	}
	r.addRecord(e, s, about)
	return s
}

// sealedBy lists the signatures in what a record is about, each once.
func (r *reader) sealedBy(about []object) []*signature.Signature {
	seen := map[*signature.Signature]bool{}
	var list []*signature.Signature
	for _, o := range about {
		for _, s := range r.signaturesIn(o.entry) {
			if r.budget.Nodes(1) != nil || seen[s] || r.budget.Hold(heldADigest) != nil {
				continue
			}
			seen[s] = true
			list = append(list, s)
		}
	}
	return list
}

// signaturesIn are those of a signature file, or those that a record seals.
func (r *reader) signaturesIn(e *asic.Entry) []*signature.Signature {
	if e == nil || e.Role() != asic.EvidenceRecord {
		return r.files[e]
	}
	return r.record(e).signatures
}

// aboutRecord lists what a record is about: the one data object of an ASiC-S container, whatever a manifest says
// (EN 319 162-1 4.3.3.2), elsewhere what its manifest names (4.4.4.2). Without a manifest nobody knows.
func (r *reader) aboutRecord(e *asic.Entry) ([]object, string) {
	if r.container.Kind == asic.Simple {
		if data := r.container.Data(); len(data) == 1 {
			return []object{{uri: data[0].Name, entry: data[0], found: true, intact: true}}, ""
		}
		return nil, "" // checkData complains
	}
	switch list := r.targets[e]; len(list) {
	case 0:
		return nil, ""
	case 1:
		m := list[0]
		r.used[m.entry] = true
		if len(m.problems) > 0 {
			return m.objects, m.problems[0]
		}
		return m.objects, ""
	default:
		return nil, fmt.Sprintf("%d manifests name this evidence record", len(list))
	}
}

// addRecord hands the record to the signatures that it seals, or puts it into the document.
func (r *reader) addRecord(e *asic.Entry, s *sealed, about []object) {
	s.record.ID, s.record.Origin, s.record.Filename = r.unique(s.record.ID), signature.RecordInContainer, e.Name
	for _, t := range s.record.Timestamps {
		t.ID = r.unique(t.ID)
	}
	s.record.Structure = append(s.record.Structure, r.illFormed...)
	for _, o := range about {
		if o.entry != nil {
			r.covered[o.entry] = true
		}
	}
	for _, one := range s.signatures {
		one.EvidenceRecords = append(one.EvidenceRecords, s.record)
	}
	if len(s.signatures) == 0 {
		r.out.EvidenceRecords = append(r.out.EvidenceRecords, s.record)
	}
}

// objectsOf are the files that a record is about, as it sees them.
func (r *reader) objectsOf(about []object) []ers.Object {
	if r.budget.Hold(heldAReference*len(about)) != nil {
		return nil
	}
	list := make([]ers.Object, len(about))
	for i, o := range about {
		list[i] = ers.Object{Name: o.uri, Named: true, Digest: r.digester(o)}
		if o.entry == nil || !o.intact {
			continue
		}
		list[i].Scope = "the whole file " + o.entry.Name
		list[i].Covers, list[i].Signature = r.heldBy(o.entry), len(r.files[o.entry]) > 0
		list[i].Canonical = ers.CanonicalXML(r.budget, func() ([]byte, error) { return r.container.Read(o.entry) })
	}
	return list
}

// heldBy are digests of what a file holds that a proof of existence may be about.
func (r *reader) heldBy(e *asic.Entry) [][32]byte {
	c := digests{reader: r, seen: map[[32]byte]bool{}}
	c.signatures(r.files[e])
	if a := r.assertions[e]; a != nil {
		c.timestamp(a.token.Timestamp)
	}
	if s := r.sealed[e]; s != nil && s.record != nil {
		for _, t := range s.record.Timestamps {
			c.timestamp(t)
		}
	}
	return c.list
}

// digester digests the file that an object names. A file that is not what the manifest says has no digest that a record
// could hold, and none by another algorithm than the manifest's either, which is that of the record's first hash tree
// (EN 319 162-1 4.4.3.2).
func (r *reader) digester(o object) func(algorithm.Hash) ([]byte, error) {
	first := true
	return func(h algorithm.Hash) ([]byte, error) {
		switch {
		case o.entry == nil:
			return nil, ers.ErrAbsent
		case o.unchecked != "":
			return nil, errors.New(o.unchecked)
		case !o.intact:
			return nil, nil
		}
		if named, err := algorithm.HashByURI(o.method); first && o.method != "" && (err != nil || named != h) {
			return nil, nil
		}
		first = false
		return r.digestBy(o.entry, h)
	}
}

// digestBy is digest for an algorithm that no manifest needs to name.
func (r *reader) digestBy(e *asic.Entry, h algorithm.Hash) ([]byte, error) {
	for _, method := range r.methods[e] {
		if known, err := algorithm.HashByURI(method); err == nil && known == h {
			return r.digest(e, method)
		}
	}
	key := digestKey{e, h.Name()}
	if sum, ok := r.digests[key]; ok {
		return sum, nil
	}
	state := h.New()
	if err := r.container.CopyTo(signerinfo.Spending(r.budget, state), e); err != nil {
		return nil, err
	}
	r.digests[key] = state.Sum(nil)
	return r.digests[key], nil
}
