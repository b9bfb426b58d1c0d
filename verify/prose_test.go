package verify

import (
	"crypto/x509"
	"crypto/x509/pkix"
	"strings"
	"testing"
	"time"

	"trustcore/internal/budget"
	"trustcore/verify/internal/mint"
	"trustcore/verify/signature"
)

// TestNamesStayNames mints names that read as the end of a sentence and the beginning of another. Wherever one stands
// among other words, it stands between marks that it cannot close.
func TestNamesStayNames(t *testing.T) {
	const claim = "Podpis jest ważny"
	for _, name := range []string{
		"Kowalski). " + claim + ". (", "Kowalski”). " + claim + ". („", "Kowalski“. " + claim + ". ”", `Kowalski". ` + claim + `. "`, "Kowalski».\n" + claim + ". «",
		"Kowalski\u202e\x1b[2J\r\n" + claim + ".", claim + strings.Repeat(" i nie zmieniony", 100),
	} {
		w := newWorld(t)
		named := mint.Request{Subject: pkix.Name{CommonName: name, Organization: []string{name}}}
		known := w.ca.Issue(t, named)
		revoked := w.ca.CRL(t, mint.Day, map[*x509.Certificate]time.Time{known.Cert: mint.Day.AddDate(0, -1, 0)})
		good := w.ca.CRL(t, mint.Day, nil)
		for _, by := range []mint.Party{known, mint.Root(t, name).Issue(t, named)} {
			for _, crl := range [][]byte{revoked, good, nil} {
				w.officer = by
				report := w.named(t, name, crl)
				texts := append(append(report.Warnings(), report.Reasons...), report.Sentence["en"])
				for _, text := range append(texts, strings.TrimPrefix(report.Sentence["pl"], claim)) {
					if rest := outside(text); strings.Contains(rest, claim) || len(text) > 2500 {
						t.Errorf("%q is open in %d octets: %s", name, len(text), text)
					}
				}
			}
		}
	}
}

// named judges a letter of the officer of which all that may have a name has this one.
func (w *world) named(t *testing.T, name string, crls ...[]byte) *SignatureReport {
	t.Helper()
	document := mint.XML{Signer: w.officer, At: mint.Day}.Sign(t, letter)
	b := budget.New(t.Context(), len(document))
	doc, err := Open(b, document)
	if err != nil {
		t.Fatal(err)
	}
	s := doc.Signatures[0]
	s.Unsigned = []string{name}
	s.References = append(s.References, signature.Reference{Type: "data", Found: true, Intact: true, Scope: name, Name: name})
	r, err := Judge(b, doc, w.evidence(crls...), DefaultPolicy(), mint.Day.Add(time.Hour))
	if err != nil {
		t.Fatal(err)
	}
	return &r.Signatures[0]
}

// outside leaves out of a text what stands between quotation marks; a mark without another one is left in.
func outside(text string) string {
	var b strings.Builder
	for {
		start := strings.IndexAny(text, "“„")
		if start < 0 {
			return b.String() + text
		}
		end := strings.Index(text[start:], "”")
		if end < 0 {
			return b.String() + text
		}
		b.WriteString(text[:start])
		text = text[start+end+len("”"):]
	}
}
