// Package asic reads associated signature containers (ETSI EN 319 162) and signed OpenDocument packages
// into facts for the judgement: XAdES and CAdES signatures, manifests, and time assertions, which are time-stamps and
// evidence records. Packages of the Open Packaging Conventions are told from them here, and read by verify/opc.
package asic

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"strings"

	"trustcore/internal/asic"
	"trustcore/internal/budget"
	"trustcore/internal/xmldsig"
	"trustcore/verify/cades"
	"trustcore/verify/opc"
	"trustcore/verify/signature"
	"trustcore/verify/xades"
)

// maxSignatureFiles bounds the files with signatures, time-stamps or evidence records.
const maxSignatureFiles = 1024

// Open reads a container. The data objects are those inside; detached files beside a container mean nothing. A digest
// stands in for a data object that was kept back, where a manifest or an XML signature names it. A broken signature is
// a fact, not an error; the error says that the file is no container that can be read safely, or is that of the budget.
func Open(b *budget.Budget, data []byte, detached []signature.Detached) (*signature.Document, error) {
	container, err := asic.Open(b, data)
	if err != nil {
		return nil, err
	}
	if container.Kind == asic.OpenPackage {
		return opc.Read(b, container)
	}
	r := &reader{budget: b, container: container, ids: map[string]int{}, covered: map[*asic.Entry]bool{},
		used: map[*asic.Entry]bool{}, digests: map[digestKey][]byte{}, methods: map[*asic.Entry][]string{},
		files: map[*asic.Entry][]*signature.Signature{}, guessed: map[string]bool{}, objects: maxObjects,
		targets: map[*asic.Entry][]*manifest{}, sums: map[span][32]byte{}, abouts: map[*asic.Entry][]*asic.Entry{},
		sealed: map[*asic.Entry]*sealed{}, keptBack: keptBack(detached),
	}
	if err := r.limit(); err != nil {
		return nil, err
	}
	r.readManifests()
	r.checkData()
	for _, e := range container.WithRole(asic.XAdESSignatures) {
		r.xades(e)
	}
	for _, e := range container.WithRole(asic.CAdESSignature) {
		r.cades(e)
	}
	r.records(r.timestamps())
	r.coverage()
	r.out.Package = r.describePackage
	if err := b.Err(); err != nil {
		return nil, err
	}
	return &r.out, nil
}

// reader is the work on one container.
type reader struct {
	budget     *budget.Budget
	container  *asic.Container
	targets    map[*asic.Entry][]*manifest // manifests by the signature or time-stamp that they name
	files      map[*asic.Entry][]*signature.Signature
	ids        map[string]int
	covered    map[*asic.Entry]bool // data that some signature or time-stamp names
	used       map[*asic.Entry]bool // files of META-INF that turned out to be what their names say
	resolved   []*asic.Entry        // what was given to XML signatures and is kept
	guessed    map[string]bool      // names that stand for the one file of an ASiC-S container
	digests    map[digestKey][]byte
	methods    map[*asic.Entry][]string      // digest methods that manifests name
	objects    int                           // what is left of maxObjects
	sums       map[span][32]byte             // SHA-256 of evidence, which archive time-stamps name again
	abouts     map[*asic.Entry][]*asic.Entry // what time-stamps and signatures are about, as complete asks for it
	assertions map[*asic.Entry]*assertion
	sealed     map[*asic.Entry]*sealed        // evidence records
	keptBack   map[string]*signature.Detached // data objects of which digests were given, by name
	manifests  []*manifest                    // in the order of roles
	illFormed  []string                       // what keeps the signatures and time-stamps of the container from counting
	out        signature.Document
}

func (r *reader) limit() error {
	n := 0
	for _, role := range []asic.Role{asic.XAdESSignatures, asic.CAdESSignature, asic.TimestampToken, asic.EvidenceRecord} {
		n += len(r.container.WithRole(role))
	}
	if n > maxSignatureFiles {
		return fmt.Errorf("ASiC: %d signature files are more than %d", n, maxSignatureFiles)
	}
	return nil
}

// checkData demands data to be signed, and what makes an ASiC-S container: one data object in its root, and
// either a signature or a time-stamp or an evidence record (EN 319 162-1 4.3.3). A second object would travel under the
// signature without being signed.
func (r *reader) checkData() {
	data := r.container.Data()
	if len(data) == 0 && len(r.keptBack) == 0 {
		r.illFormed = append(r.illFormed, "the container holds no data object")
	}
	for _, f := range r.container.Faults {
		r.illFormed = append(r.illFormed, "container: "+f)
	}
	if r.container.Kind != asic.Simple {
		return
	}
	n := 0
	for _, e := range data {
		if !strings.Contains(e.Name, "/") {
			n++
		}
	}
	if n != 1 || len(data) != 1 {
		r.illFormed = append(r.illFormed,
			fmt.Sprintf("an ASiC-S container holds one data object in its root, this one %d of %d", n, len(data)))
	}
	others := 0
	for _, role := range []asic.Role{asic.XAdESSignatures, asic.CAdESSignature, asic.EvidenceRecord} {
		others += len(r.container.WithRole(role))
	}
	if others > 0 && r.container.Find("META-INF/timestamp.tst") != nil {
		r.illFormed = append(r.illFormed, "an ASiC-S container has either a signature or a time-stamp or an evidence record "+
			"of the data object, this one has a time-stamp and another (EN 319 162-1 4.3.3)")
	}
}

