// Package assets serves the style sheets, scripts and pictures that are built into a program.
package assets

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io/fs"
	"mime"
	"net/http"
	"path"
	"strings"
	"time"

	"trustcore/internal/problem"
)

// Packed ends the name of a file that is compressed with brotli (RFC 7932): it is served under the name without, to who
// takes it so.
const Packed = ".br"

// Set is the files of one folder. A file's address changes with its content, so that browsers may keep it for ever and
// still see a new version at once. It is immutable and safe for concurrent use.
type Set struct{ files map[string]file }

type file struct {
	content []byte
	version string
	packed  bool
}

// Load reads the files of a folder, which are served below /static/.
func Load(files fs.FS, dir string) (*Set, error) {
	s := &Set{files: map[string]file{}}
	entries, err := fs.ReadDir(files, dir)
	if err != nil {
		return nil, fmt.Errorf("assets: %w", err)
	}
	for _, e := range entries {
		data, err := fs.ReadFile(files, path.Join(dir, e.Name()))
		if err != nil {
			return nil, fmt.Errorf("assets: %w", err)
		}
		sum := sha256.Sum256(data)
		name, packed := strings.CutSuffix(e.Name(), Packed)
		s.files[name] = file{data, hex.EncodeToString(sum[:8]), packed}
	}
	return s, nil
}

// Path is where a file is found, "" for one that is not there.
func (s *Set) Path(name string) string {
	f, known := s.files[name]
	if !known {
		return ""
	}
	return "/static/" + name + "?v=" + f.version
}

// ServeHTTP serves one file.
func (s *Set) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	name := path.Base(r.URL.Path)
	f, known := s.files[name]
	if !known || r.URL.Path != "/static/"+name {
		problem.NotFound(w)
		return
	}
	h := w.Header()
	if f.packed {
		if !takesPacked(r) {
			problem.Refuse(http.StatusNotAcceptable, "this file is compressed with brotli: accept the encoding br").Write(w)
			return
		}
		h.Set("Content-Encoding", "br")
		h.Set("Vary", "Accept-Encoding")
	}
	h.Set("Content-Type", mime.TypeByExtension(path.Ext(name)))
	if r.URL.Query().Get("v") == f.version {
		h.Set("Cache-Control", "public, max-age=31536000, immutable")
	}
	http.ServeContent(w, r, name, time.Time{}, bytes.NewReader(f.content))
}

// takesPacked tells whether the client takes brotli. Who weighs encodings to refuse one of them is no browser.
func takesPacked(r *http.Request) bool {
	for coding := range strings.SplitSeq(r.Header.Get("Accept-Encoding"), ",") {
		if strings.EqualFold(strings.TrimSpace(coding), "br") {
			return true
		}
	}
	return false
}
