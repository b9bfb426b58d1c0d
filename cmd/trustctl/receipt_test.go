package main

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"trustcore/hsm/receipt"
	"trustcore/hsm/seal"
)

// TestReceiptsAreRecognised seals a receipt of each kind and has it verified: it passes, is called what it is, and counts
// as the office's where the list of pins names its seal, for its kind.
func TestReceiptsAreRecognised(t *testing.T) {
	m, anchor, host := newMinting(t)
	dir := t.TempDir()
	pins, err := json.Marshal(map[string]any{"version": 1, "date": "2026-01-01", "receipt_issuers": []any{map[string]any{
		"certificate_sha256": hexOf(m.ec.Certificate.Raw), "spki_sha256": hexOf(m.ec.Certificate.RawSubjectPublicKeyInfo),
		"issuer_spki_sha256": hexOf(m.issuing.RawSubjectPublicKeyInfo), "documents": []string{"upo", "upp"},
		"signed_from": "2020-01-01", "signed_until": "2099-12-31"}}})
	if err != nil {
		t.Fatal(err)
	}
	writeFile(t, dir, "pins.json", string(pins))
	for kind, issuer := range map[receipt.Kind]string{receipt.Official: "pinned", receipt.Submission: "pinned", receipt.Delivery: "none"} {
		text := receiptOf(t, kind)
		sealed, err := seal.XAdES(t.Context(), text, m.ec, seal.XMLOptions{Time: time.Now(), TSA: m.stamp})
		if err != nil {
			t.Fatal(err)
		}
		file := string(kind) + ".xml"
		writeFile(t, dir, file, string(sealed))
		out, err := runVerify(t, "--json", "--offline=false", "--fetch-allow", host, "--anchors", anchor,
			"--pins", filepath.Join(dir, "pins.json"), filepath.Join(dir, file))
		var r struct {
			DocumentType   string `json:"document_type"`
			EvidenceIssuer string `json:"evidence_issuer"`
			Signatures     []struct{ Indication string }
		}
		if err != nil || json.Unmarshal([]byte(out), &r) != nil || len(r.Signatures) != 1 {
			t.Fatalf("%s: %v\n%s", kind, err, out)
		}
		if r.DocumentType != string(kind) || r.EvidenceIssuer != issuer || r.Signatures[0].Indication != "TOTAL-PASSED" {
			t.Errorf("%s: %+v", kind, r)
		}
		changed := strings.Replace(string(sealed), "wniosek.xml", "wniosek.xmI", 1)
		writeFile(t, dir, file, changed)
		out, _ = runVerify(t, "--json", "--anchors", anchor, "--pins", filepath.Join(dir, "pins.json"), filepath.Join(dir, file))
		if changed == string(sealed) || strings.Contains(out, `"document_type"`) || !strings.Contains(out, "HASH_FAILURE") {
			t.Errorf("%s, changed:\n%s", kind, out)
		}
	}
}

func receiptOf(t *testing.T, kind receipt.Kind) []byte {
	t.Helper()
	f := receipt.Facts{Kind: kind, ID: receipt.NewID(kind), Received: time.Now().Add(-time.Second), Issued: time.Now(),
		Addressee: receipt.Party{Name: "Urząd Miasta Przykładowo", ID: "000000000", IDType: "REGON"},
		Sender:    receipt.Party{Name: "Jan Testowy"},
		Document:  receipt.Document{ID: "wniosek.xml", SHA256: hexOf([]byte("wniosek"))}}
	if kind != receipt.Submission {
		f.Issuer = f.Addressee
	}
	text, err := f.XML()
	if err != nil {
		t.Fatal(err)
	}
	return text
}

func hexOf(data []byte) string {
	sum := sha256.Sum256(data)
	return hex.EncodeToString(sum[:])
}
