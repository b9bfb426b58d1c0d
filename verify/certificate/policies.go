package certificate

import (
	"errors"

	"golang.org/x/crypto/cryptobyte"
	"golang.org/x/crypto/cryptobyte/asn1"
)

// MaxPolicies bounds the policies and the mappings of one certificate; real ones have fewer than 30.
const MaxPolicies = 2000

const (
	qualifierCPS        OID = "\x2b\x06\x01\x05\x05\x07\x02\x01"
	qualifierUserNotice OID = "\x2b\x06\x01\x05\x05\x07\x02\x02"
)

// Known reports whether the qualifier is one that RFC 5280 4.2.1.4 defines.
func (q *PolicyQualifier) Known() bool { return q.ID == qualifierCPS || q.ID == qualifierUserNotice }

func (c *Certificate) readPolicies(v cryptobyte.String) error {
	var body cryptobyte.String
	if !v.ReadASN1(&body, asn1.SEQUENCE) || !v.Empty() || body.Empty() {
		return errMalformed
	}
	seen := map[OID]bool{}
	for !body.Empty() {
		var entry, id cryptobyte.String
		if len(c.Policies) == MaxPolicies {
			return errors.New("too many policies")
		}
		if !body.ReadASN1(&entry, asn1.SEQUENCE) || !entry.ReadASN1(&id, asn1.OBJECT_IDENTIFIER) || !OID(id).Valid() {
			return errMalformed
		}
		p := PolicyInformation{Policy: OID(id)}
		if seen[p.Policy] {
			c.find(DuplicatePolicy, ExtCertificatePolicies, p.Policy.String())
			return errors.New("a policy occurs twice")
		}
		seen[p.Policy] = true
		if !entry.Empty() {
			var raw cryptobyte.String
			if !entry.ReadASN1Element(&raw, asn1.SEQUENCE) || !entry.Empty() {
				return errMalformed
			}
			p.RawQualifiers = raw
			var err error
			if p.Qualifiers, err = readQualifiers(raw); err != nil {
				return err
			}
		}
		c.Policies = append(c.Policies, p)
	}
	return nil
}

func readQualifiers(raw cryptobyte.String) ([]PolicyQualifier, error) {
	var body cryptobyte.String
	raw.ReadASN1(&body, asn1.SEQUENCE)
	if body.Empty() {
		return nil, errMalformed
	}
	var list []PolicyQualifier
	for !body.Empty() {
		var entry, id, value cryptobyte.String
		if len(list) == MaxPolicies || !body.ReadASN1(&entry, asn1.SEQUENCE) ||
			!entry.ReadASN1(&id, asn1.OBJECT_IDENTIFIER) {
			return nil, errMalformed
		}
		// The qualifier may be anything its id defines; RFC 5280 defines two.
		if !entry.Empty() && !entry.ReadAnyASN1Element(&value, nil) || !entry.Empty() {
			return nil, errMalformed
		}
		q := PolicyQualifier{ID: OID(id), Raw: value}
		switch q.ID {
		case qualifierCPS:
			var text cryptobyte.String
			if value.ReadAnyASN1(&text, nil) {
				q.CPS = latin1(text)
			}
		case qualifierUserNotice:
			q.UserNotice = explicitText(value)
		}
		list = append(list, q)
	}
	return list, nil
}

// explicitText returns the text of a UserNotice, empty when it has none or cannot be read.
func explicitText(value cryptobyte.String) string {
	var body, text cryptobyte.String
	var tag asn1.Tag
	if !value.ReadASN1(&body, asn1.SEQUENCE) || !body.SkipOptionalASN1(asn1.SEQUENCE) || !body.ReadAnyASN1(&text, &tag) {
		return ""
	}
	s, _ := decodeString(byte(tag), text)
	return s
}

func (c *Certificate) readPolicyMappings(v cryptobyte.String) error {
	var body cryptobyte.String
	if !v.ReadASN1(&body, asn1.SEQUENCE) || !v.Empty() || body.Empty() {
		return errMalformed
	}
	for !body.Empty() {
		var entry, from, to cryptobyte.String
		if len(c.PolicyMappings) == MaxPolicies {
			return errors.New("too many policy mappings")
		}
		if !body.ReadASN1(&entry, asn1.SEQUENCE) || !entry.ReadASN1(&from, asn1.OBJECT_IDENTIFIER) ||
			!entry.ReadASN1(&to, asn1.OBJECT_IDENTIFIER) || !entry.Empty() || !OID(from).Valid() || !OID(to).Valid() {
			return errMalformed
		}
		m := PolicyMapping{OID(from), OID(to)}
		if m.IssuerDomain == AnyPolicy || m.SubjectDomain == AnyPolicy {
			c.find(AnyPolicyMapped, ExtPolicyMappings, "")
		}
		c.PolicyMappings = append(c.PolicyMappings, m)
	}
	return nil
}

func (c *Certificate) readPolicyConstraints(v cryptobyte.String) error {
	var body cryptobyte.String
	if !v.ReadASN1(&body, asn1.SEQUENCE) || !v.Empty() {
		return errMalformed
	}
	pc := &PolicyConstraints{RequireExplicit: -1, InhibitMapping: -1}
	for i, field := range []*int{&pc.RequireExplicit, &pc.InhibitMapping} {
		tag := asn1.Tag(i).ContextSpecific()
		if !body.PeekASN1Tag(tag) {
			continue
		}
		n, err := readCount(&body, tag)
		if err != nil {
			return err
		}
		*field = n
	}
	if !body.Empty() {
		return errMalformed
	}
	if pc.RequireExplicit < 0 && pc.InhibitMapping < 0 {
		c.find(EmptyExtension, ExtPolicyConstraints, "")
	}
	c.PolicyConstraints = pc
	return nil
}

func (c *Certificate) readInhibitAnyPolicy(v cryptobyte.String) error {
	n, err := readCount(&v, asn1.INTEGER)
	if err != nil || !v.Empty() {
		return errMalformed
	}
	c.InhibitAnyPolicy = &n
	return nil
}
