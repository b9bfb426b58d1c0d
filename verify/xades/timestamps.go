package xades

import (
	"errors"
	"fmt"
	"io"

	"trustcore/internal/xmldsig"
	"trustcore/verify/algorithm"
	"trustcore/verify/signature"
	"trustcore/verify/timestamp"
)

const maxTimestamps = 256 // tokens of one signature

// stamped is a token that was read, and the element that holds it.
type stamped struct {
	element xmldsig.Node
	fact    *signature.Timestamp
}

// kinds are the time-stamp properties. Those over data objects are signed, the others unsigned.
var kinds = map[string]signature.TimestampType{
	"AllDataObjectsTimeStamp":        signature.AllDataTimestamp,
	"IndividualDataObjectsTimeStamp": signature.IndividualData,
	"SignatureTimeStamp":             signature.SignatureTimestamp,
	"RefsOnlyTimeStamp":              signature.RefsOnlyTimestamp,
	"RefsOnlyTimeStampV2":            signature.RefsOnlyTimestamp,
	"SigAndRefsTimeStamp":            signature.SigAndRefs,
	"SigAndRefsTimeStampV2":          signature.SigAndRefs,
	"ArchiveTimeStamp":               signature.ArchiveTimestamp,
}

// readTimestamps reads every token and compares its imprint with what its kind covers, and the evidence records among
// them: what comes later covers what comes before.
func (s *signed) readTimestamps() {
	for e := range s.props.signedData.Elements() {
		if kind, ok := kinds[e.Local()]; ok {
			s.readTimestamp(e, kind)
		}
	}
	for e := range s.props.unsigned.Elements() {
		if kind, ok := kinds[e.Local()]; ok {
			s.readTimestamp(e, kind)
		}
		if e.Is(ns19132, "SealingEvidenceRecords") {
			s.readRecords(e)
		}
	}
}

func (s *signed) readTimestamp(e xmldsig.Node, kind signature.TimestampType) {
	tokens := e.All(s.props.space, "EncapsulatedTimeStamp")
	if len(tokens) == 0 {
		tokens = e.All(ns132, "EncapsulatedTimeStamp")
	}
	if len(tokens) == 0 {
		s.note("%s holds no token that can be read", e.Name())
	}
	for n, t := range tokens {
		if len(s.stamps) >= maxTimestamps {
			s.note("more than %d time-stamps", maxTimestamps)
			return
		}
		id := e.ID()
		if n > 0 && id != "" {
			id = fmt.Sprintf("%s (%d)", id, n+1)
		}
		der, err := t.Bytes()
		if err != nil {
			s.note("%s: %v", e.Name(), err)
		}
		token := timestamp.Open(s.budget, id, kind, der, s.facts.Certificates)
		token.Namespace = e.Space()
		s.compare(e, kind, token)
		s.facts.Timestamps = append(s.facts.Timestamps, token.Timestamp)
		s.stamps = append(s.stamps, stamped{e, token.Timestamp})
	}
}

// compare assembles what the time-stamp is about, compares the imprint and notes what it proves.
func (s *signed) compare(e xmldsig.Node, kind signature.TimestampType, token *timestamp.Token) {
	form, err := s.stampForm(e)
	if err != nil {
		token.Structure = append(token.Structure, err.Error())
		return
	}
	in := &imprint{signed: s, form: form, property: e}
	token.Compare(func(w io.Writer) error {
		in.w = w
		return in.assemble(kind)
	})
	if note := token.Proves(in.covers, s.facts.Value); note != "" {
		s.note("%s", note)
	}
}

// stampForm is the canonicalisation of a time-stamp property; absent or empty means Canonical XML 1.0.
func (s *signed) stampForm(e xmldsig.Node) (xmldsig.Canonicalization, error) {
	method := e.Child(xmldsig.NamespaceDSig, "CanonicalizationMethod")
	if uri, _ := method.Attr("", "Algorithm"); uri == "" {
		return xmldsig.Canonicalization{}, nil
	}
	return xmldsig.ReadCanonicalization(method)
}

// imprint assembles the octets that one time-stamp covers.
type imprint struct {
	*signed
	w        io.Writer // spends for what it takes
	form     xmldsig.Canonicalization
	property xmldsig.Node
	covers   [][32]byte
}

var errNoData = errors.New("what the time-stamp covers is not there")

