package cms

import (
	"errors"
	"fmt"
	"math/big"
	"strconv"
	"strings"
)

// OID is an object identifier as its contents octets (without tag and length), so that comparing
// and switching need no decoding. String gives the dotted form.
type OID string

// Content types and the attributes of RFC 5652, RFC 5035, RFC 3161, ETSI EN 319 122-1, TS 101 733 and ISO 32000.
const (
	OIDData       OID = "\x2a\x86\x48\x86\xf7\x0d\x01\x07\x01"         // 1.2.840.113549.1.7.1
	OIDSignedData OID = "\x2a\x86\x48\x86\xf7\x0d\x01\x07\x02"         // 1.2.840.113549.1.7.2
	OIDTSTInfo    OID = "\x2a\x86\x48\x86\xf7\x0d\x01\x09\x10\x01\x04" // 1.2.840.113549.1.9.16.1.4

	OIDContentType         OID = "\x2a\x86\x48\x86\xf7\x0d\x01\x09\x03" // 1.2.840.113549.1.9.3
	OIDMessageDigest       OID = "\x2a\x86\x48\x86\xf7\x0d\x01\x09\x04" // 1.2.840.113549.1.9.4
	OIDSigningTime         OID = "\x2a\x86\x48\x86\xf7\x0d\x01\x09\x05" // 1.2.840.113549.1.9.5
	OIDAlgorithmProtection OID = "\x2a\x86\x48\x86\xf7\x0d\x01\x09\x34" // 1.2.840.113549.1.9.52, RFC 6211
	OIDCounterSignature    OID = "\x2a\x86\x48\x86\xf7\x0d\x01\x09\x06" // 1.2.840.113549.1.9.6

	smimeAttribute = "\x2a\x86\x48\x86\xf7\x0d\x01\x09\x10\x02" // 1.2.840.113549.1.9.16.2

	OIDContentHints         OID = smimeAttribute + "\x04"
	OIDContentReference     OID = smimeAttribute + "\x0a"
	OIDSigningCertificate   OID = smimeAttribute + "\x0c" // ESS v1
	OIDSignatureTimestamp   OID = smimeAttribute + "\x0e"
	OIDSignaturePolicy      OID = smimeAttribute + "\x0f"
	OIDCommitmentType       OID = smimeAttribute + "\x10"
	OIDSignerLocation       OID = smimeAttribute + "\x11"
	OIDSignerAttributes     OID = smimeAttribute + "\x12"
	OIDContentTimestamp     OID = smimeAttribute + "\x14"
	OIDCertificateRefs      OID = smimeAttribute + "\x15" // complete-certificate-references
	OIDRevocationRefs       OID = smimeAttribute + "\x16" // complete-revocation-references
	OIDCertificateValues    OID = smimeAttribute + "\x17"
	OIDRevocationValues     OID = smimeAttribute + "\x18"
	OIDESCTimestamp         OID = smimeAttribute + "\x19" // CAdES-C-time-stamp
	OIDCertCRLTimestamp     OID = smimeAttribute + "\x1a" // time-stamped-certs-crls-references
	OIDArchiveTimestampV1   OID = smimeAttribute + "\x1b"
	OIDAttrCertificateRefs  OID = smimeAttribute + "\x2c"
	OIDAttrRevocationRefs   OID = smimeAttribute + "\x2d"
	OIDSigningCertificateV2 OID = smimeAttribute + "\x2f" // ESS v2
	OIDArchiveTimestampV2   OID = smimeAttribute + "\x30"
	OIDEvidenceInternal     OID = smimeAttribute + "\x31" // RFC 4998 internal evidence record
	OIDEvidenceExternal     OID = smimeAttribute + "\x32" // RFC 4998 external evidence record

	OIDMIMEType             OID = "\x04\x00\x8d\x45\x02\x01"             // 0.4.0.1733.2.1
	OIDLongTermValidation   OID = "\x04\x00\x8d\x45\x02\x02"             // 0.4.0.1733.2.2
	OIDArchiveTimestampV3   OID = "\x04\x00\x8d\x45\x02\x04"             // 0.4.0.1733.2.4
	OIDATSHashIndex         OID = "\x04\x00\x8d\x45\x02\x05"             // 0.4.0.1733.2.5
	OIDSignerAttributesV2   OID = "\x04\x00\x81\x95\x32\x01\x01"         // 0.4.0.19122.1.1
	OIDSignaturePolicyStore OID = "\x04\x00\x81\x95\x32\x01\x03"         // 0.4.0.19122.1.3
	OIDATSHashIndexV2       OID = "\x04\x00\x81\x95\x32\x01\x04"         // 0.4.0.19122.1.4
	OIDATSHashIndexV3       OID = "\x04\x00\x81\x95\x32\x01\x05"         // 0.4.0.19122.1.5
	OIDRevocationArchival   OID = "\x2a\x86\x48\x86\xf7\x2f\x01\x01\x08" // 1.2.840.113583.1.1.8, ISO 32000

	oidOCSPResponse OID = "\x2b\x06\x01\x05\x05\x07\x10\x02"     // 1.3.6.1.5.5.7.16.2, RFC 5940
	oidOCSPBasic    OID = "\x2b\x06\x01\x05\x05\x07\x30\x01\x01" // 1.3.6.1.5.5.7.48.1.1
)

