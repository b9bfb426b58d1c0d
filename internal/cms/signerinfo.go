package cms

import (
	"bytes"
	"fmt"
	"slices"
)

// SignerInfo is a parsed SignerInfo (RFC 5652, 5.3).
type SignerInfo struct {
	Raw     []byte
	Version int

	// The signer's identifier: Issuer (Name as encoded) with Serial (contents octets), or SubjectKeyID.
	Issuer, Serial []byte
	SubjectKeyID   []byte

	DigestAlgorithm    []byte // AlgorithmIdentifier as encoded
	SignatureAlgorithm []byte // AlgorithmIdentifier as encoded
	Signature          []byte // the signature value

	// SignedAttributes in order; RawSignedAttributes is the [0] element as encoded, nil when absent.
	SignedAttributes    []Attribute
	RawSignedAttributes []byte
	// UnsignedAttributes in order; RawUnsignedAttributes is the [1] element as encoded, nil when absent.
	UnsignedAttributes    []Attribute
	RawUnsignedAttributes []byte

	// RawVersion, RawIdentifier and RawSignature are these elements as encoded.
	RawVersion, RawIdentifier, RawSignature []byte
}

// Attribute is one attribute with its values as encoded.
type Attribute struct {
	Type   OID
	Raw    []byte
	Values [][]byte
}

// ParseSignerInfo reads a SignerInfo that stands alone: the value of a counter-signature attribute.
func ParseSignerInfo(data []byte) (*SignerInfo, error) {
	r := newReader(data)
	return r.signerInfo()
}

func (r *reader) signerInfo() (*SignerInfo, error) {
	in, e, err := r.enter(tagSequence, "SignerInfo")
	if err != nil {
		return nil, err
	}
	si := &SignerInfo{Raw: e.Raw}
	version, v, err := in.smallInt("version")
	if err != nil {
		return nil, err
	}
	si.Version, si.RawVersion = version, v.Raw
	if err := si.readIdentifier(&in); err != nil {
		return nil, fmt.Errorf("signer identifier: %w", err)
	}
	if e, err = in.expect(tagSequence, "digestAlgorithm"); err != nil {
		return nil, err
	}
	si.DigestAlgorithm = e.Raw
	if si.SignedAttributes, si.RawSignedAttributes, err = in.attributes(tagContext | tagConstructed); err != nil {
		return nil, fmt.Errorf("signed attributes: %w", err)
	}
	if e, err = in.expect(tagSequence, "signatureAlgorithm"); err != nil {
		return nil, err
	}
	si.SignatureAlgorithm = e.Raw
	if err := si.readSignature(&in); err != nil {
		return nil, fmt.Errorf("signature: %w", err)
	}
	si.UnsignedAttributes, si.RawUnsignedAttributes, err = in.attributes(tagContext | tagConstructed | 1)
	if err != nil {
		return nil, fmt.Errorf("unsigned attributes: %w", err)
	}
	if !in.empty() {
		return nil, fmt.Errorf("octets after the unsigned attributes")
	}
	return si, nil
}

func (si *SignerInfo) readIdentifier(r *reader) error {
	e, err := r.next()
	if err != nil {
		return err
	}
	si.RawIdentifier = e.Raw
	switch {
	case e.Tag == tagSequence:
		in, err := r.inside(e)
		if err != nil {
			return err
		}
		issuer, err := in.expect(tagSequence, "issuer")
		if err != nil {
			return err
		}
		serial, err := in.expect(tagInteger, "serialNumber")
		if err != nil {
			return err
		}
		si.Issuer, si.Serial = issuer.Raw, serial.Content
		return nil
	case e.kind() == tagContext:
		parts, err := r.octets(e)
		if err != nil {
			return err
		}
		si.SubjectKeyID = join(parts)
		return nil
	}
	return fmt.Errorf("tag %#02x", e.Tag)
}

func (si *SignerInfo) readSignature(r *reader) error {
	e, err := r.next()
	if err != nil {
		return err
	}
	if e.kind() != tagOctetString {
		return fmt.Errorf("tag %#02x", e.Tag)
	}
	parts, err := r.octets(e)
	if err != nil {
		return err
	}
	si.RawSignature, si.Signature = e.Raw, join(parts)
	return nil
}

// attributes reads an implicitly tagged SET OF Attribute if it comes next.
func (r *reader) attributes(tag byte) ([]Attribute, []byte, error) {
	e, ok, err := r.optional(tag, "attributes")
	if err != nil || !ok {
		return nil, nil, err
	}
	in, err := r.inside(e)
	if err != nil {
		return nil, nil, err
	}
	var list []Attribute
	for !in.empty() {
		if len(list) >= maxAttributes {
			return nil, nil, fmt.Errorf("more than %d: %w", maxAttributes, ErrLimit)
		}
		if err := r.left.keep(); err != nil {
			return nil, nil, err
		}
		a, err := in.attribute()
		if err != nil {
			return nil, nil, err
		}
		list = append(list, a)
	}
	return list, e.Raw, nil
}

func (r *reader) attribute() (Attribute, error) {
	in, e, err := r.enter(tagSequence, "Attribute")
	if err != nil {
		return Attribute{}, err
	}
	a := Attribute{Raw: e.Raw}
	if a.Type, err = in.oid("attrType"); err != nil {
		return a, err
	}
	if a.Values, err = in.set(tagSet, "attrValues", maxValues); err != nil {
		return a, fmt.Errorf("attribute %s: %w", a.Type, err)
	}
	return a, nil
}

