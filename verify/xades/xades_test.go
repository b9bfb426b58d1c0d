package xades

import (
	"bytes"
	"crypto/sha256"
	"encoding/pem"
	"errors"
	"fmt"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"trustcore/internal/budget"
	"trustcore/internal/budget/budgettest"
	"trustcore/internal/cms/cmstest"
	"trustcore/internal/xmldsig"
	"trustcore/verify/algorithm"
	"trustcore/verify/signature"
)

const envelope = `<?xml version="1.0"?><pismo xmlns="urn:pismo"><tresc Id="tresc">Wniosek</tresc>SIGNATURE</pismo>`

func officer(t testing.TB) cmstest.Identity { return cmstest.NewSigner(t, "p256", "officer-1") }

// basic is an enveloped signature of level B-B.
func basic(signer cmstest.Identity) template {
	return template{
		id: "S1", signer: signer, claimed: signer.Cert.Raw,
		references: []string{ref(`Id="S1-ref" URI=""`, xmldsig.TransformEnveloped, exclusiveURI)},
		data:       `<xades:DataObjectFormat ObjectReference="#S1-ref"><xades:MimeType>text/xml</xades:MimeType></xades:DataObjectFormat>`,
	}
}

func envelop(m template) string { return strings.Replace(envelope, "SIGNATURE", m.text(), 1) }

func mustOpen(t testing.TB, text string, detached ...signature.Detached) []*signature.Signature {
	t.Helper()
	doc, err := Open(budget.New(t.Context(), len(text)), []byte(text), detached)
	if err != nil {
		t.Fatal(err)
	}
	return doc.Signatures
}

func intact(s *signature.Signature) bool {
	return s.Intact && s.ReferencesIntact() && len(s.Structure)+len(s.Constraints) == 0 && s.Unchecked == "" && s.Binding == signature.BindingMatches
}

func TestEnveloped(t *testing.T) {
	signer := officer(t)
	text := complete(t, envelop(basic(signer)), nil, signer)
	s := mustOpen(t, text)[0]
	if !intact(s) || s.Format != signature.XAdES || s.Level != "B-B" || s.ID != "S1" || !bytes.Equal(s.Signer, signer.Cert.Raw) {
		t.Errorf("facts: %+v", s)
	}
	if want := time.Date(2026, 11, 23, 11, 0, 0, 0, time.UTC); !s.SigningTime.Equal(want) {
		t.Errorf("signing time %v", s.SigningTime)
	}
	if r := s.References[0]; !r.Full || r.Scope != "the whole document but the signature" {
		t.Errorf("scope: %+v", r)
	}
	if !strings.Contains(strings.Join(uses(s), " "), "signature:ECDSA-SHA256/256") {
		t.Errorf("algorithms: %v", uses(s))
	}
	agreesXmlsec(t, text, signer)
}

func uses(s *signature.Signature) []string {
	var out []string
	for _, u := range s.Algorithms {
		text := u.Purpose + ":" + u.Algorithm
		if u.KeyBits == 256 {
			text += "/256"
		}
		out = append(out, text)
	}
	return out
}

// agreesXmlsec lets xmlsec1 verify the same document.
func agreesXmlsec(t *testing.T, text string, signer cmstest.Identity) {
	t.Helper()
	xmlsec, err := exec.LookPath("xmlsec1")
	if err != nil {
		t.Skip("xmlsec1 is not installed")
	}
	dir := t.TempDir()
	cert, file := filepath.Join(dir, "cert.pem"), filepath.Join(dir, "signed.xml")
	cmstest.Write(t, cert, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: signer.Cert.Raw}))
	cmstest.Write(t, file, []byte(text))
	out, err := exec.Command(xmlsec, "--verify", "--id-attr:Id", ns132+":SignedProperties", "--pubkey-cert-pem", cert,
		"--enabled-key-data", "key-name,ecdsa", file).CombinedOutput()
	if err != nil {
		t.Errorf("xmlsec1 does not agree: %v\n%s", err, out)
	}
}

