package bundle

import (
	"archive/zip"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"
	"time"
)

// Write writes the bundle as a ZIP file. The same bundle gives the same bytes.
func (b *Bundle) Write(w io.Writer) error {
	switch {
	case b.At.IsZero() || b.Policy.Name == "" || len(b.Report) == 0 || b.SHA256 == "":
		return errors.New("bundle: time, policy, digest or report is missing")
	case b.Document.Content != nil && Digest(b.Document.Content) != b.SHA256:
		return errors.New("bundle: the digest is not the document's")
	}
	z := zip.NewWriter(w)
	m := manifest{Version: Version, At: b.At.UTC(), Policy: b.Policy.Name, Status: b.Status, Parts: map[string][]entry{}}
	m.Digests, m.Password = b.Digests, b.Password
	for piece, origin := range b.Origins {
		if m.Origins == nil {
			m.Origins = map[string]string{}
		}
		m.Origins[hex.EncodeToString(piece[:])] = origin
	}
	for certificate, t := range b.Later {
		if m.Later == nil {
			m.Later = map[string]time.Time{}
		}
		m.Later[hex.EncodeToString(certificate[:])] = t.UTC()
	}
	m.Document = entry{Name: b.Document.Name, SHA256: b.SHA256}
	if b.Document.Content != nil {
		written, err := write(z, documents, 0, b.Document)
		if err != nil {
			return err
		}
		m.Document = written
	}
	for _, p := range b.parts() {
		for i, f := range p.files {
			written, err := write(z, p.folder, i, f)
			if err != nil {
				return err
			}
			m.Parts[p.folder] = append(m.Parts[p.folder], written)
		}
	}
	text, err := json.MarshalIndent(m, "", "  ")
	if err != nil {
		return err
	}
	if err := add(z, manifestName, text); err != nil {
		return err
	}
	return z.Close()
}

// write adds one file. The entry's name is a number: the name that the file had stands in the manifest alone, so that
// nothing that a stranger named becomes a path.
func write(z *zip.Writer, folder string, i int, f File) (entry, error) {
	e := entry{Entry: fmt.Sprintf("%s/%04d", folder, i), Name: f.Name, SHA256: Digest(f.Content)}
	return e, add(z, e.Entry, f.Content)
}

// add adds an entry. A document is not packed: how far one shrinks nobody knows, and Read bounds that.
func add(z *zip.Writer, name string, content []byte) error {
	method := zip.Deflate
	if strings.HasPrefix(name, documents+"/") || strings.HasPrefix(name, detached+"/") {
		method = zip.Store
	}
	w, err := z.CreateHeader(&zip.FileHeader{Name: name, Method: method})
	if err != nil {
		return err
	}
	_, err = w.Write(content)
	return err
}
