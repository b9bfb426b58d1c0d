package cades

import (
	"crypto/sha256"
	"errors"
	"io"
	"slices"

	"trustcore/internal/cms"
	"trustcore/verify/algorithm"
	"trustcore/verify/signature"
	"trustcore/verify/timestamp"
)

// stamp is one time-stamp of a signer with the attribute that carries it.
type stamp struct {
	*timestamp.Token
	attribute *cms.Attribute
	doc       *document
}

// kinds are the attributes that hold time-stamps.
var kinds = map[cms.OID]signature.TimestampType{
	cms.OIDContentTimestamp:   signature.ContentTimestamp,
	cms.OIDSignatureTimestamp: signature.SignatureTimestamp,
	cms.OIDESCTimestamp:       signature.SigAndRefs,
	cms.OIDCertCRLTimestamp:   signature.RefsOnlyTimestamp,
	cms.OIDArchiveTimestampV2: signature.ArchiveTimestamp,
	cms.OIDArchiveTimestampV3: signature.ArchiveTimestamp,
}

// maxTimestamps bounds the time-stamps of one file, each of which costs a signature check.
const maxTimestamps = 256

// timestamps opens all tokens and then compares their imprints: archive time-stamps need the others.
func (s *signer) timestamps() {
	s.byValue = map[*byte]*stamp{}
	s.open(s.info.SignedAttributes, true)
	s.open(s.info.UnsignedAttributes, false)
	if s.carries(cms.OIDArchiveTimestampV1) {
		s.note("archive time-stamps of the first version (RFC 3126, 3.12.3) are not looked at")
	}
	for _, st := range s.stamps {
		s.imprint(st)
		s.Timestamps = append(s.Timestamps, st.Timestamp)
	}
}

func (s *signer) open(list []cms.Attribute, signed bool) {
	for i := range list {
		a := &list[i]
		kind, ok := kinds[a.Type]
		if !ok || (kind == signature.ContentTimestamp) != signed {
			continue
		}
		for _, token := range a.Values {
			if s.doc.stamps++; s.doc.stamps > maxTimestamps {
				s.note("more than %d time-stamps; the rest is not looked at", maxTimestamps)
				return
			}
			if len(token) == 0 || token[0] != 0x30 {
				s.note("the %s attribute holds no time-stamp token", kind)
				continue
			}
			t := timestamp.Open(s.doc.budget, "", kind, token, s.Certificates)
			st := &stamp{t, a, s.doc}
			s.stamps = append(s.stamps, st)
			s.byValue[&token[0]] = st
		}
	}
}

// imprint compares one token's imprint and lists what it covers, which is nothing when they differ.
func (s *signer) imprint(st *stamp) {
	st.CoversSignature = st.Type != signature.ContentTimestamp && st.Type != signature.RefsOnlyTimestamp
	s.compare(st)
	if !st.Imprint {
		st.Covers = nil
	}
}

func (s *signer) compare(st *stamp) {
	switch st.attribute.Type {
	case cms.OIDContentTimestamp:
		if h, ok := st.Hash(); ok {
			if d, err := s.content.Digest(h); err == nil {
				st.CompareDigest(d)
			}
		}
	case cms.OIDSignatureTimestamp:
		st.Compare(s.writeValue)
		s.coverValue(st)
	case cms.OIDESCTimestamp:
		st.Compare(s.writeComplete)
		s.coverValue(st)
		s.coverStamps(st, cms.OIDSignatureTimestamp)
		s.coverReferenced(st)
	case cms.OIDCertCRLTimestamp:
		st.Compare(s.writeReferences)
		s.coverReferenced(st)
	case cms.OIDArchiveTimestampV2:
		s.archiveV2(st)
	case cms.OIDArchiveTimestampV3:
		s.archiveV3(st)
	}
}

func (s *signer) writeValue(w io.Writer) error {
	_, err := w.Write(s.info.Signature)
	return err
}

