// Package original gives back what a signature is about: the documents as they were before it was made, out of the signed
// file and of the files beside it. It judges nothing: what a verdict found to be another thing than was signed, or not to
// be there, is left out.
package original

import (
	"bytes"
	"fmt"
	"strings"

	"trustcore/internal/asic"
	"trustcore/internal/budget"
	"trustcore/internal/jws"
	"trustcore/internal/pdf"
	"trustcore/verify/cades"
	"trustcore/verify/signature"
	"trustcore/verify/trace"
)

// Document is one thing that a signature is about.
type Document struct {
	Name    string // as the signature or the container names it; "" where nothing does
	Content []byte
	// Digests stand in for Content where they were all that was given of it, as in signature.Detached.
	Digests map[string][]byte
}

// Of gives the documents of a signature that the trace of a validation of the same file tells of, in the order in which
// it names them. A signature that is about another one has none. The error is the budget's, or tells that the file is not
// the one that was validated.
func Of(b *budget.Budget, file []byte, beside []signature.Detached, s *trace.Signature) ([]Document, error) {
	e := &extractor{budget: b, file: file, beside: beside, signature: s}
	if s.Parent != "" {
		return nil, nil
	}
	var err error
	switch {
	case s.Filename != "":
		err = e.container()
	case s.PDF != nil:
		err = e.revision()
	case s.Format == "XAdES" || s.Format == "XMLDSig":
		err = e.xml()
	case s.Format == "JAdES" || s.Format == "JWS":
		err = e.payload()
	default:
		err = e.cms()
	}
	if err == nil {
		err = b.Err()
	}
	if err != nil {
		return nil, fmt.Errorf("original: %w", err)
	}
	return e.out, nil
}

// extractor is the work on one signature.
type extractor struct {
	budget    *budget.Budget
	file      []byte
	beside    []signature.Detached
	signature *trace.Signature
	out       []Document
}

// intact are the references to content that were found and match.
func (e *extractor) intact(kinds ...string) []trace.Reference {
	var list []trace.Reference
	for _, r := range e.signature.References {
		for _, kind := range kinds {
			if r.Type == kind && r.Found && r.Intact {
				list = append(list, r)
			}
		}
	}
	return list
}

func (e *extractor) add(name string, content []byte) error {
	if err := e.budget.Hold(len(content)); err != nil {
		return err
	}
	e.out = append(e.out, Document{Name: name, Content: content})
	return nil
}

// given adds the file beside the document that a name means: the only one, whatever it is called.
func (e *extractor) given(name string) {
	for i := range e.beside {
		f := &e.beside[i]
		if f.Name == name || len(e.beside) == 1 {
			e.out = append(e.out, Document{f.Name, f.Content, f.Digests})
			return
		}
	}
}

// container gives the data objects that the signature covers, as they lie in the container.
func (e *extractor) container() error {
	c, err := asic.Open(e.budget, e.file)
	if err != nil {
		return err
	}
	given := map[*asic.Entry]bool{}
	for _, r := range e.intact("data", "manifest-entry", "message-digest", "object") {
		for _, name := range append([]string{r.Name}, signature.Spellings(r.Name)...) {
			entry := c.Find(strings.TrimPrefix(name, "/"))
			if entry == nil || entry.Role() != asic.Data || given[entry] {
				continue
			}
			given[entry] = true
			content, err := c.Read(entry)
			if err == nil {
				err = e.add(entry.Name, content)
			}
			if err != nil {
				return err
			}
			break
		}
	}
	return nil
}

// revision gives the PDF as it was before the revision that the signature was made in, to the end of its last line;
// nothing where that is the first.
func (e *extractor) revision() error {
	ranges := e.signature.PDF.ByteRange
	if len(ranges) != 4 || len(e.intact("byte-range")) == 0 {
		return nil
	}
	doc, err := pdf.OpenWithin(e.budget, e.file)
	if err != nil {
		return err
	}
	at := doc.CoveredRevision(ranges[2] + ranges[3])
	if at < 1 {
		return nil
	}
	before := doc.Revisions()[at-1]
	after := e.file[before.EOF:before.End]
	line := len(after) - len(bytes.TrimPrefix(bytes.TrimPrefix(after, []byte("\r")), []byte("\n")))
	return e.add("", e.file[:before.EOF+int64(line)])
}

// cms gives the content that a CMS carries, or the file that it is about.
func (e *extractor) cms() error {
	about := e.intact("message-digest")
	if len(about) == 0 {
		return nil
	}
	content, err := cades.Content(e.budget, e.file)
	if err != nil {
		return err
	}
	if content != nil {
		return e.add("", content)
	}
	e.given(about[0].Name)
	return nil
}

// payload gives the payload of a JSON signature, or the files that it names.
func (e *extractor) payload() error {
	about := e.intact("data")
	if len(about) == 0 {
		return nil
	}
	doc, err := jws.Read(e.budget, bytes.TrimPrefix(e.file, []byte("\xef\xbb\xbf")))
	if err != nil {
		return err
	}
	if doc.Payload == nil {
		for _, r := range about {
			e.given(r.Name)
		}
		return nil
	}
	if len(doc.Signatures) > 0 && doc.Signatures[0].Unencoded() {
		return e.add("", doc.Payload)
	}
	content, err := jws.DecodeBase64URL(doc.Payload)
	if err != nil {
		return err
	}
	return e.add("", content)
}
