package receipt_test

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"errors"
	"math/big"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"trustcore/hsm/receipt"
	"trustcore/hsm/seal"
	"trustcore/internal/xmldsig"
)

// facts are those of a receipt of the kind, with all that it may say.
func facts(k receipt.Kind) receipt.Facts {
	warsaw := time.FixedZone("", 2*60*60)
	f := receipt.Facts{Kind: k, ID: "UPP-1", Received: time.Date(2026, 5, 29, 10, 16, 3, 0, warsaw),
		Issued:    time.Date(2026, 5, 29, 10, 16, 4, 0, warsaw),
		Addressee: receipt.Party{Name: `Urząd Gminy "Zmyślona" <&>`, ID: "GminaZm", IDType: "ePUAP-ID"},
		Sender:    receipt.Party{Name: "Jan Testowy"},
		Document:  receipt.Document{ID: "wniosek.xml", SHA256: strings.Repeat("0a", 32)},
		Notes:     []receipt.Note{{Type: `Źródło "&"`, Text: "Poświadczenie testowe ]]>"}}}
	if k != receipt.Submission {
		f.Issuer, f.Case = receipt.Party{Name: "Urząd Miasta", ID: "123456785", IDType: "REGON"}, "OR.272.1/2026"
	}
	return f
}

func written(t *testing.T, f receipt.Facts) []byte {
	t.Helper()
	text, err := f.XML()
	if err != nil {
		t.Fatal(err)
	}
	return text
}

// validate has libxml2 hold a document against the schema of the kind.
func validate(t *testing.T, k receipt.Kind, document []byte) error {
	t.Helper()
	xmllint, err := exec.LookPath("xmllint")
	if err != nil {
		t.Skip("xmllint is not installed (apt-get install libxml2-utils)")
	}
	dir := t.TempDir()
	for name, text := range map[string][]byte{"schema.xsd": receipt.Schema(k), "receipt.xml": document} {
		if err := os.WriteFile(filepath.Join(dir, name), text, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	out, err := exec.CommandContext(t.Context(), xmllint, "--noout", "--nonet", "--schema", filepath.Join(dir, "schema.xsd"),
		filepath.Join(dir, "receipt.xml")).CombinedOutput()
	if err != nil {
		return errors.New(string(out))
	}
	return nil
}

// TestReceiptsFulfilTheirSchema: each kind, whole and with as little as it may have, is in canonical form and valid,
// as it is written and sealed; and the schema refuses what lacks a field.
func TestReceiptsFulfilTheirSchema(t *testing.T) {
	signer := newSigner(t)
	for _, k := range receipt.Kinds {
		least := facts(k)
		least.Case, least.Notes = "", nil
		least.Addressee.ID, least.Addressee.IDType = "", ""
		for name, f := range map[string]receipt.Facts{"whole": facts(k), "least": least} {
			text := written(t, f)
			parsed, err := xmldsig.Parse(text, xmldsig.DefaultLimits)
			if err != nil {
				t.Fatal(err)
			}
			canonical, err := parsed.Root().Canonical(xmldsig.Canonicalization{Form: xmldsig.Exclusive})
			if err != nil || !bytes.Equal(canonical, text) {
				t.Errorf("%s, %s: %v: not canonical:\n%s\n%s", k, name, err, text, canonical)
			}
			if err := validate(t, k, text); err != nil {
				t.Errorf("%s, %s: %v\n%s", k, name, err, text)
			}
			sealed, err := seal.XAdES(t.Context(), text, signer, seal.XMLOptions{Time: time.Now()})
			if err != nil {
				t.Fatal(err)
			}
			if err := validate(t, k, sealed); err != nil {
				t.Errorf("%s, %s, sealed: %v", k, name, err)
			}
		}
		text := string(written(t, facts(k)))
		for _, spoilt := range []string{
			strings.Replace(text, "wniosek.xml", "", 1),
			strings.Replace(text, "2026-05-29T10:16:03+02:00", "2026-05-29T10:16:03", 1),
			strings.Replace(text, "Adresat>", "Adresaci>", 2),
		} {
			if spoilt == text || validate(t, k, []byte(spoilt)) == nil {
				t.Errorf("%s: the schema takes\n%s", k, spoilt)
			}
		}
	}
}

func newSigner(t *testing.T) seal.Signer {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "Urząd"},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour)}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	certificate, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	return seal.Signer{Key: key, Certificate: certificate}
}

