package asic

import (
	"archive/zip"
	"bytes"
	"io"
	"slices"
	"strings"
	"testing"
)

const (
	inclusive = "http://www.w3.org/TR/2001/REC-xml-c14n-20010315"
	exclusive = "http://www.w3.org/2001/10/xml-exc-c14n#"
	textType  = "application/vnd.oasis.opendocument.text"
	documents = "META-INF/documentsignatures.xml"
)

// officeManifest is META-INF/manifest.xml: the type of the package, and further entries.
func officeManifest(kind, more string) string {
	return `<m:manifest xmlns:m="` + namespacePackage + `" m:version="1.2"><m:file-entry m:full-path="/" m:media-type="` + kind +
		`"></m:file-entry><m:file-entry m:full-path="content.xml" m:media-type="text/xml"></m:file-entry>` + more + `</m:manifest>`
}

// office are the files of an OpenDocument text, mimetype left out; each XML file is in canonical form.
func office() []entry {
	return []entry{
		{packageManifest, officeManifest(textType, "")},
		{"content.xml", `<o:document xmlns:o="urn:o"><o:p>umowa nr 1</o:p></o:document>`},
		{"styles.xml", `<o:styles xmlns:o="urn:o"></o:styles>`},
		{"settings.xml", `<o:settings xmlns:o="urn:o"></o:settings>`},
		{"meta.xml", `<o:meta xmlns:o="urn:o"></o:meta>`},
		{"Thumbnails/thumbnail.png", "\x89PNG"},
		{"Pictures/pieczęć.png", "\x89PNG 1"},
	}
}

// officeReferences are those that LibreOffice writes: XML in canonical form, the rest as it is.
func officeReferences(files []entry, left ...string) string {
	text := ""
	for _, e := range append([]entry{{"mimetype", textType}}, files...) {
		switch {
		case slices.Contains(left, e.name):
		case strings.HasSuffix(e.name, ".xml"):
			text += xmlReference(e.name, e.content, inclusive)
		default:
			text += xmlReference(strings.ReplaceAll(e.name, "ęć", "%C4%99%C4%87"), e.content)
		}
	}
	return text
}

// verdictOf is outcomeOf with what constrains the signature, which is asked last.
func verdictOf(t *testing.T, data []byte, file string) string {
	t.Helper()
	for _, s := range open(t, data).Signatures {
		if s.Filename == file {
			got := outcomeOf(s)
			if strings.HasPrefix(got, "good") && len(s.Constraints) > 0 {
				return "constraint: " + strings.Join(s.Constraints, "; ")
			}
			return got
		}
	}
	return "no signature in " + file
}

// changed has another content of a file, or one more.
func changed(files []entry, name, content string) []entry {
	files = slices.Clone(files)
	for i := range files {
		if files[i].name == name {
			files[i].content = content
			return files
		}
	}
	return append(files, entry{name, content})
}

func without(files []entry, name string) []entry {
	return slices.DeleteFunc(slices.Clone(files), func(e entry) bool { return e.name == name })
}

