// Package ers reads evidence records, of RFC 4998 in ASN.1 and of RFC 6283 in XML, into facts for the judgement: the
// hash trees hold what they are said to hold, and each archive time-stamp covers those before it. Whether a
// time-stamp is to be trusted, and until when an algorithm was good, is judged elsewhere.
package ers

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"regexp"

	"trustcore/internal/budget"
	"trustcore/internal/xmldsig"
	"trustcore/verify/algorithm"
	"trustcore/verify/cades/signerinfo"
	"trustcore/verify/signature"
)

// Namespace is that of RFC 6283.
const Namespace = "urn:ietf:params:xml:ns:ers"

// ErrAbsent is what Object.Digest returns where the object is not at hand.
var ErrAbsent = errors.New("the data object is not at hand")

// errNoDigest is about an object of which digests alone are at hand.
var errNoDigest = errors.New("no digest of it by this algorithm was given")

// Object is a data object that a record may be about.
type Object struct {
	Name, Scope string // as in signature.Reference
	Type        string // Reference.Type; "" is "data"
	// Named is true where the record claims to be about the object: it travels in that signature, or a manifest
	// names it. Such an object that is not in the hash tree was changed; any other is not what the record is about.
	Named bool
	// Digest is that of the object's octets, or nil where it is known in its canonical form alone. An error that
	// wraps ErrAbsent says that the object is not at hand, any other one that it can't be digested. A digest is asked
	// for once an algorithm.
	Digest func(h algorithm.Hash) ([]byte, error)
	// Canonical is the digest of the object's canonical form, or nil where there is none. It is asked of records of
	// RFC 6283 alone (3.1.1, 3.3), after the octets did not match.
	Canonical CanonicalDigest
	// Covers are SHA-256 digests of what the object holds, as signature.Timestamp.Covers.
	Covers [][32]byte
	// Signature is true where it holds the signature that carries the record.
	Signature bool
}

// CanonicalDigest gives the digest of the canonical form of something.
type CanonicalDigest func(h algorithm.Hash, m xmldsig.Canonicalization) ([]byte, error)

// Looks tells whether a file begins as an evidence record: as an EvidenceRecord of RFC 4998, a SEQUENCE with version 1
// and a list of digest algorithms, which is how nothing else begins that this program reads; or, among what is told
// apart in XML by the root element, as one of RFC 6283.
func Looks(head []byte) bool {
	if body, ok := contents(head, tagSequence); ok {
		list, ok := contents(bytes.TrimPrefix(body, []byte{0x02, 1, 1}), tagSequence)
		identifier, isIdentifier := contents(list, tagSequence)
		return ok && isIdentifier && bytes.HasPrefix(body, []byte{0x02, 1, 1}) && identifier[0] == tagOID
	}
	return bytes.Contains(head, []byte(Namespace)) && rootElement.Match(head) // most files end with the first question
}

// rootElement is EvidenceRecord as the first element of a document.
var rootElement = regexp.MustCompile(`^(?s:\x{feff}?(?:\s|<\?.*?\?>|<!--.*?-->)*)<(?:[^\s<>:/]+:)?EvidenceRecord[\s>]`)

const (
	tagSequence = 0x30
	tagOID      = 0x06
)

// contents gives what follows the identifier and length octets of an element with a tag, as far as it is there, and
// some of it is.
func contents(data []byte, tag byte) ([]byte, bool) {
	if len(data) < 2 || data[0] != tag {
		return nil, false
	}
	n := 2
	if data[1] >= 0x80 {
		n += int(data[1] & 0x7f)
	}
	if n > 10 || n >= len(data) {
		return nil, false
	}
	return data[n:], true
}

