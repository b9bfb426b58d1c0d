package pdf

import (
	"crypto"
	"errors"
	"fmt"
	"time"
)

// The sub-filters of signature dictionaries (ISO 32000-2 12.8.3, ETSI EN 319 142-1 6.3).
const (
	SubFilterCAdES    Name = "ETSI.CAdES.detached" // PAdES
	SubFilterRFC3161  Name = "ETSI.RFC3161"        // document time-stamp
	SubFilterPKCS7    Name = "adbe.pkcs7.detached"
	SubFilterPKCS7SHA Name = "adbe.pkcs7.sha1"
	SubFilterX509     Name = "adbe.x509.rsa_sha1"
)

// MaxContentsSize is the largest hole for a CMS that Prepare leaves, in bytes of CMS.
const MaxContentsSize = 1 << 20

// SignOptions say what the new signature dictionary holds.
type SignOptions struct {
	// SubFilter is SubFilterCAdES for a signature, SubFilterRFC3161 for a document time-stamp. Required.
	SubFilter Name
	// ContentsSize is the room left for the CMS in bytes, at most MaxContentsSize. A signature with its
	// chain and a time-stamp takes 8 to 16 KB. Required.
	ContentsSize int
	// Time is the claimed signing time (M), required for signatures and ignored for time-stamps, which
	// carry their own.
	Time time.Time

	FieldName   string // name of the signature field; "" takes the first free of Signature1, Signature2, ...
	Name        string // who signs, optional
	Reason      string // optional
	Location    string // optional
	ContactInfo string // optional

	// Appearance is what the signature shows on a page; nil for nothing.
	Appearance *Appearance

	// Certify makes it a certification signature (DocMDP): 1 no changes, 2 form filling and further
	// signatures, 3 also annotations. 0 makes an approval signature.
	Certify int
}

// Prepared is a document with an empty signature, ready to be hashed and finished. It is not safe for
// concurrent use.
type Prepared struct {
	document  []byte   // the original and the incremental update
	byteRange [4]int64 // offset and length of what is before and after the hole
}

// errEncrypted is returned for documents that cannot be extended without their password.
var errEncrypted = errors.New("pdf: the document is encrypted")

// ByteRange returns the signed ranges: offset, length, offset, length.
func (p *Prepared) ByteRange() [4]int64 { return p.byteRange }

// Digest returns the hash of the signed ranges: the message digest of the CMS, or the imprint of a
// document time-stamp.
func (p *Prepared) Digest(h crypto.Hash) ([]byte, error) {
	if !h.Available() {
		return nil, fmt.Errorf("pdf: hash %v is not linked in", h)
	}
	w := h.New()
	for i := 0; i < 4; i += 2 {
		w.Write(p.document[p.byteRange[i] : p.byteRange[i]+p.byteRange[i+1]])
	}
	return w.Sum(nil), nil
}

// Finish puts the DER of the CMS (or of the time-stamp token) into the hole and returns the signed
// document. It fails when the CMS is larger than SignOptions.ContentsSize. Prepared is spent then.
func (p *Prepared) Finish(cms []byte) ([]byte, error) {
	start := p.byteRange[1] + 1 // after '<'
	room := (p.byteRange[2] - 1 - start) / 2
	if len(cms) == 0 || int64(len(cms)) > room {
		return nil, fmt.Errorf("pdf: a CMS of %d bytes does not fit the hole of %d", len(cms), room)
	}
	const digits = "0123456789abcdef"
	hole := p.document[start:]
	for i, b := range cms {
		hole[2*i], hole[2*i+1] = digits[b>>4], digits[b&15]
	}
	document := p.document
	p.document = nil
	return document, nil
}
