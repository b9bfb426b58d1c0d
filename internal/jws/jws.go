// Package jws reads JSON Web Signatures (RFC 7515, RFC 7797) in their three serializations, strictly: whatever two
// readers could read differently is refused. It verifies nothing.
package jws

import (
	"bytes"
	"errors"
	"fmt"

	"trustcore/internal/budget"
)

const maxSignatures = 256 // of one document

// ErrNoSignature tells that a text is JSON, and no JWS.
var ErrNoSignature = errors.New("the document is JSON and no JSON Web Signature")

// ErrTooLarge tells that a document holds more than is read.
var ErrTooLarge = errors.New("more than the limit")

// Document is one JWS.
type Document struct {
	// Payload is the text of the payload as it stands there, nil where the document has none; a part of the input
	// where it can be.
	Payload    []byte
	Signatures []*Signature
	// Strays are members of the document that RFC 7515 does not define: nobody signs them.
	Strays []string
}

// Signature is one signature with its headers.
type Signature struct {
	ProtectedText []byte // the protected header as it is signed
	Protected     *Value // an object; nil where there is none that can be read
	Unprotected   *Value // an object, or nil
	Text          []byte // the value as it stands there
	Value         []byte // the value
	// Problems are what makes the signature ill-formed.
	Problems []string
	// Strays are members of the signature that RFC 7515 does not define: nobody signs them.
	Strays []string
}

// Read reads a document in any serialization. Errors tell that it cannot be read, or is no JWS: ErrNoSignature,
// ErrMalformed, ErrTooLarge, or the budget's. What is wrong with a signature alone stands in its Problems.
func Read(b *budget.Budget, data []byte) (*Document, error) {
	if !bytes.HasPrefix(bytes.TrimLeft(data, " \t\r\n\xef\xbb\xbf"), []byte("{")) {
		return readCompact(b, data)
	}
	v, err := Parse(b, data)
	if err != nil {
		return nil, err
	}
	return ReadValue(b, v)
}

// readCompact reads the compact serialization (RFC 7515, 7.1). One line end after it is that of the file.
func readCompact(b *budget.Budget, data []byte) (*Document, error) {
	text, ended := bytes.CutSuffix(data, []byte("\n"))
	if ended {
		text = bytes.TrimSuffix(text, []byte("\r"))
	}
	parts := bytes.SplitN(text, []byte("."), 4)
	if len(parts) != 3 {
		return nil, fmt.Errorf("%w: a compact JWS has three parts (RFC 7515, 7.1)", ErrNoSignature)
	}
	d := &Document{Payload: parts[1]}
	s := &Signature{}
	s.readProtected(b, parts[0])
	s.readValue(parts[2])
	d.Signatures = append(d.Signatures, s)
	if len(d.Payload) == 0 {
		d.Payload = nil // RFC 7515, appendix F
	}
	for _, c := range d.Payload {
		if c < 0x20 || c > 0x7e {
			s.problem("the payload of a compact JWS holds a character that it may not hold (RFC 7797, 5.2)")
			break
		}
	}
	return d, b.Octets(len(data))
}

// LooksCompact tells whether a text may be a compact JWS: the beginning of an object in base64url, and nothing else
// than that encoding and points. Head is the first octets of the document.
func LooksCompact(head []byte) bool {
	if len(head) < 2 || head[0] != 'e' || bytes.IndexByte([]byte("wxyz0123456789-_"), head[1]) < 0 {
		return false
	}
	for _, c := range head {
		if c == '.' {
			return true
		}
		if !inBase64URL[c] {
			return false
		}
	}
	return true
}

// ReadValue reads a JSON value as a JWS in the general or the flattened serialization (RFC 7515, 7.2).
func ReadValue(b *budget.Budget, v *Value) (*Document, error) {
	flat, general := v.Member("signature"), v.Member("signatures")
	entries := general.Items()
	switch {
	case flat != nil && general != nil:
		return nil, fmt.Errorf("%w: both %q and %q (RFC 7515, 7.2.2)", ErrMalformed, "signature", "signatures")
	case flat != nil && v.Member("protected") == nil && v.Member("header") == nil && v.Member("payload") == nil:
		return nil, ErrNoSignature
	case flat != nil:
		entries = []*Value{v}
	case !general.Is(Array):
		return nil, ErrNoSignature
	case v.Member("protected") != nil || v.Member("header") != nil:
		return nil, fmt.Errorf("%w: a header beside %q (RFC 7515, 7.2.1)", ErrMalformed, "signatures")
	case len(entries) > maxSignatures:
		return nil, fmt.Errorf("%w of %d signatures", ErrTooLarge, maxSignatures)
	}
	d := &Document{}
	for _, e := range entries {
		d.Signatures = append(d.Signatures, readSignature(b, e, flat != nil))
	}
	d.readPayload(v.Member("payload"))
	for _, m := range v.Members() {
		known := m.Name == "payload" || m.Name == "signatures" || flat != nil && ofSignature[m.Name]
		if !known && len(d.Strays) < maxStrays {
			d.Strays = append(d.Strays, fmt.Sprintf("the member %q of the document", shown(m.Name)))
		}
	}
	return d, b.Err()
}

