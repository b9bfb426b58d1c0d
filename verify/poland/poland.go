// Package poland tells the kinds of electronic signatures that Polish law knows (art. 63 k.p.a., art. 20ae of the act on
// informatisation, art. 12d of the act on identity cards) from what was judged of a signature, and what a signed document
// is. Names decide nothing here: a kind rests on a key, which a trusted list or a dated pin vouches for, and on data that
// the key signed. The package holds data and pure functions; it neither reads files nor a clock.
package poland

import (
	"crypto/sha256"
	"slices"
	"strings"
	"time"

	"trustcore/verify/certificate"
	"trustcore/verify/signature"
	"trustcore/verify/trustlist"
)

// Kind is the kind of a signature in the sense of Polish law.
type Kind string

// The kinds.
const (
	Qualified Kind = "qualified" // kwalifikowany podpis elektroniczny
	Trusted   Kind = "trusted"   // podpis zaufany
	Personal  Kind = "personal"  // podpis osobisty
	Seal      Kind = "seal"      // pieczęć elektroniczna, qualified or not
	Other     Kind = "other"     // whatever the law gives no kind of its own
)

// Source is what the trust in a signature rests on.
type Source string

// The sources.
const (
	FromList     Source = "list"     // a trusted list of a member state
	FromPin      Source = "pin"      // the trusted list, and the pinned seal of podpis zaufany
	FromNational Source = "national" // the state's own authority of the identity cards, on no list
	FromArchive  Source = "archive"  // an authority of the past, for its years alone
	FromAnchor   Source = "anchor"   // an anchor of this installation
	FromNowhere  Source = ""
)

// Standing is how far a signature was confirmed.
type Standing int

// The standings.
const (
	Unproven  Standing = iota // it failed, or nobody can tell
	Open                      // intact and under an anchor; what is missing is current information on a revocation
	Confirmed                 // it passed
)

// Facts are what was judged of one signature.
type Facts struct {
	Signature *signature.Signature
	Standing  Standing
	Time      time.Time                // the earliest time at which it is proven to have existed
	Signer    *certificate.Certificate // nil where nobody knows
	// Issuer is the certificate by whose key Signer's was verified, nil where there is none.
	Issuer *certificate.Certificate
	// Anchor ends the path, nil where none was found; AnchorID is its name as path.Anchor has it.
	Anchor   *certificate.Certificate
	AnchorID string
	// AtIssuance and AtSigning are what the trusted lists say of Signer (TS 119 615).
	AtIssuance, AtSigning trustlist.Qualified
}

// Verdict is the kind of one signature and who stands behind it.
type Verdict struct {
	Kind   Kind
	Person *Person // the citizen of podpis zaufany, nil for every other kind
	Source Source
	Notes  []string
}

// Person is the citizen in whose name the minister's seal was set.
type Person struct {
	GivenName, FamilyName string // both empty where the data have one text for both
	Name                  string
	PESEL                 string // never to be shown unmasked
}

// Judge tells the kind. Podpis zaufany and podpis osobisty need a pinned key that signed within the dates of the pin; what
// misses one of the demands is a seal or another signature, and a note says which.
func (p *Pins) Judge(f *Facts) Verdict {
	if f.Signer == nil {
		return Verdict{Kind: Other}
	}
	if v, is := p.trusted(f); is {
		return v
	}
	if v, is := p.national(f); is {
		return v
	}
	return Verdict{Kind: byQualification(f), Source: p.source(f)}
}

// byQualification tells the kind by the trusted lists, where they speak of the certificate; of one that they do not know
// its own words tell whether it is a seal's, and nothing more.
func byQualification(f *Facts) Kind {
	q := f.AtSigning
	switch {
	case q.Found && q.Type == trustlist.ForSeals:
		return Seal
	case IsQualified(f) && q.Type == trustlist.ForSignatures && q.Device:
		return Qualified
	case q.Type == trustlist.UnknownType && isLegalPerson(f.Signer):
		return Seal
	}
	return Other
}

// IsQualified tells whether the certificate was qualified when it was issued and when it signed, and no two services
// contradict each other (TS 119 615 4.4).
func IsQualified(f *Facts) bool {
	return f.AtIssuance.Certificate && !f.AtIssuance.Conflict && f.AtSigning.Certificate && !f.AtSigning.Conflict
}

// isLegalPerson tells whether a certificate is one of a legal person (EN 319 412-3): its type says so, or it has the
// identifier of an organization, no name of a person, and no type.
func isLegalPerson(c *certificate.Certificate) bool {
	const eseal = "0.4.0.1862.1.6.2"
	if c.QC != nil && len(c.QC.Types) > 0 {
		return slices.ContainsFunc(c.QC.Types, func(t certificate.OID) bool { return t.String() == eseal })
	}
	return c.Subject.OrganizationIdentifier() != "" && c.Subject.Surname() == "" && c.Subject.GivenName() == ""
}

// source is what an anchor is.
func (p *Pins) source(f *Facts) Source {
	switch {
	case f.Anchor == nil:
		return FromNowhere
	case f.AtSigning.Found:
		return FromList
	case p.root != nil && f.Anchor.Fingerprint == p.root.Fingerprint:
		return FromNational
	case slices.ContainsFunc(p.Archive, func(a Archive) bool { return a.certificate.Fingerprint == f.Anchor.Fingerprint }):
		return FromArchive
	case strings.Contains(f.AnchorID, ": "): // a service of a list that issues no qualified certificates
		return FromList
	}
	return FromAnchor
}

// keyDigest is the SHA-256 of a certificate's SubjectPublicKeyInfo.
func keyDigest(c *certificate.Certificate) Digest { return sha256.Sum256(c.RawSPKI) }
