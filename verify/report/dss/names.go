package dss

import (
	"maps"
	"slices"
	"strings"
	"time"

	"trustcore/verify/algorithm"
	"trustcore/verify/trace"
)

// Time is an xs:dateTime in UTC, to the second as DSS writes it.
type Time string

func moment(t time.Time) Time { return Time(t.UTC().Format("2006-01-02T15:04:05Z")) }

func momentOrNil(t *time.Time) *Time {
	if t == nil || t.IsZero() {
		return nil
	}
	m := moment(*t)
	return &m
}

// orNil makes null of an empty text.
func orNil(s string) *string {
	if s == "" {
		return nil
	}
	return &s
}

// trueOrNil makes null of false: what DSS leaves out.
func trueOrNil(b bool) *bool {
	if !b {
		return nil
	}
	return &b
}

// hashes are the digest algorithms that DSS has names for. A stock client fails on any other name.
var hashes = map[algorithm.Hash]string{
	algorithm.MD5: "MD5", algorithm.SHA1: "SHA1", algorithm.SHA224: "SHA224", algorithm.SHA256: "SHA256",
	algorithm.SHA384: "SHA384",
	algorithm.SHA512: "SHA512", algorithm.SHA3_224: "SHA3_224", algorithm.SHA3_256: "SHA3_256",
	algorithm.SHA3_384: "SHA3_384",
	algorithm.SHA3_512: "SHA3_512", algorithm.RIPEMD160: "RIPEMD160", algorithm.SHAKE128: "SHAKE128",
	algorithm.SHAKE256: "SHAKE256",
}

// digests are their names by those of verify/algorithm.
var digests = func() map[string]string {
	byName := make(map[string]string, len(hashes))
	for h, name := range hashes {
		byName[h.Name()] = name
	}
	return byName
}()

// Hash is the digest algorithm that DSS calls so.
func Hash(name string) (algorithm.Hash, bool) {
	for h, theirs := range hashes {
		if theirs == name {
			return h, true
		}
	}
	return algorithm.NoHash, false
}

// Strongest is the longest of digests by the names of verify/algorithm, with DSS's name of its algorithm; nil for none
// that DSS has a name for.
func Strongest(by map[string][]byte) (sum []byte, name *string) {
	for _, algorithm := range slices.Sorted(maps.Keys(by)) {
		if digests[algorithm] != "" && len(by[algorithm]) > len(sum) {
			sum, name = by[algorithm], orNil(digests[algorithm])
		}
	}
	return sum, name
}

// schemes are DSS's names of signature algorithms without digest, and those of keys. A stock client fails on any other.
var schemes = map[string]string{
	"RSA": "RSA", "RSA-PSS": "RSASSA-PSS", "DSA": "DSA", "ECDSA": "ECDSA",
	"Ed25519": "EdDSA", "Ed25519ctx": "EdDSA", "Ed25519ph": "EdDSA", "Ed448": "EdDSA", "Ed448ph": "EdDSA",
}

// keyAlgorithm is DSS's name of the kind of a key, which verify/algorithm tells with its curve; nil where it has none.
func keyAlgorithm(name string) *string {
	switch {
	case strings.HasPrefix(name, "EC "):
		name = "ECDSA"
	case name == "RSASSA-PSS":
		name = "RSA-PSS"
	}
	return orNil(schemes[name])
}

// algorithmName is what a person reads of an algorithm.
func algorithmName(registry string) string {
	for _, s := range [...]struct{ prefix, name string }{
		{"RSA-PKCS1-", "RSA"}, {"RSA-PSS-", "RSASSA-PSS"}, {"ECDSA-", "ECDSA"}, {"DSA-", "DSA"},
	} {
		if digest, ok := strings.CutPrefix(registry, s.prefix); ok {
			return s.name + " with " + digest
		}
	}
	if name := digests[registry]; name != "" {
		return name
	}
	return registry
}

