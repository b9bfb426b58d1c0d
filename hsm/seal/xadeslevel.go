package seal

import (
	"bytes"
	"context"
	"crypto"
	"encoding/base64"
	"errors"
	"fmt"
	"slices"
	"strings"

	"trustcore/internal/xmldsig"
)

// raiseXML raises the new signature of an Id to the level that is wanted.
func (w *work) raiseXML(ctx context.Context, sealed []byte, id string) ([]byte, error) {
	if w.opts.Level == LevelB {
		return sealed, nil
	}
	return w.extendXML(ctx, sealed, id)
}

// extendXML raises the signature of an Id, or with "" all of a document. Each step is a document of its own, read
// anew: what a time-stamp covers is taken of the text that is kept.
func (w *work) extendXML(ctx context.Context, document []byte, id string) ([]byte, error) {
	d, err := xmldsig.Parse(document, xmldsig.DefaultLimits)
	if err != nil {
		return nil, err
	}
	signatures := d.Signatures()
	if len(signatures) == 0 {
		return nil, errors.New("there is no signature in the document")
	}
	raised := false
	for i, n := range signatures {
		if id != "" && n.ID() != id {
			continue
		}
		after, err := w.raiseOne(ctx, document, i)
		if errors.Is(err, ErrAlready) {
			continue
		}
		if err != nil {
			return nil, err
		}
		document, raised = after, true
	}
	if !raised {
		return nil, ErrAlready
	}
	return document, nil
}

// raiseOne raises the signature of a number step by step.
func (w *work) raiseOne(ctx context.Context, document []byte, number int) ([]byte, error) {
	s, err := w.openXML(document, number)
	if err != nil {
		return nil, err
	}
	var steps []func(context.Context, *xmlSigned) (string, error)
	if !s.has("SignatureTimeStamp") && !s.has("ArchiveTimeStamp") {
		steps = append(steps, w.stampXML)
	}
	if w.opts.Level.reaches(LevelLT) && !s.has("RevocationValues") && !s.has("ArchiveTimeStamp") {
		steps = append(steps, w.valuesXML)
	}
	if w.opts.Level == LevelLTA {
		if s.has("ArchiveTimeStamp") {
			steps = append(steps, w.renewXML)
		}
		steps = append(steps, w.archiveXML)
	}
	if len(steps) == 0 {
		return nil, ErrAlready
	}
	for i, step := range steps {
		if i > 0 {
			if s, err = w.openXML(document, number); err != nil {
				return nil, err
			}
		}
		property, err := step(ctx, s)
		if err != nil {
			return nil, err
		}
		if property == "" {
			continue // everything that it would say is there
		}
		if document, err = s.with(document, property); err != nil {
			return nil, err
		}
	}
	return document, nil
}

// xmlSigned is a signature of a document, read for what is to be added.
type xmlSigned struct {
	document   *xmldsig.Document
	signature  *xmldsig.Signature
	qualifying xmldsig.Node
	unsigned   xmldsig.Node // xades:UnsignedSignatureProperties, or none
}

func (w *work) openXML(document []byte, number int) (*xmlSigned, error) {
	d, err := xmldsig.Parse(document, xmldsig.DefaultLimits)
	if err != nil {
		return nil, err
	}
	s := &xmlSigned{document: d}
	if s.signature, err = xmldsig.ReadSignature(d.Signatures()[number]); err != nil {
		return nil, err
	}
	for _, object := range s.signature.Objects {
		if q := object.Child(namespaceXAdES, "QualifyingProperties"); !q.IsZero() {
			if !s.qualifying.IsZero() {
				return nil, errors.New("the signature has xades:QualifyingProperties twice")
			}
			s.qualifying = q
		}
	}
	if s.qualifying.IsZero() {
		return nil, errors.New("the signature has no xades:QualifyingProperties (1.3.2) to be extended")
	}
	s.unsigned = s.qualifying.Path(namespaceXAdES, "UnsignedProperties", "UnsignedSignatureProperties")
	return s, s.confirm(w)
}

// confirm refuses to time-stamp a signature whose document is another one now: nobody could tell when that happened.
func (s *xmlSigned) confirm(w *work) error {
	for _, r := range s.signature.References {
		outcome, err := r.Check(w.resolve)
		if err != nil {
			return fmt.Errorf("what the signature covers: %w", err)
		}
		if !outcome.Intact {
			return fmt.Errorf("the signature's digest of %q does not match: a broken seal is not extended", r.URI)
		}
	}
	p, err := s.present()
	if err != nil {
		return err
	}
	info, err := s.signature.CanonicalSignedInfo()
	if err != nil {
		return err
	}
	return intact(p.signer, func(public crypto.PublicKey, how method) bool {
		uri, err := signatureMethod(public, how)
		return err == nil && uri == s.signature.Method.URI
	}, info, s.signature.Value, true)
}

