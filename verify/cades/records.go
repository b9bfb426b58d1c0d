package cades

import (
	"bytes"
	"slices"

	"trustcore/internal/cms"
	"trustcore/verify/algorithm"
	"trustcore/verify/ers"
	"trustcore/verify/signature"
	"trustcore/verify/timestamp"
)

func isRecord(a *cms.Attribute) bool {
	return a.Type == cms.OIDEvidenceInternal || a.Type == cms.OIDEvidenceExternal
}

// maxRecords bounds the evidence records of one signature: each is held against several forms of the file.
const maxRecords = 16

// records checks the evidence records that the signer's unsigned attributes carry (RFC 4998, appendix A). They are
// about the whole file; those of a counter-signature have no place in it.
func (s *signer) records() {
	var carrying []*cms.Attribute
	for i := range s.info.UnsignedAttributes {
		if a := &s.info.UnsignedAttributes[i]; isRecord(a) {
			carrying = append(carrying, a)
		}
	}
	if carrying == nil {
		return
	}
	if s.parent != nil {
		s.note("an evidence record of a counter-signature is not looked at")
		return
	}
	s.byRecord = make(map[*cms.Attribute][]*signature.EvidenceRecord, len(carrying))
	for n, a := range carrying {
		for _, value := range a.Values {
			if len(s.EvidenceRecords) == maxRecords {
				s.note("more than %d evidence records; the rest is not looked at", maxRecords)
				return
			}
			rec := s.record(value, a.Type, carrying, n)
			s.EvidenceRecords, s.byRecord[a] = append(s.EvidenceRecords, rec), append(s.byRecord[a], rec)
		}
	}
}

// record holds a record against the file as it was before the record came in: without any record for the first one and
// for those that stand beside one another, without this one and those behind it for the others; in the encoding that is
// there (RFC 4998), then in DER (EN 319 122-3).
func (s *signer) record(value []byte, typ cms.OID, carrying []*cms.Attribute, n int) *signature.EvidenceRecord {
	var first *signature.EvidenceRecord
	seen := map[string]bool{}
	for _, gone := range [][]*cms.Attribute{carrying, carrying[n:], carrying[n : n+1]} {
		for _, der := range []bool{false, true} {
			digest := s.before(gone, der)
			if sum, err := digest(algorithm.SHA256); err == nil {
				if seen[string(sum)] {
					continue
				}
				seen[string(sum)] = true
			}
			rec := ers.Parse(s.doc.budget, value, s.recordObjects(digest, s.recordCovers(gone), typ)...)
			if first == nil {
				first = rec
			}
			if len(rec.References) > 0 && rec.References[0].Intact {
				return rec
			}
		}
	}
	return first
}

// before digests the file as it was before some attributes came in.
func (s *signer) before(gone []*cms.Attribute, der bool) func(algorithm.Hash) ([]byte, error) {
	return func(h algorithm.Hash) ([]byte, error) {
		parts, err := s.doc.signed.Without(slices.Index(s.doc.signed.Signers, s.info), func(a *cms.Attribute) bool { return slices.Contains(gone, a) })
		if err != nil {
			return nil, err
		}
		if der {
			if err := s.doc.budget.Hold(2 * len(s.doc.signed.Raw)); err != nil {
				return nil, err
			}
			whole, err := s.doc.toDER(bytes.Join(parts, nil))
			if err != nil {
				return nil, err
			}
			parts = [][]byte{whole}
		}
		state := h.New()
		for _, p := range parts {
			if err := s.doc.budget.Write(state, p); err != nil {
				return nil, err
			}
		}
		return state.Sum(nil), nil
	}
}

// recordObjects are what a record is about: the file, and of an external one the content beside it.
func (s *signer) recordObjects(digest func(algorithm.Hash) ([]byte, error), covers [][32]byte, typ cms.OID) []ers.Object {
	objects := []ers.Object{{
		Name: s.ID, Scope: "the whole file of the signature " + s.ID, Type: "signature", Named: true, Digest: digest,
		Covers: covers, Signature: true,
	}}
	if typ != cms.OIDEvidenceExternal {
		return objects
	}
	return append(objects, ers.Object{Name: s.content.name, Scope: s.content.scope, Named: true, Digest: func(h algorithm.Hash) ([]byte, error) {
		if !s.content.Present() || s.doc.signed.Content.Present {
			return nil, ers.ErrAbsent // what the signature carries does not lie beside it
		}
		return s.content.Digest(h)
	}})
}

// recordCovers lists what the file held before some records came in: the values of all signers, this one's evidence, and
// the time-stamps of the records that were there.
func (s *signer) recordCovers(gone []*cms.Attribute) [][32]byte {
	st := &stamp{Token: &timestamp.Token{Timestamp: &signature.Timestamp{}}, attribute: &cms.Attribute{}, doc: s.doc}
	for _, si := range s.doc.signed.Signers {
		st.cover([][]byte{si.Signature})
	}
	var attributes []*cms.Attribute
	for i := range s.info.UnsignedAttributes {
		if a := &s.info.UnsignedAttributes[i]; !isRecord(a) {
			attributes = append(attributes, a)
		}
	}
	s.coverAll(st, attributes)
	for a, earlier := range s.byRecord {
		if slices.Contains(gone, a) {
			continue
		}
		for _, rec := range earlier {
			for _, t := range rec.Timestamps {
				st.cover([][]byte{t.Token}, t.Certificates, t.CRLs, t.OCSPs)
			}
		}
	}
	return st.Covers
}
