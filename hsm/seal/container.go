package seal

import (
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"slices"
	"strings"

	"trustcore/internal/asic"
	"trustcore/internal/budget"
	"trustcore/internal/xmldsig"
)

const namespaceASiC = "http://uri.etsi.org/02918/v1.2.1#"

// container is an ASiC container in the making.
type container struct {
	kind  asic.Kind
	files []asic.File // but for the mimetype
}

// sealContainer makes an ASiC container (EN 319 162-1, 4.3 and 4.4), or puts a further seal into one that is given.
func (w *work) sealContainer(ctx context.Context) ([]byte, error) {
	c, err := w.startContainer(ctx)
	if err != nil {
		return nil, err
	}
	w.documents = c.data()
	if w.opts.Format == FormatXAdES {
		err = w.addXML(ctx, c)
	} else {
		err = w.addCMS(ctx, c)
	}
	if err != nil {
		return nil, err
	}
	return c.write(ctx)
}

// startContainer takes the documents for a new container, or a container as it is.
func (w *work) startContainer(ctx context.Context) (*container, error) {
	kind := map[Packaging]asic.Kind{ASiCS: asic.Simple, ASiCE: asic.Extended}[w.opts.Packaging]
	if len(w.documents) == 1 && (Options{}).kind(w.documents[0].Content) == kindZIP {
		present, err := openContainer(ctx, w.documents[0].Content)
		if err == nil && present.kind == kind && len(present.with(asic.CAdESSignature, asic.XAdESSignatures)) > 0 {
			return present, nil
		}
		if err != nil && !errors.Is(err, asic.ErrNotContainer) {
			return nil, err
		}
	}
	c := &container{kind: kind}
	for _, d := range w.documents {
		c.files = append(c.files, asic.File{Name: d.Name, Content: d.Content})
	}
	return c, nil
}

// openContainer reads a container whose ZIP file every program reads alike.
func openContainer(ctx context.Context, data []byte) (*container, error) {
	read, err := asic.Open(budget.New(ctx, len(data)), data)
	if err != nil {
		return nil, err
	}
	if read.Kind != asic.Simple && read.Kind != asic.Extended {
		return nil, asic.ErrNotContainer
	}
	if len(read.Faults) > 0 {
		return nil, fmt.Errorf("the container is read differently by different programs: %s", read.Faults[0])
	}
	c := &container{kind: read.Kind}
	size := 0
	for _, e := range read.Entries {
		if e.Role() == asic.MimetypeEntry {
			continue
		}
		content, err := read.Read(e)
		if err != nil {
			return nil, err
		}
		if size += len(content); size > MaxDocument {
			return nil, fmt.Errorf("the container holds more than %d bytes", MaxDocument)
		}
		c.files = append(c.files, asic.File{Name: e.Name, Content: content})
	}
	return c, nil
}

// write gives the container, after a look at it through a reader's eyes.
func (c *container) write(ctx context.Context) ([]byte, error) {
	data, err := asic.Write(c.kind, c.files)
	if err != nil {
		return nil, err
	}
	read, err := asic.Open(budget.New(ctx, len(data)), data)
	if err != nil {
		return nil, fmt.Errorf("the container can't be read back: %w", err)
	}
	if faults := slices.Concat(read.Faults, read.Remarks); len(faults) > 0 {
		return nil, fmt.Errorf("the container can't be read back: %s", faults[0])
	}
	return data, nil
}

// with lists the files of some roles.
func (c *container) with(roles ...asic.Role) []int {
	var list []int
	for i, f := range c.files {
		if slices.Contains(roles, asic.RoleOf(f.Name)) {
			list = append(list, i)
		}
	}
	return list
}

// data are the data objects as documents.
func (c *container) data() []Document {
	var list []Document
	for _, i := range c.with(asic.Data) {
		list = append(list, Document{Name: c.files[i].Name, Content: c.files[i].Content})
	}
	return list
}

// put replaces a file, or adds it.
func (c *container) put(name string, content []byte) {
	if f := c.file(name); f != nil {
		f.Content = content
		return
	}
	c.files = append(c.files, asic.File{Name: name, Content: content})
}

func (c *container) file(name string) *asic.File {
	for i := range c.files {
		if c.files[i].Name == name {
			return &c.files[i]
		}
	}
	return nil
}

// free is the first name with a number that no file has.
func (c *container) free(pattern string) string {
	for i := 1; ; i++ {
		if name := fmt.Sprintf(pattern, i); c.file(name) == nil {
			return name
		}
	}
}

