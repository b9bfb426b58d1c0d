package certificate

import (
	"encoding/hex"
	"strings"
	"unicode/utf16"
	"unicode/utf8"
)

// ASN.1 tags of the string types.
const (
	tagUTF8String      = 0x0c
	tagNumericString   = 0x12
	tagPrintableString = 0x13
	tagTeletexString   = 0x14
	tagIA5String       = 0x16
	tagVisibleString   = 0x1a
	tagUniversalString = 0x1c
	tagBMPString       = 0x1e
)

// Text returns the attribute's value as UTF-8. A value that is no string is given as # and hexadecimal DER (RFC 4514
// 2.4); octets that do not fit the string's type become U+FFFD.
func (a *Attribute) Text() string {
	if s, ok := decodeString(a.Tag, a.Value); ok {
		return s
	}
	return "#" + hex.EncodeToString(a.Raw)
}

// decodeString turns the content of an ASN.1 string into UTF-8; false when the tag is not one of a string.
// TeletexString is read as Latin-1, which is what issuers put there.
func decodeString(tag byte, value []byte) (string, bool) {
	switch tag {
	case tagUTF8String:
		return strings.ToValidUTF8(string(value), "\uFFFD"), true
	case tagPrintableString, tagIA5String, tagNumericString, tagVisibleString:
		if ascii(value) || utf8.Valid(value) {
			return string(value), true
		}
		return latin1(value), true
	case tagTeletexString:
		return latin1(value), true
	case tagBMPString:
		units := make([]uint16, 0, len(value)/2)
		for i := 0; i+1 < len(value); i += 2 {
			units = append(units, uint16(value[i])<<8|uint16(value[i+1]))
		}
		return string(utf16.Decode(units)), true
	case tagUniversalString:
		var b strings.Builder
		for i := 0; i+3 < len(value); i += 4 {
			b.WriteRune(rune(uint32(value[i])<<24 | uint32(value[i+1])<<16 | uint32(value[i+2])<<8 | uint32(value[i+3])))
		}
		return b.String(), true
	}
	return "", false
}

func ascii(value []byte) bool {
	for _, c := range value {
		if c >= utf8.RuneSelf {
			return false
		}
	}
	return true
}

func latin1(value []byte) string {
	var b strings.Builder
	b.Grow(len(value) + 8)
	for _, c := range value {
		b.WriteRune(rune(c))
	}
	return b.String()
}

// shortNames are the attribute keywords of RFC 4514 3, and the usual ones beside them.
var shortNames = map[OID]string{
	AttrCommonName: "CN", AttrSurname: "SN", AttrSerialNumber: "serialNumber", AttrCountry: "C", AttrLocality: "L",
	AttrProvince: "ST", AttrStreet: "STREET", AttrOrganization: "O", AttrOrganizationalUnit: "OU", AttrTitle: "title",
	AttrGivenName: "givenName", AttrInitials: "initials", AttrGenerationQualifier: "generationQualifier",
	AttrDNQualifier: "dnQualifier", AttrPseudonym: "pseudonym", AttrOrganizationIdentifier: "organizationIdentifier",
	AttrEmail: "emailAddress", AttrDomainComponent: "DC", AttrUserID: "UID", AttrPostalCode: "postalCode",
	AttrPostalAddress: "postalAddress",
}

// String writes the name as RFC 4514 does: last RDN first, a plus within an RDN.
func (n Name) String() string {
	var b strings.Builder
	for end := len(n.Attributes); end > 0; {
		start := end - 1
		for start > 0 && n.Attributes[start-1].RDN == n.Attributes[end-1].RDN {
			start--
		}
		if end != len(n.Attributes) {
			b.WriteByte(',')
		}
		for i := start; i < end; i++ {
			if i > start {
				b.WriteByte('+')
			}
			writeAttribute(&b, &n.Attributes[i])
		}
		end = start
	}
	return b.String()
}

func writeAttribute(b *strings.Builder, a *Attribute) {
	if short := shortNames[a.Type]; short != "" {
		b.WriteString(short)
	} else {
		b.WriteString(a.Type.String())
	}
	b.WriteByte('=')
	text, ok := decodeString(a.Tag, a.Value)
	if !ok {
		b.WriteString("#" + hex.EncodeToString(a.Raw))
		return
	}
	for i, r := range text {
		switch {
		case r < ' ' || r == 0x7f:
			b.WriteString(`\` + hex.EncodeToString([]byte{byte(r)}))
			continue
		case strings.ContainsRune(`,+"\<>;`, r),
			i == 0 && (r == ' ' || r == '#'),
			i == len(text)-1 && r == ' ':
			b.WriteByte('\\')
		}
		b.WriteRune(r)
	}
}