// TestWhatAReceiptSays: what was given stands in it, once, where readers of ePUAP's look for it.
func TestWhatAReceiptSays(t *testing.T) {
	const digest = "0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a"
	note := `<pos:InformacjaUzupelniajaca TypInformacjiUzupelniajacej="Skrót SHA-256 dokumentu">` + digest + `</`
	for k, wanted := range map[receipt.Kind][]string{
		receipt.Submission: {`<pos:Dokument xmlns:pos="http://crd.gov.pl/xml/schematy/UPO/2008/05/09/"><pos:UPP>`, note,
			`<pos:Adresat><pos:Nazwa>Urząd Gminy "Zmyślona" &lt;&amp;&gt;</pos:Nazwa>`,
			`<pos:IdentyfikatorPodmiotu TypIdentyfikatora="ePUAP-ID">GminaZm</pos:IdentyfikatorPodmiotu></pos:Adresat>`,
			`<pos:Nadawca><pos:Nazwa>Jan Testowy</pos:Nazwa></pos:Nadawca>`,
			`<pos:DataDoreczenia>2026-05-29T10:16:03+02:00</pos:DataDoreczenia>`,
			`TypInformacjiUzupelniajacej="Źródło &quot;&amp;&quot;">Poświadczenie testowe ]]&gt;</`},
		receipt.Delivery: {`<pos:UPD>`, note, `<pos:DataOdbioru>2026-05-29T10:16:03+02:00</pos:DataOdbioru>`,
			`<pos:IdentyfikatorSprawy>OR.272.1/2026</pos:IdentyfikatorSprawy>`, `="Nadawca dokumentu">Jan Testowy</`},
		receipt.Official: {`<upo:Dokument xmlns:upo="urn:trustcore:receipt:upo:1"><upo:UPO>`,
			`<upo:SkrotDokumentu Algorytm="SHA-256">` + digest + `</upo:SkrotDokumentu>`},
	} {
		text := string(written(t, facts(k)))
		for _, w := range wanted {
			if strings.Count(text, w) != 1 {
				t.Errorf("%s: %q stands %d times in\n%s", k, w, strings.Count(text, w), text)
			}
		}
	}
	if a, b := receipt.NewID(receipt.Official), receipt.NewID(receipt.Official); a == b || !strings.HasPrefix(a, "UPO-") {
		t.Errorf("%s, %s", a, b)
	}
}

