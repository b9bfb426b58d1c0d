package journal

import (
	"errors"
	"io"
	"os"

	"golang.org/x/sys/unix"
)

// Disk is where segments lie. Tests put faults between.
type Disk interface {
	// Create makes a file of this size whose octets are zeros that are on the disk, so that filling them later
	// needs no room and changes nothing but content. It replaces a file of this name.
	Create(path string, size int64) (File, error)
}

// File is a segment that is being written.
type File interface {
	io.ReaderAt
	io.WriterAt
	io.Closer
	Truncate(size int64) error
	Datasync() error // fdatasync(2)
}

// Local is the local file system.
type Local struct{}

type localFile struct{ *os.File }

func (f localFile) Datasync() error {
	for {
		if err := unix.Fdatasync(int(f.Fd())); !errors.Is(err, unix.EINTR) {
			return os.NewSyscallError("fdatasync", err)
		}
	}
}

// Create makes the file. It reserves the room first, so that a full disk says so at once. The zeros are written all the
// same: with room that was only reserved each fdatasync would have to change the file's map too.
func (Local) Create(path string, size int64) (File, error) {
	f, err := os.OpenFile(path, os.O_CREATE|os.O_TRUNC|os.O_RDWR, 0o600)
	if err != nil {
		return nil, err
	}
	err = unix.Fallocate(int(f.Fd()), 0, 0, size)
	if errors.Is(err, unix.EOPNOTSUPP) {
		err = nil
	}
	zeros := make([]byte, 256<<10)
	for at := int64(0); at < size && err == nil; at += int64(len(zeros)) {
		_, err = f.WriteAt(zeros[:min(int64(len(zeros)), size-at)], at)
	}
	if err == nil {
		err = f.Sync()
	}
	if err != nil {
		return nil, errors.Join(err, f.Close(), os.Remove(path))
	}
	return localFile{f}, nil
}
