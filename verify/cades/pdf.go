package cades

import (
	"bytes"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"

	"trustcore/internal/budget"
	"trustcore/internal/cms"
	"trustcore/verify/algorithm"
	"trustcore/verify/cache"
	"trustcore/verify/cades/signerinfo"
	"trustcore/verify/signature"
)

// The kinds of signature in a PDF (ISO 32000-2, table 260): the SubFilter entry.
const (
	PDFCAdESDetached = "ETSI.CAdES.detached"
	PDFPKCS7Detached = "adbe.pkcs7.detached"
	PDFPKCS7SHA1     = "adbe.pkcs7.sha1"
	PDFX509RSASHA1   = "adbe.x509.rsa_sha1"
)

// PDF is what a signature dictionary of a PDF gives.
type PDF struct {
	SubFilter string
	Contents  []byte // the octets of Contents, padding included
	// Certificates are the strings of the Cert entry; adbe.x509.rsa_sha1 has them, signer first.
	Certificates [][]byte
	// ByteRange writes the octets that the byte range covers; it may be called more than once.
	ByteRange func(w io.Writer) error
}

// OpenPDF reads the signature of one signature dictionary. Its format is PAdES for
// ETSI.CAdES.detached and PDF else; the level counts the CMS alone, the caller adds what the
// document's security store and document time-stamps make of it. The SignedData is what Contents holds, nil for
// adbe.x509.rsa_sha1. The one reference is the byte range;
// its Scope is the caller's to fill. The error says that Contents holds no signature of the kind, or is that of the
// budget; where the budget ends later, the signature is Unchecked.
func OpenPDF(b *budget.Budget, p PDF) (*signature.Signature, *cms.SignedData, error) {
	if p.ByteRange == nil {
		return nil, nil, errors.New("PDF signature: no byte range")
	}
	if p.SubFilter == PDFX509RSASHA1 {
		s, err := openX509(b, p)
		return s, nil, err
	}
	if err := b.Work(cms.ParseWork(len(p.Contents))); err != nil {
		return nil, nil, err
	}
	sd, err := cms.Parse(p.Contents)
	if err != nil {
		return nil, nil, fmt.Errorf("PDF signature: %w", err)
	}
	if len(sd.Signers) == 0 {
		return nil, nil, errors.New("PDF signature: the CMS has no signer")
	}
	d := newDocument(b, sd, signature.PDF)
	d.extra = signerinfo.NewPool(b, p.Certificates)
	if p.SubFilter == PDFCAdESDetached {
		d.format = signature.PAdES
	}
	byteRange := signerinfo.NewContent(b, p.ByteRange)
	if p.SubFilter == PDFPKCS7SHA1 {
		d.contents = d.candidates(nil)
	} else {
		d.contents = []content{{byteRange, "byte range", ""}}
	}
	s := d.signer(sd.Signers[0])
	s.pdfReference(byteRange, p.SubFilter)
	s.pdfStructure(p.SubFilter)
	if err := b.Err(); err != nil {
		s.Unchecked = err.Error()
	}
	return s.Signature, sd, nil
}

// pdfReference turns the message digest into a statement about the byte range. For adbe.pkcs7.sha1
// the CMS is about the SHA-1 of the byte range, which is one more step.
func (s *signer) pdfReference(byteRange *signerinfo.Content, subFilter string) {
	r := &s.References[0]
	r.Name, r.Type, r.Full = "byte range", "byte-range", false
	if subFilter != PDFPKCS7SHA1 {
		r.Intact = r.Intact && !s.doc.signed.Content.Present // which the digest would be about
		return
	}
	s.Algorithms = append(s.Algorithms, signature.AlgorithmUse{Purpose: "reference", Algorithm: algorithm.SHA1.Name()})
	sum, err := byteRange.Digest(algorithm.SHA1)
	r.Found = err == nil
	r.Intact = r.Intact && r.Found && bytes.Equal(sum, s.doc.signed.Content.Bytes())
}

// pdfStructure checks what PDF demands of the CMS (ISO 32000-2, 12.8.3.3; EN 319 142-1, 4.1).
func (s *signer) pdfStructure(subFilter string) {
	sd := s.doc.signed
	if len(sd.Signers) != 1 {
		s.Structure = append(s.Structure, fmt.Sprintf("the CMS of a PDF signature has %d signers, not one", len(sd.Signers)))
	}
	if subFilter != PDFPKCS7SHA1 && sd.Content.Present {
		s.Structure = append(s.Structure, "the CMS of a detached PDF signature has a content of its own")
	}
	if !blank(sd.Rest) {
		s.Structure = append(s.Structure, fmt.Sprintf("%d octets after the CMS are not padding", len(sd.Rest)))
	}
}

// sha1WithRSA is the AlgorithmIdentifier that adbe.x509.rsa_sha1 implies.
var sha1WithRSA = []byte("\x30\x0d\x06\x09\x2a\x86\x48\x86\xf7\x0d\x01\x01\x05\x05\x00")

// openX509 is adbe.x509.rsa_sha1: Contents is an OCTET STRING with the RSA value over the byte range,
// the certificates stand in the dictionary (ISO 32000-1, 12.8.3.2).
func openX509(b *budget.Budget, p PDF) (*signature.Signature, error) {
	value, err := cms.OctetString(p.Contents)
	if err != nil {
		return nil, fmt.Errorf("PDF signature: %w", err)
	}
	scheme, err := algorithm.FromCertificate(sha1WithRSA)
	if err != nil {
		return nil, fmt.Errorf("PDF signature: %w", err)
	}
	sum := sha256.Sum256(value)
	s := &signature.Signature{ID: fmt.Sprintf("S-%x", sum[:12]), Format: signature.PDF, Value: sum, SignatureValue: value}
	s.Carry(signature.Values{Origin: signature.SignedData, Certificates: p.Certificates})
	r := signature.Reference{Name: "byte range", Type: "byte-range"}
	use := signature.AlgorithmUse{Purpose: "signature", Algorithm: scheme.Name()}
	digest, err := signerinfo.NewContent(b, p.ByteRange).Digest(scheme.Hash())
	r.Found = err == nil
	r.Digest = signature.Digest{Algorithm: scheme.Hash().Name(), Value: digest}
	s.DataToBeSigned = r.Digest
	if len(p.Certificates) > 0 {
		s.Signer = p.Certificates[0]
		bits, notes, err := verifyWith(b, s.Signer, scheme, digest, value)
		use.KeyBits, s.Notes = bits, notes
		s.Intact = r.Found && err == nil
		r.Intact = s.Intact
	}
	s.References, s.Algorithms = []signature.Reference{r}, []signature.AlgorithmUse{use}
	return s, nil
}

func verifyWith(b *budget.Budget, der []byte, scheme algorithm.Scheme, digest, value []byte) (bits int, notes []string, err error) {
	cert, err := cache.Certificate(b, der)
	if err != nil {
		return 0, nil, err
	}
	key, err := cert.Key()
	if err != nil {
		return 0, nil, err
	}
	if err := b.Work(key.Cost()); err != nil {
		return key.Bits(), nil, err
	}
	notes, err = scheme.VerifyDigest(key, digest, value)
	return key.Bits(), notes, err
}
