// Package xades reads XML signatures: XAdES (ETSI TS 101 903, EN 319 132) in its namespaces 1.1.1 to 1.4.1, and
// plain XMLDSig; enveloped, enveloping and detached. It gives facts, no verdicts: it knows no trust anchor and
// no clock. Everything is read from the one parse of internal/xmldsig.
package xades

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"slices"
	"time"

	"trustcore/internal/budget"
	"trustcore/internal/xmldsig"
	"trustcore/verify/algorithm"
	"trustcore/verify/certificate"
	"trustcore/verify/signature"
)

const maxSignatures = 256 // of one document; the most seen in public samples is 13

// ErrNoSignature tells that the document is XML, and holds no signature.
var ErrNoSignature = errors.New("the document holds no XML signature")

// Open reads the signatures of an XML document. References that leave it are looked for among detached: by
// name, by base name, or the only file where there is but one and one is named. An error means that the document cannot be
// read at all, perhaps since it costs more than the budget; whatever is wrong with a signature stands in its facts.
func Open(b *budget.Budget, data []byte, detached []signature.Detached) (*signature.Document, error) {
	d, err := xmldsig.Parse(data, xmldsig.Limits{Budget: b})
	if err != nil {
		return nil, fmt.Errorf("xades: %w", err)
	}
	about := len(detached) == 0
	doc, err := Read(b, d, noting(lenient(detached, namesOne(d)), &about))
	if err != nil {
		return nil, err
	}
	if doc.Root = rootOf(d.Root()); !about && len(doc.Signatures) > 0 {
		doc.Notes = append(doc.Notes, signature.NotAbout)
	}
	return doc, nil
}

// maxRootChildren is how many elements of a root are looked at: receipts hold one, and signatures.
const maxRootChildren = 16

// rootOf tells what the document is by its root, and by the one element of its namespace in it.
func rootOf(n xmldsig.Node) signature.Root {
	root := signature.Root{Space: n.Space(), Local: n.Local()}
	seen := 0
	for child := range n.Elements() {
		if seen++; seen > maxRootChildren || child.Space() == root.Space && root.Child != "" {
			root.Child = ""
			break
		}
		if child.Space() == root.Space {
			root.Child = child.Local()
		}
	}
	return root
}

// Read reads the signatures of a parsed document; resolve gives what is outside of it, or is nil. The document
// should have been parsed within the same budget. Signatures that it does not suffice for are Unchecked.
func Read(b *budget.Budget, d *xmldsig.Document, resolve xmldsig.Resolver) (*signature.Document, error) {
	return read(b, d, resolve, false)
}

// ReadPackage is Read for a signature part of a package of the Open Packaging Conventions: the manifest in an object that
// a signature signs is followed, whatever the reference says of its type (ECMA-376 part 2, 13.2.4.16), and SignatureTime
// beside it is the time of signing where XAdES tells none (13.2.4.19).
func ReadPackage(b *budget.Budget, d *xmldsig.Document, resolve xmldsig.Resolver) (*signature.Document, error) {
	return read(b, d, resolve, true)
}

func read(b *budget.Budget, d *xmldsig.Document, resolve xmldsig.Resolver, packaged bool) (*signature.Document, error) {
	var elements []xmldsig.Node
	for e := range d.Root().Descendants(xmldsig.NamespaceDSig, "Signature") {
		if elements = append(elements, e); len(elements) > maxSignatures {
			return nil, fmt.Errorf("xades: so many signatures in one document: %w of %d", xmldsig.ErrTooLarge, maxSignatures)
		}
	}
	if len(elements) == 0 {
		return nil, fmt.Errorf("xades: %w", ErrNoSignature)
	}
	r := &reader{
		budget: b, doc: d, resolve: resolve, packaged: packaged, elements: elements, ids: map[string]bool{},
		digests: map[string]checked{}, parts: map[partDigest][]byte{}, bares: map[xmldsig.Node]bool{},
		alones: map[xmldsig.Node]bool{}, certificates: map[extent]*certificate.Certificate{},
	}
	out := &signature.Document{}
	byElement := map[xmldsig.Node]*signed{}
	for _, e := range elements {
		s := r.read(e, byElement)
		byElement[e] = s
		out.Signatures = append(out.Signatures, s.facts)
	}
	return out, nil
}

// reader is the state of one document.
type reader struct {
	budget   *budget.Budget
	doc      *xmldsig.Document
	resolve  xmldsig.Resolver
	packaged bool // it is a part of a package
	elements []xmldsig.Node
	ids      map[string]bool       // of signatures, evidence records and their time-stamps
	digests  map[string]checked    // references that were checked, by what makes their digest
	parts    map[partDigest][]byte // what evidence records are about
	bares    map[xmldsig.Node]bool // signatures without data of their own
	alones   map[xmldsig.Node]bool // signatures that the document holds nothing beside
	// certificates that the document carries, by where they lie in memory; nil for what is none.
	certificates map[extent]*certificate.Certificate
}

// extent is where octets lie that nobody changes.
type extent struct {
	first  *byte
	length int
}

