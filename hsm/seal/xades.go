package seal

import (
	"context"
	"crypto/rand"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"net/url"
	"slices"
	"strings"
	"time"

	"trustcore/internal/xmldsig"
)

// XMLOptions say what XAdES claims. Time is required.
type XMLOptions struct {
	Time     time.Time // the claimed signing time
	MimeType string    // of the document; "" means text/xml
	TSA      TSA       // nil makes level B-B, else B-T
	Evidence Gather    // not nil makes level B-LT; needs TSA
}

// exclusive is the canonical form of everything that a seal covers: it does not change with what stands around the
// signature.
var exclusive = xmldsig.Canonicalization{Form: xmldsig.Exclusive}

const (
	namespaceXAdES    = "http://uri.etsi.org/01903/v1.3.2#"
	namespaceXAdES141 = "http://uri.etsi.org/01903/v1.4.1#"
	exclusiveURI      = "http://www.w3.org/2001/10/xml-exc-c14n#"
)

// XAdES seals an XML document: an enveloped signature over the whole document as the last child of its root element
// (XAdES-B-B, B-T or B-LT). Nothing else is changed, but a document in another encoding than UTF-8 is written in
// UTF-8. Refused are documents with a DTD, and those whose present signature covers the whole document: it would
// break.
func XAdES(ctx context.Context, document []byte, signer Signer, opts XMLOptions) ([]byte, error) {
	level, collect, err := levelOf(opts.TSA, opts.Evidence)
	if err != nil {
		return nil, fmt.Errorf("sealing XML: %w", err)
	}
	return Seal(ctx, []Document{{MimeType: opts.MimeType, Content: document}}, signer,
		Options{Format: FormatXAdES, Packaging: Enveloped,
			Level: level, Time: opts.Time, TSA: opts.TSA, Collect: collect})
}

// sealXML makes an XML signature with packaging of its own.
func (w *work) sealXML(ctx context.Context) ([]byte, error) {
	if w.opts.Packaging == Enveloped {
		return w.envelop(ctx)
	}
	signature, id, err := w.signatureOf(ctx, w.documents)
	if err != nil {
		return nil, err
	}
	sealed := append([]byte(`<?xml version="1.0" encoding="UTF-8"?>`+"\n"), signature...)
	if err := w.confirmXML(sealed, id); err != nil {
		return nil, err
	}
	return w.raiseXML(ctx, sealed, id)
}

// signatureOf makes a ds:Signature about files, which lie in it or beside it.
func (w *work) signatureOf(ctx context.Context, documents []Document) (signature []byte, id string, err error) {
	x := &xmlSeal{signer: w.signer, how: w.how, at: w.opts.Time, id: newXMLID()}
	for i, d := range documents {
		r := xmlReference{id: fmt.Sprintf("%s-document-%d", x.id, i+1), mime: d.MimeType,
			digest: digestOf(w.how.hash, d.Content)}
		if w.opts.Packaging == Enveloping {
			object := fmt.Sprintf("%s-object-%d", x.id, i+1)
			r.target = `Type="` + xmldsig.NamespaceDSig + `Object" URI="#` + object + `"`
			r.transforms = transform(xmldsig.TransformBase64)
			x.objects += `<ds:Object Encoding="` + xmldsig.TransformBase64 + `" Id="` + object + `">` +
				base64.StdEncoding.EncodeToString(d.Content) + `</ds:Object>`
		} else {
			r.target = `URI="` + escape(uriOf(d.Name)) + `"`
		}
		x.references = append(x.references, r)
	}
	signature, err = x.signature(ctx)
	return signature, x.id, err
}

// uriOf is the relative reference that means a file of this name (RFC 3986, 4.2).
func uriOf(name string) string { return (&url.URL{Path: name}).String() }

func newXMLID() string {
	b := make([]byte, 12)
	_, _ = rand.Read(b) // never fails (crypto/rand)
	return "seal-" + hex.EncodeToString(b)
}

