package seal

import (
	"context"
	"errors"
	"fmt"
	"time"

	"trustcore/internal/cms"
	"trustcore/internal/pdf"
)

// PDFOptions say what PAdES claims. Time is required.
type PDFOptions struct {
	Time     time.Time // the claimed signing time (M)
	Reason   string    // optional, as the other texts
	Location string
	Name     string
	Field    string // name of the signature field; "" takes the first free one
	TSA      TSA    // nil makes level B-B, else B-T
	Evidence Gather // not nil makes level B-LT: it is put into the document security store; needs TSA
}

// PAdES seals a PDF: an incremental update with an invisible signature field (PAdES-B-B, B-T or B-LT). The document's
// bytes stay as they are. Encrypted and broken documents are refused, and those whose certification forbids further
// signatures.
func PAdES(ctx context.Context, document []byte, signer Signer, opts PDFOptions) ([]byte, error) {
	level, collect, err := levelOf(opts.TSA, opts.Evidence)
	if err != nil {
		return nil, fmt.Errorf("sealing a PDF: %w", err)
	}
	return Seal(ctx, []Document{{Content: document}}, signer,
		Options{Format: FormatPAdES, Level: level, Time: opts.Time, TSA: opts.TSA,
			Collect: collect, Reason: opts.Reason, Location: opts.Location, Name: opts.Name, Field: opts.Field})
}

// Room in a PDF for what comes after the digest is known, in octets: signature value and attributes, and a time-stamp
// with its chain. What needs more is made again with as much as it needs.
const (
	roomForSignature = 2 << 10
	roomForTimestamp = 7 << 10
	roomToSpare      = 256 // where it is made again: lengths differ by some octets from signature to signature
)

// sealPDF signs a PDF in a revision of its own, and adds those of the level.
func (w *work) sealPDF(ctx context.Context) ([]byte, error) {
	document := w.documents[0].Content
	if err := maySign(document); err != nil {
		return nil, err
	}
	size := roomForSignature + len(w.signer.Certificate.Raw)
	for _, c := range w.signer.Chain {
		size += len(c.Raw)
	}
	if w.opts.Level.reaches(LevelT) {
		size += roomForTimestamp
	}
	options := pdf.SignOptions{SubFilter: pdf.SubFilterCAdES, Time: w.opts.Time, FieldName: w.opts.Field,
		Name:   w.opts.Name,
		Reason: w.opts.Reason, Location: w.opts.Location, Appearance: w.appearance()}
	sealed, err := fill(document, options, size, func(p *pdf.Prepared) ([]byte, error) {
		digest, err := p.Digest(w.how.hash)
		if err != nil {
			return nil, err
		}
		return w.signPDF(ctx, digest)
	})
	if err != nil || !w.opts.Level.reaches(LevelLT) {
		return sealed, err
	}
	return w.extendPDF(ctx, sealed)
}

// appearance is what the seal shows: by default who seals, and the claimed time, as people in Poland read it.
func (w *work) appearance() *pdf.Appearance {
	if w.opts.Visible == nil || len(w.opts.Visible.Lines) > 0 {
		return w.opts.Visible
	}
	shown, subject := *w.opts.Visible, w.signer.Certificate.Subject
	shown.Lines = []string{"Pieczęć elektroniczna / electronic seal", subject.CommonName}
	if len(subject.Organization) > 0 && subject.Organization[0] != subject.CommonName {
		shown.Lines = append(shown.Lines, subject.Organization[0])
	}
	if w.opts.Reason != "" {
		shown.Lines = append(shown.Lines, w.opts.Reason)
	}
	shown.Lines = append(shown.Lines, w.opts.Time.Format("2006-01-02 15:04:05 -07:00"))
	return &shown
}

// fill makes a signature of a PDF, and makes it again where the room for it was too little.
func fill(document []byte, options pdf.SignOptions, size int, make func(*pdf.Prepared) ([]byte, error)) ([]byte,
	error) {
	for range 2 {
		options.ContentsSize = size
		prepared, err := pdf.Prepare(document, options)
		if err != nil {
			return nil, err
		}
		value, err := make(prepared)
		if err != nil {
			return nil, err
		}
		if len(value) <= size {
			return prepared.Finish(value)
		}
		size = len(value) + roomToSpare
	}
	return nil, fmt.Errorf("the signature has grown beyond %d bytes while it was made again", size)
}

// signPDF makes the detached CMS over a digest, without a claimed time: in a PDF that stands in the dictionary (EN
// 319 142-1, 6.3).
func (w *work) signPDF(ctx context.Context, digest []byte) ([]byte, error) {
	signedData, err := cms.Sign(cms.SignConfig{
		Signer: bound{w.signer.Key, ctx}, Certificate: w.signer.Certificate.Raw, Certificates: w.signer.chain(),
		Hash: w.how.hash, PSS: w.how.pss, Digest: digest,
	})
	if err != nil || !w.opts.Level.reaches(LevelT) {
		return signedData, err
	}
	parsed, err := cms.Parse(signedData)
	if err != nil {
		return nil, err
	}
	if len(parsed.Signers) != 1 {
		return nil, errors.New("the new signature can't be read back")
	}
	token, err := w.stamp(ctx, parsed.Signers[0].Signature)
	if err != nil {
		return nil, err
	}
	return cms.AddUnsignedAttribute(signedData, 0, cms.NewTimestampAttribute(token))
}

// maySign refuses a document whose signatures forbid a further one: a certification that allows no changes (ISO
// 32000-2, 12.8.2.2), or a signed field whose lock says so (12.7.5.5). FieldMDP forbids changes of fields that are
// there, never a new one.
func maySign(document []byte) error {
	d, err := pdf.Open(document)
	if err != nil {
		return err
	}
	fields, err := d.Fields()
	if err != nil {
		return err
	}
	for _, f := range fields {
		if f.Signature == nil {
			continue
		}
		for _, r := range f.Signature.References {
			if r.Method == "DocMDP" && (r.Permission < 2 || r.Permission > 3) {
				return fmt.Errorf("the signature %q certifies the document and allows no changes (DocMDP, P %d)",
					f.Name, r.Permission)
			}
		}
		if f.Lock != nil && f.Lock.Permission != 0 && (f.Lock.Permission < 2 || f.Lock.Permission > 3) {
			return fmt.Errorf("the lock of the signed field %q allows no changes (P %d)", f.Name, f.Lock.Permission)
		}
	}
	return nil
}
