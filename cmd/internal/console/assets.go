package console

import (
	"bytes"
	"crypto/sha256"
	"embed"
	"encoding/hex"
	"fmt"
	"mime"
	"net/http"
	"path"
	"time"

	"trustcore/internal/problem"
)

// htmx.min.js is htmx 2.0.11 as its npm package htmx.org has it (licence: htmx.LICENSE).
//
//go:embed static
var staticFiles embed.FS

// assets serves style sheet, scripts and icon. A file's address changes with its content, so that
// browsers may keep it for ever and still see a new version at once.
type assets struct {
	content map[string][]byte // by path below /static/
	version map[string]string
}

func loadAssets() (*assets, error) {
	a := &assets{content: map[string][]byte{}, version: map[string]string{}}
	files, err := staticFiles.ReadDir("static")
	if err != nil {
		return nil, fmt.Errorf("console: %w", err)
	}
	for _, f := range files {
		data, err := staticFiles.ReadFile("static/" + f.Name())
		if err != nil {
			return nil, fmt.Errorf("console: %w", err)
		}
		sum := sha256.Sum256(data)
		a.content[f.Name()], a.version[f.Name()] = data, hex.EncodeToString(sum[:8])
	}
	return a, nil
}

// path is where a file is found.
func (a *assets) path(name string) string { return "/static/" + name + "?v=" + a.version[name] }

// ServeHTTP serves one file.
func (a *assets) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	name := path.Base(r.URL.Path)
	content, ok := a.content[name]
	if !ok || r.URL.Path != "/static/"+name {
		problem.NotFound(w)
		return
	}
	w.Header().Set("Content-Type", mime.TypeByExtension(path.Ext(name)))
	if r.URL.Query().Get("v") == a.version[name] {
		w.Header().Set("Cache-Control", "public, max-age=31536000, immutable")
	}
	http.ServeContent(w, r, name, time.Time{}, bytes.NewReader(content))
}
