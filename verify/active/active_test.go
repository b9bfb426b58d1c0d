package active_test

import (
	"archive/zip"
	"bytes"
	"context"
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"

	"trustcore/internal/budget"
	"trustcore/verify/active"
)

// pdfWith is a PDF of two pages with further entries of the catalog and of the second page, and further objects from 10 on.
func pdfWith(catalog, page string, objects ...string) string {
	var b strings.Builder
	b.WriteString("%PDF-1.7\n")
	fmt.Fprintf(&b, "1 0 obj\n<</Type/Catalog/Pages 2 0 R%s>>\nendobj\n", catalog)
	b.WriteString("2 0 obj\n<</Type/Pages/Count 2/Kids[3 0 R 4 0 R]>>\nendobj\n")
	b.WriteString("3 0 obj\n<</Type/Page/Parent 2 0 R>>\nendobj\n")
	fmt.Fprintf(&b, "4 0 obj\n<</Type/Page/Parent 2 0 R%s>>\nendobj\n", page)
	for i, o := range objects {
		fmt.Fprintf(&b, "%d 0 obj\n%s\nendobj\n", 10+i, o)
	}
	b.WriteString("trailer\n<</Root 1 0 R/Size 100>>\n%%EOF\n")
	return b.String()
}

func zipOf(t testing.TB, files ...string) string {
	t.Helper()
	var b bytes.Buffer
	w := zip.NewWriter(&b)
	for i := 0; i < len(files); i += 2 {
		f, err := w.CreateHeader(&zip.FileHeader{Name: files[i], Method: zip.Store})
		if err == nil {
			_, err = f.Write([]byte(files[i+1]))
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return b.String()
}

// rels is a relationships part; each relationship is "Id Type Target" and perhaps a mode.
func rels(list ...string) string {
	text := `<Relationships xmlns="http://schemas.openxmlformats.org/package/2006/relationships">`
	for _, one := range list {
		f := append(strings.Fields(one), "Internal")
		text += `<Relationship Id="` + f[0] + `" Type="` + f[1] + `" Target="` + f[2] + `" TargetMode="` + f[3] + `"/>`
	}
	return text + `</Relationships>`
}

func find(t *testing.T, document string) active.Findings {
	t.Helper()
	return active.Find(budget.New(t.Context(), len(document)), []byte(document))
}

func embedded(name, content string) []string {
	return []string{"<</Type/Filespec/UF(" + name + ")/EF<</F 11 0 R>>>>",
		fmt.Sprintf("<</Type/EmbeddedFile/Filter/ASCIIHexDecode/Length %d>>stream\n%x>\nendstream", 2*len(content)+1, content)}
}

// TestFind: each kind, wherever it hides.
func TestFind(t *testing.T) {
	const script = "<</S/JavaScript/JS(app.alert)>>"
	const asice, word = "application/vnd.etsi.asic-e+zip", "<Types/>"
	in := func(kind active.Kind) active.Item { return active.Item{Kind: kind} }
	for name, c := range map[string]struct {
		document string
		want     []active.Item
	}{
		"plain PDF":           {pdfWith("", ""), nil},
		"script when opened":  {pdfWith("/OpenAction 10 0 R", "", script), []active.Item{{Kind: active.Script, Automatic: true}}},
		"script by two ways":  {pdfWith("/OpenAction 10 0 R", "/Annots[<</Subtype/Link/A 10 0 R>>]", script), []active.Item{{Kind: active.Script, Automatic: true}}},
		"script of a button":  {pdfWith("", "/Annots[<</Subtype/Widget/A 10 0 R>>]", script), []active.Item{{Kind: active.Script, Page: 2}}},
		"script of a page":    {pdfWith("", "/AA<</O 10 0 R>>", script), []active.Item{{Kind: active.Script, Page: 2, Automatic: true}}},
		"script by its name":  {pdfWith("/Names<</JavaScript<</Names[(a) 10 0 R]>>>>", "", script), []active.Item{{Kind: active.Script, Automatic: true}}},
		"script after a jump": {pdfWith("/OpenAction<</S/GoTo/D[4 0 R]/Next[10 0 R]>>", "", script), []active.Item{{Kind: active.Script, Automatic: true}}},
		"script by a chain":   {pdfWith("/Outlines 10 0 R", "", "<</First 11 0 R>>", "<</Next 12 0 R>>", "<</A<</JS 13 0 R>>>>", "(x)"), []active.Item{in(active.Script)}},
		"script in rendition": {pdfWith("", "/Annots[<</Subtype/Screen/A<</S/Rendition/JS(x)>>>>]"), []active.Item{{Kind: active.Media, Page: 2}, {Kind: active.Script, Page: 2}}},
		"escaped name":        {pdfWith("/OpenAction<</S/J#61vaScript/J#53(x)>>", ""), []active.Item{{Kind: active.Script, Automatic: true}}},
		"unreachable":         {pdfWith("", "", script), nil},
		"link":                {pdfWith("", "/Annots[<</Subtype/Link/A<</S/URI/URI(https://example.org)>>>>]"), nil},
		"link when opened":    {pdfWith("/OpenAction<</S/URI/URI(https://example.org)>>", ""), []active.Item{{Kind: active.External, Name: "https://example.org", Automatic: true}}},
		"launch":              {pdfWith("/OpenAction<</S/Launch/F<</F(cmd.exe)>>>>", ""), []active.Item{{Kind: active.Launch, Name: "cmd.exe", Automatic: true}}},
		"submit":              {pdfWith("", "/Annots[<</A<</S/SubmitForm/F(https://example.org)>>>>]"), []active.Item{{Kind: active.Submit, Name: "https://example.org", Page: 2}}},
		"other file":          {pdfWith("", "/Annots[<</A<</S/GoToR/F(x.pdf)>>>>]"), []active.Item{{Kind: active.External, Name: "x.pdf", Page: 2}}},
		"data elsewhere":      {pdfWith("", "/Contents 10 0 R", "<</Length 0/F(\\\\\\\\host\\\\x)>>stream\n\nendstream"), []active.Item{{Kind: active.External, Name: `\\host\x`, Page: 2}}},
		"XFA":                 {pdfWith("/AcroForm<</XFA[(x) 10 0 R]>>", "", "<<>>"), []active.Item{{Kind: active.Form, Name: "XFA"}}},
		"attachment": {pdfWith("/Names<</EmbeddedFiles<</Names[(a) 10 0 R]>>>>", "", embedded("a.txt", "hello")...),
			[]active.Item{{Kind: active.File, Name: "a.txt"}}},
		"program attached": {pdfWith("/AF[10 0 R]", "", embedded("faktura.pdf.EXE", "hello")...),
			[]active.Item{{Kind: active.File, Name: "faktura.pdf.EXE"}, {Kind: active.Program, In: "faktura.pdf.EXE"}}},
		"script in an attachment": {pdfWith("/AF[10 0 R]", "", embedded("b.pdf", pdfWith("/OpenAction<</JS(x)>>", ""))...),
			[]active.Item{{Kind: active.File, Name: "b.pdf"}, {Kind: active.Script, In: "b.pdf", Automatic: true}}},
		"script in a container": {zipOf(t, "mimetype", asice, "a/b.pdf", pdfWith("/OpenAction<</JS(x)>>", "")),
			[]active.Item{{Kind: active.Script, In: "a/b.pdf", Automatic: true}}},
		"macro": {zipOf(t, "[Content_Types].xml", word, "_rels/.rels", rels(), "word/vbaProject.bin", "x"),
			[]active.Item{{Kind: active.Macro, In: "word/vbaProject.bin"}}},
		"macro of another name": {zipOf(t, "[Content_Types].xml", word, "word/_rels/document.xml.rels",
			rels("a http://schemas.microsoft.com/office/2006/relationships/vbaProject media/image1.png"), "word/media/image1.png", "x"),
			[]active.Item{{Kind: active.Macro, In: "word/media/image1.png"}}},
		"macro that two ways lead to": {zipOf(t, "[Content_Types].xml", word, "word/_rels/document.xml.rels",
			rels("a http://schemas.microsoft.com/office/2006/relationships/vbaProject /word/vbaProject.bin"), "word/vbaProject.bin", "x"),
			[]active.Item{{Kind: active.Macro, In: "word/vbaProject.bin"}}},
		"template elsewhere": {zipOf(t, "[Content_Types].xml", word, "word/_rels/settings.xml.rels",
			rels("a http://schemas.openxmlformats.org/officeDocument/2006/relationships/attachedTemplate http://evil.example/a.dotm External")),
			[]active.Item{{Kind: active.External, In: "word/_rels/settings.xml.rels", Name: "http://evil.example/a.dotm", Automatic: true}}},
		"a link alone": {zipOf(t, "[Content_Types].xml", word, "word/_rels/document.xml.rels",
			rels("a http://schemas.openxmlformats.org/officeDocument/2006/relationships/hyperlink http://example.org/ External")), nil},
		"text of another format": {zipOf(t, "[Content_Types].xml", word, "word/_rels/document.xml.rels",
			rels("a http://schemas.openxmlformats.org/officeDocument/2006/relationships/aFChunk a.mht"), "word/a.mht", "x"),
			[]active.Item{{Kind: active.External, In: "word/a.mht"}}},
		"macro in a container": {zipOf(t, "mimetype", asice, "a.docm", zipOf(t, "[Content_Types].xml", word, "word/vbaProject.bin", "x")),
			[]active.Item{{Kind: active.Macro, In: "a.docm/word/vbaProject.bin"}}},
		"old Office": {zipOf(t, "mimetype", asice, "a.doc", "\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1rest"), []active.Item{{Kind: active.Macro, In: "a.doc"}}},
		"program":    {zipOf(t, "mimetype", asice, "a.txt", "MZ"+strings.Repeat("\x00", 100), "b.js", "x"), []active.Item{{Kind: active.Program, In: "a.txt"}, {Kind: active.Program, In: "b.js"}}},
		"style":      {"<?xml version='1.0'?>\n<?xml-stylesheet href='https://example.org/x.xsl'?><a/>", []active.Item{{Kind: active.External, Name: "xml-stylesheet", Automatic: true}}},
		"svg":        {`<svg xmlns="http://www.w3.org/2000/svg"><g><script/></g></svg>`, []active.Item{{Kind: active.Script, Automatic: true}}},
		"plain XML":  {`<a><script/><![CDATA[<?xml-stylesheet?>]]></a>`, nil},
	} {
		t.Run(name, func(t *testing.T) {
			got := find(t, c.document)
			if len(got.Items)+len(c.want) > 0 && !reflect.DeepEqual(got.Items, c.want) || !got.Complete {
				t.Errorf("%+v, want %+v", got, c.want)
			}
		})
	}
}

// TestIncomplete: who looked at a part of a document says so.
func TestIncomplete(t *testing.T) {
	var many []string
	for i := range active.MaxItems + 1 {
		many = append(many, fmt.Sprintf("%d.exe", i), "x")
	}
	nested := pdfWith("", "")
	for range 6 {
		nested = pdfWith("/AF[10 0 R]", "", embedded("n.pdf", nested)...)
	}
	document := pdfWith("/OpenAction<</JS(x)>>", "")
	for name, got := range map[string]active.Findings{
		"broken PDF":      find(t, "%PDF-1.7\nnothing"),
		"enciphered":      find(t, strings.Replace(document, "/Root", "/Encrypt<</Filter/Own/V 9>>/Root", 1)),
		"broken ZIP":      find(t, "PK\x03\x04..."),
		"broken XML":      find(t, "<a><b></a>"),
		"too many":        find(t, zipOf(t, append([]string{"mimetype", "application/vnd.etsi.asic-e+zip"}, many...)...)),
		"too deep":        find(t, nested),
		"no work allowed": active.Find(budget.Of(t.Context(), 10, 1<<20), []byte(document)),
		"lost stream":     find(t, pdfWith("/AF[10 0 R]", "", "<</EF<</F 11 0 R>>>>", "<</Length 4/Filter/Unknown>>stream\nabcd\nendstream")),
	} {
		if got.Complete || len(got.Items) > active.MaxItems {
			t.Errorf("%s: %+v", name, got)
		}
	}
}

func FuzzFind(f *testing.F) {
	for _, document := range []string{pdfWith("/OpenAction<</JS(x)>>", ""), pdfWith("/AF[10 0 R]", "", embedded("a", "b")...),
		zipOf(f, "mimetype", "application/vnd.etsi.asic-e+zip", "a.js", "x"), "<a/>"} {
		f.Add([]byte(document))
	}
	f.Fuzz(func(t *testing.T, document []byte) {
		b := budget.New(context.Background(), len(document))
		if got := active.Find(b, document); len(got.Items) > active.MaxItems {
			t.Errorf("%d items", len(got.Items))
		}
	})
}

// TestConformanceActive: the public samples are looked through, each within its budget.
func TestConformanceActive(t *testing.T) {
	corpus := os.Getenv("TRUSTCORE_CORPUS")
	if corpus == "" {
		t.Skip("TRUSTCORE_CORPUS is not set")
	}
	files, found := 0, map[active.Kind]int{}
	err := filepath.WalkDir(filepath.Join(corpus, "signatures"), func(file string, d os.DirEntry, err error) error {
		if err != nil || !d.Type().IsRegular() {
			return err
		}
		data, err := os.ReadFile(file)
		if err != nil {
			return err
		}
		files++
		for _, i := range find(t, string(data)).Items {
			found[i.Kind]++
		}
		return nil
	})
	if err != nil || files < 400 {
		t.Fatal(files, err)
	}
	t.Log(files, found)
}
