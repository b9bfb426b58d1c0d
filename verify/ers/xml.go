package ers

import (
	"errors"
	"fmt"
	"io"
	"slices"
	"strconv"

	"trustcore/internal/budget"
	"trustcore/internal/xmldsig"
	"trustcore/verify/algorithm"
	"trustcore/verify/cades/signerinfo"
)

// xmlReader reads a record of RFC 6283.
type xmlReader struct {
	counter
	sequence xmldsig.Node
	out      record
}

func readXML(b *budget.Budget, element xmldsig.Node) (*record, error) {
	r := &xmlReader{counter: counter{budget: b}}
	return &r.out, r.read(element)
}

// read reads EvidenceRecord (RFC 6283 2.1): the elements of the schema, each once, and nothing else.
func (r *xmlReader) read(element xmldsig.Node) error {
	if version, _ := element.Attr("", "Version"); !element.Is(Namespace, "EvidenceRecord") || version != "1.0" {
		return errors.New("no EvidenceRecord of version 1.0")
	}
	members, err := r.members(element, "EncryptionInformation", "SupportingInformationList", "ArchiveTimeStampSequence")
	if err != nil {
		return err
	}
	if !members[0].IsZero() {
		return unchecked{errors.New("the record is about encrypted data objects (RFC 6283 5), which are not read")}
	}
	if r.sequence = members[2]; r.sequence.IsZero() {
		return errors.New("it has no ArchiveTimeStampSequence")
	}
	chains, err := r.ordered(r.sequence, "ArchiveTimeStampChain")
	if err != nil {
		return err
	}
	if len(chains) > maxChains {
		return beyond(maxChains, "archive time-stamp chains")
	}
	for i, element := range chains {
		c, err := r.readChain(element)
		if err != nil {
			return err
		}
		c.before = r.write(r.preceding(chains[i:]), *c.form)
		r.out.chains = append(r.out.chains, c)
	}
	return nil
}

// preceding is the sequence without the chains from one on (RFC 6283 4.2.2).
func (r *xmlReader) preceding(without []xmldsig.Node) xmldsig.NodeSet {
	set := xmldsig.Subtree(r.sequence)
	for _, n := range without {
		set = set.Without(n)
	}
	return set
}

func (r *xmlReader) write(set xmldsig.NodeSet, form xmldsig.Canonicalization) func(io.Writer) error {
	return func(w io.Writer) error { return set.Canonical(signerinfo.Spending(r.budget, w), form) }
}

// members finds the children of an element by their names, which stand in this order, each at most once.
func (r *xmlReader) members(parent xmldsig.Node, names ...string) ([]xmldsig.Node, error) {
	found, next := make([]xmldsig.Node, len(names)), 0
	for n := range parent.Elements() {
		if err := r.budget.Nodes(1); err != nil {
			return nil, err
		}
		i := slices.Index(names[next:], n.Local())
		if i < 0 || n.Space() != Namespace {
			return nil, fmt.Errorf("unexpected %v in %v", n, parent)
		}
		next += i + 1
		found[next-1] = n
	}
	return found, nil
}

// ordered lists the children of a name, and there are no others but those called beside. Their Order attributes are
// the numbers from 1 on: a member that was taken out, or that stands twice, is seen.
func (r *xmlReader) ordered(parent xmldsig.Node, name string, beside ...string) ([]xmldsig.Node, error) {
	var list []xmldsig.Node
	for n := range parent.Elements() {
		if err := r.budget.Nodes(1); err != nil {
			return nil, err
		}
		switch {
		case n.Is(Namespace, name):
			list = append(list, n)
		case n.Space() != Namespace || !slices.Contains(beside, n.Local()):
			return nil, fmt.Errorf("unexpected %v in %v", n, parent)
		}
	}
	if len(list) == 0 {
		return nil, fmt.Errorf("no %s in %v", name, parent)
	}
	sorted := make([]xmldsig.Node, len(list))
	for _, n := range list {
		order, _ := n.Attr("", "Order")
		i, err := strconv.Atoi(order)
		if err != nil || i < 1 || i > len(list) || !sorted[i-1].IsZero() {
			return nil, fmt.Errorf("%v: the Order %q is not one of 1 to %d, each once", n, order, len(list))
		}
		sorted[i-1] = n
	}
	return sorted, nil
}

