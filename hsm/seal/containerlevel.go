package seal

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"path"
	"strings"

	"trustcore/internal/asic"
	"trustcore/internal/cms"
	"trustcore/internal/xmldsig"
)

// extendContainer raises the signatures of a container. What they are about lies in it.
func (w *work) extendContainer(ctx context.Context, sealed []byte) ([]byte, error) {
	c, err := openContainer(ctx, sealed)
	if err != nil {
		return nil, err
	}
	w.documents = c.data()
	archived, err := c.archived()
	if err != nil {
		return nil, err
	}
	raised := false
	for _, i := range c.with(asic.XAdESSignatures) {
		if archived[c.files[i].Name] {
			continue
		}
		after, err := w.extendXML(ctx, c.files[i].Content, "")
		if errors.Is(err, ErrAlready) {
			continue
		}
		if err != nil {
			return nil, fmt.Errorf("%s: %w", c.files[i].Name, err)
		}
		c.files[i].Content, raised = after, true
	}
	files := c.with(asic.CAdESSignature)
	inner, archive := *w, w.opts.Level == LevelLTA && c.kind == asic.Extended && len(files) > 0
	if archive {
		inner.opts.Level = LevelLT
	}
	for _, i := range files {
		name := c.files[i].Name
		if archived[name] {
			continue
		}
		after, err := inner.extendCMS(ctx, c.files[i].Content, func() ([]byte, error) { return c.contentOf(name) })
		if errors.Is(err, ErrAlready) {
			continue
		}
		if err != nil {
			return nil, fmt.Errorf("%s: %w", name, err)
		}
		c.files[i].Content, raised = after, true
	}
	if archive {
		if err := w.archiveContainer(ctx, c); err != nil {
			return nil, err
		}
		raised = true
	}
	if !raised {
		return nil, ErrAlready
	}
	return c.write(ctx)
}

// archived are the files that an archive time-stamp covers. They stay as they are: a further one goes on from it.
func (c *container) archived() (map[string]bool, error) {
	names := map[string]bool{}
	for _, i := range c.with(asic.ArchiveManifest) {
		_, files, err := readManifest(c.files[i].Content)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", c.files[i].Name, err)
		}
		for _, f := range files {
			names[f.name] = true
		}
	}
	return names, nil
}

// contentOf is what a CAdES signature of the container is about: the data object of ASiC-S, the manifest that names
// it in ASiC-E.
func (c *container) contentOf(signature string) ([]byte, error) {
	if c.kind == asic.Simple {
		data := c.data()
		if len(data) != 1 {
			return nil, fmt.Errorf("ASiC-S with %d data objects", len(data))
		}
		return data[0].Content, nil
	}
	for _, i := range c.with(asic.SignatureManifest) {
		target, files, err := readManifest(c.files[i].Content)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", c.files[i].Name, err)
		}
		if target != signature {
			continue
		}
		for _, f := range files {
			if err := c.holds(f); err != nil {
				return nil, fmt.Errorf("%s: %w", c.files[i].Name, err)
			}
		}
		return c.files[i].Content, nil
	}
	return nil, errors.New("no manifest of the container names it (EN 319 162-1, 4.4.4.2)")
}

// manifestDigest is a file that a manifest names.
type manifestDigest struct {
	name, method string
	value        []byte
}

// holds compares a file of the container with what a manifest says of it.
func (c *container) holds(d manifestDigest) error {
	f := c.file(d.name)
	if f == nil {
		return fmt.Errorf("%q is not there", d.name)
	}
	h, err := xmldsig.HashByURI(d.method)
	if err != nil {
		return err
	}
	if string(digestOf(h, f.Content)) != string(d.value) {
		return fmt.Errorf("the digest of %q does not match: a broken seal is not extended", d.name)
	}
	return nil
}

// readManifest gives the file that a manifest is for, and those that it names.
func readManifest(content []byte) (string, []manifestDigest, error) {
	d, err := xmldsig.Parse(content, xmldsig.DefaultLimits)
	if err != nil {
		return "", nil, err
	}
	root := d.Root()
	target, err := nameOf(root.Child(namespaceASiC, "SigReference"))
	if err != nil || !root.Is(namespaceASiC, "ASiCManifest") {
		return "", nil, errors.New("it is no ASiCManifest for a signature")
	}
	var files []manifestDigest
	for _, n := range root.All(namespaceASiC, "DataObjectReference") {
		f := manifestDigest{}
		if f.name, err = nameOf(n); err != nil {
			return "", nil, err
		}
		f.method, _ = n.Child(xmldsig.NamespaceDSig, "DigestMethod").Attr("", "Algorithm")
		if f.value, err = n.Child(xmldsig.NamespaceDSig, "DigestValue").Bytes(); err != nil {
			return "", nil, err
		}
		files = append(files, f)
	}
	return target, files, nil
}

// nameOf is the file that the URI of an element means, from the root of the container.
func nameOf(n xmldsig.Node) (string, error) {
	if n.IsZero() {
		return "", errors.New("a reference is missing")
	}
	text, _ := n.Attr("", "URI")
	u, err := url.Parse(text)
	if err != nil || u.Path == "" || u.Scheme != "" || u.Host != "" {
		return "", fmt.Errorf("%q names no file of the container", text)
	}
	return strings.TrimPrefix(path.Clean(u.Path), "/"), nil
}

// The newest archive manifest has the plain name (EN 319 162-1, A.7); those before it are numbered.
const (
	archiveManifest = "META-INF/ASiCArchiveManifest.xml"
	archivedBefore  = "META-INF/ASiCArchiveManifest%03d.xml"
	archiveToken    = "META-INF/timestamp%03d.tst"
)

// archiveContainer time-stamps a manifest of everything in the container. The evidence for the time-stamp before goes
// into that one's token, where it is no part of what was signed (EN 319 162-1, A.7).
func (w *work) archiveContainer(ctx context.Context, c *container) error {
	root := ""
	if last := c.file(archiveManifest); last != nil {
		if err := w.completeToken(ctx, c, last.Content); err != nil {
			return err
		}
		root = c.free(archivedBefore)
		last.Name = root
	}
	var files []Document
	for _, i := range c.with(asic.Data, asic.CAdESSignature, asic.SignatureManifest, asic.ArchiveManifest,
		asic.TimestampToken, asic.XAdESSignatures) {
		files = append(files, Document{Name: c.files[i].Name, Content: c.files[i].Content})
	}
	token := c.free(archiveToken)
	manifest := w.manifest(manifestTarget{token, "application/vnd.etsi.timestamp-token"}, references(files, root))
	value, err := w.stamp(ctx, manifest)
	if err != nil {
		return err
	}
	c.put(archiveManifest, manifest)
	c.put(token, value)
	return nil
}

// completeToken puts the evidence for an archive time-stamp into its token.
func (w *work) completeToken(ctx context.Context, c *container, manifest []byte) error {
	target, _, err := readManifest(manifest)
	if err != nil {
		return fmt.Errorf("%s: %w", archiveManifest, err)
	}
	token := c.file(target)
	if token == nil {
		return fmt.Errorf("%s: %q is not there", archiveManifest, target)
	}
	e, err := w.collect(ctx, present{tokens: [][]byte{token.Content}})
	if err != nil {
		return err
	}
	token.Content, err = cms.AddEvidence(token.Content, e.Certificates, e.CRLs, e.OCSPs)
	return err
}
