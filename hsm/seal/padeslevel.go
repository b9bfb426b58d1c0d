package seal

import (
	"bytes"
	"context"
	"errors"
	"fmt"

	"trustcore/internal/cms"
	"trustcore/internal/pdf"
)

// pdfSigned is what the signatures and time-stamps of a PDF hold.
type pdfSigned struct {
	signers       [][]byte // certificates, one of each signature
	known         [][]byte // certificates in the signatures and in the security store
	crls, ocsps   [][]byte // of the security store
	tokens        [][]byte // of the signatures, and document time-stamps
	lacksTime     bool     // a signature has neither a time-stamp in it nor one behind it
	archived      bool     // the newest revision is a document time-stamp over a security store
	lastSignature int      // revision of the newest signature
	lastTimestamp int      // revision of the newest document time-stamp, -1 for none
	lastToken     []byte   // of that
}

// extendPDF raises a PDF by further revisions (EN 319 142-1, 5.4 and 5.5): a document time-stamp where a signature
// has no time-stamp, the security store, and for LevelLTA another document time-stamp.
func (w *work) extendPDF(ctx context.Context, document []byte) ([]byte, error) {
	s, err := readPDF(document)
	if err != nil {
		return nil, err
	}
	raised := false
	if s.lacksTime {
		if document, err = w.stampPDF(ctx, document); err != nil {
			return nil, err
		}
		if s, err = readPDF(document); err != nil {
			return nil, err
		}
		raised = true
	}
	if w.opts.Level.reaches(LevelLT) {
		after, err := w.storePDF(ctx, document, s)
		switch {
		case errors.Is(err, ErrAlready):
		case err != nil:
			return nil, err
		default:
			document, raised = after, true
		}
	}
	if w.opts.Level == LevelLTA {
		return w.stampPDF(ctx, document)
	}
	if !raised {
		return nil, ErrAlready
	}
	return document, nil
}

// stampPDF adds a document time-stamp (EN 319 142-1, 5.4.3).
func (w *work) stampPDF(ctx context.Context, document []byte) ([]byte, error) {
	return fill(document, pdf.SignOptions{SubFilter: pdf.SubFilterRFC3161}, roomForTimestamp,
		func(p *pdf.Prepared) ([]byte, error) {
			digest, err := p.Digest(w.opts.Hash)
			if err != nil {
				return nil, err
			}
			return w.stampDigest(ctx, digest)
		})
}

// storePDF adds evidence to the document security store for whatever it says nothing of yet (EN 319 142-1, 5.4.2).
func (w *work) storePDF(ctx context.Context, document []byte, s *pdfSigned) ([]byte, error) {
	p := present{known: s.known}
	all := Evidence{CRLs: s.crls, OCSPs: s.ocsps}
	var signers [][]byte
	for _, c := range s.signers {
		if !all.speaksOf(c) {
			signers = append(signers, c)
		}
	}
	for _, token := range s.tokens {
		unit, _, err := tokenCertificates(token)
		if err != nil {
			return nil, err
		}
		if !all.speaksOf(unit) || s.renews(w.opts.Level) && bytes.Equal(token, s.lastToken) {
			p.tokens = append(p.tokens, token)
		}
	}
	if len(signers)+len(p.tokens) == 0 {
		return nil, ErrAlready
	}
	fresh, err := w.collectAll(ctx, signers, p)
	if err != nil {
		return nil, err
	}
	if fresh = fresh.without(s.known, s.crls, s.ocsps); fresh.empty() {
		return nil, ErrAlready
	}
	return pdf.AppendSecurityStore(document, fresh.Certificates, fresh.CRLs, fresh.OCSPs)
}

// renews tells whether a further archive time-stamp is wanted, before which the last one needs fresh evidence.
func (s *pdfSigned) renews(level Level) bool { return level == LevelLTA && s.archived }

// readPDF reads the signatures of a PDF. One that is not whole is not extended.
func readPDF(document []byte) (*pdfSigned, error) {
	d, err := pdf.Open(document)
	if err != nil {
		return nil, err
	}
	fields, err := d.Fields()
	if err != nil {
		return nil, err
	}
	s := &pdfSigned{lastSignature: -1, lastTimestamp: -1}
	stamped := map[int]bool{} // revisions of signatures with a time-stamp of their own
	for _, f := range fields {
		if f.Signature == nil {
			continue
		}
		if err := s.add(d, &f, stamped); err != nil {
			return nil, fmt.Errorf("the signature %q: %w", f.Name, err)
		}
	}
	if s.lastSignature < 0 {
		return nil, errors.New("there is no signature in the document")
	}
	for revision, has := range stamped {
		s.lacksTime = s.lacksTime || !has && s.lastTimestamp < revision
	}
	if store := d.SecurityStore(); store != nil {
		s.known, s.crls, s.ocsps = append(s.known, store.Certificates...), store.CRLs, store.OCSPs
		s.archived = s.lastTimestamp > s.lastSignature
	}
	return s, nil
}

// add reads one signature or document time-stamp.
func (s *pdfSigned) add(d *pdf.Document, f *pdf.Field, stamped map[int]bool) error {
	if !f.Signature.Consistent {
		return fmt.Errorf("its range is not that of a revision: %v", f.Signature.Problems)
	}
	sd, err := cms.Parse(f.Signature.Contents)
	if err != nil {
		return err
	}
	if len(sd.Signers) != 1 {
		return fmt.Errorf("%d signers, not one (EN 319 142-1, 4.1)", len(sd.Signers))
	}
	s.known = append(s.known, sd.Certificates...)
	if f.Signature.SubFilter == pdf.SubFilterRFC3161 {
		s.tokens = append(s.tokens, sd.Raw)
		if f.Signature.Revision > s.lastTimestamp {
			s.lastTimestamp, s.lastToken = f.Signature.Revision, sd.Raw
		}
		return nil
	}
	si := sd.Signers[0]
	signer := signerOf(si, sd.Certificates)
	if signer == nil {
		return errNoSigner
	}
	if err := coveredIntact(d, f.Signature, si); err != nil {
		return err
	}
	if err := intactSigner(si, signer); err != nil {
		return err
	}
	s.signers = append(s.signers, signer)
	s.lastSignature = max(s.lastSignature, f.Signature.Revision)
	a := si.Unsigned(cms.OIDSignatureTimestamp)
	stamped[f.Signature.Revision] = a != nil
	if a != nil {
		s.tokens = append(s.tokens, a.Values...)
	}
	return nil
}

// coveredIntact refuses to extend a signature whose document is another one now.
func coveredIntact(d *pdf.Document, signature *pdf.Signature, si *cms.SignerInfo) error {
	h, known := hashOf(si.DigestAlgorithm)
	before, after, ok := d.Covered(signature)
	if !known || !ok || si.MessageDigest() == nil {
		return errors.New("what it covers can't be compared: it is no PAdES signature that is made here")
	}
	state := h.New()
	state.Write(before)
	state.Write(after)
	if !bytes.Equal(state.Sum(nil), si.MessageDigest()) {
		return errors.New("its digest does not match the document: a broken seal is not extended")
	}
	return nil
}
