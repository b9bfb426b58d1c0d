package certificate

import (
	"errors"

	"golang.org/x/crypto/cryptobyte"
	"golang.org/x/crypto/cryptobyte/asn1"
)

// errMalformed marks an extension whose value cannot be read.
var errMalformed = errors.New("malformed")

// readExtensions reads the list and what it can of each entry.
func (c *Certificate) readExtensions(field cryptobyte.String) error {
	var list cryptobyte.String
	if !field.ReadASN1(&list, asn1.SEQUENCE) || !field.Empty() {
		return errors.New("malformed extensions")
	}
	if list.Empty() {
		c.find(EmptySequenceOfExt, "", "")
	}
	c.Extensions = make([]Extension, 0, 12)
	for !list.Empty() {
		if len(c.Extensions) == MaxExtensions {
			return errors.New("too many extensions")
		}
		e, err := c.readExtension(&list)
		if err != nil {
			return err
		}
		if c.Extension(e.OID) != nil {
			c.find(DuplicateExtension, e.OID, "")
		} else if read := extensionReader(e.OID); read != nil {
			e.Known = true
			if err := read(c, e.Value); err != nil {
				e.Malformed = true
				c.find(MalformedExtension, e.OID, err.Error())
			}
		}
		c.Extensions = append(c.Extensions, e)
	}
	return nil
}

func (c *Certificate) readExtension(list *cryptobyte.String) (Extension, error) {
	var body, id, value cryptobyte.String
	if !list.ReadASN1(&body, asn1.SEQUENCE) || !body.ReadASN1(&id, asn1.OBJECT_IDENTIFIER) || !OID(id).Valid() {
		return Extension{}, errors.New("malformed extension")
	}
	e := Extension{OID: extensionID(id)}
	if body.PeekASN1Tag(asn1.BOOLEAN) {
		var b cryptobyte.String
		if !body.ReadASN1(&b, asn1.BOOLEAN) || len(b) != 1 {
			return Extension{}, errors.New("malformed extension")
		}
		e.Critical = b[0] != 0
		c.checkBoolean(b[0], e.OID)
	}
	if !body.ReadASN1(&value, asn1.OCTET_STRING) || !body.Empty() {
		return Extension{}, errors.New("malformed extension")
	}
	e.Value = value
	return e, nil
}

// checkBoolean notes what DER forbids in a BOOLEAN with the default FALSE.
func (c *Certificate) checkBoolean(b byte, where OID) {
	switch b {
	case 0:
		c.find(ExplicitDefault, where, "FALSE")
	case 0xff:
	default:
		c.find(BadBoolean, where, "")
	}
}

// extensionReader returns the function that reads an extension into the certificate, nil when none does.
func extensionReader(id OID) func(*Certificate, cryptobyte.String) error {
	switch id {
	case ExtBasicConstraints:
		return (*Certificate).readBasicConstraints
	case ExtKeyUsage:
		return (*Certificate).readKeyUsage
	case ExtExtendedKeyUsage:
		return (*Certificate).readEKU
	case ExtSubjectKeyID:
		return (*Certificate).readSKI
	case ExtAuthorityKeyID:
		return (*Certificate).readAKI
	case ExtSubjectAltName:
		return func(c *Certificate, v cryptobyte.String) (err error) {
			c.SAN, err = c.readAltName(v, ExtSubjectAltName)
			return
		}
	case ExtIssuerAltName:
		return func(c *Certificate, v cryptobyte.String) (err error) {
			c.IAN, err = c.readAltName(v, ExtIssuerAltName)
			return
		}
	case ExtCertificatePolicies:
		return (*Certificate).readPolicies
	case ExtPolicyMappings:
		return (*Certificate).readPolicyMappings
	case ExtPolicyConstraints:
		return (*Certificate).readPolicyConstraints
	case ExtInhibitAnyPolicy:
		return (*Certificate).readInhibitAnyPolicy
	case ExtNameConstraints:
		return (*Certificate).readNameConstraints
	case ExtCRLDistributionPoints:
		return func(c *Certificate, v cryptobyte.String) (err error) {
			c.CRLDistributionPoints, err = c.readDistributionPoints(v, ExtCRLDistributionPoints)
			return
		}
	case ExtFreshestCRL:
		return func(c *Certificate, v cryptobyte.String) (err error) {
			c.FreshestCRL, err = c.readDistributionPoints(v, ExtFreshestCRL)
			return
		}
	case ExtAuthorityInfoAccess:
		return func(c *Certificate, v cryptobyte.String) (err error) { c.AIA, err = readAccess(v); return }
	case ExtSubjectInfoAccess:
		return func(c *Certificate, v cryptobyte.String) (err error) { c.SIA, err = readAccess(v); return }
	case ExtQCStatements:
		return (*Certificate).readQCStatements
	case ExtOCSPNoCheck:
		return func(c *Certificate, v cryptobyte.String) error { c.OCSPNoCheck = true; return nil }
	case ExtValidityAssured:
		return func(c *Certificate, v cryptobyte.String) error { c.ValidityAssured = true; return nil }
	}
	return nil
}

// extensionID makes an OID without an allocation for the extensions under id-ce.
func extensionID(id []byte) OID {
	if len(id) == 3 && id[0] == 0x55 && id[1] == 0x1d {
		return extensionIDs[id[2]]
	}
	return OID(id)
}

// extensionIDs holds 2.5.29.n for every n of one octet.
var extensionIDs = func() (table [256]OID) {
	for i := range table {
		table[i] = OID([]byte{0x55, 0x1d, byte(i)})
	}
	return table
}()
