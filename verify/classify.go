package verify

import (
	"strings"

	"trustcore/verify/judge"
	"trustcore/verify/path"
	"trustcore/verify/poland"
	"trustcore/verify/prose"
	"trustcore/verify/signature"
	"trustcore/verify/trustlist"
)

// classify adds qualification (TS 119 615, 4.6), the kind in the sense of Polish law, and who signed.
func (d describer) classify(r *SignatureReport, j *judge.Signature) {
	r.Qualification = qualification(j.Indication, j.AtIssuance, j.AtSigning)
	f := factsOf(j)
	v := d.pins.Judge(f)
	r.Kind, r.TrustSource, r.standing = v.Kind, v.Source, f.Standing
	r.Notes = append(r.Notes, v.Notes...)
	id, known := poland.IdentifierOf(j.Signer.Subject)
	if p := v.Person; p != nil {
		r.SealedBy = r.Signer.CommonName
		r.Signer.GivenName, r.Signer.Surname, r.Signer.Name = p.GivenName, p.FamilyName, p.Name
		id, known = poland.Identifier{Type: "PESEL", Number: p.PESEL}, true
	}
	r.Signer.Name = nameOf(r.Signer)
	if known {
		r.Signer.Identifier = d.identifier(id)
	}
}

// identifier hides a number but its last digits.
func (d describer) identifier(id poland.Identifier) *Identifier {
	shown := id.Number
	if !d.numbers {
		shown = poland.Masked(shown)
	}
	return &Identifier{Type: id.Type, Masked: prose.Short(shown)}
}

// factsOf are what the kinds look at.
func factsOf(j *judge.Signature) *poland.Facts {
	f := &poland.Facts{Signature: j.Facts, Standing: standing(j), Time: j.BestSignatureTime, Signer: j.Signer,
		AtIssuance: j.AtIssuance, AtSigning: j.AtSigning}
	if j.Chain == nil {
		return f
	}
	if a := j.Chain.Path.Anchor; a != nil {
		f.Anchor, f.AnchorID = a.Certificate, a.ID
	}
	if chain := j.Chain.Certificates(); len(chain) > 1 {
		f.Issuer = chain[1]
	}
	return f
}

// standing is how far the signature was confirmed: what lacks information on a revocation and nothing else may yet pass.
func standing(j *judge.Signature) poland.Standing {
	switch {
	case j.Indication == TotalPassed:
		return poland.Confirmed
	case j.Chain == nil || j.SubIndication != judge.TryLater && j.SubIndication != judge.ChainGeneralFailure:
		return poland.Unproven
	}
	if code := j.Chain.Path.Reason().Code; code == path.OK || code == path.RevocationUnknown {
		return poland.Open
	}
	return poland.Unproven
}

// receipt tells what the document is that a signature covers as a whole, and who stands behind it.
func (d describer) receipt(r *Report, doc *signature.Document, lists *trustlist.Snapshot) {
	if r.DocumentType = d.pins.TypeOf(doc.Root, doc.Signatures); r.DocumentType == poland.NoReceipt {
		return
	}
	r.EvidenceIssuer, r.DocumentReference = poland.IssuerNone, poland.ReferenceOf(doc.Signatures)
	for _, s := range d.Signatures {
		if of := d.pins.IssuerOf(r.DocumentType, factsOf(s), lists); r.EvidenceIssuer == poland.IssuerNone {
			r.EvidenceIssuer = of
		}
	}
}

// qualification names the level as DSS does, so that clients of either understand the same: a certificate is what it was
// both when it was issued and when it signed, and its key lay in a device when it signed (TS 119 615 4.5, 4.6). What is for
// websites makes no signature.
func qualification(indication Indication, issued, signed trustlist.Qualified) string {
	switch {
	case !signed.Found:
		return "N/A"
	case issued.Conflict || signed.Conflict:
		if indication == TotalFailed {
			return notAdES
		}
		return "N/A"
	}
	kind := signed.Type
	if issued.Type != kind {
		kind = trustlist.UnknownType
	}
	qualified := issued.Certificate && signed.Certificate
	switch {
	case kind == trustlist.ForWebsites || indication != TotalPassed && indication != Indeterminate && !qualified:
		return notAdES
	case indication == Indeterminate:
		return "Indeterminate " + levelOf(kind, qualified, signed.Device)
	case indication == TotalPassed:
		return levelOf(kind, qualified, signed.Device)
	case signed.Device:
		return notAdES + " but QC with QSCD"
	}
	return notAdES + " but QC"
}

const notAdES = "Not AdES"

// levelOf is the level of a signature that passed.
func levelOf(kind trustlist.Type, qualified, device bool) string {
	if kind == trustlist.UnknownType {
		switch {
		case qualified && device:
			return "Unknown-QC-QSCD"
		case qualified:
			return "Unknown-QC"
		}
		return "Unknown"
	}
	name := "AdESig"
	if kind == trustlist.ForSeals {
		name = "AdESeal"
	}
	switch {
	case qualified && device:
		return strings.Replace(name, "AdES", "QES", 1)
	case qualified:
		return name + "-QC"
	}
	return name
}