// TestTampered changes one thing each in a good document.
func TestTampered(t *testing.T) {
	signer, other := officer(t), cmstest.NewSigner(t, "p256", "officer-2")
	good := complete(t, envelop(basic(signer)), nil, signer)
	swap := func(from, to string) string {
		if !strings.Contains(good, from) {
			t.Fatalf("%q is not in the document", from)
		}
		return strings.Replace(good, from, to, 1)
	}
	for name, text := range map[string]string{
		"content":           swap("Wniosek", "Odwołanie"),
		"signed properties": swap("12:00:00", "13:00:00"),
		"certificate":       swap(b64(signer.Cert.Raw), b64(other.Cert.Raw)),
		"no certificate":    swap(b64(signer.Cert.Raw), ""),
		"reference dropped": good[:strings.Index(good, "<ds:Reference Id=")] + good[strings.Index(good, "<ds:Reference Type="):],
		"second Id":         swap("</tresc>", "</tresc><x Id='S1-props'/>"),
		"weaker method":     swap("ecdsa-sha256", "ecdsa-sha1"),
		"canonical form":    swap(exclusiveURI+`"></ds:CanonicalizationMethod>`, `http://www.w3.org/TR/2001/REC-xml-c14n-20010315"></ds:CanonicalizationMethod>`),
		"properties elsewhere": strings.Replace(swap("<xades:SignedProperties Id=", "<xades:SignedProperties Other="), "</tresc>",
			`</tresc><xades:SignedProperties xmlns:xades="`+ns132+`" Id="S1-props"></xades:SignedProperties>`, 1),
	} {
		for _, s := range mustOpen(t, text) {
			if intact(s) {
				t.Errorf("%s: taken for intact: %+v", name, s)
			}
		}
	}
}

// TestWrapped moves what was signed aside and puts something else in its place: digests stay right, so the scope must tell.
func TestWrapped(t *testing.T) {
	signer := officer(t)
	m := basic(signer)
	m.references = []string{ref(`Id="S1-ref" URI="#tresc"`, exclusiveURI)}
	good := complete(t, envelop(m), nil, signer)
	if s := mustOpen(t, good)[0]; !intact(s) || s.References[0].Full {
		t.Fatalf("facts: %+v", s)
	}
	const part = `<tresc Id="tresc">Wniosek</tresc>`
	wrapped := strings.Replace(good, part, `<tresc>Umowa</tresc>`, 1)
	wrapped = strings.Replace(wrapped, "</ds:Signature>", "<ds:Object>"+part+"</ds:Object></ds:Signature>", 1)
	if r := mustOpen(t, wrapped)[0].References[0]; r.Full {
		t.Errorf("a moved part counts as the whole document: %+v", r)
	}
	m = basic(signer)
	m.references = []string{ref(`Id="S1-ref" Type="`+typeObject+`" URI="#o"`, exclusiveURI)}
	m.objects = `<ds:Object Id="o">dane</ds:Object>`
	enveloping := complete(t, m.text(), nil, signer)
	if s := mustOpen(t, enveloping)[0]; !intact(s) {
		t.Fatalf("enveloping: %+v", s)
	}
	moved := strings.Replace(enveloping, m.objects, "<ds:Object>inne<x>"+m.objects+"</x></ds:Object>", 1)
	if s := mustOpen(t, moved)[0]; s.ReferencesIntact() {
		t.Errorf("an object that was moved is taken: %+v", s.References)
	}
}

func TestProperties(t *testing.T) {
	signer, other := officer(t), cmstest.NewSigner(t, "p256", "officer-2")
	uncovered := basic(signer)
	uncovered.uncovered = true
	uncovered.roles = `<xades:ClaimedRole>burmistrz</xades:ClaimedRole>`
	s := mustOpen(t, complete(t, envelop(uncovered), nil, signer))[0]
	if len(s.Constraints) == 0 || s.Binding != signature.BindingAbsent || !s.SigningTime.IsZero() || len(s.Signatory.Roles) != 0 {
		t.Errorf("properties that are not covered were used: %+v", s)
	}
	mismatch := basic(signer)
	mismatch.claimed = other.Cert.Raw
	if s := mustOpen(t, complete(t, envelop(mismatch), nil, signer))[0]; s.Binding != signature.BindingMismatch || !s.Intact {
		t.Errorf("another certificate is named: %+v", s)
	}
}

