package dss

import "trustcore/verify/certificate"

// descriptions are DSS's words for identifiers that stand in certificates (RFC 5280 4.2.1.12, EN 319 411, EN 319
// 412-5).
var descriptions = map[string]string{
	"1.3.6.1.5.5.7.3.1": "serverAuth", "1.3.6.1.5.5.7.3.2": "clientAuth", "1.3.6.1.5.5.7.3.3": "codeSigning",
	"1.3.6.1.5.5.7.3.4": "emailProtection", "1.3.6.1.5.5.7.3.8": "timeStamping", "1.3.6.1.5.5.7.3.9": "ocspSigning",
	"0.4.0.2231.3.0": "tslSigning",

	"0.4.0.2042.1.1": "normalized-certificate-policy", "0.4.0.2042.1.2": "normalized-certificate-policy-sscd",
	"0.4.0.2042.1.3": "lightweight-certificate-policy",
	"0.4.0.1456.1.1": "qcp-public-with-sscd", "0.4.0.1456.1.2": "qcp-public",
	"0.4.0.194112.1.0": "qcp-natural", "0.4.0.194112.1.1": "qcp-legal", "0.4.0.194112.1.2": "qcp-natural-qscd",
	"0.4.0.194112.1.3": "qcp-legal-qscd", "0.4.0.194112.1.4": "qcp-web",
	"2.5.29.32": "certificatePolicies",

	"0.4.0.1862.1.6.1": "qc-type-esign", "0.4.0.1862.1.6.2": "qc-type-eseal", "0.4.0.1862.1.6.3": "qc-type-web",

	"2.5.29.18": "issuerAlternativeName", "1.3.6.1.5.5.7.1.11": "subjectInfoAccess", "2.5.29.33": "policyMappings",
	"2.5.29.9": "subjectDirectoryAttributes", "2.5.29.16": "privateKeyUsagePeriod", "1.3.6.1.5.5.7.1.2": "biometricInfo",
}

// oid is an identifier with what DSS calls it.
func oid(o certificate.OID) fields {
	f := fields{"value": o.String(), "Description": nil}
	if d := descriptions[o.String()]; d != "" {
		f["Description"] = d
	}
	return f
}
