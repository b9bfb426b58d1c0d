package certificate

import (
	"golang.org/x/crypto/cryptobyte"
	"golang.org/x/crypto/cryptobyte/asn1"
)

func (c *Certificate) readEKU(v cryptobyte.String) error {
	var body cryptobyte.String
	if !v.ReadASN1(&body, asn1.SEQUENCE) || !v.Empty() {
		return errMalformed
	}
	c.HasEKU = true
	if body.Empty() {
		c.find(EmptyExtension, ExtExtendedKeyUsage, "")
	}
	for !body.Empty() {
		var id cryptobyte.String
		if !body.ReadASN1(&id, asn1.OBJECT_IDENTIFIER) || !OID(id).Valid() {
			return errMalformed
		}
		c.EKU = append(c.EKU, purpose(id))
	}
	return nil
}

// purpose makes an OID without an allocation for the common purposes.
func purpose(id []byte) OID {
	switch string(id) {
	case string(PurposeServerAuth):
		return PurposeServerAuth
	case string(PurposeClientAuth):
		return PurposeClientAuth
	case string(PurposeEmailProtection):
		return PurposeEmailProtection
	case string(PurposeTimeStamping):
		return PurposeTimeStamping
	case string(PurposeOCSPSigning):
		return PurposeOCSPSigning
	}
	return OID(id)
}

func (c *Certificate) readSKI(v cryptobyte.String) error {
	var id cryptobyte.String
	if !v.ReadASN1(&id, asn1.OCTET_STRING) || !v.Empty() {
		return errMalformed
	}
	c.SKI = id
	return nil
}

func (c *Certificate) readAKI(v cryptobyte.String) error {
	aki, err := ParseAuthorityKeyID(v)
	c.AKI = aki
	return err
}

// ParseAuthorityKeyID reads the value of an authorityKeyIdentifier extension; CRLs carry it too.
func ParseAuthorityKeyID(value []byte) (*AuthorityKeyID, error) {
	v := cryptobyte.String(value)
	var body, id, issuer, serial cryptobyte.String
	var hasID, hasIssuer, hasSerial bool
	if !v.ReadASN1(&body, asn1.SEQUENCE) || !v.Empty() ||
		!body.ReadOptionalASN1(&id, &hasID, asn1.Tag(0).ContextSpecific()) ||
		!body.ReadOptionalASN1(&issuer, &hasIssuer, asn1.Tag(1).Constructed().ContextSpecific()) ||
		!body.ReadOptionalASN1(&serial, &hasSerial, asn1.Tag(2).ContextSpecific()) || !body.Empty() {
		return nil, errMalformed
	}
	aki := &AuthorityKeyID{}
	if hasID {
		aki.KeyID = id
	}
	if hasSerial {
		aki.Serial = serial
	}
	if hasIssuer {
		var err error
		if aki.Issuer, err = readGeneralNames(issuer); err != nil {
			return nil, err
		}
	}
	return aki, nil
}

func (c *Certificate) readAltName(v cryptobyte.String, where OID) ([]GeneralName, error) {
	names, err := ParseGeneralNames(v)
	if err != nil {
		return nil, err
	}
	if len(names) == 0 {
		c.find(EmptyExtension, where, "")
	}
	for i := range names {
		n := &names[i]
		if n.Kind == IPName && len(n.Value) != 4 && len(n.Value) != 16 {
			n.Malformed = true
		}
		if n.Malformed {
			c.find(BadGeneralName, where, n.Kind.String())
		}
	}
	return names, nil
}

func readAccess(v cryptobyte.String) ([]AccessDescription, error) {
	var body cryptobyte.String
	if !v.ReadASN1(&body, asn1.SEQUENCE) || !v.Empty() {
		return nil, errMalformed
	}
	var list []AccessDescription
	for !body.Empty() {
		var entry, id cryptobyte.String
		if len(list) == MaxGeneralNames || !body.ReadASN1(&entry, asn1.SEQUENCE) ||
			!entry.ReadASN1(&id, asn1.OBJECT_IDENTIFIER) {
			return nil, errMalformed
		}
		location, err := ReadGeneralName(&entry)
		if err != nil || !entry.Empty() {
			return nil, errMalformed
		}
		list = append(list, AccessDescription{Method: accessMethod(id), Location: location})
	}
	return list, nil
}

func accessMethod(id []byte) OID {
	switch string(id) {
	case string(AccessOCSP):
		return AccessOCSP
	case string(AccessCAIssuers):
		return AccessCAIssuers
	}
	return OID(id)
}