func TestSignatory(t *testing.T) {
	signer := officer(t)
	m := basic(signer)
	m.roles = `<xades:ClaimedRole><pz:EPSignature xmlns:pz="` + nsEPSignature + `"><pz:NaturalPerson><pz:CurrentFamilyName>PRZYKŁADOWA</pz:CurrentFamilyName>` +
		`<pz:FirstName>ANNA</pz:FirstName><pz:PersonalIdentifier>00000000000</pz:PersonalIdentifier></pz:NaturalPerson></pz:EPSignature></xades:ClaimedRole>`
	who := mustOpen(t, complete(t, envelop(m), nil, signer))[0].Signatory
	if who.FamilyName != "PRZYKŁADOWA" || who.GivenName != "ANNA" || who.PESEL != "00000000000" || len(who.Roles) != 0 {
		t.Errorf("EPSignature: %+v", who)
	}
	m.roles = `<xades:ClaimedRole><z:PodpisZP xmlns:z="` + nsPodpisZP + `" xmlns:o="` + nsOsoba + `"><z:DaneZP><z:DaneZPOsobyFizycznej><o:Nazwisko>NOWAK</o:Nazwisko>` +
		`<o:Imie>JAN</o:Imie><o:PESEL>1</o:PESEL><z:IdKontaUzytkownikaEpuap>jan</z:IdKontaUzytkownikaEpuap></z:DaneZPOsobyFizycznej></z:DaneZP></z:PodpisZP></xades:ClaimedRole>`
	who = mustOpen(t, complete(t, envelop(m), nil, signer))[0].Signatory
	if who.FamilyName != "NOWAK" || who.GivenName != "JAN" || who.PESEL != "1" || who.Account != "jan" {
		t.Errorf("PodpisZP: %+v", who)
	}
}

func TestDetached(t *testing.T) {
	signer := officer(t)
	m := basic(signer)
	m.references = []string{ref(`Id="S1-ref" URI="dane%20x.txt"`)}
	content := signature.Detached{Name: "dane x.txt", Content: []byte("dane")}
	text := complete(t, m.text(), exact([]signature.Detached{content}), signer)
	if s := mustOpen(t, text, content)[0]; !intact(s) || !s.References[0].Full {
		t.Errorf("by name: %+v", s)
	}
	if s := mustOpen(t, text, signature.Detached{Name: "/tmp/other", Content: []byte("dane")})[0]; !intact(s) {
		t.Errorf("the only file: %+v", s)
	}
	if s := mustOpen(t, text)[0]; s.References[0].Found || s.ReferencesIntact() {
		t.Errorf("without the file: %+v", s)
	}
	if s := mustOpen(t, text, signature.Detached{Name: "a", Content: []byte("dane")}, signature.Detached{Name: "b"})[0]; s.References[0].Found {
		t.Errorf("none of several files has the name: %+v", s)
	}
}

// TestDetachedOfSeveral: the one file that was given is the one that has its name; nobody changed the other one.
func TestDetachedOfSeveral(t *testing.T) {
	signer := officer(t)
	a, b := signature.Detached{Name: "a.txt", Content: []byte("a")}, signature.Detached{Name: "b.txt", Content: []byte("b")}
	for _, order := range [][]string{{"a.txt", "b.txt"}, {"b.txt", "a.txt"}} {
		m := basic(signer)
		m.references = []string{ref(`Id="S1-ref" URI="` + order[0] + `"`), ref(`URI="` + order[1] + `"`)}
		s := mustOpen(t, complete(t, m.text(), exact([]signature.Detached{a, b}), signer), a)[0]
		for _, r := range s.References[:2] {
			if is := r.Name == "a.txt"; r.Found != is || r.Intact != is {
				t.Errorf("%s of %v: %+v", r.Name, order, r)
			}
		}
	}
}