// uris are the identifiers of XML Signature (RFC 9231), by registry name; of others none is told.
var uris = map[string]string{
	"MD5":                 "http://www.w3.org/2001/04/xmldsig-more#md5",
	"SHA-1":               "http://www.w3.org/2000/09/xmldsig#sha1",
	"SHA-224":             "http://www.w3.org/2001/04/xmldsig-more#sha224",
	"SHA-256":             "http://www.w3.org/2001/04/xmlenc#sha256",
	"SHA-384":             "http://www.w3.org/2001/04/xmldsig-more#sha384",
	"SHA-512":             "http://www.w3.org/2001/04/xmlenc#sha512",
	"SHA3-256":            "http://www.w3.org/2007/05/xmldsig-more#sha3-256",
	"SHA3-384":            "http://www.w3.org/2007/05/xmldsig-more#sha3-384",
	"SHA3-512":            "http://www.w3.org/2007/05/xmldsig-more#sha3-512",
	"RSA-PKCS1-SHA1":      "http://www.w3.org/2000/09/xmldsig#rsa-sha1",
	"RSA-PKCS1-SHA224":    "http://www.w3.org/2001/04/xmldsig-more#rsa-sha224",
	"RSA-PKCS1-SHA256":    "http://www.w3.org/2001/04/xmldsig-more#rsa-sha256",
	"RSA-PKCS1-SHA384":    "http://www.w3.org/2001/04/xmldsig-more#rsa-sha384",
	"RSA-PKCS1-SHA512":    "http://www.w3.org/2001/04/xmldsig-more#rsa-sha512",
	"RSA-PSS-SHA256":      "http://www.w3.org/2007/05/xmldsig-more#sha256-rsa-MGF1",
	"RSA-PSS-SHA384":      "http://www.w3.org/2007/05/xmldsig-more#sha384-rsa-MGF1",
	"RSA-PSS-SHA512":      "http://www.w3.org/2007/05/xmldsig-more#sha512-rsa-MGF1",
	"ECDSA-SHA1":          "http://www.w3.org/2001/04/xmldsig-more#ecdsa-sha1",
	"ECDSA-SHA224":        "http://www.w3.org/2001/04/xmldsig-more#ecdsa-sha224",
	"ECDSA-SHA256":        "http://www.w3.org/2001/04/xmldsig-more#ecdsa-sha256",
	"ECDSA-SHA384":        "http://www.w3.org/2001/04/xmldsig-more#ecdsa-sha384",
	"ECDSA-SHA512":        "http://www.w3.org/2001/04/xmldsig-more#ecdsa-sha512",
	"Ed25519":             "http://www.w3.org/2021/04/xmldsig-more#eddsa-ed25519",
	"Ed448":               "http://www.w3.org/2021/04/xmldsig-more#eddsa-ed448",
	"DSA-SHA1":            "http://www.w3.org/2000/09/xmldsig#dsa-sha1",
	"DSA-SHA256":          "http://www.w3.org/2009/xmldsig11#dsa-sha256",
	"RSA-PKCS1-MD5":       "http://www.w3.org/2001/04/xmldsig-more#rsa-md5",
	"RSA-PSS-SHA1":        "http://www.w3.org/2007/05/xmldsig-more#sha1-rsa-MGF1",
	"RSA-PKCS1-RIPEMD160": "http://www.w3.org/2001/04/xmldsig-more#rsa-ripemd160",
}

// indications are DSS's, which have no hyphen.
func indication(i string) string { return strings.ReplaceAll(i, "-", "_") }

// unexpectedError is what DSS has in place of GENERIC (EN 319 102-1, table 6).
const unexpectedError = "UNEXPECTED_ERROR"

func subIndication(s string) *string {
	if s == "GENERIC" {
		s = unexpectedError
	}
	return orNil(s)
}

// formats are DSS's constants of format and level; UNKNOWN stands for whatever it has none for.
var formats = newSet(
	"XML-NOT-ETSI", "XAdES-BES", "XAdES-EPES", "XAdES-T", "XAdES-LT", "XAdES-C", "XAdES-X", "XAdES-XL", "XAdES-A",
	"XAdES-ERS",
	"XAdES-BASELINE-LTA", "XAdES-BASELINE-LT", "XAdES-BASELINE-T", "XAdES-BASELINE-B",
	"CMS-NOT-ETSI", "CAdES-BES", "CAdES-EPES", "CAdES-T", "CAdES-LT", "CAdES-C", "CAdES-X", "CAdES-XL", "CAdES-A",
	"CAdES-ERS",
	"CAdES-BASELINE-LTA", "CAdES-BASELINE-LT", "CAdES-BASELINE-T", "CAdES-BASELINE-B",
	"PDF-NOT-ETSI", "PAdES-BES", "PAdES-EPES", "PAdES-LTV",
	"PAdES-BASELINE-LTA", "PAdES-BASELINE-LT", "PAdES-BASELINE-T", "PAdES-BASELINE-B", "PKCS7-B", "PKCS7-T",
	"PKCS7-LT", "PKCS7-LTA",
	"JSON-NOT-ETSI", "JAdES-BASELINE-B", "JAdES-BASELINE-T", "JAdES-BASELINE-LT", "JAdES-BASELINE-LTA")

func newSet(names ...string) map[string]bool {
	set := make(map[string]bool, len(names))
	for _, n := range names {
		set[n] = true
	}
	return set
}

// format joins format and level as DSS's constants do.
func format(s *trace.Signature) string {
	name := ""
	switch plain := plainFormats[s.Format]; {
	case s.Format == "CMS" && s.Level != "":
		name = "PKCS7-" + strings.TrimPrefix(s.Level, "B-")
	case plain != "":
		name = plain
	case strings.HasPrefix(s.Level, "B-"):
		name = s.Format + "-BASELINE-" + strings.TrimPrefix(s.Level, "B-")
	default:
		name = s.Format + "-" + s.Level
	}
	if formats[name] {
		return name
	}
	return "UNKNOWN"
}

var plainFormats = map[string]string{"CMS": "CMS-NOT-ETSI", "XMLDSig": "XML-NOT-ETSI", "PDF": "PDF-NOT-ETSI",
	"JWS": "JSON-NOT-ETSI"}

// container is one of DSS's two, or nil.
func container(c *trace.Container) *string {
	if c == nil || c.Type != "ASiC-E" && c.Type != "ASiC-S" {
		return nil
	}
	return &c.Type
}
