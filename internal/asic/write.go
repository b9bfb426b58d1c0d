package asic

import (
	"archive/zip"
	"bytes"
	"errors"
	"fmt"
	"hash/crc32"
	"strings"
	"unicode/utf8"
)

// File is a file of a container to be written.
type File struct {
	Name    string
	Content []byte
}

// RoleOf tells what an entry of a name is for.
func RoleOf(name string) Role { return roleOf(name) }

// maxWritten bounds the name of a data object in octets: file systems take 255 for the last part of a path.
const maxWritten = 255

// CheckNames refuses names of data objects that some reader takes for something else than another does, or writes to
// another place: the same rules by which Open finds fault, said before anything is signed. The error names the name
// and what to do.
func CheckNames(names []string) error {
	seen := map[string]string{}
	for _, name := range names {
		if err := checkWritten(name); err != nil {
			return err
		}
		key := look(normal(name))
		if first, ok := seen[key]; ok {
			return fmt.Errorf("the name %q is the same as %q on some systems: name each document by itself", name,
				first)
		}
		seen[key] = name
	}
	return nil
}

func checkWritten(name string) error {
	refuse := func(why string) error { return fmt.Errorf("the document name %q: %s", name, why) }
	switch {
	case name == "":
		return errors.New("a document has no Name, by which the seal would name it")
	case len(name) > maxWritten:
		return refuse(fmt.Sprintf("it has %d octets, at most %d are taken", len(name), maxWritten))
	case !utf8.ValidString(name):
		return refuse("it is not in UTF-8")
	case strings.ContainsFunc(name, misleading):
		return refuse("it holds control characters, or such as turn the direction of writing")
	case strings.Contains(name, `\`), strings.HasPrefix(name, "/"), strings.HasSuffix(name, "/"), len(name) > 1 &&
		name[1] == ':':
		return refuse("it has to be a relative path with / between folders")
	case normal(name) != name || name == "." || strings.HasPrefix(name, ".."):
		return refuse("it has to be a path without . and .. and empty parts")
	case strings.TrimSpace(name) != name, strings.HasSuffix(name, "."):
		return refuse("it begins or ends with what Windows takes away: space or full stop")
	case look(name) == "mimetype" || strings.HasPrefix(look(name)+"/", "meta-inf/"):
		return refuse("it is one that the container keeps for itself (mimetype, META-INF); take another")
	}
	return nil
}

// Write makes a container: the mimetype first, stored and without anything beside it, as programs look for it at a
// fixed place (EN 319 162-1, A.1), then the files in their order. The same files give the same octets.
func Write(kind Kind, files []File) ([]byte, error) {
	declaration, ok := map[Kind]string{Simple: mimeSimple, Extended: mimeExtended}[kind]
	if !ok {
		return nil, fmt.Errorf("asic: %q can't be written", kind)
	}
	if len(files) >= MaxEntries {
		return nil, fmt.Errorf("asic: %d files, at most %d are written", len(files), MaxEntries-1)
	}
	var out bytes.Buffer
	w := zip.NewWriter(&out)
	raw, err := w.CreateRaw(&zip.FileHeader{Name: "mimetype", Method: zip.Store,
		CRC32:            crc32.ChecksumIEEE([]byte(declaration)),
		CompressedSize64: uint64(len(declaration)), UncompressedSize64: uint64(len(declaration))})
	if err != nil {
		return nil, err
	}
	if _, err := raw.Write([]byte(declaration)); err != nil {
		return nil, err
	}
	for _, f := range files {
		method := zip.Deflate
		if roleOf(f.Name) == Folder {
			method = zip.Store
		}
		entry, err := w.CreateHeader(&zip.FileHeader{Name: f.Name, Method: method})
		if err != nil {
			return nil, err
		}
		if _, err := entry.Write(f.Content); err != nil {
			return nil, err
		}
	}
	if err := w.Close(); err != nil {
		return nil, err
	}
	return out.Bytes(), nil
}