// known interns the identifiers above, so that parsing does not allocate for them.
var known = internOIDs(
	OIDData, OIDSignedData, OIDTSTInfo, OIDContentType, OIDMessageDigest, OIDSigningTime, OIDCounterSignature, OIDAlgorithmProtection,
	OIDContentHints, OIDContentReference, OIDSigningCertificate, OIDSignatureTimestamp, OIDSignaturePolicy,
	OIDCommitmentType, OIDSignerLocation, OIDSignerAttributes, OIDContentTimestamp, OIDCertificateRefs,
	OIDRevocationRefs, OIDCertificateValues, OIDRevocationValues, OIDESCTimestamp, OIDCertCRLTimestamp,
	OIDArchiveTimestampV1, OIDAttrCertificateRefs, OIDAttrRevocationRefs, OIDSigningCertificateV2,
	OIDArchiveTimestampV2, OIDEvidenceInternal, OIDEvidenceExternal, OIDMIMEType, OIDLongTermValidation,
	OIDArchiveTimestampV3, OIDATSHashIndex, OIDSignerAttributesV2, OIDSignaturePolicyStore, OIDATSHashIndexV2, OIDATSHashIndexV3,
	OIDRevocationArchival, oidOCSPResponse, oidOCSPBasic,
)

func internOIDs(oids ...OID) map[string]OID {
	m := make(map[string]OID, len(oids))
	for _, o := range oids {
		m[string(o)] = o
	}
	return m
}

// maxOIDLength is the longest object identifier taken, in contents octets.
const maxOIDLength = 128

func oidOf(content []byte) (OID, error) {
	if o, ok := known[string(content)]; ok {
		return o, nil
	}
	if len(content) == 0 || len(content) > maxOIDLength || content[len(content)-1]&0x80 != 0 {
		return "", errors.New("malformed object identifier")
	}
	return OID(content), nil
}

// String is the dotted form; "" for the zero OID.
func (o OID) String() string {
	if o == "" {
		return ""
	}
	var b strings.Builder
	arc, first := new(big.Int), true
	for i := 0; i < len(o); i++ {
		arc.Lsh(arc, 7)
		arc.Or(arc, big.NewInt(int64(o[i]&0x7f)))
		if o[i]&0x80 != 0 {
			continue
		}
		if first {
			first = false
			root := min(arc.Uint64()/40, 2)
			if !arc.IsUint64() {
				root = 2
			}
			b.WriteString(strconv.FormatUint(root, 10))
			arc.Sub(arc, new(big.Int).SetUint64(root*40))
		}
		b.WriteByte('.')
		b.WriteString(arc.String())
		arc.SetUint64(0)
	}
	return b.String()
}

// ParseOID reads the dotted form.
func ParseOID(dotted string) (OID, error) {
	parts := strings.Split(dotted, ".")
	if len(parts) < 2 || len(parts) > 64 {
		return "", fmt.Errorf("%q is not an object identifier", dotted)
	}
	arcs := make([]uint64, len(parts))
	for i, p := range parts {
		n, err := strconv.ParseUint(p, 10, 63)
		if err != nil {
			return "", fmt.Errorf("%q is not an object identifier", dotted)
		}
		arcs[i] = n
	}
	if arcs[0] > 2 || arcs[0] < 2 && arcs[1] > 39 || arcs[1] > 1<<62 {
		return "", fmt.Errorf("%q is not an object identifier", dotted)
	}
	content := appendArc(nil, arcs[0]*40+arcs[1])
	for _, a := range arcs[2:] {
		content = appendArc(content, a)
	}
	return oidOf(content)
}

func appendArc(b []byte, arc uint64) []byte {
	for shift := 63; shift > 0; shift -= 7 {
		if arc>>shift != 0 {
			b = append(b, byte(arc>>shift)|0x80)
		}
	}
	return append(b, byte(arc&0x7f))
}