// writeComplete is what the CAdES-C time-stamp is about (TS 101 733, 6.3.5): the signature value, then
// type and values of signature-time-stamp and of the complete references.
func (s *signer) writeComplete(w io.Writer) error {
	if err := s.writeValue(w); err != nil {
		return err
	}
	for i := range s.info.UnsignedAttributes {
		if a := &s.info.UnsignedAttributes[i]; a.Type == cms.OIDSignatureTimestamp {
			if _, err := w.Write(a.TypeAndValues()); err != nil {
				return err
			}
		}
	}
	return s.writeReferences(w)
}

// writeReferences is what the references-only time-stamp is about (TS 101 733, 6.3.6).
func (s *signer) writeReferences(w io.Writer) error {
	found := false
	for _, typ := range []cms.OID{cms.OIDCertificateRefs, cms.OIDRevocationRefs} {
		if a := s.info.Unsigned(typ); a != nil {
			found = true
			if _, err := w.Write(a.TypeAndValues()); err != nil {
				return err
			}
		}
	}
	if !found {
		return errors.New("no complete references")
	}
	return nil
}

// coverValue notes that the token covers the signature value and what is signed with it: nothing, where the value does
// not verify. Whoever has an old value could put any certificate beside it.
func (s *signer) coverValue(st *stamp) {
	st.add(s.Value)
	if !s.Intact {
		return
	}
	if s.Signer != nil && s.Binding == signature.BindingMatches {
		st.cover([][]byte{s.Signer})
	}
	s.coverStamps(st, cms.OIDContentTimestamp)
}

// coverStamps adds the tokens that attributes of this type hold, with all evidence inside them.
func (s *signer) coverStamps(st *stamp, typ cms.OID) {
	for _, other := range s.stamps {
		if other != st && other.attribute.Type == typ {
			st.coverToken(other.Token)
		}
	}
}

// coverReferenced adds what the complete references name, as far as it is there: a time-stamp over a
// digest proves that the object existed.
func (s *signer) coverReferenced(st *stamp) {
	for _, typ := range []cms.OID{cms.OIDCertificateRefs, cms.OIDRevocationRefs} {
		a := s.info.Unsigned(typ)
		if a == nil {
			continue
		}
		if s.doc.budget.Work(2*cms.ParseWork(len(a.Raw))) != nil {
			return
		}
		refs, err := a.CertificateReferences()
		objects := [][][]byte{s.Certificates}
		if typ == cms.OIDRevocationRefs {
			refs, err = a.RevocationReferences()
			objects = [][][]byte{s.CRLs, s.OCSPs}
		}
		if err != nil {
			s.note("%v", err)
			continue
		}
		s.coverNamed(st, refs, objects)
	}
}

// coverNamed looks the references up; each digest algorithm costs one walk over the objects.
func (s *signer) coverNamed(st *stamp, refs []cms.CertificateRef, objects [][][]byte) {
	known := make(map[algorithm.Hash]indexed, 2)
	for _, ref := range refs {
		h, err := algorithm.HashByIdentifier(ref.HashAlgorithm)
		if err != nil {
			continue
		}
		if known[h] == nil {
			known[h] = s.doc.index(h, objects...)
		}
		if object := known[h][string(ref.Hash)]; object != nil {
			st.cover([][]byte{object})
		}
	}
}

func (st *stamp) coverToken(t *timestamp.Token) {
	st.cover([][]byte{t.Token}, t.Certificates, t.CRLs, t.OCSPs)
}

func (st *stamp) cover(lists ...[][]byte) {
	for _, list := range lists {
		for _, object := range list {
			if sum, err := st.doc.budget.Digest(object); err == nil {
				st.add(sum)
			}
		}
	}
}

// heldADigest is a digest in a list that grows.
const heldADigest = 2 * sha256.Size

func (st *stamp) add(sum [32]byte) {
	if st.doc.budget.Nodes(1) == nil && st.doc.budget.Hold(heldADigest) == nil {
		st.Covers = append(st.Covers, sum)
	}
}

// stamped tells whether a token of the attribute is there that can be read.
func (s *signer) stamped(types ...cms.OID) bool {
	for _, st := range s.stamps {
		if st.Info != nil && slices.Contains(types, st.attribute.Type) {
			return true
		}
	}
	return false
}
