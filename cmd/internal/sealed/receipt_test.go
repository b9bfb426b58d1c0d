package sealed

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"slices"
	"strings"
	"testing"
	"time"

	"trustcore/hsm/receipt"
	"trustcore/hsm/seal"
	"trustcore/verify"
	"trustcore/verify/signature"
)

// receivedName is the name of the document that receipts of this test confirm, pdfDocument.
const receivedName = "wniosek nr 1 (ąę).pdf"

// receipt seals an official receipt whose seal names the document that it confirms.
func (h *house) receipt(t testing.TB, level seal.Level, by seal.Signer) []byte {
	t.Helper()
	sum, now := sha256.Sum256(pdfDocument()), time.Now().Truncate(time.Second)
	party := receipt.Party{Name: "Urząd Miasta Przykładowo"}
	text, err := receipt.Facts{Kind: receipt.Official, ID: receipt.NewID(receipt.Official), Issuer: party, Addressee: party,
		Sender: receipt.Party{Name: "Jan Kowalski"}, Received: now, Issued: now,
		Document: receipt.Document{ID: receivedName, SHA256: hex.EncodeToString(sum[:])}}.XML()
	if err != nil {
		t.Fatal(err)
	}
	options := h.options(form{format: seal.FormatXAdES, packaging: seal.Enveloped}, level)
	options.Mentions = []seal.Mention{{Name: receivedName, MimeType: "application/pdf", SHA256: sum}}
	sealed, err := seal.Seal(t.Context(), []seal.Document{{MimeType: "text/xml", Content: text}}, by, options)
	if err != nil {
		t.Fatalf("%s: %v", level, err)
	}
	return sealed
}

// judged is what our verifier says of a receipt, with these documents at hand.
func (h *house) judged(t *testing.T, sealed []byte, beside ...signature.Detached) *verify.SignatureReport {
	t.Helper()
	r, err := h.verifier.Verify(t.Context(), verify.Request{Document: sealed, Detached: beside})
	if err != nil || len(r.Signatures) != 1 {
		t.Fatalf("%d signatures, %v", len(r.Signatures), err)
	}
	return &r.Signatures[0]
}

// The seal of a receipt proves which document it confirms to who has it; who lacks it is told so, and finds the seal valid;
// who has another one is told that it is another.
func TestReceiptNamesItsDocument(t *testing.T) {
	h := newHouse(t)
	for _, level := range []seal.Level{seal.LevelLT, seal.LevelLTA} {
		sealed := h.receipt(t, level, h.signers["RSA"])
		absent := func(s *verify.SignatureReport) bool {
			return slices.ContainsFunc(s.Notes, func(n string) bool {
				return strings.Contains(n, "not at hand, and not checked: 1 entries of a manifest")
			})
		}
		if s := h.judged(t, sealed); s.Indication != verify.TotalPassed || s.Level != string(level) || !absent(s) {
			t.Errorf("%s alone: %s, %s, %v, %v", level, s.Indication, s.Level, s.Reasons, s.Notes)
		}
		for what, name := range map[string]string{"with its document": receivedName, "under another name": "x.pdf"} {
			s := h.judged(t, sealed, signature.Detached{Name: name, Content: pdfDocument()})
			if s.Indication != verify.TotalPassed || s.Level != string(level) || absent(s) {
				t.Errorf("%s %s: %s, %s, %v, %v", level, what, s.Indication, s.Level, s.Reasons, s.Notes)
			}
		}
		other := append(pdfDocument(), ' ')
		if s := h.judged(t, sealed, signature.Detached{Name: receivedName, Content: other}); s.Indication != verify.TotalFailed {
			t.Errorf("%s with another document: %s %s", level, s.Indication, s.SubIndication)
		}
		changed := bytes.Replace(sealed, []byte(`URI="wniosek`), []byte(`URI="winosek`), 1)
		if s := h.judged(t, changed); bytes.Equal(changed, sealed) || s.Indication == verify.TotalPassed {
			t.Errorf("%s with a changed manifest: %s", level, s.Indication)
		}
	}
}
