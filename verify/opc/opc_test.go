package opc

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"trustcore/internal/asic"
	"trustcore/internal/budget"
	"trustcore/internal/budget/budgettest"
	"trustcore/internal/cms/cmstest"
	"trustcore/internal/xmldsig"
	"trustcore/verify/signature"
)

// outcome is what the judge would say of the facts, in one word, and why.
func outcome(s *signature.Signature) (word, why string) {
	content := false
	for _, r := range s.References {
		content = content || r.Intact && !r.Empty && r.Type == manifestEntry
	}
	which := func(f func(signature.Reference) bool) bool { return slices.ContainsFunc(s.References, f) }
	switch {
	case s.Unchecked != "":
		return "unchecked", s.Unchecked
	case len(s.Structure) > 0:
		return "format", strings.Join(s.Structure, "; ")
	case which(func(r signature.Reference) bool { return !r.Found && !r.Optional }):
		return "missing", strings.Join(s.Notes, "; ")
	case which(func(r signature.Reference) bool { return r.Unchecked != "" }):
		return "can't be checked", fmt.Sprint(s.References)
	case !s.ReferencesIntact():
		return "changed", strings.Join(s.Notes, "; ")
	case !content:
		return "nothing", ""
	case !s.Intact:
		return "value", ""
	case len(s.Constraints) > 0:
		return "constraint", strings.Join(s.Constraints, "; ")
	}
	return "good", ""
}

func TestPackage(t *testing.T) {
	signer := cmstest.NewSigner(t, "p256", "officer-1")
	files := append(word(), file{sigName, signed(t, signer, items())})
	doc := open(t, zipped(t, files))
	if len(doc.Signatures) != 1 {
		t.Fatalf("%d signatures", len(doc.Signatures))
	}
	s := doc.Signatures[0]
	if word, why := outcome(s); word != "good" || s.Format != signature.XMLDSig {
		t.Errorf("%s (%s): %+v", word, why, s)
	}
	if s.Container != "" || s.Filename != sigName {
		t.Errorf("container %q, file %q", s.Container, s.Filename)
	}
	if at := time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC); !s.SigningTime.Equal(at) {
		t.Errorf("signing time %v", s.SigningTime)
	}
	if !slices.Equal(s.Unsigned, []string{"docProps/core.xml"}) {
		t.Errorf("unsigned: %v", s.Unsigned)
	}
	var scopes []string
	for _, r := range s.References {
		if r.Scope != "" {
			scopes = append(scopes, r.Scope)
		}
	}
	want := []string{"relationships in /_rels/.rels", "relationships in /word/_rels/document.xml.rels",
		"the whole part /word/document.xml", "the whole part /word/styles.xml"}
	if !slices.Equal(scopes, want) {
		t.Errorf("scopes %q", scopes)
	}
}

// TestForms are packages that differ from the plain one and are as good.
func TestForms(t *testing.T) {
	signer := cmstest.NewSigner(t, "p256", "officer-1")
	good := append(word(), file{sigName, signed(t, signer, items())})
	second := edit(t, good, "_xmlsignatures/_rels/origin.sigs.rels", "</Relationships>",
		`<Relationship Id="rId2" Type="`+kindSignature+`" Target="/_xmlsignatures/sig2.xml"/></Relationships>`)
	second = with(second, "[Content_Types].xml",
		types(`<Override PartName="/_XMLsignatures/sig2.xml" ContentType="`+typeSignature+`"/>`))
	canonical := items()
	canonical[2].transforms = transform(c14n, "")
	allRels := items()
	allRels[1] = whole(documentRels, typeRels, contentOf(word(), documentRels))
	group := items()
	group[1].transforms = strings.NewReplacer("RelationshipReference", "RelationshipsGroupReference",
		`SourceId="rId1"`, `SourceType="`+office+`styles"`,
		`SourceId="rId2"`, `SourceType="`+office+`hyperlink"`).Replace(group[1].transforms)
	upper := items()
	upper[2].uri = strings.Replace(upper[2].uri, "/word/document", "/WORD/Document", 1)
	certificate := edit(t, good, "[Content_Types].xml", "</Types>", `<Default Extension="cer" `+
		`ContentType="application/vnd.openxmlformats-package.digital-signature-certificate"/></Types>`)
	certificate = append(certificate, file{"_xmlsignatures/a.cer", "x"},
		file{"_xmlsignatures/_rels/sig1.xml.rels", rels("rId1 " + kindCertificate + " a.cer")})
	core := `<Relationship Id="rId2" Type="` + coreKind + `" Target="docProps/core.xml"/>`
	backwards := rels("rId2 "+office+"hyperlink http://example.org/ External", "rId1 "+office+"styles styles.xml")
	for name, files := range map[string][]file{
		"two signatures":      append(second, file{"_xmlsignatures/sig2.xml", signed(t, signer, items())}),
		"canonical part":      append(word(), file{sigName, signed(t, signer, canonical)}),
		"whole relationships": append(word(), file{sigName, signed(t, signer, allRels)}),
		"a group":             append(word(), file{sigName, signed(t, signer, group)}),
		"name in capitals":    append(word(), file{sigName, signed(t, signer, upper)}),
		"other metadata":      edit(t, good, "docProps/core.xml", "<core/>", "<core>Kowalski</core>"),
		"no metadata":         without(edit(t, good, rootRels, core, ""), "docProps/core.xml"),
		"another order":       with(good, documentRels, backwards),
		"certificate part":    certificate,
		"folders":             append(good, file{"word/", ""}),
	} {
		doc := open(t, zipped(t, files))
		ids := map[string]bool{}
		for _, s := range doc.Signatures {
			ids[s.ID] = true
			if word, why := outcome(s); word != "good" {
				t.Errorf("%s: %s (%s)", name, word, why)
			}
		}
		if want := 1 + strings.Count(name, "two"); len(ids) != want {
			t.Errorf("%s: %d signatures", name, len(ids))
		}
	}
}

