package pades

import (
	"slices"

	"trustcore/internal/cms"
	"trustcore/internal/pdf"
	"trustcore/verify/signature"
)

// level names format and level by what is there (EN 319 142-1 6, EN 319 142-2). It says nothing about
// validity.
func (r *reader) level(d *dictionary) {
	s := d.signed
	if d.info == nil {
		return
	}
	switch {
	case d.SubFilter == pdf.SubFilterCAdES && bound(d.info) && !d.committed():
		s.Format, s.Level = signature.PAdES, r.padesLevel(d)
	case (d.SubFilter == pdf.SubFilterPKCS7 || d.SubFilter == pdf.SubFilterPKCS7SHA) && d.isPKCS7():
		s.Format, s.Level = signature.CMS, r.pkcs7Level(d)
	default:
		s.Format, s.Level = signature.PDF, ""
	}
}

// bound tells whether a signing-certificate attribute is there.
func bound(si *cms.SignerInfo) bool {
	return si.Signed(cms.OIDSigningCertificate) != nil || si.Signed(cms.OIDSigningCertificateV2) != nil
}

// committed tells of a signature that gives its reason twice: in the dictionary, and as a commitment of the CMS. Neither
// EN 319 142-1 6.3, requirement d, nor EN 319 142-2 5.3, requirement e, has a level for that.
func (d *dictionary) committed() bool {
	return d.Reason != "" && d.info.Signed(cms.OIDCommitmentType) != nil
}

// isPKCS7 tells whether the CMS is as ISO 32000-1 12.8.3.3 wants it: detached with signed attributes,
// or with the SHA-1 of the byte range as content.
func (d *dictionary) isPKCS7() bool {
	if d.SubFilter == pdf.SubFilterPKCS7SHA {
		return d.cms.Content.Present
	}
	return !d.cms.Content.Present && d.info.Signed(cms.OIDMessageDigest) != nil
}

func (r *reader) padesLevel(d *dictionary) string {
	if !d.baseline() {
		switch {
		case r.file.SecurityStore() != nil:
			return "LTV"
		case d.info.Signed(cms.OIDSignaturePolicy) != nil && d.Reason == "": // EN 319 142-2 5.4
			return "EPES"
		}
		return "BES"
	}
	switch {
	case !d.stamped():
		return "B-B"
	case !d.evident || !d.proved():
		return "B-T"
	case r.archived(d):
		return "B-LTA"
	}
	return "B-LT"
}

// baseline is the B-B row of EN 319 142-1 table 1.
func (d *dictionary) baseline() bool {
	v1, v2 := d.info.Signed(cms.OIDSigningCertificate), d.info.Signed(cms.OIDSigningCertificateV2)
	return len(d.cms.Certificates) > 0 && !d.Time.IsZero() && (v1 == nil) != (v2 == nil) &&
		d.info.Signed(cms.OIDMessageDigest) != nil && d.info.Signed(cms.OIDSigningTime) == nil &&
		!d.cms.Content.Present && d.info.ContentType() == cms.OIDData &&
		(d.Reason == "" || d.info.Signed(cms.OIDSignaturePolicy) == nil)
}

func (r *reader) pkcs7Level(d *dictionary) string {
	switch {
	case !d.stamped():
		return "B"
	case !d.evident || !d.proved():
		return "T"
	case r.archived(d):
		return "LTA"
	}
	return "LT"
}

// stamped tells whether a signature or document time-stamp proves when the signature existed.
func (d *dictionary) stamped() bool {
	for _, t := range d.signed.Timestamps {
		if t.Type == signature.SignatureTimestamp || t.Type == signature.DocumentTimestamp {
			return true
		}
	}
	return false
}

// proved tells that no time-stamp of the signature is broken: what such a one carries is evidence of nothing, and what
// the signature needs to be validated later is not all there.
func (d *dictionary) proved() bool {
	return !slices.ContainsFunc(d.signed.Timestamps, func(t *signature.Timestamp) bool {
		return t.Type == signature.SignatureTimestamp && !(t.Intact && t.Found && t.Imprint)
	})
}

// archived tells whether a document time-stamp covers the signature together with a security store.
func (r *reader) archived(d *dictionary) bool {
	for _, e := range r.dictionaries {
		if e.token == nil || e.end() <= d.end() || e.Revision < 0 {
			continue
		}
		if store := r.storeAt(e.Revision); len(store.crls)+len(store.ocsps) > 0 {
			return true
		}
	}
	return false
}
