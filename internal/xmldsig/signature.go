package xmldsig

import (
	"errors"
	"fmt"
	"strconv"
	"strings"

	"trustcore/internal/budget"
)

// Signature is a ds:Signature (XML Signature 1.1, 4.1), read but not verified.
type Signature struct {
	Element    Node
	ID         string
	SignedInfo Node
	Form       Canonicalization // of SignedInfo, where FormError is nil
	FormURI    string
	FormError  error // why SignedInfo cannot be canonicalised: wraps ErrUnsupported
	Method     SignatureMethod
	Value      []byte // nil where ds:SignatureValue is no base64
	ValueNode  Node   // ds:SignatureValue
	References []*Reference
	KeyInfo    *KeyInfo // nil when absent
	Objects    []Node   // ds:Object
}

// SignatureMethod names the algorithm of the signature value.
type SignatureMethod struct {
	Element          Node
	URI              string
	HMACOutputLength int        // bits, 0 when absent
	PSS              *PSSParams // only where the method carries them (RFC 9231, 2.3.9)
	Context          []byte     // context string of EdDSA, ML-DSA and SLH-DSA, nil when absent
}

// Signatures returns the ds:Signature elements of the document, outer ones before inner ones.
func (d *Document) Signatures() []Node {
	var all []Node
	for n := range d.Root().Descendants(NamespaceDSig, "Signature") {
		all = append(all, n)
	}
	return all
}

// ReadSignature reads the structure of a ds:Signature. An error tells what is ill-formed.
func ReadSignature(n Node) (*Signature, error) {
	if !n.Is(NamespaceDSig, "Signature") {
		return nil, errors.New("not a ds:Signature")
	}
	s := &Signature{Element: n, ID: n.ID()}
	if err := s.readChildren(); err != nil {
		return nil, fmt.Errorf("ds:Signature: %w", err)
	}
	if err := s.readSignedInfo(); err != nil {
		return nil, fmt.Errorf("ds:SignedInfo: %w", err)
	}
	return s, nil
}

func (s *Signature) readChildren() error {
	var keyInfo Node
	for e := range s.Element.Elements() {
		if e.Space() != NamespaceDSig {
			return fmt.Errorf("unexpected %v", e)
		}
		var place *Node
		switch e.Local() {
		case "SignedInfo":
			place = &s.SignedInfo
		case "SignatureValue":
			place = &s.ValueNode
		case "KeyInfo":
			place = &keyInfo
		case "Object":
			s.Objects = append(s.Objects, e)
			continue
		default:
			return fmt.Errorf("unexpected %v", e)
		}
		if !place.IsZero() {
			return fmt.Errorf("more than one ds:%s", e.Local())
		}
		*place = e
	}
	if s.SignedInfo.IsZero() || s.ValueNode.IsZero() {
		return errors.New("ds:SignedInfo and ds:SignatureValue are required")
	}
	var err error
	if s.Value, err = s.ValueNode.Bytes(); errors.Is(err, budget.ErrExceeded) {
		return fmt.Errorf("ds:SignatureValue: %w", err)
	}
	if !keyInfo.IsZero() {
		s.KeyInfo = ReadKeyInfo(keyInfo)
	}
	return nil
}

func (s *Signature) readSignedInfo() error {
	for e := range s.SignedInfo.Elements() {
		var err error
		switch {
		case e.Is(NamespaceDSig, "CanonicalizationMethod") && s.FormURI == "":
			err = s.readForm(e)
		case e.Is(NamespaceDSig, "SignatureMethod") && s.Method.URI == "":
			err = s.Method.read(e)
		case e.Is(NamespaceDSig, "Reference"):
			var r *Reference
			if r, err = ReadReference(e); err == nil {
				r.signature = s.Element
				s.References = append(s.References, r)
			}
		default:
			err = fmt.Errorf("unexpected %v", e)
		}
		if err != nil {
			return err
		}
	}
	switch limit := s.Element.d.limits.References; {
	case s.FormURI == "" || s.Method.URI == "":
		return errors.New("the canonicalisation and the signature method are required")
	case len(s.References) == 0:
		return errors.New("no ds:Reference")
	case len(s.References) > limit:
		return fmt.Errorf("%d references: %w of %d", len(s.References), ErrTooLarge, limit)
	}
	return nil
}

// ReadCanonicalization reads an element of ds:CanonicalizationMethodType.
func ReadCanonicalization(e Node) (Canonicalization, error) {
	uri, _ := e.Attr("", "Algorithm")
	m, ok := CanonicalizationByURI(uri)
	if !ok {
		return m, fmt.Errorf("canonicalisation method %q: %w", uri, ErrUnsupported)
	}
	m.Prefixes = prefixList(m, e)
	return m, nil
}

func (s *Signature) readForm(e Node) error {
	s.FormURI, _ = e.Attr("", "Algorithm")
	if s.FormURI == "" {
		return errors.New("ds:CanonicalizationMethod names no algorithm")
	}
	s.Form, s.FormError = ReadCanonicalization(e)
	return nil
}

func (m *SignatureMethod) read(e Node) error {
	m.Element = e
	m.URI, _ = e.Attr("", "Algorithm")
	if m.URI == "" {
		return errors.New("ds:SignatureMethod names no algorithm")
	}
	if n := e.Child(NamespaceDSig, "HMACOutputLength"); !n.IsZero() {
		bits, err := strconv.Atoi(trimSpace(n.Text()))
		if err != nil || bits <= 0 {
			return fmt.Errorf("ds:HMACOutputLength %q", n.Text())
		}
		m.HMACOutputLength = bits
	}
	if err := m.readContext(e); err != nil {
		return err
	}
	for p := range e.Elements() {
		if !p.Is(NamespaceDSMore, "RSAPSSParams") {
			continue
		}
		if m.PSS != nil {
			return errors.New("ds:SignatureMethod with more than one RSAPSSParams")
		}
		var err error
		if m.PSS, err = readPSS(p); err != nil {
			return err
		}
	}
	return nil
}

// readContext reads the context string. No specification has an element for it yet; xmlsec's names end so.
func (m *SignatureMethod) readContext(e Node) error {
	for c := range e.Elements() {
		if !strings.HasSuffix(c.Local(), "ContextString") {
			continue
		}
		if m.Context != nil {
			return errors.New("ds:SignatureMethod with more than one context string")
		}
		var err error
		if m.Context, err = c.Bytes(); err != nil {
			return fmt.Errorf("%s: %w", c.Name(), err)
		}
	}
	return nil
}

// CanonicalSignedInfo returns the octets that the signature value is about.
func (s *Signature) CanonicalSignedInfo() ([]byte, error) {
	if s.FormError != nil {
		return nil, s.FormError
	}
	return s.SignedInfo.Canonical(s.Form)
}

// TrimECDSA takes surplus zero octets from the front of both halves of an ECDSA value r||s: some writers pad
// the numbers to more than the size octets that XML Signature 1.1, 6.4.3 demands. The numbers stay the same.
func TrimECDSA(value []byte, size int) []byte {
	half := len(value) / 2
	if len(value)%2 != 0 || half <= size {
		return value
	}
	r, s := value[:half], value[half:]
	for half > size && r[0] == 0 && s[0] == 0 {
		r, s, half = r[1:], s[1:], half-1
	}
	return append(append(make([]byte, 0, 2*half), r...), s...)
}
