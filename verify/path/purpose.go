package path

import (
	"slices"

	"trustcore/verify/certificate"
)

// A PurposeRule says how the target's extKeyUsage must name the purposes that are asked for. CA certificates are asked by
// the first rule alone: without the extension they allow every purpose.
type PurposeRule uint8

// The rules, each with all that the one before demands.
const (
	// PurposeAllowed refuses what forbids a purpose: a certificate without the extension, or with anyExtendedKeyUsage, allows
	// all (RFC 5280 4.2.1.12).
	PurposeAllowed PurposeRule = iota
	// PurposeStated wants each purpose written out in the target, as who relies on one kind of key needs it: neither absence nor
	// anyExtendedKeyUsage stands for it. A key usage must allow signatures where there is one.
	PurposeStated
	// PurposeAlone wants the extension critical and nothing else in it, in a certificate that is no CA's: a time-stamping unit's
	// (RFC 3161 2.3, EN 319 422 6.2).
	PurposeAlone
)

// signing are the bits of which a key usage must have one for time-stamps and answers (RFC 5280 4.2.1.12).
const signing = certificate.DigitalSignature | certificate.ContentCommitment

// purposes checks the extended key usage of the i-th certificate of the path; 0 is the target.
func (s *state) purposes(i int, c *certificate.Certificate) {
	asked := s.b.request.Purposes
	if len(asked) == 0 {
		return
	}
	if rule := s.b.request.PurposeRule; i == 0 && rule != PurposeAllowed {
		if why := rule.refuses(c, asked); why != "" {
			s.fail(PurposeMismatch, i, why)
		}
		return
	}
	if !c.HasEKU || slices.Contains(c.EKU, certificate.PurposeAny) {
		return
	}
	for _, p := range asked {
		if !slices.Contains(c.EKU, p) {
			s.fail(PurposeMismatch, i, p.String())
		}
	}
}

// refuses says what the target lacks under the rules that want the purpose stated.
func (rule PurposeRule) refuses(c *certificate.Certificate, asked []certificate.OID) string {
	e := c.Extension(certificate.ExtExtendedKeyUsage)
	if e == nil {
		return "no extended key usage"
	}
	for _, p := range asked {
		if !slices.Contains(c.EKU, p) {
			return p.String() + " is not stated"
		}
	}
	if c.HasKeyUsage && c.KeyUsage&signing == 0 {
		return "key usage is without digitalSignature"
	}
	if rule != PurposeAlone {
		return ""
	}
	switch foreign := slices.IndexFunc(c.EKU, func(p certificate.OID) bool { return !slices.Contains(asked, p) }); {
	case !e.Critical:
		return "extended key usage is not critical"
	case foreign >= 0:
		return "it is for " + c.EKU[foreign].String() + " too"
	case c.BasicConstraints != nil && c.BasicConstraints.CA:
		return "the certificate is a CA's"
	}
	return ""
}
