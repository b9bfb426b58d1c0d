package seal

import (
	"bytes"
	"context"
	"errors"
	"slices"

	"trustcore/internal/xmldsig"
)

// envelop puts a signature into an XML document, as the last child of its root element.
func (w *work) envelop(ctx context.Context) ([]byte, error) {
	document := w.documents[0].Content
	d, err := xmldsig.Parse(document, xmldsig.DefaultLimits)
	if err != nil {
		return nil, err
	}
	intact := intactReferences(d)
	x := &xmlSeal{signer: w.signer, how: w.how, at: w.opts.Time, id: newXMLID()}
	r := xmlReference{id: x.id + "-document", target: `URI=""`, mime: w.documents[0].MimeType}
	if r.mime == "" {
		r.mime = "text/xml"
	}
	content := w.how.hash.New()
	if w.opts.Parallel || len(d.Signatures()) > 0 {
		r.transforms = besideOthers + transform(exclusiveURI)
		err = withoutSignatures(d).Canonical(content, exclusive)
	} else {
		r.transforms = transform(xmldsig.TransformEnveloped) + transform(exclusiveURI)
		err = d.WholeDocument().Canonical(content, exclusive)
	}
	if err != nil {
		return nil, err
	}
	r.digest = content.Sum(nil)
	x.references = []xmlReference{r}
	if err := x.mention(w.opts.Mentions); err != nil {
		return nil, err
	}
	signature, err := x.signature(ctx)
	if err != nil {
		return nil, err
	}
	sealed, err := appendChild(document, d, d.Root(), signature)
	if err != nil {
		return nil, err
	}
	if err := w.confirmXML(sealed, x.id); err != nil {
		return nil, err
	}
	if err := stillIntact(sealed, intact); err != nil {
		return nil, err
	}
	return w.raiseXML(ctx, sealed, x.id)
}

// besideOthers leaves every signature of the document out (XML Signature 1.1, 6.6.3 and 6.6.4), so that others may
// come and go. The enveloped-signature transform says the same of this one, and tells readers that do not follow
// paths what is meant.
const besideOthers = `<ds:Transform Algorithm="` + xmldsig.TransformEnveloped + `"></ds:Transform>` +
	`<ds:Transform Algorithm="` + xmldsig.TransformXPath +
	`"><ds:XPath>not(ancestor-or-self::ds:Signature)</ds:XPath></ds:Transform>`

func withoutSignatures(d *xmldsig.Document) xmldsig.NodeSet {
	set := d.WholeDocument().WithoutComments()
	for _, n := range d.Signatures() {
		set = set.Without(n)
	}
	return set
}

// place is a reference of a signature that was in the document before.
type place struct{ signature, reference int }

// intactReferences are the references within the document whose digests match: what a further signature must not
// change.
func intactReferences(d *xmldsig.Document) []place {
	var list []place
	for i, n := range d.Signatures() {
		s, err := xmldsig.ReadSignature(n)
		if err != nil {
			continue
		}
		for j, r := range s.References {
			if outcome, err := r.Check(nil); r.SameDocument() && err == nil && outcome.Intact {
				list = append(list, place{i, j})
			}
		}
	}
	return list
}

// stillIntact refuses a further signature that breaks one which was there. The new one is the last of the root's
// children, so that the others keep their numbers.
func stillIntact(sealed []byte, before []place) error {
	if len(before) == 0 {
		return nil
	}
	d, err := xmldsig.Parse(sealed, xmldsig.DefaultLimits)
	if err != nil {
		return err
	}
	now := intactReferences(d)
	for _, p := range before {
		if !slices.Contains(now, p) {
			return errWouldBreak
		}
	}
	return nil
}

// appendChild puts text before the end tag of an element. What was in another encoding is written in UTF-8.
func appendChild(document []byte, d *xmldsig.Document, n xmldsig.Node, text []byte) ([]byte, error) {
	source := d.Source()
	_, end := n.Offset()
	var out bytes.Buffer
	out.Grow(len(source) + len(text) + 64)
	head := source[:end]
	if !bytes.Equal(source, document) { // it was in another encoding, which its XML declaration still names
		head = withoutDeclaration(head)
		out.WriteString(`<?xml version="1.0" encoding="UTF-8"?>`)
	}
	if bytes.HasSuffix(head, []byte("/>")) { // an empty element
		out.Write(head[:len(head)-2])
		out.WriteString(">")
		out.Write(text)
		out.WriteString("</" + n.Name() + ">")
	} else {
		at := bytes.LastIndex(head, []byte("</"))
		if at < 0 {
			return nil, errors.New("the end of the element " + n.Name() + " was not found")
		}
		out.Write(head[:at])
		out.Write(text)
		out.Write(head[at:])
	}
	out.Write(source[end:])
	return out.Bytes(), nil
}

func withoutDeclaration(head []byte) []byte {
	head = bytes.TrimPrefix(head, []byte("\xef\xbb\xbf"))
	if bytes.HasPrefix(head, []byte("<?xml ")) {
		if at := bytes.Index(head, []byte("?>")); at >= 0 {
			return head[at+2:]
		}
	}
	return head
}
