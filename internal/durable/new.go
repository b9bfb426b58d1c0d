package durable

import (
	"crypto/rand"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
)

// Create makes the file at path, with mode perm whatever the umask, and returns when file and name would survive a power
// cut. A name that is taken, be it by a link that leads nowhere, is fs.ErrExist. What could not be written as a whole is
// removed; a writer that dies may leave a part.
func Create(path string, data []byte, perm fs.FileMode) error {
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return err
	}
	if err := fill(f, data, perm); err != nil {
		return errors.Join(err, os.Remove(path))
	}
	return SyncFolder(filepath.Dir(path))
}

// WriteNew is WriteFile for a name that is not taken: what is there, or comes meanwhile, stays, and is fs.ErrExist. A
// writer that dies leaves at most a hidden file beside it, named .new-*.
func WriteNew(path string, data []byte, perm fs.FileMode) error {
	temporary := filepath.Join(filepath.Dir(path), ".new-"+rand.Text()) // short: the name itself may be as long as can be
	if err := Create(temporary, data, perm); err != nil {
		return err
	}
	if err := Move(temporary, path); err != nil {
		return errors.Join(err, os.Remove(temporary))
	}
	return SyncFolder(filepath.Dir(path))
}

// Move gives a file or folder another name on the same file system, in one step: at any moment it has the one or the
// other. A name that is taken is fs.ErrExist, and nothing is replaced; on a file system that can't promise this (NFS),
// what comes to have the name in the very moment may be. It is not made durable: SyncFolder does that.
func Move(from, to string) error {
	err := moveNew(from, to)
	if !errors.Is(err, errors.ErrUnsupported) {
		return err
	}
	if _, err := os.Lstat(to); !errors.Is(err, fs.ErrNotExist) {
		return errors.Join(err, &os.LinkError{Op: "rename", Old: from, New: to, Err: fs.ErrExist})
	}
	return os.Rename(from, to)
}
