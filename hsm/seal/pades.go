package seal

import (
	"context"
	"errors"
	"fmt"
	"time"

	"trustcore/internal/cms"
	"trustcore/internal/pdf"
)

// PDFOptions say what a PDF seal claims. Time is required.
type PDFOptions struct {
	Time     time.Time // the claimed signing time (M)
	Reason   string    // optional, as the other texts
	Location string
	Name     string
	Field    string // name of the signature field; "" takes the first free one
	TSA      TSA    // nil makes level B-B, else B-T
}

// Room in the PDF for what comes after the digest is known: signature and attributes, and a time-stamp with its chain.
const (
	roomForSignature = 4 << 10
	roomForTimestamp = 12 << 10
)

// PAdES seals a PDF: an incremental update with an invisible signature field (PAdES-B-B or B-T). The document's bytes stay as they are.
// Encrypted and broken documents are refused.
func PAdES(ctx context.Context, document []byte, signer Signer, opts PDFOptions) ([]byte, error) {
	if len(document) > MaxDocument {
		return nil, fmt.Errorf("sealing a PDF: %d bytes, at most %d are taken", len(document), MaxDocument)
	}
	if err := signer.check(opts.Time); err != nil {
		return nil, fmt.Errorf("sealing a PDF: %w", err)
	}
	how, err := signer.method()
	if err != nil {
		return nil, fmt.Errorf("sealing a PDF: %w", err)
	}
	room := roomForSignature + len(signer.Certificate.Raw)
	for _, c := range signer.Chain {
		room += len(c.Raw)
	}
	if opts.TSA != nil {
		room += roomForTimestamp
	}
	prepared, err := pdf.Prepare(document, pdf.SignOptions{
		SubFilter: pdf.SubFilterCAdES, ContentsSize: room, Time: opts.Time,
		FieldName: opts.Field, Name: opts.Name, Reason: opts.Reason, Location: opts.Location,
	})
	if err != nil {
		return nil, fmt.Errorf("sealing a PDF: %w", err)
	}
	digest, err := prepared.Digest(how.hash)
	if err != nil {
		return nil, fmt.Errorf("sealing a PDF: %w", err)
	}
	signedData, err := cadesFor(ctx, signer, how, digest, opts.TSA)
	if err != nil {
		return nil, fmt.Errorf("sealing a PDF: %w", err)
	}
	return prepared.Finish(signedData)
}

// cadesFor makes the detached CMS over a digest, without a claimed time: in a PDF that stands in the dictionary (EN 319 142-1, 6.3).
func cadesFor(ctx context.Context, signer Signer, how method, digest []byte, tsa TSA) ([]byte, error) {
	signedData, err := cms.Sign(cms.SignConfig{
		Signer: bound{signer.Key, ctx}, Certificate: signer.Certificate.Raw, Certificates: signer.chain(),
		Hash: how.hash, PSS: how.pss, Digest: digest,
	})
	if err != nil || tsa == nil {
		return signedData, err
	}
	parsed, err := cms.Parse(signedData)
	if err != nil {
		return nil, err
	}
	if len(parsed.Signers) != 1 {
		return nil, errors.New("the new signature can't be read back")
	}
	token, err := tsa(ctx, how.hash, digestOf(how.hash, parsed.Signers[0].Signature))
	if err != nil {
		return nil, err
	}
	return cms.AddUnsignedAttribute(signedData, 0, cms.NewTimestampAttribute(token))
}