// TestHostileFactsAreRefused names the field of what no receipt may say.
func TestHostileFactsAreRefused(t *testing.T) {
	long := func(n int) string { return strings.Repeat("ą", n) }
	for name, c := range map[string]struct {
		kind  receipt.Kind
		spoil func(*receipt.Facts)
		field string
	}{
		"another kind":          {receipt.Official, func(f *receipt.Facts) { f.Kind = "npp" }, "kind"},
		"no id":                 {receipt.Official, func(f *receipt.Facts) { f.ID = "" }, "id"},
		"a long id":             {receipt.Official, func(f *receipt.Facts) { f.ID = long(101) }, "id"},
		"no addressee":          {receipt.Delivery, func(f *receipt.Facts) { f.Addressee = receipt.Party{} }, "addressee.name"},
		"no sender":             {receipt.Submission, func(f *receipt.Facts) { f.Sender = receipt.Party{} }, "sender.name"},
		"no issuer":             {receipt.Delivery, func(f *receipt.Facts) { f.Issuer = receipt.Party{} }, "issuer.name"},
		"issuer of an UPP":      {receipt.Submission, func(f *receipt.Facts) { f.Issuer.Name = "X" }, "issuer"},
		"case of an UPP":        {receipt.Submission, func(f *receipt.Facts) { f.Case = "1" }, "case"},
		"a long name":           {receipt.Official, func(f *receipt.Facts) { f.Sender.Name = long(301) }, "sender.name"},
		"an id without a type":  {receipt.Official, func(f *receipt.Facts) { f.Sender.ID = "1" }, "sender.id_type"},
		"a type without an id":  {receipt.Official, func(f *receipt.Facts) { f.Sender.IDType = "PESEL" }, "sender.id"},
		"a line break":          {receipt.Official, func(f *receipt.Facts) { f.Sender.Name = "a\nb" }, "sender.name"},
		"a null":                {receipt.Official, func(f *receipt.Facts) { f.Sender.Name = "a\x00b" }, "sender.name"},
		"a turned direction":    {receipt.Official, func(f *receipt.Facts) { f.Sender.Name = "a\u202eb" }, "sender.name"},
		"no width":              {receipt.Official, func(f *receipt.Facts) { f.Sender.Name = "a\u200bb" }, "sender.name"},
		"no character of XML":   {receipt.Official, func(f *receipt.Facts) { f.Sender.Name = "a\ufffeb" }, "sender.name"},
		"other than UTF-8":      {receipt.Official, func(f *receipt.Facts) { f.Sender.Name = "a\xffb" }, "sender.name"},
		"half a surrogate":      {receipt.Official, func(f *receipt.Facts) { f.Sender.Name = "a\xed\xa0\x80b" }, "sender.name"},
		"a replacement":         {receipt.Official, func(f *receipt.Facts) { f.Sender.Name = "a\ufffdb" }, "sender.name"},
		"a space in front":      {receipt.Official, func(f *receipt.Facts) { f.Sender.Name = " a" }, "sender.name"},
		"a space behind":        {receipt.Official, func(f *receipt.Facts) { f.Sender.Name = "a " }, "sender.name"},
		"two spaces":            {receipt.Official, func(f *receipt.Facts) { f.Sender.Name = "a  b" }, "sender.name"},
		"no time of receipt":    {receipt.Official, func(f *receipt.Facts) { f.Received = time.Time{} }, "received"},
		"no time of issue":      {receipt.Official, func(f *receipt.Facts) { f.Issued = time.Time{} }, "issued"},
		"issued before":         {receipt.Official, func(f *receipt.Facts) { f.Issued = f.Received.Add(-time.Second) }, "received"},
		"year 10000":            {receipt.Official, func(f *receipt.Facts) { f.Issued = time.Date(10000, 1, 1, 0, 0, 0, 0, time.UTC) }, "issued"},
		"no document":           {receipt.Official, func(f *receipt.Facts) { f.Document.ID = "" }, "document.id"},
		"no digest":             {receipt.Official, func(f *receipt.Facts) { f.Document.SHA256 = "" }, "document.sha256"},
		"a digest in capitals":  {receipt.Official, func(f *receipt.Facts) { f.Document.SHA256 = strings.Repeat("0A", 32) }, "document.sha256"},
		"a digest and a line":   {receipt.Official, func(f *receipt.Facts) { f.Document.SHA256 += "\n" }, "document.sha256"},
		"many notes":            {receipt.Official, func(f *receipt.Facts) { f.Notes = make([]receipt.Note, 21) }, "notes"},
		"a note without a type": {receipt.Official, func(f *receipt.Facts) { f.Notes[0].Type = "" }, "notes[0].type"},
		"a long note":           {receipt.Official, func(f *receipt.Facts) { f.Notes[0].Text = long(1001) }, "notes[0].text"},
		"a second digest":       {receipt.Submission, func(f *receipt.Facts) { f.Notes[0].Type = "Skrót SHA-256 dokumentu" }, "notes[0].type"},
	} {
		f := facts(c.kind)
		c.spoil(&f)
		text, err := f.XML()
		var wrong *receipt.FieldError
		if !errors.As(err, &wrong) || wrong.Field != c.field || wrong.Remedy == "" {
			t.Errorf("%s: %v; want a refusal of %s\n%s", name, err, c.field, text)
		}
	}
}

// FuzzXML: whatever is taken as a fact stands in the receipt as it was given, and makes no element of its own.
func FuzzXML(f *testing.F) {
	for _, seed := range []string{"a", "</pos:Nazwa><pos:Nazwa>", `" x="`, "&#10;", "]]>", "<!--", "\u202e", "\r", "ą\u0308", "\U0010ffff", "\ufdd0", "\ue000"} {
		f.Add(seed, "upp")
	}
	f.Add("x", "upd")
	f.Add("x", "upo")
	f.Fuzz(func(t *testing.T, given, kind string) {
		said := facts(receipt.Kind(kind))
		said.Sender.Name, said.Document.ID = given, given
		said.Sender.ID, said.Sender.IDType = "1", given
		text, err := said.XML()
		if err != nil {
			return
		}
		d, err := xmldsig.Parse(text, xmldsig.DefaultLimits)
		if err != nil {
			t.Fatalf("%q: %v\n%s", given, err, text)
		}
		count := 0
		for n := range d.Root().Descendants(d.Root().Space(), "IdentyfikatorDokumentu") {
			count++
			if n.Text() != given {
				t.Errorf("%q reads as %q", given, n.Text())
			}
		}
		if count != 1 {
			t.Errorf("%q: %d elements", given, count)
		}
	})
}
