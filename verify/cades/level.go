package cades

import (
	"bytes"
	"slices"

	"trustcore/internal/cms"
	"trustcore/verify/signature"
)

// level names format and level by the attributes that are there, as the tables of EN 319 122-1
// (baseline) and EN 319 122-2 (extended: BES, EPES, T, C, X, XL, A) define them. It says nothing about
// whether they are valid.
func (s *signer) level() (signature.Format, string) {
	if !s.has(cms.OIDSigningCertificate) && !s.has(cms.OIDSigningCertificateV2) {
		if s.doc.format == signature.CAdES {
			return signature.CMS, s.plainLevel()
		}
		return s.doc.format, s.plainLevel()
	}
	if s.baseline() {
		if level := s.baselineLevel(); level != "" {
			return s.doc.format, level
		}
	}
	return s.doc.format, s.extendedLevel()
}

func (s *signer) has(typ cms.OID) bool { return s.info.Signed(typ) != nil }

// carries tells whether an unsigned attribute is there.
func (s *signer) carries(types ...cms.OID) bool {
	for _, typ := range types {
		if s.info.Unsigned(typ) != nil {
			return true
		}
	}
	return false
}

// baseline is the B-B row (EN 319 122-1, 6.3).
func (s *signer) baseline() bool {
	if len(s.doc.signed.Certificates) == 0 || !s.has(cms.OIDMessageDigest) {
		return false
	}
	// Requirement (a) of the row.
	if s.Signer != nil && !slices.ContainsFunc(s.doc.signed.Certificates, func(c []byte) bool { return bytes.Equal(c, s.Signer) }) {
		return false
	}
	if s.has(cms.OIDSigningCertificate) && s.has(cms.OIDSigningCertificateV2) {
		return false
	}
	if s.doc.format == signature.PAdES {
		return !s.has(cms.OIDSigningTime)
	}
	if s.SigningTime.IsZero() {
		return false
	}
	return s.parent != nil || s.info.ContentType() == cms.OIDData
}

// baselineLevel is "" where attributes that the baseline excludes make it an extended signature.
func (s *signer) baselineLevel() string {
	switch {
	case s.carries(cms.OIDCertificateRefs, cms.OIDRevocationRefs, cms.OIDCertificateValues, cms.OIDRevocationValues,
		cms.OIDESCTimestamp, cms.OIDCertCRLTimestamp, cms.OIDArchiveTimestampV1, cms.OIDArchiveTimestampV2,
		cms.OIDLongTermValidation):
		return ""
	case !s.stampedInTime():
		return "B-B"
	case !s.hasRevocations():
		return "B-T"
	case s.stamped(cms.OIDArchiveTimestampV3):
		return "B-LTA"
	case s.evidenceRecord():
		return "ERS"
	}
	return "B-LT"
}

// evidenceRecord tells whether there is an evidence record of the one kind that fits: internal for an
// attached content, external for a detached one (EN 319 122-3; RFC 4998, 5.2 and 5.3).
func (s *signer) evidenceRecord() bool {
	internal, external := s.carries(cms.OIDEvidenceInternal), s.carries(cms.OIDEvidenceExternal)
	return internal != external && internal == s.doc.signed.Content.Present
}

// stampedInTime tells whether there are signature time-stamps, none of them from after the signer's certificate
// (EN 319 122-1, 6.3 (m); EN 319 122-2, 6.2 (f)).
func (s *signer) stampedInTime() bool {
	late := func(st *stamp) bool {
		return st.attribute.Type == cms.OIDSignatureTimestamp && s.certificate != nil && st.Time.After(s.certificate.NotAfter)
	}
	return s.stamped(cms.OIDSignatureTimestamp) && !slices.ContainsFunc(s.stamps, late)
}

func (s *signer) hasRevocations() bool {
	return len(s.doc.signed.CRLs)+len(s.doc.signed.OCSPs) > 0
}

func (s *signer) extendedLevel() string {
	values := s.carries(cms.OIDCertificateValues, cms.OIDRevocationValues) || s.hasRevocations()
	references := s.carries(cms.OIDCertificateRefs) && s.carries(cms.OIDRevocationRefs)
	switch {
	case s.stamped(cms.OIDArchiveTimestampV2, cms.OIDArchiveTimestampV3):
		return "A"
	case references && s.stamped(cms.OIDESCTimestamp, cms.OIDCertCRLTimestamp):
		if values {
			return "XL"
		}
		return "X"
	case references:
		return "C"
	case s.stampedInTime():
		return "T"
	case s.has(cms.OIDSignaturePolicy):
		return "EPES"
	}
	return "BES"
}

// plainLevel is that of CMS without a signing-certificate attribute.
func (s *signer) plainLevel() string {
	switch {
	case s.stamped(cms.OIDArchiveTimestampV2, cms.OIDArchiveTimestampV3):
		return "LTA"
	case s.stampedInTime() && s.hasRevocations():
		return "LT"
	case s.stampedInTime():
		return "T"
	}
	return "B"
}
