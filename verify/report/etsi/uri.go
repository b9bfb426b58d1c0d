package etsi

import (
	"net/url"
	"regexp"
	"strings"
	"time"
)

// The URIs of TS 119 102-2.
const (
	etsi             = "urn:etsi:019102:"
	indicationURI    = etsi + "mainindication:"
	subIndicationURI = etsi + "subindication:"
	constraintURI    = etsi + "constraintStatus:"
	processURI       = etsi + "validationprocess:"
	objectURI        = etsi + "validationObject:"
	reasonURI        = etsi + "revocationReason:"
	derivedPOE       = etsi + "poetype:validation" // the validation itself came to it
)

// The URIs of the Commission's DSS, where ETSI has none.
const (
	dss                       = "urn:cef:dss:"
	noSignatureFound          = dss + "mainindication:noSignatureFound"
	blockURI                  = dss + "bbb:"
	messageURI                = dss + "message:"
	signatureQualificationURI = dss + "signatureQualification:"
	timestampQualificationURI = dss + "timestampQualification:"
)

// own is what neither has a URI for.
const own = "urn:trustcore:"

// qualifications are the parts of DSS's URIs by the names of reports.
var qualifications = map[string]string{
	"QESig": "QESig", "QESeal": "QESeal", "Unknown-QC-QSCD": "UnknownQCwithQSCD",
	"AdESig-QC": "AdESigQC", "AdESeal-QC": "AdESealQC", "Unknown-QC": "UnknownQC",
	"AdESig": "AdESig", "AdESeal": "AdESeal", "Unknown": "Unknown",
	"Not AdES but QC with QSCD": "notAdESbutQCwithQSCD", "Not AdES but QC": "notAdESbutQC", "Not AdES": "notAdES",
}

// qualification is the part of DSS's URI for what is said of a signature or a time-stamp.
func qualification(name string) string {
	base, indeterminate := strings.CutPrefix(name, "Indeterminate ")
	switch part, known := qualifications[base]; {
	case known && indeterminate:
		return "indeterminate" + part
	case known:
		return part
	case name == "QTSA" || name == "TSA":
		return name
	}
	return "notApplicable"
}

const (
	dsig2000   = "http://www.w3.org/2000/09/xmldsig#"
	dsigMore01 = "http://www.w3.org/2001/04/xmldsig-more#"
	dsigMore07 = "http://www.w3.org/2007/05/xmldsig-more#"
	dsigMore21 = "http://www.w3.org/2021/04/xmldsig-more#"
	dsig11     = "http://www.w3.org/2009/xmldsig11#"
	xmlenc     = "http://www.w3.org/2001/04/xmlenc#"
)

// algorithms are the URIs of XML Signature and RFC 9231 by the names of verify/algorithm.
var algorithms = map[string]string{
	"MD5": dsigMore01 + "md5", "SHA-1": dsig2000 + "sha1", "RIPEMD160": xmlenc + "ripemd160",
	"SHA-224": dsigMore01 + "sha224", "SHA-256": xmlenc + "sha256", "SHA-384": dsigMore01 + "sha384",
	"SHA-512":  xmlenc + "sha512",
	"SHA3-224": dsigMore07 + "sha3-224", "SHA3-256": dsigMore07 + "sha3-256", "SHA3-384": dsigMore07 + "sha3-384",
	"SHA3-512":      dsigMore07 + "sha3-512",
	"RSA-PKCS1-MD5": dsigMore01 + "rsa-md5", "RSA-PKCS1-SHA1": dsig2000 + "rsa-sha1",
	"RSA-PKCS1-RIPEMD160": dsigMore01 + "rsa-ripemd160",
	"RSA-PKCS1-SHA224":    dsigMore01 + "rsa-sha224", "RSA-PKCS1-SHA256": dsigMore01 + "rsa-sha256",
	"RSA-PKCS1-SHA384": dsigMore01 + "rsa-sha384", "RSA-PKCS1-SHA512": dsigMore01 + "rsa-sha512",
	"DSA-SHA1": dsig2000 + "dsa-sha1", "DSA-SHA256": dsig11 + "dsa-sha256",
	"ECDSA-RIPEMD160": dsigMore07 + "ecdsa-ripemd160",
	"Ed25519":         dsigMore21 + "eddsa-ed25519", "Ed25519ctx": dsigMore21 + "eddsa-ed25519ctx",
	"Ed25519ph": dsigMore21 + "eddsa-ed25519ph",
	"Ed448":     dsigMore21 + "eddsa-ed448", "Ed448ph": dsigMore21 + "eddsa-ed448ph",
}

// schemes are the names whose URI follows from their parts.
var schemes = regexp.MustCompile(`^(RSA-PSS|ECDSA)-(SHA1|SHA224|SHA256|SHA384|SHA512|SHA3-224|SHA3-256|SHA3-384|SHA3-512)$`)

// algorithm is the URI of an algorithm; those that XML Signature has no name for get one of ours.
func algorithm(name string) string {
	if u := algorithms[name]; u != "" {
		return u
	}
	parts := schemes.FindStringSubmatch(name)
	if parts == nil {
		return own + "algorithm:" + url.QueryEscape(name)
	}
	scheme, hash := parts[1], strings.ToLower(parts[2])
	switch sha3 := strings.HasPrefix(hash, "sha3-"); {
	case scheme == "RSA-PSS":
		return dsigMore07 + hash + "-rsa-MGF1"
	case sha3:
		return dsigMore21 + "ecdsa-" + hash
	}
	return dsigMore01 + "ecdsa-" + hash
}

// absolute is a URI that every reader takes for one.
var absolute = regexp.MustCompile(`^([A-Za-z][A-Za-z0-9+.-]*:|[0-9]+(\.[0-9]+)*$)([A-Za-z0-9._~!$&'()*+,;=:@/?-]|%[0-9A-Fa-f]{2})*(#[A-Za-z0-9._~-]*)?$`)

// anyURI makes a URI of what a document gives for one.
func anyURI(text string) string {
	if _, err := url.Parse(text); err == nil && absolute.MatchString(text) {
		return text
	}
	return url.QueryEscape(text)
}

// dateTime is xs:dateTime, "" for a time that it has no form for. It is to the second: DSS's client reads no fractions.
func dateTime(t *time.Time) string {
	if t == nil || t.IsZero() || t.Year() < 1 || t.Year() > 9999 {
		return ""
	}
	return t.UTC().Format("2006-01-02T15:04:05Z")
}