func TestManifest(t *testing.T) {
	signer := officer(t)
	m := basic(signer)
	m.references = []string{ref(`Id="S1-ref" Type="`+typeManifest+`" URI="#m"`, exclusiveURI)}
	entry := strings.Replace(ref(`URI="a.txt"`), "<ds:DigestValue>", "<ds:DigestValue>n4bQgYhMfWWaL+qgxVrQFaO/TxsrC4Is0V1sFbDwCgg=", 1) // of "test"
	m.objects = `<ds:Object><ds:Manifest Id="m">` + entry + `</ds:Manifest></ds:Object>`
	text := complete(t, m.text(), nil, signer)
	for content, want := range map[string]bool{"test": true, "changed": false} {
		s := mustOpen(t, text, signature.Detached{Name: "a.txt", Content: []byte(content)})[0]
		if len(s.References) != 3 || s.References[1].Type != "manifest-entry" || s.ReferencesIntact() != want {
			t.Errorf("%s: %+v", content, s.References)
		}
	}
}

// TestManifestOfAnObject: the manifest in a signed object, and the time beside it, count in a package alone.
func TestManifestOfAnObject(t *testing.T) {
	signer := officer(t)
	m := basic(signer)
	m.data = ""
	m.references = []string{ref(`URI="#o"`, exclusiveURI)}
	m.objects = `<ds:Object Id="o"><ds:Manifest>` + ref(`URI="a"`) + `</ds:Manifest><ds:SignatureProperties>` +
		`<ds:SignatureProperty Target="#S1"><m:SignatureTime xmlns:m="` + xmldsig.NamespaceOPCSignature + `"><m:Value>` +
		`2026-03-01T12:00:00Z</m:Value></m:SignatureTime></ds:SignatureProperty></ds:SignatureProperties></ds:Object>`
	const claimed = `<xades:SigningTime>2026-11-23T12:00:00+01:00</xades:SigningTime>`
	filtered := strings.Replace(filterRef("//ds:Manifest"), "intersect", "subtract", 1)
	entries := func(text string, open func(*budget.Budget, *xmldsig.Document, xmldsig.Resolver) (*signature.Document, error)) (int, string) {
		t.Helper()
		text = complete(t, strings.Replace(text, "<ds:DigestValue></ds:DigestValue></ds:Reference></ds:Manifest>",
			"<ds:DigestValue>AAAA</ds:DigestValue></ds:Reference></ds:Manifest>", 1), nil, signer)
		b := budget.New(t.Context(), len(text))
		d, err := xmldsig.Parse([]byte(text), xmldsig.Limits{Budget: b})
		if err != nil {
			t.Fatal(err)
		}
		doc, err := open(b, d, nil)
		if err != nil {
			t.Fatal(err)
		}
		n := 0
		for _, r := range doc.Signatures[0].References {
			if r.Type == kindManifestEntry {
				n++
			}
		}
		return n, doc.Signatures[0].SigningTime.Format(time.DateOnly)
	}
	untold := strings.Replace(m.text(), claimed, "", 1)
	if n, at := entries(untold, ReadPackage); n != 1 || at != "2026-03-01" {
		t.Errorf("in a package: %d entries, of %s", n, at)
	}
	if n, at := entries(untold, Read); n != 0 || at != "0001-01-01" {
		t.Errorf("%d entries of a manifest in an object, of %s", n, at)
	}
	if _, at := entries(m.text(), ReadPackage); at != "2026-11-23" {
		t.Errorf("the time of XAdES is not told, but %s", at)
	}
	m.references = []string{strings.Replace(filtered, `URI=""`, `URI="#o"`, 1)}
	if n, _ := entries(m.text(), ReadPackage); n != 0 {
		t.Errorf("%d entries of a manifest that a filter left out", n)
	}
}

