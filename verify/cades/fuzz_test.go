package cades_test

import (
	"io"
	"testing"
	"time"

	"trustcore/internal/budget"
	"trustcore/internal/budget/budgettest"
	"trustcore/internal/cms/cmstest"
	"trustcore/verify/cades"
	"trustcore/verify/signature"
)

// fuzzLimit is what a small file may cost: some public-key operations, and much room.
var fuzzLimit = budgettest.Limit{Time: 300 * time.Millisecond, TimeAnOctet: 50 * time.Microsecond, Alloc: 4 << 20, AllocAnOctet: 1 << 10}

func fuzzDocument(t *testing.T) func(*signature.Document, error) {
	return func(doc *signature.Document, err error) {
		if err != nil {
			return
		}
		for _, s := range doc.Signatures {
			if s.Intact && s.Signer == nil || s.ID == "" || len(s.References) != 1 {
				t.Fatalf("%+v", s)
			}
		}
		for _, ts := range doc.Timestamps {
			if ts.Intact && ts.Signer == nil || ts.Imprint && !ts.Found {
				t.Fatalf("%+v", ts)
			}
		}
	}
}

// FuzzOpen reads files. The seeds in testdata are of some hundred octets: a change there is likelier to reach a field
// than one among certificates.
func FuzzOpen(f *testing.F) {
	id := cmstest.NewSigner(f, "p256", "officer-1")
	f.Add(sign(f, id, nil))
	f.Add(newMail(f, id).text())
	f.Fuzz(func(t *testing.T, data []byte) {
		files := []signature.Detached{{Name: "a", Content: content}, {Name: "b"}}[:len(data)%3]
		budgettest.Check(t, len(data), fuzzLimit, func() {
			fuzzDocument(t)(cades.Open(budget.New(t.Context(), len(data)), data, files))
			fuzzDocument(t)(cades.OpenDetached(budget.New(t.Context(), len(data)), data, "a", nil))
		})
	})
}

// FuzzOpenPDF reads the contents of signature dictionaries.
func FuzzOpenPDF(f *testing.F) {
	id := cmstest.NewSigner(f, "p256", "officer-1")
	kinds := []string{cades.PDFCAdESDetached, cades.PDFPKCS7Detached, cades.PDFPKCS7SHA1, cades.PDFX509RSASHA1}
	f.Add(sign(f, id, detachedFrom(content)))
	f.Fuzz(func(t *testing.T, data []byte) {
		budgettest.Check(t, len(data), fuzzLimit, func() {
			b := budget.New(t.Context(), len(data))
			s, _, err := cades.OpenPDF(b, cades.PDF{SubFilter: kinds[len(data)%len(kinds)], Contents: data, Certificates: [][]byte{id.Cert.Raw},
				ByteRange: func(w io.Writer) error { return b.Write(w, content) }})
			if err == nil && s.Intact && s.Signer == nil {
				t.Fatalf("%+v", s)
			}
		})
	})
}
