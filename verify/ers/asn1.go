package ers

import (
	"errors"
	"io"

	"golang.org/x/crypto/cryptobyte"
	"golang.org/x/crypto/cryptobyte/asn1"

	"trustcore/internal/budget"
	"trustcore/internal/cms"
	"trustcore/verify/algorithm"
)

// reader reads a record of RFC 4998, which is DER.
type reader struct {
	counter
	out record
}

func readASN1(b *budget.Budget, der []byte) (*record, error) {
	r := &reader{counter: counter{budget: b}, out: record{listed: map[algorithm.Hash]bool{}}}
	return &r.out, r.read(der)
}

// The tags of RFC 4998, whose module has implicit tags.
const (
	tagCryptoInfos    = asn1.Tag(0xa0)
	tagEncryptionInfo = asn1.Tag(0xa1)
	tagTreeAlgorithm  = asn1.Tag(0xa0)
	tagAttributes     = asn1.Tag(0xa1)
	tagReducedTree    = asn1.Tag(0xa2)
)

// read reads EvidenceRecord (RFC 4998 3.1).
func (r *reader) read(der []byte) error {
	input := cryptobyte.String(der)
	var body, algorithms, infos, encryption, sequence cryptobyte.String
	var version int
	var hasInfos, encrypted bool
	if !input.ReadASN1(&body, asn1.SEQUENCE) || !input.Empty() {
		return errors.New("no EvidenceRecord in DER, or octets follow it")
	}
	if !body.ReadASN1Integer(&version) || version != 1 ||
		!body.ReadASN1(&algorithms, asn1.SEQUENCE) || algorithms.Empty() {
		return errors.New("no version 1 with its digest algorithms")
	}
	if !body.ReadOptionalASN1(&infos, &hasInfos, tagCryptoInfos) ||
		!body.ReadOptionalASN1(&encryption, &encrypted, tagEncryptionInfo) ||
		!body.ReadASN1(&sequence, asn1.SEQUENCE) || !body.Empty() {
		return errors.New("it does not end with an archiveTimeStampSequence")
	}
	if encrypted {
		return unchecked{errors.New("the record is about encrypted data objects (RFC 4998 6), which are not read")}
	}
	if err := r.readAlgorithms(algorithms); err != nil {
		return err
	}
	if err := r.readInfos(infos); err != nil {
		return err
	}
	return r.readSequence(sequence)
}

// readAlgorithms takes note of those that are known: others may have been the archive's, of other records.
func (r *reader) readAlgorithms(list cryptobyte.String) error {
	for !list.Empty() {
		var identifier cryptobyte.String
		if !list.ReadASN1Element(&identifier, asn1.SEQUENCE) {
			return errors.New("malformed digestAlgorithms")
		}
		if err := r.budget.Nodes(1); err != nil {
			return err
		}
		if h, err := algorithm.HashByIdentifier(identifier); err == nil {
			r.out.listed[h] = true
		}
	}
	return nil
}

// readInfos takes certificates and revocation data out of cryptoInfos, as attributes of CAdES carry them.
func (r *reader) readInfos(list cryptobyte.String) error {
	for !list.Empty() {
		a, err := readAttribute(&list)
		if err != nil {
			return err
		}
		if err := r.budget.Work(cms.ParseWork(len(a.Raw))); err != nil {
			return err
		}
		switch a.Type {
		case cms.OIDCertificateValues:
			certificates, err := a.Certificates()
			if err == nil {
				r.out.certificates = append(r.out.certificates, certificates...)
			}
		case cms.OIDRevocationValues, cms.OIDRevocationArchival:
			crls, ocsps, err := a.Revocations()
			if err == nil {
				r.out.crls, r.out.ocsps = append(r.out.crls, crls...), append(r.out.ocsps, ocsps...)
			}
		}
	}
	return nil
}

func readAttribute(list *cryptobyte.String) (cms.Attribute, error) {
	var body, typ, set, value cryptobyte.String
	if !list.ReadASN1(&body, asn1.SEQUENCE) || !body.ReadASN1(&typ, asn1.OBJECT_IDENTIFIER) ||
		!body.ReadASN1(&set, asn1.SET) || !body.Empty() || !set.ReadAnyASN1Element(&value, new(asn1.Tag)) {
		return cms.Attribute{}, errors.New("malformed attribute of cryptoInfos")
	}
	return cms.NewAttribute(cms.OID(typ), value), nil
}

