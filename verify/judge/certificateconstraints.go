package judge

import (
	"slices"

	"trustcore/verify/certificate"
	"trustcore/verify/policy"
	"trustcore/verify/prose"
	"trustcore/verify/revocation"
)

// link is a certificate of a path with the evidence that speaks for it.
type link struct {
	*certificate.Certificate
	evidence revocation.Result
}

// constraints holds the certificates of a valid path against what the policy asks of the signer's and of its CAs'
// (5.2.6.4). An anchor is trusted as it is. What is told is returned.
func (x *x509) constraints() (Conclusion, []string) {
	c, notes := passed(), []string(nil)
	for i, cert := range x.result.Chain {
		if a := x.result.Anchor; a != nil && a.Certificate != nil && a.Certificate.Fingerprint == cert.Fingerprint {
			continue
		}
		x.steps.link(cert)
		of, list, l := x.context.CA(), ofCertificates, link{Certificate: cert}
		if i == 0 {
			of, list = x.context.Signer(), slices.Concat(ofCertificates, ofSigners)
		}
		if i < len(x.result.Revocation) {
			l.evidence = x.result.Revocation[i]
		}
		name := func(list []string) []string {
			for k, why := range list {
				list[k] = prose.Name(cert.Subject.String()) + ": " + why
			}
			return list
		}
		general, told := hold(x.validator, ofExtensions, of, l)
		refused, more := hold(x.validator, list, of, l)
		notes = slices.Concat(notes, name(told), name(more))
		c = c.then(func() Conclusion {
			switch {
			case len(general) > 0:
				return Conclusion{Indeterminate, ChainGeneralFailure, name(general)}
			case len(refused) > 0:
				return Conclusion{Indeterminate, ChainConstraintsFailure, name(refused)}
			}
			return passed()
		})
	}
	x.steps.link(nil)
	return c, notes
}

// ofExtensions are the constraints for which DSS doubts the whole chain.
var ofExtensions = []constraint[link]{
	{policy.ForbiddenExtensions, func(l link, c policy.Constraint) string {
		for _, e := range l.Extensions {
			if slices.Contains(c.Values, e.OID.String()) {
				return "it has the extension " + e.OID.String() + ", which is not allowed"
			}
		}
		return ""
	}},
	{policy.NoRevAvail, func(l link, _ policy.Constraint) string {
		// RFC 9608 4: not of a CA, and without pointers to what is said not to exist.
		located := len(l.CRLDistributionPoints)+len(l.FreshestCRL) > 0 || l.accesses(certificate.AccessOCSP)
		if l.Extension(noRevAvail) != nil && (located || l.BasicConstraints != nil && l.BasicConstraints.CA) {
			return "it says that there is no revocation information, and where it is"
		}
		return ""
	}},
}

// noRevAvail is id-ce-noRevAvail (RFC 9608).
const noRevAvail certificate.OID = "\x55\x1d\x38"

