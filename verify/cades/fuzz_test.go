package cades_test

import (
	"bytes"
	"io"
	"testing"

	"trustcore/internal/budget"
	"trustcore/internal/cms"
	"trustcore/internal/cms/cmstest"
	"trustcore/verify/cades"
	"trustcore/verify/signature"
)

// FuzzOpen reads files and, as the CMS of a PDF, the same octets.
func FuzzOpen(f *testing.F) {
	id, tsu := cmstest.NewSigner(f, "p256", "officer-1"), cmstest.NewTSU(f, "p256", "TSU 1")
	der := sign(f, id, nil)
	f.Add(der)
	sd, err := cms.Parse(der)
	if err != nil {
		f.Fatal(err)
	}
	token := tsu.Stamp(f, sd.Signers[0].Signature, cmstest.Now)
	for _, typ := range []cms.OID{cms.OIDSignatureTimestamp, cms.OIDArchiveTimestampV2, cms.OIDArchiveTimestampV3, cms.OIDCounterSignature} {
		value := token
		if typ == cms.OIDCounterSignature {
			value = sd.Signers[0].Raw
		}
		if der, err = cms.AddUnsignedAttribute(der, 0, cms.NewAttribute(typ, value)); err != nil {
			f.Fatal(err)
		}
		f.Add(der)
	}
	f.Add(sign(f, id, detachedFrom(content)))
	f.Fuzz(func(t *testing.T, data []byte) {
		files := []signature.Detached{{Name: "a", Content: content}, {Name: "b", Content: nil}}
		if doc, err := cades.Open(budget.New(t.Context(), len(data)), data, files); err == nil {
			for _, s := range doc.Signatures {
				if s.Intact && s.Signer == nil || s.ID == "" || len(s.References) != 1 {
					t.Fatalf("%+v", s)
				}
			}
		}
		for _, kind := range []string{cades.PDFCAdESDetached, cades.PDFPKCS7SHA1, cades.PDFX509RSASHA1} {
			_, _ = cades.OpenPDF(budget.New(t.Context(), len(data)), cades.PDF{SubFilter: kind, Contents: data, Certificates: [][]byte{id.Cert.Raw},
				ByteRange: func(w io.Writer) error { _, err := io.Copy(w, bytes.NewReader(content)); return err }})
		}
	})
}
