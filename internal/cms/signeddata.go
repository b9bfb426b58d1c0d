package cms

import (
	"bytes"
	"errors"
	"fmt"
	"io"
)

// Limits of a SignedData. The largest seen in practice has 12 signers, 150 certificates and 40 attributes; a parsed
// certificate takes several times its octets in memory.
const (
	maxSigners      = 512
	maxCertificates = 1024
	maxRevocations  = 4096
	maxAttributes   = 1024
	maxValues       = 4096    // of one attribute
	maxSegments     = 1 << 19 // a content of 256 MB in 512 octets each
)

// SignedData is a parsed SignedData (RFC 5652, 5.1).
type SignedData struct {
	Raw     []byte // the ContentInfo as encoded
	Rest    []byte // octets that follow the ContentInfo: padding, or what should not be there
	Version int

	DigestAlgorithms [][]byte // AlgorithmIdentifier elements as encoded
	Content          Content

	Certificates      [][]byte // X.509 certificates as encoded, in order
	OtherCertificates [][]byte // the other choices: extended, attribute, other
	CRLs              [][]byte // CertificateList elements
	OCSPs             [][]byte // OCSPResponse elements from OtherRevocationInfoFormat (RFC 5940)
	OtherRevocations  [][]byte // further OtherRevocationInfoFormat elements

	// RawCertificates and RawCRLs are the [0] and [1] elements as encoded, nil when absent.
	RawCertificates, RawCRLs []byte
	// RevocationInfos are the members of RawCRLs as encoded, in order, whatever their choice.
	RevocationInfos [][]byte
	// CertificateChoices are the members of RawCertificates as encoded, in order, whatever their choice.
	CertificateChoices [][]byte

	Signers []*SignerInfo
}

// Content is the encapContentInfo.
type Content struct {
	Raw      []byte // the EncapsulatedContentInfo element as encoded
	RawType  []byte // the eContentType element as encoded
	Type     OID
	Present  bool     // eContent is there: the signature is attached
	Segments [][]byte // the octets of eContent in order
	// Foreign is true when eContent is no OCTET STRING (PKCS #7 1.5 with a content type other than
	// data); Segments then hold its contents octets, which is what is digested.
	Foreign bool
}

// WriteTo writes the content's octets without collecting them.
func (c *Content) WriteTo(w io.Writer) (int64, error) {
	var written int64
	for _, s := range c.Segments {
		n, err := w.Write(s)
		written += int64(n)
		if err != nil {
			return written, err
		}
	}
	return written, nil
}

// WriteDER writes the EncapsulatedContentInfo element in DER, the content streaming. A foreign content
// cannot be rewritten.
func (c *Content) WriteDER(w io.Writer) error {
	if c.Foreign {
		return errors.New("content of PKCS #7 1.5 cannot be rewritten")
	}
	head, _ := c.derHead()
	if _, err := w.Write(head); err != nil || !c.Present {
		return err
	}
	_, err := c.WriteTo(w)
	return err
}

// IsDER tells whether Raw is what WriteDER writes: no other encoding of the same parts has its length
// and beginning.
func (c *Content) IsDER() bool {
	head, size := c.derHead()
	return !c.Foreign && len(c.Raw) == size && bytes.HasPrefix(c.Raw, head)
}

// derHead is everything before the content's octets in DER, and the size of the whole.
func (c *Content) derHead() ([]byte, int) {
	if !c.Present {
		head := element(tagSequence, c.RawType)
		return head, len(head)
	}
	length := 0
	for _, s := range c.Segments {
		length += len(s)
	}
	octets := appendHeader(nil, tagOctetString, length)
	explicit := appendHeader(nil, tagContext|tagConstructed, len(octets)+length)
	body := len(c.RawType) + len(explicit) + len(octets) + length
	head := appendHeader(nil, tagSequence, body)
	size := len(head) + body
	return append(append(append(head, c.RawType...), explicit...), octets...), size
}

// Bytes returns the content in one piece; it copies only when it is segmented.
func (c *Content) Bytes() []byte {
	if len(c.Segments) == 1 {
		return c.Segments[0]
	}
	return bytes.Join(c.Segments, nil)
}

