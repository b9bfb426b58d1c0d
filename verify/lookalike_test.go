package verify

import (
	"bytes"
	"crypto"
	"crypto/sha256"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/hex"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"trustcore/internal/budget"
	"trustcore/internal/cms"
	"trustcore/internal/pdf"
	"trustcore/verify/internal/mint"
	"trustcore/verify/judge"
	"trustcore/verify/path"
	"trustcore/verify/poland"
	"trustcore/verify/trustlist"
)

// The names of the minister's seal, which anybody can put into a certificate.
const (
	ministerID   = "VATPL-5252955037"
	ministerName = "Minister do spraw informatyzacji - pieczęć podpisu zaufanego"

	goodPESEL, badPESEL = "44051401359", "44051401358"
)

func ministerSubject() pkix.Name {
	return pkix.Name{CommonName: ministerName, Organization: []string{"Ministerstwo Cyfryzacji"}, Country: []string{"PL"},
		ExtraNames: []pkix.AttributeTypeAndValue{{Type: []int{2, 5, 4, 97}, Value: ministerID}}}
}

func epSignature(pesel string) string {
	return `<pz:EPSignature xmlns:pz="http://crd.gov.pl/xml/schematy/podpis_zaufany/"><pz:NaturalPerson>` +
		`<pz:CurrentFamilyName>PRZYKŁADOWA</pz:CurrentFamilyName><pz:FirstName>ANNA</pz:FirstName>` +
		`<pz:PersonalIdentifier>` + pesel + `</pz:PersonalIdentifier></pz:NaturalPerson></pz:EPSignature>`
}

func podpisZP(pesel string) string {
	return `<pp:PodpisZP xmlns:pp="http://crd.gov.pl/xml/schematy/ppzp/"><pp:DaneZP><pp:DaneZPOsobyFizycznej>` +
		`<os:Nazwisko xmlns:os="http://crd.gov.pl/xml/schematy/osoba/2009/03/06/">PRZYKŁADOWA</os:Nazwisko>` +
		`<os:Imie xmlns:os="http://crd.gov.pl/xml/schematy/osoba/2009/03/06/">ANNA</os:Imie>` +
		`<os:PESEL xmlns:os="http://crd.gov.pl/xml/schematy/osoba/2009/03/06/">` + pesel + `</os:PESEL>` +
		`</pp:DaneZPOsobyFizycznej></pp:DaneZP></pp:PodpisZP>`
}

func reasonOf(pesel string) string {
	return "Opatrzono pieczęcią ministra właściwego do spraw informatyzacji w imieniu: ANNA PRZYKŁADOWA, PESEL: " + pesel +
		", PZ ID: anna_p1"
}

// polish is a small Poland: a listed authority with the minister's seal, the authorities of the identity cards, one of the
// past, and an office's own. Its pins are a file, as an installation gives one.
type polish struct {
	listed, office, cards, cohort, presence, archive mint.Party
	minister                                         mint.Party
	pins                                             *poland.Pins
	lists                                            *trustlist.Snapshot
}

func digestOf(data []byte) string {
	sum := sha256.Sum256(data)
	return hex.EncodeToString(sum[:])
}

func keyOf(c *x509.Certificate) string { return digestOf(c.RawSubjectPublicKeyInfo) }

func pemOf(c *x509.Certificate) map[string]any {
	return map[string]any{"sha256": digestOf(c.Raw),
		"pem": string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: c.Raw}))}
}

// pinOf pins a certificate below an issuer for some days.
func pinOf(c, issuer mint.Party, from, until string) map[string]any {
	return map[string]any{"certificate_sha256": digestOf(c.Cert.Raw), "spki_sha256": keyOf(c.Cert),
		"issuer_spki_sha256": keyOf(issuer.Cert), "signed_from": from, "signed_until": until,
		"formats": []string{"xades-epsignature", "xades-podpiszp", "pades-reason"}}
}

func newPolish(t testing.TB, edit func(p *polish, file map[string]any)) *polish {
	t.Helper()
	p := &polish{listed: mint.Root(t, "Kwalifikowane Centrum"), office: mint.Root(t, "Urząd Gminy - własny"),
		cards: mint.Root(t, "pl.ID Root CA"), archive: mint.Root(t, "CC dawne")}
	authority := func(name string) mint.Request {
		return mint.Request{Subject: pkix.Name{CommonName: name, Country: []string{"PL"}}, CA: true}
	}
	p.cohort = p.cards.Issue(t, authority("pl.ID Authorization CA"))
	p.presence = p.cards.Issue(t, authority("pl.ID Presence CA"))
	p.minister = p.listed.Issue(t, mint.Request{RSA: true, Subject: ministerSubject(), Extensions: []pkix.Extension{mint.QualifiedSeal(t)}})
	issuer := func(c mint.Party, why string) map[string]any {
		return map[string]any{"spki_sha256": keyOf(c.Cert), "root_spki_sha256": keyOf(p.cards.Cert), "issued_from": "2019-01-01",
			"issued_until": "2026-12-31", "why": why}
	}
	archive := pemOf(p.archive.Cert)
	archive["name"], archive["signed_from"], archive["signed_until"] = "CC dawne", "2026-01-01", "2026-12-31"
	file := map[string]any{"version": 1, "trusted_profile_seals": []any{pinOf(p.minister, p.listed, "2026-01-01", "2026-12-31")},
		"personal_signature": map[string]any{"root": pemOf(p.cards.Cert), "issuers": []any{issuer(p.cohort, "")}},
		"not_signatures":     []any{issuer(p.presence, "presence")}, "archive": []any{archive}}
	if edit != nil {
		edit(p, file)
	}
	data, err := json.Marshal(file)
	if err != nil {
		t.Fatal(err)
	}
	if p.pins, err = poland.Parse(data); err != nil {
		t.Fatal(err)
	}
	p.load(t, "PL", []mint.Period{{Status: mint.Granted, From: mint.Day.AddDate(-5, 0, 0),
		Additional: []string{mint.ForSignatures, mint.ForSeals}}})
	return p
}