// readSequence reads ArchiveTimeStampSequence (RFC 4998 5.1).
func (r *reader) readSequence(sequence cryptobyte.String) error {
	all := sequence
	for !sequence.Empty() {
		if len(r.out.chains) == maxChains {
			return beyond(maxChains, "archive time-stamp chains")
		}
		before := all[:len(all)-len(sequence)]
		var body cryptobyte.String
		if !sequence.ReadASN1(&body, asn1.SEQUENCE) || body.Empty() {
			return errors.New("malformed or empty ArchiveTimeStampChain")
		}
		c := chain{before: r.sequenceOf(before)}
		for !body.Empty() {
			a, err := r.readTimestamp(&body)
			if err != nil {
				return err
			}
			c.stamps = append(c.stamps, a)
		}
		r.out.chains = append(r.out.chains, c)
	}
	if len(r.out.chains) == 0 {
		return errors.New("it has no ArchiveTimeStampChain")
	}
	return nil
}

// sequenceOf writes the DER of an ArchiveTimeStampSequence that holds encoded chains.
func (r *reader) sequenceOf(chains []byte) func(io.Writer) error {
	return func(w io.Writer) error {
		if err := r.budget.Write(w, sequenceHeader(len(chains))); err != nil {
			return err
		}
		return r.budget.Write(w, chains)
	}
}

// sequenceHeader is the identifier and the length octets of a SEQUENCE.
func sequenceHeader(length int) []byte {
	if length < 0x80 {
		return []byte{tagSequence, byte(length)}
	}
	var octets []byte
	for n := length; n > 0; n >>= 8 {
		octets = append([]byte{byte(n)}, octets...)
	}
	return append([]byte{tagSequence, 0x80 | byte(len(octets))}, octets...)
}

// readTimestamp reads ArchiveTimeStamp (RFC 4998 4.1).
func (r *reader) readTimestamp(list *cryptobyte.String) (archived, error) {
	var a archived
	if err := r.timestamp(); err != nil {
		return a, err
	}
	var body, identifier, tree, token cryptobyte.String
	var hasHash, hasTree bool
	if !list.ReadASN1(&body, asn1.SEQUENCE) || !body.ReadOptionalASN1(&identifier, &hasHash, tagTreeAlgorithm) ||
		!body.SkipOptionalASN1(tagAttributes) || !body.ReadOptionalASN1(&tree, &hasTree, tagReducedTree) ||
		!body.ReadASN1Element(&token, asn1.SEQUENCE) || !body.Empty() {
		return a, errors.New("malformed ArchiveTimeStamp")
	}
	a.token, a.whole = token, func(w io.Writer) error { return r.budget.Write(w, token) }
	if hasHash {
		h, err := algorithm.HashByIdentifier(append(sequenceHeader(len(identifier)), identifier...))
		if errors.Is(err, algorithm.ErrUnsupported) {
			return a, unchecked{err}
		}
		if err != nil {
			return a, err
		}
		a.hash = h
	}
	if !hasTree {
		return a, nil
	}
	var err error
	a.tree, err = r.readTree(tree)
	return a, err
}

// readTree reads the lists of a reducedHashtree.
func (r *reader) readTree(tree cryptobyte.String) ([][][]byte, error) {
	var lists [][][]byte
	for !tree.Empty() {
		var partial cryptobyte.String
		if !tree.ReadASN1(&partial, asn1.SEQUENCE) || partial.Empty() {
			return nil, errors.New("malformed or empty PartialHashtree")
		}
		var list [][]byte
		for !partial.Empty() {
			var value cryptobyte.String
			if err := r.hash(); err != nil {
				return nil, err
			}
			if !partial.ReadASN1(&value, asn1.OCTET_STRING) {
				return nil, errors.New("malformed PartialHashtree")
			}
			list = append(list, value)
		}
		lists = append(lists, list)
	}
	if len(lists) == 0 {
		return nil, errors.New("empty reducedHashtree")
	}
	return lists, nil
}
