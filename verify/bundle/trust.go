package bundle

import (
	"fmt"
	"os"
	"path/filepath"

	"trustcore/verify/trustlist"
)

// Keep reads the files that the sources name.
func (b *Bundle) Keep(src trustlist.Sources) (err error) {
	if b.Lists, err = folder(src.Dir); err != nil {
		return err
	}
	if b.LOTLSigners, err = folder(src.LOTLSigners); err != nil {
		return err
	}
	if src.Dir != "" && src.LOTLSigners == "" { // those of this version of the program
		for _, s := range trustlist.Journal() {
			b.LOTLSigners = append(b.LOTLSigners, File{s.File, s.PEM()})
		}
	}
	if b.Extra, err = read(src.Extra); err != nil {
		return err
	}
	b.Anchors, err = read(src.Anchors)
	return err
}

func folder(dir string) ([]File, error) {
	if dir == "" {
		return nil, nil
	}
	entries, err := os.ReadDir(dir)
	if err != nil {
		return nil, err
	}
	var names []string
	for _, e := range entries {
		if e.Type().IsRegular() && trustlist.MayBeList(e.Name()) {
			names = append(names, filepath.Join(dir, e.Name()))
		}
	}
	return read(names)
}

func read(names []string) ([]File, error) {
	var files []File
	for _, name := range names {
		content, err := os.ReadFile(name)
		if err != nil {
			return nil, err
		}
		files = append(files, File{filepath.Base(name), content})
	}
	return files, nil
}

// Sources lays the lists and anchors of the bundle out below an empty folder, where trustlist.Load finds them.
func (b *Bundle) Sources(dir string) (src trustlist.Sources, err error) {
	if len(b.Lists) > 0 {
		src.Dir, src.LOTLSigners = filepath.Join(dir, lists), filepath.Join(dir, lotlSigners)
	}
	for _, p := range []struct {
		folder string
		files  []File
		names  *[]string
	}{{lists, b.Lists, nil}, {lotlSigners, b.LOTLSigners, nil}, {extraLists, b.Extra, &src.Extra}, {anchors, b.Anchors, &src.Anchors}} {
		names, err := lay(filepath.Join(dir, p.folder), p.files)
		if err != nil {
			return src, err
		}
		if p.names != nil {
			*p.names = names
		}
	}
	return src, nil
}

// lay writes files under numbers, in their order.
func lay(dir string, files []File) ([]string, error) {
	if err := os.Mkdir(dir, 0o700); err != nil {
		return nil, err
	}
	var names []string
	for i, f := range files {
		name := filepath.Join(dir, fmt.Sprintf("%04d", i))
		if err := os.WriteFile(name, f.Content, 0o600); err != nil {
			return nil, err
		}
		names = append(names, name)
	}
	return names, nil
}