// TestNoSignature: a package without signatures is no fault.
func TestNoSignature(t *testing.T) {
	files := without(without(without(word(), "_xmlsignatures/origin.sigs"), "_xmlsignatures/_rels/origin.sigs.rels"), "x")
	if doc := open(t, zipped(t, files)); len(doc.Signatures) != 0 {
		t.Errorf("%d signatures", len(doc.Signatures))
	}
}

// TestAttacks changes a signed package in the ways that keep what was signed as it is, or look like it.
func TestAttacks(t *testing.T) {
	signer := cmstest.NewSigner(t, "p256", "officer-1")
	sig := signed(t, signer, items())
	good := append(word(), file{sigName, sig})
	typesWith := func(more string) []file { return with(good, "[Content_Types].xml", types(more)) }
	add := func(name, content string) []file { return append(slices.Clone(good), file{name, content}) }
	relate := func(files []file, part, one string) []file {
		more := strings.TrimPrefix(rels(one), `<Relationships xmlns="`+nsRelationships+`">`)
		return edit(t, files, part, "</Relationships>", more)
	}
	object := packageObject(items())
	part := func(text string) []file { return append(word(), file{sigName, text}) }
	list := func(change func([]item) []item) []file { return part(signed(t, signer, change(items()))) }
	less := func(i int) []file {
		return list(func(l []item) []item { return slices.Delete(l, i, i+1) })
	}
	const evil = `<w:document xmlns:w="urn:w">Umowa nr 2</w:document>`
	subtract := `<XPath xmlns="http://www.w3.org/2002/06/xmldsig-filter2" Filter="subtract">//text()</XPath>`
	origin := `<Relationship Id="rId3" Type="` + kindOrigin + `" Target="_xmlsignatures/origin.sigs"/>`
	cut := edit(t, good, rootRels, origin, "")
	unreached := without(without(cut, "_xmlsignatures/origin.sigs"), "_xmlsignatures/_rels/origin.sigs.rels")
	certificate := func(files []file, target string) []file {
		return append(files, file{"_xmlsignatures/_rels/sig1.xml.rels", rels("rId9 " + kindCertificate + " " + target)})
	}
	document := reference(`URI="/word/document.xml"`, "", word()[2].content)
	filtered := reference(`URI="#idOfficeObject"`, transform(xmldsig.TransformXPathFilter, subtract), "")
	macro := strings.Replace(types(""), typeMain, "application/vnd.ms-word.document.macroEnabled.main+xml", 1)
	for _, c := range []struct {
		name      string
		files     []file
		want, why string
	}{
		{"another document", with(good, "word/document.xml", evil), "changed", ""},
		{"no document", without(good, "word/document.xml"), "missing", ""},
		{"document in a part of another name",
			append(without(good, "word/document.xml"), file{"word/document2.xml", word()[2].content}),
			"missing", ""},

		{"a part added", add("word/evil.xml", evil),
			"constraint", `1 parts of the package are not signed, such as "/word/evil.xml"`},
		{"a part without a type", add("word/evil", evil), "constraint", "/word/evil"},
		{"a part by a relationship", relate(add("word/evil.xml", evil), documentRels, "rId9 "+office+"header evil.xml"),
			"constraint", `"rId9" of`},
		{"a second document", relate(add("word/evil.xml", evil), rootRels, "rId0 "+office+"officeDocument word/evil.xml"),
			"constraint", `"rId0" of "/_rels/.rels"`},
		{"a link added", relate(good, documentRels, "rId9 "+office+"hyperlink http://evil.example/ External"),
			"constraint", `"rId9" of`},
		{"a link to a signed part", relate(good, documentRels, "rId9 "+office+"header document.xml"),
			"constraint", `"rId9" of`},
		{"relationships of another part",
			add("word/_rels/styles.xml.rels", rels("rId1 "+office+"image http://evil.example/ External")),
			"constraint", `of "/word/_rels/styles.xml.rels"`},
		{"metadata of a part", relate(add("word/evil.xml", evil), documentRels, "rId9 "+coreKind+" evil.xml"),
			"constraint", "1 parts"},
		{"properties of a part", relate(add("docProps/evil.xml", evil), documentRels, "rId9 "+coreKind+" ../docProps/evil.xml"),
			"constraint", `"/docProps/evil.xml"`},
		{"a picture of a part", relate(add("docProps/evil.xml", evil), documentRels,
			"rId9 http://schemas.openxmlformats.org/package/2006/relationships/metadata/thumbnail ../docProps/evil.xml"),
			"constraint", `"/docProps/evil.xml"`},
		{"content that is metadata too", relate(relate(add("docProps/evil.xml", evil), rootRels, "rId8 "+office+"image docProps/evil.xml"),
			rootRels, "rId9 "+coreKind+" docProps/evil.xml"), "constraint", `"/docProps/evil.xml"`},
		{"document as metadata", relate(less(2), rootRels, "rId9 "+coreKind+" word/document.xml"),
			"constraint", `"/word/document.xml"`},
		{"document as a signature",
			relate(less(2), "_xmlsignatures/_rels/origin.sigs.rels", "rId9 "+kindSignature+" /word/document.xml"),
			"constraint", `"/word/document.xml"`},
		{"document as a certificate",
			certificate(less(2), "../word/document.xml"),
			"constraint", `"/word/document.xml"`},
		{"a part as a certificate",
			certificate(add("word/evil.xml", evil), "../word/evil.xml"),
			"constraint", `"/word/evil.xml"`},
		{"relationships of the origin",
			relate(good, "_xmlsignatures/_rels/origin.sigs.rels", "rId9 "+office+"officeDocument /word/styles.xml"),
			"constraint", `"rId9" of`},
		{"relationships of a signature", append(slices.Clone(good), file{"_xmlsignatures/_rels/sig1.xml.rels",
			rels("rId8 " + office + "image /word/styles.xml")}), "constraint", `such as "rId8"`},
		{"a certificate that nothing leads to", append(typesWith(`<Override PartName="/word/evil.xml" `+
			`ContentType="application/vnd.openxmlformats-package.digital-signature-certificate"/>`),
			file{"word/evil.xml", evil}), "constraint", `"/word/evil.xml"`},
		{"a mimetype", add("mimetype", "application/x"), "constraint", "/mimetype"},
		{"a file beside the signatures", add("_xmlsignatures/evil.xml", evil), "constraint", "/_xmlsignatures/evil.xml"},

		{"target of a relationship", edit(t, good, documentRels, `Target="styles.xml"`, `Target="evil.xml"`), "changed", ""},
		{"target of a link", edit(t, good, documentRels, "http://example.org/", "http://evil.example/"), "changed", ""},
		{"mode of a relationship",
			edit(t, good, documentRels, `Target="styles.xml"`, `Target="styles.xml" TargetMode="External"`),
			"changed", ""},
		{"Id twice", relate(good, documentRels, "rId1 "+office+"styles evil.xml"), "changed", ""},
		{"no relationships", without(good, documentRels), "missing", ""},
		{"foreign relationships", edit(t, good, documentRels, "</Relationships>", `<x xmlns="urn:x"/></Relationships>`),
			"format", "cannot be read"},
		{"a relationship in another", edit(t, good, rootRels, `Target="word/document.xml"/>`, `Target="word/document.xml">`+
			`<Relationship Id="rId0" Type="`+office+`officeDocument" Target="docProps/core.xml"/></Relationship>`),
			"format", "cannot be read"},
		{"a relationship in what is ignorable", edit(t, edit(t, good, rootRels, "<Relationships ", `<Relationships xmlns:mc="`+
			`http://schemas.openxmlformats.org/markup-compatibility/2006" xmlns:x="urn:x" mc:Ignorable="x" `), rootRels,
			"</Relationships>", `<x:y><Relationship xmlns="`+nsRelationships+`" Id="rId0" Type="`+office+
				`officeDocument" Target="docProps/core.xml"/></x:y></Relationships>`), "format", "cannot be read"},
		{"metadata elsewhere", edit(t, good, rootRels, `Target="docProps/core.xml"`,
			`Target="http://evil.example/" TargetMode="External"`), "constraint", `"rId2" of "/_rels/.rels"`},
		{"metadata by another mode", edit(t, good, rootRels, `Target="docProps/core.xml"`,
			`Target="docProps/core.xml" TargetMode="internal"`), "constraint", `"rId2" of "/_rels/.rels"`},
		{"metadata where documents lie", edit(t, append(without(good, "docProps/core.xml"), file{"Word/document1.xml", evil}),
			rootRels, "docProps/core.xml", "Word/document1.xml"), "constraint", `"/Word/document1.xml"`},
		{"a picture of another document", relate(add("xl/workbook.xml", evil), rootRels,
			"rId9 http://schemas.openxmlformats.org/package/2006/relationships/metadata/thumbnail xl/workbook.xml"),
			"constraint", `"/xl/workbook.xml"`},
		{"text by altChunk", relate(add("word/afchunk.mht", evil), documentRels, "rId9 "+office+"aFChunk afchunk.mht"),
			"constraint", "/word/afchunk.mht"},
		{"an OLE object", relate(add("word/embeddings/oleObject1.bin", evil), documentRels,
			"rId9 "+office+"oleObject embeddings/oleObject1.bin"), "constraint", "/word/embeddings/oleObject1.bin"},
		{"macros", relate(add("word/vbaProject.bin", evil), documentRels,
			"rId9 http://schemas.microsoft.com/office/2006/relationships/vbaProject vbaProject.bin"),
			"constraint", "/word/vbaProject.bin"},
		{"custom XML", relate(add("customXml/item1.xml", evil), documentRels, "rId9 "+office+"customXml ../customXml/item1.xml"),
			"constraint", `"rId9" of`},
		{"a ribbon", relate(add("customUI/customUI.xml", evil), rootRels,
			"rId9 http://schemas.microsoft.com/office/2006/relationships/ui/extensibility customUI/customUI.xml"),
			"constraint", "/customUI/customUI.xml"},
		{"a template", relate(add("word/_rels/settings.xml.rels", rels()), "word/_rels/settings.xml.rels",
			"rId9 "+office+"attachedTemplate http://evil.example/ External"), "constraint", `"rId9" of`},
		{"a document by the strict relationship", relate(good, rootRels, "rId9 "+officeStrict+"officeDocument docProps/core.xml"),
			"constraint", `"rId9" of`},
		{"signatures of another package", relate(add("_xmlsignatures/sig2.xml", sig), "_xmlsignatures/_rels/origin.sigs.rels",
			"rId2 "+kindSignature+" sig2.xml"), "constraint", "/_xmlsignatures/sig2.xml"},
		{"a picture of the signature line", relate(add("word/media/image1.emf", evil), documentRels,
			"rId9 "+office+"image media/image1.emf"), "constraint", "/word/media/image1.emf"},
		{"broken relationships", add("word/_rels/styles.xml.rels", "<x"), "format", "cannot be read"},

		{"type of a part",
			with(good, "[Content_Types].xml", macro),
			"changed", "was signed as"},
		{"type taken away",
			with(good, "[Content_Types].xml", strings.Replace(types(""), "/word/document.xml", "/word/other.xml", 1)),
			"changed", "was signed as"},
		{"type in the default", with(good, "[Content_Types].xml", strings.Replace(types(""), typeRels, "application/xml", 1)),
			"changed", "was signed as"},
		{"a type in another", typesWith(`<Default Extension="a" ContentType="x"><Override PartName="/word/document.xml" ` +
			`ContentType="x"/></Default>`), "format", "elements of its own"},
		{"type without a root", typesWith(`<Override PartName="word/document.xml" ContentType="x"/>`), "format", "no name of a part"},
		{"type by a way back", typesWith(`<Override PartName="/word/../word/document.xml" ContentType="x"/>`),
			"format", "no name of a part"},
		{"type by a way that stays", typesWith(`<Override PartName="/word/./document.xml" ContentType="x"/>`),
			"format", "no name of a part"},
		{"type by two slashes", typesWith(`<Override PartName="//word/document.xml" ContentType="x"/>`),
			"format", "no name of a part"},
		{"type by a backslash", typesWith(`<Override PartName="/word\document.xml" ContentType="x"/>`),
			"format", "no name of a part"},
		{"type with a blank", typesWith(`<Override PartName="/word/document.xml " ContentType="x"/>`),
			"format", "no name of a part"},
		{"type with a fragment", typesWith(`<Override PartName="/word/document.xml#a" ContentType="x"/>`),
			"format", "no name of a part"},
		{"type of no part", typesWith(`<Override ContentType="x"/>`), "format", "no name of a part"},
		{"type in percent", typesWith(`<Override PartName="/word/document%2exml" ContentType="x"/>`), "format", "two content types"},
		{"a default with a dot", typesWith(`<Default Extension=".xml" ContentType="x"/>`), "format", "no extension"},
		{"a default in percent", typesWith(`<Default Extension="%78ml" ContentType="x"/>`), "format", "no extension"},
		{"a default of none", typesWith(`<Default Extension="" ContentType="x"/>`), "format", "no extension"},
		{"a default that is a part", typesWith(`<Default Extension="/word/document.xml" ContentType="x"/>`),
			"format", "no extension"},
		{"default and override swapped", with(good, "[Content_Types].xml", strings.Replace(types(""),
			`<Override PartName="/word/document.xml" ContentType="`+typeMain+`"/>`, "", 1)), "changed", "was signed as"},
		{"types that are alternate", typesWith(`<mc:AlternateContent xmlns:mc="http://schemas.openxmlformats.org/` +
			`markup-compatibility/2006"/>`), "format", "unexpected"},
		{"two types", typesWith(`<Override PartName="/Word/document.xml" ContentType="x"/>`), "format", "two content types"},
		{"two defaults", typesWith(`<Default Extension="XML" ContentType="x"/>`), "format", "two content types"},
		{"no types", with(good, "[Content_Types].xml", "<x/>"), "format", "content types"},
		{"foreign types", typesWith(`<x xmlns="urn:x"/>`), "format", "content types"},

		{"a name twice", add("word/document.xml", evil), "format", "occurs twice"},
		{"a name in capitals", add("WORD/document.xml", evil), "format", "one on some systems"},
		{"a name in percent", add("word/document%2Exml", evil), "format", "two parts are called"},
		{"a name with a backslash", add(`word\document.xml`, evil), "format", "occurs twice"},
		{"pieces", add("word/document.xml/[0].piece", evil), "format", "in pieces"},

		{"no origin", unreached, "format", "no relationship of the package leads"},
		{"two origins", relate(good, rootRels, "rId9 "+kindOrigin+" word/styles.xml"), "format", "2 signature origins"},
		{"origin of a part", relate(cut, documentRels, "rId3 "+kindOrigin+" /_xmlsignatures/origin.sigs"),
			"format", "no relationship of the package leads"},
		{"a signature in a document", part(`<x>` + sig + `</x>`), "format", "document element"},

		{"no manifest", part(sign(t, signer, objectReference("idOfficeObject", officeObject), officeObject)),
			"format", "0 manifests"},
		{"an unsigned manifest", part(sign(t, signer, objectReference("idOfficeObject", officeObject), object+officeObject)),
			"format", "signs no manifest"},
		{"two manifests",
			part(sign(t, signer, objectReference("idPackageObject", object), object+`<Object><Manifest/></Object>`)),
			"format", "2 manifests"},
		{"a manifest of nothing", list(func([]item) []item { return nil }), "format", "signs no manifest"},
		{"a manifest of relationships", list(func(l []item) []item { return l[:2] }), "nothing", ""},
		{"an unsigned object",
			part(strings.Replace(sig, "</Signature>", `<Object Id="x"><SignatureProperties/></Object></Signature>`, 1)),
			"format", "does not sign its object"},
		{"an object beside the properties", part(strings.Replace(sig, "</Signature>",
			`<Object><QualifyingProperties/><x/></Object></Signature>`, 1)), "format", "does not sign its object"},
		{"an object filtered",
			part(sign(t, signer, objectReference("idPackageObject", object)+filtered, object+officeObject)),
			"format", `changes "#idOfficeObject"`},
		{"a part in SignedInfo",
			part(sign(t, signer, objectReference("idPackageObject", object)+document, object)),
			"format", "not within it"},
		{"a manifest changed", part(strings.Replace(sig, "/word/styles.xml?", "/word/style.xml?", 1)), "missing", ""},

		{"document not in the manifest", less(2), "constraint", `"/word/document.xml"`},
		{"styles not in the manifest", less(3), "constraint", `"/word/styles.xml"`},
		{"relationships not in the manifest", less(1), "constraint", "2 relationships"},
		{"package relationships not in it", less(0),
			"constraint", `1 relationships of the package are not signed, such as "rId1"`},
		{"a relationship not chosen", list(func(l []item) []item {
			l[1] = chosen(documentRels, "rId1 "+office+"styles styles.xml Internal")
			return l
		}), "constraint", `"rId2" of "/word/_rels/document.xml.rels"`},
		{"no type in the reference", list(func(l []item) []item { l[2].uri = "/word/document.xml"; return l }),
			"changed", "was signed as"},
		{"no type on either side", with(list(func(l []item) []item {
			l[2].uri = "/word/document.xml"
			return l
		}), "[Content_Types].xml", strings.Replace(types(""), `"`+typeMain+`"`, `""`, 1)), "changed", "was signed as"},
		{"a name without its root", list(func(l []item) []item { l[2].uri = l[2].uri[1:]; return l }), "missing", ""},
		{"a part twice", list(func(l []item) []item { return append(l, l[2]) }), "format", "twice"},
		{"the signature itself", list(func(l []item) []item {
			return append(l, item{"#idOfficeObject", "", inherited(officeObject)})
		}), "missing", ""},
		{"the content types", list(func(l []item) []item { return append(l, whole("[Content_Types].xml", "", types(""))) }),
			"missing", ""},
		{"a part filtered", list(func(l []item) []item {
			l[2].transforms = transform(xmldsig.TransformXPathFilter, subtract) + transform(c14n, "")
			l[2].digested = `<w:document xmlns:w="urn:w"></w:document>`
			return l
		}), "format", "changes the part"},
		{"a part in the exclusive form", list(func(l []item) []item {
			l[2].transforms = transform("http://www.w3.org/2001/10/xml-exc-c14n#", "")
			return l
		}), "format", "changes the part"},
		{"a part decoded", with(list(func(l []item) []item {
			l[2].transforms, l[2].digested = transform(xmldsig.TransformBase64, ""), "umowa"
			return l
		}), "word/document.xml", b64([]byte("umowa"))), "format", "changes the part"},
		{"relationships without a form", list(func(l []item) []item {
			l[1].transforms = strings.TrimSuffix(l[1].transforms, transform(c14n, ""))
			return l
		}), "format", "changes the part"},
		{"another value", part(strings.Replace(sig, "<SignatureValue>", "<SignatureValue>AAAA", 1)), "value", ""},
	} {
		for _, s := range open(t, zipped(t, c.files)).Signatures {
			if s.Filename != sigName || s.CounterSignatureOf != "" {
				continue
			}
			if word, why := outcome(s); word != c.want || !strings.Contains(why, c.why) {
				t.Errorf("%s: %s (%s), want %s (%s)", c.name, word, why, c.want, c.why)
			}
		}
	}
}