// extentOf returns the extent of octets; all that are none are the same.
func extentOf(octets []byte) extent {
	if len(octets) == 0 {
		return extent{}
	}
	return extent{&octets[0], len(octets)}
}

// signed is one signature while its facts are gathered.
type signed struct {
	*reader
	facts  *signature.Signature
	xml    *xmldsig.Signature
	parent *signed // what this one countersigns
	props  properties
	covers []xmldsig.Outcome // by reference, zero where not found
	// checked are the references that the facts tell of, the entries of manifests among them.
	checked  []checked
	scheme   algorithm.Scheme
	notAfter time.Time            // of the signer's certificate
	bareKey  *algorithm.PublicKey // that verifies the value where no certificate does
	stamps   []stamped
	valuesOf map[xmldsig.Node]signature.Values // by unsigned property
}

// read gathers the facts of one ds:Signature.
func (r *reader) read(e xmldsig.Node, known map[xmldsig.Node]*signed) *signed {
	s := &signed{reader: r, valuesOf: map[xmldsig.Node]signature.Values{}, facts: &signature.Signature{Format: signature.XMLDSig, ID: e.ID()}}
	s.gather(e, known)
	if err := r.budget.Err(); err != nil { // what is missing then is nobody's fault
		s.facts = &signature.Signature{
			Format: s.facts.Format, ID: s.facts.ID, Value: s.facts.Value, CounterSignatureOf: s.facts.CounterSignatureOf, Unchecked: err.Error(),
		}
	}
	s.identify()
	return s
}

func (s *signed) gather(e xmldsig.Node, known map[xmldsig.Node]*signed) {
	if s.parent = countersigned(e, known); s.parent != nil {
		s.facts.CounterSignatureOf = s.parent.facts.ID
	}
	if s.budget.Work(int64(perNode*e.Size())) != nil {
		return
	}
	x, err := xmldsig.ReadSignature(e)
	switch {
	case errors.Is(err, xmldsig.ErrUnsupported), errors.Is(err, budget.ErrExceeded):
		s.facts.Unchecked = err.Error()
		return
	case err != nil:
		s.structure("%v", err)
		return
	}
	s.xml = x
	s.facts.Value, s.facts.SignatureValue = s.digestOfValue(), x.Value
	s.checkReferences()
	s.readProperties()
	s.readSignatureTime()
	if s.budget.Work(int64(perProperty*s.props.unsigned.Children())) != nil {
		return
	}
	s.findStrays()
	s.scopes()
	s.evidence()
	s.findSigner()
	s.checkCounterSignature()
	s.readTimestamps()
	s.facts.Level = s.level()
}

// digestOfValue is what proofs of existence know the signature by. A value that is no base64 goes by its text, lest all
// such signatures be one.
func (s *signed) digestOfValue() [32]byte {
	if s.xml.Value == nil {
		s.note("ds:SignatureValue is no base64")
		return sha256.Sum256([]byte(s.xml.ValueNode.Text()))
	}
	return sha256.Sum256(s.xml.Value)
}

// What work here costs beside that of others, in units of internal/budget, or of octets for perDigest.
const (
	perNode        = 20     // a node of a signature or property that is looked through
	perReference   = 10_000 // a reference, with what is told of it
	perProperty    = 500    // an unsigned property: which of them are there is asked for some thirty times
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

func (s *signed) constraint(format string, args ...any) {
	s.facts.Constraints = append(s.facts.Constraints, fmt.Sprintf(format, args...))
}

// identify gives the signature an ID that no other has.
func (s *signed) identify() {
	id := s.facts.ID
	if id == "" {
		sum := sha256.Sum256(s.facts.Value[:])
		id = "S-" + hex.EncodeToString(sum[:12])
	}
	s.facts.ID = s.unique(id)
}

// unique numbers the second and later ones of an ID.
func (r *reader) unique(id string) string {
	unique := id
	for n := 2; r.ids[unique]; n++ {
		unique = fmt.Sprintf("%s (%d)", id, n)
	}
	r.ids[unique] = true
	return unique
}

// countersigned returns the signature in whose CounterSignature property e stands.
func countersigned(e xmldsig.Node, known map[xmldsig.Node]*signed) *signed {
	property := e.Parent()
	if property.Local() != "CounterSignature" || !isXAdES(property.Space()) {
		return nil
	}
	for up := property.Parent(); !up.IsZero(); up = up.Parent() {
		if up.Is(xmldsig.NamespaceDSig, "Signature") {
			return known[up]
		}
	}
	return nil
}

// checkCounterSignature demands that a counter-signature signs the value it stands under (EN 319 132-1, 5.2.7.2).
func (s *signed) checkCounterSignature() {
	if s.parent == nil {
		return
	}
	if s.parent.xml == nil {
		return
	}
	for i := range s.covers {
		if s.covers[i].Nodes.Covers(s.parent.xml.ValueNode) {
			return
		}
	}
	if !slices.ContainsFunc(s.xml.References, func(r *xmldsig.Reference) bool { return r.Type == typeCountersigned }) {
		s.structure("the counter-signature does not sign the value of the signature that it stands in")
	}
}
