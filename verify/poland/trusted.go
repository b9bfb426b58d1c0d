package poland

import (
	"fmt"
	"regexp"
	"strings"

	"trustcore/internal/pesel"
	"trustcore/verify/certificate"
	"trustcore/verify/signature"
	"trustcore/verify/trustlist"
)

// The forms in which podpis zaufany names the citizen, as a pin allows them.
const (
	FormEPSignature = signature.FormEPSignature // XAdES, since 2025 no longer made
	FormPodpisZP    = signature.FormPodpisZP    // XAdES
	FormReason      = "pades-reason"            // PAdES: the sentence in Reason
)

// notes that tell why a seal of the minister is no podpis zaufany.
const (
	noteUnpinned = "the certificate bears the name of the minister's seal of podpis zaufany, and its key is not pinned: " +
		"if it is a new seal, the list of pins must be renewed"
	noteOutOfPin = "the minister's seal of podpis zaufany is pinned for signatures from %s to %s: this one is proven for %s"
	noteForm     = "the minister's seal of podpis zaufany is not pinned for a signature of this form"
	noteNobody   = "the minister's seal of podpis zaufany names no citizen in what it signed: it is the minister's own seal"
	noteSeveral  = "the minister's seal of podpis zaufany names more than one citizen: nobody can tell who signed"
	noteFlaw     = "the minister's seal of podpis zaufany names a citizen in a way that it does not have: %s"
	notePESEL    = "the PESEL number of the citizen that the minister's seal of podpis zaufany names can't be one"
	noteNotYet   = "the signature is not confirmed: whom the minister's seal of podpis zaufany names is not told"
	noteListed   = "the minister's seal of podpis zaufany is not pinned by its key: a qualified provider of the trusted " +
		"list vouches for it; renew the list of pins"
)

// trusted judges what is signed with a seal of the minister; is is false for every other signature. A pin does not
// replace trusted list and revocation: the signature must stand.
func (p *Pins) trusted(f *Facts) (v Verdict, is bool) {
	v = Verdict{Kind: Seal, Source: p.source(f)}
	seal, pinned := p.seal(f)
	if seal == nil {
		if p.namesMinister(f.Signer.Subject) {
			v.Kind, v.Notes = byQualification(f), []string{noteUnpinned}
			return v, true
		}
		return v, false
	}
	if f.Anchor != nil && pinned {
		v.Source = FromPin
	}
	if why := seal.refuses(f); why != "" {
		v.Notes = []string{why}
		return v, true
	}
	person, why := citizen(f.Signature, seal)
	if person == nil {
		v.Notes = []string{why}
		return v, true
	}
	v.Kind, v.Person = Trusted, person
	if !pinned {
		v.Notes = []string{noteListed}
	}
	return v, true
}

// seal finds the pin of the certificate, or, where the list of pins allows it, the identity of a seal that a qualified
// provider on the Polish list vouches for, then and now.
func (p *Pins) seal(f *Facts) (seal *TrustedSeal, pinned bool) {
	for i := range p.Seals {
		if p.Seals[i].isOf(f) {
			return &p.Seals[i], true
		}
	}
	listed := strings.HasPrefix(f.AnchorID, "PL: ") && IsQualified(f) && f.AtSigning.Type == trustlist.ForSeals &&
		f.AtIssuance.Type == trustlist.ForSeals
	for i := range p.Listed {
		if listed && p.Listed[i].names(f.Signer.Subject) {
			return &p.Listed[i].TrustedSeal, false
		}
	}
	return nil, false
}

// isOf compares certificate, key and the issuer's key: the same names under another key are another's.
func (s *TrustedSeal) isOf(f *Facts) bool {
	return Digest(f.Signer.Fingerprint) == s.Certificate && keyDigest(f.Signer) == s.Key &&
		f.Issuer != nil && keyDigest(f.Issuer) == s.IssuerKey
}

// refuses tells why the pin does not speak for the signature, "" where it does.
func (s *TrustedSeal) refuses(f *Facts) string {
	const day = "2006-01-02"
	switch {
	case f.Standing == Unproven || f.Anchor == nil:
		return noteNotYet
	case !s.holds(f.Time):
		return fmt.Sprintf(noteOutOfPin, s.From.Format(day), s.Until.Format(day), f.Time.UTC().Format(day))
	}
	return ""
}

// namesMinister tells whether a certificate bears the name of the seal. It is for a note to the operator: it gives nothing.
func (p *Pins) namesMinister(n certificate.Name) bool {
	const organization, name = "VATPL-5252955037", "pieczęć podpisu zaufanego"
	return n.OrganizationIdentifier() == organization && strings.Contains(n.CommonName(), name)
}

// citizen reads whom the seal names in what it signed, or tells why nobody is named.
func citizen(s *signature.Signature, seal *TrustedSeal) (*Person, string) {
	form, person := FormReason, reason(s)
	if s.Signatory.Form != "" {
		form = s.Signatory.Form
		person = &Person{GivenName: s.Signatory.GivenName, FamilyName: s.Signatory.FamilyName, PESEL: s.Signatory.PESEL}
		person.Name = strings.TrimSpace(person.GivenName + " " + person.FamilyName)
	}
	switch {
	case s.Signatory.Persons > 1:
		return nil, noteSeveral
	case s.Signatory.Flaw != "":
		return nil, fmt.Sprintf(noteFlaw, s.Signatory.Flaw)
	case person == nil || person.Name == "":
		return nil, noteNobody
	case !seal.allows(form):
		return nil, noteForm
	case !pesel.Valid(person.PESEL):
		return nil, notePESEL
	}
	return person, ""
}

// sentence is the Reason of podpis zaufany in a PDF, the whole of it: a name, which holds no comma, then the number and
// the account.
var sentence = regexp.MustCompile(`^Opatrzono pieczęcią ministra właściwego do spraw informatyzacji w imieniu: ` +
	`([\p{L}][\p{L} .'’-]{0,199}), PESEL: ([0-9]{11}), PZ ID: ([^\s,:]{1,100})$`)

// reason reads the citizen of a PDF, nil where Reason says another thing.
func reason(s *signature.Signature) *Person {
	if s.Format != signature.PAdES || s.Dictionary == nil {
		return nil
	}
	m := sentence.FindStringSubmatch(s.Dictionary.Reason)
	if m == nil {
		return nil
	}
	return &Person{Name: strings.Join(strings.Fields(m[1]), " "), PESEL: m[2]}
}