// TestNested: a signature within a signature is none of the package.
func TestNested(t *testing.T) {
	signer := cmstest.NewSigner(t, "p256", "officer-1")
	inner := signed(t, signer, items())
	outer := strings.Replace(inner, "</Signature>", `<Object Id="x">`+inner+`</Object></Signature>`, 1)
	outer = strings.ReplaceAll(outer, `Id="x"`, `Id="y"`)
	all := open(t, zipped(t, append(word(), file{sigName, outer}))).Signatures
	for i, s := range all {
		if word, why := outcome(s); word != "format" || i == 1 && !strings.Contains(why, "document element") {
			t.Errorf("the nested signature, %d: %s (%s)", i, word, why)
		}
	}
	if len(all) != 2 {
		t.Errorf("%d signatures", len(all))
	}
}

// TestRequired: a package without content types is none, and a broken signature part is told.
func TestRequired(t *testing.T) {
	for name, text := range map[string]string{"no XML": "<x", "no signature": "<x/>"} {
		s := open(t, zipped(t, append(word(), file{sigName, text}))).Signatures
		if len(s) != 1 || len(s[0].Structure) == 0 || s[0].Filename != sigName {
			t.Errorf("%s: %+v", name, s)
		}
	}
	data := zipped(t, append(word(), file{"META-INF/signatures.xml", "<x/>"}))
	if c, err := asic.Open(budget.New(t.Context(), len(data)), data); err != nil || c.Kind == asic.OpenPackage {
		t.Errorf("a container with signatures of ASiC is read as a package: %v", err)
	}
	data = zipped(t, with(word(), "[Content_Types].xml", "<x"))
	b := budget.New(t.Context(), len(data))
	c, err := asic.Open(b, data)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := Read(b, c); err == nil {
		t.Error("broken content types are read")
	}
}

