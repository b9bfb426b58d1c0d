package certificate

// A Laxness is a kind of departure from RFC 5280 or DER that the reader tolerates.
type Laxness string

// The kinds of laxness. Whoever needs strictness (lint, a TLS profile) refuses what it must.
const (
	NegativeSerial      Laxness = "negative serial number"
	ZeroSerial          Laxness = "zero serial number"
	LongSerial          Laxness = "serial number of more than 20 octets"
	NonMinimalInteger   Laxness = "integer not in its shortest form"
	AlgorithmMismatch   Laxness = "signature algorithm inside and outside differ"
	MissingNull         Laxness = "RSA algorithm without NULL parameters"
	ExplicitParameters  Laxness = "explicit EC parameters"
	BadBitString        Laxness = "signature with unused bits"
	BadVersion          Laxness = "version does not fit the fields"
	BadTime             Laxness = "time not in the form of RFC 5280 4.1.2.5"
	FractionalTime      Laxness = "time with fractions of a second"
	TimeOffset          Laxness = "time with an offset from UTC"
	UTCTimeNeeded       Laxness = "GeneralizedTime before 2050"
	EmptyIssuer         Laxness = "empty issuer"
	BadName             Laxness = "name with an unreadable part"
	BadBoolean          Laxness = "boolean other than 00 or FF"
	ExplicitDefault     Laxness = "default value written out"
	BadBasicConstraints Laxness = "bad basicConstraints"
	PathLenWithoutCA    Laxness = "path length of something that is not a CA"
	EmptyKeyUsage       Laxness = "keyUsage without a bit"
	EmptyExtension      Laxness = "extension with an empty list"
	MalformedExtension  Laxness = "malformed extension"
	DuplicateExtension  Laxness = "extension occurs twice"
	DuplicatePolicy     Laxness = "policy occurs twice"
	RelativePointName   Laxness = "distribution point named relative to the CRL issuer"
	OrphanReasons       Laxness = "distribution point with reasons alone"
	BadGeneralName      Laxness = "general name with a malformed value"
	SubtreeBounds       Laxness = "name constraint with minimum or maximum"
	PostalAddress       Laxness = "postal address that is not a string"
	TrailingData        Laxness = "data after the end of a structure"
	NegativeModulus     Laxness = "RSA modulus encoded as a negative number"
	AnyPolicyMapped     Laxness = "policy mapping from or to anyPolicy"
	NotDERBitString     Laxness = "bit string with trailing zero bits or set unused bits"
	EmptySequenceOfExt  Laxness = "empty extensions field"
)

// A Finding is one laxness met in a certificate.
type Finding struct {
	What  Laxness
	Where OID    // the extension it was met in, empty for the frame
	Note  string // detail, may be empty
}

// Has reports whether a finding of the given kind was made.
func (c *Certificate) Has(what Laxness) bool {
	for i := range c.Findings {
		if c.Findings[i].What == what {
			return true
		}
	}
	return false
}

func (c *Certificate) find(what Laxness, where OID, note string) {
	c.Findings = append(c.Findings, Finding{what, where, note})
}