// load makes the lists, with the office's anchor beside them.
func (p *polish) load(t testing.TB, territory string, periods []mint.Period, more ...mint.Service) {
	t.Helper()
	list := mint.List{Type: mint.TypeList, Territory: territory, Sequence: 1, Services: append([]mint.Service{
		{Name: "CA/QC", Type: mint.CAQC, By: p.listed, Periods: periods}}, more...)}
	dir := t.TempDir()
	for name, data := range map[string][]byte{"list.xml": list.Sign(t, mint.Root(t, "Scheme operator")), "office.der": p.office.Cert.Raw} {
		if err := os.WriteFile(filepath.Join(dir, name), data, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	var err error
	p.lists, err = trustlist.Load(t.Context(), trustlist.Sources{Extra: []string{filepath.Join(dir, "list.xml")},
		Anchors: []string{filepath.Join(dir, "office.der")}, National: p.pins.Anchors()})
	if err != nil {
		t.Fatal(err)
	}
}

// judge judges a document an hour after Day, with a CRL of every authority.
func (p *polish) judge(t testing.TB, document []byte, crls ...[]byte) *Report {
	t.Helper()
	for _, ca := range []mint.Party{p.listed, p.office, p.cards, p.cohort, p.presence, p.archive} {
		crls = append(crls, ca.CRL(t, mint.Day, nil))
	}
	return p.judgeAt(t, document, mint.Day.Add(time.Hour), crls...)
}

func (p *polish) judgeAt(t testing.TB, document []byte, at time.Time, crls ...[]byte) *Report {
	t.Helper()
	b := budget.New(t.Context(), len(document))
	doc, err := Open(b, document)
	if err != nil {
		t.Fatal(err)
	}
	ev := &Evidence{Lists: p.lists, CRLs: crls, Pins: p.pins, Certificates: [][]byte{p.cohort.Cert.Raw, p.presence.Cert.Raw}}
	r, err := Judge(b, doc, ev, DefaultPolicy(), at)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// seal signs with the minister's key.
func (p *polish) seal(t testing.TB, role string) []byte {
	return mint.XML{Signer: p.minister, At: mint.Day, Role: role, BareDigestInfo: true}.Sign(t, letter)
}

// sheet is a PDF of one empty page.
func sheet() []byte {
	var b bytes.Buffer
	var offsets []int
	b.WriteString("%PDF-1.7\n")
	for _, text := range []string{"<</Type /Catalog /Pages 2 0 R>>", "<</Type /Pages /Kids [3 0 R] /Count 1>>",
		"<</Type /Page /Parent 2 0 R /MediaBox [0 0 595 842] /Contents 4 0 R>>", "<</Length 1>>\nstream\n\n\nendstream"} {
		offsets = append(offsets, b.Len())
		fmt.Fprintf(&b, "%d 0 obj\n%s\nendobj\n", len(offsets), text)
	}
	at := b.Len()
	b.WriteString("xref\n0 5\n0000000000 65535 f\r\n")
	for _, o := range offsets {
		fmt.Fprintf(&b, "%010d 00000 n\r\n", o)
	}
	fmt.Fprintf(&b, "trailer\n<</Size 5 /Root 1 0 R>>\nstartxref\n%d\n%%%%EOF\n", at)
	return b.Bytes()
}

// paper signs a PDF of which the signature tells name and reason.
func paper(t testing.TB, by mint.Party, document []byte, reason string) []byte {
	t.Helper()
	p, err := pdf.Prepare(document, pdf.SignOptions{SubFilter: pdf.SubFilterCAdES, ContentsSize: 8192, Time: mint.Day,
		Name: "ANNA PRZYKŁADOWA", Reason: reason})
	if err != nil {
		t.Fatal(err)
	}
	digest, err := p.Digest(crypto.SHA256)
	if err != nil {
		t.Fatal(err)
	}
	signed, err := cms.Sign(cms.SignConfig{Signer: by.Key, Certificate: by.Cert.Raw, Hash: crypto.SHA256, Digest: digest})
	if err != nil {
		t.Fatal(err)
	}
	out, err := p.Finish(signed)
	if err != nil {
		t.Fatal(err)
	}
	return out
}

// TestPolishKinds: what is pinned, signed and right has its kind; the person is named, and the number hidden.
func TestPolishKinds(t *testing.T) {
	p := newPolish(t, nil)
	citizen := mint.Request{Subject: pkix.Name{CommonName: "ANNA PRZYKŁADOWA", Country: []string{"PL"}, SerialNumber: "PNOPL-" + goodPESEL}}
	for _, c := range []struct {
		name     string
		document []byte
		want     string // kind, name, source
	}{
		{"EPSignature", p.seal(t, epSignature(goodPESEL)), "trusted ANNA PRZYKŁADOWA pin"},
		{"PodpisZP", p.seal(t, podpisZP(goodPESEL)), "trusted ANNA PRZYKŁADOWA pin"},
		{"Reason", paper(t, p.minister, sheet(), reasonOf(goodPESEL)), "trusted ANNA PRZYKŁADOWA pin"},
		{"identity card", mint.XML{Signer: p.cohort.Issue(t, citizen), At: mint.Day}.Sign(t, letter), "personal ANNA PRZYKŁADOWA national"},
		{"presence", mint.XML{Signer: p.presence.Issue(t, citizen), At: mint.Day}.Sign(t, letter), "other ANNA PRZYKŁADOWA national"},
		{"the past", mint.XML{Signer: p.archive.Issue(t, citizen), At: mint.Day}.Sign(t, letter), "other ANNA PRZYKŁADOWA archive"},
		{"the office's own", mint.XML{Signer: p.office.Issue(t, citizen), At: mint.Day}.Sign(t, letter), "other ANNA PRZYKŁADOWA anchor"},
		{"the minister alone", p.seal(t, ""), "seal " + ministerName + " pin"},
	} {
		report := p.judge(t, c.document)
		s := report.Signatures[0]
		if got := fmt.Sprintf("%s %s %s", s.Kind, s.Signer.Name, s.TrustSource); got != c.want || s.Indication != TotalPassed {
			t.Errorf("%s: %s %s %q, want %s: %q", c.name, got, s.Indication, s.Reasons, c.want, s.Notes)
		}
		if whole, err := json.Marshal(report); err != nil || bytes.Contains(whole, []byte(goodPESEL)) {
			t.Errorf("%s: a personal number stands in the report: %s %v", c.name, whole, err)
		}
		if s.Kind == KindTrusted && (s.SealedBy != ministerName || *s.Signer.Identifier != (Identifier{"PESEL", "*******1359"})) {
			t.Errorf("%s: sealed by %q, %+v", c.name, s.SealedBy, s.Signer.Identifier)
		}
	}
}

// TestPersonalNumbersAreAskedFor: whoever asks gets them whole.
func TestPersonalNumbersAreAskedFor(t *testing.T) {
	p := newPolish(t, nil)
	b := budget.New(t.Context(), 0)
	doc, err := Open(b, p.seal(t, epSignature(goodPESEL)))
	if err != nil {
		t.Fatal(err)
	}
	r, err := conclude(b, doc, &Evidence{Lists: p.lists, CRLs: [][]byte{p.listed.CRL(t, mint.Day, nil)}, Pins: p.pins}, DefaultPolicy(),
		mint.Day.Add(time.Hour), form{numbers: true})
	if err != nil || r.Signatures[0].Signer.Identifier.Masked != goodPESEL {
		t.Errorf("%+v %v", r, err)
	}
}

// TestLookAlikes: what only looks like podpis zaufany is none, and names nobody but the certificate.
func TestLookAlikes(t *testing.T) {
	p := newPolish(t, nil)
	name := mint.Request{RSA: true, Subject: ministerSubject(), Extensions: []pkix.Extension{mint.QualifiedSeal(t)}}
	ep, zp := epSignature(goodPESEL), podpisZP(goodPESEL)
	signedBy := func(by mint.Party, role string) []byte {
		return mint.XML{Signer: by, At: mint.Day, Role: role}.Sign(t, letter)
	}
	replace := func(document []byte, old, text string) []byte {
		if !bytes.Contains(document, []byte(old)) {
			t.Fatalf("%q is not there", old)
		}
		return bytes.Replace(document, []byte(old), []byte(text), 1)
	}
	into := func(document []byte, before, text string) []byte { return replace(document, before, text+before) }
	alone := p.seal(t, "")
	good := p.seal(t, ep)
	wrapped := func(role string) string { return `<w xmlns="urn:w">` + role + `</w>` }
	rename := func(role, old, text string) string {
		if !strings.Contains(role, old) {
			t.Fatalf("%q is not there", old)
		}
		return strings.ReplaceAll(role, old, text)
	}
	const unsigned = `<xades:UnsignedProperties><xades:UnsignedSignatureProperties>%s</xades:UnsignedSignatureProperties></xades:UnsignedProperties>`
	claimed := func(role string) string {
		return `<xades:SignerRole><xades:ClaimedRoles><xades:ClaimedRole>` + role + `</xades:ClaimedRole></xades:ClaimedRoles></xades:SignerRole>`
	}
	listedElsewhere := mint.Root(t, "Inne Kwalifikowane Centrum")
	sealed := func(reason string) []byte { return paper(t, p.minister, sheet(), reason) }
	for _, c := range []struct {
		name     string
		document []byte
	}{
		// The same names under another key.
		{"a second certificate of the listed authority", signedBy(p.listed.Issue(t, name), ep)},
		{"the office's own authority", signedBy(p.office.Issue(t, name), ep)},
		{"the office's own authority, PodpisZP", signedBy(p.office.Issue(t, name), zp)},
		{"the office's own authority, PDF", paper(t, p.office.Issue(t, name), sheet(), reasonOf(goodPESEL))},
		{"an unknown authority", signedBy(mint.Root(t, "Kwalifikowane Centrum").Issue(t, name), ep)},
		{"an unknown provider", signedBy(listedElsewhere.Issue(t, name), ep)},
		{"the authority of the past", signedBy(p.archive.Issue(t, name), ep)},
		{"the authority of the identity cards", signedBy(p.cohort.Issue(t, name), ep)},
		{"self-signed", signedBy(mint.Root(t, ministerName), ep)},
		{"a citizen's own certificate", signedBy(p.listed.Issue(t, mint.Request{Subject: officerName("ANNA PRZYKŁADOWA"),
			Extensions: []pkix.Extension{mint.Qualified(t)}}), ep)},
		{"another seal of the ministry", signedBy(p.listed.Issue(t, mint.Request{RSA: true, Extensions: name.Extensions, Subject: pkix.Name{
			CommonName: "Minister do spraw informatyzacji", ExtraNames: ministerSubject().ExtraNames, Country: []string{"PL"}}}), ep)},
		{"names the pinned certificate, signed with another key", mint.XML{Signer: p.listed.Issue(t, name), Claimed: p.minister.Cert.Raw,
			At: mint.Day, Role: ep}.Sign(t, letter)},
		// Data that the key did not sign.
		{"unsigned properties", into(alone, "</xades:QualifyingProperties>", fmt.Sprintf(unsigned, claimed(ep)))},
		{"unsigned properties, PodpisZP", into(alone, "</xades:QualifyingProperties>", fmt.Sprintf(unsigned, claimed(zp)))},
		{"unsigned properties, bare", into(alone, "</xades:QualifyingProperties>", fmt.Sprintf(unsigned, ep))},
		{"another object of the signature", into(alone, "</ds:Signature>", `<ds:Object>`+ep+`</ds:Object>`)},
		{"another object, as properties", into(alone, "</ds:Signature>", `<ds:Object><xades:QualifyingProperties xmlns:xades="http://uri.etsi.org/01903/v1.3.2#" Target="#sig">`+
			`<xades:SignedProperties Id="other"><xades:SignedSignatureProperties>`+claimed(ep)+`</xades:SignedSignatureProperties></xades:SignedProperties></xades:QualifyingProperties></ds:Object>`)},
		{"before the signed properties", replace(alone, `Target="#sig">`, `Target="#sig"><xades:SignedProperties Id="other"><xades:SignedSignatureProperties>`+claimed(ep)+
			`</xades:SignedSignatureProperties></xades:SignedProperties>`)},
		{"key information", into(alone, "</ds:KeyInfo>", ep)},
		{"added to the signed properties", into(alone, "</xades:SignedSignatureProperties>", claimed(ep))},
		{"beside the signature", into(alone, "<ds:Signature ", ep)},
		{"in the signed document", mint.XML{Signer: p.minister, At: mint.Day}.Sign(t, `<pismo><tresc>`+ep+`</tresc></pismo>`)},
		{"in a counter-signature's place", into(alone, "</xades:QualifyingProperties>", fmt.Sprintf(unsigned, `<xades:CounterSignature>`+ep+`</xades:CounterSignature>`))},
		{"changed name", replace(good, "PRZYKŁADOWA", "PODROBIONA ")},
		{"changed number", replace(good, goodPESEL, "02070803628")},
		{"changed document", replace(good, "Przykładowo", "Innego    ")},
		{"changed value", flip(p.seal(t, ep), "<ds:SignatureValue")},
		{"moved into another document", replace(good, "<pismo>", "<pismo><tresc>Nowa treść.</tresc>")},
		{"wrapped", append(append([]byte("<koperta><tresc>Nowa treść.</tresc>"), good...), "</koperta>"...)},
		// Forms that only look right.
		{"another namespace", p.seal(t, rename(ep, "podpis_zaufany/", "podpis_zaufany"))},
		{"another scheme", p.seal(t, rename(ep, "http://crd", "https://crd"))},
		{"no namespace", p.seal(t, rename(rename(ep, ` xmlns:pz="http://crd.gov.pl/xml/schematy/podpis_zaufany/"`, ""), "pz:", ""))},
		{"persons of another namespace", p.seal(t, rename(zp, "osoba/2009/03/06/", "osoba/2009/11/16/"))},
		{"deeper than a role has it", p.seal(t, wrapped(ep))},
		{"two EPSignature in a role", p.seal(t, ep+rename(ep, "ANNA", "EWA"))},
		{"two EPSignature in two roles", p.seal(t, ep+"</xades:ClaimedRole><xades:ClaimedRole>"+rename(ep, "ANNA", "EWA"))},
		{"both forms", p.seal(t, ep+zp)},
		{"a second form in a wrapper", p.seal(t, ep+wrapped(zp))},
		{"two persons in a form", p.seal(t, rename(ep, "</pz:EPSignature>", "<pz:NaturalPerson/></pz:EPSignature>"))},
		{"two numbers", p.seal(t, rename(ep, "</pz:NaturalPerson>", "<pz:PersonalIdentifier>02070803628</pz:PersonalIdentifier></pz:NaturalPerson>"))},
		{"two first names of one form", p.seal(t, rename(ep, "</pz:NaturalPerson>", "<pz:FirstName>EWA</pz:FirstName></pz:NaturalPerson>"))},
		{"a number in pieces", p.seal(t, rename(ep, goodPESEL, "4405<pz:x></pz:x>1401359"))},
		{"no number", p.seal(t, rename(ep, goodPESEL, ""))},
		{"no name", p.seal(t, rename(ep, "PRZYKŁADOWA", ""))},
		{"no name, PodpisZP", p.seal(t, rename(zp, "ANNA", ""))},
		{"wrong check digit", p.seal(t, epSignature(badPESEL))},
		{"wrong check digit, PodpisZP", p.seal(t, podpisZP(badPESEL))},
		{"no day of a calendar", p.seal(t, epSignature("44023000008"))},
		{"zeros", p.seal(t, epSignature("00000000000"))},
		{"ten digits", p.seal(t, epSignature("4405140135"))},
		{"other digits", p.seal(t, epSignature("４４０５１４０１３５９"))},
		// PDF.
		{"PDF: wrong check digit", sealed(reasonOf(badPESEL))},
		{"PDF: zeros", sealed(reasonOf("00000000000"))},
		{"PDF: another sentence", sealed("W imieniu: ANNA PRZYKŁADOWA, PESEL: " + goodPESEL + ", PZ ID: anna_p1")},
		{"PDF: two persons", sealed(reasonOf(goodPESEL) + ", EWA PRZYKŁADOWA, PESEL: 02070803628, PZ ID: ewa")},
		{"PDF: two sentences", sealed(reasonOf(goodPESEL) + " " + reasonOf("02070803628"))},
		{"PDF: more after it", sealed(reasonOf(goodPESEL) + " i inni")},
		{"PDF: more before it", sealed("Uwaga: " + reasonOf(goodPESEL))},
		{"PDF: a name with a number in it", sealed(strings.Replace(reasonOf(goodPESEL), "ANNA", "ANNA PESEL: 02070803628, EWA", 1))},
		{"PDF: no account", sealed(strings.Replace(reasonOf(goodPESEL), ", PZ ID: anna_p1", "", 1))},
		{"PDF: name alone", sealed("")},
		{"PDF: changed", replace(sealed(reasonOf(goodPESEL)), "/Count 1", "/Count 2")},
		{"PDF: the sentence under a citizen's key", paper(t, p.listed.Issue(t, mint.Request{Subject: officerName("EWA"),
			Extensions: []pkix.Extension{mint.Qualified(t)}}), sheet(), reasonOf(goodPESEL))},
	} {
		for _, s := range p.judge(t, c.document).Signatures {
			if s.Kind == KindTrusted || s.SealedBy != "" || s.Signer.Name == "ANNA PRZYKŁADOWA" && s.Signer.CommonName != s.Signer.Name {
				t.Errorf("%s: %s %s %s, signer %+v", c.name, s.Kind, s.Indication, s.SubIndication, s.Signer)
			}
		}
	}
}

// TestPinsHaveDays: a pin speaks for signatures that are proven to be from its days.
func TestPinsHaveDays(t *testing.T) {
	for _, c := range []struct {
		name        string
		from, until string
		want        Kind
	}{
		{"its days", "2026-03-01", "2026-03-01", KindTrusted}, {"ended", "2024-01-01", "2026-02-28", KindSeal},
		{"not begun", "2026-03-02", "2027-01-01", KindSeal},
	} {
		p := newPolish(t, func(p *polish, file map[string]any) {
			file["trusted_profile_seals"] = []any{pinOf(p.minister, p.listed, c.from, c.until)}
		})
		if s := p.judge(t, p.seal(t, epSignature(goodPESEL))).Signatures[0]; s.Kind != c.want || s.Indication != TotalPassed {
			t.Errorf("%s: %s %s %q", c.name, s.Kind, s.Indication, s.Notes)
		}
	}
}

// TestPinsNeedAllKeys: certificate, key and issuer's key are compared, each.
func TestPinsNeedAllKeys(t *testing.T) {
	for _, field := range []string{"certificate_sha256", "spki_sha256", "issuer_spki_sha256"} {
		p := newPolish(t, func(p *polish, file map[string]any) {
			pin := pinOf(p.minister, p.listed, "2026-01-01", "2026-12-31")
			pin[field] = digestOf([]byte("another"))
			file["trusted_profile_seals"] = []any{pin}
		})
		if s := p.judge(t, p.seal(t, epSignature(goodPESEL))).Signatures[0]; s.Kind != KindSeal {
			t.Errorf("%s is not compared: %s", field, s.Kind)
		}
	}
	p := newPolish(t, func(p *polish, file map[string]any) {
		pin := pinOf(p.minister, p.listed, "2026-01-01", "2026-12-31")
		pin["formats"] = []string{"xades-podpiszp"}
		file["trusted_profile_seals"] = []any{pin}
	})
	if s := p.judge(t, p.seal(t, epSignature(goodPESEL))).Signatures[0]; s.Kind != KindSeal {
		t.Errorf("the form is not compared: %s", s.Kind)
	}
}

// TestPinReplacesNoList: without a list, or with a revoked certificate, the pin gives nothing; without evidence the kind is
// told and the signature stays open.
func TestPinReplacesNoList(t *testing.T) {
	p := newPolish(t, nil)
	document := p.seal(t, epSignature(goodPESEL))
	revoked := p.listed.CRL(t, mint.Day, map[*x509.Certificate]time.Time{p.minister.Cert: mint.Day.AddDate(0, 0, -1)})
	held := *p
	held.load(t, "PL", []mint.Period{{Status: mint.Withdrawn, From: mint.Day.AddDate(0, -1, 0)},
		{Status: mint.Granted, From: mint.Day.AddDate(-5, 0, 0), Additional: []string{mint.ForSeals}}})
	for _, c := range []struct {
		name string
		r    *Report
		kind Kind
		sub  SubIndication
	}{
		{"revoked", p.judgeAt(t, document, mint.Day.Add(time.Hour), revoked), KindSeal, judge.RevokedNoPOE},
		{"withdrawn", held.judge(t, document), KindSeal, judge.NoCertificateChainNoPOE},
		{"no evidence", p.judgeAt(t, document, mint.Day.Add(time.Hour)), KindTrusted, judge.ChainGeneralFailure},
	} {
		if s := c.r.Signatures[0]; s.Kind != c.kind || s.SubIndication != c.sub {
			t.Errorf("%s: %s %s", c.name, s.Kind, s.SubIndication)
		}
	}
}

// TestPersonalIsNeverAName: the key of the issuer decides, below the pinned root, for certificates of its time.
func TestPersonalIsNeverAName(t *testing.T) {
	p := newPolish(t, nil)
	authority := mint.Request{Subject: pkix.Name{CommonName: "pl.ID Authorization CA", Country: []string{"PL"}}, CA: true}
	citizen := mint.Request{Subject: pkix.Name{CommonName: "ANNA PRZYKŁADOWA", SerialNumber: "PNOPL-" + goodPESEL}}
	late := citizen
	late.From, late.To = mint.Day.AddDate(-9, 0, 0), mint.Day.AddDate(1, 0, 0)
	signed := func(issuer mint.Party, r mint.Request) []byte {
		return mint.XML{Signer: issuer.Issue(t, r), At: mint.Day, Certificates: [][]byte{issuer.Cert.Raw}}.Sign(t, letter)
	}
	lookalike, unknown := p.office.Issue(t, authority), p.cards.Issue(t, authority)
	for _, c := range []struct {
		name   string
		issuer mint.Party
		r      mint.Request
		says   string
	}{
		{"below the office's anchor", lookalike, citizen, ""},
		{"a cohort that was not imported", unknown, citizen, "not among the imported ones"},
		{"issued before the cohort's time", p.cohort, late, "not issued in the time"},
		{"presence", p.presence, citizen, "presence alone"},
		{"the root itself", p.cards, citizen, "not among the imported ones"},
		{"the listed authority", p.listed, citizen, ""},
	} {
		s := p.judge(t, signed(c.issuer, c.r), lookalike.CRL(t, mint.Day, nil), unknown.CRL(t, mint.Day, nil)).Signatures[0]
		if s.Kind != KindOther || !strings.Contains(strings.Join(s.Notes, " "), c.says) {
			t.Errorf("%s: %s %s %q, notes %q", c.name, s.Kind, s.Indication, s.Reasons, s.Notes)
		}
	}
	none := newPolish(t, func(_ *polish, file map[string]any) {
		file["personal_signature"].(map[string]any)["issuers"] = []any{}
	})
	if s := none.judge(t, mint.XML{Signer: none.cohort.Issue(t, citizen), At: mint.Day}.Sign(t, letter)).Signatures[0]; s.Kind != KindOther {
		t.Errorf("without import: %s", s.Kind)
	}
}

// TestArchiveHasYears: an authority of the past is trusted for its days alone.
func TestArchiveHasYears(t *testing.T) {
	p := newPolish(t, func(p *polish, file map[string]any) {
		archive := pemOf(p.archive.Cert)
		archive["name"], archive["signed_from"], archive["signed_until"] = "CC dawne", "2009-07-01", "2016-12-31"
		file["archive"] = []any{archive}
	})
	document := mint.XML{Signer: p.archive.Issue(t, mint.Request{Subject: officerName("officer-1")}), At: mint.Day}.Sign(t, letter)
	if s := p.judge(t, document).Signatures[0]; s.SubIndication != judge.NoCertificateChainNoPOE {
		t.Errorf("%s %s: %q", s.Indication, s.SubIndication, s.Reasons)
	}
}

// TestListedSeal: where the list of pins allows it, a qualified provider of the Polish list vouches for the minister in
// place of a pinned key; nobody else does.
func TestListedSeal(t *testing.T) {
	allow := func(_ *polish, file map[string]any) {
		file["trusted_profile_seals"] = []any{}
		file["listed_seals"] = []any{map[string]any{"organization_identifier": ministerID, "common_name": ministerName,
			"signed_from": "2026-01-01", "signed_until": "2026-12-31", "formats": []string{"xades-epsignature"}}}
	}
	p := newPolish(t, allow)
	document := p.seal(t, epSignature(goodPESEL))
	granted := []mint.Period{{Status: mint.Granted, From: mint.Day.AddDate(-5, 0, 0), Additional: []string{mint.ForSeals}}}
	abroad, late := *p, *p
	abroad.load(t, "LV", granted)
	late.load(t, "PL", []mint.Period{{Status: mint.Granted, From: mint.Day.AddDate(0, -1, 0), Additional: []string{mint.ForSeals}}})
	plain := p.listed.Issue(t, mint.Request{RSA: true, Subject: ministerSubject()})
	person := p.listed.Issue(t, mint.Request{RSA: true, Subject: ministerSubject(), Extensions: []pkix.Extension{mint.Qualified(t)}})
	other := ministerSubject()
	other.CommonName += " 2"
	signed := func(by mint.Party) []byte {
		return mint.XML{Signer: by, At: mint.Day, Role: epSignature(goodPESEL)}.Sign(t, letter)
	}
	seal := []pkix.Extension{mint.QualifiedSeal(t)}
	for _, c := range []struct {
		name string
		s    SignatureReport
		want Kind
	}{
		{"vouched for", p.judge(t, document).Signatures[0], KindTrusted},
		{"another state's list", abroad.judge(t, document).Signatures[0], KindSeal},
		{"not granted when it was issued", late.judge(t, document).Signatures[0], KindSeal},
		{"not qualified", p.judge(t, signed(plain)).Signatures[0], KindSeal},
		{"for signatures", p.judge(t, signed(person)).Signatures[0], KindQualified},
		{"another name", p.judge(t, signed(p.listed.Issue(t, mint.Request{RSA: true, Subject: other, Extensions: seal}))).Signatures[0], KindSeal},
		{"the office's anchor", p.judge(t, signed(p.office.Issue(t, mint.Request{RSA: true, Subject: ministerSubject(), Extensions: seal}))).Signatures[0], KindSeal},
	} {
		if c.s.Kind != c.want {
			t.Errorf("%s: %s, want %s: %s %q", c.name, c.s.Kind, c.want, c.s.Qualification, c.s.Notes)
		}
	}
}

// TestReceipts: a receipt is known by its namespace and by who stands behind it, where its signature covers it as a whole.
func TestReceipts(t *testing.T) {
	const (
		upo      = `<d:Dokument xmlns:d="http://crd.gov.pl/xml/schematy/UPO/2008/05/09/"><d:%s><d:a>1</d:a></d:%s></d:Dokument>`
		evidence = `<e:Evidence xmlns:e="http://uri.etsi.org/19522/v1#"><e:a>1</e:a></e:Evidence>`
		ksef     = `<p:Potwierdzenie xmlns:p="http://upo.schematy.mf.gov.pl/KSeF/v4-3"><p:a>1</p:a></p:Potwierdzenie>`
		notice   = `<n:Platnosc xmlns:n="urn:urzad:platnosci"><n:a>1</n:a></n:Platnosc>`
	)
	var receipts, delivery, gone mint.Party
	p := newPolish(t, func(p *polish, file map[string]any) {
		seal := []pkix.Extension{mint.QualifiedSeal(t)}
		receipts = p.listed.Issue(t, mint.Request{Subject: officerName("poświadczenia"), Extensions: seal})
		pin := pinOf(receipts, p.listed, "2026-01-01", "2026-12-31")
		pin["documents"] = []string{"upp", "payment-notice"}
		file["receipt_issuers"] = []any{pin}
		file["documents"] = []any{map[string]any{"type": "payment-notice", "namespace": "urn:urzad:platnosci", "root": "Platnosc"}}
	})
	delivery, gone = mint.Root(t, "QERDS"), mint.Root(t, "QERDS dawne")
	own := p.listed.Issue(t, mint.Request{Subject: officerName("QERDS 1")})
	const eds = "http://uri.etsi.org/TrstSvc/Svctype/EDS/Q"
	from := mint.Day.AddDate(-5, 0, 0)
	p.load(t, "PL", []mint.Period{{Status: mint.Granted, From: from, Additional: []string{mint.ForSeals, mint.ForSignatures}}},
		mint.Service{Name: "EDS", Type: eds, By: delivery, Periods: []mint.Period{{Status: mint.Granted, From: from}}},
		mint.Service{Name: "EDS", Type: eds, By: own, Periods: []mint.Period{{Status: mint.Granted, From: from}}},
		mint.Service{Name: "EDS", Type: eds, By: gone, Periods: []mint.Period{
			{Status: mint.Withdrawn, From: mint.Day.AddDate(-1, 0, 0)}, {Status: mint.Granted, From: from}}})
	by := func(ca mint.Party) mint.Party {
		return ca.Issue(t, mint.Request{Subject: officerName("pieczęć"), Extensions: []pkix.Extension{mint.QualifiedSeal(t)}})
	}
	signed := func(signer mint.Party, text string) []byte {
		return mint.XML{Signer: signer, At: mint.Day}.Sign(t, text)
	}
	named := func(child string) string { return fmt.Sprintf(upo, child, child) }
	inside := strings.Replace(string(signed(receipts, named("UPP"))), "<d:Dokument", `<k:koperta xmlns:k="urn:k"><d:Dokument`, 1) + "</k:koperta>"
	for _, c := range []struct {
		name     string
		document []byte
		want     string // type and who stands behind it
	}{
		{"UPP", signed(receipts, named("UPP")), "upp pinned"},
		{"UPD of an issuer of UPP", signed(receipts, named("UPD")), "upd none"},
		{"NPP of another seal", signed(by(p.listed), named("NPP")), "npp none"},
		{"UPP under the office's own key", signed(by(p.office), named("UPP")), "upp none"},
		{"another child", signed(receipts, named("UPPX")), " "},
		{"two children", signed(receipts, strings.Replace(named("UPP"), "</d:Dokument>", "<d:UPP></d:UPP></d:Dokument>", 1)), " "},
		{"another namespace", signed(receipts, strings.Replace(named("UPP"), "/05/09/", "/05/10/", 1)), " "},
		{"another root", signed(receipts, strings.ReplaceAll(named("UPP"), "Dokument", "Dokumenty")), " "},
		{"wrapped", []byte(inside), " "},
		{"changed", bytes.Replace(signed(receipts, named("UPP")), []byte(">1<"), []byte(">2<"), 1), " "},
		{"another value", regexp.MustCompile(`(<ds:SignatureValue[^>]*>)....`).ReplaceAll(signed(receipts, named("UPP")), []byte("${1}AAAA")), " "},
		{"evidence", signed(by(delivery), evidence), "edelivery-evidence granted"},
		{"evidence of the service itself", signed(own, evidence), "edelivery-evidence granted"},
		{"evidence under a seal", signed(by(p.listed), evidence), "edelivery-evidence none"},
		{"evidence of a withdrawn service", signed(by(gone), evidence), "edelivery-evidence withdrawn"},
		{"KSeF", signed(by(p.listed), ksef), "ksef-upo granted"},
		{"KSeF under the office's key", signed(by(p.office), ksef), "ksef-upo none"},
		{"KSeF of another version", signed(by(p.listed), strings.Replace(ksef, "v4-3", "v4-33", 1)), " "},
		{"KSeF signed by a person", signed(p.listed.Issue(t, mint.Request{Subject: officerName("osoba"), Extensions: []pkix.Extension{mint.Qualified(t)}}), ksef), "ksef-upo none"},
		{"payment", signed(receipts, notice), "payment-notice pinned"},
		{"payment under a seal", signed(by(p.listed), notice), "payment-notice none"},
	} {
		r := p.judge(t, c.document, delivery.CRL(t, mint.Day, nil), gone.CRL(t, mint.Day, nil))
		if got := string(r.DocumentType) + " " + string(r.EvidenceIssuer); got != c.want {
			t.Errorf("%s: %q, want %q: %s %q", c.name, got, c.want, r.Signatures[0].Indication, r.Signatures[0].Reasons)
		}
		if called := strings.Contains(r.Summary["pl"], "To "); called != (strings.HasSuffix(c.want, " granted") || strings.HasSuffix(c.want, " pinned")) {
			t.Errorf("%s: %s", c.name, r.Summary["pl"])
		}
	}
}

// TestReceiptsNeedTheWhole: who signed a part of a receipt stands not behind all of it.
func TestReceiptsNeedTheWhole(t *testing.T) {
	p := newPolish(t, nil)
	seal := p.listed.Issue(t, mint.Request{Subject: officerName("UPO"), Extensions: []pkix.Extension{mint.QualifiedSeal(t)}})
	b := budget.New(t.Context(), 0)
	doc, err := Open(b, mint.XML{Signer: seal, At: mint.Day}.Sign(t, letter))
	if err != nil {
		t.Fatal(err)
	}
	ev := &Evidence{Lists: p.lists, CRLs: [][]byte{p.listed.CRL(t, mint.Day, nil)}, Pins: p.pins}
	found, err := judge.Judge(b, doc, ev, DefaultPolicy(), mint.Day.Add(time.Hour))
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []poland.IssuerStanding{poland.IssuerGranted, poland.IssuerNone} {
		if got := p.pins.IssuerOf(poland.KSeFReceipt, factsOf(found.Signatures[0]), p.lists); got != want {
			t.Errorf("%s, want %s", got, want)
		}
		for i := range doc.Signatures[0].References {
			doc.Signatures[0].References[i].Full = false
		}
	}
}

// TestUnsignedIsSaid: a file without a signature is an outcome, and for a service a formal defect with its summons.
func TestUnsignedIsSaid(t *testing.T) {
	p := newPolish(t, nil)
	card := &poland.Card{ID: "podatki", Accepts: []Kind{KindQualified, KindTrusted}, Days: 14}
	for _, document := range [][]byte{[]byte(letter), sheet()} {
		r := p.judge(t, document)
		r.For(card)
		if !strings.Contains(r.Summary["pl"], "nie zawiera podpisu") || r.Service.Outcome != poland.FormalDefect || r.Service.Accepted {
			t.Errorf("%q %+v", r.Summary, r.Service)
		}
		if ask := r.Service.Ask["pl"]; !strings.Contains(ask, "art. 64 § 2") || !strings.Contains(ask, "14 dni") ||
			!strings.Contains(ask, "kwalifikowanym podpisem elektronicznym albo podpisem zaufanym") {
			t.Errorf("%s", ask)
		}
	}
}

// TestForService: what is confirmed and accepted is accepted, what can't be known yet is open.
func TestForService(t *testing.T) {
	p := newPolish(t, nil)
	card := &poland.Card{ID: "a", Accepts: []Kind{KindTrusted}, Days: poland.LeastDays}
	good := p.seal(t, epSignature(goodPESEL))
	part := bytes.Replace(good, []byte("<pismo>"), []byte("<pismo><!-- -->"), 1)
	for _, c := range []struct {
		name string
		r    *Report
		want poland.Outcome
	}{
		{"accepted", p.judge(t, good), poland.Accepted}, {"no evidence", p.judgeAt(t, good, mint.Day.Add(time.Hour)), poland.Undecided},
		{"a comment", p.judge(t, part), poland.Accepted}, {"the minister alone", p.judge(t, p.seal(t, "")), poland.FormalDefect},
		{"changed", p.judge(t, bytes.Replace(good, []byte("Miasta"), []byte("miasta"), 1)), poland.FormalDefect},
		{"the office's own", p.judge(t, mint.XML{Signer: p.office.Issue(t, mint.Request{Subject: officerName("a")}), At: mint.Day}.Sign(t, letter)), poland.FormalDefect},
	} {
		if c.r.For(card); c.r.Service.Outcome != c.want || c.r.Service.Accepted != (c.want == poland.Accepted) {
			t.Errorf("%s: %+v", c.name, c.r.Service)
		}
		for lang, text := range c.r.Service.Sentence {
			if strings.ContainsAny(text, "[]{}") || jargon.MatchString(text) || strings.ContainsAny(c.r.Service.Ask[lang], "[]{}") {
				t.Errorf("%s: %s: %s %s", c.name, lang, text, c.r.Service.Ask[lang])
			}
		}
	}
}

// TestTrustedFlawIsTold: what is wrong with the form stands in a note.
func TestTrustedFlawIsTold(t *testing.T) {
	p := newPolish(t, nil)
	role := strings.Replace(epSignature(goodPESEL), "</pz:NaturalPerson>", "<pz:PersonalIdentifier>1</pz:PersonalIdentifier></pz:NaturalPerson>", 1)
	if s := p.judge(t, p.seal(t, role)).Signatures[0]; !strings.Contains(strings.Join(s.Notes, " "), "PersonalIdentifier occurs 2 times") {
		t.Errorf("the flaw is not told: %q", s.Notes)
	}
}

// TestReasonOfAChangedFile: what anybody may have written is not repeated.
func TestReasonOfAChangedFile(t *testing.T) {
	p := newPolish(t, nil)
	changed := bytes.Replace(paper(t, p.minister, sheet(), reasonOf(goodPESEL)), []byte("/Count 1"), []byte("/Count 2"), 1)
	if s := p.judge(t, changed).Signatures[0]; s.ReferencesIntact || strings.Contains(strings.Join(s.Notes, " "), "PRZYKŁADOWA") {
		t.Errorf("the reason is repeated: %q", s.Notes)
	}
}

// TestOnlyEvidenceIsOpen: a path that is wrong for another reason than a lack of evidence is not open.
func TestOnlyEvidenceIsOpen(t *testing.T) {
	for code, want := range map[path.Code]poland.Standing{path.RevocationUnknown: poland.Open, path.BadKey: poland.Unproven} {
		s := &judge.Signature{Chain: &judge.Chain{}, Conclusion: judge.Conclusion{Indication: Indeterminate, SubIndication: judge.ChainGeneralFailure}}
		s.Chain.Path.Reasons = []path.Reason{{Code: code}}
		if got := standing(s); got != want {
			t.Errorf("%v is open: %d", code, got)
		}
	}
}

// BenchmarkKinds is what the kinds, the hiding of numbers and the words cost a document that is of no Polish kind.
func BenchmarkKinds(b *testing.B) {
	p := newPolish(b, nil)
	signer := p.office.Issue(b, mint.Request{Subject: pkix.Name{CommonName: "officer-1", Country: []string{"LV"}}})
	document := mint.XML{Signer: signer, At: mint.Day}.Sign(b, letter)
	work := budget.New(b.Context(), len(document))
	doc, err := Open(work, document)
	if err != nil {
		b.Fatal(err)
	}
	ev := &Evidence{Lists: p.lists, CRLs: [][]byte{p.office.CRL(b, mint.Day, nil)}, Pins: p.pins}
	found, err := judge.Judge(work, doc, ev, DefaultPolicy(), mint.Day.Add(time.Hour))
	if err != nil {
		b.Fatal(err)
	}
	r := describe(doc, found, ev, DefaultPolicy(), mint.Day, form{}).Signatures[0]
	d := describer{Document: found, pins: p.pins}
	b.Run("kind", func(b *testing.B) {
		for b.Loop() {
			d.pins.Judge(factsOf(found.Signatures[0]))
		}
	})
	b.Run("numbers", func(b *testing.B) {
		for b.Loop() {
			r.printable(d.show)
		}
	})
	b.Run("plain", func(b *testing.B) {
		for b.Loop() {
			r.printable(func(text string) string { return text })
		}
	})
	b.Run("words", func(b *testing.B) {
		for b.Loop() {
			r.explain(told{})
		}
	})
}