func (in *imprint) assemble(kind signature.TimestampType) error {
	if in.props.space != ns132 && len(in.property.All(in.props.space, "HashDataInfo")) > 0 {
		return in.hashDataInfo()
	}
	switch kind {
	case signature.AllDataTimestamp:
		return in.references(func(r *xmldsig.Reference) bool { return !typesSignedProperties[r.Type] })
	case signature.IndividualData:
		return in.included()
	case signature.SignatureTimestamp:
		return in.value()
	case signature.RefsOnlyTimestamp:
		return in.validationReferences(false)
	case signature.SigAndRefs:
		if err := in.value(); err != nil {
			return err
		}
		return in.validationReferences(true)
	}
	return in.archive()
}

// element writes the canonical form of an element.
func (in *imprint) element(n xmldsig.Node) error {
	if n.IsZero() {
		return errNoData
	}
	return xmldsig.Subtree(n).Canonical(in.w, in.form)
}

// value writes ds:SignatureValue: from then on the signature is proved to have existed.
func (in *imprint) value() error {
	in.proveValue()
	return in.element(in.xml.ValueNode)
}

func (in *imprint) proveValue() {
	in.covers = append(in.covers, in.facts.Value)
	if in.namesSigner() {
		in.covers = append(in.covers, in.sum(in.facts.Signer)) // named by digest within what was signed
	}
}

// namesSigner reports whether the value verifies, and what it signs names the signer's certificate and is unchanged:
// whoever has an old value could put any properties, and so any certificate, beside it.
func (s *signed) namesSigner() bool {
	if !s.facts.Intact || s.facts.Signer == nil || s.facts.Binding != signature.BindingMatches {
		return false
	}
	named := false
	for _, out := range s.covers {
		properties := !s.props.signed.IsZero() && out.Nodes.Covers(s.props.signed)
		if properties || s.xml.KeyInfo != nil && out.Nodes.Covers(s.xml.KeyInfo.Element) {
			if named = true; !out.Intact {
				return false
			}
		}
	}
	return named
}

// references writes the data of the chosen ds:Reference elements in their order (EN 319 132-1, 5.2.8.1).
func (in *imprint) references(wanted func(*xmldsig.Reference) bool) error {
	some := false
	for _, r := range in.xml.References {
		if !wanted(r) {
			continue
		}
		some = true
		if err := in.reference(r); err != nil {
			return err
		}
	}
	if !some {
		return errNoData
	}
	return nil
}

func (in *imprint) reference(r *xmldsig.Reference) error {
	_, err := r.WriteData(in.w, in.resolve, in.form)
	return err
}

// included writes the references that xades:Include names, in that order (EN 319 132-1, 5.2.8.2).
func (in *imprint) included() error {
	includes := in.property.All(in.props.space, "Include")
	if len(includes) == 0 || len(includes) > xmldsig.DefaultLimits.References {
		return errNoData
	}
	for _, include := range includes {
		uri, _ := include.Attr("", "URI")
		_, target, err := in.doc.Select(uri)
		if err != nil {
			return err
		}
		if err := in.budget.Work(int64(perEntry * len(in.xml.References))); err != nil {
			return err
		}
		found := false
		for _, r := range in.xml.References {
			if r.Element == target {
				found = true
				if err := in.reference(r); err != nil {
					return err
				}
			}
		}
		if !found {
			return errNoData
		}
	}
	return nil
}

// hashDataInfo writes what the HashDataInfo elements of XAdES 1.1.1 and 1.2.2 name. Data count as covered
// only where they are known parts of this signature.
func (in *imprint) hashDataInfo() error {
	for _, h := range in.property.All(in.props.space, "HashDataInfo") {
		uri, _ := h.Attr("", "uri")
		set, target, err := in.doc.Select(uri)
		if err != nil {
			return err
		}
		transforms, err := xmldsig.ReadTransforms(h.Child(in.props.space, "Transforms"))
		if err != nil {
			return err
		}
		if err := xmldsig.Process(in.w, xmldsig.SetData(set), transforms, in.xml.Element); err != nil {
			return err
		}
		if target == in.xml.ValueNode && len(transforms) == 0 {
			in.covers = append(in.covers, in.facts.Value)
		}
	}
	return nil
}