// readChain reads ArchiveTimeStampChain (RFC 6283 4.1).
func (r *xmlReader) readChain(element xmldsig.Node) (chain, error) {
	var c chain
	method := element.Child(Namespace, "DigestMethod")
	uri, _ := method.Attr("", "Algorithm")
	var err error
	if c.hash, err = algorithm.HashByURI(uri); method.IsZero() || uri == "" {
		return c, errors.New("a chain has no DigestMethod")
	} else if err != nil {
		return c, unchecked{err}
	}
	form, err := xmldsig.ReadCanonicalization(element.Child(Namespace, "CanonicalizationMethod"))
	if err != nil {
		return c, unchecked{err}
	}
	c.form = &form
	stamps, err := r.ordered(element, "ArchiveTimeStamp", "DigestMethod", "CanonicalizationMethod")
	if err != nil {
		return c, err
	}
	for _, n := range stamps {
		a, err := r.readTimestamp(n, form)
		if err != nil {
			return c, err
		}
		a.hash = c.hash
		c.stamps = append(c.stamps, a)
	}
	return c, nil
}

// readTimestamp reads ArchiveTimeStamp (RFC 6283 3.1.1).
func (r *xmlReader) readTimestamp(element xmldsig.Node, form xmldsig.Canonicalization) (archived, error) {
	var a archived
	if err := r.timestamp(); err != nil {
		return a, err
	}
	members, err := r.members(element, "HashTree", "TimeStamp", "Attributes")
	if err != nil {
		return a, err
	}
	stamp := members[1]
	if stamp.IsZero() {
		return a, errors.New("an ArchiveTimeStamp has no TimeStamp")
	}
	if !members[0].IsZero() {
		if a.tree, err = r.readTree(members[0]); err != nil {
			return a, err
		}
	}
	a.whole = r.write(xmldsig.Subtree(stamp), form)
	parts, err := r.members(stamp, "TimeStampToken", "CryptographicInformationList")
	if err != nil {
		return a, err
	}
	if err := r.readToken(&a, parts[0]); err != nil || parts[1].IsZero() {
		return a, err
	}
	return a, r.readInformation(&a, parts[1])
}

func (r *xmlReader) readToken(a *archived, token xmldsig.Node) error {
	if token.IsZero() {
		return errors.New("a TimeStamp has no TimeStampToken")
	}
	if kind, _ := token.Attr("", "Type"); kind != "RFC3161" {
		return unchecked{fmt.Errorf("time-stamp tokens of type %q are not read", kind)}
	}
	var err error
	if a.token, err = r.bytes(token); err == nil && len(a.token) == 0 {
		err = errors.New("an empty TimeStampToken")
	}
	return err
}

// readInformation takes what the specification names (RFC 6283 3.1.3); the rest is for others.
func (r *xmlReader) readInformation(a *archived, list xmldsig.Node) error {
	all, err := r.ordered(list, "CryptographicInformation")
	if err != nil {
		return err
	}
	for _, n := range all {
		kind, _ := n.Attr("", "Type")
		to := map[string]*[][]byte{"CERT": &a.certificates, "CRL": &a.crls, "OCSP": &a.ocsps}[kind]
		if to == nil {
			continue
		}
		b, err := r.bytes(n)
		if err != nil {
			return err
		}
		*to = append(*to, b)
	}
	return nil
}

// readTree reads the lists of a HashTree.
func (r *xmlReader) readTree(tree xmldsig.Node) ([][][]byte, error) {
	sequences, err := r.ordered(tree, "Sequence")
	if err != nil {
		return nil, err
	}
	lists := make([][][]byte, len(sequences))
	for i, s := range sequences {
		for n := range s.Elements() {
			if err := r.hash(); err != nil {
				return nil, err
			}
			if !n.Is(Namespace, "DigestValue") {
				return nil, fmt.Errorf("unexpected %v in %v", n, s)
			}
			value, err := r.bytes(n)
			if err != nil {
				return nil, err
			}
			lists[i] = append(lists[i], value)
		}
		if len(lists[i]) == 0 {
			return nil, fmt.Errorf("no DigestValue in %v", s)
		}
	}
	return lists, nil
}

// bytes decodes the base64 of an element.
func (r *xmlReader) bytes(n xmldsig.Node) ([]byte, error) {
	b, err := n.Bytes()
	if err != nil {
		return nil, fmt.Errorf("%v: %w", n, err)
	}
	return b, nil
}