// has tells whether an unsigned property is there, in either namespace.
func (s *xmlSigned) has(local string) bool { return len(s.all(local)) > 0 }

func (s *xmlSigned) all(local string) []xmldsig.Node {
	if s.unsigned.IsZero() {
		return nil
	}
	return append(s.unsigned.All(namespaceXAdES, local), s.unsigned.All(namespaceXAdES141, local)...)
}

// with puts a property behind the other unsigned ones of the signature. It brings its own namespaces.
func (s *xmlSigned) with(document []byte, property string) ([]byte, error) {
	at := s.unsigned
	if at.IsZero() {
		if !s.qualifying.Child(namespaceXAdES, "UnsignedProperties").IsZero() {
			return nil, errors.New("xades:UnsignedProperties lacks what could be extended")
		}
		at = s.qualifying
		property = `<xades:UnsignedProperties xmlns:xades="` + namespaceXAdES +
			`"><xades:UnsignedSignatureProperties>` + property +
			`</xades:UnsignedSignatureProperties></xades:UnsignedProperties>`
	}
	return appendChild(document, s.document, at, []byte(property))
}

// stampXML is the time-stamp over the signature value (EN 319 132-1, 5.3).
func (w *work) stampXML(ctx context.Context, s *xmlSigned) (string, error) {
	covered, err := s.signature.ValueNode.Canonical(exclusive)
	if err != nil {
		return "", err
	}
	token, err := w.stamp(ctx, covered)
	if err != nil {
		return "", err
	}
	return stampElement("SignatureTimeStamp", namespaceXAdES, token), nil
}

func stampElement(local, space string, token []byte) string {
	name := map[string]string{namespaceXAdES: "xades:", namespaceXAdES141: "xades141:"}[space] + local
	return `<` + name + ` xmlns:xades="` + namespaceXAdES + `" xmlns:xades141="` + namespaceXAdES141 + `" xmlns:ds="` +
		xmldsig.NamespaceDSig +
		`" Id="` + newXMLID() + `"><ds:CanonicalizationMethod Algorithm="` + exclusiveURI +
		`"></ds:CanonicalizationMethod>` +
		`<xades:EncapsulatedTimeStamp>` + base64.StdEncoding.EncodeToString(token) +
		`</xades:EncapsulatedTimeStamp></` + name + `>`
}

// valuesXML is the evidence for the signer and the time-stamps so far (EN 319 132-1, 5.4).
func (w *work) valuesXML(ctx context.Context, s *xmlSigned) (string, error) {
	p, err := s.present()
	if err != nil {
		return "", err
	}
	e, err := w.collect(ctx, p)
	if err != nil {
		return "", err
	}
	return e.without(p.known, nil, nil).xml(), nil
}

// renewXML is the evidence for the last archive time-stamp, without which the next one would cover what nobody can
// verify any more (EN 319 132-1, 5.5.3: xades141:TimeStampValidationData).
func (w *work) renewXML(ctx context.Context, s *xmlSigned) (string, error) {
	stamps := s.all("ArchiveTimeStamp")
	last := slices.MaxFunc(stamps, func(a, b xmldsig.Node) int { return a.Order() - b.Order() })
	tokens, err := tokensOf(last)
	if err != nil {
		return "", err
	}
	certificates, crls, ocsps, err := s.values()
	if err != nil {
		return "", err
	}
	e, err := w.collect(ctx, present{known: certificates, tokens: tokens})
	if err != nil {
		return "", err
	}
	if e = e.without(certificates, crls, ocsps); e.empty() {
		return "", nil
	}
	return `<xades141:TimeStampValidationData xmlns:xades141="` + namespaceXAdES141 + `">` + e.xml() +
		`</xades141:TimeStampValidationData>`, nil
}

