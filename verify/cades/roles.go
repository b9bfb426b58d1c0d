package cades

import (
	"slices"

	"golang.org/x/crypto/cryptobyte"
	"golang.org/x/crypto/cryptobyte/asn1"

	"trustcore/internal/cms"
	"trustcore/verify/signature"
)

// maxRole bounds a role that is kept, in octets.
const maxRole = 1024

// The alternatives of SignerAttribute and SignerAttributesV2 (EN 319 122-1 5.2.6.1), tagged explicitly.
var (
	tagClaimed    = asn1.Tag(0).Constructed().ContextSpecific()
	tagURI        = asn1.Tag(6).ContextSpecific()
	tagRoleName   = asn1.Tag(1).Constructed().ContextSpecific()
	tagOtherNames = asn1.Tag(0).Constructed().ContextSpecific()
)

// readSignerAttributes reads the roles that the signer claims. What others are to have certified is told as not checked,
// and so is whatever stands there in a form that the standard does not have.
func (s *signer) readSignerAttributes(a *cms.Attribute) {
	unchecked := len(a.Values) > 1
	for _, v := range values(a)[:min(1, len(a.Values))] {
		var list cryptobyte.String
		if !v.ReadASN1(&list, asn1.SEQUENCE) {
			unchecked = true
		}
		for !list.Empty() {
			var one cryptobyte.String
			var tag asn1.Tag
			if !list.ReadAnyASN1(&one, &tag) || tag != tagClaimed || !s.readClaimed(one) {
				unchecked = true
				break
			}
		}
	}
	if unchecked && !slices.Contains(s.Notes, signature.UncheckedRoles) {
		s.note(signature.UncheckedRoles)
	}
}

// readClaimed reads ClaimedAttributes: attributes of X.501, of whatever type. It reports whether it could.
func (s *signer) readClaimed(v cryptobyte.String) bool {
	var attributes cryptobyte.String
	if !v.ReadASN1(&attributes, asn1.SEQUENCE) {
		return false
	}
	for !attributes.Empty() {
		var attribute, set cryptobyte.String
		if !attributes.ReadASN1(&attribute, asn1.SEQUENCE) || !attribute.SkipASN1(asn1.OBJECT_IDENTIFIER) ||
			!attribute.ReadASN1(&set, asn1.SET) {
			return false
		}
		for !set.Empty() {
			var value cryptobyte.String
			var tag asn1.Tag
			if !set.ReadAnyASN1Element(&value, &tag) {
				return false
			}
			s.claim(roleText(value))
		}
	}
	return true
}

// claim keeps a role that the signer claims, where it can be shown.
func (s *signer) claim(role string) {
	if roles := &s.Signatory.Roles; role != "" && len(role) <= maxRole && len(*roles) < signature.MaxClaims {
		*roles = append(*roles, role)
	}
}

// roleText is a role as a string, or by the URI of a RoleSyntax (RFC 5755 4.4.5); "" for others.
func roleText(v cryptobyte.String) string {
	var body, name, uri cryptobyte.String
	if !v.PeekASN1Tag(asn1.SEQUENCE) {
		text, _ := directoryString(&v)
		return text
	}
	if !v.ReadASN1(&body, asn1.SEQUENCE) || !body.SkipOptionalASN1(tagOtherNames) || !body.ReadASN1(&name, tagRoleName) ||
		!name.ReadASN1(&uri, tagURI) || !isPlain(uri) {
		return ""
	}
	return string(uri)
}

// isPlain reports whether all octets are printable ASCII.
func isPlain(text []byte) bool {
	return !slices.ContainsFunc(text, func(c byte) bool { return c < 0x20 || c > 0x7e })
}