func TestCounterSignature(t *testing.T) {
	signer, witness := officer(t), cmstest.NewSigner(t, "p256", "officer-2")
	counter := template{
		id: "S2", signer: witness, claimed: witness.Cert.Raw,
		references: []string{ref(`Type="`+typeCountersigned+`" URI="#S1-value"`, exclusiveURI)},
	}
	m := basic(signer)
	m.unsigned = `<xades:CounterSignature>` + counter.text() + `</xades:CounterSignature>`
	all := mustOpen(t, complete(t, envelop(m), nil, signer, witness))
	if len(all) != 2 || !intact(all[0]) || !intact(all[1]) || all[1].CounterSignatureOf != "S1" || all[0].CounterSignatureOf != "" {
		t.Fatalf("facts: %+v", all)
	}
	counter.references = []string{ref(`Type="`+typeCountersigned+`" URI="#tresc"`, exclusiveURI)}
	m.unsigned = `<xades:CounterSignature>` + counter.text() + `</xades:CounterSignature>`
	all = mustOpen(t, complete(t, envelop(m), nil, signer, witness))
	if word, why := outcome(all[1]); word != "changed" {
		t.Errorf("a counter-signature over something else: %s %s", word, why)
	}
	counter.references = []string{ref(`URI="#tresc"`, exclusiveURI)}
	m.unsigned = `<xades:CounterSignature>` + counter.text() + `</xades:CounterSignature>`
	all = mustOpen(t, complete(t, envelop(m), nil, signer, witness))
	if word, why := outcome(all[1]); word != "format" {
		t.Errorf("a counter-signature without a reference to a value: %s %s", word, why)
	}
}

func TestSignatureTimestamp(t *testing.T) {
	signer, tsu := officer(t), cmstest.NewTSU(t, "p256", "TSU 1")
	m := basic(signer)
	m.unsigned = `<xades:SignatureTimeStamp Id="T1"><ds:CanonicalizationMethod Algorithm="` + exclusiveURI + `"></ds:CanonicalizationMethod>` +
		`<xades:EncapsulatedTimeStamp>TOKEN</xades:EncapsulatedTimeStamp></xades:SignatureTimeStamp>`
	text := complete(t, envelop(m), nil, signer)
	value, err := readNth(t, text, 0).ValueNode.Canonical(xmldsig.Canonicalization{Form: xmldsig.Exclusive})
	if err != nil {
		t.Fatal(err)
	}
	stamped := func(data []byte) *signature.Signature {
		return mustOpen(t, strings.Replace(text, "TOKEN", b64(tsu.Stamp(t, data, cmstest.Now)), 1))[0]
	}
	s := stamped(value)
	if s.Level != "B-T" || len(s.Timestamps) != 1 {
		t.Fatalf("facts: %+v", s)
	}
	if ts := s.Timestamps[0]; ts.ID != "T1" || !ts.Intact || !ts.Imprint || !ts.CoversSignature || ts.Covers[0] != s.Value {
		t.Errorf("time-stamp: %+v", ts)
	}
	if ts := stamped([]byte("another value")).Timestamps[0]; !ts.Intact || !ts.Found || ts.Imprint || ts.CoversSignature || len(ts.Covers) != 0 {
		t.Errorf("transplanted time-stamp: %+v", ts)
	}
	if ts := mustOpen(t, text)[0].Timestamps[0]; ts.Intact || ts.Imprint {
		t.Errorf("what is no token: %+v", ts)
	}
	names := func(s *signature.Signature) bool {
		return s.Timestamps[0].Imprint && s.Binding == signature.BindingMatches && slices.Contains(s.Timestamps[0].Covers, sha256.Sum256(s.Signer))
	}
	if !names(s) {
		t.Error("the time-stamp does not prove the age of the signer's certificate")
	}
	good := text
	text = strings.Replace(good, "<ds:SignedInfo", `<ds:SignedInfo Id="I1"`, 1)
	if s := stamped(value); s.Intact || names(s) {
		t.Error("a value that does not verify proves the age of a certificate")
	}
	at := strings.Index(good, "<xades:SigningTime>") + len("<xades:SigningTime>")
	text = good[:at] + "1" + good[at+1:] // properties of another day around the old value
	if s := stamped(value); !s.Intact || names(s) {
		t.Error("a value around whose signer other properties were put proves the age of a certificate")
	}
}

func TestPlainXMLDSig(t *testing.T) {
	signer := officer(t)
	text := basic(signer).text()
	at, end := strings.Index(text, "<ds:Object>"), strings.Index(text, "</ds:Signature>")
	text = text[:at] + text[end:]
	from := strings.Index(text, `<ds:Reference Type="http://uri.etsi.org`)
	text = text[:from] + text[strings.Index(text, "</ds:SignedInfo>"):]
	text = strings.Replace(envelope, "SIGNATURE", text, 1)
	s := mustOpen(t, complete(t, text, nil, signer))[0]
	if s.Format != signature.XMLDSig || s.Level != "" || s.Binding != signature.BindingAbsent || !s.Intact || !s.ReferencesIntact() {
		t.Errorf("facts: %+v", s)
	}
}

