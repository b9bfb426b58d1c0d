// Package jades reads JSON signatures: JAdES (ETSI TS 119 182-1) and plain JWS (RFC 7515) in every serialization,
// attached and detached. It gives facts, no verdicts: it knows no trust anchor and no clock. Everything is read from
// the one parse of internal/jws.
package jades

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"

	"trustcore/internal/budget"
	"trustcore/internal/jws"
	"trustcore/verify/algorithm"
	"trustcore/verify/signature"
)

// ErrNoSignature tells that the document is JSON, and no JWS.
var ErrNoSignature = jws.ErrNoSignature

const (
	maxSignatures = 256 // of one document, counter-signatures included
	maxNesting    = 8   // counter-signatures within each other
)

// Looks tells whether the first octets of a document, blanks before them left out, may be those of a JSON signature:
// an object, which no RTF document is, or a compact JWS.
func Looks(head []byte) bool {
	if rest, ok := bytes.CutPrefix(head, []byte("{")); ok {
		rest = bytes.TrimLeft(rest, " \t\r\n")
		return len(rest) == 0 || rest[0] == '"' || rest[0] == '}'
	}
	return jws.LooksCompact(head)
}

// Open reads the signatures of a document. What a detached signature covers is looked for among detached. An error
// means that the document cannot be read at all: it is no JSON, readers could differ about it, or it costs more than
// the budget; or a file was given that is not the payload that the document carries (ErrOtherData). Whatever is wrong
// with one signature stands in its facts.
func Open(b *budget.Budget, data []byte, detached []signature.Detached) (*signature.Document, error) {
	d, err := jws.Read(b, data)
	if err != nil {
		return nil, fmt.Errorf("jades: %w", err)
	}
	note, err := givenTwice(b, d, detached)
	if err != nil {
		return nil, err
	}
	r := &reader{budget: b, files: detached, ids: map[string]bool{}}
	for _, s := range d.Signatures {
		r.read(d, s, nil)
	}
	if note != "" {
		r.out.Notes = append(r.out.Notes, note)
	}
	if r.left > 0 {
		r.out.Unchecked = fmt.Sprintf("%d signatures beyond the limit of %d, or of %d within each other",
			r.left, maxSignatures, maxNesting)
	}
	return &r.out, nil
}

// reader is the state of one document.
type reader struct {
	budget *budget.Budget
	files  []signature.Detached
	out    signature.Document
	ids    map[string]bool
	left   int // signatures that were not read
}

// signed is one signature while its facts are gathered.
type signed struct {
	*reader
	facts    *signature.Signature
	jws      *jws.Signature
	parent   *signed // what this one countersigns
	depth    int
	payload  payload
	chain    [][]byte     // x5c
	names    []certDigest // of the signing certificate, as the protected header has them
	unsigned []item
	uniform  bool // the items of etsiU are all of one form
	crit     bool // crit is as it should be
	stamps   []stamped
	scheme   algorithm.Scheme
}

// read gathers the facts of one signature of a document, and those of its counter-signatures.
func (r *reader) read(d *jws.Document, j *jws.Signature, parent *signed) {
	facts := &signature.Signature{Format: signature.JWS, Value: sha256.Sum256(j.Value), SignatureValue: j.Value}
	s := &signed{reader: r, jws: j, parent: parent, facts: facts}
	if parent != nil {
		s.facts.CounterSignatureOf, s.depth = parent.facts.ID, parent.depth+1
	}
	s.identify()
	s.gather(d)
	if err := r.budget.Err(); err != nil { // what is missing then is nobody's fault
		s.facts = &signature.Signature{
			Format: facts.Format, ID: facts.ID, Value: facts.Value, CounterSignatureOf: facts.CounterSignatureOf,
			Unchecked: err.Error(),
		}
	}
	r.out.Signatures = append(r.out.Signatures, s.facts)
	s.counterSignatures()
}

func (s *signed) gather(d *jws.Document) {
	s.facts.Structure = append(s.facts.Structure, s.jws.Problems...)
	s.facts.Strays = append(append(s.facts.Strays, d.Strays...), s.jws.Strays...)
	if s.jws.Protected == nil {
		return
	}
	s.checkHeaders(d)
	s.readHeader()
	s.readUnsigned()
	s.checkPolicyStore()
	s.evidence()
	s.readPayload(d)
	s.findSigner()
	s.references()
	s.readTimestamps()
	s.facts.Level = s.level()
}

// What work here costs beside that of others, in units of internal/budget, or of octets for perDigest.
const (
	perEntry       = 6      // an entry of a list that is compared
	perDigest      = 150    // a digest, however short
	perCertificate = 60_000 // a certificate that is read
)

func (s *signed) structure(format string, args ...any) {
	s.facts.Structure = append(s.facts.Structure, fmt.Sprintf(format, args...))
}

func (s *signed) note(format string, args ...any) {
	s.facts.Notes = append(s.facts.Notes, fmt.Sprintf(format, args...))
}

// identify gives the signature an ID that no other has.
func (s *signed) identify() {
	sum := sha256.Sum256(s.facts.Value[:])
	s.facts.ID = s.unique("S-" + hex.EncodeToString(sum[:12]))
}

// unique adds a number to an ID that is taken.
func (r *reader) unique(id string) string {
	name := id
	for n := 2; r.ids[name]; n++ {
		name = fmt.Sprintf("%s (%d)", id, n)
	}
	r.ids[name] = true
	return name
}

// counterSignatures reads those that stand in etsiU; each signs the value of this signature (TS 119 182-1, 5.3.2).
func (s *signed) counterSignatures() {
	for _, it := range s.unsigned {
		if it.name != "cSig" {
			continue
		}
		if len(s.out.Signatures) >= maxSignatures || s.depth == maxNesting {
			s.left++
			continue
		}
		d, err := s.counterSignature(it.value)
		if err != nil {
			s.note("a counter-signature cannot be read: %v", err)
			continue
		}
		s.read(d, d.Signatures[0], s)
	}
}

func (s *signed) counterSignature(v *jws.Value) (*jws.Document, error) {
	read := jws.ReadValue
	if v.Is(jws.String) {
		read = func(b *budget.Budget, v *jws.Value) (*jws.Document, error) { return jws.Read(b, v.Text()) }
	}
	d, err := read(s.budget, v)
	if err == nil && len(d.Signatures) != 1 {
		err = errors.New("cSig holds one signature (TS 119 182-1, 5.3.2)")
	}
	return d, err
}
