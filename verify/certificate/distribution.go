package certificate

import (
	"golang.org/x/crypto/cryptobyte"
	"golang.org/x/crypto/cryptobyte/asn1"
)

func (c *Certificate) readDistributionPoints(v cryptobyte.String, where OID) ([]DistributionPoint, error) {
	points, err := ParseDistributionPoints(v)
	if err != nil {
		return nil, err
	}
	if len(points) == 0 {
		c.find(EmptyExtension, where, "")
	}
	for _, p := range points {
		if p.Name != nil && p.Name.Relative != nil {
			c.find(RelativePointName, where, "")
		}
		if p.Name == nil && p.CRLIssuer == nil {
			c.find(OrphanReasons, where, "")
		}
	}
	return points, nil
}

// ParseDistributionPoints reads the value of a cRLDistributionPoints or freshestCRL extension; CRLs carry the latter.
func ParseDistributionPoints(value []byte) ([]DistributionPoint, error) {
	v := cryptobyte.String(value)
	var body cryptobyte.String
	if !v.ReadASN1(&body, asn1.SEQUENCE) || !v.Empty() {
		return nil, errMalformed
	}
	var points []DistributionPoint
	for !body.Empty() {
		var entry cryptobyte.String
		if len(points) == MaxGeneralNames || !body.ReadASN1(&entry, asn1.SEQUENCE) {
			return nil, errMalformed
		}
		p, err := readDistributionPoint(entry)
		if err != nil {
			return nil, err
		}
		points = append(points, p)
	}
	return points, nil
}

func readDistributionPoint(entry cryptobyte.String) (DistributionPoint, error) {
	var p DistributionPoint
	var name, reasons, issuer cryptobyte.String
	var hasName, hasReasons, hasIssuer bool
	if !entry.ReadOptionalASN1(&name, &hasName, asn1.Tag(0).Constructed().ContextSpecific()) ||
		!entry.ReadOptionalASN1(&reasons, &hasReasons, asn1.Tag(1).ContextSpecific()) ||
		!entry.ReadOptionalASN1(&issuer, &hasIssuer, asn1.Tag(2).Constructed().ContextSpecific()) || !entry.Empty() {
		return p, errMalformed
	}
	var err error
	if hasName {
		if p.Name, err = ParseDistributionPointName(name); err != nil {
			return p, err
		}
	}
	if hasReasons {
		if p.Reasons, err = ParseReasonFlags(reasons); err != nil {
			return p, err
		}
	}
	if hasIssuer {
		if p.CRLIssuer, err = readGeneralNames(issuer); err != nil || len(p.CRLIssuer) == 0 {
			return p, errMalformed
		}
	}
	return p, nil
}

// ParseDistributionPointName reads a DistributionPointName: the content of the explicit [0] in a DistributionPoint or
// an IssuingDistributionPoint.
func ParseDistributionPointName(der []byte) (*DistributionPointName, error) {
	v := cryptobyte.String(der)
	var raw, body cryptobyte.String
	var tag asn1.Tag
	if !v.ReadAnyASN1Element(&raw, &tag) || !v.Empty() {
		return nil, errMalformed
	}
	element := raw
	element.ReadAnyASN1(&body, nil)
	switch tag {
	case asn1.Tag(0).Constructed().ContextSpecific():
		names, err := readGeneralNames(body)
		if err != nil || len(names) == 0 {
			return nil, errMalformed
		}
		return &DistributionPointName{Full: names}, nil
	case asn1.Tag(1).Constructed().ContextSpecific():
		// The SET's tag is replaced by the implicit [1]; with it put back the fragment reads like any other.
		set := append([]byte{}, raw...)
		set[0] = byte(asn1.SET)
		if _, err := ParseRelativeName(set); err != nil {
			return nil, err
		}
		return &DistributionPointName{Relative: set}, nil
	}
	return nil, errMalformed
}

// ParseReasonFlags reads the content octets of a ReasonFlags BIT STRING, its octet of unused bits included.
func ParseReasonFlags(content []byte) (ReasonFlags, error) {
	var scratch Certificate
	flags, err := scratch.readFlags(content, ExtCRLDistributionPoints)
	return ReasonFlags(flags), err
}