// validationReferences writes the references to certificates and revocation data that stand before the
// time-stamp, and with them the time-stamps on the signature (TS 101 903, 7.5; EN 319 132-1, A.1.5).
func (in *imprint) validationReferences(withStamps bool) error {
	some := false
	for e := range in.props.unsigned.Elements() {
		if e == in.property {
			break
		}
		if err := in.passBy(); err != nil {
			return err
		}
		switch e.Local() {
		case "SignatureTimeStamp":
			if !withStamps {
				continue
			}
			in.tokens(e)
		case "CompleteCertificateRefs", "CompleteCertificateRefsV2", "CompleteRevocationRefs",
			"AttributeCertificateRefs", "AttributeCertificateRefsV2", "AttributeRevocationRefs":
			some = true
			in.referenced(e)
		default:
			continue
		}
		if err := in.element(e); err != nil {
			return err
		}
	}
	if !some {
		return errNoData
	}
	return nil
}

// passBy spends for a look at a property, and whether it holds one of the tokens.
func (s *signed) passBy() error {
	return s.budget.Work(int64(perProperty + perEntry*len(s.stamps)))
}

// tokens notes that the tokens in a property are covered.
func (in *imprint) tokens(e xmldsig.Node) {
	for _, t := range in.stamps {
		if t.element == e {
			in.covers = append(in.covers, in.sum(t.fact.Token))
		}
	}
}

// referenced notes the objects at hand that the digests in a references property name.
func (in *imprint) referenced(e xmldsig.Node) {
	for method := range e.Descendants(xmldsig.NamespaceDSig, "DigestMethod") {
		uri, _ := method.Attr("", "Algorithm")
		value, err := method.Parent().Child(xmldsig.NamespaceDSig, "DigestValue").Bytes()
		h, herr := algorithm.HashByURI(uri)
		if err != nil || herr != nil {
			continue
		}
		d := certDigest{hash: h, value: value}
		for _, group := range [...][][]byte{in.facts.Certificates, in.facts.CRLs, in.facts.OCSPs} {
			for _, der := range group {
				if in.budget.Octets(perDigest+len(der)) != nil {
					return
				}
				if in.digestNames(d, der) {
					in.prove(der)
				}
			}
		}
	}
}

// archive writes what an ArchiveTimeStamp covers, not distributed: that of 1.4.1 (EN 319 132-1, 5.5.2.2) and that
// of 1.3.2 (TS 101 903, 8.2.1 of version 1.3.2).
func (in *imprint) archive() error {
	parts, err := in.sealedBy(in.property)
	if err != nil {
		return err
	}
	for _, p := range parts {
		if err := in.part(p); err != nil {
			return err
		}
	}
	return in.proveSealed()
}

// part writes a data object.
func (in *imprint) part(p part) error {
	if p.reference != nil {
		return in.reference(p.reference.ref)
	}
	return in.element(p.element)
}

// proveSealed notes what a property that seals the signature proves to have existed: the signature, and what it and the
// unsigned properties before that one carry.
func (in *imprint) proveSealed() error {
	in.proveValue()
	if k := in.xml.KeyInfo; k != nil {
		in.objects(k.X509)
	}
	for e := range in.props.unsigned.Elements() {
		if e == in.property {
			break
		}
		if err := in.passBy(); err != nil {
			return err
		}
		in.tokens(e)
		in.prove(in.signed.values(e).All()...)
	}
	in.insideTokens()
	return nil
}

// prove notes objects that the time-stamp proves to have existed.
func (in *imprint) prove(objects ...[]byte) {
	for _, der := range objects {
		if len(in.covers) > timestamp.MaxCovers || in.budget.Octets(perDigest+len(der)) != nil {
			return
		}
		in.covers = append(in.covers, in.sum(der))
	}
}

// sum is the SHA-256 of an object that the document carries. Each archive time-stamp proves what all before it did.
func (r *reader) sum(der []byte) [32]byte {
	sum, _ := r.budget.Digest(der) // beyond the budget nothing counts
	return sum
}

func (in *imprint) objects(all []xmldsig.X509Data) {
	for _, x := range all {
		in.prove(x.Certificates...)
		in.prove(x.CRLs...)
	}
}

// insideTokens notes what the covered time-stamps carry themselves.
func (in *imprint) insideTokens() {
	for _, t := range in.stamps {
		in.prove(t.fact.Certificates...)
		in.prove(t.fact.CRLs...)
		in.prove(t.fact.OCSPs...)
	}
}

// refersTo tells whether a reference of the signature names the object.
func (s *signed) refersTo(object xmldsig.Node) bool {
	for _, out := range s.covers {
		if out.Target == object {
			return true
		}
	}
	return false
}
