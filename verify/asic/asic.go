// Package asic reads associated signature containers (ETSI EN 319 162) and signed OpenDocument packages
// into facts for the judgement: XAdES and CAdES signatures, manifests, and time assertions.
package asic

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"strings"

	"trustcore/internal/asic"
	"trustcore/internal/budget"
	"trustcore/internal/xmldsig"
	"trustcore/verify/cades"
	"trustcore/verify/signature"
	"trustcore/verify/xades"
)

// Limits on the work for one container.
const (
	maxSignatureFiles = 1024 // files with signatures or time-stamps
	maxNoted          = 16   // unsigned files that are named
	// maxHashed bounds the bytes given out to be hashed: a hundred signatures on 20 MB fit.
	maxHashed = 2 << 30
)

// errHashed is the answer to whoever wants more.
var errHashed = fmt.Errorf("ASiC: more than %d bytes to hash", maxHashed)

// Open reads a container. The data objects are those inside; detached files beside a container mean
// nothing. A broken signature is a fact, not an error; the error says that the file is no container
// that can be read safely.
func Open(b *budget.Budget, data []byte, _ []signature.Detached) (*signature.Document, error) {
	container, err := asic.Open(data)
	if err != nil {
		return nil, err
	}
	r := &reader{budget: b,
		container: container, ids: map[string]int{}, covered: map[*asic.Entry]bool{}, hashed: maxHashed,
		digests: map[digestKey][]byte{}, files: map[*asic.Entry][]*signature.Signature{}, objects: maxObjects,
		targets: map[*asic.Entry][]*manifest{}, sums: map[span][32]byte{},
	}
	if err := r.limit(); err != nil {
		return nil, err
	}
	r.readManifests()
	r.checkSimple()
	for _, e := range container.WithRole(asic.XAdESSignatures) {
		r.xades(e)
	}
	for _, e := range container.WithRole(asic.CAdESSignature) {
		r.cades(e)
	}
	r.timestamps()
	r.noteUnsigned()
	return &r.out, nil
}

// reader is the work on one container.
type reader struct {
	budget    *budget.Budget
	container *asic.Container
	targets   map[*asic.Entry][]*manifest // manifests by the signature or time-stamp that they name
	files     map[*asic.Entry][]*signature.Signature
	ids       map[string]int
	covered   map[*asic.Entry]bool // data that some signature or time-stamp names
	digests   map[digestKey][]byte
	hashed    int64             // what is left of maxHashed
	objects   int               // what is left of maxObjects
	sums      map[span][32]byte // SHA-256 of evidence, which archive time-stamps name again
	covers    int               // digests listed so far
	illFormed []string          // what keeps the signatures of the container from counting
	out       signature.Document
}

// read gives the content of an entry to be hashed.
func (r *reader) read(e *asic.Entry) ([]byte, error) {
	if r.hashed -= e.Size; r.hashed < 0 {
		return nil, errHashed
	}
	return r.container.Read(e)
}

func (r *reader) limit() error {
	n := 0
	for _, role := range []asic.Role{asic.XAdESSignatures, asic.CAdESSignature, asic.TimestampToken} {
		n += len(r.container.WithRole(role))
	}
	if n > maxSignatureFiles {
		return fmt.Errorf("ASiC: %d signature files are more than %d", n, maxSignatureFiles)
	}
	return nil
}

// checkSimple demands what makes an ASiC-S container: one data object in its root (EN 319 162-1 4.3.3.2).
// A second one would travel under the signature without being signed.
func (r *reader) checkSimple() {
	if r.container.Kind != asic.Simple {
		return
	}
	n := 0
	for _, e := range r.container.Data() {
		if !strings.Contains(e.Name, "/") {
			n++
		}
	}
	if n != 1 || len(r.container.Data()) != 1 {
		r.illFormed = append(r.illFormed, fmt.Sprintf("an ASiC-S container holds one data object in its root, this one %d of %d", n, len(r.container.Data())))
	}
}

