package seal

import (
	"bytes"
	"context"
	"crypto"
	"crypto/ecdsa"
	"crypto/rand"
	"encoding/asn1"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"math/big"
	"strings"
	"time"

	"trustcore/internal/xmldsig"
)

// XMLOptions say what an XML seal claims. Time is required.
type XMLOptions struct {
	Time     time.Time // the claimed signing time
	MimeType string    // of the document; "" means text/xml
	TSA      TSA       // nil makes level B-B, else B-T
	Evidence Gather    // not nil makes level B-LT; needs TSA
}

// exclusive is the canonical form of everything that a seal covers: it does not change with what stands around the signature.
var exclusive = xmldsig.Canonicalization{Form: xmldsig.Exclusive}

const namespaceXAdES = "http://uri.etsi.org/01903/v1.3.2#"

// XAdES seals an XML document: an enveloped signature over the whole document as the last child of its root element (XAdES-B-B, B-T or B-LT).
// Nothing else is changed, but a document in another encoding than UTF-8 is written in UTF-8. Refused are documents with a DTD, and
// those whose present signature covers the whole document: it would break.
func XAdES(ctx context.Context, document []byte, signer Signer, opts XMLOptions) ([]byte, error) {
	sealed, err := sealXML(ctx, document, signer, opts)
	if err != nil {
		return nil, fmt.Errorf("sealing XML: %w", err)
	}
	return sealed, nil
}

func sealXML(ctx context.Context, document []byte, signer Signer, opts XMLOptions) ([]byte, error) {
	if len(document) > MaxDocument {
		return nil, fmt.Errorf("%d bytes, at most %d are taken", len(document), MaxDocument)
	}
	if err := signer.check(opts.Time); err != nil {
		return nil, err
	}
	if opts.Evidence != nil && opts.TSA == nil {
		return nil, errNoTSA
	}
	how, err := signer.method()
	if err != nil {
		return nil, err
	}
	parsed, err := xmldsig.Parse(document, xmldsig.DefaultLimits)
	if err != nil {
		return nil, err
	}
	if err := checkSigned(parsed); err != nil {
		return nil, err
	}
	x := &xmlSeal{signer: signer, how: how, opts: opts, id: newXMLID()}
	if x.opts.MimeType == "" {
		x.opts.MimeType = "text/xml"
	}
	signature, err := x.signature(ctx, parsed)
	if err != nil {
		return nil, err
	}
	sealed, err := insert(document, parsed, signature)
	if err != nil {
		return nil, err
	}
	return sealed, x.confirm(sealed)
}

// checkSigned refuses a document with a signature that a further one would break: one that covers the whole document but for itself.
func checkSigned(d *xmldsig.Document) error {
	for _, n := range d.Signatures() {
		for r := range n.Descendants(xmldsig.NamespaceDSig, "Reference") {
			if uri, ok := r.Attr("", "URI"); ok && (uri == "" || strings.HasPrefix(uri, "#xpointer(/)")) {
				return errors.New("the document has a signature over the whole of it, which a further one inside would break")
			}
		}
	}
	return nil
}

func newXMLID() string {
	b := make([]byte, 12)
	_, _ = rand.Read(b) // never fails (crypto/rand)
	return "seal-" + hex.EncodeToString(b)
}

// xmlSeal is one signature in the making. Its text is written in canonical form, and every digest is nevertheless taken of what the XML
// reader makes of it.
type xmlSeal struct {
	signer Signer
	how    method
	opts   XMLOptions
	id     string
}

// signature makes the ds:Signature element for a document.
func (x *xmlSeal) signature(ctx context.Context, d *xmldsig.Document) ([]byte, error) {
	content := x.how.hash.New()
	if err := d.WholeDocument().Canonical(content, exclusive); err != nil {
		return nil, err
	}
	properties, err := x.canonical(x.wrap("", x.signedProperties()), "SignedProperties", namespaceXAdES)
	if err != nil {
		return nil, err
	}
	info, err := x.signedInfo(content.Sum(nil), digestOf(x.how.hash, []byte(properties)))
	if err != nil {
		return nil, err
	}
	covered, err := x.canonical(x.wrap(info, ""), "SignedInfo", xmldsig.NamespaceDSig)
	if err != nil {
		return nil, err
	}
	value, err := x.sign(ctx, digestOf(x.how.hash, []byte(covered)))
	if err != nil {
		return nil, err
	}
	valueElement := `<ds:SignatureValue Id="` + x.id + `-value">` + base64.StdEncoding.EncodeToString(value) + `</ds:SignatureValue>`
	unsigned, err := x.unsigned(ctx, valueElement)
	if err != nil {
		return nil, err
	}
	return []byte(x.wrap(info+valueElement+x.keyInfo(), x.signedProperties()+unsigned)), nil
}