// TestCost: many signatures over many parts with many relationships.
func TestCost(t *testing.T) {
	signer := cmstest.NewSigner(t, "p256", "officer-1")
	files := word()
	var list, links []string
	all := items()
	for i := range 2000 {
		list = append(list, fmt.Sprintf("s%d %s sig%d.xml", i, kindSignature, i%200))
		links = append(links, fmt.Sprintf("p%d %sheader p%d.xml", i, office, i%500))
	}
	for i := range 500 {
		name := fmt.Sprintf("word/p%d.xml", i)
		files = append(files, file{name, "<x/>"})
		all = append(all, whole(name, "application/xml", "<x/>"))
	}
	files = with(with(files, "_xmlsignatures/_rels/origin.sigs.rels", rels(list...)), documentRels, rels(links...))
	sig := signed(t, signer, all)
	for i := range 200 {
		files = append(files, file{fmt.Sprintf("_xmlsignatures/sig%d.xml", i), sig})
	}
	data := zipped(t, files)
	const work = 100_000_000
	budgettest.Check(t, len(data), budgettest.Limit{Time: 15 * work, Alloc: 4 * work}, func() {
		b := budget.Of(context.Background(), work, 16<<20)
		c, err := asic.Open(b, data)
		if err == nil {
			_, err = Read(b, c)
		}
		if err == nil {
			t.Error("200 signatures over 500 parts were read")
		}
	})
}

