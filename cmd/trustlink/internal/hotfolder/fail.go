package hotfolder

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"trustcore/internal/durable"
)

// reasonEnd is behind the name of a document in Failed.
const reasonEnd = ".reason.txt"

func tooLarge(most int64) *Refusal {
	return &Refusal{PL: fmt.Sprintf("Plik jest za duży: najwięcej %d bajtów.", most),
		EN: fmt.Sprintf("The file is too large: at most %d bytes are taken.", most)}
}

// fail puts a document into Failed with the reason beside it. The reason comes first, so that no document lies there
// without one; it holds the document's ID, by which the next start after a kill in between knows it for its own and
// puts the document beside it, instead of giving a second reason.
func (f *Folder) fail(it *item, why *Refusal) error {
	mark := []byte("ID: " + it.id + "\n")
	text := append(reasonText(it.name, why), mark...)
	for n := 1; n <= maxSame; n++ {
		name := numbered(it.name, "", n)
		if _, err := os.Lstat(filepath.Join(f.Failed, name)); !errors.Is(err, fs.ErrNotExist) {
			if err != nil {
				return err
			}
			continue
		}
		reason := filepath.Join(f.Failed, numbered(name, reasonEnd, 1))
		err := durable.WriteNew(reason, text, f.Mode)
		if errors.Is(err, fs.ErrExist) {
			left, read := os.ReadFile(reason)
			if read != nil || !bytes.HasSuffix(left, mark) {
				continue // another document's
			}
			err = nil
		}
		if err != nil {
			return err
		}
		err = durable.Move(filepath.Join(it.dir, it.name), filepath.Join(f.Failed, name))
		if errors.Is(err, fs.ErrExist) { // it came meanwhile: the reason is to lie beside the document
			if err := durable.Remove(reason); err != nil {
				return err
			}
			continue
		}
		if err != nil {
			return fmt.Errorf("put %q away: %w", it.name, err)
		}
		if err := os.Remove(it.dir); err != nil {
			return err
		}
		f.Log.Warn("a document can't be sealed", "file", it.name, "error", why.Error())
		f.settled(Result{File: it.name, Failed: filepath.Join(f.Failed, name), Reason: why.Error(), Time: time.Now().UTC()})
		return nil
	}
	return fmt.Errorf("%s holds %d files named like %q", f.Failed, maxSame, it.name)
}

// reasonText is for the people of the office; names and details are quoted, since strangers chose them.
func reasonText(name string, why *Refusal) []byte {
	var b bytes.Buffer
	fmt.Fprintf(&b, "Dokument %q nie został opieczętowany.\n%s\n", name, why.PL)
	if why.Err != nil {
		fmt.Fprintf(&b, "Szczegóły (po angielsku): %q\n", why.Err.Error())
	}
	fmt.Fprintf(&b, "Po usunięciu przyczyny należy włożyć dokument ponownie do folderu wejściowego.\n\n")
	fmt.Fprintf(&b, "The document %q was not sealed.\n%s\n", name, why.EN)
	if why.Err != nil {
		fmt.Fprintf(&b, "Details: %q\n", why.Err.Error())
	}
	fmt.Fprintf(&b, "Once the cause is removed, put the document into the incoming folder again.\n\n")
	return b.Bytes()
}
