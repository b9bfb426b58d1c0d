package opc

import (
	"slices"
	"strings"
	"testing"

	"trustcore/internal/cms/cmstest"
)

// TestStoredData: custom XML that Office leaves unsigned is named and refuses nothing, where the signature knows that it
// belongs to the document and nothing signed can show it.
func TestStoredData(t *testing.T) {
	signer := cmstest.NewSigner(t, "p256", "officer-1")
	const (
		link  = "rId9 " + office + "customXml ../customXml/item1.xml"
		props = "rId1 " + office + "customXmlProps itemProps1.xml"
		plain = `<w:document xmlns:w="urn:w">Umowa nr 1</w:document>`
		bound = `<w:document xmlns:w="urn:w"><w:dataBinding w:xpath="/a"/></w:document>`
	)
	override := `<Override PartName="/customXml/itemProps1.xml" ContentType="application/vnd.openxmlformats-officedocument.customXmlProperties+xml"/>`
	type change struct {
		document, styles, kind string // "" for those of word
		relations              []string
		more                   []file
		override               string
		unsigned               bool // the relationship to the stored data
	}
	build := func(c change) []byte {
		if c.document == "" {
			c.document = plain
		}
		if c.styles == "" {
			c.styles = word()[4].content
		}
		if c.kind == "" {
			c.kind = typeMain
		}
		relations := append([]string{"rId1 " + office + "styles styles.xml"}, c.relations...)
		bare := without(edit(t, word(), rootRels, `<Relationship Id="rId2" Type="`+coreKind+`" Target="docProps/core.xml"/>`, ""), "docProps/core.xml")
		files := with(with(bare, "word/document.xml", c.document), "word/styles.xml", c.styles)
		files = with(files, documentRels, rels(relations...))
		files = with(files, "[Content_Types].xml", strings.Replace(types(c.override), typeMain, c.kind, 1))
		signedRelations := []string{"rId1 " + office + "styles styles.xml Internal"}
		for _, r := range c.relations {
			if !c.unsigned {
				signedRelations = append(signedRelations, r+" Internal")
			}
		}
		list := []item{chosen(rootRels, "rId1 "+office+"officeDocument word/document.xml Internal"), chosen(documentRels, signedRelations...),
			whole("word/document.xml", c.kind, c.document), whole("word/styles.xml", typeStyles, c.styles)}
		files = append(append(files, c.more...), file{sigName, signed(t, signer, list)})
		return zipped(t, files)
	}
	data := []file{{"customXml/item1.xml", "<a>dane</a>"}, {"customXml/_rels/item1.xml.rels", rels(props)}, {"customXml/itemProps1.xml", "<ds/>"}}
	item := data[:1]
	one := []string{link}
	for name, c := range map[string]struct {
		change
		want string
	}{
		"stored data":                      {change{relations: one, more: data, override: override}, "good"},
		"without properties":               {change{relations: one, more: item}, "good"},
		"the strict relationship":          {change{relations: []string{"rId9 " + officeStrict + "customXml ../customXml/item1.xml"}, more: item}, "good"},
		"a relationship that is unsigned":  {change{relations: one, more: item, unsigned: true}, "constraint"},
		"no relationship":                  {change{more: item}, "constraint"},
		"another kind of relationship":     {change{relations: []string{"rId9 " + office + "header ../customXml/item1.xml"}, more: item}, "constraint"},
		"bound by the document":            {change{document: bound, relations: one, more: item}, "constraint"},
		"bound, in another case":           {change{document: strings.Replace(bound, "dataB", "DATAb", 1), relations: one, more: item}, "constraint"},
		"bound by another part":            {change{styles: `<w:styles xmlns:w="urn:w" w:storeItemID="1"/>`, relations: one, more: item}, "constraint"},
		"fields that are brought to date":  {change{styles: `<w:updateFields xmlns:w="urn:w"/>`, relations: one, more: item}, "constraint"},
		"a field that is out of date":      {change{document: `<w:document xmlns:w="urn:w" w:dirty="1"></w:document>`, relations: one, more: item}, "constraint"},
		"in another encoding":              {change{document: "\xff\xfe<\x00a\x00/\x00>\x00", relations: one, more: item}, "constraint"},
		"declared another encoding":        {change{document: `<?xml version="1.0" encoding="windows-1250"?><a/>`, relations: one, more: item}, "constraint"},
		"declared UTF-8":                   {change{document: `<?xml version='1.0' encoding='UTF-8'?><a/>`, relations: one, more: item}, "good"},
		"a document with macros":           {change{kind: "application/vnd.ms-word.document.macroEnabled.main+xml", relations: one, more: item}, "constraint"},
		"a table":                          {change{kind: "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet.main+xml", relations: one, more: item}, "constraint"},
		"data of another type":             {change{relations: one, more: item, override: `<Override PartName="/customXml/item1.xml" ContentType="text/html"/>`}, "constraint"},
		"properties of another type":       {change{relations: one, more: data}, "constraint"},
		"another relationship of the data": {change{relations: one, override: override, more: []file{data[0], data[2], {data[1].name, rels(props, "rId2 "+office+"image http://evil.example/ External")}}}, "constraint"},
		"data that is more":                {change{relations: append(one[:1:1], "rId95 "+office+"header ../customXml/item1.xml"), more: item}, "constraint"},
		"a part beside it":                 {change{relations: one, more: append(item[:1:1], file{"customXml/item2.xml", "<b/>"})}, "constraint"},
	} {
		s := open(t, build(c.change)).Signatures[0]
		if got, why := outcome(s); got != c.want {
			t.Errorf("%s: %s (%s), want %s", name, got, why, c.want)
		}
		if len(c.more) > 0 && !slices.Contains(s.Unsigned, "customXml/item1.xml") {
			t.Errorf("%s: the part that is not signed is not named: %v", name, s.Unsigned)
		}
	}
}