// xmlSeal is one signature in the making. Its text is written in canonical form, and every digest is nevertheless
// taken of what the XML reader makes of it.
type xmlSeal struct {
	signer     Signer
	how        method
	at         time.Time
	id         string
	references []xmlReference
	objects    string // ds:Object elements with sealed documents, and a manifest

	manifest *xmlReference  // to what is mentioned; nil where nothing is
	entries  []xmlReference // of the manifest: their names and kinds
}

// xmlReference is a ds:Reference to a sealed document.
type xmlReference struct {
	id         string
	target     string // its attributes but Id
	transforms string
	digest     []byte
	mime       string
}

// signature makes the ds:Signature element, of level B-B.
func (x *xmlSeal) signature(ctx context.Context) ([]byte, error) {
	properties, err := x.canonical(x.wrap("", x.signedProperties()), "SignedProperties", namespaceXAdES)
	if err != nil {
		return nil, err
	}
	info, err := x.signedInfo(digestOf(x.how.hash, []byte(properties)))
	if err != nil {
		return nil, err
	}
	covered, err := x.canonical(x.wrap(info, ""), "SignedInfo", xmldsig.NamespaceDSig)
	if err != nil {
		return nil, err
	}
	value, err := x.signer.value(ctx, x.how, digestOf(x.how.hash, []byte(covered)))
	if err != nil {
		return nil, err
	}
	valueElement := `<ds:SignatureValue Id="` + x.id + `-value">` + base64.StdEncoding.EncodeToString(value) +
		`</ds:SignatureValue>`
	return []byte(x.wrap(info+valueElement+x.keyInfo()+x.objects, x.signedProperties())), nil
}

// wrap puts the children of ds:Signature and of xades:QualifyingProperties in their places.
func (x *xmlSeal) wrap(children, properties string) string {
	return `<ds:Signature xmlns:ds="` + xmldsig.NamespaceDSig + `" Id="` + x.id + `">` + children +
		`<ds:Object><xades:QualifyingProperties xmlns:xades="` + namespaceXAdES + `" Target="#` + x.id + `">` +
		properties +
		`</xades:QualifyingProperties></ds:Object></ds:Signature>`
}

// canonical reads the text and returns the canonical form of the element of that name.
func (x *xmlSeal) canonical(text, local, space string) (string, error) {
	d, err := xmldsig.Parse([]byte(text), xmldsig.DefaultLimits)
	if err != nil {
		return "", err
	}
	for n := range d.Root().Descendants(space, local) {
		c, err := n.Canonical(exclusive)
		return string(c), err
	}
	return "", fmt.Errorf("the new signature has no %s", local)
}

// signedProperties binds certificate, time and kinds of the documents (EN 319 132-1, 5.2).
func (x *xmlSeal) signedProperties() string {
	digest := base64.StdEncoding.EncodeToString(digestOf(x.how.hash, x.signer.Certificate.Raw))
	formats := ""
	for _, r := range append(slices.Clone(x.references), x.entries...) {
		mime := r.mime
		if mime == "" {
			mime = "application/octet-stream"
		}
		formats += `<xades:DataObjectFormat ObjectReference="#` + r.id + `"><xades:MimeType>` + escape(mime) +
			`</xades:MimeType></xades:DataObjectFormat>`
	}
	return `<xades:SignedProperties Id="` + x.id + `-properties"><xades:SignedSignatureProperties>` +
		`<xades:SigningTime>` + x.at.UTC().Format(time.RFC3339) + `</xades:SigningTime>` +
		`<xades:SigningCertificateV2><xades:Cert><xades:CertDigest>` + digestMethod(x.how.hash) +
		`<ds:DigestValue>` + digest + `</ds:DigestValue></xades:CertDigest></xades:Cert></xades:SigningCertificateV2>` +
		`</xades:SignedSignatureProperties><xades:SignedDataObjectProperties>` + formats +
		`</xades:SignedDataObjectProperties></xades:SignedProperties>`
}

