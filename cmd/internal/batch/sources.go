package batch

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/url"
	"os"
	"path"
	"slices"
	"strings"
	"syscall"
)

// Root is a folder whose files may be judged where they lie.
type Root struct {
	Folder *os.Root // nothing outside is reached through it, by links neither
	Owners []string // whose documents they are
}

// Host is a server whose documents may be fetched.
type Host struct {
	Origin string // https://HOST or https://HOST:PORT
	Owners []string
	Fetch  func(ctx context.Context, address string) ([]byte, error)
}

// Source says where documents lie that an owner does not send.
type Source struct {
	Name   string   `json:"name,omitempty"`   // of the document; "" is its path or its address
	Root   string   `json:"root,omitempty"`   // name of a folder of the configuration
	Path   string   `json:"path,omitempty"`   // of a file below it, with slashes
	Beside []string `json:"beside,omitempty"` // paths of the files that it signs
	Folder string   `json:"folder,omitempty"` // below the root: all files in it and below, in place of path
	URL    string   `json:"url,omitempty"`    // https address, in place of root and path
}

// errNotYours refuses a root or a host in the same words whether it is another's or nobody's.
func errNotYours(what string) error {
	return &Refusal{403, fmt.Sprintf("%.200q is no place whose documents you may have judged", what)}
}

// Sources takes documents into a batch that lie elsewhere, from NDJSON: a Source a line. They are opened when their
// turn comes: what is not there then has a problem for its result.
func (u *Upload) Sources(lines io.Reader) error {
	d := json.NewDecoder(lines)
	d.DisallowUnknownFields()
	for {
		var s Source
		if err := d.Decode(&s); errors.Is(err, io.EOF) {
			return nil
		} else if err != nil {
			return err
		}
		if err := u.source(s); err != nil {
			return err
		}
		if len(u.documents) > MaxDocuments {
			return &StateError{fmt.Sprintf("a batch has at most %d documents", MaxDocuments)}
		}
	}
}

func (u *Upload) source(s Source) error {
	switch {
	case s.URL != "" && s.Root+s.Path+s.Folder == "" && len(s.Beside) == 0:
		if _, err := u.batches.hostOf(s.URL, u.owner); err != nil {
			return err
		}
		return u.refer(s.Name, []piece{{URL: s.URL}})
	case s.URL != "" || s.Root == "" || (s.Path == "") == (s.Folder == "") || s.Folder != "" && s.Name != "":
		return &NameError{"write url, or root with path or folder; a folder has no name"}
	}
	root, err := u.batches.rootOf(s.Root, u.owner)
	if err != nil {
		return err
	}
	if s.Folder != "" {
		return u.walk(root, s.Root, s.Folder)
	}
	var pieces []piece
	for _, p := range append([]string{s.Path}, s.Beside...) {
		if !fs.ValidPath(p) {
			return &NameError{fmt.Sprintf("%.200q is no path below a folder", p)}
		}
		pieces = append(pieces, piece{Name: path.Base(p), Root: s.Root, Path: p})
	}
	return u.refer(s.Name, pieces)
}

// refer notes where a document lies.
func (u *Upload) refer(name string, pieces []piece) error {
	if name == "" {
		name = pieces[0].Path + pieces[0].URL
	}
	if len(name) > maxName || len(pieces) > MaxParts {
		return &NameError{fmt.Sprintf("a name of more than %d bytes, or more than %d files beside a document", maxName,
			MaxParts)}
	}
	u.documents = append(u.documents, incoming{name: name, pieces: pieces})
	return nil
}

// walk notes all regular files of a folder, by their paths below the root. Links are not followed, and no path leads out.
func (u *Upload) walk(root *os.Root, name, folder string) error {
	return fs.WalkDir(root.FS(), folder, func(p string, entry fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return &NameError{fmt.Sprintf("the folder %.200q can't be read", folder)}
		case !entry.Type().IsRegular():
			return nil
		case len(u.documents) > MaxDocuments:
			return &StateError{fmt.Sprintf("a batch has at most %d documents", MaxDocuments)}
		}
		return u.refer("", []piece{{Name: path.Base(p), Root: name, Path: p}})
	})
}

