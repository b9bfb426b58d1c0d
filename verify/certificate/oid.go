package certificate

import (
	"errors"
	"strconv"
	"strings"
)

// An OID is an object identifier: the content octets of its DER encoding. It is comparable and may key a map.
type OID string

// Object identifiers of attributes, extensions and purposes.
const (
	AttrCommonName             OID = "\x55\x04\x03"
	AttrSurname                OID = "\x55\x04\x04"
	AttrSerialNumber           OID = "\x55\x04\x05"
	AttrCountry                OID = "\x55\x04\x06"
	AttrLocality               OID = "\x55\x04\x07"
	AttrProvince               OID = "\x55\x04\x08"
	AttrStreet                 OID = "\x55\x04\x09"
	AttrOrganization           OID = "\x55\x04\x0a"
	AttrOrganizationalUnit     OID = "\x55\x04\x0b"
	AttrTitle                  OID = "\x55\x04\x0c"
	AttrPostalAddress          OID = "\x55\x04\x10"
	AttrPostalCode             OID = "\x55\x04\x11"
	AttrGivenName              OID = "\x55\x04\x2a"
	AttrInitials               OID = "\x55\x04\x2b"
	AttrGenerationQualifier    OID = "\x55\x04\x2c"
	AttrDNQualifier            OID = "\x55\x04\x2e"
	AttrPseudonym              OID = "\x55\x04\x41"
	AttrOrganizationIdentifier OID = "\x55\x04\x61"
	AttrEmail                  OID = "\x2a\x86\x48\x86\xf7\x0d\x01\x09\x01"
	AttrDomainComponent        OID = "\x09\x92\x26\x89\x93\xf2\x2c\x64\x01\x19"
	AttrUserID                 OID = "\x09\x92\x26\x89\x93\xf2\x2c\x64\x01\x01"

	ExtSubjectDirectoryAttributes OID = "\x55\x1d\x09"
	ExtSubjectKeyID               OID = "\x55\x1d\x0e"
	ExtKeyUsage                   OID = "\x55\x1d\x0f"
	ExtPrivateKeyUsagePeriod      OID = "\x55\x1d\x10"
	ExtSubjectAltName             OID = "\x55\x1d\x11"
	ExtIssuerAltName              OID = "\x55\x1d\x12"
	ExtBasicConstraints           OID = "\x55\x1d\x13"
	ExtNameConstraints            OID = "\x55\x1d\x1e"
	ExtCRLDistributionPoints      OID = "\x55\x1d\x1f"
	ExtCertificatePolicies        OID = "\x55\x1d\x20"
	ExtPolicyMappings             OID = "\x55\x1d\x21"
	ExtAuthorityKeyID             OID = "\x55\x1d\x23"
	ExtPolicyConstraints          OID = "\x55\x1d\x24"
	ExtExtendedKeyUsage           OID = "\x55\x1d\x25"
	ExtFreshestCRL                OID = "\x55\x1d\x2e"
	ExtInhibitAnyPolicy           OID = "\x55\x1d\x36"
	ExtAuthorityInfoAccess        OID = "\x2b\x06\x01\x05\x05\x07\x01\x01"
	ExtQCStatements               OID = "\x2b\x06\x01\x05\x05\x07\x01\x03"
	ExtSubjectInfoAccess          OID = "\x2b\x06\x01\x05\x05\x07\x01\x0b"
	ExtOCSPNoCheck                OID = "\x2b\x06\x01\x05\x05\x07\x30\x01\x05"
	ExtValidityAssured            OID = "\x04\x00\x8b\xec\x49\x02\x01"
	AnyPolicy                     OID = "\x55\x1d\x20\x00"

	AccessOCSP      OID = "\x2b\x06\x01\x05\x05\x07\x30\x01"
	AccessCAIssuers OID = "\x2b\x06\x01\x05\x05\x07\x30\x02"

	PurposeAny             OID = "\x55\x1d\x25\x00"
	PurposeServerAuth      OID = "\x2b\x06\x01\x05\x05\x07\x03\x01"
	PurposeClientAuth      OID = "\x2b\x06\x01\x05\x05\x07\x03\x02"
	PurposeCodeSigning     OID = "\x2b\x06\x01\x05\x05\x07\x03\x03"
	PurposeEmailProtection OID = "\x2b\x06\x01\x05\x05\x07\x03\x04"
	PurposeTimeStamping    OID = "\x2b\x06\x01\x05\x05\x07\x03\x08"
	PurposeOCSPSigning     OID = "\x2b\x06\x01\x05\x05\x07\x03\x09"

	QCTypeESign OID = "\x04\x00\x8e\x46\x01\x06\x01"
	QCTypeESeal OID = "\x04\x00\x8e\x46\x01\x06\x02"
	QCTypeWeb   OID = "\x04\x00\x8e\x46\x01\x06\x03"
)

var errOID = errors.New("malformed object identifier")

// String writes the identifier in dotted decimals; arcs of any size are written.
func (o OID) String() string {
	var b strings.Builder
	first := true
	for i := 0; i < len(o); {
		end := i
		for end < len(o) && o[end]&0x80 != 0 {
			end++
		}
		if end == len(o) {
			return b.String() + ".?"
		}
		arc := arcString(o[i:end+1], first)
		if !first {
			b.WriteByte('.')
		}
		b.WriteString(arc)
		first = false
		i = end + 1
	}
	return b.String()
}

// Valid reports whether the octets are a complete DER object identifier.
func (o OID) Valid() bool {
	if len(o) == 0 || o[len(o)-1]&0x80 != 0 {
		return false
	}
	start := true
	for i := 0; i < len(o); i++ {
		if start && o[i] == 0x80 {
			return false
		}
		start = o[i]&0x80 == 0
	}
	return true
}

// ParseOID reads dotted decimals; arcs may not exceed 63 bits.
func ParseOID(dotted string) (OID, error) {
	parts := strings.Split(dotted, ".")
	if len(parts) < 2 {
		return "", errOID
	}
	arcs := make([]uint64, len(parts))
	for i, p := range parts {
		n, err := strconv.ParseUint(p, 10, 63)
		if err != nil {
			return "", errOID
		}
		arcs[i] = n
	}
	if arcs[0] > 2 || arcs[0] < 2 && arcs[1] > 39 || arcs[1] > 1<<62 {
		return "", errOID
	}
	out := appendArc(nil, arcs[0]*40+arcs[1])
	for _, a := range arcs[2:] {
		out = appendArc(out, a)
	}
	return OID(out), nil
}

func appendArc(out []byte, n uint64) []byte {
	var buf [10]byte
	i := len(buf) - 1
	buf[i] = byte(n & 0x7f)
	for n >>= 7; n > 0; n >>= 7 {
		i--
		buf[i] = byte(n&0x7f) | 0x80
	}
	return append(out, buf[i:]...)
}
