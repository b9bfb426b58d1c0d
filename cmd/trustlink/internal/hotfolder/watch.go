package hotfolder

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"
)

// sighting is how a file was seen. Since is by the monotonic clock: setting the clock back or forth changes nothing.
type sighting struct {
	size  int64
	mod   time.Time
	file  fs.FileInfo // for os.SameFile: one that replaced another is another
	since time.Time
}

// still tells whether a file is as it was seen.
func (s sighting) still(info fs.FileInfo) bool {
	return s.file != nil && s.size == info.Size() && s.mod.Equal(info.ModTime()) && os.SameFile(s.file, info)
}

// unfinished are the ends of names under which programs write what they rename when it is whole.
var unfinished = []string{".tmp", ".temp", ".part", ".partial", ".filepart", ".crdownload", ".download", ".swp", "~"}

// passedOver tells of names that are never taken: hidden files, and those that by convention are not whole.
func passedOver(name string) bool {
	lower := strings.ToLower(name)
	return strings.HasPrefix(name, ".") || strings.HasPrefix(name, "~$") ||
		slices.ContainsFunc(unfinished, func(end string) bool { return strings.HasSuffix(lower, end) })
}

// ready lists the documents in In that have not changed for Settle, in the order of their names. Folders, links,
// devices and sockets are left where they are and never opened.
func (f *Folder) ready() ([]string, error) {
	dir, err := os.Open(f.In)
	if err != nil {
		return nil, err
	}
	defer dir.Close()
	now, seen := time.Now(), map[string]sighting{}
	var list []string
	look := survey{}
	for len(seen) < maxListed {
		entries, err := dir.ReadDir(256)
		for _, e := range entries {
			if passedOver(e.Name()) {
				continue
			}
			info, err := e.Info() // lstat
			if err != nil {
				continue // it is gone
			}
			if !info.Mode().IsRegular() {
				look.ignore(e.Name())
				continue
			}
			s := f.watched[e.Name()]
			if !s.still(info) {
				s = sighting{info.Size(), info.ModTime(), info, now}
			}
			seen[e.Name()] = s
			if now.Sub(s.since) >= f.Settle {
				list = append(list, e.Name())
			}
		}
		if err != nil || len(entries) == 0 {
			break // the folder's end; or what could not be read is read at the next look
		}
	}
	f.watched = seen
	look.Waiting = len(seen)
	f.outcomes.surveyed(look)
	slices.Sort(list)
	return list, nil
}

// errChanged: somebody still writes the document.
var errChanged = errors.New("the document changed while it was sealed")

// irregular is a link, pipe or folder that took the place of a document between the look and the claim.
var irregular = &Refusal{PL: "To nie jest zwykły plik.", EN: "This is no regular file."}

// read reads a claimed document. Nobody but us reaches the folder that it is in, so what is checked here stays so, but
// for a writer that has it open.
func (f *Folder) read(it *item) ([]byte, fs.FileInfo, error) {
	path := filepath.Join(it.dir, it.name)
	if info, err := os.Lstat(path); err == nil && !info.Mode().IsRegular() {
		return nil, nil, irregular
	}
	file, err := openDocument(path)
	if err != nil {
		if errors.Is(err, fs.ErrPermission) {
			return nil, nil, &Refusal{PL: "Pliku nie można odczytać: brak uprawnień.", EN: "The file can't be read: permission denied.", Err: err}
		}
		return nil, nil, err
	}
	defer file.Close()
	info, err := file.Stat()
	switch {
	case err != nil:
		return nil, nil, err
	case !info.Mode().IsRegular():
		return nil, nil, irregular
	case info.Size() == 0:
		return nil, nil, &Refusal{PL: "Plik jest pusty.", EN: "The file is empty."}
	case info.Size() > f.MaxBytes:
		return nil, nil, tooLarge(f.MaxBytes)
	}
	if several, err := hasOtherNames(file, info); err != nil || several {
		if err != nil {
			return nil, nil, err
		}
		return nil, nil, &Refusal{PL: "Plik ma kilka nazw (twarde dowiązanie): może należeć do kogoś innego.",
			EN: "The file has several names (hard links): it may be somebody else's."}
	}
	return f.content(file, info)
}

func (f *Folder) content(file *os.File, info fs.FileInfo) ([]byte, fs.FileInfo, error) {
	data := make([]byte, 0, info.Size()+1)
	for {
		n, err := file.Read(data[len(data):cap(data)])
		data = data[:len(data)+n]
		switch {
		case int64(len(data)) > info.Size():
			return nil, nil, errChanged
		case err != nil || n == 0:
			if int64(len(data)) != info.Size() {
				err = errors.Join(errChanged, err)
			} else {
				err = nil
			}
			return data, info, err
		}
	}
}
