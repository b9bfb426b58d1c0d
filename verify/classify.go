package verify

import (
	"strings"

	"trustcore/verify/certificate"
	"trustcore/verify/judge"
	"trustcore/verify/signature"
	"trustcore/verify/trustlist"
)

// classify adds qualification (TS 119 615, 4.6) and the kind in the sense of Polish law.
func (r *SignatureReport) classify(j *judge.Signature) {
	r.Qualification = qualification(j.Indication, j.AtIssuance, j.AtSigning)
	r.Kind = kindOf(j.Facts, j.Signer, j.AtSigning)
	if r.Kind != KindTrusted {
		return
	}
	if j.Chain.Path.Anchor == nil { // a certificate with the minister's name that nobody vouches for
		r.Kind = KindSeal
		return
	}
	r.Signer.GivenName, r.Signer.Surname = j.Facts.Signatory.GivenName, j.Facts.Signatory.FamilyName
}

// qualification names the level as DSS does, so that clients of either understand the same.
func qualification(indication Indication, issued, signed trustlist.Qualified) string {
	if !signed.Found || signed.Conflict || signed.Type == trustlist.ForWebsites {
		return "N/A"
	}
	qualified := issued.Certificate && signed.Certificate && !issued.Conflict
	name := "AdESig"
	if signed.Type == trustlist.ForSeals {
		name = "AdESeal"
	}
	switch {
	case signed.Type == trustlist.UnknownType && qualified && signed.Device:
		name = "Unknown-QC-QSCD"
	case signed.Type == trustlist.UnknownType && qualified:
		name = "Unknown-QC"
	case signed.Type == trustlist.UnknownType:
		name = "Unknown"
	case qualified && signed.Device:
		name = strings.Replace(name, "AdES", "QES", 1)
	case qualified:
		name += "-QC"
	}
	switch indication {
	case TotalPassed:
		return name
	case Indeterminate:
		return "Indeterminate " + name
	}
	switch {
	case qualified && signed.Device:
		return "Not AdES but QC with QSCD"
	case qualified:
		return "Not AdES but QC"
	}
	return "Not AdES"
}

// The minister's seal of podpis zaufany and the issuer of podpis osobisty.
const (
	ministerID      = "VATPL-5252955037"
	ministerPrefix  = "Minister do spraw informatyzacji"
	personalIssuer  = "pl.ID Authorization CA"
	personalCountry = "PL"
)

// kindOf tells the kind. Podpis zaufany needs the minister's seal and the citizen in the signed attributes:
// a seal alone is the minister's own, data without the seal prove nothing.
func kindOf(s *signature.Signature, signer *certificate.Certificate, q trustlist.Qualified) Kind {
	minister := signer.Subject.OrganizationIdentifier() == ministerID && strings.HasPrefix(signer.Subject.CommonName(), ministerPrefix)
	switch {
	case minister && s.Signatory.FamilyName != "" && s.ReferencesIntact() && s.Intact:
		return KindTrusted
	case signer.Issuer.CommonName() == personalIssuer && signer.Issuer.Country() == personalCountry:
		return KindPersonal
	case q.Found && q.Certificate && q.Type == trustlist.ForSignatures && q.Device:
		return KindQualified
	case q.Found && q.Type == trustlist.ForSeals, signer.Subject.OrganizationIdentifier() != "" && signer.Subject.Surname() == "":
		return KindSeal
	}
	return KindOther
}