// xades reads a file of XML signatures; its references name entries of the container.
func (r *reader) xades(e *asic.Entry) {
	content, err := r.container.Read(e)
	if err != nil {
		r.broken(e, signature.XMLDSig, nil, err)
		return
	}
	parsed, err := xmldsig.Parse(content, xmldsig.Limits{})
	if err != nil {
		r.broken(e, signature.XMLDSig, content, err)
		return
	}
	doc, err := xades.Read(r.budget, parsed, r.resolve)
	switch {
	case errors.Is(err, xades.ErrNoSignature):
	case err != nil:
		r.broken(e, signature.XMLDSig, content, err)
	default:
		r.add(e, doc.Signatures)
	}
}

// resolve gives the entry that a reference names.
func (r *reader) resolve(uri string) ([]byte, error) {
	e := r.find(uri)
	if e == nil {
		return nil, xmldsig.ErrNotFound
	}
	r.covered[e] = true
	return r.read(e)
}

// cades reads a CMS file. It signs the manifest that names it, else a data object.
func (r *reader) cades(e *asic.Entry) {
	content, err := r.container.Read(e)
	if err != nil {
		r.broken(e, signature.CAdES, nil, err)
		return
	}
	m := r.manifestOf(e)
	if r.container.Kind == asic.Simple {
		m = nil // there the signature is about the one file (EN 319 162-1 4.3.3.2)
	}
	doc, err := cades.Open(r.budget, content, r.signedBy(m))
	if err != nil {
		r.broken(e, signature.CAdES, content, err)
		return
	}
	for _, s := range doc.Signatures {
		if m != nil && s.CounterSignatureOf == "" {
			m.describe(s)
			s.References = append(s.References, m.references(r)...)
		}
	}
	r.add(e, doc.Signatures)
}

// signedBy are the candidates for what a CMS signs: its manifest, or the data objects of the container,
// of which ASiC-S has one.
func (r *reader) signedBy(m *manifest) []signature.Detached {
	if m != nil {
		return []signature.Detached{{Name: m.entry.Name, Content: m.content}}
	}
	var list []signature.Detached
	for _, e := range r.container.Data() {
		if content, err := r.read(e); err == nil {
			r.covered[e] = true
			list = append(list, signature.Detached{Name: e.Name, Content: content})
		}
	}
	return list
}

// add puts signatures of one file into the document and adds what the container knows of them.
func (r *reader) add(e *asic.Entry, list []*signature.Signature) {
	renamed := map[string]string{}
	for _, s := range list {
		id := r.unique(s.ID)
		renamed[s.ID], s.ID = id, id
		if parent, ok := renamed[s.CounterSignatureOf]; ok {
			s.CounterSignatureOf = parent
		}
		s.Container, s.Filename = r.kind(), e.Name
		s.Structure = append(s.Structure, r.illFormed...)
		for _, f := range r.container.Faults {
			s.Structure = append(s.Structure, "container: "+f)
		}
		for _, n := range r.container.Remarks {
			s.Notes = append(s.Notes, "container: "+n)
		}
	}
	r.files[e] = list
	r.out.Signatures = append(r.out.Signatures, list...)
}

func (r *reader) kind() signature.Container {
	if r.container.Kind == asic.Simple {
		return signature.ASiCS
	}
	return signature.ASiCE
}

// unique numbers identifiers that occur in several signature files.
func (r *reader) unique(id string) string {
	r.ids[id]++
	if n := r.ids[id]; n > 1 {
		return fmt.Sprintf("%s-%d", id, n)
	}
	return id
}

// broken reports a signature file that cannot be read.
func (r *reader) broken(e *asic.Entry, format signature.Format, content []byte, problem error) {
	value := sha256.Sum256(content)
	r.add(e, []*signature.Signature{{
		ID: "S-" + hex.EncodeToString(value[:12]), Format: format, Value: value, Structure: []string{problem.Error()},
	}})
}

// noteUnsigned tells which files nobody signed: whoever opens the container sees them all the same.
func (r *reader) noteUnsigned() {
	var notes []string
	for _, e := range r.container.Data() {
		if !r.covered[e] && len(notes) < maxNoted {
			notes = append(notes, fmt.Sprintf("the file %q of the container is not signed", e.Name))
		}
	}
	for _, s := range r.out.Signatures {
		s.Notes = append(s.Notes, notes...)
	}
}