// archiveXML is the time-stamp over the signature, what it covers and all unsigned properties so far, in the order
// that EN 319 132-1, 5.5.2.2 lays down.
func (w *work) archiveXML(ctx context.Context, s *xmlSigned) (string, error) {
	var message bytes.Buffer
	targets := map[xmldsig.Node]bool{}
	for _, r := range s.signature.References {
		outcome, err := r.WriteData(&message, w.resolve, exclusive)
		if err != nil {
			return "", err
		}
		targets[outcome.Target] = true
	}
	parts := []xmldsig.Node{s.signature.SignedInfo, s.signature.ValueNode}
	if k := s.signature.KeyInfo; k != nil {
		parts = append(parts, k.Element)
	}
	for e := range s.unsigned.Elements() {
		parts = append(parts, e)
	}
	for _, object := range s.signature.Objects {
		if !object.Contains(s.qualifying) && !targets[object] {
			parts = append(parts, object)
		}
	}
	for _, n := range parts {
		if err := xmldsig.Subtree(n).Canonical(&message, exclusive); err != nil {
			return "", err
		}
	}
	token, err := w.stamp(ctx, message.Bytes())
	if err != nil {
		return "", err
	}
	return stampElement("ArchiveTimeStamp", namespaceXAdES141, token), nil
}

// present is what the signature holds: the signer's certificate is the one that xades:SigningCertificateV2 names.
func (s *xmlSigned) present() (present, error) {
	var p present
	if s.signature.KeyInfo != nil {
		for _, x := range s.signature.KeyInfo.X509 {
			p.known = append(p.known, x.Certificates...)
		}
	}
	if p.signer = s.named(p.known); p.signer == nil {
		return p, errors.New("the signature does not hold the certificate that it names as the signer's")
	}
	for _, e := range s.all("SignatureTimeStamp") {
		tokens, err := tokensOf(e)
		if err != nil {
			return p, err
		}
		p.tokens = append(p.tokens, tokens...)
	}
	return p, nil
}

// named is the certificate that the signed properties name by its digest.
func (s *xmlSigned) named(certificates [][]byte) []byte {
	signed := s.qualifying.Path(namespaceXAdES, "SignedProperties", "SignedSignatureProperties")
	for _, property := range []string{"SigningCertificateV2", "SigningCertificate"} {
		digest := signed.Path(namespaceXAdES, property, "Cert", "CertDigest")
		if digest.IsZero() {
			continue
		}
		uri, _ := digest.Child(xmldsig.NamespaceDSig, "DigestMethod").Attr("", "Algorithm")
		want, err := digest.Child(xmldsig.NamespaceDSig, "DigestValue").Bytes()
		h, unknown := xmldsig.HashByURI(uri)
		if err != nil || unknown != nil || !h.Available() {
			continue
		}
		for _, c := range certificates {
			if bytes.Equal(digestOf(h, c), want) {
				return c
			}
		}
	}
	return nil
}

// values are the certificates and the revocation information in the signature.
func (s *xmlSigned) values() (certificates, crls, ocsps [][]byte, err error) {
	p, err := s.present()
	if err != nil {
		return nil, nil, nil, err
	}
	certificates = p.known
	for _, list := range []struct {
		local string
		out   *[][]byte
	}{{"EncapsulatedX509Certificate", &certificates}, {"EncapsulatedCRLValue", &crls}, {"EncapsulatedOCSPValue",
		&ocsps}} {
		for n := range s.unsigned.Descendants(namespaceXAdES, list.local) {
			der, err := n.Bytes()
			if err != nil {
				return nil, nil, nil, fmt.Errorf("%s: %w", list.local, err)
			}
			*list.out = append(*list.out, der)
		}
	}
	return certificates, crls, ocsps, nil
}

func tokensOf(property xmldsig.Node) ([][]byte, error) {
	var tokens [][]byte
	for _, n := range property.All(namespaceXAdES, "EncapsulatedTimeStamp") {
		token, err := n.Bytes()
		if err != nil {
			return nil, fmt.Errorf("%s: %w", property.Name(), err)
		}
		tokens = append(tokens, token)
	}
	return tokens, nil
}

func (e Evidence) xml() string {
	revocation := listed("CRLValues", "EncapsulatedCRLValue", e.CRLs) +
		listed("OCSPValues", "EncapsulatedOCSPValue", e.OCSPs)
	if revocation != "" {
		revocation = `<xades:RevocationValues xmlns:xades="` + namespaceXAdES + `">` + revocation +
			`</xades:RevocationValues>`
	}
	return listed("CertificateValues", "EncapsulatedX509Certificate", e.Certificates) + revocation
}

// listed is an element that holds others with base64 in them; nothing when there are none.
func listed(outer, inner string, values [][]byte) string {
	if len(values) == 0 {
		return ""
	}
	var b strings.Builder
	b.WriteString(`<xades:` + outer + ` xmlns:xades="` + namespaceXAdES + `">`)
	for _, v := range values {
		b.WriteString(`<xades:` + inner + `>` + base64.StdEncoding.EncodeToString(v) + `</xades:` + inner + `>`)
	}
	b.WriteString(`</xades:` + outer + `>`)
	return b.String()
}
