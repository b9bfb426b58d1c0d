package xades

import (
	"bytes"
	"slices"

	"trustcore/internal/xmldsig"
	"trustcore/verify/signature"
)

// level names the level by the properties that are there, as the tables of EN 319 132-1 (baseline: B-B, B-T, B-LT,
// B-LTA) and EN 319 132-2 and TS 101 903 (BES, EPES, T, C, X, XL, A) define them, and with the minimal requirements that
// DSS has. Whether time-stamps and evidence are valid, and serve for all, is not said.
func (s *signed) level() string {
	if s.facts.Format != signature.XAdES || !s.formatsResolve() || !s.bindsSigner() {
		s.facts.Format = signature.XMLDSig
		return ""
	}
	baseline := s.baseline()
	switch {
	case !s.timely() && baseline:
		return "B-B"
	case !s.timely() && s.props.child("SignaturePolicyIdentifier") != (xmldsig.Node{}):
		return "EPES"
	case !s.timely():
		return "BES"
	}
	baseline = baseline && s.singleTokens()
	if level := s.longTermLevel(baseline); level != "" {
		return level
	}
	if baseline {
		return "B-T"
	}
	return "T"
}

// timely tells whether there is a time-stamp on the signature, and none later than the end of the signer's certificate
// (EN 319 132-1, 6.3 (o)).
func (s *signed) timely() bool {
	some := false
	for _, t := range s.stamps {
		if t.fact.Type != signature.SignatureTimestamp || t.fact.Time.IsZero() {
			continue
		}
		if some = true; !s.notAfter.IsZero() && t.fact.Time.After(s.notAfter) {
			return false
		}
	}
	return some
}

// longTermLevel is a level with evidence or references to it, or "".
func (s *signed) longTermLevel(baseline bool) string {
	archived := s.has("ArchiveTimeStamp")
	if s.hasRevocation() && baseline && s.baselineEvidence() {
		switch {
		case s.sealed():
			return "ERS"
		case archived:
			return "B-LTA"
		}
		return "B-LT"
	}
	values := s.has("CertificateValues") && s.has("RevocationValues")
	references := s.has("CompleteCertificateRefs", "CompleteCertificateRefsV2") && s.has("CompleteRevocationRefs")
	stamped := s.has("SigAndRefsTimeStamp", "SigAndRefsTimeStampV2", "RefsOnlyTimeStamp", "RefsOnlyTimeStampV2")
	switch {
	case values && s.sealed():
		return "ERS"
	case values && archived:
		return "A"
	case values && !references:
		return "LT"
	case !references:
		return ""
	case stamped && values:
		return "XL"
	case stamped:
		return "X"
	}
	return "C"
}

// sealed tells whether evidence records are there, and the time of signing, as the level E-ERS demands (TS 119 132-3).
func (s *signed) sealed() bool {
	records := s.props.unsigned.All(ns19132, "SealingEvidenceRecords")
	return len(records) > 0 && len(s.props.signedSignature.All(s.props.space, "SigningTime")) == 1
}

// bindsSigner tells whether a signed property, or a signed ds:KeyInfo, names the signer's certificate: without that it
// is no XAdES signature (TS 101 903, 4.4.1).
func (s *signed) bindsSigner() bool {
	named := s.props.child("SigningCertificate") != (xmldsig.Node{}) || s.props.child("SigningCertificateV2") != (xmldsig.Node{})
	return named || s.facts.Binding == signature.BindingMatches || !s.props.covered
}

// count returns how many of the unsigned properties are there, in the namespace of the version or those of later
// additions.
func (s *signed) count(locals ...string) int {
	n := 0
	for e := range s.props.unsigned.Elements() {
		if space := e.Space(); (space == s.props.space || space == ns141 || space == ns19132) && slices.Contains(locals, e.Local()) {
			n++
		}
	}
	return n
}

func (s *signed) has(locals ...string) bool { return s.count(locals...) > 0 }

// baseline is the B-B row of EN 319 132-1, table 2, with its requirements (a), (i) and (k).
func (s *signed) baseline() bool {
	p := &s.props
	if p.space == ns111 || len(s.xml.References) < 2 || !s.referencesProperties() || !s.inKeyInfo() {
		return false
	}
	count := func(locals ...string) int {
		n := 0
		for e := range p.signed.Child(p.space, "SignedSignatureProperties").Elements() {
			if e.Space() == p.space && slices.Contains(locals, e.Local()) {
				n++
			}
		}
		return n
	}
	switch {
	case count("SigningTime") != 1 || count("SigningCertificate", "SigningCertificateV2") != 1,
		count("SignerRole", "SignerRoleV2") > 1, count("SignatureProductionPlace", "SignatureProductionPlaceV2") > 1,
		count("SignaturePolicyIdentifier") > 1, s.count("SignaturePolicyStore") > 1, s.namesByURI():
		return false
	}
	return s.parent != nil || s.formatsGiven()
}