func transform(uri string) string { return `<ds:Transform Algorithm="` + uri + `"></ds:Transform>` }

// signedInfo references the documents, and the signed properties.
func (x *xmlSeal) signedInfo(properties []byte) (string, error) {
	algorithm, err := signatureMethod(x.signer.Key.Public(), x.how)
	if err != nil {
		return "", err
	}
	reference := func(attributes, transforms string, digest []byte) string {
		if transforms != "" {
			transforms = `<ds:Transforms>` + transforms + `</ds:Transforms>`
		}
		return `<ds:Reference ` + attributes + `>` + transforms + digestMethod(x.how.hash) +
			`<ds:DigestValue>` + base64.StdEncoding.EncodeToString(digest) + `</ds:DigestValue></ds:Reference>`
	}
	documents := ""
	references := x.references
	if x.manifest != nil {
		references = append(slices.Clone(references), *x.manifest)
	}
	for _, r := range references {
		documents += reference(`Id="`+r.id+`" `+r.target, r.transforms, r.digest)
	}
	return `<ds:SignedInfo><ds:CanonicalizationMethod Algorithm="` + exclusiveURI + `"></ds:CanonicalizationMethod>` +
		`<ds:SignatureMethod Algorithm="` + algorithm + `"></ds:SignatureMethod>` + documents +
		reference(`Type="http://uri.etsi.org/01903#SignedProperties" URI="#`+x.id+`-properties"`,
			transform(exclusiveURI), properties) +
		`</ds:SignedInfo>`, nil
}

func (x *xmlSeal) keyInfo() string {
	var b strings.Builder
	b.WriteString(`<ds:KeyInfo><ds:X509Data>`)
	for _, c := range append([][]byte{x.signer.Certificate.Raw}, x.signer.chain()...) {
		b.WriteString(`<ds:X509Certificate>` + base64.StdEncoding.EncodeToString(c) + `</ds:X509Certificate>`)
	}
	b.WriteString(`</ds:X509Data></ds:KeyInfo>`)
	return b.String()
}

// confirmXML reads what was sealed as a verifier does and holds its digests against it, before anyone else sees it.
func (w *work) confirmXML(sealed []byte, id string) error {
	d, err := xmldsig.Parse(sealed, xmldsig.DefaultLimits)
	if err != nil {
		return fmt.Errorf("the sealed document can't be read back: %w", err)
	}
	node, err := d.ByID(id)
	if err != nil {
		return err
	}
	s, err := xmldsig.ReadSignature(node)
	if err != nil {
		return err
	}
	for _, r := range s.References {
		outcome, err := r.Check(w.resolve)
		if err != nil {
			return fmt.Errorf("the sealed document can't be read back: %w", err)
		}
		if !outcome.Intact {
			return fmt.Errorf("the sealed document's digest of %q does not match", r.URI)
		}
	}
	return nil
}

// resolve gives the file that a reference leads to.
func (w *work) resolve(uri string) ([]byte, error) {
	for _, d := range w.documents {
		if uri != "" && uri == uriOf(d.Name) {
			return d.Content, nil
		}
	}
	u, err := url.Parse(uri)
	if err != nil || uri == "" || u.Scheme != "" || u.Host != "" || u.RawQuery != "" || u.Fragment != "" {
		return nil, fmt.Errorf("%q: %w", uri, xmldsig.ErrNotFound)
	}
	content, err := w.named(strings.TrimPrefix(u.Path, "./"))
	if err != nil {
		return nil, fmt.Errorf("%w: %w", err, xmldsig.ErrNotFound)
	}
	return content, nil
}

func escape(s string) string {
	return strings.NewReplacer("&", "&amp;", "<", "&lt;", ">", "&gt;", `"`, "&quot;", "\r", "&#xD;", "\n", "&#xA;",
		"\t", "&#x9;").Replace(s)
}

var errWouldBreak = errors.New(
	"the document has a signature over the whole of it, which a further one inside would break")
