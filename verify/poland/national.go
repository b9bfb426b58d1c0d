package poland

import (
	"slices"

	"trustcore/verify/certificate"
)

// The notes on certificates of the identity cards and of authorities of the past.
const (
	noteCohort = "the key of the identity card's authority is not among the imported ones: " +
		"podpis osobisty can't be confirmed (renew the list of pins)"
	noteCohortTime = "the certificate was not issued in the time for which the key of the identity card's authority is pinned: " +
		"podpis osobisty can't be confirmed"
	notePresence       = "the certificate of an identity card that proves presence alone: it makes no signature (art. 12d)"
	noteAuthentication = "the certificate of an identity card that proves identity alone: it makes no signature (art. 12d)"
	noteNoSignature    = "the certificate of an identity card that makes no signature (art. 12d)"
)

// national judges what the root of the identity cards stands above; is is false for every other signature. Which of its
// certificates make podpis osobisty the issuer's key says, never its name.
func (p *Pins) national(f *Facts) (v Verdict, is bool) {
	v = Verdict{Kind: Other, Source: p.source(f)}
	if p.root == nil || f.Anchor == nil || f.Issuer == nil || v.Source != FromNational {
		return v, false
	}
	key := keyDigest(f.Issuer)
	if i := slices.IndexFunc(p.NoSignatures, func(i Issuer) bool { return i.Key == key }); i >= 0 {
		v.Notes = []string{noteOf(p.NoSignatures[i].Why)}
		return v, true
	}
	i := slices.IndexFunc(p.Cohorts, func(i Issuer) bool { return i.Key == key && i.RootKey == keyDigest(p.root) })
	switch {
	case i < 0:
		v.Notes = []string{noteCohort}
	case !p.Cohorts[i].issued(f.Signer):
		v.Notes = []string{noteCohortTime}
	case f.Standing != Unproven:
		v.Kind = Personal
	}
	return v, true
}

func noteOf(why string) string {
	switch why {
	case "presence":
		return notePresence
	case "authentication":
		return noteAuthentication
	}
	return noteNoSignature
}

// issued tells whether a certificate begins in the time for which the issuer's key is pinned.
func (i *Issuer) issued(c *certificate.Certificate) bool { return i.holds(c.NotBefore) }
