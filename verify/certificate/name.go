package certificate

import (
	"bytes"
	"errors"

	"golang.org/x/crypto/cryptobyte"
	"golang.org/x/crypto/cryptobyte/asn1"
)

// MaxAttributes bounds the attributes of one name; real names have fewer than 20.
const MaxAttributes = 500

// A Name is an RDNSequence (RFC 5280 4.1.2.4).
type Name struct {
	Raw        []byte      // DER
	Attributes []Attribute // in order; those of one RDN are neighbours

	canonical string
}

// An Attribute is one AttributeTypeAndValue.
type Attribute struct {
	Type  OID
	RDN   int    // index of the relative distinguished name it stands in
	Tag   byte   // ASN.1 tag of the value
	Value []byte // content octets
	Raw   []byte // the value, DER
}

var errName = errors.New("malformed name")

// ParseName reads one DER Name, which must be the whole of der.
func ParseName(der []byte) (Name, error) {
	input := cryptobyte.String(der)
	var body cryptobyte.String
	if !input.ReadASN1(&body, asn1.SEQUENCE) || !input.Empty() {
		return Name{}, errName
	}
	n := Name{Raw: der}
	for rdn := 0; !body.Empty(); rdn++ {
		var set cryptobyte.String
		if !body.ReadASN1(&set, asn1.SET) || set.Empty() {
			return Name{}, errName
		}
		var err error
		if n.Attributes, err = appendRDN(n.Attributes, set, rdn); err != nil {
			return Name{}, err
		}
	}
	n.canonical = canonical(n.Attributes)
	return n, nil
}

// ParseRelativeName reads a RelativeDistinguishedName: the SET that a distribution point may carry (RFC 5280 4.2.1.13).
func ParseRelativeName(set []byte) ([]Attribute, error) {
	input := cryptobyte.String(set)
	var body cryptobyte.String
	if !input.ReadASN1(&body, asn1.SET) || !input.Empty() || body.Empty() {
		return nil, errName
	}
	return appendRDN(nil, body, 0)
}

// Extended returns the name with one more relative distinguished name: the full name of a distribution point that is
// named relative to its CRL issuer (RFC 5280 4.2.1.13). The result has no Raw bytes.
func (n Name) Extended(rdn []Attribute) Name {
	last := 0
	if len(n.Attributes) > 0 {
		last = n.Attributes[len(n.Attributes)-1].RDN + 1
	}
	attributes := append([]Attribute(nil), n.Attributes...)
	for _, a := range rdn {
		a.RDN = last
		attributes = append(attributes, a)
	}
	return Name{Attributes: attributes, canonical: canonical(attributes)}
}

func appendRDN(list []Attribute, set cryptobyte.String, rdn int) ([]Attribute, error) {
	for !set.Empty() {
		var pair, id, raw, value cryptobyte.String
		var tag asn1.Tag
		if !set.ReadASN1(&pair, asn1.SEQUENCE) || !pair.ReadASN1(&id, asn1.OBJECT_IDENTIFIER) ||
			!pair.ReadAnyASN1Element(&raw, &tag) || !pair.Empty() || !OID(id).Valid() {
			return nil, errName
		}
		if len(list) == MaxAttributes {
			return nil, errors.New("name with too many attributes")
		}
		element := raw
		if !element.ReadAnyASN1(&value, nil) {
			return nil, errName
		}
		list = append(list, Attribute{Type: attributeType(id), RDN: rdn, Tag: byte(tag), Value: value, Raw: raw})
	}
	return list, nil
}

// attributeType makes an OID without an allocation for the common types.
func attributeType(id []byte) OID {
	if len(id) == 3 && id[0] == 0x55 && id[1] == 0x04 {
		return attributeTypes[id[2]]
	}
	switch string(id) {
	case string(AttrEmail):
		return AttrEmail
	case string(AttrDomainComponent):
		return AttrDomainComponent
	case string(AttrUserID):
		return AttrUserID
	}
	return OID(id)
}

// attributeTypes holds 2.5.4.n for every n of one octet.
var attributeTypes = func() (table [256]OID) {
	for i := range table {
		table[i] = OID([]byte{0x55, 0x04, byte(i)})
	}
	return table
}()

// Empty reports whether the name has no attributes.
func (n Name) Empty() bool { return len(n.Attributes) == 0 }

// Equal compares two names as RFC 5280 7.1 says: attribute by attribute, strings of any kind by their prepared form.
func (n Name) Equal(other Name) bool {
	return n.Raw != nil && bytes.Equal(n.Raw, other.Raw) || n.canonical == other.canonical
}

// Canonical returns a key that two names share exactly when they are Equal. It is no DER.
func (n Name) Canonical() string { return n.canonical }

// Within reports whether the name lies in the subtree below base: base is an initial part of it (RFC 5280 4.2.1.10).
func (n Name) Within(base Name) bool {
	return len(n.canonical) >= len(base.canonical) && n.canonical[:len(base.canonical)] == base.canonical
}

// First returns the text of the first attribute of the given type, empty when there is none.
func (n Name) First(t OID) string {
	for i := range n.Attributes {
		if n.Attributes[i].Type == t {
			return n.Attributes[i].Text()
		}
	}
	return ""
}

// All returns the texts of every attribute of the given type, in order.
func (n Name) All(t OID) []string {
	var texts []string
	for i := range n.Attributes {
		if n.Attributes[i].Type == t {
			texts = append(texts, n.Attributes[i].Text())
		}
	}
	return texts
}

// CommonName returns the first common name.
func (n Name) CommonName() string { return n.First(AttrCommonName) }

// SerialNumber returns the serialNumber attribute, for Polish persons often PNOPL- and the PESEL number.
func (n Name) SerialNumber() string { return n.First(AttrSerialNumber) }

// GivenName returns the first given name.
func (n Name) GivenName() string { return n.First(AttrGivenName) }

// Surname returns the first surname.
func (n Name) Surname() string { return n.First(AttrSurname) }

// Organization returns the first organisation name.
func (n Name) Organization() string { return n.First(AttrOrganization) }

// OrganizationIdentifier returns the organizationIdentifier attribute (EN 319 412-1 5.1.4), such as VATPL-...
func (n Name) OrganizationIdentifier() string { return n.First(AttrOrganizationIdentifier) }

// Country returns the first country code.
func (n Name) Country() string { return n.First(AttrCountry) }