// Parse reads a ContentInfo that holds SignedData. Octets after it are returned in Rest. The error
// wraps ErrLimit when the input is beyond a limit.
func Parse(data []byte) (*SignedData, error) {
	r := newReader(data)
	info, outer, err := r.enter(tagSequence, "ContentInfo")
	if err != nil {
		return nil, err
	}
	sd := &SignedData{Raw: outer.Raw, Rest: r.rest}
	contentType, err := info.oid("contentType")
	if err != nil {
		return nil, err
	}
	if contentType != OIDSignedData {
		return nil, fmt.Errorf("ContentInfo holds %s, not SignedData", contentType)
	}
	explicit, _, err := info.enter(tagContext|tagConstructed, "ContentInfo content")
	if err != nil {
		return nil, err
	}
	body, _, err := explicit.enter(tagSequence, "SignedData")
	if err != nil {
		return nil, err
	}
	if err := sd.read(&body); err != nil {
		return nil, fmt.Errorf("SignedData: %w", err)
	}
	return sd, nil
}

func (sd *SignedData) read(r *reader) error {
	version, _, err := r.smallInt("version")
	if err != nil {
		return err
	}
	sd.Version = version
	if sd.DigestAlgorithms, err = r.set(tagSet, "digestAlgorithms", maxSigners); err != nil {
		return err
	}
	encap, e, err := r.enter(tagSequence, "encapContentInfo")
	if err != nil {
		return err
	}
	if err := sd.Content.read(&encap, e); err != nil {
		return fmt.Errorf("encapContentInfo: %w", err)
	}
	if err := sd.readCertificates(r); err != nil {
		return fmt.Errorf("certificates: %w", err)
	}
	if err := sd.readRevocations(r); err != nil {
		return fmt.Errorf("crls: %w", err)
	}
	return sd.readSigners(r)
}

func (c *Content) read(r *reader, e Element) error {
	c.Raw = e.Raw
	typ, err := r.expect(tagOID, "eContentType")
	if err != nil {
		return err
	}
	c.RawType = typ.Raw
	if c.Type, err = oidOf(typ.Content); err != nil {
		return err
	}
	if r.empty() {
		return nil
	}
	explicit, _, err := r.enter(tagContext|tagConstructed, "eContent")
	if err != nil {
		return err
	}
	if explicit.empty() {
		return nil // an empty [0] occurs where a detached signature was meant
	}
	value, err := explicit.next()
	if err != nil {
		return err
	}
	c.Present = true
	if value.kind() != tagOctetString {
		c.Foreign = true
		c.Segments = [][]byte{value.Content}
		return nil
	}
	c.Segments, err = explicit.octets(value)
	return err
}

func (sd *SignedData) readCertificates(r *reader) error {
	e, ok, err := r.optional(tagContext|tagConstructed, "[0]")
	if err != nil || !ok {
		return err
	}
	sd.RawCertificates = e.Raw
	in, err := r.inside(e)
	if err != nil {
		return err
	}
	for !in.empty() {
		choice, err := in.next()
		if err != nil {
			return err
		}
		if len(sd.CertificateChoices) >= maxCertificates {
			return fmt.Errorf("more than %d: %w", maxCertificates, ErrLimit)
		}
		sd.CertificateChoices = append(sd.CertificateChoices, choice.Raw)
		if choice.Tag == tagSequence {
			sd.Certificates = append(sd.Certificates, choice.Raw)
		} else {
			sd.OtherCertificates = append(sd.OtherCertificates, choice.Raw)
		}
	}
	return nil
}

func (sd *SignedData) readRevocations(r *reader) error {
	e, ok, err := r.optional(tagContext|tagConstructed|1, "[1]")
	if err != nil || !ok {
		return err
	}
	sd.RawCRLs = e.Raw
	in, err := r.inside(e)
	if err != nil {
		return err
	}
	for !in.empty() {
		choice, err := in.next()
		if err != nil {
			return err
		}
		if len(sd.RevocationInfos) >= maxRevocations {
			return fmt.Errorf("more than %d: %w", maxRevocations, ErrLimit)
		}
		sd.RevocationInfos = append(sd.RevocationInfos, choice.Raw)
		switch choice.Tag {
		case tagSequence:
			sd.CRLs = append(sd.CRLs, choice.Raw)
		default:
			if ocsp := in.otherRevocation(choice); ocsp != nil {
				sd.OCSPs = append(sd.OCSPs, ocsp)
			} else {
				sd.OtherRevocations = append(sd.OtherRevocations, choice.Raw)
			}
		}
	}
	return nil
}