func (d *Document) readPayload(payload *Value) {
	d.Payload = payload.Text()
	if payload != nil && !payload.Is(String) {
		for _, s := range d.Signatures {
			s.problem("the payload is no string (RFC 7515, 7.2.1)")
		}
	}
	if len(d.Payload) == 0 {
		d.Payload = nil
	}
}

const maxStrays = 64 // that are told of one document or signature

var ofSignature = map[string]bool{"protected": true, "header": true, "signature": true}

func readSignature(b *budget.Budget, v *Value, flat bool) *Signature {
	s := &Signature{}
	if !v.Is(Object) {
		s.problem("a signature that is no object (RFC 7515, 7.2.1)")
		return s
	}
	s.readProtected(b, v.Member("protected").Text())
	s.Unprotected = v.Member("header")
	if s.Unprotected != nil && !s.Unprotected.Is(Object) {
		s.problem("the unprotected header is no object (RFC 7515, 7.2.1)")
	}
	s.checkDisjoint()
	s.readValue(v.Member("signature").Text())
	for _, m := range v.Members() {
		if !flat && !ofSignature[m.Name] && len(s.Strays) < maxStrays {
			s.Strays = append(s.Strays, fmt.Sprintf("the member %q of the signature", shown(m.Name)))
		}
	}
	return s
}

// checkDisjoint demands that no name stands in both headers (RFC 7515, 7.2.1).
func (s *Signature) checkDisjoint() {
	protected := map[string]bool{}
	for _, m := range s.Protected.Members() {
		protected[m.Name] = true
	}
	for _, m := range s.Unprotected.Members() {
		if protected[m.Name] {
			s.problem("%q stands in both headers (RFC 7515, 7.2.1)", shown(m.Name))
			return
		}
	}
}

func (s *Signature) problem(format string, args ...any) {
	s.Problems = append(s.Problems, fmt.Sprintf(format, args...))
}

func (s *Signature) readProtected(b *budget.Budget, text []byte) {
	s.ProtectedText = text
	if len(text) == 0 {
		s.problem("there is no protected header: nothing says what the value means (RFC 7515, 4.1.1)")
		return
	}
	if b.Hold(len(text)) != nil {
		return
	}
	header, err := DecodeBase64URL(text)
	if err != nil {
		s.problem("the protected header: %v", err)
		return
	}
	v, err := Parse(b, header)
	switch {
	case err != nil:
		s.problem("the protected header: %v", err)
	case !v.Is(Object):
		s.problem("the protected header is no object (RFC 7515, 4)")
	default:
		s.Protected = v
	}
}

func (s *Signature) readValue(text []byte) {
	s.Text = text
	value, err := DecodeBase64URL(text)
	if err != nil {
		s.problem("the signature value: %v", err)
	}
	if s.Value = value; len(text) == 0 {
		s.problem("there is no signature value")
	}
}

// Unencoded tells whether the payload is signed as it is, not in base64url (RFC 7797, 3).
func (s *Signature) Unencoded() bool {
	b64 := s.Protected.Member("b64")
	return b64.Is(Bool) && !b64.True()
}

// neverCritical are names that RFC 7515 and RFC 7518 define: crit must not list them (RFC 7515, 4.1.11).
var neverCritical = map[string]bool{
	"alg": true, "jku": true, "jwk": true, "kid": true, "x5u": true, "x5c": true, "x5t": true, "x5t#S256": true,
	"typ": true, "cty": true, "crit": true, "epk": true, "apu": true, "apv": true, "iv": true, "tag": true,
	"p2s": true, "p2c": true, "enc": true, "zip": true,
}

// Critical says what is wrong with crit (RFC 7515, 4.1.11). Refused is what makes the signature invalid: a name that
// nobody here understands, or no list of names. Misused is what a producer must not write.
func (s *Signature) Critical(understood map[string]bool) (refused, misused []string) {
	crit := s.Protected.Member("crit")
	switch {
	case crit == nil:
		return nil, nil
	case !crit.Is(Array):
		return []string{"crit is no array (RFC 7515, 4.1.11)"}, nil
	case len(crit.Items()) == 0:
		misused = append(misused, "crit is empty (RFC 7515, 4.1.11)")
	}
	seen := map[string]bool{}
	for _, item := range crit.Items() {
		name := string(item.Text())
		switch {
		case !item.Is(String), !understood[name] && !neverCritical[name]:
			return []string{fmt.Sprintf("crit lists %q, which is not understood (RFC 7515, 4.1.11)", shown(name))}, misused
		case seen[name]:
			return []string{fmt.Sprintf("crit lists %q twice (RFC 7515, 4.1.11)", name)}, misused
		case neverCritical[name]:
			misused = append(misused, fmt.Sprintf("crit lists %q, which it must not (RFC 7515, 4.1.11)", name))
		case s.Protected.Member(name) == nil && s.Unprotected.Member(name) == nil:
			misused = append(misused, fmt.Sprintf("crit lists %q, which is not there (RFC 7515, 4.1.11)", name))
		}
		seen[name] = true
	}
	return nil, misused
}

// Lists tells whether crit lists the name.
func (s *Signature) Lists(name string) bool {
	for _, item := range s.Protected.Member("crit").Items() {
		if item.Is(String) && string(item.Text()) == name {
			return true
		}
	}
	return false
}