const exclusiveURI = "http://www.w3.org/2001/10/xml-exc-c14n#"

// wrap puts the children of ds:Signature and of xades:QualifyingProperties in their places.
func (x *xmlSeal) wrap(children, properties string) string {
	return `<ds:Signature xmlns:ds="` + xmldsig.NamespaceDSig + `" Id="` + x.id + `">` + children +
		`<ds:Object><xades:QualifyingProperties xmlns:xades="` + namespaceXAdES + `" Target="#` + x.id + `">` + properties +
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

// signedProperties binds certificate, time and kind of the document (EN 319 132-1, 5.2).
func (x *xmlSeal) signedProperties() string {
	digest := base64.StdEncoding.EncodeToString(digestOf(x.how.hash, x.signer.Certificate.Raw))
	return `<xades:SignedProperties Id="` + x.id + `-properties"><xades:SignedSignatureProperties>` +
		`<xades:SigningTime>` + x.opts.Time.UTC().Format(time.RFC3339) + `</xades:SigningTime>` +
		`<xades:SigningCertificateV2><xades:Cert><xades:CertDigest>` + digestMethod(x.how.hash) +
		`<ds:DigestValue>` + digest + `</ds:DigestValue></xades:CertDigest></xades:Cert></xades:SigningCertificateV2>` +
		`</xades:SignedSignatureProperties><xades:SignedDataObjectProperties>` +
		`<xades:DataObjectFormat ObjectReference="#` + x.id + `-document"><xades:MimeType>` + escape(x.opts.MimeType) + `</xades:MimeType></xades:DataObjectFormat>` +
		`</xades:SignedDataObjectProperties></xades:SignedProperties>`
}

// signedInfo references the document without this signature, and the signed properties.
func (x *xmlSeal) signedInfo(document, properties []byte) (string, error) {
	algorithm, err := signatureMethod(x.signer.Key.Public(), x.how)
	if err != nil {
		return "", err
	}
	transform := func(uri string) string { return `<ds:Transform Algorithm="` + uri + `"></ds:Transform>` }
	reference := func(attributes, transforms string, digest []byte) string {
		return `<ds:Reference ` + attributes + `><ds:Transforms>` + transforms + `</ds:Transforms>` + digestMethod(x.how.hash) +
			`<ds:DigestValue>` + base64.StdEncoding.EncodeToString(digest) + `</ds:DigestValue></ds:Reference>`
	}
	return `<ds:SignedInfo><ds:CanonicalizationMethod Algorithm="` + exclusiveURI + `"></ds:CanonicalizationMethod>` +
		`<ds:SignatureMethod Algorithm="` + algorithm + `"></ds:SignatureMethod>` +
		reference(`Id="`+x.id+`-document" URI=""`, transform(xmldsig.TransformEnveloped)+transform(exclusiveURI), document) +
		reference(`Type="http://uri.etsi.org/01903#SignedProperties" URI="#`+x.id+`-properties"`, transform(exclusiveURI), properties) +
		`</ds:SignedInfo>`, nil
}

// sign returns the signature value as XML has it: ECDSA as r || s (RFC 4051, 2.3.6).
func (x *xmlSeal) sign(ctx context.Context, digest []byte) ([]byte, error) {
	var opts crypto.SignerOpts = x.how.hash
	if x.how.pss {
		opts = pssOptions(x.how.hash)
	}
	value, err := bound{x.signer.Key, ctx}.Sign(rand.Reader, digest, opts)
	if err != nil {
		return nil, err
	}
	public, ok := x.signer.Key.Public().(*ecdsa.PublicKey)
	if !ok {
		return value, nil
	}
	var rs struct{ R, S *big.Int }
	if rest, err := asn1.Unmarshal(value, &rs); err != nil || len(rest) > 0 {
		return nil, errors.New("the key's ECDSA signature is no pair of numbers")
	}
	size := (public.Curve.Params().BitSize + 7) / 8
	if rs.R.Sign() < 1 || rs.S.Sign() < 1 || rs.R.BitLen() > 8*size || rs.S.BitLen() > 8*size {
		return nil, errors.New("the key's ECDSA signature is out of range")
	}
	raw := make([]byte, 2*size)
	rs.R.FillBytes(raw[:size])
	rs.S.FillBytes(raw[size:])
	return raw, nil
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

// unsigned makes the unsigned properties: of level B-T a time-stamp over the signature value (EN 319 132-1, 5.3), of B-LT the evidence
// after it (5.4).
func (x *xmlSeal) unsigned(ctx context.Context, valueElement string) (string, error) {
	if x.opts.TSA == nil {
		return "", nil
	}
	covered, err := x.canonical(x.wrap(valueElement, ""), "SignatureValue", xmldsig.NamespaceDSig)
	if err != nil {
		return "", err
	}
	token, err := x.opts.TSA(ctx, x.how.hash, digestOf(x.how.hash, []byte(covered)))
	if err != nil {
		return "", err
	}
	evidence := ""
	if x.opts.Evidence != nil {
		e, err := x.opts.Evidence(ctx)
		if err != nil {
			return "", fmt.Errorf("gathering evidence: %w", err)
		}
		evidence = e.xml()
	}
	return `<xades:UnsignedProperties><xades:UnsignedSignatureProperties><xades:SignatureTimeStamp Id="` + x.id + `-time-stamp">` +
		`<ds:CanonicalizationMethod Algorithm="` + exclusiveURI + `"></ds:CanonicalizationMethod>` +
		`<xades:EncapsulatedTimeStamp>` + base64.StdEncoding.EncodeToString(token) + `</xades:EncapsulatedTimeStamp>` +
		`</xades:SignatureTimeStamp>` + evidence + `</xades:UnsignedSignatureProperties></xades:UnsignedProperties>`, nil
}

func (e Evidence) xml() string {
	revocation := listed("CRLValues", "EncapsulatedCRLValue", e.CRLs) + listed("OCSPValues", "EncapsulatedOCSPValue", e.OCSPs)
	if revocation != "" {
		revocation = `<xades:RevocationValues>` + revocation + `</xades:RevocationValues>`
	}
	return listed("CertificateValues", "EncapsulatedX509Certificate", e.Certificates) + revocation
}

// listed is an element that holds others with base64 in them; nothing when there are none.
func listed(outer, inner string, values [][]byte) string {
	if len(values) == 0 {
		return ""
	}
	var b strings.Builder
	b.WriteString(`<xades:` + outer + `>`)
	for _, v := range values {
		b.WriteString(`<xades:` + inner + `>` + base64.StdEncoding.EncodeToString(v) + `</xades:` + inner + `>`)
	}
	b.WriteString(`</xades:` + outer + `>`)
	return b.String()
}

// confirm reads the sealed document as a verifier does and holds its digests against it, before anyone else sees it.
func (x *xmlSeal) confirm(sealed []byte) error {
	d, err := xmldsig.Parse(sealed, xmldsig.DefaultLimits)
	if err != nil {
		return fmt.Errorf("the sealed document can't be read back: %w", err)
	}
	node, err := d.ByID(x.id)
	if err != nil {
		return err
	}
	s, err := xmldsig.ReadSignature(node)
	if err != nil {
		return err
	}
	for _, r := range s.References {
		outcome, err := r.Check(nil)
		if err != nil {
			return fmt.Errorf("the sealed document can't be read back: %w", err)
		}
		if !outcome.Intact {
			return fmt.Errorf("the sealed document's digest of %q does not match", r.URI)
		}
	}
	return nil
}

// insert puts the signature before the end tag of the root element.
func insert(document []byte, d *xmldsig.Document, signature []byte) ([]byte, error) {
	source := d.Source()
	_, end := d.Root().Offset()
	var out bytes.Buffer
	out.Grow(len(source) + len(signature) + 64)
	head := source[:end]
	if !bytes.Equal(source, document) { // it was in another encoding, which its XML declaration still names
		head = withoutDeclaration(head)
		out.WriteString(`<?xml version="1.0" encoding="UTF-8"?>`)
	}
	if bytes.HasSuffix(head, []byte("/>")) { // an empty root
		out.Write(head[:len(head)-2])
		out.WriteString(">")
		out.Write(signature)
		out.WriteString("</" + d.Root().Name() + ">")
	} else {
		at := bytes.LastIndex(head, []byte("</"))
		if at < 0 {
			return nil, errors.New("the root element's end was not found")
		}
		out.Write(head[:at])
		out.Write(signature)
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

func escape(s string) string {
	return strings.NewReplacer("&", "&amp;", "<", "&lt;", ">", "&gt;", "\r", "&#xD;").Replace(s)
}
