package xades

import (
	"slices"

	"trustcore/internal/xmldsig"
	"trustcore/verify/signature"
)

// level names the level by the properties that are there, as the tables of EN 319 132-1 (baseline: B-B, B-T, B-LT,
// B-LTA) and EN 319 132-2 and TS 101 903 (BES, EPES, T, C, X, XL, A) define them. It says nothing about whether they
// are valid.
func (s *signed) level() string {
	if s.facts.Format != signature.XAdES || !s.formatsResolve() || !s.bindsSigner() {
		s.facts.Format = signature.XMLDSig
		return ""
	}
	if s.baseline() {
		if level := s.baselineLevel(); level != "" {
			return level
		}
	}
	return s.extendedLevel()
}

// bindsSigner tells whether a signed property, or a signed ds:KeyInfo, names the signer's certificate: without that it
// is no XAdES signature (TS 101 903, 4.4.1).
func (s *signed) bindsSigner() bool {
	named := s.props.child("SigningCertificate") != (xmldsig.Node{}) || s.props.child("SigningCertificateV2") != (xmldsig.Node{})
	return named || s.facts.Binding == signature.BindingMatches || !s.props.covered
}

// has tells whether an unsigned property is there, in the namespace of the version or those of later additions.
func (s *signed) has(locals ...string) bool {
	for e := range s.props.unsigned.Elements() {
		if e.Space() != s.props.space && e.Space() != ns141 && e.Space() != ns19132 {
			continue
		}
		for _, local := range locals {
			if e.Local() == local {
				return true
			}
		}
	}
	return false
}

// baseline is the B-B row of EN 319 132-1, table 2.
func (s *signed) baseline() bool {
	p := &s.props
	if p.space == ns111 || !s.referencesProperties() || s.xml.KeyInfo == nil || !s.inKeyInfo() {
		return false
	}
	has := func(local string) bool { return !p.signed.Path(p.space, "SignedSignatureProperties", local).IsZero() }
	if !has("SigningTime") || has("SigningCertificate") == has("SigningCertificateV2") {
		return false
	}
	return s.parent != nil || s.formatsGiven()
}

// referencesProperties tells whether a reference covers the signed properties, or says it does.
func (s *signed) referencesProperties() bool {
	if s.props.covered {
		return s.props.typed || s.props.space != ns132
	}
	return slices.ContainsFunc(s.xml.References, func(r *xmldsig.Reference) bool { return typesSignedProperties[r.Type] })
}

// inKeyInfo tells whether ds:KeyInfo holds a certificate.
func (s *signed) inKeyInfo() bool {
	for _, x := range s.xml.KeyInfo.X509 {
		if len(x.Certificates) > 0 {
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

// baselineLevel is "" where properties that the baseline excludes make it an extended signature.
func (s *signed) baselineLevel() string {
	switch {
	case !s.has("SignatureTimeStamp"):
		return "B-B"
	case s.has("CompleteCertificateRefs", "CompleteCertificateRefsV2", "CompleteRevocationRefs", "AttributeCertificateRefs",
		"AttributeCertificateRefsV2", "AttributeRevocationRefs", "SigAndRefsTimeStamp", "SigAndRefsTimeStampV2",
		"RefsOnlyTimeStamp", "RefsOnlyTimeStampV2"), !s.singleTokens():
		return ""
	case !s.hasRevocation():
		return "B-T"
	case s.has("SealingEvidenceRecords"):
		return "ERS"
	case !s.has("ArchiveTimeStamp"):
		return "B-LT"
	}
	return "B-LTA"
}

// hasRevocation tells whether revocation data travel in the unsigned properties.
func (s *signed) hasRevocation() bool {
	for e := range s.props.unsigned.Elements() {
		if v := s.values(e); len(v.crls)+len(v.ocsps) > 0 {
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

// extendedLevel is the highest level of the older tables whose properties are there.
func (s *signed) extendedLevel() string {
	certRefs := s.has("CompleteCertificateRefs", "CompleteCertificateRefsV2")
	refs := certRefs && s.has("CompleteRevocationRefs")
	switch {
	case !s.has("SignatureTimeStamp"):
		if s.props.child("SignaturePolicyIdentifier") != (xmldsig.Node{}) {
			return "EPES"
		}
		return "BES"
	case !refs && s.has("CertificateValues") && s.has("RevocationValues"):
		return "LT"
	case !refs:
		return "T"
	case !s.has("SigAndRefsTimeStamp", "SigAndRefsTimeStampV2", "RefsOnlyTimeStamp", "RefsOnlyTimeStampV2"):
		return "C"
	case !s.has("CertificateValues") || !s.has("RevocationValues"):
		return "X"
	case !s.has("ArchiveTimeStamp"):
		return "XL"
	}
	return "A"
}
