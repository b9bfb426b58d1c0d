package evidence

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"trustcore/internal/durable"
)

// A Keep holds all evidence that verdicts ever leaned on, so that a validation can be repeated years later. It only
// grows: one file an answer, named by the time that the answer speaks of and by its SHA-256, in one folder a source and
// month. The folders are the index: opening reads nothing, and folders of several machines can be laid over each other.
// What an archivist moves away is asked for again.
//
// Files, and no database: an answer is written once and never changed, the largest have 60 MB, and who parses
// strangers' documents needs no driver and no password of a database for it.
type Keep struct{ dir string }

// Layout of a keep: aa/<key>/2026-11/20261123T224500Z-<sha256>, where aa are the first two digits of the key.
const (
	monthLayout = "2006-01"
	timeLayout  = "20060102T150405Z"
)

// maxKeptSize is the largest file that is read back, in bytes.
const maxKeptSize = 64 << 20

// Kept is one answer from the keep.
type Kept struct {
	DER     []byte
	Fetched time.Time // when it came in
}

// OpenKeep opens the folder, and makes it with mode 0700 if it is not there.
func OpenKeep(dir string) (*Keep, error) {
	if !filepath.IsAbs(dir) {
		return nil, fmt.Errorf("folder of evidence: %q is not an absolute path", dir)
	}
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, fmt.Errorf("folder of evidence: %w", err)
	}
	return &Keep{dir}, nil
}

func (k *Keep) folder(key [32]byte) string {
	name := hex.EncodeToString(key[:])
	return filepath.Join(k.dir, name[:2], name)
}

// Put keeps an answer of the source that key names; of is the time that it speaks of. When Put returns, the answer is
// on the disk. An answer that is there already is left alone.
func (k *Keep) Put(key [32]byte, of time.Time, der []byte) error {
	of = of.UTC()
	dir := filepath.Join(k.folder(key), of.Format(monthLayout))
	digest := sha256.Sum256(der)
	file := filepath.Join(dir, of.Format(timeLayout)+"-"+hex.EncodeToString(digest[:]))
	if _, err := os.Stat(file); err == nil {
		return nil
	}
	if err := durable.MkdirAll(dir, 0o700); err != nil {
		return fmt.Errorf("keep evidence: %w", err)
	}
	if err := durable.WriteFile(file, der, 0o400); err != nil {
		return fmt.Errorf("keep evidence: %w", err)
	}
	return nil
}

// Newest returns what the source said last, of a time not after until; nothing when it was never asked. A file whose
// content is not what its name says is passed over.
func (k *Keep) Newest(key [32]byte, until time.Time) (Kept, bool) {
	until = until.UTC()
	last := until.Format(timeLayout) + "~" // after every digest
	for _, month := range names(k.folder(key)) {
		if month > until.Format(monthLayout) {
			continue
		}
		dir := filepath.Join(k.folder(key), month)
		for _, name := range names(dir) {
			if name > last {
				continue
			}
			if kept, err := readKept(filepath.Join(dir, name)); err == nil {
				return kept, true
			}
		}
	}
	return Kept{}, false
}

// names returns what lies in a folder, the latest first, without files that were left half written.
func names(dir string) []string {
	f, err := os.Open(dir)
	if err != nil {
		return nil
	}
	defer f.Close()
	list, err := f.Readdirnames(-1)
	if err != nil {
		return nil
	}
	list = slices.DeleteFunc(list, func(name string) bool { return strings.HasPrefix(name, ".") })
	slices.Sort(list)
	slices.Reverse(list)
	return list
}

func readKept(file string) (Kept, error) {
	info, err := os.Stat(file)
	if err != nil {
		return Kept{}, err
	}
	if info.Size() > maxKeptSize {
		return Kept{}, fmt.Errorf("%s: more than %d bytes", file, maxKeptSize)
	}
	der, err := os.ReadFile(file)
	if err != nil {
		return Kept{}, err
	}
	if digest := sha256.Sum256(der); !strings.HasSuffix(file, "-"+hex.EncodeToString(digest[:])) {
		return Kept{}, fmt.Errorf("%s: the content is not what the name says", file)
	}
	return Kept{DER: der, Fetched: info.ModTime()}, nil
}
