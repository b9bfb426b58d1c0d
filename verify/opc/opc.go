// Package opc reads the signatures of packages of the Open Packaging Conventions (ECMA-376 part 2, 13.2), such as
// Office Open XML documents, into facts for the judgement. What such a signature says is XML Signature or XAdES
// (verify/xades); here it is found by the relationships of the package, and held against its parts: what a program
// would show and is not signed keeps a signature from passing.
package opc

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"

	"trustcore/internal/asic"
	"trustcore/internal/budget"
	"trustcore/internal/xmldsig"
	"trustcore/verify/signature"
	"trustcore/verify/xades"
)

// maxSignatures bounds the signature parts of a package.
const maxSignatures = 256

// Read reads the signatures of an open ZIP file. A broken signature is a fact; the error says that the package cannot
// be read safely, or is that of the budget.
func Read(b *budget.Budget, c *asic.Container) (*signature.Document, error) {
	p := &pack{budget: b, container: c, parts: map[string]*part{}, types: contentTypes{}}
	for _, read := range []func() error{p.readParts, p.readContentTypes, p.readRelationships} {
		if err := read(); err != nil {
			return nil, fmt.Errorf("OPC: %w", err)
		}
	}
	signatures := p.signatureParts()
	if len(signatures) > maxSignatures {
		return nil, fmt.Errorf("OPC: %d signature parts are more than %d", len(signatures), maxSignatures)
	}
	for _, part := range signatures {
		p.read(part)
	}
	if err := b.Err(); err != nil {
		return nil, err
	}
	return &p.out, nil
}

// pack is the work on one package.
type pack struct {
	budget    *budget.Budget
	container *asic.Container
	parts     map[string]*part // by name, as normal gives it
	list      []*part          // in the order of the directory
	types     contentTypes
	faults    []string      // what readers may see differently, so that the signed and the seen may differ
	resolved  []*asic.Entry // what was given to signatures and is kept
	ids       map[string]int
	out       signature.Document
}

func (p *pack) fault(format string, args ...any) {
	if len(p.faults) < maxFaults {
		p.faults = append(p.faults, fmt.Sprintf(format, args...))
	}
}

const maxFaults = 64

// read reads a signature part.
func (p *pack) read(part *part) {
	content, err := p.container.Read(part.entry)
	if err != nil {
		p.broken(part, nil, err)
		return
	}
	parsed, err := xmldsig.Parse(content, xmldsig.Limits{Budget: p.budget})
	if err != nil {
		p.broken(part, content, err)
		return
	}
	doc, err := xades.ReadPackage(p.budget, parsed, p.resolve)
	if err != nil {
		p.broken(part, content, err)
		return
	}
	for i, s := range doc.Signatures {
		if s.Unchecked == "" && s.CounterSignatureOf == "" {
			p.check(s, parsed.Root(), i == 0)
		}
	}
	p.add(part, doc.Signatures)
}

// add puts the signatures of a part into the document.
func (p *pack) add(from *part, list []*signature.Signature) {
	renamed := map[string]string{}
	for _, s := range list {
		id := p.unique(s.ID)
		renamed[s.ID], s.ID = id, id
		if parent, ok := renamed[s.CounterSignatureOf]; ok {
			s.CounterSignatureOf = parent
		}
		s.Filename = from.entry.Name
		if s.Unchecked != "" {
			continue
		}
		if !from.reached {
			s.Structure = append(s.Structure, fmt.Sprintf("no relationship of the package leads to the signature %q "+
				"(ECMA-376 part 2, 13.2.2)", from.name))
		}
		for _, f := range append(p.faults[:len(p.faults):len(p.faults)], p.container.Faults...) {
			s.Structure = append(s.Structure, "package: "+f)
		}
	}
	p.out.Signatures = append(p.out.Signatures, list...)
}

// unique numbers identifiers that occur in several signature parts: Office gives all the same.
func (p *pack) unique(id string) string {
	if p.ids == nil {
		p.ids = map[string]int{}
	}
	p.ids[id]++
	if n := p.ids[id]; n > 1 {
		return fmt.Sprintf("%s-%d", id, n)
	}
	return id
}

// broken reports a signature part that cannot be read.
func (p *pack) broken(from *part, content []byte, problem error) {
	value := sha256.Sum256(content)
	p.add(from, []*signature.Signature{{
		ID: "S-" + hex.EncodeToString(value[:12]), Format: signature.XMLDSig, Value: value,
		Structure: []string{problem.Error()},
	}})
}

// maxKept bounds what is kept of the parts that signatures name, in octets: the next signature names them again.
const maxKept = 24 << 20

// resolve gives the part that a reference names.
func (p *pack) resolve(uri string) ([]byte, error) {
	name, _ := splitURI(uri)
	part := p.find(name)
	if part == nil {
		return nil, xmldsig.ErrNotFound
	}
	kept := part.entry.Size
	for _, other := range p.resolved {
		kept += other.Size
	}
	if kept > maxKept {
		for _, other := range p.resolved {
			p.container.Forget(other)
		}
		p.resolved = nil
	}
	p.resolved = append(p.resolved, part.entry)
	return p.container.Read(part.entry)
}
