package picture_test

import (
	"encoding/xml"
	"errors"
	"io"
	"strings"
	"testing"
	"time"

	"trustcore/verify"
	"trustcore/verify/picture"
)

func at(text string) time.Time {
	t, err := time.Parse(time.RFC3339, text)
	if err != nil {
		panic(err)
	}
	return t
}

// signed is a signature with all that a picture may show.
func signed() *verify.SignatureReport {
	claimed, stamped, kept := at("2024-05-02T09:00:00Z"), at("2024-05-02T09:01:00Z"), at("2025-01-01T00:00:00Z")
	return &verify.SignatureReport{
		Indication: verify.TotalPassed, BestSignatureTime: stamped, SigningTime: &claimed,
		Timestamps: []verify.TimestampReport{{Indication: verify.Passed, Time: &stamped, SignedBy: `Example <TSA> & "Sons"`},
			{Indication: verify.Indeterminate, SignedBy: "Unread"}},
		EvidenceRecords: []verify.EvidenceRecordReport{{Indication: verify.Passed, Time: &kept}},
		Chain: []verify.Certificate{
			{Subject: `SN=Kowalska,CN=Anna Kowalska\, radca,C=PL`, NotBefore: at("2023-01-01T00:00:00Z"), NotAfter: at("2026-01-01T00:00:00Z"), Status: "good (OCSP)"},
			{Subject: "CN=Issuing CA", NotBefore: at("2020-01-01T00:00:00Z"), NotAfter: at("2030-01-01T00:00:00Z"), Status: "unknown"},
			{Subject: "O=No common name", NotBefore: at("2015-01-01T00:00:00Z"), NotAfter: at("2040-01-01T00:00:00Z"), Anchor: true},
		},
	}
}

// read parses a picture as XML and returns its texts, in their order, and its text alternative.
func read(t *testing.T, svg string) (texts []string, alternative string) {
	t.Helper()
	d := xml.NewDecoder(strings.NewReader(svg))
	var element string
	for {
		token, err := d.Token()
		if errors.Is(err, io.EOF) {
			return texts, alternative
		}
		if err != nil {
			t.Fatalf("%v in %s", err, svg)
		}
		switch token := token.(type) {
		case xml.StartElement:
			element = token.Name.Local
			for _, a := range token.Attr {
				if a.Name.Local == "style" || strings.HasPrefix(a.Name.Local, "on") {
					t.Errorf("%s has %s, which no strict policy lets through", element, a.Name.Local)
				}
			}
		case xml.CharData:
			switch element {
			case "text":
				texts = append(texts, string(token))
			case "desc":
				alternative = string(token)
			}
		}
	}
}

func TestTimelineIsInOrder(t *testing.T) {
	texts, alternative := read(t, picture.Timeline(signed(), at("2025-06-01T00:00:00Z"), "pl").SVG("a"))
	want := []string{"Początek ważności certyfikatu", "Czas podany przez podpisującego", `Znacznik czasu: Example <TSA> & "Sons"`,
		"Podpis istniał najpóźniej", "Rekord dowodowy", "Sprawdzenie podpisu", "Koniec ważności certyfikatu"}
	for i, label := range want {
		if 2*i >= len(texts) || !strings.HasPrefix(texts[2*i], label) {
			t.Fatalf("event %d: want %q in %q", i, label, texts)
		}
	}
	if texts[5] != "2024-05-02 11:01 · potwierdzono" {
		t.Errorf("the time-stamp: %q, want Warsaw's time", texts[5])
	}
	for _, part := range []string{`Znacznik czasu: Example <TSA> & "Sons" – 2024-05-02 11:01 · potwierdzono.`, "Czas podany przez podpisującego – 2024-05-02 11:00."} {
		if !strings.Contains(alternative, part) {
			t.Errorf("the text alternative lacks %q: %s", part, alternative)
		}
	}
}

func TestChainIsATree(t *testing.T) {
	texts, alternative := read(t, picture.Chain(signed(), "en").SVG("a"))
	want := []string{"O=No common name", "source of trust · valid until 2040-01-01", "Issuing CA", "issuer · valid until 2030-01-01", "not known whether revoked", "Anna Kowalska, radca",
		"signer · valid until 2026-01-01", "not revoked", `Time-stamp: Example <TSA> & "Sons"`, "2024-05-02 11:01", "confirmed", "Time-stamp: Unread", "The time can't be read"}
	if len(texts) != len(want) {
		t.Fatalf("%q", texts)
	}
	for i := range want {
		if !strings.HasPrefix(texts[i], want[i]) {
			t.Errorf("text %d: %q, want %q", i, texts[i], want[i])
		}
	}
	if !strings.Contains(alternative, "issuer · valid until 2030-01-01 – not known whether revoked.") {
		t.Errorf("the text alternative: %s", alternative)
	}
}

// TestChainWithoutAnEnd says that nobody trusted was found, and marks what is revoked.
func TestChainWithoutAnEnd(t *testing.T) {
	s := signed()
	s.Chain = s.Chain[:1]
	s.Chain[0].Status = "revoked (CRL)"
	svg := picture.Chain(s, "pl").SVG("a")
	texts, _ := read(t, svg)
	if texts[0] != "Brak wystawcy, któremu można zaufać" || texts[3] != "unieważniony" || !strings.Contains(svg, `"box bad"`) {
		t.Errorf("%q", texts)
	}
	texts, _ = read(t, picture.Chain(&verify.SignatureReport{}, "pl").SVG("a"))
	if len(texts) != 1 {
		t.Errorf("of nothing: %q", texts)
	}
}

// TestLanguagesSayTheSame keeps one language from having a text that the other lacks.
func TestLanguagesSayTheSame(t *testing.T) {
	pl, _ := read(t, picture.Timeline(signed(), at("2025-06-01T00:00:00Z"), "pl").SVG("a"))
	en, _ := read(t, picture.Timeline(signed(), at("2025-06-01T00:00:00Z"), "en").SVG("a"))
	if len(pl) != len(en) {
		t.Errorf("%q, %q", pl, en)
	}
	for i := 0; i < len(pl); i += 2 {
		if pl[i] == en[i] || pl[i] == "" {
			t.Errorf("%q is said alike", pl[i])
		}
	}
}

func TestCommonName(t *testing.T) {
	for subject, want := range map[string]string{
		"CN=a,O=b": "a", "O=b,CN=a": "a", `O=x\,CN=no,CN=a\,b`: "a,b", "SN=1+CN=a": "a", "O=b": "O=b", "": "",
	} {
		if got := picture.CommonName(subject); got != want {
			t.Errorf("%s: %q, want %q", subject, got, want)
		}
	}
}
