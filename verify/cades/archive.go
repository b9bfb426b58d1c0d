package cades

import (
	"errors"
	"io"
	"sync"

	"trustcore/internal/budget"
	"trustcore/internal/cms"
	"trustcore/verify/algorithm"
	"trustcore/verify/signature"
)

// archiveV3 checks an archive-time-stamp-v3 (ETSI EN 319 122-1, 5.5.3): the hash index in the token
// must be met by what is there, and the imprint must be that of the signed parts and the index.
func (s *signer) archiveV3(st *stamp) {
	if st.SignedData == nil || len(st.SignedData.Signers) == 0 {
		return
	}
	index, err := st.SignedData.Signers[0].HashIndex()
	if err == nil && index == nil {
		err = errors.New("the archive time-stamp has no ats-hash-index")
	}
	if err != nil {
		st.Structure = append(st.Structure, err.Error())
		return
	}
	h, ok := st.Hash()
	if !ok {
		return
	}
	digest, err := s.content.Digest(h)
	if err != nil {
		s.note("archive time-stamp %s: %v", st.ID, err)
		return
	}
	st.Compare(func(w io.Writer) error { return s.writeV3(w, digest, index.Raw) })
	if err := s.matchIndex(st, index); err != nil {
		s.note("archive time-stamp %s: %v", st.ID, err)
		st.Imprint = false
	}
	if st.Imprint {
		s.coverValue(st)
	}
}

// writeV3 writes what an archive-time-stamp-v3 is about.
func (s *signer) writeV3(w io.Writer, contentDigest, index []byte) error {
	parts := append([][]byte{s.doc.signed.Content.RawType, contentDigest}, s.info.SignedFields()...)
	for _, part := range append(parts, index) {
		if _, err := w.Write(part); err != nil {
			return err
		}
	}
	return nil
}

// matchIndex finds the object for each digest of the index; what is found is covered. A digest
// without an object makes the index invalid (EN 319 122-1, 5.5.2): something that the time-stamp protected is gone, and
// nobody can tell whether it spoke against the signature. Beside the fields of SignedData, evidence in attributes and in
// older tokens is looked through: signers list it too.
func (s *signer) matchIndex(st *stamp, index *cms.HashIndex) error {
	h, err := algorithm.HashByIdentifier(index.HashAlgorithm)
	if err != nil {
		return err
	}
	st.Algorithms = append(st.Algorithms, signature.AlgorithmUse{Purpose: "ats-hash-index", Algorithm: h.Name()})
	certificates := s.doc.index(h, s.doc.signed.CertificateChoices, s.Certificates)
	revocations := s.doc.index(h, s.doc.signed.RevocationInfos, s.CRLs, s.OCSPs)
	for _, other := range s.stamps {
		if other != st {
			s.doc.addTo(certificates, h, other.Certificates)
			s.doc.addTo(revocations, h, other.CRLs, other.OCSPs)
		}
	}
	for _, d := range index.Certificates {
		if der := certificates[string(d)]; der != nil {
			st.cover([][]byte{der})
		} else {
			err = errors.New("a certificate of the ats-hash-index is not there")
		}
	}
	for _, d := range index.Revocations {
		if der := revocations[string(d)]; der != nil {
			st.cover([][]byte{der}, cms.OCSPResponses(der))
		} else {
			err = errors.New("a CRL or OCSP response of the ats-hash-index is not there")
		}
	}
	if missing := s.matchAttributes(st, h, index); missing != nil {
		err = missing
	}
	return err
}

// indexed finds objects by their digest.
type indexed map[string][]byte

func (d *document) index(h algorithm.Hash, lists ...[][]byte) indexed {
	x := make(indexed)
	d.addTo(x, h, lists...)
	return x
}

func (d *document) addTo(x indexed, h algorithm.Hash, lists ...[][]byte) {
	for _, list := range lists {
		for _, object := range list {
			if d.budget.Work(digestWork+budget.Octet*int64(len(object))) != nil {
				return
			}
			x[string(h.Sum(object))] = object
		}
	}
}

// digestWork is what a digest costs beside the octets.
const digestWork = 500

// matchAttributes does the same for unsigned attributes: whole ones (versions 1 and 2 of the index)
// or their single values with the type before (version 3).
func (s *signer) matchAttributes(st *stamp, h algorithm.Hash, index *cms.HashIndex) error {
	wanted := make(map[string]bool, len(index.Attributes))
	for _, d := range index.Attributes {
		wanted[string(d)] = true
	}
	for i := range s.info.UnsignedAttributes {
		a := &s.info.UnsignedAttributes[i]
		if err := s.doc.budget.Work(digestWork*int64(1+len(a.Values)) + budget.Octet*int64(len(a.Raw))); err != nil {
			return err
		}
		if index.Version < 3 {
			if d := string(h.Sum(a.Raw)); wanted[d] {
				delete(wanted, d)
				s.coverAttribute(st, a, a.Values)
			}
			continue
		}
		for _, value := range a.Values {
			if d := string(h.Sum(a.RawType(), value)); wanted[d] {
				delete(wanted, d)
				s.coverAttribute(st, a, [][]byte{value})
			}
		}
	}
	if len(wanted) > 0 {
		return errors.New("an unsigned attribute of the ats-hash-index is not there")
	}
	return nil
}

