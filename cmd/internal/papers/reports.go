package papers

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
)

// Place says into which file the report on each document goes: on one, the file of that name; on several, files in the
// folder of that name, called like the documents, with an end such as ".pdf". It makes the folder. A file that is there
// already is an error, since no report is written over another one.
func Place(name, end string, documents []string) ([]string, error) {
	files, taken := []string{}, map[string]bool{}
	for _, document := range documents {
		file := name
		if len(documents) > 1 {
			file = filepath.Join(name, free(filepath.Base(document), end, taken))
		}
		if _, err := os.Lstat(file); err == nil {
			return nil, fmt.Errorf("%s is there already: name a new file or folder", file)
		}
		files = append(files, file)
	}
	if len(documents) > 1 {
		if err := os.MkdirAll(name, 0o700); err != nil {
			return nil, err
		}
	}
	return files, nil
}

// free is a name for the report on a document which no other one has: documents of two folders may share theirs.
func free(document, end string, taken map[string]bool) string {
	name := document + ".report" + end
	for n := 2; taken[name]; n++ {
		name = fmt.Sprintf("%s.report-%d%s", document, n, end)
	}
	taken[name] = true
	return name
}

// WriteNew writes a file that is not there yet; one that somebody has put there meanwhile stays.
func WriteNew(file string, data []byte) (err error) {
	f, err := os.OpenFile(file, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	_, err = f.Write(data)
	return err
}
