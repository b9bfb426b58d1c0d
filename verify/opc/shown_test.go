package opc

import (
	"strings"
	"testing"

	"trustcore/internal/cms/cmstest"
)

// TestProperties: title, author and the like are not signed by Office. Where a signed part shows them, who changes them
// changes what is shown.
func TestProperties(t *testing.T) {
	signer := cmstest.NewSigner(t, "p256", "officer-1")
	bound := func(attributes string) string {
		return `<w:sdt><w:dataBinding w:xpath="/a/b" ` + attributes + `/></w:sdt>`
	}
	run := func(kind string) string { return `<w:r><w:fldChar w:fldCharType="` + kind + `"/></w:r>` }
	words := func(text string) string {
		return `<w:r><w:instrText xml:space="preserve">` + text + `</w:instrText></w:r>`
	}
	field := func(text string) string { return run("begin") + words(text) + run("separate") + run("end") }
	simple := func(text string) string { return `<w:fldSimple w:instr="` + text + `"><w:r/></w:fldSimple>` }
	for name, c := range map[string]struct{ text, want string }{
		"text about titles":                {`<w:p>title author docproperty</w:p>`, "good"},
		"bound to the core properties":     {bound(`w:storeItemID="{6C3C8BC8-F283-45AE-878A-BAB7291924A1}"`), "constraint"},
		"bound to the extended properties": {bound(`w:storeItemID="{6668398D-A668-4E3E-A5EB-62B293D839F1}"`), "constraint"},
		"bound to other data":              {bound(`w:storeItemID="{F6B4E1A3-0001-4E3E-A5EB-62B293D839F1}"`), "good"},
		"bound to whatever fits":           {bound(``), "constraint"},
		"bound by a reference":             {bound(`w:storeItemID="{&#x36;C3C8BC8-F283-45AE-878A-BAB7291924A1}"`), "constraint"},
		"bound to the second":              {bound(`w:storeItemID="{F6}"`) + bound(`w:storeItemID="{6C3C8BC8-F283-45AE-878A-BAB7291924A1}"`), "constraint"},
		"bound in another version":         {strings.ReplaceAll(bound(``), "w:dataBinding", "w15:dataBinding"), "constraint"},

		"a page number":            {field(" PAGE \\* MERGEFORMAT "), "good"},
		"a link to a title":        {field(` HYPERLINK "http://example.org/title" `), "good"},
		"the title":                {field(" TITLE "), "constraint"},
		"a property":               {field(` DOCPROPERTY "Kwota" `), "constraint"},
		"in small letters":         {field(` docproperty kwota`), "constraint"},
		"in pieces":                {run("begin") + words(" DOCPRO") + words("PERTY a") + run("end"), "constraint"},
		"within another":           {run("begin") + words("IF ") + field("TITLE") + words("= 1") + run("end"), "constraint"},
		"after another":            {field("PAGE") + field("AUTHOR"), "constraint"},
		"by a reference":           {field("&#x54;ITLE"), "constraint"},
		"by CDATA":                 {field("<![CDATA[TITLE]]>"), "constraint"},
		"without a field":          {words("PAGE"), "constraint"},
		"without an end":           {run("begin") + words("PAGE"), "constraint"},
		"without a beginning":      {run("end"), "good"},
		"without a beginning, one": {run("end") + field("PAGE"), "constraint"},
		"too deep":                 {strings.Repeat(run("begin")+words("IF"), 65) + strings.Repeat(run("end"), 65), "constraint"},
		"a simple page":            {simple("PAGE"), "good"},
		"a simple title":           {simple("TITLE"), "constraint"},
		"a simple field of none":   {`<w:fldSimple/>`, "constraint"},
		"another prefix":           {strings.ReplaceAll(simple("TITLE"), "w:", ""), "constraint"},
	} {
		text := `<w:document xmlns:w="urn:w" xmlns:w15="urn:w15">` + c.text + `</w:document>`
		list := items()
		list[2] = whole("word/document.xml", typeMain, text)
		files := append(with(word(), "word/document.xml", text), file{sigName, signed(t, signer, list)})
		s := open(t, zipped(t, files)).Signatures[0]
		got, why := outcome(s)
		if got != c.want || c.want != "good" && !strings.Contains(why, "/docProps/core.xml") {
			t.Errorf("%s: %s (%s), want %s", name, got, why, c.want)
		}
		less := without(edit(t, files, rootRels, `<Relationship Id="rId2" Type="`+coreKind+`" Target="docProps/core.xml"/>`, ""), "docProps/core.xml")
		if got, why := outcome(open(t, zipped(t, less)).Signatures[0]); got != "good" {
			t.Errorf("%s, without properties: %s (%s)", name, got, why)
		}
	}
}