// Signed returns the first signed attribute of the type, or nil.
func (si *SignerInfo) Signed(typ OID) *Attribute { return find(si.SignedAttributes, typ) }

// Unsigned returns the first unsigned attribute of the type, or nil.
func (si *SignerInfo) Unsigned(typ OID) *Attribute { return find(si.UnsignedAttributes, typ) }

func find(list []Attribute, typ OID) *Attribute {
	for i := range list {
		if list[i].Type == typ {
			return &list[i]
		}
	}
	return nil
}

// SignedMessage is what the signature value is about when there are signed attributes: their DER
// encoding with the SET OF tag in place of [0] (RFC 5652, 5.4), whatever the encoding in the message.
// Nil without signed attributes: then the content itself is signed.
func (si *SignerInfo) SignedMessage() ([]byte, error) {
	m := si.EncodedAttributes()
	if m == nil {
		return nil, nil
	}
	return toDER(m, true)
}

// EncodedAttributes is the encoding of the signed attributes as it stands, with the SET OF tag in
// place of [0]: equal to SignedMessage when the signer encoded them in DER. Nil without any.
func (si *SignerInfo) EncodedAttributes() []byte {
	if si.RawSignedAttributes == nil {
		return nil
	}
	m := slices.Clone(si.RawSignedAttributes)
	m[0] = tagSet
	return m
}

// EncodedAs tells whether EncodedAttributes are these octets.
func (si *SignerInfo) EncodedAs(message []byte) bool {
	raw := si.RawSignedAttributes
	return len(message) == len(raw) && len(raw) > 0 && message[0] == tagSet && bytes.Equal(message[1:], raw[1:])
}

// sole returns the one value of the one signed attribute of the type; nil when it is absent, or
// there more than once, or has another number of values.
func (si *SignerInfo) sole(typ OID) []byte {
	var value []byte
	for i := range si.SignedAttributes {
		a := &si.SignedAttributes[i]
		if a.Type != typ {
			continue
		}
		if value != nil || len(a.Values) != 1 {
			return nil
		}
		value = a.Values[0]
	}
	return value
}

// ContentType is the value of the content-type attribute, "" when absent, repeated or malformed.
func (si *SignerInfo) ContentType() OID {
	value := si.sole(OIDContentType)
	if value == nil {
		return ""
	}
	r := newReader(value)
	o, err := r.oid("content-type")
	if err != nil {
		return ""
	}
	return o
}

// MessageDigest is the value of the message-digest attribute, nil when absent, repeated or malformed.
func (si *SignerInfo) MessageDigest() []byte {
	value := si.sole(OIDMessageDigest)
	if value == nil {
		return nil
	}
	r := newReader(value)
	e, err := r.next()
	if err != nil || e.kind() != tagOctetString {
		return nil
	}
	parts, err := r.octets(e)
	if err != nil {
		return nil
	}
	return join(parts)
}

func join(parts [][]byte) []byte {
	if len(parts) == 1 {
		return parts[0]
	}
	return bytes.Join(parts, nil)
}

// AlgorithmsProtected compares the CMSAlgorithmProtection attribute with the algorithms of the
// SignerInfo: they must be the same (RFC 6211, 3), absent and NULL parameters counting as equal.
// Without the attribute there is nothing to compare and it is true.
func (si *SignerInfo) AlgorithmsProtected() bool {
	if si.Signed(OIDAlgorithmProtection) == nil {
		return true
	}
	value := si.sole(OIDAlgorithmProtection)
	if value == nil {
		return false
	}
	outer := newReader(value)
	r, _, err := outer.enter(tagSequence, "CMSAlgorithmProtection")
	if err != nil {
		return false
	}
	digest, err := r.expect(tagSequence, "digestAlgorithm")
	if err != nil {
		return false
	}
	signature, err := r.expect(tagContext|tagConstructed|1, "signatureAlgorithm")
	if err != nil {
		return false
	}
	return sameAlgorithm(digest.Content, si.DigestAlgorithm) && sameAlgorithm(signature.Content, si.SignatureAlgorithm)
}

// sameAlgorithm compares the contents of one AlgorithmIdentifier with another as encoded.
func sameAlgorithm(content, encoded []byte) bool {
	r := newReader(encoded)
	e, err := r.next()
	if err != nil {
		return false
	}
	null := []byte{tagNull, 0}
	return bytes.Equal(bytes.TrimSuffix(content, null), bytes.TrimSuffix(e.Content, null))
}

// LooksLikeSignedAttributes tells whether data begins with what EncodedAttributes gives: a SET OF
// Attribute with a message-digest. A content like that must not pass as signed without signed
// attributes, since its signature may be one over attributes.
func LooksLikeSignedAttributes(data []byte) bool {
	if len(data) == 0 || data[0] != tagSet {
		return false
	}
	r := newReader(data)
	list, _, err := r.attributes(tagSet)
	if err != nil { // too many, or cut off: what begins as attributes is taken for such
		return beginsAsAttributes(data)
	}
	return find(list, OIDMessageDigest) != nil
}

// beginsAsAttributes tells whether a SET begins with a SEQUENCE that begins with an OBJECT IDENTIFIER. No text does.
func beginsAsAttributes(data []byte) bool {
	for _, tag := range []byte{tagSet, tagSequence} {
		if len(data) < 2 || data[0] != tag {
			return false
		}
		header := 2
		if data[1] > 0x80 {
			header += int(data[1] & 0x7f)
		}
		data = data[min(header, len(data)):]
	}
	return len(data) > 0 && data[0] == tagOID
}