const fuzzWork, fuzzHeld = 20_000_000, 8 << 20

// FuzzRead reads packages out of anything: the parts are told apart by lines that begin with a NUL.
func FuzzRead(f *testing.F) {
	signer := cmstest.NewSigner(f, "p256", "officer-1")
	join := func(files []file) string {
		var b strings.Builder
		for _, one := range files {
			b.WriteString("\x00" + one.name + "\n" + one.content)
		}
		return b.String()
	}
	f.Add(join(append(word(), file{sigName, signed(f, signer, items())})))
	f.Add(join(append(word(), file{sigName, "<x/>"}, file{"a/_rels/b.rels", rels("a b c")})))
	limit := budgettest.Limit{Time: 15 * fuzzWork, TimeAnOctet: time.Microsecond, Alloc: 5 * fuzzWork, AllocAnOctet: 100}
	f.Fuzz(func(t *testing.T, text string) {
		var files []file
		for _, one := range strings.Split(text, "\x00") {
			name, content, _ := strings.Cut(one, "\n")
			if name != "" && !strings.HasSuffix(name, "/") && len(name) < 1000 && len(files) < 100 {
				files = append(files, file{name, content})
			}
		}
		data := zipped(t, files)
		budgettest.Check(t, len(text), limit, func() {
			b := budget.Of(t.Context(), fuzzWork, fuzzHeld)
			c, err := asic.Open(b, data)
			if err != nil || c.Kind != asic.OpenPackage {
				return
			}
			doc, err := Read(b, c)
			if err != nil {
				return
			}
			for _, s := range doc.Signatures {
				if s.Unchecked != "" && (s.Intact || len(s.Structure) > 0) {
					t.Fatalf("facts that contradict each other: %+v", s)
				}
			}
		})
	})
}