func TestNoSignature(t *testing.T) {
	if _, err := Open(budget.New(t.Context(), 0), []byte("<a/>"), nil); !errors.Is(err, ErrNoSignature) {
		t.Errorf("error %v", err)
	}
	if _, err := Open(budget.New(t.Context(), 0), []byte("%PDF"), nil); err == nil || errors.Is(err, ErrNoSignature) {
		t.Errorf("error %v", err)
	}
}

// TestHostile: what one document may cost is bounded.
func TestHostile(t *testing.T) {
	signer := officer(t)
	many := strings.Repeat(`<ds:Signature xmlns:ds="`+xmldsig.NamespaceDSig+`"/>`, maxSignatures+1)
	if _, err := Open(budget.New(t.Context(), 0), []byte("<a>"+many+"</a>"), nil); !errors.Is(err, xmldsig.ErrTooLarge) {
		t.Errorf("many signatures: %v", err)
	}
	m := basic(signer)
	for n := range 3000 {
		m.references = append(m.references, ref(fmt.Sprintf(`URI="#xpointer(id('tresc'))" Id="r%d"`, n), slices.Repeat([]string{exclusiveURI}, n%16)...))
	}
	text := strings.Replace(envelope, "Wniosek", strings.Repeat("x", 2<<20), 1)
	if s := mustOpen(t, strings.Replace(text, "SIGNATURE", m.text(), 1))[0]; s.Unchecked != "" {
		t.Errorf("sixteen different digests of 2 MB, each asked for 190 times: %s", s.Unchecked)
	}
}

// fuzzCost is what an input may cost that gets so much budget: fuzzing makes code several times slower.
const fuzzWork, fuzzHeld = 20_000_000, 8 << 20

var fuzzLimit = budgettest.Limit{Time: 15 * fuzzWork, TimeAnOctet: time.Microsecond, Alloc: 5 * fuzzWork, AllocAnOctet: 100}

// FuzzOpen reads signatures out of anything. Nothing may panic, be intact without a signer, or cost more than the budget.
func FuzzOpen(f *testing.F) {
	signer, tsu := officer(f), cmstest.NewTSU(f, "p256", "TSU 1")
	m := basic(signer)
	m.unsigned = `<xades:ArchiveTimeStamp xmlns:xades="` + ns141 + `"><x:EncapsulatedTimeStamp xmlns:x="` + ns132 + `">` +
		b64(tsu.Stamp(f, []byte("x"), cmstest.Now)) + `</x:EncapsulatedTimeStamp></xades:ArchiveTimeStamp>`
	f.Add([]byte(complete(f, envelop(m), nil, signer)))
	about := [][]byte{digestOf(false, nil)}
	m.unsigned = sealing(newArchive(f, false).about(about...).element(), newArchive(f, true).about(about...).element())
	f.Add([]byte(m.text()))
	m.references = []string{ref(`URI="a"`), ref(`Type="` + typeManifest + `" URI="#m"`)}
	m.objects = `<ds:Object><ds:Manifest Id="m">` + ref(`URI="b"`) + `</ds:Manifest></ds:Object>`
	f.Add([]byte(m.text()))
	for _, document := range costly {
		if text := document(1 << 10); len(text) < 4<<10 {
			f.Add([]byte(text))
		}
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		budgettest.Check(t, len(data), fuzzLimit, func() {
			doc, err := Open(budget.Of(t.Context(), fuzzWork, fuzzHeld), data, []signature.Detached{{Name: "a", Content: data}})
			if err != nil {
				return
			}
			for _, s := range doc.Signatures {
				if s.Intact && s.Signer == nil && len(s.Certificates) > 0 || s.Unchecked != "" && (s.Intact || len(s.Structure) > 0) {
					t.Fatalf("facts that contradict each other: %+v", s)
				}
			}
		})
	})
}

