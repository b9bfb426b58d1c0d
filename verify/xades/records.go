package xades

import (
	"bytes"
	"errors"
	"slices"

	"trustcore/internal/xmldsig"
	"trustcore/verify/algorithm"
	"trustcore/verify/cades/signerinfo"
	"trustcore/verify/ers"
	"trustcore/verify/signature"
)

// maxRecords bounds the evidence records of one signature: each is held against all that the signature is made of.
const maxRecords = 16

// part is a data object that an archive time-stamp or an evidence record is about: an element, or what a reference
// yields.
type part struct {
	element   xmldsig.Node
	reference *checked // nil: the element itself
}

// sealedBy lists what a property that seals the signature is about: the data of the references, ds:SignedInfo,
// ds:SignatureValue, ds:KeyInfo, the unsigned properties before it, and the ds:Object elements but for the one with the
// qualifying properties (EN 319 132-1, 5.5.2.2). An archive time-stamp of version 1.3.2 leaves out objects that a
// reference names (TS 101 903, 8.2.1 of that version).
func (s *signed) sealedBy(property xmldsig.Node) ([]part, error) {
	var all []part
	for i := range s.checked {
		if c := &s.checked[i]; c.kind != kindManifestEntry {
			all = append(all, part{c.ref.Element, c})
		}
	}
	if len(all) == 0 {
		return nil, errNoData
	}
	all = append(all, part{element: s.xml.SignedInfo}, part{element: s.xml.ValueNode})
	if k := s.xml.KeyInfo; k != nil {
		all = append(all, part{element: k.Element})
	}
	for e := range s.props.unsigned.Elements() {
		if e == property {
			break
		}
		if err := s.passBy(); err != nil {
			return nil, err
		}
		all = append(all, part{element: e})
	}
	leave := isXAdES(property.Space())
	for _, object := range s.dataObjects() {
		if err := s.budget.Work(int64(perEntry * len(s.covers))); err != nil {
			return nil, err
		}
		if !leave || !s.refersTo(object) {
			all = append(all, part{element: object})
		}
	}
	return all, nil
}

// readRecords checks the evidence records of a SealingEvidenceRecords property. Those in one property stand beside one
// another: none is about the others.
func (s *signed) readRecords(property xmldsig.Node) {
	for e := range property.Elements() {
		if len(s.facts.EvidenceRecords) == maxRecords {
			s.note("more than %d evidence records; the rest is not looked at", maxRecords)
			return
		}
		record := s.readRecord(e, property)
		if record == nil {
			s.note("%s holds %s, which is no evidence record", property.Name(), e.Name())
			continue
		}
		record.ID = s.unique(record.ID)
		for _, t := range record.Timestamps {
			t.ID = s.unique(t.ID)
			s.stamps = append(s.stamps, stamped{property, t})
		}
		s.facts.EvidenceRecords = append(s.facts.EvidenceRecords, record)
	}
}

// readRecord holds a record against the signature as it was before the property came in. The first list of its hash
// tree has the digest of the group that is made of the parts of the signature, or those of the parts (RFC 6283, 3.2.1).
func (s *signed) readRecord(e, property xmldsig.Node) *signature.EvidenceRecord {
	var parse func(objects ...ers.Object) *signature.EvidenceRecord
	switch {
	case e.Is(ers.Namespace, "EvidenceRecord"):
		parse = func(objects ...ers.Object) *signature.EvidenceRecord { return ers.ParseNode(s.budget, e, objects...) }
	case e.Is(ns19132, "ASN1EvidenceRecord"):
		der, err := e.Bytes()
		if err != nil {
			s.note("%s: %v", e.Name(), err)
		}
		parse = func(objects ...ers.Object) *signature.EvidenceRecord { return ers.Parse(s.budget, der, objects...) }
	default:
		return nil
	}
	g := s.group(property)
	record := parse(g.whole())
	if orphans(record) < len(g.parts) {
		return record
	}
	if apart := parse(g.apart()...); len(apart.References) > 0 && apart.References[0].Intact {
		return apart
	}
	return record
}

// orphans counts the hash values of a record that belong to nothing at hand.
func orphans(record *signature.EvidenceRecord) int {
	n := 0
	for _, ref := range record.References {
		if ref.Type == "orphan" {
			n++
		}
	}
	return n
}

// group is what an evidence record of the signature is about.
type group struct {
	*signed
	parts  []part
	err    error // why they are not known
	covers [][32]byte
}

