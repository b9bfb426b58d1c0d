package cms

import (
	"bytes"
	"crypto"
	"fmt"
	"math/big"
	"slices"
	"time"
)

// NewAttribute makes an attribute from encoded values.
func NewAttribute(typ OID, values ...[]byte) Attribute {
	raw := element(tagSequence, element(tagOID, []byte(typ)), setOf(tagSet, values))
	return Attribute{Type: typ, Raw: raw, Values: values}
}

// SigningCertificateV2 makes the ESS signing-certificate-v2 attribute (RFC 5035, 4) with one
// ESSCertIDv2: the digest of the DER certificate by hash, issuer and serial number.
func SigningCertificateV2(hash crypto.Hash, certificate []byte) (Attribute, error) {
	issuer, serial, err := issuerAndSerial(certificate)
	if err != nil {
		return Attribute{}, fmt.Errorf("signing certificate: %w", err)
	}
	identifier, err := hashIdentifier(hash)
	if err != nil {
		return Attribute{}, err
	}
	h := hash.New()
	h.Write(certificate)
	var fields [][]byte
	if hash != crypto.SHA256 { // the default is not encoded in DER
		fields = append(fields, identifier)
	}
	directoryName := element(tagContext|tagConstructed|4, issuer)
	fields = append(fields, element(tagOctetString, h.Sum(nil)),
		element(tagSequence, element(tagSequence, directoryName), serial))
	certs := element(tagSequence, element(tagSequence, fields...))
	return NewAttribute(OIDSigningCertificateV2, element(tagSequence, certs)), nil
}

// UnsignedAttributes encodes attributes (each as encoded, in this order) as the field of a SignerInfo.
func UnsignedAttributes(attributes [][]byte) []byte {
	return element(tagContext|tagConstructed|1, attributes...)
}

// UnsignedAttributesHead is what stands before the attributes in UnsignedAttributes: tag and length.
func UnsignedAttributesHead(attributes [][]byte) []byte {
	length := 0
	for _, a := range attributes {
		length += len(a)
	}
	return appendHeader(nil, tagContext|tagConstructed|1, length)
}

// NewTimestampAttribute makes the signature-time-stamp attribute from a token (ETSI EN 319 122-1, 5.3).
func NewTimestampAttribute(token []byte) Attribute {
	return NewAttribute(OIDSignatureTimestamp, token)
}

// AddUnsignedAttribute returns signedData with the attribute added to the unsigned attributes of
// the signer with this index. Everything that is signed stays as it was, octet for octet; the
// enclosing lengths become definite. Octets after the ContentInfo are dropped.
func AddUnsignedAttribute(signedData []byte, signer int, attribute Attribute) ([]byte, error) {
	sd, err := Parse(signedData)
	if err != nil {
		return nil, fmt.Errorf("add unsigned attribute: %w", err)
	}
	if signer < 0 || signer >= len(sd.Signers) {
		return nil, fmt.Errorf("add unsigned attribute: no signer %d of %d", signer, len(sd.Signers))
	}
	signers := make([][]byte, len(sd.Signers))
	for i, si := range sd.Signers {
		signers[i] = si.Raw
	}
	signers[signer] = sd.Signers[signer].WithUnsigned(insert(encodings(sd.Signers[signer].UnsignedAttributes), attribute.Raw))
	return sd.rebuild(sd.CertificateChoices, sd.RevocationInfos, signers), nil
}

// AddEvidence returns signedData with certificates, CRLs and OCSP responses (DER) added to the
// fields of SignedData, those that are there already left out (ETSI EN 319 122-1, 5.4.2 and 5.4.3).
func AddEvidence(signedData []byte, certificates, crls, ocsps [][]byte) ([]byte, error) {
	sd, err := Parse(signedData)
	if err != nil {
		return nil, fmt.Errorf("add evidence: %w", err)
	}
	choices := slices.Clone(sd.CertificateChoices)
	for _, c := range certificates {
		if !containsBytes(choices, c) {
			choices = insert(choices, c)
		}
	}
	revocations := slices.Clone(sd.RevocationInfos)
	for _, o := range ocsps {
		crls = append(crls[:len(crls):len(crls)],
			element(tagContext|tagConstructed|1, element(tagOID, []byte(oidOCSPResponse)), o))
	}
	for _, c := range crls {
		if !containsBytes(revocations, c) {
			revocations = insert(revocations, c)
		}
	}
	signers := make([][]byte, len(sd.Signers))
	for i, si := range sd.Signers {
		signers[i] = si.Raw
	}
	return sd.rebuild(choices, revocations, signers), nil
}