// TestObligations: a level is named only where what it demands is there (EN 319 132-1, 4.3.1 and 6.3; TS 101 903, 4.4.1).
func TestObligations(t *testing.T) {
	signer := officer(t)
	text := envelop(basic(signer))
	from, to := strings.Index(text, "<xades:SigningCertificateV2>"), strings.Index(text, "<xades:SignerRoleV2>")
	unnamed := text[:from] + text[to:]
	for name, c := range map[string]struct {
		text, level string
		format      signature.Format
		constraint  bool
	}{
		"good":            {text, "B-B", signature.XAdES, false},
		"no Type":         {strings.Replace(text, `Type="http://uri.etsi.org/01903#SignedProperties" `, "", 1), "BES", signature.XAdES, true},
		"no certificate":  {unnamed, "", signature.XMLDSig, false},
		"signed KeyInfo":  {strings.Replace(strings.Replace(unnamed, "<ds:KeyInfo>", `<ds:KeyInfo Id="ki">`, 1), "<ds:Reference Type=", ref(`URI="#ki"`)+"<ds:Reference Type=", 1), "BES", signature.XAdES, false},
		"another version": {strings.Replace(strings.ReplaceAll(text, ns132, ns122), `Type="http://uri.etsi.org/01903#SignedProperties" `, "", 1), "B-B", signature.XAdES, false},
	} {
		s := mustOpen(t, complete(t, c.text, nil, signer))[0]
		if s.Level != c.level || s.Format != c.format || c.constraint != (len(s.Constraints) > 0) || !s.Intact || len(s.Structure) > 0 {
			t.Errorf("%s: %s %s %q %q", name, s.Format, s.Level, s.Constraints, s.Structure)
		}
	}
}

// TestManifestNotAtHand: what to do with an entry whose data are not at hand is the application's matter.
func TestManifestNotAtHand(t *testing.T) {
	signer := officer(t)
	m := basic(signer)
	m.references = []string{ref(`Id="S1-ref" Type="`+typeManifest+`" URI="#m"`, exclusiveURI)}
	entry := strings.Replace(ref(`URI="a.txt"`), "<ds:DigestValue>", "<ds:DigestValue>n4bQgYhMfWWaL+qgxVrQFaO/TxsrC4Is0V1sFbDwCgg=", 1) // of "test"
	m.objects = `<ds:Object><ds:Manifest Id="m">` + entry + strings.Replace(entry, "a.txt", "b.txt", 1) + `</ds:Manifest></ds:Object>`
	text := complete(t, m.text(), nil, signer)
	other := signature.Detached{Name: "other", Content: []byte("x")}
	if word, why := outcome(mustOpen(t, text, other, signature.Detached{Name: "a.txt", Content: []byte("test")})[0]); word != "whole" || !strings.Contains(why, "a.txt") || strings.Contains(why, "b.txt") {
		t.Errorf("one of two: %s %s", word, why)
	}
	if word, why := outcome(mustOpen(t, text, other, signature.Detached{Name: "a.txt", Content: []byte("changed")})[0]); word != "changed" {
		t.Errorf("one changed: %s %s", word, why)
	}
	if word, why := outcome(mustOpen(t, text, other, other)[0]); word != "nothing" {
		t.Errorf("none of two: %s %s", word, why)
	}
}

// TestDuplicates: references that must yield the same digest are digested once, and each has its own verdict.
func TestDuplicates(t *testing.T) {
	signer := officer(t)
	m := basic(signer)
	again := ref(`URI="#tresc"`, exclusiveURI)
	m.references = append(m.references, slices.Repeat([]string{again}, 3)...)
	text := complete(t, envelop(m), nil, signer)
	calls := 0
	d, err := xmldsig.Parse([]byte(strings.Replace(text, "</ds:SignedInfo>", strings.Repeat(ref(`URI="far"`), 100)+"</ds:SignedInfo>", 1)), xmldsig.Limits{})
	if err != nil {
		t.Fatal(err)
	}
	doc, err := Read(budget.New(t.Context(), len(text)), d, func(string) ([]byte, error) { calls++; return []byte("far"), nil })
	if err != nil || calls != 1 {
		t.Errorf("a file was asked for %d times: %v", calls, err)
	}
	if n := len(doc.Signatures[0].References); n != 105 {
		t.Errorf("%d references", n)
	}
	at := strings.LastIndex(text[:strings.Index(text, `<ds:Reference Type=`)], "<ds:DigestValue>") + len("<ds:DigestValue>")
	changed := text[:at] + "AAAA" + text[at+4:]
	refs := mustOpen(t, changed)[0].References
	if !refs[1].Intact || !refs[2].Intact || refs[3].Intact {
		t.Errorf("the third of three has another digest value: %+v", refs)
	}
}