// addXML puts an XAdES signature over all data objects into the container.
func (w *work) addXML(ctx context.Context, c *container) error {
	name := "META-INF/signatures.xml"
	if c.kind == asic.Extended {
		name = c.free("META-INF/signatures%03d.xml")
		if c.file("META-INF/manifest.xml") == nil {
			c.put("META-INF/manifest.xml", w.packageManifest())
		}
	}
	signature, id, err := w.signatureOf(ctx, w.documents)
	if err != nil {
		return err
	}
	text := []byte(`<?xml version="1.0" encoding="UTF-8"?>` + "\n" + `<asic:XAdESSignatures xmlns:asic="` +
		namespaceASiC + `">` +
		string(signature) + `</asic:XAdESSignatures>`)
	if present := c.file(name); present != nil { // ASiC-S has one file for all
		d, err := xmldsig.Parse(present.Content, xmldsig.DefaultLimits)
		if err != nil {
			return err
		}
		if text, err = appendChild(present.Content, d, d.Root(), signature); err != nil {
			return err
		}
	}
	if err := w.confirmXML(text, id); err != nil {
		return err
	}
	if text, err = w.raiseXML(ctx, text, id); err != nil {
		return err
	}
	c.put(name, text)
	return nil
}

// packageManifest lists the files with their types, as OpenDocument packages do and some readers of ASiC-E want (EN
// 319 162-1, 4.4.3.2).
func (w *work) packageManifest() []byte {
	var b strings.Builder
	b.WriteString(`<?xml version="1.0" encoding="UTF-8"?>` + "\n" +
		`<manifest:manifest xmlns:manifest="urn:oasis:names:tc:opendocument:xmlns:manifest:1.0"` +
		` manifest:version="1.2">` +
		`<manifest:file-entry manifest:full-path="/" manifest:media-type="application/vnd.etsi.asic-e+zip"/>`)
	for _, d := range w.documents {
		mime := d.MimeType
		if mime == "" {
			mime = "application/octet-stream"
		}
		b.WriteString(`<manifest:file-entry manifest:full-path="` + escape(d.Name) + `" manifest:media-type="` +
			escape(mime) + `"/>`)
	}
	b.WriteString(`</manifest:manifest>`)
	return []byte(b.String())
}

// addCMS puts a CAdES signature into the container: over the data object of ASiC-S, over a manifest of all of them in
// ASiC-E.
func (w *work) addCMS(ctx context.Context, c *container) error {
	if c.kind == asic.Simple {
		const name = "META-INF/signature.p7s"
		content := w.documents[0].Content
		present := c.file(name)
		if present == nil {
			signature, err := w.freshCMS(ctx, Document{Content: content})
			c.put(name, signature)
			return err
		}
		signature, err := w.besideCMS(ctx, present.Content, content, false)
		c.put(name, signature)
		return err
	}
	manifest, signature := c.free("META-INF/ASiCManifest%03d.xml"), c.free("META-INF/signature%03d.p7s")
	text := w.manifest(manifestTarget{signature, "application/x-pkcs7-signature"}, references(w.documents, ""))
	value, err := w.freshArchived(ctx, Document{Content: text})
	if err != nil {
		return err
	}
	c.put(manifest, text)
	c.put(signature, value)
	if w.opts.Level == LevelLTA {
		return w.archiveContainer(ctx, c)
	}
	return nil
}

// freshArchived makes the CAdES signature of a manifest: of LevelLTA the archive time-stamp is one over the container.
func (w *work) freshArchived(ctx context.Context, document Document) ([]byte, error) {
	inner := *w
	if inner.opts.Level == LevelLTA {
		inner.opts.Level = LevelLT
	}
	return inner.freshCMS(ctx, document)
}

// manifestTarget is the signature or time-stamp that a manifest is for.
type manifestTarget struct{ name, mime string }

// manifestReference is a file that a manifest names.
type manifestReference struct {
	Document
	root bool // the manifest that the new one goes on from
}

func references(documents []Document, root string) []manifestReference {
	list := make([]manifestReference, len(documents))
	for i, d := range documents {
		list[i] = manifestReference{d, d.Name == root}
	}
	return list
}

// manifest is an ASiCManifest, or an ASiCArchiveManifest (EN 319 162-1, A.4).
func (w *work) manifest(target manifestTarget, files []manifestReference) []byte {
	h := w.how.hash
	if h == 0 {
		h = w.opts.Hash
	}
	var b strings.Builder
	b.WriteString(`<?xml version="1.0" encoding="UTF-8"?>` + "\n" + `<asic:ASiCManifest xmlns:asic="` + namespaceASiC +
		`" xmlns:ds="` +
		xmldsig.NamespaceDSig + `"><asic:SigReference MimeType="` + target.mime + `" URI="` +
		escape(uriOf(target.name)) + `"></asic:SigReference>`)
	for _, f := range files {
		attributes := ""
		if f.MimeType != "" {
			attributes = ` MimeType="` + escape(f.MimeType) + `"`
		}
		if f.root {
			attributes += ` Rootfile="true"`
		}
		b.WriteString(`<asic:DataObjectReference` + attributes + ` URI="` + escape(uriOf(f.Name)) + `">` +
			digestMethod(h) + `<ds:DigestValue>` +
			base64.StdEncoding.EncodeToString(digestOf(h, f.Content)) + `</ds:DigestValue></asic:DataObjectReference>`)
	}
	b.WriteString(`</asic:ASiCManifest>`)
	return []byte(b.String())
}