// TestOpenDocument changes a signed document in the ways that keep what was signed as it is, or look like it. A program
// shows an OpenDocument package as one document: a signature that leaves out a file is none of the document.
func TestOpenDocument(t *testing.T) {
	s := newSigner(t, "officer-1")
	sig := entry{documents, s.xmlOver(t, officeReferences(office()))}
	good := append(office(), sig)
	add := func(name, content string) []entry { return append(slices.Clone(good), entry{name, content}) }
	less := func(names ...string) []entry {
		return append(office(), entry{documents, s.xmlOver(t, officeReferences(office(), names...))})
	}
	instead := func(name, digested string, transforms ...string) []entry {
		return append(office(), entry{documents,
			s.xmlOver(t, officeReferences(office(), name)+xmlReference(name, digested, transforms...))})
	}
	content := office()[1].content
	macros := entry{"Basic/Standard/Module1.xml", `<o:module xmlns:o="urn:o"></o:module>`}
	macroSignature := entry{"META-INF/macrosignatures.xml", s.xmlOver(t, xmlReference(macros.name, macros.content, inclusive)+
		xmlReference(packageManifest, office()[0].content, inclusive))}
	ciphered := officeManifest(textType, `<m:encryption-data></m:encryption-data>`)
	for _, c := range []struct {
		name  string
		files []entry
		file  string // with the signature; "" for documents
		want  string // beginning
	}{
		{"good", good, "", "good, unsigned: "},
		{"good, files as they are", append(office(), entry{documents, s.xml(t, map[string]string{"mimetype": textType,
			packageManifest: office()[0].content, "content.xml": content, "styles.xml": office()[2].content,
			"settings.xml": office()[3].content, "meta.xml": office()[4].content, "Thumbnails/thumbnail.png": "\x89PNG",
			"Pictures/piecz%C4%99%C4%87.png": "\x89PNG 1"})}), "", "good, unsigned: "},
		{"good, a comment in canonical XML", changed(good, "content.xml", strings.Replace(content, "<o:p>", "<!-- 2 --><o:p>", 1)),
			"", "good, unsigned: "},
		{"good, folders", append(slices.Clone(good), entry{"Configurations2/menubar/", ""}), "", "good, unsigned: "},

		{"content", changed(good, "content.xml", strings.Replace(content, "nr 1", "nr 2", 1)), "", "changed: content.xml"},
		{"a picture", changed(good, "Pictures/pieczęć.png", "\x89PNG 2"), "", "changed: Pictures/"},
		{"no content", without(good, "content.xml"), "", "not found: content.xml"},
		{"no manifest", without(good, packageManifest), "", "not found: META-INF/manifest.xml"},
		{"manifest", changed(good, packageManifest, officeManifest("application/vnd.oasis.opendocument.presentation", "")),
			"", "changed: META-INF/manifest.xml"},
		{"enciphered afterwards", changed(good, packageManifest, ciphered), "", "changed: META-INF/manifest.xml"},
		{"a document type", changed(good, "content.xml", "<!DOCTYPE o [<!ATTLIST p x CDATA 'y'>]>"+content), "", "unchecked: "},

		{"macros added", add(macros.name, macros.content), "", `constraint: 1 files of the document are not signed in full, such as "Basic/`},
		{"a script added", add("Scripts/python/a.py", "x"), "", "constraint: 1 files"},
		{"a dialogue added", add("Dialogs/Standard/a.xml", "<x/>"), "", "constraint: 1 files"},
		{"a picture added", add("Pictures/2.png", "x"), "", "constraint: 1 files"},
		{"an object added", add("Object 1/content.xml", "<x/>"), "", "constraint: 1 files"},
		{"an OLE object added", add("ObjectReplacements/Object 1", "x"), "", "constraint: 1 files"},
		{"a toolbar added", add("Configurations2/toolbar/a.xml", "<x/>"), "", "constraint: 1 files"},
		{"a file that the manifest does not list", add("layout-cache", "x"), "", "constraint: 1 files"},
		{"a file outside of the signature's duty", add("external-data/a.png", "x"), "", "constraint: 1 files"},
		{"a file in META-INF", add("META-INF/a.xml", "<x/>"), "", `constraint: 1 files of the document are not signed in full, such as "META-INF/a.xml"`},
		{"a second manifest", add("META-INF/x/manifest.xml", officeManifest(textType, "")), "", "constraint: 1 files"},
		{"a file named as a signature", add("META-INF/signatures-a.xml", "<x/>"), "", "constraint: 1 files"},
		{"database drivers", add("database/script", "x"), "", "constraint: 1 files"},

		{"content left out", less("content.xml"), "", `constraint: 1 files of the document are not signed in full, such as "content.xml"`},
		{"styles left out", less("styles.xml"), "", "constraint: 1 files"},
		{"settings left out", less("settings.xml"), "", "constraint: 1 files"},
		{"title left out", less("meta.xml"), "", "constraint: 1 files"},
		{"thumbnail left out", less("Thumbnails/thumbnail.png"), "", "constraint: 1 files"},
		{"manifest left out", less(packageManifest), "", "constraint: 1 files"},
		{"type left out", less("mimetype"), "", `constraint: 1 files of the document are not signed in full, such as "mimetype"`},
		{"signed as before version 1.2", less("mimetype", packageManifest, "Thumbnails/thumbnail.png"), "", "constraint: 3 files"},
		{"settings alone", less("mimetype", packageManifest, "content.xml", "styles.xml", "meta.xml", "Thumbnails/thumbnail.png",
			"Pictures/pieczęć.png"), "", "constraint: 7 files"},
		{"content in the exclusive form, with a prefix more", changed(instead("content.xml", content, exclusive), "content.xml",
			strings.Replace(content, "<o:document ", `<o:document xmlns:of="urn:f" `, 1)), "",
			`constraint: 1 files of the document are not signed in full, such as "content.xml"`},
		{"content in two forms", changed(instead("content.xml", content, inclusive, exclusive), "content.xml",
			strings.Replace(content, "<o:document ", `<o:document xmlns:of="urn:f" `, 1)), "", "constraint: 1 files"},
		{"content decoded", changed(instead("content.xml", "umowa", "http://www.w3.org/2000/09/xmldsig#base64"), "content.xml", "dW1vd2E="),
			"", "constraint: 1 files"},

		{"macros signed beside it", append(add(macros.name, macros.content), macroSignature), "", "constraint: 1 files"},
		{"signature of the macros", append(add(macros.name, macros.content), macroSignature), macroSignature.name,
			"constraint: the signature is one of the macros"},
		{"signature of all macros, alone", append(office(), macros, macroSignature), macroSignature.name,
			"constraint: the signature is one of the macros"},
		{"document signed where macros are", append(office(), entry{macroSignature.name, sig.content}), macroSignature.name,
			"constraint: the signature is one of the macros"},
		{"in other letters", append(office(), entry{"META-INF/MacroSignatures.xml", sig.content}), "META-INF/MacroSignatures.xml",
			"constraint: the signature is one of the macros"},

		{"two contents", add("content.xml", strings.Replace(content, "nr 1", "nr 2", 1)), "", "ill-formed: container: the name"},
		{"content in capitals", add("Content.xml", content), "", "ill-formed: container: the names"},
		{"content on a way back", add("x/../content.xml", content), "", "ill-formed: container: the name"},
		{"two signature files", add(documents, sig.content), "", "ill-formed: container: the name"},
		{"signature files that differ in case", add("meta-inf/documentsignatures.xml", sig.content), "", "ill-formed: container: the names"},
		{"an Office document in it", add("[Content_Types].xml", "<x/>"), "", "ill-formed: the container is Office Open XML too"},
		{"nothing signed", append(office(), entry{documents, s.xmlOver(t, xmlReference("#own", own))}), "", "nothing is signed"},
	} {
		file := documents
		if c.file != "" {
			file = c.file
		}
		got := verdictOf(t, pack(t, "o", c.files...), file)
		if !strings.HasPrefix(got, c.want) || strings.HasPrefix(got, "good") && got != c.want {
			t.Errorf("%s: %s, want %s", c.name, got, c.want)
		}
	}
}

