package asic

import (
	"bytes"
	"errors"
	"fmt"
	"net/url"
	"strings"

	"trustcore/internal/asic"
	"trustcore/internal/xmldsig"
	"trustcore/verify/algorithm"
	"trustcore/verify/signature"
)

// manifest is an ASiCManifest or ASiCArchiveManifest (EN 319 162-1 A.4): it names a signature or a
// time-stamp, and the files that this is about by their digests.
type manifest struct {
	entry   *asic.Entry
	content []byte
	target  string // URI of the signature or time-stamp
	objects []object
	problem error // why the objects could not all be read
}

// object is one DataObjectReference.
type object struct {
	uri, method string
	digest      []byte

	entry         *asic.Entry
	found, intact bool
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

func (r *reader) readManifests() {
	for _, role := range []asic.Role{asic.SignatureManifest, asic.ArchiveManifest} {
		for _, e := range r.container.WithRole(role) {
			content, err := r.container.Read(e)
			if err != nil {
				continue // the signature that it belongs to will not find it
			}
			m := r.readManifest(e, content)
			if target := r.find(m.target); target != nil {
				r.targets[target] = append(r.targets[target], m)
			}
		}
	}
}

func (r *reader) readManifest(e *asic.Entry, content []byte) *manifest {
	m := &manifest{entry: e, content: content}
	doc, err := xmldsig.Parse(content, xmldsig.Limits{Budget: r.budget})
	if err != nil {
		m.problem = err
		return m
	}
	root := doc.Root()
	for _, space := range namespaces {
		if target := root.Child(space, "SigReference"); !target.IsZero() {
			m.target, _ = target.Attr("", "URI")
		}
		for n := range root.Descendants(space, "DataObjectReference") { // some producers put them into SigReference
			if r.objects--; r.objects < 0 {
				m.problem = fmt.Errorf("the manifests name more than %d files", maxObjects)
				return m
			}
			m.objects = append(m.objects, r.readObject(n, e))
		}
	}
	return m
}

func (r *reader) readObject(n xmldsig.Node, self *asic.Entry) object {
	var o object
	o.uri, _ = n.Attr("", "URI")
	o.method, _ = n.Child(xmldsig.NamespaceDSig, "DigestMethod").Attr("", "Algorithm")
	if value := n.Child(xmldsig.NamespaceDSig, "DigestValue"); !value.IsZero() {
		o.digest, _ = value.Bytes() // what is no base64 matches nothing
	}
	o.entry = r.find(o.uri)
	if o.entry == nil || o.entry == self {
		return o
	}
	sum, err := r.digest(o.entry, o.method)
	o.found, o.intact = err == nil, len(sum) > 0 && bytes.Equal(sum, o.digest)
	return o
}

// digest hashes an entry once for each method.
func (r *reader) digest(e *asic.Entry, method string) ([]byte, error) {
	key := digestKey{e, method}
	if sum, ok := r.digests[key]; ok {
		return sum, nil
	}
	h, err := algorithm.HashByURI(method)
	if err != nil {
		return nil, nil // the entry is there; a digest by an unknown method matches nothing
	}
	content, err := r.read(e)
	if err != nil {
		return nil, err
	}
	sum := h.Sum(content)
	r.digests[key] = sum
	return sum, nil
}

// manifestOf finds the manifest that names an entry. Two that do are one too many: then none counts.
func (r *reader) manifestOf(e *asic.Entry) *manifest {
	if list := r.targets[e]; len(list) == 1 {
		return list[0]
	}
	return nil
}

// find resolves a URI to an entry: relative to the root of the container, as written or with its
// percent-encoding undone.
func (r *reader) find(uri string) *asic.Entry {
	for _, name := range spellings(uri) {
		if e := r.container.Find(name); e != nil {
			return e
		}
	}
	return nil
}

func spellings(uri string) []string {
	name := strings.TrimPrefix(strings.TrimPrefix(uri, "./"), "/")
	if name == "" || strings.HasPrefix(uri, "#") {
		return nil
	}
	list := []string{name}
	if decoded, err := url.PathUnescape(name); err == nil && decoded != name {
		list = append(list, decoded)
	}
	if decoded, err := url.QueryUnescape(name); err == nil && strings.Contains(name, "+") {
		list = append(list, decoded)
	}
	return list
}

// describe makes the message digest of a CMS the statement about the manifest that it is.
func (m *manifest) describe(s *signature.Signature) {
	for i := range s.References {
		s.References[i].Scope = "the manifest " + m.entry.Name
	}
	if m.problem != nil {
		s.Structure = append(s.Structure, fmt.Sprintf("%s: %v", m.entry.Name, m.problem))
	}
	if len(m.objects) == 0 {
		s.Structure = append(s.Structure, errNoObjects.Error())
	}
}

var errNoObjects = errors.New("the manifest names no file")

// references are the files that the manifest names.
func (m *manifest) references(r *reader) []signature.Reference {
	var list []signature.Reference
	for _, o := range m.objects {
		ref := signature.Reference{Name: o.uri, Type: "manifest-entry", Found: o.found, Intact: o.intact, Full: o.found}
		if o.found {
			ref.Scope = "the whole file " + o.entry.Name
			r.covered[o.entry] = true
		}
		list = append(list, ref)
	}
	return list
}
