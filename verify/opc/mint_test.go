package opc

import (
	"archive/zip"
	"bytes"
	"crypto/ecdsa"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"fmt"
	"io"
	"slices"
	"strings"
	"testing"

	"trustcore/internal/asic"
	"trustcore/internal/budget"
	"trustcore/internal/cms/cmstest"
	"trustcore/internal/xmldsig"
	"trustcore/verify/signature"
)

const (
	nsRelationships = "http://schemas.openxmlformats.org/package/2006/relationships"
	nsDS            = xmldsig.NamespaceDSig
	c14n            = "http://www.w3.org/TR/2001/REC-xml-c14n-20010315"
	sha256URI       = "http://www.w3.org/2001/04/xmlenc#sha256"

	office       = "http://schemas.openxmlformats.org/officeDocument/2006/relationships/"
	typeMain     = "application/vnd.openxmlformats-officedocument.wordprocessingml.document.main+xml"
	typeRels     = "application/vnd.openxmlformats-package.relationships+xml"
	typeStyles   = "application/vnd.openxmlformats-officedocument.wordprocessingml.styles+xml"
	coreKind     = "http://schemas.openxmlformats.org/package/2006/relationships/metadata/core-properties"
	sigName      = "_xmlsignatures/sig1.xml"
	rootRels     = "_rels/.rels"
	documentRels = "word/_rels/document.xml.rels"
)

// file is an entry of the ZIP file.
type file struct{ name, content string }

// word is a document of Office Open XML without signatures.
func word() []file {
	return []file{
		{"[Content_Types].xml", types("")},
		{rootRels, rels("rId1 "+office+"officeDocument word/document.xml", "rId2 "+coreKind+" docProps/core.xml",
			"rId3 "+kindOrigin+" _xmlsignatures/origin.sigs")},
		{"word/document.xml", `<w:document xmlns:w="urn:w">Umowa nr 1</w:document>`},
		{documentRels, rels("rId1 "+office+"styles styles.xml", "rId2 "+office+"hyperlink http://example.org/ External")},
		{"word/styles.xml", `<w:styles xmlns:w="urn:w"/>`},
		{"docProps/core.xml", `<core/>`},
		{"_xmlsignatures/origin.sigs", ""},
		{"_xmlsignatures/_rels/origin.sigs.rels", rels("rId1 " + kindSignature + " sig1.xml")},
	}
}

// types writes the content types of word, and more.
func types(more string) string {
	return `<Types xmlns="` + namespaceTypes + `"><Default Extension="rels" ContentType="` + typeRels + `"/>` +
		`<Default Extension="xml" ContentType="application/xml"/>` +
		`<Default Extension="sigs" ContentType="application/vnd.openxmlformats-package.digital-signature-origin"/>` +
		`<Override PartName="/word/document.xml" ContentType="` + typeMain + `"/>` +
		`<Override PartName="/word/styles.xml" ContentType="` + typeStyles + `"/>` +
		`<Override PartName="/_xmlsignatures/sig1.xml" ContentType="` + typeSignature + `"/>` + more + `</Types>`
}

// rels writes a relationships part; each one is "Id Type Target" and perhaps a mode.
func rels(list ...string) string {
	text := `<Relationships xmlns="` + nsRelationships + `">`
	for _, one := range list {
		f := strings.Fields(one)
		text += `<Relationship Id="` + f[0] + `" Type="` + f[1] + `" Target="` + f[2] + `"`
		if len(f) > 3 {
			text += ` TargetMode="` + f[3] + `"`
		}
		text += `/>`
	}
	return text + `</Relationships>`
}

// item is a reference of the manifest.
type item struct {
	uri        string
	transforms string
	digested   string // what the transforms leave
}

func whole(name, contentType, content string) item {
	return item{"/" + name + "?ContentType=" + contentType, "", content}
}

// chosen signs relationships "Id Type Target Mode" of a part, which are given in the order of their Ids.
func chosen(name string, list ...string) item {
	references, text := "", `<Relationships xmlns="`+nsRelationships+`">`
	for _, one := range list {
		f := strings.Fields(one)
		references += `<m:RelationshipReference xmlns:m="` + xmldsig.NamespaceOPCSignature +
			`" SourceId="` + f[0] + `"></m:RelationshipReference>`
		text += fmt.Sprintf(`<Relationship Id="%s" Target="%s" TargetMode="%s" Type="%s"></Relationship>`,
			f[0], f[2], f[3], f[1])
	}
	transforms := transform(xmldsig.TransformRelationship, references) + transform(c14n, "")
	return item{"/" + name + "?ContentType=" + typeRels, transforms, text + `</Relationships>`}
}

func transform(algorithm, content string) string {
	return `<Transform Algorithm="` + algorithm + `">` + content + `</Transform>`
}

// items are those that a signature of word has.
func items() []item {
	return []item{
		chosen(rootRels, "rId1 "+office+"officeDocument word/document.xml Internal"),
		chosen(documentRels, "rId1 "+office+"styles styles.xml Internal",
			"rId2 "+office+"hyperlink http://example.org/ External"),
		whole("word/document.xml", typeMain, word()[2].content),
		whole("word/styles.xml", typeStyles, word()[4].content),
	}
}