// namesByURI tells whether SigningCertificateV2 says where a certificate lies.
func (s *signed) namesByURI() bool {
	for _, cert := range s.props.child("SigningCertificateV2").All(s.props.space, "Cert") {
		if _, ok := cert.Attr("", "URI"); ok {
			return true
		}
	}
	return false
}

// referencesProperties tells whether a reference covers the signed properties, or says it does.
func (s *signed) referencesProperties() bool {
	if s.props.covered {
		return s.props.typed || s.props.space != ns132
	}
	return slices.ContainsFunc(s.xml.References, func(r *xmldsig.Reference) bool { return typesSignedProperties[r.Type] })
}

// inKeyInfo tells whether ds:KeyInfo holds the signer's certificate. One that neither verifies the value nor is named by
// the property is nobody's.
func (s *signed) inKeyInfo() bool {
	if s.xml.KeyInfo == nil || s.facts.Signer == nil || s.facts.Binding == signature.BindingMismatch && !s.facts.Intact {
		return false
	}
	for _, x := range s.xml.KeyInfo.X509 {
		if slices.ContainsFunc(x.Certificates, func(der []byte) bool { return bytes.Equal(der, s.facts.Signer) }) {
			return true
		}
	}
	return false
}

// formatsResolve tells whether every DataObjectFormat is about a reference of the signature, as it must be
// (EN 319 132-1, 5.2.4).
func (s *signed) formatsResolve() bool {
	own := map[string]bool{}
	for r := range s.xml.Element.Descendants(xmldsig.NamespaceDSig, "Reference") { // those of manifests too
		own["#"+r.ID()] = true
	}
	for _, f := range s.dataObjectFormats() {
		if name, _ := f.Attr("", "ObjectReference"); !own[name] {
			return false
		}
	}
	return true
}

func (s *signed) dataObjectFormats() []xmldsig.Node {
	return s.props.signed.Child(s.props.space, "SignedDataObjectProperties").All(s.props.space, "DataObjectFormat")
}

// formatsGiven tells whether each data object whose reference can be named has a DataObjectFormat with a MimeType.
func (s *signed) formatsGiven() bool {
	given := map[string]bool{}
	for _, f := range s.dataObjectFormats() {
		if f.Child(s.props.space, "MimeType").IsZero() {
			return false
		}
		name, _ := f.Attr("", "ObjectReference")
		given[name] = true
	}
	for i, r := range s.xml.References {
		switch kind := referenceType(r); {
		case kind == "signed-properties", kind == "counter-signature", kind == "manifest":
		case r.Type == typeSignatureProperties, r.ID == "", s.inKeyInfoElement(s.covers[i].Target):
		case !given["#"+r.ID]:
			return false
		}
	}
	return true
}

// baselineEvidence tells whether the unsigned properties are those that the B-LT row of EN 319 132-1, table 2 allows.
func (s *signed) baselineEvidence() bool {
	for _, once := range [...]string{"CertificateValues", "RevocationValues", "AttrAuthoritiesCertValues", "AttributeRevocationValues"} {
		if s.count(once) > 1 {
			return false
		}
	}
	return !s.has("CompleteCertificateRefs", "CompleteCertificateRefsV2", "CompleteRevocationRefs", "AttributeCertificateRefs",
		"AttributeCertificateRefsV2", "AttributeRevocationRefs", "SigAndRefsTimeStamp", "SigAndRefsTimeStampV2",
		"RefsOnlyTimeStamp", "RefsOnlyTimeStampV2")
}

// hasRevocation tells whether revocation data travel in the unsigned properties.
func (s *signed) hasRevocation() bool {
	for e := range s.props.unsigned.Elements() {
		if v := s.values(e); len(v.CRLs)+len(v.OCSPs) > 0 {
			return true
		}
	}
	return false
}

// singleTokens tells whether each SignatureTimeStamp holds one token, as the baseline demands.
func (s *signed) singleTokens() bool {
	for e := range s.props.unsigned.Elements() {
		if e.Local() == "SignatureTimeStamp" && len(e.All(s.props.space, "EncapsulatedTimeStamp")) != 1 {
			return false
		}
	}
	return true
}