// WithUnsigned encodes the SignerInfo with these unsigned attributes (as encoded, in this order) in
// place of its own; without any, the field is absent. The other fields stay octet for octet.
func (si *SignerInfo) WithUnsigned(attributes [][]byte) []byte {
	fields := si.SignedFields()
	if len(attributes) > 0 {
		fields = append(fields, UnsignedAttributes(attributes))
	}
	return element(tagSequence, fields...)
}

// SignedFields are the fields of the SignerInfo up to the signature value as encoded: all but the
// unsigned attributes.
func (si *SignerInfo) SignedFields() [][]byte {
	fields := [][]byte{si.RawVersion, si.RawIdentifier, si.DigestAlgorithm}
	if si.RawSignedAttributes != nil {
		fields = append(fields, si.RawSignedAttributes)
	}
	return append(fields, si.SignatureAlgorithm, si.RawSignature)
}

// rebuild encodes the SignedData around its parts. The version grows as RFC 5652, 5.1 asks when
// revocation information other than CRLs comes in.
func (sd *SignedData) rebuild(certificates, revocations, signers [][]byte) []byte {
	version := sd.Version
	for _, r := range revocations {
		if r[0] != tagSequence {
			version = 5
		}
	}
	body := [][]byte{integer(int64(version)), element(tagSet, sd.DigestAlgorithms...), sd.Content.Raw}
	if len(certificates) > 0 {
		body = append(body, element(tagContext|tagConstructed, certificates...))
	}
	if len(revocations) > 0 {
		body = append(body, element(tagContext|tagConstructed|1, revocations...))
	}
	body = append(body, element(tagSet, signers...))
	return contentInfo(body)
}

// insert puts a member into the encodings of a SET OF where DER wants it. The others keep their
// order even where it is not DER's: archive time-stamps may depend on it.
func insert(members [][]byte, m []byte) [][]byte {
	i := 0
	for i < len(members) && bytes.Compare(members[i], m) <= 0 {
		i++
	}
	return slices.Insert(members, i, m)
}

func encodings(list []Attribute) [][]byte {
	raw := make([][]byte, len(list))
	for i := range list {
		raw[i] = list[i].Raw
	}
	return raw
}

func integer(n int64) []byte { return bigInteger(big.NewInt(n)) }

// bigInteger encodes an INTEGER that is not negative.
func bigInteger(n *big.Int) []byte {
	b := n.Bytes()
	if len(b) == 0 || b[0]&0x80 != 0 {
		b = append([]byte{0}, b...)
	}
	return element(tagInteger, b)
}

// timeElement is UTCTime until 2049 and GeneralizedTime from then on (RFC 5652, 11.3).
func timeElement(t time.Time) []byte {
	t = t.UTC()
	if y := t.Year(); y >= 1950 && y < 2050 {
		return element(tagUTCTime, []byte(t.Format("060102150405Z")))
	}
	return element(tagGeneralizedTime, []byte(t.Format("20060102150405Z")))
}

// RawType is the attrType element as encoded.
func (a *Attribute) RawType() []byte {
	r := newReader(a.TypeAndValues())
	e, err := r.next()
	if err != nil {
		return nil
	}
	return e.Raw
}

// TypeAndValues is the attribute without the SEQUENCE's header (and end-of-contents): attrType and
// attrValues as encoded, which older time-stamps of CAdES are about.
func (a *Attribute) TypeAndValues() []byte {
	r := newReader(a.Raw)
	e, err := r.next()
	if err != nil {
		return nil
	}
	return e.Content
}