// xades reads a file of XML signatures; its references name entries of the container.
func (r *reader) xades(e *asic.Entry) {
	content, err := r.container.Read(e)
	if err != nil {
		r.broken(e, signature.XMLDSig, nil, err)
		return
	}
	parsed, err := xmldsig.Parse(content, xmldsig.Limits{Budget: r.budget})
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
		r.used[e] = true
		for _, s := range doc.Signatures {
			r.disown(s)
			r.wholeFiles(s)
		}
		r.add(e, doc.Signatures)
	}
}

// maxKept bounds what is kept of the files that XML signatures name, in octets: the next signature file names them
// again.
const maxKept = 24 << 20

// resolve gives the entry that a reference names. In an ASiC-S container that is the one data object, whatever
// the name: a signature about another one is to be seen (disown).
func (r *reader) resolve(uri string) ([]byte, error) {
	e := r.find(uri)
	if file := r.given(uri); e == nil && file != nil {
		return nil, xmldsig.DigestOnly(file.DigestBy)
	}
	if data := r.container.Data(); e == nil && r.container.Kind == asic.Simple && len(data) == 1 {
		r.guessed[uri] = true
		e = data[0]
	}
	if e == nil {
		return nil, xmldsig.ErrNotFound
	}
	kept := e.Size
	for _, other := range r.resolved {
		kept += other.Size
	}
	if kept > maxKept {
		for _, other := range r.resolved {
			r.container.Forget(other)
		}
		r.resolved = nil
	}
	r.resolved = append(r.resolved, e)
	return r.container.Read(e)
}

// disown takes back what resolve guessed where the data is what was signed: it has another name than the one that
// was signed, which may tell a reader something else.
func (r *reader) disown(s *signature.Signature) {
	for i := range s.References {
		if ref := &s.References[i]; r.guessed[ref.Name] && ref.Intact {
			ref.Found, ref.Intact, ref.Full, ref.Scope = false, false, false, ""
			s.Notes = append(s.Notes, fmt.Sprintf("the data object is what was signed as %q, under another name", ref.Name))
		}
	}
}

// cades reads a CMS file, which is detached. In ASiC-S it signs the one data object (EN 319 162-1 4.3.3.2),
// elsewhere the manifest that names it (4.4.4.2).
func (r *reader) cades(e *asic.Entry) {
	content, err := r.container.Read(e)
	if err != nil {
		r.broken(e, signature.CAdES, nil, err)
		return
	}
	var about *asic.Entry
	var problem string
	var m *manifest
	if data := r.container.Data(); r.container.Kind != asic.Simple {
		if m, problem = r.manifestOf(e); m != nil {
			about = m.entry
		}
	} else if len(data) == 1 { // else checkData complains
		about = data[0]
	}
	doc, err := r.openDetached(content, about)
	if err != nil {
		r.broken(e, signature.CAdES, content, err)
		return
	}
	r.used[e] = true
	for _, s := range doc.Signatures {
		if problem != "" {
			s.Structure = append(s.Structure, problem)
		}
		if m != nil && s.CounterSignatureOf == "" {
			r.describe(m, s)
		}
	}
	r.add(e, doc.Signatures)
}

func (r *reader) openDetached(content []byte, about *asic.Entry) (*signature.Document, error) {
	if about == nil {
		return cades.OpenDetached(r.budget, content, "", nil)
	}
	return cades.OpenDetached(r.budget, content, about.Name,
		func(w io.Writer) error { return r.container.CopyTo(w, about) })
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
		s.Container, s.Filename, s.NoManifest = r.kind(), e.Name, r.noManifest()
		s.Structure = append(s.Structure, r.illFormed...)
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

// noManifest tells whether an ASiC-E container has none, of whichever kind.
func (r *reader) noManifest() bool {
	if r.container.Kind != asic.Extended {
		return false
	}
	for _, role := range []asic.Role{asic.PackageManifest, asic.SignatureManifest, asic.ArchiveManifest,
		asic.RecordManifest} {
		if len(r.container.WithRole(role)) > 0 {
			return false
		}
	}
	return true
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
	r.used[e] = true
	value := sha256.Sum256(content)
	r.add(e, []*signature.Signature{{
		ID: "S-" + hex.EncodeToString(value[:12]), Format: format, Value: value, Structure: []string{problem.Error()},
	}})
}
