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
	Evidence Gather // nil for none; it is put into the CMS, at most 48 KB; needs TSA
}

// Room in the PDF for what comes after the digest is known: signature and attributes, and a time-stamp with its chain.
const (
	roomForSignature = 4 << 10
	roomForTimestamp = 12 << 10
	roomForEvidence  = 48 << 10
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
	if opts.Evidence != nil && opts.TSA == nil {
		return nil, fmt.Errorf("sealing a PDF: %w", errNoTSA)
	}
	how, err := signer.method()
	if err != nil {
		return nil, fmt.Errorf("sealing a PDF: %w", err)
	}
	prepared, err := pdf.Prepare(document, pdf.SignOptions{
		SubFilter: pdf.SubFilterCAdES, ContentsSize: room(signer, opts), Time: opts.Time,
		FieldName: opts.Field, Name: opts.Name, Reason: opts.Reason, Location: opts.Location,
	})
	if err != nil {
		return nil, fmt.Errorf("sealing a PDF: %w", err)
	}
	digest, err := prepared.Digest(how.hash)
	if err != nil {
		return nil, fmt.Errorf("sealing a PDF: %w", err)
	}
	signedData, err := cadesFor(ctx, signer, how, digest, opts)
	if err != nil {
		return nil, fmt.Errorf("sealing a PDF: %w", err)
	}
	return prepared.Finish(signedData)
}

// room is how long the CMS may become.
func room(signer Signer, opts PDFOptions) int {
	size := roomForSignature + len(signer.Certificate.Raw)
	for _, c := range signer.Chain {
		size += len(c.Raw)
	}
	if opts.TSA != nil {
		size += roomForTimestamp
	}
	if opts.Evidence != nil {
		size += roomForEvidence
	}
	return size
}

// cadesFor makes the detached CMS over a digest, without a claimed time: in a PDF that stands in the dictionary (EN 319 142-1, 6.3).
func cadesFor(ctx context.Context, signer Signer, how method, digest []byte, opts PDFOptions) ([]byte, error) {
	signedData, err := cms.Sign(cms.SignConfig{
		Signer: bound{signer.Key, ctx}, Certificate: signer.Certificate.Raw, Certificates: signer.chain(),
		Hash: how.hash, PSS: how.pss, Digest: digest,
	})
	if err != nil || opts.TSA == nil {
		return signedData, err
	}
	parsed, err := cms.Parse(signedData)
	if err != nil {
		return nil, err
	}
	if len(parsed.Signers) != 1 {
		return nil, errors.New("the new signature can't be read back")
	}
	token, err := opts.TSA(ctx, how.hash, digestOf(how.hash, parsed.Signers[0].Signature))
	if err != nil {
		return nil, err
	}
	signedData, err = cms.AddUnsignedAttribute(signedData, 0, cms.NewTimestampAttribute(token))
	if err != nil || opts.Evidence == nil {
		return signedData, err
	}
	e, err := opts.Evidence(ctx)
	if err != nil {
		return nil, fmt.Errorf("gathering evidence: %w", err)
	}
	return cms.AddEvidence(signedData, e.Certificates, e.CRLs, e.OCSPs)
}
