package asic

import (
	"bytes"
	"cmp"
	"fmt"
	"hash"
	"io"
	"path"
	"slices"

	"trustcore/internal/asic"
	"trustcore/internal/xmldsig"
	"trustcore/verify/algorithm"
	"trustcore/verify/cades/signerinfo"
	"trustcore/verify/signature"
)

// manifest is an ASiCManifest, ASiCArchiveManifest or ASiCEvidenceRecordManifest (EN 319 162-1 A.4): it names a
// signature, a time-stamp or an evidence record, and the files that this is about by their digests.
type manifest struct {
	entry    *asic.Entry
	content  []byte
	target   *asic.Entry // the signature, time-stamp or evidence record
	objects  []object
	problems []string // what makes it ill-formed
}

// object is one DataObjectReference.
type object struct {
	uri, method string
	digest      []byte
	entry       *asic.Entry // nil where there is none

	found, intact bool
	unchecked     string // why the digest could not be computed
}

// maxObjects bounds the references of all manifests of a container.
const maxObjects = 50_000

// digestKey names a digest that was computed before: archive manifests name the same files again.
type digestKey struct {
	entry  *asic.Entry
	method string
}

// The namespaces of manifests, of EN 319 162-1 and of TS 102 918.
var namespaces = []string{"http://uri.etsi.org/02918/v1.2.1#", "http://uri.etsi.org/02918/v1.1.1#"}

// readManifests reads all of them before it digests what they name: each file is read once for all methods.
func (r *reader) readManifests() {
	var list []*manifest
	for _, role := range []asic.Role{asic.SignatureManifest, asic.ArchiveManifest, asic.RecordManifest} {
		for _, e := range r.container.WithRole(role) {
			content, err := r.container.Read(e)
			if err != nil {
				continue // the signature that it belongs to will not find it
			}
			m := &manifest{entry: e, content: content}
			r.readManifest(m)
			list = append(list, m)
			if m.target != nil {
				r.targets[m.target] = append(r.targets[m.target], m)
			}
		}
	}
	r.manifests = list
	for _, m := range list {
		for i := range m.objects {
			r.compare(&m.objects[i])
		}
	}
}

func (m *manifest) illFormed(format string, args ...any) {
	m.problems = append(m.problems, m.entry.Name+": "+fmt.Sprintf(format, args...))
}

func (r *reader) readManifest(m *manifest) {
	doc, err := xmldsig.Parse(m.content, xmldsig.Limits{Budget: r.budget})
	if err != nil {
		m.illFormed("%v", err)
		return
	}
	root := doc.Root()
	for _, space := range namespaces {
		if root.Is(space, "ASiCManifest") {
			r.readReferences(m, root, space)
			return
		}
	}
	m.illFormed("no ASiCManifest")
}

func (r *reader) readReferences(m *manifest, root xmldsig.Node, space string) {
	targets := 0
	for n := range root.Descendants(space, "SigReference") {
		targets++
		uri, _ := n.Attr("", "URI")
		if target := r.findTarget(uri, m.entry); target != nil {
			m.target = target
		}
	}
	if targets != 1 {
		m.illFormed("%d references to a signature", targets)
	}
	named, roots := map[*asic.Entry]bool{}, 0
	for n := range root.Descendants(space, "DataObjectReference") { // some producers put them into SigReference
		if r.objects--; r.objects < 0 {
			m.illFormed("the manifests name more than %d files", maxObjects)
			return
		}
		if r.budget.Nodes(1) != nil || r.budget.Hold(heldAnObject) != nil {
			return
		}
		o := r.readObject(m, n)
		if o.entry != nil && named[o.entry] {
			m.illFormed("%q is named twice", o.uri)
		}
		named[o.entry] = true
		if is, _ := n.Attr("", "Rootfile"); is == "true" || is == "1" {
			roots++
		}
		m.objects = append(m.objects, o)
	}
	if len(m.objects) == 0 {
		m.illFormed("it names no file")
	}
	if roots > 1 {
		m.illFormed("%d root files", roots)
	}
}

// heldAnObject is an object of a manifest in memory, its strings included.
const heldAnObject = 256

func (r *reader) readObject(m *manifest, n xmldsig.Node) object {
	var o object
	o.uri, _ = n.Attr("", "URI")
	o.method, _ = n.Child(xmldsig.NamespaceDSig, "DigestMethod").Attr("", "Algorithm")
	value, err := n.Child(xmldsig.NamespaceDSig, "DigestValue"), error(nil)
	if !value.IsZero() {
		o.digest, err = value.Bytes()
	}
	if err != nil || len(o.digest) == 0 {
		m.illFormed("no digest of %q", o.uri)
	}
	o.entry = r.find(o.uri)
	if o.entry != nil && (o.entry == m.entry || o.entry == m.target) {
		m.illFormed("it names itself or what signs it")
		o.entry = nil
	}
	if o.entry != nil && !slices.Contains(r.methods[o.entry], o.method) {
		r.methods[o.entry] = append(r.methods[o.entry], o.method)
	}
	return o
}

