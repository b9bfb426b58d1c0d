package trustlist

import (
	"slices"
	"strings"

	"trustcore/internal/xmldsig"
	"trustcore/verify/certificate"
)

// Qualification is a QualificationElement (TS 119 612, 5.5.9.2): qualifiers for the certificates that
// meet the criteria.
type Qualification struct {
	Qualifiers []string // the last part of the URI, such as "QCWithQSCD"
	Criteria   Criteria
	Critical   bool // the extension that holds it must not be passed over
}

// Criteria is a CriteriaList: conditions on a certificate and how they combine.
type Criteria struct {
	Assert   string // "all", "atLeastOne" or "none"
	KeyUsage [][]KeyUsageBit
	Policies [][]string // OIDs in dotted form, all of a set must be there
	EKU      [][]string
	Subject  [][]string // attribute OIDs that the subject must have
	Lists    []Criteria
	// Unknown is set when a condition is of a kind that is not read, or is missing: whether it is met, nobody can tell.
	Unknown bool
}

// KeyUsageBit is one bit that must be set or clear.
type KeyUsageBit struct {
	Bit certificate.KeyUsage
	Set bool
}

// maxNesting bounds lists in lists; real ones have two levels.
const maxNesting = 8

var keyUsageBits = map[string]certificate.KeyUsage{
	"digitalSignature": certificate.DigitalSignature, "nonRepudiation": certificate.ContentCommitment,
	"keyEncipherment": certificate.KeyEncipherment, "dataEncipherment": certificate.DataEncipherment,
	"keyAgreement": certificate.KeyAgreement, "keyCertSign": certificate.CertSign, "crlSign": certificate.CRLSign,
	"encipherOnly": certificate.EncipherOnly, "decipherOnly": certificate.DecipherOnly,
}

func readQualification(n xmldsig.Node) Qualification {
	var q Qualification
	for _, x := range n.Path(nsQualifications, "Qualifiers").All(nsQualifications, "Qualifier") {
		uri, _ := x.Attr("", "uri")
		q.Qualifiers = append(q.Qualifiers, uri[strings.LastIndexByte(uri, '/')+1:])
	}
	q.Criteria = readCriteria(n.Child(nsQualifications, "CriteriaList"), 0)
	return q
}

func readCriteria(n xmldsig.Node, depth int) Criteria {
	assert, _ := n.Attr("", "assert")
	c := Criteria{Assert: strings.TrimSpace(assert), Unknown: n.IsZero() || depth == maxNesting}
	if c.Unknown {
		return c
	}
	for x := range n.Elements() {
		switch x.Local() {
		case "KeyUsage":
			c.readKeyUsage(x)
		case "PolicySet":
			c.Policies = append(c.Policies, oids(x, "PolicyIdentifier"))
		case "CriteriaList":
			c.Lists = append(c.Lists, readCriteria(x, depth+1))
		case "otherCriteriaList":
			c.readOther(x)
		case "Description":
		default:
			c.Unknown = true
		}
	}
	return c
}

func (c *Criteria) readKeyUsage(n xmldsig.Node) {
	var bits []KeyUsageBit
	for _, b := range n.All(nsQualifications, "KeyUsageBit") {
		name, _ := b.Attr("", "name")
		bit, ok := keyUsageBits[name]
		if !ok {
			c.Unknown = true
			return
		}
		value := strings.TrimSpace(b.Text())
		bits = append(bits, KeyUsageBit{bit, value == "true" || value == "1"})
	}
	c.KeyUsage = append(c.KeyUsage, bits)
}

func (c *Criteria) readOther(n xmldsig.Node) {
	for x := range n.Elements() {
		switch x.Local() {
		case "ExtendedKeyUsage":
			c.EKU = append(c.EKU, oids(x, "KeyPurposeId"))
		case "CertSubjectDNAttribute":
			c.Subject = append(c.Subject, oids(x, "AttributeOID"))
		default:
			c.Unknown = true
		}
	}
}

// oids returns the object identifiers below n. Lists write them plain, as urn:oid: and as OIDAsURI.
func oids(n xmldsig.Node, local string) []string {
	var list []string
	for x := range n.Elements() {
		if x.Local() != local {
			continue
		}
		id := strings.TrimSpace(x.Child(nsXAdES, "Identifier").Text())
		list = append(list, strings.TrimPrefix(strings.ToLower(id), "urn:oid:"))
	}
	return list
}

// Met is what can be told of conditions.
type Met uint8

// The answers, from the least on.
const (
	No Met = iota
	Untold
	Yes
)

func met(is bool) Met {
	if is {
		return Yes
	}
	return No
}

// Match tells whether the certificate meets the criteria.
func (c *Criteria) Match(cert *certificate.Certificate) Met {
	var results []Met
	for _, bits := range c.KeyUsage {
		results = append(results, met(matchKeyUsage(cert, bits)))
	}
	for _, set := range c.Policies {
		results = append(results, containsAll(set, func(id string) bool {
			return slices.ContainsFunc(cert.Policies, func(p certificate.PolicyInformation) bool { return p.Policy.String() == id })
		}))
	}
	for _, set := range c.EKU {
		results = append(results, containsAll(set, func(id string) bool {
			return slices.ContainsFunc(cert.EKU, func(o certificate.OID) bool { return o.String() == id })
		}))
	}
	for _, set := range c.Subject {
		results = append(results, containsAll(set, func(id string) bool {
			return slices.ContainsFunc(cert.Subject.Attributes, func(a certificate.Attribute) bool { return a.Type.String() == id })
		}))
	}
	for i := range c.Lists {
		results = append(results, c.Lists[i].Match(cert))
	}
	if c.Unknown || len(results) == 0 {
		results = append(results, Untold)
	}
	return combine(c.Assert, results)
}

func combine(assert string, results []Met) Met {
	switch assert {
	case "all":
		return slices.Min(results)
	case "atLeastOne":
		return slices.Max(results)
	case "none":
		return Yes - slices.Max(results)
	}
	return Untold
}

func matchKeyUsage(cert *certificate.Certificate, bits []KeyUsageBit) bool {
	for _, b := range bits {
		if (cert.KeyUsage&b.Bit != 0) != b.Set {
			return false
		}
	}
	return cert.HasKeyUsage
}

func containsAll(set []string, has func(string) bool) Met {
	if len(set) == 0 {
		return Untold
	}
	return met(!slices.ContainsFunc(set, func(id string) bool { return !has(id) }))
}