// OCSPResponses returns the OCSP response that a member of RevocationInfos holds, if it holds one.
func OCSPResponses(revocationInfo []byte) [][]byte {
	r := newReader(revocationInfo)
	e, err := r.next()
	if err != nil {
		return nil
	}
	if ocsp := r.otherRevocation(e); ocsp != nil {
		return [][]byte{ocsp}
	}
	return nil
}

// otherRevocation returns the OCSPResponse of an OtherRevocationInfoFormat (RFC 5652, 10.2.1; RFC
// 5940), a bare BasicOCSPResponse wrapped; nil for every other format.
func (r reader) otherRevocation(choice Element) []byte {
	if choice.Tag != tagContext|tagConstructed|1 {
		return nil
	}
	in, err := r.inside(choice)
	if err != nil {
		return nil
	}
	format, err := in.oid("otherRevInfoFormat")
	if err != nil {
		return nil
	}
	info, err := in.expect(tagSequence, "otherRevInfo")
	if err != nil {
		return nil
	}
	switch format {
	case oidOCSPResponse:
		return WholeOCSP(info.Raw) // Hungarian writers put the BasicOCSPResponse under the wrong name
	case oidOCSPBasic:
		return WrapBasicOCSP(info.Raw)
	}
	return nil
}

// beginsWithSequence tells a BasicOCSPResponse (its first field is ResponseData) from an OCSPResponse
// (its first field is an ENUMERATED).
func (r reader) beginsWithSequence(e Element) bool {
	in, err := r.inside(e)
	if err != nil {
		return false
	}
	first, err := in.next()
	return err == nil && first.Tag == tagSequence
}

func (sd *SignedData) readSigners(r *reader) error {
	set, _, err := r.enter(tagSet, "signerInfos")
	if err != nil {
		return err
	}
	for !set.empty() {
		if len(sd.Signers) >= maxSigners {
			return fmt.Errorf("more than %d signers: %w", maxSigners, ErrLimit)
		}
		si, err := set.signerInfo()
		if err != nil {
			return fmt.Errorf("signer %d: %w", len(sd.Signers), err)
		}
		sd.Signers = append(sd.Signers, si)
	}
	if !r.empty() {
		return errors.New("octets after signerInfos")
	}
	return nil
}

// oid reads one OBJECT IDENTIFIER.
func (r *reader) oid(what string) (OID, error) {
	e, err := r.expect(tagOID, what)
	if err != nil {
		return "", err
	}
	o, err := oidOf(e.Content)
	if err != nil {
		return "", fmt.Errorf("%s: %w", what, err)
	}
	return o, nil
}

// smallInt reads an INTEGER of at most two octets, such as a version.
func (r *reader) smallInt(what string) (int, Element, error) {
	e, err := r.expect(tagInteger, what)
	if err != nil {
		return 0, e, err
	}
	switch len(e.Content) {
	case 1:
		return int(int8(e.Content[0])), e, nil
	case 2:
		return int(int16(uint16(e.Content[0])<<8 | uint16(e.Content[1]))), e, nil
	}
	return 0, e, fmt.Errorf("%s: an integer of %d octets", what, len(e.Content))
}

// set reads a constructed element and returns its members as encoded.
func (r *reader) set(tag byte, what string, limit int) ([][]byte, error) {
	in, _, err := r.enter(tag, what)
	if err != nil {
		return nil, err
	}
	members, err := in.members(limit)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", what, err)
	}
	return members, nil
}

// members returns all elements up to the end of this level as encoded.
func (r *reader) members(limit int) ([][]byte, error) {
	var list [][]byte
	for !r.empty() {
		if len(list) >= limit {
			return nil, fmt.Errorf("more than %d members: %w", limit, ErrLimit)
		}
		if err := r.left.keep(); err != nil {
			return nil, err
		}
		e, err := r.next()
		if err != nil {
			return nil, err
		}
		list = append(list, e.Raw)
	}
	return list, nil
}