// compare digests the file that an object names.
func (r *reader) compare(o *object) {
	if o.entry == nil {
		return
	}
	o.found = true
	sum, err := r.digest(o.entry, o.method)
	if err != nil {
		o.unchecked = err.Error()
		return
	}
	o.intact = len(sum) > 0 && bytes.Equal(sum, o.digest)
}

// digest is that of an entry by a method that is in methods; all of them are computed at once.
func (r *reader) digest(e *asic.Entry, method string) ([]byte, error) {
	if sum, ok := r.digests[digestKey{e, method}]; ok {
		return sum, nil
	}
	if _, err := algorithm.HashByURI(method); err != nil {
		return nil, err
	}
	states := map[string]hash.Hash{}
	var writers []io.Writer
	for _, m := range r.methods[e] {
		if h, err := algorithm.HashByURI(m); err == nil {
			states[m] = h.New()
			writers = append(writers, signerinfo.Spending(r.budget, states[m]))
		}
	}
	if err := r.container.CopyTo(io.MultiWriter(writers...), e); err != nil {
		return nil, err
	}
	for m, state := range states {
		r.digests[digestKey{e, m}] = state.Sum(nil)
	}
	return r.digests[digestKey{e, method}], nil
}

// manifestOf finds the manifest that names a signature, or says why there is none. Of two that do nobody knows
// which one a reader goes by.
func (r *reader) manifestOf(e *asic.Entry) (*manifest, string) {
	switch list := r.targets[e]; len(list) {
	case 0:
		return nil, "no manifest of the container names this signature (EN 319 162-1 4.4.4.2)"
	case 1:
		return list[0], ""
	default:
		return nil, fmt.Sprintf("%d manifests name this signature", len(list))
	}
}

// findTarget finds what a manifest is for, a signature or time-stamp or else an evidence record: from the root of the
// container, else, as some producers write, from the folder of the manifest.
func (r *reader) findTarget(uri string, manifest *asic.Entry) *asic.Entry {
	for _, e := range []*asic.Entry{r.find(uri), r.find(path.Dir(manifest.Name) + "/" + uri)} {
		if e == nil {
			continue
		}
		switch e.Role() {
		case asic.CAdESSignature, asic.TimestampToken:
			if manifest.Role() != asic.RecordManifest {
				return e
			}
		case asic.EvidenceRecord:
			if manifest.Role() == asic.RecordManifest {
				return e
			}
		}
	}
	return nil
}

// find resolves a URI to an entry: relative to the root of the container, as written or with its
// percent-encoding undone. It finds nothing where these are two entries, since readers differ.
func (r *reader) find(uri string) *asic.Entry {
	var found *asic.Entry
	for _, name := range signature.Spellings(uri) {
		e := r.container.Find(name)
		if e != nil && found != nil && e != found {
			return nil
		}
		found = cmp.Or(found, e)
	}
	return found
}

// describe makes the message digest of a CMS the statement about the manifest that it is, and adds the files that
// the manifest names.
func (r *reader) describe(m *manifest, s *signature.Signature) {
	r.used[m.entry] = true
	for i := range s.References {
		s.References[i].Scope = "the manifest " + m.entry.Name
	}
	s.Structure = append(s.Structure, m.problems...)
	if r.budget.Hold(heldAReference*len(m.objects)) != nil {
		return
	}
	for _, o := range m.objects {
		s.References = append(s.References, r.reference(o))
	}
	s.Algorithms = append(s.Algorithms, m.algorithms()...)
}

// algorithms are the digest algorithms by which the manifest names its files, each once: what is signed is the manifest,
// and a file is what it was no longer than its digest is worth.
func (m *manifest) algorithms() []signature.AlgorithmUse {
	var uses []signature.AlgorithmUse
	for _, o := range m.objects {
		h, err := algorithm.HashByURI(o.method)
		if err != nil {
			continue // nobody could compare it: its reference says so
		}
		if use := (signature.AlgorithmUse{Purpose: "reference", Algorithm: h.Name()}); !slices.Contains(uses, use) {
			uses = append(uses, use)
		}
	}
	return uses
}

// reference is an object of a manifest as what signs or time-stamps the manifest covers it.
func (r *reader) reference(o object) signature.Reference {
	ref := signature.Reference{Name: o.uri, Type: "manifest-entry", Found: o.found, Intact: o.intact,
		Unchecked: o.unchecked,
		Full:      o.found, Digest: signature.Digest{Algorithm: digestName(o.method), Value: o.digest}}
	if o.found {
		ref.Scope = "the whole file " + o.entry.Name
	} else if file := r.given(o.uri); file != nil {
		o.compareGiven(&ref, file)
	}
	return ref
}

// digestName is the registry's name of a digest method, the method itself where that has none.
func digestName(method string) string {
	if h, err := algorithm.HashByURI(method); err == nil {
		return h.Name()
	}
	return method
}

// heldAReference is a reference of a signature in memory.
const heldAReference = 256
