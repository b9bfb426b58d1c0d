package xmldsig

import (
	"bytes"
	"context"
	"crypto/subtle"
	"errors"
	"fmt"
	"hash"
	"io"
	"net/url"
	"strings"

	"trustcore/internal/budget"
)

// ErrNotFound tells that what a reference names could not be had.
var ErrNotFound = errors.New("the referenced data are not there")

// Resolver gives the octets of a reference that leaves the document; name is its URI as written, "" for a
// reference without a URI. It returns an error that wraps ErrNotFound where it has none, and one that wraps DigestOnly
// where it has nothing but their digests.
type Resolver func(name string) ([]byte, error)

// DigestOnly is the error of a Resolver that knows digests in place of the octets: it returns the one by a DigestMethod,
// nil where it has none.
type DigestOnly func(method string) []byte

// Error says that the octets are missing.
func (DigestOnly) Error() string { return "only digests of the data are at hand" }

// Reference is a ds:Reference (XML Signature 1.1, 4.4.3).
type Reference struct {
	Element      Node
	ID           string
	URI          string
	HasURI       bool
	Type         string
	Transforms   []Transform
	DigestMethod string
	DigestValue  []byte // nil where ds:DigestValue is no base64: no digest matches it

	signature Node
}

// Outcome tells what a reference covers and whether its digest matches.
type Outcome struct {
	Found  bool // the data were there
	Intact bool
	Digest []byte // computed

	External bool    // the data come from outside the document
	Target   Node    // in the document: the element that the URI names, or the document element
	Nodes    NodeSet // in the document: exactly the nodes that were digested, as XML; else empty
	Octets   []byte  // outside the document: the octets before the transforms
	Blank    bool    // no octet was digested but white space
	Verbatim bool    // outside the document: what was digested are its octets, every one and no other

	DigestOnly bool // outside the document: the digest was given, and nobody saw the octets
}

// ReadReference reads a ds:Reference.
func ReadReference(e Node) (*Reference, error) {
	r := &Reference{Element: e, ID: e.ID()}
	r.URI, r.HasURI = e.Attr("", "URI")
	r.Type, _ = e.Attr("", "Type")
	method := e.Child(NamespaceDSig, "DigestMethod")
	r.DigestMethod, _ = method.Attr("", "Algorithm")
	value := e.Child(NamespaceDSig, "DigestValue")
	if method.IsZero() || value.IsZero() {
		return nil, errors.New("ds:Reference without a digest method or value")
	}
	var err error
	if r.DigestValue, err = value.Bytes(); errors.Is(err, budget.ErrExceeded) {
		return nil, fmt.Errorf("ds:DigestValue: %w", err)
	}
	r.Transforms, err = ReadTransforms(e.Child(NamespaceDSig, "Transforms"))
	return r, err
}

// ReadManifest reads the references of a ds:Manifest that signature covers.
func ReadManifest(m, signature Node) ([]*Reference, error) {
	elements := m.All(NamespaceDSig, "Reference")
	if len(elements) > m.documentLimits().References {
		return nil, fmt.Errorf("ds:Manifest of %d references: %w", len(elements), ErrTooLarge)
	}
	all := make([]*Reference, 0, len(elements))
	for _, e := range elements {
		r, err := ReadReference(e)
		if err != nil {
			return nil, fmt.Errorf("ds:Manifest: %w", err)
		}
		r.signature = signature
		all = append(all, r)
	}
	return all, nil
}

// ReadTransforms reads a ds:Transforms; the zero Node has none.
func ReadTransforms(e Node) ([]Transform, error) {
	var all []Transform
	for t := range e.Elements() {
		if !t.Is(NamespaceDSig, "Transform") {
			return nil, fmt.Errorf("ds:Transforms: unexpected %v", t)
		}
		algorithm, _ := t.Attr("", "Algorithm")
		all = append(all, Transform{algorithm, t})
	}
	if e.d != nil && len(all) > e.d.limits.Transforms {
		return nil, fmt.Errorf("%d transforms: %w of %d", len(all), ErrTooLarge, e.d.limits.Transforms)
	}
	return all, nil
}

// SameDocument tells whether the reference stays in its document.
func (r *Reference) SameDocument() bool { return r.HasURI && (r.URI == "" || r.URI[0] == '#') }

// Check finds the data, transforms and digests them. The error says why there is no answer: data not found
// (ErrNotFound, ErrNoElement), a feature that is refused (ErrUnsupported), or malformed data. A digest that
// does not match is no error.
func (r *Reference) Check(resolve Resolver) (Outcome, error) {
	var out Outcome
	in, err := r.open(resolve, &out)
	var digests DigestOnly
	if errors.As(err, &digests) {
		return r.compare(digests)
	}
	if err != nil {
		return out, fmt.Errorf("reference %q: %w", r.URI, err)
	}
	out.Found = true
	h, err := HashByURI(r.DigestMethod)
	if err != nil {
		return out, fmt.Errorf("reference %q: %w", r.URI, err)
	}
	t := transformer{signature: r.signature, limits: r.Element.d.limits}
	defer t.release()
	w := &digester{Hash: h.New(), budget: t.limits.Budget, cost: hashCosts[h], rest: out.Octets, blank: true, verbatim: out.External}
	if out.Nodes, err = t.stream(w, in, r.Transforms); err != nil {
		return out, fmt.Errorf("reference %q: %w", r.URI, err)
	}
	if out.External {
		out.Nodes = NodeSet{}
	}
	out.Digest, out.Blank, out.Verbatim = w.Sum(nil), w.blank, w.verbatim && len(w.rest) == 0
	out.Intact = subtle.ConstantTimeCompare(out.Digest, r.DigestValue) == 1
	return out, nil
}