// ofCertificates are the other constraints on certificates.
var ofCertificates = []constraint[link]{
	{policy.AuthorityInfoAccessPresent, func(l link, _ policy.Constraint) string {
		return missing(l.accesses(certificate.AccessCAIssuers), "address of its issuer's certificate (authorityInfoAccess)")
	}},
	{policy.RevocationInfoAccessPresent, func(l link, _ policy.Constraint) string {
		located := len(l.CRLDistributionPoints) > 0 || l.accesses(certificate.AccessOCSP)
		return missing(located, "address of revocation information")
	}},
	{policy.CRLNextUpdatePresent, func(l link, _ policy.Constraint) string {
		return missing(l.evidence.Source != "CRL" || !l.evidence.NextUpdate.IsZero(), "nextUpdate in its CRL")
	}},
	{policy.OCSPNextUpdatePresent, func(l link, _ policy.Constraint) string {
		return missing(l.evidence.Source != "OCSP" || !l.evidence.NextUpdate.IsZero(), "nextUpdate in its OCSP answer")
	}},
	{policy.AuthorityKeyIdentifierPresent, func(l link, _ policy.Constraint) string {
		return missing(l.AKI != nil, "authorityKeyIdentifier")
	}},
	{policy.SubjectKeyIdentifierPresent, func(l link, _ policy.Constraint) string {
		return missing(l.SKI != nil, "subjectKeyIdentifier")
	}},
	{policy.SerialNumberPresent, func(l link, _ policy.Constraint) string {
		return missing(l.Subject.SerialNumber() != "", "serialNumber in its name")
	}},
	{policy.SelfSigned, func(l link, _ policy.Constraint) string {
		if !l.SelfIssued() {
			return "it did not issue itself"
		}
		return ""
	}},
	{policy.NotSelfSigned, func(l link, _ policy.Constraint) string {
		if l.SelfIssued() {
			return "it issued itself"
		}
		return ""
	}},
	{policy.UsePseudonym, func(l link, _ policy.Constraint) string {
		if l.Subject.First(certificate.AttrPseudonym) != "" {
			return "it has a pseudonym"
		}
		return ""
	}},
	{policy.QcCompliance, func(l link, _ policy.Constraint) string {
		return missing(l.QC != nil && l.QC.Compliance, "statement that it is qualified")
	}},
	{policy.QcSSCD, func(l link, _ policy.Constraint) string {
		return missing(l.QC != nil && l.QC.SSCD, "statement that its key is in a qualified device")
	}},
	listed(policy.ExtendedKeyUsage, "extended key usages", link.purposes),
	listed(policy.PolicyIDs, "certificate policies", func(l link) []string {
		return texts(l.Policies, func(p certificate.PolicyInformation) certificate.OID { return p.Policy })
	}),
	listed(policy.QcType, "types of qualified certificates", func(l link) []string {
		if l.QC == nil {
			return nil
		}
		return texts(l.QC.Types, func(o certificate.OID) certificate.OID { return o })
	}),
	listed(policy.QcLegislationCountryCodes, "countries of legislation", func(l link) []string {
		if l.QC == nil {
			return nil
		}
		return l.QC.Legislation
	}),
	named(policy.CommonName, certificate.AttrCommonName), named(policy.Country, certificate.AttrCountry),
	named(policy.GivenName, certificate.AttrGivenName), named(policy.Surname, certificate.AttrSurname),
	named(policy.OrganizationName, certificate.AttrOrganization), named(policy.OrganizationUnit, certificate.AttrOrganizationalUnit),
	named(policy.Pseudonym, certificate.AttrPseudonym), named(policy.Title, certificate.AttrTitle), named(policy.Email, certificate.AttrEmail),
}

// ofSigners are those on signing certificates alone: what a CA's key may be used for is RFC 5280's (6.1.4 (n)).
var ofSigners = []constraint[link]{listed(policy.KeyUsage, "key usages", link.usages)}

// listed asks that one of the values of a certificate is accepted.
func listed(name policy.Name, what string, of func(link) []string) constraint[link] {
	return constraint[link]{name, func(l link, c policy.Constraint) string {
		if slices.ContainsFunc(of(l), func(value string) bool { return accepts(c.Values, value) }) {
			return ""
		}
		return "none of its " + what + " is accepted"
	}}
}

// named asks for an attribute of the subject's name whose value is accepted.
func named(name policy.Name, attribute certificate.OID) constraint[link] {
	return listed(name, string(name)+" attributes", func(l link) []string { return l.Subject.All(attribute) })
}

// accesses reports whether authorityInfoAccess has an address by the method.
func (l link) accesses(method certificate.OID) bool {
	return slices.ContainsFunc(l.AIA, func(a certificate.AccessDescription) bool { return a.Method == method })
}

// usages are the names of the certificate's key usages, as X.509 and DSS have them, in the order of their bits.
func (l link) usages() []string {
	var list []string
	for bit, name := range [...]string{"digitalSignature", "nonRepudiation", "keyEncipherment", "dataEncipherment",
		"keyAgreement", "keyCertSign", "crlSign", "encipherOnly", "decipherOnly"} {
		if l.HasKeyUsage && l.KeyUsage&(certificate.DigitalSignature<<bit) != 0 {
			list = append(list, name)
		}
	}
	return list
}

// purposes are the extended key usages, each by its identifier and by DSS's name.
func (l link) purposes() []string {
	var list []string
	for _, p := range l.EKU {
		list = append(list, p.String(), purposeNames[p])
	}
	return list
}

var purposeNames = map[certificate.OID]string{
	certificate.PurposeServerAuth: "serverAuth", certificate.PurposeClientAuth: "clientAuth",
	certificate.PurposeCodeSigning: "codeSigning", certificate.PurposeEmailProtection: "emailProtection",
	certificate.PurposeTimeStamping: "timeStamping", certificate.PurposeOCSPSigning: "ocspSigning",
}

func texts[T any](list []T, of func(T) certificate.OID) []string {
	var values []string
	for _, item := range list {
		values = append(values, of(item).String())
	}
	return values
}
