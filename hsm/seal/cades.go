package seal

import (
	"bytes"
	"context"
	"crypto"
	"encoding/asn1"
	"errors"
	"fmt"

	"trustcore/internal/cms"
)

// sealCMS makes a CMS, or puts a further signer into one that is given.
func (w *work) sealCMS(ctx context.Context) ([]byte, error) {
	document := w.documents[0]
	if w.opts.Packaging == Detached || (Options{}).kind(document.Content) != kindCMS {
		return w.freshCMS(ctx, document)
	}
	sd, err := cms.Parse(document.Content)
	if err != nil || len(sd.Rest) > 0 || !sd.Content.Present || len(sd.Signers) == 0 {
		return w.freshCMS(ctx, document) // something else in DER, or without what a further signer would sign
	}
	return w.besideCMS(ctx, document.Content, sd.Content.Bytes(), true)
}

// freshCMS makes a CMS of one signer about a document.
func (w *work) freshCMS(ctx context.Context, document Document) ([]byte, error) {
	signedData, err := w.signCMS(ctx, document, w.opts.Packaging == Enveloping)
	if err != nil || w.opts.Level == LevelB {
		return signedData, err
	}
	return w.extendCMS(ctx, signedData, func() ([]byte, error) { return document.Content, nil })
}

// besideCMS puts a further signer into a CMS.
func (w *work) besideCMS(ctx context.Context, signedData, content []byte, attached bool) ([]byte, error) {
	own, err := w.freshCMS(ctx, Document{Content: content})
	if err != nil {
		return nil, err
	}
	if attached {
		if err := sameContent(signedData, own); err != nil {
			return nil, err
		}
	}
	return cms.AddSigner(signedData, own)
}

func sameContent(a, b []byte) error {
	one, err := cms.Parse(a)
	if err != nil {
		return err
	}
	other, err := cms.Parse(b)
	if err != nil {
		return err
	}
	if one.Content.Present != other.Content.Present || !bytes.Equal(one.Content.Bytes(), other.Content.Bytes()) {
		return errors.New("the two signatures are about different contents")
	}
	return nil
}

// signCMS makes level B-B (EN 319 122-1, 6.3).
func (w *work) signCMS(ctx context.Context, document Document, attached bool) ([]byte, error) {
	cfg := cms.SignConfig{
		Signer: bound{w.signer.Key, ctx}, Certificate: w.signer.Certificate.Raw, Certificates: w.signer.chain(),
		Hash: w.how.hash, PSS: w.how.pss, SigningTime: w.opts.Time,
	}
	if attached {
		cfg.Content = document.Content
		if cfg.Content == nil {
			cfg.Content = []byte{}
		}
	} else {
		cfg.Digest = digestOf(w.how.hash, document.Content)
	}
	if document.MimeType != "" {
		value, err := asn1.MarshalWithParams(document.MimeType, "utf8")
		if err != nil {
			return nil, fmt.Errorf("MimeType: %w", err)
		}
		cfg.Attributes = append(cfg.Attributes, cms.NewAttribute(cms.OIDMIMEType, value))
	}
	return cms.Sign(cfg)
}

// extendCMS raises every signer of a CMS. Detached gives the content where it lies elsewhere.
func (w *work) extendCMS(ctx context.Context, signedData []byte, detached func() ([]byte, error)) ([]byte, error) {
	sd, err := cms.Parse(signedData)
	if err != nil {
		return nil, err
	}
	if len(sd.Signers) == 0 {
		return nil, errors.New("there is no signer in the CMS")
	}
	if len(sd.Rest) > 0 {
		return nil, fmt.Errorf("%d octets follow the CMS, which nobody signed", len(sd.Rest))
	}
	raised := false
	for i := range sd.Signers {
		after, err := w.raiseCMS(ctx, signedData, i, detached)
		if errors.Is(err, ErrAlready) {
			continue
		}
		if err != nil {
			return nil, err
		}
		signedData, raised = after, true
	}
	if !raised {
		return nil, ErrAlready
	}
	return signedData, nil
}