// coverAttribute notes what values of an attribute hold.
func (s *signer) coverAttribute(st *stamp, a *cms.Attribute, values [][]byte) {
	switch a.Type {
	case cms.OIDCertificateValues, cms.OIDRevocationValues:
		if s.doc.budget.Work(cms.ParseWork(len(a.Raw))) != nil {
			return
		}
	}
	switch a.Type {
	case cms.OIDCertificateValues:
		if certs, err := a.Certificates(); err == nil {
			st.cover(certs)
		}
	case cms.OIDRevocationValues:
		if crls, ocsps, err := a.Revocations(); err == nil {
			st.cover(crls, ocsps)
		}
	default:
		for _, value := range values {
			if len(value) == 0 {
				continue
			}
			if other := s.byValue[&value[0]]; other != nil && other != st {
				st.coverToken(other.Token)
			}
		}
	}
}

// formV2 is one of the encodings in which implementations hash the parts for an archive time-stamp of
// the second version; TS 101 733, 6.4.1 leaves room for them. All cover the same parts.
type formV2 struct {
	der  bool // parts in DER instead of as they stand
	bare bool // unsigned attributes one after the other, without tag and length of the set
}

// formsV2 are in the order of what they cost.
var formsV2 = [...]formV2{{}, {bare: true}, {der: true}, {der: true, bare: true}}

// archiveV2 checks an archive-time-stamp-v2, which is about the parts of the SignedData as they were
// then: later unsigned attributes are left out by their time.
func (s *signer) archiveV2(st *stamp) {
	earlier := s.attributesBefore(st)
	plain := sync.OnceValue(func() bool { return s.isDER(earlier) })
	for i := range formsV2 {
		n := (s.doc.form + i) % len(formsV2)
		if formsV2[n].der && plain() {
			continue
		}
		st.Compare(func(w io.Writer) error { return s.writeV2(w, earlier, formsV2[n]) })
		if st.Imprint {
			s.doc.form = n
			s.coverAll(st, earlier)
			return
		}
	}
}

// isDER tells whether the parts stand in DER already, so that the other form is the same.
func (s *signer) isDER(earlier []*cms.Attribute) bool {
	if !s.doc.signed.Content.IsDER() {
		return false
	}
	for _, part := range s.partsV2(earlier, formV2{der: true}) {
		if s.doc.budget.Work(derWork*int64(len(part))) != nil || !cms.IsDER(part) {
			return false
		}
	}
	return true
}

// derWork is what an octet costs that is rewritten in DER: the smallest elements have two.
const derWork = 100

func (d *document) toDER(part []byte) ([]byte, error) {
	if err := d.budget.Work(derWork * int64(len(part))); err != nil {
		return nil, err
	}
	return cms.ToDER(part)
}

// attributesBefore are the unsigned attributes that an archive time-stamp is about: all but itself
// and the archive time-stamps that are not older.
func (s *signer) attributesBefore(st *stamp) []*cms.Attribute {
	var list []*cms.Attribute
	for i := range s.info.UnsignedAttributes {
		a := &s.info.UnsignedAttributes[i]
		if a != st.attribute && !s.later(a, st) {
			list = append(list, a)
		}
	}
	return list
}

func (s *signer) later(a *cms.Attribute, st *stamp) bool {
	if a.Type != cms.OIDArchiveTimestampV2 && a.Type != cms.OIDArchiveTimestampV3 {
		return false
	}
	for _, other := range s.stamps {
		if other.attribute == a && !other.Time.Before(st.Time) {
			return true
		}
	}
	return false
}

// coverAll notes that everything in the SignedData and in the earlier attributes is covered.
func (s *signer) coverAll(st *stamp, earlier []*cms.Attribute) {
	s.coverValue(st)
	sd := s.doc.signed
	st.cover(sd.Certificates, sd.CRLs, sd.OCSPs)
	for _, a := range earlier {
		s.coverAttribute(st, a, a.Values)
	}
}

// writeV2 writes what an archive-time-stamp-v2 is about: encapContentInfo, the external content,
// certificates, crls, and the elements of the SignerInfo with the earlier unsigned attributes.
func (s *signer) writeV2(w io.Writer, earlier []*cms.Attribute, form formV2) error {
	encap := &s.doc.signed.Content
	if form.der {
		if err := encap.WriteDER(w); err != nil {
			return err
		}
	} else if _, err := w.Write(encap.Raw); err != nil {
		return err
	}
	if !encap.Present {
		if err := s.content.CopyTo(w); err != nil {
			return err
		}
	}
	for _, part := range s.partsV2(earlier, form) {
		if form.der {
			var err error
			if part, err = s.doc.toDER(part); err != nil {
				return err
			}
		}
		if _, err := w.Write(part); err != nil {
			return err
		}
	}
	return nil
}

// partsV2 are the parts behind the content, as they stand.
func (s *signer) partsV2(earlier []*cms.Attribute, form formV2) [][]byte {
	var parts [][]byte
	for _, field := range [][]byte{s.doc.signed.RawCertificates, s.doc.signed.RawCRLs} {
		if field != nil {
			parts = append(parts, field)
		}
	}
	parts = append(parts, s.info.SignedFields()...)
	attributes := make([][]byte, len(earlier))
	for i, a := range earlier {
		attributes[i] = a.Raw
	}
	switch {
	case len(attributes) == 0 || form.bare:
	case form.der: // one element, to be rewritten
		return append(parts, cms.UnsignedAttributes(attributes))
	default:
		parts = append(parts, cms.UnsignedAttributesHead(attributes))
	}
	return append(parts, attributes...)
}