// TestUnknownMethods: a value that can't be checked accuses nobody; a wrong one does.
func TestUnknownMethods(t *testing.T) {
	good := newSigning(t).whole
	for name, c := range map[string]struct {
		text, want string
	}{
		"unknown method": {strings.Replace(good, "xmldsig-more#ecdsa-sha256", "xmldsig-more#ecdsa-whirl256", 1), "unsupported"},
		"wrong value":    {strings.Replace(good, "<ds:SignatureValue Id=\"S1-value\">", "<ds:SignatureValue Id=\"S1-value\">AAAA", 1), ""},
	} {
		if s := mustOpen(t, c.text)[0]; s.Intact || !strings.Contains(s.Unsupported, c.want) || (s.Unsupported == "") != (c.want == "") {
			t.Errorf("%s: intact %t, unsupported %q", name, s.Intact, s.Unsupported)
		}
	}
}

// TestParametersOfPSS: a mask generation function or trailer that nobody computes is no other one's name.
func TestParametersOfPSS(t *testing.T) {
	plain := xmldsig.PSSParams{SaltLength: -1, Trailer: 1}
	method := func(change func(*xmldsig.PSSParams)) xmldsig.SignatureMethod {
		p := plain
		change(&p)
		return xmldsig.SignatureMethod{URI: "http://www.w3.org/2007/05/xmldsig-more#rsa-pss", PSS: &p}
	}
	for name, c := range map[string]struct {
		change func(*xmldsig.PSSParams)
		want   error
	}{
		"defaults":         {func(*xmldsig.PSSParams) {}, nil},
		"all named":        {func(p *xmldsig.PSSParams) { p.DigestURI, p.MGFURI, p.MGFDigestURI = sha256URI, xmldsig.MGF1, sha256URI }, nil},
		"another mask":     {func(p *xmldsig.PSSParams) { p.MGFURI = "urn:mask" }, algorithm.ErrUnsupported},
		"another trailer":  {func(p *xmldsig.PSSParams) { p.Trailer = 2 }, algorithm.ErrUnsupported},
		"digest of nobody": {func(p *xmldsig.PSSParams) { p.MGFDigestURI = "urn:digest" }, algorithm.ErrUnsupported},
		"salt too long":    {func(p *xmldsig.PSSParams) { p.SaltLength = 1 << 20 }, algorithm.ErrMalformed},
	} {
		s, err := scheme(method(c.change))
		if !errors.Is(err, c.want) || err == nil && s.Name() != "RSA-PSS-SHA256" {
			t.Errorf("%s: %s, %v; want %v", name, s, err, c.want)
		}
	}
}

// TestFilesOfNobody: who hands in a file is told when no signature is about it, and a base name of two files means neither.
func TestFilesOfNobody(t *testing.T) {
	text := complete(t, envelop(basic(officer(t))), nil, officer(t))
	for _, c := range []struct {
		files []signature.Detached
		told  bool
	}{{nil, false}, {[]signature.Detached{{Name: "evil.xml", Content: []byte("<a/>")}}, true}} {
		doc, err := Open(budget.New(t.Context(), len(text)), []byte(text), c.files)
		if err != nil {
			t.Fatal(err)
		}
		if told := slices.Contains(doc.Notes, signature.NotAbout); told != c.told {
			t.Errorf("%d files: told %t", len(c.files), told)
		}
	}
	resolve := lenient([]signature.Detached{{Name: "a/pismo.xml", Content: []byte("1")}, {Name: "b/pismo.xml", Content: []byte("2")}}, true)
	if _, err := resolve("pismo.xml"); !errors.Is(err, xmldsig.ErrNotFound) {
		t.Errorf("a name that two files have: %v", err)
	}
	if octets, err := resolve("b/pismo.xml"); err != nil || string(octets) != "2" {
		t.Errorf("the whole name: %q %v", octets, err)
	}
}