func b64(b []byte) string { return base64.StdEncoding.EncodeToString(b) }

func reference(attributes, transforms, digested string) string {
	sum := sha256.Sum256([]byte(digested))
	if transforms != "" {
		transforms = "<Transforms>" + transforms + "</Transforms>"
	}
	return `<Reference ` + attributes + `>` + transforms + `<DigestMethod Algorithm="` + sha256URI + `"></DigestMethod>` +
		`<DigestValue>` + b64(sum[:]) + `</DigestValue></Reference>`
}

// packageObject holds the manifest and the time. What stands in the signature is written in canonical form, but for the
// namespace that it inherits.
func packageObject(list []item) string {
	text := `<Object Id="idPackageObject"><Manifest>`
	for _, i := range list {
		text += reference(`URI="`+i.uri+`"`, i.transforms, i.digested)
	}
	return text + `</Manifest><SignatureProperties><SignatureProperty Id="idSignatureTime" Target="#idPackageSignature">` +
		`<m:SignatureTime xmlns:m="` + xmldsig.NamespaceOPCSignature + `"><m:Format>YYYY-MM-DDThh:mm:ssTZD</m:Format>` +
		`<m:Value>2026-03-01T12:00:00Z</m:Value></m:SignatureTime></SignatureProperty></SignatureProperties></Object>`
}

const officeObject = `<Object Id="idOfficeObject"><SignatureProperties><SignatureProperty Id="idOfficeV1Details" ` +
	`Target="#idPackageSignature"><SignatureInfoV1 xmlns="http://schemas.microsoft.com/office/2006/digsig">` +
	`<SignatureComments>ok</SignatureComments></SignatureInfoV1></SignatureProperty></SignatureProperties></Object>`

// inherited is an object as it is digested, with the namespace that it inherits.
func inherited(object string) string {
	return strings.Replace(object, "<Object ", `<Object xmlns="`+nsDS+`" `, 1)
}

// objectReference is the reference to an object with an Id.
func objectReference(id, object string) string {
	return reference(`Type="`+nsDS+`Object" URI="#`+id+`"`, "", inherited(object))
}

// sign writes a signature part: the objects, and references to some things.
func sign(t testing.TB, signer cmstest.Identity, references, objects string) string {
	t.Helper()
	info := `<SignedInfo xmlns="` + nsDS + `"><CanonicalizationMethod Algorithm="` + c14n + `"></CanonicalizationMethod>` +
		`<SignatureMethod Algorithm="http://www.w3.org/2001/04/xmldsig-more#ecdsa-sha256"></SignatureMethod>` +
		references + `</SignedInfo>`
	digest := sha256.Sum256([]byte(info))
	r, v, err := ecdsa.Sign(rand.Reader, signer.Key.(*ecdsa.PrivateKey), digest[:])
	if err != nil {
		t.Fatal(err)
	}
	value := append(r.FillBytes(make([]byte, 32)), v.FillBytes(make([]byte, 32))...)
	return `<Signature xmlns="` + nsDS + `" Id="idPackageSignature">` + info +
		`<SignatureValue>` + b64(value) + `</SignatureValue>` +
		`<KeyInfo><X509Data><X509Certificate>` + b64(signer.Cert.Raw) + `</X509Certificate></X509Data></KeyInfo>` +
		objects + `</Signature>`
}

// signed is a signature part with a manifest, as Office writes it.
func signed(t testing.TB, signer cmstest.Identity, list []item) string {
	object := packageObject(list)
	references := objectReference("idPackageObject", object) + objectReference("idOfficeObject", officeObject)
	return sign(t, signer, references, object+officeObject)
}

// zipped writes the ZIP file.
func zipped(t testing.TB, files []file) []byte {
	t.Helper()
	var b bytes.Buffer
	w := zip.NewWriter(&b)
	for _, f := range files {
		out, err := w.CreateHeader(&zip.FileHeader{Name: f.name, Method: zip.Deflate})
		if err != nil {
			t.Fatal(err)
		}
		if _, err := io.WriteString(out, f.content); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

func open(t testing.TB, data []byte) *signature.Document {
	t.Helper()
	b := budget.New(t.Context(), len(data))
	c, err := asic.Open(b, data)
	if err != nil {
		t.Fatal(err)
	}
	if c.Kind != asic.OpenPackage {
		t.Fatalf("kind %s", c.Kind)
	}
	doc, err := Read(b, c)
	if err != nil {
		t.Fatal(err)
	}
	return doc
}

// with changes the content of a file, or adds it.
func with(files []file, name, content string) []file {
	files = slices.Clone(files)
	for i := range files {
		if files[i].name == name {
			files[i].content = content
			return files
		}
	}
	return append(files, file{name, content})
}

func without(files []file, name string) []file {
	return slices.DeleteFunc(slices.Clone(files), func(f file) bool { return f.name == name })
}

func contentOf(files []file, name string) string {
	for _, f := range files {
		if f.name == name {
			return f.content
		}
	}
	return ""
}

// edit replaces in a file.
func edit(t testing.TB, files []file, name, from, to string) []file {
	t.Helper()
	text := contentOf(files, name)
	if !strings.Contains(text, from) {
		t.Fatalf("%s has no %q", name, from)
	}
	return with(files, name, strings.Replace(text, from, to, 1))
}