// TestOpenDocumentDisguised: what office programs open as a document is held to what one is, whatever its mimetype says.
func TestOpenDocumentDisguised(t *testing.T) {
	s := newSigner(t, "officer-1")
	const xades = "META-INF/signatures0.xml"
	list := func(kind string) entry { return entry{packageManifest, officeManifest(kind, "")} }
	content := entry{"content.xml", "<x></x>"}
	sign := func(files ...entry) entry {
		all := map[string]string{}
		for _, e := range files {
			all[e.name] = e.content
		}
		return entry{xades, s.xml(t, all)}
	}
	text := list(textType)
	for _, c := range []struct {
		name, mimetype string
		files          []entry
		want           string
	}{
		{"a container", "e", []entry{content, list("application/vnd.etsi.asic-e+zip"), sign(content)}, "good, unsigned: "},
		{"a container with a file more", "e", []entry{content, umowa, list("application/vnd.etsi.asic-e+zip"), sign(content)},
			"good, unsigned: umowa.txt"},
		{"a document by its manifest", "e", []entry{content, text, sign(content)}, "ill-formed: the container is OpenDocument too"},
		{"in capitals", "e", []entry{content, list(strings.ToUpper(textType)), sign(content)}, "ill-formed: the container is OpenDocument too"},
		{"of the format before", "e", []entry{content, list("application/vnd.sun.xml.writer"), sign(content)},
			"ill-formed: the container is OpenDocument too"},
		{"with a file more", "e", []entry{content, umowa, text, sign(content, text)}, "ill-formed: the container is OpenDocument too"},
		{"signed in full", "e", []entry{content, text, sign(content, text)}, "good, unsigned: "},
		{"of one file", "s", []entry{content, text, sign(content)}, "ill-formed: the container is OpenDocument too"},
	} {
		if got := verdictOf(t, pack(t, c.mimetype, c.files...), xades); !strings.HasPrefix(got, c.want) || strings.HasPrefix(got, "good") && got != c.want {
			t.Errorf("%s: %s, want %s", c.name, got, c.want)
		}
	}
}

// TestOpenDocumentType: the type of the package is signed like its files.
func TestOpenDocumentType(t *testing.T) {
	s := newSigner(t, "officer-1")
	files := append(office(), entry{documents, s.xmlOver(t, officeReferences(office()))})
	for kind, want := range map[string]string{
		textType: "good, unsigned: ",
		"application/vnd.oasis.opendocument.text-template": "changed: mimetype",
		"application/vnd.etsi.asic-e+zip":                  "changed: mimetype",
		"application/vnd.etsi.asic-s+zip":                  "ill-formed: ",
		"":                                                 "not found: mimetype",
	} {
		var b bytes.Buffer
		w := zip.NewWriter(&b)
		for _, e := range append([]entry{{"mimetype", kind}}, files...) {
			if e.name == "mimetype" && kind == "" {
				continue
			}
			f, err := w.CreateHeader(&zip.FileHeader{Name: e.name, Method: zip.Store})
			if err != nil {
				t.Fatal(err)
			}
			if _, err := io.WriteString(f, e.content); err != nil {
				t.Fatal(err)
			}
		}
		if err := w.Close(); err != nil {
			t.Fatal(err)
		}
		if got := verdictOf(t, b.Bytes(), documents); !strings.HasPrefix(got, want) {
			t.Errorf("%q: %s, want %s", kind, got, want)
		}
	}
}