// compare is Check where only digests are known: they serve where the octets themselves were digested.
func (r *Reference) compare(digests DigestOnly) (Outcome, error) {
	out := Outcome{External: true, DigestOnly: true}
	h, err := HashByURI(r.DigestMethod)
	switch {
	case err != nil:
	case len(r.Transforms) > 0:
		err = fmt.Errorf("%w, and it has transforms: %w", digests, ErrNotFound)
	default:
		if out.Digest = digests(r.DigestMethod); len(out.Digest) != h.Size() {
			out.Digest, err = nil, fmt.Errorf("%w, and none by %s: %w", digests, r.DigestMethod, ErrNotFound)
		}
	}
	if err != nil {
		return out, fmt.Errorf("reference %q: %w", r.URI, err)
	}
	out.Found, out.Verbatim = true, true
	out.Intact = subtle.ConstantTimeCompare(out.Digest, r.DigestValue) == 1
	return out, nil
}

// digester hashes what a reference yields, spends for it, and notes what it is like.
type digester struct {
	hash.Hash
	budget   *budget.Budget
	cost     int64
	rest     []byte // of the octets outside the document, while they are those that are digested
	blank    bool
	verbatim bool
}

func (d *digester) Write(p []byte) (int, error) {
	if err := d.budget.Work(d.cost * int64(len(p))); err != nil {
		return 0, err
	}
	d.blank = d.blank && blank(p)
	if d.verbatim = d.verbatim && bytes.HasPrefix(d.rest, p); d.verbatim {
		d.rest = d.rest[len(p):]
	}
	return d.Hash.Write(p)
}

// WriteData writes what the reference yields after its transforms; a node-set is canonicalised with m, as
// time-stamps over references demand (ETSI EN 319 132-1, 5.2.8). It returns what was found, without a digest.
func (r *Reference) WriteData(w io.Writer, resolve Resolver, m Canonicalization) (Outcome, error) {
	var out Outcome
	in, err := r.open(resolve, &out)
	if err == nil {
		out.Found = true
		t := transformer{signature: r.signature, limits: r.Element.d.limits, last: m}
		defer t.release()
		out.Nodes, err = t.stream(w, in, r.Transforms)
	}
	if err != nil {
		return out, fmt.Errorf("reference %q: %w", r.URI, err)
	}
	if out.External {
		out.Nodes = NodeSet{}
	}
	return out, nil
}

// Process applies transforms and writes the octets; signature is the ds:Signature that the enveloped-signature
// transform takes out, or the zero Node.
func Process(w io.Writer, in Data, transforms []Transform, signature Node) error {
	t := transformer{signature: signature, limits: signature.documentLimits()}
	defer t.release()
	_, err := t.stream(w, in, transforms)
	return err
}

func (n Node) documentLimits() Limits {
	if n.d == nil {
		limits := DefaultLimits
		limits.Budget = budget.New(context.Background(), 0)
		return limits
	}
	return n.d.limits
}

// open finds the data of the reference.
func (r *Reference) open(resolve Resolver, out *Outcome) (Data, error) {
	if r.SameDocument() {
		s, target, err := r.Element.d.Select(r.URI)
		out.Target = target
		return SetData(s), err
	}
	out.External = true
	if resolve == nil {
		return Data{}, ErrNotFound
	}
	octets, err := resolve(r.URI)
	out.Octets = octets
	return OctetData(octets), err
}

// Select returns the node-set of a same-document reference (XML Signature 1.1, 4.4.3.3) and the element it
// names: "" and "#id" without comments, "#xpointer(/)" and "#xpointer(id('...'))" with them.
func (d *Document) Select(uri string) (NodeSet, Node, error) {
	fragment, ok := strings.CutPrefix(uri, "#")
	switch {
	case uri == "":
		return d.WholeDocument().WithoutComments(), d.Root(), nil
	case !ok:
		return NodeSet{}, Node{}, fmt.Errorf("%q does not name a part of the document", uri)
	case fragment == "xpointer(/)":
		return d.WholeDocument(), d.Root(), nil
	}
	id, pointer := xpointerID(fragment)
	if !pointer && strings.HasPrefix(fragment, "xpointer(") {
		return NodeSet{}, Node{}, fmt.Errorf("%q: %w", uri, ErrUnsupported)
	}
	n, err := d.ByID(id)
	if errors.Is(err, ErrNoElement) && strings.Contains(id, "%") {
		if plain, e := url.PathUnescape(id); e == nil {
			n, err = d.ByID(plain)
		}
	}
	if err != nil {
		return NodeSet{}, Node{}, err
	}
	if pointer {
		return Subtree(n), n, nil
	}
	return Subtree(n).WithoutComments(), n, nil
}

// xpointerID reads xpointer(id('...')); what is no such pointer is a bare Id.
func xpointerID(fragment string) (id string, pointer bool) {
	body, ok := strings.CutPrefix(fragment, "xpointer(id(")
	body, end := strings.CutSuffix(body, "))")
	if !ok || !end || len(body) < 2 || body[0] != body[len(body)-1] || body[0] != '\'' && body[0] != '"' {
		return fragment, false
	}
	return body[1 : len(body)-1], true
}