// group lists what the records in a property are about: what an archive time-stamp in its place would be about, and the
// data that signed manifests name.
func (s *signed) group(property xmldsig.Node) *group {
	in := &imprint{signed: s, property: property}
	g := &group{signed: s}
	if g.parts, g.err = s.sealedBy(property); g.err != nil {
		return g
	}
	for i := range s.checked {
		if c := &s.checked[i]; c.kind == kindManifestEntry {
			g.parts = append(g.parts, part{c.ref.Element, c})
		}
	}
	g.err = in.proveSealed()
	g.covers = in.covers
	return g
}

// whole is the group as one object.
func (g *group) whole() ers.Object {
	return ers.Object{
		Name: g.facts.ID, Scope: "the whole signature " + g.facts.ID, Type: "signature", Named: true,
		Covers: g.covers, Signature: true, Digest: g.digest,
	}
}

// apart are the members of the group as objects, the one with the signature first.
func (g *group) apart() []ers.Object {
	var objects []ers.Object
	for _, p := range g.parts {
		o := ers.Object{Name: p.name(), Scope: p.name(), Named: true,
			Digest: func(h algorithm.Hash) ([]byte, error) { return g.digestPart(p, h) }}
		if p.element == g.xml.ValueNode {
			o.Type, o.Covers, o.Signature = "signature", g.covers, true
			objects = append([]ers.Object{o}, objects...)
			continue
		}
		objects = append(objects, o)
	}
	return objects
}

func (p part) name() string {
	if p.reference != nil {
		return p.reference.ref.URI
	}
	return p.element.Place()
}

// digest is that of the group: of the digests of its members in binary ascending order (RFC 6283, 3.2.1).
func (g *group) digest(h algorithm.Hash) ([]byte, error) {
	if g.err != nil {
		return nil, g.err
	}
	var sums [][]byte
	for _, p := range g.parts {
		sum, err := g.digestPart(p, h)
		if err != nil {
			return nil, err
		}
		sums = append(sums, sum)
	}
	slices.SortFunc(sums, bytes.Compare)
	return h.Sum(sums...), nil
}

// partDigest names the digest of a part.
type partDigest struct {
	element xmldsig.Node
	hash    algorithm.Hash
}

// heldAPart is the digest of a part in memory.
const heldAPart = 192

// digestPart digests a part of the signature. A node-set is brought into the canonical form of ds:SignedInfo, the only
// one that the signature names.
func (s *signed) digestPart(p part, h algorithm.Hash) ([]byte, error) {
	key := partDigest{p.element, h}
	if sum, ok := s.parts[key]; ok {
		return sum, nil
	}
	sum, err := p.known(h), error(nil)
	if sum == nil {
		sum, err = s.digestAnew(p, h)
	}
	if err = errors.Join(err, s.budget.Hold(heldAPart)); err != nil {
		return nil, err
	}
	s.parts[key] = sum
	return sum, nil
}

func (s *signed) digestAnew(p part, h algorithm.Hash) ([]byte, error) {
	if s.xml.FormError != nil {
		return nil, s.xml.FormError
	}
	state := h.New()
	in := &imprint{signed: s, form: s.xml.Form, w: signerinfo.Spending(s.budget, state)}
	err := in.part(p)
	if errors.Is(err, xmldsig.ErrNotFound) || errors.Is(err, xmldsig.ErrNoElement) {
		err = errors.Join(ers.ErrAbsent, err)
	}
	return state.Sum(nil), err
}

// known is the digest that the check of a reference computed, where that is of octets: of a node-set it is of another
// canonical form.
func (p part) known(h algorithm.Hash) []byte {
	if p.reference == nil || p.reference.err != nil || !yieldsOctets(p.reference.ref) {
		return nil
	}
	if by, err := algorithm.HashByURI(p.reference.ref.DigestMethod); err != nil || by != h {
		return nil
	}
	return p.reference.out.Digest
}

// yieldsOctets tells whether the last transform of a reference leaves octets, not a node-set.
func yieldsOctets(r *xmldsig.Reference) bool {
	if len(r.Transforms) == 0 {
		return !r.SameDocument()
	}
	switch r.Transforms[len(r.Transforms)-1].Algorithm {
	case xmldsig.TransformEnveloped, xmldsig.TransformXPath, xmldsig.TransformXPathFilter:
		return false
	}
	return true
}