func (b *Batches) rootOf(name, owner string) (*os.Root, error) {
	if r, known := b.cfg.Roots[name]; known && slices.Contains(r.Owners, owner) {
		return r.Folder, nil
	}
	return nil, errNotYours(name)
}

// hostOf finds who fetches an address: its scheme, host and port have to be those of the configuration.
func (b *Batches) hostOf(address, owner string) (*Host, error) {
	u, err := url.Parse(address)
	if err == nil && u.User == nil && u.Scheme == "https" {
		for i := range b.cfg.Hosts {
			h := &b.cfg.Hosts[i]
			if strings.EqualFold(h.Origin, u.Scheme+"://"+u.Host) && slices.Contains(h.Owners, owner) {
				return h, nil
			}
		}
	}
	return nil, errNotYours(address)
}

// shelf keeps the file open in which the documents of an upload lie, for one document after the other.
type shelf struct{ file *os.File }

func (s *shelf) open(path string) (*os.File, error) {
	if s.file != nil && s.file.Name() == path {
		return s.file, nil
	}
	s.close()
	file, err := os.Open(path)
	if err == nil {
		s.file = file
	}
	return file, err
}

func (s *shelf) close() {
	if s.file != nil {
		_ = s.file.Close() // was only read
	}
}

// open opens a document with what lies beside it. The caller calls done, and closes the shelf after that.
func (b *Batches) open(ctx context.Context, t task, at *shelf) (d Document, done func(), err error) {
	var files []*os.File
	done = func() {
		for _, f := range files {
			_ = f.Close() // was only read
		}
	}
	d = Document{Name: t.name, Wish: t.line.wish}
	var total int64
	for i, p := range t.pieces {
		content, size, file, err := b.openPiece(ctx, t, p, at)
		if file != nil {
			files = append(files, file)
		}
		if total += size; err == nil && total > b.cfg.MaxDocument {
			err = &Refusal{413, fmt.Sprintf("a document has at most %d bytes", b.cfg.MaxDocument)}
		}
		if err != nil {
			done()
			return d, nil, err
		}
		if i == 0 {
			d.Content, d.Size = content, size
		} else {
			d.Beside = append(d.Beside, File{p.Name, content, size})
		}
	}
	return d, done, nil
}

// openPiece opens one file. What is returned as file is to be closed.
func (b *Batches) openPiece(ctx context.Context, t task, p piece, at *shelf) (content io.ReadSeeker, size int64,
	file *os.File, err error) {
	switch {
	case p.URL != "":
		data, err := b.fetch(ctx, p.URL, t.line.owner.name)
		return bytes.NewReader(data), int64(len(data)), nil, err
	case p.Root != "":
		file, size, err := b.openBelow(p, t.line.owner.name)
		return file, size, file, err
	}
	segment, err := at.open(b.segment(t.line.id, t.segment))
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil, 0, nil, &Refusal{500, "its content is not in the spool any more"}
	case err != nil:
		return nil, 0, nil, &Unreached{err} // the spool is away, which is no fault of the document
	}
	return io.NewSectionReader(segment, p.At, p.Bytes), p.Bytes, nil, nil
}

// openBelow opens a regular file below a root. A pipe does not block: it is none.
func (b *Batches) openBelow(p piece, owner string) (*os.File, int64, error) {
	root, err := b.rootOf(p.Root, owner)
	if err != nil {
		return nil, 0, err
	}
	file, err := root.OpenFile(p.Path, os.O_RDONLY|syscall.O_NONBLOCK, 0)
	if err != nil {
		return nil, 0, &Refusal{404, "there is no such file that may be read"}
	}
	info, err := file.Stat()
	if err != nil || !info.Mode().IsRegular() {
		return nil, 0, errors.Join(&Refusal{404, "it is no regular file"}, file.Close())
	}
	return file, info.Size(), nil
}

// fetch asks for a document. What can't be had counts as a failure over it, so that it is tried again.
func (b *Batches) fetch(ctx context.Context, address, owner string) ([]byte, error) {
	host, err := b.hostOf(address, owner)
	if err != nil {
		return nil, err
	}
	data, err := host.Fetch(ctx, address)
	if err != nil {
		return nil, &Failure{502, "the document can't be fetched: " + err.Error()}
	}
	return data, nil
}