// Open reads a record that is a file of its own. The detached files are what it may be about; one that is not in its
// first hash tree is not accused of anything. The error is that of the budget.
func Open(b *budget.Budget, data []byte, detached []signature.Detached) (*signature.Document, error) {
	objects := make([]Object, len(detached))
	for i, f := range detached {
		o, err := file(b, f)
		if err != nil {
			return nil, err
		}
		objects[i] = o
	}
	record := Parse(b, data, objects...)
	record.Origin = signature.RecordOutside
	if err := b.Err(); err != nil {
		return nil, err
	}
	return &signature.Document{EvidenceRecords: []*signature.EvidenceRecord{record}}, nil
}

// file is a detached file as an object.
func file(b *budget.Budget, f signature.Detached) (Object, error) {
	o := Object{Name: f.Name, Scope: "the whole file " + f.Name}
	if f.Content != nil {
		content := signerinfo.Bytes(b, f.Content)
		sum, err := content.Digest(algorithm.SHA256)
		if err != nil {
			return Object{}, err
		}
		o.Digest, o.Covers = content.Digest, [][32]byte{[32]byte(sum)}
		o.Canonical = CanonicalXML(b, func() ([]byte, error) { return f.Content, nil })
		return o, nil
	}
	o.Scope += signature.DigestAlone
	o.Digest = func(h algorithm.Hash) ([]byte, error) {
		if sum := f.Digests[h.Name()]; len(sum) > 0 {
			return sum, nil
		}
		return nil, errNoDigest
	}
	if sum := f.Digests[algorithm.SHA256.Name()]; len(sum) == sha256.Size {
		o.Covers = [][32]byte{[32]byte(sum)}
	}
	return o, nil
}

// CanonicalXML is an Object's Canonical for octets that may be XML; read is asked for them once.
func CanonicalXML(b *budget.Budget, read func() ([]byte, error)) CanonicalDigest {
	var doc *xmldsig.Document
	var failed error
	return func(h algorithm.Hash, m xmldsig.Canonicalization) ([]byte, error) {
		if doc == nil && failed == nil {
			var content []byte
			if content, failed = read(); failed == nil {
				doc, failed = xmldsig.Parse(content, xmldsig.Limits{Budget: b})
			}
		}
		if failed != nil {
			return nil, failed
		}
		state := h.New()
		if err := doc.WholeDocument().Canonical(signerinfo.Spending(b, state), m); err != nil {
			return nil, err
		}
		return state.Sum(nil), nil
	}
}

// Parse checks an encoded record, of either syntax, that is about objects. It never fails: what is wrong with the
// record stands in it, and where the budget ends b.Err tells. Its Origin is a signature: others say so themselves. The slices of what is returned point into record.
func Parse(b *budget.Budget, record []byte, objects ...Object) *signature.EvidenceRecord {
	if _, isDER := contents(record, tagSequence); isDER {
		c := newChecker(b, signature.ASN1EvidenceRecord, record, objects)
		return c.run(readASN1(b, record))
	}
	doc, err := xmldsig.Parse(record, xmldsig.Limits{Budget: b})
	if err != nil {
		c := newChecker(b, signature.XMLEvidenceRecord, record, objects)
		return c.run(nil, err)
	}
	return ParseNode(b, doc.Root(), objects...)
}

// ParseNode is Parse for a record of RFC 6283 that is an element of a document: the namespaces in scope there are part
// of its canonical forms.
func ParseNode(b *budget.Budget, element xmldsig.Node, objects ...Object) *signature.EvidenceRecord {
	start, end := element.Offset()
	c := newChecker(b, signature.XMLEvidenceRecord, element.Document().Source()[start:end], objects)
	return c.run(readXML(b, element))
}

// id names a record by its content: "E-" and the beginning of its SHA-256.
func id(b *budget.Budget, record []byte) (string, signature.Digest) {
	if b.Octets(len(record)) != nil {
		return "", signature.Digest{}
	}
	sum := sha256.Sum256(record)
	return "E-" + hex.EncodeToString(sum[:12]), signature.Digest{Algorithm: algorithm.SHA256.Name(), Value: sum[:]}
}
