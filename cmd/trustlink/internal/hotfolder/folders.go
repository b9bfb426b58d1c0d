package hotfolder

import (
	"crypto/rand"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"

	"trustcore/internal/durable"
)

// named is a folder with what the configuration calls it.
type named struct{ what, path string }

func (c *Config) folders() []named {
	list := []named{{"in", c.In}, {"out", c.Out}, {"failed", c.Failed}, {"work", c.Work}}
	if c.Done != "" {
		list = append(list, named{"done", c.Done})
	}
	return list
}

// prepare makes the folders and refuses those that would feed each other: a sealed document that appears in In is
// sealed again, without end. Paths are compared as they are after all links.
func (c *Config) prepare() error {
	for _, at := range []struct {
		what string
		path *string
		perm fs.FileMode // 0: it must be there
	}{{"in", &c.In, 0}, {"out", &c.Out, 0}, {"failed", &c.Failed, 0o770}, {"done", &c.Done, 0o770}, {"work", &c.Work, 0o700}} {
		if *at.path == "" {
			continue
		}
		absolute, err := filepath.Abs(*at.path)
		if err == nil && at.perm != 0 {
			if err = os.Mkdir(absolute, at.perm); errors.Is(err, fs.ErrExist) {
				err = nil
			}
		}
		if err == nil {
			absolute, err = filepath.EvalSymlinks(absolute)
		}
		if err != nil {
			return fmt.Errorf("the folder %s: %w", at.what, err)
		}
		*at.path = absolute
	}
	for _, f := range c.folders() {
		if f.path == "" {
			return fmt.Errorf("the folder %s is not named", f.what)
		}
	}
	return c.apart()
}

// apart tells whether two folders are one, or one lies in another.
func (c *Config) apart() error {
	list := c.folders()
	for i, a := range list {
		for _, b := range list[i+1:] {
			if a.path == b.path || same(a.path, b.path) {
				return fmt.Errorf("%s and %s are the same folder, %s: each needs one of its own", a.what, b.what, a.path)
			}
		}
	}
	for _, a := range list {
		for _, b := range list {
			for dir := filepath.Dir(a.path); ; dir = filepath.Dir(dir) {
				if same(dir, b.path) {
					return fmt.Errorf("the folder %s lies in the folder %s: choose folders beside each other", a.what, b.what)
				}
				if dir == filepath.Dir(dir) {
					break
				}
			}
		}
	}
	return nil
}

// same compares what the system has: a folder that is mounted twice, or spelt in other letters, is one.
func same(a, b string) bool {
	one, err := os.Stat(a)
	if err != nil {
		return false
	}
	other, err := os.Stat(b)
	return err == nil && os.SameFile(one, other)
}

// probe moves a file the ways that documents go, so that folders on other file systems, or closed ones, are told at
// once.
func (f *Folder) probe() error {
	name := "." + rand.Text() + ".probe"
	at := filepath.Join(f.In, name)
	if err := durable.Create(at, nil, 0o600); err != nil {
		return fmt.Errorf("write into the folder in: %w", err)
	}
	for _, to := range []named{{"work", f.Work}, {"failed", f.Failed}, {"done", f.Done}} {
		if to.path == "" {
			continue
		}
		next := filepath.Join(to.path, name)
		if err := durable.Move(at, next); err != nil {
			return errors.Join(fmt.Errorf("documents can't be moved into the folder %s (it must be on the file system of in): %w",
				to.what, err), os.Remove(at))
		}
		at = next
	}
	if err := os.Remove(at); err != nil {
		return err
	}
	at = filepath.Join(f.Out, name)
	if err := durable.Create(at, nil, 0o600); err != nil {
		return fmt.Errorf("write into the folder out: %w", err)
	}
	return os.Remove(at)
}

// outFile in Work holds the name of the mark in Out.
const outFile = "out"

var markName = regexp.MustCompile(`^\.[A-Z2-7]{26}\.hotfolder$`)

// recognise looks for our mark in Out, and makes one where no result can be expected in it yet. While staged
// documents are in Work, an Out without the mark is another one than theirs.
func (f *Folder) recognise() error {
	at := filepath.Join(f.Work, outFile)
	text, err := durable.ReadFile(at, 1<<10)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	f.mark = string(text)
	if markName.MatchString(f.mark) {
		if _, err := os.Lstat(filepath.Join(f.Out, f.mark)); err == nil || !errors.Is(err, fs.ErrNotExist) {
			return err
		}
		left, err := f.left()
		if err != nil {
			return err
		}
		if slices.ContainsFunc(left, func(it *item) bool { return it.staged }) {
			return fmt.Errorf("the folder out, %s, is not the one in which sealed documents wait for their names: is it mounted?", f.Out)
		}
	}
	f.mark = "." + rand.Text() + ".hotfolder"
	if err := durable.Create(filepath.Join(f.Out, f.mark), nil, 0o600); err != nil {
		return err
	}
	return durable.WriteFile(at, []byte(f.mark), 0o600)
}

// Names are held to what Linux and macOS take, in bytes; Windows takes more.
const (
	maxNameBytes = 255
	maxExtension = 20 // a longer one is a part of the name
)

// numbered is the name for the nth result of documents of one name: "a.pdf", "a-2.pdf". With the suffix it is cut to
// what a file system takes, between characters.
func numbered(name, suffix string, n int) string {
	extension := filepath.Ext(name)
	if len(extension) > maxExtension || extension == name {
		extension = ""
	}
	stem := strings.TrimSuffix(name, extension)
	if n > 1 {
		extension = fmt.Sprintf("-%d%s", n, extension)
	}
	return Fit(stem, extension+suffix)
}

// Fit puts an end to a name, which is cut between characters to what file systems take.
func Fit(name, end string) string {
	most := max(maxNameBytes-len(end), 0)
	if len(name) <= most {
		return name + end
	}
	for most > 0 && name[most]&0xc0 == 0x80 { // in the middle of a character of UTF-8
		most--
	}
	return name[:most] + end
}

// place moves a file under the first of its numbered names that is not taken, and returns the path.
func place(from, dir, name, suffix string) (string, error) {
	for n := 1; n <= maxSame; n++ {
		path := filepath.Join(dir, numbered(name, suffix, n))
		if err := durable.Move(from, path); !errors.Is(err, fs.ErrExist) {
			return path, err
		}
	}
	return "", fmt.Errorf("%s holds %d files named like %q", dir, maxSame, name)
}
