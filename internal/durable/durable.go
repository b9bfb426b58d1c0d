// Package durable is the one way to write a file of the state: after a crash or a power cut it is there as a whole, in
// its old or its new form, and what was said to be written stays written.
package durable

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
)

// WriteFile replaces the file at path with data and returns when file and name would survive a power cut. The mode is
// exactly perm, whatever the umask. A writer that dies leaves at most a hidden file beside it, named .NAME.*.
func WriteFile(path string, data []byte, perm fs.FileMode) error {
	temporary, err := os.CreateTemp(filepath.Dir(path), "."+filepath.Base(path)+".*") // mode 0600
	if err != nil {
		return err
	}
	err = fill(temporary, data, perm)
	if err == nil {
		err = os.Rename(temporary.Name(), path)
	}
	if err != nil {
		return errors.Join(err, os.Remove(temporary.Name()))
	}
	return SyncFolder(filepath.Dir(path))
}

// fill writes, makes durable and closes. Only what is whole on the disk may get the name: a rename can reach the disk
// before the content does.
func fill(f *os.File, data []byte, perm fs.FileMode) error {
	_, err := f.Write(data)
	if err == nil {
		err = f.Chmod(perm)
	}
	if err == nil {
		err = f.Sync()
	}
	return errors.Join(err, f.Close())
}

// MkdirAll makes a folder and those above it that are missing, each with mode perm, whose names survive a power cut.
func MkdirAll(path string, perm fs.FileMode) error {
	switch found, err := os.Stat(path); {
	case err == nil && found.IsDir():
		return nil
	case err == nil:
		return &fs.PathError{Op: "mkdir", Path: path, Err: errors.New("a file of this name is there")}
	case !errors.Is(err, fs.ErrNotExist):
		return err
	}
	parent := filepath.Dir(path)
	if err := MkdirAll(parent, perm); err != nil {
		return err
	}
	if err := os.Mkdir(path, perm); err != nil && !errors.Is(err, fs.ErrExist) {
		return err
	}
	return SyncFolder(parent)
}

// Remove removes a file and returns when it would not come back after a power cut. A file that is not there is no error.
func Remove(path string) error {
	if err := os.Remove(path); err != nil {
		if errors.Is(err, fs.ErrNotExist) {
			return nil
		}
		return err
	}
	return SyncFolder(filepath.Dir(path))
}