// raiseCMS raises one signer. Adding unsigned attributes and evidence moves no signer to another place.
func (w *work) raiseCMS(ctx context.Context, signedData []byte, number int, detached func() ([]byte, error)) ([]byte,
	error) {
	sd, err := cms.Parse(signedData)
	if err != nil {
		return nil, err
	}
	si := sd.Signers[number]
	if err := w.intactCMS(sd, si, detached); err != nil {
		return nil, err
	}
	stamped, archived := si.Unsigned(cms.OIDSignatureTimestamp) != nil, si.Unsigned(cms.OIDArchiveTimestampV3) != nil
	raised := false
	if !stamped && !archived {
		token, err := w.stamp(ctx, si.Signature)
		if err != nil {
			return nil, err
		}
		signedData, err = cms.AddUnsignedAttribute(signedData, number, cms.NewTimestampAttribute(token))
		if err != nil {
			return nil, err
		}
		raised = true
	}
	held := Evidence{CRLs: sd.CRLs, OCSPs: sd.OCSPs}
	lacks := !held.speaksOf(signerOf(si, sd.Certificates)) && si.Unsigned(cms.OIDRevocationValues) == nil
	if w.opts.Level.reaches(LevelLT) && (raised || lacks || archived && w.opts.Level == LevelLTA) {
		if signedData, err = w.valuesCMS(ctx, signedData, number); err != nil {
			return nil, err
		}
		raised = true
	}
	if w.opts.Level == LevelLTA {
		return w.archiveCMS(ctx, signedData, number, detached)
	}
	if !raised {
		return nil, ErrAlready
	}
	return signedData, nil
}

// intactCMS refuses to extend a signature that does not verify, or whose content is another one now.
func (w *work) intactCMS(sd *cms.SignedData, si *cms.SignerInfo, detached func() ([]byte, error)) error {
	signer := signerOf(si, sd.Certificates)
	if signer == nil {
		return errNoSigner
	}
	if err := intactSigner(si, signer); err != nil {
		return err
	}
	h, _ := hashOf(si.DigestAlgorithm)
	got, err := contentDigest(sd, h, detached)
	if err != nil {
		return err
	}
	if want := si.MessageDigest(); want == nil || !bytes.Equal(got, want) {
		return errors.New("the signature's digest does not match the document: a broken seal is not extended")
	}
	return nil
}

var errNoSigner = errors.New("the signature does not hold its signer's certificate")

// contentDigest is the digest of what a CMS is about.
func contentDigest(sd *cms.SignedData, h crypto.Hash, detached func() ([]byte, error)) ([]byte, error) {
	state := h.New()
	if sd.Content.Present {
		_, err := sd.Content.WriteTo(state)
		return state.Sum(nil), err
	}
	content, err := detached()
	if err != nil {
		return nil, err
	}
	state.Write(content)
	return state.Sum(nil), nil
}

// valuesCMS puts evidence into the fields of SignedData (EN 319 122-1, 5.4.2 and 5.4.3), for the signer and all its
// time-stamps.
func (w *work) valuesCMS(ctx context.Context, signedData []byte, number int) ([]byte, error) {
	sd, err := cms.Parse(signedData)
	if err != nil {
		return nil, err
	}
	si := sd.Signers[number]
	p := present{signer: signerOf(si, sd.Certificates), known: sd.Certificates}
	if p.signer == nil {
		return nil, errNoSigner
	}
	archived := false
	for i := range si.UnsignedAttributes {
		switch a := &si.UnsignedAttributes[i]; a.Type {
		case cms.OIDSignatureTimestamp:
			p.tokens = append(p.tokens, a.Values...)
		case cms.OIDArchiveTimestampV3:
			p.tokens, archived = append(p.tokens, a.Values...), true
		}
	}
	if archived {
		// What is older was gathered before the last archive time-stamp.
		p.signer, p.tokens = nil, p.tokens[len(p.tokens)-1:]
	}
	e, err := w.collect(ctx, p)
	if err != nil {
		return nil, err
	}
	return cms.AddEvidence(signedData, e.Certificates, e.CRLs, e.OCSPs)
}

// archiveCMS adds an archive-time-stamp-v3 (EN 319 122-1, 5.5.3).
func (w *work) archiveCMS(ctx context.Context, signedData []byte, number int, detached func() ([]byte, error)) ([]byte,
	error) {
	sd, err := cms.Parse(signedData)
	if err != nil {
		return nil, err
	}
	index, err := sd.HashIndexV3(number, w.opts.Hash)
	if err != nil {
		return nil, err
	}
	digest, err := contentDigest(sd, w.opts.Hash, detached)
	if err != nil {
		return nil, err
	}
	message, err := sd.ArchiveMessage(number, digest, index)
	if err != nil {
		return nil, err
	}
	token, err := w.stamp(ctx, message)
	if err != nil {
		return nil, err
	}
	attribute, err := cms.NewArchiveTimestamp(token, index)
	if err != nil {
		return nil, err
	}
	return cms.AddUnsignedAttribute(signedData, number, attribute)
}
