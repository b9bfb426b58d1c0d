package certificate

import (
	"encoding/hex"
	"errors"
	"net/netip"

	"golang.org/x/crypto/cryptobyte"
	"golang.org/x/crypto/cryptobyte/asn1"
)

// MaxGeneralNames bounds one list of general names: certificates with 10,000 names exist only in attacks, and lists
// of a few thousand in the largest hosting certificates.
const MaxGeneralNames = 20000

// A NameKind is the CHOICE of a GeneralName; its value is the tag number (RFC 5280 4.2.1.6).
type NameKind byte

// The kinds of GeneralName.
const (
	OtherName NameKind = iota
	EmailName
	DNSName
	X400Address
	DirectoryName
	EDIPartyName
	URIName
	IPName
	RegisteredID
)

var nameKinds = [...]string{"otherName", "email", "DNS", "x400Address", "directoryName", "ediPartyName", "URI", "IP", "registeredID"}

// String names the kind.
func (k NameKind) String() string {
	if int(k) < len(nameKinds) {
		return nameKinds[k]
	}
	return "unknown"
}

// A GeneralName is one name of RFC 5280 4.2.1.6.
type GeneralName struct {
	Kind      NameKind
	Raw       []byte // DER
	Value     []byte // content octets: text of email, DNS, URI; octets of IP; content of the others; the Name of a directoryName, DER
	Directory *Name  // of a directoryName
	Type      OID    // type-id of an otherName
	Malformed bool   // the value does not fit its kind
}

var errGeneralName = errors.New("malformed general name")

// ParseGeneralNames reads a GeneralNames SEQUENCE, which must be the whole of der.
func ParseGeneralNames(der []byte) ([]GeneralName, error) {
	input := cryptobyte.String(der)
	var body cryptobyte.String
	if !input.ReadASN1(&body, asn1.SEQUENCE) || !input.Empty() {
		return nil, errGeneralName
	}
	return readGeneralNames(body)
}

// readGeneralNames reads the content of GeneralNames.
func readGeneralNames(body cryptobyte.String) ([]GeneralName, error) {
	var names []GeneralName
	for !body.Empty() {
		if len(names) == MaxGeneralNames {
			return nil, errors.New("too many general names")
		}
		n, err := ReadGeneralName(&body)
		if err != nil {
			return nil, err
		}
		names = append(names, n)
	}
	return names, nil
}

// ReadGeneralName reads one GeneralName off the input.
func ReadGeneralName(input *cryptobyte.String) (GeneralName, error) {
	var raw, body cryptobyte.String
	var tag asn1.Tag
	if !input.ReadAnyASN1Element(&raw, &tag) || tag&0xc0 != 0x80 || tag&0x1f > 8 {
		return GeneralName{}, errGeneralName
	}
	element := raw
	element.ReadAnyASN1(&body, nil)
	n := GeneralName{Kind: NameKind(tag & 0x1f), Raw: raw, Value: body}
	constructed := tag&0x20 != 0
	switch n.Kind {
	case DirectoryName:
		dn, err := ParseName(body)
		if err != nil {
			n.Malformed = true
		} else {
			n.Directory = &dn
		}
	case OtherName:
		var id cryptobyte.String
		if !body.ReadASN1(&id, asn1.OBJECT_IDENTIFIER) {
			return GeneralName{}, errGeneralName
		}
		n.Type = OID(id)
	case EmailName, DNSName, URIName:
		n.Malformed = !ascii(body)
	}
	if constructed != (n.Kind == OtherName || n.Kind == DirectoryName || n.Kind == X400Address || n.Kind == EDIPartyName) {
		n.Malformed = true
	}
	return n, nil
}

// String writes the name for readers: its kind, a colon, its value.
func (g GeneralName) String() string {
	switch g.Kind {
	case EmailName, DNSName, URIName:
		return g.Kind.String() + ":" + string(g.Value)
	case DirectoryName:
		if g.Directory != nil {
			return "directoryName:" + g.Directory.String()
		}
	case IPName:
		if a, ok := netip.AddrFromSlice(g.Value); ok {
			return "IP:" + a.String()
		}
	case RegisteredID:
		return "registeredID:" + OID(g.Value).String()
	}
	return g.Kind.String() + ":" + hex.EncodeToString(g.Value)
}
